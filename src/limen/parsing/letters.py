"""How the letter of an option is read from an answer."""

from collections.abc import Sequence

from limen.parsing.reading import Reading


def read_letter(text: str, finish: str, options: Sequence[str]) -> Reading:
    raise NotImplementedError
