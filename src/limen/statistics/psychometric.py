"""What a psychometric function is, and counts to fit one to.

    psi(x) = g + (1 - g - l) F(x; threshold, width)

with guess rate g (false alarms), lapse rate l, and for every shape the parametrisation of psignifit 4 (Schuett,
Harmeling, Macke & Wichmann 2016, Vision Research 122:105, eq. 1): **threshold** is the level where F = .5, so it is
corrected for g and l; **width** is the distance between the levels where F = .05 and F = .95. Both in levels.

| name | F | elsewhere |
|---|---|---|
| logistic | 1 / (1 + exp(-z)) | psignifit `logistic`, Palamedes `PAL_Logistic` |
| normal | Phi(z), probit | psignifit `norm`, Palamedes `PAL_CumulativeNormal` |
| weibull | 1 - exp(-ln 2 (x / threshold)^beta), from level 0 up | psignifit `weibull`, Palamedes `PAL_Weibull` |
| gumbel | 1 - exp(-exp(z)), the Weibull of log x; minima | psignifit `gumbel`, Palamedes `PAL_Gumbel` |
| rgumbel | exp(-exp(-z)), maxima | psignifit `rgumbel` |

psignifit gives the Weibull's threshold and width in log units, Palamedes its scale where F = 1 - 1/e; here both are
in levels.

Identical pairs (the false alarms) are trials at the level `IDENTICAL`, where F = 0 and psi = g: they inform g and
nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from limen.curve import Array
from limen.errors import InputError, UnknownNameError

SHAPES = ("logistic", "normal", "weibull", "gumbel", "rgumbel")
IDENTICAL = -math.inf  # the level of a picture shown with itself: F = 0
TINY = 1e-10  # the least probability of an answer, so that a logarithm stays finite
_LN2 = math.log(2.0)
_LOGIT = 2.0 * math.log(19.0)
_PROBIT = 2.0 * 1.6448536269514722
_GUMBEL = math.log(-math.log(0.05)) - math.log(-math.log(0.95))


def rise(shape: str, levels: npt.ArrayLike, threshold: npt.ArrayLike, width: npt.ArrayLike) -> Array:
    """Return F, from 0 to 1, at levels; the arguments broadcast.

    Args:
        shape: one of `SHAPES`.
        levels: in the unit of the threshold, of any shape; "weibull" takes those below 0 as 0.
        threshold: level at which F is 1/2; for "weibull" > 0.
        width: levels from F = .05 to F = .95, > 0.

    Raises:
        UnknownNameError: no such shape.
    """
    x, m, w = (np.asarray(value, dtype=np.float64) for value in (levels, threshold, width))
    with np.errstate(over="ignore"):
        match shape:
            case "logistic":
                return np.asarray(0.5 + 0.5 * np.tanh(0.5 * _LOGIT * (x - m) / w))
            case "normal":
                return np.asarray(special.ndtr(_PROBIT * (x - m) / w))
            case "gumbel":
                return np.asarray(-np.expm1(-_LN2 * np.exp(_GUMBEL * (x - m) / w)))
            case "rgumbel":
                return np.asarray(np.exp(-_LN2 * np.exp(-_GUMBEL * (x - m) / w)))
            case "weibull":
                return np.asarray(-np.expm1(-_LN2 * (np.maximum(x, 0.0) / m) ** _exponent(w / m)))
    raise UnknownNameError("psychometric function", shape, SHAPES)


def inverse(shape: str, share: float, threshold: npt.ArrayLike, width: npt.ArrayLike) -> Array:
    """Return the level where F = `share` (0 < share < 1).

    Args:
        shape: one of `SHAPES`.
        share: 0 < share < 1.
        threshold: level at which F is 1/2; for "weibull" > 0.
        width: levels from F = .05 to F = .95, > 0.

    Raises:
        UnknownNameError: no such shape.
    """
    m, w = np.asarray(threshold, dtype=np.float64), np.asarray(width, dtype=np.float64)
    match shape:
        case "logistic":
            return np.asarray(m + w * math.log(share / (1.0 - share)) / _LOGIT)
        case "normal":
            return np.asarray(m + w * special.ndtri(share) / _PROBIT)
        case "gumbel":
            return np.asarray(m + w * math.log(-math.log1p(-share) / _LN2) / _GUMBEL)
        case "rgumbel":
            return np.asarray(m - w * math.log(-math.log(share) / _LN2) / _GUMBEL)
        case "weibull":
            return np.asarray(m * (-math.log1p(-share) / _LN2) ** (1.0 / _exponent(w / m)))
    raise UnknownNameError("psychometric function", shape, SHAPES)


def psi(
    shape: str, levels: npt.ArrayLike, threshold: npt.ArrayLike, width: npt.ArrayLike, guess: npt.ArrayLike = 0.0,
    lapse: npt.ArrayLike = 0.0,
) -> Array:  # fmt: skip
    """Return the probability of a yes (or of a correct choice) at levels; the arguments broadcast.

    Args:
        shape: one of `SHAPES`.
        levels: in the unit of the threshold.
        threshold: level at which F is 1/2; for "weibull" > 0.
        width: levels from F = .05 to F = .95, > 0.
        guess: rate of false alarms (or of chance), 0 to 1.
        lapse: rate of lapses, 0 to 1 - `guess`.

    Raises:
        UnknownNameError: no such shape.
    """
    g, low = np.asarray(guess, dtype=np.float64), np.asarray(lapse, dtype=np.float64)
    return np.asarray(g + (1.0 - g - low) * rise(shape, levels, threshold, width))


_U = np.geomspace(1e-4, 60.0, 4000)  # 1 / beta
_RELATIVE_WIDTH = (-math.log(0.05) / _LN2) ** _U - (-math.log(0.95) / _LN2) ** _U


def _exponent(relative_width: Array) -> Array:
    """Return the Weibull's beta for width / threshold (a table, log-linear between 4,000 entries: 1e-6 exact)."""
    found = np.interp(np.log(relative_width), np.log(_RELATIVE_WIDTH), np.log(_U))
    return np.asarray(np.exp(-found))


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Counts of B data sets on common levels; a set that was not asked at a level has n = 0 there.

    Attributes:
        levels: (K,), in levels; `IDENTICAL` for identical pairs.
        yes: (B, K), how many said yes (or chose right); fractions for p(yes), which only the quasi-likelihood takes.
        n: (B, K), how many answered.
    """

    levels: Array
    yes: Array
    n: Array

    @classmethod
    def of(
        cls, levels: Sequence[float], yes: npt.ArrayLike, n: npt.ArrayLike,
        alarms: npt.ArrayLike | None = None, identical: npt.ArrayLike | None = None,
    ) -> "Responses":  # fmt: skip
        """Return checked counts of one data set (K,) or many (B, K).

        Args:
            levels: (K,), in any unit.
            yes: (K,) or (B, K), counts of yes, 0..n.
            n: (K,) or (B, K), counts of answers, >= 0.
            alarms: yes to identical pairs, a number or (B,); None where none were asked.
            identical: how many identical pairs, a number or (B,); None where none were asked.

        Raises:
            InputError: shapes that do not fit, counts below 0 or above n, a data set without an answer.
        """
        x = np.asarray(levels, dtype=np.float64)
        k, m = (np.atleast_2d(np.asarray(value, dtype=np.float64)) for value in (yes, n))
        if x.ndim != 1 or k.shape != m.shape or k.shape[1:] != x.shape:
            raise InputError(
                f"{x.size} levels, yes of shape {k.shape} and n of shape {m.shape} do not fit. "
                "Give levels (K,), and yes and n both (K,) or both (sets, K)."
            )
        if identical is not None:
            wrong = np.broadcast_to(np.asarray(0 if alarms is None else alarms, dtype=np.float64), len(k))
            pairs = np.broadcast_to(np.asarray(identical, dtype=np.float64), len(k))
            x = np.concatenate(([IDENTICAL], x))
            k, m = np.column_stack((wrong, k)), np.column_stack((pairs, m))
        if not (np.all(k >= 0) and np.all(k <= m) and np.all(np.isfinite(m))):
            raise InputError("Counts of yes must lie between 0 and n, and be finite. Give answers counted once.")
        if not np.all((m * np.isfinite(x)).sum(axis=1) > 0):
            empty = int(np.argmin((m * np.isfinite(x)).sum(axis=1)))
            raise InputError(f"Data set {empty} has no answer at any level (n = 0). Leave it out, or measure it.")
        return cls(x, k, m)

    def __len__(self) -> int:
        return len(self.yes)

    @property
    def whole(self) -> bool:
        """Whether all counts are whole: what a binomial likelihood needs."""
        return bool(np.all(self.yes == np.rint(self.yes)) and np.all(self.n == np.rint(self.n)))
