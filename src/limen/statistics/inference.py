"""Statistics of agreement and planning: correlations, Holm, the window, how many references.

Ranks and Student's t are SciPy's. statsmodels has Holm's procedure and power functions too, but brings pandas for
six lines each. d' is in `detection`, survival and paired comparisons are in `survival`, fits in `posterior`,
`likelihood` and `population`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from limen.curve import FEWEST_CLUSTERS, Array, Interval, Mean, bootstrap
from limen.errors import InputError, UnknownNameError

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.975)


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
    from scipy.special import stdtrit  # loaded only where it is used

    n = len(values)
    if n < 2:
        return Mean(values[0] if n else math.nan, None, n)
    centre = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (n - 1) / n)
    half = float(stdtrit(n - 1, 0.975)) * spread
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
