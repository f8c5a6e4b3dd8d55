"""A run directory may come from anybody: whatever its manifest and its rows say, a report or one line of complaint."""

import copy
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.cli.console import tame
from limen.errors import LimenError
from limen.preflight import exam
from limen.report import Report
from limen.study import Spec, Study

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 50, 10**6, 2**63, 2**64 - 1, -(2**63), 0.0, 0.5, -1.5, 1e308, 5e-324, "", "a",
    "blur", "scan", "../../etc/passwd", "\x00", "\x1b[2J\r\n", "<script>", "é" * 300, [], [0], [None] * 3, [[]],
    "psi", {}, {"name": "scan"}, {"": {}}, [1e308, 2e307], {"a": [1, {"b": None}]},
)  # fmt: skip
Path_ = tuple[str | int, ...]


def places(content: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield where every entry stands."""
    if path:
        yield path
    pairs: Any = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    for key, inner in list(pairs)[:4]:
        yield from places(inner, (*path, key))


def at(content: Any, path: Path_) -> Any:
    for key in path:
        content = content[key]
    return content


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two distortions, examined and looked through."""
    out = tmp_path_factory.mktemp("small") / "run"
    spec = Spec(images=("demo",), observers=("demo",), distortions=("noise", "jpeg"), limit=1)
    Study.plan(spec).run(out, examine=exam.keep)
    return out


def read_all(run: Path) -> None:
    """Do what a report does with a run, but for its page; hold a refusal to be one line."""
    told = "read"
    try:
        with Report.open((run,)) as report:
            report.data()
    except LimenError as error:
        told = tame(str(error))
    assert len(told.splitlines()) == 1


@st.composite
def changes(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with one to three entries removed, replaced, swapped or added."""
    content = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        spots = list(places(content))
        if not spots:
            break
        path = draw(st.sampled_from(spots))
        holder = at(content, path[:-1])
        kind = draw(st.sampled_from(("delete", "replace", "swap", "add")))
        if kind == "delete":
            del holder[path[-1]]
        elif kind == "replace":
            holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif kind == "swap":
            other = draw(st.sampled_from(spots))
            holder[path[-1]] = copy.deepcopy(at(content, other))
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(("new", "", "\x07", "wing", "exams", "unclosed")))] = copy.deepcopy(
                draw(st.sampled_from(ODD))
            )
    return content


@given(data=st.data())
def test_any_manifest(small: Path, data: st.DataObject) -> None:
    whole = orjson.loads((small / "manifest.json").read_bytes())
    run = small.parent / "changed"
    if not run.exists():
        shutil.copytree(small, run)
    (run / "manifest.json").write_bytes(orjson.dumps(data.draw(changes(whole))))
    read_all(run)


VALUES: tuple[Any, ...] = (
    None, 0, 1, -1, 51, 2**62, -(2**62), 0.5, float("inf"), "", "x", "\x00", "direct", b"", b"\xff\xfe", b"{}", b"[]",
    b'{"a":1}', "é" * 999, b"\x89PNG\r\n\x1a\n",
)  # fmt: skip


@given(data=st.data())
def test_any_rows(small: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=small.parent) as folder:  # its own: SQLite keeps a journal of each beside it
        _change_rows(Path(shutil.copytree(small, folder, dirs_exist_ok=True)), data)
        read_all(Path(folder))


def _change_rows(run: Path, data: st.DataObject) -> None:
    database = sqlite3.connect(run / "trials.db", isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    tables = ("series", "query", "answer", "attempt", "wave", "prior", "measurement", "picture")
    for _ in range(data.draw(st.integers(1, 2))):
        table = data.draw(st.sampled_from(tables))
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        row = [data.draw(st.sampled_from(VALUES)) for _ in columns]
        column = data.draw(st.sampled_from(columns))
        try:
            if data.draw(st.booleans()):
                database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({','.join('?' * len(row))})", row)
            else:
                some = f"WHERE {columns[0]} IN (SELECT {columns[0]} FROM {table} LIMIT 1)"
                database.execute(f"UPDATE OR REPLACE {table} SET {column} = ? {some}", (row[0],))
        except sqlite3.IntegrityError:
            continue
    database.close()


def test_the_page_of_odd_entries(small: Path) -> None:
    run = Path(shutil.copytree(small, small.parent / "page"))
    content = orjson.loads((run / "manifest.json").read_bytes())
    content |= {"git": None, "created": "", "limen": "<script>\x00\x1b[2J", "versions": {"\x00": "\x07"}}
    content["observers"] |= {"demo": {"kind": None, "pixels": 3, "\r\n": [{}]}, "\x00<script>": {}}
    content["exams"]["demo"]["about"] = {"kind": 3, "max_tokens": -1, "temperature": "hot"}
    (run / "manifest.json").write_bytes(orjson.dumps(content))
    with Report.open((run,)) as report:
        report.page(run / "page.html")
    assert "<script>\x00" not in (run / "page.html").read_text()
