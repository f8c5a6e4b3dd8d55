"""A study that people take part in: who has a link, who sits where, and what the owner may know of it."""

import asyncio
import contextlib
import dataclasses
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limen import digest, files
from limen import participant as names
from limen.analysis import attention
from limen.curve import Share
from limen.errors import InputError, StoreError, UnknownNameError
from limen.people import dealing, turns
from limen.people.participant import Participant
from limen.people.protocol import Presentation, Protocol
from limen.people.seat import AWAY, Seat
from limen.stimulus import Series
from limen.store import Store, entries
from limen.store.entries import DEALT
from limen.study import Spec, Study
from limen.study import manifest as manifests

LINKS = "links.json"  # beside the run's manifest, for its owner's eyes
FORGOTTEN = 600.0  # seconds without a word from a page after which nothing is kept ready for it
_Token = Annotated[str, msgspec.Meta(min_length=20, max_length=64)]


class Links(msgspec.Struct):
    """Who may open what; the only place where tokens are kept.

    Attributes:
        invitation: makes a participant.
        owner: shows how far everybody is.
        port: that addresses end with, so that they work again.
        participants: by token, the alias.
        agreed: when each alias agreed to the consent text, in seconds since 1970.
    """

    invitation: _Token
    owner: _Token
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    participants: dict[_Token, str] = {}
    agreed: dict[str, float] = {}


def token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def _links(file: Path) -> Links:
    """Return who may open what; new tokens where nothing was kept yet."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Links)
    except FileNotFoundError:
        return Links(token(), token())
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(
            f"{file} cannot be read ({error}). Restore it from a copy, or move it away: then there are new links, and "
            "those who have begun cannot go on."
        ) from None


def _keep(file: Path, links: Links) -> None:
    try:
        for draft in files.drafts(file):  # of what was killed: tokens, too
            draft.unlink()
        files.write(file, msgspec.json.format(msgspec.json.encode(links)), mode=0o600)
    except OSError as error:
        raise StoreError(f"{file} cannot be written ({error}). Free some disk space, then go on.") from None


def withdraw(out: Path, alias: str, sure: Callable[[], None] = lambda: None) -> int:
    """Take a participant out of a study whose server does not run: answers, times, sittings, links; return the answers.

    Args:
        out: the run directory.
        alias: of the participant.
        sure: called before anything is deleted, when it is known that it can be; raises where it should not be.

    Raises:
        InputError: nobody of this alias takes part.
        StoreError: the run cannot be written, or its server runs.
    """
    with Store.create(out, entries.read(out)) as store:
        file = out / LINKS
        links = _links(file)
        if alias not in links.participants.values() and names.name_of(alias) not in store.manifest["observers"]:
            known = ", ".join(links.participants.values()) or "nobody"
            raise InputError(f"{alias!r:.80} does not take part in {out}: {known}.")
        sure()
        answers = store.forget(names.name_of(alias))
        links.participants = {one: whose for one, whose in links.participants.items() if whose != alias}
        links.agreed.pop(alias, None)
        _keep(file, links)
        aim = store.manifest.get("aim")
        if aim is not None:
            left = [one for one in aim["observers"] if one != names.name_of(alias)]
            store.amend(aim=aim | {"observers": left})
    return answers


def planned(spec: Spec, protocol: Protocol) -> Study:
    """Return a study with its references found and its series made, to be put to people.

    Args:
        spec: what is asked.
        protocol: how.

    Raises:
        InputError: something does not fit, named in one line.
    """
    nobody = Participant("nobody", names.fingerprint("nobody", {}, protocol.shown), protocol.interleave)
    study = dataclasses.replace(Study.plan(spec, made=(nobody,)), observers=())
    asked = {name: question for question in study.questions for name in (question.name, question.of) if name}
    for name, text in protocol.wording.items():
        if name not in asked:
            raise UnknownNameError("question of this study (people.wording)", name, asked)
        if wrong := sorted(set(re.findall(r"\{[^{}]*\}", text)) - {"{word}"}):
            raise InputError(
                f"people.wording.{name} holds {wrong[0]}. Only {{word}} is filled in, with what the "
                "distortion is called."
            )
    placed = next((one.name for one in study.questions if one.forced), None)
    if placed is not None and protocol.presentation is Presentation.FLICKER:
        raise InputError(
            f"{placed} asks for a picture by its place, and pictures that flicker have one place. Give presentation = "
            "'side-by-side' or 'in-turns', or ask whether two pictures differ (direct)."
        )
    return study


class Lab:
    """All participants of a study; one store, one loop.

    Args:
        study: what is asked, of nobody yet.
        protocol: how people are asked.
        store: of the run, open for writing.
        most: participants that an invitation makes.
    """

    def __init__(self, study: Study, protocol: Protocol, store: Store, most: int) -> None:
        self.protocol, self.study = protocol, study
        self._store, self._most = store, most
        self._expected = dealing.questions_of(study, protocol)
        self._file = store.path / LINKS
        self.links = _links(self._file)
        self._seats: dict[str, Seat] = {}
        self._joining = asyncio.Lock()
        self._declare()
        for alias in self.links.participants.values():
            self._sit(alias)

    def _declare(self) -> None:
        """Write down how people are asked, before anybody is; raise `StoreError` where it was another way."""
        protocol = self.protocol
        fields = ("practice", "catch", "interleave", "seed")
        plain = msgspec.to_builtins(protocol)
        mine = {
            "protocol": protocol.shown | {name: plain[name] for name in fields},
            "attention": msgspec.to_builtins(protocol.attention) if protocol.catch else None,
            "consent": digest.of([protocol.consent]) if protocol.consent else "",
        }
        there = self._store.manifest.get("people", mine)
        manifests.same(self._store.path, "people", there, mine)
        self._store.amend(people=mine)

    def keep(self) -> None:
        """Write the links down, for their owner alone."""
        _keep(self._file, self.links)

    def _sit(self, alias: str) -> Seat:
        seat = self._seats[alias] = Seat(self.study, self.protocol, self._store, alias, self._deal, self._expected)
        return seat

    def _deal(self, seat: Seat) -> tuple[Sequence[Series], bool]:
        """Return the series of a participant up to this sitting, and whether others are left for a later one."""
        series, minutes = self.study.series, self.protocol.minutes
        if not minutes:
            return series, False
        rows = self._store.measurements(DEALT)
        mine = [one for row in rows.values() if row["observer"] == seat.name for one in row["series"]]
        key = f"{seat.name}/{len(seat.sittings)}"
        if seat.sitting is not None and key not in rows:
            shown = [one for sitting in seat.sittings for one in seat.shown_in(sitting)]
            pace = dealing.seconds_a_question(self.protocol, self._pictures, shown)
            room = dealing.room_for(minutes, pace, self._expected) - seat.unfinished
            counts = Counter(one for row in rows.values() for one in row["series"])
            fresh = dealing.deal(series, counts, max(0, room), self.protocol.seed, seat.alias, set(mine))
            mine += [one.id for one in fresh]
            self._store.add_measurements(DEALT, {key: {"observer": seat.name, "series": [one.id for one in fresh]}})
        had = set(mine)
        return [one for one in series if one.id in had], len(had) < len(series)

    @property
    def _pictures(self) -> int:
        return max(question.pictures for question in self.study.questions)

    @property
    def _room(self) -> int:
        """How many series fit into a sitting of somebody whose pace is not known."""
        seconds = dealing.seconds_a_question(self.protocol, self._pictures)
        return min(len(self.study.series), dealing.room_for(self.protocol.minutes, seconds, self._expected))

    @property
    def cost(self) -> str:
        """What taking part takes, in a sentence."""
        seconds = dealing.seconds_a_question(self.protocol, self._pictures)
        series, room = len(self.study.series), self._room
        each = f"{room:,} of {series:,} series a sitting" if room < series else f"{series:,} series"
        questions = room * self._expected
        minutes = max(1, round(questions * seconds / 60))
        return (
            f"Each participant: {each}, about {questions:,.0f} questions, {minutes:,} minute{'s' * (minutes > 1)} at "
            f"{seconds:.1f} s a question."
        )

    @property
    def notices(self) -> list[str]:
        """What the owner should know before anybody takes part."""
        caught, fewest = self._room * self._expected * self.protocol.catch, self.protocol.attention.fewest
        lines = []
        if not self.protocol.consent:
            lines.append("The study has no consent text: give consent_file in its table [people].")
        if self.protocol.catch and caught < 1.5 * fewest and turns.plain_ones(self.study.questions):
            lines.append(
                f"Catch trials come about {caught:.0f} times in a sitting, and the attention rule judges from {fewest} "
                "on: some may not be judged. Give more questions, a larger catch, or a smaller fewest."
            )
        return lines

    def seat(self, token: str) -> Seat | None:
        """Return the participant whom a token belongs to."""
        alias = self.links.participants.get(token)
        return None if alias is None else self._seats[alias]

    async def join(self, alias: str) -> str:
        """Make a participant who has agreed to take part; return the token of their link.

        Raises:
            InputError: the alias cannot be one, or is taken, or no place is left; for the participant to read.
        """
        names.check_alias(alias)
        async with self._joining:
            aliases = {one.casefold() for one in self.links.participants.values()}
            if alias.casefold() in aliases or names.name_of(alias) in self._store.manifest["observers"]:
                raise InputError(
                    f"{alias} takes part already. If that is you, open your own link again; else choose another alias."
                )
            if len(self._seats) >= self._most:
                raise InputError("No place is left in this study. Please tell whoever invited you.")
            made, links = token(), self.links
            participants, agreed = links.participants | {made: alias}, links.agreed | {alias: time.time()}
            links = msgspec.structs.replace(links, participants=participants, agreed=agreed)
            await asyncio.to_thread(_keep, self._file, links)
            self._sit(alias)
            self.links = links
            taking_part = [names.name_of(one) for one in self._seats]
            about = manifests.aim((), self.study.questions, self.study.series) | {"observers": taking_part}
            with contextlib.suppress(StoreError):  # their link is kept; this is written with whatever comes next
                self._store.amend(aim=about)
        return made

    async def tidy(self) -> None:
        """Let go, for ever and again, of what is kept ready for those who have not been heard of."""
        while True:
            await asyncio.sleep(30)
            for seat in list(self._seats.values()):
                if time.time() - seat.seen > FORGOTTEN:
                    await seat.leave()

    async def close(self) -> None:
        """Let everybody's questions go without an answer; sittings stay as they are, and go on with the server."""
        await asyncio.gather(*(seat.leave() for seat in self._seats.values()))

    def overview(self) -> dict[str, Any]:
        """Return what the owner sees: how far each participant is; no answers."""
        rule = self.protocol.attention
        rows = []
        for token, alias in self.links.participants.items():
            seat = self._seats[alias]
            passed = attention.passed(rule, Share(seat.right, seat.caught)) if self.protocol.catch else None
            rows.append(
                {
                    "alias": alias, "stage": seat.stage, "sitting": len(seat.sittings), "answered": seat.shown,
                    "expected": seat.expected(), "caught": seat.caught, "right": seat.right,
                    "attentive": passed,
                    "present": time.time() - seat.seen < AWAY and seat.sitting is not None, "seen": seat.seen,
                    "trouble": seat.trouble, "token": token,
                }
            )  # fmt: skip
        return {
            "title": self.protocol.title, "rule": {"name": rule.name, "share": rule.share, "fewest": rule.fewest},
            "invitation": self.links.invitation, "most": self._most, "participants": rows,
        }  # fmt: skip
