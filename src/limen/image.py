"""Images are uint8 RGB arrays of shape (H, W, 3): load, check, encode, digest.

Nothing here guesses. A file whose pixels would have to be reinterpreted to become 8-bit sRGB (16 bit, CMYK,
transparency, several frames) is refused with one line that says what to do; grey becomes RGB, an EXIF orientation
is applied and an embedded colour profile is converted to sRGB, because that is what a viewer shows.
"""

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from limen.errors import InputError

Image: TypeAlias = npt.NDArray[np.uint8]

SMALLEST = 32  # pixels a side: below this a QR code of one pixel a module does not fit
LARGEST = 64_000_000  # pixels: a decompression bomb is refused from its header, before it is decoded
# What Pillow's readers raise for broken files, each from its own format (IndexError: GIF, RuntimeError: AVIF, ...).
_BROKEN = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    struct.error,
)
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif"})


def check(image: Image, name: str = "image") -> Image:
    """Return `image` as contiguous memory if it is uint8 RGB (H, W, 3), else raise `InputError`."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"{name}: an image is a uint8 RGB array of shape (H, W, 3), not {given}.")
    return np.ascontiguousarray(image)


def load(path: Path) -> Image:
    """Read an image file into a uint8 RGB array.

    Raises:
        InputError: one line naming the file, the cause and the remedy.
    """
    try:
        return decode(path.read_bytes(), path.name)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror or error}). Check the path.") from None


def decode(data: bytes, name: str = "image") -> Image:
    """Decode the bytes of an image file into a uint8 RGB array; raise `InputError` as `load` does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Pillow.open(io.BytesIO(data))
            _refuse(picture, name)
            return np.array(_srgb(ImageOps.exif_transpose(picture), name))
    except UnidentifiedImageError:
        raise InputError(f"{name}: is not an image Pillow can read. Convert it to PNG, or remove it.") from None
    except Pillow.DecompressionBombError:
        raise InputError(_too_large(name)) from None
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{name}: is broken or cut short ({error}). Fetch or export it again.") from None


def _refuse(picture: Pillow.Image, name: str) -> None:
    """Raise `InputError` for a picture that is not 8-bit grey or RGB, from its header where possible."""
    width, height = picture.size
    if width * height > LARGEST:
        raise InputError(_too_large(name, f"{width}x{height}"))
    if min(width, height) < SMALLEST:
        raise InputError(f"{name}: is {width}x{height} pixels. Use images of at least {SMALLEST} px a side.")
    if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":  # a camera's JPEG with its preview
        raise InputError(f"{name}: holds {picture.n_frames} frames. Save the frame you mean as a PNG.")  # type: ignore[attr-defined]
    if picture.mode in {"CMYK", "LAB", "YCbCr", "HSV"} and picture.format != "JPEG":
        raise InputError(f"{name}: is in {picture.mode}. Convert it to 8-bit sRGB.")
    if picture.mode == "CMYK":
        raise InputError(f"{name}: is a CMYK JPEG made for print. Convert it to 8-bit sRGB.")
    if picture.mode.startswith(("I", "F")) or _deep(picture):
        raise InputError(f"{name}: has more than 8 bits a channel. Convert it to 8-bit sRGB (tone mapping is yours).")
    if "A" in picture.getbands() or "transparency" in picture.info:
        low, _ = picture.convert("RGBA").getchannel("A").getextrema()
        if low != 255:
            raise InputError(f"{name}: is partly transparent. Flatten it on the background you want to show.")


def _deep(picture: Pillow.Image) -> bool:
    """Say whether a colour file holds 16 bits a channel, of which Pillow would keep the upper 8 without a word."""
    return any(";16" in str(tile.args) or "65535" in str(tile.args) for tile in getattr(picture, "tile", ()))


def _srgb(picture: Pillow.Image, name: str) -> Pillow.Image:
    """Return the picture in 8-bit sRGB; LittleCMS converts from an embedded profile that does not call itself sRGB."""
    flat = picture.convert("L" if picture.mode in {"1", "L", "LA"} else "RGB")
    if picture.info.get("icc_profile"):
        from PIL import ImageCms

        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
            if "srgb" not in ImageCms.getProfileDescription(profile).lower():
                target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
                intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
                flat = ImageCms.profileToProfile(flat, profile, target, intent, "RGB") or flat
        except (ImageCms.PyCMSError, OSError) as error:
            raise InputError(f"{name}: has a colour profile that cannot be used ({error}). Save it as sRGB.") from None
    return flat.convert("RGB")


def _too_large(name: str, size: str = "") -> str:
    return f"{name}: {size or 'its size'} is over {LARGEST // 1_000_000} million pixels. Scale it down first."


def scale_down(image: Image, side: int) -> Image:
    """Return the image with its longer side brought to `side` px if it is longer (Lanczos, on encoded values).

    Args:
        image: uint8 RGB (H, W, 3).
        side: in px, at least 32.

    Raises:
        InputError: the shorter side would be under 32 px.
    """
    height, width, _ = image.shape
    if max(height, width) <= side:
        return image
    size = (max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width))))
    if min(size) < SMALLEST:
        raise InputError(
            f"{width}x{height} pixels scaled to {side} px a side are {size[0]}x{size[1]}, under {SMALLEST} px. Crop "
            "the image, or allow a longer side."
        )
    return np.array(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS))


def digest(image: Image) -> str:
    """Return 32 hexadecimal digits that stand for the pixels: what was shown, whatever file carried it."""
    hasher = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}".encode())
    hasher.update(np.ascontiguousarray(image).data)
    return hasher.hexdigest()[:32]


def png(image: Image) -> bytes:
    """Encode without loss and without metadata (no EXIF, no ICC)."""
    return encode(image, "png")


def encode(image: Image, encoding: str) -> bytes:
    """Encode as "png" or as "jpeg:QUALITY" (lossy, for a user who asks for it by name)."""
    buffer = io.BytesIO()
    kind, _, quality = encoding.partition(":")
    if kind == "png" and not quality:
        # Level 1 with Pillow's zlib-ng: 17 ms at 512x384 and 8 % larger than level 6, which takes 62 ms.
        Pillow.fromarray(image).save(buffer, "PNG", compress_level=1)
    elif kind == "jpeg" and quality.isdecimal() and 1 <= int(quality) <= 100:
        Pillow.fromarray(image).save(buffer, "JPEG", quality=int(quality))
    else:
        raise InputError(f"No image encoding {encoding!r}. Use 'png', or 'jpeg:95' to accept losses.")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image on its way to an observer, with the digest of its pixels computed once."""

    pixels: Image
    digest: str

    @classmethod
    def of(cls, image: Image) -> Self:
        """Wrap `image` and digest it."""
        return cls(image, digest(image))
