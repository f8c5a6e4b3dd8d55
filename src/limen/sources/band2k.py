"""BAND-2k (Chen et al. 2024, arXiv:2311.17752): banded pictures with opinion scores."""

import functools
from collections.abc import Iterator

from limen.errors import InputError
from limen.source import Reference, ReferenceKind, Refusal, source
from limen.sources._listed import inside, lacking, lines, number, there, two
from limen.sources._pairs import of_two

EXPECTED = (
    "a CSV file with the columns reference, file, score, which you write: paths relative to the CSV's folder, and the "
    "mean opinion score"
)


@source(
    "band2k",
    where="https://github.com/zijianchen98/BAND-2k",
    get="Download it by the links on its page, and write a CSV (columns reference, file, score) beside the pictures.",
)
def band2k(path: str) -> Iterator[Reference | Refusal]:
    """Scored pairs of BAND-2k: a picture, its banded version, and the opinion score, from a CSV of yours.

    How the release lays out its folders is nowhere written, so limen reads no layout of it: only the CSV
    (`band2k=FILE.csv`, or a folder that holds one CSV).
    """
    table = there(path)
    if table.is_dir():
        tables = sorted(table.glob("*.csv"))
        if len(tables) != 1:
            raise lacking("band2k", path, f"there are {len(tables)} CSV files in it", EXPECTED)
        table = tables[0]
    some = False
    try:
        for line in lines(table, ("reference", "file", "score")):
            some = True
            if isinstance(line, Refusal):
                yield line
                continue
            try:
                files = inside(table.parent, line.fields["reference"]), inside(table.parent, line.fields["file"])
                score = number(line.fields["score"])
            except InputError as error:
                yield Refusal(f"{table.name} line {line.number}: {error}.")
                continue
            yield of_two(line.fields["file"], functools.partial(two, *files), ReferenceKind.SCORED_PAIR, score)
    except InputError as error:
        raise lacking("band2k", path, str(error), EXPECTED) from None
    if not some:
        raise lacking("band2k", path, f"{table.name} has no rows", EXPECTED)
