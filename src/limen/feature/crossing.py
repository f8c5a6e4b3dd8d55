"""Where pilot images begin to fail as often as may be: what grids of scales and of quantisers are laid about."""

from collections.abc import Callable


def crossing(failing: Callable[[int], float], places: int, share: float) -> float:
    """Return at which place a rising share passes another, by halving, linear between the two neighbours.

    A share that does not rise everywhere is passed at one of the places where it is; for laying a grid that will do.

    Args:
        failing: the share at a place, 0 to places - 1, each in 0..1.
        places: how many, >= 1.
        share: to be passed, 0..1.

    Returns:
        A place: 0 where it is passed there already, the last where it is passed nowhere.
    """
    last = places - 1
    ends = {0: failing(0)}
    if ends[0] > share:
        return 0.0
    ends[last] = failing(last)
    if ends[last] <= share:
        return float(last)
    before, after = 0, last
    while after - before > 1:
        middle = (before + after) // 2
        ends[middle] = failing(middle)
        before, after = (before, middle) if ends[middle] > share else (middle, after)
    return before + (share - ends[before]) / (ends[after] - ends[before])
