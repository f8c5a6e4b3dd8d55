"""Did the observer pass its exam, and what of each stimulus reached it: the exam, the floor under every JND."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limen.analysis import Analysis, Outcome
from limen.preflight import exam
from limen.preflight.evidence import CheckStatus
from limen.report import distances
from limen.report.runs import Run
from limen.report.section import Section
from limen.report.table import Table
from limen.store import Store

NUMERIC = ("encoder", "vision")  # observers that no question can be put to
_ABOUT = (
    "Before the first question an exam finds out whether two pictures arrive, apart, in order and in their size, and "
    "whether the settings count. The floor is the first level at which the model's input differs from the reference's "
    "at all: what its processor removes, no model can notice."
)


def sections(runs: Sequence[Run], analyses: Sequence[Analysis]) -> Iterator[Section]:
    """Yield the section, where any run was examined or looked through.

    Args:
        runs: of observers of images.
        analyses: of each run, with the names that the page gives its observers (`limen.analysis.merge.renamed`).
    """
    found = [table for table in (exams(runs, analyses), floors(runs, analyses)) if table.rows]
    if found:
        yield Section("reached", "What reached the observer", _ABOUT, tuple(found))


def records(store: Store) -> dict[str, Any]:
    """Return a run's exams, as-seen floors, criteria and the numbers judged by them, as plain data."""
    return {
        "exams": store.manifest.get("exams", {}),
        "floors": list(store.measurements("floor").values()),
        "criteria": list(store.measurements("calibration").values()),
        "distances": distances.records(store),
    }


def exams(runs: Sequence[Run], analyses: Sequence[Analysis]) -> Table:
    """Lay out the exam of each observer of each run."""
    rows = []
    for run, analysis in zip(runs, analyses, strict=True):
        held = {one.observer: one for one in exam.kept(run.store)}
        for (own, fingerprint), observer in zip(
            run.analysis.manifest["observers"].items(), analysis.manifest["observers"], strict=True
        ):
            one = held.get(own)
            if one is None:
                why = "compares by a number" if fingerprint.get("kind") in NUMERIC else "not examined"
                rows.append((observer, why, "", "", ""))
                continue
            unknown = ", ".join(result.check for result in one.having(CheckStatus.UNKNOWN))
            outcome = f"not finished: {len(one.waiting)} questions open"
            if one.fit or one.failed:
                outcome = "passed" if one.fit else f"failed: {one.complaint}"
            rows.append((observer, outcome, "; ".join(one.marks) or "none", unknown or "nothing", str(one.answered)))
    columns = ("observer", "exam", "findings", "not known", "answers")
    notes = (
        "A finding marks the run, and does not stop it. What could not be decided is not known, neither good nor bad.",
    )
    return Table("Exam", columns, tuple(rows), notes)


def floors(runs: Sequence[Run], analyses: Sequence[Analysis]) -> Table:
    """Lay out the as-seen floor beside the 1st JND, by observer and distortion."""
    groups: dict[tuple[str, str, str], list[tuple[Outcome, Mapping[str, Any]]]] = defaultdict(list)
    for run, analysis in zip(runs, analyses, strict=True):
        kept = {(row["observer"], row["series"]): row for row in run.store.measurements("floor").values()}
        for own, outcome in zip(run.analysis.outcomes, analysis.outcomes, strict=True):
            row = kept.get((own.observer, own.series.id))
            if row:
                groups[outcome.series.distortion, outcome.observer, outcome.question].append((outcome, row))
    several = len({question for analysis in analyses for question in analysis.manifest["questions"]}) > 1
    cells = [
        (distortion, observer, *((question,) if several else ()), *_floor([row for _, row in pairs]), *_at_jnd(pairs))
        for (distortion, observer, question), pairs in sorted(groups.items())
    ]
    columns = (
        *("distortion", "observer", *(("question",) if several else ()), "series", "first level that arrives"),
        *("never arrives", "1st JND", "PSNR there, as sent", "as seen"),
    )
    return Table(
        "As-seen floor",
        columns,
        tuple(cells),
        (
            "Medians over series. First level that arrives: the first at which the model's input differs at all. PSNR "
            "in dB of the stimulus at the 1st JND against its reference, as it was sent and as the model gets it: "
            "where the second is much higher, the processor hides the change.",
        ),
        heads=2,
    )


def _floor(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    first = [row["first"] if row["first"] is not None else math.inf for row in rows]
    middle = statistics.median_low(first)
    never = sum(math.isinf(level) for level in first)
    return f"{len(rows)}", "none" if math.isinf(middle) else f"{middle:.0f}", f"{never} of {len(rows)}"


def _at_jnd(pairs: Sequence[tuple[Outcome, Mapping[str, Any]]]) -> tuple[str, ...]:
    """Return the median 1st JND, and the median PSNR there as sent and as seen; of series that have one."""
    found = [(o.thresholds[0].level, row) for o, row in pairs if o.thresholds and not o.thresholds[0].censored]
    if not found:
        return "none", "", ""
    levels = [level for level, _ in found]
    told = [f"{statistics.median_low(levels)}"]
    for name in ("sent_db", "seen_db"):
        values = [row[name][level - 1] for level, row in found]
        middle = statistics.median_low([math.inf if value is None else value for value in values])
        told.append("equal" if math.isinf(middle) else f"{middle:.1f}")
    return tuple(told)
