"""Sections of the page, and those of what lies beyond the tables of answers: fits, comparisons, ranks, chains.

Gathered in one place so that the page, the JSON and the files for a paper show the same.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from limen.analysis import Analysis, SeriesStatus, changes, fitting, redundancy, survival
from limen.analysis import correlations as relations
from limen.analysis import growth as laws
from limen.analysis import sizes as picture_sizes
from limen.analysis.model_size import BackboneRow, Parameters
from limen.analysis.model_size import backbones as by_size
from limen.analysis.participants import PeopleAnalysis
from limen.analysis.participants import people as of_participants
from limen.analysis.wordings import WordingRow, wordings
from limen.image import Image
from limen.report import coded_size, correlations, figures, growth, observers, people, psychometric, sizes, statistics
from limen.report.feature_screen import FirstScreen
from limen.report.figures import Spec
from limen.report.format import Table, plain
from limen.report.runs import OpenRun

SMALL = 20_000  # series times distortions up to which correlations over references are worked out (some 10 s)
LARGE = 3_000  # complete series up to which a report fits thresholds and laws; `limen fit` has no limit
TOO_MANY = "Fitted thresholds and laws were left out, because there are more than {:,} series: limen fit RUN fits them."

Drawing: TypeAlias = tuple[str, str, Callable[[int], Spec]]
Names: TypeAlias = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedPicture:
    """A picture in a row, small enough that five stand beside each other.

    Attributes:
        label: what it shows.
        image: uint8 RGB.
        colours: of a heat map, at the two ends of its scale, as CSS has them; empty for a photograph.
        ends: what these ends mean, with their unit.
    """

    label: str
    image: Image
    colours: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, title, a sentence of introduction, tables, figures and pictures.

    Attributes:
        figures: (name, what it shows, a function from the page's width to the specification).
        pictures: rows of them.
        key: what the colours of the pictures mean; "" where there is nothing to say.
        level: of its heading: 2, or 3 for a part of the section before.
        screen: what is said before anything else, of a run.
    """

    anchor: str
    title: str
    about: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Drawing, ...] = ()
    pictures: tuple[tuple[CaptionedPicture, ...], ...] = ()
    key: str = ""
    level: int = 2
    screen: FirstScreen | None = None

    def __repr__(self) -> str:
        return f"Section({self.title[:80]!r}, {len(self.tables)} tables, {len(self.figures)} figures)"


@dataclass(frozen=True)
class Statistics:
    """What is worked out of one run, or of several put together; empty where it has no meaning.

    Attributes:
        fits, comparisons, scored: see `limen.analysis.fitting`.
        changed: see `limen.analysis.changes`.
        unnoticed, satisfied, repeats: see `limen.analysis.survival`.
        wordings: see `limen.analysis.wordings`.
        relations: ranks, correlations, implicit against explicit.
        redundancy, laws: of chains of JNDs.
        backbones: correlation of JNDs with the sizes of backbones, by the first question.
        sizes: of those backbones, by observer, as given.
        missing: a line on what was left out, and why; "" if nothing was.
        by_size, size_differences: of photographs shown at several sizes (`limen.analysis.sizes`).
        people: of participants, where there are any.
    """

    fits: tuple[fitting.FitRow, ...]
    comparisons: tuple[fitting.ComparisonRow, ...]
    unnoticed: tuple[survival.UnnoticedRow, ...]
    changed: tuple[changes.ChangedRow, ...]
    satisfied: tuple[survival.SatisfiedRow, ...]
    repeats: tuple[survival.RepeatRow, ...]
    scored: tuple[fitting.ScoredRow, ...]
    wordings: tuple[WordingRow, ...]
    relations: relations.CorrelationAnalysis
    redundancy: tuple[redundancy.RedundancyRow, ...]
    laws: tuple[laws.GrowthRow, ...]
    backbones: tuple[BackboneRow, ...] = ()
    sizes: Mapping[str, Parameters] = field(default_factory=dict)
    missing: str = ""
    by_size: tuple[picture_sizes.PictureSizeRow, ...] = ()
    size_differences: tuple[picture_sizes.SizeDifference, ...] = ()
    people: PeopleAnalysis | None = None

    def __repr__(self) -> str:
        return f"Statistics({len(self.fits)} fits, {len(self.comparisons)} comparisons, {len(self.laws)} laws)"


def work_out(analysis: Analysis, sizes: Mapping[str, Parameters] | None = None) -> Statistics:
    """Work out all of it.

    Args:
        analysis: of a run, or of several put together.
        sizes: of the observers' backbones, where they are known.
    """
    small = sum(outcome.status is SeriesStatus.COMPLETE for outcome in analysis.outcomes) <= LARGE
    chained = any(row.order > 1 for row in analysis.jnds)
    fits = fitting.fit(analysis) if small else ()
    related = relations.measured(analysis, most=SMALL)
    scores = related.boards[0].scores if related.boards and sizes else ()
    return Statistics(
        fits,
        fitting.comparisons(analysis, fits=fits),
        survival.unnoticed(analysis),
        changes.changed(analysis),
        survival.satisfied(analysis),
        survival.repeats(analysis),
        fitting.scored(analysis),
        wordings(analysis),
        related,
        redundancy.redundancy(analysis) if chained else (),
        laws.laws(analysis) if chained and small else (),
        by_size(scores, sizes or {}),
        sizes or {},
        "" if small else TOO_MANY.format(LARGE),
        picture_sizes.sizes(analysis),
        picture_sizes.differences(analysis),
        of_participants(analysis),
    )


def records(analysis: Analysis, of: Statistics) -> dict[str, Any]:
    """Return all of it as plain data for JSON.

    Args:
        analysis: what `of` was worked out from.
        of: the analyses.
    """
    names = (
        "comparisons", "unnoticed", "changed", "satisfied", "repeats", "scored", "wordings", "by_size",
        "size_differences",
    )  # fmt: skip
    return {
        "fits": statistics.fit_records(of.fits),
        "psychometric": psychometric.records(analysis, of.fits),
        **{name: plain(getattr(of, name)) for name in names},
        **growth.records(of.redundancy, of.laws),
        "missing": of.missing,
        "backbones": plain(of.backbones),
        "relations": correlations.records(of.relations),
    } | (people.records(of.people) if of.people else {})


def of_codecs(
    runs: Sequence[OpenRun], analyses: Sequence[Analysis], together: Analysis, names: Names
) -> Iterator[Section]:
    """Yield how large coded pictures are where they begin to look different, if some are coded.

    Args:
        runs: of observers of images.
        analyses: of each run, with the names that the page gives its observers.
        together: of all runs.
        names: what to call each observer and question, in order.
    """
    found = coded_size.rows(runs, analyses)
    if not found:
        return
    drawing: Drawing = (
        "sizes", "Bits a pixel against a codec's strength, with the median thresholds",
        functools.cache(coded_size.figure(runs, analyses, found, names)),
    )  # fmt: skip
    yield from _section(
        "sizes",
        "Bytes where the difference is noticed",
        "A codec's ladder has a second axis: what a picture costs.",
        (coded_size.table(together, found),),
        (drawing,),
    )


def of_observers(runs: Sequence[OpenRun], analyses: Sequence[Analysis]) -> Iterator[Section]:
    """Yield what is known of the observers: whether they passed their exam, what reached them, what they judge by.

    Args:
        runs: of observers of images.
        analyses: of each run, with the names that the page gives its observers (`limen.analysis.merge.renamed`).
    """
    yield from _section(
        "reached",
        "What reached the observer",
        "Before the first question an exam finds out whether two pictures arrive, apart, in order and in their size, "
        "and whether the settings count. The floor is the first level at which the model's input differs from the "
        "reference's at all: what its processor removes, no model can notice.",
        (observers.exams(runs, analyses), observers.floors(runs, analyses)),
    )
    yield from _section(
        "distances",
        "Numbers behind the verdicts",
        "These observers compare two pictures by a number and say yes above a criterion. A 1st JND at the first level "
        "says only that the threshold lies there or below (<=1): compare the numbers, or a criterion from a larger "
        "nuisance.",
        tuple(observers.distances(run.store, run.analysis, run.name * (len(runs) > 1)) for run in runs),
    )


def of_people(analysis: Analysis, of: Statistics, names: Names) -> Iterator[Section]:
    """Yield what is worked out of people, and of people beside models, where there are people.

    Args:
        analysis: what `of` was worked out from.
        of: the analyses.
        names: what to call each observer and question, in order.
    """
    if of.people is None:
        return
    of_people = functools.partial(people.tables, analysis, of.people, of.satisfied, names)
    drawn = {part: tuple(people.drawings(of.people, of.satisfied, names, part)) for part in people.PARTS}
    yield from _section(
        "people",
        "People",
        "Each participant is an observer of its own in the tables of this page; here they are taken together. What "
        "each figure means, and when there is none: docs, People beside models.",
        of_people("people"),
    )
    yield from _section(
        "people-sur", "The satisfied user ratio beside the satisfied machine ratio", "", of_people("sur"),
        drawn["sur"], level=3,
    )  # fmt: skip
    yield from _section(
        "people-likeness",
        "Which model sees like people",
        "Whether the references that are hard for people are hard for the model, held against how well people agree "
        "with people.",
        of_people("likeness"),
        drawn["likeness"],
        level=3,
    )
    yield from _section(
        "people-consistency",
        "Error consistency",
        "Whether two observers are right on the same trials, more than how often each is right explains.",
        of_people("consistency"),
        drawn["consistency"],
        level=3,
    )
    yield from _section(
        "people-sittings", "Learning, reaction times and confidence", "", of_people("sittings"), drawn["sittings"],
        level=3,
    )  # fmt: skip


def of_statistics(analysis: Analysis, of: Statistics, names: Names) -> Iterator[Section]:
    """Yield what is worked out beyond the tables of answers.

    Args:
        analysis: what `of` was worked out from.
        of: the analyses.
        names: what to call each observer and question, in order.
    """
    boards = [board for board in of.relations.boards if len({score.distortion for score in board.scores}) > 1]
    unnoticed: Drawing = (
        "unnoticed", "Share of references not noticed, against the level",
        lambda width: figures.unnoticed(of.unnoticed, names, width),
    )  # fmt: skip
    changed: Drawing = (
        "changed", "Share of answers that have changed, against the level",
        lambda width: figures.changed(of.changed, names, width),
    )  # fmt: skip
    backbones: Drawing = (
        "backbones", "Mean 1st JND of each part against Param_L / Param_V, one mark an observer",
        lambda width: correlations.sizes(of.relations.boards[0].averages, of.sizes, width),
    )  # fmt: skip
    yield from _section(
        "fits",
        "Fitted thresholds, false alarms apart",
        "The level noticed half the time is another thing than the protocol's JND, which needs its whole window.",
        (
            observers.noted(analysis, statistics.fits(analysis, of.fits)),
            statistics.picks(analysis, of.fits),
            statistics.scored(analysis, of.scored),
            statistics.unnoticed(analysis, of.unnoticed),
        ),
        (unnoticed,) if of.unnoticed else (),
    )
    curves = tuple(psychometric.drawings(analysis, of.fits, names))
    if curves:
        yield Section("psychometric", "Psychometric functions", psychometric.about(of.fits), figures=curves)
    yield from _section(
        "changed",
        "Changed answers, and the satisfied machine ratio",
        "The share of answers that are other than the one to the undistorted reference, for each observer; and the "
        "share of the models that do not notice yet, for each reference, as its mean.",
        (statistics.changed(analysis, of.changed), statistics.satisfied(of.satisfied)),
        (changed,) if of.changed else (),
    )
    by_size: Drawing = (
        "picture-sizes", "Median threshold against picture size, with its 95 % interval; open: beyond the ladder",
        lambda width: sizes.figure(analysis, of.by_size, names, width),
    )  # fmt: skip
    yield from _section(
        "picture-sizes",
        "Thresholds against picture size",
        sizes.ABOUT,
        (sizes.compared(analysis, of.size_differences), sizes.thresholds(analysis, of.by_size)),
        (by_size,) if of.by_size else (),
    )
    yield from _section(
        "compared", "Compared on the same references", "",
        (statistics.comparisons(of.comparisons), correlations.prompting(of.relations.prompting),
         statistics.wordings(analysis, of.wordings), statistics.repeats(analysis, of.repeats)),
    )  # fmt: skip
    yield from _section(
        "parts",
        "Parts of the data set, and how distortions go together",
        "",
        (
            *(correlations.by_part(board) for board in boards),
            *(correlations.matrix(board.pearson, board.spearman) for board in boards if board.pearson.pairs),
            correlations.within(of.relations.within if boards else ()),
        ),
    )
    yield from _section(
        "backbones", "1st JND against the size of the backbones", "",
        (correlations.backbones(of.backbones),), (backbones,) if of.backbones else (),
    )  # fmt: skip
    yield from _section(
        "redundancy",
        "Perceptual redundancy, and the law of the n-th JND",
        "What lies between one JND and the next goes unnoticed.",
        (growth.redundancy(analysis, of.redundancy), growth.gaps(analysis, of.redundancy),
         growth.laws(analysis, of.laws)),
        tuple(_courses(of, names)) if of.redundancy else (),
    )  # fmt: skip


def _section(
    anchor: str, title: str, about: str, tables: tuple[Table, ...], drawings: tuple[Drawing, ...] = (), level: int = 2
) -> Iterator[Section]:
    """Yield a section of those tables that have rows, if any has."""
    full = tuple(table for table in tables if table.rows)
    if full:
        yield Section(anchor, title, about, full, drawings, level=level)


def _courses(of: Statistics, names: Names) -> Iterator[Drawing]:
    """Yield the figure of the laws of each observer and question that has any."""
    for number, ((observer, question), name) in enumerate(names.items(), start=1):
        rows = [row for row in of.laws if (row.observer, row.question) == (observer, question) and row.scores]
        if rows:
            label = f"Level of the n-th JND against n, with the laws fitted: {name}"
            yield f"laws-{number}", label, functools.partial(growth.courses, rows)
