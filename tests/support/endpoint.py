"""A small OpenAI-compatible endpoint on 127.0.0.1 that answers truly, or goes wrong as it is told.

    with Endpoint() as server:
        server.script(status(429, headers={"Retry-After": "0.05"}), empty_choices())
        make("openai:toy", {"base_url": server.base_url, ...})
        server.requests[0].pictures

Unscripted it is a deterministic observer: it decodes the pictures it was sent and says yes where their pixels differ
by more than `threshold` grey levels rms. It runs in a thread with a loop of its own.
"""

import asyncio
import base64
import io
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson
from aiohttp import web
from PIL import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    payload: dict[str, Any] = field(repr=False)
    at: float = 0.0  # seconds of `time.monotonic`

    @property
    def content(self) -> list[dict[str, Any]]:
        """The content list of the one message."""
        (message,) = self.payload["messages"]
        return list(message["content"])

    @property
    def text(self) -> str:
        """The text parts, in order."""
        return "\n".join(part["text"] for part in self.content if part["type"] == "text")

    @property
    def files(self) -> list[bytes]:
        """The image files, in order."""
        urls = [part["image_url"]["url"] for part in self.content if part["type"] == "image_url"]
        return [base64.b64decode(url.partition(";base64,")[2], validate=True) for url in urls]

    @property
    def pictures(self) -> list[Pixels]:
        """The images decoded, in order."""
        return [np.array(Image.open(io.BytesIO(data))) for data in self.files]


Behaviour = Callable[["Endpoint", Request, web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """The server. Use it as a context manager.

    Args:
        threshold: grey levels rms above which the default behaviour says yes.
        latency: seconds before any reply.
        logprobs: whether it gives log probabilities when asked.
        behaviour: what it does when nothing is scripted.
    """

    def __init__(
        self,
        threshold: float = 2.0,
        latency: float = 0.0,
        logprobs: bool = True,
        behaviour: Behaviour | None = None,
    ) -> None:
        self.threshold, self.latency, self.logprobs = threshold, latency, logprobs
        self.behaviour: Behaviour = behaviour or compare
        self.requests: list[Request] = []
        self.models: tuple[str, ...] = ()  # what it says it offers; nothing by default
        self.about: dict[str, object] = {}  # what it says of each of them besides the name
        self.looks = 0  # how often it was asked for that
        self.in_flight = self.most_in_flight = 0
        self.port = 0
        self._script: deque[Behaviour] = deque()
        self._ready = threading.Event()

    @property
    def base_url(self) -> str:
        """What to give as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *behaviours: Behaviour) -> None:
        """Queue what it does with the next requests, one each; then the default again."""
        self._script.extend(behaviours)

    def leave(self) -> None:
        """Be away: take no connection, and break those that are there."""
        self._soon(self._leave())

    def come_back(self) -> None:
        """Be there again, at the same port."""
        self._soon(self._come_back())

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _leave(self) -> None:
        await self._site.stop()
        for connection in (*(self._runner.server.connections if self._runner.server else ()),):
            if connection.transport is not None:
                connection.transport.abort()

    async def _come_back(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024)
        await self._site.start()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the endpoint did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await runner.setup()
        await self._come_back()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method == "GET":  # of its models
            self.looks += 1
            listed = {"data": [{"id": name, **self.about} for name in self.models]}
            return reply(listed if self.models else {"error": "no such path"}, 200 if self.models else 404)
        seen = Request(request.path, dict(request.headers), body, orjson.loads(body) if body else {}, time.monotonic())
        self.requests.append(seen)
        behaviour = self._script.popleft() if self._script else self.behaviour
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return await behaviour(self, seen, request)
        finally:
            self.in_flight -= 1


def reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=orjson.dumps(body), status=status, headers=dict(headers or {}), content_type="application/json"
    )


def completion(
    text: str | None,
    finish: str | None = "stop",
    tokens: list[tuple[str, dict[str, float]]] | None = None,
    **message: object,
) -> dict[str, Any]:
    """Return the body of a chat completion.

    Args:
        text: the content.
        finish: the finish reason.
        tokens: (token, {candidate: probability}) at each position, for the log probabilities.
        message: further fields of the message.
    """
    content = [
        {
            "token": token,
            "logprob": math.log(rivals.get(token, 1.0)),
            "bytes": list(token.encode()),
            "top_logprobs": [{"token": rival, "logprob": math.log(p)} for rival, p in rivals.items()],
        }
        for token, rivals in tokens or ()
    ]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
        "logprobs": {"content": content} if tokens else None,
    }
    usage = {"prompt_tokens": 700, "completion_tokens": 9, "total_tokens": 709}
    return {"id": "1", "object": "chat.completion", "model": "toy-2026", "choices": [choice], "usage": usage}


async def compare(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
    """Say whether the two pictures differ: the default behaviour."""
    first, second = (picture.astype(np.float64) for picture in seen.pictures)
    rms = float(np.sqrt(np.mean((first - second) ** 2)))
    choice = "A. Yes" in seen.text
    yes, no = ("A", "B") if choice else ("yes", "no")
    p_yes = 1 / (1 + math.exp(-max(-30.0, min(30.0, rms - server.threshold))))
    flag = yes if rms > server.threshold else no
    what = "One image is visibly changed." if flag == yes else "Both images look the same."
    tokens = [(flag, {yes: 0.98 * p_yes, no: 0.98 * (1 - p_yes)})]
    asked = server.logprobs and seen.payload.get("logprobs")
    text = flag if choice else f"<{flag}> {what}"
    return reply(completion(text, tokens=(tokens if choice else [("<", {"<": 1.0}), *tokens]) if asked else None))


def together(count: int) -> Behaviour:
    """Answer nobody before `count` requests were there at once; from then on, as they come."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        while server.most_in_flight < count:
            await asyncio.sleep(0.005)
        return await compare(server, seen, request)

    return behave


def say(text: str | None, finish: str | None = "stop", **more: Any) -> Behaviour:
    """Answer with `text`; `more` as in `completion`."""
    return body(completion(text, finish, **more))


def body(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Reply with `value` as JSON."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        return reply(value, status, headers)

    return behave


def status(
    code: int, message: str = "no", headers: Mapping[str, str] | None = None, kind: str | None = None
) -> Behaviour:
    """Fail with a status and OpenAI's error object."""
    return body({"error": {"message": message, "type": "error", "code": kind}}, code, headers)


def raw(data: bytes, code: int = 200, content_type: str = "application/json") -> Behaviour:
    """Reply with these bytes: half a JSON, a page of HTML."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, status=code, content_type=content_type)

    return behave


def html(code: int = 200) -> Behaviour:
    """Reply with a page, as a gateway does that has lost its server."""
    return raw(b"<!doctype html><title>Bad gateway</title>", code, "text/html")


def empty_choices() -> Behaviour:
    """Reply without any choice."""
    return body({**completion("yes"), "choices": []})


def reset() -> Behaviour:
    """Tear the connection down."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return behave


def cut_short() -> Behaviour:
    """Announce more bytes than are sent."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        assert request.transport is not None
        request.transport.close()
        return response

    return behave


def stall(seconds: float = 30.0) -> Behaviour:
    """Send headers and half a body, then nothing for a while."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"choices": [')
        await asyncio.sleep(seconds)
        return response

    return behave


def redirect(location: str, code: int = 307) -> Behaviour:
    """Send the client elsewhere."""

    async def behave(server: Endpoint, seen: Request, request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={"Location": location})

    return behave
