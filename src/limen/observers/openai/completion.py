"""Chat completions, the format of OpenAI's endpoint and its many kin: how pictures go out, how replies are read."""

import asyncio
import base64
import math
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import orjson

from limen import flagmass, image
from limen.image import Picture
from limen.trial import Answer

KEPT_BYTES = 256 * 2**20  # of encoded pictures: the references of 256 series in flight at 512x384
MEANT = 8  # positions searched for the flag: "<", blanks and markup may come before it


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a reply is no answer, although its status says so.

    Attributes:
        kind: "malformed", "empty" or "server-error".
        detail: one line, not yet scrubbed.
        status: of the error that the reply holds instead of an answer; 0 where it holds none.
    """

    kind: str
    detail: str
    status: int = 0


class Pictures:
    """Encoded pictures as pieces of JSON, each made once, in a thread; the least recently used go first."""

    def __init__(self, encoding: str, detail: str) -> None:
        self._encoding = encoding
        self._mime = "image/jpeg" if encoding.startswith("jpeg") else "image/png"
        self._ending = (b'","detail":' + orjson.dumps(detail) if detail else b'"') + b"}}"
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
            piece = await asyncio.to_thread(self._encode, picture)
        finally:
            del self._pending[picture.digest]
        self._ready[picture.digest] = piece
        self._size += len(piece)
        while self._size > KEPT_BYTES and len(self._ready) > 1:
            self._size -= len(self._ready.popitem(last=False)[1])
        return piece

    def _encode(self, picture: Picture) -> bytes:
        data = base64.b64encode(image.encode(picture.pixels, self._encoding))
        opening = f'{{"type":"image_url","image_url":{{"url":"data:{self._mime};base64,'
        return opening.encode() + data + self._ending


class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: Any = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: Any = None
    usage: Any = None
    error: Any = None


class _Token(msgspec.Struct):
    token: str
    logprob: float | None = None


class _Position(_Token):
    top_logprobs: list[_Token] | None = None


class _Positions(msgspec.Struct):
    """Token by token, each left as bytes: an answer of 256 tokens has 5,120 candidates, of which 20 are wanted."""

    content: list[msgspec.Raw] | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_positions = msgspec.json.Decoder(_Positions | None).decode
_decode_position = msgspec.json.Decoder(_Position).decode


def read(data: bytes, letters: bool) -> Answer | Trouble:
    """Read the body of a reply that claims success.

    A refusal, a filtered and a cut-off answer are answers; only what says nothing at all is not.

    Args:
        data: the body.
        letters: whether the question offered A for yes and B for no.
    """
    try:
        body = _decode_body(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Trouble("malformed", "HTML instead of JSON" if _is_page(data) else f"broken JSON: {error}")
    if body.error and not body.choices:
        code = body.error.get("code") if isinstance(body.error, dict) else None
        return Trouble("server-error", "", code if isinstance(code, int) and 400 <= code < 600 else 500)
    if not body.choices or body.choices[0].message is None:
        return Trouble("empty", "a reply without choices")
    choice, message = body.choices[0], body.choices[0].message
    finish = choice.finish_reason if isinstance(choice.finish_reason, str) else ""
    if finish == "error":
        return Trouble("server-error", "the answer ended in an error")
    text = _text(message.content)
    if not text and isinstance(message.refusal, str) and message.refusal:
        text, finish = message.refusal, "content_filter"
    if text is None and finish not in ("length", "content_filter"):
        return Trouble("empty", f"content is null (finish {finish or 'not given'})")
    p_yes, p_neither = _flag_mass(choice.logprobs, letters, text or "") or (None, None)
    usage = body.usage if isinstance(body.usage, dict) else {}
    tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (n if isinstance(n, int) and 0 <= n < 2**53 else None for n in tokens)
    name = body.model if isinstance(body.model, str) else ""
    return Answer(text or "", p_yes, p_neither, finish, tokens_in, tokens_out, model=name)


_FILTERED = re.compile(
    r"content_filter|content_policy|data_inspection_failed|responsibleai|moderation_blocked|flagged_input"
)
_UNPAID = re.compile(r"insufficient_quota|insufficient balance|credit balance|billing_hard_limit")
_UNSUPPORTED = re.compile(
    r"unsupported (parameter|value|field|argument|content|message)|(un(known|recognized|expected)|invalid) "
    r"(request )?(parameter|field|argument)|extra_forbidden|extra inputs|not (a )?multimodal|vision is not"
    r"|(does not|doesn't|do not|not) support|at most [01] image"
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an error body says.

    Attributes:
        message: for a person; not yet scrubbed.
        whole: message, code, type and parameter, in lower case.
        code: code and type alone, in lower case.
    """

    message: str
    whole: str
    code: str = ""

    @property
    def about_logprobs(self) -> bool:
        """Whether the service will not give log probabilities, or not so many."""
        return "logprob" in self.whole

    @property
    def filtered(self) -> bool:
        """Whether a content filter refused to answer: an answer of its kind."""
        return _FILTERED.search(self.code) is not None

    @property
    def unpaid(self) -> bool:
        """Whether there is no credit left, which waiting does not mend."""
        return _UNPAID.search(self.whole) is not None

    @property
    def unsupported(self) -> bool:
        """Whether requests of this shape are refused, whatever the pictures."""
        return _UNSUPPORTED.search(self.whole) is not None


def complaint(data: bytes) -> Complaint:
    """Read an error body, in any of the forms servers use."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        message = "HTML instead of JSON" if _is_page(data) else data.decode(errors="replace") or "no reason given"
        return Complaint(message, message.lower())
    error: Any = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        message = error if isinstance(error, str) else orjson.dumps(error).decode()
        return Complaint(message, message.lower())
    message = _sentence(error.get("message") or error.get("detail") or "no reason given")
    marks = (error.get(name) for name in ("code", "type", "param"))
    told = error.get("metadata")
    code = " ".join(str(error.get(name) or "") for name in ("code", "type")).lower()
    code += " flagged_input" * (isinstance(told, dict) and "flagged_input" in told)
    return Complaint(message, " ".join([*(str(mark) for mark in marks if mark), message]).lower(), code)


def _sentence(said: object) -> str:
    """Return a message as text; of a list of faults their places and words, never the request they quote."""
    if isinstance(said, list) and all(isinstance(one, dict) for one in said):
        return "; ".join(f"{_place(one.get('loc'))}: {one.get('msg', '')} ({one.get('type', '')})" for one in said)
    return said if isinstance(said, str) else orjson.dumps(said).decode()


def _place(where: object) -> str:
    return ".".join(map(str, where)) if isinstance(where, list) else str(where or "")


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait: retry-after-ms, or Retry-After as seconds or HTTP date."""
    for name, unit in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, OverflowError, OSError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _is_page(data: bytes) -> bool:
    return data.lstrip()[:1] == b"<"


def _text(content: object) -> str | None:
    """Return a message's content, also where it comes as a list of parts; None where there is none."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else None


def _flag_mass(logprobs: msgspec.Raw, letters: bool, text: str) -> tuple[float, float] | None:
    """Return p(yes) and p(neither) where the flag comes first and its rivals are told, else None."""
    try:
        held = _decode_positions(logprobs)
        positions = [_decode_position(one) for one in ((held and held.content) or ())[:MEANT]]
    except (msgspec.DecodeError, RecursionError):
        return None
    place = flagmass.flag_position((one.token for one in positions), text)
    if place is None or len(positions[place].top_logprobs or ()) < 2:
        return None
    flag, rivals = positions[place], positions[place].top_logprobs or []
    if flagmass.flag_mass([(flag.token, 1.0)], letters=letters) is None:
        return None
    told = {one.token: one.logprob for one in (flag, *rivals) if one.logprob is not None}
    return flagmass.flag_mass(((token, math.exp(min(0.0, mark))) for token, mark in told.items()), letters=letters)
