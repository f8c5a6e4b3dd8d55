"""Embeddings: a vector for each image, of which the direction counts (image encoders of CLIP, SigLIP, DINO, ...).

Nothing needs to be known of the images: a disturbed vector is compared with the clean one of the same image. What it is
for is retrieval, so the score is how many images still find their own clean vector first among those of all images
of the set. That depends on the set: the more images and the more alike, the fewer. It is a score of a whole set
alone: as a loss of one image it would need a gallery that stands still while images are calibrated and tested.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from limen import registry
from limen.curve import Interval, Share
from limen.errors import InputError
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of, shapes_of

Vector = npt.NDArray[np.float32]
NAMES = ("image_embeds", "embedding", "pooler_output", "logits")  # of what a model returns; a lone tensor is "logits"
ROWS = 1024  # vectors that are compared with all others at once
ALIKE = 1e-6  # a cosine that is larger by less is rounding: images that are there twice find each other


@registry.add("task", "embedding")
class EmbeddingTask:
    """Share of the images that find their own clean vector first; 1 - cosine to the clean vector. Needs no labels."""

    name = "embedding"
    score_name = "self-retrieval"
    discrepancy_name = "1 - cosine"
    drops: ClassVar[dict[str, str]] = {"1-cosine": "1 - cosine to the clean vector"}
    auto_class = "AutoModel"
    needs: Literal["nothing"] = "nothing"
    compared_at = 0.05

    def of(self, network: Network) -> Self:
        """Return the task itself.

        Raises:
            InputError: the network is one of images and text, which takes more than images.
        """
        if hasattr(network.model, "get_image_features"):
            raise InputError(
                f"{network.name} is a network of images and text. Give its half for images: --model "
                "package.module:factory of a function that returns it, such as "
                "transformers.CLIPVisionModelWithProjection.from_pretrained(...)."
            )
        return self

    def outputs(self, returned: Any) -> Outputs:
        """Return {"embedding": (N, D)}: the output alone, or the first there is of `NAMES`.

        Raises:
            InputError: the model returns no vector of each image.
        """
        named = outputs_of(returned)
        found = next((named[name] for name in NAMES if name in named), None)
        if found is not None and found.ndim == 4 and found.shape[2:] == (1, 1):  # pooled maps
            found = found.flatten(1)
        if found is None or found.ndim != 2 or found.shape[1] < 2:
            raise InputError(
                f"The head does not fit embedding: it gives {shapes_of(named)}, not a vector (N, D) of each image. "
                "Wrap the network in one whose forward returns that alone."
            )
        return {"embedding": found}

    def check(self, outputs: Outputs, targets: Sequence[None]) -> None:
        """Refuse vectors without a direction.

        Raises:
            InputError: the vector of an image is zero.
        """
        none = int((outputs["embedding"] == 0).all(1).sum())
        if none:
            raise InputError(
                f"The vectors of {none} of {len(outputs['embedding'])} images are zero, so they have no direction. "
                "Check the images and how they are made ready."
            )

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return 1 - cosine to the clean vector: half the squared distance of the two on the unit sphere.

        It is the KL divergence between two von Mises-Fisher distributions about these directions, whose concentration
        k has k A(k) = 1 (A: their mean resultant length): not near zero alone, everywhere.
        """
        return (_unit(clean) - _unit(perturbed)).square().sum(1) / 2

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return scores whose squared gradients have the Fisher information of that distribution as mean.

        With random signs r and the direction u of a vector z, the gradient in z is (r - u (u . r)) / |z|: its second
        moment is (1 - u u') / |z|^2, the curvature of 1 - cosine.
        """
        directions = _unit(outputs)
        signs = 2 * torch.randint(0, 2, directions.shape, generator=source).to(directions) - 1
        return (signs * directions).sum(1)

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return 1 - cosine.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: "1-cosine", the only one.
        """
        return self.discrepancy(clean, perturbed)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return the cosine to the clean vector."""
        return (_unit(outputs) * _unit(clean)).sum(1)

    def answers(self, outputs: Outputs) -> list[Vector]:
        """Return the directions."""
        return list(_unit(outputs).detach().cpu().numpy())

    def scores(self, answers: Sequence[Vector], targets: Sequence[Vector]) -> dict[str, float]:
        """Return the share of the images that find themselves, and the mean cosine to their own clean vectors.

        Args:
            answers: directions, one an image.
            targets: the clean ones of the same images, in the same order.
        """
        found, cosines = _found(answers, targets)
        return {"score": found.value, "cosine": float(cosines.mean())}

    def interval(self, answers: Sequence[Vector], targets: Sequence[Vector]) -> Interval | None:
        """Return the Wilson interval, for this set of clean vectors."""
        return _found(answers, targets)[0].interval


def _found(answers: Sequence[Vector], targets: Sequence[Vector]) -> tuple[Share, Vector]:
    """Return how many of the vectors have none nearer than their own clean one, and their cosines to it."""
    vectors, gallery = np.stack(answers), np.stack(targets)
    own = (vectors * gallery).sum(1)
    rows = range(0, len(vectors), ROWS)
    nearest = np.concatenate([(vectors[start : start + ROWS] @ gallery.T).max(1) for start in rows])
    return Share(int((own >= nearest - ALIKE).sum()), len(vectors)), own


def _unit(outputs: Outputs) -> Tensor:
    return functional.normalize(outputs["embedding"].float(), dim=1)
