"""What there is: list, show, render."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.console import notice, print_json, print_result, print_table, say
from limen.cli.group import JSON, PLUGIN, SEED, CountRange, main, split
from limen.errors import InputError

if TYPE_CHECKING:
    from limen.image import Image
    from limen.question import Question

SHELVES = ("distortions", "exports", "observers", "procedures", "questions", "scenes", "sources", "tasks", "tolerances")


@main.command("list")
@click.argument("shelf", type=click.Choice(SHELVES), required=False)
@JSON
@PLUGIN
def list_(shelf: str | None, as_json: bool) -> None:
    """List distortions, exports, observers, procedures, questions, scenes, sources; tasks and tolerances on request."""
    from limen import registry
    from limen.report.format import Table

    rows: list[tuple[str, str, str]] = []
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
@click.argument("name")
@JSON
@PLUGIN
def show(name: str, as_json: bool) -> None:
    """Show a distortion's ladder, the settings of a procedure or an observer, a question's words, a source, a scene."""
    from limen import distortion, registry
    from limen.report.format import Table

    for noun in ("source", "scene"):
        if name in registry.every(noun) and name not in registry.every("distortion"):
            _about(noun, registry.find(noun, name), as_json)
            return
    if name in registry.every("question"):
        _asked(registry.find("question", name), as_json)
        return
    for noun in ("procedure", "observer"):
        if name in registry.every(noun):
            found = registry.find(noun, name)
            text, defaults = registry.described(found if noun == "procedure" else found.options)
            if as_json:
                print_json({"name": name, "kind": noun, "settings": defaults})
            else:
                summary, meanings = _explained(text)
                width = min(100, shutil.get_terminal_size((100, 24)).columns)
                click.echo(f"{noun} {name}\n\n{click.wrap_text(summary, width, preserve_paragraphs=True)}\n")
                lines = tuple((key, str(value), meanings.get(key, "")) for key, value in defaults.items())
                print_table(Table("", ("setting", "if not given", "what it is"), lines))
            return
    kind = distortion.find(name)
    about = {"name": kind.name, "word": kind.word, "summary": kind.summary, "version": kind.version}
    about |= {"unit": kind.ladder.unit, "ladder": kind.ladder.digest, "strengths": list(kind.ladder.strengths)}
    if as_json:
        print_json(about)
        return
    columns, top = 4, len(kind.ladder)  # fit a terminal of 80 columns
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
    from limen.image import png
    from limen.report.images import contact_sheet
    from limen.stimulus import Series, undergoes, wanted

    usual = [name for name in registry.every("distortion") if not name.endswith("-fine")]
    own = source.brought([place])
    kinds = [own.get(name) or distortion.find(name) for name in split(names) or own or usual]
    kinds = [kind for kind in kinds if kind.of != source.ReferenceKind.QUESTION]  # changes words, not pictures
    found = source.collect([place], limit, kinds=wanted(kinds))
    for kind in kinds if names else ():
        if not any(undergoes(reference, kind) for reference in found.references):
            raise InputError(f"Nothing in {place} can undergo {kind.name}. See limen list sources.")
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for reference in found.references:
            name = reference.name.rpartition(".")[0] or reference.name
            notice(f"drawing {reference.name}")
            stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
            rows: dict[str, list[tuple[str, Image]]] = {}
            for kind in (kind for kind in kinds if undergoes(reference, kind)):
                top = len(kind.ladder)
                spread = list(dict.fromkeys((0, 1, top // 8, top // 4, top // 2, 3 * top // 4, top)))
                stimulus = Series(reference, kind, seed).open()
                shown = [_integer(k) for k in split(levels)] or spread
                rows[kind.name] = [(str(level), stimulus(level).pixels) for level in shown]
                for level, picture in rows[kind.name]:
                    written.append(out / f"{stem}_{kind.name}_{int(level):03d}.png")
                    written[-1].write_bytes(png(picture))
            sheet = out / f"{stem}_sheet.png"
            sheet.write_bytes(png(contact_sheet(rows)))
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    sheets = "a contact sheet each" if len(found.references) > 1 else sheet.name
    say(f"{len(written)} stimuli of {len(found.references)} references, and {sheets}, in {out}")


def _explained(text: str) -> tuple[str, dict[str, str]]:
    """Take a docstring of settings apart: what it says of the whole, and of each by name."""
    about, _, entries = text.partition("\nAttributes:\n")
    meanings: dict[str, str] = {}
    for names, meaning in re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", entries, re.MULTILINE):
        meanings |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return about.strip(), meanings


def _about(noun: str, found: Any, as_json: bool) -> None:
    """Print what a source or a scene says of itself."""
    words = ("name", "summary", "licence", "where", "get", "version")
    about = {word: str(getattr(found, word)) for word in words if getattr(found, word, "")}
    if as_json:
        print_json({"kind": noun, **about})
        return
    click.echo(f"{noun} {about.pop('name')}\n")
    for word, text in about.items():
        click.echo(f"{word:8} {text}")


def _asked(found: "Question", as_json: bool) -> None:
    """Print what a question says, in all its wordings."""
    about = found.about
    if as_json:
        print_json({"kind": "question", "name": found.name, **about})
        return
    form = found.form.name if found.form is not None else "the item's own"
    click.echo(f"question {found.name}\n")
    rows = [("verdict", about["verdict"]), ("pictures", str(found.pictures)), ("form", form)]
    rows += [("notices", ", ".join(found.notices))] if found.notices else []
    rows += [("text", found.text)] + [("paraphrase", text) for text in found.paraphrases]
    for word, text in rows:
        click.echo(f"{word:10} " + text.replace("\n", f"\n{'':11}"))


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"A level is a whole number from 0, not {text!r}.")
    return int(text)


def _summary(thing: Any) -> str:
    if words := getattr(thing, "text", ""):  # of a question
        return str(words).split("\n")[0]
    return str(getattr(thing, "summary", "") or (thing.__doc__ or "").strip().split("\n")[0])
