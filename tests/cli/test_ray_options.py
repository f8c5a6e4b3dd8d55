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
    assert found.stderr == f"limen: {given[0]} belongs to --ray: give it, with an address or without one.\n"


def test_a_part_of_several_gpus_is_refused(tmp_path: Path) -> None:
    found = limen(*MEASURE, "--out", tmp_path / "run", "--ray", "--gpus", "1.5")
    assert found.returncode == 1
    assert found.stderr == "limen: --gpus is 1.5. Give a whole number, or a part of one GPU (0.5).\n"


def test_what_is_misspelt_is_told_before_ray_is_looked_for(tmp_path: Path) -> None:
    found = limen(*MEASURE, "--distortion", "blurr", "--out", tmp_path / "run", "--ray")
    assert found.returncode == 1
    assert "Did you mean 'blur'?" in found.stderr


SHARDS = ("dataset", "build", "vpa-jnd", "--part", "blur", "--photographs", "demo")
FIT = ("feature", "fit", "--model", "demo:resnet", "--split", "resnet.encoder.stages.1", "--data", "scenes")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
@pytest.mark.parametrize("words", [SHARDS, pytest.param(FIT, marks=pytest.mark.torch)])
def test_without_ray_it_is_named_before_anything_is_written(words: tuple[str, ...], tmp_path: Path) -> None:
    found = limen(*words, "--out", tmp_path / "run", "--ray")
    assert found.returncode == 1
    assert "--ray needs ray, which is not installed: in the clone of limen, pip install -e '.[ray]'" in found.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [SHARDS, pytest.param(FIT, marks=pytest.mark.torch)])
def test_replicas_belong_to_ray(words: tuple[str, ...], tmp_path: Path) -> None:
    found = limen(*words, "--out", tmp_path / "run", "--replicas", "2")
    assert found.returncode == 1
    assert found.stderr == "limen: --replicas belongs to --ray: give it, with an address or without one.\n"


def test_shards_take_no_gpus_and_workers_are_not_rays(tmp_path: Path) -> None:
    found = limen(*SHARDS, "--out", tmp_path / "run", "--ray", "--gpus", "1")
    assert found.returncode != 0
    assert "No such option" in found.stderr
    found = limen(*SHARDS, "--out", tmp_path / "run", "--ray", "--workers", "2")
    assert found.returncode == 1
    assert found.stderr.startswith("limen: --workers 2 are processes here, and --ray works on a cluster. Give one of")
    assert not (tmp_path / "run").exists()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "cuda"), "--device cuda: on Ray a replica has the GPU that Ray gives it. Give --gpus 1"),
        (("--device", "cuda:1", "--gpus", "1"), "--device cuda:1: on Ray a replica has the GPU that Ray gives it."),
        (("--device", "cpu", "--gpus", "1"), "--device cpu needs none of --gpus 1. Leave one of them out."),
    ],
)
def test_devices_that_cannot_be_on_ray(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    found = limen(*FIT, "--out", tmp_path / "run", "--ray", *words)
    assert found.returncode == 1
    assert said in found.stderr
    assert not (tmp_path / "run").exists()


def test_more_replicas_than_can_be_are_told_both_bounds(tmp_path: Path) -> None:
    found = limen(*MEASURE, "--out", tmp_path / "run", "--ray", "--replicas", 10**20)
    assert found.returncode == 1
    assert "100000000000000000000 is not in the range 1<=x<=10000." in found.stderr
