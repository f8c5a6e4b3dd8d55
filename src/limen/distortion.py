"""What a distortion is: a name, the word used in the question, a ladder, and a function of an image.

To add one, put a file into `distortions/`:

    @distortion("halve", word="brightness", ladder=Ladder((0.9, 0.5), unit="factor"))
    def halve(image, rng):
        return lambda strength: (image * strength).astype(np.uint8)

The outer function is called once for a series, draws what is random from `rng` and does the work that the
levels share; what it returns is called for each level. A draw therefore cannot depend on the level: with a
fresh noise field for each level, an observer's second JND comes one level after the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from limen import ident, registry
from limen.errors import InputError
from limen.image import Image, check
from limen.ladder import Ladder

Render: TypeAlias = Callable[[float], Image]
Prepare: TypeAlias = Callable[[Image, np.random.Generator], Render]


@dataclass(frozen=True, slots=True)
class Distortion:
    """One kind of change, in graded strengths.

    Attributes:
        name: unique; also the column of tables.
        word: what the question calls it ("color saturation").
        ladder: strengths of levels 1..n.
        prepare: `(image, rng) -> (strength -> image)`, pure but for `rng`.
        version: raised whenever pixels change for the same strength.
        summary: one line, the first of the function's docstring.
    """

    name: str
    word: str
    ladder: Ladder
    prepare: Prepare
    version: int = 1
    summary: str = ""

    def render(self, image: Image, key: str) -> Callable[[int], Image]:
        """Return a function from level (0..n) to image; level 0 is `image` itself.

        Args:
            image: uint8 RGB (H, W, 3).
            key: names the one random draw of the series; the same key gives the same pixels everywhere.
        """
        image = check(image)
        render = self.prepare(image, ident.generator("distortion", self.name, key))

        def at(level: int) -> Image:
            if not 0 <= level <= len(self.ladder):
                raise InputError(f"{self.name} has levels 0 to {len(self.ladder)}, not {level}.")
            return image if level == 0 else render(self.ladder[level])

        return at


def distortion(name: str, *, word: str, ladder: Ladder, version: int = 1) -> Callable[[Prepare], Prepare]:
    """Register a function `(image, rng) -> (strength -> image)` as the distortion `name`."""

    def keep(prepare: Prepare) -> Prepare:
        summary = (prepare.__doc__ or "").strip().split("\n")[0]
        registry.add("distortion", name)(Distortion(name, word, ladder, prepare, version, summary))
        return prepare

    return keep


def find(name: str) -> Distortion:
    """Return the distortion `name`, or raise `UnknownNameError`."""
    found = registry.find("distortion", name)
    assert isinstance(found, Distortion)
    return found
