"""What a row of named fields asks: the item that it is. Shared; registers no source.

The names are VLMEvalKit's (`limen.sources.items`), with `form` and its settings beside them.
"""

import ast
import contextlib
from collections.abc import Iterable
from typing import Any

from limen import question
from limen.errors import InputError, UnknownNameError
from limen.item import Item
from limen.parsing.forms import FORMS, LETTERS, Form, Letters, Place, SameOrDifferent
from limen.sources._listed import number
from limen.sources._rows import Fields

MOST_SIGNS = 20_000  # of a question


def item(fields: Fields) -> Item:
    """Return what a row asks.

    Raises:
        InputError: it lacks a question, or its options, form or answer do not fit each other.
    """
    words = fields.get("question")
    if not isinstance(words, str) or not words.strip():
        raise InputError(f"has no question, among: {listed(fields)}. Write it as 'question'.")
    hint = fields.get("hint")
    text = f"{hint}\n{words}" if isinstance(hint, str) else words
    if len(text) > MOST_SIGNS:
        raise InputError(f"has a question of {len(text):,} signs, over {MOST_SIGNS:,}. Shorten it.")
    answers = _answers(fields)
    form = _form(fields, _options(fields), answers)
    category = fields.get("category", fields.get("l2-category", ""))
    return Item(text.strip(), form, _truth(form, answers[0]) if answers else "", " ".join(str(category).split())[:200])


def _answers(fields: Fields) -> list[str]:
    """Return the right answers as text, the first of them the one that is kept."""
    given = fields.get("answer")
    found = given if isinstance(given, list) else [] if given is None else _literal(given)
    if any(isinstance(one, list | dict) for one in found):
        raise InputError(f"has an answer {short(given)}, which is no text and no number. Give one, or a list of them.")
    return ["yes" if one is True else "no" if one is False else str(one).strip() for one in found]


def _literal(given: Any) -> list[Any]:
    """Return the list that a table's cell stands for ("['a', 'b']", '["a", "b"]'), else what it is itself."""
    if isinstance(given, str) and given.startswith("[") and given.endswith("]") and len(given) <= MOST_SIGNS:
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            found = ast.literal_eval(given)
            if isinstance(found, list) and found:
                return found
    return [given]


def _options(fields: Fields) -> tuple[str, ...]:
    """Return a row's options in the order of their letters; () where it has none."""
    given = fields.get("options", fields.get("choices"))
    if isinstance(given, str):
        given = _literal(given)
    if isinstance(given, list):
        texts = [str(one).strip() for one in given]
    elif given is None or isinstance(given, dict):
        lettered = {str(name).strip(): one for name, one in (fields if given is None else given).items()}
        lettered = {name: one for name, one in lettered.items() if given is not None or name in LETTERS}
        texts = [str(one).strip() for _, one in sorted(lettered.items())]
        wanted = LETTERS[: len(lettered)]
        if sorted(lettered) != list(wanted):
            named = listed(sorted(lettered))
            raise InputError(f"has options {named}, where their letters should be {', '.join(wanted)}. Leave none out.")
    else:
        raise InputError(f"has options {short(given)}, which are no list. Give a list, or A, B, ...")
    if not texts:
        return ()
    if not 2 <= len(texts) <= len(LETTERS):
        raise InputError(f"has {len(texts)} option{'s' * (len(texts) != 1)}. Give 2 to {len(LETTERS)}.")
    alike = [_alike(text) for text in texts]
    for at, text in enumerate(texts):
        if not text:
            raise InputError(f"has no words for option {LETTERS[at]}. Write what it stands for.")
        if alike.index(alike[at]) != at:
            both = f"{LETTERS[alike.index(alike[at])]} and {LETTERS[at]}"
            raise InputError(f"has the option {short(text)} twice, as {both}. Leave one out.")
    return tuple(texts)


def _form(fields: Fields, options: tuple[str, ...], answers: list[str]) -> Form:
    """Return the form that a row names, or the one that its options and its answer have."""
    accepted = _accepted(fields, answers)
    name = fields.get("form") or (
        "letters" if options
        else "yes-no" if answers and answers[0].lower() in ("yes", "no")
        else "number" if "tolerance" in fields or (len(answers) == 1 and not accepted and _is_number(answers[0]))
        else "text"
    )  # fmt: skip
    several = (Place, SameOrDifferent)  # forms of answers about several pictures
    known_forms = {form: kind for form, kind in FORMS.items() if not issubclass(kind, several)}
    if not isinstance(name, str) or name not in known_forms:
        raise UnknownNameError("form", str(name), known_forms)
    given: dict[str, Any] = {key: fields[key] for key in ("tolerance", "relative") if key in fields}
    if name == "cell":
        given |= {key: fields[key] for key in ("rows", "columns") if key in fields}
    if options:
        given["options"] = options
    elif name == "letters":
        raise InputError("is of the form 'letters' and has no options. Give them as a list, or as A, B, ...")
    if accepted:
        given["accepted"] = accepted
    return question.form(name, given, "its answer")


def _accepted(fields: Fields, answers: list[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of spellings that are one answer: those that are given, and several right answers."""
    given = fields.get("accepted")
    found = [] if given is None else given if isinstance(given, list) else _literal(given)
    if found and all(isinstance(group, list) for group in found):
        return tuple(tuple(map(str, group)) for group in found if group)
    if any(isinstance(one, list | dict) for one in found):
        raise InputError(
            f"accepts {short(given)}, which is no list of spellings. Give a list of texts, or of such lists."
        )
    spellings = tuple(dict.fromkeys([*answers, *map(str, found)]))
    return (spellings,) if len(spellings) > 1 else ()


def _is_number(text: str) -> bool:
    try:
        number(text)
    except InputError:
        return False
    return True


def _truth(form: Form, answer: str) -> str:
    """Return an answer in the form's spelling.

    Raises:
        InputError: it is none of the options, or it is one by its letter and another by its words.
    """
    if not isinstance(form, Letters):
        return question.known(form, answer, "its answer")
    named = LETTERS.find(answer.upper()) if len(answer) == 1 else -1
    worded = next((at for at, option in enumerate(form.options) if _alike(option) == _alike(answer)), -1)
    if 0 <= named < len(form.options) and worded in (-1, named):
        return LETTERS[named]
    if worded >= 0 and not 0 <= named < len(form.options):
        return LETTERS[worded]
    options = ", ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, form.options, strict=False))
    wrong = "none of its options" if worded < 0 else "one option by its letter and another by its words"
    raise InputError(
        f"has the answer {short(answer)}, which is {wrong} ({options[:200]}). Give the letter of one, or its words."
    )


def _alike(text: str) -> str:
    return " ".join(text.casefold().split())


def listed(names: Iterable[str]) -> str:
    """Return names for a message, not too long."""
    return ", ".join(names)[:200]


def short(given: object) -> str:
    """Return a value for a message, not too long."""
    return repr(given) if len(repr(given)) <= 60 else f"{repr(given)[:40]}..."
