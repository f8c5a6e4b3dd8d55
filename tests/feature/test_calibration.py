"""Calibration: tolerated scales against arithmetic, coverage against its law, the guarantee against fresh images."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limen.errors import InputError, UnknownNameError
from limen.feature import tolerance
from limen.feature.calibration import (
    Bound,
    ScaleGrid,
    ScaleSearch,
    band,
    calibrate,
    coverage,
    mean_log2,
    rank,
    resplit,
)
from limen.feature.clean_batches import CleanBatches
from limen.feature.data.parts import LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import SplitPoint
from limen.feature.perturbation import noise
from limen.testing import photograph


class Net(nn.Module):
    """Features 6 x 4 x 4, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Conv2d(3, 6, 4, stride=4)
        self.last = nn.Linear(96, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.body(images).flatten(1))


class Moved:
    """A task whose drop is a function of how far the outputs moved."""

    name = "moved"
    drops: ClassVar[dict[str, str]] = {"distance": "squared distance", "window": "too much only between 1 and 2"}

    def check(self, outputs: dict[str, Tensor], targets: Any) -> None:
        """Any target will do."""

    def drop(self, clean: dict[str, Tensor], perturbed: dict[str, Tensor], kind: str) -> Tensor:
        distance = (clean["logits"] - perturbed["logits"]).pow(2).sum(1)
        return distance if kind == "distance" else ((distance > 1) & (distance < 2)).float()


@pytest.fixture(scope="module")
def net() -> Net:
    return Net()


def part(net: Net, count: int, named: str = "image", order: Callable[[int], int] = lambda i: i) -> Subset:
    def read(index: int) -> LabelledImage:
        name = f"{named} {order(index)}"
        return LabelledImage(name, photograph(name, 16, 16), 0)

    return Subset(count, read, Network(net))


def encoded(net: Net, images: Subset, batch: int = 40) -> CleanBatches:
    return CleanBatches(SplitPoint(net, "body"), Moved(), images, batch)  # type: ignore[arg-type]


def search(net: Net, bound: Bound, **more: Any) -> ScaleSearch:
    return ScaleSearch(SplitPoint(net, "body"), Moved(), tolerance.make("flat"), bound, **more)  # type: ignore[arg-type]


def test_a_tolerated_scale_is_what_arithmetic_says(net: Net) -> None:
    one = search(net, Bound("distance", 0.5), seed=3)
    images = part(net, 12)
    grid = one.locate(encoded(net, part(net, 20, "fitting")), 0.5)
    found = one.tolerated(encoded(net, images), grid)
    batch = images.batch(range(12))
    delta = noise(one.tolerance.map(one.split.encode(batch.images)), batch.names, 3)[0]
    moved = (delta.flatten(1).double() @ net.last.weight.double().T).pow(2).sum(1)
    exact = np.sqrt(0.5 / moved.numpy())  # the head is linear: the drop is scale^2 times this
    below = np.searchsorted(grid.scales, exact)  # how many scales of the grid it tolerates
    assert len({int(count) for count in below}) > 4
    assert found.tolist() == [grid.scales[count - 1] if count else 0.0 for count in below]


def test_every_smaller_scale_must_be_tolerated_too(net: Net) -> None:
    one = search(net, Bound("window", 0.0))  # a drop of 0 is within 0
    grid = ScaleGrid(1.0, 1.0, tuple(np.log2(np.geomspace(0.01, 100.0, 200))))
    found = one.tolerated(encoded(net, part(net, 6)), grid)
    strict = search(net, Bound("distance", 1.0)).tolerated(encoded(net, part(net, 6)), grid)
    assert found.tolist() == strict.tolist()  # far beyond the window all is well again, and does not count


def test_batches_and_order_change_nothing(net: Net) -> None:
    bound, grid = Bound("distance", 0.5), ScaleGrid(0.3, 1.0, tuple(np.linspace(-4, 4, 80)))
    at_once = search(net, bound).tolerated(encoded(net, part(net, 10), 10), grid)
    assert search(net, bound).tolerated(encoded(net, part(net, 10), 3), grid).tolist() == at_once.tolist()
    backwards = search(net, bound).tolerated(encoded(net, part(net, 10, order=lambda i: 9 - i), 4), grid)
    assert backwards[::-1].tolist() == at_once.tolist()


def test_the_grid_belongs_to_the_fitting_images(net: Net) -> None:
    one = search(net, Bound("distance", 0.5))
    fitting = encoded(net, part(net, 60, "fitting"))
    for rho in (0.1, 0.3):
        grid = one.locate(fitting, rho)
        assert np.mean(one.tolerated(fitting, grid) < grid.unit * grid.middle) == pytest.approx(rho, abs=0.08)
        tolerated = one.tolerated(encoded(net, part(net, 200)), grid)
        assert np.quantile(tolerated, rho) in grid.scales[3:-1]  # where its neighbours are an eighth of an octave apart


def test_rank_and_how_many_images_it_takes() -> None:
    assert [rank(500, 0.1), rank(19, 0.05), rank(9, 0.1), rank(4, 0.2), rank(99, 0.05)] == [50, 1, 1, 1, 5]
    for rho, needed in ((0.05, 19), (0.1, 9), (0.2, 4)):
        with pytest.raises(InputError, match=rf"{needed - 1} calibration .* it takes {needed} at least"):
            rank(needed - 1, rho)
    with pytest.raises(InputError, match="between 0 and 1, not 1.5"):
        rank(100, 1.5)


def test_the_band_is_the_beta_binomial_one() -> None:
    low, high = band(500, 700, 0.1)
    assert (round(low, 3), round(high, 3)) == (0.864, 0.933)
    rng = np.random.default_rng(1)
    n, m, rho = 40, 60, 0.2
    drawn = rng.binomial(m, rng.beta(n + 1 - rank(n, rho), rank(n, rho), 200_000)) / m
    low, high = band(n, m, rho)
    assert 0.95 <= ((drawn >= low) & (drawn <= high)).mean() <= 0.97
    assert (drawn < low).mean() <= 0.025
    assert (drawn > high).mean() <= 0.025


def test_coverage_keeps_the_guarantee_over_resplits() -> None:
    tolerated = np.random.default_rng(2).lognormal(size=1200)
    for rho in (0.05, 0.1, 0.2):
        found = resplit(tolerated, 500, rho, splits=200)
        assert found.mean == pytest.approx(1 - rho, abs=0.006)
        assert 0.9 <= found.inside <= 1
        assert len(set(found.coverages)) > 20
    with pytest.raises(InputError, match="leave none to test"):
        resplit(tolerated, 1200, 0.1)


def test_a_wrong_rank_would_leave_the_band() -> None:
    """The band can fail: a scale at twice the rank covers far too little."""
    tolerated = np.random.default_rng(3).lognormal(size=1200)
    low, _ = band(500, 700, 0.1)
    assert coverage(tolerated[500:], float(np.sort(tolerated[:500])[2 * rank(500, 0.1)])) < low


def test_the_guarantee_holds_on_fresh_images(net: Net) -> None:
    one = search(net, Bound("distance", 0.5))
    grid = one.locate(encoded(net, part(net, 60, "fitting")), 0.1)
    tolerated = one.tolerated(encoded(net, part(net, 99)), grid)
    found = calibrate(tolerated, 0.1, one, grid)
    assert found.rank == 10
    assert found.scale in grid.scales.tolist()
    assert (found.censored, found.untolerated) == (int((tolerated == grid.scales[-1]).sum()), 0)
    fresh = one.tolerated(encoded(net, part(net, 200, "fresh")), grid)
    low, _ = band(99, 200, 0.1, 0.999)
    assert coverage(fresh, found.scale) >= low


def test_mean_log2_is_in_bits(net: Net) -> None:
    one, images = search(net, Bound("distance", 0.5)), encoded(net, part(net, 4))
    assert mean_log2(one.tolerance, images, 8.0) == 3
    assert mean_log2(one.tolerance, images, 0.0) == -math.inf


def test_bad_bounds_and_maps_are_refused(net: Net) -> None:
    images = encoded(net, part(net, 4))
    with pytest.raises(UnknownNameError, match="Did you mean 'distance'"):
        search(net, Bound("distanse", 0.5)).locate(images, 0.1)
    with pytest.raises(InputError, match="0 or more, not nan"):
        search(net, Bound("distance", math.nan)).tolerated(images, ScaleGrid(1, 1))
    with pytest.raises(InputError, match="Allow a larger eps"):
        search(net, Bound("distance", 1e-12)).locate(images, 0.1)
