"""Pictures in a column of any Parquet file, as Hugging Face and others publish them."""

import functools
from collections.abc import Iterator
from pathlib import Path

from limen.errors import InputError
from limen.image import Image, digest
from limen.source import Reference, Refusal, size_of, source
from limen.sources import _cells
from limen.sources._listed import there

EXPECTED = "a file or folder of .parquet with a column of pictures: bytes, or struct{bytes, path}"


@source(
    "parquet",
    get="Any .parquet file or folder of them: parquet=PATH, or parquet=PATH#COLUMN where the column is not 'image'.",
)
def parquet(path: str) -> Iterator[Reference | Refusal]:
    """Pictures in a column of Parquet files: `parquet=PATH`, or `parquet=PATH#COLUMN` (else `image`)."""
    whole, mark, column = path.rpartition("#")
    if not mark or Path(path).exists():
        whole, column = path, "image"
    for item in _cells.files("parquet", there(whole), {column: _cells.pictorial}, f"{EXPECTED}, named {column!r}"):
        if isinstance(item, Refusal):
            yield item
            continue
        file, name = item
        for row in _cells.rows("parquet", file, name, (column,)):
            yield row if isinstance(row, Refusal) else _reference(name, column, *row)


def _reference(name: str, column: str, place: _cells.RowPlace, cells: list[object]) -> Reference | Refusal:
    name = f"{name}/{place.index}"
    try:
        image = _cells.image(cells[0], name)
        return Reference(name, digest(image), functools.partial(_load, place, column, name), size=size_of(image))
    except InputError as error:
        return Refusal(str(error))


def _load(place: _cells.RowPlace, column: str, name: str) -> Image:
    return _cells.image(_cells.cells("parquet", place, (column,))[0], name)
