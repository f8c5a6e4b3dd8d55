"""Changes of tone and colour: each pixel by itself, arithmetic on the encoded values in float32, rounded once."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from limen.distortion import Prepare, Render, distortion
from limen.image import Image
from limen.ladder import Domain, Ladder

LUMA = (299, 587, 114)  # thousandths of red, green and blue: ITU-R BT.601
Values = npt.NDArray[np.floating[Any]]
Tone = Callable[[Values, float], Values]
FACTOR = Domain(0, math.inf, neutral=1)


def _rounded(values: Values) -> Image:
    """Round to grey levels; `values` is overwritten."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


def _by_table(tone: Tone) -> Prepare:
    """Turn a function of grey level (0..255) and strength into a distortion, by a table of 256 entries."""

    def prepare(image: Image, rng: np.random.Generator) -> Render:
        grey = np.arange(256, dtype=np.float32)

        def render(strength: float) -> Image:
            table = _rounded(tone(grey, strength)).tobytes()
            # Python's own table look-up: three times as fast as np.take, which turns every pixel into an index first.
            return np.frombuffer(bytearray(image).translate(table), np.uint8).reshape(image.shape)

        return render

    prepare.__doc__ = tone.__doc__
    return prepare


def _brightness(grey: Values, exponent: float) -> Values:
    """Brighten by a gamma curve, y = 255 (x/255)^(1 - 0.018 k) (fit to the paper's thumbnails).

    In float64: at k = 33 grey level 159 becomes 210.49999975, which float32 cannot tell from 210.5.

    Version 2: that one (float32 gave 211).
    """
    brighter: Values = 255 * (grey.astype(np.float64) / 255) ** exponent
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
    version=2,
    domain=FACTOR,
)(_by_table(_brightness))
distortion(
    "contrast",
    word="contrast",
    ladder=Ladder(tuple(round(1 - 0.0175 * k, 4) for k in range(1, 51)), unit="factor about mid-grey"),
    domain=FACTOR,
)(_by_table(_contrast))
distortion(
    "banding",
    word="banding artifacts",
    ladder=Ladder(tuple(256 / 2 ** (5 * k / 100) for k in range(1, 101)), unit="grey levels a channel"),
    domain=Domain(1, 256, neutral=256),
)(_by_table(_banding))


@distortion(
    "saturation",
    word="color saturation",
    ladder=Ladder(tuple(round(1 + 0.06 * k, 2) for k in range(1, 51)), unit="factor about luma"),
    version=2,
    domain=FACTOR,
)
def saturation(image: Image, rng: np.random.Generator) -> Render:
    """Raise the saturation, y = luma + (1 + 0.06 k)(x - luma), BT.601 luma (fit to the paper's thumbnails).

    Reckoned as x + 0.06 k (x - luma) with the difference in whole thousandths, which float32 holds exactly.

    Version 2: luma was a product of matrices, whose last digit depended on the processor.
    """
    thousandths = image.astype(np.int32)
    luma = sum(weight * thousandths[..., channel] for channel, weight in enumerate(LUMA))
    thousandths *= 1000
    thousandths -= np.asarray(luma)[..., None]
    chroma = thousandths.astype(np.float32)

    def render(factor: float) -> Image:
        values = chroma * np.float32((factor - 1) / 1000)
        values += image
        return _rounded(values)

    return render
