"""Load a network for a task: a checkpoint of transformers, a net that ships with limen, any module given in Python.

Loading runs no code of the checkpoint's: only safetensors are read, never a pickle, and code in its repository is
refused without a question. A revision pins what is taken from the hub; which commit it was is kept with a run.
"""

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from limen.checkpoint import Weights, explaining, find_device, label, load_config, load_weights, locate, pinned
from limen.errors import InputError, UnknownNameError
from limen.feature.model import bundled
from limen.feature.task import Task
from limen.image import Image

SHIPPED = "demo:"
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
        revision: the commit on the hub that it came from; "" where it came from none.
    """

    model: nn.Module
    prepare: Callable[[Sequence[Image]], Tensor] = field(default=_in_unit_range)
    name: str = "network"
    labels: tuple[str, ...] = ()
    revision: str = ""

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


def load(name: str, task: Task, device: str = "auto", revision: str = "") -> Network:
    """Load a network with a trained head for a task.

    Args:
        name: a folder with a checkpoint, a hub id, or `demo:NAME` for a net that ships with limen.
        task: what the head must be for.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".
        revision: branch, tag or commit on the hub; "" for the main branch. Pin a commit to publish.

    Raises:
        InputError: one line on what is wrong with the checkpoint and what to do.
    """
    source = _source(name)
    if revision and Path(source).is_dir():
        raise InputError(f"{name!r} is not a checkpoint on the hub, so it has no revision {revision!r}. Leave it out.")
    how = Weights(
        revision,
        dtype="float32",
        absent=f"it has no trained head for {task.name}, whose weights are missing or do not fit",
        remedy="Give another --task, or a checkpoint that was trained for this one",
        unreadable=f"Give a checkpoint with a head for {task.name}, or {SHIPPED}NAME ({', '.join(bundled.shipped())})",
    )
    with _quietly(), torch.random.fork_rng([]):  # weights are drawn before they are read
        load_config(source, revision)
        model = load_weights(getattr(transformers, task.auto_class), source, find_device(torch, device), how)
        prepare = _processor(source, revision)
    labels = getattr(model.config, "id2label", None) or {}
    named = tuple(str(labels[number]) for number in sorted(labels))
    commit = "" if Path(source).is_dir() else str(getattr(model.config, "_commit_hash", None) or "")
    return Network(model, prepare, name if name.startswith(SHIPPED) else label(source), named, commit)


def _source(name: str) -> str:
    """Return the folder or hub id that a name means."""
    if not name.startswith(SHIPPED):
        return locate(name)
    known, wanted = bundled.shipped(), name.removeprefix(SHIPPED)
    if wanted not in known:
        raise UnknownNameError("net of limen's own", wanted, known)
    return str(known[wanted])


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the libraries' logs, warnings and progress bars for a while, and put them back."""
    logs: Any = transformers.utils.logging  # its functions are not typed
    loggers = [logs.get_logger(library) for library in _QUIET]
    before, bars = [logger.level for logger in loggers], logs.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            logs.disable_progress_bar()
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
            if bars:
                logs.enable_progress_bar()


def flops(run: Callable[[], Any]) -> int:
    """Return the floating-point operations of what `run` does, as torch counts matrix products and convolutions."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


def _processor(source: str, revision: str) -> Callable[[Sequence[Image]], Tensor]:
    loader: Any = transformers.AutoImageProcessor  # its methods are not typed
    with explaining(source, "It needs a preprocessor_config.json for pictures; fetch the whole repository"):
        processor = loader.from_pretrained(source, trust_remote_code=False, **pinned(source, revision))

    def prepare(images: Sequence[Image]) -> Tensor:
        pixels: Tensor = processor(images=list(images), return_tensors="pt")["pixel_values"]
        return pixels

    return prepare
