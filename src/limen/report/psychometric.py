"""Figures of psychometric functions: answers by level, the fitted curve with its band, T50, guess and lapse rates.

All that is drawn was worked out by `limen.analysis.fitting`; nothing is fitted here.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np

from limen.analysis import Analysis, units
from limen.analysis.fitting import FitRow
from limen.curve import Curve, Share
from limen.report import figures
from limen.report.figures import SAYS, Spec, layer, line, points
from limen.report.format import bounds, clean, number, plain, rate, shortened
from limen.statistics.posterior import FittedCurve, Placement
from limen.store.entries import DistortionEntry

Names: TypeAlias = Mapping[tuple[str, str], str]

FEWEST = 20  # answers of one curve below which it is not drawn
MARKS = 12  # of one curve at most: above, neighbouring levels are pooled
APART = 0.012  # of the ladder: marks of several observers at one level stand side by side
TOGETHER = 3  # observers with questions in one panel
GROUPS = 4  # of so many on a page
COLUMN = 380  # px of a figure for one column of a paper: at 340 dpi as PNG, 8.5 cm
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def drawable(rows: Sequence[FitRow]) -> list[FitRow]:
    """Return the fits with enough answers, at two levels or more, to show a curve."""
    return [row for row in rows if _curve(row) and len(row.points.levels) > 1 and sum(row.points.n) >= FEWEST]


def about(rows: Sequence[FitRow]) -> str:
    """Say how to read the figures.

    Args:
        rows: all fits, drawn or not.
    """
    drawn = drawable(rows)
    forced = {row.forced for row in drawn}
    below = " or of ".join(["false alarms"] * (False in forced) + ["chance (named)"] * (True in forced))
    told = [
        "Answers by level against the undistorted reference: marks, larger for more answers, with 95 % Wilson "
        f"intervals (neighbouring levels pooled to {MARKS} marks at most)"
        + "; open at level 0: identical pairs" * (False in forced)
        + ".",
        "The line is the fitted curve over references with its 95 % credible band, as far as levels were asked; "
        f"dotted lines are its ends, the rates of {below} and of lapses. The diamond is T50 with "
        "its 95 % interval, halfway between them. Strengths stand above.",
    ]
    if any(row.adaptive for row in drawn):
        told.append(
            "The answers chose the levels, so that the marks are biased; the curve comes from the likelihood of each "
            "series, which allows for that, and need not go through them."
        )
    if left := len(rows) - len(drawn):
        told.append(f"{left} of {len(rows)} are not drawn: under {FEWEST} answers, or one level.")
    return " ".join(told)


def drawings(analysis: Analysis, rows: Sequence[FitRow], names: Names) -> Iterator[tuple[str, str, Any]]:
    """Yield the figures of a page, each of up to three observers: (name, what it shows, from width to specification).

    Args:
        analysis: the rows were worked out from.
        rows: of fits.
        names: what to call each observer and question, in order.
    """
    drawn = drawable(rows)
    asked = [who for who in names if any((row.observer, row.question) == who for row in drawn)]
    groups = [asked[i : i + TOGETHER] for i in range(0, len(asked), TOGETHER)]
    for i, group in enumerate(groups[:GROUPS], start=1):
        mine = [row for row in drawn if (row.observer, row.question) in group]
        who = ", ".join(names[one] for one in group)
        more = len(asked) - GROUPS * TOGETHER
        rest = f" ({more} more observers: limen report --figures DIR)" if i == GROUPS and more > 0 else ""
        name = f"psychometric-{i}" if len(groups) > 1 else "psychometric"
        yield name, f"Psychometric functions of {who}{rest}", _multiples(analysis, mine, names)


def singles(analysis: Analysis, rows: Sequence[FitRow]) -> dict[str, Spec]:
    """Return one figure for each observer, question and distortion, for a column of a paper, by name of the file.

    Args:
        analysis: the rows were worked out from.
        rows: of fits.
    """
    found: dict[str, Spec] = {}
    several = len(analysis.questions) > 1
    for row in drawable(rows):
        asked = f"{row.observer}, {row.question}" if several else row.observer
        parts = (row.observer, *((row.question,) if several else ()), row.distortion)
        stem = "-".join(("psychometric", *(shortened(_UNSAFE.sub("-", part).strip("-"), 60) for part in parts)))
        name, number_ = stem, 2
        while name in found:
            name, number_ = f"{stem}-{number_}", number_ + 1
        shown = shortened(clean(asked), 30)
        names = {(row.observer, row.question): shown}
        title = {
            "text": f"{shown}, {row.distortion}", "subtitle": _subtitle(row), "subtitleColor": figures.MUTED,
            "subtitleFontSize": 10.5, "fontSize": 12, "limit": COLUMN - 62,
        }  # fmt: skip
        panel = _panel([row], names, analysis, (COLUMN - 62, 190), figures.identity(list(names.values()), 1))
        found[name] = panel | {"title": title}
    return found


def records(analysis: Analysis, rows: Sequence[FitRow]) -> list[dict[str, Any]]:
    """Return curves and answers as plain data, a row for each level of each curve.

    Args:
        analysis: the rows were worked out from.
        rows: of fits.
    """
    return [record for row in rows for record in _records(row, analysis.manifest.distortions[row.distortion])]


def _records(row: FitRow, kind: DistortionEntry) -> Iterator[dict[str, Any]]:
    curve = _curve(row)
    if curve is None:
        return
    said: dict[float, Share] = dict(zip(row.points.levels, row.points.shares, strict=True))
    of = {"observer": row.observer, "question": row.question, "distortion": row.distortion, "unit": kind.unit}
    for level, share, low, high in zip(curve.levels, curve.share, curve.low, curve.high, strict=True):
        yield of | {
            "level": level, "strength": _strength(level, kind.strengths), "said": plain(said.get(level, Share(0, 0))),
            "fitted": share, "fitted_low": low, "fitted_high": high,
        }  # fmt: skip


def _curve(row: FitRow) -> FittedCurve | None:
    return None if row.fit is None else row.fit.curve


def _strength(level: float, strengths: Sequence[float]) -> float | None:
    return float(np.interp(level, range(1, len(strengths) + 1), strengths)) if level >= 1 else None


# --- panels ---


def _multiples(analysis: Analysis, rows: Sequence[FitRow], names: Names) -> Any:
    """Return a function from the page's width to a panel for each distortion and kind of answer."""
    shown = [names[who] for who in names if any((row.observer, row.question) == who for row in rows)]
    every = list(names.values())
    panels = [
        (kind, list(mine))
        for kind, mine in groupby(
            sorted(rows, key=lambda row: (row.distortion, _said(analysis, row))),
            key=lambda row: (row.distortion, _said(analysis, row)),
        )
    ]
    apart = len({said for (_, said), _ in panels}) > 1

    def draw(width: int) -> Spec:
        columns = min(4 if width > 500 else 2, len(panels))
        room = (width - 16 * (columns - 1)) // columns - 46
        look = _look(figures.identity(every, TOGETHER if width > 500 else 1), every, shown)
        drawn = [
            _panel(mine, names, analysis, (min(room, 420), 130 if columns > 1 else 190), look)
            | {"title": f"{distortion}, {said}" if apart else distortion}
            for (distortion, said), mine in panels
        ]
        return {"concat": drawn, "columns": columns, "spacing": {"row": 26, "column": 16}}

    return draw


def _look(look: Spec, every: Sequence[str], shown: Sequence[str]) -> Spec:
    """Return the looks of those that are shown, as they are among all."""
    kept = [every.index(name) for name in shown]
    return {
        channel: {
            **of,
            "legend": of["legend"] if len(shown) > 1 else None,
            "scale": {"domain": list(shown), "range": [of["scale"]["range"][i] for i in kept]},
        }
        for channel, of in look.items()
    }


def _panel(
    rows: Sequence[FitRow], names: Names, analysis: Analysis, size: tuple[int, int], look: Spec
) -> Spec:  # fmt: skip
    """Return one panel: rows of one distortion and one kind of answer, each of another observer."""
    kind = analysis.manifest.distortions[rows[0].distortion]
    top = _shown(rows)
    ends = {"domain": [-0.03 * top, 1.03 * top], "nice": False, "zero": False}
    at = {"field": "level", "type": "quantitative", "scale": ends, "axis": None}
    y = {"field": "share", "type": "quantitative", "scale": {"domain": [0, 100], "nice": False}}
    shade = {"color": look["color"]}
    curves, marks, rates, halves = list[Spec](), list[Spec](), list[Spec](), list[Spec]()
    for i, row in enumerate(rows):
        who = names[row.observer, row.question]
        curves += _course(row, who)
        beside = APART * top * (i - (len(rows) - 1) / 2)
        marks += [
            mark | {"level": mark["level"] + beside, "same": not mark["level"]} for mark in _marks(row, who, analysis)
        ]
        rates += _rates(row, who)
        halves += _half(row, who, kind, top)
    most = max(value["n"] for value in marks)
    sizes = {"type": "linear", "domain": [1, max(2, most)], "range": [12, 85]}
    area = {"field": "n", "type": "quantitative", "legend": None, "scale": sizes}
    title = f"% {_said(analysis, rows[0])}"
    y_axis = {**y, "axis": {"title": title, "values": [0, 25, 50, 75, 100], "titlePadding": 4}}
    low, high = {**y, "field": "low"}, {"field": "high"}
    left, right = {**at, "field": "low"}, {"field": "high"}
    diamond: Spec = {"shape": "diamond", "stroke": figures.PAPER, "strokeWidth": 1}
    return {
        "width": size[0],
        "height": size[1],
        "layer": [
            layer({"type": "area", "opacity": 0.15}, curves, x={**at, "axis": _below(kind, size[0])},
                  y={**y_axis, "field": "low"}, y2=high, **shade),
            _above(kind, top, at, size[0]),
            *figures.chance((analysis.questions[row.question] for row in rows), {**y, "axis": None}),
            layer({"type": "rule", "strokeDash": [1, 3], "opacity": 0.9}, rates, y={**y, "axis": None}, **shade,
                  description=SAYS),
            layer(line(1.8), curves, x=at, y={**y, "axis": None}, **shade),
            layer({"type": "rule", "opacity": 0.45}, marks, x=at, y={**low, "axis": None}, y2=high, **shade),
            layer({"type": "point", "filled": True, "opacity": 0.85}, marks, "!datum.same",
                  x=at, y={**y, "axis": None}, size=area, **look, description=SAYS),
            layer({"type": "point", "filled": False, "opacity": 1, "strokeWidth": 1.3}, marks, "datum.same",
                  x=at, y={**y, "axis": None}, size=area, **look, description=SAYS),
            layer({"type": "rule", "strokeDash": [2, 2], "opacity": 0.7}, halves, "isValid(datum.level)",
                  x=at, y={**y, "field": "base", "axis": None}, y2={"field": "share"}, **shade),
            layer({"type": "rule", "strokeWidth": 3, "opacity": 0.9}, halves, x=left, x2=right, y={**y, "axis": None},
                  **shade, description=SAYS),
            layer(points(95, **diamond), halves, "isValid(datum.level)", x=at, y={**y, "axis": None}, **shade,
                  description=SAYS),
        ],
        "resolve": {"axis": {"x": "independent", "y": "independent"}},
    }  # fmt: skip


def _shown(rows: Sequence[FitRow]) -> int:
    """Return how far a panel goes: beyond the levels asked and T50 by a little, at most to the end of the ladder."""
    last = max(_last(row) for row in rows)
    return min(rows[0].levels, math.ceil(1.1 * last))


def _last(row: FitRow) -> int:
    """Return how far a curve is drawn."""
    told = row.fit is not None and row.fit.side is Placement.WITHIN
    return max(row.points.levels[-1], math.ceil(row.t50.level) if told else 0)


def _below(kind: DistortionEntry, width: int) -> Spec:
    step = 5 if width > 180 else 3
    title = f"level (of {len(kind.strengths)})"
    return {"title": title, "tickCount": step, "tickMinStep": 1, "grid": False, "titlePadding": 2}


def _above(kind: DistortionEntry, top: int, at: Spec, width: int) -> Spec:
    """Return the axis of strengths on top: round ones, where the ladder has them or between its levels."""
    of = units.known(kind.unit)
    ticks = of.ticks(kind.strengths[:top], max(4, width // 48))
    told = ",".join(f"{1000 * level:.0f}:'{said}'" for level, said in ticks)
    axis = {
        "orient": "top", "values": [level for level, _ in ticks], "labelExpr": f"({{{told}}})[round(1000*datum.value)]",
        "title": shortened(of.title, 40), "grid": False,
        "labelFontSize": 10.5, "titleFontSize": 10.5, "labelColor": figures.MUTED, "titleColor": figures.MUTED,
        "labelOverlap": "parity", "titlePadding": 2, "labelPadding": 1, "tickSize": 3,
    }  # fmt: skip
    return layer({"type": "point", "opacity": 0, "color": figures.INK}, [{"level": 1}], x={**at, "axis": axis})


def _course(row: FitRow, who: str) -> list[Spec]:
    curve = _curve(row)
    assert curve is not None
    return [
        {"who": who, "level": level, "share": 100 * share, "low": 100 * low, "high": 100 * high}
        for level, share, low, high in zip(curve.levels, curve.share, curve.low, curve.high, strict=True)
        if level <= _last(row)
    ]


def _marks(row: FitRow, who: str, analysis: Analysis) -> list[Spec]:
    said = _said(analysis, row)
    found = []
    for first, last, level, share in pooled(row.points, row.levels):
        where = f"level {first}" if first == last else f"levels {first} to {last}"
        found.append((level, share, f"{who}, {where}: {rate(share)} {said}"))
    if row.alarms.n:
        found.append((0.0, row.alarms, f"{who}, identical pairs: {rate(row.alarms)} {said}"))
    return [
        {"who": who, "level": level, "n": share.n, "share": 100 * share.value, "says": says,
         "low": 100 * share.interval.low, "high": 100 * share.interval.high}
        for level, share, says in found if share.interval is not None
    ]  # fmt: skip


def pooled(points: Curve, top: int) -> list[tuple[int, int, float, Share]]:
    """Return the marks of a curve: first and last level asked, their mean by answers, and the share of yes.

    Args:
        points: answers by level.
        top: L of the ladder, which is cut into equal steps where more levels were asked than `MARKS`.
    """
    step = 1 if len(points.levels) <= MARKS else math.ceil(top / MARKS)
    each = zip(points.levels, points.yes, points.n, strict=True)
    found = []
    for _, group in groupby(each, key=lambda one: (one[0] - 1) // step):
        levels, yes, n = zip(*group, strict=True)
        mean = sum(level * count for level, count in zip(levels, n, strict=True)) / sum(n)
        found.append((levels[0], levels[-1], mean, Share(sum(yes), sum(n))))
    return found


def _rates(row: FitRow, who: str) -> list[Spec]:
    """Return the ends of the curve: false alarms (chance is no observer's own), and what lapses leave."""
    fit = row.fit
    assert fit is not None
    ends = (("lapses", fit.lapse, True), *(() if row.forced else (("false alarms", fit.guess, False),)))
    return [
        {"who": who, "share": 100 * (1 - of.median if above else of.median),
         "says": f"{who}, {what} as fitted: {100 * of.median:.0f} % {bounds(of.interval, 0, times=100)}"}
        for what, of, above in ends
    ]  # fmt: skip


def _half(row: FitRow, who: str, kind: DistortionEntry, top: int) -> list[Spec]:
    """Return T50 with the ends of its interval, as far as the panel goes; nothing where the answers do not tell one."""
    fit, curve = row.fit, _curve(row)
    assert fit is not None
    assert curve is not None
    if fit.side is not Placement.WITHIN:
        return []
    level, interval = fit.threshold.median, fit.threshold.interval
    strength = units.said(row.t50, kind.strengths, kind.unit)
    return [
        {"who": who, "level": level, "share": 100 * curve.at(level), "base": 0, "low": max(0.0, interval.low),
         "high": min(1.03 * top, interval.high), "says": f"{who}: {_t50(row)}, {strength}"}
    ]  # fmt: skip


def _t50(row: FitRow) -> str:
    assert row.fit is not None
    if row.fit.side is not Placement.WITHIN:
        return f"T50 {row.t50}"
    return f"T50 {number(row.fit.threshold.median)} {bounds(row.fit.threshold.interval)}"


def _subtitle(row: FitRow) -> list[str]:
    references = getattr(row.fit, "references", 1)
    marks = [share.n for *_, share in pooled(row.points, row.levels)]
    each = f"{min(marks)}" if min(marks) == max(marks) else f"{min(marks)} to {max(marks)}"
    chosen = "; answers chose the levels" if row.adaptive else ""
    return [
        f"{_t50(row)} levels, n = {references} reference{'s' * (references != 1)}",
        f"{each} answers a mark{chosen}",
    ]


def _said(analysis: Analysis, row: FitRow) -> str:
    """Return what the share is of."""
    return analysis.questions[row.question].verdicts[1]
