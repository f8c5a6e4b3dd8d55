"""From a picture's own colours to sRGB: by what its profile does, never by what it is called.

A profile is tried on colours first. Where it gives them back as they are, to within `NEAR`, the picture's numbers are
sRGB's and stay as they are, byte for byte; else LittleCMS converts them (relative colorimetric, as viewers do).
"""

import functools
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image.container import HLG, PQ, Colour

NEAR = 0.2  # grey levels, mean over the colours tried: LittleCMS's own sRGB and the profiles of vendors lie below 0.1
AT_MOST = 2  # grey levels, of any colour tried
ADOBE_RGB = Colour((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SPACES = {"RGB": "RGB", "GRAY": "L"}  # of profiles, and the modes of pictures that they are for
_CLASSES = ("mntr", "scnr", "prtr", "spac")  # displays, cameras, printers, colour spaces; no links between devices

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Way:
    """How to get to sRGB: a transform for pictures of a mode, or none where the numbers are sRGB's."""

    mode: str
    transform: Any | None


def to_srgb(picture: Pillow.Image, profile: bytes) -> Pillow.Image:
    """Convert a picture of mode L or RGB through an ICC profile; return it untouched where that changes nothing.

    Raises:
        InputError: the profile is broken, is for other colours than the picture has, or is one of HDR. The text
            begins with a verb, to be put behind a name.
    """
    way = _way(profile)
    if way.mode == "L" and picture.mode != "L":
        raise InputError("has a colour profile for grey but is in colour. Save it as sRGB.")
    if way.transform is None:
        return picture
    from PIL import ImageCms

    try:
        return ImageCms.applyTransform(picture.convert(way.mode), way.transform) or picture
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise _unusable(error) from None


@functools.lru_cache(maxsize=16)
def _way(profile: bytes) -> _Way:
    """Try a profile on colours. Kept by the profile's bytes: the photographs of a folder share a few."""
    from PIL import ImageCms

    if hdr := _hdr(profile):
        raise InputError(f"has a colour profile of {hdr} (HDR). Convert it to 8-bit sRGB (tone mapping is yours).")
    use, space = (_readable(profile[at : at + 4]).strip() for at in (12, 16))
    if len(profile) >= 128 and (space not in _SPACES or use not in _CLASSES):
        raise InputError(f"has a colour profile for {space} (of the class {use}). Convert it to 8-bit sRGB.")
    mode = _SPACES.get(space, "RGB")
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(opened, _srgb(), mode, "RGB", intent)
        colours = _colours(mode)
        given = ImageCms.applyTransform(colours, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise _unusable(error) from None
    assert given is not None
    off = np.abs(np.asarray(given, np.int16) - np.asarray(colours.convert("RGB"), np.int16))
    same = off.max() <= AT_MOST and off.mean() <= NEAR
    return _Way(mode, None if same else transform)


@functools.cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.cache
def _colours(mode: str) -> Pillow.Image:
    """Return colours to try a profile on: every grey; for RGB also ramps of each channel and a grid of 9 a side."""
    ramp = np.arange(256)
    if mode == "L":
        return Pillow.fromarray(ramp.astype(np.uint8)[None])
    grey = np.stack([ramp] * 3, -1)
    ramps = [np.where(np.arange(3) == channel, ramp[:, None], 0) for channel in range(3)]
    grid = np.stack(np.meshgrid(*[np.linspace(0, 255, 9)] * 3), -1).reshape(-1, 3)
    return Pillow.fromarray(np.concatenate([grey, *ramps, np.rint(grid)]).astype(np.uint8)[None])


def _unusable(error: Exception) -> InputError:
    cause = " ".join(str(error).split()).rstrip(".") or "LittleCMS takes it for none"
    return InputError(f"has a colour profile that cannot be used ({cause}). Save it as sRGB.")


# --- what a profile is ---


def _tag(profile: bytes, name: bytes) -> bytes:
    """Return a profile's tag, or nothing."""
    (count,) = struct.unpack_from(">I", profile.ljust(132, b"\0"), 128)
    for place in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        if profile[place : place + 4] == name:
            start, size = struct.unpack_from(">II", profile, place + 4)
            return profile[start : start + size]
    return b""


def _hdr(profile: bytes) -> str:
    """Return `PQ` or `HLG` where a profile says so, by its code points or by the shape of its curve."""
    code = _tag(profile, b"cicp")
    if len(code) >= 12 and code[9] in (16, 18):
        return PQ if code[9] == 16 else HLG
    curve = _tag(profile, b"rTRC") or _tag(profile, b"kTRC")
    count = min(int.from_bytes(curve[8:12], "big"), (len(curve) - 12) // 2)
    if curve[:4] != b"curv" or count < 17:  # a gamma, or too few points to tell a shape
        return ""
    light = np.frombuffer(curve, ">u2", count, 12) / 65_535
    numbers = np.linspace(0, 1, count)
    inside = (numbers > 0.3) & (numbers < 0.95)
    for name, shape in ((PQ, _pq(numbers)), (HLG, _hlg(numbers))):
        if np.all(np.abs(light[inside] - shape[inside]) <= 0.05 * shape[inside] + 2 / 65_535):
            return name
    return ""


def _pq(numbers: Floats) -> Floats:
    """Return light of the SMPTE ST 2084 curve, 1 for 10,000 cd/m2."""
    root = numbers ** (32 / 2523)
    return np.asarray((np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305))


def _hlg(numbers: Floats) -> Floats:
    """Return light of the scene by the hybrid log-gamma curve of ITU-R BT.2100."""
    return np.asarray(
        np.where(numbers <= 0.5, numbers**2 / 3, (np.exp((numbers - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    )


def _readable(text: bytes) -> str:
    return "".join(chr(one) if 32 <= one < 127 else "?" for one in text)


# --- profiles for what files say without one ---


@functools.lru_cache(maxsize=16)
def profile_of(colour: Colour) -> bytes:
    """Return an ICC profile (version 2, matrix and curves) for primaries and a gamma, or sRGB's curve.

    Raises:
        InputError: the primaries span no colours.
    """
    white, *points = (np.array((x / y, 1.0, (1 - x - y) / y)) if y > 0 else np.zeros(3) for x, y in _pairs(colour))
    matrix = np.stack(points, 1)
    if not np.all(np.isfinite(matrix)) or abs(np.linalg.det(matrix)) < 1e-6 or not white.any():
        raise InputError("states primaries that span no colours. Save it as sRGB.")
    matrix = matrix * np.linalg.solve(matrix, white)
    adapted = np.linalg.solve(_BRADFORD, np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD) @ matrix
    if not np.all(np.abs(adapted) < 8):
        raise InputError("states primaries that span no colours. Save it as sRGB.")
    numbers = np.linspace(0, 1, 4096)
    power = colour.gamma
    light = (
        numbers**power if power else np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)
    )
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(light)) + np.rint(light * 65_535).astype(">u2").tobytes()
    tags = {b"wtpt": _xyz(_D50)}
    tags |= {letter + b"XYZ": _xyz(adapted[:, at]) for at, letter in enumerate((b"r", b"g", b"b"))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    tags |= {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 6) + b"limen\0" + bytes(78), b"cprt": b"text\0\0\0\0none\0"}
    return _written(tags)


def _pairs(colour: Colour) -> Sequence[tuple[float, float]]:
    return list(zip(colour.primaries[::2], colour.primaries[1::2], strict=True))


def _xyz(values: Sequence[float] | Floats) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65_536) for value in values))


def _written(tags: dict[bytes, bytes]) -> bytes:
    table, content, at = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", at + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s", at + len(content), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content
