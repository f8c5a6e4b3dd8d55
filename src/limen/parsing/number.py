"""How a number is read from an answer."""

from limen.parsing.reading import Reading


def read_number(text: str, finish: str) -> Reading:
    raise NotImplementedError
