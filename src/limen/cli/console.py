"""What commands print: tables and JSON on stdout, nothing of it able to steer the terminal."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table as Drawn

    from limen.report.format import Table

PROSE = 30  # columns of a terminal: a wider cell may fold


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


def print_table(table: "Table") -> None:
    """Print a table with its notes: as wide as the terminal, or 160 columns where there is none.

    Columns that do not fit are printed below the others, with the leading ones that say what a row is of.
    """
    from rich.cells import cell_len
    from rich.text import Text

    console = _console()
    columns = zip(table.columns, *table.rows, strict=True)
    widths = [3 + min(PROSE, max(map(cell_len, cells))) for cells in columns]
    heads = list(range(table.heads))
    blocks: list[list[int]] = [[]]
    for i in range(len(widths)):
        wider = [*blocks[-1], i]
        if len(wider) > len(heads) + 1 and sum(widths[place] for place in wider) > console.width:
            blocks.append([*heads, i])
        else:
            blocks[-1] = wider
    for block in blocks:
        console.print(_drawn(table, block, titled=block is blocks[0]))
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

    return Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 160)


def _drawn(table: "Table", columns: list[int], titled: bool = False) -> "Drawn":
    """Return some columns of a table for the terminal."""
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
    for i in columns:
        numeric = all(row[i][:1].isdigit() or row[i][:1] in ">-" for row in table.rows if row[i])
        drawn.add_column(Text(tame(table.columns[i])), justify="right" if numeric and table.rows else "left")
    for row in table.rows:
        drawn.add_row(*(Text(tame(row[i])) for i in columns))
    return drawn
