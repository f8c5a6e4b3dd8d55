"""What a quantised feature costs: integer frequency tables that both ends know from the fitting images alone.

For each step and channel there is a table P(q | step, channel) over the quantised values q. It counts the fitting
images' elements that have this step, upon a prior of `PRIOR` counts: all of the channel's elements, quantised with this
step, and one count spread evenly. A value outside a table is coded as an escape and 32 bits, its float32 as it is, so
no code length is infinite. Frequencies are integers of 16 bits and are stored: encoder and decoder read the same ones,
and no table is ever worked out twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from limen.feature.quantisation.entropy_coder import Codes, Frequencies

PRECISION = 16  # bits of a frequency
WIDEST = 512  # values in a table; further ones escape
PRIOR = 32.0
ESCAPE = 32  # bits of an element as it is
EXACT = 2**14  # |q| below this times a step of `MANTISSA` bits is a float32 without rounding
MANTISSA = 10

TokenRows = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Wholes = npt.NDArray[np.int64]


def short(steps: Doubles) -> Doubles:
    """Return steps rounded to `MANTISSA` significant bits, so that a multiple of one is a float32 without rounding.

    Then |f - decoded| <= step / 2 holds exactly, and not only up to float32.
    """
    fraction, power = np.frexp(steps)
    return np.asarray(np.ldexp(np.rint(fraction * 2**MANTISSA) / 2**MANTISSA, power), np.float64)


@dataclass(frozen=True)
class FrequencyTable:
    """The code of one tensor's elements.

    Attributes:
        steps: (S,) the steps.
        low: (S, C) the value that symbol 0 stands for.
        counts: for each step (C, W + 1) frequencies, which sum to 2^16; the last one is the escape's.
    """

    steps: Doubles
    low: Wholes
    counts: tuple[Frequencies, ...]

    @cached_property
    def codes(self) -> tuple[Codes, ...]:
        """The frequencies of each step, as a coder takes them."""
        return tuple(map(Codes, self.counts))

    @cached_property
    def lengths(self) -> tuple[Doubles, ...]:
        """Bits of each symbol, an escape with the bits that follow it."""
        lengths = [PRECISION - np.log2(counts.astype(np.float64)) for counts in self.counts]
        for length in lengths:
            length[:, -1] += ESCAPE
        return tuple(lengths)

    def symbols(self, rows: TokenRows, level: int) -> Wholes:
        """Return the symbols (R, C) of elements (R, C) that have one step."""
        return _symbols(rows, self.steps[level], self.low[level], self.counts[level].shape[1] - 1)

    def bits(self, symbols: Wholes, level: int) -> Doubles:
        """Return the ideal code length of each row (R,)."""
        channels = np.arange(symbols.shape[1])
        return np.asarray(self.lengths[level][channels, symbols].sum(1), np.float64)

    def values(self, symbols: Wholes, level: int, escaped: TokenRows) -> TokenRows:
        """Return the elements (R, C) that symbols stand for; `escaped` are those of the escapes, in order.

        Args:
            symbols: (R, C) whole numbers; 0 stands for `low`.
            level: index into `steps`, 0..S - 1.
            escaped: values of the elements that have no symbol, in row-major order.
        """
        values: TokenRows = ((symbols + self.low[level]) * self.steps[level]).astype(np.float32)
        values[self.escapes(symbols, level)] = escaped
        return values

    def escapes(self, symbols: Wholes, level: int) -> npt.NDArray[np.bool_]:
        """Return which symbols are escapes."""
        return np.asarray(symbols == self.counts[level].shape[1] - 1)


@dataclass
class Tally:
    """Counts for a table.

    Attributes:
        steps: (S,) the steps.
        least, most: (C,) the smallest and largest element of each channel over the fitting images.
        sample: (R, C) some of their tokens, for the prior.
    """

    steps: Doubles
    least: Doubles
    most: Doubles
    sample: TokenRows
    low: Wholes = field(init=False)
    _counts: list[Doubles] = field(init=False)
    _prior: list[Doubles] = field(init=False)

    def __post_init__(self) -> None:
        first = np.rint(self.least / self.steps[:, None]).astype(np.int64)
        last = np.rint(self.most / self.steps[:, None]).astype(np.int64)
        middle = np.rint(np.median(self.sample, 0) / self.steps[:, None]).astype(np.int64)
        wide = last - first >= WIDEST
        self.low = np.where(wide, np.maximum(first, middle - WIDEST // 2), first)
        width = np.minimum((last - self.low + 1).max(1), WIDEST)
        self._counts = [np.zeros((len(self.least), int(w) + 1)) for w in width]
        self._prior = [np.zeros_like(counts) for counts in self._counts]
        for level in range(len(self.steps)):
            self._count(self._prior[level], self.sample, level)

    def add(self, rows: TokenRows, level: int) -> None:
        """Count tokens (R, C) that have one step."""
        self._count(self._counts[level], rows, level)

    def table(self) -> FrequencyTable:
        """Return what was counted as frequencies."""
        made = []
        for counts, prior in zip(self._counts, self._prior, strict=True):
            spread = (prior + 1 / prior.shape[1]) / (prior.sum(1, keepdims=True) + 1)
            made.append(frequencies(counts + PRIOR * spread))
        return FrequencyTable(self.steps, self.low, tuple(made))

    def _count(self, counts: Doubles, rows: TokenRows, level: int) -> None:
        channels, width = counts.shape
        symbols = _symbols(rows, self.steps[level], self.low[level], width - 1)
        places = symbols + width * np.arange(channels)
        counts += np.bincount(places.ravel(), minlength=channels * width).reshape(channels, width)


def frequencies(weights: Doubles) -> Frequencies:
    """Return weights (..., W) as integers of at least 1 that sum to 2^16 along the last axis, W from 2 on."""
    room = 2**PRECISION - weights.shape[-1]
    shares = weights / weights.sum(-1, keepdims=True)
    counts = 1 + np.floor(shares * room).astype(np.int64)
    largest = counts.argmax(-1)[..., None]
    np.put_along_axis(
        counts,
        largest,
        np.take_along_axis(counts, largest, -1) + 2**PRECISION - counts.sum(-1, keepdims=True),
        -1,
    )
    made: Frequencies = counts.astype(np.uint16)
    return made


def by_level(levels: Sequence[int] | Wholes) -> list[tuple[int, Wholes]]:
    """Return each level that occurs, rising, with the places where it does, in order."""
    numbers = np.asarray(levels)
    return [(int(level), np.flatnonzero(numbers == level)) for level in np.unique(numbers)]


def _symbols(rows: TokenRows, step: float, low: Wholes, width: int) -> Wholes:
    values = rows.astype(np.float64)
    values /= step
    np.rint(values, out=values)
    shifted = values - low
    shifted[~((shifted >= 0) & (shifted < width) & (np.abs(values) < EXACT))] = width  # what is no number, too
    return shifted.astype(np.int64)
