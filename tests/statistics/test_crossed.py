"""Crossed people and references: intervals, spreads with censored cells, what people agree on."""

import math

import numpy as np
import pytest

from limen.curve import Array
from limen.errors import InputError
from limen.statistics import crossed

PERSON, REFERENCE, REST = 4.0, 3.0, 2.0


def simulated(rng: np.random.Generator, people: int = 12, references: int = 15, missing: float = 0.0) -> Array:
    """Thresholds about 25 of people and references whose spreads are known."""
    y = 25 + PERSON * rng.standard_normal((people, 1)) + REFERENCE * rng.standard_normal((1, references))
    y = y + REST * rng.standard_normal((people, references))
    y[rng.random(y.shape) < missing] = np.nan
    return np.asarray(y)


def test_the_mean_weighs_references_alike_however_many_met_them() -> None:
    values = np.array([[1.0, 5.0], [3.0, np.nan], [5.0, np.nan]])
    assert crossed.means(values).tolist() == [3.0, 5.0]
    assert crossed.mean(values) == 4.0
    assert math.isnan(crossed.mean(np.full((2, 2), np.nan)))


@pytest.mark.parametrize("shape", [(4, 20), (20, 4)])
def test_no_interval_below_five_of_either(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    assert crossed.mean_interval(values) is None
    assert crossed.interval_of(lambda v, w: float(v @ values @ w), *shape) is None
    assert crossed.components(values, values) is None


def test_no_interval_where_all_are_alike() -> None:
    assert crossed.mean_interval(np.full((6, 6), 3.0)) is None


def test_the_interval_does_not_depend_on_who_met_nothing() -> None:
    values = simulated(np.random.default_rng(1), 6, 6)
    more = np.vstack([values, np.full((1, 6), np.nan)])
    assert crossed.mean_interval(more) == crossed.mean_interval(values)


def test_more_references_do_not_narrow_what_few_people_can_say() -> None:
    """Binomial thinking would: with ten times the references the interval would be a third."""
    rng = np.random.default_rng(2)
    values = 25 + PERSON * rng.standard_normal((6, 1)) + 0.5 * rng.standard_normal((6, 200))
    few, many = crossed.mean_interval(values[:, :20]), crossed.mean_interval(values)
    assert few is not None
    assert many is not None
    assert many.high - many.low > 0.8 * (few.high - few.low)


@pytest.mark.slow
def test_the_crossed_interval_covers_people_and_references() -> None:
    """Over 200 simulated studies each: 95 % stated, 90 % asked for, at the fewest as well."""
    rng = np.random.default_rng(3)
    for people, references, missing in ((5, 5, 0.0), (12, 15, 0.0), (12, 15, 0.5), (8, 40, 0.3)):
        hits = 0
        for _ in range(200):
            found = crossed.mean_interval(simulated(rng, people, references, missing))
            hits += found is not None and found.low <= 25 <= found.high
        assert hits >= 0.9 * 200, (people, references, missing, hits)


def bounds(y: Array, top: float) -> tuple[Array, Array]:
    """What is known of thresholds on a ladder: themselves, or that they lie beyond its top."""
    beyond = y > top
    return np.where(beyond, top, y), np.where(beyond, np.inf, y)


@pytest.mark.slow
@pytest.mark.parametrize(("top", "missing"), [(99.0, 0.0), (99.0, 0.5), (28.0, 0.2)])
def test_spreads_are_recovered_though_a_third_lies_beyond_the_ladder(top: float, missing: float) -> None:
    rng = np.random.default_rng(4)
    hits, centre = np.zeros(3), []
    for _ in range(20):
        found = crossed.components(*bounds(simulated(rng, 12, 20, missing), top))
        assert found is not None
        three = (found.person, found.reference, found.rest)
        centre.append([one.value for one in three])
        hits += [
            one.interval.low <= true <= one.interval.high
            for one, true in zip(three, (PERSON, REFERENCE, REST), strict=True)
        ]
    assert (hits >= 0.8 * 20).all(), hits
    assert np.median(centre, axis=0) == pytest.approx([PERSON, REFERENCE, REST], rel=0.25)


def test_no_spread_between_people_is_found_near_zero() -> None:
    rng = np.random.default_rng(5)
    y = 25 + REFERENCE * rng.standard_normal((1, 20)) + REST * rng.standard_normal((12, 20))
    found = crossed.components(y, y)
    assert found is not None
    assert found.person.interval.low < 0.3
    assert found.person.value < 1
    assert found.share.value < 0.2


def test_spreads_are_unknown_where_half_lies_beyond_or_nobody_met_what_others_met() -> None:
    y = simulated(np.random.default_rng(6))
    assert crossed.components(*bounds(y, 25.0 - 5)) is None
    alone = np.full((6, 30), np.nan)
    for person in range(6):
        alone[person, 5 * person : 5 * person + 5] = y[person, :5]
    assert crossed.components(alone, alone) is None


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(InputError, match="the lower one first"):
        crossed.components(np.ones((5, 5)), np.zeros((5, 5)))


def test_a_reference_that_only_the_keen_met_does_not_look_easy() -> None:
    person, reference = np.array([[-5.0], [0.0], [5.0]]), np.array([[10.0, 11.0, 12.0, 13.0]])
    values = person + reference
    values[1:, 3] = np.nan  # only the keenest met the last
    found = crossed.references_of(values)
    assert np.diff(found) == pytest.approx([1, 1, 1], abs=0.05)
    assert crossed.means(values)[3] < crossed.means(values)[0], "its plain mean is the lowest"


def least_squares(values: Array) -> Array:
    """Return what each reference is by numpy's own solver."""
    people, references = values.shape
    person, reference = np.nonzero(~np.isnan(values))
    design = np.zeros((len(person), people + references))
    design[range(len(person)), person] = design[range(len(person)), people + reference] = 1
    found = np.linalg.lstsq(design, values[person, reference], rcond=None)[0]
    return np.asarray(found[people:] + found[:people].mean())


@pytest.mark.parametrize(("people", "references", "each"), [(30, 30, 5), (12, 60, 8), (40, 40, 3), (20, 100, 10)])
def test_chains_of_people_who_share_few_references_are_solved_whole(people: int, references: int, each: int) -> None:
    """Person i meets a window of references that begins where person i - 1's has gone on a little."""
    rng = np.random.default_rng(9)
    values = np.full((2, people, references), np.nan)
    for i in range(people):
        window = (np.arange(each) + i * max(1, references // people)) % references
        values[:, i, window] = 3 * rng.standard_normal() + rng.standard_normal((2, each)) + window / 10
    found = crossed.references_of(values)
    for mine, of in zip(found, values, strict=True):
        there = ~np.isnan(mine)
        assert mine[there] == pytest.approx(least_squares(of)[there], abs=1e-8)


def test_groups_of_people_who_share_nothing_are_as_keen_as_each_other() -> None:
    values = np.full((4, 4), np.nan)
    values[:2, :2] = [[1.0, 3.0], [3.0, 5.0]]
    values[2:, 2:] = [[10.0, 30.0], [np.nan, 32.0]]
    assert crossed.references_of(values) == pytest.approx([2, 4, 11, 31])


def test_the_prior_of_the_rest_is_flat_as_that_of_people_and_references() -> None:
    """Of n residuals with the sum of squares S a flat prior of the sd leaves the variance with the mean S / (n - 3)."""
    y = np.arange(8.0)
    sampler = crossed._Sampler(y, y, np.repeat([0, 1], 4), np.tile(range(4), 2))
    sampler.centre = 0.0
    drawn = []
    for _ in range(20_000):
        sampler._rest()
        drawn.append(sampler.sd[2] ** 2)
    assert float(np.mean(drawn)) == pytest.approx(float(y @ y) / (len(y) - 3), rel=0.04)


@pytest.mark.slow
def test_the_split_half_ceiling_is_what_the_spreads_say() -> None:
    """Reliability of a mean over n people: var(reference) / (var(reference) + var(rest) / n)."""
    rng, n = np.random.default_rng(7), 12
    true = math.sqrt(1.5**2 / (1.5**2 + 4.0**2 / n))
    found, hits = [], 0
    for _ in range(60):
        y = 1.5 * rng.standard_normal((1, 40)) + PERSON * rng.standard_normal((n, 1)) + 4 * rng.standard_normal((n, 40))
        of = crossed.split_half(y, halvings=40, resamples=200)
        if of is not None:
            found.append(of.value)
            hits += of.interval.low <= true <= of.interval.high
    assert len(found) > 55
    assert float(np.mean(found)) == pytest.approx(true, abs=0.04)
    assert hits >= 0.85 * 60


def test_no_ceiling_below_ten_people_nor_where_halves_disagree() -> None:
    rng = np.random.default_rng(8)
    y = simulated(rng, 9, 20)
    assert crossed.split_half(y) is None
    assert crossed.split_half(simulated(rng, 10, 20)) is not None
    assert crossed.split_half(simulated(rng, 10, 4)) is None
    assert crossed.split_half(np.tile(np.arange(20.0), (10, 1)) * 0) is None


def test_spearman_is_scipys_with_ties() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(9)
    x, y = rng.integers(0, 5, (2, 30)).astype(float)
    assert float(crossed.spearman(x, y)) == pytest.approx(spearmanr(x, y).statistic)
    assert float(crossed.spearman(x, np.ones(30))) == 0
