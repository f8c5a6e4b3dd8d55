"""Changes of tone and colour: each pixel by itself, arithmetic on the encoded values in float32, rounded once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from limen.distortion import Prepare, Render, distortion
from limen.image import Image
from limen.ladder import Ladder

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
Values = npt.NDArray[np.floating[Any]]
Tone = Callable[[Values, float], Values]


def _rounded(values: Values) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _by_table(tone: Tone) -> Prepare:
    """Turn a function of grey level (0..255) and strength into a distortion, by a table of 256 entries."""

    def prepare(image: Image, rng: np.random.Generator) -> Render:
        grey = np.arange(256, dtype=np.float32)
        return lambda strength: np.take(_rounded(tone(grey, strength)), image)

    prepare.__doc__ = tone.__doc__
    return prepare


def _brightness(grey: Values, exponent: float) -> Values:
    """Brighten by a gamma curve, y = 255 (x/255)^(1 - 0.018 k) (fit to the paper's thumbnails)."""
    brighter: Values = 255 * (grey / 255) ** np.float32(exponent)
    return brighter


def _contrast(grey: Values, factor: float) -> Values:
    """Lower the contrast about mid-grey, y = 127.5 + (1 - 0.0175 k)(x - 127.5) (fit to the paper's thumbnails)."""
    flatter: Values = 127.5 + np.float32(factor) * (grey - 127.5)
    return flatter


def _banding(grey: Values, levels: float) -> Values:
    """Keep 256 / 2^(5k/100) grey levels a channel, without dither (ours; not BAND-2k, which has one stimulus each)."""
    step = np.float32(256 / levels)
    quantised: Values = (np.floor(grey / step) + 0.5) * step - 0.5
    return quantised


distortion(
    "brightness",
    word="brightness",
    ladder=Ladder(tuple(round(1 - 0.018 * k, 4) for k in range(1, 51)), unit="exponent (gamma)"),
)(_by_table(_brightness))
distortion(
    "contrast",
    word="contrast",
    ladder=Ladder(tuple(round(1 - 0.0175 * k, 4) for k in range(1, 51)), unit="factor about mid-grey"),
)(_by_table(_contrast))
distortion(
    "banding",
    word="banding artifacts",
    ladder=Ladder(tuple(256 / 2 ** (5 * k / 100) for k in range(1, 101)), unit="grey levels a channel"),
)(_by_table(_banding))


@distortion(
    "saturation",
    word="color saturation",
    ladder=Ladder(tuple(round(1 + 0.06 * k, 2) for k in range(1, 51)), unit="factor about luma"),
)
def saturation(image: Image, rng: np.random.Generator) -> Render:
    """Raise the saturation, y = luma + (1 + 0.06 k)(x - luma), BT.601 luma (fit to the paper's thumbnails)."""
    values = image.astype(np.float32)
    luma = (values @ LUMA)[..., None]
    chroma = values - luma
    return lambda strength: _rounded(luma + np.float32(strength) * chroma)
