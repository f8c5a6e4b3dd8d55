"""The tutorials' notebooks run from top to bottom, and print what is saved in them."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
LARGEST = 400_000  # bytes
TORCH = "features-of-a-network"  # a network is trained: its numbers may differ in their last digits elsewhere
CLOSE = 0.05  # relative, of such numbers
NUMBER = re.compile(r"\d+(?:\.\d+)?")
NOT_OURS = re.compile(r"/(?:home|tmp|root)/|\\Users\\|[\u2500\u2501]{4}|\x1b\[")  # paths of a machine, progress bars

nbformat = pytest.importorskip("nbformat")


def told(cell: Any) -> list[str]:
    """Return the texts that a cell put out, and the kinds of what it drew."""
    texts = []
    for output in cell.get("outputs", ()):
        if output["output_type"] == "stream":
            texts.append(output["text"])
        else:
            data = output["data"]
            drawn = sorted(kind for kind in data if kind.startswith("image/"))
            texts += (
                [",".join(drawn)] if drawn else [data[kind] for kind in ("text/plain", "text/html") if kind in data]
            )
    return texts


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_saved_whole_small_and_without_its_machine(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run docs/scripts/notebooks.py"
    for cell in cells:
        assert all(output["output_type"] != "error" for output in cell.outputs)
        assert all(output.get("name") != "stderr" for output in cell.outputs)
        assert not NOT_OURS.search("\n".join(told(cell)))
    assert any(cell.outputs and any("image/" in str(output) for output in cell.outputs) for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.torch] * (path.stem == TORCH), id=path.stem) for path in NOTEBOOKS],
)
def test_a_notebook_runs_and_says_the_same(path: Path) -> None:
    executed = runpy.run_path(str(ROOT / "docs" / "scripts" / "notebooks.py"))["executed"](path)
    for saved, cell in zip(nbformat.read(path, as_version=4).cells, executed.cells, strict=True):
        before, after = told(saved), told(cell)
        if path.stem == TORCH:
            assert [NUMBER.sub("0", text) for text in after] == [NUMBER.sub("0", text) for text in before]
            for old, new in zip(before, after, strict=True):
                numbers = [list(map(float, NUMBER.findall(text))) for text in (old, new)]
                assert numbers[1] == pytest.approx(numbers[0], rel=CLOSE, abs=0.02)
        else:
            assert after == before
