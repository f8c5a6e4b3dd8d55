"""What is asked and spent is counted before it is asked, and never more than allowed."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from limen.errors import InputError
from limen.image import Picture
from limen.observer import Observer, Reply
from limen.question import Query
from limen.spending import MOST, USUAL, Price, Spending, money, picture_tokens, query_tokens, short
from limen.trial import Answer, Attempt

QUERY = Query((Picture.of(np.zeros((56, 84, 3), np.uint8)), "Do they differ? "))  # 2 x 3 patches and 16 characters


class Clerk(Observer):
    """Answers after a tick, with the usage it is given; knows how many questions were under way at once."""

    name, concurrency = "clerk", 64

    def __init__(self, tokens_in: int | None, tokens_out: int | None, longest: int | None = None) -> None:
        self.usage, self.max_tokens = (tokens_in, tokens_out), longest
        self.asked = self.under_way = self.together = 0

    def fingerprint(self) -> Mapping[str, Any]:
        return {"kind": "clerk"}

    async def answer(self, query: Query) -> Reply:
        self.asked += 1
        self.under_way += 1
        self.together = max(self.together, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        return Reply(Answer("<no>", tokens_in=self.usage[0], tokens_out=self.usage[1]), (Attempt("ok"),))


def ask(spending: Spending, clerk: Clerk, times: int = 64) -> list[Reply | None]:
    async def all_at_once() -> list[Reply | None]:
        return await asyncio.gather(*(spending.ask(clerk, QUERY) for _ in range(times)))

    return asyncio.run(all_at_once())


@pytest.mark.parametrize("most", [1, 10, 63])
def test_as_many_are_asked_as_allowed_however_many_are_under_way(most: int) -> None:
    clerk, spending = Clerk(100, 10), Spending(questions=most)
    replies = ask(spending, clerk)
    assert clerk.asked == most == sum(one is not None for one in replies)
    assert spending.refused
    assert spending.over
    assert "questions" in spending.why


def test_a_limit_that_suffices_refuses_nothing() -> None:
    clerk, spending = Clerk(100, 10), Spending(questions=64)
    assert None not in ask(spending, clerk)
    assert not spending.refused
    assert clerk.together == 64


@pytest.mark.parametrize("usage", [(100, 10), (5000, 40)])  # less and far more than the rule of thumb reckons with
def test_the_sum_is_kept_and_used_up_however_many_are_under_way(usage: tuple[int, int]) -> None:
    price = Price(2.0, 10.0)
    one = price.of_tokens(*usage)
    most = price.of_tokens(usage[0], 50)  # an answer may take 50 tokens
    clerk, spending = Clerk(*usage, longest=50), Spending(cost=20 * one, price=price)
    ask(spending, clerk)
    assert spending.spent == pytest.approx(clerk.asked * one)
    assert 20 * one - most < spending.spent <= 20 * one + 1e-12
    assert spending.refused
    assert clerk.together > 2  # side by side, once it is known what a question costs


def test_without_usage_it_is_reckoned_at_most() -> None:
    clerk, spending = Clerk(None, None, longest=200), Spending(price="in=1,out=1")
    ask(spending, clerk, 3)
    assert query_tokens(QUERY) == 6 + 4
    assert (spending.tokens_in, spending.tokens_out, spending.unsaid) == (30, 600, 3)
    assert "at most" in spending.summary
    ask(spending, Clerk(None, 7), 1)
    assert (spending.tokens_in, spending.tokens_out) == (40, 607)
    ask(spending, Clerk(None, None), 1)  # nothing limits its answers
    assert spending.tokens_out == 607 + USUAL


def test_a_question_that_fails_counts_as_asked_and_leaves_nothing_set_aside() -> None:
    class Broken(Clerk):
        async def answer(self, query: Query) -> Reply:
            self.asked += 1
            raise RuntimeError("broken")

    async def twice() -> None:
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await spending.ask(clerk, QUERY)

    clerk, spending = Broken(1, 1), Spending(questions=2, cost=1e-4, price=Price(1, 1))
    asyncio.run(twice())
    assert (spending.asked, spending.spent, spending.over) == (2, 0, True)


def test_a_picture_of_qwen2_vl() -> None:
    assert picture_tokens(224, 224) == 64  # arXiv:2409.12191, section 2.1: 66 with the two that enclose it
    assert picture_tokens(225, 224) == 72


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("in=2.5", "'out' is missing"), ("out=10", "'in' is missing"), ("input=1,out=2", "no rate 'input'"),
        ("in=-1,out=2", "'in' is -1"), ("in=nan,out=2", "'in' is nan"), ("in=1,out=inf", "'out' is inf"),
        ("in=a,out=2", "'a', which is not a number"), ("2.5,10", "price is '2.5,10'"), ("", "price is ''"),
        ("in=1,in=2,out=3", "'in' is given twice"), ({"in": None, "out": 1}, "None, which is not a number"),
        (f"in={MOST * 10},out=1", "Give 0 or more"),
    ],
)  # fmt: skip
def test_a_price_that_is_none_is_refused_in_one_line(given: Any, said: str) -> None:
    with pytest.raises(InputError) as raised:
        Price.of(given)
    assert said in str(raised.value)
    assert "in=2.5,out=10" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_prices_may_be_given_as_a_text_or_a_mapping() -> None:
    assert Price.of(" out = 10 , in=2.5") == Price.of({"in": 2.5, "out": 10}) == Price(2.5, 10.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"questions": 0}, "max_questions is 0"), ({"questions": -3}, "max_questions is -3"),
        ({"questions": 1.5}, "max_questions is 1.5"), ({"questions": True}, "max_questions is True"),
        ({"cost": 1.0}, "max_cost needs a price"), ({"cost": 0, "price": "in=1,out=1"}, "max_cost is 0"),
        ({"cost": float("nan"), "price": "in=1,out=1"}, "max_cost is nan"),
    ],
)  # fmt: skip
def test_limits_that_are_none_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Spending(**settings)


def test_large_numbers_and_sums_are_short() -> None:
    assert [short(n) for n in (0, 950, 1_234, 61_000, 999_900, 1_249_000, 3.2e9)] == [
        "0", "950", "1.2 k", "61 k", "1.0 M", "1.2 M", "3.2 G",
    ]  # fmt: skip
    assert [money(x) for x in (0, 3.614, 1234.5, 0.0473, 0.00001)] == [
        "0.00", "3.61", "1,234.50", "0.047", "under 0.0001",
    ]  # fmt: skip
