"""docs/reference/entry-points.md names every shelf with the signatures of today, and its examples do what they say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from limen import registry

ROOT = Path(__file__).parents[1]
CHECKS = """
import json
from pathlib import Path

from limen import distortion, observer, procedure, question, registry, source
from limen.feature import task, tolerance
from limen.scenes import scene

assert distortion.find("pixelate").ladder.unit == "px"
assert observer.make("edges", {"criterion": 5}).name == "edges"
assert question.find("as-fine").notices == ("no",)
assert procedure.make("climb", {"run": 3}).run == 3
assert len(source.collect(["checkers=2"]).references) == 2
assert len(scene.find("plinth").build().patches) == 7
run = limen.measure("checkers=2", "edges", "pixelate", procedure="climb", questions="as-fine", out="run")
(file,) = registry.find("export", "jnds-json")(Path("run"), Path("jnds.json"))
assert json.loads(file.read_bytes())[0]["distortion"] == "pixelate"
shutil.make_archive("packed", "zip", "run")
(line,) = registry.find("import", "zip")("packed.zip", Path("again"), lambda done, of: None)
assert line == f"{len(run.jnds)} series are in again."

clean, moved = torch.eye(8)[:2] * 3, torch.eye(8)[:2] * -3
assert task.find("top-five").drop({"logits": clean}, {"logits": moved}, "top5").tolist() == [1, 1]
assert task.find("top-five").drop({"logits": clean}, {"logits": clean}, "top5").tolist() == [0, 0]
assert tolerance.make("proportional", {"floor": "0.5"}).settings.floor == 0.5
print("all ten")
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entry_points", ROOT / "docs" / "scripts" / "entry_points.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["entry_points"] = module
    spec.loader.exec_module(module)
    return module


def test_every_shelf_is_there(script: ModuleType) -> None:
    assert list(script.SHELVES) == list(registry.SHELVES)
    groups = [line.strip("#` ") for line in script.page().splitlines() if line.startswith("## `")]
    assert groups == [f"limen.{place}" for place in registry.SHELVES.values()]


def test_the_page_is_written_from_the_code_of_today(script: ModuleType) -> None:
    written = (ROOT / "docs" / "reference" / "entry-points.md").read_text(encoding="utf-8")
    assert written == script.page(), "python docs/scripts/entry_points.py writes it again"


def test_signatures_are_those_of_the_code(script: ModuleType) -> None:
    """The page's own function, held against something known."""
    assert script.signature("limen.source:of_file").startswith(
        "limen.source.of_file(file: Path, name: str) -> Reference | Refusal\n    Return the reference"
    )
    assert "        levels: int | None = None,\n" in script.signature("limen.testing:simulate")
    assert "        **settings: Any,\n    ) -> Simulation\n" in script.signature("limen.testing:simulate")


@pytest.mark.slow
@pytest.mark.torch
def test_its_examples_work(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text("\n\n".join([*map(script.code, script.SHELVES.values()), CHECKS]), encoding="utf-8")
    done = subprocess.run([sys.executable, "-X", "utf8", str(page)], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "all ten\n", done.stderr
