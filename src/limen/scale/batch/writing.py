"""From a study to the files of its next round."""

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from limen import observer as observers
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observer import BatchObserver, Observer, Query, Reply
from limen.parsing.token_probability import offers_letters
from limen.scale.batch import formats
from limen.scale.batch.files import Parts, RoundFolder
from limen.scale.batch.formats import Format
from limen.spending import USUAL, Price, query_tokens
from limen.store import Store, ledger
from limen.store.ledger import Ledger, Line, Round, custom_id
from limen.study import Examine, Progress, Study, UnfinishedSeries
from limen.study.session import LATER, UnansweredQuery, Watch
from limen.trial import Trial

WAITING = "waiting"  # kind of a series whose wave has not begun


@dataclass(frozen=True, slots=True)
class FileWritten:
    """A file to send.

    Attributes:
        path: where it lies.
        observer: whose questions it holds.
        format: of which service (`limen.scale.batch.formats`).
        lines: questions in it.
        bytes: its size.
    """

    path: str
    observer: str
    format: str
    lines: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RoundWritten:
    """What `write` did.

    Attributes:
        round: its number, from 1; of the one before where nothing was left to ask.
        files: to send, in order.
        lines: in all of them.
        bytes: of all of them.
        tokens_in: about how many the questions take.
        tokens_out: how many the answers take at most.
        cost: at most, at the price that was given; None without one.
        series: of the study, over all observers and questions.
        open: of them, those that need answers of this round.
        waiting: those whose wave begins when others are finished.
        left: those that stay open because of failures that would come again.
        notices: what a person should know.
    """

    round: int
    files: tuple[FileWritten, ...]
    lines: int
    bytes: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    series: int
    open: int
    waiting: int
    left: tuple[UnfinishedSeries, ...]
    notices: tuple[str, ...]

    @property
    def done(self) -> int:
        """Series that have all their answers."""
        return self.series - self.open - self.waiting - len(self.left)


def write(
    study: Study, out: Path, to: Path, *, watch: Watch = lambda progress: None, examine: Examine | None = None,
    again: bool = False, form: str = "", price: str | Mapping[str, float] | Price | None = None,
) -> RoundWritten:  # fmt: skip
    """Write the questions that every open series needs next into files, and return what to send.

    Args:
        study: planned; all its observers can be asked in files.
        out: the run directory; made if it is not there.
        to: folder in which the round gets a folder of its own.
        watch: called while it runs.
        examine: called with each observer before its first question, at its endpoint (`limen.preflight.exam.keep`).
        again: write anew what has not come back, and what failed in a way that would come again.
        form: format of the files, where the observers' own has another that takes the same ("" for their own).
        price: for a million tokens, to say what it costs at most.

    Raises:
        InputError: an observer cannot be asked in files, the last round has not been read, or its folder is there.
        StoreError: `out` cannot be written, or holds another study.
        FatalObserverError: the exam says that nothing should be measured.
    """
    rates = None if price is None else Price.of(price)
    batched = [_batched(one) for one in study.observers]
    chosen = [_format(one, form) for one in batched]
    known = Ledger.of(out)
    if (unread := known.unread()) and not again:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise InputError(
            f"Nothing has come back for {unread[0]}{more}. Read what the service sent: limen batch read {out} FILES; "
            "or give --again to write those questions once more (they may be paid for twice)."
        )
    number = known.last + 1
    with RoundFolder(to, number) as place:
        recorders = [
            _Recorder(one, Parts(place, one.name, kind), number, known, again, study.spec.identical_pairs)
            for one, kind in zip(study.observers, chosen, strict=True)
        ]
        progress = _run(study, recorders, out, watch, examine)
        parts = [recorder.close() for recorder in recorders]
        if any(part.lines for part in parts):
            with Store.create(out, {}) as store:  # first: no file whose answers the run would not know
                store.add_measurements(ledger.ROUNDS, {one.key: _row(one) for one in (*parts, *known.passed())})
                for recorder in recorders:
                    store.add_measurements(ledger.LINES, ledger.rows(recorder.taken))
            place.publish()
    files = tuple(
        FileWritten(str(place.path / name), recorder.name, kind.name, *size)
        for recorder, kind in zip(recorders, chosen, strict=True)
        for name, size in recorder.parts.sizes.items()
    )
    tokens = [sum(getattr(one, name) for one in recorders) for name in ("tokens_in", "tokens_out")]
    kinds = Counter(one.kind for one in progress.unfinished)
    return RoundWritten(
        number if files else known.last, files, sum(one.lines for one in files), sum(one.bytes for one in files),
        tokens[0], tokens[1], None if rates is None else rates.of_tokens(*tokens), progress.total, kinds[LATER],
        kinds[WAITING], tuple(one for one in progress.unfinished if one.kind not in (LATER, WAITING)),
        tuple(progress.notices),
    )  # fmt: skip


def _batched(observer: Observer) -> BatchObserver:
    if isinstance(observer, observers.Hosted) and len(observer.places) > 1:
        raise InputError(
            f"{observer.name} is behind {len(observer.places)} endpoints, and a batch file goes to one service. Give "
            "one base_url."
        )
    if not isinstance(observer, BatchObserver):
        raise InputError(
            f"{observer.name} has no batch files: they are for observers at a service (openai:MODEL, ...). Measure it "
            "with limen measure."
        )
    return observer


def _format(observer: BatchObserver, wanted: str) -> Format:
    own = formats.find(observer.batch_format)
    chosen = formats.find(wanted) if wanted else own
    if chosen.takes != own.takes:
        fitting = [name for name, one in formats.FORMATS.items() if one.takes == own.takes]
        raise InputError(
            f"--format is {wanted}, whose files hold other requests than this observer makes. Give "
            f"{' or '.join(fitting)}, or an observer of that service: {wanted}:MODEL."
        )
    return chosen


def _run(study: Study, recorders: Sequence["_Recorder"], out: Path, watch: Watch, examine: Examine | None) -> Progress:
    try:
        return dataclasses.replace(study, observers=tuple(recorders)).run(out, watch, examine=examine)
    except FatalObserverError as error:
        if any(one.asked_at_once for one in recorders) and error.kind != "exam failed":
            what = "The exam is held at the endpoint, before the first round; --no-exam writes files without it."
            raise FatalObserverError(error.kind, f"{error.detail} {what}") from None
        raise


def _row(part: Round) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(part)
    return found


class _Recorder(Observer):
    """An observer that takes its questions down; those of an exam alone are asked at once."""

    def __init__(self, asked: Observer, parts: Parts, number: int, known: Ledger, again: bool, beside: bool) -> None:
        assert isinstance(asked, BatchObserver)
        self.name, self.label, self.concurrency = asked.name, asked.label, asked.concurrency
        self.sampled, self.max_tokens = asked.sampled, asked.max_tokens
        self.parts, self.taken = parts, dict[str, Line]()
        self.tokens_in = self.tokens_out = 0
        self.asked_at_once = False
        self._asked, self._written, self._number = asked, asked, number
        self._beside = beside
        self._failed = {} if again else known.lasting(asked.name)
        self._candidates = asked.candidates = known.candidates(asked.name, asked.candidates)
        self._held = contextlib.AsyncExitStack()
        self._entering = asyncio.Lock()

    @property
    def notice(self) -> str:
        """What the exam did, if there was one."""
        return self._asked.notice if self.asked_at_once else ""

    def sent_bytes(self, picture: Picture) -> int:
        """Return how many bytes a picture takes in a body."""
        return self._asked.sent_bytes(picture)

    def fingerprint(self) -> Mapping[str, Any]:
        """Return that of the observer: its answers are the same, however they travel."""
        return self._asked.fingerprint()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.aclose()

    async def answer(self, query: Query) -> Reply:
        """Ask at once, a question of an exam."""
        async with self._entering:
            if not self.asked_at_once:
                self.asked_at_once = True
                await self._held.enter_async_context(self._asked)
        return await self._asked.answer(query)

    async def defer(self, query: Query, trial: Trial, ahead: bool) -> None:
        """Write a question into a file, once a round.

        Raises:
            UnansweredQuery: it failed before, and would again.
        """
        if (failed := self._failed.get(trial.key)) is not None:
            why = f"so came its line of round {failed.round} back; limen batch write --again writes it once more"
            raise UnansweredQuery(failed.outcome, why)
        name = custom_id(trial.key, self._number)
        if (there := self.taken.get(name)) is not None:
            if there.ahead and not ahead:
                self.taken[name] = Line.of(trial, there.round, there.file, False, there.letters)
            return
        letters = offers_letters(query.text)
        self.taken[name] = Line.of(trial, self._number, "", ahead, letters)  # before anything is waited for
        file = self.parts.add(name, await self._written.request(query))
        self.taken[name].file = file
        self.tokens_in += query_tokens(query)
        self.tokens_out += self.max_tokens or USUAL

    def close(self) -> Round:
        """End the files, and return what the run keeps of them."""
        self.parts.close()
        sizes = self.parts.sizes
        return Round(
            self._number, self.name, self.parts.form.name, self._written.candidates,
            sum(one for one, _ in sizes.values()), list(sizes), sum(size for _, size in sizes.values()), self._beside,
        )  # fmt: skip
