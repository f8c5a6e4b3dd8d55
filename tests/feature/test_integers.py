"""Plain integers: against arithmetic by hand, bounds of the error, and what they take."""

import pytest
import torch

from limen.feature.clean_batches import CleanBatch
from limen.feature.model.split import Features
from limen.feature.quantisation.integers import FORMATS, IntegerCode, fit


def batch(*tensors: torch.Tensor) -> CleanBatch:
    count = len(tensors[0])
    return CleanBatch(tuple(map(str, range(count))), (0,) * count, Features(tensors, (3, 8, 8)), {})


def test_a_row_by_hand() -> None:
    code = IntegerCode(2, "tensor", (torch.tensor([-1.0]),), (torch.tensor([2.0]),))  # steps of 1: -1, 0, 1, 2
    given = Features((torch.tensor([[-5.0, -0.6, 0.0, 0.4, 0.6, 1.7, 9.0]]),), (3, 8, 8))
    assert code.quantise(given).tensors[0].tolist() == [[-1.0, -1.0, 0.0, 0.0, 1.0, 2.0, 2.0]]
    assert code.bytes(given) == 2  # 14 bits


def test_ranges_are_those_of_the_fitting_images_and_hold_nought() -> None:
    first = torch.tensor([[[1.0, -2.0], [3.0, 5.0]]])  # (1, T, C)
    second = torch.tensor([[[2.0, -1.0], [4.0, 1.0]]])
    tensor, channel = fit([batch(first), batch(second)], [(8, "tensor"), (8, "channel")])
    assert (tensor.least[0].tolist(), tensor.most[0].tolist()) == ([-2.0], [5.0])
    assert (channel.least[0].tolist(), channel.most[0].tolist()) == ([1.0, -2.0], [4.0, 5.0])
    nought = Features((torch.zeros(1, 2, 2),), (3, 8, 8))
    for code in (tensor, channel, IntegerCode(4, "token")):
        assert code.quantise(nought).tensors[0].tolist() == nought.tensors[0].tolist()


@pytest.mark.parametrize("shape", [(5, 7, 12), (5, 12, 3, 4), (5, 12)])
def test_errors_are_half_a_step_at_most_and_finer_ranges_lose_less(shape: tuple[int, ...]) -> None:
    source = torch.Generator().manual_seed(1)
    spread = 10 ** torch.rand(12, generator=source).mul(2)
    drawn = torch.randn(shape, generator=source)
    values = drawn * (spread[:, None, None] if len(shape) == 4 else spread)
    one = batch(values)
    lost = {}
    for code in fit([one]):
        received = code.quantise(one.features).tensors[0]
        assert received.shape == values.shape
        span = values.max().clamp_min(0) - values.min().clamp_max(0)
        worst = float((received - values).abs().max())
        assert worst <= 0.51 * float(span) / (2**code.bits - 1) * 1.01 + float(values.abs().max()) * 2**-10
        lost[code.name] = float((received - values).square().mean())
    assert set(lost) == {f"int{bits} {over}" for bits, over in FORMATS}
    for bits in (8, 4):
        assert lost[f"int{bits} channel"] <= lost[f"int{bits} tensor"]
    assert lost["int8 tensor"] < lost["int4 tensor"] / 50  # 17 times finer


def test_what_an_image_takes() -> None:
    given = Features((torch.zeros(3, 5, 7), torch.zeros(3, 2, 4, 4)), (3, 8, 8))  # 35 + 32 elements, 5 + 16 tokens
    taken = {code.name: code.bytes(given) for code in fit([batch(*given.tensors)])}
    assert taken == {
        "int8 tensor": 67, "int8 channel": 67, "int8 token": 67 + 84,
        "int4 tensor": 34, "int4 channel": 34, "int4 token": 34 + 84,
    }  # fmt: skip


def test_batches_change_nothing_and_what_lies_beyond_is_cut_off() -> None:
    source = torch.Generator().manual_seed(2)
    values = torch.randn(6, 5, 4, generator=source)
    at_once, apart = fit([batch(values)]), fit([batch(values[:1]), batch(values[1:])])
    fresh = Features((3 * torch.randn(6, 5, 4, generator=source),), (3, 8, 8))
    for one, other in zip(at_once, apart, strict=True):
        assert torch.equal(one.quantise(fresh).tensors[0], other.quantise(fresh).tensors[0])
    assert float(at_once[0].quantise(fresh).tensors[0].max()) <= float(values.max()) * 1.01 + 0.01
