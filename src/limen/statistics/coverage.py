"""Whether a conformal promise is kept: what coverage of fresh images it allows, and a word for what was seen.

With k the rank of the scale among n calibration images and no ties, the coverage of fresh images is Beta(n + 1 - k, k),
and the count of m covered images is beta-binomial (Vovk 2012; Angelopoulos and Bates 2023, section 3.2). Ties move
coverage up, never down.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from limen.curve import Array

CONFIDENCE = 0.95
EXACT = 20_000  # test images up to which the band is worked out count by count; above, the normal one is as good
_NORMAL = NormalDist()


class CoverageVerdict(StrEnum):
    """What test images say of a promise."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    UNKNOWN = "cannot tell yet"


@dataclass(frozen=True, slots=True)
class CoverageCheck:
    """What was promised beside what was seen.

    Attributes:
        promised: 1 - rho, the share of fresh images that bear the scale.
        k, n: test images that bore it, of how many.
        low, high: shares between which 95 % of the repetitions of such a test lie, if the promise is just kept.
        verdict: by the rule of `check`.
    """

    promised: float
    k: int
    n: int
    low: float
    high: float
    verdict: CoverageVerdict


def rank(n: int, rho: float) -> int:
    """Return floor(rho (n + 1)): which of n tolerated scales, from the smallest, is promised; below 1 none can be.

    Args:
        n: calibration images.
        rho: allowed probability of a larger drop, 0 < rho < 1.
    """
    return min(n, math.floor(rho * (n + 1) + 1e-9))  # .05 * 20 is a little less than 1 for some n


def counts(n: int, m: int, k: int) -> Array:
    """Return the probability of 0, 1, ... m covered images (m + 1,), for one calibration set.

    Args:
        n: calibration images.
        m: fresh images, >= 1.
        k: the rank of the scale, 1 .. n.
    """
    whole = _log_beta(n + 1 - k, k)
    logarithms = [_log_choose(m, x) + _log_beta(x + n + 1 - k, m - x + k) - whole for x in range(m + 1)]
    return np.exp(np.asarray(logarithms, np.float64))


def band(probabilities: Array, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the shares between which a count lies, with equal tails.

    Args:
        probabilities: of 0, 1, ... m, from `counts`.
        confidence: 0 to 1.
    """
    m, rising = len(probabilities) - 1, np.cumsum(probabilities)
    tail = (1 - confidence) / 2
    low, high = (int(np.searchsorted(rising, share)) for share in (tail, 1 - tail))
    return low / m, min(high, m) / m


def check(tests: Sequence[tuple[int, int, int]], rho: float) -> CoverageCheck:
    """Hold what was seen against what was promised, over all seeds together.

    *Not kept*: fewer images bore the scale than 97.5 % of the repetitions would have if the promise were just kept.
    *Cannot tell yet*: that is not so, but a coverage of 1 - 2 rho, with twice the failures that are allowed, would not
    be told from it either, for lack of images. *Kept*: neither.

    Args:
        tests: of each seed: calibration images, test images, and how many of these bore the scale.
        rho: allowed probability of a larger drop, 0 < rho < 1.
    """
    k, n = sum(covered for _, _, covered in tests), sum(m for _, m, _ in tests)
    ranks = [rank(calibrated, rho) for calibrated, _, _ in tests]
    if min(ranks, default=0) < 1:
        return CoverageCheck(1 - rho, k, n, 0.0, 1.0, CoverageVerdict.UNKNOWN)
    low, high = _pooled([(calibrated, m, place) for (calibrated, m, _), place in zip(tests, ranks, strict=True)])
    if k / n < low:
        verdict = CoverageVerdict.NOT_KEPT
    else:
        verdict = CoverageVerdict.UNKNOWN if low <= 1 - 2 * rho else CoverageVerdict.KEPT
    return CoverageCheck(1 - rho, k, n, low, high, verdict)


def _pooled(tests: Sequence[tuple[int, int, int]]) -> tuple[float, float]:
    """Return the band of the counts of several seeds together, each with images of its own."""
    n = sum(m for _, m, _ in tests)
    if n <= EXACT:
        return band(functools.reduce(np.convolve, (counts(*test) for test in tests)))
    mean = sum(m * (calibrated + 1 - k) / (calibrated + 1) for calibrated, m, k in tests)
    variance = sum(
        m * (calibrated + 1 - k) * k * (calibrated + 1 + m) / ((calibrated + 1) ** 2 * (calibrated + 2))
        for calibrated, m, k in tests
    )
    half = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(variance)
    return max(0.0, (mean - half) / n), min(1.0, (mean + half) / n)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
