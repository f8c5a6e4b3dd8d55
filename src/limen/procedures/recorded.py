"""What was answered elsewhere, at levels that somebody else chose."""

from typing import ClassVar

import msgspec

from limen.ladder import Ladder
from limen.procedure import Procedure, procedure


@procedure("recorded")
class Recorded(msgspec.Struct, frozen=True):
    """Ask nothing: a series is what was recorded of it. Gives a curve of p(yes), no protocol JND; imports write it.

    Levels may differ from series to series, so thresholds are fitted as those of adaptive runs are.
    """

    asks: ClassVar[bool] = False

    def start(self, ladder: Ladder) -> Procedure:
        """End at once."""
        yield from ()
        return ()
