"""A habit of places: how the picks of a choice among m are spread, and d' with a bias for each place."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import special

from limen.curve import Array, Interval, Share
from limen.errors import InputError
from limen.statistics.detection import MOST_PLACES, NOISE, WEIGHT, choosing, dprime_odd_one_out

FAVOURED = 0.8  # of the picks on one place: more cannot be measured
_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class PlaceBias:
    """How a forced choice is spread over the places, and d' with and without regard to it.

    Attributes:
        picks: of each place, first to last, with its interval.
        right: picks of the place that was right.
        verdict: "" or "not measurable: place bias", where one place has more than 80 % of the picks.
        d_uncorrected: d' of the share right (`choosing`): too low where places are favoured.
        interval_uncorrected: the same, 95 %.
        d: d' of the model with a bias for each place.
        interval: of `d`, 95 %, from the curvature of the likelihood (Wald); no bound above where every pick is right.
        bias: (m,), of each place, their sum is 0: added to the percept, units of the noise's sd ("afc"), or log odds of
            its picks ("odd-one-out").
    """

    picks: tuple[Share, ...]
    right: Share
    verdict: str
    d_uncorrected: float
    interval_uncorrected: Interval
    d: float
    interval: Interval
    bias: tuple[float, ...]


def place_bias(picks: Sequence[Sequence[int]], task: str = "afc") -> PlaceBias:
    """Return picks by place, and d' of a choice among m with a bias for each place.

    Forced choice: the percept at the right place is N(d', 1), elsewhere N(0, 1); that plus the place's bias is largest
    where the observer picks (DeCarlo 2012, J. of Mathematical Psychology 56:196). Maximum likelihood over d' and m - 1
    biases; the likelihood is log-concave, so that it has one maximum. 1 / m^2 is added to every count, one answer in
    all and towards chance, which keeps places finite that were never picked (ours, after Hautus 1995).

    Odd one out: the likelihood of differencing with biases has no form as simple, so picks follow
    Luce's (1959, Individual choice behavior) choice rule, each place's odds times the right one's; d' is that of the
    share right without the biases. An approximation (ours): of simulated observers with up to two thirds of the picks
    on one place it is up to .12 too high, beyond that up to .3, where uncorrected it is .2 to .8 too low.

    Args:
        picks: (m, m), counts: row the place of the right picture, column the place picked, m from 2 to 9. Balance the
            places: of unbalanced ones `d_uncorrected` says little, `d` still does.
        task: "afc" or "odd-one-out", as for `choosing`.

    Raises:
        InputError: no square of 2 to 9 places, counts below 0, or none.
        UnknownNameError: no such task.

    Examples:
        >>> found = place_bias([[45, 3, 2], [25, 22, 3], [26, 5, 19]])
        >>> f"{found.picks[0].value:.2f} of the picks on the first place"
        '0.64 of the picks on the first place'
        >>> f"{found.d_uncorrected:.2f} -> {found.d:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}]"
        '0.79 -> 1.06 [0.74, 1.37]'
    """
    m = len(picks)
    square = 2 <= m <= MOST_PLACES and all(len(row) == m for row in picks)
    counts = np.array(picks if square else [], dtype=np.float64)
    if not np.all(counts >= 0) or not counts.sum():
        raise InputError(f"Picks are counts of 2 to {MOST_PLACES} places shown by as many picked, not {picks!r}.")
    total = int(counts.sum())
    right = Share(int(np.trace(counts)), total)
    shares = tuple(Share(int(picked), total) for picked in counts.sum(axis=0))
    plain = choosing(right, m=m, task=task)
    at, sd = _fit(counts + 1.0 / m**2, _surprise if task == "afc" else _surprise_of_luce)
    bias = np.append(at[1:], 0.0)
    ends = (at[0], at[0] - _Z95 * sd, at[0] + _Z95 * sd)
    d, low, high = ends if task == "afc" else (_of_odds(end, m) for end in ends)
    return PlaceBias(
        picks=shares,
        right=right,
        verdict="not measurable: place bias" if max(share.value for share in shares) > FAVOURED else "",
        d_uncorrected=plain.d,
        interval_uncorrected=plain.interval,
        d=float(d),
        interval=Interval(float(low), math.inf if right.k == total else float(high)),
        bias=tuple((bias - bias.mean()).tolist()),
    )


def _of_odds(log_odds: float, m: int) -> float:
    share = 1.0 / (1.0 + (m - 1) * math.exp(-log_odds))
    return dprime_odd_one_out(share, m)


def _fit(counts: Array, surprise: Callable[[Array, Array], tuple[float, Array]]) -> tuple[Array, float]:
    """Return d' (or log odds), the biases but the last, which is 0, at the likelihood's maximum, and the sd of d'."""
    from scipy.optimize import minimize  # a report without a bias to fit starts without it

    found = minimize(surprise, np.zeros(len(counts)), (counts,), "BFGS", jac=True)
    at, step = np.asarray(found.x, dtype=np.float64), 1e-4
    moves = step * np.eye(len(at))
    curvature = np.array([surprise(at + move, counts)[1] - surprise(at - move, counts)[1] for move in moves])
    return at, math.sqrt(float(np.linalg.inv(curvature / (2.0 * step))[0, 0]))


def _surprise_of_luce(at: Array, counts: Array) -> tuple[float, Array]:
    """Return the same as `_surprise`, of Luce's rule: log odds of the right place and of the places but one."""
    odds = at[0] * np.eye(len(at)) + np.append(at[1:], 0.0)
    log_picking = odds - special.logsumexp(odds, axis=1, keepdims=True)
    excess = counts - counts.sum(axis=1, keepdims=True) * np.exp(log_picking)
    gradient = np.append(np.trace(excess), excess.sum(axis=0)[:-1])
    return -float((counts * log_picking).sum()), -gradient


def _surprise(at: Array, counts: Array) -> tuple[float, Array]:
    """Return minus the log-likelihood of picks, (m shown, m picked), and its gradient, at d' and the biases but one."""
    m = len(at)
    percept = at[0] * np.eye(m) + np.append(at[1:], 0.0)  # (shown, place)
    lead = NOISE + (percept[:, :, None] - percept[:, None, :])[..., None]  # (shown, picked, other, noise)
    log_below = special.log_ndtr(lead)
    log_below[:, range(m), range(m)] = 0.0
    ahead_of_all = np.exp(log_below.sum(axis=2)) * WEIGHT  # (shown, picked, noise)
    picking = np.maximum(ahead_of_all.sum(axis=2), 1e-300)
    hazard = np.exp(-(lead**2) / 2.0 - log_below) / math.sqrt(2.0 * math.pi)
    hazard[:, range(m), range(m)] = 0.0
    slope = np.einsum("spn,spon->spo", ahead_of_all, hazard) * (counts / picking)[..., None]  # by the lead over each
    by_place = slope.sum(axis=2) - slope.sum(axis=1)  # (shown, place): by the percept there
    gradient = np.append(np.trace(by_place), by_place.sum(axis=0)[:-1])
    return -float((counts * np.log(picking)).sum()), -gradient
