"""Where a tolerance puts its noise: inside the objects or beside them, and against what the head looks at.

A position's energy is the sum of m^2 over its channels. A map that spares what matters puts less of it inside the
object masks than their area, and less where the attribution is large (the paper, Zhao et al. 2026, shows the second
with pictures; shares and correlations are ours).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from limen.errors import InputError, MissingExtraError
from limen.feature.data.instances import Mask
from limen.feature.data.parts import Subset
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.quantisation.step_sizes import tokens
from limen.feature.task import Task
from limen.feature.tolerance import Tolerance

INTEGRATED = 32  # points of the path that gradients are integrated over


@dataclass(frozen=True, slots=True)
class AttributionRow:
    """How a map divides its energy, means over images.

    Attributes:
        map: its label.
        inside: share of the energy inside the object masks, of that at positions of the image.
        area: share of the image inside them.
        density: energy for an area inside over energy for an area outside, geometric mean; below 1: objects are spared.
        prefix: share of all energy at tokens that are no position of the image (class and register tokens).
        correlation: Spearman's, over positions, of energy with the magnitude of the attribution; None where that was
            not asked for. Below 0: what the head looks at is spared.
        n: images.
        empty: further images, left out, in which the map has no energy at any position.
    """

    map: str
    inside: float
    area: float
    density: float
    prefix: float
    correlation: float | None
    n: int
    empty: int = 0


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """Where the tokens of a tensor lie in the image.

    Attributes:
        prefix: tokens before the first position.
        rows, columns: of the positions, which follow row by row.
    """

    prefix: int
    rows: int
    columns: int

    @classmethod
    def of(cls, tensor: Tensor, size: Sequence[int], prefix: int | None = None) -> "TokenGrid":
        """Return the grid of a tensor of features.

        Args:
            tensor: (N, C, H, W); or (N, T, C), whose positions fill a grid in the image's proportions after some
                tokens that are no positions; or (N, C), which has no positions.
            size: (channels, height, width) of the images.
            prefix: how many such tokens, >= 0, where it is known; None for as few as leave a grid in proportion.

        Raises:
            InputError: what is left after the prefix is no grid in proportion.
        """
        if tensor.ndim == 4:
            return cls(0, *tensor.shape[2:])
        if tensor.ndim == 2:
            return cls(1, 0, 0)
        count, (height, width) = tensor.shape[1], size[1:]
        for rows in range(math.isqrt(count * height // width) + 1, 0, -1):
            left = count - rows * (rows * width // height)
            if rows * width % height == 0 and left >= 0 and prefix in (None, left):
                return cls(left, rows, rows * width // height)
        raise InputError(
            f"{count} tokens{f' less {prefix}' if prefix else ''} are no grid over images of {height} x {width} px. "
            "Give the number of class and register tokens, or another split."
        )


def shares(
    split: SplitPoint,
    task: Task,
    network: Network,
    images: Subset,
    maps: Mapping[str, Tolerance],
    attribution: bool = True,
    prefix: int | None = None,
    batch: int = 20,
) -> list[AttributionRow]:
    """Return how each map divides its energy over images whose object masks are known.

    Args:
        split: whose features.
        task: what the split's head is for.
        network: makes images ready.
        images: test images; those without masks, or whose masks cover nothing or all, are left out.
        maps: fitted, by label.
        attribution: whether to correlate with integrated gradients, which needs captum.
        prefix: tokens that are no positions, >= 0; None where that is not known (`TokenGrid.of`).
        batch: images at once, >= 1; only memory depends on it.

    Raises:
        InputError: no image has masks.
        MissingExtraError: attribution is asked for and captum is not installed.
    """
    found: dict[str, list[tuple[float, ...]]] = {label: [] for label in maps}
    for names, features, masks in _masked(split, network, images, batch):
        grids = [TokenGrid.of(tensor, features.size, prefix) for tensor in features.tensors]
        looked = integrated_gradients(split, task, features) if attribution else None
        for label, tolerance in maps.items():
            with torch.no_grad():
                magnitudes = tolerance.map(features, names)
            found[label] += _measures([part.pow(2) for part in magnitudes], looked, grids, masks)
    if not any(found.values()):
        raise InputError("No image has object masks, so no share inside them can be given. Use scenes as data.")
    return [_row(label, values, attribution) for label, values in found.items()]


def integrated_gradients(split: SplitPoint, task: Task, features: Features) -> tuple[Tensor, ...]:
    """Return what each feature adds to what the head says: integrated gradients of `Task.evidence`, from zero features.

    Sundararajan, Taly and Yan 2017 (arXiv:1703.01365), as captum works it out.

    Args:
        split: a network cut in two.
        task: what its head is for.
        features: of N images, a tensor (N, ...) each.

    Raises:
        MissingExtraError: captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        raise MissingExtraError("attribution", "captum", "feature") from None

    with torch.no_grad():
        clean = split.head(features)

    def evidence(*tensors: Tensor) -> Tensor:
        outputs = split.head(Features(tensors, features.size))
        times = len(tensors[0]) // len(features)  # captum puts the points of the path behind one another
        unused = sum(0 * tensor.flatten(1).sum(1) for tensor in tensors)  # captum refuses tensors without a gradient
        again = {name: value.repeat(times, *[1] * (value.ndim - 1)) for name, value in clean.items()}
        return task.evidence(outputs, again) + unused

    method: Any = IntegratedGradients(evidence)
    inputs = tuple(tensor.detach() for tensor in features.tensors)
    given = method.attribute(inputs, n_steps=INTEGRATED, internal_batch_size=4 * len(features))
    return tuple(part.detach().to(tensor) for part, tensor in zip(given, inputs, strict=True))


def object_share(network: Network, masks: Mask, shape: Sequence[int]) -> Tensor:
    """Return which share of each pixel that the network sees lies in an object, (height, width), 0 to 1.

    The masks go through the network's own preparation as a white picture on black, and between an all black and an all
    white one: so whatever it does to the image's geometry (resizing, cropping) is done to them, and what it does to the
    values is taken back. What it adds around the image is no object.

    Args:
        network: makes images ready.
        masks: (M, H, W) bool, in the image's pixels.
        shape: (channels, height, width) that the network's images have.

    Raises:
        InputError: the network's preparation makes another size of the masks than of the images.
    """
    white = np.where(masks.any(0), 255, 0).astype(np.uint8)
    pictures = [np.stack([picture] * 3, -1) for picture in (white, np.zeros_like(white), np.full_like(white, 255))]
    seen, dark, bright = network.prepare(pictures).double().mean(1)
    if tuple(seen.shape) != tuple(shape[1:]):
        raise InputError(f"Masks of {masks.shape[1:]} px become {tuple(seen.shape)} px, the image {tuple(shape[1:])}.")
    span = bright - dark
    return torch.where(span > 0, (seen - dark) / span.clamp_min(1e-12), torch.zeros_like(seen)).clamp(0, 1)


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; nan where one of them does not vary."""
    from scipy.stats import rankdata

    x, y = (rankdata(values) for values in (a, b))
    spread = float(x.std() * y.std())
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread else math.nan


def _masked(
    split: SplitPoint, network: Network, images: Subset, size: int
) -> Iterator[tuple[list[str], Features, Tensor]]:
    """Yield names, features and object shares (N, H, W) of the images with objects, some at a time."""
    for start in range(0, len(images), size):
        places = range(start, min(start + size, len(images)))
        batch = images.batch(places)
        masks = {place: images.example(place).masks for place in places}
        shares = [
            (index, object_share(network, mask, batch.images.shape[1:]))
            for index, mask in enumerate(masks.values())
            if mask is not None and len(mask)
        ]
        shares = [(index, share) for index, share in shares if 0 < float(share.mean()) < 1]
        if shares:
            kept = [index for index, _ in shares]
            yield (
                [batch.names[index] for index in kept],
                split.encode(batch.images[kept]),
                torch.stack([share for _, share in shares]),
            )


def _measures(
    energies: Sequence[Tensor], looked: Sequence[Tensor] | None, grids: Sequence[TokenGrid], masks: Tensor
) -> list[tuple[float, ...]]:
    """Return, for each image: energy inside, outside and before; area; rank correlation."""
    inside, outside, before = (torch.zeros(len(masks), dtype=torch.float64) for _ in range(3))
    correlations: list[list[float]] = [[] for _ in range(len(masks))]
    for place, (energy, grid) in enumerate(zip(energies, grids, strict=True)):
        each = tokens(energy.double()).sum(2).cpu()
        before += each[:, : grid.prefix].sum(1)
        positions = each[:, grid.prefix :]
        if not grid.rows:
            continue
        share = functional.adaptive_avg_pool2d(masks[:, None], (grid.rows, grid.columns)).flatten(1)
        inside += (positions * share).sum(1)
        outside += (positions * (1 - share)).sum(1)
        if looked is not None:
            size = tokens(looked[place].double()).abs().sum(2).cpu()[:, grid.prefix :]
            for index, (a, b) in enumerate(zip(positions, size, strict=True)):
                correlations[index].append(spearman(a.numpy(), b.numpy()))
    area = masks.mean((1, 2))
    rows = zip(inside, outside, before, area, correlations, strict=True)
    return [(*map(float, row[:4]), _mean([one for one in row[4] if math.isfinite(one)])) for row in rows]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _row(label: str, values: Sequence[tuple[float, ...]], attribution: bool) -> AttributionRow:
    every = np.array(values)
    inside, outside, before, area, correlation = every[every[:, 0] + every[:, 1] > 0].T
    if not len(inside):
        return AttributionRow(label, math.nan, float(every[:, 3].mean()), math.nan, math.nan, None, 0, len(every))
    total = inside + outside
    with np.errstate(divide="ignore"):
        density = np.exp(np.mean(np.log(inside / area) - np.log(outside / (1 - area))))
    known = correlation[np.isfinite(correlation)]
    return AttributionRow(
        map=label,
        inside=float(np.mean(inside / total)),
        area=float(area.mean()),
        density=float(density),
        prefix=float(np.mean(before / (before + total))),
        correlation=float(known.mean()) if attribution and len(known) else None,
        n=len(inside),
        empty=len(every) - len(inside),
    )
