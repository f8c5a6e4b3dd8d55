"""Attribution: where energy lies against hand-made masks, integrated gradients against a linear head."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from limen.errors import InputError, MissingExtraError
from limen.feature import task as tasks
from limen.feature.attribution import TokenGrid, integrated_gradients, object_share, shares, spearman
from limen.feature.data.parts import LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import Tensors
from limen.testing import photograph

SIDE = 32


class Net(nn.Module):
    """A class token and 8 x 8 patches of 6 channels, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.body = nn.Identity()
        self.last = nn.Linear(65 * 6, 5, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        return self.last(self.body(torch.cat([patches.mean(1, keepdim=True), patches], 1)).flatten(1))


class Given:
    """A map of these magnitudes, whatever the features."""

    noise = "signs"

    def __init__(self, magnitudes: Tensor) -> None:
        self._magnitudes = magnitudes

    def map(self, features: Features, names: Any = ()) -> Tensors:
        return (self._magnitudes.expand_as(features.tensors[0]),)


def mask() -> npt.NDArray[np.bool_]:
    """Two objects: the upper left quarter, and a part of it again."""
    masks = np.zeros((2, SIDE, SIDE), np.bool_)
    masks[0, :16, :16] = masks[1, 4:8, 4:8] = True
    return masks


def images(network: Network, masks: npt.NDArray[np.bool_] | None) -> Subset:
    return Subset(5, lambda i: LabelledImage(f"image {i}", photograph(f"image {i}", SIDE, SIDE), 0, masks), network)


def of_grid(grid: Tensor, prefix: float) -> Given:
    """Return a map with these energies at the positions, and this one at the class token."""
    energies = torch.cat([torch.tensor([prefix]), grid.flatten()])
    return Given((energies / 6).sqrt()[None, :, None].expand(1, 65, 6))


def test_shares_are_what_was_put_there() -> None:
    net = Net()
    network, split, task = Network(net), SplitPoint(net, "body"), tasks.find("classification")
    grid = torch.ones(8, 8)
    spared = grid.clone()
    spared[:4, :4] = 0.25
    inside = torch.zeros(8, 8)
    inside[:4, :4] = 1
    maps = {"flat": of_grid(grid, 1.0), "spared": of_grid(spared, 52.0), "inside": of_grid(inside, 0.0)}
    rows = {row.map: row for row in shares(split, task, network, images(network, mask()), maps)}  # type: ignore[arg-type]
    flat, sparing = rows["flat"], rows["spared"]
    assert flat.area == flat.inside == pytest.approx(0.25)
    assert flat.density == pytest.approx(1)
    assert flat.prefix == pytest.approx(1 / 65)
    assert flat.correlation is None  # no ranks in what is the same everywhere
    assert sparing.inside == pytest.approx(4 / 52)
    assert sparing.density == pytest.approx(0.25)
    assert sparing.prefix == pytest.approx(0.5)
    assert rows["inside"].inside == pytest.approx(1)
    assert {row.n for row in rows.values()} == {5}


def test_sparing_what_the_head_looks_at_correlates_negatively() -> None:
    net = Net()
    network, split, task = Network(net), SplitPoint(net, "body"), tasks.find("classification")

    class Sparing(Given):
        def map(self, features: Features, names: Any = ()) -> Tensors:
            looked = integrated_gradients(split, task, features)[0].abs().sum(2, keepdim=True)
            return (((1 / looked) if self._magnitudes is None else looked).expand_as(features.tensors[0]),)

    maps = {"sparing": Sparing(None), "hitting": Sparing(torch.ones(1))}  # type: ignore[arg-type]
    rows = shares(split, task, network, images(network, mask()), maps)  # type: ignore[arg-type]
    assert [row.correlation for row in rows] == [pytest.approx(-1), pytest.approx(1)]


def test_integrated_gradients_of_a_linear_head_are_its_products() -> None:
    net = Net()
    split, task = SplitPoint(net, "body"), tasks.find("classification")
    features = split.encode(torch.rand(7, 3, SIDE, SIDE))
    found = integrated_gradients(split, task, features)[0]
    predicted = split.head(features)["logits"].argmax(1)
    exact = features.tensors[0] * net.last.weight[predicted].view(7, 65, 6)
    assert torch.allclose(found, exact, atol=1e-5)


def test_a_tensor_that_the_evidence_passes_over_gets_none_and_has_no_correlation() -> None:
    class Two(nn.Module):
        """Two maps, of which the first decides the class and the second does not."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = Pair(), nn.Linear(3, 4)

        def forward(self, pictures: Tensor) -> dict[str, Tensor]:
            one, two = self.body(pictures)
            return {"logits": self.last((one.square() * one).mean((2, 3))), "extra": two}

    class Pair(nn.Module):
        def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
            return pictures[:, :, ::4, ::4] * 1, pictures[:, :, ::2, ::2]  # a copy: a view would be the second again

    net = Two()
    network, task = Network(net), tasks.find("classification")
    split = SplitPoint(net, "body", lambda returned: returned)
    first, second = integrated_gradients(split, task, split.encode(torch.rand(3, 3, SIDE, SIDE)))
    assert float(first.abs().max()) > 0
    assert not bool(second.any())

    class Hitting(Given):
        def map(self, features: Features, names: Any = ()) -> Tensors:
            looked = integrated_gradients(split, task, features)[0].abs().sum(1, keepdim=True)
            return looked.expand_as(features.tensors[0]), torch.ones_like(features.tensors[1])

    (row,) = shares(split, task, network, images(network, mask()), {"hitting": Hitting(torch.ones(1))})  # type: ignore[dict-item]
    assert row.correlation == pytest.approx(1)


def test_masks_go_through_the_preparation_of_the_image() -> None:
    area = object_share(Network(nn.Identity()), mask(), (3, SIDE, SIDE))
    assert np.array_equal(area.numpy(), mask().any(0))  # equal sizes: the mask as it is

    def prepare(pictures: Any) -> Tensor:  # crop 4 pixels all round, halve, normalise: channels unlike one another
        pixels = torch.stack([torch.from_numpy(p.copy()).permute(2, 0, 1).float() for p in pictures])
        small = nn.functional.avg_pool2d(pixels[:, :, 4:-4, 4:-4], 2)
        return (small / 255 - torch.tensor([0.4, 0.5, 0.6])[:, None, None]) / torch.tensor([0.2, 0.3, 0.1])[
            :, None, None
        ]

    share = object_share(Network(nn.Identity(), prepare), mask(), (3, 12, 12))
    exact = torch.zeros(12, 12)
    exact[:6, :6] = 1
    assert torch.allclose(share.float(), exact, atol=1e-6)
    with pytest.raises(InputError, match="become"):
        object_share(Network(nn.Identity(), prepare), mask(), (3, 16, 16))


def test_a_processor_of_transformers_resizes_masks_like_images() -> None:
    from transformers import ViTImageProcessor

    processor: Any = ViTImageProcessor(size={"height": 16, "width": 16}, resample=0)
    network = Network(nn.Identity(), lambda p: processor(images=list(p), return_tensors="pt")["pixel_values"])
    share = object_share(network, mask(), (3, 16, 16))
    exact = torch.zeros(16, 16)
    exact[:8, :8] = 1
    assert torch.allclose(share.float(), exact, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "size", "prefix", "expected"),
    [
        ((1, 65, 9), (3, 64, 64), None, TokenGrid(1, 8, 8)),
        ((1, 64, 9), (3, 64, 64), None, TokenGrid(0, 8, 8)),
        ((1, 201, 9), (3, 224, 224), None, TokenGrid(5, 14, 14)),  # four register tokens
        ((1, 33, 9), (3, 32, 64), None, TokenGrid(1, 4, 8)),
        ((1, 33, 9), (3, 64, 32), None, TokenGrid(1, 8, 4)),
        ((1, 9, 9), (3, 64, 64), 5, TokenGrid(5, 2, 2)),
        ((1, 7, 4, 6), (3, 64, 96), None, TokenGrid(0, 4, 6)),
        ((1, 7), (3, 64, 64), None, TokenGrid(1, 0, 0)),
    ],
)
def test_tokens_have_their_places(shape: Any, size: Any, prefix: Any, expected: TokenGrid) -> None:
    assert TokenGrid.of(torch.zeros(shape), size, prefix) == expected


def test_spearman_is_a_correlation_of_ranks() -> None:
    # 1 - 6 sum d^2 / (n (n^2 - 1)) without ties
    assert spearman(np.array([1, 2, 3, 4, 5]), np.array([5, 6, 7, 8, 7.5])) == pytest.approx(1 - 6 * 2 / 120)
    assert spearman(np.arange(9), -np.exp(np.arange(9))) == pytest.approx(-1)
    from scipy import stats

    a, b = np.random.default_rng(1).integers(0, 9, (2, 200))
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    network, split, task = Network(net), SplitPoint(net, "body"), tasks.find("classification")
    maps: Any = {"flat": of_grid(torch.ones(8, 8), 1.0)}
    with pytest.raises(InputError, match="No image has object masks"):
        shares(split, task, network, images(network, None), maps)
    with pytest.raises(InputError, match="66 tokens less 3 are no grid"):
        TokenGrid.of(torch.zeros(1, 66, 9), (3, 64, 64), 3)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match="Attribution needs captum.*\\.\\[feature\\]"):
        shares(split, task, network, images(network, mask()), maps)
    assert shares(split, task, network, images(network, mask()), maps, attribution=False)[0].correlation is None
