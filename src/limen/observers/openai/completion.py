"""Chat completions, the format of OpenAI's endpoint and its many kin: how pictures go out, how replies are read."""

import asyncio
import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from limen import image
from limen.image import Picture
from limen.observers.openai import complaint, lenient
from limen.observers.openai.remedies import SERVER, Remedies
from limen.parsing import token_probability
from limen.trial import Answer

KEPT_BYTES = 256 * 2**20  # of encoded pictures: the references of 256 series in flight at 512x384
MEANT = 8  # positions searched for the flag: "<", blanks and markup may come before it


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer, and what the server calls the system that gave it ("" where it does not say); neither is scrubbed."""

    answer: Answer
    system: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why a reply is no answer, although its status says so.

    Attributes:
        kind: "malformed", "empty", "broken-off", "cut-off", "thought" or "server-error".
        detail: a sentence that stands alone, not yet scrubbed; "" where `status` says more.
        status: of the error that the reply holds instead of an answer; 0 where it holds none.
        lasting: whether the same would come again.
    """

    kind: str
    detail: str
    status: int = 0
    lasting: bool = False


class Pictures:
    """Encoded pictures as pieces of JSON, each made once, in a thread; the least recently used go first.

    Args:
        encoding: "png" or "jpeg:QUALITY".
        detail: resolution setting; "" for none.
        shape: what stands before a picture's base64, with {mime} for its type, and behind it; as chat completions have
            it, if not given.
    """

    def __init__(self, encoding: str, detail: str, shape: tuple[str, str] | None = None) -> None:
        self._encoding = encoding
        mime = "image/jpeg" if encoding.startswith("jpeg") else "image/png"
        detailed = f',"detail":{orjson.dumps(detail).decode()}' if detail else ""
        opening, ending = shape or ('{"type":"image_url","image_url":{"url":"data:{mime};base64,', f'"{detailed}}}}}')
        self._opening, self._ending = opening.replace("{mime}", mime).encode(), ending.encode()
        self._ready: OrderedDict[str, bytes] = OrderedDict()
        self._pending: dict[str, asyncio.Task[bytes]] = {}
        self._size = 0

    async def get(self, picture: Picture) -> bytes:
        """Return the piece for `picture`, from memory if it was lately used."""
        if (ready := self._ready.get(picture.digest)) is not None:
            self._ready.move_to_end(picture.digest)
            return ready
        if picture.digest not in self._pending:
            self._pending[picture.digest] = asyncio.create_task(self._make(picture))
        return await asyncio.shield(self._pending[picture.digest])

    async def _make(self, picture: Picture) -> bytes:
        try:
            piece = await asyncio.to_thread(self.encode, picture)
        finally:
            del self._pending[picture.digest]
        self._ready[picture.digest] = piece
        self._size += len(piece)
        while self._size > KEPT_BYTES and len(self._ready) > 1:
            self._size -= len(self._ready.popitem(last=False)[1])
        return piece

    def encode(self, picture: Picture) -> bytes:
        """Return the piece for `picture`, made anew."""
        # A JSON text of base64, in quotes; msgspec writes it in half the time of Python's base64.
        data = memoryview(msgspec.json.encode(image.encode(picture.pixels, self._encoding)))
        return b"".join((self._opening, data[1:-1], self._ending))


class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None
    reasoning_text: Any = None
    thinking: Any = None
    thinking_blocks: Any = None
    thoughts: Any = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: Any = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


class _Body(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: Any = None
    usage: Any = None
    error: Any = None
    system_fingerprint: Any = None


class _Token(msgspec.Struct):
    token: str
    logprob: float | None = None


class _Position(_Token):
    top_logprobs: list[_Token] | None = None


class _Positions(msgspec.Struct):
    """Token by token, each left as bytes: an answer of 256 tokens has 5,120 candidates, of which 20 are wanted."""

    content: list[msgspec.Raw] | None = None


_SPOKEN = ("content", "refusal", "tool_calls", "function_call")
_THOUGHT = tuple(name for name in _Message.__struct_fields__ if name not in _SPOKEN)
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_positions = msgspec.json.Decoder(_Positions | None).decode
_decode_position = msgspec.json.Decoder(_Position).decode


# Why generations end, in the words of the servers and services known to us. These alone are answers: a word that is
# not here may stand for a server that lost its model half way through.
_BY_ITSELF = ("", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete")
_BY_LENGTH = (
    "length", "max_tokens", "model_length", "max_output_tokens",
    "model_context_window_exceeded",
)  # fmt: skip
_BY_FILTER = (
    "content_filter", "content_filtered", "safety", "refusal", "recitation", "prohibited_content", "blocklist", "spii",
    "sensitive", "image_safety", "image_prohibited_content", "image_recitation", "error_toxic", "guardrail_intervened",
)  # fmt: skip
ENDINGS = {word: name for name, words in (("stop", _BY_ITSELF), ("length", _BY_LENGTH), ("content_filter", _BY_FILTER))
           for word in words}  # fmt: skip
_TOOLS = ("tool_calls", "tool_call", "tool_use", "function_call")


def read(data: bytes, letters: bool, remedies: Remedies = SERVER) -> Completion | NoAnswer:
    """Read the body of a reply that claims success.

    A generation that ended by itself, by its length or by a filter is an answer, whatever it says. One that ended for
    another reason is not, nor is an empty one, unless the model itself had nothing to say.

    Args:
        data: the body.
        letters: whether the question offered A for yes and B for no.
        remedies: of the service.
    """
    try:
        body = _decode_body(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            body = _decode_body(lenient.repaired(data))
        except (ValueError, RecursionError):
            return _complaint(data) or NoAnswer("malformed", _unlike(data, error))
    choice = body.choices[0] if body.choices else None
    failed = body.error or (choice and choice.error)
    if any(failed.values()) if isinstance(failed, dict) else failed:
        return NoAnswer("server-error", "", _status(failed))
    if choice is None and (refused := _complaint(data)):
        return refused
    if choice is None or choice.message is None:
        return NoAnswer("empty", "The reply holds no choices, or one without a message.")
    said, thought = _parts(choice.message)
    finish = _ending(choice.finish_reason)
    told = "" if choice.finish_reason is None else str(choice.finish_reason)[:60]
    if not said and isinstance(choice.message.refusal, str) and choice.message.refusal:
        said, finish = choice.message.refusal, "content_filter"
    if finish == "stop" and not said and (choice.message.tool_calls or choice.message.function_call):
        finish, told = None, "tool_calls"
    if finish is None:
        return _broken_off(told, remedies)
    if (
        not (said and said.strip())
        and finish != "content_filter"
        and (missing := _silence(said, thought, finish, told, remedies))
    ):
        return missing
    # Beside a thought of its own field, log probabilities may begin with the thought's tokens, which may be the same.
    mass = None if thought else _flag_mass(choice.logprobs, letters, said or "")
    p_yes, p_neither = mass or (None, None)
    usage = body.usage if isinstance(body.usage, dict) else {}
    tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (n if type(n) is int and 0 <= n < 2**40 else None for n in tokens)
    name = body.model if isinstance(body.model, str) else ""
    system = body.system_fingerprint if isinstance(body.system_fingerprint, str) else ""
    finish = finish if told or finish != "stop" else ""
    return Completion(Answer(said or "", p_yes, p_neither, finish, tokens_in, tokens_out, model=name), system)


def _complaint(data: bytes) -> NoAnswer | None:
    """Return what a reply is that says why there is no answer, in another shape than {"error": ...}; else None."""
    try:
        value = lenient.parse(data)
    except (ValueError, RecursionError):
        return None
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, dict) or value.get("choices") or not complaint.read(data).said:
        return None
    return NoAnswer("server-error", "", _status(value))


def _status(failed: object) -> int:
    """Return the HTTP status that an error names, under any of its usual names; else 500."""
    if isinstance(failed, dict):
        tables = [one for one in (failed, failed.get("error")) if isinstance(one, dict)]
        for value in (one.get(name) for one in tables for name in ("code", "status", "status_code")):
            code = int(value) if isinstance(value, str) and re.fullmatch("[45][0-9]{2}", value) else value
            if type(code) is int and 400 <= code < 600:
                return code
    return 500


def _ending(reason: object) -> str | None:
    """Return why a generation ended: "stop" (also where nothing is said), "length", "content_filter"; else None."""
    if isinstance(reason, dict):  # {"type": "stop", "matched": 2}
        reason = reason.get("type", reason)
    if reason is None:
        return "stop"
    word = reason.strip().lower() if isinstance(reason, str) else "?"
    return ENDINGS.get(word) or ENDINGS.get(word.partition(":")[0])  # "content_filter: PROHIBITED_CONTENT"


def _broken_off(told: str, remedies: Remedies) -> NoAnswer:
    """Return why a generation that ended for another reason is no answer."""
    word = told.strip().lower()
    if word == "error":
        return NoAnswer("server-error", "The answer ended in an error of the server (finish reason 'error').")
    what = f"The generation did not end by itself, by its length or by a filter, but with {told!r}."
    if word in _TOOLS:
        what += f" {remedies.tools}"
    return NoAnswer("broken-off", what.strip())


def _silence(said: str | None, thought: bool, finish: str, told: str, remedies: Remedies) -> NoAnswer | None:
    """Return why there is no text to read; None where the model itself ended without one."""
    if thought:
        cut = (
            "and length ended it: set -O max_tokens=N to more, or keep it short."
            if finish == "length"
            else "none is left."
        )
        return NoAnswer(
            "thought", f"All text went to the reasoning field, {cut} Set {remedies.no_thought}.", lasting=True
        )
    if finish == "length":
        what = (
            "No text came before the length limit: thought that is not shown may have taken it. Set -O max_tokens=N to"
        )
        return NoAnswer(
            "cut-off",
            f"{what} more (4096, say), or keep thought short: {remedies.little_thought}.",
            lasting=True,
        )
    if said is None or not told:
        return NoAnswer("empty", f"The reply holds no text (finish reason {told or 'not given'}).")
    return None


def _unlike(data: bytes, error: Exception) -> str:
    """Say what a body is that is no JSON."""
    if data.lstrip()[:1] == b"<":
        return "The reply is HTML instead of JSON: base_url may name a web page, or a gateway has lost its server."
    if data.lstrip().startswith((b"data:", b"event:", b":")):
        return "The reply is a stream of events, though one whole reply was asked for."
    return f"The reply is broken JSON: {error}."


def _parts(message: _Message) -> tuple[str | None, bool]:
    """Return a message's text, whole or in parts (None where there is none), and whether there is thought."""
    content = message.content
    thought = _any_text([getattr(message, name) for name in _THOUGHT], 0)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return (content if isinstance(content, str) else None), thought
    texts = []
    for part in content:
        kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else ("text", part)
        if kind in (None, "text", "output_text") and not (isinstance(part, dict) and part.get("thought") is True):
            texts += [text] if isinstance(text, str) else []
        elif kind == "refusal" and isinstance(part, dict) and isinstance(part.get("refusal"), str):
            texts.append(part["refusal"])
        else:
            thought = thought or _any_text(part, 0)
    return "".join(texts), thought


def _any_text(value: object, depth: int) -> bool:
    """Say whether there is any text in what a reasoning field holds: a text, or a list of parts."""
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, dict):
        value = [value.get(name) for name in ("text", "thinking", "reasoning", "summary", "content", "data")]
    return isinstance(value, list) and depth < 6 and any(_any_text(one, depth + 1) for one in value)


def _flag_mass(logprobs: msgspec.Raw, letters: bool, text: str) -> tuple[float, float] | None:
    """Return p(yes) and p(neither) where the flag comes first and its rivals are told, else None."""
    positions = _positions(bytes(logprobs))
    if positions is None:
        try:
            positions = _positions(lenient.repaired(bytes(logprobs))) or []
        except (ValueError, RecursionError):
            return None
    place = token_probability.flag_position((one.token for one in positions), text)
    if place is None or len(positions[place].top_logprobs or ()) < 2:
        return None
    flag, rivals = positions[place], positions[place].top_logprobs or []
    if token_probability.flag_mass([(flag.token, 1.0)], letters=letters) is None:
        return None
    told = {one.token: one.logprob for one in (flag, *rivals) if one.logprob is not None}
    return token_probability.flag_mass(
        ((token, math.exp(min(0.0, mark))) for token, mark in told.items()), letters=letters
    )


def _positions(data: bytes) -> list[_Position] | None:
    """Return the first positions of an answer; None where they cannot be read."""
    try:
        held = _decode_positions(data)
        return [_decode_position(one) for one in ((held and held.content) or ())[:MEANT]]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
