"""MagicBrush (Zhang et al. 2023, arXiv:2306.10012): photographs and what annotators' edits made of them."""

import functools
from collections.abc import Iterator
from typing import Any

from limen.errors import InputError
from limen.image import Image
from limen.source import Reference, Refusal, source
from limen.sources import _cells
from limen.sources._listed import plain, there
from limen.sources._pairs import of_two

PICTURES = ("source_img", "target_img")
EXPECTED = "train-*.parquet and dev-*.parquet as published, with img_id, turn_index, source_img, target_img"


@source(
    "magicbrush",
    licence="CC-BY-4.0",
    where="https://huggingface.co/datasets/osunlp/MagicBrush",
    get="Download the data set's Parquet files from its page (train and dev; the test split is a zip with a password).",
)
def magicbrush(path: str) -> Iterator[Reference | Refusal]:
    """Pairs of MagicBrush: an edit's source and target, named by split, img_id and turn (`dev/7-2`).

    Each turn is a pair of its own: in a session of edits, turn 2 begins with the target of turn 1. Masks and
    instructions are not read.
    """
    kinds = {"img_id": _anything, "turn_index": _anything} | dict.fromkeys(PICTURES, _cells.pictorial)
    for item in _cells.files("magicbrush", there(path), kinds, EXPECTED):
        if isinstance(item, Refusal):
            yield item
            continue
        file, name = item
        for row in _cells.rows("magicbrush", file, name, (*kinds,)):
            yield row if isinstance(row, Refusal) else _pair(name, *row)


def _pair(file: str, place: _cells.RowPlace, cells: list[Any]) -> Reference | Refusal:
    where = f"{file} row {place.index}"
    try:
        img_id, turn = (plain(cell.as_py()) for cell in cells[:2])
        split = plain(place.file.name.split("-")[0].split(".")[0])
    except InputError as error:
        return Refusal(f"{where}: {error}.")
    name = f"{split}/{img_id}-{turn}"
    try:
        both = _decode(cells[2:], name)
    except InputError as error:
        return Refusal(f"{where}: {error}")
    return of_two(name, functools.partial(_load, place, name), loaded=both)


def _load(place: _cells.RowPlace, name: str) -> tuple[Image, Image]:
    return _decode(_cells.cells("magicbrush", place, PICTURES), name)


def _decode(cells: list[Any], name: str) -> tuple[Image, Image]:
    first, second = (_cells.image(cell, f"{name} {column}") for cell, column in zip(cells, PICTURES, strict=True))
    return first, second


def _anything(kind: object) -> bool:
    return True
