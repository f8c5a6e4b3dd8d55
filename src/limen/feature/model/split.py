"""A frozen network and the place where its features live: f = g(x), outputs = h(f).

Forward hooks on `module.path`, not tracing: `torch.fx` fails on most detectors of transformers, and a hook takes any
module. The head is run by replay: the network sees a blank image, and what the module puts out is exchanged for the
features. What does not come from the features then comes from the blank image, and `verify` measures how much.

What runs before the split on the blank image is the same each time. `verify` keeps what the modules there put out, and
the head then passes over them, if that was seen to change nothing: most of a network may lie before a split.
"""

import contextlib
import difflib
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree  # public only from torch 2.9 on; transformers registers its outputs here

from limen import digest
from limen.errors import InputError
from limen.feature.model.leaves import Leaf, ModuleOutput, leaves, made_of

LEAK = 1e-3  # largest share of what the image changes that may go round a split
STILL = 1e-6  # a network whose outputs change less than this, relative to their size, does not look at its image

Outputs = Mapping[str, Tensor]
_SHOWN = 8  # names in a message


@dataclass(frozen=True, slots=True)
class Features:
    """What a split carries for a batch.

    Attributes:
        tensors: float tensors, samples first: (N, C, H, W), (N, T, C) or (N, C), in the order of the module's output;
            what it puts out twice is there once (`limen.feature.model.leaves`).
        size: (channels, height, width) of the images they come from.
    """

    tensors: tuple[Tensor, ...]
    size: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, chosen: slice | Sequence[int] | Tensor) -> Self:
        """Return some of the samples."""
        return replace(self, tensors=tuple(tensor[chosen] for tensor in self.tensors))

    def to(self, device: torch.device | str) -> Self:
        """Return the features on a device."""
        return replace(self, tensors=tuple(tensor.to(device) for tensor in self.tensors))

    def plus(self, delta: Sequence[Tensor]) -> Self:
        """Return the features disturbed by `delta`, a tensor for each of theirs."""
        return replace(self, tensors=tuple(f + d for f, d in zip(self.tensors, delta, strict=True)))

    @property
    def elements(self) -> int:
        """Numbers in one sample."""
        return sum(tensor[0].numel() for tensor in self.tensors)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put batches behind one another."""
        columns = zip(*(part.tensors for part in parts), strict=True)
        return replace(parts[0], tensors=tuple(torch.cat(column) for column in columns))


@dataclass(frozen=True, slots=True)
class Verification:
    """How much of what an image changes in the outputs goes round a split; sound where `leak` is at most `LEAK`.

    Attributes:
        leak: for each output: |clean - replayed on a blank image| / |clean - blank|, norms over the batch.
        change: for each output: |clean - blank| / |clean|.
        idle: places of the tensors that no output depends on (levels that the head does not use, say). The split leaves
            them out from then on: noise poured into them would cost nothing and count as noise.
        repeated: places of the tensors that are another one of them again, or a view of one. They are never counted:
            the head gets them made of that one, disturbed as it is.
    """

    leak: Mapping[str, float]
    change: Mapping[str, float]
    idle: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()

    @property
    def worst(self) -> str:
        """The output that leaks most."""
        return max(self.leak, key=lambda name: self.leak[name])


class SplitPoint:
    """A network, frozen, and the module (or modules) whose output is the features.

    Args:
        model: any network called with an image batch (N, C, H, W) first. It is frozen here: `eval()`, and no parameter
            asks for a gradient any more.
        path: dotted path of a module, as `named_modules` lists it; several, with commas between, are taken together.
        read: turns what the model returns into named tensors, samples first; `outputs_of` if not given. An output
            that is no result of the head (hidden states of layers before the split) does not belong there.
        options: further keyword arguments of each call of the model.

    Raises:
        InputError: no such module (with the nearest names), or one that is the whole model.
    """

    def __init__(
        self,
        model: nn.Module,
        path: str,
        read: Callable[[Any], Outputs] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.path = path
        self.modules = tuple(_module(model, part.strip()) for part in path.split(","))
        self._read = read or outputs_of
        self._options = dict(options or {})
        self._leaves: list[Leaf] = []  # what the modules put out, once seen
        self._idle: tuple[int, ...] = ()  # what no output depends on: set by `verify`, where it was tried
        self._before: dict[nn.Module, Any] = {}  # what modules before the split put out for one blank image
        self._narrow = False  # whether one blank image serves a whole batch: set by `verify`, where it was tried

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        first = next(self.model.parameters(), None)
        return first.device if first is not None else torch.device("cpu")

    def outputs(self, images: Tensor) -> Outputs:
        """Run the whole network on images (N, C, H, W)."""
        return self._read(self.model(images, **self._options))

    def parameters(self, images: Tensor) -> int:
        """Return how many numbers the modules have learnt that run before the split, its own among them."""
        ran: dict[int, nn.Module] = {}
        every = [module.register_forward_pre_hook(_noting(ran)) for module in self.model.modules()]
        try:
            self.encode(images)
        finally:
            for hook in every:
                hook.remove()
        own = {id(one): one.numel() for module in ran.values() for one in module.parameters(recurse=False)}
        return sum(own.values())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Features:
        """Return g(x) for images (N, C, H, W); what comes after the split is not run.

        Raises:
            InputError: the module is not called, or puts out no float tensors, some that do not belong to samples,
                numbers that are not finite, or tensors that share some of their numbers. (That it is called once is
                for `verify` to see.)
        """
        seen: dict[int, list[ModuleOutput]] = {}

        def keep(place: int, output: Any) -> None:
            tensors = [leaf for leaf in pytree.tree_leaves(output) if _floats(leaf)]
            self._check(tensors, len(images))
            seen[place] = [ModuleOutput.of(tensor, place) for tensor in tensors]
            if len(seen) == len(self.modules):
                raise _FeaturesComplete

        with contextlib.suppress(_FeaturesComplete), self._hooks(keep):
            self.model(images, **self._options)
        if len(seen) < len(self.modules):
            raise InputError(
                f"{self.path!r} does not run when {_kind(self.model)} looks at images. Give another split."
            )
        kept = [one for place in sorted(seen) for one in seen[place]]
        self._leaves = leaves(kept, self.path)
        features = Features(tuple(kept[number].copy for number in self._carried()), tuple(images.shape[1:]))
        if not features.tensors or not features.elements:
            raise InputError(f"{self.path!r} returns no floating-point numbers. Give a module that returns features.")
        return features

    def head(self, features: Features) -> Outputs:
        """Return h(f): the outputs with the module's output exchanged for `features`; differentiable in them.

        Raises:
            InputError: the features are of another split, or the module puts out another number of tensors than
                before.
        """
        if not self._leaves:
            self.encode(self._blank(1, features))
        carried = self._carried()
        if len(carried) != len(features.tensors):
            raise InputError(
                f"{self.path!r} carries {len(carried)} tensors, not {len(features.tensors)}. "
                "Give features of this split."
            )
        # copies, as the head may write into them; one of each, so that what is the same stays the same
        held = {number: tensor.clone() for number, tensor in zip(carried, features.tensors, strict=True)}

        def exchange(place: int, output: Any) -> Any:
            mine = [leaf for leaf in self._leaves if leaf.module == place]
            put_out, structure = pytree.tree_flatten(output)
            floats = [number for number, one in enumerate(put_out) if _floats(one)]
            if len(floats) != len(mine):
                raise InputError(
                    f"{self.path!r} returns {len(floats)} tensors for one image and {len(mine)} for another. Give a "
                    "module that returns as many for each."
                )
            for number, leaf in zip(floats, mine, strict=True):
                if leaf.of in held:
                    put_out[number] = made_of(held[leaf.of], leaf)
            return pytree.tree_unflatten(put_out, structure)

        count = 1 if self._narrow else len(features)
        with self._passing_over(count), self._hooks(exchange):
            return self.outputs(self._blank(count, features))

    def verify(self, images: Tensor) -> Verification:
        """Check by replay that the features carry all that the head needs.

        The outputs of features replayed on a blank image must equal the clean ones. The difference is divided by what
        the image itself changes (clean against the blank image's outputs): a fixed tolerance would pass any split of a
        network that hardly looks at its image.

        Args:
            images: some real ones (N, C, H, W), the more different the better.

        Raises:
            InputError: more than `LEAK` went round the split, the outputs hardly depend on the image, are not finite,
                or have no row for each image.
        """
        with torch.no_grad():
            clean = self._once(images)
            self._fit(clean, len(images))
            self._narrow, self._idle, self._before = False, (), {}
            features = self.encode(images)
            replayed, blank = self.head(features), self.outputs(torch.zeros_like(images))
            leak, change = {}, {}
            for name, value in clean.items():
                change[name] = _change(value, blank[name])
                leak[name] = _change(value, replayed[name]) / max(change[name], 1e-12)
            found = Verification(leak, change)
            self._judge(found)
            self._idle = self._idling(features, replayed)
            features = self.encode(images)
            self._narrow = len(images) > 1 and self._gives(features, replayed, narrow=True)
            before = self._run_before(features)
            again = (self._gives(features, replayed, narrow=self._narrow, before=before) for _ in range(2))
            if all(again):  # the second time shows whether what was kept has been written to
                self._before = before
        repeated = tuple(number for number, leaf in enumerate(self._leaves) if leaf.of != number)
        return replace(found, idle=self._idle, repeated=repeated)

    def _carried(self) -> list[int]:
        """Return the numbers of the leaves that are features."""
        return [n for n, leaf in enumerate(self._leaves) if leaf.of == n and n not in self._idle]

    def _once(self, images: Tensor) -> Outputs:
        """Return the outputs, having seen that each module of the split runs once."""
        runs = Counter[int]()
        with self._hooks(lambda place, _output: runs.update([place])):
            outputs = self.outputs(images)
        if max(runs.values(), default=0) > 1:
            raise InputError(
                f"{self.path!r} runs {max(runs.values())} times in one pass of {_kind(self.model)}, so its output is "
                "no split. Give a module that runs once."
            )
        return outputs

    def _fit(self, outputs: Outputs, count: int) -> None:
        """See that the outputs are numbers that can be compared, sample by sample."""
        if any(value.shape[:1] != (count,) for value in outputs.values()):
            raise InputError(
                f"Outputs must have one row for each of {count} images, not {shapes_of(outputs)}. Give `read`."
            )
        for name, value in outputs.items():
            if not bool(value.isfinite().all()):
                raise InputError(
                    f"{_kind(self.model)} returns {name!r} with numbers that are not finite. Check the weights and "
                    "the images, and give the network float32 weights, or a `read` that leaves this output out."
                )

    def _idling(self, features: Features, replayed: Outputs) -> tuple[int, ...]:
        """Return the places of tensors that no output depends on: noise as large as they are changes nothing."""
        if len(features.tensors) == 1:
            return ()
        found = []
        for place, (number, tensor) in enumerate(zip(self._carried(), features.tensors, strict=True)):
            noise = torch.from_numpy(digest.generator("idle tensor", place).standard_normal(tensor.shape)).to(tensor)
            size = tensor.square().mean().sqrt()
            delta = [torch.zeros_like(other) for other in features.tensors]
            delta[place] = noise * (size if size > 0 else torch.ones_like(size))
            moved = self.head(features.plus(delta))
            if all(_change(value, moved[name]) < STILL for name, value in replayed.items()):
                found.append(number)
        return tuple(found)

    def _judge(self, found: Verification) -> None:
        if max(found.change.values()) < STILL:
            raise InputError(
                f"The outputs of {_kind(self.model)} hardly depend on the image (they change by "
                f"{max(found.change.values()):.1g} of their size), so nothing can be said of {self.path!r}. Give a "
                "trained network, or images that differ more from a blank one."
            )
        worst = found.worst
        if found.leak[worst] > LEAK:
            raise InputError(
                f"{self.path!r} does not carry all the information: {found.leak[worst]:.1%} of what the image changes "
                f"in {worst!r} goes round it (at most {LEAK:.1%} may). Give a module that everything passes through, "
                "or several with commas between; `limen feature splits` lists sound ones."
            )

    def _gives(
        self, features: Features, replayed: Outputs, narrow: bool, before: Mapping[nn.Module, Any] | None = None
    ) -> bool:
        """Whether the head gives the same outputs in a cheaper way.

        Args:
            features: of some images.
            replayed: what it gives for them without one.
            narrow: with one blank image under a whole batch of features: most networks, not all.
            before: passing over modules, with what these put out for one blank image.
        """
        kept = self._narrow, self._before
        self._narrow, self._before = narrow, dict(before or {})
        try:
            found = self.head(features)
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError):  # shapes that do not fit, say
            return False
        finally:
            self._narrow, self._before = kept
        return all(
            found[name].shape == value.shape and torch.allclose(found[name], value, rtol=1e-4, atol=1e-5)
            for name, value in replayed.items()
        )

    def _run_before(self, features: Features) -> dict[nn.Module, Any]:
        """Return the outermost modules that have run, once, when the split's first has, and what they put out.

        Those of the split are among them, if it is one module: all that it puts out is exchanged.
        """
        runs, within, finished = Counter[nn.Module](), list[nn.Module](), list[tuple[nn.Module, nn.Module, Any]]()
        around = list[nn.Module]()

        def enter(module: nn.Module, _inputs: Any) -> None:
            runs[module] += 1
            within.append(module)

        def leave(module: nn.Module, _inputs: Any, output: Any) -> None:
            within.pop()
            if around or not within:
                return
            if module not in self.modules or len(self.modules) == 1:
                finished.append((module, within[-1], pytree.tree_map(_copied, output)))
            if module in self.modules:
                around.extend(within)

        handles = [module.register_forward_pre_hook(enter) for module in self.model.modules()]
        handles += [module.register_forward_hook(leave) for module in self.model.modules()]
        try:
            self.outputs(self._blank(1, features))
        finally:
            for handle in handles:
                handle.remove()
        return {module: output for module, parent, output in finished if parent in around and runs[module] == 1}

    @contextlib.contextmanager
    def _passing_over(self, count: int) -> Iterator[None]:
        """Let the modules before the split put out at once what they put out for a blank image, `count` times."""
        own = {module: module.__dict__.get("forward") for module in self._before}
        for module, output in self._before.items():
            vars(module)["forward"] = functools.partial(_repeated, output, count)
        try:
            yield
        finally:
            for module, forward in own.items():
                if forward is None:
                    del vars(module)["forward"]
                else:
                    vars(module)["forward"] = forward

    @contextlib.contextmanager
    def _hooks(self, hook: Callable[[int, Any], Any]) -> Iterator[None]:
        """Call `hook` with each module's place and output while the block runs; what it returns takes their place."""
        handles = [
            module.register_forward_hook(lambda _module, _inputs, output, place=place: hook(place, output))
            for place, module in enumerate(self.modules)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _blank(self, count: int, features: Features) -> Tensor:
        tensor = features.tensors[0]
        return torch.zeros((count, *features.size), device=tensor.device, dtype=tensor.dtype)

    def _check(self, tensors: Sequence[Tensor], count: int) -> None:
        for tensor in tensors:
            if tensor.ndim < 2 or len(tensor) != count:
                raise InputError(
                    f"{self.path!r} returns a tensor of shape {tuple(tensor.shape)} for {count} images; samples must "
                    "come first. Give another split."
                )
            if not bool(tensor.isfinite().all()):
                raise InputError(
                    f"{self.path!r} returns numbers that are not finite. Check the weights and the images, and give "
                    "the network float32 weights."
                )


def shapes_of(outputs: Outputs) -> str:
    """Return the outputs' names and shapes, for a message."""
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in outputs.items())


def outputs_of(returned: Any) -> dict[str, Tensor]:
    """Name the results in what a model returns: its logits, boxes and masks, or, of other models, every float tensor.

    Hidden states that transformers returns beside its results are left out: some lie before the split.

    Raises:
        InputError: there is no result among what was returned.
    """
    if isinstance(returned, Tensor):
        return {"logits": returned}
    if hasattr(returned, "_asdict"):  # a named tuple
        returned = returned._asdict()
    if isinstance(returned, Mapping):
        named = {str(name): value for name, value in returned.items() if isinstance(value, Tensor)}
        results = {name: value for name, value in named.items() if re.search(r"logits|pred_", name)}
        found = {name: value for name, value in (results or named).items() if value.is_floating_point()}
        found = {name: value for name, value in found.items() if not re.match(r"enc_|intermediate", name)}
        if found:
            return found
    elif isinstance(returned, Sequence):
        found = {f"output {i}": value for i, value in enumerate(returned) if _floats(value)}
        if found:
            return found
    raise InputError(
        f"A model that returns {type(returned).__name__} without float tensors has no outputs to compare. "
        "Give SplitPoint a function `read` that names them."
    )


class _FeaturesComplete(Exception):
    """All features are there: the rest of the network need not run."""


def _module(model: nn.Module, path: str) -> nn.Module:
    modules = {name: module for name, module in model.named_modules() if name}
    if path in modules:
        found: nn.Module = modules[path]
        return found
    near = difflib.get_close_matches(path, modules, n=_SHOWN, cutoff=0.5)
    stem = path.rpartition(".")[0]
    near = near or [name for name in modules if stem and name.startswith(stem)][:_SHOWN]
    near = near or [name for name in modules if name.count(".") < 2][:_SHOWN]
    raise InputError(f"{_kind(model)} has no module {path!r}. Near it: {', '.join(near)}.")


def _kind(model: nn.Module) -> str:
    return type(model).__name__


def _copied(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) else leaf


def _repeated(output: Any, count: int, *_arguments: Any, **_options: Any) -> Any:
    """Return what a module put out for one image as if for several equal ones; tensors that nobody else has."""

    def some(leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and count > 1 and leaf.shape[:1] == (1,):
            return leaf.expand(count, *leaf.shape[1:])
        return _copied(leaf)

    return pytree.tree_map(some, output)


def _change(clean: Tensor, other: Tensor) -> float:
    """Return |clean - other| / |clean|."""
    return float((clean - other).norm()) / max(float(clean.norm()), 1e-12)


def _noting(ran: dict[int, nn.Module]) -> Callable[[nn.Module, Any], None]:
    def note(module: nn.Module, given: Any) -> None:
        ran[id(module)] = module

    return note


def _floats(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()
