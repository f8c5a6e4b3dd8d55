"""The scan's result at a stated probability, with few questions."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
import numpy as np

from limen.ladder import Ladder
from limen.parsing.yes_no import Verdict
from limen.procedure import (
    Orders,
    Probe,
    Procedure,
    Search,
    SearchResult,
    Verdicts,
    ask,
    chain,
    first_answers,
    pattern,
    procedure,
    skip,
)
from limen.statistics import observer_model
from limen.statistics.observer_model import ObserverModel, Prior, Values

SPAN = 4  # levels of gap and of window: what is reckoned with doubles with every level of either
TOO_MANY = 0.2  # false alarms from which on `skip`, which is exact, costs less than certainty
_RIVALS, _CANDIDATES, _BEYOND = 3, 9, 8


@procedure("certify")
class Certify(msgspec.Struct, frozen=True):
    """Ask until one answer to "what would the scan have found?" has the stated probability (ours).

    The posterior over threshold, slope, false alarms and lapses (`limen.statistics.observer_model`) gives, by dynamic
    programming, the distribution of the scan's J; the next level asked is the one that lowers its expected entropy
    most. The prior is learnt from earlier series of the same observer, distortion and question; where it expects false
    alarms of .2 and more, the series is put through `skip` instead. The probability holds if answers at different
    levels are independent given the observer's parameters.

    Attributes:
        gap, confirm, orders: as for `scan`.
        certainty: the probability to reach.
    """

    gap: Annotated[int, msgspec.Meta(ge=1, le=SPAN)] = 1
    confirm: Annotated[int, msgspec.Meta(ge=0, le=SPAN)] = 2
    orders: Orders = 1
    certainty: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95

    def start(self, ladder: Ladder, prior: Prior | None = None) -> Procedure:
        """Begin on a series with this ladder, and what earlier series taught."""
        levels = len(ladder)
        noisy = prior is not None and prior.false_alarms >= TOO_MANY

        def search(reference: int) -> Search:
            if noisy:
                return skip(reference, levels, self.gap, self.confirm)
            return self._next(reference, levels, prior)

        return chain(ladder, self.gap, self.confirm, self.orders, search)

    def learn(self, ladder: Ladder, outcomes: Iterable[Verdicts]) -> Prior | None:
        """Return what these series teach about the next ones."""
        return observer_model.learn(len(ladder), map(first_answers, outcomes))

    def _next(self, reference: int, levels: int, prior: Prior | None) -> Search:
        offsets = tuple(k - 1 for k in pattern(1, self.gap, self.confirm, levels + self.gap + self.confirm))
        known: dict[Probe, Verdict] = {}
        state = ObserverModel(levels, prior, fresh_threshold=reference > 0)
        for level in range(1, reference + 1):
            state.asked[level] = False  # the scan does not look at levels up to the reference
        while True:
            outcome = _outcomes(state, offsets, [])[0]
            best = int(np.argmax(outcome))
            if outcome[best] >= self.certainty or len(state.asked) == levels:
                return SearchResult(None if best == levels else best + 1, float(outcome[best]))
            level = _most_telling(state, outcome, offsets)
            probe = Probe(reference, level)
            yield from ask(known, probe)
            state.tell(level, known[probe].yes)


@procedure("auto")
class Auto(Certify, frozen=True):
    """Begin with `skip`, learn from it, and go on with `certify` where that pays: the scan's J for fewer questions.

    The first wave of series of each observer, distortion and question is exact and teaches the prior; later waves are
    certified, or exact again where false alarms are many.

    Attributes:
        gap, confirm, orders, certainty: as for `certify`.
    """

    def start(self, ladder: Ladder, prior: Prior | None = None) -> Procedure:
        """Begin on a series with this ladder, and what earlier series taught."""
        if prior is not None:
            return Certify.start(self, ladder, prior)
        levels = len(ladder)
        return chain(ladder, self.gap, self.confirm, self.orders, lambda r: skip(r, levels, self.gap, self.confirm))


def _most_telling(state: ObserverModel, outcome: Values, offsets: tuple[int, ...]) -> int:
    """Return the unasked level whose answer lowers the expected entropy of the scan's result most."""
    levels = len(outcome) - 1
    candidates: list[int] = []
    for rival in np.argsort(-outcome, kind="stable")[:_RIVALS]:
        window = [int(rival) + 1 + o for o in offsets] if rival < levels else range(levels, 0, -offsets[-1] - 1)
        candidates += [k for k in window if 1 <= k <= levels and k not in state.asked and k not in candidates]
    candidates = candidates[:_CANDIDATES] or [k for k in range(1, levels + 1) if k not in state.asked][:_BEYOND]
    after = _outcomes(state, offsets, candidates)[1:]
    chosen, weights = state.support()
    p_yes = state.grid.yes.reshape(-1, levels)[chosen][:, [k - 1 for k in candidates]].T @ weights
    entropy = -(after * np.log(after + 1e-12)).sum(axis=1).reshape(-1, 2)
    return candidates[int(np.argmin(p_yes * entropy[:, 1] + (1 - p_yes) * entropy[:, 0]))]


def _outcomes(state: ObserverModel, offsets: tuple[int, ...], candidates: list[int]) -> Values:
    """Return the distribution of the scan's result now, and after a no and a yes at each of the candidates."""
    levels = state.grid.yes.shape[2]
    chosen, weights = state.support()
    yes = state.grid.yes.reshape(-1, levels)[chosen].copy()
    for level, answer in state.asked.items():
        yes[:, level - 1] = answer
    cases = np.repeat(yes[None], 1 + 2 * len(candidates), axis=0)
    shares = np.repeat(weights[None], len(cases), axis=0)
    for i, level in enumerate(candidates):
        p = yes[:, level - 1]
        for said, share in enumerate((1 - p, p)):
            shares[1 + 2 * i + said] *= share
            cases[1 + 2 * i + said, :, level - 1] = said
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    return observer_model.scan_outcome(shares, cases, offsets)
