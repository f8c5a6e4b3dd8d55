"""Plain integers, as networks are quantised: 8 or 4 bits an element, one range for a tensor, a channel or a token.

The affine code of Jacob et al. (2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference", eq. 1): x is about s (q - z), the range widened to hold 0, which is coded exactly. The range of a
tensor or a channel is that of the fitting images, known at both ends; what lies beyond it is cut off. The range of a
token is its own and travels with it, as two numbers of 16 bits. Nothing is entropy-coded: it is what people have who do
nothing else.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from limen.feature.clean_batches import CleanBatch
from limen.feature.model.split import Features
from limen.feature.quantisation.step_sizes import tokens, untokens

Over = Literal["tensor", "channel", "token"]
FORMATS: tuple[tuple[int, Over], ...] = tuple(
    (bits, over) for bits in (8, 4) for over in ("tensor", "channel", "token")
)
RANGE = 4  # bytes of a token's own range


@dataclass(frozen=True)
class IntegerCode:
    """Features as integers.

    Attributes:
        bits: of an element, 2 or more.
        over: what shares a range.
        least, most: of each tensor, (1,) or (C,), of the fitting images; () where tokens have their own.
    """

    bits: int
    over: Over
    least: tuple[Tensor, ...] = ()
    most: tuple[Tensor, ...] = ()

    @property
    def name(self) -> str:
        """As tables call it: "int8 tensor"."""
        return f"int{self.bits} {self.over}"

    def quantise(self, features: Features) -> Features:
        """Return the features as the receiver has them."""
        made = []
        for place, tensor in enumerate(features.tensors):
            rows = tokens(tensor).float()
            if self.over == "token":  # ranges as they are sent
                least, most = (end.to(torch.float16).float() for end in (rows.amin(2, True), rows.amax(2, True)))
            else:
                least, most = (ends[place].to(rows) for ends in (self.least, self.most))
            made.append(untokens(self._coded(rows, least, most), tuple(tensor.shape[1:])).to(tensor))
        return Features(tuple(made), features.size)

    def bytes(self, features: Features) -> int:
        """Return what one image takes, the same for every one of the split: whole bytes, ranges that travel counted."""
        ranges = RANGE * sum(tokens(tensor[:1]).shape[1] for tensor in features.tensors) if self.over == "token" else 0
        return math.ceil(features.elements * self.bits / 8) + ranges

    def _coded(self, rows: Tensor, least: Tensor, most: Tensor) -> Tensor:
        low, high, levels = least.clamp_max(0), most.clamp_min(0), 2**self.bits - 1
        scale = (high - low) / levels
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # nothing but zeros
        zero = (-low / scale).round()
        return ((rows / scale + zero).round().clamp(0, levels) - zero) * scale


def fit(clean: Iterable[CleanBatch], formats: Sequence[tuple[int, Over]] = FORMATS) -> list[IntegerCode]:
    """Fit codes on fitting images, in one pass.

    Args:
        clean: fitting images, encoded; nothing else may be seen.
        formats: bits, and what shares a range.
    """
    least: list[Tensor] = []
    most: list[Tensor] = []
    for batch in clean:
        rows = [tokens(tensor).float() for tensor in batch.features.tensors]
        lows, highs = [row.amin((0, 1)) for row in rows], [row.amax((0, 1)) for row in rows]
        least = [torch.minimum(a, b) for a, b in zip(least or lows, lows, strict=True)]
        most = [torch.maximum(a, b) for a, b in zip(most or highs, highs, strict=True)]
    ends = {
        "channel": (tuple(least), tuple(most)),
        "tensor": (tuple(one.amin()[None] for one in least), tuple(one.amax()[None] for one in most)),
        "token": ((), ()),
    }
    return [IntegerCode(bits, over, *ends[over]) for bits, over in formats]
