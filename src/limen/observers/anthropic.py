"""Claude by Anthropic's own requests (`/v1/messages`), where the compatible form drops what a measurement needs.

Of the compatible form Anthropic says (platform.claude.com/docs/en/api/openai-sdk, read in November 2026) that it is for
trying models out; that it ignores `logprobs`, `seed`, `response_format` and `reasoning_effort`; that thought does not
come back with an answer; and that details of usage are always empty. Here an answer whose text was all thought away is
told from an empty one, tokens of a cache count, and `thinking` and `output_config` go through `extra`. Retries, waits,
secrets and spending are those of `openai:`; a reply is put into the shape of a chat completion and read as one.

Format: platform.claude.com/docs/en/api/messages; errors: platform.claude.com/docs/en/api/errors (429 with retry-after,
529 overloaded_error); limits of time: the headers anthropic-ratelimit-*.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import orjson

from limen.errors import InputError
from limen.observer import observer
from limen.observers.openai import OpenAI, completion, lenient
from limen.observers.openai.options import Count, OpenAIOptions, Rate, Seconds, Tokens, Wait, Word
from limen.observers.openai.remedies import Remedies, of_setting

VERSION = "2023-06-01"  # of the interface, as its header names it
NO_THOUGHT = '-O extra={"thinking":{"type":"disabled"}}'
_NOT_TAKEN = ("seed", "logprobs", "detail")  # the interface has none of them
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class AnthropicOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of the `anthropic` observer.

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
        temperature: of the decoding, 0 to 1; "none" leaves it out, for models that take none.
        encoding: how pictures travel: "png", lossless, or "jpeg:95" to accept losses by name.
        revision: of the model, where you know it: part of every key.
        label: stands for the host in every key; tells two observers of one model apart in a study.
        extra: further fields of the request body, part of every key, as a table or as JSON
            ({"thinking": {"type": "disabled"}}).
        timeout_s: for one request from first to last byte.
        connect_timeout_s: for the connection alone.
        retries: attempts at one query in all.
        backoff_s: pause after the first failed attempt; doubles with each.
        longest_wait_s: longest pause between attempts.
        wait_for_server_s: how long a server that is away is waited for; if not given, 600 s for one that has been met,
            and not at all for one that never was.
    """

    base_url: str | tuple[str, ...] = "https://api.anthropic.com/v1"
    api_key_env: str = "ANTHROPIC_API_KEY"
    headers: dict[str, str] | str = {}
    concurrency: Count = 16
    adapt: Literal["refusals", "latency", "nothing"] = "refusals"
    rpm: Rate | None = None
    tpm: Rate | None = None
    max_tokens: Tokens = 256
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | Literal["none"] | None = 0.0
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


@observer("anthropic", AnthropicOptions)
class Anthropic(OpenAI):
    """Claude by Anthropic's own requests: anthropic:MODEL."""

    kind: ClassVar[str] = "anthropic"
    batch_format = "anthropic"
    ours: ClassVar[frozenset[str]] = frozenset({"model", "max_tokens", "temperature", "messages", "stream"})
    carrier: ClassVar[str] = "x-api-key"
    shape: ClassVar[tuple[str, str] | None] = (
        '{"type":"image","source":{"type":"base64","media_type":"{mime}","data":"', '"}}'
    )  # fmt: skip
    remedies: ClassVar[Remedies] = of_setting(NO_THOUGHT)

    def __init__(self, model: str, options: AnthropicOptions) -> None:
        super().__init__(model, OpenAIOptions(**msgspec.structs.asdict(options), logprobs=False))
        self._sent = {"anthropic-version": VERSION, **self._shown}
        thinking = self._extra.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
        if type(budget) is int and budget >= options.max_tokens:
            raise InputError(
                f"Observer 'anthropic': thinking.budget_tokens {budget} of extra leaves no room for an answer: "
                f"max_tokens is {options.max_tokens}, thought included. Set -O max_tokens=N to more than {budget}, or "
                f"{NO_THOUGHT}."
            )

    def fingerprint(self) -> Mapping[str, Any]:
        """Return model, host, decoding parameters and encoding; nothing of keys, of timing or of load."""
        return {name: value for name, value in super().fingerprint().items() if name not in _NOT_TAKEN}

    def _ending(self, model: str) -> str:
        return "/messages"

    def _read(self, data: bytes, letters: bool) -> completion.Completion | completion.NoAnswer:
        return completion.read(chat_of(data), letters, self.remedies)


def chat_of(data: bytes) -> bytes:
    """Return a message as the chat completion that says the same; what is no message stays as it is.

    Parts that are no text (thinking, redacted_thinking, tool_use) keep their names: the reader of chat completions
    knows thought by them. The reasons why a message ended are among those it knows.
    """
    try:
        body = lenient.parse(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        return data
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    read = [counts.get(name) for name in _INPUT]
    tokens = sum(one for one in read if type(one) is int) if type(read[0]) is int else None
    choice = {"message": {"content": body["content"]}, "finish_reason": body.get("stop_reason") or "unfinished"}
    return orjson.dumps(
        {
            "model": body.get("model"),
            "choices": [choice],
            "usage": {"prompt_tokens": tokens, "completion_tokens": counts.get("output_tokens")},
        }
    )
