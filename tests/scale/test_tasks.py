"""Pieces of work on a cluster of two nodes: each is done, whatever is killed, and none that is done is done again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import limen
from limen import registry
from limen.errors import InputError, StoreError
from limen.scale.cluster import Placement, library
from limen.scale.tasks import TRIES, Crew, Replicas, joined
from tests.scale.conftest import killing, when
from tests.support.command import limen as command
from tests.support.photographs import photographs

pytestmark = pytest.mark.ray

Add = Callable[..., Any]


@dataclass(frozen=True)
class Squaring:
    """Squares numbers, slowly, and writes down what it does; a negative one is refused.

    It begins with the first one when so many replicas are `together`.
    """

    log: Path
    pause: float = 0.0
    together: int = 1
    missing: str = ""

    def begin(self) -> None:
        if self.missing:
            __import__(self.missing)
        self._write("begin")

    def do(self, piece: int) -> tuple[int, bytes]:
        while len(lines(self.log, "begin")) < self.together:
            time.sleep(0.05)
        self._write(f"do {piece}")
        time.sleep(self.pause)
        if piece < 0:
            raise StoreError(f"{piece} has no root. Give 0 or more.")
        return piece**2, bytes(200_000)  # more than Ray sends in a message

    def end(self) -> None:
        self._write("end")

    def _write(self, line: str) -> None:
        file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.getpid()} {line}\n".encode())
        os.close(file)


def lines(log: Path, word: str) -> list[list[str]]:
    """Return the process, and the piece if there is one, of each line with a word."""
    found = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [[entry[0], *entry[2:]] for entry in found if entry[1] == word]


def written(log: Path, count: int) -> Callable[[], bool]:
    """Return what tells whether so many pieces have been begun."""
    return lambda: len(lines(log, "do")) >= count


def crew(log: Path, count: int, pause: float = 0.0, tell: Any = lambda line: None, **given: Any) -> "Crew[int, Any]":
    return Replicas(count, Placement("auto", **given), tell).of(Squaring(log, pause, count), 100)


def squares(made: "Crew[int, Any]", count: int) -> None:
    found = list(made.each(range(count)))
    assert sorted((number, square) for number, (square, _) in found) == [(n, n**2) for n in range(count)]


@pytest.mark.parametrize("count", [1, 4])
def test_each_piece_is_done_once_by_any_number_of_replicas(count: int, add_node: Add, tmp_path: Path) -> None:
    add_node(), add_node()
    with crew(tmp_path / "log", count, 0.2) as made:
        squares(made, 12)
        assert list(made.each([])) == []
        squares(made, 3)  # by the replicas that are there
    done = lines(tmp_path / "log", "do")
    assert len(done) == 15
    assert len({process for process, _ in done}) == len(lines(tmp_path / "log", "begin")) == count
    assert len(lines(tmp_path / "log", "end")) == count


def test_a_replica_goes_on_with_what_is_near_to_its_last_piece(add_node: Add, tmp_path: Path) -> None:
    add_node()
    with crew(tmp_path / "log", 2, 0.2) as made:
        assert len(list(made.each([0, 10, 1, 11, 2, 12, 3, 13], near=lambda piece: piece // 10))) == 8
    by: dict[str, set[int]] = {}
    for process, piece in lines(tmp_path / "log", "do")[:6]:  # the last one may help the other out
        by.setdefault(process, set()).add(int(piece) // 10)
    assert sorted(map(sorted, by.values())) == [[0], [1]]


def test_what_a_killed_node_was_at_is_done_elsewhere_and_nothing_else_twice(
    add_node: Add, nodes: Any, tmp_path: Path
) -> None:
    add_node()
    doomed, told = add_node(), list[str]()
    killer = when(written(tmp_path / "log", 10), lambda: nodes.remove_node(doomed, allow_graceful=False))
    with crew(tmp_path / "log", 4, 0.3, told.append) as made:
        squares(made, 40)
    killer.join()
    done = Counter(piece for _, piece in lines(tmp_path / "log", "do"))
    assert set(done) == {str(piece) for piece in range(40)}
    assert 1 <= sum(done.values()) - 40 <= 2  # two replicas were on it
    assert [line.split(" on ")[0] for line in told] == ["A replica"] * 2
    assert all("it is begun anew." in line for line in told)


def test_a_killed_replica_is_begun_anew(add_node: Add, tmp_path: Path) -> None:
    add_node(cpus=1)
    log, told = tmp_path / "log", list[str]()
    killer = when(written(log, 3), lambda: os.kill(int(lines(log, "do")[-1][0]), signal.SIGKILL))
    with crew(log, 1, 0.2, told.append) as made:
        squares(made, 6)
    killer.join()
    assert len(lines(log, "begin")) == 2
    assert len(lines(log, "do")) == 7
    (line,) = told
    assert line.endswith(
        "is lost (its process ended, perhaps killed); it is begun anew. None is left; one is waited for, up to 600 s."
    )


def test_a_piece_that_replicas_are_lost_over_again_and_again_stops_the_work(add_node: Add, tmp_path: Path) -> None:
    add_node(cpus=1)
    log = tmp_path / "log"
    with (
        killing(lambda: {int(process) for process, _ in lines(log, "do")}),
        crew(log, 1, 5.0) as made,
        pytest.raises(StoreError, match="perhaps for lack of memory. Run the same"),
    ):
        squares(made, 1)
    assert len(lines(log, "do")) == TRIES == 3


def test_an_error_of_limens_comes_home_with_its_node(add_node: Add, tmp_path: Path) -> None:
    add_node()
    with crew(tmp_path / "log", 1) as made, pytest.raises(StoreError, match=r"^replica on \S+: -1 has no root\. Give"):
        list(made.each([2, -1]))


def test_a_bug_comes_home_as_what_it_is(add_node: Add, tmp_path: Path) -> None:
    add_node()
    with crew(tmp_path / "log", 1) as made, pytest.raises(TypeError, match="not supported between"):
        list(made.each(["none"]))  # type: ignore[list-item]


def test_a_replica_that_never_comes_is_not_waited_for_for_ever(nodes: Any, tmp_path: Path) -> None:
    with crew(tmp_path / "log", 1, wait_s=1) as made, pytest.raises(InputError, match="No replica was there for 1 s."):
        squares(made, 1)


def test_more_replicas_than_there_is_room_for_join_later(add_node: Add, tmp_path: Path) -> None:
    add_node(cpus=1)
    told: list[str] = []
    while sum(node["Resources"].get("CPU", 0) for node in library().nodes() if node["Alive"]) > 1:
        time.sleep(0.1)  # nodes of other tests, that Ray has not missed yet
    log, until = tmp_path / "log", time.monotonic() + 120
    with joined(Placement("auto", replicas=2), told.append) as where:
        assert told == ["Ray has room for 1 of 2 replicas now; the others join when there is more."]
        with where.of(Squaring(log, 0.1), 4) as made:
            squares(made, 1)
            add_node(cpus=1)
            while len(lines(log, "begin")) < 2 and time.monotonic() < until:
                squares(made, 4)
    assert len(lines(log, "begin")) == 2


# --- nodes that cannot do it ---


def other_limen(folder: Path) -> str:
    """Return a folder with a limen of another version."""
    own, other = Path(limen.__file__).parent, folder / "other" / "limen"
    other.mkdir(parents=True)
    for part in own.iterdir():
        if part.name != "__init__.py":
            (other / part.name).symlink_to(part)
    (other / "__init__.py").write_text((own / "__init__.py").read_text().replace(limen.__version__, "0.0.9"))
    return str(other.parent)


def test_a_node_with_another_limen_is_refused(add_node: Add, tmp_path: Path) -> None:
    add_node(env_vars={"PYTHONPATH": other_limen(tmp_path)})
    wanted = rf"^limen is 0\.0\.9 on \S+ and {limen.__version__} here. Install one version on all nodes\.$"
    with crew(tmp_path / "log", 1) as made, pytest.raises(InputError, match=wanted):
        squares(made, 1)


def test_a_node_without_a_limen_that_can_do_this_is_refused(add_node: Add, tmp_path: Path) -> None:
    (tmp_path / "old" / "limen").mkdir(parents=True)
    (tmp_path / "old" / "limen" / "__init__.py").write_text("__version__ = '0.0.1'\n")
    add_node(env_vars={"PYTHONPATH": str(tmp_path / "old")})
    with crew(tmp_path / "log", 1) as made, pytest.raises(InputError, match="cannot do limen's work") as told:
        squares(made, 1)
    assert str(told.value).endswith(f"Install limen {limen.__version__} with the same extras on all nodes.")
    assert len(str(told.value).splitlines()) == 1


def test_a_node_without_a_module_is_refused(add_node: Add, tmp_path: Path) -> None:
    add_node()
    work = Squaring(tmp_path / "log", missing="no_such_module")
    with (
        Replicas(1, Placement("auto")).of(work, 1) as made,
        pytest.raises(InputError, match=r"^replica on \S+: no_such_module is missing. Install limen with the same"),
    ):
        squares(made, 1)


def test_a_node_without_the_plug_in_is_refused(add_node: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_node()
    monkeypatch.setattr(registry, "plugged", lambda: (str(tmp_path / "mine.py"),))
    with crew(tmp_path / "log", 1) as made, pytest.raises(InputError, match=r"^replica on \S+: .*mine\.py"):
        squares(made, 1)


# --- data sets ---

SHARDS = ("--part", "blur,jpeg", "--shard-stimuli", "50", "--format", "webdataset")


@pytest.fixture(name="photographs")
def _photographs(tmp_path: Path) -> Path:
    return photographs(tmp_path / "photographs", "abcde", 480, 640)


def built(photographs: Path, out: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return command("dataset", "build", "vpa-jnd", "--photographs", photographs, *SHARDS, "--out", out, *words)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def shards(folder: Path) -> dict[str, int]:
    """Return the shards that are whole, each with when it was written."""
    return {note.name: note.with_suffix(".tar").stat().st_mtime_ns for note in folder.glob("*-of-*.json")}


def test_shards_are_the_same_bytes_whoever_writes_them_and_whatever_is_killed(
    add_node: Add, nodes: Any, photographs: Path, tmp_path: Path
) -> None:
    add_node()
    doomed = add_node()
    assert built(photographs, tmp_path / "alone").returncode == 0
    whole = content(tmp_path / "alone")
    for count in (1, 3):
        found = built(photographs, tmp_path / f"by-{count}", "--ray", "auto", "--replicas", count)
        assert found.returncode == 0, found.stderr
        assert "10 shards written, 0 were there" in found.stdout
        assert content(tmp_path / f"by-{count}") == whole
    killer = when(
        lambda: len(shards(tmp_path / "killed")) >= 2, lambda: nodes.remove_node(doomed, allow_graceful=False)
    )
    found = built(photographs, tmp_path / "killed", "--ray", "auto", "--replicas", 4)
    killer.join()
    assert found.returncode == 0, found.stderr
    assert content(tmp_path / "killed") == whole
    assert command("dataset", "verify", tmp_path / "killed", "--deep").returncode == 0


def building(photographs: Path, run: Path, address: str) -> subprocess.Popen[str]:
    """Begin a build on a cluster, as a process of its own."""
    words = [
        sys.executable, "-m", "limen", "dataset", "build", "vpa-jnd", "--photographs", str(photographs), *SHARDS,
        "--out", str(run), "--ray", address, "--replicas", "2",
    ]  # fmt: skip
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def test_a_signal_ends_a_build_as_it_ends_one_without_ray(
    add_node: Add, nodes: Any, photographs: Path, tmp_path: Path
) -> None:
    add_node()
    first = building(photographs, tmp_path / "run", nodes.address)
    when(lambda: len(shards(tmp_path / "run")) >= 1, first.terminate).join()
    _, said = first.communicate(timeout=60)
    assert first.returncode == 143
    assert said.splitlines()[-1] == (
        "limen: stopped by SIGTERM. Finished shards are kept: the same command goes on from there."
    )


def test_a_lost_driver_of_a_build_goes_on_with_the_shards_that_are_there(
    add_node: Add, nodes: Any, photographs: Path, tmp_path: Path
) -> None:
    add_node()
    first = building(photographs, tmp_path / "run", nodes.address)
    when(lambda: len(shards(tmp_path / "run")) >= 2, first.kill).join()
    first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    time.sleep(2)  # its replicas are ended by Ray
    before = shards(tmp_path / "run")
    assert 2 <= len(before) < 10
    left = command("dataset", "verify", tmp_path / "run")
    assert "was left by a build that was stopped" in left.stdout
    found = built(photographs, tmp_path / "run", "--ray", "auto", "--replicas", 2)
    assert f"{10 - len(before)} shards written, {len(before)} were there" in found.stdout
    assert before.items() <= shards(tmp_path / "run").items()
    assert built(photographs, tmp_path / "alone").returncode == 0
    assert content(tmp_path / "run") == content(tmp_path / "alone")


def test_a_node_that_does_not_see_the_folder_is_refused(add_node: Add, photographs: Path, tmp_path: Path) -> None:
    add_node()
    (tmp_path / "mine").mkdir()
    folder = os.open(tmp_path / "mine", os.O_RDONLY)
    try:
        found = built(photographs, Path(f"/proc/{os.getpid()}/fd/{folder}"), "--ray", "auto")
        assert found.returncode == 0  # any process of this machine sees it
        there = Path(f"/proc/self/fd/{folder}")  # whose this is depends on who asks
        (tmp_path / "mine" / next(iter(shards(tmp_path / "mine")))).unlink()
        found = built(photographs, there, "--ray", "auto")
    finally:
        os.close(folder)
    assert found.returncode == 1
    assert "is not the folder that it is where the command runs. Give an --out on a file system" in found.stderr


def test_a_node_with_other_libraries_is_refused(
    add_node: Add, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limen.datasets import shard

    own = shard.versions
    monkeypatch.setattr("limen.datasets.build.versions", lambda format: own(format) | {"pillow": "1.0"})
    add_node()
    found = built(photographs, tmp_path / "run", "--ray", "auto")
    assert found.returncode == 1
    assert "and 1.0 where the command runs, so it may write other bytes. Install the same versions" in found.stderr
    assert len(found.stderr.strip().splitlines()) <= 4


def test_a_build_at_an_address_without_a_ray(photographs: Path, tmp_path: Path) -> None:
    words = [
        sys.executable, "-m", "limen", "dataset", "build", "vpa-jnd", "--photographs", str(photographs), *SHARDS,
        "--out", str(tmp_path / "run"), "--ray", "127.0.0.1:1",
    ]  # fmt: skip
    found = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert "No Ray at 127.0.0.1:1 (Connection refused). Start one" in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
