"""Where there are no labels: answers are held against those of the clean output, in every task, stage and sentence."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from limen.cli import run as command
from limen.errors import InputError
from limen.feature import stages, task
from limen.feature.data import parts, synthetic
from limen.feature.data.instances import Instances, as_truth, encoded, precision
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.run import FeaturePlan, FeatureRun
from limen.report import Report

from .test_run import network, plan

SIZES = SubsetSizes(8, 19, 12)


def photographs(folder: Path, count: int = 40, side: int = 64, objects: tuple[int, int] = (1, 1)) -> Path:
    """Write scenes without saying what is in them, some in folders and folders in these."""
    drawn = synthetic.draw(synthetic.photographs(), "agree", range(count), side, objects, 6)
    for number, scene in enumerate(drawn):
        place = folder / ("", "holiday", "holiday/beach")[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(scene.image).save(place / f"{number:02}.png")
    return folder


def agreeing(folder: Path, **changes: object) -> FeaturePlan:
    return plan(
        data=str(folder), score="agreement", seeds=1, sizes=SIZES, maps={"flat": ("flat", {})}, eps=0.5, **changes
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agreement")
    with FeatureRun.begin(folder / "run", agreeing(photographs(folder / "photos")), "cpu", network()) as run:
        stages.fit(run)
        stages.calibrate(run)
        stages.evaluate(run, (0.5, 1.5))
        stages.quantise(run, (0.3, 3.0))
        stages.promise(run, stages.promised(run, 0.5, 0.2), ["uniform-image"])
    return folder


def test_the_score_is_the_share_of_images_whose_top_class_stays(measured: Path) -> None:
    with FeatureRun.open(measured / "run", "cpu", network(), data=str(measured / "photos")) as run:
        assert run.store.manifest["measures"]["score"] == "top-1 agreement with the clean output"
        clean, *others = stages.evaluate(run, (0.5, 1.5))
        assert (clean["score"], clean["score_low"], clean["score_high"]) == (1.0, None, None)
        test, made = run.parts(0).test, run.fitted(0)["flat"]
        assert len({test.example(i).name for i in range(12)}) == 12
        batch = test.batch(range(12))
        assert batch.targets == ()
        features = run.split.encode(batch.images)
        before = run.split.head(features)["logits"].argmax(1)
        for row in others:
            delta = stages.noise(made.map(features, batch.names), batch.names, 0, made.noise)
            moved = run.split.head(features.plus(stages.scaled(features, delta, row["nrmse"])))["logits"].argmax(1)
            assert row["score"] == float((before == moved).double().mean())
        assert others[1]["score"] < 1
        quantised = {(row["steps"], row["budget"]): row["score"] for row in stages.quantise(run, (0.3, 3.0))}
        assert quantised["uniform", 0.3] > quantised["uniform", 3.0]
        assert quantised["uniform", 0.3] > 0.6


def test_every_table_sentence_and_figure_says_so(measured: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command(["feature", "evaluate", str(measured / "run"), "--nrmse", "0.5", "--data", str(measured / "photos")])
    capfd.readouterr()
    page = measured / "page.html"
    with Report.open([measured / "run"]) as made:
        made.page(page)
        assert made.features is not None
        (screen,) = made.features.screens
    assert "op-1 agreement with the clean output at NRMSE" in screen.sentence
    told = page.read_text()
    assert "Top-1 agreement with the clean output at each NRMSE" in told
    assert "No labels: answers are held against those without noise, so that without noise it is 1." in told
    assert "dashed: 1, as without noise by construction" in told
    assert "without noise 1, by construction" in told
    assert "accuracy" not in told


def test_labels_are_needed_for_nothing_else(measured: Path, tmp_path: Path) -> None:
    """On the same images noise moves the output by the same amounts, whatever the answers are held against."""
    with FeatureRun.begin(tmp_path / "labels", dataclasses.replace(agreeing(Path("scenes")), score="labels"), "cpu",
                          network()) as run:  # fmt: skip
        stages.fit(run)
        labels = stages.evaluate(run, (1.0,))
    with FeatureRun.begin(tmp_path / "clean", agreeing(Path("scenes")), "cpu", network()) as run:
        stages.fit(run)
        agreement = stages.evaluate(run, (1.0,))
    assert labels[1]["discrepancy"] == agreement[1]["discrepancy"]
    assert labels[0]["score"] != agreement[0]["score"] == 1
    manifest = json.loads((tmp_path / "labels" / "manifest.json").read_text())
    assert manifest["measures"]["score"] == "top-1 accuracy"
    for name in ("score", "group_by"):
        del manifest["plan"][name]  # as older runs have it
    (tmp_path / "labels" / "manifest.json").write_text(json.dumps(manifest))
    with FeatureRun.open(tmp_path / "labels", "cpu", network()) as run:
        assert stages.evaluate(run, (1.0,)) == labels


@pytest.mark.parametrize(
    ("name", "model", "split", "score"),
    [
        ("detection", "demo:detector", "model.backbone", "box mAP50"),
        ("segmentation", "demo:segmenter", "model.pixel_level_module.decoder", "mask mAP50"),
    ],
)
@pytest.mark.slow
def test_found_objects_are_held_against_those_of_the_clean_output(
    name: str, model: str, split: str, score: str, tmp_path: Path
) -> None:
    folder = photographs(tmp_path / "photos", 21, 96, (1, 3))
    given = FeaturePlan(
        model, split, name, str(folder), 1, SubsetSizes(4, 9, 8), eps=0.5, maps={"flat": ("flat", {})},
        score="agreement",
    )  # fmt: skip
    with FeatureRun.begin(tmp_path / "run", given, "cpu") as run:
        assert run.store.manifest["measures"]["score"] == f"{score} agreement with the clean output"
        stages.fit(run)
        clean, little, much = stages.evaluate(run, (0.05, 2.0))
        assert clean["score"] == pytest.approx(1)
        assert clean["map50_95"] == pytest.approx(1)
        assert 1 >= little["score"] > much["score"]
        assert little["score"] > 0.8
        (row,) = (row for row in stages.quantise(run, (0.05,), maps=["flat"]) if row["steps"] == "uniform")
        assert row["score"] > 0.8


def test_what_was_found_stands_for_the_truth_from_a_score_of_one_half_on() -> None:
    masks = np.zeros((3, 8, 12), np.bool_)
    masks[0, :4], masks[1, 4:], masks[2, :, 6:] = True, True, True
    boxes = np.array([[0, 0, 1, 0.5], [0, 0.5, 1, 1], [0.5, 0, 1, 1]])
    answer = Instances(np.array([1, 0, 2]), np.array([0.9, 0.5, 0.49]), boxes, encoded(masks))
    found = as_truth(answer)
    assert found.labels.tolist() == [1, 0]
    assert found.scores.tolist() == [1, 1]
    assert found.size == (8, 12)
    assert precision([answer], [found], "masks").map50 == pytest.approx(1)
    assert precision([answer], [as_truth(dataclasses.replace(answer, masks=None))], "boxes").map50 == pytest.approx(1)
    assert as_truth(3) == 3
    nothing = Instances(np.zeros(1, np.int64), np.array([0.3]), boxes[:1])
    with pytest.raises(InputError, match="None of 1 test images holds an object .with --score agreement: one that the"):
        precision([nothing], [as_truth(nothing)], "boxes")


def test_images_without_labels_are_told_how_to_be_measured(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos", 3)
    for inner in ("holiday/beach/02.png", "holiday/01.png"):
        (folder / inner).unlink()
    (folder / "holiday" / "beach").rmdir()
    (folder / "holiday").rmdir()
    net = Network(network().model, labels=tuple("abcdefghij"))
    with pytest.raises(
        InputError, match="has no folders in it.* Images without labels are measured .*--score agreement"
    ):
        parts.parts(str(folder), task.find("classification"), net, 0, SubsetSizes(1, 1, 1))
    with pytest.raises(
        InputError, match="detection needs the boxes of objects, .*no labels of YOLO.*--score agreement"
    ):
        parts.parts(str(folder), task.find("detection"), net, 0, SubsetSizes(1, 1, 1))
    with pytest.raises(InputError, match="holds 1 images; 3 are needed"):
        parts.parts(str(folder), task.find("detection"), net, 0, SubsetSizes(1, 1, 1), labelled=False)


def test_splits_take_any_folder_of_images(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = photographs(tmp_path / "photos", 27)
    given = ["feature", "splits", "--model", "demo:resnet", "--data", str(folder), "--device", "cpu", "--json"]
    assert command([*given, "--sweep", "--images", "9", "--eps", "2", "--rho", "0.4"]) == 0, capfd.readouterr().err
    found = json.loads(capfd.readouterr().out)
    assert all(row["n"] == 9 and row["discrepancy"] > 0 for row in found)
