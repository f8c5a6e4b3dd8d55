"""Every block of Python in README, CONTRIBUTING and docs runs; every `limen` line in them is understood."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import click
import pytest

from limen.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COLUMNS = 84  # of a line of code that the site shows whole beside its navigation
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text()) if kind == language]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    code = blocks(page, "python")
    if not code:
        assert page.name not in {"README.md", "plugins.md", "method.md"}
        return
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(code))
    utf8 = os.environ | {"PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, env=utf8)
    assert done.returncode == 0, done.stderr


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for body in blocks(page, "bash"):
            lines = body.replace("\\\n", " ").splitlines()
            found += [(page.name, line.split("#")[0].strip()) for line in lines if line.startswith("limen ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_command_lines_are_understood(page: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command, rest = main.commands[words[0]], words[1:]
    while isinstance(command, click.Group):
        command, rest = command.commands[rest[0]], rest[1:]
    with click.Context(main):
        command.make_context(words[0], rest)


@pytest.mark.parametrize("page", PAGES[2:], ids=lambda page: page.name)
def test_no_command_is_cut_off_on_the_site(page: Path) -> None:
    lines = [line for kind in ("bash", "console") for body in blocks(page, kind) for line in body.splitlines()]
    assert not [line for line in lines if len(line) > COLUMNS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_study_files_are_toml(page: Path) -> None:
    for body in blocks(page, "toml"):
        tomllib.loads(body)


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


def test_links_to_files_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_lists_and_tables_stand_apart_from_the_text_before_them() -> None:
    """GitHub draws a list or a table right behind a line of text; the site, and other renderers, do not."""
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        lines = BLOCK.sub("", page.read_text()).splitlines()
        for before, line in pairwise(lines):
            if re.match(r"- |\d+\. |\|", line) and before.strip():
                assert re.match(r"- |\d+\. |\s|\|", before), f"{page.name}: no empty line before {line[:40]!r}"


def test_readme_is_short() -> None:
    prose = BLOCK.sub("", (ROOT / "README.md").read_text()).partition("## Cite")[0]
    assert len(prose.split()) <= 660


def test_tests_that_decisions_name_are_there() -> None:
    """A decision that was paid for by experiment names what shows it."""
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    page = (ROOT / "docs" / "explanation" / "decisions.md").read_text()
    for name in re.findall(r"`(test_\w+)`", page):
        assert f"def {name}(" in tests, name
    for path in re.findall(r"`(?:python )?((?:tests|benchmarks)/[^`]*)`", page):
        assert (ROOT / path).exists(), path
