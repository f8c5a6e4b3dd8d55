"""Requests in flight that adapt, and budgets of any minute, by what is let through and when."""

import asyncio
import contextlib
import time

import pytest

from limen.scale.pace import Budget, Sent, Window


async def taken(budget: Budget, tokens: int) -> Sent:
    sent = await budget.take(tokens)
    assert sent is not None
    return sent


async def hold(window: Window, go: asyncio.Event) -> None:
    async with window.turn():
        await go.wait()


def rounds(window: Window, count: int, seconds: float = 1.0) -> list[int]:
    """Put answers through a window one by one; return what it allows after each round."""

    async def run() -> list[int]:
        allowed = []
        for _ in range(count):
            for _ in range(window.allowed):
                async with window.turn() as turn:
                    window.answered(turn, seconds)
            allowed.append(window.allowed)
        return allowed

    return asyncio.run(run())


def test_a_server_that_bears_it_is_asked_as_configured_from_the_first_request_on() -> None:
    async def run() -> int:
        window, go = Window(16), asyncio.Event()
        tasks = [asyncio.create_task(hold(window, go)) for _ in range(40)]
        await asyncio.sleep(0)
        most = window.in_flight
        go.set()
        await asyncio.gather(*tasks)
        assert window.in_flight == 0
        return most

    assert asyncio.run(run()) == 16


def test_refusals_of_one_burst_halve_once_and_answers_creep_up_by_one_a_round() -> None:
    async def run() -> Window:
        window = Window(8)
        async with contextlib.AsyncExitStack() as stack:
            turns = [await stack.enter_async_context(window.turn()) for _ in range(8)]
            for turn in turns:
                window.refused(turn)
            assert window.allowed == 4
            window.answered(turns[0], 1.0)  # it was sent before: it says nothing of four
        return window

    window = asyncio.run(run())
    assert rounds(window, 6) == [5, 6, 7, 8, 8, 8]


def test_it_is_never_halved_to_nothing() -> None:
    async def run() -> int:
        window = Window(4)
        for _ in range(5):
            async with window.turn() as turn:
                window.refused(turn)
        return window.allowed

    assert asyncio.run(run()) == 1


def test_rising_latency_halves_where_that_is_wanted_alone() -> None:
    for by_latency, after in ((True, [4, 2]), (False, [8, 8])):
        window = Window(8, by_latency)
        assert rounds(window, 3, seconds=0.1) == [8, 8, 8]
        assert rounds(window, 1, seconds=1.0) + rounds(window, 1, seconds=0.7) == after


def test_latency_that_halving_does_not_bring_down_is_that_of_longer_answers() -> None:
    window = Window(8, by_latency=True)
    rounds(window, 2, seconds=0.1)
    assert rounds(window, 6, seconds=1.0) == [4, 5, 6, 7, 8, 8]


def test_places_are_given_in_order_and_one_that_is_given_up_goes_to_the_next() -> None:
    async def run() -> list[int]:
        window, order = Window(1), list[int]()

        async def use(number: int) -> None:
            async with window.turn():
                order.append(number)
                await asyncio.sleep(0)

        async with window.turn():
            tasks = [asyncio.create_task(use(number)) for number in range(4)]
            await asyncio.sleep(0)
            tasks[1].cancel()
        tasks[0].cancel()  # it has been given the place, and does not know yet
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert window.in_flight == 0
        return order

    assert asyncio.run(run()) == [2, 3]


# Budgets


def most_within(times: list[float], span: float) -> int:
    return max(sum(at <= other < at + span for other in times) for at in times)


def test_no_span_has_more_requests_than_allowed() -> None:
    async def run() -> list[float]:
        budget, sent = Budget(requests=5, span=0.2), list[float]()

        async def send() -> None:
            budget.settle(await taken(budget, 1), 1)
            sent.append(time.monotonic())

        await asyncio.gather(*(send() for _ in range(17)))
        return sent

    began = time.monotonic()
    sent = asyncio.run(run())
    assert len(sent) == 17
    assert most_within(sent, 0.199) == 5
    assert 0.6 <= time.monotonic() - began < 10


def test_tokens_are_set_aside_as_reckoned_and_corrected_by_what_answers_take() -> None:
    async def run() -> list[float]:
        budget, sent = Budget(tokens=100, span=0.3), list[float]()
        for _ in range(10):  # reckoned at 40, they take 10
            entry = await taken(budget, 40)
            sent.append(time.monotonic())
            budget.settle(entry, 10)
        return sent

    sent = asyncio.run(run())
    assert [at - sent[0] < 0.2 for at in sent] == [True] * 7 + [False] * 3  # 6 x 10 + 40 = 100


def test_what_answers_take_counts_even_where_it_was_reckoned_at_less() -> None:
    async def run() -> float:
        budget = Budget(tokens=100, span=0.3)
        budget.settle(await taken(budget, 10), 60)
        began = time.monotonic()
        await taken(budget, 10)
        return time.monotonic() - began

    assert asyncio.run(run()) > 0.2


def test_until_an_answer_tells_what_questions_take_they_are_sent_one_by_one() -> None:
    async def run() -> None:
        budget = Budget(tokens=1000, span=30)
        first = await taken(budget, 10)
        second = asyncio.create_task(budget.take(10))
        done, _ = await asyncio.wait([second], timeout=0.05)
        assert not done
        budget.settle(first, 12)
        await asyncio.wait_for(second, 5)

    asyncio.run(run())


def test_a_request_that_was_not_sent_takes_nothing_from_the_budget() -> None:
    async def run() -> None:
        budget = Budget(requests=1, span=30)
        budget.withdraw(await taken(budget, 1))
        await asyncio.wait_for(budget.take(1), 1)

    asyncio.run(run())


def test_no_limit_is_no_log() -> None:
    async def run() -> None:
        budget = Budget()
        for _ in range(10_000):
            budget.settle(await taken(budget, 10**9), None)

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("tokens", "bears"), [(100, True), (101, False)])
def test_a_question_that_is_larger_than_a_minute_is_told_apart(tokens: int, bears: bool) -> None:
    assert Budget(tokens=100).bears(tokens) is bears
    assert Budget(requests=1).bears(tokens)


def test_a_question_that_takes_more_than_a_minute_allows_is_not_sent_again() -> None:
    async def run() -> None:
        budget, told = Budget(tokens=500, span=30), list[str]()
        budget.tell = told.append
        first = await taken(budget, 300)
        others = [asyncio.create_task(budget.take(tokens)) for tokens in (300, 400)]
        await asyncio.sleep(0)
        budget.settle(first, 709)
        assert await asyncio.wait_for(asyncio.gather(*others), 5) == [None, None]
        assert (budget.bears(300), budget.bears(299), budget.expected(400)) == (False, True, 709)
        assert not told

    asyncio.run(run())


@pytest.mark.parametrize(("limits", "told"), [({"requests": 2}, "--rpm 2"), ({"tokens": 100}, "--tpm 100")])
def test_what_is_waited_for_is_said_once(limits: dict[str, int], told: str) -> None:
    async def run() -> list[str]:
        budget, lines, said = Budget(**limits, span=30), list[str](), asyncio.Event()
        budget.tell = lambda line: (lines.append(line), said.set())[0]  # type: ignore[func-returns-value]
        for _ in range(2):
            budget.settle(await taken(budget, 45), 45)
        waiting = [asyncio.create_task(budget.take(45)) for _ in range(2)]
        await asyncio.wait_for(said.wait(), 5)
        waiting.pop(0).cancel()
        await asyncio.sleep(0)
        waiting.pop().cancel()
        return lines

    assert asyncio.run(run()) == [f"Waiting for {told}: the next question goes out in 30 s. This is said once."]
