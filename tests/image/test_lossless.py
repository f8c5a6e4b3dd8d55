"""PNG files are valid, hold exactly the pixels they were made of, and do so whatever reads them."""

import io
import shutil
import struct
import subprocess
import threading
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from limen import image
from limen.errors import InputError
from limen.image import lossless

Pixels = npt.NDArray[np.uint8]

SHAPES = st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3))
SEEDS = st.integers(0)
NOISE = st.builds(lambda shape, seed: np.random.default_rng(seed).integers(0, 256, shape, np.uint8), SHAPES, SEEDS)
PICTURES = arrays.arrays(np.uint8, SHAPES) | NOISE


def ramp() -> Pixels:
    return np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2).repeat(40, 0)


def inflated(data: bytes) -> Pixels:
    """Decode by the letter of the specification, one byte after the other: no other code than Python's zlib."""
    chunks, at = {}, 8
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(name + content)
        chunks[name] = content
        at += length + 12
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    assert int.from_bytes(chunks[b"IDAT"][:2]) % 31 == 0  # the header of a zlib stream
    rows = zlib.decompress(chunks[b"IDAT"])  # compares its checksum
    above, out = [0] * (3 * width), []
    for row in range(height):
        start = row * (3 * width + 1)
        assert rows[start] == 3
        line: list[int] = []
        for i, value in enumerate(rows[start + 1 : start + 1 + 3 * width]):
            line.append((value + ((line[i - 3] if i >= 3 else 0) + above[i]) // 2) % 256)
        out.append(line)
        above = line
    assert len(rows) == height * (3 * width + 1)
    return np.array(out, np.uint8).reshape(height, width, 3)


@given(PICTURES)
def test_pillow_reads_the_same_pixels(pixels: Pixels) -> None:
    picture = Pillow.open(io.BytesIO(lossless.png(pixels)))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    assert np.array_equal(np.array(picture), pixels)


@settings(max_examples=25)
@given(PICTURES)
def test_the_letter_of_the_specification_reads_the_same_pixels(pixels: Pixels) -> None:
    assert np.array_equal(inflated(lossless.png(pixels)), pixels)


@pytest.mark.parametrize("at_once", [1, 3 * 48, 5 * 3 * 48, 2**20])
def test_rows_filtered_together_make_no_difference(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture is filtered in bands, each of which begins with what lies above it."""
    pixels = np.random.default_rng(3).integers(0, 256, (33, 48, 3), np.uint8)
    monkeypatch.setattr(lossless, "_AT_ONCE", at_once)
    assert np.array_equal(inflated(lossless.png(pixels)), pixels)


@pytest.mark.parametrize(
    "turn",
    [
        lambda pixels: pixels[::-1],
        lambda pixels: pixels[:, ::-1],
        lambda pixels: pixels[::2, 1::3],
        lambda pixels: pixels.transpose(1, 0, 2),
        lambda pixels: pixels[..., ::-1],
        np.asfortranarray,
    ],
    ids=["upside down", "mirrored", "thinned", "turned", "BGR", "by columns"],
)
def test_pixels_may_lie_in_memory_as_they_like(turn: object) -> None:
    pixels = turn(np.random.default_rng(4).integers(0, 256, (41, 36, 3), np.uint8))  # type: ignore[operator]
    assert np.array_equal(np.array(Pillow.open(io.BytesIO(image.png(pixels)))), pixels)


def test_pixels_that_may_not_be_written_are_not() -> None:
    pixels = ramp()
    pixels.setflags(write=False)
    before = pixels.copy()
    assert np.array_equal(inflated(image.png(pixels)), before)


def test_the_same_pixels_are_the_same_file_in_any_thread() -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (120, 160, 3), np.uint8)
    files: list[bytes] = []
    threads = [threading.Thread(target=lambda: files.append(image.png(pixels))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(files) == {image.png(pixels)}
    assert len(files) == 4


def test_what_is_smooth_is_small() -> None:
    assert len(image.png(ramp())) < ramp().size / 20


def test_photographs_take_about_as_many_bytes_as_with_pillow() -> None:
    folder = Path(image.__file__).parents[1] / "data" / "demo" / "photographs"
    photographs = [image.load(file) for file in sorted(folder.glob("*.png"))]
    assert len(photographs) == 20
    theirs = 0
    for pixels in photographs:
        buffer = io.BytesIO()
        Pillow.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        theirs += len(buffer.getvalue())
    assert sum(len(image.png(pixels)) for pixels in photographs) < 1.05 * theirs


@pytest.mark.parametrize("pixels", [np.zeros((40, 40), np.uint8), np.zeros((40, 40, 4), np.uint8), np.zeros((9, 9, 3))])
def test_other_arrays_are_refused(pixels: npt.NDArray[np.generic]) -> None:
    with pytest.raises(InputError, match=r"an image is a uint8 RGB array of shape \(H, W, 3\)"):
        image.png(pixels)  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="needs Debian's pngcheck")
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (384, 512), (700, 900)])
def test_pngcheck_finds_nothing(shape: tuple[int, int], tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(lossless.png(np.random.default_rng(7).integers(0, 99, (*shape, 3), np.uint8)))
    said = subprocess.run(["pngcheck", "-v", file], capture_output=True, text=True, check=True).stdout
    assert "No errors detected" in said
