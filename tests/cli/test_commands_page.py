"""Every command and option says what it does, and docs/reference/commands.md says it too."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
import pytest

from limen.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "scripts" / "commands.py"
COMMANDS = {
    context.command_path: command
    for command, context in runpy.run_path(str(PAGE))["commands"](main, click.Context(main, info_name="limen"))
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_have_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    silent = [
        option.opts
        for option in command.params
        if isinstance(option, click.Option) and not (option.help or option.hidden)
    ]
    assert not silent


def test_the_page_is_up_to_date() -> None:
    code = (
        f"import runpy; print(runpy.run_path({str(PAGE)!r})['page'](), end='')"  # alone: click keeps what it has shown
    )
    page = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    written = PAGE.parents[1].joinpath("reference", "commands.md").read_text(encoding="utf-8")
    assert written == page.stdout, "python docs/scripts/commands.py writes it again"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_command_and_option_under_its_own_heading(name: str) -> None:
    written = PAGE.parents[1].joinpath("reference", "commands.md").read_text(encoding="utf-8")
    assert written.count(f"(#{name.replace(' ', '-')})") == 1, "the contents lead to it"
    _, _, section = written.partition(f"\n### {name}\n")
    section = section.partition("\n### ")[0]
    options = [option for option in COMMANDS[name].params if isinstance(option, click.Option) and not option.hidden]
    lacking = [option.opts[0] for option in options if not re.search(rf"`{option.opts[0]}[ `,]", section)]
    assert section
    assert not lacking


def test_no_command_is_left_out() -> None:
    assert {"limen measure", "limen feature fit", "limen dataset build"} <= set(COMMANDS)
