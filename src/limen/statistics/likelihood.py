"""Maximum likelihood for psychometric functions, with bootstrap intervals and goodness of fit.

Many data sets are climbed at once (Fisher scoring with Levenberg's damping, within the prior's bounds), so that a
bootstrap of a thousand resamples is one call. Two ways to state uncertainty:

- `clustered`: answers about one reference belong together, so whole references are resampled. It is also the way
  for p(yes): a fractional response under the Bernoulli quasi-likelihood (Papke & Wooldridge 1996, J. Applied
  Econometrics 11:619), of which only the mean is taken at its word.
- the posterior (`limen.statistics.posterior`).

Intervals are percentile ones; those over references take quantiles a little further out, by Student's t and n / (n - 1)
(Hesterberg 2015, The American Statistician 69:371, "expanded percentile"), with which intervals of 30
references covered 94 % in simulations. A bound beyond the end of the ladder is infinite.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import special

from limen import digest
from limen.curve import FEWEST_CLUSTERS, Array, Interval
from limen.statistics.posterior import Placement, Priors, axes_of, placement_of_answers
from limen.statistics.psychometric import TINY, Responses, inverse, psi, rise

_PARAMETERS = ("threshold", "t75", "width", "guess", "lapse")


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """The maximum-likelihood parameters of B data sets, each (B,).

    Attributes:
        threshold, t75, width: levels, as for `limen.statistics.posterior.Fit`.
        guess, lapse: rates.
        deviance: twice the log likelihood missing to a model with its own share at each level.
    """

    shape: str
    threshold: Array
    width: Array
    guess: Array
    lapse: Array
    deviance: Array

    @property
    def t75(self) -> Array:
        """Level where F = .75."""
        return inverse(self.shape, 0.75, self.threshold, self.width)

    def expected(self, levels: Array) -> Array:
        """Return psi at levels, (B, K)."""
        of = (value[:, None] for value in (self.threshold, self.width, self.guess, self.lapse))
        return psi(self.shape, levels, *of)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A maximum-likelihood fit with 95 % percentile bootstrap intervals.

    Attributes:
        threshold, t75, width: levels; guess, lapse: rates.
        intervals: of these five, by name; none below five clusters, nor where all are alike, nor where the
            threshold lies outside the levels measured: resamples that do not vary would look like certainty.
        deviance: of the fit; NaN for fractional responses.
        p_fit: how often data of the fitted model lie as far from their fit: small, the shape does not fit. NaN
            where it cannot be told.
        side: whether the threshold lies within the levels measured; where not, it, t75 and width are NaN.
        n: answers.
    """

    shape: str
    threshold: float
    t75: float
    width: float
    guess: float
    lapse: float
    intervals: dict[str, Interval]
    deviance: float
    p_fit: float
    side: Placement
    n: int


def peak(data: Responses, prior: Priors, shape: str = "logistic") -> Peak:
    """Return the maximum-likelihood parameters of each data set, within the prior's bounds.

    Fixed rates of the prior are kept, its densities are not used. Data that do not hold a threshold (all no) end at a
    bound.

    Args:
        data: counts of D data sets at K levels each.
        prior: bounds of threshold and width; fixed rates.
        shape: one of `limen.statistics.psychometric.SHAPES`.
    """
    climb = _Climb(data, prior, shape)
    found = climb.run()
    return Peak(shape, found[:, 0], np.exp(found[:, 1]), found[:, 2], found[:, 3], _deviance(data, climb.psi(found)))


def clustered(data: Responses, prior: Priors, shape: str = "logistic", resamples: int = 1000) -> Bootstrap:
    """Return the fit of references pooled, with a bootstrap over references.

    Its `p_fit` compares Pearson's distance between observed and fitted shares with that of the resamples from theirs,
    after taking the observed misfit away from them (a bootstrap recentred to obey the null hypothesis: Hall & Wilson
    1991, Biometrics 47:757), so that answers of one reference may depend on each other.

    Args:
        data: one row a reference; yes may be p(yes).
        prior: bounds and fixed rates.
        shape: one of `limen.statistics.psychometric.SHAPES`.
        resamples: how many, >= 1.
    """
    clusters = len(data)
    order = np.lexsort(np.column_stack((data.yes, data.n)).T)  # the draws do not depend on who comes first
    data = Responses(data.levels, data.yes[order], data.n[order])
    pooled = _pooled(data, np.ones((1, clusters)))
    best = peak(pooled, prior, shape)
    whole = float(best.deviance[0]) if data.whole else math.nan
    if clusters < FEWEST_CLUSTERS or (np.all(data.yes == data.yes[0]) and np.all(data.n == data.n[0])):
        return _bootstrap(best, None, prior, math.nan, whole, pooled)
    rng = digest.generator("clustered", shape, _digest(data))
    times = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)
    drawn = _pooled(data, times)
    usable = (drawn.n * np.isfinite(data.levels)).sum(axis=1) > 0
    drawn = Responses(drawn.levels, drawn.yes[usable], drawn.n[usable])
    again = peak(drawn, prior, shape)
    expected = np.clip(best.expected(data.levels), 1e-3, 1 - 1e-3)
    misfit = _shares(pooled) - best.expected(data.levels)
    weight = pooled.n / (expected * (1 - expected))
    far = float((weight * misfit**2).sum())
    others = (weight * (_shares(drawn) - again.expected(data.levels) - misfit) ** 2).sum(axis=1)
    p_fit = (1 + int(np.sum(others >= far - 1e-9))) / (1 + len(others))
    return _bootstrap(best, again, prior, p_fit, whole, pooled, clusters)


def _digest(data: Responses) -> str:
    """Return what seeds resampling: the data, so that equal data have equal intervals, whosever they are."""
    return digest.of(np.concatenate((data.yes, data.n)).tobytes())


def _pooled(data: Responses, times: Array) -> Responses:
    return Responses(data.levels, times @ data.yes, times @ data.n)


def _shares(data: Responses) -> Array:
    """Return the shares of yes; where nothing was asked, the mean over the sets (its weight is small or 0)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = data.yes / data.n
        filler = np.nansum(data.yes, axis=0) / np.maximum(data.n.sum(axis=0), 1e-300)
    return np.where(np.isnan(shares), filler, shares)


def _bootstrap(
    best: Peak, again: Peak | None, prior: Priors, p_fit: float, deviance: float, data: Responses, clusters: int = 0
) -> Bootstrap:
    values = {name: float(getattr(best, name)[0]) for name in _PARAMETERS}
    at = values["threshold"]
    p = np.clip(best.expected(data.levels), TINY, 1 - TINY)
    gained = float((data.yes * np.log(p) + (data.n - data.yes) * np.log1p(-p)).sum())
    place = placement_of_answers(data.levels, data.yes[0], data.n[0], gained)
    if place is Placement.WITHIN:
        place = Placement.ABOVE if at > prior.top else Placement.BELOW if at < prior.first else Placement.WITHIN
    intervals = {}
    if again is not None and place is Placement.WITHIN:
        tail = _tail(clusters)
        for name in _PARAMETERS:
            low, high = np.quantile(getattr(again, name), (tail, 1 - tail))
            beyond = name in ("threshold", "t75") and high > prior.top
            intervals[name] = Interval(float(low), math.inf if beyond else float(high))
        if (
            "threshold" in intervals
            and intervals["threshold"].low < prior.first
            and math.isinf(intervals["threshold"].high)
        ):
            place, intervals = Placement.OPEN, {}
    if place is not Placement.WITHIN:  # where a climb ended on a flat ridge says nothing
        values |= {"threshold": math.nan, "t75": math.nan, "width": math.nan}
    n = int(np.rint(data.n.sum()))
    return Bootstrap(best.shape, **values, intervals=intervals, deviance=deviance, p_fit=p_fit, side=place, n=n)


def _tail(clusters: int) -> float:
    """Return the share of resamples to leave out on each side."""
    t = special.stdtrit(clusters - 1, 0.975)
    return NormalDist().cdf(-float(t) * math.sqrt(clusters / (clusters - 1)))


def _deviance(data: Responses, expected: Array) -> Array:
    """Return the deviance of each data set; 0 log 0 is 0."""
    k, n = data.yes, data.n
    with np.errstate(divide="ignore", invalid="ignore"):
        yes = np.where(k > 0, k * np.log(k / (n * expected)), 0.0)
        no = np.where(n > k, (n - k) * np.log((n - k) / (n * (1.0 - expected))), 0.0)
    return np.asarray(np.maximum(2.0 * (yes + no).sum(axis=1), 0.0))


class _Climb:
    """Fisher scoring for many data sets side by side; parameters (threshold, log width, guess, lapse)."""

    def __init__(self, data: Responses, prior: Priors, shape: str) -> None:
        self.data, self.shape, self.prior = data, shape, prior
        rates = [(0.0, highest) if fixed is None else (fixed, fixed)
                 for fixed, highest in ((prior.guess, 0.98), (prior.lapse, 0.5))]  # fmt: skip
        low, high = prior.threshold
        edge = 1e-6 * (high - low)
        bounds = [(low + edge, high - edge), tuple(math.log(width) for width in prior.width), *rates]
        self.low, self.high = (np.array(bound) for bound in zip(*bounds, strict=True))

    def run(self, rounds: int = 200) -> Array:
        """Return the best parameters, (B, 4)."""
        at = self._start()
        value = self._log_likelihood(self.data, at)
        damping, live = np.full(len(at), 1e-3), np.ones(len(at), dtype=bool)
        for _ in range(rounds):
            rows = np.nonzero(live)[0]
            if not len(rows):
                break
            part = Responses(self.data.levels, self.data.yes[rows], self.data.n[rows])
            tried = np.clip(at[rows] + self._step(part, at[rows], damping[rows]), self.low, self.high)
            gained = self._log_likelihood(part, tried) - value[rows]
            better = gained > 0
            at[rows[better]], value[rows[better]] = tried[better], value[rows[better]] + gained[better]
            damping[rows] = np.where(better, np.maximum(damping[rows] / 4, 1e-9), damping[rows] * 8)
            live[rows] = np.where(better, gained > 1e-7, damping[rows] < 1e6)
        return at

    def psi(self, at: Array) -> Array:
        """Return psi at the data's levels, away from 0 and 1."""
        m, w, g, low = (at[:, [i]] for i in range(4))
        return np.clip(psi(self.shape, self.data.levels, m, np.exp(w), g, low), TINY, 1 - TINY)

    def _log_likelihood(self, data: Responses, at: Array) -> Array:
        p = self.psi(at)
        return np.asarray((data.yes * np.log(p) + (data.n - data.yes) * np.log1p(-p)).sum(axis=1))

    def _start(self) -> Array:
        """Return the best point of a coarse grid for each data set."""
        m, w, g, low = (axis.values for axis in axes_of(self.prior, (30, 8, 4, 2)))
        points = np.array(np.meshgrid(m, np.log(w), g, low, indexing="ij")).reshape(4, -1).T
        p = self.psi(points)
        value = self.data.yes @ np.log(p).T + (self.data.n - self.data.yes) @ np.log1p(-p).T
        return np.asarray(np.clip(points[np.argmax(value, axis=1)], self.low, self.high))

    def _step(self, data: Responses, at: Array, damping: Array) -> Array:
        p, slope = self._psi_and_slopes(at)
        weight = 1.0 / (p * (1.0 - p))
        gradient = np.einsum("bik,bk->bi", slope, (data.yes - data.n * p) * weight)
        information = np.einsum("bik,bjk,bk->bij", slope, slope, data.n * weight)
        stuck = ((at <= self.low) & (gradient <= 0)) | ((at >= self.high) & (gradient >= 0))
        gradient = np.where(stuck, 0.0, gradient)
        information = np.where(stuck[:, :, None] | stuck[:, None, :], 0.0, information)
        diagonal = np.einsum("bii->bi", information)
        information[:, range(4), range(4)] += damping[:, None] * diagonal + np.where(stuck, 1.0, 1e-9)
        step: Array = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        reach = (self.high - self.low) / 4
        return np.asarray(np.clip(step, -reach, reach))

    def _psi_and_slopes(self, at: Array) -> tuple[Array, Array]:
        """Return psi at the data's levels, (B, K), and its derivatives by each parameter, (B, 4, K)."""
        m, w, g, low = (at[:, [i]] for i in range(4))
        width = np.exp(w)
        h = 1e-5 * width
        below = np.maximum(m - h, m * 0.5 if self.shape == "weibull" else -np.inf)
        thresholds = np.stack((m, m + h, below, m, m))
        widths = np.stack((width, width, width, np.exp(w + 1e-5), np.exp(w - 1e-5)))
        here, above, below, wider, narrower = rise(self.shape, self.data.levels, thresholds, widths)
        height = 1.0 - g - low
        slopes = (height * ((above - below) / (2 * h)), height * ((wider - narrower) / 2e-5), 1.0 - here, -here)
        return np.clip(g + height * here, TINY, 1 - TINY), np.stack(slopes, axis=1)
