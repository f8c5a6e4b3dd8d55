"""What runs of deep features bring to a report: sections, figures, sentences, numbers, from the store alone."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limen.errors import InputError, StoreError
from limen.image import Image, decode, digest
from limen.report import feature_tables as tables
from limen.report.feature_tables import BASELINE, Rows, factor_mean, grouped, seed_mean
from limen.report.figures import INK, MUTED, Spec, identity, kinds, layer, line, points, quantity
from limen.report.format import Table, counts, over_seeds
from limen.report.sections import Drawing, Section
from limen.store import Store
from limen.store import rows as kept_rows

STAGES = ("calibrate", "evaluate", "quantise", "equal-rate", "attribute")
HEADING = "How much deep features bear"  # of a page that shows nothing else
DRAWN = ("gaussian", "cls-spared", "shuffled", "fisher", "fisher-2", "learned", "learned-information")
"""Maps that the curves show, where a run has them: more lines cannot be told apart. The table has all."""


@dataclass(frozen=True, repr=False)
class Contribution:
    """What the runs of deep features bring to a report.

    Attributes:
        sentences: to quote, one a run.
        sections: of the page, in order.
        records: tables as plain data, rows by name, for JSON and CSV.
    """

    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    records: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Contribution({len(self.sentences)} runs, {len(self.sections)} sections)"


def contribution(stores: Mapping[str, Store]) -> Contribution:
    """Return what these runs bring, by name."""
    held = {name: {stage: _rows(store, stage) for stage in STAGES} for name, store in stores.items()}
    return Contribution(
        tuple(_sentence(store, held[name]) for name, store in stores.items()),
        tuple(section for name, store in stores.items() for section in _sections(name, store, held[name])),
        {
            stage: [{"run": name} | row for name in stores for row in held[name][stage]]
            for stage in STAGES
            if any(held[name][stage] for name in stores)
        },
    )


def _rows(store: Store, stage: str) -> list[Any]:
    rows = list(kept_rows.measured(store, stage).values())
    tensors = len(kept_rows.manifest(store)["split"]["shapes"])
    for row in rows:
        if len(row.get("energy_tensors") or range(tensors)) != tensors:
            raise StoreError(
                f"{store.path}: a row of {stage!r} has energy in {len(row['energy_tensors'])} tensors, and the split "
                f"carries {tensors}. {kept_rows.AGAIN}"
            )
    return rows


def _sections(name: str, store: Store, held: Mapping[str, list[Any]]) -> Iterator[Section]:
    manifest = kept_rows.manifest(store)
    title = f"{name}: {manifest['network']['name']}, {manifest['plan']['split']}"
    prefix = "".join(character if character.isalnum() else "-" for character in name).lower()
    about = _about(manifest, held)

    def section(anchor: str, what: str, shown: Sequence[Table], drawings: Sequence[Drawing], **more: Any) -> Section:
        nonlocal about
        drawn = tuple((f"{prefix}-{anchor}-{key}", label, draw) for key, label, draw in drawings)
        introduction, about = about, ""  # before the first section of a run
        return Section(f"{prefix}-{anchor}", f"{title}: {what}", introduction, tuple(shown), drawn, **more)

    rows = held["evaluate"]
    if any(row["map"] != "clean" for row in rows):
        compared = [tables.scores(manifest, rows)]
        if any(row["map"] == BASELINE for row in rows):
            compared.append(tables.ratios(manifest, rows))
        if len(manifest["split"]["shapes"]) > 1:
            compared.append(tables.by_tensor(manifest, rows))
        drawings = (
            ("curves", curves_of(rows), functools.partial(against_strength, manifest, rows)),
            ("energy", "Share of energy in the strongest elements, for each map", functools.partial(energies, rows)),
        )
        yield section("equal-strength", "at equal strength", compared, drawings)
    if rows := held["calibrate"]:
        yield section("calibration", "what is promised", [tables.calibrations(manifest, rows)], ())
    if rows := held["quantise"]:
        both = [tables.equal_rates(manifest, held["equal-rate"]), tables.rates(manifest, rows)]
        drawing = ("rate", _steps_of(rows), functools.partial(rate, manifest, rows))
        yield section("quantisation", "quantised", both, [drawing])
    if rows := held["attribute"]:
        label = "Energy density inside objects relative to outside, for each map"
        drawing = ("densities", label, functools.partial(densities, tables.fullest(rows)))
        shown, pictures = [tables.attributions(manifest, rows)], tuple(_pictures(store))
        yield section("attribution", "where maps put their energy", shown, [drawing], pictures=pictures)


def _steps_of(rows: list[Any]) -> str:
    """Return what the figure of rates shows, and how many kinds of steps it leaves to the table."""
    shown, there = len(steps_drawn(rows)), len({row["steps"] for row in rows})
    some = f"{shown} of {there} kinds of steps (all are in the table)" if shown < there else "each kind of steps"
    return f"Discrepancy against bits an element, for {some}"


def _about(manifest: Mapping[str, Any], held: Mapping[str, list[Any]]) -> str:
    plan, split = manifest["plan"], manifest["split"]
    shapes = ", ".join("x".join(map(str, shape)) for shape in split["shapes"])
    leak = max(split["leak"].values())
    done = {stage: len(tables.seeds_of(rows)) for stage, rows in held.items() if rows}
    if len(set(done.values())) == 1:
        seeds = _count(max(done.values()), plan["seeds"])
    else:
        seeds = f"{_count(0, plan['seeds'])} ({', '.join(f'{stage} {n}' for stage, n in done.items()) or 'none yet'})"
    return (
        f"{plan['task'].capitalize()} on {plan['data']}, split {plan['split']} ({shapes}; {split['elements']:,} "
        f"numbers an image; replay on a blank image leaks {leak:.1%}). {seeds}; each fits on "
        f"{plan['sizes']['fit']:,}, calibrates on {plan['sizes']['calibrate']:,} and is measured on "
        f"{plan['sizes']['test']:,} images, which share none."
    )


def _count(done: int, planned: int) -> str:
    """Say how many seeds were measured, of how many that are planned; 0 where that differs from stage to stage."""
    if done >= planned:
        return f"{done} seed{'s' if done > 1 else ''}"
    return f"{done or 'Not all'} of {planned} planned seed{'s' if planned > 1 else ''}"


def _pictures(store: Store) -> Iterator[tuple[tuple[str, Image], ...]]:
    """Return a row for each image: itself, then maps over it."""
    pictures: list[tuple[str, Image]] = []
    for kept in sorted(kept_rows.measured(store, "picture").values(), key=lambda row: row["place"]):
        png = store.picture(kept["digest"])
        if png is None:
            continue
        try:
            image = decode(png, f"the picture {kept['label']!r}", smallest=1)
        except InputError as error:
            raise StoreError(f"{store.path}: {error} {kept_rows.AGAIN}") from None
        if digest(image) != kept["digest"]:
            raise StoreError(f"{store.path}: the picture {kept['label']!r} is not the one kept. {kept_rows.AGAIN}")
        if kept["label"] == "image" and pictures:
            yield tuple(pictures)
            pictures = []
        pictures.append((kept["label"], image))
    if pictures:
        yield tuple(pictures)


def _sentence(store: Store, held: Mapping[str, list[Any]]) -> str:
    """Say what was measured: seeds and images are those of the rows, whatever was planned."""
    manifest = kept_rows.manifest(store)
    plan, network = manifest["plan"], manifest["network"]
    origin = f"limen {manifest['limen']}, network {network['name']} ({network['digest'][:8]}), split {plan['split']}"
    disturbed = [row for row in held["evaluate"] if row["map"] != "clean" and row.get("score") is not None]
    if not disturbed:
        calibrated = held["calibrate"]
        images = counts([row["n_calibrate"] for row in calibrated]) if calibrated else ""
        seeds = _count(len(tables.seeds_of(calibrated)), plan["seeds"])
        done = f"{seeds}, calibrated ({images} images a seed to calibrate on)" if calibrated else "nothing calibrated"
        return f"{origin}: {plan['task']} on {plan['data']}, {done}, nothing compared yet."
    at = tables.next_to_one({row["nrmse"] for row in disturbed})
    by_map = {label: rows for (label, strength), rows in grouped(disturbed, "map", "nrmse").items() if strength == at}
    labels = [label for label in by_map if label != BASELINE]
    quoted = [label for label in ("learned", "fisher") if label in labels] or labels[:2]
    quoted += [BASELINE] if BASELINE in by_map else []
    common = set.intersection(*(tables.seeds_of(by_map[label]) for label in quoted))
    chosen = {label: [row for row in by_map[label] if not common or row["seed"] in common] for label in quoted}
    scores = "; ".join(
        f"{label} {over_seeds(seed_mean(rows, 'score'))}"
        + ("" if common else f" (seed{'s' if len(rows) > 1 else ''} {', '.join(str(row['seed']) for row in rows)})")
        for label, rows in chosen.items()
    )
    images = counts([row["n"] for rows in chosen.values() for row in rows])
    seeds = _count(len(common), plan["seeds"]) if common else "of unlike seeds, each"
    return (
        f"{manifest['measures']['score'][0].upper()}{manifest['measures']['score'][1:]} at NRMSE {at:g}: {scores} "
        f"({origin}; {plan['data']}, {seeds} of {images} images)."
    )


# --- figures ---


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


def curves_of(rows: Rows) -> str:
    """Return what `against_strength` shows, and how many maps it leaves to the table."""
    labels = list(dict.fromkeys(row["map"] for row in rows if row["map"] != "clean"))
    shown = len(_drawn(labels))
    some = f"{shown} of {len(labels)} maps (all are in the table)" if shown < len(labels) else "each map"
    seeds = "; bars are 95 % over seeds, each with images of its own" if len({row["seed"] for row in rows}) > 1 else ""
    return f"Score and discrepancy against NRMSE, for {some}{seeds}"


def _lines(values: list[Spec], labels: Sequence[str], title: str, scale: str, width: int, level: float | None) -> Spec:
    look = identity(labels, columns=4 if width > 500 else 2)
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


def rate(manifest: Mapping[str, Any], rows: Rows, width: int) -> Spec:
    """Return discrepancy against bits an element, side information counted, a line for each kind of steps.

    Args:
        manifest: of the run.
        rows: of the quantisation.
        width: of the page, in px.
    """
    labels = steps_drawn(rows)
    values = []
    for (steps, _), mine in grouped(rows, "steps", "budget").items():
        bits = seed_mean(mine, "bits").value + seed_mean(mine, "side_bits").value
        moved = seed_mean(mine, "discrepancy")
        if steps in labels and moved.value > 0:
            values.append({"who": steps, "bits": bits, "mean": moved.value})
    look = identity(labels, columns=4 if width > 500 else 2)
    x = quantity("bits", "bits an element, side information counted", {"zero": False, "nice": True}, grid=False,
                 tickCount=6)  # fmt: skip
    y = quantity("mean", manifest["measures"]["discrepancy"], {"type": "log", "nice": True}, domain=False, ticks=False,
                 format="~g", **_decades(values, "log"))  # fmt: skip
    layers = [layer(line(2), x=x, y=y, color=look["color"]), layer(points(45), x=x, y=y, **look)]
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
    return _bars(values, "share of energy in the strongest 1 % (solid) and 10 % (faint) of elements", width, [0, 1])


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
