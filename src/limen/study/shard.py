"""A study shared among jobs: which of its references are a job's own.

That follows from a reference's digest alone, never from an order or a number of files: references that are added or
taken away move no other, and all series of one reference are in one shard, so that it is drawn and kept once. Shards
are therefore of about the same size, not of the same, and some may be empty; another number of shards is another
division altogether.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from limen.errors import InputError, StoreError
from limen.procedure import Learner, Method
from limen.stimulus import Series
from limen.store.entries import ShardEntry, fit
from limen.store.shards import largest, shard_of

MOST = 100_000  # shards of one study


@dataclass(frozen=True, slots=True)
class Shard:
    """A job's share of a study.

    Attributes:
        number: from 1 to `of`.
        of: how many shards there are, 1 for a study that is not divided.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that a study names, "3/16"; "" for a study that is not divided.

        Raises:
            InputError: it is none.
        """
        if not text:
            return cls()
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        number, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= of <= MOST:
            raise InputError(
                f"shard is {text[:40]!r}. Give I/N with 1 <= I <= N <= {MOST:,}: 1/8 for the first of eight jobs."
            )
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def stated(self, whole: Iterable[Series]) -> dict[str, Any]:
        """Return the manifest's entry of it (`limen.store.entries.ShardEntry`); none of a study that is not divided.

        Args:
            whole: the series of all shards.
        """
        if self.of == 1:
            return {}
        counts = Counter(one.distortion.name for one in whole)
        return {"shard": {"of": self.of, "parts": [self.number], "series": dict(sorted(counts.items()))}}

    def holds(self, reference: str) -> bool:
        """Say whether a reference, by its digest, belongs to this shard."""
        return shard_of(reference, self.of) == self.number

    def part(self, series: Iterable[Series]) -> tuple[Series, ...]:
        """Return those series of a whole study that are this shard's; items of one picture are in one shard."""
        return tuple(one for one in series if self.holds(one.reference.picture or one.reference.digest))

    def check(self, method: Method, procedure: str) -> None:
        """Raise `InputError` where series of a procedure that learns would be divided.

        What a later series begins with is learnt from earlier ones, so that thresholds would depend on the number of
        jobs.

        Args:
            method: the procedure with its settings.
            procedure: by name, for the message.
        """
        if self.of > 1 and isinstance(method, Learner):
            raise InputError(
                f"shard is {self}, but {procedure} learns from series to series: thresholds would depend on how they "
                "were divided. Give each job distortions of its own (--distortion) and merge them, or take a procedure "
                "that does not learn (skip, scan, questplus)."
            )


def going_on(path: Path, there: Mapping[str, Any], mine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a session changes of a manifest's entry of the shard: a merged run becomes that of a whole study.

    Args:
        path: the run directory, for messages.
        there: its manifest.
        mine: the manifest of the study that goes on.

    Raises:
        StoreError: the run holds another shard.
    """
    before, now = (
        fit(path / "manifest.json", one["shard"], ShardEntry) if one.get("shard") else None for one in (there, mine)
    )
    if (
        before is not None
        and now is not None
        and (before.of, before.parts, before.merged) == (now.of, now.parts, False)
    ):
        return {"shard": {**there["shard"], "series": largest((before.series, now.series))}}
    if before == now:
        return {}
    if before is not None and before.merged and now is None:
        return {"shard": None}
    if before is None or before.merged:
        held = "the whole study" if before is None else f"{before} merged, and is finished without a shard"
        remedy = "Leave --shard out, or give another --out."
    else:
        held = f"{before} of its study"
        remedy = (
            f"Give --shard {before.parts[0]}/{before.of} to go on, or another --out; limen merge puts shards together."
        )
    given = f"shard {now.parts[0]}/{now.of}" if now is not None else "no shard"
    raise StoreError(f"{path} holds {held}; given is {given}. {remedy}")
