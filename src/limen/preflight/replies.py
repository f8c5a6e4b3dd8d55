"""How answers to the exam's own questions are read. What is not plainly right to read is None, never a guess."""

import re

from limen.parsing.yes_no import spoken
from limen.preflight.images import COLOURS

_NUMBERS = {word: n for n, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight"))}
_NUMBER = re.compile(rf"\b(?:\d{{1,3}}|{'|'.join(_NUMBERS)})\b")
_COLOUR = re.compile(r"\b(red|green|blue|yellow|black|white|gr[ae]y|orange|purple|violet|pink|brown|cyan|magenta)\b")
_SECOND_FIRST = re.compile(r"\bsecond\b(?s:.)*\bfirst\b")


def number(text: str) -> int | None:
    """Return the one number that an answer names."""
    found = {_NUMBERS.get(word, -1) if word in _NUMBERS else int(word) for word in _NUMBER.findall(spoken(text))}
    return found.pop() if len(found) == 1 else None


def colours(text: str) -> tuple[str, str] | None:
    """Return the two colours an answer names, in order, if it names two, each of them once or more.

    An answer that speaks of the second image before the first is not read: its order is not that of the question.
    """
    said = spoken(text)
    found = list(dict.fromkeys(_COLOUR.findall(said)))
    if len(found) != 2 or _SECOND_FIRST.search(said) or not set(found) <= set(COLOURS):
        return None
    return found[0], found[1]


def choice(text: str, options: tuple[str, ...]) -> str | None:
    """Return the option an answer names: the last one between <...>, else the only one."""
    said = spoken(text)
    names = "|".join(options)
    marked = re.findall(rf"<({names})>", said)
    if marked:
        return str(marked[-1])
    plain = set(re.findall(rf"\b({names})\b", said))
    return str(plain.pop()) if len(plain) == 1 else None
