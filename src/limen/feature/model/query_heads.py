"""What the queries of detectors and segmenters say of classes, whatever else they give.

Logits are (N, Q, C). Where classes exclude each other, the last is "no object" (DETR, YOLOS, Mask2Former), and a query
has one of all. Where they do not (RT-DETR, Deformable DETR), it answers for each class by itself, and is an object as
likely as its likeliest class is there.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from limen.errors import InputError
from limen.feature.data.instances import FOUND, Instances

SPREAD = 0.1  # of a box's side: moved by a third of its width (IoU .5) a box costs 3.6 nats
FARTHEST = 10.0  # nats that a box costs which lies elsewhere
SMALLEST = 0.01  # share of the image that a box's side counts as, if it is less
_FAR = 1e9  # nats: what a cost that is not finite counts as


def exclusive(logits: Tensor, classes: int) -> bool:
    """Whether the classes exclude each other, the last being "no object".

    Raises:
        InputError: the logits are of another number of classes than the network names.
    """
    extra = logits.shape[-1] - classes
    if extra not in (0, 1):
        raise InputError(
            f"The head gives {logits.shape[-1]} logits a query and the network names {classes} classes: there should "
            f"be {classes}, or one more for no object. Give a checkpoint whose id2label fits, or Network(..., labels)."
        )
    return extra == 1


def divergence(logits: Tensor, other: Tensor, one_class: bool) -> Tensor:
    """Return the KL divergence of each query's classes, in nats; dimensions before the last broadcast.

    Args:
        logits: (..., C) of the undisturbed features.
        other: (..., C) of disturbed ones.
        one_class: whether classes exclude each other.
    """
    if one_class:
        p, q = logits.log_softmax(-1), other.log_softmax(-1)
        return (p.exp() * (p - q)).sum(-1).clamp_min(0)
    p, q, not_p, not_q = (functional.logsigmoid(one) for one in (logits, other, -logits, -other))
    return (p.exp() * (p - q) + not_p.exp() * (not_p - not_q)).sum(-1).clamp_min(0)


def presence(logits: Tensor, one_class: bool) -> Tensor:
    """Return how much the box or mask of each query counts (...), 0 to 1, without gradient (ours).

    It is p^2 / (p^2 + (1 - p)^2), where p is the query's chance to be an object: the chance that two draws which agree
    say so. A detector's many queries of small p, whose boxes lie anywhere, would otherwise outweigh what it finds.
    """
    logits = logits.detach()
    p = 1 - logits.softmax(-1)[..., -1] if one_class else logits.amax(-1).sigmoid()
    return p.square() / (p.square() + (1 - p).square())


def apart(boxes: Tensor, moved: Tensor) -> Tensor:
    """Return the bounded KL divergence D / (1 + D / `FARTHEST`) of boxes (..., 4) as normal distributions, in nats.

    Args:
        boxes: centre and size of the clean ones, as shares of the image.
        moved: of the others; dimensions before the last broadcast.
    """
    far = ((boxes - moved) / spread(boxes)).square().sum(-1) / 2
    return far / (1 + far / FARTHEST)


def spread(boxes: Tensor) -> Tensor:
    """Return the standard deviations of centre and size (..., 4) of boxes (..., 4)."""
    return SPREAD * boxes[..., [2, 3, 2, 3]].clamp_min(SMALLEST)


def drawn(logits: Tensor, one_class: bool, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the log-likelihood (N, Q) of classes drawn from the logits (N, Q, C), and presence drawn as 0 or 1.

    Args:
        logits: (N, Q, C) of Q queries and C classes.
        one_class: whether a query has one class (softmax, the last one is "nothing") or each class its own sigmoid.
        source: of random numbers, on the CPU.
    """
    there = torch.bernoulli(presence(logits, one_class).cpu(), generator=source).to(logits)
    if one_class:
        logarithms = logits.log_softmax(-1)
        chances = logarithms.detach().exp().flatten(0, 1).cpu()
        chosen = torch.multinomial(chances, 1, generator=source).view(*logits.shape[:2], 1)
        return logarithms.gather(-1, chosen.to(logits.device))[..., 0], there
    chosen = torch.bernoulli(logits.detach().sigmoid().cpu(), generator=source).to(logits)
    likely = chosen * functional.logsigmoid(logits) + (1 - chosen) * functional.logsigmoid(-logits)
    return likely.sum(-1), there


def best(logits: Tensor, one_class: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, labels and queries, (N, Q) each, best first, as the image processors of transformers choose them.

    The likeliest class of each query; or, of classes that do not exclude each other, the likeliest pairs of query and
    class, as many as there are queries.
    """
    if one_class:
        scores, labels = logits.softmax(-1)[..., :-1].max(-1)
        scores, queries = scores.sort(dim=1, descending=True, stable=True)
        return scores, labels.gather(1, queries), queries
    scores, pairs = logits.sigmoid().flatten(1).sort(dim=1, descending=True, stable=True)
    scores, pairs = scores[:, : logits.shape[1]], pairs[:, : logits.shape[1]]
    return scores, pairs % logits.shape[2], pairs // logits.shape[2]


def evidence(logits: Tensor, clean: Tensor, one_class: bool) -> Tensor:
    """Return (N,): over the classes found in the clean logits, the sum of the largest logit among the queries.

    Found is what has a query with a score of `FOUND` or more; the likeliest class where there is none.

    Args:
        logits: (N, Q, C), with a gradient.
        clean: (N, Q, C) of the undisturbed features.
        one_class: whether a query has one class (softmax, the last one is "nothing") or each class its own sigmoid.
    """
    scores = (clean.softmax(-1)[..., :-1] if one_class else clean.sigmoid()).amax(1)
    found = scores >= torch.minimum(scores.amax(1, keepdim=True), torch.full_like(scores[:, :1], FOUND))
    return (logits.amax(1)[:, : found.shape[1]] * found).sum(1)


def assigned(cost: Tensor) -> Tensor:
    """Return, for each row of costs (Q, Q), its column in the cheapest assignment (Hungarian method)."""
    finite = cost.nan_to_num(_FAR, _FAR, _FAR).clamp_max(_FAR)
    return torch.from_numpy(linear_sum_assignment(finite.cpu().numpy())[1]).to(cost.device)


def refuse_unknown(targets: Sequence[Instances], classes: int) -> None:
    """Raise `InputError` for labels that are no class of the network."""
    labels = np.concatenate([np.zeros(0, np.int64), *(target.labels for target in targets)])
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise InputError(
            f"{len(wrong)} of {len(labels)} objects have labels out of range, such as {wrong[0]}: the network knows "
            f"classes 0 to {classes - 1}. Give the data it was trained for."
        )
