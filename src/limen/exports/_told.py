"""A run's answers as tables of trials want them: one row an answer that was read, people and models alike.

Shared by the exports of trials; registers nothing. What leaves of a person is the alias, the number of the sitting, the
times within it and the answers: neither when it was nor on what screen.
"""

import csv
import functools
import io
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen import files
from limen.analysis import Analysis, Outcome, Response, analyse
from limen.analysis.attention import PersonRow
from limen.errors import InputError
from limen.participant import KIND as PERSON
from limen.participant import is_person
from limen.question import JUDGED, Question, VerdictKind
from limen.store import Store
from limen.store.entries import SITTINGS
from limen.store.publishing import Publisher
from limen.store.rows import public
from limen.trial import OTHER_SIDE, Answer, Presentation, pair

RUNS = "Measure first, or give another run."
_PLAIN = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class ToldTrial:
    """One answer, or the answers to one comparison, as they are read.

    Attributes:
        who: the participant's alias, or the model's name.
        person: whether it is a person.
        outcome: the series under this observer and question.
        response: as it is read.
        question: that was asked.
        value: what was answered, in the form's spelling; "" where it cannot be read.
        right: what would have been right: that there is a difference, the place, the answer to the reference, the
            truth; "" where none is known.
        sitting: its number; 1 for a model.
        seconds: since the first question of the sitting; None where it is not known, and of a model.
        shown: how it was shown; None of a model.
    """

    who: str
    person: bool
    outcome: Outcome
    response: Response
    question: Question
    value: str
    right: str
    sitting: int = 1
    seconds: float | None = None
    shown: Presentation | None = None

    @property
    def reference(self) -> str:
        """The reference's name, never a path."""
        return public(self.outcome.series.name)

    @property
    def order(self) -> tuple[int, float, int, int, int]:
        """By which trials of one participant follow each other."""
        probe = self.response.probe
        return (
            self.sitting,
            self.shown.shown_at if self.shown is not None else 0.0,
            probe.reference,
            probe.level,
            probe.draw,
        )


def told(store: Store) -> tuple[Analysis, list[ToldTrial]]:
    """Return a run's analysis, and each answer that was asked for, by observer.

    Raises:
        InputError: nothing was answered.
    """
    analysis = analyse(store)
    publisher = Publisher(store)
    shown: dict[str, list[Presentation]] = {}
    began: dict[str, float] = {}
    timed = store.measurements(SITTINGS)  # of others the places of questions may stand for their times
    for one in store.presentations():
        shown.setdefault(one.key, []).append(one)
        if one.session in timed:
            began[one.session] = min(began.get(one.session, one.shown_at), one.shown_at)
    found = []
    for outcome in analysis.outcomes:
        person = is_person(analysis.manifest.observers[outcome.observer])
        name = publisher.name(outcome.observer)
        who = name.removeprefix(f"{PERSON}:") if person else name
        asked = analysis.questions[outcome.question]
        every = (response for response in outcome.responses if response.asked)
        found += [_told(who, person, outcome, response, asked, shown, began) for response in every]
    if not found:
        raise InputError(f"{store.path} holds no answer to export. {RUNS}")
    return analysis, found


def _told(
    who: str, person: bool, outcome: Outcome, response: Response, question: Question,
    shown: dict[str, list[Presentation]], began: dict[str, float],
) -> ToldTrial:  # fmt: skip
    value, right = _said(outcome, response, question)
    here = [one for trial in response.trials for one in shown.get(trial.key, ()) if person and not trial.again]
    mine = [one for one in here if one.session.rpartition("/")[0] in ("", outcome.observer)] or here
    if not mine:
        return ToldTrial(who, person, outcome, response, question, value, right)
    first = min(mine, key=lambda one: one.shown_at)
    number = first.session.rpartition("/")[2]
    sitting = int(number) if number.isdecimal() and 0 < len(number) < 6 else 1
    return ToldTrial(
        who, person, outcome, response, question, value, right, sitting,
        first.shown_at - began[first.session] if first.session in began else None, first,
    )  # fmt: skip


def _said(outcome: Outcome, response: Response, question: Question) -> tuple[str, str]:
    """Return what was answered, and what would have been right."""
    if not response.readable:
        return "", ""
    first, again = (
        [(one.part, one.answer) for one in response.trials if one.again is asked and one.answer is not None]
        for asked in (False, True)
    )
    for _, answer in first if question.forced else ():
        if answer.finish == JUDGED:
            return answer.text, question.verdicts[1]
    for some in (first, again):
        sides = _sides(sorted(some, key=lambda one: one[0]))
        stimulus = question.value(sides[1], outcome.item).value if sides[1] else None
        if stimulus is not None:
            return stimulus, _right(outcome, response, question, sides[0])
    return "", ""


def _sides(answers: Sequence[tuple[int, Answer]]) -> tuple[list[Answer], list[Answer]]:
    """Return the answers to the reference, and to the stimulus, where each is shown alone; else none and all."""
    other = [answer for part, answer in answers if part >= OTHER_SIDE]
    every = [answer for _, answer in answers]
    return ([answer for part, answer in answers if part < OTHER_SIDE], other) if other else ([], every)


def _right(outcome: Outcome, response: Response, question: Question, reference: list[Answer]) -> str:
    probe = response.probe
    if question.forced:
        return str(question.place(pair(outcome.series.id, probe.reference, probe.level), probe.draw))
    if question.verdict is VerdictKind.WRONG:
        return outcome.item.truth if outcome.item is not None else ""
    if question.alone:
        return question.value(reference, outcome.item).value or "" if reference else ""
    if probe.level > probe.reference:
        return question.notices[0]
    spelled = question.form.spelled if question.form is not None else {}
    return next((value for value in spelled if value not in question.notices), "")


def attention(people: Iterable[PersonRow]) -> dict[str, str]:
    """Return who passed, failed, or could not be judged by the attention rule, by observer, where one was declared."""
    verdicts = {True: "passed", False: "failed", None: "undecided"}
    return {one.observer: verdicts[one.passed] for one in people if one.rule}


class Names:
    """Gives things names for files, no two alike on disks that do not tell letters' case apart.

    Args:
        between: stands for what a name does not hold.
        plain: makes a name of a text; letters and digits are kept without it.
    """

    def __init__(self, between: str = "", plain: Callable[[str], str] | None = None) -> None:
        self._between, self._plain = between, plain or functools.partial(_letters, between)
        self._taken, self._given = set[str](), dict[Hashable, str]()

    def of(self, text: str, most: int = 60, of: Hashable = None) -> str:
        """Return the name of a thing, the same each time.

        Args:
            text: that the name is made of.
            most: characters of it that are kept.
            of: the thing; None where the text alone says what it is.
        """
        thing = text if of is None else of
        if thing not in self._given:
            plain = self._plain(text)[:most] or "x"
            name, number = plain, 1
            while name.lower() in self._taken:
                number += 1
                name = f"{plain}{self._between}{number}"
            self._taken.add(name.lower())
            self._given[thing] = name
        return self._given[thing]


def _letters(between: str, text: str) -> str:
    return _PLAIN.sub(between, text).strip(between)


def cell(text: str) -> str:
    """Return a text as CSV keeps it: what a spreadsheet would run is quoted, control characters are spelt out."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{clean}" if clean.lstrip()[:1] in tuple("=+-@") and clean else clean


def write_table(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file at once: UTF-8, with a header; texts as `cell` has them, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(one) if isinstance(one, str) else one for one in row] for row in rows)
    return write(file, text.getvalue())


def write(file: Path, text: str) -> Path:
    """Write a file at once, with the folders above it.

    Raises:
        InputError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, text.encode(errors="backslashreplace"))
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror or error}). Give another folder.") from None
    return file


def by_observer(trials: Iterable[ToldTrial]) -> Iterator[tuple[str, list[ToldTrial]]]:
    """Yield each observer's name in the run with its trials, in the order in which they were shown."""
    groups: dict[str, list[ToldTrial]] = {}
    for one in trials:
        groups.setdefault(one.outcome.observer, []).append(one)
    for name, group in groups.items():
        yield name, sorted(group, key=lambda one: one.order)
