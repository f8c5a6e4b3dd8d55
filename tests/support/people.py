"""Simulated participants of known thresholds, in a run as people leave one: presentations, catch trials, sittings."""

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limen import digest, distortion, participant
from limen.image import Image
from limen.image import digest as digest_of
from limen.ladder import Ladder
from limen.observer import Observer, Reply
from limen.question import Query
from limen.source import Reference
from limen.store import Store, entries
from limen.store.entries import CATCHES, SITTINGS
from limen.study import Spec, Study
from limen.trial import Answer, Attempt, Presentation, Trial

YES, NO = "Yes, there is a noticeable difference.", "No, there is no noticeable difference."
LEVELS = 20
RULE = {"name": "catch", "share": 0.75, "fewest": 4}


def brighten(image: Image, strength: float) -> Image:
    """Add grey levels: the mean difference of two pictures tells the level."""
    return np.asarray(image + np.uint8(strength), np.uint8)


BRIGHTEN = distortion.of_function(brighten, Ladder(tuple(map(float, range(1, LEVELS + 1))), "grey"), "brighten", 1)


def pictures(n: int) -> tuple[Reference, ...]:
    """Return small grey pictures, each like no other."""
    found = []
    for i in range(n):
        image = digest.generator("grey", i).integers(20, 230, (32, 32, 3)).astype(np.uint8)
        found.append(Reference(f"grey-{i:02d}", digest_of(image), lambda image=image: image, size=(32, 32)))
    return tuple(found)


def effect(picture: str, sd: float) -> float:
    """Return what a reference is above or below others, in levels."""
    return sd * float(digest.generator("effect", picture).standard_normal())


class Looker(Observer):
    """Says yes above a threshold of its own on each reference.

    Args:
        name: of the observer.
        about: its fingerprint.
        centre: its mean threshold, in levels.
        spread: sd over references, of an effect that all lookers share.
        own: sd of an effect of its own on each reference.
        noise: sd of each look, in levels.
    """

    def __init__(
        self, name: str, about: dict[str, Any], centre: float, spread: float = 3.0, own: float = 0.0,
        noise: float = 0.0,
    ) -> None:  # fmt: skip
        self.name, self.concurrency, self.sampled, self._about = name, 4, participant.is_person(about), about
        self.centre, self.spread, self.own, self.noise = centre, spread, own, noise

    def fingerprint(self) -> dict[str, Any]:
        return self._about

    def threshold(self, picture: str) -> float:
        own = self.own * float(digest.generator("own", self.name, picture).standard_normal())
        return self.centre + effect(picture, self.spread) + own

    async def answer(self, query: Query) -> Reply:
        await asyncio.sleep(0)
        first, last = query.pictures[0], query.pictures[-1]
        level = float(np.mean(last.pixels.astype(float) - first.pixels))
        look = self.noise * float(
            digest.generator("look", self.name, first.digest, last.digest, query.draw).standard_normal()
        )
        seen = level > 0 and level + look > self.threshold(first.digest)
        return Reply(Answer(YES if seen else NO, finish="stop"), (Attempt("ok"),))

    async def __aenter__(self) -> "Looker":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


def person(alias: str, centre: float, **more: float) -> Looker:
    """Return a participant."""
    return Looker(participant.name_of(alias), participant.fingerprint(alias, {}, {"zoom": 1}), centre, **more)


def model(name: str, centre: float, **more: float) -> Looker:
    """Return an observer that is no person."""
    return Looker(name, {"kind": "toy", "name": name}, centre, **more)


def people(n: int, sd: float = 2.0, centre: float = 10.0, **more: float) -> list[Looker]:
    """Return participants whose mean thresholds are spread evenly, as n quantiles of a normal."""
    from statistics import NormalDist

    at = [NormalDist(centre, sd).inv_cdf((i + 0.5) / n) for i in range(n)]
    return [person(f"p{i + 1:02d}", value, **more) for i, value in enumerate(at)]


Reaction = Callable[[Trial, float, int], tuple[float, float | None]]


def react(trial: Trial, distance: float, place: int) -> tuple[float, float | None]:
    """Return milliseconds, slow near the threshold, and confidence, high away from it."""
    return 700 + 1500 * math.exp(-abs(distance) / 3), min(1.0, round(abs(distance) / 6 * 2) / 2)


def measured(
    out: Path, observers: Sequence[Looker], references: int = 12, procedure: dict[str, Any] | None = None,
    failed: Sequence[str] = (), reaction: Reaction = react, **spec: Any,
) -> Path:  # fmt: skip
    """Put a study to observers and leave beside their answers what people leave; return the run directory.

    Args:
        out: the run directory.
        observers: people and models.
        references: how many.
        procedure: with its settings; scan if none is given.
        failed: aliases of those who fail the attention rule.
        reaction: milliseconds and confidence of an answer, from its distance from the threshold and its place.
        **spec: further entries of the study.
    """
    shown = Spec(images=(), observers=(), procedure=procedure or {"name": "scan"}, **spec)
    Study.of(shown, observers, (BRIGHTEN,), references=pictures(references)).run(out)
    someone = [one for one in observers if participant.is_person(one.fingerprint())]
    if someone:
        with Store.create(out, entries.read(out)) as store:
            store.amend(people={"protocol": {}, "attention": RULE})
            asyncio.run(_leave(store, someone, failed, reaction))
    return out


async def _leave(store: Store, someone: Sequence[Looker], failed: Sequence[str], reaction: Reaction) -> None:
    pictures_of = {row.id: row.picture for row in store.series()}
    for one in someone:
        trials = [trial for trial in store.trials(one.name) if trial.key and not trial.again]
        rng = digest.generator("order", one.name)
        series = list(dict.fromkeys(trial.series for trial in trials))
        order = [trial for i in rng.permutation(len(series)) for trial in trials if trial.series == series[i]]
        rows = []
        for place, trial in enumerate(order):
            distance = trial.level - one.threshold(pictures_of[trial.series])
            sitting = 1 + (2 * place >= len(order))
            ms, confidence = reaction(trial, distance, place)
            rows.append(
                Presentation(
                    trial.key, f"{one.name}/{sitting}", 1.7e9 + 1e5 * sitting + 4.0 * place, ms, ms, confidence
                )
            )
        await store.add_presentations(rows)
        wrong = 4 if one.name.removeprefix("person:") in failed else 1
        catches = {
            f"{one.name}/{i:04d}": {
                "observer": one.name, "question": "direct", "series": trials[0].series, "kind": "identical",
                "answer": NO, "right": i >= wrong, "at": 1.7e9 + i,
                "session": f"{one.name}/1", "reaction_time_ms": 800.0,
            } for i in range(8)
        }  # fmt: skip
        sittings = {
            f"{one.name}/{number}": {
                "observer": one.name, "number": number, "began": 1.7e9 + 1e5 * number, "screen": {},
                "ended": 1.7e9 + 1e5 * number + 4.0 * len(order), "gaps": [], "practice": [5, 6],
            } for number in (1, 2)
        }  # fmt: skip
        store.add_measurements(CATCHES, catches)
        store.add_measurements(SITTINGS, sittings)
