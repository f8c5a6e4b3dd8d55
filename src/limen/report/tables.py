"""Tables as people read them: text cells with intervals, and the same numbers raw for JSON and CSV."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from limen.analysis import FEW, Analysis, AnswerRow, JndRow, Quantile
from limen.curve import Curve, Interval, Share


@dataclass(frozen=True, slots=True)
class Table:
    """A table to print.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: cells, as text.
        notes: what a reader must know to read it right.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def first_jnds(analysis: Analysis) -> Table:
    """Return the table of 1st JNDs: location, spread, censoring and false alarms of each distortion."""
    answers = {(row.observer, row.question, row.distortion): row for row in analysis.answers}
    rows = []
    for row in analysis.jnds:
        if row.order == 1:
            of = answers[row.observer, row.question, row.distortion]
            rows.append((*_who(analysis, row), *_jnd_cells(row), _alarms(of), str(row.questions)))
    return Table(
        "1st just noticeable difference",
        (
            *_who_columns(analysis),
            "distortion",
            "n",
            "median",
            "quartiles",
            "mean [95 %]",
            "none up to L",
            "at the median",
            "false alarms",
            "questions",
        ),  # fmt: skip
        tuple(rows),
        _notes(analysis),
    )


def nth_jnds(analysis: Analysis) -> Table:
    """Return the table of n-th JNDs where more than the first was looked for."""
    rows = [
        (
            *_who(analysis, row),
            row.distortion,
            str(row.order),
            str(row.n - row.censored.k),
            _number(row.mean),
            str(row.median),
        )
        for row in analysis.jnds
        if row.censored.k < row.n
    ]
    columns = (*_who_columns(analysis), "distortion", "order", "reached", "mean (restricted)", "median")
    return Table("1st to n-th just noticeable difference", columns, tuple(rows))


def faults(analysis: Analysis) -> Table:
    """Return the table of what was wrong with the answers."""
    rows = [
        (*_who(analysis, row), row.distortion, str(row.questions), *(
            _percent(share) for share in (row.antilogy, row.gibberish, row.deficiency, row.unreadable, row.inversions)
        ))
        for row in analysis.answers
    ]  # fmt: skip
    columns = (
        *_who_columns(analysis),
        "distortion",
        "answers",
        "antilogy",
        "gibberish",
        "deficiency",
        "unreadable",
        "inversions",
    )
    return Table("Faults of the answers", columns, tuple(rows))


def records(analysis: Analysis) -> dict[str, Any]:
    """Return every table's numbers, and each series' thresholds, as plain data for JSON."""
    return {
        "manifest": plain(analysis.manifest),
        "jnds": [plain(row) for row in analysis.jnds],
        "answers": [plain(row) for row in analysis.answers],
        "curves": [plain(row) for row in analysis.curves],
        "series": [
            {
                "observer": outcome.observer,
                "question": outcome.question,
                "distortion": outcome.series.distortion,
                "reference": outcome.series.name,
                "picture": outcome.series.picture,
                "status": outcome.status.value,
                "floor": list(outcome.floor),
                "thresholds": [plain(threshold) for threshold in outcome.thresholds],
            }
            for outcome in analysis.outcomes
        ],
        "attempts": [
            {"observer": observer, "outcome": outcome, "count": count}
            for (observer, outcome), count in sorted(analysis.attempts.items())
        ],
    }


def plain(value: Any) -> Any:
    """Turn dataclasses, enums and NaN into JSON's own kinds; a share also gets its value and interval."""
    if isinstance(value, Share):
        interval = plain(value.interval)
        return {"k": value.k, "n": value.n, "value": plain(value.value), "interval": interval}
    if isinstance(value, Quantile):
        return {"level": plain(value.level), "censored": value.censored}
    if isinstance(value, Curve):
        return {"levels": value.levels, "yes": value.yes, "n": value.n, "half": value.crossing(0.5)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sentence(analysis: Analysis) -> str:
    """Return the sentence to quote: what was measured, how, with which versions."""
    manifest = analysis.manifest
    settings = ", ".join(f"{key} {value}" for key, value in manifest["procedure"].items() if key != "name")
    kinds = ", ".join(f"{name} v{kind['version']}" for name, kind in manifest["distortions"].items())
    asked = ", ".join(f"{name} ({question['order']})" for name, question in manifest["questions"].items())
    references = len({outcome.series.picture for outcome in analysis.outcomes})
    return (
        f"Just noticeable differences of {', '.join(manifest['observers'])} over {references} references, "
        f"measured with limen {manifest['limen']} (procedure {manifest['procedure']['name']}: {settings}; "
        f"question {asked}; distortions {kinds}; reader v{manifest['reader']}; seed {manifest['seed']})."
    )


def _jnd_cells(row: JndRow) -> Iterable[str]:
    yield row.distortion
    yield str(row.n)
    if not row.n:
        yield from ("-", "-", "-", "-", "-")
        return
    yield str(row.median)
    yield f"{row.q1} - {row.q3}"
    yield f"{_number(row.mean)} {_interval(row.interval)}".strip()
    yield f"{row.censored.k} of {row.censored.n}" + (f" ({row.unconfirmed} unconfirmed)" if row.unconfirmed else "")
    yield "-" if row.strength is None else f"{row.strength:.3g} {row.unit.split(' (')[0]}"


def _alarms(row: AnswerRow) -> str:
    same = Share(
        row.false_alarms_clean.k + row.false_alarms_distorted.k, row.false_alarms_clean.n + row.false_alarms_distorted.n
    )
    return f"{same.k} of {same.n}" + ("*" if 0 < same.n < FEW else "")


def _who(analysis: Analysis, row: JndRow | AnswerRow) -> tuple[str, ...]:
    who = (row.observer,) if len(analysis.manifest["observers"]) > 1 else ()
    return who + ((row.question,) if len(analysis.manifest["questions"]) > 1 else ())


def _who_columns(analysis: Analysis) -> tuple[str, ...]:
    who = ("observer",) if len(analysis.manifest["observers"]) > 1 else ()
    return who + (("question",) if len(analysis.manifest["questions"]) > 1 else ())


def _notes(analysis: Analysis) -> tuple[str, ...]:
    rows = [row for row in analysis.jnds if row.order == 1]
    notes = ["Levels; median and quartiles over references, > where they fall among series without a JND; "
             "mean restricted at L (a series without a JND counts as L), 95 % BCa bootstrap over references."]  # fmt: skip
    if any(0 < a.false_alarms_clean.n + a.false_alarms_distorted.n < FEW for a in analysis.answers):
        notes.append(f"* false alarms from fewer than {FEW} identical pairs: too few to tell.")
    for what in ("not_applicable", "unfinished", "undetermined"):
        total = sum(getattr(row, what) for row in rows)
        if total:
            notes.append(f"{total} series {what.replace('_', ' ')}, left out.")
    return tuple(notes)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.1f}, {interval.high:.1f}]"


def _percent(share: Share) -> str:
    return "-" if not share.n else f"{100 * share.value:.1f} %"
