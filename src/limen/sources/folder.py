"""Any folder of images, and a single file."""

from collections.abc import Iterator
from pathlib import Path

from limen.errors import InputError
from limen.image import SUFFIXES
from limen.source import Reference, Refusal, of_file, source


@source(
    "folder",
    licence="the photographs' own",
    get="Any images of yours: PNG, JPEG, WebP, TIFF or BMP, in a folder or one by one.",
)
def folder(path: str) -> Iterator[Reference | Refusal]:
    """A file, or a folder of images searched whole, in order of names."""
    place = Path(path)
    if place.is_dir():
        for file in sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
            yield of_file(file, file.relative_to(place).as_posix())
    elif place.is_file():
        yield of_file(place, place.name)
    else:
        raise InputError(f"No file or folder {path!r}. Check the path, or give 'demo' for bundled photographs.")
