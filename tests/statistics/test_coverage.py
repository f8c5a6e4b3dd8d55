"""Whether a conformal promise is kept: the band against draws, and each word where it belongs."""

import numpy as np
import pytest
from scipy import stats

from limen.statistics import coverage
from limen.statistics.coverage import CoverageVerdict, band, check, counts, rank


def test_counts_are_beta_binomial() -> None:
    n, m, k = 99, 150, rank(99, 0.1)
    assert counts(n, m, k) == pytest.approx(stats.betabinom(m, n + 1 - k, k).pmf(np.arange(m + 1)), abs=1e-12)


def test_the_band_of_several_seeds_is_that_of_their_sum() -> None:
    rng = np.random.default_rng(1)
    tests = [(60, 100), (40, 80), (99, 30)]
    drawn = sum(rng.binomial(m, rng.beta(n + 1 - rank(n, 0.1), rank(n, 0.1), 400_000)) for n, m in tests) / 210
    found = check([(n, m, m) for n, m in tests], 0.1)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=1 / 210 + 1e-9)


def test_many_images_have_the_same_band_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = [(500, 4000, 3600), (400, 3000, 2700)]
    exact = check(tests, 0.1)
    monkeypatch.setattr(coverage, "EXACT", 10)
    found = check(tests, 0.1)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.003)


def test_each_word_where_it_belongs() -> None:
    low, _ = band(counts(99, 150, rank(99, 0.1)))
    at = round(150 * low)
    assert check([(99, 150, at)], 0.1).verdict is CoverageVerdict.KEPT  # in the band, if only just
    assert check([(99, 150, at - 1)], 0.1).verdict is CoverageVerdict.NOT_KEPT
    assert check([(99, 150, 150)], 0.1).verdict is CoverageVerdict.KEPT  # more than was promised
    few = check([(60, 100, 90)], 0.1)  # .790 to .980: twice the failures would look the same
    assert few.verdict is CoverageVerdict.UNKNOWN
    assert few.low <= 0.8
    assert check([(60, 100, 90)] * 3, 0.1).verdict is CoverageVerdict.KEPT  # three seeds can tell
    assert check([(60, 100, 70)], 0.1).verdict is CoverageVerdict.NOT_KEPT
    assert check([(5, 100, 100)], 0.1).verdict is CoverageVerdict.UNKNOWN  # too few to promise anything


def test_a_promise_of_next_to_nothing_is_of_the_largest() -> None:
    almost = 1 - 1e-12  # times n + 1 it is n + 1 to within what numbers are rounded by
    assert rank(9, almost) == 9
    assert check([(9, 20, 20)], almost).verdict is not CoverageVerdict.NOT_KEPT


def test_a_promise_that_is_just_kept_is_seldom_called_broken() -> None:
    rng = np.random.default_rng(2)
    n, m, rho = 99, 150, 0.1
    covered = rng.binomial(m, rng.beta(n + 1 - rank(n, rho), rank(n, rho), 2000))
    words = [check([(n, m, int(k))], rho).verdict for k in covered]
    assert words.count(CoverageVerdict.NOT_KEPT) / len(words) < 0.035
    broken = rng.binomial(m, rng.beta(n + 1 - 3 * rank(n, rho), 3 * rank(n, rho), 300))  # a scale of three times rho
    words = [check([(n, m, int(k))], rho).verdict for k in broken]
    assert words.count(CoverageVerdict.NOT_KEPT) / len(words) > 0.9
