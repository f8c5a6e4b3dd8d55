"""A street as it is seen from a window: houses, trees, parked cars, hedges, and the pictures on them.

Parts stand on z = 0 at the origin, to be put in place with `moved`. They are made to be seen from three metres on.
"""

import math
from collections.abc import Sequence

import numpy as np

from limen import digest
from limen.scenes.rendering import painting
from limen.scenes.rendering.surface import Floats, Patch, box, moved, quad, revolve, sheet, tube
from limen.scenes.rendering.texture import clouds, linear, noise, ramp, rectangle


def front(name: str, wall: str, frame: str, door: str, shape: tuple[int, int] = (512, 512)) -> Floats:
    """Paint the front of a house of two floors, five windows and a door.

    Args:
        name: any text; draws blinds and plaster.
        wall: "#rrggbb".
        frame: "#rrggbb" of the window frames.
        door: "#rrggbb".
        shape: (height, width) in px.
    """
    rng = digest.generator("front", name)
    canvas = painting.plaster(name, wall, shape[0], 0.06)
    canvas[-40:] *= linear("#b5aca0")
    for row, top in enumerate((0.14, 0.55)):
        for k, middle in enumerate((0.2, 0.5, 0.8)):
            left, right, bottom = middle - 0.075, middle + 0.075, top + 0.22
            if row == 1 and k == 1:
                rectangle(canvas, 0.42, 0.58, 0.53, 0.96, frame)
                rectangle(canvas, 0.44, 0.56, 0.56, 0.96, door)
                rectangle(canvas, 0.465, 0.535, 0.6, 0.72, "#6d7f8c")
                rectangle(canvas, 0.38, 0.62, 0.505, 0.53, "#6a625b")
                continue
            rectangle(canvas, left - 0.018, right + 0.018, top - 0.022, bottom + 0.022, frame)
            rectangle(canvas, left, right, top, bottom, "#46545f")
            rectangle(canvas, left, left + rng.uniform(0.03, 0.11), top, top + 0.12, "#8fa3b1")
            rectangle(canvas, left, left + 0.035, top, bottom, "#cfc8bb")
            rectangle(canvas, right - 0.03, right, top, bottom, "#c4bdb0")
            rectangle(canvas, middle - 0.006, middle + 0.006, top, bottom, frame)
            rectangle(canvas, left, right, top + 0.085, top + 0.096, frame)
            rectangle(canvas, left - 0.03, right + 0.03, bottom + 0.022, bottom + 0.036, "#8d857b")
            canvas[int((bottom + 0.036) * shape[0]) :][:6, int(left * shape[1]) : int(right * shape[1])] *= 0.75
    return np.clip(canvas, 0, 1)


def tiles(name: str, dark: str, light: str, size: int = 256) -> Floats:
    """Paint a roof: rows of tiles, each with a shade of its own.

    Args:
        name: any text; draws the shades.
        dark: "#rrggbb".
        light: "#rrggbb".
        size: height and width in px.
    """
    rows, columns = np.mgrid[:size, :size] / size * 16
    shade = digest.generator("tiles", name).random((16, 16))[rows.astype(int), columns.astype(int)]
    edge = np.minimum(rows % 1 * 2.5, 1) * (0.75 + 0.25 * np.sin(math.pi * (columns % 1)))
    return np.asarray(ramp(shade * 0.7 + 0.15, [(0.0, dark), (1.0, light)]) * (0.45 + 0.55 * edge)[..., None])


def foliage(name: str, dark: str, light: str, size: int = 512) -> Floats:
    """Paint leaves in clumps, gaps between them dark.

    Args:
        name: any text; draws the clumps.
        dark: "#rrggbb".
        light: "#rrggbb".
        size: height and width in px, >= 4.
    """
    clumps = clouds((size, size), (8, 8), 6, "foliage", name, gain=0.78)
    spots = noise((size, size), (size // 4, size // 4), "leaves", name)
    value = np.clip((clumps - 0.5) * 2.6 + 0.5 + 0.35 * (spots - 0.5), 0, 1)
    return ramp(value, [(0.05, "#1b2413"), (0.35, dark), (0.95, light)])


def asphalt(name: str, size: int = 512) -> Floats:
    """Paint an old road: grit, patches, cracks."""
    grit = noise((size, size), (size // 2, size // 2), "grit", name)
    wear = clouds((size, size), (4, 4), 6, "wear", name, gain=0.6)
    crack = np.abs(clouds((size, size), (5, 5), 4, "crack", name) - 0.5) < 0.004
    value = (0.75 + 0.35 * wear + 0.3 * (grit - 0.5)) * np.where(crack, 0.6, 1.0)
    return np.asarray(linear("#77777a") * value[..., None])


def paving(name: str, size: int = 256) -> Floats:
    """Paint concrete slabs, four by four."""
    rows, columns = np.mgrid[:size, :size] / size * 4
    shade = 0.85 + 0.25 * digest.generator("paving", name).random((4, 4))[rows.astype(int), columns.astype(int)]
    joint = (np.minimum(rows % 1, columns % 1) < 0.035) * 0.35
    value = (shade - joint) * (0.9 + 0.2 * clouds((size, size), (16, 16), 3, name))
    return np.asarray(linear("#b3aca0") * value[..., None])


def house(wide: float, deep: float, tall: float, wall: str, side: str, roof: str, trim: str) -> list[Patch]:
    """A gabled house whose front faces -y, centred on the origin; the ridge runs along the front.

    Args:
        wide: along x, in metres.
        deep: along y, in metres.
        tall: up to the eaves, in metres.
        wall: material of the front.
        side: material of the other walls.
        roof: material of the roof.
        trim: material of the gutter.
    """
    w, d, rise = wide / 2, deep / 2, deep * 0.42
    made = [
        quad((-w, -d, 0), (wide, 0, 0), (0, 0, tall), wall, texel=1.2),
        quad((w, -d, 0), (0, deep, 0), (0, 0, tall), side, texel=1.2),
        quad((-w, d, 0), (0, -deep, 0), (0, 0, tall), side, texel=1.2),
    ]
    for end, flip in ((w, False), (-w, True)):
        gable = np.array([[[end, -d, tall], [end, d, tall]], [[end, 0, tall + rise], [end, 0, tall + rise]]])
        made.append(sheet(gable, side, flip=flip, texel=1.2))
    for near in (-1.0, 1.0):
        low = np.array([near * (d + 0.45), tall - 0.38])
        eaves, ridge = [(-w - 0.3, *low), (w + 0.3, *low)], [(-w - 0.3, 0, tall + rise), (w + 0.3, 0, tall + rise)]
        made.append(sheet(np.array([eaves, ridge]), roof, flip=near > 0, texel=1.2))
    made += tube([(-w - 0.3, -d - 0.5, tall - 0.4), (w + 0.3, -d - 0.5, tall - 0.4)], 0.08, trim, sides=8, texel=1.2)
    return made + box(
        (w * 0.4, -0.3, tall + rise * 0.4), (w * 0.4 + 0.6, 0.3, tall + rise + 0.7), side, bevel=0.02, texel=1.0
    )


def tree(name: str, tall: float, bark: str, leaves: str) -> list[Patch]:
    """A round tree: a trunk and crowns whose outlines are uneven.

    Args:
        name: any text; draws the crowns.
        tall: in metres, > 0.
        bark: material of the trunk.
        leaves: material of the crowns.
    """
    rng = digest.generator("tree", name)
    made = tube(
        [(0, 0, 0), (0.05, 0, tall * 0.3), (0, 0.06, tall * 0.6)],
        [tall * 0.03, tall * 0.022, tall * 0.015],
        bark,
        sides=9,
        texel=0.4,
    )
    for k in range(6):
        turn, out = 1.05 * k + rng.uniform(-0.3, 0.3), tall * (0.0 if k == 5 else rng.uniform(0.13, 0.2))
        high = tall * (0.78 if k == 5 else rng.uniform(0.5, 0.68))
        made += crown(
            f"{name}/{k}", tall * rng.uniform(0.17, 0.22), (out * math.cos(turn), out * math.sin(turn), high), leaves
        )
    return made


def crown(name: str, radius: float, centre: tuple[float, float, float], leaves: str) -> list[Patch]:
    """A clump of leaves: a ball with an uneven surface.

    Args:
        name: any text; draws the bumps.
        radius: in metres, > 0.
        centre: (x, y, z), in metres.
        leaves: a name in the world's materials.
    """
    turn, rise = np.linspace(-math.pi, math.pi, 25), np.linspace(-math.pi / 2, math.pi / 2, 13)
    bumps = clouds((12, 24), (5, 8), 3, "crown", name, gain=0.7)
    bumps = np.concatenate([np.concatenate([bumps, bumps[:, :1]], axis=1)] * 2)[:13] * 0.9 + 0.55
    bumps[[0, -1]] = 1.0
    flat = np.cos(rise)[:, None] * bumps
    shape = flat * np.cos(turn), flat * np.sin(turn), 0.85 * np.sin(rise)[:, None] * bumps
    return [sheet(radius * np.stack(shape, axis=-1) + np.asarray(centre), leaves, closed=True, texel=radius / 2)]


def hedge(long: float, tall: float, name: str, leaves: str) -> list[Patch]:
    """A clipped hedge along x, centred on the origin.

    Args:
        long: along x, in metres.
        tall: in metres.
        name: any text; draws the bumps.
        leaves: a name in the world's materials.
    """
    x = np.linspace(-long / 2, long / 2, max(8, int(long * 3)))
    turn = np.linspace(-0.15 * math.pi, 1.15 * math.pi, 11)
    bumps = 1 + 0.22 * (clouds((len(x), 11), (len(x) // 4, 5), 2, "hedge", name) - 0.5)
    y = -0.38 * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.4 * bumps
    z = np.maximum(0.0, tall * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.35 * bumps)
    return [sheet(np.stack([np.broadcast_to(x[:, None], y.shape), y, z], axis=-1), leaves, flip=True, texel=0.6)]


_STATIONS = (  # x, half width, bottom, shoulder of the body; half width and height of the cabin (0: none)
    (-2.1, 0.62, 0.42, 0.72, 0.0, 0.0),
    (-2.05, 0.78, 0.3, 0.92, 0.0, 0.0),
    (-1.9, 0.86, 0.25, 0.96, 0.6, 0.98),
    (-1.35, 0.89, 0.22, 0.95, 0.62, 1.4),
    (-0.6, 0.9, 0.22, 0.93, 0.62, 1.47),
    (0.1, 0.9, 0.22, 0.92, 0.61, 1.42),
    (0.95, 0.89, 0.22, 0.9, 0.64, 0.9),
    (1.6, 0.87, 0.24, 0.82, 0.0, 0.0),
    (2.0, 0.78, 0.3, 0.68, 0.0, 0.0),
    (2.1, 0.55, 0.38, 0.58, 0.0, 0.0),
)


def parked(body: str, glass: str, tyre: str, rim: str, lamp: str, plate: str) -> list[Patch]:
    """A parked car that looks along +x, 4.2 m long, about the origin.

    Args:
        body: material of the body.
        glass: material of the windows.
        tyre: material of the tyres.
        rim: material of the wheels.
        lamp: material of the front lamps.
        plate: material of the number plates.
    """
    table = np.array(_STATIONS)
    x = np.linspace(-2.1, 2.1, 41)
    wide, low, high = (np.interp(x, table[:, 0], table[:, k]) for k in (1, 2, 3))
    turn = np.linspace(0, 2 * math.pi, 25)
    c, s = (np.sign(f) * np.abs(f) ** 0.5 for f in (np.cos(turn), np.sin(turn)))
    middle, half = (high + low) / 2, (high - low) / 2
    shell = np.stack(
        [np.broadcast_to(x[:, None], (41, 25)), wide[:, None] * c, middle[:, None] + half[:, None] * s], axis=-1
    )
    made = [sheet(shell, body, closed=True, texel=0.3)]
    for end, flip in ((0, False), (-1, True)):
        disc = np.stack([np.broadcast_to(shell[end].mean(axis=0), shell[end].shape), shell[end]])
        made.append(sheet(disc, body, closed=True, flip=flip, texel=0.3))
    up = table[2:7]
    x = np.linspace(up[0, 0], up[-1, 0], 41)
    roof, top = (np.interp(x, up[:, 0], up[:, k]) for k in (4, 5))
    foot = np.interp(x, table[:, 0], table[:, 3]) - 0.04
    made += _cabin(x, foot, top, roof, glass, body)
    for at in (-1.3, 1.3):
        for side in (-0.9, 0.9):
            turned = revolve([(0.0, 0.21), (0.19, 0.21), (0.2, 0.2)], (0, 0, 0), rim, segments=20, texel=0.3)
            turned += revolve(
                [(0.31, 0.0), (0.32, 0.03), (0.31, 0.2), (0.27, 0.215), (0.2, 0.2)], (0, 0, 0), tyre, texel=0.3
            )
            made += moved(turned, (at, side - math.copysign(0.19, side), 0.32), pitch=-90 if side > 0 else 90)
    for y in (-0.6, 0.6):
        made += box((2.0, y - 0.17, 0.56), (2.1, y + 0.17, 0.68), lamp, bevel=0.03, texel=0.3)
        made += box((-2.09, y - 0.14, 0.72), (-2.0, y + 0.14, 0.86), "tail lamp", bevel=0.03, texel=0.3)
    for bumper in (-2.1, 2.07):
        made += box((bumper - 0.01, -0.26, 0.44), (bumper + 0.04, 0.26, 0.55), plate, bevel=0.005, texel=0.3)
    return made


def _cabin(x: Floats, foot: Floats, top: Floats, roof: Floats, glass: str, body: str) -> list[Patch]:
    """The upper part of a car: glass below, a roof over it."""
    share = np.array([0.0, 0.12, 0.5, 0.85, 0.95, 1.0])
    rows = foot[:, None] + (top - foot)[:, None] * share
    wide = np.maximum(0.8 - 0.17 * share, 0.6) * (roof / roof.max())[:, None]
    made = []
    for sign, flip in ((1.0, False), (-1.0, True)):
        wall = np.stack([np.broadcast_to(x[:, None], rows.shape), sign * wide, rows], axis=-1)
        made.append(sheet(wall, glass, flip=flip, texel=0.35))
        for at in (8, 20, 33):
            path = wall[at] + np.array([0, sign * 0.008, 0])
            made += tube(path, 0.035, body, sides=6, caps=False, texel=0.3)
    y = np.linspace(-1, 1, 17)
    crown_of = top[:, None] + 0.05 * (1 - y**2)[None, :]
    lid = np.stack([np.broadcast_to(x[:, None], crown_of.shape), y[None, :] * wide[:, -1:] * 1.01, crown_of], axis=-1)
    steep = [(0, 10, glass), (10, 29, body), (29, len(x) - 1, glass)]
    return made + [sheet(lid[a : b + 1], m, flip=True, texel=0.35) for a, b, m in steep]


def kerb(long: float, name: str) -> list[Patch]:
    """A kerb stone along x, 0.14 m wide, centred on the origin."""
    return box((-long / 2, -0.07, -0.02), (long / 2, 0.07, 0.12), name, bevel=0.02, texel=1.0)


def lines(x: Sequence[float], y: float, long: float, wide: float, z: float, paint: str) -> list[Patch]:
    """Dashes painted on a road along x.

    Args:
        x: near end of each dash, in metres.
        y: middle, in metres.
        long: along x, in metres.
        wide: along y, in metres.
        z: height above the ground, in metres.
        paint: a name in the world's materials.
    """
    return [quad((at, y - wide / 2, z), (long, 0, 0), (0, wide, 0), paint, texel=0.5) for at in x]


def row(parts: Sequence[tuple[list[Patch], float, float, float, float]]) -> list[Patch]:
    """Put parts in place: (patches, x, y, z, yaw) each."""
    return [p for patches, x, y, z, yaw in parts for p in moved(patches, (x, y, z), yaw=yaw)]


_TREES = (  # x, y, height
    *((9.5, -3.9, 6.5), (21, -3.9, 7.5), (33, -3.9, 7), (47, -3.9, 7), (-7, -3.9, 7), (-20, -3.9, 7)),
    *((3.5, 8.9, 7), (15, 8.9, 6.5), (27, 8.9, 7.5), (41, 8.9, 7), (-8, 8.9, 7), (-19, 8.9, 7)),
)
_CARS = (  # x, y, paint, yaw
    *(
        (8.2, -0.62, "red car", 0),
        (14.2, -0.65, "white car", 0),
        (25.5, -0.6, "grey car", 0),
        (-7.4, -0.6, "white car", 0),
    ),
    *(
        (6.5, 6.1, "white car", 180),
        (19, 6.1, "red car", 180),
        (24.8, 6.1, "grey car", 180),
        (-3.8, 6.1, "grey car", 180),
    ),
)


def lane(z: float) -> list[Patch]:
    """A street along x with its road at the height z: houses, hedges, trees and parked cars on both sides.

    There is a gap between the cars on the right, about x = 0, for the car that one looks from.
    """
    made = [
        quad((-60, -1.75, z), (150, 0, 0), (0, 9.0, 0), "asphalt", texel=0.9),
        quad((-60, -4.6, z + 0.11), (150, 0, 0), (0, 2.85, 0), "paving", texel=0.9),
        quad((-60, 7.25, z + 0.11), (150, 0, 0), (0, 2.75, 0), "paving", texel=0.9),
        quad((-60, -40, z + 0.08), (150, 0, 0), (0, 35.4, 0), "lawn", texel=3.0),
        quad((-60, 10, z + 0.08), (150, 0, 0), (0, 35, 0), "lawn", texel=3.0),
    ]
    made += lines([-40 + 6.0 * k for k in range(18)], 2.75, 3.0, 0.12, z + 0.006, "line")
    made += moved(kerb(150, "stone"), (15, -1.75, z)) + moved(kerb(150, "stone"), (15, 7.25, z))
    for k in range(-4, 8):
        kind, at = f"front {k % 3}", 11.5 * k
        made += row(
            [
                (house(8.6, 8.0, 5.6, kind, "side", "roof", "stone"), at + 1.5, -13.0, z, 180.0),
                (house(8.6, 8.0, 5.4, f"front {(k + 1) % 3}", "side", "roof", "stone"), at - 3.5, 18.2, z, 0.0),
                (hedge(7.0, 1.0, f"right {k}", "hedge"), at + 1.0, -5.1, z, 0.0),
                (hedge(7.5, 0.9, f"left {k}", "hedge"), at - 3.0, 10.6, z, 0.0),
            ]
        )
    for k, (x, y, tall) in enumerate(_TREES):
        made += moved(tree(f"street {k}", tall, "bark", "leaves"), (x, y, z + 0.1), yaw=40.0 * k)
    for x, y, kind, yaw in _CARS:
        made += moved(parked(kind, "car glass", "rubber", "satin", "lamp", "paper"), (x, y, z), yaw=yaw)
    return made
