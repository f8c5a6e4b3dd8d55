"""Error consistency against closed forms, and what pooling over levels makes of it."""

import math

import numpy as np
import pytest

from limen.curve import Array
from limen.statistics import consistency
from limen.statistics.consistency import consistencies, group


def table(both: int, first: int, second: int, neither: int) -> Array:
    """Two observers at one level: how often both, one alone, and neither were right."""
    pairs = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return np.asarray(np.array(pairs, dtype=float).T[:, :, None])


def test_kappa_is_cohens() -> None:
    """40, 9, 6, 15 of 70: observed 55/70, expected (49 46 + 21 24) / 70^2."""
    (found,) = consistencies(table(40, 9, 6, 15), [(0, 1)])
    expected = (49 * 46 + 21 * 24) / 70**2
    assert found.kappa == pytest.approx((55 / 70 - expected) / (1 - expected))
    assert found.pooled == pytest.approx(found.kappa), "one level: nothing to pool"
    assert (found.references, found.trials, found.levels, found.of) == (70, 70, 1, 1)
    assert found.interval is not None
    assert found.interval.low < found.kappa < found.interval.high


def test_an_observer_agrees_with_itself_and_disagrees_with_its_opposite() -> None:
    right = np.random.default_rng(0).integers(0, 2, (1, 30, 3)).astype(float)
    same = consistencies(np.concatenate([right, right]), [(0, 1)])[0]
    assert (same.kappa, same.pooled) == (1, 1)
    assert same.interval is None, "every resample says 1: nothing to resample"
    opposite = consistencies(np.concatenate([right, 1 - right]), [(0, 1)])[0]
    assert opposite.kappa < -0.8


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_kappa_is_undefined_where_both_are_always_or_never_right(value: float) -> None:
    right = np.full((2, 20, 1), value)
    (found,) = consistencies(right, [(0, 1)])
    assert math.isnan(found.kappa)
    assert math.isnan(found.pooled)
    assert found.interval is None
    assert (found.levels, found.of) == (0, 1)
    mixed = np.concatenate([right, table(5, 5, 5, 5)], axis=2)
    (found,) = consistencies(mixed, [(0, 1)])
    assert found.kappa == pytest.approx(0), "the level that says nothing is left out of the mean"
    assert (found.levels, found.of) == (1, 2)


def test_only_what_both_were_asked_counts_and_few_references_have_no_interval() -> None:
    right = table(3, 1, 1, 2)
    right[0, 5:] = np.nan
    (found,) = consistencies(right, [(0, 1)])
    assert found.references == 5
    right[0, 4:] = np.nan
    (found,) = consistencies(right, [(0, 1)])
    assert found.interval is None


def shared_levels(rng: np.random.Generator, references: int, levels: Array, observers: int = 2) -> Array:
    """Observers who share only the levels' difficulty: independent given the level."""
    return (rng.random((observers, references, len(levels))) < levels).astype(float)


def test_two_who_share_only_the_levels_get_a_third_pooled_and_nothing_within() -> None:
    """What PSYCHOPHYSICS.md has: .32 pooled; 2-AFC, right from chance to always over eight levels."""
    from scipy.special import expit

    levels = 0.5 + 0.5 * expit(np.linspace(-5, 5, 8))
    yes = expit(np.linspace(-2.2, 2.2, 8))
    rng = np.random.default_rng(1)
    for share, pooled in ((levels, _pooled(levels)), (yes, _pooled(yes))):
        (found,) = consistencies(shared_levels(rng, 4000, share), [(0, 1)], resamples=20)
        assert found.kappa == pytest.approx(0, abs=0.02)
        assert found.pooled == pytest.approx(pooled, abs=0.02)
    assert _pooled(yes) == pytest.approx(0.32, abs=0.01)


def _pooled(share: Array) -> float:
    """The closed form: kappa of the levels' variance, var(p) / (mean (1 - mean))."""
    return float(np.var(share) / (share.mean() * (1 - share.mean())))


def test_a_group_is_the_mean_of_its_pairs_and_resamples_their_references_together() -> None:
    rng = np.random.default_rng(2)
    right = shared_levels(rng, 60, np.array([0.3, 0.5, 0.7]), 4)
    pairs = [(0, 1), (0, 2), (1, 2)]
    of, each = group(right, pairs), consistencies(right, pairs)
    assert of is not None
    found = of.mean
    assert of.pairs == 3
    assert found.kappa == pytest.approx(np.mean([one.kappa for one in each]))
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high
    assert group(right, []) is None
    alone = group(right, pairs[:1])
    assert alone is not None
    assert alone.mean.interval is not None
    assert each[0].interval is not None
    assert (alone.mean.interval.low, alone.mean.interval.high) == pytest.approx(
        (each[0].interval.low, each[0].interval.high)
    )
    assert found.trials == sum(one.trials for one in each)


@pytest.mark.slow
def test_the_interval_over_references_covers() -> None:
    """Two observers of true kappa .4 at one level: an item is easy for both, or each by itself."""
    rng, hits = np.random.default_rng(3), 0
    for _ in range(200):
        common = rng.random((1, 60, 2)) < 0.5
        copies = rng.random((1, 60, 2)) < 0.4
        alone = rng.random((2, 60, 2)) < 0.5
        right = np.where(copies, common, alone).astype(float)
        (found,) = consistencies(right, [(0, 1)], resamples=400)
        hits += found.interval is not None and found.interval.low <= 0.4 <= found.interval.high
    assert hits >= 0.9 * 200


def test_the_same_answers_give_the_same_numbers() -> None:
    right = shared_levels(np.random.default_rng(4), 20, np.array([0.4, 0.6]))
    assert consistencies(right, [(0, 1)]) == consistencies(right.copy(), [(0, 1)])
    assert consistency.group(right, [(0, 1)]) == consistency.group(right.copy(), [(0, 1)])
