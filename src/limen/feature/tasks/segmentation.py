"""Instance segmentation: masks with classes. Checkpoints of transformers for universal segmentation.

Mask2Former, MaskFormer, EoMT, and DETR with masks give logits of a class and of a mask for each query. Masks are
looked at enlarged by `STRIDE`, the size of the image that these networks see.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

from limen import registry
from limen.curve import Interval
from limen.errors import InputError
from limen.feature.data.instances import FOUND, Instances, encoded, f1_loss, precision
from limen.feature.model import query_heads
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of, shapes_of

STRIDE = 4  # px of the image a cell of the mask
WEIGHT = 10.0  # nats that a wholly wrong mask costs: overlap of one half costs 3.3
_AUXILIARY = {"maskformer": False, "mask2former": True}  # otherwise transformers 5 gives no logits without labels
CLASSES, MASKS = "class_queries_logits", "masks_queries_logits"


@registry.add("task", "segmentation")
class SegmentationTask:
    """Mean average precision of masks at IoU .5; divergence of classes, and dice of masks, query by query."""

    name = "segmentation"
    score_name = "mask mAP50"
    discrepancy_name = "KL of classes and dice of masks"
    drops: ClassVar[dict[str, str]] = {"1-f1": "1 - F1 of masks against the clean output, at score .5 and IoU .5"}
    auto_class = "AutoModelForUniversalSegmentation"
    needs: Literal["masks"] = "masks"
    compared_at = 1.0

    def __init__(self, classes: int = 0) -> None:
        self._classes = classes

    def of(self, network: Network) -> Self:
        """Return the task for a network, whose labels say how many classes there are."""
        config: Any = getattr(network.model, "config", None)
        if getattr(config, "model_type", "") in _AUXILIARY:
            config.use_auxiliary_loss = _AUXILIARY[config.model_type]
        return type(self)(len(network.labels))

    def outputs(self, returned: Any) -> Outputs:
        """Return {"class_queries_logits": (N, Q, K + 1), "masks_queries_logits": (N, Q, h, w)}.

        Raises:
            InputError: the model returns no logits and masks of queries.
        """
        named = outputs_of(returned)
        logits, masks = named.get(CLASSES, named.get("logits")), named.get(MASKS, named.get("pred_masks"))
        fit = logits is not None and masks is not None and logits.ndim == 3 and masks.ndim == 4
        if logits is None or masks is None or not fit or masks.shape[:2] != logits.shape[:2]:
            raise InputError(
                f"The head does not fit segmentation: it gives {shapes_of(named)}, "
                f"not {CLASSES} (N, queries, classes + 1) and "
                f"{MASKS} (N, queries, h, w). Give another --task, or Mask2Former, MaskFormer or the like."
            )
        return {CLASSES: logits, MASKS: masks}

    def check(self, outputs: Outputs, targets: Sequence[Instances]) -> None:
        """Refuse a head with other classes than the network names, and labels that are none of them.

        Raises:
            InputError: the head has another number of classes than the network names, or a label is none of them.
        """
        if not query_heads.exclusive(outputs[CLASSES], self._classes):
            raise InputError(
                f"The head gives {self._classes} logits a query for {self._classes} classes: segmentation needs one "
                "more, for no object. Give Mask2Former, MaskFormer or the like."
            )
        query_heads.refuse_unknown(targets, self._classes)

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return how far the output moved, in nats an image (ours).

        Over queries, KL of the classes, plus `query_heads.presence` times `WEIGHT` times the dice distance of the masks
        in its squared form (Milletari et al. 2016), sum (p - q)^2 / (sum p^2 + sum q^2 + 1), which is 0 for equal soft
        masks.
        The queries of these networks are parameters, so each is compared with itself.
        """
        logits, masks = _floats(clean)
        other, moved = _floats(perturbed)
        p, q = masks.sigmoid(), moved.sigmoid()
        apart = (p - q).square().sum((2, 3)) / (p.square().sum((2, 3)) + q.square().sum((2, 3)) + 1)
        classes = query_heads.divergence(logits, other, one_class=True)
        return (classes + query_heads.presence(logits, one_class=True) * WEIGHT * apart).sum(1)

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return the log-likelihood of classes and masks drawn from the outputs; see `query_heads.drawn`.

        A mask is drawn normally about the one predicted, with the variance (sum p^2 + 1/2) / `WEIGHT` at which small
        changes cost what they cost in `discrepancy`.
        """
        logits, masks = _floats(outputs)
        likely, there = query_heads.drawn(logits, True, source)
        p = masks.sigmoid()
        spread = ((p.detach().square().sum((2, 3), keepdim=True) + 0.5) / WEIGHT).sqrt()
        away = torch.randn(p.shape, generator=source, dtype=torch.float32).to(p) + (p.detach() - p) / spread
        return (likely - there * away.square().sum((2, 3)) / 2).sum(1)

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return 1 - F1 of each image: see `limen.feature.data.instances.f1_loss`.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: "1-f1", the only one.
        """
        pairs = zip(_found(clean, FOUND), _found(perturbed, FOUND), strict=True)
        lost = [f1_loss(one, other, "masks") for one, other in pairs]
        return torch.tensor(lost, dtype=torch.float32, device=clean[CLASSES].device)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return the logits of classes (`query_heads.evidence`) and masks found in the clean image.

        A query whose best class has a chance of `FOUND` or more counts with its mean mask logit inside its clean mask.
        """
        logits, masks = _floats(outputs)
        known, drawn = _floats(clean)
        there = known.softmax(-1)[..., :-1].amax(-1) >= FOUND
        inside = (drawn > 0) & there[..., None, None]
        certain = (masks * inside).sum((2, 3)) / inside.sum((2, 3)).clamp_min(1)
        return query_heads.evidence(logits, known, one_class=True) + certain.sum(1)

    def answers(self, outputs: Outputs) -> list[Instances]:
        """Return what was found, one of each query whose mask is not empty, whatever the score."""
        return _found(outputs, 0.0)

    def scores(self, answers: Sequence[Instances], targets: Sequence[Instances]) -> dict[str, float]:
        """Return mAP50, and mAP50-95, COCO's first figure."""
        found = precision(answers, targets, "masks")
        return {"score": found.map50, "map50_95": found.map50_95}

    def interval(self, answers: Sequence[Instances], targets: Sequence[Instances]) -> Interval | None:
        """Return None: mAP is no mean over images; its interval is over seeds."""
        return None


def _floats(outputs: Outputs) -> tuple[Tensor, Tensor]:
    return outputs[CLASSES].float(), outputs[MASKS].float()


@torch.no_grad()
def _found(outputs: Outputs, least: float) -> list[Instances]:
    """Return the objects with a score of `least` or more: the class's chance times the mask's mean chance inside."""
    logits, masks = _floats(outputs)
    chances, labels, chosen = query_heads.best(logits, one_class=True)
    inside = masks > 0
    sure = (masks.sigmoid() * inside).sum((2, 3)) / inside.sum((2, 3)).clamp_min(1)
    scores = chances.double() * sure.gather(1, chosen)
    return [_one(*row, least) for row in zip(scores, labels, chosen, masks, strict=True)]


def _one(scores: Tensor, labels: Tensor, chosen: Tensor, masks: Tensor, least: float) -> Instances:
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= least]
    scores, labels, masks = scores[order], labels[order], masks[chosen[order]]
    if len(masks):
        masks = functional.interpolate(masks[None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[0]
    drawn = masks > 0
    there = drawn.flatten(1).any(1)
    return Instances(
        labels[there].cpu().numpy(),
        scores[there].cpu().numpy(),
        masks=encoded(drawn[there].cpu().numpy()),
    )
