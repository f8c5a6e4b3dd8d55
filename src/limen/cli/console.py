"""What commands print: tables and JSON on stdout, nothing of it able to steer the terminal."""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.table import Table as Drawn

    from limen.report.format import Table

PROSE = 30  # columns of a terminal: where all is printed a wider cell may fold
FOLDS = 18  # the same where columns are left out for want of room
LAST = "false alarms"  # the column that is left out last: without it no threshold can be judged
WIDE, QUIET = "wide", "quiet"  # options of every command


def chosen(option: str) -> bool:
    """Whether the command that runs was given one of the options that all commands take."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(f"limen.{option}"))


def say(text: str, err: bool = False) -> None:
    """Print a paragraph, broken between words where a terminal is narrower, or COLUMNS; on a piped stderr one line.

    Args:
        text: of the paragraph; line breaks become spaces.
        err: on stderr instead of stdout.
    """
    line = tame(text)
    width = _width(err)
    if width:
        line = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) or line
    # Not by err=True: click would write past the bar that is being drawn, into its line.
    click.echo(line, file=sys.stderr if err else None)


def _width(err: bool = False) -> int:
    """Return the columns of the terminal, or on stdout those that COLUMNS names where there is none; 0 for neither."""
    named = os.environ.get("COLUMNS", "")
    known = sys.stderr.isatty() if err else sys.stdout.isatty() or (named.isdecimal() and int(named) > 0)
    return shutil.get_terminal_size().columns if known else 0


def notice(text: str) -> None:
    """Say on stderr what is good to know, unless --quiet was given."""
    if not chosen(QUIET):
        say(text, err=True)


def tame(text: str) -> str:
    """Take control characters out of text that came from outside."""
    return "".join(character if character.isprintable() else " " for character in text)


def print_json(value: Any) -> None:
    """Print as indented JSON; halves of surrogate pairs, which JSON's readers refuse, as question marks."""
    import orjson

    how = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        text = orjson.dumps(value, option=how)
    except orjson.JSONEncodeError:
        text = orjson.dumps(_whole(value), option=how)
    sys.stdout.buffer.write(text)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


def print_result(as_json: bool, data: Callable[[], Any], tables: Callable[[], "Iterable[Table]"]) -> None:
    """Print a command's result: its data as JSON, or its tables; only what is printed is made.

    Args:
        as_json: whether --json was given.
        data: called without arguments; returns plain data.
        tables: called without arguments; returns the tables, in order.
    """
    if as_json:
        print_json(data())
    else:
        for table in tables():
            print_table(table)


def print_short(as_json: bool, data: Callable[[], Any], tables: "Sequence[Table]", essential: str, whole: bool) -> None:
    """Print a command's result short: one table of several, and what the others would tell.

    Args:
        as_json: whether --json was given.
        data: called without arguments; returns plain data.
        tables: all there are.
        essential: the title, or its beginning, of the one that is shown.
        whole: whether --all was given: print them all.
    """
    shown = [table for table in tables if whole or table.title.startswith(essential)]
    print_result(as_json, data, lambda: shown)
    rest = [table.title for table in tables if table not in shown]
    if rest and not as_json:
        print_sentences([f"With --all also: {'; '.join(rest)}."])


def print_table(table: "Table") -> None:
    """Print a table with its notes.

    In a terminal that is too narrow it leaves columns out, the least needed first, and says which. With --wide, or
    where there is no terminal, it prints all of them: as wide as the terminal, or where there is none as COLUMNS says,
    or 160 columns; what does not fit follows below, with the leading columns that say what a row is of.
    """
    from rich.text import Text

    console = _console()
    every = list(range(len(table.columns)))
    if chosen(WIDE) or not sys.stdout.isatty():
        for i, block in enumerate(_blocks(table, console.width)):
            console.print(_drawn(table, block, titled=not i))
    else:
        kept = _kept(table, console.width)
        if kept:
            console.print(_drawn(table, kept, True, _widths(table, kept, console.width)))
        else:
            _print_entries(table)
        left = [table.columns[place] for place in every if kept and place not in kept]
        if left:
            console.print(Text(tame(f"left out at this width: {', '.join(left)} (--wide shows all)"), style="dim"))
    for note in table.notes:
        console.print(Text(tame(note), style="dim"))


def print_sentences(sentences: "Iterable[str]") -> None:
    """Print sentences, each after an empty line and broken between words where a terminal is narrower."""
    from rich.text import Text

    console = _console()
    for sentence in sentences:
        console.print()
        console.print(Text(tame(sentence)))


def _console() -> "Console":
    from rich.console import Console

    width = _width()
    return Console(soft_wrap=not width, width=width or 160)


def _blocks(table: "Table", room: int) -> list[list[int]]:
    """Return the columns in blocks that fit, each with the leading columns."""
    from rich.cells import cell_len

    columns = zip(table.columns, *table.rows, strict=True)
    widths = [3 + min(PROSE, max(map(cell_len, cells))) for cells in columns]
    heads = list(range(table.heads))
    blocks: list[list[int]] = [[]]
    for i in range(len(widths)):
        wider = [*blocks[-1], i]
        if len(wider) > len(heads) + 1 and sum(widths[place] for place in wider) > room:
            blocks.append([*heads, i])
        else:
            blocks[-1] = wider
    return blocks


def _kept(table: "Table", room: int) -> list[int]:
    """Return the columns that fit, in their order; none where even one beside the leading ones is too many."""
    places = {name: place for place, name in reversed(list(enumerate(table.columns)))}
    rest = [place for place in range(len(table.columns) - 1, table.heads - 1, -1) if table.columns[place] != LAST]
    rest += [place for place in range(table.heads, len(table.columns)) if table.columns[place] == LAST]
    spare = [places[name] for name in table.spare if name in places]
    kept = list(range(len(table.columns)))
    for place in [*spare, *(place for place in rest if place not in spare)]:
        if _widths(table, kept, room):
            return kept
        kept.remove(place)
    return kept if len(kept) == len(table.columns) and _widths(table, kept, room) else []


def _widths(table: "Table", columns: list[int], room: int) -> list[int]:
    """Return how wide columns are drawn, none where they do not fit; headings and long texts fold between words."""
    from rich.cells import cell_len

    def longest(text: str) -> int:
        return max(map(cell_len, text.split()), default=0)

    least, most = [], []
    for place in columns:
        cells = [tame(row[place]) for row in table.rows]
        whole = [size if (size := cell_len(cell)) <= FOLDS else max(FOLDS, longest(cell)) for cell in cells]
        least.append(max([longest(table.columns[place]), *whole]))
        most.append(max(map(cell_len, [table.columns[place], *cells])))
    left = room - sum(least) - 3 * len(columns) - 1  # a space on either side of each, and the lines between
    if left < 0:
        return []
    for i in sorted(range(len(columns)), key=lambda i: most[i] - least[i]):  # so that as few as can be must fold
        more = min(left, most[i] - least[i])
        least[i] += more
        left -= more
    return least


def _print_entries(table: "Table") -> None:
    """Print each row as lines of its own, a column a line, where a terminal is too narrow for a table."""
    if table.title:
        say(table.title)
    for row in table.rows:
        click.echo()
        for name, cell in zip(table.columns, row, strict=True):
            if cell:
                say(f"{name}: {cell}" if name else cell)
    click.echo()


def _drawn(table: "Table", columns: list[int], titled: bool, widths: "Sequence[int]" = ()) -> "Drawn":
    """Return some columns of a table for the terminal, in given widths or in rich's own."""
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(
        box=box.SIMPLE_HEAD,
        title=Text(tame(table.title)) if table.title and titled else None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for i, width in zip_longest(columns, widths):
        numeric = all(row[i][:1].isdigit() or row[i][:1] in ">-" for row in table.rows if row[i])
        drawn.add_column(
            Text(tame(table.columns[i])), justify="right" if numeric and table.rows else "left", width=width
        )
    for row in table.rows:
        drawn.add_row(*(Text(tame(row[i])) for i in columns))
    return drawn
