"""Images kept encoded: the same whether kept or not, cut off, or chosen one by one."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from limen.feature import clean_batches, task
from limen.feature.clean_batches import CleanBatches
from limen.feature.crossing import crossing
from limen.feature.data.parts import LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import SplitPoint
from limen.testing import photograph


class Counting(nn.Module):
    """Counts the images that it sees."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Conv2d(3, 6, 4, stride=4)
        self.last = nn.Linear(96, 5)
        self.seen: list[int] = []
        self.body.register_forward_hook(lambda module, given, out: self.seen.append(len(out)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.body(images).flatten(1))


def batches(count: int, size: int) -> tuple[CleanBatches, Counting]:
    net = Counting()

    def read(index: int) -> LabelledImage:
        return LabelledImage(f"image {index}", photograph(str(index), 16, 16), index % 5)

    split = SplitPoint(net, "body")
    made = CleanBatches(split, task.find("classification"), Subset(count, read, Network(net)), size)
    list(made.first(1))
    split.head(next(iter(made)).features)  # whatever a head learns once about its network
    net.seen.clear()
    return made, net


def alike(one: Sequence[clean_batches.CleanBatch], other: Sequence[clean_batches.CleanBatch]) -> bool:
    return [(a.names, a.targets) for a in one] == [(b.names, b.targets) for b in other] and all(
        torch.equal(a.features.tensors[0], b.features.tensors[0])
        and torch.equal(a.outputs["logits"], b.outputs["logits"])
        for a, b in zip(one, other, strict=True)
    )


def test_what_is_kept_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, net = batches(10, 4)
    first = list(kept)
    encoded = sum(net.seen)
    assert alike(first, list(kept))
    assert sum(net.seen) == encoded
    assert [len(one) for one in first] == [4, 4, 2]
    monkeypatch.setattr(clean_batches, "ROOM", 0)
    fresh, net = batches(10, 4)
    assert alike(list(fresh), first)
    once = len(net.seen)
    assert alike(list(fresh), first)
    assert len(net.seen) == 2 * once > 0


@pytest.mark.parametrize("count", [1, 4, 6, 10, 99])
def test_the_first_are_cut_off_and_encoded_as_before(count: int) -> None:
    kept, _ = batches(10, 4)
    some = kept.first(count)
    assert len(some) == min(count, 10) == sum(len(one) for one in some)
    for one, whole in zip(some, kept, strict=False):
        assert torch.equal(one.features.tensors[0], whole.features.tensors[0][: len(one)])
        assert one.names == whole.names[: len(one)]


@pytest.mark.parametrize("room", [2**30, 0])
def test_chosen_ones_come_in_the_order_asked_for(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_batches, "ROOM", room)
    kept, _ = batches(10, 4)
    every = list(kept)
    one = kept.chosen([9, 0, 5])
    assert one.names == ("image 9", "image 0", "image 5")
    assert one.targets == (4, 0, 0)
    for row, (batch, place) in enumerate([(2, 1), (0, 0), (1, 1)]):
        assert torch.allclose(one.features.tensors[0][row], every[batch].features.tensors[0][place], atol=1e-6)
        assert torch.allclose(one.outputs["logits"][row], every[batch].outputs["logits"][place], atol=1e-6)


def test_where_a_share_is_passed() -> None:
    shares = [0.0, 0.0, 0.1, 0.3, 0.3, 0.9, 1.0]
    tried: list[int] = []

    def failing(place: int) -> float:
        tried.append(place)
        return shares[place]

    assert crossing(failing, 7, 0.2) == pytest.approx(2.5)
    assert len(tried) == len(set(tried)) <= 5
    assert crossing(failing, 7, 0.1) == 2.0
    assert crossing(failing, 7, 1.0) == 6.0
    assert crossing(failing, 2, 0.5) == 1.0  # nowhere
    assert crossing(lambda place: 0.5, 7, 0.2) == 0.0  # from the first on
