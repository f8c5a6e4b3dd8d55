"""What others recorded, written as a run: answers of people and models, or thresholds that were published.

No pictures are needed. Where pixels are not at hand, a digest of the source's own names stands for each picture: the
same file gives the same keys, always, and never those of a picture that limen drew.
"""

import asyncio
import datetime
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from limen import digest, procedure
from limen.distortion import Distortion
from limen.errors import InputError
from limen.files import beginning
from limen.image import Picture
from limen.ladder import Ladder
from limen.loop import finish
from limen.participant import is_person, people_of
from limen.question import JUDGED, Query, Question, of_table
from limen.source import Source
from limen.store import SeriesRow, Store
from limen.store.entries import PUBLISHED, SITTINGS, PublishedEntry
from limen.study import manifest
from limen.trial import Answer, Presentation, Trial

AT_ONCE = 512  # answers written in one transaction
MOST = 1_000_000  # answers of one import
_NO_PIXELS: Any = None  # of a picture that is known by name only
CATEGORY = of_table(
    {
        "name": "category",
        "text": "Which of these categories does the picture show? (As others asked it; the answer is held against the "
        "picture's own category: same or different.)",
        "form": "same-different",
    }
)  # fmt: skip
_NAMED = re.compile(r"(?P<response>.+), of (?P<category>.+): <(?:same|different)>")


def named(response: str, category: str) -> str:
    """Return an answer to `CATEGORY`: which category was answered, of a picture of which."""
    return f"{response}, of {category}: <{'same' if response == category else 'different'}>"


def categories(text: str) -> tuple[str, str] | None:
    """Return what `named` made an answer of; None where it is not one of these."""
    found = _NAMED.fullmatch(text)
    return (found["response"], found["category"]) if found else None


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One answer that somebody else recorded.

    Attributes:
        observer: by the name that the run has for it.
        question: that was asked.
        series: of the reference.
        level: of the stimulus.
        text: the answer, as the question's form reads it; one of the question's `verdicts` where it is judged.
        against: level of the reference, 0 for the undistorted one.
        draw: which of several answers to the same pair.
        sitting: of a person, from 1.
        at: when it was shown, in seconds since 1970; None where the file does not say.
        ms_shown: how long, in milliseconds; 0 where the file does not say.
        reaction_time_ms: in milliseconds; None where the file does not say.
        confidence: 0 to 1; None where the file does not say.
        judged: whether the file says of a forced choice that it was right or wrong, and not which place was picked.
    """

    observer: str
    question: Question
    series: SeriesRow
    level: int
    text: str
    against: int = 0
    draw: int = 0
    sitting: int = 1
    at: float | None = None
    ms_shown: float = 0.0
    reaction_time_ms: float | None = None
    confidence: float | None = None
    judged: bool = False


@dataclass(frozen=True)
class Recording:
    """All that one file, or folder, of somebody else's gives.

    Attributes:
        source: where it comes from; its name is the kind of the import.
        file: its name, part of every key; never a path.
        observers: what identifies each, by name.
        distortions: whose series there are.
        questions: that were asked.
        series: of the references, each once.
        answers: in the order in which they were given, observer by observer.
        thresholds: that were published in place of answers.
    """

    source: Source
    file: str
    observers: Mapping[str, Mapping[str, Any]]
    distortions: Sequence[Distortion]
    questions: Sequence[Question]
    series: Sequence[SeriesRow]
    answers: Sequence[RecordedAnswer] = ()
    thresholds: Sequence[PublishedEntry] = ()


def unmade(name: str, word: str, ladder: Ladder, outside: str) -> Distortion:
    """Return a distortion whose stimuli others made: it has levels, and limen cannot draw them.

    Args:
        name: the column of tables.
        word: what it is called in words.
        ladder: strengths of levels 1..n.
        outside: where its stimuli come from, in words.
    """

    def prepare(image: Any, rng: np.random.Generator) -> Callable[[float], Any]:
        raise InputError(f"The stimuli of {name!r} were made elsewhere ({outside}); limen cannot draw them.")

    return Distortion(name, word, ladder, prepare, outside=outside)


def series_of(source: str, file: str, distortion: Distortion, name: str, picture: str = "") -> SeriesRow:
    """Return the series of one reference.

    Args:
        source: the kind of the import.
        file: its name.
        distortion: of the series.
        name: of the reference, as the file has it.
        picture: digest of the reference's pixels (`limen.image.digest`) where they are at hand, so that the reference
            is the same one as in runs of models; "" where they are not.
    """
    picture = picture or digest.of([source, file, name, 0])
    key = f"{picture}/0"  # as of a study with the seed 0
    ladder = distortion.ladder
    identity = digest.of([distortion.name, distortion.version, ladder.digest, key])
    return SeriesRow(identity, distortion.name, distortion.word, name, picture, key, len(ladder), source)


class References:
    """The series of an import: under each distortion a picture has one name, and a name one picture.

    Args:
        source: the kind of the import.
        file: its name.
    """

    def __init__(self, source: str, file: str) -> None:
        self._source, self._file = source, file
        self._known: dict[str, tuple[str, str]] = {}

    def add(self, where: str, distortion: Distortion, name: str, picture: str = "", own: str = "") -> SeriesRow:
        """Return the series of a reference that is new under its distortion.

        Args:
            where: file and line that name it.
            distortion: of the series.
            name: as the file has it.
            picture: digest of its pixels, "" where they are not at hand.
            own: its name in the run; "" for `name`.

        Raises:
            InputError: another name of an earlier line stands for the same one.
        """
        row = series_of(self._source, self._file, distortion, own or name, picture)
        first, place = self._known.setdefault(row.id, (name, where))
        if first != name:
            told = f"would be called {row.name!r:.80}, as {first!r:.80} in {place} is. Rename one of the two."
            if picture:
                told = f"has the picture ({picture[:8]}) of {first!r:.80} in {place}. Give one picture one name."
            raise InputError(f"{where}: the reference {name!r:.80} {told}")
        return row


def key_of(recording: Recording, answer: RecordedAnswer) -> str:
    """Return the key of an answer: of whom, and of the names of what was shown to them."""
    row = answer.series
    names = [recording.source.name, recording.file, row.distortion, row.name]
    shown = [Picture(_NO_PIXELS, digest.of([*names, level])) for level in (answer.against, answer.level)]
    text = answer.question.fill(row.word)
    return Query((*shown, text), answer.draw).key(digest.of(dict(recording.observers[answer.observer])))


def write(run: Path, recording: Recording, tell: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Write a recording into a run directory that is not there yet.

    The run's procedure is `constant` where every observer was asked about the same levels of every series, so that
    what needs a fixed design is worked out; else `recorded`, which claims nothing of why levels were asked.

    Args:
        run: the run directory.
        recording: what was read.
        tell: called with how many answers are written, of how many.

    Raises:
        InputError: two rows of it would be one; nothing is written then.
        StoreError: it is there already, or cannot be written.
    """
    keyed = [(key_of(recording, answer), answer) for answer in recording.answers]
    _check_apart(recording, keyed)
    with beginning(run) as draft:
        finish(_write(draft, recording, keyed, tell))


def _check_apart(recording: Recording, keyed: Sequence[tuple[str, RecordedAnswer]]) -> None:
    """Raise `InputError` where two rows would be one: of those the store keeps one, and says nothing."""
    rows: dict[str, SeriesRow] = {}
    for row in recording.series:
        if (before := rows.setdefault(row.id, row)) is not row:
            raise InputError(
                f"{recording.file}: the references {before.name!r} and {row.name!r} of {row.distortion!r} are one "
                "picture. Give one picture one name."
            )
    answers: dict[str, RecordedAnswer] = {}
    for key, of in keyed:
        if (first := answers.setdefault(key, of)) is not of:
            both = "" if first.question == of.question else f", under {first.question.name!r} and {of.question.name!r}"
            raise InputError(
                f"{recording.file}: {of.observer!r} has two answers about level {of.level} of {of.series.name!r} "
                f"({of.series.distortion}) that cannot be told apart{both}. Import them apart, or number them as draws."
            )
    published: set[tuple[str, int]] = set()
    for one in recording.thresholds:
        if (one.series, one.order) in published:
            raise InputError(
                f"{recording.file}: {rows[one.series].name!r} of {rows[one.series].distortion!r} has two thresholds of "
                f"the order {one.order}. Keep one of them."
            )
        published.add((one.series, one.order))


def counted(recording: Recording) -> str:
    """Return how many answers there are, and of whom, in words."""
    people = len(people_of(recording.observers))
    models, series = len(recording.observers) - people, len(recording.series)
    who = [f"{people:,} {'participant' if people == 1 else 'participants'}"] if people else []
    who += [f"{models:,} {'model' if models == 1 else 'models'}"] if models else []
    n = len(recording.answers)
    return f"{n:,} answer{'s' * (n != 1)} of {' and '.join(who)} about {series:,} series"


async def _write(
    run: Path, recording: Recording, keyed: Sequence[tuple[str, RecordedAnswer]], tell: Callable[[int, int], None]
) -> None:
    name, settings = _procedure(recording)
    source = recording.source
    about = manifest.describe(
        name, procedure.make(name, settings), 0, recording.distortions, recording.questions, (source,)
    )
    about["observers"] = {name: dict(of) for name, of in recording.observers.items()}
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    about["aim"] = {
        "at": f"{now.isoformat(timespec='seconds')}Z", "observers": list(recording.observers),
        "questions": [question.name for question in recording.questions], "series": len(recording.series),
    }  # fmt: skip
    with Store.create(run, about) as store:
        store.add_series(recording.series)
        store.add_measurements(PUBLISHED, {f"{one.series}/{one.order}": _plain(one) for one in recording.thresholds})
        for start in range(0, len(keyed), AT_ONCE):
            some = keyed[start : start + AT_ONCE]
            await asyncio.gather(*(store.add(_trial(key, answer)) for key, answer in some))
            tell(min(start + AT_ONCE, len(keyed)), len(keyed))
        people = [pair for pair in keyed if is_person(recording.observers[pair[1].observer])]
        await store.add_presentations(_presentations(people))
        store.add_measurements(SITTINGS, _sittings([answer for _, answer in people]))


def _plain(entry: PublishedEntry) -> dict[str, Any]:
    fields = ("observer", "question", "series", "order", "levels", "none")
    return {name: getattr(entry, name) for name in fields}


def _trial(key: str, of: RecordedAnswer) -> Trial:
    where = (of.observer, of.question.name, of.series.id, of.against, of.level, of.draw)
    return Trial(*where, again=False, part=0, key=key, answer=Answer(of.text, finish=JUDGED if of.judged else ""))


def _presentations(answers: Iterable[tuple[str, RecordedAnswer]]) -> list[Presentation]:
    """Return how answers came about; of those without a time, the place in their sitting stands for the seconds."""
    places: dict[tuple[str, int], int] = defaultdict(int)
    rows = []
    for key, of in answers:
        places[of.observer, of.sitting] += 1
        at = float(places[of.observer, of.sitting]) if of.at is None else of.at
        session = f"{of.observer}/{of.sitting}"
        rows.append(Presentation(key, session, at, of.ms_shown, of.reaction_time_ms, of.confidence))
    return rows


def _sittings(answers: Iterable[RecordedAnswer]) -> dict[str, dict[str, Any]]:
    """Return a row for each sitting whose beginning is known."""
    found: dict[str, dict[str, Any]] = {}
    for of in answers:
        if of.at is not None:
            row = {"observer": of.observer, "number": of.sitting, "began": of.at, "ended": None}
            found.setdefault(f"{of.observer}/{of.sitting}", row | {"screen": {}, "gaps": []})
    return found


def _procedure(recording: Recording) -> tuple[str, dict[str, Any]]:
    """Return the procedure that the answers come to, with its settings."""
    asked: dict[tuple[str, str, str], set[tuple[int, int]]] = defaultdict(set)
    for of in recording.answers:
        lane = asked[of.observer, of.question.name, of.series.id]
        if of.against == 0 < of.level:
            lane.add((of.level, of.draw))
    designs = {frozenset(lane) for lane in asked.values()}
    whole = len(asked) == len(recording.observers) * len(recording.questions) * len(recording.series)
    if whole and len(designs) == 1:
        (design,) = designs
        levels, draws = sorted({level for level, _ in design}), {draw for _, draw in design}
        even = len(design) == len(levels) * len(draws) and draws == set(range(len(draws)))
        if design and even and levels[-1] <= procedure.LONGEST and len(draws) <= 1_000:
            return "constant", {"levels": tuple(levels), "every": 1, "draws": len(draws)}
    return "recorded", {}


def numbered(answers: Iterable[RecordedAnswer]) -> list[RecordedAnswer]:
    """Return answers with the several ones to one pair numbered as draws, in their order."""
    seen: dict[tuple[str, str, str, int, int], int] = defaultdict(int)
    found = []
    for of in answers:
        pair = (of.observer, of.question.name, of.series.id, of.against, of.level)
        found.append(replace(of, draw=seen[pair]))
        seen[pair] += 1
    return found
