"""Tables of unnoticed shares, satisfied user ratios, second draws, spot-the-difference accuracy and scored pairs."""

import math
from collections.abc import Iterable, Sequence

from limen.analysis import Analysis
from limen.analysis.fitting import ScoredRow
from limen.analysis.survival import AccuracyRow, RepeatRow, SatisfiedRow, UnnoticedRow, points
from limen.curve import Share
from limen.report.table import Table, heads, in_order, table
from limen.report.tables import alarmed
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


def accuracy(analysis: Analysis, rows: Sequence[AccuracyRow]) -> Table:
    """Return the table of accuracy on pairs of one level, with its counterpart on identical pairs."""
    lines = []
    for row in in_order(analysis, rows):
        bounds = "" if row.interval is None else f" [{row.interval.low:.2f}, {row.interval.high:.2f}]"
        balanced = "-" if math.isnan(row.balanced) else f"{row.balanced:.2f}{bounds}"
        lines.append((*heads(analysis, row), str(row.n), _share(row.noticed), _share(row.left_alone), balanced))
    notes = (
        "Changes noticed: yes to the changed picture; identical pairs: no to the picture shown with itself; 95 % "
        "Wilson intervals. Balanced: mean of both over references, BCa bootstrap; always yes, or always no, gets .50.",
    )
    columns = ("n", "changes noticed", "identical pairs left alone", "balanced accuracy")
    return table(analysis, "Spot the difference", columns, lines, notes)


def _share(share: Share) -> str:
    if share.interval is None:
        return "-"
    low, high = 100 * share.interval.low, 100 * share.interval.high
    return f"{share.k} of {share.n}: {100 * share.value:.1f} % [{low:.1f}, {high:.1f}]"


def scored(analysis: Analysis, rows: Sequence[ScoredRow]) -> Table:
    """Return the table of pooled curves over scored pairs."""
    lines = [
        (*heads(analysis, row), str(row.n), f"{row.low:g} - {row.high:g}", *_scored_cells(row))
        for row in in_order(analysis, rows)
    ]
    notes = (
        "One pair a reference, so no threshold of any one: yes against opinion score, pooled over references, false "
        "alarms from identical pairs and lapses apart. Posterior median [95 % credible interval]; - beyond the scores.",
    )
    columns = ("n", "scores", "half yes at", "width", "yes with the score", "false alarms")
    return table(analysis, "Scored pairs", columns, lines, notes)


def _scored_cells(row: ScoredRow) -> Iterable[str]:
    for of in (row.threshold, row.width):
        known = not math.isnan(of.median)
        yield f"{of.median:.1f} [{of.interval.low:.1f}, {of.interval.high:.1f}]" if known else "-"
    yield {True: "rises", False: "falls", None: "all alike"}[row.rising]
    yield alarmed(row.alarms)
