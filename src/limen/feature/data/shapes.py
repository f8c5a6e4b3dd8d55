"""Ten shapes as distances and six ways to fill them: what the procedural scenes are made of.

A shape is a function of coordinates `x` and `y` in units of its radius. It returns a distance to the outline in the
same unit, negative inside, exact near the outline except at corners; every shape lies within the unit circle.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from limen.image import Image

Field: TypeAlias = npt.NDArray[np.float32]
Shape: TypeAlias = Callable[[Field, Field], Field]


def disk(x: Field, y: Field) -> Field:
    """Return the distance to a circle of radius 1."""
    distance: Field = np.hypot(x, y) - 1
    return distance


def square(x: Field, y: Field) -> Field:
    """Return the distance to a square with its corners on the unit circle."""
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.7071)


def triangle(x: Field, y: Field) -> Field:
    """Return the distance to an equilateral triangle with its corners on the unit circle."""
    return np.maximum(-y, np.float32(0.8660254) * np.abs(x) + np.float32(0.5) * y) - np.float32(0.5)


def star(x: Field, y: Field) -> Field:
    """Return the distance to a star of five points: outer corners at radius 1, inner ones at .42."""
    fold = np.float32(2 * np.pi / 5)
    turn = np.abs(np.remainder(np.arctan2(y, x) + fold / 2, fold) - fold / 2)
    radius = np.hypot(x, y)
    inner = 0.42 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    edge = inner - (1, 0)
    normal = (np.array([edge[1], -edge[0]]) / np.hypot(*edge)).astype(np.float32)
    distance: Field = normal[0] * (radius * np.cos(turn) - 1) + normal[1] * radius * np.sin(turn)
    return distance


def cross(x: Field, y: Field) -> Field:
    """Return the distance to two crossed bars, .58 wide and 1.9 long."""
    u, v = np.abs(x), np.abs(y)
    return np.maximum(np.minimum(u, v) - np.float32(0.29), np.maximum(u, v) - np.float32(0.95))


def ring(x: Field, y: Field) -> Field:
    """Return the distance to a ring between the radii .5 and 1."""
    distance: Field = np.abs(np.hypot(x, y) - np.float32(0.75)) - np.float32(0.25)
    return distance


def crescent(x: Field, y: Field) -> Field:
    """Return the distance to a disk out of which another, moved by .5, has been cut."""
    distance: Field = np.maximum(np.hypot(x, y) - 1, np.float32(0.8) - np.hypot(x - np.float32(0.5), y))
    return distance


def heart(x: Field, y: Field) -> Field:
    """Return the distance to a heart (formula of Quilez, 2D distance functions: two arcs over a right angle)."""
    scale = np.float32(0.68)
    u, v = np.abs(x) * scale, y * scale + np.float32(0.55)
    arcs = np.hypot(u - np.float32(0.25), v - np.float32(0.75)) - np.float32(np.sqrt(2) / 4)
    foot = np.maximum(u + v, 0) / 2
    below = np.minimum(np.hypot(u, v - 1), np.hypot(u - foot, v - foot)) * np.sign(u - v)
    distance: Field = np.where(u + v > 1, arcs, below) / scale
    return distance


def arrow(x: Field, y: Field) -> Field:
    """Return the distance to an arrow along x: a shaft .4 wide and a head 1.4 wide."""
    shaft = np.maximum(np.abs(y) - np.float32(0.2), np.abs(x + np.float32(0.42)) - np.float32(0.54))
    head = np.maximum(-x, (np.float32(0.7) * (x - 1) + np.abs(y)) / np.float32(1.2207))
    distance: Field = np.minimum(shaft, head)
    return distance


def hourglass(x: Field, y: Field) -> Field:
    """Return the distance to two triangles, point to point, with a waist .2 wide."""
    side = (np.abs(x) - np.float32(0.1) - np.float32(0.65) * np.abs(y)) / np.float32(1.1927)
    distance: Field = np.maximum(side, np.abs(y) - np.float32(0.78))
    return distance


SHAPES: dict[str, Shape] = {
    "disk": disk,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
    "ring": ring,
    "crescent": crescent,
    "heart": heart,
    "arrow": arrow,
    "hourglass": hourglass,
}


def clipped(values: Field, largest: float = 1) -> Field:
    """Return values brought into 0 to `largest`."""
    within: Field = np.clip(values, 0, largest)
    return within


def cloud(rng: np.random.Generator, side: int, slope: float) -> Field:
    """Return a periodic random field (side, side), amplitude spectrum 1/f^slope, mean 0 and standard deviation 1.

    Args:
        rng: source of the white noise.
        side: in px, >= 2.
        slope: exponent of the amplitude spectrum, 0 (white) and up.
    """
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]).astype(np.float32)
    f[0, 0] = 1
    white = rng.standard_normal((2, *f.shape), dtype=np.float32)
    white[:, 0, 0] = 0
    waves = (white[0] + 1j * white[1]) * f ** np.float32(-slope)
    field: Field = np.fft.irfft2(waves, s=(side, side)).astype(np.float32)
    field /= field.std()
    return field


def piece(photographs: list[Image], rng: np.random.Generator, side: int, smallest: float) -> Field:
    """Return a square piece of a random photograph, turned and mirrored, brought to (side, side, 3).

    The piece is `smallest` to all of the photograph's shorter side; bilinear, with averaging where it is made smaller.

    Args:
        photographs: uint8 RGB (H, W, 3), one or more.
        rng: draws photograph, place, size and turn.
        side: of the result, in px.
        smallest: shortest side of the piece, as a share of the photograph's shorter side, 0 to 1.
    """
    photograph = photographs[int(rng.integers(len(photographs)))]
    height, width = photograph.shape[:2]
    cut = min(height, width) * (smallest + (1 - smallest) * float(rng.random()))
    left, top = float(rng.random()) * (width - cut), float(rng.random()) * (height - cut)
    small = Pillow.fromarray(photograph).resize(
        (side, side), Pillow.Resampling.BILINEAR, box=(left, top, left + cut, top + cut)
    )
    values = np.rot90(np.asarray(small, dtype=np.float32), int(rng.integers(4)))
    return values[:, ::-1] if rng.random() < 0.5 else values


def turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Return coordinates in a frame turned by an angle (radians).

    Args:
        x: coordinates, of any shape.
        y: coordinates, of the same shape.
        angle: in radians.
    """
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def blend(kind: str, x: Field, y: Field, period: float, phase: float) -> Field:
    """Return how much of the second colour is at each place, 0 to 1.

    Args:
        kind: "stripes" along y, "checker", "gradient" along x or "flat".
        x: coordinates in px, turned to the texture's own direction.
        y: likewise.
        period: of stripes and checker, in px; a gradient goes from end to end in two periods.
        phase: 0 to 1, moves stripes and checker.
    """
    if kind == "flat":
        return np.zeros_like(x)
    if kind == "gradient":
        return clipped(np.float32(0.5) + x / np.float32(2 * period))
    turn = np.float32(2 * np.pi / period)
    wave = np.sin(turn * x + np.float32(2 * np.pi * phase))
    if kind == "checker":
        wave = wave * np.sin(turn * y + np.float32(2 * np.pi * phase))
    return clipped(np.float32(0.5) + wave * np.float32(period / 4))
