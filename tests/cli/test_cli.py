"""The command line as a person meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from limen.cli import run
from tests.support.command import limen


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a person does."""
    call = [sys.executable, "-m", "limen", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def test_help_and_version() -> None:
    assert "limen measure --images" in process("--help").stdout
    assert process("--version").stdout.startswith("limen, version")


@pytest.mark.parametrize("module", ["limen", "limen.cli", "limen.__main__"])
def test_light_until_needed(module: str) -> None:
    heavy = {"torch", "scipy", "transformers", "onnxruntime", "jinja2", "vl_convert", "aiohttp", "pyarrow", "rich"}
    code = f"import sys, {module}; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_study_is_measured_and_told_without_scipy(tmp_path: Path, photos: Path) -> None:
    code = (
        "import sys; from limen.cli import run;"
        f"run(['measure', '--images', {str(photos)!r}, '--observer', 'simulated', '--out', {str(tmp_path / 'run')!r}]);"
        "print([m for m in sys.modules if m.startswith('scipy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "simulated" in done.stdout
    assert done.stdout.endswith("\n[]\n")


def test_looking_for_a_name_loads_nothing_heavy() -> None:
    code = (
        "import sys; from limen import registry;"
        # the feature wing's shelves are torch's
        "[registry.every(noun) for noun, place in registry.SHELVES.items() if place[:8] != 'feature.'];"
        "print([m for m in ('torch', 'scipy', 'transformers', 'onnxruntime', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_list_and_show() -> None:
    names = [item["name"] for item in json.loads(limen("list", "--json").stdout)]
    assert {"blur", "text", "skip", "scan", "openai", "local", "demo", "direct", "choice-implicit"} <= set(names)
    found = [item["name"] for item in json.loads(limen("list", "procedures", "--json").stdout)]
    assert found == [
        "auto",
        "bisect",
        "certify",
        "constant",
        "psi",
        "questplus",
        "recorded",
        "scan",
        "skip",
        "staircase",
    ]
    shown = json.loads(limen("show", "jpeg", "--json").stdout)
    assert (shown["strengths"][0], shown["strengths"][-1], shown["unit"]) == (100.0, 1.0, "quality")
    assert "px (sigma)" in limen("show", "blur").stdout


def test_a_mistake_is_one_line_and_exit_code_1(tmp_path: Path, photos: Path) -> None:
    for arguments, complaint in (
        (("show", "blurr"), "Did you mean 'blur'"),
        (("measure", "--out", tmp_path / "x"), "measure needs --images"),
        (
            ("measure", "--images", tmp_path / "no", "--observer", "simulated", "--out", tmp_path / "x"),
            "No file or folder",
        ),
        (
            ("measure", "--images", photos, "--observer", "simulatd", "--out", tmp_path / "x"),
            "Did you mean 'simulated'",
        ),
        (
            ("measure", "--images", photos, "--observer", "simulated", "-O", "slop=1", "--out", tmp_path / "x"),
            "'slope'",
        ),
        (
            ("measure", "--images", photos, "--observer", "simulated", "-O", "slope", "--out", tmp_path / "x"),
            "KEY=VALUE",
        ),
        (("measure", "--images", photos, "--observer", "simulated", "--out", photos / "a.png"), "cannot be written"),
        (("measure", tmp_path / "study.toml", "--out", tmp_path / "x"), "cannot be read"),
        (("measure", "--images", photos / "a.png", photos / "b.png", "--out", tmp_path / "x"), "--images before each"),
        (("report", tmp_path), "not a run directory"),
    ):
        done = limen(*arguments)
        assert done.returncode == 1, arguments
        lines = [line for line in done.stderr.splitlines() if line.startswith("limen: ")]
        assert len(lines) == 1
        assert complaint in lines[0]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "name", "right"),
    [("--distortion", "nois", "noise"), ("--question", "dierct", "direct"), ("--procedure", "skp", "skip"),
     ("--observer", "simulatd", "simulated")],
)  # fmt: skip
@pytest.mark.parametrize("out", ["none", "new", "strange"])
def test_a_misspelt_name_is_told_before_anything_of_the_folder(
    flag: str, name: str, right: str, out: str, tmp_path: Path, photos: Path
) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "notes.txt").touch()
    observer = () if flag == "--observer" else ("--observer", "simulated")
    where = () if out == "none" else ("--out", tmp_path / out)
    done = limen("measure", "--images", photos, *observer, flag, name, *where)
    assert done.returncode == 1
    assert f"Did you mean {right!r}?" in done.stderr
    assert "--out" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {photos.name, "strange"}
    assert [path.name for path in strange.iterdir()] == ["notes.txt"]


def test_a_mistake_is_the_exit_code_of_the_process(tmp_path: Path) -> None:
    done = process("measure", "--out", tmp_path / "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("limen: measure needs --images")


def test_an_unknown_flag_is_exit_code_1() -> None:
    done = process("measure", "--distorton", "blur")
    assert done.returncode == 1
    assert "--distortion" in done.stderr


@pytest.mark.slow
def test_measure_prints_a_table_and_resumes(tmp_path: Path, photos: Path) -> None:
    arguments = ("measure", "--images", photos, "--observer", "simulated", "--distortion", "noise, jpeg", "--limit", 2,
                 "--jnds", 2, "--out", tmp_path / "run")  # fmt: skip
    done = process(*arguments)
    assert done.returncode == 0, done.stderr
    assert "1st just noticeable difference" in done.stdout
    assert "measured with limen" in done.stdout
    assert "answers replayed" in done.stderr
    again = limen(*arguments, "--json")
    assert ": 0 questions asked" in again.stderr
    result = json.loads(again.stdout)
    assert {row["distortion"] for row in result["jnds"]} == {"noise", "jpeg"}
    assert result["unfinished"] == []
    for row in result["jnds"]:
        assert row["n"] == 2
        assert row["interval"] is None  # fewer than five references


@pytest.mark.slow
def test_unfinished_series_are_exit_code_2(tmp_path: Path, photos: Path) -> None:
    base = ("measure", "--images", photos, "--distortion", "noise")
    limen(*base, "--observer", "simulated", "--limit", 1, "--out", tmp_path / "a")
    done = process(*base, "--observer", f"recorded:{tmp_path / 'a'}", "--limit", 2, "--out", tmp_path / "b")
    assert done.returncode == 2
    assert "unfinished: simulated noise b.png: not-recorded" in done.stderr
    assert "Run the same command again" in done.stderr


def test_render_writes_levels_and_a_sheet(tmp_path: Path, photos: Path) -> None:
    done = limen(
        "render", photos / "a.png", "--distortion", "blur,qr", "--levels", "0,10,50", "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a_blur_000.png", "a_blur_010.png", "a_blur_050.png",
        "a_qr_000.png", "a_qr_010.png", "a_qr_050.png", "a_sheet.png",
    ]  # fmt: skip
    assert "6 stimuli" in done.stdout


def test_interrupted_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from limen import registry

    def interrupt(noun: str) -> dict[str, object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "every", interrupt)
    assert run(["measure", "--images", "x", "--observer", "simulated", "--out", "y"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.slow
def test_fit_and_power(tmp_path: Path, photos: Path) -> None:
    for name, threshold in (("a", 4), ("b", 9)):
        limen("measure", "--images", photos, "--observer", f"simulated:{name}", "-O", f"threshold={threshold}",
              "--distortion", "noise", "--out", tmp_path / name)  # fmt: skip
    done = process("fit", tmp_path / "a", tmp_path / "b", "--json")
    result = json.loads(done.stdout)
    assert [row["observer"] for row in result["fits"]] == ["simulated:a", "simulated:b"]
    for row in result["fits"]:
        found = row["fit"]["threshold"]
        assert found["interval"]["low"] <= found["median"] <= (found["interval"]["high"] or 50)
        assert row["jnd"]["level"] >= 1
    assert len(result["comparisons"]) == 1
    assert "Observers compared" in limen("fit", tmp_path / "a", tmp_path / "b").stdout
    assert "246 references" in limen("power", "--sd", 8).stdout
    assert json.loads(limen("power", tmp_path / "b", "--half-width", 2, "--json").stdout)["power"]
    both = limen("fit", tmp_path / "a", tmp_path / "b" / ".." / "b", "--json")
    assert len(json.loads(both.stdout)["fits"]) == 2
    (tmp_path / "else").mkdir()
    (tmp_path / "a").rename(tmp_path / "else" / "b")
    assert len(json.loads(limen("fit", tmp_path / "else" / "b", tmp_path / "b", "--json").stdout)["fits"]) == 2
    (tmp_path / "else" / "b").rename(tmp_path / "a")
    assert "takes runs as pilots" in limen("power").stderr
    assert "Known" in limen("fit", tmp_path / "a", "--shape", "logistics").stderr


def test_offline_on_an_open_run_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", "--images", "demo", "--distortion", "noise", "--observer", "simulated", "--no-exam", "--out"]
    assert run([*words, str(tmp_path / "run"), "--limit", "1"]) == 0
    capsys.readouterr()
    assert run([*words, str(tmp_path / "run"), "--limit", "2", "--offline"]) == 2
    said = capsys.readouterr().err
    assert "run it without --offline" in said
    assert "to finish them" not in said


def test_show_explains_each_setting_beside_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "psi"]) == 0
    told = capsys.readouterr().out
    assert "Attributes:" not in told
    assert "posterior standard deviation, in levels, at which to stop." in " ".join(told.split())
