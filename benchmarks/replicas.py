"""An observer on Ray beside the same one in this process, and a node that is killed again and again.

    .venv-ray/bin/python benchmarks/replicas.py [--turns N] [--kills N] [--json FILE]

- The demo model on 20 series: in this process with 4 series side by side, and as 1, 2 and 4 replicas; questions a
  second, in turns, the best of each.
- What Ray costs a question: an observer that only looks at the pictures (512x384), one question after the other.
- A cluster of two nodes of which one is killed, and another one added, while an observer writes down what it is asked:
  questions asked twice, and whether the thresholds are those of one process.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import client
import numpy as np

from limen import observer as observers
from limen import registry
from limen.image import Picture
from limen.question import Query
from limen.run import Run
from limen.scale import cluster
from limen.scale.cluster import Placement
from limen.scale.replicas import Replicated
from limen.study import Progress, Spec, Study

LOGGED = """
import asyncio, os
import msgspec
from limen.observer import Answer, Attempt, Observer, Reply, observer


class Options(msgspec.Struct, forbid_unknown_fields=True):
    log: str = ""
    pause: float = 0.0


@observer("logged", Options)
class Logged(Observer):
    "Notices a mean difference of one grey level; writes down what it is asked."

    def __init__(self, model, options):
        self.name, self.concurrency, self._options = "logged", 4, options

    def fingerprint(self):
        return {"kind": "logged"}

    async def answer(self, query):
        if self._options.log:
            file = os.open(self._options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{query.key('')}\\n".encode())
            os.close(file)
        await asyncio.sleep(self._options.pause)
        first, second = (picture.pixels for picture in query.pictures)
        seen = abs(first.astype(float) - second).mean() > 1
        return Reply(Answer("<yes> One is." if seen else "<no> None is.", finish="stop"), (Attempt("ok"),))
"""


def measured(out: Path, made: list[Any], **spec: Any) -> tuple[int, float]:
    """Return the questions asked, and the seconds from the first answer to the last."""
    times: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.asked:
            times.append(time.perf_counter())

    progress = Study.plan(Spec(**{"images": ("demo",), "exam": False, **spec}), made=made).run(out, watch)
    return progress.asked, times[-1] - times[0]


async def one_by_one(observer: Any, queries: list[Query]) -> float:
    """Return milliseconds a question, after a first one."""
    async with observer:
        await observer.answer(queries[0])
        began = time.perf_counter()
        for query in queries:
            await observer.answer(query)
        return 1000 * (time.perf_counter() - began) / len(queries)


def speed(turns: int, figures: dict[str, Any]) -> None:
    """The demo model in one process and as replicas; what they take to be there is told apart."""
    study = {"observers": ("demo",), "distortions": ("blur", "jpeg", "noise", "contrast"), "limit": 20, "floor": False}
    found: dict[str, list[float]] = {}
    for turn in range(turns):
        for count in (0, 1, 2, 4):
            with tempfile.TemporaryDirectory() as folder:
                made = [Replicated("demo", {}, count, Placement(replicas=count))] if count else []
                asked, seconds = measured(Path(folder) / "run", made, **study)
            name = f"{count} on Ray" if count else "in process"
            found.setdefault(name, []).append(asked / seconds)
            print(f"turn {turn + 1}: demo {name}: {asked} questions, {asked / seconds:.0f} a second", flush=True)
    best = {name: max(rates) for name, rates in found.items()}
    figures["questions_a_second"] = best
    for name, rate in best.items():
        print(f"demo {name}: {rate:.0f} questions a second, {rate / best['in process']:.2f} of in process")


def overhead(figures: dict[str, Any]) -> None:
    """What a question costs more through Ray."""
    pictures = [Picture.of(pixels) for pixels in client.photographs()]
    pairs = [(first, Picture.of(np.ascontiguousarray(first.pixels[::-1]))) for first in pictures]
    queries = [Query((*pairs[place % len(pairs)], f"Do they differ? {place}")) for place in range(200)]
    times = {
        "in process": [asyncio.run(one_by_one(observers.make("logged", {}), queries)) for _ in range(3)],
        "on Ray": [asyncio.run(one_by_one(Replicated("logged", {}, 1, Placement()), queries)) for _ in range(3)],
    }
    figures["ms_a_question"] = {name: min(some) for name, some in times.items()}
    more = min(times["on Ray"]) - min(times["in process"])
    print(f"a question of two pictures of 512x384: {more:.1f} ms more on Ray, one after the other")


def killed(kills: int, figures: dict[str, Any]) -> None:
    """Kill a node again and again."""
    from ray.cluster_utils import Cluster

    ray = cluster.library()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    ray.init(made.address, logging_level="ERROR", log_to_driver=False)
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    study = {"distortions": ("blur", "jpeg", "noise"), "observers": ("logged",), "floor": False, "limit": 20}
    with tempfile.TemporaryDirectory() as folder:
        log, deaths = Path(folder) / "log", 0

        def written() -> int:
            return len(log.read_bytes().splitlines()) if log.exists() else 0

        observer = Replicated("logged", {"log": str(log), "pause": 0.3}, 2, Placement(replicas=2))
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(measured, Path(folder) / "run", [observer], **study)
            last = 0
            while not running.done():
                if deaths < kills and written() >= last + 20:
                    made.remove_node(nodes.pop(0), allow_graceful=False)
                    nodes.append(made.add_node(num_cpus=1))  # Ray starts nodes in the main thread alone
                    deaths, last = deaths + 1, written()
                time.sleep(0.05)
            asked, seconds = running.result()
        measured(Path(folder) / "plain", [observers.make("logged", {})], **study)
        counts = Counter(log.read_text().split())
        twice = sum(counts.values()) - len(counts)
        equal = Run([Path(folder) / "run"]).jnds == Run([Path(folder) / "plain"]).jnds
    ray.shutdown()
    made.shutdown()
    figures["killed"] = {"nodes": deaths, "questions": asked, "asked_again": twice, "equal": equal, "seconds": seconds}
    print(f"{deaths} nodes killed: {asked} questions, {twice} asked again, thresholds equal: {equal} ({seconds:.0f} s)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--json", metavar="FILE")
    chosen = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "logged.py"
        plugin.write_text(LOGGED)
        registry.plugin(plugin)
        with cluster.connected(Placement(replicas=4)):
            speed(chosen.turns, figures)
            overhead(figures)
        killed(chosen.kills, figures)
    figures["load"] = os.getloadavg()[1]
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
