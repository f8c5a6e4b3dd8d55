"""Observers x distortions: means by part, ranks, correlations; and, put together, what naming the distortion does.

The same functions serve runs (`scores` of an analysis) and the paper's table (`limen.analysis.paper`). A score is a
mean 1st JND over references, restricted at L: each reference without a JND counts as L. The paper's mean over "> 50 as
50" is this restricted mean.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limen.analysis import Analysis
from limen.analysis.implicit_explicit import PromptingRow, Reduction, prompting, reduction
from limen.analysis.survival import groups, protocol
from limen.curve import Share
from limen.statistics.inference import Correlation, correlate

# The paper's parts, by limen's names and by its columns' names where they differ.
PARTS: Mapping[str, tuple[str, ...]] = {
    "low-level": ("blur", "brightness", "saturation", "color", "contrast", "jpeg", "noise", "banding"),
    "injection": ("mask", "qr", "wm_qrcode", "text", "wm_text"),
    "3D": ("angle", "distance"),
}
ALL = "all"
FEWEST = 4  # observers (or references) below which no correlation is given


@dataclass(frozen=True, slots=True)
class Score:
    """The 1st JND of one observer under one distortion.

    Attributes:
        mean: over references, restricted at `levels`.
        censored: no reference at all had a JND up to L, so that the mean is only a bound ("> 50").
        levels: L, the ladder's length.
        n, beyond: references, and those without a JND up to L; None where the source does not say.
    """

    observer: str
    distortion: str
    mean: float
    censored: bool
    levels: int
    n: int | None = None
    beyond: int | None = None


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of one observer's scores over the distortions of a part.

    Attributes:
        part: of `PARTS`, or "all".
        mean: of the means; a bound where cells are censored. NaN where the ladders are of unlike length: levels of
            ladders of 50 and of 100 are never averaged (but in the paper's own numbers, which are such averages).
        of_ladder: mean of mean / L, from 0 to 1: every ladder with the same weight.
        censored, n: cells that are only bounds, and cells.
    """

    observer: str
    part: str
    mean: float
    of_ladder: float
    censored: int
    n: int

    @property
    def value(self) -> float:
        """What observers are ranked by: the mean, or its share of the ladders where these are of unlike length."""
        return self.of_ladder if math.isnan(self.mean) else self.mean


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of one observer under a distortion, in a part, or over all, `among` so many observers.

    1 notices most; equal means share the lower number.
    """

    observer: str
    of: str
    rank: int
    among: int


@dataclass(frozen=True, slots=True)
class Pair:
    """The correlation between two distortions; `correlation.n` is how many observers (or references) have both."""

    first: str
    second: str
    correlation: Correlation


@dataclass(frozen=True, slots=True)
class Matrix:
    """Correlations between distortions over observers.

    Attributes:
        method: "pearson" or "spearman".
        distortions: in the order of the scores.
        pairs: each pair once; none where `reason` says why.
        observers: with a score.
    """

    method: str
    distortions: tuple[str, ...]
    pairs: tuple[Pair, ...]
    observers: int
    reason: str = ""

    def values(self) -> dict[str, dict[str, float]]:
        """Return the whole matrix, row by row; empty where there is none."""
        if not self.pairs:
            return {}
        rows = {name: {name: 1.0} for name in self.distortions}
        for pair in self.pairs:
            rows[pair.first][pair.second] = rows[pair.second][pair.first] = pair.correlation.value
        return {name: {other: row.get(other, math.nan) for other in self.distortions} for name, row in rows.items()}


@dataclass(frozen=True, slots=True)
class WithinRow:
    """Spearman's correlation, over references, of one observer's J under two distortions, and how many are > L."""

    observer: str
    question: str
    pair: Pair
    censored_first: Share
    censored_second: Share


@dataclass(frozen=True)
class Leaderboard:
    """What one question gives over observers and distortions.

    Attributes:
        alike: every observer's means are over the same references, so that ranks compare observers alone.
    """

    question: str
    scores: tuple[Score, ...]
    averages: tuple[Average, ...]
    ranks: tuple[Rank, ...]
    pearson: Matrix
    spearman: Matrix
    alike: bool


@dataclass(frozen=True)
class CorrelationAnalysis:
    """All of it, of one run or of several put together; `missing` says why `within` was left out."""

    boards: tuple[Leaderboard, ...]
    within: tuple[WithinRow, ...]
    prompting: tuple[PromptingRow, ...]
    missing: str = ""


# --- scores ---


def scores(analysis: Analysis, question: str) -> tuple[Score, ...]:
    """Return the 1st JNDs asked for by one question, by observer; ladders of one level have none."""
    return tuple(
        Score(row.observer, row.distortion, row.mean, row.censored.k == row.n, row.levels, row.n, row.censored.k)
        for row in analysis.jnds
        if row.question == question and row.order == 1 and row.n and row.levels > 1
    )


def uncensored(given: Sequence[Score]) -> tuple[Score, ...]:
    """Return the scores of the observers that have no censored one."""
    blind = {score.observer for score in given if score.censored}
    return tuple(score for score in given if score.observer not in blind)


def part_of(distortion: str) -> str:
    """Return the part a distortion belongs to; "" for those the paper does not have."""
    return next((part for part, names in PARTS.items() if distortion in names), "")


def averages(given: Sequence[Score], mixed: bool = False) -> tuple[Average, ...]:
    """Return each observer's means by part and over all distortions.

    Where an observer lacks a distortion that another one has, its mean would be of something else: left out.

    Args:
        given: of one question.
        mixed: average levels over ladders of unlike length too, as the paper does.
    """
    found = []
    for observer in dict.fromkeys(score.observer for score in given):
        mine = {score.distortion: score for score in given if score.observer == observer}
        for part, names in _by_part(given).items():
            if all(name in mine for name in names):
                cells = [mine[name] for name in names]
                alike = mixed or len({cell.levels for cell in cells}) == 1
                mean = float(np.mean([cell.mean for cell in cells])) if alike else math.nan
                of_ladder = float(np.mean([cell.mean / cell.levels for cell in cells]))
                found.append(Average(observer, part, mean, of_ladder, sum(c.censored for c in cells), len(cells)))
    return tuple(found)


def ranks(given: Sequence[Score], mixed: bool = False) -> tuple[Rank, ...]:
    """Return each observer's place under each distortion, in each part, and over all; `mixed` as for `averages`."""
    values = [(score.distortion, score.observer, score.mean) for score in given]
    values += [(average.part, average.observer, average.value) for average in averages(given, mixed)]
    found = []
    for of in dict.fromkeys(name for name, _, _ in values):
        means = {observer: mean for name, observer, mean in values if name == of}
        for observer, mean in means.items():
            # Means that are equal on paper may differ by rounding.
            lower = sum(other < mean - 1e-9 for other in means.values())
            found.append(Rank(observer, of, lower + 1, len(means)))
    return tuple(found)


def _by_part(given: Sequence[Score]) -> dict[str, list[str]]:
    names = list(dict.fromkeys(score.distortion for score in given))
    parts = {part: [name for name in names if part_of(name) == part] for part in PARTS}
    return {part: members for part, members in parts.items() if members} | {ALL: names}


# --- correlations ---


def correlations(given: Sequence[Score], method: str = "pearson") -> Matrix:
    """Return the correlations between distortions over observers, with BCa bootstrap intervals over observers.

    A censored score enters as L, as in the paper: Pearson's coefficient is then carried by a few blind observers
    (look at `uncensored` beside it), Spearman's ties them at the top. Observers of one family are not independent;
    the intervals take them for it.

    Args:
        given: of one question.
        method: "pearson" or "spearman".
    """
    table: dict[str, dict[str, float]] = {}
    for score in given:
        table.setdefault(score.distortion, {})[score.observer] = score.mean
    names = tuple(table)
    observers = len({score.observer for score in given})
    reason = _too_few(observers, len(names))
    pairs = []
    for first, second in () if reason else itertools.combinations(names, 2):
        both = [observer for observer in table[first] if observer in table[second]]
        if len(both) >= FEWEST:
            x, y = ([table[one][observer] for observer in both] for one in (first, second))
            pairs.append(Pair(first, second, correlate(x, y, method)))
    if not reason and not pairs:
        reason = f"No two distortions have {FEWEST} observers in common."
    return Matrix(method, names, tuple(pairs), observers, reason)


def _too_few(observers: int, distortions: int) -> str:
    if distortions < 2:
        return f"Correlations between distortions take two distortions or more, not {distortions}."
    if observers < FEWEST:
        return f"Correlations over observers take {FEWEST} observers or more, not {observers}."
    return ""


def within(analysis: Analysis) -> tuple[WithinRow, ...]:
    """Return Spearman's correlation of J between distortions over references, within each observer.

    A reference is a cluster; censored J tie above L. Pairs of distortions with fewer than four references in common
    are left out.
    """
    series: dict[tuple[str, str], dict[str, dict[str, tuple[float, bool]]]] = {}
    for (observer, question, distortion), group in groups(analysis).items():
        levels = {o.series.picture: protocol(o) for o in group if o.thresholds and o.series.levels > 1}
        if levels:
            series.setdefault((observer, question), {})[distortion] = levels
    rows = []
    for (observer, question), table in sorted(series.items()):
        for first, second in itertools.combinations(sorted(table), 2):
            shared = [picture for picture in table[first] if picture in table[second]]
            if len(shared) >= FEWEST:
                found = [[table[one][picture] for picture in shared] for one in (first, second)]
                x, y = ([level + (not reached) for level, reached in column] for column in found)
                ends = (Share(sum(not reached for _, reached in column), len(column)) for column in found)
                pair = Pair(first, second, correlate(x, y))
                rows.append(WithinRow(observer, question, pair, *ends))
    return tuple(rows)


# --- the distortion unnamed, and named ---


def reductions(implicit: Sequence[Score], explicit: Sequence[Score]) -> tuple[Reduction, ...]:
    """Return what naming the distortion does, for each observer and distortion that both have."""
    named = {(score.observer, score.distortion): score.mean for score in explicit}
    pairs = ((score, named.get((score.observer, score.distortion))) for score in implicit)
    return tuple(reduction(s.observer, s.distortion, s.mean, mean) for s, mean in pairs if mean is not None)


# --- all of a run ---


def measured(analysis: Analysis, most: int = 0) -> CorrelationAnalysis:
    """Return everything of a run, or of several put together.

    Args:
        analysis: of the runs.
        most: series times distortions up to which `within` is worked out (1 ms each); 0 for no limit.
    """
    rows: tuple[WithinRow, ...] = ()
    missing = ""
    series = len(analysis.outcomes) * len(analysis.manifest.distortions)
    if most and series > most:
        missing = f"Correlations over references were left out: {series:,} series times distortions."
    else:
        rows = within(analysis)
    boards = (leaderboard(analysis, name) for name in analysis.manifest.questions if scores(analysis, name))
    return CorrelationAnalysis(tuple(boards), rows, prompting(analysis), missing)


def leaderboard(analysis: Analysis, question: str) -> Leaderboard:
    """Return what one question gives over observers and distortions."""
    given = scores(analysis, question)
    found = averages(given), ranks(given), correlations(given, "pearson"), correlations(given, "spearman")
    return Leaderboard(question, given, *found, alike=_alike(analysis, question))


def _alike(analysis: Analysis, question: str) -> bool:
    """Whether all observers have a J of the same references, distortion by distortion."""
    seen: dict[str, set[frozenset[str]]] = {}
    for (_, asked, distortion), group in groups(analysis).items():
        if asked == question:
            seen.setdefault(distortion, set()).add(frozenset(outcome.series.picture for outcome in group))
    return all(len(references) == 1 for references in seen.values())
