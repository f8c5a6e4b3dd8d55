"""Where references come from: files, folders, and the photographs that ship with limen."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from limen.errors import InputError
from limen.image import SUFFIXES, Image, digest, load

DEMO = "demo"  # the name under which the bundled photographs are asked for


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by name and digest; its pixels are loaded when they are needed.

    Attributes:
        name: as the user knows it, relative to what was given; never an absolute path.
        digest: of the pixels.
        load: returns the pixels.
    """

    name: str
    digest: str
    load: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class Found:
    """References, and one line for each file that could not be used."""

    references: tuple[Reference, ...]
    refused: tuple[str, ...]


def demo_photographs() -> Path:
    """Return the folder of the bundled photographs."""
    return Path(__file__).parent / "data" / "demo" / "photographs"


def find(places: Iterable[str | Path], limit: int = 0, progress: Callable[[str], None] = lambda name: None) -> Found:
    """Collect references from files and folders (searched whole), in order of their names.

    Each file is decoded once, to digest it; a broken one is named and left out, and so is a second file with
    the same pixels, because two copies of a picture are not two references.

    Args:
        places: files, folders, or "demo" for the bundled photographs.
        limit: stop after so many good references; 0 for no limit.
        progress: called with each file's name.

    Raises:
        InputError: a place does not exist, or nothing usable is left.
    """
    good: dict[str, Reference] = {}
    refused: list[str] = []
    for name, file in _files(places):
        if limit and len(good) == limit:
            break
        progress(name)
        try:
            image = load(file)
        except InputError as error:
            refused.append(str(error) if name == file.name else f"{name}: {str(error).removeprefix(file.name + ': ')}")
            continue
        key = digest(image)
        if key in good:
            refused.append(f"{name}: has the same pixels as {good[key].name}. One of them is enough.")
            continue
        good[key] = Reference(name, key, functools.partial(load, file))
    if not good:
        first = f" First: {refused[0]}" if refused else ""
        raise InputError(
            f"No usable image in {', '.join(map(str, places))}: {len(refused)} refused.{first} "
            f"Give files or folders of {', '.join(sorted(SUFFIXES))}."
        )
    return Found(tuple(good.values()), tuple(refused))


def _files(places: Iterable[str | Path]) -> list[tuple[str, Path]]:
    files: list[tuple[str, Path]] = []
    for place in places:
        path = demo_photographs() if str(place) == DEMO else Path(place)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            files += [(_readable(p.relative_to(path).as_posix()), p) for p in inside]
        elif path.is_file():
            files.append((_readable(path.name), path))
        else:
            raise InputError(
                f"No file or folder {str(place)!r}. Check the path, or give 'demo' for bundled photographs."
            )
    return files


def _readable(name: str) -> str:
    """Return a file's name as text that can be stored, with bytes that are no UTF-8 spelt out."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
