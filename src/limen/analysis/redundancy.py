"""Chains of JNDs: how much goes unnoticed between one and the next.

Chen et al. 2025 (arXiv:2507.00490) let the n-th JND replace the reference, and call what lies between two of them
*perceptual redundancy*, without saying how it is computed. Here it is the share of levels that are no JND, beside the
number of JNDs, the gaps between them and the longest stretch without one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from limen.analysis import Analysis, Outcome
from limen.analysis.survival import Key, groups
from limen.curve import Mean, Share, bootstrap_mean


@dataclass(frozen=True, slots=True)
class Chain:
    """The JNDs of one series.

    Attributes:
        name: digest of the reference's pixels.
        levels: J(1)..J(n), those that statistics may take as reached.
        top: L.
        cut: the setting `orders` ended the search below L, so that there may be more.
    """

    name: str
    levels: tuple[int, ...]
    top: int
    cut: bool

    @property
    def gaps(self) -> tuple[int, ...]:
        """J(n) - J(n - 1) with J(0) = 0, of the JNDs reached."""
        return tuple(b - a for a, b in zip((0, *self.levels), self.levels, strict=False))

    @property
    def longest(self) -> int:
        """Most levels in a row that are no JND; behind the last JND up to L, where that was searched."""
        end = 0 if self.cut else self.top - (self.levels[-1] if self.levels else 0)
        return max([end, *(gap - 1 for gap in self.gaps)])

    @property
    def unnoticed(self) -> float:
        """The share of levels 1..L that are no JND: 1 - n/L."""
        return 1 - len(self.levels) / self.top


@dataclass(frozen=True, slots=True)
class RedundancyRow:
    """What one observer leaves unnoticed along the ladder of one distortion, under one question.

    The redundancy is the share of levels that are no JND. It belongs to the ladder: with twice as many levels over the
    same strengths it is larger, so compare observers on one ladder, not ladders.

    Attributes:
        levels: L.
        cut: chains that the setting `orders` ended; with any, `count` and `longest` are lower bounds ("at least"), and
            `redundancy` is an upper one ("at most").
        count: JNDs up to L.
        gap: mean gap of a reference, J(n) / n, over references that have a JND. The gap that L cut is not in it, so
            it is rather too small.
        gaps: mean gap to the n-th JND, n = 1, 2, .., over the references that reached it: those of high n are the
            references with small gaps.
        longest: most levels in a row without a JND.
        redundancy: share of levels 1..L that are no JND, 1 - count / L.
    """

    observer: str
    question: str
    distortion: str
    levels: int
    cut: Share
    count: Mean
    gap: Mean
    gaps: tuple[Mean, ...]
    longest: Mean
    redundancy: Mean


def redundancy(analysis: Analysis) -> tuple[RedundancyRow, ...]:
    """Return the redundancy of each observer, question and distortion of which more than one JND was looked for."""
    return tuple(_redundancy_row(key, found) for key, found in chains(analysis).items())


def chain(outcome: Outcome) -> Chain:
    """Return the JNDs of a series that has any threshold; the first unconfirmed one ends the chain, as no JND does."""
    levels = tuple(found.level for found in takewhile(lambda one: one.reached, outcome.thresholds))
    whole = len(levels) < len(outcome.thresholds) or levels[-1] == outcome.series.levels
    return Chain(outcome.series.picture, levels, outcome.series.levels, cut=not whole)


def chains(analysis: Analysis) -> dict[Key, list[Chain]]:
    """Return the chains of each group whose procedure looked for more than one JND."""
    orders = analysis.manifest.procedure.get("orders")
    found = {}
    for key, group in groups(analysis).items():
        mine = [outcome for outcome in group if outcome.thresholds]
        # Several runs under other settings do not say which `orders` was whose: there a second threshold does.
        several = any(len(outcome.thresholds) > 1 for outcome in mine) if orders is None else orders != 1
        if mine and several:
            found[key] = [chain(outcome) for outcome in mine]
    return found


def _redundancy_row(key: Key, found: Sequence[Chain]) -> RedundancyRow:
    some = [one for one in found if one.levels]
    orders = range(max(len(one.levels) for one in found))
    return RedundancyRow(
        *key,
        levels=found[0].top,
        cut=Share(sum(one.cut for one in found), len(found)),
        count=mean_of([len(one.levels) for one in found]),
        gap=mean_of([one.levels[-1] / len(one.levels) for one in some]),
        gaps=tuple(mean_of([c.gaps[i] for c in some if len(c.gaps) > i]) for i in orders),
        longest=mean_of([one.longest for one in found]),
        redundancy=mean_of([one.unnoticed for one in found]),
    )


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean of one number a reference."""
    return Mean(float(np.mean(sorted(values))) if len(values) else math.nan, bootstrap_mean(values), len(values))
