"""Statistics of detection, agreement and planning: d', correlations, Holm, the window, how many references.

Ranks and Student's t are SciPy's. statsmodels has Holm's procedure and power functions too, but brings pandas for
six lines each. Survival and paired comparisons are in `survival`, fits in `posterior`, `likelihood` and
`population`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import special

from limen.curve import FEWEST_CLUSTERS, Interval, Mean, Share, bootstrap, wilson
from limen.errors import InputError, UnknownNameError
from limen.statistics.psychometric import Array

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.975)


# --- signal detection ---


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
    """
    if not hits.n or not alarms.n:
        raise InputError(f"d' needs different and identical pairs, not {hits.n} and {alarms.n}.")
    h, f = ((share.k + 0.5) / (share.n + 1.0) for share in (hits, alarms))
    of_h, of_f = wilson(hits.k / depend, hits.n / depend), wilson(alarms.k, alarms.n)
    d, c = d_yes_no(h, f), criterion(h, f)
    least, most = _furthest(h, of_h.low, f, of_f.high), _furthest(h, of_h.high, f, of_f.low)
    same = [_furthest(h, at, f, against)[2] for at, against in ((of_h.high, of_f.high), (of_h.low, of_f.low))]
    return Sensitivity(
        hits,
        alarms,
        d,
        Interval(d - least[2], d + most[2]),
        d_differencing(h, f),
        Interval(0.0 if math.isinf(least[2]) else d_differencing(*least[:2]),
                 math.inf if math.isinf(most[2]) else d_differencing(*most[:2])),
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


@dataclass(frozen=True, slots=True)
class ChoiceSensitivity:
    """d' = sqrt(2) z(share right) of two-alternative forced choice; interval and `told` as for `Sensitivity`."""

    right: Share
    d: float
    interval: Interval
    told: bool


def choosing(right: Share, depend: float = 1.0) -> ChoiceSensitivity:
    """Return d' of a forced choice from counts, with the log-linear correction; arguments as for `detection`."""
    of = wilson(right.k / depend, right.n / depend)
    low = d_forced_choice(of.low) if of.low > 0.0 else -math.inf
    high = d_forced_choice(of.high) if of.high < 1.0 else math.inf
    d = d_forced_choice((right.k + 0.5) / (right.n + 1.0))
    return ChoiceSensitivity(right, d, Interval(low, high), told=low > 0.0 or high < 0.0)


def d_yes_no(hit: float, alarm: float) -> float:
    """Return d' = z(H) - z(F) (Macmillan & Creelman 2005, ch. 1) from rates strictly between 0 and 1."""
    return _z(hit) - _z(alarm)


def criterion(hit: float, alarm: float) -> float:
    """Return c = -(z(H) + z(F)) / 2 (Macmillan & Creelman 2005, ch. 2) from rates strictly between 0 and 1."""
    return -(_z(hit) + _z(alarm)) / 2.0


def d_differencing(hit: float, alarm: float) -> float:
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


def d_forced_choice(correct: float) -> float:
    """Return d' = sqrt(2) z(PC) of two-alternative forced choice (Macmillan & Creelman 2005, ch. 7)."""
    return math.sqrt(2.0) * _z(correct)


def _z(rate: float) -> float:
    if not 0.0 < rate < 1.0:
        raise InputError(f"A rate of {rate} has no z. Correct it first (limen.statistics.inference.detection does).")
    return _NORMAL.inv_cdf(rate)


# --- agreement ---


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation with its 95 % BCa interval over clusters; None below five, or where it cannot be told."""

    kind: str
    value: float
    interval: Interval | None
    n: int


def correlate(x: Sequence[float], y: Sequence[float], kind: str = "spearman") -> Correlation:
    """Return a correlation between two numbers a reference.

    Its interval is a BCa bootstrap over references (Efron 1987, JASA 82:171; `limen.curve.bootstrap`).

    Args:
        x: (n,), paired with `y`; a censored level enters as its bound, where Spearman's ranks tie it with others at
            that bound.
        y: (n,), likewise.
        kind: "spearman" or "pearson".

    Raises:
        UnknownNameError: no such kind.
        InputError: fewer than two pairs, or numbers that do not pair up.
    """
    if kind not in ("spearman", "pearson"):
        raise UnknownNameError("correlation", kind, ("spearman", "pearson"))
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"A correlation takes two or more pairs, not {len(x)} and {len(y)} numbers.")
    # Neither the order of the pairs nor which of the two comes first may change the draws.
    pairs = np.array(min(sorted(zip(x, y, strict=True)), sorted(zip(y, x, strict=True))), dtype=np.float64).T

    from scipy.stats import rankdata  # 2 s: loaded only where it is used

    def of(rows: Array) -> Array:
        chosen = pairs[:, rows.astype(np.intp)]
        if kind == "spearman":
            chosen = rankdata(chosen, axis=-1)
        chosen = chosen - chosen.mean(axis=-1, keepdims=True)
        size = np.sqrt((chosen**2).sum(axis=-1).prod(axis=0))
        return np.asarray(np.where(size > 0, (chosen[0] * chosen[1]).sum(axis=-1) / np.where(size > 0, size, 1.0), 0.0))

    flat = any(np.all(row == row[0]) for row in pairs)
    every = [float(i) for i in range(len(x))]
    value = math.nan if flat else float(of(np.array(every)))
    return Correlation(kind, value, None if flat else bootstrap(every, of), len(x))


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of independent values, such as one a seed, with Student's 95 % interval.

    NaN where there is no value; no interval for a single one.
    """
    n = len(values)
    if n < 2:
        return Mean(values[0] if n else math.nan, None, n)
    centre = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (n - 1) / n)
    half = float(special.stdtrit(n - 1, 0.975)) * spread
    return Mean(centre, Interval(centre - half, centre + half), n)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for their number (Holm 1979, Scandinavian J. of Statistics 6:65); NaN stays NaN."""
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted, least = list(p_values), 0.0
    for rank, (p, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[i] = least
    return tuple(adjusted)


# --- planning ---


def window_needed(median: float, alarm: float, risk: float = 0.05, most: int = 50) -> int:
    """Return how many levels in a row, the candidate with them, must say yes.

    The smallest w with J (1 - g) g^w <= risk: about how often false alarms alone, rate g and independent, fill a
    window that begins below the median J (ours).

    Args:
        median: J in levels, >= 0.
        alarm: g, 0 to 1.
        risk: of a false JND in a series, 0 < risk < 1.
        most: longest window to try, in levels, >= 1; returned where it takes as many or more.

    Raises:
        InputError: a rate outside 0 to 1, or a median below 0.
    """
    if not 0.0 <= alarm <= 1.0 or not median >= 0.0:
        raise InputError(f"A window takes a median level from 0 and a rate from 0 to 1, not {median} and {alarm}.")
    return next((w for w in range(1, most) if median * (1.0 - alarm) * alarm**w <= risk), most)


def references_needed(sd: float, half_width: float) -> int:
    """Return how many references put a mean's 95 % interval within +- half_width: (1.96 sd / h)^2, rounded up.

    Raises:
        InputError: a half-width of 0 or less, or a spread below 0.
    """
    if not half_width > 0.0 or not sd >= 0.0:
        raise InputError(f"Give a half-width above 0 and a spread from 0, not {half_width} and {sd}.")
    return max(2, math.ceil((_Z95 * sd / half_width) ** 2))


@dataclass(frozen=True, slots=True)
class Power:
    """How many references a wanted interval takes, from a pilot's own spread.

    Attributes:
        n: references of the pilot.
        sd: of J restricted at L, in levels.
        half_width: wanted, in levels.
        for_mean: references for the restricted mean; None where the pilot has fewer than five, or all are equal.
        for_median: for the median, whose sd is .5 / (f sqrt n) with f the pilot's density there; None also where the
            median is censored.
        reached: half-width of the mean's interval that the pilot's own n gives.
    """

    n: int
    sd: float
    half_width: float
    for_mean: int | None
    for_median: int | None
    reached: float


def power(values: Sequence[float], half_width: float, top: float) -> Power:
    """Return how many references a 95 % interval of +- half_width takes.

    The sd's own uncertainty is left out: from a pilot of 10 it may be 1.8 times too small, of 50 1.25 times (95 %),
    and n goes with its square.

    Args:
        values: J of each reference, in levels; infinite where there is none up to the top.
        half_width: of the wanted 95 % interval, in levels, > 0.
        top: L, in levels.
    """
    data = np.minimum(np.asarray(values, dtype=np.float64), top)
    n = len(data)
    sd = float(data.std(ddof=1)) if n > 1 else math.nan
    if n < FEWEST_CLUSTERS or sd == 0.0:
        return Power(n, sd, half_width, None, None, math.nan)
    mean, reached = references_needed(sd, half_width), _Z95 * sd / math.sqrt(n)
    if not np.median(data) < top:
        return Power(n, sd, half_width, mean, None, reached)
    median = float(np.median(data))
    spread = 0.5 / _density(data[data < top], median) * (data < top).mean() ** -1.0
    return Power(n, sd, half_width, mean, references_needed(spread, half_width), reached)


def _density(data: Array, at: float) -> float:
    """Return a density (Gaussian kernels, Silverman 1986, eq. 3.30): a bootstrap's sd of a median is far noisier."""
    width = 0.9 * max(float(data.std(ddof=1)) if len(data) > 1 else 0.0, 0.5) * len(data) ** -0.2
    z = (at - data) / width
    return float(np.exp(-z * z / 2).mean() / (width * math.sqrt(2 * math.pi)))
