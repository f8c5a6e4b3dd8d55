"""Painters of materials that many scenes need: wood, parquet, cloth, carpet, plaster, leaves, an outside.

Each returns linear RGB (h, w, 3) in 0..1 and is the same everywhere, for it draws from names alone.
"""

from collections.abc import Sequence

import numpy as np

from limen import digest
from limen.scenes.rendering.texture import Colour, Floats, clouds, linear, noise, ramp


def wood(
    name: str,
    dark: Colour | str,
    light: Colour | str,
    shape: tuple[int, int] = (512, 1024),
    rings: float = 9.0,
    bent: float = 3.2,
) -> Floats:
    """Paint boards with the grain along the width: rings bent by noise, fine pores.

    Args:
        name: any text; draws the noise.
        dark: sRGB, 0..1, or "#rrggbb".
        light: sRGB, 0..1, or "#rrggbb".
        shape: (height, width) in px.
        rings: how many over the height, > 0.
        bent: rings by which the noise bends them, >= 0.
    """
    h, w = shape
    bend = clouds(shape, (max(4, int(rings / 2)), 2), 3, "wood", name)
    across = (np.arange(h) / h)[:, None]
    ring = 0.5 + 0.5 * np.sin(2 * np.pi * (rings * across + bent * bend))
    pores = noise(shape, (h // 2, max(4, w // 64)), "pores", name)
    streaks = clouds(shape, (h // 16, 4), 3, "streaks", name)
    value = 0.38 * ring**1.6 + 0.27 * streaks + 0.2 * pores + 0.15 * bend
    return ramp(value, [(0.15, dark), (0.8, light)])


def parquet(name: str, dark: Colour | str, light: Colour | str, size: int = 1024, rows: int = 16) -> Floats:
    """Paint staggered boards along the width, each with a shade of its own, and thin dark joints.

    Args:
        name: any text; draws boards and grain.
        dark: sRGB, 0..1, or "#rrggbb".
        light: sRGB, 0..1, or "#rrggbb".
        size: height and width in px, a multiple of `rows`.
        rows: of boards, >= 1.
    """
    rng = digest.generator("parquet", name)
    canvas = np.empty((size, size, 3))
    grain = wood(name, dark, light, (size, size), rings=rows * 2.5, bent=0.8)
    high = size // rows
    for row in range(rows):
        part = slice(row * high, (row + 1) * high)
        line = np.roll(grain[part], int(rng.integers(size)), axis=1)
        start = rng.random()
        place = (np.arange(size) / size * 2 + start) % 2  # two boards a row
        shades = rng.normal(1.0, 0.13, 2)
        shade = np.where(place < 1, shades[0], shades[1])
        joint = np.minimum(np.abs(place % 1), 1 - place % 1) * size / 2
        canvas[part] = line * (shade * np.where(joint < 1.5, 0.45, 1.0))[None, :, None]
        canvas[part][:2] *= 0.55
    return canvas.clip(0, 1)


def cloth(name: str, colour: Colour | str, size: int = 256, threads: int = 64, depth: float = 0.35) -> Floats:
    """Paint a plain weave: threads over and under each other, unevenly thick.

    Args:
        name: any text; draws the unevenness.
        colour: sRGB, 0..1, or "#rrggbb".
        size: height and width in px.
        threads: across the width, >= 1.
        depth: of the shade between threads, 0 to 1.
    """
    rows, columns = np.mgrid[:size, :size] / size * threads
    over = np.where(
        (np.floor(rows) + np.floor(columns)) % 2 == 0, np.sin(np.pi * (rows % 1)), np.sin(np.pi * (columns % 1))
    )
    value = 1 - depth * (1 - over) * 0.8 + depth * (clouds((size, size), (8, 8), 4, "cloth", name) - 0.5)
    painted: Floats = np.clip(linear(colour) * value[..., None], 0, 1)
    return painted


def carpet(name: str, colours: Sequence[Colour | str], size: int = 512) -> Floats:
    """Paint short pile, mottled between colours.

    Args:
        name: any text; draws the pile.
        colours: sRGB, 0..1, or "#rrggbb", one or more.
        size: height and width in px, >= 2.
    """
    pile = noise((size, size), (size // 2, size // 2), "pile", name)
    spots = clouds((size, size), (16, 16), 4, "carpet", name)
    stops = [(0.3 + 0.4 * k / max(1, len(colours) - 1), colour) for k, colour in enumerate(colours)]
    painted: Floats = np.clip(ramp(spots, stops) * (0.72 + 0.56 * pile)[..., None], 0, 1)
    return painted


def plaster(name: str, colour: Colour | str, size: int = 512, depth: float = 0.07) -> Floats:
    """Paint a wall that is not quite even.

    Args:
        name: any text; draws the unevenness.
        colour: sRGB, 0..1, or "#rrggbb".
        size: height and width in px.
        depth: half range of the shade, 0 to 1.
    """
    value = 1 + depth * (clouds((size, size), (4, 4), 7, "plaster", name, gain=0.75) - 0.5) * 2
    painted: Floats = np.clip(linear(colour) * value[..., None], 0, 1)
    return painted


def leaf(name: str, dark: Colour | str, light: Colour | str, shape: tuple[int, int] = (64, 128)) -> Floats:
    """Paint a leaf along the width: a light midrib and side veins.

    Args:
        name: any text; draws the mottling.
        dark: sRGB, 0..1, or "#rrggbb".
        light: sRGB, 0..1, or "#rrggbb".
        shape: (height, width) in px.
    """
    h, w = shape
    rows, columns = np.mgrid[:h, :w]
    across = np.abs(rows / (h - 1) - 0.5) * 2
    vein = np.abs((columns / w * 14 + across * 2.5) % 1 - 0.5) * 2
    value = 0.3 + 0.25 * clouds(shape, (4, 8), 3, "leaf", name) + 0.25 * vein**8 + 0.6 * np.exp(-across * 18)
    return ramp(np.clip(value, 0, 1), [(0.2, dark), (1.0, light)])


def outside(name: str, shape: tuple[int, int], azimuths: float, elevations: tuple[float, float]) -> Floats:
    """Paint a day outside: clouds, hills, a town behind trees, a lawn.

    Args:
        name: seeds the town and the clouds.
        shape: (height, width) in px.
        azimuths: degrees that the width spans.
        elevations: degrees at the lower and upper border.
    """
    h, w = shape
    low, high = elevations
    rise = np.linspace(high, low, h)[:, None] + np.zeros((1, w))
    picture = _sky(name, shape, rise)
    for k, (height, colour) in enumerate([(5.5, "#9db2c4"), (3.8, "#7f9aa6")]):
        ridge = height * (0.55 + 0.9 * clouds((1, w), (1, 5 + 4 * k), 5, "hills", name, k)[0])
        _cover(picture, rise, ridge, np.broadcast_to(linear(colour), picture.shape), w / azimuths)
    near = np.flatnonzero((rise[:, 0] < 16) & (rise[:, 0] > -6))  # nothing of it is higher, or seen lower
    if len(near):
        part = slice(int(near[0]), int(near[-1]) + 1)
        _town(name, picture[part], rise[part], w / azimuths)
    _trees(name, picture, rise, azimuths, w / azimuths)
    lawn = ramp(clouds(shape, (h // 8, w // 16), 4, "lawn", name), [(0.3, "#66784a"), (0.7, "#8a9a66")])
    _cover(picture, rise, np.full(w, -17.0), lawn, w / azimuths)
    return picture.clip(0, 1)


def _trees(name: str, picture: Floats, rise: Floats, azimuths: float, a_degree: float) -> None:
    """Paint rows of trees, from hazy ones far off to near ones, each crown light above and dark below."""
    h, w = rise.shape
    leaves = clouds((h, w), (max(4, h // 24), max(4, w // 24)), 5, "leaves", name, gain=0.8)
    for k, foot in enumerate((1.0, 0.0, -1.4, -3.2, -5.4, -8.2, -12.0)):
        cells = max(3, int(azimuths / (1.6 + 0.8 * k)))
        crowns = np.abs(clouds((1, w), (1, cells), 5, "crowns", name, k, gain=0.55)[0] - 0.5) ** 0.7
        top = foot + (2.4 + 0.9 * k) * (0.9 - 1.8 * crowns)
        rows = np.flatnonzero((rise[:, 0] < top.max() + 1) & (rise[:, 0] > foot - 7))
        if not len(rows):
            continue
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        depth = np.clip((top[None, :] - rise[part]) / (2.2 + 0.7 * k), 0, 1)
        value = 0.9 - 0.75 * depth + 1.3 * (np.roll(leaves, 97 * k, axis=1)[part] - 0.5)
        shade = ramp(value, [(0.0, "#1c2a1b"), (0.5, "#4d6238"), (1.0, "#93a566")])
        haze = 0.45 * (1 - k / 6) ** 1.5
        _cover(picture[part], rise[part], top, shade * (1 - haze) + linear("#b9c8d2") * haze, a_degree)


def _sky(name: str, shape: tuple[int, int], rise: Floats) -> Floats:
    blue = ramp(rise, [(-5, "#e8f0f6"), (6, "#d4e4f2"), (25, "#8fb8e6"), (60, "#5f93d6")])
    cover = clouds(shape, (5, 6), 6, "sky", name, gain=0.55)
    white = np.clip((cover - 0.5) * 4.5, 0, 1)[..., None]
    shaded = ramp(clouds(shape, (6, 7), 5, "shade", name), [(0.3, "#cfd6de"), (0.6, "#fdfdfb")])
    mixed: Floats = blue * (1 - white) + shaded * white
    return mixed


def _cover(picture: Floats, rise: Floats, top: Floats, colour: Floats, a_degree: float) -> None:
    """Lay `colour` over everything below the line `top` (degrees), with an edge of about one texel."""
    cover = np.clip((top[None, :] - rise) * a_degree + 0.5, 0, 1)[..., None]
    picture += (colour - picture) * cover


def _town(name: str, picture: Floats, rise: Floats, a_degree: float) -> None:
    rng = digest.generator("town", name)
    w = picture.shape[1]
    walls = ["#b9a58e", "#a7a9ab", "#c9bfae", "#8d97a3", "#b08a74", "#d8d2c5", "#7e8791"]
    columns = np.arange(w)
    for _ in range(int(w / a_degree / 2.4)):
        wide, left = rng.uniform(2.5, 7.5) * a_degree, rng.uniform(-0.02, 1.0) * w
        top = rng.uniform(1.5, 7.0) if rng.random() < 0.8 else rng.uniform(7, 12)
        colour = linear(walls[int(rng.integers(len(walls)))]) * rng.uniform(0.7, 1.1)
        here = np.flatnonzero((columns > left) & (columns < left + wide))
        if not len(here):
            continue
        panes = rng.uniform(0.55, 0.95) * a_degree
        x = ((columns[here] - left) / panes) % 1
        y = (rise[:, here] / (panes / a_degree * 1.25)) % 1
        glass = ((x > 0.28) & (x < 0.76))[None, :] & (y > 0.3) & (y < 0.78)
        pane = ramp(rise[:, here], [(-5, "#38424c"), (15, "#8ba1b4")])
        front = np.where(glass[..., None], pane, np.broadcast_to(colour, pane.shape))
        cover = np.clip((top - rise[:, here]) * a_degree + 0.5, 0, 1)[..., None]
        picture[:, here] += (front - picture[:, here]) * cover
