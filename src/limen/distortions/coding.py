"""Lossy coding: there and back."""

import io

import numpy as np
from PIL import Image as Pillow

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder


def encode_jpeg(image: Image, quality: float) -> bytes:
    """Return a JPEG file (libjpeg-turbo, 4:2:0).

    Args:
        image: uint8 RGB (H, W, 3).
        quality: 1 to 100.
    """
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=int(quality), subsampling="4:2:0")
    return buffer.getvalue()


@distortion(
    "jpeg",
    word="JPEG compression",
    ladder=Ladder(tuple(float(101 - k) for k in range(1, 101)), unit="quality"),
    encode=encode_jpeg,
)
def jpeg(image: Image, rng: np.random.Generator) -> Render:
    """Compress at JPEG quality 101 - k (libjpeg-turbo, 4:2:0): the unit of KonJND-1k and of the paper."""
    return lambda quality: np.array(Pillow.open(io.BytesIO(encode_jpeg(image, quality)), formats=("JPEG",)))
