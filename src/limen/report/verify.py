"""A bundle verified: everything that follows from its raw answers worked out anew, and what differs named.

By the code that makes every report: verdicts, thresholds, tables, statistics, sentences.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import limen
from limen import digest as digests
from limen.errors import InputError, LimenError
from limen.parsing.yes_no import READER_VERSION
from limen.report import differing, redrawn
from limen.report.bundle import quiet, results_of, temporary_folder, verdicts_of, versions
from limen.report.differing import Difference, number_of
from limen.report.format import plain
from limen.report.redrawn import Redrawn
from limen.report.report import Report
from limen.store import TABLES, Store
from limen.store import bundle as container
from limen.store.bundle import Bundle, Note, RowFault
from limen.store.publishing import Publisher

__all__ = ["Difference", "Verification", "verify"]

_BEGUN = ("created", "seed", "procedure")  # entries of a manifest that stay while a run goes on
_PICTURED = (("runs", "sizes"), ("together", "safe", "saved"))  # numbers that come from the pictures a run has kept


@dataclass(frozen=True, repr=False)
class Verification:
    """What came of verifying a bundle.

    Attributes:
        path: of the file.
        digest: of the bundle, to be compared with the one that a paper quotes.
        made_with: version of limen that made it.
        runs: names of its runs.
        rows, answers: how many it has, of all tables, and of answers.
        verdicts, thresholds, numbers: how many were worked out anew.
        stimuli: how many questions were put together again with stimuli drawn anew; 0 without photographs.
        differences: what is not as the bundle says; none where all is.
        unchecked: a sentence for each thing that was not looked at.
        notes: what may explain differences.
    """

    path: Path
    digest: str
    made_with: str
    runs: tuple[str, ...]
    rows: int
    answers: int
    verdicts: int = 0
    thresholds: int = 0
    numbers: int = 0
    stimuli: int = 0
    differences: tuple[Difference, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def conclusion(self) -> str:
        """Whether it holds, and how many of what differ, in one sentence."""
        return f"{self.path.name} {differing.summary(self.differences)}"

    def __repr__(self) -> str:
        return f"<Verification of {self.path.name}: {'sound' if self.sound else self.conclusion}>"

    def record(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        rest = [one.name for one in dataclasses.fields(self) if one.name not in ("path", "differences")]
        found: dict[str, Any] = {"sound": self.sound, "conclusion": self.conclusion, "bundle": self.path.name}
        found |= {name: plain(getattr(self, name)) for name in rest}
        return found | {"differences": [{**plain(one), "line": str(one)} for one in self.differences]}


def verify(
    path: str | Path, against: Sequence[str | Path] = (), images: Sequence[str | Path] = (), *, note: Note = quiet,
    processes: int = 1,
) -> Verification:  # fmt: skip
    """Work out every number of a bundle from its raw answers, and say what differs.

    Args:
        path: of the bundle.
        against: the run directories it was made from, in order: their rows are compared, too.
        images: places of its photographs, as `limen measure --images` takes them: stimuli are drawn again.
        note: told what is being done.
        processes: that may read answers (`limen.analysis.replay.outcomes`).

    Raises:
        InputError: it is not a bundle, or not a whole one; a place has no photographs.
        StoreError: a run to compare with cannot be read.

    Example:
        >>> import limen
        >>> run = limen.measure("demo", "simulated", "blur", limit=2)
        >>> found = limen.verify(run.bundle("supplement.zip"))
        >>> found.sound, found.runs
        (True, ('run',))
    """
    path = Path(path)
    with Bundle.open(path) as bundle, ExitStack() as stack:
        runs = bundle.about.runs
        if against and len(against) != len(runs):
            names = ", ".join(run.name for run in runs)
            raise InputError(
                f"{path} holds {len(runs)} runs ({names}), and {len(against)} were given to compare with. Give each of "
                "them, in this order."
            )
        root, faults, paths = temporary_folder(stack), list[RowFault](), list[Path]()
        for number in range(1, len(runs) + 1):
            rebuilt, wrong = bundle.rebuild(number, root, note)
            paths.append(rebuilt)
            faults += wrong
        found = [*_members(bundle)]
        counts = sum(sum(run.rows.values()) for run in runs), sum(run.rows.get("answer", 0) for run in runs)
        made = Verification(path, bundle.digest, bundle.about.limen, tuple(run.name for run in runs), *counts)
        try:
            stores = [stack.enter_context(Store.open(one)) for one in paths]
            found += differing.rows(faults, stores)
            found += (difference for store in stores for difference in _series(store))
        except LimenError as error:
            return _broken(made, found, error, root)
        for number, (run, store) in enumerate(zip(against, stores, strict=False), start=1):
            found += _against(bundle, number, Path(run), store, note)
        drawn = redrawn.check(stores, [set(run.pictures) for run in runs], images, note)
        found += drawn.differences
        try:
            made = _worked_out(made, bundle, stores, drawn, found, note, processes)
        except LimenError as error:
            return _broken(made, found, error, root)
        return dataclasses.replace(made, differences=tuple(found), notes=(*_notes(bundle), *drawn.notes))


def _broken(made: Verification, found: Sequence[Difference], error: LimenError, root: Path) -> Verification:
    """Return what can be said of a bundle of which no number can be worked out."""
    told = str(error).replace(f"{root}/", "").replace("trials.db", "the tables")
    lasting = Difference("report", "cannot be worked out", "", told)
    return dataclasses.replace(made, differences=(*found, lasting))


def _worked_out(
    made: Verification, bundle: Bundle, stores: Sequence[Store], drawn: Redrawn, found: list[Difference], note: Note,
    processes: int,
) -> Verification:  # fmt: skip
    """Work out verdicts and numbers, add to `found` what differs, and return how many they are."""
    note("working out every number")
    with Report.open([store.path for store in stores], processes=processes) as report:
        lines = list(verdicts_of(report, made.runs))
        results, sentences = results_of(report), report.sentences
    for number, (recomputed, store) in enumerate(zip(lines, stores, strict=True), start=1):
        found += differing.verdicts(bundle.lines(f"runs/{number}/{container.VERDICTS}"), recomputed, store)
    stored, left = _stored(bundle), () if drawn.whole else _PICTURED
    found += differing.numbers(stored, results, left)
    readme = bundle.read(container.ABOUT).decode(errors="replace")
    found += [Difference("sentence", f"in {container.ABOUT}", "", one) for one in sentences if one not in readme]
    unchecked = list(drawn.unchecked)
    skipped = differing.left_out(stored, left)
    if skipped:
        numbers = f"{skipped:,} number{'s' * (skipped != 1)}"
        unchecked.append(f"sizes of coded pictures ({numbers}): need the photographs (--images FOLDER).")
    every = [orjson.loads(line) for one in lines for line in one]
    return dataclasses.replace(
        made, stimuli=drawn.stimuli, numbers=number_of(results) - differing.left_out(results, left),
        verdicts=sum(len(one.get("verdicts", ())) for one in every),
        thresholds=sum(len(one.get("thresholds", ())) + len(one.get("estimates", ())) for one in every),
        unchecked=tuple(unchecked),
    )  # fmt: skip


def _stored(bundle: Bundle) -> Mapping[str, Any]:
    try:
        found = orjson.loads(bundle.read(container.RESULTS))
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}


def _members(bundle: Bundle) -> Iterator[Difference]:
    """Yield the members other than tables that are not those that the index speaks of."""
    for name, about in sorted(bundle.about.members.items()):
        stem = name.rpartition("/")[2].removesuffix(".jsonl")
        if stem not in TABLES and stem != container.DIGESTS and (now := bundle.changed(name)):
            yield Difference("file", name, f"sha256 {about.sha256[:16]}", f"sha256 {now[:16]}")


def _notes(bundle: Bundle) -> Iterator[str]:
    about, here = bundle.about, versions()
    other = {name: (was, here[name]) for name, was in about.versions.items() if here.get(name, was) != was}
    if about.limen != limen.__version__:
        other = {"limen": (about.limen, limen.__version__), **other}
    if about.reader != READER_VERSION:
        yield (
            f"Its verdicts were made by reader {about.reader} of answers; this limen has {READER_VERSION}, which "
            f"may read some otherwise. limen {about.limen} reads them as then."
        )
    if other:
        told = ", ".join(f"{name} {was} then, {now} now" for name, (was, now) in other.items())
        yield f"Its numbers were worked out with other versions ({told})."


def _series(store: Store) -> Iterator[Difference]:
    """Yield the series whose digests are not those of what the bundle says of them."""
    kinds, seed = store.manifest.get("distortions", {}), store.manifest.get("seed", 0)
    for row in store.series():
        kind, key = kinds.get(row.distortion, {}), f"{row.picture}/{seed}"
        wanted = digests.of([row.distortion, kind.get("version"), kind.get("ladder"), row.key])
        if row.key != key:
            yield Difference("digest", f"of the reference of {row.distortion}, {row.name}", row.picture, row.key)
        elif row.id != wanted:
            yield Difference("digest", f"of the series of {row.distortion}, {row.name}", row.id, wanted)


def _against(bundle: Bundle, number: int, path: Path, rebuilt: Store, note: Note) -> Iterator[Difference]:
    """Yield in what a bundle differs from the run that it is said to be made from."""
    with Store.open(path) as store:
        publisher = Publisher(store, bundle.about.anonymous)
        mine, theirs = publisher.manifest(), bundle.manifest(number)
        entries = [
            dataclasses.replace(one, what="manifest") for one in differing.numbers({"": theirs}, {"": mine}, exact=True)
        ]
        if any(theirs.get(entry) != mine.get(entry) for entry in _BEGUN):
            yield Difference("run", str(path), "", "not the run that this bundle was made from; rows were not compared")
            yield from entries
            return
        yield from entries
        for table in TABLES:
            note(f"comparing {table} with {path.name}")
            member = f"runs/{number}/{table}.jsonl"
            pairs = itertools.zip_longest(bundle.lines(member), container.lines_of(store, publisher, table))
            if any(one != other for one, other in pairs):
                here, there = set(container.lines_of(store, publisher, table)), set(bundle.lines(member))
                yield from differing.sets(table, (there - here, here - there), rebuilt, store, path.name)
