"""People beside models: tables, figures and sections of what `limen.analysis.participants` works out."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from limen.analysis import Analysis, units
from limen.analysis.likeness import MOST_PAIRS, ConsistencyRow, GroupRow, LikenessRow
from limen.analysis.participants import PeopleAnalysis
from limen.analysis.people import PeopleRow, SpreadRow, SurRow
from limen.analysis.sittings import ConfidenceRow, CourseRow, TimeRow
from limen.analysis.survival import SatisfiedRow
from limen.curve import Interval
from limen.report import figures
from limen.report import format as cell
from limen.report.figures import COLOURS, INK, MUTED, SAYS, Spec, layer, quantity
from limen.report.format import NONE, Table, plain

UNKNOWN = "?"  # a cell of what the data cannot tell
MOST_COLUMNS = 20  # observers up to which error consistency is a matrix of numbers

Names: TypeAlias = Mapping[tuple[str, str], str]
Drawing: TypeAlias = tuple[str, str, Callable[[int], Spec]]
Kind: TypeAlias = tuple[str, str]  # question, distortion

_MEASURES = {"J": "1st JND", "T50": "T50", "half": "midpoint"}


def records(of: PeopleAnalysis) -> dict[str, Any]:
    """Return all of it as plain data for JSON, a list of rows under each name."""
    names = ("persons", "thresholds", "spreads", "sur", "likeness", "consistency", "consistency_groups", "courses",
             "times", "confidences")  # fmt: skip
    found = {f"people_{name}": plain(getattr(of, name)) for name in names}
    for person, kept in zip(of.persons, found["people_persons"], strict=True):
        kept["counted"] = person.counted
    for model, kept in zip(of.likeness, found["people_likeness"], strict=True):
        kept["told"] = model.told
    return found


# --- tables ---


def persons(of: PeopleAnalysis) -> Table:
    """Return the table of participants, with who failed the attention rule by its name."""
    lines = []
    for row in of.persons:
        verdict = {True: "passed", False: f"failed {row.rule}: left out", None: UNKNOWN}[row.passed]
        lines.append((
            row.observer, cell.k_of_n(row.catches) if row.catches.n else NONE, verdict if row.rule else NONE,
            cell.count(row.presentations), *((str(row.sittings), cell.number(row.minutes, 0), str(len(row.gaps)))
                                             if row.sittings or not row.presentations else (UNKNOWN,) * 3),
            cell.k_of_n(row.practice) if row.practice.n else NONE,
        ))  # fmt: skip
    rules = {(row.rule, row.share, row.fewest) for row in of.persons if row.rule}
    said = "; ".join(
        f"{name}: at least {100 * share:g} % of the catch trials right, judged from {fewest} on"
        for name, share, fewest in sorted(rules)
    )
    ruled = [row for row in of.persons if row.rule]
    failed, without = sum(not row.counted for row in ruled), len(of.persons) - len(ruled)
    attention = (
        f"Attention rule, declared before anybody was asked: {said}. {failed} of {len(ruled)} failed and "
        f"{'is' if failed == 1 else 'are'} in no figure over people; rows of a person alone stay. ? too few catch "
        f"trials to judge: counted.{f' For {without} no rule was declared: counted.' if without else ''}"
        if ruled
        else "No attention rule was declared."
    )
    n = len(of.aliases)
    notes = (
        f"{attention} Minutes without gaps; gaps: pauses that nobody asked for."
        + " Sittings: ? where what was imported has none."
        * any(not row.sittings and row.presentations for row in of.persons),
        *(
            [f"{n} alias{'es stand' if n > 1 else ' stands'} in several runs: counted as different people."]
            if n
            else []
        ),
    )
    columns = ("person", "catch trials right", "attention", "shown", "sittings", "minutes", "gaps", "practice right")
    return Table("Participants", columns, tuple(lines), notes, spare=("practice right", "gaps", "minutes"))


def thresholds(analysis: Analysis, rows: Sequence[PeopleRow]) -> Table:
    """Return the table of people's thresholds over people and references."""
    lines = [
        (row.distortion, *_asked(analysis, row.question), _MEASURES[row.measure], str(row.people), str(row.references),
         str(row.n), bounded(row), f"{row.q1} - {row.q3}" if row.measure != "half" else NONE,
         cell.k_of_n(row.beyond) if row.measure != "half" else NONE, cell.alarms(row.false_alarms),
         units.strength(row.strength, row.unit))
        for row in rows
    ]  # fmt: skip
    untold = sum(row.untold for row in rows)
    notes = (
        "Mean over references of the mean over people, restricted at L (one beyond the ladder counts as L); midpoint: "
        "the level at which half of all answers are yes, in a choice as many right as lie halfway from chance to 1. "
        "[95 %]: people and references both drawn anew (crossed "
        "bootstrap), ? below five of either. Quartiles over all series.",
        *([f"{untold} series do not say where T50 lies, and are left out."] if untold else []),
        *([CHOSEN] if any(not_fixed(row) for row in rows) else []),
    )
    columns = ("of", "people", "references", "series", "threshold [95 %]", "quartiles", "beyond L", "false alarms",
               "strength there")  # fmt: skip
    spare = ("strength there", "quartiles", "false alarms", "beyond L")
    return _table(analysis, "People's thresholds", columns, lines, notes, spare)


CHOSEN = (
    "? no midpoint where levels were chosen as answers came, or by somebody else: what was asked is no fair sample. "
    "limen fit gives each person's T50 there."
)


def not_fixed(row: PeopleRow) -> bool:
    """Say whether a midpoint is not known because levels were not fixed beforehand."""
    return row.measure == "half" and bool(row.n) and math.isnan(row.value)


def bounded(row: PeopleRow) -> str:
    """Return a threshold of people with its interval, "?" where there is none."""
    if math.isnan(row.value):
        return UNKNOWN
    value = (
        f">{row.last}" if row.value == math.inf else f"<={row.first}" if row.value == -math.inf else f"{row.value:.1f}"
    )
    return f"{value} {cell.bounds(row.interval) if row.interval else f'[{UNKNOWN}]'}"


def spread(analysis: Analysis, rows: Sequence[SpreadRow]) -> Table:
    """Return the table of standard deviations between people, between references, and of the rest."""
    lines = []
    for row in rows:
        of = row.found
        cells = (
            (*(cell.estimate(one.value, one.interval) for one in (of.person, of.reference, of.rest)),
             cell.estimate(of.share.value, of.share.interval, 0, times=100))
            if of is not None else (UNKNOWN,) * 4
        )  # fmt: skip
        lines.append((
            row.distortion, *_asked(analysis, row.question), _MEASURES[row.measure], str(row.people),
            str(row.references), str(row.n), *cells, cell.k_of_n(row.beyond),
        ))  # fmt: skip
    columns = ("of", "people", "references", "series", "sd between people", "sd between references", "sd of the rest",
               "% between people", "beyond the ends")  # fmt: skip
    notes = (
        "Levels; posterior median [95 % credible interval] of threshold = centre + person + reference + rest. The rest "
        "holds what one person sees of one reference and the error of one threshold. % between people: of the "
        "variance at one reference. Thresholds beyond an end of the ladder enter as such; ? below five people or "
        "references, with half or more beyond an end, or where nobody met what others met.",
    )
    return _table(analysis, "Spread of people's thresholds", columns, lines, notes, ("beyond the ends", "series"))


def satisfied(analysis: Analysis, of: PeopleAnalysis, models: Sequence[SatisfiedRow]) -> Table:
    """Return the table of satisfied user ratios beside satisfied machine ratios.

    Args:
        analysis: what `of` was worked out from.
        of: what was worked out.
        models: the satisfied machine ratios.
    """
    lines = []
    for row in of.sur:
        if row.reference:
            continue
        lines.append((
            row.distortion, *_asked(analysis, row.question), f"people (n = {row.people})", str(row.references),
            f"{row.curve.levels[-1]}", _point(row), *_at_fifths(row.curve),
        ))  # fmt: skip
        for one in models:
            if (one.question, one.distortion) == (row.question, row.distortion):
                last, point = one.curve.levels[-1], one.curve.point(0.75)
                lines.append((
                    row.distortion, *_asked(analysis, row.question), f"models (n = {len(one.observers)})",
                    str(one.curve.n), f"{last}", f">{last}" if point is None else f"{point}", *_at_fifths(one.curve),
                ))  # fmt: skip
    columns = ("of", "references", "L", "75 % up to [95 %]", *_FIFTHS)
    notes = (
        "Per cent who do not notice yet at that level, mean over references. Of people the satisfied user ratio (SUR), "
        "its interval over people and references; of models the satisfied machine ratio, its interval over references "
        "alone: these models are no sample. 75 % up to: the last level at which three quarters are satisfied, of "
        "people the 75 %-SUR point.",
    )
    return _table(
        analysis, "Satisfied user ratio beside the satisfied machine ratio", columns, lines, notes, _FIFTHS[::2]
    )


_FIFTHS = ("at L / 5", "2 L / 5", "3 L / 5", "4 L / 5", "L")


def _at_fifths(curve: Any) -> Iterator[str]:
    top = curve.levels[-1]
    for fifth in range(1, 6):
        at = top * fifth // 5
        interval = None if math.isnan(curve.low[at]) else Interval(curve.low[at], curve.high[at])
        yield cell.estimate(curve.share[at], interval, 0, times=100)


def _point(row: SurRow) -> str:
    interval = f"[{row.low}, {row.high}]" if row.low is not None else f"[{UNKNOWN}]"
    return f"{row.point} {interval}"


def by_reference(analysis: Analysis, rows: Sequence[SurRow]) -> Table:
    """Return the table of 75 %-SUR points of single references."""
    lines = [
        (row.distortion, *_asked(analysis, row.question), row.reference, str(row.people), _point(row),
         NONE if (half := row.curve.point(0.5)) is None else str(half))
        for row in rows if row.reference
    ]  # fmt: skip
    notes = ("[95 %] over people, percentiles of a bootstrap; ? below five people, and where all are alike.",)
    columns = ("reference", "people", "75 %-SUR point [95 %]", "50 % up to")
    return _table(analysis, "Satisfied user ratio, reference by reference", columns, lines, notes)


def ranking(analysis: Analysis, rows: Sequence[LikenessRow]) -> Table:
    """Return the table of models by how their thresholds go with people's, with the ceiling."""
    lines = []
    for row in rows:
        told = row.told
        ceiling = row.ceiling
        lines.append((
            row.distortion, *_asked(analysis, row.question), row.model, _measures(row), str(row.people),
            str(row.references), cell.estimate(row.rho, row.interval, 2) if told else UNKNOWN,
            cell.estimate(ceiling.value, ceiling.interval, 2) if ceiling is not None else UNKNOWN,
            cell.estimate(row.likeness, row.likeness_interval, 2) if told and ceiling is not None else UNKNOWN,
            f"{row.beyond.k}, {row.model_beyond.k}",
        ))  # fmt: skip
    columns = ("model", "of", "people", "references", "rank correlation [95 %]", "ceiling [95 %]",
               "of the ceiling [95 %]", "beyond L: people, model")  # fmt: skip
    notes = (
        "Spearman's correlation over references of the model's threshold with people's mean, BCa bootstrap over "
        "references; thresholds beyond the ladder are tied at its end. Ceiling: the root of the split-half reliability "
        "of people's mean (random halves, Spearman-Brown; none below ten people): what seeing just as people do on the "
        "average would reach. Of the ceiling: the quotient; above 1 by chance alone. ? where the interval is 1 wide or "
        "more, or there is none.",
    )
    return _table(analysis, "Which model sees like people", columns, lines, notes, ("beyond L: people, model", "of"))


def _measures(row: LikenessRow) -> str:
    theirs, own = _MEASURES[row.measure], _MEASURES[row.model_measure]
    return theirs if theirs == own else f"{own} with {theirs}"


def groups(analysis: Analysis, rows: Sequence[GroupRow]) -> Table:
    """Return the table of mean error consistency of people with people, people with models, models with models."""
    lines = [
        (row.distortion, *_asked(analysis, row.question), row.of, str(row.pairs), str(row.found.references),
         f"{row.found.levels} of {row.found.of}", _kappa(row.found.kappa, row.found.interval),
         _kappa(row.found.pooled, row.found.pooled_interval))
        for row in rows
    ]  # fmt: skip
    columns = ("pairs of", "pairs", "references", "levels", "kappa within level [95 %]", "pooled [95 %]")
    return _table(analysis, "Error consistency", columns, lines, (_KAPPA, *_unlisted(rows)), ("levels", "references"))


def _unlisted(rows: Sequence[GroupRow]) -> Iterator[str]:
    """Yield a sentence where pairs have no rows."""
    kinds = dict.fromkeys(row.distortion for row in rows if not row.listed)
    if kinds:
        yield f"Above {MOST_PAIRS:,} pairs of observers only means are given, over all of them: {', '.join(kinds)}."


_KAPPA = (
    "Cohen's kappa of being right on the same trials: 0 as chance would have it, 1 always together. Within each level, "
    "then averaged; pooled over levels it is larger, because strong levels are easy for everybody. Percentiles of a "
    "bootstrap over references, ? below five. A level at which both are always right, or never, says nothing."
)


def _kappa(value: float, interval: Interval | None) -> str:
    if math.isnan(value):
        return UNKNOWN
    return cell.estimate(value, interval, 2) if interval else f"{value:.2f} [{UNKNOWN}]"


def matrix(analysis: Analysis, rows: Sequence[ConsistencyRow], names: Names) -> Iterator[Table]:
    """Yield the matrix of error consistency of each question and distortion: within level below, pooled above.

    Args:
        analysis: of a run, or of several put together.
        rows: pair by pair.
        names: what to call each observer and question.
    """
    for (question, distortion), mine in _by_kind(rows).items():
        who = list(dict.fromkeys(name for row in mine for name in (row.first, row.second)))
        if len(who) > MOST_COLUMNS:
            continue
        found = {(row.first, row.second): row.found for row in mine}
        lines = []
        for i, one in enumerate(who):
            cells = []
            for j, other in enumerate(who):
                pair = found.get((other, one) if j < i else (one, other))
                value = math.nan if pair is None else pair.kappa if j < i else pair.pooled
                cells.append("" if i == j else UNKNOWN if math.isnan(value) else f"{value:.2f}")
            lines.append((f"{i + 1} {_unnumbered(names.get((one, question), one))}", *cells))
        title = f"Error consistency, each with each: {distortion}{_with(analysis, question)}"
        notes = ("Below the diagonal kappa within level, above it pooled over levels; with intervals: pair by pair.",)
        yield Table(title, ("observer", *(str(i + 1) for i in range(len(who)))), tuple(lines), notes)


def pairs(analysis: Analysis, rows: Sequence[ConsistencyRow], names: Names) -> Table:
    """Return the table of error consistency pair by pair, with intervals.

    Args:
        analysis: of a run, or of several put together.
        rows: pair by pair.
        names: what to call each observer and question.
    """
    lines = [
        (row.distortion, *_asked(analysis, row.question),
         *(names.get((one, row.question), one) for one in (row.first, row.second)), str(row.found.references),
         f"{row.found.levels} of {row.found.of}", _kappa(row.found.kappa, row.found.interval),
         _kappa(row.found.pooled, row.found.pooled_interval) + ("" if row.counted else " *"))
        for row in rows
    ]  # fmt: skip
    notes = (_KAPPA, *(["* not in the means: one of the two failed the attention rule."] * any(
        not row.counted for row in rows)))  # fmt: skip
    columns = ("first", "second", "references", "levels", "kappa within level [95 %]", "pooled [95 %]")
    return _table(analysis, "Error consistency, pair by pair", columns, lines, notes, ("levels", "references"))


def courses(analysis: Analysis, rows: Sequence[CourseRow]) -> Table:
    """Return the table of learning and fatigue."""
    several = len(analysis.manifest.questions) > 1
    lines = []
    for row in rows:
        times, digits = (100, 0) if row.measure in ("yes", "correct") else (1, 1)
        of = f"% {row.measure}" if times == 100 else f"{_MEASURES[row.measure]}, levels"
        changes = (
            NONE
            if mean is None
            else UNKNOWN
            if math.isnan(mean.value)
            else cell.estimate(mean.value, mean.interval, digits, "+", times)
            for mean in (row.within, row.between)
        )
        lines.append((row.observer or f"people (n = {row.n})", *((row.question,) * several), of,
                      "" if not row.observer else str(row.n), *changes))  # fmt: skip
    columns = ("person", *(("question",) * several), "of", "n", "per 100 presentations", "per sitting")
    notes = (
        "Change while a sitting goes on, and from one sitting to the next, each answer held against what the others "
        "said of the same reference (and level), so that it hardly matters who met what when; least squares, 95 % of "
        "Student's t. A falling threshold is learning, a rising one fatigue; of shares the other way round. Thresholds "
        "beyond the ladder count as L; ? where more than half of a person's lie beyond an end of it.",
    )
    return Table("Learning and fatigue", columns, tuple(lines), notes)


def times(rows: Sequence[TimeRow]) -> Table:
    """Return the table of reaction times by answer, level and confidence."""
    lines = [
        (row.by, row.label, str(row.people), cell.count(row.n), _seconds(row), f"{row.q1:.2f} - {row.q3:.2f}",
         str(row.interrupted))
        for row in rows if row.by != "distance" and row.n
    ]  # fmt: skip
    columns = ("by", "of", "people", "n", "typical [95 %]", "quartiles", "interrupted")
    notes = (
        "Seconds from the pictures to the answer. Typical: median over people of their own medians [95 % by order "
        "statistics, ? below six people]; quartiles over presentations. Interrupted: a gap lies in it; left out.",
    )
    return Table("Reaction times", columns, tuple(lines), notes, heads=2, spare=("interrupted", "quartiles"))


def _seconds(row: TimeRow) -> str:
    bounds = UNKNOWN if row.low is None or row.high is None else f"{row.low:.2f}, {row.high:.2f}"
    return f"{row.typical:.2f} [{bounds}]"


def confidences(analysis: Analysis, rows: Sequence[ConfidenceRow]) -> Table:
    """Return the table of confidence against being right."""
    several = len(analysis.manifest.questions) > 1
    lines = []
    for row in rows:
        every = math.isnan(row.confidence)
        over = cell.estimate(row.over.value, row.over.interval, 2) if every else (
            cell.estimate(row.over.value, row.over.interval, 0, times=100)
        )  # fmt: skip
        lines.append((
            *((row.question,) * several), "all" if every else f"{row.confidence:.2f}", str(row.over.n),
            f"{cell.k_of_n(row.right)}: {100 * row.right.value:.0f} %", NONE if every else over, over if every else "",
        ))  # fmt: skip
    columns = (*(("question",) * several), "confidence", "people", "right", "% right over people [95 %]",
               "type-2 area [95 %]")  # fmt: skip
    notes = (
        "Confidence from 0, the lowest step, to 1. Over people: mean of each person's own share, Student's t. Type-2 "
        "area: chance that of a right and a wrong answer of one person the right one is the surer, .5 for no insight; "
        "it rises with how well people see, too. Right: the right choice; of yes or no, "
        "yes to different pictures, so that a sure no to what cannot be seen counts as wrong: read it of choices.",
    )
    return Table("Confidence", columns, tuple(lines), notes, heads=1 + several)


def _asked(analysis: Analysis, question: str) -> tuple[str, ...]:
    return (question,) if len(analysis.manifest.questions) > 1 else ()


def _with(analysis: Analysis, question: str) -> str:
    return f", {question}" if len(analysis.manifest.questions) > 1 else ""


def _table(
    analysis: Analysis, title: str, columns: Sequence[str], lines: Iterable[tuple[str, ...]],
    notes: tuple[str, ...], spare: tuple[str, ...] = (),
) -> Table:  # fmt: skip
    names = ("distortion", *(("question",) if len(analysis.manifest.questions) > 1 else ()))
    return Table(title, (*names, *columns), tuple(lines), notes, heads=len(names) + 1, spare=spare)


def _by_kind(rows: Iterable[Any]) -> dict[Kind, list[Any]]:
    found: dict[Kind, list[Any]] = {}
    for row in rows:
        found.setdefault((row.question, row.distortion), []).append(row)
    return found


# --- figures ---


def satisfied_figure(of: PeopleAnalysis, models: Sequence[SatisfiedRow], width: int) -> Spec:
    """Return small multiples of the satisfied user ratio beside the satisfied machine ratio, with 95 % bands.

    Args:
        of: what was worked out.
        models: the satisfied machine ratios.
        width: of the page, in px.
    """
    means = [row for row in of.sur if not row.reference]
    several = len({row.question for row in means}) > 1
    values = []
    for who, rows in (("people", means), ("models", models)):
        for row in rows:
            if (row.question, row.distortion) not in {(one.question, one.distortion) for one in means}:
                continue
            called = f"{row.distortion}, {row.question}" if several else row.distortion
            for level, share, low, high in zip(
                row.curve.levels, row.curve.share, row.curve.low, row.curve.high, strict=True
            ):
                values.append({
                    "distortion": called, "who": who, "level": level, "share": 100 * share,
                    "low": 100 * (share if math.isnan(low) else low),
                    "high": 100 * (share if math.isnan(high) else high),
                })  # fmt: skip
    there = tuple(who for who in ("people", "models") if any(value["who"] == who for value in values))
    return figures.bands(values, {(who, ""): who for who in there}, width, "% satisfied")


def ranking_figure(rows: Sequence[LikenessRow], names: Mapping[str, str], width: int) -> Spec:
    """Return rank correlations of models with people, a panel a distortion, people's ceiling as a dashed line.

    Args:
        rows: of models; those that cannot be told are left out.
        names: what to call each model.
        width: of the page, in px.
    """
    several = len({row.question for row in rows}) > 1
    values: list[Spec] = []
    for row in rows:
        panel = f"{row.distortion}, {row.question}" if several else row.distortion
        if row.told and row.interval is not None:
            who = names.get(row.model, row.model)
            values.append({
                "distortion": panel, "who": who, "rho": row.rho, "low": row.interval.low, "high": row.interval.high,
                "says": f"{who}: {cell.estimate(row.rho, row.interval, 2)}, {row.references} references",
                "ceiling": row.ceiling.value if row.ceiling else None,
            })  # fmt: skip
    models = list(dict.fromkeys(value["who"] for value in values))
    room = 150 if width > 500 else 104
    columns = min(3 if width > 500 else 1, len({value["distortion"] for value in values}) or 1)
    least = min(0.0, math.floor(5 * min(value["low"] for value in values)) / 5)
    x = quantity("rho", "rank correlation with people", {"domain": [least, 1]}, tickCount=5)  # fmt: skip
    y = figures.kinds("who", room, sort=models)
    y["axis"] |= {"labelLimit": room, "grid": True}
    ceiling = {"type": "rule", "strokeDash": [5, 4], "color": INK, "strokeWidth": 1.2}
    layers = [
        layer(ceiling, None, "isValid(datum.ceiling)", x={**x, "field": "ceiling", "aggregate": "max"}),
        layer({"type": "rule", "strokeWidth": 2.5, "color": COLOURS[0]}, x={**x, "field": "low"},
              x2={"field": "high"}, y=y),
        layer(figures.points(60, color=COLOURS[0]), x=x, y=y, description=SAYS),
    ]  # fmt: skip
    return {
        "data": {"values": values},
        "facet": {"field": "distortion", "type": "nominal", "title": None},
        "columns": columns,
        "spec": {"width": (width - room - 20) // columns - 16, "height": max(40, 24 * len(models)), "layer": layers},
        "spacing": {"row": 70, "column": 16},
        "bounds": "flush",
    }


def matrix_figure(rows: Sequence[ConsistencyRow], names: Names, width: int) -> Spec:
    """Return the matrix of error consistency within level of one question and distortion.

    Args:
        rows: of one question and distortion.
        names: what to call each observer and question.
        width: of the page, in px.
    """
    question = rows[0].question
    who = list(dict.fromkeys(name for row in rows for name in (row.first, row.second)))
    called = {name: f"{i + 1} {_unnumbered(names.get((name, question), name))}" for i, name in enumerate(who)}
    values = []
    for row in rows:
        kappa = row.found.kappa
        unknown = math.isnan(kappa)
        says = f"{called[row.first]} with {called[row.second]}: {_kappa(kappa, row.found.interval)}"
        for one, other in ((row.first, row.second), (row.second, row.first)):
            values.append({
                "one": called[one], "other": called[other].partition(" ")[0], "says": says,
                "text": UNKNOWN if unknown else f"{kappa:.2f}".replace("0.", "."),
                "more": 0.0 if unknown else min(1.0, abs(kappa)), "low": not unknown and kappa < 0,
            })  # fmt: skip
    room = 150 if width > 500 else 104
    side = min(44, max(6, (width - room - 20) // len(who)))
    order = list(called.values())
    x = figures.kinds("other", 20, sort=[name.partition(" ")[0] for name in order])
    x["axis"] = {"title": None, "domain": False, "ticks": False, "orient": "top", "labelAngle": 0,
                 "labelOverlap": True}  # fmt: skip
    y = figures.kinds("one", room, sort=order)
    y["axis"] |= {"labelLimit": room, "labelOverlap": True}
    shade = {"field": "more", "type": "quantitative", "legend": None, "scale": {"domain": [0, 1], "range": [0.04, 0.6]}}
    layers = [
        layer({"type": "rect", "color": COLOURS[colour], "stroke": None}, None, condition, x=x, y=y, opacity=shade,
              description=SAYS)
        for colour, condition in ((0, "!datum.low"), (1, "datum.low"))
        if any(value["low"] is bool(colour) for value in values)
    ]  # fmt: skip
    if side >= 26:
        layers.append(layer({"type": "text", "fontSize": 11}, x=x, y=y, text={"field": "text"}))
    return {"data": {"values": values}, "width": side * len(who), "height": min(side, 26) * len(who), "layer": layers}


def _unnumbered(name: str) -> str:
    first, _, rest = name.partition(" ")
    return rest if first.isdecimal() and rest else name


def times_figure(rows: Sequence[TimeRow], width: int) -> Spec:
    """Return typical reaction times against the distance from the threshold, with 95 % intervals over people.

    Args:
        rows: by distance.
        width: of the page, in px.
    """
    values = [
        {"at": row.at, "seconds": row.typical, "low": row.low, "high": row.high,
         "says": f"{row.label}: {_seconds(row)} s, {row.people} people, {row.n} presentations"}
        for row in rows if row.n
    ]  # fmt: skip
    x = quantity("at", "level - threshold, % of the ladder", {"nice": False, "padding": 12}, tickCount=8, grid=False)
    y = quantity("seconds", "s to the answer", {"zero": True}, tickCount=4)
    threshold = {"type": "rule", "strokeDash": [1, 3], "color": MUTED}
    layers = [
        layer(threshold, [{"at": 0}], x=x),
        layer({"type": "rule", "strokeWidth": 2, "color": COLOURS[0], "opacity": 0.6}, None, "isValid(datum.low)", x=x,
              y={**y, "field": "low"}, y2={"field": "high"}),
        layer(figures.line(color=COLOURS[0]), x=x, y=y),
        layer(figures.points(46, color=COLOURS[0]), x=x, y=y, description=SAYS),
    ]  # fmt: skip
    return {"data": {"values": values}, "width": min(560, width - 60), "height": 190, "layer": layers}


def course_figure(rows: Sequence[CourseRow], width: int) -> Spec:
    """Return each person's change over 100 presentations of a sitting with its interval, the mean over people first.

    Args:
        rows: of one question.
        width: of the page, in px.
    """
    share = rows[0].measure in ("yes", "correct")
    times = 100 if share else 1
    values = []
    for row in rows:
        of = row.within
        if of.interval is not None:
            values.append({
                "who": row.observer.removeprefix("person:") or "people", "mean": not row.observer,
                "at": times * of.value, "low": times * of.interval.low, "high": times * of.interval.high,
                "says": f"{row.observer or 'people'}: {cell.estimate(of.value, of.interval, 1, '+', times)}, "
                f"n = {row.n}",
            })  # fmt: skip
    what = f"change of % {rows[0].measure}" if share else f"change of {_MEASURES[rows[0].measure]}, levels"
    x = quantity("at", None, {"nice": True}, tickCount=5)
    x["axis"]["title"] = [what, "per 100 presentations"]
    room = 104
    y = figures.kinds("who", room, sort=[value["who"] for value in values])
    y["axis"] |= {"labelLimit": room}
    shade = {"condition": {"test": "datum.mean", "value": INK}, "value": COLOURS[0]}
    layers = [
        layer({"type": "rule", "strokeDash": [1, 3], "color": MUTED}, [{"at": 0}], x=x),
        layer({"type": "rule", "strokeWidth": 2}, x={**x, "field": "low"}, x2={"field": "high"}, y=y, color=shade),
        layer(figures.points(46), x=x, y=y, color=shade, description=SAYS),
    ]
    return {"data": {"values": values}, "width": min(560, width - room - 30), "height": 17 * len(values) + 8,
            "layer": layers}  # fmt: skip


# --- what a page shows ---


def drawings(of: PeopleAnalysis, models: Sequence[SatisfiedRow], names: Names, part: str) -> Iterator[Drawing]:
    """Yield the figures of one part: "sur", "likeness", "consistency" or "sittings".

    Args:
        of: what was worked out.
        models: the satisfied machine ratios.
        names: what to call each observer and question.
        part: which.
    """
    if part == "sur" and of.sur:
        label = "Share of people, and of models, that do not notice yet, against the level; bands: 95 %"
        yield "people-satisfied", label, functools.partial(satisfied_figure, of, models)
    if part == "likeness" and any(row.told for row in of.likeness):
        called = {row.model: _unnumbered(names.get((row.model, row.question), row.model)) for row in of.likeness}
        label = "Rank correlation of models with people over references; dashed: the ceiling, how well people agree"
        yield "people-likeness", label, functools.partial(ranking_figure, of.likeness, called)
    if part == "consistency":
        for i, ((question, distortion), rows) in enumerate(_by_kind(of.consistency).items(), start=1):
            label = f"Error consistency within level, each with each (blue: together; orange: apart): {distortion}"
            label += f", {question}" if len({row.question for row in of.consistency}) > 1 else ""
            yield f"people-consistency-{i}", label, functools.partial(matrix_figure, rows, names)
    if part == "sittings":
        far = [row for row in of.times if row.by == "distance" and row.n]
        if len(far) > 1:
            label = "Reaction time against the distance from the threshold: median over people, with its 95 % interval"
            yield "people-times", label, functools.partial(times_figure, far)
        for i, question in enumerate(dict.fromkeys(row.question for row in of.courses), start=1):
            rows = [row for row in of.courses if row.question == question]
            if any(row.within.interval is not None for row in rows):
                label = "Change over 100 presentations of a sitting: the mean over people, then each person; bars: 95 %"
                yield f"people-course-{i}", label, functools.partial(course_figure, rows)


def tables(
    analysis: Analysis, of: PeopleAnalysis, models: Sequence[SatisfiedRow], names: Names, part: str
) -> tuple[Table, ...]:  # fmt: skip
    """Return the tables of one part that have rows: "people", or one of those of `drawings`.

    Args:
        analysis: what `of` was worked out from.
        of: what was worked out.
        models: the satisfied machine ratios.
        names: what to call each observer and question.
        part: which.
    """
    found: tuple[Table, ...] = ()
    if part == "people":
        found = (persons(of), thresholds(analysis, of.thresholds), spread(analysis, of.spreads))
    elif part == "sur":
        found = (satisfied(analysis, of, models), by_reference(analysis, of.sur))
    elif part == "likeness":
        found = (ranking(analysis, of.likeness),)
    elif part == "consistency":
        found = (groups(analysis, of.consistency_groups), *matrix(analysis, of.consistency, names),
                 pairs(analysis, of.consistency, names))  # fmt: skip
    elif part == "sittings":
        found = (courses(analysis, of.courses), times(of.times), confidences(analysis, of.confidences))
    return tuple(table for table in found if table.rows)


PARTS = ("people", "sur", "likeness", "consistency", "sittings")  # of what a page shows of people
