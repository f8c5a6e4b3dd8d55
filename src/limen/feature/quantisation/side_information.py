"""Side information: which step each token has, coded with frequencies that the fitting images fixed.

An image's mean step comes first, then each token's distance from it, with frequencies of its position: so an image that
tolerates more than others as a whole pays for that once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from limen.errors import InputError
from limen.feature.quantisation.entropy_coder import Codes, Frequencies, SymbolReader, SymbolWriter
from limen.feature.quantisation.frequency_tables import PRECISION, Doubles, Wholes, frequencies

POSITION = 8.0  # counts of all positions together, in the frequencies at one


@dataclass(frozen=True)
class SideInformation:
    """The code of an image's steps.

    Attributes:
        base: (S + 1,) frequencies of the mean step; the last is never used, and makes two where S is 1.
        offsets: one a tensor, (T, 2 S + 1) frequencies of a position's distance from it, from -S on.
    """

    base: Frequencies
    offsets: tuple[Frequencies, ...]

    @classmethod
    def of(cls, levels: Sequence[Wholes], count: int) -> "SideInformation":
        """Return the code for steps like these.

        Args:
            levels: numbers of steps (N, T) of the fitting images, one a tensor.
            count: how many steps there are.
        """
        mean, offsets = _divided(levels, count)
        base = np.bincount(mean, minlength=count + 1).astype(np.float64) + 1 / count
        tables = []
        for shifted in offsets:
            width = 2 * count + 1
            here = np.stack([np.bincount(column, minlength=width) for column in shifted.T]).astype(np.float64)
            anywhere = (here.sum(0) + 1 / width) / (here.sum() + 1)
            tables.append(frequencies(here + POSITION * anywhere))
        return cls(frequencies(base), tuple(tables))

    @cached_property
    def _codes(self) -> tuple[Codes, ...]:
        return Codes(self.base[None]), *map(Codes, self.offsets)

    def bits(self, levels: Sequence[Wholes]) -> Doubles:
        """Return the ideal code length of each image's steps (N,)."""
        mean, offsets = _divided(levels, len(self.base) - 1)
        bits = _lengths(self.base)[mean]
        for table, shifted in zip(self.offsets, offsets, strict=True):
            bits += _lengths(table)[np.arange(len(table)), shifted].sum(1)
        return bits

    def put(self, stream: SymbolWriter, levels: Sequence[Wholes]) -> None:
        """Write the steps of some images."""
        mean, offsets = _divided(levels, len(self.base) - 1)
        base, *tables = self._codes
        stream.put(mean[:, None], base)
        for codes, shifted in zip(tables, offsets, strict=True):
            stream.put(shifted, codes)

    def take(self, stream: SymbolReader, images: int) -> list[Wholes]:
        """Read the steps of some images.

        Raises:
            InputError: what is read is no number of a step.
        """
        count, (base, *tables) = len(self.base) - 1, self._codes
        mean = stream.take(images, base)
        levels = [stream.take(images, codes) + mean - count for codes in tables]
        if any(((level < 0) | (level >= count)).any() for level in levels):
            raise InputError("The encoded features are damaged: they name steps that do not exist. Send them again.")
        return levels


def _divided(levels: Sequence[Wholes], count: int) -> tuple[Wholes, list[Wholes]]:
    """Return the mean step (N,), and each step's distance from it, from -count on, which is 0."""
    mean = np.rint(np.concatenate(levels, 1).mean(1)).astype(np.int64)
    return mean, [level - mean[:, None] + count for level in levels]


def _lengths(counts: Frequencies) -> Doubles:
    return PRECISION - np.log2(counts.astype(np.float64))
