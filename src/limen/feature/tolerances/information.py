"""Fisher information of features: how fast the outputs move when a feature does.

For a perturbation `delta` whose elements have independent random signs and magnitudes `m`, the cross terms vanish on
average, and to second order the expected KL divergence of the outputs is `1/2 sum F m^2`, where F is the diagonal of
the Fisher information of the outputs with respect to the features. So F says what an element tolerates: with
`m = F^(-1/2)` each costs half a nat (Cramer 1946; Amari 1998 for the metric; its use for deep features is ours).
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import torch
from torch import Tensor

from limen import digest
from limen.errors import InputError
from limen.feature.model.split import Features, Outputs, SplitPoint
from limen.feature.perturbation import Tensors
from limen.feature.task import Task
from limen.feature.tolerance import FisherSurvey, Scope

Over = Literal["element", "channel", "token"]
_LEAST = 1e-20  # of damped information: an image of which the network is wholly certain has none


class FisherSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How Fisher information becomes a map.

    Attributes:
        over: what shares a value: nothing ("element"), the places of a channel ("channel"), or the channels of a token
            or place ("token").
        power: exponent of the damped information; -1/2 makes every element cost the same. A steeper one pours the noise
            into fewer elements that do not count: less is lost at equal NRMSE, and it says less of the others.
        damping: added to the information, so that elements that cost nothing do not get all the noise; less of it does
            what a steeper power does.
        relative: whether damping is a share of the tensor's mean information, or in nats per squared unit.
        draws: answers drawn, and passes back through the head, for each image.
    """

    over: Over = "element"
    power: Annotated[float, msgspec.Meta(ge=-10, lt=0)] = -0.5
    damping: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.1
    relative: bool = True
    draws: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4


def information(
    split: SplitPoint, task: Task, features: Features, names: Sequence[str], draws: int, seed: int = 0
) -> Tensors:
    """Estimate the diagonal of the Fisher information of each sample, like `features.tensors`.

    It is the mean over `draws` of the squared gradient of the log-likelihood of an answer that is drawn from the
    outputs themselves. What is drawn belongs to the sample's name: batch and order change nothing but the rounding.

    Args:
        split: a network cut in two.
        task: what its head is for.
        features: of N samples, a tensor (N, ...) each.
        names: of the N samples; draws belong to them.
        draws: answers drawn for each sample, >= 1.
        seed: any int.

    Raises:
        InputError: there are not as many names as samples.
    """
    if len(names) != len(features):
        raise InputError(f"Fisher information of {len(features)} samples needs as many names, not {len(names)}.")
    leaves = tuple(tensor.detach().clone().requires_grad_() for tensor in features.tensors)
    total = tuple(torch.zeros_like(leaf) for leaf in leaves)
    with torch.enable_grad():
        outputs = split.head(Features(leaves, features.size))
        for draw in range(draws):
            drawn = [_sampled(task, outputs, row, ("fisher", name, draw, seed)) for row, name in enumerate(names)]
            again = draw < draws - 1
            slopes = torch.autograd.grad(torch.cat(drawn).sum(), leaves, retain_graph=again, allow_unused=True)
            for part, slope in zip(total, slopes, strict=True):
                part.add_(0 if slope is None else slope.detach().square())
    return tuple(part / draws for part in total)


def survey(scope: Scope, draws: int) -> FisherSurvey:
    """Look at all fitting images, or return what was found there before: once a scope and number of draws.

    Raises:
        InputError: no output depends on a tensor of the split, or the information is not finite.
    """
    if draws not in scope.surveys:
        scope.surveys[draws] = _surveyed(scope, draws)
    return scope.surveys[draws]


def _surveyed(scope: Scope, draws: int) -> FisherSurvey:
    count = len(scope.images)
    sums: list[Tensor] = []
    done = 0
    for batch in scope.clean:
        squared = information(scope.split, scope.task, batch.features, batch.names, draws, scope.seed)
        parts = [part.double().sum(0) for part in squared]
        for power in (1, 2):
            parts += [_channel_mean(tensor.double().pow(power)) for tensor in batch.features.tensors]
        sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
        done += len(batch.names)
        scope.progress(done, count, "Fisher information")
    each = len(sums) // 3
    found, mean, square = ([part / count for part in sums[at : at + each]] for at in (0, each, 2 * each))
    for place, one in enumerate(found):
        if not bool(one.isfinite().all()) or float(one.sum()) == 0:
            what = "is zero everywhere" if bool(one.isfinite().all()) else "is not finite"
            raise InputError(
                f"The Fisher information of tensor {place} of {scope.split.path!r} {what} over {count} images. Give "
                "images that the network is not wholly certain of, or a split on which its outputs depend."
            )
    deviations = [(s - m.square()).clamp_min(0).sqrt().clamp_min(1e-6) for s, m in zip(square, mean, strict=True)]
    return FisherSurvey(tuple(one[None].float() for one in found), _floats(mean), _floats(deviations))


def magnitudes(found: Sequence[Tensor], shape: FisherSettings) -> Tensors:
    """Turn information (N, ...) into magnitudes in the features' own unit, tensor by tensor.

    `m = (F + d)^(-1/2)` at power -1/2. At other powers p it is `mean^(-1/2) ((F + d) / mean)^p`, in the same unit.
    The mean is each tensor's and sample's own, so that tensors of unequal size keep their own damping.
    """
    return tuple(_magnitude(shared(one, shape.over), shape) for one in found)


def shared(values: Tensor, over: Over) -> Tensor:
    """Average (N, ...) over what shares a value, keeping the dimensions."""
    at = channels(values)
    if over == "token":
        return values.mean(at, keepdim=True)
    others = tuple(dimension for dimension in range(1, values.ndim) if dimension != at)
    return values.mean(others, keepdim=True) if over == "channel" and others else values


def channels(tensor: Tensor) -> int:
    """Return which dimension holds the channels: the last of (N, T, C) and (N, C), the second of (N, C, H, W)."""
    return 1 if tensor.ndim > 3 else tensor.ndim - 1


def _magnitude(found: Tensor, shape: FisherSettings) -> Tensor:
    mean = found.mean(tuple(range(1, found.ndim)), keepdim=True).clamp_min(_LEAST)
    damped = (found + (shape.damping * mean if shape.relative else shape.damping)).clamp_min(_LEAST)
    return mean.rsqrt() * (damped / mean).pow(shape.power)


def _sampled(task: Task, outputs: Outputs, row: int, names: tuple[str | int, ...]) -> Tensor:
    source = torch.Generator().manual_seed(digest.seed(*names) & (2**63 - 1))
    return task.sampled({key: value[row : row + 1] for key, value in outputs.items()}, source)


def _channel_mean(tensor: Tensor) -> Tensor:
    """Return (C,): sums over samples of the mean over places."""
    at = channels(tensor)
    return tensor.mean([d for d in range(1, tensor.ndim) if d != at]).sum(0) if tensor.ndim > 2 else tensor.sum(0)


def _floats(tensors: Sequence[Tensor]) -> Tensors:
    return tuple(tensor.float() for tensor in tensors)
