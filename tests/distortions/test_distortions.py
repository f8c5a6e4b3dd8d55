"""Every distortion keeps the house's promises, and each one's pixels agree with arithmetic done another way."""

import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
import segno
from numpy._core._multiarray_umath import __cpu_features__
from PIL import Image as Pillow
from scipy import ndimage

from limen import image, registry
from limen.distortion import Distortion, find
from limen.errors import InputError, UnknownNameError

Pixels = npt.NDArray[np.uint8]

EVERY = tuple(kind for kind in registry.every("distortion").values() if kind.of == "image")
RANDOM = ("mask", "noise", "qr", "text")
each = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)


def photograph(height: int = 96, width: int = 128) -> Pixels:
    """A colourful picture with smooth parts, edges and grain, the same everywhere."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [127 + 90 * np.sin(x / (9 + 4 * c) + c) * np.cos(y / (7 + 3 * c)) for c in range(3)]
    picture = np.stack(waves, -1)
    picture[height // 3 : height // 2, width // 4 : width // 2] = (220, 40, 60)
    picture += ((x * 7 + y * 13) % 11)[..., None]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def flat(value: int, height: int = 64, width: int = 80) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def some_levels(kind: Distortion) -> tuple[int, ...]:
    top = len(kind.ladder)
    return (1, 2, top // 3, top // 2, top)


# --- promises of every distortion ---------------------------------------------------------------------------


def test_the_shelf_holds_what_the_data_set_needs() -> None:
    words = {kind.name: (kind.word, len(kind.ladder), kind.ladder.unit) for kind in EVERY}
    assert words == {
        "avif": ("AVIF compression", 50, "quality"),
        "banding": ("banding artifacts", 100, "grey levels a channel"),
        "blur": ("blur", 50, "px (sigma) at 640 px width"),
        "brightness": ("brightness", 50, "exponent (gamma)"),
        "contrast": ("contrast", 50, "factor about mid-grey"),
        "jpeg": ("JPEG compression", 100, "quality"),
        "jpeg2000": ("JPEG 2000 compression", 50, "dB PSNR"),
        "mask": ("mask", 50, "share of the image's area"),
        "noise": ("noise", 50, "variance (unit range)"),
        "qr": ("QR code watermark", 50, "opacity"),
        "saturation": ("color saturation", 50, "factor about luma"),
        "text": ("text watermark", 50, "opacity"),
        "webp": ("WebP compression", 50, "quality"),
    }
    for kind in EVERY:
        assert len(kind.summary) > 20


STRENGTHS = {
    "blur": lambda k: 0.5 * k,
    "brightness": lambda k: 1 - 0.018 * k,
    "saturation": lambda k: 1 + 0.06 * k,
    "contrast": lambda k: 1 - 0.0175 * k,
    "noise": lambda k: 0.0002 * k,
    "jpeg": lambda k: 101 - k,
    "banding": lambda k: 256 / 2 ** (5 * k / 100),
    "mask": lambda k: 0.03 * k / 50,
    "qr": lambda k: k / 50,
    "text": lambda k: k / 50,
    "webp": lambda k: 102 - 2 * k,
    "avif": lambda k: 102 - 2 * k,
    "jpeg2000": lambda k: 50.7 - 0.7 * k,
}


@each
def test_strengths_follow_the_published_formula(kind: Distortion) -> None:
    formula = STRENGTHS[kind.name]
    for level in range(1, len(kind.ladder) + 1):
        assert kind.ladder[level] == pytest.approx(formula(level), rel=1e-12, abs=1e-12)


@each
def test_level_0_is_the_input_itself(kind: Distortion) -> None:
    picture = photograph()
    assert kind.render(picture, "key")(0) is picture


@each
def test_levels_beyond_the_ladder_are_refused(kind: Distortion) -> None:
    at = kind.render(photograph(), "key")
    for level in (-1, len(kind.ladder) + 1):
        with pytest.raises(InputError, match=f"{kind.name} has levels 0 to {len(kind.ladder)}, not {level}"):
            at(level)


@each
def test_the_input_is_neither_changed_nor_shared(kind: Distortion) -> None:
    picture = photograph()
    before = picture.copy()
    at = kind.render(picture, "key")
    for level in some_levels(kind):
        stimulus = at(level)
        assert not np.shares_memory(stimulus, picture)
        stimulus[:] = 7
        assert np.array_equal(picture, before)
    picture_again = kind.render(before, "key")(1)
    assert np.array_equal(at(1), picture_again), "what a caller does to one level must not reach another"


@each
def test_the_order_of_levels_does_not_matter(kind: Distortion) -> None:
    up, down = kind.render(photograph(), "key"), kind.render(photograph(), "key")
    levels = some_levels(kind)
    first = [image.digest(up(level)) for level in levels]
    second = [image.digest(down(level)) for level in reversed(levels)]
    assert first == second[::-1]


# Kernels of OpenBLAS, and what a processor must have to run them: without it the process dies of an illegal one.
KERNELS = {"Prescott": "SSE3", "Haswell": "FMA3", "SkylakeX": "AVX512_SKX"}


@pytest.fixture(scope="module", params=[name for name, needs in KERNELS.items() if __cpu_features__[needs]])
def elsewhere(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """Digests computed in reverse order by another process with one thread, as OpenBLAS does on another processor."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]);"
        "from limen import image; from tests.distortions.test_distortions import EVERY, photograph, some_levels;"
        "out = {};"
        "\nfor kind in reversed(EVERY):"
        "\n    at = kind.render(photograph(), 'another process')"
        "\n    out[kind.name] = [image.digest(at(k)) for k in reversed(some_levels(kind))][::-1]"
        "\nprint(json.dumps(out))"
    )
    here = str(__import__("pathlib").Path(__file__).parents[2])
    other = {**os.environ, "OPENBLAS_CORETYPE": request.param, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, here]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=other)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@each
def test_another_process_gives_the_same_bytes(kind: Distortion, elsewhere: dict[str, list[str]]) -> None:
    at = kind.render(photograph(), "another process")
    assert [image.digest(at(level)) for level in some_levels(kind)] == elsewhere[kind.name]


@pytest.fixture
def hurried() -> Iterator[None]:
    """Let threads take turns a thousand times as often, so that what they share shows."""
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(5e-3)


@each
@pytest.mark.usefixtures("hurried")
def test_threads_may_render_one_series_at_a_time(kind: Distortion) -> None:
    """A session draws the stimuli of one series in several threads."""
    at, levels = kind.render(photograph(), "key"), (1, 10, 20, 30, 40, 50) * 20
    alone = {level: image.digest(at(level)) for level in set(levels)}
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda level: image.digest(at(level)), levels)) == [alone[level] for level in levels]


@each
def test_only_the_random_ones_depend_on_the_key(kind: Distortion) -> None:
    top = len(kind.ladder)
    seen = {image.digest(kind.render(photograph(), f"key {number}")(top)) for number in range(4)}
    assert len(seen) == (4 if kind.name in RANDOM else 1)


SHAPES = [(32, 32), (33, 47), (32, 420), (420, 32), (101, 37)]


@each
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_shapes(kind: Distortion, shape: tuple[int, int]) -> None:
    picture = photograph(*shape)
    at = kind.render(picture, "key")
    for level in (1, len(kind.ladder)):
        stimulus = at(level)
        assert stimulus.dtype == np.uint8
        assert stimulus.shape == picture.shape
    assert not np.array_equal(at(len(kind.ladder)), picture)


@each
@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_constant_pictures_never_wrap_around(kind: Distortion, value: int) -> None:
    """Where a value leaves 0..255 it is clipped: a wrapped one would land at the other end."""
    at = kind.render(flat(value), "key")
    for level in some_levels(kind):
        stimulus = at(level).astype(int)
        if kind.name in {"mask", "qr", "text"}:
            assert np.median(stimulus) == value, "an overlay leaves most of the picture alone"
        elif kind.name == "noise":
            assert np.abs(stimulus - value).max() <= 4.5 * 255 * math.sqrt(kind.ladder[level]) + 1
        elif kind.name in {"blur", "saturation"}:
            assert np.array_equal(stimulus, flat(value))
        elif kind.name in {"avif", "jpeg2000", "webp"}:
            assert np.abs(stimulus - value).max() <= 8
        else:
            assert len(np.unique(stimulus)) == 1


@each
def test_stronger_levels_change_more(kind: Distortion) -> None:
    picture = photograph().astype(float)
    at = kind.render(photograph(), "key")
    top = len(kind.ladder)
    errors = [np.abs(at(level) - picture).mean() for level in (max(1, top // 10), top // 3, top)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"No distortion named 'blurr'\. Did you mean 'blur'\?"):
        find("blurr")


# --- one draw for all levels --------------------------------------------------------------------------------


def test_noise_is_one_field_scaled_by_strength() -> None:
    kind = find("noise")
    at = kind.render(flat(128), "key")
    strongest = (at(50).astype(float) - 128) / (255 * math.sqrt(kind.ladder[50]))
    for level in (1, 7, 25):
        sigma = 255 * math.sqrt(kind.ladder[level])
        assert np.abs((at(level) - 128.0) / sigma - strongest).max() <= 0.51 / sigma + 0.51 / 25.5


@pytest.mark.parametrize("shape", [(64, 64), (33, 47), (200, 300)])
def test_masks_are_nested(shape: tuple[int, int]) -> None:
    for key in range(8):
        at = find("mask").render(flat(255, *shape), f"key {key}")
        before = np.zeros(shape, bool)
        for level in range(1, 51):
            covered = at(level)[..., 0] == 0
            assert not (before & ~covered).any(), f"level {level} uncovers what a weaker one covers"
            before = covered


@pytest.mark.parametrize("name", ["qr", "text"])
def test_watermarks_keep_place_and_content(name: str) -> None:
    picture = flat(100, 128, 160)
    at = find(name).render(picture, "key")
    strongest = at(50).astype(float) - 100
    assert strongest.any()
    for level in (1, 10, 30):
        assert np.abs((at(level) - 100.0) - strongest * level / 50).max() <= 1.0


# --- against arithmetic done another way (more in reference/) -----------------------------------------------


def test_banding_leaves_as_many_greys_as_it_says() -> None:
    greys = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (32, 1, 3))
    kind = find("banding")
    at = kind.render(greys, "key")
    for level in range(1, 101):
        assert len(np.unique(at(level))) == pytest.approx(kind.ladder[level], abs=1)
    assert list(np.unique(at(100))) == [16, 48, 80, 112, 144, 176, 208, 240]


def test_saturation_does_nothing_to_a_grey_photograph() -> None:
    grey = np.repeat(photograph()[..., :1], 3, axis=2)
    at = find("saturation").render(grey, "key")
    assert all(np.array_equal(at(level), grey) for level in range(51))


@pytest.mark.parametrize("shape", [(97, 640), (200, 333)])
def test_blur_is_scipys_gaussian_with_symmetric_borders(shape: tuple[int, int]) -> None:
    picture = photograph(*shape)
    kind = find("blur")
    at = kind.render(picture, "key")
    for level in (4, 8, 20, 50):
        sigma = 0.5 * level * shape[1] / 640
        if sigma < 1:
            continue
        expected = ndimage.gaussian_filter(picture.astype(float), (sigma, sigma, 0), mode="reflect", truncate=9)
        assert np.abs(at(level) - expected).max() <= 1


def test_blur_keeps_the_mean_and_the_range() -> None:
    edge = flat(0, 64, 128)
    edge[:, 64:] = 255
    at = find("blur").render(edge, "key")
    for level in range(1, 51):
        row = at(level)[0, :, 0].astype(int)
        if 0.5 * level * 128 / 640 >= 0.8:
            assert (np.diff(row) >= 0).all(), "a Gaussian does not ring"
        assert at(level).mean() == pytest.approx(127.5, abs=0.6)


def test_blur_is_the_continuous_gaussian_below_half_a_pixel() -> None:
    """A cosine of the border's symmetry is only damped: by exp(-sigma^2 omega^2 / 2)."""
    order, width = 40, 128
    wave = np.cos(np.pi * order * (np.arange(width) + 0.5) / width)
    picture = np.repeat(np.tile(np.rint(127.5 + 100 * wave)[None, :, None], (32, 1, 1)), 3, axis=2).astype(np.uint8)
    for level in (1, 2, 4):
        sigma = 0.5 * level * width / 640
        damped = 127.5 + 100 * wave * math.exp(-0.5 * (sigma * math.pi * order / width) ** 2)
        assert np.abs(find("blur").render(picture, "key")(level)[0, :, 0] - damped).max() <= 1.2


def test_noise_has_the_stated_variance() -> None:
    kind = find("noise")
    at = kind.render(flat(128, 160, 160), "key")
    for level in (1, 10, 50):
        error = (at(level) - 128.0) / 255
        assert error.var() == pytest.approx(0.0002 * level + 1 / (12 * 255**2), rel=0.03)
        assert abs(error.mean()) < 4 * math.sqrt(0.0002 * level / error.size)


def test_noise_is_normal_and_white() -> None:
    field = (find("noise").render(flat(128, 160, 160), "key")(50) - 128.0) / 25.5
    for bound, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert (np.abs(field) < bound).mean() == pytest.approx(share, abs=0.02)
    for axis in range(3):
        neighbours = np.corrcoef(field.ravel(), np.roll(field, 1, axis).ravel())[0, 1]
        assert abs(neighbours) < 0.02


LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
CHROMINANCE = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"""


def scaled(table: str, quality: int) -> list[int]:
    """Scale a table of Annex K of the JPEG standard as libjpeg does."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(255, max(1, (int(entry) * percent + 50) // 100)) for entry in table.split()]


def test_jpeg_uses_the_standard_tables_of_its_quality_and_halved_colour() -> None:
    picture = photograph(72, 104)
    at = find("jpeg").render(picture, "key")
    for level in (1, 6, 26, 51, 76, 99, 100):
        tables = [scaled(LUMINANCE, 101 - level), scaled(CHROMINANCE, 101 - level)]
        buffer = io.BytesIO()
        Pillow.fromarray(picture).save(buffer, "JPEG", qtables=tables, subsampling="4:2:0")
        written = Pillow.open(buffer)
        assert sorted(written.quantization[0]) == sorted(tables[0])
        assert np.array_equal(at(level), np.array(written))


def test_coded_files_are_what_is_shown_and_grow_with_quality() -> None:
    picture = photograph(96, 128)
    codecs = {kind.name: kind for kind in EVERY if kind.encoded is not None}
    assert {name: image.container.kind(kind.encoded(picture, kind.ladder[9])) for name, kind in codecs.items()} == {
        "avif": "AVIF", "jpeg": "JPEG", "jpeg2000": "JPEG2000", "webp": "WEBP"
    }  # fmt: skip
    for kind in codecs.values():
        at, sizes, errors = kind.render(picture, "key"), [], []
        for level in (1, len(kind.ladder) // 2, len(kind.ladder)):
            data = kind.encoded(picture, kind.ladder[level])
            assert np.array_equal(image.decode(data), at(level))
            sizes.append(len(data))
            errors.append(np.abs(at(level).astype(int) - picture).mean())
        assert sizes[0] > sizes[1] > sizes[2]
        assert errors[0] < 3 < 6 < errors[2], kind.name


def test_jpeg2000_has_the_signal_to_noise_ratio_of_its_strength() -> None:
    picture, kind = photograph(96, 128), find("jpeg2000")
    for level in (1, 15, 30, 45):
        error = np.mean((kind.render(picture, "key")(level).astype(float) - picture) ** 2)
        assert 10 * math.log10(255**2 / error) == pytest.approx(kind.ladder[level], abs=1.5)


def test_without_avif_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: False)
    with pytest.raises(InputError, match=r"This build of Pillow has no AVIF\. Install one"):
        find("avif").render(photograph(), "key")(1)


def test_a_picture_beyond_a_codecs_size_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"16400x32 pixels cannot be coded as WEBP \(.*\)\. Scale it down first"):
        find("webp").render(flat(9, 32, 16_400), "key")(1)


def test_mask_is_a_black_rectangle_of_the_stated_area() -> None:
    for height, width in ((64, 80), (240, 320)):
        at = find("mask").render(flat(200, height, width), "key")
        for level in range(1, 51):
            black = (at(level) == 0).all(axis=2)
            rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
            tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert black.sum() == tall * wide, "a rectangle"
            assert abs(black.sum() - 0.03 * level / 50 * height * width) <= wide
            assert (at(level)[~black] == 200).all()


def test_masks_lie_anywhere_inside() -> None:
    centres = []
    for number in range(60):
        black = find("mask").render(flat(255), f"series {number}")(50)[..., 0] == 0
        rows, columns = np.nonzero(black)
        centres.append((rows.mean() / 64, columns.mean() / 80))
    spread = np.array(centres)
    assert (spread.min(axis=0) < 0.2).all()
    assert (spread.max(axis=0) > 0.8).all()


def test_qr_at_full_opacity_is_the_code_itself() -> None:
    picture = flat(128, 232, 300)
    stimulus = find("qr").render(picture, "golden")(50)
    changed = (stimulus != 128).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert tall == wide == 25 * 2, "21 modules and two of border on each side, a quarter of the shorter side"
    code = stimulus[rows[0] : rows[-1] + 1 : 2, columns[0] : columns[-1] + 1 : 2, 0] == 0
    expected = segno.make_qr("LIMEN PULL", version=1, error="l")
    assert np.array_equal(code, np.array([list(row) for row in expected.matrix_iter(border=2)], bool))
    assert set(np.unique(stimulus)) == {0, 128, 255}


@pytest.mark.parametrize(("value", "ink"), [(100, 255), (200, 0)])
def test_text_is_white_on_dark_and_black_on_light_and_fainter(value: int, ink: int) -> None:
    picture = flat(value, 128, 320)
    at = find("text").render(picture, "key")
    for level in (10, 50):
        change = at(level).astype(float) - value
        full = 0.6 * level / 50 * (ink - value)
        extreme = change.max() if ink > value else change.min()
        assert extreme == pytest.approx(full, abs=1)
        assert (change * np.sign(ink - value) >= 0).all()
    columns = np.flatnonzero((at(50) != value).any(axis=(0, 2)))
    assert np.ptp(columns) + 1 == pytest.approx(145, abs=15), "near half the width"
