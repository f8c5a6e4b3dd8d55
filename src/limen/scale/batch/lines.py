"""What a run knows of the questions it has in files: a row of its store for each line, and one for each round.

A line is called by the key of its answer and the number of its round, so that order, doubles and files of earlier
rounds do no harm, and nothing of a photograph's name travels.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limen.store import Store, entries
from limen.trial import LASTING, Trial

LINES, ROUNDS = "batch", "batch-round"  # stages of the store's measurements
ANSWERED = "ok"
_Level = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Line(msgspec.Struct, omit_defaults=True):
    """A question in a file, and what has come of it.

    Attributes:
        round: number of the round, from 1.
        file: name of the file in the round's folder.
        observer, question, series, reference, level, draw, again, part, wording, form: of its trial.
        ahead: whether no procedure needed it yet.
        letters: whether the question offered A for yes and B for no.
        outcome: "ok" or a kind of failure; "" while nothing has come back.
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


class Round(msgspec.Struct):
    """One observer's part of a round.

    Attributes:
        round: its number, from 1.
        observer: by name.
        format: of the files (`limen.scale.batch.formats`).
        candidates: log probabilities that were asked for at each position.
        lines: in all its files.
        files: their names.
        bytes: of all of them.
    """

    round: _Level
    observer: str
    format: str
    candidates: _Level
    lines: _Level
    files: list[str]
    bytes: _Level


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
    """All lines of a run by what they are called, and its rounds in order."""

    lines: dict[str, Line] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Ledger":
        """Return what a run directory knows; nothing where there is no run.

        Raises:
            StoreError: it cannot be read, or holds rows that limen does not write.
        """
        if not (path / "manifest.json").exists():
            return cls()
        file = path / "trials.db"
        with Store.open(path) as store:
            lines = {
                name: entries.fit(file, row, Line, f"in the row {name[:80]!r} of {LINES!r} ")
                for name, row in store.measurements(LINES).items()
            }
            rounds = [
                entries.fit(file, row, Round, f"in the row {name[:80]!r} of {ROUNDS!r} ")
                for name, row in store.measurements(ROUNDS).items()
            ]
        return cls(lines, sorted(rounds, key=lambda one: (one.round, one.observer)))

    @property
    def last(self) -> int:
        """The number of the last round; 0 for none."""
        return max((one.round for one in self.rounds), default=0)

    def unread(self) -> list[str]:
        """Return the last round's files of which not one line has come back, as ROUND/FILE."""
        heard = {one.file for one in self.lines.values() if one.round == self.last and one.outcome}
        files = [file for one in self.rounds if one.round == self.last for file in one.files]
        return [f"{folder(self.last)}/{file}" for file in files if file not in heard]

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
        mine = [one.candidates for one in self.rounds if one.observer == observer]
        refused = any(one.outcome == "logprobs-refused" for one in self.lines.values() if one.observer == observer)
        return 0 if refused else min([wanted, *mine[-1:]])

    def in_order(self) -> list[tuple[str, Line]]:
        """Return names and lines, round by round."""
        return sorted(self.lines.items(), key=lambda item: (item[1].round, item[0]))


def folder(round_: int) -> str:
    """Return the name of a round's folder."""
    return f"round-{round_:03d}"


def rows(lines: dict[str, Line]) -> dict[str, dict[str, Any]]:
    """Return lines as the store keeps them."""
    return {name: msgspec.to_builtins(line) for name, line in lines.items()}
