"""Runs written as logs of Inspect's."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalPlan,
    EvalResults,
    EvalRetryError,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.log._condense import condense_sample
from inspect_ai.model import ChatMessageUser
from inspect_ai.scorer import Score

from limen import digest
from limen.analysis.replay import item_of, questions_of
from limen.errors import InputError
from limen.image import Picture
from limen.inspect.records import PLACE, VERSION, Gathered, SampleRecord, TaskRecord, plain
from limen.inspect.scoring import NOTHING, explained, figures, said_by, seal
from limen.inspect.source import CLOSING, SAID, metadata_of, sample_id
from limen.inspect.tasks import output_of
from limen.observers.inspect import answer_of, content_of
from limen.parsing.token_probability import offers_letters
from limen.question import DRAWS, Query, Question
from limen.report.images import renderer
from limen.stimulus import control
from limen.store import SeriesRow, Store, entries
from limen.store.entries import ITEMS, SIZES, Manifest
from limen.trial import Answer, Trial, pair

ROOM = 300e6  # bytes of pixels in all samples of a log; Inspect holds a whole log in memory to write it
_LEFT = frozenset({"schema", "observers", "exams", "aim", "planned", "unclosed"})  # of the manifest: the run's affair


def to_logs(run: Path, folder: Path) -> list[Path]:
    """Write one log for each observer of a run.

    Args:
        run: the run directory.
        folder: made if it is not there.

    Raises:
        StoreError: the run cannot be read.
        InputError: the folder cannot be written.
    """
    files = []
    with Store.open(run) as store:
        manifest = entries.check(store.path, store.manifest)
        task = TaskRecord(
            VERSION, "", {key: value for key, value in store.manifest.items() if key not in _LEFT}, store.series(),
            store.measurements(ITEMS), store.measurements(SIZES),
        )  # fmt: skip
        for observer in manifest.observers:
            log = _log(store, manifest, task, observer)
            file = folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', observer)}.eval"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_eval_log(log, str(file))
            except OSError as error:
                raise InputError(f"{file} cannot be written ({error}). Give another folder.") from None
            files.append(file)
    return files


def _log(store: Store, manifest: Manifest, task: TaskRecord, observer: str) -> EvalLog:
    gathered = Gathered()
    samples = list(_Writer(store, manifest, task, observer).samples(gathered))
    questions = questions_of(store.path, manifest)
    numbers = figures(gathered, task) if gathered.observers else {}
    metrics = {name: EvalMetric(name=name, group="jnd", value=value) for name, value in numbers.items()}
    score = EvalScore(name="verdict", scorer="limen/verdict", scored_samples=len(samples), metrics=metrics)
    ids: list[Any] = [sample.id for sample in samples]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=manifest.created, task="limen/ask" if all(one.alone for one in questions.values()) else "limen/jnd",
            model=observer, dataset=EvalDataset(name=store.path.name, samples=len(samples), sample_ids=ids),
            config=EvalConfig(epochs=1), packages={"limen": manifest.limen}, metadata={PLACE: plain(task)},
        ),
        plan=EvalPlan(),
        results=EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=[score]),
        stats=EvalStats(started_at=manifest.created, completed_at=manifest.created),
        samples=samples,
    )  # fmt: skip


class _Writer:
    """Makes the samples of one observer: one for each answer, in the order of series and levels."""

    def __init__(self, store: Store, manifest: Manifest, task: TaskRecord, observer: str) -> None:
        self._store, self._manifest, self._task, self._observer = store, manifest, task, observer
        self._fingerprint = dict(manifest.observers[observer])
        self._key = digest.of(self._fingerprint)
        self._questions = questions_of(store.path, manifest)
        self._rows = {row.id: row for row in task.series}
        self._room = ROOM
        self._failed: dict[str, list[str]] = defaultdict(list)
        for row in store.columns("attempt")[1]:
            who, _, key, outcome, detail, *_ = row
            if who == observer and outcome != "ok":
                self._failed[str(key)].append(f"{outcome}: {detail}")

    def samples(self, gathered: Gathered) -> Iterator[EvalSample]:
        """Yield the samples, and gather what they say."""
        waiting: list[Trial] = []
        written: set[str] = set()
        drawn: tuple[str, Callable[[int], Picture] | None] = "", None
        for trial in self._store.trials(self._observer):
            bare = replace(trial, answer=None)
            if trial.answer is None and trial.key:
                continue
            if trial.answer is None or trial.key in written:
                waiting.append(bare)
                continue
            written.add(trial.key)
            if drawn[0] != trial.series:
                drawn = trial.series, self._drawing(self._rows[trial.series])
            record, query = self._record(bare, trial.answer, drawn[1], tuple(waiting))
            waiting = []
            gathered.add(record, trial.answer)
            yield self._sample(record, query, trial.answer)
        if waiting:
            record = SampleRecord(self._observer, self._fingerprint, recorded=tuple(waiting))
            gathered.add(record, None)
            yield EvalSample(
                id=CLOSING, epoch=1, input=SAID, target="", metadata={PLACE: plain(record)},
                scores={"verdict": Score(value=NOTHING)},
            )  # fmt: skip

    def _record(
        self, trial: Trial, answer: Answer, draw: Callable[[int], Picture] | None, recorded: tuple[Trial, ...]
    ) -> tuple[SampleRecord, Query | None]:
        row, question = self._rows[trial.series], self._questions[trial.question]
        query = self._query(trial, question, row, draw) if draw is not None and self._room > 0 else None
        whole = answer_of(output_of(answer), offers_letters(trial.wording)) == answer
        if query is not None:
            self._room -= sum(picture.pixels.size for picture in query.pictures)
        return (
            SampleRecord(
                self._observer, self._fingerprint, trial, query.draw if query is not None else 0, row,
                tuple(picture.digest for picture in query.pictures) if query is not None else (),
                self._task.items.get(row.picture) if question.itemised else None, recorded,
                None if query is not None and whole else answer,
            ),
            query,
        )  # fmt: skip

    def _drawing(self, row: SeriesRow) -> Callable[[int], Picture] | None:
        """Return what draws a series' stimuli again; None where that cannot be done as they were shown."""
        try:
            draw = renderer(self._store, row)
        except InputError:
            return None
        return lambda level: Picture.of(draw(level))

    def _query(self, trial: Trial, question: Question, row: SeriesRow, draw: Callable[[int], Picture]) -> Query | None:
        """Return what was shown, known by its key; None where it cannot be made again."""
        try:
            reference = draw(trial.reference)
            name = pair(row.id, trial.reference, trial.level)
            same = question.alone and trial.reference == trial.level
            stimulus = control(reference, name) if same else draw(trial.level)
        except InputError:
            return None
        item = None
        if question.itemised:
            item = item_of(self._store.path, row.picture, self._task.items[row.picture])
        other = item.permuted(name) if item is not None and same else item
        asked = question.ask(
            row.word, reference, stimulus, trial.again, trial.draw, name, items=(item, other), draws=DRAWS
        ) + question.ask(row.word, reference, stimulus, trial.again, 0, name, items=(item, other))
        for query in asked:
            for number in {query.draw, trial.draw, trial.draw * DRAWS + query.draw}:
                found = replace(query, draw=number)
                if found.key(self._key) == trial.key:
                    return found
        return None

    def _sample(self, record: SampleRecord, query: Query | None, answer: Answer) -> EvalSample:
        trial, row = record.trial, record.series
        assert trial is not None
        assert row is not None
        kind = self._manifest.distortions[row.distortion]
        metadata = metadata_of(record, kind.strengths, kind.unit)
        said = said_by(self._questions[trial.question], record, answer)
        metadata["verdict"] = said
        text = trial.wording or "(this run did not keep the wording)"
        asked = ChatMessageUser(content=content_of(query) if query is not None else text)
        output = output_of(answer)
        about = {"answer": plain(answer), "digest": seal(trial.key, answer)}
        sample = EvalSample(
            id=sample_id(trial, row), epoch=1, input=[asked], target="", messages=[asked, output.message],
            output=output, metadata=metadata,
            scores={"verdict": Score(value=said, answer=answer.text, explanation=explained(record), metadata=about)},
            error_retries=[
                EvalRetryError(message=one, traceback="", traceback_ansi="") for one in self._failed.get(trial.key, ())
            ] or None,
        )  # fmt: skip
        return condense_sample(sample)
