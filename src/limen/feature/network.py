"""Load a network for a task: a checkpoint of transformers, a net that ships with limen, any module given in Python."""

import hashlib
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from limen.errors import InputError, UnknownNameError
from limen.feature import nets
from limen.feature.task import Task
from limen.image import Image

_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError, ImportError)
_QUIET = ("transformers", "huggingface_hub")


def _in_unit_range(images: Sequence[Image]) -> Tensor:
    return torch.stack([torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255 for image in images])


@dataclass(frozen=True)
class Network:
    """A model with how images are made ready for it.

    Attributes:
        model: called with a float batch (N, C, H, W).
        prepare: uint8 RGB images (H, W, 3) to that batch; by default float in 0..1, all of one size.
        name: as tables call it.
        labels: names of its classes in order, where known.
    """

    model: nn.Module
    prepare: Callable[[Sequence[Image]], Tensor] = field(default=_in_unit_range)
    name: str = "network"
    labels: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        first = next(self.model.parameters(), None)
        return first.device if first is not None else torch.device("cpu")

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that stand for the weights, by name."""
        total = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            total.update(name.encode())
            total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return total.hexdigest()[:32]

    @property
    def parameters(self) -> int:
        """How many numbers the model has learnt."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def load(name: str, task: Task, device: str = "auto") -> Network:
    """Load a network with a trained head for a task.

    Args:
        name: a folder with a checkpoint, a hub id, or `demo:NAME` for a net that ships with limen.
        task: what the head must be for.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".

    Raises:
        InputError: one line on what is wrong with the checkpoint and what to do.
    """
    source = name
    if name.startswith("demo:"):
        known = nets.shipped()
        wanted = name.removeprefix("demo:")
        if wanted not in known:
            raise UnknownNameError("net of limen's own", wanted, known)
        source = str(known[wanted])
    place = device_of(device)
    logs: Any = transformers.utils.logging  # its functions are not typed
    for library in _QUIET:
        logs.get_logger(library).setLevel(logging.ERROR)
    try:
        logs.disable_progress_bar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = getattr(transformers, task.auto_class)
            model, told = kind.from_pretrained(source, output_loading_info=True, dtype=torch.float32)
    except _FAILURES as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"No network for {task.name} could be loaded from {name!r} ({cause}). Give the folder or hub id of a "
            f"checkpoint with such a head, or demo:NAME ({', '.join(nets.shipped())})."
        ) from None
    missing = sorted(told["missing_keys"])
    if missing:
        raise InputError(
            f"{name!r} holds no trained head for {task.name}: {len(missing)} weights are missing ({missing[0]}). "
            "Give another --task, or a checkpoint that was trained for this one."
        )
    labels = getattr(model.config, "id2label", None) or {}
    named = tuple(str(labels[number]) for number in sorted(labels))
    title = name if not Path(name).is_dir() else Path(name).resolve().name
    return Network(model.to(place), _processor(source), title, named)


def device_of(name: str) -> torch.device:
    """Return the device that "auto", "cpu", "cuda" or "cuda:1" means; raise `InputError` where there is none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(name)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        cause = " ".join(str(error).split())[:120]
        raise InputError(f"No device {name!r} here ({cause}). Give --device cpu, or auto.") from None
    return place


def flops(run: Callable[[], Any]) -> int:
    """Return the floating-point operations of what `run` does, as torch counts matrix products and convolutions."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


def _processor(source: str) -> Callable[[Sequence[Image]], Tensor]:
    try:
        loader: Any = transformers.AutoImageProcessor  # its methods are not typed
        processor = loader.from_pretrained(source)
    except _FAILURES as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"{source!r} says not how images are made ready for it ({cause}). Put its preprocessor_config.json beside "
            "the weights."
        ) from None

    def prepare(images: Sequence[Image]) -> Tensor:
        pixels: Tensor = processor(images=list(images), return_tensors="pt")["pixel_values"]
        return pixels

    return prepare
