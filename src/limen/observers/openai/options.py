"""The settings of the `openai` observer, with their bounds, and no secret among them."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec
import orjson

from limen.errors import InputError
from limen.observers.openai.secret import secret_place

Count = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=604_800)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]  # draws are added to it, and servers take 64 bits
Temperature = Annotated[float, msgspec.Meta(ge=0, le=100)]
Word = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]

_LIMITS, _DECODING = {"max_tokens", "max_completion_tokens"}, {"temperature", "seed", "logprobs", "top_logprobs"}
OURS = frozenset({"model", "messages", "stream", "n"} | _LIMITS | _DECODING)
FROM = "env:"  # before the name of a variable that holds a header
_OUR_HEADERS = frozenset(
    {"content-type", "content-length", "transfer-encoding", "connection", "host", "accept-encoding"}
)


class OpenAIOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of the `openai` observer.

    Attributes:
        base_url: the endpoint up to and with its version, without user and password; a query may follow
            (?api-version=2024-10-21). Several are servers of one model: as a list, in a text with commas between, or as
            "@FILE" with one a line.
        api_key_env: the environment variable that holds the key, the only place it is read from; "" for a host
            that needs none. Without encryption (http://) an empty variable means no key.
        headers: further headers, as a table or as JSON ({"x-team": "vision"}). "env:NAME" takes the value from the
            environment: so secrets travel ({"api-key": "env:AZURE_KEY"}), and are neither kept nor shown.
        concurrency: requests in flight at most, at each endpoint, and series advanced side by side.
        adapt: what makes the requests in flight fewer: "refusals" (429, overload), "latency" (and answers that take
            twice as long as they did), or "nothing". Answers make them more again, up to concurrency.
        rpm: requests in any minute at most, at all endpoints together, tries that fail included.
        tpm: tokens of questions and answers in any minute at most, reckoned beforehand, then corrected.
        max_tokens: length of an answer at most; longer ones come back cut off, with finish "length".
        max_tokens_name: what the server calls that limit.
        temperature: of the decoding; "none" leaves it to the server, for models that take no temperature.
        seed: of the decoding, where the server honours one; a repeated draw adds its number.
        logprobs: ask for the 20 likeliest tokens at each position, for p(yes); a server that refuses, or fails because
            of them, is asked for 5, then for none; where one ignores it, answers have no p(yes).
        detail: resolution setting ("low", "high", "auto") of services that have one; "" sends none.
        encoding: how pictures travel: "png", lossless, or "jpeg:95" to accept losses by name.
        revision: of the model, where you know it: part of every key.
        label: stands for the host in every key: set it where the host's name changes and the model does not. Tells
            two observers of one model apart in a study.
        extra: further fields of the request body, part of every key, as a table or as JSON
            ({"reasoning_effort": "none"}).
        timeout_s: for one request from first to last byte.
        connect_timeout_s: for the connection alone.
        retries: attempts at one query in all.
        backoff_s: pause after the first failed attempt; doubles with each.
        longest_wait_s: longest pause between attempts. A server that asks to wait longer than this, and longer than a
            quarter of an hour, ends the run.
        wait_for_server_s: how long a server that is away is waited for; if not given, 600 s for one that has been met,
            and not at all for one that never was.
    """

    base_url: str | tuple[str, ...] = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"
    headers: dict[str, str] | str = {}
    concurrency: Count = 16
    adapt: Literal["refusals", "latency", "nothing"] = "refusals"
    rpm: Rate | None = None
    tpm: Rate | None = None
    max_tokens: Tokens = 256
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: Temperature | Literal["none"] | None = 0.0
    seed: Seed | None = None
    logprobs: bool = True
    detail: Word = ""
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


def further_fields(
    given: Mapping[str, Any] | str, ours: Collection[str] = OURS, kind: str = "openai"
) -> dict[str, Any]:
    """Return further fields of the request body, none of them limen's own.

    Args:
        given: a table, or a JSON object.
        ours: the fields that limen sets.
        kind: of the observer, for messages.
    """
    extra = table(kind, "extra", given)
    if taken := sorted(set(extra).intersection(ours)):
        raise InputError(f"Observer {kind!r}: extra sets {', '.join(taken)}, which limen sets. Use its own options.")
    return extra


def table(kind: str, name: str, given: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a table that may have been given as JSON on the command line.

    Args:
        kind: of the observer, for messages.
        name: of the option.
        given: a table, or a JSON object.

    Raises:
        InputError: a text that is no JSON object.
    """
    if not isinstance(given, str):
        return dict(given)
    try:
        found = orjson.loads(given)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):  # not shown: it may hold a key
        right = f"""'{name}={{"name": "value"}}'"""
        raise InputError(f"Observer {kind!r}: {name} is not a JSON object. Give it as -O {right}, or in a study file.")
    return found


def further_headers(given: Mapping[str, Any] | str, kind: str = "openai") -> dict[str, str]:
    """Return further headers by their names in lower case, without a secret among them.

    Args:
        given: a table, or a JSON object.
        kind: of the observer, for messages.
    """
    headers = {}
    for name, value in table(kind, "headers", given).items():
        low = name.strip().lower()
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", low) or not isinstance(value, str) or low in _OUR_HEADERS:
            raise InputError(
                f"Observer {kind!r}: headers takes names and texts of headers that limen leaves free, not {low[:40]!r}."
                ' Give {"x-team": "vision"}, or {"api-key": "env:NAME"} for what is secret.'
            )
        secret = value.startswith(FROM)
        if secret and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value.removeprefix(FROM)):
            raise InputError(f"Observer {kind!r}: header {low!r} names no environment variable. Give 'env:NAME'.")
        if not secret and (secret_place(low, value) or not re.fullmatch(r"[ -~]*", value)):
            raise InputError(
                f"Observer {kind!r}: header {low!r} looks like a secret, or holds what no header can carry. Headers "
                "are kept with the run: put a secret into an environment variable and give 'env:NAME' instead."
            )
        headers[low] = value.strip()
    return headers


def expect_no_secrets(model: str, options: OpenAIOptions, extra: Mapping[str, Any], kind: str = "openai") -> None:
    """Raise if a setting holds what looks like a key: settings are part of every key, and kept with the run.

    Args:
        model: name of the model.
        options: settings of the observer.
        extra: further fields of the request.
        kind: of the observer, for messages.
    """
    variable = options.api_key_env
    if variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", variable):
        raise InputError(
            f"Observer {kind!r}: api_key_env is not the name of an environment variable but perhaps a key itself."
        )
    plain = {"model": model, "revision": options.revision, "label": options.label, "detail": options.detail}
    if (
        place := secret_place("setting", plain)
        or secret_place("", {"api_key_env": [variable]})
        or secret_place("extra", extra)
    ):
        raise InputError(
            f"Observer {kind!r}: what stands in {place!r} looks like a key, and settings are kept with the run. Put it "
            'into an environment variable: the one of api_key_env, or a header, headers = {"x-name" = "env:NAME"}.'
        )
