"""The pieces that a stage of a run is made of: done here one after another, or by replicas as they are free."""

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from limen.feature.course import Course
from limen.feature.plan import needed
from limen.feature.run import FeatureRun
from limen.feature.spread import RunCrew, piece
from limen.feature.tolerance import ProgressCallback
from limen.store.rows import measured

StoredRow: TypeAlias = dict[str, Any]


ExpectCallback: TypeAlias = Callable[[float], None]
"""What a stage calls before it begins, with the seconds that what the run does not hold yet takes here, about."""


@dataclass(frozen=True, slots=True)
class Division:
    """How what a piece does with test images is divided among replicas.

    Attributes:
        part: what some of the batches of test images add, from the run and a slice of them; it travels.
        whole: the rows, from the run and what all batches add, in their order.
    """

    part: Callable[[FeatureRun, slice], Any]
    whole: Callable[[FeatureRun, Sequence[Any]], dict[str, StoredRow]]


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of a stage: its rows are written at once, and not worked out again.

    Attributes:
        keys: of its rows.
        seed: whose images it looks at.
        note: what it is, for progress.
        rows: what gives them.
        seconds: that it takes, once the images of the seed are encoded.
        label: of the only map that it looks at, "" for none; replicas are sent no others.
        division: how its images are divided; None where they are not.
    """

    keys: tuple[str, ...]
    seed: int
    note: str
    rows: Callable[[FeatureRun], dict[str, StoredRow]]
    seconds: Callable[[Course], float]
    label: str = ""
    division: Division | None = None


def fill(
    run: FeatureRun,
    stage: str,
    works: Sequence[Work],
    images: int,
    progress: ProgressCallback,
    expect: ExpectCallback | None,
    crew: RunCrew | None = None,
) -> list[StoredRow]:
    """Do the pieces that the run does not hold, and return the rows of all.

    Args:
        run: to fill.
        stage: of the rows.
        works: its pieces.
        images: of its seed that each encodes, once.
        progress: called with pieces done, pieces in all, and a note.
        expect: called with the seconds that is expected to take, where anything is missing; not with a crew.
        crew: replicas that do it; None to do it here.
    """
    there = measured(run.store, stage)
    missing = [work for work in works if not set(work.keys) <= there.keys()]
    if expect and missing and crew is None:
        seconds = sum(work.seconds(run.course) for work in missing)
        expect(seconds + images * len({work.seed for work in missing}) * run.pace.clean)
    total, done = len(works), len(works) - len(missing)
    doing = _here(run, missing) if crew is None else _spread(run, missing, crew)
    progress(done, total, missing[0].note if missing else "done")
    for number, (work, rows) in enumerate(doing, 1):
        run.store.add_measurements(stage, rows)
        there |= rows
        following = missing[number].note if number < len(missing) else "done"
        progress(done + number, total, following if crew is None else work.note)
    wanted = [key for work in works for key in work.keys if key in there]
    return [there[key] for key in dict.fromkeys(wanted)]


def _here(run: FeatureRun, works: Sequence[Work]) -> Iterator[tuple[Work, dict[str, StoredRow]]]:
    for work in works:
        yield work, work.rows(run)


def _spread(run: FeatureRun, works: Sequence[Work], crew: RunCrew) -> Iterator[tuple[Work, dict[str, StoredRow]]]:
    """Have pieces done by replicas; where there are more of these, divide the test images of a piece among them.

    They are divided into the batches that one process goes through, and what these add is put together here in their
    order, so the rows are the same.
    """
    each = max(1, run.batches * len(works) // crew.count)  # batches at once
    divided = {number: _division(run, work) for number, work in enumerate(works) if each < run.batches}
    parts = [
        (number, first)
        for number, work in enumerate(works)
        for first in (range(0, run.batches, each) if divided.get(number) else (0,))
    ]

    def do(number: int, first: int) -> Callable[[FeatureRun], Any]:
        division = divided.get(number)
        if division is None:
            return works[number].rows
        return functools.partial(_some, division.part, slice(first, first + each))

    pieces = [
        piece(
            run,
            works[number].seed,
            needed(run.plan.maps, label) if (label := works[number].label) else [],
            do(number, first),
        )
        for number, first in parts
    ]
    found: dict[int, dict[int, Any]] = {number: {} for number in divided}
    for place, result in crew.each(pieces, operator.attrgetter("seed")):
        number, first = parts[place]
        division = divided.get(number)
        if division is None:
            yield works[number], result
            continue
        found[number][first] = result
        if len(found[number]) == len(range(0, run.batches, each)):
            yield works[number], division.whole(run, [part for _, part in sorted(found.pop(number).items())])


def _division(run: FeatureRun, work: Work) -> Division | None:
    """Return how a piece is divided; not where the answers of a task of somebody's own may be unable to travel."""
    own = type(run.task).__module__.startswith("limen.feature.tasks.")
    return work.division if own else None


def _some(part: Callable[[FeatureRun, slice], Any], batches: slice, run: FeatureRun) -> Any:
    return part(run, batches)
