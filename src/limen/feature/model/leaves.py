"""The tensors in what modules put out, each number once.

Modules give tensors twice: the last of the hidden states is the output, the class token is a view of the tokens, a map
is the tokens in another shape. Who counted both would count noise and bits twice, and would disturb one number in two
ways at once. What is the same memory at the same time is therefore one tensor, and what repeats it is made of it again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from limen.errors import InputError

Memory: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """How one float tensor that a module puts out is made of the tensors that are carried.

    Attributes:
        of: number of the leaf that carries its numbers; its own where it carries them itself.
        index: where in a flattened sample of that leaf's tensor its numbers stand, in order; None where it is that
            tensor as it is.
        shape: of one sample.
        module: number of the module that puts it out.
    """

    of: int
    index: Tensor | None
    shape: tuple[int, ...]
    module: int


@dataclass(frozen=True, slots=True)
class ModuleOutput:
    """A float tensor (N, ...) as it was when its module put it out.

    Attributes:
        tensor: itself, without what is repeated in it (an expanded dimension has size 1); kept, so that no other tensor
            gets its memory.
        copy: its numbers then: modules that run later may write into it.
        shape: of one sample, as the module put it out.
        memory: what tensors have in common that are views of the same numbers: storage, type, and how often it had
            been written to.
        module: number of the module.
    """

    tensor: Tensor
    copy: Tensor
    shape: tuple[int, ...]
    memory: Memory
    module: int

    @classmethod
    def of(cls, tensor: Tensor, module: int) -> "ModuleOutput":
        """Keep a tensor."""
        shape = tuple(tensor.shape[1:])
        for dimension in range(1, tensor.ndim):
            if tensor.stride(dimension) == 0 and tensor.shape[dimension] > 1:
                tensor = tensor.narrow(dimension, 0, 1)
        written = module if tensor.is_inference() else tensor._version
        memory = (tensor.device, tensor.dtype, tensor.untyped_storage().data_ptr(), written)
        return cls(tensor, tensor.clone(), shape, memory, module)

    @property
    def numbers(self) -> int:
        """How many numbers a sample has."""
        return self.tensor[:1].numel()


def leaves(seen: Sequence[ModuleOutput], path: str) -> list[Leaf]:
    """Return what each tensor is made of: itself, or a larger one that it is a view of.

    Args:
        seen: what the modules of a split put out, in order, of one pass.
        path: the split, for messages.

    Raises:
        InputError: two tensors share some of their numbers, and neither holds the other's; or one holds a number in
            several places, and not for all of a dimension.
    """
    found: dict[int, Leaf] = {}
    whole: dict[Memory, list[int]] = {}
    for number in sorted(range(len(seen)), key=lambda number: -seen[number].numbers):  # the largest first
        one = seen[number]
        others = whole.setdefault(one.memory, []) if one.numbers else []
        of, index = next(_holders(one.tensor, others, seen, path), (number, None))
        if of == number:
            _refuse_overlap(one.tensor, path)
            others.append(number)
        if one.tensor.shape[1:] != one.shape:
            index = torch.arange(one.numbers) if index is None else index
            index = index.view(one.tensor.shape[1:]).expand(one.shape).flatten()
        found[number] = Leaf(of, index, one.shape, one.module)
    return [found[number] for number in range(len(seen))]


def made_of(whole: Tensor, leaf: Leaf) -> Tensor:
    """Return the tensor of a leaf from that (N, ...) of the leaf that carries its numbers; differentiable."""
    if leaf.index is None:
        return whole
    return whole.flatten(1)[:, leaf.index.to(whole.device)].view(len(whole), *leaf.shape)


def _holders(
    part: Tensor, others: Sequence[int], seen: Sequence[ModuleOutput], path: str
) -> Iterator[tuple[int, Tensor | None]]:
    """Yield which of the others hold a tensor's numbers, and where."""
    for other in others:
        whole = seen[other].tensor
        if (part.shape, part.stride(), part.storage_offset()) == (whole.shape, whole.stride(), whole.storage_offset()):
            yield other, None
            continue
        index = _within(part, whole, path)
        if index is not None:
            yield other, index


def _within(part: Tensor, whole: Tensor, path: str) -> Tensor | None:
    """Return where in a flattened sample of `whole` the numbers of `part` stand; None where none of them does."""
    mine, theirs = _places(part), _places(whole)
    order = theirs.argsort()
    at = torch.searchsorted(theirs[order], mine).clamp_max(len(theirs) - 1)
    there = theirs[order][at] == mine
    if not bool(there.any()):
        return None
    if bool(there.all()) and (len(part) == 1 or part.stride(0) == whole.stride(0)):
        return order[at]
    raise InputError(
        f"{path!r} returns tensors {tuple(whole.shape)} and {tuple(part.shape)} that share some of their numbers, and "
        "neither holds all of the other's, so neither can be disturbed by itself. Give a module that returns each "
        "number once."
    )


def _refuse_overlap(tensor: Tensor, path: str) -> None:
    """Refuse a tensor in which a number stands in several places, as in windows that overlap."""
    reach = 0
    for stride, size in sorted(zip(tensor.stride()[1:], tensor.shape[1:], strict=True)):
        if size > 1 and stride <= reach:
            break
        reach += (size - 1) * stride
    else:
        return
    places = _places(tensor).sort().values
    if bool((places[1:] == places[:-1]).any()):
        raise InputError(
            f"{path!r} returns a tensor {tuple(tensor.shape)} that holds the same number in several places, as "
            "overlapping windows do, so its elements cannot be disturbed one by one. Give a module that returns each "
            "number once."
        )


def _places(tensor: Tensor) -> Tensor:
    """Return where in memory the numbers of the first sample stand, in their order."""
    one = tensor[0]
    found = torch.full(one.shape, int(tensor.storage_offset()), dtype=torch.int64)
    for dimension, (size, stride) in enumerate(zip(one.shape, one.stride(), strict=True)):
        shape = [-1 if place == dimension else 1 for place in range(one.ndim)]
        found = found + (torch.arange(size) * stride).view(shape)
    return found.flatten()
