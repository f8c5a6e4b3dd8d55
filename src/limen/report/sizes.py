"""Tables and figure of thresholds against the size of the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from limen.analysis import Analysis, units
from limen.analysis.sizes import PictureSizeRow, SizeDifference
from limen.report import figures
from limen.report import format as cell
from limen.report.figures import SAYS, Spec, layer, line, points, quantity
from limen.report.format import Table, heads, in_order, table

ABOUT = (
    "Each photograph was shown at several sizes, and each size is a reference of its own. In every other table and "
    "figure they stand together, and intervals there take the sizes of one photograph for photographs: compare sizes "
    "here alone."
)


def called(side: int) -> str:
    """Return what a size is called."""
    return f"{side:,} px" if side else "own size"


def thresholds(analysis: Analysis, rows: Sequence[PictureSizeRow]) -> Table:
    """Return the table of the median threshold at each size."""
    lines = []
    for row in in_order(analysis, rows):
        kind = analysis.manifest.distortions[row.distortion]
        ends = f" [{row.low}, {row.high}]" if row.low is not None and row.high is not None else ""
        strength = units.said(row.median, kind.strengths, kind.unit)
        between = units.bracket(row.low, row.high, kind.strengths, kind.unit)
        lines.append((*heads(analysis, row), called(row.side), str(row.n), f"{row.median}{ends}",
                      f"{strength} {between}".rstrip()))  # fmt: skip
    notes = (
        "Median over the references of that size [95 % interval by order statistics, none below six]. Size: of the "
        "longer side; own size: photographs as they are, where that was asked for or they are smaller than a size. "
        "> L: none up to the end of the ladder in half of them or more.",
    )
    return _with_size(
        table(analysis, "Threshold by picture size", ("size", "n", _measure(rows), "strength"), lines, notes)
    )


def compared(analysis: Analysis, rows: Sequence[SizeDifference]) -> Table:
    """Return the table of sizes compared on the same photographs."""
    lines = [
        (*heads(analysis, row), f"{called(row.first)} to {called(row.second)}", str(row.photographs), str(row.beyond),
         _change(row))
        for row in in_order(analysis, rows)
    ]  # fmt: skip
    notes = (
        "Mean over the photographs shown at both of the level at the larger size minus that at the smaller [95 %, BCa "
        "bootstrap over photographs]; above 0: less is noticed of the larger picture. None: photographs without a "
        "threshold up to L at either size, counted as no change; one without it at one size counts there as L. ? the "
        "answers do not tell: fewer than five photographs, or 0 within the interval.",
    )
    columns = ("sizes", "photographs", "none at either", f"{_measure(rows)}: levels more [95 %]")
    return _with_size(table(analysis, "Sizes compared on the same photographs", columns, lines, notes))


def _with_size(of: Table) -> Table:
    """Return a table whose rows are told apart by their size too."""
    return replace(of, heads=of.heads + 1)


def figure(
    analysis: Analysis, rows: Sequence[PictureSizeRow], names: Mapping[tuple[str, str], str], width: int
) -> Spec:
    """Return small multiples of the median threshold against the size, with its interval.

    Args:
        analysis: the rows were worked out from.
        rows: thresholds by size; those at their own size are drawn where that was asked for.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    asked = analysis.manifest.max_side
    drawn = [row for row in rows if row.side or (isinstance(asked, list) and 0 in asked)]
    order = sorted({row.side for row in drawn}, key=lambda side: (not side, side))
    distortions = sorted({row.distortion for row in drawn})
    columns = min(4 if width > 500 else 2, len(distortions))
    room = min(420, (width - 16 * (columns - 1)) // columns - 46)
    panels = [
        _panel([row for row in drawn if row.distortion == one], order, names, width) | {"title": one, "width": room}
        for one in distortions
    ]
    return {"concat": panels, "columns": columns, "spacing": {"row": 22, "column": 16}}


def _panel(
    rows: Sequence[PictureSizeRow], order: Sequence[int], names: Mapping[tuple[str, str], str], width: int
) -> Spec:  # fmt: skip
    """Return the panel of one distortion; observers stand side by side."""
    who, values = list(names), []
    for row in rows:
        beside = 0.4 * (who.index((row.observer, row.question)) - (len(who) - 1) / 2) / len(who)
        low, high = (None, None) if row.low is None or row.high is None else (row.low, row.high)
        name = names[row.observer, row.question]
        told = f"{name}, {row.distortion} at {called(row.side)}: median level {row.median}"
        values.append({
            "who": name, "at": order.index(row.side) + beside, "level": row.median.level,
            "known": not row.median.censored, "low": low and low.level, "high": high and high.level,
            "says": f"{told}{f' [{low}, {high}]' if low else ''}, n = {row.n}",
        })  # fmt: skip
    labels = " : ".join(f"datum.value == {i} ? '{f'{side:,}' if side else 'own'}'" for i, side in enumerate(order))
    ends = {"domain": [-0.5, len(order) - 0.5], "nice": False, "zero": False}
    x = quantity("at", "longer side, px", ends, values=list(range(len(order))), labelExpr=f"{labels} : ''", grid=False)
    y = quantity("level", f"level (of {rows[0].levels})", {"zero": True}, tickCount=4, tickMinStep=1)
    look = figures.observers(names, width)
    layers = [
        layer(line(1, opacity=0.5), x=x, y=y, color=look["color"]),
        layer({"type": "rule", "strokeWidth": 2}, None, "isValid(datum.low)", x=x, y={**y, "field": "low"},
              y2={"field": "high"}, color=look["color"]),
        layer(points(46), None, "datum.known", x=x, y=y, **look, description=SAYS),
        layer({"type": "point", "size": 46, "opacity": 1, "strokeWidth": 1.3}, None, "!datum.known", x=x, y=y, **look,
              description=SAYS),
    ]  # fmt: skip
    return {"data": {"values": values}, "layer": layers, "height": 110}


def _change(row: SizeDifference) -> str:
    of = row.difference
    interval = cell.bounds(of.interval, 1, "+")
    if not row.told:
        return f"? {interval}".rstrip()
    return f"{cell.number(of.value, 1, '+')} {interval or '(all alike)'}"


def _measure(rows: Sequence[PictureSizeRow] | Sequence[SizeDifference]) -> str:
    return " or ".join(sorted({row.measure for row in rows})) or "1st JND"
