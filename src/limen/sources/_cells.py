"""Pictures in Parquet files: found row by row, read again one by one. Shared by the importers; registers no source.

A picture is a cell of bytes, or a struct with a field `bytes` as Hugging Face's `datasets` writes it (its field `path`
is never opened). Files are read as a stream, a few rows at a time, so that neither a large file nor a small one that
unpacks to a large one is held in memory.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen.errors import InputError, MissingExtraError
from limen.image import Image, decode, too_long
from limen.image.container import LARGEST_PICTURE
from limen.image.folder import Walk, walk
from limen.source import Refusal, readable
from limen.sources._listed import lacking

_alone = threading.Lock()  # pyarrow writes a row group of 100 pictures as one page: many at once would fill the memory
ROWS = 8  # decoded at once
BUFFER = 1 << 20  # bytes read ahead of a column
LARGEST_GROUP = 8 << 30  # bytes of all columns in one row group: writers make them of 0.1 to 1 GB


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row stands, so that it alone can be read again.

    Attributes:
        file: the Parquet file.
        group: its row group, from 0.
        row: within the group, from 0.
        index: within the file, from 0.
    """

    file: Path
    group: int
    row: int
    index: int


Kinds = Mapping[str, Callable[[Any], bool]]  # of columns: whether an Arrow type will do


def files(source: str, place: Path, kinds: Kinds, expected: str) -> Iterator[tuple[Path, str] | Refusal]:
    """Yield the Parquet files of a place that have the columns, with their names, in order of names; refuse others.

    Args:
        source: the name of the source, for messages.
        place: a file, or a folder searched whole.
        kinds: for each column that must be there, whether an Arrow type will do.
        expected: what the columns are, for messages.

    Raises:
        InputError: there is no file that has them.
        MissingExtraError: the extra "parquet" is not installed.
    """
    whole, first = place.is_dir(), ""
    some = False
    found = walk(place, follow=False) if whole else Walk([place])
    yield from map(Refusal, found.lines)
    for file in found.files:
        if whole and file.suffix.lower() != ".parquet":
            continue
        name = readable(file.relative_to(place).as_posix() if whole else file.name)
        try:
            with opened(source, file) as content:
                _check(content.schema_arrow, kinds)
        except InputError as error:
            first = first or f"{name} {error}"
            yield Refusal(f"{name}: {error}. Expected: {expected}.")
        else:
            some = True
            yield file, name
    if not some:
        raise lacking(source, str(place), first or "there is no .parquet file", expected)


def rows(
    source: str, file: Path, name: str, columns: tuple[str, ...]
) -> Iterator[tuple[RowPlace, list[Any]] | Refusal]:
    """Yield a file's rows as Arrow scalars, in order; a row group that cannot be read is refused as a whole."""
    with opened(source, file) as content:
        index = 0
        for group in range(content.num_row_groups):
            try:
                for row, cells in enumerate(_stream(content, group, columns)):
                    yield RowPlace(file, group, row, index + row), cells
            except InputError as error:
                yield Refusal(f"{name} row group {group}: {error}. Fetch the file again.")
            index += content.metadata.row_group(group).num_rows


def cells(source: str, place: RowPlace, columns: tuple[str, ...]) -> list[Any]:
    """Read one row's cells again, column after column; no other row group or column is touched.

    A page must be unpacked whole, and most writers make one of a row group: a pair in a group of 100, 2 MB a picture,
    took 0.4 to 1.2 s and 460 MB.

    Raises:
        InputError: the file has changed, or cannot be read any more.
    """
    cause = f"has no row {place.index} any more"
    try:
        with _alone, opened(source, place.file) as content:
            if place.group < content.num_row_groups:
                found = [_cell(content, place, column) for column in columns]
                if None not in found:
                    return found
    except InputError as error:
        cause = str(error)
    raise InputError(f"{readable(place.file.name)}: {cause}. Put the file back as it was.")


def _cell(content: Any, place: RowPlace, column: str) -> Any:
    for row, (found,) in enumerate(_stream(content, place.group, (column,))):
        if row == place.row:
            return found
    return None


def image(cell: Any, name: str) -> Image:
    """Decode the picture in a cell; its size is looked at before its bytes are copied.

    Raises:
        InputError: there is none, it is over 256 MB, or no picture that `limen.image.decode` takes.
    """
    inner = cell["bytes"] if hasattr(cell, "keys") and cell.is_valid else cell
    data = inner.as_buffer() if inner.is_valid else None
    if data is None:
        raise InputError(f"{name}: its cell holds no bytes, and no path is opened. Write the picture into the file.")
    if data.size > LARGEST_PICTURE:
        raise InputError(f"{name}: {too_long(data.size, LARGEST_PICTURE)}.")
    return decode(data.to_pybytes(), name)


def pictorial(kind: Any) -> bool:
    """Say whether an Arrow type can hold a picture: bytes, or a struct with a field `bytes`."""
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and pictorial(kind.field("bytes").type)
    return bool(
        pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind) or pyarrow.types.is_binary_view(kind)
    )


@contextlib.contextmanager
def opened(source: str, file: Path) -> Iterator[Any]:
    """Open a Parquet file for streaming; what pyarrow finds wrong becomes an `InputError` without a full stop."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError(f"the source {source}", "pyarrow", "parquet") from None
    with contextlib.ExitStack() as stack:
        try:
            handle = stack.enter_context(pyarrow.OSFile(os.fsencode(file)))
            content = stack.enter_context(parquet.ParquetFile(handle, buffer_size=BUFFER, pre_buffer=False))
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            cause = _short(error).replace(str(file), file.name)
            raise InputError(f"is not a readable Parquet file ({cause})") from None
        yield content


def _stream(content: Any, group: int, columns: tuple[str, ...]) -> Iterator[list[Any]]:
    import pyarrow

    size = content.metadata.row_group(group).total_byte_size  # a damaged column's own metadata ends the process
    if size > LARGEST_GROUP:
        raise InputError(f"has {size >> 30} GB, over {LARGEST_GROUP >> 30}")
    try:
        for batch in content.iter_batches(
            batch_size=ROWS, row_groups=[group], columns=list(columns), use_threads=False
        ):
            for row in range(batch.num_rows):
                yield [batch.column(column)[row] for column in columns]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(f"cannot be read ({_short(error)})") from None


def _check(schema: Any, kinds: Kinds) -> None:
    for column, fits in kinds.items():
        at = schema.get_all_field_indices(column)
        if len(at) != 1:
            raise InputError(f"has {len(at)} columns named {column!r}, among: {', '.join(schema.names)[:200]}")
        if not fits(schema.field(column).type):
            raise InputError(f"has a column {column!r} of {schema.field(column).type}"[:200])


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
