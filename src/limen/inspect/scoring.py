"""What a sample's answer says (its score), and what all of them amount to (the metrics): limen's own figures."""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState

from limen import digest
from limen.analysis.replay import Outcome, SeriesStatus, item_of, questions_of
from limen.analysis.tables import Quantile, answer_row, estimate_row, jnd_rows
from limen.errors import InputError
from limen.inspect.records import Gathered, SampleRecord, outcomes, plain, sample_record
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
        return Score(value=said, answer=found.text, explanation=_explained(record), metadata=about)

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


def _explained(record: SampleRecord) -> str:
    trial = record.trial
    assert trial is not None
    same = " (the same picture: a yes is a false alarm)" if trial.reference == trial.level else ""
    return f"level {trial.level} beside level {trial.reference}{same}"


@metric(name="jnd", scores="unreduced")
def thresholds(manifest: dict[str, Any], planned: dict[str, int]) -> Metric:
    """Give limen's figures of each distortion: median JND with its interval, censored share, false alarms.

    Args:
        manifest: of the study.
        planned: how many series of each distortion it has; those that lack answers are unfinished, and in no figure.
    """

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        gathered = Gathered()
        for one in scores:
            try:
                record = sample_record(one.sample_metadata)
            except InputError:
                continue  # no sample of limen's: somebody put another scorer's beside them
            gathered.add(record, record.stored or answer_in(one.score))
        return figures(gathered, manifest, planned)

    return compute


def answer_in(score: Score) -> Answer | None:
    """Return the answer that a score was read from; None where it holds none."""
    held = (score.metadata or {}).get("answer")
    return msgspec.convert(held, Answer) if held is not None else None


def seal(key: str, answer: Answer) -> str:
    """Return a digest of what was shown to whom and what was answered: a log that was edited no longer has it."""
    return digest.of([key, plain(answer)])


def figures(gathered: Gathered, described: Mapping[str, Any], planned: Mapping[str, int]) -> dict[str, float]:
    """Return the figures of `limen.analysis` for these samples, by name.

    Infinity is "beyond the last level" (censored), NaN is "not known"; neither is ever a level.

    Args:
        gathered: from the samples.
        described: manifest of the study.
        planned: series by distortion.
    """
    manifest = manifest_of(described, gathered.observers)
    asked = questions_of(Path("the log"), manifest)
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes(manifest, gathered):
        groups[outcome.observer, outcome.question, outcome.series.distortion].append(outcome)
    found: dict[str, float] = {}
    for observer in gathered.observers:
        for name in asked:
            for kind, count in planned.items():
                key = observer, name, kind
                prefix = f"{name}/{kind}" if len(asked) > 1 else kind
                group = groups.get(key, [])
                for row in jnd_rows(key, group, manifest):
                    nth = f"_{row.order}" * (row.order > 1)
                    found[f"{prefix}/median_jnd{nth}"] = value_of(row.median)
                    found[f"{prefix}/median_jnd{nth}_low"] = value_of(row.median_low)
                    found[f"{prefix}/median_jnd{nth}_high"] = value_of(row.median_high)
                    found[f"{prefix}/censored{nth}"] = row.censored.k / row.censored.n if row.censored.n else math.nan
                    found[f"{prefix}/n{nth}"] = row.n
                if (fit := estimate_row(key, group, manifest)) is not None:
                    found[f"{prefix}/median_t50"] = value_of(fit.median)
                    found[f"{prefix}/median_t50_low"] = value_of(fit.median_low)
                    found[f"{prefix}/median_t50_high"] = value_of(fit.median_high)
                alarms = answer_row(key, group, asked[name]).false_alarms
                found[f"{prefix}/false_alarms"] = alarms.k / alarms.n if alarms.n else math.nan
                found[f"{prefix}/false_alarms_n"] = alarms.n
                done = sum(outcome.status is not SeriesStatus.UNFINISHED for outcome in group)
                found[f"{prefix}/unfinished"] = count - done
    return found


def value_of(quantile: Quantile | None) -> float:
    """Return a quantile as Inspect keeps numbers: infinite where it is censored, NaN where it is not known."""
    if quantile is None:
        return math.nan
    return math.inf if quantile.censored else quantile.level
