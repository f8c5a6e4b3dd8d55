"""Run the notebooks of docs/tutorials in a fresh folder each, and save them with what they print and draw.

python docs/scripts/notebooks.py                 all of them
python docs/scripts/notebooks.py own-model       one, by name
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "tutorials"


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of this run: of texts printed in pieces one, and no times.

    Args:
        path: of the notebook; it is run in a temporary folder, and not changed.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count, cell.metadata = [], None, nbformat.NotebookNode()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        if path.stem in (sys.argv[1:] or [path.stem]):
            nbformat.write(executed(path), path)
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
