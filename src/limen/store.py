"""A run directory: `manifest.json` (what was measured, with what) and `trials.db` (facts, append-only).

The database is SQLite in WAL mode with synchronous=FULL. One thread writes; it commits whatever has gathered
in one transaction, and a caller goes on only when its row is on disk. A crash therefore loses at most the
calls in flight. Verdicts and thresholds are not stored: they are recomputed (`limen.analysis`).
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Self

import orjson

from limen.errors import StoreError
from limen.trial import Answer, Attempt, Trial

SCHEMA = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS picture (digest TEXT PRIMARY KEY, png BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    id TEXT PRIMARY KEY, distortion TEXT NOT NULL, word TEXT NOT NULL, name TEXT NOT NULL, picture TEXT NOT NULL,
    key TEXT NOT NULL, levels INTEGER NOT NULL, source TEXT NOT NULL, strength REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS query (
    observer TEXT NOT NULL, question TEXT NOT NULL, series TEXT NOT NULL, reference INTEGER NOT NULL,
    level INTEGER NOT NULL, draw INTEGER NOT NULL, again INTEGER NOT NULL, part INTEGER NOT NULL, key TEXT NOT NULL,
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
"""
_ANSWER = "text, p_yes, p_neither, finish, tokens_in, tokens_out, seconds, model"
_SIDE_FILES = frozenset({"writing.lock", "writing.lock-journal", "manifest.part"})
_Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series as the store keeps it.

    Attributes:
        id: the series' digest.
        distortion, word: its name, and what the question calls it.
        name: of the reference, as the user knows it (a file name, never an absolute path).
        picture: digest of the reference's pixels.
        key: names the random draw.
        levels: length of the ladder.
        source: the registered name of where the reference comes from.
        strength: of the one level of a scored pair (an opinion score); None elsewhere.
    """

    id: str
    distortion: str
    word: str
    name: str
    picture: str
    key: str
    levels: int
    source: str = "folder"
    strength: float | None = None


class Store:
    """A run directory, open for reading, or by one process at a time for writing. A context manager."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], connection: sqlite3.Connection) -> None:
        self.path = path
        self.manifest = dict(manifest)
        self._reader = connection
        self._inbox: queue.SimpleQueue[tuple[list[_Statement], Future[None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock: sqlite3.Connection | None = None

    # --- open and close ---

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing run for reading.

        Raises:
            StoreError: it is not a run, or a newer limen made it.
        """
        file = path / "manifest.json"
        try:
            manifest = orjson.loads(file.read_bytes())
        except FileNotFoundError:
            raise StoreError(
                f"{path} is not a run directory: it has no manifest.json. Give the --out of a `limen measure`."
            ) from None
        except (OSError, orjson.JSONDecodeError) as error:
            raise StoreError(f"{file} cannot be read ({error}). Restore it from a copy, or measure again.") from None
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        if schema != SCHEMA:
            raise StoreError(
                f"{path} has schema {schema}; this limen reads schema {SCHEMA}. "
                "Install the limen that made it (see 'versions' in its manifest.json), or a newer one."
            )
        try:
            reader = _reading(path / "trials.db")
        except sqlite3.Error as error:
            raise StoreError(f"{path / 'trials.db'} cannot be read ({error}). Restore it from a copy.") from None
        return cls(path, manifest, reader)

    @classmethod
    def create(cls, path: Path, manifest: Mapping[str, Any]) -> Self:
        """Open a run for writing, making it if it is not there; an existing manifest is kept.

        Raises:
            StoreError: the directory cannot be written, or another process is writing to it.
        """
        with contextlib.ExitStack() as held:
            try:
                path.mkdir(parents=True, exist_ok=True)
                strangers = [item for item in path.iterdir() if item.name not in _SIDE_FILES]
                if strangers and not (path / "manifest.json").exists():
                    raise StoreError(f"{path} is not empty and not a run directory. Give another --out.")
                lock = held.enter_context(contextlib.closing(_locked(path)))
                if not (path / "manifest.json").exists():
                    _write_atomically(path / "manifest.json", {"schema": SCHEMA, **manifest})
                with contextlib.closing(_writing(path / "trials.db")) as connection:
                    connection.executescript(_TABLES)
            except (OSError, sqlite3.Error) as error:
                message = f"{path} cannot be written ({error}). Give another --out."
                raise StoreError(message) from None
            store = cls.open(path)
            held.pop_all()
        store._lock = lock
        store._thread = threading.Thread(target=store._write_until_closed, name="limen-store", daemon=True)
        store._thread.start()
        return store

    def close(self) -> None:
        """Commit what is waiting and close the files; the writer last, so that it folds the log into one file."""
        self._reader.close()
        if self._thread:
            self._inbox.put(None)
            self._thread.join()
        if self._lock:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- write ---

    async def add(self, trial: Trial, attempts: Iterable[Attempt] = (), ahead: bool = False) -> None:
        """Write a trial, its answer where it has one, and what was tried; return when it is on disk.

        A trial without an answer leaves only its attempts, unless it is one of a stimulus equal to the reference
        (`key` ""), which is a fact by itself. One asked ahead leaves only its answer: it becomes a trial when a
        procedure needs it.
        """
        now = time.time()
        statements: list[_Statement] = []
        if trial.answer is not None:
            row = (trial.key, *map(_storable, astuple(trial.answer)), now)
            statements.append((f"INSERT OR IGNORE INTO answer (key, {_ANSWER}, at) VALUES ({_marks(row)})", row))
        if not ahead and (trial.answer is not None or not trial.key):
            asked = astuple(trial)[:-1]
            statements.append((f"INSERT OR IGNORE INTO query VALUES ({_marks(asked)})", asked))
        for attempt in attempts:
            tried = (trial.observer, trial.series, trial.key, *map(_storable, astuple(attempt)), now)
            columns = "observer, series, key, outcome, detail, seconds, at"
            statements.append((f"INSERT INTO attempt ({columns}) VALUES ({_marks(tried)})", tried))
        await asyncio.wrap_future(self._send(statements))

    async def keep(self, digest: str, png: bytes) -> None:
        """Keep a picture by the digest of its pixels."""
        await asyncio.wrap_future(self._send([("INSERT OR IGNORE INTO picture VALUES (?, ?)", (digest, png))]))

    def add_series(self, rows: Iterable[SeriesRow]) -> None:
        """Write which series the run has."""
        marks = _marks(fields(SeriesRow))
        self._send([(f"INSERT OR IGNORE INTO series VALUES ({marks})", astuple(row)) for row in rows]).result()

    def add_waves(self, rows: Iterable[tuple[str, str, str, str, int]]) -> None:
        """Write to which wave series belong: (observer, question, series, distortion, number)."""
        self._send([("INSERT OR IGNORE INTO wave VALUES (?,?,?,?,?)", row) for row in rows]).result()

    async def add_prior(self, observer: str, question: str, distortion: str, wave: int, content: bytes) -> None:
        """Write what a wave begins with; the first one written stays."""
        row = (observer, question, distortion, wave, content)
        await asyncio.wrap_future(self._send([("INSERT OR IGNORE INTO prior VALUES (?,?,?,?,?)", row)]))

    def add_measurements(self, stage: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Write rows of numbers by key, for instruments that ask no questions; one that is there is replaced."""
        statement = "INSERT OR REPLACE INTO measurement VALUES (?,?,?)"
        self._send([(statement, (stage, key, orjson.dumps(row))) for key, row in rows.items()]).result()

    def amend(self, **changes: Any) -> None:
        """Write changed entries of the manifest."""
        self.manifest |= changes
        try:
            _write_atomically(self.path / "manifest.json", self.manifest)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error}). Free the disk, then run again.") from None

    def _send(self, statements: list[_Statement]) -> Future[None]:
        if self._thread is None:
            raise StoreError(f"{self.path} is open for reading only. Open it with Store.create to write.")
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # a caller may stop waiting; what was paid for is written all the same
        self._inbox.put((statements, future))
        return future

    def _write_until_closed(self) -> None:
        connection = _writing(self.path / "trials.db")
        closing = False
        while not closing:
            jobs = [self._inbox.get()]
            while not self._inbox.empty():
                jobs.append(self._inbox.get())
            closing = None in jobs
            work = [job for job in jobs if job is not None]
            try:
                with connection:
                    for statements, _ in work:
                        for statement, row in statements:
                            connection.execute(statement, row)
            except (sqlite3.Error, ArithmeticError, ValueError, TypeError) as error:
                failure = StoreError(f"{self.path} cannot be written ({error}). Free the disk, then run again.")
                for _, future in work:
                    future.set_exception(failure)
            else:
                for _, future in work:
                    future.set_result(None)
        connection.close()

    # --- read ---

    def _rows(self, statement: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._reader.execute(statement, given)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path / 'trials.db'} cannot be read ({error}). Restore it from a copy.") from None

    def get(self, key: str) -> Answer | None:
        """Return the answer to what was shown under this key, or None."""
        row = next(self._rows(f"SELECT {_ANSWER} FROM answer WHERE key = ?", (key,)), None)
        return Answer(*row) if row else None

    def series(self) -> tuple[SeriesRow, ...]:
        """Return the run's series, by distortion and name."""
        rows = self._rows("SELECT * FROM series ORDER BY distortion, name, id")
        return tuple(SeriesRow(*row) for row in rows)

    def trials(self, observer: str = "", question: str = "", series: str = "") -> Iterator[Trial]:
        """Yield trials with their answers, by observer, question and series; all, or those of the given ones."""
        wanted = {"observer": observer, "question": question, "series": series}
        given = [value for value in wanted.values() if value]
        condition = " AND ".join([f"q.{column} = ?" for column, value in wanted.items() if value] or ["1"])
        answer = ", ".join(f"a.{field.name}" for field in fields(Answer))
        rows = self._rows(
            f"SELECT q.observer, q.question, q.series, q.reference, q.level, q.draw, q.again, q.part, q.key, {answer} "
            f"FROM query q LEFT JOIN answer a USING (key) WHERE {condition} "
            "ORDER BY q.observer, q.question, q.series, q.reference, q.level, q.draw, q.again, q.part",
            given,
        )
        for row in rows:
            observer, question, series, reference, level, draw, again, part, key = row[:9]
            found = Answer(*row[9:]) if row[9] is not None else None
            yield Trial(observer, question, series, reference, level, draw, bool(again), part, key, found)

    def unneeded(self) -> int:
        """Return how many answers were asked ahead and never needed."""
        ((count,),) = self._rows("SELECT COUNT(*) FROM answer WHERE key NOT IN (SELECT key FROM query)")
        return int(count)

    def asked(self, observer: str) -> frozenset[str]:
        """Return which questions were put to an observer."""
        return frozenset(
            row[0] for row in self._rows("SELECT DISTINCT question FROM query WHERE observer = ?", (observer,))
        )

    def waves(self, observer: str, question: str) -> dict[str, int]:
        """Return to which wave each series belongs, for procedures that learn in waves."""
        rows = self._rows("SELECT series, number FROM wave WHERE observer = ? AND question = ?", (observer, question))
        return {str(series): int(number) for series, number in rows}

    def priors(self, observer: str, question: str) -> dict[tuple[str, int], bytes]:
        """Return what each wave began with, by distortion and number."""
        statement = "SELECT distortion, wave, content FROM prior WHERE observer = ? AND question = ?"
        rows = self._rows(statement, (observer, question))
        return {(distortion, wave): content for distortion, wave, content in rows}

    def picture(self, digest: str) -> bytes | None:
        """Return a kept picture as PNG bytes, or None."""
        row = next(self._rows("SELECT png FROM picture WHERE digest = ?", (digest,)), None)
        return bytes(row[0]) if row else None

    def kept_bytes(self) -> int:
        """Return how many bytes the kept pictures take."""
        ((total,),) = self._rows("SELECT COALESCE(SUM(LENGTH(png)), 0) FROM picture")
        return int(total)

    def measurements(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return a stage's rows of numbers by key, in the order of keys; none in a run from before there were any."""
        if not next(self._rows("SELECT 1 FROM sqlite_master WHERE name = 'measurement'"), None):
            return {}
        rows = self._rows("SELECT key, content FROM measurement WHERE stage = ? ORDER BY key", (stage,))
        return {str(key): orjson.loads(content) for key, content in rows}

    def attempts(self) -> Mapping[tuple[str, str], int]:
        """Return how many attempts ended how, by (observer, outcome)."""
        rows = self._rows("SELECT observer, outcome, COUNT(*) FROM attempt GROUP BY 1, 2")
        return {(observer, outcome): count for observer, outcome, count in rows}

    def columns(self, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return a whole table's column names and rows, for export."""
        names = [row[1] for row in self._rows(f"PRAGMA table_info({table})")]
        return names, list(self._rows(f"SELECT * FROM {table}"))


TABLES = ("series", "query", "answer", "attempt", "wave", "prior", "measurement")


def names_of(runs: Iterable[Path]) -> dict[Path, str]:
    """Return a name for each run, each run once: its folder's, never its path, numbered where two are alike."""
    seen: Counter[str] = Counter()
    names = {}
    for path in dict.fromkeys(run.resolve() for run in runs):
        seen[path.name] += 1
        names[path] = path.name if seen[path.name] == 1 else f"{path.name} #{seen[path.name]}"
    return names


def _storable(value: Any) -> Any:
    """Return a text with U+FFFD for lone surrogates, which SQLite refuses; else `value`."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _marks(row: Sequence[object]) -> str:
    return ",".join("?" * len(row))


def _writing(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _reading(file: Path) -> sqlite3.Connection:
    """Open an existing database; on a disk where WAL's side files cannot be made, as it lies there."""
    address = file.absolute().as_uri()
    for mode in ("mode=rw", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"{address}?{mode}", uri=True, check_same_thread=False, timeout=30)
        try:
            connection.execute("SELECT COUNT(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _locked(path: Path) -> sqlite3.Connection:
    """Hold an exclusive lock on the directory; the operating system drops it when the process dies."""
    lock = sqlite3.connect(path / "writing.lock", timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise StoreError(f"Another process is writing to {path}. Wait for it, or give another --out.") from None
    return lock


def _write_atomically(file: Path, content: Mapping[str, Any]) -> None:
    draft = file.with_suffix(".part")
    with draft.open("wb") as stream:
        stream.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
