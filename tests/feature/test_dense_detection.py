"""Dense detection: discrepancy, information, suppression and average precision against arithmetic of their own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn import functional

from limen import feature
from limen.errors import InputError
from limen.feature import stages, task
from limen.feature.data.instances import Instances
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun
from limen.feature.tasks.dense_detection import unsuppressed

CLASSES = 3
NAMES = ("disk", "square", "triangle")
DETECT = task.find("dense-detection").of(Network(nn.Identity(), labels=NAMES))


def outputs(images: int = 2, count: int = 5, seed: int = 0) -> dict[str, Tensor]:
    """Return what a detector might say, boxes well inside the image."""
    source = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, count, CLASSES, generator=source) - 1
    return {"logits": logits, "pred_boxes": 0.3 + 0.4 * torch.rand(images, count, 4, generator=source)}


def test_the_discrepancy_is_summed_over_anchors_each_against_itself() -> None:
    clean, other = outputs(), outputs(seed=1)
    found = DETECT.discrepancy(clean, other)
    for image in range(2):
        total = 0.0
        for anchor in range(5):
            x, y = (one["logits"][image, anchor].double().numpy() for one in (clean, other))
            a, b = (one["pred_boxes"][image, anchor].double().numpy() for one in (clean, other))
            p, q = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-y))
            total += (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum()
            apart = (((a - b) / (0.1 * a[[2, 3, 2, 3]])) ** 2).sum() / 2
            sure = p.max()
            total += sure**2 / (sure**2 + (1 - sure) ** 2) * 10 * apart / (10 + apart)
        assert float(found[image]) == pytest.approx(total, rel=1e-4)
    swapped = {name: value.flip(1) for name, value in clean.items()}
    assert (DETECT.discrepancy(clean, swapped) > 1).all()  # an anchor is its place: nothing is matched
    assert DETECT.discrepancy(clean, clean).tolist() == [0, 0]


def test_gradients_are_finite_far_away_and_zero_where_nothing_moved() -> None:
    clean = outputs()
    still = {name: value.clone().requires_grad_() for name, value in clean.items()}
    DETECT.discrepancy(clean, still).sum().backward()
    assert all(float(value.grad.abs().max()) < 1e-5 for value in still.values())
    far = {name: (1e4 * value).requires_grad_() for name, value in outputs(seed=2).items()}
    found = DETECT.discrepancy(clean, far)
    found.sum().backward()
    assert found.isfinite().all()
    assert all(value.grad.isfinite().all() for value in far.values())


def test_the_fisher_information_is_the_curvature_of_the_discrepancy() -> None:
    clean = outputs(images=1, count=3)
    at = {name: value.clone().requires_grad_() for name, value in clean.items()}
    first = torch.autograd.grad(DETECT.discrepancy(clean, at).sum(), list(at.values()), create_graph=True)
    draws = 20000
    many = {name: value.expand(draws, -1, -1).clone().requires_grad_() for name, value in clean.items()}
    DETECT.sampled(many, torch.Generator().manual_seed(1)).sum().backward()
    for (name, leaf), slope in zip(at.items(), first, strict=True):
        curvature = torch.stack(
            [torch.autograd.grad(one, leaf, retain_graph=True)[0].flatten() for one in slope.flatten()]
        )
        drawn = many[name].grad.flatten(1)
        assert torch.allclose(drawn.T @ drawn / draws, curvature, rtol=1e-4, atol=0.03 * float(curvature.max()))


def test_scores_of_what_two_draws_say_are_the_same_for_the_same_draw() -> None:
    one, two = (DETECT.sampled(outputs(), torch.Generator().manual_seed(seed)) for seed in (4, 4))
    assert one.tolist() == two.tolist()
    assert one.tolist() != DETECT.sampled(outputs(), torch.Generator().manual_seed(5)).tolist()


def suppressed_by_hand(labels: list[int], boxes: list[list[float]]) -> list[int]:
    """Return which boxes stay, from the definition: one after another, against all that stay."""

    def overlap(a: list[float], b: list[float]) -> float:
        width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
        return width * height / union

    kept: list[int] = []
    for i, (label, box) in enumerate(zip(labels, boxes, strict=True)):
        if all(label != labels[k] or overlap(box, boxes[k]) <= 0.5 for k in kept):
            kept.append(i)
    return kept


BOX = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)).map(
    lambda box: [box[0] / 8, box[1] / 8, (box[0] + box[2]) / 8, (box[1] + box[3]) / 8]
)


@given(st.lists(st.tuples(st.integers(0, 1), BOX), max_size=12))
def test_suppression_is_what_a_plain_loop_leaves(objects: list[tuple[int, list[float]]]) -> None:
    labels, boxes = [label for label, _ in objects], [box for _, box in objects]
    found = Instances(
        np.array(labels, np.int64), np.linspace(1, 0.1, len(labels)), np.array(boxes, np.float64).reshape(-1, 4)
    )
    assert unsuppressed(found).tolist() == suppressed_by_hand(labels, boxes)


def said(*rows: tuple[float, float, float]) -> dict[str, Tensor]:
    """Return anchors of class 0, each with a score, a left edge, and a class 1 of another score."""
    logits = torch.tensor([[[score, other, 0.0001] for score, _, other in rows]]).logit()
    boxes = torch.tensor([[[left + 0.1, 0.5, 0.2, 0.2] for _, left, _ in rows]])
    return {"logits": logits, "pred_boxes": boxes}


def test_answers_are_the_best_of_those_that_overlap_in_each_class() -> None:
    (answer,) = DETECT.answers(said((0.9, 0.1, 0.3), (0.8, 0.12, 0.4), (0.7, 0.5, 0.0001)))
    assert answer.labels.tolist() == [0, 0, 1]
    assert np.allclose(answer.scores, [0.9, 0.7, 0.4])
    assert answer.boxes is not None
    assert np.allclose(answer.boxes[0], [0.1, 0.4, 0.3, 0.6])
    assert np.allclose(answer.boxes[:, 0], [0.1, 0.5, 0.12])


def test_f1_counts_what_is_left_after_suppression_from_a_score_of_a_quarter_on() -> None:
    def loss(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
        return float(DETECT.drop(a, b, "1-f1"))

    clean = said((0.9, 0.1, 0.0001), (0.8, 0.12, 0.0001), (0.7, 0.5, 0.0001))
    assert loss(clean, clean) == 0
    assert loss(clean, said((0.8, 0.1, 0.0001), (0.9, 0.12, 0.0001), (0.26, 0.5, 0.0001))) == 0
    assert loss(clean, said((0.9, 0.1, 0.0001), (0.8, 0.12, 0.0001), (0.24, 0.5, 0.0001))) == pytest.approx(1 / 3)
    assert loss(clean, said((0.9, 0.1, 0.0001), (0.8, 0.3, 0.0001), (0.7, 0.5, 0.0001))) == pytest.approx(1 - 4 / 5)


def test_scores_in_0_to_1_are_read_as_their_logits_and_anything_else_is_refused() -> None:
    made = outputs()
    given = {"pred_scores": made["logits"].sigmoid(), "pred_boxes": made["pred_boxes"]}
    read = DETECT.outputs(given)
    assert torch.allclose(read["logits"], made["logits"], atol=1e-4)
    assert (
        DETECT.outputs({"pred_scores": torch.ones(1, 2, 3), "pred_boxes": torch.ones(1, 2, 4)})["logits"]
        .isfinite()
        .all()
    )
    with pytest.raises(InputError, match=r"pred_scores lie between -.* scores are 0 to 1"):
        DETECT.outputs({"pred_scores": made["logits"], "pred_boxes": made["pred_boxes"]})
    with pytest.raises(InputError, match="does not fit dense-detection: it gives logits"):
        DETECT.outputs({"logits": torch.zeros(2, 5)})
    with pytest.raises(InputError, match="reach 352, and they are shares of the image"):
        DETECT.check(made | {"pred_boxes": torch.full((2, 5, 4), 352.0)}, [])
    with pytest.raises(InputError, match="gives 3 scores an anchor and the network names 0 classes"):
        task.find("dense-detection").check(made, [])
    with pytest.raises(InputError, match="labels out of range, such as 3"):
        DETECT.check(made, [Instances(np.array([3]), np.ones(1), np.zeros((1, 4)))])


def scene(number: int) -> tuple[np.ndarray, list[tuple[int, list[int]]]]:
    """Return grey noise of 48 px with up to three rectangles, tinted by class, and their classes and boxes in px."""
    source = np.random.default_rng([11, number])
    image, objects = source.normal(110, 25, (48, 48, 3)), []
    for _ in range(source.integers(1, 4)):
        label, (left, top), (width, height) = (
            int(source.integers(3)),
            source.integers(0, 30, 2),
            source.integers(9, 18, 2),
        )
        image[top : top + height, left : left + width] = source.normal(110, 25, (height, width, 3))
        image[top : top + height, left : left + width, label] += 70
        objects.append((label, [int(left), int(top), int(width), int(height)]))
    return image.clip(0, 255).astype(np.uint8), objects


class Grid(nn.Module):
    """A one-stage detector of 12 x 12 cells, with objectness, as somebody else might have written it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, width, stride in ((3, 16, 2), (16, 24, 2), (24, 24, 1), (24, 24, 1)):
            layers += [nn.Conv2d(inputs, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
        self.backbone = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Conv2d(24, 24, 3, 1, 1), nn.ReLU(), nn.Conv2d(24, 1 + 3 + 4, 1))

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.head(self.backbone(images))
        return made


class Wrapped(nn.Module):
    """An adapter: scores and boxes by name, before suppression."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        made = self.network(images).permute(0, 2, 3, 1)
        rows, columns = made.shape[1:3]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places = torch.stack([x, y], -1) / torch.tensor([columns, rows])
        centres = places + (2 * made[..., -4:-2].sigmoid() - 0.5) / rows
        boxes = torch.cat([centres, made[..., -2:].sigmoid()], -1)
        scores = made[..., :1].sigmoid() * made[..., 1:-4].sigmoid()
        return {"pred_scores": scores.flatten(1, 2), "pred_boxes": boxes.flatten(1, 2)}


def trained() -> Wrapped:
    """Return a detector that finds something: each object's middle cell says it."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        made = Wrapped(Grid()).train()
        rate = torch.optim.Adam(made.parameters(), 1e-2)
        drawn = [scene(1000 + number) for number in range(128)]
        images = feature.Preparation()([image for image, _ in drawn])
        wanted, boxes, there = torch.zeros(128, 144, 3), torch.zeros(128, 144, 4), torch.zeros(128, 144, 1)
        for row, (_, objects) in enumerate(drawn):
            for label, (left, top, width, height) in objects:
                box = torch.tensor([left + width / 2, top + height / 2, width, height]) / 48
                cell = int(box[1] * 12) * 12 + int(box[0] * 12)
                wanted[row, cell, label], there[row, cell], boxes[row, cell] = 1, 1, box
        for _ in range(150):
            chosen = torch.randperm(128)[:16]
            said = made(images[chosen])
            scores = functional.binary_cross_entropy(
                said["pred_scores"].clamp(1e-6, 1 - 1e-6), wanted[chosen], reduction="sum"
            )
            away = (there[chosen] * (said["pred_boxes"] - boxes[chosen]).abs()).sum()
            rate.zero_grad()
            (scores + 20 * away).div(16).backward()
            rate.step()
    return made.eval()


def annotated(folder: Path, count: int) -> Path:
    """Write scenes as COCO has them."""
    file = folder / "objects.json"
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(count):
        image, objects = scene(number)
        Pillow.fromarray(image).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 48, "height": 48})
        for label, box in objects:
            annotations.append({"id": len(annotations), "image_id": number, "category_id": label, "bbox": box})
    names = [{"id": label, "name": name} for label, name in enumerate(NAMES)]
    file.write_text(json.dumps({"images": images, "categories": names, "annotations": annotations}))
    return file


def test_a_trained_detector_keeps_more_of_its_score_under_fisher_than_under_flat_noise(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = Network(trained(), name="grid", labels=NAMES)
    maps = {label: MAPS[label] for label in ("flat", "fisher-2")}
    plan = FeaturePlan(
        "grid", "network.backbone", "dense-detection", str(annotated(tmp_path, 110)), seeds=1,
        sizes=SubsetSizes(40, 19, 50), maps=maps, eps=0.4,
    )  # fmt: skip
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network) as run:
        assert run.store.manifest["measures"]["drop"].endswith("at score .25 and IoU .5")
        stages.fit(run)
        (calibration,) = stages.calibrate(run, maps=["fisher-2"])
        rows = stages.evaluate(run, (0.5, 1.0))
    torch.set_num_threads(threads)
    by = {(row["map"], row["nrmse"]): row for row in rows}
    assert calibration["scale"] > 0
    assert by["clean", 0.0]["score"] > 0.25
    assert by["flat", 1.0]["discrepancy"] > by["flat", 0.5]["discrepancy"] > by["fisher-2", 0.5]["discrepancy"] > 0
    assert by["fisher-2", 1.0]["score"] > by["flat", 1.0]["score"]
    assert json.dumps(rows)
