"""KonJND-1k (Lin et al. 2022, doi:10.1109/TCSVT.2022.3163860): 1,008 photographs, half coded as JPEG, half as BPG."""

import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from limen.errors import InputError
from limen.image import opened
from limen.image.folder import walk
from limen.source import Reference, Refusal, of_file, readable, source
from limen.sources._listed import lacking, there

PAGE = "https://database.mmsp-kn.de/konjnd-1k-database.html"
GET = "Download the images from the database's page and unpack them into one folder."
EXPECTED = "a folder of Study_SRC0366.png, Study_SRC0366_JPEG_001.jpg, ..."
_FILE = re.compile(r"(Study|Train|Quiz)_(SRC\d+)(?:_JPEG_(\d+))?\.(png|jpg)", re.IGNORECASE)

# Tables K.1 and K.2 of the JPEG standard (ITU-T T.81, Annex K), row by row.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip


@source("konjnd", where=PAGE, get=GET)
def konjnd(path: str) -> Iterator[Reference | Refusal]:
    """The 1,008 source photographs of KonJND-1k, for any distortion.

    Pictures of its training and quiz (Train_, Quiz_) are left out. Those coded as JPEG are `konjnd-jpeg`.
    """
    yield from _references("konjnd", path, coded=False)


@source("konjnd-jpeg", where=PAGE, get=GET)
def konjnd_jpeg(path: str) -> Iterator[Reference | Refusal]:
    """The 504 photographs of KonJND-1k that people saw as JPEG: those with _JPEG_ files beside them.

    limen makes the levels itself (`jpeg`, the same tables); the coded files only tell which photographs these are. One
    whose quantisation table is no libjpeg quality's, or another's than its name says, is reported.
    """
    yield from _references("konjnd-jpeg", path, coded=True)


def quality(file: Path) -> int:
    """Return the libjpeg quality, 1..100, that a JPEG file was coded at, read from its quantisation tables.

    The tables must be exactly those that libjpeg scales from the standard's; the name of the file is not looked at.

    Raises:
        InputError: no JPEG file, or tables that are no quality's. One line that names the file.
    """
    try:
        with opened(file) as stream, Pillow.open(stream, formats=("JPEG",)) as picture:
            tables = [tuple(table) for _, table in sorted(picture.quantization.items())]  # type: ignore[attr-defined]
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Pillow.DecompressionBombError):
        raise InputError(f"{readable(file.name)}: is not a readable JPEG file. Fetch it again.") from None
    found = _qualities().get(tuple(tables))
    if found is None:
        raise InputError(
            f"{readable(file.name)}: its quantisation tables are those of no libjpeg quality. Compare it with the "
            "published file."
        )
    return found


def scaled(table: tuple[int, ...], quality: int) -> tuple[int, ...]:
    """Scale a table of the standard as libjpeg does (jcparam.c, 8-bit tables)."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(255, max(1, (entry * percent + 50) // 100)) for entry in table)


@functools.cache
def _qualities() -> dict[tuple[tuple[int, ...], ...], int]:
    """Return the qualities by their tables: of a grey picture one, of colour two. No two qualities share them."""
    known: dict[tuple[tuple[int, ...], ...], int] = {}
    for quality in range(1, 101):
        luminance, chrominance = scaled(_LUMINANCE, quality), scaled(_CHROMINANCE, quality)
        known[(luminance,)] = known[luminance, chrominance] = quality
    return known


def _references(name: str, path: str, coded: bool) -> Iterator[Reference | Refusal]:
    folder = there(path)
    found = walk(folder, follow=False)
    sources, variants, others = _sorted(found.files)
    names = [known for known in sources if not coded or variants[known]]
    if not names:
        wrong = f"of {len(sources)} sources none has a _JPEG_ file" if sources else "there is no Study_SRC*.png"
        raise lacking(name, path, wrong, EXPECTED)
    yield from map(Refusal, found.lines)
    if others:
        yield Refusal(f"{others} of KonJND-1k's pictures for training and quiz: Study_ files are the data set.")
    for known in names:
        first, *more = sources[known]
        yield of_file(first, known)
        for file in more:
            shown = readable(file.relative_to(folder).as_posix())
            yield Refusal(f"{shown}: is a second {known}. Keep one of them.")
        if coded:
            yield from _checked(variants[known])


def _sorted(
    files: list[Path],
) -> tuple[dict[str, list[Path]], dict[str, list[tuple[int, Path]]], int]:
    """Return the study's sources and coded files by name, in order, and how many belong to the training and quiz."""
    sources: dict[str, list[Path]] = defaultdict(list)
    variants: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    others = 0
    for file in files:
        match = _FILE.fullmatch(file.name)
        if not match:
            continue
        part, known, number, suffix = match.groups()
        if part.lower() != "study":
            others += number is None
        elif number is not None and suffix.lower() == "jpg":
            variants[known.upper()].append((int(number), file))
        elif number is None and suffix.lower() == "png":
            sources[known.upper()].append(file)
    return {name: sources[name] for name in sorted(sources)}, variants, others


def _checked(variants: list[tuple[int, Path]]) -> Iterator[Refusal]:
    """Yield what is odd about coded files; limen makes its own levels, so their photographs are used all the same."""
    for number, file in variants:
        try:
            read = quality(file)
        except InputError as error:
            yield Refusal(f"only the coded file {error} Its photograph is used.")
            continue
        if read != number:
            yield Refusal(
                f"only the coded file {readable(file.name)}, which has the quantisation tables of quality {read}. "
                "Compare it with the published one. Its photograph is used."
            )
