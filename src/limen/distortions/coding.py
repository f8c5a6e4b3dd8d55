"""Lossy coding: there and back. Each codec's coded file is `Distortion.encoded`; it is decoded as any picture is.

Whatever is left to a library would change with it, so all that decides pixels is set here: subsampling, effort, number
of threads, and for AVIF the encoder.
"""

import io
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import features

from limen.distortion import Encode, Render, distortion
from limen.errors import InputError
from limen.image import Image, decode
from limen.ladder import Domain, Ladder

QUALITY = Domain(1, 100, neutral=100, whole=True)
EVEN = Ladder(tuple(float(102 - 2 * k) for k in range(1, 51)), unit="quality")
DECIBELS = Ladder(tuple(round(50.7 - 0.7 * k, 1) for k in range(1, 51)), unit="dB PSNR")


def _save(image: Image, kind: str, **settings: Any) -> bytes:
    """Return an image coded by Pillow; raise `InputError` where this Pillow cannot, or not this image."""
    buffer = io.BytesIO()
    try:
        # A picture of its own for each: Pillow keeps the settings of a save in it, and another thread would get them.
        Pillow.fromarray(image).save(buffer, kind, **settings)
    except (OSError, ValueError) as error:
        height, width = image.shape[:2]
        raise InputError(f"{width}x{height} pixels cannot be coded as {kind} ({error}). Scale it down first.") from None
    return buffer.getvalue()


def _there_and_back(image: Image, encoded: Encode) -> Render:
    return lambda strength: decode(encoded(image, strength), "the coded picture", smallest=1)


def _jpeg(image: Image, quality: float) -> bytes:
    return _save(image, "JPEG", quality=int(quality), subsampling="4:2:0")


def _webp(image: Image, quality: float) -> bytes:
    return _save(image, "WEBP", quality=int(quality), method=4)


def _avif(image: Image, quality: float) -> bytes:
    if not features.check("avif"):
        raise InputError("This build of Pillow has no AVIF. Install one that has: pip install 'pillow>=11.3'.")
    settings = {"quality": int(quality), "subsampling": "4:2:0", "speed": 6, "codec": "aom", "max_threads": 1}
    return _save(image, "AVIF", **settings)


def _jpeg2000(image: Image, decibels: float) -> bytes:
    settings = {"quality_mode": "dB", "quality_layers": [decibels], "irreversible": True, "no_jp2": True}
    return _save(image, "JPEG2000", **settings)


@distortion(
    "jpeg",
    word="JPEG compression",
    ladder=Ladder(tuple(float(101 - k) for k in range(1, 101)), unit="quality"),
    domain=QUALITY,
    encoded=_jpeg,
)
def jpeg(image: Image, rng: np.random.Generator) -> Render:
    """Compress at JPEG quality 101 - k (libjpeg-turbo, 4:2:0): the unit of KonJND-1k and of the paper."""
    return _there_and_back(image, _jpeg)


@distortion("webp", word="WebP compression", ladder=EVEN, domain=QUALITY, encoded=_webp)
def webp(image: Image, rng: np.random.Generator) -> Render:
    """Compress at WebP quality 102 - 2k (libwebp, lossy, 4:2:0, method 4) (ours)."""
    return _there_and_back(image, _webp)


@distortion("avif", word="AVIF compression", ladder=EVEN, domain=QUALITY, encoded=_avif)
def avif(image: Image, rng: np.random.Generator) -> Render:
    """Compress at AVIF quality 102 - 2k (libavif's scale; libaom, 4:2:0, speed 6, one thread) (ours)."""
    return _there_and_back(image, _avif)


@distortion(
    "jpeg2000",
    word="JPEG 2000 compression",
    ladder=DECIBELS,
    domain=Domain(1, 60, neutral=60),
    encoded=_jpeg2000,
)
def jpeg2000(image: Image, rng: np.random.Generator) -> Render:
    """Compress to a PSNR of 50.7 - 0.7k dB (OpenJPEG, 9/7 wavelet, 4:4:4, one layer, no JP2 boxes) (ours).

    By PSNR and not by rate: a rate that is fine for one picture is coarse for another, or less than a header takes.
    """
    return _there_and_back(image, _jpeg2000)
