"""Semantic segmentation: one of K classes for each pixel. Checkpoints of transformers (SegFormer, UperNet, DPT, ...).

Logits are (N, K, h, w), of whatever stride the network has (SegFormer: 4 px a pixel of the logits). Targets are class
maps of the image's own size.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from limen import registry
from limen.curve import Interval, bootstrap
from limen.errors import InputError
from limen.feature.data.class_maps import IGNORED, ClassMap
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of, shapes_of

Counts = npt.NDArray[np.int64]


@registry.add("task", "semantic-segmentation")
class SemanticSegmentationTask:
    """Mean intersection over union of the classes; KL divergence from the clean output, mean over pixels."""

    name = "semantic-segmentation"
    score_name = "mIoU"
    discrepancy_name = "KL a pixel"
    drops: ClassVar[dict[str, str]] = {
        "kl": "KL from the clean output, in nats, mean over pixels",
        "changed": "share of the pixels whose class changed",
        "1-miou": "1 - mIoU against the clean output",
    }
    auto_class = "AutoModelForSemanticSegmentation"
    needs: Literal["pixels"] = "pixels"
    compared_at = 0.05

    def of(self, network: Network) -> Self:
        """Return the task itself."""
        return self

    def outputs(self, returned: Any) -> Outputs:
        """Return {"logits": (N, K, h, w)}, of an output called "logits" or "out" (torchvision's name).

        Raises:
            InputError: the model returns no logits of classes for pixels.
        """
        named = outputs_of(returned)
        logits = named.get("logits", named.get("out"))
        if logits is None or logits.ndim != 4 or logits.shape[1] < 2:
            single = logits is not None and logits.ndim == 4
            remedy = (
                "Give the other class a channel of zeros: torch.cat([0 * logits, logits], 1)"
                if single
                else "Give another --task, or a network that gives each pixel a class"
            )
            raise InputError(
                f"The head does not fit semantic-segmentation: it gives {shapes_of(named)}, not logits (N, classes, "
                f"height, width) of two classes or more. {remedy}."
            )
        return {"logits": logits}

    def check(self, outputs: Outputs, targets: Sequence[ClassMap]) -> None:
        """Refuse labels that are no class of the network.

        Raises:
            InputError: a class map holds a number that is none of the network's classes and does not stand for none.
        """
        classes = outputs["logits"].shape[1]
        found = sorted({int(number) for target in targets for number in np.unique(target)})
        strange = [number for number in found if number >= classes and number != IGNORED]
        if strange:
            counted = (
                " Maps that count from 1, 0 being no class (as ADE20K's), are for a factory that returns "
                "limen.feature.Network(model, zero_unlabelled=True)."
                if strange == [classes]
                else ""
            )
            raise InputError(
                f"Class maps hold {strange[0]}, and the network knows classes 0 to {classes - 1} ({IGNORED} is no "
                f"class). Give the data it was trained for.{counted}"
            )

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return KL(clean || perturbed) in nats a pixel: the mean over the pixels of the logits.

        A sum would be sixteen times as large for the same network with its logits at the size of the image.
        """
        p, q = clean["logits"].float().log_softmax(1), perturbed["logits"].float().log_softmax(1)
        apart = functional.kl_div(q, p, reduction="none", log_target=True).sum(1).clamp_min(0)
        return apart.mean((1, 2))

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return scores whose squared gradients have the Fisher information of the mean over pixels as mean.

        In each pixel as `limen.feature.tasks.classification` has it, over the root of the number of pixels.
        """
        logits = outputs["logits"].float()
        p = logits.detach().softmax(1)
        drawn = p.sqrt() * (2 * torch.randint(0, 2, p.shape, generator=source).to(p) - 1)
        pixels: int = logits[0, 0].numel()
        slopes = (drawn - p * drawn.sum(1, keepdim=True)) / math.sqrt(pixels)
        return (slopes * logits).sum((1, 2, 3))

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return the mean KL of the pixels, the share of them that changed, or 1 - mIoU against the clean classes.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: "kl", "changed" or "1-miou" (mean over the classes that either output has in the image).
        """
        if kind == "changed":
            return (_classes(clean) != _classes(perturbed)).float().mean((1, 2))
        if kind == "1-miou":
            size = clean["logits"].shape[1]
            pairs = zip(_arrays(clean), _arrays(perturbed), strict=True)
            lost = [1 - mean_overlap(*overlap(other, one, size)) for one, other in pairs]
            return torch.tensor(lost, dtype=torch.float32, device=clean["logits"].device)
        return self.discrepancy(clean, perturbed)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return the logit of each pixel's clean class, mean over pixels."""
        return outputs["logits"].gather(1, clean["logits"].argmax(1, keepdim=True)).mean((1, 2, 3))

    def answers(self, outputs: Outputs) -> list[ClassMap]:
        """Return the class of each pixel of the logits."""
        return _arrays(outputs)

    def scores(self, answers: Sequence[ClassMap], targets: Sequence[ClassMap]) -> dict[str, float]:
        """Return mIoU, and the share of the pixels that are right, all images together.

        Intersections and unions of a class are summed over the images; classes that are neither there nor found do
        not count. An answer is brought to its target's size (nearest pixel).

        Raises:
            InputError: no pixel of any target has a class.
        """
        shared, either = _counts(answers, targets)
        labelled = sum(int((target != IGNORED).sum()) for target in targets)
        if not labelled:
            raise InputError(f"No pixel of {len(targets)} class maps has a class. Give maps of classes.")
        return {
            "score": mean_overlap(shared.sum(0), either.sum(0)),
            "pixel_accuracy": float(shared.sum() / labelled),
        }

    def interval(self, answers: Sequence[ClassMap], targets: Sequence[ClassMap]) -> Interval | None:
        """Return the bootstrap interval of mIoU over images."""
        shared, either = _counts(answers, targets)
        order = np.lexsort(np.concatenate([shared, either], 1).T)  # so that nothing depends on the images' order
        shared, either = shared[order], either[order]
        count = len(shared)

        def statistic(chosen: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            rows = chosen.reshape(-1, chosen.shape[-1]).astype(np.int64)
            times = np.stack([np.bincount(row, minlength=count) for row in rows]).astype(np.float64)
            inside, united = times @ shared, times @ either
            each = np.divide(inside, united, out=np.full(inside.shape, np.nan), where=united > 0)
            means: npt.NDArray[np.float64] = np.nanmean(each, 1).reshape(chosen.shape[:-1])
            return means

        alike = (shared == shared[0]).all() and (either == either[0]).all()
        if alike or not either.any(1).all():  # an image without any class could be drawn alone
            return None
        return bootstrap(range(count), statistic)


def overlap(found: ClassMap, truth: ClassMap, classes: int) -> tuple[Counts, Counts]:
    """Return the pixels of intersection and of union of each class, (K,) each.

    Args:
        found: classes, brought to the size of `truth` by the nearest pixel.
        truth: classes, `IGNORED` where there is none: these pixels do not count.
        classes: K.
    """
    if found.shape != truth.shape:
        rows, columns = (
            ((np.arange(wanted) + 0.5) * given / wanted).astype(int)
            for given, wanted in zip(found.shape, truth.shape, strict=True)
        )
        found = found[rows[:, None], columns[None]]
    known = truth != IGNORED
    found, truth = found[known], truth[known]
    shared = np.bincount(truth[found == truth], minlength=classes)
    either = np.bincount(truth, minlength=classes) + np.bincount(found, minlength=classes) - shared
    return shared, either


def mean_overlap(shared: Counts, either: Counts) -> float:
    """Return the mean over classes of intersection over union, classes without a union left out; 1 without any."""
    there = either > 0
    return float((shared[there] / either[there]).mean()) if there.any() else 1.0


def _counts(answers: Sequence[ClassMap], targets: Sequence[ClassMap]) -> tuple[Counts, Counts]:
    """Return intersections and unions, (N, K) each; K is the largest class that is there or found."""
    classes = 1 + max(
        max(int(answer.max()) for answer in answers),
        max((int(target[target != IGNORED].max()) for target in targets if (target != IGNORED).any()), default=0),
    )
    pairs = [overlap(answer, target, classes) for answer, target in zip(answers, targets, strict=True)]
    return np.stack([shared for shared, _ in pairs]), np.stack([either for _, either in pairs])


def _classes(outputs: Outputs) -> Tensor:
    return outputs["logits"].argmax(1)


def _arrays(outputs: Outputs) -> list[ClassMap]:
    """Return the classes of each image, uint8 where they fit."""
    kind = torch.uint8 if outputs["logits"].shape[1] <= IGNORED else torch.int16
    return list(_classes(outputs).to(kind).cpu().numpy())
