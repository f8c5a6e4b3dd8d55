"""What people read and press where a model gets a text and answers in words: the same question, the same answers."""

import re
from typing import Any

from limen.errors import InputError
from limen.item import Item
from limen.parsing.forms import LETTERS, Cell, FirstOrSecond, Letters, Number, Place
from limen.people.protocol import Protocol
from limen.question import Query, Question

_HOW = re.compile(r"(?<=[?.])\s+(?:Please |Then )?(?:answer|reply|return|give)\b[^?]*\Z", re.IGNORECASE)
LONGEST = 200  # characters of an answer that is typed


def text(protocol: Protocol, question: Question, query: Query, word: str, item: Item | None = None) -> str:
    """Return what a person reads: the study's own words, or the model's without the sentence that asks for a form.

    Args:
        protocol: of the study; `wording` by the question's name.
        question: that is asked.
        query: as a model would get it.
        word: what the distortion is called.
        item: of the reference, where the question asks an item's.
    """
    own = protocol.wording.get(question.name) or protocol.wording.get(question.of, "")
    if own:
        return own.replace("{word}", word)
    return plain(question, query.text, item)


def plain(question: Question, asked: str, item: Item | None = None) -> str:
    """Return what a person reads of a text that models are asked: all but the sentence that asks for a form.

    Args:
        question: that is asked.
        asked: its text.
        item: of the reference, where the question asks an item's.
    """
    form = question.form_of(item)
    if isinstance(form, Letters):
        listed = form.request().splitlines()  # on the buttons
        return "\n".join(line for line in asked.splitlines() if line not in listed).strip()
    return _HOW.sub("", asked.replace(form.request(), "").strip()).strip()


def controls(question: Question, item: Item | None) -> dict[str, Any]:
    """Return what a person answers with, as the page wants it: buttons, places, a cell, a number or a text."""
    form = question.form_of(item)
    if isinstance(form, Place):
        return {"kind": "places", "count": form.pictures}
    if isinstance(form, Cell):
        return {"kind": "cell", "rows": form.rows, "columns": form.columns}
    if isinstance(form, Letters):
        named = zip(LETTERS, form.options, strict=False)
        options = [{"value": one, "label": option, "key": one.lower()} for one, option in named]
        return {"kind": "buttons", "options": options}
    if form.spelled:
        options = [{"value": one, "label": one.capitalize(), "key": one[0].lower()} for one in form.spelled]
        return {"kind": "buttons", "options": options}
    return {"kind": "number" if isinstance(form, Number) else "text"}


def answer(question: Question, item: Item | None, value: str) -> str:
    """Return the answer's text as the question's reader reads it, so that one reader judges people and models.

    Args:
        question: that was asked.
        item: of the reference, where the question asks an item's.
        value: as the page sent it.

    Raises:
        InputError: it is no answer to this question; the sentence is for the participant.
    """
    form = question.form_of(item)
    said = value.strip()
    if len(said) > LONGEST:
        raise InputError(f"Your answer has {len(said)} characters. Give at most {LONGEST}.")
    spelled = dict(form.spelled) | ({"1": "<first>", "2": "<second>"} if isinstance(form, FirstOrSecond) else {})
    if isinstance(form, Cell):
        row, _, column = said.partition(",")
        spelled = {said: f"<{row}, {column}>"}
    found: str = spelled.get(said, said)
    closed = bool(form.spelled) or isinstance(form, Letters | Place | Cell)
    value_read = question.reader_of(item)(found, "stop").value
    if value_read is None or (closed and value_read != said):
        raise InputError(f"{said[:40]!r} is no answer to this question. Choose one of the answers shown.")
    return found


def label(question: Question, value: str) -> str:
    """Return how a right answer is called in the feedback of the practice."""
    if question.forced:
        return f"picture {value}"
    if isinstance(question.form, Letters):
        return question.form.options[LETTERS.index(value)]
    return value
