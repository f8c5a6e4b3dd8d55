"""The posterior of psychometric functions on a grid, for many data sets at once.

What is assumed (`Priors`): threshold uniform, width log-uniform, guess and lapse rate Beta(1/2, 3). psignifit 4
(Schuett et al. 2016, Vision Research 122:105) has Beta(1, 10), made for people. Models lapse and raise false alarms in
none or in 30 % of their answers: with psignifit's prior 95 % intervals of the threshold covered 80 % of the latter
(simulated scans of 40 references), with Beta(1, 5) 89 % of the former, with this one 92 % and more of all ten kinds of
observer tried.

The grid is coarse first, then, for data sets that pin a parameter down to within its cells, their own
finer one, so that one call serves a thousand series of ten answers and one curve of ten thousand.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from limen.curve import Array, Interval, wilson
from limen.errors import InputError
from limen.statistics.psychometric import TINY, Responses, inverse, rise

FLAT = 7.38  # chi-square, 2 degrees of freedom, 97.5 %: below this yes does not depend on the level
ALWAYS = 0.95  # share of yes, at whatever level, that is called always


class Placement(StrEnum):
    """Whether a threshold lies within what was measured."""

    WITHIN = ""
    ABOVE = ">"  # right-censored: beyond the end of the ladder
    BELOW = "<="  # left-censored: noticed at the first level already
    OPEN = "?"  # undetermined: the answers do not say


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's posterior: mean, median and equal-tailed 95 % credible interval, in the parameter's unit.

    A bound beyond the end of the ladder is infinite: there the prior speaks, not the data. The interval of a rate or a
    width never holds the very end of its range (a rate of exactly 0).
    """

    mean: float
    median: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Priors:
    """What is assumed before any answer.

    The parameters are independent; what series learn from each other is `limen.statistics.observer_model`.

    Attributes:
        threshold: uniform between these levels.
        width: log-uniform between these levels.
        guess, lapse: a number fixes the rate; None: Beta(1/2, 3), lapses up to .5.
        first, top: levels between which a threshold counts as measured.
    """

    threshold: tuple[float, float]
    width: tuple[float, float]
    guess: float | None = None
    lapse: float | None = None
    first: float = -math.inf
    top: float = math.inf

    @classmethod
    def ladder(cls, levels: float, guess: float | None = None, lapse: float | None = None) -> "Priors":
        """Return the prior for a ladder of levels 1..L: threshold in (0, 2 L), width in (0.5, 2 L).

        As much of it lies above the ladder as on it, so that an observer that says no to everything gets a
        threshold beyond the end; psignifit's ends half a range beyond.

        Args:
            levels: L, > 0.
            guess: rate of false alarms (or of chance), 0 <= guess < 1; None to fit it.
            lapse: rate of lapses, 0 <= lapse < 1; None to fit it.
        """
        return cls((0.0, 2.0 * levels), (0.5, 2.0 * levels), guess, lapse, 1.0, float(levels))

    @classmethod
    def spanning(cls, levels: Sequence[float], guess: float | None = None, lapse: float | None = None) -> "Priors":
        """Return the prior for any stimulus axis: half a range beyond both ends; widths from a step to three ranges.

        Args:
            levels: stimulus values in any unit, two different finite ones at least; infinite ones (identical pairs)
                are left out.
            guess: rate of false alarms (or of chance), 0 <= guess < 1; None to fit it.
            lapse: rate of lapses, 0 <= lapse < 1; None to fit it.

        Raises:
            InputError: fewer than two different finite levels.
        """
        x = np.unique([level for level in levels if math.isfinite(level)])
        if len(x) < 2:
            raise InputError("One stimulus level says nothing about the range. Give Priors with their bounds.")
        reach = float(x[-1] - x[0])
        return cls((float(x[0]) - reach / 2, float(x[-1]) + reach / 2), (float(np.diff(x).min()), 3 * reach),
                   guess, lapse, float(x[0]), float(x[-1]))  # fmt: skip


@dataclass(frozen=True, slots=True)
class FittedCurve:
    """The probability of a yes (or of a correct choice) by level, as fitted: posterior medians with a 95 % band.

    The band is pointwise: at each level the probability lies in it with 95 %, not the whole curve.

    Attributes:
        levels: in ascending order.
        share, low, high: at each of them, 0 to 1.
    """

    levels: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, level: float) -> float:
        """Return the share at a level, by a line between two of them."""
        return float(np.interp(level, self.levels, self.share))


@dataclass(frozen=True, slots=True)
class Fit:
    """The posterior of one data set.

    Attributes:
        shape: of the psychometric function.
        threshold: level where F = .5; with the guess rate fixed at .5 (two-alternative forced choice) and no lapses
            that is the 75 % point, psi = .75.
        t75: level where F = .75.
        width: levels between F = .05 and F = .95.
        guess, lapse: rates, 0 to 1.
        side: whether the threshold's median lies within the levels measured.
        n: answers, identical pairs included.
        curve: what was fitted, by level; None where it was not asked for.
    """

    shape: str
    threshold: Parameter
    t75: Parameter
    width: Parameter
    guess: Parameter
    lapse: Parameter
    side: Placement
    n: int
    curve: FittedCurve | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """Cells of one parameter, even in a transformed coordinate in which its prior is flat or smooth."""

    low: float
    high: float
    cells: int
    value: Callable[[Array], Array]
    log_prior: Callable[[Array], Array]

    @property
    def edges(self) -> Array:
        """The cells' borders, transformed."""
        return np.linspace(self.low, self.high, self.cells + 1)

    @property
    def nodes(self) -> Array:
        """The cells' middles, transformed."""
        edges = self.edges
        return np.asarray((edges[1:] + edges[:-1]) / 2)

    @property
    def values(self) -> Array:
        """The parameter at the cells' middles."""
        return self.value(self.nodes)

    def around(self, mass: Array, cells: int, whole: "Axis") -> "Axis":
        """Return finer cells where the posterior mass lies, a cell of margin on both sides.

        Args:
            mass: posterior mass of each cell, (cells,), >= 0; need not sum to 1.
            cells: of the new axis, >= 1.
            whole: the axis that this one must not leave.
        """
        if whole.low == whole.high:
            return self
        total = np.concatenate(([0.0], np.cumsum(mass))) / mass.sum()
        step = (self.high - self.low) / self.cells
        low = float(np.interp(1e-4, total, self.edges)) - step
        high = float(np.interp(1 - 1e-4, total, self.edges)) + step
        return Axis(max(low, whole.low), min(high, whole.high), cells, self.value, self.log_prior)


def _flat(x: Array) -> Array:
    return np.zeros_like(x)


def _same(x: Array) -> Array:
    return x


def _square(x: Array) -> Array:
    return np.asarray(x * x)


def _beta(x: Array) -> Array:
    """Log density of sqrt(rate), the rate being Beta(1/2, 3): highest at 0, with a long tail."""
    return np.asarray(2.0 * np.log1p(-x * x))


def exponential(x: Array) -> Array:
    """Return exp(x): a log-uniform axis."""
    return np.exp(x)


def flat(low: float, high: float, cells: int) -> Axis:
    """Return an axis with a uniform prior.

    Args:
        low: lower end, in the unit of the parameter.
        high: upper end, >= `low`.
        cells: >= 1.
    """
    return Axis(low, high, cells, _same, _flat)


def scale(low: float, high: float, cells: int) -> Axis:
    """Return an axis with a log-uniform prior.

    Args:
        low: lower end, > 0, in the parameter's unit.
        high: upper end, >= `low`.
        cells: >= 1, equal in the logarithm.
    """
    return Axis(math.log(low), math.log(high), cells, exponential, _flat)


def rate(fixed: float | None, highest: float, cells: int) -> Axis:
    """Return an axis for a rate: Beta(1/2, 3) up to `highest` (cells even in its root), or one fixed value.

    Args:
        fixed: 0 <= fixed < 1, or None to fit it.
        highest: upper end where it is fitted, 0 < highest <= 1.
        cells: >= 1; 1 is used for a fixed one.

    Raises:
        InputError: a fixed rate outside 0 <= rate < 1.
    """
    if fixed is None:
        return Axis(0.0, math.sqrt(highest), cells, _square, _beta)
    if not 0.0 <= fixed < 1.0:
        raise InputError(f"A rate lies between 0 and 1, not at {fixed}.")
    return Axis(fixed, fixed, 1, _same, _flat)


def placement_of_answers(levels: Array, yes: Array, n: Array, gained: float) -> Placement:
    """Say what answers alone decide about a threshold, whatever a prior or a climb makes of them.

    No to every level: beyond. Yes to (nearly) every one: at or below the first. Where yes depends on the level no more
    than chance would have it (twice the log likelihood gained over one rate for all, identical pairs with them, is less
    than chi-square's 97.5 % with two degrees of freedom) and half of the answers or more may be yes: undetermined. With
    fewer yes it is a blind observer's false alarms, and the fit says "beyond". Else: within, as far as this goes.

    Args:
        levels: (K,), in any unit; `limen.statistics.psychometric.IDENTICAL` for identical pairs.
        yes: (K,), counts of yes of one data set, 0..n.
        n: (K,), counts of answers of one data set, >= 0.
        gained: highest log likelihood of a fit, in nats.
    """
    own = np.isfinite(levels)
    said, asked = float(yes[own].sum()), float(n[own].sum())
    if said <= TINY * asked:
        return Placement.ABOVE
    if said >= (1 - TINY) * asked:
        return Placement.BELOW
    rate_ = np.clip(yes.sum() / n.sum(), TINY, 1 - TINY)
    flat = float(yes.sum() * np.log(rate_) + (n - yes).sum() * np.log1p(-rate_))
    if 2 * (gained - flat) >= FLAT or wilson(said, asked).high < 0.5:
        return Placement.WITHIN
    return Placement.BELOW if said >= ALWAYS * asked else Placement.OPEN


COARSE = (40, 8, 5, 2)  # 3,200 points
FINE = (15, 9, 7, 6)


def axes_of(prior: Priors, cells: Sequence[int] = COARSE) -> tuple[Axis, Axis, Axis, Axis]:
    """Return the grid: threshold, width, guess, lapse."""
    m, w, g, low = cells
    return (flat(*prior.threshold, m), scale(*prior.width, w), rate(prior.guess, 0.98, g), rate(prior.lapse, 0.5, low))


def posterior(
    data: Responses, prior: Priors, shape: str = "logistic", refine: bool = True, at: Sequence[float] = ()
) -> tuple[Fit, ...]:
    """Return the posterior of each data set.

    Args:
        data: whole counts, each answer an independent draw. Answers about several references are not: they share a
            reference's threshold (use `limen.statistics.population`).
        prior: see `Priors.ladder` and `Priors.spanning`.
        shape: one of `limen.statistics.psychometric.SHAPES`.
        refine: give a data set that needs it a finer grid of its own.
        at: levels, in ascending order, at which the fitted curve is wanted.

    Raises:
        InputError: fractional counts (p(yes) is no binomial count: use `limen.statistics.likelihood`).
    """
    if not data.whole:
        raise InputError(
            "Counts with fractions have no binomial posterior. Fit p(yes) with limen.statistics.likelihood.clustered."
        )
    axes = axes_of(prior)
    masses, gains = _masses(axes, shape, data)
    fits = []
    for i, mass in enumerate(masses):
        gained = float(gains[i])
        own: Sequence[Axis] = axes
        share = mass
        for _ in range(7 if refine else 0):
            if not too_coarse(own, share):
                break
            own = tuple(
                axis.around(margin, cells, whole)
                for axis, margin, cells, whole in zip(own, margins(share), FINE, axes, strict=True)
            )
            finer, best = _masses(own, shape, Responses(data.levels, data.yes[i : i + 1], data.n[i : i + 1]))
            share, gained = finer[0], max(gained, float(best[0]))
        place = placement_of_answers(data.levels, data.yes[i], data.n[i], gained)
        fits.append(_fit(own, share, shape, prior, int(data.n[i].sum()), place, at))
    return tuple(fits)


def _masses(axes: Sequence[Axis], shape: str, data: Responses) -> tuple[Array, Array]:
    """Return each data set's posterior over the cells, (B, threshold, width, guess, lapse), and highest likelihood."""
    used = data.n.sum(axis=0) > 0
    m, w, g, low = (axis.values for axis in axes)
    f = rise(shape, data.levels[used], m[:, None, None], w[:, None])[:, :, None, None, :]
    p = g[:, None, None] + (1.0 - g[:, None, None] - low[:, None]) * f
    cells = p.shape[:-1]
    p = np.clip(p, TINY, 1.0 - TINY).reshape(-1, int(used.sum()))
    log = data.yes[:, used] @ np.log(p).T
    log += (data.n - data.yes)[:, used] @ np.log1p(-p).T
    prior = _log_prior(axes).ravel()
    best = log[:, np.isfinite(prior)].max(axis=1)
    log += prior
    log -= log.max(axis=1, keepdims=True)
    np.exp(log, out=log)
    log /= log.sum(axis=1, keepdims=True)
    return log.reshape(-1, *cells), best


def _log_prior(axes: Sequence[Axis]) -> Array:
    total = np.zeros(())
    for axis in axes:
        total = total[..., None] + axis.log_prior(axis.nodes)
    g, low = axes[2].values[:, None], axes[3].values
    return np.asarray(total + np.where(g + low < 0.98, 0.0, -math.inf))


def margins(mass: Array) -> list[Array]:
    """Return the marginal of each axis."""
    every = range(mass.ndim)
    return [mass.sum(axis=tuple(other for other in every if other != axis)) for axis in every]


def too_coarse(axes: Sequence[Axis], mass: Array) -> bool:
    """Whether some parameter's posterior is about as narrow as its cells."""
    for axis, margin in zip(axes, margins(mass), strict=True):
        place = np.arange(axis.cells)
        if axis.cells > 1 and float(margin @ (place - float(margin @ place)) ** 2) < 1.2**2:
            return True
    return False


def quantiles(axis: Axis, mass: Array, shares: Sequence[float]) -> Array:
    """Return quantiles of a parameter, even within cells.

    Args:
        axis: of the parameter.
        mass: posterior mass of each cell, (cells,), >= 0; need not sum to 1.
        shares: probabilities, 0 to 1 each.
    """
    total = np.concatenate(([0.0], np.cumsum(mass)))
    return axis.value(np.interp(shares, total / total[-1], axis.edges))


def spread(values: Array, mass: Array, shares: Sequence[float]) -> Array:
    """Return quantiles of a derived quantity known at the cells' middles.

    Args:
        values: of the quantity at each cell, of any shape.
        mass: posterior mass of each cell, of that shape; need not sum to 1.
        shares: probabilities, 0 to 1 each.
    """
    order = np.argsort(values, axis=None)
    weight = mass.ravel()[order]
    total = (np.cumsum(weight) - weight / 2) / weight.sum()
    return np.asarray(np.interp(shares, total, values.ravel()[order]))


_SHARES = (0.025, 0.5, 0.975)


def marginal(axis: Axis, mass: Array) -> Parameter:
    """Return the estimate of a parameter from its marginal."""
    low, median, high = quantiles(axis, mass, _SHARES)
    return Parameter(float(mass @ axis.values), float(median), Interval(float(low), float(high)))


def derived(values: Array, mass: Array) -> Parameter:
    """Return the estimate of a derived quantity known at the cells' middles."""
    low, median, high = spread(values, mass, _SHARES)
    return Parameter(float((mass * values).sum()), float(median), Interval(float(low), float(high)))


def opened(estimate: Parameter, top: float) -> Parameter:
    """Return an estimate of a level whose bounds beyond the end of the ladder are infinite."""
    found = estimate.interval
    high = math.inf if found.high > top else found.high
    return Parameter(estimate.mean, estimate.median, Interval(found.low, high))


def side(threshold: Parameter, prior: Priors, answers: Placement) -> Placement:
    """Say where a threshold lies, from its posterior and from what the answers alone decide (`told`).

    Args:
        threshold: its posterior median and 95 % interval, in the unit of the levels.
        prior: whose bounds and ends of the ladder count.
        answers: what the answers alone decide; WITHIN for nothing.
    """
    if answers is not Placement.WITHIN:
        return answers
    low, high = prior.threshold
    if threshold.interval.low <= low + 0.03 * (high - low) and threshold.interval.high > prior.top:
        return Placement.OPEN  # the prior's own 95 % begin at .025: it is all there is
    if threshold.median > prior.top:
        return Placement.ABOVE
    return Placement.BELOW if threshold.median < prior.first else Placement.WITHIN


_TRIFLE = 1e-5  # of the likeliest cell's mass: cells below are left out of a curve's band
_FINER = (2, 5)  # parts of a cell of guess and lapse, of which there are few
_BINS = 1000  # of probability


def credible_curve(levels: Sequence[float], rises: Array, guess: Axis, lapse: Axis, mass: Array) -> FittedCurve:
    """Return the posterior of the curve g + (1 - g - l) F, the rates even within their cells.

    Args:
        levels: (K,), in ascending order.
        rises: (..., K), F at the levels for each cell of the parameters that decide about it.
        guess: G cells of the guess rate.
        lapse: L cells of the lapse rate.
        mass: (..., G, L), posterior mass of each cell.
    """
    parts = [1 if axis.low == axis.high else finer for axis, finer in zip((guess, lapse), _FINER, strict=True)]
    wrong, missed = (
        replace(axis, cells=axis.cells * finer).values.reshape(axis.cells, finer)
        for axis, finer in zip((guess, lapse), parts, strict=True)
    )
    mass = mass.reshape(-1, guess.cells, lapse.cells)
    place, g, low = np.nonzero(mass > _TRIFLE * mass.max())
    weight = np.repeat(mass[place, g, low], math.prod(parts))
    wrong, missed = np.broadcast_arrays(wrong[g][:, :, None], missed[low][:, None, :])
    wrong, room = (rates.reshape(len(place), -1) for rates in (wrong, 1.0 - wrong - missed))
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    share, ends = np.empty(room.shape), []
    for rise_ in rises.reshape(-1, len(levels))[place].T:
        np.multiply(room, rise_[:, None], out=share)
        share += wrong
        share *= _BINS
        bins = np.clip(share, 0, _BINS - 1, out=share).ravel().astype(np.intp)
        total = np.concatenate(([0.0], np.cumsum(np.bincount(bins, weight, _BINS))))
        ends.append(np.interp(_SHARES, total / total[-1], edges))
    lower, median, upper = (tuple(map(float, column)) for column in np.array(ends).T)
    return FittedCurve(tuple(map(float, levels)), median, lower, upper)


def _fit(
    axes: Sequence[Axis], mass: Array, shape: str, prior: Priors, n: int, answers: Placement, at: Sequence[float]
) -> Fit:
    m, w, g, low = axes
    of = margins(mass)
    threshold = marginal(m, of[0])
    t75 = derived(inverse(shape, 0.75, m.values[:, None], w.values), mass.sum(axis=(2, 3)))
    return Fit(
        shape,
        opened(threshold, prior.top),
        opened(t75, prior.top),
        marginal(w, of[1]),
        marginal(g, of[2]),
        marginal(low, of[3]),
        side(threshold, prior, answers),
        n,
        _curve(axes, mass, shape, at) if len(at) else None,
    )


def _curve(axes: Sequence[Axis], mass: Array, shape: str, at: Sequence[float]) -> FittedCurve:
    m, w = (axis.values for axis in axes[:2])
    rises = rise(shape, np.asarray(at, dtype=np.float64), m[:, None, None], w[:, None])
    return credible_curve(at, rises, axes[2], axes[3], mass)
