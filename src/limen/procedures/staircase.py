"""Up and down: weighted and transformed staircases."""

import math
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from limen.errors import InputError
from limen.ladder import Ladder
from limen.parsing.yes_no import Verdict
from limen.procedure import AS_OFTEN, LONGEST, Levels, Probe, Procedure, Repeats, ask, procedure
from limen.threshold import Estimate

Steps = Annotated[int, msgspec.Meta(ge=1, le=LONGEST)]


@procedure("staircase")
class Staircase(msgspec.Struct, frozen=True):
    """Go down after `down` yes in a row, up after a no; the threshold is the mean of the reversals.

    Levitt 1971 (JASA 49:467) for `down` > 1 (2: 70.7 % yes, 3: 79.4 %); Kaernbach 1991 (P&P 49:227) for
    unequal steps: it converges where p step_down = (1 - p) step_up. Differs from both: a level that was asked as often
    as `draws` allows answers as before, without a question, because a greedy model would; and no interval is
    given, because reversals of one frozen observer are not independent.

    Attributes:
        start_level: where to begin; 0 for the top.
        step_up, step_down: in levels (of `levels`, where these are given).
        down: yes in a row before a step down.
        levels: the only levels to use; all of the ladder if none are given.
        reversals: how many to stop at; the first two are not in the mean.
        trials: steps at most.
        draws: how often a level may be asked; more than once are declared second draws; 0 for as often as it is come
            to, which a study of people takes by itself.
    """

    fits: ClassVar[bool] = True

    start_level: Annotated[int, msgspec.Meta(ge=0, le=LONGEST)] = 0
    step_up: Steps = 2
    step_down: Steps = 2
    down: Steps = 1
    levels: Levels = ()
    reversals: Annotated[int, msgspec.Meta(ge=3, le=1_000)] = 8
    trials: Steps = 40
    draws: Repeats = 1

    def start(self, ladder: Ladder) -> Procedure:
        """Begin on a series with this ladder.

        Raises:
            InputError: a level outside the ladder.
        """
        top = len(ladder)
        levels = tuple(sorted(set(self.levels))) or tuple(range(1, top + 1))
        if levels[0] < 1 or levels[-1] > top:
            raise InputError(f"Procedure 'staircase': levels {list(self.levels)} are not all between 1 and {top}.")
        return self._run(ladder, levels)

    def _run(self, ladder: Ladder, levels: tuple[int, ...]) -> Procedure:
        place = max(0, int(np.searchsorted(levels, self.start_level or levels[-1], side="right")) - 1)
        known: dict[Probe, Verdict] = {}
        turns: list[int] = []
        in_a_row = heading = visits = 0
        asked: dict[int, int] = {}
        while visits < self.trials and len(turns) < self.reversals:
            visits += 1
            level = levels[place]
            draw = asked.get(level, 0)
            probe = Probe(0, level, draw if self.draws == AS_OFTEN else min(draw, self.draws - 1))
            asked[level] = draw + 1
            yield from ask(known, probe)
            in_a_row = in_a_row + 1 if known[probe].yes else 0
            if known[probe].yes and in_a_row < self.down:
                continue
            way = -self.step_down if known[probe].yes else self.step_up
            in_a_row = 0
            if heading * way < 0:
                turns.append(level)
            heading = way
            place = min(len(levels) - 1, max(0, place + way))
        return (_estimate(ladder, turns[2:], known),)


def _estimate(ladder: Ladder, turns: list[int], known: dict[Probe, Verdict]) -> Estimate:
    """Return the mean of the reversals; without any, the lowest level noticed, or beyond the ladder."""
    top = len(ladder)
    if not turns:
        noticed = [probe.level for probe, verdict in known.items() if verdict.yes]
        level = min(noticed, default=top)
        bounds = (math.nan, math.nan, math.nan, 0.0 if noticed else 1.0)
        return Estimate(level, ladder[level], *bounds, below=len(noticed) == len(known), levels=top)
    mean = float(np.mean(turns))
    strength = float(np.interp(mean, range(1, top + 1), ladder.strengths))
    return Estimate(mean, strength, math.nan, math.nan, float(np.std(turns)), beyond=0.0, levels=top)
