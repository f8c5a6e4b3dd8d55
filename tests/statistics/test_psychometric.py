"""Fits: shapes and their parametrisation, recovery, coverage, published values, and what must not be fitted."""

import importlib
import math
import time
from typing import Any

import numpy as np
import pytest

from limen.curve import Array
from limen.errors import InputError, UnknownNameError
from limen.statistics.likelihood import clustered, peak
from limen.statistics.population import population
from limen.statistics.posterior import Fit, Parameter, Placement, Priors, posterior
from limen.statistics.psychometric import IDENTICAL, SHAPES, Responses, inverse, psi, rise

LEVELS = np.arange(1, 51, dtype=float)
LADDER = Priors.ladder(50)
# The example data of psignifit's documentation: two-alternative forced choice, 90 trials a level.
PSIGNIFIT = (
    [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 10.0],
    [45, 50, 44, 44, 52, 53, 62, 64, 76, 79, 88, 90, 90],
    [90] * 13,
)


def covers(found: Parameter, value: float) -> bool:
    return found.interval.low <= value <= found.interval.high


def draw(rng: np.random.Generator, n: int, threshold: Any, width: Any, guess: Any, lapse: Any) -> Array:
    return np.asarray(rng.binomial(n, psi("logistic", LEVELS, threshold, width, guess, lapse)), dtype=float)


# --- shapes ---


@pytest.mark.parametrize("shape", SHAPES)
def test_threshold_and_width_mean_the_same_for_every_shape(shape: str) -> None:
    for threshold, width in ((17.0, 9.0), (30.0, 2.0), (8.0, 20.0)):
        assert rise(shape, threshold, threshold, width) == pytest.approx(0.5)
        low, high = inverse(shape, 0.05, threshold, width), inverse(shape, 0.95, threshold, width)
        assert high - low == pytest.approx(width, rel=1e-5)
        assert rise(shape, inverse(shape, 0.75, threshold, width), threshold, width) == pytest.approx(0.75)
        assert rise(shape, IDENTICAL, threshold, width) == 0.0
        assert rise(shape, 1e6, threshold, width) == pytest.approx(1.0)


def test_shapes_are_those_of_scipy() -> None:
    from scipy import stats

    x, m, w = LEVELS, 20.0, 12.0
    assert rise("logistic", x, m, w) == pytest.approx(stats.logistic.cdf(x, m, w / (2 * math.log(19))))
    assert rise("normal", x, m, w) == pytest.approx(stats.norm.cdf(x, m, w / (2 * stats.norm.ppf(0.95))))
    scale = w / (math.log(-math.log(0.05)) - math.log(-math.log(0.95)))
    assert rise("gumbel", x, m, w) == pytest.approx(
        stats.gumbel_l.cdf(x, m - scale * math.log(math.log(2)), scale), abs=1e-9
    )
    assert rise("rgumbel", x, m, w) == pytest.approx(
        stats.gumbel_r.cdf(x, m + scale * math.log(math.log(2)), scale), abs=1e-9
    )
    weibull = stats.weibull_min(3.0, scale=20 / math.log(2) ** (1 / 3))
    assert rise("weibull", x, 20.0, weibull.ppf(0.95) - weibull.ppf(0.05)) == pytest.approx(weibull.cdf(x), abs=1e-5)


def test_psi_goes_from_the_guess_rate_to_the_lapses() -> None:
    assert psi("logistic", [IDENTICAL, 20, 1e9], 20, 5, 0.1, 0.06) == pytest.approx([0.1, 0.52, 0.94])


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'logistic'"):
        rise("logistik", 1, 1, 1)
    with pytest.raises(InputError, match="n = 0"):
        Responses.of([1, 2], [0, 0], [0, 0])
    with pytest.raises(InputError, match="n = 0"):
        Responses.of([1, 2], [[0, 1], [0, 0]], [[1, 1], [0, 0]], 3, 10)
    with pytest.raises(InputError, match="between 0 and n"):
        Responses.of([1, 2], [2, 0], [1, 1])
    with pytest.raises(InputError, match="do not fit"):
        Responses.of([1, 2, 3], [1, 1], [1, 1])
    with pytest.raises(InputError, match=r"limen\.statistics\.likelihood\.clustered"):
        posterior(Responses.of([1, 2], [0.5, 1], [1, 1]), LADDER)
    with pytest.raises(InputError, match="One stimulus level"):
        Priors.spanning([3.0, 3.0])
    with pytest.raises(InputError, match="rate lies between"):
        posterior(Responses.of([1, 2], [0, 1], [1, 1]), Priors.ladder(50, guess=1.5))


# --- posterior ---


def many(seed: int, sets: int, n: int = 2) -> tuple[Responses, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    threshold, width = rng.uniform(5, 45, (sets, 1)), np.exp(rng.uniform(0, 3, (sets, 1)))
    guess, lapse = np.minimum(rng.beta(1, 5, (2, sets, 1)), 0.45)
    yes = draw(rng, n, threshold, width, guess, lapse)
    alarms = rng.binomial(20, guess[:, 0])
    data = Responses.of(list(LEVELS), yes, np.full_like(yes, n), alarms, 20)
    return data, threshold[:, 0], width[:, 0], guess[:, 0]


@pytest.mark.slow
def test_credible_intervals_cover() -> None:
    data, threshold, width, guess = many(1, 200)
    fits = posterior(data, LADDER)
    t75 = inverse("logistic", 0.75, threshold, width)
    for name, truth in (("threshold", threshold), ("t75", t75), ("width", width), ("guess", guess)):
        share = np.mean([covers(getattr(f, name), v) for f, v in zip(fits, truth, strict=True)])
        assert share >= 0.9, f"{name}: {share}"
    inside = np.array([f.side is Placement.WITHIN for f in fits])
    error = np.array([f.threshold.median for f in fits]) - threshold
    assert np.median(np.abs(error[inside])) < 1.2
    assert abs(np.mean(error[inside])) < 0.6


def test_a_thousand_fits_take_no_long_time() -> None:
    data = many(2, 1000)[0]
    posterior(data, LADDER, refine=False)
    begun = time.process_time()
    fits = posterior(data, LADDER, refine=False)
    assert len(fits) == 1000
    assert time.process_time() - begun < 3.0  # 0.3 to 0.4 s on a quiet core; one by one they would take ten times that


def test_many_sets_are_fitted_as_each_would_be() -> None:
    data = many(3, 6)[0]
    together = posterior(data, LADDER)
    for i, found in enumerate(together):
        alone = posterior(Responses(data.levels, data.yes[[i]], data.n[[i]]), LADDER)[0]
        assert alone.threshold.mean == pytest.approx(found.threshold.mean)
        assert alone.lapse.interval.high == pytest.approx(found.lapse.interval.high)


def test_much_data_narrows_to_the_truth() -> None:
    rng = np.random.default_rng(4)
    yes = draw(rng, 2000, 20.3, 4.0, 0.12, 0.03)
    (found,) = posterior(Responses.of(list(LEVELS), yes, np.full(50, 2000), 24, 200), LADDER)
    for name, truth in (("threshold", 20.3), ("width", 4.0), ("guess", 0.12), ("lapse", 0.03)):
        estimate = getattr(found, name)
        assert estimate.mean == pytest.approx(truth, rel=0.05)
        assert estimate.interval.high - estimate.interval.low < 0.15 * truth + 0.005


def test_the_grid_agrees_with_a_dense_one() -> None:
    rng = np.random.default_rng(5)
    yes = draw(rng, 3, 24.0, 14.0, 0.0, 0.0)
    prior = Priors.ladder(50, guess=0.0, lapse=0.0)
    (found,) = posterior(Responses.of(list(LEVELS), yes, np.full(50, 3.0)), prior)
    m = np.linspace(0.05, 99.95, 1000)[:, None, None]
    w = np.exp(np.linspace(math.log(0.5), math.log(100), 401))[:, None]
    p = np.clip(psi("logistic", LEVELS, m, w), 1e-12, 1 - 1e-12)
    log = (yes * np.log(p) + (3 - yes) * np.log(1 - p)).sum(axis=-1)
    mass = np.exp(log - log.max())
    mass /= mass.sum()
    over = mass.sum(axis=1)
    assert found.threshold.mean == pytest.approx(float(over @ m[:, 0, 0]), abs=0.05)
    quantiles = np.interp([0.025, 0.975], np.cumsum(over), m[:, 0, 0] + 0.05)
    assert (found.threshold.interval.low, found.threshold.interval.high) == pytest.approx(tuple(quantiles), abs=0.15)
    assert found.width.mean == pytest.approx(float(mass.sum(axis=0) @ w[:, 0]), rel=0.02)


def one(yes: Any, alarms: int | None = None, identical: int | None = None) -> Fit:
    return posterior(Responses.of(list(LEVELS), yes, np.ones(50), alarms, identical), LADDER)[0]


def test_all_no_is_beyond_the_ladder() -> None:
    for found in (one(np.zeros(50)), one(np.zeros(50), 0, 20)):
        assert found.side is Placement.ABOVE
        assert found.threshold.median > 60
        assert found.threshold.interval.low > 45
        assert found.threshold.interval.high == math.inf
        assert found.t75.interval.high == math.inf


def test_all_yes_is_below_the_first_level() -> None:
    found = one(np.ones(50), 0, 20)
    assert found.side is Placement.BELOW
    assert found.threshold.interval.high < 4
    assert found.guess.interval.high < 0.2


def test_one_level_only_is_wide() -> None:
    (found,) = posterior(Responses.of([20.0], [1], [2]), LADDER)
    assert found.threshold.interval.low < 15
    assert found.threshold.interval.high > 30


def test_forced_choice_against_psignifit() -> None:
    """Its values (tests/oracle), in thousandths: 4.6464 and 4.6632; with lapses fixed at .01 4.5927 and 4.4781."""
    data = Responses.of(*PSIGNIFIT)
    best = peak(data, Priors.spanning(PSIGNIFIT[0], guess=0.5), "normal")
    assert (best.threshold[0], best.width[0]) == pytest.approx((4.6464, 4.6632), abs=0.006)
    prior = Priors.spanning(PSIGNIFIT[0], guess=0.5, lapse=0.01)
    best = peak(data, prior, "normal")
    assert (best.threshold[0], best.width[0]) == pytest.approx((4.5927, 4.4781), abs=0.002)
    assert psi("normal", best.threshold[0], best.threshold[0], best.width[0], 0.5) == pytest.approx(0.75)
    (found,) = posterior(data, prior, "normal")
    assert (found.threshold.mean, found.width.mean) == pytest.approx((4.5963, 4.5899), abs=0.08)
    interval = found.threshold.interval
    assert (interval.low, interval.high) == pytest.approx((4.2647, 4.8672), abs=0.08)
    assert found.guess.mean == pytest.approx(0.5)


# --- maximum likelihood ---


@pytest.mark.parametrize("shape", SHAPES)
def test_the_peak_is_no_lower_than_scipy_finds(shape: str) -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(6)
    yes = rng.binomial(10, psi(shape, LEVELS, [[21.0], [30.0], [12.0]], [[9.0], [14.0], [5.0]], 0.1, 0.05))
    data = Responses.of(list(LEVELS), yes, np.full((3, 50), 10), [4, 5, 2], 40)
    best = peak(data, LADDER, shape)
    for i in range(3):

        def missing(v: Array, i: int = i) -> float:
            p = np.clip(psi(shape, data.levels, v[0], math.exp(v[1]), v[2], v[3]), 1e-10, 1 - 1e-10)
            return -float((data.yes[i] * np.log(p) + (data.n[i] - data.yes[i]) * np.log1p(-p)).sum())

        start = [20.0, math.log(9.0), 0.1, 0.05]
        bounds = [(0.1, 99.0), (math.log(0.5), math.log(100)), (0.0, 0.98), (0.0, 0.5)]
        theirs = minimize(missing, start, bounds=bounds, method="L-BFGS-B").fun
        own = np.array([best.threshold[i], math.log(best.width[i]), best.guess[i], best.lapse[i]])
        assert missing(own) <= theirs + 1e-4


def test_a_wrong_shape_does_not_fit() -> None:
    x = np.arange(1, 51, 3, dtype=float)
    shares = {
        "stairs": np.where(x < 20, 0.05, np.where(x < 35, 0.6, 0.95)),
        "right": psi("logistic", x, 22, 15, 0.05, 0.05),
    }
    rng = np.random.default_rng(9)
    p_fit = {
        name: clustered(
            Responses.of(list(x), rng.binomial(4, share, (25, len(x))), np.full((25, len(x)), 4)), LADDER, resamples=200
        ).p_fit
        for name, share in shares.items()
    }
    assert p_fit["stairs"] < 0.01
    assert p_fit["right"] > 0.05


def test_no_threshold_no_interval() -> None:
    nothing = Responses.of(list(LEVELS), np.zeros((8, 50)), np.ones((8, 50)))
    found = clustered(nothing, LADDER, resamples=50)
    assert (found.side, found.intervals) == (Placement.ABOVE, {})
    everything = Responses.of(list(LEVELS), np.ones((8, 50)), np.ones((8, 50)), 0, 5)
    assert clustered(everything, LADDER, resamples=50).side is Placement.BELOW


def frozen(seed: int, references: int, guess: float = 0.1) -> tuple[Array, np.random.Generator]:
    rng = np.random.default_rng(seed)
    own = rng.normal(22, 6, (references, 1))
    return draw(rng, 1, own, 9.0, guess, 0.02), rng


@pytest.mark.slow
def test_intervals_over_references_cover_frozen_answers() -> None:
    covered = fractional = 0
    levels = np.arange(4, 50, 5)
    for i in range(200):
        yes, rng = frozen(2000 + i, 30)
        yes = yes[:, levels]
        alarms = rng.binomial(2, 0.1, 30)
        ladder = [float(level + 1) for level in levels]
        data = Responses.of(ladder, yes, np.ones_like(yes), alarms, np.full(30, 2))
        found = clustered(data, LADDER, "normal", resamples=60).intervals["threshold"]
        covered += found.low <= 22 <= found.high
        if i >= 60:
            continue
        sure = np.clip(0.9 * yes + 0.05, 0, 1)
        data = Responses.of(ladder, sure, np.ones_like(yes), 0.9 * alarms + 0.1, np.full(30, 2))
        again = clustered(data, LADDER, "normal", resamples=60)
        fractional += again.intervals["threshold"].low <= 22 <= again.intervals["threshold"].high
        assert math.isnan(again.deviance)
    assert covered >= 180, covered
    assert fractional >= 54, fractional


# --- over references ---


def scanned(full: Array, window: int = 3) -> tuple[Array, Array]:
    """Keep what a scan would have asked: up to the end of the first run of yes."""
    n = np.zeros_like(full)
    for asked, row in zip(n, full, strict=True):
        ends = np.nonzero(np.convolve(row, np.ones(window), "valid") == window)[0]
        asked[: int(ends[0]) + window if len(ends) else len(row)] = 1
    return full * n, n


@pytest.mark.parametrize(("guess", "lapse", "width"), [(0.02, 0.02, 9.0), (0.1, 0.1, 18.0), (0.3, 0.3, 18.0)])
def test_the_population_of_an_adaptive_run_is_covered(guess: float, lapse: float, width: float) -> None:
    covered, errors, sds = 0, [], 0
    runs = 30
    for i in range(runs):
        rng = np.random.default_rng(3000 + i)
        full = draw(rng, 1, rng.normal(22, 6, (20, 1)), width, guess, lapse)
        yes, n = scanned(full)
        found = population(
            Responses.of(list(LEVELS), yes, n), LADDER, alarms=int(rng.binomial(40, guess)), identical=40
        )
        covered += covers(found.threshold, 22)
        sds += covers(found.spread, 6)
        errors.append(found.threshold.median - 22)
    assert covered >= 0.9 * runs, covered
    assert sds >= 0.9 * runs, sds
    # an observer of whose answers 30 % are lapses is located late: a scan says little about lapses
    assert abs(np.mean(errors)) < (5.5 if guess == 0.3 else 1.0)


def test_a_population_beyond_the_ladder_is_censored() -> None:
    none = Responses.of(list(LEVELS), np.zeros((10, 50)), np.ones((10, 50)))
    found = population(none, LADDER, alarms=0, identical=20)
    assert found.side is Placement.ABOVE
    assert found.threshold.interval.high == math.inf
    assert found.threshold.interval.low > 45
    every = population(Responses.of(list(LEVELS), np.ones((10, 50)), np.ones((10, 50))), LADDER, alarms=0, identical=20)
    assert every.side is Placement.BELOW
    some = np.zeros((10, 50))
    some[:4, 20:] = 1
    partly = population(Responses.of(list(LEVELS), some, np.ones((10, 50))), LADDER, alarms=0, identical=20)
    assert partly.threshold.interval.high == math.inf
    assert partly.threshold.interval.low > 20


def test_more_levels_of_the_same_references_do_not_feign_certainty() -> None:
    yes, _ = frozen(7, 10, 0.0)
    every = population(Responses.of(list(LEVELS), yes, np.ones_like(yes)), LADDER)
    few = population(Responses.of(list(LEVELS[::5]), yes[:, ::5], np.ones((10, 10))), LADDER)
    interval = every.threshold.interval
    assert interval.high - interval.low > 2 * 1.96 * 6 / math.sqrt(10) * 0.7
    assert few.threshold.mean == pytest.approx(every.threshold.mean, abs=2.5)
    assert covers(every.threshold, 22)
    assert covers(every.series_width, 9)


def test_a_population_needs_references_and_counts() -> None:
    with pytest.raises(InputError, match="One reference"):
        population(Responses.of([1, 2], [0, 1], [1, 1]), LADDER)
    with pytest.raises(InputError, match="whole counts"):
        population(Responses.of([1, 2], [[0, 0.5]] * 3, [[1, 1]] * 3), LADDER)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_a_population(shape: str) -> None:
    rng = np.random.default_rng(8)
    yes = rng.binomial(1, psi(shape, LEVELS, rng.normal(22, 3, (12, 1)), 8.0, 0.05, 0.02)).astype(float)
    found = population(Responses.of(list(LEVELS), yes, np.ones_like(yes)), LADDER, shape, 1, 20)
    assert covers(found.threshold, 22.0)
    assert found.threshold.median < found.t75.median
    assert (found.references, found.n) == (12, 620)


def test_palamedes_web_example() -> None:
    """The data of Palamedes' web example; its own result could not be looked up, so scipy's search is the oracle."""
    x = [-0.6547, -0.1406, 0.3736, 0.8878, 1.4019, 1.9161, 2.4303, 2.9444, 6.9068]
    yes, n = [3, 34, 30, 33, 9, 6, 2, 15, 65], [6, 56, 39, 37, 12, 7, 3, 15, 65]
    prior = Priors((-3.0, 6.0), (0.3, 30.0), 0.5, 0.0, 1, 9)

    def loss(free: Array) -> float:
        p = 0.5 + 0.5 / (1 + np.exp(-2 * math.log(19) * (np.array(x) - free[0]) / free[1]))
        p = np.clip(p, 1e-9, 1 - 1e-9)
        return float(-np.sum(np.array(yes) * np.log(p) + (np.array(n) - yes) * np.log(1 - p)))

    optimize = importlib.import_module("scipy.optimize")
    theirs = optimize.minimize(loss, [1.0, 3.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    best = peak(Responses.of(x, yes, n), prior, "logistic")
    assert (best.threshold[0], best.width[0]) == pytest.approx(tuple(theirs.x), abs=0.01)
    assert best.threshold[0] == pytest.approx(0.525, abs=0.005)


# --- fitted curves ---


@pytest.mark.slow
def test_the_band_of_a_curve_over_references_holds_the_true_one() -> None:
    """Thresholds of 30 references drawn from N(22, 6); at most levels in nearly all runs, as a 95 % band should."""
    at = np.arange(0.0, 51.0, 5.0)
    truth = psi("logistic", at, np.random.default_rng(0).normal(22, 6, (20_000, 1)), 9.0, 0.1, 0.05).mean(axis=0)
    held = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        thresholds = rng.normal(22, 6, (30, 1))
        yes = (rng.random((30, 50)) < psi("logistic", LEVELS, thresholds, 9.0, 0.1, 0.05)).astype(float)
        alarms = int(rng.binomial(30, 0.1))
        curve = population(Responses.of(list(LEVELS), yes, np.ones_like(yes)), LADDER, "logistic", alarms, 30, at).curve
        assert curve is not None
        held.append((np.array(curve.low) <= truth) & (truth <= np.array(curve.high)))
        assert np.all(np.diff(curve.share) > -2e-3)
    assert np.mean(held) >= 0.85


def test_the_curve_of_one_data_set_is_that_of_its_parameters() -> None:
    yes = np.rint(400 * psi("logistic", LEVELS, 20.0, 10.0, 0.1, 0.05))
    at = [0.0, 10.0, 20.0, 30.0, 50.0]
    data = Responses.of(list(LEVELS), yes, np.full(50, 400.0), 40, 400)
    (found,) = posterior(data, LADDER, at=at)
    assert found.curve is not None
    assert found.curve.levels == tuple(at)
    assert found.curve.share == pytest.approx(psi("logistic", at, 20.0, 10.0, 0.1, 0.05), abs=0.01)
    assert max(np.array(found.curve.high) - found.curve.low) < 0.06
    assert found.curve.at(15.0) == pytest.approx(np.mean(found.curve.share[1:3]))
    assert posterior(data, LADDER)[0].curve is None


def test_fewer_answers_make_a_wider_band() -> None:
    def width(n: float) -> float:
        yes = np.rint(n * psi("logistic", LEVELS, 20.0, 10.0, 0.1, 0.05))
        (found,) = posterior(Responses.of(list(LEVELS), yes, np.full(50, n), n // 10, n), LADDER, at=[20.0])
        assert found.curve is not None
        return found.curve.high[0] - found.curve.low[0]

    assert width(10) > 2 * width(100) > 0


@pytest.mark.parametrize("top", [16, 50, 100, 200])
def test_the_threshold_of_a_population_is_no_grid_of_its_own(top: int) -> None:
    """Steps without noise and noisy ones at several places of ladders of any length."""
    levels, prior, held, runs = np.arange(1.0, top + 1), Priors.ladder(top), 0, 0
    for first in {*range(4, 8), *(round(top * 0.4) + i for i in range(4))}:
        for noise in (0.0, 0.1):
            rng = np.random.default_rng(100 * top + first)
            asked = np.abs(levels - first) < 11
            yes = (levels > first) ^ (rng.random((8, top)) < noise)
            n = np.broadcast_to(asked, yes.shape).astype(float)
            found = population(Responses.of(list(levels), yes * n, n), prior, alarms=0, identical=20).threshold
            assert found.median == pytest.approx(first + 0.5, abs=0.6)
            held += covers(found, first + 0.5)
            runs += 1
    assert held >= 0.9 * runs


def test_a_ladder_of_a_thousand_levels_is_as_fine() -> None:
    levels = np.arange(1.0, 1001)
    for first in (237, 238, 401):
        asked = np.abs(levels - first) < 15
        yes, n = np.tile((levels > first) & asked, (6, 1)).astype(float), np.tile(asked, (6, 1)).astype(float)
        found = population(Responses.of(list(levels), yes, n), Priors.ladder(1000), alarms=0, identical=20).threshold
        assert found.median == pytest.approx(first + 0.5, abs=0.2)
        assert covers(found, first + 0.5)
