"""Maps that need no gradient: flat, by channel, by token, and those that disarrange another map.

They are what a map that knows the network has to beat, each for its own reason.
"""

from collections.abc import Mapping, Sequence

import msgspec
import torch
from torch import Tensor

from limen import digest, registry
from limen.errors import InputError
from limen.feature.model.split import Features
from limen.feature.perturbation import Noise, Tensors
from limen.feature.tolerance import Scope, Tolerance
from limen.feature.tolerances.information import channels


class _NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose."""


class _UnfittedTolerance:
    """A map that learns nothing."""

    Settings: type[msgspec.Struct] = _NoSettings
    noise: Noise = "signs"

    def __init__(self, settings: msgspec.Struct) -> None:
        self.settings = settings

    def fit(self, scope: Scope) -> None:
        """Learn nothing."""

    def state(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Take nothing."""


@registry.add("tolerance", "flat")
class FlatTolerance(_UnfittedTolerance):
    """The same everywhere, with random signs."""

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return ones."""
        return tuple(torch.ones_like(tensor) for tensor in features.tensors)


@registry.add("tolerance", "gaussian")
class GaussianTolerance(FlatTolerance):
    """The same everywhere, with Gaussian noise: what the paper compares with (Zhao et al. 2026, arXiv:2601.21933)."""

    noise: Noise = "gaussian"


@registry.add("tolerance", "absmax")
class AbsmaxTolerance(_UnfittedTolerance):
    """In proportion to the largest magnitude of each token: the step of per-token absmax quantisation.

    A token is a row of (T, C), or a position of (C, H, W).
    """

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return the largest magnitude of each token, for all its elements."""
        return tuple(_over_channels(tensor).expand_as(tensor) for tensor in features.tensors)


@registry.add("tolerance", "cls-spared")
class ClsSparingTolerance(_UnfittedTolerance):
    """The same everywhere but for the first token, which is left alone.

    On a ViT most of what a Fisher map gains is gained by sparing the class token: a baseline of its own.
    """

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return ones, zero for the first token of (N, T, C)."""
        maps = [torch.ones_like(tensor) for tensor in features.tensors]
        for one in maps:
            one[:, 0] = 0
        return tuple(maps)


@registry.add("tolerance", "channel")
class ChannelTolerance(_UnfittedTolerance):
    """In proportion to the root mean square of each channel over the fitting images."""

    def __init__(self, settings: msgspec.Struct) -> None:
        super().__init__(settings)
        self._sizes: Tensors = ()

    def fit(self, scope: Scope) -> None:
        """Measure the channels."""
        sums: list[Tensor] = []
        for batch in scope.clean:
            squares = [_mean_square(tensor).sum(0) for tensor in batch.features.tensors]
            sums = [a + b for a, b in zip(sums, squares, strict=True)] if sums else squares
        self._sizes = tuple((total / len(scope.images)).sqrt() for total in sums)

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return each channel's size for all its elements."""
        pairs = zip(self._sizes, features.tensors, strict=True)
        return tuple(_by_channel(size.to(tensor), tensor).expand_as(tensor) for size, tensor in pairs)

    def state(self) -> dict[str, Tensor]:
        """Return the channels' sizes."""
        return {f"size.{place}": size for place, size in enumerate(self._sizes)}

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Take the channels' sizes."""
        self._sizes = tuple(state[f"size.{place}"] for place in range(len(state)))


class RearrangementSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which map is disarranged.

    Attributes:
        of: the label of a map that is fitted before this one.
        seed: of the draw.
    """

    of: str = "learned"
    seed: registry.Seed = 0


class ShuffleSettings(RearrangementSettings, frozen=True):
    """Which map is disarranged, and how far.

    Attributes:
        across: whether elements also change the tensor, so that the other map's choice among tensors is gone as well.
    """

    across: bool = False


class _Rearrangement(_UnfittedTolerance):
    Settings: type[RearrangementSettings] = RearrangementSettings

    def __init__(self, settings: RearrangementSettings) -> None:
        super().__init__(settings)
        self._of, self._seed = settings.of, settings.seed

    def fit(self, scope: Scope) -> None:
        """Take the other map, which must have been fitted."""
        if self._of not in scope.fitted:
            raise InputError(f"No map {self._of!r} was fitted before. Known: {', '.join(scope.fitted) or 'none'}.")
        self._other: Tolerance = scope.fitted[self._of]

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Take the other map."""
        self.fit(scope)


@registry.add("tolerance", "shuffled")
class ShuffledTolerance(_Rearrangement):
    """Another map with the elements of each image in random order: as unequal, in the wrong places.

    Within each tensor, so that each keeps its share of the energy; or across all tensors of the split.
    """

    Settings = ShuffleSettings

    def __init__(self, settings: ShuffleSettings) -> None:
        super().__init__(settings)
        self._across = settings.across

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return the other map, its elements in an order that belongs to the image's name."""
        if self._across:
            return self._mixed(self._other.map(features, names), names)
        shuffled = []
        for place, tensor in enumerate(self._other.map(features, names)):
            rows = [
                row.flatten()[self._order(name, place, row.numel())] for name, row in zip(names, tensor, strict=True)
            ]
            shuffled.append(torch.stack(rows).view_as(tensor))
        return tuple(shuffled)

    def _mixed(self, maps: Tensors, names: Sequence[str]) -> Tensors:
        together = torch.cat([one.flatten(1) for one in maps], 1)
        count = together.shape[1]
        rows = [row[self._order(name, "across", count)] for name, row in zip(names, together, strict=True)]
        parts = torch.split_with_sizes(torch.stack(rows), [one[0].numel() for one in maps], 1)
        return tuple(part.reshape(one.shape) for part, one in zip(parts, maps, strict=True))

    def _order(self, name: str, place: int | str, count: int) -> Tensor:
        return torch.from_numpy(digest.generator("shuffled", name, place, self._seed).permutation(count))


@registry.add("tolerance", "other-image")
class OtherImageTolerance(_Rearrangement):
    """The map of another image: how much of a map is the image's own, and how much is the network's.

    The other image is the one fitting image that the name draws, so that batches do not matter.
    """

    def fit(self, scope: Scope) -> None:
        """Keep the maps of some fitting images."""
        super().fit(scope)
        batch = scope.clean.chosen(range(min(scope.batch, len(scope.images))))
        self._maps = self._other.map(batch.features, batch.names)

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return the map of a fitting image for each."""
        count = len(self._maps[0])
        drawn = [int(digest.generator("other image", name, self._seed).integers(count)) for name in names]
        return tuple(kept[drawn].to(tensor) for kept, tensor in zip(self._maps, features.tensors, strict=True))


def _over_channels(tensor: Tensor) -> Tensor:
    """Return the largest magnitude of each token; channels are the last of (N, T, C), the second of (N, C, H, W)."""
    return tensor.abs().amax(channels(tensor), keepdim=True)


def _mean_square(tensor: Tensor) -> Tensor:
    """Return (N, C): the mean square of each channel."""
    others = tuple(d for d in range(1, tensor.ndim) if d != channels(tensor))
    return tensor.pow(2).mean(others) if others else tensor.pow(2)


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    shape = [1] * like.ndim
    shape[channels(like)] = -1
    return values.view(shape)
