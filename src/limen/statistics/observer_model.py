"""What an adaptive procedure believes about an observer: a grid over threshold, slope, false alarms and lapses.

p(yes | level) = g + (1 - g - l) / (1 + exp(-(level - T) / s)), T by series, (s, g, l) shared by the series of one
observer, distortion and question. What is learnt from earlier series is a `Prior`: weights of the (s, g, l) cells, and
for each a histogram of T. An answer at a level is used once; asking a greedy model again would give it again.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limen.ladder import Ladder
from limen.threshold import Estimate

Values = npt.NDArray[np.float64]

SLOPES = (0.3, 1.0, 2.0, 3.5, 6.0)  # levels of a ladder of 50; wider in proportion on a longer one
FALSE_ALARMS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45)
LAPSES = (0.005, 0.05, 0.1, 0.3)
_KEPT = 1e-4  # cells of less weight are left out of a prior
_SMOOTHING = np.array([1, 2, 4, 6, 8, 6, 4, 2, 1]) / 34  # of the histogram of T, in levels
_FLOOR = 0.6  # series' worth of flat mass in the histogram of T


@dataclass(frozen=True, slots=True)
class Prior:
    """What earlier series taught, as plain numbers that a store can keep.

    Attributes:
        levels: of the ladder.
        guess: fixed rate of yes to no difference (.5 in a forced choice); 0 where it was learnt.
        series: how many it was learnt from.
        cells: (index of the cell, its weight, its histogram of T) for the cells that matter.
    """

    levels: int
    guess: float
    series: int
    cells: tuple[tuple[int, float, tuple[float, ...]], ...]

    def fits(self, levels: int) -> bool:
        """Say whether it is a prior for a ladder of so many levels."""
        count = len(SLOPES) * len(LAPSES) * (1 if self.guess else len(FALSE_ALARMS))
        return (
            self.levels == levels
            and 0 <= self.guess < 1
            and all(
                0 <= index < count and weight >= 0 and len(histogram) == levels + 4 and min(histogram) >= 0
                for index, weight, histogram in self.cells
            )
        )

    @property
    def false_alarms(self) -> float:
        """The expected false-alarm rate."""
        grid = of_levels(self.levels, self.guess)
        return float(sum(weight * grid.cells[index, 1] for index, weight, _ in self.cells))


@dataclass(frozen=True, eq=False)
class ParameterGrid:
    """The parameter grid of a ladder.

    Attributes:
        thresholds: T, in levels, shape (t,); three lie beyond the ladder.
        cells: (s, g, l), shape (c, 3).
        yes: p(yes), shape (c, t, levels).
        log: log p(no) and log p(yes), shape (2, levels, c, t): what one answer takes lies together.
    """

    thresholds: Values
    cells: Values
    yes: Values
    log: Values


@functools.lru_cache(maxsize=4)
def of_levels(levels: int, guess: float = 0.0) -> ParameterGrid:
    """Return the grid of a ladder with so many levels; `guess` fixes the false alarms instead of learning them."""
    scale = max(1.0, levels / 50)
    thresholds = np.concatenate([np.arange(0.5, levels + 1), levels + scale * np.array([3.0, 8.0, 20.0])])
    cells = np.array(
        [(scale * s, g, lapse) for s in SLOPES for g in ([guess] if guess else FALSE_ALARMS) for lapse in LAPSES]
    )
    slope, alarms, lapse = (column[:, None, None] for column in cells.T)
    distance = (np.arange(1, levels + 1) - thresholds[:, None]) / slope
    yes = alarms + (1 - alarms - lapse) / (1 + np.exp(-np.clip(distance, -40, 40)))
    log = np.moveaxis(np.log(np.stack([1 - yes, yes])), 3, 1)
    return ParameterGrid(thresholds, cells, yes, np.ascontiguousarray(log))


class ObserverModel:
    """A posterior over the grid, moved by answers."""

    def __init__(
        self, levels: int, prior: Prior | None = None, fresh_threshold: bool = False, guess: float = 0
    ) -> None:
        """Begin with a prior, or with a flat one.

        Args:
            levels: of the ladder.
            prior: learnt from earlier series; of the same ladder.
            guess: fixed rate of yes to no difference; 0 learns it.
            fresh_threshold: take only slope, false alarms and lapses from the prior (a JND after the first).
        """
        self.grid = of_levels(levels, guess)
        weights = np.full(self.grid.yes.shape[:2], 1e-12)
        if prior is None:
            weights += 1.0
        for index, weight, histogram in prior.cells if prior else ():
            weights[index] += weight / len(histogram) if fresh_threshold else weight * np.array(histogram)
        self._log = np.log(weights)
        self._weights: Values | None = None
        self.asked: dict[int, bool] = {}
        self._said: set[bool] = set()

    def tell(self, level: int, yes: bool) -> None:
        """Take in one answer."""
        self.asked[level] = yes
        self._said.add(yes)
        self._log = self._log + self.grid.log[int(yes), level - 1]
        self._weights = None

    @property
    def weights(self) -> Values:
        """The posterior, shape (c, t), summing to 1."""
        if self._weights is None:
            weights: Values = np.exp(self._log - self._log.max())
            weights /= weights.sum()
            weights.flags.writeable = False
            self._weights = weights
        return self._weights

    def estimate(self, ladder: Ladder) -> Estimate:
        """Return T50 with its 95 % credible interval, slope, false alarms and lapses integrated out.

        Where every answer was yes, T50 lies at or below the lowest level asked, whatever the prior makes of it.
        """
        share, at = self.weights.sum(axis=0), self.grid.thresholds
        mean = float(share @ at)
        sd = float(np.sqrt(share @ (at - mean) ** 2))
        edges = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2, [2 * at[-1] - at[-2]]])
        cumulative = np.concatenate([[0.0], np.cumsum(share)])
        low, high = (float(np.interp(q, cumulative, edges)) for q in (0.025, 0.975))
        levels, below = len(ladder), self._said == {True}
        mean = float(min(self.asked)) if below else mean
        strength = float(np.interp(mean, range(1, levels + 1), ladder.strengths))
        return Estimate(mean, strength, low, high, sd, float(share[at > levels].sum()), below=below, levels=levels)

    def support(self, mass: float = 0.995, most: int = 400) -> tuple[npt.NDArray[np.intp], Values]:
        """Return the likeliest grid points that hold `mass` together, as flat indices with their weights."""
        flat = self.weights.ravel()
        least = -np.partition(-flat, most - 1)[most - 1] if most < len(flat) else 0.0
        high = np.flatnonzero(flat >= least)  # few are to be sorted
        order = high[np.argsort(-flat[high], kind="stable")[:most]]
        count = min(len(order), int(np.searchsorted(np.cumsum(flat[order]), mass)) + 1)
        chosen = order[:count]
        return chosen, flat[chosen] / flat[chosen].sum()


def learn(levels: int, series: Iterable[Sequence[tuple[int, bool]]], guess: float = 0) -> Prior | None:
    """Return the prior that the answers of earlier series teach (empirical Bayes: EM for the histogram of T).

    The nodes of T are fixed and their masses are fitted (Laird 1978, JASA 73:805), by EM, 15 steps. Differences: the
    histogram is smoothed in each step, and an equal share of a floor is added to every node.

    Args:
        levels: L of the ladder, >= 1.
        series: for each, its answers (level, yes) against the undistorted reference; their order does not matter.
        guess: fixed rate of yes to no difference, 0 <= guess < 1; 0 learns it.
    """
    answers = sorted(tuple(sorted(one)) for one in series if one)
    if not answers:
        return None
    grid = of_levels(levels, guess)
    evidence = np.stack([sum(grid.log[int(yes), level - 1] for level, yes in one) for one in answers])
    likelihood = np.exp(evidence - evidence.max(axis=(1, 2), keepdims=True))
    count = len(grid.thresholds)
    histogram = np.full(grid.yes.shape[:2], 1 / count)
    for _ in range(15):
        share = likelihood * histogram
        share /= np.maximum(share.sum(axis=2, keepdims=True), 1e-300)
        histogram = _smooth(share.sum(axis=0)) + _FLOOR / count
        histogram /= histogram.sum(axis=1, keepdims=True)
    fit = np.log(np.maximum((likelihood * histogram).sum(axis=2), 1e-300)).sum(axis=0)
    weights = np.exp(fit - fit.max())
    weights /= weights.sum()
    cells = [(int(i), float(weights[i]), tuple(map(float, histogram[i]))) for i in np.nonzero(weights > _KEPT)[0]]
    return Prior(levels, guess, len(answers), tuple(cells))


def _smooth(counts: Values) -> Values:
    return np.array([np.convolve(row, _SMOOTHING, mode="same") for row in counts])


def scan_outcome(weights: Values, yes: Values, offsets: Sequence[int]) -> Values:
    """Return what the scan would find: P(J = 1..levels) and, last, P(none), by dynamic programming.

    Args:
        weights: of parameter points, shape (b, n), >= 0; b cases at once.
        yes: p(yes) of each point at each level, 0 or 1 where the answer is known, shape (b, n, levels).
        offsets: the pattern of the candidate, from 0: (0, 1, 2) for gap 1 and confirm 2.

    Returns:
        Shape (b, levels + 1).
    """
    cases, _, levels = yes.shape
    span = offsets[-1]  # answers to remember: bit i is the answer i levels back
    states = 1 << span
    half = states // 2
    found = np.zeros((cases, levels + 1))
    mass, moved = np.zeros((2, states, *weights.shape))
    mass[0] = weights
    hits = [state for state in range(states) if all(state >> (span - 1 - o) & 1 for o in offsets[:-1])] if span else [0]
    for level, said in enumerate(np.ascontiguousarray(np.moveaxis(yes, 2, 0))):
        no = mass * (1 - said)
        mass *= said
        if level >= span:
            for state in hits:
                found[:, level - span] += mass[state].sum(axis=1)
                mass[state] = 0
        if not half:
            mass = no
            continue
        np.add(mass[:half], mass[half:], out=moved[1::2])  # the oldest answer is forgotten
        np.add(no[:half], no[half:], out=moved[::2])
        mass, moved = moved, mass
    for state in range(states):  # candidates whose window the end of the ladder cuts, the lowest first
        cut = _cut(state, span, levels, offsets)
        found[:, levels if cut is None else cut] += mass[state].sum(axis=1)
    return found


def _cut(state: int, span: int, levels: int, offsets: Sequence[int]) -> int | None:
    for back in range(min(span, levels) - 1, -1, -1):  # the candidate lies `back` levels below the top
        if all(state >> (back - o) & 1 for o in offsets if o <= back):
            return levels - 1 - back
    return None
