"""Dense detection: a score for each class and a box at each of many fixed places (anchors, cells of a grid).

One-stage detectors: YOLO, SSD, RetinaNet, FCOS and the like, before any suppression. Their code differs, so the network
is given by a factory whose `forward` returns, for a batch of N images, a mapping (or a named tuple) of

- `pred_scores` (N, A, K): of each class at each of A places, 0 to 1 (with objectness multiplied in, where the
  detector has it); or `logits` (N, A, K), whose sigmoid that is;
- `pred_boxes` (N, A, 4): centre x, centre y, width and height as shares of the image's width and height.

A place is the same place in every image, so a disturbed output is compared with the clean one place by place, and
nothing is matched. What is read as a distribution is as in `limen.feature.tasks.detection`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limen import registry
from limen.curve import Interval
from limen.errors import InputError
from limen.feature.data.instances import Instances, f1_loss, overlaps, precision
from limen.feature.model import query_heads
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of, shapes_of

SHOWN = 0.25  # score from which on these detectors show what they found; their scores are lower than those of queries
LEAST = 0.001  # score from which on something counts for average precision
SAME = 0.5  # intersection over union from which on two boxes of a class are one object, found twice
MOST, CANDIDATES = 100, 1000  # objects of an image, and the best pairs of place and class that they are chosen from
SURE = 1e-6  # scores are kept so far from 0 and 1 that their logits are finite
_LARGEST = 4.0  # sides of the image: a box that is farther away is no share of it


@registry.add("task", "dense-detection")
class DenseDetectionTask:
    """Mean average precision at IoU .5 after suppression; KL of classes and boxes, anchor by anchor."""

    name = "dense-detection"
    score_name = "box mAP50"
    discrepancy_name = "KL of classes and boxes"
    drops: ClassVar[dict[str, str]] = {"1-f1": "1 - F1 of boxes against the clean output, at score .25 and IoU .5"}
    auto_class = "AutoModelForObjectDetection"
    needs: Literal["boxes"] = "boxes"
    compared_at = 1.0

    def __init__(self, classes: int = 0) -> None:
        self._classes = classes

    def of(self, network: Network) -> Self:
        """Return the task for a network, whose labels say how many classes there are."""
        return type(self)(len(network.labels))

    def outputs(self, returned: Any) -> Outputs:
        """Return {"logits": (N, A, K), "pred_boxes": (N, A, 4)}, boxes as centre and size in 0..1.

        Raises:
            InputError: the model returns no scores and boxes of anchors, or scores that lie outside 0..1.
        """
        named = outputs_of(returned)
        scores, logits, boxes = (named.get(name) for name in ("pred_scores", "logits", "pred_boxes"))
        found = logits if scores is None else scores
        if found is None or boxes is None or found.ndim != 3 or boxes.shape != (*found.shape[:2], 4):
            raise InputError(
                f"The head does not fit dense-detection: it gives {shapes_of(named)}, not pred_scores (N, anchors, "
                "classes) and pred_boxes (N, anchors, 4). Wrap the network in one whose forward returns these two."
            )
        if scores is not None:
            if bool((scores < 0).any() | (scores > 1).any()):
                raise InputError(
                    f"pred_scores lie between {float(scores.min()):.3g} and {float(scores.max()):.3g}; scores are 0 "
                    "to 1. Give their sigmoid, or call them logits."
                )
            found = scores.logit(SURE)
        return {"logits": found, "pred_boxes": boxes}

    def check(self, outputs: Outputs, targets: Sequence[Instances]) -> None:
        """Refuse other classes than the network names, boxes in px, and labels that are no class.

        Raises:
            InputError: one of these.
        """
        classes = outputs["logits"].shape[2]
        if classes != self._classes:
            raise InputError(
                f"The head gives {classes} scores an anchor and the network names {self._classes} classes. Give a "
                "factory that returns limen.feature.Network(model, labels=...), a name for each score, and leave "
                "'background' out of both."
            )
        largest = float(outputs["pred_boxes"].detach().abs().max())
        if largest > _LARGEST:
            raise InputError(
                f"pred_boxes reach {largest:.4g}, and they are shares of the image, about 0 to 1. Divide those in px "
                "by the image's width and height."
            )
        query_heads.refuse_unknown(targets, self._classes)

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return the KL divergence of the perturbed output from the clean one, in nats an image (ours).

        Over all anchors, KL of each class being there or not, plus `query_heads.presence` times the bounded KL of the
        boxes. An object counts as often as anchors find it. Anchors keep their places, so none are matched.
        """
        logits, boxes = _floats(clean)
        other, moved = _floats(perturbed)
        there = query_heads.presence(logits, one_class=False)
        classes = query_heads.divergence(logits, other, one_class=False)
        return (classes + there * query_heads.apart(boxes, moved)).sum(1)

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return scores whose squared gradients have the curvature of the discrepancy as mean.

        With random signs r: (p (1 - p))^(1/2) r in each logit, whose second moment is p (1 - p), the Fisher information
        of a class that is there or not; and presence^(1/2) r over the standard deviation in each number of a box. A
        class that is drawn would have the same mean, and a few large values among zeros: nearly all p are small.
        """
        logits, boxes = _floats(outputs)
        p, there = logits.detach().sigmoid(), query_heads.presence(logits, one_class=False)
        classes = (p * (1 - p)).sqrt() * _signs(p, source)
        places = there.sqrt()[..., None] / query_heads.spread(boxes.detach()) * _signs(boxes, source)
        return (classes * logits).sum((1, 2)) + (places * boxes).sum((1, 2))

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return 1 - F1 of each image, of what is left after suppression: see `limen.feature.data.instances.f1_loss`.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: "1-f1", the only one.
        """
        pairs = zip(_found(clean, SHOWN), _found(perturbed, SHOWN), strict=True)
        lost = [f1_loss(one, other, "boxes") for one, other in pairs]
        return torch.tensor(lost, dtype=torch.float32, device=clean["logits"].device)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return the largest logit of each class found in the clean image, summed: see `query_heads.evidence`."""
        return query_heads.evidence(outputs["logits"].float(), clean["logits"].float(), one_class=False)

    def answers(self, outputs: Outputs) -> list[Instances]:
        """Return what is left after suppression, at most `MOST`, of a score of `LEAST` or more."""
        return _found(outputs, LEAST)

    def scores(self, answers: Sequence[Instances], targets: Sequence[Instances]) -> dict[str, float]:
        """Return mAP50, and mAP50-95, COCO's first figure."""
        found = precision(answers, targets, "boxes")
        return {"score": found.map50, "map50_95": found.map50_95}

    def interval(self, answers: Sequence[Instances], targets: Sequence[Instances]) -> Interval | None:
        """Return None: mAP is no mean over images; its interval is over seeds."""
        return None


def unsuppressed(found: Instances) -> npt.NDArray[np.int64]:
    """Return which of the objects stay, best first, where of two of a class that overlap the better one stays.

    An object goes that overlaps by more than `SAME` with one of its class that stays (greedy non-maximum suppression).

    Args:
        found: with boxes, scores falling.
    """
    kept: list[int] = []
    for label in np.unique(found.labels):
        of_class = np.flatnonzero(found.labels == label)
        mine = _some(found, of_class)
        same = overlaps(mine, mine, "boxes") > SAME
        gone = np.zeros(len(mine), np.bool_)
        for place, number in enumerate(of_class):
            if not gone[place]:
                kept.append(int(number))
                gone |= same[place]
    return np.sort(np.array(kept, np.int64))


def _some(found: Instances, which: npt.NDArray[np.int64]) -> Instances:
    """Return some of the objects of an image, by their numbers."""
    assert found.boxes is not None
    return Instances(found.labels[which], found.scores[which], found.boxes[which])


@torch.no_grad()
def _found(outputs: Outputs, least: float) -> list[Instances]:
    """Return the objects with a score of `least` or more, suppressed on the CPU."""
    logits, boxes = _floats(outputs)
    return [_one(*row, least) for row in zip(logits.sigmoid().cpu(), boxes.cpu(), strict=True)]


def _one(scores: Tensor, boxes: Tensor, least: float) -> Instances:
    places, labels = torch.nonzero(scores >= least, as_tuple=True)
    values = scores[places, labels].double()
    order = values.argsort(descending=True, stable=True)[:CANDIDATES]
    taken = boxes[places[order]].double()
    centres, sides = taken[:, :2], taken[:, 2:]
    corners = torch.cat([centres - sides / 2, centres + sides / 2], 1)
    found = Instances(labels[order].numpy(), values[order].numpy(), corners.numpy())
    return _some(found, unsuppressed(found)[:MOST])


def _signs(like: Tensor, source: torch.Generator) -> Tensor:
    return 2 * torch.randint(0, 2, like.shape, generator=source).to(like) - 1


def _floats(outputs: Outputs) -> tuple[Tensor, Tensor]:
    return outputs["logits"].float(), outputs["pred_boxes"].float()
