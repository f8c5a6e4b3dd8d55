"""Semantic segmentation: discrepancy, information and mIoU against plain loops; class maps; a trained network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn import functional

from limen import feature
from limen.errors import InputError
from limen.feature import stages, task
from limen.feature.data import class_maps, parts, synthetic
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.model.split import SplitPoint
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun

SEGMENT = task.find("semantic-segmentation")
CLASSES = 4


def outputs(images: int = 2, side: int = 3, seed: int = 0) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {"logits": 2 * torch.randn(images, CLASSES, side, side + 1, generator=source)}


def test_the_discrepancy_is_the_mean_over_pixels_of_their_kl() -> None:
    clean, other = outputs(), outputs(seed=1)
    found = SEGMENT.discrepancy(clean, other)
    for image in range(2):
        each = []
        for row in range(3):
            for column in range(4):
                x, y = (one["logits"][image, :, row, column].double().numpy() for one in (clean, other))
                p, q = np.exp(x) / np.exp(x).sum(), np.exp(y) / np.exp(y).sum()
                each.append((p * np.log(p / q)).sum())
        assert float(found[image]) == pytest.approx(np.mean(each), rel=1e-4)
    assert SEGMENT.discrepancy(clean, clean).tolist() == [0, 0]
    twice = [{"logits": functional.interpolate(one["logits"], scale_factor=2)} for one in (clean, other)]
    assert torch.allclose(SEGMENT.discrepancy(*twice), found)  # whatever the stride of the logits


def test_the_fisher_information_is_the_curvature_of_the_discrepancy() -> None:
    clean = outputs(images=1, side=2)["logits"]
    at = clean.clone().requires_grad_()
    (first,) = torch.autograd.grad(SEGMENT.discrepancy({"logits": clean}, {"logits": at}).sum(), at, create_graph=True)
    curvature = torch.stack([torch.autograd.grad(one, at, retain_graph=True)[0].flatten() for one in first.flatten()])
    many = clean.expand(20000, -1, -1, -1).clone().requires_grad_()
    SEGMENT.sampled({"logits": many}, torch.Generator().manual_seed(1)).sum().backward()
    drawn = many.grad.flatten(1)
    assert torch.allclose(drawn.T @ drawn / len(drawn), curvature, atol=0.03 * float(curvature.max()))


def test_each_drop_is_what_it_says() -> None:
    clean, other = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    clean[0, 0, 0], clean[0, 1, 1] = 5, 5  # 0 0 / 1 1
    other[0, 0, 0], other[0, 1, 1, 0], other[0, 2, 1, 1] = 5, 5, 5  # 0 0 / 1 2
    a, b = {"logits": clean}, {"logits": other}
    assert SEGMENT.drop(a, b, "changed").tolist() == [0.25]
    assert float(SEGMENT.drop(a, b, "1-miou")) == pytest.approx(1 - (1 + 1 / 2 + 0) / 3)
    assert SEGMENT.drop(a, b, "kl").tolist() == SEGMENT.discrepancy(a, b).tolist()
    assert all(SEGMENT.drop(a, a, kind).tolist() == [0] for kind in SEGMENT.drops)


def by_hand(answers: list[np.ndarray], targets: list[np.ndarray]) -> tuple[float, float]:
    """Return mIoU and pixel accuracy, pixel by pixel."""
    inside: dict[int, int] = {}
    either: dict[int, int] = {}
    right = counted = 0
    for answer, target in zip(answers, targets, strict=True):
        for row in range(target.shape[0]):
            for column in range(target.shape[1]):
                there = int(target[row, column])
                said = int(
                    answer[row * answer.shape[0] // target.shape[0], column * answer.shape[1] // target.shape[1]]
                )
                if there == 255:
                    continue
                counted += 1
                right += said == there
                inside[there] = inside.get(there, 0) + (said == there)
                for label in {said, there}:
                    either[label] = either.get(label, 0) + 1
    return float(np.mean([inside.get(label, 0) / count for label, count in either.items()])), right / counted


def test_miou_is_what_a_plain_loop_finds_at_any_size_of_the_answers() -> None:
    source = np.random.default_rng(0)
    targets = [source.choice([0, 1, 2, 3, 255], (8, 12)).astype(np.uint8) for _ in range(6)]
    for shape in ((8, 12), (4, 6), (2, 3)):
        answers = [source.integers(0, CLASSES, shape).astype(np.uint8) for _ in range(6)]
        found = SEGMENT.scores(answers, targets)
        assert (found["score"], found["pixel_accuracy"]) == pytest.approx(by_hand(answers, targets))


def test_the_interval_is_over_images_and_does_not_depend_on_their_order() -> None:
    source = np.random.default_rng(1)
    targets = [source.integers(0, 3, (6, 6)).astype(np.uint8) for _ in range(30)]
    answers = [
        np.where(source.random((6, 6)) < 0.2 + 0.02 * i, 0, one).astype(np.uint8) for i, one in enumerate(targets)
    ]
    interval = SEGMENT.interval(answers, targets)
    assert interval is not None
    score = SEGMENT.scores(answers, targets)["score"]
    assert interval.low < score < interval.high
    again = SEGMENT.interval(answers[::-1], targets[::-1])
    assert again == interval
    wide = SEGMENT.interval(answers[::5], targets[::5])
    assert wide is not None
    assert wide.high - wide.low > interval.high - interval.low
    assert SEGMENT.interval([targets[0]] * 9, [targets[0]] * 9) is None


def test_heads_and_labels_that_do_not_fit_are_refused() -> None:
    assert SEGMENT.outputs({"out": torch.zeros(1, 3, 4, 4), "aux": torch.ones(1, 3, 4, 4)})["logits"].sum() == 0
    with pytest.raises(InputError, match="does not fit semantic-segmentation: it gives logits"):
        SEGMENT.outputs(torch.zeros(2, 5))
    with pytest.raises(InputError, match="Give the other class a channel of zeros"):
        SEGMENT.outputs(torch.zeros(2, 1, 4, 4))
    SEGMENT.check(outputs(), [np.array([[0, 3, 255]], np.uint8)])
    with pytest.raises(
        InputError, match=r"Class maps hold 9, and the network knows classes 0 to 3 \(255 is no class\)"
    ):
        SEGMENT.check(outputs(), [np.array([[0, 9]], np.uint8)])
    with pytest.raises(InputError, match="zero_unlabelled=True"):
        SEGMENT.check(outputs(), [np.array([[1, 4]], np.uint8)])
    with pytest.raises(InputError, match="No pixel of 1 class maps has a class"):
        SEGMENT.scores([np.zeros((2, 2), np.uint8)], [np.full((2, 2), 255, np.uint8)])


def written(folder: Path, images: str = "images", maps: str = "masks", ends: tuple[str, str] = ("", "")) -> Path:
    """Write four images with class maps, in a folder inside the folders."""
    for place in (folder / images / "train", folder / maps / "train"):
        place.mkdir(parents=True)
    source = np.random.default_rng(2)
    for number in range(4):
        pixels = source.integers(0, 255, (32, 40, 3)).astype(np.uint8)
        Pillow.fromarray(pixels).save(folder / images / "train" / f"{number}{ends[0]}.png")
        labels = Pillow.fromarray(source.integers(0, 3, (32, 40)).astype(np.uint8))
        labels.save(folder / maps / "train" / f"{number}{ends[1]}.png")
    return folder


@pytest.mark.parametrize(
    ("images", "maps", "ends"),
    [
        ("images", "masks", ("", "")),
        ("images", "annotations", ("", "")),
        ("leftImg8bit", "gtFine", ("_leftImg8bit", "_gtFine_labelTrainIds")),
    ],
)
def test_class_maps_are_found_beside_their_images(
    tmp_path: Path, images: str, maps: str, ends: tuple[str, str]
) -> None:
    found = class_maps.pairs(written(tmp_path, images, maps, ends))
    assert [one.name for one in found] == [f"train/{number}{ends[0]}.png" for number in range(4)]
    image, classes = found[1].read()
    assert image.shape == (32, 40, 3)
    assert classes.shape == (32, 40)
    assert classes.tolist() == np.array(Pillow.open(tmp_path / maps / "train" / f"1{ends[1]}.png")).tolist()
    reduced = found[1].read(zero_unlabelled=True)[1]
    assert ((reduced == 255) == (classes == 0)).all()
    assert (reduced[classes > 0] == classes[classes > 0] - 1).all()


def test_a_palette_holds_numbers_and_what_is_no_class_map_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    one = tmp_path / "masks" / "train" / "0.png"
    numbers = np.arange(1280).reshape(32, 40).astype(np.uint8) % 3
    picture = Pillow.frombytes("P", (40, 32), numbers.tobytes())
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0] + [0] * 759)
    picture.save(one)
    assert class_maps.pairs(tmp_path)[0].read()[1].tolist() == numbers.tolist()
    Pillow.new("RGB", (40, 32)).save(one)
    with pytest.raises(InputError, match="is a picture of mode RGB; a class map holds one number of 8 bits"):
        class_maps.pairs(tmp_path)[0].read()
    Pillow.new("L", (10, 8)).save(one)
    with pytest.raises(InputError, match="is 10 x 8 px, and its image 40 x 32"):
        class_maps.pairs(tmp_path)[0].read()
    one.write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be read as a PNG"):
        class_maps.pairs(tmp_path)[0].read()
    one.unlink()
    with pytest.raises(InputError, match="1 of 4 images in .* the first that is missing is masks/train/0.png"):
        class_maps.pairs(tmp_path)
    with pytest.raises(InputError, match="has no folder of images beside one of class maps"):
        class_maps.pairs(tmp_path / "masks")


def test_class_maps_reach_the_batches_and_cropping_is_refused(tmp_path: Path) -> None:
    network = Network(nn.Identity(), feature.Preparation(squash=32), zero_unlabelled=True)
    found = parts.parts(str(written(tmp_path)), SEGMENT, network, 0, SubsetSizes(2, 1, 1))
    batch = found.fit.batch([0, 1])
    assert batch.images.shape == (2, 3, 32, 32)
    assert {value for target in batch.targets for value in np.unique(target)} == {0, 1, 255}
    cropping = Network(nn.Identity(), feature.Preparation(crop=8), "cropper")
    with pytest.raises(InputError, match="cropper crops or pads"):
        parts.parts(str(tmp_path), SEGMENT, cropping, 0, SubsetSizes(2, 1, 1)).fit.batch([0])


def scene(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return grey noise with two rectangles, one reddish, one greenish, and their class map; a frame has no class."""
    source = np.random.default_rng([7, number])
    image, classes = source.normal(120, 40, (32, 32, 3)), np.zeros((32, 32), np.uint8)
    for label in (1, 2):
        top, left = source.integers(0, 20, 2)
        height, width = source.integers(6, 16, 2)
        place = (slice(top, top + height), slice(left, left + width))
        image[place][..., label - 1] += source.uniform(15, 60)
        classes[place] = label
    classes[:1] = 255
    return image.clip(0, 255).astype(np.uint8), classes


class Pixels(nn.Module):
    """A segmenter with logits of half the image's side."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            *(nn.Conv2d(3, 16, 5, 2, 2), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 16, 5, 1, 2), nn.BatchNorm2d(16), nn.ReLU()),
        )
        self.head = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 3, 1))

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.head(self.backbone(images))
        return made


def trained() -> Pixels:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        made = Pixels().train()
        rate = torch.optim.Adam(made.parameters(), 1e-2)
        pixels, classes = zip(*(scene(1000 + number) for number in range(64)), strict=True)
        images, truth = feature.Preparation()(pixels), torch.from_numpy(np.stack(classes)).long()
        for _ in range(60):
            chosen = torch.randperm(64)[:16]
            loss = functional.cross_entropy(made(images[chosen]), truth[chosen][:, 1::2, 1::2], ignore_index=255)
            rate.zero_grad()
            loss.backward()
            rate.step()
    return made.eval()


def test_a_trained_segmenter_keeps_more_of_its_score_under_fisher_than_under_flat_noise(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(100):
        image, classes = scene(number)
        Pillow.fromarray(image).save(tmp_path / "data" / "images" / f"{number}.png")
        Pillow.fromarray(classes).save(tmp_path / "data" / "masks" / f"{number}.png")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = Network(trained(), name="pixels")
    maps = {label: MAPS[label] for label in ("flat", "fisher-2")}
    plan = FeaturePlan(
        "pixels", "backbone", "semantic-segmentation", str(tmp_path / "data"), seeds=1, sizes=SubsetSizes(30, 19, 50),
        maps=maps, eps=0.02,
    )  # fmt: skip
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network) as run:
        stages.fit(run)
        calibrations = stages.calibrate(run, maps=["flat", "fisher-2"])
        rows = stages.evaluate(run, (0.5, 1.0))
        quantised = stages.quantise(run, (0.5,), maps=["fisher-2"])
    torch.set_num_threads(threads)
    by = {(row["map"], row["nrmse"]): row for row in rows}
    clean = by["clean", 0.0]
    assert 0.6 < clean["score_low"] < clean["score"] < clean["score_high"] < 1
    assert clean["pixel_accuracy"] > 0.8
    assert by["flat", 1.0]["score"] < by["fisher-2", 1.0]["score"] <= clean["score"]
    assert by["fisher-2", 0.5]["discrepancy"] < 0.5 * by["flat", 0.5]["discrepancy"]
    tolerated = {row["map"]: row["nrmse"] for row in calibrations}
    assert tolerated["fisher-2"] > tolerated["flat"] > 0
    assert all(0.1 < row["score"] <= 1 for row in quantised)
    assert json.dumps(rows)


def test_scenes_have_class_maps_of_their_masks() -> None:
    network = Network(nn.Identity(), feature.Preparation(), "pixels")
    found = parts.parts("scenes", SEGMENT, network, 0, SubsetSizes(1, 1, 5)).test
    for index in range(5):
        example = found.example(index)
        assert example.masks is not None
        assert ((example.target > 0) == example.masks.any(0)).all()
        assert set(np.unique(example.target)) <= set(range(7))
    (drawn,) = synthetic.draw(synthetic.photographs(), "test 0", [0], 96, (1, 5), 6)
    first = found.example(0).target
    assert all((first[mask] == label + 1).all() for mask, label in zip(drawn.masks, drawn.labels, strict=True))


def test_a_segmenter_of_transformers_is_read() -> None:
    import transformers

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=16, num_labels=5
    )
    net = transformers.SegformerForSemanticSegmentation(config).eval()
    split = SplitPoint(net, "segformer", SEGMENT.outputs)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        clean = split.outputs(images)
    assert clean["logits"].shape == (2, 5, 16, 16)
    assert [answer.shape for answer in SEGMENT.answers(clean)] == [(16, 16)] * 2
    assert SEGMENT.answers(clean)[0].dtype == np.uint8
