"""Changes of a picture that nobody would call one: what a criterion of observers that answer with numbers is made of.

    shift       by one pixel, in one of the eight directions; the edge is repeated
    jpeg:95     stored as JPEG of a quality (1 to 100), its grid of 8x8 pixels beginning at one of 64 places
    grey        every value moved by -1, 0 or +1 grey levels at random
    rounding    noise that no 8-bit picture could show: at most half a grey level of what the model gets

The first three are done to the pixels and go through the observer's own processor; `rounding` is done behind it, by the
observer. What a draw changes belongs to the picture and the draw's number, never to order or other pictures.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from limen import digest
from limen.errors import InputError
from limen.image import Image, Picture

DEFAULT = "shift"
ROUNDING = "rounding"
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))  # down and right, in pixels
BLOCK = 8  # pixels a side of what JPEG codes by itself
_UNLIMITED = 10**9


@dataclass(frozen=True, slots=True)
class Nuisance:
    """A change of a picture.

    Attributes:
        name: as settings give it.
        about: what it does, in one line.
        draws: how many different ones a picture has.
        change: from a picture and the number of a draw to the picture changed; None for `rounding`.
    """

    name: str
    about: str
    draws: int
    change: Callable[[Picture, int], Image] | None


def find(name: str) -> Nuisance:
    """Return the nuisance of a name.

    Raises:
        InputError: there is none.
    """
    kind, _, quality = name.partition(":")
    if name == "shift":
        return Nuisance(name, "moved by one pixel, the edge repeated", len(STEPS), _shift)
    if name == "grey":
        return Nuisance(name, "every value moved by -1, 0 or +1 grey levels at random", _UNLIMITED, _grey)
    if name == ROUNDING:
        return Nuisance(name, "uniform, at most half a grey level of what the model gets", _UNLIMITED, None)
    if kind == "jpeg" and quality.isascii() and quality.isdecimal() and 1 <= int(quality) <= 100:
        grade = int(quality)
        about = f"stored as JPEG of quality {grade}, its grid beginning at one of {BLOCK**2} places"
        return Nuisance(f"jpeg:{grade}", about, BLOCK**2, lambda picture, draw: _jpeg(picture, draw, grade))
    raise InputError(f"No nuisance {name!r}. Use shift, grey, rounding, or jpeg:QUALITY with a quality of 1 to 100.")


def _shift(picture: Picture, draw: int) -> Image:
    down, right = STEPS[draw]
    height, width = picture.pixels.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return picture.pixels[rows][:, columns]


def _grey(picture: Picture, draw: int) -> Image:
    moved = digest.generator("nuisance", "grey", picture.digest, draw).integers(-1, 2, picture.pixels.shape)
    found: Image = np.clip(picture.pixels + moved, 0, 255).astype(np.uint8)
    return found


def _jpeg(picture: Picture, draw: int, quality: int) -> Image:
    place = int(digest.generator("nuisance", "jpeg", picture.digest).permutation(BLOCK**2)[draw])
    top, left = divmod(place, BLOCK)
    height, width = picture.pixels.shape[:2]
    larger = np.pad(picture.pixels, ((top, 0), (left, 0), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    Pillow.fromarray(larger).save(buffer, "JPEG", quality=quality)
    with Pillow.open(buffer, formats=["JPEG"]) as stored:
        decoded: Image = np.asarray(stored.convert("RGB"))
    return decoded[top : top + height, left : left + width]
