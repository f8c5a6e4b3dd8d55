"""Writes docs/reference/commands.md, every command with its help: python docs/scripts/commands.py."""

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import click

from limen.cli import main
from limen.cli.group import COMMANDS

PAGE = Path(__file__).parents[1] / "reference" / "commands.md"
HEAD = """# Commands

Every command of limen with all its options, as `limen COMMAND --help` says them in the terminal. Words are explained
in the [glossary](glossary.md); where a command belongs in the work, in the [quickstart](../tutorials/quickstart.md) and
the how-to pages. `-q` (`--quiet`) and `--wide` stand before a command or behind it, `-h` (`--help`) behind each.
Tables printed into a pipe or a file have 160 columns, or as many as the variable `COLUMNS` says.
`python docs/scripts/commands.py` writes this page.

## Overview
"""


class Markdown(click.HelpFormatter):
    """Writes a command's help as Markdown: options as tables, what is not to be wrapped as text."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        self.write(f"```text\n{prog} {args}\n```\n")

    def write_heading(self, heading: str) -> None:
        """Write the heading of a table of options."""
        self.write(f"**{heading}**\n\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that click is not to wrap keeps its lines."""
        for paragraph in re.split(r"\n\s*\n", text.strip()):
            lines = [line.rstrip() for line in paragraph.split("\n")]
            if lines[0].strip() == "\b":
                self.write("\n```text\n" + "\n".join(lines[1:]) + "\n```\n")
            else:
                self.write("\n" + _escaped(" ".join(line.strip() for line in lines)) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options and what they do."""
        self.write("| option | does |\n|---|---|\n")
        for option, text in rows:
            if option == "-h, --help":
                continue  # every command has it
            self.write(f"| `{option.replace('|', chr(92) + '|')}` | {_escaped(text)} |\n")


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it stands; names of options, and what is between backticks, are code."""
    parts = re.split(r"(`[^`]*`|(?<![\w-])--[a-z][a-z-]*)", " ".join(text.split()))
    plain = [re.sub(r"([*<\[\]\\])", r"\\\1", part) for part in parts[::2]]
    code = [f"`{part.strip('`')}`" for part in parts[1::2]]
    return "".join(f"{a}{b}" for a, b in zip_longest(plain, code, fillvalue="")).replace("|", "\\|")


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every command below a group, with the context that its help is written in."""
    for name in sorted(group.commands):
        command = group.commands[name]
        within = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from commands(command, within)
        elif not command.hidden:
            yield command, within


def _help(command: click.Command, context: click.Context) -> str:
    formatter = Markdown()
    command.format_help(context, formatter)
    return re.sub(r"\n{3,}", "\n\n", formatter.getvalue().strip())


def page() -> str:
    """Return the page: what there is, under the headings of `limen --help`, then each command."""
    every = list(commands(main, click.Context(main, info_name="limen", **main.context_settings)))
    headed = {name: heading for heading, names in COMMANDS.items() for name in names}
    order = list(headed)
    path = {id(command): context.command_path for command, context in every}
    first = {id(command): path[id(command)].split()[1] for command, _ in every}
    every.sort(key=lambda entry: order.index(first[id(entry[0])]) if first[id(entry[0])] in order else len(order))
    contents, parts, heading = [HEAD], [], ""
    for command, context in every:
        new = headed.get(first[id(command)], "Others")
        if new != heading:
            heading = new
            contents.append(f"\n{heading}:\n\n| command | does |\n|---|---|")
            parts.append(f"\n## {heading}")
        name = path[id(command)]
        contents.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {_escaped(command.get_short_help_str(200))} |")
        parts.append(f"\n### {name}\n\n{_help(command, context)}")
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*contents, *parts])) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
