"""What one thing is: show."""

import re
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.console import print_json, print_table, tame
from limen.cli.group import JSON, PLUGIN, main, working
from limen.errors import InputError, UnknownNameError, nearest

if TYPE_CHECKING:
    from limen.distortion import Distortion
    from limen.observer import ObserverKind
    from limen.question import Question

ORDER = ("distortion", "procedure", "observer", "question", "source", "scene", "export", "import", "task", "tolerance")
EXAMPLE = "limen measure --images photos/ --observer openai:MODEL {} --out runs/a"
IMAGES = {
    "angle": "scene", "distance": "scene", "pair": "magicbrush=PATH", "scored pair": "band2k=PATH",
    "item": "items=FILE", "question": "items=FILE",
}  # fmt: skip


@main.command()
@click.argument("name", nargs=-1, required=True, metavar="[KIND] NAME")
@JSON
@PLUGIN
def show(name: tuple[str, ...], as_json: bool) -> None:
    """Show what something is: its settings or strengths, and how it is used.

    NAME is any of `limen list`: a distortion, procedure, observer, question, source, scene. Where two share a name
    both are shown; `limen show source demo` shows one of them.
    """
    with working("looking"):
        found = _found(name)
    if as_json:
        records = [_record(noun, called, thing) for noun, called, thing in found]
        print_json(records[0] if len(records) == 1 else records)
        return
    for i, (noun, called, thing) in enumerate(found):
        if i:
            click.echo()
        _print(noun, called, thing)


def _found(words: Sequence[str]) -> list[tuple[str, str, Any]]:
    """Return kind, name and thing of all that is meant."""
    from limen import registry

    nouns = {noun: noun for noun in ORDER} | {f"{noun}s": noun for noun in ORDER}
    noun, colon, name = words[0].partition(":")
    if len(words) == 2:
        noun, name = words
    elif len(words) > 2:
        raise InputError(f"show takes one name, not {len(words)}: limen show {words[0]}.")
    elif not colon or noun not in nouns:  # openai:MODEL is an observer
        noun, name = "", noun if colon else words[0]
    if noun:
        if noun not in nouns:
            raise UnknownNameError("kind of thing", noun, ORDER)
        return [(nouns[noun], name, registry.find(nouns[noun], name))]
    light = [noun for noun in ORDER if noun not in registry.HEAVY]
    found = [(noun, name, registry.every(noun)[name]) for noun in light if name in registry.every(noun)]
    if not found and (Path(words[0]) / "manifest.json").is_file():
        raise InputError(f"{words[0]} is a run, not the name of a thing. What it holds: limen report {words[0]}.")
    if not found:
        known = {one for noun in light for one in registry.every(noun)}
        lines = dict.fromkeys(line for noun in light for line in registry.left_out(noun))
        raise UnknownNameError("thing to show", name, known, " ".join(filter(None, (nearest(name, known), *lines))))
    return found


# --- as JSON ---


def _record(noun: str, name: str, thing: Any) -> dict[str, Any]:
    from limen import registry

    if noun == "distortion":
        about = {"name": thing.name, "word": thing.word, "summary": thing.summary, "version": thing.version}
        return about | {
            "unit": thing.ladder.unit, "ladder": thing.ladder.digest, "strengths": list(thing.ladder.strengths),
        }  # fmt: skip
    if noun == "question":
        return {"kind": noun, "name": thing.name, **thing.about}
    if noun in ("source", "scene"):
        words = ("name", "summary", "licence", "where", "get", "version")
        return {"kind": noun} | {word: str(getattr(thing, word)) for word in words if getattr(thing, word, "")}
    settings = _settings(noun, thing)
    return {"name": name, "kind": noun, "settings": registry.described(settings)[1] if settings else {}}


def _settings(noun: str, thing: Any) -> Any:
    """Return the struct that holds the settings of something, where it has any."""
    return {"procedure": thing, "observer": getattr(thing, "options", None)}.get(noun, getattr(thing, "Settings", None))


# --- for a person ---


def _print(noun: str, name: str, thing: Any) -> None:
    """Print what something is, what can be set, and an example."""
    if noun == "distortion":
        _print_distortion(thing)
    elif noun == "question":
        _print_question(thing)
    elif noun in ("source", "scene"):
        record = _record(noun, name, thing)
        _headed(f"{noun} {name}", record.pop("summary", ""))
        _entries([(word, text) for word, text in record.items() if word not in ("kind", "name")])
        how = {"folder": "photos/", "scene": "scene"}.get(
            name, name if getattr(thing, "bare", True) else f"{name}=PATH"
        )
        if noun == "scene":
            how = f"scene={name} --distortion angle"
        if name != "array":
            _example(EXAMPLE.format("").replace("  ", " ").replace("photos/", how))
    else:
        settings = _settings(noun, thing)
        said = settings.__doc__ if noun == "procedure" else getattr(thing, "summary", "") or thing.__doc__ or ""
        about, meanings = _explained(said, settings)
        _headed(f"{noun} {name}", about)
        first = _print_settings(settings, meanings) if settings else ""
        if noun == "procedure" and getattr(thing, "asks", True):
            _example(EXAMPLE.format(f"--procedure {name}{f' -P {first}' if first else ''}"))
        elif noun == "observer":
            _example(_of_observer(name, thing, first))
        elif noun == "procedure":
            _example("limen import test=limen-test-ann.json --out runs/readers")
        elif noun == "export":
            _example(f"limen export runs/a --to {name} --out PATH")
        elif noun == "import":
            _entries([(f"{name}=PATH", _entries_of(said, "Args")["place"])])
            _example(f"limen import {name}=PATH --out runs/{name}")
        else:
            _example(
                f"limen feature fit ... {'--task' if noun == 'task' else '--map'} {name} (see limen feature fit -h)"
            )


def _print_distortion(kind: "Distortion") -> None:
    from limen.report.format import Table
    from limen.source import NEEDED

    ladder, top = kind.ladder, len(kind.ladder)
    _headed(f"distortion {kind.name} (version {kind.version})", kind.summary)
    ends = f"{ladder[1]:g}" if top == 1 else f"{ladder[1]:g} to {ladder[top]:g}"
    _entries([
        ("word", f'the question calls it "{kind.word}"'),
        ("done to", NEEDED.get(kind.of, kind.of)),
        ("levels", f"{top}: {ends} {ladder.unit}; level 0 is the reference itself"),
    ])  # fmt: skip
    strengths = [f"{ladder[level]:g}" for level in range(1, top + 1)]
    wide = max(map(len, strengths))
    a_row = 10 if wide <= 5 else 5  # strengths that fit beside each other in 80 columns
    rows = tuple(
        (
            f"{first} - {min(first + a_row - 1, top)}",
            "  ".join(text.rjust(wide) for text in strengths[first - 1 : first - 1 + a_row]),
        )
        for first in range(1, top + 1, a_row)
    )
    if top > 1:
        print_table(Table("", ("levels", f"strengths in {ladder.unit}"), rows, heads=2))
    own = f" --distortion {kind.name}" + (" --question answer-changes" * (kind.of in ("item", "question")))
    _example(EXAMPLE.format(own.strip()).replace("photos/", IMAGES.get(kind.of, "photos/")))


def _print_question(found: "Question") -> None:
    form = found.form.name if found.form is not None else "the item's own"
    click.echo(f"question {found.name}\n")
    rows = [("verdict", str(found.about["verdict"])), ("pictures", str(found.pictures)), ("form", form)]
    rows += [("notices", ", ".join(found.notices))] if found.notices else []
    _entries(rows + [("text", found.text)] + [("paraphrase", text) for text in found.paraphrases])
    images = "items=FILE" if "{item}" in found.text else "photos/"
    _example(EXAMPLE.format(f"--question {found.name}").replace("photos/", images))


def _print_settings(kind: Any, meanings: dict[str, str]) -> str:
    """Print what can be set, and return the first number among it as KEY=VALUE."""
    from limen import registry

    defaults, ranges = registry.described(kind)[1], registry.ranges(kind)
    rows = []
    for name, value in defaults.items():
        usual = (
            "nothing" if value in (None, "", {}, []) else str(value).lower() if isinstance(value, bool) else str(value)
        )
        rows.append((name, f"{usual} ({ranges[name]}){': ' * bool(meanings.get(name))}{meanings.get(name, '')}"))
    if not rows:
        return ""
    click.echo("Settings, each with what it is if not given and, in brackets, what it may be:\n")
    _entries(rows)
    key, value = next(((k, v) for k, v in defaults.items() if isinstance(v, int | float)), ("", ""))
    return f"{key}={value:g}" if key and not isinstance(value, bool) else ""


def _of_observer(name: str, kind: "ObserverKind", first: str) -> str:
    """Return a line that asks an observer, with the model its summary names."""
    named = re.search(rf"\b{re.escape(name)}:[\w/]+", kind.summary)
    setting = f" -O {first}" if first else ""
    return f"limen measure --images photos/ --observer {named[0] if named else name}{setting} --out runs/a"


def _explained(text: str, settings: Any) -> tuple[str, dict[str, str]]:
    """Take docstrings apart: what is said of the whole, and of each setting by name."""
    import inspect

    about = re.split(r"\n(?:Attributes|Args):\n", inspect.cleandoc(text))[0]
    meanings: dict[str, str] = {}
    for kind in reversed(getattr(settings, "__mro__", ())):  # settings may add to those of another
        meanings |= _entries_of(kind.__doc__ or "", "Attributes")
    return about.strip(), meanings


def _entries_of(text: str, section: str) -> dict[str, str]:
    """Return what a section of a docstring says of each name."""
    import inspect

    entries = inspect.cleandoc(text).partition(f"\n{section}:\n")[2]
    return {
        name: " ".join(meaning.split())
        for names, meaning in re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", entries, re.MULTILINE)
        for name in names.split(", ")
    }


def _headed(title: str, text: str) -> None:
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    click.echo(f"{title}\n\n{click.wrap_text(_tame(text), width, preserve_paragraphs=True)}\n")


def _tame(text: str) -> str:
    """Take control characters out of a text of several lines."""
    return "\n".join(map(tame, text.splitlines()))


def _entries(rows: Sequence[tuple[str, str]]) -> None:
    """Print words with what they say, folded beside them."""
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    margin = max((len(word) for word, _ in rows), default=0) + 2
    for word, text in rows:
        indent = " " * margin
        click.echo(click.wrap_text(_tame(text), width, word.ljust(margin), indent, preserve_paragraphs="\n" in text))


def _example(line: str) -> None:
    together = re.sub(r"(?<= )(--?[\w-]+) (?=[^-])", "\\1\0", line)  # an option and its value stay on one line
    folded = textwrap.wrap(together, 70, break_long_words=False, break_on_hyphens=False)
    click.echo("\nExample:\n  " + " \\\n      ".join(folded).replace("\0", " "))
