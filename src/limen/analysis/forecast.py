"""How many questions series will take, before any is asked: by those that are finished, or by playing the procedure.

All series of one observer under one distortion share where its thresholds lie, and nobody knows where that is: so the
uncertainty is one over observers, and does not shrink with the number of series. Simulated observers have first JNDs
anywhere on the ladder or beyond its ends, spread over images; of one observer they are correlated over distortions.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr  # of a normal distribution

from limen import digest
from limen.curve import FEWEST_CLUSTERS, Interval
from limen.ladder import Ladder
from limen.procedure import Learner, Method, Probe, Verdicts, begin, foresee
from limen.statistics.observer_model import Prior
from limen.study.schedule import FIRST
from limen.testing import Simulation, play

Values: TypeAlias = npt.NDArray[np.float64]

DRAWS = 1_000  # of what may come, behind every interval
OBSERVERS, IMAGES = 48, 6  # that are simulated, and series of each
FEWER = (12, 4)  # of them where a question is reckoned for long
KNOWN, FEW_KNOWN = (24, 12), (4, 3)  # the same where the place of the first JNDs is known
CENTRES = (0.02, 0.04, 0.08, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 0.9, 0.96, 1.0)  # of a ladder: places that are played
LATER = 2  # series of each that begin with what the first wave taught
BEYOND = 0.25  # of a ladder: how far below its first level and above its last one first JNDs may lie
ALIKE = 0.75  # correlation of one observer's thresholds over distortions
ENOUGH = FEWEST_CLUSTERS  # finished series from which on they say more than a simulation


@dataclass(frozen=True, slots=True)
class Asking:
    """How a question is put to an observer, as far as it decides how many queries a comparison takes.

    Attributes:
        alone: whether reference and stimulus are shown each alone.
        draws: of each picture shown alone, >= 1.
        identical: whether references are shown with themselves too.
        matched: whether every stimulus is.
        guess: the share of answers that are right by guessing, in a forced choice; 0 elsewhere.
    """

    alone: bool = False
    draws: int = 1
    identical: bool = True
    matched: bool = False
    guess: float = 0.0

    @property
    def undistorted(self) -> int:
        """How many queries show the undistorted reference alone, or with itself."""
        return self.draws if self.alone else int(self.identical)

    def queries(self, asked: Collection[Probe], references: Collection[int]) -> int:
        """Return how many different queries a series takes, without those that show the undistorted reference alone.

        Those, an identical pair or a picture, are shared by all distortions that are asked in the same words.

        Args:
            asked: by the procedure.
            references: levels that became a reference, 0 among them or not.
        """
        same = ({0} | set(references)) if self.identical else set[int]()
        if self.alone:
            shown = {(probe.level, probe.draw) for probe in asked} | {(probe.reference, 0) for probe in asked}
            return self.draws * (len(shown - {(0, 0)}) + len(same))  # a control is a picture of its own
        if self.identical and self.matched:
            same |= {probe.level for probe in asked}
        return len(asked) + len(same - {0})


@dataclass(frozen=True)
class Pool:
    """What series of simulated observers take, from the most to the least sensitive of them.

    Attributes:
        first: of the first wave, or of all series where a procedure does not learn; observers x images.
        later: of series that begin with what earlier ones taught; the same as `first` elsewhere.
    """

    first: Values
    later: Values

    @cached_property
    def fixed(self) -> bool:
        """Whether a series takes the same number whoever answers."""
        return bool(np.all(self.first == self.first[0, 0]) and np.all(self.later == self.first[0, 0]))


@dataclass(frozen=True, slots=True)
class Lane:
    """The series of one question and distortion that an observer has not finished.

    Attributes:
        question, distortion: by name.
        fresh: series without an answer.
        begun: of each series with some answers, how many it has.
        waves: how many of those two belong to the first wave.
        finished: what each finished series took.
        pool: by simulation.
        known: further queries whose number is known.
    """

    question: str
    distortion: str
    fresh: int
    begun: tuple[int, ...]
    finished: tuple[int, ...]
    pool: Pool | None
    known: int = 0

    @property
    def open(self) -> int:
        """How many series are not finished."""
        return self.fresh + len(self.begun)

    @property
    def basis(self) -> str:
        """What the number rests on: "fixed", "finished" series, or "simulation"; "" where nothing is open."""
        if not self.open:
            return ""
        if self.pool is not None and self.pool.fixed:
            return "fixed"
        return "finished" if len(self.finished) >= ENOUGH else "simulation"


@dataclass(frozen=True, slots=True)
class Count:
    """A number that is expected, with a 95 % interval; `exact` where it is known."""

    expected: float
    interval: Interval
    exact: bool = False

    @classmethod
    def of(cls, draws: Values, exact: bool = False) -> "Count":
        """Return mean and percentiles of draws."""
        low, high = np.quantile(draws, (0.025, 0.975))
        return cls(float(draws.mean()), Interval(float(low), float(high)), exact)

    def __mul__(self, factor: float) -> "Count":
        interval = Interval(factor * self.interval.low, factor * self.interval.high)
        return Count(factor * self.expected, interval, self.exact)


def totals(lanes: Sequence[Lane]) -> Values:
    """Return draws of how many queries each lane of one observer will take, lanes x `DRAWS`.

    Args:
        lanes: of one observer.
    """
    found = np.zeros((len(lanes), DRAWS))
    common = digest.generator("forecast").normal(size=DRAWS)
    for row, lane in zip(found, lanes, strict=True):
        rng = digest.generator("forecast", lane.question, lane.distortion)
        own = digest.generator("forecast", lane.distortion).normal(size=DRAWS)
        sensitivity = ndtr(math.sqrt(ALIKE) * common + math.sqrt(1 - ALIKE) * own)
        row += lane.known
        if lane.basis == "finished":
            row += _by_finished(lane, rng)
        elif lane.basis:
            row += _by_simulation(lane, sensitivity, rng)
    return found


def _by_finished(lane: Lane, rng: np.random.Generator) -> Values:
    """Return draws of a lane's total, as its finished series are distributed; their mean is not known exactly."""
    took = np.array(lane.finished, dtype=float)
    supposed = 1 + took.mean() / 10  # finished series that are all alike do not show that all others will be
    spread = math.sqrt((np.sum((took - took.mean()) ** 2) + supposed**2) / (len(took) - 1))
    mean = took.mean() + spread / math.sqrt(len(took)) * rng.standard_t(len(took) - 1, DRAWS)
    fresh = lane.fresh * mean + math.sqrt(lane.fresh) * spread * rng.normal(size=DRAWS)
    total: Values = np.maximum(fresh, lane.fresh)
    for answered in lane.begun:
        total += np.maximum(rng.choice(took, DRAWS) - answered, 1)
    return total


def _by_simulation(lane: Lane, sensitivity: Values, rng: np.random.Generator) -> Values:
    assert lane.pool is not None
    total = np.zeros(DRAWS)
    teaching = max(0, FIRST - len(lane.finished) - len(lane.begun))  # fresh series of the first wave
    for counts, series in (
        (lane.pool.first, min(lane.fresh, teaching)),
        (lane.pool.later, max(0, lane.fresh - teaching)),
    ):
        who = np.minimum((sensitivity * len(counts)).astype(int), len(counts) - 1)
        images = counts.shape[1]
        total += (rng.multinomial(series, [1 / images] * images, DRAWS) * counts[who]).sum(axis=1)
    counts = lane.pool.first
    who = np.minimum((sensitivity * len(counts)).astype(int), len(counts) - 1)
    for answered in lane.begun:
        total += np.maximum(counts[who, rng.integers(counts.shape[1], size=DRAWS)] - answered, 1)
    return total


# --- simulated observers ---


def simulated(
    method: Method, levels: int, asking: Asking, ahead: int = 0, tell: Callable[[], None] = lambda: None
) -> Pool:
    """Return what series of simulated observers take under a procedure.

    Args:
        method: the procedure with its settings.
        levels: L of the ladder, >= 1.
        asking: how the question is put.
        ahead: how many asks are foreseen and put early.
        tell: called after each observer.
    """
    ladder = Ladder(tuple(float(k) for k in range(1, levels + 1)), "level")
    trial = play(method, lambda probe: probe.level > levels / 2, levels)
    slow = isinstance(method, Learner) or bool(trial.estimates)
    observers, images = FEWER if slow else (OBSERVERS, IMAGES)
    first, later = list[list[int]](), list[list[int]]()
    for number in range(observers):
        sensitivity = (number + 0.5) / observers  # from below the first level to beyond the last
        centre = ((1 + 2 * BEYOND) * sensitivity - BEYOND) * levels
        observer = _Observer(centre, levels, number, guess=asking.guess)
        runs = [_played(method, observer.answers(image), ladder, None, ahead) for image in range(images)]
        first.append([asking.queries(asked, _references(run)) for run, asked in runs])
        if isinstance(method, Learner):
            prior = method.learn(ladder, [run.asked for run, _ in runs])
            runs = [_played(method, observer.answers(images + image), ladder, prior, ahead) for image in range(LATER)]
            later.append([asking.queries(asked, _references(run)) for run, asked in runs])
        tell()
    counts = np.array(first, dtype=float)
    return Pool(counts, np.array(later, dtype=float) if later else counts)


@dataclass(frozen=True)
class ByThreshold:
    """How many questions a series takes, by where the first JNDs of an observer lie.

    Attributes:
        centres: places of first JNDs, in levels, ascending; the last lies beyond the ladder.
        counts: mean over images of observers with their first JNDs there; observers x centres.
    """

    centres: Values
    counts: Values

    def at(self, first: float) -> Values:
        """Return how many questions a series takes with the first JNDs there, for each simulated observer."""
        return np.array([np.interp(first, self.centres, row) for row in self.counts])


def by_threshold(method: Method, levels: int, asking: Asking, tell: Callable[[], None] = lambda: None) -> ByThreshold:
    """Return what series take whose observer is known by the mean of its first JNDs.

    First JNDs spread over images as those of `simulated`, but less where the mean lies near an end of the ladder, so
    that it stays the mean.

    Args:
        method: the procedure with its settings.
        levels: L of the ladder, >= 1.
        asking: how the question is put.
        tell: called after each place.
    """
    ladder = Ladder(tuple(float(k) for k in range(1, levels + 1)), "level")
    learns = isinstance(method, Learner)
    centres = np.array([*(CENTRES[::2] if learns else CENTRES), 1 + BEYOND]) * levels
    observers, images = FEW_KNOWN if learns else KNOWN
    counts = np.zeros((observers, len(centres)))
    for place, centre in enumerate(centres):
        within = max(0.0, min(1.0, 2 * centre / levels, 2 * (levels - centre) / levels))
        for number in range(observers):
            observer = _Observer(float(centre), levels, number, within, asking.guess)
            runs = [_played(method, observer.answers(image), ladder, None, 0) for image in range(images)]
            if isinstance(method, Learner):  # all but the first series of a part begin with what others taught
                prior = method.learn(ladder, [run.asked for run, _ in runs])
                runs = [_played(method, observer.answers(images + i), ladder, prior, 0) for i in range(LATER)]
            counts[number, place] = np.mean([asking.queries(asked, _references(run)) for run, asked in runs])
        tell()
    return ByThreshold(centres, counts)


def _references(run: Simulation) -> set[int]:
    return {one.reference for one in run.found}


def _played(
    method: Method, says: Callable[[Probe], bool], ladder: Ladder, prior: Prior | None, ahead: int
) -> tuple[Simulation, Collection[Probe]]:
    """Play a series, and return it with all that would be asked, early questions included."""
    run = play(method, says, len(ladder), prior)
    asked = set(run.asked)
    if ahead:
        known: dict[Probe, Any] = {}
        course = begin(method, ladder, prior)
        try:
            ask = next(course)
            while True:
                asked.update(foresee(method, ladder, prior, dict(known), ahead))
                answers: Verdicts = {probe: run.asked[probe] for probe in ask.needed}
                known |= answers
                ask = course.send(answers)
        except StopIteration:
            pass
    return run, asked


class _Observer:
    """A simulated observer: a logistic curve on levels, with false alarms and lapses; frozen, as greedy models are.

    Args:
        centre: of its first JNDs, in levels; below the first level, on the ladder or beyond the last.
        levels: L.
        number: names its draws.
        within: how wide they may be spread over images, as a share of what is usual.
        guess: the rate at which it is right without noticing anything; 0 for false alarms of its own.
    """

    def __init__(self, centre: float, levels: int, number: int, within: float = 1.0, guess: float = 0.0) -> None:
        rng = digest.generator("forecast observer", number)
        self._number, self._centre = number, centre
        self._spread = within * rng.uniform(0.05, 0.25) * levels
        self._slope = rng.uniform(0.005, 0.06) * levels
        self._false_alarms, self._lapses = rng.beta(0.5, 8, 2)
        if guess:
            self._false_alarms, self._lapses = guess, (1 - guess) * self._lapses
        self._further = math.exp(rng.uniform(-0.7, 0.7))  # how far later JNDs lie apart, beside the first

    def answers(self, image: int) -> Callable[[Probe], bool]:
        """Return what it says to one image."""
        rng = digest.generator("forecast image", self._number, image)
        first = rng.normal(self._centre, self._spread)

        def says(probe: Probe) -> bool:
            threshold = first * self._further if probe.reference else first
            distance = (probe.level - probe.reference - threshold) / self._slope
            noticed = 1 / (1 + math.exp(-min(max(distance, -50.0), 50.0)))
            return bool(rng.random() < self._false_alarms + (1 - self._false_alarms - self._lapses) * noticed)

        return says


def pools(
    method: Method, needed: Mapping[int, Collection[Asking]], ahead: int = 0, tell: Callable[[], None] = lambda: None
) -> dict[tuple[int, Asking], Pool]:
    """Return the pools that a study needs, each made once.

    Args:
        method: the procedure with its settings.
        needed: how questions are put, by the length of the ladder.
        ahead: how many asks are foreseen and put early.
        tell: called after each simulated observer.
    """
    return {
        (levels, asking): simulated(method, levels, asking, ahead, tell)
        for levels, ways in needed.items()
        for asking in ways
    }
