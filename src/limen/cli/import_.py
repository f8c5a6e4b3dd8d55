"""What others recorded, as a run: import."""

from pathlib import Path

import click

from limen.cli.console import say
from limen.cli.group import PLUGIN, main, telling
from limen.errors import InputError


@main.command("import")
@click.argument("source", metavar="KIND=PATH")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run directory; it must not be there yet.")
@PLUGIN
def import_(source: str, out: Path) -> None:
    """Read what others recorded into a run, such as a log of Inspect's (inspect=LOG.eval): see limen list imports."""
    from limen import registry

    kind, equals, place = source.partition("=")
    if not equals or not place:
        known = ", ".join(f"{name}=PATH" for name in registry.every("import"))
        raise InputError(f"import takes KIND=PATH, not {source!r}. Known: {known}.")
    read = registry.find("import", kind)
    with telling("imported") as tell:
        lines = read(place, out, tell)
    for line in lines:
        say(line)
