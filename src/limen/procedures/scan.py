"""The paper's protocol, level by level."""

import msgspec

from limen.ladder import Ladder
from limen.parsing.yes_no import Verdict
from limen.procedure import Gap, Orders, Probe, Procedure, Search, SearchResult, Window, ask, chain, pattern, procedure


@procedure("scan")
class Scan(msgspec.Struct, frozen=True):
    """Ask level after level; a yes is a JND if the confirmation window says yes too (Chen et al. 2025, pipeline).

    Attributes:
        gap: i_a, how far above the candidate the window begins. The paper does not give it; ours is 1.
        confirm: w, how many levels the window has. The paper does not give it; ours is 2.
        orders: how many JNDs to look for, each with the last one as reference; 0 for all.
    """

    gap: Gap = 1
    confirm: Window = 2
    orders: Orders = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        return chain(ladder, self.gap, self.confirm, self.orders, lambda reference: self._next(reference, len(ladder)))

    def _next(self, reference: int, levels: int) -> Search:
        known: dict[Probe, Verdict] = {}
        for k in range(reference + 1, levels + 1):
            candidate, *window = (Probe(reference, p) for p in pattern(k, self.gap, self.confirm, levels))
            yield from ask(known, candidate)
            if known[candidate].yes:
                yield from ask(known, *window)
                if all(known[probe].yes for probe in window):
                    return SearchResult(k)
        return SearchResult(None)
