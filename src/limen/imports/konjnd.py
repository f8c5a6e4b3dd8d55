"""KonJND-1k's thresholds of people: Lin et al. 2022, IEEE TCSVT 32(9), doi:10.1109/TCSVT.2022.3163860.

The release has `subjective_ratings.csv`, one row a photograph and codec, with the list of PJNDs (one of each person
who saw it); people are not named in it, so that nobody's ratings can be told apart from another's: they stand as
thresholds, never as trials of participants.

The layout is as programs of others read it (image_id, Compression type, No. of ratings, mean, std, ratings; pictures
in source_image/, jpeg/ and bpg/); limen has not seen the files themselves. That a rating is the number of a coded file,
which is the libjpeg quality for JPEG (`limen.sources.konjnd`) and the QP for BPG, is inferred from how they are used,
and not verified. No licence of the data is stated on its page.
"""

import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from limen import distortion, registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.files import vacant
from limen.image import digest, load
from limen.imports import _published, _table
from limen.imports._published import People, Work
from limen.imports._table import Name
from limen.ladder import Ladder
from limen.people import recording
from limen.people.recording import Recording
from limen.question import of_table
from limen.sources._rows import RowSpan
from limen.store import SeriesRow
from limen.store.entries import PublishedEntry

KIND = "konjnd"
TABLE = "subjective_ratings.csv"
PICTURES = "source_image"
WORK = Work(
    "KonJND-1k", "Lin et al. 2022, IEEE TCSVT 32(9), doi:10.1109/TCSVT.2022.3163860",
    "https://database.mmsp-kn.de/konjnd-1k-database.html", "none stated",
)  # fmt: skip
QUESTION = of_table(
    {
        "name": "konjnd-flicker",
        "text": "Move the slider to the smallest distortion at which the picture, alternating with its original at 8 "
        "Hz, flickers. (As others asked it; one answer is a threshold.)",
        "form": "yes-no",
    }
)  # fmt: skip
QPS = 51  # of BPG
ROUNDED = 0.51  # how far a mean may lie from its ratings', to whatever place it was rounded
_RATINGS = re.compile(r"\[\s*(?:\d{1,3}\s*(?:,\s*\d{1,3}\s*)*)?\]")
_Figure = Annotated[float, msgspec.Meta(ge=0, le=1_000)]


class RatingsRow(msgspec.Struct, frozen=True):
    """A row of subjective_ratings.csv.

    Attributes:
        image_id: file name of the photograph.
        compression_type: JPEG or BPG (column "Compression type").
        ratings: a list of whole numbers: of each person the PJND.
        no_of_ratings: how many (column "No. of ratings"); held against the list.
        mean: of the ratings; held against the list.
    """

    image_id: Name
    compression_type: Literal["JPEG", "BPG"]
    ratings: Annotated[str, msgspec.Meta(max_length=100_000)]
    no_of_ratings: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    mean: _Figure | None = None


@registry.add("import", KIND)
def from_konjnd(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """KonJND-1k's published PJNDs (JPEG and BPG) as thresholds: its folder, or subjective_ratings.csv.

    Args:
        place: the folder of the release, or the file. Of a folder with source_image/ the photographs get the digests
            of their pixels, so that they are the same references as in runs of models.
        run: the run directory, which must not be there yet.
        tell: called with how many rows are read, of how many.

    Returns:
        Lines for a person: what was read.

    Raises:
        InputError: a row does not fit; one line that names file and line. Nothing is written then.
        StoreError: the run cannot be written.
    """
    vacant(run)
    table, pictures = _published.found(place, TABLE, PICTURES)
    people = People(WORK, KIND, table)
    kinds = {"JPEG": distortion.find("jpeg"), "BPG": _bpg(people)}
    read = list(_table.rows(table, RatingsRow, strange=True))
    references, rows = recording.References(KIND, people.file), dict[tuple[str, str], SeriesRow]()
    thresholds, seen = [], 0
    for count, (span, row) in enumerate(read, start=1):
        if (row.image_id, row.compression_type) in rows:
            both = f"{row.image_id!r} coded as {row.compression_type}"
            raise InputError(f"{span.where}: {both} is in an earlier row. Keep one of the two.")
        picture = _picture(pictures, row.image_id)
        seen += bool(picture)
        kind = kinds[row.compression_type]
        one = references.add(span.where, kind, row.image_id, picture, Path(row.image_id).stem)
        rows[row.image_id, row.compression_type] = one
        levels = sorted(_level(span, row.compression_type, rating) for rating in _ratings(span, row))
        thresholds.append(PublishedEntry(people.name, QUESTION.name, one.id, 1, levels))
        tell(count, len(read))
    used = [kinds[codec] for codec in ("JPEG", "BPG") if any(codec == of for _, of in rows)]
    content = Recording(
        people.source, people.file, people.observers, used, (QUESTION,), tuple(rows.values()), (), thresholds
    )
    recording.write(run, content)
    ratings = sum(len(one.levels) for one in thresholds)
    return [
        f"{people.file}: {ratings:,} thresholds of people about {len(rows):,} series, as medians over people, never as "
        f"trials. Run: {run}",
        *people.told(seen, len(rows)),
    ]


def _bpg(people: People) -> Distortion:
    ladder = Ladder(tuple(float(qp) for qp in range(1, QPS + 1)), "QP")
    return recording.unmade("bpg", "BPG compression", ladder, people.outside)


def _ratings(span: RowSpan, row: RatingsRow) -> list[int]:
    """Return a row's ratings, held against its own count and mean."""
    if not _RATINGS.fullmatch(row.ratings):
        raise InputError(f"{span.where}: ratings {row.ratings!r:.60} is no list of whole numbers: [35, 41, 28].")
    found = [int(rating) for rating in re.findall(r"\d+", row.ratings)]
    if not found:
        raise InputError(f"{span.where}: holds no rating. Leave the row out.")
    if row.no_of_ratings is not None and row.no_of_ratings != len(found):
        raise InputError(
            f"{span.where}: says {row.no_of_ratings} ratings and lists {len(found)}. Compare it with the published "
            "file."
        )
    if row.mean is not None and not math.isclose(row.mean, statistics.fmean(found), abs_tol=ROUNDED):
        raise InputError(
            f"{span.where}: says the mean {row.mean:g}, and its ratings have {statistics.fmean(found):.4g}. Compare it "
            "with the published file."
        )
    return found


def _level(span: RowSpan, codec: str, rating: int) -> int:
    """Return the level that a rating is: of JPEG quality q it is 101 - q, as in limen's ladder; of BPG the QP."""
    most = 100 if codec == "JPEG" else QPS
    if not 1 <= rating <= most:
        raise InputError(f"{span.where}: the rating {rating} of {codec} is not between 1 and {most}. Correct it.")
    return 101 - rating if codec == "JPEG" else rating


def _picture(pictures: Path | None, name: str) -> str:
    if pictures is None:
        return ""
    file = pictures / Path(name).name
    return digest(load(file)) if file.is_file() else ""
