"""Trials of anybody's, one a row of a plain CSV file."""

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from limen import distortion, participant, question, registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.imports import _table
from limen.imports._table import Count, Name
from limen.ladder import Ladder
from limen.people import recording
from limen.people.recording import RecordedAnswer, Recording
from limen.question import Question, VerdictKind
from limen.source import Source, readable
from limen.sources._rows import RowSpan
from limen.store import SeriesRow
from limen.trial import Answer

KIND = "trials"
DEFAULT = "direct-implicit"  # "Is there any noticeable difference between these two images?"
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Strength = Annotated[float, msgspec.Meta(ge=-1e100, le=1e100)]


class TrialRow(msgspec.Struct, frozen=True):
    """A row of the file: one answer about a reference and one of its stimuli.

    Attributes:
        participant: an alias, 1 to 32 letters, digits, - and _; of a model its name.
        reference: names the picture at level 0.
        level: of the stimulus; 0 is the reference itself.
        answer: in the question's words: yes or no, same or different.
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
        noticed: whether the answer says that there is a difference, yes or no; held against the answer.
    """

    participant: Name
    reference: Name
    level: Count
    answer: Name
    against: Count = 0
    distortion: Name = "distortion"
    strength: _Strength | None = None
    unit: Annotated[str, msgspec.Meta(max_length=100)] = ""
    question: Name = DEFAULT
    draw: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    session: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    at: Name | None = None
    ms_shown: _Milliseconds = 0.0
    reaction_time_ms: _Milliseconds | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    picture: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")] = ""
    kind: Literal["person", "model"] = "person"
    noticed: Literal["yes", "no"] | None = None


@dataclass
class _Read:
    """What rows gave."""

    rows: list[tuple[RowSpan, TrialRow]] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # as tables have them, and as the file has them
    last: dict[tuple[str, int], float] = field(default_factory=dict)
    strengths: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    units: dict[str, str] = field(default_factory=dict)
    tops: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pictures: dict[str, str] = field(default_factory=dict)
    times: list[float | None] = field(default_factory=list)
    between: int = 0  # levels whose strength nobody gave


@registry.add("import", KIND)
def from_trials(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """A CSV of anybody's trials: participant, reference, level, answer, and more where it is known (docs: human data).

    Args:
        place: the file (`TrialRow` has its columns).
        run: the run directory, which must not be there yet.
        tell: called with how many answers are written, of how many.

    Returns:
        Lines for a person: what was read.

    Raises:
        InputError: a row does not fit; one line that names file and line. Nothing is written then.
        StoreError: the run cannot be written.
    """
    recording.vacant(run)
    file = Path(place)
    read = _read(file)
    content = _recording(readable(file.name), read)
    recording.write(run, content, tell)
    lines = [f"{content.file}: {recording.counted(content)}. Run: {run}"]
    if read.between:
        lines.append(f"{read.between:,} levels without a strength: theirs lie on a line between their neighbours.")
    return lines


def _read(file: Path) -> _Read:
    read = _Read()
    for span, row in _table.rows(file, TrialRow):
        if len(read.rows) >= recording.MOST:
            raise InputError(f"{span.where}: is one answer over {recording.MOST:,}. Divide the file.")
        _take(read, span, row)
        read.rows.append((span, row))
    return read


def _take(read: _Read, span: RowSpan, row: TrialRow) -> None:
    """Hold a row against those before it."""
    who = row.participant
    if row.kind == "person":
        _table.alias(span, who, read.aliases)
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
    if row.strength is not None:
        known = read.strengths[row.distortion].setdefault(row.level, row.strength)
        if known != row.strength:
            raise InputError(
                f"{span.where}: level {row.level} of {row.distortion!r} has the strength {row.strength:g}, and "
                f"{known:g} in an earlier row. A level has one strength."
            )
    unit = read.units.setdefault(row.distortion, row.unit)
    if unit != row.unit:
        raise InputError(f"{span.where}: the unit of {row.distortion!r} is {row.unit!r}, and {unit!r} in earlier rows.")
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
    answers, seen = [], set()
    numbered = any(row.draw is not None for _, row in read.rows)
    for (span, row), at in zip(read.rows, read.times, strict=True):
        asked = questions.setdefault(row.question, _question(span, row.question))
        where = row.distortion, row.reference
        if where not in series:
            series[where] = recording.series_of(KIND, file, kinds[row.distortion], row.reference, row.picture)
        pair = (row.participant, row.kind, row.question, *where, row.against, row.level, row.draw)
        if numbered and pair in seen:
            raise InputError(
                f"{span.where}: {row.participant!r} has answered level {row.level} of {row.reference!r} as draw "
                f"{row.draw or 0} in an earlier row. Number answers to one pair: draw 0, 1, 2; or leave the column out."
            )
        seen.add(pair)
        answers.append(
            RecordedAnswer(
                _name(row.participant, row.kind), asked, series[where], row.level, _answer(span, asked, row),
                row.against, row.draw or 0, row.session, at, row.ms_shown, row.reaction_time_ms, row.confidence,
            )
        )  # fmt: skip
    source = Source(KIND, lambda path: iter(()), "", "", "", "", False)
    told = answers if numbered else recording.numbered(answers)
    return Recording(
        source, file, observers, tuple(kinds.values()), tuple(questions.values()), tuple(series.values()), told
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
        asked = question.find(name)
    except InputError as error:
        raise InputError(f"{span.where}: {error}") from None
    if asked.verdict is not VerdictKind.DIFFERS or asked.form is None:
        raise InputError(
            f"{span.where}: the question {name!r} is answered by a place, or about one picture at a time, and these "
            "columns say of neither what was right. Give one that asks whether two pictures differ: direct, "
            "direct-implicit, same-different."
        )
    return asked


@functools.lru_cache(maxsize=256)
def _spoken(asked: Question, text: str, what: str) -> str:
    value = question.known(asked.form, text, what)  # type: ignore[arg-type]
    return asked.form.spelled.get(value, text)  # type: ignore[union-attr]


def _answer(span: RowSpan, asked: Question, row: TrialRow) -> str:
    try:
        text = _spoken(asked, row.answer, f"the answer to {asked.name!r}")
    except InputError as error:
        raise InputError(f"{span.where}: {error}") from None
    if row.noticed is not None and asked.read((Answer(text),)).yes is not (row.noticed == "yes"):
        raise InputError(
            f"{span.where}: the answer {row.answer!r} and noticed {row.noticed!r} do not say the same. Correct one, or "
            "leave the column noticed out."
        )
    return text


def _distortion(name: str, read: _Read, outside: str) -> Distortion:
    """Return a distortion: limen's own where all strengths are those of its ladder, else one known by its levels."""
    top, given = max(read.tops[name], 1), {k: s for k, s in read.strengths[name].items() if k}
    known: Mapping[str, Distortion] = registry.every("distortion")
    if not given:
        ladder = Ladder(tuple(float(level) for level in range(1, top + 1)), read.units[name] or "level")
        return recording.unmade(name, name, ladder, outside)
    own = known.get(name)
    if own is not None and _fits(own.ladder, given, read.units[name]):
        return distortion.find(name)
    levels = sorted(given)
    read.between += top - len(levels)
    strengths = np.interp(range(1, top + 1), levels, [given[level] for level in levels])
    return recording.unmade(name, name, Ladder(tuple(map(float, strengths)), read.units[name] or "?"), outside)


def _fits(ladder: Ladder, given: Mapping[int, float], unit: str) -> bool:
    if unit not in ("", ladder.unit) or max(given) > len(ladder):
        return False
    return all(ladder[level] == strength for level, strength in given.items())
