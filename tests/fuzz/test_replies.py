"""Whatever a server sends, in whatever shape: an answer or a failure with its fate, never a traceback, and soon."""

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from limen.observers.openai import complaint, waiting
from limen.observers.openai import completion as wire
from limen.observers.openai.complaint import Failure, RequestContext
from limen.observers.openai.secret import Key
from limen.parsing.yes_no import read_direct
from tests.support.endpoint import completion

LONG = 2.0  # seconds; all these bodies are small
WORDS = [
    "stop", "length", "abort", "load", "STOP", "max_tokens", "content_filter: SAFETY", "null", "api key not valid",
    "image input is not supported", "max_tokens must be at most 5", "Please retry in 3s", "per day", "logprobs",
]  # fmt: skip
NAMES = [
    "choices", "message", "content", "finish_reason", "logprobs", "error", "code", "usage", "reasoning_content", "type",
    "text", "model", "system_fingerprint", "refusal", "detail", "loc", "msg", "metadata", "raw", "retryDelay", "token",
    "top_logprobs", "logprob", "completion_tokens", "prompt_tokens", "retry_after",
]  # fmt: skip

PLACES = [
    "choices", "message", "finish_reason", "logprobs", "content", "reasoning_content", "model", "error", "usage",
    "system_fingerprint",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(WORDS)
    | st.sampled_from(["\ud800", "a\udc00b", "\x00", "1e999", '{"message": "inside"}', "<html>", "NaN"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "x"]), inner, max_size=4),
    max_leaves=8,
)
statuses = st.integers(200, 599) | st.sampled_from([400, 401, 403, 404, 413, 422, 429, 500, 503])
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-reset"]),
    st.text(max_size=12) | st.floats().map(str) | st.sampled_from(["3600", "6m0s", "2026-01-01T00:00:00Z"]),
)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """A good reply with something in it replaced, cut off, or with bytes changed; or any JSON; or any bytes."""
    kind = draw(st.sampled_from(["changed", "shape", "bytes", "mutated"]))
    if kind == "bytes":
        return draw(st.binary(max_size=80))
    if kind == "shape":
        return dumped(draw(values))
    tokens = [("<", {"<": 1.0}), ("yes", {"yes": 0.6, "no": 0.4})]
    whole = completion("<yes> They differ.", tokens=tokens)
    choice = whole["choices"][0]
    replaced = draw(st.sets(st.sampled_from(PLACES), max_size=3))
    for place, name in ((whole, "choices"), (choice, "message"), (choice, "finish_reason"), (choice, "logprobs"),
                        (choice["message"], "content"), (choice["message"], "reasoning_content"), (whole, "model"),
                        (whole, "error"), (whole, "usage"), (whole, "system_fingerprint")):  # fmt: skip
        if name in replaced:
            place[name] = draw(values)
    data = dumped(whole)
    if kind == "mutated":
        place, changed = draw(st.integers(0, len(data))), draw(st.binary(max_size=4))
        data = data[:place] + changed + data[place + draw(st.integers(0, 6)) :]
        data = data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data
    return data


@given(replies(), st.booleans())
def test_a_reply_is_an_answer_or_a_failure(data: bytes, letters: bool) -> None:
    started = time.perf_counter()
    read = wire.read(data, letters)
    assert time.perf_counter() - started < LONG
    if isinstance(read, wire.Completion):
        answer = read.answer
        assert answer.finish in {"", "stop", "length", "content_filter"}
        assert answer.text.strip() or answer.finish in {"stop", "content_filter"}
        for text in (answer.text, answer.model, read.system):
            text.encode()  # what no file can hold
        assert answer.p_yes is None or 0 <= answer.p_yes <= 1
        read_direct(answer.text, answer.finish)
    else:
        assert read.kind in {"malformed", "empty", "broken-off", "cut-off", "thought", "server-error"}
        assert read.detail or 400 <= read.status < 600


@given(statuses, headers, replies() | values.map(dumped), st.booleans(), st.sampled_from([0, 5, 20]))
def test_an_error_is_a_failure_with_a_fate(
    status: int, told: dict[str, str], data: bytes, answered: bool, candidates: int
) -> None:
    started = time.perf_counter()
    said = complaint.read(data)
    failure = complaint.judge(status, told, said, RequestContext("h", "m", candidates=candidates, answered=answered))
    assert time.perf_counter() - started < LONG
    assert isinstance(failure, Failure)
    assert failure.detail
    assert failure.fate in {"again", "free", "suspect", "never", "fatal"}
    assert failure.after is None or 0 <= failure.after < float("inf")
    assert failure.fate != "free" or candidates
    assert isinstance(said.filtered, bool)
    line = Key("a-key-of-some-length").scrub(failure.detail)
    assert line.isprintable() or not line
    assert len(line) <= 300


@given(
    st.text(max_size=40) | st.from_regex(r"(try again|retry|wait) (in|after) [0-9.]{1,9} ?[a-z]{1,12}", fullmatch=True)
)
def test_a_wait_in_words_is_seconds_or_nothing(text: str) -> None:
    wait = waiting.in_words(text)
    assert wait is None or 0 <= wait < float("inf")
