"""Shares over references, observers and repeats: who has not noticed yet, and who answers alike when asked twice.

Four things that are easily taken for one another: the *unnoticed share* U(k) = P(J > k) over references, for one
observer; the *satisfied machine ratio*, the share of models with J > k, for one reference; the *satisfied user ratio*
SUR(k), the same over people; and p(yes) at a level (`limen.analysis.fitting`).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from limen import digest, participant
from limen.analysis import Analysis, Outcome, SeriesStatus, false_alarms, sum_of
from limen.curve import FEWEST_CLUSTERS, Array, Interval, Share, bootstrap_mean
from limen.procedure import Probe
from limen.statistics.survival import Survival, unnoticed_share

Key: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class UnnoticedRow:
    """U(k) over the references of one observer, question and distortion."""

    observer: str
    question: str
    distortion: str
    curve: Survival


@dataclass(frozen=True, slots=True)
class SatisfiedRow:
    """The satisfied machine ratio of one question and distortion: which share of the models does not notice yet.

    Attributes:
        observers: the models.
        curve: share of the models with J > k (nothing noticed, or the answer unchanged), mean over the references that
            all of them have; 95 % bootstrap over references (over photographs, where items share one), NaN below five
            and where all are alike. The models are these, and no sample of others.
        photographs: what the references are pictures of.
    """

    question: str
    distortion: str
    observers: tuple[str, ...]
    curve: Survival
    photographs: int


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """What a second draw of the same pairs says: the pair swapped, or another sample where the observer samples.

    Attributes:
        alike: pairs with the same verdict both times.
        change: share of yes at the second draw minus that at the first, each reference with the same weight.
        interval: of `change`, 95 % BCa over references; None below five.
    """

    observer: str
    question: str
    distortion: str
    alike: Share
    change: float
    interval: Interval | None


def groups(analysis: Analysis, whole: bool = True) -> dict[Key, list[Outcome]]:
    """Return the series of each observer, question and distortion: those that are complete, or all."""
    found: dict[Key, list[Outcome]] = defaultdict(list)
    for outcome in analysis.outcomes:
        if outcome.status is SeriesStatus.COMPLETE or not whole:
            found[outcome.observer, outcome.question, outcome.series.distortion].append(outcome)
    return found


def only_yes(group: Iterable[Outcome]) -> bool:
    """Whether every answer that can be read is a yes, to identical pairs as well: then nothing shows any noticing."""
    said = [response.verdict.yes for outcome in group for response in outcome.responses if response.readable]
    return bool(said) and all(said)


def protocol(outcome: Outcome) -> tuple[float, bool]:
    """Return the first J and whether it counts as reached; L and False where not."""
    found = outcome.thresholds[0] if outcome.thresholds else None
    if found is None or not found.reached:
        return float(outcome.series.levels), False
    return float(found.level), True


def unnoticed(analysis: Analysis) -> tuple[UnnoticedRow, ...]:
    """Return U(k) of each observer, question and distortion whose procedure finds a J."""
    rows = []
    for key, group in groups(analysis).items():
        if any(outcome.thresholds for outcome in group):
            levels, reached = zip(*map(protocol, group), strict=True)
            rows.append(UnnoticedRow(*key, curve=unnoticed_share(levels, reached, group[0].series.levels)))
    return tuple(rows)


def satisfied(analysis: Analysis) -> tuple[SatisfiedRow, ...]:
    """Return the satisfied machine ratio of each question and distortion that two models or more were asked.

    People are in no such ratio: theirs is SUR (`limen.analysis.people.sur`).
    """
    models = participant.models_of(analysis.manifest.observers)
    asked: dict[tuple[str, str], dict[str, dict[str, Outcome]]] = defaultdict(dict)
    for (observer, question, distortion), group in groups(analysis).items():
        found = {outcome.series.picture: outcome for outcome in group if outcome.thresholds}
        if found and observer in models:
            asked[question, distortion][observer] = found
    rows = []
    for (question, distortion), every in sorted(asked.items()):
        first, *others = every.values()
        shared = sorted(first.keys() & set.intersection(*map(set, others))) if others else []
        if not shared or len({of[picture].series.levels for of in every.values() for picture in shared}) > 1:
            continue
        apart = np.mean([above([of[picture] for picture in shared]) for of in every.values()], axis=0)
        photographs = [first[picture].photograph for picture in shared]
        low, high = over_clusters(apart, photographs)
        shares = tuple(float(share) for share in apart.mean(axis=0))
        curve = Survival(tuple(range(len(shares))), shares, low, high, len(shared))
        named = tuple(name for name in analysis.manifest.observers if name in every)
        rows.append(SatisfiedRow(question, distortion, named, curve, len(set(photographs))))
    return tuple(rows)


def above(group: Sequence[Outcome]) -> Array:
    """Return (n, L + 1), whether the first J of each series lies above level 0..L: 1 or 0."""
    top = group[0].series.levels
    levels = [level if reached else math.inf for level, reached in map(protocol, group)]
    return (np.asarray(levels)[:, None] > np.arange(top + 1)).astype(np.float64)


def over_clusters(
    values: Array, clusters: Sequence[str], resamples: int = 2000
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the 95 % interval of the mean of each column, percentiles of a bootstrap over clusters of rows.

    NaN below five clusters, and where a column's means of clusters are all alike: resampling has nothing to say then.

    Args:
        values: (n, m).
        clusters: (n,), of each row.
        resamples: how many.
    """
    names = {name: place for place, name in enumerate(sorted(set(clusters)))}
    sums, counts = np.zeros((len(names), values.shape[1])), np.zeros(len(names))
    for row, cluster in zip(values, clusters, strict=True):
        sums[names[cluster]] += row
        counts[names[cluster]] += 1
    if len(names) < FEWEST_CLUSTERS:
        nothing = (math.nan,) * values.shape[1]
        return nothing, nothing
    times = digest.generator("clusters", len(names)).multinomial(len(names), [1 / len(names)] * len(names), resamples)
    low, high = np.quantile((times @ sums) / (times @ counts)[:, None], (0.025, 0.975), axis=0)
    alike = np.ptp(sums / counts[:, None], axis=0) == 0
    low, high = np.where(alike, math.nan, low), np.where(alike, math.nan, high)
    return tuple(map(float, low)), tuple(map(float, high))


def repeats(analysis: Analysis) -> tuple[RepeatRow, ...]:
    """Return how alike first and second draws are, where a procedure drew twice (`-P draws=2`)."""
    rows = []
    for key, group in groups(analysis).items():
        pairs = [list(_twice(outcome)) for outcome in group]
        said = [pair for one in pairs for pair in one]
        if said:
            change = [float(np.mean([second - first for first, second in one])) for one in pairs if one]
            interval = bootstrap_mean(change)
            alike = Share(sum(first == second for first, second in said), len(said))
            rows.append(RepeatRow(*key, alike=alike, change=float(np.mean(change)), interval=interval))
    return tuple(rows)


def _twice(outcome: Outcome) -> Iterable[tuple[bool, bool]]:
    """Yield the verdicts on each pair that was drawn twice and could be read both times."""
    said = {response.probe: response.verdict.yes for response in outcome.responses if response.readable}
    for probe, first in said.items():
        second = said.get(Probe(probe.reference, probe.level, 1))
        if probe.draw == 0 and second is not None:
            yield first, second


def points(curve: Survival, shares: Sequence[float] = (0.75, 0.5, 0.25)) -> tuple[int | None, ...]:
    """Return the last levels at which so many have not noticed; None beyond the ladder."""
    return tuple(curve.point(share) for share in shares)


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """How well one observer tells changed pictures from unchanged ones, over pairs that have one level.

    Attributes:
        noticed: yes to the changed picture.
        left_alone: no to the reference shown with itself: what the false alarms leave (`limen.analysis.false_alarms`).
        balanced: mean of both, each reference with the same weight; an observer that always says yes (or no) gets .5.
        interval: of `balanced`, 95 % BCa over references; None below five, or where all are alike.
        n: references with both answers readable; `noticed` and `left_alone` may count more.
    """

    observer: str
    question: str
    distortion: str
    noticed: Share
    left_alone: Share
    balanced: float
    interval: Interval | None
    n: int


def accuracy(analysis: Analysis) -> tuple[AccuracyRow, ...]:
    """Return the accuracy on series of one level (spot the difference), beside that on identical pairs."""
    rows, everyone = [], groups(analysis, whole=False)
    for key, group in groups(analysis).items():
        pairs = [outcome for outcome in group if outcome.series.levels == 1]
        if not pairs:
            continue
        said = [_said(outcome) for outcome in pairs]
        noticed = [one[1] for one in said if 1 in one]
        same = sum_of(*false_alarms(everyone[key]))
        both = [(one[1] + (not one[0])) / 2 for one in said if len(one) == 2]
        rows.append(
            AccuracyRow(
                *key,
                noticed=Share(sum(noticed), len(noticed)),
                left_alone=Share(same.n - same.k, same.n),
                balanced=float(np.mean(both)) if both else math.nan,
                interval=bootstrap_mean(both),
                n=len(both),
            )
        )
    return tuple(rows)


def _said(outcome: Outcome) -> dict[int, bool]:
    """Return the readable verdicts on the first draw, by level (0: the identical pair)."""
    return {
        response.probe.level: response.verdict.yes
        for response in outcome.responses
        if response.readable and response.probe.reference == 0 and not response.probe.draw
    }
