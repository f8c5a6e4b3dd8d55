"""Which observers are right on the same pictures, and which model's thresholds go like people's.

Error consistency asks it trial by trial, of answers at fixed levels; rank correlation asks it reference by reference,
of thresholds, and holds it against how well people agree with people.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limen import participant
from limen.analysis import Analysis, Outcome, Response
from limen.analysis.people import Thresholds, asked, counted, thresholds
from limen.analysis.survival import groups
from limen.curve import FEWEST_CLUSTERS, Array, Interval, Share
from limen.question import Question
from limen.statistics import consistency, crossed
from limen.statistics.consistency import Consistency
from limen.statistics.crossed import Ceiling
from limen.statistics.inference import correlate

MOST_PAIRS = 3_000  # of observers under one question and distortion up to which each has a row; 77 have fewer
RESAMPLES, FEWER = 1_000, 400  # of references, for the interval of a mean; fewer above that many pairs
PEOPLE, MIXED, MODELS = "people with people", "people with models", "models with models"


@dataclass(frozen=True, slots=True)
class ConsistencyRow:
    """Error consistency of two observers, on the references and levels that both have.

    Attributes:
        question, distortion: which.
        first, second: the observers, by name.
        of: "people with people", "people with models" or "models with models".
        counted: whether both are in the means over people: neither failed the attention rule.
        found: kappa within level, averaged; pooled beside it.
    """

    question: str
    distortion: str
    first: str
    second: str
    of: str
    counted: bool
    found: Consistency


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Mean error consistency of a group of pairs, without those who failed the attention rule.

    Attributes:
        question, distortion: which.
        of: which pairs.
        pairs: how many, with a kappa that is defined.
        found: their mean.
        listed: whether each pair has a row of its own; where there are more than 3,000 pairs of all kinds, none has.
    """

    question: str
    distortion: str
    of: str
    pairs: int
    found: Consistency
    listed: bool = True


def error_consistency(analysis: Analysis) -> tuple[tuple[ConsistencyRow, ...], tuple[GroupRow, ...]]:
    """Return the error consistency of any two observers, and the means of groups, where levels were fixed beforehand.

    A trial is the first draw of a reference at a level. Right is yes to a picture that differs and no to one that does
    not; in a forced choice, the right choice; where answers are compared, one that changed.
    """
    people = participant.people_of(analysis.manifest.observers)
    kept = {*counted(analysis), *participant.models_of(analysis.manifest.observers)}
    order = {name: place for place, name in enumerate(analysis.manifest.observers)}
    rows, means = list[ConsistencyRow](), list[GroupRow]()
    found = groups(analysis)
    for question, distortion in sorted({key[1:] for key in found}, key=lambda one: (one[1], one[0])):
        every = [
            (key[0], group) for key, group in found.items()
            if key[1:] == (question, distortion) and key[0] not in analysis.chosen
        ]  # fmt: skip
        every.sort(key=lambda one: order[one[0]])
        names, right = _right([one for _, group in every for one in group], [name for name, _ in every],
                              analysis.questions[question])  # fmt: skip
        pairs = list(itertools.combinations(range(len(names)), 2))
        if not pairs:
            continue
        listed = len(pairs) <= MOST_PAIRS
        kinds = {pair: _kind(*(names[i] in people for i in pair)) for pair in pairs}
        each = consistency.consistencies(right, pairs) if listed else []
        rows += [
            ConsistencyRow(question, distortion, names[i], names[j], kinds[i, j], {names[i], names[j]} <= kept, one)
            for (i, j), one in zip(pairs, each, strict=listed) if one.trials
        ]  # fmt: skip
        for kind in (PEOPLE, MIXED, MODELS):
            some = [pair for pair in pairs if kinds[pair] == kind and {names[i] for i in pair} <= kept]
            of = consistency.group(right, some, RESAMPLES if listed else FEWER)
            if of is not None and of.mean.trials:
                means.append(GroupRow(question, distortion, kind, of.pairs, of.mean, listed))
    return tuple(rows), tuple(means)


def _kind(first: bool, second: bool) -> str:
    return (MODELS, MIXED, PEOPLE)[first + second]


def right(response: Response, question: Question) -> bool:
    """Return whether an answer is right: yes where there is a difference, the right choice in a forced choice."""
    same = not question.forced and response.probe.level == response.probe.reference
    return response.verdict.yes is not same


def _right(group: Sequence[Outcome], observers: Sequence[str], question: Question) -> tuple[list[str], Array]:
    """Return who answered at fixed levels, and whether they were right, (N, R, K)."""
    told: dict[tuple[str, str, int], tuple[int, bool]] = {}
    for one in group:
        if one.thresholds or one.estimates:
            continue
        for response in one.responses:
            if response.readable and response.probe.reference == 0:
                at, draw = (one.observer, one.series.picture, response.probe.level), response.probe.draw
                if at not in told or draw < told[at][0]:
                    told[at] = draw, right(response, question)
    who = {at[0] for at in told}
    names = [name for name in observers if name in who]
    row = {name: i for i, name in enumerate(names)}
    column = {picture: i for i, picture in enumerate(sorted({at[1] for at in told}))}
    layer = {level: i for i, level in enumerate(sorted({at[2] for at in told}))}
    values = np.full((len(row), len(column), len(layer)), np.nan)
    for (observer, picture, level), (_, was_right) in told.items():
        values[row[observer], column[picture], layer[level]] = was_right
    return names, values


# --- which model sees like people ---


@dataclass(frozen=True, slots=True)
class LikenessRow:
    """How a model's thresholds over references go with people's.

    Attributes:
        question, distortion: which.
        model: by name.
        measure: what of people is compared: "J" or "T50"; `model_measure` of the model.
        people, references: how many people, and references that both have.
        beyond, model_beyond: references at which most people's thresholds, and the model's, lie beyond the ladder: all
            of them are tied above all others.
        rho: Spearman's correlation of the model's thresholds with people's mean, apart from who met what
            (`limen.statistics.crossed.references_of`); NaN where one side is all alike.
        interval: 95 % BCa over references; None below five.
        ceiling: how well people's mean repeats, by halves of people; None below ten people, or where it is not known.
        likeness: rho / ceiling: 1 is as like people's mean as people's own noise allows (it may come out above 1);
            NaN where one of the two is not known. The model's own noise is in it.
        likeness_interval: `interval` divided by the ceiling, which is taken as known.
    """

    question: str
    distortion: str
    model: str
    measure: str
    model_measure: str
    people: int
    references: int
    beyond: Share
    model_beyond: Share
    rho: float
    interval: Interval | None
    ceiling: Ceiling | None
    likeness: float
    likeness_interval: Interval | None

    @property
    def told(self) -> bool:
        """Whether the data can tell: there is an interval, and it is narrower than 1."""
        return self.interval is not None and self.interval.high - self.interval.low < 1


def likeness(analysis: Analysis) -> tuple[LikenessRow, ...]:
    """Return how like people's each model's thresholds are over references, the most like first; fixtures among them.

    A threshold beyond the ladder enters as its end, where ranks tie it with others there; people's mean is over such
    restricted thresholds.
    """
    found, people, rows = groups(analysis), counted(analysis), list[LikenessRow]()
    models = participant.models_of(analysis.manifest.observers)
    for question, distortion in asked(analysis):
        theirs = thresholds(found, people, question, distortion)
        if not theirs.measure:
            continue
        ceiling = crossed.split_half(theirs.restricted)
        each = [
            _likeness(model, theirs, own, ceiling, question, distortion)
            for model in models if (own := thresholds(found, (model,), question, distortion)).measure
        ]  # fmt: skip
        rows += sorted((row for row in each if row is not None), key=lambda row: (math.isnan(row.rho), -row.rho))
    return tuple(rows)


def _likeness(
    model: str, theirs: Thresholds, own: Thresholds, ceiling: Ceiling | None, question: str, distortion: str
) -> LikenessRow | None:
    levels = dict(zip(own.pictures, own.restricted.flat, strict=True))
    mean = dict(zip(theirs.pictures, crossed.references_of(theirs.restricted), strict=True))
    both = sorted(levels.keys() & mean.keys())
    if not both:
        return None
    rho, interval = math.nan, None
    if len(both) >= FEWEST_CLUSTERS:
        of = correlate([float(levels[one]) for one in both], [float(mean[one]) for one in both])
        rho, interval = of.value, of.interval
    most = np.isinf(theirs.levels).sum(axis=0) * 2 > (~np.isnan(theirs.levels)).sum(axis=0)
    beyond = sum(bool(far) for picture, far in zip(theirs.pictures, most, strict=True) if picture in levels)
    none = sum(
        math.isinf(level) for picture, level in zip(own.pictures, own.levels.flat, strict=True) if picture in mean
    )
    known = ceiling is not None and not math.isnan(rho)
    return LikenessRow(
        question, distortion, model, theirs.measure, own.measure, len(theirs.observers), len(both),
        Share(beyond, len(both)), Share(none, len(both)), rho, interval, ceiling,
        rho / ceiling.value if ceiling is not None and known else math.nan,
        Interval(interval.low / ceiling.value, interval.high / ceiling.value)
        if ceiling is not None and interval is not None else None,
    )  # fmt: skip
