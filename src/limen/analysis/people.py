"""People of a study taken together: their thresholds with an interval over people and references, their spread, SUR.

Who failed the attention rule (`limen.analysis.attention`) is in none of these figures. What they are and are not:
`docs/explanation/people.md`.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from limen import digest, participant
from limen.analysis import Analysis, Outcome, Quantile, false_alarms, sum_of
from limen.analysis.survival import Key, groups, protocol
from limen.analysis.tables import quantile, strength_at
from limen.curve import FEWEST_CLUSTERS, Array, Curve, Interval, Share
from limen.statistics import crossed
from limen.statistics.crossed import Components
from limen.statistics.survival import Survival, satisfied_user_ratio


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Thresholds of observers on references, under one question and distortion.

    Attributes:
        measure: "J", or "T50" where the procedure fits; "" where none of the observers has either.
        observers: (N,), those that have one, by name.
        pictures: (R,), the digests of references that have one.
        names: (R,), the references' names.
        levels: (N, R), infinite where it lies beyond the ladder, NaN where there is none.
        below: (N, R), whether it lies at or below that level.
        top: L.
        untold: series whose answers do not say where T50 lies; they are left out.
    """

    measure: str
    observers: tuple[str, ...]
    pictures: tuple[str, ...]
    names: tuple[str, ...]
    levels: Array
    below: Array
    top: int
    untold: int = 0

    @property
    def restricted(self) -> Array:
        """Levels with those beyond the ladder at its end."""
        return np.minimum(self.levels, self.top)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """What each lies above, and at or below; a J of k, in (k - 1, k], counts as known to lie halfway."""
        at = self.levels - 0.5 if self.measure == "J" else self.levels
        below = self.below > 0
        low = np.where(np.isinf(self.levels), self.top, np.where(below, -np.inf, at))
        return np.where(np.isnan(self.levels), np.nan, low), np.where(below, self.levels, at)

    @property
    def beyond(self) -> Share:
        """How many lie beyond the ladder."""
        return Share(int(np.isinf(self.levels).sum()), int((~np.isnan(self.levels)).sum()))


def counted(analysis: Analysis) -> tuple[str, ...]:
    """Return the people that figures over people count: all but who failed the attention rule, by name, in order."""
    failed = {row.observer for row in analysis.people if not row.counted}
    return tuple(name for name in participant.people_of(analysis.manifest.observers) if name not in failed)


def left_out(analysis: Analysis) -> dict[str, str]:
    """Return who is left out of figures over people, with the name of the rule that they failed."""
    return {row.observer: row.rule for row in analysis.people if not row.counted}


def asked(analysis: Analysis) -> list[tuple[str, str]]:
    """Return the questions and distortions that counted people were asked about, in order."""
    people = set(counted(analysis))
    found = {key[1:] for key in groups(analysis) if key[0] in people}
    return sorted(found, key=lambda one: (one[1], list(analysis.manifest.questions).index(one[0])))


def thresholds(
    found: dict[Key, list[Outcome]], observers: Sequence[str], question: str, distortion: str
) -> Thresholds:  # fmt: skip
    """Return the thresholds of observers under one question and distortion.

    Args:
        found: all complete series (`limen.analysis.survival.groups`).
        observers: whose.
        question: by name.
        distortion: by name.
    """
    every = {name: found.get((name, question, distortion), []) for name in observers}
    flat = [outcome for group in every.values() for outcome in group]
    measure = "J" if any(one.thresholds for one in flat) else "T50" if any(one.estimates for one in flat) else ""
    names = {one.series.picture: one.series.name for one in flat}
    pictures = tuple(sorted(names, key=lambda picture: (names[picture], picture)))
    place = {picture: i for i, picture in enumerate(pictures)}
    levels, below, untold = (
        np.full((len(observers), len(pictures)), np.nan),
        np.zeros((len(observers), len(pictures))),
        0,
    )
    for row, name in enumerate(observers):
        for one in every[name]:
            at = place[one.series.picture]
            if measure == "J" and one.thresholds:
                level, reached = protocol(one)
                levels[row, at], below[row, at] = (level, level == 1) if reached else (math.inf, False)
            elif measure == "T50" and one.estimates:
                fit = one.estimates[0]
                untold += not fit.told
                if fit.told:
                    levels[row, at], below[row, at] = (fit.level, fit.below) if fit.reached else (math.inf, False)
    top = max((one.series.levels for one in flat), default=0)
    there = ~np.isnan(levels)
    rows, columns = np.nonzero(there.any(axis=1))[0].tolist(), np.nonzero(there.any(axis=0))[0].tolist()
    return Thresholds(
        measure, tuple(observers[i] for i in rows), tuple(pictures[i] for i in columns),
        tuple(names[pictures[i]] for i in columns), levels[np.ix_(rows, columns)], below[np.ix_(rows, columns)],
        top, untold,
    )  # fmt: skip


# --- the row of people ---


@dataclass(frozen=True, slots=True)
class PeopleRow:
    """People's threshold over people and references, under one question and distortion.

    Attributes:
        question, distortion, levels: which, and the ladder's length L.
        measure: "J" or "T50": the mean, restricted at L (one beyond the ladder counts as L), over references of the
            mean over people; "half", where neither is looked for: the level at which as many answers are yes as lie
            halfway between guessing and 1 (`limen.curve.Curve.crossing`).
        people, references, n: how many of each, and series of both.
        left_out: who is not among them, because they failed the attention rule.
        value: NaN where it is not known; infinite where all lie beyond the ladder, or the levels asked.
        interval: over people and references: a bootstrap that draws both (`limen.statistics.crossed`), infinite beyond
            the levels asked. None below five people or five references, and where all are alike, or any level may be.
        first, last: between which levels it was asked: 1 and L for J and T50.
        q1, median, q3: quartiles over all series; "?" for "half".
        beyond: series whose threshold lies beyond the ladder.
        untold: series whose answers do not say where T50 lies; not in `n`.
        false_alarms: yes to identical pairs.
        strength, unit: of the ladder at the value; None where that is not on it.
        questions: queries put.
    """

    question: str
    distortion: str
    levels: int
    measure: str
    people: int
    references: int
    n: int
    left_out: tuple[str, ...]
    value: float
    interval: Interval | None
    first: int
    last: int
    q1: Quantile
    median: Quantile
    q3: Quantile
    beyond: Share
    untold: int
    false_alarms: Share
    strength: float | None
    unit: str
    questions: int


def people_rows(analysis: Analysis) -> tuple[PeopleRow, ...]:
    """Return people's threshold under each question and distortion that they were asked about."""
    found, names, failed = groups(analysis), counted(analysis), tuple(left_out(analysis))
    rows = []
    for question, distortion in asked(analysis):
        of = thresholds(found, names, question, distortion)
        mine = [one for name in names for one in found.get((name, question, distortion), [])]
        kind = analysis.manifest.distortions[distortion]
        without = tuple(name for name in failed if (name, question, distortion) in found)
        first, last = 1, len(kind.strengths)
        if of.measure:
            people, references, n = len(of.observers), len(of.pictures), of.beyond.n
            value, interval = crossed.mean(of.restricted), crossed.mean_interval(of.restricted)
            ordered = sorted(float(level) for level in of.levels[~np.isnan(of.levels)])
            least = float(of.levels[of.below > 0].max(initial=-math.inf))
            value = math.inf if n and of.beyond.k == n else value
            q1, median, q3 = (quantile(ordered, share, of.top, least) for share in (0.25, 0.5, 0.75))
        else:
            midpoint = analysis.questions[question].midpoint
            free = [one for one in mine if one.observer not in analysis.chosen]
            people, references, n, first, last, value, interval = _half(mine, free, midpoint)
            q1 = median = q3 = Quantile(math.nan)
        inside = Quantile(value if math.isfinite(value) else math.nan)
        rows.append(PeopleRow(
            question, distortion, len(kind.strengths), of.measure or "half", people, references, n, without, value,
            interval, first, last, q1, median, q3, of.beyond, of.untold, sum_of(*false_alarms(mine)),
            strength_at(inside, kind.strengths), kind.unit,
            len({trial.key for one in mine for response in one.responses for trial in response.trials}),
        ))  # fmt: skip
    return tuple(rows)


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """Answers of a design of fixed levels: counts by observer, reference and level.

    Attributes:
        observers, pictures, levels: along the three sides, in ascending order.
        yes, n: (N, R, K).
    """

    observers: tuple[str, ...]
    pictures: tuple[str, ...]
    levels: tuple[int, ...]
    yes: Array
    n: Array


def said(group: Iterable[Outcome]) -> Said:
    """Return the answers of series whose levels were fixed beforehand.

    Those of a procedure that chose its levels by the answers are left out: what it asked is no fair sample.
    """
    answers = [
        (one.observer, one.series.picture, response.probe.level, response.verdict.yes)
        for one in group if not one.thresholds and not one.estimates
        for response in one.responses if response.readable and response.probe.reference == 0
    ]  # fmt: skip
    observers, pictures = (tuple(sorted({str(answer[i]) for answer in answers})) for i in (0, 1))
    levels = tuple(sorted({answer[2] for answer in answers}))
    row, column, layer = ({name: i for i, name in enumerate(names)} for names in (observers, pictures, levels))
    yes = np.zeros((len(observers), len(pictures), len(levels)))
    n = np.zeros_like(yes)
    for observer, picture, level, noticed in answers:
        at = row[observer], column[picture], layer[level]
        n[at] += 1
        yes[at] += noticed
    return Said(observers, pictures, levels, yes, n)


def _half(
    group: Sequence[Outcome], free: Sequence[Outcome], midpoint: float
) -> tuple[int, int, int, int, int, float, Interval | None]:
    """Return people, references, series, the levels asked, and the midpoint of their share of yes, with its interval.

    Args:
        group: all series; where `free` are none of them there is no midpoint.
        free: those whose levels were fixed beforehand.
        midpoint: the share that is wanted.
    """
    of = said(free or group)
    if not of.levels:
        return 0, 0, 0, 0, 0, math.nan, None

    def crossing(people: Array, references: Array) -> float:
        k, m = (np.einsum("i,j,ijk->k", people, references, counts) for counts in (of.yes, of.n))
        at = np.nonzero(m)[0]
        found = Curve(tuple(of.levels[i] for i in at), tuple(k[at]), tuple(m[at])).crossing(midpoint)
        if found is None:
            return math.inf
        return -math.inf if found <= first else found

    first, last = min(filter(None, of.levels), default=1), of.levels[-1]
    people, references = len(of.observers), len(of.pictures)
    counts = people, references, int((of.n.sum(axis=2) > 0).sum()), first, last
    if not free:
        return *counts, math.nan, None
    value = crossing(np.ones(people), np.ones(references))
    interval = crossed.interval_of(crossing, people, references)
    nothing = interval is not None and math.isinf(interval.low) and math.isinf(interval.high)
    return *counts, value, None if nothing else interval


# --- spread ---


@dataclass(frozen=True, slots=True)
class SpreadRow:
    """How far thresholds differ between people, between references, and within.

    Attributes:
        question, distortion, measure: which; "J" or "T50".
        people, references, n: how many of each, and series of both.
        beyond: series whose threshold lies beyond the ladder, or below its first level: they enter as such.
        found: standard deviations in levels; None where the data cannot tell (`limen.statistics.crossed.components`).
    """

    question: str
    distortion: str
    measure: str
    people: int
    references: int
    n: int
    beyond: Share
    found: Components | None


def spreads(analysis: Analysis) -> tuple[SpreadRow, ...]:
    """Return the spread of people's thresholds apart from that of references, where thresholds exist."""
    found, names, rows = groups(analysis), counted(analysis), []
    for question, distortion in asked(analysis):
        of = thresholds(found, names, question, distortion)
        if of.measure:
            ends = Share(of.beyond.k + int((of.below > 0).sum()), of.beyond.n)
            rows.append(SpreadRow(
                question, distortion, of.measure, len(of.observers), len(of.pictures), of.beyond.n, ends,
                crossed.components(*of.bounds),
            ))  # fmt: skip
    return tuple(rows)


# --- the satisfied user ratio ---


@dataclass(frozen=True, slots=True)
class SurRow:
    """The satisfied user ratio: which share of people does not notice yet, at each level.

    Attributes:
        question, distortion: which.
        reference: by name; "" for the mean over references.
        measure: "J" or "T50": a person is satisfied at k where theirs lies above k.
        people, references: how many.
        curve: of one reference with Kaplan & Meier's interval over people; of the mean over people and references
            (`limen.statistics.crossed`), NaN below five of either.
        point: the 75 %-SUR point: the last level at which at least three quarters of people are satisfied; "> L" beyond
            the ladder.
        low, high: ends of its 95 % interval, of one reference over people, of the mean over people and references;
            None below five.
    """

    question: str
    distortion: str
    reference: str
    measure: str
    people: int
    references: int
    curve: Survival
    point: Quantile
    low: Quantile | None
    high: Quantile | None


def sur(analysis: Analysis) -> tuple[SurRow, ...]:
    """Return the satisfied user ratio of people, averaged over references and then of each, where thresholds exist."""
    found, names, rows = groups(analysis), counted(analysis), list[SurRow]()
    for question, distortion in asked(analysis):
        of = thresholds(found, names, question, distortion)
        if of.measure:
            rows += _sur(question, distortion, of)
    return tuple(rows)


def _sur(question: str, distortion: str, of: Thresholds) -> Iterator[SurRow]:
    people, references = len(of.observers), len(of.pictures)
    if not people:
        return
    at = np.arange(of.top + 1)
    above = np.where(np.isnan(of.levels)[:, :, None], np.nan, of.levels[:, :, None] > at)
    shares = [crossed.mean(above[:, :, k]) for k in at]
    low, high = crossed.means_intervals(above)
    flat = np.array([np.ptp(above[~np.isnan(above[:, :, k]), k]) == 0 for k in at])
    ends = [tuple(float(v) for v in np.where(flat, np.nan, side)) for side in (low, high)]
    curve = Survival(tuple(map(int, at)), tuple(shares), ends[0], ends[1], people)

    def point(of_people: Array, of_references: Array) -> float:
        weight = of_people[:, None] * there
        n = weight.sum(axis=0)
        each = (weight[:, :, None] * np.nan_to_num(above)).sum(axis=0) / np.maximum(n, 1e-9)[:, None]
        known = of_references * (n > 0)
        return _point(known @ each / known.sum(), of.top) if known.sum() else math.nan

    there = (~np.isnan(of.levels)).astype(np.float64)
    interval = crossed.interval_of(point, people, references)
    yield SurRow(
        question, distortion, "", of.measure, people, references, curve,
        _placed(_point(np.array(shares), of.top), of.top),
        _placed(interval.low, of.top) if interval else None, _placed(interval.high, of.top) if interval else None,
    )  # fmt: skip
    for column, name in enumerate(of.names):
        mine = of.levels[there[:, column] > 0, column]
        if len(mine):
            yield _sur_of(question, distortion, name, of, mine)


def _sur_of(question: str, distortion: str, name: str, of: Thresholds, mine: Array) -> SurRow:
    curve = satisfied_user_ratio(np.minimum(mine, of.top).tolist(), np.isfinite(mine).tolist(), of.top)
    low = high = None
    n = len(mine)
    if n >= FEWEST_CLUSTERS and np.ptp(np.minimum(mine, of.top + 1)) > 0:
        chosen = digest.generator("sur", n).integers(0, n, (2000, n))
        # At least three quarters lie above k: k is below the ceil(n / 4)-th smallest, counted from what may be missed.
        drawn = np.sort(np.minimum(mine, of.top + 1)[chosen], axis=1)[:, n - math.ceil(0.75 * n - 1e-9)]
        ends = np.quantile(np.ceil(drawn) - 1, (0.025, 0.975), method="nearest")
        low, high = (_placed(float(end) if end < of.top else math.inf, of.top) for end in ends)
    at = curve.point(0.75)
    point = _placed(math.inf if at is None else float(at), of.top)
    return SurRow(question, distortion, name, of.measure, n, 1, curve, point, low, high)


def _point(shares: Array, top: int) -> float:
    held = np.nonzero(shares >= 0.75 - 1e-12)[0]
    last = int(held[-1]) if len(held) else 0
    return math.inf if last == top else float(last)


def _placed(value: float, top: int) -> Quantile:
    return Quantile(top, censored=True) if math.isinf(value) else Quantile(value)
