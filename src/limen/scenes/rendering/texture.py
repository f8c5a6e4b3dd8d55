"""Textures: pictures of colour with a pyramid below them, looked up anywhere, and the noises they are painted with.

Colours are kept as square roots in 8 bits: close to what the eye resolves, and squared again in one multiplication.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from limen import digest
from limen.errors import InputError

Floats = npt.NDArray[np.float64]
Reals = npt.NDArray[np.floating]
Singles = npt.NDArray[np.float32]
Colour = tuple[float, float, float]


def linear(colour: Colour | str) -> Floats:
    """Return linear RGB (0..1) of an sRGB colour, three numbers 0..1 or "#rrggbb"."""
    if isinstance(colour, str):
        values = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    else:
        values = np.asarray(colour, dtype=np.float64)
    curve: Floats = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return curve


def noise(shape: tuple[int, int], cells: tuple[int, int], *names: str | int) -> Reals:
    """Return smooth noise in 0..1 that repeats at its borders: `cells` random values (down, across), cubic between.

    Args:
        shape: (height, width) of the result.
        cells: (down, across) random values, each >= 1.
        names: any texts and ints; the same ones give the same noise.
    """
    knots = digest.generator("texture", *names).random(cells, dtype=np.float32)
    return _stretch(_stretch(knots, shape[0], 0), shape[1], 1)


def _stretch(knots: Reals, size: int, axis: int) -> Reals:
    count = knots.shape[axis]
    place = (np.arange(size) + 0.5) * count / size
    low = np.floor(place).astype(int)
    f = place - low
    f = np.expand_dims(f * f * (3 - 2 * f), 1 - axis).astype(np.float32)
    mixed: Reals = np.take(knots, low % count, axis) * (1 - f) + np.take(knots, (low + 1) % count, axis) * f
    return mixed


def clouds(shape: tuple[int, int], cells: tuple[int, int], octaves: int, *names: str | int, gain: float = 0.5) -> Reals:
    """Return noise summed over octaves, each twice as fine and `gain` as strong, about 0..1.

    Args:
        shape: (height, width) of the result.
        cells: (down, across) random values of the coarsest octave, each >= 1.
        octaves: how many, >= 1.
        names: any texts and ints; the same ones give the same noise.
        gain: strength of an octave relative to the one before it, > 0.
    """
    total, weight = np.zeros(shape, dtype=np.float32), 0.0
    for k in range(octaves):
        fine = min(cells[0] << k, shape[0]), min(cells[1] << k, shape[1])
        total += gain**k * noise(shape, fine, *names, k)
        weight += gain**k
    return total / weight


def ramp(values: Reals, stops: Sequence[tuple[float, Colour | str]]) -> Floats:
    """Map values (h, w) to linear RGB (h, w, 3) along colour stops."""
    places = [place for place, _ in stops]
    colours = np.array([linear(colour) for _, colour in stops])
    return np.stack([np.interp(values, places, colours[:, k]) for k in range(3)], axis=-1)


def rectangle(canvas: Floats, left: float, right: float, top: float, bottom: float, colour: Colour | str) -> None:
    """Paint a rectangle (in fractions of the canvas, from the upper left) with soft one-pixel edges.

    Args:
        canvas: (H, W, 3) linear RGB, painted in place.
        left: 0 (left edge) to 1.
        right: 0 to 1, > `left`.
        top: 0 (upper edge) to 1.
        bottom: 0 to 1, > `top`.
        colour: sRGB, 0..1, or "#rrggbb".
    """
    h, w = canvas.shape[:2]
    x, y = np.arange(w), np.arange(h)
    cover_x = np.clip(np.minimum(x + 1 - left * w, right * w - x), 0, 1)
    cover_y = np.clip(np.minimum(y + 1 - top * h, bottom * h - y), 0, 1)
    rows, columns = _span(cover_y), _span(cover_x)
    part = canvas[rows, columns]
    part += (linear(colour) - part) * (cover_y[rows, None] * cover_x[columns])[..., None]


def _span(cover: Floats) -> slice:
    """Return where `cover` is above zero."""
    some = np.flatnonzero(cover)
    return slice(int(some[0]), int(some[-1]) + 1) if len(some) else slice(0, 0)


def disc(canvas: Floats, x: float, y: float, radius: float, colour: Colour | str) -> None:
    """Paint a disc; place in fractions of the canvas, radius in fractions of its height.

    Args:
        canvas: (H, W, 3) linear RGB, painted in place.
        x: middle, 0 (left edge) to 1.
        y: middle, 0 (upper edge) to 1.
        radius: as a share of the canvas's height, > 0.
        colour: sRGB, 0..1, or "#rrggbb".
    """
    h, w = canvas.shape[:2]
    across, down = np.arange(w) + 0.5 - x * w, np.arange(h) + 0.5 - y * h
    rows, columns = (_span((np.abs(a) < radius * h + 1).astype(float)) for a in (down, across))
    cover = np.clip(radius * h - np.hypot(down[rows, None], across[columns]) + 0.5, 0, 1)[..., None]
    part = canvas[rows, columns]
    part += (linear(colour) - part) * cover


def bars(canvas: Floats, left: float, top: float, heights: Sequence[float], step: float, colour: Colour | str) -> None:
    """Paint a row of bars standing on `top`, as high as given.

    Args:
        canvas: (H, W, 3) linear RGB, painted in place.
        left: of the first bar, 0 to 1 of the width.
        top: the line they stand on, 0 (upper edge) to 1 of the height.
        heights: of the bars, as shares of the height.
        step: from bar to bar, as a share of the width.
        colour: sRGB, 0..1, or "#rrggbb".
    """
    for k, height in enumerate(heights):
        rectangle(canvas, left + k * step, left + (k + 0.65) * step, top - height, top, colour)


class Atlas:
    """All textures of a world in one flat array with their pyramids, so that one look-up serves any mixture.

    Args:
        pictures: linear RGB (h, w, 3) in 0..1 by name; sides are powers of two.
    """

    def __init__(self, pictures: dict[str, Floats]) -> None:
        self.index = {name: k for k, name in enumerate(pictures)}
        blocks, rows, start = [], [], 0
        deepest = max((max(p.shape[:2]).bit_length() for p in pictures.values()), default=1)
        for name, picture in pictures.items():
            levels = _pyramid(name, picture)
            row = []
            for k in range(deepest):
                level = levels[min(k, len(levels) - 1)]
                if k < len(levels):
                    blocks.append(np.rint(np.sqrt(np.clip(level, 0, 1)) * 255).astype(np.uint8).reshape(-1, 3))
                    start += len(blocks[-1])
                size = level.shape[0] * level.shape[1]
                row.append((start - size, level.shape[1], level.shape[0]))
            rows.append(row)
        whole = np.full((start + 1, 4), 255, dtype=np.uint8)
        whole[:start, :3] = np.concatenate([np.empty((0, 3), np.uint8), *blocks])
        self.texels = whole.view("<u4")[:, 0]  # one look-up for three colours
        self.table = np.array(rows or [[(0, 1, 1)]], dtype=np.int64)  # (textures, levels, 3): start, width, height
        self.sizes = np.array([p.shape[1::-1] for p in pictures.values()] or [(1, 1)], dtype=np.float32)

    def look_up(self, which: npt.NDArray[np.int64], u: Singles, v: Singles, level: Singles) -> Singles:
        """Return linear RGB (n, 3): bilinear in the two nearest levels of the pyramid, linear between them.

        Args:
            which: (n,) numbers of textures.
            u: (n,) place, in repeats to the right.
            v: (n,) place, in repeats upwards.
            level: (n,) of the pyramid, 0 the finest; fractions blend.
        """
        level = np.clip(level, np.float32(0), np.float32(self.table.shape[1] - 1.001))
        low = level.astype(np.int64)
        mix = level - low.astype(np.float32)
        roots = self._bilinear(self.table[which, low], u, v)
        far = np.flatnonzero(mix > 0)
        share = mix[far]
        coarse = self._bilinear(self.table[which[far], low[far] + 1], u[far], v[far]) if len(far) else roots
        colour = np.empty((len(which), 3), dtype=np.float32)
        for k, root in enumerate(roots):
            if len(far):
                root[far] += (coarse[k] - root[far]) * share
            colour[:, k] = root * root
        return colour

    def _bilinear(self, rows: npt.NDArray[np.int64], u: Singles, v: Singles) -> list[Singles]:
        """Return roots of the three colours, one array each: sums over long axes are ten times as fast as over 3."""
        start, width, height = rows[:, 0], rows[:, 1], rows[:, 2]
        x, y = u * width.astype(np.float32) - np.float32(0.5), -v * height.astype(np.float32) - np.float32(0.5)
        left, top = np.floor(x), np.floor(y)
        fx, fy = x - left, y - top
        i, j = left.astype(np.int64) & (width - 1), top.astype(np.int64) & (height - 1)
        i1, j1 = (i + 1) & (width - 1), (j + 1) & (height - 1)
        row, row1 = start + j * width, start + j1 * width
        four = [self.texels.take(place) for place in (row + i, row + i1, row1 + i, row1 + i1)]
        weights = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
        roots = []
        for shift in (0, 8, 16):
            root = np.zeros(len(u), dtype=np.float32)
            for texel, weight in zip(four, weights, strict=True):
                root += (texel >> shift & 255).astype(np.float32) * weight
            roots.append(root / np.float32(255))
        return roots


def _pyramid(name: str, picture: Floats) -> list[Floats]:
    """Halve a picture down to one texel, a side of one texel staying one."""
    if picture.ndim != 3 or picture.shape[2] != 3 or any(side & (side - 1) for side in picture.shape[:2]):
        raise InputError(
            f"Texture {name!r} is linear RGB (h, w, 3) with sides that are powers of 2, not {picture.shape}."
        )
    levels = [picture]
    while max(levels[-1].shape[:2]) > 1:
        level = levels[-1]
        if level.shape[0] > 1:
            level = (level[::2] + level[1::2]) / 2
        if level.shape[1] > 1:
            level = (level[:, ::2] + level[:, 1::2]) / 2
        levels.append(level)
    return levels
