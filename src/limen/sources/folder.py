"""Any folder of images, and a single file."""

import os
from collections.abc import Iterator
from pathlib import Path

from limen.errors import InputError
from limen.image.folder import pictures
from limen.source import Reference, Refusal, of_file, readable, source


@source(
    "folder",
    licence="the photographs' own",
    get="Any images of yours: PNG, JPEG, WebP, TIFF or BMP, in a folder or one by one.",
)
def folder(path: str) -> Iterator[Reference | Refusal]:
    """A file, or a folder of images searched whole, in order of names.

    Linked folders are read once, hidden ones are not; what is no readable picture is counted and named first.
    """
    place = Path(path)
    if os.path.isdir(place):
        files, lines = pictures(place)
        yield from map(Refusal, lines)
        for file in files:
            yield of_file(file, file.relative_to(place).as_posix())
    elif os.path.lexists(place):
        yield of_file(place, place.name)
    else:
        raise InputError(
            f"No file or folder {readable(path)!r}. Check the path, or give 'demo' for bundled photographs."
        )
