"""The paper's result with about half its questions."""

from typing import Annotated

import msgspec

from limen.ladder import Ladder
from limen.procedure import Probe, Procedure, Search, ask, chain, pattern, procedure
from limen.reading import Verdict


@procedure("skip")
class Skip(msgspec.Struct, frozen=True):
    """Ask the *last* level of the window first, as Boyer and Moore (1977) search text; same JNDs as the scan.

    For the smallest level not yet ruled out, its window is asked from the last level to the first. A no at p
    rules out every candidate whose window holds p. The result equals the scan's for every set of answers: both
    return the smallest k whose whole pattern says yes; only the order of asking differs.

    Attributes:
        gap, confirm, orders: as for `scan`.
    """

    gap: Annotated[int, msgspec.Meta(ge=1)] = 1
    confirm: Annotated[int, msgspec.Meta(ge=0)] = 2
    orders: Annotated[int, msgspec.Meta(ge=0)] = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        return chain(ladder, self.gap, self.confirm, self.orders, lambda reference: self._next(reference, len(ladder)))

    def _next(self, reference: int, levels: int) -> Search:
        known: dict[Probe, Verdict] = {}
        for k in range(reference + 1, levels + 1):
            probes = [Probe(reference, p) for p in reversed(pattern(k, self.gap, self.confirm, levels))]
            if any(probe in known and not known[probe].yes for probe in probes):
                continue  # a no already asked about rules k out
            for probe in probes:
                yield from ask(known, probe)
                if not known[probe].yes:
                    break
            else:
                return k
        return None
