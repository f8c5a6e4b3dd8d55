"""Detection: discrepancy, likelihood, F1 and average precision against arithmetic of their own; a run end to end."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from limen.errors import InputError
from limen.feature import stages, task
from limen.feature.data import parts
from limen.feature.data.instances import Instances, f1_loss, precision
from limen.feature.data.parts import SubsetSizes
from limen.feature.model import query_heads
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, SplitPoint
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun

CLASSES = 3
NAMES = ("disk", "square", "triangle")
DETECT = task.find("detection").of(Network(nn.Identity(), labels=NAMES))
HEADS = pytest.mark.parametrize("head", ["no object", "each class by itself"])


def outputs(head: str, images: int = 2, count: int = 4, seed: int = 0) -> dict[str, Tensor]:
    """Return what a detector might say: logits of either kind, boxes well inside the image."""
    source = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, count, CLASSES + (head == "no object"), generator=source)
    boxes = 0.3 + 0.4 * torch.rand(images, count, 4, generator=source)
    return {"logits": logits, "pred_boxes": boxes}


def by_hand(head: str, clean: dict[str, Tensor], other: dict[str, Tensor], image: int, q: int, r: int) -> float:
    """Return the divergence of one clean query from one perturbed one, from the definition, in double precision."""
    x, y = (one["logits"][image, place].double().numpy() for one, place in ((clean, q), (other, r)))
    a, b = (one["pred_boxes"][image, place].double().numpy() for one, place in ((clean, q), (other, r)))
    if head == "no object":
        p, s = np.exp(x) / np.exp(x).sum(), np.exp(y) / np.exp(y).sum()
        classes, sure = (p * np.log(p / s)).sum(), p[:-1].sum()
    else:
        p, s = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-y))
        classes, sure = (p * np.log(p / s) + (1 - p) * np.log((1 - p) / (1 - s))).sum(), p.max()
    deviation = 0.1 * np.array([a[2], a[3], a[2], a[3]])
    apart = (((a - b) / deviation) ** 2).sum() / 2
    return float(classes + sure**2 / (sure**2 + (1 - sure) ** 2) * 10 * apart / (10 + apart))


@HEADS
def test_the_discrepancy_is_the_cheapest_assignment_of_queries(head: str) -> None:
    clean, other = outputs(head), outputs(head, seed=1)
    found = DETECT.discrepancy(clean, other)
    for image in range(2):
        ways = itertools.permutations(range(4))
        cheapest = min(sum(by_hand(head, clean, other, image, q, r) for q, r in enumerate(way)) for way in ways)
        assert float(found[image]) == pytest.approx(cheapest, rel=1e-4)


@HEADS
def test_nothing_moved_is_nothing_lost_in_whatever_order(head: str) -> None:
    clean = outputs(head, count=12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(5))
    swapped = {name: value[:, order] for name, value in clean.items()}
    assert DETECT.discrepancy(clean, clean).tolist() == [0, 0]
    assert DETECT.discrepancy(clean, swapped).tolist() == [0, 0]
    assert DETECT.drop(clean, swapped, "1-f1").tolist() == [0, 0]


@HEADS
def test_gradients_are_finite_and_right(head: str) -> None:
    clean, start = outputs(head), outputs(head, seed=2)
    moved = {name: value.clone().requires_grad_() for name, value in start.items()}
    DETECT.discrepancy(clean, moved).sum().backward()
    for name, step in (("logits", 1e-2), ("pred_boxes", 1e-4)):
        for place in ((0, 0, 0), (1, 3, 2), (0, 2, 1)):
            ends = []
            for sign in (1, -1):
                shifted = {key: value.detach().clone() for key, value in start.items()}
                shifted[name][place] += sign * step
                ends.append(float(DETECT.discrepancy(clean, shifted).sum()))
            assert float(moved[name].grad[place]) == pytest.approx((ends[0] - ends[1]) / 2 / step, rel=0.03, abs=0.02)
    still = {name: value.clone().requires_grad_() for name, value in clean.items()}
    DETECT.discrepancy(clean, still).sum().backward()
    assert all(float(value.grad.abs().max()) < 1e-5 for value in still.values())


@HEADS
def test_far_outputs_keep_finite_gradients_and_what_is_no_number_does_not_raise(head: str) -> None:
    clean, far = outputs(head), outputs(head, seed=3)
    far["logits"] = (far["logits"] * 1e4).requires_grad_()
    found = DETECT.discrepancy(clean, far)
    found.sum().backward()
    assert found.isfinite().all()
    assert far["logits"].grad.isfinite().all()
    broken = {name: torch.full_like(value, torch.nan) for name, value in clean.items()}
    assert DETECT.discrepancy(clean, broken).isnan().all()


@HEADS
def test_the_fisher_information_is_the_curvature_of_the_discrepancy(head: str) -> None:
    clean = outputs(head, images=1, count=3)
    at = {name: value.clone().requires_grad_() for name, value in clean.items()}
    first = torch.autograd.grad(DETECT.discrepancy(clean, at).sum(), list(at.values()), create_graph=True)
    draws = 20000
    many = {name: value.expand(draws, -1, -1).clone().requires_grad_() for name, value in clean.items()}
    DETECT.sampled(many, torch.Generator().manual_seed(1)).sum().backward()
    for (name, leaf), slope in zip(at.items(), first, strict=True):
        curvature = torch.tensor(
            [torch.autograd.grad(one, leaf, retain_graph=True)[0].flatten()[i] for i, one in enumerate(slope.flatten())]
        )
        information = many[name].grad.square().mean(0).flatten()
        assert torch.allclose(information, curvature, rtol=0.08, atol=0.01)


@HEADS
def test_the_likelihood_is_highest_on_average_where_it_was_drawn(head: str) -> None:
    many = {name: value.expand(20000, -1, -1).clone().requires_grad_() for name, value in outputs(head, 1).items()}
    DETECT.sampled(many, torch.Generator().manual_seed(2)).sum().backward()
    for value in many.values():  # the score function's mean is 0
        spread = value.grad.std(0) / 20000**0.5
        assert (value.grad.mean(0).abs() < 5 * spread + 1e-6).all()


def instances(labels: list[int], boxes: list[list[float]], scores: list[float] | None = None) -> Instances:
    return Instances(
        np.array(labels, np.int64),
        np.array(scores or [1.0] * len(labels), np.float64),
        np.array(boxes, np.float64).reshape(-1, 4),
        size=(100, 200),
    )


def overlap(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


BOX = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(2, 4), st.integers(2, 4)).map(
    lambda box: [box[0] / 8, box[1] / 8, (box[0] + box[2]) / 8, (box[1] + box[3]) / 8]
)
OBJECTS = st.lists(st.tuples(st.integers(0, 1), BOX), max_size=4)


@given(OBJECTS, OBJECTS)
def test_f1_pairs_as_many_objects_as_can_be(
    some: list[tuple[int, list[float]]], others: list[tuple[int, list[float]]]
) -> None:
    few, many = sorted((some, others), key=len)
    pairs = max(
        sum(a[0] == b[0] and overlap(a[1], b[1]) >= 0.5 for a, b in zip(few, way, strict=True))
        for way in itertools.permutations(many, len(few))
    )
    both = len(some) + len(others)
    a, b = (instances([label for label, _ in one], [box for _, box in one]) for one in (some, others))
    assert f1_loss(a, b, "boxes") == pytest.approx(1 - 2 * pairs / both if both else 0)


def test_f1_counts_scores_of_one_half_and_more_only() -> None:
    def said(*chances: float) -> dict[str, Tensor]:
        logits = torch.tensor([[[chance, 0.01, 0.01] for chance in chances]]).logit()
        boxes = torch.tensor([[[0.2 + 0.3 * i, 0.5, 0.2, 0.2] for i in range(len(chances))]])
        return {"logits": logits, "pred_boxes": boxes}

    def loss(a: Outputs, b: Outputs) -> float:
        return float(DETECT.drop(a, b, "1-f1"))

    assert loss(said(0.9, 0.8), said(0.6, 0.51)) == 0
    assert loss(said(0.9, 0.8), said(0.6, 0.49)) == pytest.approx(1 - 2 / 3)
    assert loss(said(0.9, 0.4), said(0.4, 0.9)) == 1
    assert loss(said(0.3, 0.4), said(0.4, 0.1)) == 0
    assert loss(said(0.3, 0.4), said(0.9, 0.1)) == 1


def test_average_precision_is_what_a_hand_computes() -> None:
    one, two = [0.1, 0.1, 0.4, 0.4], [0.6, 0.6, 0.9, 0.9]
    truth = [instances([0, 0], [one, two])]
    nearly = [0.6, 0.6, 0.9, 0.82]  # of two: overlap .22 / .30
    found = [instances([0, 0, 0], [one, [0.1, 0.5, 0.3, 0.9], nearly], [0.9, 0.8, 0.7])]
    # right, wrong, right: precision 1 up to recall .5 (51 of 101 points), then 2/3 (50 points)
    assert precision(found, truth, "boxes").map50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    # at overlaps .75 and more the last one is wrong too: 51 points of precision 1
    expected = (5 * (51 + 50 * 2 / 3) + 5 * 51) / 101 / 10
    assert precision(found, truth, "boxes").map50_95 == pytest.approx(expected)
    assert DETECT.scores(found, truth) == {
        "score": pytest.approx((51 + 50 * 2 / 3) / 101),
        "map50_95": pytest.approx(expected),
    }
    # a class of which there is no object does not count, one that is never found counts 0
    extra = [instances([0, 0, 0, 2], [one, [0.1, 0.5, 0.3, 0.9], nearly, one], [0.9, 0.8, 0.7, 1.0])]
    assert DETECT.scores(extra, truth)["score"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    more = [instances([0, 0, 1], [one, two, two])]
    assert DETECT.scores(found, more)["score"] == pytest.approx((51 + 50 * 2 / 3) / 101 / 2)
    assert DETECT.scores([instances([], [])], truth)["score"] == 0
    assert DETECT.scores([instances([], [])] * 2, [*truth, instances([], [])])["score"] == 0
    with pytest.raises(InputError, match="None of 1 test images holds an object"):
        DETECT.scores(found, [instances([], [])])["score"]


def test_what_is_found_on_a_crowd_counts_neither_way() -> None:
    one, crowd = [0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]
    truth = Instances(*_columns([0, 0], [one, crowd]), crowd=np.array([False, True]), size=(50, 50))
    found = instances([0, 0], [[0.55, 0.55, 0.7, 0.7], one], [0.9, 0.8])
    assert precision([found], [truth], "boxes").map50 == pytest.approx(1)
    plain = Instances(*_columns([0, 0], [one, crowd]), size=(50, 50))
    assert precision([found], [plain], "boxes").map50 < 0.6


def _columns(labels: list[int], boxes: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array(labels, np.int64), np.ones(len(labels)), np.array(boxes, np.float64)


def test_answers_are_read_as_transformers_reads_them() -> None:
    import transformers

    said = {
        "no object": transformers.DetrImageProcessorPil,
        "each class by itself": transformers.RTDetrImageProcessorPil,
    }
    for head, processor in said.items():
        made = outputs(head, count=5, seed=4)
        wrapped = type("Said", (), {"logits": made["logits"], "pred_boxes": made["pred_boxes"]})()
        theirs = processor().post_process_object_detection(wrapped, threshold=0.0, target_sizes=torch.ones(2, 2))
        for mine, other in zip(DETECT.answers(made), theirs, strict=True):
            order = other["scores"].argsort(descending=True, stable=True)
            assert mine.labels.tolist() == other["labels"][order].tolist()
            assert np.allclose(mine.scores, other["scores"][order].numpy())
            assert np.allclose(mine.boxes, other["boxes"][order].numpy(), atol=1e-6)


def test_evidence_is_the_best_logit_of_each_class_that_was_found() -> None:
    clean = torch.tensor([[[3.0, -3, -3], [-3, 1.0, -3]], [[-3.0, -1, -2], [-4, -4, -4]]])
    other = torch.tensor([[[1.0, 2, 3], [4, -5, 6]], [[7.0, 8, 9], [1, 10, 2]]])
    assert query_heads.evidence(other, clean, one_class=False).tolist() == [4 + 2, 10]


def test_heads_and_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="does not fit detection: it gives logits"):
        DETECT.outputs({"logits": torch.zeros(2, 5)})
    with pytest.raises(InputError, match="gives 7 logits a query and the network names 3 classes"):
        DETECT.check({"logits": torch.zeros(1, 2, 7)}, [instances([0], [[0, 0, 1, 1]])])
    with pytest.raises(InputError, match="1 of 2 objects have labels out of range, such as 3"):
        DETECT.check({"logits": torch.zeros(1, 2, 3)}, [instances([0, 3], [[0, 0, 1, 1]] * 2)])
    with pytest.raises(InputError, match="names 0 classes"):
        task.find("detection").check({"logits": torch.zeros(1, 2, 3)}, [])


class ScaleGrid(nn.Module):
    """A detector with a query for each of 16 places, sorted by their surest class as RT-DETR sorts them."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList([nn.Conv2d(3, 8, 24, 24), nn.Conv2d(3, 4, 48, 48)])
        self.levels = nn.Identity()
        self.head = nn.Conv2d(12, CLASSES * 2 + 4, 1)
        source = torch.Generator().manual_seed(3)
        for name, weights in self.named_parameters():
            weights.data = torch.randn(weights.shape, generator=source) * (0.04 if "maps" in name else 0.8)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine, coarse = self.levels([torch.tanh(one(images)) for one in self.maps])
        said = self.head(torch.cat([fine, functional.interpolate(coarse, scale_factor=2)], 1)).flatten(2).mT
        logits = said[..., : CLASSES * 2]
        order = logits.amax(-1).argsort(1, descending=True)[..., None]
        boxes = 0.1 + 0.8 * said[..., -4:].sigmoid()
        return {
            "logits": logits.gather(1, order.expand(-1, -1, CLASSES * 2)),
            "pred_boxes": boxes.gather(1, order.expand(-1, -1, 4)),
        }


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(ScaleGrid().eval(), name="grid", labels=tuple("abcdef"))


@pytest.mark.slow
def test_a_run_of_several_tensors_from_fit_to_evaluation(tmp_path: Path, network: Network) -> None:
    maps = {label: MAPS[label] for label in ("gaussian", "flat", "fisher")}
    maps["learned"] = ("learned", {"steps": 3, "batch": 4, "draws": 1})
    plan = FeaturePlan("grid", "levels", "detection", seeds=1, sizes=SubsetSizes(12, 9, 10), maps=maps, eps=0.2)
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network) as run:
        assert run.store.manifest["split"]["shapes"] == [[8, 4, 4], [4, 2, 2]]
        assert run.store.manifest["measures"]["drop"].startswith("1 - F1")
        run.fitted(0, fit=True)
        calibrations = stages.calibrate(run)
        rows = stages.evaluate(run, (0.2, 1.0))
    assert {row["map"] for row in calibrations} == {"flat", "fisher", "learned"}
    assert all(row["scale"] > 0 and row["n"] == 10 for row in calibrations)
    by = {(row["map"], row["nrmse"]): row for row in rows}
    assert 0 <= by["clean", 0.0]["score"] <= 1
    assert by["flat", 1.0]["discrepancy"] > by["flat", 0.2]["discrepancy"] > 0
    assert by["fisher", 0.2]["discrepancy"] < by["flat", 0.2]["discrepancy"]
    assert sum(by["fisher", 1.0]["energy_tensors"]) == pytest.approx(1)
    assert json.dumps(rows)


def test_scenes_hold_several_objects_with_boxes(network: Network) -> None:
    found = parts.parts("scenes", DETECT, network, 0, SubsetSizes(1, 1, 6)).test
    examples = [found.example(index) for index in range(6)]
    assert {example.image.shape for example in examples} == {(96, 96, 3)}
    assert len({len(example.target) for example in examples}) > 1
    for example in examples:
        assert example.masks is not None
        for box, mask in zip(example.target.boxes * 96, example.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(
    ("prepare", "wrong"),
    [
        (lambda images: torch.stack([_floats(image)[:, :, 8:-8] for image in images]), True),
        (lambda images: torch.stack([functional.pad(_floats(image), (0, 32)) for image in images]), True),
        (lambda images: torch.stack([_floats(image).flip(2) for image in images]), True),
        (lambda images: torch.stack([functional.interpolate(_floats(i)[None], (60, 150))[0] for i in images]), False),
    ],
    ids=["cropped", "padded", "mirrored", "resized"],
)
def test_images_that_are_not_seen_whole_are_refused(prepare: Callable[[list[np.ndarray]], Tensor], wrong: bool) -> None:
    made = Network(nn.Identity(), prepare, "cropper", NAMES)
    if not wrong:
        parts.parts("scenes", DETECT, made, 0, SubsetSizes(1, 1, 1))
        return
    with pytest.raises(InputError, match="cropper crops or pads images of 96 x 96 px"):
        parts.parts("scenes", DETECT, made, 0, SubsetSizes(1, 1, 1))


def _floats(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 127.5 - 1


@pytest.mark.parametrize("kind", ["Detr", "Yolos", "RTDetr"])
def test_detectors_of_transformers_are_read(kind: str) -> None:
    import transformers

    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "layer_type": "basic"}
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 5}
    configs = {
        "Detr": lambda t: t.DetrConfig(
            use_timm_backbone=False, backbone_config=t.ResNetConfig(**sizes, out_features=["stage4"]), **small
        ),
        "Yolos": lambda t: t.YolosConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[64, 64],
            num_detection_tokens=5,
        ),
        "RTDetr": lambda t: t.RTDetrConfig(
            backbone_config=t.RTDetrResNetConfig(**sizes, out_features=["stage2", "stage3", "stage4"]), **small,
            encoder_in_channels=[8, 16, 16], encoder_hidden_dim=16, encoder_ffn_dim=16, encoder_attention_heads=2,
            decoder_in_channels=[16] * 3, decoder_ffn_dim=16, decoder_attention_heads=2, num_denoising=0,
            anchor_image_size=None,
        ),
    }  # fmt: skip
    config = configs[kind](transformers)
    config.id2label = dict(enumerate("abcd"))
    net = getattr(transformers, f"{kind}ForObjectDetection")(config).eval()
    detect = task.find("detection").of(Network(net, labels=tuple("abcd")))
    split = SplitPoint(net, "vit.encoder.layer.0" if kind == "Yolos" else "model.backbone", detect.outputs)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        clean = split.outputs(images)
    detect.check(clean, [instances([3], [[0, 0, 1, 1]])] * 2)
    assert clean["logits"].shape == (2, 5, 4 + (kind != "RTDetr"))
    features = split.encode(images)
    leaves = tuple(tensor.clone().requires_grad_() for tensor in features.tensors)
    moved = split.head(features.plus([0.3 * leaf for leaf in leaves]))
    detect.discrepancy(clean, moved).sum().backward()
    assert all(leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0 for leaf in leaves)
    assert [len(answer) for answer in detect.answers(clean)] == [5, 5]
