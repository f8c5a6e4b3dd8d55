"""`limen show`: what a person needs to know of one thing, and which thing is meant."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from limen import registry
from limen.cli import main
from limen.cli.show import ORDER, _explained, _settings
from tests.support.command import limen

LIGHT = [noun for noun in ORDER if "." not in registry.SHELVES[noun]]
NAMES = [(noun, name) for noun in LIGHT for name in registry.every(noun)]
WIDTH = {"COLUMNS": "80"}


@pytest.mark.parametrize(("noun", "name"), NAMES)
def test_everything_says_what_it_is_and_its_example_is_understood(noun: str, name: str) -> None:
    done = limen("show", noun, name, environment=WIDTH)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{noun} {name}")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert len(done.stdout.split()) > 8
    assert "Args:" not in done.stdout
    _, _, example = done.stdout.partition("\nExample:\n")
    assert bool(example) is (name != "array")
    if example:
        words = shlex.split(example.replace("\\\n", " "))
        command = main.commands[words[1]]
        with click.Context(main):
            made = command.make_context(words[1], words[2:])
        assert words[1] == noun or noun not in ("import", "export")
        assert name in example or (noun, name) in {("source", "folder"), ("procedure", "recorded")}
        if words[1] == "measure":
            for key in made.params["settings"]:
                assert key in registry.find("procedure", name).__struct_fields__
            for key in made.params["options"]:
                assert key in registry.find("observer", name).options.__struct_fields__


def test_settings_are_told_with_default_range_and_meaning() -> None:
    told = " ".join(limen("show", "psi", environment=WIDTH).stdout.split())
    assert "trials 30 (a whole number from 1 to 1,000): questions at most." in told
    told = " ".join(limen("show", "openai", environment=WIDTH).stdout.split())
    assert "max_tokens_name max_tokens (one of max_completion_tokens, max_tokens): what" in told
    assert "wait_for_server_s nothing (a number" in told


@pytest.mark.parametrize("noun", ["procedure", "observer"])
def test_every_setting_has_a_meaning(noun: str) -> None:
    for name, thing in registry.every(noun).items():
        settings = _settings(noun, thing)
        if settings.__module__.startswith("limen."):
            meanings = _explained("", settings)[1]
            assert not [field for field in settings.__struct_fields__ if not meanings.get(field)], name


def test_strengths_are_in_rows_of_ten() -> None:
    told = limen("show", "blur").stdout
    assert "50: 0.5 to 25 px (sigma) at 640 px width" in told
    (row,) = re.findall(r"^ *11 - 20 (.*)$", told, re.MULTILINE)
    assert row.split() == ["5.5", "6", "6.5", "7", "7.5", "8", "8.5", "9", "9.5", "10"]


def test_two_of_one_name_are_both_shown_unless_one_is_asked_for() -> None:
    both = limen("show", "demo").stdout
    assert both.count("observer demo\n") == both.count("source demo\n") == 1
    for words in (("source", "demo"), ("source:demo",), ("sources", "demo")):
        told = limen("show", *words).stdout
        assert told.startswith("source demo\n")
        assert "observer demo" not in told
    assert [one["kind"] for one in json.loads(limen("show", "demo", "--json").stdout)] == ["observer", "source"]
    assert json.loads(limen("show", "source:demo", "--json").stdout)["kind"] == "source"
    assert limen("show", "openai:gpt-4o").stdout.startswith("observer openai\n")


def test_a_run_is_shown_by_a_report(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    done = limen("show", str(tmp_path))
    assert done.returncode == 1
    assert f"limen report {tmp_path}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_name_that_is_not_there() -> None:
    for words, told in (
        (("blurr",), "Did you mean 'blur'"),
        (("sorce", "demo"), "Did you mean 'source'"),
        (("source", "blur"), "No source named 'blur'"),
        (("blur", "jpeg", "noise"), "show takes one name, not 3"),
    ):
        done = limen("show", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr
