"""Deep features on a cluster of two nodes: the rows are those of one process, to the last bit, whatever is killed."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limen.store import Store
from tests.scale.conftest import when
from tests.support.command import limen as command

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.ray

Add = Callable[..., Any]
TINY = """
import os, time
from pathlib import Path
import torch
from torch import nn


class Logged(nn.Module):
    "Writes down who asks it, and takes its time."

    def forward(self, features):
        log = os.environ.get("LIMEN_TEST_LOG", "")
        if log:
            with open(log, "a") as file:
                file.write(f"{os.getpid()}\\n")
            time.sleep(0.02)
        return features


def small():
    made = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), Logged(), nn.Flatten(), nn.Linear(6 * 64, 10))
    source = torch.Generator().manual_seed(3)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=source) * (0.3 if parameter.ndim > 1 else 0.1)
    return made
"""
FIT = (
    "--model", "tiny:small", "--split", "1", "--data", "scenes", "--seeds", "2", "--rho", "0.2", "--images-fit", "24",
    "--images-calibrate", "20", "--images-test", "150",
    "--map", "gaussian", "--map", "fisher", "--map", "own-fisher", "--map", "shuffled,of=fisher",
    "--map", "learned,steps=12,batch=8", "--map", "other-image,of=learned",
)  # fmt: skip
STAGES = ("fit", "calibrate", "evaluate")


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the network's module, where commands are given; one thread."""
    folder = tmp_path_factory.getbasetemp() / "tiny"
    folder.mkdir(exist_ok=True)
    (folder / "tiny.py").write_text(textwrap.dedent(TINY))
    monkeypatch.chdir(folder)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(before)


@pytest.fixture
def alone(here: Path) -> Path:
    """The run of one process."""
    out = here / "alone"
    if not out.exists():
        done(command("feature", "fit", *FIT, "--out", out))
        done(command("feature", "evaluate", out))
    return out


def done(found: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert found.returncode == 0, found.stderr
    return found


def rows(out: Path, stages: tuple[str, ...] = STAGES) -> dict[str, Any]:
    """Return a run's rows but for how long they took, and the maps' files."""
    with Store.open(out) as store:
        found: dict[str, Any] = {
            f"{stage} {key}": {name: value for name, value in row.items() if name != "seconds"}
            for stage in stages
            for key, row in store.measurements(stage).items()
        }
    return found | {f"{file.parent.name}/{file.name}": file.read_bytes() for file in out.glob("seed-*/*")}


@pytest.mark.parametrize("count", [1, 40])
def test_any_number_of_replicas_gives_the_rows_of_one_process(
    count: int, add_node: Add, alone: Path, tmp_path: Path
) -> None:
    add_node(), add_node()
    cluster = ("--ray", "auto", "--replicas", count)  # of 40, some share the images of a piece: three batches
    done(command("feature", "fit", *FIT, "--out", tmp_path / "run", *cluster))
    done(command("feature", "evaluate", tmp_path / "run", *cluster))
    assert rows(tmp_path / "run") == rows(alone)
    asked = done(command("feature", "evaluate", tmp_path / "run", "--json"))  # one process goes on with it
    assert asked.stdout == done(command("feature", "evaluate", alone, "--json")).stdout


def test_a_killed_node_changes_nothing(add_node: Add, nodes: Any, alone: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    add_node(env_vars={"LIMEN_TEST_LOG": str(log)})
    doomed = add_node(env_vars={"LIMEN_TEST_LOG": str(log)})
    killer = when(
        lambda: log.exists() and len(log.read_text().splitlines()) > 200,
        lambda: nodes.remove_node(doomed, allow_graceful=False),
    )
    cluster = ("--ray", "auto", "--replicas", 4)
    said = done(command("feature", "fit", *FIT, "--out", tmp_path / "run", *cluster)).stderr
    said += done(command("feature", "evaluate", tmp_path / "run", *cluster)).stderr
    killer.join()
    assert said.count("it is begun anew.") == 2  # both replicas of that node, which had begun
    assert rows(tmp_path / "run") == rows(alone)


def test_a_lost_driver_goes_on_from_its_store(add_node: Add, nodes: Any, alone: Path, tmp_path: Path) -> None:
    add_node(env_vars={"LIMEN_TEST_LOG": str(tmp_path / "log")})
    words = [
        sys.executable, "-m", "limen", "feature", "fit", *FIT, "--out", str(tmp_path / "run"),
        "--ray", nodes.address, "--replicas", "2",
    ]  # fmt: skip
    first = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    when(lambda: len(list((tmp_path / "run").glob("seed-*/*.safetensors"))) >= 4, first.kill).join()
    first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    with Store.open(tmp_path / "run") as store:
        before = store.measurements("fit")
    assert 4 <= len(before) < 12
    done(command("feature", "fit", *FIT, "--out", tmp_path / "run", "--ray", "auto", "--replicas", 2))
    with Store.open(tmp_path / "run") as store:
        after = store.measurements("fit")
    held = [key for key in before if after[key] == before[key]]  # with the seconds that they took then
    assert len(before) - len(held) <= 1  # its row is there, and its file was not yet
    assert rows(tmp_path / "run", ("fit", "calibrate")) == rows(alone, ("fit", "calibrate"))


# --- what cannot be ---


def test_gpus_that_no_node_has(add_node: Add, alone: Path) -> None:
    add_node()
    found = command("feature", "evaluate", alone, "--ray", "auto", "--gpus", 1)
    assert found.returncode == 1
    assert "--gpus 1: no node of the Ray at auto has so many (the most: 0)." in found.stderr


def test_a_gpu_that_torch_does_not_see_is_told_in_a_line(add_node: Add, alone: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    add_node(num_gpus=1)
    found = command("feature", "evaluate", alone, "--nrmse", "0.3", "--ray", "auto", "--gpus", 1)
    assert found.returncode == 1
    assert "replica on" in found.stderr
    assert "cuda" in found.stderr


def test_a_node_without_the_network_is_told_in_a_line(
    add_node: Add, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apart").mkdir()
    add_node(env_vars={"PYTHONPATH": f"{tmp_path / 'apart'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"})
    changed = TINY.replace("manual_seed(3)", "manual_seed(4)")
    (tmp_path / "apart" / "tiny.py").write_text(changed)
    found = command("feature", "evaluate", alone, "--nrmse", "0.3", "--ray", "auto")
    assert found.returncode == 1
    assert "replica on" in found.stderr
    assert "network.digest is" in found.stderr
    assert "Give all nodes the same files and versions." in found.stderr
    (tmp_path / "apart" / "tiny.py").write_text("")
    found = command("feature", "evaluate", alone, "--nrmse", "0.3", "--ray", "auto")
    assert found.returncode == 1
    assert "tiny" in found.stderr


def test_more_threads_than_a_node_has_cpus(add_node: Add, alone: Path) -> None:
    add_node(cpus=2)
    torch.set_num_threads(3)
    found = command("feature", "evaluate", alone, "--nrmse", "0.3", "--ray", "auto")
    assert found.returncode == 1
    assert "No node of the Ray at auto has 3 CPUs for a replica" in found.stderr
    assert "OMP_NUM_THREADS=N in front of limen" in found.stderr
