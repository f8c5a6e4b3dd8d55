"""Who of a run is a person, and whether they looked: catch trials by the rule that was declared beforehand.

Who fails the rule stays in the run and in rows of their own; figures over people leave them out and say so.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol

from limen import participant
from limen.curve import Share
from limen.store import Store, entries
from limen.store.entries import Manifest
from limen.trial import Presentation


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One participant of a run.

    Attributes:
        observer: by name.
        catches: right answers to catch trials.
        rule: the name of the attention rule; "" where none was declared.
        share: of catch trials that must be right, by the rule; 0 without one.
        fewest: catch trials below which nobody is judged by it.
        passed: the rule; None where there are too few catch trials to judge, or no rule.
        presentations: times that a question was shown.
        sittings: how many.
        minutes: that they took, pauses that nobody asked for left out; None where no sitting ended in order.
        gaps: pauses that nobody asked for (a closed laptop, a hidden tab): begin and end, in seconds since 1970.
        practice: right answers to questions of practice.
    """

    observer: str
    catches: Share
    rule: str
    share: float
    fewest: int
    passed: bool | None
    presentations: int
    sittings: int
    minutes: float | None
    gaps: tuple[tuple[float, float], ...]
    practice: Share

    @property
    def counted(self) -> bool:
        """Whether figures over people count this one: all but who failed."""
        return self.passed is not False


class Rule(Protocol):
    """An attention rule, as a study file or a manifest says it."""

    @property
    def share(self) -> float:
        """Of catch trials that must be right, at least."""
        ...

    @property
    def fewest(self) -> int:
        """Catch trials below which nobody is judged."""
        ...


def passed(rule: Rule, right: Share) -> bool | None:
    """Say whether an attention rule is passed; None where there are too few catch trials to judge.

    Args:
        rule: that was declared.
        right: catch trials that were right.
    """
    return right.k >= rule.share * right.n - 1e-9 if right.n >= rule.fewest else None


def persons(
    store: Store, manifest: Manifest
) -> tuple[tuple[PersonRow, ...], tuple[Presentation, ...]]:  # fmt: skip
    """Return the participants of a run, in the manifest's order, and how questions were shown to them.

    Args:
        store: of the run.
        manifest: of the run.
    """
    people = participant.people_of(manifest.observers)
    if not people:
        return (), ()
    shown = store.presentations()
    caught = defaultdict[str, list[bool]](list)
    for row in store.measurements(entries.CATCHES).values():
        caught[row["observer"]].append(row["right"])
    sittings = defaultdict[str, list[entries.SittingEntry]](list)
    for row in store.measurements(entries.SITTINGS).values():
        sittings[row["observer"]].append(entries.SittingEntry(**row))
    counts: dict[str, int] = defaultdict(int)
    for one in shown:
        counts[one.session.rpartition("/")[0]] += 1
    rule = manifest.people.attention if manifest.people is not None else None
    rows = []
    for name in people:
        right = Share(sum(caught[name]), len(caught[name]))
        mine = sorted(sittings[name], key=lambda sitting: sitting.number)
        spent = [_seconds(one) for one in mine]
        known = [seconds for seconds in spent if seconds is not None]
        rows.append(PersonRow(
            name, right, rule.name if rule else "", rule.share if rule else 0.0, rule.fewest if rule else 0,
            passed(rule, right) if rule is not None else None,
            counts[name], len(mine), sum(known) / 60 if known else None,
            tuple(gap for one in mine for gap in map(_gap, one.gaps)),
            Share(sum(one.practice[0] for one in mine), sum(one.practice[1] for one in mine)),
        ))  # fmt: skip
    return tuple(rows), shown


def _gap(gap: tuple[float, float]) -> tuple[float, float]:
    begin, end = gap
    return float(begin), float(end)


def _seconds(sitting: entries.SittingEntry) -> float | None:
    """Return how long a sitting took without its gaps; None where it was not ended in order."""
    if sitting.ended is None:
        return None
    away = sum(max(0.0, end - begin) for begin, end in sitting.gaps)
    return max(0.0, sitting.ended - sitting.began - away)
