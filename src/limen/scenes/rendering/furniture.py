"""Furniture that scenes share: each function returns patches about the origin, to be put in place with `moved`."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from limen import digest
from limen.scenes.rendering.surface import Floats, Patch, box, moved, pillow, quad, revolve, sheet, tube


def scaled(patches: list[Patch], scale: float) -> list[Patch]:
    """Return patches made larger or smaller about the origin."""
    return [replace(p, points=p.points * scale, lengths=p.lengths * scale) for p in patches]


def bent(points: Sequence[tuple[float, float, float]]) -> Floats:
    """Round a polyline by cutting its corners twice (Chaikin 1974)."""
    line = np.asarray(points)
    for _ in range(2):
        cut = np.stack([0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]], axis=1)
        line = np.concatenate([line[:1], cut.reshape(-1, 3), line[-1:]])
    return line


def chair(cloth: str, metal: str, arms: str) -> list[Patch]:
    """A chair that looks along +y from the origin.

    Args:
        cloth: material of seat and back.
        metal: material of the legs.
        arms: material of the arm rests.
    """
    made = pillow((0, 0, 0.455), (0.245, 0.235, 0.045), cloth, texel=0.03)
    back = pillow((0, 0, 0), (0.225, 0.03, 0.24), cloth, squareness=(0.5, 0.4), texel=0.03)
    curved = []
    for patch in back:
        points = patch.points.copy()
        points[..., 1] += 0.9 * points[..., 0] ** 2
        curved.append(sheet(points, cloth, closed=True, texel=0.03))
    made += moved(curved, (0, -0.25, 0.78), pitch=12)
    for side in (-1, 1):
        leg = [(side * 0.21, 0.23, 0.012), (side * 0.215, 0.2, 0.3), (side * 0.215, 0.19, 0.43)]
        rear = [
            (side * 0.21, -0.27, 0.012),
            (side * 0.2, -0.2, 0.43),
            (side * 0.17, -0.235, 0.62),
            (side * 0.17, -0.27, 0.8),
        ]
        for path in (leg, rear):
            made += tube(bent(path), 0.0125, metal, sides=10, texel=0.06)
        arm = [
            (side * 0.245, 0.15, 0.44),
            (side * 0.27, 0.17, 0.6),
            (side * 0.27, 0.1, 0.655),
            (side * 0.265, -0.2, 0.665),
        ]
        made += tube(bent(arm), 0.014, arms, sides=10, texel=0.05)
    return made


def plant(leaves: int, scale: float, name: str, *, pot: str, soil: str, leaf: str) -> list[Patch]:
    """A pot with long leaves on stalks, about 1.3 m high at scale 1.

    Args:
        leaves: how many, >= 0.
        scale: > 0; 1 is about 1.3 m high.
        name: any text; draws the leaves.
        pot: material of the pot.
        soil: material of the soil.
        leaf: material of the leaves.
    """
    profile = [
        (0.0, 0.0),
        (0.13, 0.0),
        (0.18, 0.34),
        (0.19, 0.34),
        (0.19, 0.38),
        (0.165, 0.38),
        (0.16, 0.32),
        (0.0, 0.32),
    ]
    made = revolve(profile[:6], (0, 0, 0), pot) + revolve(profile[5:], (0, 0, 0), soil)
    rng = digest.generator("plant", name)
    for k in range(leaves):
        turn, lean, long = 2.4 * k + rng.uniform(-0.3, 0.3), rng.uniform(0.25, 1.0), rng.uniform(0.5, 0.95)
        made += _leaf(turn, lean, long, 0.34 + 0.012 * k, leaf)
    return scaled(made, scale)


def _leaf(turn: float, lean: float, long: float, foot: float, material: str) -> list[Patch]:
    t = np.linspace(0, 1, 17)
    out, up = lean * 0.55 * t**1.6 * long * 1.6, foot + long * 1.35 * t - 0.9 * lean * long * t**2.6
    direction, across = np.array([math.cos(turn), math.sin(turn), 0]), np.array([-math.sin(turn), math.cos(turn), 0])
    spine = out[:, None] * direction + up[:, None] * np.array([0, 0, 1.0])
    wide = 0.012 + 0.1 * np.clip((t - 0.25) / 0.75, 0, 1) ** 0.6 * np.sqrt(np.clip(1 - t, 0, 1)) * 1.6 * (
        0.6 + long / 2
    )
    along = np.gradient(spine, axis=0)
    normal = np.cross(along, across)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    angle = np.linspace(0, 2 * math.pi, 17)
    ring = np.cos(angle)[None, :, None] * across * wide[:, None, None]
    ring = ring + (np.abs(np.cos(angle)) ** 2 * 0.25)[None, :, None] * normal[:, None] * -wide[:, None, None]
    lens = np.sin(angle)[None, :, None] * normal[:, None] * 0.004
    return [sheet(spine[:, None] + ring + lens, material, closed=True, texel=0.035)]


def curtain(wide: float, tall: float, cloth: str) -> list[Patch]:
    """A folded curtain from x = 0 to `wide`, whose front faces -y.

    Args:
        wide: in metres, > 0.
        tall: in metres, > 0.
        cloth: a name in the world's materials.
    """
    x = np.linspace(0, wide, 97)
    z = np.linspace(0, tall, 13)
    fold = 0.045 * np.sin(x / wide * 2 * math.pi * 5.5 + 0.4 * np.sin(x / wide * 5))
    grid = np.empty((len(z), len(x), 3))
    open_out = 0.6 + 0.4 * (1 - z / tall)[:, None]
    grid[..., 0], grid[..., 2] = x[None, :], z[:, None]
    grid[..., 1] = -fold[None, :] * open_out
    back = grid + np.array([0, 0.006, 0])
    return [sheet(grid, cloth, texel=0.025), sheet(back, cloth, flip=True, texel=0.06)]


def books(wide: float, deep: float, tall: float, spines: Sequence[str], page: str, name: str) -> list[Patch]:
    """A row of books from x = 0 to about `wide`, backs at y = 0, spines towards +y; some lean, some lie.

    Args:
        wide: of the row, in metres.
        deep: of the shelf, in metres.
        tall: of the shelf, in metres.
        spines: materials, one or more.
        page: material of the labels.
        name: any text; draws the books.
    """
    rng = digest.generator("books", name)
    made: list[Patch] = []
    x = 0.0
    while x < wide - 0.05:
        thick, high, far = rng.uniform(0.018, 0.05), tall * rng.uniform(0.68, 0.95), deep * rng.uniform(0.72, 0.95)
        spine = spines[int(rng.integers(len(spines)))]
        made += box((x + 0.001, 0.0, 0.0), (x + thick - 0.001, far, high), spine, bevel=0.004, texel=0.06)
        made.append(
            quad((x + thick - 0.004, far + 0.0005, high * 0.72), (0.008 - thick, 0, 0), (0, 0, high * 0.08), page)
        )
        x += thick + (rng.uniform(0.05, 0.12) if rng.random() < 0.06 else 0.0)
    return made


def cup(material: str, *, radius: float = 0.04, tall: float = 0.095) -> list[Patch]:
    """A mug with a handle.

    Args:
        material: a name in the world's materials.
        radius: in metres, > .005.
        tall: in metres, > .01.
    """
    r, t = radius, tall
    profile = [
        (0.0, 0.0),
        (r * 0.8, 0.0),
        (r * 0.95, 0.006),
        (r, t * 0.5),
        (r, t),
        (r - 0.004, t),
        (r - 0.005, 0.01),
        (0.0, 0.01),
    ]
    turn = np.linspace(-1.9, 1.9, 13)
    handle = np.stack(
        [r - 0.004 + 0.028 * np.cos(turn * 0.85), 0 * turn, t * 0.5 + 0.03 * np.sin(turn * 0.85)], axis=-1
    )
    return revolve(profile, (0, 0, 0), material, segments=24, texel=0.02) + tube(handle, 0.0055, material, sides=8)


def pendant(drop: float, outer: str, inner: str, bulb: str) -> list[Patch]:
    """A lamp that hangs `drop` metres from the origin: cable, metal shade, bulb.

    Args:
        drop: in metres, > .21.
        outer: material of the cable and the outside.
        inner: material of the inside.
        bulb: material of the bulb.
    """
    shade = [(0.025, 0.22), (0.06, 0.2), (0.11, 0.14), (0.16, 0.05), (0.175, 0.0)]
    low = (0.0, 0.0, -drop)
    made = tube([(0, 0, -drop + 0.21), (0, 0, 0)], 0.004, outer, sides=8, caps=False, texel=0.3)
    made += revolve(shade[::-1], low, outer, texel=0.04) + revolve(
        [(r - 0.003, z) for r, z in shade], low, inner, texel=0.04
    )
    made += revolve([(0.0, 0.225), (0.025, 0.22)][::-1], low, outer) + pillow(
        (0, 0, -drop + 0.07), (0.045, 0.045, 0.05), bulb, squareness=(1, 1), segments=16
    )
    return made
