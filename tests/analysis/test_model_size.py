"""Backbone sizes counted from configurations, against weights and against what their makers say."""

from pathlib import Path
from typing import Any

import pytest

from limen.analysis.model_size import ParameterCounts, count, count_config
from limen.errors import InputError

DEMO = Path(__file__).resolve().parents[2] / "src" / "limen" / "data" / "demo"


@pytest.fixture(scope="module")
def transformers() -> Any:
    import transformers

    from tests.support import tiny  # noqa: F401

    return transformers


def test_the_demo_model_is_counted_as_its_weights_are(transformers: Any) -> None:
    from safetensors import safe_open

    parts = {"vision": 0, "connector": 0, "language": 0}
    with safe_open(DEMO / "model.safetensors", "pt") as weights:
        for name in weights.keys():  # noqa: SIM118
            part = "vision" if "vision_model" in name else "connector" if "connector" in name else "language"
            size = 1
            for side in weights.get_slice(name).get_shape():
                size *= side
            parts[part] += size
    found = count(DEMO)
    assert (found.vision, found.connector, found.language) == tuple(parts.values())
    assert found.active == found.language
    assert found.parameters.vision == pytest.approx(found.vision / 1e6)
    assert found.parameters.mixture is False


@pytest.mark.parametrize("family", ["qwen2_vl", "llava_onevision", "internvl"])
def test_nothing_is_counted_twice_or_left_out(transformers: Any, family: str, tmp_path: Path) -> None:
    from tests.support import tiny

    folder = tiny.FAMILIES[family](tmp_path / family)
    (folder / "model.safetensors").unlink()
    found = count(folder)
    with __import__("torch").device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(transformers.AutoConfig.from_pretrained(folder))
    assert found.vision + found.connector + found.language == model.num_parameters()
    assert min(found.vision, found.language) > 0


def test_a_model_of_seven_billion_has_them(transformers: Any) -> None:
    """Numbers of Qwen/Qwen2.5-VL-7B-Instruct's config.json; its safetensors index says 8 292 166 656 parameters."""
    config = transformers.Qwen2_5_VLConfig(
        tie_word_embeddings=False,
        vision_config={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
        },
        text_config={
            "model_type": "qwen2_5_vl_text", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944,
            "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False,
        },
    )  # fmt: skip
    found = count_config(config)
    assert found.vision + found.connector + found.language == 8_292_166_656
    assert found.parameters.vision == pytest.approx(675, rel=0.01), "the paper's table: QwenViT-675M"
    assert found.parameters.language == pytest.approx(7.6, rel=0.01)


def test_of_experts_the_active_ones_are_counted_too(transformers: Any) -> None:
    """Numbers of Qwen/Qwen3-VL-30B-A3B's config.json: 30.5 billion, of which 3.3 are active, say its makers."""
    config = transformers.Qwen3VLMoeConfig(
        tie_word_embeddings=False,
        vision_config={
            "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "out_hidden_size": 2048,
        },
        text_config={
            "model_type": "qwen3_vl_moe_text", "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144,
            "moe_intermediate_size": 768, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
            "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "decoder_sparse_step": 1,
            "mlp_only_layers": [], "tie_word_embeddings": False,
        },
    )  # fmt: skip
    found = count_config(config)
    assert found.parameters.mixture is True
    assert found.parameters.language == pytest.approx(30.5, rel=0.01)
    assert found.active / 1e9 == pytest.approx(3.35, rel=0.02)
    experts = 48 * 128 * 3 * 768 * 2048
    assert found.language - found.active == experts - experts * 8 // 128


def test_what_has_no_two_backbones_is_refused(transformers: Any, tmp_path: Path) -> None:
    from tests.support import tiny

    with pytest.raises(InputError, match="'llama' is not an image-text-to-text model"):
        count(tiny.llama(tmp_path / "llama"))
    with pytest.raises(InputError, match="has no configuration that can be used"):
        count(tmp_path)
    assert ParameterCounts(10, 1, 20, 5).parameters.mixture
