"""Thresholds that may lie beyond what was asked: shares that did not notice, and paired comparisons of observers.

Kaplan-Meier is scipy's (`scipy.stats.ecdf` of `CensoredData`, with Greenwood's formula on the log-log scale);
lifelines gives the same and brings pandas. No library in reach has the paired Prentice-Wilcoxon test (R has it in
NADA2), so it is written here.
"""

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from limen.curve import Array, Interval, bootstrap_mean
from limen.errors import InputError

_NORMAL = NormalDist()
_EXACT = 12  # pairs up to which every flip of signs is counted


@dataclass(frozen=True, slots=True)
class Survival:
    """The share that has not noticed at level k, P(J > k).

    Attributes:
        levels: 0..L.
        share, low, high: at each level, with the 95 % interval (NaN where the formula has none: at shares 0 and 1).
        n: references or observers.
    """

    levels: tuple[int, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int

    def point(self, share: float) -> int | None:
        """Return the last level at which at least `share` have not noticed: .75 over observers is the 75 %-SUR point.

        None where even L is not noticed by so many (it lies beyond). Neither p(yes) = .5 nor p(correct) = .75.
        """
        held = [level for level, value in zip(self.levels, self.share, strict=True) if value >= share - 1e-12]
        return None if held[-1] == self.levels[-1] else held[-1]


def unnoticed_share(levels: Sequence[float], reached: Sequence[bool], top: int) -> Survival:
    """Return U(k) = P(J > k) over *references*, for one observer (Kaplan & Meier 1958).

    With one common end L it is 1 - ECDF. Where series ended early for another reason (budget, failure), they leave at
    the level they got to; that is sound only if the reason has nothing to do with their J (a refusal at strong levels
    has).

    Args:
        levels: (n,) J, or the last level asked where there is none.
        reached: (n,) whether it is a J (`Threshold.reached`).
        top: L, >= 1.
    """
    _checked(levels, reached)
    from scipy import stats  # 2 s: loaded only where it is used

    times, seen = np.asarray(levels, dtype=np.float64), np.asarray(reached, dtype=bool)
    data = stats.CensoredData(uncensored=times[seen], right=times[~seen])
    found = stats.ecdf(data).sf
    x = np.arange(top + 1)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # undefined at shares of 0 and 1: NaN
        bounds = found.confidence_interval(confidence_level=0.95, method="log-log")
    shares, low, high = (tuple(float(v) for v in curve.evaluate(x)) for curve in (found, bounds.low, bounds.high))
    return Survival(tuple(range(top + 1)), shares, low, high, len(times))


def satisfied_user_ratio(levels: Sequence[float], reached: Sequence[bool], top: int) -> Survival:
    """Return SUR(k) = P(J > k) over *people*, for one reference; see `unnoticed_share`.

    Over models the same share is a satisfied machine ratio (`limen.analysis.survival.satisfied`): a few models are no
    sample of users.

    Wang et al. 2017 (VideoSet, J. Visual Communication 46:292) read it off the fitted normal; here it is the estimate
    without a distribution.

    Args:
        levels: J of each person, or the last level asked where there is none.
        reached: whether each person has a J; as long as `levels`.
        top: L, >= 1.
    """
    return unnoticed_share(levels, reached, top)


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two observers compared reference by reference.

    Attributes:
        n: references that both have.
        wins: probability that the first observer's J lies higher (it notices less), ties counting half.
        interval: of wins, 95 % BCa over references; None below five.
        ties: references where neither can be said to be higher, both being censored or equal.
        z, p: paired Prentice-Wilcoxon test; NaN where all pairs tie.
    """

    n: int
    wins: float
    interval: Interval | None
    ties: int
    z: float
    p: float

    def untold(self) -> "PairedComparison":
        """Return it without what it says of the two: one of them is undetermined."""
        return replace(self, wins=math.nan, interval=None, z=math.nan, p=math.nan)


def compare(
    first: Sequence[float], reached_first: Sequence[bool], second: Sequence[float], reached_second: Sequence[bool]
) -> PairedComparison:
    """Compare two observers' J, one pair a reference.

    Args:
        first: (n,) J of the first observer, or the last level asked where there is none.
        second: (n,) of the second observer on the same references in the same order.
        reached_first: (n,) whether it is a J.
        reached_second: (n,) whether it is a J.

    Raises:
        InputError: the two are not of one length, or one of them is empty.
    """
    _checked(first, reached_first)
    _checked(second, reached_second)
    if len(first) != len(second):
        raise InputError(
            f"{len(first)} and {len(second)} levels do not pair up. Give both observers' J of each reference."
        )
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    seen_a, seen_b = (np.asarray(values, dtype=bool) for values in (reached_first, reached_second))
    higher = (seen_b & (a > b)) | (seen_b & ~seen_a & (a >= b))
    lower = (seen_a & (b > a)) | (seen_a & ~seen_b & (b >= a))
    score = (1.0 + higher - lower) / 2.0
    z, p = prentice_wilcoxon(first, reached_first, second, reached_second)
    return PairedComparison(len(a), float(np.sort(score).mean()), _wins(score), int((~higher & ~lower).sum()), z, p)


def _wins(score: Array) -> Interval | None:
    """Return the interval of the mean score: with the observers changed round it is the mirror image."""
    here, mirrored = np.sort(score).tolist(), np.sort(1.0 - score).tolist()
    found = bootstrap_mean(min(here, mirrored))
    if found is None or here < mirrored:
        return found
    if here > mirrored:
        return Interval(1.0 - found.high, 1.0 - found.low)
    reach = (found.high - found.low) / 2.0
    return Interval(0.5 - reach, 0.5 + reach)


def prentice_wilcoxon(
    first: Sequence[float], reached_first: Sequence[bool], second: Sequence[float], reached_second: Sequence[bool]
) -> tuple[float, float]:
    """Return z and the two-sided p of the paired Prentice-Wilcoxon test.

    O'Brien & Fleming (1987, Biometrics 43:169): all 2 n levels are scored as one sample, 1 - S(t) - S(t-) for a J and
    1 - S(t) for a censored one, and z = sum d / sqrt(sum d^2) over the pairs' differences d. Differences: S is
    Kaplan-Meier's estimate (they take Prentice's, which differs by terms of 1 / n), and up to 12 pairs that differ p
    is exact over all flips of sign. Pairs censored at one level have d = 0 and say nothing. Positive z: the first is
    higher.

    Args:
        first: J of n references, or the last level asked, under the first observer.
        reached_first: (n,) whether there is a J.
        second: of the same n references, in the same order, under the second observer.
        reached_second: (n,) whether there is a J.
    """
    times = np.concatenate((first, second)).astype(np.float64)
    seen = np.concatenate((reached_first, reached_second)).astype(bool)
    score = _scores(times, seen)
    d = score[: len(first)] - score[len(first) :]
    d = d[np.abs(d) > 1e-12]
    if not len(d):
        return math.nan, math.nan
    z = float(d.sum() / math.sqrt(float(d @ d)))
    if len(d) > _EXACT:
        return z, 2.0 * _NORMAL.cdf(-abs(z))
    flips = np.array(list(itertools.product((-1.0, 1.0), repeat=len(d))))
    return z, float(np.mean(np.abs(flips @ np.abs(d)) >= abs(d.sum()) - 1e-9))


def _scores(times: Array, seen: Array) -> Array:
    order = np.unique(times[seen.astype(bool)])
    at_risk = (times[:, None] >= order).sum(axis=0)
    events = ((times[:, None] == order) & seen.astype(bool)[:, None]).sum(axis=0)
    after = np.concatenate(([1.0], np.cumprod(1.0 - events / at_risk)))
    here = np.searchsorted(order, times, side="right")
    before = np.searchsorted(order, times, side="left")
    return np.where(seen, 1.0 - after[here] - after[before], 1.0 - after[here])


def _checked(levels: Sequence[float], reached: Sequence[bool]) -> None:
    if len(levels) != len(reached) or not len(levels):
        raise InputError(
            f"{len(levels)} levels and {len(reached)} flags: give one of each for a reference, one at least."
        )
