"""A participant's page without a browser: what it asks the server for, step by step; and a server of a study."""

import asyncio
import contextlib
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from PIL import Image

from limen.people.lab import Lab, planned
from limen.people.protocol import Protocol
from limen.store import Store
from limen.study import Progress, Spec
from limen.web.people import Doors, serve

Pixels = npt.NDArray[np.float64]
Decides = Callable[[Mapping[str, Any], list[Pixels]], str]
SCREEN: dict[str, Any] = {
    "pixels_per_cm": 40.0, "distance_cm": 60.0, "ratio": 1.0, "width": 1920, "height": 1080, "gamma": 2.2, "depth": 24,
    "gamut": "srgb", "hdr": False, "checker": True, "touch": False, "refresh_hz": 60.0,
}  # fmt: skip
BLUR = {"distortions": ("blur",), "limit": 2}


class Refused(Exception):
    """What the server would not do."""

    def __init__(self, status: int, error: str, text: str) -> None:
        self.status, self.error, self.text = status, error, text
        super().__init__(f"{status} {error}: {text}")


class Page:
    """One tab of one participant.

    Args:
        session: of HTTP.
        origin: of the server, "http://127.0.0.1:PORT".
        token: of the participant's link.
        tab: names the tab.
    """

    def __init__(self, session: aiohttp.ClientSession, origin: str, token: str, tab: str = "tab") -> None:
        self.session, self.origin, self.token, self.tab = session, origin, token, tab
        self.seen: list[Mapping[str, Any]] = []  # everything that was put to it, in order

    async def post(self, name: str, content: Any = None, origin: str | None = None) -> dict[str, Any]:
        """Say something; raises `Refused`."""
        body = {"tab": self.tab} | dict(content or {})
        headers = {"Origin": self.origin if origin is None else origin}
        async with self.session.post(f"{self.origin}/{self.token}/{name}", json=body, headers=headers) as reply:
            told: dict[str, Any] = await reply.json()
            if reply.status != 200:
                raise Refused(reply.status, str(told.get("error")), str(told.get("text")))
            return told

    async def begin(self, screen: Mapping[str, Any] = SCREEN) -> dict[str, Any]:
        """Open the page and measure the screen; return the session's state."""
        await self.post("open")
        return await self.post("screen", {"screen": screen})

    async def pictures(self, turn: Mapping[str, Any]) -> list[Pixels]:
        """Return the pixels of what is shown."""
        found = []
        for picture in turn["pictures"]:
            async with self.session.get(f"{self.origin}/{self.token}/{picture['address']}") as reply:
                assert reply.status == 200, await reply.text()
                found.append(np.asarray(Image.open(io.BytesIO(await reply.read())).convert("RGB"), dtype=np.float64))
        return found

    async def shown(self) -> dict[str, Any]:
        """Ask what is to be shown until something is, or the sitting has ended."""
        while True:
            told = await self.post("next")
            if told["turn"] is not None or told["stage"] not in ("practice", "trials"):
                return told
            await asyncio.sleep(told["retry_ms"] / 1000)

    async def answer(self, turn: Mapping[str, Any], value: str, seconds: float = 0.5, **more: Any) -> dict[str, Any]:
        """Answer what is shown; return what comes next."""
        now = 1000 * time.time()
        given = {
            "id": turn["id"], "value": value, "confidence": None, "shown_at": now - 1000 * seconds,
            "ms_shown": 1000 * seconds, "reaction_time_ms": 1000 * seconds, "frames": 30, "frame_ms": 16.7,
        }  # fmt: skip
        return await self.post("answer", given | more)

    async def go_on(self, decides: Decides, most: int = 10_000) -> dict[str, Any]:
        """Answer until the sitting ends, or so many times; return what was told last."""
        told = await self.shown()
        for _ in range(most):
            if told["turn"] is None:
                if told["stage"] not in ("practice", "trials"):
                    return told
                told = await self.shown()
                continue
            turn = told["turn"]
            self.seen.append(turn)
            told = await self.answer(turn, decides(turn, await self.pictures(turn)))
        return told


def notices(threshold: float) -> Decides:
    """Return how somebody answers who sees a difference of so many grey levels rms, and never errs."""

    def decides(turn: Mapping[str, Any], pictures: list[Pixels]) -> str:
        if turn["form"]["kind"] == "places":
            odd = [np.median([rms(one, other) for other in pictures]) for one in pictures]
            return str(1 + int(np.argmax(odd)))
        noticed, unnoticed = (option["value"] for option in turn["form"]["options"])
        return noticed if rms(pictures[0], pictures[-1]) > threshold else unnoticed

    return decides


def rms(one: Pixels, other: Pixels) -> float:
    """Return the difference of two pictures, in grey levels rms."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


class Study:
    """A server of a study, in this process."""

    def __init__(self, out: Path, protocol: Protocol, spec: Mapping[str, Any], most: int = 50) -> None:
        self.out, self.protocol, self.most = out, protocol, most
        given = {"images": ("demo",), "observers": (), "questions": ("direct-implicit",)} | dict(spec)
        self.plan = planned(Spec(**given), protocol)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Study"]:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with self.plan.opened(self.out, Progress()) as store:
            self.lab = Lab(self.plan, self.protocol, store, self.most)
            task = asyncio.create_task(serve(self.lab, Doors("127.0.0.1"), 0, ready.set_result))
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
            self.origin = f"http://127.0.0.1:{await ready}"
            try:
                async with aiohttp.ClientSession() as self.session:
                    yield self
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def join(self, alias: str) -> Page:
        invited = Page(self.session, self.origin, self.lab.links.invitation)
        told = await invited.post("join", {"alias": alias, "agreed": True})
        return Page(self.session, self.origin, told["address"].strip("/"))

    def link(self, alias: str, tab: str = "tab") -> Page:
        (token,) = (one for one, whose in self.lab.links.participants.items() if whose == alias)
        return Page(self.session, self.origin, token, tab)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 120))  # type: ignore[arg-type]


def study(tmp_path: Path, protocol: Mapping[str, Any] | None = None, **spec: Any) -> Study:
    return Study(tmp_path / "run", Protocol(**({"practice": 2} | dict(protocol or {}))), BLUR | spec)


def answered(out: Path) -> Counter[str]:
    """Return how often each question was put to somebody, as far as the run knows: every one once."""
    with Store.open(out) as store:
        return Counter(one.key for one in store.presentations())
