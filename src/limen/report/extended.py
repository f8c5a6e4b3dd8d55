"""What lies beyond the tables of answers: fits, comparisons, ranks, correlations, chains; each with its section.

Gathered in one place so that the page, the JSON and the files for a paper show the same.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from limen.analysis import Analysis, SeriesStatus, correlations, fitting, growth, redundancy, survival
from limen.analysis.model_size import BackboneRow, Parameters
from limen.analysis.model_size import backbones as by_size
from limen.report import correlations as relation_tables
from limen.report import figures, fits, origins
from limen.report import growth as law_tables
from limen.report import survival as share_tables
from limen.report.section import Drawing, Section
from limen.report.tables import plain

SMALL = 20_000  # series times distortions up to which correlations over references are worked out (some 10 s)
LARGE = 3_000  # complete series up to which a report fits thresholds and laws; `limen fit` has no limit
TOO_MANY = "Fitted thresholds and laws were left out, because there are more than {:,} series: limen fit RUN fits them."


@dataclass(frozen=True)
class Further:
    """The analyses of one run, or of several put together; empty where they have no meaning.

    Attributes:
        fits, comparisons, unnoticed, satisfied, repeats, scored: see `limen.analysis.fitting` and
        `limen.analysis.survival`. relations: ranks, correlations, implicit against explicit.
        redundancy, laws: of chains of JNDs.
        backbones: correlation of JNDs with the sizes of backbones, by the first question.
        sizes: of those backbones, by observer, as given.
        missing: a line on what was left out, and why; "" if nothing was.
    """

    fits: tuple[fitting.FitRow, ...]
    comparisons: tuple[fitting.ComparisonRow, ...]
    unnoticed: tuple[survival.UnnoticedRow, ...]
    satisfied: tuple[survival.SatisfiedRow, ...]
    repeats: tuple[survival.RepeatRow, ...]
    scored: tuple[fitting.ScoredRow, ...]
    relations: correlations.CorrelationAnalysis
    redundancy: tuple[redundancy.RedundancyRow, ...]
    laws: tuple[growth.GrowthRow, ...]
    backbones: tuple[BackboneRow, ...] = ()
    sizes: Mapping[str, Parameters] = field(default_factory=dict)
    missing: str = ""


def work_out(analysis: Analysis, sizes: Mapping[str, Parameters] | None = None) -> Further:
    """Work out all of it.

    Args:
        analysis: of a run, or of several put together.
        sizes: of the observers' backbones, where they are known.
    """
    small = sum(outcome.status is SeriesStatus.COMPLETE for outcome in analysis.outcomes) <= LARGE
    chained = any(row.order > 1 for row in analysis.jnds)
    fits = fitting.fit(analysis) if small else ()
    found = correlations.measured(analysis, most=SMALL)
    first = found.boards[0].scores if found.boards and sizes else ()
    return Further(
        fits,
        fitting.comparisons(analysis, fits=fits),
        survival.unnoticed(analysis),
        survival.satisfied(analysis),
        survival.repeats(analysis),
        fitting.scored(analysis),
        found,
        redundancy.redundancy(analysis) if chained else (),
        growth.laws(analysis) if chained and small else (),
        by_size(first, sizes or {}),
        sizes or {},
        "" if small else TOO_MANY.format(LARGE),
    )


def records(of: Further) -> dict[str, Any]:
    """Return all of it as plain data for JSON."""
    rows = {
        "fits": of.fits, "comparisons": of.comparisons, "unnoticed": of.unnoticed, "satisfied": of.satisfied,
        "repeats": of.repeats, "scored": of.scored,
    }  # fmt: skip
    found: dict[str, Any] = {name: [plain(row) for row in those] for name, those in rows.items()}
    found |= law_tables.records(of.redundancy, of.laws) | {"missing": of.missing}
    found |= {"backbones": [plain(row) for row in of.backbones]}
    return found | {"relations": relation_tables.records(of.relations)}


def sections(analysis: Analysis, of: Further, names: dict[tuple[str, str], str]) -> Iterator[Section]:
    """Yield the sections that have something to show.

    Args:
        analysis: what `of` was worked out from.
        of: the analyses.
        names: what to call each observer and question, in order.
    """
    if of.fits or of.unnoticed:
        drawn: tuple[Drawing, ...] = (
            ("unnoticed", "Share of references not noticed, against the level",
             lambda width: figures.unnoticed(of.unnoticed, names, width)),
        )  # fmt: skip
        yield Section(
            "fits",
            "Fitted thresholds, false alarms apart",
            "The level noticed half the time is another thing than the protocol's JND, which needs its whole window.",
            (
                *([origins.noted(analysis, fits.fits(analysis, of.fits))] if of.fits else []),
                *([share_tables.scored(analysis, of.scored)] if of.scored else []),
                *([share_tables.unnoticed(analysis, of.unnoticed)] if of.unnoticed else []),
                *([share_tables.satisfied(of.satisfied)] if of.satisfied else []),
            ),
            drawn if of.unnoticed else (),
        )
    if of.comparisons or of.repeats or of.relations.prompting:
        yield Section(
            "compared",
            "Compared on the same references",
            "",
            (
                *([fits.compared(of.comparisons)] if of.comparisons else []),
                *([relation_tables.prompted(of.relations.prompting)] if of.relations.prompting else []),
                *([share_tables.repeats(analysis, of.repeats)] if of.repeats else []),
            ),
        )
    boards = [board for board in of.relations.boards if len({score.distortion for score in board.scores}) > 1]
    if boards:
        yield Section(
            "parts",
            "Parts of the data set, and how distortions go together",
            "",
            (
                *(relation_tables.by_part(board) for board in boards),
                *(relation_tables.matrix(board.pearson, board.spearman) for board in boards if board.pearson.pairs),
                *([relation_tables.within(of.relations.within)] if of.relations.within else []),
            ),
        )
    if of.backbones:
        given = of.relations.boards[0].averages
        yield Section(
            "backbones",
            "1st JND against the size of the backbones",
            "",
            (relation_tables.backbones(of.backbones),),
            (
                ("backbones", "Mean 1st JND of each part against Param_L / Param_V, one mark an observer",
                 lambda width: relation_tables.sizes(given, of.sizes, width)),
            ),
        )  # fmt: skip
    if of.redundancy:
        drawn = tuple(_courses(of, names))
        yield Section(
            "redundancy",
            "Perceptual redundancy, and the law of the n-th JND",
            "What lies between one JND and the next goes unnoticed.",
            (
                law_tables.redundancy(analysis, of.redundancy),
                law_tables.gaps(analysis, of.redundancy),
                *([law_tables.laws(analysis, of.laws)] if of.laws else []),
            ),
            drawn,
        )


def _courses(of: Further, names: dict[tuple[str, str], str]) -> Iterator[Drawing]:
    """Yield the figure of the laws of each observer and question that has any."""
    for number, ((observer, question), name) in enumerate(names.items(), start=1):
        rows = [row for row in of.laws if (row.observer, row.question) == (observer, question) and row.scores]
        if rows:
            label = f"Level of the n-th JND against n, with the laws fitted: {name}"
            yield f"laws-{number}", label, functools.partial(law_tables.courses, rows)
