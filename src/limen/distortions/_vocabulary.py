"""The words that distortions of a question draw from (`data/words`): synonyms, expressions, phrases, random words."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1] / "data" / "words"
LONGEST = 5  # words of a phrase


class Phrase(NamedTuple):
    """What may stand for a phrase; whether it must begin or end a sentence; words that must not follow it."""

    given: tuple[str, ...]
    first: bool
    last: bool
    without: frozenset[str]


@functools.cache
def synonyms() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return, by word form, its part of speech (n, v, a, r) and synonyms in the same form."""
    rows = (line.split("\t") for line in _lines("synonyms.txt"))
    return {form: (kind, tuple(given.split("|"))) for form, kind, given in rows}


@functools.cache
def collocations() -> frozenset[str]:
    """Return expressions of two words in which neither is replaced ("car door")."""
    return frozenset(_lines("collocations.txt"))


@functools.cache
def phrases() -> dict[str, Phrase]:
    """Return what may stand for a phrase."""
    found = {}
    for line in _lines("phrases.txt"):
        phrase, given = line.split(" = ")
        words = phrase.removeprefix("^").split()
        without = frozenset(word[1:] for word in words if word.startswith("!"))
        name = " ".join(word for word in words if word[0] not in "!$")
        found[name] = Phrase(tuple(given.split("|")), phrase.startswith("^"), "$" in words, without)
    return found


@functools.cache
def random_words() -> tuple[str, ...]:
    """Return nouns for what is not seen in a picture."""
    return tuple(_lines("random.txt"))


def _lines(name: str) -> Iterator[str]:
    for line in (FOLDER / name).read_text("ascii").splitlines():
        if not line.startswith("#"):
            yield line
