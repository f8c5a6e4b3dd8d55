"""Contrast detection by the fovea, in just noticeable differences, on NumPy alone.

A. B. Watson and A. J. Ahumada, "A standard model for foveal detection of spatial contrast", Journal of Vision 5(9):6,
717-740, 2005. Its constants were fitted to ModelFest: thresholds (2AFC, 84 % correct) of 16 observers for 43 patterns.
1 is therefore a just noticeable difference by construction, which no structural measure (SSIM, GMSD) offers.

    contrast    (luminance of the test - luminance of the reference) / mean luminance of the reference
    filter      CSF(f) = 373.08 (sech((f / 4.1726)^0.7786) - 0.8493 sech(f / 1.3625)), f in cycles per degree
    masking     divided by (1 + m^2)^(slope / 2), m: the reference's own filtered contrast, rms under the aperture
    aperture    exp(-r^2 / (2 0.6273^2)), r in degrees from where the eye is put
    JND         (integral of |masked contrast * aperture|^2.4081 over square degrees)^(1 / 2.4081)

Differs from the paper, whose patterns lie on uniform grey: the masking is added. Its slope .62 is that of Legge and
Foley (1980, Journal of the Optical Society of America 70, 1458-1471) for gratings; that all frequencies at a place mask
alike follows the single-filter model of Rohaly, Ahumada and Watson (1997, Vision Research 37, 3225-3235). With slope 0
the model is the paper's, and notices far smaller changes of photographs than people do. There is no oblique effect (it
lowers the sensitivity to fine diagonal patterns); the eye is put where the JND is largest, as a viewer's would be who
has found the place. It is blind to colour: a change of saturation at equal luminance is not there for it.

S-CIELAB was tried for this place and left: on photographs with dark or saturated parts (20-36 % of the pixels of two
tried) its filters leave negative tristimulus values, and colour differences of more than 200 there.
"""

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from limen.image import Image

Floats = npt.NDArray[np.float64]

SOURCE = "Watson and Ahumada 2005, J. Vision 5(9):6, without oblique effect"
GAIN, HIGH, POWER, DEPTH, LOW = 373.08, 4.1726, 0.7786, 0.8493, 1.3625
SUMMATION = 2.4081
SLOPE = 0.62  # of masking
APERTURE = 0.6273  # degrees, standard deviation
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of sRGB's linear red, green and blue
DARKEST = 1e-4  # of white: the mean luminance of a black picture, to divide by


def start(pixels_per_degree: float, slope: float = SLOPE) -> Callable[[Image, Image], float]:
    """Return a function of reference and test, uint8 sRGB of one size: the difference in JND."""

    def compare(reference: Image, test: Image) -> float:
        light = _linear()[reference] @ LUMINANCE
        mean = max(float(light.mean()), DARKEST)
        return jnd((_linear()[test] @ LUMINANCE - light) / mean, pixels_per_degree, light / mean - 1, slope)

    return compare


def jnd(contrast: Floats, pixels_per_degree: float, mask: Floats | None = None, slope: float = SLOPE) -> float:
    """Return the visibility of a contrast image (H, W) in JND, on a mask of the same kind or on uniform grey.

    Args:
        contrast: (H, W), contrast relative to the mean luminance.
        pixels_per_degree: px per degree of visual angle, > 0.
        mask: (H, W), contrast of what lies below; None for uniform grey.
        slope: exponent of masking, >= 0; 0 for none.
    """
    height, width = contrast.shape
    frequencies = _frequencies(height, width, pixels_per_degree)
    seen = _mirrored(contrast, sensitivity(frequencies))
    if mask is not None and slope > 0:
        around = _mirrored(_mirrored(mask, sensitivity(frequencies)) ** 2, _aperture(frequencies, 1.0))
        seen = seen / (1 + np.maximum(around, 0)) ** (slope / 2)
    energy = np.zeros((2 * height, 2 * width))  # nothing lies beyond the edges
    energy[:height, :width] = np.abs(seen) ** SUMMATION
    area = 2 * np.pi * APERTURE**2 / SUMMATION
    pooled = area * _filtered(energy, _aperture(frequencies, SUMMATION))[:height, :width]
    return float(max(pooled.max(), 0.0) ** (1 / SUMMATION))


def sensitivity(frequency: Floats) -> Floats:
    """Return the contrast sensitivity at frequencies in cycles per degree."""
    found = GAIN * (_sech((frequency / HIGH) ** POWER) - DEPTH * _sech(frequency / LOW))
    return np.asarray(found)


def _aperture(frequency: Floats, power: float) -> Floats:
    """Return the transform of the aperture to a power, scaled to volume 1."""
    return np.asarray(np.exp(-2 * np.pi**2 * APERTURE**2 / power * frequency**2))


@functools.lru_cache(maxsize=4)
def _frequencies(height: int, width: int, pixels_per_degree: float) -> Floats:
    """Return the frequencies of a picture of twice the size, as `numpy.fft.rfft2` orders them."""
    rows, columns = np.fft.fftfreq(2 * height), np.fft.rfftfreq(2 * width)
    return np.asarray(pixels_per_degree * np.hypot(rows[:, None], columns))


def _mirrored(image: Floats, transfer: Floats) -> Floats:
    """Filter an image that is reflected at its edges."""
    height, width = image.shape
    twice = np.concatenate([image, image[::-1]])
    return _filtered(np.concatenate([twice, twice[:, ::-1]], axis=1), transfer)[:height, :width]


def _filtered(image: Floats, transfer: Floats) -> Floats:
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, s=image.shape)


def _sech(value: Floats) -> Floats:
    return np.asarray(1 / np.cosh(np.minimum(value, 700.0)))


@functools.lru_cache(maxsize=1)
def _linear() -> Floats:
    """Return linear light 0..1 of each sRGB value 0..255 (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
