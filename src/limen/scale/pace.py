"""How fast a server is asked: requests in flight that adapt to what it bears, and a budget for any minute.

`Window` is additive increase, multiplicative decrease (Chiu and Jain 1989, as in TCP): a refusal halves what may be in
flight, each round of answers allows one request more, up to what was configured. It differs from TCP in that it begins
with all that was configured: a server that bears it is never asked slower.

`Budget` keeps requests and tokens of any 60 seconds below a limit by a log of what was sent, not by a token bucket: a
bucket that may be full lets twice its size pass within one minute.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

MINUTE = 60.0  # seconds that a budget is for
SLACK = 1.0  # seconds more: of two requests the later one may be the faster on its way
RISE = 2.0  # a round's mean latency over the least of all rounds that is too much
EASED = 0.8  # share of the latency before, above which a halving has not helped


@dataclass(slots=True)
class Turn:
    """One request's place in a window; of the one that was let in so many before it."""

    number: int


class Window:
    """How many requests to one server may be in flight: halved where that is too many, crept up again.

    Args:
        most: requests at most, >= 1; what it begins with.
        by_latency: whether a rising latency halves it, too.

    Attributes:
        allowed: requests that may be in flight now, 1..most.
        in_flight: requests that are.
    """

    def __init__(self, most: int, by_latency: bool = False) -> None:
        self.most = self.allowed = most
        self.in_flight = 0
        self._by_latency = by_latency
        self._let_in = self._since = 0  # requests so far, and those before the last halving
        self._round: list[float] = []  # seconds of the answers since the last step
        self._least = math.inf  # mean seconds of the fastest round
        self._before = math.inf  # mean seconds of the round that a rise in latency halved it after
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a place, first come, first served, and hold it."""
        if self.in_flight < self.allowed and not self._waiting:
            self.in_flight += 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():  # it was given one, and nobody will use it
                    self._leave()
                raise
        self._let_in += 1
        try:
            yield Turn(self._let_in)
        finally:
            self._leave()

    def refused(self, turn: Turn) -> None:
        """Halve, because the server refused a request for being one too many; once for all that were under way."""
        if turn.number > self._since:
            self._halve()

    def answered(self, turn: Turn, seconds: float) -> None:
        """Count an answer, and allow one request more after a round of them.

        Args:
            turn: of the request.
            seconds: from its sending to the answer's end.
        """
        if turn.number <= self._since:  # it was under way with more beside it
            return
        self._round.append(seconds)
        if len(self._round) < self.allowed:
            return
        mean = sum(self._round) / len(self._round)
        if self._by_latency and self._too_slow(mean):
            self._before = mean
            self._halve()
            return
        self._round.clear()
        if self.allowed < self.most:
            self.allowed += 1
            self._admit()

    def _too_slow(self, mean: float) -> bool:
        """Say whether latency has risen, and not for another reason: then halving does not bring it down."""
        if mean > EASED * self._before:
            self._least = mean  # questions have become longer: this is what they take
        self._least, self._before = min(self._least, mean), math.inf
        return mean > RISE * self._least and self.allowed > 1

    def _halve(self) -> None:
        self.allowed = max(1, self.allowed // 2)
        self._since = self._let_in
        self._round.clear()

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.allowed:
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)


@dataclass(eq=False, slots=True)
class Sent:
    """A request in the log of a budget: when it was sent, in seconds, and the tokens it counts for.

    Attributes:
        at: by `time.monotonic`.
        tokens: that it counts for.
        reckoned: tokens that were reckoned beforehand.
        settled: whether it has ended.
    """

    at: float
    tokens: int
    reckoned: int = 0
    settled: bool = False


class Budget:
    """Requests and tokens that may be sent in any minute, kept before a request is sent.

    Until one answer has told how many tokens there are to a question, requests of a limited number of tokens are sent
    one by one.

    Args:
        requests: in any minute at most; None for any number.
        tokens: of questions and answers in any minute at most; None for any number.
        span: seconds that the limits are for.

    Attributes:
        tell: called with a line for a person when the first request has to wait.
    """

    def __init__(self, requests: int | None = None, tokens: int | None = None, span: float = MINUTE + SLACK) -> None:
        self.requests, self.tokens, self._span = requests, tokens, span
        self._log: deque[Sent] = deque()
        self._largest = 0  # tokens of one request so far
        self._took: dict[int, int] = {}  # fewest tokens that an answer took, by those that were reckoned
        self.tell: Callable[[str], None] = lambda line: None
        self._told = tokens is None
        self.open()

    def open(self) -> None:
        """Make it fit to be waited for in an event loop that begins; what was sent stays in the log."""
        self._turn, self._changed, self._said = asyncio.Lock(), asyncio.Event(), False

    def expected(self, tokens: int) -> int:
        """Return what a request takes: what is reckoned, or if more what one reckoned at no more took at least."""
        return max([tokens, *(took for reckoned, took in self._took.items() if reckoned <= tokens)])

    def bears(self, tokens: int) -> bool:
        """Say whether a request that is reckoned at so many tokens can be sent at all."""
        return self.tokens is None or self.expected(tokens) <= self.tokens

    async def take(self, tokens: int) -> Sent | None:
        """Wait until a request may be sent, first come, first served, and enter it into the log; None if it never may.

        Args:
            tokens: that it and its answer take at most, as far as can be reckoned. 0 for a request that stands in for
                another.
        """
        async with self._turn:
            while (bears := self.bears(tokens)) and (left := self._left(tokens)) > 0:
                self._say(left, tokens)
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), left)
            if not bears:
                return None
            sent = Sent(time.monotonic(), self._share(tokens), tokens)
            if self.requests is not None or self.tokens is not None:
                self._log.append(sent)
            return sent

    def settle(self, sent: Sent, tokens: int | None) -> None:
        """Correct what a request counts for by what its answer says it took.

        Args:
            sent: as `take` gave it.
            tokens: of question and answer; None where no answer came, so that it counts for what was reckoned.
        """
        sent.settled, self._told = True, self._told or tokens is not None
        if tokens is not None:
            sent.tokens, self._largest = tokens, max(self._largest, tokens)
            if self.tokens is not None and sent.reckoned:
                self._took[sent.reckoned] = min(tokens, self._took.get(sent.reckoned, tokens))
        self._changed.set()

    def withdraw(self, sent: Sent) -> None:
        """Take a request out of the log that was not sent after all."""
        with contextlib.suppress(ValueError):
            self._log.remove(sent)
        self._changed.set()

    def _share(self, tokens: int) -> int:
        """Return what a request counts for: of what was reckoned and the largest so far the larger."""
        if not tokens or self.tokens is None:
            return tokens
        return max(tokens, min(self._largest, self.tokens))

    def _left(self, tokens: int) -> float:
        """Return in how many seconds a request may be sent if nothing else happens, 0 for now."""
        now = time.monotonic()
        while self._log and self._log[0].at + self._span <= now:
            self._log.popleft()
        alone = tokens and not self._told and any(not sent.settled for sent in self._log)
        return self._log[0].at + self._span - now if self._log and (alone or self._used_up(tokens)) else 0.0

    def _used_up(self, tokens: int) -> str:
        """Return which limit leaves no room for a request now, "" for none."""
        if self.requests is not None and len(self._log) >= self.requests:
            return f"--rpm {self.requests}"
        used = sum(sent.tokens for sent in self._log)
        if tokens and self.tokens is not None and used + self._share(tokens) > self.tokens:
            return f"--tpm {self.tokens}"
        return ""

    def _say(self, left: float, tokens: int) -> None:
        """Say once what is waited for, where that takes a while."""
        if self._told and not self._said and left > SLACK and (limit := self._used_up(tokens)):
            self._said = True
            self.tell(f"Waiting for {limit}: the next question goes out in {left:.0f} s. This is said once.")
