"""The server that participants of a study talk to: a page, their questions, their answers, and nothing else.

Three kinds of address there are, each with a token that nobody can guess: the invitation, which makes a participant;
each participant's own, which shows them their session and no other's; and the owner's, which shows how far everybody
is. A request must name a host that is expected (DNS rebinding), one that changes something must come from the page
itself (`Origin`), and what it says is small and checked.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec
import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from limen.errors import InputError, LimenError
from limen.people.lab import Lab
from limen.people.seat import GivenAnswer, Gone, Seat, Taken
from limen.web import server

LARGEST = 16 << 10  # bytes of a request
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_Tab = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e13)]  # ms since 1970
_Body = bytes


class _Tabbed(msgspec.Struct):
    tab: _Tab


class _Joining(msgspec.Struct):
    alias: Annotated[str, msgspec.Meta(max_length=200)]
    agreed: bool


class _Gap(_Tabbed):
    began: _Moment
    ended: _Moment


class _Measured(_Tabbed):
    screen: dict[str, Any]


class _Refusal(Exception):
    """What is said to a page that asked for something it cannot have."""

    def __init__(self, status: int, error: str, text: str) -> None:
        self.status, self.error, self.text = status, error, text
        super().__init__(text)


class Doors:
    """Which hosts a request may name, and how addresses for people begin.

    Args:
        host: that is listened on.
        address: what addresses begin with where a proxy stands in front ("https://study.example.org"); "" for none.

    Raises:
        InputError: the address is none, or the host is no name or number of this machine.
    """

    def __init__(self, host: str, address: str = "") -> None:
        self.host = host
        self.open = host not in server.LOOPBACK
        self._address = address.rstrip("/")
        parts = _parts(self._address) if address else None
        if address and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query):
            raise InputError(
                f"--address {address!r:.80} is none. Give what links begin with: https://study.example.org"
            )
        self._origin = f"{parts.scheme}://{parts.netloc}".casefold() if parts else None
        self._names = {*server.LOOPBACK, host.casefold(), *([parts.hostname] if parts and parts.hostname else [])}
        if self.open:
            self._names.add(socket.gethostname().casefold())

    def begin(self, port: int) -> str:
        """Return what addresses begin with."""
        if self._address:
            return self._address
        host = self.host
        if host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def lets_in(self, request: web.Request) -> bool:
        """Say whether a request names a host that is expected, and comes from no page but its own."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._expected(hosts[0]):
            return False
        origin = request.headers.get("Origin")
        if origin is None:
            mine = request.method == "GET"
        else:
            host = hosts[0].casefold()  # a proxy in front may speak https
            mine = origin.casefold() in (f"http://{host}", f"https://{host}", self._origin)
        return mine and request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")

    def _expected(self, host: str) -> bool:
        parts = _parts(f"//{host}")
        name = (parts.hostname or "").casefold() if parts else ""
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.open  # a number cannot be pointed elsewhere, as a name can


def _parts(address: str) -> SplitResult | None:
    """Return an address's parts; None where it is none."""
    try:
        parts = urlsplit(address)
        return parts if parts.port is None or parts.port else None
    except ValueError:  # of the port, too
        return None


def application(lab: Lab, doors: Doors) -> web.Application:
    """Return the application that participants, and the owner, talk to.

    Args:
        lab: the study, its run open.
        doors: who is let in.
    """
    made = web.Application(middlewares=[_guard(doors)], client_max_size=LARGEST)
    pages = {"people": _files("people", "people"), "owner": _files("owner", "watch")}

    def role(token: str) -> str:
        if server.same(token, lab.links.owner):
            return "owner"
        if server.same(token, lab.links.invitation):
            return "invitation"
        return "participant" if lab.seat(token) is not None else ""

    async def get(request: web.Request) -> web.StreamResponse:
        token, name = request.match_info["token"], request.match_info["name"]
        mine = role(token)
        if not mine:
            raise _Refusal(404, "gone", "This link does not lead to a study any more. Please check it.")
        files = pages["owner" if mine == "owner" else "people"]
        if name in files:
            return await files[name](request)
        if name == "state.json":
            return _json(lab.overview() | {"now": time.time()} if mine == "owner" else _about(lab, mine))
        raise _Refusal(404, "gone", "There is nothing at this address.")

    async def picture(request: web.Request) -> web.StreamResponse:
        seat = _seat(lab, request)
        body = await seat.picture(request.match_info["turn"], int(request.match_info["number"]))
        return web.Response(body=body, content_type="image/png")

    async def post(request: web.Request) -> web.StreamResponse:
        token, name = request.match_info["token"], request.match_info["name"]
        if request.content_type != "application/json":
            raise _Refusal(415, "invalid", "Send JSON.")
        body = await request.read()
        if name == "join" and role(token) == "invitation":
            joining = _read(body, _Joining)
            if not joining.agreed:
                raise _Refusal(409, "invalid", "To take part, please agree to the text above.")
            return _json({"address": f"/{await lab.join(joining.alias.strip())}/"})
        return _json(await _said(_seat(lab, request), name, body))

    made.router.add_get("/{token}/picture/{turn}/{number:\\d{1,2}}.png", picture, allow_head=False)
    made.router.add_get("/{token}/{name:[a-z.]*}", get, allow_head=False)
    made.router.add_post("/{token}/{name:[a-z]+}", post)
    made.on_response_prepare.append(server.dress)
    made.on_response_prepare.append(_dress)
    return made


async def serve(lab: Lab, doors: Doors, port: int, ready: Callable[[int], None]) -> None:
    """Serve a study until the task is cancelled.

    Args:
        lab: the study, its run open.
        doors: who is let in.
        port: to listen on; 0 for one that is free.
        ready: called with the port once somebody can ask.
    """
    tidying = asyncio.create_task(lab.tidy())
    try:
        await server.serve(application(lab, doors), doors.host, port, ready)
    finally:
        tidying.cancel()
        await lab.close()


async def _said(seat: Seat, name: str, body: _Body) -> dict[str, Any]:
    """Do what a participant's page asks for."""
    tab = _read(body, _Tabbed).tab
    if name == "open":
        return await seat.open(tab)
    await seat.heard(tab)
    match name:
        case "beat":
            return {}
        case "gap":
            gap = _read(body, _Gap)
            await seat.gap(gap.began / 1000, gap.ended / 1000)
            return {}
        case "screen":
            try:
                return await seat.on_screen(_read(body, _Measured).screen)
            except InputError as error:
                raise _Refusal(409, "screen", str(error)) from None
        case "next":
            return await seat.next()
        case "answer":
            return await seat.answer(_read(body, GivenAnswer))
        case "stop":
            await seat.rest()
            return seat.state()
    raise _Refusal(404, "gone", "There is nothing at this address.")


def _seat(lab: Lab, request: web.Request) -> Seat:
    seat = lab.seat(request.match_info["token"])
    if seat is None:
        raise _Refusal(404, "gone", "This link does not lead to a study any more. Please check it.")
    return seat


def _about(lab: Lab, role: str) -> dict[str, Any]:
    protocol = lab.protocol
    return {
        "role": role, "title": protocol.title, "consent": protocol.consent, "instructions": protocol.instructions,
        "language": "en",
    }  # fmt: skip


def _read(body: _Body, kind: type[_Struct]) -> _Struct:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Refusal(400, "invalid", f"This cannot be read ({error}).") from None


def _json(content: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def _files(page: str, style: str) -> dict[str, server.Handler]:
    addresses = {"": f"{page}.html", "page.css": f"{style}.css", "page.js": f"{page}.js"}
    return {address: server.page_file(name) for address, name in addresses.items()}


def _guard(doors: Doors) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: server.Handler) -> web.StreamResponse:
        if not doors.lets_in(request):
            return web.Response(status=403, text="This address is not the one this study is at.\n")
        try:
            return await handler(request)
        except _Refusal as error:
            return _json({"error": error.error, "text": error.text}, error.status)
        except Taken as error:
            return _json({"error": "taken", "text": str(error)}, 409)
        except Gone as error:
            return _json({"error": "gone", "text": str(error)}, 409)
        except InputError as error:
            return _json({"error": "invalid", "text": str(error)}, 409)
        except ConnectionError:  # whoever asked has gone
            return web.Response(status=400)
        except LimenError as error:
            return _json({"error": "closed", "text": str(error)}, 503)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.reason}.\n")

    return guard


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Content-Security-Policy"] = POLICY
