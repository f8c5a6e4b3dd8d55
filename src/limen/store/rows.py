"""What a run of deep features keeps, checked as it is read: its manifest, and its rows of numbers, stage by stage.

A run may be somebody else's, an older limen's, or damaged: what is missing, of another type or there twice is told in
one line that names it, before anything is made of it. Rows stay dictionaries; a row may hold more than is asked here.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from limen import validation
from limen.errors import StoreError
from limen.store import Store

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
Some = Annotated[int, msgspec.Meta(ge=1, lt=2**40)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Number = Annotated[float, msgspec.Meta(ge=-1e100, le=1e100)]
Size = Annotated[float, msgspec.Meta(ge=0, le=1e100)]
Above = Annotated[float, msgspec.Meta(gt=0, le=1e100)]
Share = Annotated[float, msgspec.Meta(ge=-1e-3, le=1.001)]  # to within what sums are rounded by
Chance = Annotated[float, msgspec.Meta(gt=0, lt=1)]
HEAT = ("#0c073c", "#ffec8c")  # of a picture of a map: where it has least, and where it has most
AGAIN = "Restore the run from a copy, or measure it again."


class _Fitted(msgspec.Struct):
    map: Name
    seed: Seed
    digest: str = ""


class _Calibrated(msgspec.Struct):
    map: Name
    seed: Seed
    n_calibrate: Some
    censored: Count
    kept: Count
    n: Some
    band_low: Share
    band_high: Share
    nrmse: Size | None
    log2_magnitude: Number | None


class _Evaluated(msgspec.Struct):
    map: Name
    nrmse: Size
    seed: Seed
    n: Some
    score: Number | None
    score_low: Number | None = None
    score_high: Number | None = None
    discrepancy: Size | None = None
    energy_top1: Share | None = None
    energy_top10: Share | None = None
    energy_tensors: list[Share] | None = None


class _Quantised(msgspec.Struct):
    steps: Name
    budget: Above
    actual_noise: Size | None
    bits: Size
    side_bits: Size
    score: Number | None
    discrepancy: Size | None
    seed: Seed
    n: Some
    escapes: Size = 0.0


class _Resampled(msgspec.Struct):
    steps: Name
    budget: Above
    seed: Seed
    n: Some
    bits: list[Size | None]
    discrepancy: list[Size | None]


class _EqualRate(msgspec.Struct):
    steps: Name
    discrepancy: Above
    seed: Seed
    n: Some
    bits: Size | None
    side_bits: Size | None
    ratio: Size | None
    ratio_image: Size | None
    same_bits_discrepancy: Size | None = None
    same_bits_score: Number | None = None
    censored: Literal["", "fewer", "more"] = ""
    limit: Size | None = None
    why: str = ""
    bits_low: Size | None = None
    bits_high: Size | None = None
    ratio_low: Size | None = None
    ratio_high: Size | None = None
    ratio_image_low: Size | None = None
    ratio_image_high: Size | None = None


class _AtPromise(msgspec.Struct, kw_only=True):
    drop: Name
    eps: Size
    rho: Chance
    delta: Chance
    seed: Seed
    n: Some
    n_calibrate: Some
    allowed: Count
    candidates: Some
    failures: Count
    finest: Above
    reach: Size | None
    kept: Count | None
    score: Number | None
    why: str = ""
    score_low: Number | None = None
    score_high: Number | None = None


class _Walked(_AtPromise, kw_only=True):
    steps: Name
    budget: Above | None
    coder: Name
    key: str


class _WalkedInBytes(_Walked, kw_only=True):
    sizes: list[Count]
    tried: list[tuple[Above, Count, Count]]


class _Promised(_Walked, kw_only=True):
    bytes: Size | None
    ratio: Size | None = None
    ratio_image: Size | None = None
    bytes_low: Size | None = None
    bytes_high: Size | None = None
    ratio_low: Size | None = None
    ratio_high: Size | None = None
    ratio_image_low: Size | None = None
    ratio_image_high: Size | None = None


Way = Literal["features", "picture", "integers"]


class _Anchor(_AtPromise, kw_only=True):
    who: Name
    at: Above | None
    header: Count | None


class _AnchorWalked(_Anchor, kw_only=True):
    sizes: list[Count]
    tried: list[tuple[Above, Count, Count]]


class _AnchorPromised(_Anchor, kw_only=True):
    way: Way
    bytes: Size | None
    bytes_low: Size | None
    bytes_high: Size | None
    ratios: dict[Name, tuple[Size, Size | None, Size | None]]


class _AnchorPoint(msgspec.Struct):
    way: Way
    who: Name
    at: Above
    seed: Seed
    n: Some
    header: Count
    ideal: Size | None
    bytes: Size
    discrepancy: Size | None
    score: Number | None
    bytes_low: Size | None = None
    bytes_high: Size | None = None
    discrepancy_low: Size | None = None
    discrepancy_high: Size | None = None
    score_low: Number | None = None
    score_high: Number | None = None


class _AnchorImages(msgspec.Struct):
    way: Way
    who: Name
    at: Above
    seed: Seed
    n: Some
    bytes: list[Count]
    discrepancy: list[Size | None]


class _BdRate(msgspec.Struct):
    way: Literal["features", "picture"]
    who: Name
    against: Name
    over: Literal["discrepancy", "score"]
    method: Literal["pchip", "akima", "cubic"]
    seed: Seed
    n: Some
    percent: Number | None
    percent_low: Number | None
    percent_high: Number | None
    low: Number | None
    high: Number | None
    overlap: Share | None
    left_out: Count
    why: str = ""


class _Sender(msgspec.Struct):
    before: Count
    whole: Count
    parameters_before: Count = 0
    parameters: Count = 0


class _SenderTime(msgspec.Struct):
    seconds: Size
    code: Size
    decode: Size
    elements: Some
    device: Name


class _ChosenSteps(msgspec.Struct):
    steps: Name
    drop: Name
    eps: Size
    rho: Chance
    delta: Chance
    seed: Seed
    budget: Above
    bytes: Size
    n: Some


class _Attributed(msgspec.Struct):
    map: Name
    inside: Share | None
    area: Share | None
    density: Size | None
    prefix: Share | None
    correlation: Annotated[float, msgspec.Meta(ge=-1.001, le=1.001)] | None
    n: Count
    seed: Seed
    empty: Count = 0


class _Drawn(msgspec.Struct):
    place: Count
    label: Name
    digest: str
    low: Size | None = None
    high: Size | None = None


# For each stage: what a row must hold, and which of it no two rows may share.
STAGES: dict[str, tuple[type[msgspec.Struct], tuple[str, ...]]] = {
    "fit": (_Fitted, ("map", "seed")),
    "calibrate": (_Calibrated, ("map", "seed")),
    "evaluate": (_Evaluated, ("map", "nrmse", "seed")),
    "quantise": (_Quantised, ("steps", "budget", "seed")),
    "resample": (_Resampled, ("steps", "budget", "seed")),
    "equal-rate": (_EqualRate, ("steps", "seed")),
    "walk": (_WalkedInBytes, ("steps", "drop", "eps", "rho", "delta", "seed")),
    "promise": (_Promised, ("steps", "drop", "eps", "rho", "delta", "seed")),
    "choice": (_ChosenSteps, ("steps", "drop", "eps", "rho", "delta", "seed")),
    "anchor-walk": (_AnchorWalked, ("who", "drop", "eps", "rho", "delta", "seed")),
    "anchor": (_AnchorPromised, ("who", "drop", "eps", "rho", "delta", "seed")),
    "anchor-curve": (_AnchorPoint, ("who", "at", "seed")),
    "anchor-images": (_AnchorImages, ("who", "at", "seed")),
    "bd-rate": (_BdRate, ("who", "over", "method", "seed")),
    "sender": (_Sender, ()),
    "sender-time": (_SenderTime, ()),
    "attribute": (_Attributed, ()),  # again with other images: rows of one map and seed
    "picture": (_Drawn, ("place",)),
}


class _Sizes(msgspec.Struct):
    fit: Count
    calibrate: Count
    test: Count


class _Plan(msgspec.Struct, kw_only=True):
    score: Literal["labels", "agreement"] = "labels"
    group_by: str = ""
    model: Name
    split: Name
    task: Name
    data: Name
    seeds: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    sizes: _Sizes
    eps: Size
    rho: Chance
    drop: str


class _Measures(msgspec.Struct):
    score: Name
    discrepancy: Name


class _Network(msgspec.Struct):
    name: Name
    digest: str


class _Split(msgspec.Struct):
    leak: Annotated[dict[str, Size], msgspec.Meta(min_length=1)]
    shapes: Annotated[list[Annotated[list[Some], msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1)]
    elements: Some


class _OwnTask(msgspec.Struct):
    python: bool = False
    digest: str = ""


class _Manifest(msgspec.Struct):
    limen: str
    git: str | None
    created: str
    versions: dict[str, str]
    wing: Literal["feature"]
    plan: _Plan
    measures: _Measures
    network: _Network
    split: _Split
    task: _OwnTask = msgspec.field(default_factory=_OwnTask)  # of a run that an older limen began: none of its own


def manifest(store: Store) -> dict[str, Any]:
    """Return the manifest of a run of deep features, without paths of the machine that it was made on.

    Raises:
        StoreError: an entry is missing, or of another type.
    """
    try:
        msgspec.convert(store.manifest, _Manifest)
    except msgspec.ValidationError as error:
        wrong = validation.fault(error, store.manifest, _Manifest)
        raise StoreError(f"{store.path / 'manifest.json'}: {wrong} {AGAIN}") from None
    return shown(store.manifest)


def shown(content: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run of any wing, without paths of the machine that it was made on."""
    plan = content.get("plan")
    if not isinstance(plan, dict):
        return content
    return content | {"plan": plan | {name: public(str(plan[name])) for name in ("model", "data") if name in plan}}


def measured(store: Store, stage: str) -> dict[str, dict[str, Any]]:
    """Return a stage's rows by key.

    Raises:
        StoreError: one lacks an entry, or holds one of another type, or two are of the same.
    """
    kind, names = STAGES[stage]
    file = store.path / "trials.db"
    damaged = ""
    try:
        rows = store.measurements(stage)
    except ValueError as error:
        damaged = str(error)  # raised below: by then nothing reads the rows any more
    if damaged:
        raise StoreError(f"{file}: a row of {stage!r} is not JSON ({damaged}). {AGAIN}")
    seen: dict[tuple[Any, ...], str] = {}
    for key, row in rows.items():
        try:
            msgspec.convert(row, kind)
        except msgspec.ValidationError as error:
            wrong = validation.fault(error, row, kind)
            raise StoreError(f"{file}: the row {key!r} of {stage!r}: {wrong} {AGAIN}") from None
        other = seen.setdefault(tuple(row[name] for name in names) or (key,), key)
        if other != key:
            raise StoreError(f"{file}: {other!r} and {key!r} of {stage!r} are rows of the same. {AGAIN}")
    return rows


def public(place: str) -> str:
    """Return a path as others may see it: its last part, where it says where on a machine it lies; else as it is."""
    if os.path.isabs(place) or place.startswith("~") or re.match(r"[A-Za-z]:[\\/]|\\\\|file:", place):
        return re.split(r"[\\/]", place.rstrip("\\/"))[-1] or "root"
    return place


def here(place: str, run: Path) -> str:
    """Return where something lies that a run names: there, or by its last part beside the run or in this directory.

    "" where it is in none of these places.
    """
    last = Path(public(place)).name
    spots = (place, os.path.join(run.parent, last), last) if last else ()
    return next((spot for spot in spots if os.path.exists(spot)), "")
