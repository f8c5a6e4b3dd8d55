"""A small server of the page of a participant, which remembers all that it is sent: for tests of the page alone.

    with Desk(Study(presentation="in-turns", show_ms=300)) as desk:
        page.goto(desk.link())
        ...
        desk.kill(); desk.start()      # what it has kept is as it was: the disk of a real one
        desk.arrived["2"]              # how often each answer came, by the id of its question

It draws its pictures itself, one after the other, all different in every pixel row, so that a screenshot tells which
is shown, where, and whether a pixel is missing.
"""

import asyncio
import io
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from aiohttp import web
from PIL import Image as Pillow

from limen.web import server

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; base-uri "
    "'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
FRESH = 15.0  # seconds without a sign of life after which a tab is taken for closed
YES_NO = {
    "kind": "buttons",
    "options": [{"value": "yes", "label": "Yes", "key": "y"}, {"value": "no", "label": "No", "key": "n"}],
}


@dataclass(frozen=True)
class Study:
    """What is asked, and how.

    Attributes:
        forms: of the questions, in turns.
        practice, trials: how many questions there are of each.
        pictures, width, height: of one question.
        stop_after: trials after which a sitting is over; 0 for none.
    """

    title: str = "Which pictures look different?"
    consent: str = "You will compare pictures.\n\nYour answers are kept under an alias, and nothing else is."
    instructions: str = ""
    thanks: str = "Thank you very much."
    text: str = "Do these two pictures differ?"
    forms: tuple[dict[str, Any], ...] = (YES_NO,)
    practice: int = 0
    trials: int = 3
    pictures: int = 2
    width: int = 120
    height: int = 90
    presentation: str = "side-by-side"
    show_ms: int = 0
    blank_ms: int = 100
    flicker_hz: float = 4.0
    zoom: int = 1
    background: int = 128
    confidence: tuple[str, ...] = ()
    break_every: int = 0
    stop_after: int = 0
    sittings: int = 3
    measured: bool = False  # the screen is known from an earlier sitting


def picture(number: int, place: int, width: int, height: int) -> Any:
    """Return the pixels of a picture: noise, of which no pixel is the background's."""
    drawn = np.random.default_rng([number, place]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    drawn[drawn == 128] = 0
    return drawn


@dataclass
class Participant:
    """One participant, as the disk knows it."""

    alias: str
    tab: str = ""
    seen: float = -1e9
    screen: dict[str, Any] | None = None
    stated: bool = False
    sitting: int = 1
    resting: bool = False
    at: int = 0  # the question that is due
    feedback: dict[str, Any] | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)


class Desk:
    """The server, in a thread of its own. `base` is where its links begin; what it keeps outlives `kill`."""

    def __init__(self, study: Study | None = None) -> None:
        self.study = study or Study()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.people: dict[str, Participant] = {}
        self.arrived: Counter[str] = Counter()
        self.told: list[tuple[str, dict[str, Any]]] = []  # everything that came, by its name
        self.losing = 0  # answers to take, and then to break off instead of replying
        self.waits = 0  # times that "next" is put off
        self.refuses: dict[str, tuple[str, str]] = {}  # what is refused, with error and text, by name
        self._thread: threading.Thread | None = None

    # --- for tests ---

    def link(self, alias: str = "p01") -> str:
        """Return the personal link of a participant, who has joined by now."""
        self.people.setdefault(f"link-{alias}", Participant(alias, screen=SCREEN if self.study.measured else None))
        return self.address(alias)

    def address(self, alias: str) -> str:
        """Return where the personal link of a participant leads, who may be still to join."""
        return f"{self.base}/link-{alias}/"

    @property
    def invitation(self) -> str:
        """The link that makes participants."""
        return f"{self.base}/invitation/"

    def answers(self, alias: str = "p01") -> list[dict[str, Any]]:
        """Return what a participant has answered, each question once, in order."""
        return self.people[f"link-{alias}"].answers

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return what was sent under a name."""
        return [body for one, body in self.told if one == name]

    def shown(self, number: int) -> list[Any]:
        """Return the pictures of a question."""
        study = self.study
        return [picture(number, place, study.width, study.height) for place in range(study.pictures)]

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def kill(self) -> None:
        """End it at once; what is under way gets no reply."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(10)
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    # --- the server ---

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        made = web.Application(client_max_size=16_384)
        for path, name in (("", "people.html"), ("page.css", "people.css"), ("page.js", "people.js")):
            made.router.add_get(f"/{{token}}/{path}", server.page_file(name))
        made.router.add_get("/{token}/state.json", self._state)
        made.router.add_get("/{token}/picture/{id}/{place}.png", self._picture)
        made.router.add_post("/{token}/{name}", self._post)
        made.on_response_prepare.append(_dress)
        runner = web.AppRunner(made, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _state(self, request: web.Request) -> web.Response:
        study, token = self.study, request.match_info["token"]
        role = "invitation" if token == "invitation" else "participant"
        texts = {"title": study.title, "consent": study.consent, "instructions": study.instructions}
        return web.json_response({"role": role, **texts, "language": "en"})

    async def _picture(self, request: web.Request) -> web.Response:
        person, number = self.people[request.match_info["token"]], int(request.match_info["id"].split("-")[1])
        if number not in (person.at, person.at + 1):
            return web.Response(status=404)
        buffer = io.BytesIO()
        Pillow.fromarray(self.shown(number)[int(request.match_info["place"])]).save(buffer, "PNG")
        return web.Response(body=buffer.getvalue(), content_type="image/png")

    async def _post(self, request: web.Request) -> web.StreamResponse:
        token, name = request.match_info["token"], request.match_info["name"]
        assert request.headers.get("Origin") == self.base, request.headers
        assert request.content_type == "application/json"
        body = json.loads(await request.read())
        self.told.append((name, body))
        if name in self.refuses:
            return _refuse(*self.refuses[name])
        if name == "join":
            return self._join(body)
        person = self.people[token]
        if name == "open":
            took = body["tab"] != person.tab and time.monotonic() - person.seen < FRESH
            person.tab, person.seen = body["tab"], time.monotonic()
            if person.resting and person.sitting < self.study.sittings and any(True for _ in person.answers):
                person.sitting, person.resting, person.stated = person.sitting + 1, False, False
            return web.json_response(self._session(person) | {"took_over": took})
        if body["tab"] != person.tab:
            return _refuse("taken", "Another tab goes on.")
        person.seen = time.monotonic()
        if name in ("beat", "gap"):
            return web.json_response({})
        if name == "screen":
            if person.screen and body["screen"]["ratio"] != person.screen["ratio"]:
                return _refuse("screen", "This is another screen than the one you began on.")
            person.screen, person.stated = person.screen or body["screen"], True
            return web.json_response(self._session(person))
        if name == "stop":
            person.resting = True
            return web.json_response(self._session(person))
        if name == "answer" and (lost := self._take(person, body, request)) is not None:
            return lost
        return web.json_response(self._turn(person, name))

    def _join(self, body: dict[str, Any]) -> web.Response:
        assert body["agreed"] is True
        if f"link-{body['alias']}" in self.people:
            return _refuse("invalid", f"The alias {body['alias']} is taken. Choose another one.")
        self.link(body["alias"])
        return web.json_response({"address": f"/link-{body['alias']}/"})

    def _take(self, person: Participant, body: dict[str, Any], request: web.Request) -> web.Response | None:
        """Keep an answer, once; say what is wrong with it."""
        self.arrived[body["id"]] += 1
        if body["id"] != f"{person.alias}-{person.at}":
            known = any(one["id"] == body["id"] for one in person.answers)
            return None if known else _refuse("invalid", "No question waits for this answer.")
        person.answers.append(body)
        if person.at < self.study.practice:
            person.feedback = {"right": body["value"] != "no", "text": "These two do differ."}
        person.at += 1
        done = person.at - self.study.practice
        if self.study.stop_after and done > 0 and done % self.study.stop_after == 0:
            person.resting = True
        if self.losing:
            self.losing -= 1
            assert request.transport is not None
            request.transport.abort()
        return None

    def _stage(self, person: Participant) -> str:
        if person.at >= self.study.practice + self.study.trials:
            return "done"
        if person.resting:
            return "rest"
        return "practice" if person.at < self.study.practice else "trials"

    def _session(self, person: Participant) -> dict[str, Any]:
        study, stage = self.study, self._stage(person)
        names = ("presentation", "show_ms", "blank_ms", "flicker_hz", "zoom", "background", "confidence", "break_every")
        protocol = {name: getattr(study, name) for name in names} | {"distance_cm": 60, "minutes": 20}
        return {
            "stage": "screen" if stage in ("practice", "trials") and not person.stated else stage,
            "alias": person.alias, "sitting": person.sitting, "sittings": study.sittings, "screen": person.screen,
            "took_over": False, "protocol": protocol, "instructions": study.instructions, "thanks": study.thanks,
            "largest": [study.width, study.height], "pictures": study.pictures, **self._far(person),
        }  # fmt: skip

    def _far(self, person: Participant) -> dict[str, Any]:
        done = max(0, person.at - self.study.practice)
        return {"answered": done, "expected": self.study.trials, "minutes_left": (self.study.trials - done) / 10}

    def _turn(self, person: Participant, name: str) -> dict[str, Any]:
        stage = self._stage(person)
        feedback, person.feedback = (person.feedback, None) if name == "answer" else (None, person.feedback)
        wait = self.waits > 0 and stage in ("practice", "trials")
        self.waits -= wait
        last = self.study.practice + self.study.trials
        asked = stage in ("practice", "trials") and not wait
        done, every = person.at - self.study.practice, self.study.break_every
        return {
            "stage": stage, "wait": wait, "retry_ms": 50, "feedback": feedback,
            "turn": self._presented(person, person.at) if asked else None,
            "ahead": self._presented(person, person.at + 1) if asked and person.at + 1 < last else None,
            "break": bool(every and done > 0 and done % every == 0), **self._far(person),
        }  # fmt: skip

    def _presented(self, person: Participant, number: int) -> dict[str, Any]:
        study, name = self.study, f"{person.alias}-{number}"
        size = {"width": study.width, "height": study.height}
        return {
            "id": name, "kind": "practice" if number < study.practice else "trial", "text": study.text,
            "pictures": [{"address": f"picture/{name}/{place}.png", **size} for place in range(study.pictures)],
            "form": study.forms[number % len(study.forms)],
        }  # fmt: skip


SCREEN = {
    "pixels_per_cm": 37.8, "distance_cm": 60, "ratio": 1, "width": 1280, "height": 900, "gamma": 2.2, "depth": 24,
    "gamut": "srgb", "hdr": False, "checker": True, "touch": False, "refresh_hz": 60.0,
}  # fmt: skip


def _refuse(error: str, text: str) -> web.Response:
    return web.json_response({"error": error, "text": text}, status=503 if error == "closed" else 409)


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(server.HEADERS | {"Content-Security-Policy": POLICY})
