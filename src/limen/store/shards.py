"""Which shards of a divided study a run holds, and what is missing: decided from its series and from what was asked.

A reference's digest says to which shard it belongs, so that a run shows which shards of a distortion it holds; how many
series the whole study has (`limen.store.entries.ShardEntry.series`) says whether that is all.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from limen import digest
from limen.store import Store, ledger
from limen.store.entries import ITEMS, ShardEntry, numbered

_FEW = 8  # clauses of what is missing


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of a divided study that a run does not hold.

    Attributes:
        shards: which of them; () where that is not known.
        of: how many there are.
        distortions: by name; () for all.
        observer, question: by name; "" for all.
        series: how many there are not, over all of these distortions; 0 where that is not known.
    """

    shards: tuple[int, ...]
    of: int
    distortions: tuple[str, ...] = ()
    observer: str = ""
    question: str = ""
    series: int = 0

    def __str__(self) -> str:
        what = ", ".join(filter(None, (self.observer, self.question, *self.distortions)))
        where = f"{numbered(list(self.shards))} of {self.of}" if self.shards else f"{self.series:,} series"
        return f"{where}{f' of {what}' if what and not self.shards else f' ({what})' if what else ''}"


def shard_of(reference: str, of: int) -> int:
    """Return the number, from 1, of the shard that a reference belongs to.

    Args:
        reference: its digest; of an item with a picture that of the picture.
        of: how many shards there are.
    """
    return digest.seed("shard", reference) % of + 1


def together(each: Sequence[ShardEntry | None]) -> ShardEntry | None:
    """Return what several runs say of their shards as one entry; None where no run holds a shard.

    Its parts are all of them where one of the runs is a whole one.
    """
    there = [one for one in each if one is not None]
    if not there:
        return None
    of = there[0].of
    parts = sorted({part for one in there if one.of == of for part in one.parts})
    series = largest(one.series for one in there)
    short = {part for one in there for part in (one.parts if _fewer(one, series) else one.short)}
    full = {part for one in there if not _fewer(one, series) for part in one.parts if part not in one.short}
    every = parts if len(there) == len(each) else list(range(1, of + 1))
    return ShardEntry(of, every, True, series, sorted(short - full))


def largest(each: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the largest number of each name."""
    found: dict[str, int] = {}
    for one in each:
        for name, count in one.items():
            found[name] = max(count, found.get(name, 0))
    return found


def _fewer(one: ShardEntry, series: Mapping[str, int]) -> bool:
    return any(count < series[name] for name, count in one.series.items())


def missing(store: Store, shard: ShardEntry | None) -> tuple[Missing, ...]:
    """Return what a run lacks of the study that it holds shards of; () where it lacks nothing.

    Args:
        store: of the run.
        shard: what its manifest says of shards.
    """
    if shard is None:
        return ()
    pictures = {key: str(row.get("picture", "")) for key, row in store.measurements(ITEMS).items()}
    where = {
        one.id: (one.distortion, shard_of(pictures.get(one.picture) or one.picture, shard.of)) for one in store.series()
    }
    return (*lacking(shard, where.values()), *_asked(_lanes(store, where), shard, {kind for kind, _ in where.values()}))


def lacking(shard: ShardEntry, places: Iterable[tuple[str, int]]) -> list[Missing]:
    """Return which shards hold no series of a distortion of which there are more than these.

    Args:
        shard: what is said of shards.
        places: of each series, its distortion and its shard.
    """
    if not shard.series:  # of an older limen, which says only which shards there are
        return [Missing(tuple(shard.missing), shard.of)] if shard.missing else []
    held = Counter(places)
    numbers, found = range(1, shard.of + 1), dict[tuple[int, ...], dict[str, int]]()
    seen = {part for _, part in held}
    empty = set(shard.parts) - seen  # shards without a reference
    for kind, count in sorted(shard.series.items()):
        fewer = count - sum(held[kind, part] for part in seen)
        if fewer > 0:
            parts = {part for part in numbers if not held[kind, part]} - empty
            found.setdefault(tuple(sorted(parts | set(shard.short))), {})[kind] = fewer
    return [
        Missing(
            parts, shard.of, () if kinds.keys() == shard.series.keys() else tuple(kinds), series=sum(kinds.values())
        )
        for parts, kinds in found.items()
    ]


def _asked(
    lanes: Mapping[tuple[str, str], Collection[tuple[str, int]]], shard: ShardEntry, kinds: Collection[str]
) -> list[Missing]:
    """Return in which shards an observer was not asked a question that others were asked there."""
    every = {place for places in lanes.values() for place in places}
    found = list[Missing]()
    for (observer, question), places in sorted(lanes.items()):
        by_kind: dict[str, list[int]] = defaultdict(list)
        for kind, part in sorted(every - set(places)):
            by_kind[kind].append(part)
        alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for kind, parts in by_kind.items():
            alike[tuple(parts)].append(kind)
        found += [
            Missing(parts, shard.of, () if set(some) == set(kinds) else tuple(some), observer, question)
            for parts, some in alike.items()
        ]
    return found


def _lanes(store: Store, where: Mapping[str, tuple[str, int]]) -> dict[tuple[str, str], set[tuple[str, int]]]:
    """Return in which shards of which distortions each observer was asked each question, or in a file."""
    found: dict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
    for observer, question, series in store.put():
        if series in where:
            found[observer, question].add(where[series])
    for row in store.measurements(ledger.LINES).values():
        if row["series"] in where:
            found[row["observer"], row["question"]].add(where[row["series"]])
    return found


def listed(parts: Sequence[Missing]) -> str:
    """Return what is missing in words."""
    more = f"; and {len(parts) - _FEW:,} more" if len(parts) > _FEW else ""
    return f"{'; '.join(map(str, parts[:_FEW]))}{more}"
