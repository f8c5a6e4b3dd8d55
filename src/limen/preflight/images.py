"""The pictures of an exam, drawn here: no photograph is sent. The same name gives the same pixels everywhere."""

import numpy as np

from limen import digest
from limen.image import Image, Picture

SIDE = 320  # pixels a side of pictures whose size is not itself examined
SQUARE, TALL = (300, 300), (450, 150)  # height and width: however two of them are pasted together, costs do not add up
COLOURS = {
    "red": (214, 32, 32), "green": (24, 150, 54), "blue": (32, 62, 214), "yellow": (246, 220, 30),
    "black": (8, 8, 8), "white": (250, 250, 250),
}  # fmt: skip


def flat(colour: str) -> Picture:
    """Return a picture filled with one of `COLOURS`."""
    return Picture.of(np.full((SIDE, SIDE, 3), COLOURS[colour], np.uint8))


def collage(name: str, shape: tuple[int, int] = SQUARE) -> Picture:
    """Return a picture of four patterns, so that two of them pasted together do not look like two pictures.

    Args:
        name: draws the patterns; pictures of different names share no pixels, so that no server knows them already.
        shape: height and width.
    """
    rng = digest.generator("exam", "collage", name, *shape)
    height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3))
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            across, down, phase = rng.uniform(0.05, 0.4), rng.uniform(0.05, 0.4), rng.uniform(0, 6.3)
            wave = np.sin(across * x[rows, columns] + down * y[rows, columns] + phase)[..., None]
            picture[rows, columns] = rng.uniform(60, 195, 3) + wave * rng.uniform(20, 60, 3)
    return Picture.of(np.clip(np.rint(picture), 0, 255).astype(np.uint8))


def grey(side: int, shift: int) -> Picture:
    """Return plain grey, `shift` grey levels (0 or more) above the middle."""
    return Picture.of(np.full((side, side, 3), 128 + shift, np.uint8))


def grid(side: int, shift: int) -> Picture:
    """Return the finest checkerboard there is, of the mean of `grey`: brought to a smaller size it is plain grey."""
    y, x = np.mgrid[0:side, 0:side]
    cells = np.where((x + y) % 2, 255, 2 * shift)
    return Picture.of(np.repeat(cells[..., None], 3, axis=2).astype(np.uint8))


def scene(name: str) -> Image:
    """Return something like a photograph: a lit background, things on it, texture."""
    rng = digest.generator("exam", "scene", name)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    light = 150 - 60 * y + 25 * x
    picture = np.repeat(light[..., None], 3, axis=2) * rng.uniform(0.8, 1.1, 3)
    for _ in range(7):
        middle, size, colour = rng.uniform(0.1, 0.9, 2), rng.uniform(0.06, 0.2), rng.uniform(30, 220, 3)
        across, down = np.abs(x - middle[0]), np.abs(y - middle[1])
        inside = across**2 + down**2 < size**2 if rng.random() < 0.5 else np.maximum(across, down) < size
        picture[inside] = colour * (0.75 + 0.5 * (1 - y[inside]))[..., None]
    picture += 6 * np.sin(150 * x + 40 * np.sin(9 * y))[..., None] + rng.normal(0, 3, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def disc(left: bool) -> Picture:
    """Return a red disc on grey, left or right of the middle."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    inside = (x - SIDE * (0.25 if left else 0.75)) ** 2 + (y - SIDE / 2) ** 2 < (SIDE / 7) ** 2
    picture[inside] = COLOURS["red"]
    return Picture.of(picture)
