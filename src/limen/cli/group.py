"""The group that commands join, and what several of them share."""

from collections.abc import Sequence

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
