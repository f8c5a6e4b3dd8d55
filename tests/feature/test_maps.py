"""Fisher information against closed forms, the maps made of it, and the estimator before it is trained."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limen import digest, registry
from limen.errors import InputError
from limen.feature import tolerance
from limen.feature.data.parts import LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import energy, noise
from limen.feature.task import find
from limen.feature.tolerance import Scope
from limen.feature.tolerances import information as of_fisher
from limen.feature.tolerances.estimator import REACH, Estimator
from limen.feature.tolerances.information import FisherSettings, information, magnitudes, survey

TASK = find("classification")
SIDE = 8


class Maps(nn.Module):
    """Features (N, 6, 4, 4); the head pools them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, 1)
        self.last = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.stem(images).relu().mean((2, 3)))


class Tokens(nn.Module):
    """Features (N, 16, 5); the head reads the first token and the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(12, 5)
        self.last = nn.Linear(10, 4)

    def forward(self, images: Tensor) -> Tensor:
        patches = images.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        tokens = self.stem(patches)
        return self.last(torch.cat([tokens[:, 0], tokens.mean(1)], 1).tanh())


class Vector(nn.Module):
    """Features (N, 7); the head is softmax regression."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3 * SIDE * SIDE, 7)
        self.last = nn.Linear(7, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.stem(images.flatten(1)))


class StepGrid(nn.Module):
    """Two maps of unequal size out of one module, as a pyramid has them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Two()
        self.last = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        fine, coarse = self.stem(images)
        return self.last(torch.cat([fine.mean((2, 3)), coarse.mean((2, 3))], 1))


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 4, 4)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.fine(images).tanh(), self.coarse(images).tanh()]


NETS: dict[str, type[nn.Module]] = {"maps": Maps, "tokens": Tokens, "vector": Vector, "levels": StepGrid}


def scope(kind: str, count: int = 24, gain: float = 1.0, **more: Any) -> Scope:
    """A net with weights by name, and random images for it."""
    model = NETS[kind]()
    with torch.no_grad():
        for name, one in model.named_parameters():
            drawn = digest.generator("net", kind, name).standard_normal(tuple(one.shape))
            one.copy_(torch.from_numpy(drawn) * gain / max(1, one[0].numel()) ** 0.5)
    network = Network(model)

    def read(index: int) -> LabelledImage:
        rng = digest.generator("image", index)
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3)) // 2 + int(rng.integers(0, 128))
        return LabelledImage(f"image {index}", pixels.astype("uint8"), 0)

    return Scope(SplitPoint(model, "stem"), more.pop("task", TASK), Subset(count, read, network), **more)


def encoded(given: Scope, indices: Sequence[int]) -> tuple[Features, tuple[str, ...]]:
    batch = given.images.batch(indices)
    return given.split.encode(batch.images), batch.names


def softmax_regression(given: Scope, features: Features) -> Tensor:
    """F_i = sum_k p_k (W_ki - sum_j p_j W_ji)^2, for each sample."""
    model: Any = given.split.model
    p, weights = model.last(features.tensors[0]).softmax(1), model.last.weight
    return (p[:, :, None] * (weights[None] - (p @ weights)[:, None]).square()).sum(1)


def test_information_is_that_of_softmax_regression() -> None:
    given = scope("vector")
    features, _ = encoded(given, range(3))
    exact = softmax_regression(given, features)
    for row in range(3):
        copies = features[[row] * 1000]
        once = information(given.split, TASK, copies, [f"{row} {number}" for number in range(1000)], 1)[0]
        error = once.std(0) / 1000**0.5
        assert float(((once.mean(0) - exact[row]) / error).abs().max()) < 4
        assert torch.allclose(once.mean(0), exact[row], rtol=0.2)


def enumerated(given: Scope, features: Features) -> tuple[Tensor, ...]:
    """sum_k p_k (d log p_k / d f)^2, class by class."""
    leaves = Features(tuple(one.clone().requires_grad_() for one in features.tensors), features.size)
    logarithms = given.split.head(leaves)["logits"].log_softmax(1)
    total = [torch.zeros_like(one) for one in leaves.tensors]
    for k in range(logarithms.shape[1]):
        slopes = torch.autograd.grad(logarithms[:, k].sum(), leaves.tensors, retain_graph=True)
        for part, slope in zip(total, slopes, strict=True):
            part += logarithms[:, k].exp().detach().view(-1, *[1] * (part.ndim - 1)) * slope.square()
    return tuple(total)


@pytest.mark.parametrize("kind", NETS)
def test_half_the_sum_of_f_m_squared_is_the_kl_of_small_random_signs(kind: str) -> None:
    given = scope(kind)
    features, _ = encoded(given, [0])
    found = enumerated(given, features)
    maps = tuple(0.02 * torch.rand(one.shape, generator=torch.Generator().manual_seed(1)) for one in found)
    predicted = sum(float((f * m.square()).sum()) for f, m in zip(found, maps, strict=True)) / 2
    copies, names = features[[0] * 1000], [f"copy {number}" for number in range(1000)]
    with torch.no_grad():
        delta = noise([one.expand(1000, *one.shape[1:]) for one in maps], names, 0)
        measured = TASK.discrepancy(given.split.head(copies), given.split.head(copies.plus(delta)))
    error = float(measured.std()) / 1000**0.5
    assert error < 0.06 * predicted
    assert abs(float(measured.mean()) - predicted) < 3.5 * error


@pytest.mark.parametrize("kind", NETS)
def test_information_belongs_to_the_name_not_to_the_batch(kind: str) -> None:
    given = scope(kind)
    features, names = encoded(given, range(6))
    together = information(given.split, TASK, features, names, 3)
    for row in (4, 0):
        alone = information(given.split, TASK, features[[row]], names[row : row + 1], 3)
        assert all(torch.allclose(a[0], b[row], rtol=1e-3, atol=1e-9) for a, b in zip(alone, together, strict=True))
    other = information(given.split, TASK, features, names, 3, seed=1)
    assert not all(torch.allclose(a, b) for a, b in zip(other, together, strict=True))


def test_the_batch_size_changes_the_static_map_by_rounding_alone() -> None:
    few, many = survey(scope("maps", batch=5), 2), survey(scope("maps", batch=24), 2)
    assert torch.allclose(few.information[0], many.information[0], rtol=1e-4)
    features, _ = encoded(scope("maps"), range(24))
    assert torch.allclose(few.mean[0], features.tensors[0].mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(few.deviation[0], features.tensors[0].std((0, 2, 3), correction=0), atol=1e-5)


def test_maps_of_one_scope_share_the_look_at_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    given = scope("maps")
    encoded, batch = [], given.images.batch
    monkeypatch.setattr(given.images, "batch", lambda places: encoded.append(len(places)) or batch(places))
    looked, original = [], information
    monkeypatch.setattr(of_fisher, "information", lambda *all: looked.append(len(all[3])) or original(*all))
    together = {over: tolerance.make("fisher", {"over": over}) for over in ("element", "channel")}
    for one in together.values():
        one.fit(given)
    assert sum(looked) == len(given.images)
    tolerance.make("fisher", {"draws": 2}).fit(given)
    assert sum(looked) == 2 * len(given.images)
    assert sum(encoded) == len(given.images)  # however often they are looked at
    for over, one in together.items():
        alone = tolerance.make("fisher", {"over": over})
        alone.fit(replace(given, surveys={}))
        assert sum(looked) > 2 * len(given.images)
        assert all(torch.equal(one.state()[name], kept) for name, kept in alone.state().items())


def test_powers_and_dampings_by_hand() -> None:
    found = torch.tensor([[1.0, 4.0, 10.0]])  # mean 5
    (half,) = magnitudes([found], FisherSettings())
    assert half[0].tolist() == pytest.approx([1.5**-0.5, 4.5**-0.5, 10.5**-0.5])
    (steep,) = magnitudes([found], FisherSettings(power=-2, damping=0.005, relative=False))
    assert (steep / steep[:, :1])[0].tolist() == pytest.approx([1, (1.005 / 4.005) ** 2, (1.005 / 10.005) ** 2])
    (unit,) = magnitudes([found * 16], FisherSettings(power=-2))
    assert torch.allclose(unit * 4, magnitudes([found], FisherSettings(power=-2))[0])  # in the features' unit
    (certain,) = magnitudes([torch.zeros(1, 3)], FisherSettings())
    assert bool(certain.isfinite().all())


@pytest.mark.parametrize("kind", NETS)
def test_over_says_what_shares_a_value(kind: str) -> None:
    given = scope(kind)
    features, names = encoded(given, range(3))
    static = survey(given, 4).information
    for over in ("element", "channel", "token"):
        made = tolerance.make("fisher", {"over": over})
        made.fit(given)
        for one, tensor, found in zip(made.map(features, names), features.tensors, static, strict=True):
            at = 1 if tensor.ndim > 3 else tensor.ndim - 1
            others = [d for d in range(1, tensor.ndim) if d != at]
            average = {"element": [], "channel": others, "token": [at]}[over]
            mean = found.mean(average, keepdim=True) if average else found
            assert one.shape == tensor.shape
            assert torch.allclose(one, (mean + 0.1 * mean.mean()).rsqrt().expand_as(tensor), rtol=1e-4)


@pytest.mark.parametrize("name", ["fisher", "own-fisher", "shares"])
def test_a_map_comes_back_from_its_state(name: str) -> None:
    given = scope("levels")
    made, again = tolerance.make(name), tolerance.make(name)
    made.fit(given)
    again.load(made.state(), given)
    features, names = encoded(given, range(3))
    pairs = zip(made.map(features, names), again.map(features, names), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_own_fisher_follows_the_image() -> None:
    given = scope("vector")
    made = tolerance.make("own-fisher", {"draws": 200})
    made.fit(given)
    features, names = encoded(given, range(4))
    exact = softmax_regression(given, features)
    wanted = (exact + 0.1 * exact.mean(1, keepdim=True)).rsqrt()
    assert torch.allclose(made.map(features, names)[0], wanted, rtol=0.2)
    with pytest.raises(InputError, match="as many names, not 0"):
        made.map(features)


def test_a_former_name_makes_the_same_map() -> None:
    given = scope("maps")
    features, names = encoded(given, range(3))
    former, now = (tolerance.make(name, {"power": -1}) for name in ("image-fisher", "own-fisher"))
    for one in (former, now):
        one.fit(given)
    assert type(former) is type(now)
    assert torch.equal(former.map(features, names)[0], now.map(features, names)[0])
    assert "image-fisher" not in registry.every("tolerance")  # lists show the name of today alone


@pytest.mark.parametrize("settings", [{}, {"power": -2, "damping": 0.03}, {"over": "channel"}])
def test_shares_are_flat_within_a_tensor_and_spend_what_fisher_spends_there(settings: dict[str, Any]) -> None:
    given = scope("levels")
    model: Any = given.split.model
    with torch.no_grad():
        model.last.weight[:, :4] *= 0.3  # the fine tensor bears more
    features, names = encoded(given, range(3))
    fisher, shares = (tolerance.make(name, settings) for name in ("fisher", "shares"))
    for one in (fisher, shares):
        one.fit(given)
    wanted, found = (energy(one.map(features, names)).tensors for one in (fisher, shares))
    assert found == pytest.approx(wanted)
    assert wanted[0] > 0.9 > 64 / (64 + 16)  # elements alone would give it the latter
    for one, tensor in zip(shares.map(features, names), features.tensors, strict=True):
        assert one.shape == tensor.shape
        assert float(one.min()) == float(one.max()) > 0


def test_elements_are_shuffled_within_tensors_or_across_them() -> None:
    given = scope("levels")
    features, names = encoded(given, range(40))
    shares = tolerance.make("shares")
    shares.fit(given)
    fine, coarse = (float(one[0, 0, 0, 0]) for one in shares.map(features, names))
    within, across = (tolerance.make("shuffled", {"of": "shares", "across": one}) for one in (False, True))
    for one in (within, across):
        one.fit(replace(given, fitted={"shares": shares}))
    kept, mixed = within.map(features, names), across.map(features, names)
    assert all(torch.equal(a, b) for a, b in zip(kept, shares.map(features, names), strict=True))
    assert [one.shape for one in mixed] == [one.shape for one in features.tensors]
    together = torch.cat([one.flatten(1) for one in mixed], 1)
    each = [one[0].numel() for one in features.tensors]
    assert all(int(torch.isclose(row, torch.tensor(fine)).sum()) == each[0] for row in together)  # none is lost
    share = float(torch.isclose(mixed[1], torch.tensor(coarse)).float().mean())
    assert share == pytest.approx(each[1] / sum(each), abs=0.05)  # in the coarse tensor as everywhere
    assert energy(mixed).tensors[0] == pytest.approx(each[0] / sum(each), abs=0.03)
    alone = across.map(features[[7]], names[7:8])
    assert all(torch.equal(a[0], b[7]) for a, b in zip(alone, mixed, strict=True))  # whatever the batch


def test_what_cannot_be_fitted_or_mapped_is_refused() -> None:
    with pytest.raises(InputError, match="no setting 'dampin'. Did you mean 'damping'"):
        tolerance.make("fisher", {"dampin": 1})
    with pytest.raises(InputError, match="damping"):
        tolerance.make("fisher", {"damping": 0})
    blind = scope("maps")
    model: Any = blind.split.model
    model.last.weight.zero_()
    with pytest.raises(InputError, match="information of tensor 0 of 'stem' is zero everywhere over 24 images"):
        tolerance.make("fisher").fit(blind)
    given = scope("maps")
    made = tolerance.make("fisher")
    made.fit(given)
    with pytest.raises(InputError, match=r"fitted on features \(6, 4, 4\) was given \(6, 8, 8\)"):
        made.map(given.split.encode(torch.rand(1, 3, 16, 16)))


@pytest.mark.parametrize("kind", NETS)
def test_the_estimator_starts_as_the_static_map_and_stays_within_reach(kind: str) -> None:
    given = scope(kind)
    seen = survey(given, 2)
    static = [one.log() for one in magnitudes(seen.information, FisherSettings())]
    made = Estimator(static, seen.mean, seen.deviation)
    features, _ = encoded(given, range(5))
    logarithms, directions = made(features)
    assert not directions
    assert all(torch.equal(one, s.expand_as(one)) for one, s in zip(logarithms, static, strict=True))
    with torch.no_grad():
        for one in made.heads.parameters():
            one.normal_(0, 30, generator=torch.Generator().manual_seed(3))
    moved = [(one - s).detach().abs() for one, s in zip(made(features)[0], static, strict=True)]
    assert all(0.5 * REACH < float(one.max()) <= REACH + 1e-4 for one in moved)
    again = Estimator.of(made.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(again(features)[0], made(features)[0], strict=True))


def test_the_estimator_counts_its_operations_and_knows_its_state() -> None:
    given = scope("maps")
    seen = survey(given, 2)
    made = Estimator([one.log() for one in seen.information], seen.mean, seen.deviation, width=10)
    features, _ = encoded(given, range(3))
    places, samples = 16, 3
    by_place = 6 * 10 + 9 * 10 * 10 + 10 * 6
    assert made.flops(features) == 2 * samples * (places * by_place + 6 * 10)
    with pytest.raises(InputError, match="not an estimator of limen's"):
        Estimator.of({"information.0": torch.ones(1, 2)})
    with pytest.raises(InputError, match=r"made for features \(6, 4, 4\) was given \(6, 8, 8\)"):
        made(given.split.encode(torch.rand(1, 3, 16, 16)))
