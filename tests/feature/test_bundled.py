"""The nets that ship: they load with stock transformers, are small, and know the shapes of fresh scenes."""

import numpy as np
import pytest
import torch
import transformers

from limen.feature.data import synthetic
from limen.feature.model import bundled
from limen.feature.model.known_splits import sensible
from limen.feature.model.split import LEAK, SplitPoint

AUTO = {
    "resnet": transformers.AutoModelForImageClassification,
    "vit": transformers.AutoModelForImageClassification,
    "detector": transformers.AutoModelForObjectDetection,
    "segmenter": transformers.AutoModelForUniversalSegmentation,
}
MEGABYTES = {"resnet": 1.2, "vit": 2.5, "detector": 4.0, "segmenter": 4.0}
SHIPPED = bundled.shipped()


def fresh(
    count: int, side: int, objects: tuple[int, int] = (1, 1), classes: int = 10
) -> list[synthetic.SyntheticScene]:
    """Scenes that neither training nor the card has drawn, over photographs that no net was trained on."""
    return synthetic.draw(synthetic.photographs(), "tests of the nets", range(count), side, objects, classes)


def pixels(name: str, drawn: list[synthetic.SyntheticScene]) -> "torch.Tensor":
    """What the folder's own image processor makes of the scenes."""
    processor = transformers.AutoImageProcessor.from_pretrained(SHIPPED[name])
    return processor(images=[scene.image for scene in drawn], return_tensors="pt")["pixel_values"]


def test_all_four_nets_are_there() -> None:
    assert set(SHIPPED) == set(bundled.NETS)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_net_loads_whole_in_float32_with_nothing_over(name: str) -> None:
    net, report = AUTO[name].from_pretrained(SHIPPED[name], output_loading_info=True)
    assert not any(report.values())  # no key missing, none unexpected: no head of the training is left
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    count = 6 if name in ("detector", "segmenter") else 10
    assert [net.config.id2label[n] for n in range(count)] == list(synthetic.CLASSES[:count])
    size = sum(file.stat().st_size for file in SHIPPED[name].iterdir()) / 1e6
    assert size <= MEGABYTES[name]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_image_processor_leaves_the_pixels_of_a_scene_as_they_are(name: str) -> None:
    drawn = fresh(2, 96 if name in ("detector", "segmenter") else 64)
    seen = pixels(name, drawn).permute(0, 2, 3, 1).numpy()
    assert np.abs(seen - (np.stack([scene.image for scene in drawn]) / 127.5 - 1)).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_every_listed_split_of_a_net_is_sound(name: str) -> None:
    net = AUTO[name].from_pretrained(SHIPPED[name]).eval()
    if name == "segmenter":
        net.config.use_auxiliary_loss = True  # without it transformers gives no logits
    known = sensible(net)
    stages = [place.path for place in known if place.path.endswith("encoder.stages.0")]
    assert len(known) >= 3
    assert (name == "vit") != bool(stages)
    for place in known:
        found = SplitPoint(net, place.path).verify(
            pixels(name, fresh(3, 96 if name in ("detector", "segmenter") else 64))
        )
        assert found.leak[found.worst] <= LEAK, place


@pytest.mark.parametrize("name", [name for name in SHIPPED if name in ("resnet", "vit")])
def test_a_classifier_names_fresh_scenes(name: str) -> None:
    net = AUTO[name].from_pretrained(SHIPPED[name]).eval()
    drawn = fresh(300, 64)
    with torch.no_grad():
        named = net(pixels(name, drawn)).logits.argmax(1).numpy()
    assert np.mean(named == [scene.labels[0] for scene in drawn]) > 0.8


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = max(size[0], 0) * max(size[1], 0)
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)


@pytest.mark.skipif("detector" not in SHIPPED, reason="not shipped")
def test_the_detector_finds_most_objects_of_fresh_scenes() -> None:
    net = AUTO["detector"].from_pretrained(SHIPPED["detector"]).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(SHIPPED["detector"])
    drawn = fresh(60, 96, (1, 5), 6)
    with torch.no_grad():
        out = net(pixels("detector", drawn))
    sizes = torch.tensor([[96, 96]] * len(drawn))
    hits = there = claimed = 0
    for scene, found in zip(drawn, processor.post_process_object_detection(out, 0.5, sizes), strict=True):
        there, claimed = there + len(scene.labels), claimed + len(found["labels"])
        for label, box in zip(scene.labels, scene.boxes, strict=True):
            same = [one.numpy() for one, name in zip(found["boxes"], found["labels"], strict=True) if name == label]
            hits += any(overlap(box, one) >= 0.5 for one in same)
    assert hits / there > 0.5
    assert hits / claimed > 0.5


@pytest.mark.skipif("segmenter" not in SHIPPED, reason="not shipped")
def test_the_segmenter_finds_many_objects_of_fresh_scenes() -> None:
    net = AUTO["segmenter"].from_pretrained(SHIPPED["segmenter"]).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(SHIPPED["segmenter"])
    drawn = fresh(60, 96, (1, 5), 6)
    with torch.no_grad():
        out = net(pixels("segmenter", drawn))
    found = processor.post_process_instance_segmentation(
        out, 0.4, target_sizes=[(96, 96)] * 60, return_binary_maps=True
    )
    hits = there = 0
    for scene, one in zip(drawn, found, strict=True):
        maps = np.asarray(one["segmentation"]) > 0.5
        labels = [segment["label_id"] for segment in one["segments_info"]]
        there += len(scene.labels)
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            same = [maps[n] for n, name in enumerate(labels) if name == label]
            hits += any((mask & other).sum() >= 0.5 * (mask | other).sum() for other in same)
    assert hits / there > 0.3
