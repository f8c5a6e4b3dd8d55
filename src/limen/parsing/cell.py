"""How a cell of a grid is read from an answer."""

from limen.parsing.reading import Reading


def read_cell(text: str, finish: str, rows: int, columns: int) -> Reading:
    raise NotImplementedError
