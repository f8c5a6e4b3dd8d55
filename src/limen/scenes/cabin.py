"""The cabin of a people carrier parked in a street: two rows of seats, a dashboard, a glass roof; left-hand drive.

x forward, y left, z up from the cabin's floor; the road lies 0.42 m lower.
"""

import numpy as np

from limen.scenes.rendering import car_body, car_dashboard, painting, street
from limen.scenes.rendering.car_dashboard import gear_lever, instruments, vent, wheel
from limen.scenes.rendering.car_seats import (
    Trim,
    cord,
    cushion,
    facing,
    head_rest,
    mirrored,
    oval,
    ring,
    seat,
    strips,
    swept,
)
from limen.scenes.rendering.furniture import bent
from limen.scenes.rendering.surface import Patch, box, moved, quad, revolve, tube
from limen.scenes.rendering.world import CameraRegion, Material, Sky, Sun, World
from limen.scenes.scene import scene

ROAD = -0.42
DRIVER = 0.42  # y of the driver's seat

MATERIALS = {
    "leather": Material("#9a6238", "grain", 0.12, gloss=0.02),
    "insert": Material("#a86e42", "holes", 0.16),
    "piping": Material("#e6d9c2"),
    "pad": Material("#505053", "grain", 0.1),
    "beige": Material("#cdc2af", "grain", 0.14),
    "shell": Material("#66645f", "grain", 0.12),
    "black": Material("#1d1e20", gloss=0.04),
    "gloss black": Material("#0c0d0e", gloss=0.06),
    "rubber": Material("#222325"),
    "steel": Material("#9a9c9f", gloss=0.5),
    "satin": Material("#a9abad", gloss=0.12),
    "walnut": Material("#ffffff", "walnut", 0.9, gloss=0.06),
    "lining": Material("#e6e2da", "weave", 0.06),
    "pillar": Material("#d2cdc3", "weave", 0.06),
    "carpet": Material("#ffffff", "carpet", 0.4),
    "mat": Material("#b9b4ae", "carpet", 0.2),
    "webbing": Material("#56585c", "weave", 0.02),
    "red": Material("#b3261e", gloss=0.03),
    "mirror": Material("#0a0a0a", gloss=0.85),
    "pane": Material(glass=True),
    "dials": Material("#ffffff", "dials", gloss=0.03, glow=0.8),
    "map": Material("#ffffff", "map", gloss=0.03, glow=0.75),
    "climate": Material("#ffffff", "climate", gloss=0.02, glow=0.12),
    "keys": Material("#ffffff", "keys", gloss=0.02),
    "speaker": Material("#ffffff", "speaker"),
    "lamp": Material("#fff6e4", gloss=0.04),
    "paper": Material("#efe9dd"),
    "paint": Material("#31506e", gloss=0.09),
    "asphalt": Material("#b5b5b5", "asphalt", 6.0),
    "paving": Material("#c9c9c9", "paving", 2.4),
    "stone": Material("#a09c94"),
    "lawn": Material("#8fa468", "leaves", 3.0),
    "leaves": Material("#d9e8b8", "leaves", 2.2),
    "hedge": Material("#b9cf98", "leaves", 1.2),
    "bark": Material("#5a4a3c"),
    "line": Material("#d5d5d0"),
    "front 0": Material("#e0d8cc", "front 0"),
    "front 1": Material("#e0d8cc", "front 1"),
    "front 2": Material("#e0d8cc", "front 2"),
    "side": Material("#b7a58e", "plaster", 4.0),
    "roof": Material("#ffffff", "tiles", 3.2),
    "red car": Material("#8e2a24", gloss=0.07),
    "white car": Material("#c9cbcc", gloss=0.05),
    "grey car": Material("#5d666e", gloss=0.07),
    "car glass": Material("#1b2126", gloss=0.1),
    "tail lamp": Material("#a01713", gloss=0.05),
}
SEAT = Trim("insert", "leather", "piping", "shell", "steel")


TEXTURES = {
    "grain": car_dashboard.grain,
    "holes": car_dashboard.holes,
    "weave": lambda: painting.cloth("lining", "#ffffff", depth=0.22),
    "walnut": lambda: painting.wood("dash", "#3d2415", "#8a5a33"),
    "carpet": lambda: painting.carpet("car", ["#48484b", "#66645f"]),
    "plaster": lambda: painting.plaster("gable", "#ffffff"),
    "dials": car_dashboard.dials,
    "map": car_dashboard.chart,
    "climate": car_dashboard.climate,
    "keys": car_dashboard.keys,
    "speaker": car_dashboard.speaker,
    "asphalt": lambda: street.asphalt("road"),
    "paving": lambda: street.paving("path"),
    "leaves": lambda: street.foliage("tree", "#3f5a24", "#93ab58"),
    "front 0": lambda: street.front("0", "#d9c7a4", "#f0ece2", "#3d5a45"),
    "front 1": lambda: street.front("1", "#b4654a", "#efe9dc", "#2f3f57"),
    "front 2": lambda: street.front("2", "#cdd3d4", "#ffffff", "#7d2f2b"),
    "tiles": lambda: street.tiles("roof", "#5e2f24", "#a35a42"),
    "sky": lambda: painting.outside("suburb", (512, 4096), 360.0, (-10.0, 70.0)),
}


def _floor() -> list[Patch]:
    made = [
        quad((-2.3, -0.8, 0), (3.4, 0, 0), (0, 1.6, 0), "carpet"),
        quad((1.02, 0.8, 0), (0, -1.6, 0), (0.38, 0, 0.42), "carpet"),
        quad((1.38, 0.8, 0.4), (0, -1.6, 0), (0, 0, 0.5), "carpet"),
        quad((-2.28, -0.8, 0), (0, 1.6, 0), (0, 0, 0.95), "beige", texel=0.04),
    ]
    for y in (DRIVER, -DRIVER):
        made += box((0.4, y - 0.2, 0.001), (0.98, y + 0.22, 0.014), "mat", bevel=0.006)
        made += box((-0.98, y - 0.24, 0.001), (-0.5, y + 0.24, 0.014), "mat", bevel=0.006)
    for y, z in ((0.36, 0.2), (0.5, 0.2)):
        pedal = box((-0.035, -0.008, -0.05), (0.035, 0.008, 0.05), "rubber", bevel=0.006)
        made += facing(pedal, (0.98, y, z), pitch=-35) + tube([(0.99, y, z), (1.08, y, 0.42)], 0.01, "black")
    return made


def _dash() -> list[Patch]:
    shape = [
        (1.42, 0.84),
        (1.2, 0.858),
        (1.02, 0.866),
        (0.88, 0.862),
        (0.81, 0.842),
        (0.79, 0.81),
        (0.797, 0.785),
        (0.79, 0.76),
        (0.785, 0.72),
    ]
    shape += [(0.787, 0.69), (0.80, 0.66), (0.80, 0.58), (0.82, 0.5), (0.9, 0.43), (1.05, 0.4)]
    line = bent([(x, 0, z) for x, z in shape])
    y = np.linspace(-0.8, 0.8, 49)
    grid = np.repeat(line[:, None], len(y), axis=1)
    grid[..., 1] = y
    grid[..., 0] += (0.055 * np.abs(y / 0.8) ** 2.5)[None, :]
    z = line[:, 2]
    face = int(np.argmax(z)) + 4
    first, second = (face + int(np.argmin(np.abs(z[face:] - at))) for at in (0.785, 0.7))
    made = strips(grid, [(0, first, "pad"), (first, second, "walnut"), (second, len(z) - 1, "beige")], texel=0.02)
    for row in (first, second):
        made += cord(grid[row], 0.0035, "satin")
    seam = face - 6
    made += cord(grid[seam] + [0, 0, 0.0005], 0.0022, "piping")
    made += box((1.2, -0.6, 0.852), (1.235, 0.6, 0.864), "black", bevel=0.004)
    made += moved([car_body.plate(0.05, "speaker")], (1.08, 0.0, 0.8695))
    made += facing(instruments("pad", "dials", "satin"), (0.765, DRIVER, 0.8), pitch=-14)
    made += facing(wheel("pad", "shell", "satin", "keys", "piping"), (0.5, DRIVER, 0.735), pitch=-25)
    for y0 in (0.69, -0.69, -0.27):
        made += facing(vent(0.058, 0.034, "satin", "shell", "gloss black"), (0.79 + 0.05 * (abs(y0) > 0.5), y0, 0.742))
    made += facing(ring(0.2, 0.075, 0.03, 0.003, "rubber"), (0.8, -0.44, 0.575), pitch=3)
    made += box((0.79, -0.48, 0.615), (0.802, -0.4, 0.635), "satin", bevel=0.005)
    return made


def _stack() -> list[Patch]:
    spine = bent(
        [
            (0.9, 0, 0.79),
            (0.825, 0, 0.772),
            (0.79, 0, 0.69),
            (0.75, 0, 0.55),
            (0.69, 0, 0.42),
            (0.55, 0, 0.31),
            (0.4, 0, 0.25),
        ]
    )
    made = swept(spine, oval(0.155, 0.052, 0.35, 48), "shell", (0, 1, 0), texel=0.02)
    tablet = box((-0.15, 0, -0.088), (0.15, 0.018, 0.088), "gloss black", bevel=0.008)
    tablet.append(quad((-0.141, -0.0006, -0.079), (0.282, 0, 0), (0, 0, 0.158), "map", texel=0.03))
    made += facing(tablet, (0.738, 0, 0.865), pitch=-8, yaw=2)
    for y in (-0.075, 0.075):
        made += facing(vent(0.064, 0.03, "satin", "shell", "gloss black"), (0.732, y, 0.725), pitch=-11)
    panel = box((-0.135, -0.004, -0.034), (0.135, 0.03, 0.034), "gloss black", bevel=0.005)
    panel.append(quad((-0.13, -0.0046, -0.03), (0.26, 0, 0), (0, 0, 0.06), "climate", texel=0.03))
    made += facing(panel, (0.714, 0, 0.62), pitch=-15)
    for k in range(5):
        key = box((-0.021, -0.006, -0.014), (0.021, 0.02, 0.014), "keys", bevel=0.004)
        made += facing(key, (0.693, 0.1 - 0.05 * k, 0.545), pitch=-16)
    made += facing(
        box((-0.125, -0.002, -0.022), (0.125, 0.02, 0.022), "walnut", bevel=0.008), (0.653, 0, 0.478), pitch=-24
    )
    tunnel = [(0.75, 0, 0.16), (0.3, 0, 0.165), (-0.2, 0, 0.165), (-0.24, 0, 0.16)]
    made += swept(tunnel, oval(0.135, 0.165, 0.22, 48), "shell", (0, 1, 0), texel=0.02)
    made += box((0.06, -0.105, 0.32), (0.5, 0.105, 0.336), "walnut", bevel=0.006)
    made += moved(gear_lever("black", "pad", "satin"), (0.4, 0, 0.336))
    for y, x in ((0.05, 0.16), (-0.05, 0.16)):
        made += moved(
            revolve([(0.046, 0.0), (0.046, 0.008), (0.039, 0.009), (0.038, 0.001), (0.0, 0.001)], (0, 0, 0), "satin"),
            (x, y, 0.336),
        )
        made += moved([car_body.plate(0.038, "gloss black")], (x, y, 0.3385))
    cup = [
        (0.0, 0.0),
        (0.028, 0.0),
        (0.037, 0.1),
        (0.0395, 0.102),
        (0.0395, 0.108),
        (0.036, 0.112),
        (0.034, 0.12),
        (0.0, 0.12),
    ]
    made += moved(
        revolve(cup[:4], (0, 0, 0), "paper", texel=0.012) + revolve(cup[3:], (0, 0, 0), "shell", texel=0.012),
        (0.16, -0.05, 0.339),
    )
    made += tube([(0.28, 0.07, 0.345), (0.31, 0.07, 0.36), (0.44, 0.07, 0.37)], [0.012, 0.011, 0.012], "shell")
    lid = cushion(
        [(0.03, 0, 0.36), (-0.26, 0, 0.365)],
        [0.12, 0.12],
        [0.032, 0.035],
        Trim("leather", "leather", "piping", "", ""),
        ends=6,
    )
    return made + moved(lid, (0, 0, 0))


def _seats() -> list[Patch]:
    made: list[Patch] = []
    for side in (-1.0, 1.0):
        made += moved(seat(SEAT), (-0.02 if side > 0 else 0.02, side * DRIVER, 0))
        buckle = box((-0.03, -0.012, -0.06), (0.03, 0.012, 0.06), "shell", bevel=0.006) + box(
            (-0.016, -0.009, 0.055), (0.016, 0.009, 0.064), "red", bevel=0.003
        )
        made += moved(buckle, (-0.2, side * 0.175, 0.43))
    for y, wide in ((-0.46, 0.245), (0.0, 0.2), (0.46, 0.245)):
        padded = 0.035 if y else 0.0
        lower = [(-0.93, y, 0.3), (-0.97, y, 0.335), (-1.2, y, 0.33), (-1.42, y, 0.31), (-1.46, y, 0.32)]
        made += cushion(lower, [wide] * 5, [0.06, 0.075, 0.075, 0.07, 0.06], SEAT, bolster=padded, channels=5)
        upper = [(-1.42, y, 0.34), (-1.47, y, 0.5), (-1.55, y, 0.8), (-1.59, y, 0.95)]
        made += cushion(
            upper, [wide, wide, wide, wide * 0.92], [0.06, 0.07, 0.065, 0.05], SEAT, bolster=padded, channels=6
        )
        made += head_rest(SEAT, (-1.6, y, 0.93 if y else 0.89))
    made += box((-1.5, -0.68, 0.0), (-0.98, 0.68, 0.27), "shell", bevel=0.03)
    return [*made, quad((-2.28, -0.78, 0.86), (0.64, 0, 0), (0, 1.56, 0), "carpet", texel=0.05)]


@scene("cabin")
def cabin() -> World:
    """The cabin of a people carrier in a street on a bright day, 1.6 x 3.4 x 1.4 m inside."""
    left = car_body.pillars() + car_body.doors()
    parts = _floor, _dash, _stack, _seats, car_body.roof, car_body.windscreen, car_body.tail, car_body.bonnet
    ahead, back = ((0.75, -0.45, 0.55), (1.7, 0.45, 1.0)), ((-1.6, -0.6, 0.55), (-0.5, 0.6, 1.0))
    return World(
        patches=(*left, *mirrored(left), *(patch for part in parts for patch in part()), *street.lane(ROAD)),
        materials=MATERIALS,
        textures=TEXTURES,
        sky=Sky("sky", (180.0, -180.0), (-10.0, 70.0), seen=1.5, lights=3.2),
        bounds=((-1.75, -0.74, 0.05), (1.2, 0.74, 1.42)),
        places=(
            CameraRegion((-1.3, -0.5, 0.95), (-0.65, 0.5, 1.24), *ahead),  # on the bench
            CameraRegion((-0.4, -0.2, 0.9), (0.0, 0.2, 1.22), *ahead),  # between the front seats
            CameraRegion((-0.2, 0.25, 0.95), (0.05, 0.5, 1.2), *ahead),  # the driver
            CameraRegion((-0.2, -0.55, 0.95), (0.15, -0.25, 1.2), *ahead),  # beside the driver
            CameraRegion((0.1, -0.4, 0.85), (0.45, 0.4, 1.2), *back),  # before the screen
            CameraRegion((-1.2, -0.45, 0.58), (-0.55, 0.45, 0.76), *ahead),  # low
            CameraRegion((-0.3, -0.15, 0.58), (0.2, 0.15, 0.76), *ahead),  # low in front
            CameraRegion((-1.3, -0.4, 0.8), (0.1, 0.5, 1.1), (6.0, -2.0, 2.3), (9.0, 2.5, 3.2)),  # over the dashboard
            CameraRegion((-0.2, -0.4, 0.8), (0.4, 0.4, 1.1), (-9.0, -2.0, 2.3), (-6.0, 2.5, 3.2)),  # over the bench
        ),
        sun=Sun((0.3, 0.6, 0.62), 1.5, (8.5, 7.6, 6.2)),
        exposure=1.5,
        pivot=0.6,
    )
