"""Answers that have changed against the level, and what a mere paraphrase changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limen.analysis import Analysis, Outcome
from limen.analysis.survival import Key, above, groups, over_clusters
from limen.curve import Share, wilson
from limen.parsing.yes_no import Flag
from limen.trial import OTHER_SIDE

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """The share of answers that have changed, or become wrong, by each level: of one observer, question, distortion.

    Attributes:
        levels: 0..L; those asked, where the procedure asks fixed ones.
        share: of the items whose first JND lies at or below each level; or whose answer is another there.
        low, high: 95 % interval at each level: Wilson's; where items share photographs the bootstrap over these
            (percentiles), NaN below five of them and where all are alike.
        n, photographs: items, and what they are pictures of.
        paraphrased: answers to the undistorted reference that a mere paraphrase changes, where the run asked in several
            wordings; None elsewhere.
    """

    observer: str
    question: str
    distortion: str
    levels: tuple[int, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int
    photographs: int
    paraphrased: Share | None = None


def changed(analysis: Analysis) -> tuple[ChangedRow, ...]:
    """Return the share of changed answers against level, where answers are compared; of procedures that fit none.

    Where the procedure finds a JND, that is the share of items with one at or below each level; where it asks fixed
    levels, the share of other answers at each of them, over the items that have a readable one at all, the mean of the
    draws of each item.
    """
    rows = []
    for key, group in groups(analysis).items():
        if not analysis.questions[key[1]].alone or any(outcome.estimates for outcome in group):
            continue
        if any(outcome.thresholds for outcome in group):
            levels, of, shares = tuple(range(group[0].series.levels + 1)), group, 1 - above(group)
        else:
            levels, of, shares = _at_levels(group)
        if of:
            photographs = [outcome.photograph for outcome in of]
            low, high = _bounds(shares, photographs)
            mean = tuple(float(share) for share in shares.mean(axis=0))
            rows.append(
                ChangedRow(*key, levels, mean, low, high, len(of), len(set(photographs)), paraphrased(analysis, key))
            )
    return tuple(rows)


def _at_levels(group: Sequence[Outcome]) -> tuple[tuple[int, ...], list[Outcome], Array]:
    """Return the levels asked, the items with a readable answer at each, and (n, m) how often each of them changed."""
    said = [_said(outcome) for outcome in group]
    levels = tuple(sorted({level for one in said for level in one if level}))
    whole = [place for place, one in enumerate(said) if all(level in one for level in levels)] if levels else []
    shares = np.array([[float(said[place][level]) for level in levels] for place in whole])
    return levels, [group[place] for place in whole], shares


def _bounds(shares: Array, photographs: Sequence[str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the 95 % interval of the mean of each column, as `ChangedRow` says; of several draws by bootstrap too."""
    if len(set(photographs)) < len(photographs) or not np.all((shares == 0) | (shares == 1)):
        return over_clusters(shares, photographs)
    intervals = [wilson(float(k), len(photographs)) for k in shares.sum(axis=0)]
    return tuple(one.low for one in intervals), tuple(one.high for one in intervals)


def _said(outcome: Outcome) -> dict[int, float]:
    """Return how often the answer is another one, by level: the mean of its draws; 0 where the stimulus is the same."""
    votes: dict[int, list[bool]] = {}
    for response in outcome.responses:
        if response.probe.reference == 0 and response.verdict.flag is not Flag.UNREADABLE:
            votes.setdefault(response.probe.level, []).append(response.verdict.yes)
    return {level: float(np.mean(said)) for level, said in votes.items()}


def paraphrased(analysis: Analysis, key: Key) -> Share | None:
    """Return how many answers to undistorted references another wording of the question alone changes.

    Args:
        analysis: of a run, or of several put together.
        key: (observer, question, distortion), by name.

    Returns:
        None where answers are not compared, or the question was asked in one wording.
    """
    observer, question, distortion = key
    others = [name for name, one in analysis.questions.items() if one.of == question]
    if not others or not analysis.questions[question].alone:
        return None
    everyone = groups(analysis, whole=False)
    first, *rest = (_anchors(analysis, everyone.get((observer, name, distortion), ())) for name in (question, *others))
    changed = total = 0
    for other in rest:
        for picture, (outcome, value) in first.items():
            if picture in other:
                total += 1
                form = analysis.questions[outcome.question].form or (outcome.item.form if outcome.item else None)
                changed += form is not None and not form.same(value, other[picture][1])
    return Share(changed, total)


def _anchors(analysis: Analysis, group: Iterable[Outcome]) -> Mapping[str, tuple[Outcome, str]]:
    """Return the readable answer to each undistorted reference, in the question's own words."""
    found = {}
    for outcome in group:
        question = analysis.questions[outcome.question]
        trials = {
            trial.part: trial.answer
            for response in outcome.responses for trial in response.trials
            if trial.reference == 0 and trial.part < OTHER_SIDE and not trial.again and trial.answer is not None
        }  # fmt: skip
        value = question.value(tuple(trials[part] for part in sorted(trials)), outcome.item).value if trials else None
        if value is not None:
            found[outcome.series.picture] = (outcome, value)
    return found
