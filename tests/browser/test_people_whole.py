"""A study as it is: `limen people`, two people at once in Chromium, a reload, and a server that is killed between."""

import io
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from limen.analysis import analyse
from limen.people import protocol as protocols
from limen.people.lab import planned
from limen.store import Store
from limen.study import load
from tests.browser.test_people import Screens, Tab, screens, tab  # noqa: F401 - fixtures
from tests.support.participant import SimulatedParticipant, levels_of

pytestmark = pytest.mark.browser

STUDY = """
images = ["demo"]
distortions = ["contrast"]
limit = 3
questions = ["odd-one-out-3"]
procedure = { name = "psi", trials = 20, sd = 0.1 }

[people]
title = "Which picture is different?"
consent = "You look at pictures."
practice = 2
blank_ms = 40
catch = 0.1
"""
THRESHOLDS = {"ada": 8.0, "ben": 20.0}
ONWARD = {"ready": "#begin", "practised": "#practised-over", "break": "#break-over"}


class Serving:
    """`limen people` in a process of its own."""

    def __init__(self, file: Path) -> None:
        words = [sys.executable, "-m", "limen", "people", str(file), "--out", str(file.parent / "run")]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().split()[-1] for _ in range(2)]
        assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", line) for line in lines), lines
        self.invitation, self.owner = lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "study.toml"
    made.write_text(STUDY)
    return made


@pytest.fixture
def served(file: Path) -> Iterator[list[Serving]]:
    made = [Serving(file)]
    yield made
    for one in made:
        one.process.kill()
        one.process.communicate()


class Person:
    """Somebody who clicks."""

    def __init__(self, alias: str, here: Tab, mind: SimulatedParticipant) -> None:
        self.alias, self.tab, self.mind = alias, here, mind
        self.answered: list[str] = []

    def step(self) -> bool:
        """Answer one question by a click; return whether there was one."""
        now = self.tab.at("trial", "ready", "practised", "break", "rest", "done", seconds=60)
        if now in ("rest", "done"):
            return False
        if now in ONWARD:
            hidden = f"document.getElementById('{now}').hidden"
            self._press(ONWARD[now], f"!{hidden}", hidden)
            return True
        self.tab.until("trial.open && !trial.steps || document.getElementById('trial').hidden", 60)
        if self.tab.where != "trial":
            return True
        shown = self.tab.page.evaluate("trial.presented")
        pictures = [self._pixels(one["address"]) for one in shown["pictures"]]
        place = self.mind.answer(shown["form"], pictures)
        self.answered.append(shown["id"])
        same = f"trial.presented?.id === '{shown['id']}'"
        gone = f"!({same}) || document.getElementById('trial').hidden"
        practising = shown["kind"] == "practice"
        self._press(f"#answers button[data-value='{place}']", f"{same} && trial.open && !trial.given && !trial.steps",
                    "trial.steps !== null" if practising else gone)  # fmt: skip
        if practising:  # whether that was right is read before it goes on
            self._press("#answers button[data-value='next']", "trial.steps !== null", gone)
        return True

    def _press(self, button: str, when: str, until: str) -> None:
        """Press a button until it has had its effect: what a busy machine has covered takes no answer yet."""
        end = time.monotonic() + 120
        while not self.tab.page.evaluate(until):
            assert time.monotonic() < end, f"{button} has no effect at {self.tab.where}"
            self.tab.page.evaluate(f'({when}) && document.querySelector("{button}")?.click()')
            self.tab.page.wait_for_timeout(50)

    def _pixels(self, address: str) -> Any:
        reply = self.tab.page.request.get(self.tab.page.url + address)
        assert reply.ok
        return np.asarray(Pillow.open(io.BytesIO(reply.body())).convert("RGB"))


def test_two_people_at_once(file: Path, served: list[Serving], tab: Callable[..., Tab]) -> None:  # noqa: F811
    spec = load(file, {"observers": []})
    ruler = levels_of(planned(spec, protocols.of(spec.people, file.parent)).series)
    people = []
    for number, (alias, threshold) in enumerate(THRESHOLDS.items()):
        here = tab(served[0].invitation)
        here.forgives = True  # the server will be away
        here.page.check("#join input[type=checkbox]")
        here.page.fill("#join input[type=text]", alias)
        here.page.click("#join button")
        people.append(Person(alias, here, SimulatedParticipant(threshold, 2.0, ruler, seed=number)))
    for one in people:
        one.tab.calibrate()
    for number in range(400):
        if number == 12:
            people[0].tab.page.reload()
            people[0].tab.calibrate()
        if number == 20:
            served[0].process.send_signal(signal.SIGKILL)
            served[0].process.communicate()
            one = people[1].tab  # answers while nobody is there, and waits
            one.until("trial.open && !trial.steps", 60)
            waiting = one.page.evaluate("trial.presented.id")
            people[1].answered.append(waiting)
            one.page.keyboard.press("1")
            time.sleep(2)
            served.append(Serving(file))
            one.until(f"trial.presented?.id !== '{waiting}'", 90)
        steps = [one.step() for one in people]
        if not any(steps):
            break
    assert {one.tab.where for one in people} == {"done"}
    owner = tab(served[-1].owner)
    owner.until("document.querySelectorAll('#rows tr').length === 2")
    assert owner.page.inner_text("#state") == "2 of at most 50 take part; 0 in a sitting now, 2 finished."
    assert owner.axe() == []
    with Store.open(file.parent / "run") as store:
        analysis = analyse(store)
        shown = Counter(one.key for one in store.presentations())
        keys = {trial.key for trial in store.trials() if trial.key}
        caught = {row["id"] for row in store.measurements("catch").values()}
        times = [one for one in store.presentations() if one.reaction_time_ms is not None]
    assert set(shown) == keys
    assert max(shown.values()) == 1
    clicked = {one for person in people for one in person.answered}
    assert keys | caught <= clicked  # every answer was a click; the rest was practice
    assert len(clicked - keys - caught) == 2 * 2
    assert all(one.ms_shown > 0 for one in times)
    for outcome in analysis.outcomes:
        assert outcome.status.value == "complete"
        (estimate,) = outcome.estimates
        true = THRESHOLDS[outcome.observer.removeprefix("person:")]
        assert estimate.low <= true <= estimate.high or abs(estimate.level - true) < 4
    within = [
        estimate.low <= THRESHOLDS[outcome.observer.removeprefix("person:")] <= estimate.high
        for outcome in analysis.outcomes for estimate in outcome.estimates
    ]  # fmt: skip
    assert np.mean(within) >= 5 / 6
