"""Several runs as one set of tables."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from limen import distortion as distortions
from limen.analysis import Analysis
from limen.errors import UnknownNameError
from limen.store import SeriesRow, shards
from limen.store.entries import DistortionEntry, Manifest, ShardEntry
from limen.store.shards import Missing

_ROWS = ("outcomes", "jnds", "answers", "curves", "estimates")
_Called: TypeAlias = Mapping[tuple[str, int, str], str]  # from a distortion's name, version and ladder


def renamed(analyses: Mapping[str, Analysis]) -> list[Analysis]:
    """Return the analyses of runs, by name, in which an observer that is in more than one of them gets its run's name.

    No two observers of all of them have one name, and no two ladders: levels of one ladder are not those of another,
    so a distortion that runs asked about on unlike ladders, or in unlike versions, is as many distortions, each with
    the ends of its ladder in its name. Limen's own ladder keeps the plain name.
    """
    called = _called(analyses)
    seen = Counter(observer for analysis in analyses.values() for observer in analysis.manifest.observers)
    taken, found = set(seen), []
    for run, analysis in analyses.items():
        names = {}
        for name in analysis.manifest.observers:
            names[name] = name
            if seen[name] > 1:
                names[name], number = f"{name} ({run})", 2
                while names[name] in taken:
                    names[name], number = f"{name} ({run} #{number})", number + 1
                taken.add(names[name])
        found.append(_renamed(analysis, names, called))
    return found


def own_name(name: str, known: Container[str]) -> str:
    """Return the name, among those known, of a distortion that `renamed` may have told apart by its ladder."""
    return name if name in known else name.rpartition(" (")[0]


def unlike(analysis: Analysis) -> Iterator[str]:
    """Yield a sentence for each distortion that was asked about on unlike ladders, of runs put together."""
    apart: dict[str, list[str]] = defaultdict(list)
    names = analysis.manifest.distortions
    for name in names:
        apart[name.rpartition(" (")[0] or name].append(name)
    for name, ladders in sorted(apart.items()):
        if len(ladders) > 1:
            yield (
                f"{name} was measured on unlike ladders ({'; '.join(ladders)}): a level of one is no level of another, "
                "so that they have rows of their own and are not compared."
            )


def _called(analyses: Mapping[str, Analysis]) -> _Called:
    """Return a name like no other for each ladder of each distortion."""
    ladders: dict[str, dict[tuple[int, str], DistortionEntry]] = defaultdict(dict)
    for analysis in analyses.values():
        for name, kind in analysis.manifest.distortions.items():
            ladders[name].setdefault((kind.version, kind.ladder), kind)
    taken, called = set(ladders), {}
    for name, kinds in ladders.items():
        for key, kind in kinds.items():
            new = name
            if len(kinds) > 1 and not _limens_own(name, kind):
                new, number = _by_ladder(name, kind), 2
                while new in taken:
                    new, number = f"{_by_ladder(name, kind)[:-1]}, #{number})", number + 1
                taken.add(new)
            called[name, *key] = new
    return called


def _by_ladder(name: str, kind: DistortionEntry) -> str:
    first, last = kind.strengths[0], kind.strengths[-1]
    return f"{name} ({first:g} to {last:g})" if kind.graded else f"{name} ({first:g})"


def _limens_own(name: str, kind: DistortionEntry) -> bool:
    try:
        here = distortions.find(name)
    except UnknownNameError:
        return False
    return (here.version, here.ladder.digest) == (kind.version, kind.ladder)


def together(analyses: Mapping[str, Analysis]) -> Analysis:
    """Put several runs, by name, into one set of tables."""
    return joined(renamed(analyses))


def joined(renamed: Sequence[Analysis]) -> Analysis:
    """Put analyses into one set of tables whose observers have names like no other.

    What a manifest says of one run alone (version, seed, when) is that of the first.
    """
    manifests = [each.manifest for each in renamed]
    procedure = manifests[0].procedure
    manifest = msgspec.structs.replace(
        manifests[0],
        observers={name: item for each in manifests for name, item in each.observers.items()},
        questions={name: item for each in manifests for name, item in each.questions.items()},
        distortions={name: item for each in manifests for name, item in each.distortions.items()},
        procedure=procedure if all(each.procedure == procedure for each in manifests) else {"name": "several"},
        shard=_shard(manifests),
    )

    def every(name: str) -> tuple[Any, ...]:
        return tuple(item for each in renamed for item in getattr(each, name))

    return Analysis(
        manifest,
        **{
            name: every(name)
            for name in (*_ROWS, "origins", "mixed", "categories", "people", "presentations", "chosen")
        },
        attempts={key: count for each in renamed for key, count in each.attempts.items()},
        unneeded=sum(each.unneeded for each in renamed),
        missing=_missing(renamed, manifest.shard),
    )


def _shard(manifests: Sequence[Manifest]) -> ShardEntry | None:
    """Return what shards runs of one division hold together; None where one is whole, or they are of several."""
    each = [one.shard for one in manifests]
    return shards.together(each) if None not in each and len({one.of for one in each if one}) == 1 else None


def _missing(renamed: Sequence[Analysis], shard: ShardEntry | None) -> tuple[Missing, ...]:
    if shard is None:
        whole = any(each.manifest.shard is None for each in renamed)
        return () if whole else tuple(one for each in renamed for one in each.missing)
    series = {
        one.series.id: (own_name(one.series.distortion, shard.series), one.picture or one.series.picture)
        for each in renamed
        for one in each.outcomes
    }
    return tuple(shards.lacking(shard, ((kind, shards.shard_of(of, shard.of)) for kind, of in series.values())))


def _renamed(analysis: Analysis, names: Mapping[str, str], called: _Called) -> Analysis:
    manifest = analysis.manifest
    observers = {names[name]: item for name, item in manifest.observers.items()}
    kinds = {name: called[name, kind.version, kind.ladder] for name, kind in manifest.distortions.items()}

    def row(of: Any) -> Any:
        return dataclasses.replace(of, observer=names[of.observer], distortion=kinds[of.distortion])

    rows: dict[str, Any] = {table: tuple(map(row, getattr(analysis, table))) for table in _ROWS if table != "outcomes"}
    return dataclasses.replace(
        analysis,
        manifest=msgspec.structs.replace(
            manifest,
            observers=observers,
            distortions={kinds[name]: kind for name, kind in manifest.distortions.items()},
        ),
        outcomes=tuple(
            dataclasses.replace(outcome, observer=names[outcome.observer], series=_series(outcome.series, kinds))
            for outcome in analysis.outcomes
        ),
        attempts={(names[observer], outcome): count for (observer, outcome), count in analysis.attempts.items()},
        origins=tuple(
            dataclasses.replace(row, observer=names.get(row.observer, row.observer)) for row in analysis.origins
        ),
        categories=tuple(dataclasses.replace(one, row=row(one.row)) for one in analysis.categories),
        people=tuple(dataclasses.replace(one, observer=names[one.observer]) for one in analysis.people),
        presentations=tuple(
            dataclasses.replace(one, session=_session(one.session, names)) for one in analysis.presentations
        ),
        chosen=tuple(names[name] for name in analysis.chosen),
        mixed=tuple(
            (names.get(observer, observer), kinds.get(kind, kind), name) for observer, kind, name in analysis.mixed
        ),
        **rows,
    )


def _session(session: str, names: Mapping[str, str]) -> str:
    """Return a sitting under its person's new name: a person of that alias in another run has sittings of their own."""
    whose, slash, number = session.rpartition("/")
    return f"{names.get(whose, whose)}{slash}{number}"


def _series(row: SeriesRow, kinds: Mapping[str, str]) -> SeriesRow:
    new = kinds[row.distortion]
    return row if new == row.distortion else dataclasses.replace(row, distortion=new)
