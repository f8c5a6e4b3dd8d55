"""The thresholds of an observer over references: a mixed model with (1 | reference), on a grid.

    reference i:  T_i ~ Normal(centre, spread);   yes at level x with probability g + (1 - g - l) F(x; T_i, width)

The answers of one series share T_i, which is integrated out, so the interval of the centre is about *references*:
asking more levels of the same ten photographs does not narrow it beyond what ten photographs can say. The likelihood
is one product per series, so it holds whatever procedure chose the levels: the choice depends on recorded answers
only and cancels (the stopping rule principle; Berger & Wolpert 1988, The Likelihood Principle). A curve of yes pooled
over the series of an adaptive run has no such excuse: high levels are asked only of series without a JND below, and
its threshold is off (simulated scans: +1.1 to +2.8 levels, +5.3 where a third of the answers are lapses).

A series that said no up to L is no exception: its likelihood is what lies beyond L, as for a censored value in a
Tobit model. What is assumed is that thresholds are normal over references (cells beyond the ends of the axis are lumped
into the outermost), that width, g and l are common to all, and that answers at different levels are independent given
T_i. The last holds for a frozen (greedy) observer whose answers scatter from level to level, not for one whose lapses
come in runs.

No library that limen uses has this model (statsmodels' BinomialBayesMixedGLM knows no guess and lapse rates), so it is
our own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from limen.curve import Array
from limen.errors import InputError
from limen.statistics.posterior import (
    Axis,
    FittedCurve,
    Parameter,
    Placement,
    Priors,
    credible_curve,
    derived,
    flat,
    marginal,
    margins,
    opened,
    placement_of_answers,
    rate,
    scale,
    side,
    too_coarse,
)
from limen.statistics.psychometric import IDENTICAL, TINY, Responses, rise

_COARSE = (24, 8, 7, 5, 2)  # centre, spread, width, guess, lapse
_FINE = (19, 9, 7, 7, 3)
_CELLS = 100  # of a series' own threshold, at least
_MOST = 200
_ERRORS = 3  # answers that a series' step may have against it, beyond those of its best one


@dataclass(frozen=True, slots=True)
class Population:
    """The posterior of an observer's thresholds over references.

    Attributes:
        shape: of each series' psychometric function.
        threshold: level at which half of the references' answers, corrected for g and l, are yes.
        t75: level at which three quarters are.
        width: levels between .05 and .95 of that curve: spread over references and uncertainty within one together.
        spread: standard deviation of the series' thresholds over references, in levels.
        series_width: width of the psychometric function of one series, in levels.
        guess, lapse: rates.
        side: whether the threshold's median lies within the ladder.
        references: how many.
        n: answers, identical pairs included.
        curve: the share of yes over references by level, as fitted; None where it was not asked for.
    """

    shape: str
    threshold: Parameter
    t75: Parameter
    width: Parameter
    spread: Parameter
    series_width: Parameter
    guess: Parameter
    lapse: Parameter
    side: Placement
    references: int
    n: int
    curve: FittedCurve | None = None


def population(
    data: Responses, prior: Priors, shape: str = "logistic", alarms: int = 0, identical: int = 0,
    at: Sequence[float] = (),
) -> Population:  # fmt: skip
    """Return the posterior over references.

    Args:
        data: one row a reference, whole counts; `IDENTICAL` pairs of a reference may be among its levels.
        prior: bounds of the centre (`threshold`), of a series' width, and the rates; the spread is log-uniform from a
            quarter of a level to half the bounds' distance.
        shape: one of `limen.statistics.psychometric.SHAPES`.
        alarms: yes to identical pairs that belong to no single series, 0..`identical`.
        identical: number of such pairs, >= 0.
        at: levels, in ascending order, at which the curve over references is wanted.

    Raises:
        InputError: fewer than two references, or fractional counts.
    """
    if len(data) < 2:
        raise InputError(
            "One reference says nothing about references. Fit it with limen.statistics.posterior.posterior."
        )
    if not data.whole or not 0 <= alarms <= identical:
        raise InputError("A population takes whole counts. Fit p(yes) with limen.statistics.likelihood.clustered.")
    order = np.lexsort(np.column_stack((data.yes, data.n)).T)  # not even the last digit depends on who comes first
    data = Responses(data.levels, data.yes[order], data.n[order])
    model = _Model(data, prior, shape, alarms, identical)
    whole = axes = _axes(prior)
    mass = model.mass(axes)
    for _ in range(3):
        if not too_coarse(axes, mass):
            break
        axes = tuple(
            axis.around(margin, cells, full)
            for axis, margin, cells, full in zip(axes, margins(mass), _FINE, whole, strict=True)
        )
        mass = model.mass(axes)
    return model.summary(axes, mass, at)


def _axes(prior: Priors) -> tuple[Axis, ...]:
    m, s, w, g, low = _COARSE
    reach = prior.threshold[1] - prior.threshold[0]
    return (
        flat(*prior.threshold, m),
        scale(0.25, reach / 2, s),
        scale(*prior.width, w),
        rate(prior.guess, 0.98, g),
        rate(prior.lapse, 0.5, low),
    )


def _edges(prior: Priors, levels: Array, yes: Array, no: Array) -> Array:
    """Return the borders of cells of a series' own threshold: even ones, and levels asked where a step may lie.

    A steep series' likelihood jumps at the levels that it was asked at. A cell across such a jump takes the side of its
    middle, and the threshold of an observer without noise would be that of the cells.

    Args:
        prior: whose bounds of the threshold are the outermost borders.
        levels: (K,), asked.
        yes: (B, K), counts of each series.
        no: (B, K), likewise.
    """
    low, high = prior.threshold
    order = np.argsort(levels)
    levels, yes, no = levels[order], yes[:, order], no[:, order]
    none = np.zeros((len(yes), 1))
    below = np.concatenate((none, np.cumsum(yes, axis=1)), axis=1)
    above = no.sum(axis=1, keepdims=True) - np.concatenate((none, np.cumsum(no, axis=1)), axis=1)
    against = below + above - (below + above).min(axis=1, keepdims=True)  # (B, K + 1), of a step before each level
    beside = np.where(yes + no > 0, np.minimum(against[:, :-1], against[:, 1:]), math.inf).min(axis=0)
    inside = (low < levels) & (levels < high)
    for errors in range(_ERRORS, -1, -1):
        fixed = np.unique(np.concatenate(([low, high], levels[inside & (beside <= errors)])))
        parts = np.ceil(np.diff(fixed) / ((high - low) / _CELLS)).astype(int)
        if parts.sum() <= _MOST or not errors:
            break
    spans = [np.linspace(a, b, n + 1)[:-1] for a, b, n in zip(fixed[:-1], fixed[1:], parts, strict=True)]
    return np.concatenate((*spans, [high]))


class _Model:
    def __init__(self, data: Responses, prior: Priors, shape: str, alarms: int, identical: int) -> None:
        used = data.n.sum(axis=0) > 0
        own = used & np.isfinite(data.levels)
        same = data.levels == IDENTICAL
        self.levels = data.levels[own]
        self.yes, self.no = data.yes[:, own], (data.n - data.yes)[:, own]
        self.alarms = alarms + float(data.yes[:, same].sum())
        self.quiet = identical - alarms + float((data.n - data.yes)[:, same].sum())
        self.prior, self.shape = prior, shape
        self.n, self.references = int(data.n.sum()) + identical, len(data)
        self.gained = -math.inf  # the highest log likelihood so far
        self.edges = _edges(prior, self.levels, self.yes, self.no)
        self.cells = (self.edges[1:] + self.edges[:-1]) / 2

    def weights(self, centre: Array, spread: Array) -> Array:
        """Return the share of references in each cell of thresholds, (centre, spread, cells)."""
        inner = (self.edges[1:-1] - centre[:, None, None]) / spread[:, None]
        below = np.zeros((len(centre), len(spread), 1))
        return np.asarray(np.diff(np.concatenate((below, special.ndtr(inner), below + 1.0), axis=2), axis=2))

    def mass(self, axes: Sequence[Axis]) -> Array:
        """Return the posterior over the grid's cells (centre, spread, width, guess, lapse)."""
        centre, spread, width, guess, lapse = (axis.values for axis in axes)
        share = self.weights(centre, spread).reshape(-1, len(self.cells)).T
        log = np.full((share.shape[1], len(width), len(guess), len(lapse)), -math.inf)
        for j, w in enumerate(width):
            f = rise(self.shape, self.levels, self.cells[:, None], w)
            for k, g in enumerate(guess):
                rate_ = float(np.clip(g, TINY, 1 - TINY))
                pairs = self.alarms * math.log(rate_) + self.quiet * math.log1p(-rate_)
                for i, low in enumerate(lapse):
                    if g + low < 0.98:
                        log[:, j, k, i] = pairs + self._series(g + (1.0 - g - low) * f, share)
        self.gained = max(self.gained, float(log.max()))
        grid = log.reshape(len(centre), len(spread), *log.shape[1:])
        for place, axis in enumerate(axes):
            shape = [1] * 5
            shape[place] = axis.cells
            grid = grid + axis.log_prior(axis.nodes).reshape(shape)
        mass = np.exp(grid - grid.max())
        return np.asarray(mass / mass.sum())

    def _series(self, p: Array, share: Array) -> Array:
        """Return the log likelihood of all series, T_i integrated out, at each centre and spread."""
        p = np.clip(p, TINY, 1.0 - TINY)
        log = self.yes @ np.log(p).T + self.no @ np.log1p(-p).T
        best = log.max(axis=1, keepdims=True)
        return np.asarray(np.log(np.maximum(np.exp(log - best) @ share, 1e-300)).sum(axis=0) + best.sum())

    def answers(self) -> Placement:
        """Return what the answers alone decide about the threshold."""
        yes = np.append(self.yes.sum(axis=0), self.alarms)
        n = np.append((self.yes + self.no).sum(axis=0), self.alarms + self.quiet)
        return placement_of_answers(np.append(self.levels, IDENTICAL), yes, n, self.gained)

    def summary(self, axes: Sequence[Axis], mass: Array, at: Sequence[float] = ()) -> Population:
        """Return the estimates, and the curve at levels."""
        common = mass.sum(axis=(3, 4))
        crossings = self._crossings(axes, (0.05, 0.5, 0.75, 0.95))
        threshold = opened(derived(crossings[1], common), self.prior.top)
        of = margins(mass)
        return Population(
            self.shape,
            threshold,
            t75=opened(derived(crossings[2], common), self.prior.top),
            width=derived(crossings[3] - crossings[0], common),
            spread=marginal(axes[1], of[1]),
            series_width=marginal(axes[2], of[2]),
            guess=marginal(axes[3], of[3]),
            lapse=marginal(axes[4], of[4]),
            side=side(threshold, self.prior, self.answers()),
            references=self.references,
            n=self.n,
            curve=credible_curve(at, self._rises(axes, at), axes[3], axes[4], mass) if len(at) else None,
        )

    def _rises(self, axes: Sequence[Axis], at: Sequence[float]) -> Array:
        """Return the share of references' F at levels, (centre, spread, width, levels)."""
        centre, spread, width = (axis.values for axis in axes[:3])
        weight = self.weights(centre, spread)
        levels = np.asarray(at, dtype=np.float64)
        return np.stack([weight @ rise(self.shape, levels, self.cells[:, None], w) for w in width], axis=2)

    def _crossings(self, axes: Sequence[Axis], shares: Sequence[float]) -> list[Array]:
        """Return where the curve over references crosses shares, (centre, spread, width) each."""
        centre, spread, width = (axis.values for axis in axes[:3])
        weight = self.weights(centre, spread)
        x = np.interp(np.arange(4 * len(self.cells) + 1) / 4, np.arange(len(self.edges)), self.edges)
        found = [np.empty((len(centre), len(spread), len(width))) for _ in shares]
        for j, w in enumerate(width):
            curve = weight @ rise(self.shape, x, self.cells[:, None], w)
            for share, out in zip(shares, found, strict=True):
                out[:, :, j] = _crossing(curve, x, share)
        return found


def _crossing(curve: Array, x: Array, share: float) -> Array:
    """Return where rising curves (..., X) first reach a share, linear between; an end of x where they do not."""
    i = np.clip((curve < share).sum(axis=-1), 1, len(x) - 1)
    left = np.take_along_axis(curve, i[..., None] - 1, axis=-1)[..., 0]
    right = np.take_along_axis(curve, i[..., None], axis=-1)[..., 0]
    part = np.clip((share - left) / np.maximum(right - left, 1e-12), 0.0, 1.0)
    return np.asarray(x[i - 1] + part * (x[i] - x[i - 1]))
