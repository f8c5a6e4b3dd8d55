"""Databases of runs joined into a new one: every fact once, in the order of time, and what contradicts is counted.

SQLite copies table by table, so that memory stays flat whatever the runs hold. Only attempts and exams pass through
Python. The new database is a draft until all is in it: nothing waits for the disk before that.

The same answer is one that says the same (text, probabilities, why it ended). What it took differs where a question was
asked twice: of the same answers the earliest stays, with its time and its cost.
"""

import contextlib
import datetime
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from limen.errors import StoreError
from limen.store import journal, ledger, soundness
from limen.store.entries import RESTORE
from limen.store.journal import RowCount

FEW = 8  # contradictions that are named
EXAMS = "exam"  # the stage under which the questions of exams stand
_OWN = (EXAMS, ledger.LINES, ledger.ROUNDS)  # stages whose rows are joined in ways of their own
_SAYS = ("text", "p_yes", "p_neither", "finish")  # columns of an answer that make it the same as another
_LEARNT = ("wave", "prior")
_PLAIN = ("picture", "series", "presentation")  # a row whose key is there is the same row
_SCRATCH = """
CREATE TABLE scratch.contradiction (
    key TEXT PRIMARY KEY, first TEXT, first_yes REAL, second TEXT, second_yes REAL, run TEXT) WITHOUT ROWID;
CREATE TABLE scratch.attempt (
    at REAL, observer TEXT, series TEXT, key TEXT, outcome TEXT, detail TEXT, seconds REAL, again INTEGER,
    place INTEGER, id INTEGER, PRIMARY KEY (at, observer, series, key, outcome, detail, seconds, again)) WITHOUT ROWID;
CREATE TABLE scratch.line (
    key TEXT PRIMARY KEY, observer TEXT, question TEXT, series TEXT, reference INTEGER, level INTEGER) WITHOUT ROWID;
CREATE TABLE scratch.divided (
    observer TEXT, question TEXT, distortion TEXT, series INTEGER, PRIMARY KEY (observer, question, distortion)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The same question with another answer in another run.

    Attributes:
        observer, question, distortion, reference: by name; "" where that is not known, of a question that was asked
            ahead and never needed.
        of: level that served as the reference.
        level: that was compared with it; None where that is not known.
        answers: what was answered there and here, with the probability of a yes where there is one.
        run: the one, by name, whose answer is not that of an earlier one.
    """

    observer: str
    question: str
    distortion: str
    reference: str
    of: int
    level: int | None
    answers: tuple[str, str]
    run: str

    def __str__(self) -> str:
        of = f"{self.distortion} of {self.reference}" if self.reference else ""
        level = "a question asked ahead" if self.level is None else f"level {self.level}"
        what = ", ".join(filter(None, (self.observer, self.question, of, level)))
        what += f" against {self.of}" if self.of else ""
        return f"{what}: {self.answers[0]} before, {self.answers[1]} in {self.run}"


class Draft:
    """A database that runs are joined into; a context manager.

    Attributes:
        same: answers that a run held and an earlier one, too.
        numbers: rows of numbers that contradict, in words.
        otherwise: trials of one place in a series that showed or asked something else, in words.
        learnt: what a procedure learnt otherwise, in words.
    """

    def __init__(self, folder: Path) -> None:
        self.same = 0
        self.numbers = list[str]()
        self.otherwise = list[str]()
        self.learnt = list[str]()
        self._folder, self._runs = folder, 0
        self._held = contextlib.ExitStack()
        self._db = sqlite3.connect(f"{(folder / 'trials.db').absolute().as_uri()}", uri=True, isolation_level=None)
        self._held.callback(self._db.close)

    def __enter__(self) -> Self:
        try:
            self._db.execute("PRAGMA journal_mode=OFF")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.executescript(soundness.TABLES)
            self._db.execute("ATTACH ? AS scratch", (str(self._folder / "scratch.db"),))
            self._db.execute("PRAGMA scratch.journal_mode=OFF")
            self._db.execute("PRAGMA scratch.synchronous=OFF")
            self._db.executescript(_SCRATCH)
        except sqlite3.Error as error:
            self._held.close()
            raise _unwritten(self._folder, error) from None
        return self

    def __exit__(self, *exc: object) -> None:
        self._held.close()

    def add(self, file: Path, name: str, still: bool) -> dict[tuple[str, str], str]:
        """Join a run's database; return new moments of its exams, by observer and moment, where there was one already.

        Args:
            file: the database, sound, and not being written.
            name: of the run, for messages.
            still: whether nothing beside the file may be touched (`limen.store.journal.reading`).

        Raises:
            StoreError: the draft cannot be written, or the file not be read.
        """
        how = journal.STILL if still else "rw"
        try:
            self._db.execute("ATTACH ? AS source", (f"{file.absolute().as_uri()}?mode={how}",))
            try:
                self._db.execute("BEGIN")
                moved = self._take(name)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")
                self._db.execute("DETACH source")
        except sqlite3.Error as error:
            raise _unwritten(self._folder, error) from None
        self._runs += 1
        return moved

    def _take(self, name: str) -> dict[tuple[str, str], str]:
        there = {table for (table,) in self._db.execute("SELECT name FROM source.sqlite_master WHERE type = 'table'")}
        for table in sorted(there & set(_PLAIN)):
            columns = soundness.COLUMNS[table]
            self._db.execute(f"INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM source.{table}")
        self._take_answers(name)
        self._take_trials(name)
        self._take_learnt(name)
        self._take_attempts()
        return self._take_numbers(name) if "measurement" in there else {}

    def _take_answers(self, name: str) -> None:
        columns, says = soundness.COLUMNS["answer"], [f"{{0}}.{one}" for one in _SAYS]
        mine, others = (", ".join(says).format(of) for of in ("m", "s"))
        self._db.execute(
            "INSERT OR IGNORE INTO scratch.contradiction SELECT s.key, m.text, m.p_yes, s.text, s.p_yes, ? "
            f"FROM source.answer s JOIN main.answer m USING (key) WHERE ({mine}) IS NOT ({others})",
            (name,),
        )
        ((both,),) = self._db.execute("SELECT COUNT(*) FROM source.answer JOIN main.answer USING (key)")
        self.same += both
        earlier = ", ".join(f"{one} = excluded.{one}" for one in columns.split(", ")[1:])
        self._db.execute(
            f"INSERT INTO main.answer ({columns}) SELECT {columns} FROM source.answer WHERE 1 "
            f"ON CONFLICT (key) DO UPDATE SET {earlier} WHERE excluded.at < answer.at"
        )

    def _take_trials(self, name: str) -> None:
        known = {row[1] for row in self._db.execute("PRAGMA source.table_info(query)")}
        columns = soundness.COLUMNS["query"]
        given = ", ".join(one if one in known else f"'' AS {one}" for one in columns.split(", "))
        other = self._db.execute(
            "SELECT s.observer, s.question, COALESCE(r.distortion, ''), COALESCE(r.name, ''), s.level FROM "
            f"source.query s JOIN main.query m USING ({soundness.KEYS['query']}) "
            "LEFT JOIN main.series r ON r.id = s.series WHERE s.key != m.key"
        )
        for observer, question, distortion, reference, level in other:
            what = f"{observer}, {question}, {distortion} of {reference}, level {level}"
            self.otherwise.append(f"{name} showed or asked {what} otherwise than a run before it")
        self._db.execute(
            f"INSERT INTO main.query ({columns}) SELECT {given} FROM source.query WHERE 1 ON CONFLICT DO UPDATE SET "
            "wording = excluded.wording, form = excluded.form WHERE query.wording = '' AND query.key = excluded.key"
        )

    def _take_learnt(self, name: str) -> None:
        """Take how series were divided into waves, and what each wave began with."""
        for table, value in zip(_LEARNT, ("number", "content"), strict=True):
            other = self._db.execute(
                f"SELECT DISTINCT s.observer, s.distortion FROM source.{table} s JOIN main.{table} m "
                f"USING ({soundness.KEYS[table]}) WHERE s.{value} IS NOT m.{value}"
            )
            self.learnt += [f"{observer} under {distortion} in {name}" for observer, distortion in other]
            columns = soundness.COLUMNS[table]
            self._db.execute(f"INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM source.{table}")
        self._db.execute(
            "INSERT INTO scratch.divided SELECT observer, question, distortion, COUNT(*) AS series FROM source.wave "
            "WHERE 1 GROUP BY 1, 2, 3 ON CONFLICT DO UPDATE SET series = MAX(series, excluded.series)"
        )

    def _take_attempts(self) -> None:
        rows = self._db.execute(
            "SELECT at, observer, series, key, outcome, detail, seconds, id FROM source.attempt ORDER BY id"
        )
        self._db.executemany(
            f"INSERT OR IGNORE INTO scratch.attempt VALUES ({','.join('?' * 10)})",
            ((*row, again, self._runs, number) for row, again, number in _numbered(rows)),
        )

    def _take_numbers(self, name: str) -> dict[tuple[str, str], str]:
        """Take rows of numbers; return the moments of exams that were held in the second of another run's."""
        other = self._db.execute(
            "SELECT s.stage, s.key, m.content, s.content FROM source.measurement s JOIN main.measurement m "
            f"USING (stage, key) WHERE s.content IS NOT m.content AND stage NOT IN ({','.join('?' * len(_OWN))})",
            _OWN,
        )
        for stage, key, mine, others in other:
            if orjson.loads(mine) != orjson.loads(others):
                self.numbers.append(f"the {stage} {key!r} of {name}")
        copied = "INSERT OR IGNORE INTO main.measurement SELECT stage, key, content FROM source.measurement"
        about = ("observer", "question", "series", "reference", "level")
        read = ", ".join(f"json_extract(CAST(content AS TEXT), '$.{name}')" for name in about)
        self._db.execute(
            f"INSERT OR IGNORE INTO scratch.line SELECT substr(key, 1, instr(key, '-') - 1), {read} "
            "FROM source.measurement WHERE stage = ?",
            (ledger.LINES,),
        )
        self._db.execute(f"{copied} WHERE stage NOT IN ({','.join('?' * len(_OWN))})", _OWN)
        exams: dict[tuple[str, str], dict[str, tuple[bytes, dict[str, Any]]]] = {}
        for key, content in self._db.execute("SELECT key, content FROM source.measurement WHERE stage = ?", (EXAMS,)):
            row = orjson.loads(content)
            exams.setdefault((row["observer"], row["at"]), {})[key] = content, row
        moved = {}
        for (observer, at), rows in exams.items():
            new = self._free(observer, at, {key: row for key, (_, row) in rows.items()})
            if new != at:
                moved[observer, at] = new
                rows = {
                    _moved(key, observer, at, new): (orjson.dumps(row | {"at": new}), row)
                    for key, (_, row) in rows.items()
                }
            self._db.executemany(
                "INSERT OR IGNORE INTO main.measurement VALUES (?, ?, ?)",
                [(EXAMS, key, content) for key, (content, _) in rows.items()],
            )
        return moved

    def put(self, stage: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Write rows of numbers that were joined outside."""
        self._db.executemany(
            "INSERT INTO main.measurement VALUES (?, ?, ?)",
            [(stage, key, orjson.dumps(row)) for key, row in rows.items()],
        )

    def _free(self, observer: str, at: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
        """Return a moment, the exam's own or microseconds later, under which no other exam stands.

        Moments are whole seconds, and the jobs of an array begin in the same one.
        """
        new, later = at, 0
        while any(
            orjson.loads(content) != {**row, "at": new}
            for key, row in rows.items()
            for (content,) in self._db.execute(
                "SELECT content FROM main.measurement WHERE stage = ? AND key = ?",
                (EXAMS, _moved(key, observer, at, new)),
            )
        ):
            later += 1
            new = (datetime.datetime.fromisoformat(at) + datetime.timedelta(microseconds=later)).isoformat()
        return new

    # --- what came of it ---

    @property
    def contradictions(self) -> int:
        """How many questions have another answer in another run."""
        return int(self._db.execute("SELECT COUNT(*) FROM scratch.contradiction").fetchone()[0])

    def named(self) -> list[Contradiction]:
        """Return the first of them, in the order of observers and series."""
        rows = self._db.execute(
            "SELECT COALESCE(q.observer, l.observer, a.observer, ''), COALESCE(q.question, l.question, ''), "
            "COALESCE(s.distortion, ''), COALESCE(s.name, ''), COALESCE(q.reference, l.reference, 0), "
            "COALESCE(q.level, l.level), c.first, c.first_yes, c.second, c.second_yes, c.run "
            "FROM scratch.contradiction c LEFT JOIN main.query q USING (key) LEFT JOIN scratch.line l USING (key) "
            "LEFT JOIN (SELECT key, MIN(observer) AS observer, MIN(series) AS series FROM scratch.attempt "
            "WHERE key IN (SELECT key FROM scratch.contradiction) GROUP BY key) a USING (key) "
            "LEFT JOIN main.series s ON s.id = COALESCE(q.series, l.series, a.series) GROUP BY c.key "
            "ORDER BY q.observer IS NULL, 1, 2, 3, 4, 5, 6 LIMIT ?",
            (FEW,),
        )
        return [
            Contradiction(
                who, question, distortion, name, of, level, (_quoted(first, of_first), _quoted(second, of_second)), run
            )
            for who, question, distortion, name, of, level, first, of_first, second, of_second, run in rows
        ]

    def apart(self) -> list[str]:
        """Return the groups of series that runs divided into waves each for itself: no run has them all."""
        rows = self._db.execute(
            "SELECT observer, distortion FROM main.wave w JOIN scratch.divided d USING (observer, question, distortion)"
            " GROUP BY observer, question, distortion HAVING COUNT(*) > MAX(d.series)"
        )
        return [f"{observer} under {distortion}" for observer, distortion in rows]

    def finish(self) -> dict[str, int]:
        """Write attempts in the order of time, and what is counted; return how many rows each table has."""
        attempt = "observer, series, key, outcome, detail, seconds, at"
        try:
            self._db.execute(
                f"INSERT INTO main.attempt ({attempt}) SELECT {attempt} FROM scratch.attempt ORDER BY at, place, id"
            )
            with contextlib.closing(journal.Counter(self._folder)) as counter:
                counter.write(RowCount.of(self._db))
            tables = ("series", "query", "answer", "attempt", "picture")
            counts = {
                table: int(self._db.execute(f"SELECT COUNT(*) FROM main.{table}").fetchone()[0]) for table in tables
            }
            self._held.close()
            (self._folder / "scratch.db").unlink()
            for name in ("trials.db", journal.COUNT):
                _to_disk(self._folder / name)
        except (sqlite3.Error, OSError) as error:
            raise _unwritten(self._folder, error) from None
        return counts


def _numbered(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], int, int]]:
    """Yield attempts with how many equal ones there were before, and their number.

    Tries of one question are written in one moment, and two that failed alike are two: so they are counted, while the
    moment lasts.
    """
    now, seen = None, Counter[tuple[Any, ...]]()
    for *row, number in rows:
        if row[0] != now:
            now = row[0]
            seen.clear()
        what = tuple(row)
        yield what, seen[what], number
        seen[what] += 1


def _moved(key: str, observer: str, at: str, new: str) -> str:
    """Return the key of a question of an exam with another moment."""
    return f"{observer} {new} {key.removeprefix(f'{observer} {at} ')}" if new != at else key


def _quoted(text: str, p_yes: float | None) -> str:
    short = " ".join(text.split())
    return (
        f"{short[:60] + '...' if len(short) > 60 else short!r}{f' (p(yes) {p_yes:.4g})' if p_yes is not None else ''}"
    )


def _to_disk(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _unwritten(folder: Path, error: Exception) -> StoreError:
    if "malformed" in str(error) or "not a database" in str(error):
        return StoreError(f"A run cannot be read ({error}). {RESTORE}")
    return StoreError(f"{folder} cannot be written ({error}). Free some disk space, or give another --out.")
