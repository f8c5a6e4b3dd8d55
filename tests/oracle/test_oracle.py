"""Fits and statistics beside psignifit, questplus, lifelines and statsmodels, where these are installed."""

import importlib
import math
import time
import warnings
from typing import Any

import numpy as np
import pytest

from limen.curve import Array
from limen.statistics.inference import holm
from limen.statistics.likelihood import peak
from limen.statistics.posterior import Placement, Priors, posterior
from limen.statistics.psychometric import Responses, psi
from limen.statistics.survival import unnoticed_share

pytestmark = pytest.mark.oracle

LEVELS = np.arange(2, 51, 4, dtype=float)
DEMO_X = [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 10.0]
DEMO_YES = [45, 50, 44, 44, 52, 53, 62, 64, 76, 79, 88, 90, 90]


def theirs(levels: Any, yes: Any, n: Any, sigmoid: str, kind: str, **fixed: float) -> Any:
    psignifit = importlib.import_module("psignifit")
    data = np.column_stack([levels, yes, n]).astype(float)
    options: dict[str, Any] = {"sigmoid": sigmoid, "experiment_type": kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return psignifit.psignifit(data, fixed_parameters={"eta": 1e-4} | fixed, **options)


def estimate(result: Any) -> tuple[float, float]:
    return result.parameter_estimate["threshold"], result.parameter_estimate["width"]


def test_psignifit_forced_choice() -> None:
    """Its maximum and ours: its priors are nearly flat there."""
    yes, n = DEMO_YES, [90] * 13
    result = theirs(DEMO_X, yes, n, "norm", "2AFC", **{"lambda": 0.01})
    prior = Priors.spanning(DEMO_X, guess=0.5, lapse=0.01)
    best = peak(Responses.of(DEMO_X, yes, n), prior, "normal")
    assert (best.threshold[0], best.width[0]) == pytest.approx(estimate(result), rel=0.002)
    (found,) = posterior(Responses.of(DEMO_X, yes, n), prior, "normal")
    low, high = result.confidence_intervals["threshold"]["0.95"]
    assert (found.threshold.interval.low, found.threshold.interval.high) == pytest.approx((low, high), abs=0.08)


@pytest.mark.parametrize(
    ("ours", "their"), [("logistic", "logistic"), ("normal", "norm"), ("gumbel", "gumbel"), ("rgumbel", "rgumbel")]
)
def test_psignifit_yes_no(ours: str, their: str) -> None:
    rng = np.random.default_rng(1)
    n = np.full(len(LEVELS), 60)
    yes = rng.binomial(n, psi(ours, LEVELS, 24.0, 20.0, 0.08, 0.03))
    begun = time.process_time()
    result = theirs(LEVELS, yes, n, their, "yes/no", **{"lambda": 0.03, "gamma": 0.08})
    spent = time.process_time() - begun
    prior = Priors.spanning(list(LEVELS), guess=0.08, lapse=0.03)
    data = Responses.of(list(LEVELS), yes, n)
    best = peak(data, prior, ours)
    begun = time.process_time()
    (found,) = posterior(data, prior, ours)
    print(f"{ours}: psignifit {estimate(result)} in {spent:.1f} s, ours {best.threshold[0], best.width[0]}, "
          f"posterior {found.threshold} in {time.process_time() - begun:.3f} s")  # fmt: skip
    assert (best.threshold[0], best.width[0]) == pytest.approx(estimate(result), rel=0.01)
    low, high = result.confidence_intervals["threshold"]["0.95"]
    assert (found.threshold.interval.low, found.threshold.interval.high) == pytest.approx((low, high), abs=0.3)


def test_psignifit_with_free_rates() -> None:
    rng = np.random.default_rng(2)
    n = np.full(len(LEVELS), 60)
    yes = rng.binomial(n, psi("logistic", LEVELS, 24.0, 16.0, 0.1, 0.05))
    begun = time.process_time()
    result = theirs(LEVELS, yes, n, "logistic", "yes/no")
    spent = time.process_time() - begun
    (found,) = posterior(Responses.of(list(LEVELS), yes, n), Priors.spanning(list(LEVELS)))
    mean = result.parameter_estimate_mean
    low, high = result.confidence_intervals["threshold"]["0.95"]
    print(f"free rates: psignifit {mean}, [{low:.2f}, {high:.2f}] in {spent:.1f} s; ours {found}")
    assert found.threshold.mean == pytest.approx(mean["threshold"], abs=0.5)
    assert found.width.mean == pytest.approx(mean["width"], rel=0.15)
    assert found.guess.mean == pytest.approx(mean["gamma"], abs=0.02)
    assert found.lapse.mean == pytest.approx(mean["lambda"], abs=0.02)
    assert (found.threshold.interval.low, found.threshold.interval.high) == pytest.approx((low, high), abs=1.0)


def test_all_no_is_where_we_differ() -> None:
    yes, n = np.zeros(len(LEVELS)), np.full(len(LEVELS), 20)
    result = theirs(LEVELS, yes, n, "logistic", "yes/no")
    (found,) = posterior(Responses.of(list(LEVELS), yes, n), Priors.ladder(50))
    print(f"all no: psignifit {result.parameter_estimate} {result.confidence_intervals['threshold']}; ours {found}")
    assert found.side is Placement.ABOVE
    assert found.threshold.interval.high == math.inf


def test_questplus_posterior() -> None:
    """The same answers into questplus' grid: the same posterior mean and sd of the threshold, width and rates fixed."""
    questplus = importlib.import_module("questplus")
    rng = np.random.default_rng(3)
    sd, guess, lapse = 4.0, 0.05, 0.02
    thresholds = np.arange(0.125, 100, 0.25)
    plus = questplus.QuestPlus(
        stim_domain={"intensity": np.arange(1.0, 51.0)},
        param_domain={"mean": thresholds, "sd": [sd], "lower_asymptote": [guess], "lapse_rate": [lapse]},
        outcome_domain={"response": ["Yes", "No"]}, func="norm_cdf", stim_scale="linear",
    )  # fmt: skip
    width = sd * 2 * 1.6448536269514722
    yes, n = np.zeros(50), np.zeros(50)
    for _ in range(40):
        level = int(plus.next_stim["intensity"])
        said = bool(rng.random() < psi("normal", level, 23.0, width, guess, lapse))
        plus.update(stim={"intensity": level}, outcome={"response": "Yes" if said else "No"})
        n[level - 1] += 1
        yes[level - 1] += said
    mass = np.asarray(plus.posterior).ravel()
    mean = float(mass @ thresholds)
    total = np.cumsum(mass)
    low, high = np.interp([0.025, 0.975], total, thresholds + 0.125)
    prior = Priors((0.0, 100.0), (width * 0.9999, width * 1.0001), guess, lapse, 1, 50)
    (found,) = posterior(Responses.of(list(range(1, 51)), yes, n), prior, "normal")
    print(f"questplus {mean:.3f} [{low:.2f}, {high:.2f}]; ours {found.threshold}")
    assert found.threshold.mean == pytest.approx(mean, abs=0.02)
    assert (found.threshold.interval.low, found.threshold.interval.high) == pytest.approx((low, high), abs=0.1)


def test_questplus_functions() -> None:
    function = importlib.import_module("questplus.psychometric_function")
    beta = 3.0
    x = np.arange(1.0, 51.0)
    p = function.weibull(intensity=x, threshold=20.0, slope=beta, lower_asymptote=0.1, lapse_rate=0.05, scale="linear")
    half = 20.0 * math.log(2) ** (1 / beta)
    edges: Array = 20.0 * (-np.log(1 - np.array([0.05, 0.95]))) ** (1 / beta)
    mine = psi("weibull", x, half, edges[1] - edges[0], 0.1, 0.05)
    assert mine == pytest.approx(np.asarray(p).ravel(), abs=1e-5)


def test_lifelines_kaplan_meier() -> None:
    lifelines = importlib.import_module("lifelines")
    rng = np.random.default_rng(4)
    own, end = rng.integers(1, 60, 80), rng.integers(20, 51, 80)
    levels, reached = np.minimum(own, end), own <= end
    found = unnoticed_share(list(levels), list(reached), 50)
    fitted = lifelines.KaplanMeierFitter().fit(levels, reached, timeline=range(51))
    assert found.share == pytest.approx(fitted.survival_function_.to_numpy().ravel())
    bounds = fitted.confidence_interval_.to_numpy()
    inside = ~np.isnan(found.low) & (np.array(found.share) < 1) & (np.array(found.share) > 0)
    assert np.array(found.low)[inside] == pytest.approx(bounds[inside, 0], abs=1e-6)
    assert np.array(found.high)[inside] == pytest.approx(bounds[inside, 1], abs=1e-6)


def test_statsmodels_holm() -> None:
    multitest = importlib.import_module("statsmodels.stats.multitest")
    p = list(np.random.default_rng(5).uniform(0, 0.2, 12))
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])
