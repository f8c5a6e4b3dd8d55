"""The estimator G: a small network that gives a magnitude for every feature of an image.

The paper (Zhao et al. 2026, arXiv:2601.21933) has such a network and does not say which; this one is ours. It starts
from a static map and moves each logarithm by at most `REACH`: `log m = log m0 + offset + R tanh(net(f) / R)`. The last
layer starts at zero, so before training it is the static map.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from limen import digest
from limen.errors import InputError
from limen.feature.model.network import flops
from limen.feature.model.split import Features
from limen.feature.perturbation import Tensors
from limen.feature.tolerances.information import channels

REACH = 3.0  # largest change of a logarithm
MAP_WIDTH, TOKEN_WIDTH = 32, 64  # 2 % of a ResNet-50's operations at any of its stages


class Estimator(nn.Module):
    """One head for each tensor of a split, and an offset that all share.

    Args:
        logarithms: the static map log m0, (1, ...) for each tensor; dimensions of size 1 are shared.
        mean, deviation: of each channel (C,), by which features are standardised.
        signed: whether it also gives a factor in -1..1 for each element, so that `delta` has a direction.
        seed: of the weights at the start.
        width: hidden units; None: `MAP_WIDTH` for (N, C, H, W), `TOKEN_WIDTH` for tokens.
    """

    def __init__(
        self,
        logarithms: Sequence[Tensor],
        mean: Sequence[Tensor],
        deviation: Sequence[Tensor],
        signed: bool = False,
        seed: int = 0,
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.signed = signed
        self.offset = nn.Parameter(torch.zeros((), dtype=torch.float32))
        self.heads = nn.ModuleList()
        for place, static in enumerate(logarithms):
            self.register_buffer(f"static_{place}", static.detach().clone())
            self.register_buffer(f"mean_{place}", mean[place].detach().clone())
            self.register_buffer(f"deviation_{place}", deviation[place].detach().clone())
            with torch.random.fork_rng([]):  # torch draws weights of its own, which are replaced
                self.heads.append(_head(static, len(mean[place]), 2 if signed else 1, width).float())
        _initialise(self, signed, seed)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Self:
        """Rebuild an estimator from its `state_dict`.

        Raises:
            InputError: the tensors are not those of an estimator.
        """
        count = sum(name.startswith("static_") for name in state)
        try:
            static, mean, deviation = (
                [state[f"{kind}_{place}"] for place in range(count)] for kind in ("static", "mean", "deviation")
            )
            signed, width = len(state["heads.0.out.bias"]) > len(state["mean_0"]), len(state["heads.0.first.bias"])
            made = cls(static, mean, deviation, signed, width=width)
            made.load_state_dict(dict(state))
        except (KeyError, RuntimeError) as error:
            cause = " ".join(str(error).split())[:120]
            raise InputError(
                f"These tensors are not an estimator of limen's ({cause}). Fit the map again, or give the run's file."
            ) from None
        return made

    def forward(self, features: Features) -> tuple[Tensors, Tensors]:
        """Return log magnitudes like the features, and directions in -1..1 (without elements if not signed).

        Raises:
            InputError: features of another shape than it was made for.
        """
        self._check(features)
        logarithms, directions = [], []
        for place, tensor in enumerate(features.tensors):
            static, mean, deviation = (self._kept(kind, place) for kind in ("static", "mean", "deviation"))
            at = channels(tensor)
            shape = [-1 if dimension == at else 1 for dimension in range(tensor.ndim)]
            standard = (tensor - mean.view(shape)) / deviation.view(shape)
            moved = self.heads[place](standard.clamp(-10, 10)).float()
            if self.signed:
                moved, direction = moved.chunk(2, at)
                directions.append(direction.tanh())
            logarithms.append(static + self.offset + REACH * (moved / REACH).tanh())
        return tuple(logarithms), tuple(directions)

    def level(self, features: Features) -> float:
        """Return the mean of the static map itself, each tensor by its elements."""
        sizes = [tensor[0].numel() for tensor in features.tensors]
        means = [float(self._kept("static", place).exp().mean()) for place in range(len(sizes))]
        return sum(size * mean for size, mean in zip(sizes, means, strict=True)) / sum(sizes)

    def flops(self, features: Features) -> int:
        """Return the floating-point operations for these features, as torch counts them."""
        return flops(lambda: self(features))

    def _kept(self, kind: str, place: int) -> Tensor:
        kept: Tensor = getattr(self, f"{kind}_{place}")
        return kept

    def _check(self, features: Features) -> None:
        for place, tensor in enumerate(features.tensors):
            wanted = tuple(self._kept("static", place).shape[1:])
            given = tuple(tensor.shape[1:])
            if len(wanted) != len(given) or any(a not in (1, b) for a, b in zip(wanted, given, strict=True)):
                raise InputError(
                    f"An estimator made for features {wanted} was given {given}. Give images of one size, or fit it "
                    "with over = channel."
                )


class _MapHead(nn.Module):
    """For (N, C, H, W): 1x1, one 3x3 block with a way round it, 1x1 back; each place also sees the mean place."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 1)
        self.context = nn.Linear(inputs, width, bias=False)
        self.block = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, outputs, 1)

    def forward(self, standard: Tensor) -> Tensor:
        x = self.first(standard) + self.context(standard.mean((2, 3)))[:, :, None, None]
        x = x + self.block(functional.gelu(x))
        moved: Tensor = self.out(functional.gelu(x))
        return moved


class _TokenHead(nn.Module):
    """For (N, T, C) and (N, C): a perceptron for each token, which also sees the mean token."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.context = nn.Linear(inputs, width, bias=False)
        self.out = nn.Linear(width, outputs)

    def forward(self, standard: Tensor) -> Tensor:
        mean = standard.mean(1, keepdim=True) if standard.ndim > 2 else standard
        moved: Tensor = self.out(functional.gelu(self.first(standard) + self.context(mean)))
        return moved


def _head(static: Tensor, inputs: int, each: int, width: int | None) -> nn.Module:
    if static.ndim == 4:
        return _MapHead(inputs, width or MAP_WIDTH, each * inputs)
    if static.ndim in (2, 3):
        return _TokenHead(inputs, width or TOKEN_WIDTH, each * inputs)
    raise InputError(
        f"The estimator takes features (N, C, H, W), (N, T, C) or (N, C), not ones of {static.ndim} dimensions. Give "
        "another split."
    )


def _initialise(estimator: Estimator, signed: bool, seed: int) -> None:
    """Draw the weights by name; the last layer is zero, but for directions, which must not all start at none."""
    for name, parameter in estimator.named_parameters():
        if name == "offset":
            continue
        drawn = digest.generator("estimator", seed, name).standard_normal(tuple(parameter.shape))
        scale = 0.0 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(drawn) * scale)
            if ".out." in name:
                parameter[: len(parameter) // 2 if signed else None] = 0
