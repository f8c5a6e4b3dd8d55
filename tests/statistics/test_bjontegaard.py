"""BD-rate: a case by hand, the package of Herglotz and others as oracle, identities, and every refusal."""

import importlib
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.errors import InputError, UnknownNameError
from limen.statistics.bjontegaard import METHODS, BdRate, Method, RateCurve, bd_rate, front

ANCHOR = RateCurve("uniform-image", (120.0, 260.0, 510.0, 1100.0, 2300.0), (28.1, 31.0, 33.4, 36.9, 39.2))
CURVE = RateCurve("jpeg", (100.0, 240.0, 480.0, 1400.0), (27.0, 30.6, 33.9, 38.0))


@pytest.mark.parametrize("method", METHODS)
def test_straight_lines_by_hand(method: Method) -> None:
    # log10 of the rate is the quality for one, and a tenth more for the other: 10^.1 of the rate everywhere.
    qualities = (1.0, 2.0, 3.0, 4.0, 5.0)
    anchor = RateCurve("a", tuple(10.0**quality for quality in qualities), qualities)
    dearer = RateCurve("b", tuple(10.0 ** (quality + 0.1) for quality in qualities[1:]), qualities[1:])
    found = bd_rate(anchor, dearer, method)
    assert found.percent == pytest.approx(100 * (10**0.1 - 1))
    assert (found.low, found.high, found.overlap) == (2, 5, 0.75)
    # On half of the slope it takes 10^((q + 1) / 2): over 1..5 less by the mean of (q - 1) / 2, which is 1.
    flat = RateCurve("c", tuple(10.0 ** ((quality + 1) / 2) for quality in qualities), qualities)
    assert bd_rate(anchor, flat, method).percent == pytest.approx(-90)


def test_the_cubic_of_2001_by_hand() -> None:
    # Through four points goes one cubic: log10 R = q^3 for one and 0 for the other; its mean over 0..3 is 81/4/3.
    qualities = (0.0, 1.0, 2.0, 3.0)
    steep = RateCurve("a", tuple(10.0 ** (quality**3 / 20) for quality in qualities), qualities)
    slight = RateCurve("b", tuple(10.0 ** (quality * 1e-9) for quality in qualities), qualities)
    assert bd_rate(slight, steep, "cubic").percent == pytest.approx(100 * (10 ** (81 / 4 / 3 / 20) - 1), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_the_fields_package_gives(method: Method) -> None:
    theirs = importlib.import_module("bjontegaard")
    draws = np.random.default_rng(0)
    for anchor, curve in [(ANCHOR, CURVE), *((drawn(draws, "a"), drawn(draws, "b")) for _ in range(50))]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of little overlap
            wanted = theirs.bd_rate(
                anchor.rates, anchor.qualities, curve.rates, curve.qualities, method, require_matching_points=False
            )
        assert bd_rate(anchor, curve, method).percent == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def drawn(draws: np.random.Generator, name: str) -> RateCurve:
    count = int(draws.integers(4, 10))
    rates = 100 * np.cumprod(draws.uniform(1.1, 2.0, count))
    qualities = 0.3 + np.cumsum(draws.uniform(0.02, 0.1, count))
    return RateCurve(name, rates.tolist(), qualities.tolist())


@given(st.floats(0.1, 10), st.permutations(range(4)))
def test_a_factor_of_the_rate_is_the_bd_rate_in_whatever_order_points_come(factor: float, order: list[int]) -> None:
    dearer = RateCurve("b", [factor * CURVE.rates[k] for k in order], [CURVE.qualities[k] for k in order])
    for method in METHODS:
        found = bd_rate(CURVE, dearer, method)
        assert found.percent == pytest.approx(100 * (factor - 1), abs=1e-6)
        assert found.overlap == 1


def test_there_and_back_multiply_to_one() -> None:
    there, back = bd_rate(ANCHOR, CURVE), bd_rate(CURVE, ANCHOR)
    assert (1 + there.percent / 100) * (1 + back.percent / 100) == pytest.approx(1)
    assert there == BdRate(there.percent, 28.1, 38.0, (38.0 - 28.1) / (39.2 - 27.0))


@pytest.mark.parametrize(
    ("rates", "qualities", "told"),
    [
        ((1, 2, 3), (1, 2, 3), r"curve of jpeg has 3 points; .* takes 4 or more"),
        ((1, 2, 3, 4), (1, 2, 2, 3), r"curve of jpeg is not monotone: rate 2 has quality 2, and rate 3 has 2"),
        ((1, 2, 2, 4), (30, 31, 32, 33), r"curve of jpeg is not monotone: rate 2 has quality 31, and rate 2 has 32"),
        ((0, 2, 3, 4), (1, 2, 3, 4), r"curve of jpeg has rates or qualities that are no numbers, or rates not above 0"),
        ((1, 2, 3, 4), (1, 2, 3, math.nan), r"curve of jpeg has rates or qualities that are no numbers"),
        ((1, 2, 3, 4), (1, 2, 3, 4), r"jpeg \(1 to 4\) and uniform-image \(28.1 to 39.2\) share no quality"),
    ],
)
def test_what_no_bd_rate_stands_on_is_refused(rates: list[float], qualities: list[float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        bd_rate(ANCHOR, RateCurve("jpeg", rates, qualities))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'pchip'"):
        bd_rate(ANCHOR, CURVE, "pchp")  # type: ignore[arg-type]


def test_a_front_is_what_no_cheaper_point_equals_or_beats() -> None:
    found = front(RateCurve("jpeg", (4, 1, 3, 2, 2, 5), (8, 1, 5, 6, 5, 8)))
    assert found == RateCurve("jpeg", [1, 2, 4], [1, 6, 8])
    assert front(ANCHOR) == RateCurve(ANCHOR.name, list(ANCHOR.rates), list(ANCHOR.qualities))
