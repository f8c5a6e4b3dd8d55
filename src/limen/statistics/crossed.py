"""Numbers of people and references that are crossed: each person meets many references, and each reference many people.

Both are samples, so an interval must respect both: the crossed ("pigeonhole") bootstrap draws people and references
each with replacement and counts a cell as often as both were drawn (Owen 2007, Annals of Applied Statistics 1:386). It
errs on the wide side: what is left of a cell after its person and its reference counts up to three times.

Spreads come from the model y = centre + person + reference + rest, all normal, by a Gibbs sampler: cells of which
only bounds are known (beyond the ladder: above L) are drawn from within them, as in a Tobit model (Tanner & Wong 1987,
JASA 82:528), and spreads have a flat prior (Gelman 2006, Bayesian Analysis 1:515).
lme4 and statsmodels have crossed effects, and neither has intervals for y. Ancillarity and sufficiency are interwoven
for the scales (Yu & Meng 2011, J. Computational and Graphical Statistics 20:531), or the chain sticks where a spread is
near 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from limen import digest
from limen.curve import FEWEST_CLUSTERS, Array, Interval
from limen.errors import InputError

_NORMAL = NormalDist()
RESAMPLES = 2000
FEWEST_FOR_HALVES = 10  # people below which halves of them say too little of all
_STEPS, _BURNT = 1800, 300  # of the sampler, and of these those that are thrown away


# --- intervals ---


def means(values: Array) -> Array:
    """Return the mean over people of each reference, (R,), NaN where nobody met it.

    Args:
        values: (P, R), NaN where a person did not meet a reference.
    """
    there = ~np.isnan(values)
    n = there.sum(axis=0)
    return np.asarray(np.where(n > 0, np.where(there, values, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan))


def mean(values: Array) -> float:
    """Return the mean over references of their means over people; NaN for nothing (`means`)."""
    known = means(values)
    return float(np.nanmean(known)) if np.any(~np.isnan(known)) else math.nan


def mean_interval(values: Array) -> Interval | None:
    """Return the 95 % interval of `mean` over people and references; None below five of either, or where all are alike.

    Args:
        values: (P, R), NaN where a person did not meet a reference.
    """
    known = values[~np.isnan(values)]
    if not len(known) or np.all(known == known[0]):
        return None
    low, high = means_intervals(values[:, :, None])
    return None if math.isnan(low[0]) else Interval(float(low[0]), float(high[0]))


def means_intervals(values: Array) -> tuple[Array, Array]:
    """Return the ends of the 95 % interval of `mean` for each of K kinds of numbers, (K,) each.

    The crossed bootstrap. Its percentiles are widened for few people or references as Student's t is, and by n / (n -
    1) of the smaller number (Hesterberg 2015, The American Statistician 69:371, "expanded percentile interval"). NaN
    below five of either.

    Args:
        values: (P, R, K), NaN where a person did not meet a reference.
    """
    values = _met(values)
    people, references, kinds = values.shape
    nothing = np.full(kinds, np.nan)
    if min(people, references) < FEWEST_CLUSTERS:
        return nothing, nothing
    there = ~np.isnan(values)
    of_people, of_references = draws(people, references)
    total = (of_people @ np.where(there, values, 0.0).reshape(people, -1)).reshape(-1, references, kinds)
    n = (of_people @ there.reshape(people, -1).astype(np.float64)).reshape(-1, references, kinds)
    weight = of_references[:, :, None] * (n > 0)
    every = weight.sum(axis=1)
    found = (weight * total / np.maximum(n, 1e-9)).sum(axis=1) / np.where(every > 0, every, np.nan)
    low, high = np.nanquantile(found, _tails(min(people, references)), axis=0)
    return low, high


def interval_of(statistic: Callable[[Array, Array], float], people: int, references: int) -> Interval | None:
    """Return the 95 % interval of any statistic by the crossed bootstrap, as in `means_intervals`.

    Args:
        statistic: of how often each person, (P,), and each reference, (R,), counts; infinite beyond what was asked.
        people: how many, P.
        references: how many, R.
    """
    if min(people, references) < FEWEST_CLUSTERS:
        return None
    found = [statistic(v, w) for v, w in zip(*draws(people, references, 500), strict=True)]
    known = [value for value in found if not math.isnan(value)]
    if not known or min(known) == max(known):
        return None
    low, high = np.quantile(known, _tails(min(people, references)), method="nearest")
    return Interval(float(low), float(high))


def draws(people: int, references: int, resamples: int = RESAMPLES) -> tuple[Array, Array]:
    """Return how often each person, (B, P), and each reference, (B, R), is drawn.

    Args:
        people: P.
        references: R.
        resamples: B.
    """
    rng = digest.generator("crossed", people, references)
    drawn = (rng.multinomial(n, [1 / n] * n, resamples).astype(np.float64) for n in (people, references))
    of_people, of_references = drawn
    return of_people, of_references


def _tails(n: int) -> tuple[float, float]:
    from scipy.special import stdtrit  # loaded only where it is used

    tail = _NORMAL.cdf(-math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, 0.975)))
    return tail, 1 - tail


def _met(values: Array) -> Array:
    """Return values without people and references that met none."""
    there = np.any(~np.isnan(values), axis=2)
    return np.asarray(values[np.ix_(np.any(there, axis=1), np.any(there, axis=0))])


# --- spread ---


@dataclass(frozen=True, slots=True)
class Spread:
    """A standard deviation: posterior median and 95 % credible interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Components:
    """Where thresholds differ: between people, between references, and in the rest.

    Attributes:
        person: sd of what a person is above or below others.
        reference: sd of what a reference is.
        rest: sd of what is left: a person's own view of one reference, and the error of one threshold.
        share: of the variance over one reference (person + rest) that lies between people.
    """

    person: Spread
    reference: Spread
    rest: Spread
    share: Spread


def components(low: Array, high: Array) -> Components | None:
    """Return the spread between people, between references, and of the rest.

    None below five people or five references, where half of the cells or more lie beyond either end, or where no person
    and no reference was met twice: then they cannot be told apart.

    Args:
        low: (P, R), what each cell is known to lie above; minus infinity; NaN where a person did not meet a reference.
        high: (P, R), what it lies at or below; equal to `low` where it is known.

    Raises:
        InputError: bounds of unlike shape, or in the wrong order.
    """
    if low.shape != high.shape or (low > high).any():
        raise InputError("Bounds of thresholds must come in pairs, the lower one first.")
    met = ~np.isnan(low)
    rows, columns = met.any(axis=1), met.any(axis=0)
    low, high, met = (of[np.ix_(rows, columns)] for of in (low, high, met))
    beyond = np.isinf(low[met]) | np.isinf(high[met])
    apart = met.shape[0] + met.shape[1] < met.sum() and np.median(met.sum(axis=0)) >= 2
    if min(met.shape) < FEWEST_CLUSTERS or 2 * beyond.sum() >= beyond.size or not apart:
        return None
    person, reference = np.nonzero(met)
    return _Sampler(low[met], high[met], person, reference).run()


class _Sampler:
    """Draws from the posterior of the three spreads."""

    def __init__(
        self, low: Array, high: Array, person: npt.NDArray[np.intp], reference: npt.NDArray[np.intp]
    ) -> None:  # fmt: skip
        self.low, self.high, self.open = low, high, high > low
        self.of = (person, reference)
        self.sizes = tuple(int(index.max()) + 1 for index in self.of)
        self.n = tuple(np.bincount(index) for index in self.of)
        self.rng = digest.generator("components", len(low), *self.sizes)
        inner = np.where(np.isinf(low), high, np.where(np.isinf(high), low, (np.maximum(low, -1e300) + high) / 2))
        self.y, self.sd = inner, np.full(3, max(float(inner.std()), 1e-3) / math.sqrt(3))
        self.centre = float(inner.mean())
        self.effects = [np.zeros(size) for size in self.sizes]

    def run(self) -> Components:
        kept = np.empty((_STEPS - _BURNT, 3))
        for step in range(_STEPS):
            for which in (0, 1):
                self._effects(which)
            self._rest()
            self._values()
            if step >= _BURNT:
                kept[step - _BURNT] = self.sd
        share = kept[:, 0] ** 2 / (kept[:, 0] ** 2 + kept[:, 2] ** 2)
        return Components(*(_spread(column) for column in (*kept.T, share)))

    def _effects(self, which: int) -> None:
        """Draw the effects of people or references, and their spread, given all else."""
        index, n, rest = self.of[which], self.n[which], self.sd[2] ** 2
        other = self.effects[1 - which][self.of[1 - which]]
        left = self.y - other - self.centre
        weight = n / rest + 1 / self.sd[which] ** 2
        about = np.bincount(index, left, minlength=len(n)) / rest / weight
        effect = about + self.rng.standard_normal(len(n)) / np.sqrt(weight)
        self.sd[which] = math.sqrt(float(effect @ effect) / 2 / self.rng.gamma((len(n) - 1) / 2))
        scaled = effect / self.sd[which]  # the same once more, with the scale drawn from the values themselves
        size = float(n @ scaled**2)
        at = float(left @ scaled[index]) / size
        self.sd[which] = max(self._above_zero(at, math.sqrt(rest / size)), 1e-6)
        self.effects[which] = scaled * self.sd[which]
        free = self.y - other - self.effects[which][index]
        self.centre = float(free.mean()) + self.rng.standard_normal() * math.sqrt(rest / len(free))
        shift = float(self.effects[which].mean()) + self.rng.standard_normal() * self.sd[which] / math.sqrt(len(n))
        self.effects[which] -= shift  # moves along the ridge on which centre and effects cannot be told apart
        self.centre += shift

    def _above_zero(self, at: float, sd: float) -> float:
        for _ in range(20):
            if (drawn := at + sd * self.rng.standard_normal()) > 0:
                return drawn
        return float(_between(at, sd, 0.0, math.inf, self.rng))

    def _rest(self) -> None:
        left = self.y - self._expected()
        self.sd[2] = math.sqrt(float(left @ left) / 2 / self.rng.gamma((len(left) - 1) / 2))

    def _expected(self) -> Array:
        return np.asarray(self.centre + self.effects[0][self.of[0]] + self.effects[1][self.of[1]])

    def _values(self) -> None:
        """Draw the values of which only bounds are known."""
        if self.open.any():
            at = self._expected()[self.open]
            self.y[self.open] = _between(at, float(self.sd[2]), self.low[self.open], self.high[self.open], self.rng)


def _between(at: Any, sd: float, low: Any, high: Any, rng: np.random.Generator) -> Any:
    """Return draws from a normal between two bounds, by its inverse; from the nearer tail, where digits are left."""
    from scipy.special import ndtr, ndtri  # loaded only where it is used

    a, b = (low - at) / sd, (high - at) / sd
    turned = a > 0
    a, b = np.where(turned, -b, a), np.where(turned, -a, b)
    first, last = ndtr(a), ndtr(b)
    z = ndtri(np.clip(first + rng.random(np.shape(at)) * (last - first), 1e-300, 1 - 1e-16))
    return np.clip(at + sd * np.where(turned, -z, z), low, high)


def _spread(kept: Array) -> Spread:
    low, middle, high = np.quantile(kept, (0.025, 0.5, 0.975))
    return Spread(float(middle), Interval(float(low), float(high)))


# --- what people agree on ---


def references_of(values: Array) -> Array:
    """Return what each reference is, apart from who met it: the additive fit's mean of each, (..., R).

    Least squares of person + reference. Where everybody met every reference it is the mean over people; where not, a
    reference that only the keen met does not look easy for it. People who share no reference with others, not even
    through others, are taken to be as keen as those on the average: nothing in the data says.

    Args:
        values: (..., P, R), NaN where a person did not meet a reference.
    """
    there = ~np.isnan(values)
    y, met = np.where(there, values, 0.0), there.astype(np.float64)
    columns = np.maximum(met.sum(axis=-2), 1)
    reference = y.sum(axis=-2) / columns
    if not there.all():
        person = _people(met, columns, ((y - reference[..., None, :]) * met).sum(axis=-1))
        reference = ((y - person[..., None]) * met).sum(axis=-2) / columns
    return np.asarray(np.where(there.any(axis=-2), reference, np.nan))


def _people(met: Array, columns: Array, left: Array) -> Array:
    """Return what each person is, (..., P), by conjugate gradients (Hestenes & Stiefel 1952) from 0: of mean 0.

    Solves (D - M C^-1 M') person = left, in which references are eliminated: M says who met what, D and C count it.
    """

    def product(person: Array) -> Array:
        of_references = (person[..., None, :] @ met)[..., 0, :] / columns
        return np.asarray(rows * person - (met @ of_references[..., None])[..., 0])

    def square(of: Array) -> Array:
        return np.asarray((of**2).sum(axis=-1, keepdims=True))

    rows, person = met.sum(axis=-1), np.zeros_like(left)
    way, size = left, square(left)
    enough = 1e-24 * size
    for _ in range(4 * left.shape[-1]):  # with exact numbers as many steps as people suffice
        going = size > enough
        if not going.any():
            break
        along = product(way)
        step = np.divide(size, (way * along).sum(axis=-1, keepdims=True), out=np.zeros_like(size), where=going)
        person = person + step * way
        left = left - step * along
        before, size = size, np.where(going, square(left), size)
        way = left + np.divide(size, before, out=np.zeros_like(size), where=going) * way
    return person


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well people's thresholds, averaged over these people, repeat over references.

    Attributes:
        reliability: Spearman's correlation of the averages of two halves of people, mean over random halvings, stepped
            up to all of them (Spearman 1910, Brown 1910): 2 r / (1 + r).
        value: the square root: what an observer that sees just as people do on the average would reach.
        interval: of `value`, 95 % over references, percentiles.
        people, references: how many.
    """

    reliability: float
    value: float
    interval: Interval
    people: int
    references: int


def split_half(values: Array, halvings: int = 100, resamples: int = 500) -> Ceiling | None:
    """Return the ceiling of people's agreement; None below ten people or five references, or where halves disagree.

    Args:
        values: (P, R), NaN where a person did not meet a reference; a censored one as its bound.
        halvings: of the people at random.
        resamples: of the references, for the interval.
    """
    there = ~np.isnan(values)
    values = values[there.any(axis=1)]
    people = len(values)
    if people < FEWEST_FOR_HALVES:
        return None
    rng = digest.generator("halves", people)
    order = np.argsort(rng.random((halvings, people)), axis=1)
    half = people // 2
    first, second = (references_of(values[part]) for part in (order[:, :half], order[:, half:]))
    both = ~np.isnan(first).any(axis=0) & ~np.isnan(second).any(axis=0)
    first, second = first[:, both], second[:, both]
    references = int(both.sum())
    if references < FEWEST_CLUSTERS:
        return None
    r = float(np.mean(spearman(first, second)))
    chosen = digest.generator("ceiling", references).integers(0, references, (resamples, references))
    again = np.mean([spearman(x[chosen], y[chosen]) for x, y in zip(first, second, strict=True)], axis=0)
    if not r > 0:
        return None
    low, high = np.quantile(_stepped(again), (0.025, 0.975))
    reliability = 2 * r / (1 + r)
    return Ceiling(reliability, math.sqrt(reliability), Interval(float(low), float(high)), people, references)


def _stepped(r: Array) -> Array:
    r = np.clip(r, 0.0, 1.0)
    return np.asarray(np.sqrt(2 * r / (1 + r)))


def spearman(x: Array, y: Array) -> Array:
    """Return rank correlations along the last axis, tied values at their mean rank; 0 where one side is all alike."""
    from scipy.stats import rankdata  # 2 s: loaded only where it is used

    x, y = (rankdata(side, axis=-1) for side in (x, y))
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    size = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.asarray(np.where(size > 0, (x * y).sum(axis=-1) / np.where(size > 0, size, 1.0), 0.0))
