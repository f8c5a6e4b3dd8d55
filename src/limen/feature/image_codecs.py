"""What sending features is held against: codecs of pictures, with the settings that serve them best in Pillow.

All that decides bytes is set here: subsampling, effort, number of threads, the encoder of AVIF. JPEG gets Huffman
tables of its own for each image and WebP a slow method, which cost time and save bytes. Chroma at half the
resolution (4:2:0) is what these codecs are used with; at a strict promise it may be what breaks it, so JPEG and AVIF
also come with all of it (4:4:4). A lossless codec is what sending the picture costs at most: it keeps every promise,
where the network's own images have 8 bits.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import features

from limen.errors import InputError, UnknownNameError
from limen.image import Image, decode

QUALITIES = tuple(float(quality) for quality in range(100, 0, -1))
DECIBELS = tuple(60 - step / 2 for step in range(91))  # to 15
_DRAWN = (95.0, 90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0)
_DRAWN_DECIBELS = (50.0, 46.0, 43.0, 40.0, 37.0, 34.0, 31.0, 28.0, 25.0, 22.0)
RESOLUTIONS = 6  # of JPEG 2000, where the image is large enough


@dataclass(frozen=True)
class ImageCodec:
    """A codec of pictures.

    Attributes:
        name: as tables call it.
        what: it is, in a few words.
        settings: it can be used with, the finest first: what a promise is tried with.
        drawn: those of them that its curve is measured at.
        unit: of a setting, for people; "" where there is one alone.
        encode: an image (uint8 RGB (H, W, 3)) and a setting to the bytes of a file.
    """

    name: str
    what: str
    settings: tuple[float, ...]
    drawn: tuple[float, ...]
    unit: str
    encode: Callable[[Image, float], bytes]

    def decode(self, data: bytes) -> Image:
        """Return the image that a file of this codec holds."""
        return decode(data, f"what {self.name} coded", smallest=1)

    def header(self, setting: float, height: int, width: int) -> int:
        """Return the bytes of a uniformly grey image of a size: of what a file holds whatever the image shows.

        An estimate: a codec may spend a little less, or more, on the same in a file of another image.

        Args:
            setting: of the codec.
            height: in px.
            width: in px.
        """
        return len(self.encode(np.full((height, width, 3), 128, np.uint8), setting))


def _saved(image: Image, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        Pillow.fromarray(image).save(buffer, kind, **settings)
    except (OSError, ValueError) as error:
        height, width = image.shape[:2]
        raise InputError(
            f"Images of {width} x {height} px, as the network sees them, cannot be coded as {kind} ({error}). Leave "
            "that codec out: --codec with the others."
        ) from None
    return buffer.getvalue()


def _jpeg(subsampling: str) -> Callable[[Image, float], bytes]:
    def encode(image: Image, quality: float) -> bytes:
        return _saved(image, "JPEG", quality=int(quality), subsampling=subsampling, optimize=True)

    return encode


def _webp(image: Image, quality: float) -> bytes:
    return _saved(image, "WEBP", quality=int(quality), method=6)


def _webp_lossless(image: Image, effort: float) -> bytes:
    return _saved(image, "WEBP", lossless=True, quality=int(effort), method=4)


def _avif(subsampling: str) -> Callable[[Image, float], bytes]:
    def encode(image: Image, quality: float) -> bytes:
        if not features.check("avif"):
            raise InputError("This build of Pillow has no AVIF. Install one that has: pip install 'pillow>=11.3'.")
        settings = {"quality": int(quality), "subsampling": subsampling, "speed": 6, "codec": "aom", "max_threads": 1}
        return _saved(image, "AVIF", **settings)

    return encode


def _jpeg2000(image: Image, decibels: float) -> bytes:
    halvings = int(np.log2(min(image.shape[:2])))
    settings = {"quality_mode": "dB", "quality_layers": [decibels], "irreversible": True, "no_jp2": True}
    return _saved(image, "JPEG2000", num_resolutions=min(RESOLUTIONS, halvings + 1), **settings)


CODECS: Mapping[str, ImageCodec] = {
    codec.name: codec
    for codec in (
        ImageCodec("jpeg", "JPEG, 4:2:0", QUALITIES, _DRAWN, "quality", _jpeg("4:2:0")),
        ImageCodec("jpeg-444", "JPEG, 4:4:4", QUALITIES, _DRAWN, "quality", _jpeg("4:4:4")),
        ImageCodec("webp", "WebP, 4:2:0", QUALITIES, _DRAWN, "quality", _webp),
        ImageCodec("avif", "AVIF, 4:2:0", QUALITIES, _DRAWN, "quality", _avif("4:2:0")),
        ImageCodec("avif-444", "AVIF, 4:4:4", QUALITIES, _DRAWN, "quality", _avif("4:4:4")),
        ImageCodec("jpeg2000", "JPEG 2000, 4:4:4", DECIBELS, _DRAWN_DECIBELS, "dB PSNR", _jpeg2000),
        ImageCodec("webp-lossless", "WebP, lossless", (90.0,), (90.0,), "", _webp_lossless),
    )
}
"""Codecs by name."""


def find(names: Sequence[str] = ()) -> list[ImageCodec]:
    """Return codecs by name, each once; all if none are named.

    Raises:
        UnknownNameError: no such codec.
    """
    for name in names:
        if name not in CODECS:
            raise UnknownNameError("codec of pictures", name, CODECS)
    return [CODECS[name] for name in dict.fromkeys(names or CODECS)]
