"""What a picture file says of itself, and the bounds that hold before it is decoded."""

from dataclasses import dataclass

from limen.errors import InputError

LARGEST_PICTURE = 256 << 20  # bytes: 64 million pixels of RGB are 192 MB without compression
LARGEST_PROFILE = 4 << 20  # bytes: tables of printers take up to 2 MB
MOST_PARTS = 100_000  # chunks, boxes, strips: a photograph of 64 million pixels has 23,000 chunks of 8 kB
MOST_FRAMES = 1_000  # counted no further: more than one is refused anyway
MOST_TEXT = 16 << 20  # bytes of a PNM whose pixels are text: Pillow reads it in Python, 2 MB a second
MOST_RUNS = 4 << 20  # bytes of a BMP with run lengths: likewise, 1 MB a second

PQ, HLG, GAIN_MAP = "PQ", "HLG", "a gain map"

Chromaticities = tuple[float, float, float, float, float, float, float, float]  # x, y of white, red, green, blue
SRGB: Chromaticities = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


@dataclass(frozen=True, slots=True)
class Colour:
    """What the numbers of a picture mean where it carries no profile.

    Attributes:
        primaries: CIE x and y of white, red, green and blue.
        gamma: light is the number to this power; None for sRGB's own curve.
    """

    primaries: Chromaticities = SRGB
    gamma: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read from a container.

    Attributes:
        size: width and height in px; the largest where it names several; None where only a decoder knows.
        bits: of the deepest channel.
        frames: counted up to `MOST_FRAMES`; 0 where only the decoder knows.
        hdr: what makes it high dynamic range (`PQ`, `HLG`, `GAIN_MAP`), or "".
        profile: an ICC profile, or None.
        colour: what stands in place of a profile; None for sRGB.
    """

    size: tuple[int, int] | None
    bits: int = 8
    frames: int = 1
    hdr: str = ""
    profile: bytes | None = None
    colour: Colour | None = None


def too_much(what: str) -> InputError:
    """Return the error for a file that would take a decoder too long or too much memory."""
    return InputError(f"{what}, more than any photograph needs. Save it again as a plain PNG.")


# ITU-T H.273, tables 2 and 3: what AVIF, HEIF, PNG (cICP), JPEG 2000 and ICC profiles write.
_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB,
    2: SRGB,  # unspecified
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (0.3127, 0.3290, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# BT.709 and its kin (1, 6, 14, 15) describe a camera; viewers show such pictures by sRGB's curve, as we do.
_GAMMA: dict[int, float | None] = dict.fromkeys((1, 2, 6, 13, 14, 15)) | {4: 2.2, 5: 2.8, 8: 1.0}


def coded(primaries: int, transfer: int) -> tuple[str, Colour | None]:
    """Return what code points of H.273 say: what makes the picture HDR, or its colour (None for sRGB).

    Raises:
        InputError: code points that describe no picture we can convert.
    """
    if transfer in (16, 18):
        return (PQ if transfer == 16 else HLG), None
    if primaries not in _PRIMARIES or transfer not in _GAMMA:
        raise InputError(
            f"states colour primaries {primaries} and transfer {transfer} (ITU-T H.273), which cannot be converted. "
            "Convert it to 8-bit sRGB."
        )
    return "", plain(Colour(_PRIMARIES[primaries], _GAMMA[transfer]))


def plain(colour: Colour) -> Colour | None:
    """Return None for what is sRGB; primaries that span no colours state nothing, as libpng and browsers have it."""
    if not _spans(colour.primaries):
        colour = Colour(SRGB, colour.gamma)
    near = all(abs(a - b) < 0.002 for a, b in zip(colour.primaries, SRGB, strict=True))
    return None if near and colour.gamma is None else colour


def _spans(primaries: Chromaticities) -> bool:
    white, red, green, blue = zip(primaries[::2], primaries[1::2], strict=True)
    area = (green[0] - red[0]) * (blue[1] - red[1]) - (blue[0] - red[0]) * (green[1] - red[1])
    return abs(area) > 0.01 and min(y for _, y in (white, red, green, blue)) > 0.001 and max(map(abs, primaries)) < 2
