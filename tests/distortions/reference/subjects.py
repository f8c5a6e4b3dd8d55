"""Pictures made with whole numbers only, so that they are the same wherever they are made."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def procedural(height: int = 48, width: int = 64) -> Pixels:
    """Return a colourful picture with ramps, edges, fine grain, pure black and pure white."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    ramps = [np.abs((5 * x + 3 * y + 40 * c) % 400 - 200) * 255 // 200 for c in range(3)]
    picture = np.stack(ramps, -1)
    picture[height // 3 : height // 2, width // 4 : width // 2] = (220, 40, 60)
    picture[: height // 6, -width // 6 :] = 255
    picture[-height // 6 :, : width // 6] = 0
    picture += ((x * 7 + y * 13 + x * y) % 17)[..., None] - 8
    return np.clip(picture, 0, 255).astype(np.uint8)


def colours() -> Pixels:
    """Return 48 x 64 colours from a linear congruential generator (constants of Numerical Recipes)."""
    state, found = 1, []
    for _ in range(48 * 64 * 3):
        state = (1664525 * state + 1013904223) % 2**32
        found.append(state >> 24)
    return np.array(found, np.uint8).reshape(48, 64, 3)
