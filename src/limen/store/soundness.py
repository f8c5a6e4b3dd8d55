"""Whether a run's database is limen's, whole and sound: its tables, what their columns hold, how much of it there is.

SQLite keeps any value in any column, and a run directory may come from anybody: types and bounds are looked at once a
table, in one pass inside SQLite, before a row of it is believed.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from limen.errors import StoreError
from limen.store.journal import COUNT, RowCount

UNCLOSED = "unclosed"  # an entry of the manifest while the run is written, and after it was killed
TABLES = """
CREATE TABLE IF NOT EXISTS picture (digest TEXT PRIMARY KEY, png BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    id TEXT PRIMARY KEY, distortion TEXT NOT NULL, word TEXT NOT NULL, name TEXT NOT NULL, picture TEXT NOT NULL,
    key TEXT NOT NULL, levels INTEGER NOT NULL, source TEXT NOT NULL, strength REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS query (
    observer TEXT NOT NULL, question TEXT NOT NULL, series TEXT NOT NULL, reference INTEGER NOT NULL,
    level INTEGER NOT NULL, draw INTEGER NOT NULL, again INTEGER NOT NULL, part INTEGER NOT NULL, key TEXT NOT NULL,
    wording TEXT NOT NULL DEFAULT '', form TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (observer, question, series, reference, level, draw, again, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, p_yes REAL, p_neither REAL, finish TEXT NOT NULL, tokens_in INTEGER,
    tokens_out INTEGER, seconds REAL NOT NULL, model TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wave (
    observer TEXT NOT NULL, question TEXT NOT NULL, series TEXT NOT NULL, distortion TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (observer, question, series)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prior (
    observer TEXT NOT NULL, question TEXT NOT NULL, distortion TEXT NOT NULL, wave INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (observer, question, distortion, wave)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY, observer TEXT NOT NULL, series TEXT NOT NULL, key TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL, seconds REAL NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS measurement (
    stage TEXT NOT NULL, key TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (stage, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS presentation (
    key TEXT NOT NULL, session TEXT NOT NULL, shown_at REAL NOT NULL, ms_shown REAL NOT NULL, reaction_time_ms REAL,
    confidence REAL, PRIMARY KEY (key, session, shown_at)) WITHOUT ROWID;
"""
SINCE_3 = ("wording", "form")  # columns of `query` that schema 2 lacks; its tables lack `presentation`, too
_ANSWER = "text, p_yes, p_neither, finish, tokens_in, tokens_out, seconds, model"
_LONGEST_ANSWER = 1 << 24  # characters
_MOST_TOKENS = 1 << 40  # of one answer: so sums of them stay numbers that JSON holds
_LATEST = 253_402_300_799  # seconds since 1970: the end of the year 9999
_NUMBER = ("integer", "real")
_TYPES: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # what stands in a column; all else is text
    "picture": {"png": ("blob",)},
    "series": {"levels": ("integer",), "strength": (*_NUMBER, "null")},
    "query": dict.fromkeys(("reference", "level", "draw", "again", "part"), ("integer",)),
    "answer": {
        **dict.fromkeys(("p_yes", "p_neither"), (*_NUMBER, "null")), **dict.fromkeys(("seconds", "at"), _NUMBER),
        **dict.fromkeys(("tokens_in", "tokens_out"), ("integer", "null")),
    },
    "wave": {"number": ("integer",)},
    "prior": {"wave": ("integer",), "content": ("blob",)},
    "attempt": {"id": ("integer",), "seconds": _NUMBER, "at": _NUMBER},
    "measurement": {"content": ("blob",)},
    "presentation": {
        **dict.fromkeys(("shown_at", "ms_shown"), _NUMBER),
        **dict.fromkeys(("reaction_time_ms", "confidence"), (*_NUMBER, "null")),
    },
}  # fmt: skip
_SERIES = "id, distortion, word, name, picture, key, levels, source, strength"
COLUMNS = {
    "picture": "digest, png", "series": _SERIES, "answer": f"key, {_ANSWER}, at",
    "query": "observer, question, series, reference, level, draw, again, part, key, wording, form",
    "wave": "observer, question, series, distortion, number",
    "prior": "observer, question, distortion, wave, content",
    "attempt": "id, observer, series, key, outcome, detail, seconds, at", "measurement": "stage, key, content",
    "presentation": "key, session, shown_at, ms_shown, reaction_time_ms, confidence",
}  # fmt: skip
KEYS = {  # by which a table's rows differ
    "series": "id", "query": "observer, question, series, reference, level, draw, again, part", "answer": "key",
    "wave": "observer, question, series", "prior": "observer, question, distortion, wave", "attempt": "id",
    "measurement": "stage, key", "presentation": "key, session, shown_at",
}  # fmt: skip
_ALSO = {  # what else is to hold of a row
    "series": "levels BETWEEN 1 AND 10000",
    "query": "reference >= 0 AND level >= 0 AND draw >= 0 AND part >= 0 AND again IN (0, 1)",
    "answer": f"LENGTH(text) <= {_LONGEST_ANSWER} AND COALESCE(p_yes, 0) BETWEEN -.01 AND 1.01 "
    "AND COALESCE(p_neither, 0) BETWEEN -.01 AND 1.01 AND ABS(seconds) < 1e15 "
    f"AND COALESCE(tokens_in, 0) BETWEEN 0 AND {_MOST_TOKENS} AND COALESCE(tokens_out, 0) BETWEEN 0 AND {_MOST_TOKENS} "
    f"AND at BETWEEN 0 AND {_LATEST}",
    "attempt": f"ABS(seconds) < 1e15 AND at BETWEEN 0 AND {_LATEST}",
    "wave": "number >= 0",
    "presentation": f"shown_at BETWEEN 0 AND {_LATEST} AND ms_shown BETWEEN 0 AND 1e15 "
    "AND COALESCE(reaction_time_ms, 0) BETWEEN 0 AND 1e15 AND COALESCE(confidence, 0) BETWEEN 0 AND 1",
}


def migrate(connection: sqlite3.Connection) -> None:
    """Give the database of an older run the columns that it lacks, all in one transaction; its rows stay as they are.

    The manifest must say the new schema before that, so that no older limen writes into it.
    """
    there = {row[1] for row in connection.execute("PRAGMA table_info(query)")}
    if lacking := [column for column in SINCE_3 if column not in there]:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for column in lacking:
                connection.execute(f"ALTER TABLE query ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")


def fault(table: str, columns: Iterable[str]) -> str:
    """Return a statement that finds what is wrong with a row of a table: no row where nothing is.

    Args:
        table: its name.
        columns: names of those to look at.
    """
    kinds, text = _TYPES[table], ("text",)
    wrong = [
        f"WHEN typeof({column}) NOT IN ({', '.join(map(repr, kinds.get(column, text)))}, '') "
        f"THEN '{column} of the type ' || typeof({column})"
        for column in columns
    ]
    wrong += [f"WHEN NOT ({_ALSO[table]}) THEN 'a number or a length that cannot be'"] if table in _ALSO else []
    return f"SELECT CASE {' '.join(wrong)} END AS wrong FROM {table} WHERE wrong IS NOT NULL LIMIT 1"


def begun(manifest: Mapping[str, Any]) -> bool:
    """Say whether a manifest names observers, of which an answer may have been paid for."""
    return bool(manifest.get("observers") or manifest.get("exams"))


def check(
    path: Path, manifest: Mapping[str, Any], reader: sqlite3.Connection, counted: RowCount | None, bare: bool
) -> None:
    """Raise `StoreError` where a database is not limen's, or holds less than was answered.

    A process that was killed leaves its log (trials.db-wal), or whoever reads the run next folds it into the database;
    so a run that was never closed, has no log, and was not counted either, was copied without it.

    Args:
        path: the run directory.
        manifest: what it says.
        reader: of the database.
        counted: what was written down about it, if anything was.
        bare: whether the run was not closed and had no log when it was opened.
    """
    file = path / "trials.db"
    kinds = dict(reader.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view', 'trigger')"))
    if {"view", "trigger"} & set(kinds.values()):
        raise StoreError(f"{file} is not as limen writes it (it holds a view or a trigger). Restore it from a copy.")
    advice = "Restore trials.db, and trials.db-wal if there is one, from where the run was made, or give another --out"
    planned = "series" in kinds and reader.execute("SELECT 1 FROM series LIMIT 1").fetchone() is not None
    if begun(manifest) and not planned and counted != RowCount():
        raise StoreError(
            f"{path / 'manifest.json'} names observers, but {file} holds nothing of them: it was lost, or replaced by "
            f"an empty one. {advice}. To begin anew here, delete both files."
        )
    if counted is not None:
        there = RowCount.of(reader) if {"attempt", "measurement"} <= set(kinds) else RowCount()
        if there.attempts < counted.attempts or there.measurements < counted.measurements:
            raise StoreError(
                f"{file} holds {there.attempts:,} of {counted.attempts:,} attempts at questions, and "
                f"{there.measurements:,} of {counted.measurements:,} rows of numbers: it lost its journal, or is an "
                f"older copy. {advice}. To go on without what is lost, and pay for it again, delete {COUNT}."
            )
    elif bare:
        raise StoreError(
            f"{file} was copied without its journal while the run was being written, or after it was killed: answers "
            f"may be missing. {advice}. To go on without what is lost, and pay for it again, delete the entry "
            f'"{UNCLOSED}" from manifest.json.'
        )
