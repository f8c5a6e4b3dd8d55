"""What a study is: observers x questions x series under a procedure. The only room where all three meet.

Procedures decide, observers answer, the store records. Running a study again in the same directory resumes it:
what was answered is not asked again.
"""

import asyncio
import datetime
import platform
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import msgspec

import limen
from limen import distortion as distortions
from limen import ident, registry, sources
from limen import observer as observers
from limen import procedure as procedures
from limen import question as questions
from limen.errors import FatalObserverError, InputError, StoreError
from limen.image import Picture, png
from limen.observer import Observer
from limen.procedure import Method, Probe
from limen.question import Order, Query, Question
from limen.reading import READER_VERSION, Flag, Verdict
from limen.stimulus import Series
from limen.store import SeriesRow, Store
from limen.threshold import Threshold
from limen.trial import Answer, Attempt, Trial

IMAGE_DISTORTIONS = (
    "blur", "brightness", "saturation", "contrast", "noise", "jpeg", "banding", "mask", "qr", "text",
)  # fmt: skip


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to measure, as a study file (TOML) says it.

    Attributes:
        images: files, folders, or "demo" for the bundled photographs.
        distortions: by name; all ten image distortions if not given.
        observers: a name ("openai:gpt-4o"), or a table with `name` and the settings of that kind.
        questions: "direct", "direct-implicit", "choice", "choice-implicit".
        order: of reference, stimulus and question.
        procedure: a table with `name` and its settings.
        limit: at most so many references; a larger one later appends.
        seed: of the random draws of stimuli.
        identical_pairs: also show each reference with itself, for the false-alarm rate.
        keep_megabytes: budget for keeping references in the store, so that reports can show them; 0 keeps none.
    """

    images: tuple[str, ...]
    observers: tuple[str | dict[str, Any], ...]
    distortions: tuple[str, ...] = IMAGE_DISTORTIONS
    questions: tuple[str, ...] = ("direct",)
    order: Order = Order.REFERENCE_FIRST
    procedure: dict[str, Any] = msgspec.field(default_factory=lambda: {"name": "skip"})
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    seed: int = 0
    identical_pairs: bool = True
    keep_megabytes: Annotated[float, msgspec.Meta(ge=0)] = 200.0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A series that stays open, and why."""

    observer: str
    distortion: str
    reference: str
    kind: str
    detail: str


@dataclass
class Progress:
    """How far a study is; counted up while it runs.

    Attributes:
        total, done: series, over all observers and questions.
        asked: queries answered by an observer in this session.
        replayed: queries whose answer was in the store.
        failures: attempts that failed.
        tokens_in, tokens_out: spent in this session, where the observer says.
        unfinished: series left open.
        refused: one line for each file that could not be used.
        notices: what a person should know before it starts (where photographs are sent).
    """

    total: int = 0
    done: int = 0
    asked: int = 0
    replayed: int = 0
    failures: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unfinished: list[Unfinished] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    notices: list[str] = field(default_factory=list)

    def count(self, answer: Answer) -> None:
        """Add one answer's cost."""
        self.asked += 1
        self.tokens_in += answer.tokens_in or 0
        self.tokens_out += answer.tokens_out or 0


Watch = Callable[[Progress], None]


class _Unanswered(Exception):
    """A query that stays without an answer for now."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(f"{kind}: {detail}")


@dataclass
class _Put:
    """One observer and how questions are put to it: the part of a study that does I/O."""

    observer: Observer
    fingerprint: str
    store: Store
    progress: Progress
    watch: Watch
    offline: bool
    budget: float
    identical_pairs: bool
    flying: dict[str, asyncio.Future[Answer | None]] = field(default_factory=dict)
    silent: int = 0  # queries since the last answer
    kept: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gate = asyncio.Semaphore(self.observer.concurrency)

    async def series(self, question: Question, series: Series, method: Method) -> None:
        """Run the procedure on one series, then show the identical pairs."""
        talk = _Talk(self, question, series)
        course = method.start(series.distortion.ladder)
        thresholds: tuple[Threshold, ...]
        try:
            ask = next(course)
            while True:
                ask = course.send(await talk.verdicts(ask.needed))
        except StopIteration as stop:
            thresholds = stop.value
        if self.identical_pairs:
            references = {0} | {threshold.reference for threshold in thresholds}
            await talk.verdicts(tuple(Probe(level, level) for level in sorted(references)))

    async def answer(self, query: Query, trial: Trial) -> Answer:
        """Return the answer to a query from the store, from a request under way, or from the observer."""
        found = self.store.get(trial.key)
        if found is None and trial.key in self.flying:
            found = await self.flying[trial.key]
        if found is not None:
            await self.store.add(_answered(trial, found))
            self.progress.replayed += 1
            return found
        if self.offline:
            raise _Unanswered("not-recorded", "the run holds no answer to this, and --offline asks nobody")
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.flying[trial.key] = future
        try:
            async with self.gate:
                reply = await self.observer.answer(query)
            await self.store.add(_answered(trial, reply.answer), reply.attempts)
            self._count(reply.answer, reply.attempts)
            future.set_result(reply.answer)
        finally:
            del self.flying[trial.key]
            if not future.done():
                future.set_result(None)
        if reply.answer is None:
            last = reply.attempts[-1] if reply.attempts else Attempt("failed", "the observer gave no reason")
            raise _Unanswered(last.outcome, last.detail)
        return reply.answer

    def _count(self, answer: Answer | None, attempts: tuple[Attempt, ...]) -> None:
        self.progress.failures += len(attempts) - (answer is not None)
        if answer is None:
            self.silent += 1
            if self.silent >= max(20, 3 * self.observer.concurrency):
                last = attempts[-1].outcome if attempts else "failed"
                raise FatalObserverError(
                    last, f"{self.silent} questions in a row got no answer from {self.observer.name}"
                )
        else:
            self.silent = 0
            self.progress.count(answer)
        self.watch(self.progress)

    async def keep(self, picture: Picture) -> None:
        """Keep a reference's pixels while the budget lasts."""
        if picture.digest in self.kept or self.budget <= 0:
            return
        self.kept.add(picture.digest)
        data = await asyncio.to_thread(png, picture.pixels)
        self.budget -= len(data)
        await self.store.keep(picture.digest, data)


class _Talk:
    """One series being put to one observer."""

    def __init__(self, put: _Put, question: Question, series: Series) -> None:
        self._put, self._question, self._series = put, question, series
        self._stimuli: Callable[[int], Picture] | None = None
        self._opening = threading.Lock()
        self._known: dict[tuple[Probe, bool, int], Trial] = {
            (Probe(t.reference, t.level, t.draw), t.again, t.part): t
            for t in put.store.trials(put.observer.name, question.name, series.id)
        }

    async def verdicts(self, probes: tuple[Probe, ...]) -> dict[Probe, Verdict]:
        if len(probes) == 1:
            return {probes[0]: await self._verdict(probes[0])}
        return dict(zip(probes, await asyncio.gather(*map(self._verdict, probes)), strict=True))

    async def _verdict(self, probe: Probe) -> Verdict:
        first = await self._answers(probe, again=False)
        if not first:
            return Verdict(Flag.NO)  # the two stimuli are one picture: there is nothing to notice
        verdict = self._question.read(first)
        if verdict.flag is Flag.UNREADABLE:
            verdict = self._question.read(first, await self._answers(probe, again=True))
        return verdict

    async def _answers(self, probe: Probe, again: bool) -> tuple[Answer, ...]:
        """Return the answers to one ask, or () where both stimuli are the same picture and nothing is asked."""
        known = self._recorded(probe, again)
        if known is not None:
            return known
        reference, stimulus = await asyncio.to_thread(self._pictures, probe)
        if probe.level != probe.reference and reference.digest == stimulus.digest:
            await self._put.store.add(self._trial(probe, again, 0, ""))
            return ()
        if probe.reference == 0:
            await self._put.keep(reference)
        answers = []
        for part, query in enumerate(self._question.ask(self._series.distortion.word, reference, stimulus, again)):
            shown = Query(query.parts, probe.draw)
            answers.append(
                await self._put.answer(shown, self._trial(probe, again, part, shown.key(self._put.fingerprint)))
            )
        return tuple(answers)

    def _recorded(self, probe: Probe, again: bool) -> tuple[Answer, ...] | None:
        """Return what the store has, without drawing a pixel; None where something is missing."""
        answers: list[Answer] = []
        while (trial := self._known.get((probe, again, len(answers)))) is not None:
            if not trial.key:
                return ()
            if trial.answer is None:
                return None
            answers.append(trial.answer)
            self._put.progress.replayed += 1
        return tuple(answers) or None

    def _pictures(self, probe: Probe) -> tuple[Picture, Picture]:
        with self._opening:
            if self._stimuli is None:
                self._stimuli = self._series.open()
        return self._stimuli(probe.reference), self._stimuli(probe.level)

    def _trial(self, probe: Probe, again: bool, part: int, key: str) -> Trial:
        names = (self._put.observer.name, self._question.name, self._series.id)
        return Trial(*names, probe.reference, probe.level, probe.draw, again, part, key)


def _answered(trial: Trial, answer: Answer | None) -> Trial:
    return Trial(
        trial.observer, trial.question, trial.series, trial.reference, trial.level, trial.draw, trial.again, trial.part,
        trial.key, answer,
    )  # fmt: skip


@dataclass(frozen=True)
class Study:
    """Observers x questions x series under a procedure, ready to run.

    Attributes:
        spec: what was asked for.
        observers: made, not yet entered.
        questions, series: all of them.
        method: the procedure with its settings.
        refused: one line for each file that could not be used.
    """

    spec: Spec
    observers: tuple[Observer, ...]
    questions: tuple[Question, ...]
    series: tuple[Series, ...]
    method: Method
    refused: tuple[str, ...] = ()

    @classmethod
    def plan(cls, spec: Spec, progress: Callable[[str], None] = lambda name: None) -> "Study":
        """Check every name and setting, find the references, and make the series."""
        if not spec.observers or not spec.distortions or not spec.questions:
            raise InputError("A study needs at least one observer, one distortion and one question.")
        kinds = [distortions.find(name) for name in dict.fromkeys(spec.distortions)]
        asked = tuple(questions.find(name, spec.order) for name in dict.fromkeys(spec.questions))
        settings = dict(spec.procedure)
        method = procedures.make(str(settings.pop("name", "skip")), settings)
        for kind in kinds:
            next(method.start(kind.ladder))  # a setting that does not fit the ladder is known before the first question
        seen = [_make_observer(entry) for entry in spec.observers]
        if len({observer.name for observer in seen}) < len(seen):
            raise InputError("Two observers of the study have one name. Give one of them another name or model.")
        found = sources.find(spec.images, spec.limit, progress)
        series = tuple(Series(reference, kind, spec.seed) for reference in found.references for kind in kinds)
        return cls(spec, tuple(seen), asked, series, method, found.refused)

    def run(self, out: Path, watch: Watch = lambda progress: None, offline: bool = False) -> Progress:
        """Measure into the run directory `out`, resuming what is there.

        Args:
            out: the run directory.
            watch: called while it runs.
            offline: only replay; asks no observer.

        Raises:
            StoreError: `out` cannot be written, or holds another study.
            FatalObserverError: an observer would answer no question; what was answered is kept.
        """
        progress = Progress(len(self.series) * len(self.questions) * len(self.observers), refused=self.refused)
        with Store.create(out, self._manifest()) as store:
            self._same(store)
            store.add_series(_row(series) for series in self.series)
            asyncio.run(self._run(store, progress, watch, offline))
        return progress

    async def _run(self, store: Store, progress: Progress, watch: Watch, offline: bool) -> None:
        budget = self.spec.keep_megabytes * 1e6 - store.kept_bytes()
        for observer in self.observers:
            async with observer:
                fingerprint = dict(observer.fingerprint())
                known = store.manifest["observers"]
                if known.setdefault(observer.name, fingerprint) != fingerprint:
                    raise _other(store.path, f"observer {observer.name}", known[observer.name], fingerprint)
                store.amend(observers=known, versions=store.manifest["versions"] | _versions("torch", "transformers"))
                notice = getattr(observer, "notice", "")
                if notice and not offline:
                    progress.notices.append(notice)
                watch(progress)
                put = _Put(
                    observer, ident.digest(fingerprint), store, progress, watch, offline, budget,
                    self.spec.identical_pairs,
                )  # fmt: skip
                await self._observe(put)
                budget = put.budget

    async def _observe(self, put: _Put) -> None:
        work = ((question, series) for question in self.questions for series in self.series)
        workers = [asyncio.create_task(self._work(put, work)) for _ in range(put.observer.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, put: _Put, work: Iterator[tuple[Question, Series]]) -> None:
        for question, series in work:
            try:
                await put.series(question, series, self.method)
            except (_Unanswered, InputError) as error:
                kind = error.kind if isinstance(error, _Unanswered) else "input"
                detail = error.detail if isinstance(error, _Unanswered) else str(error)
                put.progress.unfinished.append(
                    Unfinished(put.observer.name, series.distortion.name, series.reference.name, kind, detail)
                )
            put.progress.done += 1
            put.watch(put.progress)

    def _manifest(self) -> dict[str, Any]:
        kinds = {series.distortion.name: series.distortion for series in self.series}
        return {
            "limen": limen.__version__,
            "git": _git_revision(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": {"python": platform.python_version()} | _versions("numpy", "pillow", "segno"),
            "reader": READER_VERSION,
            "procedure": self._procedure(),
            "seed": self.spec.seed,
            "distortions": {name: _ladder(kind) for name, kind in sorted(kinds.items())},
            "questions": {question.name: _wording(question) for question in self.questions},
            "observers": {},
        }

    def _procedure(self) -> dict[str, Any]:
        chosen: dict[str, Any] = msgspec.to_builtins(self.method)
        return {"name": self.spec.procedure.get("name", "skip"), **chosen}

    def _same(self, store: Store) -> None:
        """Refuse a directory that holds another study; add distortions and questions that are new to it."""
        mine, there = self._manifest(), store.manifest
        for entry in ("procedure", "seed"):
            if mine[entry] != there[entry]:
                raise _other(store.path, entry, there[entry], mine[entry])
        for entry in ("distortions", "questions"):
            for name, content in mine[entry].items():
                if there[entry].setdefault(name, content) != content:
                    raise _other(store.path, f"{entry[:-1]} {name}", there[entry][name], content)
        store.amend(distortions=there["distortions"], questions=there["questions"])


def _make_observer(entry: str | dict[str, Any]) -> Observer:
    if isinstance(entry, str):
        return observers.make(entry, {})
    settings = dict(entry)
    name = settings.pop("name", None)
    if not isinstance(name, str):
        raise InputError("An observer needs a name: [[observers]] name = 'openai:gpt-4o'.")
    return observers.make(name, settings)


def _row(series: Series) -> SeriesRow:
    kind, reference = series.distortion, series.reference
    return SeriesRow(series.id, kind.name, kind.word, reference.name, reference.digest, series.key, len(series))


def _ladder(kind: distortions.Distortion) -> dict[str, Any]:
    ladder = kind.ladder
    return {
        "version": kind.version,
        "word": kind.word,
        "unit": ladder.unit,
        "ladder": ladder.digest,
        "strengths": list(ladder.strengths),
    }


def _wording(question: Question) -> dict[str, Any]:
    text = question.wording.implicit if question.implicit else question.wording.explicit
    return {"digest": question.digest, "order": question.order.value, "text": text}


def _versions(*names: str) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git_revision() -> str | None:
    """Return the commit limen runs from, where this very file is tracked by one."""
    here = Path(__file__)
    try:
        for command in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
            call = ["git", "-C", str(here.parent), *command]
            result = subprocess.run(call, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _other(path: Path, what: str, there: object, given: object) -> StoreError:
    return StoreError(
        f"{path} holds another study: {what} was {_short(there)} there and is {_short(given)} now. Give another --out."
    )


def _short(content: object) -> str:
    text = ident.canonical(content).decode()
    return text if len(text) <= 200 else f"{text[:80]}... (digest {ident.digest(content)[:8]})"


def load(path: Path, changes: Mapping[str, Any] | None = None) -> Spec:
    """Read a study file (TOML); paths in it are relative to the file.

    Args:
        path: the file.
        changes: entries that replace the file's.

    Raises:
        InputError: it cannot be read, or has an unknown key (the nearest known one is named).
    """
    try:
        content = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: is not TOML ({error}).") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a table of settings.")
    places = content.get("images")
    if isinstance(places, list):
        content["images"] = [p if p == sources.DEMO else str(path.parent / str(p)) for p in places]
    return registry.settings(str(path), content | dict(changes or {}), Spec)
