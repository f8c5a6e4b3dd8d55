"""GIF, WebP, BMP and PNM."""

import re
import struct

from limen.errors import InputError
from limen.image.container.facts import (
    LARGEST_PROFILE,
    MOST_FRAMES,
    MOST_PARTS,
    MOST_RUNS,
    MOST_TEXT,
    Colour,
    Facts,
    plain,
    too_much,
)

MOST_BLOCKS = 2_000_000  # of a GIF, 255 bytes each
MOST_WORDS = 1 << 20  # bytes of a GIF's comments and extensions, which Pillow joins one by one
_NUMBER = rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,10})"
_PNM = re.compile(rb"P([1-6])" + _NUMBER + _NUMBER + rb"(?:" + _NUMBER + rb")?")


def gif(data: bytes) -> Facts | None:
    """Count the frames of a GIF and what stands beside them."""
    if len(data) < 13:
        return None
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames = words = blocks = 0
    while at < len(data) and frames < MOST_FRAMES:
        kind = data[at]
        if kind == 0x2C and at + 10 <= len(data):
            left, top, across, down, flags = struct.unpack_from("<4HB", data, at + 1)
            frames, width, height = frames + 1, max(width, left + across), max(height, top + down)
            at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        elif kind == 0x21:
            at += 2
        else:
            at = at + 1 if kind == 0 else len(data)
            continue
        while at < len(data) and data[at]:
            words += data[at] if kind == 0x21 else 0
            at, blocks = at + 1 + data[at], blocks + 1
            if blocks > MOST_BLOCKS or words > MOST_WORDS:
                raise too_much(f"has over {MOST_BLOCKS:,} blocks, or {MOST_WORDS >> 20} MB of comments")
        at += 1
    return Facts((width, height), 8, frames)


def webp(data: bytes) -> Facts | None:
    """Return what the chunks of a WebP file say."""
    at, count, frames, size, profile = 12, 0, 0, None, None
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"VP8X" and length >= 10:
            sides = (1 + int.from_bytes(data[at + place : at + place + 3], "little") for place in (12, 15))
            size = (next(sides), next(sides))
        elif name == b"ANMF":
            frames += 1
        elif name == b"ICCP":
            if length > LARGEST_PROFILE:
                raise too_much(f"has a colour profile of over {LARGEST_PROFILE >> 20} MB")
            profile = data[at + 8 : at + 8 + length]
        elif name == b"VP8 " and length >= 10 and size is None:
            width, height = struct.unpack_from("<HH", data.ljust(at + 18, b"\0"), at + 14)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif name == b"VP8L" and length >= 5 and size is None:
            packed = int.from_bytes(data[at + 9 : at + 13], "little")
            size = (1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
        at, count = at + 8 + length + (length & 1), count + 1
        if count > MOST_PARTS:
            raise too_much(f"has over {MOST_PARTS:,} chunks")
    return Facts(size, 8, min(max(1, frames), MOST_FRAMES), profile=profile)


def bmp(data: bytes) -> Facts | None:
    """Return what the header of a BMP file says.

    Raises:
        InputError: it is long and run-length coded, has channels of more than 8 bits, or names a profile elsewhere.
    """
    if len(data) < 54:
        return None
    header, width, height, _, _, compression = struct.unpack_from("<IiiHHI", data, 14)
    if header < 40:
        width, height = struct.unpack_from("<HH", data, 18)
        return Facts((width, abs(height)))
    if compression in (1, 2) and len(data) > MOST_RUNS:
        raise too_much(f"is run-length coded and has over {MOST_RUNS >> 20} MB")
    depth = 8
    if compression in (3, 6):
        depth = max(8, *(mask.bit_count() for mask in struct.unpack_from("<3I", data.ljust(70, b"\0"), 54)))
    profile, colour = None, None
    if header >= 108 and len(data) >= 14 + header:
        kind = data[70:74]
        if kind == b"KNIL":
            raise InputError("names a colour profile in another file, which is not opened. Save it as sRGB.")
        if kind == b"DEBM" and header >= 124:
            start, length = struct.unpack_from("<II", data, 14 + 112)
            profile = data[14 + start : 14 + start + min(length, LARGEST_PROFILE)]
        if kind == bytes(4):
            colour = _calibrated(data)
    return Facts((abs(width), abs(height)), depth, 1, "", profile, colour)


def _calibrated(data: bytes) -> Colour | None:
    """Return the colour that a BMP's endpoints and gammas state; all zeros state nothing."""
    values = [value / (1 << 30) for value in struct.unpack_from("<9i", data, 74)]
    gammas = [value / 65_536 for value in struct.unpack_from("<3I", data, 110)]
    sums = [sum(values[at : at + 3]) for at in (0, 3, 6)]
    if min(sums) <= 0 or not all(0.1 <= gamma <= 10 for gamma in gammas):
        return None
    white = [sum(values[at::3]) for at in range(3)]
    points = [part / total for at, total in zip((0, 3, 6), sums, strict=True) for part in values[at : at + 2]]
    if sum(white) <= 0:
        return None
    near = all(abs(gamma - 2.2) < 0.05 for gamma in gammas)
    return plain(Colour((white[0] / sum(white), white[1] / sum(white), *points), None if near else sum(gammas) / 3))


def pnm(data: bytes) -> Facts | None:
    """Return what the header of a PBM, PGM or PPM file says; its comments end within 64 kB."""
    match = _PNM.match(data, 0, 1 << 16)
    if match is None:
        return None
    kind, width, height, most = (int(group or 0) for group in match.groups())
    if kind <= 3 and len(data) > MOST_TEXT:
        raise too_much(f"has its pixels as text, over {MOST_TEXT >> 20} MB of it")
    return Facts((width, height), most.bit_length() if kind not in (1, 4) else 1)
