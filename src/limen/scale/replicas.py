"""One observer as several: replicas of it in processes of Ray's, on as many GPUs and nodes as there are.

A study puts its questions to `Replicated` as to the observer itself: procedures, store and keys know nothing of it,
and one process, the study's, decides and writes. A replica answers; where it is lost with its process or its node, what
it was being asked is asked elsewhere, which the store's attempts record ("replica-lost"), and another takes its place.

A series stays at one replica, which may remember what it made of its pictures (`limen.scale.servers`). Answers do not
depend on that, except where a model's arithmetic does on what it is asked beside (`Observer.batch`): there the share of
equal answers is measured before a replica is used, and told.
"""

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar, cast

from limen import __version__, digest, registry
from limen import observer as observers
from limen.errors import FatalObserverError, InputError, LimenError, ObserverError
from limen.image import Picture
from limen.observer import MOST_AT_ONCE, Observer, Query, Reply
from limen.preflight import questions
from limen.preflight.model_input import CriterionObserver, InputObserver, ModelInput
from limen.scale.cluster import ENDED, Placement, ended, library
from limen.scale.process import LEAVE, LOSSES, PAUSE, TRIES, Full, Lost, Refusal, Setting, calling, other_version
from limen.scale.servers import Servers
from limen.scale.tasks import GLANCE, Replicas
from limen.trial import Answer, Attempt, Trial

PROBES = 12  # questions whose answers are compared

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class _About:
    """What a replica says of itself; the fingerprint is None while its criterion is not fixed."""

    version: str
    node: str
    notice: str
    fingerprint: Mapping[str, Any] | None


def _refusing(method: F) -> F:
    """Return an error of limen's instead of raising it."""

    @functools.wraps(method)
    async def call(self: "_Replica", *given: Any) -> Any:
        try:
            return await method(self, *given)
        except LimenError as error:
            return Refusal.of(error)

    return cast(F, call)


class _Replica:  # pragma: no cover - in a process of Ray's, where nobody counts lines
    """The observer itself, in a process of Ray's."""

    def __init__(self, name: str, options: Mapping[str, Any], setting: Setting) -> None:
        self._made = name, options, setting
        self._observer: Observer | None = None

    @_refusing
    async def enter(self, criterion: Mapping[str, Any] | None) -> _About:
        """Make and enter the observer."""
        name, options, setting = self._made
        setting.enter()
        made = observers.make(name, options)
        self._observer = await made.__aenter__()
        if criterion is not None and isinstance(made, CriterionObserver):
            made.judge_by(criterion)
        return self._about()

    @_refusing
    async def answer(self, query: Query) -> Reply:
        """Answer one query; an observer that answers several together gets those that come at the same moment."""
        return await self._entered().answer(query)

    @_refusing
    async def call(self, ability: str, given: Any) -> Any:
        """Return what one of the observer's other abilities returns."""
        return await asyncio.to_thread(getattr(self._entered(), ability), given)

    @_refusing
    async def about(self) -> _About:
        """Say what is known of the observer now."""
        return self._about()

    async def leave(self) -> None:
        """Close what the observer holds."""
        await self._entered().__aexit__(None, None, None)

    def _entered(self) -> Observer:
        if self._observer is None:
            raise ObserverError("replica-lost", "its process was begun anew")
        return self._observer

    def _about(self) -> _About:
        observer, fingerprint = self._entered(), None
        try:
            fingerprint = dict(observer.fingerprint())
        except InputError:
            if not isinstance(observer, CriterionObserver):
                raise
        return _About(__version__, socket.gethostname(), observer.notice, fingerprint)


@dataclass(eq=False)
class _Place:
    """Where one replica is, or is to be.

    Attributes:
        number: from 1.
        actor: Ray's handle; None where there is none now.
        losses: since its last answer.
        gone: set when it is found to be lost.
        node: where it is.
        over: whether it is left alone for good.
        why: it was lost last.
    """

    number: int
    actor: Any = None
    losses: int = 0
    gone: asyncio.Event | None = None
    node: str = ""
    over: bool = False
    why: str = ""


class Replicated(Observer):
    """An observer that is asked at replicas of it, on a cluster that this process is connected to.

    Args:
        name: "KIND" or "KIND:MODEL".
        options: the observer's settings by name.
        count: replicas, >= 1. Those there is no room for now join when there is.
        place: what each needs, and how long one is waited for.

    Raises:
        UnknownNameError: no such kind.
        InputError: an option that it does not take.
    """

    def __init__(self, name: str, options: Mapping[str, Any], count: int, place: Placement) -> None:
        self._given = name, dict(options)
        self._twin = twin = observers.make(name, options)  # never entered: it loads no weights
        self._placement, self._count, self._each = place, count, twin.concurrency
        self.name, self.label, self.max_tokens = twin.name, twin.label, twin.max_tokens
        self.sampled, self.numeric, self.batch = twin.sampled, twin.numeric, twin.batch
        self.concurrency = min(MOST_AT_ONCE, self._each * count)
        self.tell: Callable[[str], None] = lambda line: None
        self._criterion: Mapping[str, Any] | None = None
        self._about: _About | None = None
        self._digest = ""  # of the fingerprint, once it is known
        self._places: list[_Place] = []
        self._said: list[Answer | None] = []  # to the probes, by the first replica
        self._servers = Servers(())
        self._series: dict[str, str] = {}  # of the trials that are about to be asked, by key
        # Only what the observer itself can do: those who look for an ability must not find one that it lacks.
        if isinstance(twin, InputObserver):
            self.see = self._see
        if isinstance(twin, CriterionObserver):
            self.calibrate, self.judge_by = self._calibrate, self._judge_by

    @property
    def notice(self) -> str:
        """What the observer would say, and on how many replicas it is."""
        more = f" {self._about.notice}" if self._about is not None and self._about.notice else ""
        there = len(self._servers.used)
        waits = f"; {self._count - there} more join when they are ready" if there < self._count else ""
        return f"{self.name}: {there} of {self._count} replicas are ready{waits}.{more}"

    async def __aenter__(self) -> Self:
        self._ray = library()
        self._loop = asyncio.get_running_loop()
        self._some = asyncio.Event()  # a replica is ready, or none can be
        self._fatal: Exception | None = None
        self._places = [_Place(number) for number in range(1, self._count + 1)]
        self._servers = Servers([f"replica {place.number}" for place in self._places], self._each)
        for at in range(self._count):
            self._servers.leave(at)  # until it is there
        self._lives = [asyncio.create_task(self._live(place)) for place in self._places]
        self._lives.append(asyncio.create_task(self._outlive(ended())))
        try:
            await self._ready()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        if not ended().done():
            await asyncio.gather(*(self._leave(place) for place in self._places))
        self._series.clear()

    def fingerprint(self) -> Mapping[str, Any]:
        """Return the observer's own, which every replica shares; known inside `async with`."""
        if self._about is None:
            raise InputError(f"{self.name} has no replica yet. Use it inside `async with`.")
        if self._about.fingerprint is None:
            raise InputError(f"{self.name} has no criterion yet. Call calibrate(pictures), or judge_by(row).")
        return self._about.fingerprint

    def follow(self, trial: Trial) -> None:
        """Hear which series the next question is of: it stays at one replica.

        Args:
            trial: about to be asked; of others nothing is kept.
        """
        if trial.key and trial.answer is None:
            self._series[trial.key] = trial.series

    async def answer(self, query: Query) -> Reply:
        """Answer one query at a replica, or at another one where that is lost over it."""
        series = self._series.pop(query.key(self._digest), "") if self._series else ""
        past: list[Attempt] = []
        while True:
            place = await self._choose(series)
            began = time.perf_counter()
            try:
                reply = await self._at(place, lambda actor: actor.answer.remote(query))
            except Lost as lost:
                past.append(Attempt("replica-lost", f"{place.node}: {lost}", time.perf_counter() - began))
                if len(past) < TRIES:
                    continue
                return Reply(None, tuple(past))
            except Full as full:
                return Reply(None, (*past, Attempt("object-store-full", str(full), time.perf_counter() - began)))
            place.losses = 0
            self._servers.answered(place.number - 1)
            return Reply(reply.answer, (*past, *reply.attempts))

    # --- abilities of some observers, called in a thread beside the loop's ---

    def _see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
        """Return what reaches the model of each picture, as a replica finds it."""
        found: tuple[ModelInput, ...] = self._wait(self._anywhere("see", pictures))
        return found

    def _calibrate(self, pictures: Sequence[Picture]) -> Mapping[str, Any]:
        """Fix the criterion at one replica; all others judge by it."""
        row: Mapping[str, Any] = self._wait(self._anywhere("calibrate", pictures))
        self._judge_by(row)
        return row

    def _judge_by(self, row: Mapping[str, Any]) -> None:
        """Take the criterion from a row, at every replica that is there and every one that comes."""
        self._criterion = row
        self._wait(self._spread(row))

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _anywhere(self, ability: str, given: Any) -> Any:
        for _ in range(TRIES):
            place = await self._choose()
            with contextlib.suppress(Lost):
                return await self._at(place, lambda actor: actor.call.remote(ability, given))
        raise FatalObserverError("replica-lost", f"{self.name}: {TRIES} replicas were lost over its method {ability}")

    async def _spread(self, row: Mapping[str, Any]) -> None:
        await self._ready()
        for place in [self._places[at] for at in self._servers.used]:
            with contextlib.suppress(Lost):  # it is told when it is begun anew
                await self._judge(place, row)

    async def _judge(self, place: _Place, row: Mapping[str, Any] | None) -> _About:
        """Give a replica the criterion, and see that it then is the observer that the others are."""
        await self._at(place, lambda actor: actor.call.remote("judge_by", row))
        about: _About = await self._at(place, lambda actor: actor.about.remote())
        self._agree(place, about)
        return about

    # --- replicas ---

    async def _ready(self) -> None:
        """Wait until a replica may be asked; raise where none can be, or none has come in time."""
        try:
            await asyncio.wait_for(self._some.wait(), self._placement.wait_s)
        except TimeoutError:
            raise FatalObserverError(
                "replica-lost",
                f"no replica of {self.name} was there for {self._placement.wait_s:g} s. See on the cluster (`ray "
                "status`) whether there is room for one; what was answered is kept.",
            ) from None
        if self._fatal is not None:
            raise self._fatal

    async def _choose(self, series: str = "") -> _Place:
        """Return the replica to ask."""
        while True:
            await self._ready()
            at = self._servers.choose(series)
            if at is not None:
                return self._places[at]

    async def _at(self, place: _Place, call: Callable[[Any], Any]) -> Any:
        """Return what a replica answers to a call; find it lost where it does not."""
        self._servers.begin(place.number - 1)
        actor = place.actor
        try:
            found = await _called(self._ray, call, actor)
        except Lost as lost:
            if actor is place.actor:  # not the one that took its place since
                place.why = str(lost)
                self._lose(place)
            raise
        finally:
            self._servers.end(place.number - 1)
        if isinstance(found, Refusal):
            raise found.error(f"replica on {place.node}" if place.node else self.name)
        return found

    def _lose(self, place: _Place) -> None:
        if place.number - 1 in self._servers.used:
            self._servers.leave(place.number - 1)
            none = ""
            if not self._servers.used:
                self._some.clear()
                wait = f"{self._placement.wait_s:g} s"
                none = f" None is left; one is waited for, up to {wait}. Ctrl-C stops: what was answered is kept."
            if not ended().done():
                self.tell(f"{self.name}: a replica on {place.node} is lost ({place.why}); it is begun anew.{none}")
        if place.gone is not None:
            place.gone.set()

    async def _outlive(self, end: Future[None]) -> None:
        """Stop all of the run when Ray ends on this node."""
        while not end.done():  # not wrapped: to be cancelled here would cancel it for others
            await asyncio.sleep(GLANCE)
        self._stop(FatalObserverError("replica-lost", f"{self.name}: {ENDED} The same command goes on."))

    async def _live(self, place: _Place) -> None:
        """Begin a replica, and another one whenever it is lost."""
        try:
            while place.losses <= LOSSES:
                if place.losses:
                    await asyncio.sleep(PAUSE * 2 ** (place.losses - 1))
                place.losses += 1
                await self._begin(place)
            self._give_up(
                place,
                FatalObserverError(
                    "replica-lost",
                    f"{self.name}: {LOSSES} replicas in a row were lost, the last by {place.why}. Look into its log on "
                    "the node (`ray logs actor`). What was answered is kept: the same command goes on.",
                ),
            )
        except Exception as error:  # noqa: BLE001 - a plug-in's own too: raised where the observer is asked
            self._give_up(place, error)

    async def _begin(self, place: _Place) -> None:
        """Begin one replica, and return when it is lost."""
        place.gone, place.node = asyncio.Event(), ""
        place.actor = self._make()
        try:
            judges_by = self._criterion
            about: _About = await self._at(place, lambda actor: actor.enter.remote(judges_by))
            place.node = about.node
            self._agree(place, about)
            await self._compare(place)
            while judges_by is not self._criterion:  # fixed since it was begun
                judges_by = self._criterion
                await self._judge(place, judges_by)
        except Lost:
            place.actor = None
            return
        self._servers.back(place.number - 1)
        self._some.set()
        await place.gone.wait()
        lost, place.actor = place.actor, None
        with contextlib.suppress(Exception):
            self._ray.kill(lost)

    def _make(self) -> Any:
        name, options = self._given
        made = self._ray.remote(_Replica).options(
            **self._placement.needs, max_restarts=0, max_task_retries=0, max_concurrency=max(2, self._each)
        )
        return made.remote(name, options, Setting.here())

    def _agree(self, place: _Place, about: _About) -> None:
        """Raise where a replica is another observer than the first one was; all of the run is stopped then."""
        try:
            if other := other_version(about.version, about.node):
                raise FatalObserverError("version", other)
            if self._about is None or self._about.fingerprint is None or about.fingerprint is None:
                self._about = about if self._about is None or about.fingerprint is not None else self._about
                self._digest = digest.of(dict(about.fingerprint)) if about.fingerprint is not None else ""
                return
            first, second = self._about.fingerprint, about.fingerprint
            apart = next((name for name in {**first, **second} if first.get(name) != second.get(name)), None)
            if apart is not None:
                raise FatalObserverError(
                    "other-model",
                    f"{self.name} is another one on {about.node} than on {self._about.node}: {apart} is "
                    f"{second.get(apart)!r} there, {first.get(apart)!r} here. Give all nodes the same files and "
                    "settings.",
                )
        except FatalObserverError as error:
            self._stop(error)
            raise

    def _give_up(self, place: _Place, error: Exception) -> None:
        """Leave a replica alone that cannot be; where it was the last one, the observer cannot be asked."""
        place.over = True
        if all(one.over for one in self._places):
            self._stop(error)
        elif self._fatal is None:
            self.tell(f"{self.name}: replica {place.number} of {self._count} is left out: {error}")

    def _stop(self, error: Exception) -> None:
        self._fatal = self._fatal or error
        self._some.set()

    async def _leave(self, place: _Place) -> None:
        if place.actor is None:
            return
        with contextlib.suppress(Exception):
            if place.node:
                await asyncio.wait_for(_called(self._ray, lambda actor: actor.leave.remote(), place.actor), LEAVE)
            self._ray.kill(place.actor)

    # --- answers that depend on what is asked beside ---

    async def _compare(self, place: _Place) -> None:
        """Tell how many answers of a model that answers in batches are the same alone, together, and elsewhere."""
        if self.batch < 2 or self.sampled or self.numeric or self._about is None or self._about.fingerprint is None:
            return
        probes = _probes(self._about.fingerprint)
        alone = [await self._probe(place, probe) for probe in probes]
        if not self._said:
            self._said = alone
            together = await asyncio.gather(*(self._probe(place, probe) for probe in probes))
            equal = sum(map(_same, alone, together))
            self.tell(
                f"{self.name}: {equal} of {len(probes)} greedy answers are the same asked alone and in batches of "
                f"{self.batch}; what is asked beside depends on the number of replicas."
            )
        elif (equal := sum(map(_same, alone, self._said))) < len(probes):
            self.tell(
                f"{self.name}: {equal} of {len(probes)} greedy answers on {place.node} are those of the first replica."
            )

    async def _probe(self, place: _Place, query: Query) -> Answer | None:
        reply: Reply = await self._at(place, lambda actor: actor.answer.remote(query))
        return reply.answer


async def _called(ray: ModuleType, call: Callable[[Any], Any], actor: Any) -> Any:
    """Return what a call of an actor gives.

    Raises:
        Lost: it, or what it was to give, is gone.
        Full: there is no room to send it.
    """
    with calling(ray):
        return await call(actor)


def _same(one: Answer | None, other: Answer | None) -> bool:
    return one is not None and other is not None and one.text == other.text


def _probes(fingerprint: Mapping[str, Any]) -> list[Query]:
    """Return pairs of an exam's, none of them odd."""
    plan = questions.plan(fingerprint, sampled=False)
    pairs = [item.query for item in plan if len(item.query.pictures) == 2 and item.name not in questions.ODD]
    return pairs[:PROBES]


def spread(entries: Sequence[tuple[str, Mapping[str, Any]]], where: Replicas) -> list[Observer]:
    """Make a study's observers, as replicas where that helps; a person is told of those that stay here.

    Args:
        entries: "KIND" or "KIND:MODEL", with settings.
        where: how many replicas, and what each needs.
    """
    made = list[Observer]()
    for name, options in entries:
        if _remote(name):
            made.append(observers.make(name, options))
            where.tell(f"{made[-1].name} is behind an endpoint: it is asked from here, not on Ray.")
        else:
            made.append(Replicated(name, options, where.count, where.place))
    return made


def _remote(name: str) -> bool:
    """Say whether an observer's work is done by a server."""
    kind = registry.every("observer").get(name.partition(":")[0])
    return kind is not None and "base_url" in kind.options.__struct_fields__
