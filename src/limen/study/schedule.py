"""In which order series are put, so that a procedure that learns learns the same whatever the concurrency.

The series of one observer, question and distortion are frozen, in the order of their digests, into waves of 8, 16, 32,
...; a larger study appends waves. A wave begins when the ones before it are through, with a prior learnt from all
that they finished and written once. Learning in order of arrival would give other thresholds in every rerun.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from limen.distortion import Distortion
from limen.errors import StoreError
from limen.procedure import Learner, Method, Verdicts
from limen.question import Question
from limen.statistics.observer_model import Prior
from limen.stimulus import Series
from limen.store import Store

FIRST = 8


@dataclass(frozen=True, slots=True)
class Assignment:
    """One series to be put now, and what earlier ones taught."""

    question: Question
    series: Series
    prior: Prior | None = None


@dataclass
class _Group:
    """The series of one question and distortion, wave by wave."""

    question: Question
    kind: Distortion
    waves: dict[int, list[Series]]
    open: int = 0
    waiting: bool = False
    taught: list[Verdicts] = field(default_factory=list)


def encode(prior: Prior | None) -> bytes:
    """Return a prior as the store keeps it."""
    return msgspec.json.encode(prior)


def decode(content: bytes | None) -> Prior | None:
    """Return a kept prior; None where there is none. Raises `StoreError` where it is none."""
    try:
        return msgspec.json.decode(content, type=Prior | None) if content else None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(
            f"trials.db: what a wave begins with cannot be read ({error}). Restore it from a copy."
        ) from None


class Schedule:
    """Hands out turns to any number of workers, each in its wave."""

    def __init__(
        self, store: Store, observer: str, method: Method, questions: Iterable[Question], series: Sequence[Series]
    ) -> None:
        self._store, self._observer, self._method = store, observer, method
        self._ready: deque[Assignment] = deque()
        self._groups: dict[tuple[str, str], _Group] = {}
        self._change = asyncio.Condition()
        learns = isinstance(method, Learner)
        graded = [one for one in series if learns and len(one) > 1]  # one level has nothing to learn
        for question in questions:
            self._freeze(question, graded)
            self._ready.extend(Assignment(question, one) for one in series if not learns or len(one) == 1)

    async def take(self) -> Assignment | None:
        """Return the next turn, waiting for a wave to end where that must come first; None when all are taken."""
        async with self._change:
            while not self._ready:
                for group in self._groups.values():
                    if not group.open and not group.waiting and group.waves:
                        await self._begin(group)
                if self._ready:
                    break
                if not any(group.open for group in self._groups.values()):
                    return None
                await self._change.wait()
            return self._ready.popleft()

    def waiting(self) -> list[Assignment]:
        """Return the turns whose wave must wait for series that stay open."""
        return [
            Assignment(group.question, one)
            for group in self._groups.values()
            for wave in group.waves.values()
            for one in wave
        ]

    async def done(self, turn: Assignment, verdicts: Verdicts | None, lasting: bool = False) -> None:
        """Say that a turn is over.

        Args:
            turn: which.
            verdicts: on what was asked; None where the series stays open. The group's later waves then wait for
                another session, because what they begin with is written once.
            lasting: the series can never be finished (its picture is gone, say), so nothing waits for it.
        """
        async with self._change:
            group = self._groups.get((turn.question.name, turn.series.distortion.name))
            if group is not None:
                group.open -= 1
                if verdicts is not None:
                    group.taught.append(verdicts)
                group.waiting |= verdicts is None and not lasting
            self._change.notify_all()

    def _freeze(self, question: Question, series: Sequence[Series]) -> None:
        """Divide into waves: those the store knows stay, new series follow in new waves."""
        known = self._store.waves(self._observer, question.name)
        by_kind: dict[str, list[Series]] = defaultdict(list)
        for one in sorted(series, key=lambda one: one.id):
            by_kind[one.distortion.name].append(one)
        rows = []
        for kind, members in by_kind.items():
            waves: dict[int, list[Series]] = defaultdict(list)
            for one in members:
                if one.id in known:
                    waves[known[one.id]].append(one)
            fresh = [one for one in members if one.id not in known]
            number = max(waves, default=-1) + 1
            while fresh:
                size = FIRST << number
                waves[number], fresh = fresh[:size], fresh[size:]
                rows += [(self._observer, question.name, one.id, kind, number) for one in waves[number]]
                number += 1
            self._groups[question.name, kind] = _Group(question, members[0].distortion, dict(sorted(waves.items())))
        self._store.add_waves(rows)

    async def _begin(self, group: _Group) -> None:
        """Begin a group's next wave."""
        number = min(group.waves)
        wave = group.waves.pop(number)
        prior = await self._prior(group, number) if number else None
        self._ready.extend(Assignment(group.question, one, prior) for one in wave)
        group.open = len(wave)

    async def _prior(self, group: _Group, number: int) -> Prior | None:
        key = group.kind.name, number
        kept = self._store.priors(self._observer, group.question.name)
        if key in kept:
            return decode(kept[key])
        assert isinstance(self._method, Learner)
        prior = await asyncio.to_thread(self._method.learn, group.kind.ladder, list(group.taught))
        await self._store.add_prior(self._observer, group.question.name, *key, encode(prior))
        return decode(encode(prior))
