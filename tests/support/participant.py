"""A participant without a body: answers by chance, from the pixels alone, as a person with internal noise would."""

import asyncio
import functools
import io
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import numpy as np
from PIL import Image as Pillow

from limen import digest, participant
from limen.image import Image, Picture
from limen.observer import Observer, Reply
from limen.question import Query
from limen.stimulus import Series
from limen.trial import Answer, Attempt

DIFFERENT, SAME = ("yes", "different"), ("no", "same")
SCREEN: Mapping[str, Any] = {
    "pixels_per_cm": 40.0, "distance_cm": 60.0, "ratio": 1, "width": 1920, "height": 1080, "gamma": 2.2, "depth": 24,
    "gamut": "srgb", "hdr": False, "checker": True, "touch": False, "refresh_hz": 60,
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """Which stimulus a picture is."""

    distortion: str
    level: int


def levels_of(series: Iterable[Series]) -> dict[str, Known]:
    """Return what every picture of these series is, by the digest of its pixels; references are level 0 of any."""
    found: dict[str, Known] = {}
    for one in series:
        draw = one.open()
        for level in range(len(one) + 1):
            found.setdefault(draw(level).digest, Known(one.distortion.name, level))
    return found


class SimulatedParticipant:
    """Somebody who notices a difference of `level` with probability 1 / (1 + exp(-(level - threshold) / slope)).

    Who does not notice it says so, but for false alarms, or picks any of the places; lapses are answers against what
    was noticed. The threshold is T50 as the procedures mean it, whatever the number of places.

    Args:
        threshold: in levels; of all distortions, or by their names.
        slope: in levels, > 0.
        ruler: what each picture is, by the digest of its pixels (`levels_of`).
        seed: of the answers: the same seed says the same to the same course of questions.
        false_alarms: share of yes to no difference; guessing right in a forced choice needs none.
        lapse: share of answers that are wrong whatever the difference.
        reaction_ms: what each answer is said to take; called with the number of the answer, from 0.
    """

    def __init__(
        self, threshold: float | Mapping[str, float], slope: float, ruler: Mapping[str, Known], seed: int = 0,
        false_alarms: float = 0.0, lapse: float = 0.0, reaction_ms: Callable[[int], float] = lambda number: 900.0,
    ) -> None:  # fmt: skip
        self._threshold, self._slope, self._ruler = threshold, slope, ruler
        self._false_alarms, self._lapse = false_alarms, lapse
        self.reaction_ms = reaction_ms
        self._rng = digest.generator("simulated participant", seed)

    def notices(self, pictures: Sequence[Image]) -> bool:
        """Say whether the pictures differ."""
        chance = self._false_alarms + (1 - self._false_alarms - self._lapse) * self._seen(self._known(pictures))
        return bool(self._rng.random() < chance)

    def place(self, pictures: Sequence[Image]) -> int:
        """Return the place, from 1, of the one that was changed, or of the one that was changed more."""
        known = self._known(pictures)
        levels = [one.level for one in known]
        odd = levels.index(max(levels, key=lambda level: (-levels.count(level), level)))
        guess = 1 / len(pictures)
        if self._rng.random() < guess + (1 - guess - self._lapse) * self._seen(known):
            return odd + 1
        others = [at for at in range(len(pictures)) if at != odd]
        return 1 + others[int(self._rng.integers(len(others)))]

    def answer(self, form: Mapping[str, Any], pictures: Sequence[Image]) -> str:
        """Return the value that is sent back for a form of the page; `AssertionError` for one that is not known."""
        if form["kind"] == "places":
            assert form["count"] == len(pictures), f"{form['count']} places for {len(pictures)} pictures"
            return str(self.place(pictures))
        values = [str(option["value"]) for option in form.get("options", ())]
        said = [value for value in values if value in (DIFFERENT if self.notices(pictures) else SAME)]
        assert len(said) == 1, f"a simulated participant cannot answer by {dict(form)!r:.200}"
        return said[0]

    def _known(self, pictures: Sequence[Image]) -> list[Known]:
        digests = [Picture.of(np.ascontiguousarray(pixels)).digest for pixels in pictures]
        assert all(one in self._ruler for one in digests), "a picture is shown whose pixels are none of the study's"
        return [self._ruler[one] for one in digests]

    def _seen(self, known: Sequence[Known]) -> float:
        most, least = (pick(known, key=lambda one: one.level) for pick in (max, min))
        threshold = self._threshold if isinstance(self._threshold, float | int) else self._threshold[most.distortion]
        distance = (most.level - least.level - threshold) / self._slope
        return 1 / (1 + math.exp(-min(max(distance, -50.0), 50.0))) if most.level > least.level else 0.0


class PersonAtHand(Observer):
    """The same as an observer in the process, to run a study without a page."""

    sampled = True

    def __init__(self, alias: str, person: SimulatedParticipant, concurrency: int = 4) -> None:
        self.name, self.concurrency, self._alias, self._person = participant.name_of(alias), concurrency, alias, person

    def fingerprint(self) -> dict[str, Any]:
        return participant.fingerprint(self._alias, SCREEN, {})

    async def answer(self, query: Query) -> Reply:
        pictures = [one.pixels for one in query.pictures]
        said = query.flags[self._person.notices(pictures)] if query.flags else str(self._person.place(pictures))
        return Reply(Answer(said, finish="stop"), (Attempt("ok"),))


# --- at the page's interface ---


class Refused(Exception):
    """What the server says that a participant cannot do."""

    def __init__(self, status: int, content: Mapping[str, Any]) -> None:
        self.status, self.error, self.text = status, content.get("error"), content.get("text")
        super().__init__(f"{status} {self.error}: {self.text}")


async def _nothing(answered: int) -> None:
    """Do nothing before an answer."""


@dataclass
class Habits:
    """What a participant does beside answering.

    Attributes:
        reload_after: numbers of answers after which the page is loaded again, as another tab.
        stop_after: answers after which the sitting is ended; 0 for never.
        twice: whether each answer is sent twice, as after a lost reply.
        before_answer: awaited before each answer is sent, with the number of answers so far.
        come_back: whether a tab that another took over takes over again (a server that began anew has forgotten it).
        patience: seconds for which requests without a reply are tried again.
        pause: seconds really spent on each question.
    """

    reload_after: Collection[int] = ()
    stop_after: int = 0
    twice: bool = False
    before_answer: Callable[[int], Awaitable[None]] = _nothing
    come_back: bool = True
    patience: float = 30.0
    pause: float = 0.0


@dataclass
class Took:
    """What a participant did: of each kind how many, and how it ended.

    Attributes:
        address: the participant's personal link.
        trials, practice: ids of what was answered, in order; catch trials are among the trials.
        right: of the practice, as far as it was said.
        reloads, retries: pages loaded again; requests sent again because no reply came.
        breaks: that were offered.
        stage: the last one.
    """

    address: str = ""
    trials: list[str] = field(default_factory=list)
    practice: list[str] = field(default_factory=list)
    right: int = 0
    reloads: int = 0
    retries: int = 0
    breaks: int = 0
    stage: str = ""


async def take_part(
    session: aiohttp.ClientSession, invitation: str, alias: str, person: SimulatedParticipant,
    habits: Habits | None = None,
) -> Took:  # fmt: skip
    """Take part in a study until it is done, or stopped, as the page would on the participant's behalf.

    Args:
        session: for the requests.
        invitation: its address, or a personal link, with the slash at its end.
        alias: to join with.
        person: who answers.
        habits: what else happens.

    Raises:
        Refused: the server says no.
    """
    habits = habits or Habits()
    page = _Page(session, invitation, habits)
    if (await page.got("state.json"))["role"] == "invitation":
        joined = await page.post("join", alias=alias, agreed=True)
        page.address = urljoin(invitation, joined["address"])
    page.took.address = page.address
    await page.open()
    turn: dict[str, Any] = {"stage": page.took.stage}
    if turn["stage"] not in ("rest", "done"):
        turn = await page.say("next")
    while turn["stage"] not in ("rest", "done"):
        if turn.get("wait"):
            await asyncio.sleep(turn["retry_ms"] / 1000)
            turn = await page.say("next")
            continue
        turn = await _answer(page, turn, person)
        done = len(page.took.trials) + len(page.took.practice)
        if habits.stop_after == done:
            turn = await page.say("stop")
        elif done in habits.reload_after:
            page.took.reloads += 1
            await page.open()
            turn = await page.say("next")
    page.took.stage = turn["stage"]
    return page.took


async def _answer(page: "_Page", turn: Mapping[str, Any], person: SimulatedParticipant) -> dict[str, Any]:
    """Answer one question, and return the next turn."""
    took, shown = page.took, turn["turn"]
    took.breaks += bool(turn.get("break"))
    pictures = await page.pictures(shown)
    if turn.get("ahead"):
        await page.pictures(turn["ahead"])
    number = len(took.trials) + len(took.practice)
    value, reaction = person.answer(shown["form"], pictures), person.reaction_ms(number)
    await asyncio.sleep(page.habits.pause)
    await page.habits.before_answer(number)
    confident = page.protocol.get("confidence") or ()
    said = {
        "id": shown["id"], "value": value, "confidence": len(confident) - 1 if confident else None,
        "shown_at": round(1000 * time.time() - reaction), "ms_shown": reaction, "reaction_time_ms": reaction,
        "frames": max(1, round(reaction * 0.06)), "frame_ms": 1000 / 60,
    }  # fmt: skip
    found = await page.say("answer", **said)
    if page.habits.twice:
        found = await page.say("answer", **said)
    (took.practice if shown["kind"] == "practice" else took.trials).append(shown["id"])
    took.right += bool((found.get("feedback") or {}).get("right"))
    return found


class _Page:
    """What the page keeps: its address, its tab, and the pictures that it has fetched."""

    def __init__(self, session: aiohttp.ClientSession, address: str, habits: Habits) -> None:
        self.address, self.habits, self.took = address, habits, Took()
        self.protocol: dict[str, Any] = {}
        self._session, self._tab = session, ""
        self._fetched: dict[str, list[Image]] = {}

    async def open(self) -> None:
        """Load the page: a tab of its own, which begins with its screen."""
        self._tab = secrets.token_hex(8)
        self._fetched.clear()
        await self._opened()

    async def _opened(self) -> None:
        state = await self.post("open", tab=self._tab)
        if state["stage"] == "screen":
            state = await self.post("screen", tab=self._tab, screen=dict(SCREEN))
        self.protocol, self.took.stage = state["protocol"], state["stage"]

    async def say(self, what: str, **content: Any) -> dict[str, Any]:
        """Post what a tab says."""
        try:
            return await self.post(what, tab=self._tab, **content)
        except Refused as refused:
            if refused.error != "taken" or not self.habits.come_back:
                raise
        await self._opened()
        return await self.post(what, tab=self._tab, **content)

    async def post(self, what: str, **content: Any) -> dict[str, Any]:
        """Post, and return what is replied."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.address))
        address, headers = urljoin(self.address, what), {"Origin": origin}
        found: dict[str, Any] = await self._until_replied(
            lambda: self._session.post(address, json=content, headers=headers)
        )
        return found

    async def got(self, what: str) -> dict[str, Any]:
        """Return what stands at an address of the page."""
        found: dict[str, Any] = await self._until_replied(lambda: self._session.get(urljoin(self.address, what)))
        return found

    async def pictures(self, shown: Mapping[str, Any]) -> list[Image]:
        """Return the pictures of a question, decoded; each is fetched once."""
        if shown["id"] not in self._fetched:
            found = []
            for one in shown["pictures"]:
                get = functools.partial(self._session.get, urljoin(self.address, one["address"]))
                content = await self._until_replied(get, whole=True)
                pixels = np.asarray(Pillow.open(io.BytesIO(content)).convert("RGB"))
                assert pixels.shape == (one["height"], one["width"], 3), f"{pixels.shape} is not as said: {one}"
                found.append(pixels)
            self._fetched[shown["id"]] = found
        return self._fetched[shown["id"]]

    async def _until_replied(self, send: Callable[[], Any], whole: bool = False) -> Any:
        """Send, and again where no reply comes, ever more slowly."""
        until, wait = time.monotonic() + self.habits.patience, 0.05
        while True:
            try:
                async with send() as reply:
                    if reply.status < 500:
                        if reply.status >= 400:
                            raise Refused(reply.status, await reply.json())
                        return await (reply.read() if whole else reply.json())
                    trouble: Exception = Refused(reply.status, {"text": await reply.text()})
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                trouble = error
            if time.monotonic() > until:
                raise trouble
            self.took.retries += 1
            await asyncio.sleep(wait)
            wait = min(1.0, 2 * wait)
