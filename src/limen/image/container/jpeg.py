"""JPEG: segments, scans, and what stands behind the picture."""

import re

from limen.errors import InputError
from limen.image.container.facts import GAIN_MAP, LARGEST_PROFILE, Facts, too_much

MOST_SCANS = 100  # a progressive picture has about ten; each costs a pass over all its coefficients
MOST_WORK = 1_000_000_000  # pixels times scans: about 10 s of decoding
MOST_SEGMENTS = 20_000
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed zero nor a restart
_GAIN_MAPS = (b"ns.adobe.com/hdr-gain-map/", b"hdrgm:", b"urn:iso:std:iso:ts:21496:-1", b"hdrgainmap", b"HDRGainMap")
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def look(data: bytes) -> Facts | None:
    """Return what the segments say; a gain map is known by Adobe's, Apple's and ISO 21496-1's marks, anywhere."""
    at, scans, segments, width, height, bits, marked = 2, 0, 0, 0, 0, 0, False
    pieces: dict[int, bytes] = {}
    wanted = 0
    while match := _MARKER.search(data, at):
        at, code = match.start(), data[match.start() + 1]
        if code == 0xD9:
            break
        if code in (0x01, 0xD8):
            at += 2
            continue
        segments += 1
        if segments > MOST_SEGMENTS:
            raise too_much(f"has over {MOST_SEGMENTS:,} segments")
        end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        if code in _FRAMES and end - at >= 10:
            bits = max(bits, data[at + 4] if at + 4 < len(data) else 0)
            height = max(height, int.from_bytes(data[at + 5 : at + 7], "big"))
            width = max(width, int.from_bytes(data[at + 7 : at + 9], "big"))
        elif code == 0xDA:
            scans += 1
            if scans > MOST_SCANS or scans * width * height > MOST_WORK:
                raise too_much(f"has {scans} scans or more of {width}x{height} pixels")
        elif code in (0xE1, 0xE2):
            marked = marked or any(data.find(mark, at, end) >= 0 for mark in _GAIN_MAPS)
            if code == 0xE2 and data[at + 4 : at + 16] == b"ICC_PROFILE\0" and end - at >= 18:
                wanted = max(wanted, data[at + 17])
                pieces.setdefault(data[at + 16], data[at + 18 : end])
        at = end
    marked = marked or any(data.find(mark, at) >= 0 for mark in _GAIN_MAPS[:1] + _GAIN_MAPS[2:])
    size = (width, height) if width and height else None
    return Facts(size, bits or 8, hdr=GAIN_MAP if marked else "", profile=_profile(pieces, wanted))


def _profile(pieces: dict[int, bytes], wanted: int) -> bytes | None:
    """Join the pieces of a profile, numbered from 1."""
    if not pieces:
        return None
    if sum(map(len, pieces.values())) > LARGEST_PROFILE:
        raise too_much(f"has a colour profile of over {LARGEST_PROFILE >> 20} MB")
    if sorted(pieces) != list(range(1, wanted + 1)):
        raise InputError(f"has a colour profile of {wanted} pieces, of which some are missing. Save it as sRGB.")
    return b"".join(pieces[number] for number in sorted(pieces))
