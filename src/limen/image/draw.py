"""Pictures drawn in whole numbers: the same pixels on every machine, with every version of NumPy.

Shapes are sampled at 4 x 4 places a pixel and blended by how many of them lie inside, so that edges are smooth. All
coordinates are integers in eighths of a pixel (`FINE`), all tests are exact. Writing is drawn with strokes of limen's
own, because a font file would be drawn in another way by another version of its library.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from limen.image import Image

FINE = 8  # units a pixel
_SIDE = 4  # samples a side of a pixel
Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[int, int]
Units: TypeAlias = npt.NDArray[np.int64]
Inside: TypeAlias = Callable[[Units, Units], npt.NDArray[np.bool_]]

CAP = 12  # height of a letter in the grid of `_STROKES`
_GAP = 5  # between two letters, in that grid
# For each sign its lines, each a list of points: x as 0..8, y as 0..9, a, b, c from the top down.
_STROKES = {
    sign: [[(int(point[0], 16), int(point[1], 16)) for point in line.split()] for line in lines.split("|")]
    for sign, lines in {
        "A": "0c 40 8c | 19 79",
        "B": "00 0c 6c 8a 88 66 06 | 66 84 82 60 00",
        "C": "82 60 20 02 0a 2c 6c 8a",
        "D": "00 0c 5c 89 83 50 00",
        "E": "70 00 0c 7c | 06 66",
        "F": "70 00 0c | 06 66",
        "G": "82 60 20 02 0a 2c 6c 8a 87 57",
        "H": "00 0c | 80 8c | 06 86",
        "I": "00 0c",
        "J": "60 6a 4c 2c 0a",
        "K": "00 0c | 80 07 | 34 8c",
        "L": "00 0c 7c",
        "M": "0c 00 47 80 8c",
        "N": "0c 00 8c 80",
        "O": "20 60 82 8a 6c 2c 0a 02 20",
        "P": "0c 00 60 82 85 67 07",
        "Q": "20 60 82 8a 6c 2c 0a 02 20 | 58 8c",
        "R": "0c 00 60 82 85 67 07 | 47 8c",
        "S": "82 60 20 02 04 26 66 88 8a 6c 2c 0a",
        "T": "00 80 | 40 4c",
        "U": "00 0a 2c 6c 8a 80",
        "V": "00 4c 80",
        "W": "00 2c 44 6c 80",
        "X": "00 8c | 80 0c",
        "Y": "00 46 80 | 46 4c",
        "Z": "00 80 0c 8c",
        "0": "20 50 72 7a 5c 2c 0a 02 20",
        "1": "03 30 3c",
        "2": "02 20 60 82 84 0c 8c",
        "3": "02 20 60 82 84 66 36 | 66 88 8a 6c 2c 0a",
        "4": "6c 60 08 88",
        "5": "70 00 05 55 77 7a 5c 2c 0a",
        "6": "82 60 20 02 0a 2c 6c 8a 87 65 25 07",
        "7": "00 80 3c",
        "8": "26 04 02 20 60 82 84 66 26 08 0a 2c 6c 8a 88 66",
        "9": "0a 2c 6c 8a 82 60 20 02 05 27 67 85",
    }.items()
}
SIGNS = "".join(_STROKES)


class Canvas:
    """A picture in the making.

    Args:
        width: in px.
        height: in px.
        top: the ground's colour at the upper edge; between the edges it is interpolated.
        bottom: at the lower edge.
    """

    def __init__(self, width: int, height: int, top: Colour, bottom: Colour) -> None:
        down = np.arange(height)[:, None]
        ground = (np.array(top) * (height - 1 - down) + np.array(bottom) * down) // max(1, height - 1)
        self.pixels: Image = np.repeat(ground[:, None], width, axis=1).astype(np.uint8)

    def disc(self, x: int, y: int, radius: int, colour: Colour) -> None:
        """Draw a disc; lengths in eighths of a px.

        Args:
            x: of the centre, from the left.
            y: of the centre, from the top.
            radius: of the disc.
            colour: to fill it with.
        """
        self._fill(
            (x - radius, y - radius, x + radius, y + radius),
            lambda across, down: (across - x) ** 2 + (down - y) ** 2 <= radius**2,
            colour,
        )

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a polygon.

        Args:
            points: its corners in order, in eighths of a px.
            colour: to fill it with.
        """

        def inside(across: Units, down: Units) -> npt.NDArray[np.bool_]:
            odd = np.zeros(np.broadcast_shapes(across.shape, down.shape), np.bool_)
            for (x, y), (to_x, to_y) in zip(points, [*points[1:], points[0]], strict=True):
                side = (across - x) * (to_y - y) - (down - y) * (to_x - x)
                odd ^= ((y > down) != (to_y > down)) & ((side < 0) if to_y > y else (side > 0))
            return odd

        xs, ys = zip(*points, strict=True)
        self._fill((min(xs), min(ys), max(xs), max(ys)), inside, colour)

    def line(self, points: Sequence[Point], radius: int, colour: Colour) -> None:
        """Draw a line with round ends and corners; lengths in eighths of a px.

        Args:
            points: through which it goes.
            radius: half its width.
            colour: to draw it with.
        """
        xs, ys = zip(*points, strict=True)
        self._fill(
            (min(xs) - radius, min(ys) - radius, max(xs) + radius, max(ys) + radius),
            lambda across, down: np.logical_or.reduce(
                [_near(across, down, *ends, radius) for ends in itertools.pairwise(points)]
            ),
            colour,
        )

    def write(self, text: str, x: int, y: int, height: int, colour: Colour) -> None:
        """Write capitals and digits.

        Args:
            text: of `SIGNS`.
            x: the left end of the first sign's middle line, in eighths of a px.
            y: the upper end of it, likewise.
            height: of a capital's middle line, in px.
            colour: of the strokes, which are a sixth of the height wide.
        """
        for sign in text:
            for stroke in _STROKES[sign]:
                points = [(x + _grid(across, height), y + _grid(down, height)) for across, down in stroke]
                self.line(points, _grid(1, height), colour)
            x += _grid(_width(sign) + _GAP, height)

    def _fill(self, box: tuple[int, int, int, int], inside: Inside, colour: Colour) -> None:
        """Blend a colour over the pixels of a box (left, top, right, bottom) by how much of each lies inside."""
        height, width, _ = self.pixels.shape
        left, top = max(0, box[0] // FINE), max(0, box[1] // FINE)
        right, bottom = min(width, box[2] // FINE + 1), min(height, box[3] // FINE + 1)
        if left >= right or top >= bottom:
            return
        step = FINE // _SIDE
        across = np.arange(left * FINE + step // 2, right * FINE, step, dtype=np.int64)[None, :]
        down = np.arange(top * FINE + step // 2, bottom * FINE, step, dtype=np.int64)[:, None]
        held = inside(across, down).reshape(bottom - top, _SIDE, right - left, _SIDE).sum((1, 3))[..., None]
        under = self.pixels[top:bottom, left:right].astype(np.int64)
        whole = _SIDE * _SIDE
        self.pixels[top:bottom, left:right] = (under * (whole - held) + np.array(colour) * held + whole // 2) // whole


def outline(shape: str, x: int, y: int, radius: int) -> list[Point]:
    """Return the corners of a shape about a centre, all in eighths of a px.

    Args:
        shape: "square", "triangle" (standing on a side) or "cross" (upright).
        x: of the centre, from the left.
        y: of the centre, from the top.
        radius: half the height and half the width.
    """
    left, right, top, bottom = x - radius, x + radius, y - radius, y + radius
    if shape == "square":
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    if shape == "triangle":
        return [(x, top), (right, bottom), (left, bottom)]
    arm = radius // 3
    quarter = [(-arm, -radius), (arm, -radius), (arm, -arm)]
    corners = []
    for _ in range(4):
        corners += [(x + across, y + down) for across, down in quarter]
        quarter = [(-down, across) for across, down in quarter]
    return corners


def written(text: str, height: int) -> tuple[int, int]:
    """Return width and height of a text's middle lines in eighths of a px, as `Canvas.write` draws it.

    Args:
        text: of `SIGNS`, at least one.
        height: of a capital's middle line, in px.
    """
    units = sum(_grid(_width(sign) + _GAP, height) for sign in text[:-1]) + _grid(_width(text[-1]), height)
    return units, _grid(CAP, height)


def _grid(value: int, height: int) -> int:
    return value * height * FINE // CAP


def _width(sign: str) -> int:
    return max(x for stroke in _STROKES[sign] for x, _ in stroke)


def _near(across: Units, down: Units, one: Point, two: Point, radius: int) -> npt.NDArray[np.bool_]:
    """Say which places are no farther than `radius` from the line between two points."""
    (x, y), (dx, dy) = one, (two[0] - one[0], two[1] - one[1])
    length = dx * dx + dy * dy
    along = (across - x) * dx + (down - y) * dy
    beside = ((across - x) * dy - (down - y) * dx) ** 2 <= radius**2 * length
    found = beside & (along >= 0) & (along <= length)
    for end_x, end_y in (one, two):
        found |= (across - end_x) ** 2 + (down - end_y) ** 2 <= radius**2
    return found
