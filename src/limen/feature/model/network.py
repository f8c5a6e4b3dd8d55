"""Load a network for a task: a checkpoint of transformers, a net that ships with limen, any module given in Python.

Loading runs no code of the checkpoint's: only safetensors are read, never a pickle, and code in its repository is
refused without a question. A revision pins what is taken from the hub; which commit it was is kept with a run.
"""

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from limen.errors import InputError, UnknownNameError
from limen.feature.model import bundled
from limen.feature.task import Task
from limen.image import Image

SHIPPED = "demo:"
_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError, ImportError)
_QUIET = ("transformers", "huggingface_hub")
_SAFELY = {"trust_remote_code": False}


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
    source = name
    if name.startswith(SHIPPED):
        known = bundled.shipped()
        wanted = name.removeprefix(SHIPPED)
        if wanted not in known:
            raise UnknownNameError("net of limen's own", wanted, known)
        source = str(known[wanted])
    folder = Path(source).is_dir()
    if revision and folder:
        raise InputError(f"{name!r} is no checkpoint of the hub, so it has no revision {revision!r}. Leave it out.")
    place = device_of(device)
    pinned = {"revision": revision} if revision else {}
    try:
        with _quietly(), torch.random.fork_rng([]):  # weights are drawn before they are read
            kind = getattr(transformers, task.auto_class)
            model, report = kind.from_pretrained(
                source, output_loading_info=True, dtype=torch.float32, use_safetensors=True, weights_only=True,
                **_SAFELY, **pinned,
            )  # fmt: skip
            prepare = _processor(source, pinned)
    except InputError:
        raise
    except _FAILURES as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"No network for {task.name} could be loaded from {name!r} ({cause}). {_remedy(source)}"
        ) from None
    absent = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if absent:
        raise InputError(
            f"{name!r} holds no trained head for {task.name}: {len(absent)} weights are missing or do not fit "
            f"({absent[0]}). Give another --task, or a checkpoint that was trained for this one."
        )
    labels = getattr(model.config, "id2label", None) or {}
    named = tuple(str(labels[number]) for number in sorted(labels))
    title = name if not Path(name).is_dir() else Path(name).resolve().name
    commit = "" if folder else str(getattr(model.config, "_commit_hash", None) or "")
    return Network(model.to(place), prepare, title, named, commit)


def _remedy(source: str) -> str:
    """Say what to do where nothing was loaded; a checkpoint of pickles, or with code of its own, is known by files."""
    files = [file.name for file in Path(source).iterdir()] if Path(source).is_dir() else []
    if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in files) and not any(
        name.endswith(".safetensors") for name in files
    ):
        return "limen reads safetensors alone, as pickles can run code: save the weights again as model.safetensors."
    known = ", ".join(bundled.shipped())
    return f"Give the folder or hub id of a checkpoint with such a head, or {SHIPPED}NAME ({known})."


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


def _processor(source: str, pinned: Mapping[str, str]) -> Callable[[Sequence[Image]], Tensor]:
    try:
        loader: Any = transformers.AutoImageProcessor  # its methods are not typed
        processor = loader.from_pretrained(source, **_SAFELY, **pinned)
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
