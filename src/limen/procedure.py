"""What a procedure is: a generator that yields what it needs asked, is sent the verdicts, returns thresholds.

Pure: no images, no observers, no store. So the paper's scan is a few lines that read like the paper, can be
tested with any answers, and many series are advanced side by side. To add one, put a file into `procedures/`:

    @procedure("first-yes")
    class FirstYes(msgspec.Struct, frozen=True):
        def start(self, ladder): ...
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from limen import registry
from limen.ladder import Ladder
from limen.parsing.yes_no import Flag, Verdict
from limen.statistics.observer_model import Prior
from limen.threshold import Estimate, Threshold


@dataclass(frozen=True, slots=True, order=True)
class Probe:
    """One comparison: the stimulus at `level` with the one at `reference`; `draw` > 0 is a declared second draw."""

    reference: int
    level: int
    draw: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a procedure wants answered before it goes on; several probes at once are independent."""

    needed: tuple[Probe, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search for the next JND ends with: a level (None: there is none up to the end), and how sure that is."""

    level: int | None
    certainty: float = 1.0


Verdicts: TypeAlias = Mapping[Probe, Verdict]
Result: TypeAlias = tuple[Threshold, ...] | tuple[Estimate, ...]
Procedure: TypeAlias = Generator[Ask, Verdicts, Result]
Search: TypeAlias = Generator[Ask, Verdicts, SearchResult]


class Method(Protocol):
    """What `procedures/` holds: settings, and a way to start on one series.

    One that returns `Estimate`s has `fits = True` in its class, so that a run without a result is still known as one;
    one that asks nothing and takes what was recorded, `asks = False`.
    """

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A method whose later series profit from earlier ones, in waves."""

    def start(self, ladder: Ladder, prior: Prior | None = None) -> Procedure:
        """Begin on a series with this ladder, and what earlier series taught."""
        ...

    def learn(self, ladder: Ladder, outcomes: Iterable[Verdicts]) -> Prior | None:
        """Return what these series teach about the next ones; pure, and without regard to their order."""
        ...


def begin(method: Method, ladder: Ladder, prior: Prior | None = None) -> Procedure:
    """Begin on a series; a method that does not learn has no use for the prior.

    A ladder of one level (spot the difference) has no threshold to find: its one question is put, whatever the method.

    Args:
        method: with its settings.
        ladder: of the series, one level or more.
        prior: what earlier series taught; None where there is nothing.
    """
    if len(ladder) == 1:
        return _once()
    return method.start(ladder, prior) if isinstance(method, Learner) else method.start(ladder)


def _once() -> Procedure:
    yield Ask((Probe(0, 1),))
    return ()


LONGEST = 1_000  # levels of a ladder that settings of procedures reckon with; limen's own have up to 100
Level = Annotated[int, msgspec.Meta(ge=1, le=LONGEST)]
Gap = Level  # where the confirmation window begins, above the candidate
Window = Annotated[int, msgspec.Meta(ge=0, le=LONGEST)]  # levels of it
Orders = Annotated[int, msgspec.Meta(ge=0, le=LONGEST)]  # JNDs to look for; 0 for all
Draws = Annotated[int, msgspec.Meta(ge=1, le=1_000)]  # of one pair
Repeats = Annotated[int, msgspec.Meta(ge=0, le=1_000)]  # the same where the procedure may choose: `AS_OFTEN`
AS_OFTEN = 0  # as the next question is the most telling one; only of an observer that answers by chance
Levels = Annotated[tuple[Level, ...], msgspec.Meta(max_length=LONGEST)]

T = TypeVar("T", bound=type[msgspec.Struct])


def procedure(name: str) -> Callable[[T], T]:
    """Register a `msgspec.Struct` with a `start` method as the procedure `name`; its fields are the settings."""
    return registry.add("procedure", name)


def make(name: str, settings: Mapping[str, Any]) -> Method:
    """Make the procedure `name`; raises `UnknownNameError`, or `InputError` naming the nearest setting."""
    method: Method = registry.settings(f"Procedure {name!r}", settings, registry.find("procedure", name), commas=True)
    return method


def pattern(start: int, gap: int, confirm: int, levels: int) -> tuple[int, ...]:
    """Return the levels that must all say yes for `start` to be the JND, cut at the end of the ladder.

    The candidate X_k, then the paper's window X_{k + i_a} .. X_{k + i_a + w - 1} (i_a = `gap`, w = `confirm`).

    Args:
        start: the candidate k, >= 1.
        gap: i_a, >= 1.
        confirm: w, >= 0.
        levels: L, >= `start`.
    """
    return tuple(k for k in (start, *range(start + gap, start + gap + confirm)) if k <= levels)


def ask(known: dict[Probe, Verdict], *probes: Probe) -> Generator[Ask, Verdicts, None]:
    """Get into `known` whichever of `probes` is not there yet."""
    missing = tuple(dict.fromkeys(probe for probe in probes if probe not in known))
    if missing:
        known.update((yield Ask(missing)))


def chain(ladder: Ladder, gap: int, confirm: int, orders: int, search: Callable[[int], Search]) -> Procedure:
    """Find the 1st to n-th JND: each one replaces the reference, and the search goes on one level above.

    Args:
        ladder: of the series.
        gap: i_a of `pattern`, >= 1.
        confirm: w of `pattern`, >= 0.
        orders: how many JNDs to look for, >= 0; 0 means as many as the ladder holds.
        search: given a reference level, finds the next JND.
    """
    levels, reference = len(ladder), 0
    found: list[Threshold] = []
    while reference < levels and (not orders or len(found) < orders):
        next_ = yield from search(reference)
        order, level, certainty = len(found) + 1, next_.level, next_.certainty
        if level is None:
            found.append(Threshold(order, levels, ladder[levels], True, False, reference, certainty))
            break
        whole = not confirm or level + gap + confirm - 1 <= levels
        found.append(Threshold(order, level, ladder[level], False, whole, reference, certainty))
        reference = level
    return tuple(found)


def foresee(method: Method, ladder: Ladder, prior: Prior | None, known: Verdicts, depth: int) -> tuple[Probe, ...]:
    """Return what may be asked next, whatever the answers to what is asked now: all yes, or all no.

    A procedure is a generator without side effects, so it can be run again on the verdicts so far and on supposed ones.
    Nothing of it enters a decision: the procedure itself still waits for what it needs.

    Args:
        method: with its settings.
        ladder: of the series.
        prior: what earlier series taught; None where there is nothing.
        known: verdicts by probe, so far.
        depth: how many asks to look ahead, >= 0.
    """
    now = pending(method, ladder, prior, known)
    ahead: dict[Probe, None] = {}
    cases = [(dict(known), now)]
    for _ in range(depth):
        supposed = [
            before | dict.fromkeys(asked, Verdict(flag))
            for before, asked in cases
            if asked
            for flag in (Flag.NO, Flag.YES)
        ]
        cases = [(verdicts, pending(method, ladder, prior, verdicts)) for verdicts in supposed]
        ahead |= dict.fromkeys(probe for _, asked in cases for probe in asked)
    return tuple(probe for probe in ahead if probe not in now)


def pending(method: Method, ladder: Ladder, prior: Prior | None, known: Verdicts) -> tuple[Probe, ...]:
    """Return what a procedure that was sent these verdicts asks next; () where it has ended.

    Args:
        method: with its settings.
        ladder: of the series.
        prior: what earlier series taught; None where there is nothing.
        known: verdicts by probe, in any order.
    """
    course = begin(method, ladder, prior)
    try:
        asked = next(course)
        while all(probe in known for probe in asked.needed):
            asked = course.send({probe: known[probe] for probe in asked.needed})
    except StopIteration:
        return ()
    return asked.needed


def find(name: str) -> type[msgspec.Struct]:
    """Return the class registered as the procedure `name`, or raise `UnknownNameError`."""
    found: type[msgspec.Struct] = registry.find("procedure", name)
    return found


def skip(reference: int, levels: int, gap: int, confirm: int) -> Search:
    """Find the scan's next JND, asking each candidate's pattern from its last level to its first.

    A no at p rules out every candidate whose pattern holds p (Boyer and Moore 1977 search text this way). Both this
    and the scan return the smallest k whose whole pattern says yes, for every set of answers.

    Args:
        reference: level of the reference, 0..L - 1.
        levels: L, >= 1.
        gap: i_a, >= 1.
        confirm: w, >= 0.
    """
    known: dict[Probe, Verdict] = {}
    for k in range(reference + 1, levels + 1):
        probes = [Probe(reference, p) for p in reversed(pattern(k, gap, confirm, levels))]
        if any(probe in known and not known[probe].yes for probe in probes):
            continue
        for probe in probes:
            yield from ask(known, probe)
            if not known[probe].yes:
                break
        else:
            return SearchResult(k)
    return SearchResult(None)


def first_answers(outcome: Verdicts) -> tuple[tuple[int, bool], ...]:
    """Return the readable answers against the undistorted reference, as (level, yes), all draws, in order."""
    return tuple(
        (probe.level, verdict.yes)
        for probe, verdict in sorted(outcome.items())
        if probe.reference == 0 < probe.level and verdict.flag is not Flag.UNREADABLE
    )
