"""Gaussian blur in the cosine domain, with sums that come out the same on every machine.

The sums are matrix products, and a BLAS adds in an order of its own on each processor. Here every factor is a multiple
of a power of two, short enough for all products and partial sums to fit the 53 bits of a float64: nothing is rounded
inside a product, so neither order nor threads nor fused multiplication can change a pixel. The symmetry of cosines
about the middle of the image saves five eighths of the multiplications, which pays for float64.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Domain, Ladder

LADDER = Ladder(tuple(0.5 * k for k in range(1, 51)), unit="px (sigma) at 640 px width")
_NEGLIGIBLE = 4.0  # sigma x frequency beyond which a cosine over all of 0..255 keeps less than 0.05 levels
_SMOOTH = 1.2  # px of sigma from which nothing overshoots 0..255 by half a grey level: exp(-(pi sigma)^2 / 2) < 9e-4
_COSINE_BITS, _RESPONSE_BITS = 20, 24  # behind the binary point; fewer than libraries' cosines and exponentials share
_COLUMNS = 256  # turned into pixels at a time, so that what lies between stays in the processor's cache

Values = npt.NDArray[np.float64]
Parts = tuple[Values, ...]  # one array for each class of frequencies
Spectrum = tuple[tuple[npt.NDArray[np.float32], ...], ...]  # [class of rows][class of columns]: (3, rows, columns)


def _fixed(values: Values, bits: int) -> Values:
    """Round to multiples of 2^-bits, in place; |values| < 2^(51 - bits)."""
    shift = 1.5 * 2.0 ** (52 - bits)  # a float64 of this size has no finer digits
    values += shift
    values -= shift
    return values


def _classes(size: int) -> tuple[slice, ...]:
    """Return the frequencies by symmetry: odd ones, even ones; the even ones of an even size split once more."""
    return (np.s_[1::2], np.s_[0::2]) if size % 2 else (np.s_[1::2], np.s_[2::4], np.s_[0::4])


@functools.lru_cache(maxsize=8)
def _cosines(size: int, count: int) -> Parts:
    """Return cos(pi k (n + 1/2) / size), k < count, for each class: (k, n), n up to where symmetry gives the rest."""
    turn = _fixed(np.cos(np.pi / (2 * size) * np.arange(4 * size)), _COSINE_BITS)
    half = (size + 1) // 2
    quarter = half if size % 2 else (half + 1) // 2
    points = (half, quarter, quarter)
    return tuple(
        turn[np.arange(count)[frequencies, None] * (2 * np.arange(n) + 1) % (4 * size)]
        for frequencies, n in zip(_classes(size), points, strict=False)
    )


def _response(size: int, count: int, sigma: float) -> Parts:
    """Return the continuous Gaussian's response at the first frequencies, for each class."""
    omega = np.pi / size * np.arange(count)
    response = _fixed(np.exp(-0.5 * (sigma * omega) ** 2), _RESPONSE_BITS)
    return tuple(response[frequencies] for frequencies in _classes(size))


def _count(size: int, sigma: float) -> int:
    """Return how many cosines of length `size` a Gaussian of `sigma` px lets through."""
    return min(size, 1 + math.ceil(_NEGLIGIBLE * size / (math.pi * sigma)))


def _halved(values: Values) -> tuple[Values, Values]:
    """Return the odd and the even part about the middle of axis 0, over its first half."""
    half = (len(values) + 1) // 2
    near, far = values[:half], values[::-1][:half]
    odd, even = near - far, near + far
    if len(values) % 2:
        even[-1] = near[-1]  # the middle line is its own partner
    return odd, even


def _folded(values: Values) -> Parts:
    """Return what each class of frequencies along axis 0 sees of the values."""
    odd, even = _halved(values)
    return (odd, even) if len(values) % 2 else (odd, *_halved(even))


def _joined(odd: Values, even: Values, size: int, axis: int) -> Values:
    """Return `size` lines of a matrix along an axis from their odd and even parts over its first half."""
    near = np.s_[: odd.shape[0]] if axis == 0 else np.s_[:, : odd.shape[1]]
    whole = np.empty((size, odd.shape[1]) if axis == 0 else (odd.shape[0], size))
    np.subtract(even, odd, out=np.flip(whole, axis)[near])
    np.add(even, odd, out=whole[near])  # after the other, for the middle line
    return whole


def _spectrum(image: Image, down: Parts, across: Parts) -> Spectrum:
    """Return the amplitudes of the image's cosines, mid-grey taken off.

    Lines are rounded to 2^-room so that sums over columns stay exact: 7 bits of values about mid-grey,
    log2(height x width) of summation, 20 of cosine.
    """
    height, width, _ = image.shape
    room = 53 - 7 - _COSINE_BITS - math.ceil(math.log2(height * width))
    found = tuple(tuple(np.empty((3, len(d), len(a)), np.float32) for a in across) for d in down)
    for channel in range(3):
        plane = image[..., channel].astype(np.float64) - 128
        for parts, cosines, lines in zip(found, down, _folded(plane), strict=True):
            seen = _folded(_fixed(cosines @ lines, room).T)
            for part, basis, columns in zip(parts, across, seen, strict=True):
                np.multiply((basis @ columns).T, 4 / (height * width), out=part[channel], casting="same_kind")
    for part in found[-1]:
        part[:, 0, :] /= 2  # of a cosine of frequency 0 the mean square is 1, of others 1/2
    for parts in found:
        parts[-1][:, :, 0] /= 2
    return found


def _put(pixels: Image, odd: Values, even: Values, overshoots: bool) -> None:
    """Write lines of pixels (height, width) from their odd and even parts over the first half."""
    whole = np.empty(odd.shape, np.int16) if overshoots else None
    for combine, lines in ((np.subtract, pixels[::-1][: len(odd)]), (np.add, pixels[: len(odd)])):
        out = lines if whole is None else whole
        combine(even, odd, out=out, casting="unsafe")
        if whole is not None:
            np.clip(whole, 0, 255, out=whole)
            np.copyto(lines, whole, casting="unsafe")


@distortion("blur", word="blur", ladder=LADDER, version=2, domain=Domain(0, math.inf, neutral=0))
def blur(image: Image, rng: np.random.Generator) -> Render:
    """Blur with a Gaussian of sigma = 0.5 k W/640 px (fit to the paper's thumbnails: 6, 19, 26 px at 12, 36, 48).

    The continuous Gaussian exp(-sigma^2 omega^2 / 2) multiplies the DCT-II of the image, which is convolution
    with half-sample symmetric borders. A *sampled* Gaussian kernel (OpenCV, SciPy) is the same filter above
    sigma 0.8 px and another one below 0.5 px, where its samples no longer describe the bell.

    Version 2: sums are exact, so that pixels no longer depend on the BLAS (two pixels in 10,000 at most moved, by 1).
    """
    height, width, _ = image.shape
    scale = width / 640
    rows, columns = _count(height, LADDER[1] * scale), _count(width, LADDER[1] * scale)
    down, across = _cosines(height, rows), _cosines(width, columns)
    spectrum = _spectrum(image, down, across)
    # By Parseval the amplitudes of n cosines add up to no more than 2^8 sqrt(n).
    finest_amplitude, finest_line = (52 - 8 - _COSINE_BITS - math.ceil(math.log2(n) / 2) for n in (width, height))

    def lines(parts: tuple[npt.NDArray[np.float32], ...], vertical: Values, horizontal: Parts) -> Values:
        """Return the image along its width, still by vertical frequency: (frequencies, 3 width)."""
        found = []
        for part, response, cosines in zip(parts, horizontal, across, strict=True):
            # Two responses have 24 bits each, so their product is exact.
            kept = part[:, : len(vertical), : len(response)] * (vertical[:, None] * response)
            found.append(_fixed(kept, finest_amplitude).reshape(-1, len(response)) @ cosines[: len(response)])
        even = found[1] if len(found) == 2 else _joined(found[1], found[2], (width + 1) // 2, 1)
        whole = _fixed(_joined(found[0], even, width, 1), finest_line).reshape(3, len(vertical), width)
        return np.ascontiguousarray(whole.transpose(1, 2, 0)).reshape(len(vertical), -1)

    def render(strength: float) -> Image:
        sigma = strength * scale
        vertical = _response(height, min(rows, _count(height, sigma)), sigma)
        horizontal = _response(width, min(columns, _count(width, sigma)), sigma)
        across_width = [lines(*each, horizontal) for each in zip(spectrum, vertical, strict=True)]
        across_width[-1][0] += 128.5  # mid-grey, and a half for rounding down
        pixels = np.empty((height, 3 * width), np.uint8)
        for left in range(0, 3 * width, _COLUMNS):
            some = np.s_[:, left : left + _COLUMNS]
            found = [basis[: len(of)].T @ of[some] for basis, of in zip(down, across_width, strict=True)]
            even = found[1] if len(found) == 2 else _joined(found[1], found[2], (height + 1) // 2, 0)
            _put(pixels[some], found[0], even, sigma < _SMOOTH)
        return pixels.reshape(image.shape)

    return render
