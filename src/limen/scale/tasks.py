"""Pieces of work done by replicas of it on a Ray cluster; their results come home as they are done.

A replica is a process of Ray's that is begun once (a network loaded, say) and then given one piece after another, so
that it is not begun anew for each; one that is free goes on where it was, with a piece that is `near` the one before.
Where a replica is lost with its process or its node, the piece that it was at is done by another one, and it is begun
anew where there is room. Ray's own tasks would be done again by themselves, too, but on processes that know nothing of
what was loaded, and with a GPU each in a new one; its own restarts of actors keep a piece waiting for one of them while
others have nothing to do.

What a piece gives must not depend on who does it, or after what; and nobody but the caller writes results down.
"""

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from limen import __version__
from limen.errors import InputError, LimenError, StoreError
from limen.scale.cluster import ENDED, Placement, connected, ended, library
from limen.scale.process import LEAVE, LOSSES, PAUSE, TRIES, Full, Lost, Refusal, Setting, calling, other_version

GLANCE = 0.5  # seconds between two looks at who is to be begun anew

P = TypeVar("P")
R = TypeVar("R")
P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Work(Protocol[P_contra, R_co]):
    """What a replica does. It is made where the command runs, and travels to each replica before it is begun there."""

    def begin(self) -> None:
        """Make ready, once in each replica's process."""
        ...

    def do(self, piece: P_contra) -> R_co:
        """Return what one piece gives."""
        ...

    def end(self) -> None:
        """Close what `begin` opened."""
        ...


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a replica says when it is begun."""

    node: str
    version: str
    refusal: Refusal | None = None


class _Replica:  # pragma: no cover - in a process of Ray's, where nobody counts lines
    """The work, in a process of Ray's."""

    def __init__(self, version: str, setting: Setting, sent: Sequence[Any]) -> None:
        self._version, self._setting, self._sent = version, setting, sent
        self._work: Work[Any, Any] | None = None

    def begin(self) -> _Begun:
        """Make ready for pieces."""
        begun = _Begun(socket.gethostname(), __version__)
        if self._version != __version__:
            return begun  # what another limen sends may not be what it looks like here: it is not opened
        try:
            self._setting.enter()
            work = library().get(self._sent[0])
            work.begin()
        except LimenError as error:
            return replace(begun, refusal=Refusal.of(error))
        except ImportError as error:
            missing = f"{error.name or error} is missing. Install limen with the same extras, and what is yours, on all"
            return replace(begun, refusal=Refusal(f"{missing} nodes."))
        self._work = work
        return begun

    def do(self, piece: Any) -> Any:
        """Return what a piece gives."""
        assert self._work is not None
        try:
            return self._work.do(piece)
        except LimenError as error:
            return Refusal.of(error)

    def end(self) -> None:
        """Close what the work holds."""
        if self._work is not None:
            self._work.end()


@dataclass(eq=False, slots=True)
class _Place:
    """Where one replica is, or is to be.

    Attributes:
        actor: Ray's handle; None where there is none now.
        call: what it is at; None where it is free. A future, which Ray completes in a thread of its own: in a call that
            waits in Ray, a signal would come out as Ctrl-C, and where Ray ends on this node it would end the process.
        piece: the number of the piece that it is at; None while it is begun.
        near: of its last piece.
        node: where it is; "" while it is begun.
        losses: since its last piece.
        due: when it is to be begun, of `time.monotonic`.
    """

    actor: Any = None
    call: Future[Any] | None = None
    piece: int | None = None
    near: Hashable = None
    node: str = ""
    losses: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas do a command's work, on a cluster that this process is connected to.

    Attributes:
        count: >= 1.
        place: what each needs, and how long one is waited for.
        tell: called with a line for a person where one is lost.
    """

    count: int
    place: Placement
    tell: Callable[[str], None] = lambda line: None

    def of(self, work: Work[P, R], pieces: int) -> "Crew[P, R]":
        """Return replicas of a work, no more than there are pieces of it.

        Args:
            work: what they do.
            pieces: of it together, >= 1.
        """
        return Crew(work, min(self.count, pieces), self.place, self.tell)


@contextlib.contextmanager
def joined(place: Placement, tell: Callable[[str], None]) -> Iterator[Replicas]:
    """Connect to a cluster, or start one, and yield the replicas that a command has there.

    Args:
        place: how many are wanted, what each needs, and where.
        tell: called with a line for a person, now and while they work.

    Raises:
        InputError: no Ray at the address, or no node has what one of them needs.
    """
    with connected(place) as room:
        count = place.replicas or room
        if count > room:
            tell(f"Ray has room for {room} of {count} replicas now; the others join when there is more.")
        yield Replicas(count, place, tell)


class Crew(Generic[P, R]):
    """Replicas of one work, on a cluster that this process is connected to; a context manager that ends them.

    Attributes:
        count: how many.

    Args:
        work: what they do.
        count: replicas, >= 1. Those there is no room for now join when there is.
        place: what each needs, and how long one is waited for.
        tell: called with a line for a person where a replica is lost.
    """

    def __init__(
        self, work: Work[P, R], count: int, place: Placement, tell: Callable[[str], None] = lambda line: None
    ) -> None:
        self._given, self._placement, self._tell = work, place, tell
        self.count = count
        self._places = [_Place() for _ in range(count)]

    def __enter__(self) -> Self:
        self._ray = library()
        self._sent = [self._ray.put(self._given)]  # in a list, so that it is opened by `_Replica.begin` alone
        self._setting, self._since = Setting.here(), time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if ended().done():
            return
        with contextlib.suppress(Exception):  # also where the cluster is gone
            wait([place.actor.end.remote().future() for place in self._places if place.node and not place.call], LEAVE)
        for place in self._places:
            if place.actor is not None:
                with contextlib.suppress(Exception):
                    self._ray.kill(place.actor)

    def each(self, pieces: Sequence[P], near: Callable[[P], Hashable] = lambda piece: None) -> Iterator[tuple[int, R]]:
        """Have pieces done, and yield the number of each and what it gave, as they are done.

        Args:
            pieces: to do, in the order in which they are best begun.
            near: what two pieces share that are best done by one replica.

        Raises:
            InputError: a node cannot do it, or no replica comes; a line with the node, and what to do there.
            LimenError: what the work raises, with the node.
            StoreError: replicas are lost over one piece again and again, or Ray has no room for what is sent.
        """
        todo, tries = list(range(len(pieces))), Counter[int]()
        self._since = time.monotonic()
        while todo or any(place.piece is not None for place in self._places):
            for place in self._places:
                if place.actor is None and time.monotonic() >= place.due:
                    self._begin(place)
                if place.node and place.call is None and todo:
                    self._hand(place, todo, pieces, near)
            for place in self._waited():
                number, place.piece = place.piece, None
                try:
                    found = self._called(place)
                except Lost as lost:
                    self._lose(place, str(lost))
                    if number is not None:
                        tries[number] += 1
                        self._again(number, tries[number], str(lost), todo)
                    continue
                if number is not None:
                    place.losses = 0
                    yield number, found

    # --- one replica ---

    def _begin(self, place: _Place) -> None:
        made = self._ray.remote(_Replica).options(**self._placement.needs, max_restarts=0, max_task_retries=0)
        place.actor = made.remote(__version__, self._setting, self._sent)
        place.call = place.actor.begin.remote().future()

    def _hand(self, place: _Place, todo: list[int], pieces: Sequence[P], near: Callable[[P], Hashable]) -> None:
        """Give a free replica the next piece: one near its last, else one that is near no other's, else the first."""
        others = {other.near for other in self._places if other is not place and other.piece is not None}
        number = min(todo, key=lambda one: (near(pieces[one]) != place.near, near(pieces[one]) in others, one))
        todo.remove(number)
        place.piece, place.near = number, near(pieces[number])
        try:
            with calling(self._ray):
                place.call = place.actor.do.remote(pieces[number]).future()
        except Full as full:
            raise StoreError(str(full)) from None

    def _waited(self) -> list[_Place]:
        """Return the replicas that are through with what they were at; raise where none has come in time."""
        if any(place.node for place in self._places):
            self._since = time.monotonic()
        elif time.monotonic() - self._since > self._placement.wait_s:
            raise InputError(
                f"No replica was there for {self._placement.wait_s:g} s. See on the cluster (`ray status`) whether "
                "there is room for one, and run the same command again: what is done is kept."
            )
        calls = [place.call for place in self._places if place.call is not None]
        done, _ = wait([*calls, ended()], GLANCE, FIRST_COMPLETED)
        if ended().done():
            raise StoreError(f"{ENDED} What is done is kept: the same command goes on.")
        return [place for place in self._places if place.call in done]

    def _called(self, place: _Place) -> Any:
        """Return what a call gave; of one that began a replica, take down where it is."""
        call, place.call = place.call, None
        assert call is not None
        try:
            with calling(self._ray):
                found = call.result()
        except Full as full:
            raise StoreError(str(full)) from None
        if isinstance(found, Refusal):
            raise found.error(f"replica on {place.node}")
        if isinstance(found, _Begun):
            if other := other_version(found.version, found.node):
                raise InputError(other)
            if found.refusal is not None:
                raise found.refusal.error(f"replica on {found.node}")
            place.node = found.node
        return found

    def _lose(self, place: _Place, why: str) -> None:
        """Leave a replica that is lost, to be begun anew."""
        where = f"on {place.node} " if place.node else ""
        place.losses += 1
        if place.losses > LOSSES:
            raise InputError(f"A replica {where}was lost {place.losses} times in a row ({why}). See Ray's logs there.")
        if place.node:
            others = any(other.node for other in self._places if other is not place)
            none = "" if others else f" None is left; one is waited for, up to {self._placement.wait_s:g} s."
            self._tell(f"A replica {where}is lost ({why}); it is begun anew.{none}")
        with contextlib.suppress(Exception):
            self._ray.kill(place.actor)
        place.actor, place.node, place.due = None, "", time.monotonic() + PAUSE * 2 ** (place.losses - 1)

    def _again(self, number: int, tries: int, why: str, todo: list[int]) -> None:
        """Put a piece back whose replica is lost."""
        if tries == TRIES:
            raise StoreError(
                f"{TRIES} replicas were lost over one piece of work ({why}), perhaps for lack of memory. Run the same "
                "command again with fewer --replicas: what is done is kept."
            )
        todo.append(number)
