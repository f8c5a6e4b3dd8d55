"""The demo model: a stock Idefics3 of about one million parameters, initialised for comparing.

Nothing of the architecture is ours, only sizes and initial values: patches start as a whitened YCbCr cosine
transform with the energies of its bands beside it, the connector as an orthogonal projection, and the first
attention of the text model such that a token of the second image looks at its twin in the first and subtracts
it. All of it is then trained. The text model is a Llama, since that is what servers run behind an Idefics3.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from words import CONTEXT, END, IMAGE, PAD

from limen.image import Image

SIDE, PATCH, VISION, TEXT, HEADS, LAYERS = 64, 8, 128, 160, 5, 3
IMAGE_TOKENS, PER_IMAGE = 16, 19  # image tokens, and with the three that surround them
PREFIX = 2 * PER_IMAGE
LUMA, CHROMA, LEVEL = 64, 15, 4  # cosine coefficients kept of Y, of Cb and Cr each; constant dimensions
BANDS = (16, 7, 7)
CONTENT = TEXT - 2  # of the text dimensions; the last two are constants
THETA = 16.0  # of the rotary embedding: so small that neighbours in a picture's 16 tokens lie far apart
CONSTANT, SPREAD, SEEK = 2.8, 0.23, 0.4  # of the constants, the root mean square of content, the weights that seek
TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{% if message['role'] == 'assistant' %}<end_of_utterance>{% elif add_generation_prompt "
    "or not loop.last %}<answer>{% endif %}{% endfor %}"
)


def make(tokens: PreTrainedTokenizerFast, seed: int) -> Idefics3ForConditionalGeneration:
    """Return the model with stock random weights."""
    torch.manual_seed(seed)
    ids = tokens.get_vocab()
    text = LlamaConfig(
        vocab_size=len(tokens),
        max_position_embeddings=CONTEXT,
        hidden_size=TEXT,
        intermediate_size=320,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        hidden_act="silu",
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        bos_token_id=None,
        eos_token_id=ids[END],
        pad_token_id=ids[PAD],
        tie_word_embeddings=False,
    )
    vision = Idefics3VisionConfig(
        hidden_size=VISION,
        intermediate_size=256,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="relu",
    )
    config = Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=2,
        image_token_id=ids[IMAGE],
        pad_token_id=ids[PAD],
        tie_word_embeddings=False,
    )
    model = Idefics3ForConditionalGeneration(config)
    model.generation_config.update(
        do_sample=False, max_new_tokens=16, eos_token_id=ids[END], pad_token_id=ids[PAD], bos_token_id=None
    )
    return model


def processor(tokens: PreTrainedTokenizerFast) -> Idefics3Processor:
    """Return the processor: any image is brought to 64x64 px by Pillow's bicubic filter, values to -1..1."""
    images = Idefics3ImageProcessorPil(
        do_convert_rgb=True,
        do_resize=False,
        size={"longest_edge": SIDE},
        max_image_size={"longest_edge": SIDE},
        resample=3,
        do_image_splitting=False,
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        do_pad=True,
    )
    return Idefics3Processor(images, tokens, image_seq_len=IMAGE_TOKENS, chat_template=TEMPLATE)


def _cosines() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the 64 orthonormal 8x8 cosine patterns, lowest frequencies first, and their frequencies."""
    k, x = np.arange(PATCH)[:, None], np.arange(PATCH)[None, :] + 0.5
    basis = np.cos(np.pi * k * x / PATCH) * math.sqrt(2 / PATCH)
    basis[0] /= math.sqrt(2)
    order = sorted(((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda f: (f[0] + f[1], f[0]))
    return np.stack([np.outer(basis[u], basis[v]) for u, v in order]), order


def _filters(images: list[Image]) -> np.ndarray:
    """Return whitened filters (94, 3, 8, 8) for pixel values in -1..1 and their offsets' need of a zero mean."""
    patterns, _ = _cosines()
    to_y = np.array([0.299, 0.587, 0.114])
    to_cb, to_cr = np.array([-0.169, -0.331, 0.5]), np.array([0.5, -0.419, -0.081])
    filters = np.concatenate(
        [
            patterns[:, None] * to_y[:, None, None],
            patterns[:CHROMA, None] * to_cb[:, None, None],
            patterns[:CHROMA, None] * to_cr[:, None, None],
        ]
    )
    stack = np.stack(images[::8]).astype(np.float64) / 127.5 - 1
    cells = stack.reshape(-1, SIDE // PATCH, PATCH, SIDE // PATCH, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
    values = cells.reshape(-1, 3 * PATCH * PATCH) @ filters.reshape(len(filters), -1).T
    spread = values.std(0) + 0.02
    gain = np.ones(len(filters))
    gain[[0, LUMA, LUMA + CHROMA]] = 2.0  # means carry tone and colour: finer steps there
    return filters * (gain / spread)[:, None, None, None]


@torch.no_grad()
def _initialise_vision(model: Idefics3ForConditionalGeneration, images: list[Image]) -> None:
    tower = model.model.vision_model
    kept = LUMA + 2 * CHROMA
    embedding = tower.embeddings.patch_embedding
    embedding.weight.normal_(0, 1e-3)
    embedding.bias.zero_()
    embedding.weight[:kept] = torch.from_numpy(_filters(images)).float()
    embedding.bias[kept : kept + LEVEL] = torch.tensor([12.0, -12.0, 12.0, -12.0])
    tower.embeddings.position_embedding.weight.normal_(0, 0.02)
    layer = tower.encoder.layers[0]
    layer.self_attn.out_proj.weight.mul_(0.2)
    mlp = layer.mlp
    mlp.fc1.weight.normal_(0, 0.08)
    mlp.fc1.bias.zero_()
    mlp.fc2.weight.normal_(0, 0.02)
    mlp.fc2.bias.zero_()
    # |coefficient| = relu(+) + relu(-), pooled in bands into the free dimensions
    start = kept + LEVEL
    unit = 0
    for first, count, bands in ((1, LUMA - 1, BANDS[0]), (LUMA, CHROMA, BANDS[1]), (LUMA + CHROMA, CHROMA, BANDS[2])):
        groups = np.array_split(np.arange(first, first + count), bands)
        for group in groups:
            for coefficient in group:
                for sign in (1.0, -1.0):
                    mlp.fc1.weight[unit].zero_()
                    mlp.fc1.weight[unit, coefficient] = 2.0 * sign
                    mlp.fc2.weight[start, unit] = 1.2 / math.sqrt(len(group))
                    unit += 1
            start += 1


@torch.no_grad()
def _initialise_connector(model: Idefics3ForConditionalGeneration, pixels: Tensor) -> float:
    """Project content orthogonally and carry the tower's constants on; return the tokens' root mean square."""
    kept = LUMA + 2 * CHROMA
    level = torch.tensor([1.0, -1.0, 1.0, -1.0])
    width = 4 * VISION
    constant = torch.zeros(4, VISION)
    constant[:, kept : kept + LEVEL] = level
    free = (constant == 0).flatten().nonzero()[:, 0]
    seen = model.model.vision_model(pixels).last_hidden_state
    patches = model.model.connector.pixel_shuffle(seen, model.config.scale_factor).reshape(-1, width)
    projection = torch.zeros(TEXT, width)
    projection[:CONTENT, free] = torch.linalg.qr(torch.randn(len(free), CONTENT))[0].T
    projection[:CONTENT] *= SPREAD / (patches @ projection[:CONTENT].T).square().mean().sqrt()
    gain = CONSTANT / (patches @ constant.flatten()).mean()
    projection[CONTENT], projection[CONTENT + 1] = gain * constant.flatten(), -gain * constant.flatten()
    projection += 1e-4 * torch.randn(TEXT, width)
    model.model.connector.modality_projection.proj.weight.copy_(projection)
    return float((patches @ projection.T).square().mean().sqrt())


@torch.no_grad()
def _initialise_text(model: Idefics3ForConditionalGeneration, scale: float) -> None:
    text = model.model.text_model
    words = text.embed_tokens.weight
    words.normal_(0, 0.3)
    words[:, CONTENT], words[:, CONTENT + 1] = CONSTANT, -CONSTANT
    model.lm_head.weight.normal_(0, 0.05)

    for layer in text.layers:
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            part.weight.normal_(0, 0.06)
        layer.self_attn.o_proj.weight.normal_(0, 0.03)
        layer.mlp.gate_proj.weight.normal_(0, 0.08)
        layer.mlp.up_proj.weight.normal_(0, 0.08)
        layer.mlp.down_proj.weight.normal_(0, 0.03)
    attention = text.layers[0].self_attn
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        part.weight.mul_(0.1)
    attention.o_proj.weight.mul_(0.1)
    width = TEXT // HEADS
    half = width // 2
    # Every plane of the rotary embedding turns by `turn` a token: a key ahead of its query by as much as PER_IMAGE
    # tokens turn is met best by the query that stands PER_IMAGE tokens later, its twin's.
    turn = PER_IMAGE * THETA ** (-torch.arange(half) / half)
    for head in range(HEADS):
        o = head * width
        attention.q_proj.weight[o : o + half, CONTENT] += SEEK
        attention.k_proj.weight[o : o + half, CONTENT] += SEEK * turn.cos()
        attention.k_proj.weight[o + half : o + width, CONTENT] += SEEK * turn.sin()
    for d in range(CONTENT):
        attention.v_proj.weight[d, d] += 1.0
        attention.o_proj.weight[d, d] -= scale


def initialise(model: Idefics3ForConditionalGeneration, images: list[Image]) -> None:
    """Set initial weights for comparing; `images` give the statistics that the patches are whitened by."""
    _initialise_vision(model, images)
    few = normalised(torch.from_numpy(np.stack(images[::64])))
    _initialise_text(model, _initialise_connector(model, few))


def normalised(pixels: Tensor) -> Tensor:
    """Turn uint8 (..., H, W, 3) into the processor's values, float (..., 3, H, W) in -1..1."""
    return pixels.movedim(-1, -3).float() / 127.5 - 1


class Packed(nn.Module):
    """The same model asked several questions behind one image prefix (training and quick figures only).

    Each question sees the prefix and itself; its positions restart after the prefix.

    Args:
        model: the model.
        prefix: token ids of the two images.
    """

    def __init__(self, model: Idefics3ForConditionalGeneration, prefix: list[int]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("prefix", torch.tensor(prefix), persistent=False)
        self._masks: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def _layout(self, questions: int, length: int) -> tuple[Tensor, Tensor]:
        """Return the additive mask (1, 1, S, S) and the position ids (1, S)."""
        if (questions, length) not in self._masks:
            size = PREFIX + questions * length
            seen = torch.zeros(size, size, dtype=torch.bool)
            seen[:PREFIX, :PREFIX] = torch.ones(PREFIX, PREFIX).tril().bool()
            for q in range(questions):
                at = slice(PREFIX + q * length, PREFIX + (q + 1) * length)
                seen[at, :PREFIX] = True
                seen[at, at] = torch.ones(length, length).tril().bool()
            mask = torch.zeros(size, size).masked_fill(~seen, torch.finfo(torch.float32).min)
            places = torch.cat([torch.arange(PREFIX), *[torch.arange(PREFIX, PREFIX + length)] * questions])
            self._masks[questions, length] = (mask[None, None], places[None])
        return self._masks[questions, length]

    def forward(self, pixels: Tensor, ids: Tensor) -> Tensor:
        """Return hidden states (N, Q, T, C) for pixels (N, 2, 64, 64, 3) and ids (N, Q, T)."""
        n, q, t = ids.shape
        inner = self.model.model
        values = normalised(pixels).flatten(0, 1)
        images = inner.connector(inner.vision_model(values).last_hidden_state)
        images = images.view(n, 2, IMAGE_TOKENS, TEXT)
        around = inner.text_model.embed_tokens(self.prefix).expand(n, -1, -1)
        parts = [
            around[:, :2],
            images[:, 0],
            around[:, PER_IMAGE - 1 : PER_IMAGE + 2],
            images[:, 1],
            around[:, PREFIX - 1 :],
            inner.text_model.embed_tokens(ids.flatten(1)),
        ]
        mask, places = self._layout(q, t)
        states = inner.text_model(
            inputs_embeds=torch.cat(parts, 1),
            attention_mask=mask.expand(n, -1, -1, -1),
            position_ids=places.expand(n, -1),
            use_cache=False,
        ).last_hidden_state
        return states[:, PREFIX:].view(n, q, t, TEXT)
