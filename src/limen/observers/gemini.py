"""Gemini by Google's own requests (`:generateContent`), where the compatible form drops what a measurement needs.

Google calls the compatible form beta and advises its own to whoever does not use OpenAI's libraries already
(ai.google.dev/gemini-api/docs/openai, read in November 2026); settings of thought and of media go through `extra_body`
there, and a prompt that was blocked has no place in it. Here log probabilities are asked for (`responseLogprobs`),
thought counts as tokens out (`thoughtsTokenCount`), blocked prompts and answers are the filtered answers they are, and
pictures may be given more tokens (`detail`: mediaResolution). Retries, waiting, secrets and spending are those of
`openai:`; a reply is put into the shape of a chat completion and read as one.

Format: ai.google.dev/api/generate-content; errors: google.rpc.Status (RESOURCE_EXHAUSTED with RetryInfo).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec
import orjson

from limen.errors import InputError
from limen.observer import observer
from limen.observers.openai import OpenAI, completion, lenient
from limen.observers.openai.options import Count, OpenAIOptions, Rate, Seconds, Seed, Temperature, Tokens, Wait, Word
from limen.observers.openai.remedies import Remedies, of_setting

_CONFIG = "generationConfig"
_OURS = frozenset(
    {"maxOutputTokens", "temperature", "seed", "responseLogprobs", "logprobs", "mediaResolution", "candidateCount"}
)


class GeminiOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of the `gemini` observer.

    Attributes:
        base_url: the one endpoint up to and with its version, without user and password.
        api_key_env: the environment variable that holds the key, the only place it is read from.
        headers: further headers, as a table or as JSON; "env:NAME" takes the value from the environment.
        concurrency: requests in flight at most, and series advanced side by side.
        adapt: what makes the requests in flight fewer: "refusals" (429, overload), "latency" (and answers that take
            twice as long as they did), or "nothing".
        rpm: requests in any minute at most, tries that fail included.
        tpm: tokens of questions and answers in any minute at most, reckoned beforehand, then corrected.
        max_tokens: length of an answer at most, thought included.
        temperature: of the decoding; "none" leaves it to the service.
        seed: of the decoding; a repeated draw adds its number.
        logprobs: ask for the 20 likeliest tokens at each position, for p(yes); a model that refuses is asked for 5,
            then for none.
        detail: how many tokens a picture takes: "low", "medium" or "high"; "" leaves it to the service.
        encoding: how pictures travel: "png", lossless, or "jpeg:95" to accept losses by name.
        revision: of the model, where you know it: part of every key.
        label: stands for the host in every key; tells two observers of one model apart in a study.
        extra: further fields of the request body, part of every key, as a table or as JSON
            ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}).
        timeout_s: for one request from first to last byte.
        connect_timeout_s: for the connection alone.
        retries: attempts at one query in all.
        backoff_s: pause after the first failed attempt; doubles with each.
        longest_wait_s: longest pause between attempts.
        wait_for_server_s: how long a server that is away is waited for; if not given, 600 s for one that has been met,
            and not at all for one that never was.
    """

    base_url: str | tuple[str, ...] = "https://generativelanguage.googleapis.com/v1beta"
    api_key_env: str = "GEMINI_API_KEY"
    headers: dict[str, str] | str = {}
    concurrency: Count = 16
    adapt: Literal["refusals", "latency", "nothing"] = "refusals"
    rpm: Rate | None = None
    tpm: Rate | None = None
    max_tokens: Tokens = 256
    temperature: Temperature | Literal["none"] | None = 0.0
    seed: Seed | None = None
    logprobs: bool = True
    detail: Literal["", "low", "medium", "high"] = ""
    encoding: Word = "png"
    revision: Word = ""
    label: Word = ""
    extra: dict[str, Any] | str = {}
    timeout_s: Seconds = 180.0
    connect_timeout_s: Seconds = 15.0
    retries: Count = 6
    backoff_s: Seconds = 1.0
    longest_wait_s: Seconds = 60.0
    wait_for_server_s: Wait | None = None


@observer("gemini", GeminiOptions)
class Gemini(OpenAI):
    """Gemini by Google's own requests: gemini:MODEL."""

    kind: ClassVar[str] = "gemini"
    batch_format = "gemini"
    ours: ClassVar[frozenset[str]] = frozenset({"contents", "model"})
    carrier: ClassVar[str] = "x-goog-api-key"
    shape: ClassVar[tuple[str, str] | None] = ('{"inlineData":{"mimeType":"{mime}","data":"', '"}}')
    remedies: ClassVar[Remedies] = of_setting(
        '-O extra={"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}',
        filtered='Its safetySettings say what is withheld: -O extra={"safetySettings":[...]}.',
    )

    def __init__(self, model: str, options: GeminiOptions) -> None:
        super().__init__(model, OpenAIOptions(**msgspec.structs.asdict(options)))
        config = self._extra.get(_CONFIG, {})
        if not isinstance(config, dict) or (taken := sorted(_OURS & config.keys())):
            what = f"sets {', '.join(taken)}, which limen sets" if isinstance(config, dict) else "is no table"
            raise InputError(f"Observer 'gemini': {_CONFIG} of extra {what}. Use the observer's own options.")

    def _ending(self, model: str) -> str:
        return f"/{model if '/' in model else f'models/{model}'}:generateContent"

    def _said(self, text: str) -> dict[str, str]:
        return {"text": text}

    def _body(self, draw: int, candidates: int, parts: Sequence[bytes]) -> tuple[bytes, ...]:
        options = self._options
        config: dict[str, Any] = {**self._extra.get(_CONFIG, {}), "maxOutputTokens": options.max_tokens}
        if self._temperature is not None:
            config["temperature"] = self._temperature
        if options.seed is not None:
            config["seed"] = options.seed + draw
        if candidates:
            config |= {"responseLogprobs": True, "logprobs": candidates}
        if options.detail:
            config["mediaResolution"] = f"MEDIA_RESOLUTION_{options.detail.upper()}"
        opening = orjson.dumps({**self._extra, _CONFIG: config})
        return (opening[:-1] + b',"contents":[{"role":"user","parts":[', *parts, b"]}]}")

    def _read(self, data: bytes, letters: bool) -> completion.Completion | completion.NoAnswer:
        return completion.read(chat_of(data), letters, self.remedies)


def chat_of(data: bytes) -> bytes:
    """Return a response as the chat completion that says the same; what is no response stays as it is.

    Parts keep their names: the reader of chat completions knows thought by them (`"thought": true`). A prompt that was
    blocked is an answer that a filter ended.
    """
    try:
        body = lenient.parse(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(body, dict) or not body.keys() & {"candidates", "promptFeedback"}:
        return data
    candidates, feedback = body.get("candidates"), body.get("promptFeedback")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    choices = []
    if isinstance(first, dict):
        content = first.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        message = {"content": parts if isinstance(parts, list) else None}
        told = first.get("finishReason") or "unfinished"
        choices = [{"message": message, "finish_reason": told, "logprobs": _logprobs(first.get("logprobsResult"))}]
    elif isinstance(feedback, dict) and feedback.get("blockReason"):
        choices = [{"message": {"content": ""}, "finish_reason": "content_filter"}]
    usage = body.get("usageMetadata")
    return orjson.dumps({"model": body.get("modelVersion"), "choices": choices, "usage": _usage(usage)})


def _usage(usage: Any) -> dict[str, Any]:
    """Return tokens in and out, thought counted among the latter."""
    if not isinstance(usage, dict):
        return {}
    out = [usage.get(name) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    known = [one for one in out if type(one) is int]
    return {"prompt_tokens": usage.get("promptTokenCount"), "completion_tokens": sum(known) if known else None}


def _logprobs(found: Any) -> dict[str, Any] | None:
    """Return log probabilities as chat completions have them: the chosen token of each position with its rivals."""
    if not isinstance(found, dict):
        return None
    chosen, rivals = found.get("chosenCandidates"), found.get("topCandidates")
    if not isinstance(chosen, list) or not isinstance(rivals, list):
        return None
    content = []
    for one, others in zip(chosen, rivals, strict=False):
        candidates = others.get("candidates") if isinstance(others, dict) else None
        top = [_token(other) for other in candidates] if isinstance(candidates, list) else []
        content.append({**_token(one), "top_logprobs": top})
    return {"content": content}


def _token(found: Any) -> Mapping[str, Any]:
    given = found if isinstance(found, dict) else {}
    return {"token": str(given.get("token", "")), "logprob": given.get("logProbability")}
