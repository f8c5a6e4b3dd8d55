"""Figures as Vega-Lite specifications, drawn to SVG when the page is built: no script is needed to look at them.

Text takes the colour of the page around it and grid lines that of its style sheet, so that a figure drawn once is
legible on light, dark and paper. Colours of observers are those of Okabe and Ito (2008), told apart by shape too.
"""

import html
import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from limen.analysis import AnswerRow, CurveRow, JndRow, Outcome, Response
from limen.analysis.survival import UnnoticedRow
from limen.parsing.yes_no import Flag
from limen.threshold import Threshold

Spec: TypeAlias = dict[str, Any]

LONGEST = 400  # characters of one text in a figure
LARGEST = 16_000  # dots of a PNG's longer side
WIDE, NARROW = 1060, 340  # px: every figure is drawn for a desk and for a phone; the style sheet shows one
# Replaced in the drawing by the page's own colours.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)
_PAGE = {INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--paper)"} | {
    shade: f"var(--c{i})" for i, shade in enumerate(COLOURS[:-1])
}  # the style sheet has a lighter shade of each for dark pages
_PRINT = {INK: "#000000", MUTED: "#666666", GRID: "#dddddd", PAPER: "#ffffff"}
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
FAULTS = {"antilogy": COLOURS[3], "gibberish": COLOURS[0], "deficiency": COLOURS[4], "none": GRID}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
_NOISE = re.compile(
    r' (?:role|aria-[a-z]+|pointer-events|xmlns:xlink|version)="[^"]*"'
    r'|<path class="(?:background|foreground)"[^>]*/>| opacity="1"| stroke-miterlimit="10"'
)
_TAG = re.compile(r"<[^>]*>")  # numbers in attributes are drawing, those between tags are words
_SIZE = re.compile(r'(?:width|height)="([\d.]+)"')
_NUMBER = re.compile(r"(\d+\.\d{2})\d+")


def svg(spec: Spec, label: str) -> str:
    """Draw a specification.

    Args:
        spec: Vega-Lite.
        label: what the figure shows, for those who do not see it.

    Returns:
        An `<svg>` element; texts in it are escaped.
    """
    drawn = _TAG.sub(lambda tag: _NUMBER.sub(r"\1", tag[0]), _NOISE.sub("", _drawn(spec, _PAGE))).replace("<g></g>", "")
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{html.escape(legible(label))}" ', 1)


def both(draw: Callable[[int], Spec], label: str) -> dict[str, str]:
    """Draw a figure for wide and for narrow pages, from a function from width to specification."""
    return {"wide": svg(draw(WIDE), label), "narrow": svg(draw(NARROW), label), "label": label}


def on_paper(spec: Spec) -> str:
    """Draw a specification as an SVG file of its own, in the colours of print, with a white ground."""
    return _drawn(spec, _PRINT)


def as_png(spec: Spec, scale: float) -> bytes:
    """Draw a specification as PNG, as `on_paper` does; `scale` dots a px."""
    import vl_convert

    drawing = on_paper(spec)
    width, height = (float(side) for side in _SIZE.findall(drawing)[:2])
    drawn: bytes = vl_convert.svg_to_png(drawing, scale=min(scale, LARGEST / width, LARGEST / height))
    return drawn


def _drawn(spec: Spec, palette: Mapping[str, str]) -> str:
    import vl_convert

    axis = {
        "labelColor": INK, "titleColor": INK, "tickColor": MUTED, "domainColor": MUTED, "gridColor": GRID,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 150, "labelFlush": False,
    }  # fmt: skip
    config = {
        "aria": False, "font": _FONT, "background": None, "view": {"stroke": None}, "axis": axis,
        "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "orient": "top", "title": None,
                   "symbolOpacity": 1, "columnPadding": 24},
        "title": {"color": INK, "fontSize": 13, "anchor": "start", "fontWeight": 600, "frame": "group"},
        "header": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "labelFontWeight": 600},
        "text": {"color": INK, "fontSize": 11},
    }  # fmt: skip
    config["background"] = "white" if palette is _PRINT else None
    drawn: str = vl_convert.vegalite_to_svg({**legible(spec), "config": config}, vl_version="5.20")
    for sentinel, colour in palette.items():
        drawn = drawn.replace(f'"{sentinel}"', f'"{colour}"')
    return drawn


def legible(part: Any) -> Any:
    """Return a specification, or any part of it, whose texts the chart library can draw.

    Names come from outside. A control character or half of a surrogate pair in one makes that library end the process,
    and a very long one takes minutes: the former are written out ([U+0001]), the latter cut in the middle.
    """
    if isinstance(part, str):
        short = part if len(part) <= LONGEST else f"{part[: LONGEST // 2]}…{part[-LONGEST // 2 :]}"
        if short.isprintable():
            return short
        return "".join(f"[U+{ord(sign):04X}]" if _strange(sign) else sign for sign in short)
    if isinstance(part, Mapping):
        return {legible(key): legible(value) for key, value in part.items()}
    if isinstance(part, Sequence):
        return [legible(item) for item in part]
    return part


def _strange(sign: str) -> bool:
    return sign != "\n" and unicodedata.category(sign).startswith("C")


def colour(position: int) -> str:
    """Return the colour of the observer at this position."""
    return COLOURS[position % len(COLOURS)]


def on_page(shade: str) -> str:
    """Return what the style sheet calls a colour."""
    return _PAGE[shade]


def identity(names: Sequence[str], columns: int) -> Spec:
    """Return the encodings that tell observers apart: colour and shape; a legend only where there are several."""
    legend = {"columns": columns, "labelLimit": 230 if columns == 1 else 360} if len(names) > 1 else None
    shapes = [SHAPES[(i + i // len(COLOURS)) % len(SHAPES)] for i in range(len(names))]  # colours come back in others
    return {
        "color": {"field": "who", "type": "nominal", "legend": legend,
                  "scale": {"domain": list(names), "range": [colour(i) for i in range(len(names))]}},
        "shape": {"field": "who", "type": "nominal", "legend": legend,
                  "scale": {"domain": list(names), "range": shapes}},
    }  # fmt: skip


def first_jnds(
    rows: Sequence[JndRow], outcomes: Iterable[Outcome], names: Mapping[tuple[str, str], str], width: int
) -> Spec:
    """Return the figure of 1st JNDs: a panel for each length of ladder, a line for each distortion and observer.

    Args:
        rows: the n-th JNDs; only the first are drawn.
        outcomes: for one mark a level and reference behind the mean.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    first = [row for row in rows if row.order == 1 and row.n]
    counts: dict[tuple[str, str, int], int] = {}
    for outcome in outcomes:
        for threshold in outcome.thresholds[:1]:
            if threshold.reached:
                key = (outcome.series.distortion, names[outcome.observer, outcome.question], threshold.level)
                counts[key] = counts.get(key, 0) + 1
    panels = []
    for levels in sorted({row.levels for row in first}):
        mine = [row for row in first if row.levels == levels]
        distortions = sorted({row.distortion for row in mine})
        means = [_mean(row, names[row.observer, row.question]) for row in mine]
        found = [{"distortion": d, "who": w, "level": k, "count": c} for (d, w, k), c in sorted(counts.items())
                 if d in distortions]  # fmt: skip
        panels.append(_first_panel(means, found, distortions, tuple(names.values()), levels, width))
    return {"vconcat": panels, "spacing": 18}


def _mean(row: JndRow, name: str) -> Spec:
    interval = row.interval
    none = f"{row.censored.k} of {row.n} none" if row.censored.k else ""
    return {
        "distortion": row.distortion, "who": name, "mean": row.mean, "none": none,
        "low": interval.low if interval else None, "high": interval.high if interval else None,
    }  # fmt: skip


def _first_panel(
    means: list[Spec], found: list[Spec], distortions: Sequence[str], names: Sequence[str], levels: int, width: int
) -> Spec:
    look = identity(names, columns=1 if width < 500 else 2)
    x = {"type": "quantitative", "scale": {"domain": [0, levels], "nice": False}}
    axis = {"title": f"level (1 to {levels})", "tickCount": 5, "domain": False}
    y = {"field": "distortion", "type": "nominal", "sort": list(distortions),
         "axis": {"title": None, "domain": False, "ticks": False, "minExtent": 72, "maxExtent": 72},
         "scale": {"paddingInner": 0.25}}  # fmt: skip
    lanes = [f"{name}\n{part}" for name in names for part in ("mean", "single")]
    lane = {"y": y, "yOffset": {"field": "lane", "type": "nominal", "scale": {"domain": lanes}}}
    means = [{**item, "lane": f"{item['who']}\nmean"} for item in means]
    found = [{**item, "lane": f"{item['who']}\nsingle"} for item in found]
    size = {"field": "count", "type": "quantitative", "legend": None, "scale": {"type": "linear", "rangeMin": 26,
            "rangeMax": 110, "domainMin": 1, "domainMax": max([2, *(item["count"] for item in found)])}}  # fmt: skip
    return {
        "title": f"Ladders of {levels} levels",
        "width": width - 72 - 88,
        "height": len(distortions) * (22 * len(names) + 8),
        "layer": [
            {"data": {"values": found}, "mark": {"type": "point", "strokeWidth": 1, "opacity": 0.8},
             "encoding": {**lane, **look, "x": {**x, "field": "level", "axis": axis}, "size": size}},
            {"data": {"values": [item for item in means if item["low"] is not None]},
             "mark": {"type": "rule", "strokeWidth": 2.5},
             "encoding": {**lane, "color": look["color"], "x": {**x, "field": "low", "axis": axis},
                          "x2": {"field": "high"}}},
            {"data": {"values": means}, "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
             "encoding": {**lane, **look, "x": {**x, "field": "mean", "axis": axis}}},
            {"data": {"values": [item for item in means if item["none"]]},
             "mark": {"type": "text", "align": "left", "dx": 8},
             "encoding": {**lane, "x": {"value": "width"}, "text": {"field": "none"}}},
        ],
    }  # fmt: skip


def in_force(outcome: Outcome) -> list[Response]:
    """Return the responses of one series level by level, each against the reference in force at its level.

    A level asked about twice, to confirm one JND and then to look for the next, is shown once: the second time.
    """
    steps = [threshold.level for threshold in outcome.thresholds if not threshold.censored]
    shown = []
    for response in outcome.responses:
        level = response.probe.level
        reference = max((step for step in steps if step < level), default=0)
        if level > response.probe.reference == reference and not response.probe.draw:
            shown.append(response)
    return sorted(shown, key=lambda response: response.probe.level)


def responses(outcome: Outcome, position: int, levels: int, width: int) -> Spec:
    """Return the lane of one series: yes and no at each level asked, with every JND marked and numbered.

    Args:
        outcome: of one series.
        position: of the observer among those drawn, >= 0: its colour.
        levels: L of the ladder, >= 1.
        width: of the page, in px.
    """
    asked = in_force(outcome)
    marks = _marks((threshold for threshold in outcome.thresholds if not threshold.censored), levels, width)
    x = {"type": "quantitative", "scale": {"domain": [0, levels + 0.5], "nice": False},
         "axis": {"title": "level", "grid": False, "tickCount": 10 if width > 500 else 5, "offset": 8,
                  "domain": False}}  # fmt: skip
    y = {"type": "quantitative", "scale": {"domain": [0, 1.5], "nice": False},
         "axis": {"title": None, "values": [0, 1], "labelExpr": "datum.value ? 'yes' : 'no'", "domain": False,
                  "ticks": False, "grid": False, "minExtent": 30}}  # fmt: skip
    bars = [{"level": r.probe.level, "base": 0, "answer": 1} for r in asked if r.asked and r.verdict.yes]
    dumb = [r for r in asked if r.asked and r.verdict.flag is Flag.UNREADABLE]
    stubs = [{"level": r.probe.level, "answer": 0} for r in asked if r.asked and r.verdict.flag is Flag.NO]
    same = [{"level": r.probe.level, "answer": 0, "sign": "="} for r in asked if not r.asked]
    same += [{"level": r.probe.level, "answer": 0, "sign": "×"} for r in dumb]
    at = {**x, "field": "level"}
    return {
        "width": width - 46,
        "height": 46,
        "layer": [
            {"data": {"values": [{"answer": 0}]}, "mark": {"type": "rule", "color": GRID},
             "encoding": {"y": {**y, "field": "answer"}}},
            {"data": {"values": stubs}, "mark": {"type": "point", "filled": True, "color": MUTED, "size": 14,
                                                 "opacity": 1},
             "encoding": {"x": at, "y": {**y, "field": "answer"}}},
            {"data": {"values": same}, "mark": {"type": "text", "color": MUTED, "fontSize": 10},
             "encoding": {"x": at, "y": {**y, "field": "answer"}, "text": {"field": "sign"}}},
            {"data": {"values": bars}, "mark": {"type": "rule", "color": colour(position), "strokeWidth": 2},
             "encoding": {"x": at, "y": {**y, "field": "base"}, "y2": {"field": "answer"}}},
            {"data": {"values": marks}, "mark": {"type": "point", "shape": "diamond", "size": 70, "opacity": 1,
                                                 "stroke": colour(position), "strokeWidth": 1.5},
             "encoding": {"x": at, "y": {**y, "field": "answer"}, "fill": {
                 "condition": {"test": "datum.confirmed", "value": colour(position)}, "value": PAPER}}},
            {"data": {"values": marks}, "mark": {"type": "text", "dy": -11, "fontSize": 10},
             "encoding": {"x": at, "y": {**y, "field": "answer"}, "text": {"field": "label"}}},
        ],
    }  # fmt: skip


def _marks(found: Iterable[Threshold], levels: int, width: int) -> list[Spec]:
    """Return JNDs with their order as label, left out where it would touch the one before."""
    room, last, marks = 15 * levels / (width - 46), -99.0, []
    for threshold in found:
        fits = threshold.level - last >= room
        last = threshold.level if fits else last
        label = f"{threshold.order}{'' if threshold.confirmed else '?'}" if fits else ""
        marks.append({"level": threshold.level, "answer": 1, "label": label, "confirmed": threshold.confirmed})
    return marks


def nth_means(rows: Iterable[JndRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the restricted mean of the n-th JND against n, as a share of the ladder.

    A mark is open where fewer than half of the references reached that JND: the mean then lies near its bound.

    Args:
        rows: the n-th JNDs.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    reached = [row for row in rows if row.censored.k < row.n]
    values = [
        {"distortion": row.distortion, "who": names[row.observer, row.question], "n": row.order,
         "share": 100 * row.mean / row.levels, "half": 2 * (row.n - row.censored.k) >= row.n}
        for row in reached
    ]  # fmt: skip
    values += [{**item, "n": 0, "share": 0.0, "half": True} for item in values if item["n"] == 1]
    most = max([1, *(row.order for row in reached)])
    step = next((step for step in (1, 2, 5, 10, 20) if most <= 5 * step), 50)
    look = identity(tuple(names.values()), columns=1 if width < 500 else 2)
    x = {"field": "n", "type": "quantitative", "scale": {"domain": [0, most], "nice": False},
         "axis": {"title": "n", "values": list(range(0, most + 1, step)), "grid": False}}  # fmt: skip
    y = {"field": "share", "type": "quantitative", "scale": {"domain": [0, 100]},
         "axis": {"title": "% of the ladder", "tickCount": 3}}  # fmt: skip
    place = {"x": x, "y": y, **look}
    mark = {"type": "point", "size": 24, "opacity": 1}
    layer: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"x": x, "y": y, "color": place["color"]}},
        {"transform": [{"filter": "datum.half"}], "mark": {**mark, "filled": True}, "encoding": place},
        {"transform": [{"filter": "!datum.half"}], "mark": {**mark, "strokeWidth": 1}, "encoding": place},
    ]  # fmt: skip
    return {**multiples(values, layer, width), "resolve": {"axis": {"x": "independent"}}}


def faults(rows: Sequence[AnswerRow], width: int) -> Spec:
    """Return the stacked bars of the faults of one observer's answers, a bar for each distortion."""
    values = []
    for row in rows:
        shares = {"antilogy": row.antilogy, "gibberish": row.gibberish, "deficiency": row.deficiency}
        percent = {fault: 100 * share.k / share.n if share.n else 0.0 for fault, share in shares.items()}
        percent["none"] = 100 - sum(percent.values())
        values += [{"distortion": row.distortion, "fault": fault, "at": i, "percent": value}
                   for i, (fault, value) in enumerate(percent.items())]  # fmt: skip
    return {
        "data": {"values": values},
        "width": width - 84,
        "height": 20 * len(rows),
        "mark": {"type": "bar", "height": 13},
        "encoding": {
            "y": {"field": "distortion", "type": "nominal", "axis": {"title": None, "domain": False, "ticks": False,
                                                                      "minExtent": 72, "maxExtent": 72}},
            "x": {"field": "percent", "type": "quantitative", "stack": "zero", "scale": {"domain": [0, 100]},
                  "axis": {"title": "% of answers", "grid": False, "tickCount": 5}},
            "color": {"field": "fault", "type": "nominal", "legend": {"columns": 4},
                      "scale": {"domain": list(FAULTS), "range": list(FAULTS.values())}},
            "order": {"field": "at"},
        },
    }  # fmt: skip


def yes_shares(rows: Iterable[CurveRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the share of yes against the level, for procedures that look for no JND.

    Args:
        rows: curves over references.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    values = [
        {"distortion": row.distortion, "who": names[row.observer, row.question], "level": level,
         "share": 100 * share.value}
        for row in rows for level, share in zip(row.curve.levels, row.curve.shares, strict=True)
    ]  # fmt: skip
    x = {"field": "level", "type": "quantitative", "scale": {"domainMin": 0, "nice": False},
         "axis": {"title": "level", "tickCount": 4, "grid": False}}  # fmt: skip
    y = {"field": "share", "type": "quantitative", "scale": {"domain": [0, 100]},
         "axis": {"title": "% yes", "tickCount": 3}}  # fmt: skip
    look = identity(tuple(names.values()), columns=1 if width < 500 else 2)
    layer = [
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"x": x, "y": y, "color": look["color"]}},
        {"mark": {"type": "point", "filled": True, "size": 24, "opacity": 1}, "encoding": {"x": x, "y": y, **look}},
    ]
    return {**multiples(values, layer, width), "resolve": {"scale": {"x": "independent"}}}


def card(drawn: Spec, lines: Sequence[str], warnings: Sequence[str]) -> Spec:
    """Return a figure with sentences below it, for one picture that can be shown by itself.

    Args:
        drawn: the figure.
        lines: sentences, each wrapped at 105 characters.
        warnings: further ones; 60 lines in all.
    """
    texts = [text for line in (*lines, *warnings) for text in textwrap.wrap(line, 105, max_lines=12, placeholder=" …")][
        :60
    ]
    below = {
        "data": {"values": [{"line": i, "text": text} for i, text in enumerate(texts)]},
        "width": 700, "height": 17 * len(texts),
        "mark": {"type": "text", "align": "left", "fontSize": 12, "limit": 900},
        "encoding": {
            "y": {"field": "line", "type": "ordinal", "axis": None},
            "x": {"value": 0},
            "text": {"field": "text"},
        },
    }  # fmt: skip
    return {"vconcat": [drawn, below], "padding": 24}


def _points(row: UnnoticedRow) -> Iterable[tuple[int, float, float, float]]:
    curve = row.curve
    return zip(curve.levels, curve.share, curve.low, curve.high, strict=True)


def unnoticed(rows: Iterable[UnnoticedRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the share of references not noticed up to each level, with its 95 % band.

    Args:
        rows: shares by level.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    values = [
        {"distortion": row.distortion, "who": names[row.observer, row.question], "level": level, "share": 100 * share,
         "low": 100 * (share if math.isnan(low) else low), "high": 100 * (share if math.isnan(high) else high)}
        for row in rows
        for level, share, low, high in _points(row)
    ]  # fmt: skip
    look = identity(tuple(names.values()), columns=1 if width < 500 else 2)
    x = {"field": "level", "type": "quantitative", "scale": {"domainMin": 0, "nice": False},
         "axis": {"title": "level", "tickCount": 4, "grid": False}}  # fmt: skip
    y = {"type": "quantitative", "scale": {"domain": [0, 100]}, "axis": {"title": "% unnoticed", "tickCount": 3}}
    colours = {"color": look["color"]}
    layer = [
        {"mark": {"type": "area", "opacity": 0.16, "interpolate": "step-after"},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, **colours}},
        {"mark": {"type": "line", "strokeWidth": 1.5, "interpolate": "step-after"},
         "encoding": {"x": x, "y": {**y, "field": "share"}, **colours}},
    ]  # fmt: skip
    return {**multiples(values, layer, width), "resolve": {"scale": {"x": "independent"}}}


def multiples(values: list[Spec], layer: list[Spec], width: int) -> Spec:
    """Return a panel for each distortion, as many in a row as the page is wide.

    Args:
        values: data, each with a distortion.
        layer: Vega-Lite marks of one panel.
        width: of the page, in px.
    """
    columns = min(5 if width > 500 else 2, len({item["distortion"] for item in values}) or 1)
    return {
        "data": {"values": values},
        "facet": {"field": "distortion", "type": "nominal", "title": None},
        "columns": columns,
        "spec": {"width": (width - 46) // columns - 16, "height": 92, "layer": layer},
        "spacing": {"row": 78, "column": 16},
        "bounds": "flush",
    }
