"""Trials of anybody's, one a row of plain CSV files."""

import functools
import glob
import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from limen import distortion, participant, question, registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.files import vacant
from limen.imports import _table
from limen.imports._table import Count, Name
from limen.ladder import Ladder
from limen.people import recording
from limen.people.recording import CATEGORY, RecordedAnswer, Recording
from limen.question import Question
from limen.source import Source, readable
from limen.sources._rows import RowSpan
from limen.store import SeriesRow
from limen.trial import Answer

KIND = "trials"
DEFAULT = "direct-implicit"  # "Is there any noticeable difference between these two images?"
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Strength = Annotated[float, msgspec.Meta(ge=-1e100, le=1e100)]
_Unit = Annotated[
    str,
    msgspec.Meta(
        max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="a text of at most 100 characters, in one line"
    ),
]
_Picture = Annotated[
    str,
    msgspec.Meta(pattern=r"^[0-9a-f]{32}$", description="32 hexadecimal digits, as limen.image.digest gives them"),
]
LEVELS, PEOPLE = "levels_data.csv", "participants_data.csv"  # with which names of tables end that hold no trials


class TrialRow(msgspec.Struct, frozen=True):
    """A row of the file: one answer about a reference and one of its stimuli.

    Attributes:
        participant: an alias, 1 to 32 letters, digits, - and _; of a model its name.
        reference: names the picture at level 0.
        level: of the stimulus; 0 is the reference itself.
        answer: in the question's words: yes or no, same or different; of a forced choice correct or wrong, or a place
            with `noticed`; a row without one is left out.
        against: level of the picture that it was compared with.
        distortion: what was done to the picture.
        strength: of the level, in `unit`.
        unit: of the strength.
        question: by its name in `limen list questions`.
        draw: number of the answer where one pair was shown several times; without it they are numbered in their order.
        session: number of the sitting.
        at: when it was shown: seconds since 1970, or ISO 8601 with its offset from UTC.
        ms_shown: how long.
        reaction_time_ms: from the pictures' appearance to the answer.
        confidence: 0 to 1.
        picture: digest of the reference's pixels (`limen.image.digest`), which makes it the same reference as in a run
            of a model; without it, it is known by its name.
        kind: person or model.
        noticed: whether the answer says that there is a difference, or is right, yes or no; held against the answer.
    """

    participant: Name
    reference: Name
    level: Count
    answer: Annotated[str, msgspec.Meta(max_length=400)] = ""
    against: Count = 0
    distortion: Name = "distortion"
    strength: _Strength | None = None
    unit: _Unit = ""
    question: Name = DEFAULT
    draw: Annotated[int, msgspec.Meta(ge=0, le=recording.MOST - 1)] | None = None
    session: Annotated[int, msgspec.Meta(ge=1, le=99_999)] = 1
    at: Name | None = None
    ms_shown: _Milliseconds = 0.0
    reaction_time_ms: _Milliseconds | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    picture: _Picture = ""
    kind: Literal["person", "model"] = "person"
    noticed: Literal["yes", "no"] | None = None


class LevelRow(msgspec.Struct, frozen=True):
    """A row of a table of levels, which says how strong they are, whether or not anybody was asked about them.

    Attributes:
        level: 0 is the reference.
        strength: of the level, in `unit`.
        distortion, unit: as in rows of trials.
    """

    level: Count
    strength: _Strength
    distortion: Name = "distortion"
    unit: _Unit = ""


class PersonRow(msgspec.Struct, frozen=True):
    """A row of a table of participants, as the export to Psych-DS writes it; other columns are passed over.

    Attributes:
        participant: the alias.
        attention: "failed" where the rule about catch trials was not passed.
    """

    participant: Name
    attention: Annotated[str, msgspec.Meta(max_length=400)] = ""


@dataclass
class _Read:
    """What rows gave."""

    rows: list[tuple[RowSpan, TrialRow]] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # as tables have them, and as the file has them
    last: dict[tuple[str, int], float] = field(default_factory=dict)
    strengths: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    places: dict[tuple[str, int], str] = field(default_factory=dict)  # file and line that gave a level its strength
    units: dict[str, str] = field(default_factory=dict)
    tops: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pictures: dict[str, str] = field(default_factory=dict)
    times: list[float | None] = field(default_factory=list)
    between: int = 0  # levels whose strength nobody gave
    empty: int = 0  # rows without an answer
    repeated: int = 0  # pairs answered more than once, without draws
    failed: list[str] = field(default_factory=list)  # who did not pass the attention rule


@registry.add("import", KIND)
def from_trials(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """CSV files of anybody's trials: participant, reference, level, answer, and more where known (docs: human data).

    Args:
        place: a file (`TrialRow` has its columns), a folder, of which all *.csv below it are read in the order of their
            names, or a pattern with * and ?: one recording. Of a table whose name ends in levels_data.csv, in the
            folder or beside a file, strengths are read (`LevelRow`); of one in participants_data.csv, who failed.
        run: the run directory, which must not be there yet.
        tell: called with how many answers are written, of how many.

    Returns:
        Lines for a person: what was read.

    Raises:
        InputError: a row does not fit; one line that names file and line. Nothing is written then.
        StoreError: the run cannot be written.
    """
    vacant(run)
    trials, levels, people = _files(place)
    read = _read(trials, levels, people)
    content = _recording(readable(Path(place).name or Path(place).resolve().name), read)
    recording.write(run, content, tell)
    several = f"{len(trials):,} files, " if len(trials) > 1 else ""
    return [f"{content.file}: {several}{recording.counted(content)}. Run: {run}", *_told(read)]


def _told(read: _Read) -> list[str]:
    lines = []
    if read.between:
        lines.append(f"{read.between:,} levels without a strength: theirs lie on a line between their neighbours.")
    if read.repeated:
        pairs = "1 pair was" if read.repeated == 1 else f"{read.repeated:,} pairs were"
        lines.append(
            f"{pairs} answered twice or more: taken as repeated looks (draws). Rows pasted twice look the same; give a "
            "column draw if repeats are meant."
        )
    if read.empty:
        rows = "1 row" if read.empty == 1 else f"{read.empty:,} rows"
        lines.append(f"{rows} without an answer left out.")
    if read.failed:
        lines.append(
            f"Failed the attention rule where they were asked, and counted here: {', '.join(read.failed)}. Take their "
            "files out to leave them out."
        )
    return lines


def _files(place: str) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the files of trials that a place names, then tables of levels and of participants in it or beside."""
    path = Path(place)
    if path.is_dir():
        found = {file for file in path.rglob("*") if file.suffix.lower() == ".csv" and file.is_file()}
    elif path.exists() or not glob.has_magic(place):
        found = {path}
    else:
        found = {file for file in map(Path, glob.glob(place, recursive=True)) if file.is_file()}
    found = {file for file in found if file == path or not file.name.startswith(".")}  # as systems leave them beside
    beside = {file for folder in {one.parent for one in found} for file in folder.glob("[!.]*_data.csv")}
    tables = sorted((found | beside) - {path})  # a file that is named itself holds trials, whatever its name
    levels, people = ([file for file in tables if file.name.endswith(end)] for end in (LEVELS, PEOPLE))
    trials = sorted(found.difference(levels, people))
    if not trials:
        raise InputError(f"{readable(place)}: there is no CSV file of trials. Give a file, a folder, or '*.csv'.")
    return trials, levels, people


def _read(trials: list[Path], levels: list[Path], people: list[Path]) -> _Read:
    read = _Read()
    _check_unlike(trials)
    for file in levels:
        for span, level in _table.rows(file, LevelRow):
            _strength(read, span, level)
    for file in trials:
        for span, row in _table.rows(file, TrialRow, needed=("answer",)):
            if len(read.rows) >= recording.MOST:
                raise InputError(f"{span.where}: is one answer over {recording.MOST:,}. Divide the file.")
            if not row.answer:
                read.empty += 1
                continue
            _take(read, span, row)
            read.rows.append((span, row))
    if not read.rows:
        raise InputError(f"{readable(trials[0].name)} line 2: no row has an answer. Write one row for each answer.")
    for file in people:
        read.failed += [
            row.participant
            for _, row in _table.rows(file, PersonRow, strange=True)
            if row.attention == "failed" and row.participant in read.kinds
        ]
    return read


def _check_unlike(files: list[Path]) -> None:
    """Raise `InputError` where one of several files is there twice."""
    known: dict[str, Path] = {}
    for file in files if len(files) > 1 else ():
        try:
            with open(file, "rb") as stream:
                before = known.setdefault(hashlib.file_digest(stream, "sha256").hexdigest(), file)
        except OSError as error:
            raise InputError(f"{readable(file.name)}: cannot be read ({error.strerror}). Check the path.") from None
        if before is not file:
            shown = readable(str(before))
            raise InputError(f"{readable(str(file))} line 1: the same file as {shown}. Keep one of the two.")


def _strength(read: _Read, span: RowSpan, row: TrialRow | LevelRow) -> None:
    """Note a level's strength, and the unit, held against those before it."""
    if row.strength is not None:
        known = read.strengths[row.distortion].setdefault(row.level, row.strength)
        place = read.places.setdefault((row.distortion, row.level), span.where)
        if known != row.strength:
            raise InputError(
                f"{span.where}: level {row.level} of {row.distortion!r} has the strength {row.strength:g}, and "
                f"{known:g} in {place}. A level has one strength: correct one."
            )
    unit = read.units.setdefault(row.distortion, row.unit) if row.unit else ""
    if row.unit != unit:
        raise InputError(
            f"{span.where}: the unit of {row.distortion!r} is {row.unit!r}, and {unit!r} in earlier rows. A distortion "
            "has one unit: convert the strengths, or write the unit in one way."
        )


def _take(read: _Read, span: RowSpan, row: TrialRow) -> None:
    """Hold a row against those before it."""
    who = row.participant
    if row.kind == "person":
        _table.alias(span, who, read.aliases)
    else:
        _table.model(span, who)
    if read.kinds.setdefault(who, row.kind) != row.kind:
        raise InputError(f"{span.where}: {who!r} is a {read.kinds[who]} in earlier rows. Give one kind each.")
    name = _name(who, row.kind)
    other = read.names.setdefault(name, who)
    if other != who:
        raise InputError(
            f"{span.where}: the participant {name.removeprefix(f'{participant.KIND}:')!r} and the model {name!r} would "
            "be one observer. Give the model another name."
        )
    if row.level < row.against:
        raise InputError(
            f"{span.where}: level {row.level} lies below the level {row.against} that it was compared with (against). "
            "Exchange the two."
        )
    _strength(read, span, row)
    picture = read.pictures.setdefault(row.reference, row.picture)
    if picture != row.picture:
        raise InputError(
            f"{span.where}: the picture of {row.reference!r} has another digest than in earlier rows. Name two "
            "pictures differently."
        )
    at = _table.moment(span, row.at) if row.at is not None else None
    _table.forwards(span, who, row.session, at, read.last)
    read.times.append(at)
    read.tops[row.distortion] = max(read.tops[row.distortion], row.level)


def _recording(file: str, read: _Read) -> Recording:
    outside = f"recorded elsewhere, imported from {file}"
    kinds = {name: _distortion(name, read, outside) for name in sorted(read.tops)}
    observers = {_name(who, kind): _about(who, kind, file) for who, kind in read.kinds.items()}
    questions: dict[str, Question] = {}
    series: dict[tuple[str, str], SeriesRow] = {}
    references = recording.References(KIND, file)
    answers, seen, looks = [], dict[tuple[Any, ...], RowSpan](), Counter[tuple[Any, ...]]()
    numbered = any(row.draw is not None for _, row in read.rows)
    for (span, row), at in zip(read.rows, read.times, strict=True):
        asked = questions.setdefault(row.question, _question(span, row.question))
        where = row.distortion, row.reference
        if where not in series:
            series[where] = references.add(span.where, kinds[row.distortion], row.reference, row.picture)
        shown = (row.participant, row.kind, row.question, *where, row.against, row.level)
        pair = (*shown, (row.draw or 0) if numbered else row.session)
        before = seen.setdefault(pair, span)
        if before is not span and (numbered or before.file != span.file):
            raise InputError(_twice(span, row, before, numbered))
        looks[shown] += 1
        text = _judged(span, asked, row) if asked.forced else _answer(span, asked, row)
        answers.append(
            RecordedAnswer(
                _name(row.participant, row.kind), asked, series[where], row.level, text, row.against, row.draw or 0,
                row.session, at, row.ms_shown, row.reaction_time_ms, row.confidence, asked.forced,
            )
        )  # fmt: skip
    source = Source(KIND, lambda path: iter(()), "", "", "", "", False)
    read.repeated = 0 if numbered else sum(times > 1 for times in looks.values())
    told = answers if numbered else recording.numbered(answers)
    return Recording(
        source, file, observers, tuple(kinds.values()), tuple(questions.values()), tuple(series.values()), told
    )


def _twice(span: RowSpan, row: TrialRow, before: RowSpan, numbered: bool) -> str:
    what = f"{span.where}: {row.participant!r} has answered level {row.level} of {row.reference!r}"
    if numbered:
        return (
            f"{what} as draw {row.draw or 0} in an earlier row ({before.where}). Number answers to one pair: draw 0, "
            "1, 2; or leave the column out."
        )
    return (
        f"{what} in {before.where} already, in session {row.session} too. Keep one of the two rows; where both are "
        "meant, give them two sessions, or a column draw."
    )


def _name(who: str, kind: str) -> str:
    return participant.name_of(who) if kind == "person" else who


def _about(who: str, kind: str, file: str) -> dict[str, Any]:
    by = {"by": KIND, "file": file}
    if kind == "person":
        return participant.fingerprint(who, {}, by)
    return {"kind": "imported", "version": 1, "name": who} | by


def _question(span: RowSpan, name: str) -> Question:
    try:
        asked = CATEGORY if name == CATEGORY.name else question.find(name)
    except InputError as error:
        raise InputError(f"{span.where}: {error}") from None
    if asked.alone or asked.form is None:
        raise InputError(
            f"{span.where}: the question {name!r} is asked about one picture at a time, and a row is about two. Give "
            "one about both: direct, direct-implicit, same-different, forced-choice."
        )
    return asked


@functools.lru_cache(maxsize=256)
def _spoken(asked: Question, text: str, what: str) -> str:
    form = asked.form_of(None)
    return form.spelled.get(question.known(form, text, what), text)


def _answer(span: RowSpan, asked: Question, row: TrialRow) -> str:
    try:
        text = _spoken(asked, row.answer, f"the answer to {asked.name!r}")
    except InputError as error:
        raise InputError(f"{span.where}: {error}") from None
    _agreeing(span, row, asked.read((Answer(text),)).yes)
    return text


def _agreeing(span: RowSpan, row: TrialRow, yes: bool) -> None:
    """Raise `InputError` where the column noticed says something else than the answer."""
    if row.noticed is not None and yes is not (row.noticed == "yes"):
        raise InputError(
            f"{span.where}: the answer {row.answer!r} and noticed {row.noticed!r} do not say the same. Correct one, or "
            "leave the column noticed out."
        )


def _judged(span: RowSpan, asked: Question, row: TrialRow) -> str:
    """Return what is kept of a forced choice, "correct" or "wrong": where the stimulus stood, no column says."""
    if row.level == row.against:
        raise InputError(
            f"{span.where}: level {row.level} was compared with itself, and {asked.name!r} asks for the one that "
            "differs. Leave the row out: no place was right."
        )
    wrong, correct = asked.verdicts
    said = row.answer.strip().casefold()
    if said in (wrong, correct):
        _agreeing(span, row, said == correct)
        return said
    try:
        _spoken(asked, row.answer, "")
    except InputError:
        raise InputError(
            f"{span.where}: the answer to {asked.name!r} is {readable(row.answer)!r}. Write {correct} or {wrong}; or a "
            "place, with a column noticed: yes where it was right."
        ) from None
    if row.noticed is None:
        raise InputError(
            f"{span.where}: the answer {row.answer!r} is a place, and nothing says which was right. Write {correct} or "
            f"{wrong}, or give a column noticed: yes where the answer is right."
        )
    return correct if row.noticed == "yes" else wrong


def _distortion(name: str, read: _Read, outside: str) -> Distortion:
    """Return a distortion: limen's own where all strengths are those of its ladder, else one known by its levels.

    A level between two whose strength is given has what lies on the line between them; beyond them nothing is made up.
    """
    every, unit = read.strengths[name], read.units.get(name, "")
    top, given = max(read.tops[name], 1, *every), {k: s for k, s in every.items() if k}
    known: Mapping[str, Distortion] = registry.every("distortion")
    if not given:
        ladder = Ladder(tuple(float(level) for level in range(1, top + 1)), unit or "level")
        return recording.unmade(name, name, ladder, outside)
    own = known.get(name)
    if own is not None and _fits(own.ladder, given, unit):
        return distortion.find(name)
    levels = sorted(every)
    _check_strengths(name, read, levels, top)
    read.between += top - len(given)
    strengths = np.interp(range(1, top + 1), levels, [every[level] for level in levels])
    return recording.unmade(name, name, Ladder(tuple(map(float, strengths)), unit or "?"), outside)


def _check_strengths(name: str, read: _Read, levels: list[int], top: int) -> None:
    """Raise `InputError` unless known strengths neither turn round nor leave a level beyond them without one."""
    every, rises = read.strengths[name], read.strengths[name][levels[-1]] >= read.strengths[name][levels[0]]
    for low, high in itertools.pairwise(levels):
        if every[low] != every[high] and (every[low] < every[high]) != rises:
            raise InputError(
                f"{read.places[name, high]}: strengths of {name!r} turn round: {every[low]:g} at level {low}, "
                f"{every[high]:g} at level {high}, but {every[levels[0]]:g} at level {levels[0]} and "
                f"{every[levels[-1]]:g} at level {levels[-1]}. Number levels from the weakest to the strongest."
            )
    below, above = range(1, levels[0]), range(levels[-1] + 1, top + 1)
    for edge, end, beyond, lacking in ((levels[0], "lowest", below, 0), (levels[-1], "highest", above, top)):
        if beyond:
            those = f"levels {beyond[0]} to {beyond[-1]}" if len(beyond) > 1 else f"level {beyond[0]}"
            raise InputError(
                f"{read.places[name, edge]}: level {edge} is the {end} of {name!r} whose strength is given, so that "
                f"{those} would have none. Give the strength of level {lacking} too, in a row or in a table "
                f"{LEVELS} beside (level, strength, distortion, unit), or leave the column strength out."
            )


def _fits(ladder: Ladder, given: Mapping[int, float], unit: str) -> bool:
    if unit not in ("", ladder.unit) or max(given) > len(ladder):
        return False
    return all(ladder[level] == strength for level, strength in given.items())
