"""Strengths in units that people know: a ladder's numbers are made for computing, a headline's for reading."""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from limen.analysis.tables import Quantile, strength_at


@dataclass(frozen=True, slots=True)
class KnownUnit:
    """How strengths of one unit are said.

    Attributes:
        form: of the whole, with {} where the number goes.
        number: the number that is said, from the ladder's.
        digits: as Python formats numbers.
    """

    form: str
    number: Callable[[float], float] = float
    digits: str = ".3g"

    def said(self, value: float) -> str:
        """Return the number alone."""
        return f"{self.number(value):{self.digits}}"

    def ticks(self, strengths: Sequence[float], most: int) -> list[tuple[float, str]]:
        """Return round numbers along a ladder, each with its level: what the ticks of an axis of levels say.

        Steps of 1, 2, 2.5 or 5 times a power of ten, or, for a ladder that grows by factors, such numbers themselves:
        of those that leave room between their ticks (or the most room) the ones which leave the smallest gap.

        Args:
            strengths: of levels 1..n, in ascending or descending order.
            most: how many numbers have room side by side along the whole axis, >= 2.
        """
        levels = list(range(1, len(strengths) + 1))
        numbers = [self.number(strength) for strength in strengths]
        if numbers[0] > numbers[-1]:
            levels, numbers = levels[::-1], numbers[::-1]
        low, high = numbers[0], numbers[-1]
        room = (len(levels) - 1) / most
        sets = [values for values in _round(low, high) if len(values) > 1] or [sorted({_cut(low, 3), _cut(high, 3)})]
        sets = [values for values in sets if all(value == _cut(value, 2) for value in values)] or sets
        places = {tuple(values): [float(at) for at in np.interp(values, numbers, levels)] for values in sets}

        def crowded(values: tuple[float, ...]) -> tuple[float, float]:
            """Return by how much ticks stand too close, and then the widest stretch without one."""
            at = sorted(places[values])
            between = [far - near for near, far in itertools.pairwise(at)]
            return max(0.0, room - min(between, default=room)), max(at[0] - 1, len(levels) - at[-1], *between)

        chosen = min(places, key=crowded)
        sign = "+" * self.digits.startswith("+")
        return [(at, f"{value:{sign}g}") for value, at in zip(chosen, places[chosen], strict=True)]

    @property
    def title(self) -> str:
        """What an axis of such numbers is called."""
        return " ".join(self.form.replace("{}", "").split())


def _round(low: float, high: float) -> Iterator[list[float]]:
    """Yield sets of round numbers from `low` to `high`, each in ascending order."""
    span = high - low
    if not 0 < span < math.inf:
        return
    tenth = math.floor(math.log10(span))
    for power, times in itertools.product(range(tenth - 1, tenth + 1), (1, 2, 2.5, 5)):
        first, last = (math.ceil(low / (step := times * 10.0**power) - 1e-9), math.floor(high / step + 1e-9))
        yield [float(f"{k * step:.6g}") for k in range(first, last + 1)]
    if low > 0:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            every = (float(f"{digit}e{power}") for power in powers for digit in digits)
            yield [value for value in every if low - 1e-9 <= value <= high + 1e-9]


def _cut(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _gain(factor: float) -> float:
    return 100 * (factor - 1)


def _per_cent(share: float) -> float:
    return 100 * share


KNOWN = {
    "quality": KnownUnit("quality {}", digits=".0f"),
    "px (sigma) at 640 px width": KnownUnit("{} px at 640 px wide"),
    "factor about luma": KnownUnit("{} %", _gain, "+.0f"),
    "factor about mid-grey": KnownUnit("{} %", _gain, "+.0f"),
    "exponent (gamma)": KnownUnit("gamma {}", digits=".2f"),
    "variance (unit range)": KnownUnit("sd {} grey levels", lambda variance: 255 * math.sqrt(variance), ".1f"),
    "opacity": KnownUnit("{} % opaque", _per_cent, ".0f"),
    "share of the image's area": KnownUnit("{} % of the area", _per_cent, ".2g"),
    "grey levels a channel": KnownUnit("{} grey levels", digits=".0f"),
    "degrees": KnownUnit("{}°"),
    "level": KnownUnit("level {}"),
}


def known(unit: str) -> KnownUnit:
    """Return how strengths of a unit are said; of one that is not known, as number and unit."""
    return KNOWN.get(unit) or KnownUnit(f"{{}} {brief(unit).replace('{', '(').replace('}', ')')}")


def brief(unit: str) -> str:
    """Return a unit without its remarks in brackets ("px (sigma) at 640 px width": what it is relative to stays)."""
    return re.sub(r" \([^)]*\)", "", unit)


def strength(value: float | None, unit: str) -> str:
    """Return a strength, as in "quality 81"; - for none.

    Args:
        value: of a ladder.
        unit: of the ladder.
    """
    of = known(unit)
    return "-" if value is None else of.form.format(of.said(value))


def said(level: Quantile, strengths: Sequence[float], unit: str) -> str:
    """Return the strength at a level, as in "quality 81"; "beyond quality 2" above the last level, "at most" below 1.

    Args:
        level: of the ladder; "?" where it is not known.
        strengths: of levels 1..L.
        unit: theirs.
    """
    if math.isnan(level.level):
        return "?"
    if level.censored:
        return f"beyond {strength(strengths[-1], unit)}"
    at = strength_at(level, strengths)
    return ("at most " if level.below or at is None else "") + strength(strengths[0] if at is None else at, unit)


def bracket(low: Quantile | None, high: Quantile | None, strengths: Sequence[float], unit: str) -> str:
    """Return an interval of levels as strengths, the smaller first, "[2.5, 4]"; "" where there is none.

    Args:
        low: its end; one beyond the ladder is named by its last or first strength, as in "[20, beyond 25]", "[at most
            1, 3]".
        high: its other end.
        strengths: of levels 1..L.
        unit: theirs.
    """
    if low is None or high is None:
        return ""
    of, ends = known(unit), list[tuple[float, str]]()
    for end in (low, high):
        at = strength_at(end, strengths)
        if end.censored:
            ends.append((math.inf, f"beyond {of.said(strengths[-1])}"))
        else:
            ends.append((-math.inf, f"at most {of.said(strengths[0])}") if at is None else (at, of.said(at)))
    return f"[{', '.join(said for _, said in sorted(ends))}]"
