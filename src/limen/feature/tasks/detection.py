"""Detection: boxes with classes. Any object-detection checkpoint of transformers that gives queries.

The output is read as a distribution, so that discrepancy and Fisher information belong together (ours): each query has
classes, and, as far as it is an object, a box, normally distributed about the one predicted, with standard deviations
of `query_heads.SPREAD` of the clean box's width (x) and height (y).
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from limen import registry
from limen.curve import Interval
from limen.errors import InputError
from limen.feature.data.instances import FOUND, Instances, f1_loss, precision
from limen.feature.model import query_heads
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of, shapes_of


@registry.add("task", "detection")
class DetectionTask:
    """Mean average precision at IoU .5; Kullback-Leibler divergence of classes and boxes, queries matched."""

    name = "detection"
    score_name = "box mAP50"
    discrepancy_name = "KL of classes and boxes"
    drops: ClassVar[dict[str, str]] = {"1-f1": "1 - F1 of boxes against the clean output, at score .5 and IoU .5"}
    auto_class = "AutoModelForObjectDetection"
    needs: Literal["boxes"] = "boxes"
    compared_at = 1.0

    def __init__(self, classes: int = 0) -> None:
        self._classes = classes

    def of(self, network: Network) -> Self:
        """Return the task for a network, whose labels say how many classes there are."""
        return type(self)(len(network.labels))

    def outputs(self, returned: Any) -> Outputs:
        """Return {"logits": (N, Q, K) or (N, Q, K + 1), "pred_boxes": (N, Q, 4)}, boxes as centre and size in 0..1.

        Raises:
            InputError: the model returns no logits and boxes of queries.
        """
        named = outputs_of(returned)
        logits, boxes = named.get("logits"), named.get("pred_boxes")
        if logits is None or boxes is None or logits.ndim != 3 or boxes.shape != (*logits.shape[:2], 4):
            raise InputError(
                f"The head does not fit detection: it gives {shapes_of(named)}, "
                "not logits (N, queries, classes) and pred_boxes "
                "(N, queries, 4). Give another --task, or a detector that gives queries (DETR, YOLOS, RT-DETR, ...)."
            )
        return {"logits": logits, "pred_boxes": boxes}

    def check(self, outputs: Outputs, targets: Sequence[Instances]) -> None:
        """Refuse a head with other classes than the network names, and labels that are none of them.

        Raises:
            InputError: the head has another number of classes than the network names, or a label is none of them.
        """
        query_heads.exclusive(outputs["logits"], self._classes)
        query_heads.refuse_unknown(targets, self._classes)

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return the KL divergence of the perturbed output from the clean one, in nats an image.

        Over queries, KL of the classes, plus `query_heads.presence` times KL of the boxes, D, bounded as
        D / (1 + D / 10): a box that lies elsewhere is no worse for being farther away. Detectors order their queries
        anew under noise (RT-DETR picks the best places of its maps), so perturbed queries are assigned to clean ones in
        the way that makes the sum smallest, on costs without gradient. All of this is ours.
        """
        logits, boxes = _floats(clean)
        other, moved = _floats(perturbed)
        with torch.no_grad():
            images = zip(logits, boxes, other, moved, strict=True)
            order = torch.stack(
                [query_heads.assigned(self._cost(a[:, None], b[:, None], c, d)) for a, b, c, d in images]
            )
        other, moved = (value.gather(1, order[..., None].expand(-1, -1, value.shape[2])) for value in (other, moved))
        return self._cost(logits, boxes, other, moved).sum(1)

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return the log-likelihood of classes and boxes drawn from the outputs; see `query_heads.drawn`."""
        logits, boxes = _floats(outputs)
        likely, there = query_heads.drawn(logits, self._one_class(logits), source)
        noise = torch.randn(boxes.shape, generator=source, dtype=torch.float32).to(boxes)
        away = noise + (boxes.detach() - boxes) / query_heads.spread(boxes.detach())
        return (likely - there * away.square().sum(-1) / 2).sum(1)

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return 1 - F1 of each image: see `limen.feature.data.instances.f1_loss`.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: "1-f1", the only one.
        """
        pairs = zip(self.answers(clean), self.answers(perturbed), strict=True)
        lost = [f1_loss(one.best(FOUND), other.best(FOUND), "boxes") for one, other in pairs]
        return torch.tensor(lost, dtype=torch.float32, device=clean["logits"].device)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return the largest logit of each class found in the clean image, summed: see `query_heads.evidence`."""
        logits, _ = _floats(outputs)
        return query_heads.evidence(logits, clean["logits"].float(), self._one_class(logits))

    def answers(self, outputs: Outputs) -> list[Instances]:
        """Return what was found, as many as there are queries, whatever the score."""
        logits, boxes = _floats(outputs)
        scores, labels, chosen = query_heads.best(logits.detach(), self._one_class(logits))
        taken = boxes.detach().double().gather(1, chosen[..., None].expand(-1, -1, 4))
        centres, sides = taken[..., :2], taken[..., 2:]
        corners = torch.cat([centres - sides / 2, centres + sides / 2], -1)
        columns = (labels.cpu().numpy(), scores.double().cpu().numpy(), corners.cpu().numpy())
        return [Instances(*row) for row in zip(*columns, strict=True)]

    def scores(self, answers: Sequence[Instances], targets: Sequence[Instances]) -> dict[str, float]:
        """Return mAP50, and mAP50-95, COCO's first figure."""
        found = precision(answers, targets, "boxes")
        return {"score": found.map50, "map50_95": found.map50_95}

    def interval(self, answers: Sequence[Instances], targets: Sequence[Instances]) -> Interval | None:
        """Return None: mAP is no mean over images; its interval is over seeds."""
        return None

    def _one_class(self, logits: Tensor) -> bool:
        return query_heads.exclusive(logits, self._classes)

    def _cost(self, logits: Tensor, boxes: Tensor, other: Tensor, moved: Tensor) -> Tensor:
        """Return KL of queries (..., C), (..., 4) from others; the leading dimensions broadcast."""
        one_class = self._one_class(logits)
        there = query_heads.presence(logits, one_class)
        return query_heads.divergence(logits, other, one_class) + there * query_heads.apart(boxes, moved)


def _floats(outputs: Outputs) -> tuple[Tensor, Tensor]:
    return outputs["logits"].float(), outputs["pred_boxes"].float()
