"""Maps from Fisher information: one for all images, one for each, and one number a tensor."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from limen import registry
from limen.errors import InputError
from limen.feature.model.split import Features
from limen.feature.perturbation import Noise, Tensors
from limen.feature.tolerance import Scope
from limen.feature.tolerances.information import FisherSettings, information, magnitudes, survey


@registry.add("tolerance", "fisher")
class FisherTolerance:
    """Static Fisher^power: the same map for every image, from the mean information over the fitting images.

    It needs no training and is the map that a learned one has to beat.
    """

    Settings = FisherSettings
    noise: Noise = "signs"

    def __init__(self, settings: FisherSettings) -> None:
        self.settings = settings
        self._found: Tensors = ()

    def fit(self, scope: Scope) -> None:
        """Average the information over the images."""
        self._found = survey(scope, self.settings.draws).information

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return the same magnitudes for every sample.

        Raises:
            InputError: the features have another size than those it was fitted on, and elements or tokens differ.
        """
        maps = magnitudes(self._found, self.settings)
        for place, (one, tensor) in enumerate(zip(maps, features.tensors, strict=True)):
            if any(a not in (1, b) for a, b in zip(one.shape[1:], tensor.shape[1:], strict=True)):
                known, given = tuple(self._found[place].shape[1:]), tuple(tensor.shape[1:])
                raise InputError(
                    f"A map fitted on features {known} was given {given}. Give images of one size, or over = channel."
                )
        return tuple(one.to(tensor).expand_as(tensor) for one, tensor in zip(maps, features.tensors, strict=True))

    def state(self) -> dict[str, Tensor]:
        """Return the mean information of each tensor."""
        return {f"information.{place}": one.contiguous() for place, one in enumerate(self._found)}

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Take the mean information."""
        self._found = tuple(state[f"information.{place}"] for place in range(len(state)))


@registry.add("tolerance", "own-fisher")
class OwnFisherTolerance:
    """Fisher^power of the image at hand: it runs the head on the clean features, there and back, to make its map.

    So a sender needs the head to use it. It is no bound on what maps can do: it is exact for small noise alone, and the
    static map of many images can be as good, or better, at the strengths of interest.
    """

    Settings = FisherSettings
    noise: Noise = "signs"

    def __init__(self, settings: FisherSettings) -> None:
        self.settings = settings

    def fit(self, scope: Scope) -> None:
        """Keep the network, which it asks again for every image."""
        self._split, self._task, self._seed = scope.split, scope.task, scope.seed

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return magnitudes from each sample's own information; its draws belong to its name."""
        found = information(self._split, self._task, features, names, self.settings.draws, self._seed)
        maps = magnitudes(found, self.settings)
        return tuple(one.expand_as(tensor) for one, tensor in zip(maps, features.tensors, strict=True))

    def state(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Keep the network."""
        self.fit(scope)


@registry.add("tolerance", "shares")
class SharesTolerance:
    """Flat within each tensor of a split, each tensor with the share of the energy that static Fisher^power gives it.

    One number a tensor, the root of the mean square of Fisher's magnitudes there: what a map gains by choosing among
    tensors alone, before it knows anything of their elements. On a split of one tensor it is flat.
    """

    Settings = FisherSettings
    noise: Noise = "signs"

    def __init__(self, settings: FisherSettings) -> None:
        self.settings = settings
        self._levels: Tensors = ()

    def fit(self, scope: Scope) -> None:
        """Average the information over the images, then the energy it stands for over each tensor's elements."""
        maps = magnitudes(survey(scope, self.settings.draws).information, self.settings)
        self._levels = tuple(one.double().square().mean().sqrt().float() for one in maps)

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return the level of each tensor for all its elements."""
        pairs = zip(self._levels, features.tensors, strict=True)
        return tuple(torch.ones_like(tensor) * level.to(tensor) for level, tensor in pairs)

    def state(self) -> dict[str, Tensor]:
        """Return the level of each tensor."""
        return {f"level.{place}": level for place, level in enumerate(self._levels)}

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Take the level of each tensor."""
        self._levels = tuple(state[f"level.{place}"] for place in range(len(state)))
