"""A cluster of two nodes on this machine, and an observer that writes down what it is asked."""

import contextlib
import os
import signal
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LOGGED = """
import os, time
from pathlib import Path
import msgspec
import numpy as np
from limen.errors import InputError
from limen.observer import Answer, Attempt, Observer, Reply, numeric_answer, observer
from limen.preflight.model_input import ModelInput
import asyncio


class Options(msgspec.Struct, forbid_unknown_fields=True):
    log: str
    pause: float = 0.0
    grey: float = 1.0
    concurrency: int = 2
    revision: str = ""
    batch: int = 1


@observer("logged", Options)
class Logged(Observer):
    "Notices a mean difference of some grey levels, and writes each question it is asked into a file."

    def __init__(self, model, options):
        self.name, self.concurrency, self._options, self.batch = "logged", options.concurrency, options, options.batch

    async def __aenter__(self):
        revision = self._options.revision
        self._revision = Path(revision).read_text() if revision else "1"
        return self

    def fingerprint(self):
        return {"kind": "logged", "grey": self._options.grey, "revision": self._revision}

    def _write(self, word, query):
        line = f"{word} {os.getpid()} {query.key('')}\\n".encode()
        file = os.open(self._options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)

    async def answer(self, query):
        self._write("asked", query)
        await asyncio.sleep(self._options.pause)
        first, second = (picture.pixels.astype(float) for picture in query.pictures)
        answer = "<yes> One is changed." if abs(first - second).mean() > self._options.grey else "<no> None is."
        self._write("answered", query)
        return Reply(Answer(answer, finish="stop", model="logged-1"), (Attempt("ok"),))


@observer("judging", Options)
class Judging(Logged):
    "Notices what is above a criterion that is fixed from references."

    numeric = True

    def __init__(self, model, options):
        super().__init__(model, options)
        self.name, self._criterion = "judging", None

    def calibrate(self, pictures):
        self.judge_by({"criterion": len(pictures) / 2})
        return {"criterion": self._criterion}

    def judge_by(self, row):
        self._criterion = row["criterion"]

    def fingerprint(self):
        if self._criterion is None:
            raise InputError("judging has no criterion yet.")
        return {"kind": "judging", "criterion": self._criterion}

    def see(self, pictures):
        whole = (1.0, 1.0, 1.0)
        return tuple(
            ModelInput(picture.pixels[::2, ::2].transpose(2, 0, 1)[None].astype(np.float32), whole, (0.0, 0.0, 0.0))
            for picture in pictures
        )

    async def answer(self, query):
        self._write("asked", query)
        first, second = (picture.pixels.astype(float) for picture in query.pictures)
        found = abs(first - second).mean()
        self._write("answered", query)
        return Reply(numeric_answer(query, found, self._criterion, "grey levels", {}, "judging-1"), (Attempt("ok"),))
"""


def when(ready: Callable[[], bool], act: Callable[[], object] = lambda: None) -> threading.Thread:
    """Do something, in another thread, when it is time."""

    def wait() -> None:
        while not ready():
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@contextlib.contextmanager
def killing(processes: Callable[[], Iterable[int]]) -> Iterator[None]:
    """Kill each of some processes as soon as it is seen, until the block ends."""
    over, seen = threading.Event(), set[int]()

    def kill_all() -> None:
        while not over.is_set():
            for process in processes():
                if process not in seen:
                    seen.add(process)
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


@dataclass(frozen=True)
class Log:
    """What a logged observer wrote down."""

    path: Path

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def asked(self) -> Counter[str]:
        return Counter(key for word, _, key in self.lines() if word == "asked")

    def answered(self) -> Counter[str]:
        return Counter(key for word, _, key in self.lines() if word == "answered")

    def busy(self) -> set[int]:
        """The processes that are being asked something now."""
        flying = Counter[int]()
        for word, process, _ in self.lines():
            flying[int(process)] += 1 if word == "asked" else -1
        return {process for process, count in flying.items() if count}

    def processes(self) -> set[int]:
        return {int(process) for _, process, _ in self.lines()}


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "logged.py"
    file.write_text(textwrap.dedent(LOGGED))
    return file


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """A cluster whose head runs nothing, without nodes; this process is connected to it."""
    from limen.scale import cluster

    ray = cluster.library()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    ray.init(made.address, logging_level="ERROR", log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def workers(node: Any) -> set[int]:
    """Return the processes of a node that work."""
    own = str(_raylet(node))
    return {int(one.parent.name) for one in Path("/proc").glob("[0-9]*/stat") if _parent(one) == own}


def kill_node(nodes: Any, node: Any) -> None:
    """End all processes of a node at once, as a machine that loses its power does."""
    for process in (*workers(node), _raylet(node)):
        os.kill(process, signal.SIGKILL)
    nodes.remove_node(node, allow_graceful=False)


def _raylet(node: Any) -> int:
    (raylet,) = node.all_processes["raylet"]
    return int(raylet.process.pid)


def _parent(stat: Path) -> str:
    try:
        return stat.read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


@pytest.fixture
def add_node(nodes: Any) -> Iterator[Callable[..., Any]]:
    """A function that adds a node to the cluster; the nodes go when the test ends."""
    added: list[Any] = []

    def add(cpus: int = 2, **given: Any) -> Any:
        added.append(nodes.add_node(num_cpus=cpus, **given))
        return added[-1]

    yield add
    for node in added:
        if node in nodes.worker_nodes:
            nodes.remove_node(node)
    import ray

    until = time.monotonic() + 60  # one that was killed is known to be dead only when it has missed some beats
    while sum(node["Alive"] for node in ray.nodes()) > 1 and time.monotonic() < until:
        time.sleep(0.2)
