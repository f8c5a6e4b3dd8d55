"""The bundled photographs are scikit-image's, cut and scaled as the script says, each with its author and licence."""

import sys
from pathlib import Path

import numpy as np
import pytest

from limen.image import decode, load
from limen.sources.demo import photographs

TRAINING = Path(__file__).parent.parent / "training"


def test_they_are_cut_from_scikit_images_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAINING))
    import make_photographs

    made = dict(make_photographs.crops())
    there = {file.name: load(file) for file in photographs().glob("*.png")}
    assert made.keys() == there.keys()
    for name, data in made.items():
        assert np.array_equal(decode(data), there[name]), name
    sys.modules.pop("make_photographs")


def test_each_has_an_author_and_a_licence() -> None:
    stated = (photographs() / "README.md").read_text()
    for file in photographs().glob("*.png"):
        row = next(line for line in stated.splitlines() if line.startswith(f"| {file.stem.rsplit('-')[0]}-*.png"))
        assert len([cell for cell in row.split("|") if cell.strip()]) == 3
