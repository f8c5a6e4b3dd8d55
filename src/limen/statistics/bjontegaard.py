"""How many more or fewer bytes one coder takes than another, in the mean over what both reach: the BD-rate.

Bjontegaard (2001, "Calculation of average PSNR differences between RD-curves", ITU-T SG16 VCEG-M33): each curve is
log10 of the rate as a function of the quality; the mean distance of the two over the qualities that both have, as a
factor, less 1, is the BD-rate. The original puts a cubic through four points; with more it is a least-squares fit,
which may miss all of them. Piecewise cubic Hermite interpolation (PCHIP; the common test conditions of video coding
since JCTVC-L1100, 2013) and Akima's (Herglotz et al. 2022, arXiv:2202.12565) pass through every point; PCHIP is the
default.

What differs from the latter's package (PyPI: bjontegaard): curves that do not overlap, are not monotone or have fewer
than four points are refused, where it warns or goes on.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from limen.curve import Array
from limen.errors import InputError, UnknownNameError

FEWEST = 4  # points of a curve
Method: TypeAlias = Literal["pchip", "akima", "cubic"]
METHODS: tuple[Method, ...] = ("pchip", "akima", "cubic")


@dataclass(frozen=True)
class RateCurve:
    """What one coder reaches at several rates.

    Attributes:
        name: for messages.
        rates: above 0, in any unit.
        qualities: at these rates; more is better.
    """

    name: str
    rates: Sequence[float]
    qualities: Sequence[float]


@dataclass(frozen=True, slots=True)
class BdRate:
    """A BD-rate, and what it stands on.

    Attributes:
        percent: how much more (above 0) or less rate the curve takes than the anchor.
        low, high: the qualities that both curves have.
        overlap: these as a share of the qualities that either has. Where it is small the figure says little.
    """

    percent: float
    low: float
    high: float
    overlap: float


def bd_rate(anchor: RateCurve, curve: RateCurve, method: Method = "pchip") -> BdRate:
    """Return the BD-rate of a curve relative to an anchor.

    Args:
        anchor: what is compared with.
        curve: what is compared; the same unit of rate and of quality.
        method: how curves run between their points: "pchip", "akima", or "cubic" as in 2001.

    Raises:
        InputError: a curve has fewer than `FEWEST` points or is not monotone, or the two share no quality.
        UnknownNameError: no such method.
    """
    if method not in METHODS:
        raise UnknownNameError("method of the BD-rate", method, METHODS)
    (first, theirs), (second, mine) = (_checked(one) for one in (anchor, curve))
    low, high = max(first[0], second[0]), min(first[-1], second[-1])
    if not low < high:
        raise InputError(
            f"The curves of {curve.name} ({second[0]:.4g} to {second[-1]:.4g}) and {anchor.name} ({first[0]:.4g} to "
            f"{first[-1]:.4g}) share no quality, so no BD-rate stands between them. Measure points where both lie."
        )
    mean = (_integral(second, mine, method)(low, high) - _integral(first, theirs, method)(low, high)) / (high - low)
    whole = max(first[-1], second[-1]) - min(first[0], second[0])
    return BdRate(float(100 * (10.0**mean - 1)), float(low), float(high), float((high - low) / whole))


def front(curve: RateCurve) -> RateCurve:
    """Return a curve without the points that one of no more rate equals or beats: what is left rises all the way.

    Near the quality of what is not coded, curves over few images are level but for chance.
    """
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(
        zip(curve.rates, curve.qualities, strict=True), key=lambda point: (point[0], -point[1])
    ):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return RateCurve(curve.name, [rate for rate, _ in kept], [quality for _, quality in kept])


def _checked(curve: RateCurve) -> tuple[Array, Array]:
    """Return qualities, ascending, and log10 of their rates."""
    rates, qualities = (np.asarray(values, np.float64) for values in (curve.rates, curve.qualities))
    if len(rates) < FEWEST or len(rates) != len(qualities):
        raise InputError(
            f"The curve of {curve.name} has {min(len(rates), len(qualities))} points; a BD-rate takes {FEWEST} or "
            "more. Measure it at more rates."
        )
    if not (np.isfinite(rates).all() and np.isfinite(qualities).all() and (rates > 0).all()):
        raise InputError(
            f"The curve of {curve.name} has rates or qualities that are no numbers, or rates not above 0. Leave those "
            "points out."
        )
    order = np.argsort(rates, kind="stable")
    rates, qualities = rates[order], qualities[order]
    for before, after in itertools.pairwise(zip(rates, qualities, strict=True)):
        if not (before[0] < after[0] and before[1] < after[1]):
            raise InputError(
                f"The curve of {curve.name} is not monotone: rate {before[0]:.4g} has quality {before[1]:.4g}, and "
                f"rate {after[0]:.4g} has {after[1]:.4g}. Measure more images, or leave what is beaten out (`front`)."
            )
    return qualities, np.log10(rates)


def _integral(qualities: Array, rates: Array, method: Method) -> Callable[[float, float], float]:
    """Return a function that integrates log10 of the rate between two qualities."""
    from scipy import interpolate  # takes a second to import

    if method == "cubic":
        middle = float(qualities.mean())  # about it the powers of near qualities differ
        whole = np.polyint(np.polyfit(qualities - middle, rates, 3))
        return lambda low, high: float(np.polyval(whole, high - middle) - np.polyval(whole, low - middle))
    kind: Any = interpolate.PchipInterpolator if method == "pchip" else interpolate.Akima1DInterpolator
    made = kind(qualities, rates)
    return lambda low, high: float(made.integrate(low, high))
