"""Tables as people read them, and the one way in which a number, an interval or a text becomes a cell."""

import dataclasses
import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from limen.analysis import FEW, Analysis
from limen.curve import Interval, Mean, Share

NONE = "-"  # a cell without a number
LONGEST = 6000  # characters of any one text on the page


@dataclass(frozen=True, slots=True)
class Table:
    """A table to print.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: cells, as text.
        notes: what a reader must know to read it right.
        heads: how many leading columns say what a row is of.
        spare: columns that a narrow terminal leaves out first, the least needed first; then the others, from the right.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    heads: int = 1
    spare: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Table({self.title[:80]!r}, {len(self.rows)} rows of {len(self.columns)} columns)"


class ByObserver(Protocol):
    """A row of one observer and question."""

    @property
    def observer(self) -> str:
        """Its name."""
        ...

    @property
    def question(self) -> str:
        """Its name."""
        ...


class ByDistortion(ByObserver, Protocol):
    """A row of one observer, question and distortion."""

    @property
    def distortion(self) -> str:
        """Its name."""
        ...


Row = TypeVar("Row", bound=ByDistortion)


def in_order(analysis: Analysis, rows: Iterable[Row]) -> list[Row]:
    """Return rows by distortion, then by observer and question as the study names them (orders stay in order)."""
    observers, questions = list(analysis.manifest.observers), list(analysis.manifest.questions)
    return sorted(rows, key=lambda row: (row.distortion, observers.index(row.observer), questions.index(row.question)))


def heads(analysis: Analysis, row: ByDistortion) -> tuple[str, ...]:
    """Return the first cells of a row: its distortion, and who was asked what where that tells rows apart."""
    return (row.distortion, *who(analysis, row))


def who(analysis: Analysis, row: ByObserver) -> tuple[str, ...]:
    """Return observer and question, each only where the run has several."""
    return tuple(getattr(row, name) for name in _telling(analysis))


def table(
    analysis: Analysis,
    title: str,
    columns: Iterable[str],
    rows: Iterable[tuple[str, ...]],
    notes: tuple[str, ...] = (),
    spare: tuple[str, ...] = (),
) -> Table:
    """Return a table whose rows begin with `heads`.

    Args:
        analysis: decides which columns say who was asked what.
        title: of the table.
        columns: names of those that follow.
        rows: cells of all columns.
        notes: sentences below the table.
        spare: see `Table`.
    """
    names = _telling(analysis)
    return Table(title, ("distortion", *names, *columns), tuple(rows), notes, heads=1 + len(names), spare=spare)


def _telling(analysis: Analysis) -> list[str]:
    return [name for name in ("observer", "question") if len(getattr(analysis.manifest, f"{name}s")) > 1]


def counted(analysis: Analysis) -> str:
    """Return what the shares of a run are of ("yes", "correct"), "yes or correct" where its questions differ in it."""
    return " or ".join(dict.fromkeys(question.verdicts[1] for question in analysis.questions.values()))


def half(analysis: Analysis) -> str:
    """Return what the midpoint of a curve is called ("half yes", "75 % correct"), where its questions agree in that."""
    words = {question.half for question in analysis.questions.values()}
    return words.pop() if len(words) == 1 else "midpoint"


# --- numbers ---


def number(value: float | None, digits: int = 1, sign: str = "") -> str:
    """Return a number with so many digits after the point; `sign` "+" writes that of positive ones too.

    Args:
        value: None and NaN give -.
        digits: after the point.
        sign: "+", or nothing.
    """
    return NONE if value is None or math.isnan(value) else f"{value:{sign}.{digits}f}"


def bounds(interval: Interval | None, digits: int = 1, sign: str = "", times: float = 1) -> str:
    """Return "[low, high]", - for an infinite bound; "" where there is no interval.

    Args:
        interval: its ends may be infinite.
        digits: after the point.
        sign: "+" writes that of positive numbers too.
        times: a factor for both ends (100 for %).
    """
    if interval is None:
        return ""
    low, high = (
        NONE if math.isinf(end) else f"{times * end:{sign}.{digits}f}" for end in (interval.low, interval.high)
    )
    return f"[{low}, {high}]"


def estimate(value: float, interval: Interval | None, digits: int = 1, sign: str = "", times: float = 1) -> str:
    """Return a number with its interval.

    Args:
        value: NaN gives - without an interval.
        interval: its ends may be infinite.
        digits: after the point.
        sign: "+" writes that of positive numbers too.
        times: a factor for all three (100 for %).
    """
    if math.isnan(value):
        return NONE
    return f"{number(times * value, digits, sign)} {bounds(interval, digits, sign, times)}".rstrip()


def over_seeds(mean: Mean, form: str = ".3f") -> str:
    """Return a mean over seeds with its interval in brackets, "" where there is none."""
    if math.isnan(mean.value):
        return ""
    if not mean.interval:
        return f"{mean.value:{form}}"
    low, high = mean.interval.low, mean.interval.high
    return f"{mean.value:{form}} ({low:{form}}{'–' if low >= 0 else ' to '}{high:{form}})"


def p_value(value: float) -> str:
    """Return a p value, the smallest as <.001."""
    return "<.001" if value < 0.001 else number(value, 3)


def count(value: int | None) -> str:
    """Return a whole number with commas."""
    return NONE if value is None else f"{value:,}"


def counts(values: Sequence[int]) -> str:
    """Return a number, or the least and the most."""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


# --- shares ---


def k_of_n(share: Share) -> str:
    """Return the counts of a share."""
    return f"{share.k} of {share.n}"


def percent(share: Share | None) -> str:
    """Return a share in per cent with its Wilson interval."""
    return NONE if share is None else estimate(share.value, share.interval, times=100)


def rate(share: Share, fewest: int = 0) -> str:
    """Return the counts of a share and, from `fewest` on, the share in per cent with its Wilson interval."""
    if not share.n:
        return NONE
    if share.n < fewest:
        return f"{k_of_n(share)}: too few to tell"
    return f"{k_of_n(share)}: {100 * share.value:.1f} % {bounds(share.interval, times=100)}"


def alarms(share: Share) -> str:
    """Return a cell of false alarms: counts, with a star where they are too few to tell."""
    return k_of_n(share) + "*" * (share.n < FEW) if share.n else NONE


# --- texts ---


def clean(text: str, most: int = LONGEST) -> str:
    """Return text from outside on one line, without control and direction-changing characters, cut to `most`."""
    kept = "".join(" " if sign.isspace() else sign for sign in text[: 20 * most] if sign.isspace() or not control(sign))
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def control(sign: str) -> bool:
    """Whether a character controls, changes direction, is private, or half of a surrogate pair."""
    return unicodedata.category(sign).startswith("C")


def begun(text: str) -> str:
    """Return a text with a capital letter at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def shortened(name: str, most: int) -> str:
    """Cut a name in its middle: models differ at both ends."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"


def ordinal(n: int) -> str:
    """Return 1st, 2nd, 3rd, 4th."""
    return f"{n}{'th' if n // 10 % 10 == 1 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


# --- plain data ---


def plain(value: Any) -> Any:
    """Turn dataclasses, enums and NaN into JSON's own kinds; a share also gets its value and interval."""
    if isinstance(value, Share):
        return {"k": value.k, "n": value.n, "value": plain(value.value), "interval": plain(value.interval)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(row: Any, before: str = "") -> dict[str, Any]:
    """Return a row as plain data, nested values under names with dots ("interval.low") and lists as JSON."""
    cells: dict[str, Any] = {}
    for key, value in plain(row).items():
        if isinstance(value, Mapping):
            cells |= flat(value, f"{before}{key}.")
        else:
            cells[f"{before}{key}"] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    return cells
