"""The shell of a people carrier as seen from inside: roof, windows, pillars, doors, tail, bonnet; left-hand parts.

x forward, y left, z up from the floor. Materials go by the names that the scene `cabin` gives them.
"""

import math

import numpy as np

from limen.scenes.rendering.car_dashboard import mirror
from limen.scenes.rendering.car_seats import Trim, cord, cushion, facing, oval, ring, strap, strips, swept
from limen.scenes.rendering.furniture import bent
from limen.scenes.rendering.surface import Patch, box, loft, moved, pillow, quad, revolve, sheet, tube

BELT, TOP = (0.79, 0.93), (0.665, 1.345)  # y and z of the lower and upper border of the side windows
PILLAR, REAR = -0.68, -1.62  # x of the middle and the rear pillars
BASE, HEADER = (1.36, 0.86), (0.5, 1.355)  # x and z of the windscreen's borders


def beside(x: float, up: float) -> tuple[float, float, float]:
    """Return a point of the left windows' plane: `up` is 0 at the belt, 1 at the roof."""
    return x, BELT[0] + (TOP[0] - BELT[0]) * up, BELT[1] + (TOP[1] - BELT[1]) * up


def roof() -> list[Patch]:
    """The lining with its glass roof, sun visors, handles and lamps."""
    x, y = np.linspace(-2.16, 0.5, 55), np.linspace(-0.68, 0.68, 41)
    z = 1.405 - 0.06 * np.abs(y / 0.68) ** 3 - 0.022 * (np.abs(x[:, None] + 0.75) / 1.3) ** 2.5
    grid = np.stack([*np.broadcast_arrays(x[:, None], y[None, :], z)], axis=-1)
    hole = (np.abs(x[:-1] + x[1:] + 1.5) / 2 < 0.56)[:, None] & (np.abs(y[:-1] + y[1:]) / 2 < 0.42)[None, :]
    made = [sheet(grid, "lining", cells=~hole)]
    made.append(quad((-1.36, -0.46, 1.43), (0, 0.92, 0), (1.22, 0, 0), "pane"))
    rim = moved(ring(0.425, 0.56, 0.05, 0.016, "pillar"), (0, 0, 0), pitch=90)
    made += moved(rim, (-0.75, 0, 1.4), yaw=-90)
    made += [
        quad((-1.4, 0.44, 1.42), (1.3, 0, 0), (0, 0.03, 0.02), "black"),
        quad((-0.1, -0.44, 1.42), (-1.3, 0, 0), (0, -0.03, 0.02), "black"),
    ]
    for side in (-1.0, 1.0):
        visor = cushion(
            [(0.47, 0, 1.35), (0.3, 0, 1.343)],
            [0.23, 0.23],
            [0.009, 0.009],
            Trim("lining", "lining", "lining", "", ""),
            ends=9,
        )
        made += moved(visor, (0, side * 0.34, 0.0))
        made += tube([(0.45, side * 0.08, 1.357), (0.45, side * 0.6, 1.35)], 0.006, "satin", sides=8)
        for at in (0.05, -1.2):
            grip = bent(
                [(at + 0.12, 0.62, 1.365), (at + 0.1, 0.6, 1.31), (at - 0.1, 0.6, 1.31), (at - 0.12, 0.62, 1.365)]
            )
            made += swept(grip * [1, side, 1], oval(0.009, 0.012, 0.8), "pillar", (0, 1, 0), texel=0.02)
    made += box((0.2, -0.1, 1.37), (0.36, 0.1, 1.395), "pillar", bevel=0.01)
    for y0 in (-0.08, 0.01):
        made += box((0.24, y0, 1.366), (0.32, y0 + 0.07, 1.372), "lamp", bevel=0.004)
    return made


def windscreen() -> list[Patch]:
    """The windscreen in its frame, wipers, the rear-view mirror."""
    y = np.linspace(-0.76, 0.76, 33)
    bow, top = BASE[0] - 0.1 * (y / 0.76) ** 2, HEADER[0] - 0.03 * (y / 0.76) ** 2
    base = np.stack([bow, y, BASE[1] + 0 * y], axis=-1)
    head = np.stack([top, y * 0.65 / 0.76, HEADER[1] + 0 * y], axis=-1)
    made = [loft([base + (head - base) * k for k in np.linspace(0, 1, 9)], "pane", flip=True)]
    made += swept(base, oval(0.022, 0.012), "rubber", (1, 0, 0)) + swept(head, oval(0.035, 0.016), "pillar", (1, 0, 0))
    for edge in (-1.0, 1.0):
        end = np.array([base[16 + int(16 * edge)], head[16 + int(16 * edge)]])
        made += swept(end + np.array([0, -0.012 * edge, 0]), oval(0.02, 0.012), "rubber", (0, 1, 0))
    made += swept(head + np.array([0.045, 0, -0.022]), oval(0.03, 0.004), "rubber", (1, 0, -0.55))
    made += box((0.5, -0.06, 1.325), (0.6, 0.06, 1.35), "gloss black", bevel=0.012)
    made += facing(mirror("gloss black", "mirror"), (0.5, 0, 1.262), pitch=4, yaw=8)
    for near, far in ((0.62, 0.02), (-0.1, -0.66)):
        made += tube([(1.4, near, 0.875), (1.3, (near + far) / 2, 0.905), (1.26, far, 0.918)], 0.007, "black", sides=8)
    return made


def pillars() -> list[Patch]:
    """The left side above the belt: pillars, rails, glass and its seals."""
    front, top = (1.27, 0.775, 0.87), (0.47, 0.658, 1.352)
    made = swept([front, (0.9, 0.722, 1.09), top], oval(0.022, 0.038, 0.4), "pillar", (0, 1, 0))
    made += swept(
        [(0.5, 0.665, 1.35), (-0.8, 0.672, 1.362), (-2.16, 0.66, 1.345)], oval(0.035, 0.04), "pillar", (0, 1, 0)
    )
    made += swept([beside(0.86, 0.0), beside(0.86, 0.5)], oval(0.012, 0.018), "black", (0, 1, 0))
    for x, wide in ((PILLAR, 0.075), (REAR, 0.06)):
        post = [
            (x + 0.03, 0.765, 0.02),
            (x + 0.03, 0.77, 0.5),
            beside(x + 0.02, 0.0),
            beside(x, 0.4),
            beside(x - 0.03, 1.05),
        ]
        made += swept(bent(post), oval(0.032, wide), "pillar", (0, 1, 0))
    made += swept([beside(-2.24, -0.1), beside(-2.12, 1.02)], oval(0.05, 0.085), "pillar", (0, 1, 0))
    spans = ((0.84, -0.6, 0.55, -0.63), (-0.76, -1.55, -0.79, -1.58), (-1.69, -2.14, -1.71, -2.06))
    for first, last, upper, rear in spans:
        corners = [beside(first, 0), beside(upper, 0.96), beside(rear, 0.96), beside(last, 0)]
        made += cord([*corners, corners[0]], 0.011, "rubber")
    corners = [beside(1.26, -0.05), beside(-2.2, -0.05), beside(0.5, 1), beside(-2.1, 1)]
    made.append(sheet(np.array(corners).reshape(2, 2, 3) + np.array([0, 0.012, 0]), "pane"))
    return made


def door(low: float, high: float, arm: tuple[float, float], *, rear: bool) -> list[Patch]:
    """The lining of a left door between two places along x; the arm rest lies between two others.

    Args:
        low: rear end along x, in metres.
        high: front end along x, in metres, > `low`.
        arm: rear and front end of the arm rest along x, in metres.
        rear: whether it is a rear door.
    """
    x = np.linspace(low, high, 33)
    bump = np.clip(np.minimum(x - arm[0], arm[1] - x) / 0.09, 0, 1)
    bump = bump * bump * (3 - 2 * bump)
    curves = []
    for k in bump:
        line = [
            (0.70, 0.02),
            (0.745, 0.05),
            (0.75, 0.2),
            (0.752, 0.4),
            (0.745, 0.53),
            (0.745 - 0.085 * k, 0.575),
            (0.745 - 0.1 * k, 0.625),
        ]
        line += [
            (0.748 - 0.085 * k, 0.655),
            (0.762, 0.67),
            (0.772, 0.72),
            (0.772, 0.8),
            (0.765, 0.86),
            (0.772, 0.925),
            (0.8, 0.94),
            (0.84, 0.93),
        ]
        curves.append(bent([(0, *point) for point in line]))
    grid = np.stack(curves, axis=1)
    grid[..., 0] = x
    z = grid[:, 16, 2]
    arms, over, upper = (int(np.argmin(np.abs(z[: len(z) - 6] - at))) for at in (0.54, 0.69, 0.83))
    parts = [(0, arms, "beige"), (arms, over, "leather"), (over, upper, "beige"), (upper, len(z) - 1, "pad")]
    made = strips(grid, parts, texel=0.02)
    made += cord(grid[over, 1:-1], 0.003, "piping", sides=6)
    middle = (arm[0] + arm[1]) / 2
    strip = [(low + 0.03, 0.766, 0.8), (middle, 0.764, 0.806), (high - 0.03, 0.766, 0.8)]
    made += swept(bent(strip), oval(0.006, 0.017), "walnut", (0, 1, 0))
    at = arm[1] - 0.02
    made += box((at - 0.07, 0.757, 0.725), (at + 0.07, 0.78, 0.775), "black", bevel=0.008)
    made += swept(
        bent([(at + 0.06, 0.752, 0.75), (at, 0.738, 0.755), (at - 0.06, 0.744, 0.748)]),
        oval(0.006, 0.014),
        "steel",
        (0, 1, 0),
    )
    for k in range(1 if rear else 2):
        made += box(
            (arm[1] - 0.2 - 0.06 * k, 0.662, 0.64), (arm[1] - 0.155 - 0.06 * k, 0.7, 0.664), "keys", bevel=0.004
        )
    pull = bent(
        [
            (middle + 0.1, 0.735, 0.72),
            (middle + 0.08, 0.7, 0.69),
            (middle - 0.08, 0.7, 0.67),
            (middle - 0.1, 0.735, 0.66),
        ]
    )
    made += swept(pull, oval(0.011, 0.014, 0.7), "satin", (0, 1, 0), texel=0.015)
    pocket = bent([(low + 0.08, 0.75, 0.2), (low + 0.14, 0.7, 0.2), (high - 0.3, 0.7, 0.2), (high - 0.24, 0.75, 0.2)])
    made += swept(pocket, oval(0.012, 0.09, 0.3), "shell", (0, 1, 0))
    turned = revolve([(0.088, 0.0), (0.085, 0.01), (0.078, 0.012)], (0, 0, 0), "black") + moved(
        [plate(0.08, "speaker")], (0, 0, 0.011)
    )
    return made + moved(moved(turned, pitch=90), (high - 0.14, 0.755, 0.34))


def plate(radius: float, material: str) -> Patch:
    """A disc in the plane z = 0 with its picture square on it."""
    side = np.linspace(-1, 1, 17)
    x, y = np.meshgrid(side, side)
    flat = np.stack([x * np.sqrt(1 - y * y / 2), y * np.sqrt(1 - x * x / 2), 0 * x], axis=-1)
    return sheet(flat * radius, material)


def doors() -> list[Patch]:
    """The linings of both left doors, the belts beside them."""
    made = door(PILLAR + 0.02, 1.3, (-0.3, 0.5), rear=False) + door(-2.26, PILLAR - 0.0, (-1.45, -0.85), rear=True)
    made += strap(
        [(PILLAR + 0.02, 0.655, 1.14), (PILLAR + 0.05, 0.69, 0.75), (PILLAR + 0.05, 0.725, 0.1)], "webbing", (1, 0, 0)
    )
    made += moved(pillow((0, 0, 0), (0.035, 0.014, 0.055), "shell"), (PILLAR + 0.01, 0.662, 1.16))
    made += strap([(REAR + 0.02, 0.65, 1.14), (REAR + 0.06, 0.6, 0.8), (REAR + 0.12, 0.62, 0.5)], "webbing", (1, 0, 0))
    return made + moved(pillow((0, 0, 0), (0.03, 0.014, 0.05), "shell"), (REAR + 0.01, 0.662, 1.16))


def tail() -> list[Patch]:
    """The frame of the rear window, and its glass."""
    made = swept([(-2.13, -0.66, 1.345), (-2.13, 0.66, 1.345)], oval(0.05, 0.03), "pillar", (1, 0, 0))
    made += swept([(-2.25, -0.78, 0.9), (-2.25, 0.78, 0.9)], oval(0.05, 0.05), "beige", (1, 0, 0))
    return [*made, quad((-2.24, -0.74, 0.92), (0, 1.48, 0), (0.1, 0, 0.43), "pane")]


def bonnet() -> list[Patch]:
    """The bonnet and the outer mirrors."""
    u, v = np.linspace(0, 1, 25), np.linspace(-1, 1, 49)
    z = (
        0.866
        + 0.075 * np.sin(math.pi * u**0.8)[:, None]
        - (0.075 * u**2.6)[:, None]
        - 0.07 * np.abs(v) ** 4 * (1 - 0.2 * u[:, None])
    )
    z = z + 0.012 * np.exp(-(((np.abs(v) - 0.58) / 0.07) ** 2)) * (1 - 0.5 * u[:, None])
    x, y = 1.44 + 0.95 * u[:, None] - 0.12 * v**2, v * (0.86 - 0.1 * u[:, None])
    made = [sheet(np.stack([*np.broadcast_arrays(x, y, z)], axis=-1), "paint", flip=True, texel=0.06)]
    made.append(quad((1.24, -0.8, 0.835), (0.24, 0, 0), (0, 1.6, 0), "rubber", texel=0.06))
    for side in (-1.0, 1.0):
        house = pillow((0, 0, 0), (0.05, 0.105, 0.072), "shell", squareness=(0.6, 0.6), texel=0.05)
        made += moved(house, (0.84, side * 1.0, 1.0)) + tube(
            [(0.86, side * 0.8, 0.95), (0.85, side * 0.93, 0.97)], 0.02, "black"
        )
        face = oval(0.078, 0.05, 0.5, 32)
        rim = np.stack([0 * face[:, 0] + 0.789, side * 1.0 - face[:, 0], 1.0 + face[:, 1]], axis=-1)
        made.append(
            sheet(np.stack([rim, np.broadcast_to(rim.mean(axis=0), rim.shape)]), "mirror", closed=True, texel=0.05)
        )
    return made
