"""Additive Gaussian noise."""

import functools
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Domain, Ladder


@functools.lru_cache(maxsize=1)
def _quantiles() -> npt.NDArray[np.float32]:
    """Return the standard normal's quantiles at (i + 1/2) / 65536."""
    normal = NormalDist()
    half = [normal.inv_cdf((i + 0.5) / 65536) for i in range(32768)]
    return np.array(half + [-z for z in reversed(half)], dtype=np.float32)


def field(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return standard normal numbers made from the generator's raw integers, 16 bits each.

    NumPy promises the raw stream of a bit generator, not the floating-point normals made from it; this way the
    pixels are the same in every release. The largest value is 4.3.
    """
    count = int(np.prod(shape))
    raw = rng.bit_generator.random_raw((count + 3) // 4)
    words = np.asarray(raw, dtype="<u8").view("<u2")[:count]
    values: npt.NDArray[np.float32] = _quantiles()[words].reshape(shape)
    return values


@distortion(
    "noise",
    word="noise",
    ladder=Ladder(tuple(round(0.0002 * k, 4) for k in range(1, 51)), unit="variance (unit range)"),
    domain=Domain(0, math.inf, neutral=0),
)
def noise(image: Image, rng: np.random.Generator) -> Render:
    """Add Gaussian noise of variance 0.0002 k (unit range), one field a series (KADID-10k's top 0.01 at k = 50)."""
    values, unit = image.astype(np.float32), field(image.shape, rng)

    def render(variance: float) -> Image:
        noisy = unit * np.float32(255 * variance**0.5)
        noisy += values
        np.rint(noisy, out=noisy)
        np.clip(noisy, 0, 255, out=noisy)
        return noisy.astype(np.uint8)

    return render
