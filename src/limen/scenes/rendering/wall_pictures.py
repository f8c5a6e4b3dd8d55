"""Pictures that hang, stand and lie in rooms, painted without a file: linear RGB (h, w, 3) in 0..1."""

import math

import numpy as np

from limen import digest
from limen.scenes.rendering import painting, texture
from limen.scenes.rendering.texture import Floats, bars, disc, linear, rectangle


def tiles() -> Floats:
    """A suspended ceiling: four panels with specks and joints."""
    canvas = painting.plaster("tiles", "#f1efea", 512, 0.04)
    specks = texture.noise((512, 512), (128, 128), "specks")
    canvas *= np.where(specks > 0.8, 0.86, 1.0)[..., None]
    for k in (0.0, 0.5):
        rectangle(canvas, k, k + 0.012, 0, 1, "#bdbab3")
        rectangle(canvas, 0, 1, k, k + 0.012, "#bdbab3")
    return canvas


def slats() -> Floats:
    """Upright wooden slats with dark gaps."""
    canvas = painting.wood("slats", "#6b4a30", "#a87d55", (256, 256), 5, bent=0.5)
    canvas = canvas.transpose(1, 0, 2).copy()
    for k in range(8):
        canvas[:, k * 32 : k * 32 + 7] *= 0.12
        canvas[:, k * 32 + 7 : k * 32 + 32] *= 0.88 + 0.24 * digest.generator("slat", k).random()
    return np.clip(canvas, 0, 1)


def rug() -> Floats:
    """A rug with borders and rings."""
    canvas = painting.carpet("rug", ["#5c6672", "#6f7a86"], 512)
    pile = canvas / linear("#68737f")
    for inset, colour in ((0.03, "#d9cdb8"), (0.055, "#3e4a59"), (0.09, "#d9cdb8"), (0.1, "#68737f")):
        rectangle(canvas, inset * 0.7, 1 - inset * 0.7, inset, 1 - inset, colour)
    for k in range(9):
        for j in range(5):
            x, y = (k + 1) / 10, (j + 1) / 6
            disc(canvas, x, y, 0.045, "#d9cdb8" if (k + j) % 2 else "#a5533f")
            disc(canvas, x, y, 0.028, "#68737f")
    return np.clip(canvas * (0.6 + 0.4 * pile), 0, 1)


def slide() -> Floats:
    """A slide with bars, lines of text and a ring."""
    canvas = np.full((512, 1024, 3), 1.0) * linear("#f7f8fa")
    rectangle(canvas, 0, 1, 0, 0.16, "#1f3a5f")
    rectangle(canvas, 0.05, 0.52, 0.06, 0.105, "#ffffff")
    bars(canvas, 0.07, 0.86, [0.2, 0.31, 0.27, 0.42, 0.5, 0.58], 0.07, "#2f7fb8")
    rectangle(canvas, 0.06, 0.5, 0.86, 0.868, "#333333")
    for k in range(5):
        rectangle(canvas, 0.6, 0.9 - 0.05 * (k % 3), 0.27 + 0.07 * k, 0.29 + 0.07 * k, "#8a929c")
        disc(canvas, 0.575, 0.28 + 0.07 * k, 0.014, "#d9682c")
    disc(canvas, 0.74, 0.78, 0.12, "#d9682c")
    disc(canvas, 0.74, 0.78, 0.06, "#f7f8fa")
    return canvas


def board() -> Floats:
    """A whiteboard with a curve and writing."""
    canvas = painting.plaster("board", "#f3f4f4", 512, 0.02)
    canvas = np.concatenate([canvas, canvas[:, ::-1]], axis=1)
    rows, columns = np.mgrid[:512, :1024]
    curve = 330 - 200 / (1 + np.exp(-(columns - 260) / 45))
    ink = np.clip(4 - np.abs(rows - curve), 0, 1) * ((columns > 70) & (columns < 470))
    canvas += (linear("#1d4f9c") - canvas) * ink[..., None]
    for left, right, top, bottom, colour in (
        (0.065, 0.07, 0.15, 0.7, "#222222"),
        (0.065, 0.47, 0.69, 0.7, "#222222"),
        (0.25, 0.253, 0.36, 0.69, "#b3261e"),
    ):
        rectangle(canvas, left, right, top, bottom, colour)
    rng = digest.generator("writing")
    for k in range(8):
        at = 0.55
        while at < 0.8 + 0.1 * rng.random():
            wide = rng.uniform(0.015, 0.06)
            colour = "#b3261e" if k == 0 else "#2b2b2b"
            rectangle(canvas, at, at + wide, 0.14 + 0.085 * k, 0.155 + 0.085 * k, colour)
            at += wide + 0.012
    return canvas


def abstract() -> Floats:
    """An abstract painting."""
    shape = (512, 512)
    warp = texture.clouds(shape, (3, 3), 4, "painting")
    rows = np.mgrid[:512, :512][0] / 512
    value = np.clip(rows + 0.55 * (warp - 0.5), 0, 1)
    stops = [(0.0, "#274060"), (0.3, "#5f8ea8"), (0.45, "#f0d9a8"), (0.55, "#d98b4a"), (0.7, "#8a3d32"), (1, "#2b1f2a")]
    return np.asarray(texture.ramp(value, stops) * (0.8 + 0.4 * texture.noise(shape, (200, 60), "brush"))[..., None])


def photograph() -> Floats:
    """A photograph of a landscape."""
    return painting.outside("photograph", (512, 512), 60.0, (-25.0, 35.0))


def poster() -> Floats:
    """A poster with discs."""
    canvas = np.full((512, 256, 3), 1.0) * linear("#efe3c8")
    for k, colour in enumerate(("#d1495b", "#edae49", "#00798c", "#30638e")):
        disc(canvas, 0.3 + 0.14 * k, 0.3 + 0.1 * (k % 2), 0.13, colour)
    for k in range(5):
        rectangle(canvas, 0.15, 0.85 - 0.1 * (k % 3), 0.64 + 0.05 * k, 0.665 + 0.05 * k, "#3a3a3a")
    return canvas


def clock() -> Floats:
    """A dial with two hands."""
    canvas = np.full((256, 256, 3), 1.0) * linear("#f6f4ee")
    for k in range(12):
        turn = 2 * math.pi * k / 12
        disc(canvas, 0.5 + 0.4 * math.cos(turn), 0.5 + 0.4 * math.sin(turn), 0.022, "#222222")
    rectangle(canvas, 0.485, 0.515, 0.22, 0.55, "#222222")
    rectangle(canvas, 0.46, 0.78, 0.488, 0.512, "#222222")
    return canvas


def page() -> Floats:
    """A printed page."""
    canvas = np.full((256, 128, 3), 1.0) * linear("#f5f3ee")
    rectangle(canvas, 0.12, 0.6, 0.07, 0.1, "#333333")
    for k in range(16):
        rectangle(canvas, 0.12, 0.88 - 0.12 * (k % 4 == 3), 0.15 + 0.048 * k, 0.163 + 0.048 * k, "#77777a")
    return canvas


def desktop() -> Floats:
    """A computer's screen with a window on it."""
    canvas = painting.outside("desktop", (256, 512), 70.0, (-12.0, 28.0))
    rectangle(canvas, 0.1, 0.62, 0.12, 0.82, "#fafafa")
    rectangle(canvas, 0.1, 0.62, 0.12, 0.19, "#3c4043")
    for k in range(7):
        rectangle(canvas, 0.14, 0.56 - 0.07 * (k % 3), 0.26 + 0.07 * k, 0.29 + 0.07 * k, "#9aa0a6")
    return canvas


def keys() -> Floats:
    """A keyboard and a touch pad."""
    canvas = np.full((256, 512, 3), 1.0) * linear("#b9bcc0")
    for row in range(5):
        for k in range(14):
            rectangle(canvas, 0.05 + 0.065 * k, 0.105 + 0.065 * k, 0.06 + 0.11 * row, 0.15 + 0.11 * row, "#2d2f33")
    rectangle(canvas, 0.34, 0.66, 0.66, 0.95, "#a9adb2")
    return canvas
