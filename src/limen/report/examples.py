"""What a page shows of single series and answers: stimuli at JNDs beside the answers, and one answer of each fault."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from limen import question as questions
from limen.analysis import Analysis, Outcome, faulty
from limen.errors import LimenError
from limen.image import Image
from limen.ladder import Ladder
from limen.parsing.yes_no import Fault
from limen.report import figures, html, pictures
from limen.report.labels import Names
from limen.report.runs import Run, keeper
from limen.store import Store


def examples(runs: Sequence[Run], analysis: Analysis, names: Names) -> Iterator[dict[str, Any]]:
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
    count = 2 if len(names.asked) == 1 and len(by_distortion) <= 5 else 1
    for name, outcomes in sorted(by_distortion.items()):
        kind = analysis.manifest["distortions"][name]
        ladder = Ladder(tuple(kind["strengths"]), kind["unit"], kind["version"])
        shown = []
        for series in pictures.typical(outcomes, keeps, used, count):
            mine = [outcome for outcome in outcomes if outcome.series.id == series and outcome.thresholds]
            mine.sort(key=lambda outcome: names.position(outcome.observer, outcome.question))
            lanes = []
            for outcome in mine:
                there = [run.store for run in runs if series in held[run.name]]
                lanes.append(_lane(there, outcome, ladder, names, spent))
                spent += sum(len(item.picture.source) for item in lanes[-1]["stimuli"])
            shown.append({"reference": html.clean(mine[0].series.name, 80), "lanes": lanes})
        yield {"distortion": name, "word": kind["word"], "unit": kind["unit"], "levels": len(ladder), "shown": shown}


def _lane(stores: Sequence[Store], outcome: Outcome, ladder: Ladder, names: Names, spent: int) -> dict[str, Any]:
    position = names.position(outcome.observer, outcome.question)
    who = names.asked[outcome.observer, outcome.question]
    found: list[pictures.Stimulus] = []
    note = "" if spent < pictures.MOST else "Pictures left out: the page has reached its size."
    if not note:
        try:
            found = pictures.stimuli(_renderer(stores, outcome), outcome, ladder)
        except LimenError as error:
            note = str(error)
    return {
        "who": who,
        "colour": figures.on_page(figures.colour(position)),
        "jnds": _in_words(outcome),
        "figure": figures.both(
            lambda width: figures.responses(outcome, position, len(ladder), width),
            f"Answers of {who} by level of {outcome.series.distortion}",
        ),
        "stimuli": found,
        "note": note,
    }


def _in_words(outcome: Outcome) -> str:
    found = [str(threshold) for threshold in outcome.thresholds if not threshold.censored]
    if not found:
        return f"no JND up to level {outcome.thresholds[-1].level}"
    end = "; none after that" if outcome.thresholds[-1].censored else ""
    return f"JND{'s' if len(found) > 1 else ''} at level{'s' if len(found) > 1 else ''} {', '.join(found)}{end}"


def _renderer(stores: Sequence[Store], outcome: Outcome) -> Callable[[int], Image]:
    """Return a function from level to picture, from the first run that has kept the reference."""
    kept = [store for store in stores if store.picture(outcome.series.picture) is not None]
    return pictures.renderer((kept or stores)[0], outcome.series, views=True)


def said(analysis: Analysis, names: Names) -> Iterator[dict[str, str]]:
    """Yield one answer for each fault of each observer: the first that the run holds."""
    for (observer, question), name in names.asked.items():
        rows = [row for row in analysis.answers if (row.observer, row.question) == (observer, question)]
        wanted = {fault for row in rows for fault in Fault if getattr(row, fault.value).k}
        found = (
            (trial, fault)
            for outcome in analysis.outcomes if (outcome.observer, outcome.question) == (observer, question)
            for response in outcome.responses for trial, fault in faulty(questions.find(question), response)
        )  # fmt: skip
        while wanted and (told := next(found, None)):
            trial, fault = told
            if fault in wanted and trial.answer is not None:
                wanted.remove(fault)
                yield {"who": name, "fault": fault.value, "text": html.clean(trial.answer.text, 300)}
