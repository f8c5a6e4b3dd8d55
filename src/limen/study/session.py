"""One observer being questioned: from a procedure's probes to pictures, answers, and verdicts, with a store between."""

import asyncio
import contextlib
import dataclasses
import functools
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from limen.errors import FatalObserverError, InputError, ObserverError
from limen.image import Picture, png
from limen.item import Item
from limen.observer import Deferrer, Follower, Observer, Reply, Stopper
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Method, Probe, Result, Verdicts, begin, foresee
from limen.question import Query, Question
from limen.spending import CHARACTERS, PATCH, USUAL, Spending
from limen.stimulus import Series
from limen.stopping import GRACE
from limen.store import Store
from limen.study import asking
from limen.study.pixel_budget import PixelBudget
from limen.study.schedule import Assignment
from limen.trial import OTHER_SIDE, Answer, Attempt, Trial, pair


@dataclass(frozen=True, slots=True)
class UnfinishedSeries:
    """A series that stays open, and why."""

    observer: str
    distortion: str
    reference: str
    kind: str
    detail: str


@dataclass
class Progress:
    """How far a study is; counted up while it runs.

    Attributes:
        total, done: series, over all observers and questions.
        asked: queries answered by an observer in this session.
        replayed: queries whose answer was in the store.
        ahead: of those asked, how many were asked before they were needed; all the same, some never are.
        failures: attempts that failed.
        tokens_in, tokens_out: spent in this session, where the observer says.
        unfinished: series left open.
        refused: one line for each file that could not be used.
        notices: what a person should know before it starts (where photographs are sent).
        doing: what is being drawn where no question waits for it, in a few words; "" for nothing.
        spending: what was asked and spent in this session, exams included, and may be.
    """

    total: int = 0
    done: int = 0
    asked: int = 0
    replayed: int = 0
    ahead: int = 0
    failures: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unfinished: list[UnfinishedSeries] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    notices: list[str] = field(default_factory=list)
    doing: str = ""
    spending: Spending = field(default_factory=Spending)

    def count(self, answer: Answer) -> None:
        """Add one answer's cost."""
        self.asked += 1
        self.tokens_in += answer.tokens_in or 0
        self.tokens_out += answer.tokens_out or 0


Watch = Callable[[Progress], None]
LATER = "later"  # kind of a series that is left open because answers it needs come later
LIMIT = "limit"  # kind of a series that is left open because no more may be asked
UNKNOWN = 1_000_000  # pixels that a reference counts for whose source does not say its size


class UnansweredQuery(Exception):
    """A query that stays without an answer for now."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(f"{kind}: {detail}")


class DeferredQuery(UnansweredQuery):
    """A query that was taken down, and is answered later."""

    def __init__(self) -> None:
        super().__init__(LATER, "its next questions have been written down and wait for their answers")


@dataclass
class Session:
    """One observer being questioned: the part of a study that does I/O.

    Attributes:
        observer: entered.
        fingerprint: digest of its fingerprint, part of every key.
        store: open for writing.
        progress, watch: counted up, and told.
        offline: ask nobody.
        budget: bytes left for keeping references.
        identical_pairs: whether to show references with themselves.
        look_ahead: how many asks to foresee and put while the one that is needed is under way.
        room: what series under way share of pixels in flight.
    """

    observer: Observer
    fingerprint: str
    store: Store
    progress: Progress
    watch: Watch
    offline: bool
    budget: float
    identical_pairs: bool
    look_ahead: int = 0
    room: PixelBudget = field(default_factory=lambda: PixelBudget(sys.maxsize))
    flying: dict[str, asyncio.Future[Answer | None]] = field(default_factory=dict)
    silent: int = 0  # queries since the last answer
    kept: set[str] = field(default_factory=set)
    stopping: bool = False  # nothing more is asked
    unsaid: bool = False  # it has been told that the observer does not say what answers cost

    def __post_init__(self) -> None:
        name = self.observer.name
        known = [one for one in self.store.origins() if (one.observer, one.what) == (name, "model")]
        self.models = [one.said for one in sorted(known, key=lambda one: one.first)]
        self.gate = asyncio.Semaphore(self.observer.concurrency)
        self.follower = self.observer if isinstance(self.observer, Follower) else None
        self.deferrer = self.observer if isinstance(self.observer, Deferrer) else None

    async def series(self, turn: Assignment, method: Method) -> Verdicts:
        """Run the procedure on one series, then show the identical pairs.

        Returns:
            The verdicts on what was asked: pairs of equal pixels were not, and teach nothing.
        """
        talk = _Talk(self, turn.question, turn.series)
        try:
            if turn.question.alone and await talk.excluded():
                return {}
            return await self._through(talk, turn, method)
        finally:
            talk.close()

    async def _through(self, talk: "_Talk", turn: Assignment, method: Method) -> Verdicts:
        course = begin(method, turn.series.distortion.ladder, turn.prior)
        known: dict[Probe, Verdict] = {}
        found: Result
        so_far = functools.partial(foresee, method, turn.series.distortion.ladder, turn.prior)
        beside = self.identical_pairs and not turn.question.forced  # the references beside themselves
        async with _Early(talk) as early:
            try:
                ask = next(course)
                while True:
                    foreseen = functools.partial(so_far, dict(known), self.look_ahead)
                    if self.look_ahead and not self.offline and self.deferrer is None:
                        early.begin(foreseen)
                    try:
                        answers = await talk.verdicts(ask.needed)
                    except DeferredQuery:  # with what is needed in any case later, and with what may be: fewer rounds
                        early.begin(functools.partial(_with_reference, foreseen) if beside else foreseen)
                        raise
                    known |= answers
                    ask = course.send(answers)
            except StopIteration as stop:
                found = stop.value
        if beside:
            asked = {probe.level for probe in known.keys() - talk.floor}
            await talk.verdicts(asking.identical(turn.question, {0, *(one.reference for one in found)}, asked))
        return {probe: verdict for probe, verdict in known.items() if probe not in talk.floor}

    async def answer(self, query: Query, trial: Trial, early: "_Early | None" = None) -> Answer:
        """Return the answer to a query from the store, from a request under way, or from the observer.

        One that is asked early is kept, and becomes a trial when it is needed.

        Args:
            query: what is shown and asked.
            trial: the record it belongs to, with the key.
            early: the foreseen questions it is one of; None where a procedure needs it now.
        """
        found = self.store.get(trial.key)
        while found is None and trial.key in self.flying:
            found = await asyncio.shield(self.flying[trial.key]) or self.store.get(trial.key)
        if found is not None:
            if early is None:
                self.follow(dataclasses.replace(trial, answer=found))
                await self.store.add(dataclasses.replace(trial, answer=found))
                self.progress.replayed += 1
            return found
        if self.offline:
            raise UnansweredQuery("not-recorded", "the run holds no answer to this, and --offline asks nobody")
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.flying[trial.key] = future
        try:
            async with self.gate:
                if self.stopping:
                    raise UnansweredQuery("stopped", "the run was stopped before it was asked")
                if early is not None and early.over:
                    raise UnansweredQuery("not-needed", "the series ended without it")
                if self.deferrer is not None:
                    await self.deferrer.defer(query, trial, early is not None)
                    raise DeferredQuery
                self.follow(trial)
                reply = await self._reply(query)
            if reply.answer is None and not reply.attempts and self.stopping:
                raise UnansweredQuery("stopped", "the run was stopped before it was asked")
            ahead = early is not None
            await self.store.add(dataclasses.replace(trial, answer=reply.answer), reply.attempts, ahead)
            self.progress.ahead += ahead and reply.answer is not None
            if reply.answer is not None or not self.stopping:
                self._count(reply.answer, reply.attempts)
            future.set_result(reply.answer)
        finally:
            del self.flying[trial.key]
            if not future.done():
                future.set_result(None)
        if reply.answer is None:
            last = reply.attempts[-1] if reply.attempts else Attempt("failed", "the observer gave no reason")
            raise UnansweredQuery(last.outcome, last.detail)
        return reply.answer

    def follow(self, trial: Trial) -> None:
        """Tell an observer that keeps a record of its own which trial comes now."""
        if self.follower is not None:
            self.follower.follow(trial)

    async def land(self) -> None:
        """Ask nothing more, and give what is under way, and is paid for, a moment to come in and be kept."""
        self.stopping = True
        observer = self.observer
        calls = observer.stop() if isinstance(observer, Stopper) else min(len(self.flying), observer.concurrency)
        if calls:
            what = "a call" if calls == 1 else f"{calls:,} calls"
            self.progress.notices.append(
                f"Stopping: up to {GRACE:g} s for {what} under way. Once more ends it at once."
            )
            self.watch(self.progress)
        if self.flying:
            await asyncio.wait(list(self.flying.values()), timeout=GRACE)

    async def _reply(self, query: Query) -> Reply:
        """Ask; an observer may also raise its failure, unless that is fatal."""
        try:
            reply = await self.progress.spending.ask(self.observer, query)
        except FatalObserverError:
            raise
        except ObserverError as error:
            return Reply(None, (Attempt(error.kind, error.detail),))
        if reply is None:
            raise UnansweredQuery(LIMIT, self.progress.spending.why)
        return reply

    def expect_room(self) -> None:
        """Raise if a limit has left a question unasked: nothing is drawn for another that cannot be put either."""
        if self.progress.spending.refused:
            raise UnansweredQuery(LIMIT, self.progress.spending.why)

    def _count(self, answer: Answer | None, attempts: tuple[Attempt, ...]) -> None:
        self.progress.failures += len(attempts) - (answer is not None)
        if answer is None and not (attempts and attempts[-1].outcome == "not-recorded"):
            self.silent += 1
            if self.silent >= max(20, 3 * self.observer.concurrency):
                last = attempts[-1] if attempts else Attempt("failed", "It gave no reason.")
                raise FatalObserverError(
                    last.outcome,
                    f"{self.silent} questions in a row got no answer from {self.observer.name}. The last: {last.detail}"
                    " What was answered is kept: run the same command again when that is fixed.",
                )
        elif answer is not None:
            self.silent = 0
            self.progress.count(answer)
            self._tell_unsaid(answer)
            self._hear(answer.model)
        self.watch(self.progress)

    def _tell_unsaid(self, answer: Answer) -> None:
        """Tell, once for each observer, that what answers cost is reckoned, where it is asked for."""
        if self.progress.spending.price is None or None not in (answer.tokens_in, answer.tokens_out) or self.unsaid:
            return
        self.unsaid = True
        longest = self.observer.max_tokens
        out = f"at most, {longest:,} out (max_tokens)" if longest else f"as {USUAL} out"
        self.progress.notices.append(
            f"{self.observer.name} does not say how many tokens an answer took: each is reckoned {out}, and its "
            f"question as one token for {CHARACTERS} characters and for {PATCH}x{PATCH} px."
        )

    def _hear(self, model: str) -> None:
        """Tell, once for each, that a model answers which has not answered before; the store's answers count."""
        if not model or model in self.models:
            return
        if self.models:
            self.progress.notices.append(
                f"{self.observer.name}: answers now come from {model}, before from {self.models[-1]}: thresholds of "
                "this run mix models. The report says which series."
            )
        self.models.append(model)

    async def keep(self, picture: Picture) -> None:
        """Keep a reference's pixels while the budget lasts."""
        if picture.digest in self.kept or self.budget <= 0:
            return
        self.kept.add(picture.digest)
        if self.store.picture(picture.digest) is not None:
            return
        data = await asyncio.to_thread(png, picture.pixels)
        self.budget -= len(data)
        await self.store.keep(picture.digest, data)


def _with_reference(foreseen: Callable[[], tuple[Probe, ...]]) -> tuple[Probe, ...]:
    """Return what is foreseen, and the reference beside itself."""
    return (Probe(0, 0), *foreseen())


class _Early:
    """What is asked of one series before it is needed; open while the procedure runs."""

    def __init__(self, talk: "_Talk") -> None:
        self._talk, self._tasks, self._seen = talk, list[asyncio.Task[None]](), set[Probe]()
        self.over = False

    def begin(self, foreseen: Callable[[], tuple[Probe, ...]]) -> None:
        """Ask what is foreseen, once each, beside what is needed."""
        self._tasks.append(asyncio.create_task(self._fetch_all(foreseen)))

    async def __aenter__(self) -> "_Early":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Nothing more is asked, unless answers come later; what is under way is paid for: it is waited for and kept.
        self.over = kind is None or not issubclass(kind, DeferredQuery)
        broken_off = kind is not None and not issubclass(kind, UnansweredQuery)
        for task in self._tasks if broken_off else ():
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fetch_all(self, foreseen: Callable[[], tuple[Probe, ...]]) -> None:
        fresh = [probe for probe in await asyncio.to_thread(foreseen) if probe not in self._seen]
        self._seen.update(fresh)
        await asyncio.gather(*map(self._fetch, fresh))

    async def _fetch(self, probe: Probe) -> None:
        # A failure is written down as an attempt; where the answer is needed it is asked again, and then counts.
        with contextlib.suppress(UnansweredQuery, ObserverError, InputError):
            await self._talk.fetch(probe, self)


class _Talk:
    """One series being put to one observer."""

    def __init__(self, session: Session, question: Question, series: Series) -> None:
        self._session, self._question, self._series = session, question, series
        self._stimuli: Callable[[int], Picture] | None = None
        self._opening = threading.Lock()
        self._entering = asyncio.Lock()
        self._room = 0  # taken of the session's
        self.floor: set[Probe] = set()
        self._items = series.items()
        self._known: dict[tuple[Probe, bool, int], Trial] = {
            (Probe(t.reference, t.level, t.draw), t.again, t.part): t
            for t in session.store.trials(session.observer.name, question.name, series.id)
        }

    def close(self) -> None:
        """Let go of the pixels, so that the next series may load its own."""
        self._stimuli = None
        self._session.room.give_back(self._room)
        self._room = 0

    async def verdicts(self, probes: tuple[Probe, ...]) -> dict[Probe, Verdict]:
        if len(probes) == 1:
            return {probes[0]: await self._verdict(probes[0])}
        found = await asyncio.gather(*map(self._verdict, probes), return_exceptions=True)
        for one in sorted(
            (e for e in found if isinstance(e, BaseException)), key=lambda e: isinstance(e, UnansweredQuery)
        ):
            raise one  # the others are through: what was paid for is stored, and a fatal error goes first
        return {probe: one for probe, one in zip(probes, found, strict=True) if isinstance(one, Verdict)}

    async def fetch(self, probe: Probe, early: _Early) -> None:
        """Get the answers to one ask into the store, without making it a trial."""
        if self._recorded(probe, again=False) is not None:
            return
        self._session.expect_room()
        reference, stimulus = await self._pictures(probe)
        if self._equal(probe, reference, stimulus):
            return
        await self._put(probe, False, self._queries(probe, False, reference, stimulus), early=early)

    async def _verdict(self, probe: Probe) -> Verdict:
        first = await self._answers(probe, again=False)
        if not first:
            self.floor.add(probe)
            return Verdict(Flag.NO)  # the two stimuli are one picture: there is nothing to notice
        about = (probe.draw, self._name(probe), self._series.reference.item, self._other(probe))
        verdict = self._question.read(first, (), *about)
        if verdict.flag is Flag.UNREADABLE:
            verdict = self._question.read(first, await self._answers(probe, again=True), *about)
        return verdict

    async def excluded(self) -> bool:
        """Say whether the undistorted reference, asked alone, has no answer that others can be held against."""
        undistorted, item = Probe(0, 0), self._series.reference.item
        first = await self._answers(undistorted, again=False, anchor=True)
        if not self._question.excluded(first, (), item):
            return False
        return bool(self._question.excluded(first, await self._answers(undistorted, again=True, anchor=True), item))

    def _other(self, probe: Probe) -> Item | None:
        """Return the item that a control asks of its stimulus: with its options in another order."""
        item = self._series.reference.item
        return item.permuted(self._name(probe)) if item is not None and probe.reference == probe.level else None

    @property
    def _parts(self) -> tuple[int, ...]:
        """The numbers of the queries of one ask: of what is shown alone first those of the reference."""
        if not self._question.alone:
            return (0,)
        draws = range(asking.draws(self._question, self._session.observer.sampled, self._session.observer.looks))
        return (*draws, *(OTHER_SIDE + draw for draw in draws))

    def _name(self, probe: Probe) -> str:
        return pair(self._series.id, probe.reference, probe.level)

    async def _answers(self, probe: Probe, again: bool, anchor: bool = False) -> tuple[Answer, ...]:
        """Return the answers to one ask, or () where both stimuli are the same and nothing is asked.

        With `anchor`, only those to the reference shown alone.
        """
        known = self._recorded(probe, again, anchor)
        if known is not None:
            return known
        self._session.expect_room()
        reference, stimulus = await self._pictures(probe)
        if self._equal(probe, reference, stimulus):
            nothing = self._trial(probe, again, 0, None)
            self._session.follow(nothing)
            await self._session.store.add(nothing)
            return ()
        if probe.reference == 0 and self._series.reference.digest not in self._session.kept:
            await self._session.keep(await asyncio.to_thread(self._whole, reference))
        if self._session.observer.slow:
            self._stimuli = None
        return await self._put(probe, again, self._queries(probe, again, reference, stimulus), anchor)

    async def _put(
        self, probe: Probe, again: bool, queries: tuple[Query, ...], anchor: bool = False, early: _Early | None = None
    ) -> tuple[Answer, ...]:
        """Put the queries of one ask in their order; where answers come later, all of them are taken down."""
        answers: list[Answer] = []
        deferred: DeferredQuery | None = None
        for part, query in zip(self._parts, queries, strict=True):
            if anchor and part >= OTHER_SIDE:
                break
            try:
                answers.append(await self._session.answer(query, self._trial(probe, again, part, query), early))
            except DeferredQuery as error:
                deferred = error
        if deferred is not None:
            raise deferred
        return tuple(answers)

    def _equal(self, probe: Probe, reference: Picture, stimulus: Picture) -> bool:
        """Say whether two levels are one stimulus, in pixels and in words."""
        return asking.equal(self._question, self._items, probe, reference, stimulus)

    def _queries(self, probe: Probe, again: bool, reference: Picture, stimulus: Picture) -> tuple[Query, ...]:
        """Return what to ask; raise `InputError` where a greedy observer would be asked the same once more."""
        observer, question = self._session.observer, self._question
        most = 1 if question.alone else question.pictures  # different ways of showing the same pixels
        if not observer.sampled and probe.draw >= most and not (self._series.varied and question.itemised):
            different = (
                "one: the same picture, asked the same, is answered the same" if question.alone
                else "two different draws (as asked, and swapped)" if most == 2
                else f"{most} different draws (the stimulus at each place)"
            )  # fmt: skip
            raise InputError(
                f"{observer.name} is greedy: a pair has {different}, not {probe.draw + 1}; the "
                f"paraphrase is kept for answers that cannot be read. Set draws to "
                f"{' or '.join(map(str, range(most, 0, -1)))}."
            )
        shown = (reference, stimulus)
        return asking.queries(
            question, self._series, self._items, probe, again, shown, observer.sampled, observer.looks
        )

    def _recorded(self, probe: Probe, again: bool, anchor: bool = False) -> tuple[Answer, ...] | None:
        """Return what the store has, without drawing a pixel; None where something is missing."""
        found: list[Trial] = []
        answers: list[Answer] = []
        for part in self._parts:
            if anchor and part >= OTHER_SIDE:
                break
            trial = self._known.get((probe, again, part))
            if trial is not None and not trial.key:
                self._session.follow(trial)
                return ()
            if trial is None or trial.answer is None:
                return None
            found.append(trial)
            answers.append(trial.answer)
        for trial in found:
            self._session.follow(trial)
        self._session.progress.replayed += len(answers)
        return tuple(answers)

    async def _pictures(self, probe: Probe) -> tuple[Picture, Picture]:
        """Return both pictures of a probe, drawn in a thread, when there is room for the series."""
        async with self._entering:
            if not self._room:
                width, height = self._series.reference.size
                self._room = await self._session.room.take(width * height or UNKNOWN)
        return await asyncio.to_thread(self._drawn, probe)

    def _drawn(self, probe: Probe) -> tuple[Picture, Picture]:
        with self._opening:
            if self._stimuli is None:
                self._stimuli = self._series.open()
        return asking.shown(self._question, self._series, probe, self._stimuli)

    def _whole(self, reference: Picture) -> Picture:
        """Return what is kept of the reference, by its digest."""
        return asking.kept(self._series, reference, self._stimuli) if self._stimuli is not None else reference

    def _trial(self, probe: Probe, again: bool, part: int, query: Query | None) -> Trial:
        """Return a trial without its answer; `query` is None where both stimuli are one picture."""
        names = (self._session.observer.name, self._question.name, self._series.id)
        of = (*names, probe.reference, probe.level, probe.draw, again, part)
        if query is None:
            return Trial(*of, key="")
        form = self._question.form or (self._series.reference.item.form if self._series.reference.item else None)
        name = form.name if form is not None else ""
        return Trial(*of, query.key(self._session.fingerprint), wording=query.text, form=name)
