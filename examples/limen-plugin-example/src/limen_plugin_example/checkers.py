"""Chequerboards of known size: references that are drawn, not read."""

import functools
from collections.abc import Iterator

import numpy as np

from limen import digest as digests
from limen.errors import InputError
from limen.image import Image, digest
from limen.source import Reference, Refusal, size_of, source

SIDE = 96  # px


@source("checkers", licence="CC0-1.0", get="Nothing to get: checkers=COUNT draws as many.")
def checkers(path: str) -> Iterator[Reference | Refusal]:
    """Chequerboards in two colours each, `checkers=COUNT`."""
    if not path.isdecimal() or not 1 <= int(path) <= 1000:
        raise InputError(f"checkers={path}: give how many boards to draw, 1 to 1000, as in checkers=4.")
    for number in range(int(path)):
        image = board(number)
        yield Reference(f"board-{number:03d}", digest(image), functools.partial(board, number), size=size_of(image))


def board(number: int) -> Image:
    """Return one of the boards, always the same: uint8 RGB (96, 96, 3)."""
    rng = digests.generator("checkers", number)
    colours = rng.integers(0, 256, (2, 3), dtype=np.uint8)
    cell = int(rng.integers(5, 20))
    y, x = np.mgrid[0:SIDE, 0:SIDE] // cell
    image: Image = colours[(x + y) % 2]
    return image
