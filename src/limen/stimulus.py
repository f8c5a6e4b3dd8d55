"""What a series is: one reference at levels 0..n of one distortion. Level 0 is the reference itself."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from limen import ident
from limen.distortion import Distortion
from limen.image import Picture
from limen.source import Reference


@dataclass(frozen=True, slots=True)
class Series:
    """A recipe for stimuli; pixels are made when they are needed.

    The n-th JND needs no concept of its own: its reference is the stimulus at the level of the last one.

    Attributes:
        reference: an image, a view of a scene, or a pair.
        distortion: what is done to it.
        seed: of the study; changes the random draw.
    """

    reference: Reference
    distortion: Distortion
    seed: int = 0

    def __len__(self) -> int:
        return len(self.distortion.ladder)

    @property
    def key(self) -> str:
        """Names the random draw: the pixels and the study's seed, never a path, a level or a place in an order."""
        return f"{self.reference.digest}/{self.seed}"

    @property
    def id(self) -> str:
        """The series' digest: equal exactly where all stimuli are."""
        kind = self.distortion
        return ident.digest([kind.name, kind.version, kind.ladder.digest, self.key])

    def open(self) -> Callable[[int], Picture]:
        """Load the reference and return a function from level to picture, which keeps what it has made last."""
        render = self.distortion.render(self.reference.load(), self.key)
        return functools.lru_cache(maxsize=4)(lambda level: Picture.of(render(level)))
