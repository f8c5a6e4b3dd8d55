"""Disturb features: a map of magnitudes, signs from names, a stated strength.

Strength is NRMSE = |delta| / |f|, for each sample, jointly over the tensors of a split. The map says how the strength
is shared out among the elements. **The magnitude with random signs is the definition of a perturbation here**: an error
of quantisation does not follow a chosen sign. Signs belong to a sample's name, not to its place in a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from limen import digest
from limen.errors import InputError
from limen.feature.model.split import Features

Tensors = tuple[Tensor, ...]
Noise = Literal["signs", "gaussian", "given"]
"""How a magnitude m becomes a perturbation: m times a random sign, m times a normal number, or m as it is (signed)."""


@dataclass(frozen=True, slots=True)
class Energy:
    """How a map's energy (its squares) is spread in one sample, each value averaged over samples.

    Attributes:
        top1, top10: share that the strongest 1 % and 10 % of elements hold (flat: .01 and .1).
        tensors: share of each tensor of the split.
    """

    top1: float
    top10: float
    tensors: tuple[float, ...]


def noise(magnitudes: Sequence[Tensor], names: Sequence[str], seed: int, kind: Noise = "signs") -> Tensors:
    """Return a perturbation of these magnitudes.

    Args:
        magnitudes: a map: (N, ...) for each of the split's tensors.
        names: of the N samples; the draw belongs to the name and to `seed`, whatever the batch.
        seed: of the draw, any int.
        kind: see `Noise`.
    """
    if kind == "given":
        return tuple(magnitudes)
    return tuple(
        magnitude * torch.stack([_draw(name, place, seed, magnitude[0], kind) for name in names])
        for place, magnitude in enumerate(magnitudes)
    )


def _draw(name: str, place: int, seed: int, like: Tensor, kind: Noise) -> Tensor:
    """Draw on the CPU, so that every device gets the same numbers."""
    source = torch.Generator().manual_seed(digest.seed("perturbation", name, place, seed, kind) & (2**63 - 1))
    if kind == "gaussian":
        return torch.randn(like.shape, generator=source, dtype=torch.float32).to(like)
    return (2 * torch.randint(0, 2, like.shape, generator=source, dtype=torch.int8) - 1).to(like)


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of each sample (N,), jointly over the tensors."""
    return torch.stack([tensor.flatten(1).pow(2).sum(1) for tensor in tensors]).sum(0).sqrt()


def nrmse(features: Features, delta: Sequence[Tensor]) -> Tensor:
    """Return |delta| / |f| for each sample (N,).

    Raises:
        InputError: the features of a sample are all zero, so that nothing can be said relative to them.
    """
    size = norms(features.tensors)
    if bool((size == 0).any()):
        raise InputError(
            f"The features of {int((size == 0).sum())} of {len(size)} samples are all zero, so NRMSE is not defined. "
            "Check the images, or give another split."
        )
    return norms(delta) / size


def scaled(features: Features, delta: Sequence[Tensor], strength: float) -> Tensors:
    """Return `delta` with the NRMSE of every sample at `strength`; a sample without any stays at zero.

    Args:
        features: of N samples, a tensor (N, ...) each.
        delta: a perturbation, one tensor for each of the features', of its shape.
        strength: NRMSE to reach, >= 0.
    """
    factor = strength / nrmse(features, delta).clamp_min(1e-30)
    return tuple(part * _spread(factor, part) for part in delta)


def energy(magnitudes: Sequence[Tensor]) -> Energy:
    """Return how the energy of a map is spread over elements and tensors."""
    each = [magnitude.detach().flatten(1).double().pow(2) for magnitude in magnitudes]
    all_of_it = torch.cat(each, 1)
    total = all_of_it.sum(1).clamp_min(1e-300)
    falling = all_of_it.sort(1, descending=True).values.cumsum(1) / total[:, None]
    size = all_of_it.shape[1]

    def top(share: float) -> float:
        return float(falling[:, max(1, round(share * size)) - 1].mean())

    return Energy(top(0.01), top(0.1), tuple(float((part.sum(1) / total).mean()) for part in each))


def _spread(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
