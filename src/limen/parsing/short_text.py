"""How a word or a short phrase is read from an answer."""

from collections.abc import Sequence

from limen.parsing.reading import Reading


def normalised(text: str) -> str:
    raise NotImplementedError


def read_text(text: str, finish: str, accepted: Sequence[str] = ()) -> Reading:
    raise NotImplementedError
