"""Symbols to bytes and back: a range coder where constriction is installed, the standard library's compressors else.

A coder takes columns of symbols, each with frequencies of its own, and gives them back in the same order. The range
coder spends what the tables say; zlib and lzma see the symbols alone, and are the floor to compare with.
"""

import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from limen.errors import InputError, MissingExtraError, UnknownNameError

Symbols = npt.NDArray[np.int64]
Frequencies = npt.NDArray[np.uint16]
CODERS = ("range", "lzma", "zlib")  # their places number them in a header: add at the end
_DAMAGED = "The bytes do not decode with this quantiser. They are damaged, or another version wrote them."


@dataclass(frozen=True)
class Codes:
    """Frequencies of the symbols of each column, and what the range coder makes of them, worked out once.

    Attributes:
        counts: (C, W), whole numbers; symbols of column c are below W.
    """

    counts: Frequencies

    @cached_property
    def models(self) -> list[Any]:
        """Constriction's fixed-point model of each column; both ends make it by the same operations."""
        make = _constriction().stream.model.Categorical
        return [make(row, perfect=False) for row in self.counts.astype(np.float64)]


class SymbolWriter(Protocol):
    """Takes symbols."""

    def put(self, symbols: Symbols, codes: Codes) -> None:
        """Take symbols (R, C), column by column."""
        ...

    def finish(self) -> bytes:
        """Return all of it."""
        ...


class SymbolReader(Protocol):
    """Gives symbols back."""

    def take(self, count: int, codes: Codes) -> Symbols:
        """Return the next symbols (count, C); raise `InputError` where the bytes hold none."""
        ...


def usual() -> str:
    """Return the best coder that is installed."""
    try:
        _constriction()
    except MissingExtraError:
        return "lzma"
    return "range"


def writer(coder: str) -> SymbolWriter:
    """Return an empty stream.

    Raises:
        UnknownNameError: no such coder.
        MissingExtraError: the range coder is wanted and constriction is not installed.
    """
    if coder not in CODERS:
        raise UnknownNameError("coder", coder, CODERS)
    return _RangeWriter() if coder == "range" else _PlainWriter(coder)


def reader(coder: str, data: bytes, most: int) -> SymbolReader:
    """Return a stream of these bytes, which stand for `most` symbols at most.

    Args:
        coder: one of `CODERS`: "range", "lzma" or "zlib".
        data: what the writer gave.
        most: upper bound of the number of symbols, >= 0.
    """
    return _RangeReader(data) if coder == "range" else _PlainReader(coder, data, 2 * most)


class _RangeWriter:
    def __init__(self) -> None:
        self._coder: Any = _constriction().stream.queue.RangeEncoder()

    def put(self, symbols: Symbols, codes: Codes) -> None:
        for column, model in zip(np.ascontiguousarray(symbols.T, np.int32), codes.models, strict=True):
            self._coder.encode(column, model)

    def finish(self) -> bytes:
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class _RangeReader:
    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise InputError(_DAMAGED)
        words = np.frombuffer(data, "<u4").astype(np.uint32)
        self._coder: Any = _constriction().stream.queue.RangeDecoder(words)

    def take(self, count: int, codes: Codes) -> Symbols:
        try:
            columns = [self._coder.decode(model, count) for model in codes.models]
        except (AssertionError, ValueError):
            raise InputError(_DAMAGED) from None
        return np.stack(columns, 1).astype(np.int64)


@dataclass
class _PlainWriter:
    coder: str
    _parts: list[bytes] = field(default_factory=list)

    def put(self, symbols: Symbols, codes: Codes) -> None:
        self._parts.append(np.ascontiguousarray(symbols.T, _kind(codes)).tobytes())

    def finish(self) -> bytes:
        compress: Callable[[bytes], bytes] = lzma.compress if self.coder == "lzma" else zlib.compress
        return compress(b"".join(self._parts))


class _PlainReader:
    def __init__(self, coder: str, data: bytes, most: int) -> None:
        open_one = lzma.LZMADecompressor if coder == "lzma" else zlib.decompressobj
        try:
            self._data: bytes = open_one().decompress(data, most)
        except (lzma.LZMAError, zlib.error, EOFError):
            raise InputError(_DAMAGED) from None
        self._at = 0

    def take(self, count: int, codes: Codes) -> Symbols:
        kind, (columns, width) = _kind(codes), codes.counts.shape
        part = self._data[self._at : self._at + count * columns * kind.itemsize]
        self._at += len(part)
        if len(part) < count * columns * kind.itemsize:
            raise InputError(_DAMAGED)
        symbols = np.frombuffer(part, kind).astype(np.int64).reshape(columns, count).T
        if symbols.size and int(symbols.max()) >= width:
            raise InputError(_DAMAGED)
        return symbols


def _kind(codes: Codes) -> np.dtype[Any]:
    return np.dtype("<u1") if codes.counts.shape[1] <= 256 else np.dtype("<u2")


def _constriction() -> Any:
    try:
        import constriction
    except ImportError:
        raise MissingExtraError("the range coder", "constriction", "feature") from None
    return constriction
