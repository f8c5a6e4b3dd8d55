"""What endpoints of the world do and say: endings, odd JSON, refusals, outages, proxies, and secrets said back."""

import asyncio
import base64
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from limen import observer as observers
from limen.errors import FatalObserverError, InputError, LimenError
from limen.observer import Observer, Reply, make
from limen.observers.openai import complaint, endpoint, waiting
from limen.observers.openai.secret import Key, secret_place
from tests.observers.test_openai import FIRST, QUERY, ask, brighter, outcomes
from tests.support.endpoint import Behaviour, Endpoint, Request, body, compare, completion, raw, redirect, say, status

KEY = "world-test-9b1c/d+e&f-HIDDEN"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def observer(server: Endpoint, **options: Any) -> Observer:
    return make("openai:toy", {"base_url": server.base_url, "backoff_s": 0.002, "timeout_s": 5, **options})


def answer(server: Endpoint, **options: Any) -> Reply:
    return answers(server, 1, **options)[0]


def answers(server: Endpoint, count: int, abreast: bool = False, **options: Any) -> list[Reply]:
    async def run() -> list[Reply]:
        async with observer(server, **options) as one:
            queries = [ask(FIRST, brighter(FIRST, 9 + number)) for number in range(count)]
            if abreast:
                return await asyncio.gather(*map(one.answer, queries))
            return [await one.answer(query) for query in queries]

    return asyncio.run(run())


# Endings


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("end_turn", "stop"), ("STOP", "stop"), ("eos", "stop"), ("stop_sequence", "stop"), ("COMPLETE", "stop"),
        ("MAX_TOKENS", "length"), ("model_length", "length"), ("model_context_window_exceeded", "length"),
        ("SAFETY", "content_filter"), ("refusal", "content_filter"), ("content_filter: SAFETY", "content_filter"),
        ({"type": "stop", "matched": 2}, "stop"), (None, ""), ("", ""),
    ],
)  # fmt: skip
def test_endings_in_other_words(server: Endpoint, told: Any, kept: str) -> None:
    server.script(say("<yes> The second is darker.", told))
    reply = answer(server)
    assert reply.answer is not None
    assert (reply.answer.finish, reply.answer.text) == (kept, "<yes> The second is darker.")


@pytest.mark.parametrize(
    "told",
    [
        "abort",
        "load",
        "unload",
        "insufficient_system_resource",
        "network_error",
        "tool_calls",
        "timeout",
        "none",
        3,
        [],
    ],
)
def test_any_other_ending_is_a_failed_attempt(server: Endpoint, told: Any) -> None:
    server.script(say("<yes> The second is", told))
    reply = answer(server)
    assert outcomes(reply) == ["broken-off", "ok"]
    assert repr(str(told)) in reply.attempts[0].detail


@pytest.mark.parametrize(
    ("whole", "kind", "advice"),
    [
        (completion("", "length"), "cut-off", "max_tokens=N"),
        (completion(" \n\t", "length"), "cut-off", "max_tokens=N"),
        (completion(None, "MAX_TOKENS"), "cut-off", "max_tokens=N"),
        (completion("", "length", reasoning_content="The first picture"), "thought", "max_tokens=N"),
        (completion("", "stop", reasoning="They differ."), "thought", "enable_thinking"),
        (
            completion(None, "stop", reasoning_details=[{"type": "reasoning.text", "text": "Hm"}]),
            "thought",
            "reasoning",
        ),
        (
            completion([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]),  # type: ignore[arg-type]
            "thought",
            "reasoning_effort",
        ),
    ],
)
def test_text_that_was_eaten_is_a_failure_that_says_what_to_set(
    server: Endpoint, whole: dict[str, Any], kind: str, advice: str
) -> None:
    server.behaviour = body(whole)
    reply = answer(server)
    assert (reply.answer, outcomes(reply)) == (None, [kind])  # greedy decoding would do the same again
    assert advice in reply.attempts[0].detail
    assert reply.attempts[0].detail.endswith(".")
    sampled = answer(server, temperature=0.7, retries=2)
    assert outcomes(sampled) == [kind, kind]


@pytest.mark.parametrize(
    "whole",
    [
        completion("", "stop"),
        completion("  ", "end_turn"),
        completion("", "stop", reasoning_content=" "),
        completion("", "content_filter", reasoning="They differ."),
    ],
)
def test_a_model_that_says_nothing_by_itself_has_answered(server: Endpoint, whole: dict[str, Any]) -> None:
    server.script(body(whole))
    assert outcomes(answer(server)) == ["ok"]


def test_thought_beside_the_text_is_not_the_answer(server: Endpoint) -> None:
    parts = [{"type": "reasoning", "text": "<yes>?"}, {"type": "text", "text": "<no> Alike."}]
    server.script(body(completion(parts)), body(completion("<no> Alike.", reasoning_content="<yes>?")))  # type: ignore[arg-type]
    for reply in answers(server, 2):
        assert reply.answer is not None
        assert reply.answer.text == "<no> Alike."


TWICE = [("<", {"<": 1.0}), ("yes", {"yes": 0.6, "no": 0.4})]  # may be the thought's tokens as well as the answer's


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning": "<yes>?"},
        {"reasoning_content": "<yes>?"},
        {"reasoning_text": "<yes>?"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "<yes>?"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "<yes>?"}]},
        {"content": [{"type": "thinking", "text": "<yes>?"}, {"type": "text", "text": "<yes> Darker."}]},
        {"content": [{"type": "text", "text": "<yes>?", "thought": True}, {"type": "text", "text": "<yes> Darker."}]},
    ],
)
def test_beside_a_thought_of_its_own_field_there_is_no_p_yes(server: Endpoint, thought: dict[str, Any]) -> None:
    server.script(say("<yes> Darker.", tokens=TWICE, **thought), say("<yes> Darker.", tokens=TWICE, reasoning=" "))
    first, second = (reply.answer for reply in answers(server, 2))
    assert first is not None
    assert second is not None
    assert (first.text, first.p_yes, first.p_neither) == ("<yes> Darker.", None, None)
    assert second.p_yes == pytest.approx(0.6)


def test_five_questions_without_text_stop_a_run_that_has_no_answer(server: Endpoint) -> None:
    server.behaviour = say("", "length")
    with pytest.raises(FatalObserverError, match="5 questions, and none answered.*max_tokens=N"):
        answers(server, 9)
    assert len(server.requests) == 5


def test_the_system_that_answered_is_kept_beside_the_answer(server: Endpoint) -> None:
    server.script(body({**completion("<yes>"), "system_fingerprint": f"fp_44 {KEY}"}))
    reply = answer(server)
    assert (reply.attempts[-1].outcome, reply.attempts[-1].detail) == ("ok", "fp_44 [key]")


@pytest.mark.parametrize("call", [{"tool_calls": [{"function": {"name": "see"}}]}, {"function_call": {"name": "see"}}])
@pytest.mark.parametrize("text", ["", None])
def test_a_call_of_a_tool_is_no_answer_though_it_claims_to_have_stopped(
    server: Endpoint, call: dict[str, Any], text: str | None
) -> None:
    server.script(say(text, "stop", **call))
    assert outcomes(answer(server)) == ["broken-off", "ok"]


# JSON as it comes


def odd(text: str = "<no> Alike.", before: str = "", after: str = "") -> bytes:
    logprobs = '{"content":[{"token":"no","logprob":-0.1,"top_logprobs":[{"token":"no","logprob":-0.1},'
    logprobs += f'{{"token":"yes","logprob":{before or "-2.0"}}}]}}]}}'
    choice = f'{{"message":{{"content":"{text}"}},"finish_reason":"stop","logprobs":{logprobs}}}'
    return f'{{"choices":[{choice}]{after}}}'.encode()


@pytest.mark.parametrize(
    ("data", "text", "p_yes"),
    [
        (odd(before="-Infinity"), "<no> Alike.", 0.0),
        (odd(before="NaN"), "<no> Alike.", 0.0),
        (odd(before="-inf"), "<no> Alike.", 0.0),
        (odd(before="-1e999"), "<no> Alike.", 0.0),
        (odd("<no> Alike \\ud83d."), "<no> Alike \ufffd.", None),
        (odd("<no> Alike \\\\ud83d NaN."), "<no> Alike \\ud83d NaN.", None),
        (odd("<no> Alike \\ud83d\\ude00.", before="NaN"), "<no> Alike \U0001f600.", 0.0),
        (odd("<no>\nAlike."), "<no>\nAlike.", None),
        (odd("<no> Alike\xff.").decode().encode("latin-1"), "<no> Alike\ufffd.", None),
        (b"\xef\xbb\xbf" + odd(), "<no> Alike.", None),
        (odd().decode().encode("utf-16"), "<no> Alike.", None),
        (odd(after=',"extra":' + "[" * 3000 + "]" * 3000), "<no> Alike.", None),
        (odd(after=',"usage":{"prompt_tokens":' + "9" * 5000 + "}"), "<no> Alike.", None),
        (odd(after=',"model":"a","model":"b"'), "<no> Alike.", None),
    ],
)
def test_no_answer_is_lost_for_what_stands_beside_it(
    server: Endpoint, data: bytes, text: str, p_yes: float | None
) -> None:
    server.script(raw(data))
    reply = answer(server)
    assert outcomes(reply) == ["ok"]
    assert reply.answer is not None
    assert reply.answer.text == text
    if p_yes is not None:
        assert reply.answer.p_yes == pytest.approx(p_yes)


def test_json_made_to_take_long_does_not(server: Endpoint) -> None:
    for data in (b"[" * 4_000_000, b'{"a":"' + b'\\"' * 1_900_000, b'{"a":' + b"-" * 4_000_000):
        server.script(raw(data))
    assert outcomes(answer(server)) == ["malformed"] * 3 + ["ok"]


# Log probabilities


def failing_with(most: int, failure: Behaviour) -> Behaviour:
    """Fail whenever more than so many candidates are asked for."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        return await (failure if seen.payload.get("top_logprobs", 0) > most else compare)(server, seen, request)

    return behave


@pytest.mark.parametrize("failure", [status(500, "Out of range float values"), raw(b"Internal Server Error", 500)])
@pytest.mark.parametrize("most", [0, 5])
def test_a_server_that_fails_because_of_log_probabilities_is_asked_for_fewer(
    server: Endpoint, failure: Behaviour, most: int
) -> None:
    server.behaviour = failing_with(most, failure)
    replies = answers(server, 16, abreast=True)
    assert all(reply.answer is not None for reply in replies)
    assert {"logprobs-refused"} <= {outcome for reply in replies for outcome in outcomes(reply)}
    assert [request.payload.get("top_logprobs", 0) for request in server.requests[-5:]] == [most] * 5
    assert len(server.requests) <= 16 + 16 + 6
    again = answers(server, 3)[-1].answer
    assert again is not None
    assert (again.p_yes is None) == (most == 0)


def test_fewer_log_probabilities_are_told(server: Endpoint) -> None:
    server.behaviour = failing_with(0, status(500))
    one = observer(server)
    said: list[str] = []
    assert isinstance(one, observers.Notifier)
    one.tell = said.append

    async def run() -> None:
        async with one:
            await one.answer(QUERY)

    asyncio.run(run())
    assert len(said) == 2
    assert "answers have no p(yes)" in said[1]
    assert "no p(yes)" in one.notice  # type: ignore[attr-defined]


def test_a_passing_failure_costs_no_log_probabilities(server: Endpoint) -> None:
    server.script(status(500))
    first, second = answers(server, 2)
    assert outcomes(first) == ["server-error", "logprobs-probe", "ok"]
    assert first.answer is not None
    assert first.answer.p_yes is not None
    assert [request.payload.get("top_logprobs") for request in server.requests] == [20, None, 20, 20]
    assert outcomes(second) == ["ok"]


def test_one_question_that_fails_with_them_goes_without(server: Endpoint) -> None:
    """Where others were answered with log probabilities, they are asked for again."""
    fails = status(500)
    server.script(compare, compare, fails, compare, fails, fails)
    replies = answers(server, 4)
    assert [reply.answer is not None and reply.answer.p_yes is None for reply in replies] == [False, False, True, False]
    assert server.requests[-1].payload["top_logprobs"] == 20


# Refusals


def nested(message: str) -> list[tuple[int, object]]:
    """The same sentence as servers of several makes send it."""
    inside = orjson.dumps({"error": {"message": message}}).decode()
    return [
        (400, {"error": {"message": message, "type": "invalid_request_error", "code": None}}),
        (400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]),
        (422, {"detail": [{"loc": ["body"], "msg": message, "type": "value_error"}]}),
        (404, {"detail": message}),
        (500, {"error": message}),
        (500, {"message": message, "code": 500}),
        (400, {"error": {"message": "Provider returned error", "metadata": {"raw": inside}}}),
        (400, {"error": {"message": inside}}),
        (200, {"error": {"message": message, "code": 400}}),
        (200, {"error": {"message": message, "code": "422"}}),
        (200, {"object": "error", "message": message, "code": 40000}),
        (200, {"detail": message}),
        (200, [{"error": {"message": message, "code": 400}}]),
        (200, {"base_resp": {"status_code": 2013, "status_msg": message}, "choices": None}),
    ]


@pytest.mark.parametrize(
    ("message", "kind", "advice"),
    [
        ("API key not valid. Please pass a valid one.", "key", "Set OPENAI_API_KEY"),
        ("Incorrect API key provided", "key", "Set OPENAI_API_KEY"),
        ("image input is not supported - provide the mmproj", "unsupported", "--mmproj"),
        ("This model only supports text", "unsupported", "takes pictures"),
        ("unknown variant `image_url`, expected `text`", "unsupported", "takes pictures"),
        ("`temperature` is deprecated for this model.", "unsupported", "temperature=none"),
        ("'max_tokens' is not supported. Use 'max_completion_tokens'", "unsupported", "max_completion_tokens."),
        ("The number of images exceeds the limit of 1", "unsupported", "two pictures"),
        ("Unknown part type: image_url", "unsupported", "takes pictures"),
        ("an array of objects with a 'content' field that is a string", "unsupported", "takes pictures"),
        ("Too many images: 2 > 1", "unsupported", "two pictures"),
        ("该模型不支持图片", "unsupported", "takes pictures"),
        ("模型不存在", "not-found", "model's name"),
        ("max_tokens must be at most 64", "unsupported", "max_tokens=N"),
        ("This model's maximum context length is 160 tokens", "unsupported", "max_tokens=N"),
    ],
)
def test_what_refuses_every_question_stops_at_the_first(message: str, kind: str, advice: str) -> None:
    for code, value in nested(message):
        with Endpoint(behaviour=body(value, code)) as server:
            with pytest.raises(FatalObserverError) as caught:
                answer(server)
            assert len(server.requests) == 1
        if code == 404 and kind == "unsupported" and "picture" not in advice and "mmproj" not in advice:
            continue  # a model that is not known, for all that its words say
        assert caught.value.kind == kind, value
        assert advice in caught.value.detail
        assert message.split(".")[0] in caught.value.detail


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (status(400, "prompt is too long: 250000 tokens > 200000 maximum"), "max-side"),
        (status(400, "image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes"), "jpeg:95"),
        (raw(b"<html><title>413 Request Entity Too Large</title></html>", 413, "text/html"), "jpeg:95"),
        (status(400, "image dimensions exceed max allowed size: 8000 pixels"), "max-side"),
        (status(400, "Unsupported value: this picture"), ""),
        (status(400, "You uploaded an unsupported image"), ""),
        (status(400, "The image data you provided does not represent a valid image."), ""),
        (status(400, "something new"), ""),
        (status(403, "This request is blocked by our content policy"), "content policy"),
    ],
)
def test_what_refuses_one_question_leaves_the_others_alone(server: Endpoint, failure: Behaviour, advice: str) -> None:
    server.script(compare, failure, compare)
    first, second, third = answers(server, 3)
    assert (first.answer is None, second.answer is None, third.answer is None) == (False, True, False)
    assert outcomes(second) == ["rejected"]
    assert advice in second.attempts[0].detail


def test_a_setting_named_in_a_refusal_is_named_with_what_to_set(server: Endpoint) -> None:
    server.behaviour = status(400, "Temperature must be 1 for this model")
    with pytest.raises(FatalObserverError, match="temperature=none"):
        answer(server)


def test_words_we_do_not_know_stop_a_run_after_five_questions(server: Endpoint) -> None:
    server.behaviour = status(400, "das geht hier nicht")
    with pytest.raises(FatalObserverError, match="das geht hier nicht"):
        answers(server, 20)
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (status(429, "Limit 200 requests per day reached."), "per day"),
        (status(429, "Resource exhausted: GenerateRequestsPerDayPerProject. Please retry in 20s."), "same command"),
        (status(429, "Slow down.", headers={"Retry-After": "7200"}), "2 hours"),
        (status(429, "Slow down. Try again in 1h2m3.5s."), "62 minutes"),
        (status(503, "Maintenance.", headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}), "days"),
    ],
)
def test_a_limit_of_the_day_ends_the_run(server: Endpoint, failure: Behaviour, word: str) -> None:
    server.script(failure)
    with pytest.raises(FatalObserverError, match=word):
        answer(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "value", "seconds"),
    [
        ({}, {"error": {"message": "Quota exceeded. Please retry in 3.5s."}}, 3.5),
        ({}, {"error": {"message": "Please try again in 1h2m3.5s."}}, 3723.5),
        ({}, {"error": {"message": "Try again in 340ms"}}, 0.34),
        ({}, {"error": {"message": "Please retry after 12 seconds."}}, 12),
        ({}, {"message": "wait 5 minutes"}, 300),
        ({}, [{"error": {"details": [{"@type": "RetryInfo", "retryDelay": "31s"}]}}], 31),
        ({}, {"retry_after": 7}, 7),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, {}, 360),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "9"}, {}, None),
        ({"Retry-After": "2"}, {"error": {"message": "Please retry in 30s."}}, 2),
        ({}, {"error": {"message": "It resets soon; 5 pictures were sent."}}, None),
    ],
)
def test_waits_are_read_where_servers_write_them(headers: dict[str, str], value: object, seconds: float | None) -> None:
    assert waiting.asked(headers, complaint.read(orjson.dumps(value)).wait) == seconds


def test_an_error_beside_an_answer_that_says_nothing_is_none(server: Endpoint) -> None:
    server.script(body(completion("<no> Alike.") | {"error": {"code": 0, "message": ""}}))
    assert outcomes(answer(server)) == ["ok"]


def test_a_picture_that_one_server_cannot_read_does_not_ask_for_another_model() -> None:
    for words in ("The image data does not represent a valid image", "You uploaded an unsupported image."):
        asked = complaint.RequestContext("host", "toy")
        failure = complaint.judge(400, {}, complaint.read(orjson.dumps({"error": words})), asked)
        assert (failure.fate, "Name a model" in failure.detail) == ("never", False)


# Outages


def test_an_outage_is_waited_out_and_told_once(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limen.observers.openai.UNSAID", 0.0)
    server.script(compare, *[raw(b"<html>Bad gateway", 502, "text/html"), status(503, "Loading model")] * 6)
    one, said = observer(server, retries=2, concurrency=1), list[str]()
    one.tell = said.append  # type: ignore[attr-defined]

    async def run() -> list[Reply]:
        async with one:
            return [await one.answer(QUERY), await one.answer(QUERY)]

    first, second = asyncio.run(run())
    assert first.answer is not None
    assert second.answer is not None
    assert len(second.attempts) == 13
    assert len(said) == 2
    assert f"127.0.0.1:{server.port} does not answer" in said[0]
    assert "Loading model" in said[0]
    assert "is back" in said[1]


@pytest.mark.parametrize("failure", [status(503, "Loading model"), raw(b"<html>", 504, "text/html")])
def test_an_outage_that_lasts_ends_the_run_with_its_last_words(server: Endpoint, failure: Behaviour) -> None:
    server.behaviour = failure
    with pytest.raises(FatalObserverError, match=r"has been away for .* run the same command again"):
        answer(server, wait_for_server_s=0.2)
    assert len(server.requests) > 1


def test_a_server_that_was_never_met_is_waited_for_only_when_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"

        async def run(**options: float) -> None:
            async with make("openai:toy", {"base_url": url, "backoff_s": 0.001, **options}) as one:
                await one.answer(QUERY)

        with pytest.raises(FatalObserverError, match="Nothing answers"):
            asyncio.run(run())
        with pytest.raises(FatalObserverError, match="Nothing answers"):
            asyncio.run(run(wait_for_server_s=0.05))


# Proxies, queries, headers


def through(monkeypatch: pytest.MonkeyPatch, server: Endpoint, **options: Any) -> Reply:
    monkeypatch.setenv("HTTP_PROXY", f"http://someone:hunter-22@127.0.0.1:{server.port}")

    async def run() -> Reply:
        async with make("openai:toy", {"base_url": "http://models.example.test/v1", **options}) as one:
            assert "through the proxy 127.0.0.1" in one.notice  # type: ignore[attr-defined]
            assert "hunter" not in str(vars(one))
            return await one.answer(QUERY)

    return asyncio.run(run())


def test_the_proxy_of_the_environment_is_used(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert through(monkeypatch, server, api_key_env="").answer is not None
    (sent,) = server.requests
    assert sent.headers["Host"] == "models.example.test"
    assert base64.b64decode(sent.headers["Proxy-Authorization"].removeprefix("Basic ")) == b"someone:hunter-22"


def test_a_proxy_never_reads_the_key(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FatalObserverError, match="would read the key") as caught:
        through(monkeypatch, server)
    assert not server.requests
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(("host", "direct"), [("models.example.test", True), ("example.test", True), ("other", False)])
def test_some_hosts_need_no_proxy(monkeypatch: pytest.MonkeyPatch, host: str, direct: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", host)
    assert (endpoint.proxy(endpoint.find("https://models.example.test/v1")) is None) == direct
    assert endpoint.proxy(endpoint.find("https://localhost/v1")) is None


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("models.test, 10.0.0.0/8", "http://10.1.2.3:8000/v1", True),
        ("10.0.0.7/8", "http://10.1.2.3:8000/v1", True),
        ("10.0.0.0/8", "http://11.1.2.3/v1", False),
        ("fd00::/8", "http://[fd12::3]:8000/v1", True),
        ("10.0.0.0/8,fd00::/8", "http://models.example.test/v1", False),
        ("10.0.0.0/64,nonsense/", "http://10.1.2.3/v1", False),
    ],
)
def test_a_network_needs_no_proxy(monkeypatch: pytest.MonkeyPatch, exempt: str, url: str, direct: bool) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert (endpoint.proxy(endpoint.find(url)) is None) == direct


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://u:pw-9@h:1080")
    with pytest.raises(FatalObserverError, match=r"ALL_PROXY .*socks5.* NO_PROXY") as caught:
        endpoint.proxy(endpoint.find("https://models.example.test/v1"))
    assert "pw-9" not in str(caught.value)


def test_a_version_in_the_query_travels(server: Endpoint) -> None:
    url = f"{server.base_url}/deployments/toy?api-version=2024-10-21"
    reply = answer(server, base_url=url)
    assert reply.answer is not None
    assert server.requests[0].path == "/v1/deployments/toy/chat/completions"
    assert make("openai:toy", {"base_url": url}).fingerprint()["query"] == "api-version=2024-10-21"


def test_headers_travel_and_secret_ones_are_kept_nowhere(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_KEY", "another-secret-0987")
    headers = '{"x-team": "vision", "api-key": "env:AZURE_KEY"}'
    server.behaviour = say("<no> another-secret-0987 is what I was sent")
    reply = answer(server, headers=headers, api_key_env="")
    sent = server.requests[0].headers
    assert (sent["x-team"], sent["api-key"]) == ("vision", "another-secret-0987")
    assert reply.answer is not None
    assert reply.answer.text == "<no> [key] is what I was sent"
    assert make("openai:toy", {"headers": headers}).fingerprint()["headers"] == {"x-team": "vision"}
    monkeypatch.delenv("AZURE_KEY")
    with pytest.raises(FatalObserverError, match="AZURE_KEY, for the header api-key, is empty"):
        answer(server, headers=headers)


def test_fingerprints_of_runs_that_use_nothing_new_are_as_they_were() -> None:
    fields = "kind model revision host path max_tokens temperature seed logprobs detail encoding extra"
    plain = make("openai:toy", {"headers": {"api-key": "env:A"}, "wait_for_server_s": 5}).fingerprint()
    assert list(plain) == fields.split()
    for way in ("none", "null", None):
        assert make("openai:toy", {"temperature": way}).fingerprint()["temperature"] is None


@pytest.mark.parametrize("scheme", ["https", "ftp", "mailto"])
def test_a_redirect_to_another_scheme_is_refused_at_once(server: Endpoint, scheme: str) -> None:
    server.behaviour = redirect(f"{scheme}:{'//' * (scheme != 'mailto')}127.0.0.1:{server.port}/v1/chat/completions")
    with pytest.raises(FatalObserverError, match="redirects"):
        answer(server)
    assert len(server.requests) == 1


# Names and settings


def test_labels_tell_one_model_behind_two_hosts_apart() -> None:
    def names(*labels: str) -> list[str]:
        made = [make("openai:toy", {"label": label}) for label in labels]
        observers.apart(made)
        return [one.name for one in made]

    assert names("a") == ["openai:toy"]
    assert names("a", "b") == ["openai:toy@a", "openai:toy@b"]
    assert names("", "b") == ["openai:toy", "openai:toy@b"]
    for same in (("", ""), ("a", "a")):
        with pytest.raises(InputError, match="label = 'a'"):
            names(*same)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": float("nan")}, {"temperature": "inf"}, {"temperature": -1}, {"concurrency": "1e19"},
        {"concurrency": 10**19}, {"seed": 2**63}, {"max_tokens": 10**12}, {"timeout_s": float("inf")},
        {"backoff_s": float("nan")}, {"wait_for_server_s": -1}, {"wait_for_server_s": float("nan")}, {"retries": 10**6},
        {"label": "a\nb"}, {"extra": "[1]"}, {"extra": "{"}, {"headers": {"Host": "h"}}, {"headers": {"a b": "c"}},
        {"headers": {"x": 3}}, {"headers": {"x": "env:no name"}},
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(LimenError):
        make("openai:toy", options)


HIDDEN = "sk-proj-a1b2c3d4e5f6g7h8i9"


@pytest.mark.parametrize(
    "options",
    [
        {"extra": {"api_key": "hunter2-hunter2"}}, {"extra": {"provider": [{"Authorization": "hunter2"}]}},
        {"extra": {"note": HIDDEN}}, {"extra": {"clientSecret": "hunter2"}}, {"extra": f'{{"user": "{HIDDEN}"}}'},
        {"headers": {"api-key": "hunter2"}}, {"headers": {"x-team": HIDDEN}}, {"headers": {"cookie": "hunter2"}},
        {"headers": f'{{"x": "{HIDDEN}"'}, {"label": HIDDEN}, {"revision": HIDDEN}, {"api_key_env": HIDDEN},
        {"base_url": f"https://h/{HIDDEN}/v1"}, {"base_url": "https://h/v1?subscription-key=hunter2"},
    ],
)  # fmt: skip
def test_settings_that_look_like_a_key_are_refused_unseen(options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        make("openai:toy", options)
    assert "hunter2" not in str(caught.value)
    assert HIDDEN not in str(caught.value)


def test_ordinary_settings_look_like_no_key() -> None:
    for name in ("max_tokens", "stop_token_ids", "prompt_cache_key", "reasoning_effort", "eos_token", "keywords"):
        assert not secret_place(name, "medium"), name
    for value in (
        "hf-internal-testing/tiny-random-idefics3",
        "basic description",
        "sk-learn",
        "x-ai/grok-2-vision-1212",
    ):
        assert not secret_place("model", value), value


def test_the_key_in_a_setting_is_found_before_anything_is_sent(server: Endpoint) -> None:
    with pytest.raises(FatalObserverError, match="stands in a setting") as caught:
        answer(server, extra={"note": f"mine: {KEY}"})
    assert KEY not in str(caught.value)
    assert not server.requests


def test_answers_and_names_are_kept_without_the_key(server: Endpoint) -> None:
    forms = [KEY, KEY.upper(), "world-test-9b1c%2Fd%2Be%26f-HIDDEN", base64.b64encode(KEY.encode()).decode()]
    for form in forms:
        server.script(body({**completion(f"<no> You sent {form}."), "model": f"toy {form}"}))
    for reply in answers(server, len(forms)):
        assert reply.answer is not None
        assert (reply.answer.text.split("[")[0], reply.answer.model) == ("<no> You sent ", "toy [key]")


def test_a_short_key_is_no_reason_to_change_an_answer() -> None:
    assert Key("EMPTY").hide("<yes> EMPTY is EMPTY") == "<yes> EMPTY is EMPTY"


@pytest.mark.parametrize(("versioned", "asks"), [(True, False), (False, True)])
def test_a_base_url_without_a_version_is_asked_about(versioned: bool, asks: bool) -> None:
    asked = complaint.RequestContext("host", "toy", versioned=versioned)
    failure = complaint.judge(404, {}, complaint.read(b"Not Found"), asked)
    assert isinstance(failure, complaint.Failure)
    assert ("did you mean one that ends in /v1?" in failure.detail) is asks
