"""What commands print: no word is cut at any width, what is left out is told, and a pipe gets all of it, uncoloured."""

import json
import re
import sys
from collections import Counter

import click
import pytest

from limen.cli.console import QUIET, WIDE, notice, print_table, say
from limen.cli.group import main, telling, working
from limen.report.format import Table
from tests.support.command import limen

COLUMNS = ("distortion", *(f"figure {n}" for n in range(12)))
ROWS = tuple((name, *(f"{name} {n}" for n in range(12))) for name in ("blur", "jpeg"))
JNDS = Table(
    "title",
    ("distortion", "n", "median", "quartiles", "mean [95 %]", "at the median", "false alarms", "questions"),
    (("blur", "6", "13", "12 - 17", "15.2 [12.7, 18.8]", "6.5 px at 640 px wide", "0 of 20*", "162"),),
    ("a note",),
    spare=("questions", "quartiles"),
)


@pytest.fixture
def terminal(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> int:
    """A terminal of so many columns."""
    width: int = getattr(request, "param", 80)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "24")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: True)  # the stream itself is another in the test
    return width


@pytest.fixture
def wide() -> click.Context:
    """A command line with --wide and --quiet."""
    context = click.Context(main)
    context.meta.update({f"limen.{WIDE}": True, f"limen.{QUIET}": True})
    return context


def words(text: str) -> Counter[str]:
    return Counter(re.sub(r"\x1b\[[\d;]*m", "", text).split())


@pytest.mark.parametrize(("terminal", "tables"), [(60, 3), (90, 2), (200, 1)], indirect=["terminal"])
def test_wide_prints_what_does_not_fit_below_with_its_heads(
    terminal: int, tables: int, wide: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    with wide:
        print_table(Table("title", COLUMNS, ROWS, ("a note",)))
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert words(out) >= Counter(word for row in (COLUMNS, *ROWS) for cell in row for word in cell.split())
    assert out.count("distortion") == tables
    assert out.count("title") == out.count("a note") == 1
    assert max(map(len, out.splitlines())) <= terminal


@pytest.mark.parametrize(
    ("terminal", "left"),
    [
        (200, ""),
        (100, "questions"),
        (85, "quartiles, questions"),
        (70, "quartiles, at the median, questions"),
        (36, "median, quartiles, mean [95 %], at the median, questions"),
        (28, "n, median, quartiles, mean [95 %], at the median, questions"),
    ],
    indirect=["terminal"],
)
def test_a_narrow_terminal_leaves_out_what_is_least_needed_and_says_so(
    terminal: int, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(JNDS)
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= terminal
    kept = [place for place, name in enumerate(JNDS.columns) if name not in left.split(", ")]
    told = f"left out at this width: {left} (--wide shows all)"
    assert " ".join(out.split()).count(told) == bool(left)
    table = words(out) - (words(told) if left else Counter())
    assert table >= Counter(word for row in (JNDS.columns, *JNDS.rows) for place in kept for word in row[place].split())
    heads = [out.index(JNDS.columns[place].split()[-1]) for place in kept]
    assert heads[0] == min(heads)
    assert "distortion" in out
    assert "0 of 20*" in out  # false alarms stay to the last


@pytest.mark.parametrize("terminal", [24], indirect=True)
def test_where_no_two_columns_fit_a_row_is_lines(terminal: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = (("a-name-of-24-characters-x", "12"), ("b", "13"))
    print_table(Table("title", ("observer", "n"), rows))
    out = capsys.readouterr().out
    assert words(out) == Counter(["title", "observer:", "observer:", "n:", "n:", *rows[0], *rows[1]])
    assert "left out" not in out


def test_a_long_text_folds_in_its_place(terminal: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Table("", ("kind", "name", "what it is"), (("source", "folder", "an image " * 30),)))
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert out.count("kind") == 1
    assert words(out)["image"] == 30
    assert max(map(len, out.splitlines())) <= terminal


def test_a_pipe_gets_every_column_and_no_colour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(JNDS)
    say("a sentence of " + "many words " * 30)
    out = capsys.readouterr().out
    assert words(out) >= Counter(word for row in (JNDS.columns, *JNDS.rows) for cell in row for word in cell.split())
    assert "left out" not in out
    assert "\x1b" not in out
    assert len(out.splitlines()[-1]) > 300


@pytest.mark.parametrize("width", [60, 80])
def test_a_pipe_is_as_wide_as_columns_says_and_lacks_nothing(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(JNDS)
    say("a sentence of " + "many words " * 30)
    say("an error of " + "many words " * 30, err=True)
    seen = capsys.readouterr()
    assert len(seen.err.splitlines()) == 1, "an error stays one line, for those who search a log"
    cells = Counter(word for row in (JNDS.columns, *JNDS.rows) for cell in row for word in cell.split())
    assert words(seen.out) >= cells + Counter({"many": 30})
    assert "left out" not in seen.out
    assert max(map(len, seen.out.splitlines())) <= width


@pytest.mark.parametrize("given", ["", "0", "wide", "-5"])
def test_a_pipe_takes_no_width_from_what_is_none(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", given)
    say("a sentence of " + "many words " * 30)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_colour_in_a_terminal_and_none_with_no_color(
    terminal: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(JNDS)
    assert "\x1b[2m" in capsys.readouterr().out  # notes are dim
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(JNDS)
    with telling("counting") as tell:
        tell(1, 2)
    seen = capsys.readouterr()
    assert not re.search(r"\x1b\[[\d;]*[34]\d", seen.out + seen.err)  # no foreground, no background


def test_a_sentence_breaks_between_words(terminal: int, capsys: pytest.CaptureFixture[str]) -> None:
    say("limen: " + "an observer that answers " * 9 + "\x1b[31m")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= terminal
    assert words(out)["observer"] == 9
    assert "\x1b" not in out


def test_quiet_leaves_no_progress_and_no_notice(wide: click.Context, capsys: pytest.CaptureFixture[str]) -> None:
    with wide, telling("counting") as tell:
        tell(1, 2)
        notice("good to know")
    assert capsys.readouterr() == ("", "")
    with telling("counting") as tell:
        tell(1, 2)
        notice("good to know")
    err = capsys.readouterr().err
    assert "counting" in err
    assert "good to know" in err


@pytest.mark.parametrize("line", ["-q simulate", "simulate -q", "simulate --quiet"])
def test_quiet_stands_before_a_command_or_behind_it(line: str) -> None:
    words = [*line.split(), "--procedure", "skip", "--images", "2", "--levels", "10", "--slope", "0"]
    loud, quiet = limen(*(word for word in words if word not in ("-q", "--quiet"))), limen(*words)
    assert (loud.returncode, quiet.returncode) == (0, 0), quiet.stderr
    assert loud.stdout == quiet.stdout != ""
    assert quiet.stderr == "" != loud.stderr


def test_quiet_hides_no_error() -> None:
    assert "nobody" in limen("-q", "show", "nobody").stderr


def test_published_is_short_and_says_what_the_rest_would_tell() -> None:
    short, whole = limen("published").stdout, limen("published", "--all").stdout
    assert len(short.splitlines()) < 45
    assert "1st JND by part" in short
    rest = re.search(r"With --all also: (.*)\.", short)
    assert rest is not None
    titles = rest[1].split("; ")
    assert len(titles) >= 6
    for title in titles:
        assert title in whole
        assert short.count(title) == 1
    assert "With --all" not in whole
    assert "1st JND by part" in whole


def test_what_takes_long_says_what_it_does_and_leaves_no_trace(
    terminal: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with working("reading answers") as now:
        now("fitting thresholds")
    err = capsys.readouterr().err
    assert "fitting thresholds" in err
    assert err.rstrip().endswith(("\x1b[2K", "\x1b[1A\x1b[2K"))  # the line is taken away


def test_in_a_pipe_what_takes_long_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with working("reading answers"):
        pass
    assert capsys.readouterr().err.strip() == ""


def test_simulate_takes_a_procedure_by_name_or_by_its_label() -> None:
    line = (
        "simulate",
        "--images",
        2,
        "--levels",
        10,
        "--mean",
        4,
        "--spread",
        1,
        "--slope",
        0,
        "--json",
        "--procedure",
    )
    named = [row["procedure"] for row in json.loads(limen(*line, "psi,skip").stdout)]
    assert named == ["psi (20 levels)", "psi (20 samples)", "skip"]
    assert [row["procedure"] for row in json.loads(limen(*line, "psi (20 levels)").stdout)] == named[:1]
    refused = limen(*line, "psy")
    assert refused.returncode == 1
    assert "No contender named 'psy'. Did you mean 'psi'?" in refused.stderr
