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
from typing import Any, TypeAlias

import numpy as np

from limen import digest, function_digest, registry
from limen.errors import InputError
from limen.image import Image, check
from limen.ladder import Domain, Ladder

Render: TypeAlias = Callable[[float], Image]
Prepare: TypeAlias = Callable[[Any, np.random.Generator], Callable[[float], Any]]
Encode: TypeAlias = Callable[[Image, float], bytes]


@dataclass(frozen=True, slots=True)
class Distortion:
    """One kind of change, in graded strengths.

    Attributes:
        name: unique; also the column of tables.
        word: what the question calls it ("color saturation").
        ladder: strengths of levels 1..n.
        prepare: `(image, rng) -> (strength -> image)`, pure but for `rng`; for another kind of reference than images,
            `(view, rng)`, `(pair, rng)` or `(item, rng)`, and strength 0 gives the reference; a question gives items.
        version: raised whenever pixels change for the same strength.
        summary: one line, the first of the function's docstring.
        of: the kind of reference it is done to (`limen.source.Reference.kind`).
        domain: which strengths it takes; None where nothing is said of that.
        encoded: of a codec, `(image, strength) -> bytes` of the coded file; None for what is no codec.
        outside: where its stimuli come from if limen alone cannot draw them again ("coded by a command line: ..."); "".

    Examples:
        >>> import numpy as np
        >>> from limen import Distortion, Ladder
        >>> def halve(image, rng):
        ...     return lambda factor: np.rint(image * factor).astype(np.uint8)
        >>> half = Distortion("half", "brightness", Ladder((0.9, 0.5), unit="factor"), halve)
        >>> at = half.render(np.full((32, 32, 3), 200, dtype=np.uint8), key="a")
        >>> [int(at(level).mean()) for level in (0, 1, 2)]
        [200, 180, 100]
    """

    name: str
    word: str
    ladder: Ladder
    prepare: Prepare
    version: int = 1
    summary: str = ""
    of: str = "image"
    domain: Domain | None = None
    encoded: Encode | None = None
    outside: str = ""

    def render(self, reference: Any, key: str) -> Callable[[int], Any]:
        """Return a function from level (0..n) to image, or item; level 0 of an image is the image itself.

        Args:
            reference: uint8 RGB (H, W, 3); for another kind of reference, what its source loads.
            key: names the one random draw of the series; the same key gives the same pixels everywhere.
        """
        if self.of == "image":
            reference = check(reference)
        render = self.prepare(reference, digest.generator("distortion", self.name, key))

        def at(level: int) -> Any:
            if not 0 <= level <= len(self.ladder):
                raise InputError(f"{self.name} has levels 0 to {len(self.ladder)}, not {level}.")
            if level == 0:
                return reference if self.of == "image" else render(0.0)
            return render(self.ladder[level])

        return at


def distortion(
    name: str,
    *,
    word: str,
    ladder: Ladder,
    version: int = 1,
    of: str = "image",
    domain: Domain | None = None,
    encoded: Encode | None = None,
) -> Callable[[Prepare], Prepare]:
    """Register a function `(image, rng) -> (strength -> image)` as the distortion `name`.

    Args:
        name: unique among distortions; the column of tables.
        word: what the question calls it.
        ladder: strengths of levels 1..n.
        version: >= 1; raised whenever pixels change for the same strength.
        of: the kind of reference it is done to (`limen.source.ReferenceKind`).
        domain: which strengths it takes, where a ladder of somebody's own is to be checked.
        encoded: of a codec, `(image, strength) -> bytes` of the coded file.
    """

    def keep(prepare: Prepare) -> Prepare:
        summary = (prepare.__doc__ or "").strip().split("\n")[0]
        registry.add("distortion", name)(Distortion(name, word, ladder, prepare, version, summary, of, domain, encoded))
        return prepare

    return keep


def of_function(
    function: Callable[[Image, float], Image], ladder: Ladder, name: str = "", version: int = 0
) -> Distortion:
    """Return a distortion that is a function of an image and a strength.

    Args:
        function: takes a uint8 RGB array (H, W, 3), a copy, and a strength; returns one of the same shape, the same
            for the same two.
        ladder: strengths of levels 1..n.
        name: of the distortion; the function's own if not given. It is also the word in the question.
        version: >= 1, raised whenever pixels change; if 0, made of the digest of what the function does.

    Raises:
        InputError: without a version, where what the function does cannot be told (`limen.function_digest`).
    """
    name = name or getattr(function, "__name__", type(function).__name__)

    def prepare(image: Image, rng: np.random.Generator) -> Render:
        def render(strength: float) -> Image:
            result = function(image.copy(), strength)
            if not isinstance(result, np.ndarray) or result.dtype != np.uint8 or result.shape != image.shape:
                array = isinstance(result, np.ndarray)
                returned = f"{result.dtype} {result.shape}" if array else type(result).__name__
                raise InputError(
                    f"Distortion {name!r} returned {returned} at strength {strength:g} for an image of uint8 "
                    f"{image.shape}. Return an array of uint8 and of the same shape: "
                    "np.clip(np.rint(x), 0, 255).astype(np.uint8)."
                )
            return np.ascontiguousarray(result)

        return render

    summary = (function.__doc__ or "").strip().split("\n")[0]
    # A manifest's versions go up to a million. Keys of answers hold the pixels, so that two edits of one number never
    # share an answer either.
    number = version or 1 + int(function_digest.of_function(function), 16) % 10**6
    return Distortion(name, name.replace("_", " "), ladder, prepare, number, summary)


def find(name: str) -> Distortion:
    """Return the distortion `name`, or raise `UnknownNameError`."""
    found = registry.find("distortion", name)
    assert isinstance(found, Distortion)
    return found
