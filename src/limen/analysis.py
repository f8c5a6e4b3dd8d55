"""From a store to tables: every answer read again, every procedure replayed. No model, no network, no images.

What a number means is an opinion and is made here. A threshold whose window the end of the ladder cut is kept as
the protocol's J and counts as censored in every statistic.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from limen import procedure as procedures
from limen import question as questions
from limen.curve import Curve, Interval, Share, bootstrap
from limen.errors import StoreError
from limen.ladder import Ladder
from limen.procedure import Method, Probe
from limen.question import Order, Question
from limen.reading import READER_VERSION, Fault, Flag, Verdict
from limen.store import SeriesRow, Store
from limen.threshold import Threshold
from limen.trial import Trial

FEW = 50  # identical pairs below which a false-alarm rate is called too few to tell


class Status(StrEnum):
    """What became of one series under one observer and question."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"  # questions are open: run the study again
    UNDETERMINED = "undetermined"  # another reader steered the run; this one would have asked other questions
    NOT_APPLICABLE = "not applicable"  # every stimulus asked for equals the reference


@dataclass(frozen=True, slots=True)
class Response:
    """One probe as read now: the verdict, and the trials behind it (none where both stimuli are one picture)."""

    probe: Probe
    verdict: Verdict
    trials: tuple[Trial, ...]

    @property
    def asked(self) -> bool:
        """Whether the observer was asked at all."""
        return bool(self.trials)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One series under one observer and question.

    Attributes:
        observer, question, series: which.
        status: see `Status`.
        thresholds: 1st to n-th JND as the procedure finds them in the recorded answers.
        responses: by probe, in order.
        floor: levels (against the reference) that were not asked because they equal it.
    """

    observer: str
    question: str
    series: SeriesRow
    status: Status
    thresholds: tuple[Threshold, ...]
    responses: tuple[Response, ...]

    @property
    def floor(self) -> tuple[int, ...]:
        """Levels whose stimulus equals the reference, among those the procedure wanted."""
        return tuple(r.probe.level for r in self.responses if not r.asked and r.probe.reference == 0)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile over references, "> level" where it falls among censored ones."""

    level: float
    censored: bool = False

    def __str__(self) -> str:
        return f">{self.level:g}" if self.censored else f"{self.level:g}"


@dataclass(frozen=True, slots=True)
class JndRow:
    """The n-th JND of one observer, question and distortion over references.

    Attributes:
        observer, question, distortion, order, levels: which, and the ladder's length L.
        n: references with a result.
        mean: restricted mean at L (each censored series counts as L): the paper's mean of "> 50 as 50".
        interval: of the mean, BCa bootstrap over references; None below five.
        q1, median, q3: quartiles; "> L" where they fall among the censored.
        censored, unconfirmed: series without a JND up to L; with one whose window the end of the ladder cut.
        strength: the ladder's strength at the median (None where that is censored).
        unit: of the strength.
        not_applicable, unfinished, undetermined: series that are not in n.
        questions: queries put to the observer for these series, identical pairs included (order 1 only).
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
    not_applicable: int
    unfinished: int
    undetermined: int
    questions: int


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


@dataclass(frozen=True, slots=True)
class CurveRow:
    """Counts of yes per level against the undistorted reference, for one observer, question and distortion."""

    observer: str
    question: str
    distortion: str
    curve: Curve


@dataclass(frozen=True)
class Analysis:
    """All tables of one run.

    Attributes:
        manifest: of the run.
        outcomes: one a series, observer and question.
        jnds: the n-th JND, order after order.
        answers: false alarms, faults, cost.
        curves: pooled responses.
        attempts: outcomes of attempts, by (observer, outcome), failures too.
    """

    manifest: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    jnds: tuple[JndRow, ...]
    answers: tuple[AnswerRow, ...]
    curves: tuple[CurveRow, ...]
    attempts: Mapping[tuple[str, str], int] = field(default_factory=dict)


def analyse(store: Store) -> Analysis:
    """Read every answer of a run again and make its tables.

    Raises:
        StoreError: the run was made with a question that this limen words differently.
    """
    outcomes = tuple(_outcomes(store))
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.observer, outcome.question, outcome.series.distortion].append(outcome)
    jnds = [row for key, group in sorted(groups.items()) for row in _jnd_rows(key, group, store.manifest)]
    answers = [_answer_row(key, group) for key, group in sorted(groups.items())]
    curves = [_curve_row(key, group) for key, group in sorted(groups.items())]
    return Analysis(store.manifest, outcomes, tuple(jnds), tuple(answers), tuple(curves), store.attempts())


# --- one series ---


def _outcomes(store: Store) -> Iterable[Outcome]:
    rows = {row.id: row for row in store.series()}
    settings = dict(store.manifest["procedure"])
    method = procedures.make(settings.pop("name"), settings)
    ladders = {name: Ladder(tuple(kind["strengths"]), kind["unit"], kind["version"])
               for name, kind in store.manifest["distortions"].items()}  # fmt: skip
    for name, asked in sorted(store.manifest["questions"].items()):
        question = questions.find(name, Order(asked["order"]))
        if question.digest != asked["digest"]:
            raise StoreError(
                f"{store.path} asked {name!r} in words this limen does not have ({asked['text']!r}). "
                f"Analyse it with limen {store.manifest['limen']}."
            )
        for observer in sorted(store.manifest["observers"]):
            trials: dict[str, list[Trial]] = defaultdict(list)
            for trial in store.trials(observer, name):
                trials[trial.series].append(trial)
            for row in rows.values():
                responses = read(question, trials[row.id])
                status, thresholds = replay(method, ladders[row.distortion], responses, store.manifest["reader"])
                yield Outcome(observer, name, row, status, thresholds, tuple(responses.values()))


def read(question: Question, trials: Iterable[Trial]) -> dict[Probe, Response]:
    """Read the recorded answers of one series: a response for each probe that has all its answers."""
    gathered: dict[Probe, list[Trial]] = defaultdict(list)
    for trial in trials:
        gathered[Probe(trial.reference, trial.level, trial.draw)].append(trial)
    responses = {}
    for probe, group in gathered.items():
        if any(not trial.key for trial in group):
            responses[probe] = Response(probe, Verdict(Flag.NO), ())
            continue
        first = tuple(t.answer for t in group if not t.again and t.answer is not None)
        again = tuple(t.answer for t in group if t.again and t.answer is not None)
        if first:
            responses[probe] = Response(probe, question.read(first, again), tuple(group))
    return responses


def replay(
    method: Method, ladder: Ladder, responses: Mapping[Probe, Response], reader: int = READER_VERSION
) -> tuple[Status, tuple[Threshold, ...]]:
    """Run a procedure on recorded responses.

    Args:
        method: the procedure with the settings of the run.
        ladder: the ladder as the run recorded it.
        responses: of one series.
        reader: the version of the reader that steered the run.

    Returns:
        The status, and the thresholds (none unless it is complete).
    """
    wanted: set[Probe] = set()
    course = method.start(ladder)
    try:
        ask = next(course)
        while True:
            if any(probe not in responses for probe in ask.needed):
                return (Status.UNFINISHED if reader == READER_VERSION else Status.UNDETERMINED), ()
            wanted.update(ask.needed)
            ask = course.send({probe: responses[probe].verdict for probe in ask.needed})
    except StopIteration as stop:
        if wanted and not any(responses[probe].asked for probe in wanted):
            return Status.NOT_APPLICABLE, ()
        return Status.COMPLETE, stop.value


# --- tables ---


def _jnd_rows(key: tuple[str, str, str], group: Sequence[Outcome], manifest: Mapping[str, Any]) -> Iterable[JndRow]:
    kind = manifest["distortions"][key[2]]
    levels, strengths = len(kind["strengths"]), kind["strengths"]
    status = Counter(outcome.status for outcome in group)
    complete = [outcome for outcome in group if outcome.status is Status.COMPLETE]
    highest = max((len(outcome.thresholds) for outcome in complete), default=0)
    if complete and not highest:
        return  # a procedure that claims no JND: its result is the curve
    for order in range(1, max(highest, 1) + 1):
        found = [_at(outcome, order) for outcome in complete]
        values = sorted(t.level if t is not None and t.reached else math.inf for t in found)
        restricted = [min(value, levels) for value in values]
        median = _quantile(values, 0.5, levels)
        yield JndRow(
            *key,
            order=order,
            levels=levels,
            n=len(values),
            mean=float(np.mean(restricted)) if restricted else math.nan,
            interval=bootstrap(restricted, lambda x: np.mean(x, axis=-1), "/".join(key)),
            q1=_quantile(values, 0.25, levels),
            median=median,
            q3=_quantile(values, 0.75, levels),
            censored=Share(sum(math.isinf(value) for value in values), len(values)),
            unconfirmed=sum(t is not None and not t.censored and not t.confirmed for t in found),
            strength=None
            if median.censored or not values
            else float(np.interp(median.level, range(1, levels + 1), strengths)),
            unit=kind["unit"],
            not_applicable=status[Status.NOT_APPLICABLE],
            unfinished=status[Status.UNFINISHED],
            undetermined=status[Status.UNDETERMINED],
            questions=_questions(group) if order == 1 else 0,
        )


def _at(outcome: Outcome, order: int) -> Threshold | None:
    """Return the threshold of this order; None where the chain ended before, which is censored too."""
    return outcome.thresholds[order - 1] if order <= len(outcome.thresholds) else None


def _quantile(values: Sequence[float], share: float, levels: int) -> Quantile:
    """Return the quantile of right-censored values (infinite ones) with one common end: the inverse ECDF."""
    if not values:
        return Quantile(math.nan)
    value = values[max(0, math.ceil(share * len(values)) - 1)]
    return Quantile(levels, censored=True) if math.isinf(value) else Quantile(value)


def _questions(group: Iterable[Outcome]) -> int:
    return len({trial.key for outcome in group for response in outcome.responses for trial in response.trials})


def _answer_row(key: tuple[str, str, str], group: Sequence[Outcome]) -> AnswerRow:
    responses = [response for outcome in group for response in outcome.responses if response.asked]
    distinct = {response.trials[0].key: response for response in responses}
    same = [r for r in distinct.values() if r.probe.reference == r.probe.level]
    answers = {trial.key: trial for response in responses for trial in response.trials}
    question = questions.find(key[1])
    faults = Counter(question.read((t.answer,)).fault for t in answers.values() if t.answer is not None)
    spent_in = [t.answer.tokens_in for t in answers.values() if t.answer and t.answer.tokens_in is not None]
    spent_out = [t.answer.tokens_out for t in answers.values() if t.answer and t.answer.tokens_out is not None]
    return AnswerRow(
        *key,
        false_alarms_clean=_yes(r for r in same if r.probe.level == 0),
        false_alarms_distorted=_yes(r for r in same if r.probe.level > 0),
        unreadable=Share(sum(r.verdict.flag is Flag.UNREADABLE for r in distinct.values()), len(distinct)),
        antilogy=Share(faults[Fault.ANTILOGY], len(answers)),
        gibberish=Share(faults[Fault.GIBBERISH], len(answers)),
        deficiency=Share(faults[Fault.DEFICIENCY], len(answers)),
        inversions=_inversions(group),
        questions=len(answers),
        tokens_in=sum(spent_in) if spent_in else None,
        tokens_out=sum(spent_out) if spent_out else None,
    )


def _yes(responses: Iterable[Response]) -> Share:
    readable = [r.verdict.yes for r in responses if r.verdict.flag is not Flag.UNREADABLE]
    return Share(sum(readable), len(readable))


def _inversions(group: Iterable[Outcome]) -> Share:
    """Return how many pairs of levels of one series, one said yes to and one no, are the wrong way round."""
    wrong = total = 0
    for outcome in group:
        said = [(r.probe.level, r.verdict.yes) for r in outcome.responses if r.probe.reference == 0 < r.probe.level]
        for level, yes in said:
            for other, also in said:
                if level < other and yes != also:
                    total += 1
                    wrong += yes
    return Share(wrong, total)


def _curve_row(key: tuple[str, str, str], group: Iterable[Outcome]) -> CurveRow:
    yes: Counter[int] = Counter()
    n: Counter[int] = Counter()
    for outcome in group:
        for r in outcome.responses:
            if r.asked and r.probe.reference == 0 and r.verdict.flag is not Flag.UNREADABLE:
                n[r.probe.level] += 1
                yes[r.probe.level] += r.verdict.yes
    levels = tuple(sorted(n))
    return CurveRow(*key, Curve(levels, tuple(yes[k] for k in levels), tuple(n[k] for k in levels)))
