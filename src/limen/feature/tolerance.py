"""A map of how much each feature tolerates: one class a file in `tolerances/`, registered under its name.

A tolerance is fitted on images that nothing else sees. It then gives magnitudes for any features: absolute ones, in the
features' own unit, up to one scale for all images (which `limen.feature.calibration` finds). Where a table compares
maps at equal NRMSE the scale does not matter at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import msgspec
from torch import Tensor

from limen import registry
from limen.feature.clean_batches import CleanBatches
from limen.feature.data.parts import Subset
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import Noise, Tensors
from limen.feature.task import Task

ProgressCallback = Callable[[int, int, str], None]
"""What a long thing calls with its progress: steps done, steps in all, and how it stands."""


def quiet(done: int, total: int, note: str) -> None:
    """Report to nobody.

    Args:
        done: steps done, 0..total.
        total: steps in all, >= 1.
        note: what was done last.
    """


@dataclass(frozen=True, slots=True)
class FisherSurvey:
    """What one pass over the fitting images shows, a tensor for each of the split's.

    Attributes:
        information: diagonal of the Fisher information, mean over images, (1, ...).
        mean, deviation: of the features, for each channel (C,).
    """

    information: Tensors
    mean: Tensors
    deviation: Tensors


@dataclass(frozen=True)
class Scope:
    """What a tolerance may look at while it is fitted.

    Attributes:
        split, task: the network's.
        images: to fit on; calibration and test images are no part of this.
        seed: of everything random.
        fitted: tolerances fitted before this one in the same scope, by label, for those that stand on another.
        checkpoint: where a long fit keeps its state, to go on from after a crash; None to keep none.
        progress: called with progress: steps done, steps in all, and how it stands.
        batch: images a step where a tolerance does not say otherwise.
        surveys: by draws, what `limen.feature.tolerances.information.survey` found in this scope: several maps stand on
            the same one.
        encoded: the images' features, where the caller has them already.
    """

    split: SplitPoint
    task: Task
    images: Subset
    seed: int = 0
    fitted: Mapping[str, "Tolerance"] = field(default_factory=dict)
    checkpoint: Path | None = None
    progress: ProgressCallback = quiet
    batch: int = 40
    surveys: dict[int, FisherSurvey] = field(default_factory=dict)
    encoded: CleanBatches | None = None

    @cached_property
    def clean(self) -> CleanBatches:
        """The images with their features and undisturbed outputs, in order."""
        known = self.encoded
        return CleanBatches(self.split, self.task, self.images, self.batch) if known is None else known


class Tolerance(Protocol):
    """A map of magnitudes.

    Attributes:
        noise: how its magnitudes become a perturbation; "signs" is the definition.
        settings: what was chosen about it, a msgspec struct.
    """

    noise: Noise
    settings: Any

    def __init__(self, settings: Any) -> None: ...

    def fit(self, scope: Scope) -> None:
        """Learn what is to be learnt, from `scope.images` alone."""
        ...

    def map(self, features: Features, names: Sequence[str] = ()) -> Tensors:
        """Return magnitudes like `features.tensors`; `names` of the samples belong to what is drawn."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return what was learnt, for a safetensors file; empty where nothing is."""
        ...

    def load(self, state: Mapping[str, Tensor], scope: Scope) -> None:
        """Take what was learnt from such a file, in place of `fit`."""
        ...


def make(name: str, given: Mapping[str, Any] | None = None) -> Tolerance:
    """Return a tolerance by name, not fitted yet, with settings as a user wrote them."""
    kind = registry.find("tolerance", name)
    settings: type[msgspec.Struct] = kind.Settings
    made: Tolerance = kind(registry.settings(f"tolerance {name!r}", given or {}, settings, commas=True))
    return made
