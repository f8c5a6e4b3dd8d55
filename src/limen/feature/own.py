"""A task of your own, made of two functions: what a disturbed output loses, and how good a set of answers is.

    from limen import feature

    def loss(clean, perturbed):  # (N, ...) each -> (N,), 0 where nothing moved
        return (clean - perturbed).square().mean((1, 2, 3))

    def score(answers, clean):   # one each an image -> a number, larger is better
        return -float(np.mean([np.abs(a - b).mean() for a, b in zip(answers, clean)]))

    depth = feature.own_task(loss=loss, score=score, name="depth")

On the command line it is `--task package.module:depth`; so is any object with what `limen.feature.task.Task` asks for.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import torch
from torch import Tensor

from limen import digest, function_digest
from limen.checkpoint import line
from limen.curve import Interval
from limen.errors import InputError, LimenError
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs, outputs_of

Loss = Callable[[Any, Any], Tensor]
Score = Callable[[Sequence[Any], Sequence[Any]], float]
Needs = Literal["class", "boxes", "masks", "pixels", "nothing"]

STEPS = 24  # of Lanczos' method: exact where the outputs of a sample have no more than so many numbers
NOTHING = 1e-4  # a loss that is larger where nothing moved is no loss
TRIED = 0.1  # standard deviations by which outputs are moved to try a loss


def own_task(
    loss: Loss,
    score: Score,
    *,
    answer: Callable[[Any], Any] | None = None,
    name: str = "own",
    score_name: str = "score",
    loss_name: str = "loss",
    needs: Needs = "nothing",
    compared_at: float = 0.1,
) -> "OwnTask":
    """Return a task made of a loss and a score.

    Args:
        loss: takes the clean output and a disturbed one, for N samples each, and returns (N,): differentiable in the
            second, at least 0, and 0 where both are the same; of each sample by itself. An output is the tensor that
            the network returns, (N, ...); of a network that returns several, a mapping of them by name. It is the drop
            that calibration bounds, too.
        score: takes the answers of a set of images and their targets, and returns a number, larger is better.
        answer: takes the output for one sample, without the first dimension, and returns what `score` needs of it; if
            not given, the output itself as arrays. Answers of all images are kept at once, so that large outputs should
            be made small here.
        name: as tables call the task.
        score_name: as tables call the score.
        loss_name: as tables call the loss.
        needs: what data must say of an image, and so what targets are: see `limen.feature.task.Task`. "nothing" takes
            any folder of images, and the targets are the answers of the undisturbed network.
        compared_at: the loss at which kinds of steps are compared in bits: felt, but not much.

    Raises:
        InputError: a loss to compare at that is not above 0.

    Examples:
        >>> from limen import feature
        >>> task = feature.own_task(
        ...     loss=lambda clean, other: (clean - other).square().mean(1),
        ...     score=lambda answers, clean: -sum(float(abs(a - b).max()) for a, b in zip(answers, clean)),
        ... )
        >>> task.drops
        {'loss': 'loss'}
    """
    if not 0 < compared_at < math.inf:
        raise InputError(f"compared_at is a loss above 0, not {compared_at}. Give one that is felt, but not much.")
    return OwnTask(loss, score, answer, name, score_name, loss_name, needs, compared_at)


@dataclass
class OwnTask:
    """See `own_task`."""

    loss: Loss
    score: Score
    answer: Callable[[Any], Any] | None
    name: str
    score_name: str
    discrepancy_name: str
    needs: Needs
    compared_at: float
    auto_class: str = "AutoModel"
    drops: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Call the only drop as the loss is called."""
        self.drops = {"loss": self.discrepancy_name}

    @property
    def digest(self) -> str:
        """What stands for the functions; "" where one depends on what cannot be told from its source, such as a model.

        A run goes on with the same functions only.
        """
        try:
            return digest.of([function_digest.of_function(one) for one in (self.loss, self.score, self.answer) if one])
        except InputError:
            return ""

    def of(self, network: Network) -> Self:
        """Return the task itself."""
        return self

    def outputs(self, returned: Any) -> Outputs:
        """Return all float tensors by name; a lone one is "logits"."""
        return outputs_of(returned)

    def check(self, outputs: Outputs, targets: Sequence[Any]) -> None:
        """Try the loss and the answers on these outputs.

        Raises:
            InputError: a function raises, or the loss is not 0 where nothing moved, negative, not finite, without a
                gradient, or another one for a sample that stands alone.
        """
        source = torch.Generator().manual_seed(0)
        with torch.enable_grad():
            clean = {key: value.detach().float() for key, value in outputs.items()}
            still = self.discrepancy(clean, clean)
            if float(still.abs().max()) > NOTHING:
                raise InputError(
                    f"The loss of {self.name} is {float(still.abs().max()):.3g} where nothing moved. Give one that is "
                    "0 for equal outputs."
                )
            moved = {key: (value + _noise(value, source)).requires_grad_() for key, value in clean.items()}
            found = self.discrepancy(clean, moved)
            self._judge(found, list(moved.values()))
            found = found.detach()
            alone = self.discrepancy(
                *({key: value[:1] for key, value in one.items()} for one in (clean, moved))
            ).detach()
        if not torch.allclose(alone, found[:1], rtol=1e-3, atol=1e-5):
            raise InputError(
                f"The loss of {self.name} is {float(alone):.4g} for a sample alone and {float(found[0]):.4g} for it "
                "among others. Give each sample's own: take no mean over the first dimension."
            )
        self.answers({key: value[:1] for key, value in outputs.items()})

    def _judge(self, found: Tensor, moved: Sequence[Tensor]) -> None:
        if not bool(found.isfinite().all()):
            raise InputError(f"The loss of {self.name} is not finite where outputs moved a little. Mend it.")
        least = float(found.detach().min())
        if least < -NOTHING:
            raise InputError(
                f"The loss of {self.name} is negative ({least:.3g}) where outputs moved a little. Give "
                "one that is 0 or more, and larger where more is lost."
            )
        slopes = torch.autograd.grad(found.sum(), moved, allow_unused=True) if found.requires_grad else [None]
        if not any(slope is not None and bool(slope.abs().sum() > 0) for slope in slopes):
            raise InputError(
                f"The loss of {self.name} has no gradient in the disturbed output (argmax, rounding, detach and NumPy "
                "have none). Give one that is differentiable."
            )

    def discrepancy(self, clean: Outputs, perturbed: Outputs) -> Tensor:
        """Return the loss (N,).

        Raises:
            InputError: the function raises, or returns something else.
        """
        count = len(next(iter(clean.values())))
        found = self._called(self.loss, "loss", _given(clean), _given(perturbed))
        if not isinstance(found, Tensor) or found.shape != (count,):
            given = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError(f"The loss of {self.name} returns {given} for {count} samples. Give a tensor ({count},).")
        return found.float()

    def sampled(self, outputs: Outputs, source: torch.Generator) -> Tensor:
        """Return scores whose squared gradients have the curvature of the loss at the clean output as mean.

        What Fisher information is of a likelihood is of a loss its Hessian H in the output, where nothing moved: with
        random signs r, H^(1/2) r as the gradient in the output has H as its second moment, and the features get J' H J,
        the Gauss-Newton matrix. H^(1/2) r is found by Lanczos' method (`root_times`), which needs H times a vector
        alone: two passes back through the loss, none through the network.

        Raises:
            InputError: the loss has no second derivative there, or none that is finite.
        """
        clean = {key: value.detach().float() for key, value in outputs.items()}
        signs = [2 * torch.randint(0, 2, value.shape, generator=source).to(value) - 1 for value in clean.values()]
        with torch.enable_grad():
            at = [value.clone().requires_grad_() for value in clean.values()]
            found = self.discrepancy(clean, dict(zip(clean, at, strict=True)))
            slopes = self._slopes(found, at, further=True)
            drawn = root_times(lambda vector: self._turned(slopes, at, vector), _flat(signs))
        if not bool(drawn.isfinite().all()) or not bool((drawn != 0).any()):
            what = "not finite" if not bool(drawn.isfinite().all()) else "zero"
            raise InputError(
                f"The second derivative of the loss of {self.name} is {what} where nothing moved, so that maps of "
                "Fisher information cannot be made. Give a loss that is smooth there (a squared distance, say, in "
                "place of an absolute one), or --map flat and others that need none."
            )
        return (drawn * _flat([value.float() for value in outputs.values()])).sum(1)

    def _turned(self, slopes: Sequence[Tensor], at: Sequence[Tensor], vector: Tensor) -> Tensor:
        """Return H times a vector (N, D) for each sample."""
        along = (_flat(slopes) * vector).sum()
        return _flat(self._slopes(along, at, further=False, again=True))

    def _slopes(self, found: Tensor, at: Sequence[Tensor], further: bool, again: bool = False) -> list[Tensor]:
        if not found.requires_grad:
            return [torch.zeros_like(value) for value in at]
        slopes = torch.autograd.grad(
            found.sum(), at, create_graph=further, retain_graph=again or further, allow_unused=True
        )
        return [torch.zeros_like(one) if slope is None else slope for slope, one in zip(slopes, at, strict=True)]

    def drop(self, clean: Outputs, perturbed: Outputs, kind: str) -> Tensor:
        """Return the loss.

        Args:
            clean: outputs for the undisturbed features.
            perturbed: outputs for disturbed features.
            kind: "loss", the only one.
        """
        return self.discrepancy(clean, perturbed)

    def evidence(self, outputs: Outputs, clean: Outputs) -> Tensor:
        """Return minus the loss from the clean output."""
        return -self.discrepancy({key: value.detach() for key, value in clean.items()}, outputs)

    @torch.no_grad()
    def answers(self, outputs: Outputs) -> list[Any]:
        """Return what `answer` makes of each sample's output, or the output as arrays.

        Raises:
            InputError: the function raises.
        """
        rows = [
            {key: value[row].detach().cpu() for key, value in outputs.items()}
            for row in range(len(next(iter(outputs.values()))))
        ]
        if self.answer is None:
            return [_given({key: value.numpy() for key, value in row.items()}) for row in rows]
        return [self._called(self.answer, "answer", _given(row)) for row in rows]

    def scores(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, float]:
        """Return the score alone.

        Raises:
            InputError: the function raises, or returns no finite number.
        """
        found = self._called(self.score, "score", answers, targets)
        try:
            value = float(found)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"The score of {self.name} is {found!r:.60} for {len(answers)} images. Give a number.")
        return {"score": value + 0.0}  # no -0

    def interval(self, answers: Sequence[Any], targets: Sequence[Any]) -> Interval | None:
        """Return None: what a score is made of is not known."""
        return None

    def _called(self, function: Callable[..., Any], what: str, *given: Any) -> Any:
        try:
            return function(*given)
        except LimenError:
            raise
        except Exception as error:
            raise InputError(
                f"The {what} of {self.name} raised {type(error).__name__}: {line(error)}. Mend that function."
            ) from error


def root_times(times: Callable[[Tensor], Tensor], start: Tensor, steps: int = STEPS) -> Tensor:
    """Return H^(1/2) v for each sample, of positive semidefinite H known by their products with vectors (Lanczos).

    In the Krylov space of v, H is a tridiagonal T, and H^(1/2) v is about |v| Q T^(1/2) e1 (Chow and Saad 2014, SIAM J.
    Sci. Comput. 36:A588): exact after as many steps as H has different eigenvalues, and near it long before.
    Eigenvalues below 0, of rounding or of a loss that has no minimum there, count as 0. Vectors are made orthogonal to
    all earlier ones, which float32 needs.

    Args:
        times: maps vectors (N, D) to products with each sample's matrix (N, D).
        start: v, (N, D), none of them zero.
        steps: at most, >= 1; D are enough.
    """
    size: Tensor = start.norm(dim=1, keepdim=True)
    basis = [start / size]
    matrix = start.new_zeros((len(start), min(steps, start.shape[1]), min(steps, start.shape[1])), dtype=torch.float64)
    for step in range(matrix.shape[1]):
        turned = times(basis[step]).detach()
        matrix[:, step, step] = (turned * basis[step]).sum(1)
        if step + 1 == matrix.shape[1]:
            break
        for _ in range(2):
            for one in basis:
                turned = turned - (turned * one).sum(1, keepdim=True) * one
        length = turned.norm(dim=1, keepdim=True)
        scale = matrix[:, : step + 1, : step + 1].diagonal(dim1=1, dim2=2).abs().amax(1, keepdim=True).to(length)
        going = length > 1e-5 * scale  # else the space is whole: nothing is added
        basis.append(torch.where(going, turned / length.clamp_min(1e-30), torch.zeros_like(turned)))
        matrix[:, step, step + 1] = matrix[:, step + 1, step] = torch.where(going, length, 0 * length)[:, 0]
    if not bool(matrix.isfinite().all()):
        return torch.full_like(start, math.nan)
    values, vectors = torch.linalg.eigh(matrix)
    weights = (vectors * values.clamp_min(0).sqrt()[:, None] * vectors[:, :1]).sum(2).to(start)
    return size * torch.stack([weights[:, [place]] * one for place, one in enumerate(basis)]).sum(0)


def _given(outputs: Any) -> Any:
    """Return an output as a function of the user's takes it: the tensor where there is one, else all by name."""
    return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten(1) for tensor in tensors], 1)


def _noise(value: Tensor, source: torch.Generator) -> Tensor:
    drawn = torch.randn(value.shape, generator=source, dtype=torch.float32).to(value)
    return TRIED * drawn * (value.std() if value.numel() > 1 else 1.0)
