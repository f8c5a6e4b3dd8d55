"""The paper's result with about half its questions."""

import msgspec

from limen.ladder import Ladder
from limen.procedure import Gap, Orders, Procedure, Window, chain, procedure, skip


@procedure("skip")
class Skip(msgspec.Struct, frozen=True):
    """Ask the *last* level of the window first, as Boyer and Moore (1977) search text; same JNDs as the scan.

    Attributes:
        gap, confirm, orders: as for `scan`.
    """

    gap: Gap = 1
    confirm: Window = 2
    orders: Orders = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        levels = len(ladder)
        return chain(ladder, self.gap, self.confirm, self.orders, lambda r: skip(r, levels, self.gap, self.confirm))
