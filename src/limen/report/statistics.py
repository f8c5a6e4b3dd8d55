"""Tables of what is worked out from answers: fits, comparisons, references needed, unnoticed shares, simulations."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from limen.analysis import FEW, Analysis, Quantile, units
from limen.analysis.changes import ChangedRow
from limen.analysis.fitting import ComparisonRow, FitRow, PowerRow, ScoredRow
from limen.analysis.simulation import SimulationRow
from limen.analysis.survival import AccuracyRow, RepeatRow, SatisfiedRow, UnnoticedRow, points
from limen.analysis.wordings import WordingRow
from limen.curve import Interval
from limen.report import format as cell
from limen.report.format import NONE, Table, heads, in_order, plain, table
from limen.statistics.posterior import Parameter, Placement


def fits(analysis: Analysis, rows: Sequence[FitRow]) -> Table:
    """Return the table of fitted thresholds beside the protocol's J."""
    fixed, sure = any(row.pooled for row in rows), any(row.p_yes for row in rows)
    columns = ["n", "J (median)", "T50 [95 %]", "at T50", "T75", "width", "sd", "false alarms", "lapses"]
    columns += (["d' [95 %]", "d' same/diff.", "c", "fit p"] if fixed else []) + (["T50 of p(yes)"] if sure else [])
    lines = []
    for row in in_order(analysis, rows):
        cells = [*_fit_cells(row), *(_fixed_cells(row) if fixed else ()), *((_sure_cell(row),) if sure else ())]
        lines.append((*heads(analysis, row), *cells))
    return table(analysis, "Fitted thresholds", columns, lines, _fit_notes(analysis, rows))


def picks(analysis: Analysis, rows: Sequence[FitRow]) -> Table:
    """Return the table of how forced choices are spread over the places; without lines where nothing was chosen."""
    lines = []
    for row in rows:
        of = row.picks
        if of is None:
            continue
        shares = ", ".join(f"{at}: {100 * share.value:.0f} %" for at, share in enumerate(of.picks, start=1))
        d = of.verdict or cell.estimate(of.d, of.interval, 2)
        lines.append((*heads(analysis, row), str(of.right.n), shares, cell.number(of.d_uncorrected, 2), d))
    columns = ("choices", "picks by place", "d'", "d' with a bias a place")
    notes = (
        "Places are balanced over neighbouring levels. Picks: share of all choices. d' over all levels asked as if the "
        "places were alike, and by maximum likelihood with a bias for each (DeCarlo 2012) [95 %]; 80 % on one place: "
        "not measurable. To be free of a criterion is not to be free of bias.",
    )
    return table(analysis, "Picks by place", columns, lines, notes)


def wordings(analysis: Analysis, rows: Sequence[WordingRow]) -> Table:
    """Return the table of how far thresholds hang on the wording of a question."""
    compared = any(row.changed is not None for row in rows)
    columns = ("wordings", "n", "mean of each", "spread (sd) [95 %]", *(("changed by a paraphrase",) * compared))
    lines = [
        (
            *heads(analysis, row), str(len(row.wordings)), str(row.n), ", ".join(f"{mean:.1f}" for mean in row.means),
            cell.estimate(row.spread, row.interval),
            *((NONE if row.changed is None else cell.rate(row.changed),) * compared),
        )
        for row in rows
    ]  # fmt: skip
    notes = (
        "Levels; restricted means of the 1st JND over the references that all wordings have, the question's own first. "
        "Spread: standard deviation over wordings, with a bootstrap over references: their own scatter is in it, so it "
        "lies above 0 where words do not matter."
        + " Changed: answers to the undistorted reference that other words alone change."
        * compared,
    )
    return table(analysis, "Spread over wordings", columns, lines, notes)


def comparisons(rows: Sequence[ComparisonRow]) -> Table:
    """Return the table of paired comparisons between observers."""
    lines = []
    for row in rows:
        of = row.paired
        outcome = (cell.estimate(of.wins, of.interval, 2), cell.p_value(of.p), cell.p_value(row.p_holm))
        lines.append((
            row.distortion, row.question, f"{row.first} / {row.second}", row.measure, str(of.n), str(of.ties),
            *(("?", "?", "?") if row.undetermined else outcome),
        ))  # fmt: skip
    columns = (
        "distortion", "question", "observers", "of", "pairs", "ties", "first notices less [95 %]", "p", "p (Holm)",
    )  # fmt: skip
    notes = (
        "Reference by reference: share in which the first observer's level is the higher one, ties half (both beyond "
        "L, or equal), BCa bootstrap over references; p of the paired Prentice-Wilcoxon test, alone and among all.",
        *_undetermined(rows),
    )
    return Table("Observers compared", columns, tuple(lines), notes, heads=3)


def _undetermined(rows: Sequence[ComparisonRow]) -> Iterable[str]:
    names = sorted({name for row in rows for name in row.undetermined})
    if names:
        yield f"? nothing shows that differences are noticed more often than none: {', '.join(names)}."


def powers(analysis: Analysis, rows: Sequence[PowerRow]) -> Table:
    """Return the table of how many references a wanted interval takes."""
    lines = []
    for row in in_order(analysis, rows):
        of = row.power
        lines.append((
            *heads(analysis, row), str(of.n), cell.number(of.sd), cell.number(of.reached), f"{of.half_width:g}",
            cell.count(of.for_mean), cell.count(of.for_median),
        ))  # fmt: skip
    columns = ("n", "sd", "+- now", "+- wanted", "references (mean)", "references (median)")
    notes = (
        "Levels; half-width of the 95 % interval of the restricted mean or the median over references, of J or, "
        "where the procedure fits, of T50, from this "
        "run's own spread. That is uncertain too: from 10 references it may be 1.8 times too small, from 50 1.25.",
    )
    return table(analysis, "References needed", columns, lines, notes)


def records(
    rows: Sequence[FitRow], compared: Sequence[ComparisonRow] = (), needed: Sequence[PowerRow] = ()
) -> dict[str, Any]:
    """Return the numbers as plain data for JSON; a bound beyond the end of the ladder is null.

    Args:
        rows: of fits.
        compared: of comparisons.
        needed: of how many references a wanted interval takes.
    """
    return {"fits": fit_records(rows), "comparisons": plain(compared), "power": plain(needed)}


def fit_records(rows: Sequence[FitRow]) -> list[dict[str, Any]]:
    """Return fits as plain data, without their curves, which have rows of their own (`limen.report.psychometric`)."""
    found: list[dict[str, Any]] = plain(rows)
    for row in found:
        del row["points"]
        (row["fit"] or {}).pop("curve", None)
    return found


def _fit_cells(row: FitRow) -> Iterable[str]:
    fit = row.fit
    if fit is None:
        yield from ("0", *[NONE] * 8)
        return
    yield str(getattr(fit, "references", 1))
    yield NONE if row.jnd is None else str(row.jnd)
    yield _level(row.t50, fit.threshold, row.levels)
    yield units.strength(row.strength, row.unit)
    yield _level(row.t75, fit.t75, row.levels)
    yield _spread(fit.width)
    yield _spread(getattr(fit, "spread", None))
    yield cell.alarms(row.alarms)
    yield f"{100 * fit.lapse.median:.0f} % {cell.bounds(fit.lapse.interval, 0, times=100)}"


def _fixed_cells(row: FitRow) -> Iterable[str]:
    of = row.detection
    few = "*" if row.alarms.n < FEW else ""
    if row.choosing is not None:
        yield from (_from_zero(row.choosing.d, row.choosing.interval, row.choosing.told), NONE, NONE)
    elif of is None:
        yield from (NONE, NONE, NONE)
    else:
        yield _from_zero(of.d_yes_no, of.interval, of.told) + few
        yield _from_zero(of.d_differencing, of.interval_differencing, of.told) + few
        yield cell.estimate(of.criterion, of.interval_criterion, 2, sign="+") + few
    yield NONE if row.pooled is None else cell.p_value(row.pooled.p_fit)


def _from_zero(value: float, interval: Interval, clear: bool) -> str:
    """Return a number with its interval, "?" for one that is not clear of 0."""
    return f"{cell.number(value, 2) if clear else '?'} {cell.bounds(interval, 2)}"


def _sure_cell(row: FitRow) -> str:
    if row.p_yes is None or row.p_yes.side is not Placement.WITHIN:
        return NONE if row.p_yes is None else _SIDES[row.p_yes.side].format(row.levels)
    return cell.estimate(row.p_yes.threshold, row.p_yes.intervals.get("threshold"))


_SIDES = {Placement.ABOVE: ">{}", Placement.BELOW: "<=1", Placement.OPEN: "?"}


def _level(at: Quantile, of: Parameter, top: int) -> str:
    """Return a level with its interval, or on which side of one it lies."""
    value = str(at) if at.censored or at.below or math.isnan(at.level) else cell.number(at.level)
    low = "<=1" if of.interval.low < 1 else cell.number(of.interval.low)
    if at.censored and of.interval.low >= at.level:
        low = str(at)
    return f"{value} [{low}, {f'>{top}' if of.interval.high > top else cell.number(of.interval.high)}]"


def _spread(of: Parameter | None) -> str:
    if of is None:
        return NONE
    return "?" if math.isnan(of.median) else cell.estimate(of.median, of.interval)


def _fit_notes(analysis: Analysis, rows: Sequence[FitRow]) -> tuple[str, ...]:
    word, forced = cell.counted(analysis), {row.forced for row in rows}
    below = " or ".join(["false alarms"] * (False in forced) + ["chance"] * (True in forced))
    notes = [
        f"J is the protocol's; T50 and T75 are the levels where the proportion {word} is a half and three quarters, "
        f"corrected for {below} and lapses; width from 5 to 95 % of that curve; sd of T50 over references. Posterior "
        "medians [95 % credible intervals], references as a random sample. > L: nothing noticed, or more than half of "
        f"the posterior beyond the ladder; <=: {word} throughout, down to the lowest level asked; ?: these answers do "
        "not tell, because the interval holds the whole ladder or the proportion does not depend on the level."
    ]
    notes.append(
        "T50 is of the population of references, from all answers together; the median T50 of limen measure, of a "
        "procedure that fits, is the median of the references' own."
    )
    if any(row.adaptive for row in rows):
        notes.append(
            "Adaptive run: the answers chose the levels. T50 comes from each series' own likelihood, which allows it; "
            "d' and goodness of fit need every level asked of every series (procedure constant)."
        )
    if True in forced:
        notes.append(
            "Forced choice among m: guess rate 1/m; T50 is the midpoint between guessing and 1 but for lapses (75 % "
            "correct of two); d' by task: m-alternative forced choice, or for the odd one out the differencing model. "
            "T50 of unlike m do not compare; the strength at d' = 1 does."
        )
    if any(0 < row.alarms.n < FEW for row in rows):
        notes.append(f"* fewer than {FEW} identical pairs: the prior, Beta(1/2, 3), speaks with them.")
    if any(row.pooled is not None for row in rows):
        notes.append(
            "d' and c over all levels asked, log-linear correction [95 %, of the rates' Wilson intervals; - no bound]; "
            "? where the interval of d' holds 0. Fit p: how often data of the fitted shape lie further from it, "
            "bootstrap over references (- where all references are alike)."
        )
    if any(row.p_yes is not None for row in rows):
        notes.append("T50 of p(yes): fractional response, maximum quasi-likelihood [95 % bootstrap over references].")
    notes.extend(filter(None, map(_window_note, rows)))
    return tuple(notes)


def _window_note(row: FitRow) -> str:
    """Say where false alarms alone would fill the window too often; "" elsewhere."""
    if row.window is None or row.window_needed is None or row.window_needed <= row.window or not row.alarms.k:
        return ""
    remedy = f"--confirm {row.window_needed - 1} would do" if row.window_needed < 10 else "no window would do"
    short = f"too many false alarms for a window of {row.window}"
    return f"{row.observer}, {row.distortion}: {short} ({remedy}): J is too low."


# --- shares of references, second draws, pairs ---


def unnoticed(analysis: Analysis, rows: Sequence[UnnoticedRow]) -> Table:
    """Return the table of the levels up to which shares of the references stay unnoticed."""
    lines = [
        (*heads(analysis, row), str(row.curve.n), *(_up_to(level, row.curve.levels[-1]) for level in points(row.curve)))
        for row in in_order(analysis, rows)
    ]
    columns = ("n", "U = .75", "U = .5", "U = .25")
    notes = (
        "The last level at which that share of the references is unnoticed by this observer, U(k) = P(J > k) "
        "(Kaplan-Meier; the curves with intervals are in --json).",
    )
    return table(analysis, "Unnoticed share", columns, lines, notes)


_FIFTHS = ("at L / 5", "2 L / 5", "3 L / 5", "4 L / 5", "L")


def changed(analysis: Analysis, rows: Sequence[ChangedRow]) -> Table:
    """Return the table of the share of changed answers at fifths of the ladder."""
    worded = any(row.paraphrased is not None for row in rows)
    lines = [
        (*heads(analysis, row), str(row.n), str(row.photographs), f"{row.levels[-1]}",
         *_at_fifths(row.levels, row.share, row.low, row.high),
         *((NONE if row.paraphrased is None else cell.percent(row.paraphrased),) * worded))
        for row in in_order(analysis, rows)
    ]  # fmt: skip
    notes = (
        "Per cent of the items whose answer has changed, or become wrong, at or below that level, L being the last one "
        "(of a run at fixed levels: at the last level asked up to there) [95 % Wilson; where items share photographs, "
        "or draws of an item are several, bootstrap over photographs]. Read it beside the unrest, the share that a "
        "control changes (false alarms)."
        + " Other words: what a mere paraphrase of the question changes, of the undistorted picture."
        * worded,
    )
    columns = ("n", "photographs", "L", *_FIFTHS, *(("other words",) * worded))
    return table(analysis, "Changed answers", columns, lines, notes)


def satisfied(rows: Sequence[SatisfiedRow]) -> Table:
    """Return the table of satisfied machine ratios at fifths of the ladder."""
    lines = [
        (row.distortion, row.question, ", ".join(row.observers), str(row.curve.n), f"{row.curve.levels[-1]}",
         _up_to(row.curve.point(0.75), row.curve.levels[-1]),
         *_at_fifths(row.curve.levels, row.curve.share, row.curve.low, row.curve.high))
        for row in rows
    ]  # fmt: skip
    columns = ("distortion", "question", "models", "references", "L", "75 % up to", *_FIFTHS)
    notes = (
        "Per cent of these models that notice nothing yet at that level of L, or give the answer they gave to the "
        "undistorted reference: mean over references that all of them have [95 % bootstrap over references]; 75 % up "
        "to: the last level with that mean or more. The interval is of the references; the models are no sample of "
        "models, and none of users.",
    )
    return Table("Satisfied machine ratio", columns, tuple(lines), notes, heads=2)


def _at_fifths(
    levels: Sequence[int], shares: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> Iterable[str]:
    """Yield cells of per cent at fifths of the last level, or at the last level asked below; - where there is none.

    Args:
        levels: in ascending order.
        shares: at each level.
        lows: ends of the intervals; NaN where there is none.
        highs: as `lows`.
    """
    for fifth in range(1, 6):
        place = bisect_right(levels, levels[-1] * fifth // 5) - 1
        if place < 0:
            yield NONE
            continue
        interval = None if math.isnan(lows[place]) else Interval(lows[place], highs[place])
        yield cell.estimate(shares[place], interval, 0, times=100)


def repeats(analysis: Analysis, rows: Sequence[RepeatRow]) -> Table:
    """Return the table of what second draws of the same pairs say."""
    lines = []
    for row in in_order(analysis, rows):
        same = f"{100 * row.alike.value:.0f} % {cell.bounds(row.alike.interval, 0, times=100)}".rstrip()
        change = cell.estimate(row.change, row.interval, 0, "+", times=100)
        lines.append((*heads(analysis, row), cell.count(row.alike.n), same, change))
    notes = (
        "Pairs drawn twice: the second time swapped, or as another sample where the model samples. The difference is "
        f"in percentage points {cell.counted(analysis)}, BCa bootstrap over references: of a greedy model, its order "
        "effect.",
    )
    return table(
        analysis, "Asked twice", ("pairs", "same verdict", f"{cell.counted(analysis)}, second - first"), lines, notes
    )


def _up_to(level: float | None, top: int) -> str:
    return f">{top}" if level is None or math.isinf(level) else f"{level:g}"


def accuracy(analysis: Analysis, rows: Sequence[AccuracyRow]) -> Table:
    """Return the table of accuracy on pairs of one level, with its counterpart on identical pairs."""
    lines = [
        (*heads(analysis, row), str(row.n), cell.rate(row.noticed), cell.rate(row.left_alone),
         cell.estimate(row.balanced, row.interval, 2))
        for row in in_order(analysis, rows)
    ]  # fmt: skip
    notes = (
        "Changes noticed: yes to the changed picture; identical pairs: no to the picture shown with itself; 95 % "
        "Wilson intervals. Balanced: mean of both over references, BCa bootstrap; always yes, or always no, gets .50.",
    )
    columns = ("n", "changes noticed", "identical pairs left alone", "balanced accuracy")
    return table(analysis, "Spot the difference", columns, lines, notes)


def scored(analysis: Analysis, rows: Sequence[ScoredRow]) -> Table:
    """Return the table of pooled curves over scored pairs."""
    lines = [
        (*heads(analysis, row), str(row.n), f"{row.low:g} - {row.high:g}", *_scored_cells(row))
        for row in in_order(analysis, rows)
    ]
    word = cell.counted(analysis)
    notes = (
        f"One pair a reference, so no threshold of any one: proportion {word} against opinion score, pooled over "
        "references, false alarms from identical pairs and lapses apart. Posterior median [95 % credible interval]; - "
        "beyond the scores.",
    )
    columns = ("n", "scores", f"{cell.half(analysis)} at", "width", f"{word} with the score", "false alarms")
    return table(analysis, "Scored pairs", columns, lines, notes)


def _scored_cells(row: ScoredRow) -> tuple[str, ...]:
    rising = {True: "rises", False: "falls", None: "all alike"}[row.rising]
    return (
        *(cell.estimate(of.median, of.interval) for of in (row.threshold, row.width)),
        rising,
        cell.alarms(row.alarms),
    )


def simulated(results: Sequence[SimulationRow]) -> Table:
    """Return observers x procedures: questions, exactness, stated certainty, error, coverage."""
    rows = tuple(
        (row.observer, row.procedure, cell.estimate(row.questions, row.interval), cell.percent(row.exact),
         cell.number(row.stated, 3), cell.number(row.rmse, 2), cell.percent(row.covered))
        for row in results
    )  # fmt: skip
    columns = ("observer", "procedure", "questions [95 %]", "= scan [95 %]", "stated", "rmse", "covered [95 %]")
    n = ", ".join(sorted({f"{row.images:,}" for row in results}))
    note = (
        f"{n} series a row. Questions: mean a series. = scan: per cent of series whose JNDs are the exhaustive scan's. "
        "Stated: mean certainty claimed. Rmse: of the fitted T50, in levels. Covered: per cent of 95 % intervals that "
        "hold the true T50. Intervals: Wilson, and normal for questions."
    )
    return Table("Simulated observers", columns, rows, (note,), heads=2)
