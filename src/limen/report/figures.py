"""Figures as Vega-Lite specifications, drawn to SVG when the page is built: no script is needed to look at them.

Text takes the colour of the page around it and grid lines that of its style sheet, so that a figure drawn once is
legible on light, dark and paper. Colours of observers are those of Okabe and Ito (2008), told apart by shape too.
"""

import html
import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from limen.analysis import Analysis, AnswerRow, JndRow, Outcome
from limen.analysis.changes import ChangedRow
from limen.analysis.survival import UnnoticedRow
from limen.question import Question
from limen.report.format import control, counted, estimate, k_of_n, rate

Spec: TypeAlias = dict[str, Any]

LONGEST = 400  # characters of one text in a figure
LARGEST = 16_000  # dots of a PNG's longer side
FEW = 3  # observers with questions, up to which a figure draws single references too
PAPER_WIDTH = 760  # px of a figure on paper
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
FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
_NOISE = re.compile(
    r' (?:role|aria-[a-z]+|pointer-events|xmlns:xlink|version)="[^"]*"'
    r'|<path class="(?:background|foreground)"[^>]*/>| opacity="1"| stroke-miterlimit="10"'
)
_SAID = re.compile(r'<(path|line|rect)([^>]*) aria-label="([^"]*)"([^>]*)/>')
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
    hovered = _SAID.sub(r"<\1\2\4><title>\3</title></\1>", _drawn(spec, _PAGE))
    drawn = _TAG.sub(lambda tag: _NUMBER.sub(r"\1", tag[0]), _NOISE.sub("", hovered)).replace("<g></g>", "")
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
        "background": "white" if palette is _PRINT else None,
        "aria": False, "font": FONT, "view": {"stroke": None}, "axis": axis,
        "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "orient": "top", "title": None,
                   "symbolOpacity": 1, "columnPadding": 24},
        "title": {"color": INK, "fontSize": 13, "anchor": "start", "fontWeight": 600, "frame": "group"},
        "header": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "labelFontWeight": 600},
        "text": {"color": INK, "fontSize": 11},
    }  # fmt: skip
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
        return "".join(f"[U+{ord(sign):04X}]" if control(sign) and sign != "\n" else sign for sign in short)
    if isinstance(part, Mapping):
        return {legible(key): legible(value) for key, value in part.items()}
    if isinstance(part, Sequence):
        return [legible(item) for item in part]
    return part


def colour(position: int) -> str:
    """Return the colour of the observer at this position."""
    return COLOURS[position % len(COLOURS)]


def on_page(shade: str) -> str:
    """Return what the style sheet calls a colour."""
    return _PAGE[shade]


# --- parts of specifications ---


def quantity(field: str, title: str | None, scale: Spec | None = None, **axis: Any) -> Spec:
    """Return the encoding of a number by its place along an axis.

    Args:
        field: of the data.
        title: of the axis; None for none.
        scale: its domain and type; as Vega-Lite has them.
        **axis: further properties of the axis.
    """
    return {"field": field, "type": "quantitative", "scale": scale or {}, "axis": {"title": title, **axis}}


def points(size: int = 24, filled: bool = True, **style: Any) -> Spec:
    """Return the mark of single numbers.

    Args:
        size: area of a mark, in px squared.
        filled: or an outline.
        **style: further properties of the mark.
    """
    return {"type": "point", "filled": filled, "size": size, "opacity": 1, **style}


def line(width: float = 1.5, **style: Any) -> Spec:
    """Return the mark of a course of numbers."""
    return {"type": "line", "strokeWidth": width, **style}


def layer(mark: Spec, values: Sequence[Spec] | None = None, where: str = "", /, **encoding: Any) -> Spec:
    """Return one layer of a figure.

    Args:
        mark: what is drawn.
        values: its own data, where it does not share those of the figure.
        where: draw only data for which this expression holds.
        encoding: what decides about place, colour and shape.
    """
    data = {} if values is None else {"data": {"values": list(values)}}
    if "description" in encoding:
        mark = {**mark, "aria": True}  # becomes the text that a pointer over the mark shows
    return data | ({"transform": [{"filter": where}]} if where else {}) | {"mark": mark, "encoding": encoding}


def identity(names: Sequence[str], columns: int) -> Spec:
    """Return the encodings that tell observers apart: colour and shape; a legend only where there are several."""
    legend = {"columns": columns, "labelLimit": 230 if columns == 1 else 360} if len(names) > 1 else None
    shapes = [SHAPES[(i + i // len(COLOURS)) % len(SHAPES)] for i in range(len(names))]  # colours come back in others
    ranges = {"color": [colour(i) for i in range(len(names))], "shape": shapes}
    return {
        channel: {"field": "who", "type": "nominal", "legend": legend,
                  "scale": {"domain": list(names), "range": values}}
        for channel, values in ranges.items()
    }  # fmt: skip


def observers(names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return `identity` of all that were asked, as the page is wide."""
    return identity(tuple(names.values()), columns=1 if width < 500 else 2)


def chance(questions: Iterable[Question], y: Spec) -> list[Spec]:
    """Return the layers that draw, with its name, how often guessing is right; none where that is not known.

    Args:
        questions: whose answers are drawn as shares in per cent.
        y: the encoding of those shares, in the field `share`.
    """
    rates = sorted({question.guess for question in questions if question.guess is not None})
    values = [{"share": 100 * rate, "says": f"chance {100 * rate:.3g} %"} for rate in rates]
    text = {"type": "text", "align": "right", "baseline": "bottom", "dx": -2, "dy": -2, "fontSize": 10}
    return [
        layer({"type": "rule", "strokeDash": [1, 3], "color": MUTED}, values, y=y, description=SAYS),
        layer({**text, "color": MUTED}, values, y=y, x={"value": "width"}, text=SAYS),
    ] if rates else []  # fmt: skip


def kinds(field: str, room: int, **more: Any) -> Spec:
    """Return the encoding of names down the side of a figure, with room for them in px.

    Args:
        field: of the data.
        room: for the names, in px.
        **more: further properties of the encoding.
    """
    axis = {"title": None, "domain": False, "ticks": False, "minExtent": room, "maxExtent": room}
    return {"field": field, "type": "nominal", "axis": axis, **more}


def orders() -> Spec:
    """Return the axis of n, the order of a JND, as long as each panel needs it (`multiples` with scales of its own)."""
    return quantity("n", "n", {"zero": True, "nice": False}, tickCount=5, tickMinStep=1, format="d", grid=False)


def per_cent(field: str, title: str) -> Spec:
    """Return an axis from 0 to 100 %."""
    return quantity(field, title, {"domain": [0, 100]}, tickCount=3)


def multiples(values: list[Spec], layers: list[Spec], width: int, own: Spec) -> Spec:
    """Return a panel for each distortion, as many in a row as the page is wide.

    Args:
        values: the data, each of a `distortion`.
        layers: of each panel.
        width: of the page, in px.
        own: what each panel has of its own ({"scale": {"x": "independent"}}).
    """
    columns = min(5 if width > 500 else 2, len({item["distortion"] for item in values}) or 1)
    return {
        "data": {"values": values},
        "facet": {"field": "distortion", "type": "nominal", "title": None},
        "columns": columns,
        "spec": {"width": (width - 46) // columns - 16, "height": 92, "layer": layers},
        "spacing": {"row": 78, "column": 16},
        "bounds": "flush",
        "resolve": own,
    }


SAYS: Spec = {"field": "says"}  # the encoding of what a pointer over a mark shows


# --- figures ---


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
    if len(names) > FEW:
        return _first_by_distortion(first, names, width)
    counts = Counter(
        (outcome.series.distortion, names[outcome.observer, outcome.question], threshold.level)
        for outcome in outcomes
        for threshold in outcome.thresholds[:1]
        if threshold.reached
    )
    panels = []
    for levels in sorted({row.levels for row in first}):
        means = [_mean(row, names[row.observer, row.question]) for row in first if row.levels == levels]
        distortions = sorted({mean["distortion"] for mean in means})
        singles = [
            {"distortion": distortion, "who": who, "level": level, "count": count, "lane": f"{who}\nsingle"}
            for (distortion, who, level), count in sorted(counts.items())
            if distortion in distortions
        ]
        panels.append(_first_panel(means, singles, distortions, names, levels, width))
    return {"vconcat": panels, "spacing": 18}


def _first_by_distortion(rows: Sequence[JndRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return a panel for each distortion with a line for each of many observers: means with intervals, named directly.

    Every panel's axis goes as far as its data.
    """
    values = [_mean(row, names[row.observer, row.question]) | {"levels": row.levels} for row in rows]
    room = 150 if width > 500 else 104
    columns = 4 if width > 500 else 2
    x = quantity("mean", "level", {"zero": False, "nice": True}, tickCount=4, tickMinStep=1)
    y = kinds("who", room, sort=list(names.values()))
    y["axis"] |= {"labelLimit": room, "labelFontSize": 11, "grid": True}
    look = identity(tuple(names.values()), 1)
    look = {channel: {**of, "legend": None} for channel, of in look.items()}
    bars = {"type": "rule", "strokeWidth": 2}
    layers = [
        layer(
            bars, None, "isValid(datum.low)", y=y, color=look["color"], x={**x, "field": "low"}, x2={"field": "high"}
        ),
        layer(points(46), x=x, y=y, **look, description=SAYS),
    ]  # fmt: skip
    return {
        "data": {"values": values},
        "facet": {"field": "distortion", "type": "nominal", "title": None},
        "columns": columns,
        "spec": {"width": (width - room - 20) // columns - 16, "height": 15 * len(names), "layer": layers},
        "spacing": {"row": 70, "column": 16},
        "bounds": "flush",
        "resolve": {"scale": {"x": "independent"}},
    }


def _mean(row: JndRow, name: str) -> Spec:
    interval = row.interval
    none = f"{k_of_n(row.censored)} none" if row.censored.k else ""
    return {
        "distortion": row.distortion, "who": name, "mean": row.mean, "none": none, "lane": f"{name}\nmean",
        "low": interval.low if interval else None, "high": interval.high if interval else None,
        "says": f"{name}, {row.distortion}: mean {estimate(row.mean, interval)}, n = {row.n}"
        + (f", {none}" if none else ""),
    }  # fmt: skip


def _first_panel(
    means: list[Spec], singles: list[Spec], distortions: Sequence[str], names: Mapping[tuple[str, str], str],
    levels: int, width: int,
) -> Spec:  # fmt: skip
    look = observers(names, width)
    far = max([item["high"] or item["mean"] for item in means] + [item["level"] for item in singles])
    end = levels if any(item["none"] for item in means) else min(levels, math.ceil(1.1 * far))
    x = quantity("mean", f"level, of {levels}", {"domain": [0, end], "nice": False}, tickCount=5, tickMinStep=1,
                 domain=False)  # fmt: skip
    lanes = [f"{name}\n{part}" for name in names.values() for part in ("mean", "single")]
    lane = {
        "y": kinds("distortion", 72, sort=list(distortions), scale={"paddingInner": 0.25}),
        "yOffset": {"field": "lane", "type": "nominal", "scale": {"domain": lanes}},
    }
    most = max([2, *(item["count"] for item in singles)])
    sizes = {"type": "linear", "rangeMin": 26, "rangeMax": 110, "domainMin": 1, "domainMax": most}
    size = {"field": "count", "type": "quantitative", "legend": None, "scale": sizes}
    sure = [item for item in means if item["low"] is not None]
    bounded = [item for item in means if item["none"]]
    return {
        "title": f"Ladders of {levels} levels",
        "width": width - 72 - 88,
        "height": len(distortions) * (22 * len(names) + 8),
        "layer": [
            layer({"type": "point", "strokeWidth": 1, "opacity": 0.8}, singles,
                  **lane, **look, x={**x, "field": "level"}, size=size),
            layer({"type": "rule", "strokeWidth": 2.5}, sure,
                  **lane, color=look["color"], x={**x, "field": "low"}, x2={"field": "high"}),
            layer(points(75), means, **lane, **look, x=x, description=SAYS),
            layer({"type": "text", "align": "left", "dx": 8}, bounded,
                  **lane, x={"value": "width"}, text={"field": "none"}),
        ],
    }  # fmt: skip


def nth_means(rows: Iterable[JndRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the restricted mean of the n-th JND against n, as a share of the ladder.

    A mark is open where fewer than half of the references reached that JND: the mean then lies near its bound. A bar is
    the mean's 95 % interval.

    Args:
        rows: the n-th JNDs.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    reached = [row for row in rows if row.censored.k < row.n]
    values: list[Spec] = [
        {"distortion": row.distortion, "who": names[row.observer, row.question], "n": row.order,
         "share": 100 * row.mean / row.levels, "half": 2 * (row.n - row.censored.k) >= row.n,
         "low": 100 * row.interval.low / row.levels if row.interval else None,
         "high": 100 * row.interval.high / row.levels if row.interval else None,
         "says": f"{names[row.observer, row.question]}, JND {row.order}: mean level "
         f"{estimate(row.mean, row.interval)}, reached by {row.n - row.censored.k} of {row.n}"}
        for row in reached
    ]  # fmt: skip
    start: Spec = {"n": 0, "share": 0.0, "half": True, "low": None, "high": None, "says": "the reference"}
    values += [{**item, **start} for item in values if item["n"] == 1]
    look = observers(names, width)
    at = {"x": orders(), "y": per_cent("share", "% of the ladder")}
    layers = [
        layer({"type": "rule", "opacity": 0.45}, None, f"{OWN} && isValid(datum.low)",
              x=at["x"], y={**at["y"], "field": "low"}, y2={"field": "high"}, color=look["color"]),
        layer(line(), None, OWN, **at, color=look["color"]),
        layer(points(), None, f"{OWN} && datum.half", **at, **look, description=SAYS),
        layer({"type": "point", "size": 24, "opacity": 1, "strokeWidth": 1}, None, f"{OWN} && !datum.half",
              **at, **look, description=SAYS),
        layer(NUMBER, None, LABEL, **at, text={"field": "label"}, color=look["color"]),
    ]  # fmt: skip
    return multiples([*values, *_ends(values, names, "n")], layers, width, {"scale": {"x": "independent"}})


OWN, LABEL = "!isValid(datum.label)", "isValid(datum.label)"  # of a line itself; at its end
NUMBER: Spec = {"type": "text", "align": "left", "dx": 4, "fontSize": 9}


def _ends(values: Iterable[Spec], names: Mapping[tuple[str, str], str], along: str) -> list[Spec]:
    """Return the last point of each line with the number of its observer; none where colours tell them apart.

    Args:
        values: points of all lines.
        names: what each observer and question is called; of many, beginning with its number.
        along: the field that a line goes along.
    """
    if len(names) <= len(COLOURS):
        return []
    last = {(item["distortion"], item["who"]): item for item in sorted(values, key=lambda item: item[along])}
    return [item | {"label": item["who"].partition(" ")[0]} for item in last.values()]


def faults(rows: Sequence[AnswerRow], width: int) -> Spec:
    """Return the stacked bars of the faults of one observer's answers, a bar for each distortion."""
    values = []
    for row in rows:
        shares = {"antilogy": row.antilogy, "gibberish": row.gibberish, "deficiency": row.deficiency}
        percent = {fault: 100 * share.k / share.n if share.n else 0.0 for fault, share in shares.items()}
        percent["none"] = 100 - sum(percent.values())
        values += [{"distortion": row.distortion, "fault": fault, "at": i, "percent": value}
                   for i, (fault, value) in enumerate(percent.items())]  # fmt: skip
    x = quantity("percent", "% of answers", {"domain": [0, 100]}, grid=False, tickCount=5)
    colours = {"field": "fault", "type": "nominal", "legend": {"columns": 4},
               "scale": {"domain": list(FAULTS), "range": list(FAULTS.values())}}  # fmt: skip
    at = {"x": {**x, "stack": "zero"}, "y": kinds("distortion", 72), "order": {"field": "at"}}
    bars = layer({"type": "bar", "height": 13}, values, **at, color=colours)
    return {**bars, "width": width - 84, "height": 20 * len(rows)}


def noticed_shares(analysis: Analysis, names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the share noticed against the level, for procedures that look for no JND.

    Args:
        analysis: of a run, or of several put together.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    values = [
        {"distortion": row.distortion, "who": names[row.observer, row.question], "level": level,
         "share": 100 * share.value,
         "says": f"{names[row.observer, row.question]}, level {level}: {rate(share)} "
         f"{analysis.questions[row.question].verdicts[1]}"}
        for row in analysis.curves for level, share in zip(row.curve.levels, row.curve.shares, strict=True)
    ]  # fmt: skip
    look = observers(names, width)
    at = {"x": _LEVELS, "y": per_cent("share", f"% {counted(analysis)}")}
    layers = [
        *chance(analysis.questions.values(), at["y"]),
        layer(line(), None, OWN, **at, color=look["color"]),
        layer(points(), None, OWN, **at, **look, description=SAYS),
        layer(NUMBER, None, LABEL, **at, text={"field": "label"}, color=look["color"]),
    ]
    return multiples([*values, *_ends(values, names, "level")], layers, width, {"scale": {"x": "independent"}})


_LEVELS = quantity("level", "level", {"domainMin": 0, "nice": False}, tickCount=4, tickMinStep=1, grid=False)


def unnoticed(rows: Iterable[UnnoticedRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the share of references not noticed up to each level, with its 95 % band.

    Args:
        rows: shares by level.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    values = [
        value
        for row in rows
        for value in _banded(row, names, row.curve.levels, row.curve.share, row.curve.low, row.curve.high)
    ]
    return bands(values, names, width, "% unnoticed")


def changed(rows: Iterable[ChangedRow], names: Mapping[tuple[str, str], str], width: int) -> Spec:
    """Return small multiples of the share of answers changed by each level, with its 95 % band.

    Args:
        rows: shares by level.
        names: what to call each observer and question, in order.
        width: of the page, in px.
    """
    values = [
        value | ({} if row.paraphrased is None else {"paraphrased": 100 * row.paraphrased.value})
        for row in rows
        for value in _banded(row, names, row.levels, row.share, row.low, row.high)
    ]
    return bands(values, names, width, "% changed", "paraphrased")


def _banded(
    row: UnnoticedRow | ChangedRow, names: Mapping[tuple[str, str], str], *curve: Sequence[float]
) -> Iterable[Spec]:
    """Yield the values of one curve; `curve` is levels, shares, lower and upper bounds."""
    for level, share, low, high in zip(*curve, strict=True):
        yield {
            "distortion": row.distortion, "who": names[row.observer, row.question], "level": level,
            "share": 100 * share, "low": 100 * (share if math.isnan(low) else low),
            "high": 100 * (share if math.isnan(high) else high),
        }  # fmt: skip


def bands(values: list[Spec], names: Mapping[tuple[str, str], str], width: int, title: str, beside: str = "") -> Spec:
    """Return small multiples of a share with its band.

    Args:
        values: points of all curves.
        names: what to call each of them, in order.
        width: of the page, in px.
        title: of the shares' axis.
        beside: names a share that is drawn as a dashed line; "" for none.
    """
    look, y = observers(names, width)["color"], per_cent("share", title)
    band = {"type": "area", "opacity": 0.16, "interpolate": "step-after"}
    layers = [
        layer(line(interpolate="step-after"), None, OWN, x=_LEVELS, y=y, color=look),
        layer(NUMBER, None, LABEL, x=_LEVELS, y=y, text={"field": "label"}, color=look),
    ]
    if len(names) <= FEW:  # of many, bands would hide one another: the tables have them
        layers.insert(0, layer(band, x=_LEVELS, y={**y, "field": "low"}, y2={"field": "high"}, color=look))
    if any(beside in value for value in values):
        layers.append(layer(line(strokeDash=[4, 3]), x=_LEVELS, y={**y, "field": beside}, color=look))
    return multiples([*values, *_ends(values, names, "level")], layers, width, {"scale": {"x": "independent"}})


Row: TypeAlias = tuple[str, str, str]  # what a number is of, the number, what it rests on


def card(
    heading: str, verdict: tuple[str, str, str], numbers: Sequence[Row], drawn: Spec | None, small: Sequence[str]
) -> Spec:
    """Return the first screen of a page as one picture that can be shown by itself.

    Args:
        heading: what was measured.
        verdict: one word on trust, why, and the colour of the word.
        numbers: one a line.
        drawn: a figure below them; None for none.
        small: sentences at the foot, one after another.
    """
    word, why, shade = verdict
    parts = [_written([heading], 19, fontWeight=650)]
    if word:
        parts += [
            _written([f"{word[:1].upper()}{word[1:]}"], 15, color=shade, fontWeight=650),
            _written(_wrapped([why], 3), 11),
        ]
    if numbers:
        parts.append(_numbers(numbers))
    foot = _written(_wrapped(small, 40), 11, color=MUTED)
    return {"vconcat": [*parts, *([drawn] if drawn else []), foot], "padding": 24, "spacing": 10}


def _wrapped(texts: Iterable[str], most: int) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, 112, max_lines=12, placeholder=" …")][:most]


def _written(lines: Sequence[str], size: int, **style: Any) -> Spec:
    """Return lines of text, one below another, from the left edge of a card."""
    values = [{"line": i, "text": text} for i, text in enumerate(lines)]
    at = {"x": {"value": 0}, "y": {"field": "line", "type": "ordinal", "axis": None}}
    mark = {"type": "text", "align": "left", "fontSize": size, "limit": 760, **style}
    return {
        **layer(mark, values, **at, text={"field": "text"}),
        "width": 700,
        "height": round(1.45 * size) * len(lines),
    }


def _numbers(numbers: Sequence[Row]) -> Spec:
    """Return the numbers of a card as a table without lines."""
    values = [{"line": i, "what": what, "value": value, "note": note} for i, (what, value, note) in enumerate(numbers)]
    y = {"field": "line", "type": "ordinal", "axis": None}
    columns = (
        ("what", 0, 13, {"color": MUTED}, 110),
        ("value", 120, 16, {"fontWeight": 650}, 330),
        ("note", 460, 11, {"color": MUTED}, 300),
    )
    layers = [
        layer({"type": "text", "align": "left", "fontSize": size, "limit": room, **style}, values,
              x={"value": place}, y=y, text={"field": field})
        for field, place, size, style, room in columns
    ]  # fmt: skip
    return {"layer": layers, "width": 700, "height": 27 * len(numbers)}
