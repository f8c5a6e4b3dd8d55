"""Agreement, planning, survival and paired comparisons, against published values and scipy."""

import math

import numpy as np
import pytest

from limen.errors import InputError, UnknownNameError
from limen.statistics.inference import (
    correlate,
    holm,
    power,
    references_needed,
    window_needed,
)
from limen.statistics.survival import compare, prentice_wilcoxon, satisfied_user_ratio, unnoticed_share

# --- agreement ---


def test_correlations_are_those_of_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(2)
    x = list(rng.normal(20, 6, 60))
    y = [min(50.0, v + e) for v, e in zip(x, rng.normal(0, 6, 60), strict=True)]
    rank, straight = correlate(x, y), correlate(x, y, "pearson")
    assert rank.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert straight.value == pytest.approx(stats.pearsonr(x, y).statistic)
    theirs = stats.pearsonr(x, y).confidence_interval()
    assert straight.interval is not None
    assert (straight.interval.low, straight.interval.high) == pytest.approx((theirs.low, theirs.high), abs=0.08)
    assert correlate(x, y) == rank


def test_correlations_that_cannot_be_told() -> None:
    assert math.isnan(correlate([1, 2, 3], [5, 5, 5]).value)
    assert correlate([1, 2, 3], [1, 2, 4]).interval is None
    with pytest.raises(UnknownNameError, match="spearman"):
        correlate([1, 2], [1, 2], "spaerman")
    with pytest.raises(InputError, match="pairs"):
        correlate([1], [1])


def test_correlation_intervals_cover() -> None:
    covered = 0
    for i in range(100):
        rng = np.random.default_rng(100 + i)
        x = rng.normal(size=40)
        y = 0.6 * x + 0.8 * rng.normal(size=40)
        interval = correlate(list(x), list(y), "pearson").interval
        assert interval is not None
        covered += interval.low <= 0.6 <= interval.high
    assert covered >= 90


def test_holm_against_r() -> None:
    # R: p.adjust(c(.01, .04, .03, .005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    adjusted = holm([0.02, math.nan, 0.01])
    assert adjusted[0] == pytest.approx(0.02)
    assert adjusted[2] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert holm([]) == ()


# --- planning ---


@pytest.mark.parametrize(("alarm", "window"), [(0.0, 1), (0.02, 2), (0.10, 3), (0.30, 5)])
def test_the_window_that_false_alarms_take(alarm: float, window: int) -> None:
    assert window_needed(22, alarm) == window


def test_the_window_is_long_enough_for_a_blind_observer() -> None:
    """Simulated: with g .3 and the window said, false JNDs below level 22 are rarer than 1 in 20; one shorter, not."""
    rng = np.random.default_rng(3)
    blind = rng.random((20_000, 22)) < 0.3
    runs = {w: np.lib.stride_tricks.sliding_window_view(blind, w, axis=1).all(axis=-1).any(axis=1) for w in (4, 5)}
    assert runs[5].mean() <= 0.05 < runs[4].mean()
    with pytest.raises(InputError, match="rate from 0 to 1"):
        window_needed(22, 1.2)


def test_how_many_references() -> None:
    assert references_needed(8, 1) == 246
    assert references_needed(8, 2) == 62  # 61.5: 61 give +-2.01
    assert references_needed(0, 1) == 2
    with pytest.raises(InputError, match="above 0"):
        references_needed(8, 0)


def test_power_from_a_pilot_keeps_its_promise() -> None:
    pilot = power(list(np.random.default_rng(4).normal(25, 8, 400)), 2.0, 50.0)
    assert pilot.for_mean is not None
    assert pilot.for_median is not None
    assert pilot.for_mean == pytest.approx(62, rel=0.2)
    assert pilot.for_median == pytest.approx(62 * math.pi / 2, rel=0.35)
    rng = np.random.default_rng(5)
    means = rng.normal(25, 8, (4000, pilot.for_mean)).mean(axis=1)
    assert np.mean(np.abs(means - 25) <= 2.0) == pytest.approx(0.95, abs=0.03)


def test_power_for_a_median_looks_past_the_censored() -> None:
    """A quarter of the pilot lies beyond the ladder: the median takes as many references as if none did."""
    pilot = np.random.default_rng(4).normal(25, 8, 2000)
    whole = power(pilot.tolist(), 2.0, 100.0).for_median
    cut = power(np.where(pilot > 31, math.inf, pilot).tolist(), 2.0, 31.0).for_median
    assert cut == pytest.approx(whole, rel=0.2)


def test_power_claims_nothing_from_few_or_censored() -> None:
    assert power([20.0, 30.0], 1, 50).for_mean is None
    assert math.isnan(power([20.0], 1, 50).sd)
    censored = power([20.0, 30.0, 25.0, math.inf, math.inf, math.inf, math.inf], 1, 50)
    assert censored.for_median is None
    assert censored.for_mean is not None


# --- survival ---

# Freireich et al. (1963), 6-MP arm, weeks; the estimates are those of every textbook (Kleinbaum & Klein, table 2.2).
WEEKS = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
RELAPSED = [True] * 9 + [False] * 12
TEXTBOOK = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}


def test_kaplan_meier_against_the_textbook() -> None:
    found = unnoticed_share(WEEKS, RELAPSED, 35)
    for week, share in TEXTBOOK.items():
        assert found.share[week] == pytest.approx(share, abs=5e-5)
    assert found.share[5] == 1.0
    assert found.point(0.75) == 12
    assert found.point(0.4) is None
    # R: survfit(..., conf.type = "log-log") at 10: .7529 [.503, .889]
    assert (found.low[10], found.high[10]) == pytest.approx((0.503, 0.889), abs=0.001)


def test_with_one_common_end_it_is_one_minus_the_ecdf() -> None:
    levels = [3, 5, 5, 20, 50, 50]
    found = unnoticed_share(levels, [True] * 4 + [False] * 2, 50)
    assert found.share[:6] == pytest.approx((1, 1, 1, 5 / 6, 5 / 6, 3 / 6))
    assert found.share[50] == pytest.approx(2 / 6)
    assert found == satisfied_user_ratio(levels, [True] * 4 + [False] * 2, 50)
    assert unnoticed_share([50, 50], [False, False], 50).share[50] == 1.0
    assert unnoticed_share([2, 2], [True, True], 50).share[2] == 0.0
    with pytest.raises(InputError, match="one at least"):
        unnoticed_share([], [], 50)


# --- pairs ---


def pairs(rng: np.random.Generator, n: int, shift: float) -> tuple[list[float], list[bool], list[float], list[bool]]:
    own = rng.normal(38, 10, n)
    a, b = np.rint(own + rng.normal(0, 5, n)), np.rint(own + shift + rng.normal(0, 5, n))
    return list(np.minimum(a, 50)), list(a <= 50), list(np.minimum(b, 50)), list(b <= 50)


def test_prentice_wilcoxon_holds_its_level_and_sees_a_shift() -> None:
    wrong = seen = 0
    for i in range(600):
        rng = np.random.default_rng(10_000 + i)
        wrong += prentice_wilcoxon(*pairs(rng, 25, 0.0))[1] < 0.05
        seen += prentice_wilcoxon(*pairs(rng, 25, 5.0))[1] < 0.05
    assert wrong / 600 == pytest.approx(0.05, abs=0.025)
    assert seen / 600 > 0.8


def test_uncensored_it_is_the_test_of_pooled_midranks() -> None:
    from scipy.stats import rankdata

    rng = np.random.default_rng(6)
    a, b = rng.integers(1, 30, 20).astype(float), rng.integers(5, 34, 20).astype(float)
    ranks = rankdata(np.concatenate((a, b)))
    d = ranks[:20] - ranks[20:]
    z, _ = prentice_wilcoxon(list(a), [True] * 20, list(b), [True] * 20)
    assert z == pytest.approx(d.sum() / math.sqrt((d**2).sum()))
    assert prentice_wilcoxon(list(b), [True] * 20, list(a), [True] * 20)[0] == pytest.approx(-z)


def test_prentice_wilcoxon_by_hand() -> None:
    """Levels 10, 20, >50 against 15, >50, >50: S is 5/6, 4/6, 3/6 after 10, 15, 20."""
    z, p = prentice_wilcoxon([10, 20, 50], [True, True, False], [15, 50, 50], [True, False, False])
    d = np.array([(1 - 1 - 5 / 6) - (1 - 5 / 6 - 4 / 6), (1 - 4 / 6 - 3 / 6) - (1 - 3 / 6)])
    assert z == pytest.approx(d.sum() / math.sqrt((d**2).sum()))
    assert p == pytest.approx(0.5)  # both differences have one sign: 2 of 4 flips are as far out


def test_comparison_counts_ties_where_both_are_censored() -> None:
    found = compare([50, 50, 30, 20, 50], [False, False, True, True, False], [50, 40, 30, 25, 49], [False] + [True] * 4)
    assert found.ties == 2  # both beyond L; both 30
    assert found.wins == pytest.approx((0.5 + 1 + 0.5 + 0 + 1) / 5)
    assert found.interval is not None
    every = compare([50] * 6, [False] * 6, [50] * 6, [False] * 6)
    assert every.wins == 0.5
    assert math.isnan(every.p)
    # a series that ended at 30 without a JND is not known to lie below one of 40
    assert compare([30], [False], [40], [True]).ties == 1
    with pytest.raises(InputError, match="do not pair up"):
        compare([1, 2], [True, True], [1], [True])


def test_win_probability_covers() -> None:
    covered = 0
    rng = np.random.default_rng(7)
    a, seen_a, b, seen_b = pairs(rng, 200_000, 3.0)

    higher = (np.array(a) > np.array(b)) | (~np.array(seen_a) & np.array(seen_b))
    lower = (np.array(b) > np.array(a)) | (~np.array(seen_b) & np.array(seen_a))
    truth = float(np.mean((1.0 + higher - lower) / 2))
    for i in range(200):
        interval = compare(*pairs(np.random.default_rng(20_000 + i), 30, 3.0)).interval
        assert interval is not None
        covered += interval.low <= truth <= interval.high
    assert covered >= 180
