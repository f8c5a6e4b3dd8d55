"""A backbone that has learnt shapes before a detector is put on it, and the scenes of 1 to 5 objects.

Queries and matching learn next to nothing over a backbone that cannot tell shapes yet. So the backbone first names the
class of each cell of 8 px and where the edges of its object are, with a head that is dropped.
"""

import copy
import time
from dataclasses import dataclass

import numpy as np
import scenery
import torch
from scenery import say
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import RTDetrResNetConfig

from limen import digest
from limen.feature.data.synthetic import CLASSES, MOST

SIDE, CELL, COUNT = 96, 8, 6  # px, px, classes
OBJECTS = (1, MOST)
NAMES = dict(enumerate(CLASSES[:COUNT]))
NUMBERS = {name: number for number, name in NAMES.items()}
WIDTHS = (24, 48, 80, 112)


def backbone(levels: tuple[int, ...]) -> RTDetrResNetConfig:
    """Return the config of the backbone with the stages whose maps are wanted (1: 4 px a cell, ... 4: 32 px)."""
    return RTDetrResNetConfig(
        embedding_size=24, hidden_sizes=list(WIDTHS), depths=[1, 2, 2, 1], layer_type="basic", out_indices=list(levels)
    )


@dataclass(frozen=True, slots=True)
class Data:
    """Scenes as tensors, padded to `MOST` objects.

    Attributes:
        images: uint8 (N, S, S, 3).
        count: objects of each (N,).
        labels: (N, MOST).
        boxes: (N, MOST, 4), left, top, right, bottom in shares of the side.
        masks: bool (N, MOST, S, S).
    """

    images: Tensor
    count: Tensor
    labels: Tensor
    boxes: Tensor
    masks: Tensor

    def turned(self, chosen: "np.typing.NDArray[np.int64]", number: int) -> "Data":
        """Return the chosen scenes under one of the eight symmetries of the square, images as the nets see them."""
        boxes = self.boxes[chosen]
        boxes = boxes[..., [1, 0, 3, 2]] if number & 4 else boxes
        for axis, bit in ((0, 1), (1, 2)):
            if number & bit:
                boxes = boxes.clone()
                boxes[..., [axis, axis + 2]] = 1 - boxes[..., [axis + 2, axis]]
        images = scenery.turned(scenery.scaled(self.images[chosen]), number)
        masks = scenery.turned(self.masks[chosen], number)
        return Data(images, self.count[chosen], self.labels[chosen], boxes, masks)

    def cells(self) -> tuple[Tensor, Tensor]:
        """Return the class of each cell (N, s, s), the last is the background, and its object's box (N, s, s, 4)."""
        share = F.avg_pool2d(self.masks.float(), CELL)
        most, owner = share.max(1)
        at = owner.flatten(1)
        names = torch.where(most > 0.4, self.labels.gather(1, at).view_as(owner), COUNT)
        return names, self.boxes.gather(1, at[..., None].expand(-1, -1, 4)).view(*owner.shape, 4)


def data(name: str, count: int) -> Data:
    """Draw scenes of 1 to 5 objects of six classes as tensors."""
    drawn = scenery.draw(name, count, SIDE, OBJECTS, COUNT)
    labels = torch.zeros(count, MOST, dtype=torch.long)
    boxes, masks = torch.zeros(count, MOST, 4), torch.zeros(count, MOST, SIDE, SIDE, dtype=torch.bool)
    for row, scene in enumerate(drawn):
        n = len(scene.labels)
        labels[row, :n] = torch.from_numpy(scene.labels)
        boxes[row, :n] = torch.from_numpy(scene.boxes) / SIDE
        masks[row, :n] = torch.from_numpy(scene.masks)
    images = torch.from_numpy(np.stack([scene.image for scene in drawn]))
    return Data(images, torch.tensor([len(scene.labels) for scene in drawn]), labels, boxes, masks)


class Dense(nn.Module):
    """A head over the maps of a backbone: for each cell the class and the distances to its object's four edges.

    Args:
        widths: channels of the maps, of which the first has the cells.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.sides = nn.ModuleList(nn.Conv2d(width, 64, 1) for width in widths)
        self.mix = nn.Sequential(nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.out = nn.Conv2d(64, COUNT + 1 + 4, 1)

    def loss(self, maps: list[Tensor], known: Data) -> Tensor:
        """Return cross-entropy of the classes plus the mean error of the edges, in cells, where there is an object."""
        size = SIDE // CELL
        sides = [side(one) for side, one in zip(self.sides, maps, strict=True)]
        total = sum(F.interpolate(one, size=(size, size), mode="bilinear") for one in sides)
        said = self.out(self.mix(total))
        names, boxes = known.cells()
        at = (torch.arange(size) + 0.5) / size
        centre = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)
        edges = torch.cat([centre - boxes[..., :2], boxes[..., 2:] - centre], -1) * size
        inside = names < COUNT
        error = F.smooth_l1_loss(said[:, COUNT + 1 :].permute(0, 2, 3, 1)[inside], edges[inside], beta=0.2)
        return F.cross_entropy(said[:, : COUNT + 1], names) + 0.3 * error


def pretrain(net: nn.Module, widths: tuple[int, ...], known: Data, name: str, steps: int, batch: int = 32) -> None:
    """Teach a backbone shapes in place, symmetries of the square and colours varied; its head is dropped."""
    start = time.perf_counter()
    head = Dense(widths)
    parameters = [*net.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.02)
    rng = digest.generator("feature training", name, "dense")
    step = 0
    while step < steps:
        for chosen in scenery.batches(len(known.images), batch, rng)[: steps - step]:
            some = known.turned(chosen, int(rng.integers(8)))
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * scenery.schedule(step, steps, 60)
            loss = head.loss(features(net.train(), scenery.recoloured(some.images, rng)), some)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            step += 1
            if step % 100 == 0:
                say(f"dense step {step:5d}  loss {loss:.3f}  {time.perf_counter() - start:5.0f} s")


def features(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the maps of a backbone from 8 px a cell on."""
    maps: list[Tensor] = list(net(images.contiguous(memory_format=torch.channels_last)).feature_maps)
    return maps[-3:]


def average(net: nn.Module) -> scenery.Average:
    """Return a running mean of a net's weights."""
    return scenery.Average(net, copy.deepcopy(net))
