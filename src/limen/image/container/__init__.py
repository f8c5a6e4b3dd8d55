"""What a picture file is and says of itself, from its own bytes, before anything decodes it.

The formats that are read are a closed list. What Pillow could open beyond it (PostScript, which Ghostscript would run,
WMF, PDF, GRIB, ...) reaches none of its readers.
"""

from collections.abc import Callable

from limen.errors import InputError
from limen.image.container import boxes, jpeg, plain, png, tiff
from limen.image.container.facts import GAIN_MAP, HLG, LARGEST_PICTURE, MOST_FRAMES, PQ, SRGB, Colour, Facts

__all__ = [
    "GAIN_MAP",
    "HEAD",
    "HLG",
    "LARGEST_PICTURE",
    "MOST_FRAMES",
    "PQ",
    "SRGB",
    "Colour",
    "Facts",
    "foreign",
    "kind",
    "look",
    "reads",
]

_LOOK: dict[str, Callable[[bytes], Facts | None]] = {
    "PNG": png.look,
    "JPEG": jpeg.look,
    "WEBP": plain.webp,
    "TIFF": tiff.look,
    "BMP": plain.bmp,
    "GIF": plain.gif,
    "PPM": plain.pnm,
    "AVIF": boxes.avif,
    "JPEG2000": boxes.jpeg2000,
}
HEAD = 64  # bytes that `kind` and `foreign` look at
_BEGINS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II\x2a\x00": "TIFF",
    b"MM\x00\x2a": "TIFF",
    b"II\x2b\x00": "TIFF",
    b"MM\x00\x2b": "TIFF",
    b"II\x00\x2a": "TIFF",  # wrong order of the 42, as some writers have it
    b"MM\x2a\x00": "TIFF",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_FOREIGN = {
    b"%!PS": "PostScript",
    b"\x04%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop (PSD)",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"FUJIFILMCCD-RAW": "camera RAW",
    b"IIRO": "camera RAW",
    b"IIRS": "camera RAW",
    b"MMOR": "camera RAW",
    b"IIU\x00": "camera RAW",
    b"\x00MRM": "camera RAW",
    b"FOVb": "camera RAW",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"qoif": "QOI",
    b"DDS ": "DDS",
    b"\x00\x00\x01\x00": "an icon",
    b"\xd7\xcd\xc6\x9a": "WMF",
    b"<svg": "SVG",
    b"gimp xcf": "GIMP (XCF)",
}
_BRANDS = {
    b"heic": "HEIF", b"heix": "HEIF", b"heim": "HEIF", b"heis": "HEIF", b"hevc": "HEIF", b"hevx": "HEIF",
    b"mif1": "HEIF", b"msf1": "HEIF", b"crx ": "camera RAW",
}  # fmt: skip


def kind(head: bytes) -> str:
    """Return which of the formats that are read a file's first bytes are, as Pillow calls it, or ""."""
    for begins, name in _BEGINS.items():
        if head.startswith(begins):
            return "" if name == "TIFF" and head[8:10] == b"CR" else name  # Canon's CR2 is a TIFF of another kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#" and len(head) > 2:
        return "PPM"
    return "AVIF" if _brands(head) & {b"avif", b"avis"} else ""


def foreign(head: bytes) -> str:
    """Return the name of a picture format that is known and not read, from a file's first bytes, or ""."""
    if head[:2] in (b"II", b"MM") and head[8:10] == b"CR":
        return "camera RAW"
    for begins, name in _FOREIGN.items():
        if head.startswith(begins):
            return name
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "")
    return "SVG" if b"<svg" in head else ""


def _brands(head: bytes) -> set[bytes]:
    if head[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}


def reads() -> tuple[str, ...]:
    """Return the formats that are read, as Pillow calls them."""
    return tuple(_LOOK)


def look(data: bytes) -> tuple[str, Facts]:
    """Return the format of a file and what it says of itself.

    Raises:
        InputError: it is none of the formats that are read; or is broken, or beyond a bound that holds before it is
            decoded. The text begins with a verb, to be put behind a name.
    """
    head = data[:HEAD]
    found = kind(head)
    if not found:
        other = foreign(head)
        what = f", but {other}" if other else ""
        raise InputError(
            f"is not an image that limen reads (PNG, JPEG, WebP, TIFF, ...){what}. Convert it to PNG, or remove it."
        )
    facts = _LOOK[found](data)
    if facts is None:
        raise InputError("is broken or cut short (no header). Fetch or export it again.")
    return found, facts
