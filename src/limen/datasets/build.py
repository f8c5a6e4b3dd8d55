"""How a data set is written, resumed, shared among jobs and verified: shards planned once, each on its own.

What a shard holds follows from the plan alone, so neither the number of workers nor their order, nor a kill, changes a
byte of it. What is there and whole is not made again.
"""

import contextlib
import itertools
import multiprocessing
import os
import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

import limen
from limen import digest, source
from limen.datasets.shard import (
    SUFFIXES,
    Folder,
    Shard,
    ShardSummary,
    card,
    drafts,
    fault,
    left_out,
    note_of,
    pixel_fault,
    pyarrow,
    versions,
    write,
)
from limen.datasets.spread import tokens, written
from limen.datasets.vpa_jnd import PartOnDisk, chosen
from limen.errors import InputError, LimenError, StoreError, UnknownNameError
from limen.files import saving
from limen.loop import mortal, sheltered
from limen.scale.tasks import Replicas

STIMULI = 1_000  # a shard: some 400 MB at 640x480
_LAYOUT = 2  # raised when a shard's rows or a manifest's entries mean something else
_GLANCE = 0.25  # seconds between two looks at what workers have drawn
_drawn: list[Any] = []  # in a worker: the counter that all share, and whether to end; they can only be inherited
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """Everything that is to be written.

    Attributes:
        shards: of all parts, in the data set's order.
        manifest: what the folder's manifest says.
    """

    shards: tuple[Shard, ...]
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did, and what it cost.

    Attributes:
        written, kept: shards.
        stimuli, bytes: in the shards written.
        left_out: stimuli of all shards of this share that look like their reference and were not written, by part.
        core_seconds: of all processes; seconds: on the clock.
    """

    written: int
    kept: int
    stimuli: int
    left_out: Mapping[str, int]
    bytes: int
    core_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ShardFault:
    """What is wrong with a file of the folder, and whether building again mends it."""

    file: str
    what: str
    mends: bool = True

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


Watch = Callable[[int, int], None]  # stimuli drawn, and to be drawn


def plan(
    data_set: str,
    held: Iterable[PartOnDisk],
    *,
    format: str = "parquet",
    limit: int = 0,
    seed: int = 0,
    stimuli: int = STIMULI,
) -> BuildPlan:
    """Divide what can be made into shards.

    Args:
        data_set: its name.
        held: its parts, from `limen.datasets.vpa_jnd.survey` with the same limit and seed.
        format: "parquet" or "webdataset".
        limit: references a part, >= 0; 0 for all. For the manifest.
        seed: any int. For the manifest.
        stimuli: a shard, about so many, >= 1; a series is never divided.

    Raises:
        InputError: no part can be made.
    """
    if format not in SUFFIXES:
        raise UnknownNameError("format", format, SUFFIXES)
    held = [one for one in held if one.series]
    if not held:
        raise InputError(f"No part of {data_set} can be made of what was given. Run: limen dataset plan {data_set}")
    settings = {"dataset": data_set, "format": format, "layout": _LAYOUT, "limit": limit, "seed": seed}
    settings |= {"stimuli_a_shard": stimuli, "limen": limen.__version__, "versions": versions(format)}
    made_with = digest.of(settings)
    shards = tuple(shard for one in held for shard in _divided(one, stimuli, format, made_with))
    used = sorted({series.reference.source for one in held for series in one.series})
    about = {name: source.find(name) for name in used}
    content = settings | {
        "parts": {one.part.name: _about(one) for one in held},
        "sources": {name: {"licence": one.licence or "none stated", "where": one.where} for name, one in about.items()},
        "shards": {shard.name: shard.plan for shard in shards},
    }
    return BuildPlan(shards, content | {"digest": digest.of(content)})


def build(
    out: Path,
    plan: BuildPlan,
    workers: int = 1,
    share: tuple[int, int] = (1, 1),
    watch: Watch = lambda drawn, of: None,
    where: Replicas | None = None,
) -> BuildResult:
    """Write the shards that are missing or faulty.

    Args:
        out: the folder; the same one resumes.
        plan: what is to be written.
        workers: processes, >= 1; 1 works in this one.
        share: (i, n): only every n-th shard from the i-th on (1..n), for arrays of jobs.
        watch: called before the first stimulus and after each one (with workers, some times a second; on a cluster,
            after each shard).
        where: on a cluster, in place of workers; its nodes see the folder and the sources under the same paths.

    Raises:
        StoreError: the folder holds another data set, or cannot be written.
        InputError: a reference cannot be read any more, or a node of the cluster does not see the folder.
    """
    if not 1 <= share[0] <= share[1]:
        raise InputError(f"A share is i/n with 1 <= i <= n, not {share[0]}/{share[1]}: --shard 1/8.")
    began = time.monotonic()
    if plan.manifest["format"] == "parquet":
        pyarrow()
    _claim(out, plan.manifest)
    mine = plan.shards[share[0] - 1 :: share[1]]
    todo = [shard for shard in mine if fault(out / shard.name, shard.plan)]
    whole = sum(shard.stimuli for shard in todo)
    if todo:
        watch(0, whole)

    def saw(drawn: int) -> None:
        watch(drawn, whole)

    made_with = plan.manifest["versions"]
    done = tuple(_written(todo, out, workers, saw) if where is None else written(todo, out, made_with, where, saw))
    equal: Counter[str] = Counter()
    for shard in mine:
        equal[shard.part] += left_out(out / shard.name)
        for draft in drafts(out / shard.name):  # of builds that were killed
            draft.unlink(missing_ok=True)
    for token in tokens(out) if share == (1, 1) else ():  # of builds that were killed; another job's may be at work
        token.unlink(missing_ok=True)
    size, spent = sum(one.bytes for one in done), sum(one.core_seconds for one in done)
    made, kept = sum(one.stimuli for one in done), len(mine) - len(todo)
    return BuildResult(len(done), kept, made, dict(+equal), size, spent, time.monotonic() - began)


def verify(out: Path, samples: int = 4, deep: bool = False) -> tuple[ShardFault, ...]:
    """Return the faults of a folder of shards; none if all is as it was built.

    Args:
        out: the folder.
        samples: rows a shard whose pixels are decoded and digested again, >= 0.
        deep: do so with all rows.

    Raises:
        StoreError: the folder holds no data set, or one whose manifest cannot be read.
    """
    about = read_manifest(out)
    faults = [] if _is_whole(about) else [ShardFault("manifest.json", "does not match its own digest")]
    if not (out / "README.md").is_file():
        faults.append(ShardFault("README.md", "is missing"))
    expected = {"manifest.json", "README.md"}
    for name, planned in about["shards"].items():
        file = out / name
        expected |= {name, note_of(file).name}
        wrong = fault(file, planned) or pixel_fault(file, samples, deep)
        if wrong:
            faults.append(ShardFault(name, wrong))
    foreign = sorted({entry.name for entry in out.iterdir()} - expected)
    stopped = {draft.name for name in ("manifest.json", *about["shards"]) for draft in drafts(out / name)}
    faults += [
        ShardFault(name, "was left by a build that was stopped")
        if name in stopped
        else ShardFault(name, "is no part of the data set. Remove it.", mends=False)
        for name in foreign
    ]
    return tuple(faults)


def repair(out: Path) -> str:
    """Say how to build the folder again: the command, or its options and which paths belong to it (none is kept)."""
    about = read_manifest(out)
    flags, lost = [f"--part {','.join(about['parts'])}"], set()
    parts = chosen(about["dataset"], about["parts"])
    only_demo = set(about["sources"]) - {part.source for part in parts} == {"demo"}
    for part in parts:
        stand_in = bool(about["parts"][part.name]["stands_in_for"])
        if stand_in and only_demo:
            flags.append("--photographs demo")
        elif stand_in or not source.find(part.source).bare:
            lost.add("--photographs" if stand_in else f"--source {part.pool}=")
    flags.append(f"--format {about['format']}")
    usual = (("limit", "limit", 0), ("seed", "seed", 0), ("stimuli_a_shard", "shard-stimuli", STIMULI))
    flags += [f"--{flag} {about[entry]}" for entry, flag, default in usual if about[entry] != default]
    options = f"{about['dataset']} {' '.join(dict.fromkeys(flags))} --out {shlex.quote(str(out))}"
    if not lost:
        return f"limen dataset build {options}"
    return f"the same build command again, with the {' and '.join(sorted(lost))} of then; its other words: {options}"


def read_manifest(out: Path) -> dict[str, Any]:
    """Read a folder's manifest.

    Raises:
        StoreError: there is none, or it is broken.
    """
    about = _manifest(out)
    if about is None:
        raise StoreError(
            f"{out} holds no data set with a readable manifest.json. Give the folder of `limen dataset build`, or "
            "build into it again: shards that are whole are kept."
        )
    return about


def _manifest(out: Path) -> dict[str, Any] | None:
    try:
        about = orjson.loads((out / "manifest.json").read_bytes())
        msgspec.convert(about, Folder)
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError, msgspec.ValidationError):
        return None
    return dict(about)


def _is_whole(about: Mapping[str, Any]) -> bool:
    return bool(about["digest"] == digest.of({key: value for key, value in about.items() if key != "digest"}))


def _claim(out: Path, mine: dict[str, Any]) -> None:
    """Write the manifest, unless the folder has it already; one that is cut or altered is written again.

    Raises:
        StoreError: the folder holds another data set, naming the first thing that differs.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = error.strerror
        raise StoreError(f"{out} is not a folder that can be written to ({cause}). Give another --out.") from None
    there = _manifest(out)
    if there is not None and there != mine and _is_whole(there):
        what, was, now = _difference({**there, "digest": ""}, {**mine, "digest": ""})
        raise StoreError(
            f"{out} holds another data set: {what} was {was} there and is {now} now. Give another --out, or the "
            "flags and versions it was built with."
        )
    if not (out / "README.md").exists():  # never over a page that somebody wrote
        with saving(out / "README.md") as stream:
            stream.write(card(mine).encode())
    if there != mine:
        with saving(out / "manifest.json") as stream:
            stream.write(orjson.dumps(mine, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _difference(there: Any, mine: Any, name: str = "") -> tuple[str, str, str]:
    """Return the first entry that differs, and both values."""
    if isinstance(there, dict) and isinstance(mine, dict):
        for key in dict.fromkeys((*mine, *there)):
            if there.get(key) != mine.get(key):
                return _difference(there.get(key), mine.get(key), f"{name}.{key}" if name else str(key))
    was, now = ("not" if value is None else str(value)[:60] for value in (there, mine))
    return name, was, now


def _divided(held: PartOnDisk, stimuli: int, format: str, made_with: str) -> Iterator[Shard]:
    first, references = held.series[0], tuple(series.reference for series in held.series)
    size = max(1, stimuli // len(first))
    runs = [references[start : start + size] for start in range(0, len(references), size)]
    for number, run in enumerate(runs):
        yield Shard(held.part.name, number, len(runs), run, first.distortion.name, first.seed, format, made_with)


def _about(held: PartOnDisk) -> dict[str, Any]:
    kind = held.series[0].distortion
    return {
        "distortion": {"name": kind.name, "version": kind.version, "ladder": kind.ladder.digest},
        "stands_in_for": held.part.source if held.stands_in else "",
        "series": held.count.references,
        "stimuli": held.count.stimuli,
        "paper": asdict(held.part.paper),
    }


def _written(todo: list[Shard], out: Path, workers: int, saw: Callable[[int], None]) -> Iterator[ShardSummary]:
    """Write shards in this process or in others; yield them as they are done, and say how many stimuli were drawn."""
    if workers <= 1 or len(todo) <= 1:
        numbers = itertools.count(1)
        for shard in todo:
            yield write(shard, out, lambda: saw(next(numbers)))
        return
    context = multiprocessing.get_context("spawn")
    drawn, over = context.Value("q"), context.Event()
    with _single_threaded(), ProcessPoolExecutor(min(workers, len(todo)), context, _begin, (drawn, over)) as pool:
        try:
            with sheltered():
                waiting = {pool.submit(_write, shard, out) for shard in todo}
            while waiting:
                finished, waiting = wait(waiting, _GLANCE, FIRST_COMPLETED)
                saw(drawn.get_obj().value)  # without its lock: a worker may be killed while it holds it
                for task in finished:
                    found = task.result()
                    if isinstance(found, str):
                        raise StoreError(found)
                    yield found
        except BrokenProcessPool:
            raise StoreError(
                "A worker was killed, perhaps for lack of memory. Run the same command again with fewer --workers: "
                "finished shards are kept."
            ) from None
        finally:
            over.set()  # those at work end with the stimulus they draw, not with their shard
            pool.shutdown(wait=True, cancel_futures=True)


def _write(shard: Shard, out: Path) -> ShardSummary | str:
    """Write a shard in a worker; an error goes home as its line, because exceptions do not all survive the way."""
    try:
        return write(shard, out, _draw)
    except LimenError as error:
        return str(error)


def _draw() -> None:
    """Count a stimulus that was drawn in a worker; raise `StoreError` where the build is over."""
    for drawn, over in _drawn:
        if over.is_set():
            raise StoreError("The build was stopped. Run the same command again: finished shards are kept.")
        with drawn.get_lock():
            drawn.value += 1


def _begin(drawn: Any, over: Any) -> None:
    """Let a worker count, and end with its parent, however that ends, and without a traceback when interrupted."""
    _drawn[:] = [(drawn, over)]
    mortal()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Give workers one thread each: as many threads as cores in each of them would only be in each other's way."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
