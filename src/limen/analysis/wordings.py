"""How much thresholds and answers hang on the wording: one question asked in several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from limen import digest
from limen.analysis import Analysis, Outcome
from limen.analysis.changes import paraphrased
from limen.analysis.survival import groups, protocol
from limen.curve import FEWEST_CLUSTERS, Interval, Share

RESAMPLES = 2_000
Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WordingRow:
    """The first JND of one observer, question and distortion in several wordings, over the references all have.

    Attributes:
        observer, question, distortion, levels: which, and the ladder's length L.
        wordings: names of the questions, the question itself first.
        n: references with a result in every wording.
        means: restricted mean of the 1st JND in each wording, in levels.
        spread: standard deviation of `means` over the wordings, in levels (n - 1 in its denominator).
        interval: of `spread`, 95 %, percentiles of a bootstrap over references; None below five. The references' own
            scatter is in it, so that it lies above 0 where wordings do not matter.
        changed: answers to the undistorted reference that a mere paraphrase changes, where answers are compared; None
            elsewhere.
    """

    observer: str
    question: str
    distortion: str
    levels: int
    wordings: tuple[str, ...]
    n: int
    means: tuple[float, ...]
    spread: float
    interval: Interval | None
    changed: Share | None


def wordings(analysis: Analysis) -> tuple[WordingRow, ...]:
    """Return what the wording does to thresholds, where a run asked a question in several (`--paraphrases`)."""
    asked = analysis.questions
    found = groups(analysis)
    rows = []
    for observer, question, distortion in found:
        others = [name for name, one in asked.items() if one.of == question]
        keys = [(observer, name, distortion) for name in (question, *others)]
        if not others or any(key not in found for key in keys):
            continue
        reached = [_levels(found[key]) for key in keys]
        shared = sorted(set.intersection(*(set(each) for each in reached)))
        if not shared:
            continue
        table = np.array([[each[picture] for each in reached] for picture in shared])
        rows.append(
            WordingRow(
                observer, question, distortion, found[keys[0]][0].series.levels, tuple(key[1] for key in keys),
                len(shared), tuple(table.mean(axis=0).tolist()), float(_spread(table)), _interval(table),
                paraphrased(analysis, (observer, question, distortion)),
            )
        )  # fmt: skip
    return tuple(rows)


def _levels(group: Sequence[Outcome]) -> dict[str, float]:
    """Return each reference's 1st JND, restricted at L."""
    graded = {one.series.picture: protocol(one) for one in group if one.thresholds and one.series.levels > 1}
    return {picture: level for picture, (level, _) in graded.items()}


def _spread(table: Array) -> Array:
    return np.asarray(np.std(table.mean(axis=-2), axis=-1, ddof=1))


def _interval(table: Array) -> Interval | None:
    count = len(table)
    if count < FEWEST_CLUSTERS:
        return None
    drawn = digest.generator("bootstrap", count).integers(0, count, (RESAMPLES, count))
    low, high = np.quantile(_spread(table[drawn]), (0.025, 0.975))
    return Interval(float(low), float(high))
