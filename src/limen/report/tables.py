"""Tables of the answers of a run: JNDs, faults, false alarms, cost; and the same numbers raw for JSON and CSV."""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from limen import registry
from limen.analysis import (
    FEW,
    Analysis,
    AnswerRow,
    CurveRow,
    JndRow,
    Outcome,
    SeriesStatus,
    false_alarms,
    sum_of,
    survival,
    units,
)
from limen.analysis.correlations import PARTS, part_of
from limen.analysis.people import PeopleRow, people_rows
from limen.analysis.tables import references_and_draws, strength_at
from limen.curve import Share
from limen.report import format as cell
from limen.report import people
from limen.report.format import NONE, Table, heads, in_order, plain, table, who

MUTE = 0.05  # share of unreadable pairs from which on a table says so


LEFT_OUT = (
    SeriesStatus.UNREADABLE, SeriesStatus.EXCLUDED, SeriesStatus.NOT_APPLICABLE, SeriesStatus.UNFINISHED,
    SeriesStatus.UNDETERMINED,
)  # fmt: skip


def first_jnds(analysis: Analysis) -> Table:
    """Return the table of 1st JNDs: location, spread, censoring and false alarms, observers under each distortion."""
    answers = _answers(analysis)
    rows = []
    for row in in_order(analysis, analysis.jnds):
        if row.order == 1:
            same = answers[row.observer, row.question, row.distortion].false_alarms
            rows.append((*heads(analysis, row), *_jnd_cells(row, same), cell.count(row.questions)))
    rows, more = _with_people(analysis, rows, "J", lambda row: (
        _met(row), f"{row.median}", cell.alarms(row.false_alarms), f"{row.q1} - {row.q3}", people.bounded(row),
        cell.k_of_n(row.beyond), _at_median(analysis, row), cell.count(row.questions),
    ))  # fmt: skip
    columns = (*_JND_COLUMNS, "questions")
    spare = ("questions", "quartiles", "none up to L")
    return table(analysis, "1st just noticeable difference", columns, rows, (*_notes(analysis), *more), spare)


def _at_median(analysis: Analysis, row: PeopleRow) -> str:
    """Return the strength at the median over series; that of the mean stands beside the mean (`PeopleRow.strength`)."""
    return units.strength(strength_at(row.median, analysis.manifest.distortions[row.distortion].strengths), row.unit)


def _with_people(
    analysis: Analysis, rows: list[tuple[str, ...]], measure: str, cells: Callable[[PeopleRow], tuple[str, ...]]
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Return rows of observers with those of people taken together under each distortion, and what to know of them.

    Args:
        analysis: of a run, or of several put together.
        rows: of observers, by distortion.
        measure: that the table is of.
        cells: of a row after its heads.
    """
    if len(analysis.manifest.observers) < 2 or not analysis.people:
        return rows, ()
    found = [row for row in people_rows(analysis) if row.measure == measure]
    asked = len(analysis.manifest.questions) > 1
    mine = [
        (row.distortion, f"people (n = {row.people})", *((row.question,) * asked), *cells(row)) for row in found
    ]  # fmt: skip
    out = sorted({name for row in found for name in row.left_out})
    without = f" Without {', '.join(out)}, who failed the attention rule." if out else ""
    note = (
        "People: people x references; over both [95 %, crossed bootstrap that draws people and references anew; "
        f"? below five of either]{'; median and quartiles over all their series' * (measure != 'half')}.{without}"
    )
    notes = (note, *([people.CHOSEN] if any(map(people.not_fixed, found)) else []))
    return sorted([*rows, *mine], key=lambda line: line[0]), notes if found else ()


def _met(row: PeopleRow) -> str:
    return f"{row.people} x {row.references}"


def _answers(analysis: Analysis) -> dict[tuple[str, str, str], AnswerRow]:
    return {(row.observer, row.question, row.distortion): row for row in analysis.answers}


def categories(analysis: Analysis) -> Table:
    """Return the table of 1st JNDs by category of items; without lines where there are not several."""
    lines = [
        (*heads(analysis, one.row), one.category or "(none)", *_jnd_cells(one.row, one.false_alarms),
         cell.count(one.row.excluded))
        for one in analysis.categories
    ]  # fmt: skip
    columns = ("category", *_JND_COLUMNS, "excluded")
    notes = _unconfirmed(one.row for one in analysis.categories)
    return table(analysis, "1st just noticeable difference by category", columns, lines, notes)


def nth_jnds(analysis: Analysis) -> Table:
    """Return the table of n-th JNDs where more than the first was looked for."""
    rows = [
        (*heads(analysis, row), str(row.order), f"{row.n - row.censored.k} of {row.n}",
         cell.estimate(row.mean, row.interval), str(row.median))
        for row in in_order(analysis, analysis.jnds)
        if row.censored.k < row.n
    ]  # fmt: skip
    columns = ("order", "reached", "mean (restricted) [95 %]", "median")
    return table(analysis, "1st to n-th just noticeable difference", columns, rows)


def faults(analysis: Analysis) -> Table:
    """Return the table of what was wrong with the answers, with Wilson intervals."""
    rows = []
    for row in (*in_order(analysis, analysis.answers), *_by_part(analysis)):
        shares = map(cell.percent, (row.antilogy, row.gibberish, row.deficiency, row.unreadable))
        rows.append((*heads(analysis, row), cell.count(row.questions), *shares, cell.k_of_n(row.inversions)))
    columns = ("answers", "antilogy", "gibberish", "deficiency", "unreadable", "inversions")
    notes = (
        "Per cent [95 % Wilson interval]: faults of answers, unreadable of pairs (after the paraphrase). Inversions: "
        "of two levels of a series of which one was noticed, it was the lower one (pairs depend: no interval). "
        "A part's row adds its distortions up; an answer that two of them share counts twice.",
    )
    return table(analysis, "Faults of the answers", columns, rows, notes)


def _by_part(analysis: Analysis) -> Iterable[AnswerRow]:
    """Yield the answers of each part of the data set that the run has more than one distortion of, added up."""
    mine: dict[tuple[str, str, str], list[AnswerRow]] = {}
    for row in in_order(analysis, analysis.answers):
        mine.setdefault((part_of(row.distortion), row.observer, row.question), []).append(row)
    for (part, _, _), rows in sorted(mine.items(), key=lambda item: [*PARTS, ""].index(item[0][0])):
        if part and len(rows) > 1:
            shares = ("antilogy", "gibberish", "deficiency", "unreadable", "inversions")
            added: dict[str, Any] = {name: sum_of(*(getattr(row, name) for row in rows)) for name in shares}
            questions = sum(row.questions for row in rows)
            yield dataclasses.replace(rows[0], distortion=f"all {part}", questions=questions, **added)


def identical_pairs(analysis: Analysis) -> Table:
    """Return the table of yes to identical pairs, undistorted and distorted ones apart, with Wilson intervals."""
    known = in_order(analysis, analysis.answers)
    rows = [
        (*heads(analysis, row), cell.rate(row.false_alarms_clean, FEW), cell.rate(row.false_alarms_distorted, FEW))
        for row in known
    ]
    if len({row.distortion for row in known}) > 1:
        for asked, row in {(row.observer, row.question): row for row in known}.items():
            mine = [outcome for outcome in analysis.outcomes if (outcome.observer, outcome.question) == asked]
            rows.append(("all", *who(analysis, row), *(cell.rate(share, FEW) for share in false_alarms(mine))))
    columns = ("yes to identical undistorted pairs", "yes to identical distorted pairs")
    notes = (
        "Distinct questions, each counted once; 95 % Wilson interval. A pair above level 0 is shown where that "
        f"level has become a reference. Fewer than {FEW} pairs: too few to tell.",
    )
    return table(analysis, "False alarms", columns, rows, notes)


def course(analysis: Analysis) -> Table:
    """Return the table of what became of the series, and of what they cost."""
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in analysis.outcomes:
        for distortion in (outcome.series.distortion, "all"):
            groups[distortion, outcome.observer, outcome.question].append(outcome)
    known = in_order(analysis, analysis.answers)
    keys = [(row.distortion, row.observer, row.question) for row in known]
    if len({row.distortion for row in known}) > 1:
        keys += dict.fromkeys(("all", row.observer, row.question) for row in known)
    rows = []
    for key in keys:
        mine = groups[key]
        status = [outcome.status for outcome in mine]
        answers = {t.key: t.answer for o in mine for r in o.responses for t in r.trials if t.answer}.values()
        spent = (sum(getattr(a, side) or 0 for a in answers) for side in ("tokens_in", "tokens_out"))
        reported = any(a.tokens_in is not None for a in answers)
        rows.append((
            key[0], *who(analysis, mine[0]), str(len(mine)), *(str(status.count(kind)) for kind in SeriesStatus),
            cell.count(len(answers)), *(cell.count(tokens if reported else None) for tokens in spent),
        ))  # fmt: skip
    columns = ("series", *(status.value for status in SeriesStatus), "questions", "tokens in", "tokens out")
    notes = (
        "Not applicable: every stimulus asked for equals the reference. Undetermined: another version of the reader "
        "steered the run, this one would have asked more; run the study again to ask it. "
        "A question that two distortions share counts under each, and once in all. Tokens: - where none are told.",
        *([f"Not in the table: {analysis.unneeded:,} answers asked ahead and never needed."] * bool(analysis.unneeded)),
    )
    return table(analysis, "Series and cost", columns, rows, notes)


def attempts(analysis: Analysis) -> Table:
    """Return the table of how attempts to get an answer ended, failures too."""
    rows = [(observer, outcome, cell.count(times)) for (observer, outcome), times in sorted(analysis.attempts.items())]
    return Table("Attempts", ("observer", "outcome", "count"), tuple(rows))


_STAIRS = (
    "A staircase's estimate is the mean of its reversals: the point of 50 % only with equal steps and down = 1, "
    "not corrected for false alarms; sd each is the spread of those reversals, and no standard error."
)


def estimates(analysis: Analysis) -> Table:
    """Return the table of fitted thresholds, from a procedure that fits; never mixed with the protocol's JNDs."""
    answers = _answers(analysis)
    forced = {question.forced for question in analysis.questions.values()}
    rows = [
        (*heads(analysis, row), str(row.n), f"{row.median}", cell.alarms(row.false_alarms), f"{row.q1} - {row.q3}",
         cell.estimate(row.mean, row.interval), cell.k_of_n(row.beyond), cell.k_of_n(row.undetermined),
         cell.number(row.sd), units.strength(row.strength, row.unit), cell.count(row.questions))
        for row in in_order(analysis, analysis.estimates)
    ]  # fmt: skip
    rows = rows or [  # nothing could be read
        (*heads(analysis, row), "0", NONE,
         cell.alarms(answers[row.observer, row.question, row.distortion].false_alarms),
         *[NONE] * 6, cell.count(row.questions))
        for row in in_order(analysis, analysis.jnds) if row.order == 1
    ]  # fmt: skip
    rows, more = _with_people(analysis, rows, "T50", lambda row: (
        _met(row), f"{row.median}", cell.alarms(row.false_alarms), f"{row.q1} - {row.q3}", people.bounded(row),
        cell.k_of_n(row.beyond), str(row.untold), NONE, _at_median(analysis, row), cell.count(row.questions),
    ))  # fmt: skip
    columns = (
        "n", "median T50", "false alarms", "quartiles", "mean [95 %]", "beyond L", "undetermined", "sd each",
        "at the median", "questions",
    )  # fmt: skip
    note = (
        "T50: the level noticed half the time, false alarms and lapses apart"
        + " (in a forced choice among m, correct halfway between chance, 1/m, and 1)" * (True in forced)
        + ". Mean over references, restricted at L, 95 % BCa bootstrap; sd each: mean posterior sd of one reference's "
        "T50.",
        "The median here is over the references' own T50; limen fit gives that of their population, from all answers.",
        f"> L: more probably beyond the ladder; <=: {cell.counted(analysis)} at every level asked. Undetermined: the "
        "95 % interval holds four fifths of the ladder; such references are left out; ? where they are half of all or "
        "more."
        + " Read T50 beside the false alarms, yes to identical pairs: with many of them it is no keen eye."
        * (False in forced),
        *_few(row.false_alarms for row in analysis.estimates),
        *([_STAIRS] if analysis.manifest.procedure["name"] == "staircase" else []),
        *_left_out(Counter(outcome.status for outcome in analysis.outcomes)),
    )
    return table(analysis, "Fitted thresholds", columns, rows, (*note, *more))


def records(analysis: Analysis) -> dict[str, Any]:
    """Return every table's numbers, and each series' thresholds, as plain data for JSON."""
    return {
        "manifest": msgspec.to_builtins(analysis.manifest),
        "jnds": plain(analysis.jnds),
        "categories": plain(analysis.categories),
        "estimates": plain(analysis.estimates),
        "answers": plain(analysis.answers),
        "curves": plain(analysis.curves),
        "accuracy": plain(survival.accuracy(analysis)),
        "series": [
            {
                "observer": outcome.observer,
                "question": outcome.question,
                "distortion": outcome.series.distortion,
                "reference": outcome.series.name,
                "picture": outcome.series.picture,
                "status": outcome.status.value,
                "why": outcome.why,
                "category": outcome.item.category if outcome.item is not None else "",
                "floor": list(outcome.floor),
                "thresholds": plain(outcome.thresholds),
                "estimates": plain(outcome.estimates),
            }
            for outcome in analysis.outcomes
        ],
        "attempts": [
            {"observer": observer, "outcome": outcome, "count": count}
            for (observer, outcome), count in sorted(analysis.attempts.items())
        ],
    }


# What a median is worth stands beside it, where a phone still shows it.
_JND_COLUMNS = ("n", "median", "false alarms", "quartiles", "mean [95 %]", "none up to L", "at the median")


def _jnd_cells(row: JndRow, same: Share) -> Iterable[str]:
    if not row.n:
        return ("0", "not finished" if row.unfinished else NONE, cell.alarms(same), *[NONE] * 4)
    unconfirmed = f" ({row.unconfirmed} unconfirmed)" * bool(row.unconfirmed)
    return (
        str(row.n), str(row.median), cell.alarms(same), f"{row.q1} - {row.q3}", cell.estimate(row.mean, row.interval),
        cell.k_of_n(row.censored) + unconfirmed, units.strength(row.strength, row.unit),
    )  # fmt: skip


def _few(shares: Iterable[Share]) -> tuple[str, ...]:
    text = f"* false alarms from fewer than {FEW} identical pairs: too few to tell."
    return (text,) if any(0 < share.n < FEW for share in shares) else ()


def _unconfirmed(rows: Iterable[JndRow]) -> tuple[str, ...]:
    text = (
        "Unconfirmed: noticed, but so near the ladder's end that no whole window of higher levels could confirm it; "
        "such a series counts as one without a JND."
    )
    return (text,) if any(row.unconfirmed for row in rows) else ()


def _left_out(counts: Mapping[SeriesStatus, int]) -> Iterable[str]:
    said = {
        SeriesStatus.UNDETERMINED: "undetermined (another reader steered the run: run the study again)",
        SeriesStatus.UNFINISHED: "not finished (answers are missing: run the study again)",
    }
    for status in LEFT_OUT:
        if counts.get(status):
            yield f"{counts[status]} series {said.get(status, status)}, left out."


def _notes(analysis: Analysis) -> tuple[str, ...]:
    rows = [row for row in analysis.jnds if row.order == 1]
    notes = [
        "Levels; median and quartiles over references, > where they fall among series without a JND; "
        "mean restricted at L (a series without a JND counts as L), 95 % BCa bootstrap over references."
    ]
    notes.extend(_unconfirmed(rows))
    notes.extend(_few(row.false_alarms for row in analysis.answers))
    if any(question.alone for question in analysis.questions.values()):
        notes.append(
            "Where answers are compared, false alarms are the unrest: controls (one grey level of noise, options in "
            "another order) that change the answer. Excluded: the answer to the reference is wrong, or cannot be read."
        )
    dumb = sorted({a.distortion for a in analysis.answers if a.unreadable.n and MUTE < a.unreadable.value < 1})
    if dumb:
        notes.append(
            f"! More than {100 * MUTE:.0f} % of the pairs unreadable, which count as unnoticed: {', '.join(dumb)}."
        )
    return (*notes, *_left_out({kind: sum(getattr(row, kind.name.lower()) for row in rows) for kind in LEFT_OUT}))


_DRAWN = (
    "Several draws of a pair, declared: the next one shows it in the other order, or is another sample where the model "
    "samples. The shares take all draws together; limen fit says how far they agree."
)


def curves(analysis: Analysis) -> Table:
    """Return the table of what was noticed against level, for a run that asked fixed levels."""
    levels = sorted({level for row in analysis.curves for level in row.curve.levels})
    answers, known = _answers(analysis), in_order(analysis, analysis.curves)
    same = [answers[row.observer, row.question, row.distortion].false_alarms for row in known]
    rows, most, begun = [], 0, survival.groups(analysis, whole=False)
    for row, false in zip(known, same, strict=True):
        shares = dict(zip(row.curve.levels, row.curve.shares, strict=True))
        cells = (f"{shares[k].value:.2f}" if k in shares else "" for k in levels)
        n, draws = references_and_draws(begun[row.observer, row.question, row.distortion])
        most = max(most, draws)
        rows.append(
            (
                *heads(analysis, row),
                f"{n}{f' x {draws} draws' * (draws > 1)}",
                _half(row) if n else NONE,
                cell.alarms(false),
                *cells,
            )
        )
    rows, more = _with_people(analysis, rows, "half", lambda row: (
        _met(row), people.bounded(row), cell.alarms(row.false_alarms), *("",) * len(levels),
    ))  # fmt: skip
    word, half = cell.counted(analysis), cell.half(analysis)
    forced = {question.forced for question in analysis.questions.values()}
    at = ["one half, false alarms and all"] * (False in forced) + ["halfway from chance to 1"] * (True in forced)
    notes = (
        f"Proportion {word} at each level against the undistorted reference"
        + " (0: identical pairs)" * (False in forced)
        + f"; n references. {cell.begun(half)}: where that curve, made monotone, is at {', or '.join(at)} "
        "[95 %, bootstrap over references]; > above the highest level asked, <= at the lowest, ? where the interval "
        "holds all of them.",
        *([_DRAWN] if most > 1 else []),
        *_few(same),
        *more,
    )
    columns = ("n", f"{half} [95 %]", "false alarms", *map(str, levels))
    return table(analysis, f"{word.capitalize()} against level", columns, rows, notes)


def _half(row: CurveRow) -> str:
    if row.interval is None:
        return str(row.half)
    first, last = min(filter(None, row.curve.levels)), row.curve.levels[-1]
    low = f"<={first}" if math.isinf(row.interval.low) else cell.number(row.interval.low)
    return f"{row.half} [{low}, {f'>{last}' if math.isinf(row.interval.high) else cell.number(row.interval.high)}]"


def _fits(analysis: Analysis) -> bool:
    """Whether the procedure fits thresholds, even where no series has one yet."""
    return getattr(registry.every("procedure").get(analysis.manifest.procedure["name"]), "fits", False)


def main_table(analysis: Analysis) -> Table:
    """Return the table that answers the run's question: JNDs, fitted thresholds, or a curve."""
    if analysis.estimates or (_fits(analysis) and not any(row.n for row in analysis.jnds)):
        return estimates(analysis)
    return first_jnds(analysis) if analysis.jnds else curves(analysis)
