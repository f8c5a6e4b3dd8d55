"""The commands see and backbones."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image as Pillow

from limen import observer
from limen.image import Image
from limen.preflight.model_input import psnr
from limen.testing import photograph


def resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BICUBIC))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    Pillow.fromarray(photograph("photo", 96, 144)).save(file)
    return file


def limen(*words: str) -> int:
    import limen.cli.see  # noqa: F401
    from limen.cli import run

    return run(words)


def test_see_says_what_arrives(photo: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = tmp_path / "seen.png"
    assert limen("see", "demo", str(photo), "--json", "--out", str(out)) == 0
    told = orjson.loads(capfdbinary.readouterr().out)
    sent = photograph("photo", 96, 144)
    small = resized(sent, 64, 64)
    assert (told["sent"], told["arrives"], told["image_tokens"], told["patch"]) == ([144, 96], [64, 64], 16, 8)
    assert told["against_the_photograph_scaled"] is None
    assert told["scaled_back_against_the_photograph"] == round(psnr(resized(small, 144, 96), sent), 2)
    assert np.array_equal(np.asarray(Pillow.open(out)), small)
    assert limen("see", "demo", str(photo)) == 0
    text = capfdbinary.readouterr().out.decode()
    assert "64 x 64 px" in text
    assert "bicubic if larger or smaller" in text


def test_see_draws_tiles_apart(photo: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    import transformers

    from tests.support import tiny

    folder = tiny.internvl(tmp_path / "internvl")
    square = {"height": 32, "width": 32}
    transformers.GotOcr2ImageProcessorPil(size=square, crop_to_patches=True, max_patches=6).save_pretrained(folder)
    capfdbinary.readouterr()
    assert limen("see", str(folder), str(photo), "--json", "--out", str(tmp_path / "seen.png")) == 0
    told = orjson.loads(capfdbinary.readouterr().out.strip())
    assert told["laid_out"] == {"rows": 2, "columns": 3, "overviews": 1}
    assert told["image_tokens"] == 7 * 4
    sheet = np.asarray(Pillow.open(tmp_path / "seen.png"))
    assert sheet.shape == (3 * 32 + 2 * 6, 3 * 32 + 2 * 6, 3)
    assert (sheet[32:38] == 255).all(), "a gap between rows"
    whole = resized(photograph("photo", 96, 144), 96, 64)
    assert np.array_equal(sheet[:32, :32], whole[:32, :32])
    assert np.array_equal(sheet[38:70, 76:], whole[32:, 64:])
    assert np.array_equal(sheet[76:, :32], resized(photograph("photo", 96, 144), 32, 32))


def test_what_cannot_be_seen_is_one_line(photo: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for words, said in (
        (("see", "simulated", str(photo)), b"simulated cannot say what arrives at it"),
        (("see", "demo", str(photo), "-O", "size"), b"-O takes KEY=VALUE"),
        (("see", "demo", "/no/photo.png"), b"photo.png: cannot be read"),
        (("see", "/no/folder", str(photo)), b"No model at '/no/folder'"),
        (("backbones", "/no/folder"), b"has no configuration that can be used"),
    ):
        assert limen(*words) == 1
        error = capfdbinary.readouterr().err
        assert said in error.replace(b"\n", b" ")


def test_backbones_are_written_for_reports(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from limen.analysis import paper
    from limen.analysis.model_size import count

    folder = Path(observer.__file__).parent / "data" / "demo"
    assert limen("backbones", str(folder), "--out", str(tmp_path / "sizes.csv"), "--json") == 0
    (told,) = orjson.loads(capfdbinary.readouterr().out)
    found = count(folder)
    assert (told["vision"], told["language"], told["active"]) == (found.vision, found.language, found.active)
    read = paper.parameters(tmp_path / "sizes.csv")["local:demo"]
    assert read.ratio == pytest.approx(found.parameters.ratio, rel=1e-4)
