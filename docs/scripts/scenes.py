"""Draws docs/images/scenes.jpg: the two scenes at level 0, and what 10 and 30 levels do to them (extra: scene)."""

from pathlib import Path

import numpy as np

from limen.image import encode
from limen.report.images import contact_sheet
from limen.scenes.scene import find

PICKED = (("room", "angle", 0), ("room", "distance", 33), ("cabin", "angle", 2), ("cabin", "distance", 31))


def main() -> None:
    """Write the picture."""
    rows = {}
    for scene, factor, number in PICKED:
        view = find(scene).views(factor)[number]
        unit = "degrees" if factor == "angle" else "cm"
        rows[view.name] = [(f"{view.motion} {k} {unit}" if k else "", view.at(float(k))) for k in (0, 10, 30)]
    sheet = contact_sheet(rows, cell=300)
    (Path(__file__).parents[1] / "images" / "scenes.jpg").write_bytes(encode(np.ascontiguousarray(sheet), "jpeg:88"))


if __name__ == "__main__":
    main()
