"""The samples of a task: a study of limen's that runs as ever, in a thread, and whose observer is Inspect.

Where `limen measure` sends a query to an endpoint, this one makes a sample of it; the answer comes back when Inspect
has run the sample. Procedures, questions, keys, the store and resuming are the study's own.
"""

import asyncio
import contextvars
import functools
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from inspect_ai import SampleSource, enqueue_sample
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSample, EvalSpec
from inspect_ai.model import ChatMessageUser, get_model
from inspect_ai.model._generate_config import active_generate_config

from limen import digest
from limen.errors import LimenError
from limen.inspect.records import PLACE, VERSION, SampleRecord, TaskRecord, plain
from limen.observer import Attempt, Observer, Query, Reply
from limen.observers import inspect as provider
from limen.observers.openai.secret import Key, secret_place
from limen.parsing.token_probability import offers_letters
from limen.spending import Spending
from limen.store import SeriesRow
from limen.study import Spec, Study, item_rows, series_row, size_rows
from limen.trial import Trial

PATIENCE = 20.0  # seconds that a study has to put its house in order when its task has ended
CLOSING = "recorded without asking"  # id of the sample that holds what no other could
SAID = "No question: what limen recorded without asking, because the answer was known or nothing differed."

_under_way: "weakref.WeakValueDictionary[str, StudySource]" = weakref.WeakValueDictionary()


def under_way(task: str) -> "StudySource | None":
    """Return the source of samples of a task that runs in this process."""
    return _under_way.get(task)


def any_under_way() -> bool:
    """Say whether there is any task of limen's in this process."""
    return bool(_under_way)


class Asker(Observer):
    """The observer of the study: hands queries over and waits for what comes back."""

    def __init__(self, source: "StudySource") -> None:
        self._source = source
        self._trials: dict[str, Trial] = {}
        self._fingerprint: dict[str, Any] = {}
        self._digest = ""
        self.name = "inspect"

    def become(self, model: str, config: Mapping[str, Any], fingerprint: dict[str, Any], concurrency: int) -> None:
        """Take the name and the settings of the model that is evaluated, which are known when the task runs.

        Args:
            model: with its provider.
            config: the fields of its GenerateConfig that are set.
            fingerprint: of the model.
            concurrency: series advanced side by side, >= 1.
        """
        self.name, self.concurrency = provider.name_of(model), concurrency
        self.sampled, self.max_tokens = provider.is_sampled(config), config.get("max_tokens")
        self._fingerprint, self._digest = fingerprint, digest.of(fingerprint)

    def fingerprint(self) -> Mapping[str, Any]:
        """Return that of the model: the same as of the observer `inspect:PROVIDER/MODEL`."""
        return self._fingerprint

    def follow(self, trial: Trial) -> None:
        """Remember which trial a query is of, and what is recorded without one."""
        if trial.answer is None and trial.key:
            self._trials[trial.key] = trial
        else:
            self._source.recorded(trial)

    async def answer(self, query: Query) -> Reply:
        """Have a sample made of a query, and wait until it has been run."""
        trial = self._trials.pop(query.key(self._digest))
        return await asyncio.wrap_future(self._source.ask(trial, query))


@dataclass(frozen=True)
class _Open:
    """A sample under way: what it was given, and who waits for it."""

    record: SampleRecord
    letters: bool
    waiting: Future[Reply] | None


class StudySource(SampleSource):
    """Makes samples of the questions of a study, as the study asks them.

    Args:
        spec: what to measure; its observers are not looked at.
        out: the run directory, "" for one that is gone afterwards.

    Raises:
        InputError: the study cannot be planned, in one line.
    """

    def __init__(self, spec: Spec, out: str = "") -> None:
        self._asker = Asker(self)
        self.study = Study.plan(spec, made=(self._asker,))
        self.name = f"{id(self):x}"
        self._items = item_rows(self.study.series)
        self._series = {one.id: one for one in self.study.series}
        self._questions = {one.name: one for one in self.study.questions}
        self._deliver: Callable[[Sample | None], None] = lambda sample: None
        self._beside = None if out else tempfile.TemporaryDirectory(prefix="limen-inspect-")
        self.out = Path(self._beside.name) / "run" if self._beside else Path(out)
        self._spec: EvalSpec | None = None
        self._thread: threading.Thread | None = None
        self._open: dict[str, _Open] = {}
        self._ids: Counter[str] = Counter()
        self._logged: set[str] = set()  # keys whose answers samples hold
        self._rows: list[Trial] = []  # recorded since the last sample was made
        self._taking = threading.Lock()
        self._ready: list[Sample] = []
        self._wanted: asyncio.Future[None] | None = None  # somebody waits for samples
        self._closed = self._over = False
        self._failure: BaseException | None = None
        _under_way[self.name] = self

    @functools.cached_property
    def record(self) -> TaskRecord:
        """What the metadata of the task say."""
        described = self.study.described()
        return TaskRecord(
            VERSION, self.name, described, tuple(map(series_row, self.study.series)),
            self._items, size_rows(self.study.series),
        )  # fmt: skip

    # --- Inspect's side: everything here runs in its event loop ---

    def begin(self, spec: EvalSpec) -> None:
        """Hear from the hook what is evaluated, and how."""
        self._spec = spec

    async def next_samples(self) -> list[Sample] | None:
        """Return the questions that wait to be put; None when the study is over."""
        if self._thread is None:
            self._start()
        while not self._ready:
            if self._over:
                return self._ending()
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
            self._wanted = None
        ready, self._ready = self._ready, []
        return ready

    async def sample_complete(self, sample: EvalSample) -> list[Sample] | None:
        """Hand an answer, or why there is none, to the series that waits for it."""
        asked = self._open.pop(str(sample.id), None)
        if asked is not None:
            self._keep_lost(asked.record, sample)
            if asked.waiting is not None:
                asked.waiting.set_result(reply_of(sample, asked.letters))
        return None

    async def sample_abandoned(self, sample: Sample, epoch: int) -> list[Sample] | None:
        """Let a series go on without an answer that will never come."""
        asked = self._open.pop(str(sample.id), None)
        if asked is not None:
            self._keep_rows(asked.record.recorded)
            if asked.waiting is not None:
                asked.waiting.set_result(Reply(None, (Attempt("cancelled", "The sample was cancelled in Inspect."),)))
        return None

    async def close(self) -> None:
        """End the study where the task has ended before it: series that lack answers stay open."""
        self._closed = True
        for asked in list(self._open.values()):  # the study's thread may put another one there
            if asked.waiting is not None and not asked.waiting.done():
                asked.waiting.set_result(Reply(None, (_ENDED,)))
        self._open.clear()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, PATIENCE)
        if self._beside is not None:
            self._beside.cleanup()

    def shortfall(self, unfinished: int) -> str:
        """Say in a line how many series --limit left unfinished; "" where it was not given, or left none.

        Args:
            unfinished: series that lack answers.
        """
        limit = _limit(self._spec) if self._spec is not None else None
        if limit is None or not unfinished:
            return ""
        planned = len(self._series) * len(self._questions)
        return (
            f"--limit stops after {limit:,} question{'s' * (limit != 1)}: {unfinished:,} of {planned:,} series are "
            "unfinished. For fewer pictures use -T limit=N."
        )

    def _start(self) -> None:
        spec = self._spec
        if spec is None:
            raise PrerequisiteError("limen was not told by Inspect that the task starts. Update limen or inspect_ai.")
        if told := refusal(spec.config.epochs, spec.config.sample_id):
            raise PrerequisiteError(told)
        model = get_model()
        config = model.config.merge(active_generate_config())
        settings = config.model_dump(exclude_none=True)
        url = spec.model_base_url or ""
        fingerprint = provider.fingerprint_of(
            str(model), settings, _public(model.model_args), "" if secret_place("base_url", url) else url
        )
        concurrency = config.max_connections or min(model.api.max_connections(), 20)
        self._asker.become(str(model), settings, fingerprint, concurrency)
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def deliver(sample: Sample | None) -> None:
            loop.call_soon_threadsafe(self._arrive, sample, context=context)

        self._deliver = deliver
        self._thread = threading.Thread(target=self._run, args=(_limit(spec),), name="limen-study", daemon=True)
        self._thread.start()

    def _arrive(self, sample: Sample | None) -> None:
        """Take a sample from the study, or None where it is over."""
        if sample is None:
            self._over = True
        elif self._wanted is None and not self._ready:
            enqueue_sample(sample)
            return
        else:
            self._ready.append(sample)
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    def _ending(self) -> list[Sample] | None:
        if isinstance(self._failure, LimenError):
            raise PrerequisiteError(str(self._failure)) from self._failure
        if self._failure is not None:
            raise self._failure
        rows = self._take_rows()
        if not rows:
            return None
        record = msgspec.structs.replace(self._about(), recorded=rows)
        return [Sample(input=SAID, id=CLOSING, metadata={PLACE: plain(record)})]

    def _keep_lost(self, record: SampleRecord, sample: EvalSample) -> None:
        """Keep rows that a sample reused from an earlier attempt does not hold, for the next sample."""
        if record.recorded and (sample.metadata or {}).get(PLACE, {}).get("recorded") != plain(record.recorded):
            self._keep_rows(record.recorded)

    # --- the study's side: everything here runs in its thread ---

    def _run(self, limit: int | None) -> None:
        try:
            self.study.run(self.out, spending=Spending(limit))
        except BaseException as error:  # noqa: BLE001 - told where samples are asked for
            self._failure = error
        finally:
            if not self._closed:
                self._deliver(None)

    def ask(self, trial: Trial, query: Query) -> Future[Reply]:
        """Make a sample of a query; return where its answer will be."""
        waiting: Future[Reply] = Future()
        if self._closed:
            waiting.set_result(Reply(None, (_ENDED,)))
            return waiting
        self._logged.add(trial.key)
        self._put(trial, query, waiting)
        return waiting

    def recorded(self, trial: Trial) -> None:
        """Take note of a trial that was recorded without being asked; of an answer no sample holds, make one."""
        if trial.answer is not None and trial.key not in self._logged and not self._closed:
            self._logged.add(trial.key)
            self._put(trial, None, None)
        else:
            self._keep_rows((trial,))

    def _put(self, trial: Trial, query: Query | None, waiting: Future[Reply] | None) -> None:
        series, question = self._series[trial.series], self._questions[trial.question]
        recorded = self._take_rows()
        about, row = self._about(), series_row(series)
        record = SampleRecord(
            about.observer, about.fingerprint, replace(trial, answer=None), query.draw if query is not None else 0,
            row, tuple(one.digest for one in query.pictures) if query is not None else (),
            self._items.get(series.reference.digest) if question.itemised else None, recorded, trial.answer,
        )  # fmt: skip
        ladder = series.distortion.ladder
        text = trial.wording or "(this run did not keep the wording)"
        content: Any = text if query is None else [ChatMessageUser(content=provider.content_of(query))]
        sample = Sample(
            input=content, id=sample_id(trial, row), metadata=metadata_of(record, ladder.strengths, ladder.unit)
        )
        self._ids[str(sample.id)] += 1
        if (count := self._ids[str(sample.id)]) > 1:  # asked before, without an answer
            sample.id = f"{sample.id} {count}"
        self._open[str(sample.id)] = _Open(record, offers_letters(text), waiting)
        self._deliver(sample)

    def _take_rows(self) -> tuple[Trial, ...]:
        with self._taking:
            rows, self._rows = self._rows, []
        return tuple(replace(row, answer=None) for row in rows)

    def _keep_rows(self, rows: Iterable[Trial]) -> None:
        with self._taking:
            self._rows += rows

    def _about(self) -> SampleRecord:
        return SampleRecord(self._asker.name, dict(self._asker.fingerprint()))


def refusal(epochs: int | None, sample_ids: object) -> str:
    """Return in a line why a task cannot be evaluated so; "" where it can.

    Args:
        epochs: that were asked for.
        sample_ids: the only samples that were asked for.
    """
    if (epochs or 1) > 1:
        return (
            f"--epochs is {epochs}; limen's tasks are adaptive and ask each question once. Leave --epochs out, and ask "
            "several times by a procedure that does: -T procedure=constant -T settings='{\"draws\": 2}'."
        )
    if sample_ids is not None:
        return (
            f"--sample-id is {sample_ids}; which questions limen's tasks ask depends on the answers. Choose what is "
            "shown by -T images=... and -T distortion=..."
        )
    return ""


def sample_id(trial: Trial, row: SeriesRow) -> str:
    """Return the id of a sample: for people to read, and the same in every attempt at a task.

    Args:
        trial: that is asked.
        row: its series.
    """
    more = (
        [f"draw {trial.draw}"] * bool(trial.draw) + ["again"] * trial.again + [f"part {trial.part}"] * bool(trial.part)
    )
    compared = f"{trial.reference}:{trial.level}"
    return " ".join([row.distortion, compared, *more, row.name, trial.question, trial.key[:8]])


def metadata_of(record: SampleRecord, strengths: Sequence[float], unit: str) -> dict[str, Any]:
    """Return the metadata of a sample: columns that people group by, and limen's own record of the trial.

    Args:
        record: with a trial and its series.
        strengths: of the distortion's ladder, from level 1 on.
        unit: of the strengths.
    """
    trial, row = record.trial, record.series
    assert trial is not None
    assert row is not None
    return {
        "reference": row.name,
        "distortion": row.distortion,
        "reference_level": trial.reference,
        "level": trial.level,
        "strength": strengths[trial.level - 1] if trial.level else None,
        "unit": unit,
        "question": trial.question,
        "paraphrase": trial.again,
        PLACE: plain(record),
    }


def reply_of(sample: EvalSample, letters: bool) -> Reply:
    """Return what became of a sample, as an observer says it: an error or a limit in Inspect is never an answer.

    Args:
        sample: as it was logged.
        letters: whether the question offers A and B for yes and no.
    """
    tried = [Attempt("error", Key().scrub(one.message)) for one in sample.error_retries or ()]
    tried += provider.retried(sample.events)
    found = provider.answer_of(sample.output, letters) if sample.output.choices else None
    if sample.error is not None and isinstance(found, Attempt):  # the scorer's own error: it refuses what is no answer
        return Reply(None, (*tried, found))
    if sample.error is not None:
        return Reply(None, (*tried, Attempt("error", Key().scrub(sample.error.message))))
    if sample.limit is not None:
        return Reply(None, (*tried, Attempt("limit", f"Inspect's {sample.limit.type} limit ended the sample.")))
    if found is None or isinstance(found, Attempt):
        return Reply(None, (*tried, found or Attempt("empty", "The sample ended without an answer.")))
    return Reply(found, (*tried, Attempt("ok", "", found.seconds)))


def _public(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a provider that a run may keep: plain values, and none that looks like a secret."""
    found = {}
    for name, value in arguments.items():
        try:
            digest.canonical(value)
        except TypeError:
            continue
        if not secret_place(name, value):
            found[name] = value
    return found


def _limit(spec: EvalSpec) -> int | None:
    """Return how many samples Inspect runs at most (--limit)."""
    limit = spec.config.limit
    return max(0, limit[1] - limit[0]) if isinstance(limit, tuple) else limit


_ENDED = Attempt("stopped", "The task ended in Inspect before this question was answered.")
