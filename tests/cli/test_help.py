"""What `--help` says: nothing is cut at 80 columns, exit codes are told, examples are true."""

import os
import re
import shlex
import subprocess
import sys

import click
import pytest

from limen.cli import main
from limen.cli.measure import EXAMPLES, SECTIONS
from tests.cli.test_commands_page import COMMANDS
from tests.support.command import limen


@pytest.mark.parametrize("name", ["", *(name.partition(" ")[2] for name in COMMANDS)])
def test_help_fits_80_columns_and_cuts_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = limen(*name.split(), "--help").stdout
    assert max(map(len, said.splitlines())) <= 80
    assert not re.search(r"^  .*\w\.\.\.$", said, re.MULTILINE)  # click cuts the sentence about a command there


def test_the_main_help_tells_exit_codes_and_what_every_command_takes() -> None:
    said = limen("--help").stdout
    for code in ("0", "1", "2", "70", "130"):
        assert re.search(rf"^ *{code} ", said, re.MULTILINE), code
    assert "--quiet" in said
    assert "--wide" in said


def test_measure_groups_its_options_and_names_none_that_is_not_there() -> None:
    said = limen("measure", "--help").stdout
    places = [said.index(f"\n{heading}:\n") for heading in (*SECTIONS, "Options")]
    assert places == sorted(places)
    known = {name for option in main.commands["measure"].params for name in option.opts}
    assert {name for names in SECTIONS.values() for name in names} <= known
    for option in main.commands["measure"].params:
        if isinstance(option, click.Option) and not option.hidden:
            assert said.count(f"\n  {option.opts[0]} ") + said.count(f"\n  {option.opts[0]},") == 1, option.opts


def test_examples_of_measure_are_understood() -> None:
    lines = [line.strip() for line in EXAMPLES.replace("\\\n", " ").splitlines() if line.startswith("  limen ")]
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line)
        assert words[:2] == ["limen", "measure"]
        with click.Context(main):
            main.commands["measure"].make_context("measure", words[2:])


@pytest.mark.parametrize(
    ("words", "place", "offered"),
    [("limen rep", 1, "report"), ("limen measure --off", 2, "--offline"), ("limen list so", 2, "sources")],
)
def test_a_shell_completes_commands_options_and_choices(words: str, place: int, offered: str) -> None:
    code = "import sys; sys.argv[0] = 'limen'; from limen.__main__ import main; main()"
    asked = {"_LIMEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked)
    assert done.stdout.splitlines() == [f"plain,{offered}"]
