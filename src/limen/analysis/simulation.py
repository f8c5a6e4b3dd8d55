"""Which procedure suits which observer: simulated answers, so that the truth is known.

Each image has a threshold T ~ N(mean, spread); p(yes | level) = g + (1 - g - l) F((level - T) / s), F logistic (s = 0:
a step). Answers are frozen, as a greedy model's are: one for each image and level, whatever asks for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limen import digest
from limen import procedure as procedures
from limen.curve import Interval, Share
from limen.ladder import Ladder
from limen.procedure import Learner, Method, Probe
from limen.statistics.observer_model import Prior
from limen.testing import Simulation, play

FIRST_WAVE = 8


@dataclass(frozen=True, slots=True)
class SimulatedObserver:
    """A simulated observer.

    Attributes:
        name: for tables.
        slope: s, in levels; 0 is a step.
        false_alarms, lapses: g and l.
        correlation: of the uniform draws behind answers at neighbouring levels; 0 is independent.
        mean, spread: of the thresholds over images, in levels.
    """

    name: str
    slope: float
    false_alarms: float = 0.0
    lapses: float = 0.0
    correlation: float = 0.0
    mean: float = 20.0
    spread: float = 6.0

    def threshold(self, image: int, seed: int) -> float:
        """Return T of one image, in levels."""
        return float(digest.generator("simulated threshold", image, seed).normal(self.mean, self.spread))

    def answers(self, image: int, seed: int, levels: int, reference: int = 0, draw: int = 0) -> list[bool]:
        """Return the answers to levels 1..n, against a reference that shifts T by its own level.

        The same draw gives the same answers, as a greedy model does; another draw is another sample.

        Args:
            image: number of the image, >= 0.
            seed: any int.
            levels: L, >= 1.
            reference: level of the reference, 0..L - 1.
            draw: number of the sample, >= 0.
        """
        k = np.arange(1, levels + 1)
        distance = k - reference - self.threshold(image, seed)
        if self.slope:
            noticed = 1 / (1 + np.exp(-np.clip(distance / self.slope, -50, 50)))
        else:
            noticed = (distance >= 0).astype(float)
        p = self.false_alarms + (1 - self.false_alarms - self.lapses) * noticed
        rng = digest.generator("simulated answers", self.name, image, seed, reference, draw)
        if not self.correlation:
            return list(map(bool, rng.random(levels) < p))
        normal = rng.normal(size=levels)
        for i in range(1, levels):
            normal[i] = self.correlation * normal[i - 1] + math.sqrt(1 - self.correlation**2) * normal[i]
        return [0.5 * (1 + math.erf(z / math.sqrt(2))) < q for z, q in zip(normal, p, strict=True)]


OBSERVERS = (
    SimulatedObserver("step", 0.0),
    SimulatedObserver("s=1", 1.0),
    SimulatedObserver("s=2", 2.0),
    SimulatedObserver("s=3, g=.02", 3.0, 0.02),
    SimulatedObserver("s=3, g=l=.1", 3.0, 0.1, 0.1),
    SimulatedObserver("s=2, g=.3", 2.0, 0.3),
    SimulatedObserver("erratic (s=2, g=l=.3)", 2.0, 0.3, 0.3),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A procedure with settings, under a label for tables."""

    label: str
    procedure: str
    settings: tuple[tuple[str, object], ...] = ()


CONTENDERS = (
    Contender("scan", "scan"),
    Contender("skip", "skip"),
    Contender("bisect", "bisect"),
    Contender("certify", "certify"),
    Contender("auto", "auto"),
    Contender("psi (20 levels)", "psi", (("trials", 20), ("sd", 0.0))),
    Contender("psi (20 samples)", "psi", (("trials", 20), ("sd", 0.0), ("draws", 20))),
    Contender("questplus (20 samples)", "questplus", (("trials", 20), ("sd", 0.0), ("draws", 20))),
    Contender("staircase (20 samples)", "staircase", (
        ("trials", 20), ("start_level", 25), ("step_up", 3), ("step_down", 3), ("reversals", 20), ("draws", 20),
    )),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimulationRow:
    """One procedure on one observer.

    Attributes:
        observer, procedure: by name.
        images: how many.
        questions: mean a series.
        exact: share of series whose J is the exhaustive scan's (procedures that find J).
        stated: mean certainty the procedure stated (1 for exact ones).
        rmse: of the fitted threshold against T, in levels (procedures that fit).
        covered: share of 95 % intervals that hold T.
        interval: of `questions`, 95 %, normal approximation over images.
    """

    observer: str
    procedure: str
    images: int
    questions: float
    interval: Interval
    exact: Share | None = None
    stated: float | None = None
    rmse: float | None = None
    covered: Share | None = None


def study(
    observer: SimulatedObserver,
    contender: Contender,
    images: int = 400,
    levels: int = 50,
    seed: int = 0,
    orders: int = 1,
) -> SimulationRow:
    """Put simulated series through a procedure, in waves where it learns.

    Args:
        observer: who answers.
        contender: the procedure and its settings.
        images: how many series, >= 1.
        levels: L of the ladder, >= 1.
        seed: any int; another one gives other images and other answers.
        orders: JNDs to look for, >= 1; 0 for as many as there are.
    """
    ladder = Ladder(tuple(float(k) for k in range(1, levels + 1)), "level")
    method = _made(contender, orders)
    prior, outcomes, size = None, [], FIRST_WAVE
    runs: list[Simulation] = []
    while len(runs) < images:
        for image in range(len(runs), min(images, len(runs) + size)):
            run = _put(method, observer, image, seed, levels, prior)
            runs.append(run)
            outcomes.append(run.asked)
        size *= 2
        if len(runs) < images and isinstance(method, Learner):
            prior = method.learn(ladder, outcomes)
    return _summary(observer, contender.label, runs, levels, seed, orders)


def _made(contender: Contender, orders: int) -> Method:
    chained = {"orders": orders} if "orders" in procedures.find(contender.procedure).__struct_fields__ else {}
    return procedures.make(contender.procedure, chained | dict(contender.settings))


def _put(
    method: Method, observer: SimulatedObserver, image: int, seed: int, levels: int, prior: Prior | None
) -> Simulation:
    tables: dict[tuple[int, int], list[bool]] = {}

    def says(probe: Probe) -> bool:
        key = probe.reference, probe.draw
        if key not in tables:
            tables[key] = observer.answers(image, seed, levels, *key)
        return tables[key][probe.level - 1]

    return play(method, says, levels, prior)


def _summary(
    observer: SimulatedObserver, label: str, runs: Sequence[Simulation], levels: int, seed: int, orders: int
) -> SimulationRow:
    counts = np.array([run.questions for run in runs], dtype=float)
    half = 1.96 * float(counts.std(ddof=1)) / math.sqrt(len(runs)) if len(runs) > 1 else math.nan
    mean = float(counts.mean())
    base = (observer.name, label, len(runs), mean, Interval(mean - half, mean + half))
    if any(run.estimates for run in runs):
        truth = [observer.threshold(image, seed) for image in range(len(runs))]
        fits = [run.estimates[0] for run in runs]
        rmse = math.sqrt(float(np.mean([(fit.level - t) ** 2 for fit, t in zip(fits, truth, strict=True)])))
        known = [(fit, t) for fit, t in zip(fits, truth, strict=True) if not math.isnan(fit.low)]
        held = Share(sum(fit.low <= t <= fit.high for fit, t in known), len(known)) if known else None
        return SimulationRow(*base, rmse=rmse, covered=held)
    scan = procedures.make("scan", {"orders": orders})
    exact = sum(run.levels == _put(scan, observer, i, seed, levels, None).levels for i, run in enumerate(runs))
    stated = float(np.mean([t.certainty for run in runs for t in run.thresholds])) if runs[0].thresholds else None
    return SimulationRow(*base, exact=Share(exact, len(runs)), stated=stated)
