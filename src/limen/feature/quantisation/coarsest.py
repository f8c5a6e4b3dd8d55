"""The coarsest quantiser of one kind of steps that keeps a promise, and what it costs on test images in coded bytes.

Where the candidates lie is settled on fitting images: budgets in octaves say where images begin to fail, and around
there the candidates are a sixteenth of an octave apart. The calibration images then see them once, the finest first.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from limen import digest
from limen.curve import FEWEST_CLUSTERS
from limen.feature.clean_batches import Clean
from limen.feature.crossing import crossing
from limen.feature.model.split import SplitPoint
from limen.feature.quantisation.codec import Quantiser
from limen.feature.quantisation.fit import RESAMPLES
from limen.feature.quantisation.promise import Drops, Promise, SequenceOfTests, walk
from limen.feature.task import Task

COARSE = tuple(0.02 * 2.0**octave for octave in range(-4, 11))  # NRMSE, .00125 to 20: tried on fitting images
FINE = (-4.0, -2.0, -1.0, -0.75, -0.5, *(sixteenth / 16 for sixteenth in range(-6, 7)), 0.5, 0.625, 0.75)
"""Octaves from where fitting images fail as often as calibration images may: the candidates."""

Fitting: TypeAlias = Callable[[Sequence[float]], list[Quantiser]]
"""Quantisers for these budgets, fitted on the fitting images."""


@dataclass(frozen=True)
class Coded:
    """What a quantiser does to test images.

    Attributes:
        bytes: of each image, coded alone.
        drops: of each image.
        answers, targets: of the task, to score.
    """

    bytes: tuple[int, ...]
    drops: Drops
    answers: Sequence[Any]
    targets: Sequence[Any]


def candidates(split: SplitPoint, task: Task, fit: Fitting, fitting: Clean, promise: Promise) -> tuple[float, ...]:
    """Return the budgets to test, finest first, from fitting images alone.

    Args:
        split: whose features.
        task: whose outputs and drop.
        fit: fits quantisers.
        fitting: fitting images, encoded, with their undisturbed outputs.
        promise: what is to be kept.
    """
    quantisers = fit(COARSE)

    def failing(place: int) -> float:
        drops = np.concatenate(list(lost(split, task, quantisers[place], fitting, promise)))
        return 1 - float(np.mean(drops <= promise.eps))

    middle = COARSE[0] * 2.0 ** crossing(failing, len(COARSE), (promise.allowed + 0.5) / promise.n)
    return tuple(float(f"{middle * 2.0**octave:.4g}") for octave in FINE)


def coarsest(
    split: SplitPoint, task: Task, fit: Fitting, fitting: Clean, calibration: Clean, promise: Promise
) -> tuple[SequenceOfTests, Quantiser | None]:
    """Return what was tested, and the coarsest quantiser that keeps the promise; None where not even the finest does.

    Args:
        split: whose features.
        task: whose outputs and drop.
        fit: fits quantisers.
        fitting: fitting images, encoded, with their undisturbed outputs.
        calibration: calibration images, likewise; `promise.n` of them.
        promise: to keep.
    """
    budgets = candidates(split, task, fit, fitting, promise)
    quantisers = fit(budgets)
    found = walk(budgets, lambda place: lost(split, task, quantisers[place], calibration, promise), promise)
    return found, None if found.taken is None else quantisers[found.taken]


@torch.no_grad()
def lost(split: SplitPoint, task: Task, quantiser: Quantiser, clean: Clean, promise: Promise) -> Iterable[Drops]:
    """Yield what each image loses by a quantiser's errors, batch by batch.

    Args:
        split: whose features.
        task: whose outputs and drop.
        quantiser: fitted for this split.
        clean: images, encoded, with their undisturbed outputs.
        promise: whose drop.
    """
    for batch in clean:
        received = split.head(quantiser.quantise(batch.features, batch.names).features)
        yield task.drop(batch.outputs, received, promise.drop).double().cpu().numpy()


@torch.no_grad()
def coded(split: SplitPoint, task: Task, quantiser: Quantiser, clean: Clean, promise: Promise, coder: str) -> Coded:
    """Code each image alone, decode it, and see what is left of the task.

    Args:
        split: whose features.
        task: whose outputs and drop.
        quantiser: fitted for this split.
        clean: test images, encoded, with their undisturbed outputs.
        promise: whose drop.
        coder: one of `limen.feature.quantisation.entropy_coder.CODERS`.
    """
    sizes: list[int] = []
    drops: list[Drops] = []
    answers: list[Any] = []
    targets: list[Any] = []
    for batch in clean:
        alone = (batch[place : place + 1] for place in range(len(batch)))
        sizes += [len(quantiser.encode(one.features, one.names, coder)) for one in alone]
        received = split.head(quantiser.quantise(batch.features, batch.names).features)
        drops.append(task.drop(batch.outputs, received, promise.drop).double().cpu().numpy())
        answers += task.answers(received)
        targets += batch.targets
    return Coded(tuple(sizes), np.concatenate(drops), answers, targets)


def unkept(steps: str, promise: Promise, found: SequenceOfTests) -> str:
    """Say that not even the finest candidate keeps a promise, and what it would have kept.

    Args:
        steps: what was tried.
        promise: that is not kept.
        found: its walk.
    """
    finest = found.tried[0]
    eased = f"Allow an eps of {found.reach:.3g} or more, or a larger rho" if math.isfinite(found.reach) else (
        "Its drop is no number for some: check the images and the weights")  # fmt: skip
    return (
        f"No quantiser with {steps} steps can be shown to keep {promise}: with the finest tried, of budget "
        f"{finest.budget:g}, {finest.failures} of {finest.images} calibration images lose more, and {promise.allowed} "
        f"may. {eased}."
    )


def relative(mine: Sequence[int], theirs: Sequence[int], seed: int) -> tuple[float, tuple[float, float] | None]:
    """Return how many bytes one quantiser takes of those of another, with a 95 % interval over images.

    Args:
        mine: bytes of each image.
        theirs: of the same images with the other, in the same order.
        seed: of the run.
    """
    one, two = (np.asarray(sizes, np.float64) for sizes in (mine, theirs))
    drawn = digest.generator("resample", seed).integers(0, len(one), (RESAMPLES, len(one)))
    ratios = one[drawn].mean(1) / two[drawn].mean(1)
    low, high = np.quantile(ratios, (0.025, 0.975)).tolist()
    return float(one.mean() / two.mean()), (low, high) if len(one) >= FEWEST_CLUSTERS else None
