"""Images with their features and undisturbed outputs, for stages that go through them again and again."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from limen.feature.data.parts import Batch, Subset
from limen.feature.model.split import Features, Outputs, SplitPoint
from limen.feature.task import Task
from limen.feature.tolerances.training import CLEAN


class CleanBatches:
    """Batches of images, encoded, with their undisturbed outputs; kept for the next time where they fit.

    Args:
        split, task: of the network.
        images: to go through, in order.
        batch: images at once, >= 1.
        room: bytes of features and outputs that are kept; what comes after is worked out each time.
    """

    def __init__(self, split: SplitPoint, task: Task, images: Subset, batch: int, room: int = CLEAN) -> None:
        self._split, self._task, self._images, self._batch, self._room = split, task, images, batch, room
        self._kept: list[tuple[Batch, Features, Outputs]] = []

    def __iter__(self) -> Iterator[tuple[Batch, Features, Outputs]]:
        for place, start in enumerate(range(0, len(self._images), self._batch)):
            if place >= len(self._kept):
                one = self._of(self._images.batch(range(start, min(start + self._batch, len(self._images)))))
                self._room -= sum(tensor.nbytes for tensor in (*one[1].tensors, *one[2].values()))
                if self._room < 0:
                    yield one
                    continue
                self._kept.append(one)
            yield self._kept[place]

    @torch.no_grad()
    def _of(self, batch: Batch) -> tuple[Batch, Features, Outputs]:
        features = self._split.encode(batch.images)
        outputs = self._split.head(features)
        self._task.check(outputs, batch.targets)
        return compared(batch, self._task, outputs), features, outputs


def compared(batch: Batch, task: Task, outputs: Outputs) -> Batch:
    """Return a batch with what its answers are scored against: the clean ones where a task needs nothing of data."""
    return replace(batch, targets=tuple(task.answers(outputs))) if task.needs == "nothing" else batch
