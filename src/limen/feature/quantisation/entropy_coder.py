"""Symbols to bytes and back: a range coder where constriction is installed, the standard library's compressors else.

A coder takes blocks of symbols that share one table of frequencies, and gives them back in the same order. The range
coder spends what the tables say; zlib and lzma see the symbols alone, and are the floor to compare with.
"""

import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from limen.errors import InputError, MissingExtraError, UnknownNameError

Symbols = npt.NDArray[np.int64]
Frequencies = npt.NDArray[np.uint16]
CODERS = ("range", "lzma", "zlib")  # their places number them in a header: add at the end
_DAMAGED = "The bytes do not decode with this quantiser. They are damaged, or another version wrote them."


class SymbolWriter(Protocol):
    """Takes symbols."""

    def put(self, symbols: Symbols, counts: Frequencies) -> None:
        """Take a block of symbols, each below `len(counts)`."""
        ...

    def finish(self) -> bytes:
        """Return all of it."""
        ...


class SymbolReader(Protocol):
    """Gives symbols back."""

    def take(self, count: int, counts: Frequencies) -> Symbols:
        """Return the next block; raise `InputError` where the bytes hold none."""
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
        self._constriction = _constriction()
        self._coder: Any = self._constriction.stream.queue.RangeEncoder()

    def put(self, symbols: Symbols, counts: Frequencies) -> None:
        self._coder.encode(symbols.astype(np.int32), _model(self._constriction, counts))

    def finish(self) -> bytes:
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class _RangeReader:
    def __init__(self, data: bytes) -> None:
        self._constriction = _constriction()
        if len(data) % 4:
            raise InputError(_DAMAGED)
        words = np.frombuffer(data, "<u4").astype(np.uint32)
        self._coder: Any = self._constriction.stream.queue.RangeDecoder(words)

    def take(self, count: int, counts: Frequencies) -> Symbols:
        try:
            symbols: npt.NDArray[np.int32] = self._coder.decode(_model(self._constriction, counts), count)
        except (AssertionError, ValueError):
            raise InputError(_DAMAGED) from None
        return symbols.astype(np.int64)


@dataclass
class _PlainWriter:
    coder: str
    _parts: list[bytes] = field(default_factory=list)

    def put(self, symbols: Symbols, counts: Frequencies) -> None:
        self._parts.append(symbols.astype(_kind(counts)).tobytes())

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

    def take(self, count: int, counts: Frequencies) -> Symbols:
        kind = _kind(counts)
        part = self._data[self._at : self._at + count * kind.itemsize]
        self._at += len(part)
        if len(part) < count * kind.itemsize:
            raise InputError(_DAMAGED)
        symbols = np.frombuffer(part, kind).astype(np.int64)
        if count and int(symbols.max()) >= len(counts):
            raise InputError(_DAMAGED)
        return symbols


def _kind(counts: Frequencies) -> np.dtype[Any]:
    return np.dtype("<u1") if len(counts) <= 256 else np.dtype("<u2")


def _model(constriction: Any, counts: Frequencies) -> Any:
    """Return constriction's fixed-point model of integer frequencies; both ends make it by the same operations."""
    return constriction.stream.model.Categorical(counts.astype(np.float64), perfect=False)


def _constriction() -> Any:
    try:
        import constriction
    except ImportError:
        raise MissingExtraError("the range coder", "constriction", "feature") from None
    return constriction
