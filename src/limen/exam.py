"""What an exam is: at most 40 questions, put before a run, that find out whether measuring is worth the money.

A threshold is worth something only if the observer saw two pictures, in that order, with the change still in them.
An exam judges the transport (a failure is *unfit*: nothing is measured) and perception (a failure is a *finding*: the
run goes on, marked); what the evidence does not decide is *not known*. It asks with the observer's own settings, with
pictures that limen draws, and keeps what was asked and answered; what follows from it is worked out again when it is
read, as verdicts are. How it judges, and why so: `limen.examining`.
"""

import asyncio
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import msgspec

from limen import ident
from limen import observer as observers
from limen.errors import FatalObserverError, InputError, ObserverError
from limen.examining import arrival, perception, questions, settings
from limen.examining.evidence import Evidence, Result, Stage, Status
from limen.examining.questions import MOST, Item
from limen.loop import finish
from limen.observer import Observer, Reply
from limen.store import Store
from limen.trial import Answer, Attempt

__all__ = ["MOST", "VERSION", "Asked", "Exam", "Result", "Stage", "Status", "examine", "hold", "judge", "keep", "kept"]

VERSION = 1  # of questions, pictures and rules: raised whenever one of them changes
ENOUGH = 8  # questions without an answer after which no more are put
STAGE = "exam"  # under which a run's store keeps the rows
_ABOUT = ("kind", "model", "max_tokens", "temperature", "seed", "logprobs")


@dataclass(frozen=True, slots=True)
class Asked:
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


Note = Callable[[Asked], None]


@dataclass(frozen=True, slots=True)
class Exam:
    """An exam that was held.

    Attributes:
        observer: by name.
        fingerprint: digest of what decided its answers.
        about: the settings that were examined.
        sampled: whether it answers by chance.
        at: when, UTC.
        asked: everything, raw.
        results: by check.
    """

    observer: str
    fingerprint: str
    about: Mapping[str, Any]
    sampled: bool
    at: str
    asked: tuple[Asked, ...]
    results: tuple[Result, ...]

    @property
    def answered(self) -> int:
        """How many questions were answered; with none it is no exam."""
        return sum(one.answer is not None for one in self.asked)

    @property
    def fit(self) -> bool:
        """Whether nothing was found that forbids to measure."""
        return not self.having(Status.UNFIT)

    @property
    def marks(self) -> tuple[str, ...]:
        """What marks a run: the findings, each in a few words."""
        return tuple(result.mark for result in self.having(Status.FINDING))

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and answer tokens it cost, where the observer says."""
        answers = [one.answer for one in self.asked if one.answer is not None]
        return sum(a.tokens_in or 0 for a in answers), sum(a.tokens_out or 0 for a in answers)

    @property
    def summary(self) -> str:
        """The outcome in one or two lines."""
        if not self.answered:
            last = self.asked[0].attempts[-1:] or (Attempt("failed"),)
            return f"exam of {self.observer}: not held, nothing was answered ({last[0].outcome})."
        tokens = f", {self.tokens[0]:,} + {self.tokens[1]:,} tokens" if self.tokens[0] else ""
        line = f"exam of {self.observer}: {'passed' if self.fit else 'unfit'} ({self.answered} answers{tokens})."
        unknown = ", ".join(result.check for result in self.having(Status.UNKNOWN))
        line += f" Not known: {unknown}." if unknown else ""
        return f"{line}\nmarked: {'; '.join(self.marks)}" if self.marks else line

    @property
    def complaint(self) -> str:
        """What makes it unfit and what to change, in one line; "" where it is fit."""
        return " ".join(f"{one.check}: {one.seen}. {one.change}." for one in self.having(Status.UNFIT))

    def having(self, status: Status) -> tuple[Result, ...]:
        """Return the results of one status."""
        return tuple(result for result in self.results if result.status is status)


def judge(answers: Mapping[str, Answer | None], about: Mapping[str, Any], sampled: bool) -> tuple[Result, ...]:
    """Return what follows from the answers; pure, so that an old exam can be judged by newer rules.

    Args:
        answers: by the names of `limen.examining.questions.plan`.
        about: the observer's fingerprint, or that part of it.
        sampled: whether it answers by chance.
    """
    evidence = Evidence(answers, about, sampled)
    found = (check(evidence) for check in (*arrival.CHECKS, *settings.CHECKS, *perception.CHECKS))
    return tuple(result for result in found if result is not None)


async def hold(
    observer: Observer, at: str = "", known: Mapping[str, Asked] | None = None, note: Note = lambda one: None
) -> Exam:
    """Examine an observer that has been entered.

    The first question is put alone: if it stays without an answer, no other is put. The others are put side by side,
    as many as the observer takes.

    Args:
        observer: to be examined.
        at: when the exam began, for one that goes on; now, if not given.
        known: what has been asked before, by name; it is not asked again.
        note: called with each question when its answer comes, or fails to.

    Raises:
        FatalObserverError: it would answer no question at all.
        InputError: it answers with numbers, so that no question can be put to it.
    """
    if getattr(observer, "numeric", False):
        raise InputError(f"{observer.name} compares two pictures by a number: there is nothing to examine. Measure it.")
    fingerprint, sampled = dict(observer.fingerprint()), bool(getattr(observer, "sampled", False))
    first, *rest = questions.plan(fingerprint, sampled)
    sitting = _Sitting(observer, known or {}, note)
    asked = [await sitting.ask(first)]
    opening = asked[0].answer
    if opening is not None:
        asked += await sitting.ask_all([item for item in rest if opening.tokens_in or not item.for_tokens])
    about = {name: fingerprint[name] for name in _ABOUT if name in fingerprint}
    results = judge({one.name: one.answer for one in asked}, about, sampled)
    return Exam(observer.name, ident.digest(fingerprint), about, sampled, at or _now(), tuple(asked), results)


@dataclass
class _Sitting:
    """An observer at its exam."""

    observer: Observer
    known: Mapping[str, Asked]
    note: Note
    silent: int = 0

    async def ask_all(self, items: Sequence[Item]) -> list[Asked]:
        """Put questions side by side, until too many stay without an answer."""
        gate = asyncio.Semaphore(self.observer.concurrency)

        async def put(item: Item) -> Asked | None:
            async with gate:
                return await self.ask(item) if self.silent < ENOUGH else None

        tasks = [asyncio.create_task(put(item)) for item in items]
        try:
            return [one for one in await asyncio.gather(*tasks) if one is not None]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ask(self, item: Item) -> Asked:
        """Put one question. Only with pairs does a fatal failure say that nothing could be measured."""
        if item.name in self.known:
            return self.known[item.name]
        try:
            reply = await self.observer.answer(item.query)
        except ObserverError as error:
            if isinstance(error, FatalObserverError) and len(item.query.pictures) == 2:
                raise
            reply = Reply(None, (Attempt(error.kind, error.detail),))
        self.silent += reply.answer is None
        one = Asked(item.name, item.query.shown, item.query.draw, reply.answer, reply.attempts)
        self.note(one)
        return one


def examine(name: str, options: Mapping[str, Any] | None = None) -> Exam:
    """Make the observer that `KIND` or `KIND:MODEL` names and examine it; `hold` does it inside an event loop."""

    async def run() -> Exam:
        async with observers.make(name, options or {}) as observer:
            return await hold(observer)

    return finish(run())


# --- in a run ---


async def keep(observer: Observer, store: Store) -> str:
    """Examine an observer before a run's first question, once for each fingerprint, and return what to tell.

    Questions and answers go into the store as they come, so that an exam that is broken off goes on from there; the
    outcome goes into the manifest. An observer found unfit is examined again the next time: what was wrong may be
    mended where no fingerprint shows it.

    Raises:
        FatalObserverError: it is unfit, with what to change; or it would answer no question at all.
    """
    if getattr(observer, "numeric", False):
        return ""  # it answers with a number to two pictures, and nothing else can be asked of it
    name, entry = observer.name, {"version": VERSION, "fingerprint": ident.digest(dict(observer.fingerprint()))}
    before = store.manifest.get("exams", {}).get(name, {})
    same = all(before.get(key) == value for key, value in entry.items())
    if same and before.get("fit"):
        marks = f"\nmarked: {'; '.join(before['marks'])}" if before["marks"] else ""
        return f"exam of {name}: passed, held before.{marks}"
    goes_on = same and "fit" not in before
    entry["at"] = at = str(before["at"]) if goes_on else _now()

    def note(one: Asked) -> None:
        if one.answer is not None:
            row: dict[str, Any] = msgspec.to_builtins(one)
            store.add_measurements(STAGE, {f"{name} {at} {one.name}": {"observer": name, "at": at} | row})

    _enter(store, name, entry)
    exam = await hold(observer, at, _asked(store, name, at), note)
    if exam.answered:
        _enter(store, name, entry | _outcome(exam))
    if not exam.fit:
        advice = "`limen exam` shows every check; --no-exam measures all the same."
        raise FatalObserverError("unfit", f"{name}: {exam.complaint} {advice}")
    return exam.summary


def kept(store: Store) -> tuple[Exam, ...]:
    """Return the last exam of each of a run's observers, judged anew from its answers; none where none was ended."""
    exams = []
    for name, entry in store.manifest.get("exams", {}).items():
        if "fit" not in entry:
            continue
        about, sampled, at = entry["about"], entry["sampled"], entry["at"]
        asked = tuple(_asked(store, name, at).values())
        results = judge({one.name: one.answer for one in asked}, about, sampled)
        exams.append(Exam(name, entry["fingerprint"], about, sampled, at, asked, results))
    return tuple(exams)


def _asked(store: Store, name: str, at: str) -> dict[str, Asked]:
    """Return what a run's store holds of one exam, by the name of the question."""
    rows = (row for row in store.measurements(STAGE).values() if row["observer"] == name and row["at"] == at)
    return {row["name"]: msgspec.convert({key: row[key] for key in Asked.__slots__}, Asked) for row in rows}


def _enter(store: Store, name: str, entry: Mapping[str, Any]) -> None:
    store.amend(exams=store.manifest.get("exams", {}) | {name: dict(entry)})


def _outcome(exam: Exam) -> dict[str, Any]:
    found = {"about": dict(exam.about), "sampled": exam.sampled, "fit": exam.fit, "marks": list(exam.marks)}
    return found | {"answers": exam.answered, "results": [list(astuple(result)) for result in exam.results]}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
