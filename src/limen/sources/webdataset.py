"""Pictures in tar shards, as the library webdataset packs them: parts of a sample share a name up to its first dot."""

import functools
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from limen.errors import InputError
from limen.image import SUFFIXES, Image, decode, digest, too_long
from limen.image.container import LARGEST_PICTURE
from limen.image.folder import UNREAD, Walk, grouped, hidden, walk
from limen.source import Reference, Refusal, readable, size_of, source
from limen.sources._listed import lacking, relative, there

EXPECTED = "a .tar file, or a folder of .tar shards, uncompressed, with pictures such as 0001.jpg"
_BLOCK = 512  # bytes: of which headers and an archive's end are made
# What tarfile raises for broken archives, RecursionError for a long chain of extended headers.
_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, LookupError, ArithmeticError, RecursionError)


@source(
    "webdataset",
    get="Any uncompressed .tar or folder of them: webdataset=PATH, or webdataset=PATH#seg.png for one kind of part.",
)
def webdataset(path: str) -> Iterator[Reference | Refusal]:
    """Pictures in tar shards: `webdataset=PATH`, or `webdataset=PATH#EXTENSION` (`seg.png` of 0001.seg.png).

    Without an extension, parts with a simple one are taken: 0001.jpg, not 0001.seg.png. Nothing is unpacked to disk.
    """
    whole, mark, extension = path.rpartition("#")
    if not mark or Path(path).exists():
        whole, extension = path, ""
    place = there(whole)
    found = walk(place, follow=False) if place.is_dir() else Walk([place])
    yield from map(Refusal, found.lines)
    shards = [file for file in found.files if file == place or file.suffix.lower() == ".tar"]
    some, first = False, "there is no .tar file"
    for number, shard in enumerate(shards):
        name = readable(shard.relative_to(place).as_posix() if place.is_dir() else shard.name)
        for item in _shard(shard, name, extension.lower().lstrip(".")):
            some = some or isinstance(item, Reference)
            first = item.line if isinstance(item, Refusal) and number == 0 and not some else first
            yield item
    if not some:
        raise lacking("webdataset", path, first.removesuffix("."), EXPECTED)


def _shard(shard: Path, name: str, extension: str) -> Iterator[Reference | Refusal]:
    """Yield the pictures of a shard in the order of its members; a break in it ends it with a refusal."""
    unread: dict[tuple[str, str], list[str]] = defaultdict(list)
    try:
        with tarfile.open(shard, "r:", errors="surrogateescape") as archive:
            for member in _members(archive):
                found = _member(shard, name, extension, member)
                if found is not None:
                    yield found
                elif not extension and (suffix := _unread(member)):
                    unread[suffix, UNREAD[suffix]].append(readable(member.name))
    except _BROKEN as error:
        cause = getattr(error, "strerror", None) or error
        yield Refusal(f"{name}: is broken, compressed or no tar ({cause}). Give an uncompressed, whole .tar.")
    yield from (Refusal(f"{name}: {line}") for line in grouped(unread))


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members in order, keeping no list of them.

    Raises:
        tarfile.ReadError: a negative size leads back to an earlier member (tarfile would go round for ever), or what
            follows the last one is no end (tarfile takes a broken header for it).
    """
    last = -1
    while (member := archive.next()) is not None:
        if member.offset <= last or member.size < 0:
            raise tarfile.ReadError(f"the member at byte {member.offset} has a negative size")
        last = member.offset
        archive.members = []  # type: ignore[attr-defined]
        yield member
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if any(archive.fileobj.read(_BLOCK)):
        raise tarfile.ReadError(f"what follows byte {archive.offset} is no member")


def _member(shard: Path, name: str, extension: str, member: tarfile.TarInfo) -> Reference | Refusal | None:
    _, _, parts = member.name.rpartition("/")[2].partition(".")
    ending = parts.lower()
    if member.isdir() or not _wanted(ending, extension) or any(map(_hidden, member.name.split("/"))):
        return None
    shown = f"{name}/{readable(member.name)}"
    try:
        relative(member.name)
        if ending.endswith(("svg", "svgz")):
            raise InputError("is SVG, which draws differently in each viewer. Export it as PNG")
        if not member.isreg() or member.issparse():
            raise InputError("is a link or a special file. Pack the picture itself")
        if member.size > LARGEST_PICTURE:
            raise InputError(too_long(member.size, LARGEST_PICTURE))
    except InputError as error:
        return Refusal(f"{shown}: {error}.")
    load = functools.partial(_load, shard, member.offset_data, member.size, shown)
    try:
        image = load()
        return Reference(shown, digest(image), load, size=size_of(image))
    except InputError as error:
        return Refusal(str(error))


def _unread(member: tarfile.TarInfo) -> str:
    """Return the suffix of a member that is a picture in a format that is not read, or ""."""
    _, dot, ending = member.name.rpartition("/")[2].partition(".")
    suffix = dot + ending.lower()
    return suffix if suffix in UNREAD and member.isreg() and not any(map(_hidden, member.name.split("/"))) else ""


def _hidden(part: str) -> bool:
    return part not in (".", "..") and hidden(part)


def _wanted(ending: str, extension: str) -> bool:
    return ending == extension if extension else f".{ending}" in SUFFIXES or ending in ("svg", "svgz")


def _load(shard: Path, offset: int, size: int, name: str) -> Image:
    try:
        with open(shard, "rb") as file:
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error}). Put the shard back.") from None
    if len(data) < size:
        raise InputError(f"{name}: is cut short, {len(data)} of {size} bytes. Fetch the shard again.")
    return decode(data, name)
