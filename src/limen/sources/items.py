"""Questions of your own, each about one picture: JSONL, JSON, CSV and TSV in VLMEvalKit's columns, and Parquet.

VLMEvalKit (Duan et al. 2024, arXiv:2407.11691) keeps a benchmark as one TSV: index, image in base64 or the index of the
row that has it, or image_path; question, hint, options in the columns A to Z; answer, category, l2-category. The same
names are the keys of JSON and the columns of Parquet. What differs: a row has one picture, paths lead to files beside
the list, and nothing is fetched.
"""

import base64
import contextlib
import functools
import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from limen.errors import InputError
from limen.image import SUFFIXES, Image, decode, digest, load, too_long
from limen.image.container import LARGEST_PICTURE
from limen.item import Item
from limen.parsing.forms import LETTERS
from limen.source import Reference, ReferenceKind, Refusal, item_digest, readable, size_of, source
from limen.sources import _cells, _rows
from limen.sources._listed import inside, lacking, plain, there
from limen.sources._questions import item, listed, short
from limen.sources._rows import Fields, RowSpan

EXPECTED = (
    "a file .jsonl, .json, .csv, .tsv or .parquet whose rows have question, image (or image_path), and as they need "
    "them options or A, B, C, ..., answer, form, category"
)
_GIVE = "Give a path beside the file, a data URL or base64."
_KEYS = frozenset(
    re.findall(
        r"\S+",
        "index id question hint image image_path images options choices answer form tolerance relative accepted rows "
        "columns category l2-category",
    )
)
_INDEX = re.compile(r"[\w.-]{1,64}")  # of the row that has the picture
Load = Callable[[], Image]


@source("items", get="Write your questions into a file: see docs/howto/items.md.")
def items(path: str) -> Iterator[Reference | Refusal]:
    """Questions of yours about pictures, with their options and answers: `items=FILE`, by its suffix."""
    place = there(path)
    suffix = place.suffix.lower()
    if place.is_dir() or suffix == ".parquet":
        yield from _of_parquet(place)
    elif suffix in (*_rows.DELIMITERS, *_rows.LISTS):
        yield from _of_rows(place, path)
    else:
        raise lacking("items", path, f"is a file of {suffix or 'no suffix'}", EXPECTED)


# --- JSON and tables ---


@dataclass(slots=True)
class _Pictures:
    """Where a table's rows have pictures of their own, by index; `whole` once it was searched to its end."""

    spans: dict[str, RowSpan] = field(default_factory=dict)
    whole: bool = False


def _of_rows(file: Path, path: str) -> Iterator[Reference | Refusal]:
    pictures, seen = _Pictures(), set[str]()
    try:
        for row in _rows.rows(file):
            if isinstance(row, Refusal):
                yield _plainly(row.line)
                continue
            span, fields = row
            missing = next((name for name in ("question", _picture(span.columns)) if name not in span.columns), "")
            if span.columns and missing:
                raise InputError(f"{file.name} has no column {missing!r}, among: {listed(span.columns)}")
            try:
                name = _name(readable(file.name), fields, f"line {span.line}", seen)
                load = _loader(name, span, fields, pictures)
                yield _reference(name, item(fields), load, load())
            except InputError as error:
                yield _plainly(f"{span.where}: {error}")
    except InputError as error:
        raise lacking("items", path, str(error), EXPECTED) from None
    except OSError as error:
        raise lacking("items", path, f"cannot be read ({error.strerror or error})", EXPECTED) from None


def _loader(name: str, span: RowSpan, fields: Fields, pictures: _Pictures) -> Load:
    """Return what loads a row's picture: from its file, or from the row that holds it in base64, read again."""
    given, index = _given(fields), str(fields.get("index", ""))
    if _own(given):
        pictures.spans.setdefault(index, span)
    elif not span.columns or not _INDEX.fullmatch(given):
        raise InputError(f"has an image {short(given)}, which is neither a path nor a picture. {_GIVE}")
    else:
        span = _elsewhere(given, span.file, pictures)
        given = _given(_rows.again(span))
    if _is_path(given):
        return functools.partial(load, _file(span.file.parent, given))
    return functools.partial(_again, name, span)


def _elsewhere(index: str, file: Path, pictures: _Pictures) -> RowSpan:
    """Return the row of that index, which has the picture."""
    if index not in pictures.spans and not pictures.whole:
        pictures.whole = True
        for row in _rows.rows(file):
            if not isinstance(row, Refusal):
                with contextlib.suppress(InputError):
                    if _own(_given(row[1])):
                        pictures.spans.setdefault(str(row[1].get("index", "")), row[0])
    if index not in pictures.spans:
        raise InputError(
            f"has an image {index!r}, and no row of this index has a picture. Give a path, base64, or the index of the "
            "row that has the picture."
        )
    return pictures.spans[index]


def _again(name: str, span: RowSpan) -> Image:
    return decode(_bytes(_given(_rows.again(span))), name)


# --- Parquet ---


def _of_parquet(place: Path) -> Iterator[Reference | Refusal]:
    for found in _cells.files("items", place, {"question": _anything}, EXPECTED):
        if isinstance(found, Refusal):
            yield found
            continue
        file, name = found
        with _cells.opened("items", file) as content:
            names = [column for column in content.schema_arrow.names if column in _KEYS or column in LETTERS]
        column, seen = _picture(names), set[str]()
        if names.count(column) != 1 or len({*names}) < len(names):
            wrong = "two columns of one name" if column in names else f"no column {column!r}"
            yield _plainly(f"{name}: has {wrong}, among: {listed(names)}. Expected: {EXPECTED}.")
            continue
        for row in _cells.rows("items", file, name, tuple(names)):
            yield row if isinstance(row, Refusal) else _of_cells(name, column, seen, row[0], names, row[1])


def _of_cells(
    file: str, column: str, seen: set[str], place: _cells.RowPlace, names: list[str], cells: list[Any]
) -> Reference | Refusal:
    where = f"row {place.index}"
    try:
        values = {name: _value(cell) for name, cell in zip(names, cells, strict=True) if name != column}
        fields = {name: value for name, value in values.items() if value is not None and value != ""}
        name = _name(file, fields, where, seen)
        given = _in_cell(cells[names.index(column)], place.file.parent)
        load_again = functools.partial(_of_cell, place, column, name)
        if isinstance(given, Path):
            load_again = functools.partial(load, given)
        return _reference(name, item(fields), load_again, _decoded(given, name))
    except InputError as error:
        return _plainly(f"{file} {where}: {error}")


def _in_cell(cell: Any, folder: Path) -> Path | bytes | Any:
    """Return the file that a cell names, the bytes that its text stands for, or the cell that holds a picture."""
    import pyarrow

    kinds = pyarrow.types
    if kinds.is_list(cell.type) or kinds.is_large_list(cell.type):
        cell = _single(list(cell.values) if cell.is_valid else [])
    if not cell.is_valid:
        raise InputError(f"has no image. {_GIVE}")
    if kinds.is_struct(cell.type) and not cell["bytes"].is_valid and cell.type.get_field_index("path") >= 0:
        cell = cell["path"]
    if not (kinds.is_string(cell.type) or kinds.is_large_string(cell.type) or kinds.is_string_view(cell.type)):
        return cell
    given = _given({"image": _value(cell)})
    return _file(folder, given) if _is_path(given) else _bytes(given)


def _decoded(given: Path | bytes | Any, name: str) -> Image:
    if isinstance(given, Path):
        return load(given)
    return decode(given, name) if isinstance(given, bytes) else _cells.image(given, name)


def _of_cell(place: _cells.RowPlace, column: str, name: str) -> Image:
    return _decoded(_in_cell(_cells.cells("items", place, (column,))[0], place.file.parent), name)


def _value(cell: Any) -> Any:
    try:
        value = cell.as_py()
    except (ValueError, OverflowError):
        raise InputError("has text that is not UTF-8. Write the file again.") from None
    return None if isinstance(value, float) and math.isnan(value) else value


def _anything(kind: object) -> bool:
    return True


# --- a row's picture ---


def _picture(names: Collection[str]) -> str:
    """Return the column or key that has the picture."""
    return "image_path" if "image" not in names and "image_path" in names else "image"


def _given(fields: Fields) -> str:
    """Return what stands for a row's picture: a path, a data URL, base64, or the index of another row."""
    if "images" in fields and "image" not in fields:
        fields = fields | {"image": fields["images"]}
    given = fields.get(_picture(fields))
    if isinstance(given, str) and given.startswith("[") and given.endswith("]"):
        given = [part.strip().strip("'\"") for part in given[1:-1].split(",")]  # as VLMEvalKit writes lists of base64
    if isinstance(given, list):
        given = _single(given)
    if given is None:
        raise InputError(f"has no image. {_GIVE}")
    if isinstance(given, int) and not isinstance(given, bool):  # the index of another row
        given = str(given)
    if not isinstance(given, str):
        raise InputError(f"has an image that is {type(given).__name__}, not text. {_GIVE}")
    return given


def _single(pictures: list[Any]) -> Any:
    if len(pictures) > 1:
        raise InputError(
            f"has {len(pictures)} pictures, and an item has one. Put them into one picture, or leave it out."
        )
    return pictures[0] if pictures else None


def _own(given: str) -> bool:
    """Say whether it stands for a picture of the row's own, as VLMEvalKit does: an index has at most 64 signs."""
    return given.startswith("data:") or len(given) > 64 or _is_path(given)


def _is_path(given: str) -> bool:
    if given.startswith("data:") or len(given) > 4096:
        return False
    return PurePosixPath(given).suffix.lower() in SUFFIXES or "://" in given


def _file(folder: Path, given: str) -> Path:
    try:
        return inside(folder, given)
    except InputError as error:
        raise InputError(f"has an image that cannot be used: {error}.") from None


def _bytes(given: str) -> bytes:
    head, _, body = given.partition(",") if given.startswith("data:") else ("", "", given)
    if len(body) // 4 * 3 > LARGEST_PICTURE:
        raise InputError(f"has an image that {too_long(len(body) // 4 * 3)}.")
    try:
        if head and not head.endswith(";base64"):
            raise ValueError("the data URL is not in base64")
        return base64.b64decode("".join(body.split()), validate=True)
    except ValueError as error:
        raise InputError(f"has an image {short(given)}, which is no base64 ({error}). {_GIVE}") from None


def _reference(name: str, item: Item, load: Load, image: Image) -> Reference:
    picture = digest(image)
    whole, size = item_digest(picture, item), size_of(image)
    return Reference(name, whole, load, kind=ReferenceKind.ITEM, size=size, item=item, picture=picture)


def _name(file: str, fields: Fields, where: str, seen: set[str]) -> str:
    """Return the name of a row's reference: by its index where that is one, else by where it stands."""
    index = fields.get("index", fields.get("id"))
    if index is None:
        return f"{file} {where}"
    if str(index) in seen:
        raise InputError(f"has the index {short(index)}, as an earlier row has. Number each row once.")
    seen.add(str(index))
    try:
        return f"{file}/{plain(index)}"
    except InputError:  # an index that could be a path
        return f"{file} {where}"


def _plainly(line: str) -> Refusal:
    """Return a refusal in one printable line."""
    return Refusal("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable(line)))
