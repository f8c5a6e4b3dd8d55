"""Fitted thresholds, one most telling question after another: psi-marginal and QUEST+."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from limen.ladder import Ladder
from limen.parsing.yes_no import Flag
from limen.procedure import LONGEST, Ask, Probe, Procedure, Verdicts, first_answers, procedure
from limen.statistics import observer_model
from limen.statistics.observer_model import ObserverModel, Prior, Values

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Width = Annotated[float, msgspec.Meta(ge=0, le=LONGEST)]
Rate = Annotated[float, msgspec.Meta(ge=0, lt=1)]


@procedure("psi")
class Psi(msgspec.Struct, frozen=True):
    """Fit T50, asking what lowers its own expected entropy most (psi-marginal: Prins 2013, J. Vision 13(7):3).

    Slope, false alarms and lapses are integrated out; the prior is learnt from earlier series of the same observer,
    distortion and question. Differs from Prins: levels are those of the ladder, and one that was asked is not asked
    again, because a greedy model would give the same answer (intervals that count it as new cover 10-20 %).

    Attributes:
        trials: questions at most.
        sd: posterior standard deviation, in levels, at which to stop.
        draws: how often a level may be asked; twice is a declared second draw (the pair swapped); a model that samples
            may be asked more often.
        guess: rate of yes without a difference, where it is known: .5 for the forced choice, whose threshold is then
            the 75 % point. 0 learns it.
    """

    fits: ClassVar[bool] = True

    trials: Count = 30
    sd: Width = 1.5
    draws: Count = 1
    guess: Rate = 0.0

    def start(self, ladder: Ladder, prior: Prior | None = None) -> Procedure:
        """Begin on a series with this ladder, and what earlier series taught."""
        return _adapt(
            ladder, ObserverModel(len(ladder), prior, guess=self.guess), _marginal, self.trials, self.sd, self.draws
        )

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
    draws: Count = 1
    guess: Rate = 0.0

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        return _adapt(ladder, ObserverModel(len(ladder), guess=self.guess), _joint, self.trials, self.sd, self.draws)


def _adapt(
    ladder: Ladder,
    state: ObserverModel,
    expected: Callable[[ObserverModel], Values],
    trials: int,
    sd: float,
    draws: int,
) -> Procedure:
    asked: Counter[int] = Counter()
    for _ in range(trials):
        free = [k for k in range(1, len(ladder) + 1) if asked[k] < draws]
        if not free or state.estimate(ladder).sd <= sd:
            break
        level = free[int(np.argmin(expected(state)[np.array(free) - 1]))]
        probe = Probe(0, level, asked[level])
        verdict = (yield Ask((probe,)))[probe]
        asked[level] += 1
        if verdict.flag is not Flag.UNREADABLE:
            state.tell(level, verdict.yes)
    return (state.estimate(ladder),)


def _marginal(state: ObserverModel) -> Values:
    """Return the expected entropy of T alone after an answer at each level."""
    weights = state.weights
    yes = np.einsum("ct,ctk->tk", weights, state.grid.yes)
    return _entropy(yes) + _entropy(weights.sum(axis=0)[:, None] - yes)


def _joint(state: ObserverModel) -> Values:
    """Return the expected entropy of all parameters after an answer at each level."""
    weights = state.weights.reshape(-1, 1)
    live = weights[:, 0] > 1e-9
    yes = state.grid.yes.reshape(len(weights), -1)[live] * weights[live]
    return _entropy(yes) + _entropy(weights[live] - yes)


def _entropy(mass: Values) -> Values:
    """Return, for each column, its total times the entropy of its normalised values."""
    total = mass.sum(axis=0)
    entropy: Values = total * np.log(np.maximum(total, 1e-300)) - (mass * np.log(np.maximum(mass, 1e-300))).sum(axis=0)
    return entropy
