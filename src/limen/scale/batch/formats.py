"""Batch files as services want them, and what they send back, line by line.

Limits and shapes are those of the services' documentation in 2026:

- OpenAI (platform.openai.com/docs/guides/batch): JSON lines of custom_id, method, url and body; 50,000 lines and 200 MB
  a file, one model. Many others take the same (vLLM's run-batch, Azure, Groq, Together).
- Mistral (docs.mistral.ai/studio-api/batch-processing): custom_id and body; 100,000 lines and 512 MB a file
  (docs.mistral.ai/resources/known-limitations; the page on batches itself speaks of a million).
- Anthropic (platform.claude.com/docs/en/build-with-claude/batch-processing): one JSON object with a list of custom_id
  (64 characters of A-Z, a-z, 0-9, _ and -) and params; 100,000 requests and 256 MB.
- Gemini (ai.google.dev/gemini-api/docs/batch-api): JSON lines of key and request; 2 GB a file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from limen.errors import UnknownNameError

MEGABYTE = 1_000_000
SHOWN = 200  # characters of what a service says of a line


@dataclass(frozen=True, slots=True)
class LineResult:
    """What a service says of one line.

    Attributes:
        custom_id: of the line.
        status: of its response, as HTTP has it; 0 where there was none.
        body: of its response, JSON.
        kind: why there is none ("expired", "cancelled", ...).
        detail: the same in the service's words.
        takes: what is answered, as `Format.takes` has it.
    """

    custom_id: str
    status: int = 0
    body: bytes = b""
    kind: str = ""
    detail: str = ""
    takes: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """How a service wants its files.

    Attributes:
        name: of the format.
        takes: what the bodies are; formats with the same can stand in for one another.
        most_lines, most_bytes: of one file.
        suffix: of a file's name.
        opening, between, closing: what stands before, between and after the lines.
        line: makes one of a custom_id and a body.
        result: reads one of an answer; None where it is none.
        sending: commands that send a file, with FILE, MODEL and what a service answers in capitals.
    """

    name: str
    takes: str
    most_lines: int
    most_bytes: int
    suffix: str
    opening: bytes
    between: bytes
    closing: bytes
    line: Callable[[str, bytes], bytes]
    result: Callable[[Mapping[str, Any]], LineResult | None]
    sending: tuple[str, ...]


def find(name: str) -> Format:
    """Return the format of a name, or raise `UnknownNameError`."""
    if name not in FORMATS:
        raise UnknownNameError("format of batch files", name, FORMATS)
    return FORMATS[name]


def result(line: Mapping[str, Any]) -> LineResult | None:
    """Return what a line of a service's answer says, whichever service it is; None where it is no such line."""
    for takes, read in (("messages", _of_anthropic), ("contents", _of_gemini), ("chat completions", _of_openai)):
        if (found := read(line)) is not None:
            return replace(found, takes=takes)
    return None


def complaint(data: bytes) -> str:
    """Return what a service says that sent an error in place of a file; "" where it is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, dict) or "custom_id" in value or "key" in value:
        return ""
    said = value.get("error") or (value.get("message") if isinstance(value.get("message"), str) else None)
    return _said(said) if said else ""


def is_question(line: Mapping[str, Any]) -> bool:
    """Say whether a line is one that was written to be sent, not an answer."""
    return not line.keys() & {"response", "error", "result"} and bool(line.keys() & {"body", "request", "requests"})


# --- OpenAI and its kin ---

_PASSED = {"batch_expired": "expired", "batch_cancelled": "cancelled"}


def _openai_line(custom_id: str, body: bytes) -> bytes:
    head = f'{{"custom_id":"{custom_id}","method":"POST","url":"/v1/chat/completions","body":'
    return head.encode() + body + b"}"


def _mistral_line(custom_id: str, body: bytes) -> bytes:
    return f'{{"custom_id":"{custom_id}","body":'.encode() + body + b"}"


def _of_openai(line: Mapping[str, Any]) -> LineResult | None:
    custom_id = line.get("custom_id")
    if not isinstance(custom_id, str) or not line.keys() & {"response", "error"}:
        return None
    response, error = line.get("response"), line.get("error")
    if isinstance(response, dict) and "body" in response and response.get("status_code") is not None:
        return LineResult(custom_id, _status(response["status_code"]), _json(response["body"]))
    if isinstance(response, dict) and response.get("choices"):  # services that leave the envelope out
        return LineResult(custom_id, 200, _json(response))
    if error:
        code = str(error.get("code", "")) if isinstance(error, dict) else ""
        return LineResult(custom_id, kind=_PASSED.get(code, "failed"), detail=_said(error))
    return LineResult(custom_id, kind="malformed", detail="The line holds neither a response nor an error.")


# --- Anthropic ---

_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500,
    "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
_ENDED = {"expired": "expired", "canceled": "cancelled"}


def _anthropic_line(custom_id: str, body: bytes) -> bytes:
    return f'{{"custom_id":"{custom_id}","params":'.encode() + body + b"}"


def _of_anthropic(line: Mapping[str, Any]) -> LineResult | None:
    custom_id, found = line.get("custom_id"), line.get("result")
    if not isinstance(custom_id, str) or not isinstance(found, dict):
        return None
    kind = str(found.get("type", ""))
    if kind == "succeeded":
        return LineResult(custom_id, 200, _json(found.get("message")))
    if kind in _ENDED:
        return LineResult(custom_id, kind=_ENDED[kind], detail=f"The service says: {kind}.")
    error = found.get("error")
    inner = error.get("error", error) if isinstance(error, dict) else {}
    word = inner.get("type", "") if isinstance(inner, dict) else ""
    return LineResult(custom_id, _STATUS.get(str(word), 500), _json(error))


# --- Gemini ---


def _gemini_line(custom_id: str, body: bytes) -> bytes:
    return f'{{"key":"{custom_id}","request":'.encode() + body + b"}"


def _of_gemini(line: Mapping[str, Any]) -> LineResult | None:
    key, response, error = line.get("key"), line.get("response"), line.get("error") or line.get("status")
    if not isinstance(key, str) or "custom_id" in line or not line.keys() & {"response", "error", "status"}:
        return None
    if isinstance(response, dict):
        return LineResult(key, 200, _json(response))
    code = error.get("code") if isinstance(error, dict) else None
    return LineResult(key, _GRPC.get(code, _status(code)) if code is not None else 500, _json({"error": error}))


# Codes of google.rpc.Status, as the same failure has them over HTTP (google/rpc/code.proto).
_GRPC: dict[Any, int] = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 13: 500, 14: 503, 16: 401,
}  # fmt: skip


# --- values ---


def _json(value: Any) -> bytes:
    return value.encode(errors="replace") if isinstance(value, str) else orjson.dumps(value)


def _status(given: Any) -> int:
    """Return an HTTP status; 500 for what is none."""
    number = int(given) if isinstance(given, str) and given.isdecimal() else given
    return number if type(number) is int and 100 <= number < 600 else 500


def _said(error: Any) -> str:
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or "no reason given"
    text = " ".join(str(error).split())[:SHOWN]
    return text if text.endswith(".") else f"{text}."


def _curl(key: str, url: str, more: str) -> str:
    return f'curl {url} -H "{key}" {more}'


_OPENAI, _MISTRAL = "Authorization: Bearer $OPENAI_API_KEY", "Authorization: Bearer $MISTRAL_API_KEY"
_ANTHROPIC = 'x-api-key: $ANTHROPIC_API_KEY" -H "anthropic-version: 2023-06-01'

FORMATS = {
    one.name: one
    for one in (
        Format(
            "openai", "chat completions", 50_000, 200 * MEGABYTE, ".jsonl", b"", b"\n", b"\n", _openai_line, _of_openai,
            (
                _curl(_OPENAI, "https://api.openai.com/v1/files", "-F purpose=batch -F file=@FILE"),
                _curl(_OPENAI, "https://api.openai.com/v1/batches", '-H "Content-Type: application/json" '
                      '-d \'{"input_file_id":"FILE_ID","endpoint":"/v1/chat/completions","completion_window":"24h"}\''),
                _curl(_OPENAI, "https://api.openai.com/v1/files/OUTPUT_FILE_ID/content", "-o answers.jsonl"),
            ),
        ),
        Format(
            "mistral", "chat completions", 100_000, 512 * MEGABYTE, ".jsonl", b"", b"\n", b"\n", _mistral_line,
            _of_openai,
            (
                _curl(_MISTRAL, "https://api.mistral.ai/v1/files", "-F purpose=batch -F file=@FILE"),
                _curl(_MISTRAL, "https://api.mistral.ai/v1/batch/jobs", '-H "Content-Type: application/json" '
                      '-d \'{"input_files":["FILE_ID"],"model":"MODEL","endpoint":"/v1/chat/completions"}\''),
                _curl(_MISTRAL, "https://api.mistral.ai/v1/files/OUTPUT_FILE/content", "-o answers.jsonl"),
            ),
        ),
        Format(
            "anthropic", "messages", 100_000, 256 * MEGABYTE, ".json", b'{"requests":[\n', b",\n", b"\n]}\n",
            _anthropic_line, _of_anthropic,
            (
                _curl(_ANTHROPIC, "https://api.anthropic.com/v1/messages/batches",
                      '-H "content-type: application/json" --data-binary @FILE'),
                _curl(_ANTHROPIC, "https://api.anthropic.com/v1/messages/batches/BATCH_ID/results",
                      "-o answers.jsonl"),
            ),
        ),
        Format(
            "gemini", "contents", 1_000_000, 2_000 * MEGABYTE, ".jsonl", b"", b"\n", b"\n", _gemini_line, _of_gemini,
            (
                "python -c 'from google import genai; c = genai.Client(); f = c.files.upload(file=\"FILE\", "
                'config={"mime_type": "jsonl"}); print(c.batches.create(model="MODEL", src=f.name).name)\'',
                "python -c 'from google import genai; c = genai.Client(); j = c.batches.get(name=\"BATCH\"); "
                'open("answers.jsonl", "wb").write(c.files.download(file=j.dest.file_name))\'',
            ),
        ),
    )
}  # fmt: skip
