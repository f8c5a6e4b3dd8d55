"""Networks that a function in Python makes: named on the command line, with weights from a file, in every command."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import save_file
from torch import nn

from limen import feature
from limen.cli import run as command
from limen.errors import InputError, LimenError, StoreError
from limen.feature import task
from limen.feature.model import factory
from limen.feature.model.network import NetworkSource, load
from limen.feature.model.preparation import PRESETS, Preparation, parse

CLASSIFY = task.find("classification")
SOURCE = """
from collections import namedtuple

import torch
from torch import nn

from limen import feature

Found = namedtuple("Found", "logits aux")


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU())
        self.norm = nn.BatchNorm2d(6)
        self.classifier = nn.Linear(6 * 64, classes)

    def forward(self, images):
        return self.classifier(self.norm(self.stem(images)).flatten(1))


class Pair(Net):
    def forward(self, images):
        logits = super().forward(images)
        return logits, logits * 2


class Named(Net):
    def forward(self, images):
        logits = super().forward(images)
        return Found(logits, logits * 2)


made = Net()
nothing = {"no": "network"}


class Zoo:
    small = staticmethod(Net)


def network():
    return feature.Network(Net(), feature.Preparation(squash=64), "ours", tuple("abcdefghij"))


def script():
    return torch.jit.script(Net())


def exported():
    return torch.export.export(Net(), (torch.zeros(1, 3, 64, 64),))


def chatty():
    print("Loaded pretrained weights")
    return Net()


def broken():
    raise OSError("no weights here\\nnor there")


def seven():
    return Net(7)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module of networks, which is the current directory."""
    (tmp_path / "mynets.py").write_text(SOURCE)
    (tmp_path / "hollow.py").write_text("import not_there_at_all\n")
    (tmp_path / "torn.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    for name in ("mynets", "hollow", "torn"):
        sys.modules.pop(name, None)
    yield tmp_path
    for name in ("mynets", "hollow", "torn"):
        sys.modules.pop(name, None)


def weights(here: Path, **changes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return weights of `Net` that are not those it draws."""
    model = factory.make("mynets:Net")
    source = torch.Generator().manual_seed(3)
    state = {name: torch.rand(value.shape, generator=source).to(value) for name, value in model.state_dict().items()}
    return state | changes


def small(**changes: object) -> list[str]:
    sizes = ["--images-fit", "10", "--images-calibrate", "9", "--images-test", "8", "--seeds", "1", "--device", "cpu"]
    return [*sizes, "--data", "scenes", "--map", "gaussian", "--map", "fisher,draws=1", "--rho", "0.2"]


def test_the_rooms_front_door_is_told() -> None:
    assert set(feature.__all__) <= set(dir(feature))
    assert all(getattr(feature, name).__doc__ for name in feature.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        feature.nothing  # noqa: B018


# --- the network ---


@pytest.mark.parametrize("name", ["mynets:Net", "mynets:made", "mynets:Zoo.small"])
def test_a_class_a_function_and_a_network_that_is_there_are_taken(here: Path, name: str) -> None:
    network = load(name, CLASSIFY, "cpu")
    assert network.name == name.partition(":")[2]
    assert network.parameters == 6 * 3 * 64 + 6 + 12 + 10 * 384 + 10
    assert network.prepare([np.full((64, 64, 3), 255, np.uint8)]).max() == 1


def test_a_network_that_is_described_keeps_what_it_says(here: Path) -> None:
    network = load("mynets:network", CLASSIFY, "cpu")
    assert (network.name, network.labels) == ("ours", tuple("abcdefghij"))
    assert network.prepare([np.zeros((30, 50, 3), np.uint8)]).shape == (1, 3, 64, 64)
    other = load(NetworkSource("mynets:network", prepare=Preparation(squash=32)), CLASSIFY, "cpu")
    assert other.prepare([np.zeros((30, 50, 3), np.uint8)]).shape == (1, 3, 32, 32)


def test_weights_that_a_factory_draws_are_the_same_each_time_and_take_nothing_from_others(here: Path) -> None:
    torch.manual_seed(1)
    first = load("mynets:Net", CLASSIFY, "cpu").digest
    expected = torch.rand(3)
    torch.manual_seed(2)
    assert load("mynets:Net", CLASSIFY, "cpu").digest == first
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mynets:Nt", "mynets has no 'Nt'. Near it: Net."),
        ("mynets:Zoo.big", "mynets has no 'Zoo.big'"),
        ("mynetz:Net", "No module 'mynetz', neither installed nor in"),
        ("mynets.sub:Net", "No module 'mynets.sub'|cannot be imported"),
        ("hollow:Net", "hollow imports 'not_there_at_all', which is not installed. Install it."),
        ("torn:Net", "torn cannot be imported: ZeroDivisionError: division by zero."),
        ("mynets:broken", "mynets:broken raised OSError: no weights here. It is called without arguments"),
        ("mynets:Found", "raised TypeError.*It is called without arguments"),
        ("mynets:nothing", "What mynets:nothing returned is dict, not an nn.Module"),
        ("mynets:script", "is TorchScript: its parts take no hooks.*torch.jit.load"),
        ("mynets:exported", "is a program of torch.export: its parts take no hooks.*torch.export.load"),
    ],
)
def test_what_is_no_network_is_one_line(here: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load(name, CLASSIFY, "cpu")
    assert "\n" not in str(caught.value)


def test_options_of_the_other_kind_of_network_are_refused(here: Path) -> None:
    for source, said in (
        (NetworkSource("mynets:Net", revision="main"), "--revision is for a checkpoint on the hub"),
        (NetworkSource("mynets:Net", trust="mynets:Net"), "--trust-remote-code is for a checkpoint on the hub"),
        (NetworkSource("demo:resnet", weights="w.th"), "--weights is for the network of a factory"),
        (NetworkSource("demo:resnet", prepare=Preparation()), "--prepare is for the network of a factory"),
    ):
        with pytest.raises(InputError, match=said):
            load(source, CLASSIFY, "cpu")


# --- weights ---


@pytest.mark.parametrize("kind", ["safetensors", "state", "nested", "parallel", "compiled", "old"])
def test_weights_are_read_from_what_people_have(here: Path, kind: str) -> None:
    state = weights(here)
    file = here / ("w.safetensors" if kind == "safetensors" else "w.th")
    if kind == "safetensors":
        save_file(state, file)
    elif kind == "nested":
        torch.save({"epoch": 3, "state_dict": state, "best": torch.tensor(0.9)}, file)
    elif kind == "old":
        torch.save({k: v for k, v in state.items() if "num_batches" not in k}, file,
                   _use_new_zipfile_serialization=False)  # fmt: skip
    else:
        before = {"parallel": "module.", "compiled": "_orig_mod.", "state": ""}[kind]
        torch.save({before + name: value for name, value in state.items()}, file)
    network = load(NetworkSource("mynets:Net", weights=str(file)), CLASSIFY, "cpu")
    assert torch.equal(network.model.state_dict()["classifier.weight"], state["classifier.weight"])
    assert torch.equal(network.model.state_dict()["norm.running_var"], state["norm.running_var"])


class Trap:
    """What creates a file as it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_weights_that_would_run_code_are_refused_unread(here: Path) -> None:
    torch.save({"state_dict": Trap(here / "sprung")}, here / "w.pth")
    with pytest.raises(InputError, match=r"holds more than numbers \(.*\), and reading that would run code"):
        load(NetworkSource("mynets:Net", weights="w.pth"), CLASSIFY, "cpu")
    torch.save(factory.make("mynets:Net"), here / "whole.pt")
    with pytest.raises(InputError, match=r"holds more than numbers \(mynets.Net\)"):
        load(NetworkSource("mynets:Net", weights="whole.pt"), CLASSIFY, "cpu")
    assert not (here / "sprung").exists()


def test_weights_of_another_network_are_named(here: Path) -> None:
    state = weights(here)
    lacking = {name: value for name, value in state.items() if name != "norm.bias"}
    for content, said in (
        (lacking, r"1 missing \(norm.bias\)"),
        (state | {"more": torch.zeros(1)}, r"1 that it does not have \(more\)"),
        (state | {"classifier.bias": torch.zeros(7)}, r"1 of another shape \(classifier.bias\)"),
    ):
        torch.save(content, here / "w.th")
        with pytest.raises(InputError, match=said):
            load(NetworkSource("mynets:Net", weights="w.th"), CLASSIFY, "cpu")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("none.th", None, "No file 'none.th'"),
        ("empty.pt", b"", "empty.pt is cut off or damaged"),
        ("text.pth", b"hello", "is no file of torch.save"),
        ("bad.safetensors", b"hello", "bad.safetensors: .*Fetch it again"),
    ],
)
def test_files_that_hold_no_weights_are_one_line(here: Path, file: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (here / file).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load(NetworkSource("mynets:Net", weights=file), CLASSIFY, "cpu")
    assert "\n" not in str(caught.value)
    torch.save(weights(here), here / "whole.th")
    (here / "cut.th").write_bytes((here / "whole.th").read_bytes()[:2000])
    with pytest.raises(InputError, match="cut.th is cut off or damaged"):
        load(NetworkSource("mynets:Net", weights="cut.th"), CLASSIFY, "cpu")
    torch.save([1, 2], here / "list.pt")
    with pytest.raises(InputError, match="list.pt holds list without a state dict"):
        load(NetworkSource("mynets:Net", weights="list.pt"), CLASSIFY, "cpu")


def test_files_in_place_of_a_network_say_what_to_give(here: Path) -> None:
    torch.save(weights(here), here / "w.th")
    torch.jit.save(torch.jit.script(factory.make("mynets:Net")), here / "s.pt")
    torch.export.save(factory.make("mynets:exported"), here / "e.pt2")
    (here / "n.onnx").write_bytes(b"x")
    for name, said in (
        ("w.th", "w.th is a file of weights without their network. Give both: --model .* --weights w.th"),
        ("s.pt", "s.pt is TorchScript"),
        ("e.pt2", "e.pt2 is a program of torch.export"),
        ("n.onnx", "n.onnx is ONNX"),
        ("mynets.py", "is a file of Python. Name the function in it: --model mynets:factory"),
    ):
        with pytest.raises(InputError, match=said):
            load(name, CLASSIFY, "cpu")
    for name in ("s.pt", "e.pt2"):
        with pytest.raises(InputError, match="its parts take no hooks"):
            load(NetworkSource("mynets:Net", weights=name), CLASSIFY, "cpu")


# --- preparation ---


def test_images_are_prepared_as_networks_were_evaluated_with() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    prepared = PRESETS["imagenet"]([image])
    small = np.asarray(Pillow.fromarray(image).resize((341, 256), Pillow.Resampling.BILINEAR))
    cut = torch.from_numpy(small[16:240, 58:282].copy()).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(prepared, ((cut - mean) / std)[None])


def test_preparations_are_read_from_words() -> None:
    assert parse([]) == Preparation() == PRESETS["unit"]
    assert parse(["imagenet", "crop=200"]) == Preparation(256, 200, 0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert parse(["squash=32", "mean=0.5,0.5,0.5"]) == Preparation(squash=32, mean=(0.5, 0.5, 0.5))
    for words, said in (
        (["imagnet"], "No preparation named 'imagnet'. Did you mean 'imagenet'"),
        (["crop=2", "imagenet"], "write it first"),
        (["cropp=2"], "Did you mean 'crop'"),
        (["crop=x"], "crop cannot be 'x'"),
        (["mean=1,2"], "mean cannot be"),
        (["std=0,1,1"], "those of std above 0"),
        (["std=nan,1,1"], "those of std above 0"),
        (["squash=3", "crop=2"], "neither resize nor crop can stand beside it"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            parse(words)
        assert "table of keys" not in str(caught.value)
    with pytest.raises(InputError, match="400 px cannot be cut out of an image of 400 x 300 px"):
        Preparation(crop=400)([np.zeros((300, 400, 3), np.uint8)])


# --- outputs, classes ---


def test_a_pair_of_outputs_says_how_to_give_the_first(here: Path) -> None:
    with pytest.raises(InputError, match=r"output 0 \(1, 10\).*return self.network\(images\)\[0\]"):
        CLASSIFY.outputs(factory.make("mynets:Pair")(torch.zeros(1, 3, 64, 64)))
    found = CLASSIFY.outputs(factory.make("mynets:Named").eval()(torch.ones(1, 3, 64, 64)))
    assert found["logits"].shape == (1, 10)


def folders(root: Path, names: list[str], count: int = 10) -> Path:
    source = np.random.default_rng(1)
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = source.integers(0, 256, (64, 64, 3), np.uint8)
            Pillow.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def test_folders_that_are_fewer_than_the_classes_are_not_taken_for_the_first_ones(here: Path) -> None:
    data = folders(here / "val", ["cat", "dog", "horse"])
    plan = feature.FeaturePlan("mynets:Net", "stem", data=str(data), sizes=feature.SubsetSizes(9, 9, 9), rho=0.2)
    with pytest.raises(InputError, match="3 class folders, and Net has 10 classes without names"):
        feature.FeatureRun.begin(here / "run", plan, "cpu")
    assert not (here / "run").exists()
    numbered = folders(here / "numbered", ["3", "7", "9"])
    plan = feature.FeaturePlan("mynets:Net", "stem", data=str(numbered), sizes=feature.SubsetSizes(9, 9, 9), rho=0.2)
    with feature.FeatureRun.begin(here / "run", plan, "cpu") as run:
        assert set(run.parts(0).fit.batch(range(9)).targets) <= {3, 7, 9}


# --- the commands ---


def test_splits_of_a_network_that_no_list_knows_are_searched(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command(["feature", "splits", "--model", "mynets:Net", "--device", "cpu", "--json"]) == 0
    assert [one["path"] for one in json.loads(capfd.readouterr().out)] == ["stem.0", "stem", "norm"]
    assert command(["feature", "splits", "--model", "mynets:Net", "--device", "cpu"]) == 0
    assert "Found by replaying its blocks on images (scenes)" in capfd.readouterr().out


def test_what_a_factory_prints_is_no_result(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command(["feature", "splits", "--model", "mynets:chatty", "--device", "cpu", "--json"]) == 0
    told = capfd.readouterr()
    assert json.loads(told.out)
    assert "Loaded pretrained weights" in told.err


def test_a_sweep_says_what_each_split_sends_computes_and_costs(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["feature", "splits", "--model", "mynets:Net", "--device", "cpu", "--sweep", "--images", "12"]
    assert command([*words, "--json"]) == 0
    first, second, third = json.loads(capfd.readouterr().out)
    convolution = 2 * 6 * 64 * 3 * 64  # filters, places, channels, pixels under one; two operations each
    assert [one["flops"] for one in (first, second, third)] == [convolution] * 3
    assert first["share"] == pytest.approx(convolution / (convolution + 2 * 384 * 10))
    assert (first["elements"], second["kind"], third["n"]) == (384, "maps", 12)
    assert all(one["low"] < one["discrepancy"] < one["high"] and one["seconds"] > 0 for one in (first, second, third))
    assert command(words) == 0
    assert "KL at NRMSE 1" in capfd.readouterr().out


@pytest.mark.slow
def test_a_sweep_says_the_bytes_at_a_promise(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.save(weights(here), here / "w.th")
    words = ["feature", "splits", "--model", "mynets:Net", "--weights", "w.th", "--sweep", "--images", "30"]
    assert command([*words, "--eps", "0.5", "--json"]) == 0
    loose = json.loads(capfd.readouterr().out)
    assert command([*words, "--eps", "0.005", "--rho", "0.1", "--drop", "kl", "--json"]) == 0
    tight = json.loads(capfd.readouterr().out)
    for one, other in zip(loose, tight, strict=True):
        assert other["bytes_low"] < other["bytes"] < other["bytes_high"]
        assert one["bytes"] < other["bytes"] < 4 * one["elements"]
    assert command([*words, "--eps", "0.5"]) == 0
    told = " ".join(capfd.readouterr().out.split())
    assert "bytes at the promise" in told
    assert "Pr[kl > 0.5] <= 0.1 with confidence 0.95" in told
    for more, said in (
        (
            ["--eps", "0.5", "--images", "12"],
            "it takes 29 at least. Give more (fit: --images-calibrate; splits: --images)",
        ),
        (["--rho", "0.2"], "Give --eps too"),
        (["--eps", "0.5", "--drop", "foo"], "No drop of classification named 'foo'"),
    ):
        assert command([*words, *more]) == 1
        assert said in capfd.readouterr().err
    assert command([*words[:6], "--eps", "0.5"]) == 1
    assert "Give --sweep as well" in capfd.readouterr().err


@pytest.mark.slow
def test_a_factory_goes_through_every_command_and_finds_its_weights(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"state_dict": weights(here)}, here / "w.th")
    begin = ["feature", "fit", "--model", "mynets:Net", "--weights", "w.th", "--prepare", "mean=0.5,0.5,0.5"]
    assert command([*begin, "--split", "stem", "--out", "runs/f", *small(), "--json"]) == 0
    manifest = json.loads((here / "runs" / "f" / "manifest.json").read_text())
    assert (manifest["plan"]["weights"], manifest["network"]["kind"]) == ("w.th", "factory")
    assert manifest["plan"]["prepare"] == {"mean": [0.5, 0.5, 0.5]}
    assert command(["feature", "evaluate", "runs/f", "--nrmse", "1"]) == 0
    assert command(["feature", "quantise", "runs/f", "--budget", "0.5"]) == 0
    assert command(["feature", "export", "runs/f", "--out", "sent"]) == 0
    (here / "w.th").rename(here / "elsewhere.th")
    capfd.readouterr()
    assert command(["feature", "evaluate", "runs/f", "--nrmse", "1"]) == 1
    assert "the weights 'w.th', which is neither beside it nor here" in capfd.readouterr().err
    assert command(["feature", "evaluate", "runs/f", "--nrmse", "1", "--weights", "elsewhere.th"]) == 0
    torch.save(weights(here, **{"norm.bias": torch.zeros(6)}), here / "w.th")
    assert command(["feature", "evaluate", "runs/f", "--nrmse", "1"]) == 1
    assert "holds another study: network.digest was" in capfd.readouterr().err


def test_a_run_made_in_python_is_opened_by_naming_the_factory(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = nn.Module.__new__(type(factory.make("mynets:Net")))
    model.__init__()  # type: ignore[misc]
    model.load_state_dict(weights(here))
    network = feature.Network(model, feature.Preparation(mean=(0.5, 0.5, 0.5)))
    plan = feature.FeaturePlan("my network", "stem", seeds=1, sizes=feature.SubsetSizes(10, 9, 8), rho=0.2,
                               maps={"gaussian": ("gaussian", {})})  # fmt: skip
    with feature.FeatureRun.begin("runs/mine", plan, "cpu", network=network) as run:
        feature.fit(run)
        feature.calibrate(run)
        feature.evaluate(run, (1.0,))
        assert run.store.manifest["network"]["name"] == "my network"
    assert command(["feature", "evaluate", "runs/mine", "--nrmse", "1", "--device", "cpu"]) == 1
    assert "begun in Python with a network of its own, 'my network'" in capfd.readouterr().err
    torch.save(weights(here), here / "w.th")
    again = ["feature", "evaluate", "runs/mine", "--model", "mynets:Net", "--weights", "w.th", "--device", "cpu"]
    assert command([*again, "--nrmse", "0.5"]) == 0
    with pytest.raises(StoreError, match="network.digest"):
        feature.FeatureRun.open("runs/mine", "cpu", model="mynets:Net")


def test_images_prepared_in_another_way_are_another_study(here: Path) -> None:
    def dark(images: object) -> torch.Tensor:
        return Preparation()(images) - 0.5  # type: ignore[arg-type]

    plan = feature.FeaturePlan("mine", "stem", seeds=1, sizes=feature.SubsetSizes(10, 9, 8), rho=0.2)
    model = factory.make("mynets:Net")
    feature.FeatureRun.begin("runs/a", plan, "cpu", network=feature.Network(model, dark)).store.close()
    feature.FeatureRun.open("runs/a", "cpu", network=feature.Network(model, dark)).store.close()
    with pytest.raises(LimenError, match=r"prepared images.mean was|plan.prepare"):
        feature.FeatureRun.open("runs/a", "cpu", network=feature.Network(model))
