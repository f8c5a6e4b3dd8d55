"""MCL-JCI (Jin et al. 2016): photographs of 1920x1080 with people's JPEG thresholds."""

import re
from collections.abc import Iterator
from pathlib import Path

from limen.errors import InputError
from limen.image.folder import pictures
from limen.source import Reference, Refusal, of_file, readable, source
from limen.sources._listed import inside, lacking, lines, there

NAME = "mcl-jci"
EXPECTED = "a folder of the source images, or a CSV file with the column reference: paths relative to its folder"
_CODED = re.compile(r"\w*SRC\d+_\d+", re.IGNORECASE)


@source(
    NAME,
    where="https://mcl.usc.edu/mcl-jci-dataset/",
    get="Download the source images from the data set's page, as BMP or PNG.",
)
def mcl_jci(path: str) -> Iterator[Reference | Refusal]:
    """Source images of MCL-JCI, from a folder, or from a CSV of yours with the column `reference`.

    How the release lays out its folders is nowhere written. In a folder, pictures named like its coded versions
    (ImageJND_SRC01_026.jpg) are left out, because limen makes its own levels; all other pictures are taken.
    """
    place = there(path)
    found = _folder(place) if place.is_dir() else _table(place)
    some = False
    try:
        for item in found:
            some = some or isinstance(item, Reference)
            yield item
    except InputError as error:
        raise lacking(NAME, path, str(error), EXPECTED) from None
    if not some:
        raise lacking(NAME, path, "there is no source image that can be used", EXPECTED)


def _folder(folder: Path) -> Iterator[Reference | Refusal]:
    files, lines = pictures(folder, follow=False)
    yield from map(Refusal, lines)
    sources = [file for file in files if not _CODED.fullmatch(file.stem)]
    if len(sources) < len(files):
        coded = len(files) - len(sources)
        yield Refusal(f"{coded} coded version{'s' * (coded > 1)} (like SRC01_026): limen makes its own levels.")
    for file in sources:
        yield of_file(file, file.relative_to(folder).as_posix())


def _table(table: Path) -> Iterator[Reference | Refusal]:
    for line in lines(table, ("reference",)):
        if isinstance(line, Refusal):
            yield line
            continue
        name = line.fields["reference"]
        try:
            file = inside(table.parent, name)
        except InputError as error:
            yield Refusal(f"{table.name} line {line.number}: {error}.")
        else:
            yield of_file(file, readable(name))
