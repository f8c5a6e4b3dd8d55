"""What naming the distortion in the question does to the 1st JND, reference by reference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from limen.analysis import Analysis
from limen.analysis.survival import groups, only_yes, protocol
from limen.curve import Interval, bootstrap_mean
from limen.statistics.inference import holm
from limen.statistics.survival import PairedComparison, compare

QUESTIONS = (("direct-implicit", "direct"), ("choice-implicit", "choice"))  # the distortion unnamed, and named


@dataclass(frozen=True, slots=True)
class Reduction:
    """What naming the distortion does to a mean: absolute = implicit - explicit, relative to implicit."""

    observer: str
    distortion: str
    implicit: float
    explicit: float
    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class PromptingRow:
    """The distortion unnamed against named, reference by reference.

    Attributes:
        implicit, explicit: the two questions.
        reduction: of the restricted means over the references that both have.
        interval: of `reduction.absolute`, 95 % BCa over references; None below five, or where all are alike.
        paired: `wins` is the probability that J is higher with the distortion unnamed.
        p_holm: p of the paired Prentice-Wilcoxon test, adjusted for all rows.
    """

    implicit: str
    explicit: str
    reduction: Reduction
    interval: Interval | None
    paired: PairedComparison
    p_holm: float


def reduction(observer: str, distortion: str, implicit: float, explicit: float) -> Reduction:
    """Return what naming the distortion does to one mean.

    Args:
        observer: its name.
        distortion: its name.
        implicit: mean JND where the distortion goes unnamed, in levels.
        explicit: mean JND where it is named, in levels.
    """
    less = implicit - explicit
    return Reduction(observer, distortion, implicit, explicit, less, less / implicit if implicit else math.nan)


def prompting(analysis: Analysis) -> tuple[PromptingRow, ...]:
    """Return what naming the distortion does, reference by reference, where a run asked both questions.

    Where an observer says yes to everything under one of them, nothing is compared: NaN, without an interval.
    Views are left out: their question is about perspectives either way, so that both are one question.
    """
    whole = groups(analysis)
    blind = {key for key, group in whole.items() if only_yes(group)}
    found = {key: {o.series.picture: protocol(o) for o in group if o.thresholds and o.series.levels > 1}
             for key, group in whole.items()}  # fmt: skip
    rows = []
    for (observer, question, distortion), levels in found.items():
        named = dict(QUESTIONS).get(question, "")
        other = found.get((observer, named, distortion), {})
        shared = [picture for picture in levels if picture in other]
        if shared and analysis.manifest.distortions[distortion].word != "perspectives":
            pairs = [(*levels[picture], *other[picture]) for picture in shared]
            row = _prompted((observer, distortion, question, named), pairs)
            if blind & {(observer, question, distortion), (observer, named, distortion)}:
                row = replace(row, interval=None, paired=row.paired.untold())
            rows.append(row)
    adjusted = holm([row.paired.p for row in rows])
    return tuple(replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True))


def _prompted(key: tuple[str, str, str, str], pairs: Sequence[tuple[float, bool, float, bool]]) -> PromptingRow:
    """Return one row from J and whether it was reached, unnamed and named, of each reference."""
    first, reached_first, second, reached_second = zip(*pairs, strict=True)
    less = [a - b for a, b in zip(first, second, strict=True)]
    found = reduction(*key[:2], float(np.mean(first)), float(np.mean(second)))
    interval = bootstrap_mean(less)
    paired = compare(first, reached_first, second, reached_second)
    return PromptingRow(*key[2:], reduction=found, interval=interval, paired=paired, p_holm=paired.p)
