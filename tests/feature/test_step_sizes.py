"""The arithmetic of a quantiser: steps of tokens, the grid they lie on, whole frequencies, exact multiples."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen.feature.model.split import Features
from limen.feature.quantisation.frequency_tables import frequencies, short
from limen.feature.quantisation.step_sizes import StepGrid, StepRule, harmonic, tokens, untokens


def test_the_harmonic_step_is_the_cheapest_at_equal_rate() -> None:
    """Steps with the same product: any others cost more noise weighted by what elements tolerate."""
    rng = np.random.default_rng(3)
    sizes = rng.normal(size=(32, 20))  # log2 m, channels first
    ours = harmonic(sizes)
    assert ours == pytest.approx(-0.5 * np.log2(np.mean(4.0**-sizes, 0)))
    cost = (4.0 ** (ours - sizes)).sum()
    for _ in range(50):
        other = rng.normal(scale=0.3, size=20)
        assert (4.0 ** (ours + other - other.mean() - sizes)).sum() > cost


def test_levels_hold_all_but_the_wildest() -> None:
    sizes = np.concatenate([np.linspace(-3, 2, 200), [-500.0]])
    levels = StepGrid.over([sizes], 2)
    assert np.abs(levels.nearest(sizes[:-1]) / 2 + levels.first / 2 - sizes[:-1]).max() <= 0.25
    assert levels.nearest(sizes[-1:])[0] == 0
    assert levels.count <= 50
    assert levels.relative()[levels.nearest(np.array([2.0]))[0]] == 4


@given(st.lists(st.floats(1e-12, 1e6), min_size=2, max_size=300))
def test_frequencies_are_positive_and_whole(weights: list[float]) -> None:
    counts = frequencies(np.array(weights)).astype(np.int64)
    assert counts.sum() == 2**16
    assert counts.min() >= 1


@given(st.floats(1e-20, 1e20), st.integers(-(2**14) + 1, 2**14 - 1))
def test_multiples_of_a_short_step_are_exact(step: float, times: int) -> None:
    rounded = float(short(np.array([step]))[0])
    assert rounded == pytest.approx(step, rel=2**-9)
    assert Fraction(float(np.float32(rounded * times))) == times * Fraction(rounded)


def test_tokens_go_there_and_back() -> None:
    for shape in ((2, 5), (2, 7, 5), (2, 5, 3, 4)):
        tensor = torch.arange(math.prod(shape), dtype=torch.float32).view(shape)
        rows = tokens(tensor)
        assert rows.shape[2] == 5
        assert torch.equal(untokens(rows, shape[1:]), tensor)
    image = torch.zeros(1, 5, 3, 4)
    image[0, :, 2, 1] = torch.arange(1, 6)
    assert tokens(image)[0, 9].tolist() == [1, 2, 3, 4, 5]


def test_the_nominal_noise_of_an_image_counts_every_channel_of_every_tensor() -> None:
    """One step an image over a map of 2 channels and tokens of 8: sum of D^2 over elements is |f|^2, up to D's unit."""
    source = torch.Generator().manual_seed(5)
    tensors = (torch.randn(3, 2, 4, 5, generator=source), 7 * torch.randn(3, 6, 8, generator=source))
    sizes = StepRule("uniform-image").sizes(Features(tensors, (3, 32, 32)), ())
    power = sum((4.0**size * tokens(tensor).shape[2]).sum(1) for size, tensor in zip(sizes, tensors, strict=True))
    signal = sum(tensor.double().flatten(1).square().sum(1) for tensor in tensors)
    assert power == pytest.approx(np.asarray(signal))
