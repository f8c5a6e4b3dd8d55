"""Segmentation: discrepancy, likelihood, F1 and average precision of masks against arithmetic of their own."""

import itertools
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn
from torch.nn import functional

from limen.errors import InputError
from limen.feature import stages as measure
from limen.feature import task
from limen.feature.data.instances import Instances, decoded, encoded, f1_loss, precision
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.model.split import SplitPoint
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun

NAMES = ("disk", "square", "triangle")
SEGMENT = task.find("segmentation").of(Network(nn.Identity(), labels=NAMES))
CLASSES, MASKS = "class_queries_logits", "masks_queries_logits"


def outputs(images: int = 2, count: int = 3, side: int = 5, seed: int = 0) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(seed)
    classes = 2 * torch.randn(images, count, len(NAMES) + 1, generator=source)
    return {CLASSES: classes, MASKS: 2 * torch.randn(images, count, side, side, generator=source)}


def test_the_discrepancy_is_kl_and_squared_dice_query_by_query() -> None:
    clean, other = outputs(), outputs(seed=1)
    found = SEGMENT.discrepancy(clean, other)
    for image in range(2):
        total = 0.0
        for query in range(3):
            x, y = (one[CLASSES][image, query].double().numpy() for one in (clean, other))
            p, q = np.exp(x) / np.exp(x).sum(), np.exp(y) / np.exp(y).sum()
            a, b = (1 / (1 + np.exp(-one[MASKS][image, query].double().numpy())) for one in (clean, other))
            dice = 1 - (2 * (a * b).sum() + 1) / ((a * a).sum() + (b * b).sum() + 1)
            presence = p[:-1].sum() ** 2 / (p[:-1].sum() ** 2 + p[-1] ** 2)
            total += (p * np.log(p / q)).sum() + presence * 10 * dice
        assert float(found[image]) == pytest.approx(total, rel=1e-4)


def test_nothing_moved_is_nothing_lost() -> None:
    clean = outputs()
    moved = {name: value.clone().requires_grad_() for name, value in clean.items()}
    found = SEGMENT.discrepancy(clean, moved)
    assert found.tolist() == [0, 0]
    found.sum().backward()
    assert all(float(value.grad.abs().max()) < 1e-6 for value in moved.values())
    assert SEGMENT.drop(clean, clean, "1-f1").tolist() == [0, 0]


def test_gradients_are_finite_and_right() -> None:
    clean, start = outputs(), outputs(seed=2)
    moved = {name: value.clone().requires_grad_() for name, value in start.items()}
    SEGMENT.discrepancy(clean, moved).sum().backward()
    for name, place in ((CLASSES, (0, 0, 1)), (CLASSES, (1, 2, 3)), (MASKS, (0, 1, 2, 2)), (MASKS, (1, 0, 4, 0))):
        ends = []
        for sign in (1, -1):
            shifted = {key: value.detach().clone() for key, value in start.items()}
            shifted[name][place] += sign * 2e-2
            ends.append(float(SEGMENT.discrepancy(clean, shifted).sum()))
        assert float(moved[name].grad[place]) == pytest.approx((ends[0] - ends[1]) / 4e-2, rel=0.03, abs=2e-3)
    far = {name: (1e4 * value).requires_grad_() for name, value in start.items()}
    found = SEGMENT.discrepancy(clean, far)
    found.sum().backward()
    assert found.isfinite().all()
    assert all(value.grad.isfinite().all() for value in far.values())


def test_the_fisher_information_is_the_curvature_of_the_discrepancy() -> None:
    clean = outputs(images=1, count=2, side=3)
    at = {name: value.clone().requires_grad_() for name, value in clean.items()}
    first = torch.autograd.grad(SEGMENT.discrepancy(clean, at).sum(), list(at.values()), create_graph=True)
    draws = 20000
    many = {name: value.expand(draws, *value.shape[1:]).clone().requires_grad_() for name, value in clean.items()}
    SEGMENT.sampled(many, torch.Generator().manual_seed(1)).sum().backward()
    for (name, leaf), slope in zip(at.items(), first, strict=True):
        curvature = torch.tensor(
            [torch.autograd.grad(one, leaf, retain_graph=True)[0].flatten()[i] for i, one in enumerate(slope.flatten())]
        )
        information = many[name].grad.square().mean(0).flatten()
        # the dice's denominator moves with the mask, which the likelihood's variance does not: a few per cent
        assert torch.allclose(information, curvature, rtol=0.1, atol=0.01)


def found(labels: list[int], masks: npt.NDArray[np.bool_], scores: list[float] | None = None) -> Instances:
    ones = scores or [1.0] * len(labels)
    return Instances(np.array(labels, np.int64), np.array(ones), masks=encoded(masks), size=masks.shape[1:])


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


SHAPES = arrays(np.bool_, st.tuples(st.integers(0, 3), st.just(2), st.just(3))).map(
    lambda masks: masks | (np.arange(6).reshape(2, 3) == 0)
)


@given(SHAPES, SHAPES, st.integers(0, 7), st.integers(0, 7))
@settings(max_examples=60)
def test_f1_pairs_as_many_masks_as_can_be(
    some: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_], a: int, b: int
) -> None:
    first, second = ([(number >> place) & 1 for place in range(3)] for number in (a, b))
    one, two = list(zip(first, some, strict=False)), list(zip(second, others, strict=False))
    few, many = sorted((one, two), key=len)
    pairs = max(
        sum(x[0] == y[0] and overlap(x[1], y[1]) >= 0.5 for x, y in zip(few, way, strict=True))
        for way in itertools.permutations(many, len(few))
    )
    lost = f1_loss(found(first[: len(some)], some), found(second[: len(others)], others), "masks")
    both = len(one) + len(two)
    assert lost == pytest.approx(1 - 2 * pairs / both if both else 0)


def test_evidence_is_what_the_classes_and_the_masks_found_have_for_logits() -> None:
    clean, other = outputs(images=1), outputs(images=1, seed=1)
    clean[CLASSES] = torch.tensor([[[9.0, 0, 0, 0], [0, 0, 0, 9], [0, 9, 0, 0]]])  # class 0, nothing, class 1
    expected = float(other[CLASSES][0, :, 0].max() + other[CLASSES][0, :, 1].max())
    for query in (0, 2):
        inside = clean[MASKS][0, query] > 0
        expected += float(other[MASKS][0, query][inside].mean())
    assert SEGMENT.evidence(other, clean).tolist() == [pytest.approx(expected)]
    clean[MASKS] = -torch.ones_like(clean[MASKS])  # empty masks say nothing
    assert SEGMENT.evidence(other, clean)[0] == other[CLASSES][0, :, 0].max() + other[CLASSES][0, :, 1].max()


def test_average_precision_is_what_a_hand_computes() -> None:
    masks = np.zeros((3, 20, 30), bool)
    masks[0, :10, :10] = masks[1, 10:, 20:] = masks[2, :10, 2:12] = True  # overlap of 0 and 2: 80 of 120
    truth = found([0, 0], masks[:2])
    said = found([0, 0, 0], masks[[2, 2, 1]], [0.9, 0.8, 0.7])  # right at .5, double, right
    assert precision([said], [truth], "masks").map50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    # from .7 on: wrong, wrong, right: precision 1/3 up to recall .5
    expected = (4 * (51 + 50 * 2 / 3) + 6 * 51 / 3) / 101 / 10
    assert SEGMENT.scores([said], [truth])["map50_95"] == pytest.approx(expected)
    half = found([0, 0, 0], masks[[2, 2, 1]][:, ::2, ::2], [0.9, 0.8, 0.7])  # masks of half the size are brought to it
    assert SEGMENT.scores([half], [truth])["score"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_answers_are_scored_by_class_and_mask() -> None:
    classes = torch.tensor([[[0.0, 4, 0, 0], [0, 0, 3, 0], [5, 0, 0, 0]]])
    masks = torch.full((1, 3, 4, 4), -2.0)
    masks[0, 0, :2, :2] = 3
    masks[0, 1, 2:, 1:] = 1
    (answer,) = SEGMENT.answers({CLASSES: classes, MASKS: masks})
    assert answer.labels.tolist() == [1, 2]  # the third query has no pixel
    chance, inside = torch.tensor([4.0, 3]), torch.tensor([3.0, 1]).sigmoid()
    expected = chance.exp() / (chance.exp() + 3) * inside
    assert np.allclose(answer.scores, expected.numpy())
    drawn = decoded(answer.masks or (), (16, 16))
    assert drawn.shape == (2, 16, 16)
    whole = functional.interpolate(masks, scale_factor=4, mode="bilinear", align_corners=False)[0, :2] > 0
    assert (drawn == whole.numpy()).all()
    assert SEGMENT.answers({CLASSES: classes, MASKS: masks - 9})[0].masks == ()


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="does not fit segmentation: it gives logits"):
        SEGMENT.outputs({"logits": torch.zeros(2, 5)})
    with pytest.raises(InputError, match="needs one more, for no object"):
        SEGMENT.check({CLASSES: torch.zeros(1, 2, 3), MASKS: torch.zeros(1, 2, 4, 4)}, [])


class Patches(nn.Module):
    """A segmenter with six queries, each a filter of its own, on maps of 4 px a cell."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.maps, self.coarse = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(3, 6, 16, 16)
        self.levels = nn.Identity()
        self.masks, self.classes = nn.Conv2d(8, 6, 1), nn.Linear(6, 6 * (classes + 1))
        source = torch.Generator().manual_seed(6)
        for weights in self.parameters():
            weights.data = torch.randn(weights.shape, generator=source) * (1 if weights.shape[-1] < 4 else 0.15)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine, coarse = self.levels((self.maps(images).relu(), self.coarse(images).relu()))
        classes = self.classes(coarse.mean((2, 3))).view(len(images), 6, -1)
        return {CLASSES: 3 * classes, MASKS: 3 * self.masks(fine)}


@pytest.mark.slow
def test_a_run_of_several_tensors_from_fit_to_evaluation(tmp_path: Path) -> None:
    maps = {label: MAPS[label] for label in ("gaussian", "flat", "fisher")}
    maps["learned"] = ("learned", {"steps": 3, "batch": 4, "draws": 1})
    plan = FeaturePlan("patches", "levels", "segmentation", seeds=1, sizes=SubsetSizes(10, 9, 8), maps=maps, eps=0.3)
    with pytest.raises(InputError, match="labels out of range"):  # scenes hold six classes
        FeatureRun.begin(tmp_path / "run", plan, "cpu", Network(Patches(3).eval(), labels=NAMES))
    network = Network(Patches(6).eval(), name="patches", labels=tuple("abcdef"))
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network) as run:
        run.fitted(0, fit=True)
        calibrations = measure.calibrate(run)
        rows = measure.evaluate(run, (0.2, 1.0))
    assert {row["map"] for row in calibrations} == {"flat", "fisher", "learned"}
    by = {(row["map"], row["nrmse"]): row for row in rows}
    assert 0 <= by["clean", 0.0]["score"] <= 1
    assert by["flat", 1.0]["discrepancy"] > by["flat", 0.2]["discrepancy"] > 0
    assert by["fisher", 0.2]["discrepancy"] < by["flat", 0.2]["discrepancy"]
    assert json.dumps(rows)


@pytest.mark.parametrize("kind", ["Mask2Former", "MaskFormer", "Detr"])
def test_segmenters_of_transformers_are_read(kind: str) -> None:
    import transformers

    torch.manual_seed(0)
    stages = [f"stage{number}" for number in range(1, 5)]
    sizes = {"embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4, "window_size": 2, "image_size": 64}
    swin = transformers.SwinConfig(**sizes, out_features=stages)
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 5}
    resnet = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, layer_type="basic", out_features=stages
    )
    detr = transformers.DetrConfig(use_timm_backbone=False, backbone_config=resnet, **small)
    if kind == "Mask2Former":
        config = transformers.Mask2FormerConfig(
            backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
            dim_feedforward=16, encoder_layers=1, decoder_layers=3, num_attention_heads=2, num_queries=5,
        )  # fmt: skip
        net = transformers.Mask2FormerForUniversalSegmentation(_named(config))
    elif kind == "MaskFormer":
        config = transformers.MaskFormerConfig(
            backbone_config=swin,
            decoder_config=detr,
            fpn_feature_size=32,
            mask_feature_size=32,
            use_auxiliary_loss=True,
        )
        net = transformers.MaskFormerForInstanceSegmentation(_named(config))
    else:
        net = transformers.DetrForSegmentation(_named(detr))
    segment = task.find("segmentation").of(Network(net.eval(), labels=tuple("abcd")))
    path = "detr.model.backbone" if kind == "Detr" else "model.pixel_level_module"
    split = SplitPoint(net, path, segment.outputs)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        clean = split.outputs(images)
    segment.check(clean, [found([3], np.ones((1, 4, 4), bool))])
    assert clean[CLASSES].shape == (2, 5, 5)
    assert clean[MASKS].shape == (2, 5, 16, 16)
    features = split.encode(images)
    leaves = tuple(tensor.clone().requires_grad_() for tensor in features.tensors)
    moved = split.head(features.plus([0.3 * leaf for leaf in leaves]))
    segment.discrepancy(clean, moved).sum().backward()
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def _named(config: object) -> object:
    config.id2label = dict(enumerate("abcd"))  # type: ignore[attr-defined]
    return config
