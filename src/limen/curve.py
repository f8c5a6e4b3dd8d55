"""Counts per strength, and the statistics that every table shares: Wilson intervals and the cluster bootstrap."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from limen import digest

Array: TypeAlias = npt.NDArray[np.float64]

_NORMAL = NormalDist()
FEWEST_CLUSTERS = 5  # below this no bootstrap interval is given


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of stated confidence."""

    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of n values, with its 95 % interval (None for too few, or where all are alike)."""

    value: float
    interval: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class Share:
    """k of n, with its Wilson (1927) score interval."""

    k: int
    n: int

    @property
    def value(self) -> float:
        """The share, NaN where n is 0."""
        return self.k / self.n if self.n else math.nan

    @property
    def interval(self) -> Interval | None:
        """The 95 % Wilson interval, None where n is 0."""
        return wilson(self.k, self.n) if self.n else None


@functools.lru_cache(maxsize=4096)
def median_ranks(n: int) -> tuple[int, int] | None:
    """Return the ranks, from 1, between which the median of a population lies with 95 % confidence or more.

    The distribution-free interval by order statistics (Thompson 1936, Annals of Mathematical Statistics 7:122), which
    takes ties and censored values as they are. None below six values: their whole range is less sure than that.
    """
    below, most = 0, 2**n // 40  # of 2^n ways, a fortieth on each side
    for low in range(n // 2 + 1):
        below += math.comb(n, low)
        if below > most:
            return (low, n + 1 - low) if low else None
    return None


def wilson(k: float, n: float) -> Interval:
    """Return the 95 % Wilson (1927) score interval of k of n; both may be fractional, n above 0."""
    z, p = _NORMAL.inv_cdf(0.975), k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At 0 and n the bound is 0 and 1 exactly; rounding would put it a hair beside.
    return Interval(0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


@dataclass(frozen=True, slots=True)
class Curve:
    """Counts of yes per level, from trials that show each level against one reference.

    Attributes:
        levels: in ascending order.
        yes, n: counts at each level.
    """

    levels: tuple[int, ...]
    yes: tuple[int, ...]
    n: tuple[int, ...]

    @property
    def shares(self) -> tuple[Share, ...]:
        """The share of yes at each level."""
        return tuple(Share(k, n) for k, n in zip(self.yes, self.n, strict=True))

    def crossing(self, criterion: float = 0.5) -> float | None:
        """Return the level at which the share of yes, made monotone, first reaches `criterion`.

        Isotonic regression (Ayer et al. 1955), then linear between levels; None where it never gets there.
        """
        if not self.levels:
            return None
        fitted = monotone(self.yes, self.n)
        above = np.nonzero(fitted >= criterion - 1e-12)[0]  # a pooled mean may miss its own value by rounding
        if not len(above):
            return None
        i = int(above[0])
        if i == 0 or fitted[i] == fitted[i - 1]:
            return float(self.levels[i])
        step = min(1.0, (criterion - fitted[i - 1]) / (fitted[i] - fitted[i - 1]))
        return float(self.levels[i - 1] + step * (self.levels[i] - self.levels[i - 1]))


def monotone(yes: Sequence[int], n: Sequence[int]) -> Array:
    """Return the shares that never fall and are nearest to `yes` of `n`, each > 0 (Ayer et al. 1955).

    By the max-min formula: at level j the largest, over i <= j, of the smallest share of levels i..k, over k >= j.
    SciPy's routine takes longer to be imported than a study takes to ask a hundred questions.
    """
    k, of = (np.concatenate([[0], np.cumsum(counts)]) for counts in (yes, n))
    first, last = np.arange(len(n))[:, None], np.arange(len(n))
    shares = np.where(last >= first, (k[last + 1] - k[first]) / np.maximum(of[last + 1] - of[first], 1), np.inf)
    least = np.minimum.accumulate(shares[:, ::-1], axis=1)[:, ::-1]
    return np.maximum.accumulate(least, axis=0).diagonal()


def bootstrap(
    values: Sequence[float], statistic: Callable[[Array], Array],
    resamples: int = 2000,
) -> Interval | None:  # fmt: skip
    """Return the 95 % BCa interval (Efron 1987, JASA 82:171) of a statistic over clusters.

    The same values give the same interval, in whatever order and of whomever they are: the draws are the same for
    every set of so many clusters.

    Args:
        values: (n,), one number a cluster (a reference).
        statistic: reduces the last axis: (..., n) to (...).
        resamples: how many, >= 1.

    Returns:
        None for fewer than five clusters, and where all values are equal: resampling then has nothing to say.
    """
    data = np.sort(np.asarray(values, dtype=np.float64))
    n = len(data)
    if n < FEWEST_CLUSTERS or np.all(data == data[0]):
        return None
    estimate = float(statistic(data))
    draws = np.sort(statistic(data[_chosen(n, resamples)]))
    below = np.clip(
        (np.sum(draws < estimate) + np.sum(draws == estimate) / 2) / resamples, 1 / resamples, 1 - 1 / resamples
    )
    bias = _NORMAL.inv_cdf(float(below))
    others, each = np.arange(n - 1), np.arange(n)
    left_out = np.concatenate([
        statistic(data[others + (others >= some[:, None])]) for some in np.split(each, range(resamples, n, resamples))
    ])  # fmt: skip
    spread = left_out.mean() - left_out
    scale = float(np.sum(spread**2)) ** 1.5
    skew = float(np.sum(spread**3)) / (6 * scale) if scale else 0.0

    ends = (bias + _NORMAL.inv_cdf(0.025), bias + _NORMAL.inv_cdf(0.975))
    low, high = np.quantile(draws, [_NORMAL.cdf(bias + z / (1 - skew * z)) for z in ends])
    return Interval(float(low), float(high))


@functools.lru_cache(maxsize=2)  # a report resamples the same few numbers of references hundreds of times
def _chosen(n: int, resamples: int) -> npt.NDArray[np.int64]:
    """Return which of n clusters are in each sample, (resamples, n)."""
    return digest.generator("bootstrap", n).integers(0, n, (resamples, n))


def bootstrap_mean(values: Sequence[float]) -> Interval | None:
    """Return the interval of a mean, as `bootstrap` does."""
    return bootstrap(values, lambda x: np.mean(x, axis=-1))
