"""The method of constant stimuli."""

from typing import Annotated

import msgspec

from limen.errors import InputError
from limen.ladder import Ladder
from limen.procedure import LONGEST, Ask, Draws, Levels, Probe, Procedure, procedure


@procedure("constant")
class Constant(msgspec.Struct, frozen=True):
    """Ask about fixed levels against the reference (Fechner 1860); gives a curve of p(yes), no protocol JND.

    Attributes:
        levels: which ones; none given means every `every`-th, and always the last.
        every: spacing where `levels` are not given.
        draws: how often each is asked; twice is a declared second draw (the pair swapped, or of a model that samples
            another sample), which shows the order effect or the test-retest agreement (`limen fit`).
    """

    levels: Levels = ()
    every: Annotated[int, msgspec.Meta(ge=1, le=LONGEST)] = 5
    draws: Draws = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder.

        Raises:
            InputError: a level outside the ladder, when the first question is wanted.
        """
        top = len(ladder)
        chosen = self.levels or (*range(self.every, top, self.every), top)
        if not all(1 <= k <= top for k in chosen):
            raise InputError(f"Procedure 'constant': levels {list(chosen)} are not all between 1 and {top}.")
        yield Ask(tuple(Probe(0, k, draw) for k in chosen for draw in range(self.draws)))
        return ()
