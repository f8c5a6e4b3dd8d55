"""Images with their features and undisturbed outputs, for all that goes through them again and again.

Encoding an image is what most of a run's time would go into: a network's part before the split is often the larger one,
and what comes after it is run for every map, strength, scale and step.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import torch

from limen.feature.data.parts import Partition, Subset
from limen.feature.model.split import Features, Outputs, SplitPoint
from limen.feature.task import Task

ROOM = 2**30  # bytes of features and outputs that are kept; what comes after is worked out each time


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """Some images, encoded.

    Attributes:
        names: of N images.
        targets: what the task compares answers with.
        features: of these images.
        outputs: of the network, undisturbed.
    """

    names: tuple[str, ...]
    targets: tuple[Any, ...]
    features: Features
    outputs: Outputs

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: slice) -> Self:
        """Return some of them."""
        outputs = {name: value[chosen] for name, value in self.outputs.items()}
        return replace(
            self, names=self.names[chosen], targets=self.targets[chosen], features=self.features[chosen],
            outputs=outputs,
        )  # fmt: skip


Clean: TypeAlias = Iterable[CleanBatch]
"""Images, encoded, with their undisturbed outputs; to be gone through more than once."""


class CleanBatches:
    """Batches of images, encoded, with their undisturbed outputs; kept for the next time where they fit.

    The same image is always encoded in the same batch: what rounding depends on stays as it is, however many are asked
    for. Where nobody says what is in the images, the answers of the undisturbed outputs are the targets.

    Args:
        split, task: of the network.
        images: to go through, in order.
        batch: images at once, >= 1.
    """

    def __init__(self, split: SplitPoint, task: Task, images: Subset, batch: int = 40) -> None:
        self.split, self.task = split, task
        self._images, self._batch = images, batch
        self._kept: dict[int, CleanBatch] = {}
        self._room = ROOM

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[CleanBatch]:
        return self.some(slice(None))

    def some(self, batches: slice) -> Iterator[CleanBatch]:
        """Yield some of the batches, in order; they are those that all images are encoded in."""
        for place in range(-(-len(self) // self._batch))[batches]:
            yield self._at(place)

    def with_images(self) -> Iterator[tuple[torch.Tensor, CleanBatch]]:
        """Yield each batch beside its prepared images (N, C, H, W), which are not kept."""
        for place, one in enumerate(self):
            start = place * self._batch
            yield self._images.batch(range(start, start + len(one))).images, one

    def first(self, count: int) -> "FirstBatches":
        """Return the first `count` of them, or all where there are fewer."""
        return FirstBatches(self, min(count, len(self)))

    def chosen(self, indices: Sequence[int]) -> CleanBatch:
        """Return single images as one batch, in this order.

        They are taken from what is kept where all of them fit; otherwise they are encoded, as a batch of their own.

        Args:
            indices: from 0 on, each below the number of images.
        """
        if not self._fits():
            return self._encoded(indices)
        rows = []
        for index in indices:
            place, row = divmod(index, self._batch)
            rows.append(self._at(place)[row : row + 1])
        return CleanBatch(
            tuple(name for row in rows for name in row.names),
            tuple(target for row in rows for target in row.targets),
            Features.joined([row.features for row in rows]),
            {name: torch.cat([row.outputs[name] for row in rows]) for name in rows[0].outputs},
        )

    def _at(self, place: int) -> CleanBatch:
        if place in self._kept:
            return self._kept[place]
        one = self._encoded(range(place * self._batch, min((place + 1) * self._batch, len(self))))
        if self._size(one) <= self._room:
            self._kept[place] = one
            self._room -= self._size(one)
        return one

    def _fits(self) -> bool:
        return self._size(self._at(0)) * -(-len(self) // self._batch) <= ROOM

    @torch.no_grad()
    def _encoded(self, indices: Sequence[int]) -> CleanBatch:
        batch = self._images.batch(indices)
        features = self.split.encode(batch.images)
        outputs = self.split.head(features)
        return CleanBatch(batch.names, batch.against(self.task, outputs).targets, features, outputs)

    @staticmethod
    def _size(one: CleanBatch) -> int:
        return sum(tensor.nbytes for tensor in (*one.features.tensors, *one.outputs.values()))


@dataclass(frozen=True, slots=True)
class FirstBatches:
    """The first of some images, in the batches that they are encoded in; the last one is cut off."""

    whole: CleanBatches
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[CleanBatch]:
        left = self.count
        for one in self.whole:
            yield one[:left]
            left -= len(one)
            if left <= 0:
                break

    def with_images(self) -> Iterator[tuple[torch.Tensor, CleanBatch]]:
        """Yield each batch beside its prepared images (N, C, H, W), which are not kept."""
        for one, (images, _) in zip(self, self.whole.with_images(), strict=False):
            yield images[: len(one)], one


@dataclass(frozen=True, slots=True)
class CleanParts:
    """The three parts of a `Partition`, encoded."""

    fit: CleanBatches
    calibrate: CleanBatches
    test: CleanBatches

    @classmethod
    def of(cls, split: SplitPoint, task: Task, images: Partition, batch: int = 40) -> Self:
        """Return the parts for one split.

        Args:
            split: of the network.
            task: of its outputs.
            images: in three parts.
            batch: images at once, >= 1.
        """
        return cls(*(CleanBatches(split, task, one, batch) for one in (images.fit, images.calibrate, images.test)))
