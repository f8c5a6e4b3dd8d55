"""--plugin FILE: names of your own on the command line and in study files, by explicit path."""

from pathlib import Path

import pytest

from limen.cli import run

PLUGIN = """
import numpy as np
from limen.distortion import distortion
from limen.ladder import Ladder
from limen.observer import observer

@distortion("dim-{name}", word="brightness", ladder=Ladder((0.99, 0.9, 0.5), unit="factor"))
def dim(image, rng):
    return lambda strength: (image * strength).astype(np.uint8)

@observer("rms-{name}")
def rms(first, second):
    return bool(np.sqrt(np.mean((first - second.astype(float)) ** 2)) > 5)
"""


@pytest.fixture
def plugin(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, str]:
    file, name = tmp_path / "mine.py", request.node.name.replace("_", "-")
    file.write_text(PLUGIN.format(name=name))
    return file, name


def test_its_names_are_measured(plugin: tuple[Path, str], photos: Path, tmp_path: Path) -> None:
    file, name = plugin
    out = ["--out", str(tmp_path / "run")]
    given = ["--images", str(photos), "--distortion", f"dim-{name}", "--observer", f"rms-{name}", *out]
    assert run(["measure", *given, "--plugin", str(file)]) == 0
    page = str(tmp_path / "page.html")
    assert run(["report", str(tmp_path / "run"), "--plugin", str(file), "--out", page]) == 0


def test_they_are_listed_and_shown(plugin: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    file, name = plugin
    assert run(["show", f"dim-{name}"]) == 1
    assert run(["show", "--plugin", str(file), f"dim-{name}"]) == 0
    assert run(["list", "observers", "--plugin", str(file)]) == 0
    assert f"rms-{name}" in capsys.readouterr().out


def test_a_study_file_names_them_beside_itself(plugin: tuple[Path, str], photos: Path, tmp_path: Path) -> None:
    file, name = plugin
    study = tmp_path / "study.toml"
    study.write_text(
        f'images = ["photos"]\nplugins = ["{file.name}"]\ndistortions = ["dim-{name}"]\nobservers = ["rms-{name}"]\n'
        f"[ladders]\ndim-{name} = [0.98, 0.7]\n"
    )
    assert run(["measure", str(study), "--out", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read"), ("1 / 0", "line 1: ZeroDivisionError")])
def test_a_broken_one_is_one_line(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.py"
    if text is not None:
        file.write_text(text)
    assert run(["list", "--plugin", str(file)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "broken.py" in line
