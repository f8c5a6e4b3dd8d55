"""Contact sheets: rows of pictures with their names, as one image."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from limen.image import Image

_CELL, _MARGIN, _LABEL = 180, 6, 16


def contact_sheet(rows: Mapping[str, Sequence[tuple[str, Image]]], cell: int = _CELL) -> Image:
    """Return one image showing each row's pictures, scaled to a common width (`cell` px), with their labels above.

    Small pictures are enlarged with hard pixels, so that nothing is shown that is not there.
    """
    drawn = [[(f"{name} {label}", _fitted(picture, cell)) for label, picture in row] for name, row in rows.items()]
    heights = [max(p.height for _, p in row) + _LABEL + _MARGIN for row in drawn]
    width = max(len(row) for row in drawn) * (cell + _MARGIN) + _MARGIN
    canvas = Pillow.new("RGB", (width, sum(heights) + _MARGIN), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    top = _MARGIN
    for row, height in zip(drawn, heights, strict=True):
        for i, (label, picture) in enumerate(row):
            left = _MARGIN + i * (cell + _MARGIN)
            pen.text((left, top), label, fill="black", font=font)
            canvas.paste(picture, (left, top + _LABEL))
        top += height
    return np.array(canvas)


def _fitted(picture: Image, cell: int) -> Pillow.Image:
    height, width = picture.shape[:2]
    size = (cell, max(1, round(height * cell / width)))
    return Pillow.fromarray(picture).resize(
        size, Pillow.Resampling.NEAREST if width < cell else Pillow.Resampling.LANCZOS
    )
