"""Procedural scenes: the same whatever they are drawn with, and exact about what is in them."""

from math import acos, pi, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen import digest
from limen.errors import InputError
from limen.feature.data import shapes, synthetic
from limen.feature.data.synthetic import CLASSES, SyntheticScene, draw

PHOTOGRAPHS = synthetic.photographs()


def lens(r: float, distance: float) -> float:
    """Area that a unit disk shares with a disk of radius r at a distance."""
    a = acos((distance**2 + r**2 - 1) / (2 * distance * r))
    b = acos((distance**2 + 1 - r**2) / (2 * distance))
    return r * r * (a - sin(2 * a) / 2) + b - sin(2 * b) / 2


AREAS = {
    "disk": pi,
    "square": 2.0,
    "triangle": 3 * sqrt(3) / 4,
    "star": 10 * 0.42 * sin(pi / 5) / 2,
    "cross": 2 * 0.58 * 1.9 - 0.58**2,
    "ring": pi * (1 - 0.5**2),
    "crescent": pi - lens(0.8, 0.5),
    "heart": (1 / 2 + pi / 8) / 0.68**2,  # a square of side sqrt(1/2) and two half disks of radius sqrt(1/8)
    "arrow": 0.4 * 0.96 + 0.7,
    "hourglass": 4 * (0.1 * 0.78 + 0.65 * 0.78**2 / 2),
}


def same(one: SyntheticScene, other: SyntheticScene) -> bool:
    """Say whether two scenes are equal byte for byte."""
    pairs = ((one.image, other.image), (one.labels, other.labels), (one.boxes, other.boxes), (one.masks, other.masks))
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


@pytest.fixture(scope="module")
def crowd() -> list[SyntheticScene]:
    return draw(PHOTOGRAPHS, "crowd", range(60), 96, (1, 5), 6)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 59), min_size=1, max_size=6))
def test_a_scene_does_not_depend_on_the_others_or_their_order(crowd: list[SyntheticScene], indices: list[int]) -> None:
    for index, scene in zip(indices, draw(PHOTOGRAPHS, "crowd", indices, 96, (1, 5), 6), strict=True):
        assert same(scene, crowd[index])


def test_a_scene_depends_on_seed_index_settings_and_photographs() -> None:
    first = draw(PHOTOGRAPHS, "a", [0, 1], 64)
    others = [
        draw(PHOTOGRAPHS, "b", [0], 64)[0],
        draw(PHOTOGRAPHS, "a", [0], 96)[0],
        draw(PHOTOGRAPHS, "a", [0], 64, (2, 2))[0],
        first[1],
    ]
    assert not any(same(first[0], other) for other in others)
    over_photographs = [
        draw([255 - image for image in PHOTOGRAPHS], "a", range(20), 64),
        draw(PHOTOGRAPHS, "a", range(20), 64),
    ]
    assert sum(not same(a, b) for a, b in zip(*over_photographs, strict=True)) > 10


def test_boxes_and_masks_fit_each_other(crowd: list[SyntheticScene]) -> None:
    for scene in crowd:
        assert scene.image.shape == (96, 96, 3)
        assert scene.image.dtype == np.uint8
        assert scene.masks.sum(0).max() == 1  # no pixel belongs to two
        for box, mask in zip(scene.boxes, scene.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_numbers_of_objects_and_classes_are_all_there(crowd: list[SyntheticScene]) -> None:
    assert {len(scene.labels) for scene in crowd} == {1, 2, 3, 4, 5}
    assert set(np.concatenate([scene.labels for scene in crowd]).tolist()) == set(range(6))
    single = draw(PHOTOGRAPHS, "all", range(120), 64)
    assert {len(scene.labels) for scene in single} == {1}
    assert {int(scene.labels[0]) for scene in single} == set(range(len(CLASSES)))


def test_no_object_is_mostly_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    covers: list[tuple[float, int]] = []
    cover = synthetic._Form.cover

    def watched(self: synthetic._Form, window: tuple[slice, slice]) -> shapes.Field:
        alpha = cover(self, window)
        covers.append((self.centre[0], int((alpha >= 0.5).sum())))
        return alpha

    monkeypatch.setattr(synthetic._Form, "cover", watched)
    shares = []
    for index in range(60):
        covers.clear()
        (scene,) = draw(PHOTOGRAPHS, "hidden", [index], 96, (4, 5))
        whole = list(dict(covers).values())  # of an object that was made smaller, the last
        shares += [mask.sum() / size for mask, size in zip(scene.masks, whole, strict=True)]
    assert min(shares) >= synthetic.VISIBLE
    assert min(shares) < 0.95  # some are hidden in part
    assert max(shares) == 1


@pytest.mark.parametrize("name", CLASSES)
def test_a_shape_has_its_area_and_lies_in_the_unit_circle(name: str) -> None:
    at = ((np.arange(1200) + 0.5) / 500 - 1.2).astype(np.float32)
    x, y = np.meshgrid(at, at)
    distance = shapes.SHAPES[name](x, y)
    assert (distance < 0).mean() * 2.4**2 == pytest.approx(AREAS[name], rel=0.005)
    assert np.hypot(x, y)[distance < 0].max() < 1.01
    slope = np.hypot(*np.gradient(distance, 1 / 500))
    assert slope[np.abs(distance) < 0.02].max() < 1.05  # a distance: the outline is no more than one pixel wide
    assert np.median(slope[np.abs(distance) < 0.02]) == pytest.approx(1, abs=0.02)


def test_a_cloud_has_its_slope() -> None:
    power = np.mean([np.abs(np.fft.fft2(shapes.cloud(digest.generator(n), 64, 1.5))) ** 2 for n in range(40)], axis=0)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    middle = (f > 0.04) & (f < 0.4)
    assert np.polyfit(np.log(f[middle]), np.log(power[middle]), 1)[0] == pytest.approx(-3.0, abs=0.15)


def test_objects_stand_out_from_what_is_around_them() -> None:
    away = []
    for scene in draw(PHOTOGRAPHS, "contrast", range(200), 64):
        left, top, right, bottom = scene.boxes[0].astype(int)
        near = np.zeros_like(scene.masks[0])
        near[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = True
        inside, outside = scene.image[scene.masks[0]], scene.image[near & ~scene.masks[0]]
        away.append(np.linalg.norm(inside.mean(0) - outside.mean(0)))
    assert np.quantile(away, 0.02) > 25
    assert np.median(away) > 80


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"backgrounds": []}, "at least one photograph"),
        ({"side": 16}, "at least 32"),
        ({"objects": (0, 2)}, "1 to 5 objects, not 0 to 2"),
        ({"objects": (3, 2)}, "not 3 to 2"),
        ({"objects": (1, 6)}, "not 1 to 6"),
        ({"classes": 11}, "10 classes of shapes, 11"),
        ({"backgrounds": [np.zeros((64, 64), np.uint8)]}, "uint8 RGB"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(changed: dict[str, object], said: str) -> None:
    given = {"backgrounds": PHOTOGRAPHS, "seed": "x", "indices": [0], "side": 64, **changed}
    with pytest.raises(InputError, match=said) as caught:
        draw(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
