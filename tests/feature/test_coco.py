"""Annotations in COCO's format: what is read, what is refused in one line, and a run on them from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn
from torch.nn import functional

from limen.cli import run as command
from limen.errors import InputError, LimenError
from limen.feature import task
from limen.feature.data import coco, synthetic
from limen.feature.data import parts as data
from limen.feature.data.instances import decoded, encoded
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network

LABELS = ("disk", "square", "triangle", "star", "cross", "ring")
IDS = {name: 1 + 7 * number for number, name in enumerate(LABELS)}  # with gaps


def write(folder: Path, count: int = 4, side: int = 48, where: str = "images") -> Path:
    """Write scenes as a data set in COCO's format: pixels, polygons, run lengths, one image without objects."""
    (folder / where).mkdir(parents=True)
    drawn = synthetic.draw(synthetic.photographs(), "coco", range(count), side, (1, 3), 6)
    content: dict[str, Any] = {
        "info": {"year": 2026},
        "images": [
            {"id": 100 + i, "file_name": f"{i}.png", "width": side, "height": side, "license": 1} for i in range(count)
        ],
        "categories": [{"id": number, "name": name, "supercategory": "shape"} for name, number in IDS.items()],
        "annotations": [],
    }
    for i, scene in enumerate(drawn):
        Pillow.fromarray(scene.image).save(folder / where / f"{i}.png")
        for label, box, mask in zip(scene.labels, scene.boxes, scene.masks, strict=True):
            runs = encoded(mask[None])[0]
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": 100 + i,
                    "category_id": IDS[LABELS[label]],
                    "bbox": [float(v) for v in (*box[:2], *(box[2:] - box[:2]))],
                    "area": float(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": {"size": list(runs["size"]), "counts": runs["counts"].decode()},
                }
            )
    file = folder / "instances.json"
    file.write_text(json.dumps(content))
    return file


def changed(file: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return file


def test_objects_are_those_that_were_written(tmp_path: Path) -> None:
    drawn = synthetic.draw(synthetic.photographs(), "coco", range(4), 48, (1, 3), 6)
    for one, scene in zip(coco.read(write(tmp_path), LABELS, masks=True), drawn, strict=True):
        pixels, found = one.read()
        assert (pixels == scene.image).all()
        assert found.labels.tolist() == scene.labels.tolist()
        assert np.allclose(found.boxes * 48, scene.boxes)
        assert (decoded(found.masks or (), (48, 48)) == scene.masks).all()
        assert found.size == (48, 48)
        assert found.scores.tolist() == [1.0] * len(scene.labels)


def test_polygons_crowds_and_images_without_objects(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"] = [
            {"id": 1, "image_id": 100, "category_id": 1, "bbox": [10, 5, 20, 8], "iscrowd": 0,
             "segmentation": [[10, 5, 30, 5, 30, 13, 10, 13], [0, 40, 4, 40, 4, 48, 0, 48]]},
            {"id": 2, "image_id": 100, "category_id": 8, "bbox": [-2, -3, 30, 20], "iscrowd": 1,
             "segmentation": {"size": [48, 48], "counts": [48 * 3, 48 * 2, 48 * 43]}},
            {"id": 3, "image_id": 101, "category_id": 8, "bbox": [1, 1, 2, 2], "segmentation": []},
        ]  # fmt: skip

    first, second, empty, _ = coco.read(changed(write(tmp_path), change), LABELS, masks=False)
    found = first.instances((48, 48))
    assert found.labels.tolist() == [0, 1]
    assert found.crowd is not None
    assert found.crowd.tolist() == [False, True]
    assert np.allclose(found.boxes * 48, [[10, 5, 30, 13], [0, 0, 28, 17]])  # what sticks out is cut off
    expected = np.zeros((2, 48, 48), bool)
    expected[0, 5:13, 10:30] = expected[0, 40:, :4] = expected[1, :, 3:5] = True
    assert (decoded(found.masks or (), (48, 48)) == expected).all()
    assert second.instances((48, 48)).masks is None
    assert len(empty.instances((48, 48))) == 0
    assert empty.instances((48, 48)).boxes.shape == (0, 4)
    assert empty.instances((48, 48)).masks == ()


def test_categories_are_mapped_by_name_or_all_in_order(tmp_path: Path) -> None:
    file = write(tmp_path)
    mixed = ("N/A", "Ring", "cross", "STAR", "tri angle", "square", "disk")
    plain = [one.labels for one in coco.read(file, LABELS, masks=True)]
    assert [tuple(6 - label for label in one) for one in plain] == [
        one.labels for one in coco.read(file, mixed, masks=True)
    ]
    assert [one.labels for one in coco.read(file, tuple("uvwxyz"), masks=True)] == plain
    pascal = changed(file, lambda content: content["categories"][0].update(name="tv monitor"))
    assert [one.labels for one in coco.read(pascal, ("tv", *LABELS[1:]), masks=True)] == plain


@pytest.mark.parametrize("where", ["", "images", "../images", "../val2017"])
def test_images_are_found_in_the_usual_places(where: str, tmp_path: Path) -> None:
    file = write(tmp_path / "annotations", where=where)
    file = file.rename(file.with_name("instances_val2017.json"))
    assert len(coco.read(file, LABELS, masks=True)) == 4


def _image(content: dict[str, Any]) -> dict[str, Any]:
    return content["images"][0]  # type: ignore[no-any-return]


def _first(content: dict[str, Any]) -> dict[str, Any]:
    return content["annotations"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: _image(c).update(file_name="nowhere.png"), "1 of 4 images are missing, the first is 'nowhere.png'"),
        (lambda c: _image(c).update(id=101), "1 images occur twice, the first is 101"),
        (lambda c: _image(c).update(file_name="1.png"), "1 file names occur twice, the first is '1.png'"),
        (lambda c: _image(c).update(width=0), "1 images have no size, the first is 100"),
        (lambda c: c["images"].clear(), "lists no images"),
        (lambda c: _first(c).update(id=2), "1 annotations occur twice, the first is 2"),
        (lambda c: _first(c).update(image_id=7), "1 annotations are of images that it does not list, the first is 1"),
        (lambda c: _first(c).update(bbox=[3, 3, 0, 5]), "1 boxes hold nothing of their image, the first is 1"),
        (lambda c: _first(c).update(bbox=[9, 9, 5, -5]), "1 boxes hold nothing"),
        (lambda c: _first(c).update(bbox=[48, 0, 5, 5]), "1 boxes hold nothing"),
        (lambda c: _first(c).update(bbox=[-9, 0, 5, 5]), "1 boxes hold nothing"),
        (lambda c: _first(c).update(bbox=[1, 2, 3]), "annotations[0].bbox"),
        (lambda c: _first(c).pop("category_id"), "annotations[0].category_id was not given"),
        (lambda c: _first(c).update(category_id=99), "1 categories are used and not listed, the first is 99"),
        (lambda c: c["categories"][1].update(id=1), "1 categories occur twice, the first is 1"),
        (lambda c: [one.update(name="disc") for one in c["categories"]], "No class of the network named 'disc'. Did"),
        (lambda c: _first(c).update(segmentation=[[1, 2, 3, 4]]), "1 masks fit no image, the first is 1"),
        (lambda c: _first(c)["segmentation"].update(size=[48, 40]), "1 masks fit no image"),
        (lambda c: _first(c)["segmentation"].update(counts="rubbish"), "1 masks fit no image"),
        (lambda c: _first(c)["segmentation"].update(counts=[3, 4, 5]), "1 masks fit no image"),
        (lambda c: _first(c)["segmentation"].update(counts=[-3, 4, 5]), "annotations[0].segmentation.counts[0]"),
        (lambda c: _first(c).pop("segmentation"), "1 annotations have no mask, the first is 1"),
    ],
)
def test_what_users_meet_is_one_line(change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path) -> None:
    labels = (*LABELS, "one more")
    with pytest.raises(LimenError) as caught:
        coco.read(changed(write(tmp_path), change), labels, masks=True)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none_and_images_of_another_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a COCO annotation file"):
        coco.read(tmp_path / "nowhere.json", LABELS, masks=True)
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="it cannot be .*Give a table of keys and values"):
        coco.read(tmp_path / "list.json", LABELS, masks=True)
    file = write(tmp_path / "set")
    Pillow.new("RGB", (40, 32)).save(tmp_path / "set" / "images" / "0.png")
    with pytest.raises(InputError, match="is 40 x 32 px, and its annotations are for 48 x 48"):
        coco.read(file, LABELS, masks=True)[0].read()


def _resized(images: list[np.ndarray]) -> torch.Tensor:
    return torch.cat([functional.interpolate(_floats(image)[None], (32, 32)) for image in images])


def _floats(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def test_parts_share_no_image_and_tasks_ask_for_what_they_need(tmp_path: Path) -> None:
    file = str(write(tmp_path, 9))
    detect, classify = task.find("detection"), task.find("classification")
    net = Network(nn.Identity(), _resized, "net", LABELS)
    found = data.parts(file, detect, net, 0, SubsetSizes(3, 3, 3))
    names = [part.example(i).name for part in (found.fit, found.calibrate, found.test) for i in range(3)]
    assert len(set(names)) == 9
    batch = found.test.batch(range(3))
    assert batch.images.shape == (3, 3, 32, 32)
    assert batch.targets[0].size == (48, 48)
    example = found.test.example(0)
    assert example.masks is not None
    assert example.masks.shape == (len(example.target), 48, 48)
    with pytest.raises(InputError, match=r"holds 9 images; 12 are needed \(4 to fit"):
        data.parts(file, detect, net, 0, SubsetSizes(4, 4, 4))
    with pytest.raises(InputError, match="classification is of one class an image"):
        data.parts(file, classify, net, 0, SubsetSizes(3, 3, 3))
    with pytest.raises(InputError, match="detection needs the boxes of objects"):
        data.parts(str(tmp_path), detect, net, 0, SubsetSizes(3, 3, 3))


def test_images_of_several_sizes_need_a_processor_that_makes_them_one(tmp_path: Path) -> None:
    file = write(tmp_path, 6)
    for number, side in ((0, 40), (1, 60), (2, 50)):
        Pillow.new("RGB", (side, 32)).save(tmp_path / "images" / f"{number}.png")

    def change(content: dict[str, Any]) -> None:
        for number, side in ((0, 40), (1, 60), (2, 50)):
            content["images"][number].update(width=side, height=32)
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] > 102]

    changed(file, change)
    detect = task.find("detection")
    fine = data.parts(str(file), detect, Network(nn.Identity(), _resized, "net", LABELS), 0, SubsetSizes(4, 1, 1))
    assert len(fine.fit.batch(range(4)).images) == 4
    plain = Network(nn.Identity(), lambda images: torch.stack([_floats(i) for i in images]), "plain", LABELS)
    with pytest.raises(InputError, match="ready for plain have different sizes, such as 40 x 32 px and"):
        data.parts(str(file), detect, plain, 0, SubsetSizes(4, 1, 1)).fit.batch(range(4))

    def padded(images: list[np.ndarray]) -> torch.Tensor:
        return torch.stack([functional.pad(_floats(i), (0, 60 - i.shape[1], 0, 60 - i.shape[0])) for i in images])

    with pytest.raises(InputError, match="padder crops or pads images of"):
        data.parts(
            str(file), detect, Network(nn.Identity(), padded, "padder", LABELS), 0, SubsetSizes(4, 1, 1)
        ).fit.batch([0])


@pytest.mark.slow
def test_a_checkpoint_and_annotations_from_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import transformers

    torch.manual_seed(1)
    config = transformers.YolosConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=[64, 64],
        num_detection_tokens=5, id2label=dict(enumerate(LABELS)),
        label2id={name: number for number, name in enumerate(LABELS)},
    )  # fmt: skip
    net = transformers.YolosForObjectDetection(config)
    with torch.no_grad():
        for weights in net.parameters():
            if weights.ndim > 1:
                nn.init.orthogonal_(weights, 2.0)
    net.save_pretrained(tmp_path / "net")
    transformers.YolosImageProcessorPil(size={"height": 64, "width": 64}, do_pad=False).save_pretrained(
        tmp_path / "net"
    )
    file, out = write(tmp_path / "data", 21), str(tmp_path / "run")
    given = ["--model", str(tmp_path / "net"), "--task", "detection", "--device", "cpu"]
    parts = ["--images-fit", "6", "--images-calibrate", "9", "--images-test", "6", "--seeds", "1", "--eps", "0.2"]
    maps = ["--map", "flat", "--map", "fisher,draws=1"]
    assert command(["feature", "splits", *given, "--json"]) == 0
    assert "vit.encoder.layer.0" in {row["path"] for row in json.loads(capfd.readouterr().out)}
    fit = ["feature", "fit", *given, "--split", "vit.encoder.layer.0", "--data", str(file), "--out", out, *parts, *maps]
    assert command(fit) == 0, capfd.readouterr().err
    assert "Pr[1-f1 <= 0.2] >= 0.9" in capfd.readouterr().out
    assert command(["feature", "evaluate", out, "--data", str(file), "--nrmse", "1", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert {row["map"] for row in rows} == {"clean", "flat", "fisher"}
    assert all(0 <= row["score"] <= 1 and row["n"] == 6 for row in rows)
    changed(file, lambda content: content["annotations"][0].update(bbox=[0, 0, 0, 0]))
    assert command([*fit[:-4], "--out", out + "2"]) == 1
    err = capfd.readouterr().err
    assert "1 boxes hold nothing of their image, the first is 1" in err
    assert err.count("\n") == 1
