"""Pictures of maps: the colour of a position against numbers worked out by hand."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from limen.feature.heatmaps import SIDE, pictures
from limen.feature.model.split import Features
from limen.store.rows import HEAT

COLOURS = [tuple(bytes.fromhex(colour[1:])) for colour in HEAT]


class Given:
    """A map of these magnitudes, (N, C, H, W)."""

    def __init__(self, magnitudes: torch.Tensor) -> None:
        self._magnitudes = magnitudes

    def map(self, features: Features, names: Sequence[str] = ()) -> tuple[torch.Tensor, ...]:
        return (self._magnitudes,)


def drawn(magnitudes: torch.Tensor) -> list[Any]:
    """Return the pictures of a map over images of 8 px."""
    count = len(magnitudes)
    images = torch.zeros(count, 3, 8, 8)
    features = Features((torch.zeros(magnitudes.shape),), (8, 8))
    subset = SimpleNamespace(
        batch=lambda indices: SimpleNamespace(images=images, names=[str(i) for i in indices]),
        example=lambda index: SimpleNamespace(image=np.zeros((8, 8, 3), np.uint8)),
    )
    split = SimpleNamespace(encode=lambda batch: features)
    found = pictures(split, subset, {"map": Given(magnitudes)}, range(count))  # type: ignore[arg-type, dict-item]
    assert [one.label for one in found] == ["image", "map"] * count
    return [one for one in found if one.label == "map"]


def test_colours_are_even_steps_of_the_logarithm_between_least_and_most() -> None:
    # Amplitudes 1, 2, 2, 4 over two channels of one value: root mean square 2.5.
    values = torch.tensor([[1.0, 2.0], [2.0, 4.0]]).expand(1, 2, 2, 2)
    (one,) = drawn(values)
    assert (one.low, one.high) == pytest.approx((0.4, 1.6))
    corner, middle, far = one.picture[0, 0], one.picture[0, -1], one.picture[-1, -1]
    assert tuple(corner) == COLOURS[0]
    assert tuple(far) == COLOURS[1]
    assert middle == pytest.approx(np.mean(COLOURS, 0), abs=0.5)
    assert one.picture.shape == (SIDE, SIDE, 3)


def test_a_map_has_one_scale_for_all_images_and_one_that_is_even_has_one_colour() -> None:
    values = torch.ones(2, 1, 2, 2)
    values[1, 0, 0, 0] = 9.0
    first, second = drawn(values)
    assert (first.low, first.high) == (second.low, second.high)
    assert len(np.unique(first.picture.reshape(-1, 3), axis=0)) == 1
    assert tuple(second.picture[0, 0]) == COLOURS[1]
    assert tuple(first.picture[0, 0]) not in COLOURS  # 1 lies between the least and the most of the second
    (even,) = drawn(torch.full((1, 1, 2, 2), 7.0))
    assert (even.low, even.high) == (1.0, 1.0)


def test_what_lies_below_the_scale_has_the_darkest_colour() -> None:
    values = torch.tensor([[0.0, 1e-6], [1.0, 1.0]]).view(1, 1, 2, 2)
    (one,) = drawn(values)
    assert one.high / one.low == pytest.approx(1000)
    assert tuple(one.picture[0, 0]) == tuple(one.picture[0, -1]) == COLOURS[0]
    (empty,) = drawn(torch.zeros(1, 1, 2, 2))
    assert (empty.low, empty.high) == (1.0, 1.0)
