"""Any model that Inspect (UK AI Security Institute, inspect_ai) has a provider for, as an observer.

Requests, retries, limits of connections and keys are Inspect's; questions, readings, thresholds and the store are
limen's. `limen.inspect` is the way round: limen's tasks and observers inside Inspect.
"""

import asyncio
import base64
import math
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from limen.errors import FatalObserverError, InputError, MissingExtraError, UnknownNameError
from limen.image import Picture, png
from limen.observer import Answer, Attempt, Concurrency, Observer, Query, Reply, observer
from limen.observers.openai.options import Count, Seconds, Temperature, Tokens, Word, table
from limen.observers.openai.secret import Key, secret_place
from limen.parsing import token_probability
from limen.parsing.token_probability import offers_letters

if TYPE_CHECKING:
    from inspect_ai.model import Content, Model, ModelOutput

Detail = Literal["auto", "low", "high", "original"]
TEMPERATURE, MAX_TOKENS = 0.0, 256  # where nobody says otherwise
CANDIDATES = 20  # likeliest tokens that p(yes) is read from
_FINISH = {"stop": "stop", "max_tokens": "length", "model_length": "length", "content_filter": "content_filter"}
_DEEPEST = 8  # causes of an exception that are looked at
_POSITIONS = 8  # of an answer, searched for the flag
_KINDS = {
    400: "rejected", 408: "timeout", 413: "rejected", 422: "rejected", 429: "rate-limited", 529: "overloaded",
}  # fmt: skip
_FATAL = {401: "key", 403: "key", 404: "unknown-model"}
# Of Inspect's settings, those that decide no answer: they are in no key.
_OPERATIONAL = frozenset(
    {
        "max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections",
        "cache", "batch", "on_stream", "logprobs", "top_logprobs", "fail_on_refusal",
    }
)  # fmt: skip


class InspectOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of the `inspect` observer.

    Attributes:
        temperature: of the decoding; "none" leaves it to the provider, for models that take no temperature.
        max_tokens: length of an answer at most; longer ones come back cut off, with finish "length".
        seed: of the decoding, where the provider honours one; a repeated draw adds its number.
        logprobs: ask for the likeliest tokens at each position, for p(yes), where the provider gives them.
        config: further fields of Inspect's GenerateConfig, part of every key, as a table or as JSON
            ({"reasoning_effort": "low"}).
        model_args: arguments of the provider (Inspect's -M), part of every key, as a table or as JSON.
        base_url: of the provider's endpoint, without user and password; "" for its own.
        detail: resolution setting of services that have one.
        revision: of the model, where you know it: part of every key.
        label: tells two observers of one model apart in a study; part of every key.
        concurrency: requests in flight at most, and series advanced side by side.
        retries: how often Inspect repeats a request that failed in passing.
        timeout_s: for one question, repeats included.
    """

    temperature: Temperature | Literal["none"] = TEMPERATURE
    max_tokens: Tokens = MAX_TOKENS
    seed: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)] | None = None
    logprobs: bool = False
    config: dict[str, Any] | str = {}
    model_args: dict[str, Any] | str = {}
    base_url: Word = ""
    detail: Detail = "auto"
    revision: Word = ""
    label: Word = ""
    concurrency: Concurrency = 10
    retries: Count = 5
    timeout_s: Seconds = 600.0


def expect_inspect(purpose: str) -> None:
    """Raise `MissingExtraError` unless Inspect is installed."""
    try:
        import inspect_ai  # noqa: F401
    except ImportError:
        raise MissingExtraError(purpose, "inspect_ai", "inspect") from None


def name_of(model: str) -> str:
    """Return what limen calls a model of Inspect's ("openai/gpt-4o")."""
    return f"inspect:{model}"


def fingerprint_of(
    model: str, config: Mapping[str, Any], arguments: Mapping[str, Any], base_url: str = "", **more: str
) -> dict[str, Any]:
    """Return what decides the answers of a model of Inspect's; equal in a task of limen's and in the observer.

    Args:
        model: with its provider ("openai/gpt-4o").
        config: the fields of its GenerateConfig that are set.
        arguments: of the provider.
        base_url: of the endpoint, "" for the provider's own.
        more: further settings; those that are "" are left out.
    """
    decoding = {name: value for name, value in sorted(config.items()) if name not in _OPERATIONAL and value is not None}
    settings = {"model_args": dict(sorted(arguments.items())), "base_url": base_url, **more}
    further = {name: value for name, value in settings.items() if value}
    return {"kind": "inspect", "model": model} | decoding | further


def is_sampled(config: Mapping[str, Any]) -> bool:
    """Say whether answers to one question may differ, by the temperature (not given: the provider's own, above 0)."""
    return config.get("temperature") != 0


def content_of(query: Query, detail: Detail = "auto") -> "list[Content]":
    """Return a query's pictures (lossless PNG in a data URL) and texts, in order, as the content of one message.

    Args:
        query: what is shown and asked.
        detail: Inspect's resolution setting.
    """
    from inspect_ai.model import ContentImage, ContentText

    return [
        ContentText(text=part) if isinstance(part, str) else ContentImage(image=_url(part), detail=detail)
        for part in query.parts
    ]


def _url(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(picture.pixels)).decode()}"


def answer_of(output: "ModelOutput", letters: bool = False) -> Answer | Attempt:
    """Return what a model of Inspect's answered, or as an attempt why it is no answer.

    Args:
        output: of Inspect.
        letters: whether the question offers A and B for yes and no (`offers_letters`).
    """
    if output.error:
        return Attempt("failed", Key().scrub(output.error))
    if not output.choices:
        return Attempt("empty", "The provider gave no choice.")
    choice = output.choices[0]
    text, reason = choice.message.text, str(choice.stop_reason)
    if reason == "tool_calls":
        return Attempt("broken-off", "The model called a tool, and none was offered.")
    finish = _FINISH.get(reason, "")
    if not text and finish == "length":
        return Attempt("cut-off", "No text came before the length limit. Give more max_tokens, or less reasoning.")
    if not text and not finish:
        return Attempt("empty", f"The reply holds no text (stop reason {reason!r}).")
    usage, p_yes, p_neither = output.usage, *_probabilities(output, letters)
    tokens_in = None
    if usage is not None:
        cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        tokens_in = usage.input_tokens + cached
    return Answer(
        text, p_yes, p_neither, finish, tokens_in, usage.output_tokens if usage is not None else None,
        output.time or 0.0, " ".join(output.model.split())[:200],
    )  # fmt: skip


def _probabilities(output: "ModelOutput", letters: bool) -> tuple[float | None, float | None]:
    """Return p(yes) and p(neither), from log probabilities, or from an observer of limen's behind Inspect."""
    own = (output.metadata or {}).get("limen", {})
    if own.get("p_yes") is not None:
        return own["p_yes"], own.get("p_neither")
    logprobs = output.choices[0].logprobs
    positions = logprobs.content[:_POSITIONS] if logprobs is not None else []
    place = token_probability.flag_position((one.token for one in positions), output.choices[0].message.text)
    if place is None or len(positions[place].top_logprobs or ()) < 2:
        return None, None
    told = {one.token: one.logprob for one in (positions[place], *(positions[place].top_logprobs or ()))}
    if token_probability.flag_mass([(positions[place].token, 1.0)], letters=letters) is None:
        return None, None
    candidates = ((token, math.exp(min(0.0, mark))) for token, mark in told.items())
    return token_probability.flag_mass(candidates, letters=letters) or (None, None)


def retried(events: Iterable[Any]) -> tuple[Attempt, ...]:
    """Return an attempt for each request that Inspect repeated, of the model events among these."""
    count = sum(getattr(event, "retries", None) or 0 for event in events)
    return tuple(Attempt("retried", "Inspect repeated a request that failed in passing.") for _ in range(count))


@observer("inspect", InspectOptions)
class InspectObserver(Observer):
    """Any model that Inspect has a provider for (`inspect:openai/gpt-4o`); extra `inspect`."""

    def __init__(self, model: str, options: InspectOptions) -> None:
        expect_inspect("the observer inspect")
        if "/" not in model:
            raise InputError(
                f"Observer 'inspect' needs a provider and a model, not {model!r}: inspect:openai/gpt-4o, "
                "inspect:anthropic/MODEL, inspect:mockllm/model."
            )
        self.name, self.label, self.max_tokens = name_of(model), options.label, options.max_tokens
        self.concurrency, self._model, self._options = options.concurrency, model, options
        self._arguments = table("inspect", "model_args", options.model_args)
        temperature = None if options.temperature == "none" else options.temperature
        config = {"temperature": temperature, "max_tokens": options.max_tokens, "seed": options.seed}
        further = table("inspect", "config", options.config)
        if taken := sorted(further.keys() & (config.keys() | _OPERATIONAL)):
            raise InputError(f"Observer 'inspect': config sets {', '.join(taken)}, which are options of their own.")
        self._config = _checked({**config, **further})
        self.sampled = is_sampled(self._config)
        plain = {"revision": options.revision, "label": options.label, "base_url": options.base_url}
        if place := secret_place("setting", [plain, self._config, self._arguments]):
            raise InputError(
                f"Observer 'inspect': what stands in {place!r} looks like a key, and settings are kept with the run. "
                "Put it into the environment variable that Inspect's provider reads (OPENAI_API_KEY, ...)."
            )
        self._held: Model | None = None

    @property
    def notice(self) -> str:
        """Where photographs go."""
        return f"{self.name}: photographs are sent to {self._options.base_url or 'the provider'} by Inspect."

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers: provider, model, decoding, arguments."""
        options = self._options
        detail = "" if options.detail == "auto" else options.detail
        more = {"detail": detail, "revision": options.revision, "label": options.label}
        return fingerprint_of(self._model, self._config, self._arguments, options.base_url, **more)

    def sent_bytes(self, picture: Picture) -> int:
        """Return how many bytes a picture takes in a data URL."""
        return len(_url(picture))

    async def __aenter__(self) -> "InspectObserver":
        from inspect_ai.model import GenerateConfig, get_model

        options = self._options
        config = GenerateConfig(
            **self._config, max_retries=options.retries, timeout=math.ceil(options.timeout_s),
            max_connections=options.concurrency,
            **({"logprobs": True, "top_logprobs": CANDIDATES} if options.logprobs else {}),
        )  # fmt: skip
        try:
            self._held = get_model(
                self._model, config=config, base_url=options.base_url or None, memoize=False, **self._arguments
            )
        except Exception as error:
            raise FatalObserverError("provider", f"Inspect cannot make {self._model}: {_told(error)}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            await held.__aexit__(kind, error, trace)

    async def answer(self, query: Query) -> Reply:
        """Answer one query; Inspect repeats what failed in passing."""
        if self._held is None:
            raise InputError(f"{self.name} is closed. Ask inside 'async with observer:'.")
        began = time.perf_counter()
        # In a task of its own, so that what Inspect writes down of a request is let go with it.
        output, attempts = await asyncio.create_task(self._generate(self._held, query))
        seconds = time.perf_counter() - began
        if isinstance(output, Attempt):
            return Reply(None, (*attempts, replace(output, seconds=seconds)))
        found = answer_of(output, offers_letters(query.text))
        if isinstance(found, Attempt):
            return Reply(None, (*attempts, replace(found, seconds=seconds)))
        return Reply(replace(found, seconds=seconds), (*attempts, Attempt("ok", "", seconds)))

    async def _generate(self, model: "Model", query: Query) -> "tuple[ModelOutput | Attempt, Sequence[Attempt]]":
        from inspect_ai.log import transcript
        from inspect_ai.model import ChatMessageUser, GenerateConfig

        seed = self._config.get("seed")
        config = GenerateConfig(seed=seed + query.draw) if seed is not None else GenerateConfig()
        message = ChatMessageUser(content=content_of(query, self._options.detail))
        try:
            output = await model.generate([message], config=config)
        except Exception as error:  # noqa: BLE001 - a provider's own library raises what it likes
            return failure_of(error, self._model), retried(transcript().events)
        return output, retried(transcript().events)


def failure_of(error: BaseException, model: str) -> Attempt:
    """Return a provider's exception as an attempt.

    Args:
        error: as it came.
        model: that was asked.

    Raises:
        FatalObserverError: no other question would be answered either.
    """
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and len(causes) < _DEEPEST:
        causes.append(cause)
    status = next((found for one in causes if isinstance(found := getattr(one, "status_code", None), int)), 0)
    told = f"{model}: {_told(causes[-1])}"
    if status in _FATAL:
        raise FatalObserverError(_FATAL[status], f"{told} Set the key, or correct the model's name.") from error
    if type(error).__name__ == "PrerequisiteError":
        raise FatalObserverError("prerequisite", told) from error
    if any(_is_of_tokenizer(one) for one in causes):
        raise FatalObserverError(
            "tokenizer",
            f"{model}: Inspect counts its tokens with a tokenizer that tiktoken downloads once, and that failed. "
            "Connect to a network, or name in TIKTOKEN_CACHE_DIR a folder that holds it; limen/demo and "
            f"limen/simulated need none. ({_told(causes[-1])})",
        ) from error
    if any(isinstance(one, TimeoutError) for one in causes):
        return Attempt("timeout", told)
    return Attempt(_KINDS.get(status, "server-error" if status >= 500 else "failed"), told)


def _is_of_tokenizer(error: BaseException) -> bool:
    """Say whether an exception came out of tiktoken, which fetches its vocabularies when they are first used."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] == "tiktoken" for frame in frames)


def _told(error: BaseException) -> str:
    """Return an exception as one line without keys and pictures."""
    said = Key().scrub(str(getattr(error, "message", "") or error))
    return f"{said or type(error).__name__}{'' if said.endswith('.') else '.'}"


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a GenerateConfig that are set, held against Inspect's own types."""
    from inspect_ai.model import GenerateConfig
    from pydantic import ValidationError

    if unknown := sorted(fields.keys() - GenerateConfig.model_fields.keys()):
        raise UnknownNameError("field of Inspect's GenerateConfig", unknown[0], GenerateConfig.model_fields)
    try:
        made = GenerateConfig(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"Observer 'inspect': config.{first['loc'][0]} cannot be {first['input']!r:.80}: {first['msg']}."
        ) from None
    found: dict[str, Any] = made.model_dump(exclude_none=True)
    return found
