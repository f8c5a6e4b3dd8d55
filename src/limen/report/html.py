"""What turns tables and texts into a page: laid out, cleaned, escaped, written."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from limen import files
from limen.errors import InputError
from limen.report.table import Table

_MOST = 6000  # characters of any one text on the page
_NUMERIC = re.compile(r"(?:[-\d.,>\[\]%* ]|\bof\b)+")


def clean(text: str, most: int = _MOST) -> str:
    """Return text from outside on one line, without control and direction-changing characters, cut to `most`."""
    kept = "".join(" " if sign.isspace() else sign for sign in text[: 20 * most] if _harmless(sign))
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def shortened(name: str, most: int) -> str:
    """Cut a name in its middle: models differ at both ends."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"


def _harmless(sign: str) -> bool:
    return sign.isspace() or not unicodedata.category(sign).startswith("C")


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    head: bool
    span: int
    numeric: bool


def grid(table: Table) -> dict[str, Any]:
    """Lay a table out for HTML: equal first cells of rows that follow each other become one."""
    numeric = [
        i >= table.heads and all(_NUMERIC.fullmatch(row[i]) for row in table.rows) for i in range(len(table.columns))
    ]
    rows, group = [], 0
    for i, row in enumerate(table.rows):
        new = i == 0 or table.heads == 1 or row[0] != table.rows[i - 1][0]
        if new:
            group = 1
            while table.heads > 1 and i + group < len(table.rows) and table.rows[i + group][0] == row[0]:
                group += 1
        cells = [_Cell(text, j < table.heads, group if j == 0 else 1, numeric[j]) for j, text in enumerate(row)]
        rows.append({"cells": cells if new else cells[1:], "new": new})
    return {"title": table.title, "columns": list(zip(table.columns, numeric, strict=True)), "rows": rows,
            "notes": table.notes}  # fmt: skip


def render(view: Mapping[str, Any]) -> str:
    """Fill the template; whatever goes into it as text is cleaned, then escaped."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["drawing"] = Markup  # of figures.svg, which escapes
    template = resources.files("limen").joinpath("report/page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(view) + "\n"


def write(out: Path, content: str | bytes, remedy: str = "Give another --out.") -> Path:
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
