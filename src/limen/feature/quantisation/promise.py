"""Whether a quantiser keeps a promise: Pr[drop > eps] <= rho for a fresh image, with confidence 1 - delta.

Candidates stand in an order that was fixed on fitting images, the finest first. Each is tested on the calibration
images against H: Pr[drop > eps] > rho, by the exact binomial p-value of how many of them fail; the first that is not
rejected at delta ends the walk, and the one before it is taken. Whatever the order, the chance of taking one that does
not keep the promise is at most delta: it takes the false rejection of the first such candidate, and each is tested
once (fixed-sequence testing; Angelopoulos, Bates, Candes, Jordan and Lei 2021, "Learn then Test", arXiv:2110.01052).

A deterministic quantiser draws nothing, so the probability is over images alone: Pr[drop > eps] is one number for each
quantiser, and the confidence is over the draw of the calibration images.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

from limen.errors import InputError

DELTA = 0.05
Drops = npt.NDArray[np.float64]

_Open = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pr[drop > eps] <= rho with confidence 1 - delta, tested on n images.

    Attributes:
        drop: which loss, a name in the task's `drops`.
        eps: the most of it, 0 or more, in its own unit.
        rho: the largest probability of more than that.
        delta: the largest probability that the promise is not kept.
        n: calibration images.
    """

    drop: str
    eps: Annotated[float, msgspec.Meta(ge=0)]
    rho: _Open
    delta: _Open
    n: Annotated[int, msgspec.Meta(ge=1)]

    def __str__(self) -> str:
        return f"Pr[{self.drop} > {self.eps:g}] <= {self.rho:g} with confidence {1 - self.delta:g}"

    @property
    def allowed(self) -> int:
        """The most calibration images that may fail: with one more, H is not rejected. Below 0 with too few images."""
        failing = np.arange(self.n + 1)
        return int((special.bdtr(failing, self.n, self.rho) <= self.delta).sum()) - 1

    def check(self) -> None:
        """Raise `InputError` where this cannot be promised of any quantiser: no probabilities, or too few images."""
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise InputError(f"eps is the largest drop allowed, 0 or more, not {self.eps}. Give a number such as 0.05.")
        for name, value in (("rho", self.rho), ("delta", self.delta)):
            if not 0 < value < 1:
                raise InputError(f"{name} is a probability between 0 and 1, not {value}. Give a number such as 0.1.")
        if self.allowed < 0:
            raise InputError(
                f"{self.n} calibration images are too few to promise {self}: it takes {least(self.rho, self.delta)} at "
                "least. Give more (fit: --images-calibrate; splits: --images), or allow a larger rho."
            )


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate that was tested.

    Attributes:
        budget: nominal NRMSE.
        failures: calibration images whose drop is above eps, or no number.
        images: how many were looked at; fewer than all where the failures were too many before the last.
    """

    budget: float
    failures: int
    images: int


@dataclass(frozen=True, slots=True)
class SequenceOfTests:
    """Candidates from the finest on, up to the first that could not be shown to keep the promise.

    Attributes:
        tried: in order.
        taken: which of them keeps the promise and is the coarsest that does; None where the finest does not.
        reach: the smallest eps that the finest would have kept.
    """

    tried: tuple[Tried, ...]
    taken: int | None
    reach: float


def p_value(failures: int, n: int, rho: float) -> float:
    """Return the p-value of H: Pr[failure] > rho: how probable so few failures are where it is rho.

    Args:
        failures: images that failed, 0..n.
        n: images, >= 1.
        rho: 0 < rho < 1.
    """
    return float(special.bdtr(failures, n, rho))


def least(rho: float, delta: float = DELTA) -> int:
    """Return how many calibration images it takes at least: with none failing, (1 - rho)^n <= delta."""
    return math.ceil(math.log(delta) / math.log1p(-rho) - 1e-9)


def walk(budgets: Sequence[float], drops: Callable[[int], Iterable[Drops]], promise: Promise) -> SequenceOfTests:
    """Test candidates in order until the first that is not rejected.

    A candidate with more failures than may be is left at once: the images left could not change the decision.

    Args:
        budgets: of the candidates, finest first, 1 at least.
        drops: what each calibration image loses with the candidate of a place, `promise.n` of them in parts.
        promise: that `Promise.check` lets pass.
    """
    allowed, tried, reach = promise.allowed, list[Tried](), math.inf
    for place, budget in enumerate(budgets):
        lost: list[Drops] = []
        for part in drops(place):
            lost.append(part)
            if place and _failures(lost, promise.eps) > allowed:
                break
        if not place:
            reach = float(np.sort(np.concatenate(lost))[-1 - allowed])
        tried.append(Tried(budget, _failures(lost, promise.eps), sum(map(len, lost))))
        if tried[-1].failures > allowed:
            break
    kept = len(tried) - (tried[-1].failures > allowed)
    return SequenceOfTests(tuple(tried), kept - 1 if kept else None, reach)


def _failures(lost: Sequence[Drops], eps: float) -> int:
    return sum(int((~(part <= eps)).sum()) for part in lost)
