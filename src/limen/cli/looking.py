"""What there is: list, show, render."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.group import JSON, main, split
from limen.errors import InputError
from limen.printing import print_json, print_table

if TYPE_CHECKING:
    from limen.image import Image


@main.command("list")
@click.argument("shelf", type=click.Choice(["distortions", "observers", "procedures", "questions"]), required=False)
@JSON
def list_(shelf: str | None, as_json: bool) -> None:
    """List distortions, observers, procedures and questions."""
    from limen import question, registry
    from limen.report.tables import Table

    rows: list[tuple[str, str, str]] = []
    for noun, name in registry.SHELVES.items():
        if shelf in (None, name):
            rows += [(noun, item, _summary(thing)) for item, thing in registry.every(noun).items()]
    if shelf in (None, "questions"):
        rows += [("question", item.name, item.text.split("\n")[0]) for item in question.every()]
    if as_json:
        print_json([{"kind": kind, "name": name, "summary": summary} for kind, name, summary in rows])
    else:
        print_table(Table("", ("kind", "name", "what it is"), tuple(rows)))


@main.command()
@click.argument("name")
@JSON
def show(name: str, as_json: bool) -> None:
    """Show a distortion's ladder, or the settings of a procedure or an observer."""
    from limen import distortion, registry
    from limen.report.tables import Table

    for noun in ("procedure", "observer"):
        if name in registry.every(noun):
            found = registry.find(noun, name)
            text, defaults = registry.described(found if noun == "procedure" else found.options)
            if as_json:
                print_json({"name": name, "kind": noun, "settings": defaults})
            else:
                click.echo(f"{noun} {name}\n\n{text}\n")
                print_table(Table("", ("setting", "if not given"), tuple((k, str(v)) for k, v in defaults.items())))
            return
    kind = distortion.find(name)
    about = {"name": kind.name, "word": kind.word, "summary": kind.summary, "version": kind.version}
    about |= {"unit": kind.ladder.unit, "ladder": kind.ladder.digest, "strengths": list(kind.ladder.strengths)}
    if as_json:
        print_json(about)
        return
    columns, top = 5, len(kind.ladder)
    height = -(-top // columns)
    rows = []
    for first in range(1, height + 1):
        levels = range(first, top + 1, height)
        cells = [cell for level in levels for cell in (str(level), f"{kind.ladder[level]:g}")]
        rows.append((*cells, *[""] * (2 * columns - len(cells))))
    title = f"{kind.name} v{kind.version} ({kind.word}): {kind.summary}"
    note = f"Strength in {kind.ladder.unit}; level 0 is the image itself."
    print_table(Table(title, ("level", "strength") * columns, tuple(rows), (note,)))


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--distortion", "names", default="", help="Comma-separated; all if not given.")
@click.option("--levels", default="", help="Comma-separated; 0, 1, and steps up to the top if not given.")
@click.option("--key", default="render", help="Names the random draw.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the PNG files and the contact sheet."
)
def render(image: Path, names: str, levels: str, key: str, out: Path) -> None:
    """Write an image's stimuli to files, and a contact sheet to look at."""
    from limen import distortion, registry
    from limen.image import load, png
    from limen.report.sheet import contact_sheet

    pixels = load(image)
    chosen = split(names) or list(registry.every("distortion"))
    kinds = [distortion.find(name) for name in chosen]
    rows: dict[str, list[tuple[str, Image]]] = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            top = len(kind.ladder)
            wanted = [_integer(k) for k in split(levels)] or [0, 1, top // 8, top // 4, top // 2, 3 * top // 4, top]
            stimulus = kind.render(pixels, key)
            rows[kind.name] = [(str(level), stimulus(level)) for level in wanted]
            for level, picture in rows[kind.name]:
                (out / f"{image.stem}_{kind.name}_{int(level):03d}.png").write_bytes(png(picture))
        sheet = out / f"{image.stem}_sheet.png"
        sheet.write_bytes(png(contact_sheet(rows)))
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    click.echo(f"{sum(map(len, rows.values()))} stimuli and {sheet}")


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"A level is a whole number from 0, not {text!r}.")
    return int(text)


def _summary(thing: Any) -> str:
    return str(getattr(thing, "summary", "") or (thing.__doc__ or "").strip().split("\n")[0])
