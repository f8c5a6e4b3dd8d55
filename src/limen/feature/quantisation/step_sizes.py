"""How long the steps of a quantiser are: one for each token, in proportion to what the token tolerates.

A token is a row of (N, T, C), a position of (N, C, H, W), or a sample of (N, C). A uniform step D makes noise of
variance D^2 / 12 in every element of its token, whatever the element tolerates. A map says that the element tolerates
the variance m^2, so the token's noise costs the sum over channels of D^2 / m^2: tokens cost alike where D^2 is in
proportion to the **harmonic** mean of m^2 over channels. With m^2 = 1 / Fisher this is the step that spends the fewest
bits at a given KL to second order (reverse water-filling with one step a token). Ours; the paper (Zhao et al. 2026)
says only that steps are proportional to FeatJND.

Steps from a map have the same nominal NRMSE in every image: how the noise of one image compares with that of another is
left out. A map's scale differs by orders of magnitude from image to image (an image that the network is certain of
tolerates nearly anything), and a few images would take the whole budget, where their noise saturates. Part of what such
steps gain over one step for all images is the image's size alone, so one step for each image ("uniform-image") is a
kind of its own, and the fairer one to compare with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limen import digest
from limen.errors import InputError, UnknownNameError
from limen.feature.model.split import Features
from limen.feature.tolerance import Tolerance

StepKind = Literal["tolerance", "permuted", "static", "absmax", "uniform-image", "uniform"]
"""Where a token's step comes from: a map of the image; the same steps in another order; the mean over the fitting
images at each position; the token's largest magnitude (per-token absmax, as int8 quantisation has it); one for all
tokens of an image, in proportion to the image's |f|; one for all images."""
KINDS: tuple[str, ...] = get_args(StepKind)
DYNAMIC = ("tolerance", "permuted", "absmax", "uniform-image")
"""Kinds whose steps travel with the features, as side information."""

LogSizes = npt.NDArray[np.float64]
_LEAST, _MOST = 2.0**-60, 2.0**60  # of a magnitude: a map that gives 0, or no number, means a step as fine as can be
_REACH = 20  # octaves that a step may lie from the median one


@dataclass(frozen=True)
class StepRule:
    """A rule for the steps of an image's tokens, up to one factor for all images.

    Attributes:
        kind: see `StepKind`.
        label: what tables call the map ("" without one).
        tolerance: the map, fitted; needed by the kinds tolerance, permuted and static.
        seed: of the order of permuted steps.
    """

    kind: StepKind
    label: str = ""
    tolerance: Tolerance | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("kind of steps", self.kind, KINDS)

    @property
    def name(self) -> str:
        """The kind, with its map: "tolerance:fisher", "uniform"."""
        return f"{self.kind}:{self.label}" if self.label else self.kind

    @property
    def dynamic(self) -> bool:
        """Whether steps are an image's own and travel with it."""
        return self.kind in DYNAMIC

    def sizes(self, features: Features, names: Sequence[str]) -> list[LogSizes]:
        """Return log2 of the steps (N, T) for each tensor, up to one constant; of static steps, before their mean.

        Raises:
            InputError: the kind needs a map and has none, or names and has too few.
        """
        even = [np.zeros(tokens(tensor).shape[:2]) for tensor in features.tensors]
        if self.kind.startswith("uniform"):
            return even if self.kind == "uniform" else _levelled(even, features)
        if self.kind == "absmax":
            return [_absmax(tokens(tensor)) for tensor in features.tensors]
        if self.tolerance is None:
            raise InputError(f"Steps of kind {self.kind!r} come from a map, and none was given. Give its tolerance.")
        with torch.no_grad():
            sizes = [_harmonic(tokens(part)) for part in self.tolerance.map(features, names)]
        if self.kind == "static":
            return sizes
        if self.kind == "permuted" and len(names) != len(features):
            raise InputError(f"Permuted steps belong to names: {len(features)} are needed, {len(names)} were given.")
        sizes = _levelled(sizes, features)
        if self.kind != "permuted":
            return sizes
        return [
            np.stack([row[self._order(name, place, len(row))] for name, row in zip(names, size, strict=True)])
            for place, size in enumerate(sizes)
        ]

    def _order(self, name: str, place: int, count: int) -> npt.NDArray[np.int64]:
        return digest.generator("permuted steps", name, place, self.seed).permutation(count)


@dataclass(frozen=True, slots=True)
class StepGrid:
    """The steps there are: a logarithmic grid, numbered from the finest.

    Attributes:
        first: the finest, in grid places from a size of 1.
        count: how many.
        octave: how many in a factor of two.
    """

    first: int
    count: int
    octave: int

    @classmethod
    def over(cls, sizes: Sequence[LogSizes], octave: int) -> "StepGrid":
        """Return the grid that these sizes (log2) need, at most `_REACH` octaves from the median."""
        places = np.rint(octave * np.concatenate([size.ravel() for size in sizes])).astype(np.int64)
        middle, reach = int(np.median(places)), octave * _REACH
        first, last = max(int(places.min()), middle - reach), min(int(places.max()), middle + reach)
        return cls(first, last - first + 1, octave)

    def nearest(self, sizes: LogSizes) -> npt.NDArray[np.int64]:
        """Return the number of the nearest step for each size (log2), the last one for what lies beyond."""
        return np.clip(np.rint(self.octave * sizes).astype(np.int64) - self.first, 0, self.count - 1)

    def relative(self) -> LogSizes:
        """Return the steps, up to the one factor for all images."""
        return np.asarray(2.0 ** ((self.first + np.arange(self.count)) / self.octave), np.float64)


def harmonic(sizes: LogSizes) -> LogSizes:
    """Return log2 of the root harmonic mean square over the first axis, of sizes in log2: as over channels."""
    least = sizes.min(0)
    return np.asarray(least - 0.5 * np.log2(np.mean(4.0 ** (least - sizes), 0)), np.float64)


def tokens(tensor: Tensor) -> Tensor:
    """Return (N, T, C): tokens as they are, the positions of a map in rows, a vector as one token."""
    if tensor.ndim == 2:
        return tensor[:, None]
    return tensor if tensor.ndim == 3 else tensor.flatten(2).transpose(1, 2)


def untokens(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Return rows (N, T, C) in the shape of one sample that they came from."""
    if len(shape) < 3:
        return rows.reshape(len(rows), *shape)
    return rows.transpose(1, 2).reshape(len(rows), *shape)


def _harmonic(magnitudes: Tensor) -> LogSizes:
    known = magnitudes.abs().double().nan_to_num(nan=0.0, posinf=_MOST)
    logarithms = known.clamp(_LEAST, _MOST).log2()
    return harmonic(logarithms.movedim(2, 0).cpu().numpy())


def _levelled(sizes: Sequence[LogSizes], features: Features) -> list[LogSizes]:
    """Return sizes (N, T) with the nominal noise of every image in the same proportion to its features."""
    with_noise = [4.0**size * part.shape[2] for size, part in zip(sizes, map(tokens, features.tensors), strict=True)]
    noise = sum((power.sum(1) for power in with_noise), np.zeros(len(features)))
    squares = [tensor.double().flatten(1).pow(2).sum(1) for tensor in features.tensors]
    signal = torch.stack(squares).sum(0).cpu().numpy()
    offset = 0.5 * np.log2(noise / np.where(signal > 0, signal, 1.0))
    return [size - offset[:, None] for size in sizes]


def _absmax(rows: Tensor) -> LogSizes:
    """Return log2 of each token's largest magnitude; a token of zeros, which any step keeps, has its image's."""
    largest = rows.abs().amax(2).double()
    whole = largest.amax(1, keepdim=True)
    whole = torch.where(whole > 0, whole, torch.ones_like(whole))
    return np.asarray(torch.where(largest > 0, largest, whole).log2().cpu().numpy(), np.float64)
