"""What a study asks: its questions made, what is shown and asked of one probe, and what cannot be asked."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limen import procedure as procedures
from limen import question as questions
from limen import registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.image import Picture
from limen.item import Item
from limen.observer import Observer
from limen.parsing.forms import SameOrDifferent
from limen.procedure import AS_OFTEN, Method, Probe
from limen.question import DRAWS, Order, Query, Question, VerdictKind
from limen.source import PAIRS, Reference, ReferenceKind
from limen.stimulus import Series, control
from limen.trial import pair


def questions_of(entries: Iterable[str | dict[str, Any]], order: Order, paraphrases: int) -> tuple[Question, ...]:
    """Return the questions of a study: those of the shelf by name, own ones made; no two of one name.

    Args:
        entries: names, and tables (`limen.question.QuestionOptions`).
        order: of those that give none.
        paraphrases: in how many other wordings each is asked too, >= 0.

    Raises:
        InputError: one of them cannot be asked.
    """
    made: dict[str, Question] = {}
    for entry in entries:
        if isinstance(entry, dict) and entry.keys() == {"name"}:  # of the shelf, in a study file's [[questions]]
            entry = str(entry["name"])
        question = questions.find(entry, order) if isinstance(entry, str) else questions.of_table(entry, order)
        if isinstance(entry, dict) and question.name in registry.names("question"):
            raise InputError(
                f"Question {question.name!r} is limen's own name for another wording. Give yours another name."
            )
        if isinstance(entry, dict) and question.name in made:
            raise InputError(f"Two questions of the study are named {question.name!r}. Give one of them another name.")
        made[question.name] = question
    return tuple(one for question in made.values() for one in (question, *question.wordings(paraphrases)))


# --- one ask ---


def draws(question: Question, sampled: bool, looks: int = DRAWS) -> int:
    """Return how often a picture that is shown alone is asked about: an observer that samples says several things.

    Args:
        question: that is asked.
        sampled: whether the observer answers by chance.
        looks: of an observer that does.
    """
    return looks if question.alone and sampled else 1


def shown(question: Question, series: Series, probe: Probe, draw: Callable[[int], Picture]) -> tuple[Picture, Picture]:
    """Return both pictures of a probe.

    Args:
        question: that is asked.
        series: of the probe.
        probe: which two levels are compared.
        draw: the series, open.
    """
    reference = draw(probe.reference)
    if question.alone and probe.reference == probe.level:
        return reference, control(reference, pair(series.id, probe.reference, probe.level))
    return reference, draw(probe.level)


def equal(
    question: Question, items: Callable[[int, int], Item | None], probe: Probe, reference: Picture, stimulus: Picture
) -> bool:
    """Say whether two levels are one stimulus, in pixels and in words, so that nothing is asked.

    Args:
        question: that is asked.
        items: of the series, by level and draw.
        probe: which two levels are compared.
        reference: the picture at the reference's level.
        stimulus: the picture compared with it.
    """
    if probe.level == probe.reference or reference.digest != stimulus.digest:
        return False
    return not question.itemised or items(probe.reference, probe.draw) == items(probe.level, probe.draw)


def queries(
    question: Question, series: Series, items: Callable[[int, int], Item | None], probe: Probe, again: bool,
    pictures: tuple[Picture, Picture], sampled: bool, looks: int = DRAWS,
) -> tuple[Query, ...]:  # fmt: skip
    """Return what is asked; a second draw is another sample, or of a greedy observer the pair swapped.

    Args:
        question: that is asked.
        series: of the probe.
        items: of the series, by level and draw.
        probe: which two levels are compared.
        again: use the paraphrase.
        pictures: at both levels (`shown`).
        sampled: whether the observer answers by chance.
        looks: how often it then is asked about a picture that is shown alone.
    """
    name, item = pair(series.id, probe.reference, probe.level), series.reference.item
    given = (series.distortion.word, *pictures, again)
    asked: tuple[Item | None, Item | None] = (None, None)
    if question.itemised:
        other = item.permuted(name) if item is not None and probe.reference == probe.level else None
        asked = items(probe.reference, probe.draw), other or items(probe.level, probe.draw)
    if not sampled:
        return question.ask(*given, probe.draw, name, items=asked)
    often = draws(question, sampled, looks)
    found = question.ask(*given, probe.draw if question.forced else 0, name, items=asked, draws=often)
    fixed = len(found) // 2  # the reference shown alone is asked once, whatever is compared with it
    return tuple(
        query if at < fixed else dataclasses.replace(query, draw=probe.draw * often + query.draw)
        for at, query in enumerate(found)
    )


def kept(series: Series, reference: Picture, draw: Callable[[int], Picture]) -> Picture:
    """Return what a run keeps of a reference, by its digest: of a pair both pictures, the second below the first.

    Args:
        series: of the reference.
        reference: its picture at level 0.
        draw: the series, open.
    """
    if series.reference.item is not None:
        return Picture(reference.pixels, series.reference.digest)
    if series.distortion.of not in PAIRS:
        return reference
    return Picture(np.concatenate([reference.pixels, draw(1).pixels]), series.reference.digest)


# --- what cannot be asked ---


def identical(question: Question, references: Iterable[int], asked: Iterable[int]) -> tuple[Probe, ...]:
    """Return which levels are shown beside themselves when a procedure has ended, for the false-alarm rate.

    Args:
        question: that was asked.
        references: levels that served as the reference, 0 among them.
        asked: levels that were compared with another.
    """
    if question.forced:
        return ()
    # Where the form is "same or different", as many identical pairs as different ones.
    levels = {*references, *(asked if isinstance(question.form, SameOrDifferent) else ())}
    return tuple(Probe(level, level) for level in sorted(levels))


def settled(procedure: Mapping[str, Any], questions: Sequence[Question], people: bool) -> Method:
    """Return the procedure of a study, with what follows from the rest of it where its settings do not say.

    The guess rate is that of the questions, where all have one; people are asked a level as often as it tells most.

    Args:
        procedure: its name and settings, as the study gives them.
        questions: all of the study.
        people: whether it is people that are asked.

    Raises:
        UnknownNameError: there is no such procedure.
        InputError: a setting does not fit, or it cannot find a question's threshold.
    """
    settings = dict(procedure)
    name = str(settings.pop("name", "skip"))
    kind = procedures.find(name)
    (rate, *others) = {question.guess for question in questions}
    follows: dict[str, Any] = {}
    if rate is not None and not others:
        follows["guess"] = rate
    if people and getattr(kind, "fits", False):
        follows["draws"] = AS_OFTEN
    has = {setting: value for setting, value in follows.items() if setting in kind.__struct_fields__}
    method = procedures.make(name, has | settings)
    for question in questions:
        check_procedure(question, method)
    return method


def check_draws(method: Method, observers: Iterable[Observer]) -> None:
    """Raise `InputError` where a procedure would ask an observer a question again that it can only answer as before."""
    greedy = next((one.name for one in observers if not getattr(one, "sampled", False)), None)
    if greedy is not None and getattr(method, "draws", 1) == AS_OFTEN:
        raise InputError(
            f"draws = {AS_OFTEN} asks about a level as often as it tells most, and {greedy} is greedy: asked again, it "
            "answers as before. Give draws = 1, draws = 2 for the pair swapped as well, or the observer a temperature."
        )


def check_procedure(question: Question, method: Method) -> None:
    """Raise `InputError` where a procedure cannot find this question's threshold, or asks nothing."""
    if not getattr(method, "asks", True):
        raise InputError(
            "Procedure 'recorded' asks nothing: it stands in the runs of limen import. Give another one: limen list "
            "procedures."
        )
    if question.guess is not None and abs(getattr(method, "guess", question.guess) - question.guess) > 1e-3:
        raise InputError(
            f"{question.name}: guessing is right at 1 in {question.pictures}. Give the procedure "
            f"guess = {question.guess:.4g}."
        )
    if question.verdict is VerdictKind.WRONG and getattr(method, "orders", 1) != 1:
        raise InputError(f"{question.name}: an answer becomes wrong once. Give the procedure jnds = 1.")


def check_references(question: Question, references: Iterable[Reference], kinds: Iterable[Distortion]) -> None:
    """Raise `InputError` where a question asks for what references or distortions do not have.

    Args:
        question: of the study.
        references: all of them.
        kinds: its distortions.
    """
    without = next((one.name for one in references if one.item is None), None)
    if question.itemised and without is not None:
        raise InputError(
            f"{question.name} asks an item's question, and {without} has none. Give items (--ask FILE, demo-items), or "
            "a question of your own with pictures = 1."
        )
    worded = next((kind.name for kind in kinds if kind.of == ReferenceKind.QUESTION), None)
    if worded is not None and not question.itemised:
        raise InputError(
            f"{worded} perturbs the words of an item's question, and {question.name} asks none. Ask answer-changes or "
            "answer-wrong of items, or leave the distortion out."
        )


def check_file(path: Path, entries: Any) -> None:
    """Raise `InputError`, with file and line, where a question of a study file cannot be asked."""
    for number, entry in enumerate(entries if isinstance(entries, list) else (), start=1):
        if not isinstance(entry, dict) or entry.keys() == {"name"}:
            continue
        try:
            questions.of_table(entry)
        except InputError as error:
            name = re.escape(str(entry.get("name", "")))
            lines = path.read_text(encoding="utf-8").splitlines()
            found = (at for at, line in enumerate(lines, start=1) if re.search(rf"""name\s*=\s*["']{name}["']""", line))
            at = next(found, None) if name else None
            where = f"{path} line {at}" if at else f"{path}, entry {number} of questions"
            raise InputError(f"{where}: {error}") from None
