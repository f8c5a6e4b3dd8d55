"""What a processor's output says about the pictures that went in: tiles, number format, image tokens.

Layouts known: whole pictures or tiles with channels first (Idefics, InternVL, LLaVA, Gemma, CLIP, ...), rows of flat
patches with a grid (Qwen-VL and its kin), rows of flat patches with a spatial shape (SigLIP 2). Each is tested through
the real image processor.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image import Picture
from limen.preflight.model_input import ModelInput

Values = npt.NDArray[np.float32]
CHANNELS = 3


def process(processor: Any, prompts: Sequence[str], pictures: Sequence[Sequence[Picture]]) -> dict[str, Any]:
    """Return the tensors that a processor makes of prompts and their pictures, padded to one length.

    Args:
        processor: of transformers, with a tokenizer and an image processor.
        prompts: rendered, one for each sample.
        pictures: of each sample, in the order in which the prompt names them.
    """
    images = [for_pillow(group) for group in pictures]
    start = processor.tokenizer.bos_token
    batch = processor(
        text=list(prompts),
        images=images if any(images) else None,
        padding=True,
        return_tensors="pt",
        add_special_tokens=not (start and prompts[0].startswith(start)),
    )
    return {name: value for name, value in batch.items() if hasattr(value, "is_floating_point")}


def for_pillow(pictures: Sequence[Picture]) -> list[Pillow.Image]:
    """Return pictures as processors take them."""
    return [Pillow.fromarray(picture.pixels) for picture in pictures]


def image_token(config: Any) -> int | None:
    """Return the token that stands for a part of a picture in the prompt, or None where the configuration has none."""
    found = (getattr(config, name, None) for name in ("image_token_id", "image_token_index"))
    return next((int(token) for token in found if token is not None), None)


def patch_side(config: Any) -> int | None:
    """Return the side of the vision model's patches in px, or None where the configuration does not say."""
    side = getattr(getattr(config, "vision_config", config), "patch_size", None)
    side = side[0] if isinstance(side, list | tuple) else side
    return side if isinstance(side, int) else None


def seen(
    inputs: Mapping[str, Any], count: int, images: Any, tokens: int | None, patch: int | None
) -> tuple[ModelInput, ...]:
    """Return what the model gets of each of `count` pictures of one size.

    Args:
        inputs: what the processor made of them, in the model's number format.
        count: how many pictures went in together, >= 1.
        images: the image processor.
        tokens: image tokens of one picture, >= 0; None where that is not known.
        patch: side of the model's patches in px; None where that is not known. Flat patches say it themselves.

    Raises:
        InputError: the layout is none of those known.
    """
    pixels = inputs.get("pixel_values")
    if pixels is None:
        raise InputError(f"{type(images).__name__} gives no pixel_values, but {', '.join(inputs)}.")
    values: Values = pixels.detach().float().cpu().numpy()
    if "image_grid_thw" in inputs and values.ndim == 2:
        patch = int(images.patch_size)
        parts = _from_grid(values, inputs["image_grid_thw"].tolist(), patch, int(images.merge_size))
    elif "spatial_shapes" in inputs and values.ndim == 3:
        patch = int(images.patch_size)
        parts = _from_shapes(values, inputs["spatial_shapes"].tolist(), patch)
    else:
        parts = _from_tiles(values, count, type(images).__name__)
    if len(parts) != count:
        raise InputError(f"{type(images).__name__} gives {len(parts)} pictures of the {count} that went in.")
    gain, offset = scale(images)
    return tuple(ModelInput(part, gain, offset, tokens, patch) for part in parts)


def scale(images: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return for each channel by what a value is multiplied, and what is added, to make it a grey level 0..255."""
    normalised = getattr(images, "do_normalize", False)
    mean = _three(images.image_mean if normalised else 0.0)
    std = _three(images.image_std if normalised else 1.0)
    unit = 1.0 / images.rescale_factor if getattr(images, "do_rescale", True) else 1.0
    return (std[0] * unit, std[1] * unit, std[2] * unit), (mean[0] * unit, mean[1] * unit, mean[2] * unit)


def _three(value: Any) -> tuple[float, float, float]:
    one = list(value) if isinstance(value, list | tuple) else [value] * CHANNELS
    return float(one[0]), float(one[1]), float(one[2])


def _from_tiles(values: Values, count: int, name: str) -> list[Values]:
    """Split tiles (..., 3, height, width) evenly: pictures of one size are cut into as many tiles."""
    if values.ndim < 4 or values.shape[-3] != CHANNELS:
        raise InputError(f"{name} gives pixel_values of shape {values.shape}, a layout that limen does not know.")
    tiles = values.reshape(-1, *values.shape[-3:])
    if len(tiles) % count:
        raise InputError(f"{name} gives {len(tiles)} tiles of {count} pictures. Show pictures of one size together.")
    return np.split(tiles, count)


def _from_grid(values: Values, grids: list[list[int]], patch: int, merge: int) -> list[Values]:
    """Put flat patches together: rows (height/merge, width/merge, merge, merge), columns (3, time, patch, patch)."""
    parts, start = [], 0
    for time, height, width in grids:
        rows = values[start : start + time * height * width]
        start += len(rows)
        square = rows.reshape(height // merge, width // merge, merge, merge, CHANNELS, -1, patch, patch)[..., 0, :, :]
        parts.append(square.transpose(4, 0, 2, 5, 1, 3, 6).reshape(1, CHANNELS, height * patch, width * patch))
    return parts


def _from_shapes(values: Values, shapes: list[list[int]], patch: int) -> list[Values]:
    """Put flat patches together: rows are (height, width) and then padding, columns (patch, patch, 3)."""
    parts = []
    for rows, (height, width) in zip(values, shapes, strict=True):
        square = rows[: height * width].reshape(height, width, patch, patch, CHANNELS)
        parts.append(square.transpose(4, 0, 2, 1, 3).reshape(1, CHANNELS, height * patch, width * patch))
    return parts
