"""From tables of a run to fitted thresholds, comparisons of observers, and the number of references a study needs.

The protocol's J and the fitted threshold answer different questions (the smallest level whose whole window says yes;
the level where half of the answers, corrected for false alarms and lapses, are yes) and stay two fields.

Adaptive runs (scan, skip, ...) ask high levels only where there was no JND below. Yes pooled over their series is a
biased curve, so the threshold comes from a likelihood per series (`limen.statistics.population`), which does not mind
how the levels were chosen; goodness of fit, d' and p(yes), which need the pooled curve, are given for fixed designs.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from limen import participant
from limen.analysis import FIXED, Analysis, JndRow, Outcome, Quantile, Response, false_alarms, sum_of
from limen.analysis.survival import Key, groups, protocol
from limen.curve import Array, Curve, Interval, Share
from limen.parsing.forms import OddOneOut
from limen.question import Question
from limen.statistics.detection import (
    ChoiceSensitivity,
    Sensitivity,
    choosing,
    design_effect,
    detection,
)
from limen.statistics.inference import Power, holm, power, window_needed
from limen.statistics.likelihood import Bootstrap, clustered
from limen.statistics.place_bias import PlaceBias, place_bias
from limen.statistics.population import Population, population
from limen.statistics.posterior import ALWAYS, Fit, Parameter, Placement, Priors, posterior
from limen.statistics.psychometric import Responses
from limen.statistics.survival import PairedComparison, compare
from limen.store.entries import Manifest
from limen.trial import pair

SMOOTH = 50  # steps of a fitted curve, at least


@dataclass(frozen=True, slots=True)
class FitRow:
    """The fitted threshold of one observer, question and distortion.

    Attributes:
        observer, question, distortion, levels: which, and the ladder's length L.
        jnd: the protocol's median J; None where the procedure finds none (constant).
        t50, t75: the fitted levels as far as the answers tell: "> 50", "<= 1", or "?" where they do not.
        fit: over references (`Population`), of one reference (`Fit`); None without an answer. Levels. What only the
            prior says is NaN, or infinite in an interval.
        strength, unit: of the ladder at the fitted threshold's median; None where that is outside the ladder.
        alarms: yes to identical pairs (`limen.analysis.false_alarms`); they enter the fit's guess rate as they are,
            with its prior Beta(1/2, 3), few or many.
        detection: d' and c, hits over all levels of a fixed design; None for an adaptive run, or without identical
            pairs.
        by_level: the same for each level of a fixed design, as (level, detection).
        choosing: d' of a forced choice over all levels of a fixed design; None elsewhere.
        picks: of a forced choice, picks by place, and d' with a bias for each; None elsewhere.
        pooled: maximum likelihood of the pooled curve of a fixed design, with bootstrap over references and goodness of
            fit; None for an adaptive run.
        p_yes: the same from p(yes) as fractional response, where the observer gives it.
        adaptive: whether answers decided which levels were asked.
        forced: a forced choice among m: the guess rate is 1 / m, identical pairs have no right answer and no p(yes) is
            taken; T50 is the midpoint between guessing and 1 (.75 of two) but for lapses.
        window, window_needed: levels that say yes in a row for a JND, in use and wanted at these false alarms;
            None without a protocol J.
        points: yes (or right choices) by level against the undistorted reference, of the series that were fitted. Of an
            adaptive run they are biased: the answers chose the levels. The curve is `fit.curve`.
    """

    observer: str
    question: str
    distortion: str
    levels: int
    jnd: Quantile | None
    t50: Quantile
    t75: Quantile
    fit: Population | Fit | None
    strength: float | None
    unit: str
    alarms: Share
    detection: Sensitivity | None
    by_level: tuple[tuple[int, Sensitivity], ...]
    choosing: ChoiceSensitivity | None
    picks: PlaceBias | None
    pooled: Bootstrap | None
    p_yes: Bootstrap | None
    adaptive: bool
    forced: bool
    window: int | None
    window_needed: int | None
    points: Curve = field(default_factory=lambda: Curve((), (), ()))

    @property
    def undetermined(self) -> bool:
        """Whether nothing shows that differences are noticed more than none: such a threshold compares to nothing."""
        if self.fit is None or self.fit.side is Placement.OPEN:
            return True
        return self.t50.below and not self.forced and not self.alarms.value < 0.5


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Two observers under one question and distortion, reference by reference.

    Attributes:
        first, second: the observers.
        measure: "J", or "T50" (each series' own fit) where the procedure finds no J.
        paired: the comparison; wins above .5: the first notices less (its levels are higher). NaN, without an
            interval, where one of the two is `undetermined`.
        p_holm: its p among all comparisons of the analysis (Holm).
        undetermined: which of the two observers have no threshold that could be compared (`FitRow.undetermined`).
    """

    question: str
    distortion: str
    first: str
    second: str
    measure: str
    paired: PairedComparison
    p_holm: float
    undetermined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """Yes against an opinion score, pooled over references that have one stimulus each.

    Attributes:
        n: references.
        low, high: the scores at hand.
        rising: whether yes rises with the score; None where all say the same.
        threshold, width: in points of the score, as `limen.statistics.posterior.Fit` has them; NaN where the answers
            do not tell a threshold among these scores.
        lapse: rate.
        alarms: yes to identical pairs, each distinct question once.
    """

    observer: str
    question: str
    distortion: str
    n: int
    low: float
    high: float
    rising: bool | None
    threshold: Parameter
    width: Parameter
    lapse: Parameter
    alarms: Share


@dataclass(frozen=True, slots=True)
class PowerRow:
    """How many references a wanted interval takes for one observer, question and distortion."""

    observer: str
    question: str
    distortion: str
    power: Power


def fit(analysis: Analysis, shape: str = "logistic") -> tuple[FitRow, ...]:
    """Return the fitted threshold of each observer, question and distortion, in the analysis' order.

    Args:
        analysis: of a run, or of several put together; series that are not complete are left out, as they are from J.
        shape: of a series' psychometric function (`limen.statistics.psychometric.SHAPES`).
    """
    jnds = {(row.observer, row.question, row.distortion): row for row in analysis.jnds if row.order == 1}
    found, everyone = groups(analysis), groups(analysis, whole=False)
    keys = [
        (row.observer, row.question, row.distortion)
        for row in analysis.answers
        if len(analysis.manifest.distortions[row.distortion].strengths) > 1
    ]
    return tuple(
        _fit_row(key, found.get(key, []), sum_of(*false_alarms(everyone.get(key, []))), jnds.get(key),
                 analysis.manifest, analysis.questions[key[1]], shape)
        for key in keys
    )  # fmt: skip


def comparisons(
    analysis: Analysis, shape: str = "logistic", fits: Sequence[FitRow] | None = None
) -> tuple[ComparisonRow, ...]:
    """Return all pairs of observers under each question and distortion, their p values adjusted together.

    Two people are no such pair: how far people differ is a spread (`limen.analysis.people.spreads`).

    Args:
        analysis: of a run, or of several put together.
        shape: one of `limen.statistics.psychometric.SHAPES`.
        fits: what `fit` returned, which says who is undetermined; worked out if not given.
    """
    rows = []
    known = fit(analysis, shape) if fits is None else fits
    levels: dict[tuple[Key, str], dict[str, tuple[float, bool]]] = {}
    unknown = {(row.observer, row.question, row.distortion) for row in known if row.undetermined}
    found = groups(analysis)
    graded = {name for name, kind in analysis.manifest.distortions.items() if kind.graded}
    people = set(participant.people_of(analysis.manifest.observers))
    for question, distortion in sorted({key[1:] for key in found if key[2] in graded}):
        observers = [name for name in analysis.manifest.observers if (name, question, distortion) in found]
        for both in itertools.combinations(observers, 2):
            if people.issuperset(both):
                continue
            keys = [(name, question, distortion) for name in both]
            measure = "J" if all(any(one.thresholds for one in found[key]) for key in keys) else "T50"
            for key in keys:
                if (key, measure) not in levels:
                    levels[key, measure] = _levels(found[key], measure, analysis.questions[key[1]], shape)
            row = _comparison(question, distortion, both, measure, [levels[key, measure] for key in keys])
            if row is not None:
                lost = tuple(name for name in both if (name, question, distortion) in unknown)
                rows.append(replace(row, paired=row.paired.untold(), undetermined=lost) if lost else row)
    adjusted = holm([row.paired.p for row in rows])
    return tuple(replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True))


def scored(analysis: Analysis, shape: str = "logistic") -> tuple[ScoredRow, ...]:
    """Return the pooled curve over scored pairs (BAND-2k has one stimulus a reference) of each observer and question.

    Whether yes rises or falls with the score is read off the answers: on some scales more is better, on others worse.
    """
    rows, everyone = [], groups(analysis, whole=False)
    for key, group in groups(analysis).items():
        said = [(group[i].series.strength, response.verdict.yes) for i, response in _readable(group)]
        said = [(score, yes) for score, yes in said if score is not None]
        if len({score for score, _ in said}) < 2:
            continue
        scores, yes = (np.array(column, dtype=float) for column in zip(*said, strict=True))
        slope = float(np.cov(scores, yes)[0, 1])
        rising = None if slope == 0 else slope > 0
        sign = -1.0 if rising is False else 1.0
        order = np.argsort(sign * scores, kind="stable")
        x, alarms = list(sign * scores[order]), sum_of(*false_alarms(everyone[key]))
        data = Responses.of(x, yes[order], np.ones(len(x)), alarms.k, alarms.n)
        (found,) = posterior(data, Priors.spanning(x, analysis.questions[key[1]].guess), shape)
        told = rising is not None and found.side is Placement.WITHIN
        threshold, width = (found.threshold, found.width) if told else (_NOTHING, _NOTHING)
        ends = float(scores.min()), float(scores.max())
        threshold = _mirrored(threshold) if rising is False else threshold
        rows.append(ScoredRow(*key, len(x), *ends, rising, threshold, width, found.lapse, alarms))
    return tuple(rows)


def _mirrored(of: Parameter) -> Parameter:
    return Parameter(-of.mean, -of.median, Interval(-of.interval.high, -of.interval.low))


def powers(analysis: Analysis, half_width: float = 1.0) -> tuple[PowerRow, ...]:
    """Return how many references a 95 % interval of +- half_width levels takes, from this run as pilot.

    Of J, or of each reference's own T50 where the procedure fits; rows with neither (constant) are left out.
    """
    rows = []
    for key, group in groups(analysis).items():
        fitted = [estimate for outcome in group for estimate in outcome.estimates[:1] if estimate.told]
        top = group[0].series.levels
        if any(outcome.thresholds for outcome in group):
            values = [level if reached else math.inf for level, reached in map(protocol, group)]
        else:
            values = [estimate.level if estimate.reached else math.inf for estimate in fitted]
        if not values:
            continue
        rows.append(PowerRow(*key, power(values, half_width, top)))
    return tuple(rows)


# --- one observer, question and distortion ---


def _fit_row(
    key: Key, group: Sequence[Outcome], same: Share, jnd: JndRow | None, manifest: Manifest, question: Question,
    shape: str,
) -> FitRow:  # fmt: skip
    kind = manifest.distortions[key[2]]
    levels = len(kind.strengths)
    forced, compared = question.forced, question.alone
    alarms = Share(0, 0) if forced else same
    adaptive = _adaptive(manifest)
    prior = Priors.ladder(levels, guess=question.guess)
    found = _threshold(group, levels, prior, shape, alarms)
    t50 = t75 = Quantile(math.nan)
    if found is not None:
        t50, t75 = _places(found, group, levels, alarms)
        found = _honest(found, t50, t75)
    strength = None
    if found is not None and found.side is Placement.WITHIN:
        strength = float(np.interp(found.threshold.median, range(1, levels + 1), kind.strengths))
    median = jnd.median if jnd is not None and any(outcome.thresholds for outcome in group) else None
    rate = math.nan if found is None else found.guess.mean
    fixed = not adaptive and found is not None
    return FitRow(
        *key,
        levels=levels,
        jnd=median,
        t50=t50,
        t75=t75,
        fit=found,
        strength=strength,
        unit=kind.unit,
        alarms=alarms,
        detection=_detection(group, levels, alarms) if fixed and not forced and not compared else None,
        by_level=_by_level(group, levels, alarms) if fixed and not forced and not compared else (),
        choosing=_choosing(group, levels, question) if fixed and forced else None,
        picks=_picks(group, question) if forced else None,
        pooled=_bootstrap(group, *_counts(group, levels), prior, shape) if fixed else None,
        p_yes=_fractional(group, levels, question, prior, shape) if fixed and not forced and not compared else None,
        adaptive=adaptive,
        forced=forced,
        window=None if median is None else _window(manifest),
        window_needed=None if median is None or found is None else window_needed(median.level, rate),
        points=_points(group, levels),
    )


def _places(found: Population | Fit, group: Sequence[Outcome], levels: int, alarms: Share) -> tuple[Quantile, Quantile]:
    """Return T50 and T75 as far as the answers tell.

    Yes to everything says no more than "at or below the lowest level asked"; where half of the identical pairs were
    called different too, that is at or below any level.
    """
    yes, n = (counts.sum(axis=0) for counts in _counts(group, levels))
    asked = np.nonzero(n)[0] + 1
    match found.side:
        case Placement.OPEN:
            return Quantile(math.nan), Quantile(math.nan)
        case Placement.ABOVE:
            top = Quantile(int(asked[-1]), censored=True)
            return top, top
        case Placement.BELOW:
            t50 = Quantile(1 if alarms.n and alarms.value >= 0.5 else int(asked[0]), below=True)
        case _:
            t50 = Quantile(found.threshold.median)
    at = found.t75.median
    if t50.below and (at <= t50.level or yes.sum() >= ALWAYS * n.sum()):
        return t50, t50
    return t50, Quantile(levels, censored=True) if at > levels else Quantile(at)


def _honest(found: Population | Fit, t50: Quantile, t75: Quantile) -> Population | Fit:
    """Return a fit without the numbers that only its prior says."""
    told = found.side is Placement.WITHIN
    found = replace(
        found,
        threshold=_bounded(found.threshold, t50),
        t75=_bounded(found.t75, t75),
        width=found.width if told else _NOTHING,
    )
    if isinstance(found, Population) and not told:
        found = replace(found, spread=_NOTHING, series_width=_NOTHING)
    return found


_NOTHING = Parameter(math.nan, math.nan, Interval(-math.inf, math.inf))


def _bounded(of: Parameter, at: Quantile) -> Parameter:
    """Return a level's estimate, one-sided where no more is known than a bound."""
    if math.isnan(at.level):
        return _NOTHING
    if at.censored:
        return Parameter(math.nan, math.nan, Interval(min(of.interval.low, at.level), math.inf))
    if at.below:
        return Parameter(math.nan, math.nan, Interval(-math.inf, max(of.interval.high, at.level)))
    return of


def _threshold(
    group: Sequence[Outcome], levels: int, prior: Priors, shape: str, alarms: Share
) -> Population | Fit | None:
    yes, n = _counts(group, levels)
    asked = n.sum(axis=1) > 0
    yes, n = yes[asked], n[asked]
    ladder = [float(level) for level in range(1, levels + 1)]
    if not len(n):
        return None
    at = _along(levels, int(np.nonzero(n.sum(axis=0))[0][-1]) + 1)
    if len(n) == 1:
        return posterior(Responses.of(ladder, yes, n, alarms.k, alarms.n), prior, shape, at=at)[0]
    return population(Responses.of(ladder, yes, n), prior, shape, alarms.k, alarms.n, at)


def _along(levels: int, last: int) -> list[float]:
    """Return the levels at which a curve is worked out: whole ones, with some between where few levels were asked.

    Args:
        levels: L.
        last: the highest level asked.
    """
    between = max(1, math.ceil(SMOOTH / last))
    every = max(1, round(levels / (2 * SMOOTH)))
    return sorted(
        {*(k / between for k in range(between * last)), *map(float, range(last, levels, every)), float(levels)}
    )


def _points(group: Sequence[Outcome], levels: int) -> Curve:
    yes, n = (counts.sum(axis=0).astype(int) for counts in _counts(group, levels))
    asked = [level for level in range(1, levels + 1) if n[level - 1]]
    counts = ((int(yes[level - 1]), int(n[level - 1])) for level in asked)
    said, answered = zip(*counts, strict=True) if asked else ((), ())
    return Curve(tuple(asked), said, answered)


def _readable(group: Iterable[Outcome]) -> Iterable[tuple[int, Response]]:
    """Yield the readable answers about a level against the undistorted reference, by the series' place."""
    for i, outcome in enumerate(group):
        for response in outcome.responses:
            probe = response.probe
            if response.readable and probe.reference == 0 < probe.level:
                yield i, response


def _counts(group: Sequence[Outcome], levels: int) -> tuple[Array, Array]:
    """Return yes and n, one row a series, one column a level from 1."""
    yes, n = np.zeros((len(group), levels)), np.zeros((len(group), levels))
    for i, response in _readable(group):
        n[i, response.probe.level - 1] += 1
        yes[i, response.probe.level - 1] += response.verdict.yes
    return yes, n


def _adaptive(manifest: Manifest) -> bool:
    """Whether answers decided about levels."""
    return manifest.procedure["name"] not in FIXED


def _window(manifest: Manifest) -> int | None:
    confirm = manifest.procedure.get("confirm")
    return None if confirm is None else confirm + 1


# --- what only a fixed design gives ---


def _detection(group: Sequence[Outcome], levels: int, alarms: Share) -> Sensitivity | None:
    hits, depend = _said(group, levels)
    return detection(hits, alarms, depend) if hits.n and alarms.n else None


def _said(group: Sequence[Outcome], levels: int) -> tuple[Share, float]:
    """Return the share of yes over all levels, and its design effect: answers about one reference are alike."""
    yes, n = (counts.sum(axis=1) for counts in _counts(group, levels))
    asked = n > 0
    share = Share(int(yes.sum()), int(n.sum()))
    return share, design_effect(yes[asked].tolist(), n[asked].tolist()) if share.n else 1.0


def _by_level(group: Sequence[Outcome], levels: int, alarms: Share) -> tuple[tuple[int, Sensitivity], ...]:
    yes, n = (counts.sum(axis=0) for counts in _counts(group, levels))
    asked = [k for k in range(1, levels + 1) if n[k - 1] and alarms.n]
    return tuple((k, detection(Share(int(yes[k - 1]), int(n[k - 1])), alarms)) for k in asked)


def _choosing(group: Sequence[Outcome], levels: int, question: Question) -> ChoiceSensitivity | None:
    right, depend = _said(group, levels)
    return choosing(right, depend, question.pictures, _task(question)) if right.n else None


def _task(question: Question) -> str:
    return "odd-one-out" if isinstance(question.form, OddOneOut) else "afc"


def _picks(group: Iterable[Outcome], question: Question) -> PlaceBias | None:
    """Return how the choices are spread over the places; None where nothing was chosen."""
    counts = np.zeros((question.pictures, question.pictures), dtype=int)
    for outcome in group:
        for trial in (trial for response in outcome.responses for trial in response.trials if trial.answer is not None):
            picked = question.value((trial.answer,)).value if trial.answer is not None else None
            if picked is not None and trial.level > trial.reference:
                shown = question.place(pair(trial.series, trial.reference, trial.level), trial.draw)
                counts[shown - 1, int(picked) - 1] += 1
    return place_bias(counts.tolist(), _task(question)) if counts.any() else None


def _fractional(
    group: Sequence[Outcome], levels: int, question: Question, prior: Priors, shape: str
) -> Bootstrap | None:
    """Return the fit of p(yes), or of p(no) where no is what notices; None unless every readable answer has one."""
    turned = question.notices == ("no",)
    yes, n = np.zeros((len(group), levels)), np.zeros((len(group), levels))
    for i, response in _readable(group):
        sure = _sure(response, turned)
        if sure is None:
            return None
        n[i, response.probe.level - 1] += 1
        yes[i, response.probe.level - 1] += sure
    sure_of = functools.partial(_sure, turned=turned)
    return _bootstrap(group, yes, n, prior, shape, sure_of)


def _sure(response: Response, turned: bool) -> float | None:
    """Return the probability of the answer that notices: of a yes or, turned round, of a no."""
    answers = [trial.answer for trial in response.trials if trial.answer is not None and not trial.again]
    if not answers or answers[0].p_yes is None:
        return None
    return 1 - answers[0].p_yes - (answers[0].p_neither or 0) if turned else answers[0].p_yes


def _flagged(response: Response) -> float | None:
    return float(response.verdict.yes)


def _bootstrap(
    group: Sequence[Outcome], yes: Array, n: Array, prior: Priors, shape: str,
    sure_of: Callable[[Response], float | None] = _flagged,
) -> Bootstrap:  # fmt: skip
    ladder = [float(level) for level in range(1, yes.shape[1] + 1)]
    alarms, identical = np.zeros(len(group)), np.zeros(len(group))
    counted: set[tuple[str, ...]] = set()
    for i, outcome in enumerate(group):
        for response in outcome.responses:
            probe, sure = response.probe, sure_of(response)
            same = response.readable and probe.reference == probe.level and prior.guess is None
            if same and sure is not None:
                if response.key in counted:
                    continue
                counted.add(response.key)
                identical[i] += 1
                alarms[i] += sure
    asked = n.sum(axis=1) > 0
    data = Responses.of(ladder, yes[asked], n[asked], alarms[asked], identical[asked])
    return clustered(data, prior, shape, resamples=500)


# --- comparisons ---


def _comparison(
    question: str, distortion: str, pair: tuple[str, str], measure: str, of: Sequence[Mapping[str, tuple[float, bool]]]
) -> ComparisonRow | None:
    shared = [picture for picture in of[0] if picture in of[1]]
    if not shared:
        return None
    (first, reached_first), (second, reached_second) = (
        zip(*(found[picture] for picture in shared), strict=True) for found in of
    )
    paired = compare(first, reached_first, second, reached_second)
    return ComparisonRow(question, distortion, *pair, measure=measure, paired=paired, p_holm=paired.p)


def _levels(group: Sequence[Outcome], measure: str, question: Question, shape: str) -> dict[str, tuple[float, bool]]:
    """Return each reference's level, and whether it was reached, by the digest of its pixels."""
    pictures = [outcome.series.picture for outcome in group]
    if measure == "J":
        return dict(zip(pictures, map(protocol, group), strict=True))
    top = group[0].series.levels
    yes, n = _counts(group, top)
    asked = n.sum(axis=1) > 0
    data = Responses.of([float(level) for level in range(1, top + 1)], yes[asked], n[asked])
    fits = posterior(data, Priors.ladder(top, guess=question.guess), shape)
    return dict(zip(itertools.compress(pictures, asked), (_level(found, top) for found in fits), strict=True))


def _level(found: Fit, top: int) -> tuple[float, bool]:
    """Return the level to compare, and whether it was reached; those at or below level 1 are ties."""
    if found.side is Placement.BELOW:
        return 1.0, True
    reached = found.side is not Placement.ABOVE and found.threshold.median <= top
    return min(found.threshold.median, float(top)), reached
