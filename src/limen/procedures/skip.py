"""The paper's result with about half its questions."""

from typing import Annotated

import msgspec

from limen.ladder import Ladder
from limen.procedure import Procedure, chain, procedure, skip


@procedure("skip")
class Skip(msgspec.Struct, frozen=True):
    """Ask the *last* level of the window first, as Boyer and Moore (1977) search text; same JNDs as the scan.

    Attributes:
        gap, confirm, orders: as for `scan`.
    """

    gap: Annotated[int, msgspec.Meta(ge=1)] = 1
    confirm: Annotated[int, msgspec.Meta(ge=0)] = 2
    orders: Annotated[int, msgspec.Meta(ge=0)] = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder."""
        levels = len(ladder)
        return chain(ladder, self.gap, self.confirm, self.orders, lambda r: skip(r, levels, self.gap, self.confirm))
