"""What files say of themselves is read before they are decoded: formats, depth, HDR, colour, and bounds."""

import ast
import io
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from limen import image
from limen.errors import InputError, StoreError
from limen.image import container
from limen.report import feature_sections
from limen.source import collect

HOUSE = Path(image.__file__).parents[1]
WIDE, HIGH = 64, 48
SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)

Pixels = npt.NDArray[np.uint8]


def colours() -> Pixels:
    y, x = np.mgrid[:HIGH, :WIDE]
    return np.stack([x * 4, y * 5, (x + y) * 2], -1).astype(np.uint8)


PICTURE = Pillow.fromarray(colours())


def saved(kind: str, picture: Pillow.Image = PICTURE, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        image.decode(data, "x")
    text = str(caught.value)
    assert text.startswith("x: ")
    assert "\n" not in text
    assert text.count("x: ") == 1
    assert text.endswith((".", ")."))
    return text.removeprefix("x: ")


# --- formats are a closed list --------------------------------------------------------------------------------

STRANGE = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n",
    "PostScript ": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 100) + bytes(20) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "WMF": b"\xd7\xcd\xc6\x9a\x00\x00" + struct.pack("<4hH", 0, 0, 640, 480, 96) + bytes(8) + b"\x01\x00\x09\x00",
    "PDF": b"%PDF-1.7\n",
    "Photoshop": b"8BPS\0\1" + bytes(60),
    "HEIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60),
    "JPEG XL": b"\xff\x0a" + bytes(60),
    "JPEG XL ": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60),
    "camera RAW": b"II*\0\x10\0\0\0CR\x02\0" + bytes(60),
    "camera RAW ": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(60),
    "SVG": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "": b"SIMPLE  =                    T" + bytes(60),  # FITS
    " ": b"GRIB" + bytes(60),
    "  ": bytes([0, 0, 2, *bytes(9), WIDE, 0, HIGH, 0, 24, 0]) + bytes(3 * WIDE * HIGH),  # Targa: known by nothing
}


@pytest.mark.parametrize("known", STRANGE)
def test_what_is_no_listed_format_reaches_no_reader_of_pillow(known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "open", lambda *args, **kwargs: pytest.fail("was opened"))
    text = refusal(STRANGE[known])
    assert "is not an image that limen reads" in text
    assert not known.strip() or f", but {known.strip()}" in text


@pytest.mark.parametrize("kind", container.reads())
def test_pillow_gets_the_one_format_that_the_bytes_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, plain = [], Pillow.open

    def spy(file: Any, **options: Any) -> Any:
        asked.append(options["formats"])
        return plain(file, **options)

    monkeypatch.setattr(Pillow, "open", spy)
    assert image.decode(saved(kind)).shape == (HIGH, WIDE, 3)
    assert asked == [(kind,)]


def test_no_call_in_the_house_lets_pillow_guess() -> None:
    """Every `Image.open` of Pillow's names its formats, whatever it was imported as."""
    calls = 0
    for file in sorted(HOUSE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PIL")
            for alias in node.names
        }
        assert not any(
            isinstance(node, ast.Import) and any(alias.name.startswith("PIL") for alias in node.names)
            for node in ast.walk(tree)
        ), f"{file.name}: import Pillow's modules from PIL, so that this test sees what is opened"
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "open"):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id in names:
                calls += 1
                assert "formats" in {word.arg for word in node.keywords}, f"{file.name}:{node.lineno}"
    assert calls >= 3


# --- more than 8 bits, in every container ------------------------------------------------------------------------


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks: bytes, picture: Pillow.Image = PICTURE) -> bytes:
    data = saved("PNG", picture)
    return data[:33] + b"".join(chunks) + data[33:]


def pnm(kind: int, most: int) -> bytes:
    values = np.rint(colours()[..., : 3 if kind in (3, 6) else 1] * (most / 255)).astype(">u2" if most > 255 else "u1")
    body = b" ".join(b"%d" % value for value in values.ravel()) if kind < 4 else values.tobytes()
    return b"P%d\n# made by hand\n%d %d\n%d\n" % (kind, WIDE, HIGH, most) + body


def tiff(photometric: int, bits: list[int], body: bytes, order: str = "<", **more: tuple[str, list[int]]) -> bytes:
    """Write a TIFF of one strip by hand; `more` are tags `t320=("H", values)`."""
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [WIDE]),
        257: ("I", [HIGH]),
        258: ("H", bits),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [0]),
        277: ("H", [len(bits)]),
        278: ("I", [HIGH]),
        279: ("I", [len(body)]),
    }
    tags |= {int(name[1:]): value for name, value in more.items()}
    kinds = {"B": 1, "H": 3, "I": 4, "R": 5}
    at = 14 + 12 * len(tags)
    beside = b""
    packed = {}
    for tag, (kind, values) in tags.items():
        data = struct.pack(f"{order}{len(values)}{'I' if kind == 'R' else kind}", *values)
        count = len(values) // 2 if kind == "R" else len(values)
        packed[tag] = [kinds[kind], count, data.ljust(4, b"\0")]
        if len(data) > 4:
            packed[tag][2] = struct.pack(order + "I", at + len(beside))
            beside += data + bytes(len(data) % 2)
    if tags[273][1] == [0]:
        packed[273][2] = struct.pack(order + "I", at + len(beside))
    entries = b"".join(
        struct.pack(order + "HHI", tag, kind, count) + value for tag, (kind, count, value) in sorted(packed.items())
    )
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return start + entries + bytes(4) + beside + body


def twelve_bit_jpeg() -> bytes:
    data = bytearray(saved("JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


def deep_avif(box: bytes, at: int, value: int) -> bytes:
    data = bytearray(saved("AVIF"))
    data[data.index(box) + at] = value
    return bytes(data)


GREY = colours()[..., 0]
DEEP: dict[str, Callable[[], bytes]] = {
    "pnm 256": lambda: pnm(6, 256),
    "pnm 1023": lambda: pnm(6, 1023),
    "pnm 4095": lambda: pnm(6, 4095),
    "pnm 65535": lambda: pnm(6, 65535),
    "pnm grey": lambda: pnm(5, 1000),
    "pnm text": lambda: pnm(3, 511),
    "tiff rgb 16": lambda: tiff(2, [16, 16, 16], colours().astype("<u2").tobytes()),
    "tiff rgb 16 big-endian": lambda: tiff(2, [16, 16, 16], colours().astype(">u2").tobytes(), ">"),
    "tiff one channel of 16": lambda: tiff(2, [8, 16, 8], bytes(4 * WIDE * HIGH)),
    "tiff 12": lambda: tiff(1, [12], bytes(2 * WIDE * HIGH)),
    "tiff half float": lambda: tiff(1, [16], GREY.astype("<f2").tobytes(), t339=("H", [3])),
    "tiff palette": lambda: tiff(3, [8], GREY.tobytes(), t320=("H", [(37 * n) % 65536 for n in range(768)])),
    "jpeg 12": twelve_bit_jpeg,
    "avif 10": lambda: deep_avif(b"av1C", 6, 0x4C),
    "avif 12": lambda: deep_avif(b"av1C", 6, 0x6C),
    "avif by its pixi": lambda: deep_avif(b"pixi", 9, 10),
    "jpeg 2000 grey": lambda: saved("JPEG2000", Pillow.fromarray(GREY.astype(np.uint16) * 257)),
    "jpeg 2000 stream": lambda: saved("JPEG2000", Pillow.fromarray(GREY.astype(np.uint16) * 257), no_jp2=True),
    "jpeg 2000 rgb": lambda: deep_stream(),
}


def deep_stream() -> bytes:
    """Return a JPEG 2000 file of which header and codestream say 12 bits a channel."""
    data = bytearray(saved("JPEG2000"))
    data[data.index(b"ihdr") + 14] = 11
    size = data.index(b"\xff\x4f\xff\x51") + 42
    data[size : size + 9 : 3] = bytes([11, 11, 11])
    return bytes(data)


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_is_refused(name: str) -> None:
    text = refusal(DEEP[name]())
    assert "more than 8 bits a channel" in text


@pytest.mark.parametrize("name", ["pnm", "tiff", "tiff ", "tiff 4 bits", "tiff inverted", "palette", "palette "])
def test_8_bits_and_less_are_read_as_they_are(name: str) -> None:
    palette = [int(value) for value in np.random.default_rng(3).integers(0, 256, 768)]
    through = np.array(palette, np.uint8).reshape(3, 256).T[GREY]
    four = ((GREY[:, ::2] >> 4 << 4) | (GREY[:, 1::2] >> 4)).tobytes()
    grey = np.repeat(GREY[..., None], 3, -1)
    given, wanted = {
        "pnm": (pnm(3, 255), colours()),
        "tiff": (tiff(2, [8, 8, 8], colours().tobytes()), colours()),
        "tiff ": (tiff(2, [8, 8, 8], colours().tobytes(), ">"), colours()),
        "tiff 4 bits": (tiff(1, [4], four), (grey >> 4) * 17),
        "tiff inverted": (tiff(0, [8], (255 - GREY).tobytes()), grey),
        "palette": (tiff(3, [8], GREY.tobytes(), t320=("H", [257 * value for value in palette])), through),
        "palette ": (tiff(3, [8], GREY.tobytes(), t320=("H", [256 * value for value in palette])), through),
    }[name]
    assert np.array_equal(image.decode(given), wanted)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (tiff(3, [8], GREY.tobytes(), t320=("H", [*range(256)] * 3)), "palette of 8-bit values"),
        (tiff(1, [8], GREY.tobytes(), t339=("H", [2])), "not unsigned numbers"),
        (tiff(2, [8, 8, 8], colours().tobytes(), t50706=("B", [1, 4, 0, 0])), "camera's raw file (DNG)"),
        (tiff(2, [8, 8, 8], colours().tobytes(), t254=("I", [1])), "begins with a preview"),
    ],
)
def test_tiffs_that_are_no_8_bit_pictures(data: bytes, cause: str) -> None:
    assert cause in refusal(data)


# --- HDR, in every container ------------------------------------------------------------------------------------


def segment(number: int, data: bytes) -> bytes:
    return bytes((0xFF, number)) + struct.pack(">H", len(data) + 2) + data


def coded_avif(primaries: int, transfer: int) -> bytes:
    data = saved("AVIF", quality=90)
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def behind(mark: bytes) -> bytes:
    """Return a JPEG with a second one behind it, which carries a mark."""
    data = saved("JPEG")
    return data + data[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + mark) + data[2:]


def within(number: int, mark: bytes) -> bytes:
    data = saved("JPEG")
    return data[:2] + segment(number, mark) + data[2:]


ADOBE_MARK = (
    b"http://ns.adobe.com/xap/1.0/\0<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'/>"
)
HDR: dict[str, Callable[[], bytes]] = {
    "png PQ": lambda: png(chunk(b"cICP", bytes((9, 16, 0, 1)))),
    "png HLG": lambda: png(chunk(b"cICP", bytes((9, 18, 0, 1)))),
    "png PQ before an sRGB profile": lambda: png(
        chunk(b"cICP", bytes((1, 16, 0, 1))), chunk(b"iCCP", b"s\0\0" + zlib.compress(srgb_profile()))
    ),
    "png PQ by the profile's name": lambda: png(
        chunk(b"iCCP", b"ITUR_2100_PQ_FULL\0\0" + zlib.compress(srgb_profile()))
    ),
    "avif PQ": lambda: coded_avif(9, 16),
    "avif HLG": lambda: coded_avif(12, 18),
    "jpeg a gain map": lambda: within(0xE1, ADOBE_MARK),
    "jpeg a gain map of ISO": lambda: within(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"),
    "jpeg a gain map of Apple's": lambda: behind(b"<x Type='urn:com:apple:photo:2020:aux:hdrgainmap'/>"),
    "jpeg a gain map in the second picture": lambda: behind(b"<x xmlns:h='http://ns.adobe.com/hdr-gain-map/1.0/'/>"),
    "avif a gain map": lambda: saved("AVIF").replace(b"miaf", b"tmap", 1),
}


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", HDR)
def test_hdr_is_refused(name: str) -> None:
    text = refusal(HDR[name]())
    assert "HDR" in text
    assert any(f"({word})" in text for word in ("PQ", "HLG", "a gain map") if word in name)


def test_a_preview_behind_a_jpeg_is_no_gain_map() -> None:
    assert np.array_equal(image.decode(behind(b"<x/>")), image.decode(saved("JPEG")))


# --- colour that containers state without a profile ----------------------------------------------------------------


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def primaries(values: tuple[int, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *values))


@pytest.mark.parametrize(
    "data",
    [
        png(gamma(45455)),
        png(gamma(45455), primaries(SRGB)),
        png(primaries(SRGB)),
        png(chunk(b"sRGB", b"\0"), gamma(100_000)),
        png(chunk(b"cICP", bytes((1, 13, 0, 1))), gamma(100_000)),
        png(gamma(0), primaries((0,) * 8)),
        tiff(
            2,
            [8, 8, 8],
            colours().tobytes(),
            t318=("R", [3127, 10000, 329, 1000]),
            t319=("R", [64, 100, 33, 100, 30, 100, 60, 100, 15, 100, 6, 100]),
        ),
    ],
    ids=["gamma", "both", "primaries", "sRGB first", "cICP first", "nonsense", "tiff"],
)
def test_what_states_srgb_leaves_the_pixels_alone(data: bytes) -> None:
    assert np.array_equal(image.decode(data), colours())


def encoded(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return 255 * np.clip(curve, 0, 1)


@pytest.mark.parametrize("data", [png(gamma(100_000)), png(chunk(b"cICP", bytes((1, 8, 0, 1))))])
def test_linear_light_is_encoded(data: bytes) -> None:
    assert np.abs(image.decode(data) - encoded(colours() / 255.0)).max() <= 1.5


# Display P3 to sRGB in linear light (CSS Color 4, appendix of conversions).
TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])


@pytest.mark.parametrize(
    "data",
    [
        png(chunk(b"cICP", bytes((12, 13, 0, 1)))),
        png(gamma(45455), primaries(P3)),
        tiff(
            2,
            [8, 8, 8],
            colours().tobytes(),
            t318=("R", [3127, 10000, 329, 1000]),
            t319=("R", [680, 1000, 320, 1000, 265, 1000, 690, 1000, 150, 1000, 60, 1000]),
        ),
    ],
    ids=["cICP", "cHRM", "tiff"],
)
def test_wide_primaries_are_converted(data: bytes) -> None:
    values = colours() / 255.0
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    wanted = encoded(light @ TO_SRGB.T)
    inside = (wanted > 12) & (wanted < 250)
    assert np.abs(image.decode(data) - wanted)[inside].max() <= 2
    assert np.abs(image.decode(data).astype(int) - colours()).max() > 10


def test_avif_in_wide_primaries_is_converted() -> None:
    plain = image.decode(coded_avif(1, 13)).astype(int)
    assert np.array_equal(plain, image.decode(coded_avif(2, 2))), "unspecified is sRGB"
    assert np.array_equal(plain, image.decode(coded_avif(1, 1))), "as viewers show BT.709"
    assert np.abs(image.decode(coded_avif(12, 13)) - plain).max() > 10


@pytest.mark.parametrize("data", [png(chunk(b"cICP", bytes((1, 9, 0, 1)))), coded_avif(77, 13)])
def test_unknown_code_points_are_refused(data: bytes) -> None:
    assert "H.273" in refusal(data)


@pytest.mark.parametrize("mark", [{0xA001: 0xFFFF, 0xA005: {1: "R03"}}, {0xA001: 2}])
def test_adobe_rgb_by_the_cameras_exif(mark: dict[int, Any]) -> None:
    def photograph(fields: dict[int, Any]) -> npt.NDArray[np.int_]:
        exif = Pillow.Exif()
        exif.get_ifd(0x8769).update(fields)
        return image.decode(saved("JPEG", quality=95, exif=exif)).astype(int)

    plain = photograph({0xA001: 1})
    assert np.array_equal(plain, image.decode(saved("JPEG", quality=95)))
    assert np.abs(photograph(mark) - plain).max() > 10


# --- bounds --------------------------------------------------------------------------------------------------------


def scans(count: int) -> bytes:
    data = saved("JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def gif(*between: bytes) -> bytes:
    data = saved("GIF", PICTURE.quantize(16))
    at = 13 + 3 * (2 << (data[10] & 7))
    return data[:at] + b"".join(between) + data[at:]


def jpeg2000(precinct: int) -> bytes:
    """Return a JPEG 2000 codestream whose header asks for precincts of so many bits a side on 4000x4000 pixels."""
    size = struct.pack(">HH8IH", 47, 0, 4000, 4000, 0, 0, 4000, 4000, 0, 0, 3) + bytes((7, 1, 1)) * 3
    style = struct.pack(">HBBHBBBBBB", 18, 1, 0, 1, 0, 5, 4, 4, 0, 1) + bytes([precinct * 17]) * 6
    return b"\xff\x4f\xff\x51" + size + b"\xff\x52" + style + b"\xff\x90\0\x0a\0\0\0\0\0\0\0\1\xff\x93" + bytes(100)


COSTLY: dict[str, Callable[[], bytes]] = {
    "scans": lambda: scans(3_000),
    "chunks": lambda: png(chunk(b"tEXt", b"k\0v") * 200_000),
    "text that unpacks": lambda: png(*[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20)))] * 80),
    "a profile that unpacks": lambda: png(chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(64 << 20)))),
    "comments": lambda: gif(b"\x21\xfe", (b"\xff" + b"a" * 255) * 30_000, b"\0"),
    "frames": lambda: gif(b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0" * 100_000),
    "tiles": lambda: saved("JPEG2000", Pillow.new("L", (1100, 1100)), tile_size=(8, 8)),
    "precincts": lambda: jpeg2000(1),
    "strips": lambda: tiff(2, [8, 8, 8], colours().tobytes(), t273=("I", [8] * 200_000), t279=("I", [1] * 200_000)),
    "strips that overlap": lambda: tiff(2, [8] * 3, colours().tobytes(), t273=("I", [8] * 9), t279=("I", [99_000] * 9)),
    "pixels as text": lambda: b"P3 3000 3000 255\n" + b"0 " * 9_000_000,
    "run lengths": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 1078, 40, 8000, 8000, 1, 8, 1, 0, 0, 0, 0, 0)
        + bytes(1024) + b"\1\0" * 9_000_000
    ),
    "a comment": lambda: b"P6\n#" + b"a" * (1 << 22) + b"\n64 48 255\n" + colours().tobytes(),
    "boxes": lambda: saved("AVIF")[:32] + b"\0\0\0\x08free" * 150_000,
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_what_would_cost_much_is_refused_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = COSTLY[name]()
    if name != "text that unpacks":  # Pillow's own bound
        monkeypatch.setattr(Pillow, "open", lambda *args, **kwargs: pytest.fail("was opened"))
    start = time.process_time()
    refusal(data)
    assert time.process_time() - start < 2


def test_what_encoders_write_keeps_the_bounds() -> None:
    for options in (
        {"tile_size": (64, 64)},
        {"precinct_size": (128, 128)},
        {"num_resolutions": 6},
        {"irreversible": True},
    ):
        assert image.decode(saved("JPEG2000", **options)).shape == (HIGH, WIDE, 3)
    assert image.decode(scans(0)).shape == (HIGH, WIDE, 3)
    assert image.decode(gif(b"\x21\xfe\x05hello\0")).shape == (HIGH, WIDE, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "JPEG2000"])
def test_size_is_bounded_before_a_decoder_is_made(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "open", lambda *args, **kwargs: pytest.fail("was opened"))
    data = bytearray(saved(kind, lossless=True) if kind == "WEBP" else saved(kind))
    if kind == "GIF":
        data[6:10] = struct.pack("<HH", 60_000, 60_000)
    elif kind == "WEBP":
        data[21:25] = struct.pack("<I", 16_000 | 16_000 << 14)
    elif kind == "AVIF":
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", 60_000, 60_000)
    else:
        at = data.index(b"\xff\x4f\xff\x51") + 8
        data[at : at + 24] = struct.pack(">6I", 9_000, 9_000, 0, 0, 9_000, 9_000)
    assert "million pixels" in refusal(bytes(data))


def test_a_directory_that_follows_itself_ends() -> None:
    data = bytearray(tiff(2, [8, 8, 8], colours().tobytes()))
    struct.pack_into("<I", data, 10 + 12 * 9, 8)
    assert np.array_equal(image.decode(bytes(data)), colours())


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for kind in ("webdataset", "parquet", "mcl-jci", "konjnd"):
        with pytest.raises(InputError, match="is a pipe or a device, not a file or folder"):
            collect([f"{kind}={tmp_path / 'pipe.png'}"])
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(InputError, match="is a pipe or a device, not a file"):
            image.load(path)


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(40 << 30)  # sparse: takes no room
    with pytest.raises(InputError, match=r"^a\.png: has 40,960 MB, over 256\. Scale it down first\.$"):
        image.load(path)
    monkeypatch.setattr(container, "LARGEST_PICTURE", 1000)
    with pytest.raises(InputError, match="has 0 MB, over"):
        image.decode(bytes(1001))


def test_a_file_that_tells_no_size_is_read_to_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(5000))
    plain = os.fstat

    def silent(number: int) -> os.stat_result:
        return os.stat_result([*plain(number)[:6], 0, *plain(number)[7:10]])

    monkeypatch.setattr(os, "fstat", silent)
    monkeypatch.setattr(container, "LARGEST_PICTURE", 1000)
    with pytest.raises(InputError, match=r"a\.png: has 0 MB, over"):
        image.load(path)


def test_the_pictures_of_anothers_run_go_through_the_same_door() -> None:
    class Kept:
        """A store of the second wing that keeps one picture."""

        path = Path("run")

        def __init__(self, data: bytes) -> None:
            self.data = data

        def measurements(self, stage: str) -> dict[str, dict[str, Any]]:
            return {"a": {"place": 0, "label": "image", "digest": image.digest(np.asarray(PICTURE.crop((0, 0, 7, 5))))}}

        def picture(self, digest: str) -> bytes:
            return self.data

    small = saved("PNG", PICTURE.crop((0, 0, 7, 5)))
    ((shown,),) = feature_sections._pictures(Kept(small), {})  # type: ignore[arg-type]
    assert (shown.label, shown.image.shape) == ("the image", (5, 7, 3))
    with pytest.raises(StoreError, match="the picture 'image': is not an image that limen reads .*, but PostScript"):
        list(feature_sections._pictures(Kept(STRANGE["PostScript"]), {}))  # type: ignore[arg-type]
