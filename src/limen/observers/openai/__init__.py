"""Models behind any OpenAI-compatible `/v1/chat/completions` endpoint: hosted services, vLLM, `transformers serve`.

The plain HTTP path (aiohttp, pictures encoded once and spliced into the request as bytes) costs a fraction of a
client library's CPU; see benchmarks/README.md. What an endpoint can do wrong is sorted into five fates:

- an *answer*: a generation that ended by itself, by its length or by a filter, whatever it says;
- a failure that passes (overload, time-out, broken reply, a generation that ended for any other reason): tried again,
  each try an `Attempt`;
- an outage (nobody there, a gateway without its server, 503): waited out without counting, up to `wait_for_server_s`;
- a failure of this query (too long, too large; all its text thought away): recorded, not tried again;
- a failure of every query (wrong key, unknown model, no pictures, no credit, redirect elsewhere, the limit of the
  day): `FatalObserverError`. Before the first answer five refusals of any kind are one.

Kinds of attempt: ok (its detail is the server's system_fingerprint), rate-limited, overloaded, server-error, timeout,
connection, unreachable, malformed, empty (no text, and no reason), broken-off (ended with abort, load, a tool call or a
word we do not know), cut-off (length ended it before there was any text), thought (all text went to the reasoning
field), rejected, logprobs-refused (the same question was then asked with fewer, or without), logprobs-probe (asked
without, to see whether log probabilities are why it fails), moved (one of several endpoints failed, and the question
was asked again at another: `several`). Kinds of fatal error: key, forbidden, payment, not-found,
unsupported, limit, overloaded, redirect, certificate, unreachable, proxy, and those of five refusals.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

import msgspec
import numpy as np
import orjson

from limen import digest
from limen import image as images
from limen.errors import FatalObserverError, InputError, ObserverError
from limen.image import Picture
from limen.observer import Examine, Observer, Reply, observer
from limen.observers.openai import complaint, completion, endpoint, offered
from limen.observers.openai.complaint import Failure, Fate
from limen.observers.openai.options import FROM, OURS, OpenAIOptions, expect_no_secrets, further_fields, further_headers
from limen.observers.openai.remedies import SERVER, Remedies
from limen.observers.openai.secret import LONGEST, Key
from limen.observers.openai.waiting import spoken
from limen.parsing import token_probability
from limen.question import Query
from limen.scale.pace import Budget, Sent, Window
from limen.spending import query_tokens
from limen.trial import Answer, Attempt

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

LONGEST_REPLY = 16 * 2**20  # bytes: no chat completion is larger
HOPS = 3  # redirects followed within one origin
OUTAGE = 600.0  # seconds that a server which has been met is waited for, unless told otherwise
POLL = 10.0  # seconds between two looks at most whether it is back
PATIENCE = 10.0  # seconds for the list of a server's models
UNSAID = 1.0  # seconds of an outage about which nothing is said
CONFIRMED = 2  # failures with log probabilities after an answer without: one more may be chance
MISTRAL = ("api.mistral.ai",)  # its batch files are OpenAI's with less around each body
TRIES = 2  # of a question at one of several endpoints, while there is another to ask
REFUSALS = 5  # before the first answer, after which the run is stopped
LIMITED = ("rate-limited", "overloaded")  # what a server says that is asked too fast
SYSTEM = 80  # characters of a system_fingerprint that are kept
AWAY = (502, 503, 504)  # what a gateway says whose server is not there


@dataclass(slots=True)
class _Call:
    """One query on its way.

    Attributes:
        query: what is asked.
        parts: the content list of its message, as pieces of JSON.
        letters: whether it offers A for yes and B for no.
        attempts: what was tried.
    """

    query: Query
    parts: tuple[bytes, ...]
    letters: bool
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class Identity:
    """The place whose name stands in the keys of all answers of a run: where it was begun."""

    host: str
    path: str
    query: str

    @classmethod
    def of(cls, fingerprint: Mapping[str, Any]) -> Self:
        """Return the place that a fingerprint names."""
        return cls(*(str(fingerprint.get(name, "")) for name in ("host", "path", "query")))

    @property
    def place(self) -> str:
        """The whole, as `Endpoint.place` gives it."""
        return endpoint.place_of(self.host, self.path, self.query)


class ServerAwayError(ObserverError):
    """One of several servers is away: the question is to be asked elsewhere.

    Args:
        attempts: what was tried there, the last one being why.
    """

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self.attempts = tuple(attempts)
        super().__init__(self.attempts[-1].outcome, self.attempts[-1].detail)


class OpenAI(Observer):
    """One OpenAI-compatible chat endpoint.

    Services with requests of their own derive from it and say what differs: the path, the header of the key, the body
    and how a reply is read.

    Args:
        model: as the endpoint calls it.
        options: its settings, with one base URL.
        budget: of requests and tokens, shared with other endpoints; None for one that has no others. One of several
            raises `ServerAwayError` where one alone waits.

    Attributes:
        kind: under which it is registered.
        batch_format: how its service wants batch files.
        ours: fields of the request body that limen sets.
        carrier: the header that carries the key; "" for Authorization.
        shape: what stands before and behind a picture's base64 in the body; None for that of chat completions.
        remedies: what to do when it fails in a known way.
    """

    kind: ClassVar[str] = "openai"
    batch_format = "openai"
    ours: ClassVar[frozenset[str]] = OURS
    carrier: ClassVar[str] = ""
    shape: ClassVar[tuple[str, str] | None] = None
    remedies: ClassVar[Remedies] = SERVER

    def __init__(self, model: str, options: OpenAIOptions, budget: Budget | None = None) -> None:
        kind = self.kind
        if not model:
            raise InputError(f"No model given to {kind!r}. Name one as the endpoint does: {kind}:MODEL.")
        self._extra = further_fields(options.extra, self.ours, kind)
        self._headers = further_headers(options.headers, kind)
        images.encode(np.zeros((32, 32, 3), np.uint8), options.encoding)
        self.name, self.label, self.concurrency = f"{kind}:{model}", options.label, options.concurrency
        self.tell: Callable[[str], None] = lambda line: None
        self._model, self._options = model, options
        self._temperature = None if options.temperature == "none" else options.temperature
        self.sampled, self.max_tokens = self._temperature is None or self._temperature > 0, options.max_tokens
        self._place = endpoint.find(endpoint.only(options.base_url, kind), self._ending(model), kind)
        self._host = self._place.host
        self._identity = Identity(self._place.host, self._place.path, self._place.query)
        if kind == "openai" and urlsplit(self._place.url).hostname in MISTRAL:
            self.batch_format = "mistral"
        expect_no_secrets(model, options, self._extra, kind)
        self._shown = self._sent = {name: value for name, value in self._headers.items() if not value.startswith(FROM)}
        self.candidates = 20 if options.logprobs else 0
        self._refused = ""  # why it gives fewer log probabilities than were asked for
        self._worked = self._broken = 0  # questions with so many: answered, and failed though they can be answered
        self._key = Key()
        self._proxy: endpoint.Proxy | None = None
        self._met = self._answered = False  # whether this host has ever replied, ever answered
        self._refusals = 0  # before the first answer
        self._filtered_told = False
        self._resume_at = 0.0
        self._heard_at = self._probed_at = 0.0
        self._out_since: float | None = None
        self._out_told = False
        self._offered: str | None = None  # what it says of its models, once it has been asked
        self._alone, self._budget = budget is None, budget or Budget(options.rpm, options.tpm)
        self.window, self._probing = self._new_window(), asyncio.Lock()
        self._pictures = completion.Pictures(options.encoding, options.detail, self.shape)
        self._session: aiohttp.ClientSession | None = None
        self._reset_calls()

    def _reset_calls(self) -> None:
        self._stopping = False
        self._asking, self._sending, self._ended = (set[asyncio.Task[Any]]() for _ in range(3))

    @property
    def notice(self) -> str:
        """What a person should know before the first request."""
        plain = "" if self._place.local or self._place.encrypted else " without encryption"
        way = f" through the proxy {self._proxy.host}" if self._proxy else ""
        variable = self._options.api_key_env
        key = f", with the key in {variable}" if variable and os.environ.get(variable) else ""
        fewer = f" {self._refused}" if self._refused else ""
        return f"Photographs will be sent to {self._host}{way}{plain}{key}.{fewer}"

    def sent_bytes(self, picture: Picture) -> int:
        """Return how many bytes a picture takes in the body of a request."""
        return len(self._pictures.encode(picture))

    def fingerprint(self) -> Mapping[str, Any]:
        """Return model, host, decoding parameters and encoding; nothing of keys, of timing or of load."""
        options = self._options
        keys = self._identity
        later = {"query": keys.query, "headers": self._shown}  # absent from runs that set neither
        return {
            "kind": self.kind,
            "model": self._model,
            "revision": options.revision,
            "host": options.label or keys.host,
            "path": "" if options.label else keys.path,
            "max_tokens": options.max_tokens,
            "temperature": self._temperature,
            "seed": options.seed,
            "logprobs": options.logprobs,
            "detail": options.detail,
            "encoding": options.encoding,
            "extra": self._extra,
        } | {name: value for name, value in later.items() if value}

    @property
    def places(self) -> tuple[str, ...]:
        """Where it is asked: host, path and query."""
        return (self._place.place,)

    @property
    def host(self) -> str:
        """Its host, with its port where one is given."""
        return self._host

    @property
    def identity(self) -> Identity:
        """The place in its keys."""
        return self._identity

    @property
    def met(self) -> bool:
        """Whether this host has ever replied."""
        return self._met

    @property
    def answered(self) -> bool:
        """Whether this host has ever answered a question."""
        return self._answered

    def resume(self, fingerprint: Mapping[str, Any], places: Sequence[str]) -> None:
        """Go on as the observer that a run was begun with, where that was asked at this place too.

        Args:
            fingerprint: of the run's observer.
            places: where else the run has asked it.
        """
        begun = Identity.of(fingerprint)
        if not self._options.label and self._place.place in {begun.place, *places}:
            self.begin_as(begun)

    def begin_as(self, identity: Identity) -> None:
        """Answer under the keys of another place, at which the same model is asked."""
        self._identity = identity

    def share_pictures(self, other: "OpenAI") -> None:
        """Take pictures that are encoded already from another observer of the same encoding."""
        self._pictures = other._pictures

    @property
    def exam_tag(self) -> str:
        """What follows the observer's name under which a run keeps this place's exam: "" for that of its keys."""
        own = self._identity.place == self._place.place or (self._alone and self._options.label)
        return "" if own else f" #{digest.of(self._place.place)[:8]}"

    @property
    def exam_tags(self) -> tuple[str, ...]:
        """The one tag."""
        return (self.exam_tag,)

    @property
    def unexamined(self) -> Mapping[str, str]:
        """None: whoever is alone is examined, or the run stops."""
        return {}

    async def admit(self, examine: Examine) -> list[str]:
        """Have this place examined.

        Args:
            examine: called with the observer, and with what follows its name in the exam's; returns what to tell.
        """
        return [await examine(self, self.exam_tag)]

    async def __aenter__(self) -> Self:
        import aiohttp

        self._proxy = endpoint.proxy(self._place)
        self._key = self._find_key()
        self.window, self._probing = self._new_window(), asyncio.Lock()
        self._pictures = completion.Pictures(self._options.encoding, self._options.detail, self.shape)
        self._budget.open()
        self._budget.tell = lambda line: self.tell(line)
        self._reset_calls()
        self._resume_at, self._out_since = 0.0, None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),  # uvicorn closes after 5 s
            timeout=aiohttp.ClientTimeout(total=self._options.timeout_s, sock_connect=self._options.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "User-Agent": "limen", **self._sent, **self._key.header},
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
        hasty = not self._alone and not self._answered  # it is examined, and others wait for its exam
        return await self.ask(query, TRIES if hasty else self._options.retries)

    async def ask(self, query: Query, tries: int) -> Reply:
        """Answer one query as `answer` does, with fewer attempts where another endpoint could be asked instead.

        Args:
            query: to answer.
            tries: attempts at most; one that the server refused for its rate while it answered others is none of them.

        Raises:
            FatalObserverError: no other query would be answered either.
        """
        task = asyncio.current_task()
        assert task is not None
        attempts: list[Attempt] = []
        self._asking.add(task)
        try:
            return await self._ask(query, tries, attempts)
        except asyncio.CancelledError:
            if task not in self._ended or task.uncancel():  # whoever asks was cancelled, too
                raise
            return Reply(None, tuple(attempts))
        finally:
            self._asking.discard(task)

    def stop(self) -> int:
        """Send nothing more, end what waits with no answer, and return how many calls are under way."""
        self._stopping = True
        self._ended = self._asking - self._sending
        for task in self._ended:
            task.cancel()
        return len(self._sending)

    async def _ask(self, query: Query, tries: int, attempts: list[Attempt]) -> Reply:
        call = _Call(query, await self._encode(query), token_probability.offers_letters(query.text), attempts)
        counted, spared, probed, first = 0, 0, False, time.monotonic()
        while True:
            began = time.monotonic()
            asked = self.candidates
            outcome, attempt = await self._try(call, asked)
            call.attempts.append(attempt)
            if isinstance(outcome, Failure) and outcome.fate == "suspect":
                if asked != self.candidates:
                    outcome = replace(outcome, fate="free")
                elif not probed and counted + 1 < tries:
                    found = await self._ask_without(call, asked, began)
                    outcome, probed, counted = found or outcome, found is not None, counted + (found is not None)
            if isinstance(outcome, completion.Completion):
                return Reply(outcome.answer, tuple(call.attempts))
            if outcome.fate == "fatal":
                offers = await self._offers() if outcome.kind == "not-found" else ""
                raise FatalObserverError(outcome.kind, outcome.detail + offers)
            if outcome.fate == "free":
                continue
            if outcome.out and not self._alone and (outcome.kind == "unreachable" or self._heard_at <= began):
                raise ServerAwayError(call.attempts)
            if not self._waits(outcome, began):
                counted += 1
                self._expect_met(outcome, counted)
                spared += outcome.kind in LIMITED and self._heard_at > first
                if outcome.fate == "never" or counted >= self._options.retries or counted - spared >= tries:
                    self._count_refusal(outcome)
                    return Reply(None, tuple(call.attempts))
            if self._stopping:
                return Reply(None, tuple(call.attempts))
            await self._back_off(outcome, query, len(call.attempts))

    async def request(self, query: Query) -> bytes:
        """Return the body of the request that asks a question, as it is sent and as batch files hold it."""
        return b"".join(self._body(query.draw, self.candidates, await self._encode(query)))

    def reply(self, status: int, body: bytes, letters: bool, candidates: int) -> Reply:
        """Return what a response of a batch says; what would end a run here is one failed attempt like the others.

        Args:
            status: of the response, as HTTP has it.
            body: of the response, JSON.
            letters: whether the question offered A for yes and B for no.
            candidates: log probabilities that it asked for at each position.
        """
        outcome = self._sort(status, {}, body, candidates, letters)
        if isinstance(outcome, Failure):
            return Reply(None, (Attempt(outcome.kind, outcome.detail),))
        return Reply(outcome.answer, (Attempt("ok", outcome.system),))

    async def _offers(self) -> str:
        """Return a sentence about the models that the endpoint offers, asked once; "" where it does not say."""
        async with self._probing:
            if self._offered is None and self._session is not None:
                names = [self._key.hide(name) for name in offered.read(await self._look() or b"")]
                self._offered = offered.sentence(self._model, names)
        return self._offered or ""

    async def model_there(self) -> tuple[bool, Mapping[str, str] | None]:
        """Return whether the server is there, and what it says of the model that answers (`offered.identity`)."""
        data = await self._look()
        said = offered.identity(self._model, data or b"") or {}
        return data is not None, {name: self._key.scrub(value) for name, value in said.items()} or None

    async def _look(self) -> bytes | None:
        """Return the list of the server's models; b"" where it gives none, None where it is away."""
        import aiohttp

        assert self._session is not None
        way, headers = self._way(self._place.models)
        patience = aiohttp.ClientTimeout(total=min(PATIENCE, self._options.timeout_s))
        try:
            get = self._session.get(self._place.models, headers=headers, allow_redirects=False, timeout=patience, **way)
            async with get as response:
                if response.status in AWAY:
                    return None
                self._met = True
                return await _read_all(response) if response.status == 200 else b""
        except ValueError:
            return b""
        except (aiohttp.ClientError, OSError):
            return None

    async def _try(self, call: _Call, candidates: int) -> tuple[completion.Completion | Failure, Attempt]:
        """Make one attempt, when it is its turn, and return what came of it with its record."""
        most = query_tokens(call.query) + self._options.max_tokens
        async with self.window.turn() as turn:
            sent = await self._may_send(call.query, most)
            if sent is None:
                return self._too_large(most)
            started = time.perf_counter()
            outcome = await self._send(call, candidates)
            seconds = time.perf_counter() - started
            self._budget.settle(sent, _tokens(outcome, most))
            if isinstance(outcome, completion.Completion):
                self.window.answered(turn, seconds)
            elif outcome.kind in LIMITED and self._options.adapt != "nothing":
                self.window.refused(turn)
        if isinstance(outcome, Failure):
            if not outcome.out:
                self._back_again()
            return outcome, Attempt(outcome.kind, outcome.detail, seconds)
        self._back_again()
        self._heard_at, self._answered = time.monotonic(), True
        self._worked += candidates > 0 and candidates == self.candidates
        if outcome.answer.finish == "content_filter" and not self._filtered_told:
            self._filtered_told = True
            what = "refused or filtered an answer (finish content_filter), which is kept as it is and paid for."
            self.tell(f"{self._host} {what} {self.remedies.filtered}".rstrip())
        answer = replace(outcome.answer, seconds=seconds)
        return replace(outcome, answer=answer), Attempt("ok", outcome.system, seconds)

    def _too_large(self, tokens: int) -> tuple[Failure, Attempt]:
        """Return what becomes of a question that alone is larger than what any minute allows."""
        most = self._budget.expected(tokens)
        may = "may take" if most == tokens else "takes, as others did,"
        told = f"It {may} {most:,} tokens, and tpm allows {self._budget.tokens:,} in a minute. Raise tpm, or"
        failure = self._fail("rejected", f"{told} set --max-side or -O max_tokens=N to less.", "never")
        return failure, Attempt(failure.kind, failure.detail)

    async def _may_send(self, query: Query, tokens: int) -> Sent | None:
        """Wait until neither a pause nor the budget forbids a request; None if the budget always does."""
        while True:
            await self._pause_over(query)
            sent = await self._budget.take(tokens)
            if sent is None or self._resume_at <= time.monotonic():
                return sent
            self._budget.withdraw(sent)

    # --- log probabilities ---

    async def _ask_without(self, call: _Call, asked: int, began: float) -> completion.Completion | Failure | None:
        """Find out whether a question fails because log probabilities were asked for, and return what came of it.

        It is asked without them, and twice more with them: only where the first is answered and these fail again are
        they the reason, so that hardly any passing overload is taken for one. Where more questions have failed so than
        were answered with them, fewer are asked for from then on; else this one alone goes without.

        Returns:
            None where nothing is known: somebody else has just found out that they are not the reason.
        """
        async with self._probing:
            if self.candidates != asked:
                return Failure("logprobs-refused", "", "free")
            if self._probed_at > began:
                return None
            plain, found = await self._try(call, 0)
            self._probed_at = time.monotonic()
            if isinstance(plain, Failure):
                call.attempts.append(found)
                return plain
            while self.candidates:
                asked = self.candidates
                for _ in range(CONFIRMED):
                    again, second = await self._try(call, asked)
                    if not (isinstance(again, Failure) and again.fate in ("suspect", "free")):
                        what = "Answered without log probabilities, to see whether they are why it failed."
                        call.attempts += [Attempt("logprobs-probe", what, found.seconds), second]
                        return again
                    call.attempts.append(replace(second, outcome="logprobs-refused"))
                self._broken += 1
                if self._broken <= self._worked:
                    break
                self._ask_for_fewer(asked, call.attempts[-1].detail)
            call.attempts.append(found)
            return plain

    def _ask_for_fewer(self, asked: int, why: str) -> None:
        """Ask for 5 candidates where 20 are too many, then for none, and say so."""
        if self.candidates != asked:
            return
        self.candidates, self._worked, self._broken = 5 if asked > 5 else 0, 0, 0
        what = f"for {self.candidates} log probabilities at most" if self.candidates else "for no log probabilities"
        missing = "" if self.candidates else ": answers have no p(yes)"
        self._refused = f"It is asked {what}{missing} ({why.rstrip('.')})."
        self.tell(f"{self.name}: {self._refused}")

    # --- when nobody answers ---

    def _waits(self, failure: Failure, began: float) -> bool:
        """Say whether an attempt that failed counts for nothing, because the server is away and is waited for.

        Raises:
            FatalObserverError: it has been away too long.
        """
        patience = self._options.wait_for_server_s
        patience = (OUTAGE if self._met else 0.0) if patience is None else patience
        if not failure.out or patience == 0 or self._heard_at > began:
            return False
        now = time.monotonic()
        self._out_since = began if self._out_since is None else self._out_since
        away = now - self._out_since
        if away >= patience:
            self._expect_met(failure, self._options.retries)
            kept = "What was answered is kept: run the same command again when it is back."
            why = self._key.scrub(failure.detail, 150)
            raise FatalObserverError(failure.kind, f"{self._host} has been away for {spoken(away)}: {why} {kept}")
        if not self._out_told and away >= UNSAID:
            self._out_told = True
            self.tell(f"{self._host} does not answer: {failure.detail} Waiting for it, {spoken(patience)} at most.")
        return True

    def _back_again(self) -> None:
        """Note that the server is there."""
        if self._out_told and self._out_since is not None:
            self.tell(f"{self._host} is back after {spoken(time.monotonic() - self._out_since)}.")
        self._out_since, self._out_told = None, False

    def _count_refusal(self, failure: Failure) -> None:
        """Raise if one question after the other is refused and none was ever answered: the next would be too."""
        if failure.fate == "never" and not self._answered:
            self._refusals += 1
            if self._refusals >= REFUSALS:
                raise FatalObserverError(
                    failure.kind, f"{self._refusals} questions, and none answered. {failure.detail}"
                )

    async def _encode(self, query: Query) -> tuple[bytes, ...]:
        """Return the content list of the message, as pieces of JSON."""
        pieces: list[bytes] = []
        for part in query.parts:
            if pieces:
                pieces.append(b",")
            if isinstance(part, str):
                pieces.append(orjson.dumps(self._said(part)))
            else:
                pieces.append(await self._pictures.get(part))
        return tuple(pieces)

    # --- what differs between services ---

    def _ending(self, model: str) -> str:
        """Return the end of the path that a model is asked at."""
        return "/chat/completions"

    def _said(self, text: str) -> dict[str, str]:
        """Return a text as a part of the message."""
        return {"type": "text", "text": text}

    def _read(self, data: bytes, letters: bool) -> completion.Completion | completion.NoAnswer:
        """Read the body of a reply that claims success."""
        return completion.read(data, letters, self.remedies)

    def _head(self, draw: int, candidates: int) -> bytes:
        """Return the request body up to the content list."""
        options = self._options
        fields: dict[str, Any] = {"model": self._model, options.max_tokens_name: options.max_tokens}
        if self._temperature is not None:
            fields["temperature"] = self._temperature
        if options.seed is not None:
            fields["seed"] = options.seed + draw
        if candidates:
            fields |= {"logprobs": True, "top_logprobs": candidates}
        opening = orjson.dumps({**self._extra, **fields})
        return opening[:-1] + b',"messages":[{"role":"user","content":['

    def _body(self, draw: int, candidates: int, parts: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the request body, as pieces of JSON."""
        return (self._head(draw, candidates), *parts, b"]}]}")

    # --- one request ---

    async def _send(self, call: _Call, candidates: int) -> completion.Completion | Failure:
        """Send one request, which `stop` lets come in."""
        task = asyncio.current_task()
        assert task is not None
        self._sending.add(task)
        try:
            return await self._post(call, candidates)
        finally:
            self._sending.discard(task)

    async def _post(self, call: _Call, candidates: int) -> completion.Completion | Failure:
        """Send one request and say what came back."""
        import aiohttp
        from yarl import URL

        if self._session is None:
            raise InputError(f"{self.name} is closed. Ask inside 'async with observer:'.")
        body, url = self._body(call.query.draw, candidates, call.parts), URL(self._place.url)
        way, headers = self._way(self._place.url)
        headers["Content-Length"] = str(sum(map(len, body)))
        try:
            for hop in range(1 + HOPS):
                if hop:
                    await self._budget.take(0)  # it counts as a request, too
                post = self._session.post(url, data=_stream(body), headers=headers, allow_redirects=False, **way)
                async with post as response:
                    data = await _read_all(response)
                self._met = True
                if not 300 <= response.status < 400:
                    outcome = self._sort(response.status, response.headers, data, candidates, call.letters)
                    if isinstance(outcome, Failure) and outcome.kind == "logprobs-refused":
                        self._ask_for_fewer(candidates, outcome.detail)
                    return outcome
                target = url.join(URL(response.headers.get("Location", "")))
                if response.status not in (307, 308) or not target.absolute or target.origin() != url.origin():
                    return self._redirected(response.status, target)
                url = target
            return self._redirected(response.status, url)
        except aiohttp.ConnectionTimeoutError:
            within = f"{self._host} takes no connection within {self._options.connect_timeout_s:g} s."
            return self._fail("unreachable", within, out=True)
        except TimeoutError:
            return self._fail("timeout", f"{self._host} gave no reply within {self._options.timeout_s:g} s.")
        except aiohttp.ClientConnectorCertificateError as error:
            advice = "Correct base_url, or install the certificate of the host's authority."
            return self._fail("certificate", f"{self._host} is not trusted: {error}. {advice}", "fatal")
        except aiohttp.ClientConnectorError as error:
            why = "" if "Connect call failed" in str(error) else f" ({error.os_error})"
            return self._fail("unreachable", f"{self._host} takes no connection{why}.", out=True)
        except aiohttp.ClientHttpProxyError as error:
            return self._refused_by_proxy(error.status, error.message)
        except aiohttp.ClientResponseError as error:
            return self._fail("malformed", f"{self._host} does not speak HTTP: {error.message}.")
        except (aiohttp.ClientError, OSError) as error:
            what = f"{self._host} broke the connection: {str(error) or type(error).__name__}."
            return self._fail("connection", what)  # somebody was there: this question may be what breaks it
        except ValueError as error:  # a Location that is not a URL, a reply without end
            return self._fail("malformed", f"{self._host}: {error}.")

    def _way(self, url: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return how a request gets through the proxy, where there is one: arguments of aiohttp, and headers."""
        if self._proxy is None:
            return {}, {}
        login = self._proxy.headers()
        through = {"proxy": self._proxy.url, "proxy_headers": login}
        # Without encryption it is the proxy that passes the request on; a tunnel's login is for the proxy alone.
        return through, {**login} if url.startswith("http:") else {}

    def _new_window(self) -> Window:
        return Window(self._options.concurrency, by_latency=self._options.adapt == "latency")

    def _fail(self, kind: str, detail: str, fate: Fate = "again", out: bool = False) -> Failure:
        return Failure(kind, self._key.scrub(detail), fate, out=out)

    def _redirected(self, status: int, target: "URL") -> Failure:
        where = f"{target.scheme}://{target.host}:{target.port}" if target.absolute else "what is not a web address"
        detail = f"{self._host} redirects ({status}) to {where}, and photographs and key do not follow."
        return self._fail("redirect", f"{detail} If you trust that address, name it in base_url.", "fatal")

    def _refused_by_proxy(self, status: int, message: str) -> Failure:
        proxy = self._proxy.host if self._proxy else "of the environment"
        what = f"The proxy {proxy} opens no way to {self._host} ({status} {message})."
        if status not in (403, 407):
            return self._fail("unreachable", what, out=True)
        advice = "Put user and password into its URL, or add the host to NO_PROXY."
        return self._fail("proxy", f"{what} {advice}", "fatal")

    def _expect_met(self, last: Failure, counted: int) -> None:
        """Raise if two attempts did not even connect, and none ever did: waiting longer would start no server."""
        if last.kind == "unreachable" and not self._met and counted >= min(2, self._options.retries):
            told = f"Nothing answers at {self._host}. Start the server, or correct base_url. {last.detail}"
            raise FatalObserverError("unreachable", self._key.scrub(told))

    def _sort(
        self, status: int, headers: Mapping[str, str], data: bytes, candidates: int, letters: bool
    ) -> completion.Completion | Failure:
        """Turn a response into an answer or a failure with its fate; no secret that a server says back gets further."""
        if 200 <= status < 300:
            read = self._read(data, letters)
            if isinstance(read, completion.Completion):
                return self._clean(read)
            if not read.status:
                lasting = read.lasting and not self.sampled
                return self._fail(read.kind, read.detail, "never" if lasting else "again")
            status = read.status
        said = complaint.read(data)
        if status in (400, 403, 422, 451) and said.filtered:
            return completion.Completion(Answer("", finish="content_filter"))
        options = self._options
        asked = complaint.RequestContext(
            self._host, self._model, options.api_key_env, options.max_tokens, options.max_tokens_name,
            max(complaint.LONG, options.longest_wait_s), candidates, self._answered,
            bool(re.search(r"/v\d", self._place.path)), self.remedies,
        )  # fmt: skip
        said = replace(said, message=self._key.scrub(said.message, 2 * complaint.SHARED))
        failure = complaint.judge(status, headers, said, asked)
        return replace(failure, detail=self._key.scrub(failure.detail, 2 * LONGEST))

    def _clean(self, heard: completion.Completion) -> completion.Completion:
        answer, hide = heard.answer, self._key.hide
        model = " ".join(hide(answer.model)[:200].split())
        return completion.Completion(
            replace(answer, text=hide(answer.text), model=model), self._key.scrub(heard.system, SYSTEM)
        )

    async def _back_off(self, failure: Failure, query: Query, counted: int) -> None:
        """Sleep before the next attempt; where the server named a time, no other request starts before it."""
        jitter, longest = self._jitter(query, counted), self._options.longest_wait_s
        longest = min(POLL, longest) if self._out_since is not None else longest
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
        return digest.seed("back-off", self._model, query.key(""), counted) / 2**128

    def _find_key(self) -> Key:
        """Return key and secret headers, as the environment has them now.

        Raises:
            FatalObserverError: one is missing, cannot be sent, could be read by a proxy, or stands in a setting.
        """
        variable, host = self._options.api_key_env, self._host
        named = {name: value.removeprefix(FROM) for name, value in self._headers.items() if value.startswith(FROM)}
        key = Key(  # in no variable of its own: a traceback would show it
            os.environ.get(variable, "").strip() if variable else "",
            {name: os.environ.get(one, "").strip() for name, one in named.items()},
            (self._proxy.login if self._proxy else None) or (),
            self.carrier,
        )
        if not key.sendable:
            raise FatalObserverError("key", f"{variable} holds blanks or characters no key has. Set it again.")
        for name in key.faults:
            what = f"{named[name]}, for the header {name}, is empty or holds characters no header can carry. Set it."
            raise FatalObserverError("key", f"{host}: the variable {what}")
        if not key and variable and self._place.encrypted:
            raise FatalObserverError(
                "key",
                f"No key for {host}: the environment variable {variable} is empty. Set it, name another with "
                "api_key_env, or set api_key_env = '' for a host that needs none.",
            )
        if key and self._proxy and not self._place.encrypted:
            raise FatalObserverError(
                "proxy",
                f"The proxy {self._proxy.host} would read the key for {host}, which goes without encryption. Use "
                "https://, add the host to NO_PROXY, or set api_key_env = '' where it needs no key.",
            )
        if key.stands_in(orjson.dumps(dict(self.fingerprint())).decode()):
            raise FatalObserverError(
                "key", f"The key for {host} stands in a setting, which runs keep. Take it out there."
            )
        return key


@observer("openai", OpenAIOptions)
def openai(model: str, options: OpenAIOptions) -> Observer:
    """Any OpenAI-compatible chat endpoint: openai:MODEL, with base_url for hosts other than OpenAI's."""
    urls = endpoint.urls(options.base_url)
    if len(urls) == 1:
        return OpenAI(model, msgspec.structs.replace(options, base_url=urls[0]))
    from limen.observers.openai.several import Several

    return Several(model, options, urls)


def _tokens(outcome: completion.Completion | Failure, most: int) -> int | None:
    """Return the tokens that an answer took, those reckoned where it does not say; None without an answer."""
    if isinstance(outcome, Failure):
        return None
    said = outcome.answer.tokens_in, outcome.answer.tokens_out
    return most if None in said else sum(one or 0 for one in said)


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
