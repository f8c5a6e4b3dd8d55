"""What commands print: tables and JSON on stdout, nothing of it able to steer the terminal."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limen.report.table import Table


def tame(text: str) -> str:
    """Take control characters out of text that came from outside."""
    return "".join(character if character.isprintable() else " " for character in text)


def print_json(value: Any) -> None:
    """Print as indented JSON."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def print_table(table: "Table") -> None:
    """Print a table with its notes: as wide as the terminal, or 160 columns where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(
        box=box.SIMPLE_HEAD,
        title=Text(tame(table.title)) if table.title else None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for i, column in enumerate(table.columns):
        numeric = all(row[i][:1].isdigit() or row[i][:1] in ">-" for row in table.rows if row[i])
        drawn.add_column(Text(tame(column)), justify="right" if numeric and table.rows else "left")
    for row in table.rows:
        drawn.add_row(*(Text(tame(cell)) for cell in row))
    console = Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 160)
    console.print(drawn)
    for note in table.notes:
        console.print(Text(tame(note), style="dim"))
