"""Larger pixels."""

import numpy as np

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder


@distortion("pixelate", word="block size", ladder=Ladder((2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0), unit="px"))
def pixelate(image: Image, rng: np.random.Generator) -> Render:
    """Give each square of pixels its mean colour (ours)."""
    height, width = image.shape[:2]

    def render(side: float) -> Image:
        step = int(side)
        rows, columns = np.arange(0, height, step), np.arange(0, width, step)
        sums = np.add.reduceat(np.add.reduceat(image.astype(np.int64), rows, axis=0), columns, axis=1)
        counts = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))[None, :]
        means = np.rint(sums / counts[..., None]).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(np.repeat(means, step, axis=0), step, axis=1)[:height, :width])

    return render
