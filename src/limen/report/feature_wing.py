"""What runs of the feature wing bring to a report: their sections, sentences and numbers, from the store alone."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from limen.image import Image, decode
from limen.report import feature_figures as figures
from limen.report import features as tables
from limen.report.section import Contribution, Drawing, Section
from limen.report.table import Table
from limen.store import Store

STAGES = ("calibrate", "evaluate", "quantise", "equal-rate", "attribute")


def contribution(stores: Mapping[str, Store]) -> Contribution:
    """Return what these runs bring."""
    held = {
        name: {stage: list(store.measurements(stage).values()) for stage in STAGES} for name, store in stores.items()
    }
    sections = [part for name, store in stores.items() for part in _sections(name, store, held[name])]
    return Contribution(
        heading="How much deep features bear",
        sentences=tuple(_sentence(store, held[name]) for name, store in stores.items()),
        sections=tuple(sections),
        records={
            stage: [{"run": name} | row for name in stores for row in held[name][stage]]
            for stage in STAGES
            if any(held[name][stage] for name in stores)
        },
    )


def _sections(name: str, store: Store, held: Mapping[str, list[Any]]) -> Iterator[Section]:
    manifest = store.manifest
    about = _about(manifest)
    title = f"{name}: {manifest['network']['name']}, {manifest['plan']['split']}"
    made: list[tuple[str, str, list[Table], list[tuple[str, str, Callable[[int], Any]]]]] = []
    if rows := held["evaluate"]:
        draw, bars = (
            functools.partial(figures.against_strength, manifest, rows),
            functools.partial(figures.energies, rows),
        )
        found = [tables.scores(manifest, rows), tables.ratios(manifest, rows)]
        if len(manifest["split"]["shapes"]) > 1:
            found.append(tables.by_tensor(manifest, rows))
        made.append(
            ("equal-strength", "At equal strength", found,
             [("curves", figures.curves_of(rows), draw),
              ("energy", "Share of energy in the strongest elements, for each map", bars)])
        )  # fmt: skip
    if rows := held["calibrate"]:
        made.append(("calibration", "What is promised", [tables.calibrations(manifest, rows)], []))
    if rows := held["quantise"]:
        draw = functools.partial(figures.rate, manifest, rows)
        found = [tables.equal_rates(manifest, held["equal-rate"]), tables.rates(manifest, rows)]
        made.append(
            ("quantisation", "Quantised", found,
             [("rate", "Discrepancy against bits an element, for each kind of steps", draw)])
        )  # fmt: skip
    if rows := held["attribute"]:
        draw = functools.partial(figures.densities, rows)
        made.append(
            ("attribution", "Where maps put their energy", [tables.attributions(manifest, rows)],
             [("densities", "Energy density inside objects relative to outside, for each map", draw)])
        )  # fmt: skip
    for place, (anchor, what, found, drawings) in enumerate(made):
        drawn: tuple[Drawing, ...] = tuple(
            (f"{_plain(name)}-{anchor}-{key}", label, draw) for key, label, draw in drawings
        )
        pictures = tuple(_pictures(store)) if anchor == "attribution" else ()
        yield Section(
            f"{_plain(name)}-{anchor}", f"{title}: {what[0].lower()}{what[1:]}", "" if place else about, tuple(found),
            drawn, pictures,
        )  # fmt: skip


def _about(manifest: Mapping[str, Any]) -> str:
    plan, split = manifest["plan"], manifest["split"]
    shapes = ", ".join("x".join(map(str, shape)) for shape in split["shapes"])
    leak = max(split["leak"].values())
    seeds = f"{plan['seeds']} seed{'s' if plan['seeds'] > 1 else ''}"
    return (
        f"{plan['task'].capitalize()} on {plan['data']}, split {plan['split']} ({shapes}; {split['elements']:,} "
        f"numbers an image; replay on a blank image leaks {leak:.1%}). {seeds}; each fits on "
        f"{plan['sizes']['fit']:,}, calibrates on {plan['sizes']['calibrate']:,} and is measured on "
        f"{plan['sizes']['test']:,} images, which share none."
    )


def _pictures(store: Store) -> Iterator[tuple[tuple[str, Image], ...]]:
    """Return a row for each image: itself, then maps over it."""
    row: list[tuple[str, Image]] = []
    for kept in sorted(store.measurements("picture").values(), key=lambda one: one["place"]):
        png = store.picture(kept["digest"])
        if png is None:
            continue
        if kept["label"] == "image" and row:
            yield tuple(row)
            row = []
        row.append((kept["label"], decode(png, "a kept picture", smallest=1)))
    if row:
        yield tuple(row)


def _sentence(store: Store, held: Mapping[str, list[Any]]) -> str:
    manifest = store.manifest
    plan, network = manifest["plan"], manifest["network"]
    made = f"limen {manifest['limen']}, network {network['name']} ({network['digest'][:8]}), split {plan['split']}"
    found = [row for row in held["evaluate"] if row["nrmse"] == 1]
    if not found:
        known = f"{held['calibrate'][0]['n_calibrate']:,} images a seed to calibrate on" if held["calibrate"] else ""
        done = f"calibrated ({known}), nothing compared yet" if known else "nothing compared yet"
        return f"{made}: {plan['task']} on {plan['data']}, {plan['seeds']} seeds, {done}."
    labels = list(dict.fromkeys(row["map"] for row in found))
    best = [label for label in ("learned", "fisher") if label in labels] or labels[:1]
    told = "; ".join(
        f"{label} {tables.told(tables.over_seeds([row for row in found if row['map'] == label], 'score'))}"
        for label in (*best, tables.BASELINE)
        if label in labels
    )
    return (
        f"{manifest['measures']['score'][0].upper()}{manifest['measures']['score'][1:]} at NRMSE 1: {told} ({made}; "
        f"{plan['data']}, {plan['seeds']} seeds of {plan['sizes']['test']:,} images)."
    )


def _plain(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name).lower()
