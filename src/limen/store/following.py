"""A run that is looked at while another process writes it, so that the writer never waits, and no file is made.

Beside a write-ahead log a reader has a snapshot, and the writer goes on. Beside a rollback journal (file systems that
machines share) a reader's lock would hold the writer up, and one that is stopped in the middle (Ctrl-Z) would end the
run: there nothing is locked. Instead the file is read as it lies, and what was read counts only if no commit has begun
to write to it in the meantime: SQLite writes the page with the change counter first, and the journal is there until all
is written. `Store.open` is for runs that are read whole; it may make side files, and waits.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from limen.errors import StoreError
from limen.store import SeriesRow, handles, journal
from limen.trial import Answer, Trial

T = TypeVar("T")
TRIES, PAUSE = 40, 0.005  # of one look, and seconds between them: a commit to a disk takes some milliseconds
_JOURNAL = bytes.fromhex("d9d505f920a163d7")  # begins a rollback journal; the count of its pages follows
_Text = Annotated[str, msgspec.Meta(max_length=1 << 24)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
_Moment = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]


class UnsettledError(Exception):
    """The writer was at it; look again later. The message says what is in the way."""


class AttemptRow(NamedTuple):
    """One try at one query, as it was written down, with the usage of its answer.

    Attributes:
        id: number of the attempt, ascending.
        observer, series, key, outcome, detail: as in the store; `outcome` is "ok" or the kind of the failure.
        at: when it was written, in seconds since 1970.
        tokens_in, tokens_out: of the answer, where the observer says.
    """

    id: int
    observer: _Text
    series: _Text
    key: _Text
    outcome: _Text
    detail: _Text
    at: _Moment
    tokens_in: _Count | None
    tokens_out: _Count | None


class _Asked(NamedTuple):
    reference: _Count
    level: _Count
    draw: _Count
    again: bool
    part: _Count
    key: _Text
    text: _Text | None
    p_yes: float | None
    p_neither: float | None
    finish: _Text | None


class _Series(NamedTuple):
    id: _Text
    distortion: _Text
    word: _Text
    name: _Text
    picture: _Text
    key: _Text
    levels: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    source: _Text
    strength: float | None


def look(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    """Return what `read` finds in a run's database at one moment.

    Args:
        path: the run directory.
        read: called with a connection that cannot write; some milliseconds of work. It may be called again.

    Raises:
        UnsettledError: the writer left no moment for it.
        FileNotFoundError: there is no database (yet).
        StoreError: the database cannot be read.
    """
    for attempt in range(TRIES):
        try:
            return _look(path / "trials.db", read)
        except UnsettledError:
            if attempt + 1 == TRIES:
                raise
            time.sleep(PAUSE)
    raise AssertionError


def _look(file: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    before, logged = _state(file), _logged(file)
    if before is None and not logged:
        raise UnsettledError("the run is writing")
    try:
        with contextlib.closing(_connect(file, logged)) as connection:
            connection.execute("BEGIN")
            found = read(connection)
    except (sqlite3.Error, msgspec.ValidationError) as error:
        if _state(file) != before or _at_work(error):
            raise UnsettledError("the run is writing") from None
        if logged and not file.with_name("trials.db-shm").exists():
            raise UnsettledError(
                "trials.db-wal was copied without the file beside it: `limen report` folds it into trials.db"
            ) from None
        raise StoreError(f"{file} cannot be read ({error}). Restore it from a copy.") from None
    if not logged and _state(file) != before:
        raise UnsettledError("the run is writing")
    return found


def _at_work(error: Exception) -> bool:
    """Say whether an error is of a writer that is just beginning or ending, not of the file.

    Beside a log that is being made its index may be there and still empty: SQLite then wants to write it, and calls
    the database read-only.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the rest says more, and is not needed
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY}


def _connect(file: Path, logged: bool) -> sqlite3.Connection:
    how = "readonly_shm=1" if logged else "immutable=1"
    return handles.connect(file, f"?mode=ro&{how}", timeout=0, isolation_level=None)


def _logged(file: Path) -> bool:
    """Say whether there is a write-ahead log with something in it."""
    return _size(file.with_name("trials.db-wal")) > 0 and journal.logged(file)


def _state(file: Path) -> tuple[int, ...] | None:
    """Return what tells one state of a database from the next; None while a commit is, or may be, writing to it."""
    if _committing(file.with_name("trials.db-journal")) or _size(file.with_name("trials.db-wal")) > 0:
        return None
    with handles.opened(file) as handle:
        about, counter = os.fstat(handle), os.read(handle, 28)[24:]
    return about.st_ino, about.st_size, about.st_mtime_ns, int.from_bytes(counter, "big")


def _committing(log: Path) -> bool:
    """Say whether a rollback journal is complete, so that the database is being written to.

    SQLite writes the count of its pages only when all of them are on disk; while it is 0 the database is untouched.
    """
    try:
        with log.open("rb") as stream:
            head = stream.read(12)
    except OSError:
        return False
    return head[:8] == _JOURNAL and head[8:] != bytes(4)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


# --- what is read, some rows at a time ---


def tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the names of the tables there are."""
    return frozenset(name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


def attempts(connection: sqlite3.Connection, after: int, most: int) -> list[AttemptRow]:
    """Return the attempts that were written after a certain one, in order, with the usage of their answers.

    Args:
        connection: of `look`.
        after: number of the attempt; 0 for all.
        most: how many at most.
    """
    rows = connection.execute(
        "SELECT t.id, t.observer, t.series, t.key, t.outcome, t.detail, t.at, a.tokens_in, a.tokens_out FROM attempt t "
        "LEFT JOIN answer a ON t.outcome = 'ok' AND a.key = t.key WHERE t.id > ? ORDER BY t.id LIMIT ?",
        (after, most),
    )
    return msgspec.convert(rows.fetchall(), list[AttemptRow])


def last_attempt(connection: sqlite3.Connection) -> int:
    """Return the number of the last attempt; 0 where there is none."""
    return msgspec.convert(connection.execute("SELECT COALESCE(MAX(id), 0) FROM attempt").fetchone()[0], int)


def count_of_series(connection: sqlite3.Connection) -> int:
    """Return how many series the run has."""
    return int(connection.execute("SELECT COUNT(*) FROM series").fetchone()[0])


def series(connection: sqlite3.Connection) -> list[SeriesRow]:
    """Return the run's series."""
    names = ", ".join(_Series._fields)
    rows = connection.execute(f"SELECT {names} FROM series ORDER BY distortion, name, id").fetchall()
    return [SeriesRow(*row) for row in msgspec.convert(rows, list[_Series])]


def trials(connection: sqlite3.Connection, observer: str, question: str, one: str) -> list[Trial]:
    """Return the trials of one series under an observer and a question, with what the answers say.

    Args:
        connection: of `look`.
        observer: by name.
        question: by name.
        one: the series' digest.
    """
    rows = connection.execute(
        "SELECT q.reference, q.level, q.draw, q.again, q.part, q.key, a.text, a.p_yes, a.p_neither, a.finish "
        "FROM query q LEFT JOIN answer a USING (key) WHERE q.observer = ? AND q.question = ? AND q.series = ?",
        (observer, question, one),
    )
    found = []
    for row in msgspec.convert(rows.fetchall(), list[_Asked], strict=False):
        answer = None if row.text is None else Answer(row.text, row.p_yes, row.p_neither, row.finish or "")
        where = (row.reference, row.level, row.draw, row.again, row.part, row.key)
        found.append(Trial(observer, question, one, *where, answer))
    return found


def texts(connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, str]:
    """Return what was answered, by key."""
    marks = ",".join("?" * len(keys))
    rows = connection.execute(f"SELECT key, text FROM answer WHERE key IN ({marks})", tuple(keys)).fetchall()
    return dict(msgspec.convert(rows, list[tuple[_Text, _Text]]))


def beginning(connection: sqlite3.Connection, observer: str, question: str, of: SeriesRow) -> bytes | None:
    """Return the prior that the wave of a series begins with, as the store keeps it; None where there is none.

    Args:
        connection: of `look`.
        observer: by name.
        question: by name.
        of: the series.
    """
    row = connection.execute(
        "SELECT p.content FROM wave w JOIN prior p ON p.observer = w.observer AND p.question = w.question "
        "AND p.distortion = ? AND p.wave = w.number WHERE w.observer = ? AND w.question = ? AND w.series = ?",
        (of.distortion, observer, question, of.id),
    ).fetchone()
    return msgspec.convert(row[0], bytes) if row else None


def rows_of(connection: sqlite3.Connection, stage: str, keys: Sequence[str]) -> dict[str, bytes]:
    """Return a stage's rows of numbers as JSON, by key.

    Args:
        connection: of `look`.
        stage: of the rows.
        keys: of those that are wanted, some hundreds at most.
    """
    marks = ",".join("?" * len(keys))
    found = connection.execute(
        f"SELECT key, content FROM measurement WHERE stage = ? AND key IN ({marks})", (stage, *keys)
    ).fetchall()
    return dict(msgspec.convert(found, list[tuple[str, bytes]]))
