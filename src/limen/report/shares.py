"""Tables of unnoticed shares, of satisfied user ratios, and of what second draws say."""

import math
from collections.abc import Iterable, Sequence

from limen.analysis import Analysis
from limen.report.fits import heads, in_order, table
from limen.report.tables import Table
from limen.shares import RepeatRow, SatisfiedRow, UnnoticedRow, points
from limen.statistics.survival import Survival


def unnoticed(analysis: Analysis, rows: Sequence[UnnoticedRow]) -> Table:
    """Return the table of the levels up to which shares of the references stay unnoticed."""
    lines = [(*heads(analysis, row), str(row.curve.n), *_points(row.curve)) for row in in_order(analysis, rows)]
    columns = ("n", "U = .75", "U = .5", "U = .25")
    notes = (
        "The last level at which that share of the references is unnoticed by this observer, U(k) = P(J > k) "
        "(Kaplan-Meier; the curves with intervals are in --json).",
    )
    return table(analysis, "Unnoticed share", columns, lines, notes)


def satisfied(rows: Sequence[SatisfiedRow]) -> Table:
    """Return the table of 75 %-SUR points over observers."""
    lines = []
    for question, distortion in dict.fromkeys((row.question, row.distortion) for row in rows):
        curves = [row.curve for row in rows if (row.question, row.distortion) == (question, distortion)]
        top = curves[0].levels[-1]
        found = sorted(math.inf if point is None else point for point in (curve.point(0.75) for curve in curves))
        middle = [found[math.ceil(share * len(found)) - 1] for share in (0.25, 0.5, 0.75)]
        seen = "-".join(str(n) for n in sorted({min(c.n for c in curves), max(c.n for c in curves)}))
        cells = [f">{top}" if math.isinf(level) else f"{level:g}" for level in middle]
        lines.append((distortion, question, seen, str(len(curves)), cells[1], f"{cells[0]}-{cells[2]}"))
    columns = ("distortion", "question", "observers", "references", "75 %-SUR point (median)", "quartiles")
    notes = (
        "SUR(k) = P(J > k) over observers for one reference; its 75 % point is the last level that three quarters of "
        "them do not notice. A few models are no sample of users: read the number of observers first.",
    )
    return Table("Satisfied user ratio", columns, tuple(lines), notes, heads=2)


def repeats(analysis: Analysis, rows: Sequence[RepeatRow]) -> Table:
    """Return the table of what second draws of the same pairs say."""
    lines = []
    for row in in_order(analysis, rows):
        alike, of = row.alike.value, row.alike.interval
        same = f"{100 * alike:.0f} %" + (f" [{100 * of.low:.0f}, {100 * of.high:.0f}]" if of else "")
        change = f"{100 * row.change:+.0f}"
        bounds = "" if row.interval is None else f" [{100 * row.interval.low:+.0f}, {100 * row.interval.high:+.0f}]"
        lines.append((*heads(analysis, row), f"{row.alike.n:,}", same, change + bounds))
    notes = (
        "Pairs drawn twice: the second time swapped, or as another sample where the model samples. The difference is "
        "in percentage points of yes, BCa bootstrap over references: of a greedy model, its order effect.",
    )
    return table(analysis, "Asked twice", ("pairs", "same verdict", "yes, second - first"), lines, notes)


def _points(curve: Survival) -> Iterable[str]:
    return (f">{curve.levels[-1]}" if level is None else str(level) for level in points(curve))
