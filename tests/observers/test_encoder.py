"""The vision tower alone: distances by hand, the criterion, real architectures with random weights."""

import asyncio
import json
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import cli, distortion, observer, question, source
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observers import _nuisance
from limen.observers.encoder import Encoder, cosine_distance
from limen.parsing.yes_no import Flag
from limen.preflight import model_input
from limen.question import Query
from limen.report import Report, sections
from limen.stimulus import Series
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph

pytestmark = pytest.mark.torch


DEMO = Path(observer.__file__).parent / "data" / "demo"
PAIR = tuple(Picture.of(photograph(name, 48, 80)) for name in ("a", "b"))


def encoder(folder: Path, **options: Any) -> Encoder:
    made = observer.make(f"encoder:{folder}", {"dtype": "float32", "pairs": 20, **options})
    assert isinstance(made, Encoder)
    return made


def ask(first: Picture, second: Picture, name: str = "direct") -> Query:
    (query,) = question.find(name).ask("blur", first, second)
    return query


def said(folder: Path, queries: Sequence[Query], pictures: Sequence[Picture] = PAIR, **options: Any) -> list[str]:
    """Return the answers' texts, after the criterion was fixed from some pictures."""

    async def run() -> list[str]:
        async with encoder(folder, **options) as made:
            made.calibrate(pictures)
            replies = [await made.answer(query) for query in queries]
            assert all(reply.answer is not None and reply.attempts[-1].outcome == "ok" for reply in replies)
            return [reply.answer.text for reply in replies if reply.answer]

    return asyncio.run(run())


def within(made: Encoder, body: Callable[[Encoder], Any]) -> Any:
    async def run() -> Any:
        async with made:
            return body(made)

    return asyncio.run(run())


def number(text: str, name: str) -> float:
    found = re.search(rf"{name} (?:distance )?([\d.e+-]+)", text)
    assert found is not None, text
    return float(found[1])


# --- the distance ---


def test_cosine_distance_by_hand() -> None:
    east, north = np.array([[2.0, 0.0]]), np.array([[0.0, 5.0]])
    assert cosine_distance(east, east * 7) == 0.0
    assert cosine_distance(east, north) == pytest.approx(1.0)
    assert cosine_distance(east, -east) == pytest.approx(2.0)
    rows = np.array([[1.0, 0.0], [1.0, 1.0]])
    assert cosine_distance(np.repeat(east, 2, axis=0), rows) == pytest.approx(1 - np.sqrt(0.5)), "the largest counts"
    tiny = cosine_distance(east, np.array([[1.0, 1e-9]]))
    assert tiny == pytest.approx(0.5e-18), "1 - cosine would be 0"


@given(st.integers(0, 1000), st.integers(1, 5))
def test_cosine_distance_is_one_minus_the_cosine(seed: int, rows: int) -> None:
    first, second = np.random.default_rng(seed).normal(size=(2, rows, 4))
    cosines = np.sum(first * second, axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    assert cosine_distance(first, second) == pytest.approx(float(np.max(1 - cosines)), abs=1e-12)


# --- real architectures ---


def vision_model(name: str, folder: Path) -> Path:
    """Write a tiny vision model of a family with random weights."""
    import torch
    import transformers

    from tests.support import tiny  # noqa: F401

    torch.manual_seed(0)
    plain = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    square = {"height": 32, "width": 32}
    config: Any
    if name == "dinov2":
        config = transformers.Dinov2Config(**plain, image_size=32, patch_size=8)
    elif name == "siglip":
        config = transformers.SiglipVisionConfig(**plain, image_size=32, patch_size=8)
    elif name == "clip":
        text = {**plain, "vocab_size": 64}
        vision = {**plain, "image_size": 32, "patch_size": 8}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    else:
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    images = transformers.SiglipImageProcessorPil(size=square)
    model = transformers.AutoModel.from_config(config)
    model.save_pretrained(folder)
    images.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["dinov2", "siglip", "clip", "resnet"])
def test_any_vision_model(name: str, tmp_path: Path) -> None:
    folder = vision_model(name, tmp_path / name)
    same, other, back = said(folder, [ask(PAIR[0], PAIR[0]), ask(*PAIR), ask(*PAIR[::-1])])
    assert same.startswith("<no> pooled distance 0, criterion ")
    assert other.startswith("<yes> pooled distance ")
    assert number(other, "pooled") == number(back, "pooled") > number(other, "criterion") > 0
    assert number(other, "patches") >= number(other, "pooled") / 4
    (patches,) = said(folder, [ask(*PAIR)], distance="patches")
    assert number(patches, "patches") == number(other, "patches")


@pytest.mark.parametrize("family", ["idefics3", "qwen2_vl", "llava_onevision", "internvl"])
def test_the_vision_part_of_a_whole_model(family: str, tmp_path: Path) -> None:
    import torch
    import transformers

    from tests.support import tiny

    folder = tiny.FAMILIES[family](tmp_path / family)
    made = encoder(folder)
    pair = [Picture.of(photograph(name, 64, 64)) for name in ("a", "b")]

    def embed(held: Encoder) -> list[Any]:
        return [held._embed(picture) for picture in pair]

    ours = within(made, embed)
    assert ours[0].shape[1] == 32
    assert not np.allclose(ours[0], ours[1])
    whole = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    local: Any = observer.make(f"local:{folder}", {"dtype": "float32"})

    async def inputs() -> Any:
        async with local as held:
            return held._inputs([Query((*pair, "limen"))])

    batch = {n: v for n, v in asyncio.run(inputs()).items() if n not in {"input_ids", "attention_mask"}}
    with torch.inference_mode():
        taken = set(__import__("inspect").signature(whole.get_image_features).parameters)
        states = whole.get_image_features(**{n: v for n, v in batch.items() if n in taken}).last_hidden_state
    theirs = states.reshape(-1, states.shape[-1]).numpy()
    assert np.allclose(np.concatenate(ours), theirs, atol=1e-5), "as in a question that shows both"


def test_what_is_no_vision_model_is_refused(tmp_path: Path) -> None:
    from tests.support import tiny

    with pytest.raises(InputError, match="preprocessor_config.json|takes no pictures"):
        within(encoder(tiny.llama(tmp_path / "text")), lambda made: None)
    with pytest.raises(InputError, match="No model at '/no/such/folder'"):
        encoder(Path("/no/such/folder"))


def test_missing_weights_are_refused_but_for_the_pooling_head(tmp_path: Path) -> None:
    import transformers
    from safetensors.torch import load_file, save_file

    from tests.support import tiny  # noqa: F401

    plain = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    folder = tmp_path / "vit"
    config = transformers.ViTConfig(**plain, image_size=32, patch_size=8)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    assert said(folder, [ask(*PAIR)])[0].startswith("<yes>"), "a classifier has no pooling head"
    weights = load_file(folder / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "layernorm" not in name}, folder / "model.safetensors")
    with pytest.raises(InputError, match="weights are missing or do not fit"):
        within(encoder(folder), lambda made: None)


# --- the criterion ---


def test_the_criterion_is_an_order_statistic_of_identical_pairs() -> None:
    def calibrate(made: Encoder) -> Any:
        return made.calibrate(PAIR), made.fingerprint()["criterion"], made.calibrate(PAIR[::-1])

    row, criterion, turned = within(encoder(DEMO, pairs=40, false_alarms=0.1, nuisance="rounding"), calibrate)
    assert len(row["distances"]) == 40
    assert row["distances"] == sorted(row["distances"])
    assert criterion == row["criterion"] == row["distances"][36], "ceil(.9 * 41) = 37th smallest"
    assert 0 < row["distances"][0] < row["distances"][-1] < 1e-3
    assert row["enough"] is True
    assert turned["distances"] == row["distances"], "the order of the pictures does not matter"
    few, *_ = within(encoder(DEMO, pairs=4, false_alarms=0.1, nuisance="rounding"), calibrate)
    assert few["enough"] is False
    assert few["criterion"] == few["distances"][-1]


def test_noise_stays_below_half_a_grey_level(monkeypatch: pytest.MonkeyPatch) -> None:
    from limen.observers import encoder as module

    given_: list[Any] = []
    plain = module._hidden

    def watch(model: Any, inputs: dict[str, Any]) -> Any:
        given_.append(inputs["pixel_values"])
        return plain(model, inputs)

    monkeypatch.setattr(module, "_hidden", watch)
    within(encoder(DEMO, pairs=1, nuisance="rounding"), lambda made: made.calibrate(PAIR[:1]))
    clean, noisy = (one.numpy() * 127.5 for one in given_)
    apart = np.abs(noisy - clean)
    assert 0.45 < apart.max() <= 0.5 + 1e-4
    assert np.array_equal(np.rint(noisy + 127.5), np.rint(clean + 127.5)), "the same 8-bit picture"


def test_a_declared_criterion_is_kept_as_one_and_without_one_nothing_is_answered() -> None:
    declared = encoder(DEMO, criterion=0.25)
    assert within(declared, lambda made: made.calibrate(PAIR)) == {"criterion": 0.25, "declared": True}
    assert said(DEMO, [ask(*PAIR)], criterion=1.9)[0].startswith("<no>")
    with pytest.raises(InputError, match=r"has no criterion yet. Call calibrate\(pictures\)"):
        within(encoder(DEMO), lambda made: made.fingerprint())
    with pytest.raises(InputError, match="not loaded"):
        encoder(DEMO).fingerprint()


# --- nuisances ---


def test_nuisances_are_small_and_belong_to_the_picture() -> None:
    picture = PAIR[0]
    change = {name: _nuisance.find(name).change for name in ("shift", "grey", "jpeg:95", "jpeg:50")}
    shifted = [change["shift"](picture, draw) for draw in range(8)]
    assert np.array_equal(shifted[0][:, 1:], picture.pixels[:, :-1])
    assert np.array_equal(shifted[0][:, 0], picture.pixels[:, 0])
    assert np.array_equal(shifted[5][:-1, :-1], picture.pixels[1:, 1:])
    assert len({one.tobytes() for one in shifted}) == 8
    first, again, other = (change["grey"](picture, draw) for draw in (0, 0, 1))
    apart = first.astype(int) - picture.pixels
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert set(np.unique(apart)) == {-1, 0, 1}
    assert np.abs(apart.mean()) < 0.03
    fine, coarse = (
        np.mean((change[name](picture, 0).astype(float) - picture.pixels) ** 2) for name in ("jpeg:95", "jpeg:50")
    )
    assert 0 < fine < coarse
    assert len({change["jpeg:95"](picture, draw).tobytes() for draw in range(64)}) > 32, "64 places for the grid"
    assert all(change["jpeg:95"](picture, draw).shape == picture.pixels.shape for draw in (0, 63))


@pytest.mark.parametrize("name", ["", "jpeg", "jpeg:0", "jpeg:101", "jpeg:9.5", "shift:2", "Shift", "jpeg:²", "noise"])
def test_what_is_no_nuisance_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="No nuisance .* Use shift, grey, rounding, or jpeg:QUALITY"):
        encoder(DEMO, nuisance=name)


@pytest.mark.parametrize("nuisance", ["shift", "grey", "jpeg:95"])
def test_a_criterion_is_made_of_its_nuisance(nuisance: str) -> None:
    def calibrate(made: Encoder) -> Any:
        return made.calibrate(PAIR), dict(made.fingerprint())

    row, fingerprint = within(encoder(DEMO, pairs=16, nuisance=nuisance), calibrate)
    assert fingerprint["nuisance"] == row["nuisance"] == nuisance
    assert fingerprint["criterion"] == row["criterion"] == row["distances"][-1], "16 pairs are too few for .05"
    assert row["enough"] is False
    assert (row["draws"], len(row["distances"])) == (8, 16)
    assert 0 < row["interval"][0] <= row["criterion"] <= row["interval"][1]
    assert "too few pairs for that share" in model_input.judged(row)
    assert f"95% of 16 identical pairs (2 pictures) under {nuisance}" in model_input.judged(row)
    least, plain = within(encoder(DEMO, pairs=16, nuisance="rounding"), calibrate)
    assert least["criterion"] < row["criterion"]
    assert "nuisance" not in plain, "as it was when there was no other"


def test_a_shift_has_eight_draws_and_is_what_is_taken_if_none_is_named() -> None:
    made = encoder(DEMO, pairs=1000)
    row = within(made, lambda held: held.calibrate(PAIR))
    assert (row["nuisance"], row["draws"], len(row["distances"])) == ("shift", 8, 16)
    assert made.name == encoder(DEMO, nuisance="rounding").name == f"encoder:{DEMO.name} (pooled)"
    assert encoder(DEMO, nuisance="jpeg:90").name == f"encoder:{DEMO.name} (pooled, jpeg:90)"
    flat = Picture.of(np.full((48, 48, 3), 90, np.uint8))
    with pytest.raises(InputError, match="pairs do not differ at all under 'shift': the criterion would be 0"):
        within(encoder(DEMO, pairs=4), lambda held: held.calibrate([flat]))


def test_a_run_goes_on_with_its_own_criterion(tmp_path: Path) -> None:
    series = [Series(one, distortion.find("noise")) for one in source.collect(("demo",), 2).references]

    def resume(made: Encoder, row: dict[str, Any]) -> dict[str, Any]:
        with Store.create(tmp_path / f"run-{len(list(tmp_path.iterdir()))}", {}) as store:
            store.add_measurements("calibration", {made.name: row})
            model_input.calibrate(made, series, store)
            return dict(made.fingerprint())

    old = {
        "criterion": 7e-7,
        "declared": False,
        "distance": "pooled",
        "false_alarms": 0.05,
        "noise": "uniform, at most half a grey level of what the model gets",
        "pictures": ["a" * 32],
        "draws": 64,
        "distances": [7e-7],
        "enough": True,
    }  # before nuisances had names
    for options in ({}, {"nuisance": "rounding"}):
        found = within(encoder(DEMO, **options), lambda made: resume(made, old))
        assert found["criterion"] == 7e-7
        assert "nuisance" not in found
    found = within(encoder(DEMO), lambda made: resume(made, {**old, "nuisance": "grey"}))
    assert found["nuisance"] == "grey"
    with pytest.raises(
        InputError, match=r"a criterion of 7e-07 \(rounding\), which its settings do not give. Give nuis"
    ):
        within(encoder(DEMO, nuisance="shift"), lambda made: resume(made, old))
    declared = {"criterion": 0.25, "declared": True}
    assert within(encoder(DEMO, criterion=0.25), lambda made: resume(made, declared))["criterion"] == 0.25
    for options in ({"criterion": 0.5}, {}, {"nuisance": "shift"}):
        with pytest.raises(InputError, match="Give criterion=0.25 to go on with it, or another --out"):
            within(encoder(DEMO, **options), lambda made: resume(made, declared))
    with pytest.raises(InputError, match="has no nuisance. Leave one of them out"):
        encoder(DEMO, criterion=0.25, nuisance="shift")


@pytest.mark.parametrize(
    "options",
    [{"criterion": float("nan")}, {"criterion": 2.5}, {"false_alarms": float("nan")}, {"pairs": 10**9}, {"pairs": 0},
     {"max_pixels": 10**19}, {"false_alarms": 1}],
)  # fmt: skip
def test_numbers_have_bounds(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Observer 'encoder': {next(iter(options))} cannot be .* Give a"):
        encoder(DEMO, **options)


def test_criterion_and_distances_are_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["measure", "--images", "demo", "--limit", "3", "--distortion", "noise", "--out", str(tmp_path / "run")]
    call += ["--observer", f"encoder:{DEMO}", "-O", "pairs=24", "-O", "dtype=float32"]
    assert cli.run(call) == 0
    shown = capsys.readouterr()
    name = f"encoder:{DEMO.name} (pooled)"
    judged = "95% of 24 identical pairs (3 pictures) under shift; 95 % interval"
    assert judged in " ".join(shown.out.split())
    assert judged in " ".join(shown.err.split()), "before the first question"
    assert "Numbers behind the verdicts" in shown.out
    assert cli.run([*call, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["distances"]
    assert {(one["observer"], one["distortion"], len(one["levels"]) > 3) for one in told} == {(name, "noise", True)}
    with Store.open(tmp_path / "run") as store:
        row = store.measurements("calibration")[name]
        assert {one["criterion"] for one in told} == {float(f"{row['criterion']:.6g}")}
        for trial in store.trials(name):
            (one,) = [one for one in told if one["series"] == trial.series]
            if trial.answer is not None and trial.level:
                yes = one["levels"][str(trial.level)] > one["criterion"]
                assert trial.answer.text.startswith("<yes>" if yes else "<no>")
    with Report.open([tmp_path / "run"]) as report:
        *_, section = sections.of_observers(report.runs, report.apart)
        assert report.data()["runs"][0]["distances"] == told
    (row,) = section.tables[0].rows
    assert row[:2] == ("noise", name)
    levels = sorted(one["levels"]["1"] for one in told if "1" in one["levels"])
    assert row[3] == (f"{statistics.median(levels):.3g} ({len(levels)})" if levels else "")


def test_a_first_jnd_at_the_first_level_is_told_as_at_or_below_it(tmp_path: Path) -> None:
    spec = Spec(
        images=("demo",), observers=({"name": f"encoder:{DEMO}", "criterion": 0.0},), distortions=("noise",), limit=2
    )
    Study.plan(spec).run(tmp_path / "run")
    with Report.open([tmp_path / "run"]) as report:
        *_, section = sections.of_observers(report.runs, report.apart)
    assert section.tables[0].columns[-1] == "1st JND <=1"
    assert section.tables[0].rows[0][-1] == "2 of 2"


def test_answers_of_others_hold_no_number() -> None:
    assert model_input.number(
        "<yes> pooled distance 1.5e-05, criterion 2e-06; patches 0.1"
    ) == model_input.PairDistance("pooled distance", 1.5e-5, 2e-6)
    assert model_input.number("B. JND 0, criterion 1") == model_input.PairDistance("JND", 0.0, 1.0)
    for text in (
        "<yes> They differ.",
        "",
        "yes, distance 3, criterion far",
        "<no> distance -, criterion -",
        "<yes> at 1.2.3, criterion 4-5",
    ):
        assert model_input.number(text) is None


# --- questions and runs ---


@pytest.mark.parametrize("name", ["direct", "direct-implicit", "choice", "choice-implicit"])
def test_every_question_is_read_as_it_was_meant(name: str) -> None:
    texts = said(DEMO, [ask(*PAIR, name), ask(PAIR[0], PAIR[0], name)])
    from limen.trial import Answer

    read = [question.find(name).read((Answer(text, finish="stop"),)) for text in texts]
    assert [(one.flag, one.fault) for one in read] == [(Flag.YES, None), (Flag.NO, None)]


def test_a_forced_choice_is_refused() -> None:
    with pytest.raises(FatalObserverError, match="cannot tell which of two pictures shows more"):
        said(DEMO, [ask(*PAIR, "forced-choice")])


def test_encoder_floor_and_criterion_lie_in_one_run(tmp_path: Path) -> None:
    made = encoder(DEMO, nuisance="rounding")
    spec = Spec(images=("demo",), observers=("simulated",), distortions=("noise",), limit=2, identical_pairs=True)
    study = replace(Study.plan(spec), observers=(Prepared(made, tmp_path),))
    study.run(tmp_path / "run")
    from limen.analysis import analyse

    with Store.open(tmp_path / "run") as store:
        outcomes = analyse(store).outcomes
        assert store.manifest["observers"][made.name]["criterion"] > 0
    assert len(outcomes) == 2
    assert all(one.thresholds and one.thresholds[0].level <= 3 for one in outcomes), "it is told by any noise"


class Prepared:
    """The encoder, calibrated as soon as it is entered, as `seen.calibrate` does it for a study."""

    def __init__(self, made: Encoder, folder: Path) -> None:
        self._made, self._folder = made, folder
        self.name, self.concurrency = made.name, made.concurrency
        self.fingerprint, self.answer = made.fingerprint, made.answer

    async def __aenter__(self) -> "Prepared":
        await self._made.__aenter__()
        found = source.collect(("demo",), 2)
        series = [Series(one, distortion.find("noise")) for one in found.references]
        with Store.create(self._folder / "kept", {}) as store:
            model_input.calibrate(self._made, series, store)
            model_input.keep_floors(self._made, series, store)
            row = store.measurements("calibration")[self.name]
            assert row["criterion"] == self._made.fingerprint()["criterion"]
            assert all(one["first"] == 1 for one in store.measurements("floor").values())
        return self

    async def __aexit__(self, *why: Any) -> None:
        await self._made.__aexit__(*why)


def test_the_tower_sees_what_the_whole_model_sees() -> None:
    tower, whole = encoder(DEMO), observer.make(f"local:{DEMO}", {})
    assert isinstance(whole, model_input.InputObserver)
    for one, other in zip(tower.see(PAIR), whole.see(PAIR), strict=True):
        assert one.same(other)
