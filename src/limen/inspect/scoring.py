"""What a sample's answer says (its score), and what all of them amount to (the metrics): limen's own figures."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState

from limen import digest
from limen.analysis.replay import Outcome, SeriesStatus, item_of, questions_of
from limen.analysis.tables import Quantile, answer_row, estimate_row, jnd_rows
from limen.curve import Share
from limen.errors import InputError
from limen.inspect.records import Analysed, Gathered, SampleRecord, TaskRecord, plain, sample_record
from limen.inspect.source import under_way
from limen.observers.inspect import answer_of
from limen.parsing.token_probability import offers_letters
from limen.question import Question
from limen.store import entries
from limen.store.entries import Manifest
from limen.trial import Answer, Attempt, pair

NOTHING = "recorded"  # value of the sample that closes the record


def manifest_of(described: Mapping[str, Any], observers: Mapping[str, Any] | None = None) -> Manifest:
    """Return the manifest of a run that `Study.described` says, checked."""
    return entries.check(Path("limen's task"), {"schema": entries.SCHEMA, **described, "observers": observers or {}})


@scorer(metrics=[], name="verdict")
def verdict(manifest: dict[str, Any]) -> Scorer:
    """Read an answer as limen reads it: yes (a difference is noticed), no, or unreadable; of one picture what it says.

    Args:
        manifest: of the study, which holds the questions.
    """
    questions = questions_of(Path("limen's task"), manifest_of(manifest))

    async def score(state: TaskState, target: Target) -> Score | None:
        record = sample_record(state.metadata)
        if record.trial is None:
            return Score(value=NOTHING)
        found = record.stored or answer_of(state.output, offers_letters(record.trial.wording))
        if isinstance(found, Attempt):
            raise RuntimeError(f"{found.outcome}: {found.detail}")  # a failure of the model is never a verdict
        said = said_by(questions[record.trial.question], record, found)
        state.metadata["verdict"] = said
        about = {"answer": plain(found), "digest": seal(record.trial.key, found)}
        return Score(value=said, answer=found.text, explanation=explained(record), metadata=about)

    return score


def said_by(question: Question, record: SampleRecord, answer: Answer) -> str:
    """Return what an answer says: of two and more pictures a verdict, of one what is answered.

    Args:
        question: that was asked.
        record: of the sample.
        answer: that came.
    """
    trial = record.trial
    assert trial is not None
    item = item_of(Path("a sample"), trial.series, record.item) if record.item is not None else None
    if question.alone:
        return question.value((answer,), item).value or "unreadable"
    name = pair(trial.series, trial.reference, trial.level)
    return str(question.read((answer,), (), trial.draw, name).flag.value)


def explained(record: SampleRecord) -> str:
    """Say in a few words which two stimuli a sample compares."""
    trial = record.trial
    assert trial is not None
    same = " (the same picture: a yes is a false alarm)" if trial.reference == trial.level else ""
    return f"level {trial.level} beside level {trial.reference}{same}"


@metric(name="jnd", scores="unreduced")
def thresholds(task: str) -> Metric:
    """Give limen's figures of each distortion: median JND with its interval, censored share, false alarms.

    Args:
        task: names the task, which must be under way in this process: it knows all series, and what makes a threshold.
    """

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        source = under_way(task)
        if source is None:
            raise RuntimeError(
                "limen's figures are made while its task runs, so this log has none and loses nothing: they are in the "
                "log of the task that goes on (inspect eval-retry). Of this log alone: limen import inspect=LOG."
            )
        gathered = Gathered()
        for one in scores:
            try:
                record = sample_record(one.sample_metadata)
            except InputError:
                continue  # no sample of limen's: somebody put another scorer's beside them
            gathered.add(record, record.stored or answer_in(one.score))
        return figures(gathered, source.record)

    return compute


def answer_in(score: Score) -> Answer | None:
    """Return the answer that a score was read from; None where it holds none."""
    held = (score.metadata or {}).get("answer")
    return msgspec.convert(held, Answer) if held is not None else None


def seal(key: str, answer: Answer) -> str:
    """Return a digest of what was shown to whom and what was answered: a log that was edited no longer has it."""
    return digest.of([key, plain(answer)])


def figures(gathered: Gathered, task: TaskRecord) -> dict[str, float]:
    """Return the figures of `limen.analysis` for these samples, by name.

    Infinity is "beyond the last level" (censored), NaN is "not known"; neither is ever a level.

    Args:
        gathered: from the samples.
        task: what the task says of itself.
    """
    manifest = manifest_of(task.manifest, gathered.observers)
    planned = Counter(row.distortion for row in task.series)
    analysed = Analysed(manifest, task, gathered)
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in analysed.outcomes():
        groups[outcome.observer, outcome.question, outcome.series.distortion].append(outcome)
    found: dict[str, float] = {}
    for observer, name, kind in itertools.product(gathered.observers, analysed.questions, planned):
        group = groups.get((observer, name, kind), [])
        prefix = f"{name}/{kind}" if len(analysed.questions) > 1 else kind
        alarms = answer_row((observer, name, kind), group, analysed.questions[name]).false_alarms
        about = {f"{prefix}/false_alarms": _rate(alarms), f"{prefix}/false_alarms_n": alarms.n}
        for row in jnd_rows((observer, name, kind), group, manifest):
            nth = f"_{row.order}" * (row.order > 1)
            found |= _of(f"{prefix}/median_jnd{nth}", row.median, row.median_low, row.median_high)
            found |= {f"{prefix}/censored{nth}": _rate(row.censored), **about, f"{prefix}/n{nth}": row.n}
        if (fit := estimate_row((observer, name, kind), group, manifest)) is not None:
            found |= _of(f"{prefix}/median_t50", fit.median, fit.median_low, fit.median_high)
            found |= {f"{prefix}/beyond": _rate(fit.beyond), **about, f"{prefix}/n": fit.n}
        found |= about
        done = [outcome.status for outcome in group if outcome.status is not SeriesStatus.UNFINISHED]
        found[f"{prefix}/excluded"] = sum(status is not SeriesStatus.COMPLETE for status in done)
        found[f"{prefix}/unfinished"] = planned[kind] - len(done)
    return found


def _of(name: str, median: Quantile, low: Quantile | None, high: Quantile | None) -> dict[str, float]:
    return {name: value_of(median), f"{name}_low": value_of(low), f"{name}_high": value_of(high)}


def _rate(share: Share) -> float:
    return share.k / share.n if share.n else math.nan


def value_of(quantile: Quantile | None) -> float:
    """Return a quantile as Inspect keeps numbers: infinite where it is censored, NaN where it is not known."""
    if quantile is None:
        return math.nan
    return math.inf if quantile.censored else quantile.level
