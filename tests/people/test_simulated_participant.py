"""The simulated participant at the page's interface, against a server that keeps its side in a few lines."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from limen import distortion as distortions
from limen import question as questions
from limen.image import Picture, png
from limen.source import Reference
from limen.stimulus import Series
from limen.testing import photograph
from tests.support.participant import Habits, Known, Refused, SimulatedParticipant, Took, levels_of, take_part

PHOTO = photograph("participant", 48, 64)
SERIES = Series(Reference("a.png", Picture.of(PHOTO).digest, lambda: PHOTO), distortions.find("noise"))
RULER = levels_of([SERIES])


class Desk:
    """The server's side: `many` odd-one-out questions after one of practice; remembers what came."""

    def __init__(self, many: int) -> None:
        self.many, self.question, self.draw = many, questions.find("odd-one-out-4"), SERIES.open()
        self.tabs: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.answered: dict[str, str] = {}
        self.drop = Counter[str]()  # how many requests of a kind get no reply
        self.stopped = False
        self.paused = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        if what.startswith("picture/"):
            _, id_, number = what.split("/")
            return web.Response(body=png(self._pictures(int(id_))[int(number.removesuffix(".png"))]))
        if what == "state.json":
            return web.json_response({"role": "invitation" if "invite" in request.path else "participant"})
        content = await request.json()
        assert request.headers["Origin"] == f"http://{request.host}"
        if self.drop[what] > 0:
            self.drop[what] -= 1
            if what == "answer":
                self._take(content)  # it is the reply that is lost
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if what == "join":
            return web.json_response({"address": "/own/"})
        if what == "open":
            self.tabs.append(content["tab"])
            return web.json_response({"stage": "screen", "protocol": {}})
        if not self.tabs or content["tab"] != self.tabs[-1]:
            return web.json_response({"error": "taken", "text": "Another tab has taken over."}, status=409)
        if what == "screen":
            return web.json_response({"stage": "trials", "protocol": {"confidence": ["unsure", "sure"]}})
        if what == "answer":
            self._take(content)
        if what == "stop":
            self.stopped = True
        return web.json_response(self._turn(what))

    def _take(self, content: dict[str, Any]) -> None:
        self.said.append(content)
        assert content["confidence"] == 1
        before = self.answered.setdefault(content["id"], content["value"])
        assert before == content["value"]

    def _turn(self, what: str) -> dict[str, Any]:
        number = len(self.answered)
        if self.stopped or number > self.many:
            return {"stage": "rest" if self.stopped else "done", "turn": None}
        if number == 3 and self.paused < 2:
            self.paused += 1
            return {"stage": "trials", "wait": True, "retry_ms": 1, "turn": None}
        right = what == "answer" and number == 1
        return {
            "stage": "trials", "wait": False, "turn": self._presented(number),
            "ahead": self._presented(number + 1) if number < self.many else None,
            "feedback": {"right": right, "text": ""} if right else None, "break": number == 2,
        }  # fmt: skip

    def _presented(self, number: int) -> dict[str, Any]:
        height, width = PHOTO.shape[:2]
        pictures = [{"address": f"picture/{number}/{at}.png", "width": width, "height": height} for at in range(4)]
        form = {"kind": "places", "count": 4}
        return {"id": str(number), "kind": "trial" if number else "practice", "pictures": pictures, "form": form}

    def _pictures(self, number: int) -> list[Any]:
        shown = [self.draw(0).pixels] * 4
        shown[number % 4] = self.draw(50).pixels
        return shown


def play(desk: Desk, use: Callable[[aiohttp.ClientSession, str], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        app = web.Application()
        app.router.add_route("*", "/{token}/{what:.*}", desk.serve)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession() as session:
                return await use(session, f"http://127.0.0.1:{port}/invite/")
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def somebody(**given: Any) -> SimulatedParticipant:
    usual: dict[str, Any] = {"threshold": 10, "slope": 1, "ruler": RULER}
    return SimulatedParticipant(**usual | given)


def took(desk: Desk, **habits: Any) -> Took:
    person = somebody(reaction_ms=lambda number: 500 + number)
    found: Took = play(desk, lambda session, at: take_part(session, at, "p01", person, Habits(**habits)))
    return found


def test_it_answers_everything_once_and_right() -> None:
    desk = Desk(12)
    found = took(desk)
    assert (found.stage, found.practice, found.right, found.breaks) == ("done", ["0"], 1, 1)
    assert found.trials == [str(number) for number in range(1, 13)]
    assert found.address.endswith("/own/")
    assert desk.answered == {str(number): str(number % 4 + 1) for number in range(13)}
    assert [one["reaction_time_ms"] for one in desk.said] == [500 + number for number in range(13)]
    assert (found.retries, len(desk.tabs), desk.paused) == (0, 1, 2)


def test_lost_replies_reloads_and_a_second_tab_lose_nothing() -> None:
    desk = Desk(10)
    desk.drop.update({"answer": 2, "next": 1})

    async def disturb(number: int) -> None:
        if number == 5:
            desk.tabs.append("somebody else's")  # or a server that has forgotten whose tab it was

    found = took(desk, reload_after={2, 7}, twice=True, before_answer=disturb)
    assert (found.stage, found.retries, found.reloads) == ("done", 3, 2)
    assert len(desk.answered) == 11 == len(found.trials) + len(found.practice)
    assert len(desk.said) == 2 * 11 + 2
    assert len(set(desk.tabs)) == 4


def test_it_gives_way_to_another_tab_and_stops_when_it_wants() -> None:
    desk = Desk(10)

    async def another(number: int) -> None:
        desk.tabs.append("another") if number == 4 else None

    with pytest.raises(Refused, match="Another tab"):
        took(desk, come_back=False, before_answer=another)
    desk = Desk(10)
    assert took(desk, stop_after=4).stage == "rest"
    assert len(desk.answered) == 4


def test_its_answers_follow_the_curve() -> None:
    draw = SERIES.open()
    person = somebody(threshold={"noise": 20}, slope=3, false_alarms=0.1, lapse=0.05)
    n = 3_000
    for level, noticed in ((0, 0.0), (17, 0.2689), (20, 0.5), (26, 0.8808)):
        reference, stimulus = draw(0).pixels, draw(level).pixels
        said = np.mean([person.notices([stimulus, reference]) for _ in range(n)])
        assert said == pytest.approx(0.1 + 0.85 * noticed, abs=4 * 0.5 / n**0.5)
        if level:
            picked = [person.place([reference, reference, stimulus, reference]) for _ in range(n)]
            assert np.mean([one == 3 for one in picked]) == pytest.approx(0.25 + 0.7 * noticed, abs=4 * 0.5 / n**0.5)
            assert {1, 2, 4} <= set(picked)
    first, second = (somebody(seed=seed, slope=30) for seed in (1, 2))
    look = [draw(0).pixels, draw(20).pixels]
    assert [first.place(look) for _ in range(40)] != [second.place(look) for _ in range(40)]


def test_it_reads_forms_and_knows_the_study_s_pictures_only() -> None:
    draw = SERIES.open()
    look = [draw(0).pixels, draw(50).pixels]
    for options, said in ((("yes", "no"), "yes"), (("same", "different"), "different")):
        form = {"kind": "buttons", "options": [{"value": value, "label": value} for value in options]}
        assert somebody().answer(form, look) == said
    with pytest.raises(AssertionError, match="cannot answer"):
        somebody().answer({"kind": "number"}, look)
    with pytest.raises(AssertionError, match="none of the study"):
        somebody().place([look[0], look[1] // 2])
    assert RULER[draw(7).digest] == Known("noise", 7)
