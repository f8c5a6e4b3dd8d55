"""Features to bytes and back: what runs on the two sides of a split.

A `Quantiser` is fitted once (`limen.feature.quantisation.fit.fit`) and saved as a folder. The sender needs the folder
and, for steps that come from a map, the fitted map; the receiver needs the folder alone: no network, no map, no image.
Each element comes back within half its token's step, exactly.

Bytes do not depend on the process. Steps from a map are worked out in float32, whose sums may differ from batch to
batch by one part in a million; a step that lies that near to the border of two can then be the other one. What was sent
says which, so it always decodes.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from limen import digest
from limen.errors import InputError
from limen.feature.model.split import Features
from limen.feature.quantisation.entropy_coder import CODERS, reader, usual, writer
from limen.feature.quantisation.frequency_tables import Doubles, FrequencyTable, TokenRows, Wholes, by_level
from limen.feature.quantisation.promise import Promise
from limen.feature.quantisation.side_information import SideInformation
from limen.feature.quantisation.step_sizes import StepGrid, StepKind, StepRule, tokens, untokens
from limen.feature.tolerance import Tolerance

VERSION = 1
_MAGIC = b"LFQ"
_HEADER = struct.Struct("<3sBB8sHII")  # magic, version, coder, quantiser, images, coded bytes, escapes; then a CRC-32
_CRC = struct.Struct("<I")
HEADER = _HEADER.size + _CRC.size  # bytes
MOST = 2**16 - 1  # images in one piece
_FILES = ("quantiser.json", "quantiser.safetensors")


class QuantiserFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What quantiser.json holds.

    Attributes:
        version: of the format.
        kind, label, seed: of the steps.
        budget: nominal NRMSE of the noise, mean over the fitting images.
        levels: of the grid of steps.
        shapes: of one sample's tensors.
        size: of the images.
        network: digest of the weights, "" where not known.
        tables: digest of the numbers in quantiser.safetensors.
        promise: what was tested of it; left out where nothing was.
    """

    version: int
    kind: StepKind
    label: str
    seed: int
    budget: float
    levels: StepGrid
    shapes: tuple[tuple[int, ...], ...]
    size: tuple[int, ...]
    network: str
    tables: str
    promise: Promise | None = None


@dataclass(frozen=True, slots=True)
class QuantisedFeatures:
    """Features after quantisation.

    Attributes:
        features: as the receiver has them.
        levels: the number of each token's step, (N, T) a tensor.
        bits: ideal code length of each sample's elements (N,).
        side_bits: ... and of its steps (N,).
        escapes: elements of the batch that no table holds.
    """

    features: Features
    levels: Sequence[Wholes]
    bits: Doubles
    side_bits: Doubles
    escapes: int


@dataclass(frozen=True)
class Quantiser:
    """Token-wise quantisation with all that both ends must know.

    Attributes:
        steps: the rule, with its map where it has one and features are to be encoded.
        levels: the grid of steps.
        tables: of the elements, one a tensor.
        side: code of the steps; None where they do not travel.
        fixed: number of the step of each position (T,), one a tensor, where steps do not travel.
        shapes: of one sample's tensors.
        size: of the images.
        budget: nominal NRMSE, mean over the fitting images.
        network: digest of the network's weights, "" where not known.
        promise: what was tested of it, None where nothing was.
    """

    steps: StepRule
    levels: StepGrid
    tables: tuple[FrequencyTable, ...]
    side: SideInformation | None
    fixed: tuple[Wholes, ...]
    shapes: tuple[tuple[int, ...], ...]
    size: tuple[int, ...]
    budget: float
    network: str = ""
    promise: Promise | None = None

    def choose(self, features: Features, names: Sequence[str] = ()) -> Sequence[Wholes]:
        """Return the number of each token's step, (N, T) a tensor.

        Args:
            features: finite, of the shapes that the quantiser was fitted on.
            names: of the samples, where steps or map belong to names.

        Raises:
            InputError: the features are of other shapes than it was fitted on, or not finite.
        """
        self._check(features)
        if not self.steps.dynamic:
            return self._fixed(len(features))
        return [self.levels.nearest(size) for size in self.steps.sizes(features, names)]

    def quantise(self, features: Features, names: Sequence[str] = ()) -> QuantisedFeatures:
        """Return features as the receiver will have them, with the ideal code length.

        They have the dtype of those given; what `decode` returns is float32, for which the bound is exact.
        """
        levels = self.choose(features, names)
        bits, decoded, escapes = np.zeros(len(features)), [], 0
        for tensor, table, chosen in zip(features.tensors, self.tables, levels, strict=True):
            rows = _rows(tensor)
            flat, owner = rows.reshape(-1, rows.shape[2]), np.repeat(np.arange(len(rows)), rows.shape[1])
            values = np.empty_like(flat)
            for level, places in by_level(chosen.ravel()):
                symbols = table.symbols(flat[places], level)
                lost = table.escapes(symbols, level)
                values[places] = table.values(symbols, level, flat[places][lost])
                bits += np.bincount(owner[places], table.bits(symbols, level), len(rows))
                escapes += int(lost.sum())
            decoded.append(untokens(torch.from_numpy(values.reshape(rows.shape)), tensor.shape[1:]).to(tensor))
        side_bits = self.side.bits(levels) if self.side else np.zeros(len(features))
        return QuantisedFeatures(Features(tuple(decoded), features.size), levels, bits, side_bits, escapes)

    def bound(self, levels: Sequence[Wholes]) -> tuple[Doubles, ...]:
        """Return half of each token's step (N, T): no element of the token is further off."""
        return tuple(0.5 * table.steps[chosen] for table, chosen in zip(self.tables, levels, strict=True))

    def encode(self, features: Features, names: Sequence[str] = (), coder: str | None = None) -> bytes:
        """Return a batch as bytes.

        Beside the ideal code length (see `quantise`) it takes a header of `HEADER` bytes and at most eight more: some
        percent of one small image, less than 2 % of a batch.

        Args:
            features: 1 to `MOST` samples, finite, of the shapes that the quantiser was fitted on.
            names: of the samples, where steps or map belong to names.
            coder: one of `CODERS`; the range coder, or lzma where constriction is not installed, if not given.

        Raises:
            InputError: no sample, too many, other shapes than it was fitted on, or numbers that are not finite.
            UnknownNameError: no such coder.
            MissingExtraError: the range coder is wanted and constriction is not installed.
        """
        name = coder or usual()
        stream, escaped = writer(name), list[TokenRows]()
        if not 1 <= len(features) <= MOST:
            raise InputError(f"One piece holds 1 to {MOST} samples, not {len(features)}. Encode them in parts.")
        levels = self.choose(features, names)
        if self.side:
            self.side.put(stream, levels)
        for tensor, table, chosen in zip(features.tensors, self.tables, levels, strict=True):
            rows = _rows(tensor)
            flat = rows.reshape(-1, rows.shape[2])
            for level, places in by_level(chosen.ravel()):
                symbols = table.symbols(flat[places], level)
                escaped.append(flat[places][table.escapes(symbols, level)])
                stream.put(symbols, table.codes[level])
        coded, tail = stream.finish(), np.concatenate(escaped).astype("<f4")
        head = _HEADER.pack(_MAGIC, VERSION, CODERS.index(name), self.key, len(features), len(coded), len(tail))
        body = coded + tail.tobytes()
        return head + _CRC.pack(zlib.crc32(head + body)) + body

    def decode(self, data: bytes) -> Features:
        """Return the features that `encode` was given, each element within half its token's step; on the CPU, float32.

        Raises:
            InputError: the bytes are cut off, damaged, no features at all, or another quantiser's.
        """
        coder, images, coded, tail = self._opened(data)
        stream = reader(coder, coded, images * sum(int(np.prod(shape)) + _count(shape) for shape in self.shapes))
        levels = self.side.take(stream, images) if self.side else self._fixed(images)
        at, decoded = 0, []
        for table, shape, chosen in zip(self.tables, self.shapes, levels, strict=True):
            channels = table.low.shape[1]
            flat = np.empty((chosen.size, channels), np.float32)
            for level, places in by_level(chosen.ravel()):
                symbols = stream.take(len(places), table.codes[level])
                lost = int(table.escapes(symbols, level).sum())
                if at + lost > len(tail):
                    raise InputError(_damaged("its values run out"))
                flat[places] = table.values(symbols, level, tail[at : at + lost])
                at += lost
            decoded.append(untokens(torch.from_numpy(flat.reshape(images, -1, channels)), shape).contiguous())
        return Features(tuple(decoded), self.size)

    @cached_property
    def key(self) -> bytes:
        """8 bytes that stand for all that both ends must share."""
        shared = [VERSION, self._digest, [list(shape) for shape in self.shapes], list(self.size)]
        return bytes.fromhex(digest.of(shared))[:8]

    def save(self, folder: Path) -> None:
        """Write quantiser.json and quantiser.safetensors, and nothing of the map."""
        described = QuantiserFile(
            version=VERSION,
            kind=self.steps.kind,
            label=self.steps.label,
            seed=self.steps.seed,
            budget=self.budget,
            levels=self.levels,
            shapes=self.shapes,
            size=self.size,
            network=self.network,
            tables=self._digest,
            promise=self.promise,
        )
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._numbers(), folder / _FILES[1])
        (folder / _FILES[0]).write_bytes(msgspec.json.format(msgspec.json.encode(described)))

    @classmethod
    def load(cls, folder: Path, tolerance: Tolerance | None = None) -> Self:
        """Read what `save` wrote.

        Args:
            folder: with quantiser.json and quantiser.safetensors.
            tolerance: the fitted map, where features are to be encoded with steps that come from one.

        Raises:
            InputError: a file is missing, is no such file, or does not belong to the other.
        """
        described, numbers = _read(folder)
        try:
            made = cls._of(described, numbers, tolerance)
            whole = made._digest == described.tables
        except (LookupError, TypeError, ValueError):
            whole = False
        if not whole:
            raise InputError(f"The two files in {folder} do not belong together. Copy the whole folder again.")
        return made

    @classmethod
    def _of(
        cls, described: QuantiserFile, numbers: Mapping[str, npt.NDArray[Any]], tolerance: Tolerance | None
    ) -> Self:
        places = range(len(described.shapes))
        return cls(
            steps=StepRule(described.kind, described.label, tolerance, described.seed),
            levels=described.levels,
            tables=tuple(
                FrequencyTable(
                    numbers[f"{place}.steps"],
                    numbers[f"{place}.low"],
                    tuple(numbers[f"{place}.counts.{level}"] for level in range(described.levels.count)),
                )
                for place in places
            ),
            side=SideInformation(numbers["side"], tuple(numbers[f"{place}.side"] for place in places))
            if "side" in numbers
            else None,
            fixed=tuple(numbers[f"{place}.fixed"] for place in places if f"{place}.fixed" in numbers),
            shapes=described.shapes,
            size=described.size,
            budget=described.budget,
            network=described.network,
            promise=described.promise,
        )

    def _fixed(self, count: int) -> Sequence[Wholes]:
        return [np.broadcast_to(row, (count, len(row))) for row in self.fixed]

    def _check(self, features: Features) -> None:
        shapes = tuple(tuple(tensor.shape[1:]) for tensor in features.tensors)
        if shapes != self.shapes:
            raise InputError(
                f"The features have shapes {shapes}, the quantiser was fitted on {self.shapes}. Use the same split and "
                "image size, or fit another quantiser."
            )
        if not all(bool(tensor.isfinite().all()) for tensor in features.tensors):
            raise InputError("Features that are not finite cannot be quantised. Check the images and the weights.")

    def _opened(self, data: bytes) -> tuple[str, int, bytes, TokenRows]:
        if len(data) < HEADER or not data.startswith(_MAGIC):
            raise InputError(
                f"{len(data)} bytes that do not begin as encoded features do. Give what `encode` returned."
            )
        _, version, coder, key, images, coded, escapes = _HEADER.unpack_from(data)
        if version != VERSION:
            raise InputError(f"Encoded features of version {version}; this limen reads {VERSION}. Encode them again.")
        wanted = HEADER + coded + 4 * escapes
        if len(data) != wanted:
            raise InputError(_damaged(f"{len(data)} bytes, not {wanted}"))
        head, body = data[: _HEADER.size], data[HEADER:]
        if _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(head + body) or coder >= len(CODERS):
            raise InputError(_damaged("its checksum is wrong"))
        if key != self.key:
            raise InputError("These features were encoded with another quantiser. Load the folder that encoded them.")
        return CODERS[coder], images, body[:coded], np.frombuffer(body[coded:], "<f4").astype(np.float32)

    @cached_property
    def _digest(self) -> str:
        parts = sorted(self._numbers().items())
        return digest.of(b"".join(name.encode() + value.tobytes() for name, value in parts))

    def _numbers(self) -> dict[str, npt.NDArray[np.generic]]:
        numbers: dict[str, npt.NDArray[np.generic]] = {}
        for place, table in enumerate(self.tables):
            numbers |= {f"{place}.steps": table.steps, f"{place}.low": table.low}
            numbers |= {f"{place}.counts.{level}": counts for level, counts in enumerate(table.counts)}
        if self.side:
            numbers |= {"side": self.side.base}
            numbers |= {f"{place}.side": offsets for place, offsets in enumerate(self.side.offsets)}
        numbers |= {f"{place}.fixed": fixed for place, fixed in enumerate(self.fixed)}
        return {name: np.ascontiguousarray(value) for name, value in numbers.items()}


def _rows(tensor: Tensor) -> TokenRows:
    return tokens(tensor.detach()).float().cpu().numpy()


def _count(shape: Sequence[int]) -> int:
    """Return how many tokens a sample of this shape has."""
    return 1 if len(shape) == 1 else shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))


def _damaged(how: str) -> str:
    return f"The encoded features are damaged or cut off: {how}. Send them again."


def _read(folder: Path) -> tuple[QuantiserFile, dict[str, npt.NDArray[Any]]]:
    for name in _FILES:
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} holds no quantiser: {name} is missing. Give a folder that a quantiser was saved in."
            )
    try:
        described = msgspec.json.decode((folder / _FILES[0]).read_bytes(), type=QuantiserFile)
        numbers = load_file(folder / _FILES[1])
    except (msgspec.MsgspecError, SafetensorError, ValueError) as error:
        cause = " ".join(str(error).split())[:160]
        raise InputError(f"The quantiser in {folder} cannot be read ({cause}). Save it again.") from None
    if described.version != VERSION:
        raise InputError(f"{folder} holds a quantiser of version {described.version}; this limen reads {VERSION}.")
    return described, numbers
