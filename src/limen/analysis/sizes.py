"""Thresholds against the size of the picture: the same photographs, shown at several sizes (`max_side`).

Sizes are compared photograph by photograph, because photographs differ more than sizes do. Photographs that are smaller
than a size are not in its rows.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from limen.analysis import Analysis, Outcome, Quantile
from limen.analysis.survival import Key, groups, protocol
from limen.analysis.tables import EstimateRow, JndRow, estimate_row, jnd_rows
from limen.curve import FEWEST_CLUSTERS, Mean, bootstrap_mean


@dataclass(frozen=True, slots=True)
class PictureSizeRow:
    """The threshold of one observer, question and distortion over the photographs shown at one size.

    Attributes:
        side: longer side in px; 0: photographs at their own size.
        measure: "1st JND", or "T50" where the procedure fits.
        levels: L.
        n: references with a result.
        median, low, high: with its 95 % interval by order statistics, in levels; None below six references.
        strength, unit: of the ladder at the median; None beyond it.
    """

    observer: str
    question: str
    distortion: str
    side: int
    measure: str
    levels: int
    n: int
    median: Quantile
    low: Quantile | None
    high: Quantile | None
    strength: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class SizeDifference:
    """What a larger size does to the threshold of one observer, question and distortion, on the same photographs.

    Attributes:
        first, second: the sizes, the smaller first; 0, own size, counts as the largest.
        measure: as in `PictureSizeRow`.
        photographs: with a result at both.
        beyond: photographs without a threshold up to L at either: they count as unchanged.
        difference: mean over photographs of the second's level minus the first's, each restricted at L, with its 95 %
            BCa interval over photographs.
        told: whether the answers tell that sizes differ: five photographs or more, and an interval without 0, or one
            difference that all of them have.
    """

    observer: str
    question: str
    distortion: str
    first: int
    second: int
    measure: str
    photographs: int
    beyond: int
    difference: Mean
    told: bool


def sizes(analysis: Analysis) -> tuple[PictureSizeRow, ...]:
    """Return the threshold at each size, where photographs were shown at several; none for procedures without one.

    Args:
        analysis: of a run, or of several put together.
    """
    rows = []
    for key, sized in _sized(analysis).items():
        for side in _ascending(sized):
            found = _row(key, side, sized[side], analysis)
            if found is not None:
                rows.append(found)
    return tuple(rows)


def differences(analysis: Analysis) -> tuple[SizeDifference, ...]:
    """Return every two sizes that were asked for compared over the photographs that were shown at both.

    Args:
        analysis: of a run, or of several put together.
    """
    rows = []
    for key, sized in _sized(analysis).items():
        asked = analysis.manifest.max_side
        whole = isinstance(asked, list) and 0 in asked
        for first, second in combinations(_ascending(side for side in sized if side or whole), 2):
            found = _difference(key, (first, second), sized[first], sized[second])
            if found is not None:
                rows.append(found)
    return tuple(rows)


def _sized(analysis: Analysis) -> dict[Key, dict[int, list[Outcome]]]:
    """Return complete series by size, of each observer, question and distortion with several levels."""
    found: dict[Key, dict[int, list[Outcome]]] = {}
    for key, group in groups(analysis).items():
        sized: dict[int, list[Outcome]] = defaultdict(list)
        for outcome in group:
            if outcome.side is not None and analysis.manifest.distortions[key[2]].graded:
                sized[outcome.side].append(outcome)
        if sized:
            found[key] = sized
    return found


def _ascending(sized: Iterable[int]) -> list[int]:
    return sorted(sized, key=lambda side: side or math.inf)


def _row(key: Key, side: int, group: Sequence[Outcome], analysis: Analysis) -> PictureSizeRow | None:
    found: JndRow | EstimateRow | None
    found, measure = estimate_row(key, group, analysis.manifest), "T50"
    if found is None:
        found, measure = next(iter(jnd_rows(key, group, analysis.manifest)), None), "1st JND"
    if found is None or not found.n:
        return None
    return PictureSizeRow(
        *key, side, measure, found.levels, found.n, found.median, found.median_low, found.median_high,
        found.strength, found.unit,
    )  # fmt: skip


def _difference(
    key: Key, sides: tuple[int, int], first: Sequence[Outcome], second: Sequence[Outcome]
) -> SizeDifference | None:
    before, after = _levels(first), _levels(second)
    shared = sorted(before.keys() & after.keys())
    if not shared:
        return None
    changes = [after[one][0] - before[one][0] for one in shared]
    interval = bootstrap_mean(changes)
    alike = len(changes) >= FEWEST_CLUSTERS and len(set(changes)) == 1 and changes[0] != 0
    clear = interval is not None and not interval.low <= 0 <= interval.high
    return SizeDifference(
        *key, *sides,
        measure="T50" if any(one.estimates for one in first) else "1st JND",
        photographs=len(shared),
        beyond=sum(not (before[one][1] or after[one][1]) for one in shared),
        difference=Mean(sum(changes) / len(changes), interval, len(changes)),
        told=alike or clear,
    )  # fmt: skip


def _levels(group: Iterable[Outcome]) -> Mapping[str, tuple[float, bool]]:
    """Return the level of each photograph, and whether any of its series reached one: the mean over its items."""
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for outcome in group:
        level = _level(outcome)
        if level is not None:
            found[outcome.photograph].append(level)
    return {
        photograph: (sum(level for level, _ in each) / len(each), any(reached for _, reached in each))
        for photograph, each in found.items()
    }


def _level(outcome: Outcome) -> tuple[float, bool] | None:
    """Return the level of a series, L where it has none up to there; None where its answers do not tell."""
    if outcome.thresholds:
        return protocol(outcome)
    if not outcome.estimates or not outcome.estimates[0].told:
        return None
    fit = outcome.estimates[0]
    return min(fit.level, float(outcome.series.levels)), fit.reached
