"""The photographs that ship with limen."""

from collections.abc import Iterator
from pathlib import Path

from limen.source import Reference, Refusal, of_file, source


def photographs() -> Path:
    """Return the folder of the bundled photographs."""
    return Path(__file__).parent.parent / "data" / "demo" / "photographs"


@source("demo", licence="CC0 and public domain, each as its README says", get="Ships with limen.", bare=True)
def demo(path: str) -> Iterator[Reference | Refusal]:
    """Crops of 64 px of four photographs that ship with limen."""
    for file in sorted(photographs().glob("*.png")):
        yield of_file(file, file.name)
