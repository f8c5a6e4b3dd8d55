"""Learned maps: a static map and what a small network adds to it for the image at hand."""

from collections.abc import Mapping, Sequence

import msgspec
import torch
from torch import Tensor

from limen import digest, registry
from limen.errors import InputError
from limen.feature.model.network import Network
from limen.feature.model.split import Features
from limen.feature.perturbation import Noise, Tensors
from limen.feature.tolerance import Scope
from limen.feature.tolerances.estimator import Estimator
from limen.feature.tolerances.information import magnitudes, shared, survey
from limen.feature.tolerances.training import Trainer, TrainingSettings, perturbation, resume

LEAST = 0.01  # of the mean, added to the static information that a prediction starts from


@registry.add("tolerance", "learned")
class LearnedTolerance:
    """FeatJND's estimator (Zhao et al. 2026, arXiv:2601.21933): a magnitude that holds for random signs.

    What is the paper's and what is ours: `limen.feature.tolerances.training`.
    """

    Settings: type[TrainingSettings] = TrainingSettings
    noise: Noise = "signs"
    _signed = False

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    def fit(self, scope: Scope) -> None:
        """Train the estimator, going on from `scope.checkpoint` where that is a checkpoint of this very fit.

        The checkpoint stays when training has ended: it is the caller's to delete once the state is stored.

        Raises:
            InputError: training broke, or the file there is no checkpoint.
        """
        key = self._key(scope)
        saved = resume(scope.checkpoint, key)
        self._estimator = Estimator.of(saved["estimator"]) if saved else self._started(scope)
        Trainer(self._estimator, scope, self.settings, key).run(saved)
        self._estimator.eval().requires_grad_(False)

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return magnitudes, worked out from the features alone."""
        with torch.no_grad():
            logarithms, directions = self._estimator(features)
            sizes = perturbation(logarithms, directions)
        if self.settings.objective != "information":
            return sizes
        maps = magnitudes(sizes, self.settings)
        return tuple(one.expand_as(tensor) for one, tensor in zip(maps, features.tensors, strict=True))

    def state(self) -> dict[str, Tensor]:
        """Return the estimator's weights and the static map in it."""
        return {name: one.contiguous() for name, one in self._estimator.state_dict().items()}

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Rebuild the estimator.

        Raises:
            InputError: a signed map is loaded as an unsigned one, or the reverse.
        """
        made = Estimator.of(state)
        if made.signed != self._signed:
            raise InputError(f"The stored map is {'' if made.signed else 'not '}signed. Load it as what it was fitted.")
        self._estimator = made.to(scope.split.device).eval().requires_grad_(False)

    def flops(self, features: Features) -> int:
        """Return the floating-point operations of one map for these features."""
        return self._estimator.flops(features)

    def _key(self, scope: Scope) -> str:
        """Return what stands for this fit: the map, the network, the images."""
        images = scope.images
        network = [Network(scope.split.model).digest, scope.split.path]
        seen = [len(images), scope.batch, scope.seed, *images.batch([0, len(images) - 1]).names]
        return digest.of([self._signed, msgspec.to_builtins(self.settings), network, seen])

    def _started(self, scope: Scope) -> Estimator:
        chosen = self.settings
        seen = survey(scope, chosen.draws)
        if chosen.objective == "information":
            static = tuple(shared(one + LEAST * one.mean(), chosen.over) for one in seen.information)
        else:
            static = magnitudes(seen.information, chosen)
        if chosen.bias == "flat":
            static = tuple(one.mean().expand_as(one) for one in static)
        return Estimator(
            [one.log() for one in static], seen.mean, seen.deviation, self._signed, scope.seed, chosen.width
        )


class SignedSettings(TrainingSettings, frozen=True, kw_only=True):
    """How the signed estimator is trained and used.

    Attributes:
        as_given: whether delta is used as predicted; else its magnitude with random signs.
    """

    as_given: bool = True


@registry.add("tolerance", "signed")
class SignedTolerance(LearnedTolerance):
    """A named comparison: delta itself is predicted, with its signs, and trained as it is.

    Errors of quantisation do not follow a chosen sign, so this is no tolerance; it shows what the signs are worth.
    """

    Settings = SignedSettings
    _signed = True

    def __init__(self, settings: SignedSettings) -> None:
        if settings.objective == "information":
            raise InputError("Information has no sign, so 'signed' takes log_nrmse or log_magnitude as its objective.")
        super().__init__(settings)
        self.noise: Noise = "given" if settings.as_given else "signs"

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return delta, or its magnitude where it is not to be used as given."""
        delta = super().map(features, names)
        return delta if self.noise == "given" else tuple(one.abs() for one in delta)
