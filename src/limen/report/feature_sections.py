"""What runs of deep features bring to a report: sections, sentences, numbers, from the store alone."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limen.errors import InputError, StoreError
from limen.image import decode, digest
from limen.report import feature_anchors as anchors
from limen.report import feature_figures as figures
from limen.report import feature_tables as tables
from limen.report.feature_screen import FirstScreen, count_of, screen
from limen.report.feature_tables import Rows, grouped
from limen.report.format import Table, plain
from limen.report.sections import CaptionedPicture, Drawing, Section
from limen.store import Store
from limen.store import rows as kept_rows

STAGES = (
    "anchor",
    "anchor-curve",
    "sender-time",
    "bd-rate",
    "sender",
    "promise",
    "calibrate",
    "evaluate",
    "quantise",
    "equal-rate",
    "attribute",
)
OF_NO_SEED = ("sender", "sender-time")
HEADING = "How much deep features bear"  # of a page that shows nothing else
IMAGE = "image"  # label of the picture that maps are drawn over
SHIPPED = "demo:"  # how the networks that ship with limen are called
WORDS = {
    "gaussian": "Gaussian noise, the same everywhere",
    "flat": "the same everywhere",
    "channel": "by channel's size",
    "absmax": "by each token's largest value",
    "fisher": "Fisher information, one map for all images",
    "own-fisher": "Fisher information of this image (it takes the head at the sender)",
    "shares": "the same everywhere within a tensor, Fisher's share for each",
    "learned": "learned from the features",
    "shuffled": "another map in random order",
    "other-image": "another image's map",
}
"""What maps are, by their tolerance, for the captions of pictures."""
GOALS = {
    "log_nrmse": ", to bear the strongest noise",
    "log_magnitude": ", to have the largest steps",
    "information": ", to know the Fisher information of this image",
}
"""What learned maps are trained for, by their objective."""


@dataclass(frozen=True, repr=False)
class Contribution:
    """What the runs of deep features bring to a report.

    Attributes:
        sentences: to quote, one a run.
        sections: of the page, in order.
        records: tables as plain data, rows by name, for JSON and CSV.
        fixtures: networks among them that are no models to be measured, and what they are.
        screens: what is said first of each run.
    """

    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    records: Mapping[str, Any]
    fixtures: Mapping[str, str] = field(default_factory=dict)
    screens: tuple[FirstScreen, ...] = ()

    def __repr__(self) -> str:
        return f"Contribution({len(self.sentences)} runs, {len(self.sections)} sections)"


def contribution(stores: Mapping[str, Store]) -> Contribution:
    """Return what these runs bring, by name."""
    held = {name: _held(store) for name, store in stores.items()}
    screens = first_screen(stores)
    sections = (
        section
        for (name, store), first in zip(stores.items(), screens, strict=True)
        for section in _sections(name, store, held[name], first)
    )
    records = {
        stage: [{"run": name} | row for name in stores for row in held[name][stage]]
        for stage in STAGES
        if any(held[name][stage] for name in stores)
    }
    if coverage := [row for name, store in stores.items() for row in _coverage(name, store, held[name]["calibrate"])]:
        records["coverage"] = coverage
    return Contribution(
        tuple(first.sentence for first in screens), tuple(sections), records, _fixtures(stores.values()), screens
    )


def first_screen(stores: Mapping[str, Store]) -> tuple[FirstScreen, ...]:
    """Return what a page says first of each run: what was asked, a few numbers, a verdict, a sentence to quote.

    Args:
        stores: open runs of deep features, by name.
    """
    return tuple(screen(name, kept_rows.manifest(store), _held(store)) for name, store in stores.items())


def _held(store: Store) -> dict[str, list[Any]]:
    return {stage: _rows(store, stage) for stage in STAGES}


def _coverage(name: str, store: Store, rows: Rows) -> Iterator[dict[str, Any]]:
    """Yield what was promised of each map beside what was seen, as plain data."""
    rho = kept_rows.manifest(store)["plan"]["rho"]
    for (label,), mine in grouped(rows, "map").items():
        yield {"run": name, "map": label} | plain(tables.checked(mine, rho))


def _fixtures(stores: Iterable[Store]) -> dict[str, str]:
    """Return the networks of these runs that ship with limen, and what they are."""
    found = {}
    for store in stores:
        manifest = kept_rows.manifest(store)
        if (name := manifest["network"]["name"]).startswith(SHIPPED):
            data = "on scenes drawn here" if manifest["plan"]["data"] == "scenes" else f"on {manifest['plan']['data']}"
            found[name] = f"a small network that ships with limen, {data}"
    return found


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


def _sections(name: str, store: Store, held: Mapping[str, list[Any]], first: FirstScreen) -> Iterator[Section]:
    manifest = kept_rows.manifest(store)
    prefix = "".join(character if character.isalnum() else "-" for character in name).lower()
    yield Section(f"{prefix}-first", first.title, _about(manifest, held), screen=first)

    def section(anchor: str, title: str, about: str, shown: Sequence[Table], drawings: Sequence[Drawing],
                **more: Any) -> Section:  # fmt: skip
        drawn = tuple((f"{prefix}-{anchor}-{key}", label, draw) for key, label, draw in drawings)
        return Section(f"{prefix}-{anchor}", title, about, tuple(shown), drawn, level=3, **more)

    measures = manifest["measures"]
    if rows := anchors.at_promise(held["anchor"], manifest["plan"]):
        told = anchors.beside(rows, held["sender"])
        drawing = (
            "curves",
            anchors.curves_of(held["anchor-curve"], told),
            functools.partial(anchors.curves, manifest, held["anchor-curve"], told),
        )
        compared_bytes = anchors.table(manifest, rows, held["bd-rate"], held["sender"], held["sender-time"])
        plain = [row for row in rows if row["way"] == anchors.INTEGERS]
        whole = [anchors.integers(manifest, rows, held["anchor-curve"])] if plain else []
        yield section("anchors", anchors.TITLE, told.sentence, [compared_bytes, *whole], [drawing])
    if rows := held["promise"]:
        about = (
            "Features are quantised as coarsely as the promise allows, and each image is coded alone. A promise bounds "
            "how often an image may lose more than eps; it says nothing of how much more."
        )
        yield section("promise", tables.BYTES, about, [tables.promises(manifest, rows)], ())
    if rows := held["quantise"]:
        both = [tables.equal_rates(manifest, held["equal-rate"]), tables.rates(manifest, rows)]
        drawing = (
            "rate",
            figures.rate_of(manifest, rows),
            functools.partial(figures.rate, manifest, rows, held["equal-rate"]),
        )
        about = (
            "Features are quantised with a step a token, coded, and given to the head. Equal noise is not an equal "
            "number of bits, so kinds of steps are compared where they change the output by the same amount."
        )
        yield section("quantisation", "Bits, and what they cost the task", about, both, [drawing])
    if rows := held["calibrate"]:
        both = [tables.calibrations(manifest, rows), tables.calibrations_by_seed(rows)]
        about = "Of random noise in the shape of each map, not of a quantiser." if held["promise"] else ""
        yield section("calibration", "Noise borne with a promise, and whether it is kept", about, both, ())
    rows = held["evaluate"]
    if any(row["map"] != "clean" for row in rows):
        drawings = (
            ("curves", figures.curves_of(rows, tables.agrees(manifest)),
             functools.partial(figures.against_strength, manifest, rows)),
            ("energy", "How uneven each map is: solid the strongest 1 % of elements, faint the next 9 %",
             functools.partial(figures.energies, rows)),
        )  # fmt: skip
        about = (
            f"Noise in the shape of each map, made equally strong for each image (NRMSE: its size relative to the "
            f"features), and the {measures['score']} that is left."
        )
        compared = tables.compared(manifest, rows)
        yield section("equal-strength", "Noise of equal strength", about, compared, drawings)
    if rows := held["attribute"]:
        label = "A bar above 1 (dashed): more noise on an area inside objects than on the same area outside"
        drawing = ("densities", label, functools.partial(figures.densities, tables.fullest(rows)))
        pictures = tuple(_pictures(store, manifest))
        about = "A map that knows what the network looks at spares it: little noise inside objects, more outside."
        yield section("attribution", "Where the noise goes", about, [tables.attributions(manifest, rows)], [drawing],
                      pictures=pictures, key=_key(pictures))  # fmt: skip


def _about(manifest: Mapping[str, Any], held: Mapping[str, list[Any]]) -> str:
    plan, split = manifest["plan"], manifest["split"]
    shapes = ", ".join("x".join(map(str, shape)) for shape in split["shapes"])
    leak = max(split["leak"].values())
    done = {stage: len(tables.seeds_of(rows)) for stage, rows in held.items() if rows and stage not in OF_NO_SEED}
    if len(set(done.values())) == 1:
        seeds = count_of(max(done.values()), plan["seeds"])
    else:
        seeds = f"{count_of(0, plan['seeds'])} ({', '.join(f'{stage} {n}' for stage, n in done.items()) or 'none yet'})"
    return (
        f"{plan['task'].capitalize()} on {plan['data']}, split {plan['split']} ({shapes}; {split['elements']:,} "
        f"numbers an image; replay on a blank image leaks {leak:.1%}). {seeds}; each fits on "
        f"{plan['sizes']['fit']:,}, calibrates on {plan['sizes']['calibrate']:,} and is measured on "
        f"{plan['sizes']['test']:,} images, which share {_shared(manifest)}."
    )


def _shared(manifest: Mapping[str, Any]) -> str:
    by = tables.grouping(manifest)
    return f"no group (by {by}); calibration and test have one image of each group" if by else "none"


def _pictures(store: Store, manifest: Mapping[str, Any]) -> Iterator[tuple[CaptionedPicture, ...]]:
    """Return a row for each image: itself, then maps over it."""
    pictures: list[CaptionedPicture] = []
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
        if kept["label"] == IMAGE and pictures:
            yield tuple(pictures)
            pictures = []
        if kept["label"] == IMAGE:
            pictures.append(CaptionedPicture("the image", image))
        else:
            pictures.append(CaptionedPicture(_worded(manifest, kept["label"]), image, kept_rows.HEAT, _ends(kept)))
    if pictures:
        yield tuple(pictures)


def _worded(manifest: Mapping[str, Any], label: str) -> str:
    """Return what a map is called and what it is."""
    name, settings = tables.map_of(manifest, label)
    what, goal = WORDS.get(name, ""), GOALS.get(str(settings.get("objective")), "")
    return f"{label}: {what}{goal}" if what else label


def _ends(kept: Mapping[str, Any]) -> tuple[str, str]:
    low, high = kept.get("low"), kept.get("high")
    return ("least", "most") if low is None or high is None else (f"{low:.2g}×", f"{high:.2g}×")


def _key(pictures: Sequence[Sequence[CaptionedPicture]]) -> str:
    """Say what the colours of heat maps mean."""
    ends = {end for row in pictures for picture in row for end in picture.ends}
    if not ends:
        return ""
    meaning = "Maps over the first test images. Bright: much noise is borne there; dark: little. "
    if "least" in ends:
        return (
            f"{meaning}Logarithmic, from the least to the most of each picture; the limen that drew these kept no "
            "numbers (limen feature attribute draws them again)."
        )
    return (
        f"{meaning}Under each map its scale, logarithmic and the same in all rows: the size of the noise at a position "
        "relative to as much noise spread evenly over the image (1× is even); what is beyond an end has its colour."
    )
