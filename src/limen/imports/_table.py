"""A table of somebody else's, read by a declared layout: each row a struct, or one line that says what is wrong.

Shared by the importers of human data; registers nothing.
"""

import datetime
import difflib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from limen import validation
from limen.errors import InputError
from limen.participant import KIND as PERSON
from limen.participant import check_alias
from limen.source import Refusal, readable
from limen.sources import _listed, _rows
from limen.sources._rows import RowSpan

Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$",
        description="a text of 1 to 400 characters, in one line",
    ),
]  # fmt: skip
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
LATEST = 253_402_300_799  # seconds since 1970: the end of the year 9999
SUFFIXES = (".csv", ".tsv", ".txt")
RESERVED = (f"{PERSON}:", "published:")  # with which names begin that limen gives
_SEPARATOR = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([,;|\t])"?\r?\n')  # Excel's first line
_FORMULA = re.compile(r"^'(?=\s*[=+\-@])")  # what `limen.exports` puts before a text that a spreadsheet would run
_Row = TypeVar("_Row", bound=msgspec.Struct)


def rows(
    file: Path, kind: type[_Row], strange: bool = False, needed: tuple[str, ...] = ()
) -> Iterator[tuple[RowSpan, _Row]]:
    """Yield a table's rows: comma-, semicolon- or tab-separated UTF-8 with a header, with or without a byte order mark.

    Args:
        file: CSV or TSV.
        kind: the layout; its fields are the columns, those with a default may be missing.
        strange: whether columns that the layout does not have are passed over.
        needed: columns that must be there, though a row may leave them empty.

    Raises:
        InputError: something in it does not fit; one line that names file and line, and what would be right.
    """
    shown = readable(file.name)
    if not file.is_file():
        raise InputError(f"{readable(str(file))}: no such file. Give the path of a CSV file.")
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"{shown} is no {', '.join(SUFFIXES)}. Export the table as CSV.")
    try:
        _listed.bounded(file)
    except InputError as error:
        raise InputError(f"{error}. Divide it into several files, and import each.") from None
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    header: tuple[str, ...] = ()
    some = False
    for found in _read(file, shown):
        if isinstance(found, Refusal):
            raise InputError(found.line)
        span, fields = found
        if not header:
            header = tuple(map(_plain, span.columns))
            _check_header(f"{shown} line {span.header}", header, known, kind, strange, needed)
        some = True
        given = {_plain(name): _unquoted(value) for name, value in fields.items() if _plain(name) in known}
        try:
            yield span, msgspec.convert(given, kind, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(f"{span.where}: {validation.fault(error, given, kind, strict=False)}") from None
    if not some:
        raise InputError(f"{shown} line 1: holds no row below a header. Write one row for each answer.")


def alias(span: RowSpan, text: str, seen: dict[str, str]) -> str:
    """Return a participant's alias.

    Args:
        span: the row.
        text: as the row has it.
        seen: aliases so far, by their lower case; gets the new one.

    Raises:
        InputError: it cannot be one, or is an earlier one in other letters.
    """
    try:
        check_alias(text)
    except InputError as error:
        raise InputError(f"{span.where}: {error}") from None
    before = seen.setdefault(text.lower(), text)
    if before != text:
        raise InputError(
            f"{span.where}: the participant {text!r} is {before!r} in earlier rows, or is there twice. Write each "
            "alias in one way."
        )
    return text


def model(span: RowSpan, text: str) -> str:
    """Return a model's name; raise `InputError` for one that says it is somebody else's."""
    if text.lower().startswith(RESERVED):
        raise InputError(
            f"{span.where}: {text!r:.80} cannot be a model's name: {' and '.join(RESERVED)} stand before people and "
            "published thresholds. Give another name, or an alias and the kind person."
        )
    return text


def moment(span: RowSpan, text: str) -> float:
    """Return a time as seconds since 1970.

    Args:
        span: the row.
        text: seconds, or ISO 8601 with its offset from UTC.

    Raises:
        InputError: it is neither, or before 1970.
    """
    try:
        value = _listed.number(text)
    except InputError:
        try:
            value = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).timestamp()
            zoned = datetime.datetime.fromisoformat(text).tzinfo is not None
        except (ValueError, OverflowError):
            value, zoned = math.nan, True
        if not zoned:
            raise InputError(
                f"{span.where}: the time {text!r:.60} does not say its offset from UTC. Write 2026-05-04T10:00:00Z."
            ) from None
    if not 0 <= value <= LATEST:
        raise InputError(
            f"{span.where}: {text!r:.60} is no time. Give seconds since 1970, or ISO 8601: 2026-05-04T10:00:00Z."
        )
    return value


def forwards(span: RowSpan, who: str, sitting: int, at: float | None, last: dict[tuple[str, int], float]) -> None:
    """Note when a question of a sitting was shown; raise `InputError` where that lies before an earlier row's.

    Args:
        span: the row.
        who: the participant.
        sitting: its number.
        at: seconds since 1970; None where it is not known.
        last: the latest time of each sitting so far.
    """
    if at is None:
        return
    before = last.get((who, sitting), at)
    if at < before:
        raise InputError(
            f"{span.where}: the times of {who}'s session {sitting} run backwards, by {before - at:.4g} s. Put its rows "
            "in the order in which they were shown, or give what is another session another number."
        )
    last[who, sitting] = at


def _read(file: Path, shown: str) -> Iterator[tuple[RowSpan, _rows.Fields] | Refusal]:
    try:
        with open(file, "rb") as stream:
            first = stream.readline(1 << 16)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
    if b"\0" in first or first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{shown} line 1: is not UTF-8. Save the table as CSV in UTF-8.")
    said = _SEPARATOR.fullmatch(first)
    if b"\r" in first.removesuffix(b"\n").removesuffix(b"\r"):
        raise InputError(
            f"{shown} line 1: its lines end in CR alone, as on Macs of before 2001. Save it again as CSV UTF-8."
        )
    delimiter = max((",", ";", "\t"), key=lambda sign: (first.count(sign.encode()), sign == ","))
    try:
        yield from _rows.of_table(file, said[1].decode() if said else delimiter, int(bool(said)))
    except InputError as error:
        raise InputError(f"{error}, in line {1 + bool(said)}. Name each column once.") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None


def _check_header(
    where: str, header: tuple[str, ...], known: list[str], kind: type[msgspec.Struct], strange: bool,
    more: tuple[str, ...],
) -> None:  # fmt: skip
    needed = [field.encode_name for field in msgspec.structs.fields(kind) if field.required or field.name in more]
    missing = [name for name in needed if name not in header]
    if missing:
        there = readable(", ".join(header))[:200]
        raise InputError(f"{where}: there is no column {missing[0]!r} among: {there}. Needed: {', '.join(needed)}.")
    twice = next((name for name in known if header.count(name) > 1), "")
    if twice:
        raise InputError(f"{where}: has {header.count(twice)} columns that are {twice!r}. Name each column once.")
    unknown = [name for name in header if name not in known]
    if unknown and not strange:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"{where}: no column {readable(unknown[0])!r:.60} is known. {hint}Leave it out, or give one of: "
            f"{', '.join(known)}."
        )


def _plain(column: str) -> str:
    """Return a column's name as a field has it: "No. of ratings" is no_of_ratings."""
    return re.sub(r"\W+", "_", column)


def _unquoted(value: str) -> str:
    return _FORMULA.sub("", value)
