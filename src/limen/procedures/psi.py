"""Fitted thresholds, one most telling question after another: psi-marginal and QUEST+."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from limen.ladder import Ladder
from limen.parsing.yes_no import Flag
from limen.procedure import AS_OFTEN, LONGEST, Ask, Probe, Procedure, Repeats, Verdicts, first_answers, procedure
from limen.statistics import observer_model
from limen.statistics.observer_model import ObserverModel, ParameterGrid, Prior, Values

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Width = Annotated[float, msgspec.Meta(ge=0, le=LONGEST)]
Rate = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Choice = Callable[[ObserverModel, Sequence[int]], int]  # of the levels that may be asked, the next one

_NEAR = 1e-9  # two ways to sum an entropy differ by 1e-11 at most
_ALIVE = 1e-9  # weight of a parameter point below which it says nothing


@procedure("psi")
class Psi(msgspec.Struct, frozen=True):
    """Fit T50, asking what lowers its own expected entropy most (psi-marginal: Prins 2013, J. Vision 13(7):3).

    Slope, false alarms and lapses are integrated out; the prior is learnt from earlier series of the same observer,
    distortion and question. Differs from Prins: levels are those of the ladder, and one that was asked is not asked
    again unless `draws` says so: a greedy model would give the same answer (intervals that count it as new cover
    10-20 %).

    Attributes:
        trials: questions at most.
        sd: posterior standard deviation, in levels, at which to stop.
        draws: how often a level may be asked; twice is a declared second draw (the pair swapped); who answers by chance
            may be asked more often: 0 for as often as it tells most, which a study of people takes by itself.
        guess: rate of yes without a difference, where it is known: .5 for the forced choice, whose threshold is then
            the 75 % point. 0 learns it; a study whose questions all have one rate takes that by itself.
    """

    fits: ClassVar[bool] = True

    trials: Count = 30
    sd: Width = 1.5
    draws: Repeats = 1
    guess: Rate = 0.0

    def start(self, ladder: Ladder, prior: Prior | None = None) -> Procedure:
        """Begin on a series with this ladder, and what earlier series taught."""
        state = ObserverModel(len(ladder), prior, guess=self.guess)
        return _adapt(ladder, state, _surest, self.trials, self.sd, self.draws)

    def learn(self, ladder: Ladder, outcomes: Iterable[Verdicts]) -> Prior | None:
        """Return what these series teach about the next ones."""
        return observer_model.learn(len(ladder), map(first_answers, outcomes), self.guess)


@procedure("questplus")
class QuestPlus(msgspec.Struct, frozen=True):
    """Fit T50, asking what lowers the entropy of all parameters most (QUEST+: Watson 2017, J. Vision 17(3):10).

    Each series by itself, from a flat prior. Differs from Watson as `psi` does from Prins.

    Attributes:
        trials, sd, draws, guess: as for `psi`.
    """

    fits: ClassVar[bool] = True

    trials: Count = 30
    sd: Width = 1.5
    draws: Repeats = 1
    guess: Rate = 0.0

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        state = ObserverModel(len(ladder), guess=self.guess)
        return _adapt(ladder, state, _most_telling, self.trials, self.sd, self.draws)


def _adapt(ladder: Ladder, state: ObserverModel, choose: Choice, trials: int, sd: float, draws: int) -> Procedure:
    asked: Counter[int] = Counter()
    for _ in range(trials):
        free = [k for k in range(1, len(ladder) + 1) if draws == AS_OFTEN or asked[k] < draws]
        if not free or state.estimate(ladder).sd <= sd:
            break
        level = choose(state, free)
        probe = Probe(0, level, asked[level])
        verdict = (yield Ask((probe,)))[probe]
        asked[level] += 1
        if verdict.flag is not Flag.UNREADABLE:
            state.tell(level, verdict.yes)
    return (state.estimate(ladder),)


def _surest(state: ObserverModel, free: Sequence[int]) -> int:
    """Return the level after whose answer T alone is expected to be surest."""
    weights = state.weights
    yes = np.einsum("ct,ctk->tk", weights, state.grid.yes)
    expected = _entropy(yes) + _entropy(weights.sum(axis=0)[:, None] - yes)
    return free[int(np.argmin(expected[np.array(free) - 1]))]


def _most_telling(state: ObserverModel, free: Sequence[int]) -> int:
    """Return the level after whose answer all parameters together are expected to be surest.

    The expected entropy of every level costs two logarithms for each point of the grid. What an answer tells, the
    entropy of the answer less its mean over the points, costs none; it decides, but for levels that are too near to
    each other for its last digits.
    """
    weights = state.weights.reshape(-1)
    weights = np.where(weights > _ALIVE, weights, 0.0)
    levels = state.grid.yes.shape[2]
    yes = np.einsum("i,ik->k", weights, state.grid.yes.reshape(-1, levels))
    told = _uncertain(yes) + _uncertain(weights.sum() - yes) - np.einsum("i,ki->k", weights, _doubt(state.grid))
    told = told[np.array(free) - 1]
    near = [level for level, one in zip(free, told, strict=True) if one >= told.max() - _NEAR]
    return near[0] if len(near) == 1 else near[int(np.argmin(_joint(state, near)))]


@functools.lru_cache(maxsize=4)
def _doubt(grid: ParameterGrid) -> Values:
    """Return the entropy of an answer at each level and each point of the grid."""
    doubt: Values = -(np.exp(grid.log) * grid.log).sum(axis=0).reshape(grid.yes.shape[2], -1)
    return doubt


def _uncertain(mass: Values) -> Values:
    uncertain: Values = -mass * np.log(np.maximum(mass, 1e-300))
    return uncertain


def _joint(state: ObserverModel, levels: Sequence[int]) -> Values:
    """Return the expected entropy of all parameters after an answer at each of these levels."""
    weights = state.weights.reshape(-1, 1)
    live = weights[:, 0] > _ALIVE
    columns = np.array(levels) - 1
    yes = state.grid.yes.reshape(len(weights), -1)[live].take(columns, axis=1) * weights[live]  # in rows, as ever
    return _entropy(yes) + _entropy(weights[live] - yes)


def _entropy(mass: Values) -> Values:
    """Return, for each column, its total times the entropy of its normalised values."""
    total = mass.sum(axis=0)
    entropy: Values = total * np.log(np.maximum(total, 1e-300)) - (mass * np.log(np.maximum(mass, 1e-300))).sum(axis=0)
    return entropy
