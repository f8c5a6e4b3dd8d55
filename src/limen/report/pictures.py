"""Examples: the stimuli at the JND levels, drawn again from the references that a run has kept."""

import base64
import functools
import importlib.util
import io
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from limen import digest as digests
from limen import distortion as distortions
from limen import registry
from limen.analysis import Outcome, SeriesStatus
from limen.distortion import Distortion
from limen.errors import InputError
from limen.image import Image, container, decode, digest, png
from limen.ladder import Ladder
from limen.report.tables import brief
from limen.store import SeriesRow, Store
from limen.study import drawing

SIDE = 240  # px: larger pictures are scaled down to it
SHOWN = 200  # px: the longest side on the page
HARD = 128  # px: up to here every pixel is shown as it is, enlarged
MOST = 5_500_000  # bytes of pictures in one page
LARGEST = 26_000_000  # pixels of a reference whose stimuli a page draws: blur takes 50 bytes for each
CACHED = 16_000_000  # pixels of stimuli kept while a series is looked at, in 16 pictures at most
_PAIR = "The two pictures of this pair were not kept in the run: they are in the data set it came from."
_NOT_KEPT = {
    "image": "The reference was not kept in the run, so its stimuli cannot be drawn again.",
    "pair": _PAIR,
    "scored pair": _PAIR,
}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture for the page: a data URI, the size to show it at, and whether it is enlarged with hard pixels."""

    source: str
    width: int
    height: int
    hard: bool


@dataclass(frozen=True, slots=True)
class Stimulus:
    """A thumbnail with what it shows: the reference (level 0), or a level in words and in the ladder's unit."""

    picture: Thumbnail
    caption: str = "reference"
    level: int = 0
    strength: str = ""


def thumbnail(image: Image) -> Thumbnail:
    """Return `image` as a page shows it: exact up to `SIDE` px, else scaled down and compressed lightly."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= HARD:
        times = max(1, SHOWN // longest)
        return Thumbnail(_uri("png", png(image)), width * times, height * times, hard=True)
    shown = (max(1, round(width * SHOWN / longest)), max(1, round(height * SHOWN / longest)))
    if longest <= SIDE:
        return Thumbnail(_uri("png", png(image)), *shown, hard=False)
    size = (max(1, round(width * SIDE / longest)), max(1, round(height * SIDE / longest)))
    buffer = io.BytesIO()
    small = Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS)
    small.save(buffer, "JPEG", quality=92, subsampling="4:4:4")
    return Thumbnail(_uri("jpeg", buffer.getvalue()), *shown, hard=False)


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def renderer(store: Store, row: SeriesRow, views: bool = False) -> Callable[[int], Image]:
    """Return a function from level to stimulus, as it was shown.

    Args:
        store: of the run.
        row: the series.
        views: also draw views of scenes, which take most of a second each.

    Raises:
        InputError: it cannot be drawn as it was shown, and why.
    """
    kind = distortions.find(row.distortion)
    if kind.of in ("angle", "distance"):
        return _view(kind, row, views)
    data = store.picture(row.picture)
    if data is None:
        raise InputError(_NOT_KEPT.get(kind.of, _NOT_KEPT["image"]))
    asked = store.manifest["distortions"][row.distortion]
    if (kind.version, kind.ladder.digest) != (asked["version"], asked["ladder"]):
        raise InputError(f"This limen draws {row.distortion} in another way than the run did (version, ladder).")
    if store.manifest.get("probes", {}).get(row.distortion) not in (None, _probe(kind)):
        raise InputError(f"The libraries installed here draw {row.distortion} with other pixels than the run's did.")
    _, facts = container.look(data)
    pixels = math.prod(facts.size or (1, 1))
    if pixels > LARGEST:
        raise InputError(
            f"The reference has {pixels / 1e6:.0f} megapixels; pages draw stimuli of up to {LARGEST / 1e6:.0f}. limen "
            "render draws them from the photograph."
        )
    kept = decode(data, "the kept reference")
    of = (kept,) if kind.of == "image" else np.array_split(kept, 2)  # a pair is one picture, the second below the first
    of_each = [digest(one) for one in of]
    if row.picture != (of_each[0] if kind.of == "image" else digests.of(of_each)):
        raise InputError("The picture kept in the run is not the one that was measured (its digest differs).")
    return functools.lru_cache(maxsize=max(1, min(16, CACHED // pixels)))(
        kind.render(kept if kind.of == "image" else of, row.key)
    )


@functools.cache
def _probe(kind: Distortion) -> str | None:
    return drawing.probe(kind)


def _view(kind: Distortion, row: SeriesRow, wanted: bool) -> Callable[[int], Image]:
    """Return a function from level to a view of a scene, where this limen has that very view."""
    name = row.name.partition("-")[0]
    if not wanted or importlib.util.find_spec("embreex") is None:
        raise InputError(f"A view is drawn by its scene, not kept in the run: limen render scene={name}.")
    for view in registry.find("scene", name).views(kind.of):
        if view.digest == row.picture:
            return functools.lru_cache(maxsize=16)(kind.render(view, row.key))
    raise InputError(f"This limen draws the scene {name} in another way than the run did, or has not this view of it.")


def stimuli(draw: Callable[[int], Image], outcome: Outcome, ladder: Ladder, most: int = 4) -> list[Stimulus]:
    """Return the reference and the stimuli at up to `most` JND levels: the first ones, a middle one, the last.

    Where there is no JND, the strongest stimulus stands for those that were not noticed.

    Args:
        draw: from level to picture; uint8 RGB (H, W, 3).
        outcome: of the series.
        ladder: of the series.
        most: pictures of JNDs, >= 1.
    """
    found = [threshold for threshold in outcome.thresholds if not threshold.censored] or outcome.thresholds[:1]
    if len(found) > most:
        found = [*found[: most - 2], found[len(found) // 2], found[-1]]
    shown = [Stimulus(thumbnail(draw(0)))]
    for threshold in found:
        level, doubt = threshold.level, "" if threshold.confirmed else "?"
        caption = (
            f"level {level}: no JND" if threshold.censored else f"{ordinal(threshold.order)} JND: level {level}{doubt}"
        )
        strength = f"{threshold.strength:.3g} {brief(ladder.unit)}"
        shown.append(Stimulus(thumbnail(draw(level)), caption, level, strength))
    return shown


def ordinal(n: int) -> str:
    """Return 1st, 2nd, 3rd, 4th."""
    return f"{n}{'th' if n // 10 % 10 == 1 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def typical(outcomes: Sequence[Outcome], kept: Callable[[str], bool], used: Counter[str], count: int) -> list[str]:
    """Choose references whose 1st JND lies nearest the median, preferring those the page has not shown yet.

    Args:
        outcomes: of one distortion, all observers.
        kept: whether the run has kept a picture, by digest.
        used: how often the page has shown each picture; counted up.
        count: how many.

    Returns:
        Ids of series, where any is complete.
    """
    observers: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status is SeriesStatus.COMPLETE and outcome.thresholds:
            observers.setdefault(f"{outcome.observer}\n{outcome.question}", []).append(outcome)
    away: dict[str, float] = {}
    rows: dict[str, SeriesRow] = {}
    for group in observers.values():
        middle = statistics.median(outcome.thresholds[0].level for outcome in group)
        for outcome in group:
            rows[outcome.series.id] = outcome.series
            away[outcome.series.id] = away.get(outcome.series.id, 0.0) + abs(outcome.thresholds[0].level - middle)
    by_distance = sorted(rows.values(), key=lambda row: (not kept(row.picture), away[row.id], row.name, row.id))
    near = by_distance[: max(count, -(-len(by_distance) // 2))]
    near.sort(key=lambda row: (not kept(row.picture), used[row.picture], away[row.id], row.name, row.id))
    chosen = near[:count]
    used.update(row.picture for row in chosen)
    return [row.id for row in chosen]
