"""Lossy coding: there and back."""

import io
import threading

import numpy as np
from PIL import Image as Pillow

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder


@distortion(
    "jpeg",
    word="JPEG compression",
    ladder=Ladder(tuple(float(101 - k) for k in range(1, 101)), unit="quality"),
)
def jpeg(image: Image, rng: np.random.Generator) -> Render:
    """Compress at JPEG quality 101 - k (libjpeg-turbo, 4:2:0): the unit of KonJND-1k and of the paper."""
    picture = Pillow.fromarray(image)
    alone = threading.Lock()  # Pillow keeps the settings of a save in the image: another thread would get this quality

    def render(quality: float) -> Image:
        buffer = io.BytesIO()
        with alone:
            picture.save(buffer, "JPEG", quality=int(quality), subsampling="4:2:0")
        return np.array(Pillow.open(buffer, formats=("JPEG",)))

    return render
