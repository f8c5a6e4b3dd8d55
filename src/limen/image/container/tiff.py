"""TIFF: the entries of its first directory, and how many directories follow."""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limen.errors import InputError
from limen.image.container.facts import LARGEST_PROFILE, MOST_FRAMES, MOST_PARTS, SRGB, Colour, Facts, plain, too_much

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_KINDS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
LARGEST_TILE = 64 << 20  # pixels: a decoder makes room for a whole one
_TWICE = 8  # strips may share bytes (blank ones do), so many times the file at most

Numbers = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class _TagEntry:
    kind: int
    count: int
    at: int  # where the values are

    @property
    def size(self) -> int:
        return self.count * _BYTES.get(self.kind, 1)


class _File:
    """A TIFF file's directories, classic or BigTIFF."""

    def __init__(self, data: bytes) -> None:
        self.data, self.order = data, "<" if data[:1] == b"I" else ">"
        self.big = 43 in data[2:4]
        self.first = self._number("Q" if self.big else "I", 8 if self.big else 4)

    def _number(self, kind: str, at: int) -> int:
        try:
            return int(struct.unpack_from(self.order + kind, self.data, at)[0])
        except (struct.error, OverflowError):
            return 0

    def directory(self, at: int) -> tuple[dict[int, _TagEntry], int]:
        """Return a directory's entries by tag, and where the next directory is (0 for none)."""
        count = self._number("Q" if self.big else "H", at)
        start, each, wide = (at + 8, 20, 8) if self.big else (at + 2, 12, 4)
        if count > 65_535:
            raise too_much(f"has a directory of {count:,} entries")
        found: dict[int, _TagEntry] = {}
        for place in range(start, min(start + count * each, len(self.data)), each):
            tag, kind = self._number("H", place), self._number("H", place + 2)
            entry = _TagEntry(kind, self._number("Q" if self.big else "I", place + 4), place + 4 + wide)
            if entry.size > wide:
                entry = _TagEntry(kind, entry.count, self._number("Q" if self.big else "I", entry.at))
            found.setdefault(tag, entry)
        return found, self._number("Q" if self.big else "I", start + count * each)

    def numbers(self, entry: _TagEntry | None) -> list[int]:
        """Return an entry's whole numbers; none where it holds others."""
        if entry is None or entry.kind not in _KINDS:
            return []
        count = min(entry.count, max(0, (len(self.data) - entry.at) // _BYTES[entry.kind]))
        values = np.frombuffer(self.data, self.order + _KINDS[entry.kind], count, entry.at if count else 0)
        return [int(value) for value in values.tolist()]

    def ratios(self, entry: _TagEntry | None, count: int) -> list[float]:
        """Return an entry's rational numbers if they are `count` good ones, else none."""
        if entry is None or entry.kind != 5 or entry.count != count or entry.at + entry.size > len(self.data):
            return []
        pairs = struct.unpack_from(f"{self.order}{2 * count}I", self.data, entry.at)
        return [above / below for above, below in zip(pairs[::2], pairs[1::2], strict=True) if below]


def look(data: bytes) -> Facts | None:
    """Return what the first directory says; the others are only counted.

    Raises:
        InputError: directories, strips or values beyond bounds; a camera's raw data; a preview in place of a picture;
            a palette or samples that are no 8-bit colours.
    """
    file = _File(data)
    entries, follows = file.directory(file.first)
    for entry in entries.values():
        if entry.count > MOST_PARTS and entry.kind not in (1, 2, 6, 7):
            raise too_much(f"has a list of {entry.count:,} strips or tiles")
    if sum(entry.size for entry in entries.values()) > len(data) + LARGEST_PROFILE:
        raise too_much("has entries that overlap")
    for tag in (279, 325):  # bytes of strips, of tiles
        if sum(file.numbers(entries.get(tag))) > _TWICE * len(data):
            raise too_much("has strips or tiles that overlap")

    if max(file.numbers(entries.get(322)), default=0) * max(file.numbers(entries.get(323)), default=0) > LARGEST_TILE:
        raise too_much(f"has tiles of over {LARGEST_TILE >> 20} million pixels")

    def one(tag: int, usual: int = 0) -> int:
        return next(iter(file.numbers(entries.get(tag))), usual)

    photometric = one(262)
    if 50706 in entries or photometric in (32803, 34892):
        raise InputError("is a camera's raw file (DNG). Develop it, and export it as PNG.")
    if one(254) & 1:
        raise InputError("begins with a preview, as raw files of cameras do. Develop it, and export it as PNG.")
    bits = max(file.numbers(entries.get(258)), default=1)
    kinds = set(file.numbers(entries.get(339)))
    if photometric in (32844, 32845):
        return Facts((one(256), one(257)), 16)
    if bits <= 8 and kinds - {1, 4}:
        raise InputError("has samples that are not unsigned numbers. Convert it to 8-bit sRGB.")
    if photometric == 3:
        _check_palette(file.numbers(entries.get(320)))
    profile = entries.get(34675)
    icc = data[profile.at : profile.at + profile.size] if profile else None
    if icc is not None and len(icc) > LARGEST_PROFILE:
        raise too_much(f"has a colour profile of over {LARGEST_PROFILE >> 20} MB")
    frames = _frames(file, file.first, follows)
    return Facts((one(256), one(257)), bits, frames, "", icc, None if icc else _measured(file, entries))


def _frames(file: _File, first: int, follows: int) -> int:
    """Count directories, each once, up to a bound."""
    seen = {first}
    while follows and follows not in seen and follows < len(file.data) and len(seen) < MOST_FRAMES:
        seen.add(follows)
        _, follows = file.directory(follows)
    return len(seen)


def _check_palette(values: list[int]) -> None:
    """Refuse a palette whose 16-bit values are no 8-bit ones, which are written times 257 or 256."""
    if values and 0 < max(values) < 256:
        raise InputError("has a palette of 8-bit values where TIFF has 16-bit ones. Save it again as PNG.")
    if any(value % 257 and value % 256 for value in values):
        raise InputError("has a palette of more than 8 bits a channel. Convert it to 8-bit sRGB.")


def _measured(file: _File, entries: dict[int, _TagEntry]) -> Colour | None:
    """Return the colour that WhitePoint and PrimaryChromaticities state, with sRGB's curve."""
    primaries = file.ratios(entries.get(319), 6)
    white = file.ratios(entries.get(318), 2) or list(SRGB[:2])
    if len(primaries) != 6 or len(white) != 2:
        return None
    return plain(Colour((white[0], white[1], *primaries[:2], *primaries[2:4], *primaries[4:])))  # type: ignore[arg-type]
