"""Tables over observers x distortions, of runs and of the paper's numbers: parts, ranks, correlations, prompting."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from limen.analysis.correlations import PARTS, Average, CorrelationAnalysis, Leaderboard, Matrix, Pair, Score, WithinRow
from limen.analysis.implicit_explicit import PromptingRow, Reduction
from limen.analysis.model_size import BackboneRow, Parameters
from limen.analysis.paper import HUMAN, LARGE, SOURCE, CurveFit, PaperAnalysis
from limen.curve import Interval, Share
from limen.report.figures import Spec, identity
from limen.report.table import Table
from limen.report.tables import plain
from limen.statistics.inference import Correlation

RESTRICTED = "Means are restricted at L (a reference without a JND counts as L): the paper's mean over '>50 as 50'"
MIXED = "The mean over all mixes ladders of 50 and of 100 levels; '% of L' gives every ladder the same weight."
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
    return f"{100 * average.of_ladder:.0f} %" if math.isnan(average.mean) else f"{average.mean:.1f}"


def by_distortion(board: Leaderboard) -> Table:
    """Return the table of 1st JNDs by distortion, with ranks, those that notice most first."""
    names = list(dict.fromkeys(score.distortion for score in board.scores))
    cells = {(s.observer, s.distortion): (f"{s.mean:.1f}", s.censored) for s in board.scores}
    notes = (f"{RESTRICTED}. In brackets the rank, 1 noticing most; > where no reference had a JND.", *_unlike(board))
    rows = _ranked(board, names, cells)
    return Table(f"1st JND by distortion ({board.question})", ("observer", *names), tuple(rows), notes)


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
        rows.append((name, *map(_r, line), "", *map(_r, rest)))
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
            _correlation(row.pair.correlation), _count(row.censored_first), _count(row.censored_second),
        )
        for row in rows
    )  # fmt: skip
    notes = (
        "Spearman's, over the references that have a J under both; J > L tie at the top. 95 % BCa bootstrap over "
        "references. - where all are alike.",
    )
    columns = ("distortions", "observer", "question", "n", "Spearman [95 %]", "first > L", "second > L")
    return Table("Correlation between distortions over references", columns, lines, notes, heads=3)


def prompted(rows: Sequence[PromptingRow]) -> Table:
    """Return the table of the distortion unnamed against named, of runs that asked both."""
    lines = []
    for row in rows:
        of, less = row.reduction, row.interval
        bounds = "" if less is None else f" [{less.low:+.1f}, {less.high:+.1f}]"
        told = not math.isnan(row.paired.wins)
        win = f"{row.paired.wins:.2f} {_interval(row.paired.interval)}".strip() if told else "?"
        lines.append((
            of.distortion, of.observer, f"{row.implicit} / {row.explicit}", str(row.paired.n), f"{of.implicit:.1f}",
            f"{of.explicit:.1f}", f"{of.absolute:+.1f}{bounds}", _percent(of.relative), win,
            *(map(_p, (row.paired.p, row.p_holm)) if told else "??"),
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
    found = {(row.kept, row.part, row.size): row.correlation for row in rows}
    lines = []
    for kept, part in dict.fromkeys((row.kept, row.part) for row in rows):
        mine = [found[kept, part, size] for size in sizes]
        lines.append((part, kept, str(mine[0].n), *map(_correlation, mine)))
    notes = (
        "Spearman's over models whose backbones are known, nothing fitted; 95 % BCa bootstrap over models, as if those "
        "of one family were independent; no correction for looking at several. Uncensored: without the models that "
        "have a mean beyond L; dense: without mixtures of experts, whose Param_L counts all experts, not the active "
        "ones.",
    )
    columns = ("part", "models", "n", *sizes)
    return Table("1st JND against the size of the backbones", columns, tuple(lines), notes, heads=2)


def records(found: CorrelationAnalysis) -> dict[str, Any]:
    """Return the numbers of runs as plain data for JSON."""
    return {
        "relations": [
            plain({"question": board.question, "same_references": board.alike, "scores": board.scores,
                   "averages": board.averages, "ranks": board.ranks, "pearson": board.pearson,
                   "spearman": board.spearman})
            for board in found.boards
        ],
        "within": plain(found.within),
        "prompting": plain(found.prompting),
        "missing": found.missing,
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


def published(found: PaperAnalysis) -> list[Table]:
    """Return the tables of the paper's numbers and of what follows from them."""
    board = Leaderboard(
        "the paper's", found.scores, found.averages, found.ranks, found.pearson, found.spearman, alike=True
    )
    return [
        _printed(found),
        _again(found),
        by_part(board),
        _censored(found.scores),
        matrix(found.pearson, found.spearman, "Correlation between distortions over the models"),
        contrasts(found),
        reduced(found.reductions),
        parabolas(found.curves),
        backbones(found.backbones),
    ]


def _printed(found: PaperAnalysis) -> Table:
    rows = tuple((row.observer, *(cell or "-" for cell in row.cells.values())) for row in found.table)
    notes = (
        f"{SOURCE}. Quoted: of these ladders only jpeg, angle and distance have limen's unit. {HUMAN}: people, other "
        "stimuli and no spread; quoted only, never ranked or tested against.",
    )
    return Table("The paper's 1st JNDs, as printed", ("observer", *found.table[0].cells), rows, notes)


def _again(found: PaperAnalysis) -> Table:
    rows = tuple(
        (row.observer, row.printed, f"{row.average:.3f}{'' if row.agrees else ' !'}", str(row.printed_rank),
         f"{row.rank}{'' if row.rank == row.printed_rank else ' !'}")
        for row in found.recomputed
    )  # fmt: skip
    wrong = [row for row in found.recomputed if not row.agrees]
    notes = tuple(f"! {row.observer}: {row.printed} in print, {row.average:.2f} from its cells." for row in wrong)
    columns = ("observer", "average in print", "from the cells", "rank in print", "from the cells")
    return Table("Averages and ranks again", columns, rows, notes)


def _censored(scores: Sequence[Score]) -> Table:
    """Return the table of means that are only bounds, distortion by distortion."""
    lines = []
    for name in dict.fromkeys(score.distortion for score in scores):
        cells = [score for score in scores if score.distortion == name]
        beyond = [score.observer for score in cells if score.censored]
        share = f"{len(beyond)} of {len(cells)}"
        lines.append((name, str(cells[0].levels), share, ", ".join(beyond) or "-"))
    nearly = max((score for score in scores if not score.censored), key=lambda score: score.mean / score.levels)
    notes = (
        "In these cells no reference had a JND up to L. How many had none elsewhere, and so medians and quartiles "
        f"over references, is not published: a mean near L ({nearly.mean:g} of {nearly.levels}, {nearly.observer}) "
        "hides the same.",
    )
    return Table("Censored means", ("distortion", "L", "means > L", "of"), tuple(lines), notes)


def contrasts(found: PaperAnalysis, most: int = 15) -> Table:
    """Return the table of the pairs on which Pearson's and Spearman's coefficients differ most."""
    matrices = (found.pearson, found.spearman, found.pearson_uncensored, found.spearman_uncensored)
    of = [{(pair.first, pair.second): pair.correlation for pair in matrix.pairs} for matrix in matrices]
    apart = sorted(of[0], key=lambda pair: -abs(of[0][pair].value - of[1][pair].value))
    lines = tuple(
        (
            f"{first} - {second}",
            f"{found.matrix[first][second]:.3f}",
            *(_correlation(each[first, second]) for each in of),
        )
        for first, second in apart[:most]
    )
    n, fewer = _n(found.pearson.pairs), _n(found.pearson_uncensored.pairs)
    columns = ("distortions", "in print", f"Pearson, {n}", f"Spearman, {n}", f"Pearson, {fewer}", f"Spearman, {fewer}")
    notes = (
        f"[95 % BCa bootstrap over models]. All {n} models with '>50' as 50 (Pearson's is the paper's), and the "
        f"{fewer} without a censored mean. The {len(lines)} of {len(apart)} pairs that differ most; all in --json.",
    )
    return Table("Where the two coefficients part", columns, lines, notes)


def reduced(rows: Sequence[Reduction]) -> Table:
    """Return the table of what naming the distortion does to published means."""
    lines = tuple(
        (row.observer, row.distortion, f"{row.implicit:.2f}", f"{row.explicit:.2f}", f"{row.absolute:.2f}",
         f"{100 * row.relative:.1f}")
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
        top = "-" if of.top is None else f"{of.top[1]:.1f} at {of.top[0]:.0f}"
        read = ", ".join(f"{'top' if ratio is None else f'{ratio:g}'}: {value:g}" for ratio, value in row.figure)
        off = "no top" if row.distance is None else f"{row.distance:.2f}"
        lines.append((
            of.part, ", ".join(row.without) or "-", f"{len(of.observers)} points, {len(of.coefficients)} parameters",
            f"{of.left:.1f}", top, f"{of.right:.1f}", read, f"{off} ({'fits' if row.fits else 'does not fit'})",
        ))  # fmt: skip
    ratios = ", ".join(f"{ratio:.0f}" for ratio in sorted(rows[0].parabola.ratios)) if rows else ""
    notes = (
        f"Inferred, not stated by the paper: its dashed curve is the quadratic through the models of {LARGE:g}B and "
        f"more (ratios {ratios}). Over three different ratios a quadratic meets every point, or the mean of those at "
        "one ratio, whatever the data: it is no evidence of a shape. Spearman's over all models stands beside it.",
    )
    columns = ("part", "without", "from", "left", "top", "right", "in the figure", "largest distance")
    return Table("The curve against Param_L/Param_V", columns, tuple(lines), notes, heads=2)


def published_records(found: PaperAnalysis) -> dict[str, Any]:
    """Return the paper's numbers and what follows from them as plain data for JSON."""
    blind = [score for score in found.scores if score.censored]
    human = next(row for row in found.table if row.observer == HUMAN)
    return {
        "source": SOURCE,
        "notes": [f"{RESTRICTED}.", MIXED.partition(";")[0] + "."],
        "scores": plain(found.scores),
        "human": {"use": "quoted only: other stimuli, no spread", "cells": {k: v for k, v in human.cells.items() if v}},
        "averages": [
            plain(row) | {"parts": {a.part: a.mean for a in found.averages if a.observer == row.observer}}
            for row in found.recomputed
        ],
        "ranks": [
            {"observer": row.observer, "printed": row.printed_rank, "recomputed": row.rank,
             "by": {place.of: place.rank for place in found.ranks if place.observer == row.observer}}
            for row in found.recomputed
        ],
        "correlation": plain(found.pearson.values()),
        "spearman": plain(found.spearman.values()),
        "pairs": list(_pairs(found)),
        "censored": {
            "cells": [{"observer": s.observer, "distortion": s.distortion, "levels": s.levels} for s in blind],
            "k": len(blind),
            "n": len(found.scores),
            "observers": list(dict.fromkeys(score.observer for score in blind)),
        },
        "reductions": plain(found.reductions),
        "backbones": {
            "parameters": {name: plain(of) | {"ratio": of.ratio} for name, of in found.parameters.items()},
            "curves": [
                plain(row) | {"points": len(row.parabola.ratios), "parameters": len(row.parabola.coefficients)}
                for row in found.curves
            ],
            "spearman": plain(found.backbones),
        },
    }  # fmt: skip


def _pairs(found: PaperAnalysis) -> Iterable[dict[str, Any]]:
    matrices = {
        "pearson": found.pearson, "spearman": found.spearman, "pearson_uncensored": found.pearson_uncensored,
        "spearman_uncensored": found.spearman_uncensored,
    }  # fmt: skip
    for i, pair in enumerate(found.pearson.pairs):
        values = {name: plain(matrix.pairs[i].correlation) for name, matrix in matrices.items()}
        yield {"first": pair.first, "second": pair.second, "printed": found.matrix[pair.first][pair.second]} | values


# --- cells ---


def _n(pairs: Sequence[Pair]) -> str:
    counts = sorted({pair.correlation.n for pair in pairs})
    return "-".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def _correlation(found: Correlation) -> str:
    return f"{_r(found.value)} {_interval(found.interval)}".strip()


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def _r(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _count(share: Share) -> str:
    return f"{share.k} of {share.n}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:+.0f}"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def sizes(given: Iterable[Average], known: Mapping[str, Parameters], width: int) -> Spec:
    """Return small multiples of a part's mean 1st JND against the ratio of language to vision parameters.

    Args:
        given: means of each observer, by part.
        known: parameters of the observers, by name; others are left out.
        width: of the page, in px.
    """
    values = [
        {"part": row.part if row.value == row.mean else f"{row.part} (% of L)", "who": row.observer,
         "mean": row.value if row.value == row.mean else 100 * row.value,
         "ratio": 1000 * known[row.observer].language / known[row.observer].vision}
        for row in given if row.observer in known
    ]  # fmt: skip
    columns = min(4 if width > 500 else 2, len({item["part"] for item in values}) or 1)
    names = list(dict.fromkeys(str(item["who"]) for item in values))
    x = {"field": "ratio", "type": "quantitative", "scale": {"type": "log"},
         "axis": {"title": "Param_L / Param_V", "tickCount": 4, "grid": False}}  # fmt: skip
    y = {"field": "mean", "type": "quantitative", "axis": {"title": "mean 1st JND", "tickCount": 4}}
    layer = [{"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
              "encoding": {"x": x, "y": y, **identity(names, columns=1 if width < 500 else 3)}}]  # fmt: skip
    return {
        "data": {"values": values},
        "facet": {"field": "part", "type": "nominal", "title": None},
        "columns": columns,
        "spec": {"width": (width - 46) // columns - 24, "height": 140, "layer": layer},
        "resolve": {"scale": {"y": "independent"}},
    }
