"""Checkpoints are loaded without running anything of theirs, whichever wing asks."""

import json
from pathlib import Path

import pytest

from limen.checkpoint import Weights, load_config, load_weights, locate
from limen.errors import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.file,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=3)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
    return tmp_path / "net"


def loaded(folder: Path, how: Weights, spare: str = "") -> object:
    return load_weights(transformers.AutoModelForImageClassification, str(folder), torch.device("cpu"), how, spare)


@pytest.mark.parametrize("trust", [False, True])
def test_weights_that_are_a_pickle_are_refused_unread(folder: Path, trust: bool) -> None:
    loaded(folder, Weights())
    (folder / "model.safetensors").unlink()
    torch.save(Trap(folder / "sprung"), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="weights are pickles. limen reads safetensors alone, as pickles can run code"):
        loaded(folder, Weights(trust=trust))
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize(
    ("reference", "trust", "said"),
    [
        ("theirs.Config", False, "set trust_remote_code to the model's name"),
        ("somebody/else--theirs.Config", True, "runs code from 'somebody/else', which trust_remote_code does not name"),
    ],
)
def test_code_that_is_not_trusted_does_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str, trust: bool, said: str
) -> None:
    (folder / "theirs.py").write_text(f"from pathlib import Path\nPath({str(folder / 'sprung')!r}).touch()\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    content = json.loads((folder / "config.json").read_text())
    content |= {"model_type": "theirs", "auto_map": {"AutoConfig": reference}}
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        load_config(str(folder), trust=trust)
    assert not (folder / "sprung").exists()


def test_a_place_is_a_folder_or_an_id_and_trust_names_it(folder: Path) -> None:
    assert locate(str(folder), str(folder)) == str(folder)
    assert locate("microsoft/resnet-50") == "microsoft/resnet-50"
    with pytest.raises(InputError, match="No model at '../nowhere'"):
        locate("../nowhere")
    with pytest.raises(InputError, match="Its code runs only if trust_remote_code is exactly the model's name"):
        locate(str(folder), "somebody/else")


def test_weights_that_are_missing_are_named_and_may_be_spared(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if "classifier" not in name}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match="missing or do not fit: 2 .first: classifier.*Fetch the whole checkpoint"):
        loaded(folder, Weights())
    loaded(folder, Weights(), "classifier")
