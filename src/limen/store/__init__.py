"""A run directory: `manifest.json` (what was measured, with what) and `trials.db` (facts, append-only).

The database is SQLite with synchronous=FULL (`limen.store.journal`: its journal, its lock). One thread writes; it
commits whatever has gathered in one transaction, and a caller goes on only when its row is on disk. A crash therefore
loses at most the calls in flight. Verdicts and thresholds are not stored: they are recomputed (`limen.analysis`). What
a run directory says is checked when it is read, because it may come from anybody: its rows here, its manifest in
`limen.store.entries`.
"""

import asyncio
import contextlib
import datetime
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

from limen import files
from limen.errors import StoreError, without_paths
from limen.store import entries, journal, soundness
from limen.store.entries import SCHEMA
from limen.store.journal import RowCount
from limen.store.soundness import COLUMNS, UNCLOSED
from limen.trial import Answer, Attempt, Presentation, Trial

_ANSWER = "text, p_yes, p_neither, finish, tokens_in, tokens_out, seconds, model"
_KEYS_OF_ONE = """
WITH asked (key, own) AS (
    SELECT key, observer = ?1 FROM query UNION SELECT key, observer = ?1 FROM attempt
    UNION SELECT key, SUBSTR(session, 1, LENGTH(?2)) = ?2 FROM presentation)
SELECT key FROM answer JOIN asked USING (key) GROUP BY key HAVING MIN(own)
"""  # of answers that one observer alone was asked for, those asked ahead among them; ?2 begins its sessions
_SIDE_FILES = frozenset({"writing.lock", "writing.lock-journal", journal.OWNER, journal.COUNT})
_LARGEST_PICTURE = 1 << 28  # bytes
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


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom the answers of one observer of a run came from, by what they say themselves.

    Attributes:
        observer: of the run.
        what: "model", the model's own name; or "fingerprint", of the system that served it.
        said: the name or the fingerprint.
        answers: how many say so, those of the observer's exam among them.
        first: when the first of them came, in seconds since 1970.
    """

    observer: str
    what: str
    said: str
    answers: int
    first: float


class Store:
    """A run directory, open for reading, or by one process at a time for writing. A context manager.

    Examples:
        >>> import limen
        >>> from pathlib import Path
        >>> run = limen.measure("demo", "simulated", "blur", limit=1)
        >>> with limen.Store.open(run.paths[0]) as store:
        ...     first = next(store.trials())
        >>> first.observer, first.reference, store.manifest["seed"]
        ('simulated', 0, 0)
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], connection: sqlite3.Connection) -> None:
        self.path = path
        self.manifest = dict(manifest)
        self.notice = ""
        self._reader = connection
        self._sound: set[str] = set()
        self._inbox: queue.SimpleQueue[tuple[list[_Statement], Future[None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._held = contextlib.ExitStack()

    # --- open and close ---

    @classmethod
    def open(cls, path: Path, dotfile: bool = False, still: bool = False) -> Self:
        """Open an existing run for reading.

        Args:
            path: the run directory.
            dotfile: whether SQLite's own locks do not work there, where that is known (`limen.store.journal`).
            still: whether nobody writes it and nothing in its directory may be touched (`limen.store.journal.reading`).

        Raises:
            StoreError: it is not a run, a newer limen made it, or what was answered is not all there.
        """
        manifest = entries.read(path)
        file = path / "trials.db"
        counted, bare = RowCount.read(path), not file.with_name("trials.db-wal").exists()
        unclosed = bool(manifest.pop(UNCLOSED, False)) and bare and journal.logged(file)
        with contextlib.ExitStack() as held:
            try:
                if journal.cut(file):
                    raise StoreError(f"{file} cannot be read (it is cut short). Restore it from a copy.")
                reader = held.enter_context(contextlib.closing(journal.reading(file, dotfile, still)))
                soundness.check(path, manifest, reader, counted, unclosed)
            except (sqlite3.Error, OSError) as error:
                cause = error.strerror if isinstance(error, OSError) else None
                raise StoreError(f"{file} cannot be read ({cause or error}). Restore it from a copy.") from None
            held.pop_all()
        return cls(path, manifest, reader)

    @classmethod
    def create(cls, path: Path, manifest: Mapping[str, Any]) -> Self:
        """Open a run for writing, making it if it is not there; an existing manifest is kept.

        Raises:
            StoreError: the directory cannot be written, another process is writing to it, or what was answered is not
                all there any more.
        """
        file = path / "trials.db"
        with contextlib.ExitStack() as stack:
            try:
                path.mkdir(parents=True, exist_ok=True)
                strangers = [item for item in path.iterdir() if item.name not in _SIDE_FILES and item.suffix != ".part"]
                if strangers and not (path / "manifest.json").exists():
                    raise StoreError(f"{path} is not empty and not a run directory. Give another --out.")
                held = journal.hold(path)
                stack.callback(held.lock.close)
                for draft in [path / "manifest.part", *files.drafts(path / "manifest.json")]:  # of what was killed
                    draft.unlink(missing_ok=True)
                if not (path / "manifest.json").exists():
                    _write_manifest(path, {"schema": SCHEMA, **manifest})
                else:
                    there = entries.read(path)
                    if file.exists() or soundness.begun(there) or RowCount.read(path):
                        cls.open(path, held.dotfile).close()
                    if there["schema"] != SCHEMA:  # first: no older limen may write into what has the new columns
                        _write_manifest(path, there | {"schema": SCHEMA})
                connection, held = journal.writing(file, held)
                stack.enter_context(contextlib.closing(connection))
                connection.executescript(soundness.TABLES)
                soundness.migrate(connection)
                counter = stack.enter_context(contextlib.closing(journal.Counter(path)))
                count = RowCount.of(connection)
                counter.write(count)
                store = cls.open(path, held.dotfile)
            except (OSError, sqlite3.Error) as error:
                cause = error.strerror if isinstance(error, OSError) else None
                raise StoreError(f"{path} cannot be written ({cause or error}). Give another --out.") from None
            store._held = stack.pop_all()
        store.notice = held.notice
        given = (connection, counter, count)
        store._thread = threading.Thread(target=store._write_until_closed, args=given, name="limen-store", daemon=True)
        store._thread.start()
        try:
            store.amend()
        except StoreError:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Commit what is waiting and close the files; the writer last, so that it folds the log into one file."""
        self._reader.close()
        if self._thread:
            self._inbox.put(None)
            self._thread.join()
            self._thread = None
            with contextlib.suppress(OSError):  # then it says that it was not closed, and more is looked at next time
                _write_manifest(self.path, self.manifest)
        self._held.close()

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

        Args:
            trial: what was shown and asked, with its answer where one came.
            attempts: what was tried for it, failures too, in order.
            ahead: whether it was asked before a procedure needed it.
        """
        now = time.time()
        statements: list[_Statement] = []
        if trial.answer is not None:
            row = (trial.key, *map(_storable, astuple(trial.answer)), now)
            statements.append((f"INSERT OR IGNORE INTO answer (key, {_ANSWER}, at) VALUES ({_marks(row)})", row))
        if not ahead and (trial.answer is not None or not trial.key):
            asked = tuple(_storable(getattr(trial, column)) for column in COLUMNS["query"].split(", "))
            statements.append((f"INSERT OR IGNORE INTO query ({COLUMNS['query']}) VALUES ({_marks(asked)})", asked))
        for attempt in attempts:
            about = (attempt.outcome, without_paths(attempt.detail), attempt.seconds)
            tried = (trial.observer, trial.series, trial.key, *map(_storable, about), now)
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
        """Write what a wave begins with; the first one written stays.

        Args:
            observer: by name.
            question: by name.
            distortion: by name.
            wave: number of the wave, >= 0.
            content: the prior, as the method encodes it.
        """
        row = (observer, question, distortion, wave, content)
        await asyncio.wrap_future(self._send([("INSERT OR IGNORE INTO prior VALUES (?,?,?,?,?)", row)]))

    def add_measurements(self, stage: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Write rows of numbers by key, for instruments that ask no questions; one that is there is replaced."""
        statement = "INSERT OR REPLACE INTO measurement VALUES (?,?,?)"
        self._send([(statement, (stage, key, orjson.dumps(row))) for key, row in rows.items()]).result()

    async def add_presentations(self, rows: Iterable[Presentation]) -> None:
        """Write when and how queries were shown to a person; the first of one key, session and moment stays."""
        marks = _marks(fields(Presentation))
        statement = f"INSERT OR IGNORE INTO presentation VALUES ({marks})"
        await asyncio.wrap_future(self._send([(statement, tuple(map(_storable, astuple(row)))) for row in rows]))

    def forget(self, observer: str) -> int:
        """Take an observer and all that was asked of it out of the run, for good; return how many answers those were.

        The database is written anew without it, so nobody else may write. Copies elsewhere are not known here. An
        answer that another observer's question has too, which only one of the same fingerprint can, stays.

        Raises:
            StoreError: somebody reads the database meanwhile, so that it would keep what was deleted; do it again then.
        """
        self._fold()
        mine = f"{observer}/"
        keys = [key for (key,) in self._rows(_KEYS_OF_ONE, (observer, mine))]
        own = "(key = ?1 OR SUBSTR(key, 1, LENGTH(?2)) = ?2)"
        statements: list[_Statement] = [
            *((f"DELETE FROM {table} WHERE key = ?", (key,)) for key in keys for table in ("answer", "presentation")),
            ("DELETE FROM presentation WHERE SUBSTR(session, 1, LENGTH(?1)) = ?1", (mine,)),
            (f"DELETE FROM measurement WHERE {own}", (observer, mine)),
            *(
                (f"DELETE FROM {table} WHERE observer = ?", (observer,))
                for table in ("query", "attempt", "wave", "prior")
            ),
        ]
        entries_of = {name: self.manifest.get(name, {}) for name in ("observers", "planned", "exams", "endpoints")}
        less = {
            name: {one: about for one, about in entry.items() if one != observer} for name, entry in entries_of.items()
        }
        self._send(statements).result()
        self._send([("VACUUM", ())]).result()  # pages that were moved once hold copies of what was deleted
        self._fold()
        self.amend(**{name: entry for name, entry in less.items() if name in self.manifest})
        return len(keys)

    def _fold(self) -> None:
        """Write the log into the database and empty it; raise `StoreError` where somebody's reading keeps that off."""
        ((busy, *_),) = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreError(
                f"{self.path / 'trials.db'} is being read by another program (limen watch, report, show, ...), so that "
                "what is deleted would stay in it. Close that, then run the same command again."
            )

    def amend(self, **changes: Any) -> None:
        """Write changed entries of the manifest."""
        self.manifest |= changes
        try:
            _write_manifest(self.path, self.manifest | {UNCLOSED: True})
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written ({error}). Free some disk space, then run again."
            ) from None

    def _send(self, statements: list[_Statement]) -> Future[None]:
        if self._thread is None:
            raise StoreError(f"{self.path} is open for reading only. Open it with Store.create to write.")
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # a caller may stop waiting; what was paid for is written all the same
        self._inbox.put((statements, future))
        return future

    def _write_until_closed(self, connection: sqlite3.Connection, counter: journal.Counter, count: RowCount) -> None:
        closing = False
        while not closing:
            jobs = [self._inbox.get()]
            while not self._inbox.empty():
                jobs.append(self._inbox.get())
            closing = None in jobs
            work = [job for job in jobs if job is not None]
            try:
                with connection:
                    done = [statement for statements, _ in work for statement in statements]
                    for statement, row in done:
                        connection.execute(statement, row)
                count = count.after(connection, any(" measurement " in statement for statement, _ in done))
            except (sqlite3.Error, ArithmeticError, ValueError, TypeError) as error:
                advice = "End what holds it" if "locked" in str(error) else "Free some disk space"
                failure = StoreError(f"{self.path} cannot be written ({error}). {advice}, then run again.")
                for _, future in work:
                    future.set_exception(failure)
            else:
                counter.write(count)
                for _, future in work:
                    future.set_result(None)
        with contextlib.suppress(sqlite3.Error):  # somebody who looks at this moment keeps `close` from doing it
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        connection.close()

    # --- read ---

    def _rows(self, statement: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            # an iterator that has no `close`: one left unread at Ctrl-C would close its cursor after its connection
            yield from map(tuple, self._reader.execute(statement, given))
        except sqlite3.Error as error:
            raise StoreError(f"{self.path / 'trials.db'} cannot be read ({error}). Restore it from a copy.") from None

    def _check(self, *tables: str) -> None:
        """Raise `StoreError` unless every row of these tables is of the types and bounds that limen writes; once."""
        for table in tables:
            if table in self._sound:
                continue
            columns = [name for name in COLUMNS[table].split(", ") if name not in self._lacking(table)]
            for (what,) in self._rows(soundness.fault(table, columns)):
                raise StoreError(f"{self.path / 'trials.db'}: a row of {table} has {what}. Restore it from a copy.")
            self._sound.add(table)

    def check_rows(self) -> None:
        """Raise `StoreError` unless every row of every table is as limen writes it; others look at what they read."""
        for table in ("picture", *TABLES):
            if self._has(table):
                self._check(table)
        for (stage,) in list(self._rows("SELECT DISTINCT stage FROM measurement")) if self._has("measurement") else ():
            self.measurements(stage)

    def get(self, key: str) -> Answer | None:
        """Return the answer to what was shown under this key, or None."""
        self._check("answer")
        row = next(self._rows(f"SELECT {_ANSWER} FROM answer WHERE key = ?", (key,)), None)
        return Answer(*row) if row else None

    def series(self) -> tuple[SeriesRow, ...]:
        """Return the run's series, by distortion and name."""
        self._check("series")
        rows = self._rows(f"SELECT {COLUMNS['series']} FROM series ORDER BY distortion, name, id")
        return tuple(SeriesRow(*row) for row in rows)

    def trials(self, observer: str = "", question: str = "", series: str = "") -> Iterator[Trial]:
        """Yield trials with their answers, by observer, question and series; all, or those of the given ones.

        Args:
            observer: by name; "" for all.
            question: by name; "" for all.
            series: the series' digest; "" for all.
        """
        self._check("query", "answer")
        wanted = {"observer": observer, "question": question, "series": series}
        given = [value for value in wanted.values() if value]
        condition = " AND ".join([f"q.{column} = ?" for column, value in wanted.items() if value] or ["1"])
        answer = ", ".join(f"a.{field.name}" for field in fields(Answer))
        rows = self._rows(
            f"SELECT {self._columns('query', 'q.')}, {answer} FROM query q LEFT JOIN answer a USING (key) "
            f"WHERE {condition} "
            "ORDER BY q.observer, q.question, q.series, q.reference, q.level, q.draw, q.again, q.part",
            given,
        )
        for row in rows:
            observer, question, series, reference, level, draw, again, part, key, wording, form = row[:11]
            found = Answer(*row[11:]) if row[11] is not None else None
            which = (observer, question, series, reference, level, draw, bool(again), part, key)
            yield Trial(*which, found, wording, form)

    def presentations(self, session: str = "") -> tuple[Presentation, ...]:
        """Return when and how queries were shown to people, by session and time; of one session, if it is named."""
        if not self._has("presentation"):
            return ()
        self._check("presentation")
        condition, given = ("session = ?", (session,)) if session else ("1", ())
        rows = self._rows(
            f"SELECT {COLUMNS['presentation']} FROM presentation WHERE {condition} ORDER BY session, shown_at, key",
            given,
        )
        return tuple(Presentation(*row) for row in rows)

    def unneeded(self) -> int:
        """Return how many answers were asked ahead and never needed."""
        ((count,),) = self._rows("SELECT COUNT(*) FROM answer WHERE key NOT IN (SELECT key FROM query)")
        return int(count)

    def asked(self, observer: str) -> frozenset[str]:
        """Return which questions were put to an observer."""
        return frozenset(
            row[0] for row in self._rows("SELECT DISTINCT question FROM query WHERE observer = ?", (observer,))
        )

    def lanes(self) -> frozenset[tuple[str, str]]:
        """Return which observers were asked which questions, or ("") tried to."""
        self._check("query", "attempt")
        asked = self._rows("SELECT DISTINCT observer, question FROM query")
        tried = self._rows("SELECT DISTINCT observer, '' FROM attempt")
        return frozenset((observer, question) for rows in (asked, tried) for observer, question in rows)

    def put(self) -> frozenset[tuple[str, str, str]]:
        """Return which observers were asked, or tried to be, which questions about which series.

        An attempt that failed does not say its question: it stands for all of the observer's.
        """
        self._check("query", "attempt")
        asked = frozenset(self._rows("SELECT DISTINCT observer, question, series FROM query"))
        tried = self._rows("SELECT DISTINCT a.observer, q.question, a.series FROM attempt a JOIN (SELECT DISTINCT "
                           "observer, question FROM query) q USING (observer)")  # fmt: skip
        return frozenset((observer, question, series) for observer, question, series in (*asked, *tried))

    def waves(self, observer: str, question: str) -> dict[str, int]:
        """Return to which wave each series belongs, for procedures that learn in waves."""
        self._check("wave")
        rows = self._rows("SELECT series, number FROM wave WHERE observer = ? AND question = ?", (observer, question))
        return {str(series): int(number) for series, number in rows}

    def priors(self, observer: str, question: str) -> dict[tuple[str, int], bytes]:
        """Return what each wave began with, by distortion and number."""
        self._check("prior")
        statement = "SELECT distortion, wave, content FROM prior WHERE observer = ? AND question = ?"
        rows = self._rows(statement, (observer, question))
        return {(distortion, wave): content for distortion, wave, content in rows}

    def picture(self, digest: str) -> bytes | None:
        """Return a kept picture as PNG bytes, or None."""
        statement = "SELECT png FROM picture WHERE digest = ? AND typeof(png) = 'blob' AND LENGTH(png) <= ?"
        row = next(self._rows(statement, (digest, _LARGEST_PICTURE)), None)
        return bytes(row[0]) if row else None

    def pictures(self) -> tuple[str, ...]:
        """Return the digests of the kept pictures, in order."""
        return tuple(str(digest) for (digest,) in self._rows("SELECT digest FROM picture ORDER BY digest"))

    def kept_bytes(self) -> int:
        """Return how many bytes the kept pictures take."""
        ((total,),) = self._rows("SELECT COALESCE(SUM(LENGTH(png)), 0) FROM picture")
        return int(total)

    def measurements(self, stage: str, key: str | None = None) -> dict[str, dict[str, Any]]:
        """Return a stage's rows of numbers by key, in the order of keys; none in a run from before there were any.

        Args:
            stage: of the rows.
            key: of the only row that is wanted; None for all.
        """
        if not self._has("measurement"):
            return {}
        self._check("measurement")
        only, given = ("", (stage,)) if key is None else (" AND key = ?", (stage, key))
        rows = self._rows(f"SELECT key, content FROM measurement WHERE stage = ?{only} ORDER BY key", given)
        found = {own: entries.row(self.path / "trials.db", stage, own, content) for own, content in rows}
        levels = {row.id: row.levels for row in self.series()} if stage == "floor" else {}
        for key, row in found.items():
            of = levels.get(row["series"]) if levels else None
            if of is not None and not len(row["sent_db"]) == len(row["seen_db"]) == of:
                file = self.path / "trials.db"
                raise StoreError(f"{file}: the floor {key[:80]!r} does not have the levels of its series.")
        return found

    def _has(self, table: str) -> bool:
        return next(self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)), None) is not None

    def _lacking(self, table: str) -> frozenset[str]:
        """Return which columns a table lacks because an older limen made the run."""
        if table != "query":
            return frozenset()
        return frozenset(soundness.SINCE_3) - {row[1] for row in self._rows("PRAGMA table_info(query)")}

    def _columns(self, table: str, prefix: str = "") -> str:
        """Return a table's columns for a SELECT; what an older run lacks is ''."""
        lacking = self._lacking(table)
        return ", ".join(f"'' AS {name}" if name in lacking else prefix + name for name in COLUMNS[table].split(", "))

    def origins(self) -> tuple[Origin, ...]:
        """Return which models, and which fingerprints of their servers, answered; by observer, the earliest first."""
        rows = [
            *self._rows(
                "SELECT q.observer, 'model', a.model, COUNT(DISTINCT q.key), MIN(a.at) FROM query q "
                "JOIN answer a USING (key) WHERE a.model != '' GROUP BY 1, 3"
            ),
            *self._rows(
                "SELECT observer, 'fingerprint', detail, COUNT(*), MIN(at) FROM attempt "
                "WHERE outcome = 'ok' AND detail != '' GROUP BY 1, 3"
            ),
            *self._examined(),
        ]
        found: dict[tuple[str, str, str], Origin] = {}
        for observer, what, said, answers, first in rows:
            known = found.get((observer, what, said), Origin(observer, what, said, 0, first))
            both = (known.answers + answers, min(known.first, first))
            found[observer, what, said] = Origin(observer, what, said, *both)
        return tuple(sorted(found.values(), key=lambda one: (one.observer, one.what != "model", one.first, one.said)))

    def _examined(self) -> Iterator[tuple[str, str, str, int, float]]:
        """Yield what each answer of the last exam of each observer says of whom it came from."""
        exams = self.manifest.get("exams", {})
        for row in self.measurements("exam").values():
            if row["at"] == exams.get(row["observer"], {}).get("at") and row["answer"] is not None:
                at = datetime.datetime.fromisoformat(row["at"]).timestamp()
                if row["answer"].get("model"):
                    yield row["observer"], "model", row["answer"]["model"], 1, at
                for attempt in row["attempts"]:
                    if attempt["outcome"] == "ok" and attempt["detail"]:
                        yield row["observer"], "fingerprint", attempt["detail"], 1, at

    def mixed(self) -> tuple[tuple[str, str, str], ...]:
        """Return the series in which an observer's answers name more than one model: (observer, distortion, name)."""
        rows = self._rows(
            "SELECT q.observer, s.distortion, s.name FROM query q JOIN answer a USING (key) "
            "JOIN series s ON s.id = q.series WHERE a.model != '' GROUP BY q.observer, q.question, q.series "
            "HAVING MIN(a.model) != MAX(a.model)"
        )
        return tuple(sorted({(observer, distortion, name) for observer, distortion, name in rows}))

    def attempts(self) -> Mapping[tuple[str, str], int]:
        """Return how many attempts ended how, by (observer, outcome)."""
        self._check("attempt")
        rows = self._rows("SELECT observer, outcome, COUNT(*) FROM attempt GROUP BY 1, 2")
        return {(observer, outcome): count for observer, outcome, count in rows}

    def columns(self, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return a whole table's column names and rows, for export."""
        return COLUMNS[table].split(", "), list(self.rows(table))

    def rows(self, table: str, ordered: bool = False) -> Iterator[tuple[Any, ...]]:
        """Yield a whole table's rows, with the columns of `columns`; none of a table that an older run lacks.

        Args:
            table: by name.
            ordered: by their key, so that what two runs have in common comes in one order.
        """
        if table in ("measurement", "presentation") and not self._has(table):
            return
        self._check(table)
        order = f" ORDER BY {soundness.KEYS[table]}" if ordered else ""
        yield from self._rows(f"SELECT {self._columns(table)} FROM {table}{order}")


TABLES = ("series", "query", "answer", "attempt", "wave", "prior", "measurement", "presentation")


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


def _write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    files.write(path / "manifest.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))
