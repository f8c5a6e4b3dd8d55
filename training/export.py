"""Export the demo model to two ONNX files that run without torch.

    vision.onnx   pixel_values (N, 3, 64, 64) in -1..1      -> image_tokens (N, 16, 160)
    text.onnx     input_ids (N, S), image_tokens (N, 32, 160), the rows of both images in order
                                                            -> logits (N, S, vocabulary)

Sequences of one call have the same length (no padding, no cache: an answer is a handful of tokens).
"""

import argparse
import warnings
from pathlib import Path

import network
import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from transformers import Idefics3ForConditionalGeneration


class Vision(nn.Module):
    """Vision tower and connector, as transformers computes them, without masks (one picture size).

    Args:
        model: the model.
    """

    def __init__(self, model: Idefics3ForConditionalGeneration) -> None:
        super().__init__()
        self.tower, self.connector = model.model.vision_model, model.model.connector

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return image tokens."""
        embeddings = self.tower.embeddings
        x = embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        x = x + embeddings.position_embedding.weight
        for layer in self.tower.encoder.layers:
            attention, y = layer.self_attn, layer.layer_norm1(x)
            q, k, v = (
                part(y).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
                for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            mixed = (q @ k.transpose(-1, -2) * attention.scale).softmax(-1) @ v
            x = x + attention.out_proj(mixed.transpose(1, 2).flatten(2))
            x = x + layer.mlp(layer.layer_norm2(x))
        x = self.tower.post_layernorm(x)
        x = x.unflatten(1, (4, 2, 4, 2)).permute(0, 1, 3, 2, 4, 5).flatten(3).flatten(1, 2)
        return self.connector.modality_projection(x)


def _rotated(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn queries or keys (N, heads, S, width) by their places."""
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat([-second, first], -1) * sines


def _scaled(layer: nn.Module, x: Tensor) -> Tensor:
    """Return what Llama's RMSNorm computes."""
    return layer.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + layer.variance_epsilon))


class Text(nn.Module):
    """The text model with image tokens put in place, as transformers computes it, without a cache.

    Args:
        model: the model.
    """

    def __init__(self, model: Idefics3ForConditionalGeneration) -> None:
        super().__init__()
        self.inner, self.head = model.model.text_model, model.lm_head
        self.image = model.config.image_token_id

    def forward(self, input_ids: Tensor, image_tokens: Tensor) -> Tensor:
        """Return logits at every position."""
        is_image = input_ids == self.image
        which = (is_image.long().cumsum(1) - 1).clamp(min=0)
        placed = image_tokens.gather(1, which[..., None].expand(-1, -1, image_tokens.shape[2]))
        x = torch.where(is_image[..., None], placed, self.inner.embed_tokens(input_ids))
        at = torch.ones_like(input_ids[0]).cumsum(0) - 1
        turns = at[:, None] * self.inner.rotary_emb.inv_freq
        cosines, sines = torch.cat([turns, turns], -1).cos(), torch.cat([turns, turns], -1).sin()
        hidden = at[None, :] > at[:, None]
        for layer in self.inner.layers:
            attention, y = layer.self_attn, _scaled(layer.input_layernorm, x)
            q, k, v = (
                part(y).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
                for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            q, k = _rotated(q, cosines, sines), _rotated(k, cosines, sines)
            scores = (q @ k.transpose(-1, -2) * attention.scaling).masked_fill(hidden, -1e30)
            x = x + attention.o_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
            x = x + layer.mlp(_scaled(layer.post_attention_layernorm, x))
        return self.head(_scaled(self.inner.norm, x))


def export(model: Idefics3ForConditionalGeneration, out: Path) -> float:
    """Write vision.onnx and text.onnx; return the largest difference of logits from the transformers path."""
    model.eval()
    pixels = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64).sin()
    image = [2, 3, *[model.config.image_token_id] * network.IMAGE_TOKENS, 2]
    ids = torch.tensor([[*image, *image, 26, 27, 28, 6]])
    vision, text = Vision(model).eval(), Text(model).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        tokens = vision(pixels).flatten(0, 1)[None]
        common = {"opset_version": 17, "dynamo": False, "do_constant_folding": True}
        torch.onnx.export(
            vision,
            (pixels,),
            str(out / "vision.onnx"),
            input_names=["pixel_values"],
            output_names=["image_tokens"],
            dynamic_axes={"pixel_values": {0: "n"}, "image_tokens": {0: "n"}},
            **common,
        )
        torch.onnx.export(
            text,
            (ids, tokens),
            str(out / "text.onnx"),
            input_names=["input_ids", "image_tokens"],
            output_names=["logits"],
            dynamic_axes={"input_ids": {0: "n", 1: "s"}, "image_tokens": {0: "n", 1: "m"}, "logits": {0: "n", 1: "s"}},
            **common,
        )
    (out / "model.safetensors").chmod(0o644)
    for name in ("vision", "text"):
        onnx.checker.check_model(str(out / f"{name}.onnx"))
    ids = torch.cat([ids, ids[:, -4:-1]], 1)  # another length than the traced one
    with torch.no_grad():
        wanted = model(input_ids=ids, pixel_values=pixels[None], position_ids=torch.arange(ids.shape[1])[None]).logits
    see = onnxruntime.InferenceSession(str(out / "vision.onnx"), providers=["CPUExecutionProvider"])
    say = onnxruntime.InferenceSession(str(out / "text.onnx"), providers=["CPUExecutionProvider"])
    (seen,) = see.run(None, {"pixel_values": pixels.numpy()})
    (logits,) = say.run(None, {"input_ids": ids.numpy(), "image_tokens": seen.reshape(1, -1, seen.shape[-1])})
    return float(np.abs(logits - wanted.numpy()).max())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Export a checkpoint folder of the demo model to ONNX.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(export(Idefics3ForConditionalGeneration.from_pretrained(folder), folder))
