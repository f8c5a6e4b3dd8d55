"""What runs of the feature wing bring to a report: their sections, sentences and numbers, from the store alone."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from limen.errors import InputError, StoreError
from limen.image import Image, decode, digest
from limen.report import feature_figures as figures
from limen.report import features as tables
from limen.report.section import Contribution, Drawing, Section
from limen.report.table import Table
from limen.store import Store
from limen.store import rows as kept_rows

STAGES = ("calibrate", "evaluate", "quantise", "equal-rate", "attribute")


def contribution(stores: Mapping[str, Store]) -> Contribution:
    """Return what these runs bring."""
    held = {name: {stage: _rows(store, stage) for stage in STAGES} for name, store in stores.items()}
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
    about = _about(manifest, held)
    title = f"{name}: {manifest['network']['name']}, {manifest['plan']['split']}"
    made: list[tuple[str, str, list[Table], list[tuple[str, str, Callable[[int], Any]]]]] = []
    rows = held["evaluate"]
    if any(row["map"] != "clean" for row in rows):
        draw, bars = (
            functools.partial(figures.against_strength, manifest, rows),
            functools.partial(figures.energies, rows),
        )
        found = [tables.scores(manifest, rows)]
        if any(row["map"] == tables.BASELINE for row in rows):
            found.append(tables.ratios(manifest, rows))
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
             [("rate", _steps_of(rows), draw)])
        )  # fmt: skip
    if rows := held["attribute"]:
        draw = functools.partial(figures.densities, tables.fullest(rows))
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


def _steps_of(rows: list[Any]) -> str:
    """Return what the figure of rates shows, and how many kinds of steps it leaves to the table."""
    shown, there = len(figures.steps_drawn(rows)), len({row["steps"] for row in rows})
    some = f"{shown} of {there} kinds of steps (all are in the table)" if shown < there else "each kind of steps"
    return f"Discrepancy against bits an element, for {some}"


def _about(manifest: Mapping[str, Any], held: Mapping[str, list[Any]]) -> str:
    plan, split = manifest["plan"], manifest["split"]
    shapes = ", ".join("x".join(map(str, shape)) for shape in split["shapes"])
    leak = max(split["leak"].values())
    done = {stage: len(tables.seeds_of(rows)) for stage, rows in held.items() if rows}
    counts = set(done.values())
    if len(counts) == 1:
        seeds = _count(counts.pop(), plan["seeds"])
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
    row: list[tuple[str, Image]] = []
    for kept in sorted(kept_rows.measured(store, "picture").values(), key=lambda one: one["place"]):
        png = store.picture(kept["digest"])
        if png is None:
            continue
        try:
            image = decode(png, f"the picture {kept['label']!r}", smallest=1)
        except InputError as error:
            raise StoreError(f"{store.path}: {error} {kept_rows.AGAIN}") from None
        if digest(image) != kept["digest"]:
            raise StoreError(f"{store.path}: the picture {kept['label']!r} is not the one kept. {kept_rows.AGAIN}")
        if kept["label"] == "image" and row:
            yield tuple(row)
            row = []
        row.append((kept["label"], image))
    if row:
        yield tuple(row)


def _sentence(store: Store, held: Mapping[str, list[Any]]) -> str:
    """Say what was measured: seeds and images are those of the rows, whatever was planned."""
    manifest = kept_rows.manifest(store)
    plan, network = manifest["plan"], manifest["network"]
    made = f"limen {manifest['limen']}, network {network['name']} ({network['digest'][:8]}), split {plan['split']}"
    disturbed = [row for row in held["evaluate"] if row["map"] != "clean" and row.get("score") is not None]
    if not disturbed:
        calibrated = held["calibrate"]
        images = tables.counted([row["n_calibrate"] for row in calibrated]) if calibrated else ""
        seeds = _count(len(tables.seeds_of(calibrated)), plan["seeds"])
        done = f"{seeds}, calibrated ({images} images a seed to calibrate on)" if calibrated else "nothing calibrated"
        return f"{made}: {plan['task']} on {plan['data']}, {done}, nothing compared yet."
    at = tables.next_to_one({row["nrmse"] for row in disturbed})
    found = tables.grouped([row for row in disturbed if row["nrmse"] == at], "map")
    labels = [label for (label,) in found if label != tables.BASELINE]
    quoted = [label for label in ("learned", "fisher") if label in labels] or labels[:2]
    quoted += [tables.BASELINE] if (tables.BASELINE,) in found else []
    common = set.intersection(*(tables.seeds_of(found[label,]) for label in quoted))
    chosen = {label: [row for row in found[label,] if not common or row["seed"] in common] for label in quoted}
    told = "; ".join(
        f"{label} {tables.told(tables.over_seeds(rows, 'score'))}"
        + ("" if common else f" (seed{'s' if len(rows) > 1 else ''} {', '.join(str(row['seed']) for row in rows)})")
        for label, rows in chosen.items()
    )
    images = tables.counted([row["n"] for rows in chosen.values() for row in rows])
    seeds = _count(len(common), plan["seeds"]) if common else "of unlike seeds, each"
    return (
        f"{manifest['measures']['score'][0].upper()}{manifest['measures']['score'][1:]} at NRMSE {at:g}: {told} "
        f"({made}; {plan['data']}, {seeds} of {images} images)."
    )


def _plain(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name).lower()
