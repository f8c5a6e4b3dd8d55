"""What there is: list, render."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.console import print_result, say
from limen.cli.group import JSON, PLUGIN, SEED, CountRange, main, split, telling, working
from limen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limen.distortion import Distortion
    from limen.image import Image
    from limen.source import Reference

SHELVES = (
    "distortions",
    "exports",
    "imports",
    "observers",
    "procedures",
    "questions",
    "scenes",
    "sources",
    "tasks",
    "tolerances",
)


@main.command("list")
@click.argument("shelf", type=click.Choice(SHELVES), required=False)
@JSON
@PLUGIN
def list_(shelf: str | None, as_json: bool) -> None:
    """List distortions, exports, imports, observers, procedures, questions, scenes, sources; tasks, tolerances."""
    from limen import registry
    from limen.report.format import Table

    rows: list[tuple[str, str, str]] = []
    with working("looking"):
        for noun, place in registry.SHELVES.items():
            name = place.rpartition(".")[2]
            if shelf == name or (shelf is None and name == place):  # those of the feature wing load torch
                rows += [(noun, item, _summary(thing)) for item, thing in registry.every(noun).items()]
    notes = ("Of the feature wing: limen list tasks, limen list tolerances.",) if shelf is None else ()
    print_result(
        as_json,
        lambda: [{"kind": kind, "name": name, "summary": summary} for kind, name, summary in rows],
        lambda: [Table("", ("kind", "name", "what it is"), tuple(rows), notes)],
    )


@main.command()
@click.argument("place")
@click.option("--distortion", "names", default="", help="Comma-separated; all that fit if not given.")
@click.option("--levels", default="", help="Comma-separated; 0, 1, and steps up to the top if not given.")
@click.option("--limit", type=CountRange(1), default=1, show_default=True, help="How many references of each kind.")
@click.option("--seed", type=SEED, default=0, help="Seed of the random draws, as in a study.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the PNG files and the contact sheets."
)
@PLUGIN
def render(place: str, names: str, levels: str, limit: int, seed: int, out: Path) -> None:
    """Write the stimuli of a file, a folder or a source (scene=room) as PNG, with a contact sheet to look at."""
    from limen import distortion, registry, source
    from limen.stimulus import undergoes, wanted

    usual = [name for name in registry.every("distortion") if not name.endswith("-fine")]
    own = source.brought([place])
    kinds = [own.get(name) or distortion.find(name) for name in split(names) or own or usual]
    kinds = [kind for kind in kinds if kind.of != source.ReferenceKind.QUESTION]  # changes words, not pictures
    found = source.collect([place], limit, kinds=wanted(kinds))
    for kind in kinds if names else ():
        if not any(undergoes(reference, kind) for reference in found.references):
            raise InputError(f"Nothing in {place} can undergo {kind.name}. See limen list sources.")
    count = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        with telling("drawing") as tell:
            for number, reference in enumerate(found.references):
                tell(number, len(found.references), reference.name)
                sheet, drawn = _draw(reference, kinds, levels, seed, out)
                count += drawn
            tell(number + 1, number + 1)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    sheets = "a contact sheet each" if len(found.references) > 1 else sheet.name
    say(f"{count} stimuli of {len(found.references)} references, and {sheets}, in {out}")


def _draw(reference: "Reference", kinds: "Sequence[Distortion]", levels: str, seed: int, out: Path) -> tuple[Path, int]:
    """Write the stimuli of one reference and return their contact sheet and how many they are."""
    from limen.image import png
    from limen.report.images import contact_sheet
    from limen.stimulus import Series, undergoes

    name = reference.name.rpartition(".")[0] or reference.name
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    rows: dict[str, list[tuple[str, Image]]] = {}
    for kind in (kind for kind in kinds if undergoes(reference, kind)):
        top = len(kind.ladder)
        spread = list(dict.fromkeys((0, 1, top // 8, top // 4, top // 2, 3 * top // 4, top)))
        stimulus = Series(reference, kind, seed).open()
        shown = [_integer(k) for k in split(levels)] or spread
        rows[kind.name] = [(str(level), stimulus(level).pixels) for level in shown]
        for level, picture in rows[kind.name]:
            (out / f"{stem}_{kind.name}_{int(level):03d}.png").write_bytes(png(picture))
    sheet = out / f"{stem}_sheet.png"
    sheet.write_bytes(png(contact_sheet(rows)))
    return sheet, sum(map(len, rows.values()))


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"A level is a whole number from 0, not {text!r}.")
    return int(text)


def _summary(thing: Any) -> str:
    if words := getattr(thing, "text", ""):  # of a question
        if words == "{item}":
            return f"Asks the item's own question; {thing.about['verdict']}."
        return str(words).split("\n")[0]
    return str(getattr(thing, "summary", "") or (thing.__doc__ or "").strip().split("\n")[0])
