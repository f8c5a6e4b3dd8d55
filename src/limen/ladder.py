"""What a ladder is: ordered strengths of one distortion, with their unit and a version."""

import math
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

    Example:
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
