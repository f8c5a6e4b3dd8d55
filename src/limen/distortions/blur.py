"""Gaussian blur, applied in the cosine domain."""

import functools
import math

import numpy as np
import numpy.typing as npt

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder

LADDER = Ladder(tuple(0.5 * k for k in range(1, 51)), unit="px (sigma) at 640 px width")
_NEGLIGIBLE = 4.5  # sigma x frequency beyond which the Gaussian's response is below 4e-5, a hundredth of a grey level


@functools.lru_cache(maxsize=8)
def _cosines(size: int, count: int) -> npt.NDArray[np.float32]:
    """Return the first `count` orthonormal DCT-II basis vectors of length `size`, shape (count, size)."""
    order = np.arange(count)[:, None]
    basis = np.cos(np.pi * order * (np.arange(size)[None, :] + 0.5) / size) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.astype(np.float32)


def _count(size: int, sigma: float) -> int:
    """Return how many cosines of length `size` a Gaussian of `sigma` px lets through."""
    return min(size, 1 + math.ceil(_NEGLIGIBLE * size / (math.pi * sigma)))


@distortion("blur", word="blur", ladder=LADDER)
def blur(image: Image, rng: np.random.Generator) -> Render:
    """Blur with a Gaussian of sigma = 0.5 k W/640 px (fit to the paper's thumbnails: 6, 19, 26 px at 12, 36, 48).

    The continuous Gaussian exp(-sigma^2 omega^2 / 2) multiplies the DCT-II of the image, which is convolution
    with half-sample symmetric borders. A *sampled* Gaussian kernel (OpenCV, SciPy) is the same filter above
    sigma 0.8 px and another one below 0.5 px, where its samples no longer describe the bell.
    """
    height, width, _ = image.shape
    scale = width / 640
    weakest = LADDER[1] * scale
    rows, columns = _count(height, weakest), _count(width, weakest)
    spectrum = np.tensordot(_cosines(height, rows), image.astype(np.float32), axes=(1, 0))
    spectrum = np.matmul(_cosines(width, columns), spectrum)  # (rows, columns, 3)

    def render(strength: float) -> Image:
        sigma = strength * scale
        r, c = min(rows, _count(height, sigma)), min(columns, _count(width, sigma))
        response_r = np.exp(-0.5 * (sigma * np.pi * np.arange(r) / height) ** 2).astype(np.float32)
        response_c = np.exp(-0.5 * (sigma * np.pi * np.arange(c) / width) ** 2).astype(np.float32)
        kept = spectrum[:r, :c] * response_r[:, None, None] * response_c[None, :, None]
        across = np.matmul(_cosines(width, columns)[:c].T, kept)  # (r, width, 3)
        blurred = np.tensordot(_cosines(height, rows)[:r].T, across, axes=(1, 0))
        stimulus: Image = np.clip(np.rint(blurred), 0, 255).astype(np.uint8)
        return stimulus

    return render
