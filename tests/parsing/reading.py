"""What the test tables of the readers share."""

import time
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from limen.parsing.reading import Reading
from limen.parsing.yes_no import Fault

Row = tuple[str, str] | tuple[str, str, str]  # text, "value" or "value fault" or "unreadable fault", finish

ENDINGS = st.sampled_from(["", "stop", "length", "content_filter"])
PIECES = ("<think>", "</think>", "**", "\\boxed{", "}", "<", ">", "answer", "answer: ", "the answer is ", "wait, ",
          "not ", "or", "\n", "?", ".", ",", ":", "-", '"', "one", "1", "23", "1,000", "…", "是", "\x00", "\u0301", "ﬁ",
          "İ")  # fmt: skip


def reading(expected: str) -> Reading:
    """Return what a row of a table expects."""
    value, _, fault = expected.rpartition(" ")
    if fault not in set(Fault):
        value, fault = expected, ""
    return Reading(None if value == "unreadable" else value, Fault(fault) if fault else None)


def rows(table: dict[str, list[Row]]) -> list[object]:
    """Return a table as parameters: text, finish, expected."""
    return [
        pytest.param(row[0], row[2] if len(row) == 3 else "stop", row[1], id=f"{rule}-{number}")
        for rule, part in table.items()
        for number, row in enumerate(part, 1)
    ]


def nasty(pieces: list[str]) -> st.SearchStrategy[str]:
    """Return texts of pieces that readers look for."""
    return st.lists(st.sampled_from([*PIECES, *pieces]), max_size=30).map("".join)


def is_quick(read: Callable[[str], object], *pieces: str) -> None:
    """Hold a reader to a fifth of a second for 100,000 signs or more of each piece."""
    read("")
    for piece in (*PIECES, " ", "a", "9", "e\u0315\u0300", "1 000 ", "1.", "-1", *pieces):
        text = piece * 100_000
        if len(piece) > 3:
            text = text[:300_000]
        assert any(_seconds(read, text) < 0.5 for _ in range(3)), piece  # .1 s on a quiet core; a square takes minutes


def _seconds(read: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    read(text)
    return time.process_time() - start
