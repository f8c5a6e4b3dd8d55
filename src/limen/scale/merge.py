"""Several runs of one study as one run directory, which goes on, is reported and bundled as if one process had made it.

Not to be confused with a report of several runs (`limen report A B`), which lays them side by side: there each keeps
observers of its own, and nothing is put together.
"""

import contextlib
import datetime
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson

from limen import files
from limen.errors import InputError, StoreError
from limen.store import Store, entries, journal, names_of
from limen.store.entries import Manifest, ShardEntry
from limen.store.joining import FEW, Contradiction, Draft
from limen.store.ledger import Ledger
from limen.store.shards import Missing, missing, together
from limen.store.soundness import UNCLOSED
from limen.study.manifest import differing

Note = Callable[[str], None]
_ALIKE = ("procedure", "seed", "max_side")  # entries that are the same in all runs of a study
_NAMED = ("distortions", "questions", "sources", "observers", "probes")  # the same wherever they have one name
_LARGEST = 1 << 20  # bytes of a database whose journal is copied without a word


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of it.

    Attributes:
        path: the run directory.
        runs: how many it was made of.
        series, trials, answers, attempts: how many it holds.
        same: answers that more than one of them held, and that count once.
        replaced: answers that were left out because an earlier one of the same question says something else.
        shard: which shards of the study it holds; None where it is whole.
        twice: numbers of the shards that came more than once.
        missing: what of the study it does not hold.
    """

    path: Path
    runs: int
    series: int
    trials: int
    answers: int
    attempts: int
    same: int
    replaced: int
    shard: ShardEntry | None
    twice: tuple[int, ...]
    missing: tuple[Missing, ...] = ()


class ContradictionError(StoreError):
    """Runs hold different answers to the same questions.

    Attributes:
        count: of such questions.
        first: some of them.
    """

    def __init__(self, count: int, first: Sequence[Contradiction]) -> None:
        self.count, self.first = count, tuple(first)
        many = f"{count:,} questions have another answer" if count > 1 else "A question has another answer"
        more = f"; and {count - len(first):,} more" if count > len(first) else ""
        super().__init__(
            f"{many} in another run: {'; '.join(map(str, first))}{more}. Leave one of the runs out, or keep the answer "
            "that came first (--keep first)."
        )


def merge(
    runs: Sequence[str | Path], out: str | Path, keep: Literal["", "first"] = "", note: Note = lambda what: None
) -> Merged:
    """Make one run directory of runs of one study; the runs stay as they are.

    Answers, attempts, pictures, floors, exams are all there, each once, in the order of time. Nothing is written where
    something contradicts.

    Args:
        runs: run directories, one or more, in any order.
        out: the new run directory; it must not be there yet, or be empty.
        keep: which of different answers to the same question stays: "first", by time; "" to refuse them.
        note: called with what is being done.

    Raises:
        InputError: a run is given twice, or `out` lies within one of them.
        ContradictionError: runs hold different answers to the same questions.
        StoreError: one is no run, is of another study, is damaged or being written; `out` cannot be written.
    """
    paths, out = list(map(Path, runs)), Path(out)
    _check_places(paths, out)
    manifests = [_manifest(path) for path in paths]
    _check_study(paths, [manifest for _, manifest in manifests])
    shards = [checked.shard for checked, _ in manifests]
    order = sorted(range(len(paths)), key=lambda at: str(manifests[at][1]["created"]))
    with _drafting(out) as folder, Draft(folder) as draft:
        said, lines = list[dict[str, Any]](), list[tuple[str, Ledger]]()
        names = names_of(paths)
        for number, at in enumerate(order, start=1):
            note(f"{paths[at].name}, {number} of {len(paths)}: reading")
            with _readable(paths[at], folder) as (file, still, known):
                note(f"{paths[at].name}, {number} of {len(paths)}: taking its answers")
                said.append(_with_exams(manifests[at][1], draft.add(file, str(paths[at]), still)))
                lines.append((names[paths[at].resolve()], known))
        replaced = draft.contradictions
        _refuse(draft, keep)
        note("writing")
        for stage, rows in Ledger.joined(lines).rows().items():
            draft.put(stage, rows)
        counts = draft.finish()
        shard, lacking = together(shards), tuple[Missing, ...]()
        _write(folder, _together(said, counts["series"], shard))
        if shard is not None:
            with Store.open(folder, still=True) as store:
                lacking = missing(store, shard)
            if not lacking:
                shard = None
                _write(folder, _together(said, counts["series"], shard))
        same = draft.same - replaced
    return Merged(
        out, len(paths), counts["series"], counts["query"], counts["answer"], counts["attempt"], same, replaced,
        shard, tuple(sorted(part for part, n in Counter(_parts(shards)).items() if n > 1)), lacking,
    )  # fmt: skip


# --- before anything is written ---


def _check_places(paths: Sequence[Path], out: Path) -> None:
    if not paths:
        raise InputError("No run is given. Give the run directories to merge.")
    seen = set[Path]()
    for path in paths:
        place = path.resolve()
        if place in seen:
            raise InputError(f"{path} is given twice. Give each run once.")
        seen.add(place)
        if place in (out.resolve(), *out.resolve().parents):
            raise InputError(f"--out {out} lies in {path}, which is merged. Give a place outside of it.")
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise StoreError(
            f"{out} is there already. Give another --out; to add runs to a merged one, merge it with them into a new "
            "one."
        )


def _manifest(path: Path) -> tuple[Manifest, dict[str, Any]]:
    """Return the manifest of a run that nobody writes, checked and as it stands."""
    found = entries.read(path)
    checked = entries.check(path, found)
    writing = journal.at_work(path)
    if writing:
        raise StoreError(f"A process is writing to {path}. Wait for it, or stop it, then merge again.")
    if writing is None and (path / journal.OWNER).exists():
        raise StoreError(
            f"{path} may be being written: {journal.OWNER} in it names a process of another machine. Wait for it; if "
            f"it has ended (its job was killed), delete {path / journal.OWNER}, then merge again."
        )
    return checked, found


def _check_study(paths: Sequence[Path], manifests: Sequence[Mapping[str, Any]]) -> None:
    """Raise `StoreError` unless all manifests are of one study: dates, versions and shards may differ."""
    known: dict[str, tuple[Path, Any]] = {}
    for path, manifest in zip(paths, manifests, strict=True):
        about = {entry: manifest.get(entry, 0) for entry in _ALIKE}
        for entry in _NAMED:
            about |= {f"{entry[:-1]} {name}": value for name, value in manifest.get(entry, {}).items()}
        told, apart = list[str](), set[str]()
        for what, value in about.items():
            one, first = known.setdefault(what, (path, value))
            if what.startswith("probe ") and what.replace("probe", "distortion", 1) in apart:
                continue  # it follows from the distortion, which is named
            apart |= {what} if first != value else set()
            told += [differing(what, first, value, "is", f"in {one}", f"in {path}")]
        if wrong := "; ".join(filter(None, told)):
            raise StoreError(
                f"{path} is not of the same study as the runs before it: {wrong}. Merge runs that differ in what they "
                "measured alone; limen report shows others side by side."
            )
        if shard := manifest.get("shard"):
            one, of = known.setdefault("shard", (path, shard["of"]))
            if of != shard["of"]:
                raise StoreError(
                    f"The study was divided in two ways: {one} holds shards of {of}, {path} of {shard['of']}. Merge "
                    "shards of one division."
                )


# --- reading, without a trace ---


@contextlib.contextmanager
def _readable(path: Path, folder: Path) -> Iterator[tuple[Path, bool, Ledger]]:
    """Yield a database that is whole and sound, whether it is the run's own, and what it knows of batch files.

    A run that was killed has a journal, and reading it folds that into the database: that is done to a copy.
    """
    file = path / "trials.db"
    before = _state(file)
    if not file.exists():
        raise StoreError(f"{path} has no trials.db: nothing was measured into it, or it was lost. {entries.RESTORE}")
    if pending := journal.pending(file):
        copy = folder / "copy"
        copy.mkdir()
        try:
            for one in (file, *pending, path / "manifest.json", path / journal.COUNT):
                if one.exists():
                    shutil.copyfile(one, copy / one.name)
            with _opened(copy, path, still=False) as known:
                yield copy / "trials.db", False, known
        finally:
            shutil.rmtree(copy)
    else:
        with _opened(path, path, still=True) as known:
            yield file, True, known
    if _state(file) != before:
        raise StoreError(f"{path} was written to while it was read. Wait for what writes it, then merge again.")


@contextlib.contextmanager
def _opened(place: Path, path: Path, still: bool) -> Iterator[Ledger]:
    """Open a run whose rows are sound, and say what it knows of batch files; of a copy give the name of the run."""
    try:
        store = Store.open(place, still=still)
        try:
            store.check_rows()
            known = Ledger.read(store)
        except BaseException:
            store.close()
            raise
    except StoreError as error:
        raise StoreError(str(error).replace(str(place), str(path))) from None
    with store:
        yield known


def _state(file: Path) -> tuple[object, ...]:
    found = list[object]()
    for name in (file.name, f"{file.name}-wal", f"{file.name}-journal"):
        with contextlib.suppress(OSError):
            about = file.with_name(name).stat()
            found += [name, about.st_ino, about.st_size, about.st_mtime_ns]
    return tuple(found)


@contextlib.contextmanager
def _drafting(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` that becomes `out` when the block ends without an error; else it goes.

    It is held as a run is, so that two commands do not make the same one; what one that was killed left is removed.
    """
    folder = out.with_name(f".{out.name}.merging")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = journal.hold(folder)
    except StoreError:
        raise StoreError(f"Another process is merging into {out}. Wait for it, or give another --out.") from None
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror or error}). Give another --out.") from None
    whole = False
    try:
        for one in folder.iterdir():
            if one.is_dir():
                shutil.rmtree(one)
            elif one.name not in ("writing.lock", "writing.lock-journal", journal.OWNER):
                one.unlink()
        yield folder
        whole = True
    finally:
        held.lock.close()
        if not whole:
            shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.rename(out)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StoreError(f"{out} cannot be written ({error.strerror or error}). Give another --out.") from None


# --- what contradicts ---


def _refuse(draft: Draft, keep: str) -> None:
    """Raise where runs cannot be one."""
    if draft.otherwise:
        raise StoreError(
            f"{_listed(draft.otherwise)}. They are not of one study, whatever their manifests say. "
            f"{entries.RESTORE.replace('measure again with another --out', 'leave one of them out')}"
        )
    if learnt := draft.learnt or draft.apart():
        raise StoreError(
            f"The procedure learnt from series of its own in each of these runs ({_listed(learnt)}), so that its "
            "thresholds hang on how the study was divided. Give each run distortions of its own, or leave runs out."
        )
    if keep:
        return
    if draft.contradictions:
        raise ContradictionError(draft.contradictions, draft.named())
    if draft.numbers:
        raise StoreError(
            f"Runs hold other numbers of the same: {_listed(draft.numbers)}. Leave one of the runs out, or keep what "
            "came first (--keep first)."
        )


def _listed(clauses: Sequence[str]) -> str:
    more = f"; and {len(clauses) - FEW:,} more" if len(clauses) > FEW else ""
    return f"{'; '.join(clauses[:FEW])}{more}"


# --- one manifest ---


def _together(said: Sequence[Mapping[str, Any]], series: int, shard: ShardEntry | None) -> dict[str, Any]:
    """Return the manifest of a run that was begun with the first of these, and went on with the others.

    Args:
        said: manifests, the earliest first.
        series: how many the run holds.
        shard: which shards of the study they are.
    """
    found: dict[str, Any] = {}
    for one in said:
        found = {**one, **found}
    found |= {"schema": entries.SCHEMA, "reader": max(one["reader"] for one in said)}
    for entry in _NAMED:
        found |= {entry: {name: about for one in reversed(said) for name, about in one.get(entry, {}).items()}}
    if exams := _exams(said):
        found["exams"] = exams
    for entry, ordered in (("planned", True), ("endpoints", False)):
        if lists := _lists(said, entry):
            found[entry] = {name: sorted(values) if ordered else values for name, values in lists.items()}
    if aims := [one["aim"] for one in said if one.get("aim")]:
        found["aim"] = {
            "at": max((aim["at"] for aim in aims), key=datetime.datetime.fromisoformat),
            "observers": list(dict.fromkeys(name for aim in aims for name in aim["observers"])),
            "questions": list(dict.fromkeys(name for aim in aims for name in aim["questions"])),
            "series": series,
        }
    found["versions"], sessions = _libraries(said)
    if sessions:
        found["sessions"] = sessions
    found.pop(UNCLOSED, None)
    found.pop("shard", None)
    return found | ({"shard": msgspec.to_builtins(shard)} if shard else {})


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    files.write(folder / "manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    entries.check(folder, manifest)


def _libraries(said: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the versions a run was begun with, and the sessions whose libraries were others."""
    begun: dict[str, str] = {}
    sessions = list[dict[str, Any]]()
    for one in said:
        if any(begun.get(name, version) != version for name, version in one["versions"].items()):
            sessions.append({"at": one["created"], "limen": one["limen"], "versions": dict(one["versions"])})
        begun = {**one["versions"], **begun}
        sessions += [session for session in one.get("sessions", []) if session not in sessions]
    return begun, sorted(sessions, key=lambda session: str(session["at"]))


def _with_exams(manifest: Mapping[str, Any], moved: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return a manifest whose exams have the moments under which their questions stand."""
    exams = {
        name: exam | {"at": moved.get((name, exam["at"]), exam["at"])}
        for name, exam in manifest.get("exams", {}).items()
    }
    return {**manifest, **({"exams": exams} if exams else {})}


def _exams(said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last exam of each observer; one that was broken off only where none has a result."""
    found: dict[str, Any] = {}
    for one in said:
        for name, exam in one.get("exams", {}).items():
            if name not in found or ("fit" in exam, exam["at"]) > ("fit" in found[name], found[name]["at"]):
                found[name] = exam
    return found


def _lists(said: Sequence[Mapping[str, Any]], entry: str) -> dict[str, list[str]]:
    """Return an entry that has a list for each observer, with what any run lists, once."""
    found: dict[str, dict[str, None]] = {}
    for one in said:
        for name, values in one.get(entry, {}).items():
            found.setdefault(name, {}).update(dict.fromkeys(values))
    return {name: list(values) for name, values in found.items()}


def _parts(each: Sequence[ShardEntry | None]) -> list[int]:
    return [part for one in each if one is not None for part in one.parts]
