"""What a study asks: its questions made, and held against its procedure, its references and its file."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from limen import question as questions
from limen import registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.procedure import Method
from limen.question import Order, Question, VerdictKind
from limen.source import Reference, ReferenceKind


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


def check_procedure(question: Question, method: Method) -> None:
    """Raise `InputError` where a procedure cannot find this question's threshold."""
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
