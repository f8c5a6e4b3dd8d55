"""Features or the picture: codecs, the image as the network sees it, both at one promise, their curves, refusals."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limen.cli import run as command
from limen.errors import InputError, StoreError, UnknownNameError
from limen.feature import anchors, image_codecs, stages, task
from limen.feature import run as runs
from limen.feature.clean_batches import CleanBatches
from limen.feature.course import Pace
from limen.feature.data.parts import LabelledImage, Subset, SubsetSizes, parts
from limen.feature.image_codecs import CODECS, ImageCodec
from limen.feature.model.network import Network, load
from limen.feature.model.preparation import PRESETS, Preparation
from limen.feature.plan import FeaturePlan
from limen.feature.quantisation import integers
from limen.feature.quantisation.codec import HEADER
from limen.feature.quantisation.promise import DELTA, Promise
from limen.feature.run import FeatureRun
from limen.feature.seen_pixels import SeenPixels
from limen.image import Image
from limen.report import Report, feature_anchors
from limen.report.feature_sections import first_screen
from limen.statistics.bjontegaard import RateCurve, bd_rate, front
from limen.store import Store
from limen.store.rows import measured
from limen.testing import photograph

# --- codecs ---


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_codec_gives_back_the_picture_in_fewer_bytes_the_coarser_it_is(codec: ImageCodec) -> None:
    image = photograph("a", 48, 64)
    assert list(codec.settings) == sorted(codec.settings, reverse=True)
    assert set(codec.drawn) <= set(codec.settings)
    sizes, errors = [], []
    for setting in codec.drawn[::3]:
        data = codec.encode(image, setting)
        assert codec.encode(image, setting) == data
        received = codec.decode(data)
        assert received.shape == image.shape
        sizes.append(len(data))
        errors.append(float(np.abs(received.astype(float) - image).mean()))
        assert 0 < codec.header(setting, 48, 64) < len(data)
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)
    assert (errors[0] == 0) == (codec.name == "webp-lossless")


@pytest.mark.parametrize("side", [8, 13, 32])
def test_small_images_can_be_coded_too(side: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    for codec in CODECS.values():
        assert codec.decode(codec.encode(image, codec.drawn[-1])).shape == image.shape


def test_an_unknown_codec_and_an_image_too_large_for_one_are_refused() -> None:
    assert [codec.name for codec in image_codecs.find(["webp", "jpeg", "webp"])] == ["webp", "jpeg"]
    assert len(image_codecs.find()) == len(CODECS)
    with pytest.raises(UnknownNameError, match="Did you mean 'jpeg2000'"):
        image_codecs.find(["jpeg200"])
    with pytest.raises(InputError, match=r"Images of 16384 x 1 px, as the network sees them, cannot be coded as WEBP"):
        CODECS["webp"].encode(np.zeros((1, 16384, 3), np.uint8), 50)


# --- the image as the network sees it ---


def shown(prepare: Callable[[Sequence[Image]], torch.Tensor], image: Image) -> Subset:
    return Subset(1, lambda index: LabelledImage("one", image, 0), Network(nn.Identity(), prepare, "net"))


def seen_by(prepare: Callable[[Sequence[Image]], torch.Tensor], image: Image) -> tuple[SeenPixels, torch.Tensor]:
    subset = shown(prepare, image)
    return SeenPixels.of(Network(nn.Identity(), prepare, "net"), subset), subset.batch([0]).images


@pytest.mark.parametrize("name", ["demo:resnet", "demo:vit"])
def test_networks_that_ship_see_their_images_as_they_are(name: str) -> None:
    classify = task.find("classification")
    network = load(name, classify, "cpu")
    test = parts("scenes", classify, network, 0, SubsetSizes(1, 1, 8)).test
    seen = SeenPixels.of(network, test)
    prepared = test.batch(range(8)).images
    images = seen.images(prepared)
    assert all(np.array_equal(image, test.example(place).image) for place, image in enumerate(images))
    again = seen.prepared(images, prepared)
    assert again.dtype == prepared.dtype
    assert float((again - prepared).abs().max()) < 1e-6


def test_resizing_and_cropping_are_before_the_codec_and_normalising_is_undone() -> None:
    preparation = PRESETS["imagenet"]
    image = photograph("a", 280, 300)
    seen, prepared = seen_by(preparation, image)
    (picture,) = seen.images(prepared)
    assert picture.shape == (224, 224, 3)
    assert np.array_equal(picture, preparation._sized(image))
    levels = (seen.prepared([picture], prepared) - prepared) * torch.tensor(preparation.std).view(3, 1, 1) * 255
    assert float(levels.abs().max()) < 1e-3


def test_blue_before_red_is_put_in_order_for_the_codec_and_back() -> None:
    def prepare(images: Sequence[Image]) -> torch.Tensor:
        return Preparation(mean=(0.2, 0.3, 0.4))(images)[:, [2, 0, 1]]

    image = photograph("a", 48, 64)
    seen, prepared = seen_by(prepare, image)
    assert np.array_equal(seen.images(prepared)[0], image)
    assert float((seen.prepared([image], prepared) - prepared).abs().max()) < 1e-6


def test_pixels_between_two_grey_levels_are_rounded_by_half_a_level_at_most() -> None:
    def halved(images: Sequence[Image]) -> torch.Tensor:
        return nn.functional.avg_pool2d(Preparation()(images), 2)

    seen, prepared = seen_by(halved, photograph("a", 48, 64))
    away = (seen.prepared(seen.images(prepared), prepared) - prepared).abs().max() * 255
    assert 0.1 < float(away) <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda made: made.mean(1, keepdim=True), "makes 1 channels of an image, not 3"),
        (lambda made: made**2.2, r"makes level 56\.\d of grey level 128"),
        (lambda made: made * 0, "makes the same of black and of white"),
        (lambda made: nn.functional.pad(made, (0, 8), value=0.5), "makes an image of one colour uneven"),
        (lambda made: made.mean(1, keepdim=True).expand(-1, 3, -1, -1), "mixes red, green and blue"),
    ],
)
def test_what_cannot_be_undone_is_refused(change: Callable[[torch.Tensor], torch.Tensor], told: str) -> None:
    with pytest.raises(InputError, match=told):
        seen_by(lambda images: change(Preparation()(images)), photograph("a", 48, 64))


def test_pixels_beyond_eight_bits_are_refused() -> None:
    def overshooting(images: Sequence[Image]) -> torch.Tensor:
        made = Preparation()(images)
        return 3 * made - 2 * nn.functional.avg_pool2d(made, 3, 1, 1, count_include_pad=False)

    seen, prepared = seen_by(overshooting, photograph("a", 48, 64))
    with pytest.raises(InputError, match=r"gives pixels that lie \d+.* grey levels from the nearest of 8 bits"):
        seen.images(prepared)


# --- a run ---


SIZES = SubsetSizes(fit=24, calibrate=40, test=24)
CHOSEN = ("jpeg", "webp", "webp-lossless")
EPS = 0.2
BUDGETS = (0.1, 0.2, 0.4, 0.8, 1.6)


def network() -> Network:
    made = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 10))
    source = torch.Generator().manual_seed(3)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=source) * (0.3 if parameter.ndim > 1 else 0.1)
    return Network(made, name="small")


def plan(**changes: Any) -> FeaturePlan:
    maps = {"flat": ("flat", {}), "fisher": ("fisher", {"draws": 1})}
    given: dict[str, Any] = {
        "model": "small",
        "split": "1",
        "seeds": 1,
        "eps": EPS,
        "sizes": SIZES,
        "maps": maps,
        "rho": 0.2,
    }
    return FeaturePlan(**given | changes)


@pytest.fixture(scope="module", autouse=True)
def few_budgets() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anchors, "BUDGETS", BUDGETS)
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, few_budgets: None) -> Path:
    out = tmp_path_factory.mktemp("anchors") / "run"
    with FeatureRun.begin(out, plan(), "cpu", network()) as run:
        run.fitted(0, fit=True)
        anchors.anchor(run, stages.promised(run, EPS), CHOSEN)
    return out


def held(path: Path, stage: str) -> dict[str, dict[str, Any]]:
    with Store.open(path) as store:
        return measured(store, stage)


def test_a_run_keeps_features_and_pictures_at_one_promise(kept: Path) -> None:
    rows, walks = held(kept, "anchor"), held(kept, "anchor-walk")
    assert {(row["way"], row["who"]) for row in rows.values()} == {
        *(("features", steps) for steps in ("uniform", "uniform-image", "static:fisher")),
        *(("picture", codec) for codec in CHOSEN),
        *(("integers", f"int{bits} {over}") for bits, over in integers.FORMATS),
    }
    allowed = Promise("kl", EPS, 0.2, DELTA, 40).allowed
    for key, row in walks.items():
        if row.get("way") == "integers":
            continue
        tried = row["tried"]
        assert [setting for setting, _, _ in tried] == sorted((one[0] for one in tried), reverse=True)
        assert {one[0] for one in tried} <= set(CODECS[row["who"]].settings)
        assert all(failures <= allowed for _, failures, _ in tried[:-1])
        if row["at"] is not None:
            assert row["at"] == [setting for setting, failures, _ in tried if failures <= allowed][-1]
            assert rows[key]["bytes"] == pytest.approx(np.mean(row["sizes"]))
            assert rows[key]["bytes_low"] < rows[key]["bytes"] < rows[key]["bytes_high"]
    for row in rows.values():
        for who, (ratio, low, high) in row["ratios"].items():
            other = next(one for one in rows.values() if one["who"] == who)
            assert ratio == pytest.approx(row["bytes"] / other["bytes"])
            assert low <= ratio * (1 + 1e-12)  # equal where bytes do not vary
            assert ratio <= high * (1 + 1e-12)
        if row["way"] == "features":
            assert row["header"] == HEADER
    lossless = next(row for row in rows.values() if row["who"] == "webp-lossless")
    assert (lossless["failures"], lossless["kept"]) == (0, 24)


def test_integers_are_held_to_the_promise_one_by_one(kept: Path) -> None:
    walks, rows = held(kept, "anchor-walk"), held(kept, "anchor")
    mine = {row["who"]: row for row in walks.values() if row.get("way") == "integers"}
    promise = Promise("kl", EPS, 0.2, DELTA, 40)
    with FeatureRun.open(kept, "cpu", network()) as run:
        clean = run.clean(0)
        for code in integers.fit(clean.fit):
            row, (batch,) = mine[code.name], list(clean.calibrate)
            drops = run.task.drop(batch.outputs, run.split.head(code.quantise(batch.features)), "kl")
            assert row["failures"] == int((drops > EPS).sum())
            assert (row["at"] is None) == (row["failures"] > promise.allowed) == bool(row["why"])
            assert row["reach"] == pytest.approx(float(drops.sort().values[-1 - promise.allowed]), rel=1e-5)
            found = next(one for one in rows.values() if one["who"] == code.name)
            assert found["bytes"] == (code.bytes(batch.features) if row["at"] else None)
            point = held(kept, "anchor-curve")[f"{code.name} {code.bits} 0"]
            assert (point["bytes"], point["n"]) == (code.bytes(batch.features), 24)
    losses = {who: row["reach"] for who, row in mine.items()}
    assert all(losses[f"int8 {over}"] < losses[f"int4 {over}"] for over in ("tensor", "channel", "token"))


def test_what_the_sender_holds_computes_and_takes(kept: Path) -> None:
    (sender,), (times,) = held(kept, "sender").values(), held(kept, "sender-time").values()
    assert (sender["parameters_before"], sender["parameters"]) == (6 * 3 * 64 + 6, 6 * 3 * 64 + 6 + 384 * 10 + 10)
    assert 0 < sender["before"] < sender["whole"]
    assert min(times[name] for name in ("seconds", "code", "decode")) > 0
    said = feature_anchors.sending([sender], [times])
    assert "1,158 of the network's 5,008 parameters" in said
    assert feature_anchors.sending([{"before": 1, "whole": 2}], []) == ""  # of a run that did not count them


def test_bytes_drop_and_score_are_those_of_the_whole_network_on_the_decoded_picture(kept: Path) -> None:
    row = next(row for row in held(kept, "anchor-walk").values() if row["who"] == "webp")
    point = held(kept, "anchor-curve")["webp 50 0"]
    images = held(kept, "anchor-images")["webp 50 0"]
    net = network()
    with FeatureRun.open(kept, "cpu", net) as run:
        test = run.parts(0).test
        batch = test.batch(range(24))
        originals = [test.example(place).image for place in range(24)]
    for setting, sizes, moved in ((row["at"], row["sizes"], None), (50, images["bytes"], images["discrepancy"])):
        files = [CODECS["webp"].encode(image, setting) for image in originals]
        assert [len(file) for file in files] == sizes
        decoded = np.stack([CODECS["webp"].decode(file) for file in files])
        with torch.no_grad():
            clean = net.model(batch.images)
            received = net.model(torch.from_numpy(decoded).permute(0, 3, 1, 2).float() / 255)
        kl = (clean.softmax(1) * (clean.log_softmax(1) - received.log_softmax(1))).sum(1)
        if moved is None:
            assert int((kl <= EPS).sum()) == row["kept"]
        else:
            assert kl.numpy() == pytest.approx(moved, abs=1e-5)
            assert point["discrepancy"] == pytest.approx(float(kl.mean()), abs=1e-5)
            assert point["score"] == float((received.argmax(1) == torch.tensor(batch.targets)).float().mean())
            assert point["bytes"] == pytest.approx(np.mean(sizes))


def test_coded_features_take_their_header_and_a_little_more_than_the_ideal(kept: Path) -> None:
    points = [row for row in held(kept, "anchor-curve").values() if row["way"] == "features"]
    assert {(row["who"], row["at"]) for row in points} == {
        (steps, budget) for steps in ("uniform", "uniform-image", "static:fisher") for budget in BUDGETS
    }
    for row in points:
        assert row["ideal"] + HEADER - 1 < row["bytes"] < row["ideal"] + HEADER + 12


def test_bd_rates_are_those_of_the_rows_with_an_interval_over_images(kept: Path) -> None:
    curves, rates = held(kept, "anchor-curve").values(), held(kept, "bd-rate")

    def curve(who: str) -> RateCurve:
        mine = [row for row in curves if row["who"] == who]
        return front(RateCurve(who, [row["bytes"] for row in mine], [-math.log10(row["discrepancy"]) for row in mine]))

    assert {row["who"] for row in rates.values()} == {"uniform", "static:fisher", *CHOSEN}
    for who in ("static:fisher", "webp"):
        row = rates[f"{who} discrepancy pchip 0"]
        assert row["percent"] == pytest.approx(bd_rate(curve("uniform-image"), curve(who)).percent)
        assert row["percent_low"] < row["percent"] < row["percent_high"]
        assert row["against"] == "uniform-image"
    lossless = rates["webp-lossless discrepancy cubic 0"]
    assert lossless["percent"] is None
    assert "points; a BD-rate takes 4 or more" in lossless["why"]


def test_nothing_is_measured_twice_and_a_stop_between_two_codecs_goes_on(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []
    original = anchors._walked

    def counted(run: FeatureRun, seen: SeenPixels, codec: ImageCodec, *more: Any) -> dict[str, Any]:
        walked.append(codec.name)
        if codec.name == "webp" and "stop" in walked:
            raise KeyboardInterrupt
        return original(run, seen, codec, *more)

    monkeypatch.setattr(anchors, "_walked", counted)
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        run.fitted(0, fit=True)
        wanted = stages.promised(run, EPS)
        walked.append("stop")
        with pytest.raises(KeyboardInterrupt):
            anchors.anchor(run, wanted, CHOSEN)
        walked.clear()
        anchors.anchor(run, wanted, CHOSEN)
        assert walked == ["webp", "webp-lossless"]
        walked.clear()
        monkeypatch.setattr(anchors, "_pictures", lambda *_: pytest.fail("a curve was measured again"))
        monkeypatch.setattr(anchors, "_sent_integers", lambda *_: pytest.fail("integers were measured again"))
        assert len(anchors.anchor(run, wanted, CHOSEN)) == 12
        assert walked == []
    for stage in ("anchor", "anchor-walk", "anchor-curve", "anchor-images", "bd-rate", "sender"):
        assert held(tmp_path / "run", stage) == held(kept, stage)


def test_pictures_are_about_as_many_as_expected_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[float] = []
    coded, original = [], anchors._coded
    monkeypatch.setattr(anchors, "_one_picture", lambda *_: 1.0)  # a second each, and nothing else takes any
    monkeypatch.setattr(
        anchors,
        "_coded",
        lambda *given: coded.append(len(given[-1])) or original(*given),  # type: ignore[func-returns-value]
    )
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        run.__dict__["pace"] = Pace(0, 0, 0, 0, 0, 0)
        run.fitted(0, fit=True)
        promise = stages.promised(run, EPS)
        stages.promise(run, promise)
        anchors.anchor(run, promise, CHOSEN, expect=said.append)
        (expected,) = said
        assert sum(coded) == pytest.approx(expected, rel=0.4)
        anchors.anchor(run, promise, CHOSEN, expect=said.append)
        assert len(said) == 1  # nothing is missing any more
        lossless = [CODECS["webp-lossless"]]
        assert anchors._seconds(run, promise, lossless, [0]) == 0


def test_batches_change_nothing(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BATCH", 7)
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        run.fitted(0, fit=True)
        anchors.anchor(run, stages.promised(run, EPS), ["webp"], ["uniform"])
    there, again = held(kept, "anchor-walk"), held(tmp_path / "run", "anchor-walk")
    (key,) = [key for key in again if key.startswith("webp")]
    for name in ("at", "failures", "sizes", "kept", "score"):
        assert again[key][name] == there[key][name]
    for key, row in held(tmp_path / "run", "anchor-images").items():
        assert row["bytes"] == held(kept, "anchor-images")[key]["bytes"]
        assert row["discrepancy"] == pytest.approx(held(kept, "anchor-images")[key]["discrepancy"], abs=1e-6)


def test_no_test_image_is_seen_before_a_setting_is_taken(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        images = run.parts(0)
        seen = SeenPixels.of(run.network, images.fit)
        fitting, calibration = (CleanBatches(run.split, run.task, part, 8) for part in (images.fit, images.calibrate))
        nothing = Subset(24, lambda index: pytest.fail("a test image was read"), run.network)
        test = CleanBatches(run.split, run.task, nothing, 8)
        taken: list[float] = []

        def noted(run: FeatureRun, seen: SeenPixels, codec: ImageCodec, setting: float, *_: Any) -> None:
            taken.append(setting)
            raise KeyboardInterrupt

        monkeypatch.setattr(anchors, "_sent_pictures", noted)
        with pytest.raises(KeyboardInterrupt):
            anchors._walked(run, seen, CODECS["webp"], stages.promised(run, EPS), 0, fitting, calibration, test)
    assert taken == [next(row for row in held(kept, "anchor-walk").values() if row["who"] == "webp")["at"]]


def test_an_eps_that_no_lossy_codec_keeps_leaves_the_lossless_one(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "run")
    with FeatureRun.open(tmp_path / "run", "cpu", network()) as run:
        rows = anchors.anchor(run, stages.promised(run, 1e-6), CHOSEN, ["uniform"])
        sender = list(measured(run.store, "sender").values())
        rates = list(measured(run.store, "bd-rate").values())
        table = feature_anchors.table(run.store.manifest, rows, rates, sender)
    by = {row["who"]: row for row in rows}
    assert by["jpeg"]["at"] is by["jpeg"]["bytes"] is None
    assert by["jpeg"]["ratios"] == {}
    assert "No jpeg can be shown to keep Pr[kl > 1e-06] <= 0.2" in by["jpeg"]["why"]
    assert by["webp-lossless"]["at"] == 90
    assert any(cells[1:3] == ("jpeg", "none keeps it") for cells in table.rows)
    (note,) = (note for note in table.notes if note.startswith("Not kept even at the finest setting"))
    assert "lose more, where 3 may)" in note
    assert f"jpeg ({by['jpeg']['failures']}), webp ({by['webp']['failures']})" in note
    assert feature_anchors.beside(rows, sender).codec == "webp-lossless"


def test_what_cannot_be_asked_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with FeatureRun.begin(tmp_path / "run", plan(), "cpu", network()) as run:
        run.fitted(0, fit=True)
        wanted = stages.promised(run, EPS)
        with pytest.raises(UnknownNameError, match="Did you mean 'webp'"):
            anchors.anchor(run, wanted, ["wepb"])
        with pytest.raises(UnknownNameError, match="static:fishre"):
            anchors.anchor(run, wanted, ["webp"], ["static:fishre"])
    squared = Network(network().model, lambda images: Preparation()(images) ** 2, "small")
    with FeatureRun.begin(tmp_path / "other", plan(), "cpu", squared) as run:
        run.fitted(0, fit=True)
        with pytest.raises(InputError, match="makes level 64.* of grey level 128"):
            anchors.anchor(run, wanted, ["webp"])
        assert not measured(run.store, "walk")


# --- what is said of it ---


def test_the_page_says_first_whether_features_beat_the_picture(kept: Path, tmp_path: Path) -> None:
    with Store.open(kept) as store:
        (screen,) = first_screen({"run": store})
        rows, sender = (list(measured(store, stage).values()) for stage in ("anchor", "sender"))
    told = feature_anchors.beside(rows, sender)
    pictures = {row["who"]: row["bytes"] for row in rows if row["way"] == "picture" and row["bytes"]}
    assert len(pictures) > 1
    assert told.codec == min(pictures, key=lambda who: pictures[who])
    features = next(row for row in rows if row["who"] == "static:fisher")
    ratio, low, high = features["ratios"][told.codec]
    assert told.factor.interval is not None
    assert (told.factor.value, told.factor.interval.low) == pytest.approx((ratio, low))
    sign = "Features take fewer bytes" if high < 1 else "The picture takes fewer bytes" if low > 1 else "No difference"
    assert told.sentence.startswith(sign)
    assert f"{features['bytes']:,.1f} (" in told.sentence
    assert f"{pictures[told.codec]:,.0f} (" in told.sentence
    assert f"{100 * sender[0]['before'] / sender[0]['whole']:.0f} % of the network's operations" in told.sentence
    number = screen.numbers[1]
    assert (number.label, number.value) == ("Of the picture's bytes", f"{100 * ratio:.0f} %")
    assert screen.verdict[0] == "Beats the picture"
    assert "of the bytes of the picture (webp) at the same promise" in screen.verdict[1]
    assert f"{told.quoted}. " in screen.sentence
    with Report.open([kept]) as report:
        report.page(tmp_path / "page.html")
        data = report.data()["wings"]["feature"]
    assert {row["who"] for row in data["anchor"]} == {row["who"] for row in rows}
    assert {"anchor-curve", "bd-rate", "sender"} <= data.keys()
    page = (tmp_path / "page.html").read_text()
    assert page.index(">Features or the picture</h3>") < page.index(">Bytes at a kept promise</h3>")


def row(way: str, who: str, seed: int, size: float | None, ratios: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "way": way, "who": who, "drop": "kl", "eps": 0.05, "rho": 0.1, "delta": 0.05, "n_calibrate": 99, "allowed": 4,
        "seed": seed, "n": 50, "bytes": size, "bytes_low": None, "bytes_high": None, "at": size and 50, "why": "",
        "header": size and 31, "kept": size and 45, "score": size and 0.8, "ratios": ratios or {},
    }  # fmt: skip


def test_over_seeds_the_cheapest_picture_is_one_that_every_seed_keeps() -> None:
    rows = [
        *(row("features", "static:fisher", seed, 100.0, {"jpeg": [0.5, 0.4, 0.6]}) for seed in range(3)),
        *(row("picture", "jpeg", seed, 200.0) for seed in range(3)),
        *(row("picture", "webp", seed, 150.0 if seed else None) for seed in range(3)),
    ]
    told = feature_anchors.beside(rows, [])
    assert (told.codec, told.factor.n) == ("jpeg", 3)
    assert told.factor.value == pytest.approx(0.5)
    assert told.verdict == "Features take fewer bytes than the picture"
    assert "operations" not in told.sentence


def test_it_is_told_where_one_of_the_two_does_not_keep_the_promise() -> None:
    sender = [{"before": 30, "whole": 90}]
    none = feature_anchors.beside([row("features", "uniform", 0, None), row("picture", "jpeg", 0, 200.0)], sender)
    assert none.sentence == (
        "Pr[kl > 0.05] <= 0.1 with confidence 0.95: no features keep it, the picture takes 200 bytes (jpeg). For "
        "features the sender computes 33 % of the network's operations, for a picture none of them."
    )
    other = feature_anchors.beside([row("features", "uniform", 0, 90.0), row("picture", "jpeg", 0, None)], [])
    assert other.sentence == (
        "Pr[kl > 0.05] <= 0.1 with confidence 0.95: features take 90.0 bytes an image, the only codec of pictures "
        "that was tried does not keep it."
    )
    two = [row("features", "uniform", 0, 90.0), *(row("picture", who, 0, None) for who in ("jpeg", "webp"))]
    assert feature_anchors.beside(two, []).sentence.endswith(
        "90.0 bytes an image, none of 2 codecs of pictures keeps it."
    )


def test_what_keeps_no_promise_has_neither_header_nor_setting(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "run")
    with FeatureRun.open(tmp_path / "run", "cpu", network()) as run:
        rows = anchors.anchor(run, stages.promised(run, 1e-300), ["webp-lossless"], ["uniform"])
        table = feature_anchors.table(run.store.manifest, rows, [], [])
    features = [one for one in rows if one["way"] == "features"]
    assert {(one["at"], one["header"]) for one in features} == {(None, None)}
    older = [one | {"header": 31} for one in features]  # limen kept one beside no setting
    for cells in (*table.rows, *feature_anchors.table(run.store.manifest, older, [], []).rows):
        if cells[0] == "features":
            assert cells[2:] == ("none keeps it", *["-"] * 7)


def test_plain_integers_are_held_against_the_features_over_seeds_as_all_else_is() -> None:
    measures = {"discrepancy": "KL", "score": "top-1 accuracy"}
    code = {"way": "integers", "who": "int8 tensor", "bytes": 400.0, "discrepancy": 0.1, "score": 0.8, "n": 50}
    sizes = (100.0, 400.0)
    rows = [
        *(row("features", "static:fisher", seed, size) for seed, size in enumerate(sizes)),
        *(row("integers", "int8 tensor", seed, 400.0) | {"failures": seed} for seed in range(2)),
    ]
    table = feature_anchors.integers({"measures": measures}, rows, [code | {"seed": seed} for seed in range(2)])
    assert table.rows[0][2] == "2.00"  # the geometric mean of 4 and 1
    assert table.rows[0][-1] == "kept (1 of 198)"  # of both seeds


def test_a_cell_says_why_there_is_no_bd_rate() -> None:
    rates = [
        {"way": "picture", "who": who, "against": "uniform-image", "over": "score", "method": "pchip", "seed": 0,
         "percent": percent, "why": why, "overlap": None, "left_out": int(who == "e")}
        for who, percent, why in (
            ("a", None, "The curve of a has rates or qualities that are no numbers, ..."),
            ("b", None, "The curve of b has 3 points; a BD-rate takes 4 or more."),
            ("c", None, "The curves of c and d share no quality, so ..."),
            ("e", -12.3, ""),
        )
    ]  # fmt: skip
    cells = [feature_anchors._bd(rates, who, "score") for who in ("a", "b", "c", "e", "uniform-image", "f")]
    assert cells == ["no numbers", "too few points", "no overlap", "-12 %*", "0", "-"]


def test_a_row_that_is_no_anchor_is_named(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "run")
    with FeatureRun.open(tmp_path / "run", "cpu", network()) as run:
        key, there = next(iter(measured(run.store, "anchor").items()))
        run.store.add_measurements("anchor", {key: there | {"way": "pigeon"}})
        with pytest.raises(StoreError, match=r"of 'anchor'.*way"):
            measured(run.store, "anchor")


def test_the_command_prints_the_sentence_and_one_table(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(kept, tmp_path / "run")
    (tmp_path / "anchored_nets.py").write_text(
        "from tests.feature.test_anchors import network\n\ndef make():\n    return network()\n"
    )
    monkeypatch.chdir(tmp_path)
    where = ["--model", "anchored_nets:make", "--codec", ",".join(CHOSEN)]
    assert command(["feature", "anchor", "run", *where]) == 0
    out = capsys.readouterr().out
    assert "of the network's operations, for a picture none of them." in " ".join(out.split())
    assert "Features or the picture: Pr[kl > 0.2] <= 0.2" in out
    assert command(["feature", "anchor", "run", *where, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {row["who"] for row in data["anchor"]} >= set(CHOSEN)
    assert data["sender"][0]["before"] > 0
    assert command(["feature", "anchor", "run", *where[:2], "--rho", "0.3"]) == 1
    assert "belongs to a promise, and none was asked for" in capsys.readouterr().err
