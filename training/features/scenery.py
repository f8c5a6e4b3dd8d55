"""What the nets of `limen.feature` are trained on: scenes over photographs that no test uses, and their variants.

Test scenes stand over the photographs that ship with limen (astronaut, chelsea, coffee, rocket); neither these nor the
motorcycle are read here. `coins.png` is left out: it is full of disks. Pieces of the training photographs are coloured
as for the demo model (`training/pictures.py`).
"""

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pictures
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn

from limen import digest
from limen.feature.data import synthetic
from limen.image import Image

OUT = Path(__file__).resolve().parents[2] / "src" / "limen" / "data" / "feature"
VALIDATION = ("retina.jpg", "gravel.png", "clock_motion.png")
TRAINING = tuple(name for name in pictures.TRAINING if name not in VALIDATION)
MEAN = STANDARD_DEVIATION = 0.5  # of pixel values in 0..1, as the image processors know them


def backgrounds(name: str, names: Sequence[str], count: int, leaves: int) -> list[Image]:
    """Return 64 px pieces of the named photographs, most of the grey ones coloured by rule, and pictures of leaves."""
    return pictures.pool(f"feature {name}", count, leaves, tuple(names))


def draw(
    name: str, count: int, side: int, objects: tuple[int, int] = (1, 1), classes: int = 10, leaves: int = 0
) -> list[synthetic.SyntheticScene]:
    """Draw `count` scenes over training photographs, or over validation photographs if that is the name.

    `leaves` procedural pictures full of edges (`pictures.leaves`) stand beside 400 pieces of photographs.
    """
    photographs = VALIDATION if name == "validation" else TRAINING
    known = backgrounds(name, photographs, 400, leaves)
    return synthetic.draw(known, name, range(count), side, objects, classes)


def seed(name: str) -> None:
    """Seed torch by name and use one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(digest.seed("feature training", name) % 2**63)


def batches(count: int, size: int, rng: np.random.Generator) -> "np.typing.NDArray[np.int64]":
    """Return one epoch of indices, (steps, size), without what does not fill a batch."""
    return rng.permutation(count)[: count - count % size].reshape(-1, size)


def scaled(images: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3) as the nets see it, float (N, 3, H, W) in -1..1."""
    return images.permute(0, 3, 1, 2).float().mul_(1 / 127.5).sub_(1)


def recoloured(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Permute the channels of each image at random, turn half of them into negatives, and change their contrast."""
    n = len(images)
    order = torch.from_numpy(rng.permuted(np.tile(np.arange(3), (n, 1)), axis=1))
    images = images.gather(1, order[:, :, None, None].expand_as(images))
    gain = torch.from_numpy((rng.choice([-1.0, 1.0], n) * rng.uniform(0.6, 1.1, n)).astype(np.float32))
    return images * gain[:, None, None, None]


def turned(maps: Tensor, number: int) -> Tensor:
    """Return maps (..., H, W) under one of the eight symmetries of the square."""
    maps = maps.transpose(-1, -2) if number & 4 else maps
    return maps.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if number & bit])


def schedule(step: int, total: int, warm: int = 100) -> float:
    """Return the share of the top learning rate: a slow start, then a cosine to nothing."""
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / total))


class Average:
    """A running mean of a net's weights: what is measured and shipped.

    Args:
        net: the net being trained.
        copy: one like it.
        keep: share of the mean kept at each step, once there are enough.
    """

    def __init__(self, net: nn.Module, copy: nn.Module, keep: float = 0.998) -> None:
        self.net, self.mean, self.keep, self.steps = net, copy.eval().requires_grad_(False), keep, 0
        copy.load_state_dict(net.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        keep = min(self.keep, (1 + self.steps) / (10 + self.steps))
        for mean, now in zip(self.mean.state_dict().values(), self.net.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)


def say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


def save(net: Any, processor: Any, name: str, facts: dict[str, Any]) -> Path:
    """Write a checkpoint folder, complete or not at all; matrices as float16, the config says float32.

    `from_pretrained` then loads float32.
    """
    whole, part = OUT / name, OUT / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    net.config.dtype = torch.float32
    net.config.save_pretrained(part)
    processor.save_pretrained(part)
    half = {key: value.half() if value.is_floating_point() and value.ndim > 1 else value for key, value in _own(net)}
    weights = part / "model.safetensors"
    save_file({key: value.contiguous() for key, value in half.items()}, weights, {"format": "pt"})
    weights.chmod(0o644)  # safetensors writes for the owner alone
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    parameters = sum(p.numel() for p in net.parameters())
    text = json.dumps({**facts, "parameters": parameters, "versions": versions}, indent=2)
    (part / "training.json").write_text(text + "\n")
    shutil.rmtree(whole, ignore_errors=True)
    part.rename(whole)
    return whole


def _own(net: Any) -> list[tuple[str, Tensor]]:
    """Return the net's tensors, each once (some nets hold a layer under two names)."""
    tied = set(getattr(net, "all_tied_weights_keys", {}) or {})
    return [(key, value) for key, value in net.state_dict().items() if key not in tied]


def batched(function: Callable[[Tensor], Tensor], images: Tensor, size: int = 200) -> Tensor:
    """Return what a function says about uint8 images, batch by batch, without gradients."""
    with torch.no_grad():
        return torch.cat([function(scaled(part)) for part in images.split(size)])
