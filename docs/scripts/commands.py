"""Writes docs/reference/commands.md, every command with its help: python docs/scripts/commands.py."""

from collections.abc import Iterator
from pathlib import Path

import click

from limen.cli import main

PAGE = Path(__file__).parents[1] / "reference" / "commands.md"
HEAD = """# Commands

What `limen COMMAND --help` says of every command, for searching. Where each belongs in the work:
[quickstart](../tutorials/quickstart.md) and the how-to pages. `python docs/scripts/commands.py` writes this page.
"""


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every command below a group, with the context that its help is written in."""
    for name in sorted(group.commands):
        command = group.commands[name]
        within = click.Context(command, parent=context, info_name=name, terminal_width=100, max_content_width=100)
        if isinstance(command, click.Group):
            yield from commands(command, within)
        elif not command.hidden:
            yield command, within


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for command, context in commands(main, click.Context(main, info_name="limen", **main.context_settings)):
        parts.append(f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
