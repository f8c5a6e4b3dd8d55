"""What a run knows of the questions it has in files: a row of its store for each line, and one for each round.

A line is called by the key of its answer and the number of its round, so that order, doubles and files of earlier
rounds do no harm, and nothing of a photograph's name travels.

Where runs are merged, their rounds have the same numbers and their files the same names: each round then has a tag,
which is made of the names of its lines, so that it is the same in a copy.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limen import digest
from limen.store import Store, entries
from limen.trial import LASTING, Trial

LINES, ROUNDS = "batch", "batch-round"  # stages of the store's measurements
ANSWERED = "ok"
_Level = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Which = tuple[int, str, str]  # a round: its number, its observer, its tag


class Line(msgspec.Struct, omit_defaults=True):
    """A question in a file, and what has come of it.

    Attributes:
        round: number of the round, from 1.
        file: name of the file in the round's folder.
        observer, question, series, reference, level, draw, again, part, wording, form: of its trial.
        ahead: whether no procedure needed it yet.
        letters: whether the question offered A for yes and B for no.
        outcome: "ok" or a kind of failure; "" while nothing has come back.
        tag: of its round, where that came from another run.
    """

    round: _Level
    file: str
    observer: str
    question: str
    series: str
    reference: _Level
    level: _Level
    draw: _Level = 0
    again: bool = False
    part: _Level = 0
    wording: str = ""
    form: str = ""
    ahead: bool = False
    letters: bool = False
    outcome: str = ""
    tag: str = ""

    @classmethod
    def of(cls, trial: Trial, round_: int, file: str, ahead: bool, letters: bool) -> "Line":
        """Return the line of a trial.

        Args:
            trial: without its answer.
            round_: number of the round, >= 1.
            file: name of the file.
            ahead: whether no procedure needs it yet.
            letters: whether its question offers A for yes and B for no.
        """
        about = {name: getattr(trial, name) for name in Trial.__slots__ if name not in ("key", "answer")}
        return cls(round=round_, file=file, ahead=ahead, letters=letters, **about)

    def trial(self, key: str) -> Trial:
        """Return the trial again, without an answer."""
        about = {name: getattr(self, name) for name in Trial.__slots__ if name not in ("key", "answer")}
        return Trial(key=key, **about)

    @property
    def which(self) -> Which:
        """The round it belongs to, as `Round.which` has it."""
        return self.round, self.observer, self.tag


class Round(msgspec.Struct, omit_defaults=True):
    """One observer's part of a round.

    Attributes:
        round: its number, from 1.
        observer: by name.
        format: of the files (`limen.scale.batch.formats`).
        candidates: log probabilities that were asked for at each position.
        lines: in all its files.
        files: their names.
        bytes: of all of them.
        beside: whether references are shown beside themselves, too.
        tag: tells it from those of the same number in runs that were merged; "" in the run that wrote it.
        run: the name of the run it was merged from.
        past: whether a later round was written since, where its number does not say so.
        heard: those of its files of which something had come back when it was merged.
    """

    round: _Level
    observer: str
    format: str
    candidates: _Level
    lines: _Level
    files: list[str]
    bytes: _Level
    beside: bool = True
    tag: str = ""
    run: str = ""
    past: bool = False
    heard: list[str] = []

    @property
    def which(self) -> Which:
        """What its lines say of it."""
        return self.round, self.observer, self.tag

    @property
    def key(self) -> str:
        """The key of its row."""
        return f"{self.round} {self.observer}{f' {self.tag}' if self.tag else ''}"


def custom_id(key: str, round_: int) -> str:
    """Return what a line is called: 34 to 44 characters of what every service takes.

    Args:
        key: of the answer.
        round_: number of the round, >= 1.
    """
    return f"{key}-{round_}"


def key_of(name: str) -> str:
    """Return the key of the answer to a line."""
    return name.rpartition("-")[0]


@dataclass
class Ledger:
    """All lines of a run by what they are called, and its rounds in order.

    Attributes:
        lines: by what they are called.
        rounds: by number.
        answered: keys of answers that are there, of the lines for which nothing has come back.
    """

    lines: dict[str, Line] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path) -> "Ledger":
        """Return what a run directory knows; nothing where there is no run.

        Raises:
            StoreError: it cannot be read, or holds rows that limen does not write.
        """
        if not (path / "manifest.json").exists():
            return cls()
        with Store.open(path) as store:
            return cls.read(store)

    @classmethod
    def read(cls, store: Store) -> "Ledger":
        """Return what a run knows that is open.

        Raises:
            StoreError: it holds rows that limen does not write.
        """
        file = store.path / "trials.db"
        lines = {
            name: entries.fit(file, row, Line, f"in the row {name[:80]!r} of {LINES!r} ")
            for name, row in store.measurements(LINES).items()
        }
        rounds = [
            entries.fit(file, row, Round, f"in the row {name[:80]!r} of {ROUNDS!r} ")
            for name, row in store.measurements(ROUNDS).items()
        ]
        found = cls(lines, sorted(rounds, key=_place))
        found.look(store)
        return found

    @classmethod
    def joined(cls, each: Iterable[tuple[str, "Ledger"]]) -> "Ledger":
        """Return what several runs know as one: what nothing has come back for in one of them is waited for.

        A question that two runs wrote into files of their own counts once: as answered if it is, else as the one that
        is still waited for.

        Args:
            each: what a run is called and what it knows, the earliest first.
        """
        lines, rounds = dict[str, Line](), dict[Which, Round]()
        for run, mine in each:
            tags, heard = mine._tags(), mine._heard()
            for one in mine.rounds:
                known = msgspec.structs.replace(
                    one, tag=tags[one.which], run=one.run or run, past=not mine._is_last(one),
                    heard=[file for file in one.files if (one.which, file) in heard],
                )  # fmt: skip
                there = rounds.setdefault(known.which, known)
                there.past |= known.past
                there.heard = sorted({*there.heard, *known.heard})
            for name, line in mine.lines.items():
                line = msgspec.structs.replace(line, tag=tags.get(line.which, line.tag))
                if name not in lines or _says_more(line, lines[name]):
                    lines[name] = line
        return cls(lines, sorted(rounds.values(), key=_place))

    def rows(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return all of it as the store keeps it, by stage."""
        return {LINES: rows(self.lines), ROUNDS: {one.key: msgspec.to_builtins(one) for one in self.rounds}}

    def look(self, store: Store) -> None:
        """Find out which of the lines that nothing has come back for have their answer from elsewhere."""
        keys = {key_of(name) for name, _ in self._silent()}
        self.answered = {key for key in keys if store.get(key) is not None}

    @property
    def last(self) -> int:
        """The number of the last round; 0 for none."""
        return max((one.round for one in self.rounds), default=0)

    def unread(self) -> list[str]:
        """Return the files that are waited for: nothing has come back, and not all is answered; as ROUND/FILE."""
        heard, waiting = self._heard(), self._waiting()
        return [
            f"{folder(one.round)}/{file}{f' of {one.run}' if one.run else ''}"
            for one in self.rounds
            for file in one.files
            if (place := (one.which, file)) in waiting and place not in heard
        ]

    def missing(self) -> int:
        """Return how many questions nothing came back for, though other lines of their files did."""
        heard, waiting = self._heard(), self._waiting()
        return sum(count for place, count in waiting.items() if place in heard)

    def passed(self) -> list[Round]:
        """Return the rounds of merged runs that were their last ones, as they are when another one follows."""
        last = [one for one in self.rounds if one.tag and not one.past]
        return [msgspec.structs.replace(one, past=True) for one in last]

    def _heard(self) -> set[tuple[Which, str]]:
        found = {(one.which, one.file) for one in self.lines.values() if one.outcome}
        return found | {(one.which, file) for one in self.rounds for file in one.heard}

    def _waiting(self) -> Counter[tuple[Which, str]]:
        return Counter((one.which, one.file) for name, one in self._silent() if key_of(name) not in self.answered)

    def _silent(self) -> Iterator[tuple[str, Line]]:
        """Yield the lines of last rounds that nothing has come back for."""
        last = {one.which for one in self.rounds if self._is_last(one)}
        yield from ((name, one) for name, one in self.lines.items() if not one.outcome and one.which in last)

    def _is_last(self, one: Round) -> bool:
        """Say whether no later round was written in its run."""
        return not one.past and (bool(one.tag) or one.round == self.last)

    def _tags(self) -> dict[Which, str]:
        """Return the tag of each round."""
        names: dict[Which, list[str]] = {one.which: [] for one in self.rounds}
        for name, one in self.lines.items():
            names.setdefault(one.which, []).append(name)
        return {which: which[2] or digest.of(sorted(own))[:8] for which, own in names.items()}

    def lasting(self, observer: str) -> dict[str, Line]:
        """Return an observer's lines, by the key of the answer, whose failure would come again."""
        latest = {key_of(name): one for name, one in self.in_order() if one.observer == observer}
        return {key: one for key, one in latest.items() if one.outcome in LASTING}

    def candidates(self, observer: str, wanted: int) -> int:
        """Return how many log probabilities to ask an observer for, after what its service said to earlier lines.

        Args:
            observer: by name.
            wanted: by its settings, >= 0.
        """
        mine = [one for one in self.rounds if one.observer == observer]
        last = max((one.round for one in mine), default=0)
        refused = any(one.outcome == "logprobs-refused" for one in self.lines.values() if one.observer == observer)
        return 0 if refused else min([wanted, *(one.candidates for one in mine if one.round == last)])

    def in_order(self) -> list[tuple[str, Line]]:
        """Return names and lines, round by round."""
        return sorted(self.lines.items(), key=lambda item: (item[1].round, item[0]))


def folder(round_: int) -> str:
    """Return the name of a round's folder."""
    return f"round-{round_:03d}"


def rows(lines: dict[str, Line]) -> dict[str, dict[str, Any]]:
    """Return lines as the store keeps them."""
    return {name: msgspec.to_builtins(line) for name, line in lines.items()}


def _place(one: Round) -> tuple[int, str, str]:
    return one.round, one.observer, one.run


def _says_more(line: Line, there: Line) -> bool:
    """Say whether one row of a line is to stand for both: an answer first, then what is known of the same file."""
    if ANSWERED in (line.outcome, there.outcome):
        return there.outcome != ANSWERED
    known, silent = (line, there) if line.tag == there.tag else (there, line)
    return bool(known.outcome) and not silent.outcome
