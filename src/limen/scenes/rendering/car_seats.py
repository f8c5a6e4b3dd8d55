"""What the inside of a vehicle is made of: padded seats, swept trim, cords, belts.

Parts seen from a driver are built in the viewer's frame (x right, y away, z up) and put in place with `facing`, which
turns it into that of a car (x forward, y left, z up).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from limen.scenes.rendering.furniture import bent
from limen.scenes.rendering.surface import Floats, Patch, Vector, box, moved, sheet, tube, unit

_EDGE = 0.6  # of a seat's half width: where the insert ends and the bolster begins
_SQUARE = 0.45  # exponent of a cushion's section


@dataclass(frozen=True, slots=True)
class Trim:
    """Names of the materials a seat is made of."""

    insert: str
    leather: str
    piping: str
    shell: str
    metal: str


def facing(patches: list[Patch], offset: Vector, *, pitch: float = 0.0, yaw: float = 0.0) -> list[Patch]:
    """Put parts of the viewer's frame into a car; a positive pitch leans their tops towards the viewer.

    Args:
        patches: parts, in metres.
        offset: (x, y, z) of their origin in the car, in metres.
        pitch: in degrees.
        yaw: in degrees, to the left.
    """
    return moved(patches, offset, yaw=yaw - 90, pitch=pitch)


def mirrored(patches: list[Patch]) -> list[Patch]:
    """Return patches reflected in the plane y = 0, still facing outwards."""
    flip = np.array([1.0, -1.0, 1.0])
    made = []
    for p in patches:
        light = p.light[0][-1] - p.light[0][::-1], p.light[1]
        cells = None if p.cells is None else p.cells[:, ::-1]
        points, normals = p.points[:, ::-1] * flip, p.normals[:, ::-1] * flip
        made.append(replace(p, points=points, normals=normals, lengths=p.lengths[:, ::-1], light=light, cells=cells))
    return made


def oval(wide: float, deep: float, square: float = 0.5, count: int = 24) -> Floats:
    """Return a closed superellipse (count + 1, 2) of half axes `wide` and `deep`; 1 is an ellipse, 0 a rectangle.

    Args:
        wide: half axis along the first axis, in metres, > 0.
        deep: half axis along the second one, in metres, > 0.
        square: exponent, 0 (rectangle) to 1 (ellipse).
        count: edges, >= 3.
    """
    turn = np.linspace(0, 2 * math.pi, count + 1)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([wide * np.sign(c) * np.abs(c) ** square, deep * np.sign(s) * np.abs(s) ** square], axis=-1)


def swept(
    path: Sequence[Vector] | Floats, section: Floats, material: str, side: Vector, *, texel: float = 0.03
) -> list[Patch]:
    """Sweep a closed section (n, 2), or one for each point of the path (m, n, 2), along a path (m, 3).

    The section's first axis is `side`, made square to the path; its second one completes a right-handed frame.

    Args:
        path: (m, 3) points, in metres, m >= 2.
        section: (n, 2) or (m, n, 2), in metres, closed.
        material: a name in the world's materials.
        side: (3,) direction, not along the path.
        texel: metres between nodes of the light map, > 0.
    """
    line = np.asarray(path, dtype=np.float64)
    along = unit(np.gradient(line, axis=0))
    first = unit(np.asarray(side, dtype=np.float64) - (along @ np.asarray(side))[:, None] * along)
    shape = np.broadcast_to(section, (len(line), *section.shape[-2:]))
    skin = line[:, None] + shape[..., :1] * first[:, None] + shape[..., 1:] * np.cross(along, first)[:, None]
    made = [sheet(skin, material, closed=True, texel=texel)]
    for end, flip in ((0, False), (-1, True)):
        disc = np.stack([np.broadcast_to(line[end], skin[end].shape), skin[end]])
        made.append(sheet(disc, material, closed=True, flip=flip, texel=texel))
    return made


def cord(
    path: Sequence[Vector] | Floats, radius: float | Sequence[float], material: str, *, sides: int = 8
) -> list[Patch]:
    """Make a thin tube without ends, with eight nodes of light round it: fewer would be lit from one side alone.

    Args:
        path: (n, 3) points, in metres, n >= 2.
        radius: in metres, > 0: one, or one for each point.
        material: a name in the world's materials.
        sides: of the cross-section, >= 3.
    """
    skin = tube(path, radius, material, sides=sides, caps=False)[0]
    return [replace(skin, light=(np.linspace(0.0, 8.0, sides + 1), skin.light[1]))]


def strips(
    points: Floats, cuts: Sequence[tuple[int, int, str]], *, columns: bool = False, closed: bool = False, texel: float
) -> list[Patch]:
    """Make one smooth surface of several materials, each from one row (or column) to another, both included.

    Args:
        points: (rows, columns, 3), in metres.
        cuts: (first, last, material) of each strip, by index.
        columns: whether the indices are columns, not rows.
        closed: whether the last column is the first again.
        texel: metres between nodes of the light map, > 0.
    """
    whole = sheet(points, "", closed=closed)
    made = []
    for first, last, material in cuts:
        part = (slice(None), slice(first, last + 1)) if columns else (slice(first, last + 1), slice(None))
        made.append(replace(sheet(points[part], material, texel=texel), normals=whole.normals[part]))
    return made


def cushion(
    spine: Sequence[Vector],
    half: Sequence[float],
    deep: Sequence[float],
    trim: Trim,
    *,
    bolster: float = 0.0,
    channels: int = 0,
    ends: float = 7.0,
    texel: float = 0.02,
) -> list[Patch]:
    """Make a padded part of a seat along a spine in the plane of x and z; its front is to the left of the spine's way.

    Args:
        spine: (x, y, z) points, in metres; rounded and spread evenly.
        half: half width along y at each point of the spine, in metres.
        deep: half thickness there, in metres.
        trim: materials; the insert is the middle of the front.
        bolster: metres by which the sides of the front stand higher, >= 0.
        channels: sewn ribs across the insert, >= 0.
        ends: exponent of the ends, > 0: the larger, the squarer.
        texel: metres between nodes of the light map, > 0.
    """
    line, t = _spread(np.asarray(spine, dtype=np.float64), 12 + 6 * channels)
    knots = np.linspace(0, 1, len(half))
    closing = (1 - np.abs(2 * t - 1) ** ends) ** (1 / ends)
    wide = (np.interp(t, knots, half) * closing)[:, None]
    thick = (np.interp(t, knots, deep) * closing)[:, None]
    along = unit(np.gradient(line, axis=0))
    front = np.stack([along[:, 2], 0 * t, -along[:, 0]], axis=-1)
    inner = np.linspace(-_EDGE, _EDGE, 21)
    start = math.asin(_EDGE ** (1 / _SQUARE))
    angle = np.concatenate(
        [np.arcsin(np.sign(inner) * np.abs(inner) ** (1 / _SQUARE)), np.linspace(start, 2 * math.pi - start, 37)[1:]]
    )
    c, s = (np.sign(a) * np.abs(a) ** _SQUARE for a in (np.cos(angle), np.sin(angle)))
    lift = thick + np.where(c > 0, _relief(t, s, bolster, channels), 0) * closing[:, None]
    points = line[:, None] + (lift * c)[..., None] * front[:, None] + (wide * s)[..., None] * np.array([0, 1.0, 0])
    edge, last = len(inner) - 1, len(angle) - 1
    made = strips(points, [(0, edge, trim.insert), (edge, last, trim.leather)], columns=True, closed=True, texel=texel)
    if bolster or channels:
        for column in (0, edge):
            made += cord(points[3:-3, column], 0.0032, trim.piping, sides=6)
    return made


def _spread(spine: Floats, count: int) -> tuple[Floats, Floats]:
    """Return a smooth line (count, 3), closer at its ends, and the share of its length at each point."""
    line = bent([(float(x), float(y), float(z)) for x, y, z in spine])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    tau = np.linspace(0, 1, count)
    t = 0.55 * tau + 0.45 * (0.5 - 0.5 * np.cos(math.pi * tau))
    return np.stack([np.interp(t, length / length[-1], line[:, k]) for k in range(3)], axis=-1), t


def _relief(t: Floats, s: Floats, bolster: float, channels: int) -> Floats:
    """Return how much a front stands out (rows, columns): bolsters, the seam beside them, ribs."""
    out = np.clip((np.abs(s) - 0.52) / 0.34, 0, 1)
    rise = np.clip(np.minimum(t / 0.12, (1 - t) / 0.12), 0, 1)[:, None]
    relief = bolster * (out * out * (3 - 2 * out)) * (0.35 + 0.65 * rise)
    relief = relief - 0.007 * np.exp(-(((np.abs(s) - _EDGE) / 0.04) ** 2)) * rise
    if channels:
        inside = np.clip((_EDGE - np.abs(s)) / 0.08, 0, 1)
        relief = relief + 0.009 * inside * (np.abs(np.sin(math.pi * channels * t)) ** 0.5)[:, None] * rise
    rounded: Floats = relief
    return rounded


def seat(trim: Trim, *, lever: bool = True) -> list[Patch]:
    """A front seat that looks along +x, its cushion over the origin, 1.2 m high with its head rest."""
    made = cushion(
        [(0.29, 0, 0.33), (0.26, 0, 0.352), (0.0, 0, 0.345), (-0.2, 0, 0.33), (-0.26, 0, 0.34)],
        [0.25, 0.262, 0.265, 0.25, 0.23],
        [0.06, 0.078, 0.075, 0.07, 0.06],
        trim,
        bolster=0.045,
        channels=5,
    )
    made += cushion(
        [(-0.2, 0, 0.33), (-0.255, 0, 0.5), (-0.335, 0, 0.8), (-0.4, 0, 1.02)],
        [0.245, 0.262, 0.262, 0.25, 0.2],
        [0.06, 0.068, 0.062, 0.055, 0.05],
        trim,
        bolster=0.055,
        channels=7,
    )
    made += head_rest(trim, (-0.4, 0, 1.02))
    hard = replace(trim, insert=trim.shell, leather=trim.shell)
    made += cushion([(-0.285, 0, 0.4), (-0.33, 0, 0.6), (-0.41, 0, 0.88)], [0.2, 0.21, 0.19], [0.045, 0.05, 0.04], hard)
    made += cushion(
        [(-0.33, 0, 0.42), (-0.362, 0, 0.55), (-0.4, 0, 0.68)], [0.165, 0.175, 0.18], [0.03, 0.032, 0.022], trim
    )
    made += cord([(-0.427, y, 0.683 - 0.6 * y * y) for y in np.linspace(-0.17, 0.17, 15)], 0.005, trim.piping)
    made += box((-0.22, -0.19, 0.07), (0.22, 0.19, 0.31), trim.shell, bevel=0.03)
    for y in (-0.21, 0.21):
        made += box((-0.3, y - 0.025, 0.005), (0.3, y + 0.025, 0.035), trim.metal, bevel=0.006)
        shield = [(0.2, y * 1.17, 0.27), (0.0, y * 1.2, 0.255), (-0.2, y * 1.2, 0.29), (-0.25, y * 1.18, 0.36)]
        made += swept(bent(shield), oval(0.05, 0.022), trim.shell, (0, 0, 1))
    if lever:
        made += tube(
            bent([(0.26, 0.06, 0.24), (0.33, 0.06, 0.235), (0.33, -0.06, 0.235), (0.26, -0.06, 0.24)]),
            0.008,
            trim.metal,
        )
    return made


def head_rest(trim: Trim, foot: tuple[float, float, float]) -> list[Patch]:
    """A head rest on two posts that stand on `foot`."""
    x, y, z = foot
    soft = replace(trim, insert=trim.leather)
    made = cushion(
        [(x - 0.008, y, z + 0.035), (x + 0.004, y, z + 0.1), (x + 0.004, y, z + 0.175)],
        [0.108, 0.122, 0.115],
        [0.04, 0.048, 0.036],
        soft,
        ends=3.5,
    )
    for side in (-0.06, 0.06):
        made += tube([(x - 0.004, y + side, z - 0.04), (x + 0.002, y + side, z + 0.1)], 0.006, trim.metal, sides=10)
    return made


def strap(path: Sequence[Vector], material: str, side: Vector, *, wide: float = 0.047) -> list[Patch]:
    """A belt along a path, whose width runs along `side`.

    Args:
        path: points, in metres; rounded.
        material: a name in the world's materials.
        side: (3,) direction of the width.
        wide: in metres, > 0.
    """
    line = bent([(float(p[0]), float(p[1]), float(p[2])) for p in path])
    half = unit(np.asarray(side, dtype=np.float64)) * wide / 2
    return [sheet(np.stack([line - half, line + half]), material, texel=0.03)]


def ring(wide: float, tall: float, radius: float, thick: float, material: str) -> list[Patch]:
    """A rounded rectangular rim in the viewer's frame, `radius` at its corners.

    Args:
        wide: half width, in metres, > `radius`.
        tall: half height, in metres, > `radius`.
        radius: of the corners, in metres.
        thick: radius of the rim itself, in metres.
        material: a name in the world's materials.
    """
    turn = np.linspace(0, 2 * math.pi, 41)[:-1]
    x = np.cos(turn) * radius + np.sign(np.round(np.cos(turn), 9)) * (wide - radius)
    z = np.sin(turn) * radius + np.sign(np.round(np.sin(turn), 9)) * (tall - radius)
    path = np.stack([x, 0 * x, z], axis=-1)
    return cord(np.concatenate([path, path[:1]]), thick, material, sides=10)
