"""Images are uint8 RGB arrays of shape (H, W, 3): load, check, encode, digest.

Nothing here guesses. A file whose pixels would have to be reinterpreted to become 8-bit sRGB (more than 8 bits, HDR,
CMYK, transparency, several frames) is refused with one line that says what to do; grey becomes RGB, an EXIF
orientation is applied and other colours are converted to sRGB (`limen.image.colour`), because that is what a viewer
shows. What a file is, how deep and how large is read from its own bytes (`limen.image.container`) before a decoder sees
it.
"""

import hashlib
import io
import os
import stat
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from limen.errors import InputError
from limen.image import colour, container, lossless

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
    return decode(contents(path), path.name)


def contents(path: Path) -> bytes:
    """Return the bytes of a picture file, if it is not too large; raise `InputError` as `opened` does, or for size."""
    with opened(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            data = file.read(container.LARGEST_PICTURE + 1) if size <= container.LARGEST_PICTURE else b""
        except OSError as error:
            raise InputError(f"{path.name}: cannot be read ({error.strerror or error}). Check the path.") from None
    size = max(size, len(data))  # a file in /proc tells none
    if size > container.LARGEST_PICTURE:
        raise InputError(f"{path.name}: {too_long(size)}.")
    return data


def opened(path: Path) -> BinaryIO:
    """Open a picture file for reading, without waiting for a pipe or a device.

    Raises:
        InputError: it cannot be read, or is no file.
    """
    wait_not = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = os.open(path, os.O_RDONLY | wait_not)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror or error}). Check the path.") from None
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return open(number, "rb")
    os.close(number)
    if stat.S_ISDIR(mode):
        raise InputError(f"{path.name}: cannot be read (Is a directory). Check the path.")
    raise InputError(f"{path.name}: is a pipe or a device, not a file. Save the picture to a file.")


def too_long(size: int, most: int = container.LARGEST_PICTURE) -> str:
    """Return, without its full stop, what is said of a file, member or cell of more than `most` bytes."""
    return f"has {size >> 20:,} MB, over {most >> 20}. Scale it down first"


def decode(data: bytes, name: str = "image", smallest: int = SMALLEST) -> Image:
    """Decode the bytes of an image file into a uint8 RGB array; raise `InputError` as `load` does.

    Args:
        data: of the whole file.
        name: for messages.
        smallest: least px a side, >= 1.
    """
    try:
        if len(data) > container.LARGEST_PICTURE:
            raise InputError(f"{too_long(len(data))}.")
        kind, facts = container.look(data)
        _refuse_early(facts, smallest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Pillow.open(io.BytesIO(data), formats=(kind,))
            _refuse(picture, facts, smallest)
            own = _profile(picture, facts)
            ImageOps.exif_transpose(picture, in_place=True)
            flat = _in_mode(picture, "L" if picture.mode in {"1", "L", "LA", "La"} else "RGB")
            return np.array(_in_mode(colour.to_srgb(flat, own) if own is not None else flat, "RGB"))
    except UnidentifiedImageError:
        raise InputError(f"{name}: is broken or cut short (no header). Fetch or export it again.") from None
    except Pillow.DecompressionBombError:
        raise InputError(f"{name}: {_too_large()}") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except MemoryError:
        raise InputError(f"{name}: needs more memory than there is. Scale it down first.") from None
    except _BROKEN as error:
        cause = " ".join(str(error).split()).rstrip(".")
        if "MAX_TEXT" in cause:  # Pillow's bounds of what a PNG's chunks unpack to: 1 MB each, 64 MB together
            raise InputError(f"{name}: has text or a profile that unpacks to over 1 MB. Save it without.") from None
        raise InputError(f"{name}: is broken or cut short ({cause}). Fetch or export it again.") from None


def _in_mode(picture: Pillow.Image, mode: str) -> Pillow.Image:
    """Convert where it is needed: Pillow copies a picture that is in the mode already, 4 bytes a pixel."""
    return picture if picture.mode == mode else picture.convert(mode)


def _refuse_early(facts: container.Facts, smallest: int) -> None:
    """Raise `InputError` for what the container tells before anything is decoded."""
    if facts.size is not None:
        _refuse_size(*facts.size, smallest)
    if facts.hdr:
        raise InputError(f"is HDR ({facts.hdr}). Export it as 8-bit sRGB without HDR (tone mapping is yours).")
    if facts.frames > 1:
        most = " or more" if facts.frames >= container.MOST_FRAMES else ""
        raise InputError(f"holds {facts.frames:,}{most} frames. Save the frame you mean as a PNG.")
    if facts.bits > 8:
        raise InputError("has more than 8 bits a channel. Convert it to 8-bit sRGB (tone mapping is yours).")


def _refuse_size(width: int, height: int, smallest: int) -> None:
    if width * height > LARGEST:
        raise InputError(_too_large(f"{width}x{height}"))
    if min(width, height) < smallest:
        raise InputError(f"is {width}x{height} pixels. Use images of at least {smallest} px a side.")


def _refuse(picture: Pillow.Image, facts: container.Facts, smallest: int) -> None:
    """Raise `InputError` for a picture that is not 8-bit grey or RGB, from its header where possible."""
    _refuse_size(*picture.size, smallest)
    frames = facts.frames or getattr(picture, "n_frames", 1)
    if frames > 1:
        raise InputError(f"holds {frames:,} frames. Save the frame you mean as a PNG.")
    if picture.mode in {"CMYK", "LAB", "YCbCr", "HSV"} and picture.format != "JPEG":
        raise InputError(f"is in {picture.mode}. Convert it to 8-bit sRGB.")
    if picture.mode == "CMYK":
        raise InputError("is a CMYK JPEG made for print. Convert it to 8-bit sRGB.")
    if picture.mode.startswith(("I", "F")):
        raise InputError("has more than 8 bits a channel. Convert it to 8-bit sRGB (tone mapping is yours).")
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        low, _ = picture.convert("RGBA").getchannel("A").getextrema()
        if low != 255:
            raise InputError("is partly transparent. Flatten it on the background you want to show.")


def _profile(picture: Pillow.Image, facts: container.Facts) -> bytes | None:
    """Return the profile that says what the picture's numbers mean; None for sRGB.

    In this order: the embedded one, one made of what the container states, Adobe RGB where the camera's EXIF says so.
    """
    embedded = facts.profile if facts.profile is not None else picture.info.get("icc_profile")
    if embedded is not None:
        return bytes(embedded)
    if facts.colour is not None:
        return colour.profile_of(facts.colour)
    return colour.profile_of(colour.ADOBE_RGB) if "exif" in picture.info and _adobe(picture) else None


def _adobe(picture: Pillow.Image) -> bool:
    """Say whether EXIF marks Adobe RGB: the DCF option file R03, or the colour space 2 that some cameras write."""
    try:
        exif = picture.getexif()
        return exif.get_ifd(0x8769).get(0xA001) == 2 or exif.get_ifd(0xA005).get(1) in ("R03", b"R03")
    except _BROKEN:
        return False


def _too_large(size: str = "") -> str:
    return f"{size or 'its size'} is over {LARGEST // 1_000_000} million pixels. Scale it down first."


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
    return lossless.png(check(image))


def encode(image: Image, encoding: str) -> bytes:
    """Encode as "png" or as "jpeg:QUALITY" (lossy, for a user who asks for it by name)."""
    kind, _, quality = encoding.partition(":")
    if kind == "png" and not quality:
        return png(image)
    if kind == "jpeg" and quality.isdecimal() and 1 <= int(quality) <= 100:
        buffer = io.BytesIO()
        Pillow.fromarray(image).save(buffer, "JPEG", quality=int(quality))
        return buffer.getvalue()
    raise InputError(f"No image encoding {encoding!r}. Use 'png', or 'jpeg:95' to accept losses.")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image on its way to an observer, with the digest of its pixels computed once.

    Examples:
        >>> import numpy as np
        >>> from limen import Picture
        >>> grey = np.full((32, 48, 3), 128, dtype=np.uint8)
        >>> Picture.of(grey).digest == Picture.of(grey.copy()).digest
        True
    """

    pixels: Image
    digest: str

    @classmethod
    def of(cls, image: Image) -> Self:
        """Wrap `image` and digest it."""
        return cls(image, digest(image))
