"""The feature wing end to end on a small network: fit, calibrate, evaluate, quantise, attribute, resume, mistakes."""

import asyncio
import json
import logging
import os
import random
import re
import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image as Pillow
from torch import nn

from limen.cli import run as command
from limen.cli.feature import _map
from limen.errors import InputError, LimenError, StoreError, UnknownNameError
from limen.feature import clean_batches, stages, task, tolerance
from limen.feature import run as runs
from limen.feature.data import parts
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network, NetworkSource, load
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import energy, noise, nrmse, scaled
from limen.feature.quantisation.codec import Quantiser
from limen.feature.run import MAPS, FeaturePlan, FeatureRun, _suited
from limen.report import Report
from limen.store import Store
from limen.store.rows import public

CLASSIFY = task.find("classification")
SIZES = SubsetSizes(fit=24, calibrate=20, test=24)
LABELS = ("gaussian", "flat", "absmax", "fisher", "shuffled")
SOME = {label: (name, {"of": "fisher"} if label == "shuffled" else given) for label, (name, given) in MAPS.items()
        if label in LABELS}  # fmt: skip


def network() -> Network:
    """Return ten classes from a convolution and a linear head, with weights that depend on nothing."""
    made = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 10))
    source = torch.Generator().manual_seed(3)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=source) * (0.3 if parameter.ndim > 1 else 0.1)
    return Network(made, name="small")


def plan(**changes: object) -> FeaturePlan:
    given = {"model": "small", "split": "1", "seeds": 2, "sizes": SIZES, "maps": SOME, "rho": 0.2} | changes
    return FeaturePlan(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("feature") / "run"
    with FeatureRun.begin(out, plan(), "cpu", network()) as run:
        for seed in range(2):
            run.fitted(seed, fit=True)
        stages.calibrate(run)
        stages.evaluate(run, (0.5, 1.0))
        stages.quantise(run, (0.3, 3.0))
        stages.attribute(run, 12)
    return out


def rows(path: Path, stage: str) -> list[dict[str, object]]:
    with Store.open(path) as store:
        return list(store.measurements(stage).values())


def test_pictures_say_what_their_colours_mean(measured: Path) -> None:
    found = rows(measured, "picture")
    images = [row for row in found if row["label"] == "image"]
    assert images
    assert all(row["low"] is None and row["high"] is None for row in images)
    scales = {(row["label"], row["low"], row["high"]) for row in found if row["label"] != "image"}
    assert scales
    assert len({label for label, _, _ in scales}) == len(scales)  # one scale a map, whichever the image
    assert all(0 < low <= 1 <= high for _, low, high in scales)  # even noise is 1


def test_every_seed_map_and_strength_has_a_row(measured: Path) -> None:
    found = rows(measured, "evaluate")
    clean = [row for row in found if row["map"] == "clean"]
    assert {row["seed"] for row in clean} == {0, 1}
    assert {(row["map"], row["nrmse"], row["seed"]) for row in found if row["map"] != "clean"} == {
        (label, strength, seed) for label in SOME for strength in (0.5, 1.0) for seed in (0, 1)
    }
    wanted = {"map", "nrmse", "score", "discrepancy", "energy_top1", "energy_top10", "seed", "n"}
    assert all(wanted <= row.keys() and row["n"] == 24 for row in found if row["map"] != "clean")


def test_more_noise_moves_the_output_more_and_the_fisher_map_moves_it_least(measured: Path) -> None:
    by = {(row["map"], row["nrmse"], row["seed"]): row for row in rows(measured, "evaluate")}
    for label in SOME:
        for seed in (0, 1):
            assert by[label, 1.0, seed]["discrepancy"] > by[label, 0.5, seed]["discrepancy"] > 0  # type: ignore[operator]
    assert by["fisher", 0.5, 0]["discrepancy"] < by["shuffled", 0.5, 0]["discrepancy"]  # type: ignore[operator]
    assert by["fisher", 0.5, 0]["discrepancy"] < by["flat", 0.5, 0]["discrepancy"]  # type: ignore[operator]


@pytest.mark.slow
def test_keeping_clean_features_for_the_next_map_changes_nothing(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = SplitPoint.encode
    monkeypatch.setattr(SplitPoint, "encode", lambda split, images: seen.append(len(images)) or encode(split, images))
    monkeypatch.setattr(runs, "BATCH", 10)

    def again(name: str, room: int) -> list[dict[str, object]]:
        monkeypatch.setattr(clean_batches, "ROOM", room)
        with FeatureRun.begin(tmp_path / name, plan(), "cpu", network()) as run:
            for seed in range(2):
                run.fitted(seed, fit=True)
            seen.clear()
            found = stages.evaluate(run, (0.5, 1.0))
        return found

    kept = again("kept", 2**20)
    assert seen == [10, 10, 4] * 2
    first = again("first", 10 * (6 * 64 + 10) * 4)  # room for the first ten images
    assert seen == [10, *[10, 4] * (1 + len(SOME))] * 2
    assert first == kept == again("none", 0)
    assert seen == [10, 10, 4] * 2 * (1 + len(SOME))
    assert {row["map"]: row["score"] for row in kept} == {
        row["map"]: row["score"] for row in rows(measured, "evaluate")
    }


def test_the_energy_of_a_shuffled_map_is_that_of_the_map(measured: Path) -> None:
    by = {(row["map"], row["nrmse"], row["seed"]): row for row in rows(measured, "evaluate")}
    assert by["shuffled", 0.5, 0]["energy_top10"] == pytest.approx(by["fisher", 0.5, 0]["energy_top10"])
    assert by["flat", 0.5, 0]["energy_top10"] == pytest.approx(0.1, abs=0.003)


def test_calibration_says_what_it_guarantees_and_what_came_of_it(measured: Path) -> None:
    found = rows(measured, "calibrate")
    assert {(row["map"], row["seed"]) for row in found} == {
        (label, seed) for label in ("flat", "fisher") for seed in (0, 1)
    }
    for row in found:
        assert row["rank"] == 4
        assert row["n_calibrate"] == 20
        assert 0 <= row["kept"] <= row["n"] == 24  # type: ignore[operator]
        assert row["band_low"] <= row["resplits_mean"] <= 1  # type: ignore[operator]
    log2 = {
        label: np.mean([row["log2_magnitude"] for row in found if row["map"] == label]) for label in ("flat", "fisher")
    }
    assert log2["fisher"] > log2["flat"]


def test_quantising_gives_the_columns_of_its_rows(measured: Path) -> None:
    found = rows(measured, "quantise")
    wanted = {"steps", "budget", "actual_noise", "bits", "side_bits", "score", "discrepancy", "seed"}
    assert all(wanted <= row.keys() for row in found)
    kinds = {"uniform", "uniform-image", "absmax", "tolerance:fisher", "permuted:fisher", "static:fisher"}
    assert {row["steps"] for row in found} == kinds
    assert all(
        row["side_bits"] == 0
        for row in found
        if str(row["steps"]).startswith(("static", "uniform")) and row["steps"] != "uniform-image"
    )
    assert {row["discrepancy"] for row in rows(measured, "equal-rate")} == {CLASSIFY.compared_at}


def test_attribution_divides_a_flat_map_by_area(measured: Path) -> None:
    flat = next(row for row in rows(measured, "attribute") if row["map"] == "flat" and row["seed"] == 0)
    assert flat["inside"] == pytest.approx(flat["area"], abs=1e-6)
    assert flat["density"] == pytest.approx(1, abs=1e-6)


def test_a_second_run_measures_nothing_again(measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(measured, "evaluate")
    with FeatureRun.begin(measured, plan(), "cpu", network()) as run:
        monkeypatch.setattr(stages, "_measured", pytest.fail)
        found = stages.evaluate(run, (0.5, 1.0))
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, before))


def test_more_seeds_may_be_added_and_old_rows_stay(measured: Path, tmp_path: Path) -> None:
    short = plan(seeds=1, maps={"flat": SOME["flat"]})
    with FeatureRun.begin(tmp_path / "run", short, "cpu", network()) as run:
        run.fitted(0, fit=True)
        first = stages.evaluate(run, (1.0,))
    with FeatureRun.begin(tmp_path / "run", plan(seeds=2, maps={"flat": SOME["flat"]}), "cpu", network()) as run:
        run.fitted(1, fit=True)
        both = stages.evaluate(run, (1.0,))
    assert [row for row in both if row["seed"] == 0] == first
    assert {row["seed"] for row in both} == {0, 1}


def test_results_do_not_depend_on_the_batch(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BATCH", 7)
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        for seed in range(2):
            run.fitted(seed, fit=True)
        found = {(row["map"], row["nrmse"], row["seed"]): row for row in stages.evaluate(run, (0.5,))}
    for row in rows(measured, "evaluate"):
        other = found.get((row["map"], row["nrmse"], row["seed"]))
        if other and row["map"] != "clean":
            assert other["discrepancy"] == pytest.approx(row["discrepancy"], rel=1e-4)
            assert other["score"] == row["score"]


def test_another_network_or_plan_is_another_study(measured: Path) -> None:
    other = network()
    other.model[0].weight.data += 1
    with pytest.raises(StoreError, match="another study"):
        FeatureRun.begin(measured, plan(), "cpu", other)
    with pytest.raises(StoreError, match="another study"):
        FeatureRun.begin(measured, plan(eps=0.2), "cpu", network())


def test_a_run_that_holds_a_former_name_is_opened_measured_and_reported(tmp_path: Path) -> None:
    """Its manifest says image-fisher, which is own-fisher now, and its rows and files go on saying so."""
    out, few = tmp_path / "run", {"draws": 1}
    former = {"fisher": ("fisher", few), "image-fisher": ("image-fisher", few)}
    with FeatureRun.begin(out, plan(seeds=1, maps=former), "cpu", network()) as run:
        stages.fit(run)
    assert json.loads((out / "manifest.json").read_text())["plan"]["maps"]["image-fisher"] == ["image-fisher", few]
    with FeatureRun.open(out, "cpu", network()) as run:
        assert {row["map"] for row in stages.calibrate(run)} == {"fisher"}  # the other is there to be compared with
        assert "image-fisher" in {row["map"] for row in stages.evaluate(run, (1.0,))}
        made = stages.quantiser(run, "tolerance:image-fisher", 0.5, 0)
        made.save(tmp_path / "quantiser")
        stages.attribute(run, 4)
        batch = run.parts(0).test.batch(range(3))
        sent = made.encode(run.split.encode(batch.images), batch.names)
    assert Quantiser.load(tmp_path / "quantiser").decode(sent).tensors[0].shape[0] == 3
    with Report.open([out]) as report:
        report.page(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "of this image (it takes the head at the sender)" in page
    assert "there and back, so that a sender would need the head: image-fisher." in page
    assert "oracle" not in page
    now = {"fisher": ("fisher", few), "own-fisher": ("own-fisher", few)}
    for maps in ({}, now):  # asked for again by today's names, or with today's defaults
        with FeatureRun.begin(out, plan(seeds=1, maps=maps), "cpu", network()) as run:
            assert dict(run.plan.maps) == former
    with pytest.raises(StoreError, match="another study"):
        FeatureRun.begin(out, plan(seeds=1, maps=now | {"flat": ("flat", {})}), "cpu", network())


def test_maps_that_choose_among_tensors_are_default_where_there_are_several() -> None:
    single = Features((torch.zeros(1, 4, 2, 2),), (3, 8, 8))
    several = Features((torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 1, 1)), (3, 8, 8))
    by = {count: set(MAPS) - set(_suited({}, one)) for count, one in ((1, single), (2, several))}
    assert by == {1: {"cls-spared", "shares", "shuffled-across"}, 2: {"cls-spared"}}
    assert set(_suited({"mine": ("shares", {})}, single)) == {"mine"}  # asked for, it is flat


def test_a_map_of_the_command_line_is_the_default_of_that_name_changed_as_is_written() -> None:
    assert _map("learned-information,steps=600") == (
        "learned-information", ("learned", {**MAPS["learned-information"][1], "steps": "600"}),
    )  # fmt: skip
    assert _map("mine=learned,steps=7") == ("mine", ("learned", {**MAPS["learned"][1], "steps": "7"}))
    assert _map("m=learned,objective=log_magnitude") == ("m", ("learned", {"objective": "log_magnitude"}))
    assert _map("fisher-2") == ("fisher-2", ("fisher", {"power": -2.0}))
    assert _map("sharp=fisher,power=-2,damping=0.03") == ("sharp", ("fisher", {"power": "-2", "damping": "0.03"}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": "9"}, "no module '9'"),
        ({"split": "0.weight"}, "no module"),
        ({"task": "classificaton"}, "Did you mean 'classification'"),
        ({"drop": "kll"}, "Did you mean 'kl'"),
        ({"seeds": 0}, "one seed at least"),
        ({"rho": 1.5}, "rho is a probability between 0 and 1"),
        ({"data": "nowhere"}, "No folder 'nowhere'"),
        ({"sizes": SubsetSizes(0, 20, 1)}, "an image at least"),
        ({"rho": 0.01}, "it takes 99 at least"),
        ({"eps": -1.0}, "0 or more"),
        ({"maps": {"mine": ("fishr", {})}}, "Did you mean 'fisher'"),
        ({"maps": {"mine": ("fisher", {"ovr": "channel"})}}, "no setting 'ovr'. Did you mean 'over'"),
        ({"maps": {"spared": ("cls-spared", {})}}, "is for tokens"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(LimenError, match=re.escape(said)) as caught:
        FeatureRun.begin(tmp_path / "run", plan(**changes), "cpu", network())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_network_that_leaks_says_how_much(tmp_path: Path) -> None:
    class Leaking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Conv2d(3, 4, 8, 8), nn.LazyLinear(10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(torch.cat([self.inner(images).flatten(1), images.mean((2, 3))], 1))

    made = Leaking()
    made(torch.zeros(1, 3, 64, 64))
    with pytest.raises(InputError, match=r"'inner' does not carry all the information: \d+\.\d% of what"):
        FeatureRun.begin(tmp_path / "run", plan(split="inner"), "cpu", Network(made))


def test_folders_of_images_are_read_by_the_networks_own_names(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(3):
            Pillow.fromarray(np.full((64, 64, 3), 40 * number, np.uint8)).save(tmp_path / label / f"{number}.png")
    net = Network(network().model, name="pets", labels=("dog", "bird", "cat"))
    found = parts.parts(str(tmp_path), CLASSIFY, net, 0, SubsetSizes(2, 2, 2))
    seen = [example for part in (found.fit, found.calibrate, found.test) for example in map(part.example, range(2))]
    assert len({example.name for example in seen}) == 6
    assert all(example.target == {"cat": 2, "dog": 0}[example.name.split("/")[0]] for example in seen)
    again = parts.parts(str(tmp_path), CLASSIFY, net, 0, SubsetSizes(2, 2, 2))
    assert [again.fit.example(i).name for i in range(2)] == [found.fit.example(i).name for i in range(2)]
    with pytest.raises(InputError, match="holds 6 images in 2 class folders; 9 are needed"):
        parts.parts(str(tmp_path), CLASSIFY, net, 0, SubsetSizes(3, 3, 3))
    with pytest.raises(InputError, match="'cat' is none of their names"):
        parts.parts(str(tmp_path), CLASSIFY, Network(net.model, labels=("a", "b", "c")), 0, SubsetSizes(2, 2, 2))


def test_labels_out_of_range_are_refused() -> None:
    outputs = {"logits": torch.zeros(2, 3)}
    with pytest.raises(InputError, match="such as 3"):
        CLASSIFY.check(outputs, [0, 3])


def test_a_head_for_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not fit classification"):
        CLASSIFY.outputs({"logits": torch.zeros(2, 5, 3), "pred_boxes": torch.zeros(2, 5, 4)})
    with pytest.raises(InputError, match="No model at .* Give the folder of a checkpoint, or a hub id"):
        load(str(tmp_path / "nowhere"), CLASSIFY, "cpu")
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet'"):
        load("demo:resnt", CLASSIFY, "cpu")


def test_noise_belongs_to_names_not_to_the_batch() -> None:
    ones = torch.ones(3, 4, 5)
    (whole,) = noise([ones], ["a", "b", "c"], 0)
    (part,) = noise([ones[:1]], ["c"], 0)
    assert torch.equal(whole[2:], part)
    assert not torch.equal(whole[0], whole[1])
    assert set(whole.unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(whole, noise([ones], ["a", "b", "c"], 1)[0])


def test_strength_is_joint_over_tensors_and_energy_counts_the_strongest() -> None:
    features = Features((torch.full((1, 2, 2), 3.0), torch.full((1, 4), 4.0)), (3, 8, 8))
    delta = (torch.ones(1, 2, 2), torch.zeros(1, 4))
    assert float(nrmse(features, delta)) == pytest.approx(2 / 10)
    assert float(nrmse(features, scaled(features, delta, 0.7))) == pytest.approx(0.7)
    found = energy((torch.tensor([[1.0] * 99 + [10.0]]),))
    assert found.top1 == pytest.approx(100 / 199)
    assert found.top10 == pytest.approx(109 / 199)
    with pytest.raises(InputError, match="all zero"):
        nrmse(Features((torch.zeros(1, 4),), (3, 8, 8)), (torch.ones(1, 4),))


def test_disarranged_maps_stand_on_one_that_was_fitted() -> None:
    net = network()
    split = SplitPoint(net.model, "1", CLASSIFY.outputs)
    images = parts.parts("scenes", CLASSIFY, net, 0, SIZES).fit
    shuffled = tolerance.make("shuffled", {"of": "learned"})
    with pytest.raises(InputError, match="No map 'learned' was fitted before"):
        shuffled.fit(tolerance.Scope(split, CLASSIFY, images))


@pytest.mark.slow
def test_the_command_line_from_fit_to_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    begin = ["feature", "fit", "--model", "demo:resnet", "--split", "resnet.encoder.stages.2", "--data", "scenes"]
    small = ["--images-fit", "16", "--images-calibrate", "9", "--images-test", "8", "--seeds", "1", "--device", "cpu"]
    maps = ["--map", "gaussian", "--map", "fisher,draws=1", "--map", "mine=learned,steps=2,batch=8"]
    assert command([*begin, "--out", out, *small, *maps, "--json"]) == 0
    calibrated = json.loads(capfd.readouterr().out)
    assert {row["map"] for row in calibrated} == {"fisher", "mine"}
    assert command(["feature", "evaluate", out, "--nrmse", "0.5,1", "--json"]) == 0
    assert {row["map"] for row in json.loads(capfd.readouterr().out)} == {"clean", "gaussian", "fisher", "mine"}
    assert command(["feature", "quantise", out, "--budget", "0.5,2"]) == 0
    short = capfd.readouterr().out
    assert "permuted:fisher" in short
    assert "With --all also: Every budget tried" in short
    assert command(["feature", "quantise", out, "--budget", "0.5,2", "--all"]) == 0
    whole = capfd.readouterr().out
    assert "\nWhat it takes for a KL of" in whole
    assert whole.startswith("Every budget tried")
    assert "With --all" not in whole
    assert command(["feature", "attribute", out, "--images", "4"]) == 0
    assert "density in / out" in capfd.readouterr().out
    assert command(["report", out, "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "demo:resnet" in page
    assert "Pr[kl &lt;= 0.05]" in page
    assert command(["feature", "export", out, "--out", str(tmp_path / "q"), "--steps", "static:fisher"]) == 0
    assert (tmp_path / "q" / "quantiser.json").exists()
    assert command(["feature", "evaluate", out, "--nrmse", "none"]) == 1
    assert "takes numbers above 0" in capfd.readouterr().err


@pytest.mark.slow
def test_a_checkpoint_and_a_folder_of_photographs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    names = {0: "tench", 1: "goldfish", 2: "shark"}
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=names,
        label2id={name: number for number, name in names.items()},
    )  # fmt: skip
    ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
    size = {"height": 32, "width": 32}
    ViTImageProcessor(size=size).save_pretrained(tmp_path / "net")
    for number, label in names.items():
        (tmp_path / "val" / label).mkdir(parents=True)
        for picture in range(12):
            pixels = np.random.default_rng(20 * number + picture).integers(0, 256, (40, 50 + picture, 3), np.uint8)
            Pillow.fromarray(pixels).save(tmp_path / "val" / label / f"{picture}.png")
    out = str(tmp_path / "run")
    sizes = ["--images-fit", "12", "--images-calibrate", "12", "--images-test", "12", "--device", "cpu"]
    given = ["--model", str(tmp_path / "net"), "--split", "resnet.encoder.stages.0", "--data", str(tmp_path / "val")]
    maps = ["--map", "flat", "--map", "fisher,draws=1,over=channel", "--seeds", "1"]
    assert command(["feature", "fit", *given, "--out", out, *sizes, *maps]) == 0, capfd.readouterr().err
    assert "Pr[kl <= 0.05] >= 0.9" in capfd.readouterr().out
    assert command(["feature", "evaluate", out, "--nrmse", "1", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert {row["map"] for row in found} == {"clean", "flat", "fisher"}
    assert command(["feature", "attribute", out]) == 1
    assert "No image has object masks" in capfd.readouterr().err
    assert command(["feature", "fit", *given, "--out", out + "2", "--images-fit", "99"]) == 1
    assert "are needed" in capfd.readouterr().err
    assert command(["feature", "splits", "--model", str(tmp_path / "net"), "--json"]) == 0
    assert "resnet.encoder.stages.0" in {row["path"] for row in json.loads(capfd.readouterr().out)}


# What is quantised, calibrated and exported.


def test_numbered_variants_and_labels_of_ones_own_go_through_every_stage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    maps = {
        "gaussian": ("gaussian", {}),
        "fisher": ("fisher", {"draws": 1}),
        "fisher-2": ("fisher", {"power": -2.0, "draws": 1}),
        "mine": ("fisher", {"over": "token", "draws": 2}),
    }
    out = tmp_path / "run"
    with FeatureRun.begin(out, plan(seeds=1, maps=maps), "cpu", network()) as run:
        run.fitted(0, fit=True)
        assert {row["map"] for row in stages.calibrate(run)} == {"fisher", "fisher-2", "mine"}
        kinds = {str(row["steps"]) for row in stages.quantise(run, (0.3, 3.0))}
        assert {f"{kind}:{label}" for kind in ("tolerance", "permuted", "static") for label in list(maps)[1:]} < kinds
        assert not any("gaussian" in kind for kind in kinds)
        assert {row["map"] for row in stages.attribute(run, 4)} == set(maps)
        assert {row["label"] for row in rows(out, "picture")} == {"image", "fisher", "fisher-2", "mine"}
        powers = {label: stages.quantiser(run, f"static:{label}", 0.5, 0).key for label in maps}
        assert len(set(powers.values())) == len(maps)  # unlike settings are unlike quantisers
        with pytest.raises(UnknownNameError, match="No map in run named 'mien'. Did you mean 'mine'"):
            stages.calibrate(run, maps=["mien"])
        assert {row["map"] for row in stages.calibrate(run, maps=["gaussian"])} == {"gaussian"}
        stages.evaluate(run, (0.5,))
    assert command(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0, capfd.readouterr().err
    page = (tmp_path / "page.html").read_text()
    assert all(f"static:{label}" in page for label in ("fisher-2", "mine"))


def test_budgets_of_earlier_calls_count_at_equal_rate(tmp_path: Path) -> None:
    with FeatureRun.begin(tmp_path / "run", plan(seeds=1, maps={"flat": ("flat", {})}), "cpu", network()) as run:
        run.fitted(0, fit=True)
        stages.quantise(run, (0.1, 0.3, 1.0, 3.0))
        first = stages.equal_rates(run)
        stages.quantise(run, (0.3,))
        assert stages.equal_rates(run) == first
    assert any(row["bits"] is not None for row in first)


def test_budgets_go_on_until_the_comparison_lies_within_them(tmp_path: Path) -> None:
    with FeatureRun.begin(tmp_path / "run", plan(seeds=1, maps={"flat": ("flat", {})}), "cpu", network()) as run:
        run.fitted(0, fit=True)
        stages.quantise(run, (0.02,))
        assert {row["censored"] for row in stages.equal_rates(run)} == {"fewer"}
        found = stages.quantise(run, (0.02,), further=True)
        equal = stages.equal_rates(run)
        assert all(row["bits"] is not None and not row["censored"] for row in equal)
        assert all(row["ratio"] is not None for row in equal)
        # Intervals over the images of one seed: where nearly all draws of them lie within the budgets tried.
        known = [row for row in equal if row["bits_low"] is not None]
        assert known
        assert all(row["bits_low"] < row["bits"] < row["bits_high"] for row in known)
        compared = [row for row in equal if row["ratio_image_low"] is not None]
        assert compared
        assert all(row["ratio_image_low"] <= row["ratio_image"] <= row["ratio_image_high"] for row in compared)
        budgets = sorted(row["budget"] for row in found if row["steps"] == "uniform")
        assert budgets[:4] == [0.02, 0.03, 0.045, 0.068]  # by 1.5 each
        assert [row["discrepancy"] > 0.1 for row in found if row["steps"] == "uniform"].count(True) == 1  # no further
        before = run.store.measurements("quantise")
        assert stages.quantise(run, (0.02,), further=True) == found  # resumed: nothing is tried again
        assert run.store.measurements("quantise") == before


def test_budgets_that_are_too_large_go_down_and_end_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "FURTHEST", (1.0, 3.0))
    with FeatureRun.begin(tmp_path / "run", plan(seeds=1, maps={"flat": ("flat", {})}), "cpu", network()) as run:
        run.fitted(0, fit=True)
        found = stages.quantise(run, (3.0,), further=True)
        assert {row["budget"] for row in found if row["steps"] == "uniform"} == {3.0, 2.0, 1.3}
        assert {row["censored"] for row in stages.equal_rates(run)} == {"more"}


@pytest.mark.parametrize("label", ["clean", "../up", "a/b", ".hidden", "", "x\n", "l" * 99])
def test_labels_that_cannot_be_files_or_rows_are_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A map cannot be called"):
        FeatureRun.begin(tmp_path / "run", plan(maps={label: ("flat", {})}), "cpu", network())


def test_two_maps_of_one_label_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    begin = ["feature", "fit", "--model", "demo:resnet", "--split", "resnet.encoder.stages.2", "--data", "scenes"]
    same = ["--map", "fisher,power=-1", "--map", "fisher,power=-2"]
    assert command([*begin, "--out", str(tmp_path / "run"), *same]) == 1
    assert "Two maps are called 'fisher'" in capfd.readouterr().err


# What a run keeps.


@pytest.fixture
def two(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    with FeatureRun.begin(out, plan(seeds=1, maps={"fisher": ("fisher", {"draws": 1})}), "cpu", network()) as run:
        run.fitted(0, fit=True)
    return out


def test_a_map_that_was_changed_cut_off_or_lost_is_named(two: Path) -> None:
    file = two / "seed-0" / "fisher.safetensors"
    there = file.read_bytes()
    with FeatureRun.open(two, "cpu", network()) as run:
        for content in (there[:-1], there[:-4] + b"\0\0\0\1", b""):
            file.write_bytes(content)
            with pytest.raises(StoreError, match=r"seed-0/fisher\.safetensors is not the map that was fitted"):
                run.fitted(0)
        file.unlink()
        with pytest.raises(StoreError, match=r"no map 'fisher' of seed 0 \(seed-0/fisher\.safetensors is missing"):
            run.fitted(0)
        run.fitted(0, fit=True)
        assert file.read_bytes() == there
        row = rows(two, "fit")[0]
        run.store.add_measurements("fit", {"fisher 0": row | {"digest": "0" * 32}})
        file.unlink()
        with pytest.raises(StoreError, match="fitted again it holds other numbers"):
            run.fitted(0, fit=True)


def test_maps_from_before_there_were_digests_are_read_and_tried(two: Path) -> None:
    file = two / "seed-0" / "fisher.safetensors"
    there = file.read_bytes()
    with FeatureRun.open(two, "cpu", network()) as run:
        old = {key: value for key, value in rows(two, "fit")[0].items() if key != "digest"}
        run.store.add_measurements("fit", {"fisher 0": old})
        run.fitted(0)
        for state in ({}, {"information.1": torch.ones(1, 6, 8, 8)}, {"information.0": torch.ones(1, 5, 8, 8)},
                      {"information.0": torch.ones(1, 6, 8, 8), "information.1": torch.ones(1, 3)}):  # fmt: skip
            file.write_bytes(safetensors.torch.save(state))
            with pytest.raises(StoreError, match=r"fisher\.safetensors (cannot be read as a map|is a map of features)"):
                run.fitted(0)
        file.write_bytes(there)


def test_a_row_without_an_entry_is_named(measured: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(measured, other)
    with Store.create(other, {}) as store:
        key, row = next(iter(store.measurements("evaluate").items()))
        store.add_measurements("evaluate", {key: {name: value for name, value in row.items() if name != "seed"}})
    assert command(["report", str(other), "--out", str(tmp_path / "page.html")]) == 1
    told = capfd.readouterr().err
    assert re.fullmatch(r"limen: \S+trials\.db: the row 'absmax 0\.5 0' of 'evaluate': .*seed was not given.*\n", told)
    with FeatureRun.open(other, "cpu", network()) as run, pytest.raises(StoreError, match=r"the row 'absmax 0\.5 0'"):
        stages.evaluate(run, (0.5,))


def photographs(folder: Path) -> Path:
    for label in map(str, range(10)):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            pixels = np.random.default_rng(10 * int(label) + number).integers(0, 256, (64, 64, 3), np.uint8)
            Pillow.fromarray(pixels).save(folder / label / f"{number}.png")
    (folder / ".cache").mkdir()
    (folder / "0" / "._0.png").write_bytes(b"what another system leaves beside a file")
    return folder


def test_a_run_keeps_no_path_and_finds_its_data_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = photographs(tmp_path / "PRIVATE" / "val")
    out = tmp_path / "somewhere" / "run"
    given = plan(seeds=1, data=str(data), sizes=SubsetSizes(20, 20, 20), maps={"flat": ("flat", {})}, eps=5.0)
    with FeatureRun.begin(out, given, "cpu", network()) as run:
        run.fitted(0, fit=True)
        assert stages.evaluate(run, (1.0,))
        stages.quantise(run, (0.5,))
        stages.quantiser(run, "uniform", 0.5, 0).save(out / "exported")
    assert command(["report", str(out), "--out", str(out / "page.html"), "--tables", str(out / "tables")]) == 0
    written = [file for file in out.rglob("*") if file.is_file()]
    assert len(written) > 8
    assert not [file.name for file in written if b"PRIVATE" in file.read_bytes() or b"somewhere" in file.read_bytes()]
    with pytest.raises(StoreError, match=r"the data 'val', which is neither beside it nor here.*--data PATH"):
        FeatureRun.open(out, "cpu", network())
    FeatureRun.open(out, "cpu", network(), data=str(data)).store.close()
    (tmp_path / "elsewhere").mkdir()
    data.rename(tmp_path / "elsewhere" / "val")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with FeatureRun.open(out, "cpu", network()) as run:  # it lies in the current directory now
        assert len(stages.evaluate(run, (1.0,))) == 2
    Pillow.new("RGB", (64, 64)).save(tmp_path / "elsewhere" / "val" / "3" / "3.png")
    with pytest.raises(StoreError, match="another study: data was"):
        FeatureRun.open(out, "cpu", network())


def test_a_run_of_an_older_limen_with_its_paths_goes_on_and_does_not_show_them(tmp_path: Path) -> None:
    data = photographs(tmp_path / "PRIVATE" / "val")
    out = tmp_path / "run"
    given = plan(seeds=1, data=str(data), sizes=SubsetSizes(20, 20, 20), maps={"flat": ("flat", {})}, eps=5.0)
    with FeatureRun.begin(out, given, "cpu", network()) as run:
        run.fitted(0, fit=True)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["plan"] |= {"data": str(data), "model": str(tmp_path / "PRIVATE" / "net")}
    for gone in ("folder", "revision"):
        manifest["network"].pop(gone)
    manifest["plan"].pop("revision")
    manifest.pop("data")
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert command(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0
    with FeatureRun.open(out, "cpu", network()) as run:
        assert stages.evaluate(run, (1.0,))
    assert command(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "val" in page
    assert "PRIVATE" not in page


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/home/bob/val/", "val"),
        ("/home/bob/coco/instances_val2017.json", "instances_val2017.json"),
        ("~bob/val", "val"),
        ("C:\\Users\\bob\\val", "val"),
        ("\\\\server\\bob\\val", "val"),
        ("file:///home/bob/val", "val"),
        ("/", "root"),
        ("data/val", "data/val"),
        ("microsoft/resnet-50", "microsoft/resnet-50"),
        ("demo:resnet", "demo:resnet"),
        ("scenes", "scenes"),
    ],
)
def test_of_a_path_that_says_where_only_the_last_part_is_public(place: str, shown: str) -> None:
    assert public(place) == shown


# Checkpoints.


def checkpoint(folder: Path) -> Path:
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
    ResNetForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.file,)


def test_a_checkpoint_of_pickles_is_refused_unread(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "net")
    (folder / "model.safetensors").unlink()
    torch.save(Trap(tmp_path / "sprung"), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="limen reads safetensors alone, as pickles can run code"):
        load(str(folder), CLASSIFY, "cpu")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_code_of_a_checkpoint_is_refused_without_a_question(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "net")
    (folder / "code.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'sprung')!r}).touch()\n")
    content = json.loads((folder / file).read_text())
    names = {"config.json": ("AutoConfig", "AutoModelForImageClassification"),
             "preprocessor_config.json": ("AutoImageProcessor",)}[file]  # fmt: skip
    content |= {
        "model_type": "unheard-of",
        "image_processor_type": "Unheard",
        "auto_map": dict.fromkeys(names, "code.X"),
    }
    (folder / file).write_text(json.dumps(content))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    with pytest.raises(InputError) as caught:
        load(str(folder), CLASSIFY, "cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_shape_are_no_trained_head(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "net")
    content = json.loads((folder / "config.json").read_text())
    names = {str(n): f"class {n}" for n in range(5)}
    (folder / "config.json").write_text(json.dumps(content | {"id2label": names}))
    with pytest.raises(InputError, match="missing or do not fit|Give a checkpoint with a head"):
        load(str(folder), CLASSIFY, "cpu")
    with pytest.raises(InputError, match="has no revision 'main'"):
        load(NetworkSource(str(folder), "main"), CLASSIFY, "cpu")


# Notebooks.


@pytest.mark.slow
def test_every_entry_works_in_a_running_loop_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    async def cell() -> None:
        maps = {"mine": ("learned", {"steps": 2, "draws": 1}), "fisher": ("fisher", {"draws": 1})}
        sizes = SubsetSizes(8, 9, 4)
        given = FeaturePlan("demo:resnet", "resnet.encoder.stages.1", seeds=1, sizes=sizes, maps=maps)
        with FeatureRun.begin(tmp_path / "run", given) as run:
            run.fitted(0, fit=True)
            stages.calibrate(run)
            stages.evaluate(run, (1.0,))
            stages.quantise(run, (1.0,))
            stages.attribute(run, 2)
            stages.quantiser(run, "static:mine", 0.5, 0).save(tmp_path / "exported")

    def state() -> list[object]:
        import transformers

        logs = transformers.utils.logging
        return [
            torch.get_num_threads(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
            torch.get_default_dtype(), torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist(),
            random.getstate(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM),
            logs.get_logger("transformers").level, logs.is_progress_bar_enabled(), warnings.filters[:3],
            logging.getLogger().level, os.getcwd(),
        ]  # fmt: skip

    before = state()
    asyncio.run(cell())
    assert state() == before


def test_a_map_is_learnt_where_gradients_are_switched_off(tmp_path: Path) -> None:
    maps = {"mine": ("learned", {"steps": 2, "draws": 1})}
    with torch.no_grad(), FeatureRun.begin(tmp_path / "run", plan(seeds=1, maps=maps), "cpu", network()) as run:
        run.fitted(0, fit=True)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("numbers", [(0.5, float("nan")), (float("inf"),), (0.0,), (), (0.1, 0.1000000001)])
def test_strengths_and_budgets_are_numbers_that_rows_can_tell_apart(two: Path, numbers: tuple[float, ...]) -> None:
    with FeatureRun.open(two, "cpu", network()) as run:
        for stage in (stages.evaluate, stages.quantise):
            with pytest.raises(InputError, match="NRMSE above 0|the same to six digits"):
                stage(run, numbers)


def test_figures_do_not_depend_on_the_default_number_format(tmp_path: Path) -> None:
    def figures(name: str, net: Network) -> list[dict[str, object]]:
        maps = {"gaussian": ("gaussian", {}), "mine": ("learned", {"steps": 2, "draws": 1})}
        with FeatureRun.begin(tmp_path / name, plan(seeds=1, maps=maps), "cpu", net) as run:
            run.fitted(0, fit=True)
            return stages.evaluate(run, (0.5,))

    usual = figures("usual", network())
    other = network()
    torch.set_default_dtype(torch.float64)
    try:
        assert figures("other", other) == usual
    finally:
        torch.set_default_dtype(torch.float32)
