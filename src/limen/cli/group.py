"""The group that commands join, and what several of them share."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import click

from limen.printing import tame

MOST = 20  # lines about single files, references or series


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="limen")
def main() -> None:
    """Measure just noticeable differences of machine vision.

    \b
    limen demo                                     try it: no model, no network, no photographs needed
    limen measure --images photos/ --distortion blur,jpeg --observer openai:MODEL --out runs/a
    limen report runs/a --out report.html
    """


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def left_out(lines: Sequence[str]) -> None:
    """Say on stderr what could not be used."""
    for line in lines[:MOST]:
        click.echo(f"left out: {tame(line)}", err=True)
    if len(lines) > MOST:
        click.echo(f"left out: ... and {len(lines) - MOST:,} more.", err=True)


def split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


@contextlib.contextmanager
def telling(what: str) -> Iterator[Any]:
    """Yield a function that draws progress on stderr: called with nothing it counts one, else (done, of, note)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), refresh_per_second=4)
    task = bar.add_task(what, total=None, note="")

    def tell(done: int | None = None, of: int | None = None, note: str = "") -> None:
        bar.start()
        if done is None:
            bar.advance(task)
        else:
            bar.update(task, completed=done, total=of, note=note)

    try:
        yield tell
    finally:
        bar.stop()
