"""d' by task: published values, the integrals beside SciPy's, and simulated observers of known d'."""

import doctest
import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from limen.curve import Interval, Share
from limen.errors import InputError, UnknownNameError
from limen.statistics import detection as detection_module
from limen.statistics import place_bias as place_bias_module
from limen.statistics.detection import (
    afc,
    choosing,
    criterion,
    detection,
    dprime_afc,
    dprime_differencing,
    dprime_independent,
    dprime_odd_one_out,
    dprime_yes_no,
    odd_one_out,
)
from limen.statistics.place_bias import place_bias

RUNS = 200
LEAST = 0.90  # of the runs whose 95 % interval holds the truth


def covered(intervals: list[Interval], truth: float) -> float:
    return sum(one.low <= truth <= one.high for one in intervals) / len(intervals)


@pytest.mark.parametrize(("module", "examples"), [(detection_module, 9), (place_bias_module, 3)])
def test_the_examples_run(module: ModuleType, examples: int) -> None:
    found = doctest.testmod(module)
    assert (found.attempted >= examples, found.failed) == (True, 0)


# --- yes/no and same/different ---


def test_the_two_d_primes_of_a_careful_paper() -> None:
    assert dprime_yes_no(0.75, 0.30) == pytest.approx(1.20, abs=0.005)
    assert dprime_differencing(0.75, 0.30) == pytest.approx(2.41, abs=0.005)
    assert criterion(0.75, 0.30) == pytest.approx(-0.075, abs=0.001)


def test_differencing_is_its_own_model() -> None:
    """Hits and false alarms of a simulated differencing observer of d' = 2 give 2 back."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (2, 400_000))
    for k in (0.8, 1.5, 2.5):
        alarm, hit = (float(np.mean(np.abs(noise[0] - noise[1] + d) > k)) for d in (0, 2))
        assert dprime_differencing(hit, alarm) == pytest.approx(2.0, abs=0.03)
    assert dprime_differencing(0.2, 0.3) == 0.0


def test_independent_observation_is_its_own_model() -> None:
    """An observer that puts each percept into one of two classes gives its d' back, and differencing another one."""
    noise = np.random.default_rng(2).normal(0, 1, (2, 400_000))
    one, same, other = (percept > 0 for percept in (noise[0] + 1, noise[1] + 1, noise[1] - 1))  # d' = 2
    hit, alarm = float(np.mean(one != other)), float(np.mean(one != same))
    assert dprime_independent(hit, alarm) == pytest.approx(2.0, abs=0.02)
    assert dprime_differencing(hit, alarm) > 2.3
    assert dprime_independent(0.2, 0.3) == 0.0


def test_the_log_linear_correction_keeps_perfect_observers_finite() -> None:
    found = detection(Share(20, 20), Share(0, 20))
    assert found.d_yes_no == pytest.approx(2 * 1.98, abs=0.01)  # z of 20.5 / 21
    assert found.criterion == pytest.approx(0.0, abs=1e-9)
    assert math.isfinite(found.d_independent)
    assert found.interval_independent.high == math.inf
    many = detection(Share(7500, 10000), Share(3000, 10000))
    assert (many.d_yes_no, many.d_differencing, many.d_independent) == pytest.approx((1.199, 2.406, 1.956), abs=0.002)
    with pytest.raises(InputError, match="identical pairs"):
        detection(Share(3, 4), Share(0, 0))
    for dprime in (dprime_yes_no, dprime_differencing, dprime_independent):
        with pytest.raises(InputError, match="has no z"):
            dprime(1.0, 0.1)


@pytest.mark.parametrize(("true", "at", "n"), [(1.0, 0.5, (100, 25)), (2.0, 0.8, (40, 120)), (0.0, -0.5, (60, 60))])
def test_yes_no_recovers(true: float, at: float, n: tuple[int, int]) -> None:
    """Counts of unequal n: d' and c lie in their intervals."""
    rng = np.random.default_rng(3)
    hits = (rng.normal(true, 1, (RUNS, n[0])) > at).sum(axis=1)
    alarms = (rng.normal(0, 1, (RUNS, n[1])) > at).sum(axis=1)
    found = [detection(Share(int(h), n[0]), Share(int(f), n[1])) for h, f in zip(hits, alarms, strict=True)]
    assert covered([one.interval for one in found], true) >= LEAST
    assert covered([one.interval_criterion for one in found], at - true / 2) >= LEAST
    assert np.median([one.d_yes_no for one in found]) == pytest.approx(true, abs=0.1)


def test_the_interval_is_as_wide_as_the_variance_says() -> None:
    """Gourevitch & Galanter (1967, Psychometrika 32:25): var d' = H (1 - H) / (n phi(z(H))^2) and the same of F."""
    h, f, n = 0.8, 0.3, (4000, 1000)
    found = detection(Share(int(h * n[0]), n[0]), Share(int(f * n[1]), n[1]))
    variance = sum(rate * (1 - rate) / (of * norm.pdf(norm.ppf(rate)) ** 2) for rate, of in ((h, n[0]), (f, n[1])))
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.01)


@pytest.mark.parametrize("true", [1.0, 2.0])
def test_same_different_recovers(true: float) -> None:
    rng = np.random.default_rng(4)
    different, same = (rng.normal(0, 1, (2, RUNS, 150)) for _ in range(2))
    apart = (np.abs(different[0] + true - different[1]) > 1.5).sum(axis=1)
    alike = (np.abs(same[0] - same[1]) > 1.5).sum(axis=1)
    found = [detection(Share(int(h), 150), Share(int(f), 150)) for h, f in zip(apart, alike, strict=True)]
    assert covered([one.interval_differencing for one in found], true) >= LEAST
    classes = [(different[0] > -true / 2) != (different[1] > true / 2), (same[0] > true / 2) != (same[1] > true / 2)]
    counts = zip(*(one.sum(axis=1).tolist() for one in classes), strict=True)
    found = [detection(Share(h, 150), Share(f, 150)) for h, f in counts]
    assert covered([one.interval_independent for one in found], true) >= LEAST


# --- forced choice ---


def test_forced_choice_of_two() -> None:
    # Macmillan & Creelman (2005), table A5.7: PC .76 is d' 1.00 in 2AFC, .92 is 1.99.
    assert dprime_afc(0.76) == pytest.approx(1.00, abs=0.005)
    assert dprime_afc(0.92) == pytest.approx(1.99, abs=0.005)
    assert dprime_afc(0.5) == pytest.approx(0.0, abs=1e-12)
    assert afc(1.3, 2) == pytest.approx(norm.cdf(1.3 / math.sqrt(2)), abs=1e-12)


def test_forced_choice_of_m_as_published() -> None:
    """Share right at d' = 1 (Macmillan & Creelman 2005, table A5.7, to three places)."""
    assert [round(afc(1.0, m), 3) for m in (2, 3, 4, 9)] == [0.760, 0.634, 0.552, 0.361]


@pytest.mark.parametrize("m", [2, 3, 4, 9, 26])
def test_forced_choice_is_the_integral(m: int) -> None:
    for d in (-2.0, 0.0, 1.0, 3.0, 6.0):
        integral, _ = quad(lambda x, d=d: norm.pdf(x - d) * norm.cdf(x) ** (m - 1), d - 9, d + 9, epsabs=1e-12)
        assert afc(d, m) == pytest.approx(integral, abs=1e-10)
    assert afc(0.0, m) == pytest.approx(1 / m, abs=1e-12)


def test_the_odd_one_out_as_published() -> None:
    """Frijters (1979) and Craven (1992), of 3, 4 and 9 at d' = 1; .60 of 4 is d' = 2.0."""
    assert [odd_one_out(1.0, m) for m in (3, 4, 9)] == pytest.approx([0.4185, 0.360, 0.233], abs=0.0007)
    assert dprime_odd_one_out(0.60, 4) == pytest.approx(2.0, abs=0.005)


def test_the_triad_is_frijters_integral() -> None:
    def closest(z: float, near: float) -> float:
        far = math.sqrt(3) * z
        return (norm.cdf(near - far) + norm.cdf(-near - far)) * norm.pdf(z)

    for d in (0.0, 0.5, 1.0, 2.0, 4.0):
        integral, _ = quad(closest, 0, 12, (math.sqrt(2 / 3) * d,))
        assert odd_one_out(d, 3) == pytest.approx(2 * integral, abs=1e-6)


@pytest.mark.parametrize("m", [3, 4, 9])
def test_the_odd_one_out_is_the_farthest_from_the_others(m: int) -> None:
    percepts = np.random.default_rng(m).normal(0, 1, (200_000, m))
    percepts[:, 0] += 1.5
    others = (percepts.sum(axis=1, keepdims=True) - percepts) / (m - 1)
    right = float(np.mean(np.abs(percepts - others).argmax(axis=1) == 0))
    assert odd_one_out(1.5, m) == pytest.approx(right, abs=4 * math.sqrt(right * (1 - right) / 200_000))
    assert odd_one_out(0.0, m) == pytest.approx(1 / m, abs=1e-6)


@given(st.floats(0.05, 5.0), st.sampled_from([2, 3, 4, 9]))
def test_the_inverses_are_inverses(d: float, m: int) -> None:
    assert dprime_afc(afc(d, m), m) == pytest.approx(d, abs=1e-5)
    if m > 2:
        assert dprime_odd_one_out(odd_one_out(d, m), m) == pytest.approx(d, abs=1e-5)


@pytest.mark.parametrize("task", ["afc", "odd-one-out"])
@pytest.mark.parametrize(("m", "true"), [(3, 1.0), (4, 2.0), (9, 1.5)])
def test_a_choice_recovers(task: str, m: int, true: float) -> None:
    percepts = np.random.default_rng(m).normal(0, 1, (RUNS, 150, m))
    percepts[..., 0] += true
    if task == "odd-one-out":
        percepts = np.abs(percepts - percepts.mean(axis=-1, keepdims=True))
    right = (percepts.argmax(axis=-1) == 0).sum(axis=1).tolist()
    by_count = {k: choosing(Share(k, 150), m=m, task=task) for k in set(right)}
    found = [by_count[k] for k in right]
    assert covered([one.interval for one in found], true) >= LEAST
    assert np.median([one.d for one in found]) == pytest.approx(true, abs=0.12)


def test_a_choice_at_its_bounds() -> None:
    perfect, none = choosing(Share(20, 20), m=4), choosing(Share(0, 20), m=4)
    assert (perfect.interval.high, perfect.told) == (math.inf, True)
    assert (none.interval.low, none.told) == (-math.inf, True)
    assert none.d < 0 < perfect.d < perfect.interval.high
    chance = choosing(Share(20, 60), m=3, task="odd-one-out")
    assert (chance.d, chance.interval.low, chance.told) == (pytest.approx(0.0, abs=1e-3), 0.0, False)
    assert choosing(Share(30, 60), depend=4.0, m=3).interval.low < choosing(Share(30, 60), m=3).interval.low


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="odd-one-out"):
        choosing(Share(1, 2), m=3, task="odd-one")
    with pytest.raises(InputError, match="needs choices"):
        choosing(Share(0, 0), m=3)
    with pytest.raises(InputError, match="2 or more alternatives, not 1"):
        afc(1.0, 1)
    with pytest.raises(InputError, match="3 to 9 alternatives, not 2"):
        odd_one_out(1.0, 2)
    with pytest.raises(InputError, match="d' from 0, not -1"):
        odd_one_out(-1.0, 3)
    for dprime in (dprime_afc, dprime_odd_one_out):
        with pytest.raises(InputError, match="has no z"):
            dprime(1.0, 3)


# --- a habit of places ---


def picked(d: float, bias: tuple[float, ...], n: int, rng: np.random.Generator) -> list[list[int]]:
    """Return the picks of an observer: n of each place shown."""
    m = len(bias)
    percepts = rng.normal(0, 1, (m, n, m)) + np.array(bias) + d * np.eye(m)[:, None, :]
    return [np.bincount(row, minlength=m).tolist() for row in percepts.argmax(axis=-1)]


@pytest.mark.parametrize("bias", [(1.0, 0.0, -0.5), (0.7, -0.7), (0.0, 1.5, 0.0, 0.0)])
def test_a_biased_observer_recovers_and_uncorrected_does_not(bias: tuple[float, ...]) -> None:
    rng, true = np.random.default_rng(11), 1.5
    found = [place_bias(picked(true, bias, 400 // len(bias), rng)) for _ in range(60)]
    assert covered([one.interval for one in found], true) >= LEAST
    assert np.median([one.d for one in found]) == pytest.approx(true, abs=0.08)
    assert np.median([one.d_uncorrected for one in found]) < true - 0.15
    centred = np.array(bias) - np.mean(bias)
    assert np.median([one.bias for one in found], axis=0) == pytest.approx(centred, abs=0.15)


@pytest.mark.parametrize(
    ("true", "bias"), [(1.0, (0.8, 0.0, -0.4)), (2.0, (0.8, 0.0, -0.4)), (2.0, (0.0, 1.0, 0.0, 0.0))]
)
def test_a_biased_odd_one_out_recovers_nearly_and_uncorrected_does_not(true: float, bias: tuple[float, ...]) -> None:
    m = len(bias)
    percepts = np.random.default_rng(9).normal(0, 1, (m, 20_000, m)) + true * np.eye(m)[:, None, :]
    others = (percepts.sum(axis=-1, keepdims=True) - percepts) / (m - 1)
    picks = (np.abs(percepts - others) + np.array(bias)).argmax(axis=-1)
    found = place_bias([np.bincount(row, minlength=m).tolist() for row in picks], "odd-one-out")
    assert found.d == pytest.approx(true, abs=0.14)
    assert found.d_uncorrected < true - 0.18
    assert found.interval.low < found.d < found.interval.high


def test_without_a_bias_nothing_is_corrected_in_the_odd_one_out() -> None:
    found = place_bias([[60, 20, 20], [20, 60, 20], [20, 20, 60]], "odd-one-out")
    assert found.d == pytest.approx(found.d_uncorrected, abs=0.01)
    with pytest.raises(UnknownNameError, match="odd-one-out"):
        place_bias([[6, 2], [2, 6]], "odd")


def test_without_a_bias_nothing_is_corrected() -> None:
    found = place_bias([[60, 20, 20], [20, 60, 20], [20, 20, 60]])
    assert found.d == pytest.approx(found.d_uncorrected, abs=1e-4)
    assert found.bias == pytest.approx((0, 0, 0), abs=1e-4)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (found.interval_uncorrected.low, found.interval_uncorrected.high), abs=0.03
    )


def test_two_places_are_yes_no() -> None:
    """With two places the model is yes/no: d' = (z(H) - z(F)) / sqrt 2 (Macmillan & Creelman 2005, ch. 7)."""
    found = place_bias([[7000, 3000], [4000, 6000]])
    assert found.d == pytest.approx(dprime_yes_no(0.7, 0.4) / math.sqrt(2), abs=1e-3)


def test_one_place_for_nearly_all_is_not_measurable() -> None:
    verdicts = [place_bias([[50, 0], [50 - k, k]]).verdict for k in (0, 19, 20, 50)]
    assert verdicts == ["not measurable: place bias"] * 2 + ["", ""]
    always = place_bias([[50, 0, 0]] * 3)
    assert [share.value for share in always.picks] == [1, 0, 0]
    assert always.interval.low < 0 < always.interval.high
    assert place_bias([[50, 0], [0, 50]]).interval.high == math.inf


def test_unbalanced_places() -> None:
    """The place favoured was right more often: uncorrected d' is too high, corrected right."""
    rng = np.random.default_rng(8)
    one, two = picked(1.0, (0.8, -0.8), 20_000, rng)
    found = place_bias([one, [k // 20 for k in two]])
    assert found.d == pytest.approx(1.0, abs=0.05)
    assert found.d_uncorrected > 1.3


@pytest.mark.parametrize("picks", [[], [[1]], [[1, 2]], [[1, 2], [3]], [[0, 0], [0, 0]], [[1, -1], [1, 1]]])
def test_picks_that_are_none_are_refused(picks: list[list[int]]) -> None:
    with pytest.raises(InputError, match="Picks are counts"):
        place_bias(picks)
