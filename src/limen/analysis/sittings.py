"""What happens while people answer: learning and fatigue, reaction times, and how well confidence follows being right.

From the times that questions were shown (`limen.trial.Presentation`). Who failed the attention rule is in no figure
over people; a reaction time with a gap in it (a closed laptop) is left out, and counted.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from limen import participant
from limen.analysis import Analysis, Outcome, Response, SeriesStatus
from limen.analysis.likeness import right
from limen.analysis.people import counted
from limen.analysis.survival import protocol
from limen.curve import Array, Curve, Interval, Mean, Share, median_ranks
from limen.statistics import inference
from limen.trial import Presentation

FEWEST = 20  # presentations (or 5 series) of a person below which no course is fitted
HUNDRED = 100.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One answered presentation: what was asked, and how it was answered.

    Attributes:
        outcome, response: the series, and the comparison.
        at: its place within the sitting, from 1 (all that was shown counts).
        sitting: number, from 1.
        presentation: as the run has it.
        right: whether the answer is right (`limen.analysis.likeness.right`).
        interrupted: whether a gap of the sitting lies between the question and its answer.
    """

    outcome: Outcome
    response: Response
    at: int
    sitting: int
    presentation: Presentation
    right: bool
    interrupted: bool

    @property
    def seconds(self) -> float | None:
        """The reaction time in seconds; None where it is not known, or was interrupted."""
        time = self.presentation.reaction_time_ms
        return None if time is None or self.interrupted else time / 1000


def shown(analysis: Analysis) -> tuple[Shown, ...]:
    """Return every answered presentation whose answer could be read, of all people, in the order of time."""
    places, first = dict[str, int](), dict[tuple[str, str], tuple[int, int, Presentation]]()
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    people = set(participant.people_of(analysis.manifest.observers))
    for one in sorted(analysis.presentations, key=lambda one: (one.shown_at, one.session, one.key)):
        places[one.session] = places.get(one.session, 0) + 1
        whose, _, number = one.session.rpartition("/")
        mine = numbers[whose]
        mine.setdefault(one.session, int(number) if number.isdecimal() and len(number) < 9 else len(mine) + 1)
        at = places[one.session], mine[one.session], one
        first.setdefault((whose if whose in people else "", one.key), at)  # an answer sent again is no other
    gaps = {row.observer: row.gaps for row in analysis.people}
    found = []
    for outcome in analysis.outcomes:
        if outcome.observer not in people:
            continue
        for response in outcome.responses:
            if not response.readable:
                continue
            keys = [(whose, trial.key) for whose in (outcome.observer, "") for trial in reversed(response.trials)]
            found_at = next((first[key] for key in keys if key in first), None)
            if found_at is None:
                continue
            place, sitting, one = found_at
            end = one.shown_at + (one.reaction_time_ms or 0.0) / 1000
            away = any(begin < end and one.shown_at < over for begin, over in gaps.get(outcome.observer, ()))
            was_right = right(response, analysis.questions[outcome.question])
            found.append(Shown(outcome, response, place, sitting, one, was_right, away))
    return tuple(sorted(found, key=lambda one: (one.presentation.shown_at, one.presentation.key)))


# --- learning and fatigue ---


@dataclass(frozen=True, slots=True)
class CourseRow:
    """How thresholds, or answers, move while people go on.

    Attributes:
        observer: a person, or "" for the mean over people.
        question: by name; all distortions together, each reference and level held against the
            other people's mean of it (`_points`).
        measure: "J" or "T50" (levels: a falling one is learning), "yes" or "correct" (share: a rising one is).
        n: series, or presentations, of a person; people that have one, of the mean.
        within: change over 100 presentations of one sitting (a series stands where it began), with 95 % interval
            (Student's t); NaN where more than half of a person's thresholds lie beyond an end of the ladder: what is
            held against them then is the end.
        between: change from one sitting to the next; None where there is one sitting.
    """

    observer: str
    question: str
    measure: str
    n: int
    within: Mean
    between: Mean | None


def courses(analysis: Analysis, rows: Sequence[Shown]) -> tuple[CourseRow, ...]:
    """Return learning and fatigue of each person, and of those whom figures over people count.

    Of whom no sitting is known (imported without times) there is none: the order of a file's rows need not be that in
    which questions were asked.

    Args:
        analysis: of a run, or of several put together.
        rows: what `shown` returned.
    """
    found, kept = list[CourseRow](), set(counted(analysis))
    timed = [row.observer for row in analysis.people if row.sittings]
    for question in analysis.manifest.questions:
        mine = [one for one in rows if one.outcome.question == question]
        if not mine:
            continue
        points, measure = _points(mine, analysis.questions[question].forced)
        each = [row for name in participant.people_of(analysis.manifest.observers) if name in timed
                if (row := _course(name, question, measure, points.get(name, []))) is not None]  # fmt: skip
        over = [row for row in each if row.observer in kept]
        told = [row for row in over if not math.isnan(row.within.value)]
        if over:
            within = inference.mean([row.within.value for row in told])
            sittings = [row.between.value for row in told if row.between is not None]
            between = inference.mean(sittings) if sittings or not told else None
            found.append(CourseRow("", question, measure, len(told), within, between))
        found += each
    return tuple(found)


_Point = tuple[float, float, float, bool]  # place within the sitting, sitting, deviation, beyond an end of the ladder


def _points(rows: Sequence[Shown], forced: bool) -> tuple[dict[str, list[_Point]], str]:
    """Return what moves of each person, less what all others are at the same reference or level.

    Where most of it was met by one person alone, it is held against the person's own mean of the distortion and level.
    """
    raw: list[_Raw] = []
    series: dict[int, list[Shown]] = defaultdict(list)
    for one in rows:
        series[id(one.outcome)].append(one)
    fitted = [some for some in series.values() if some[0].outcome.thresholds or some[0].outcome.estimates]
    measure = "correct" if forced else "yes"
    if fitted:
        measure = "J" if any(some[0].outcome.thresholds for some in fitted) else "T50"
    for some in fitted:
        of = some[0].outcome
        level = _threshold(of)
        if level is not None:
            begun = some[0]  # rows are in order of time; how long a series goes on depends on its answers
            value, beyond = min(level, float(of.series.levels)), math.isinf(level) or _below(of)
            kind = (of.series.distortion, 0)
            raw.append(_Raw(of.observer, kind, of.series.picture, begun.at, begun.sitting, value, beyond))
    for one in rows if not fitted else ():
        probe, of = one.response.probe, one.outcome
        if probe.level != probe.reference or forced:
            kind, value = (of.series.distortion, probe.level), float(one.response.verdict.yes)
            raw.append(_Raw(of.observer, kind, of.series.picture, one.at, one.sitting, value))
    others: dict[tuple[object, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item in raw:
        others[item.kind, item.picture][item.observer].append(item.value)
    shared = [item for item in raw if len(others[item.kind, item.picture]) > 1]
    alone = 2 * len(shared) < len(raw)
    own: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for item in raw:
        own[item.observer, item.kind].append(item.value)
    points: dict[str, list[_Point]] = defaultdict(list)
    for item in raw if alone else shared:
        them = others[item.kind, item.picture]
        held = own[item.observer, item.kind] if alone else [
            value for name, values in them.items() if name != item.observer for value in values
        ]  # fmt: skip
        points[item.observer].append((item.place, item.sitting, item.value - float(np.mean(held)), item.beyond))
    return points, measure


@dataclass(frozen=True, slots=True)
class _Raw:
    """One number that may move: whose, of what kind (distortion, level) and picture, when, and what."""

    observer: str
    kind: tuple[str, int]
    picture: str
    place: float
    sitting: float
    value: float
    beyond: bool = False


def _below(outcome: Outcome) -> bool:
    """Say whether a threshold lies at or below the first level, or the lowest asked, for all that is known."""
    if outcome.thresholds:
        return outcome.thresholds[0].reached and outcome.thresholds[0].level <= 1
    return bool(outcome.estimates) and outcome.estimates[0].below


def _threshold(outcome: Outcome) -> float | None:
    """Return the first J, or T50, infinite beyond the ladder; None where there is none."""
    if outcome.status is not SeriesStatus.COMPLETE:
        return None
    if outcome.thresholds:
        level, reached = protocol(outcome)
        return level if reached else math.inf
    fit = outcome.estimates[0] if outcome.estimates else None
    return None if fit is None or not fit.told else fit.level if fit.reached else math.inf


def _course(name: str, question: str, measure: str, points: Sequence[_Point]) -> CourseRow | None:
    fewest = FEWEST if measure in ("yes", "correct") else 5
    if len(points) < fewest:
        return None
    place, sitting, value, beyond = np.array(points).T
    if 2 * beyond.sum() > len(points):
        nothing = Mean(math.nan, None, len(points))
        return CourseRow(name, question, measure, len(points), nothing, nothing if np.ptp(sitting) > 0 else None)
    columns = [np.ones(len(points)), place / HUNDRED]
    several = np.ptp(sitting) > 0
    slopes = _slopes(np.column_stack([*columns, *([sitting] if several else [])]), value)
    if slopes is None:
        return None
    return CourseRow(name, question, measure, len(points), slopes[0], slopes[1] if several else None)


def _slopes(x: Array, y: Array) -> list[Mean] | None:
    """Return the slopes of all columns but the first by least squares, with 95 % intervals; None where columns tie."""
    from scipy.special import stdtrit  # loaded only where it is used

    n, k = x.shape
    if n <= k or np.linalg.matrix_rank(x) < k:
        return None
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    left = y - x @ beta
    sd = np.sqrt(float(left @ left) / (n - k) * np.diag(inverse))
    half = float(stdtrit(n - k, 0.975)) * sd
    return [Mean(float(b), Interval(float(b - h), float(b + h)), n) for b, h in zip(beta[1:], half[1:], strict=True)]


# --- reaction times ---


@dataclass(frozen=True, slots=True)
class TimeRow:
    """Reaction times of people, in seconds.

    Attributes:
        by: what tells the rows apart: "answer", "level", "confidence" or "distance" (from the threshold, in tenths of
            the ladder).
        label: which of them.
        at: a number to put it at; NaN where it is a name.
        people: how many have one.
        n: presentations.
        q1, median, q3: quartiles over presentations.
        typical: median over people of their own medians.
        low, high: its 95 % interval by order statistics; None below six people.
        interrupted: presentations left out because a gap lies in them.
    """

    by: str
    label: str
    at: float
    people: int
    n: int
    q1: float
    median: float
    q3: float
    typical: float
    low: float | None
    high: float | None
    interrupted: int


def times(analysis: Analysis, rows: Sequence[Shown]) -> tuple[TimeRow, ...]:
    """Return reaction times by answer, level, confidence and distance from the threshold, over people who are counted.

    Args:
        analysis: of a run, or of several put together.
        rows: what `shown` returned.
    """
    kept = set(counted(analysis))
    mine = [one for one in rows if one.outcome.observer in kept and one.presentation.reaction_time_ms is not None]
    located = _located(analysis, mine)
    found: list[TimeRow] = []
    kinds: tuple[tuple[str, Callable[[Shown], tuple[float, str] | None]], ...] = (
        ("answer", lambda one: _answer(one, analysis.questions[one.outcome.question].forced)),
        ("level", _fifth),
        ("confidence", _confidence),
        ("distance", lambda one: _distance(one, located)),
    )
    for by, key in kinds:
        groups: dict[tuple[float, str], list[Shown]] = defaultdict(list)
        for one in mine:
            of = key(one)
            if of is not None:
                groups[of].append(one)
        found += [_times(by, label, at, group) for (at, label), group in sorted(groups.items())]
    return tuple(found)


def _answer(one: Shown, forced: bool) -> tuple[float, str]:
    if forced:
        return float(one.right), "right" if one.right else "wrong"
    same = one.response.probe.level == one.response.probe.reference
    said = one.response.verdict.yes
    return 2.0 * same + said, f"{'yes' if said else 'no'}, {'identical' if same else 'different'} pictures"


def _fifth(one: Shown) -> tuple[float, str]:
    top, level = one.outcome.series.levels, one.response.probe.level
    if level == one.response.probe.reference:
        return 0.0, "identical"
    fifth = min(4, max(0, -(-5 * level // top) - 1))
    return fifth + 1.0, f"{100 * fifth // 5} to {100 * (fifth + 1) // 5} % of the ladder"


def _confidence(one: Shown) -> tuple[float, str] | None:
    value = one.presentation.confidence
    return None if value is None else (round(value, 2), f"{value:.2f}")


def _distance(one: Shown, located: dict[tuple[str, str, str, str], float]) -> tuple[float, str] | None:
    threshold = located.get(_place(one.outcome))
    if threshold is None:
        threshold = located.get((*_place(one.outcome)[:3], ""))
    if threshold is None or one.response.probe.level == one.response.probe.reference:
        return None
    step = one.outcome.series.levels / 10
    tenths = round((one.response.probe.level - one.response.probe.reference - threshold) / step)
    return (10.0 * tenths, f"{10 * tenths:+d} % of the ladder") if abs(tenths) <= 10 else None


def _place(outcome: Outcome) -> tuple[str, str, str, str]:
    return outcome.observer, outcome.question, outcome.series.distortion, outcome.series.picture


def _located(analysis: Analysis, rows: Sequence[Shown]) -> dict[tuple[str, str, str, str], float]:
    """Return the threshold of each series; where there is none, each person's own crossing ("" for the picture)."""
    outcomes = {id(one.outcome): one.outcome for one in rows}.values()
    found = {_place(one): level for one in outcomes if (level := _threshold(one)) is not None and math.isfinite(level)}
    curves: dict[tuple[str, str, str, str], Curve] = {
        (row.observer, row.question, row.distortion, ""): row.curve for row in analysis.curves
    }
    fixed = {
        (*_place(one)[:3], "") for one in outcomes
        if not one.thresholds and not one.estimates and one.observer not in analysis.chosen
    }  # fmt: skip
    for key in fixed & curves.keys():
        at = curves[key].crossing(analysis.questions[key[1]].midpoint)
        if at is not None:
            found[key] = at
    return found


def _times(by: str, label: str, at: float, group: Sequence[Shown]) -> TimeRow:
    own: dict[str, list[float]] = defaultdict(list)
    for one in group:
        if one.seconds is not None:
            own[one.outcome.observer].append(one.seconds)
    every = [value for values in own.values() for value in values]
    q1, median, q3 = np.quantile(every, (0.25, 0.5, 0.75)).tolist() if every else (math.nan,) * 3
    medians = sorted(float(np.median(values)) for values in own.values())
    ranks = median_ranks(len(medians))
    low, high = (None, None) if ranks is None else (medians[ranks[0] - 1], medians[ranks[1] - 1])
    typical = float(np.median(medians)) if medians else math.nan
    return TimeRow(
        by, label, at, len(own), len(every), q1, median, q3, typical, low, high, sum(one.interrupted for one in group)
    )  # fmt: skip


# --- confidence ---


@dataclass(frozen=True, slots=True)
class ConfidenceRow:
    """How often answers of one confidence are right.

    Attributes:
        question: by name.
        confidence: 0 to 1; NaN for all of them.
        right: answers that are right, of all people together (answers of one person depend: read `over`).
        over: mean over people of their own share; for all confidences, of the area under the type-2 curve: the chance
            that of a right and a wrong answer of one person the right one is the surer, .5 for no insight (Galvin et
            al. 2003, Psychonomic Bulletin & Review 10:843). 95 % interval over people, Student's t.
    """

    question: str
    confidence: float
    right: Share
    over: Mean


def confidences(analysis: Analysis, rows: Sequence[Shown]) -> tuple[ConfidenceRow, ...]:
    """Return confidence against being right, over people who are counted, where confidence was asked for.

    Args:
        analysis: of a run, or of several put together.
        rows: what `shown` returned.
    """
    kept, found = set(counted(analysis)), list[ConfidenceRow]()
    for question in analysis.manifest.questions:
        own: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        for one in rows:
            value = one.presentation.confidence
            if value is not None and one.outcome.question == question and one.outcome.observer in kept:
                own[one.outcome.observer].append((round(value, 2), one.right))
        every = [said for said in own.values() if said]
        if not every:
            continue
        areas = [area for said in every if (area := _area(said)) is not None]
        flat = [was_right for said in every for _, was_right in said]
        found.append(ConfidenceRow(question, math.nan, Share(sum(flat), len(flat)), inference.mean(areas)))
        for value in sorted({value for said in every for value, _ in said}):
            mine = [[was_right for own_value, was_right in said if own_value == value] for said in every]
            flat = [was_right for some in mine for was_right in some]
            shares = [float(np.mean(some)) for some in mine if some]
            found.append(ConfidenceRow(question, value, Share(sum(flat), len(flat)), inference.mean(shares)))
    return tuple(found)


def _area(said: Iterable[tuple[float, bool]]) -> float | None:
    """Return the area under the type-2 curve of one person; None where all answers are right, or all wrong."""
    from scipy.stats import rankdata  # 2 s: loaded only where it is used

    confidence, was_right = (np.array(column, dtype=np.float64) for column in zip(*said, strict=True))
    n, m = int(was_right.sum()), int(len(was_right) - was_right.sum())
    if not n or not m:
        return None
    return float((rankdata(confidence)[was_right > 0].sum() - n * (n + 1) / 2) / (n * m))
