"""A distribution that cannot be used is left out with one line that names it; all else goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limen import names, registry
from limen.errors import PluginWarning
from tests.support.command import limen

SRC = Path(__file__).parents[1] / "src"
GOOD = '''
from limen.observer import observer

@observer("unmoved")
def unmoved(first, second):
    """Notices nothing."""
    return False
'''


def distribution(folder: Path, name: str, code: str, requires: str = "", points: str = "") -> None:
    """Lay a distribution out as an installer does: a module, its metadata and its entry points."""
    module = name.replace("-", "_")
    about = folder / f"{module}-2.0.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code)
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n{needs}")
    (about / "entry_points.txt").write_text(points or f"[limen.observers]\nmine = {module}\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where distributions are installed that limen, as if it had just begun, looks at."""
    for noun in registry.SHELVES.keys() - registry.HEAVY:
        registry.every(noun)
    monkeypatch.setattr(registry, "_known", {noun: dict(things) for noun, things in registry._known.items()})
    monkeypatch.setattr(registry, "_left_out", {noun: [] for noun in registry.SHELVES})
    monkeypatch.setattr(registry, "_loaded", set())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for module in ("limen_broken", "limen_sound"):
        sys.modules.pop(module, None)


def done(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run limen."""
    ended = limen(*arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended


MEASURE = ("measure", "--images", "demo", "--distortion", "blur", "--limit", "1", "--no-exam", "--out", "run")


def test_a_sound_one_is_listed_and_measured(tmp_path: Path) -> None:
    distribution(tmp_path, "limen-sound", GOOD, "limen>=0.1")
    assert "unmoved" in done("list", "observers").stdout
    measured = done(*MEASURE, "--observer", "unmoved")
    assert "left out" not in measured.stderr
    assert ">50" in measured.stdout


@pytest.mark.parametrize(
    ("code", "requires", "said"),
    [
        ("import no_such_library", "", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise ValueError('half\\nbaked')", "", "ValueError: half baked"),
        ("import sys\nsys.exit(3)", "", "SystemExit: 3"),
        (
            GOOD.replace('"unmoved"', '"simulated"'),
            "",
            "Two observers are named 'simulated', and the other is limen's own: name yours otherwise",
        ),
        (f"{GOOD}\nraise ValueError('after it registered')", "", "ValueError: after it registered"),
        ("x = 1", "", "it registers nothing. For limen.observers, use @observer"),
        (GOOD, "limen>=2,<3", "it is made for limen <3,>=2, and this is limen"),
        (GOOD, "Limen[demo]<0.1 ; python_version > '3'", "it is made for limen <0.1, and this is limen"),
    ],
)
def test_a_broken_one_is_left_out(tmp_path: Path, code: str, requires: str, said: str) -> None:
    distribution(tmp_path, "limen-broken", code, requires)
    distribution(tmp_path, "limen-sound", GOOD.replace("unmoved", "hardly"))
    listed = done("list", "observers")
    assert "hardly" in listed.stdout
    assert "simulated" in listed.stdout
    assert "unmoved" not in listed.stdout
    (line,) = listed.stderr.splitlines()
    assert line.startswith("limen: warning: Plug-in limen-broken 2.0 is left out")
    assert said in line
    assert (f"({tmp_path / 'limen_broken.py'}:" in line) == (requires == "" and code != "x = 1")  # where it broke
    assert "left out" not in done(*MEASURE, "--observer", "hardly").stderr  # it was told once
    asked = done(*MEASURE[:-1], "other", "--observer", "unmoved", code=1).stderr.splitlines()[-1]
    assert asked.startswith("limen: No observer named 'unmoved'.")
    assert "may have been there: plug-in limen-broken 2.0 (limen list observers says why)." in asked
    assert said not in asked  # a warning had it before


def test_who_does_not_use_its_shelf_is_not_told(tmp_path: Path) -> None:
    distribution(tmp_path, "limen-broken", "1 / 0")
    assert done("list", "distortions").stderr == ""


def test_a_marker_that_does_not_hold_asks_for_nothing(tmp_path: Path) -> None:
    distribution(tmp_path, "limen-sound", GOOD, "limen>=2 ; extra == 'new'")
    listed = done("list", "observers")
    assert "unmoved" in listed.stdout
    assert listed.stderr == ""


def test_limens_own_names_stay_where_a_module_holds_several_kinds(tmp_path: Path) -> None:
    """An entry point for distortions, whose module takes the name of an observer that is not loaded yet."""
    points = "[limen.distortions]\nmine = limen_broken\n"
    distribution(tmp_path, "limen-broken", GOOD.replace('"unmoved"', '"simulated"'), points=points)
    listed = done("list", "distortions")
    assert "Two observers are named 'simulated', and the other is limen's own" in listed.stderr
    assert done(*MEASURE, "--observer", "simulated").returncode == 0


def test_one_entry_point_that_leads_nowhere_leaves_the_others(tmp_path: Path) -> None:
    points = "[limen.observers]\nfirst = limen_broken:lost\nsecond = limen_broken:unmoved\n"
    distribution(tmp_path, "limen-broken", GOOD, points=points)
    listed = done("list", "observers")
    assert "unmoved" in listed.stdout
    assert "limen-broken 2.0 is left out (first = limen_broken:lost): AttributeError" in listed.stderr


@pytest.mark.slow
def test_in_a_process_of_its_own_it_is_told_in_one_line(folder: Path) -> None:
    distribution(folder, "limen-broken", "1 / 0")
    (folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    places = {"PYTHONPATH": os.pathsep.join((str(SRC), str(folder))), "PYTHONUTF8": "1"}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "limen", *words]
        return subprocess.run(command, env=os.environ | places, capture_output=True, text=True).stderr

    assert run("list", "observers") == (
        "limen: warning: Plug-in limen-broken 2.0 is left out (mine = limen_broken): ZeroDivisionError: division by "
        f"zero ({folder / 'limen_broken.py'}:1). Mend or update it, or pip uninstall limen-broken.\n"
    )
    assert run("list", "tolerances") == (
        "limen: The list of tolerances needs torch, which is not installed: in the clone of limen, pip install -e "
        "'.[feature]'\n"
    )


def test_the_innermost_line_of_the_plug_in_is_told(tmp_path: Path) -> None:
    code = "import json\n\ndef read():\n    return json.loads('{')\n\nread()\n"  # raised deeper, in a library
    distribution(tmp_path, "limen-broken", code)
    assert f"({tmp_path / 'limen_broken.py'}:4)" in done("list", "observers").stderr


@pytest.mark.parametrize("noun", [noun for noun in registry.SHELVES if noun not in registry.HEAVY])
def test_what_registers_is_named_by_group(tmp_path: Path, noun: str) -> None:
    group = f"limen.{registry.SHELVES[noun]}"
    distribution(tmp_path, "limen-broken", "x = 1", points=f"[{group}]\nmine = limen_broken\n")
    assert f"For {group}, use {registry.REGISTERING[noun]}" in done("list", f"{noun}s").stderr


def test_of_two_plug_ins_the_other_is_named_by_its_file(tmp_path: Path) -> None:
    distribution(tmp_path, "limen-alike", GOOD)
    distribution(tmp_path, "limen-broken", GOOD)
    try:
        line = done("list", "observers").stderr
    finally:
        sys.modules.pop("limen_alike", None)
    assert "Plug-in limen-broken 2.0 is left out" in line
    assert f"Two observers are named 'unmoved', and the other is of {tmp_path / 'limen_alike.py'}" in line


def test_the_warning_points_at_who_asked(tmp_path: Path) -> None:
    distribution(tmp_path, "limen-broken", "1 / 0")
    with pytest.warns(PluginWarning, match="ZeroDivisionError") as told:
        names("observer")
    assert told[0].filename == __file__
