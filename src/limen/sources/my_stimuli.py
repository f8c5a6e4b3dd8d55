"""Stimuli of your own: pictures that you have in graded versions already, listed in a CSV file.

    file,reference,level
    lake/fog-01.png,lake/clear.png,1
    lake/fog-02.png,lake/clear.png,2

Further columns: strength, distortion, word, unit. Each distortion that is named is one, with a ladder of its own.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from limen import digest as digests
from limen.distortion import Distortion, Render
from limen.errors import InputError
from limen.image import Image, digest, load
from limen.ladder import Ladder
from limen.source import Reference, Refusal, readable, size_of, source
from limen.sources._listed import CsvRow, inside, lacking, lines, number, plain, there

NAME = "my-stimuli"
EXPECTED = "a CSV file with the columns file, reference, and level or strength (and distortion, word, unit as needed)"
OUTSIDE = "files of yours, listed in a CSV"
Place = tuple[float, float]  # level or strength, by which the rows of a reference are ordered; and strength


@dataclass(slots=True)
class Listing:
    """What a CSV file lists of one distortion.

    Attributes:
        word, unit: of the question and of the strengths.
        files: by reference and place, each with the line it stands in.
        broken: references of which a row could not be used.
    """

    word: str
    unit: str
    files: dict[str, dict[Place, tuple[str, int]]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places that most references have, in order; the first ones where as many have others."""
        every = Counter(tuple(sorted(files)) for name, files in self.files.items() if name not in self.broken)
        return every.most_common(1)[0][0] if every else ()


@dataclass(frozen=True, slots=True)
class OwnStimuli:
    """A reference and its graded versions, which are read when they are shown.

    Attributes:
        name: of the reference.
        reference: uint8 RGB (H, W, 3).
        files: by strength, each with the digest of its pixels.
    """

    name: str
    reference: Image
    files: Mapping[float, tuple[Path, str]]

    @property
    def digest(self) -> str:
        """Of the reference's pixels and those that its versions had when they were listed."""
        return digests.of([digest(self.reference), [[strength, one] for strength, (_, one) in self.files.items()]])

    def at(self, strength: float) -> Image:
        """Return the picture of a strength; 0 is the reference.

        Raises:
            InputError: there is none of this strength, it cannot be read, or has other pixels than when it was listed.
        """
        if not strength:
            return self.reference
        if strength not in self.files:
            raise InputError(f"{self.name} has no file of strength {strength:g}. Take strengths of the CSV file.")
        file, known = self.files[strength]
        picture = load(file)
        if digest(picture) != known:
            raise InputError(
                f"{readable(file.name)}: has other pixels than when the study was planned: it has changed since. "
                "Restore it and run the same command again, or start anew with another --out."
            )
        return picture


def distortions(path: str) -> dict[str, Distortion]:
    """Return the distortions that a CSV file lists, by name, each with the ladder that most of its references have.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    listed, _ = _read(path)
    return {
        name: Distortion(
            name,
            one.word,
            Ladder(tuple(strength for _, strength in one.places), one.unit),
            _prepare,
            summary="Stimuli that were made elsewhere, read from files.",
            of=_kind(name),
            outside=OUTSIDE,
        )
        for name, one in listed.items()
        if one.places
    }


@source(NAME, get="List your pictures in a CSV file: see docs/howto/ladders.md.", distortions=distortions)
def my_stimuli(path: str) -> Iterator[Reference | Refusal]:
    """Pictures that you have in graded versions: `my-stimuli=CSV`; brings its distortions with it."""
    listed, refused = _read(path)
    yield from refused
    folder, file = Path(path).parent, readable(Path(path).name)
    for name, one in listed.items():
        for reference, files in one.files.items():
            if reference in one.broken:
                yield Refusal(f"{file}: {readable(reference)} is left out: a row of it ({name}) cannot be used.")
            elif tuple(sorted(files)) != one.places:
                yield Refusal(f"{file}: {readable(reference)}{_differs(one, files)}")
            else:
                yield _reference(file, folder, name, reference, {place: files[place] for place in one.places})


def _prepare(stimuli: OwnStimuli, rng: np.random.Generator) -> Render:
    return stimuli.at


def _kind(name: str) -> str:
    return f"own stimuli ({name})"


def _read(path: str) -> tuple[dict[str, Listing], list[Refusal]]:
    """Return what a CSV file lists, by distortion, and what of it cannot be used."""
    place = there(path)
    listed: dict[str, Listing] = {}
    refused: list[Refusal] = []
    try:
        if place.is_dir():
            raise InputError("is a folder")
        for row in lines(place, ("file", "reference")):
            if isinstance(row, Refusal):
                refused.append(row)
                continue
            if not {"level", "strength"} & row.fields.keys():
                raise InputError(f"has no column 'level' or 'strength', among: {', '.join(row.fields)[:200]}")
            try:
                _add(listed, row)
            except InputError as error:
                refused.append(Refusal(f"{readable(place.name)} line {row.number}: {error}."))
    except InputError as error:
        raise lacking(NAME, path, str(error).removesuffix("."), EXPECTED) from None
    if not any(one.places for one in listed.values()):
        first = f". First: {refused[0].line.removesuffix('.')}" if refused else ""
        raise lacking(NAME, path, f"no row of it can be used{first}", EXPECTED)
    return listed, refused


def _add(listed: dict[str, Listing], row: CsvRow) -> None:
    """Add a row to what is listed; raise `InputError` without its full stop where it cannot be used."""
    given = row.fields
    name = plain(given.get("distortion") or NAME)
    unit = given.get("unit") or ("strength" if "strength" in given else "level")
    one = listed.setdefault(name, Listing(given.get("word") or name.replace("_", " "), unit))
    reference = given["reference"]
    try:
        for column, known in (("word", one.word), ("unit", one.unit)):
            if given.get(column) not in (None, "", known):
                raise InputError(f"{name} has another {column} in an earlier row, {known!r:.60}. Write it alike")
        place = _place(given)
        if place in one.files.get(reference, {}):
            earlier = one.files[reference][place][1]
            raise InputError(f"line {earlier} has the same reference, distortion and level. Keep one of them")
        if any(strength == place[1] for _, strength in one.files.get(reference, {})):
            raise InputError(f"another level of the same reference has the strength {place[1]:g}. Correct one of them")
    except InputError:
        one.broken.add(reference)
        one.files.setdefault(reference, {})
        raise
    one.files.setdefault(reference, {})[place] = (given["file"], row.number)


def _place(given: Mapping[str, str]) -> Place:
    """Return where among the versions of its reference a row stands."""
    for column in ("level", "strength"):
        if column in given and not given[column]:
            raise InputError(f"has no {column}. Give a number")
    level = number(given["level"]) if "level" in given else None
    strength = number(given["strength"]) if "strength" in given else level
    assert strength is not None
    if level is not None and (level < 1 or level != int(level)):
        raise InputError(f"level {level:g} is not a whole number from 1. Level 0 is the reference itself: leave it out")
    if not strength:
        raise InputError("strength 0 stands for the reference itself. Leave the row out, or give another number")
    return (strength if level is None else level), strength


def _differs(one: Listing, files: Mapping[Place, object]) -> str:
    """Return what of a reference's levels differs from those of most."""
    most, mine = set(one.places), set(files)
    missing, more = (", ".join(f"{place[1]:g}" for place in sorted(of)[:5]) for of in (most - mine, mine - most))
    told = [f"lacks {missing}"] * bool(missing) + [f"has {more} beside them"] * bool(more)
    return (
        f" has other strengths than most references ({' and '.join(told)}). All references need the same ones: add or "
        "remove rows."
    )


def _reference(
    file: str, folder: Path, distortion: str, name: str, rows: Mapping[Place, tuple[str, int]]
) -> Reference | Refusal:
    """Return one reference with its versions, or why it cannot be used."""
    where = f"{file}: reference {readable(name)}"
    try:
        first = inside(folder, name)
        whole = load(first)
        files: dict[float, tuple[Path, str]] = {}
        for (_, strength), (given, line) in rows.items():
            where = f"{file} line {line}"
            version = inside(folder, given)
            picture = load(version)
            if picture.shape != whole.shape:
                sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (picture, whole))
                raise InputError(
                    f"{readable(given)} and its reference have {sizes} px, and size alone would tell them apart. Scale "
                    "or crop both alike"
                )
            files[strength] = (version, digest(picture))
    except InputError as error:
        return Refusal(f"{where}: {str(error).removesuffix('.')}. {readable(name)} is left out ({distortion}).")
    stimuli = OwnStimuli(readable(name), whole, files)
    again = functools.partial(_again, readable(name), first, files)
    return Reference(readable(name), stimuli.digest, again, kind=_kind(distortion), size=size_of(whole))


def _again(name: str, file: Path, files: Mapping[float, tuple[Path, str]]) -> OwnStimuli:
    return OwnStimuli(name, load(file), files)
