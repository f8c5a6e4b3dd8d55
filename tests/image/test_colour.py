"""A profile is judged by what it does to colours: its name decides nothing."""

import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from limen import image
from limen.errors import InputError
from limen.image import colour
from limen.image.container import Colour

Pixels = npt.NDArray[np.uint8]
SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_POINTS = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def colours() -> Pixels:
    return np.random.default_rng(8).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def named(profile: bytes, name: str) -> bytes:
    """Return a matrix profile of ours under another name."""
    text = name.encode() + b"\0"
    at = profile.index(b"desc\0\0\0\0")
    tag = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    entry = profile.index(b"desc", 128)
    data = profile[:entry] + b"desc" + struct.pack(">II", len(profile), len(tag)) + profile[entry + 12 :] + tag
    assert entry < at
    return struct.pack(">I", len(data)) + data[4:]


def shaped(curve: bytes, space: bytes = b"RGB ") -> bytes:
    """Return a profile with sRGB's primaries and a curve of its own, for RGB or grey."""
    profile = colour.profile_of(Colour())
    whole = profile[profile.index(b"curv\0\0\0\0") :][: 12 + 2 * 4096]
    data = profile.replace(whole, curve.ljust(len(whole), b"\0"))
    if space == b"GRAY":
        data = data.replace(b"RGB XYZ ", b"GRAYXYZ ", 1).replace(b"rTRC", b"kTRC", 1)
    return data


def table(values: npt.NDArray[np.float64]) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + np.rint(values * 65535).astype(">u2").tobytes()


def srgb_light(count: int) -> npt.NDArray[np.float64]:
    values = np.linspace(0, 1, count)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def read(profile: bytes, pixels: Pixels | None = None, kind: str = "PNG") -> Pixels:
    buffer = io.BytesIO()
    given = colours() if pixels is None else pixels
    options = {"lossless": True} if kind == "WEBP" else {}
    Pillow.fromarray(given).save(buffer, kind, icc_profile=profile, **options)
    return image.decode(buffer.getvalue(), "x")


NAMES = ("sRGB IEC61966-2.1", "Display P3", "DCI-P3 D65 Gamut with sRGB Transfer", "sRGB (linear)", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_the_name_of_a_profile_decides_nothing(name: str, kind: str) -> None:
    srgb, wide = (colour.profile_of(Colour(points)) for points in (SRGB_POINTS, P3_POINTS))
    assert np.array_equal(read(named(srgb, name), kind=kind), colours())
    converted = read(named(wide, name), kind=kind)
    assert np.array_equal(converted, read(wide))
    assert np.sqrt(np.mean((converted - colours().astype(float)) ** 2)) > 5


def parametric() -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0\0\3\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in numbers)


@pytest.mark.parametrize("curve", [parametric(), *(table(srgb_light(count)) for count in (26, 64, 1024, 4096))])
def test_however_a_profile_writes_srgbs_curve_the_pixels_stay(curve: bytes) -> None:
    assert np.array_equal(read(shaped(curve)), colours())


def test_littlecms_own_srgb_leaves_every_pixel() -> None:
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(read(whole), colours())
    assert np.array_equal(read(whole, colours()[..., 0])[..., 1], colours()[..., 0])


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_other_curves_are_converted_though_the_primaries_are_srgbs(gamma: float) -> None:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    light = (colours() / 255) ** (round(gamma * 256) / 256)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    assert np.abs(read(named(shaped(curve), "sRGB")) - 255 * values).max() <= 1.5


def test_a_grey_profile_is_for_grey_pictures() -> None:
    linear, same = shaped(table(np.linspace(0, 1, 4096)), b"GRAY"), shaped(table(srgb_light(4096)), b"GRAY")
    grey = colours()[..., 0]
    assert np.array_equal(read(same, grey)[..., 2], grey)
    assert np.abs(read(linear, grey).astype(int) - grey[..., None]).max() > 30
    for profile in (linear, same):
        with pytest.raises(InputError, match=r"x: has a colour profile for grey but is in colour\. Save it as sRGB\."):
            read(profile)


def test_a_grey_picture_with_a_profile_for_rgb_goes_through_it_and_stays_grey() -> None:
    found = read(colour.profile_of(Colour(P3_POINTS, 1.8)), colours()[..., 0]).astype(int)
    assert np.abs(found - found[..., :1]).max() <= 1
    assert np.abs(found[..., 0] - colours()[..., 0]).max() > 5


def tables(swap: bool) -> bytes:
    """Return an RGB profile that is a table to Lab (lut16, a grid of 2): the colours of sRGB's corners, or swapped."""
    corners = []
    for corner in range(8):
        values = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1], float)
        xyz = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]) @ (
            values[::-1] if swap else values
        )
        root = np.cbrt(np.maximum(xyz / (0.9642, 1, 0.8249), 1e-9))
        lab = (116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2]))
        corners += [lab[0] * 652.8, (lab[1] + 128) * 256, (lab[2] + 128) * 256]
    ramp = struct.pack(">2H", 0, 65535) * 3
    unit = b"".join(struct.pack(">i", 65536 if at % 4 == 0 else 0) for at in range(9))
    grid = np.clip(np.rint(corners), 0, 65535).astype(">u2").tobytes()
    lut = b"mft2\0\0\0\0" + bytes((3, 3, 2, 0)) + unit + struct.pack(">HH", 2, 2) + ramp + grid + ramp
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    made = colour._written({b"A2B0": lut, b"wtpt": white, b"desc": b"desc\0\0\0\0\0\0\0\2x\0" + bytes(78)})
    return made.replace(b"mntrRGB XYZ ", b"prtrRGB Lab ", 1)


def test_a_profile_made_of_tables_is_followed() -> None:
    blocks = np.kron(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]), np.ones((20, 24, 1)))
    pixels = blocks.astype(np.uint8)
    assert np.abs(read(tables(False), pixels).astype(int) - pixels).max() <= 3
    assert np.abs(read(tables(True), pixels).astype(int) - pixels[..., ::-1]).max() <= 3


@pytest.mark.parametrize(
    ("profile", "cause"),
    [
        (colour.profile_of(Colour()).replace(b"mntrRGB ", b"prtrCMYK"), "for CMYK"),
        (colour.profile_of(Colour()).replace(b"mntrRGB ", b"mntrLab "), "for Lab"),
        (colour.profile_of(Colour()).replace(b"mntr", b"link"), "of the class link"),
        (colour.profile_of(Colour()).replace(b"mntr", b"nmcl"), "of the class nmcl"),
        (colour.profile_of(Colour()).replace(b"gXYZ", b"xxxx"), "cannot be used"),
        (colour.profile_of(Colour())[:300], "cannot be used"),
        (b"no profile", "cannot be used"),
        (bytes(200), "class"),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_profiles_that_are_for_something_else_or_broken(profile: bytes, cause: str, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        read(profile, kind=kind)
    text = str(caught.value)
    assert text.startswith("x: has a colour profile ")
    assert cause in text
    assert "\n" not in text
    assert text.endswith(".")


def test_a_profile_in_pieces_is_joined_or_refused() -> None:
    whole = colour.profile_of(Colour(P3_POINTS))
    buffer = io.BytesIO()
    Pillow.fromarray(colours()).save(buffer, "JPEG")
    data = buffer.getvalue()

    def piece(number: int, part: bytes) -> bytes:
        return b"\xff\xe2" + struct.pack(">H", len(part) + 16) + b"ICC_PROFILE\0" + bytes((number, 2)) + part

    turned = data[:2] + piece(2, whole[500:]) + piece(1, whole[:500]) + data[2:]
    assert np.array_equal(image.decode(turned), read(whole, kind="JPEG"))
    with pytest.raises(InputError, match="a colour profile of 2 pieces, of which some are missing"):
        image.decode(data[:2] + piece(1, whole[:500]) + data[2:])


@pytest.mark.parametrize(("name", "curve"), [("PQ", colour._pq), ("HLG", colour._hlg)])
def test_profiles_of_hdr_are_known_by_their_curve_or_their_code(name: str, curve: object) -> None:
    assert callable(curve)
    by_curve = shaped(table(curve(np.linspace(0, 1, 4096))))
    by_code = colour._written({b"cicp": b"cicp\0\0\0\0" + bytes((9, {"PQ": 16, "HLG": 18}[name], 0, 1))})
    for profile in (by_curve, by_code):
        with pytest.raises(InputError, match=rf"has a colour profile of {name} \(HDR\)"):
            read(profile)
    # SMPTE ST 2084 has 100 cd/m2 at .508, ITU-R BT.2100 a twelfth of the scene's light at .5.
    assert colour._pq(np.array([0.508]))[0] == pytest.approx(0.01, rel=0.01)
    assert colour._hlg(np.array([0.5, 1.0])) == pytest.approx([1 / 12, 1.0], abs=1e-3)


def test_a_profile_is_tried_once_for_all_pictures_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    built, plain = [], ImageCms.buildTransform
    monkeypatch.setattr(ImageCms, "buildTransform", lambda *args, **words: built.append(1) or plain(*args, **words))
    profile = named(colour.profile_of(Colour(P3_POINTS)), "met for the first time here")
    assert np.array_equal(read(profile), read(profile))
    assert len(built) == 1
