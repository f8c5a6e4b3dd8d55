"""MCL-JCI's thresholds of people: Jin et al. 2016, Electronic Imaging, doi:10.2352/ISSN.2470-1173.2016.13.IQSP-222.

The release has `JND_samples/JND_image_01.txt` to `_50.txt`: one line for each of 30 people who saw the picture, with
the JPEG qualities of their JNDs. More than 150 people took part and lines carry no name, so that the 1st line of one
file need not be the person of the 1st line of another: thresholds, never trials of participants. The 1st JND is the
highest quality that is noticeably different from quality 100 (the anchor is that JPEG, not the source), each next one
the highest that is noticeably different from the one before.

The layout is as notes and programs of others describe it; limen has not seen the files themselves. How numbers are
divided is not said anywhere: blanks, commas, semicolons and brackets are read. No licence of the data is stated.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from limen import distortion, registry
from limen.errors import InputError
from limen.files import vacant
from limen.image import digest, load
from limen.imports import _published
from limen.imports._published import People, Work
from limen.people import recording
from limen.people.recording import Recording
from limen.question import of_table
from limen.source import readable
from limen.store import SeriesRow
from limen.store.entries import PublishedEntry

KIND = "mcl-jci"
FOLDER = "JND_samples"
PICTURES = "source_images/[BMP]"
WORK = Work(
    "MCL-JCI", "Jin et al. 2016, Electronic Imaging (IQSP), doi:10.2352/ISSN.2470-1173.2016.13.IQSP-222",
    "https://mcl.usc.edu/mcl-jci-dataset/", "none stated",
)  # fmt: skip
QUESTION = of_table(
    {
        "name": "mcl-jci-bisection",
        "text": "Is the right picture noticeably different from the left one? (As others asked it, by bisection; one "
        "answer is a threshold.)",
        "form": "yes-no",
    }
)  # fmt: skip
ANCHOR = 100  # the quality that the 1st JND is held against
LARGEST = 1 << 20  # bytes of a file of 30 lines
_FILE = re.compile(r"JND_image_(\d{1,3})\.txt", re.IGNORECASE)
_LINE = re.compile(r"[\[(]?\s*(\d{1,3}(?:\.0+)?(?:[\s,;]+\d{1,3}(?:\.0+)?)*)[\s,;]*[\])]?")


@registry.add("import", KIND)
def from_mcl_jci(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """MCL-JCI's published JNDs, the 1st to the last of each person, as thresholds: its folder, or JND_samples.

    Args:
        place: the folder of the release, or JND_samples itself. Of a folder with source_images/[BMP]/ the photographs
            get the digests of their pixels, so that they are the same references as in runs of models.
        run: the run directory, which must not be there yet.
        tell: called with how many files are read, of how many.

    Returns:
        Lines for a person: what was read.

    Raises:
        InputError: a line does not fit; one line that names file and line. Nothing is written then.
        StoreError: the run cannot be written.
    """
    vacant(run)
    folder, pictures = _published.found(place, FOLDER, PICTURES)
    files = {int(match[1]): file for file in _texts(folder) if (match := _FILE.fullmatch(file.name))}
    if not files:
        raise InputError(f"{readable(place)}: there is no JND_image_01.txt in {FOLDER}. Unpack the release again.")
    people, kind = People(WORK, KIND, folder), distortion.find("jpeg")
    references, rows = recording.References(KIND, people.file), list[SeriesRow]()
    thresholds: list[PublishedEntry] = []
    samples = 0
    for count, (number, file) in enumerate(sorted(files.items()), start=1):
        name = f"ImageJND_SRC{number:02}"
        one = references.add(f"{readable(file.name)} line 1", kind, name, _picture(pictures, name))
        each = list(_people(file))
        rows.append(one)
        samples += len(each)
        thresholds += _thresholds(people.name, one, each)
        tell(count, len(files))
    content = Recording(people.source, people.file, people.observers, (kind,), (QUESTION,), rows, (), thresholds)
    recording.write(run, content)
    known = sum(1 for number in files if _picture_file(pictures, f"ImageJND_SRC{number:02}"))
    return [
        f"{people.file}: JNDs in {samples:,} lines of people about {len(rows):,} series, as medians over people, "
        f"never as trials. Run: {run}",
        *people.told(known, len(rows)),
    ]


def _texts(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{readable(str(folder))}: is no folder. Give the release's folder, or its {FOLDER}.")
    files = sorted(folder.glob("*.txt"))
    seen: dict[int, Path] = {}
    for file in files:
        match = _FILE.fullmatch(file.name)
        if match and seen.setdefault(int(match[1]), file) != file:
            raise InputError(f"{readable(file.name)}: is a second {seen[int(match[1])].name}. Keep one of them.")
    return files


def _people(file: Path) -> Iterator[list[int]]:
    """Yield the levels of each person's JNDs, the 1st first."""
    shown = readable(file.name)
    if file.stat().st_size > LARGEST:
        raise InputError(f"{shown}: has {file.stat().st_size >> 10:,} KB, over {LARGEST >> 10:,}. Unpack it again.")
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        at = file.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{shown} line {at}: is not UTF-8. Unpack the release again.") from None
    some = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise InputError(
                f"{shown} line {number}: {line!r:.60} is no row of JPEG qualities. Write 1 to 100: 63 41 22."
            )
        yield _levels(f"{shown} line {number}", [int(float(one)) for one in re.split(r"[\s,;]+", found[1])])
        some = True
    if not some:
        raise InputError(f"{shown} line 1: holds nobody's JNDs. Unpack the release again.")


def _levels(where: str, qualities: list[int]) -> list[int]:
    """Return JPEG qualities as levels of limen's ladder (101 - quality), without the anchor."""
    strange = next((one for one in qualities if not 1 <= one <= ANCHOR), None)
    if strange is not None:
        raise InputError(f"{where}: {strange} is no JPEG quality. Give whole numbers from 1 to {ANCHOR}.")
    if len(set(qualities)) < len(qualities):
        twice = next(one for one in qualities if qualities.count(one) > 1)
        raise InputError(f"{where}: has the quality {twice} twice. Each JND of a person is another quality.")
    if qualities not in (sorted(qualities), sorted(qualities, reverse=True)):
        raise InputError(f"{where}: its qualities neither rise nor fall all the way. Put them in order.")
    return sorted(101 - one for one in qualities if one != ANCHOR)


def _thresholds(observer: str, row: SeriesRow, people: list[list[int]]) -> Iterator[PublishedEntry]:
    """Yield the n-th JNDs, up to the first that half of the people do not have."""
    for order in range(1, max(map(len, people), default=0) + 2):
        levels = sorted(levels[order - 1] for levels in people if len(levels) >= order)
        none = len(people) - len(levels)
        yield PublishedEntry(observer, QUESTION.name, row.id, order, levels, none)
        if none >= len(levels):
            return


def _picture_file(pictures: Path | None, name: str) -> Path | None:
    file = pictures / f"{name}.bmp" if pictures is not None else None
    return file if file is not None and file.is_file() else None


def _picture(pictures: Path | None, name: str) -> str:
    file = _picture_file(pictures, name)
    return "" if file is None else digest(load(file))
