"""A server for one person at this machine: pages that only look, behind an address that only they know.

It listens on the loopback interface, answers GET alone, and nothing without the random token in the address. Host and
Origin must be of this machine, so that no page of another site can reach it through a name that it points here (DNS
rebinding). Pages load nothing from elsewhere, and may not.
"""

import asyncio
import functools
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from limen.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin", "Server": "limen",
}  # fmt: skip
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
ASK = "This address needs the rest of what `limen watch` printed.\n"
_PAGE = resources.files("limen").joinpath("web/page")

Says = Callable[[], Awaitable[object]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def check_host(host: str, port: int) -> str:
    """Return the host to listen on.

    Args:
        host: that was given.
        port: that was given, 0 for any; for the message.

    Raises:
        InputError: it is not of the loopback interface; the line says how to look from another machine.
    """
    if host in LOOPBACK:
        return host
    number = port or 8123
    raise InputError(
        f"--host is {host}: a run is shown to this machine alone. Leave --host away and give --port {number}; on the "
        f"other machine: ssh -L {number}:127.0.0.1:{number} THIS-MACHINE, then open the address there."
    )


def application(token: str, data: Mapping[str, Says], page: str = "watch") -> web.Application:
    """Return the application that shows one page and the data it asks for.

    Args:
        token: what an address must begin with.
        data: what is returned as JSON, by its name in the address; called at each request.
        page: name of the page's files in `web/page`.
    """
    made = web.Application(middlewares=[_guard(token)], client_max_size=1024)
    for address, name in (("", f"{page}.html"), ("page.css", f"{page}.css"), ("page.js", f"{page}.js")):
        made.router.add_get(f"/{token}/{address}", page_file(name), allow_head=False)
    for name, says in data.items():
        made.router.add_get(f"/{token}/{name}", functools.partial(_json, says), allow_head=False)
    made.on_response_prepare.append(dress)
    return made


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def same(given: str, token: str) -> bool:
    """Say whether a token is the right one, in a time that does not tell how much of it is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def serve(made: web.Application, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until the task is cancelled.

    Args:
        made: of `application`.
        host: of the loopback interface.
        port: to listen on; 0 for one that is free.
        ready: called with the port once somebody can ask.

    Raises:
        InputError: the port cannot be had.
    """
    runner = web.AppRunner(
        made, access_log=None, handle_signals=False, keepalive_timeout=15, shutdown_timeout=1,
        auto_decompress=False,  # no page compresses what it says
    )  # fmt: skip
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise InputError(
                f"Port {port} cannot be had ({error.strerror or error}). Give another --port, or none."
            ) from None
        ready(int(runner.addresses[0][1]))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _guard(token: str) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _of_this_machine(request):
            return web.Response(status=403, text="This page is for the machine it runs on.\n")
        first = request.path.split("/", 2)[1]
        if not same(first, token):
            return web.Response(status=404, text=ASK)
        if request.method != "GET":
            return web.Response(status=405, text="This page only looks.\n", headers={"Allow": "GET"})
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.reason}.\n")

    return guard


def _of_this_machine(request: web.Request) -> bool:
    """Say whether a request names this machine, and comes from no page but its own.

    A tunnel may end at another port; the name stays.
    """
    host = request.headers.getall("Host", [])
    if len(host) != 1 or _name(f"//{host[0]}") not in LOOPBACK:
        return False
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host[0]}":
        return False
    return request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def page_file(name: str) -> Handler:
    """Return what sends one of the files in `web/page`, read once."""
    content = _PAGE.joinpath(name).read_bytes()
    kind = KINDS[name[name.rindex(".") :]]

    async def send(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return send


async def _json(says: Says, request: web.Request) -> web.StreamResponse:
    """Send what there is to say, or 304 where the page has it already."""
    body = orjson.dumps(await says())
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "X-Now": f"{time.time():.3f}"}  # the page may be in another time
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/json", headers=headers)


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on a response that keep a page to itself."""
    response.headers.update(HEADERS)
