"""The observers anthropic: and gemini: against servers that speak the documented formats."""

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observer import Query, Reply, make
from limen.store import Store
from limen.trial import Answer
from tests.support.command import limen
from tests.support.endpoint import Behaviour, Endpoint, body
from tests.support.native import (
    anthropic_error,
    contents,
    failing,
    google_error,
    message,
    messages,
    picture,
    response,
)

KEYS = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-secret-0123456789",
    "GEMINI_API_KEY": "AIzaSecretSecretSecretSecret0123456789",
}
VERSIONS = {"anthropic": "/v1", "gemini": "/v1beta"}
SPEAKS = {"anthropic": messages(), "gemini": contents()}
BLANK, GREY = (Picture(np.full((32, 48, 3), grey, np.uint8), f"grey {grey}") for grey in (128, 150))
QUERY = Query(("First:", BLANK, "Second:", GREY, "Is there a noticeable difference? <yes> or <no>."))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def base(kind: str, server: Endpoint) -> str:
    return f"http://127.0.0.1:{server.port}{VERSIONS[kind]}"


def ask(kind: str, server: Endpoint, query: Query = QUERY, **options: Any) -> Reply:
    async def run() -> Reply:
        given = {"base_url": base(kind, server), "backoff_s": 0.01, "wait_for_server_s": 0, "retries": 3, **options}
        async with make(f"{kind}:model-x", given) as observer:
            return await observer.answer(query)

    return asyncio.run(run())


def answered(reply: Reply) -> Answer:
    assert reply.answer is not None, reply.attempts
    return reply.answer


def test_anthropic_sends_a_message_as_documented() -> None:
    with Endpoint(behaviour=messages()) as server:
        extra = '{"thinking": {"type": "disabled"}}'
        answer = answered(ask("anthropic", server, max_tokens="77", extra=extra))
        (request,) = server.requests
    assert (answer.text, answer.finish, answer.model) == ("<yes> One image is visibly changed.", "stop", "model-x")
    assert (answer.tokens_in, answer.tokens_out, answer.p_yes) == (700, 9, None)
    assert request.headers["x-api-key"] == KEYS["ANTHROPIC_API_KEY"]
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "Authorization" not in request.headers
    assert {name: value for name, value in request.payload.items() if name != "messages"} == {
        "model": "model-x", "max_tokens": 77, "temperature": 0.0, "thinking": {"type": "disabled"},
    }  # fmt: skip
    parts = request.payload["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image", "text", "image", "text"]
    np.testing.assert_array_equal(picture(parts[3]["source"]["data"], "image/png"), GREY.pixels)


def test_gemini_sends_contents_as_documented() -> None:
    with Endpoint(behaviour=contents()) as server:
        extra = '{"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}, "safetySettings": []}'
        given = {"seed": "5", "detail": "high", "extra": extra, "encoding": "jpeg:95"}
        answer = answered(ask("gemini", server, Query(QUERY.parts, draw=2), **given))
        (request,) = server.requests
    assert (answer.text, answer.finish, answer.model) == ("<yes> One image is visibly changed.", "stop", "model-x")
    assert (answer.tokens_in, answer.tokens_out) == (700, 9)  # thought is paid for
    assert answer.p_yes == pytest.approx(1.0, abs=1e-5)
    assert answer.p_neither == pytest.approx(0.02)
    assert request.path == "/v1beta/models/model-x:generateContent"
    assert request.headers["x-goog-api-key"] == KEYS["GEMINI_API_KEY"]
    assert "Authorization" not in request.headers
    assert request.payload["generationConfig"] == {
        "thinkingConfig": {"thinkingBudget": 0}, "maxOutputTokens": 256, "temperature": 0.0, "seed": 7,
        "responseLogprobs": True, "logprobs": 20, "mediaResolution": "MEDIA_RESOLUTION_HIGH",
    }  # fmt: skip
    assert [*map(list, request.payload["contents"][0]["parts"])] == [["text"], ["inlineData"]] * 2 + [["text"]]


def test_a_gemini_without_log_probabilities_is_asked_without() -> None:
    with Endpoint(behaviour=contents(logprobs=False)) as server:
        reply = ask("gemini", server)
        asked = [one.payload["generationConfig"].get("logprobs") for one in server.requests]
    assert answered(reply).p_yes is None
    assert asked == [20, 5, None]
    assert [one.outcome for one in reply.attempts] == ["logprobs-refused", "logprobs-refused", "ok"]


@pytest.mark.parametrize(
    ("kind", "value", "text", "finish"),
    [
        ("anthropic", message("", "refusal", content=[]), "", "content_filter"),
        ("anthropic", message("I can", "max_tokens"), "I can", "length"),
        ("anthropic", message("<no> Same.", "stop_sequence"), "<no> Same.", "stop"),
        (
            "anthropic",
            message("", content=[{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "<no> Same."}]),
            "<no> Same.",
            "stop",
        ),
        ("gemini", response("", "SAFETY", candidates=[{"finishReason": "SAFETY"}]), "", "content_filter"),
        ("gemini", response("", candidates=[{"finishReason": "IMAGE_PROHIBITED_CONTENT"}]), "", "content_filter"),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "gemini-x"}, "", "content_filter"),
        ("gemini", response("<ye", "MAX_TOKENS"), "<ye", "length"),
        ("gemini", response("<no> Same.", "RECITATION"), "<no> Same.", "content_filter"),
    ],
)
def test_refusals_blocks_and_cut_off_texts_are_answers(kind: str, value: object, text: str, finish: str) -> None:
    with Endpoint(behaviour=body(value)) as server:
        answer = answered(ask(kind, server))
        assert (answer.text, answer.finish) == (text, finish)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("kind", "value", "advice"),
    [
        ("anthropic", message("", "refusal", content=[]), "paid for."),
        (
            "gemini",
            {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "gemini-x"},
            "safetySettings",
        ),
        ("gemini", response("", "SAFETY", candidates=[{"finishReason": "SAFETY"}]), "safetySettings"),
    ],
)
def test_a_run_of_answers_that_are_withheld_says_so(
    kind: str, value: object, advice: str, tmp_path: Path, photos: Path
) -> None:
    with Endpoint(behaviour=body(value)) as server:
        done = limen(
            "measure", "--images", photos, "--limit", "1", "--distortion", "noise", "--observer", f"{kind}:model-x",
            "--base-url", base(kind, server), "--no-exam", "--out", tmp_path / "run",
        )  # fmt: skip
    told, found = (" ".join(text.split()) for text in (done.stderr, done.stdout))
    assert told.count("refused or filtered an answer (finish content_filter)") == 1
    assert advice in told
    count = re.search(r"(\d+) of \1 pairs without a readable answer \((\d+) refused or filtered", found)
    assert count, found
    assert count[1] == count[2]


THOUGHT = [{"thought": True, "text": "Let me look."}]
NO_ANSWERS = [
    ("anthropic", message("", "max_tokens", content=[{"type": "thinking", "thinking": "Hm."}]), "thought"),
    ("anthropic", message("", "max_tokens", content=[]), "cut-off"),
    ("anthropic", message("", "pause_turn"), "broken-off"),
    ("anthropic", message("", "tool_use", content=[{"type": "tool_use", "name": "x", "input": {}}]), "broken-off"),
    ("anthropic", message("<no> Same.", stop_reason=None), "broken-off"),
    ("anthropic", {"type": "message"}, "empty"),
    ("gemini", response("", candidates=[{"content": {"parts": THOUGHT}, "finishReason": "MAX_TOKENS"}]), "thought"),
    ("gemini", response("", candidates=[{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]), "cut-off"),
    ("gemini", response("Hm", "OTHER"), "broken-off"),
    ("gemini", response("Hm", "MALFORMED_FUNCTION_CALL"), "broken-off"),
    ("gemini", response("", candidates=[]), "empty"),
]


SETTINGS = {"anthropic": '{"thinking":{"type":"disabled"}}', "gemini": '"thinkingConfig":{"thinkingBudget":0}'}
OF_OTHERS = (
    "reasoning_effort",
    "chat_template",
    "reasoning parser",
    "max_tokens_name",
    "start the server",
    "its server",
)


@pytest.mark.parametrize(
    "wrong",
    [
        *(body(value) for kind, value, _ in NO_ANSWERS[:4] + NO_ANSWERS[6:8]),
        failing(
            400, anthropic_error("invalid_request_error", "`max_tokens` must be greater than `thinking.budget_tokens`.")
        ),
        failing(
            400, anthropic_error("invalid_request_error", "max_tokens: 9 > 8, which is the maximum allowed number")
        ),
        failing(400, anthropic_error("invalid_request_error", "max_tokens: unknown field, unsupported")),
        failing(400, anthropic_error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")),
        failing(
            400, google_error(400, "INVALID_ARGUMENT", "The input token count exceeds the maximum number of tokens")
        ),
        failing(400, google_error(400, "INVALID_ARGUMENT", "Image input modality is not enabled for this model")),
    ],
)
@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_advice_is_of_the_service_that_is_asked(kind: str, wrong: Behaviour) -> None:
    with Endpoint(behaviour=wrong) as server:
        try:
            told = ask(kind, server, **({"logprobs": "false"} if kind == "gemini" else {})).attempts[-1].detail
        except FatalObserverError as error:
            told = str(error)
    assert not [word for word in OF_OTHERS if word in told], told
    if "thought" in told:
        assert SETTINGS[kind] in told


def test_a_limit_below_the_budget_of_thought_is_told_to_be_raised() -> None:
    wrong = anthropic_error("invalid_request_error", "`max_tokens` must be greater than `thinking.budget_tokens`. See")
    with Endpoint(behaviour=failing(400, wrong)) as server, pytest.raises(FatalObserverError) as caught:
        ask("anthropic", server)
    assert "Set -O max_tokens=N to more, or less thought: -O extra=" in str(caught.value)
    assert "to less" not in str(caught.value)
    extra = '{"thinking": {"type": "enabled", "budget_tokens": 1024}}'
    with pytest.raises(
        InputError, match=r"budget_tokens 1024 .* max_tokens is 1024, .* to more than 1024, or -O extra"
    ):
        make("anthropic:x", {"extra": extra, "max_tokens": "1024"})
    make("anthropic:x", {"extra": extra, "max_tokens": "2048"})


@pytest.mark.parametrize(("kind", "value", "outcome"), NO_ANSWERS)
def test_what_is_no_answer_is_never_a_verdict(kind: str, value: object, outcome: str) -> None:
    with Endpoint(behaviour=body(value)) as server:
        reply = ask(kind, server, retries="2")
    assert reply.answer is None
    assert {one.outcome for one in reply.attempts} == {outcome}


@pytest.mark.parametrize(
    ("kind", "wrong", "outcome"),
    [
        (
            "anthropic",
            failing(429, anthropic_error("rate_limit_error", "This request would exceed your rate limit."),
                    {"retry-after": "0.05"}),
            "rate-limited",
        ),
        ("anthropic", failing(529, anthropic_error("overloaded_error", "Overloaded")), "overloaded"),
        ("anthropic", failing(500, anthropic_error("api_error", "Internal server error")), "server-error"),
        (
            "gemini",
            failing(429, google_error(429, "RESOURCE_EXHAUSTED", "You exceeded your quota per minute.", "0.05s")),
            "rate-limited",
        ),
        ("gemini", failing(503, google_error(503, "UNAVAILABLE", "The model is overloaded.")), "overloaded"),
        ("gemini", failing(504, google_error(504, "DEADLINE_EXCEEDED", "The request timed out")), "server-error"),
        ("gemini", failing(500, google_error(500, "INTERNAL", "An internal error has occurred.")), "server-error"),
    ],
)  # fmt: skip
def test_passing_failures_are_tried_again(kind: str, wrong: Behaviour, outcome: str) -> None:
    with Endpoint(behaviour=SPEAKS[kind]) as server:
        server.script(wrong)
        reply = ask(kind, server, **({"logprobs": "false"} if kind == "gemini" else {}))  # else they are suspected
        assert len(server.requests) == 2
    assert answered(reply).text.startswith("<yes>")
    assert [one.outcome for one in reply.attempts] == [outcome, "ok"]


@pytest.mark.parametrize(
    ("kind", "wrong", "fatal"),
    [
        ("anthropic", failing(401, anthropic_error("authentication_error", "invalid x-api-key")), "key"),
        ("anthropic", failing(404, anthropic_error("not_found_error", "model: model-x")), "not-found"),
        (
            "anthropic",
            failing(400, anthropic_error("invalid_request_error", "Your credit balance is too low to access the API.")),
            "payment",
        ),
        ("gemini", failing(400, google_error(400, "INVALID_ARGUMENT", "API key not valid. Pass a valid one.")), "key"),
        (
            "gemini",
            failing(404, google_error(404, "NOT_FOUND", "models/model-x is not found for API version v1beta.")),
            "not-found",
        ),
        (
            "gemini",
            failing(429, google_error(429, "RESOURCE_EXHAUSTED", "Quota: GenerateRequestsPerDayPerProjectPerModel")),
            "limit",
        ),
    ],
)
def test_what_no_question_survives_stops_the_run(kind: str, wrong: Behaviour, fatal: str) -> None:
    with Endpoint(behaviour=wrong) as server, pytest.raises(FatalObserverError) as caught:
        ask(kind, server)
    assert caught.value.kind == fatal
    assert all(key not in str(caught.value) for key in KEYS.values())


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("anthropic", {"seed": "3"}, "seed"),
        ("anthropic", {"extra": '{"messages": []}'}, "extra sets messages"),
        ("anthropic", {"temperature": "1.5"}, "temperature cannot be '1.5'. Give a number from 0 to 1"),
        ("anthropic", {"base_url": "https://user:pass@host/v1"}, "Observer 'anthropic': base_url holds credentials"),
        ("gemini", {"extra": '{"generationConfig": {"seed": 1}}'}, "generationConfig of extra sets seed"),
        ("gemini", {"extra": '{"generationConfig": 3}'}, "is no table"),
        ("gemini", {"extra": '{"contents": []}'}, "extra sets contents"),
        (
            "anthropic",
            {"base_url": ["http://a/v1", "http://b/v1"]},
            "anthropic: takes one endpoint, and base_url names 2",
        ),
        ("gemini", {"base_url": "http://a/v1,http://b/v1"}, "2; several are for openai:."),
        ("gemini", {"detail": "huge"}, "detail cannot be 'huge'. Give one of \"\", high, low, medium."),
        ("gemini", {"headers": '{"x-api-key": "AIzaSecretSecretSecretSecret0123456789"}'}, "looks like a secret"),
    ],
)
def test_settings_that_do_not_fit_are_refused(kind: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(InputError) as caught:
        make(f"{kind}:model-x", options)
    assert told in str(caught.value)
    with pytest.raises(InputError, match=f"Name one as the endpoint does: {kind}:MODEL"):
        make(kind, {})


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_fingerprints_say_whose_form_it_is(kind: str) -> None:
    about = dict(make(f"{kind}:model-x", {}).fingerprint())
    assert (about["kind"], about["model"]) == (kind, "model-x")
    assert ("seed" in about) is (kind == "gemini")
    assert about["host"] in ("api.anthropic.com", "generativelanguage.googleapis.com")


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_a_whole_run_is_measured_and_the_key_is_nowhere(kind: str, tmp_path: Path, photos: Path) -> None:
    with Endpoint(behaviour=SPEAKS[kind]) as server:
        server.script(failing(429, {"error": {"message": f"slow down, {KEYS['GEMINI_API_KEY']}"}}))
        done = limen(
            "measure", "--images", photos, "--limit", "2", "--distortion", "noise", "--observer", f"{kind}:model-x",
            "--base-url", base(kind, server), "-O", "backoff_s=0.01", "--no-exam", "--out", tmp_path / "run",
            "--price", "in=1,out=1",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        asked = len(server.requests)
    with Store.open(tmp_path / "run") as store:
        trials = [trial for trial in store.trials() if trial.answer is not None]
        assert store.attempts()[f"{kind}:model-x", "ok"] == asked - 1
        assert {trial.answer.tokens_in for trial in trials if trial.answer} == {700}
    assert "cost: " in done.stderr
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    for key in KEYS.values():
        assert all(key.encode() not in data for data in [*written, done.stdout.encode(), done.stderr.encode()])
