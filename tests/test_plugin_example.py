"""examples/limen-plugin-example is installed into an environment of its own, and used by name."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "limen-plugin-example"
NAMES = {
    "distortions": "pixelate",
    "observers": "edges",
    "questions": "as-fine",
    "sources": "checkers",
    "procedures": "climb",
}
MEASURE = (
    "measure", "--images", "checkers=4", "--distortion", "pixelate", "--observer", "edges", "--question", "as-fine",
    "--procedure", "climb", "--out", "run",
)  # fmt: skip
Run = Callable[..., str]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """Run a module in an environment that has the example installed beside this limen and what it needs."""
    venv.create(folder / "env", with_pip=False)
    (packages,) = [*(folder / "env").glob("lib/python*/site-packages"), *(folder / "env").glob("Lib/site-packages")]
    ours = [place for place in sys.path if Path(place).name in {"site-packages", "dist-packages"}]
    (packages / "shared.pth").write_text("\n".join([str(ROOT / "src"), *ours]), encoding="utf-8")
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))} | {"PYTHONUTF8": "1"}

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run([python, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    shutil.copytree(EXAMPLE, folder / "copy", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    run("pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", str(folder / "copy"))
    return run


def test_it_is_listed_measured_and_reported_by_name(run: Run, folder: Path) -> None:
    for shelf, name in NAMES.items():
        listed = run("limen", "list", shelf)
        assert name in listed
        assert "left out" not in listed
    measured = run("limen", *MEASURE)
    assert "pixelate" in measured
    assert "4 series: " in measured
    assert run("limen", *MEASURE, "--offline").count("pixelate") > 1
    run("limen", "report", "run", "--out", "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "pixelate" in page
    assert "edges" in page
    assert "block size" in run("limen", "show", "pixelate")


def test_its_readme_and_its_own_tests_run(run: Run, folder: Path) -> None:
    blocks = (EXAMPLE / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = "\n".join(block.split("```")[0] for block in blocks)
    (folder / "readme_block.py").write_text(code, encoding="utf-8")
    assert "pixelate" in run("readme_block")
    assert "6 passed" in run("pytest", "-q", "-p", "no:cacheprovider", str(folder / "copy"))


def test_its_run_is_reported_where_it_is_not_installed(run: Run, folder: Path) -> None:
    run("limen", *MEASURE[:-3], "skip", "--out", "kept")
    run("limen", *MEASURE[:-1], "climbed")
    run("pip", "uninstall", "--yes", "--quiet", "limen-plugin-example")
    assert "pixelate" not in run("limen", "list", "distortions")
    run("limen", "report", "kept", "--out", "kept.html")
    assert "pixelate" in (folder / "kept.html").read_text(encoding="utf-8")
    assert "No procedure named 'climb'" in run("limen", "report", "climbed", "--out", "climbed.html", code=1)
    assert "No source named 'checkers'" in run("limen", *MEASURE[:-1], "new", code=1)
