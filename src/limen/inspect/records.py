"""What a sample of a log says of its trial, and what becomes of all of them: written here, and read here.

A sample is one question that was put. It carries its own trial, and the trials that were recorded without being asked
since the sample before it: those whose answer was known, and those of two equal pictures.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from limen.analysis import replay
from limen.analysis.replay import Asked, Outcome
from limen.errors import InputError
from limen.store import SeriesRow
from limen.store.entries import Manifest
from limen.trial import Answer, Trial

T = TypeVar("T")
VERSION = 1  # of what a log of limen's says
PLACE = "limen"  # of it, in the metadata of tasks and samples


class SampleRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the metadata of a sample say under "limen".

    Attributes:
        observer: name of who is asked, as the run has it.
        fingerprint: of the observer.
        trial: that the answer is of; None for a sample that asks nothing and closes the record.
        draw: of the query, part of its key.
        series: of the trial.
        pictures: digests of the pixels shown, in order.
        item: of the reference, where the question is its own.
        recorded: trials recorded without being asked, their answers left out.
        stored: the answer, where the run had it already and nobody was asked.
    """

    observer: str
    fingerprint: dict[str, Any]
    trial: Trial | None = None
    draw: int = 0
    series: SeriesRow | None = None
    pictures: tuple[str, ...] = ()
    item: dict[str, Any] | None = None
    recorded: tuple[Trial, ...] = ()
    stored: Answer | None = None


class TaskRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the metadata of a task say under "limen".

    Attributes:
        version: of the record.
        task: names the task while it runs.
        manifest: of the run, without its observers.
        series: all of the study.
        items, sizes: rows of measurements by the digest of the reference.
    """

    version: int
    task: str
    manifest: dict[str, Any]
    series: tuple[SeriesRow, ...]
    items: dict[str, dict[str, Any]] = {}
    sizes: dict[str, dict[str, Any]] = {}


@dataclass
class Gathered:
    """Trials and answers of samples, as far as they were read.

    Attributes:
        series: by id.
        items: rows by the digest of the reference.
        observers: fingerprints by name.
        answers: by key.
        trials: each once, without its answer.
    """

    series: dict[str, SeriesRow] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    observers: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    trials: dict[Trial, None] = field(default_factory=dict)

    def add(self, record: SampleRecord, answer: Answer | None) -> None:
        """Take in one sample.

        Args:
            record: what its metadata say.
            answer: that came; None where none did.
        """
        self.observers.setdefault(record.observer, record.fingerprint)
        if record.series is not None:
            self.series[record.series.id] = record.series
            if record.item is not None:
                self.items[record.series.picture] = record.item
        for trial in (*record.recorded, *((record.trial,) if record.trial is not None else ())):
            self.trials[replace(trial, answer=None)] = None
        if record.trial is not None and answer is not None:
            self.answers[record.trial.key] = answer

    def answered(self) -> Iterator[Trial]:
        """Yield the trials that have an answer, with it, and those of two equal pictures."""
        for trial in self.trials:
            if not trial.key:
                yield trial
            elif trial.key in self.answers:
                yield replace(trial, answer=self.answers[trial.key])


def sample_record(metadata: Mapping[str, Any] | None) -> SampleRecord:
    """Return what a sample's metadata say; raise `InputError` where they are not as limen writes them."""
    return _converted((metadata or {}).get(PLACE), SampleRecord, "a sample")


def task_record(metadata: Mapping[str, Any] | None) -> TaskRecord:
    """Return what a task's metadata say; raise `InputError` where they are not as limen writes them."""
    return _converted((metadata or {}).get(PLACE), TaskRecord, "the task")


def _converted(value: Any, kind: type[T], of: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"what {of} says of limen is not as limen writes it ({error})") from None


def plain(value: Any) -> Any:
    """Return a record, a trial or a row as JSON-like data."""
    return msgspec.to_builtins(value)


def outcomes(
    manifest: Manifest, gathered: Gathered, items: Mapping[str, Mapping[str, Any]] | None = None, where: str = "the log"
) -> list[Outcome]:
    """Return what became of each series that samples are of, as `limen.analysis` says it of a run.

    Args:
        manifest: of the run.
        gathered: from samples.
        items: rows by the digest of the reference, where they are not the samples' own.
        where: they come from, for messages.
    """
    path = Path(where)
    method, ladders = replay.method_of(path, manifest), replay.ladders_of(manifest)
    questions = replay.questions_of(path, manifest)
    known = {key: replay.item_of(path, key, row) for key, row in {**gathered.items, **(items or {})}.items()}
    groups: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
    for trial in gathered.answered():
        groups[trial.observer, trial.question, trial.series].append(trial)
    found = []
    for (observer, name, series), trials in sorted(groups.items()):
        row = gathered.series[series]
        of = Asked(observer, name, row, known.get(row.picture))
        found.append(replay.outcome(of, trials, questions[name], method, ladders[row.distortion], manifest.reader))
    return found
