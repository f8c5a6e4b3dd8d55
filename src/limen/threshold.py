"""What a threshold is: the n-th just noticeable difference of one series, the fact that there was none, or a fit."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """The n-th JND found by a procedure.

    Attributes:
        order: n, from 1.
        level: the level J; for a censored threshold the last level asked about (the paper's ">50" is not 50).
        strength: the ladder's strength at `level`, in the ladder's unit.
        censored: no JND up to `level`.
        confirmed: False where the end of the ladder cut the confirmation window. Such a threshold is kept as
            the protocol's J and treated as censored by every statistic: a blind observer with 10 % false
            alarms gets one in about 10 % of its series.
        reference: the level that was the reference (0 for the first JND).
        certainty: probability that the scan would have found the same; 1 for procedures that are exact, NaN
            for those that do not say.
    """

    order: int
    level: int
    strength: float
    censored: bool = False
    confirmed: bool = True
    reference: int = 0
    certainty: float = 1.0

    @property
    def reached(self) -> bool:
        """Whether statistics may take `level` as a JND."""
        return self.confirmed and not self.censored

    @property
    def below(self) -> bool:
        """Whether the very first level is noticed: the JND lies at or below it. The number in tables stays 1."""
        return self.reached and self.level == 1

    def __str__(self) -> str:
        if self.censored:
            return f">{self.level}"
        return f"{'<=' if self.below else ''}{self.level}" if self.confirmed else f"{self.level}?"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A fitted threshold: the level noticed half the time, false alarms and lapses apart. Never the protocol's J.

    Attributes:
        level: posterior mean of T50, in levels; may lie between levels, or beyond the ladder. See `below`.
        strength: the ladder's strength there, interpolated; at the ladder's end where it lies beyond.
        low, high: 95 % credible interval, in levels.
        sd: posterior standard deviation, in levels.
        beyond: posterior probability that T50 lies above the ladder.
        reference: the level that was the reference.
        below: whether every answer was yes, so that T50 lies at or below `level`, the lowest one asked.
        levels: L; 0 where the procedure does not say.
    """

    level: float
    strength: float
    low: float
    high: float
    sd: float
    beyond: float
    reference: int = 0
    below: bool = False
    levels: int = 0

    @property
    def reached(self) -> bool:
        """Whether T50 more probably lies on the ladder than beyond it."""
        return self.beyond < 0.5

    @property
    def told(self) -> bool:
        """Whether the answers say where: not if the interval holds four fifths of the ladder, or more."""
        if self.below or not self.reached or not self.levels or math.isnan(self.low):
            return True
        return min(self.high, self.levels) - max(self.low, 1.0) < 0.8 * (self.levels - 1)

    def __str__(self) -> str:
        if self.below:
            return f"<={self.level:g}"
        if not self.told:
            return f"? [{self.low:.1f}, {self.high:.1f}]"
        if not self.reached:
            return f">{self.levels or self.level:g}"
        return f"{self.level:.1f}" + ("" if math.isnan(self.low) else f" [{self.low:.1f}, {self.high:.1f}]")
