"""What a data set's own lists may name: files inside its folder, in formats that are pictures; nothing else is opened.

Shared by the importers; registers no source.
"""

import csv
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limen.errors import InputError
from limen.image import SUFFIXES, Image, load, too_long
from limen.image.container import LARGEST_PICTURE
from limen.source import Refusal, find, readable

LARGEST_LIST = 512 << 20  # bytes of a CSV or JSON file
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # http:, s3:, file:, data:, and a drive letter
_PLAIN = re.compile(r"[\w-][\w.-]{0,127}")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of a CSV file: where it stands, and its fields by column."""

    number: int
    fields: Mapping[str, str]


def lacking(name: str, path: str, wrong: str, expected: str) -> InputError:
    """Return the error for a place that does not hold what the source `name` reads, with where to get it."""
    about = find(name)
    where = f" Published at {about.where}; licence: {about.licence or 'none stated'}." if about.where else ""
    return InputError(f"{name}={readable(path)}: {wrong}. Expected: {expected}. {about.get}{where}")


def there(path: str) -> Path:
    """Return the place a source was given, or raise `InputError` where nothing lies."""
    if not os.path.exists(path):
        raise InputError(f"No file or folder {readable(path)!r}. Check the path.")
    if not (os.path.isfile(path) or os.path.isdir(path)):
        raise InputError(f"{readable(path)!r} is a pipe or a device, not a file or folder. Check the path.")
    return Path(path)


def plain(text: object) -> str:
    """Return an id of a data set as a part of a name; raise `InputError` for one that could be a path."""
    given = str(text) if isinstance(text, str | int) and not isinstance(text, bool) else ""
    if not _PLAIN.fullmatch(given) or ".." in given:
        raise InputError(f"{text!r:.60} is not an id: letters, digits, '_', '-' and single dots. Leave the row out")
    return given


def relative(name: str) -> PurePosixPath:
    """Return the path that a list or archive names, if it stays inside; raise `InputError` if not."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name:
        raise InputError("names no file. Give a path inside the data set's folder")
    if _ADDRESS.match(name):
        raise InputError(f"{_short(name)} is an address, and nothing is fetched. Download it, and name the file")
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{_short(name)} leaves the data set's folder. Name files inside it")
    return path


def inside(folder: Path, name: str) -> Path:
    """Return the picture file that a list names.

    Args:
        folder: of the data set; nothing outside it is opened, not by a link either.
        name: as the list has it, relative to the folder.

    Raises:
        InputError: an address, a path or link that leaves the folder, no file, no picture format, over 256 MB. The
            text is without its full stop, to be put into a `Refusal` with the row's place.
    """
    path = relative(name)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{_short(name)} is no {', '.join(sorted(SUFFIXES))}. Export it as PNG")
    file = folder / path
    try:
        if not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
            raise InputError(f"{_short(name)} is a link that leaves the data set's folder. Put the file itself there")
        found, size = file.is_file(), file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        found = False
    except OSError as error:
        raise InputError(f"{_short(name)} cannot be read ({error.strerror}). Check the path") from None
    if not found:
        raise InputError(f"there is no file {_short(name)}. Fetch or unpack it again")
    if size > LARGEST_PICTURE:
        raise InputError(f"{_short(name)} {too_long(size, LARGEST_PICTURE)}")
    return file


def two(first: Path, second: Path) -> tuple[Image, Image]:
    """Load two picture files."""
    return load(first), load(second)


def lines(file: Path, columns: tuple[str, ...]) -> Iterator[CsvRow | Refusal]:
    """Yield the rows of a comma-separated UTF-8 file with a header; rows that do not fit it are refused one by one.

    Args:
        file: names in bytes that are no UTF-8 are kept, as file systems have them.
        columns: that must be there, in lower case; others are ignored.

    Raises:
        InputError: no such file, over 512 MB, or a column is missing or there twice.
    """
    bounded(file)
    try:
        text = open(file, encoding="utf-8-sig", errors="surrogateescape", newline="")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"{file.name}: cannot be read ({error.strerror})") from None
    with text:
        reader = csv.reader(text)
        header = [name.strip().lower() for name in _row(reader) or []]
        for column in columns:
            if header.count(column) != 1:
                known = ", ".join(map(readable, header))[:200]
                raise InputError(f"{file.name}: column {column!r} is there {header.count(column)} times, in: {known}")
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Refusal(f"{file.name} line {reader.line_num}: is not CSV ({error}). Export the table again.")
                continue
            if row and len(row) != len(header):
                yield Refusal(
                    f"{file.name} line {reader.line_num}: has {len(row)} fields, the header {len(header)}. "
                    "Put text that holds commas into double quotes."
                )
            elif row:
                yield CsvRow(reader.line_num, dict(zip(header, map(str.strip, row), strict=True)))


def number(text: str) -> float:
    """Return a finite number; raise `InputError` for anything else."""
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{_short(text)} is not a finite number. Correct it")
    return value


def bounded(file: Path) -> int:
    """Return the size of a list; raise `InputError` where there is none, or one over 512 MB."""
    if not file.is_file():
        raise InputError(f"there is no file {readable(file.name)}")
    size = file.stat().st_size
    if size > LARGEST_LIST:
        raise InputError(f"{file.name}: has {size >> 20} MB, over {LARGEST_LIST >> 20}")
    return size


def _row(reader: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error:
        return None


def _short(name: str) -> str:
    """Return a name for a message: readable, not too long, an address without its user and password."""
    return repr(re.sub(r"//[^/@]*@", "//", readable(name)))[:80]
