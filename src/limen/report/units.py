"""Strengths in units that people know: a ladder's numbers are made for computing, a headline's for reading."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limen.analysis.tables import Quantile, strength_at
from limen.report.format import brief


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
}


def known(unit: str) -> KnownUnit:
    """Return how strengths of a unit are said; of one that is not known, as number and unit."""
    return KNOWN.get(unit) or KnownUnit(f"{{}} {brief(unit).replace('{', '(').replace('}', ')')}")


def said(level: Quantile, strengths: Sequence[float], unit: str) -> str:
    """Return the strength at a level, as in "quality 81"; "beyond quality 2" above the last level.

    Args:
        level: of the ladder; "?" where it is not known.
        strengths: of levels 1..L.
        unit: theirs.
    """
    of = known(unit)
    if math.isnan(level.level):
        return "?"
    at = strength_at(level, strengths)
    if at is None:
        return f"beyond {of.form.format(of.said(strengths[-1]))}"
    return ("at most " if level.below else "") + of.form.format(of.said(at))


def bracket(low: Quantile | None, high: Quantile | None, strengths: Sequence[float], unit: str) -> str:
    """Return an interval of levels as strengths, the smaller first, "[2.5, 4]"; "" where there is none.

    Args:
        low: its end; one beyond the ladder is named by the last strength, as in "[20, beyond 25]".
        high: its other end.
        strengths: of levels 1..L.
        unit: theirs.
    """
    if low is None or high is None:
        return ""
    of, values = known(unit), [strength_at(end, strengths) for end in (low, high)]
    inside = sorted(value for value in values if value is not None)
    ends = [of.said(value) for value in inside] + [f"beyond {of.said(strengths[-1])}"] * values.count(None)
    return f"[{ends[0]}, {ends[1]}]"
