"""A meeting room: a long table on a rug, chairs, a window on a town, a glazed door to a corridor, a screen, a shelf."""

import numpy as np

from limen import digest
from limen.scenes.rendering import painting, wall_pictures
from limen.scenes.rendering.furniture import books, chair, cup, curtain, pendant, plant
from limen.scenes.rendering.surface import Patch, box, moved, quad, revolve, sheet, tube, wall
from limen.scenes.rendering.world import CameraRegion, Material, Sky, Sun, World
from limen.scenes.scene import scene

LONG, DEEP, HIGH = 6.4, 4.6, 2.8
WINDOW = (0.8, 5.6, 0.85, 2.4)  # left, right, bottom, top
DOOR = (0.55, 2.35, 0.0, 2.25)
TABLE = (3.3, 2.15)
SPINES = ("#7d2b2b", "#21405e", "#d8c9a3", "#3f5b45", "#c77f35", "#5b4a6b", "#e4e0d6", "#2a2d31", "#8a9aa6")

MATERIALS = {
    "wall": Material("#ffffff", "plaster", 1.6),
    "accent": Material("#ffffff", "slats", 0.8),
    "ceiling": Material("#ffffff", "tiles", 1.2),
    "floor": Material("#ffffff", "parquet", 2.2, gloss=0.025),
    "rug": Material("#ffffff", "rug"),
    "skirting": Material("#ece9e2"),
    "table": Material("#ffffff", "walnut", 1.5, gloss=0.05),
    "oak": Material("#ffffff", "oak", 1.2),
    "oak upright": Material("#ffffff", "oak", 1.2, turned=True),
    "seat": Material("#ffffff", "blue cloth", 0.16),
    "steel": Material("#606264", gloss=0.45),
    "black": Material("#26272a", gloss=0.05),
    "white": Material("#f2f1ed", gloss=0.04),
    "frame": Material("#4a4d50", gloss=0.05),
    "pane": Material(glass=True),
    "curtain": Material("#ffffff", "linen", 0.18),
    "panel": Material("#fffaf0", glow=5.0),
    "bulb": Material("#ffe2b0", glow=9.0),
    "shade": Material("#fff0d8", "linen", 0.2, glow=1.6),
    "gilt": Material("#d8a548"),
    "brass": Material("#c79a4e", gloss=0.35),
    "slide": Material("#ffffff", "slide", gloss=0.04, glow=0.85),
    "board": Material("#ffffff", "board", gloss=0.05),
    "painting": Material("#ffffff", "painting"),
    "photograph": Material("#ffffff", "photograph", gloss=0.02),
    "poster": Material("#ffffff", "poster"),
    "clock": Material("#ffffff", "clock", gloss=0.03),
    "page": Material("#ffffff", "page"),
    "laptop": Material("#ffffff", "desktop", gloss=0.04, glow=0.7),
    "keys": Material("#ffffff", "keys"),
    "leaf": Material("#ffffff", "leaf", gloss=0.025, turned=True),
    "soil": Material("#3a2c22"),
    "terracotta": Material("#b5673f", "plaster", 0.5),
    "porcelain": Material("#e9e6df", gloss=0.05),
    "teal": Material("#2f6f73", gloss=0.05),
    "corridor": Material("#d9d3c4", "plaster", 1.6),
    "corridor floor": Material("#ffffff", "carpet", 0.8),
    **{f"spine {k}": Material(colour, gloss=0.015) for k, colour in enumerate(SPINES)},
}


TEXTURES = {
    "plaster": lambda: painting.plaster("wall", "#ebe6db"),
    "slats": wall_pictures.slats,
    "tiles": wall_pictures.tiles,
    "parquet": lambda: painting.parquet("oak", "#94683f", "#d4a873"),
    "rug": wall_pictures.rug,
    "walnut": lambda: painting.wood("walnut", "#4a2f1f", "#8f623c", bent=1.6, rings=7.0),
    "oak": lambda: painting.wood("oak", "#ad8354", "#d9b688", bent=1.4, rings=7.0),
    "blue cloth": lambda: painting.cloth("blue", "#34557a"),
    "linen": lambda: painting.cloth("linen", "#e6dcc6", depth=0.2),
    "carpet": lambda: painting.carpet("corridor", ["#6d6a66", "#8a857d"]),
    "slide": wall_pictures.slide,
    "board": wall_pictures.board,
    "painting": wall_pictures.abstract,
    "photograph": wall_pictures.photograph,
    "poster": wall_pictures.poster,
    "clock": wall_pictures.clock,
    "page": wall_pictures.page,
    "desktop": wall_pictures.desktop,
    "keys": wall_pictures.keys,
    "leaf": lambda: painting.leaf("rubber", "#1f4a24", "#8fb465"),
    "outside": lambda: painting.outside("town", (1024, 2048), 180.0, (-40.0, 50.0)),
}


def _shell() -> list[Patch]:
    """Floor, ceiling, walls with their openings, skirting."""
    left, right, bottom, top = WINDOW
    made = [
        quad((0, 0, 0), (LONG, 0, 0), (0, DEEP, 0), "floor", texel=0.035),
        quad((0, DEEP, HIGH), (LONG, 0, 0), (0, -DEEP, 0), "ceiling", texel=0.06),
        wall((LONG, 0, 0), (-LONG, 0, 0), (0, 0, HIGH), "wall"),
        wall((0, DEEP, 0), (LONG, 0, 0), (0, 0, HIGH), "wall", [(left, right, bottom, top)]),
        quad((LONG, DEEP, 0), (0, -DEEP, 0), (0, 0, HIGH), "accent"),
        wall((0, 0, 0), (0, DEEP, 0), (0, 0, HIGH), "wall", [(DOOR[0], DOOR[1], DOOR[2], DOOR[3])]),
    ]
    for low, high in (
        ((0, 0, 0), (LONG, 0.015, 0.08)),
        ((0, DEEP - 0.015, 0), (LONG, DEEP, 0.08)),
        ((0, DOOR[1] + 0.06, 0), (0.015, DEEP, 0.08)),
        ((0, 0, 0), (0.015, DOOR[0] - 0.06, 0.08)),
    ):
        made += box(low, high, "skirting", bevel=0.003)
    return made


def _window() -> list[Patch]:
    left, right, bottom, top = WINDOW
    y, depth, wide, tall = DEEP, 0.22, right - left, top - bottom
    made = [
        quad((left, y, bottom), (0, depth, 0), (0, 0, tall), "wall"),
        quad((right, y + depth, bottom), (0, -depth, 0), (0, 0, tall), "wall"),
        quad((left, y, top), (0, depth, 0), (wide, 0, 0), "wall"),
        quad((left, y, bottom), (wide, 0, 0), (0, depth, 0), "wall"),
    ]
    made += box((left - 0.05, y - 0.12, bottom - 0.03), (right + 0.05, y + 0.1, bottom + 0.012), "white", bevel=0.008)
    for k in range(4):
        x = left + wide * k / 3
        made += box((x - 0.035, y + 0.1, bottom), (x + 0.035, y + 0.17, top), "frame", bevel=0.006, texel=0.1)
    for z in (bottom + 0.03, top - 0.03, bottom + 0.42):
        made += box((left, y + 0.102, z - 0.03), (right, y + 0.168, z + 0.03), "frame", bevel=0.006, texel=0.1)
    made.append(quad((left, y + 0.135, bottom), (wide, 0, 0), (0, 0, tall), "pane"))
    for first in (0.26, 5.46):
        made += moved(curtain(0.66, 2.51, "curtain"), (first, y - 0.13, 0.03))
    made += tube([(0.15, y - 0.13, 2.55), (6.25, y - 0.13, 2.55)], 0.014, "brass")
    for k in range(34):
        x = 1.4 + 0.1 * k
        made += box((x, y - 0.12, 0.14), (x + 0.085, y - 0.04, 0.7), "white", bevel=0.02, texel=0.12)
    return made


def _door() -> list[Patch]:
    low, high, _, top = DOOR
    made = []
    for y in (low, high):
        made += box((-0.13, y - 0.05, 0), (0.02, y + 0.05, top + 0.05), "frame", bevel=0.006, texel=0.1)
    made += box((-0.128, low - 0.048, top - 0.03), (0.018, high + 0.048, top + 0.048), "frame", bevel=0.006, texel=0.1)
    middle = (low + high) / 2
    for start, end in ((low + 0.05, middle - 0.004), (middle + 0.004, high - 0.05)):
        for y in (start, end - 0.09):
            made += box((-0.09, y, 0.01), (-0.04, y + 0.09, top - 0.035), "oak upright", bevel=0.004, texel=0.08)
        for z, tall in ((0.01, 0.22), (1.0, 0.06), (1.55, 0.06), (top - 0.145, 0.11)):
            made += box((-0.088, start + 0.088, z), (-0.042, end - 0.088, z + tall), "oak", bevel=0.004)
        y = (start + end) / 2
        made += box((-0.085, y - 0.02, 0.2), (-0.045, y + 0.02, top - 0.1), "oak upright", bevel=0.004, texel=0.08)
        made.append(quad((-0.065, start, 0.01), (0, end - start, 0), (0, 0, top - 0.05), "pane"))
    for y in (middle - 0.055, middle + 0.055):
        made += tube([(-0.04, y, 0.92), (0.01, y, 0.92), (0.01, y, 1.2), (-0.04, y, 1.2)], 0.011, "steel")
    return made


def _corridor() -> list[Patch]:
    far, low, high = -1.9, -1.2, 4.2
    made = [
        quad((far, low, 0), (-far, 0, 0), (0, high - low, 0), "corridor floor", texel=0.1),
        quad((far, high, 2.6), (-far, 0, 0), (0, low - high, 0), "ceiling", texel=0.1),
        quad((far, low, 0), (0, high - low, 0), (0, 0, 2.6), "corridor", texel=0.1),
        quad((0, low, 0), (far, 0, 0), (0, 0, 2.6), "corridor", texel=0.1),
        quad((far, high, 0), (-far, 0, 0), (0, 0, 2.6), "corridor", texel=0.1),
        wall(
            (-0.12, high, 0),
            (0, low - high, 0),
            (0, 0, 2.6),
            "corridor",
            [(high - DOOR[1], high - DOOR[0], 0, DOOR[3])],
            texel=0.1,
        ),
    ]
    made.append(quad((-1.35, 2.2, 2.598), (0.6, 0, 0), (0, -1.2, 0), "panel"))
    made += box((far, 0.25, 0.9), (far + 0.02, 0.95, 2.1), "black")
    made.append(quad((far + 0.022, 0.28, 0.93), (0, 0.64, 0), (0, 0, 1.14), "poster"))
    made += box((far, 2.2, 0), (far + 0.04, 3.1, 2.1), "oak upright")
    made += tube([(far + 0.04, 2.3, 1.05), (far + 0.1, 2.3, 1.05), (far + 0.1, 2.42, 1.05)], 0.011, "steel")
    return made + moved(_plant(9, 0.75, "corridor"), (-1.5, 1.45, 0))


def _table() -> list[Patch]:
    x, y = TABLE
    made = box((x - 1.5, y - 0.6, 0.715), (x + 1.5, y + 0.6, 0.75), "table", bevel=0.008, texel=0.025)
    for side in (-1.05, 1.05):
        made += box((x + side - 0.04, y - 0.42, 0.06), (x + side + 0.04, y + 0.42, 0.09), "steel", bevel=0.008)
        for k in (-0.3, 0.3):
            made += box(
                (x + side - 0.03, y + k - 0.03, 0.09), (x + side + 0.03, y + k + 0.03, 0.714), "steel", bevel=0.006
            )
    made += box((x - 1.05, y - 0.03, 0.63), (x + 1.05, y + 0.03, 0.69), "steel", bevel=0.006)
    return made


def _plant(leaves: int, scale: float, name: str) -> list[Patch]:
    return plant(leaves, scale, name, pot="terracotta", soil="soil", leaf="leaf")


def _chairs() -> list[Patch]:
    x, y = TABLE
    rng = digest.generator("chairs")
    seats = [(x + k * 0.85, y - 0.82, 0.0) for k in (-1, 0, 1)] + [(x + k * 0.85, y + 0.82, 180.0) for k in (-1, 0, 1)]
    seats += [(x - 1.78, y, -90.0), (x + 1.8, y + 0.05, 90.0)]
    made: list[Patch] = []
    for at_x, at_y, yaw in seats:
        shift = rng.uniform(-0.05, 0.05, 2)
        turned = yaw + rng.uniform(-14, 14)
        made += moved(chair("seat", "steel", "black"), (at_x + shift[0], at_y + shift[1], 0), yaw=turned)
    return made


def _on_table() -> list[Patch]:
    x, y, z = *TABLE, 0.7505
    laptop = box((-0.16, -0.115, 0.0), (0.16, 0.115, 0.016), "steel", bevel=0.005)
    laptop.append(quad((-0.15, -0.105, 0.0163), (0.3, 0, 0), (0, 0.21, 0), "keys"))
    lid = box((-0.16, 0, 0), (0.16, 0.01, 0.215), "steel", bevel=0.004)
    lid.append(quad((-0.15, -0.0004, 0.008), (0.3, 0, 0), (0, 0, 0.2), "laptop"))
    laptop += moved(lid, (0, 0.11, 0.012), pitch=-18)
    made = moved(laptop, (x - 0.8, y - 0.33, z), yaw=8) + moved(laptop, (x + 0.75, y + 0.35, z), yaw=172)
    for k, (dx, dy, yaw) in enumerate([(0.05, -0.36, 5), (-0.85, 0.34, 176), (0.95, -0.32, -12), (0.02, 0.36, 188)]):
        sheet_of = box((-0.105, -0.148, 0.0), (0.105, 0.148, 0.003 + 0.004 * (k % 2)), "white", bevel=0.001, texel=0.03)
        sheet_of.append(quad((-0.105, -0.148, 0.0075), (0.21, 0, 0), (0, 0.297, 0), "page", texel=0.03))
        made += moved(sheet_of, (x + dx, y + dy, z), yaw=yaw)
        pen = tube([(0.13, -0.07, 0.005), (0.14, 0.07, 0.005)], 0.0045, "teal" if k % 2 else "black", sides=8)
        made += moved(pen, (x + dx, y + dy, z), yaw=yaw)
    for dx, dy, kind in (
        (-0.42, -0.28, "porcelain"),
        (0.42, 0.3, "teal"),
        (0.38, -0.42, "porcelain"),
        (1.25, 0.18, "teal"),
    ):
        made += moved(cup(kind), (x + dx, y + dy, z), yaw=200 * dx)
    vase = [
        (0.0, 0.0),
        (0.05, 0.0),
        (0.075, 0.06),
        (0.07, 0.12),
        (0.035, 0.2),
        (0.045, 0.235),
        (0.04, 0.235),
        (0.03, 0.2),
    ]
    made += revolve(vase, (x + 0.05, y, z), "porcelain", texel=0.02)
    return made + moved(
        revolve([(0.0, 0.0), (0.12, 0.0), (0.17, 0.05), (0.165, 0.055), (0.11, 0.01), (0.0, 0.008)], (0, 0, 0), "oak"),
        (x - 0.35, y + 0.02, z),
    )


def _shelf() -> list[Patch]:
    """An open bookcase at the wall y = 0."""
    low, high, deep, top = 0.35, 2.35, 0.32, 2.0
    made = box((low, 0.005, 0.06), (high, 0.02, top), "oak", bevel=0.002)
    for x in (low, (low + high) / 2 - 0.012, high - 0.025):
        made += box((x, 0.02, 0.0), (x + 0.025, deep, top), "oak upright", bevel=0.003)
    levels = [0.07, 0.46, 0.85, 1.24, 1.62, top - 0.025]
    for z in levels:
        made += box((low + 0.002, 0.02, z), (high - 0.002, deep - 0.004, z + 0.025), "oak", bevel=0.003, texel=0.06)
    spines = [f"spine {k}" for k in range(len(SPINES))]
    for k, z in enumerate(levels[:-1]):
        for side, x in enumerate((low + 0.03, (low + high) / 2 + 0.018)):
            if (k, side) in {(1, 1), (3, 0)}:
                continue
            wide = (0.9, 0.55, 0.75)[(k + side) % 3]
            made += moved(books(wide, 0.24, 0.33, spines, "porcelain", f"{k}/{side}"), (x, 0.025, z + 0.026))
    bowl = [(0.0, 0.0), (0.06, 0.0), (0.07, 0.015), (0.13, 0.1), (0.125, 0.1), (0.065, 0.022), (0.0, 0.02)]
    made += revolve(bowl, (1.7, 0.16, levels[1] + 0.026), "teal", texel=0.02)
    made += box((1.9, 0.05, levels[1] + 0.026), (2.25, 0.27, levels[1] + 0.22), "spine 2", bevel=0.01)
    made += box((0.45, 0.06, levels[3] + 0.026), (0.47, 0.08, levels[3] + 0.32), "black")
    made += box((0.5, 0.06, levels[3] + 0.026), (0.78, 0.08, levels[3] + 0.3), "black")
    made.append(quad((0.77, 0.0805, levels[3] + 0.04), (-0.26, 0, 0), (0, 0, 0.25), "photograph"))
    tall = [(0.0, 0.0), (0.05, 0.0), (0.08, 0.1), (0.05, 0.22), (0.03, 0.27), (0.04, 0.3), (0.035, 0.3), (0.02, 0.27)]
    made += revolve(tall, (1.05, 0.17, levels[3] + 0.026), "porcelain", texel=0.02)
    return made + moved(_plant(7, 0.33, "shelf"), (2.05, 0.16, top))


def _on_walls() -> list[Patch]:
    made = box((2.95, 0.0, 0.92), (5.25, 0.025, 2.08), "frame", bevel=0.006)
    made.append(quad((5.22, 0.0258, 0.95), (-2.24, 0, 0), (0, 0, 1.1), "board"))
    made += box((3.4, 0.02, 0.885), (4.8, 0.1, 0.905), "frame", bevel=0.006)
    for k, kind in enumerate(("teal", "black", "spine 0")):
        made += tube([(3.7 + 0.2 * k, 0.06, 0.915), (3.83 + 0.2 * k, 0.065, 0.915)], 0.009, kind, sides=8)
    made += box((LONG - 0.06, 1.2, 1.02), (LONG - 0.01, 3.12, 2.12), "black", bevel=0.008)
    made.append(quad((LONG - 0.0607, 3.1, 1.04), (0, -1.88, 0), (0, 0, 1.06), "slide"))
    made += box((LONG - 0.42, 1.0, 0.12), (LONG - 0.02, 3.3, 0.62), "oak", bevel=0.006)
    made += box((LONG - 0.4, 1.05, 0.0), (LONG - 0.04, 3.25, 0.12), "black")
    for k in range(4):
        y = 1.02 + 0.565 * k
        made += box((LONG - 0.436, y, 0.14), (LONG - 0.419, y + 0.55, 0.6), "white", bevel=0.004)
        made += tube([(LONG - 0.445, y + 0.2, 0.53), (LONG - 0.445, y + 0.35, 0.53)], 0.007, "steel", sides=8)
    made += moved(
        books(0.5, 0.22, 0.3, ["spine 1", "spine 4", "spine 6"], "porcelain", "console"),
        (LONG - 0.1, 2.75, 0.622),
        yaw=90,
    )
    for y, z, wide, tall, kind in ((2.85, 1.05, 0.85, 0.85, "painting"), (3.85, 1.2, 0.55, 0.55, "photograph")):
        made += box((0, y - 0.04, z - 0.04), (0.03, y + wide + 0.04, z + tall + 0.04), "black", bevel=0.005)
        made.append(quad((0.0306, y, z), (0, wide, 0), (0, 0, tall), kind))
    made += moved(
        revolve([(0.17, 0.0), (0.17, 0.03), (0.155, 0.035), (0.155, 0.028)], (0, 0, 0), "black"),
        (5.85, 0, 1.95),
        pitch=-90,
    )
    dial = [[(6.005, 0.03, 1.795), (5.695, 0.03, 1.795)], [(6.005, 0.03, 2.105), (5.695, 0.03, 2.105)]]
    made.append(sheet(np.array(dial), "clock"))
    return made


def _lamps() -> list[Patch]:
    made: list[Patch] = []
    for x in (1.2, 5.2):
        for y in (1.0, 3.3):
            made += box((x - 0.62, y - 0.17, HIGH - 0.03), (x + 0.62, y + 0.17, HIGH), "white", texel=0.2)
            made.append(quad((x - 0.6, y + 0.15, HIGH - 0.0305), (1.2, 0, 0), (0, -0.3, 0), "panel"))
    for k in (-0.95, 0.0, 0.95):
        made += moved(pendant(1.05, "black", "gilt", "bulb"), (TABLE[0] + k, TABLE[1], HIGH))
    stand = (0.45, 3.95)
    made += revolve([(0.0, 0.0), (0.15, 0.0), (0.15, 0.015), (0.02, 0.03)][::1], (*stand, 0), "brass")
    made += tube([(*stand, 0.02), (*stand, 1.5)], 0.011, "brass")
    made += revolve([(0.2, 1.38), (0.15, 1.68)], (*stand, 0), "shade") + revolve(
        [(0.148, 1.68), (0.198, 1.38)], (*stand, 0), "white"
    )
    return made


def _rug_and_plants() -> list[Patch]:
    x, y = TABLE
    made = box((x - 2.3, y - 1.45, 0.0), (x + 2.3, y + 1.45, 0.009), "rug", bevel=0.003, texel=0.035)
    made += moved(_plant(13, 1.15, "corner"), (5.85, 4.0, 0))
    return made + moved(_plant(9, 0.8, "door"), (0.5, 2.75, 0))


@scene("room")
def room() -> World:
    """A meeting room on a bright day, 6.4 x 4.6 x 2.8 m."""
    parts = (_shell, _window, _door, _corridor, _table, _chairs, _on_table, _shelf, _on_walls, _lamps, _rug_and_plants)
    left, right, bottom, top = WINDOW
    middle = (1.0, 0.9, 0.6), (5.6, 3.7, 1.5)
    return World(
        patches=tuple(patch for part in parts for patch in part()),
        materials=MATERIALS,
        textures=TEXTURES,
        sky=Sky("outside", (180.0, 0.0), (-40.0, 50.0), seen=1.6, lights=13.0),
        bounds=((0.0, 0.0, 0.0), (LONG, DEEP, HIGH)),
        places=(CameraRegion((0.4, 0.5, 1.1), (6.0, 4.2, 1.9), *middle),),
        portals=(((left, DEEP + 0.2, bottom), (right - left, 0.0, 0.0), (0.0, 0.0, top - bottom)),),
        sun=Sun((-0.55, 0.75, 0.43), 1.6, (15.0, 13.2, 10.4)),
        exposure=2.0,
    )
