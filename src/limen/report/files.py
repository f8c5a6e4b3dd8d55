"""A report as files for whoever goes on with it: numbers as JSON, CSV and Parquet, figures as SVG and PNG, a card."""

import csv
import errno
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limen import files
from limen.errors import InputError
from limen.report import figures
from limen.report.format import flat

if TYPE_CHECKING:
    from limen.report.report import Report

REMEDY, ELSEWHERE = "Give another --out.", "Give another place."


def tables(report: "Report", folder: Path) -> list[Path]:
    """Write `results.json`, and each of its tables as CSV and (where pyarrow is installed) Parquet.

    Numbers are raw, a row an entry, nested values under names with dots ("interval.low"). A cell that a spreadsheet
    would take for a formula gets an apostrophe.

    Raises:
        InputError: the folder cannot be written.
    """
    content = report.data()
    written = [_write(folder / "results.json", json.dumps(content, indent=1, ensure_ascii=False))]
    for name, rows in _named(content).items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(_cell(column) for column in columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
        written.append(_write(folder / f"{name}.csv", buffer.getvalue()))
        parquet = _parquet(columns, rows)
        if parquet is not None:
            written.append(_write(folder / f"{name}.parquet", parquet))
    return written


def drawings(report: "Report", folder: Path) -> list[Path]:
    """Write every figure of the report as SVG and PNG, in print colours.

    Raises:
        MissingExtraError: the extra "report" is not installed.
        InputError: the folder cannot be written.
    """
    written = []
    for name, figure in report.figures().items():
        written += [_write(folder / f"{name}{suffix}", figure.encode(suffix)) for suffix in (".svg", ".png")]
    return written


def card(report: "Report", out: Path) -> Path:
    """Write one PNG with the first result and the sentence to quote.

    Raises: as `drawings`.
    """
    return _write(out, figures.as_png(report.card(), 2))


def _named(content: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of all runs, each row with its run, and those worked out over all of them together."""
    named: dict[str, list[dict[str, Any]]] = {}
    for run in content["runs"]:
        for name, rows in _tables(run):
            named.setdefault(name, []).extend({"run": run["run"], **row} for row in rows)
    named |= dict(_tables(content["together"]))
    for wing, records in content.get("wings", {}).items():
        named |= {f"{wing}_{name}": rows for name, rows in _tables(records)}
    return named


def _tables(records: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name, rows in records.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], Mapping):
            yield name, [flat(row) for row in rows]


def _cell(value: Any) -> Any:
    """Return a value as CSV keeps it: text that a spreadsheet would run is quoted, control characters are spelt out."""
    if not isinstance(value, str):
        return value
    text = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in value)
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@\t\r") and text else text


def _parquet(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes | None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return None
    arrays = []
    for column in columns:
        values = [_whole(row.get(column)) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        mixed = len(kinds - {int, float}) > 0 and len(kinds) > 1
        arrays.append(pyarrow.array([None if v is None else str(v) for v in values] if mixed else values))
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, names=[_whole(column) for column in columns]), buffer)
    return buffer.getvalue()


def _whole(value: Any) -> Any:
    """Return a text without halves of surrogate pairs, which no file can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def folder_beside(out: Path) -> Path:
    """Return the folder for pictures beside a page: report.html has report_stimuli."""
    return out.with_name(f"{out.stem}_stimuli")


def check(out: Path, folder: bool = False, remedy: str = REMEDY) -> None:
    """Raise `InputError` where a file, or a folder of files, cannot be written, as far as that shows beforehand.

    Args:
        out: the file, or the folder, to be written.
        folder: whether it is a folder.
        remedy: what to do, for the message.
    """
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if there == out and not folder:
        reason = errno.EISDIR if out.is_dir() else 0  # a file is replaced, whatever its own rights are
        there = out.absolute().parent
    else:
        reason = 0 if there.is_dir() else errno.ENOTDIR
    if not reason and not os.access(there, os.W_OK | os.X_OK):
        reason = errno.EACCES
    if reason:
        raise InputError(f"{out} cannot be written ({os.strerror(reason)}). {remedy}")


def write(out: Path, content: str | bytes, remedy: str = REMEDY) -> Path:
    """Write a file at once, making the folders above it; raise `InputError` where that cannot be done.

    Args:
        out: of the file.
        content: text or bytes; text is written as UTF-8.
        remedy: the last sentence of the error.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write(out, content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}). {remedy}") from None
    return out


def _write(file: Path, content: str | bytes) -> Path:
    return write(file, content, ELSEWHERE)
