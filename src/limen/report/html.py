"""What turns tables and texts into a page: laid out, cleaned, escaped, and held together by a policy."""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import orjson

from limen.report.format import Table, begun, clean
from limen.report.images import Gallery

SCRIPTS = ("search.js", "test.js", "viewer.js")  # the last begins as soon as it runs
PAGE = "page.js"  # of tables, figures and the first screen, on every page
BLOCK = 256_000  # characters of pictures that the page takes in at a time
_PAGE = resources.files("limen").joinpath("report/page")
_NUMERIC = re.compile(r"(?:[-\d.,<>=?~\[\]()–%* ]|\bof\b|\bto\b)+")


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    head: bool
    span: int
    numeric: bool


def grid(table: Table, short: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Lay a table out for HTML: equal first cells of rows that follow each other become one.

    Args:
        table: to lay out.
        short: names to put in the place of those in the headings and in the first two columns.
    """
    short = short or {}
    lines = [tuple(short.get(cell, cell) if i < 2 else cell for i, cell in enumerate(row)) for row in table.rows]
    columns = [short.get(column, column) for column in table.columns]
    numeric = [i >= table.heads and all(_NUMERIC.fullmatch(row[i]) for row in lines) for i in range(len(columns))]
    rows, group = [], 0
    for i, row in enumerate(lines):
        new = i == 0 or table.heads == 1 or row[0] != lines[i - 1][0]
        if new:
            group = 1
            while table.heads > 1 and i + group < len(lines) and lines[i + group][0] == row[0]:
                group += 1
        cells = [_Cell(text, j < table.heads, group if j == 0 else 1, numeric[j]) for j, text in enumerate(row)]
        rows.append({"cells": cells if new else cells[1:], "new": new})
    return {"title": table.title, "columns": list(zip(columns, numeric, strict=True)), "rows": rows,
            "notes": table.notes, "parts": [], "board": False}  # fmt: skip


def render(content: Mapping[str, Any]) -> str:
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
    # A text goes in whole: cleaned piece by piece, it would lose the spaces at its pieces' ends.
    environment.filters["sentence"] = begun
    return environment.from_string(_text("page.html.jinja")).render(content) + "\n"


def viewer(content: Mapping[str, Any], gallery: Gallery) -> dict[str, Any]:
    """Return what the template needs for the viewer: markup, style, scripts, data, and the policy that allows these.

    Args:
        content: of `limen.report.viewer_data.data`; its talks are packed by themselves, one block a distortion.
        gallery: the pictures it counts on.
    """
    from markupsafe import Markup

    scripts = [_text(name) for name in (PAGE, *SCRIPTS)]
    beside = gallery.folder is not None
    return {
        "markup": Markup(_text("viewer.html")),
        "style": Markup(_text("viewer.css")),
        "scripts": [Markup(script) for script in scripts],
        "data": _packed({name: part for name, part in content.items() if name != "talks"}),
        "talks": [_packed(part) for part in content["talks"]],
        "pictures": [Markup("\n".join(block)) for block in _blocks(gallery.sources)],
        "policy": policy(scripts, beside),
        "beside": beside,
        "left_out": content["held"]["left_out"],
    }


def _packed(content: Any) -> Any:
    from markupsafe import Markup

    packed = gzip.compress(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS), 6, mtime=0)
    return Markup(base64.b64encode(packed).decode())


def _blocks(sources: Sequence[str]) -> Iterator[list[str]]:
    """Yield pictures in order, as many at a time as make a block."""
    block, size = list[str](), 0
    for source in sources:
        block.append(source)
        size += len(source)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def without_viewer() -> dict[str, Any]:
    """Return what the template needs of a page that has no viewer: scripts, and the policy that allows them."""
    from markupsafe import Markup

    scripts = [_text(PAGE)]
    return {"scripts": [Markup(script) for script in scripts], "policy": policy(scripts)}


def style() -> Any:
    """Return the style sheet of the page, as markup."""
    from markupsafe import Markup

    return Markup(_text("page.css"))


def _text(name: str) -> str:
    return _PAGE.joinpath(name).read_text(encoding="utf-8")


def policy(scripts: Iterable[str], beside: bool = False) -> str:
    """Return the page's Content-Security-Policy: these scripts by their digests, pictures, and nothing else.

    Args:
        scripts: the exact text of each inline script; none where nothing may run.
        beside: whether pictures lie in a folder beside the page (a page from disk has no origin that all
            browsers take for 'self', hence `file:`).
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    images = "data: 'self' file:" if beside else "data:"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {images}; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
