"""What is known of the observers: their exam, what reached them, by which numbers they judge, which models answered."""

import dataclasses
import datetime
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from limen.analysis import Analysis, Outcome, SeriesStatus
from limen.analysis.merge import unlike
from limen.analysis.trust import NUMERIC
from limen.preflight import exam, model_input
from limen.preflight.evidence import CheckStatus
from limen.report.format import Table
from limen.report.runs import OpenRun
from limen.store import Origin, Store
from limen.store.shards import listed

LISTED = 5  # series that a warning names


def records(store: Store) -> dict[str, Any]:
    """Return a run's exams, as-seen floors, criteria and the numbers judged by them, as plain data."""
    return {
        "exams": store.manifest.get("exams", {}),
        "floors": list(store.measurements("floor").values()),
        "criteria": list(store.measurements("calibration").values()),
        "distances": distance_records(store),
    }


# --- the exam, and the floor under every JND ---


def exams(runs: Sequence[OpenRun], analyses: Sequence[Analysis]) -> Table:
    """Lay out the exam of each observer of each run.

    Args:
        runs: of observers of images.
        analyses: of each run, with the names that the page gives its observers.
    """
    rows, elsewhere = [], False
    for run, analysis in zip(runs, analyses, strict=True):
        held = exam.kept(run.store)
        own_names = run.analysis.manifest.observers.items()
        for (own, fingerprint), observer in zip(own_names, analysis.manifest.observers, strict=True):
            results = exam.at_places(own, held)
            elsewhere |= any(result.observer != own for result in results)
            if not results:
                why = "compares by a number" if fingerprint.get("kind") in NUMERIC else "not examined"
                rows.append((observer, why, "", "", ""))
            for result in results:
                unknown = ", ".join(check.check for check in result.having(CheckStatus.UNKNOWN))
                outcome = f"not finished: {len(result.waiting)} questions open"
                if result.fit or result.failed:
                    outcome = "passed" if result.fit else f"failed: {result.complaint}"
                name = observer + result.observer.removeprefix(own)
                findings = "; ".join(result.marks) or "none"
                rows.append((name, outcome, findings, unknown or "nothing", str(result.answered)))
    columns = ("observer", "exam", "findings", "not known", "answers")
    notes = [
        "A finding marks the run, and does not stop it. What could not be decided is not known, neither good nor bad."
    ]
    if elsewhere:
        notes.append("What has a # behind its name is another endpoint of the same observer.")
    return Table("Exam", columns, tuple(rows), tuple(notes))


def floors(runs: Sequence[OpenRun], analyses: Sequence[Analysis]) -> Table:
    """Lay out the as-seen floor beside the 1st JND, by observer and distortion; arguments as of `exams`."""
    groups: dict[tuple[str, str, str], list[tuple[Outcome, Mapping[str, Any]]]] = defaultdict(list)
    for run, analysis in zip(runs, analyses, strict=True):
        kept = {(row["observer"], row["series"]): row for row in run.store.measurements("floor").values()}
        for own, outcome in zip(run.analysis.outcomes, analysis.outcomes, strict=True):
            row = kept.get((own.observer, own.series.id))
            if row:
                groups[outcome.series.distortion, outcome.observer, outcome.question].append((outcome, row))
    several = len({question for analysis in analyses for question in analysis.manifest.questions}) > 1
    cells = tuple(
        (distortion, observer, *((question,) if several else ()), *_floor([row for _, row in pairs]), *_at_jnd(pairs))
        for (distortion, observer, question), pairs in sorted(groups.items())
    )
    columns = (
        *("distortion", "observer", *(("question",) if several else ()), "series", "first level that arrives"),
        *("never arrives", "1st JND", "PSNR there, as sent", "as seen"),
    )
    notes = (
        "Medians over series. First level that arrives: the first at which the model's input differs at all. PSNR "
        "in dB of the stimulus at the 1st JND against its reference, as it was sent and as the model gets it: "
        "where the second is much higher, the processor hides the change.",
    )
    return Table("As-seen floor", columns, cells, notes, heads=2)


def _floor(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    levels = [row["first"] if row["first"] is not None else math.inf for row in rows]
    return f"{len(rows)}", _middle(levels, "none", 0), f"{sum(map(math.isinf, levels))} of {len(rows)}"


def _at_jnd(pairs: Sequence[tuple[Outcome, Mapping[str, Any]]]) -> tuple[str, ...]:
    """Return the median 1st JND, and the median PSNR there as sent and as seen; of series that have one."""
    levels = [(o.thresholds[0].level, row) for o, row in pairs if o.thresholds and not o.thresholds[0].censored]
    if not levels:
        return "none", "", ""
    decibels = [[row[name][level - 1] for level, row in levels] for name in ("sent_db", "seen_db")]
    psnr = ([math.inf if value is None else value for value in values] for values in decibels)
    return _middle([level for level, _ in levels], "none", 0), *(_middle(values, "equal", 1) for values in psnr)


def _middle(values: Sequence[float], infinite: str, digits: int) -> str:
    middle = statistics.median_low(values)
    return infinite if math.isinf(middle) else f"{middle:.{digits}f}"


# --- numbers behind the verdicts ---


def distance_records(store: Store) -> list[dict[str, Any]]:
    """Return what each level of each series was answered with, against the reference, as plain data."""
    distortions = {row.id: row.distortion for row in store.series()}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for observer in _numeric(store):
        for trial in store.trials(observer):
            if not trial.answer or not trial.level or (trial.reference, trial.draw) != (0, 0):
                continue
            number = model_input.number(trial.answer.text)
            if number is None:
                continue
            row = rows.setdefault(
                (observer, trial.series),
                {"observer": observer, "distortion": distortions[trial.series], "series": trial.series}
                | {"unit": number.unit, "criterion": number.criterion, "levels": {}},
            )
            row["levels"][str(trial.level)] = number.value
    return list(rows.values())


def distances(store: Store, analysis: Analysis, run: str = "") -> Table:
    """Lay out the numbers at the first level and at the 1st JND, by distortion and observer.

    Args:
        store: of the run.
        analysis: of the run.
        run: its name, where the page has several; else "".
    """
    firsts = {
        (outcome.observer, outcome.series.id): outcome.thresholds[0].level
        for outcome in analysis.outcomes
        if outcome.thresholds and outcome.thresholds[0].reached
    }
    groups: dict[tuple[str, str], list[tuple[Mapping[str, Any], int | None]]] = defaultdict(list)
    for row in distance_records(store):
        groups[row["distortion"], row["observer"]].append((row, firsts.get((row["observer"], row["series"]))))
    rows = []
    for (distortion, observer), pairs in sorted(groups.items()):
        lowest = [row["levels"]["1"] for row, _ in pairs if "1" in row["levels"]]
        there = [row["levels"][str(level)] for row, level in pairs if str(level) in row["levels"]]
        at_first = sum(level == 1 for _, level in pairs)
        cells = (f"{pairs[0][0]['criterion']:.3g} {pairs[0][0]['unit']}", _median(lowest), _median(there))
        rows.append((distortion, observer, *cells, f"{at_first} of {len(pairs)}"))
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


# --- which models answered ---


def unfinished(outcomes: Iterable[Outcome]) -> str:
    """Return how many series are not finished, in words; "" for none."""
    each = Counter(one.status in (SeriesStatus.UNFINISHED, SeriesStatus.UNDETERMINED) for one in outcomes)
    return f"{each[True]:,} of {each.total():,} series {'are' if each[True] > 1 else 'is'} open" if each[True] else ""


def lacking(analysis: Analysis) -> str:
    """Return what a report of these runs does not show, in words; "" where it shows all."""
    parts = [unfinished(analysis.outcomes), f"missing: {listed(analysis.missing)}" if analysis.missing else ""]
    return "; ".join(filter(None, parts))


def warnings(analysis: Analysis) -> list[str]:
    """Return a sentence for each observer of several models or systems, unlike ladders, and shards that are missing."""
    lines = [*unlike(analysis), *_published(analysis)]
    if analysis.missing:
        lines.append(
            f"Not all of the study is here, and missing from every figure: {listed(analysis.missing)}. limen merge "
            "puts shards together."
        )
    for observer in dict.fromkeys(origin.observer for origin in analysis.origins):
        mine = [origin for origin in analysis.origins if origin.observer == observer]
        models, systems = ([origin for origin in mine if origin.what == what] for what in ("model", "fingerprint"))
        if len(models) > 1:
            lines.append(
                f"{observer}: the model changed under the run ({_listed(models)}). Its numbers mix {len(models)} "
                f"models{_series(analysis, observer)}. Measure again into another --out, with a name that stays with "
                "one model."
            )
        elif len(systems) > 1:
            lines.append(
                f"{observer}: the fingerprint of the server changed under the run ({_listed(systems)}). Hosts change "
                "it with their software, too: it need not be another model."
            )
    return lines


def _published(analysis: Analysis) -> Iterator[str]:
    """Yield a sentence for each observer that stands for people whose thresholds others published."""
    for observer, about in analysis.manifest.observers.items():
        if about.get("kind") == "published":
            yield (
                f"{observer}: thresholds of people as others published them ({about.get('data', '')}: "
                f"{about.get('paper', '')}), for each reference the {about.get('statistic', 'median over people')}. No "
                "answers are behind them here: false alarms, faults and questions are not known."
            )


def noted(analysis: Analysis, table: Table) -> Table:
    """Return a table of numbers with the warnings among its notes."""
    lines = tuple(f"! {line}" for line in warnings(analysis))
    return dataclasses.replace(table, notes=(*lines, *table.notes)) if lines else table


def answering(analysis: Analysis) -> Table:
    """Return the table of who answered, where it was not one model and one system for each observer."""
    counts = Counter((origin.observer, origin.what) for origin in analysis.origins)
    rows = tuple(
        (origin.observer, origin.what, origin.said, f"{origin.answers:,}", _when(origin.first))
        for origin in analysis.origins
        if max(counts.values()) > 1
    )
    return Table("Who answered", ("observer", "what", "as the answers say", "answers", "first"), rows)


def origin_records(analysis: Analysis) -> dict[str, Any]:
    """Return who answered, the warnings, and the series with answers of several models, as plain data for JSON."""
    return {
        "models": [dataclasses.asdict(origin) | {"first": _when(origin.first)} for origin in analysis.origins],
        "mixed": [
            {"observer": observer, "distortion": distortion, "reference": name}
            for observer, distortion, name in analysis.mixed
        ],
        "warnings": warnings(analysis),
    }


def _listed(origins: Sequence[Origin]) -> str:
    named = [f"{origin.said}: {origin.answers:,} from {_when(origin.first)}" for origin in origins[:LISTED]]
    more = len(origins) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


def _series(analysis: Analysis, observer: str) -> str:
    mine = [f"{distortion} {name}" for who, distortion, name in analysis.mixed if who == observer]
    if not mine:
        return ", though no series has answers of more than one"
    more = f" and {len(mine) - LISTED} more" if len(mine) > LISTED else ""
    return f"; {len(mine)} series have answers of more than one ({', '.join(mine[:LISTED])}{more})"


def _when(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
