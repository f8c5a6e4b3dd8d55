"""The openai observer against an endpoint that goes wrong in every way we know of."""

import asyncio
import email.utils
import gc
import logging
import os
import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from limen import image, question
from limen.errors import FatalObserverError, InputError, LimenError
from limen.image import Picture
from limen.observer import Observer, Reply, make
from limen.observers.openai import completion as wire
from limen.observers.openai.completion import Pictures
from limen.question import Order, Query
from tests.support.endpoint import (
    Behaviour,
    Endpoint,
    body,
    completion,
    cut_short,
    empty_choices,
    html,
    raw,
    redirect,
    reset,
    say,
    stall,
    status,
    together,
)

KEY = "limen-test-4f9a/b+c&d-SECRET"
SOON = 20.0  # seconds: on a busy machine, and yet long before what must not be waited for


def picture(seed: int = 0, size: tuple[int, int] = (40, 48)) -> Picture:
    return Picture.of(np.random.default_rng(seed).integers(0, 200, (*size, 3), dtype=np.uint8))


def brighter(one: Picture, by: int) -> Picture:
    return Picture.of(one.pixels + np.uint8(by))


def ask(first: Picture, second: Picture, name: str = "direct", order: Order = Order.REFERENCE_FIRST) -> Query:
    return question.find(name, order).ask("blur", first, second)[0]


FIRST = picture()
QUERY = ask(FIRST, brighter(FIRST, 9))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def observer(server: Endpoint, **options: Any) -> Observer:
    return make("openai:toy", {"base_url": server.base_url, "backoff_s": 0.002, "timeout_s": 5, **options})


def answer(server: Endpoint, query: Query = QUERY, **options: Any) -> Reply:
    async def run() -> Reply:
        async with observer(server, **options) as one:
            return await one.answer(query)

    return asyncio.run(run())


def outcomes(reply: Reply) -> list[str]:
    return [attempt.outcome for attempt in reply.attempts]


# What goes over the wire


def test_answers_truly(server: Endpoint) -> None:
    reply = answer(server)
    assert reply.answer is not None
    assert reply.answer.text.startswith("<yes>")
    assert reply.answer.p_yes == pytest.approx(1 / (1 + np.exp(-7.0)))
    assert reply.answer.p_neither == pytest.approx(0.02)
    assert (reply.answer.finish, reply.answer.model) == ("stop", "toy-2026")
    assert (reply.answer.tokens_in, reply.answer.tokens_out) == (700, 9)
    assert 0 < reply.answer.seconds < 5
    assert outcomes(reply) == ["ok"]
    same = answer(server, ask(FIRST, FIRST, "choice"))
    assert same.answer is not None
    assert same.answer.text == "B"
    assert same.answer.p_yes == pytest.approx(1 / (1 + np.exp(2.0)))


@pytest.mark.parametrize("order", list(Order))
def test_parts_keep_their_order_and_pixels(server: Endpoint, order: Order) -> None:
    first, second = picture(1), picture(2, (33, 61))
    query = ask(first, second, order=order)
    server.behaviour = say("<yes> they differ")
    answer(server, query)
    sent = server.requests[0]
    kinds = [part["type"] for part in sent.content]
    assert kinds == ["text" if isinstance(part, str) else "image_url" for part in query.parts]
    assert sent.text == query.text
    for shown, arrived in zip(query.pictures, sent.pictures, strict=True):
        assert np.array_equal(shown.pixels, arrived)
    assert all(data.startswith(b"\x89PNG") for data in sent.files)


def test_request_fields(server: Endpoint) -> None:
    options = {"seed": 7, "max_tokens": 31, "max_tokens_name": "max_completion_tokens", "detail": "high"}
    answer(server, **options, extra={"reasoning_effort": "none"})
    sent = server.requests[0]
    (part, *_) = sent.content
    assert part["image_url"]["detail"] == "high"
    rest = {name: value for name, value in sent.payload.items() if name != "messages"}
    assert rest == {
        "model": "toy",
        "max_completion_tokens": 31,
        "temperature": 0.0,
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 20,
        "reasoning_effort": "none",
    }
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.path == "/v1/chat/completions"


def test_text_is_escaped(server: Endpoint) -> None:
    text = 'Quote " backslash \\ newline \n umlaut ü 是 \u2028'
    server.behaviour = say(text)
    reply = answer(server, Query((FIRST, text, FIRST)))
    assert server.requests[0].text == text
    assert reply.answer is not None
    assert reply.answer.text == text


def test_temperature_can_be_left_out(server: Endpoint) -> None:
    answer(server, temperature=None, logprobs=False)
    assert set(server.requests[0].payload) == {"model", "max_tokens", "messages"}


def test_jpeg_only_by_name(server: Endpoint) -> None:
    answer(server, encoding="jpeg:95")
    assert server.requests[0].files[0].startswith(b"\xff\xd8")
    assert server.requests[0].content[0]["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_hundred_queries_sixty_four_abreast_encode_a_reference_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    png = image.encode
    monkeypatch.setattr(image, "encode", lambda pixels, how: encoded.append(1) or png(pixels, how))
    levels = [brighter(FIRST, level % 20) for level in range(100)]

    async def run(server: Endpoint) -> list[Reply]:
        async with observer(server, concurrency=64) as one:
            encoded.clear()
            return await asyncio.gather(*(one.answer(ask(FIRST, level)) for level in levels))

    with Endpoint(behaviour=together(64)) as server:
        replies = asyncio.run(asyncio.wait_for(run(server), 60))
        assert server.most_in_flight == 64
        assert len(server.requests) == 100
    said = [reply.answer is not None and reply.answer.text.startswith("<yes>") for reply in replies]
    assert said == [level % 20 > 2 for level in range(100)]
    assert len(encoded) == 20  # twenty different pictures, the reference among them


def test_the_least_recently_used_pictures_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = image.encode
    monkeypatch.setattr(
        image, "encode", lambda pixels, how: encoded.append(int(pixels[0, 0, 0])) or encode(pixels, how)
    )
    shown = [Picture.of(np.full((32, 32, 3), level, np.uint8)) for level in range(3)]

    async def run() -> None:
        pictures = Pictures("png", "")
        piece = await pictures.get(shown[0])
        monkeypatch.setattr(wire, "KEPT_BYTES", 2 * len(piece) + len(piece) // 2)
        for level in (1, 0, 2, 0, 1):
            await pictures.get(shown[level])

    asyncio.run(run())
    assert encoded == [0, 1, 2, 1]


def test_who_gives_up_waiting_for_a_picture_does_not_take_it_from_others() -> None:
    async def run() -> bytes:
        pictures = Pictures("png", "")
        first = asyncio.create_task(pictures.get(FIRST))
        second = asyncio.create_task(pictures.get(FIRST))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(run()).startswith(b'{"type":"image_url"')


def test_a_repeated_draw_has_a_seed_of_its_own(server: Endpoint) -> None:
    for draw in (0, 1):
        answer(server, Query(QUERY.parts, draw), seed=7, temperature=1)
    answer(server, Query(QUERY.parts, 1), temperature=1)
    assert [request.payload.get("seed") for request in server.requests] == [7, 8, None]


def test_an_observer_serves_several_loops(server: Endpoint) -> None:
    one = observer(server)

    async def run() -> Reply:
        async with one:
            return await one.answer(QUERY)

    assert asyncio.run(run()).answer is not None
    assert asyncio.run(run()).answer is not None


def test_a_closed_observer_says_so(server: Endpoint) -> None:
    with pytest.raises(InputError, match="async with"):
        asyncio.run(observer(server).answer(QUERY))


# Failures that pass


PASSING = {
    "429": (status(429), "rate-limited"),
    "408": (status(408), "server-error"),
    "500": (status(500), "server-error"),
    "502": (html(502), "server-error"),
    "503": (status(503), "overloaded"),
    "504": (html(504), "server-error"),
    "529": (status(529), "overloaded"),
    "reset": (reset(), "connection"),
    "cut short": (cut_short(), "connection"),
    "half a JSON": (raw(b'{"choices": [{"message": {"content": "<yes'), "malformed"),
    "HTML": (html(), "malformed"),
    "nothing": (raw(b""), "malformed"),
    "wrong shape": (body({"choices": 3}), "malformed"),
    "no choices": (empty_choices(), "empty"),
    "choices missing": (body({"id": "1"}), "empty"),
    "content null": (say(None), "empty"),
    "finish error": (say("", "error"), "server-error"),
    "error in a 200": (body({"error": {"message": "upstream", "code": 502}}), "server-error"),
    "limit in a 200": (body({"error": {"message": "slow down", "code": 429}}), "rate-limited"),
}


@pytest.mark.parametrize(("fault", "kind"), PASSING.values(), ids=PASSING)
def test_passing_failures_are_tried_again_and_recorded(server: Endpoint, fault: Behaviour, kind: str) -> None:
    server.script(fault, fault)
    reply = answer(server)
    assert outcomes(reply) == [kind, kind, "ok"]
    assert reply.answer is not None
    assert reply.answer.text.startswith("<yes>")
    assert all(attempt.detail for attempt in reply.attempts[:-1])
    assert all(0 < attempt.seconds < 5 for attempt in reply.attempts)


@pytest.mark.parametrize("tries", [1, 3])
def test_after_the_last_attempt_there_is_no_answer(server: Endpoint, tries: int) -> None:
    server.behaviour = status(500)
    reply = answer(server, retries=tries)
    assert reply.answer is None
    assert outcomes(reply) == ["server-error"] * tries
    assert len(server.requests) == tries


def test_six_attempts_unless_told_otherwise(server: Endpoint) -> None:
    server.behaviour = say(None)
    assert len(answer(server).attempts) == 6


def test_a_stall_is_a_timeout(server: Endpoint) -> None:
    server.script(stall())
    reply = answer(server, timeout_s=0.15)
    assert outcomes(reply) == ["timeout", "ok"]
    assert 0.14 < reply.attempts[0].seconds < SOON


def test_back_off_grows(server: Endpoint) -> None:
    server.script(*[status(500)] * 3)
    started = time.perf_counter()
    answer(server, backoff_s=0.05)
    assert 0.05 * (0.5 + 1 + 2) <= time.perf_counter() - started < SOON


def test_jitter_comes_from_names(server: Endpoint) -> None:
    one, two = observer(server), observer(server)
    jitters = [one._jitter(QUERY, number) for number in range(50)]  # type: ignore[attr-defined]
    assert jitters == [two._jitter(QUERY, number) for number in range(50)]  # type: ignore[attr-defined]
    assert len(set(jitters)) == 50
    assert 0 <= min(jitters) < 0.2 < 0.8 < max(jitters) < 1


def in_two_seconds() -> str:
    return email.utils.formatdate(time.time() + 2, usegmt=True)


@pytest.mark.parametrize(
    ("code", "name", "value", "least"),
    [
        (429, "Retry-After", "0.3", 0.3),
        (503, "Retry-After", "0.3", 0.3),
        (529, "retry-after-ms", "300", 0.3),
        (429, "Retry-After", "date", 0.9),
    ],
)
def test_retry_after_is_honoured(server: Endpoint, code: int, name: str, value: str, least: float) -> None:
    server.script(status(code, headers={name: in_two_seconds() if value == "date" else value}))
    started = time.perf_counter()
    assert answer(server).answer is not None
    assert least <= time.perf_counter() - started < SOON


@pytest.mark.parametrize("value", ["90", "899"])
def test_retry_after_is_capped(server: Endpoint, value: str) -> None:
    server.script(status(429, headers={"Retry-After": value}))
    started = time.perf_counter()
    assert answer(server, longest_wait_s=0.1).answer is not None
    assert 0.1 <= time.perf_counter() - started < SOON


@pytest.mark.parametrize("value", ["", "soon", "-3", "nan", "inf", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo"])
def test_retry_after_that_says_nothing(server: Endpoint, value: str) -> None:
    server.script(status(429, headers={"Retry-After": value}))
    started = time.perf_counter()
    assert answer(server).answer is not None
    assert time.perf_counter() - started < SOON


def test_one_limit_pauses_all(server: Endpoint) -> None:
    """Sixteen queries after a 429: none is sent before the time the server named."""
    server.script(status(429, headers={"Retry-After": "0.4"}))

    async def run() -> tuple[float, list[Reply]]:
        async with observer(server) as one:
            first = asyncio.create_task(one.answer(QUERY))
            while not server.requests:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            started = time.perf_counter()
            replies = await asyncio.gather(*(one.answer(ask(FIRST, brighter(FIRST, i))) for i in range(16)))
            await first
            return time.perf_counter() - started, replies

    seconds, replies = asyncio.run(run())
    assert 0.3 < seconds < SOON
    assert all(outcomes(reply) == ["ok"] for reply in replies)
    assert len(server.requests) == 18


# Answers, whatever they say


@pytest.mark.parametrize(
    ("behaviour", "text", "finish"),
    [
        (say("I'm sorry, I can't help with that."), "I'm sorry, I can't help with that.", "stop"),
        (say("", "content_filter"), "", "content_filter"),
        (say(None, "content_filter"), "", "content_filter"),
        (say("<yes> The second image is", "length"), "<yes> The second image is", "length"),
        (say(""), "", "stop"),
        (say("<no>", None), "<no>", ""),
        (body(completion(None, refusal="I will not.")), "I will not.", "content_filter"),
        (say([{"type": "text", "text": "<yes> "}, {"type": "text", "text": "it is"}]), "<yes> it is", "stop"),  # type: ignore[arg-type]
        (status(400, "The response was filtered", kind="content_filter"), "", "content_filter"),
        (
            body({"error": {"code": 403, "message": "flagged", "metadata": {"flagged_input": "..."}}}, 403),
            "",
            "content_filter",
        ),
        (say(" \x1b[31m<yes>\n=1+1"), " \x1b[31m<yes>\n=1+1", "stop"),
    ],
)
def test_refusals_filters_and_cuts_are_answers(server: Endpoint, behaviour: Behaviour, text: str, finish: str) -> None:
    server.script(behaviour)
    reply = answer(server)
    assert reply.answer is not None
    assert (reply.answer.text, reply.answer.finish) == (text, finish)
    assert outcomes(reply) == ["ok"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        status(403, "Your account has been flagged for unusual activity"),
        status(400, "Unknown parameter: 'content_filter_level'"),
    ],
)
def test_a_failure_that_mentions_a_filter_is_no_answer(server: Endpoint, behaviour: Behaviour) -> None:
    server.script(behaviour)
    with pytest.raises(FatalObserverError):
        answer(server)


@pytest.mark.parametrize(
    "reply",
    [
        body({"detail": [{"loc": 5, "msg": "x"}]}, 422),
        status(429, "slow", headers={"Retry-After": "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT"}),
        body({**completion("<no> Alike."), "usage": {"prompt_tokens": 2**70}}),
    ],
)
def test_strange_replies_crash_nothing(server: Endpoint, reply: Behaviour) -> None:
    server.script(reply)
    got = answer(server)
    assert got.answer is None or got.answer.tokens_in is None or got.answer.tokens_in < 2**53


# Failures of one query, and of all


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (400, "This model's maximum context length is 4096 tokens", "context_length_exceeded"),
        (400, "Image is too large: 20 MB", None),
        (413, "Payload too large", None),
        (422, "something about this one", None),
    ],
)
def test_a_failure_of_one_query_is_not_tried_again(server: Endpoint, code: int, message: str, kind: str | None) -> None:
    server.script(status(code, message, kind=kind))
    reply = answer(server)
    assert reply.answer is None
    assert outcomes(reply) == ["rejected"]
    assert message in reply.attempts[0].detail


@pytest.mark.parametrize(
    ("behaviour", "kind", "advice"),
    [
        (status(401, "Incorrect API key provided: limen***RET"), "key", "Set OPENAI_API_KEY"),
        (status(403, "Country not supported"), "forbidden", "Check"),
        (status(402, "Insufficient Balance"), "payment", "Add credit"),
        (status(429, "You exceeded your quota", kind="insufficient_quota"), "payment", "Add credit"),
        (status(404, "The model `toy` does not exist", kind="model_not_found"), "not-found", "base_url"),
        (html(404), "not-found", "base_url"),
        (
            status(400, "Unsupported parameter: 'max_tokens'", kind="unsupported_parameter"),
            "unsupported",
            "max_tokens_name=max_completion_tokens",
        ),
        (status(400, "toy is not a multimodal model"), "unsupported", "model"),
        (status(400, "At most 1 image(s) may be provided in one request."), "unsupported", "two pictures"),
        (
            body({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra", "input": 1}]}, 422),
            "unsupported",
            "body.seed",
        ),
        (body({"error": {"message": "No auth", "code": 401}}), "key", "Set OPENAI_API_KEY"),
    ],
)
def test_failures_of_all_queries_stop_the_run(server: Endpoint, behaviour: Behaviour, kind: str, advice: str) -> None:
    server.script(behaviour)
    with pytest.raises(FatalObserverError, match=re.escape(advice)) as caught:
        answer(server)
    assert caught.value.kind == kind
    assert len(server.requests) == 1
    assert len(caught.value.detail) <= 300


def test_nobody_there_is_fatal_after_one_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    monkeypatch.setattr("limen.observers.openai.asyncio.sleep", sleep)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"

        async def run() -> None:
            async with make("openai:toy", {"base_url": url}) as one:
                await one.answer(QUERY)

        with pytest.raises(FatalObserverError, match="Start the server") as caught:
            asyncio.run(run())
    assert caught.value.kind == "unreachable"
    assert len(pauses) == 1


def test_a_server_that_goes_away_is_a_failure_of_the_query() -> None:
    async def run(server: Endpoint) -> Reply:
        async with observer(server, retries=2, wait_for_server_s=0) as one:
            assert (await one.answer(QUERY)).answer is not None
            await asyncio.to_thread(server.__exit__, None, None, None)
            return await one.answer(QUERY)

    server = Endpoint()
    server.__enter__()
    reply = asyncio.run(run(server))
    assert reply.answer is None
    assert set(outcomes(reply)) <= {"unreachable", "connection"}


# Log probabilities


@pytest.mark.parametrize(
    "refusal",
    [
        status(400, "Unsupported parameter: 'logprobs' is not supported with this model."),
        status(403, "You are not allowed to request logprobs from this model."),
        body({"detail": [{"type": "extra_forbidden", "loc": ["body", "logprobs"], "msg": "Extra inputs"}]}, 422),
    ],
)
def test_refused_logprobs_are_dropped_once_and_noted(server: Endpoint, refusal: Behaviour) -> None:
    server.script(refusal, refusal)

    async def run() -> list[Reply]:
        async with observer(server, retries=1) as one:
            return [await one.answer(QUERY), await one.answer(ask(FIRST, FIRST))]

    first, second = asyncio.run(run())
    assert outcomes(first) == ["logprobs-refused", "logprobs-refused", "ok"]
    assert outcomes(second) == ["ok"]
    assert [request.payload.get("top_logprobs") for request in server.requests] == [20, 5, None, None]
    assert first.answer is not None
    assert (first.answer.p_yes, first.answer.p_neither) == (None, None)


def test_a_server_with_five_candidates_keeps_p_yes(server: Endpoint) -> None:
    server.script(status(400, "top_logprobs must be at most 5"))
    reply = answer(server)
    assert reply.answer is not None
    assert reply.answer.p_yes is not None


def test_an_echoed_request_is_no_refusal_of_logprobs(server: Endpoint) -> None:
    server.script(body({"detail": [{"loc": ["body"], "msg": "bad pixel", "input": {"logprobs": True}}]}, 422))
    assert outcomes(answer(server)) == ["rejected"]


def test_ignored_logprobs_leave_p_yes_out() -> None:
    with Endpoint(logprobs=False) as server:
        reply = answer(server)
        assert server.requests[0].payload["logprobs"] is True
    assert reply.answer is not None
    assert reply.answer.p_yes is None


@pytest.mark.parametrize(
    ("tokens", "p_yes"),
    [
        ([("Yes", {"Yes": 0.6, "yes": 0.1, "No": 0.1})], 0.875),
        ([("<", {"<": 1.0}), ("no", {"yes": 0.2, "no": 0.6, "maybe": 0.1})], 0.25),
        ([("\n", {"\n": 1.0}), (" yes", {" yes": 0.3, " no": 0.3})], 0.5),
        ([("是", {"是": 0.3, "否": 0.1})], 0.75),
        ([("There", {"There": 0.9, "Yes": 0.1})], None),  # the flag is not first
        ([("A", {"A": 0.6, "Yes": 0.2, "No": 0.2})], None),  # an article: no letters were offered
        ([("Yes", {"Yes": 0.9})], None),  # no rivals told: nothing to weigh
        ([("<", {"<": 1.0})], None),
    ],
)
def test_p_yes_is_read_at_the_flag(
    server: Endpoint, tokens: list[tuple[str, dict[str, float]]], p_yes: float | None
) -> None:
    server.script(say("".join(token for token, _ in tokens), tokens=tokens))
    reply = answer(server)
    assert reply.answer is not None
    assert reply.answer.p_yes == (None if p_yes is None else pytest.approx(p_yes))


@pytest.mark.parametrize(
    "logprobs", [None, 3, [], {}, {"content": None}, {"content": []}, {"content": [{}]}, {"tokens": ["yes"]}]
)
def test_odd_logprobs_do_not_spoil_the_answer(server: Endpoint, logprobs: object) -> None:
    whole = completion("<yes> it is blurred")
    whole["choices"][0]["logprobs"] = logprobs
    whole["usage"] = "none"
    server.script(body(whole))
    reply = answer(server)
    assert reply.answer is not None
    assert (reply.answer.p_yes, reply.answer.tokens_in) == (None, None)


# Redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_another_host(server: Endpoint, code: int) -> None:
    with Endpoint() as other:
        location = f"http://user:pw-of-someone@127.0.0.1:{other.port}/v1/chat/completions?token=xyz"
        server.script(redirect(location, code))
        with pytest.raises(FatalObserverError, match=f"127.0.0.1:{other.port}") as caught:
            answer(server)
        assert not other.requests
    assert caught.value.kind == "redirect"
    assert "pw-of-someone" not in str(caught.value)
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize("code", [307, 308])
def test_a_redirect_within_the_origin_is_followed(server: Endpoint, code: int) -> None:
    server.script(redirect("/v2/chat/completions", code))
    assert outcomes(answer(server)) == ["ok"]
    assert [request.path for request in server.requests] == ["/v1/chat/completions", "/v2/chat/completions"]
    assert server.requests[0].body == server.requests[1].body


def test_a_circle_of_redirects_ends(server: Endpoint) -> None:
    server.behaviour = redirect("/v1/chat/completions")
    with pytest.raises(FatalObserverError, match="redirects"):
        answer(server)
    assert len(server.requests) == 4


# The key


def echoes() -> list[Behaviour]:
    """Servers that say the key back in every form we know."""
    text = f"Bad header 'Authorization: Bearer {KEY}' (key {KEY}) https://u:pw@h/?k={KEY} data:image/png;base64,AAAA"
    forms = [text, KEY * 30, "x" * 290 + KEY, "limen%2Dtest-4f9a%2Fb%2Bc%26d-SECRET".replace("%2D", "-")]
    forms.append("limen-test-4f9a/b+c&amp;d-SECRET")
    codes = [400, 401, 403, 404, 402, 413, 429, 500, 503]
    return [
        *(status(code, form) for code in codes for form in forms),
        *(raw(f"plain {form}".encode(), code, "text/plain") for code in (400, 401, 500) for form in forms),
        raw(f"<html>{text}".encode(), 500, "text/html"),
        body({"detail": [{"loc": [KEY], "msg": KEY}]}, 422),
        body({"error": {"message": text, "code": 500}}),
        status(400, f"logprobs {text}"),
        redirect(f"http://{KEY.replace('/', '')}@other.example/{KEY}"),
        body({"error": text}, 429),
        reset(),
    ]


def told(server: Endpoint) -> tuple[list[str], list[str]]:
    """Return the details of one query's failures, and all texts in which anything of it could be seen."""
    one = observer(server, retries=2, longest_wait_s=0.01, wait_for_server_s=0)
    outside = [repr(one), repr(one.fingerprint()), one.notice]  # type: ignore[attr-defined]

    async def run() -> tuple[Reply, str]:
        async with one:
            return await one.answer(QUERY), str(vars(one))

    try:
        reply, inside = asyncio.run(run())
    except FatalObserverError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        return [error.detail], [*outside, str(error), repr(error.__context__), *trace.format(chain=True)]
    return [attempt.detail for attempt in reply.attempts], [*outside, inside, repr(reply)]


def test_the_key_is_nowhere(
    server: Endpoint, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for behaviour in echoes():
        server.behaviour = behaviour
        details, texts = told(server)
        for detail in details:
            assert len(detail) <= 300
            assert detail.isprintable()
            assert "base64" not in detail
            assert "u:pw" not in detail
        captured = capfd.readouterr()
        texts += [caplog.text, captured.out, captured.err]
        for part in (KEY, KEY[:14], "-4f9a", "4f9a/", "4f9a%2F", "SECRET"):  # four hex digits alone are in addresses
            assert not any(part in text for text in texts)
        caplog.clear()
    gc.collect()
    assert "SECRET" not in caplog.text + "".join(capfd.readouterr())


def test_a_key_masked_by_the_server_is_masked_further(server: Endpoint) -> None:
    server.script(status(401, "Incorrect API key provided: sk-limen*******CRET."))
    with pytest.raises(FatalObserverError) as caught:
        answer(server)
    assert "limen***" not in str(caught.value)
    assert "CRET" not in str(caught.value)


def test_a_local_host_needs_no_key(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert answer(server).answer is not None
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert answer(server, api_key_env="").answer is not None
    assert not [request for request in server.requests if "Authorization" in request.headers]


def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")

    async def run() -> None:
        async with make("openai:gpt", {}):
            pass

    with pytest.raises(FatalObserverError, match="OPENAI_API_KEY is empty"):
        asyncio.run(run())


def test_a_key_with_a_line_break_is_refused_unseen(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX-Evil: 1")
    with pytest.raises(FatalObserverError, match="OPENAI_API_KEY holds") as caught:
        answer(server)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY not in "".join(told.format())


# Options


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@h/v1",
        "https://hunter2@h/v1",
        "https://h/v1?api-key=hunter2",
        "https://h/v1#hunter2",
        "h.example/v1",
        "ftp://h/v1",
        "http://[h/v1",
        "http://h:port/v1",
        "",
    ],
)
def test_a_base_url_that_will_not_do(url: str) -> None:
    with pytest.raises(InputError, match="https://HOST/v1") as caught:
        make("openai:toy", {"base_url": url})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"retries": 0}, "retries"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"encoding": "gif"}, "jpeg:95"),
        ({"max_tokens_name": "tokens"}, "max_tokens_name"),
        ({"extra": {"messages": []}}, "messages"),
        ({"timeout": 3}, "timeout_s"),
    ],
)
def test_options_that_will_not_do(options: dict[str, Any], word: str) -> None:
    with pytest.raises(LimenError, match=word):
        make("openai:toy", options)


def test_a_model_is_needed() -> None:
    with pytest.raises(InputError, match="openai:MODEL"):
        make("openai", {})


@pytest.mark.parametrize(
    ("url", "host", "words"),
    [
        ("https://api.example/v1/", "api.example", "sent to api.example, with the key in OPENAI_API_KEY."),
        ("http://gpu7:8000/v1/chat/completions", "gpu7:8000", "sent to gpu7:8000 without encryption"),
        ("http://[::1]:8000/v1", "[::1]:8000", r"sent to \[::1\]:8000, with"),
        ("http://localhost:1/v1", "localhost:1", "sent to localhost:1, with"),
    ],
)
def test_notice_and_fingerprint_name_the_host(url: str, host: str, words: str) -> None:
    one = make("openai:toy", {"base_url": url})
    assert one.fingerprint()["host"] == host
    assert re.search(words, one.notice)  # type: ignore[attr-defined]


def test_fingerprint_holds_what_decides_answers() -> None:
    def print_of(**options: Any) -> bytes:
        return orjson.dumps(dict(make("openai:toy", options).fingerprint()))

    plain = print_of()
    for same in (
        {"concurrency": 64},
        {"timeout_s": 9},
        {"retries": 2},
        {"backoff_s": 3},
        {"api_key_env": "OTHER"},
        {"connect_timeout_s": 2},
    ):
        assert print_of(**same) == plain
    for other in (
        {"base_url": "https://h/v1"},
        {"temperature": 0.5},
        {"seed": 1},
        {"max_tokens": 9},
        {"encoding": "jpeg:95"},
        {"detail": "low"},
        {"revision": "abc"},
        {"label": "ours"},
        {"extra": {"top_k": 1}},
    ):
        assert print_of(**other) != plain
    moved = [print_of(label="ours", base_url=f"http://node{number}/v1") for number in (1, 2)]
    assert moved[0] == moved[1]


def test_making_one_imports_no_http_library() -> None:
    code = (
        "import sys; from limen.observer import make; make('openai:toy', {}); "
        "sys.exit(any(name in sys.modules for name in ('aiohttp', 'yarl')))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
