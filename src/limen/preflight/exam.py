"""What an exam is: at most 40 questions, put before a run, that find out whether measuring is worth the money.

A threshold is worth something only if the observer saw two pictures, in that order, with the change still in them.
An exam judges the transport (a failure fails the exam: nothing is measured) and perception (a failure is a *finding*:
the run goes on, marked); what the evidence does not decide is *not known*, and a check of which answers have not come,
and still may, is *open*: an exam with such a one has not ended, and goes on. It asks with the observer's own settings,
with pictures that limen draws, and keeps what was asked and answered; what follows from it is worked out again when it
is read, as verdicts are. How it judges, and why so: `limen.examining`.
"""

import asyncio
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET

from limen import digest as digests
from limen import observer as observers
from limen.curve import Share
from limen.errors import FatalObserverError, InputError, ObserverError, StoreError, without_paths
from limen.loop import finish
from limen.observer import Observer, Reply
from limen.parsing.yes_no import Flag
from limen.preflight import model_input, perception, questions, settings, transport
from limen.preflight.evidence import CheckResult, CheckStatus, Evidence, Stage, lasts
from limen.preflight.questions import ENOUGH, MOST, ExamItem
from limen.store import Store
from limen.store.entries import ExamEntry
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
    "examine",
    "hold",
    "judge",
    "keep",
    "kept",
]  # fmt: skip

VERSION = 1  # of questions and pictures: raised whenever one of them changes; rules are applied anew at every reading
ROUNDS = 2  # times that a question is put whose failure may pass, in one sitting
STAGE = "exam"  # under which a run's store keeps the rows
_ABOUT = ("kind", "model", "max_tokens", "temperature", "seed", "logprobs")


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
    """

    observer: str
    fingerprint: str
    about: Mapping[str, Any]
    sampled: bool
    at: str
    asked: tuple[ExamTrial, ...]
    waiting: tuple[str, ...] = ()
    silenced: bool = False

    @cached_property
    def results(self) -> tuple[CheckResult, ...]:
        """What was found, by check."""
        answers = {one.name: one.answer for one in self.asked}
        failed = {one.name: one.last for one in self.asked if one.answer is None and one.settled}
        return judge(answers, self.about, self.sampled, failed, self.waiting)

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
        return tuple(result.mark for result in self.having(CheckStatus.FINDING))

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
        """The outcome in one or two lines."""
        last = f" {self.failure.outcome}: {self.failure.detail}".rstrip(" .:") + "." if self.failure else ""
        if not self.answered:
            return f"exam of {self.observer}: not held, nothing was answered.{last}"
        tokens = f", {self.tokens[0]:,} + {self.tokens[1]:,} tokens" if self.tokens[0] else ""
        count = f"{self.answered} answers{tokens}"
        if self.failed:
            line = f"exam of {self.observer}: failed ({count})."
        elif self.waiting:
            still = f"{len(self.waiting)} questions open: they are put again at the next start"
            line = f"exam of {self.observer}: not finished ({count}; {still}).{last}"
        else:
            line = f"exam of {self.observer}: passed ({count})."
        for status, word in ((CheckStatus.UNKNOWN, "Not known"), (CheckStatus.OPEN, "Open")):
            checks = ", ".join(result.check for result in self.having(status))
            line += f" {word}: {checks}." if checks else ""
        return f"{line}\nmarked: {'; '.join(self.marks)}" if self.marks else line

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
) -> tuple[CheckResult, ...]:
    """Return what follows from the answers; pure, so that an old exam can be judged by newer rules.

    Args:
        answers: by the names of `limen.preflight.questions.plan`.
        about: the observer's fingerprint, or that part of it.
        sampled: whether it answers by chance.
        failed: questions that failed for good, with the last attempt.
        waiting: questions whose answers may still come: a check that looks for one of them is open.
    """
    known = {**dict.fromkeys(waiting), **answers}
    results = []
    for check in (*transport.CHECKS, *settings.CHECKS, *perception.CHECKS):
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

    Raises:
        FatalObserverError: it would answer no question at all.
        InputError: it answers with numbers, so that no question can be put to it.
    """
    if observer.numeric:
        raise InputError(f"{observer.name} compares two pictures by a number: there is nothing to examine. Measure it.")
    sitting = _Sitting(observer, at or _now(), dict(known or {}), note, tell)
    opening = sitting.items[:1]
    for _ in range(ROUNDS):
        await sitting.put_all(_waiting(opening, sitting.asked))
    if sitting.asked[opening[0].name].answer is not None:
        for _ in range(ROUNDS):
            await sitting.put_all(sitting.waiting())
    return sitting.exam()


class _Sitting:
    """An observer at its exam."""

    def __init__(self, observer: Observer, at: str, known: dict[str, ExamTrial], note: Note, tell: Tell) -> None:
        self.observer, self.at, self.asked, self.note, self.tell = observer, at, known, note, tell
        self.fingerprint, self.sampled = dict(observer.fingerprint()), observer.sampled
        self.items = questions.plan(self.fingerprint, self.sampled)
        self.silent = 0

    def exam(self) -> Exam:
        """Return the exam as far as it is."""
        about = {name: self.fingerprint[name] for name in _ABOUT if name in self.fingerprint}
        asked = tuple(self.asked[item.name] for item in self.items if item.name in self.asked)
        waiting = tuple(item.name for item in self.waiting())
        name, digest = self.observer.name, digests.of(self.fingerprint)
        silenced = bool(waiting) and self.silent >= ENOUGH
        return Exam(name, digest, about, self.sampled, self.at, asked, waiting, silenced)

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
        """Put one question. Only with pairs does a fatal failure say that nothing could be measured."""
        try:
            reply = await self.observer.answer(item.query)
        except FatalObserverError as error:
            if len(item.query.pictures) == 2:
                raise
            reply = Reply(None, (Attempt("rejected", str(error)),))
        except ObserverError as error:
            reply = Reply(None, (Attempt(error.kind, error.detail),))
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


def examine(name: str, options: Mapping[str, Any] | None = None, tell: Tell = lambda held: None) -> Exam:
    """Make the observer that `KIND` or `KIND:MODEL` names and examine it; `hold` does it inside an event loop.

    Args:
        name: "KIND" or "KIND:MODEL".
        options: the observer's settings by name.
        tell: called with the exam as far as it is, after each answer.
    """

    async def run() -> Exam:
        async with observers.make(name, options or {}) as observer:
            return await hold(observer, tell=tell)

    return finish(run())


# --- in a run ---


async def keep(observer: Observer, store: Store, tell: Tell = lambda held: None) -> str:
    """Examine an observer before a run's first question, once for each fingerprint, and return what to tell.

    Questions and answers go into the store as they come, so that an exam that is broken off goes on from there; the
    outcome goes into the manifest when it has ended. One that stays open in parts stops nothing and goes on at the next
    start. An observer that failed is examined anew then: what was wrong may be mended where no fingerprint shows it.

    Args:
        observer: entered.
        store: the run's, open for writing.
        tell: called with the exam as far as it is, after each question.

    Raises:
        FatalObserverError: it failed, with what to change; the observer answered nothing, or fell silent, with the last
            failure; or it would answer no question at all.
    """
    if observer.numeric:  # nothing can be asked of it but two pictures: what it judges by is told
        row = store.measurements("calibration").get(observer.name)
        return f"{observer.name}: {model_input.judged(row)}." if row else ""
    name, digest = observer.name, digests.of(dict(observer.fingerprint()))
    before = _entries(store).get(name)
    same = before is not None and (before.version, before.fingerprint) == (VERSION, digest)
    if before is not None and same and before.fit is True and before.questions is not UNSET:
        marks = f"\nmarked: {'; '.join(before.marks)}" if before.marks else ""
        return f"exam of {name}: passed, held before.{marks}"
    goes_on = before is not None and same and before.fit is not False
    at = before.at if before is not None and goes_on else _now()

    def note(one: ExamTrial) -> None:
        if one.settled:
            row: dict[str, Any] = msgspec.to_builtins(one)
            store.add_measurements(STAGE, {f"{name} {at} {one.name}": {"observer": name, "at": at} | row})

    entry = {"version": VERSION, "fingerprint": digest, "at": at}
    _enter(store, name, entry)
    known = {one.name: one for one in _asked(store, name, at).values() if one.answer is not None}
    exam = await hold(observer, at, known, note, tell)
    if exam.answered and (exam.failed or not exam.waiting):
        _enter(store, name, entry | _outcome(exam))
    _refuse(exam)
    return exam.summary


def _refuse(exam: Exam) -> None:
    """Raise where an exam says that nothing should be measured, or says too little."""
    last = exam.failure
    if last is not None and last.outcome == "not-recorded":
        return  # answers that were recorded are replayed, and none of an exam were
    if exam.answered and exam.failed:
        advice = "`limen exam` shows every check; --no-exam measures all the same."
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
        exams.append(Exam(*given, tuple(asked.values()), tuple(waiting)))
    return tuple(exams)


def _entries(store: Store) -> dict[str, ExamEntry]:
    """Return what the manifest says of exams, by observer."""
    try:
        return msgspec.convert(store.manifest.get("exams", {}), dict[str, ExamEntry])
    except msgspec.ValidationError as error:
        raise StoreError(
            f"{store.path / 'manifest.json'}: its entry 'exams' is not one that limen writes ({error}). "
            "Restore it from a copy, or take the entry out: observers are then examined again."
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
