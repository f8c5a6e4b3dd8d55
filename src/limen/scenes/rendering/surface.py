"""Surfaces: every one is a grid of points with smooth normals, lengths in metres, and a light map of its own.

A quad is a grid of 2 x 2, a bevelled box six grids, a vase a profile turned round an axis, a chair leg a tube swept
along a path, a dashboard a loft of curves. Light is kept on nodes of the light map, the outermost of which lie on the
border of the grid, so that two patches that share a border share its light and no seam shows.

Front sides face along (d point / d column) x (d point / d row).
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from limen.errors import InputError

Floats = npt.NDArray[np.float64]
Vector = Sequence[float] | Floats

TEXEL = 0.05  # metres between nodes of the light map, unless a patch says otherwise
_LARGEST = 320  # nodes a side


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A grid surface.

    Attributes:
        points: (rows, columns, 3), metres.
        normals: (rows, columns, 3), unit length, pointing to the front.
        lengths: (rows, columns, 2), metres along columns and rows: where textures are looked up.
        light: node of the light map under each column and under each row, from 0 to the last node.
        material: a name in the world's materials.
        round: the last column is the first again.
        bevelled: the outermost cells are a bevel, whose light is not smoothed into that of the face.
        cells: which cells exist (rows - 1, columns - 1); None for all.
    """

    points: Floats
    normals: Floats
    lengths: Floats
    light: tuple[Floats, Floats]
    material: str
    round: bool = False
    bevelled: bool = False
    cells: npt.NDArray[np.bool_] | None = None

    @property
    def nodes(self) -> tuple[int, int]:
        """Rows and columns of the light map."""
        return round(self.light[1][-1]) + 1, round(self.light[0][-1]) + 1

    def at(self, column: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Return points and normals at places of the light map, arrays of one shape (..., 3)."""
        x = np.interp(column, self.light[0], np.arange(len(self.light[0])))
        y = np.interp(row, self.light[1], np.arange(len(self.light[1])))
        i = np.minimum(y.astype(int), self.points.shape[0] - 2)
        j = np.minimum(x.astype(int), self.points.shape[1] - 2)
        fx, fy = (x - j)[..., None], (y - i)[..., None]

        def mix(grid: Floats) -> Floats:
            upper = grid[i, j] * (1 - fx) + grid[i, j + 1] * fx
            lower = grid[i + 1, j] * (1 - fx) + grid[i + 1, j + 1] * fx
            mixed: Floats = upper * (1 - fy) + lower * fy
            return mixed

        return mix(self.points), unit(mix(self.normals))


def unit(vectors: Floats) -> Floats:
    """Scale vectors (..., 3) to length one; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = vectors / np.maximum(length, 1e-12)
    return scaled


def sheet(
    points: Floats,
    material: str,
    *,
    closed: bool = False,
    flip: bool = False,
    texel: float = TEXEL,
    cells: npt.NDArray[np.bool_] | None = None,
) -> Patch:
    """Make a patch of a grid of points (rows, columns, 3), with normals that are smooth over the whole grid.

    Args:
        points: (rows, columns, 3), in metres, at least 2 x 2; rows may shrink to one point (a pole).
        material: a name in the world's materials.
        closed: the last column repeats the first one.
        flip: turn the front to the other side.
        texel: metres between nodes of the light map, > 0.
        cells: (rows - 1, columns - 1), which cells exist; None for all.
    """
    grid = np.asarray(points, dtype=np.float64)
    if grid.ndim != 3 or min(grid.shape[:2]) < 2 or grid.shape[2] != 3:
        raise InputError(f"A sheet is a grid of points (rows, columns, 3), at least 2 x 2, not {grid.shape}.")
    if flip:
        grid = grid[:, ::-1]
        cells = None if cells is None else cells[:, ::-1]
    lengths = _lengths(grid)
    return Patch(grid, _normals(grid, closed), lengths, _nodes(lengths, texel), material, closed, False, cells)


def _normals(grid: Floats, closed: bool) -> Floats:
    """Return normals of the grid's points: of the cells around each, weighted by area."""
    face = np.cross(grid[:-1, 1:] - grid[1:, :-1], grid[1:, 1:] - grid[:-1, :-1])
    sums = np.zeros_like(grid)
    for i in (0, 1):
        for j in (0, 1):
            sums[i : i + face.shape[0], j : j + face.shape[1]] += face
    if closed:
        sums[:, 0] += sums[:, -1]
        sums[:, -1] = sums[:, 0]
    for row in (0, -1):  # a pole: all columns are one point
        if np.ptp(grid[row], axis=0).max() < 1e-9:
            sums[row] = sums[row].sum(axis=0)
    return unit(sums)


def _lengths(grid: Floats) -> Floats:
    """Return metres along columns and rows, the same for all rows (columns): of the longest one."""
    along = np.linalg.norm(np.diff(grid, axis=1), axis=-1).max(axis=0)
    down = np.linalg.norm(np.diff(grid, axis=0), axis=-1).max(axis=1)
    u, v = np.concatenate([[0.0], np.cumsum(along)]), np.concatenate([[0.0], np.cumsum(down)])
    return np.stack(np.meshgrid(u, v), axis=-1)


def _nodes(lengths: Floats, texel: float) -> tuple[Floats, Floats]:
    def one(metres: Floats) -> Floats:
        count = min(_LARGEST, max(2, math.ceil(metres[-1] / texel) + 1))
        places: Floats = metres / max(float(metres[-1]), 1e-9) * (count - 1)
        return places

    return one(lengths[0, :, 0]), one(lengths[:, 0, 1])


def quad(corner: Vector, along: Vector, up: Vector, material: str, *, texel: float = TEXEL) -> Patch:
    """Make a parallelogram from a corner and two edges; its front faces along x up.

    Args:
        corner: (3,), in metres.
        along: (3,) edge, in metres.
        up: (3,) edge, in metres.
        material: a name in the world's materials.
        texel: metres between nodes of the light map, > 0.
    """
    start, u, v = (np.asarray(a, dtype=np.float64) for a in (corner, along, up))
    return sheet(np.array([[start, start + u], [start + v, start + u + v]]), material, texel=texel)


def wall(
    corner: Vector,
    along: Vector,
    up: Vector,
    material: str,
    holes: Iterable[tuple[float, float, float, float]] = (),
    *,
    texel: float = TEXEL,
) -> Patch:
    """Make a rectangle with rectangular holes (left, right, bottom, top, in metres): one surface, one light map.

    Args:
        corner: (3,), in metres.
        along: (3,) edge, in metres.
        up: (3,) edge, in metres, square to `along`.
        material: a name in the world's materials.
        holes: (left, right, bottom, top) each, in metres from the corner.
        texel: metres between nodes of the light map, > 0.
    """
    start, u, v = (np.asarray(a, dtype=np.float64) for a in (corner, along, up))
    size = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    gaps = list(holes)
    x = np.unique([0.0, size[0], *(value for gap in gaps for value in gap[:2])])
    y = np.unique([0.0, size[1], *(value for gap in gaps for value in gap[2:])])
    grid = start + x[None, :, None] / size[0] * u + y[:, None, None] / size[1] * v
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    cells = np.ones((len(y) - 1, len(x) - 1), dtype=bool)
    for left, right, bottom, top in gaps:
        cells[np.ix_((middle_y > bottom) & (middle_y < top), (middle_x > left) & (middle_x < right))] = False
    return sheet(grid, material, texel=texel, cells=cells)


_FACES = ((0, 1, 2, 1), (1, 0, 2, -1), (1, 2, 0, 1), (2, 1, 0, -1), (2, 0, 1, 1), (0, 2, 1, -1))


def box(low: Vector, high: Vector, material: str, *, bevel: float = 0.004, texel: float = TEXEL) -> list[Patch]:
    """Make a closed box with rounded edges: neighbours share the middle line of the rounding, and its normal.

    Args:
        low: (3,) least corner, in metres.
        high: (3,) greatest corner, in metres.
        material: a name in the world's materials.
        bevel: radius of the edges, in metres, >= 0; at most .45 of the smallest half size counts.
        texel: metres between nodes of the light map, > 0.
    """
    centre, half = (np.add(high, low)) / 2, np.subtract(high, low) / 2
    r = min(bevel, 0.45 * float(half.min()))
    return [_face(centre, half, face, r, material, texel) for face in _FACES]


def _face(
    centre: Floats, half: Floats, face: tuple[int, int, int, int], r: float, material: str, texel: float
) -> Patch:
    a, b, c, sign = face
    grid, normals = np.empty((4, 4, 3)), np.zeros((4, 4, 3))
    side = np.array([-1.0, -1.0, 1.0, 1.0])
    outer = np.array([1.0, 0.0, 0.0, 1.0])
    i, j = np.meshgrid(range(4), range(4), indexing="ij")
    normals[..., a], normals[..., b], normals[..., c] = side[j] * outer[j], side[i] * outer[i], sign
    normals = unit(normals)
    grid[..., a], grid[..., b], grid[..., c] = side[j] * (half[a] - r), side[i] * (half[b] - r), sign * (half[c] - r)
    grid += centre + r * normals
    lengths = np.stack([grid[..., a] - centre[a] + half[a], grid[..., b] - centre[b] + half[b]], axis=-1)
    inner = [max(2, math.ceil(2 * half[axis] / texel) + 1) for axis in (a, b)]
    light = tuple(np.array([0.0, 1.0, n, n + 1.0]) for n in inner)
    return Patch(grid, normals, lengths, (light[0], light[1]), material, bevelled=True)


def revolve(
    profile: Sequence[tuple[float, float]],
    centre: Vector,
    material: str,
    *,
    segments: int = 32,
    crease: float = 35.0,
    texel: float = TEXEL,
) -> list[Patch]:
    """Turn a profile of (radius, height) round a vertical axis; sharp where it bends by more than `crease` degrees.

    The front is on the outside for a profile that rises, on the inside for one that falls.

    Args:
        profile: (radius, height) of each point, in metres, from one end to the other.
        centre: (3,) foot of the axis, in metres.
        material: a name in the world's materials.
        segments: round the axis, >= 3.
        crease: in degrees, 0 to 180.
        texel: metres between nodes of the light map, > 0.
    """
    line = np.asarray(profile, dtype=np.float64)
    turn = np.linspace(0, 2 * math.pi, segments + 1)
    circle = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=-1)
    made = []
    for first, last in _smooth_runs(line, crease):
        part = line[first : last + 1]
        grid = part[:, 0, None, None] * circle + part[:, 1, None, None] * np.array([0, 0, 1.0]) + np.asarray(centre)
        made.append(sheet(grid, material, closed=True, texel=texel))
    return made


def _smooth_runs(line: Floats, crease: float) -> list[tuple[int, int]]:
    steps = unit(np.diff(line, axis=0))
    bends = np.degrees(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(axis=-1), -1, 1)))
    cuts = [0, *(int(k) + 1 for k in np.flatnonzero(bends > crease)), len(line) - 1]
    return list(itertools.pairwise(cuts))


def tube(
    path: Sequence[Vector] | Floats,
    radius: float | Sequence[float],
    material: str,
    *,
    sides: int = 12,
    caps: bool = True,
    texel: float = TEXEL,
) -> list[Patch]:
    """Sweep a circle along a path (n, 3), with frames carried along without twist; `radius` may vary.

    Args:
        path: (n, 3) points, in metres, n >= 2.
        radius: in metres, > 0: one, or one for each point.
        material: a name in the world's materials.
        sides: of the cross-section, >= 3.
        caps: whether its ends are closed.
        texel: metres between nodes of the light map, > 0.
    """
    line = np.asarray(path, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(line),))
    tangent = unit(np.gradient(line, axis=0))
    first = np.cross(tangent[0], [0.0, 0.0, 1.0] if abs(tangent[0, 2]) < 0.9 else [1.0, 0.0, 0.0])
    frames = [unit(first)]
    for step in tangent[1:]:
        frames.append(unit(frames[-1] - step * (frames[-1] @ step)))
    normal = np.array(frames)
    binormal = np.cross(tangent, normal)
    turn = np.linspace(0, 2 * math.pi, sides + 1)[None, :, None]
    ring = np.cos(turn) * normal[:, None] + np.sin(turn) * binormal[:, None]
    skin = line[:, None] + radii[:, None, None] * ring
    made = [sheet(skin, material, closed=True, texel=texel)]
    if caps:
        for end, flip in ((0, False), (-1, True)):
            rim = skin[end]
            disc = np.stack([np.broadcast_to(line[end], rim.shape), rim])
            made.append(sheet(disc, material, closed=True, flip=flip, texel=texel))
    return made


def pillow(
    centre: Vector,
    half: Vector,
    material: str,
    *,
    squareness: tuple[float, float] = (0.35, 0.5),
    segments: int = 40,
    texel: float = TEXEL,
) -> list[Patch]:
    """Make a superellipsoid: a cushion, a seat, a leaf crown. Small exponents are boxy, 1 is an ellipsoid.

    Args:
        centre: (3,), in metres.
        half: (3,) half axes, in metres.
        material: a name in the world's materials.
        squareness: exponents in the plane and along the height, > 0; 1 is an ellipse, less is boxier.
        segments: round the axis, an even number, >= 4.
        texel: metres between nodes of the light map, > 0.
    """
    flat, tall = squareness
    turn = np.linspace(-math.pi, math.pi, segments + 1)
    rise = np.linspace(-math.pi / 2, math.pi / 2, segments // 2 + 1)

    def power(value: Floats, exponent: float) -> Floats:
        raised: Floats = np.sign(value) * np.abs(value) ** exponent
        return raised

    ring = power(np.cos(rise), tall)[:, None]
    ring[[0, -1]] = 0.0
    shape = (
        ring * power(np.cos(turn), flat),
        ring * power(np.sin(turn), flat),
        np.broadcast_to(power(np.sin(rise), tall)[:, None], (len(rise), len(turn))),
    )
    return [sheet(np.stack(shape, axis=-1) * np.asarray(half) + np.asarray(centre), material, closed=True, texel=texel)]


def loft(curves: Sequence[Floats], material: str, *, flip: bool = False, texel: float = TEXEL) -> Patch:
    """Lay a surface through curves of equally many points (n, 3) each.

    Args:
        curves: two or more of (n, 3) each, in metres.
        material: a name in the world's materials.
        flip: whether the front is on the other side.
        texel: metres between nodes of the light map, > 0.
    """
    return sheet(np.stack([np.asarray(curve, dtype=np.float64) for curve in curves]), material, flip=flip, texel=texel)


def moved(
    patches: Iterable[Patch], offset: Vector = (0.0, 0.0, 0.0), *, yaw: float = 0.0, pitch: float = 0.0
) -> list[Patch]:
    """Turn patches about the x axis by `pitch`, then about the z axis by `yaw` (degrees), and shift them.

    Args:
        patches: surfaces, in metres.
        offset: (3,), in metres.
        yaw: in degrees, about the z axis.
        pitch: in degrees, about the x axis.
    """
    cy, sy = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    cp, sp = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    tilt = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ tilt
    return [replace(p, points=p.points @ turn.T + np.asarray(offset), normals=p.normals @ turn.T) for p in patches]
