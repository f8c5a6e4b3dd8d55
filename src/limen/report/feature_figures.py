"""Figures of the feature wing, from rows of numbers alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from limen.report.feature_tables import BASELINE, Rows, factor_mean, grouped, seed_mean
from limen.report.figures import INK, MUTED, Spec, identity, kinds, layer, line, points, quantity

DRAWN = ("gaussian", "cls-spared", "shuffled", "fisher", "fisher-2", "learned", "learned-information")
"""Maps that the curves show, where a run has them: more lines cannot be told apart. The table has all."""


def against_strength(manifest: Mapping[str, Any], rows: Rows, width: int) -> Spec:
    """Return score and discrepancy against NRMSE, a line a map, with intervals over seeds.

    Args:
        manifest: of the run.
        rows: of the evaluation.
        width: of the page, in px.
    """
    disturbed = [row for row in rows if row["map"] != "clean"]
    labels = _drawn([row["map"] for row in disturbed])
    clean = seed_mean([row for row in rows if row["map"] == "clean"], "score").value
    level = None if math.isnan(clean) else clean
    measures = manifest["measures"]
    panels = [
        _lines(_means(disturbed, "score", labels), labels, measures["score"], "linear", width, level),
        _lines(_means(disturbed, "discrepancy", labels), labels, measures["discrepancy"], "log", width, None),
    ]
    return {("hconcat" if width > 500 else "vconcat"): panels, "spacing": 40}


def curves_of(rows: Rows, agreeing: bool = False) -> str:
    """Return what `against_strength` shows, and how many maps it leaves to the table.

    Args:
        rows: of the evaluation.
        agreeing: whether the score is agreement with the clean output.
    """
    labels = list(dict.fromkeys(row["map"] for row in rows if row["map"] != "clean"))
    shown = len(_drawn(labels))
    some = f"{shown} of {len(labels)} maps (the tables have all)" if shown < len(labels) else "each map"
    seeds = ""
    if len({row["seed"] for row in rows}) > 1:
        seeds = "; bars are 95 % over seeds, each with images of its own"
    elif any(row.get("score_low") is not None for row in rows):
        seeds = "; bars are 95 % over the test images of the one seed"
    dashed = "dashed: 1, as without noise by construction" if agreeing else "dashed: without noise"
    return f"What is left and what has moved as noise grows, for {some}; {dashed}{seeds}"


def _lines(values: list[Spec], labels: Sequence[str], title: str, scale: str, width: int, level: float | None) -> Spec:
    look = identity(labels, columns=4 if width > 500 else 1)
    x = quantity("nrmse", "NRMSE", tickCount=6, grid=False)
    axis = {"tickCount": 6, "domain": False, "ticks": False, "format": "~g"} | _decades(values, scale)
    y = quantity("mean", title, {"type": scale, "zero": False, "nice": True} | _span(values, scale, level), **axis)
    shown = [value for value in values if scale == "linear" or value["mean"] > 0]
    sure = [value for value in shown if value["low"] is not None and (scale == "linear" or value["low"] > 0)]
    layers = [
        layer({"type": "rule", "opacity": 0.5, "strokeWidth": 1.5, "clip": True}, sure,
              x=x, y={**y, "field": "low"}, y2={"field": "high"}, color=look["color"]),
        layer(line(2), shown, x=x, y=y, color=look["color"]),
        layer(points(45), shown, x=x, y=y, **look),
    ]  # fmt: skip
    if level is not None:
        layers.insert(0, layer({"type": "rule", "color": MUTED, "strokeDash": [4, 4]}, [{"mean": level}], y=y))
    return {"width": (width - 190) // 2 if width > 500 else width - 70, "height": 260, "layer": layers}


def _span(values: list[Spec], scale: str, level: float | None) -> Spec:
    """Return an axis that the means fill: intervals of few seeds may be wider, and are cut."""
    if scale == "log":
        return {}
    means = [value["mean"] for value in values] + ([level] if level is not None else [])
    if not means:
        return {}
    room = 0.08 * (max(means) - min(means)) or 0.05
    return {"domain": [min(means) - room, max(means) + room], "nice": False}


def _decades(values: list[Spec], scale: str) -> Spec:
    """Return powers of ten for a logarithmic axis: by itself it draws a line for each digit."""
    means = [value["mean"] for value in values if value["mean"] > 0]
    if scale != "log" or not means:
        return {}
    return {
        "values": [10.0**k for k in range(math.floor(math.log10(min(means))), math.ceil(math.log10(max(means))) + 1)]
    }


def rate_of(manifest: Mapping[str, Any], rows: Rows) -> str:
    """Return what `rate` shows, and how many kinds of steps it leaves to the table."""
    shown, there = len(steps_drawn(rows)), len({row["steps"] for row in rows})
    some = f"{shown} of {there} kinds of steps (the tables have all)" if shown < there else "each kind of steps"
    return f"Further left at the same height is better: {some}, a mark for each budget; dashed: where bits are compared"


def rate(manifest: Mapping[str, Any], rows: Rows, equal: Rows, width: int) -> Spec:
    """Return discrepancy against bits an element, side information counted, a line for each kind of steps.

    Args:
        manifest: of the run.
        rows: of the quantisation.
        equal: rows at equal discrepancy, for the line where bits are compared.
        width: of the page, in px.
    """
    labels = steps_drawn(rows)
    values = []
    for (steps, _), mine in grouped(rows, "steps", "budget").items():
        bits = seed_mean(mine, "bits").value + seed_mean(mine, "side_bits").value
        moved = seed_mean(mine, "discrepancy")
        if steps in labels and moved.value > 0:
            values.append({"who": steps, "bits": bits, "mean": moved.value})
    look = identity(labels, columns=4 if width > 500 else 1)
    x = quantity("bits", "bits an element, side information counted", {"zero": False, "nice": True}, grid=False,
                 tickCount=6)  # fmt: skip
    y = quantity("mean", manifest["measures"]["discrepancy"], {"type": "log", "nice": True}, domain=False, ticks=False,
                 format="~g", **_decades(values, "log"))  # fmt: skip
    layers = [layer(line(2), x=x, y=y, color=look["color"]), layer(points(45), x=x, y=y, **look)]
    if equal:
        compared = [{"mean": equal[0]["discrepancy"]}]
        layers.insert(0, layer({"type": "rule", "color": MUTED, "strokeDash": [4, 4]}, compared, y=y))
    return {"data": {"values": values}, "width": width - 90, "height": 260, "layer": layers}


def energies(rows: Rows, width: int) -> Spec:
    """Return the share of energy that the strongest elements of each map hold, as bars."""
    values = []
    for (label,), mine in grouped([row for row in rows if row["map"] != "clean"], "map").items():
        top1, top10 = (seed_mean(mine, name).value for name in ("energy_top1", "energy_top10"))
        if math.isnan(top1) or math.isnan(top10):
            continue
        values += [
            {"map": label, "part": "strongest 1 %", "from": 0.0, "to": top1, "shade": 1.0},
            {"map": label, "part": "next 9 %", "from": top1, "to": top10, "shade": 0.45},
        ]
    return _bars(values, "share of the energy", width, [0, 1])


def densities(rows: Rows, width: int) -> Spec:
    """Return energy density inside objects relative to outside, a bar a map, with intervals over seeds."""
    values, whiskers = [], []
    for (label,), mine in grouped(rows, "map").items():
        density = factor_mean(mine, "density")
        if math.isnan(density.value):
            continue
        values.append({"map": label, "from": 0.0, "to": density.value, "shade": 0.8})
        if density.interval:
            whiskers.append({"map": label, "low": density.interval.low, "high": density.interval.high})
    spec = _bars(values, "energy density inside objects / outside", width, None)
    x = {"type": "quantitative"}
    y = {"field": "map", "type": "nominal", "sort": None}
    spec["layer"] += [
        layer({"type": "rule", "color": INK, "strokeDash": [4, 4]}, [{"even": 1}], x={"field": "even", **x}),
        layer({"type": "rule", "color": INK, "strokeWidth": 1.5}, whiskers,
              y=y, x={"field": "low", **x}, x2={"field": "high"}),
    ]  # fmt: skip
    return spec


def _bars(values: list[Spec], title: str, width: int, domain: list[float] | None) -> Spec:
    x = quantity("from", title, {"domain": domain, "nice": False} if domain else None, grid=True, tickCount=5)
    opacity = {"field": "shade", "type": "quantitative", "legend": None, "scale": {"domain": [0, 1], "range": [0, 1]}}
    mark = {"type": "bar", "color": "#0072b2", "height": {"band": 0.6}}
    bars = layer(mark, values, x=x, x2={"field": "to"}, y=kinds("map", 110, sort=None), opacity=opacity)
    rows = len({value["map"] for value in values})
    return {"width": width - 150, "height": 22 * rows + 10, "layer": [bars]}


def steps_drawn(rows: Rows) -> list[str]:
    """Return the kinds of steps to draw, seven at most: plain ones, those of maps, then static and permuted ones."""
    order = ("uniform", "absmax", "tolerance", "static", "permuted")
    there = dict.fromkeys(str(row["steps"]) for row in rows)
    return sorted(there, key=lambda name: next((i for i, kind in enumerate(order) if name.startswith(kind)), 9))[:7]


def _drawn(labels: Sequence[str]) -> list[str]:
    there = list(dict.fromkeys(labels))
    wanted = [label for label in DRAWN if label in there]
    rest = [label for label in there if label not in DRAWN and label != BASELINE]
    return (wanted + rest)[:7]


def _means(rows: Rows, name: str, labels: Sequence[str]) -> list[Spec]:
    values = []
    for (label, strength), mine in grouped(rows, "map", "nrmse").items():
        if label in labels:
            mean = seed_mean(mine, name)
            if math.isnan(mean.value):
                continue
            low, high = (mean.interval.low, mean.interval.high) if mean.interval else (None, None)
            values.append({"who": label, "nrmse": strength, "mean": mean.value, "low": low, "high": high})
    return values
