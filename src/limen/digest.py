"""Names turned into digests and seeds: canonical JSON, SHA-256, counter-based generators.

Randomness comes from names, never from order or a global generator, so that results are the same in
another process, another order and another batch.
"""

import hashlib
from typing import Any

import numpy as np
import orjson


def canonical(value: Any) -> bytes:
    """Encode JSON-like data in the one form that digests are taken of (sorted keys, no spaces)."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_DATACLASS)


def of(value: Any) -> str:
    """Return 32 hexadecimal digits (128 bits of SHA-256) that stand for bytes or JSON-like data."""
    data = value if isinstance(value, bytes) else canonical(value)
    return hashlib.sha256(data).hexdigest()[:32]


def seed(*names: str | int) -> int:
    """Return a 128-bit seed that depends on the names and on nothing else."""
    return int(of(list(names)), 16)


def generator(*names: str | int) -> np.random.Generator:
    """Return a counter-based generator (Philox, Salmon et al. 2011) seeded by names."""
    return np.random.Generator(np.random.Philox(key=seed(*names)))
