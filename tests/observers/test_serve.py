"""The openai observer against a real `transformers serve`, which runs a tiny checkpoint on the CPU.

What this server does, and the test allows for: it ignores a request for log probabilities (so there is no p(yes)),
it wants the model field to be the folder it was started with, and it has no cache folder to list models from.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from limen import observer, question
from limen.image import Picture
from limen.observer import Answer, Query
from limen.preflight import exam
from limen.question import Order
from tests.support.served import Served

pytestmark = pytest.mark.serve

COMMAND = "from transformers.cli.transformers import main; main()"


def picture(seed: int) -> Picture:
    """Return noise that depends on the seed alone."""
    return Picture.of(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def ask(first: int, second: int, order: Order = Order.REFERENCE_FIRST) -> Query:
    """Return the direct question about a pair of noise pictures."""
    (query,) = question.find("direct", order).ask("blur", picture(first), picture(second))
    return query


def answers(name: str, queries: Sequence[Query], **options: object) -> list[Answer]:
    """Return the answers of an observer to queries asked at the same moment; every one must be answered."""

    async def run() -> list[Answer]:
        async with observer.make(name, options) as made:
            replies = await asyncio.gather(*(made.answer(query) for query in queries))
        for reply in replies:
            assert reply.answer is not None, reply.attempts
        return [reply.answer for reply in replies if reply.answer is not None]

    return asyncio.run(run())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    from tests.support import tiny

    return tiny.idefics3(tmp_path_factory.mktemp("serve") / "tiny")


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the base URL of a server that runs the checkpoint; fail if it cannot be started."""
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-c", COMMAND, "serve", str(folder), "--device", "cpu", "--host", "127.0.0.1"]
    environment = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    with Served([*command, "--port", "{port}"], home / "log", environment) as server:
        yield server.base_url


def test_the_server_answers_as_the_model_in_this_process_does(folder: Path, address: str) -> None:
    pairs = [(1, 2), (2, 1), (1, 3), (5, 2), (5, 5)]
    queries = [ask(*pair) for pair in pairs] + [ask(*pair, order=Order.REFERENCE_QUESTION_TEST) for pair in pairs]
    served = answers(f"openai:{folder}", queries, base_url=address, max_tokens=12)
    here = answers(f"local:{folder}", queries, dtype="float32", max_tokens=12)
    assert [answer.text.strip() for answer in served] == [answer.text.strip() for answer in here]
    assert [answer.tokens_in for answer in served] == [answer.tokens_in for answer in here]
    assert [(answer.finish, answer.tokens_out) for answer in served] == [("length", 12)] * len(queries)
    assert served[0].text != served[1].text, "the order of the pictures must show for this test to mean something"
    assert served[0].text != served[2].text, "the second picture must show for this test to mean something"
    assert [answer.p_yes for answer in served] == [None] * len(queries)


def test_the_second_picture_costs_tokens(folder: Path, address: str) -> None:
    text = ask(1, 2).text
    queries = [Query((*(picture(n) for n in range(1, count + 1)), text)) for count in (1, 2, 3)]
    one, two, three = (answer.tokens_in for answer in answers(f"openai:{folder}", queries, base_url=address))
    assert one is not None
    assert two is not None
    assert three is not None
    assert three - two == two - one >= 16


def test_the_exam_finds_what_this_server_does_and_does_not(folder: Path, address: str) -> None:
    held = exam.examine(f"openai:{folder}", {"base_url": address, "max_tokens": 12, "concurrency": 2})
    found = {result.check: result for result in held.results}
    assert held.fit, held.complaint
    assert held.answered == len(held.asked) == 36
    sound = ("second picture", "kept apart", "repeats", "max_tokens", "model")
    assert {found[check].status for check in sound} == {exam.CheckStatus.OK}, held.results
    assert found["order"].status is exam.CheckStatus.UNKNOWN, "random weights name no colours"
    assert "gives no p(yes)" in held.marks, "it ignores a request for log probabilities"
    sampled = exam.examine(f"openai:{folder}", {"base_url": address, "max_tokens": 12, "temperature": 1.0})
    texts = {one.answer.text for one in sampled.asked if one.answer and one.name.startswith("describe")}
    assert len(texts) == 1, "it decodes greedily whatever the temperature"
    (draws,) = (result for result in sampled.results if result.check == "temperature")
    assert draws.status is exam.CheckStatus.UNKNOWN, "and says too few words to hold that against it"
