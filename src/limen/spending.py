"""What a run asks and spends, counted before a question goes out, and what it may.

Where usage does not come with an answer, it is reckoned at most: about one token for 4 characters of text and for
28x28 px of a picture (the rule of Qwen2-VL, arXiv:2409.12191; other models differ), and the longest answer the observer
may give.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from limen.errors import InputError
from limen.observer import Observer, Reply
from limen.question import Query
from limen.trial import Answer

CHARACTERS, PATCH = 4, 28  # of a text, and px a side of a picture: one token
USUAL = 60  # tokens of a usual answer: a flag and a sentence or two
MOST = 10**12  # questions, and of any currency


@dataclass(frozen=True, slots=True)
class Price:
    """Rates for a million tokens, in any currency.

    Examples:
        >>> from limen.spending import Price
        >>> Price.of("in=2.5,out=10").of_tokens(1_000_000, 100_000)
        3.5
    """

    tokens_in: float
    tokens_out: float

    @classmethod
    def of(cls, given: "str | Mapping[str, float] | Price") -> "Price":
        """Return the price that a text ("in=2.5,out=10") or a mapping of the same names gives.

        Raises:
            InputError: a name other than in and out, one of them missing, or a rate that is none.
        """
        if isinstance(given, Price):
            return given
        right = "Give both rates for a million tokens: in=2.5,out=10."
        entries: dict[str, str | float] = dict(given if isinstance(given, Mapping) else _parts(given, right))
        if strange := sorted(entries.keys() - {"in", "out"}):
            raise InputError(f"price: there is no rate {strange[0]!r}. {right}")
        if missing := sorted({"in", "out"} - entries.keys()):
            raise InputError(f"price: the rate {missing[0]!r} is missing (0 for what is free). {right}")
        return cls(*(_rate(name, entries[name], right) for name in ("in", "out")))

    def of_tokens(self, tokens_in: float, tokens_out: float) -> float:
        """Return what so many tokens cost."""
        return (self.tokens_in * tokens_in + self.tokens_out * tokens_out) / 1e6


def _parts(text: str, right: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals for _, equals, _ in pairs):
        raise InputError(f"price is {text!r:.60}. {right}")
    names = [name.strip() for name, _, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"price: the rate {twice[0]!r} is given twice. {right}")
    return [(name.strip(), rate.strip()) for name, _, rate in pairs]


def _rate(name: str, given: str | float, right: str) -> float:
    try:
        rate = float(given)
    except (TypeError, ValueError):
        raise InputError(f"price: the rate {name!r} is {given!r:.40}, which is not a number. {right}") from None
    if not 0 <= rate <= MOST:
        raise InputError(f"price: the rate {name!r} is {rate:g}. Give 0 or more, and less than {MOST:.0e}. {right}")
    return rate


def money(sum_: float) -> str:
    """Return a sum of any currency as it is shown: two digits after the point, of small sums the first two."""
    return f"{sum_:,.2f}" if sum_ >= 0.095 or not sum_ else f"{sum_:.2g}" if sum_ >= 1e-4 else "under 0.0001"


def short(count: float) -> str:
    """Return a large number in few digits: 950, 61 k, 1.2 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * size:
            return f"{count / size:.1f} {unit}" if count < 9.95 * size else f"{count / size:,.0f} {unit}"
    return f"{count:.0f}"


def picture_tokens(width: int, height: int) -> int:
    """Return about how many tokens a picture takes, by the rule of Qwen2-VL.

    Args:
        width: in px.
        height: in px.
    """
    return math.ceil(width / PATCH) * math.ceil(height / PATCH)


def text_tokens(text: str) -> int:
    """Return about how many tokens a text takes."""
    return math.ceil(len(text) / CHARACTERS)


def query_tokens(query: Query) -> int:
    """Return about how many tokens a question takes, pictures and text."""
    shapes = [picture.pixels.shape for picture in query.pictures]
    return text_tokens(query.text) + sum(picture_tokens(width, height) for height, width, _ in shapes)


class Spending:
    """Questions asked and tokens spent by all observers of a run, and the limits of both.

    Args:
        questions: asked at most, those of exams included; None for any number.
        cost: spent at most, at `price`; None for any sum.
        price: what tokens cost; a text or a mapping as `Price.of` takes it.

    Attributes:
        asked: questions that have been put, those without an answer included.
        tokens_in, tokens_out: of the answers that came; reckoned at most where the observer does not say.
        unsaid: answers that came without usage.
        refused: whether a question was not put because of a limit.

    Raises:
        InputError: a limit that is none, or a cost without a price.

    Examples:
        >>> import limen
        >>> from limen.spending import Spending
        >>> Spending(questions=100).over
        False
    """

    def __init__(
        self,
        questions: int | None = None,
        cost: float | None = None,
        price: str | Mapping[str, float] | Price | None = None,
    ) -> None:
        whole = isinstance(questions, int) and not isinstance(questions, bool)
        if questions is not None and not (whole and 1 <= questions <= MOST):
            raise InputError(f"max_questions is {questions!r:.40}. Give a whole number of 1 or more.")
        if cost is not None and not (isinstance(cost, int | float) and 0 < cost <= MOST):
            raise InputError(f"max_cost is {cost!r:.40}. Give a number above 0.")
        if cost is not None and price is None:
            raise InputError("max_cost needs a price: what a million tokens cost you. Give price in=2.5,out=10.")
        self.questions, self.most = questions, cost
        self.price = None if price is None else Price.of(price)
        self.asked = self.tokens_in = self.tokens_out = self.unsaid = 0
        self.refused = False
        self._reserved: dict[int, float] = {}  # what each question under way may cost, by its number
        self._settled = 0
        self._largest = (0, 0)  # tokens in and out of one question so far
        self._turns: list[asyncio.Future[None]] = []

    @property
    def spent(self) -> float:
        """What the answers cost that have come; 0 without a price."""
        return self.price.of_tokens(self.tokens_in, self.tokens_out) if self.price else 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more may be asked."""
        return self.refused or (self.questions is not None and self.asked >= self.questions)

    @property
    def why(self) -> str:
        """Which limit it is that was reached, in a few words."""
        if self.questions is not None and self.asked >= self.questions:
            return f"the limit of {self.questions:,} questions is reached"
        return f"the limit of {self.most:g} is reached as nearly as the cost of one more answer allows"

    @property
    def said(self) -> str:
        """What has been spent; "at most" where answers came without their usage."""
        return f"at most {money(self.spent)}" if self.unsaid else money(self.spent)

    @property
    def summary(self) -> str:
        """What was asked and spent, in a few words: "1,204 questions, 1.2 M + 61 k tokens, 3.61 at your rates"."""
        parts = [f"{self.asked:,} question{'s' * (self.asked != 1)}"]
        if self.tokens_in and (self.price is not None or not self.unsaid):
            most = "at most " if self.unsaid else ""
            parts.append(f"{most}{short(self.tokens_in)} + {short(self.tokens_out)} tokens")
        if self.price is not None:
            parts.append(f"{self.said} at your rates")
        return ", ".join(parts)

    async def ask(self, observer: Observer, query: Query) -> Reply | None:
        """Put a question; None where a limit does not allow it.

        Where the cost is limited, what the question may cost is set aside first, so that however many are under way the
        sum is kept; one waits for others whose answers may leave room for it. Until one answer has told how many
        tokens there are to a question, they are put one by one.

        Args:
            observer: entered.
            query: what is shown and asked.
        """
        most = (query_tokens(query), observer.max_tokens or USUAL)
        share = await self._set_aside(most)
        if share is None:
            self.refused = True
            return None
        self.asked += 1
        number, reply = self.asked, None
        self._reserved[number] = share
        try:
            reply = await observer.answer(query)
        finally:
            self._settle(number, reply.answer if reply else None, most)
        return reply

    async def _set_aside(self, most: tuple[int, int]) -> float | None:
        """Return what to set aside for a question, when there is room for it; None where there will be none."""
        while not self.over:
            share, alone = self._may_cost(most), not self._reserved
            if self.most is None:
                return share
            if (alone or self._settled) and self.spent + sum(self._reserved.values()) + share <= self.most:
                return share
            if alone:
                return None
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._turns.append(turn)
            await turn
        return None

    def _may_cost(self, most: tuple[int, int]) -> float:
        """Return what a question costs at most, as far as is known."""
        if self.price is None:
            return 0.0
        return self.price.of_tokens(*map(max, most, self._largest))

    def _settle(self, number: int, answer: Answer | None, most: tuple[int, int]) -> None:
        del self._reserved[number]
        if answer is not None:
            said = answer.tokens_in, answer.tokens_out
            self.unsaid += None in said
            tokens_in, tokens_out = (one if told is None else told for told, one in zip(said, most, strict=True))
            self.tokens_in += tokens_in
            self.tokens_out += tokens_out
            self._settled += 1
            self._largest = max(self._largest[0], tokens_in), max(self._largest[1], tokens_out)
        for turn in self._turns:
            if not turn.done():
                turn.set_result(None)
        self._turns.clear()
