"""What an exam is: some 40 questions, put before a run, that find out whether measuring is worth the money.

A threshold is worth something only if the observer saw two pictures, in that order, with the change still in them.
An exam judges the transport and whether answers to the study's own questions can be read (a failure fails the exam:
nothing is measured) and perception (a failure is a *finding*: the run goes on, marked); what the evidence does not
decide is *not known*, and a check of which answers have not come, and still may, is *open*: an exam with such a one has
not ended, and goes on. It asks with the observer's own settings,
with pictures that limen draws, and keeps what was asked and answered; what follows from it is worked out again when it
is read, as verdicts are. How it judges, and why so: `limen.examining`.
"""

import asyncio
import datetime
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from limen import digest as digests
from limen import observer as observers
from limen import question as wordings
from limen import validation
from limen.curve import Share
from limen.errors import FatalObserverError, InputError, ObserverError, StoreError, without_paths
from limen.loop import finish
from limen.observer import Observer, Reply
from limen.parsing.yes_no import Flag
from limen.preflight import agreement, legible, model_input, perception, questions, settings, transport
from limen.preflight.evidence import CheckResult, CheckStatus, Evidence, Stage, lasts
from limen.preflight.questions import ENOUGH, MEASURED, MOST, ExamItem
from limen.question import Question
from limen.spending import Spending
from limen.store import Store
from limen.store.entries import ExamEntry, QuestionEntry
from limen.trial import Answer, Attempt

__all__ = [
    "ENOUGH",
    "MOST",
    "VERSION",
    "CheckResult",
    "CheckStatus",
    "Exam",
    "ExamTrial",
    "Stage",
    "at_places",
    "examine",
    "examine_each",
    "hold",
    "judge",
    "keep",
    "kept",
]  # fmt: skip

VERSION = 1  # of questions and pictures: raised whenever one of them changes; rules are applied anew at every reading
ROUNDS = 2  # times that a question is put whose failure may pass, in one sitting
TAG = r" #[0-9a-f]{8}"  # follows an observer's name in that of its exam at another place than its keys name
STAGE = "exam"  # under which a run's store keeps the rows
_ABOUT = ("kind", "model", "max_tokens", "temperature", "seed", "logprobs")

IN_WORDS = {  # checks, as a sentence calls what they would settle
    "answers": "whether all questions are answered",
    "second picture": "whether the second picture arrives",
    "kept apart": "whether two pictures are kept apart",
    "order": "whether pictures arrive in order",
    "size": "whether pictures arrive in full size",
    "repeats": "whether answers repeat",
    "temperature": "whether the temperature is kept",
    "seed": "whether the seed is kept",
    "log probabilities": "whether p(yes) fits the answers",
    "max_tokens": "whether max_tokens is kept",
    "model": "which model answers",
    "plain difference": "whether a plain difference is noticed",
    "identical pictures": "whether identical pictures are called the same",
    "red disc": "whether a red disc is found",
    "wordings": "whether answers to all wordings can be read",
    legible.CHECK: "whether answers to the study's questions can be read",
}
_NOTES = {  # the beginning of a finding's mark, and what it means for the run
    "does not find a red disc": "could not say on which side a test disc was; this does not affect the run",
    "answers no to anything": "; expect no thresholds from it",
    "misses a plain difference": "; thresholds may come out too high",
    "answers yes to identical pictures": "; thresholds may come out too low, so look at its false alarms",
    "answers do not repeat": "; another run may differ a little",
    "answers cost over": "; the run may cost more than expected",
    "answers": "; what cannot be read is asked again in other words, and left out if that fails too",
    "the seed is not honoured": "; another run may differ, the thresholds of this one stand",
    "gives no p(yes)": "; this does not affect thresholds, which are read from the text",
    "p(yes) does not fit": "; do not rely on p(yes)",
    "calls itself": "; make sure that it is the model you mean",
    "does not answer": "; such questions stay open in the run",
    "pictures are scaled down": "; finer changes are lost on the way, and thresholds come out higher",
}


def _note(mark: str) -> str:
    """Return a finding as a sentence that says whether it affects the run."""
    means = next((means for begin, means in _NOTES.items() if mark.startswith(begin)), "; the run is marked with it")
    return f"Note: {mark if means.startswith(';') else ''}{means}."


@dataclass(frozen=True, slots=True)
class ExamTrial:
    """One question of an exam as it was put.

    Attributes:
        name: under which it is judged.
        shown: texts, and pictures by the digest of their pixels, in order.
        draw: number of a repeated draw.
        answer: None where none came.
        attempts: what was tried.
    """

    name: str
    shown: list[list[str]]
    draw: int
    answer: Answer | None
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Attempt:
        """The last attempt."""
        return self.attempts[-1] if self.attempts else Attempt("failed", "the observer gave no reason")

    @property
    def settled(self) -> bool:
        """Whether it was answered, or failed for good."""
        return self.answer is not None or lasts(self.attempts)


Note = Callable[[ExamTrial], None]
Check = Callable[[Evidence], CheckResult | None]
T = TypeVar("T")


@dataclass(frozen=True)
class Exam:
    """An exam that was held, or as far as it was.

    Attributes:
        observer: by name.
        fingerprint: digest of what decided its answers.
        about: the settings that were examined.
        sampled: whether it answers by chance.
        at: when, UTC.
        asked: everything, raw.
        waiting: questions that have not been put, or failed in a way that may pass.
        silenced: whether no more were put, because `ENOUGH` in a row stayed without an answer.
        tried: questions of a study that were put too.
    """

    observer: str
    fingerprint: str
    about: Mapping[str, Any]
    sampled: bool
    at: str
    asked: tuple[ExamTrial, ...]
    waiting: tuple[str, ...] = ()
    silenced: bool = False
    tried: tuple[Question, ...] = ()

    @cached_property
    def results(self) -> tuple[CheckResult, ...]:
        """What was found, by check."""
        answers = {one.name: one.answer for one in self.asked}
        failed = {one.name: one.last for one in self.asked if one.answer is None and one.settled}
        return judge(answers, self.about, self.sampled, failed, self.waiting, self.tried)

    @cached_property
    def plain(self) -> Share:
        """How many of the pairs that plainly differ were called different, of those whose answer can be read."""
        answers = {one.name: one.answer for one in self.asked}
        flags = perception.plain(Evidence(answers, self.about, self.sampled)).values()
        return Share(sum(flag is Flag.YES for flag in flags), len(flags))

    @property
    def answered(self) -> int:
        """How many questions were answered; with none it is no exam."""
        return sum(one.answer is not None for one in self.asked)

    @property
    def failed(self) -> bool:
        """Whether something was found that forbids to measure."""
        return bool(self.having(CheckStatus.FAILED))

    @property
    def fit(self) -> bool:
        """Whether it was passed: it came to its end, and nothing was found that forbids to measure."""
        return not self.waiting and not self.failed

    @property
    def marks(self) -> tuple[str, ...]:
        """What marks a run: the findings, each in a few words."""
        return tuple(dict.fromkeys(result.mark for result in self.having(CheckStatus.FINDING)))

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and answer tokens it cost, where the observer says."""
        answers = [one.answer for one in self.asked if one.answer is not None]
        return sum(a.tokens_in or 0 for a in answers), sum(a.tokens_out or 0 for a in answers)

    @property
    def failure(self) -> Attempt | None:
        """How the last question failed that stayed without an answer; of those that wait, where any does."""
        silent = [one for one in self.asked if one.answer is None]
        waiting = [one for one in silent if one.name in self.waiting]
        return (waiting or silent)[-1].last if silent else None

    @property
    def summary(self) -> str:
        """The outcome in sentences, a line for the whole and one for each finding."""
        last = f" {self.failure.outcome}: {self.failure.detail}".rstrip(" .:") + "." if self.failure else ""
        if not self.answered:
            return f"exam of {self.observer} not held: nothing was answered.{last}"
        tokens = f", {self.tokens[0]:,} + {self.tokens[1]:,} tokens" if self.tokens[0] else ""
        count = f"{self.answered} questions{tokens}"
        if self.failed:
            line = f"exam of {self.observer} failed ({count})."
        elif self.waiting:
            open_ = "1 is open and is" if len(self.waiting) == 1 else f"{len(self.waiting)} are open and are"
            line = (
                f"exam of {self.observer} not finished ({count} answered; {open_} put again at the next start).{last}"
            )
        else:
            line = f"exam of {self.observer} passed ({count})."
        for status, word in ((CheckStatus.UNKNOWN, "Not settled"), (CheckStatus.OPEN, "Still open")):
            checks = ", ".join(IN_WORDS.get(result.check, result.check) for result in self.having(status))
            line += f" {word}: {checks}." if checks else ""
        return "\n".join([line, *map(_note, self.marks)])

    @property
    def complaint(self) -> str:
        """What it failed by and what to change, in one line; "" where it did not fail."""
        return " ".join(f"{one.check}: {one.seen}. {one.change}." for one in self.having(CheckStatus.FAILED))

    def having(self, status: CheckStatus) -> tuple[CheckResult, ...]:
        """Return the results of one status."""
        return tuple(result for result in self.results if result.status is status)


Tell = Callable[[Exam], None]


def judge(
    answers: Mapping[str, Answer | None],
    about: Mapping[str, Any],
    sampled: bool,
    failed: Mapping[str, Attempt] | None = None,
    waiting: Sequence[str] = (),
    tried: Sequence[Question] = (),
) -> tuple[CheckResult, ...]:
    """Return what follows from the answers; pure, so that an old exam can be judged by newer rules.

    Args:
        answers: by the names of `limen.preflight.questions.plan`.
        about: the observer's fingerprint, or that part of it.
        sampled: whether it answers by chance.
        failed: questions that failed for good, with the last attempt.
        waiting: questions whose answers may still come: a check that looks for one of them is open.
        tried: questions of a study that were put too.
    """
    known = {**dict.fromkeys(waiting), **answers}
    results = []
    checks: list[Check] = [*transport.CHECKS, *settings.CHECKS, *perception.CHECKS]
    checks += [functools.partial(legible.legible, asked=tried)] if tried else []
    for check in checks:
        evidence = Evidence(known, about, sampled, failed or {})
        found = check(evidence)
        if found is not None and (lacking := len(evidence.looked.intersection(waiting))):
            lacks = f"{lacking} of the {len(evidence.looked)} answers it looks at have not come"
            found = CheckResult(found.check, found.stage, CheckStatus.OPEN, lacks)
        results += [found] if found is not None else []
    return tuple(results)


async def hold(
    observer: Observer,
    at: str = "",
    known: Mapping[str, ExamTrial] | None = None,
    note: Note = lambda one: None,
    tell: Tell = lambda held: None,
    spending: Spending | None = None,
    asked: Iterable[Question] = (),
) -> Exam:
    """Examine an observer that has been entered.

    The first question is put alone: if it stays without an answer, no other is put. The others are put side by side,
    as many as the observer takes. One whose failure may pass is put once more.

    Args:
        observer: to be examined.
        at: when the exam began, for one that goes on; now, if not given.
        known: what has been asked before, by name; it is not asked again.
        note: called with each question when its answer comes, or fails to.
        tell: called then with the exam as far as it is.
        spending: of the run; what its limits do not allow stays open. Without limits, if not given.
        asked: questions of the study that is to follow; those that show several pictures are tried.

    Raises:
        FatalObserverError: it would answer no question at all.
        InputError: it answers with numbers, so that no question can be put to it.
    """
    if observer.numeric:
        raise InputError(f"{observer.name} compares two pictures by a number: there is nothing to examine. Measure it.")
    tried = questions.tried(asked)
    sitting = _Sitting(observer, at or _now(), dict(known or {}), note, tell, spending or Spending(), tried)
    opening = sitting.items[:1]
    for _ in range(ROUNDS):
        await sitting.put_all(_waiting(opening, sitting.asked))
    first = sitting.asked.get(opening[0].name)
    if first is not None and first.answer is not None:
        for _ in range(ROUNDS):
            await sitting.put_all(sitting.waiting())
    return sitting.exam()


class _Sitting:
    """An observer at its exam."""

    def __init__(
        self, observer: Observer, at: str, known: dict[str, ExamTrial], note: Note, tell: Tell, spending: Spending,
        tried: tuple[Question, ...],
    ) -> None:  # fmt: skip
        self.observer, self.at, self.asked, self.note, self.tell = observer, at, known, note, tell
        self.spending, self.tried = spending, tried
        self.fingerprint, self.sampled = dict(observer.fingerprint()), observer.sampled
        self.items = (*questions.plan(self.fingerprint, self.sampled), *questions.of_study(tried))
        self.silent = 0

    def exam(self) -> Exam:
        """Return the exam as far as it is."""
        about = {name: self.fingerprint[name] for name in _ABOUT if name in self.fingerprint}
        asked = tuple(self.asked[item.name] for item in self.items if item.name in self.asked)
        waiting = tuple(item.name for item in self.waiting())
        name, digest = self.observer.name, digests.of(self.fingerprint)
        silenced = bool(waiting) and self.silent >= ENOUGH
        return Exam(name, digest, about, self.sampled, self.at, asked, waiting, silenced, self.tried)

    def waiting(self) -> list[ExamItem]:
        """Return what has not been put, or failed in a way that may pass."""
        return _waiting(self.items, self.asked)

    async def put_all(self, items: Sequence[ExamItem]) -> None:
        """Put questions side by side, until too many in a row stay without an answer."""
        gate = asyncio.Semaphore(self.observer.concurrency)

        async def put(item: ExamItem) -> None:
            async with gate:
                if self.silent < ENOUGH:
                    await self.put(item)

        tasks = [asyncio.create_task(put(item)) for item in items]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def put(self, item: ExamItem) -> None:
        """Put one question. Only with pairs, or as a study asks, does a fatal failure say that nothing is measured."""
        try:
            reply = await self.spending.ask(self.observer, item.query)
        except FatalObserverError as error:
            if len(item.query.pictures) == 2 or item.name.startswith(MEASURED):
                raise
            reply = Reply(None, (Attempt("rejected", str(error)),))
        except ObserverError as error:
            reply = Reply(None, (Attempt(error.kind, error.detail),))
        if reply is None:
            return
        self.silent = self.silent + 1 if reply.answer is None else 0
        attempts = tuple(replace(one, detail=without_paths(one.detail)) for one in reply.attempts)
        one = ExamTrial(item.name, item.query.shown, item.query.draw, reply.answer, attempts)
        self.asked[item.name] = one
        self.note(one)
        self.tell(self.exam())


def _waiting(items: Sequence[ExamItem], asked: Mapping[str, ExamTrial]) -> list[ExamItem]:
    """Return what of an exam is not settled; where no prompt tokens are told, nothing is put for their sake."""
    opening = asked.get(items[0].name)
    counted = opening is None or opening.answer is None or opening.answer.tokens_in
    wanted = [item for item in items if counted or not item.for_tokens]
    return [item for item in wanted if item.name not in asked or not asked[item.name].settled]


def examine(
    name: str,
    options: Mapping[str, Any] | None = None,
    tell: Tell = lambda held: None,
    asked: Iterable[Question] = (),
) -> Exam:
    """Make the observer that `KIND` or `KIND:MODEL` names and examine it; `hold` does it inside an event loop.

    Args:
        name: "KIND" or "KIND:MODEL".
        options: the observer's settings by name.
        tell: called with the exam as far as it is, after each answer.
        asked: questions of a study; those that show several pictures are tried.
    """

    async def run() -> Exam:
        async with observers.make(name, options or {}) as observer:
            return await hold(observer, tell=tell, asked=asked)

    return finish(run())


def examine_each(
    name: str,
    options: Mapping[str, Any] | None = None,
    tell: Tell = lambda held: None,
    asked: Iterable[Question] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Mapping[str, str]:
    """Make the observer that `KIND` or `KIND:MODEL` names and examine it at each of the places where it is asked.

    Args:
        name: "KIND" or "KIND:MODEL".
        options: the observer's settings by name.
        tell: called with the exam of one place as far as it is, after each answer.
        asked: questions of a study; those that show several pictures are tried.
        say: called with a line of what else a person should know: who is away, how alike all answer.

    Returns:
        The places where no exam was held, with why.

    Raises:
        FatalObserverError: one of them would answer no question at all.
        InputError: they serve different models.
    """
    asked = tuple(asked)

    async def run() -> Mapping[str, str]:
        held: list[Exam] = []

        async def at(place: Observer, tag: str) -> str:
            held.append(await hold(place, tell=tell, asked=asked))
            return ""

        observer = observers.make(name, options or {})
        if isinstance(observer, observers.Notifier):
            observer.tell = say
        async with observer:
            if not isinstance(observer, observers.Hosted):
                await at(observer, "")
                return {}
            await observer.admit(at)
            for line in _alike(observer, held):
                say(line)
            return observer.unexamined

    return finish(run())


# --- in a run ---


async def keep(
    observer: Observer, store: Store, tell: Tell = lambda held: None, spending: Spending | None = None
) -> str:
    """Examine an observer before a run's first question, once for each fingerprint, and return what to tell.

    The questions that the run is to ask are tried too: one that a later session adds, when that begins.

    Questions and answers go into the store as they come, so that an exam that is broken off goes on from there; the
    outcome goes into the manifest when it has ended. One that stays open in parts stops nothing and goes on at the next
    start. An observer that failed is examined anew then: what was wrong may be mended where no fingerprint shows it.

    Args:
        observer: entered.
        store: the run's, open for writing.
        tell: called with the exam as far as it is, after each question.
        spending: of the run; what its limits do not allow stays open.

    Raises:
        FatalObserverError: it failed, with what to change; the observer answered nothing, or fell silent, with the last
            failure; or it would answer no question at all.
    """
    if observer.numeric:  # nothing can be asked of it but two pictures: what it judges by is told
        row = store.measurements("calibration").get(observer.name)
        return f"{observer.name}: {model_input.judged(row)}." if row else ""
    if not isinstance(observer, observers.Hosted):
        return await _keep(observer, observer.name, store, tell, spending)

    tell_all = _together(tell)

    async def examine_at(place: Observer, tag: str) -> str:
        return await _keep(place, observer.name + tag, store, tell_all, spending)

    told = await observer.admit(examine_at)
    names = [observer.name + tag for tag in observer.exam_tags]
    told += _alike(observer, [exam for exam in kept(store) if exam.observer in names])
    return "\n".join(told)


def _together(tell: Tell) -> Tell:
    """Return what tells of exams that are held side by side as of one, as far as all of them are."""
    latest: dict[str, Exam] = {}

    def tell_all(one: Exam) -> None:
        latest[one.observer] = one
        asked = tuple(trial for exam in latest.values() for trial in exam.asked)
        tell(replace(one, asked=asked, waiting=tuple(name for exam in latest.values() for name in exam.waiting)))

    return tell_all


def _alike(observer: Observer, held: Sequence[Exam]) -> Iterator[str]:
    """Yield what to tell of how alike the places of an observer answer, by their exams."""
    if observer.sampled or len(held) < 2:
        return
    answers = [{one.name: one.answer.text for one in exam.asked if one.answer is not None} for exam in held]
    systems = {one.last.detail for exam in held for one in exam.asked if one.answer is not None and one.last.detail}
    yield from agreement.told(observer.name, answers, systems)


async def _keep(observer: Observer, name: str, store: Store, tell: Tell, spending: Spending | None) -> str:
    """Examine an observer, or one place of it.

    Args:
        observer: entered.
        name: under which the run keeps the exam.
        store: as for `keep`.
        tell: likewise.
        spending: likewise.
    """
    digest = digests.of(dict(observer.fingerprint()))
    before = _entries(store).get(name)
    same = before is not None and (before.version, before.fingerprint) == (VERSION, digest)
    goes_on = before is not None and same and before.fit is not False
    at = before.at if before is not None and goes_on else _now()
    passed = before is not None and same and _passed(before)
    held = _asked(store, name, at)
    asked = _tried(store, held)
    if before is not None and passed and not _lacking(asked, held):
        return "\n".join([f"exam of {observer.name} passed, held before.", *map(_note, before.marks or ())])

    def note(one: ExamTrial) -> None:
        if one.settled:
            row: dict[str, Any] = msgspec.to_builtins(one)
            store.add_measurements(STAGE, {f"{name} {at} {one.name}": {"observer": name, "at": at} | row})

    entry = {"version": VERSION, "fingerprint": digest, "at": at}
    _enter(store, name, entry)
    known = {one.name: one for one in held.values() if passed or one.answer is not None}
    exam = await hold(observer, at, known, note, tell, spending, asked)
    if exam.answered and (exam.failed or not exam.waiting):
        _enter(store, name, entry | _outcome(exam))
    _refuse(exam)
    return exam.summary


def pending(
    observer: Observer,
    store: Store | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    asked: Sequence[Question] = (),
) -> int:
    """Return how many questions an exam of an observer would put at most, at all its places, before it is entered.

    Args:
        observer: to be examined.
        store: of a run, whose exams need not be held again; None where there is none.
        fingerprint: of the observer, as far as it is known before it is entered.
        asked: questions of the study that is to follow.
    """
    if observer.numeric:
        return 0
    tags: tuple[str, ...] = ("",)
    if isinstance(observer, observers.Hosted):
        if store is not None and observer.name in store.manifest["observers"]:
            before = store.manifest.get("endpoints", {}).get(observer.name, [])
            observer.resume(store.manifest["observers"][observer.name], before)
        tags = observer.exam_tags
    return sum(_pending(observer, observer.name + tag, store, fingerprint, asked) for tag in tags)


def _pending(
    observer: Observer, name: str, store: Store | None, fingerprint: Mapping[str, Any] | None,
    asked: Iterable[Question],
) -> int:  # fmt: skip
    """Return how many questions the exam of one place that is kept under `name` would put at most."""
    known = dict(store.manifest["observers"].get(observer.name, {})) if store is not None else {}
    settings = known or dict(fingerprint or {"max_tokens": observer.max_tokens})
    tried = questions.tried(asked)
    names = {*(item.name for item in questions.plan(settings, observer.sampled)), *_lacking(tried, {})}
    before = _entries(store).get(name) if store is not None else None
    if store is None or before is None or (before.version, before.fingerprint) != (VERSION, digests.of(settings)):
        return len(names)
    held = _asked(store, name, before.at) if before.fit is not False else {}
    if _passed(before):
        return len(_lacking(tried, held))
    return len(names) - sum(one.answer is not None and one.name in names for one in held.values())


def _passed(entry: ExamEntry) -> bool:
    """Say whether an exam came to its end and was passed."""
    return entry.fit is True and entry.questions is not UNSET


def _tried(store: Store, held: Mapping[str, ExamTrial]) -> tuple[Question, ...]:
    """Return the questions of a run that an exam of it tries: those of the session, and what has been tried before."""
    wanted = store.manifest.get("aim", {}).get("questions", ())
    return questions.tried(one for one in _questions(store) if one.name in wanted or _was_tried(one, held))


def _questions(store: Store) -> Iterator[Question]:
    """Yield the questions that a run's manifest describes."""
    for name, entry in _read(store, "questions", dict[str, QuestionEntry]).items():
        yield wordings.recorded(name, entry)


def _was_tried(question: Question, held: Mapping[str, ExamTrial]) -> bool:
    """Say whether an exam has put a question for a study's sake."""
    return any(name.startswith(questions.ASKED) and name in held for name in questions.names(question))


def _lacking(asked: Iterable[Question], held: Mapping[str, ExamTrial]) -> list[str]:
    """Return the names of what was not put of a study's questions, and is settled by no other question of an exam."""
    names = (name for question in asked for name in questions.names(question))
    return [name for name in names if name.startswith(questions.ASKED) and name not in held]


def _refuse(exam: Exam) -> None:
    """Raise where an exam says that nothing should be measured, or says too little."""
    last = exam.failure
    if last is not None and last.outcome == "not-recorded":
        return  # answers that were recorded are replayed, and none of an exam were
    if exam.answered and exam.failed:
        advice = "`limen exam` (with the study file, or --question) shows every check; --no-exam measures all the same."
        raise FatalObserverError("exam failed", f"{exam.observer}: {exam.complaint} {advice}")
    if last is not None and not exam.answered:
        raise FatalObserverError(last.outcome, f"{exam.observer} answers nothing: {last.detail or 'no reason given'}")
    if last is not None and exam.silenced:
        total = len(exam.waiting) + sum(one.settled for one in exam.asked)
        what = f"the exam of {exam.observer} broke off after {total - len(exam.waiting)} of {total} questions"
        advice = "What was answered is kept, and the same command goes on from there; --no-exam measures all the same."
        raise FatalObserverError(last.outcome, f"{what}: {last.detail.rstrip('.') or 'no reason given'}. {advice}")


def kept(store: Store) -> tuple[Exam, ...]:
    """Return the last exam of each of a run's observers, judged anew from its answers; none where none was ended."""
    exams = []
    for name, entry in _entries(store).items():
        if entry.fit is UNSET:
            continue
        about, sampled = entry.about or {}, entry.sampled is True
        asked = _asked(store, name, entry.at)
        waiting: Sequence[str] = ()
        if entry.questions is UNSET and entry.fit:  # from before failures for good were kept: few of them are no matter
            lacking = _waiting(questions.plan(about, sampled), asked)
            waiting = [item.name for item in lacking] if len(lacking) >= ENOUGH else ()
        given = (name, entry.fingerprint, about, sampled, entry.at)
        tried = questions.tried(one for one in _questions(store) if _was_tried(one, asked))
        exams.append(Exam(*given, tuple(asked.values()), tuple(waiting), tried=tried))
    return tuple(exams)


def at_places(name: str, exams: Iterable[Exam]) -> list[Exam]:
    """Return the exams of one observer, at every place where a run has asked it.

    Args:
        name: of the observer.
        exams: of the run (`kept`).
    """
    return [one for one in exams if one.observer == name or re.fullmatch(TAG, one.observer.removeprefix(name))]


def _entries(store: Store) -> dict[str, ExamEntry]:
    """Return what the manifest says of exams, by observer."""
    advice = ", or take the entry out: observers are then examined again"
    return _read(store, "exams", dict[str, ExamEntry], advice)


def _read(store: Store, entry: str, kind: type[T], advice: str = "") -> T:
    """Return an entry of the manifest, or raise `StoreError` where limen does not write it so."""
    content = store.manifest.get(entry, {})
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        wrong = validation.fault(error, content, kind)
        raise StoreError(
            f"{store.path / 'manifest.json'}: its entry {entry!r} is not one that limen writes ({wrong.place or 'it'} "
            f"{wrong.what}). Restore it from a copy{advice}."
        ) from None


def _asked(store: Store, name: str, at: str) -> dict[str, ExamTrial]:
    """Return what a run's store holds of one exam, by the name of the question."""
    rows = (row for row in store.measurements(STAGE).values() if row["observer"] == name and row["at"] == at)
    return {row["name"]: msgspec.convert({key: row[key] for key in ExamTrial.__slots__}, ExamTrial) for row in rows}


def _enter(store: Store, name: str, entry: Mapping[str, Any]) -> None:
    store.amend(exams=store.manifest.get("exams", {}) | {name: dict(entry)})


def _outcome(exam: Exam) -> dict[str, Any]:
    found = {"about": dict(exam.about), "sampled": exam.sampled, "fit": not exam.failed, "marks": list(exam.marks)}
    counts = {"answers": exam.answered, "questions": sum(one.settled for one in exam.asked)}
    return found | counts | {"results": [list(astuple(result)) for result in exam.results]}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
