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

_AT_ONCE = 64  # pairs whose resamples are counted in one product


@dataclass(frozen=True, slots=True)
class Consistency:
    """Error consistency of two observers, or the mean over pairs of them.

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
    return [_row(right[i], right[j], times) for i, j in pairs]


@dataclass(frozen=True, slots=True)
class Group:
    """Error consistency of a group of pairs.

    Attributes:
        pairs: how many have a kappa that is defined.
        mean: of them.
    """

    pairs: int
    mean: Consistency


def group(right: Array, pairs: Sequence[tuple[int, int]], resamples: int = 1000) -> Group | None:
    """Return the mean error consistency of a group of pairs; its interval draws the references of all pairs together.

    None where there is no pair. Time goes with pairs and resamples: 1,000 of 80 observers' 3,160 pairs, on 40
    references at 10 levels, take 6 s, and 400 of 200 observers' 19,900 pairs 17 s.

    Args:
        right: as for `consistencies`.
        pairs: which observers.
        resamples: of references.
    """
    if not pairs:
        return None
    times = _times(right.shape[1], resamples)
    each = [_row(right[i], right[j]) for i, j in pairs]
    within, pooled = (_mean(np.array([getattr(one, name) for one in each])) for name in ("kappa", "pooled"))
    drawn = np.zeros(
        (2, 2, resamples)
    )  # of kappa and pooled: their sum over pairs where they are defined, and how many
    layers = np.ascontiguousarray(right.transpose(1, 2, 0))
    for start in range(0, len(pairs), _AT_ONCE):
        first, second = (layers[:, :, list(side)] for side in zip(*pairs[start : start + _AT_ONCE], strict=True))
        for values, count in zip(_kappas(first, second, times), drawn, strict=True):
            count += np.nansum(values, axis=1), (~np.isnan(values)).sum(axis=1)
    means = [np.where(n > 0, total / np.maximum(n, 1), np.nan) for total, n in drawn]
    references = max(one.references for one in each)
    intervals = [
        _interval(some, value, references >= FEWEST_CLUSTERS)
        for some, value in zip(means, (within, pooled), strict=True)
    ]
    return Group(
        sum(not math.isnan(one.kappa) for one in each),
        Consistency(
            within, intervals[0], pooled, intervals[1], references, sum(one.trials for one in each),
            max(one.levels for one in each), max(one.of for one in each),
        ),
    )  # fmt: skip


def _times(references: int, resamples: int) -> Array:
    rng = digest.generator("consistency", references)
    return rng.multinomial(references, [1 / max(references, 1)] * references, resamples).astype(np.float64)


def _row(first: Array, second: Array, times: Array | None = None) -> Consistency:
    """Return the error consistency of two observers, (R, K) each, with intervals where resamples are given."""
    both = ~np.isnan(first) & ~np.isnan(second)
    references = int(both.any(axis=1).sum())
    whole, pair = np.ones((1, len(first))), (first[:, :, None], second[:, :, None])
    levels = _cohen(*_counts(*pair, whole))[0, :, 0]
    kappa, pooled = (float(value[0, 0]) for value in _kappas(*pair, whole))
    intervals: list[Interval | None] = [None, None]
    if times is not None:
        intervals = [
            _interval(drawn[:, 0], value, references >= FEWEST_CLUSTERS)
            for drawn, value in zip(_kappas(*pair, times), (kappa, pooled), strict=True)
        ]
    return Consistency(
        kappa, intervals[0], pooled, intervals[1], references, int(both.sum()),
        int((~np.isnan(levels)).sum()), int(both.any(axis=0).sum()),
    )  # fmt: skip


def _kappas(first: Array, second: Array, times: Array) -> tuple[Array, Array]:
    """Return kappa within levels and pooled, (B, P) each, of P pairs, references counted so many times, (B, R).

    Args:
        first: whether the first of each pair was right, (R, K, P).
        second: whether the second was.
        times: (B, R).
    """
    counts = _counts(first, second, times)
    within = _cohen(*counts)
    defined = ~np.isnan(within)
    n = defined.sum(axis=1)
    mean = np.where(n > 0, np.where(defined, within, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)
    return mean, _cohen(*(count.sum(axis=1) for count in counts))


def _counts(first: Array, second: Array, times: Array) -> tuple[Array, Array, Array, Array]:
    """Return trials, those that the first has right, and the second, and like ones, (B, K, P) each."""
    both = ~np.isnan(first) & ~np.isnan(second)
    sides = (both, both & (first > 0.5), both & (second > 0.5), both & (first == second))
    n, x, y, same = (
        (times @ side.reshape(len(side), -1).astype(np.float64)).reshape(-1, *side.shape[1:]) for side in sides
    )
    return n, x, y, same


def _cohen(n: Array, x: Array, y: Array, same: Array) -> Array:
    """Return kappa; NaN without trials, and where both are always right, or both never."""
    by_chance = x * y + (n - x) * (n - y)  # times n squared, so that all are whole numbers
    open_ = n * n - by_chance
    return np.asarray(np.divide(n * same - by_chance, open_, out=np.full(n.shape, np.nan), where=open_ > 0))


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _interval(drawn: Array, value: float, enough: bool) -> Interval | None:
    """Return percentiles of resamples, (B,); None where there is nothing to say."""
    if not enough or math.isnan(value):
        return None
    each = drawn[~np.isnan(drawn)]
    if not len(each) or np.ptp(each) == 0:
        return None
    low, high = np.quantile(each, (0.025, 0.975))
    return Interval(float(low), float(high))
