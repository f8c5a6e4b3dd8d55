"""Labels in YOLO's format: what is read, what is refused in one line, and the same figures as with COCO's."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from torch import nn

from limen.cli import run as command
from limen.errors import InputError, LimenError
from limen.feature import task
from limen.feature.data import coco, parts, synthetic, yolo
from limen.feature.data.instances import decoded
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network

from .test_coco import IDS, LABELS, _resized
from .test_coco import write as write_coco


def write(folder: Path, count: int = 4, side: int = 48) -> Path:
    """Write scenes as COCO's and YOLO's data, boxes of the same images, and return the YAML file."""
    places = json.loads(write_coco(folder, count, side).read_text())
    (folder / "labels").mkdir()
    numbers = {number: place for place, number in enumerate(IDS.values())}
    for i in range(count):
        lines = []
        for one in places["annotations"]:
            if one["image_id"] == 100 + i:
                left, top, width, height = (value / side for value in one["bbox"])
                shares = (left + width / 2, top + height / 2, width, height)
                lines.append(" ".join([str(numbers[one["category_id"]]), *(f"{value:.9g}" for value in shares)]))
        (folder / "labels" / f"{i}.txt").write_text("\n".join(lines) + "\n")
    file = folder / "data.yaml"
    file.write_text(f"path: .\ntrain: images\nval: images\nnc: 6\nnames: {list(LABELS)}\n")
    return file


def test_objects_are_those_that_were_written(tmp_path: Path) -> None:
    drawn = synthetic.draw(synthetic.photographs(), "coco", range(4), 48, (1, 3), 6)
    for one, scene in zip(yolo.read(write(tmp_path), LABELS, masks=False), drawn, strict=True):
        pixels, found = one.read()
        assert (pixels == scene.image).all()
        assert found.labels.tolist() == scene.labels.tolist()
        assert np.allclose(found.boxes * 48, scene.boxes, atol=1e-4)
        assert found.masks is None
        assert found.size == (48, 48)


def test_polygons_have_their_box_and_their_mask(tmp_path: Path) -> None:
    file = write(tmp_path)
    Pillow.new("RGB", (48, 96)).save(tmp_path / "images" / "0.png")  # of its own shape: labels are shares
    for number in range(4):
        (tmp_path / "labels" / f"{number}.txt").write_text("2 0.25 0.5 0.75 0.5 0.75 1 0.25 1\n")
    (first, *_) = yolo.read(file, LABELS, masks=True)
    pixels, found = first.read()
    assert pixels.shape == (96, 48, 3)
    assert found.labels.tolist() == [2]
    assert found.boxes is not None
    assert found.boxes.tolist() == [[0.25, 0.5, 0.75, 1.0]]
    expected = np.zeros((1, 96, 48), bool)
    expected[0, 48:, 12:36] = True
    assert (decoded(found.masks or (), (96, 48)) == expected).all()


def test_images_without_labels_have_no_objects_and_a_line_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "labels" / "0.txt").unlink()
    (tmp_path / "labels" / "1.txt").write_text("")
    (tmp_path / "labels" / "2.txt").write_text("\ufeff1 0.5 0.5 0.25 0.5\n\n1 .5 .5 .25 .5\n0.0 0.005 0.5 0.02 0.5\n")
    (tmp_path / "labels" / "of no image.txt").write_text("rubbish")
    found = yolo.read(file, LABELS, masks=False)
    assert [len(one.objects) for one in found[:3]] == [0, 0, 2]
    assert found[2].labels == (1, 0)
    boxes = found[2].read()[1].boxes
    assert boxes is not None
    assert np.allclose(boxes, [[0.375, 0.25, 0.625, 0.75], [0, 0.25, 0.015, 0.75]])  # what sticks out is cut off
    file.write_text(file.read_text() + "skip_if_label_file_missing: true\n")
    assert [one.name for one in yolo.read(file, LABELS, masks=False)] == [
        "images/1.png",
        "images/2.png",
        "images/3.png",
    ]


def test_classes_are_by_name_by_number_or_all_in_order(tmp_path: Path) -> None:
    file = write(tmp_path)
    mixed = ("N/A", "Ring", "cross", "STAR", "tri angle", "square", "disk")
    plain = [one.labels for one in yolo.read(file, LABELS, masks=False)]
    assert plain == [one.labels for one in coco.read(tmp_path / "instances.json", LABELS, masks=False)]
    turned = [tuple(6 - label for label in one) for one in plain]
    assert turned == [one.labels for one in yolo.read(file, mixed, masks=False)]
    assert turned == [one.labels for one in yolo.read(tmp_path / "images", mixed, masks=False)]  # of the file above
    assert plain == [one.labels for one in yolo.read(file, tuple("uvwxyz"), masks=False)]
    named = "\n".join(f"  {number}: {name}" for number, name in enumerate(LABELS))
    file.write_text(f"val: images\nnames:\n{named}\n")
    assert turned == [one.labels for one in yolo.read(file, mixed, masks=False)]
    file.unlink()
    assert plain == [one.labels for one in yolo.read(tmp_path / "images", mixed, masks=False)]  # by number


@pytest.mark.parametrize("layout", ["folder", "images", "beside", "split", "link"])
def test_labels_are_found_where_ultralytics_looks(layout: str, tmp_path: Path) -> None:
    root = tmp_path / "images" / "set"  # a folder above that is called images is none of the data's
    write(root)
    place = root
    if layout == "images":
        place = root / "images"
    if layout == "beside":
        for file in (root / "labels").iterdir():
            file.rename(root / "images" / file.name)
        (root / "labels").rmdir()
    if layout == "split":
        for kind in ("images", "labels"):
            (root / kind).rename(root / "val")
            (root / kind).mkdir()
            (root / "val").rename(root / kind / "val")
        place = root / "images" / "val"
    if layout == "link":
        (root / "images").rename(tmp_path / "pictures")
        (root / "images").symlink_to(tmp_path / "pictures")
    assert yolo.labelled(place)
    found = yolo.read(place, LABELS, masks=False)
    assert [one.labels for one in found] == [one.labels for one in coco_of(root, tmp_path)]


def coco_of(root: Path, tmp_path: Path) -> list[coco.AnnotatedImage]:
    write_coco(tmp_path / "again")
    return coco.read(tmp_path / "again" / "instances.json", LABELS, masks=False)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("val: images/a", ["images/a/0.png", "images/a/1.png"]),
        ("val: ../images/a", ["../images/a/0.png", "../images/a/1.png"]),  # as exports have it, though it lies inside
        ("path: /nowhere/at/all\nval: images/a", ["images/a/0.png", "images/a/1.png"]),
        ("val: [images/a, images/b/]", ["images/a/0.png", "images/a/1.png", "images/b/2.png", "images/b/3.png"]),
        ("train: images/b", ["images/b/2.png", "images/b/3.png"]),
        ("train: images/b\nval: some.txt", ["./images/a/1.png", "images/b/2.png"]),
    ],
)
def test_what_a_yaml_file_names(said: str, names: list[str], tmp_path: Path) -> None:
    file = write(tmp_path)
    for number in range(4):
        for kind, suffix in (("images", "png"), ("labels", "txt")):
            inner = tmp_path / kind / "aabb"[number]
            inner.mkdir(exist_ok=True)
            (tmp_path / kind / f"{number}.{suffix}").rename(inner / f"{number}.{suffix}")
    (tmp_path / "some.txt").write_text("./images/a/1.png\n\nimages/b/2.png\n")
    file.write_text(f"{said}\nnames: {list(LABELS)}\n")
    found = yolo.read(file, LABELS, masks=False)
    assert [one.name for one in found] == [os.path.normpath(name) if name[:2] == "./" else name for name in names]
    assert all(one.objects for one in found)


def _line(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "labels" / "1.txt").write_text(f"0 0.5 0.5 0.5 0.5\n{text}\n")


def _described(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "data.yaml").write_text(text)


def _renamed(folder: Path) -> None:
    (folder / "images" / "1.png").rename(folder / "images" / "0.jpg")


NAMED = f"\nnames: {list(LABELS)}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_line("0 0.5 x 0.5 0.5"), "1 lines of labels hold what is no number, the first is '1.txt, line 2: 0 0.5 x"),
        (_line("0 0.5 nan 0.5 0.5"), "1 lines of labels hold what is no number"),
        (_line("0 0.5 0.5 0.5"), "have too few or too many values, the first is '1.txt, line 2: 0 0.5 0.5 0.5'. W"),
        (_line("0 0.5 0.5 0.5 0.5 0.9"), "too few or too many values"),
        (_line("0 0.5 0.5 0.5 0.5 0.9 1 0.4"), "too few or too many values"),
        (_line("6 0.5 0.5 0.5 0.5"), "1 lines of labels are of classes that nobody names, the first is '1.txt, line 2"),
        (_line("0.5 0.5 0.5 0.5 0.5"), "are of classes that nobody names"),
        (_line("0 120 96 40 40"), "lie outside of their image, the first is '1.txt, line 2: 0 120 96 40 40'. Wri"),
        (_line("0 -0.1 0.5 0.5 0.5"), "lie outside of their image"),
        (_line("0 0.5 0.5 0 0.5"), "hold nothing of their image"),
        (_line("0 0.5 0.5 0.5 -0.005"), "hold nothing of their image"),
        (_line("0 0.1 0.1 0.2 0.1 0.3 0.1"), "hold nothing of their image"),
        (lambda folder: (folder / "labels" / "1.txt").write_bytes(b"\xff\xfe0"), "1.txt cannot be read as text"),
        (_renamed, "1 label files are of two images each, the first is '0.txt'. Leave one of these images out."),
        (_described(f"val: elsewhere{NAMED}"), "data.yaml: 'elsewhere' is not found, from path '' or the file's own"),
        (_described(f"val: {{a: b}}{NAMED}"), "is not a description of YOLO's data (val cannot be"),
        (_described("val: [images"), "is not a description of YOLO's data (while parsing"),
        (_described(f"names: {list(LABELS)}"), "data.yaml says of no images where they are. Write their folder under"),
        (_described("val: images\nnames: [disk, no]"), "names[1] cannot be 'False'"),
        (_described("val: images\nnames: [disc, square, triangle, star, cross]"), "No class of the network named 'd"),
        (_described(f"val: list.txt{NAMED}"), "list.txt lists 'images/9.png', which is no file. Correct or leave it"),
        (_described(f"val: labels{NAMED}"), "data.yaml holds no images. Give a folder of images and labels"),
    ],
)  # fmt: skip
def test_what_users_meet_is_one_line(change: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "list.txt").write_text("images/9.png\n")
    change(tmp_path)
    with pytest.raises(LimenError) as caught:
        yolo.read(file, (*LABELS, "one more"), masks=False)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_segmentation_needs_corners(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"\d+ lines of labels have no corners, the first is '0\.txt, line 1: .*polygon"
    ):
        yolo.read(write(tmp_path), LABELS, masks=True)


def test_parts_of_a_folder_or_a_file_and_what_stands_for_them(tmp_path: Path) -> None:
    file = write(tmp_path, 9)
    detect, classify = task.find("detection"), task.find("classification")
    net = Network(nn.Identity(), _resized, "net", LABELS)
    for place in (file, tmp_path, tmp_path / "images"):
        found = parts.parts(str(place), detect, net, 0, SubsetSizes(3, 3, 3))
        assert found.test.batch(range(3)).targets[0].size == (48, 48)
        before = parts.fingerprint(str(place), detect)
        (tmp_path / "labels" / "3.txt").write_text(f"{len(str(place)) % 6} 0.5 0.5 0.25 0.5\n")
        assert parts.fingerprint(str(place), detect) != before  # labels are data
        (tmp_path / "labels" / "of no image.txt").touch()
    before = parts.fingerprint(str(file), detect)
    file.write_text(file.read_text().replace("disk", "disc"))
    assert parts.fingerprint(str(file), detect) != before
    for place in (tmp_path, tmp_path / "images"):  # what is read without labels does not depend on them
        before = parts.fingerprint(str(place), detect, labelled=False)
        assert before == parts.fingerprint(str(place), classify)
        (tmp_path / "labels" / "3.txt").write_text(f"{len(str(place)) % 6} 0.5 0.5 0.5 0.5\n")
        assert parts.fingerprint(str(place), detect, labelled=False) == before
    with pytest.raises(
        InputError, match="classification is of one class an image, and .*data.yaml' says where objects"
    ):
        parts.parts(str(file), classify, net, 0, SubsetSizes(3, 3, 3))


@pytest.mark.slow
def test_yolo_and_coco_give_the_same_figures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "data", 24, 96)
    file = tmp_path / "data" / "instances.json"
    content = json.loads(file.read_text())
    content["images"].sort(key=lambda one: str(one["file_name"]))  # in the order of names, which is YOLO's
    file.write_text(json.dumps(content))
    found = []
    for name in ("instances.json", "images"):  # the same names, so the same noise
        out = str(tmp_path / name.partition(".")[0])
        given = ["--model", "demo:detector", "--split", "model.backbone", "--task", "detection", "--device", "cpu"]
        sizes = ["--images-fit", "4", "--images-calibrate", "9", "--images-test", "11", "--seeds", "1", "--eps", "0.4"]
        data = ["--data", str(tmp_path / "data" / name), "--map", "flat", "--calibrate", "flat"]
        assert command(["feature", "fit", *given, *data, *sizes, "--out", out]) == 0, capfd.readouterr().err
        capfd.readouterr()
        assert command(["feature", "evaluate", out, "--data", data[1], "--nrmse", "1", "--json"]) == 0
        found.append(json.loads(capfd.readouterr().out))
    assert found[0] == found[1]
    clean, flat = found[0]
    assert 0 < flat["score"] < clean["score"] < 1
