"""Cut the demo's references from scikit-image's colour photographs: 64x64 px, PNG without metadata, always the same.

    python training/make_photographs.py

Squares were chosen by eye for variety (faces, fur, metal, sky, wood), before any model had been shown them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pictures import SIDE, photograph
from PIL import Image as Pillow

from limen import image

FOLDER = Path(__file__).resolve().parents[1] / "src" / "limen" / "data" / "demo" / "photographs"
SQUARES: dict[str, tuple[tuple[int, int, int], ...]] = {  # left, top, side in px of the original
    "astronaut.png": ((0, 0, 512), (140, 0, 180), (30, 250, 200), (330, 0, 160), (280, 330, 180)),
    "chelsea.png": ((76, 0, 300), (110, 60, 130), (0, 100, 200), (230, 150, 120), (300, 0, 150)),
    "coffee.png": ((90, 0, 380), (150, 0, 220), (290, 190, 160), (420, 40, 170), (60, 160, 180)),
    "rocket.jpg": ((200, 100, 240), (260, 200, 128), (60, 287, 140), (0, 0, 200), (400, 60, 240)),
}
STATED = (  # files, author, licence as stated
    (
        "astronaut",
        "NASA (Eileen Collins; NASA Great Images database, flic.kr/p/r9qvLn)",
        '"No known copyright restrictions, released into the public domain" (scikit-image)',
    ),
    ("chelsea", "Stefan van der Walt", '"No copyright restrictions. CC0 by the photographer" (scikit-image)'),
    (
        "coffee",
        "Rachel Michetti, courtesy of Pikolo Espresso Bar",
        '"No copyright restrictions. CC0 by the photographer" (scikit-image)',
    ),
    (
        "rocket",
        "SpaceX (DSCOVR launch, flickr.com/photos/spacexphotos/16511594820)",
        '"released in the public domain" (scikit-image)',
    ),
)
README = """# Photographs of the demo

64x64 px crops of four photographs that come with scikit-image 0.26 (cut and scaled down by
`training/make_photographs.py`; nothing else was changed). The demo model was not trained on them. The fifth colour
photograph, a motorcycle, is in the figures of the model card and not shipped: scikit-image states no licence for it.

| files | author | licence, as stated |
|---|---|---|
"""


def crops() -> Iterator[tuple[str, bytes]]:
    """Yield the crops' file names and PNG bytes."""
    for name, squares in SQUARES.items():
        picture = photograph(name)
        for number, (left, top, side) in enumerate(squares, 1):
            box = (left, top, left + side, top + side)
            crop = np.array(picture.resize((SIDE, SIDE), Pillow.Resampling.BOX, box=box))
            yield f"{Path(name).stem}-{number}.png", image.png(crop)


def main() -> None:
    """Write the crops and their README."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in crops():
        (FOLDER / name).write_bytes(data)
    rows = (f"| {name}-*.png | {author} | {licence} |\n" for name, author, licence in STATED)
    (FOLDER / "README.md").write_text(README + "".join(rows))


if __name__ == "__main__":
    main()
