"""Rows of JSONL, JSON, CSV and TSV files: found one by one, read again alone. Shared; registers no source.

A row is known by where its bytes stand, so that the picture it may hold in base64 is not kept in memory until it is
shown. Nothing but a JSON list is read whole.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from limen.errors import InputError
from limen.image import too_long
from limen.image.container import LARGEST_PICTURE
from limen.source import Refusal, readable
from limen.sources._listed import bounded

LONGEST = LARGEST_PICTURE // 3 * 4 + (1 << 20)  # bytes of a row: the largest picture in base64, and its words
DELIMITERS = {".csv": ",", ".tsv": "\t"}
LISTS = (".jsonl", ".ndjson", ".json")
_BEGUN, _BETWEEN = re.compile(r"[ \t\r\n]*\["), re.compile(r"[ \t\r\n,]*")
_MARK = b"\xef\xbb\xbf"  # with which some editors begin a file of UTF-8


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Where a row stands.

    Attributes:
        file: that holds it.
        start: its first byte, from 0.
        length: how many bytes.
        line: its first line, from 1.
        columns: the table's header; () for JSON.
        header: the line of the table's header.
    """

    file: Path
    start: int
    length: int
    line: int
    columns: tuple[str, ...] = ()
    header: int = 1

    @property
    def where(self) -> str:
        """The file and line, as messages name them."""
        return f"{readable(self.file.name)} line {self.line}"


Fields = dict[str, Any]  # of a row by name, in lower case but for single letters (options); without empty ones


def rows(file: Path) -> Iterator[tuple[RowSpan, Fields] | Refusal]:
    """Yield a file's rows in order; what is none is refused by its line.

    Raises:
        InputError: a table's header names a column twice; or a JSON file is over 512 MB. Without its full stop.
    """
    suffix = file.suffix.lower()
    if suffix == ".json":
        yield from _of_list(file)
    elif suffix in LISTS:
        yield from _of_lines(file)
    else:
        yield from of_table(file, DELIMITERS[suffix])


def again(span: RowSpan) -> Fields:
    """Read one row again.

    Raises:
        InputError: it is no longer there, or cannot be read.
    """
    try:
        with open(span.file, "rb") as stream:
            stream.seek(span.start)
            data = stream.read(span.length)
        return _cells(data, span) if span.columns else _object(data)
    except OSError as error:
        cause = f"cannot be read ({error.strerror or error})"
    except InputError:
        cause = "is not the row it was"
    raise InputError(f"{span.where}: {cause}. Put the file back as it was.")


def _of_lines(file: Path) -> Iterator[tuple[RowSpan, Fields] | Refusal]:
    with open(file, "rb") as stream:
        start = line = 0
        while data := stream.readline(LONGEST + 1):
            line += 1
            span, start = RowSpan(file, start, len(data), line), start + len(data)
            if len(data) > LONGEST:
                yield _endless(span)
                return
            if not data.removeprefix(_MARK).strip():
                continue
            try:
                yield span, _object(data)
            except InputError as error:
                yield Refusal(f"{span.where}: {error}")


def _of_list(file: Path) -> Iterator[tuple[RowSpan, Fields] | Refusal]:
    bounded(file)
    data = file.read_bytes()
    try:
        text = data.removeprefix(_MARK).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{file.name} is not UTF-8 (byte {error.start:,})") from None
    begun = _BEGUN.match(text)
    if begun is None:
        raise InputError(f"{file.name} is not a JSON list")
    decoder, at, line = json.JSONDecoder(), begun.end(), 1 + begun[0].count("\n")
    start = len(_MARK) * data.startswith(_MARK) + at
    while True:
        gap = _BETWEEN.match(text, at)
        assert gap is not None
        at, start, line = gap.end(), start + len(gap[0]), line + gap[0].count("\n")
        if text.startswith("]", at):
            return
        try:
            end = decoder.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            yield Refusal(f"{readable(file.name)} line {line}: is not JSON from here to the end. Export it again.")
            return
        whole = text[at:end].encode(errors="surrogatepass")
        span = RowSpan(file, start, len(whole), line)
        at, start, line = end, start + len(whole), line + text.count("\n", at, end)
        try:
            yield span, _object(whole)
        except InputError as error:
            yield Refusal(f"{span.where}: {error}")


def of_table(file: Path, delimiter: str, before: int = 0) -> Iterator[tuple[RowSpan, Fields] | Refusal]:
    """Yield a table's rows as `rows` does, whatever its name ends in.

    Args:
        file: with a header.
        delimiter: between fields.
        before: lines that stand before the header.
    """
    with open(file, "rb") as stream:
        lines = _Lines(stream)
        for _ in range(before):
            next(lines)
        reader = csv.reader(lines, delimiter=delimiter)
        header: tuple[str, ...] = ()
        while True:
            start, line = lines.position, lines.line + 1
            lines.begin()
            span = RowSpan(file, start, 0, line, header, 1 + before)
            try:
                row = _next(reader)
            except csv.Error as error:
                yield Refusal(f"{span.where}: cannot be read ({error}). Export the table again.")
                continue
            except InputError:
                yield _endless(span)
                return
            if row is None:
                return
            if lines.unclosed:
                yield Refusal(
                    f"{span.where}: has a double quote that opens a text and is never closed, up to the end of the "
                    "file. Close it; within a text write it twice."
                )
                return
            if not header:
                header = tuple(map(_column, row))
                twice = next((name for name in header if name and header.count(name) > 1), "")
                if twice:
                    raise InputError(f"{file.name} has {header.count(twice)} columns named {twice!r}")
                continue
            span = replace(span, length=lines.position - start)
            try:
                if row:
                    yield span, _fields(row, header)
            except InputError as error:
                yield Refusal(f"{span.where}: {error}")


class _Lines:
    """A file's lines as text, with the place of the next one in bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.position, self.line, self._begun = stream, 0, 0, 0
        self.unclosed = False  # whether a row went on when the file had ended

    def begin(self) -> None:
        """Note that a row begins here."""
        self._begun = self.position

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data = self._stream.readline(LONGEST + 1)
        if not data:
            self.unclosed = self.position > self._begun
            raise StopIteration
        if self.position + len(data) - self._begun > LONGEST:
            raise InputError("too long")
        self.position, self.line = self.position + len(data), self.line + 1
        return data.decode(errors="surrogateescape")


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next row of a table; a field may hold a picture, which the library's own limit does not allow."""
    usual = csv.field_size_limit(LONGEST)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(usual)


def _column(name: str) -> str:
    name = name.removeprefix("\ufeff").strip()
    return name if len(name) == 1 else name.lower()


def _fields(row: list[str], header: tuple[str, ...]) -> Fields:
    if len(row) != len(header):
        raise InputError(
            f"has {len(row)} fields, the header {len(header)}. Put text that holds the separator into double quotes."
        )
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        raise InputError("is not UTF-8. Save the table as UTF-8.") from None
    return {name: text for name, cell in zip(header, row, strict=True) if (text := cell.strip())}


def _cells(data: bytes, span: RowSpan) -> Fields:
    lines = _Lines(io.BytesIO(data))
    row = _next(csv.reader(lines, delimiter=DELIMITERS[span.file.suffix.lower()]))
    return _fields(row or [], span.columns)


def _object(data: bytes) -> Fields:
    try:
        found = orjson.loads(data.removeprefix(_MARK))
    except orjson.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error.msg}). Write one item as an object, {{...}}.") from None
    if not isinstance(found, dict):
        raise InputError(f"is not an object, but {str(found)[:40]!r}. Write one item as an object, {{...}}.")
    return {_column(name): value for name, value in found.items() if value is not None and value != ""}


def _endless(span: RowSpan) -> Refusal:
    return Refusal(f"{span.where}: {too_long(LONGEST + 1, LONGEST)}, or mend its quotes; what follows is not read.")
