"""Observers of limen's as Inspect's models, and Inspect's models as observers of limen's."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageUser,
    ContentAudio,
    ContentImage,
    ContentText,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
)
from inspect_ai.scorer import includes

from limen import observer
from limen.errors import FatalObserverError, InputError, ObserverError
from limen.image import Picture, png
from limen.inspect.model import query_of
from limen.inspect.tasks import output_of
from limen.observer import Query
from limen.observers.inspect import answer_of, failure_of
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.trial import Answer, Attempt
from tests.inspect.evaluation import Evaluate
from tests.inspect.test_tasks import facts, measured
from tests.support.command import limen as command

pytestmark = pytest.mark.inspect

ASKED = "Is there any noticeable difference between these two images? Please return <yes> or <no>."


def picture(name: str = "a") -> Picture:
    return Picture.of(photograph(name, 64, 80))


def url(shown: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(shown.pixels)).decode()}"


def message(*shown: Picture, text: str = ASKED) -> ChatMessageUser:
    return ChatMessageUser(content=[*(ContentImage(image=url(one)) for one in shown), ContentText(text=text)])


def test_messages_become_a_query() -> None:
    first, second = picture("a"), picture("b")
    query = asyncio.run(query_of([message(first, second)]))
    assert [one.digest for one in query.pictures] == [first.digest, second.digest]
    assert np.array_equal(query.pictures[1].pixels, second.pixels)
    assert query.text == ASKED


def test_what_no_observer_takes_is_refused() -> None:
    with pytest.raises(InputError, match="tasks of one turn"):
        asyncio.run(query_of([message(picture()), ChatMessageAssistant(content="yes")]))
    with pytest.raises(InputError, match="texts and pictures, not audio"):
        asyncio.run(query_of([ChatMessageUser(content=[ContentAudio(audio="a.wav", format="wav")])]))


def test_an_observer_answers_a_task_of_others(evaluated: Evaluate) -> None:
    first, second = picture("a"), picture("b")
    samples = [
        Sample(id=1, input=[message(first, second)], target="Yes, there is"),
        Sample(id=2, input=[message(first, first)], target="No, there is no"),
    ]
    log = evaluated(Task(dataset=samples, scorer=includes()), model="limen/demo")
    assert log.samples is not None
    assert [one.scores["includes"].value for one in log.samples if one.scores] == ["C", "C"]
    assert all(one.output.usage is not None and one.output.usage.input_tokens > 0 for one in log.samples)


def test_options_reach_the_observer_and_failures_raise() -> None:
    first, second = picture("a"), picture("b")
    deaf = get_model("limen/simulated", threshold=250, memoize=False)
    assert "<no>" in asyncio.run(deaf.generate([message(first, second)])).completion
    with pytest.raises(ObserverError, match="two pictures"):
        asyncio.run(deaf.generate([message(first)]))
    with pytest.raises(InputError, match="No observer named 'simulatd'"):
        get_model("limen/simulatd", memoize=False)
    with pytest.raises(InputError, match="threshold"):
        get_model("limen/simulated", treshold=250, memoize=False)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("<yes> They differ.", 0.9, 0.01, "stop", 120, 7, 0.25, "some-model"),
        Answer("<no> Alike.", finish="length", model="m"),
        Answer("", finish="content_filter", model="m"),
        Answer("text", model="m"),
    ],
)
def test_an_answer_keeps_all_it_says(answer: Answer) -> None:
    again = ModelOutput.model_validate_json(output_of(answer, "limen/x").model_dump_json())
    assert answer_of(again) == answer


def output(text: str = "", reason: Any = "stop", **more: Any) -> ModelOutput:
    said = ChatMessageAssistant(content=text)
    return ModelOutput(model="m", choices=[ChatCompletionChoice(message=said, stop_reason=reason, **more)])


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (ModelOutput(model="m"), "empty"), (output(reason="max_tokens"), "cut-off"),
        (output("x", "tool_calls"), "broken-off"),
        (output(reason="unknown"), "empty"), (ModelOutput(model="m", error="it broke"), "failed"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_attempt(given: ModelOutput, outcome: str) -> None:
    found = answer_of(given)
    assert isinstance(found, Attempt)
    assert found.outcome == outcome


def test_usage_counts_what_was_cached_too() -> None:
    given = output("<no>")
    given.usage = ModelUsage(input_tokens=10, output_tokens=3, total_tokens=33, input_tokens_cache_read=20)
    found = answer_of(given)
    assert isinstance(found, Answer)
    assert (found.tokens_in, found.tokens_out) == (30, 3)


def test_p_yes_from_log_probabilities() -> None:
    rivals = [TopLogprob(token="yes", logprob=-0.2231435513), TopLogprob(token="no", logprob=-1.6094379124)]
    positions = [
        Logprob(token="<", logprob=0.0), Logprob(token="yes", logprob=-0.2231435513, top_logprobs=rivals),
        Logprob(token=">", logprob=0.0),
    ]  # fmt: skip
    found = answer_of(output("<yes> x", logprobs=Logprobs(content=positions)))
    assert isinstance(found, Answer)
    assert found.p_yes == pytest.approx(0.8)  # exp(-.2231) = .8, exp(-1.6094) = .2


class _StatusError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status} sk-abcdefghijklmnopqrstuvwxyz")
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (_StatusError(429), "rate-limited"), (_StatusError(400), "rejected"), (_StatusError(503), "server-error"),
        (TimeoutError("late"), "timeout"), (ValueError("odd"), "failed"),
    ],
)  # fmt: skip
def test_failures_have_their_kind_and_no_key(error: Exception, outcome: str) -> None:
    found = failure_of(error, "openai/gpt-4o")
    assert found.outcome == outcome
    assert "sk-abc" not in found.detail


def test_a_tokenizer_that_cannot_be_downloaded_is_told_first() -> None:
    library: dict[str, Any] = {"__name__": "tiktoken.load"}
    exec("def read(): raise OSError('HTTPSConnectionPool ' + 'and so on ' * 80)", library)  # noqa: S102
    with pytest.raises(OSError, match="Pool") as raised:
        library["read"]()
    with pytest.raises(FatalObserverError) as told:
        failure_of(raised.value, "mockllm/model")
    text = str(told.value)
    assert text.index("tiktoken downloads once") < text.index("limen/demo and limen/simulated need none")
    assert text.index("need none") < text.index("HTTPSConnectionPool")


def test_a_long_message_ends_with_a_word() -> None:
    found = failure_of(ValueError("whole " * 200), "mockllm/model")
    assert found.detail.rstrip(".").endswith("whole…")


@pytest.mark.parametrize("status", [401, 404])
def test_what_no_other_question_would_mend_ends_the_run(status: int) -> None:
    with pytest.raises(FatalObserverError):
        failure_of(_StatusError(status), "openai/gpt-4o")


def test_the_observer_measures_as_the_model_itself_does(tmp_path: Path) -> None:
    measured(tmp_path / "in", "inspect:limen/simulated")
    measured(tmp_path / "alone")
    assert facts(tmp_path / "in") == facts(tmp_path / "alone")
    with Store.open(tmp_path / "in") as store:
        assert store.manifest["observers"]["inspect:limen/simulated"] == {
            "kind": "inspect", "model": "limen/simulated", "temperature": 0.0, "max_tokens": 256,
        }  # fmt: skip


def test_failures_of_the_observer_leave_series_open(tmp_path: Path) -> None:
    spec = Spec(("demo",), ("inspect:faulty/blur",), ("blur", "noise"), limit=2, exam=False, floor=False)
    progress = Study.plan(spec).run(tmp_path / "run")
    assert {left.distortion for left in progress.unfinished} == {"blur"}
    assert {left.kind for left in progress.unfinished} == {"failed"}


def test_options_are_in_the_key_where_they_decide_answers() -> None:
    def made(**options: Any) -> dict[str, Any]:
        return dict(observer.make("inspect:mockllm/model", options).fingerprint())

    assert made() == made(concurrency=3, retries=9, timeout_s=5)
    assert made() != made(temperature=0.5)
    assert made(model_args='{"a": 1}') == made(model_args={"a": 1}) != made()
    assert made(config={"reasoning_effort": "low"})["reasoning_effort"] == "low"
    assert "temperature" not in made(temperature="none")
    assert observer.make("inspect:mockllm/model", {"temperature": "none"}).sampled
    assert not observer.make("inspect:mockllm/model", {}).sampled


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"config": "nothing"}, "is not a JSON object"), ({"config": {"reasoning_efort": "low"}}, "reasoning_effort"),
        ({"config": {"top_p": "much"}}, "config.top_p"), ({"config": {"temperature": 1}}, "options of their own"),
        ({"model_args": {"api_key": "x"}}, "looks like a key"), ({"temprature": 1}, "temperature"),
    ],
)  # fmt: skip
def test_bad_options_are_told_in_a_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        observer.make("inspect:mockllm/model", options)


def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    places = ("--images", "demo", "--distortion", "blur", "--limit", "1", "--out", str(tmp_path / "run"))
    done = command("measure", *places, "--observer", "inspect:gpt-4o")
    assert done.returncode == 1
    assert "needs a provider and a model, not 'gpt-4o'" in done.stderr
    done = command("measure", *places, "--observer", "inspect:nobody/x")
    assert done.returncode == 1
    assert "Inspect cannot make nobody/x" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_query_reaches_the_provider_in_order() -> None:
    seen: list[Any] = []

    def respond(messages: list[Any], tools: Any, choice: Any, config: Any) -> ModelOutput:
        seen.append((messages, config))
        said = ModelOutput.from_content("m", "<no> Alike.")
        said.usage = ModelUsage(input_tokens=5, output_tokens=2, total_tokens=7)  # else it counts, with a network
        return said

    made = observer.make("inspect:mockllm/model", {"seed": 5, "model_args": {}})

    async def ask() -> Any:
        async with made:
            made._held = get_model("mockllm/model", custom_outputs=respond, memoize=False)  # type: ignore[attr-defined]
            return await made.answer(Query((picture("a"), "between", picture("b"), "after"), draw=2))

    reply = asyncio.run(ask())
    (asked,), config = seen[0]
    assert [one.type for one in asked.content] == ["image", "text", "image", "text"]
    assert config.seed == 7
    assert reply.answer is not None, reply.attempts
    assert reply.answer.text == "<no> Alike."
    assert [one.outcome for one in reply.attempts] == ["ok"]
    assert json.dumps(dict(made.fingerprint()))
