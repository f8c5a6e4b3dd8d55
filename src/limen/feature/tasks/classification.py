"""Classification: one of K classes an image."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

from limen import registry
from limen.curve import Interval, Share
from limen.errors import InputError
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of, shapes_of


@registry.add("task", "classification")
class ClassificationTask:
    """Top-1 accuracy; Kullback-Leibler divergence from the clean class distribution."""

    name = "classification"
    score_name = "top-1 accuracy"
    discrepancy_name = "KL"
    drops: ClassVar[dict[str, str]] = {
        "kl": "KL from the clean output, in nats",
        "top1": "1 where the top class changed, else 0",
    }
    auto_class = "AutoModelForImageClassification"
    needs: Literal["class"] = "class"
    compared_at = 0.1

    def of(self, network: Network) -> Self:
        """Return the task itself."""
        return self

    def outputs(self, returned: Any) -> Outputs:
        """Return {"logits": (N, K)}.

        Raises:
            InputError: the model returns no logits of classes.
        """
        named = outputs_of(returned)
        logits = named.get("logits")
        if logits is None or logits.ndim != 2 or logits.shape[1] < 2 or "pred_boxes" in named:
            several = isinstance(returned, tuple | list)
            remedy = (
                "Wrap the network in one whose forward returns the logits alone: return self.network(images)[0]"
                if several
                else "Give another --task, or a network with a classifier"
            )
            raise InputError(
                f"The head does not fit classification: it gives {shapes_of(named)}, not logits (N, classes). {remedy}."
            )
        return {"logits": logits}

    def check(self, outputs: Outputs, targets: Sequence[int]) -> None:
        """Refuse labels that are no class of the network.

        Raises:
            InputError: a label is none of the network's classes.
        """
        classes = outputs["logits"].shape[1]
        wrong = [target for target in targets if not 0 <= target < classes]
        if wrong:
            raise InputError(
                f"{len(wrong)} of {len(targets)} labels are out of range, such as {wrong[0]}: the network knows "
                f"classes 0 to {classes - 1}. Give the data it was trained for."
            )

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return KL(clean || perturbed) in nats."""
        p, q = clean["logits"].float().log_softmax(1), perturbed["logits"].float().log_softmax(1)
        return functional.kl_div(q, p, reduction="none", log_target=True).sum(1).clamp_min(0)

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return scores whose squared gradients have the mean of those of log p of a class drawn from p itself.

        With random signs r, the gradient in the logits is p^(1/2) r - p (p^(1/2) . r): its second moment is
        diag(p) - p p', the Fisher information of the logits, as it is for a drawn class. It varies far less: where the
        network is sure, a drawn class is nearly always the same and its gradient nearly 0, but for rare large ones.
        """
        logits = outputs["logits"].float()
        p = logits.detach().softmax(1)
        signs = 2 * torch.randint(0, 2, p.shape, generator=source).to(p) - 1
        drawn = p.sqrt() * signs
        return ((drawn - p * drawn.sum(1, keepdim=True)) * logits).sum(1)

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return KL, or whether the top class changed.

        Args:
            clean: logits (N, C) for the undisturbed features.
            perturbed: logits (N, C) for disturbed features.
            kind: "kl" or "top1".
        """
        if kind == "top1":
            return (clean["logits"].argmax(1) != perturbed["logits"].argmax(1)).float()
        return self.discrepancy(clean, perturbed)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return the logit of the clean output's top class."""
        return outputs["logits"].gather(1, clean["logits"].argmax(1, keepdim=True))[:, 0]

    def answers(self, outputs: Outputs) -> list[int]:
        """Return the top classes."""
        return [int(label) for label in outputs["logits"].argmax(1)]

    def scores(self, answers: Sequence[int], targets: Sequence[int]) -> dict[str, float]:
        """Return top-1 accuracy alone."""
        return {"score": self._share(answers, targets).value}

    def interval(self, answers: Sequence[int], targets: Sequence[int]) -> Interval | None:
        """Return the Wilson interval."""
        return self._share(answers, targets).interval

    def _share(self, answers: Sequence[int], targets: Sequence[int]) -> Share:
        right = sum(answer == target for answer, target in zip(answers, targets, strict=True))
        return Share(right, len(targets))
