"""What pictures are seen on: measured by the participant with a card and a pattern, the same in every sitting."""

import math
from typing import Annotated, Any, Literal

import msgspec

from limen.errors import InputError

ALIKE = 0.05  # by which two measurements of one screen's pixels with a card may differ
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Screen(msgspec.Struct, frozen=True):
    """A screen as a participant measured it.

    Attributes:
        pixels_per_cm: device pixels per cm, by a bank card of 8.56 cm (ISO/IEC 7810) or a ruler.
        distance_cm: from the eye to the screen, as the participant was told to sit.
        ratio: device pixels per CSS pixel: system scaling and the page's zoom together.
        width, height: of the whole screen, in device pixels.
        gamma: by a pattern of lines that is matched with a grey; None where it was left out.
        depth: bits per pixel.
        gamut: "srgb", "p3" or "rec2020", as the browser says.
        hdr: whether the browser says that the screen shows a high dynamic range.
        refresh_hz: frames a second.
        touch: whether the screen is touched.
        checker: the participant has seen an even pattern of single pixels.
    """

    pixels_per_cm: Annotated[float, msgspec.Meta(ge=5, le=1_000)]
    distance_cm: Annotated[float, msgspec.Meta(ge=10, le=1_000)]
    ratio: Annotated[float, msgspec.Meta(ge=0.1, le=16)]
    width: _Pixels
    height: _Pixels
    gamma: Annotated[float, msgspec.Meta(ge=0.1, le=100)] | None = None
    depth: Annotated[int, msgspec.Meta(ge=1, le=64)] = 24
    gamut: Literal["srgb", "p3", "rec2020"] = "srgb"
    hdr: bool = False
    refresh_hz: Annotated[float, msgspec.Meta(ge=1, le=1_000)] | None = None
    touch: bool = False
    checker: bool = False

    @property
    def pixels_per_degree(self) -> float:
        """Device pixels that a degree of visual angle takes at the middle of the screen."""
        return 2 * self.distance_cm * math.tan(math.radians(0.5)) * self.pixels_per_cm

    @property
    def row(self) -> dict[str, Any]:
        """What a run keeps of it."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"pixels_per_degree": round(self.pixels_per_degree, 2)} | plain


def of(content: Any) -> Screen:
    """Return a screen from what the page sent.

    Raises:
        InputError: it is none, or the pattern of single pixels was not seen evenly.
    """
    try:
        screen = msgspec.convert(content, Screen)
    except msgspec.ValidationError as error:
        raise InputError(f"The screen's measurements cannot be used ({error}). Measure it again.") from None
    if not screen.checker:
        raise InputError(
            "Pictures are not shown pixel by pixel: the pattern is not even. Set the browser's zoom to 100 % (Ctrl+0) "
            "and the system's scaling to a whole number, then look again."
        )
    return screen


def check_same(first: dict[str, Any], now: Screen) -> None:
    """Raise `InputError` where a sitting is on another screen than the first: that would be another observer.

    Args:
        first: screen of the first sitting, as it was kept (`Screen.row`).
        now: that was measured.
    """
    before = float(first["pixels_per_cm"])
    sizes = {first["width"], first["height"]}, {now.width, now.height}
    if abs(now.pixels_per_cm - before) > ALIKE * before or sizes[0] != sizes[1] or now.gamut != first["gamut"]:
        raise InputError(
            f"This is another screen than the one you began on ({first['width']}x{first['height']} px, {before:.1f} "
            f"pixels per cm; now {now.width}x{now.height} px, {now.pixels_per_cm:.1f}). Go on there, or ask whoever "
            "invited you for a new link."
        )
