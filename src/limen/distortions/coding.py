"""Lossy coding: there and back."""

import io

import numpy as np
from PIL import Image as Pillow

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder


def _jpeg(image: Image, quality: float) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=int(quality), subsampling="4:2:0")
    return buffer.getvalue()


@distortion(
    "jpeg",
    word="JPEG compression",
    ladder=Ladder(tuple(float(101 - k) for k in range(1, 101)), unit="quality"),
    encoded=_jpeg,
)
def jpeg(image: Image, rng: np.random.Generator) -> Render:
    """Compress at JPEG quality 101 - k (libjpeg-turbo, 4:2:0): the unit of KonJND-1k and of the paper."""
    return lambda quality: np.array(Pillow.open(io.BytesIO(_jpeg(image, quality)), formats=("JPEG",)))
