"""What a page says first, and a card and the terminal too: some thresholds in known units, what they are worth."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from limen import participant
from limen.analysis import Analysis, Outcome, Quantile, SeriesStatus, survival, units
from limen.analysis.merge import own_name
from limen.analysis.tables import references_and_draws, strength_at
from limen.analysis.trust import Trust, TrustRow
from limen.analysis.wordings import wordings
from limen.curve import Share
from limen.parsing.yes_no import READER_VERSION
from limen.report import format as cell
from limen.store.entries import Manifest

MOST = 5  # numbers on the first screen, and in a sentence
FAMILIAR = ("blur", "jpeg", "noise", "brightness", "saturation", "contrast", "banding", "webp", "text", "angle")
APART = 3  # observers up to which a sentence tells each one's numbers


@dataclass(frozen=True, slots=True)
class HeadlineNumber:
    """One number of the first screen.

    Attributes:
        label: what it is of: a distortion's name, or that of a measure.
        value: with its unit.
        interval: its 95 % interval in the same unit; "" where there is none.
        note: how many references it rests on, and what else a reader must know.
        distortion: by name; "" where it is of none.
        levels: the same in levels of the ladder; "" where it is of none.
    """

    label: str
    value: str
    interval: str
    note: str
    distortion: str = ""
    levels: str = ""


@dataclass(frozen=True, slots=True)
class _Threshold:
    """A median threshold of one observer and question, wherever it comes from."""

    observer: str
    question: str
    distortion: str
    n: int
    median: Quantile
    low: Quantile | None
    high: Quantile | None
    none: Share
    unfinished: int


def numbers(analysis: Analysis, names: Mapping[tuple[str, str], str]) -> list[HeadlineNumber]:
    """Return three to five numbers that a reader should see first, the best known distortions before others.

    Args:
        analysis: of a run, or of several put together.
        names: what to call each observer and question, in order.
    """
    kinds = analysis.manifest.distortions
    groups: dict[str, list[_Threshold]] = defaultdict(list)
    for one in _thresholds(analysis):
        groups[one.distortion].append(one)
    found = []
    for name in _first(groups)[:MOST]:
        strengths, unit = kinds[name].strengths, kinds[name].unit
        lowest, highest = _extremes(groups[name])
        value, between = _value(lowest, strengths, unit), f"level {lowest.median} of {len(strengths)}"
        interval, note = units.bracket(lowest.low, lowest.high, strengths, unit), _counted(lowest)
        if len(groups[name]) > 1:
            value = _range(lowest.median, highest.median, strengths, unit)
            between = f"levels {lowest.median} to {highest.median} of {len(strengths)}"
            interval, note = "", _both(lowest, highest, names, strengths, unit)
        found.append(HeadlineNumber(name, value, interval, note, name, between))
    return found or list(_accuracies(analysis, names))


def about(analysis: Analysis, asked: int) -> str:
    """Say what the numbers are.

    Args:
        analysis: of a run, or of several put together.
        asked: observers times questions.
    """
    graded = _thresholds(analysis)
    if not graded:
        return "Share of the changed pictures that were noticed [95 % Wilson interval]."
    names = {one.distortion for one in graded}
    more = f" {len(names) - MOST} more distortions below." if len(names) > MOST else ""
    who = " from the lowest to the highest observer" if asked > 1 else ""
    several = isinstance(analysis.manifest.max_side, list)
    sized = " Each photograph counts once a size, so that the intervals are too narrow: compare sizes below." * several
    return f"{_measure(analysis)} over references{who} [95 % interval by order statistics].{more}{sized}"


def _thresholds(analysis: Analysis) -> list[_Threshold]:
    """Return the median 1st JNDs; where the procedure fits, T50; where it looks for neither, the midpoint."""
    jnds = [
        row
        for row in analysis.jnds
        if row.order == 1 and len(analysis.manifest.distortions[row.distortion].strengths) > 1
    ]
    found = [
        _Threshold(row.observer, row.question, row.distortion, row.n, row.median, row.median_low, row.median_high,
                   row.censored, row.unfinished)
        for row in jnds if row.n or row.unfinished
    ]  # fmt: skip
    found += [
        _Threshold(row.observer, row.question, row.distortion, row.n, row.median, row.median_low, row.median_high,
                   row.beyond, row.unfinished)
        for row in analysis.estimates
    ]  # fmt: skip
    if found:
        return found
    begun = survival.groups(analysis, whole=False)
    return [
        _Threshold(row.observer, row.question, row.distortion,
                   references_and_draws(begun[row.observer, row.question, row.distortion])[0], row.half,
                   *_ends(row.interval), Share(0, 0), 0)
        for row in analysis.curves if len(row.curve.levels) > 2
    ]  # fmt: skip


def _ends(interval: object) -> tuple[Quantile | None, Quantile | None]:
    low, high = getattr(interval, "low", math.nan), getattr(interval, "high", math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    return Quantile(low), Quantile(high)


def _first(groups: Mapping[str, Sequence[_Threshold]]) -> list[str]:
    """Return distortions in the order in which a reader should see them: those with a median before others."""

    def place(name: str) -> tuple[bool, int, str]:
        own = own_name(name, FAMILIAR)
        known = FAMILIAR.index(own) if own in FAMILIAR else len(FAMILIAR)
        return all(one.median.censored or math.isnan(one.median.level) for one in groups[name]), known, name

    return sorted(groups, key=place)


def _extremes(group: Sequence[_Threshold]) -> tuple[_Threshold, _Threshold]:
    """Return those with the lowest and the highest median; one that is not known counts as none."""
    known = [one for one in group if not math.isnan(one.median.level)] or list(group)
    ordered = sorted(known, key=lambda one: (one.median.censored, one.median.level))
    return ordered[0], ordered[-1]


def _range(low: Quantile, high: Quantile, strengths: Sequence[float], unit: str) -> str:
    first, last = units.said(low, strengths, unit), units.said(high, strengths, unit)
    of = units.known(unit)
    ends = [strength_at(end, strengths) for end in (low, high) if not end.below]
    numbers = [of.said(end) for end in ends if end is not None]
    if first == last or len(numbers) < 2:
        return first if first == last else f"{first} to {last}"
    return of.form.format(" to ".join(numbers))


def _value(one: _Threshold, strengths: Sequence[float], unit: str) -> str:
    return units.said(one.median, strengths, unit) if one.n or not one.unfinished else "not finished"


def _counted(one: _Threshold) -> str:
    parts = [f"n = {one.n}"]
    if one.none.k:
        parts.append(f"{one.none.k} without one")
    if one.unfinished:
        parts.append(f"{one.unfinished} not finished")
    return ", ".join(parts)


def _both(
    lowest: _Threshold, highest: _Threshold, names: Mapping[tuple[str, str], str], strengths: Sequence[float], unit: str
) -> str:
    """Say who has the lowest and the highest threshold, each with its interval."""
    ends = []
    for word, one in (("lowest", lowest), ("highest", highest)):
        interval = units.bracket(one.low, one.high, strengths, unit)
        ends.append(f"{word} {names[one.observer, one.question]} {interval}".rstrip())
    return f"{'; '.join(ends)}; n = {cell.counts([lowest.n, highest.n])}"


def _accuracies(analysis: Analysis, names: Mapping[tuple[str, str], str]) -> list[HeadlineNumber]:
    """Return the accuracy in spotting differences, where no ladder has a second level."""
    found = []
    for row in survival.accuracy(analysis)[:MOST]:
        share = row.noticed
        label = row.distortion if len(names) == 1 else names[row.observer, row.question]
        interval = cell.bounds(share.interval, 0, times=100)
        alone = f"{cell.k_of_n(row.left_alone)} identical pairs left alone"
        found.append(HeadlineNumber(label, f"{100 * share.value:.0f} % noticed", interval, f"n = {share.n}, {alone}"))
    return found


# --- many observers ---


def board(analysis: Analysis, names: Mapping[tuple[str, str], str], judged: Sequence[TrustRow]) -> cell.Table:
    """Return the table of medians with a row for each observer and question, and a column for each distortion.

    Args:
        analysis: of a run, or of several put together.
        names: what to call each observer and question, in order.
        judged: what their thresholds are worth.
    """
    graded = {(one.observer, one.question, one.distortion): one for one in _thresholds(analysis)}
    distortions = sorted({one.distortion for one in graded.values()})
    worth = {(row.observer, row.question): row for row in judged}
    lines = []
    for who, name in names.items():
        if not any((*who, distortion) in graded for distortion in distortions):
            continue
        cells = (_median(graded.get((*who, distortion))) for distortion in distortions)
        lines.append((name, worth[who].trust.value if who in worth else cell.NONE, *cells))
    counts = [one.n for one in graded.values()] or [0]
    notes = (
        f"Levels: median over references (n = {cell.counts(counts)}) [95 % interval by order statistics, none below "
        "six references]; > none up to that level in half of the references or more: the median lies beyond.",
    )
    return cell.Table(
        f"{_measure(analysis)}, observer by observer", ("observer", "verdict", *distortions), tuple(lines), notes
    )


def _median(one: _Threshold | None) -> str:
    if one is None:
        return cell.NONE
    if one.low is None or one.high is None:
        return f"{one.median}"
    return f"{one.median} [{one.low}, {one.high}]"


def _measure(analysis: Analysis) -> str:
    """Return what the medians of a run are of."""
    if any(row.order == 1 for row in analysis.jnds):
        return "Median 1st JND"
    return "Median fitted threshold T50" if analysis.estimates else f"Level of {cell.half(analysis)}"


# --- what the numbers are worth ---


@dataclass(frozen=True, slots=True)
class Worth:
    """The verdict of the first screen: one word or a count of them, why, and its colour's name."""

    word: str
    why: str
    tone: str


@dataclass(frozen=True, slots=True)
class Screen:
    """What the page, and the card, say first of one wing.

    Attributes:
        heading: what was measured, and of whom.
        verdict: what the numbers are worth; None where that is not judged.
        numbers: three to five of them.
        about: what they are, in a line.
    """

    heading: str
    verdict: Worth | None
    numbers: Sequence[HeadlineNumber]
    about: str


COLOURS = {"good": "#00704f", "care": "#8a4b00", "bad": "#b3261e"}
TONES = {Trust.BELIEVED: "good", Trust.CARE: "care", Trust.NOT: "bad", Trust.NONE: "care"}


def worth(rows: Sequence[TrustRow], names: Mapping[tuple[str, str], str]) -> Worth | None:
    """Return what the rules come to over all that were asked; None where nobody was.

    Args:
        rows: of all of them.
        names: what to call each.
    """
    if not rows:
        return None
    if len(rows) == 1:
        return Worth(rows[0].trust.value, rows[0].why or _kept(rows[0]), TONES[rows[0].trust])
    found = {row.trust for row in rows}
    worst = next(kind for kind in (Trust.NOT, Trust.NONE, Trust.CARE, Trust.BELIEVED) if kind in found)
    return Worth(_tally(rows), "; ".join(_reasons(rows, names)) or "all rules are kept", TONES[worst])


def _tally(rows: Sequence[TrustRow]) -> str:
    """Return how many got which verdict."""
    counts = Counter(row.trust for row in rows)
    return ", ".join(f"{counts[kind]} {kind.value}" for kind in Trust if counts[kind])


def _reasons(rows: Sequence[TrustRow], names: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Yield, rule by rule, who does not keep it: by name where they are few, and with what was found of one."""
    missed: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        for result in row.missed:
            missed[result.rule].append((names[row.observer, row.question], result.seen))
    for rule, found in sorted(missed.items(), key=lambda item: -len(item[1])):
        alike = len({seen for _, seen in found}) == 1
        who = f"all {len(rows)}" if len(found) == len(rows) else ", ".join(name for name, _ in found[:3])
        more = f" and {len(found) - 3} more" if 3 < len(found) < len(rows) else ""
        yield f"{found[0][1] if alike else rule}: {who}{more}"


def _kept(row: TrustRow) -> str:
    return "; ".join(rule.seen for rule in row.rules[:2] if rule.share is not None) or "all rules are kept"


def judgements(rows: Sequence[TrustRow], names: Mapping[tuple[str, str], str]) -> cell.Table:
    """Return the table of rules: what each asks for, and what was found, by observer."""
    several = len(rows) > 1
    lines = tuple(
        (*((names[row.observer, row.question], row.trust.value) if several else ()), rule.rule, rule.bound, rule.seen,
         rule.status.value)
        for row in rows
        for rule in row.rules
    )  # fmt: skip
    columns = (*(("observer", "verdict") if several else ()), "rule", "asks for", "found", "")
    notes = (
        "Believed: every rule is kept. With care: one is missed, or cannot be decided. Not believed: one is missed "
        "beyond doubt. No threshold found: every answer was no.",
    )
    return cell.Table("How the verdict comes about", columns, lines, notes, heads=3 if several else 1)


# --- the sentence to quote ---


def heading(manifest: Manifest) -> str:
    """Return what a run is about: JNDs, or (where no ladder has a second level) whether changes are noticed at all."""
    graded = any(kind.graded for kind in manifest.distortions.values())
    return "Just noticeable differences" if graded else "Accuracy in spotting differences"


def counted(manifest: Manifest) -> str:
    """Return how many observers there are; where there are people, models and people apart."""
    people, models = (len(of(manifest.observers)) for of in (participant.people_of, participant.models_of))
    if not people:
        return f"{models} observers"
    who = f"{people} {'person' if people == 1 else 'people'}"
    return f"{models} model{'s' * (models != 1)}, {who}" if models else who


def sentence(analysis: Analysis, judged: Sequence[TrustRow]) -> str:
    """Return the sentence to quote: the thresholds with intervals and n, what they are worth, how they were measured.

    Args:
        analysis: of one run.
        judged: its observers and questions.
    """
    manifest = analysis.manifest
    names = {(row.observer, row.question): _called(manifest, row) for row in judged}
    results = "; ".join(_results(analysis, names)) or f"No result yet for {', '.join(manifest.observers)}"
    references = len({outcome.series.picture for outcome in analysis.outcomes})
    scaled = _scaled(manifest)
    chosen = {key: value for key, value in manifest.procedure.items() if key != "name" and value != []}
    settings = ", ".join(f"{key} {value}" for key, value in chosen.items())
    course = f"{manifest.procedure['name']}: {settings}" if settings else manifest.procedure["name"]
    kinds = ", ".join(f"{name} v{kind.version}" for name, kind in manifest.distortions.items())
    own = {name for name, question in analysis.questions.items() if not question.of}
    asked = ", ".join(f"{name} ({entry.order})" for name, entry in manifest.questions.items() if name in own)
    worded = "".join(
        f"; in {len(row.wordings)} wordings the mean of {row.distortion} has an sd of "
        f"{cell.estimate(row.spread, row.interval)} levels"
        for row in wordings(analysis)
    )
    verdict = "; ".join(
        f"of {names[row.observer, row.question]}: {row.trust.value}{_because(row)}" for row in judged[:MOST]
    )
    return (
        f"{results}. Verdict on trust {verdict}. Over {references} references{scaled}, measured with limen "
        f"{manifest.limen} (procedure {course}; question {asked}{worded}; distortions "
        f"{kinds}; reader {_reader(manifest)}; seed {manifest.seed}).{_not_finished(analysis)}"
    )


def _not_finished(analysis: Analysis) -> str:
    """Return a sentence on series that lack answers; "" where none does."""
    count = sum(outcome.status is SeriesStatus.UNFINISHED for outcome in analysis.outcomes)
    are = "is" if count == 1 else "are"
    return (
        f" {count:,} of {len(analysis.outcomes):,} series {are} not finished and count in no figure." if count else ""
    )


def _scaled(manifest: Manifest) -> str:
    """Say to which sizes photographs were scaled; "" where they were left as they are."""
    sides = manifest.max_side
    if isinstance(sides, int):
        return f" scaled to {sides} px a side at most" if sides else ""
    told = [f"{side} px a side" if side else "their own size" for side in sides]
    return f" (each photograph at {', '.join(told[:-1])} and {told[-1]}, where it is as large)"


def _called(manifest: Manifest, row: TrustRow) -> str:
    return row.observer + (f", {row.question}" if len(manifest.questions) > 1 else "")


def _because(row: TrustRow) -> str:
    """Return what the missed rules found, in brackets; where none is missed, the false alarms."""
    seen = row.why or (row.rules[0].seen if row.rules[0].share is not None else "")
    return f" ({seen})" if seen else ""


def _results(analysis: Analysis, names: Mapping[tuple[str, str], str]) -> list[str]:
    """Return the medians of each observer and question, or over many of them the lowest to the highest."""
    graded = _thresholds(analysis)
    of = _measure(analysis)
    if not graded or len(names) > APART:
        told = ", ".join(f"{one.label} {one.value} ({one.note})" for one in numbers(analysis, names))
        manifest = analysis.manifest
        several = counted(manifest) if participant.people_of(manifest.observers) else f"{len(names)} observers"
        what = f"{of} of {several}, from the lowest to the highest" if graded else "Accuracy"
        return [f"{what}: {told}"] if told else []
    lines = []
    for who, name in names.items():
        mine = {one.distortion: one for one in graded if (one.observer, one.question) == who}
        first = _first({key: [one] for key, one in mine.items()})
        each = []
        for distortion in first[:MOST]:
            kind, one = analysis.manifest.distortions[distortion], mine[distortion]
            interval = units.bracket(one.low, one.high, kind.strengths, kind.unit)
            value = _value(one, kind.strengths, kind.unit)
            each.append(f"{distortion} {value} {f'{interval} ' if interval else ''}({_counted(one)})")
        more = f", and of {len(first) - MOST} distortions more" if len(first) > MOST else ""
        if each:
            lines.append(f"{of} of {name} [95 %]: {', '.join(each)}{more}")
    return lines


def _reader(manifest: Manifest) -> str:
    """Say which version read the answers, and which one steered the run where that was another."""
    steered = f" (v{manifest.reader} steered the run)" * (manifest.reader != READER_VERSION)
    return f"v{READER_VERSION}{steered}"


# --- the pair to look at ---


def typical_pair(analysis: Analysis, keeps: Callable[[str], bool]) -> tuple[Outcome, int] | None:
    """Return a finished series, and the median threshold of its distortion as a level to show, where there is one.

    Args:
        analysis: of a run, or of several put together.
        keeps: whether a reference was kept, by its digest.
    """
    groups: dict[str, list[_Threshold]] = defaultdict(list)
    for one in _thresholds(analysis):
        groups[one.distortion].append(one)
    for name in _first(groups):
        lowest = _extremes(groups[name])[0]
        if lowest.median.censored or math.isnan(lowest.median.level):
            continue
        level = max(1, round(lowest.median.level))
        mine = [
            outcome
            for outcome in analysis.outcomes
            if (outcome.observer, outcome.question) == (lowest.observer, lowest.question)
            and outcome.series.distortion == name and outcome.status is SeriesStatus.COMPLETE
            and keeps(outcome.series.picture)
        ]  # fmt: skip
        if mine:
            return min(mine, key=lambda outcome: (abs(_level(outcome) - level), outcome.series.name)), level
    return None


def _level(outcome: Outcome) -> float:
    if outcome.thresholds:
        return outcome.thresholds[0].level
    return outcome.estimates[0].level if outcome.estimates else math.inf
