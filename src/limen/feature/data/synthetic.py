"""Procedural scenes with exact classes, boxes and masks: shapes with textures over photographs and clouds.

A scene depends on its seed, its index, the settings and the photographs alone, byte for byte: not on which others
are drawn with it, nor on their order. So scenes are not stored but drawn again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limen import digest
from limen.errors import InputError
from limen.feature.data.shapes import SHAPES, Field, Shape, blend, clipped, cloud, piece, turned
from limen.image import Image, check, load

CLASSES = tuple(SHAPES)
VISIBLE = 0.6  # of an object's pixels at least are not covered by others
TEXTURES = ("flat", "stripes", "checker", "gradient", "cloud", "photo")
MOST = 5  # objects
SMALLEST = 32  # px
_PHOTOGRAPHS = Path(__file__).parents[2] / "data" / "demo" / "photographs"
_SHAPES = tuple(SHAPES.values())
_TRIES = 24  # places looked at for an object


@dataclass(frozen=True, slots=True)
class SyntheticScene:
    """An image and what is in it; objects are in the order of painting, the last is in front.

    Attributes:
        image: uint8 RGB (S, S, 3).
        labels: int64 (M,), indices into `CLASSES`.
        boxes: float32 (M, 4), left, top, right, bottom in px around the visible mask; right and bottom lie behind the
            last pixel.
        masks: bool (M, S, S), the visible part of each object.
    """

    image: Image
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]


def photographs() -> list[Image]:
    """Return the photographs that ship with limen (64 px crops): none of the shipped nets has seen them."""
    return [load(file) for file in sorted(_PHOTOGRAPHS.glob("*.png"))]


def draw(
    backgrounds: Sequence[Image],
    seed: str | int,
    indices: Iterable[int],
    side: int,
    objects: tuple[int, int] = (1, 1),
    classes: int = 10,
) -> list[SyntheticScene]:
    """Draw the scenes with these indices.

    Each has a photograph (70 %) or a coloured 1/f cloud behind it. Objects are turned and stretched at random, lie
    wholly inside the image, and are at least `VISIBLE` visible. Their colours are chosen away from the mean colour
    behind them, and brought nearer to it again by up to 60 %.

    Args:
        backgrounds: photographs, uint8 RGB, for backgrounds and textures.
        seed: names the set of scenes: any int or text.
        indices: of the scenes in the set, each >= 0.
        side: of the square image, in px.
        objects: fewest and most objects, within 1 to 5.
        classes: how many of `CLASSES` are used, from the first, >= 1.

    Raises:
        InputError: for settings out of range, or without photographs.
    """
    if not backgrounds:
        raise InputError("Scenes need at least one photograph, none was given: pass scenes.photographs().")
    if side < SMALLEST:
        raise InputError(f"A scene of {side} px a side was asked for: shapes need at least {SMALLEST}.")
    fewest, most = objects
    if not 1 <= fewest <= most <= MOST:
        raise InputError(f"Scenes hold 1 to {MOST} objects, not {fewest} to {most}: give two such numbers in order.")
    if not 1 <= classes <= len(CLASSES):
        raise InputError(f"There are {len(CLASSES)} classes of shapes, {classes} were asked for: give 1 to 10.")
    known = [check(image, "background") for image in backgrounds]
    return [_scene(known, digest.generator("scene", seed, index), side, objects, classes) for index in indices]


@dataclass(frozen=True, slots=True)
class _Form:
    """One object: a shape at its place. Lengths in px; `stretch` narrows it along its own y."""

    shape: Shape
    centre: tuple[float, float]
    radius: float
    angle: float
    stretch: float

    def window(self, side: int) -> tuple[slice, slice]:
        """Return the rows and columns that it can touch."""
        rows, columns = (
            slice(max(0, int(at - self.radius) - 1), min(side, int(at + self.radius) + 3)) for at in self.centre[::-1]
        )
        return rows, columns

    def grid(self, window: tuple[slice, slice]) -> tuple[Field, Field]:
        """Return x and y of the window's pixel centres from the object's centre, in px."""
        x = np.arange(window[1].start, window[1].stop, dtype=np.float32) + np.float32(0.5 - self.centre[0])
        y = np.arange(window[0].start, window[0].stop, dtype=np.float32) + np.float32(0.5 - self.centre[1])
        return np.broadcast_to(x, (len(y), len(x))), np.broadcast_to(y[:, None], (len(y), len(x)))

    def cover(self, window: tuple[slice, slice]) -> Field:
        """Return the share of each pixel of the window that it covers, 0 to 1."""
        x, y = turned(*self.grid(window), self.angle)
        distance = self.shape(x / np.float32(self.radius), y / np.float32(self.radius * self.stretch))
        return clipped(np.float32(0.5) - distance * np.float32(self.radius * self.stretch))


def _scene(
    backgrounds: list[Image], rng: np.random.Generator, side: int, objects: tuple[int, int], classes: int
) -> SyntheticScene:
    """Draw one scene; an object that would hide too much of those behind it is made smaller."""
    field = cloud(rng, side, float(rng.uniform(1.0, 1.8)))
    canvas = _background(backgrounds, rng, field)
    count = int(rng.integers(objects[0], objects[1] + 1))
    labels = rng.integers(0, classes, count)
    masks = np.zeros((count, side, side), np.bool_)
    sizes = np.zeros(count)
    forms: list[_Form] = []
    for number, label in enumerate(labels):
        form = _place(_SHAPES[label], forms, rng, side * (0.40 if count == 1 else 0.46 / count**0.5), side)
        while True:
            window = form.window(side)
            alpha = form.cover(window)
            masks[number] = False
            masks[number][window] = alpha >= 0.5
            left = masks[:number] & ~masks[number]
            if (left.sum((1, 2)) >= VISIBLE * sizes[:number]).all():
                break
            form = replace(form, radius=0.85 * form.radius)
        masks[:number] = left
        sizes[number] = masks[number].sum()
        forms.append(form)
        below = canvas[window]
        canvas[window] = below + alpha[..., None] * (_fill(backgrounds, rng, form, window, field, below) - below)
    image = np.rint(clipped(canvas, 255)).astype(np.uint8)
    return SyntheticScene(image, labels.astype(np.int64), boxes_of(masks), masks)


def _background(backgrounds: list[Image], rng: np.random.Generator, field: Field) -> Field:
    """Return a photograph's piece, or the cloud between two colours, float (S, S, 3) in grey levels."""
    if rng.random() < 0.7:
        return piece(backgrounds, rng, len(field), 0.5).copy()
    low, high = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    share = clipped(np.float32(0.5) + np.float32(0.25) * field)[..., None]
    mixed: Field = low + share * (high - low)
    return mixed


def _place(shape: Shape, others: list[_Form], rng: np.random.Generator, largest: float, side: int) -> _Form:
    """Return an object wholly inside the image, at the first place tried that is hardly covered, or the best."""
    radius = largest * float(rng.uniform(0.5, 1.0))
    places = radius + 1 + rng.random((_TRIES, 2)) * (side - 2 * radius - 2)
    room = np.full(_TRIES, np.inf)
    for other in others:
        away = np.hypot(*(places - other.centre).T)
        room = np.minimum(room, away - 0.8 * (radius + other.radius))
    best = int(np.argmax(room >= 0)) if (room >= 0).any() else int(np.argmax(room))
    centre = (float(places[best, 0]), float(places[best, 1]))
    return _Form(shape, centre, radius, float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.85, 1.0)))


def _fill(
    backgrounds: list[Image],
    rng: np.random.Generator,
    form: _Form,
    window: tuple[slice, slice],
    field: Field,
    below: Field,
) -> Field:
    """Return the object's colours over its window, float (h, w, 3): two inks, away from the mean colour below."""
    behind = below.mean((0, 1))
    contrast = np.float32(rng.uniform(0.4, 1.0))
    ink = _away(rng.uniform(0, 255, (3, 3)), behind)
    step = rng.standard_normal((3, 3))
    step *= rng.uniform(40, 110, (3, 1)) / np.linalg.norm(step, axis=1, keepdims=True)
    other = behind + contrast * (_away(np.clip(ink + step, 0, 255), behind) - behind)
    ink = behind + contrast * (ink - behind)
    kind = TEXTURES[int(rng.integers(len(TEXTURES)))]
    height, width = below.shape[:2]
    if kind == "photo":
        patch = piece(backgrounds, rng, max(height, width), 0.3)[:height, :width]
        return clipped(ink + np.float32(0.7) * (patch - patch.mean((0, 1))), 255)
    if kind == "cloud":
        share = clipped(np.float32(0.5) + np.float32(0.4) * field[::-1, ::-1][window])
    else:
        x, y = turned(*form.grid(window), float(rng.uniform(0, 2 * np.pi)))
        period = max(4.0, form.radius * float(rng.uniform(0.35, 0.9))) if kind != "gradient" else form.radius
        share = blend(kind, x, y, period, float(rng.random()))
    mixed: Field = ink + share[..., None] * (other - ink)
    return mixed


def _away(colours: npt.NDArray[np.float64], behind: Field) -> Field:
    """Return the colour farthest from the one behind."""
    farthest: Field = colours[int(np.argmax(((colours - behind) ** 2).sum(1)))].astype(np.float32)
    return farthest


def boxes_of(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return boxes float32 (M, 4), left, top, right, bottom in px, around masks (M, H, W) that are not empty."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for axis in (0, 1):
        taken = np.asarray(masks.any(axis=1 + axis))  # columns, then rows
        boxes[:, axis] = taken.argmax(1)
        boxes[:, 2 + axis] = taken.shape[1] - taken[:, ::-1].argmax(1)
    return boxes
