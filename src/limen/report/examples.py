"""What a page shows of single series and answers: stimuli at JNDs beside the answers, and one answer of each fault."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from limen.analysis import Analysis, Outcome, SeriesStatus, faulty, units
from limen.errors import LimenError
from limen.parsing.yes_no import Fault
from limen.report import figures, lanes
from limen.report.format import clean, ordinal
from limen.report.images import Render, Thumbnail, renderer, thumbnail
from limen.report.runs import OpenRun, ShortNames, keeper
from limen.store import SeriesRow, Store
from limen.store.entries import DistortionEntry

MOST = 5_500_000  # bytes of thumbnails in one page


@dataclass(frozen=True, slots=True)
class Stimulus:
    """A thumbnail with what it shows: the reference (level 0), or a level in words and in the ladder's unit."""

    picture: Thumbnail
    caption: str = "reference"
    level: int = 0
    strength: str = ""


def examples(runs: Sequence[OpenRun], analysis: Analysis, names: ShortNames) -> Iterator[dict[str, Any]]:
    """Yield, by distortion, the answers on typical references beside the stimuli at their JNDs.

    Args:
        runs: all of the page.
        analysis: the runs together.
        names: what to call each observer and question.
    """
    by_distortion: dict[str, list[Outcome]] = {}
    for outcome in analysis.outcomes:
        by_distortion.setdefault(outcome.series.distortion, []).append(outcome)
    keeps = keeper([run.store for run in runs])
    held = {run.name: {outcome.series.id for outcome in run.analysis.outcomes} for run in runs}
    used, spent = Counter[str](), 0
    most = 2 if len(names.asked) == 1 and len(by_distortion) <= 5 else 1
    for distortion, outcomes in sorted(by_distortion.items()):
        kind = analysis.manifest.distortions[distortion]
        shown = []
        for series in typical(outcomes, keeps, used, most):
            mine = [outcome for outcome in outcomes if outcome.series.id == series and outcome.thresholds]
            mine.sort(key=lambda outcome: names.position(outcome.observer, outcome.question))
            stores = [run.store for run in runs if series in held[run.name]]
            answered = []
            for outcome in mine:
                words = analysis.questions[outcome.question].verdicts
                answered.append(_lane(stores, outcome, kind, words, names, spent))
                spent += sum(len(stimulus.picture.source) for stimulus in answered[-1]["stimuli"])
            shown.append({"reference": clean(mine[0].series.name, 80), "lanes": answered})
        about = {"word": kind.word, "unit": kind.unit, "levels": len(kind.strengths)}
        yield {"distortion": distortion, **about, "shown": shown}


def _lane(
    stores: Sequence[Store],
    outcome: Outcome,
    kind: DistortionEntry,
    words: tuple[str, str],
    names: ShortNames,
    spent: int,
) -> dict[str, Any]:
    position = names.position(outcome.observer, outcome.question)
    who = names.asked[outcome.observer, outcome.question]
    pictures: list[Stimulus] = []
    note = "" if spent < MOST else "Pictures left out: the page has reached its size."
    if not note:
        kept = [store for store in stores if store.picture(outcome.series.picture) is not None]
        try:
            draw = renderer((kept or stores)[0], outcome.series, views=True)
            pictures = stimuli(draw, outcome, kind.unit)
        except LimenError as error:
            note = str(error)
    return {
        "who": who,
        "colour": figures.on_page(figures.colour(position)),
        "jnds": _in_words(outcome),
        "figure": lanes.both(
            outcome,
            position,
            kind.strengths,
            kind.unit,
            words,
            f"Answers of {who} by level of {outcome.series.distortion}",
        ),
        "stimuli": pictures,
        "note": note,
    }


def _in_words(outcome: Outcome) -> str:
    jnds = [str(threshold) for threshold in outcome.thresholds if not threshold.censored]
    if not jnds:
        return f"no JND up to level {outcome.thresholds[-1].level}"
    end = "; none after that" if outcome.thresholds[-1].censored else ""
    plural = "s" if len(jnds) > 1 else ""
    return f"JND{plural} at level{plural} {', '.join(jnds)}{end}"


def stimuli(draw: Render, outcome: Outcome, unit: str, most: int = 4) -> list[Stimulus]:
    """Return the reference and the stimuli at up to `most` JND levels: the first ones, a middle one, the last.

    Where there is no JND, the strongest stimulus stands for those that were not noticed.

    Args:
        draw: returns the picture at a level.
        outcome: whose JNDs are shown.
        unit: of the strengths.
        most: levels beside the reference, at least 2.
    """
    jnds = [threshold for threshold in outcome.thresholds if not threshold.censored] or outcome.thresholds[:1]
    if len(jnds) > most:
        jnds = [*jnds[: most - 2], jnds[len(jnds) // 2], jnds[-1]]
    shown = [Stimulus(thumbnail(draw(0)))]
    for jnd in jnds:
        caption = f"{ordinal(jnd.order)} JND: level {jnd.level}{'' if jnd.confirmed else '?'}"
        if jnd.censored:
            caption = f"level {jnd.level}: no JND"
        shown.append(Stimulus(thumbnail(draw(jnd.level)), caption, jnd.level, units.strength(jnd.strength, unit)))
    return shown


def typical(outcomes: Sequence[Outcome], keeps: Callable[[str], bool], used: Counter[str], most: int) -> list[str]:
    """Choose references whose 1st JND lies nearest the median, preferring those the page has not shown yet.

    Args:
        outcomes: of one distortion, all observers.
        keeps: whether the run has kept a picture, by digest.
        used: how often the page has shown each picture; counted up.
        most: how many.

    Returns:
        Ids of series, where any is complete.
    """
    observers: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status is SeriesStatus.COMPLETE and outcome.thresholds:
            observers.setdefault((outcome.observer, outcome.question), []).append(outcome)
    away: dict[str, float] = defaultdict(float)
    rows: dict[str, SeriesRow] = {}
    for group in observers.values():
        middle = statistics.median(outcome.thresholds[0].level for outcome in group)
        for outcome in group:
            rows[outcome.series.id] = outcome.series
            away[outcome.series.id] += abs(outcome.thresholds[0].level - middle)
    by_distance = sorted(rows.values(), key=lambda row: (not keeps(row.picture), away[row.id], row.name, row.id))
    near = by_distance[: max(most, -(-len(by_distance) // 2))]
    near.sort(key=lambda row: (not keeps(row.picture), used[row.picture], away[row.id], row.name, row.id))
    used.update(row.picture for row in near[:most])
    return [row.id for row in near[:most]]


def said(analysis: Analysis, names: ShortNames) -> Iterator[dict[str, str]]:
    """Yield one answer for each fault of each observer: the first that the run holds."""
    for (observer, question), name in names.asked.items():
        rows = [row for row in analysis.answers if (row.observer, row.question) == (observer, question)]
        wanted = {fault for row in rows for fault in Fault if getattr(row, fault.value).k}
        answers = (
            (trial, fault)
            for outcome in analysis.outcomes if (outcome.observer, outcome.question) == (observer, question)
            for trial, fault in faulty(analysis.questions[question], outcome)
        )  # fmt: skip
        while wanted and (answer := next(answers, None)):
            trial, fault = answer
            if fault in wanted and trial.answer is not None:
                wanted.remove(fault)
                yield {"who": name, "fault": fault.value, "text": clean(trial.answer.text, 300)}
