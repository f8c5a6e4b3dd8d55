"""Endpoints that speak Anthropic's Messages and Google's generateContent, as strictly as their documentation says.

    with Endpoint(behaviour=messages(threshold=8.0)) as server: ...

They answer as `tests.support.endpoint.compare` does: yes where two pictures differ by more than `threshold`.
"""

import base64
import io
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiohttp import web
from PIL import Image

from tests.support.endpoint import Behaviour, Endpoint, Pixels, Request, body, reply

ANTHROPIC, GEMINI = "Anthropic", "Gemini"
_OF_MESSAGES = {"model", "max_tokens", "temperature", "messages", "thinking", "output_config", "metadata"}
_OF_CONFIG = {
    "maxOutputTokens", "temperature", "seed", "responseLogprobs", "logprobs", "mediaResolution", "thinkingConfig",
}  # fmt: skip


def messages(threshold: float = 8.0) -> Behaviour:
    """Answer `POST /v1/messages`."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if seen.path != "/v1/messages" or "x-api-key" not in seen.headers or "anthropic-version" not in seen.headers:
            return reply(anthropic_error("authentication_error", "x-api-key header is required"), 401)
        return reply(message_of(seen.payload, threshold))

    return behave


def message_of(payload: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """Return the message that answers a request, after a look at its shape."""
    assert payload.keys() <= _OF_MESSAGES, payload.keys()
    assert type(payload["max_tokens"]) is int
    (only,) = payload["messages"]
    assert only["role"] == "user"
    shown, texts = [], []
    for part in only["content"]:
        if part["type"] == "text":
            texts.append(part["text"])
        else:
            assert part.keys() == {"type", "source"}
            assert part["type"] == "image"
            source = part["source"]
            assert source.keys() == {"type", "media_type", "data"}
            shown.append(picture(source["data"], source["media_type"]))
    text, _ = said(shown, "\n".join(texts), threshold)
    return message(text, model=payload["model"])


def message(text: str, stop: str = "end_turn", model: str = "claude-x", **more: Any) -> dict[str, Any]:
    """Return a message with one text; `more` are fields that replace or add to its own."""
    usage = {"input_tokens": 650, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10, "output_tokens": 9}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": text}], "stop_reason": stop, "stop_sequence": None, "usage": usage, **more,
    }  # fmt: skip


def anthropic_error(kind: str, text: str) -> dict[str, Any]:
    """Return the body of an error of Anthropic's."""
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_1"}


def contents(threshold: float = 8.0, logprobs: bool = True) -> Behaviour:
    """Answer `POST /v1beta/models/MODEL:generateContent`; without `logprobs` refuse whoever asks for them."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        if "x-goog-api-key" not in seen.headers:
            return reply(google_error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."), 403)
        found = re.fullmatch(r"/v1beta/models/([\w.-]+):generateContent", seen.path)
        assert found, seen.path
        if not logprobs and seen.payload["generationConfig"].get("responseLogprobs"):
            return reply(google_error(400, "INVALID_ARGUMENT", "Logprobs is not enabled for models/gemini-x"), 400)
        return reply(response_of(seen.payload, threshold, found[1]))

    return behave


def response_of(payload: Mapping[str, Any], threshold: float, model: str = "gemini-x") -> dict[str, Any]:
    """Return the response to a request, after a look at its shape."""
    assert payload.keys() <= {"contents", "generationConfig", "safetySettings"}
    config = payload["generationConfig"]
    assert config.keys() <= _OF_CONFIG, config.keys()
    (only,) = payload["contents"]
    assert only["role"] == "user"
    shown, texts = [], []
    for part in only["parts"]:
        (name,) = part
        if name == "text":
            texts.append(part["text"])
        else:
            assert part["inlineData"].keys() == {"mimeType", "data"}
            shown.append(picture(part["inlineData"]["data"], part["inlineData"]["mimeType"]))
    text, p_yes = said(shown, "\n".join(texts), threshold)
    found = response(text, model=model)
    if config.get("responseLogprobs"):
        flag, rivals = re.split("[<>]", text)[1], {"yes": p_yes, "no": 1 - p_yes}
        tops = [{"<": 1.0}, {name: 0.98 * p for name, p in rivals.items()}]
        found["candidates"][0]["logprobsResult"] = {
            "chosenCandidates": [token("<", 1.0), token(flag, 0.98 * rivals[flag])],
            "topCandidates": [{"candidates": [token(*one) for one in top.items()]} for top in tops],
        }
    return found


def token(text: str, probability: float) -> dict[str, Any]:
    return {"token": text, "tokenId": len(text), "logProbability": math.log(max(probability, 1e-30))}


def response(text: str, finish: str = "STOP", model: str = "gemini-x", **more: Any) -> dict[str, Any]:
    """Return a response with one candidate; `more` are fields that replace or add to its own."""
    usage = {"promptTokenCount": 700, "candidatesTokenCount": 5, "thoughtsTokenCount": 4, "totalTokenCount": 709}
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": finish, "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1", **more}


def google_error(code: int, status: str, text: str, wait: str = "") -> dict[str, Any]:
    """Return the body of an error of Google's, with a time to wait where one is given."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait}
    return {"error": {"code": code, "message": text, "status": status, "details": [info] if wait else []}}


def failing(code: int, value: object, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Fail with a status and a body."""
    return body(value, code, headers)


def picture(data: str, mime: str) -> Pixels:
    """Return the pixels of a picture, whose bytes are of the type that is said."""
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert image.format == {"image/png": "PNG", "image/jpeg": "JPEG"}[mime]
    return np.array(image)


def said(shown: list[Pixels], text: str, threshold: float) -> tuple[str, float]:
    """Return what is said of two pictures, and the probability of a yes."""
    first, second = (one.astype(np.float64) for one in shown)
    rms = float(np.sqrt(np.mean((first - second) ** 2)))
    p_yes = 1 / (1 + math.exp(-max(-30.0, min(30.0, rms - threshold))))
    if rms > threshold:
        return "<yes> One image is visibly changed.", p_yes
    return "<no> Both images look the same.", p_yes
