"""Tables of fitted thresholds, of comparisons between observers, and of the references that a wanted interval takes."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from limen.analysis import FEW, Analysis, Quantile
from limen.analysis.fitting import ComparisonRow, FitRow, PowerRow
from limen.curve import Interval
from limen.report.table import Table, heads, in_order, table
from limen.report.tables import alarmed, brief, plain
from limen.statistics.posterior import Parameter, Placement


def fits(analysis: Analysis, rows: Sequence[FitRow]) -> Table:
    """Return the table of fitted thresholds beside the protocol's J."""
    fixed, sure = any(row.pooled for row in rows), any(row.p_yes for row in rows)
    columns = [
        "n",
        "J (median)",
        "T50 [95 %]",
        "at T50",
        "T75",
        "width",
        "sd",
        "false alarms",
        "lapses",
    ]
    columns += (["d' [95 %]", "d' same/diff.", "c", "fit p"] if fixed else []) + (["T50 of p(yes)"] if sure else [])
    lines = []
    for row in in_order(analysis, rows):
        cells = [*_fit_cells(row), *(_fixed_cells(row) if fixed else ()), *((_sure_cell(row),) if sure else ())]
        lines.append((*heads(analysis, row), *cells))
    return table(analysis, "Fitted thresholds", columns, lines, _fit_notes(rows))


def compared(rows: Sequence[ComparisonRow]) -> Table:
    """Return the table of paired comparisons between observers."""
    lines = tuple(
        (
            row.distortion,
            row.question,
            f"{row.first} / {row.second}",
            row.measure,
            str(row.paired.n),
            str(row.paired.ties),
            *(
                ("?", "?", "?")
                if row.undetermined
                else (
                    f"{row.paired.wins:.2f} {_interval(row.paired.interval, 2)}".strip(),
                    _p(row.paired.p),
                    _p(row.p_holm),
                )
            ),
        )
        for row in rows
    )
    columns = (
        "distortion",
        "question",
        "observers",
        "of",
        "pairs",
        "ties",
        "first notices less [95 %]",
        "p",
        "p (Holm)",
    )
    notes = (
        "Reference by reference: share in which the first observer's level is the higher one, ties half (both beyond "
        "L, or equal), BCa bootstrap over references; p of the paired Prentice-Wilcoxon test, alone and among all.",
        *_untold(rows),
    )
    return Table("Observers compared", columns, lines, notes, heads=3)


def _untold(rows: Sequence[ComparisonRow]) -> Iterable[str]:
    names = sorted({name for row in rows for name in row.undetermined})
    if names:
        yield f"? nothing shows that differences are noticed more often than none: {', '.join(names)}."


def powers(analysis: Analysis, rows: Sequence[PowerRow]) -> Table:
    """Return the table of how many references a wanted interval takes."""
    lines = []
    for row in in_order(analysis, rows):
        of = row.power
        lines.append((
            *heads(analysis, row), str(of.n), _number(of.sd), _number(of.reached), f"{of.half_width:g}",
            _count(of.for_mean), _count(of.for_median),
        ))  # fmt: skip
    columns = ("n", "sd", "+- now", "+- wanted", "references (mean)", "references (median)")
    notes = (
        "Levels; half-width of the 95 % interval of the restricted mean or the median J over references, from this "
        "run's own spread. That is uncertain too: from 10 references it may be 1.8 times too small, from 50 1.25.",
    )
    return table(analysis, "References needed", columns, lines, notes)


def records(
    rows: Sequence[FitRow], comparisons: Sequence[ComparisonRow] = (), needed: Sequence[PowerRow] = ()
) -> dict[str, Any]:
    """Return the numbers as plain data for JSON; a bound beyond the end of the ladder is null.

    Args:
        rows: fitted thresholds.
        comparisons: of observers.
        needed: how many references wanted intervals take.
    """
    named = {"fits": rows, "comparisons": comparisons, "power": needed}
    return {name: [plain(row) for row in those] for name, those in named.items()}


# --- cells ---


def _fit_cells(row: FitRow) -> Iterable[str]:
    found = row.fit
    if found is None:
        yield from ("0", *["-"] * 8)
        return
    references = getattr(found, "references", 1)
    yield f"{references}"
    yield "-" if row.jnd is None else str(row.jnd)
    yield _level(row.t50, found.threshold, row.levels)
    yield "-" if row.strength is None else f"{row.strength:.3g} {brief(row.unit)}"
    yield _level(row.t75, found.t75, row.levels)
    yield _spread(found.width)
    yield _spread(getattr(found, "spread", None))
    yield alarmed(row.alarms)
    of = found.lapse
    yield f"{100 * of.median:.0f} % [{100 * of.interval.low:.0f}, {100 * of.interval.high:.0f}]"


def _fixed_cells(row: FitRow) -> Iterable[str]:
    of = row.detection
    few = "*" if row.alarms.n < FEW else ""
    if row.choosing is not None:
        yield from (_told(row.choosing.d, row.choosing.interval, row.choosing.told), "-", "-")
    elif of is None:
        yield from ("-", "-", "-")
    else:
        yield _told(of.d_yes_no, of.interval, of.told) + few
        yield _told(of.d_differencing, of.interval_differencing, of.told) + few
        yield _told(of.criterion, of.interval_criterion, told=True, sign="+") + few
    yield "-" if row.pooled is None else _p(row.pooled.p_fit)


def _told(value: float, interval: Interval, told: bool, sign: str = "") -> str:
    """Return a number with its interval, "?" for one that is not told from 0."""
    low, high = ("-" if math.isinf(bound) else f"{bound:{sign}.2f}" for bound in (interval.low, interval.high))
    return f"{f'{value:{sign}.2f}' if told else '?'} [{low}, {high}]"


def _sure_cell(row: FitRow) -> str:
    if row.p_yes is None or row.p_yes.side is not Placement.WITHIN:
        return "-" if row.p_yes is None else _SIDES[row.p_yes.side].format(row.levels)
    return f"{row.p_yes.threshold:.1f} {_interval(row.p_yes.intervals.get('threshold'), 1)}".strip()


_SIDES = {Placement.ABOVE: ">{}", Placement.BELOW: "<=1", Placement.OPEN: "?"}


def _level(at: Quantile, of: Parameter, top: int) -> str:
    """Return a level with its interval, or on which side of one it lies."""
    value = str(at) if at.censored or at.below or math.isnan(at.level) else f"{at.level:.1f}"
    low = "<=1" if of.interval.low < 1 else f"{of.interval.low:.1f}"
    if at.censored and of.interval.low >= at.level:
        low = str(at)
    high = f">{top}" if of.interval.high > top else f"{of.interval.high:.1f}"
    return f"{value} [{low}, {high}]"


def _spread(found: Parameter | None) -> str:
    if found is None:
        return "-"
    return "?" if math.isnan(found.median) else f"{found.median:.1f} {_interval(found.interval, 1)}"


def _interval(interval: Interval | None, digits: int) -> str:
    return "" if interval is None else f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def _fit_notes(rows: Sequence[FitRow]) -> tuple[str, ...]:
    notes = [
        "J is the protocol's; T50 and T75 are the levels where a half and three quarters of the answers are yes, "
        "corrected for false alarms and lapses; width from 5 to 95 % of that curve; sd of T50 over references. "
        "Posterior medians [95 % credible intervals], references as a random sample. > L: no to everything, or more "
        "than half of the posterior beyond the ladder; <=: yes to everything, down to the lowest level asked; ?: these "
        "answers do not tell, because the interval holds the whole ladder or yes does not depend on the level."
    ]
    if any(row.adaptive for row in rows):
        notes.append(
            "Adaptive run: the answers chose the levels. T50 comes from each series' own likelihood, which allows it; "
            "d' and goodness of fit need every level asked of every series (procedure constant)."
        )
    if any(row.forced for row in rows):
        notes.append(
            "Forced choice: guess rate .5; T50 is the level where 75 % would choose right but for lapses; "
            "d' = sqrt(2) z(share right)."
        )
    if any(0 < row.alarms.n < FEW for row in rows):
        notes.append(f"* fewer than {FEW} identical pairs: the prior, Beta(1/2, 3), speaks with them.")
    if any(row.pooled is not None for row in rows):
        notes.append(
            "d' and c over all levels asked, log-linear correction [95 %, of the rates' Wilson intervals; - no bound]; "
            "? where the interval of d' holds 0. Fit p: how often data of the fitted shape lie further from it, "
            "bootstrap over references (- where all references are alike)."
        )
    if any(row.p_yes is not None for row in rows):
        notes.append("T50 of p(yes): fractional response, maximum quasi-likelihood [95 % bootstrap over references].")
    notes.extend(filter(None, map(_window_note, rows)))
    return tuple(notes)


def _window_note(row: FitRow) -> str:
    """Say where false alarms alone would fill the window too often; "" elsewhere."""
    if row.window is None or row.window_needed is None or row.window_needed <= row.window or not row.alarms.k:
        return ""
    remedy = f"--confirm {row.window_needed - 1} would do" if row.window_needed < 10 else "no window would do"
    short = f"too many false alarms for {row.window} yes in a row"
    return f"{row.observer}, {row.distortion}: {short} ({remedy}): J is too low."
