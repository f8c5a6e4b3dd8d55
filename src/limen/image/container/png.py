"""PNG: chunks. Of several statements about colour, cICP holds before iCCP, sRGB, and gAMA with cHRM."""

import struct
import zlib

from limen.errors import InputError
from limen.image.container.facts import LARGEST_PROFILE, MOST_PARTS, SRGB, Colour, Facts, coded, plain, too_much

_COLOUR = (b"IHDR", b"acTL", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")


def look(data: bytes) -> Facts | None:
    """Return what the chunks before the pixels say; None where there is no header."""
    found: dict[bytes, bytes] = {}
    at, count, pixels = 8, 0, False
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        pixels = pixels or name in (b"IDAT", b"fdAT")
        if name in _COLOUR and not pixels:
            found.setdefault(name, data[at + 8 : at + 8 + min(length, LARGEST_PROFILE)])
        at, count = at + 12 + length, count + 1
        if count > MOST_PARTS:
            raise too_much(f"has over {MOST_PARTS:,} chunks")
    if len(found.get(b"IHDR", b"")) < 13:
        return None
    width, height, bits = struct.unpack_from(">IIB", found[b"IHDR"])
    frames = struct.unpack_from(">I", found[b"acTL"].ljust(4, b"\0"))[0] if b"acTL" in found else 1
    hdr, colour, profile = "", None, None
    if len(found.get(b"cICP", b"")) >= 4:
        primaries, transfer, matrix, full = found[b"cICP"][:4]
        if matrix or not full:
            raise InputError("states by cICP that its pixels are not full-range RGB. Convert it to 8-bit sRGB.")
        hdr, colour = coded(primaries, transfer)
    elif b"iCCP" in found:
        profile = _profile(found[b"iCCP"])
        hdr = "PQ" if found[b"iCCP"].startswith(b"ITUR_2100_PQ_FULL\0") else ""  # W3C's note: by this name alone
    elif b"sRGB" not in found:
        colour = _measured(found.get(b"gAMA", b""), found.get(b"cHRM", b""))
    return Facts((width, height), bits, max(1, frames), hdr, profile, colour)


def _profile(chunk: bytes) -> bytes:
    start = chunk.find(b"\0") + 2
    try:
        profile = zlib.decompressobj().decompress(chunk[start:], LARGEST_PROFILE + 1)
    except zlib.error:
        profile = b""  # what is no profile is refused where profiles are read
    if len(profile) > LARGEST_PROFILE:
        raise too_much(f"has a colour profile of over {LARGEST_PROFILE >> 20} MB")
    return profile


def _measured(gama: bytes, chrm: bytes) -> Colour | None:
    """Return the colour that gAMA and cHRM state; 1/2.2 is what writers of sRGB write."""
    gamma, primaries = None, SRGB
    if len(gama) >= 4:
        (exponent,) = struct.unpack_from(">I", gama)
        usual = 44_900 <= exponent <= 46_100 or not 10_000 <= exponent <= 1_000_000  # nonsense states nothing
        gamma = None if usual else 100_000 / exponent
    if len(chrm) >= 32:
        values = [value / 100_000 for value in struct.unpack_from(">8I", chrm)]
        primaries = (values[0], values[1], values[2], values[3], values[4], values[5], values[6], values[7])
    return plain(Colour(primaries, gamma))
