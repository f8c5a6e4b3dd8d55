"""Tables in a terminal: every cell is there, at any width, and no word is cut."""

import re
import sys
from collections import Counter

import pytest

from limen.cli.console import print_table
from limen.report.format import Table

COLUMNS = ("distortion", *(f"figure {n}" for n in range(12)))
ROWS = tuple((name, *(f"{name} {n}" for n in range(12))) for name in ("blur", "jpeg"))


@pytest.mark.parametrize(("width", "tables"), [(60, 3), (90, 2), (200, 1)])
def test_columns_that_do_not_fit_follow_below_with_their_heads(
    width: int, tables: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(Table("title", COLUMNS, ROWS, ("a note",)))
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert Counter(out.split()) >= Counter(word for row in (COLUMNS, *ROWS) for cell in row for word in cell.split())
    assert out.count("distortion") == tables
    assert out.count("title") == out.count("a note") == 1
    assert max(map(len, out.splitlines())) <= width


def test_a_long_text_folds_in_its_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(Table("", ("kind", "name", "what it is"), (("source", "folder", "an image " * 30),)))
    assert capsys.readouterr().out.count("kind") == 1
