"""Where to split: for each split of a network what the sender computes and sends, and how much noise there costs.

Bytes at a promise are those of one step an image, which needs no map: what a map saves is for a run to say.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limen.curve import bootstrap_mean
from limen.feature.clean_batches import CleanBatch, CleanParts
from limen.feature.data.parts import Partition
from limen.feature.model.known_splits import Split
from limen.feature.model.network import Network, flops
from limen.feature.model.split import SplitPoint
from limen.feature.perturbation import noise, scaled
from limen.feature.quantisation import fit as quantising
from limen.feature.quantisation.coarsest import coarsest, coded
from limen.feature.quantisation.codec import Quantiser
from limen.feature.quantisation.entropy_coder import usual
from limen.feature.quantisation.promise import Promise
from limen.feature.quantisation.step_sizes import StepRule
from limen.feature.task import Task
from limen.feature.tolerance import ProgressCallback, quiet

STRENGTH = 1.0  # NRMSE of the noise: as large as the features
TIMED = 7  # runs of one image, of which the fastest counts: what else the machine does only adds to it


@dataclass(frozen=True, slots=True)
class SplitCost:
    """What a split costs.

    Attributes:
        split: path, as `SplitPoint` takes it.
        kind: what lies there.
        elements: numbers that are sent, an image.
        flops: floating-point operations before the split, an image (matrix products and convolutions, as torch counts
            them; two for a multiplication with an addition).
        share: of those of the whole network.
        seconds: of one image before the split, alone in its batch, on the device at hand; the fastest of `TIMED` runs.
        discrepancy: mean of the task's over images, with the same Gaussian noise everywhere at NRMSE `STRENGTH`.
        low, high: its 95 % BCa interval over images; None for fewer than five.
        n: images.
        bytes: mean over test images, each coded alone, of the coarsest quantiser with one step an image that keeps a
            promise; None where none was asked for, or not even the finest keeps it.
        bytes_low, bytes_high: its 95 % BCa interval over these images.
    """

    split: str
    kind: str
    elements: int
    flops: int
    share: float
    seconds: float
    discrepancy: float
    low: float | None
    high: float | None
    n: int
    bytes: float | None = None
    bytes_low: float | None = None
    bytes_high: float | None = None


@torch.no_grad()
def sweep(
    network: Network,
    task: Task,
    splits: Sequence[Split],
    images: Partition,
    promise: Promise | None = None,
    batch: int = 16,
    progress: ProgressCallback = quiet,
) -> list[SplitCost]:
    """Measure splits on the same images with the same noise for each image.

    Args:
        network: loaded.
        task: as it is for the network.
        splits: of that network.
        images: in three parts; noise is felt on those to fit on.
        promise: that a quantiser is to keep, of as many images as there are to calibrate on; None for none.
        batch: images at once, >= 1; only memory depends on it.
        progress: called with splits done, splits in all, and a note.

    Raises:
        InputError: a split does not carry all that the outputs need, or there are too few images for the promise.
    """
    if promise:
        promise.check()
    first = images.fit.batch(range(min(8, len(images.fit))))
    costs = []
    for done, one in enumerate(splits):
        progress(done, len(splits), one.path)
        split = SplitPoint(network.model, one.path, task.outputs)
        split.verify(first.images)
        clean = CleanParts.of(split, task, images, batch)
        felt = [value for part in clean.fit for value in _felt(split, task, part)]
        interval = bootstrap_mean(felt)
        costs.append(
            SplitCost(
                split=one.path,
                kind=one.kind,
                **_sent(split, first.images[:1]),
                discrepancy=float(np.mean(felt)),
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                n=len(felt),
                **(_coded(clean, promise) if promise else {}),
            )
        )
    progress(len(splits), len(splits), "done")
    return costs


def _felt(split: SplitPoint, task: Task, batch: CleanBatch) -> list[float]:
    """Return the discrepancy of each image under noise as large as its features."""
    features = batch.features
    ones = [torch.ones_like(tensor) for tensor in features.tensors]
    delta = scaled(features, noise(ones, batch.names, 0, "gaussian"), STRENGTH)
    found = task.discrepancy(batch.outputs, split.head(features.plus(delta)))
    return [float(value) for value in found.double().cpu()]


def _coded(clean: CleanParts, promise: Promise) -> dict[str, Any]:
    """Return the bytes of a test image at a kept promise."""
    steps, split, task = StepRule("uniform-image"), clean.fit.split, clean.fit.task

    def fit(budgets: Sequence[float]) -> list[Quantiser]:
        return quantising.fit(clean.fit, [(steps, budget) for budget in budgets])

    _, quantiser = coarsest(split, task, fit, clean.fit, clean.calibrate, promise)
    if quantiser is None:
        return {}
    sizes = coded(split, task, quantiser, clean.test, promise, usual()).bytes
    interval = bootstrap_mean(sizes)
    ends = {"bytes_low": interval.low, "bytes_high": interval.high} if interval else {}
    return {"bytes": float(np.mean(sizes)), **ends}


def _sent(split: SplitPoint, image: torch.Tensor) -> dict[str, Any]:
    """Return what the sender of one image sends and computes."""
    before, whole = flops(lambda: split.encode(image)), flops(lambda: split.outputs(image))
    return {
        "elements": split.encode(image).elements,
        "flops": before,
        "share": before / whole if whole else float("nan"),
        "seconds": min(_seconds(split, image) for _ in range(TIMED)),
    }


def _seconds(split: SplitPoint, image: torch.Tensor) -> float:
    begun = time.perf_counter()
    split.encode(image)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return time.perf_counter() - begun
