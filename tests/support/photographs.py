"""A folder of small photographs on disk."""

from collections.abc import Iterable
from pathlib import Path

from limen.image import png
from limen.testing import photograph


def photographs(folder: Path, names: Iterable[str], height: int, width: int) -> Path:
    """Write a photograph for each name into a new folder, and return it."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.png").write_bytes(png(photograph(name, height, width)))
    return folder
