"""What a threshold is: the n-th just noticeable difference of one series, or the fact that there was none."""

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
    """

    order: int
    level: int
    strength: float
    censored: bool = False
    confirmed: bool = True
    reference: int = 0

    @property
    def reached(self) -> bool:
        """Whether statistics may take `level` as a JND."""
        return self.confirmed and not self.censored

    def __str__(self) -> str:
        if self.censored:
            return f">{self.level}"
        return f"{self.level}" if self.confirmed else f"{self.level}?"
