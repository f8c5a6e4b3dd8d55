"""d' by task: how well a difference is told from none, apart from the habits of answering. Units of the noise's sd.

The same d' gives another share right in each task, so each task has its own functions, and no table serves two:

| task | rule of the observer | functions |
|---|---|---|
| yes/no | "yes" above a criterion | `detection`, `dprime_yes_no`, `criterion` |
| same/different | the percepts' distance against a criterion | `detection`, `dprime_differencing` |
| same/different | each percept judged alone | `Sensitivity.d_independent`, `dprime_independent` |
| m-alternative forced choice | the largest | `afc`, `dprime_afc`, `choosing` |
| odd one out of m | the farthest from the mean of the others | `odd_one_out`, `dprime_odd_one_out`, `choosing` |
| either with a habit | the same, with a bias for each place | `limen.statistics.place_bias` |

Sources: Green & Swets (1966), Signal detection theory and psychophysics; Macmillan & Creelman (2005), Detection theory,
2nd ed.; and those named with each. An interval of d' is that of the share, taken through the function that gives d'
(which rises with the share throughout, so the interval keeps its coverage): Wilson's for one share, and MOVER for two.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import special

from limen.curve import FEWEST_CLUSTERS, Array, Interval, Share, wilson
from limen.errors import InputError, UnknownNameError

MOST_PLACES = 9

_NORMAL = NormalDist()
NOISE = np.linspace(-8.0, 8.0, 65)  # trapezoids, which converge at once for a Gaussian
WEIGHT = np.exp(-(NOISE**2) / 2.0) / math.sqrt(2.0 * math.pi) * (NOISE[1] - NOISE[0])
_FAR = 12.0  # a d' that no share of counts reaches


# --- yes/no and same/different ---


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How well differences are told from none, apart from how readily yes is said. Units of the noise's sd.

    With a greedy observer d' measures spread over pictures, not internal noise: the same pair gets the same answer.

    Attributes:
        hits, alarms: yes to different and to identical pairs, as counted.
        d_yes_no: z(H) - z(F): the pair seen as one event (Macmillan & Creelman 2005, ch. 1).
        interval: of `d_yes_no`, 95 %; a side on which the counts set no bound is infinite.
        d_differencing: same/different by comparing the two percepts' distance with a criterion (their ch. 9): about
            twice as large; never below 0.
        interval_differencing: the same for `d_differencing`.
        criterion: c = -(z(H) + z(F)) / 2; above 0 a habit of saying no.
        interval_criterion: the same for `criterion`.
        told: whether differences are told from none: the interval of `d_yes_no` lies on one side of 0.
    """

    hits: Share
    alarms: Share
    d_yes_no: float
    interval: Interval
    d_differencing: float
    interval_differencing: Interval
    criterion: float
    interval_criterion: Interval
    told: bool

    @property
    def d_independent(self) -> float:
        """Same/different with each percept judged alone (`dprime_independent`); never below 0."""
        return _independent(self.d_yes_no)

    @property
    def interval_independent(self) -> Interval:
        """The same for `d_independent`."""
        return Interval(_independent(self.interval.low), _independent(self.interval.high))


def detection(hits: Share, alarms: Share, depend: float = 1.0) -> Sensitivity:
    """Return d' and criterion from counts, with the log-linear correction, and their intervals.

    Hautus (1995, Behavior Research Methods 27:46) adds .5 to every yes and 1 to every n, for all rates, not only 0
    and 1. Intervals are made of the rates' Wilson intervals, uncorrected (MOVER: Zou & Donner 2008, Statistics in
    Medicine 27:1693). Rates of 1 bound z on one side only: an observer that says yes to everything has a d' between
    minus and plus infinity.

    Args:
        hits: yes to different pairs, k of n.
        alarms: yes to identical pairs, k of n.
        depend: design effect of the hits, >= 1: by how much answers about one reference are more alike than those
            about several (`design_effect`).

    Raises:
        InputError: no different, or no identical pairs.

    Examples:
        >>> found = detection(Share(75, 100), Share(6, 20))
        >>> f"{found.d_yes_no:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}]"
        '1.16 [0.56, 1.78]'
        >>> f"{found.d_differencing:.2f} {found.d_independent:.2f}"
        '2.36 1.92'
    """
    if not hits.n or not alarms.n:
        raise InputError(f"d' needs different and identical pairs, not {hits.n} and {alarms.n}.")
    h, f = ((share.k + 0.5) / (share.n + 1.0) for share in (hits, alarms))
    of_h, of_f = wilson(hits.k / depend, hits.n / depend), wilson(alarms.k, alarms.n)
    d, c = dprime_yes_no(h, f), criterion(h, f)
    least, most = _furthest(h, of_h.low, f, of_f.high), _furthest(h, of_h.high, f, of_f.low)
    same = [_furthest(h, at, f, against)[2] for at, against in ((of_h.high, of_f.high), (of_h.low, of_f.low))]
    return Sensitivity(
        hits,
        alarms,
        d,
        Interval(d - least[2], d + most[2]),
        dprime_differencing(h, f),
        Interval(0.0 if math.isinf(least[2]) else dprime_differencing(*least[:2]),
                 math.inf if math.isinf(most[2]) else dprime_differencing(*most[:2])),
        c,
        Interval(c - same[0] / 2.0, c + same[1] / 2.0),
        told=least[2] < d or most[2] < -d,
    )  # fmt: skip


def _furthest(h: float, to_h: float, f: float, to_f: float) -> tuple[float, float, float]:
    """Return the rates at which z(H) - z(F) is furthest off within the ellipse of two bounds, and how far that is."""
    if not (0.0 < to_h < 1.0 and 0.0 < to_f < 1.0):
        return to_h, to_f, math.inf
    a, b = _z(to_h) - _z(h), _z(to_f) - _z(f)
    far = math.hypot(a, b)
    if not far:
        return h, f, 0.0
    return _NORMAL.cdf(_z(h) + a * abs(a) / far), _NORMAL.cdf(_z(f) + b * abs(b) / far), far


def design_effect(yes: Sequence[float], n: Sequence[float]) -> float:
    """Return how many times larger the variance of a share is for coming in clusters; at least 1, and 1 below five.

    Rao & Scott (1992, Biometrics 48:577): the variance of the ratio sum yes / sum n over that of independent answers.
    Differences: never below 1, and 1 below five references or where all answers are alike.

    Args:
        yes: (R,), counts of yes of each reference, 0..n.
        n: (R,), counts of answers of each reference, >= 0.
    """
    k, m = np.asarray(yes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    share = float(k.sum() / m.sum())
    if len(k) < FEWEST_CLUSTERS or not 0.0 < share < 1.0:
        return 1.0
    between = float(((k - share * m) ** 2).sum()) * len(k) / (len(k) - 1)
    return max(1.0, between / (share * (1.0 - share) * float(m.sum())))


def dprime_yes_no(hit: float, alarm: float) -> float:
    """Return d' = z(H) - z(F) (Macmillan & Creelman 2005, ch. 1) from rates strictly between 0 and 1."""
    return _z(hit) - _z(alarm)


def criterion(hit: float, alarm: float) -> float:
    """Return c = -(z(H) + z(F)) / 2 (Macmillan & Creelman 2005, ch. 2) from rates strictly between 0 and 1."""
    return -(_z(hit) + _z(alarm)) / 2.0


def dprime_differencing(hit: float, alarm: float) -> float:
    """Return d' of the differencing model for same/different.

    "Different" is said where the two percepts, each with noise of sd 1, are further apart than k (Macmillan & Creelman
    2005, ch. 9; Kaplan, Macmillan & Creelman 1978, Behavior Research Methods 10:796):
    F = 2 Phi(-k / sqrt 2), H = Phi((d' - k) / sqrt 2) + Phi((-d' - k) / sqrt 2). 0 where H <= F: the model has no
    observer below chance.
    """
    root = math.sqrt(2.0)
    k = -root * _z(alarm / 2.0)
    if hit <= alarm or not 0.0 < hit < 1.0:
        _z(hit)
        return 0.0
    low, high = 0.0, k + root * 12.0
    for _ in range(80):
        middle = (low + high) / 2.0
        rate = _NORMAL.cdf((middle - k) / root) + _NORMAL.cdf((-middle - k) / root)
        low, high = (middle, high) if rate < hit else (low, middle)
    return (low + high) / 2.0


def dprime_independent(hit: float, alarm: float) -> float:
    """Return d' of independent observation for same/different (Macmillan & Creelman 2005, ch. 9).

    Each percept is put in one of two classes, "different" is said where the classes differ. For rates strictly between
    0 and 1: with p = Phi((z(H) - z(F)) / 2), the share right without bias, d' = 2 z((1 + sqrt(2 p - 1)) / 2); 0 where
    H <= F. Exact without bias; with one it is their approximation.

    Examples:
        >>> f"{dprime_independent(0.75, 0.30):.2f} {dprime_differencing(0.75, 0.30):.2f}"
        '1.95 2.41'
    """
    return _independent(_z(hit) - _z(alarm))


def _independent(difference: float) -> float:
    if difference <= 0.0:
        return 0.0
    root = math.sqrt(2.0 * _NORMAL.cdf(difference / 2.0) - 1.0)
    return 2.0 * _NORMAL.inv_cdf((1.0 + root) / 2.0) if root < 1.0 else math.inf


def _z(rate: float) -> float:
    if not 0.0 < rate < 1.0:
        raise InputError(f"A rate of {rate} has no z. Correct it first (limen.statistics.detection.detection does).")
    return _NORMAL.inv_cdf(rate)


# --- forced choice and the odd one out ---


def afc(dprime: float, m: int) -> float:
    """Return the share right of m-alternative forced choice: the integral of phi(x - d') Phi(x)^(m - 1).

    The alternative with the largest percept is chosen (Green & Swets 1966; Macmillan & Creelman 2005, ch. 10).

    Args:
        dprime: d', any; below 0 the observer picks the wrong ones.
        m: alternatives, >= 2.

    Raises:
        InputError: fewer than two alternatives.

    Examples:
        >>> [f"{afc(1.0, m):.3f}" for m in (2, 3, 4, 9)]
        ['0.760', '0.634', '0.552', '0.361']
    """
    _alternatives(m, 2)
    return float(WEIGHT @ special.ndtr(NOISE + dprime) ** (m - 1))


def dprime_afc(correct: float, m: int = 2) -> float:
    """Return d' of m-alternative forced choice; for two alternatives sqrt(2) z(share right).

    Args:
        correct: share right, strictly between 0 and 1.
        m: alternatives, >= 2.

    Raises:
        InputError: a share of 0 or 1, or fewer than two alternatives.

    Examples:
        >>> f"{dprime_afc(0.76):.2f} {dprime_afc(0.552, 4):.2f}"
        '1.00 1.00'
    """
    _alternatives(m, 2)
    if m == 2:
        return math.sqrt(2.0) * _z(correct)
    _z(correct)
    return _inverse(lambda dprime: afc(dprime, m), correct, -_FAR)


def odd_one_out(dprime: float, m: int) -> float:
    """Return the share right where one of m is odd: the one farthest from the mean of the others is chosen.

    The model of differencing (Frijters 1979, British J. of Mathematical and Statistical Psychology 32:229, of triads;
    Craven 1992, Perception & Psychophysics 51:379, of more). Of three it is the one that is not in the closest pair.
    Which is odd is not known before; that it is the stronger one, say, would be `afc`.

    With D the odd percept less the mean of the others, N(d', m / (m - 1)), and r the others about their mean: right
    where -(m - 2) |D| / m < r < |D| for all of them (worked out by us; the sources give tables by simulation).

    Args:
        dprime: d', >= 0.
        m: alternatives, 3 to 9.

    Raises:
        InputError: a d' below 0, or another number of alternatives.

    Examples:
        >>> [f"{odd_one_out(1.0, m):.3f}" for m in (3, 4, 9)]
        ['0.418', '0.360', '0.233']
    """
    _alternatives(m, 3, MOST_PLACES)
    if not dprime >= 0.0:
        raise InputError(f"An odd one is told by a d' from 0, not {dprime}.")
    distances, within = _within(m)
    sd = math.sqrt(m / (m - 1))
    density = np.exp(-(((distances - dprime) / sd) ** 2) / 2) + np.exp(-(((distances + dprime) / sd) ** 2) / 2)
    step = float(distances[1] - distances[0])
    simpson = np.where(np.arange(len(distances)) % 2, 4.0, 2.0)
    simpson[[0, -1]] = 1.0
    return float(simpson @ (density * within)) * step / 3.0 / (sd * math.sqrt(2.0 * math.pi))


def dprime_odd_one_out(correct: float, m: int) -> float:
    """Return d' of the odd one out of m (`odd_one_out`); 0 at chance and below it, where the model has no observer.

    Args:
        correct: share right, strictly between 0 and 1.
        m: alternatives, 3 to 9.

    Raises:
        InputError: a share of 0 or 1, or another number of alternatives.

    Examples:
        >>> f"{dprime_odd_one_out(0.60, 4):.1f}"
        '2.0'
    """
    _z(correct)
    return 0.0 if correct <= odd_one_out(0.0, m) else _inverse(lambda dprime: odd_one_out(dprime, m), correct, 0.0)


@functools.cache
def _within(m: int) -> tuple[Array, Array]:
    """Return distances D and the probability that m - 1 percepts about their mean lie within (-(m - 2) D / m, D).

    It is the density at 0 of a sum of m - 1 truncated Gaussians over that of the sum of whole ones: a power of a
    polynomial, trapezoids of two steps and Richardson's extrapolation of both.
    """
    distances = np.linspace(0.0, 20.0, 401)
    within = np.zeros(len(distances))
    for i, distance in enumerate(distances[1:], 1):
        coarse, fine = (_at_zero(float(distance), m, steps) for steps in (12, 24))
        within[i] = (4.0 * fine - coarse) / 3.0
    return distances, np.clip(within, 0.0, 1.0)


def _at_zero(distance: float, m: int, steps: int) -> float:
    below, above, others = (m - 2) * steps, m * steps, m - 1
    h = distance / above
    density = np.exp(-((np.arange(-below, above + 1) * h) ** 2) / 2.0) * h / math.sqrt(2.0 * math.pi)
    density[[0, -1]] /= 2.0
    size = 1 << (others * (below + above)).bit_length()
    powers = np.fft.irfft(np.fft.rfft(density, size) ** others, size)
    return float(powers[others * below]) / h * math.sqrt(2.0 * math.pi * others)


def _inverse(share: Callable[[float], float], correct: float, low: float) -> float:
    high = _FAR
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if share(middle) < correct else (low, middle)
    return (low + high) / 2.0


def _alternatives(m: int, least: int, most: int | None = None) -> None:
    if m < least or (most is not None and m > most):
        raise InputError(f"This task has {least} {f'to {most}' if most else 'or more'} alternatives, not {m}.")


@dataclass(frozen=True, slots=True)
class ChoiceSensitivity:
    """d' of a choice among m; interval and `told` as for `Sensitivity`."""

    right: Share
    d: float
    interval: Interval
    told: bool


def choosing(right: Share, depend: float = 1.0, m: int = 2, task: str = "afc") -> ChoiceSensitivity:
    """Return d' of a choice from counts, and its interval.

    The log-linear correction of `detection`, towards chance: (k + 1 / m) / (n + 1). The interval is Wilson's of the
    share, uncorrected, taken through the function; infinite on a side on which the counts set no bound.

    Args:
        right: choices that were right, k of n.
        depend: design effect, as for `detection`.
        m: alternatives.
        task: "afc" (`dprime_afc`) or "odd-one-out" (`dprime_odd_one_out`).

    Raises:
        InputError: no choices.
        UnknownNameError: no such task.

    Examples:
        >>> found = choosing(Share(60, 100), m=4, task="odd-one-out")
        >>> f"{found.d:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}], told: {found.told}"
        '1.99 [1.61, 2.38], told: True'
    """
    functions = {"afc": dprime_afc, "odd-one-out": dprime_odd_one_out}
    if task not in functions:
        raise UnknownNameError("task", task, tuple(functions))
    if not right.n:
        raise InputError("d' needs choices, not 0.")
    least = 0.0 if task == "odd-one-out" else -math.inf
    of, dprime = wilson(right.k / depend, right.n / depend), functions[task]
    low = dprime(of.low, m) if of.low > 0.0 else least
    high = dprime(of.high, m) if of.high < 1.0 else math.inf
    return ChoiceSensitivity(
        right, dprime((right.k + 1.0 / m) / (right.n + 1.0), m), Interval(low, high), told=low > 0.0 or high < 0.0
    )
