"""What a ladder is: ordered strengths of one distortion, with their unit and a version; and what they may be."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from limen import digest as digests
from limen.errors import InputError


@dataclass(frozen=True, slots=True)
class Ladder:
    """Strengths of levels 1..n. Level 0 is the reference: nothing done, so it has no strength.

    Attributes:
        strengths: one number a level, from the weakest distortion to the strongest.
        unit: what the numbers are ("quality", "px (sigma) at 640 px width").
        version: raised whenever a strength changes, so that runs are not mixed.

    Examples:
        >>> from limen import Ladder
        >>> ladder = Ladder((0.5, 1.0, 2.0), unit="px")
        >>> len(ladder), ladder[3]
        (3, 2.0)
    """

    strengths: tuple[float, ...]
    unit: str
    version: int = 1

    def __post_init__(self) -> None:
        if not self.strengths or not all(map(math.isfinite, self.strengths)):
            raise InputError(
                f"A ladder has one finite number a level and at least one level, not {self.strengths!r:.60}."
            )

    def __len__(self) -> int:
        return len(self.strengths)

    def __getitem__(self, level: int) -> float:
        if not 1 <= level <= len(self):
            raise InputError(f"No strength at level {level}: this ladder has levels 1 to {len(self)}.")
        return self.strengths[level - 1]

    @property
    def digest(self) -> str:
        """The ladder's identity, as manifests carry it."""
        return digests.of([list(self.strengths), self.unit, self.version])


@dataclass(frozen=True, slots=True)
class Domain:
    """Which strengths a distortion takes.

    Attributes:
        least, most: the bounds, both included; infinite for none.
        neutral: the strength that changes nothing, or least; strengths of a ladder lead away from it, to one side.
        whole: whether strengths are whole numbers.
    """

    least: float
    most: float
    neutral: float
    whole: bool = False

    def check(self, strengths: Sequence[float]) -> None:
        """Raise `InputError`, without a name in front, unless these can be the strengths of a ladder.

        Args:
            strengths: finite, rising or falling.
        """
        for strength in strengths:
            if not self.least <= strength <= self.most:
                raise InputError(f"{strength:g} is out of its range. Give strengths {self}.")
            if self.whole and strength != int(strength):
                raise InputError(f"{strength:g} is not a whole number. Give strengths {self}.")
        away = [abs(strength - self.neutral) for strength in strengths]
        sides = {strength > self.neutral for strength in strengths if strength != self.neutral}
        if len(sides) > 1:
            raise InputError(
                f"{strengths[0]:g} and {strengths[-1]:g} lie on two sides of {self.neutral:g}, which changes nothing. "
                "Give strengths of one side."
            )
        if any(one >= other for one, other in itertools.pairwise(away)):
            raise InputError(
                f"{strengths[0]:g} to {strengths[-1]:g} leads towards {self.neutral:g}, which changes least. "
                "Begin with the weakest strength."
            )

    def __str__(self) -> str:
        kind = "that are whole numbers " if self.whole else ""
        if math.isinf(self.most):
            return f"{kind}from {self.least:g}" if math.isfinite(self.least) else f"{kind}of any size"
        return f"{kind}from {self.least:g} to {self.most:g}"
