"""Keeps solved light on disk: packed small, found by what it was solved for, solved again where it is broken."""

import logging
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limen.errors import InputError
from limen.files import replacing
from limen.scenes.rendering.texture import Singles

_TOP, _STEPS, _BEND = 64.0, 4095, 200.0
Codes = npt.NDArray[np.uint16]
_log = logging.getLogger(__name__)


def folder() -> Path:
    """Return the folder for solved light: $XDG_CACHE_HOME/limen, else ~/.cache/limen."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "limen"


def pack(light: Singles) -> Codes:
    """Round light to 12 bits a channel on a logarithmic scale (steps of 0.2 % where it is bright)."""
    scaled = np.log1p(np.clip(light, 0, _TOP) * _BEND) / np.log1p(_TOP * _BEND)
    codes: Codes = np.rint(scaled * _STEPS).astype(np.uint16)
    return codes


def unpack(codes: Codes) -> Singles:
    """Return light (nodes, 3) of its codes."""
    table = np.expm1(np.arange(_STEPS + 1) / _STEPS * np.log1p(_TOP * _BEND)) / _BEND
    light: Singles = table.astype(np.float32)[np.minimum(codes, _STEPS)]
    return light


def write(path: Path, codes: Codes, key: str) -> None:
    """Write codes as differences along the nodes, whole or not at all; `key` says what they are the light of.

    Args:
        path: of the file.
        codes: (nodes, 3) uint16.
        key: digest of what the light was solved for.
    """
    green = codes[:, 1].astype(np.int32)
    planes = np.stack([green, codes[:, 0] - green, codes[:, 2] - green])
    steps = np.diff(planes, axis=1, prepend=0).astype(np.int16)
    zigzag = ((steps.astype(np.int32) << 1) ^ (steps.astype(np.int32) >> 15)).astype(np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(file, key=key, low=(zigzag & 255).astype(np.uint8), high=(zigzag >> 8).astype(np.uint8))


def read(path: Path, count: int, key: str) -> Codes | None:
    """Read codes of `count` nodes under `key`; None where there is no file, another key, or a broken file.

    Args:
        path: of the file.
        count: nodes, >= 0.
        key: digest of what the light was solved for.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            zigzag = file["low"].astype(np.int32) | file["high"].astype(np.int32) << 8
            found = str(file["key"])
        if found != key:
            raise InputError(f"is the light of {found!r}, not of {key!r}")
        if zigzag.shape != (3, count):
            raise InputError(f"holds {zigzag.shape}, not (3, {count})")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        _log.warning("%s cannot be used (%s): the light is solved again.", path.name, error)
        return None
    steps = (zigzag >> 1) ^ -(zigzag & 1)
    green, red, blue = np.cumsum(steps.astype(np.int16), axis=1, dtype=np.int32)
    codes: Codes = np.stack([red + green, green, blue + green], axis=-1).astype(np.uint16)
    return codes
