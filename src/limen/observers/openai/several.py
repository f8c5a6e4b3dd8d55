"""One model behind several endpoints: a series is asked at one of them, and elsewhere when that is away.

Each endpoint is an `OpenAI` of its own: its connections, key, pauses and requests in flight. What they share is the
budget of requests and tokens, encoded pictures, and the name in the keys of all answers: that of the place where the
run was begun, so that an answer is the same answer wherever it came from.

What happens to an endpoint:

- nobody there, or a gateway without its server: it is left alone, asked for its models again and again (after 1, 2, 4,
  8, at most 10 seconds), and used again when it replies; a question that was under way there is asked at another,
  and its last attempt is called "moved";
- a question that fails twice there is asked at another, unless the endpoint limits the rate and answers others;
- `SILENT` questions in a row without an answer, whatever each failed by: it refuses and is left alone. Then a single
  question is asked there from time to time, once, and the endpoint is back when it has answered one;
- a fatal error after it has answered (no credit, say): it is out of use until the next start. Before, the run stops;
- another model after it was away: left alone until it serves the model again;
- all are away: as with one, questions wait up to `wait_for_server_s`, then the run stops.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import msgspec

from limen import digest
from limen.errors import FatalObserverError, InputError, ObserverError
from limen.image import Picture
from limen.observer import MOST_AT_ONCE, Examine, Observer, Reply
from limen.observers.openai import OUTAGE, POLL, TRIES, Identity, OpenAI, ServerAwayError, endpoint, offered
from limen.observers.openai.options import OpenAIOptions
from limen.observers.openai.waiting import spoken
from limen.question import Query
from limen.scale.pace import Budget
from limen.scale.servers import Servers
from limen.trial import LASTING, Attempt, Trial

NAMED = 4  # hosts that the first line of a run names


class Several(Observer):
    """Several OpenAI-compatible chat endpoints that serve one model.

    Args:
        model: as all of them call it.
        options: their settings.
        urls: the base URL of each, two or more.
    """

    def __init__(self, model: str, options: OpenAIOptions, urls: Sequence[str]) -> None:
        self._options, self._model = options, model
        self._budget = Budget(options.rpm, options.tpm)
        self._members = tuple(
            OpenAI(model, msgspec.structs.replace(options, base_url=url), self._budget) for url in urls
        )
        first = self._members[0]
        self.name, self.label, self.sampled, self.max_tokens = first.name, first.label, first.sampled, first.max_tokens
        self.concurrency = min(MOST_AT_ONCE, len(urls) * options.concurrency)
        self._hosts = tuple(_hosts([endpoint.find(url) for url in urls]))
        self.tell: Callable[[str], None] = lambda line: None
        for member in self._members:
            member.tell = lambda line: self.tell(line)
        self._examine: Examine | None = None
        self._begin_as(first.identity)
        self._reset()

    def _reset(self) -> None:
        self._endpoints = Servers(self._hosts, self._options.concurrency)
        self._model_there: Mapping[str, str] | None = None
        self._asked_of: dict[str, str] = {}  # series of the trials that are about to be asked, by key
        self._out_since: float | None = None
        self._stopping = False
        self._someone, self._watched = asyncio.Event(), set[asyncio.Task[None]]()
        self._refused_since: dict[int, float] = {}
        self._moved: dict[int, list[Attempt]] = {}  # why questions went elsewhere since an endpoint's last answer
        self._last = Attempt("unreachable", "")  # why one was left alone
        self._why: dict[int, Attempt] = {}  # the same, of each
        self._held = set[int]()  # where an exam was held

    def _begin_as(self, identity: Identity) -> None:
        for member in self._members:
            member.begin_as(identity)
        self._digest = digest.of(dict(self.fingerprint()))

    @property
    def notice(self) -> str:
        """What a person should know before the first request."""
        more = f" and {len(self._hosts) - NAMED} more" if len(self._hosts) > NAMED else ""
        hosts = f"{', '.join(self._hosts[:NAMED])}{more} ({len(self._hosts)} endpoints)"
        told = {member.notice.replace(member.host, hosts): None for member in self._members}
        return " ".join(told)

    @property
    def places(self) -> tuple[str, ...]:
        """Where it is asked: host, path and query of each."""
        return tuple(place for member in self._members for place in member.places)

    @property
    def exam_tags(self) -> tuple[str, ...]:
        """What follows the name in that of each endpoint's exam."""
        return tuple(member.exam_tag for member in self._members)

    @property
    def unexamined(self) -> Mapping[str, str]:
        """The endpoints that `admit` had no exam held at, with why."""
        return {
            host: self._why[at].detail for at, host in enumerate(self._hosts) if at in self._why.keys() - self._held
        }

    def sent_bytes(self, picture: Picture) -> int:
        """Return how many bytes a picture takes in the body of a request."""
        return self._members[0].sent_bytes(picture)

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers: that of the endpoint that the run was begun with."""
        return self._members[0].fingerprint()

    def resume(self, fingerprint: Mapping[str, Any], places: Sequence[str]) -> None:
        """Go on as the observer that a run was begun with, where that was asked at one of these places.

        Args:
            fingerprint: of the run's observer.
            places: where else the run has asked it.
        """
        begun = Identity.of(fingerprint)
        if not self._options.label and {begun.place, *places} & {*self.places}:
            self._begin_as(begun)

    def follow(self, trial: Trial) -> None:
        """Hear which series the next question is of: it stays at one endpoint.

        Args:
            trial: about to be asked; of others nothing is kept.
        """
        if trial.key and trial.answer is None:
            self._asked_of[trial.key] = trial.series

    # --- from the first request to the last ---

    async def __aenter__(self) -> Self:
        self._reset()
        async with contextlib.AsyncExitStack() as stack:
            for member, host in zip(self._members, self._hosts, strict=True):
                member.name = f"{self.name} at {host}"
                await stack.enter_async_context(member)
                member.share_pictures(self._members[0])
            found = await asyncio.gather(*(member.model_there() for member in self._members))
            self._expect_one_model([said for _, said in found])
            away = [at for at, (there, _) in enumerate(found) if not there]
            for at in away:
                self._leave(at, Attempt("unreachable", f"{self._hosts[at]} takes no connection."), without=away)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._watched:
            task.cancel()
        await asyncio.gather(*self._watched, return_exceptions=True)
        for at, moved in () if error else self._moved.items():
            if self._endpoints.servers[at].used or self._endpoints.servers[at].refuses:
                questions = "its last question, which" if len(moved) == 1 else f"its last {len(moved)} questions, which"
                self.tell(f"{self._hosts[at]} did not answer {questions} moved: {_ended(moved[-1].detail)}")
        await self._stack.aclose()

    def _expect_one_model(self, said: Sequence[Mapping[str, str] | None]) -> None:
        """Raise unless all servers that say which model they serve say the same."""
        known = [(host, one) for host, one in zip(self._hosts, said, strict=True) if one is not None]
        for host, one in known:
            if differs := offered.difference(known[0][1], one):
                what, there, here = differs
                raise InputError(
                    f"The endpoints serve different models: {known[0][0]} says {what} {there!r}, {host} says {here!r}. "
                    "Serve one model and revision at all, or measure them apart (a study of two observers, with a "
                    "label each)."
                )
        self._model_there = known[0][1] if known else None

    # --- exams ---

    async def admit(self, examine: Examine) -> list[str]:
        """Have each endpoint examined; one that is away now when it is back, before it is asked anything else.

        Args:
            examine: called with each as an observer of its own, and with what follows the name in its exam's.

        Raises:
            FatalObserverError: one of them failed, or none is there.
        """
        self._examine = examine
        await self._wait_for_one()
        first, *others = self._endpoints.used
        told = [await self._examined(first)]  # what fails here would fail at all of them
        tasks = [asyncio.create_task(self._examined(at)) for at in others]
        try:
            told += await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [line for line in told if line]

    async def _examined(self, at: int) -> str:
        if self._examine is None:
            return ""
        try:
            told = await self._examine(self._members[at], self._members[at].exam_tag)
        except FatalObserverError as error:
            if error.kind in PASSING and len(self._endpoints.used) > 1:
                self._leave(at, Attempt(error.kind, error.detail))
                return ""
            raise
        self._held.add(at)
        return told

    def stop(self) -> int:
        """Send nothing more, end what waits with no answer, and return how many calls are under way."""
        self._stopping = True
        self._someone.set()
        return sum(member.stop() for member in self._members)

    # --- one question ---

    async def answer(self, query: Query) -> Reply:
        """Answer one query: at the endpoint of its series, at another where that is away or fails.

        Raises:
            FatalObserverError: no other query would be answered either.
        """
        series = self._asked_of.pop(query.key(self._digest), "") if self._asked_of else ""
        attempts: list[Attempt] = []
        failed: list[int] = []  # where it failed in a way that may pass
        before: int | None = None
        moves = spent = 0
        while moves <= len(self._members) + self._options.retries and not self._stopping:
            at = self._endpoints.choose(series, failed)
            if at is None:
                await self._wait_for_one()
                continue
            if before is not None and at != before:
                self._moved.setdefault(before, []).append(attempts[-1])
                attempts[-1] = _moved(attempts[-1], self._hosts[before], self._hosts[at])
            before, moves = at, moves + 1
            reply = await self._ask(at, query, self._tries(at, failed))
            attempts += reply.attempts
            if reply.answer is not None:
                self._note_answer(at)
                return Reply(reply.answer, tuple(attempts))
            if self._stopping or not self._endpoints.servers[at].used:
                continue
            last = reply.attempts[-1]
            if last.outcome in LASTING:
                return Reply(None, tuple(attempts))
            if self._endpoints.unanswered(at):
                self._leave(at, last, refuses=True)
            failed.append(at)
            spent += len(reply.attempts)
            used = set(self._endpoints.used)
            if spent >= 2 * self._options.retries or (used and used <= {*failed}):
                break
        return Reply(None, tuple(attempts))

    def _tries(self, at: int, failed: Sequence[int]) -> int:
        """Return how often an endpoint is tried with a question that failed at some already."""
        if self._endpoints.servers[at].refuses:
            return 1
        if {*self._endpoints.free} <= {at, *failed}:
            return self._options.retries
        return 1 if self._endpoints.servers[at].flaps else min(TRIES, self._options.retries)

    def _note_answer(self, at: int) -> None:
        """Note that an endpoint has answered, and say so if it refused before."""
        if self._endpoints.servers[at].refuses and (since := self._refused_since.pop(at, None)) is not None:
            self.tell(f"{self._hosts[at]} is back after {spoken(time.monotonic() - since)}.")
        self._endpoints.answered(at)
        self._moved.pop(at, None)
        self._out_since = None

    async def _ask(self, at: int, query: Query, tries: int) -> Reply:
        """Ask one endpoint, and leave it alone if it turns out to be away."""
        member = self._members[at]
        self._endpoints.begin(at)
        try:
            return await member.ask(query, tries)
        except ServerAwayError as away:
            self._leave(at, away.attempts[-1])
            return Reply(None, away.attempts)
        except FatalObserverError as error:
            if not member.answered or self._endpoints.used in ((), (at,)):
                raise
            self._drop(at, error)
            return Reply(None, (Attempt(error.kind, error.detail),))
        finally:
            self._endpoints.end(at)
            self._endpoints.servers[at].allowed = member.window.allowed
            self._someone.set()

    # --- when one is away, or all are ---

    def _leave(self, at: int, why: Attempt, refuses: bool = False, without: Collection[int] = ()) -> None:
        """Leave an endpoint alone, and look whether it is back from time to time.

        Args:
            at: its number.
            why: the last attempt there.
            refuses: whether it is there, and leaves questions without an answer.
            without: others that are about to be left alone, too.
        """
        server = self._endpoints.servers[at]
        if not server.used:
            return
        self._why[at] = why
        self._last, known, silent = why, server.refuses, server.silent
        self._endpoints.leave(at, refuses)
        others = len({*self._endpoints.used} - {*without})
        asked = "the other is" if others == 1 else f"the {others} others are"
        if server.refuses:
            self._refused_since.setdefault(at, time.monotonic())
        if known:
            pass  # told when it began; that it still refuses is no news
        elif others and silent:
            self.tell(
                f"{self._hosts[at]} refuses, {silent} questions moved, and {asked} asked until it answers one: "
                f"{_ended(why.detail)}"
            )
        elif others:
            self.tell(f"{self._hosts[at]} is left alone, and {asked} asked: {_ended(why.detail)}")
        elif not self._endpoints.used:
            self._out_since = self._out_since or time.monotonic()
            if self._patience:
                what = f"None of the {len(self._hosts)} endpoints answers. Waiting for one, {spoken(self._patience)} at"
                self.tell(f"{what} most. The last: {_ended(why.detail)}")
        task = asyncio.create_task(self._look_after(at))
        self._watched.add(task)
        task.add_done_callback(self._watched.discard)

    def _drop(self, at: int, error: FatalObserverError) -> None:
        """Use an endpoint no more."""
        if self._endpoints.servers[at].used:
            self._endpoints.servers[at].gone = True
            self.tell(f"{self._hosts[at]} is out of use until the next start: {_ended(error.detail)}")

    async def _look_after(self, at: int) -> None:
        """Use an endpoint again when it is back, serves the same model, and has been examined."""
        pause = min(POLL, self._options.backoff_s * 2 ** min(self._endpoints.servers[at].flaps - 1, 16))
        told = False
        while True:
            await asyncio.sleep(pause)
            pause = min(POLL, 2 * pause)
            there, said = await self._members[at].model_there()
            if not there:
                continue
            if differs := offered.difference(self._model_there, said):
                if not told:
                    self.tell(f"{self._hosts[at]} is back, and now serves {differs[0]} {differs[2]!r}: left alone.")
                told = True
                continue
            try:
                if self._examine is not None:
                    await self._examine(self._members[at], self._members[at].exam_tag)
                    self._held.add(at)
            except FatalObserverError as error:
                if error.kind in PASSING:
                    continue
                self._endpoints.servers[at].away_since = None
                self._drop(at, error)
                return
            except ObserverError:
                continue
            self._model_there = self._model_there or said
            away = self._endpoints.back(at)
            if not self._endpoints.servers[at].refuses:
                self.tell(f"{self._hosts[at]} is back after {spoken(away)}.")
            self._someone.set()
            return

    @property
    def _patience(self) -> float:
        """Seconds that are waited where all are away: none if no server was ever met, unless told otherwise."""
        given = self._options.wait_for_server_s
        return (OUTAGE if any(member.met for member in self._members) else 0.0) if given is None else given

    async def _wait_for_one(self) -> None:
        """Wait until an endpoint may be asked again.

        Raises:
            FatalObserverError: none is back in time.
        """
        while not self._endpoints.free and not self._stopping:
            self._someone.clear()
            since = self._out_since = self._out_since or time.monotonic()
            left = since + self._patience - time.monotonic()
            try:
                await asyncio.wait_for(self._someone.wait(), max(0.0, left))
            except TimeoutError:
                raise self._given_up(time.monotonic() - since) from None

    def _given_up(self, away: float) -> FatalObserverError:
        hosts = f"any of the {len(self._hosts)} endpoints"
        if not any(member.met for member in self._members):
            what = (
                f"Nothing answers at {hosts} ({', '.join(self._hosts[:NAMED])}). Start a server, or correct base_url."
            )
            return FatalObserverError("unreachable", what)
        kept = "What was answered is kept: run the same command again when one is back."
        what = f"Nothing has answered at {hosts} for {spoken(away)}: {_ended(self._last.detail)} {kept}"
        return FatalObserverError(self._last.outcome, what)


# An exam that failed by these was held at nobody's.
PASSING = ("unreachable", "overloaded", "server-error", "rate-limited", "malformed", "timeout", "connection", "empty")


def _moved(last: Attempt, here: str, there: str) -> Attempt:
    """Return an attempt that failed at one endpoint, for which the question was asked at another."""
    return replace(last, outcome="moved", detail=f"{here}, {last.outcome}: {_ended(last.detail)} Asked at {there}.")


def _ended(text: str) -> str:
    return f"{text.rstrip('. ')}."


def _hosts(places: Sequence[endpoint.Endpoint]) -> list[str]:
    """Return what to call the endpoints: by their hosts, where no two are at one host."""
    hosts = [place.host for place in places]
    return hosts if len({*hosts}) == len(hosts) else [place.place for place in places]
