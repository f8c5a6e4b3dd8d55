"""Reading many answers: each different one once, and on several processes what one alone would read."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

import pytest

from limen.analysis import replay
from limen.parsing.yes_no import Verdict, read_choice, read_direct
from limen.trial import Answer, Trial
from tests.parsing.test_yes_no import CHOICE, DIRECT, Row


def trials(*answers: tuple[str, str]) -> list[list[Trial]]:
    def one(number: int, text: str, finish: str) -> Trial:
        return Trial("o", "direct", "s", 0, number, 0, False, 0, f"{number}", Answer(text, finish=finish))

    return [[one(i, *answer) for i, answer in enumerate(answers)]]


def test_a_different_answer_is_read_once() -> None:
    read = Counter[tuple[str, str]]()

    def reader(text: str, finish: str) -> Verdict:
        read[text, finish] += 1
        return read_direct(text, finish)

    quick = replay.having_read(reader, ())
    assert [quick(*answer) for answer in (("<no>", ""), ("<no>", ""), ("<no>", "length"))] == [read_direct("<no>")] * 3
    assert set(read.values()) == {1}
    assert len(read) == 2


@pytest.mark.parametrize(("reader", "table"), [(read_direct, DIRECT), (read_choice, CHOICE)])
def test_processes_read_what_one_would(
    reader: replay.Reader, table: dict[str, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(row[0], ending) for rows in table.values() for row in rows for ending in ("stop", "length")]
    answers += [("The two images look alike.", ""), ("", "stop"), ("\ud800 <yes>", "stop")]
    monkeypatch.setattr(replay, "MANY", 10)
    quick = replay.having_read(reader, trials(*answers), processes=2)
    assert [quick(*answer) for answer in answers] == [reader(*answer) for answer in answers]
    assert quick("<yes> Never announced.", "") == reader("<yes> Never announced.", "")


def test_where_a_process_goes_away_this_one_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [("<yes> They differ.", "stop"), ("<no> They look the same.", "stop"), ("", "length")]

    def broken(*_: object) -> Iterator[Verdict]:
        yield read_direct(*answers[0])
        raise BrokenProcessPool("it went away")

    monkeypatch.setattr(replay, "MANY", 1)
    monkeypatch.setattr(replay, "_read_in", broken)
    quick = replay.having_read(read_direct, trials(*answers), processes=2)
    assert [quick(*answer) for answer in answers] == [read_direct(*answer) for answer in answers]
