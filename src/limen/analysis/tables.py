"""Rows of the tables of a run, from what became of its series."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from limen import digest
from limen.analysis.replay import Outcome, Response, SeriesStatus
from limen.curve import FEWEST_CLUSTERS, Curve, Interval, Share, bootstrap_mean, median_ranks
from limen.parsing.yes_no import Fault, Flag
from limen.question import Question
from limen.store.entries import Manifest
from limen.threshold import Threshold
from limen.trial import Trial

FEW = 50  # identical pairs below which a false-alarm rate is called too few to tell


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile over references, or a fitted level: "> level" or "<= level" where no more is known, or "?".

    Attributes:
        level: the level, or the bound; NaN where nothing is known.
        censored: it lies above `level`.
        below: it lies at or below `level`: the first one was noticed already.
    """

    level: float
    censored: bool = False
    below: bool = False

    def __str__(self) -> str:
        if math.isnan(self.level):
            return "?"
        level = f"{self.level:g}" if self.level == round(self.level) else f"{self.level:.1f}"
        return f"{'>' if self.censored else '<=' if self.below else ''}{level}"


@dataclass(frozen=True, slots=True)
class JndRow:
    """The n-th JND of one observer, question and distortion over references.

    Attributes:
        observer, question, distortion, order, levels: which, and the ladder's length L.
        n: references with a result.
        mean: restricted mean at L (each censored series counts as L): the paper's mean of "> 50 as 50".
        interval: of the mean, BCa bootstrap over references; None below five.
        q1, median, q3: quartiles; "> L" where they fall among the censored, "<= 1" at the first level.
        censored, unconfirmed: series without a JND up to L; with one whose window the end of the ladder cut.
        strength: the ladder's strength at the median (None where that is censored).
        unit: of the strength.
        unreadable: series without one readable answer, which are not in n.
        excluded: series whose undistorted reference was answered wrongly, or not readably, where answers are compared:
            not in n.
        not_applicable, unfinished, undetermined: series that are not in n either.
        questions: queries put to the observer for these series, identical pairs included (order 1 only).
        median_low, median_high: ends of the 95 % interval of the median (`limen.curve.median_ranks`); None below six
            references.
    """

    observer: str
    question: str
    distortion: str
    order: int
    levels: int
    n: int
    mean: float
    interval: Interval | None
    q1: Quantile
    median: Quantile
    q3: Quantile
    censored: Share
    unconfirmed: int
    strength: float | None
    unit: str
    unreadable: int
    not_applicable: int
    unfinished: int
    undetermined: int
    questions: int
    excluded: int = 0
    median_low: Quantile | None = None
    median_high: Quantile | None = None


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """The 1st JND over the items of one category (`limen.item.Item.category`), and its unrest or false alarms."""

    category: str
    row: JndRow
    false_alarms: Share


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """What the answers of one observer, question and distortion were like.

    Attributes:
        false_alarms_clean: yes to two identical undistorted references (distinct questions).
        false_alarms_distorted: yes to two identical stimuli above level 0.
        unreadable: probes without a readable answer, after the paraphrase.
        antilogy, gibberish, deficiency: faults among all answers.
        inversions: among pairs of levels asked against the first reference, yes below a no.
        failed: attempts that failed, over all attempts (of the observer, all distortions together).
        tokens_in, tokens_out: spent, None where the observer does not say.
    """

    observer: str
    question: str
    distortion: str
    false_alarms_clean: Share
    false_alarms_distorted: Share
    unreadable: Share
    antilogy: Share
    gibberish: Share
    deficiency: Share
    inversions: Share
    questions: int
    tokens_in: int | None
    tokens_out: int | None

    @property
    def false_alarms(self) -> Share:
        """Yes to identical pairs at any level."""
        clean, distorted = self.false_alarms_clean, self.false_alarms_distorted
        return Share(clean.k + distorted.k, clean.n + distorted.n)


@dataclass(frozen=True, slots=True)
class CurveRow:
    """Counts of yes per level against the undistorted reference, for one observer, question and distortion.

    Attributes:
        half: the level at which half of the answers are yes, in a forced choice as many as lie halfway between chance
            and 1 (`limen.curve.Curve.crossing` of `limen.question.Question.midpoint`), uncorrected; "> k" above the
            highest level asked, "<= k" at the lowest, "?" where its interval holds all of them.
        interval: of `half`, percentiles of a bootstrap over references, for a fixed design; infinite beyond the levels
            asked. None below five references, and where all are alike.
    """

    observer: str
    question: str
    distortion: str
    curve: Curve
    half: Quantile
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """Fitted thresholds of one observer, question and distortion over references, from a procedure that fits.

    Attributes:
        observer, question, distortion, levels, unit: which, and the ladder.
        n: references with a result.
        mean: of T50, restricted at L (one more probably beyond the ladder counts as L, one below as its bound).
        interval: of the mean, BCa bootstrap over references.
        q1, median, q3: quartiles; "> L" where they fall among those beyond, "<= 1" among those below; "?" where half
            of the references or more are undetermined.
        median_low, median_high: as in `JndRow`, over the references whose answers tell.
        beyond: references whose T50 more probably lies beyond the ladder.
        below: references that were noticed at every level asked.
        undetermined: references whose answers do not say where T50 lies; they are in `n` and in no other figure.
        false_alarms: yes to identical pairs, as in `AnswerRow`.
        sd: mean posterior standard deviation of a reference's T50, in levels; NaN where the procedure gives none.
        strength: the ladder's strength at the median.
        unfinished: series that are not in n.
        questions: queries put for these series.
    """

    observer: str
    question: str
    distortion: str
    levels: int
    n: int
    mean: float
    interval: Interval | None
    q1: Quantile
    median: Quantile
    q3: Quantile
    beyond: Share
    below: Share
    undetermined: Share
    false_alarms: Share
    sd: float
    strength: float | None
    unit: str
    unfinished: int
    questions: int
    median_low: Quantile | None = None
    median_high: Quantile | None = None


def jnd_rows(key: tuple[str, str, str], group: Sequence[Outcome], manifest: Manifest) -> Iterable[JndRow]:
    """Yield the n-th JNDs of one observer, question and distortion, order after order.

    Args:
        key: (observer, question, distortion), by name.
        group: the outcomes of their series.
        manifest: of the run.
    """
    kind = manifest.distortions[key[2]]
    levels, strengths = len(kind.strengths), kind.strengths
    status = Counter(outcome.status for outcome in group)
    complete = [outcome for outcome in group if outcome.status is SeriesStatus.COMPLETE]
    highest = max((len(outcome.thresholds) for outcome in complete), default=0)
    if complete and not highest:
        return  # a procedure that claims no JND: its result is the curve
    for order in range(1, max(highest, 1) + 1):
        found = [_at(outcome, order) for outcome in complete]
        values = sorted(t.level if t is not None and t.reached else math.inf for t in found)
        restricted = [min(value, levels) for value in values]
        q1, median, q3 = (quantile(values, share, levels) for share in (0.25, 0.5, 0.75))
        low, high = _median_interval(values, levels)
        yield JndRow(
            *key,
            order=order,
            levels=levels,
            n=len(values),
            mean=float(np.mean(restricted)) if restricted else math.nan,
            interval=bootstrap_mean(restricted),
            q1=q1,
            median=median,
            q3=q3,
            censored=Share(sum(math.isinf(value) for value in values), len(values)),
            unconfirmed=sum(t is not None and not t.censored and not t.confirmed for t in found),
            strength=strength_at(median, strengths),
            unit=kind.unit,
            unreadable=status[SeriesStatus.UNREADABLE],
            not_applicable=status[SeriesStatus.NOT_APPLICABLE],
            unfinished=status[SeriesStatus.UNFINISHED],
            undetermined=status[SeriesStatus.UNDETERMINED],
            questions=_questions(group) if order == 1 else 0,
            excluded=status[SeriesStatus.EXCLUDED],
            median_low=low,
            median_high=high,
        )


def category_rows(key: tuple[str, str, str], group: Sequence[Outcome], manifest: Manifest) -> Iterable[CategoryRow]:
    """Yield the 1st JND of each category of items; nothing where there is one or none.

    Args:
        key: (observer, question, distortion), by name.
        group: the outcomes of their series.
        manifest: of the run.
    """
    categories = sorted({outcome.item.category for outcome in group if outcome.item is not None})
    for category in categories if len(categories) > 1 else ():
        mine = [outcome for outcome in group if outcome.item is not None and outcome.item.category == category]
        for row in jnd_rows(key, mine, manifest):
            if row.order == 1:
                yield CategoryRow(category, row, sum_of(*false_alarms(mine)))


def estimate_row(key: tuple[str, str, str], group: Sequence[Outcome], manifest: Manifest) -> EstimateRow | None:
    """Return the fitted thresholds of one observer, question and distortion; None where the procedure fits none.

    Args:
        key: (observer, question, distortion), by name.
        group: the outcomes of their series.
        manifest: of the run.
    """
    every = [outcome.estimates[0] for outcome in group if outcome.estimates]
    if not every:
        return None
    kind = manifest.distortions[key[2]]
    levels, fits = len(kind.strengths), [fit for fit in every if fit.told]
    least = max((fit.level for fit in fits if fit.below), default=-math.inf)
    values = sorted((least if fit.below else fit.level) if fit.reached else math.inf for fit in fits)
    if 2 * len(fits) <= len(every):
        values = []
    restricted = [min(value, levels) for value in values]
    q1, median, q3 = (quantile(values, share, levels, least) for share in (0.25, 0.5, 0.75))
    low, high = _median_interval(values, levels, least)
    return EstimateRow(
        *key,
        levels=levels,
        n=len(every),
        mean=float(np.mean(restricted)) if values else math.nan,
        interval=bootstrap_mean(restricted),
        q1=q1,
        median=median,
        q3=q3,
        beyond=Share(sum(not fit.reached for fit in fits), len(every)),
        below=Share(sum(fit.below for fit in fits), len(every)),
        undetermined=Share(len(every) - len(fits), len(every)),
        false_alarms=sum_of(*false_alarms(group)),
        sd=_mean([fit.sd for fit in fits]),
        strength=strength_at(median, kind.strengths),
        unit=kind.unit,
        unfinished=sum(outcome.status is SeriesStatus.UNFINISHED for outcome in group),
        questions=_questions(group),
        median_low=low,
        median_high=high,
    )


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def strength_at(level: Quantile, strengths: Sequence[float]) -> float | None:
    """Return the ladder's strength at a level, between two levels by a line; None beyond its ends, or for none."""
    if level.censored or not level.level >= 1:
        return None
    return float(np.interp(level.level, range(1, len(strengths) + 1), strengths))


def _at(outcome: Outcome, order: int) -> Threshold | None:
    """Return the threshold of this order; None where the chain ended before, which is censored too."""
    return outcome.thresholds[order - 1] if order <= len(outcome.thresholds) else None


def quantile(values: Sequence[float], share: float, levels: int, least: float = 1) -> Quantile:
    """Return the quantile of right-censored values (infinite ones) with one common end: the inverse ECDF.

    Args:
        values: in ascending order.
        share: of them that lie at or below it.
        levels: their common end.
        least: those there are left-censored: what is noticed at the first level may have been noticed below it.
    """
    if not values:
        return Quantile(math.nan)
    return _placed(values[max(0, math.ceil(share * len(values)) - 1)], levels, least)


def _placed(value: float, levels: int, least: float) -> Quantile:
    return Quantile(levels, censored=True) if math.isinf(value) else Quantile(value, below=value <= least)


def _median_interval(
    values: Sequence[float], levels: int, least: float = 1
) -> tuple[Quantile, Quantile] | tuple[None, None]:
    """Return both ends of the interval of a median of censored values in ascending order, where there is one."""
    ranks = median_ranks(len(values))
    if ranks is None:
        return None, None
    low, high = (_placed(values[rank - 1], levels, least) for rank in ranks)
    return low, high


def _questions(group: Iterable[Outcome]) -> int:
    return len({trial.key for outcome in group for response in outcome.responses for trial in response.trials})


def answer_row(
    key: tuple[str, str, str], group: Sequence[Outcome], question: Question, person: bool = False
) -> AnswerRow:
    """Return false alarms, faults and cost of one observer, question and distortion.

    Args:
        key: (observer, question, distortion), by name.
        group: the outcomes of their series.
        question: that was asked.
        person: whether the observer is one, who presses a button: then there are no words to find a fault in.
    """
    responses = [response for outcome in group for response in outcome.responses if response.asked]
    distinct = {response.key: response for response in responses}
    clean, distorted = false_alarms(group)
    answers = {trial.key: trial for response in responses for trial in response.trials}
    faults = Counter(() if person else _faults(question, group).values())
    worded = 0 if person else len(answers)
    spent_in = [t.answer.tokens_in for t in answers.values() if t.answer and t.answer.tokens_in is not None]
    spent_out = [t.answer.tokens_out for t in answers.values() if t.answer and t.answer.tokens_out is not None]
    return AnswerRow(
        *key,
        false_alarms_clean=clean,
        false_alarms_distorted=distorted,
        unreadable=Share(sum(r.verdict.flag is Flag.UNREADABLE for r in distinct.values()), len(distinct)),
        antilogy=Share(faults[Fault.ANTILOGY], worded),
        gibberish=Share(faults[Fault.GIBBERISH], worded),
        deficiency=Share(faults[Fault.DEFICIENCY], worded),
        inversions=_inversions(group),
        questions=len(answers),
        tokens_in=sum(spent_in) if spent_in else None,
        tokens_out=sum(spent_out) if spent_out else None,
    )


def _faults(question: Question, group: Iterable[Outcome]) -> dict[str, Fault | None]:
    """Return each answer's fault, by key."""
    return {trial.key: fault for outcome in group for trial, fault in faulty(question, outcome)}


def faulty(question: Question, outcome: Outcome) -> Iterator[tuple[Trial, Fault | None]]:
    """Yield the answered trials of a series, each with its fault; one without a paraphrase has been read already."""
    for response in outcome.responses:
        single = len(response.trials) == 1
        for trial in response.trials:
            if trial.answer is not None:
                fault = response.verdict.fault if single else question.value((trial.answer,), outcome.item).fault
                yield trial, fault


def false_alarms(outcomes: Iterable[Outcome]) -> tuple[Share, Share]:
    """Return the share of yes to identical pairs at level 0, and above: of these series, whatever became of them.

    Each distinct question counts once, and not at all where its answer cannot be read. Every table, page and fit takes
    its false alarms from here.
    """
    pairs = {
        response.key: response
        for outcome in outcomes
        for response in outcome.responses
        if response.asked and response.probe.reference == response.probe.level
    }
    clean = [response for response in pairs.values() if response.probe.level == 0]
    return _yes(clean), _yes(response for response in pairs.values() if response.probe.level > 0)


def sum_of(*shares: Share) -> Share:
    """Return shares added up."""
    return Share(sum(share.k for share in shares), sum(share.n for share in shares))


def _yes(responses: Iterable[Response]) -> Share:
    said = [response.verdict.yes for response in responses if response.readable]
    return Share(sum(said), len(said))


def _inversions(group: Iterable[Outcome]) -> Share:
    """Return how many pairs of levels of one series, one said yes to and one no, are the wrong way round."""
    wrong = total = 0
    for outcome in group:
        said = [
            (r.probe.level, r.verdict.yes)
            for r in outcome.responses
            if r.probe.reference == 0 < r.probe.level and r.verdict.flag is not Flag.UNREADABLE
        ]
        for level, yes in said:
            for other, also in said:
                if level < other and yes != also:
                    total += 1
                    wrong += yes
    return Share(wrong, total)


def references_and_draws(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """Return over how many references a curve goes (at most, at one level), and how often a pair was shown to each."""
    asked: dict[int, set[str]] = defaultdict(set)
    draws = 0
    for outcome in outcomes:
        for response in outcome.responses:
            if response.readable and response.probe.reference == 0:
                asked[response.probe.level].add(outcome.series.id)
                draws = max(draws, response.probe.draw + 1)
    return max(map(len, asked.values()), default=0), draws


def curve_row(key: tuple[str, str, str], group: Sequence[Outcome], midpoint: float) -> CurveRow:
    """Return yes against level of one observer, question and distortion, over references.

    Args:
        key: (observer, question, distortion), by name.
        group: the outcomes of their series.
        midpoint: of the question that was asked.
    """
    said = [
        [(r.probe.level, r.verdict.yes) for r in outcome.responses if r.readable and r.probe.reference == 0]
        for outcome in group
    ]
    yes = Counter(level for one in said for level, noticed in one if noticed)
    n = Counter(level for one in said for level, _ in one)
    curve = Curve(levels := tuple(sorted(n)), tuple(yes[k] for k in levels), tuple(n[k] for k in levels))
    fixed = not any(outcome.thresholds or outcome.estimates for outcome in group)
    interval = _crossings(sorted(one for one in said if one), levels, midpoint) if fixed else None
    return CurveRow(*key, curve, _half(curve, interval, midpoint), interval)


def _half(curve: Curve, interval: Interval | None, midpoint: float) -> Quantile:
    """Return where the share of yes is at its midpoint, as far as the levels asked can say."""
    asked = [level for level in curve.levels if level]
    if not asked or (interval is not None and interval.low <= asked[0] and interval.high > asked[-1]):
        return Quantile(math.nan)
    at = curve.crossing(midpoint)
    if at is None:
        return Quantile(asked[-1], censored=True)
    if at > asked[0]:
        return Quantile(at)
    # Where half of the identical pairs are called different, half yes lies at or below any level.
    return Quantile(1 if at == 0 else asked[0], below=True)


def _crossings(
    said: Sequence[Sequence[tuple[int, bool]]], levels: Sequence[int], midpoint: float, resamples: int = 500
) -> Interval | None:
    """Return the interval of the crossing over references; None below five, and where all are alike."""
    if len(said) < FEWEST_CLUSTERS or all(one == said[0] for one in said):
        return None
    yes, n = np.zeros((len(said), len(levels))), np.zeros((len(said), len(levels)))
    place = {level: i for i, level in enumerate(levels)}
    for row, one in enumerate(said):
        for level, noticed in one:
            n[row, place[level]] += 1
            yes[row, place[level]] += noticed
    times = digest.generator("crossings", len(said)).multinomial(len(said), [1 / len(said)] * len(said), resamples)
    found = []
    for k, m in zip(times @ yes, times @ n, strict=True):
        asked = np.nonzero(m)[0]
        at = Curve(tuple(levels[int(i)] for i in asked), tuple(k[asked]), tuple(m[asked])).crossing(midpoint)
        found.append(math.inf if at is None else at)
    low, high = np.quantile(found, (0.025, 0.975), method="nearest")
    return Interval(-math.inf if low <= min(filter(None, levels), default=1) else float(low), float(high))
