"""Halving, with the paper's confirmation."""

import math
from typing import Annotated

import msgspec

from limen.ladder import Ladder
from limen.parsing.yes_no import Verdict
from limen.procedure import LONGEST, Gap, Orders, Probe, Procedure, Search, SearchResult, ask, chain, pattern, procedure


@procedure("bisect")
class Bisect(msgspec.Struct, frozen=True):
    """Halve the ladder down to a first yes, and confirm it as the scan does; a no in the window sends it on above.

    Right where answers grow with the level; at false alarms of .1 and lapses of .1 it finds the scan's J in about
    seven series of ten (`limen simulate`). `skip` is exact, `certify` says how sure it is.

    Attributes:
        gap, confirm, orders: as for `scan`.
    """

    gap: Gap = 1
    confirm: Annotated[int, msgspec.Meta(ge=1, le=LONGEST)] = 2
    orders: Orders = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        return chain(ladder, self.gap, self.confirm, self.orders, lambda reference: self._next(reference, len(ladder)))

    def _next(self, reference: int, levels: int) -> Search:
        known: dict[Probe, Verdict] = {}
        no = reference  # the highest level taken for unnoticed
        while no < levels:
            yes = levels
            while yes - no > 1:
                middle = Probe(reference, (no + yes) // 2)
                yield from ask(known, middle)
                if known[middle].yes:
                    yes = middle.level
                else:
                    no = middle.level
            for level in reversed(pattern(yes, self.gap, self.confirm, levels)):
                probe = Probe(reference, level)
                yield from ask(known, probe)
                if not known[probe].yes:
                    no = level  # rules out what lies below it too
                    break
            else:
                return SearchResult(yes, math.nan)
        return SearchResult(None, math.nan)
