"""Tables and a figure of chains of JNDs: what goes unnoticed between them, and by which law they follow one another."""

from collections.abc import Iterable, Sequence
from typing import Any

from limen.analysis import Analysis, units
from limen.analysis.growth import FEWEST, LONG, GrowthRow, Law, LawFit
from limen.analysis.redundancy import RedundancyRow
from limen.curve import Mean
from limen.report.figures import COLOURS, INK, Spec, layer, line, multiples, orders, per_cent, points
from limen.report.format import NONE, Table, estimate, heads, in_order, k_of_n, plain, table

_COLOURS = dict(zip(Law, COLOURS, strict=False))
_DASHES = {Law.LINEAR: [1, 0], Law.EXPONENTIAL: [6, 3], Law.SATURATING: [2, 3], Law.STAIR: [8, 2, 2, 2]}


def redundancy(analysis: Analysis, rows: Sequence[RedundancyRow]) -> Table:
    """Return the table of what goes unnoticed along the ladder."""
    lines = []
    for row in in_order(analysis, rows):
        least, most = (">= ", "<= ") if row.cut.k else ("", "")
        lines.append((
            *heads(analysis, row), str(row.count.n), least + _mean(row.count), _mean(row.gap), str(row.gap.n),
            least + _mean(row.longest), most + _mean(row.redundancy, 100),
        ))  # fmt: skip
    notes = [
        "Means over references, 95 % BCa bootstrap. Unnoticed: share of levels 1 to L that are no JND, 1 - JNDs / L. "
        "It belongs to the ladder (finer levels, larger share): compare observers, not distortions. False alarms that "
        "pass the window are JNDs too, and make it smaller.",
        "Gap: levels from one JND to the next, J(0) = 0, over references that have a JND; the way left behind the last "
        "JND is not in it, so it is rather too small. Longest stretch: levels in a row that are no JND, up to L.",
    ]
    cut = {row.distortion: row.cut for row in rows if row.cut.k}
    if cut:
        chains = ", ".join(f"{name} {k_of_n(share)}" for name, share in sorted(cut.items()))
        notes.append(
            f"Ended by the setting orders before L: {chains} chains. What lies behind is not known, so numbers of JNDs "
            "and stretches are at least (>=), unnoticed shares at most (<=) what stands there."
        )
    columns = ("n", "JNDs up to L", "mean gap", "with a JND", "longest stretch", "unnoticed %")
    return table(analysis, "Perceptual redundancy", columns, lines, tuple(notes))


def gaps(analysis: Analysis, rows: Sequence[RedundancyRow]) -> Table:
    """Return the table of the mean gap to the n-th JND, order by order."""
    lines = [
        (*heads(analysis, row), str(order), f"{gap.n} of {row.count.n}", _mean(gap))
        for row in in_order(analysis, rows)
        for order, gap in enumerate(row.gaps, start=1)
    ]
    notes = (
        "J(n) - J(n - 1) over the references that reached the n-th JND, 95 % BCa bootstrap. Only references with small "
        "gaps reach a high n before the ladder ends: that gaps shrink down a column may mean no more than that.",
    )
    return table(analysis, "Gaps between JNDs", ("order", "reached", "mean gap"), lines, notes)


def laws(analysis: Analysis, rows: Sequence[GrowthRow]) -> Table:
    """Return the table of which law the JNDs follow, with each law's error."""
    lines = []
    for row in in_order(analysis, rows):
        errors = {score.fitted.law: f"{score.error:.3g}" + ("" if score.told else "~") for score in row.scores[1:]}
        errors |= {score.fitted.law: f"{score.error:.3g}" for score in row.scores[:1]}
        best = formula(row.scores[0].fitted) if row.scores else "-"
        cells = (f"{row.long} of {row.references}", row.verdict, best, *(errors.get(law, "-") for law in Law))
        lines.append((*heads(analysis, row), *cells))
    said = sorted({"levels" if row.axis == "level" else units.brief(row.unit) for row in rows if row.scores})
    notes = [
        "The gap from the reference in force, r, to the next JND: constant (linear); growing with r, at least twofold "
        "along the ladder (exponential: Weber's law, his fraction before r); shrinking to a half or less (saturating); "
        "or small but for one in every m, at least twice as large (stair). Each reference has a scale of its own; the "
        "numbers are those of scale 1, the mean.",
        "Error: root mean square, for references the law was not fitted to, of the 3rd and later JNDs told from "
        "those before (10-fold cross-validation; beyond L counts as L)"
        + (f", in {' or '.join(said)}" if said else "")
        + ". ~ not told from the best: the 95 % BCa interval of the difference over references holds 0, and with any "
        "such law the verdict is that one cannot tell. The best of four laws need not be a good one: read its error.",
    ]
    if any(not row.scores for row in rows):
        notes.append(f"A law takes {FEWEST} references with {LONG} JNDs.")
    if any(Law.STAIR in row.laws for row in rows):
        notes.append("A stair is regular here, and alike for all references: bursts without a beat are no stair.")
    columns = (f"with {LONG} JNDs", "law", "gap, best law", *(f"error {law}" for law in Law))
    return table(analysis, "Law of the n-th JND", columns, lines, tuple(notes))


def formula(fitted: LawFit) -> str:
    """Return the gap to the next JND in words and numbers."""
    if fitted.period:
        return f"{fitted.base:.3g}, but {fitted.riser:.3g} once in {fitted.period}"
    if not fitted.growth:
        return f"{fitted.base:.3g}"
    return f"{fitted.base:.3g} {'+' if fitted.growth > 0 else '-'} {abs(fitted.growth):.2g} r"


def courses(rows: Iterable[GrowthRow], width: int) -> Spec:
    """Return small multiples of the mean J(n) against n with the course of each law, for one observer and question.

    Marks are means over references that have a JND (one beyond L as L), as far as half of them reached J(n). Lines are
    means over the same references as each law tells them, from their own J(1) on and with their own scales.

    Args:
        rows: of one observer and question.
        width: of the page, in px.
    """
    values = [item for row in rows if row.scores for item in _course(row)]
    at = {"x": orders(), "y": per_cent("share", "% of the ladder")}
    legend = {"columns": 2 if width < 500 else 4, "symbolType": "stroke"}
    names = [str(law) for law in Law]
    hue, dash = (
        {"field": "law", "type": "nominal", "legend": legend,
         "scale": {"domain": names, "range": [looks[law] for law in Law]}}
        for looks in (_COLOURS, _DASHES)
    )  # fmt: skip
    layers = [
        layer(line(), None, "datum.law != null", **at, color=hue, strokeDash=dash),
        layer(points(color=INK), None, "datum.law == null", **at),
    ]
    return multiples(values, layers, width, {"scale": {"x": "independent"}})


def records(redundant: Sequence[RedundancyRow], rows: Sequence[GrowthRow]) -> dict[str, Any]:
    """Return the numbers as plain data for JSON."""
    return {
        "redundancy": plain(redundant),
        "laws": [plain(row) | {"verdict": row.verdict} for row in rows],
    }


def _course(row: GrowthRow) -> Iterable[dict[str, Any]]:
    """Yield the marks of the means (no law), then the points of each law's line, as shares of the ladder."""
    far = sum(2 * reached >= row.references for reached in row.reached)
    courses = {str(score.fitted.law): score.course for score in row.scores}
    for law, places in [(None, tuple(mean.value for mean in row.course)), *courses.items()]:
        for n, place in enumerate(places[:far], start=1):
            yield {"distortion": row.distortion, "law": law, "n": n, "share": 100 * place / row.end}


def _mean(mean: Mean, times: float = 1) -> str:
    return estimate(mean.value, mean.interval, times=times) if mean.n else NONE
