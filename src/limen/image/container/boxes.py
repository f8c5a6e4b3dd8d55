"""AVIF and JPEG 2000: boxes within boxes."""

import math
import struct
from collections.abc import Iterator

from limen.errors import InputError
from limen.image.container.facts import GAIN_MAP, LARGEST_PROFILE, MOST_PARTS, Colour, Facts, coded, too_much

MOST_TILES = 16_384  # of JPEG 2000: 64 million pixels in tiles of 64x64
MOST_BLOCKS = 1_000_000  # code blocks or precincts of JPEG 2000: 47,000 as encoders make them of 64 million pixels
_DEPTH = 10  # boxes within boxes: a track's sample entry lies seven deep
# Boxes that hold boxes, with the bytes that stand before them.
_HOLDERS = {
    b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8,
    b"av01": 78, b"jp2h": 0,
}  # fmt: skip

Box = tuple[bytes, int, int]  # type, where its content begins, where it ends


def _boxes(data: bytes, start: int, end: int, left: list[int], depth: int = 0) -> Iterator[Box]:
    """Yield boxes and what is in them; `left` counts down how many more may come."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        begin = start + 8
        if size == 1 and begin + 8 <= end:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        stop = end if size == 0 else min(start + size, end)
        if stop < begin:
            return
        left[0] -= 1
        if left[0] < 0:
            raise too_much(f"has over {MOST_PARTS:,} boxes")
        yield kind, begin, stop
        if kind in _HOLDERS and depth < _DEPTH:
            yield from _boxes(data, begin + _HOLDERS[kind], stop, left, depth + 1)
        elif kind == b"iinf" and begin + 8 <= stop:
            yield from _boxes(data, begin + (6 if data[begin] == 0 else 8), stop, left, depth + 1)
        start = stop


def avif(data: bytes) -> Facts | None:
    """Return what the boxes of an AVIF picture or sequence say; frames only its decoder knows."""
    bits, hdr, profile = 8, "", None
    width = height = 0
    colours: set[Colour | None] = set()
    for kind, begin, stop in _boxes(data, 0, len(data), [MOST_PARTS]):
        content = data[begin : min(stop, begin + 1024)]
        if kind == b"ftyp" and b"tmap" in content:
            hdr = hdr or GAIN_MAP
        elif kind == b"infe" and len(content) >= 12:
            at = 8 if content[0] == 2 else 10
            hdr = hdr or (GAIN_MAP if content[at : at + 4] == b"tmap" else "")
        elif kind == b"av1C" and len(content) >= 3:
            bits = max(bits, (12 if content[2] & 0x20 else 10) if content[2] & 0x40 else 8)
        elif kind == b"pixi" and len(content) >= 6:
            bits = max(bits, *content[5 : 5 + content[4]], 0)
        elif kind == b"ispe" and len(content) >= 12:
            across, down = struct.unpack_from(">II", content, 4)
            width, height = max(width, across), max(height, down)
        elif kind == b"colr" and content[:4] == b"nclx" and len(content) >= 8:
            found, colour = coded(*struct.unpack_from(">HH", content, 4))
            hdr = hdr or found
            colours.add(colour)
        elif kind == b"colr" and content[:4] in (b"prof", b"rICC"):
            profile = _within(data, begin + 4, stop)
    if len(colours) > 1 and profile is None and not hdr:
        raise InputError("describes its colours in two ways that differ. Convert it to 8-bit sRGB.")
    return Facts((width, height) if width else None, bits, 0, hdr, profile, next(iter(colours), None))


def jpeg2000(data: bytes) -> Facts | None:
    """Return what the boxes and the main header of a JPEG 2000 file or codestream say.

    Raises:
        InputError: tiles or blocks beyond bounds, signed samples, an enumerated colour space that is not RGB or grey.
    """
    if data.startswith(b"\xff\x4f\xff\x51"):
        size, bits = _codestream(data, 0)
        return Facts(size, bits)
    size, bits, streams, hdr, profile, colour = (0, 0), 8, 0, "", None, None
    for kind, begin, stop in _boxes(data, 0, len(data), [MOST_PARTS]):
        content = data[begin : min(stop, begin + 1024)]
        if kind == b"ihdr" and len(content) >= 11:
            height, width = struct.unpack_from(">II", content)
            size = (max(size[0], width), max(size[1], height))
            bits = max(bits, (content[10] & 0x7F) + 1 if content[10] != 255 else 0)
        elif kind == b"bpcc":
            bits = max(bits, *((one & 0x7F) + 1 for one in content), 0)
        elif kind == b"pclr" and len(content) >= 4:
            bits = max(bits, *((one & 0x7F) + 1 for one in content[3 : 3 + content[2]]), 0)
        elif kind == b"colr" and len(content) >= 7:
            if content[0] in (2, 3):
                profile = profile or _within(data, begin + 3, stop)
            elif content[0] == 5:  # ISO/IEC 15444-2: code points
                hdr, colour = coded(*struct.unpack_from(">HH", content, 3))
            elif content[0] == 1:
                (space,) = struct.unpack_from(">I", content, 3)
                if space not in (0, 12, 15, 16, 17, 18):  # CMYK (12) is refused by its mode
                    raise InputError(f"is in JPEG 2000's colour space {space}. Convert it to 8-bit sRGB.")
        elif kind == b"jp2c":
            streams += 1
            (width, height), depth = _codestream(data, begin)
            size, bits = (max(size[0], width), max(size[1], height)), max(bits, depth)
    return Facts(size, bits, max(1, streams), hdr, profile, colour) if streams else None


def _codestream(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Return size and depth that a codestream's main header states, if its tiles and blocks keep the bounds."""
    if data[at : at + 4] != b"\xff\x4f\xff\x51" or at + 44 > len(data):
        raise InputError("is broken or cut short (no JPEG 2000 codestream). Fetch or export it again.")
    right, bottom, left, top, across, down, first, above, count = struct.unpack_from(">8IH", data, at + 8)
    width, height = right - left, bottom - top
    parts = data[at + 42 : at + 42 + 3 * count]
    if min(width, height, across, down, count) <= 0 or len(parts) < 3 * count:
        raise InputError("is broken or cut short (an empty JPEG 2000 codestream). Fetch or export it again.")
    if count > 5:
        raise InputError(f"has {count} channels. Convert it to 8-bit sRGB.")
    if any(parts[0::3][number] & 0x80 for number in range(count)):
        raise InputError("has signed samples, which are not grey levels. Convert it to 8-bit sRGB.")
    tiles = math.ceil((right - first) / across) * math.ceil((bottom - above) / down)
    if tiles > MOST_TILES:
        raise too_much(f"has {tiles:,} tiles")
    blocks = _blocks(data, at + 2, width, height)
    if blocks * count > MOST_BLOCKS:
        raise too_much(f"has {blocks * count:,} blocks of coefficients")
    return (width, height), max((one & 0x7F) + 1 for one in parts[0::3])


def _blocks(data: bytes, at: int, width: int, height: int) -> int:
    """Return how many code blocks or precincts, whichever are more, the coding styles of any header make."""
    most, tile, part = 0, 0, 0
    for _ in range(MOST_PARTS):
        marker, length = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if marker == b"\xff\x93":  # SOD: the tile's data follow, then the next tile's header
            if part < 14:
                break
            at = tile + part
            continue
        if length < 2 or not marker.startswith(b"\xff"):
            break
        if marker == b"\xff\x90" and len(content) >= 6:  # SOT: a tile's header, which may have styles of its own
            tile, part = at, int.from_bytes(content[2:6], "big")
        elif marker == b"\xff\x52" and len(content) >= 10:  # COD: style, order, layers, transform; then what COC has
            most = max(most, _counted(content[0] & 1, content[5:], width, height))
        elif marker == b"\xff\x53" and len(content) >= 7:  # COC: component, style
            most = max(most, _counted(content[1] & 1, content[2:], width, height))
        at += 2 + length
    return most


def _counted(own: int, content: bytes, width: int, height: int) -> int:
    levels, across, down = content[0], 4 << (content[1] & 15), 4 << (content[2] & 15)
    blocks = math.ceil(width / across) * math.ceil(height / down)
    precincts = 0
    for level, packed in enumerate(content[5 : 6 + levels] if own else b""):
        scale = 1 << max(0, levels - level)
        wide, high = math.ceil(width / scale), math.ceil(height / scale)
        precincts += math.ceil(wide / (1 << (packed & 15))) * math.ceil(high / (1 << (packed >> 4)))
    return max(blocks, precincts)


def _within(data: bytes, start: int, stop: int) -> bytes:
    if stop - start > LARGEST_PROFILE:
        raise too_much(f"has a colour profile of over {LARGEST_PROFILE >> 20} MB")
    return data[start:stop]
