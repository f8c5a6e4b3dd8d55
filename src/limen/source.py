"""What a source is: a published data set, a folder, a scene; it gives references one by one, and says what is broken.

A place to look is written `KIND=PATH` (`konjnd=/data/KonJND-1k`), as the path of a file or folder of images, or as the
name of a source that needs no path (`demo`, `scene`). To add a source, put a file into `sources/`:

    @source("mine", licence="CC0-1.0", where="https://example.org/mine", get="Download and unpack the archive.")
    def mine(path):
        yield Reference(name, digest, load)     # or Refusal("row 3: has no image. Fetch it again.")
"""

import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from limen import digest as digests
from limen import registry
from limen.errors import InputError
from limen.image import SUFFIXES, Image, digest, load, scale_down
from limen.item import Item


class ReferenceKind(StrEnum):
    """What a reference is; a distortion is done to one kind (`Distortion.of`). Others' plug-ins may bring their own."""

    IMAGE = "image"
    ANGLE = "angle"
    DISTANCE = "distance"
    PAIR = "pair"
    SCORED_PAIR = "scored pair"
    ITEM = "item"
    QUESTION = "question"


VIEWS = (ReferenceKind.ANGLE, ReferenceKind.DISTANCE)  # what a scene draws, turned or moved
PAIRS = (ReferenceKind.PAIR, ReferenceKind.SCORED_PAIR)  # two pictures: a change that others made


@dataclass(frozen=True, slots=True)
class Reference:
    """What a series begins with, by name and digest; pixels are loaded when they are needed.

    Attributes:
        name: as the user knows it, relative to what was given; never an absolute path.
        digest: of what decides the pixels: of an image they themselves; of an item, of its picture and its text.
        load: returns an image; a view of a scene; or the two images of a pair.
        kind: a `ReferenceKind`, or the word of somebody else's plug-in.
        strength: of the one level of a scored pair (an opinion score); None elsewhere.
        source: the registered name of where it comes from.
        licence: stated for this very reference; "" where the source's counts.
        size: of its pictures, width and height in px; (0, 0) where it is not known before they are loaded.
        item: the question that is asked of the picture, where the kind is `ReferenceKind.ITEM`; None elsewhere.
        picture: of an item the digest of its picture's pixels alone, which other items may share; "" elsewhere, and
            where a source does not say.
        of: where photographs are shown at several sizes (`at_sides`), the digest of this one before it was scaled,
            which all its sizes share; "" elsewhere.
        side: where it is one of several sizes, its longer side in px, as the study asked for it; 0 at its own size.
    """

    name: str
    digest: str
    load: Callable[[], Any]
    kind: str = ReferenceKind.IMAGE
    strength: float | None = None
    source: str = "folder"
    licence: str = ""
    size: tuple[int, int] = (0, 0)
    item: Item | None = None
    picture: str = ""
    of: str = ""
    side: int = 0

    def digest_of(self, loaded: Any) -> str:
        """Return the digest that a reference of this kind, and of this item, has with other pixels.

        Args:
            loaded: an image, or the two images of a pair.
        """
        found = digest_of(loaded)
        return found if self.item is None else item_digest(found, self.item)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line for something that cannot be used: what is wrong, what would be right, what to do."""

    line: str


Read: TypeAlias = Callable[[str], Iterator[Reference | Refusal]]
Bring: TypeAlias = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """A registered kind of source.

    Attributes:
        name: unique.
        read: given what stands behind `KIND=`, yields references and refusals in an order that does not change.
        licence: of the data; "" where none is stated.
        where: the page it is published on.
        get: one sentence, how to get it.
        summary: one line, the first of the function's docstring.
        bare: whether it may be named without a path.
        distortions: of a source whose references bring their own: given what stands behind `KIND=`, those
            `limen.distortion.Distortion` by name; None elsewhere.
    """

    name: str
    read: Read
    licence: str
    where: str
    get: str
    summary: str
    bare: bool
    distortions: Bring | None = None


def source(
    name: str,
    *,
    licence: str = "",
    where: str = "",
    get: str = "",
    bare: bool = False,
    distortions: Bring | None = None,
) -> Callable[[Read], Read]:
    """Register a function from a path to references and refusals as the source `name`.

    Args:
        name: unique among sources: the KIND of `--images KIND=PATH`.
        licence: SPDX identifier, or a few words; "" where it is not known.
        where: address at which the data are published.
        get: one line that says how to get them.
        bare: whether the KIND is given without a path.
        distortions: of a source whose references bring their own distortions, what gives them by name.
    """

    def keep(read: Read) -> Read:
        summary = (read.__doc__ or "").strip().split("\n")[0]
        registry.add("source", name)(Source(name, read, licence, where, get, summary, bare, distortions))
        return read

    return keep


def find(name: str) -> Source:
    """Return the source `name`, or raise `UnknownNameError`."""
    found = registry.find("source", name)
    assert isinstance(found, Source)
    return found


NEEDED: dict[str, str] = {  # by kind: which references, in words
    ReferenceKind.IMAGE: "photographs (a file, a folder, or demo)",
    **dict.fromkeys(VIEWS, "views of a 3D scene (scene, scene=room)"),
    ReferenceKind.PAIR: "pairs that others made (magicbrush=PATH, spot-the-diff=PATH)",
    ReferenceKind.SCORED_PAIR: "pairs with opinion scores (band2k=PATH)",
    **dict.fromkeys(
        (ReferenceKind.ITEM, ReferenceKind.QUESTION), "items: a question a picture (items=FILE, demo-items)"
    ),
}


@dataclass(frozen=True, slots=True)
class References:
    """References, and one line for each that could not be used."""

    references: tuple[Reference, ...]
    refused: tuple[str, ...]


def collect(
    places: Iterable[str | Path],
    limit: int = 0,
    progress: Callable[[str], None] = lambda name: None,
    kinds: Collection[str] | None = None,
    max_side: int | Sequence[int] = 0,
    further: Iterable[Reference] = (),
) -> References:
    """Collect references from files, folders (searched whole) and data sets, each place in its own fixed order.

    Each image is decoded once, to digest it; a broken one is named and left out, and so is a second one with the
    same pixels, because two copies of a picture are not two references.

    Args:
        places: files, folders, `KIND=PATH`, or the name of a source that needs no path.
        limit: at most so many good references of each kind, >= 0; 0 for no limit.
        progress: called with each reference's name.
        kinds: of references wanted; None for all.
        max_side: photographs are scaled down to that many px on the longer side; 0 leaves them as they are. Views of
            scenes are drawn at a size of their own. Several: each photograph at each of them is a reference of its own
            (`at_sides`), while `limit` counts photographs.
        further: references that are there already, looked at first.

    Raises:
        InputError: a place does not exist, or nothing usable is left.
    """
    good: dict[str, Reference] = {}
    refused: list[str] = []
    count: Counter[str] = Counter()
    other: Counter[tuple[str, str]] = Counter()
    places = list(places)
    sides = (max_side,) if isinstance(max_side, int) else tuple(max_side)
    for item in itertools.chain(further, itertools.chain.from_iterable(map(read, places))):
        if isinstance(item, Refusal):
            refused.append(item.line)
            continue
        if kinds is not None and item.kind not in kinds:
            other[item.source, item.kind] += 1
            continue
        progress(item.name)
        sized = list(at_sides(item, sides))
        refused += [one.line for one in sized if isinstance(one, Refusal)]
        usable = [one for one in sized if isinstance(one, Reference)]
        if not usable:
            continue
        if limit and count[item.kind] >= limit:
            if kinds is None or all(count[kind] >= limit for kind in kinds):
                break
            continue
        before = len(good)
        for one in usable:
            if one.digest in good:
                same = "pixels" if one.item is None else "pixels and question"
                refused.append(f"{one.name}: has the same {same} as {good[one.digest].name}. One of them is enough.")
            else:
                good[one.digest] = one
        count[item.kind] += len(good) > before
    unfit = [
        f"{name}: {number:,} of the kind {str(kind)!r}, to which no distortion asked for is done."
        for (name, kind), number in other.items()
    ]
    if not good and unfit:
        wanted = ", or ".join(dict.fromkeys(NEEDED.get(kind, kind) for kind in sorted(kinds or ())))
        raise InputError(
            f"Nothing in {', '.join(map(str, places))} can undergo what was asked for. {' '.join(unfit)} "
            f"Give {wanted}; or leave the distortion out to get all that fit."
        )
    if not good:
        first = f" First: {refused[0]}" if refused else ""
        raise InputError(
            f"No usable reference in {', '.join(map(str, places))}: {len(refused)} refused.{first} "
            f"Give files or folders of {', '.join(sorted(SUFFIXES))}, or a source of `limen list sources`."
        )
    return References(tuple(good.values()), (*refused, *unfit))


def read(place: str | Path) -> Iterator[Reference | Refusal]:
    """Yield what one place holds.

    Raises:
        InputError: there is no such place, or its source needs a path.
    """
    name, path = split(place)
    found = find(name)
    if not path and not found.bare:
        raise InputError(f"Source {name!r} needs a path: {name}=FOLDER. {found.get}".strip())
    if name == str(place) and os.path.lexists(name):
        yield Refusal(f"{name}: the file or folder of this name is not read: {name} is a source. Give ./{name} for it.")
    for item in found.read(path):
        yield replace(item, source=name) if isinstance(item, Reference) else item


def brought(places: Iterable[str | Path]) -> dict[str, Any]:
    """Return the distortions that the references of some places bring with them, by name.

    Raises:
        InputError: a place cannot be read, or two bring another distortion under one name.
    """
    found: dict[str, Any] = {}
    for place in places:
        name, path = split(place)
        bring = find(name).distortions
        if bring is None or not path:
            continue
        for one, distortion in bring(path).items():
            known: Any = found.setdefault(one, distortion)
            if (known.ladder, known.word) != (distortion.ladder, distortion.word):
                raise InputError(f"{place}: its distortion {one!r} is another one elsewhere. Give it another name.")
    return found


def split(place: str | Path) -> tuple[str, str]:
    """Return a place's source and path; one without the name of a source is a file or folder of images."""
    known = registry.every("source")
    name, equals, path = str(place).partition("=")
    if name in known and (equals or find(name).bare):
        return name, path
    if equals and not Path(str(place)).exists() and "/" not in name and "\\" not in name:
        raise registry.unknown("source", name)
    return "folder", str(place)


def beside(place: str, folder: Path) -> str:
    """Return a place of a study file with its path taken from the file's folder."""
    name, path = split(place)
    if find(name).bare:
        return place
    return str(folder / path) if name == "folder" else f"{name}={folder / path}"


def of_file(file: Path, name: str) -> Reference | Refusal:
    """Return the reference that an image file is, or why it is none."""
    try:
        image = load(file)
        return Reference(readable(name), digest(image), functools.partial(load, file), size=size_of(image))
    except InputError as error:
        line = f"{name}: {str(error).removeprefix(file.name + ': ')}"
        return Refusal("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


def at_sides(reference: Reference, sides: Sequence[int]) -> Iterator[Reference | Refusal]:
    """Yield what is shown instead of a reference: at each of several sizes, or at the only one, or why nothing can be.

    Of several sizes each has its own in its name. One that the photograph does not reach leaves it as it is, which is
    yielded once, however many these are.

    Args:
        reference: as its source gives it.
        sides: px on the longer side, in ascending order; 0, the last one, is its own size.
    """
    if len(sides) == 1 or not _scales(reference):
        yield scaled_down(reference, sides[0]) if sides[0] else reference
        return
    seen = set()
    for side in sides:
        shown = scaled_down(reference, side) if side else reference
        if isinstance(shown, Refusal):
            yield shown
        elif shown.digest not in seen:
            seen.add(shown.digest)
            longer = max(shown.size)
            yield replace(
                shown,
                name=f"{reference.name} at {longer} px" if longer else f"{reference.name} at its own size",
                of=reference.picture or reference.digest,
                side=side if longer == side else 0,
            )


def _scales(reference: Reference) -> bool:
    """Whether it is made of photographs, which can be scaled."""
    return reference.kind in (ReferenceKind.IMAGE, ReferenceKind.ITEM, *PAIRS)


def scaled_down(reference: Reference, side: int) -> Reference | Refusal:
    """Return what is shown instead of a reference where its longer side may have `side` px, or why nothing can be.

    Its digest is that of the pixels shown: scaled and unscaled photographs never share an answer.
    """
    if not _scales(reference) or 0 < max(reference.size) <= side:
        return reference
    load = functools.partial(_smaller, reference.load, side)
    try:
        loaded = load()
    except InputError as error:
        return Refusal(f"{reference.name}: {error}")
    size = size_of(loaded[0] if isinstance(loaded, tuple) else loaded)
    picture = digest_of(loaded) if reference.picture else ""
    return replace(reference, digest=reference.digest_of(loaded), load=load, size=size, picture=picture)


def _smaller(load: Callable[[], Any], side: int) -> Any:
    loaded = load()
    if isinstance(loaded, tuple):
        return tuple(scale_down(image, side) for image in loaded)
    return scale_down(loaded, side)


def digest_of(loaded: Image | tuple[Image, ...]) -> str:
    """Return the digest of what the source of an image, or of a pair, loads."""
    return digests.of([digest(one) for one in loaded]) if isinstance(loaded, tuple) else digest(loaded)


def item_digest(picture: str, item: Item) -> str:
    """Return the digest of an item's reference: two questions about one picture are two references.

    Args:
        picture: the digest of the picture's pixels.
        item: what is asked of it; its text counts, its truth and its category do not.
    """
    return digests.of([picture, item.text])


def size_of(image: Image) -> tuple[int, int]:
    """Return an image's width and height."""
    return image.shape[1], image.shape[0]


def readable(name: str) -> str:
    """Return a file's name as text that can be stored, with bytes that are no UTF-8 spelt out."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
