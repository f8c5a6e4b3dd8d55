"""Tables over observers x distortions, of runs and of the paper's numbers: parts, ranks, correlations, prompting.

The paper's own rows are quoted apart: most of its stimuli are not ours (Chen et al. 2025, arXiv:2507.00490).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from limen.analysis import paper
from limen.analysis.correlations import PARTS, Average, CorrelationAnalysis, Leaderboard, Matrix, Pair, Score, WithinRow
from limen.analysis.implicit_explicit import PromptingRow, Reduction
from limen.analysis.model_size import BackboneRow, Parameters
from limen.analysis.paper import COLUMNS, HUMAN, LARGE, SOURCE, CurveFit, PaperAnalysis
from limen.report.figures import Spec, identity, layer, points, quantity
from limen.report.format import NONE, Table, estimate, k_of_n, number, p_value, plain
from limen.statistics.inference import Correlation

RESTRICTED = "Means are restricted at L (a reference without a JND counts as L): the paper's mean over '>50 as 50'"
MIXED = "The mean over all mixes ladders of 50 and of 100 levels; '% of L' gives every ladder the same weight."
PRINTED = {ours: column for column, ours in COLUMNS.items()}  # the paper's columns, by limen's names
SAME_UNIT = frozenset({"jpeg", "angle", "distance"})
APART = "Levels of ladders of unlike length are never averaged: % of the ladder stands there, all weighing alike."


# --- of runs ---


def by_part(board: Leaderboard) -> Table:
    """Return the table of 1st JNDs by part, with ranks, those that notice most first."""
    names = [part for part in (*PARTS, "all") if any(average.part == part for average in board.averages)]
    cells = {(a.observer, a.part): (_averaged(a), bool(a.censored)) for a in board.averages}
    share = {a.observer: f"{100 * a.of_ladder:.0f}" for a in board.averages if a.part == "all"}
    rows = [(*row, share.get(row[0], "-")) for row in _ranked(board, names, cells)]
    sizes = {average.part: average.n for average in board.averages}
    columns = ("observer", *(f"{name} ({sizes[name]})" for name in names), "% of L")
    return Table(f"1st JND by part ({board.question})", columns, tuple(rows), _part_notes(board))


def _averaged(average: Average) -> str:
    return f"{100 * average.of_ladder:.0f} %" if math.isnan(average.mean) else number(average.mean)


def matrix(pearson: Matrix, spearman: Matrix, title: str = "Correlation between distortions over observers") -> Table:
    """Return both matrices as one table: Pearson's below the diagonal, Spearman's above; or why there is none.

    Args:
        pearson: over observers, one number for each pair of distortions.
        spearman: likewise, of the same distortions.
        title: of the table.
    """
    if pearson.reason:
        return Table(title, ("distortion",), (), (pearson.reason,))
    below, above = pearson.values(), spearman.values()
    rows = []
    for i, name in enumerate(pearson.distortions):
        line = [below[name][other] for other in pearson.distortions[:i]]
        rest = [above[name][other] if above else math.nan for other in pearson.distortions[i + 1 :]]
        rows.append((name, *(number(r, 2) for r in line), "", *(number(r, 2) for r in rest)))
    notes = [
        f"Below the diagonal Pearson's, above it Spearman's; n = {_n(pearson.pairs)} observers. A censored mean enters "
        "as L: a few observers that notice nothing can carry Pearson's."
    ]
    notes += [spearman.reason] * bool(spearman.reason)
    return Table(title, ("distortion", *pearson.distortions), tuple(rows), tuple(notes))


def within(rows: Sequence[WithinRow]) -> Table:
    """Return the table of correlations between distortions over references, observer by observer."""
    lines = tuple(
        (
            f"{row.pair.first} - {row.pair.second}", row.observer, row.question, str(row.pair.correlation.n),
            _correlation(row.pair.correlation), k_of_n(row.censored_first), k_of_n(row.censored_second),
        )
        for row in rows
    )  # fmt: skip
    notes = (
        "Spearman's, over the references that have a J under both; J > L tie at the top. 95 % BCa bootstrap over "
        "references. - where all are alike.",
    )
    columns = ("distortions", "observer", "question", "n", "Spearman [95 %]", "first > L", "second > L")
    return Table("Correlation between distortions over references", columns, lines, notes, heads=3)


def prompting(rows: Sequence[PromptingRow]) -> Table:
    """Return the table of the distortion unnamed against named, of runs that asked both."""
    lines = []
    for row in rows:
        of, paired = row.reduction, row.paired
        tests = (estimate(paired.wins, paired.interval, 2), p_value(paired.p), p_value(row.p_holm))
        lines.append((
            of.distortion, of.observer, f"{row.implicit} / {row.explicit}", str(paired.n), number(of.implicit),
            number(of.explicit), estimate(of.absolute, row.interval, sign="+"), number(100 * of.relative, 0, "+"),
            *(("?", "?", "?") if math.isnan(paired.wins) else tests),
        ))  # fmt: skip
    columns = (
        "distortion", "observer", "questions", "pairs", "implicit", "explicit", "difference [95 %]", "%",
        "unnamed higher [95 %]", "p", "p (Holm)",
    )  # fmt: skip
    notes = (
        "Implicit: the question does not name the distortion. Reference by reference: difference of J restricted at L "
        "(implicit - explicit), and share in which J is higher unnamed, ties half; BCa bootstrap over references; p "
        "of the paired Prentice-Wilcoxon test; ? where one question got nothing but yes, from identical pairs as well. "
        "Views are asked the same question either way.",
    )
    return Table("Implicit against explicit", columns, tuple(lines), notes, heads=3)


def backbones(rows: Sequence[BackboneRow]) -> Table:
    """Return the table of Spearman's correlations of the 1st JND with backbone sizes."""
    sizes = list(dict.fromkeys(row.size for row in rows))
    of = {(row.kept, row.part, row.size): row.correlation for row in rows}
    lines = []
    for kept, part in dict.fromkeys((row.kept, row.part) for row in rows):
        mine = [of[kept, part, size] for size in sizes]
        lines.append((part, kept, str(mine[0].n), *map(_correlation, mine)))
    notes = (
        "Spearman's over models whose backbones are known, nothing fitted; 95 % BCa bootstrap over models, as if those "
        "of one family were independent; no correction for looking at several. Uncensored: without the models that "
        "have a mean beyond L; dense: without mixtures of experts, whose Param_L counts all experts, not the active "
        "ones.",
    )
    columns = ("part", "models", "n", *sizes)
    return Table("1st JND against the size of the backbones", columns, tuple(lines), notes, heads=2)


def records(of: CorrelationAnalysis) -> dict[str, Any]:
    """Return the numbers of runs as plain data for JSON."""
    return {
        "relations": [
            plain({"question": board.question, "same_references": board.alike, "scores": board.scores,
                   "averages": board.averages, "ranks": board.ranks, "pearson": board.pearson,
                   "spearman": board.spearman})
            for board in of.boards
        ],
        "within": plain(of.within),
        "prompting": plain(of.prompting),
        "missing": of.missing,
    }  # fmt: skip


def _ranked(
    board: Leaderboard, names: Sequence[str], cells: Mapping[tuple[str, str], tuple[str, bool]]
) -> list[tuple[str, ...]]:
    places = {(place.observer, place.of): place.rank for place in board.ranks}
    order = {place.observer: place.rank for place in board.ranks if place.of == "all"}
    observers = sorted(dict.fromkeys(s.observer for s in board.scores), key=lambda name: order.get(name, math.inf))

    def cell(observer: str, name: str) -> str:
        if (observer, name) not in cells:
            return "-"
        mean, censored = cells[observer, name]
        return f"{'>' if censored else ''}{mean} ({places[observer, name]})"

    return [(observer, *(cell(observer, name) for name in names)) for observer in observers]


def _part_notes(board: Leaderboard) -> tuple[str, ...]:
    notes = [
        f"{RESTRICTED}. In brackets the rank, 1 noticing most; > where a distortion's mean is only a bound; - where a "
        "distortion of the part was not asked."
    ]
    if len({score.levels for score in board.scores}) > 1:
        notes.append(APART if any(math.isnan(average.mean) for average in board.averages) else MIXED)
    return (*notes, *_unlike(board))


def _unlike(board: Leaderboard) -> tuple[str, ...]:
    text = "Observers have J of different references: these ranks compare pictures as well as observers."
    return () if board.alike else (text,)


# --- of the paper ---


def published_tables(published: PaperAnalysis) -> list[Table]:
    """Return the tables of the paper's numbers and of what follows from them."""
    board = Leaderboard(
        "the paper's",
        published.scores,
        published.averages,
        published.ranks,
        published.pearson,
        published.spearman,
        alike=True,
    )
    return [
        _printed(published),
        _again(published),
        by_part(board),
        _censored(published.scores),
        matrix(published.pearson, published.spearman, "Correlation between distortions over the models"),
        contrasts(published),
        reduced(published.reductions),
        parabolas(published.curves),
        backbones(published.backbones),
    ]


def _printed(published: PaperAnalysis) -> Table:
    rows = tuple((row.observer, *(cell or NONE for cell in row.cells.values())) for row in published.table)
    notes = (
        f"{SOURCE}. Quoted: of these ladders only jpeg, angle and distance have limen's unit. {HUMAN}: people, other "
        "stimuli and no spread; quoted only, never ranked or tested against.",
    )
    return Table("The paper's 1st JNDs, as printed", ("observer", *published.table[0].cells), rows, notes)


def _again(published: PaperAnalysis) -> Table:
    rows = tuple(
        (row.observer, row.printed, f"{row.average:.3f}{'' if row.agrees else ' !'}", str(row.printed_rank),
         f"{row.rank}{'' if row.rank == row.printed_rank else ' !'}")
        for row in published.recomputed
    )  # fmt: skip
    wrong = [row for row in published.recomputed if not row.agrees]
    notes = tuple(f"! {row.observer}: {row.printed} in print, {row.average:.2f} from its cells." for row in wrong)
    columns = ("observer", "average in print", "from the cells", "rank in print", "from the cells")
    return Table("Averages and ranks again", columns, rows, notes)


def _censored(scores: Sequence[Score]) -> Table:
    """Return the table of means that are only bounds, distortion by distortion."""
    lines = []
    for name in dict.fromkeys(score.distortion for score in scores):
        cells = [score for score in scores if score.distortion == name]
        beyond = [score.observer for score in cells if score.censored]
        lines.append((name, str(cells[0].levels), f"{len(beyond)} of {len(cells)}", ", ".join(beyond) or NONE))
    nearly = max((score for score in scores if not score.censored), key=lambda score: score.mean / score.levels)
    notes = (
        "In these cells no reference had a JND up to L. How many had none elsewhere, and so medians and quartiles "
        f"over references, is not published: a mean near L ({nearly.mean:g} of {nearly.levels}, {nearly.observer}) "
        "hides the same.",
    )
    return Table("Censored means", ("distortion", "L", "means > L", "of"), tuple(lines), notes)


def contrasts(published: PaperAnalysis, most: int = 15) -> Table:
    """Return the table of the pairs on which Pearson's and Spearman's coefficients differ most."""
    matrices = (published.pearson, published.spearman, published.pearson_uncensored, published.spearman_uncensored)
    of = [{(pair.first, pair.second): pair.correlation for pair in matrix.pairs} for matrix in matrices]
    apart = sorted(of[0], key=lambda pair: -abs(of[0][pair].value - of[1][pair].value))
    lines = tuple(
        (
            f"{first} - {second}",
            f"{published.matrix[first][second]:.3f}",
            *(_correlation(values[first, second]) for values in of),
        )
        for first, second in apart[:most]
    )
    n, fewer = _n(published.pearson.pairs), _n(published.pearson_uncensored.pairs)
    columns = ("distortions", "in print", f"Pearson, {n}", f"Spearman, {n}", f"Pearson, {fewer}", f"Spearman, {fewer}")
    notes = (
        f"[95 % BCa bootstrap over models]. All {n} models with '>50' as 50 (Pearson's is the paper's), and the "
        f"{fewer} without a censored mean. The {len(lines)} of {len(apart)} pairs that differ most; all in --json.",
    )
    return Table("Where the two coefficients part", columns, lines, notes)


def reduced(rows: Sequence[Reduction]) -> Table:
    """Return the table of what naming the distortion does to published means."""
    lines = tuple(
        (row.observer, row.distortion, *(number(mean, 2) for mean in (row.implicit, row.explicit, row.absolute)),
         number(100 * row.relative))
        for row in rows
    )  # fmt: skip
    columns = ("model", "distortion", "implicit", "explicit", "reduction", "%")
    notes = ("Implicit: the question does not name the distortion. Means without spread: no intervals, no tests.",)
    return Table("Implicit against explicit", columns, lines, notes, heads=2)


def parabolas(rows: Sequence[CurveFit]) -> Table:
    """Return the table of quadratics beside the paper's curve."""
    lines = []
    for row in rows:
        of = row.parabola
        top = NONE if of.top is None else f"{number(of.top[1])} at {number(of.top[0], 0)}"
        read = ", ".join(f"{'top' if ratio is None else f'{ratio:g}'}: {value:g}" for ratio, value in row.figure)
        off = "no top" if row.distance is None else number(row.distance, 2)
        lines.append((
            of.part, ", ".join(row.without) or NONE, f"{len(of.observers)} points, {len(of.coefficients)} parameters",
            number(of.left), top, number(of.right), read, f"{off} ({'fits' if row.fits else 'does not fit'})",
        ))  # fmt: skip
    ratios = ", ".join(f"{ratio:.0f}" for ratio in sorted(rows[0].parabola.ratios)) if rows else ""
    notes = (
        f"Inferred, not stated by the paper: its dashed curve is the quadratic through the models of {LARGE:g}B and "
        f"more (ratios {ratios}). Over three different ratios a quadratic meets every point, or the mean of those at "
        "one ratio, whatever the data: it is no evidence of a shape. Spearman's over all models stands beside it.",
    )
    columns = ("part", "without", "from", "left", "top", "right", "in the figure", "largest distance")
    return Table("The curve against Param_L/Param_V", columns, tuple(lines), notes, heads=2)


def published_records(published: PaperAnalysis) -> dict[str, Any]:
    """Return the paper's numbers and what follows from them as plain data for JSON."""
    blind = [score for score in published.scores if score.censored]
    human = next(row for row in published.table if row.observer == HUMAN)
    return {
        "source": SOURCE,
        "notes": [f"{RESTRICTED}.", MIXED.partition(";")[0] + "."],
        "scores": plain(published.scores),
        "human": {"use": "quoted only: other stimuli, no spread", "cells": {k: v for k, v in human.cells.items() if v}},
        "averages": [
            plain(row) | {"parts": {a.part: a.mean for a in published.averages if a.observer == row.observer}}
            for row in published.recomputed
        ],
        "ranks": [
            {"observer": row.observer, "printed": row.printed_rank, "recomputed": row.rank,
             "by": {place.of: place.rank for place in published.ranks if place.observer == row.observer}}
            for row in published.recomputed
        ],
        "correlation": plain(published.pearson.values()),
        "spearman": plain(published.spearman.values()),
        "pairs": list(_pairs(published)),
        "censored": {
            "cells": [{"observer": s.observer, "distortion": s.distortion, "levels": s.levels} for s in blind],
            "k": len(blind),
            "n": len(published.scores),
            "observers": list(dict.fromkeys(score.observer for score in blind)),
        },
        "reductions": plain(published.reductions),
        "backbones": {
            "parameters": {name: plain(of) | {"ratio": of.ratio} for name, of in published.parameters.items()},
            "curves": [
                plain(row) | {"points": len(row.parabola.ratios), "parameters": len(row.parabola.coefficients)}
                for row in published.curves
            ],
            "spearman": plain(published.backbones),
        },
    }  # fmt: skip


def _pairs(published: PaperAnalysis) -> Iterable[dict[str, Any]]:
    names = ("pearson", "spearman", "pearson_uncensored", "spearman_uncensored")
    for i, pair in enumerate(published.pearson.pairs):
        values = {name: plain(getattr(published, name).pairs[i].correlation) for name in names}
        yield {
            "first": pair.first,
            "second": pair.second,
            "printed": published.matrix[pair.first][pair.second],
        } | values


# --- cells ---


def _n(pairs: Sequence[Pair]) -> str:
    counts = sorted({pair.correlation.n for pair in pairs})
    return "-".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def _correlation(of: Correlation) -> str:
    return estimate(of.value, of.interval, 2)


# --- the paper's rows beside a run's ---


def quoted(distortions: Iterable[str], measured: Mapping[str, Sequence[tuple[str, str]]]) -> list[Table]:
    """Return the published rows of these distortions: those in the same unit, and those of other stimuli.

    Args:
        distortions: of the runs; those the paper does not have are left out.
        measured: by distortion, observers of the runs and their mean, to stand beside the rows in the same unit.
    """
    known = [name for name in distortions if name in PRINTED]
    same, other = ([name for name in known if (name in SAME_UNIT) is shared] for shared in (True, False))
    tables = []
    if same:
        observers = dict.fromkeys(who for name in same for who, _ in measured.get(name, ()))
        ours = [(f"{who} (measured here)", *(dict(measured.get(name, ())).get(who, NONE) for name in same))
                for who in observers]  # fmt: skip
        notes = ("The unit agrees, the photographs do not: these rows are not ranked together.",)
        tables.append(Table("Same unit as here", ("observer", *same), (*ours, *_cells(same)), notes))
    if other:
        notes = ("The paper's ladders are not published: its level 10 is not level 10 of this page.",)
        title = "Other stimuli: not comparable level by level"
        tables.append(Table(title, ("observer", *other), _cells(other), notes))
    return tables


def _cells(distortions: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (row["model"], *(row[PRINTED[name]] or NONE for name in distortions)) for row in paper.rows("first_jnd")
    )


def sizes(averages: Iterable[Average], known: Mapping[str, Parameters], width: int) -> Spec:
    """Return small multiples of a part's mean 1st JND against the ratio of language to vision parameters.

    Args:
        averages: of each observer, by part.
        known: sizes of backbones, by observer.
        width: of the figure, in px.
    """
    values = []
    for row in averages:
        if row.observer in known:
            of, levels = known[row.observer], row.value == row.mean
            part = row.part if levels else f"{row.part} (% of L)"
            mean = row.value if levels else 100 * row.value
            values.append({"part": part, "who": row.observer, "mean": mean, "ratio": 1000 * of.language / of.vision})
    columns = min(4 if width > 500 else 2, len({item["part"] for item in values}) or 1)
    names = list(dict.fromkeys(str(item["who"]) for item in values))
    x = quantity("ratio", "Param_L / Param_V", {"type": "log"}, tickCount=4, grid=False)
    y = quantity("mean", "mean 1st JND", tickCount=4)
    marks = layer(points(60), x=x, y=y, **identity(names, columns=1 if width < 500 else 3))
    return {
        "data": {"values": values},
        "facet": {"field": "part", "type": "nominal", "title": None},
        "columns": columns,
        "spec": {"width": (width - 46) // columns - 24, "height": 140, "layer": [marks]},
        "resolve": {"scale": {"y": "independent"}},
    }
