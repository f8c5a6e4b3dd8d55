"""Options of commands that work on Ray, where there is none; with it: tests/scale."""

import importlib.util
from pathlib import Path

import pytest

from tests.support.command import limen

MEASURE = ("measure", "--images", "demo", "--limit", "1", "--observer", "demo", "--no-exam")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_extra_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    found = limen(*MEASURE, "--out", tmp_path / "run", "--ray")
    assert found.returncode == 1
    assert "--ray needs ray, which is not installed: in the clone of limen, pip install -e '.[ray]'" in found.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", [("--replicas", "2"), ("--gpus", "1")])
def test_what_belongs_to_ray_is_refused_without_it(given: tuple[str, str], tmp_path: Path) -> None:
    found = limen(*MEASURE, "--out", tmp_path / "run", *given)
    assert found.returncode == 1
    assert found.stderr == "limen: --replicas and --gpus belong to --ray: give it, with an address or without one.\n"


def test_a_part_of_several_gpus_is_refused(tmp_path: Path) -> None:
    found = limen(*MEASURE, "--out", tmp_path / "run", "--ray", "--gpus", "1.5")
    assert found.returncode == 1
    assert found.stderr == "limen: --gpus is 1.5. Give a whole number, or a part of one GPU (0.5).\n"


def test_what_is_misspelt_is_told_before_ray_is_looked_for(tmp_path: Path) -> None:
    found = limen(*MEASURE, "--distortion", "blurr", "--out", tmp_path / "run", "--ray")
    assert found.returncode == 1
    assert "Did you mean 'blur'?" in found.stderr
