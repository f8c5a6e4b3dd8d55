"""An observer on a cluster of two nodes gives what it gives in one process, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import limen
from limen import registry
from limen.errors import FatalObserverError, InputError
from limen.observer import Observer
from limen.run import Run
from limen.scale import cluster, replicas
from limen.scale.cluster import Placement
from limen.store import Store
from limen.study import Progress, Spec, Study
from tests.scale.conftest import Log, kill_node, killing, when, workers

pytestmark = pytest.mark.ray

Add = Callable[..., Any]
Small = Mapping[str, Any]
SMALL: Small = {"images": ("demo",), "limit": 4, "distortions": ("blur", "jpeg"), "observers": ("demo",), "exam": False}


def spread(name: str, options: Mapping[str, Any], count: int, **given: Any) -> Observer:
    return replicas.Replicated(name, options, count, Placement(replicas=count, **given))


def measure(out: Path, *made: Observer, **changes: Any) -> Progress:
    return Study.plan(Spec(**{**SMALL, **changes}), made=made).run(out)


def results(out: Path) -> tuple[Any, ...]:
    """Thresholds and answers of a run, but for times."""
    with Store.open(out) as store:
        found = sorted(
            (t.series, t.reference, t.level, t.draw, t.part, t.key, t.answer.text, t.answer.p_yes or 0)
            for t in store.trials()
            if t.answer is not None
        )
    return Run([out]).jnds, found


def lost(out: Path) -> int:
    with Store.open(out) as store:
        return sum(count for (_, outcome), count in store.attempts().items() if outcome == "replica-lost")


def asked(log: Log, count: int) -> Callable[[], bool]:
    """Return what tells whether so many questions have been asked and answered."""
    return lambda: len(log.lines()) >= 2 * count


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, measured in one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    measure(out)
    return out


@pytest.mark.parametrize("name", ["demo", "simulated", "recorded"])
def test_any_number_of_replicas_gives_what_one_process_gives(
    name: str, add_node: Add, alone: Path, tmp_path: Path
) -> None:
    add_node(), add_node()
    name = f"recorded:{alone}" if name == "recorded" else name
    here = measure(tmp_path / "here", observers=(name,))
    for count in (1, 2, 4):
        out = tmp_path / f"{count}"
        there = measure(out, spread(name, {}, count))
        assert results(out) == results(tmp_path / "here")
        assert (there.asked, there.failures, there.unfinished) == (here.asked, 0, [])


def test_an_observer_is_asked_each_question_once(add_node: Add, plugin: Path, log: Log, tmp_path: Path) -> None:
    add_node(), add_node()
    registry.plugin(plugin)
    progress = measure(tmp_path / "run", spread("logged", {"log": str(log.path)}, 4))
    assert set(log.asked().values()) == {1}
    assert len(log.asked()) == progress.asked


def test_what_a_killed_node_was_being_asked_is_asked_elsewhere_and_nothing_else_twice(
    add_node: Add, nodes: Any, plugin: Path, log: Log, tmp_path: Path
) -> None:
    add_node()
    doomed = add_node()
    registry.plugin(plugin)
    given = {"log": str(log.path), "pause": 0.3}
    killer = when(lambda: bool(log.busy() & workers(doomed)), lambda: kill_node(nodes, doomed))
    progress = measure(tmp_path / "run", spread("logged", given, 4))
    killer.join()
    measure(tmp_path / "plain", observers=({"name": "logged", "log": str(tmp_path / "other")},))
    assert results(tmp_path / "run") == results(tmp_path / "plain")
    counts = log.asked()
    twice = sum(counts.values()) - len(counts)
    assert len(counts) == progress.asked
    assert 1 <= twice <= 4  # two replicas of two questions each were on it
    assert twice <= lost(tmp_path / "run") <= 8  # some waited there to be asked


def test_a_killed_replica_is_begun_anew(add_node: Add, plugin: Path, log: Log, tmp_path: Path) -> None:
    add_node()
    registry.plugin(plugin)

    def kill() -> None:
        os.kill(int(log.lines()[-1][1]), signal.SIGKILL)

    killer = when(asked(log, 20), kill)
    progress = measure(tmp_path / "run", spread("logged", {"log": str(log.path), "pause": 0.05}, 1))
    killer.join()
    assert len(log.processes()) == 2
    assert progress.unfinished == []
    assert sum(log.asked().values()) - len(log.asked()) <= lost(tmp_path / "run") <= 2
    assert any("is lost" in line for line in progress.notices)


def test_a_replica_that_is_lost_over_one_question_again_and_again_leaves_its_series_open(
    add_node: Add, plugin: Path, log: Log, tmp_path: Path
) -> None:
    add_node(cpus=1)
    registry.plugin(plugin)
    given = {"log": str(log.path), "pause": 5.0, "concurrency": 1}
    with killing(log.processes):
        progress = measure(tmp_path / "run", spread("logged", given, 1), limit=1, distortions=("blur",))
    assert [left.kind for left in progress.unfinished] == ["replica-lost"]
    assert lost(tmp_path / "run") == replicas.TRIES == len(log.processes())


def test_a_replica_joins_when_there_is_room_for_it(add_node: Add, plugin: Path, log: Log, tmp_path: Path) -> None:
    add_node(cpus=1)
    registry.plugin(plugin)
    observer = spread("logged", {"log": str(log.path), "pause": 0.8}, 2)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(measure, tmp_path / "run", observer)
        when(asked(log, 4)).join()
        add_node(cpus=1)  # Ray starts nodes in the main thread alone
        progress = running.result()
    assert len(log.processes()) == 2
    assert "logged: 1 of 2 replicas are ready; 1 more join when they are ready." in progress.notices


def test_a_criterion_is_every_replicas(add_node: Add, plugin: Path, log: Log, tmp_path: Path) -> None:
    add_node(), add_node()
    registry.plugin(plugin)
    given = {"log": str(log.path)}
    measure(tmp_path / "mine", observers=({"name": "judging", **given},))
    before = len(log.processes())
    measure(tmp_path / "theirs", spread("judging", given, 4))
    measure(tmp_path / "theirs", spread("judging", given, 2), limit=6)  # judges by the run's criterion: no new one
    assert len(log.processes()) - before == 6
    measure(tmp_path / "mine", observers=({"name": "judging", **given},), limit=6)
    assert results(tmp_path / "theirs") == results(tmp_path / "mine")
    with Store.open(tmp_path / "mine") as one, Store.open(tmp_path / "theirs") as other:
        assert one.measurements("floor") == other.measurements("floor") != {}
        assert one.measurements("calibration") == other.measurements("calibration")


def test_equal_answers_of_a_model_that_answers_in_batches_are_counted(
    add_node: Add, plugin: Path, log: Log, tmp_path: Path
) -> None:
    add_node()
    registry.plugin(plugin)
    progress = measure(tmp_path / "run", spread("logged", {"log": str(log.path), "batch": 2}, 1))
    line = "logged: 12 of 12 greedy answers are the same asked alone and in batches of 2"
    assert any(notice.startswith(line) for notice in progress.notices)
    assert sum(log.asked().values()) == progress.asked + 2 * replicas.PROBES


# --- a driver that is lost ---


def command(nodes: Any, plugin: Path, log: Log, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "limen", "measure", "--images", "demo", "--limit", "4", "--distortion", "blur,jpeg",
        "--observer", "logged", "-O", f"log={log.path}", "-O", "pause=0.1", "--plugin", str(plugin), "--no-exam",
        "--out", str(out), "--ray", nodes.address, "--replicas", "4",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_lost_driver_goes_on_from_its_store(
    number: signal.Signals, add_node: Add, nodes: Any, plugin: Path, log: Log, tmp_path: Path
) -> None:
    add_node(), add_node()
    words = command(nodes, plugin, log, tmp_path / "run")
    first = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=_heed)
    when(asked(log, 20), lambda: first.send_signal(number)).join()
    _, said = first.communicate(timeout=60)
    assert first.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number], said
    before = sum(log.answered().values())
    second = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert second.returncode == 0, second.stderr
    counts = log.asked()
    twice = sum(counts.values()) - len(counts)
    assert before >= 12  # of the 20, some were under way
    assert twice <= 8 if number == signal.SIGKILL else twice == 0  # what is under way is waited for
    measure(tmp_path / "plain", observers=({"name": "logged", "log": str(tmp_path / "other")},))
    assert results(tmp_path / "run") == results(tmp_path / "plain")


def _heed() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


# --- what cannot be ---


def test_another_revision_on_a_node_stops_the_run(add_node: Add, plugin: Path, log: Log, tmp_path: Path) -> None:
    add_node()
    registry.plugin(plugin)
    revision = tmp_path / "revision"
    revision.write_text("1")

    def change() -> None:
        revision.write_text("2")
        os.kill(int(log.lines()[-1][1]), signal.SIGKILL)

    changed = when(asked(log, 10), change)
    given = {"log": str(log.path), "pause": 0.1, "revision": str(revision)}
    with pytest.raises(FatalObserverError, match="revision is '2' there, '1' here. Give all nodes the same files"):
        measure(tmp_path / "run", spread("logged", given, 1))
    changed.join()
    revision.write_text("1")
    assert measure(tmp_path / "run", spread("logged", given, 1)).replayed >= 9


def test_a_node_with_another_limen_is_refused(add_node: Add, tmp_path: Path) -> None:
    own = Path(limen.__file__).parent
    other = tmp_path / "other" / "limen"
    other.mkdir(parents=True)
    for part in own.iterdir():
        if part.name != "__init__.py":
            (other / part.name).symlink_to(part)
    (other / "__init__.py").write_text((own / "__init__.py").read_text().replace(limen.__version__, "0.0.9"))
    add_node(env_vars={"PYTHONPATH": str(other.parent)})
    with pytest.raises(FatalObserverError, match=f"limen is 0.0.9 on .* and {limen.__version__} here. Install one"):
        measure(tmp_path / "run", spread("demo", {}, 1))


def test_a_model_that_no_node_has_is_told_in_a_line(add_node: Add, plugin: Path, log: Log, tmp_path: Path) -> None:
    add_node()
    registry.plugin(plugin)
    with pytest.raises(FileNotFoundError, match="gone"):
        measure(tmp_path / "run", spread("logged", {"log": str(log.path), "revision": "gone"}, 2))


def test_a_replica_that_never_comes_is_not_waited_for_for_ever(nodes: Any, tmp_path: Path) -> None:
    with pytest.raises(FatalObserverError, match="no replica of demo was there for 1 s. See on the cluster"):
        measure(tmp_path / "run", spread("demo", {}, 1, wait_s=1))


def test_gpus_that_no_node_has(add_node: Add) -> None:
    add_node()
    with (
        pytest.raises(
            InputError, match=r"--gpus 1: no node of the Ray at auto has so many \(the most: 0\). Give fewer"
        ),
        cluster.connected(Placement("auto", gpus=1)),
    ):
        pass


def test_a_cluster_without_a_cpu(nodes: Any) -> None:
    with pytest.raises(InputError, match="has no CPU for a replica. Add a node"), cluster.connected(Placement("auto")):
        pass


def test_room_is_counted_by_node(add_node: Add) -> None:
    add_node(cpus=2, num_gpus=3), add_node(cpus=8, num_gpus=1)
    for gpus, room in ((0, 10), (1, 3), (0.5, 4), (2, 1)):
        with cluster.connected(Placement("auto", gpus=gpus)) as found:
            assert found == room


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", "No Ray at 127.0.0.1:1 (Connection refused). Start one"),
        ("ray://127.0.0.1:10001", "not through Ray's client. Give HOST:PORT"),
        ("study.toml", "--ray study.toml is no address. Give HOST:PORT"),
        ("host:0", "--ray host:0 is no address"),
    ],
)
def test_an_address_without_a_ray(address: str, told: str, tmp_path: Path) -> None:
    words = [
        sys.executable, "-m", "limen", "measure", "--images", "demo", "--limit", "1", "--observer", "demo", "--out",
        str(tmp_path / "run"), "--ray", address,
    ]  # fmt: skip
    began = time.monotonic()
    found = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert told in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    assert time.monotonic() - began < 30


def test_a_killed_replica_leaves_the_output_of_a_command_as_it_is(
    add_node: Add, nodes: Any, plugin: Path, log: Log, tmp_path: Path
) -> None:
    add_node()
    words = [*command(nodes, plugin, log, tmp_path / "run"), "--json"]
    words[words.index("--replicas") + 1] = "1"
    killer = when(asked(log, 10), lambda: os.kill(int(log.lines()[-1][1]), signal.SIGKILL))
    found = subprocess.run(words, capture_output=True, text=True, timeout=120)
    killer.join()
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["unfinished"] == []
    assert "is lost" in found.stderr
    assert "raylet" not in found.stderr


def test_a_ray_of_the_command_alone_leaves_nothing_behind(alone: Path, tmp_path: Path) -> None:
    words = [
        sys.executable, "-m", "limen", "measure", "--images", "demo", "--limit", "4", "--distortion", "blur,jpeg",
        "--observer", "demo", "--no-exam", "--out", str(tmp_path / "run"), "--ray", "--replicas", "2",
    ]  # fmt: skip
    found = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "demo: " in found.stderr
    assert "of 2 replicas" in found.stderr
    assert results(tmp_path / "run") == results(alone)
