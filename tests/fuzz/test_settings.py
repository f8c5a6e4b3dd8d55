"""Settings and command lines of wild values: an exit code and a sentence, never a traceback."""

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from limen import registry
from limen.cli import run
from limen.errors import InputError, LimenError
from limen.study import Spec, Study

WILD = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.integers(-3, 120),
    some.floats(),
    some.floats(-1, 2),
    some.text(max_size=12),
    some.sampled_from(
        ["nan", "-inf", "1e400", "1e19", "9" * 5000, "", "0", "-1", "demo", "true", "[]", "\x00", "\ud800"]
    ),
)
ANYTHING = WILD | some.lists(WILD, max_size=3) | some.dictionaries(some.text(max_size=6), WILD, max_size=3)
OBSERVERS = ("simulated", "demo", "recorded", "vision")  # none of them needs a network
STRUCTS = {"study": Spec} | {
    f"procedure {name}": kind
    for name, kind in registry.every("procedure").items()
    if kind.__module__.startswith("limen.")
} | {f"observer {name}": registry.find("observer", name).options for name in OBSERVERS}  # fmt: skip


@given(some.data())
def test_a_struct_is_made_or_refused_in_a_sentence(data: some.DataObject) -> None:
    owner, kind = data.draw(some.sampled_from(sorted(STRUCTS.items(), key=lambda item: item[0])))
    names = some.text(max_size=8)
    if kind.__struct_fields__:  # recorded has none
        names |= some.sampled_from(kind.__struct_fields__)
    entries = data.draw(some.dictionaries(names, ANYTHING, max_size=4))
    if kind is Spec:
        entries = {"images": ["demo"], "observers": ["simulated"]} | entries
    said = ""
    try:
        registry.settings(owner, entries, kind)
    except InputError as error:
        said = str(error)
    assert said.startswith(owner) or not said
    assert len(said) < 2000


@given(some.data())
def test_a_study_is_planned_or_refused(data: some.DataObject) -> None:
    procedure = data.draw(some.sampled_from([name for name in STRUCTS if name.startswith("procedure")]))
    observer = data.draw(some.sampled_from(["simulated", "demo"]))
    protocol = _some_of(data, STRUCTS[procedure].__struct_fields__)
    options = _some_of(data, STRUCTS[f"observer {observer}"].__struct_fields__)
    entries: dict[str, Any] = {
        "images": ["demo"],
        "limit": 1,
        "distortions": ["spot"],  # nothing can undergo it here: planned to the end, and nothing is drawn
        "observers": [{"name": observer, **options}],
        "procedure": {"name": procedure.partition(" ")[2], **protocol},
    }
    with contextlib.suppress(LimenError):
        Study.plan(registry.settings("study", entries, Spec))


def _some_of(data: some.DataObject, fields: tuple[str, ...]) -> Mapping[str, Any]:
    return data.draw(some.dictionaries(some.sampled_from(fields), WILD, max_size=2)) if fields else {}


WORDS = some.one_of(
    some.sampled_from([
        "0", "1", "-1", "nan", "inf", "1e400", "1e19", "9" * 400, "", " ", "blur", "noise,jpeg", "angle", "demo",
        "simulated", "scan", "psi", "direct", "swapped", "no-such-thing", "a=b", "=", "name=", "threshold=nan", "gap=0",
        "levels=[1]", "/dev/null", "/no/such/place", "\x1b[31m", "\ud800", "é" * 40,
    ]),
    some.text(max_size=10),
)  # fmt: skip
COMMANDS: dict[str, tuple[str, ...]] = {
    # without one of their needs, so that nothing is measured or written
    "measure": ("--images", "--distortion", "--observer", "-O", "--question", "--order", "--procedure", "-P", "--gap",
                "--confirm", "--jnds", "--orders", "--limit", "--seed", "--look-ahead", "--part", "--source",
                "--offline"),
    "fit": ("--shape", "--json"),
    "power": ("--sd", "--half-width", "--json"),
    "simulate": ("--procedure", "--false-alarms", "--lapses", "--correlation", "--levels", "--seed", "--mean"),
    "list": ("--json",),
    "show": ("--json",),
    "render": ("--distortion", "--levels", "--limit", "--seed"),
    "report": ("--embed", "--backbones", "--json", "--stimuli-beside"),
}  # fmt: skip
FIXED = {"simulate": ["--procedure", "no-such-procedure"], "render": ["/no/such/place", "--out", "/dev/null/x"]}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], tuple[int, str]]:
    """Run a command line in an empty folder; its exit code and what it said on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def call(arguments: list[str]) -> tuple[int, str]:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace"), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return run(arguments), err.getvalue()

    return call


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.data())
def test_a_command_line_ends_in_a_code_and_a_line(
    elsewhere: Callable[[list[str]], tuple[int, str]], data: some.DataObject
) -> None:
    command = data.draw(some.sampled_from(sorted(COMMANDS)))
    arguments = [command, *FIXED.get(command, [])]
    for option in data.draw(some.lists(some.sampled_from(COMMANDS[command]), max_size=3)):
        arguments += [option] + ([] if option in ("--json", "--offline", "--stimuli-beside") else [data.draw(WORDS)])
    if command in ("show", "list", "fit", "report", "power"):
        arguments += data.draw(some.lists(WORDS, max_size=2))
    code, said = elsewhere(arguments)
    assert code in (0, 1, 2)
    assert "Traceback" not in said
    assert "a bug" not in said
    assert not any(name.startswith("limen-bug") for name in os.listdir())
