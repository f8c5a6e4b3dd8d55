"""The pictures of a page or of a folder beside it: each once, as it was sent, within a budget."""

import base64
import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image import Image, png
from limen.image import digest as digest_of

LARGEST = 1200  # px: pictures with a longer side are scaled down to it, and the page says so
ENOUGH = 8  # refusals after which no more pictures are drawn


@dataclass
class Gallery:
    """Pictures by the digest of their pixels, and how many bytes they may still take.

    Attributes:
        budget: bytes left, as base64 in the page; infinite for a folder.
        folder: where files go; None keeps them in the page.
        refused: how many pictures had no room.
    """

    budget: float
    folder: Path | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        """Make the folder."""
        if self.folder is not None:
            with _writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def full(self) -> bool:
        """Whether trying on is no use: pictures differ in size, but not that much."""
        return self.budget <= 0 or self.refused >= ENOUGH

    def add(self, image: Image, spare: float = 0.0) -> int | None:
        """Return the number of a picture, taking it in if it is new; None where less than `spare` would be left."""
        small = scaled(image)
        digest = digest_of(small)
        if digest not in self.numbers:
            data = png(small)
            size = -(-len(data) // 3) * 4 + 1
            if size > self.budget - spare:
                self.refused += spare == 0
                return None
            self.budget -= size
            self.numbers[digest] = len(self.sources)
            self.sources.append(self._kept(digest, data))
        return self.numbers[digest]

    def add_all(self, draw: Callable[[int], Image], levels: Iterable[int], room: float) -> dict[int, int]:
        """Take in the pictures of a series, the most wanted levels first, until `room` bytes are spent.

        The first two make a pair, without which there is nothing to see: they may take more than their share.

        Args:
            draw: from level to picture; uint8 RGB (H, W, 3).
            levels: the most wanted ones first.
            room: bytes, >= 0; infinite for no bound.

        Returns:
            Numbers by level.
        """
        found: dict[int, int] = {}
        spare = 0.0 if math.isinf(self.budget) else max(0.0, self.budget - room)
        for level in levels:
            number = self.add(draw(level), spare if len(found) > 1 else 0.0)
            if number is None:
                break
            found[level] = number
        return found

    def _kept(self, digest: str, data: bytes) -> str:
        if self.folder is None:
            return base64.b64encode(data).decode()
        name = f"{digest}.png"
        with _writing(self.folder):
            (self.folder / name).write_bytes(data)
        return f"{self.folder.name}/{name}"


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}). Give another --out.") from None


def scaled(image: Image) -> Image:
    """Return an image as it is up to `LARGEST` px a side, a larger one scaled down (Lanczos)."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= LARGEST:
        return image
    size = (max(1, round(width * LARGEST / longest)), max(1, round(height * LARGEST / longest)))
    return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS))
