"""Load a network for a task: a checkpoint of transformers, a net that ships with limen, or what a function makes.

Loading a checkpoint runs no code of its own: only safetensors are read, never a pickle, and code in its repository runs
if, and only if, that very repository is trusted by name. A revision pins what is taken from the hub; which commit it
was is kept with a run. A factory (`limen.feature.model.factory`) is code that its user names.
"""

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from limen.checkpoint import Weights, explaining, find_device, label, load_config, load_weights, locate, pinned
from limen.errors import InputError, UnknownNameError
from limen.feature.model import bundled, factory
from limen.feature.model.preparation import Preparation
from limen.feature.task import Task
from limen.image import Image

SHIPPED = "demo:"
UNNAMED = "network"
_QUIET = ("transformers", "huggingface_hub")


@dataclass(frozen=True)
class Network:
    """A model with how images are made ready for it.

    Attributes:
        model: called with a float batch (N, C, H, W).
        prepare: uint8 RGB images (H, W, 3) to that batch; by default float in 0..1, all of one size. `Preparation`
            resizes, crops and normalises.
        name: as tables call it.
        labels: names of its classes in order, where known.
        revision: the commit on the hub that it came from; "" where it came from none.
        zero_unlabelled: whether its class 0 is 1 in class maps, and 0 there is no class (`do_reduce_labels` of image
            processors; ADE20K's maps).
    """

    model: nn.Module
    prepare: Callable[[Sequence[Image]], Tensor] = field(default_factory=Preparation)
    name: str = UNNAMED
    labels: tuple[str, ...] = ()
    revision: str = ""
    zero_unlabelled: bool = False

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


@dataclass(frozen=True)
class NetworkSource:
    """Where a network comes from.

    Attributes:
        name: a folder with a checkpoint of transformers, a hub id, `demo:NAME` for a net that ships with limen, or
            `package.module:factory` for what that function makes.
        revision: branch, tag or commit on the hub; "" for the main branch. Pin a commit to publish.
        weights: file to fill the network of a factory with; "" where the factory does that.
        prepare: how images are made ready for it; None for the default (a checkpoint brings its own).
        trust: the repository whose code may run, spelt out: the very name; "" for none.
    """

    name: str
    revision: str = ""
    weights: str = ""
    prepare: Preparation | None = None
    trust: str = ""

    @property
    def factory(self) -> bool:
        """Whether a function in Python makes it."""
        return not self.name.startswith(SHIPPED) and bool(factory.NAME.fullmatch(self.name))


def load(source: NetworkSource | str, task: Task, device: str = "auto") -> Network:
    """Load a network with a trained head for a task.

    Args:
        source: where from; its name, where nothing else is to be said.
        task: what the head must be for.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".

    Raises:
        InputError: one line on what is wrong with it and what to do.
    """
    source = NetworkSource(source) if isinstance(source, str) else source
    if source.factory:
        return _made(source, device)
    if source.weights or source.prepare is not None:
        option = "--weights" if source.weights else "--prepare"
        raise InputError(
            f"{option} is for the network of a factory (--model package.module:factory); a checkpoint such as "
            f"{source.name!r} brings its own. Leave it out."
        )
    factory.refuse_file(source.name)
    return _checkpoint(source, task, device)


def _made(source: NetworkSource, device: str) -> Network:
    """Return the network of a factory, with weights from a file where one is given."""
    for option, given in (("--revision", source.revision), ("--trust-remote-code", source.trust)):
        if given:
            raise InputError(
                f"{option} is for a checkpoint on the hub; {source.name} is a function in Python. Leave it out."
            )
    made = factory.make(source.name)
    network = made if isinstance(made, Network) else Network(made)
    model = factory.network_of(network.model, f"What {source.name} returned")
    if source.weights:
        factory.load_weights(model, source.weights)
    if network.name == UNNAMED:
        network = replace(network, name=source.name.rpartition(":")[2])
    if source.prepare is not None:
        network = replace(network, prepare=source.prepare)
    if not network.labels:
        network = replace(network, labels=_labels(model))
    return replace(network, model=model.to(find_device(torch, device)).float())


def _checkpoint(given: NetworkSource, task: Task, device: str) -> Network:
    name, revision = given.name, given.revision
    source = _source(name, given.trust)
    if revision and Path(source).is_dir():
        raise InputError(f"{name!r} is not a checkpoint on the hub, so it has no revision {revision!r}. Leave it out.")
    how = Weights(
        revision,
        trust=bool(given.trust),
        dtype="float32",
        absent=f"it has no trained head for {task.name}, whose weights are missing or do not fit",
        remedy="Give another --task, or a checkpoint that was trained for this one",
        unreadable=f"Give a checkpoint with a head for {task.name}, or {SHIPPED}NAME ({', '.join(bundled.shipped())})",
    )
    with _quietly(), torch.random.fork_rng([]):  # weights are drawn before they are read
        load_config(source, revision, how.trust)
        model = load_weights(getattr(transformers, task.auto_class), source, find_device(torch, device), how)
        prepare, zero_unlabelled = _processor(source, revision, how.trust)
    commit = "" if Path(source).is_dir() else str(getattr(model.config, "_commit_hash", None) or "")
    called = name if name.startswith(SHIPPED) else label(source)
    return Network(model, prepare, called, _labels(model), commit, zero_unlabelled)


def _labels(model: nn.Module) -> tuple[str, ...]:
    """Return the names of a network's classes in order, where its configuration has them."""
    labels = getattr(getattr(model, "config", None), "id2label", None) or {}
    return tuple(str(labels[number]) for number in sorted(labels))


def _source(name: str, trust: str) -> str:
    """Return the folder or hub id that a name means."""
    if not name.startswith(SHIPPED):
        return locate(name, trust)
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


def _processor(source: str, revision: str, trust: bool) -> tuple[Callable[[Sequence[Image]], Tensor], bool]:
    """Return what makes images ready, and whether class maps count from 1."""
    loader: Any = transformers.AutoImageProcessor  # its methods are not typed
    with explaining(source, "It needs a preprocessor_config.json for pictures; fetch the whole repository"):
        processor = loader.from_pretrained(source, trust_remote_code=trust, **pinned(source, revision))

    def prepare(images: Sequence[Image]) -> Tensor:
        pixels: Tensor = processor(images=list(images), return_tensors="pt")["pixel_values"]
        return pixels

    return prepare, bool(getattr(processor, "do_reduce_labels", False))
