"""What a driver has at hand, and the pictures on it: a steering wheel, instruments, vents, a gear lever, a mirror.

Built in the viewer's frame (x right, y away, z up), to be put in place with `facing`. The painters return linear RGB.
"""

import math

import numpy as np

from limen import digest
from limen.scenes.rendering import texture
from limen.scenes.rendering.car_seats import cord, oval, ring, swept
from limen.scenes.rendering.furniture import bent
from limen.scenes.rendering.surface import Floats, Patch, box, moved, pillow, quad, revolve, sheet, tube
from limen.scenes.rendering.texture import disc, linear, rectangle


def wheel(leather: str, hub: str, metal: str, keys: str, stitch: str) -> list[Patch]:
    """A steering wheel of three spokes in the viewer's frame, 0.41 m across, with its stalks and column.

    Args:
        leather: material of the rim.
        hub: material of the middle, the spokes and the column.
        metal: material of the trim.
        keys: material of the buttons.
        stitch: material of the seam.
    """
    turn = np.linspace(0, 2 * math.pi, 97)
    circle = np.stack([np.cos(turn), 0 * turn, np.sin(turn)], axis=-1)
    grip = 0.0165 + 0.0025 * np.exp(-(((np.abs(np.cos(turn)) - 0.82) / 0.1) ** 2)) * (np.sin(turn) > 0)
    made = tube(circle * 0.187, grip.tolist(), leather, sides=18, caps=False, texel=0.015)
    made += cord(circle * 0.1712 - [0, 0.004, 0], 0.0018, stitch, sides=6)
    made += pillow((0, -0.004, -0.008), (0.082, 0.036, 0.072), hub, squareness=(0.55, 0.6), texel=0.012)
    for side in (-1.0, 1.0):
        arm = bent([(side * 0.05, -0.004, -0.004), (side * 0.11, -0.008, 0.0), (side * 0.185, 0, 0.012)])
        made += swept(arm, oval(0.03, 0.013), hub, (0, 0, 1), texel=0.012)
        made += swept(arm[3:-2] - [0, 0.0115, 0], oval(0.02, 0.004), metal, (0, 0, 1), texel=0.012)
        made += box((side * 0.113 - 0.022, -0.0255, -0.014), (side * 0.113 + 0.022, -0.018, 0.016), keys, bevel=0.003)
        leg = bent([(side * 0.028, -0.004, -0.05), (side * 0.034, -0.004, -0.11), (side * 0.05, 0, -0.18)])
        made += swept(leg, oval(0.014, 0.011), metal, (1, 0, 0), texel=0.015)
        stalk = [(side * 0.04, 0.06, 0.03), (side * 0.12, 0.058, 0.045), (side * 0.225, 0.045, 0.06)]
        made += tube(bent(stalk), [*np.linspace(0.0075, 0.0125, 11).tolist(), 0.007], hub, sides=12)
    made += moved(
        revolve([(0.021, 0.0), (0.021, 0.006), (0.018, 0.008), (0.0, 0.009)], (0, 0, 0), metal),
        (0, -0.039, -0.006),
        pitch=90,
    )
    made += swept([(0, 0.02, -0.005), (0, 0.1, -0.01), (0, 0.22, -0.02)], oval(0.062, 0.058, 0.6), hub, (1, 0, 0))
    return made


def instruments(pad: str, dials: str, rim: str) -> list[Patch]:
    """A hooded display in the viewer's frame, 0.36 m wide, whose middle is the origin.

    Args:
        pad: material of the hood.
        dials: material of the display.
        rim: material of its edge.
    """
    x = np.linspace(-0.215, 0.215, 41)
    arch = 0.2 * (1 - np.abs(x / 0.215) ** 3.2) ** 0.5 - 0.105
    made = []
    for shrink, flip in ((1.0, False), (0.93, True)):
        rows = []
        for y, sink in ((-0.075, 0.004), (-0.07, 0.0), (0.0, 0.0), (0.06, 0.004), (0.14, 0.02), (0.24, 0.055)):
            rows.append(np.stack([x * shrink, 0 * x + y, (arch + 0.105) * shrink - 0.105 - sink], axis=-1))
        made.append(sheet(np.array(rows), pad, flip=flip, texel=0.015))
    lip = np.stack([x * 0.966, 0 * x - 0.0745, (arch + 0.105) * 0.966 - 0.108], axis=-1)
    made += tube(lip, 0.0085, pad, sides=10, caps=False, texel=0.015)
    behind = np.stack([x * 0.95, 0 * x + 0.022, 0 * x - 0.11], axis=-1)
    made.append(
        sheet(
            np.stack([behind, np.stack([x * 0.95, 0 * x + 0.022, (arch + 0.105) * 0.95 - 0.106], axis=-1)]),
            pad,
            texel=0.03,
        )
    )
    made += moved(ring(0.172, 0.068, 0.03, 0.005, rim), (0, 0.015, -0.012))
    made.append(quad((-0.17, 0.016, -0.079), (0.34, 0, 0), (0, 0, 0.134), dials, texel=0.03))
    return made


def vent(wide: float, tall: float, rim: str, slat: str, dark: str) -> list[Patch]:
    """An air vent in the viewer's frame, of half sizes `wide` and `tall`: a rim, slats, a knob.

    Args:
        wide: half width, in metres, > 0.
        tall: half height, in metres, > 0.
        rim: material of the edge and the knob.
        slat: material of the blades.
        dark: material behind them.
    """
    made = ring(wide, tall, min(tall * 0.6, 0.015), 0.0045, rim)
    made.append(quad((-wide, 0.012, -tall), (2 * wide, 0, 0), (0, 0, 2 * tall), dark))
    count = max(3, round(tall / 0.0085))
    for k in range(count):
        z = -tall + (k + 0.5) * 2 * tall / count
        blade = box((-wide + 0.003, -0.004, -0.0014), (wide - 0.003, 0.013, 0.0014), slat, bevel=0.001, texel=0.02)
        made += moved(blade, (0, 0.0, z), pitch=-18)
    return made + box((-0.006, -0.009, -0.007), (0.006, 0.0, 0.007), rim, bevel=0.002)


def gear_lever(boot: str, knob: str, metal: str) -> list[Patch]:
    """A gear lever in its leather boot, standing on the origin.

    Args:
        boot: material of the boot.
        knob: material of the knob.
        metal: material of the rings.
    """
    fold = [
        (0.058, 0.0),
        (0.05, 0.016),
        (0.045, 0.018),
        (0.038, 0.036),
        (0.034, 0.038),
        (0.025, 0.058),
        (0.017, 0.07),
        (0.012, 0.088),
    ]
    made = revolve(fold, (0, 0, 0), boot, crease=80, texel=0.015) + revolve(
        [(0.066, 0.0), (0.064, 0.006), (0.056, 0.006)], (0, 0, 0), metal
    )
    made += revolve([(0.013, 0.086), (0.015, 0.092), (0.012, 0.1)], (0, 0, 0), metal, crease=80)
    profile = [
        (0.011, 0.098),
        (0.018, 0.112),
        (0.026, 0.135),
        (0.0275, 0.15),
        (0.024, 0.163),
        (0.014, 0.17),
        (0.0, 0.172),
    ]
    return made + revolve(profile, (0, 0, 0), knob, crease=80, texel=0.01)


def mirror(body: str, glass: str) -> list[Patch]:
    """A rear-view mirror in the viewer's frame, 0.24 m wide, with its arm."""
    outline = oval(0.122, 0.034, 0.6, 40)
    made = swept(
        [(0, -0.002, 0), (0, 0.006, 0), (0, 0.028, 0)],
        np.stack([outline, outline * 1.03, outline * 0.7]),
        body,
        (1, 0, 0),
        texel=0.015,
    )
    face = np.stack([outline[:, 0] * 0.95, 0 * outline[:, 0] - 0.0028, -outline[:, 1] * 0.9], axis=-1)
    made.append(
        sheet(np.stack([face, np.broadcast_to([0, -0.0028, 0], face.shape)]), glass, closed=True, flip=True, texel=0.03)
    )
    return made + tube(bent([(0, 0.02, 0), (0, 0.045, 0.01), (0, 0.05, 0.09)]), 0.009, body, sides=12)


def grain() -> Floats:
    """Paint leather, grey: materials give it its colour."""
    cells = texture.clouds((256, 256), (48, 48), 3, "grain", gain=0.6)
    return np.repeat(
        (0.78 + 0.44 * (cells - 0.5) + 0.12 * texture.clouds((256, 256), (3, 3), 3, "hide"))[..., None], 3, axis=2
    )


def holes() -> Floats:
    """Paint perforated leather."""
    canvas = grain()
    for k in range(256):
        row, column = divmod(k, 16)
        disc(canvas, (column + 0.5 + 0.25 * (row % 2)) / 16 % 1, (row + 0.5) / 16, 0.011, "#3a2a1c")
    return canvas


def dials() -> Floats:
    """Paint a speedometer and a rev counter with a menu between them."""
    canvas = np.zeros((256, 512, 3)) + linear("#0b0e12")
    for k, (x, needle) in enumerate(((0.22, 2.5), (0.78, 3.6))):
        disc(canvas, x, 0.52, 0.42, "#3d4750")
        disc(canvas, x, 0.52, 0.405, "#10151b")
        for tick in range(25):
            turn = math.radians(135 + 270 * tick / 24)
            far, size = (0.355, 0.014) if tick % 3 == 0 else (0.37, 0.006)
            disc(
                canvas,
                x + far * math.cos(turn) / 2,
                0.52 + far * math.sin(turn),
                size,
                "#f4f6f8" if tick < 20 or k else "#e5484d",
            )
        for step in range(60):
            disc(
                canvas,
                x + 0.3 * step / 60 * math.cos(needle) / 2,
                0.52 + 0.3 * step / 60 * math.sin(needle),
                0.012,
                "#ff7a3c",
            )
        disc(canvas, x, 0.52, 0.05, "#4a545e")
        rectangle(canvas, x - 0.035, x + 0.035, 0.7, 0.78, "#9ad0ff")
    rectangle(canvas, 0.42, 0.58, 0.16, 0.2, "#7fd48a")
    for k in range(4):
        rectangle(canvas, 0.41, 0.55 - 0.03 * (k % 2), 0.34 + 0.11 * k, 0.38 + 0.11 * k, "#c8d0d8")
    return canvas


def chart() -> Floats:
    """Paint a navigation screen: streets, a river, a route, a menu."""
    canvas = np.zeros((256, 512, 3)) + linear("#e9e4d6")
    rng = digest.generator("map")
    for _ in range(26):
        x, y = rng.random(2)
        rectangle(canvas, x, x + rng.uniform(0.04, 0.14), y, y + rng.uniform(0.06, 0.2), "#d5cdbb")
    rectangle(canvas, 0.6, 0.85, 0.12, 0.5, "#b9d7a0")
    rows, columns = np.mgrid[:256, :512]
    for slope, shift, wide, colour in (
        (0.2, 60, 16, "#9cc4e4"),
        (-0.35, 190, 7, "#ffffff"),
        (0.1, 210, 9, "#ffffff"),
        (0.9, -140, 6, "#ffffff"),
        (-1.6, 560, 8, "#f6d27a"),
        (1.9, -620, 6, "#ffffff"),
    ):
        near = np.abs(rows - slope * columns - shift) / math.hypot(1, slope)
        canvas += (linear(colour) - canvas) * np.clip(wide - near, 0, 1)[..., None]
    route = np.abs(rows - 150 - 45 * np.tanh((columns - 300) / 45))
    canvas += (linear("#2f6fe4") - canvas) * (np.clip(6 - route, 0, 1) * (columns < 440))[..., None]
    disc(canvas, 0.58, 0.575, 0.06, "#ffffff")
    disc(canvas, 0.58, 0.575, 0.042, "#2f6fe4")
    rectangle(canvas, 0, 0.17, 0, 1, "#1c2530")
    for k, colour in enumerate(("#e8a33c", "#49b36b", "#3f86e0", "#c8506e")):
        rectangle(canvas, 0.05, 0.12, 0.08 + 0.23 * k, 0.22 + 0.23 * k, colour)
    rectangle(canvas, 0.2, 0.55, 0.06, 0.24, "#24303c")
    rectangle(canvas, 0.23, 0.42, 0.11, 0.15, "#f2f4f6")
    rectangle(canvas, 0.23, 0.5, 0.18, 0.2, "#9aa7b4")
    return canvas


def climate() -> Floats:
    """Paint knobs and buttons for heating."""
    canvas = np.zeros((128, 512, 3)) + linear("#202226")
    for x in (0.12, 0.88):
        disc(canvas, x, 0.5, 0.36, "#7d8288")
        disc(canvas, x, 0.5, 0.31, "#2c2f33")
        rectangle(canvas, x - 0.006, x + 0.006, 0.22, 0.42, "#f0f0f0")
    for row in range(2):
        for k in range(6):
            left, top = 0.245 + 0.0875 * k, 0.12 + 0.42 * row
            rectangle(canvas, left, left + 0.075, top, top + 0.34, "#3a3d42")
            rectangle(
                canvas, left + 0.02, left + 0.055, top + 0.12, top + 0.2, "#dfe3e6" if (k + row) % 3 else "#ff9d4a"
            )
    return canvas


def keys() -> Floats:
    """Paint four buttons."""
    canvas = np.zeros((64, 64, 3)) + linear("#232528")
    for row in range(2):
        for column in range(2):
            rectangle(
                canvas, 0.06 + 0.47 * column, 0.47 + 0.47 * column, 0.06 + 0.47 * row, 0.47 + 0.47 * row, "#3b3e43"
            )
            disc(canvas, 0.265 + 0.47 * column, 0.265 + 0.47 * row, 0.07, "#d9dcdf")
    return canvas


def speaker() -> Floats:
    """Paint a loudspeaker's grille."""
    canvas = np.zeros((256, 256, 3)) + linear("#77726a")
    for k in range(900):
        far, turn = 0.47 * math.sqrt(k / 900), 2.39996 * k
        disc(canvas, 0.5 + far * math.cos(turn), 0.5 + far * math.sin(turn), 0.0075, "#26262a")
    return canvas
