"""Safe levels as a table, and as sentences that one can quote."""

from collections.abc import Iterable, Sequence

from limen.analysis import FEW, Analysis, units
from limen.analysis.safe import SafeRow
from limen.question import VerdictKind
from limen.report import format as cell
from limen.report.format import NONE, Table

_LEAVES = {
    VerdictKind.DIFFERS: "is not noticed by {}",
    VerdictKind.PICKS: "is not picked out by {}",
    VerdictKind.CHANGES: "leaves the answer of {} as it was",
    VerdictKind.WRONG: "leaves the answer of {} right",
}
_NOTE = (
    "The highest level at which at most that share of new photographs is noticed, or gets another answer: one below "
    "the floor(rho (n + 1))-th smallest first JND, one a photograph. This holds on average over samples of n "
    "photographs, if new ones are exchangeable with those measured (taken at random from the same ones); of a sample "
    "as small as this one the share may be as high as the upper end in brackets, Beta(k, n + 1 - k).",
    "All together: at the smallest first JND that any of them has.",
    "Bytes saved: mean over the pictures that were kept [95 % BCa], against the ladder's level 1, the finest.",
    f"* false alarms from fewer than {FEW} identical pairs: too few to tell.",
)


def table(analysis: Analysis, rows: Sequence[SafeRow]) -> Table:
    """Return the table of safe levels.

    Args:
        analysis: of the run, or of several put together; decides which columns say who was asked what.
        rows: by distortion and question, observers before all of them together.
    """
    several = len(analysis.manifest.observers) > 1
    questions = len(analysis.manifest.questions) > 1
    saved, left = any(row.saved for row in rows), any(row.left_out for row in rows)
    heads = ("distortion", *(("observer",) if several else ()), *(("question",) if questions else ()))
    columns = (*heads, "rho", "n", "safe level", "at that level", "noticed by then [95 %]", "false alarms",
               *(("bytes saved [95 %]",) if saved else ()), *(("left out",) if left else ()))  # fmt: skip
    alarms = {(one.observer, one.question, one.distortion): one.false_alarms for one in analysis.answers}
    lines = []
    for row in rows:
        same = alarms.get((row.observer, row.question, row.distortion)) if len(row.observers) == 1 else None
        asked = (row.distortion, *((row.observer,) if several else ()), *((row.question,) if questions else ()))
        lines.append((
            *asked, f"{row.rho:g}", str(row.n), _level(row), units.strength(row.strength, row.unit), _share(row),
            NONE if same is None else cell.alarms(same), *((_saved(row),) if saved else ()),
            *((_left_out(row),) if left else ()),
        ))  # fmt: skip
    refused = dict.fromkeys(
        f"? {row.distortion}{f', {row.observer}' * several}{f', {row.question}' * questions}: {row.why}."
        for row in rows
        if row.why
    )
    few = any(0 < one.n < FEW for one in alarms.values())
    notes = (
        _NOTE[0],
        *_NOTE[1:2] * any(len(row.observers) > 1 for row in rows),
        *_NOTE[2:3] * saved,
        *_NOTE[3:] * few,
        *refused,
    )
    return Table("Safe levels", columns, tuple(lines), notes, heads=len(heads))


def sentences(analysis: Analysis, rows: Iterable[SafeRow]) -> list[str]:
    """Return a sentence for each row, with all that it takes to be true.

    Args:
        analysis: of the run, or of several put together.
        rows: of safe levels.
    """
    return [_sentence(row, analysis.questions[row.question].verdict) for row in rows]


def _sentence(row: SafeRow, verdict: VerdictKind) -> str:
    if row.level is None:
        return f"{row.distortion}, {row.observer}: no safe level; {row.why}."
    known = f"{100 * (1 - row.rho):g} % of new photographs (n = {row.n}, exchangeable with those measured)"
    finest = units.strength(row.finest, row.unit)
    if row.level == 0:
        return f"{row.distortion}, {row.observer}: not even level 1 ({finest}) is safe for {known}."
    who = row.observers[0] if len(row.observers) == 1 else f"every one of {', '.join(row.observers)}"
    saves = ""
    if row.saved is not None:
        share = f"{100 * row.saved.value:.0f} % {cell.bounds(row.saved.interval, 0, times=100)}".rstrip()
        saves = f", and saves {share} of the bytes against {finest} (mean of {row.saved.n} photographs)"
    return f"{row.distortion}: {_range(row)} {_LEAVES[verdict].format(who)} for {known}{saves}."


def _range(row: SafeRow) -> str:
    """Return which strengths are safe: above or below which, as the ladder runs."""
    if row.level == row.levels:
        return f"the whole ladder, up to {units.strength(row.coarsest, row.unit)},"
    at = units.strength(row.strength, row.unit)
    return f"{at} and {row.side}" if row.side else f"each level up to {row.level} ({at})"


def _level(row: SafeRow) -> str:
    if row.level is None:
        return "?"
    return f"{row.level} of {row.levels}" if row.level < row.levels else f"{row.levels} of {row.levels}: the whole"


def _share(row: SafeRow) -> str:
    return f"<= {100 * row.rho:g} % {cell.bounds(row.noticed, 1, times=100)}" if row.noticed else NONE


def _saved(row: SafeRow) -> str:
    if row.saved is None:
        return NONE
    return f"{cell.estimate(row.saved.value, row.saved.interval, 0, times=100)} ({row.saved.n})"


def _left_out(row: SafeRow) -> str:
    return ", ".join(f"{count} {status}" for status, count in row.left_out.items()) or NONE
