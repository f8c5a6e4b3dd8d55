"""Error consistency: whether two observers are right on the same trials more than how often they are right explains.

Geirhos, Meding & Wichmann 2020 (NeurIPS 33, arXiv:2006.16736): Cohen's (1960) kappa of being right. What differs:
within each level, then averaged over levels. Trials of many levels pooled agree because strong levels are easy for
everybody: two observers who share nothing else get .32 in a usual design (a test shows it). The pooled number stands
beside.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limen import digest
from limen.curve import FEWEST_CLUSTERS, Array, Interval


@dataclass(frozen=True, slots=True)
class Consistency:
    """Error consistency of two observers, or of a group of pairs.

    Attributes:
        kappa: within levels, averaged over those where it is defined; NaN where it is at none.
        interval: 95 % over references, percentiles; None below five, where there is no kappa, or where all are alike.
        pooled, pooled_interval: the same of all levels put together.
        references: that both have.
        trials: pairs of one reference and one level that both have.
        levels: at how many kappa is defined, of how many that both have.
        of: how many.
    """

    kappa: float
    interval: Interval | None
    pooled: float
    pooled_interval: Interval | None
    references: int
    trials: int
    levels: int
    of: int


def consistencies(right: Array, pairs: Sequence[tuple[int, int]], resamples: int = 1000) -> list[Consistency]:
    """Return the error consistency of pairs of observers.

    Args:
        right: (N, R, K), 1 where an observer was right about a reference at a level, 0 where not, NaN where it was not
            asked, or could not be read.
        pairs: which observers.
        resamples: of references.
    """
    times = _times(right.shape[1], resamples)
    return [_row(right[i], right[j], [_kappas(right[i], right[j], times)]) for i, j in pairs]


def group(right: Array, pairs: Sequence[tuple[int, int]], resamples: int = 1000) -> Consistency | None:
    """Return the mean error consistency of a group of pairs; its interval draws the references of all pairs together.

    None where there is no pair.

    Args:
        right: as for `consistencies`.
        pairs: which observers.
        resamples: of references.
    """
    if not pairs:
        return None
    times = _times(right.shape[1], resamples)
    each = [_row(right[i], right[j], []) for i, j in pairs]
    drawn = [_kappas(right[i], right[j], times) for i, j in pairs]
    within, pooled = (_mean([getattr(one, name) for one in each]) for name in ("kappa", "pooled"))
    enough = max(one.references for one in each) >= FEWEST_CLUSTERS
    return Consistency(
        within, _interval(np.array([one[0] for one in drawn]), within, enough),
        pooled, _interval(np.array([one[1] for one in drawn]), pooled, enough),
        max(one.references for one in each), sum(one.trials for one in each),
        max(one.levels for one in each), max(one.of for one in each),
    )  # fmt: skip


def _times(references: int, resamples: int) -> Array:
    rng = digest.generator("consistency", references)
    return rng.multinomial(references, [1 / max(references, 1)] * references, resamples).astype(np.float64)


def _row(first: Array, second: Array, drawn: Sequence[tuple[Array, Array]]) -> Consistency:
    both = ~np.isnan(first) & ~np.isnan(second)
    references = int(both.any(axis=1).sum())
    whole = np.ones((1, len(first)))
    levels = _within(first, second, whole)[0]
    kappa, pooled = (float(value[0]) for value in _kappas(first, second, whole))
    intervals = [
        _interval(np.array([one[place] for one in drawn]), value, references >= FEWEST_CLUSTERS) if drawn else None
        for place, value in enumerate((kappa, pooled))
    ]
    return Consistency(
        kappa, intervals[0], pooled, intervals[1], references, int(both.sum()),
        int((~np.isnan(levels)).sum()), int(both.any(axis=0).sum()),
    )  # fmt: skip


def _kappas(first: Array, second: Array, times: Array) -> tuple[Array, Array]:
    """Return kappa within levels and pooled, (B,) each, of references counted so many times, (B, R)."""
    within = _within(first, second, times)
    defined = ~np.isnan(within)
    n = defined.sum(axis=1)
    mean = np.where(n > 0, np.where(defined, within, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)
    return mean, _cohen(*(count.sum(axis=1) for count in _counts(first, second, times)))


def _within(first: Array, second: Array, times: Array) -> Array:
    return _cohen(*_counts(first, second, times))


def _counts(first: Array, second: Array, times: Array) -> tuple[Array, Array, Array, Array]:
    both = ~np.isnan(first) & ~np.isnan(second)
    sides = (both, both & (first > 0.5), both & (second > 0.5), both & (first == second))
    n, x, y, same = (times @ side.astype(np.float64) for side in sides)
    return n, x, y, same


def _cohen(n: Array, x: Array, y: Array, same: Array) -> Array:
    """Return kappa; NaN without trials, and where both are always right, or both never."""
    of = np.where(n > 0, n, np.nan)
    expected = (x * y + (n - x) * (n - y)) / of**2
    open_ = 1.0 - expected
    return np.asarray(np.where(open_ > 1e-12, (same / of - expected) / np.where(open_ > 1e-12, open_, 1.0), np.nan))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _interval(drawn: Array, value: float, enough: bool) -> Interval | None:
    """Return percentiles of the mean over pairs, (pairs, B); None where there is nothing to say."""
    if not enough or math.isnan(value):
        return None
    defined = ~np.isnan(drawn)
    n = defined.sum(axis=0)
    each = (np.where(defined, drawn, 0.0).sum(axis=0) / np.maximum(n, 1))[n > 0]
    if not len(each) or np.ptp(each) == 0:
        return None
    low, high = np.quantile(each, (0.025, 0.975))
    return Interval(float(low), float(high))
