"""A run that is under way, read on where it was left: some milliseconds at each look, however large it has become.

New attempts, which are numbered, say which series to read again. What leaves no attempt (a stimulus equal to the
reference, an answer that was there already) is found by looking at the open series again from time to time.
"""

import functools
import itertools
import os
import sqlite3
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from limen.analysis import replay
from limen.analysis.replay import Asked, Outcome, SeriesStatus
from limen.analysis.tables import EstimateRow, JndRow, estimate_row, jnd_rows
from limen.errors import StoreError
from limen.ladder import Ladder
from limen.procedure import Method
from limen.question import Question
from limen.store import SeriesRow, entries, following, journal
from limen.store.entries import ITEMS, Manifest
from limen.store.following import AttemptRow, UnsettledError
from limen.store.soundness import UNCLOSED
from limen.study.schedule import decode
from limen.trial import Trial

MOST_ATTEMPTS, MOST_SERIES = 4_000, 60  # read at one look
LAST = 20  # answers that are shown
AGAIN = 15.0  # seconds in which a series that was just asked about is looked at again each time
SWEEP = 60.0  # seconds between two looks at all open series
PATIENCE = 20.0  # times as long as the tables took, until they are made again: of thousands of series, half a second
WINDOW = 300.0  # seconds that the rate is of
OPEN = (SeriesStatus.UNFINISHED, SeriesStatus.UNDETERMINED)

Lane = tuple[str, str, str]  # observer, question, series
Group = tuple[str, str, str]  # observer, question, distortion


@dataclass(frozen=True, slots=True)
class Said:
    """One of the last answers.

    Attributes:
        at: seconds since 1970.
        observer, question, distortion, reference: by name; "" where it is not known yet.
        first, level: which two levels were compared; None where it was asked before it was needed.
        levels: L.
        verdict: "yes", "no", "unreadable", or "" where it is not known yet.
        text: the answer as it came.
    """

    at: float
    observer: str
    question: str
    distortion: str
    reference: str
    first: int | None
    level: int | None
    levels: int
    verdict: str
    text: str


@dataclass
class Failures:
    """Attempts that failed in one way: how many, and the last."""

    count: int = 0
    at: float = 0.0
    observer: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look has read."""

    whole: bool = False
    attempts: tuple[AttemptRow, ...] = ()
    series: tuple[SeriesRow, ...] | None = None
    lanes: Mapping[Lane, tuple[list[Trial], bytes | None]] = field(default_factory=dict)
    items: Mapping[str, bytes] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    replaced: bool = False


class RunFollower:
    """A run directory that is looked at again and again.

    Attributes:
        path: the run directory, which need not be there yet.
        trouble: one line where it cannot be read; "".
        seen: whether it has ever been there.
        present: whether it is there now.
        manifest: what it says, once it is there.
        writing: whether a process writes to it now.
        closed: whether the last one that wrote to it has put it in order.
        reading: whether there is more to be read than was at the last look.
        held_up: why the last look has found nothing; "".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = self.held_up = ""
        self.seen = self.present = self.writing = False
        self.closed = True
        self._forget()

    def _forget(self) -> None:
        self.manifest: Manifest | None = None
        self.answered, self.earlier = 0, 0
        self.by_observer: Counter[str] = Counter()
        self.tokens_in, self.tokens_out = 0, 0
        self.failures: dict[str, Failures] = defaultdict(Failures)
        self.series: dict[str, SeriesRow] = {}
        self.outcomes: dict[Lane, Outcome] = {}
        self.trials: Counter[Lane] = Counter()
        self.times: deque[float] = deque(maxlen=200_000)
        self.last = 0.0
        self.reading = True
        self._manifest_is: tuple[int, ...] | None = None
        self._file = 0
        self._number = 0
        self._due: dict[Lane, None] = {}
        self._touched: dict[Lane, float] = {}
        self._swept: float | None = None  # of the monotonic clock
        self._recent: deque[AttemptRow] = deque(maxlen=LAST)
        self._texts: dict[str, str] = {}
        self._verdicts: dict[tuple[str, str, str], tuple[str, int, int, str]] = {}
        self._rows: dict[Group, JndRow | EstimateRow | None] = {}
        self._stale: set[Group] = set()
        self._tables_due = 0.0
        self._questions: dict[str, Question] = {}
        self._ladders: dict[str, Ladder] = {}
        self._method: Method | None = None

    @property
    def behind(self) -> int:
        """How many series are still to be read."""
        return len(self._due)

    def look(self) -> bool:
        """Read on for a moment; say whether there is more to be read at once."""
        try:
            return self._look()
        except StoreError as error:
            if (self.path / "manifest.json").exists():
                self.trouble = str(error)
            else:
                self.present = False
        except OSError as error:
            self.trouble = f"{self.path} cannot be read ({error.strerror or error}). Check the disk and its rights."
        return False

    def _look(self) -> bool:
        if not self._read_manifest():
            return False
        was, self.writing = self.writing, self._is_written()
        if was and not self.writing:
            self._swept = None  # the last look at all of it
        self._queue_open()
        try:
            found = following.look(self.path, self._read)
        except UnsettledError as error:
            self.held_up = str(error)
            return False
        except FileNotFoundError:  # the run has not come so far
            return False
        self.held_up = self.trouble = ""
        if found.replaced:
            self._forget()
            return True
        return self._take(found)

    def _is_written(self) -> bool:
        known = journal.at_work(self.path)
        return not self.closed if known is None else known

    def _read_manifest(self) -> bool:
        """Read the manifest where it has changed; say whether there is one."""
        try:
            about = os.stat(self.path / "manifest.json")
        except (FileNotFoundError, NotADirectoryError):
            self.present, self.trouble = False, ""
            return False
        now = (about.st_ino, about.st_size, about.st_mtime_ns)
        self.seen = self.present = True
        if now == self._manifest_is:
            return True
        content = entries.read(self.path)
        unclosed = content.pop(UNCLOSED, False)
        manifest = entries.check(self.path, content)
        if self.manifest is not None and manifest.created != self.manifest.created:
            self._forget()
        self._questions = replay.questions_of(self.path, manifest)
        self._ladders = replay.ladders_of(manifest)
        self._method = replay.method_of(self.path, manifest)
        if self.manifest is not None and manifest.questions.keys() - self.manifest.questions.keys():
            self._swept = None
        self.manifest, self.closed, self._manifest_is = manifest, not unclosed, now
        return True

    def _queue_open(self) -> None:
        """Put the series into the queue that are to be looked at again although no attempt says so."""
        now = time.monotonic()
        assert self.manifest is not None
        due = self._swept is None or (self.writing and now - self._swept > SWEEP)
        if due and not self._due:
            self._swept = now
            self._due = {
                (observer, question, one): None
                for observer in self.manifest.observers
                for question in self.manifest.questions
                for one in self.series
                if not self.done((observer, question, one))
            }
        for lane, at in [*self._touched.items()]:
            if now - at > AGAIN or self.done(lane):
                del self._touched[lane]
            else:
                self._due[lane] = None

    def done(self, lane: Lane) -> bool:
        """Say whether a series has its result, or can have none."""
        found = self.outcomes.get(lane)
        return found is not None and found.status not in OPEN

    # --- reading: within `following.look`, without a trace outside what is returned ---

    def _read(self, connection: sqlite3.Connection) -> _Found:
        there = following.tables(connection)
        if not {"series", "query", "answer", "attempt", "wave", "prior"} <= there:
            return _Found()
        if following.last_attempt(connection) < self._number:
            return _Found(replaced=True)
        attempts = following.attempts(connection, self._number, MOST_ATTEMPTS)
        rows = following.series(connection) if following.count_of_series(connection) != len(self.series) else None
        lanes: dict[Lane, tuple[list[Trial], bytes | None]] = {}
        for lane in itertools.islice(self._due, MOST_SERIES):
            observer, question, one = lane
            lanes[lane] = (
                following.trials(connection, *lane),
                following.beginning(connection, observer, question, self.series[one]),
            )
        pictures = sorted({self.series[one].picture for (_, _, one) in lanes})
        items = following.rows_of(connection, ITEMS, pictures) if "measurement" in there and pictures else {}
        recent = deque([*self._recent, *(row for row in attempts if row.outcome == "ok")], maxlen=LAST)
        texts = following.texts(connection, {row.key for row in recent} - self._texts.keys())
        return _Found(True, tuple(attempts), tuple(rows) if rows is not None else None, lanes, items, texts)

    # --- what was read ---

    def _take(self, found: _Found) -> bool:
        if not found.whole:
            return False
        if found.series is not None:
            self._take_series(found.series)
        for row in found.attempts:
            self._take_attempt(row)
        keys = {row.key for row in self._recent}
        self._texts = {key: text for key, text in {**self._texts, **found.texts}.items() if key in keys}
        for lane, (trials, prior) in found.lanes.items():
            self._due.pop(lane, None)
            if trials:
                self._take_lane(lane, trials, prior, found.items)
        more = bool(self._due) or len(found.attempts) == MOST_ATTEMPTS
        self.reading = more
        return more

    def _take_series(self, rows: tuple[SeriesRow, ...]) -> None:
        for row in rows:
            if row.distortion not in self._ladders or row.levels != len(self._ladders[row.distortion]):
                raise StoreError(
                    f"{self.path / 'trials.db'} does not fit the manifest.json beside it: it holds a series of "
                    f"{row.distortion!r} with {row.levels} levels. Restore both from one copy."
                )
        self.series = {row.id: row for row in rows}
        self._swept = None
        self._queue_open()

    def _take_attempt(self, row: AttemptRow) -> None:
        self._number = row.id
        if row.outcome != "ok":
            kind = self.failures[row.outcome]
            kind.count += 1
            kind.at, kind.observer, kind.detail = row.at, row.observer, row.detail
            return
        self.answered += 1
        self.by_observer[row.observer] += 1
        self.tokens_in += row.tokens_in or 0
        self.tokens_out += row.tokens_out or 0
        self.last = max(self.last, row.at)
        self.times.append(row.at)
        while self.times and self.times[0] < self.last - WINDOW:
            self.times.popleft()
        self._recent.append(row)
        if row.series in self.series:
            for question in self._questions:
                lane = (row.observer, question, row.series)
                self._due[lane] = None
                self._touched[lane] = time.monotonic()

    def _take_lane(self, lane: Lane, trials: list[Trial], prior: bytes | None, items: Mapping[str, bytes]) -> None:
        observer, name, one = lane
        row, question = self.series[one], self._questions.get(name)
        if question is None or self._method is None or self.manifest is None:
            return
        if any(max(trial.reference, trial.level) > row.levels for trial in trials):
            raise StoreError(
                f"{self.path / 'trials.db'} does not fit the manifest.json beside it: it holds a trial of "
                f"{row.name!r} beyond the {row.levels} levels of its ladder. Restore both from one copy."
            )
        item = None
        if row.picture in items:
            content = entries.row(self.path / "trials.db", ITEMS, row.picture, items[row.picture])
            item = replay.item_of(self.path, row.picture, content)
        if question.form is None and item is None:
            return
        outcome = replay.outcome(
            Asked(observer, name, row, item), trials, _quick(question), self._method, self._ladders[row.distortion],
            self.manifest.reader, decode(prior),
        )  # fmt: skip
        self.trials[lane] = sum(trial.answer is not None for trial in trials)
        flags = {trial.key: response.verdict.flag.value for response in outcome.responses for trial in response.trials}
        recent = {(attempt.observer, attempt.series, attempt.key) for attempt in self._recent}
        for trial in trials:
            if (observer, one, trial.key) in recent:
                said = (name, trial.reference, trial.level, flags.get(trial.key, ""))
                self._verdicts[observer, one, trial.key] = said
        self._verdicts = {key: said for key, said in self._verdicts.items() if key in recent}
        self.outcomes[lane] = replace(outcome, responses=(), thresholds=outcome.thresholds[:1])
        self._stale.add((observer, name, row.distortion))

    # --- what it amounts to ---

    def answers(self) -> list[Said]:
        """Return the last answers, the latest first."""
        found = []
        for row in reversed(self._recent):
            of = self.series.get(row.series)
            where = (of.distortion, of.name, of.levels) if of else ("", "", 0)
            question, first, level, verdict = self._verdicts.get(
                (row.observer, row.series, row.key), ("", None, None, "")
            )
            found.append(
                Said(
                    row.at, row.observer, question, where[0], where[1], first, level, where[2], verdict,
                    self._texts.get(row.key, ""),
                )
            )  # fmt: skip
        return found

    def rows(self) -> list[JndRow | EstimateRow]:
        """Return the thresholds so far of each observer, question and distortion: a first JND, or a fit."""
        assert self.manifest is not None
        begun = time.monotonic()
        if self._stale and (not self.writing or begun > self._tables_due):
            groups: dict[Group, list[Outcome]] = defaultdict(list)
            for (observer, question, _), outcome in self.outcomes.items():
                groups[observer, question, outcome.series.distortion].append(outcome)
            for key in self._stale:
                fitted = estimate_row(key, groups[key], self.manifest)
                self._rows[key] = fitted or next(iter(jnd_rows(key, groups[key], self.manifest)), None)
            self._stale.clear()
            self._tables_due = time.monotonic() + PATIENCE * (time.monotonic() - begun)
        return [row for _, row in sorted(self._rows.items()) if row is not None and row.n]


@functools.cache
def _quick(question: Question) -> Question:
    """Return a question that reads each different answer once."""
    if question.form is None:
        return question
    return replace(question, reader=functools.lru_cache(50_000)(question.reader_of(None)))
