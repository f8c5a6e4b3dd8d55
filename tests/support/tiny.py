"""Makers of tiny image-text-to-text checkpoints with random weights: real architectures, nothing downloaded.

Each maker writes a folder that transformers' Auto classes load. The weights are drawn so that the model is of use
in a test: the only tokens it ever says are " yes" and " no" (all other rows of the output layer are zero, these two
are each other's negative), and what it says depends on both pictures and on their order.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

CORPUS = [
    'Is there any noticeable difference in "blur" between these two images? Please return <yes> or <no>',
    " with analysis. Answer with the option's letter from the given choices directly. A. Yes; B. No",
    "user: assistant: yes no yes no Yes No",
]
INTERLEAVED = (
    "{% for message in messages %}{{ '<start>' + message['role'] + ':' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'MARK' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '<end>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
PICTURES_FIRST = (
    "{% for message in messages %}{{ '<start>' + message['role'] + ':' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ 'MARK' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<end>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)


def tokenizer(*special: str, named: dict[str, str] | None = None) -> Any:
    """Train a byte-level BPE tokenizer of a few hundred tokens on `CORPUS`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    every = ["<pad>", "<start>", "<end>", *special]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=every, initial_alphabet=alphabet)
    bpe.train_from_iterator(CORPUS, trainer)
    start = [("<start>", bpe.token_to_id("<start>"))]
    bpe.post_processor = processors.TemplateProcessing(single="<start> $A", special_tokens=start)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<start>",
        eos_token="<end>",
        padding_side="right",
        extra_special_tokens=named or {},
    )


def teach(model: Any, words: Any, seed: int = 0, spread: float = 0.12) -> None:
    """Draw the weights anew, so that the model says " yes" or " no" and what it says depends on the pictures.

    Coordinate 0 of the text decoder is held constant, which keeps both flags above every other token.
    """
    generator = torch.Generator().manual_seed(seed)
    yes, no = (words.encode(word, add_special_tokens=False) for word in (" yes", " no"))
    assert len(yes) == len(no) == 1
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight[0] = 0.0
        model.get_input_embeddings().weight[:, 0] = 2.0
        head = model.get_output_embeddings().weight
        row = torch.randn(head.shape[1], generator=generator) * 0.4
        head.zero_()
        head[yes[0]], head[no[0]] = row, -row
        head[yes[0], 0] = head[no[0], 0] = 6.0


def save(folder: Path, model: Any, words: Any, stop: bool, processor: Any) -> Path:
    """Write a checkpoint; with `stop`, either flag ends the answer."""
    ids = [words.encode(word, add_special_tokens=False)[0] for word in (" yes", " no")]
    model.generation_config.pad_token_id = words.pad_token_id
    model.generation_config.eos_token_id = ids if stop else words.eos_token_id
    model.eval()
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def idefics3(folder: Path, stop: bool = False, template: str = INTERLEAVED, seed: int = 0) -> Path:
    """Write a tiny Idefics3 (the family of SmolVLM): pictures of 64 px, 16 tokens each."""
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    marks = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    words = tokenizer(*marks, *rows)
    image_processor = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    )
    processor = transformers.Idefics3Processor(
        image_processor, words, image_seq_len=16, chat_template=template.replace("MARK", "<image>")
    )
    config = transformers.Idefics3Config(
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=words.pad_token_id,
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
        },
        text_config=_text("llama", words),
    )
    model = transformers.Idefics3ForConditionalGeneration(config)
    teach(model, words, seed)
    return save(folder, model, words, stop, processor)


def qwen2_vl(folder: Path, stop: bool = False, template: str = INTERLEAVED, seed: int = 0) -> Path:
    """Write a tiny Qwen2.5-VL: pictures at their own size, one token for 16 x 16 px."""
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = tokenizer(*marks)
    start, end, image, video = (words.convert_tokens_to_ids(mark) for mark in marks)
    image_processor = transformers.Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, min_pixels=16 * 16, max_pixels=64 * 64
    )
    text = _text("qwen2_5_vl_text", words)
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}
    config = transformers.Qwen2_5_VLConfig(
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "out_hidden_size": 32,
            "window_size": 32,
            "fullatt_block_indexes": [0],
        },
        text_config=text,
    )
    model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    teach(model, words, seed)
    words.chat_template = template.replace("MARK", "<|vision_start|><|image_pad|><|vision_end|>")
    return save(folder, model, words, stop, image_processor)


def llava_onevision(folder: Path, stop: bool = False, template: str = PICTURES_FIRST, seed: int = 0) -> Path:
    """Write a tiny LLaVA-OneVision, whose template puts all pictures first: 64 px, 16 tokens and a newline each."""
    words = tokenizer("<image>", "<video>")
    square = {"height": 32, "width": 32}
    image_processor = transformers.LlavaOnevisionImageProcessorPil(
        size=square, image_grid_pinpoints=[[32, 32], [64, 64]]
    )
    config = transformers.LlavaOnevisionConfig(
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[32, 32], [64, 64]],
        vision_feature_layer=-1,
        tie_word_embeddings=False,
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
            "vision_use_head": False,
        },
        text_config=_text("qwen2", words),
    )
    model = transformers.LlavaOnevisionForConditionalGeneration(config)
    teach(model, words, seed)
    words.chat_template = template.replace("MARK", "<image>")
    save(folder, model, words, stop, image_processor)
    settings = {"num_image_tokens": 16, "vision_feature_select_strategy": "full", "image_token": "<image>"}
    kind = {"processor_class": "LlavaOnevisionProcessor", "vision_aspect_ratio": "anyres_max_9"}
    (folder / "processor_config.json").write_text(json.dumps(settings | kind))
    return folder


def smolvlm(folder: Path, stop: bool = False, template: str = INTERLEAVED, seed: int = 0) -> Path:
    """Write a tiny SmolVLM, which cuts pictures into tiles of 32 px and an overview, four tokens each."""
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    marks = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"]
    words = tokenizer(*marks, *rows)
    image_processor = transformers.SmolVLMImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
    )
    config = transformers.SmolVLMConfig(
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=words.pad_token_id,
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        text_config=_text("llama", words),
    )
    model = transformers.SmolVLMForConditionalGeneration(config)
    teach(model, words, seed)
    words.chat_template = template.replace("MARK", "<image>")
    save(folder, model, words, stop, image_processor)
    settings = {"processor_class": "SmolVLMProcessor", "image_seq_len": 4}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


def qwen3_vl(folder: Path, stop: bool = False, template: str = INTERLEAVED, seed: int = 0) -> Path:
    """Write a tiny Qwen3-VL: pictures at their own size, one token for 16 x 16 px, features into two layers."""
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = tokenizer(*marks)
    start, end, image, video = (words.convert_tokens_to_ids(mark) for mark in marks)
    image_processor = transformers.Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, min_pixels=16 * 16, max_pixels=64 * 64
    )
    text = _text("qwen3_vl_text", words) | {"head_dim": 8}
    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}
    config = transformers.Qwen3VLConfig(
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        tie_word_embeddings=False,
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        text_config=text,
    )
    model = transformers.Qwen3VLForConditionalGeneration(config)
    teach(model, words, seed)
    words.chat_template = template.replace("MARK", "<|vision_start|><|image_pad|><|vision_end|>")
    return save(folder, model, words, stop, image_processor)


def internvl(folder: Path, stop: bool = False, template: str = INTERLEAVED, seed: int = 0) -> Path:
    """Write a tiny InternVL, which cuts pictures into tiles of 32 px and an overview, four tokens each."""
    marks = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    words = tokenizer(*marks.values(), named=marks)
    square = {"height": 32, "width": 32}
    image_processor = transformers.GotOcr2ImageProcessorPil(size=square, crop_to_patches=False)
    config = transformers.InternVLConfig(
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": [32, 32],
            "patch_size": [8, 8],
        },
        text_config=_text("qwen2", words),
    )
    model = transformers.InternVLForConditionalGeneration(config)
    teach(model, words, seed)
    words.chat_template = template.replace("MARK", "<IMG_CONTEXT>")
    save(folder, model, words, stop, image_processor)
    settings = {"processor_class": "InternVLProcessor", "image_seq_length": 4}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


def llama(folder: Path) -> Path:
    """Write a tiny text-only Llama."""
    words = tokenizer()
    config = transformers.LlamaConfig(**{k: v for k, v in _text("llama", words).items() if k != "model_type"})
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


FAMILIES: dict[str, Callable[..., Path]] = {
    "idefics3": idefics3,
    "qwen2_vl": qwen2_vl,
    "llava_onevision": llava_onevision,
    "internvl": internvl,
    "smolvlm": smolvlm,
    "qwen3_vl": qwen3_vl,
}


def _text(kind: str, words: Any) -> dict[str, Any]:
    """Return the configuration of a text decoder of two layers."""
    return {
        "model_type": kind,
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": False,
        "pad_token_id": words.pad_token_id,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
    }
