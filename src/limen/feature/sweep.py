"""Where to split: for each split of a network what the sender computes and sends, and how much noise there costs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limen.curve import bootstrap_mean
from limen.feature.data.parts import Batch, Subset
from limen.feature.model.known_splits import Split
from limen.feature.model.network import Network, flops
from limen.feature.model.split import SplitPoint
from limen.feature.perturbation import noise, scaled
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


@torch.no_grad()
def sweep(
    network: Network,
    task: Task,
    splits: Sequence[Split],
    images: Subset,
    batch: int = 16,
    progress: ProgressCallback = quiet,
) -> list[SplitCost]:
    """Measure splits on the same images with the same noise for each image.

    Args:
        network: loaded.
        task: as it is for the network.
        splits: of that network.
        images: none that a map is measured on later.
        batch: images at once, >= 1; only memory depends on it.
        progress: called with splits done, splits in all, and a note.

    Raises:
        InputError: a split does not carry all that the outputs need.
    """
    first = images.batch(range(min(8, len(images))))
    costs = []
    for done, one in enumerate(splits):
        progress(done, len(splits), one.path)
        split = SplitPoint(network.model, one.path, task.outputs)
        split.verify(first.images)
        felt = [value for part in images.batches(batch) for value in _felt(split, task, part)]
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
            )
        )
    progress(len(splits), len(splits), "done")
    return costs


def _felt(split: SplitPoint, task: Task, part: Batch) -> list[float]:
    """Return the discrepancy of each image under noise as large as its features."""
    features = split.encode(part.images)
    ones = [torch.ones_like(tensor) for tensor in features.tensors]
    delta = scaled(features, noise(ones, part.names, 0, "gaussian"), STRENGTH)
    found = task.discrepancy(split.head(features), split.head(features.plus(delta)))
    return [float(value) for value in found.double().cpu()]


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
