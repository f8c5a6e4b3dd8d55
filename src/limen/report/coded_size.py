"""How large coded pictures are where they begin to look different: bytes and bits a pixel, a codec's second axis."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from limen.analysis import Analysis, EstimateRow, JndRow, units
from limen.analysis.merge import own_name
from limen.curve import Interval, bootstrap_mean
from limen.distortion import Distortion
from limen.errors import InputError
from limen.image import Image, decode
from limen.report import figures, images
from limen.report import format as cell
from limen.report.figures import Spec
from limen.report.format import Table, plain
from limen.report.runs import OpenRun
from limen.store import Store

MOST = 32  # references that are coded again for one row, the first by digest
MOST_PIXELS = 16_000_000  # of them together
STEPS = 9  # levels of the figure's curve
FEWER = 8  # references of it

Coded = Callable[[float], tuple[int, ...]]  # from strength to bytes, a reference each


@dataclass(frozen=True, slots=True)
class SizeRow:
    """The size of a codec's pictures at the median 1st JND, or at the median fitted threshold.

    Attributes:
        observer, question, distortion: which.
        n: references that the run has kept and that were coded again.
        median: the level, as tables show it (">50", "<=1").
        strength, unit: there.
        bytes, bytes_interval: mean over references, and its 95 % BCa interval; None below five.
        bits, bits_interval: the same, in bits a pixel.
    """

    observer: str
    question: str
    distortion: str
    n: int
    median: str
    strength: float
    unit: str
    bytes: float
    bytes_interval: Interval | None
    bits: float
    bits_interval: Interval | None


def rows(runs: Sequence[OpenRun], analyses: Sequence[Analysis]) -> tuple[SizeRow, ...]:
    """Code the kept references of runs again at their medians.

    What has no median on its ladder, is no codec, or is a codec by a command line, which a report does not run, has no
    row.

    Args:
        runs: of observers of images.
        analyses: of each run, with the names that the page gives its observers.
    """
    found = []
    for run, analysis in zip(runs, analyses, strict=True):
        own = {name: own_name(name, run.analysis.manifest.distortions) for name in analysis.manifest.distortions}
        some = {name: _some(run.store, own[name], MOST) for name in own}
        coders = {name: _coder(run.store, own[name], pictures) for name, pictures in some.items()}
        thresholds: list[JndRow | EstimateRow] = [row for row in analysis.jnds if row.order == 1]
        for row in [*thresholds, *analysis.estimates]:
            coded, pictures = coders[row.distortion], some[row.distortion]
            if coded is None or row.strength is None or not pictures:
                continue
            bytes_each = coded(row.strength)
            bits = [8 * size / _pixels(picture) for size, picture in zip(bytes_each, pictures, strict=True)]
            found.append(
                SizeRow(
                    row.observer, row.question, row.distortion, len(bits), str(row.median), row.strength, row.unit,
                    fmean(bytes_each), bootstrap_mean(bytes_each), fmean(bits), bootstrap_mean(bits),
                )
            )  # fmt: skip
    return tuple(sorted(found, key=lambda row: row.distortion))


def codecs(store: Store) -> list[str]:
    """Return the distortions of a run whose coded pictures have a size."""
    return [name for name in store.manifest["distortions"] if _codec(store, name) is not None]


def table(analysis: Analysis, found: Sequence[SizeRow]) -> Table:
    """Lay out the sizes.

    Args:
        analysis: of all runs together, which decides what tells rows apart.
        found: the rows.
    """
    cells = [
        (*cell.heads(analysis, row), str(row.n), row.median, units.strength(row.strength, row.unit),
         cell.estimate(row.bytes, row.bytes_interval, 0), cell.estimate(row.bits, row.bits_interval, 3))
        for row in found
    ]  # fmt: skip
    notes = (
        "The references that the run has kept, coded again at the median (at most "
        f"{MOST} of them, {MOST_PIXELS // 10**6} megapixels): mean size of the file [95 % BCa interval over "
        "references], and per pixel. <=1: threshold and size lie at the first level or on its better side.",
    )
    columns = ("references", "median", "at the median", "bytes [95 %]", "bits a pixel [95 %]")
    return cell.table(analysis, "Size of the coded picture at the threshold", columns, cells, notes)


def records(run: OpenRun) -> dict[str, object]:
    """Return a run's sizes as plain data for JSON."""
    return {"sizes": plain(rows((run,), (run.analysis,)))}


def figure(
    runs: Sequence[OpenRun],
    analyses: Sequence[Analysis],
    found: Sequence[SizeRow],
    names: Mapping[tuple[str, str], str],
) -> Callable[[int], Spec]:
    """Return the figure of bits a pixel against the strength of each codec, with the thresholds on its curve.

    Args:
        runs: of observers of images; the first that has a codec gives its curve.
        analyses: as of `rows`.
        found: the rows.
        names: what to call each observer and question, in order.
    """
    curves = [
        {"distortion": f"{name}, by {unit}", "strength": strength, "bits": bits}
        for name, unit in dict.fromkeys((row.distortion, row.unit) for row in found)
        for strength, bits in _curve(runs, analyses, name)
    ]
    marks = [
        {"distortion": f"{row.distortion}, by {row.unit}", "strength": row.strength, "bits": row.bits,
         "who": names[row.observer, row.question]}
        for row in found
    ]  # fmt: skip

    def draw(width: int) -> Spec:
        x = figures.quantity("strength", "strength", {"zero": False, "nice": False}, tickCount=4, grid=False)
        y = figures.quantity("bits", "bits a pixel", {"type": "log", "nice": False}, tickCount=4, format="~g")
        layers = [
            figures.layer(figures.line(color=figures.MUTED), None, "!isValid(datum.who)", x=x, y=y),
            figures.layer(figures.points(60), None, "isValid(datum.who)", x=x, y=y, **figures.observers(names, width)),
        ]
        return figures.multiples([*curves, *marks], layers, width, {"scale": {"x": "independent"}})

    return draw


def _curve(runs: Sequence[OpenRun], analyses: Sequence[Analysis], name: str) -> Iterator[tuple[float, float]]:
    """Yield strengths of a codec's ladder with the mean bits a pixel there."""
    for run, analysis in zip(runs, analyses, strict=True):
        if name not in analysis.manifest.distortions:
            continue
        own = own_name(name, run.analysis.manifest.distortions)
        pictures = _some(run.store, own, FEWER)
        coded = _coder(run.store, own, pictures)
        if coded is None or not pictures:
            continue
        strengths = analysis.manifest.distortions[name].strengths
        last = len(strengths) - 1
        for place in sorted({round(last * step / (STEPS - 1)) for step in range(STEPS)}):
            sizes = zip(coded(strengths[place]), pictures, strict=True)
            yield strengths[place], fmean(8 * size / _pixels(picture) for size, picture in sizes)
        return


def _some(store: Store, name: str, most: int) -> tuple[Image, ...]:
    """Return some of the references of a distortion that a run has kept."""
    if _codec(store, name) is None:
        return ()
    found: list[Image] = []
    left = MOST_PIXELS
    for picture in sorted({row.picture for row in store.series() if row.distortion == name}):
        data = store.picture(picture)
        if data is None:
            continue
        image = decode(data, "the kept reference")
        left -= _pixels(image)
        if len(found) == most or (found and left < 0):
            break
        found.append(image)
    return tuple(found)


def _coder(store: Store, name: str, pictures: Sequence[Image]) -> Coded | None:
    kind = _codec(store, name)
    if kind is None or kind.encoded is None:
        return None
    encoded, whole = kind.encoded, kind.domain is not None and kind.domain.whole

    @functools.cache
    def coded(strength: float) -> tuple[int, ...]:
        at = float(round(strength)) if whole else strength
        return tuple(len(encoded(picture, at)) for picture in pictures)

    return coded


def _codec(store: Store, name: str) -> Distortion | None:
    """Return a codec of a run, if the run has it and limen codes as it did."""
    if name not in store.manifest["distortions"]:
        return None
    try:
        kind = images.as_measured(store, name)
    except InputError:
        return None
    return kind if kind.encoded is not None else None


def _pixels(image: Image) -> int:
    return math.prod(image.shape[:2])
