"""Procedures that people can bear: simulated participants who answer by chance, each time anew."""

import contextlib
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limen
from limen import digest
from limen import distortion as distortions
from limen.analysis.replay import SeriesStatus, outcomes
from limen.errors import InputError
from limen.observer import Observer
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import AS_OFTEN, Probe, begin, make
from limen.procedures.psi import _joint, _most_telling
from limen.statistics.observer_model import ObserverModel
from limen.store import Store, entries
from limen.study import Spec, Study
from limen.testing import play
from tests.support.participant import PersonAtHand, SimulatedParticipant, levels_of
from tests.support.toy import Toy

LEVELS, SPAN = 50, 30.0  # a geometric ladder from 1 to 30
STEP = math.log(SPAN) / (LEVELS - 1)
SLOPE = 0.194 / STEP  # that of a Weibull function with beta 3.5, in levels
# PSYCHOPHYSICS.md, section 5: 95 % intervals of T50, as a factor of the strength, after so many trials
STATED = {2: {20: 3.4, 30: 2.3, 40: 2.0}, 4: {20: 1.85, 30: 1.65, 40: 1.5}}


def chooser(rng: np.random.Generator, choices: int, threshold: float, lapse: float = 0.02) -> Callable[[Probe], bool]:
    """Somebody who notices what lies about a threshold, and guesses else; with a draw of their own at each look."""

    def says(probe: Probe) -> bool:
        noticed = 1 / (1 + math.exp(-(probe.level - threshold) / SLOPE))
        return bool(rng.random() < 1 / choices + (1 - 1 / choices - lapse) * noticed)

    return says


@pytest.mark.slow
@pytest.mark.parametrize(("name", "choices"), [("psi", 2), ("psi", 4), ("questplus", 2), ("questplus", 4)])
def test_intervals_of_forced_choice_are_as_wide_as_stated_and_hold_the_truth(name: str, choices: int) -> None:
    method = make(name, {"draws": AS_OFTEN, "guess": 1 / choices, "sd": 0, "trials": 40})
    ladder = limen.Ladder(tuple(float(k) for k in range(1, LEVELS + 1)), "level")
    widths: dict[int, list[float]] = defaultdict(list)
    holds: dict[int, list[bool]] = defaultdict(list)
    repeats = []
    for number in range(200):
        rng = digest.generator("forced choice", choices, number)
        threshold = rng.uniform(0.2 * LEVELS, 0.8 * LEVELS)
        run = play(method, chooser(rng, choices, threshold), LEVELS)
        assert run.questions == 40
        repeats.append(max(Counter(probe.level for probe in run.asked).values()))
        state = ObserverModel(LEVELS, guess=1 / choices)
        for trial, (probe, verdict) in enumerate(run.asked.items(), start=1):
            state.tell(probe.level, verdict.yes)
            if trial in STATED[choices]:
                found = state.estimate(ladder)
                widths[trial].append((found.high - found.low) * STEP / 2)
                holds[trial].append(found.low <= threshold <= found.high)
        assert found == run.estimates[0]
    for trials, stated in STATED[choices].items():
        factor, held = math.exp(float(np.median(widths[trials]))), np.mean(holds[trials])
        print(f"{name}, {choices}-AFC, {trials} trials: {factor:.2f}, holds {held:.3f}")
        if name == "psi":
            assert factor == pytest.approx(stated, rel=0.2)
        assert factor < 1.15 * stated
        assert held >= 0.9
    assert np.mean(repeats) > 2  # levels are asked about again, and the answers count


@pytest.mark.slow
def test_what_a_participant_taught_makes_later_intervals_narrow_and_they_hold() -> None:
    method = make("psi", {"draws": AS_OFTEN, "guess": 0.5, "sd": 0, "trials": 30})
    assert isinstance(method, limen.procedure.Learner)
    ladder = limen.Ladder(tuple(float(k) for k in range(1, LEVELS + 1)), "level")
    widths: dict[str, list[float]] = {"first": [], "later": []}
    holds = []
    for number in range(30):
        rng = digest.generator("taught", number)
        mean = rng.uniform(0.25 * LEVELS, 0.75 * LEVELS)
        thresholds = rng.normal(mean, 4, 12)
        first = [play(method, chooser(rng, 2, one), LEVELS) for one in thresholds[:8]]
        prior = method.learn(ladder, [run.asked for run in first])
        later = [play(method, chooser(rng, 2, one), LEVELS, prior) for one in thresholds[8:]]
        for wave, runs in (("first", first), ("later", later)):
            widths[wave] += [(run.estimates[0].high - run.estimates[0].low) * STEP / 2 for run in runs]
        found = [run.estimates[0] for run in later]
        holds += [one.low <= truth <= one.high for one, truth in zip(found, thresholds[8:], strict=True)]
    narrow = [math.exp(float(np.median(widths[wave]))) for wave in ("first", "later")]
    print(f"factor {narrow[0]:.2f}, after 8 series {narrow[1]:.2f}, holds {np.mean(holds):.3f}")
    assert narrow[1] < 1.6 < 2 < narrow[0]
    assert np.mean(holds) >= 0.9


def test_draws_of_a_level_are_numbered_and_each_is_asked_once() -> None:
    rng = digest.generator("numbered")
    for name in ("psi", "questplus", "staircase"):
        run = play(make(name, {"draws": AS_OFTEN, "trials": 30}), chooser(rng, 4, 20), LEVELS)
        often = Counter(probe.level for probe in run.asked)
        assert max(often.values()) > 1
        assert set(run.asked) == {Probe(0, level, draw) for level, count in often.items() for draw in range(count)}


def test_without_a_word_of_it_a_level_is_asked_about_once() -> None:
    for name in ("psi", "questplus"):
        run = play(make(name, {"trials": 60, "sd": 0}), chooser(digest.generator("once"), 4, 20), LEVELS)
        assert {probe.draw for probe in run.asked} == {0}
        assert run.questions == LEVELS


@pytest.mark.parametrize("guess", [0, 0.5, 0.25])
@pytest.mark.parametrize("levels", [3, 50, 100])
def test_the_quick_choice_of_questplus_is_the_slow_one(levels: int, guess: float) -> None:
    rng = digest.generator("quick", levels, int(100 * guess))
    for _ in range(2):
        state, threshold = ObserverModel(levels, guess=guess), rng.uniform(1, levels)
        for _ in range(15):
            free = [level for level in range(1, levels + 1) if rng.random() < 0.8] or [1]
            slow = _joint(state, range(1, levels + 1))
            chosen = _most_telling(state, free)
            assert chosen == free[int(np.argmin(slow[np.array(free) - 1]))]
            few = free[:2] if len(free) > 1 else [1, 2]
            assert np.array_equal(_joint(state, few), slow[np.array(few) - 1])  # to the last bit: runs are replayed
            state.tell(chosen, bool(rng.random() < 0.1 + 0.85 / (1 + np.exp(threshold - chosen))))


@pytest.mark.parametrize("name", ["psi", "questplus", "certify", "staircase", "skip"])
def test_the_next_probe_is_there_within_30_ms(name: str) -> None:
    """Of this thread's own time: what else the machine does is not the procedure's."""
    settings = {"draws": AS_OFTEN, "trials": 12} if name in ("psi", "questplus", "staircase") else {}
    says = chooser(digest.generator("quick enough"), 4, 40)
    course = begin(make(name, settings), limen.Ladder(tuple(float(k) for k in range(1, 101)), "level"))
    ask, took = next(course), []
    with contextlib.suppress(StopIteration):
        while True:
            verdicts = {probe: Verdict(Flag.YES if says(probe) else Flag.NO) for probe in ask.needed}
            began = time.thread_time()
            ask = course.send(verdicts)
            took.append(time.thread_time() - began)
    assert len(took) > 3
    assert float(np.median(took)) <= 0.03


# --- what a study of people takes by itself ---


def at_hand(sampled: bool, name: str) -> Observer:
    observer = Toy(lambda query: "<yes>", name)
    observer.sampled = sampled
    return observer


def method(observer: Observer, questions: tuple[str, ...] = ("direct",), **given: Any) -> Any:
    people, procedure = given.pop("people", {}), {"name": "psi"} | given
    spec = Spec(images=("demo",), observers=(), questions=questions, procedure=procedure, limit=1, people=people)
    return Study.of(spec, [observer], [distortions.find("blur")]).method


def test_people_are_asked_a_level_as_often_as_it_tells_most() -> None:
    person = PersonAtHand("p01", SimulatedParticipant(10.0, 1.0, {}))
    model, greedy = at_hand(True, "model"), at_hand(False, "model")
    for name in ("psi", "questplus", "staircase"):
        assert method(person, name=name).draws == AS_OFTEN
        assert method(person, name=name, draws=1).draws == 1
        assert method(model, name=name, people={"minutes": 20}).draws == AS_OFTEN
        assert method(model, name=name).draws == method(greedy, name=name, people={"minutes": 20}).draws == 1
    assert method(person, name="constant").draws == 1  # its declared draws are its design
    assert not hasattr(method(person, name="skip"), "draws")


def test_a_greedy_observer_is_not_asked_as_often_as_it_tells_most() -> None:
    for name in ("psi", "questplus", "staircase"):
        with pytest.raises(InputError, match="draws = 0 .* model is greedy.* Give draws = 1"):
            method(at_hand(False, "model"), name=name, draws=0)
    assert method(at_hand(True, "model"), draws=0).draws == 0


def test_the_guess_rate_is_that_of_the_questions() -> None:
    model = at_hand(False, "model")
    assert method(model, ("odd-one-out-4",)).guess == 0.25
    assert method(model, ("odd-one-out-3",), guess=0.3333).guess == 0.3333
    assert method(model).guess == 0
    assert not hasattr(method(model, ("odd-one-out-4",), name="skip"), "guess")
    with pytest.raises(InputError, match=r"guess = 0\.25"):
        method(model, ("odd-one-out-4",), guess=0.5)
    with pytest.raises(InputError, match=r"Give the procedure guess = 0\.3333"):
        method(model, ("odd-one-out-3", "odd-one-out-4"))


def test_a_study_of_a_person_counts_each_look_and_replays(tmp_path: Path) -> None:
    """Three photographs, 4-alternative choice: each look is a trial with a key of its own, and T50 is found again."""
    kind = distortions.find("blur")
    spec = Spec(
        images=("demo",), observers=(), questions=("odd-one-out-4",), limit=3,
        procedure={"name": "psi", "trials": 30, "sd": 0},
    )  # fmt: skip
    plan = Study.of(spec, [at_hand(True, "person:p01")], [kind])
    person = SimulatedParticipant(threshold=20, slope=2, seed=4, ruler=levels_of(plan.series))
    plan = Study.of(spec, [PersonAtHand("p01", person)], [kind])
    plan.run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        manifest = entries.check(store.path, store.manifest)
        found = list(outcomes(store, manifest))
    assert (manifest.procedure["draws"], manifest.procedure["guess"]) == (0, 0.25)
    for one in found:
        assert one.status is SeriesStatus.COMPLETE
        asked = [response for response in one.responses if response.asked]
        assert len(asked) == 30 == len({key for response in asked for key in response.key})
        assert max(response.probe.draw for response in asked) > 0
        assert not any(response.verdict.flag is Flag.UNREADABLE for response in asked)
        draws: dict[int, list[int]] = defaultdict(list)
        for response in asked:
            draws[response.probe.level].append(response.probe.draw)
        assert all(sorted(each) == [*range(len(each))] for each in draws.values())
    estimates = [estimate for one in found for estimate in one.estimates]
    assert len(estimates) == 3
    assert all(one.low < 20 < one.high for one in estimates)
