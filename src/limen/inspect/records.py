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
from limen.analysis.replay import Asked, Outcome, SeriesStatus
from limen.errors import InputError
from limen.ladder import Ladder
from limen.procedure import Learner, Probe, Verdicts, begin
from limen.statistics.observer_model import Prior
from limen.store import SeriesRow
from limen.store.entries import Manifest
from limen.study.schedule import FIRST
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


@dataclass(frozen=True)
class Wave:
    """What a series' wave began with, for procedures that learn: worked out again from what earlier waves answered."""

    number: int
    prior: Prior | None


class Analysed:
    """What became of each series that samples are of, as `limen.analysis` says it of a run.

    Args:
        manifest: of the run.
        task: what the task says of itself.
        gathered: from samples.
        where: they come from, for messages.
    """

    def __init__(self, manifest: Manifest, task: TaskRecord, gathered: Gathered, where: str = "the log") -> None:
        path = Path(where)
        self._method, self._ladders = replay.method_of(path, manifest), replay.ladders_of(manifest)
        self._manifest, self.questions = manifest, replay.questions_of(path, manifest)
        self._rows = {row.id: row for row in task.series}
        self._items = {key: replay.item_of(path, key, row) for key, row in task.items.items()}
        self._trials: dict[tuple[str, str], dict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
        for trial in gathered.answered():
            self._trials[trial.observer, trial.question][trial.series].append(trial)
        self.waves = {asked: self._waves(*asked) for asked in self._trials} if isinstance(self._method, Learner) else {}

    def row(self, series: str) -> SeriesRow:
        """Return a series by its id."""
        return self._rows[series]

    def outcomes(self) -> list[Outcome]:
        """Return what became of each series that was begun."""
        return [
            self._outcome(observer, question, series, self.waves.get((observer, question), {}).get(series))
            for (observer, question), of in sorted(self._trials.items())
            for series in sorted(of)
        ]

    def _outcome(self, observer: str, question: str, series: str, wave: Wave | None) -> Outcome:
        row, manifest = self._rows[series], self._manifest
        of = Asked(observer, question, row, self._items.get(row.picture))
        return replay.outcome(
            of, self._trials[observer, question][series], self.questions[question], self._method,
            self._ladders[row.distortion], manifest.reader, wave.prior if wave is not None else None,
        )  # fmt: skip

    def _waves(self, observer: str, question: str) -> dict[str, Wave]:
        """Return each series' wave, by id, as `limen.study.schedule` forms them; those never begun are left out."""
        found: dict[str, Wave] = {}
        for kind, ladder in self._ladders.items():
            left = sorted(row.id for row in self._rows.values() if row.distortion == kind and row.levels > 1)
            taught: list[Verdicts] = []
            number, whole = 0, True
            while left and whole:
                wave, left = left[: FIRST << number], left[FIRST << number :]
                assert isinstance(self._method, Learner)
                prior = self._method.learn(ladder, list(taught)) if number else None
                for series in wave:
                    found[series] = Wave(number, prior)
                    verdicts = self._verdicts(self._outcome(observer, question, series, found[series]), ladder, prior)
                    whole = whole and verdicts is not None
                    taught += [verdicts] if verdicts is not None else []
                number += 1
        return found

    def _verdicts(self, outcome: Outcome, ladder: Ladder, prior: Prior | None) -> Verdicts | None:
        """Return what a finished series teaches: the verdicts its procedure wanted; None where some are missing."""
        if outcome.status is SeriesStatus.EXCLUDED:
            return {}
        known = {response.probe: response for response in outcome.responses}
        wanted: set[Probe] = set()
        course = begin(self._method, ladder, prior)
        try:
            ask = next(course)
            while all(probe in known for probe in ask.needed):
                wanted.update(ask.needed)
                ask = course.send({probe: known[probe].verdict for probe in ask.needed})
        except StopIteration:
            return {probe: known[probe].verdict for probe in wanted if known[probe].asked}
        return None
