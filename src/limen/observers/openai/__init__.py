"""Models behind any OpenAI-compatible `/v1/chat/completions` endpoint: hosted services, vLLM, `transformers serve`.

The plain HTTP path (aiohttp, pictures encoded once and spliced into the request as bytes) costs a fraction of a
client library's CPU; see benchmarks/README.md. What an endpoint can do wrong is sorted into four fates:

- an *answer*, whatever it says: refusals, filtered and cut-off answers are for the reader to judge;
- a failure that passes (overload, time-out, broken reply): tried again, each try an `Attempt`;
- a failure of this query (too long, too large): recorded, not tried again;
- a failure of every query (wrong key, unknown model, no credit, redirect elsewhere): `FatalObserverError`.

Kinds of attempt: ok, rate-limited, overloaded, server-error, timeout, connection, unreachable, malformed, empty,
rejected, logprobs-refused. Kinds of fatal error: key, forbidden, payment, not-found, unsupported, redirect,
certificate, unreachable.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
import numpy as np
import orjson

from limen import flagmass, ident
from limen import image as images
from limen.errors import FatalObserverError, InputError
from limen.observer import Reply, observer
from limen.observers.openai import completion, endpoint
from limen.observers.openai.secret import Key
from limen.question import Query
from limen.trial import Answer, Attempt

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

LONGEST_REPLY = 16 * 2**20  # bytes: no chat completion is larger
HOPS = 3  # redirects followed within one origin
_LIMITS, _DECODING = {"max_tokens", "max_completion_tokens"}, {"temperature", "seed", "logprobs", "top_logprobs"}
OURS = frozenset({"model", "messages", "stream", "n"} | _LIMITS | _DECODING)

_Fate = Literal["again", "free", "never", "fatal"]


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of the `openai` observer.

    Attributes:
        base_url: the endpoint up to and with its version, without user, password, query.
        api_key_env: the environment variable that holds the key, the only place it is read from; "" for a host
            that needs none. Without encryption (http://) an empty variable means no key.
        concurrency: requests in flight at most, and series advanced side by side.
        max_tokens: length of an answer at most; longer ones come back cut off, with finish "length".
        max_tokens_name: what the server calls that limit.
        temperature: of the decoding; None leaves it to the server, for models that take no temperature.
        seed: of the decoding, where the server honours one; a repeated draw adds its number.
        logprobs: ask for the 20 likeliest tokens at each position, for p(yes); a server that refuses is asked for
            5, then for none; where one ignores it, answers have no p(yes).
        detail: resolution setting ("low", "high", "auto") of services that have one; "" sends none.
        encoding: how pictures travel: "png", lossless, or "jpeg:95" to accept losses by name.
        revision: of the model, where you know it: part of every key.
        label: stands for the host in every key: set it where the host's name changes and the model does not.
        extra: further fields of the request body, part of every key ({"reasoning_effort": "none"}).
        timeout_s: for one request from first to last byte.
        connect_timeout_s: for the connection alone.
        retries: attempts at one query in all.
        backoff_s: pause after the first failed attempt; doubles with each.
        longest_wait_s: longest pause between attempts, whatever the server asks for.
    """

    base_url: str = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: AtLeastOne = 16
    max_tokens: AtLeastOne = 256
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: float | None = 0.0
    seed: int | None = None
    logprobs: bool = True
    detail: str = ""
    encoding: str = "png"
    revision: str = ""
    label: str = ""
    extra: dict[str, Any] = {}
    timeout_s: Seconds = 180.0
    connect_timeout_s: Seconds = 15.0
    retries: AtLeastOne = 6
    backoff_s: Seconds = 1.0
    longest_wait_s: Seconds = 60.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed attempt: what to call it, and what follows ("free": again, without counting as an attempt)."""

    kind: str
    detail: str
    fate: _Fate = "again"
    after: float | None = None  # seconds the server asks to wait


@observer("openai", Options)
class OpenAI:
    """Any OpenAI-compatible chat endpoint: openai:MODEL, with base_url for hosts other than OpenAI's."""

    def __init__(self, model: str, options: Options) -> None:
        if not model:
            raise InputError("No model given to 'openai'. Name one as the endpoint does: openai:MODEL.")
        if taken := sorted(OURS & set(options.extra)):
            raise InputError(
                f"Observer 'openai': extra sets {', '.join(taken)}, which limen sets. Use its own options."
            )
        images.encode(np.zeros((32, 32, 3), np.uint8), options.encoding)
        self.name, self.concurrency = f"openai:{model}", options.concurrency
        self.sampled = options.temperature is None or options.temperature > 0
        self._model, self._options = model, options
        self._url, self._host, self._local = endpoint.find(options.base_url)
        self._candidates = 20 if options.logprobs else 0
        self._key = Key()
        self._met = False  # whether this host has ever replied
        self._resume_at = 0.0
        self._slots = asyncio.Semaphore(options.concurrency)
        self._pictures = completion.Pictures(options.encoding, options.detail)
        self._session: aiohttp.ClientSession | None = None

    @property
    def notice(self) -> str:
        """What a person should know before the first request."""
        plain = "" if self._local or self._url.startswith("https:") else " without encryption"
        variable = self._options.api_key_env
        key = f", with the key in {variable}" if variable and os.environ.get(variable) else ""
        return f"Photographs will be sent to {self._host}{plain}{key}."

    def fingerprint(self) -> Mapping[str, Any]:
        """Return model, host, decoding parameters and encoding; nothing of the key, of timing or of load."""
        options = self._options
        return {
            "kind": "openai",
            "model": self._model,
            "revision": options.revision,
            "host": options.label or self._host,
            "path": "" if options.label else urlsplit(options.base_url).path.rstrip("/"),
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
            "logprobs": options.logprobs,
            "detail": options.detail,
            "encoding": options.encoding,
            "extra": options.extra,
        }

    async def __aenter__(self) -> Self:
        import aiohttp

        self._key = self._find_key()
        if not self._key and self._options.api_key_env and self._url.startswith("https:"):
            name = self._options.api_key_env
            raise FatalObserverError(
                "key",
                f"No key for {self._host}: the environment variable {name} is empty. Set it, name another with "
                "api_key_env, or set api_key_env = '' for a host that needs none.",
            )
        self._slots = asyncio.Semaphore(self._options.concurrency)
        self._pictures = completion.Pictures(self._options.encoding, self._options.detail)
        self._resume_at = 0.0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),  # uvicorn closes after 5 s
            timeout=aiohttp.ClientTimeout(total=self._options.timeout_s, sock_connect=self._options.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "User-Agent": "limen", **self._key.header},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def answer(self, query: Query) -> Reply:
        """Answer one query, trying again where that can help.

        Raises:
            FatalObserverError: no other query would be answered either.
        """
        parts = await self._encode(query)
        letters = flagmass.offers_letters(query.text)
        attempts: list[Attempt] = []
        counted = 0
        while True:
            async with self._slots:
                await self._pause_over(query)
                started = time.perf_counter()
                outcome = await self._post(parts, letters, query.draw)
                seconds = time.perf_counter() - started
            if isinstance(outcome, Answer):
                return Reply(replace(outcome, seconds=seconds), (*attempts, Attempt("ok", "", seconds)))
            attempts.append(Attempt(outcome.kind, outcome.detail, seconds))
            counted += outcome.fate != "free"
            if outcome.fate == "fatal":
                raise FatalObserverError(outcome.kind, outcome.detail)
            self._expect_met(outcome, counted)
            if outcome.fate == "never" or counted >= self._options.retries:
                return Reply(None, tuple(attempts))
            if outcome.fate == "again":
                await self._back_off(outcome, query, counted)

    async def _encode(self, query: Query) -> tuple[bytes, ...]:
        """Return the content list of the message, as pieces of JSON."""
        pieces: list[bytes] = []
        for part in query.parts:
            if pieces:
                pieces.append(b",")
            if isinstance(part, str):
                pieces.append(orjson.dumps({"type": "text", "text": part}))
            else:
                pieces.append(await self._pictures.get(part))
        return tuple(pieces)

    def _head(self, draw: int) -> bytes:
        """Return the request body up to the content list."""
        options = self._options
        fields: dict[str, Any] = {"model": self._model, options.max_tokens_name: options.max_tokens}
        if options.temperature is not None:
            fields["temperature"] = options.temperature
        if options.seed is not None:
            fields["seed"] = options.seed + draw
        if self._candidates:
            fields |= {"logprobs": True, "top_logprobs": self._candidates}
        opening = orjson.dumps({**options.extra, **fields})
        return opening[:-1] + b',"messages":[{"role":"user","content":['

    async def _post(self, parts: tuple[bytes, ...], letters: bool, draw: int) -> Answer | _Failure:
        """Make one attempt."""
        import aiohttp
        from yarl import URL

        if self._session is None:
            raise InputError(f"{self.name} is closed. Ask inside 'async with observer:'.")
        asked, body, url = self._candidates, (self._head(draw), *parts, b"]}]}"), URL(self._url)
        length = {"Content-Length": str(sum(map(len, body)))}
        try:
            for _ in range(1 + HOPS):
                post = self._session.post(url, data=_stream(body), headers=length, allow_redirects=False)
                async with post as response:
                    data = await _read_all(response)
                self._met = True
                if not 300 <= response.status < 400:
                    return self._sort(response.status, response.headers, data, asked, letters)
                target = url.join(URL(response.headers.get("Location", "")))
                if response.status not in (307, 308) or target.origin() != url.origin():
                    return self._redirected(response.status, target)
                url = target
            return self._redirected(response.status, url)
        except TimeoutError as error:
            return self._fail("timeout", str(error) or f"no reply within {self._options.timeout_s:g} s")
        except aiohttp.ClientConnectorCertificateError as error:
            advice = "Correct base_url, or install the certificate of the host's authority."
            return self._fail("certificate", f"{self._host} is not trusted: {error}. {advice}", "fatal")
        except aiohttp.ClientConnectorError as error:
            return self._fail("unreachable", str(error))
        except aiohttp.ClientResponseError as error:
            return self._fail("malformed", f"no HTTP: {error.message}")
        except (aiohttp.ClientError, OSError) as error:
            return self._fail("connection", str(error) or type(error).__name__)
        except ValueError as error:  # a Location that is no URL, a reply without end
            return self._fail("malformed", str(error))

    def _fail(self, kind: str, detail: str, fate: _Fate = "again", after: float | None = None) -> _Failure:
        return _Failure(kind, self._key.scrub(detail), fate, after)

    def _redirected(self, status: int, target: "URL") -> _Failure:
        where = f"{target.scheme}://{target.host}:{target.port}"
        detail = f"{self._host} redirects ({status}) to {where}, and photographs and key do not follow."
        return self._fail("redirect", f"{detail} If you trust that host, name it in base_url.", "fatal")

    def _expect_met(self, last: _Failure, counted: int) -> None:
        """Raise if two attempts did not even connect, and none ever did: waiting longer would start no server."""
        if last.kind == "unreachable" and not self._met and counted >= min(2, self._options.retries):
            told = f"Nothing answers at {self._host}. Start the server, or correct base_url. {last.detail}"
            raise FatalObserverError("unreachable", self._key.scrub(told))

    def _sort(
        self, status: int, headers: Mapping[str, str], data: bytes, asked: int, letters: bool
    ) -> Answer | _Failure:
        """Turn a response into an answer or a failure with its fate."""
        if 200 <= status < 300:
            read = completion.read(data, letters)
            if isinstance(read, Answer):
                return read
            if not read.status:
                return self._fail(read.kind, read.detail)
            status = read.status
        complaint = completion.complaint(data)
        if asked and status in (400, 403, 422) and complaint.about_logprobs:
            if self._candidates == asked:
                self._candidates = 5 if asked > 5 else 0
            return self._fail("logprobs-refused", complaint.message, "free")
        if status in (400, 403, 451) and complaint.filtered:
            return Answer("", finish="content_filter")
        if fatal := self._fatal(status, complaint):
            return fatal
        if status < 500 and status not in (408, 409, 425, 429):
            return self._fail("rejected", f"{status}: {complaint.message}", "never")
        kind = {429: "rate-limited", 503: "overloaded", 529: "overloaded"}.get(status, "server-error")
        return self._fail(kind, f"{status}: {complaint.message}", "again", completion.wait_asked(headers))

    def _fatal(self, status: int, complaint: completion.Complaint) -> _Failure | None:
        """Return a failure that every other query would share, with what to do about it."""
        message = self._key.scrub(complaint.message, 120)
        if status == 401:
            variable = self._options.api_key_env or "the variable that api_key_env names"
            kind, what = "key", f"refuses the key (401): {message}. Set {variable} to a valid one."
        elif status == 402 or complaint.unpaid:
            kind, what = "payment", f"wants payment ({status}): {message}. Add credit and start again."
        elif status == 403:
            kind, what = "forbidden", f"forbids the request (403): {message}. Check what the key may do."
        elif status in (404, 405, 410):
            kind, what = "not-found", f"does not know model {self._model!r} or this path ({status}): {message}."
            what += " Check the model's name and base_url."
        elif status in (400, 415, 422, 501) and complaint.unsupported:
            kind, what = "unsupported", f"takes no such requests ({status}): {message}."
            what += " Change the option it names, or the model."
        else:
            return None
        return self._fail(kind, f"{self._host} {what}", "fatal")

    async def _back_off(self, failure: _Failure, query: Query, counted: int) -> None:
        """Sleep before the next attempt; where the server named a time, no other request starts before it."""
        jitter, longest = self._jitter(query, counted), self._options.longest_wait_s
        if failure.after is None:
            pause = self._options.backoff_s * 2 ** min(counted - 1, 16) * (0.5 + jitter)
        else:
            pause = min(failure.after, longest)
            self._resume_at = max(self._resume_at, time.monotonic() + pause)
            pause *= 1 + 0.25 * jitter
        await asyncio.sleep(min(pause, 1.25 * longest))

    async def _pause_over(self, query: Query) -> None:
        """Wait until a shared pause is over, each query a little longer than the last, so that they spread."""
        while (left := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(left * (1 + 0.25 * self._jitter(query, 0)))

    def _jitter(self, query: Query, counted: int) -> float:
        """Return a number in 0..1 that depends on names alone."""
        return ident.seed("back-off", self._model, query.key(""), counted) / 2**128

    def _find_key(self) -> Key:
        key = Key(os.environ.get(self._options.api_key_env, "").strip() if self._options.api_key_env else "")
        if not key.sendable:
            name = self._options.api_key_env
            raise FatalObserverError("key", f"{name} holds blanks or characters no key has. Set it again.")
        return key


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Send the body piece by piece: megabytes of pictures are never joined."""
    for piece in pieces:
        yield piece


async def _read_all(response: "aiohttp.ClientResponse") -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST_REPLY:
            raise ValueError(f"a reply of more than {LONGEST_REPLY // 2**20} MiB")
    return b"".join(pieces)
