"""Of observers that answer with a number: what they judge by, and what the numbers were, level by level."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limen.analysis import Analysis
from limen.preflight import model_input
from limen.report.runs import Run
from limen.report.section import Section
from limen.report.table import Table
from limen.store import Store

_ABOUT = (
    "These observers compare two pictures by a number and say yes above a criterion. A 1st JND at the first level says "
    "only that the threshold lies there or below (<=1): compare the numbers, or a criterion from a larger nuisance."
)


def sections(runs: Sequence[Run]) -> Iterator[Section]:
    """Yield the section, where an observer of any run answers with numbers."""
    found = [one for run in runs if (one := table(run.store, run.analysis, run.name if len(runs) > 1 else "")).rows]
    if found:
        yield Section("distances", "Numbers behind the verdicts", _ABOUT, tuple(found))


def records(store: Store) -> list[dict[str, Any]]:
    """Return what each level of each series was answered with, against the reference, as plain data."""
    distortions = {row.id: row.distortion for row in store.series()}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for observer in _numeric(store):
        for trial in store.trials(observer):
            number = (
                model_input.number(trial.answer.text)
                if trial.answer and (trial.reference, trial.draw) == (0, 0)
                else None
            )
            if number is None or not trial.level:
                continue
            row = found.setdefault(
                (observer, trial.series),
                {"observer": observer, "distortion": distortions[trial.series], "series": trial.series}
                | {"unit": number.unit, "criterion": number.criterion, "levels": {}},
            )
            row["levels"][str(trial.level)] = number.value
    return list(found.values())


def table(store: Store, analysis: Analysis, run: str = "") -> Table:
    """Lay out the numbers at the first level and at the 1st JND, by distortion and observer.

    Args:
        store: of the run.
        analysis: of the same run.
        run: its name, for the title; "" where there is only one.
    """
    firsts = {
        (outcome.observer, outcome.series.id): outcome.thresholds[0].level
        for outcome in analysis.outcomes
        if outcome.thresholds and outcome.thresholds[0].reached
    }
    groups: dict[tuple[str, str], list[tuple[Mapping[str, Any], int | None]]] = defaultdict(list)
    for row in records(store):
        groups[row["distortion"], row["observer"]].append((row, firsts.get((row["observer"], row["series"]))))
    rows = []
    for (distortion, observer), pairs in sorted(groups.items()):
        lowest = [row["levels"]["1"] for row, _ in pairs if "1" in row["levels"]]
        there = [row["levels"][str(level)] for row, level in pairs if str(level) in row["levels"]]
        floored = sum(level == 1 for _, level in pairs)
        cells = (f"{pairs[0][0]['criterion']:.3g} {pairs[0][0]['unit']}", _median(lowest), _median(there))
        rows.append((distortion, observer, *cells, f"{floored} of {len(pairs)}"))
    columns = ("distortion", "observer", "yes above", "at level 1", "at the 1st JND", "1st JND <=1")
    judged = (f"{name}: {model_input.judged(row)}." for name, row in store.measurements("calibration").items())
    notes = (*judged, "Medians over series, with how many of them were asked there.")
    return Table(f"Numbers behind the verdicts{f', {run}' if run else ''}", columns, tuple(rows), notes, heads=2)


def _numeric(store: Store) -> Iterator[str]:
    """Yield the observers whose answers hold a number: the first answer of each is looked at."""
    for observer in store.manifest["observers"]:
        answers = (trial.answer for trial in store.trials(observer) if trial.answer is not None)
        first = next(answers, None)
        if first is not None and model_input.number(first.text) is not None:
            yield observer


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({len(values)})" if values else ""
