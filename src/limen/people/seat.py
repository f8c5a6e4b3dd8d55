"""One participant: where they are in the study, what they are shown, and what becomes of their answers.

An answer is on disk before the page hears that it came. Each has a name that the page sends again where it heard
nothing, so that none is lost and none counted twice, whatever is killed in between.
"""

import asyncio
import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from limen.errors import InputError, LimenError, StoreError
from limen.image import png
from limen.item import Item
from limen.participant import fingerprint, name_of
from limen.people import screen as screens
from limen.people import turns, wording
from limen.people.dealing import seconds_a_question
from limen.people.participant import Participant, Waiting
from limen.people.protocol import Protocol
from limen.people.turns import Turn
from limen.stimulus import Series
from limen.store import Store
from limen.store.entries import CATCHES, SITTINGS
from limen.study import Progress, Study
from limen.trial import OTHER_SIDE, Presentation, Trial, pair

Stage = Literal["screen", "practice", "trials", "rest", "done"]
AWAY = 1800.0  # seconds without a word from the page after which a sitting has ended
SILENT = 15.0  # seconds between two words from the page that are a gap
OTHER_TAB = 15.0  # seconds in which another tab counts as open
PATIENCE = 8.0  # seconds that a page waits for the next question before it asks again
SETTLED = 30.0  # seconds in which an answer must be on disk
SLACK = 1.0  # seconds by which the page's clock and this one may run apart during a question
TOLERATED = 120.0  # seconds that the page's clock may be off


class Taken(LimenError):
    """Another tab has taken over."""


class Gone(LimenError):
    """An answer to a question that nobody asked."""


_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1e13)]


class GivenAnswer(msgspec.Struct, frozen=True):
    """An answer as the page sends it.

    Attributes:
        id: of the question.
        value: `limen.people.wording.answer`.
        shown_at: when the pictures appeared, in ms since 1970 by the page's clock.
        ms_shown: how long they were visible.
        reaction_time_ms: from their appearance to the answer; None where it cannot be.
        confidence: number of the step, from 0; None where it was not asked for.
    """

    id: Annotated[str, msgspec.Meta(max_length=64)]
    value: Annotated[str, msgspec.Meta(max_length=1_000)]
    shown_at: _Milliseconds
    ms_shown: _Milliseconds
    reaction_time_ms: _Milliseconds | None
    confidence: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None


class Sitting(msgspec.Struct):
    """The sitting under way; as the run keeps it but for its observer (`limen.store.entries.SittingEntry`)."""

    number: int
    began: float
    screen: dict[str, Any]
    ended: float | None = None
    gaps: list[tuple[float, float]] = []
    practice: tuple[int, int] = (0, 0)

    @property
    def paused(self) -> float:
        """Seconds of its gaps."""
        return sum(end - begin for begin, end in self.gaps)


class Seat:
    """One participant of a study.

    Args:
        study: whose questions are put.
        protocol: how.
        store: of the run, open for writing.
        alias: of the participant.
        deal: called when questions are to be put; returns the participant's series so far, and whether more are left
            for a later sitting.
        expected: questions that a series takes on average, catch trials included.
    """

    def __init__(
        self, study: Study, protocol: Protocol, store: Store, alias: str,
        deal: Callable[["Seat"], tuple[Sequence[Series], bool]], expected: float,
    ) -> None:  # fmt: skip
        self.alias, self.name = alias, name_of(alias)
        self.progress = Progress()
        self.seen = 0.0  # when the page was last heard of
        self.trouble = ""  # why nothing more can be asked
        self._study, self._protocol, self._store = study, protocol, store
        self._deal, self._each = deal, expected
        self._series: dict[str, Series] = {}
        self._questions = {question.name: question for question in study.questions}
        self._participant: Participant | None = None
        self._asking: asyncio.Task[None] | None = None
        self._lock, self._writing = asyncio.Lock(), asyncio.Lock()
        self._tab = ""
        self._current: Turn | None = None
        self._ahead: Turn | None = None
        self._last = ""  # digest of the reference that was shown last
        self._since_break, self._break_due = 0, False
        self._begun = -math.inf  # when series were last begun with
        self._put_at: dict[str, float] = {}  # when what is shown was first sent
        self._more = False  # series are left for a later sitting
        self._answered: set[str] = set()  # questions, catch trials among them
        self._catches: set[str] = set()
        self._practice: list[tuple[Any, ...]] = []
        self._practised_ids: set[str] = set()
        self._pictures: dict[str, asyncio.Task[list[bytes]]] = {}
        self._recall()

    def _recall(self) -> None:
        """Take up where the run says that the participant was."""
        mine = f"{self.name}/"
        rows = {key: row for key, row in self._store.measurements(SITTINGS).items() if key.startswith(mine)}
        self.sittings = [
            Sitting(row["number"], row["began"], row["screen"], row["ended"], [(a, b) for a, b in row["gaps"]],
                    tuple(row["practice"]))
            for row in sorted(rows.values(), key=lambda row: row["number"])
        ]  # fmt: skip
        caught = [row for key, row in self._store.measurements(CATCHES).items() if key.startswith(mine)]
        self._catches = {row["id"] for row in caught}
        self.right = sum(row["right"] for row in caught)
        shown = [one for sitting in self.sittings for one in self.shown_in(sitting)]
        self._answered = self._catches | {one.key for one in shown}
        moments = [one.shown_at for one in shown] + [row["at"] for row in caught]
        self._latest = max((*moments, *(one.began for one in self.sittings)), default=0.0)
        self.seen = self._latest

    def shown_in(self, sitting: Sitting) -> tuple[Presentation, ...]:
        """Return what was shown in a sitting, and answered."""
        return self._store.presentations(f"{self.name}/{sitting.number}")

    # --- where they are ---

    @property
    def shown(self) -> int:
        """How many questions were answered, catch trials included."""
        return len(self._answered)

    @property
    def caught(self) -> int:
        """How many catch trials were answered."""
        return len(self._catches)

    @property
    def sitting(self) -> Sitting | None:
        """The sitting under way."""
        return self.sittings[-1] if self.sittings and self.sittings[-1].ended is None else None

    @property
    def finished(self) -> bool:
        """Whether every series of the participant is done, as far as this server knows."""
        asking = self._asking
        return asking is not None and asking.done() and not asking.cancelled() and not self.trouble

    @property
    def unfinished(self) -> int:
        """How many of the series that were dealt are not through, as far as this server knows."""
        return max(0, len(self._series) - self.progress.done // len(self._questions))

    @property
    def _last_sitting(self) -> bool:
        return len(self.sittings) >= self._protocol.sittings

    @property
    def stage(self) -> Stage:
        """Where the participant is."""
        if self.finished:
            return "rest" if self._more and not self._last_sitting else "done"
        if self.sitting is None:
            return "rest" if self.sittings else "screen"
        if self._asking is None:
            return "screen"
        return "practice" if self._practice else "trials"

    @property
    def minutes_left(self) -> float | None:
        """Of this sitting, about, until its end or the last question; None where it has no end."""
        left = self._time_left
        if left is None:
            return None
        seconds = seconds_a_question(self._protocol, max(one.pictures for one in self._questions.values()))
        return min(left, (self.expected() - self.shown) * seconds / 60)

    @property
    def _time_left(self) -> float | None:
        """Minutes until the sitting's end; None where it has none."""
        if not self._protocol.minutes or self.sitting is None:
            return None
        gone = time.time() - self.sitting.began - self.sitting.paused
        return max(0.0, self._protocol.minutes - gone / 60)

    def expected(self) -> int:
        """About how many questions the participant has in all."""
        if self.finished:
            return self.shown
        of = len(self._series) or len(self._study.series)
        return max(self.shown + 1, math.ceil(of * self._each))

    def state(self, took_over: bool = False) -> dict[str, Any]:
        """Return what the page has to know when it is opened."""
        protocol = self._protocol
        plain = msgspec.to_builtins(protocol)
        fields = (
            "presentation", "show_ms", "blank_ms", "flicker_hz", "zoom", "distance_cm", "background", "confidence",
            "break_every", "minutes",
        )  # fmt: skip
        sizes = [series.reference.size for series in self._series.values() or self._study.series]
        return {
            "stage": self.stage, "alias": self.alias, "took_over": took_over,
            "sitting": self.sittings[-1].number if self.sittings else 0, "sittings": protocol.sittings,
            "screen": self.sittings[0].screen if self.sittings else None,
            "protocol": {name: plain[name] for name in fields},
            "instructions": protocol.instructions, "thanks": protocol.thanks,
            "largest": [max(width for width, _ in sizes), max(height for _, height in sizes)],
            "pictures": max(question.pictures for question in self._questions.values()),
            "answered": self.shown, "expected": self.expected(), "minutes_left": self.minutes_left,
        }  # fmt: skip

    # --- what the page says ---

    async def heard(self, tab: str) -> None:
        """Note that the page was heard of, and mark it where it was silent for long.

        Raises:
            Taken: by a tab that another one has taken over from.
        """
        if self._tab and tab != self._tab:
            raise Taken("This session goes on in another tab or window. This one has stopped.")
        self._tab = tab
        now = time.time()
        silent, self.seen = self.seen, now
        if now - silent > SILENT:
            await self.gap(silent, now)

    async def open(self, tab: str) -> dict[str, Any]:
        """Let a tab take over; the screen is looked at again before anything is shown."""
        async with self._lock:
            now = time.time()
            over = bool(self._tab) and tab != self._tab and now - self.seen < OTHER_TAB
            if self.sitting is not None and now - self.seen > AWAY:
                await self._end(self.seen)
            self._tab = tab
            await self.heard(tab)
            more = self.sitting is not None or not self._last_sitting
            if self.sittings and more and not (self._more and self.sitting is None):
                await self._begin()  # which finds out whether anything is left, and makes it ready meanwhile
                await self._settled()
        return self.state(over) | {"stage": "screen" if more and (self._more or not self.finished) else "done"}

    async def on_screen(self, content: Any) -> dict[str, Any]:
        """Begin a sitting, or go on with one, on the screen that the page has measured.

        Raises:
            InputError: it cannot be used, or is another than that of the first sitting.
        """
        screen = screens.of(content)
        async with self._lock:
            if self.sittings and not self.shown:  # measured anew before anything was answered
                await self._measure_anew(screen)
            elif self.sittings:
                screens.check_same(self.sittings[0].screen, screen)
            if self.sitting is None:
                if self._last_sitting:
                    raise InputError("You have done all sittings of this study. Thank you.")
                if self._more:  # what is under way since the page was opened is not all that this sitting is dealt
                    await self._let_go()
                self.sittings.append(Sitting(len(self.sittings) + 1, time.time(), screen.row))
                self._since_break, self._latest = 0, self.sittings[-1].began
            await self._keep_sittings()
            await self._begin()
        return self.state()

    async def _measure_anew(self, screen: screens.Screen) -> None:
        if screen.row == self.sittings[0].screen:
            return
        await self._let_go()
        self._asking = None
        known = self._store.manifest["observers"]
        self._store.amend(observers={name: about for name, about in known.items() if name != self.name})
        for sitting in self.sittings:
            sitting.screen = screen.row

    async def _begin(self) -> None:
        """Have the series questioned, where that is not under way."""
        if self._asking is not None and not self._asking.done():
            return
        if self.finished and not self._more:
            return
        first = self.sittings[0]
        about = fingerprint(self.alias, first.screen, self._protocol.shown)
        participant = Participant(self.alias, about, self._protocol.interleave)
        dealt, self._more = self._deal(self)
        mine = turns.shuffled(dealt, self._protocol.seed, self.alias)
        self._series = {series.id: series for series in mine}
        if not self.shown:
            practice = list(turns.practice(self._protocol, self.alias, self._study.questions, mine))
            self._practice = practice[first.practice[1] :]
        spec = msgspec.structs.replace(self._study.spec, floor=False, exam=False, look_ahead=0)
        study = dataclasses.replace(self._study, spec=spec, observers=(participant,), series=mine, whole=())
        self._begun = time.monotonic()
        self._participant, self.progress = participant, Progress(len(mine) * len(self._questions))
        self._current = self._ahead = None
        self.trouble = ""
        self._asking = asyncio.create_task(self._ask(study, participant))

    async def _ask(self, study: Study, participant: Participant) -> None:
        try:
            await study.ask(self._store, self.progress)
        except Exception as error:  # noqa: BLE001 - of one participant; the others go on, and the owner is told
            self.trouble = str(error) or type(error).__name__
        finally:
            participant.stop()
            participant.change.set()

    async def _settled(self) -> None:
        """Wait until something can be shown, or it is known that nothing is left."""
        assert self._participant is not None
        assert self._asking is not None
        until = time.monotonic() + PATIENCE
        while not self._participant.waiting and not self._asking.done() and time.monotonic() < until:
            await asyncio.sleep(0.01)

    async def gap(self, began: float, ended: float) -> None:
        """Mark a pause that nobody asked for; in seconds since 1970, held within the sitting."""
        sitting, now = self.sitting, time.time()
        if sitting is None:
            return
        begin, end = max(began, sitting.began, self._latest), min(ended, now)  # what was answered was no gap
        if not end > begin:
            return
        merged: list[tuple[float, float]] = []
        for one in sorted([*sitting.gaps, (begin, end)]):
            if merged and one[0] <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], one[1])
            else:
                merged.append(one)
        sitting.gaps = merged[-1_000:]
        await self._keep_sittings()

    async def rest(self) -> None:
        """End the sitting, as its participant wants; what was answered stays."""
        async with self._lock:
            await self._end(time.time())

    async def leave(self) -> None:
        """Let go of what is kept ready, without ending the sitting: nobody has been heard of for a while."""
        async with self._lock:
            await self._let_go()

    async def _let_go(self) -> None:
        asking = self._asking
        if asking is not None and not asking.done():
            asking.cancel()
            await asyncio.wait([asking])
        if not self.finished:
            self._asking = None
        self._current = self._ahead = None
        self._pictures.clear()

    async def _end(self, at: float) -> None:
        if self.sitting is not None:
            self.sitting.ended = max(at, self.sitting.began)
            await self._keep_sittings()
        await self._let_go()

    async def _keep_sittings(self) -> None:
        """Write all sittings down; those that changed, whichever is under way, are among them."""
        async with self._writing:  # in the order of what happened
            mine = {f"{self.name}/{one.number}": msgspec.to_builtins(one) for one in self.sittings}
            rows = {key: {"observer": self.name} | row for key, row in mine.items()}
            await asyncio.to_thread(self._store.add_measurements, SITTINGS, rows)

    # --- what is shown ---

    async def next(self) -> dict[str, Any]:
        """Return what is to be shown now, waiting a while for it, and what may be fetched beforehand."""
        async with self._lock:
            return await self._turn()

    async def picture(self, name: str, number: int) -> bytes:
        """Return a picture of what is shown now or next, or waits to be, as PNG.

        Raises:
            Gone: it is of nothing of theirs.
        """
        if self._asking is None and self.sitting is not None:  # of a server that was started again
            async with self._lock:
                await self._begin()
                await self._asked(name)
        if name not in self._pictures and self._participant is not None and name in self._participant.waiting:
            self._encoding(self._of(self._participant.waiting[name]))  # shown already when the server was started again
        found = self._pictures.get(name)
        if found is None or not 0 <= number < len(pictures := await asyncio.shield(found)):
            raise Gone("This picture is not shown now.")
        return pictures[number]

    async def _turn(self, feedback: dict[str, Any] | None = None) -> dict[str, Any]:
        told: dict[str, Any] = {"wait": False, "retry_ms": 0, "turn": None, "ahead": None, "feedback": feedback}
        practising = bool(self._practice)
        if self._asking is None and self.sitting is not None:  # of a server that was started again
            await self._begin()
        if self.stage in ("practice", "trials"):
            if self._time_left == 0.0 and not practising:
                await self._end(time.time())
            else:
                await self._fill()
        self._check()
        if self.stage in ("practice", "trials"):
            told["wait"] = self._current is None
            told["retry_ms"] = 200 if told["wait"] else 0
            told["turn"], told["ahead"] = self._put(self._current), self._put(self._ahead)
        if self.finished and self.sitting is not None:
            await self._end(time.time())
        kept = {one.id for one in (self._current, self._ahead) if one is not None}
        self._pictures = {name: pictures for name, pictures in self._pictures.items() if name in kept}
        self._put_at = {name: at for name, at in self._put_at.items() if name in kept}
        return told | {
            "stage": self.stage, "answered": self.shown, "expected": self.expected(),
            "minutes_left": self.minutes_left, "break": self._break_due,
        }  # fmt: skip

    def _check(self) -> None:
        if self.trouble:
            raise StoreError(f"The study cannot go on: {self.trouble} Please tell whoever invited you.")

    def _put(self, turn: Turn | None) -> dict[str, Any] | None:
        """Return a turn as the page is told of it: nothing says whether it is a catch trial."""
        if turn is None:
            return None
        pictures = turn.query.pictures
        word = turn.series.distortion.word
        self._put_at.setdefault(turn.id, time.monotonic())
        return {
            "id": turn.id, "kind": "practice" if self._practice else "trial",
            "text": wording.text(self._protocol, turn.question, turn.query, word, turn.item),
            "pictures": [
                {"address": f"picture/{turn.id}/{at}.png", "width": one.pixels.shape[1], "height": one.pixels.shape[0]}
                for at, one in enumerate(pictures)
            ],
            "form": wording.controls(turn.question, turn.item),
        }  # fmt: skip

    async def _fill(self) -> None:
        """See to it that there is something to be shown, and something after it."""
        if self._practice:
            if self._current is None:
                next_ = functools.partial(turns.plain, *self._practice[0])
                self._current = self._encoding(await asyncio.to_thread(next_))
            return
        if self._current is None:
            self._current, self._ahead = self._ahead or await self._choose(self.shown, PATIENCE), None
        if self._ahead is None and self._current is not None:
            self._ahead = await self._choose(self.shown + 1, 0.0)

    def _encoding(self, turn: Turn) -> Turn:
        """Return a turn whose pictures are being made ready to be sent."""

        def encode() -> list[bytes]:
            return [png(one.pixels) for one in turn.query.pictures]

        if turn.id not in self._pictures:
            self._pictures[turn.id] = asyncio.create_task(asyncio.to_thread(encode))
        return turn

    async def _choose(self, shown: int, patience: float) -> Turn | None:
        """Return what comes after so many answers; None where nothing waits within the time."""
        pending = self._current
        caught = len(self._catches) + (pending is not None and bool(pending.kind))
        if turns.is_catch(self._protocol, self.alias, shown):
            mine = list(self._series.values())
            catch = functools.partial(turns.catch, self._protocol, self.alias, caught + 1, self._study.questions, mine)
            turn = await asyncio.to_thread(catch)
            if turn is not None:
                return self._encoding(turn)
        assert self._participant is not None
        assert self._asking is not None
        until = time.monotonic() + patience
        while True:
            waiting = [
                self._of(one) for one in list(self._participant.waiting.values())
                if pending is None or one.id != pending.id
            ]  # fmt: skip
            if waiting:
                last = pending.series.reference.digest if pending is not None else self._last
                by_id = sorted(waiting, key=lambda one: one.id)
                return self._encoding(turns.choose(self.alias, self._protocol.seed, shown, by_id, last))
            left = until - time.monotonic()
            if left <= 0 or self._asking.done():
                return None
            self._participant.change.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._participant.change.wait(), left)

    def _of(self, one: Waiting) -> Turn:
        trial, series = one.trial, self._series[one.trial.series]
        return Turn(one.id, self._questions[trial.question], series, one.query, _item(trial, series))

    # --- what is answered ---

    async def answer(self, given: GivenAnswer) -> dict[str, Any]:
        """Take an answer, and return what is to be shown next when it is on disk.

        Raises:
            InputError: it is no answer to this question; the sentence is for the participant.
            Gone: nobody asked for it.
        """
        async with self._lock:
            if given.id in self._answered or given.id in self._practised_ids:
                return await self._turn()
            if self.sittings and self._store.get(given.id) is not None:  # heard, but not kept when it was shown
                await self._keep_presentation(self._held(given))
            else:
                if self.sitting is None:
                    raise Gone("This sitting has ended. Your earlier answers are kept.")
                if self._asking is None:
                    await self._begin()
                self._check()
                if self._practice:
                    return await self._turn(await self._practised(given))
                if given.confidence is not None and given.confidence >= max(1, len(self._protocol.confidence)):
                    raise InputError(f"There is no step {given.confidence} of confidence. Choose one of those shown.")
                turn = await self._asked(given.id)
                await self._keep(turn, self._held(given))
                self._last = turn.series.reference.digest
            self._count(given.id)
            return await self._turn()

    def _count(self, name: str) -> None:
        """Count a question that was answered; it is shown no more."""
        self._answered.add(name)
        self._since_break += 1
        self._break_due = self._since_break == self._protocol.break_every
        self._since_break %= max(1, self._protocol.break_every)
        self._current, self._ahead = (
            None if turn is not None and turn.id == name else turn for turn in (self._current, self._ahead)
        )

    async def _practised(self, given: GivenAnswer) -> dict[str, Any] | None:
        await self._fill()
        turn = self._current
        if turn is None or given.id != turn.id:
            return None
        wording.answer(turn.question, turn.item, given.value)
        right = given.value in turn.right
        self._practice.pop(0)
        self._practised_ids.add(turn.id)
        self._current = None
        first = self.sittings[0]
        first.practice = first.practice[0] + right, first.practice[1] + 1
        await self._keep_sittings()
        said = " or ".join(wording.label(turn.question, one) for one in turn.right)
        return {"right": right, "text": f"Right: {said}." if right else f"The right answer is: {said}."}

    async def _asked(self, name: str) -> Turn:
        """Return the question of this name; of a server that was started again it may take a while to come up."""
        until = self._begun + SETTLED  # afterwards everything that was open is open again
        while True:
            for turn in (self._current, self._ahead):
                if turn is not None and turn.id == name:
                    return turn
            assert self._participant is not None
            assert self._asking is not None
            if name in self._participant.waiting:
                return self._of(self._participant.waiting[name])
            if self._asking.done() or time.monotonic() > until:
                break
            if self._current is None:
                await self._fill()
            else:
                await asyncio.sleep(0.02)
        raise Gone("This question is not open. The next one is shown.")

    def _held(self, given: GivenAnswer) -> GivenAnswer:
        """Return an answer whose times lie within the time that there was: since the question was sent first."""
        most = 1000 * (time.monotonic() - self._put_at.get(given.id, self._begun) + SLACK)
        reaction, shown = given.reaction_time_ms, min(given.ms_shown, most)
        reaction = reaction if reaction is not None and 0 < reaction <= most else None
        return msgspec.structs.replace(given, reaction_time_ms=reaction, ms_shown=shown)

    def _moment(self, given: GivenAnswer) -> float:
        """Return when the pictures appeared, by this machine's clock: after what came before, and not in the future."""
        now, said = time.time(), given.shown_at / 1000
        if abs(now - said) > TOLERATED:
            said = now - (given.reaction_time_ms or 0.0) / 1000
        return max(self._latest + 1e-3, min(said, now))

    async def _keep(self, turn: Turn, given: GivenAnswer) -> None:
        """Have an answer on disk, and when its question was shown."""
        text = wording.answer(turn.question, turn.item, given.value)
        if turn.kind:
            await self._keep_catch(turn, given)
            return
        assert self._participant is not None
        assert self._asking is not None
        if turn.id in self._participant.waiting:  # else it was said already, and the disk is slow
            self._participant.say(turn.id, text, (given.reaction_time_ms or 0.0) / 1000)
        until = time.monotonic() + SETTLED
        while self._store.get(turn.id) is None:
            if time.monotonic() > until or self._asking.done():
                raise StoreError(f"Your answer could not be kept. {self.trouble}".strip())
            await asyncio.sleep(0.001)
        await self._keep_presentation(given)

    async def _keep_presentation(self, given: GivenAnswer) -> None:
        """Keep when an answer's question was shown."""
        session = f"{self.name}/{self.sittings[-1].number}"
        steps = len(self._protocol.confidence)
        sure = given.confidence / (steps - 1) if given.confidence is not None and 1 < steps > given.confidence else None
        at = self._latest = self._moment(given)
        row = Presentation(given.id, session, at, given.ms_shown, given.reaction_time_ms, sure)
        await self._store.add_presentations([row])

    async def _keep_catch(self, turn: Turn, given: GivenAnswer) -> None:
        assert self.sitting is not None
        right = given.value in turn.right
        at = self._latest = self._moment(given)
        row = {
            "id": turn.id, "observer": self.name, "question": turn.question.name, "series": turn.series.id,
            "kind": turn.kind, "answer": given.value, "right": right, "at": at,
            "session": f"{self.name}/{self.sitting.number}", "reaction_time_ms": given.reaction_time_ms,
        }  # fmt: skip
        key = f"{self.name}/{len(self._catches) + 1:04d}"
        await asyncio.to_thread(self._store.add_measurements, CATCHES, {key: row})
        self._catches.add(turn.id)
        self.right += right


def _item(trial: Trial, series: Series) -> Item | None:
    """Return the item that a query asks, with the options as they stand in it (`limen.study.asking.queries`)."""
    item = series.reference.item
    if item is not None and trial.part >= OTHER_SIDE and trial.reference == trial.level:
        return item.permuted(pair(series.id, trial.reference, trial.level))
    level = trial.level if trial.part >= OTHER_SIDE else trial.reference
    return series.items()(level, trial.draw)
