"""The ten distortions beside numbers made elsewhere (README.md here) and arithmetic that shares no code with them."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import segno
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from scipy import fft

from limen.distortion import find
from tests.distortions.reference.philox import philox
from tests.distortions.reference.subjects import Pixels, colours, procedural

HERE = Path(__file__).parent
NUMBERS = json.loads((HERE / "reference.json").read_text())
ARRAYS: dict[str, Pixels] = dict(np.load(HERE / "reference.npz"))
KEY = "reference"


def stored(name: str) -> list[int]:
    """Return the levels of which reference.npz holds the stimulus."""
    return [int(entry.removeprefix(name)) for entry in ARRAYS if entry.startswith(f"{name} ")]


def words(name: str) -> Iterator[int]:
    """Yield the 64-bit words a series draws: Philox under the SHA-256 of its names, counted from 1."""
    seed = int(
        hashlib.sha256(json.dumps(["distortion", name, KEY], separators=(",", ":")).encode()).hexdigest()[:32], 16
    )
    counter = 0
    while True:
        counter += 1
        yield from philox((counter, 0, 0, 0), (seed % 2**64, seed >> 64))


def draws(name: str) -> Iterator[float]:
    """Yield numbers of [0, 1): the upper 53 bits of each word."""
    return ((word >> 11) / 2**53 for word in words(name))


def place(size: int, of: int, draw: float) -> int:
    return math.floor(draw * (of - size + 1))


# --- tone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["brightness", "contrast", "banding"])
def test_tone_curves_are_the_exact_ones(name: str) -> None:
    greys = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (32, 1, 3))
    at = find(name).render(greys, KEY)
    for k, expected in enumerate(ARRAYS[name], start=1):
        stimulus = at(k)
        assert (stimulus == stimulus[:1, :, :1]).all()
        assert np.array_equal(stimulus[0, :, 0], expected), f"level {k}"


@pytest.mark.parametrize("level", stored("saturation"))
def test_saturation_is_the_exact_one_but_for_ties(level: int) -> None:
    expected = ARRAYS[f"saturation {level}"].astype(int)
    stimulus = find("saturation").render(colours(), KEY)(level)
    values = colours().astype(int)
    luma = values @ (299, 587, 114)
    # In 1/50,000 of a grey level y is a whole number: a tie is 25,000 over one.
    exact = 50 * luma[..., None] + (50 + 3 * level) * (1000 * values - luma[..., None])
    tie = exact % 50_000 == 25_000
    assert np.array_equal(stimulus[~tie], expected[~tie])
    assert tie.mean() < 5e-3


# --- blur ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(48, 64), (47, 65), (50, 66), (33, 420), (150, 33), (96, 640)])
def test_blur_is_the_whole_cosine_transform_in_float64(shape: tuple[int, int]) -> None:
    """No frequency left out, SciPy's transform: another algorithm. Every pixel agrees to 0.005 before rounding."""
    picture = procedural(*shape)
    at = find("blur").render(picture, KEY)
    spectrum = fft.dctn(picture.astype(float), axes=(0, 1), norm="ortho")
    omega = [np.pi * np.arange(size) / size for size in shape]
    for level in range(1, 51):
        sigma = 0.5 * level * shape[1] / 640
        response = np.exp(-0.5 * sigma**2 * (omega[0][:, None] ** 2 + omega[1] ** 2))
        exact = np.clip(fft.idctn(spectrum * response[..., None], axes=(0, 1), norm="ortho"), 0, 255)
        assert np.abs(at(level) - exact).max() < 0.505, f"level {level}"
        assert (np.abs(at(level) - exact) > 0.501).mean() < 1e-4, f"level {level}"


# --- noise --------------------------------------------------------------------------------------------------


def test_philox_gives_the_authors_known_answers() -> None:
    """From kat_vectors of Random123, by the authors of Salmon et al. 2011; NumPy's words; the stored ones."""
    zeros, ones = (0, 0, 0, 0), (2**64 - 1,) * 4
    known = 0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B
    assert philox(zeros, (0, 0)) == known
    known = 0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0
    assert philox(ones, ones[:2]) == known
    for row in NUMBERS["philox"]:
        assert list(philox(tuple(row["counter"]), tuple(row["key"]))) == row["words"]


def test_noise_is_made_by_hand_from_the_counter_up() -> None:
    picture = procedural()
    drawn = words("noise")
    raw = np.array([next(drawn) for _ in range(picture.size // 4)], dtype="<u8").view("<u2")
    known = dict(zip([*range(0, 65536, 1024), 65535], NUMBERS["quantiles"], strict=True))
    at = find("noise").render(picture, KEY)
    chosen = [i for i, word in enumerate(raw.tolist()) if word in known]
    assert len(chosen) >= 3
    for level in (1, 10, 25, 50):
        changed, before = at(level).reshape(-1), picture.reshape(-1)
        for i in chosen:
            exact = int(before[i]) + 255 * math.sqrt(0.0002 * level) * known[int(raw[i])]
            assert changed[i] == min(255, max(0, round(exact))), (level, i)


def test_noise_at_every_pixel_by_the_normal_of_scipy() -> None:
    from scipy import special

    picture = procedural()
    drawn = words("noise")
    raw = np.array([next(drawn) for _ in range(picture.size // 4)], dtype="<u8").view("<u2").astype(float)
    unit = special.ndtri((raw + 0.5) / 65536).reshape(picture.shape)
    for level in (1, 10, 25, 50):
        exact = np.clip(picture + 255 * math.sqrt(0.0002 * level) * unit, 0, 255)
        assert np.abs(find("noise").render(picture, KEY)(level) - exact).max() < 0.5 + 1e-4


# --- coding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", stored("jpeg"))
def test_jpeg_is_what_opencvs_libjpeg_turbo_gives(level: int) -> None:
    assert np.array_equal(find("jpeg").render(procedural(), KEY)(level), ARRAYS[f"jpeg {level}"])


# --- overlays -----------------------------------------------------------------------------------------------

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def mixed(under: int, ink: float, opacity: float) -> float:
    return under + opacity * (ink - under)


@pytest.mark.parametrize("shape", [(48, 64), (240, 321)])
def test_mask_lies_where_it_is_reckoned_to(shape: tuple[int, int]) -> None:
    picture = procedural(*shape)
    drawn = draws("mask")
    aspect = 2 ** (2 * next(drawn) - 1)
    sizes, size = [], (1, 1)
    for k in range(1, 51):
        area = 0.03 * k / 50 * shape[0] * shape[1]
        width = min(shape[1], max(1, round(math.sqrt(area * aspect))))
        height = min(shape[0], max(1, round(area / width)))
        if height >= size[0] and width >= size[1]:
            size = height, width
        sizes.append(size)
    top, left = place(size[0], shape[0], next(drawn)), place(size[1], shape[1], next(drawn))
    at = find("mask").render(picture, KEY)
    for k, (height, width) in enumerate(sizes, start=1):
        y, x = top + (size[0] - height) // 2, left + (size[1] - width) // 2
        expected = picture.copy()
        expected[y : y + height, x : x + width] = 0
        assert np.array_equal(at(k), expected), f"level {k}"


def agrees(stimulus: Pixels, exact: npt.NDArray[np.float64]) -> bool:
    """Say whether every pixel is the exact value rounded, a tie (within float32's last digits) either way."""
    return bool(np.abs(stimulus - exact).max() <= 0.5 + 1e-4)


@pytest.mark.parametrize("shape", [(48, 64), (232, 301)])
def test_qr_lies_where_it_is_reckoned_to(shape: tuple[int, int]) -> None:
    picture = procedural(*shape)
    drawn = draws("qr")
    content = "LIMEN " + "".join(LETTERS[math.floor(next(drawn) * 32)] for _ in range(4))
    code = segno.make_qr(content, version=1, error="l")
    scale = max(1, round(min(shape) / 4 / 25))
    top, left = (place(25 * scale, size, next(drawn)) for size in shape)
    at = find("qr").render(picture, KEY)
    for level in (1, 10, 25, 50):
        exact = picture.astype(float)
        for i, row in enumerate(code.matrix_iter(border=2)):
            for j, module in enumerate(row):
                cell = np.s_[top + i * scale :, left + j * scale :]
                exact[cell][:scale, :scale] = mixed(exact[cell][:scale, :scale], 0 if module else 255, level / 50)
        assert agrees(at(level), exact), f"level {level}"


def test_opencvs_detector_reads_the_codes() -> None:
    assert NUMBERS["qr read by opencv"]
    assert all(content == read for content, read in NUMBERS["qr read by opencv"].items())


@pytest.mark.parametrize("shape", [(48, 64), (120, 320)])
@pytest.mark.parametrize("light", [False, True])
def test_text_is_blended_as_reckoned(shape: tuple[int, int], light: bool) -> None:
    """The letters' outlines are FreeType's; size, place, ink and blending are reckoned here."""
    picture = procedural(*shape) // 3 + (150 if light else 0)
    drawn = draws("text")
    content = "LIMEN " + "".join(LETTERS[math.floor(next(drawn) * 32)] for _ in range(4))
    fitting = [8.0 + i for i in range(200)]
    size = next(s for s in fitting if ImageFont.load_default(s + 1).getlength(content) > max(shape[1] / 2, 46))
    font = ImageFont.load_default(size)
    page = Pillow.new("L", (shape[1] + 100, 100))
    ImageDraw.Draw(page).text((20, 20), content, fill=255, font=font)
    left, top, right, bottom = (int(v) + 20 for v in font.getbbox(content))
    cover = np.asarray(page)[top:bottom, left:right][: shape[0], : shape[1]].astype(float) / 255
    y, x = place(cover.shape[0], shape[0], next(drawn)), place(cover.shape[1], shape[1], next(drawn))
    at = find("text").render(picture, KEY)
    for level in (1, 10, 25, 50):
        exact = picture.astype(float)
        box = exact[y : y + cover.shape[0], x : x + cover.shape[1]]
        box += 0.6 * level / 50 * cover[..., None] * ((0 if light else 255) - box)
        assert agrees(at(level), exact), f"level {level}"
