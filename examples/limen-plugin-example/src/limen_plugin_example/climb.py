"""Up the ladder until several levels in a row are noticed."""

from typing import Annotated

import msgspec

from limen.ladder import Ladder
from limen.procedure import Ask, Probe, Procedure, procedure
from limen.threshold import Threshold


@procedure("climb")
class Climb(msgspec.Struct, frozen=True):
    """The lowest of `run` levels in a row that are all noticed."""

    run: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series."""
        noticed = 0
        for level in range(1, len(ladder) + 1):
            probe = Probe(0, level)
            verdicts = yield Ask((probe,))
            noticed = noticed + 1 if verdicts[probe].yes else 0
            if noticed == self.run:
                first = level - self.run + 1
                return (Threshold(1, first, ladder[first]),)
        return (Threshold(1, len(ladder), ladder[len(ladder)], censored=True, confirmed=False),)
