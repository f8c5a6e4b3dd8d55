"""Files become exact 8-bit sRGB pixels, or are refused in one line that names file, cause and remedy."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from limen import image
from limen.errors import InputError

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return np.random.default_rng(5).integers(0, 256, (36, 50, 3), dtype=np.uint8)


def smooth() -> Pixels:
    """A picture whose compressed file has a header worth breaking, in all colours."""
    y, x = np.mgrid[:40, :48]
    return np.stack([x * 5, y * 6, (x + y) * 2], -1).astype(np.uint8)


def saved(picture: Pillow.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(data: bytes, name: str = "photo.png") -> str:
    with pytest.raises(InputError) as caught:
        image.decode(data, name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert message.count(". ") >= 1, "cause. remedy."
    assert message.endswith((".", ")."))
    return message


# --- accepted: exact pixels ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_keep_every_pixel(kind: str, options: dict[str, object], pixels: Pixels) -> None:
    assert np.array_equal(image.decode(saved(Pillow.fromarray(pixels), kind, **options)), pixels)


def test_jpeg_is_what_the_decoder_says(pixels: Pixels) -> None:
    data = saved(Pillow.fromarray(pixels), "JPEG", quality=70)
    assert np.array_equal(image.decode(data), np.array(Pillow.open(io.BytesIO(data))))


def test_what_is_returned_can_be_written_to_and_is_contiguous(pixels: Pixels) -> None:
    loaded = image.decode(saved(Pillow.fromarray(pixels)))
    assert loaded.dtype == np.uint8
    assert loaded.flags.writeable
    assert loaded.flags.c_contiguous


def test_grey_becomes_rgb(pixels: Pixels) -> None:
    grey = pixels[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    assert np.array_equal(image.decode(saved(Pillow.fromarray(grey))), expected)


def test_black_and_white_becomes_rgb(pixels: Pixels) -> None:
    bits = pixels[..., 0] > 127
    loaded = image.decode(saved(Pillow.fromarray(bits)))
    assert np.array_equal(loaded, np.repeat(np.where(bits, 255, 0)[..., None], 3, axis=2))


def test_a_palette_gives_its_colours(pixels: Pixels) -> None:
    index = pixels[..., 0] % 7
    colours = np.random.default_rng(1).integers(0, 256, (7, 3), dtype=np.uint8)
    picture = Pillow.frombytes("P", (50, 36), index.tobytes())
    picture.putpalette(colours.tobytes())
    for kind in ("PNG", "GIF"):
        assert np.array_equal(image.decode(saved(picture, kind)), colours[index])


@pytest.mark.parametrize("bands", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_is_dropped(bands: str, pixels: Pixels) -> None:
    picture = Pillow.fromarray(pixels).convert(bands[:-1])
    expected = np.array(picture.convert("RGB"))
    picture.putalpha(255)
    assert picture.mode == bands
    assert np.array_equal(image.decode(saved(picture)), expected)


def test_a_palette_whose_transparency_is_opaque_is_accepted(pixels: Pixels) -> None:
    picture = Pillow.fromarray(pixels).quantize(16)
    data = saved(picture, transparency=bytes([255] * 16))
    assert np.array_equal(image.decode(data), np.array(picture.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied(orientation: int, pixels: Pixels) -> None:
    upright = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: lambda p: np.rot90(p, 1),
    }[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(image.decode(saved(Pillow.fromarray(pixels), exif=exif)), upright(pixels))


def test_the_suffix_is_not_believed(tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(saved(Pillow.fromarray(pixels)))
    assert np.array_equal(image.load(path), pixels)


@pytest.mark.parametrize(
    "name", ["照片.png", "صورة.png", "снимок.png", "फ़ोटो.png", "写真 №1.png", "a b'c\".png", "🙂.png"]
)
def test_names_in_any_script(tmp_path: Path, name: str, pixels: Pixels) -> None:
    path = tmp_path / name
    path.write_bytes(saved(Pillow.fromarray(pixels)))
    assert np.array_equal(image.load(path), pixels)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError) as caught:
        image.load(path)
    assert str(caught.value).startswith(f"{name}: ")


def test_a_single_frame_of_a_format_that_could_hold_several_is_accepted(pixels: Pixels) -> None:
    picture = Pillow.fromarray(pixels).quantize(256)
    assert np.array_equal(image.decode(saved(picture, "GIF")), np.array(picture.convert("RGB")))


def test_a_camera_file_with_a_preview_gives_its_photograph(pixels: Pixels) -> None:
    photograph, preview = Pillow.fromarray(pixels), Pillow.fromarray(pixels[:16, :16])
    data = saved(photograph, "MPO", save_all=True, append_images=[preview], quality=90)
    assert Pillow.open(io.BytesIO(data)).n_frames == 2
    assert np.array_equal(image.decode(data), image.decode(saved(photograph, "JPEG", quality=90)))


# --- colour profiles ----------------------------------------------------------------------------------------

ADOBE = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))  # to XYZ, D50
SRGB_TO_XYZ = ((0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733))


def profile(space: bytes, gamma: float) -> bytes:
    """Write an ICC version 2 display profile by hand: Adobe RGB's primaries, or grey."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    title = b"Wide RGB for tests\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(title)) + title + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz((0.9505, 1.0, 1.0891)),  # as Adobe writes it: D65, which the relative intent leaves aside
    }
    if space == b"RGB ":
        for at, letter in enumerate((b"r", b"g", b"b")):
            tags[letter + b"XYZ"] = xyz(tuple(row[at] for row in ADOBE))
            tags[letter + b"TRC"] = curve
    else:
        tags[b"kTRC"] = curve
    table, data = b"", b""
    offset = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += tag + struct.pack(">II", offset + len(data), len(value))
        data += value
    head = struct.pack(">I4sI4s4s4s12x4s", offset + len(data), b"test", 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def encoded(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return 255 * np.clip(curve, 0, 1)


def test_an_srgb_profile_changes_nothing(pixels: Pixels) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(image.decode(saved(Pillow.fromarray(pixels), icc_profile=srgb)), pixels)


def test_another_profile_is_converted_to_srgb() -> None:
    colours = np.random.default_rng(2).integers(60, 200, (36, 50, 3), dtype=np.uint8)
    linear = (colours / 255.0) ** (563 / 256)
    expected = encoded(linear @ np.array(ADOBE).T @ np.linalg.inv(np.array(SRGB_TO_XYZ)).T)
    loaded = image.decode(saved(Pillow.fromarray(colours), icc_profile=profile(b"RGB ", 563 / 256)))
    inside = (expected > 5) & (expected < 250)
    assert np.abs(loaded - expected)[inside].max() <= 1.5
    assert np.abs(loaded.astype(int) - colours).max() > 10, "Adobe RGB taken for sRGB would look pale"


def test_a_grey_profile_is_converted_too() -> None:
    grey = np.tile(np.arange(20, 256, 4, dtype=np.uint8), (40, 1))
    loaded = image.decode(saved(Pillow.fromarray(grey), icc_profile=profile(b"GRAY", 1.0)))
    assert np.array_equal(loaded[..., 0], loaded[..., 1])
    assert np.array_equal(loaded[..., 0], loaded[..., 2])
    assert np.abs(loaded[..., 0] - encoded(grey / 255.0)).max() <= 1.5


@pytest.mark.parametrize("broken", [b"no profile at all", profile(b"GRAY", 1.0)])
def test_a_profile_that_does_not_fit_is_refused(broken: bytes, pixels: Pixels) -> None:
    assert "colour profile" in refusal(saved(Pillow.fromarray(pixels), icc_profile=broken))


# --- refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"nothing", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7"])
def test_what_is_no_image(data: bytes) -> None:
    assert "is not an image" in refusal(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_a_truncated_file(kind: str, pixels: Pixels) -> None:
    data = saved(Pillow.fromarray(pixels), kind)
    refusal(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("size", [(1, 1), (31, 200), (200, 31)])
def test_a_small_picture(size: tuple[int, int]) -> None:
    assert f"{size[0]}x{size[1]}" in refusal(saved(Pillow.new("RGB", size)))
    assert image.decode(saved(Pillow.new("RGB", (32, 32)))).shape == (32, 32, 3)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_png(colour: int, channels: int) -> bytes:
    rows = b"".join(b"\0" + np.full(40 * channels, 0xFFF1, ">u2").tobytes() for _ in range(40))
    head = struct.pack(">IIBBBBB", 40, 40, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        deep_png(0, 1),
        deep_png(2, 3),
        deep_png(6, 4),
        b"P6 40 40 65535\n" + bytes(40 * 40 * 6),
        saved(Pillow.fromarray(np.zeros((40, 40), np.uint16)), "TIFF"),
        saved(Pillow.fromarray(np.zeros((40, 40), np.float32)), "TIFF"),
        saved(Pillow.fromarray(np.zeros((40, 40), np.int32)), "TIFF"),
    ],
    ids=["png grey", "png rgb", "png rgba", "ppm", "tiff 16", "tiff float", "tiff 32"],
)
def test_more_than_8_bits(data: bytes) -> None:
    assert "more than 8 bits" in refusal(data)


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("LAB", "TIFF")])
def test_other_colour_spaces(mode: str, kind: str) -> None:
    assert mode in refusal(saved(Pillow.new(mode, (40, 40)), kind))


def test_partly_transparent_pictures(pixels: Pixels) -> None:
    picture = Pillow.fromarray(pixels)
    for bands in ("RGB", "L"):
        faint = picture.convert(bands)
        faint.putalpha(255)
        alpha = np.full(pixels.shape[:2], 255, np.uint8)
        alpha[3, 4] = 254
        faint.putalpha(Pillow.fromarray(alpha))
        assert "transparent" in refusal(saved(faint))
    assert "transparent" in refusal(saved(picture.quantize(16), transparency=0))
    assert "transparent" in refusal(saved(Pillow.new("RGB", (40, 40), (1, 2, 3)), transparency=(1, 2, 3)))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames(kind: str, pixels: Pixels) -> None:
    other = Pillow.fromarray(255 - pixels)
    assert "2 frames" in refusal(saved(Pillow.fromarray(pixels), kind, save_all=True, append_images=[other]))


@pytest.mark.parametrize("side", [9_000, 14_000, 60_000])
def test_a_decompression_bomb_is_refused_from_its_header(side: int) -> None:
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    assert "million pixels" in refusal(bomb)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(InputError, match=r"cannot be read \(.+\)\. Check the path\.") as caught:
            image.load(path)
        assert str(tmp_path.parent) not in str(caught.value), "absolute paths stay out of messages"


KINDS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "animated GIF", "animated PNG"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_broken_file_escapes_as_another_error(kind: str) -> None:
    picture = Pillow.fromarray(smooth())
    frames = {"save_all": True, "append_images": [picture.rotate(90)]} if "animated" in kind else {}
    whole, rng = saved(picture, kind.split()[-1], **frames), np.random.default_rng(9)
    messages = []
    for attempt in range(80):
        data = bytearray(whole[: int(rng.integers(0, len(whole)))] if attempt % 2 else whole)
        for _ in range(int(rng.integers(1, 6)) if data and attempt % 2 == 0 else 0):
            data[int(rng.integers(0, min(len(data), 300)))] = int(rng.integers(0, 256))
        try:
            assert image.decode(bytes(data)).shape[2] == 3
        except InputError as error:
            messages.append(str(error))
    assert len(messages) >= 20
    assert not any("\n" in message for message in messages)


# --- check, digest, encode ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3), np.float32),
        [[1, 2, 3]],
    ],
)
def test_check_names_what_was_given(given: object) -> None:
    with pytest.raises(InputError, match=r"uint8 RGB array of shape \(H, W, 3\), not "):
        image.check(given)  # type: ignore[arg-type]


def test_check_returns_contiguous_memory(pixels: Pixels) -> None:
    turned = image.check(pixels[:, ::-1])
    assert turned.flags.c_contiguous
    assert np.array_equal(turned, pixels[:, ::-1])


def test_digest_stands_for_pixels_and_shape(pixels: Pixels) -> None:
    changed = pixels.copy()
    changed[0, 0, 0] ^= 1
    digests = {image.digest(pixels), image.digest(changed), image.digest(pixels.reshape(50, 36, 3))}
    assert len(digests) == 3
    assert image.digest(pixels[:, ::-1]) == image.digest(np.ascontiguousarray(pixels[:, ::-1]))
    assert image.digest(np.zeros((32, 32, 3), np.uint8)) == "0408676ccba82d0ccce1dffb173b802a"
    assert image.Picture.of(pixels).digest == image.digest(pixels)


def test_png_is_lossless_and_bare(pixels: Pixels) -> None:
    data = image.png(pixels)
    assert np.array_equal(image.decode(data), pixels)
    names, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        names.append(data[at + 4 : at + 8])
        at += length + 12
    assert set(names) == {b"IHDR", b"IDAT", b"IEND"}


def test_jpeg_is_coded_only_by_name_and_is_bare(pixels: Pixels) -> None:
    data = image.encode(pixels, "jpeg:95")
    picture = Pillow.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    assert not set(picture.info) & {"exif", "icc_profile", "comment"}
    assert len(image.encode(pixels, "jpeg:20")) < len(data)


@pytest.mark.parametrize("encoding", ["", "jpg", "jpeg", "jpeg:0", "jpeg:101", "jpeg:9.5", "png:3", "jpeg:-5"])
def test_other_encodings_are_refused(encoding: str, pixels: Pixels) -> None:
    with pytest.raises(InputError, match="Use 'png', or 'jpeg:95'"):
        image.encode(pixels, encoding)
