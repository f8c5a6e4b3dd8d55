"""What a data set is: parts with published counts, and where the references of each part come from.

A part is a recipe: the references of one source, changed in one way. VPA-JND (Chen et al. 2025, arXiv:2507.00490) is
not published; here is how its counts close, and what public releases give of it. The paper states the totals and the
parts' sums; that they split like this is inferred from the sources' own counts.

    part("vpa-jnd:jpeg")
    images, distortions = places("vpa-jnd:jpeg", ["konjnd=/data/KonJND-1k"])        # to be measured without any file
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from limen import distortion, source
from limen.errors import InputError, LimenError, MissingExtraError, UnknownNameError
from limen.source import References
from limen.stimulus import Series


@dataclass(frozen=True, slots=True)
class PartSize:
    """How many references, and how many stimuli are made of them (level 0, the reference itself, is none)."""

    references: int
    stimuli: int


@dataclass(frozen=True, slots=True)
class Part:
    """One source, changed in one way.

    Attributes:
        name: as users call it; also how its shards begin.
        source: the registered source of its references.
        distortion: the registered distortion done to them.
        paper: what the paper has.
        public: what can be had from public releases.
        pool: the references it draws on; parts of one pool share them, and the pool's source may stand for its own.
        gap: why `public` is less than `paper`, or may be; "" where it is not.
    """

    name: str
    source: str
    distortion: str
    paper: PartSize
    public: PartSize
    pool: str
    gap: str = ""


def _konjnd(name: str, source: str = "konjnd", references: int = 1_008, levels: int = 50) -> Part:
    count = PartSize(references, references * levels)
    return Part(name, source, name, count, count, pool="konjnd")


def _views(name: str) -> Part:
    count = PartSize(2 * 50, 2 * 50 * 50)  # scenes x views x levels
    return Part(name, "scene", name, count, count, pool=name)


VPA_JND: tuple[Part, ...] = (
    *map(_konjnd, ("blur", "brightness", "saturation", "contrast", "noise")),
    _konjnd("jpeg", "konjnd-jpeg", references=504, levels=100),
    Part(
        "band2k", "band2k", "band2k", PartSize(2_000, 2_000), PartSize(2_000, 2_000), "band2k",
        "its page links archives of 2,000 banded pictures and does not say whether the undistorted ones are among them",
    ),
    *map(_konjnd, ("mask", "qr", "text")),
    Part(
        "magicbrush", "magicbrush", "spot", PartSize(5_313, 10_388), PartSize(4_512 + 266, 8_807 + 528), "magicbrush",
        "the test split (535 sessions, 1,053 edits) is a locked archive of its own, against training on it",
    ),
    Part(
        "spot-the-diff", "spot-the-diff", "spot", PartSize(13_077, 13_077), PartSize(11_329, 11_329), "spot-the-diff",
        "its public files describe 11,329 pairs (in 12,562 rows, some pairs more than once)",
    ),
    *map(_views, ("angle", "distance")),
)  # fmt: skip

DATA_SETS: Mapping[str, tuple[Part, ...]] = {"vpa-jnd": VPA_JND}


def find(name: str) -> tuple[Part, ...]:
    """Return the parts of the data set `name`, or raise `UnknownNameError`."""
    if name not in DATA_SETS:
        raise UnknownNameError("data set", name, DATA_SETS)
    return DATA_SETS[name]


def part(name: str) -> Part:
    """Return a part by its full name ("vpa-jnd:jpeg"), or raise `UnknownNameError`."""
    data_set, colon, short = name.partition(":")
    if not colon:
        raise InputError(f"A part is named DATASET:PART, not {name!r}: vpa-jnd:jpeg.")
    return chosen(data_set, [short])[0]


def chosen(data_set: str, names: Iterable[str] = ()) -> tuple[Part, ...]:
    """Return the parts of a data set with these names, in the data set's order; all if none is named."""
    known = {part.name: part for part in find(data_set)}
    names = set(names)
    for name in sorted(names - set(known)):
        raise UnknownNameError(f"part of {data_set}", name, known)
    return tuple(part for name, part in known.items() if not names or name in names)


def total(counts: Iterable[tuple[str, PartSize]]) -> PartSize:
    """Add the counts of parts, given with their pools: references that several parts share count once."""
    most: dict[str, int] = {}
    stimuli = 0
    for pool, count in counts:
        most[pool] = max(most.get(pool, 0), count.references)
        stimuli += count.stimuli
    return PartSize(sum(most.values()), stimuli)


@dataclass(frozen=True, slots=True)
class SourcePlaces:
    """What the user has on disk.

    Attributes:
        paths: where each source lies, by its name.
        photographs: places that stand in for KonJND-1k's photographs where that is not given.
    """

    paths: Mapping[str, str]
    photographs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, pairs: Iterable[str], photographs: Iterable[str] = (), data_set: str = "vpa-jnd") -> Self:
        """Read NAME=PATH pairs.

        Args:
            pairs: "NAME=PATH" of each source.
            photographs: files and folders of photographs of your own.
            data_set: a name of the table of data sets.

        Raises:
            InputError: one is no such pair, or names a source that the data set has not.
        """
        known = {part.source for part in find(data_set)}
        paths: dict[str, str] = {}
        for pair in pairs:
            name, _, path = pair.partition("=")
            if not path:
                raise InputError(f"--source takes NAME=PATH, not {pair!r}: konjnd=/data/KonJND-1k.")
            if name not in known:
                raise UnknownNameError(f"source of {data_set}", name, known)
            if paths.setdefault(name, path) != path:
                raise InputError(f"Source {name} was given twice: {paths[name]} and {path}. Give one of them.")
        return cls(paths, tuple(photographs))

    def places(self, part: Part) -> tuple[str, ...]:
        """Return where the references of a part are to be found (see `limen.source`); empty if nowhere."""
        path = self.paths.get(part.source) or self.paths.get(part.pool)
        if path:
            return (f"{part.source}={path}",)
        if part.pool == "konjnd" and self.photographs:
            return self.photographs
        return (part.source,) if source.find(part.source).bare else ()

    def stands_in(self, part: Part) -> bool:
        """Say whether other photographs take the place of the part's own source."""
        return bool(self.photographs) and self.places(part) == self.photographs


@dataclass(frozen=True, slots=True)
class PartOnDisk:
    """A part as it can be had here and now.

    Attributes:
        part: of the data set.
        series: one for each reference found.
        refused: one line for each thing that could not be used.
        stands_in: whether the references are other photographs than the paper's.
        given: whether there was a place to look, and it could be read.
        fault: why the place could not be read.
    """

    part: Part
    series: tuple[Series, ...] = ()
    refused: tuple[str, ...] = ()
    stands_in: bool = False
    given: bool = False
    fault: LimenError | None = None

    @property
    def count(self) -> PartSize:
        """How many series and stimuli; an edit is a series of its own, where the paper counts a session once."""
        return PartSize(len(self.series), sum(map(len, self.series)))


def survey(
    parts: Iterable[Part],
    given: SourcePlaces,
    limit: int = 0,
    seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
    strict: bool = True,
) -> tuple[PartOnDisk, ...]:
    """Return each part with the series that can be made of what is on disk, in a fixed order.

    Args:
        parts: of a data set.
        given: where its sources lie.
        limit: at most so many references a part, >= 0; 0 for all.
        seed: of the random draws of stimuli, any int.
        progress: called with each reference's name.
        strict: whether a place that cannot be read is an error; else it is the `fault` of its parts.

    Raises:
        InputError: a given place does not exist or holds nothing usable.
        MissingExtraError: a library that a source needs is not installed.
    """
    found: dict[tuple[tuple[str, ...], frozenset[str]], References | LimenError] = {}
    held = []
    for part in parts:
        kind, places = distortion.find(part.distortion), given.places(part)
        if not places:
            held.append(PartOnDisk(part))
            continue
        key = places, _kinds(part)
        if key not in found:  # parts of one pool: decode its images once
            found[key] = _collected(places, limit, progress, key[1])
        here = found[key]
        if isinstance(here, LimenError):
            if strict:
                raise here
            held.append(PartOnDisk(part, fault=here))
            continue
        series = tuple(Series(reference, kind, seed) for reference in here.references if reference.kind == kind.of)
        held.append(PartOnDisk(part, series, here.refused, given.stands_in(part), given=True))
    return tuple(held)


def _kinds(part: Part) -> frozenset[str]:
    """Return the kinds of references that a part and those beside it draw from one source; none of these is odd."""
    beside = {one for parts in DATA_SETS.values() for one in parts if one.source == part.source}
    return frozenset(distortion.find(one.distortion).of for one in {part, *beside})


def _collected(
    places: tuple[str, ...], limit: int, progress: Callable[[str], None], kinds: frozenset[str]
) -> References | LimenError:
    try:
        return source.collect(places, limit, progress, kinds)
    except (InputError, MissingExtraError) as error:
        return error


def places(name: str, sources: Iterable[str], photographs: Iterable[str] = ()) -> tuple[tuple[str, ...], tuple[str]]:
    """Return what a study needs to measure a part: its images (places) and its distortions (names).

    Args:
        name: of the part ("vpa-jnd:jpeg").
        sources: NAME=PATH pairs.
        photographs: places that stand in for KonJND-1k.

    Raises:
        InputError: the part's source was not given: what it is, where it is published, under which licence.
    """
    wanted = part(name)
    found = SourcePlaces.parse(sources, photographs, name.partition(":")[0]).places(wanted)
    if not found:
        raise InputError(missing(wanted))
    return found, (wanted.distortion,)


def missing(part: Part) -> str:
    """Return one line on a source that was not given: what it is, where published, which licence, how to give it."""
    of = source.find(part.source)
    stand_in = ", or --photographs FOLDER for other photographs" if part.pool == "konjnd" else ""
    where = f" Published at {of.where}." if of.where else ""
    return (
        f"{part.name} needs the source {of.name}, which was not given. It is: {of.summary}{where} "
        f"Licence: {of.licence or 'none stated'}. {of.get} Then add --source {part.pool}=PATH{stand_in}."
    )
