"""The codec for CompressAI-Vision, called as its split-inference pipelines call one."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limen.errors import InputError
from limen.feature import task as tasks
from limen.feature.clean_batches import CleanBatches
from limen.feature.compressai_vision import FeatureCodec, register
from limen.feature.data.parts import LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import Tensors
from limen.feature.quantisation.codec import Quantiser
from limen.feature.quantisation.fit import fit
from limen.feature.quantisation.step_sizes import StepRule
from limen.testing import photograph

TAGS = ("p2", "p3")


class Pyramid(nn.Module):
    """Two levels of a pyramid, (4, 8, 8) and (6, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 4, 2, stride=2)
        self.coarse = nn.Conv2d(4, 6, 2, stride=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(images).relu()
        return fine, self.coarse(fine)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.pyramid = Pyramid()
        self.last = nn.Linear(4 * 64 + 6 * 16, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(torch.cat([level.flatten(1) for level in self.pyramid(images)], 1))


class Named:
    """A map that needs a name for each image, as Fisher information of an image does."""

    noise = "signs"

    def map(self, features: Features, names: tuple[str, ...] = ()) -> Tensors:
        assert len(names) == len(set(names)) == len(features)
        return tuple(1 + tensor.abs() for tensor in features.tensors)


NET = Net()
SPLIT = SplitPoint(NET, "pyramid")
RULES = {
    "uniform": StepRule("uniform"),
    "uniform-image": StepRule("uniform-image"),
    "tolerance": StepRule("tolerance", "named", Named()),  # type: ignore[arg-type]
    "permuted": StepRule("permuted", "named", Named()),  # type: ignore[arg-type]
}


def part(count: int, named: str) -> Subset:
    def read(index: int) -> LabelledImage:
        name = f"{named} {index}"
        return LabelledImage(name, photograph(name, 16, 16), index % 5)

    return Subset(count, read, Network(NET))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `limen feature export` writes, for each rule."""
    clean = CleanBatches(SPLIT, tasks.find("classification"), part(40, "fit"), 20)
    found = {}
    for rule, made in zip(RULES, fit(clean, [(steps, 0.2) for steps in RULES.values()]), strict=True):
        found[rule] = tmp_path_factory.mktemp(rule)
        made.save(found[rule])
    return found


def entered(images: int = 1) -> tuple[dict[str, Any], Features]:
    """What the pipelines hand to a codec, and the features in it."""
    features = SPLIT.encode(part(images, "fresh").batch(range(images)).images)
    given = {
        "data": dict(zip(TAGS, features.tensors, strict=True)),
        "org_input_size": {"height": 375, "width": 500},
        "input_size": [(16, 16)],
    }
    return given, features


def through(codec: FeatureCodec, given: dict[str, Any], folder: Path, prefix: str) -> tuple[Any, Any]:
    """Encode and decode by the positions and keywords that the pipelines use."""
    result, encoding, macs = codec.encode(given, folder, "set_q1", prefix, remote_inference=False)
    assert encoding["inner_codec"] > 0
    if macs is not None:
        assert macs == (0, 0)
    decoded, decoding, macs = codec.decode(
        result["bitstream"], folder, prefix, org_img_size=None, remote_inference=False, vcm_mode=False, output10b=False
    )
    assert decoding["inner_codec"] > 0
    assert macs == (0, 0)
    return result, decoded


@pytest.mark.parametrize("rule", RULES)
def test_the_pipeline_gets_the_features_that_quantise_gives(
    folders: dict[str, Path], tmp_path: Path, rule: str
) -> None:
    given, features = entered()
    before = {tag: tensor.clone() for tag, tensor in given["data"].items()}
    codec = FeatureCodec(folders[rule], RULES[rule].tolerance)
    result, decoded = through(codec, given, tmp_path / "codec_output", "img_id_7")

    quantiser = Quantiser.load(folders[rule], RULES[rule].tolerance)
    for tag, tensor in zip(TAGS, quantiser.quantise(features, ["img_id_7"]).features.tensors, strict=True):
        assert torch.equal(decoded["data"][tag], tensor)
        assert not torch.equal(decoded["data"][tag], before[tag])
        assert torch.equal(given["data"][tag], before[tag])  # what the pipeline compares with stays
    (file,) = (tmp_path / "codec_output").iterdir()
    assert file.name == "set_q1-img_id_7.bin"  # what a pipeline that only decodes looks for
    assert result["bytes"] == [file.stat().st_size]
    assert isinstance(result["bitstream"], dict)  # else it takes the file's size, of all frames, for each
    assert list(decoded["data"]) == list(TAGS)
    assert {key: decoded[key] for key in decoded if key != "data"} == {
        "org_input_size": {"height": 375, "width": 500},
        "input_size": [(16, 16)],
    }


def test_it_decodes_from_the_file_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    given, _ = entered()
    _, decoded = through(FeatureCodec(folders["tolerance"], Named()), given, tmp_path, "img_id_7")  # type: ignore[arg-type]
    (file,) = tmp_path.iterdir()
    receiver = FeatureCodec(folders["tolerance"])  # no map: the steps are in the file
    for path in (file, str(file)):
        places, _, _ = receiver.decode(path, tmp_path, "img_id_7")
        assert list(places) == ["data"]
        assert list(places["data"]) == ["0", "1"]
        named, _, _ = FeatureCodec(folders["tolerance"], tags=TAGS).decode(path)
        for place, tag in enumerate(TAGS):
            assert torch.equal(places["data"][str(place)], decoded["data"][tag])
            assert torch.equal(named["data"][tag], decoded["data"][tag])


def test_without_folder_or_name_nothing_is_written(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given, features = entered()
    codec = FeatureCodec(folders["uniform"])
    for asked in ({}, {"codec_output_dir": "out"}, {"bitstream_name": "set"}):
        result, _, _ = codec.encode(given, **asked)
        assert result["bytes"] == [len(codec.quantiser.encode(features))]
        decoded, _, _ = codec.decode(result["bitstream"])
        assert torch.equal(decoded["data"]["p3"], codec.quantiser.quantise(features).features.tensors[1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rule", RULES)
def test_frames_of_a_video_are_one_file_and_their_bytes_a_mean(
    folders: dict[str, Path], tmp_path: Path, rule: str
) -> None:
    given, features = entered(3)
    codec = FeatureCodec(folders[rule], RULES[rule].tolerance)
    result, decoded = through(codec, given, tmp_path, "")
    (file,) = tmp_path.iterdir()
    assert file.name == "set_q1.bin"
    assert len(result["bytes"]) == 3
    assert sum(result["bytes"]) == pytest.approx(file.stat().st_size)
    if rule != "permuted":  # its steps are an image's by its name
        wanted = codec.quantiser.quantise(features, ["a", "b", "c"]).features
        assert all(torch.equal(decoded["data"][tag], wanted.tensors[place]) for place, tag in enumerate(TAGS))
    assert decoded["data"]["p2"].shape == (3, 4, 8, 8)


def test_tags_say_the_order_of_the_split(folders: dict[str, Path]) -> None:
    given, features = entered()
    codec = FeatureCodec(folders["uniform"], tags=TAGS)
    turned = given | {"data": dict(reversed(given["data"].items()))}
    result, _, _ = codec.encode(turned)
    decoded, _, _ = codec.decode(result["bitstream"])
    assert list(decoded["data"]) == list(TAGS)
    assert torch.equal(decoded["data"]["p3"], codec.quantiser.quantise(features).features.tensors[1])
    with pytest.raises(InputError, match="shapes"):
        FeatureCodec(folders["uniform"]).encode(turned)


def test_operations_are_not_known_of_steps_from_a_map_of_the_image(folders: dict[str, Path]) -> None:
    given, _ = entered()
    known = {rule: FeatureCodec(folders[rule], RULES[rule].tolerance).encode(given)[2] for rule in RULES}
    assert known == {"uniform": (0, 0), "uniform-image": (0, 0), "tolerance": None, "permuted": None}


def test_tables_of_the_pipeline_hold_the_budget(folders: dict[str, Path]) -> None:
    assert FeatureCodec(folders["uniform"]).qp_value == 0.2
    assert FeatureCodec(folders["uniform"]).eval_encode_type == "bpp"
    assert FeatureCodec(folders["uniform"], eval_encode="bitrate").eval_encode_type == "bitrate"


def other(change: Mapping[str, Any]) -> Callable[[FeatureCodec, dict[str, Any]], Any]:
    return lambda codec, given: codec.encode(given | {"data": given["data"] | change})


REFUSED: dict[str, tuple[Callable[[FeatureCodec, dict[str, Any]], Any], str]] = {
    "no data": (lambda codec, given: codec.encode({"file_names": []}), "with file_names has no features. Give `data`"),
    "more tags": (other({"p4": torch.zeros(1, 6, 2, 2)}), "have the tags p2, p3, p4, not p2, p3"),
    "shape": (other({"p3": torch.zeros(1, 6, 5, 5)}), r"have shapes .*\(6, 5, 5\).* was fitted on"),
    "no tensor": (other({"p3": None}), "features of p3 have NoneType. Give a tensor"),
    "other samples": (other({"p3": torch.zeros(2, 6, 4, 4)}), r"of p3 have the shape \(2, 6, 4, 4\)"),
    "not finite": (other({"p3": torch.full((1, 6, 4, 4), torch.nan)}), "not finite"),
    "pictures": (lambda codec, given: codec.encode(given, remote_inference=True), "sends features, not pictures"),
    "pictures back": (lambda codec, given: codec.decode(given, remote_inference=True), "sends features, not pictures"),
    "not encoded": (lambda codec, given: codec.decode(given), "with data, org_input_size, input_size holds no coded"),
    "no file": (lambda codec, given: codec.decode("nowhere.bin"), "nowhere.bin cannot be read .*No such file"),
    "no folder": (lambda codec, given: codec.encode(given, __file__, "set"), "set.bin cannot be written .*exists"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_do_is_said_in_a_line(folders: dict[str, Path], case: str) -> None:
    do, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as raised:
        do(FeatureCodec(folders["uniform"], tags=TAGS), entered()[0])
    assert "\n" not in str(raised.value)


def test_folder_and_tags_are_looked_at_when_it_is_made(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no quantiser"):
        FeatureCodec(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"1 tags \(r2\) for a quantiser of 2 tensors"):
        FeatureCodec(folders["uniform"], tags=("r2",))
    with pytest.raises(InputError, match="come from a map, and none was given"):
        FeatureCodec(folders["tolerance"]).encode(entered()[0])


# --- registered ---


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The registry of their package: `register_codec(name)` decorates what is called for `codec.type`."""
    codecs: dict[str, Any] = {}
    package, registry = ModuleType("compressai_vision"), ModuleType("compressai_vision.registry")

    def register_codec(name: str) -> Callable[[Any], Any]:
        return lambda made: codecs.setdefault(name, made)

    registry.register_codec = register_codec  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compressai_vision", package)
    monkeypatch.setitem(sys.modules, "compressai_vision.registry", registry)
    return codecs


def settings(**encoder_config: Any) -> dict[str, Any]:
    """What their configuration hands to a codec: all its settings but the type, the vision model and the data set."""
    return {
        "device": "cpu",
        "eval_encode": "bitrate",
        "output_dir": "runs",
        "bitstream_name": "default.bin",
        "mac_computation": False,
        "encoder_config": {"qp": "uncmp", "nbit_quant": -1} | encoder_config,
        "vision_model": SimpleNamespace(split_layer_list=list(TAGS)),
        "dataset": {},
    }


def test_registered_it_is_made_by_its_settings(known: dict[str, Any], folders: dict[str, Path]) -> None:
    register(tolerance=Named())  # type: ignore[arg-type]
    register("limen-uniform")
    assert list(known) == ["limen", "limen-uniform"]
    given, features = entered()
    codec = known["limen"](**settings(quantiser=str(folders["tolerance"])))
    assert (codec.tags, codec.eval_encode_type) == (TAGS, "bitrate")
    result, _, _ = codec.encode(given, "", "", "img_id_7", remote_inference=False)
    wanted = codec.quantiser.quantise(features, ["img_id_7"]).features.tensors[0]
    assert torch.equal(codec.decode(result["bitstream"])[0]["data"]["p2"], wanted)
    turned = known["limen"](**settings(quantiser=str(folders["tolerance"]), tags=["p3", "p2"]))
    assert turned.tags == ("p3", "p2")
    with pytest.raises(InputError, match=r"codec 'limen-uniform' needs the folder .*\+\+codec.encoder_config.quant"):
        known["limen-uniform"](**settings())


def test_without_their_package_registering_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compressai_vision", None)
    with pytest.raises(InputError, match="CompressAI-Vision cannot be imported here"):
        register()
