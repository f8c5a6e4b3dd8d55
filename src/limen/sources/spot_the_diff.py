"""Spot-the-diff (Jhamtani and Berg-Kirkpatrick 2018, arXiv:1808.10584): two frames of a surveillance camera."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from limen.errors import InputError
from limen.source import Reference, Refusal, source
from limen.sources._listed import bounded, inside, lacking, plain, there, two
from limen.sources._pairs import of_two

NAME = "spot-the-diff"
SPLITS = ("train", "val", "test")
EXPECTED = "a folder with annotations/train.json, val.json, test.json and resized_images/ID.png, ID_2.png"


@source(
    NAME,
    where="https://github.com/harsh19/spot-the-diff",
    get="Clone the repository, and unpack resized_images (the link is in data/get_images.txt) beside data/annotations.",
)
def spot_the_diff(path: str) -> Iterator[Reference | Refusal]:
    """Pairs of spot-the-diff: two frames, named by split and img_id (`train/400`); sentences are not read.

    An img_id that several annotators described is one pair, shown once.
    """
    place = there(path)
    folder = next((one for one in (place, place / "data") if (one / "annotations").is_dir()), place)
    splits = [split for split in SPLITS if (folder / "annotations" / f"{split}.json").is_file()]
    if not splits:
        raise lacking(NAME, path, "there is no annotations/{train,val,test}.json", EXPECTED)
    for split in splits:
        try:
            rows = _rows(folder / "annotations" / f"{split}.json")
        except InputError as error:
            raise lacking(NAME, path, str(error), EXPECTED) from None
        yield from _split(folder / "resized_images", split, rows)


def _rows(file: Path) -> list[Any]:
    bounded(file)
    try:
        rows = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{file.name}: is not readable JSON ({error})") from None
    if not isinstance(rows, list):
        raise InputError(f"{file.name}: is not a list of rows with img_id")
    return rows


def _split(folder: Path, split: str, rows: list[Any]) -> Iterator[Reference | Refusal]:
    refused: list[Refusal] = []
    ids: dict[str, int] = {}
    for number, row in enumerate(rows):
        try:
            ids.setdefault(plain(row.get("img_id") if isinstance(row, dict) else None), number)
        except InputError as error:
            refused.append(Refusal(f"{split}.json row {number}: its img_id {error}."))
    repeats = len(rows) - len(refused) - len(ids)
    if repeats:
        again = "1 repeated row" if repeats == 1 else f"{repeats} repeated rows"
        yield Refusal(f"{again} of {split}.json: a pair is shown once.")
    yield from refused
    for img_id, number in ids.items():
        try:
            files = inside(folder, f"{img_id}.png"), inside(folder, f"{img_id}_2.png")
        except InputError as error:
            yield Refusal(f"{split}.json row {number}: {error}.")
            continue
        yield of_two(f"{split}/{img_id}", functools.partial(two, *files))
