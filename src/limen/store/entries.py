"""What a manifest says, checked once: a run directory may come from anybody, and be cut, edited or mixed up.

`read` gives the entries of a manifest.json; `check` holds those of a run of observers of images against what every
reader of them trusts: their presence, their types and bounds, and ladders against their digests.
"""

import datetime
import json
import os
import stat
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import orjson

from limen import validation
from limen.errors import StoreError
from limen.ladder import Ladder

SCHEMA = 3
READABLE = (2, SCHEMA)
LARGEST = 64 << 20  # bytes of a manifest
_SCHEMAS = " and ".join(map(str, READABLE))
_SPANS = 12  # of shards that a line names
VERSIONS = 50  # of a ladder, to look for the one its digest names
RESTORE = "Restore it from a copy, or measure again with another --out."
_Text = Annotated[str, msgspec.Meta(max_length=100_000)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Plain = dict[_Text, Any]
_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_Moment = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
_Side = Annotated[int, msgspec.Meta(ge=0)]
_Probability = Annotated[float, msgspec.Meta(ge=-0.01, le=1.01)]  # sums of a server's rounded numbers


class DistortionEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A distortion as it was asked about.

    Attributes:
        version: of the distortion; the same version gives the same pixels.
        word: what the question called it.
        unit: of the strengths.
        ladder: digest of the ladder.
        strengths: of levels 1..n.
        outside: where its stimuli come from if limen alone cannot draw them again; "".
    """

    version: _Number
    word: _Text
    unit: _Text
    ladder: _Text
    strengths: Annotated[list[float], msgspec.Meta(min_length=1, max_length=10_000)]
    outside: _Text = ""

    @property
    def graded(self) -> bool:
        """Whether there is more than one level, so that there can be a JND."""
        return len(self.strengths) > 1


class QuestionEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question in its words, and in which order reference, stimulus and question were shown.

    Attributes:
        digest: of what is asked.
        order: of reference, stimulus and question.
        text: asked first.
        about: all that makes it (`limen.question.Question.about`); unset for the questions of 0.1, known by name.
    """

    digest: _Text
    order: Literal["reference-first", "swapped", "balanced", "ref-question-test"]
    text: _Text
    about: _Plain | msgspec.UnsetType = msgspec.UNSET


class SourceEntry(msgspec.Struct, frozen=True):
    """Where references come from."""

    licence: _Text
    where: _Text


class ExamEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last exam of an observer; one without `fit` was broken off. What follows `fit` older runs need not have."""

    at: _Text
    version: int
    fingerprint: _Text
    fit: bool | msgspec.UnsetType = msgspec.UNSET
    about: _Plain | msgspec.UnsetType = msgspec.UNSET
    sampled: bool | msgspec.UnsetType = msgspec.UNSET
    marks: list[_Text] | msgspec.UnsetType = msgspec.UNSET
    answers: int | msgspec.UnsetType = msgspec.UNSET
    questions: int | msgspec.UnsetType = msgspec.UNSET
    results: list[list[Any]] | msgspec.UnsetType = msgspec.UNSET


class SessionEntry(msgspec.Struct, frozen=True):
    """A later session whose libraries differ from those before it."""

    at: _Text
    limen: _Text
    versions: dict[_Text, _Text]


class AimEntry(msgspec.Struct, frozen=True):
    """What the latest session set out to measure: each of these observers with each question on so many series."""

    at: _Moment
    observers: list[_Text]
    questions: list[_Text]
    series: Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class ShardEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which shards of a study a run holds, where it does not hold all of them.

    Attributes:
        of: how many there are.
        parts: those that are there, from 1 on, in ascending order.
        merged: whether `limen merge` put them together, so that the run is finished as a whole.
        series: how many series the whole study has in all its shards, by distortion; {} where an older limen did not
            say.
        short: those that were measured on fewer references than others that they were merged with.
    """

    of: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)]
    parts: Annotated[list[_Number], msgspec.Meta(min_length=1)]
    merged: bool = False
    series: dict[_Text, _Number] = {}
    short: list[_Number] = []

    def __post_init__(self) -> None:
        if self.parts != sorted(set(self.parts)) or self.parts[-1] > self.of:
            raise ValueError(f"parts are {self.parts[:8]} of {self.of} shards")

    @property
    def missing(self) -> list[int]:
        """Return which shards are not there."""
        return sorted(set(range(1, self.of + 1)) - set(self.parts))

    def __str__(self) -> str:
        return f"{numbered(self.parts)} of {self.of}"


class AttentionEntry(msgspec.Struct, frozen=True):
    """The rule by which a participant is left out (`limen.people.protocol.Attention`)."""

    name: _Text
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    fewest: _Number


class PeopleEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """How people were asked.

    Attributes:
        protocol: all of it (`limen.people.protocol.Protocol`), without the texts.
        attention: the rule, as it was declared before anybody was asked; None where there is none.
        consent: digest of the text that participants agreed to; "" for none.
    """

    protocol: _Plain
    attention: AttentionEntry | None = None
    consent: _Text = ""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The manifest of a run of observers of images: with what it was measured.

    Attributes:
        schema: of the run directory.
        limen: the version that began the run.
        git: the commit it was begun with; None where there was none.
        created: when, in UTC, ISO 8601.
        versions: of Python and of the libraries, by name.
        reader: version of the reader of answers that steered the run.
        procedure: its name ("name") beside its settings.
        seed: of the random draws.
        distortions, questions, sources: by name.
        observers: what identifies each, by name.
        max_side: longest side, in px, that a photograph was shown with; 0 for no limit. Several where each was shown
            at several sizes.
        exams: the last one of each observer, by name; of one at several endpoints, those at others than the first
            under its name with a tag.
        endpoints: where an observer was asked, by its name, if at several places.
        sessions: later ones with other libraries.
        probes: digest of a picture drawn with each distortion, by its name.
        planned: questions that a limit kept a session from putting to an observer, wholly or in part, by its name.
        aim: of the latest session that asked; older runs lack it.
        shard: which shards of the study the run holds; None where it is a whole one.
        people: how people were asked; None where none were.
    """

    schema: int
    limen: _Text
    git: _Text | None
    created: _Text
    versions: dict[_Text, _Text]
    reader: _Number
    procedure: _Plain
    seed: int
    distortions: dict[_Text, DistortionEntry]
    questions: dict[_Text, QuestionEntry]
    sources: dict[_Text, SourceEntry]
    observers: dict[_Text, _Plain]
    max_side: _Side | Annotated[list[_Side], msgspec.Meta(min_length=1, max_length=1000)] = 0
    exams: dict[_Text, ExamEntry] = {}
    endpoints: dict[_Text, list[_Text]] = {}
    sessions: list[SessionEntry] = []
    probes: dict[_Text, _Text] = {}
    planned: dict[_Text, list[_Text]] = {}
    aim: AimEntry | None = None
    shard: ShardEntry | None = None
    people: PeopleEntry | None = None


class _Procedure(msgspec.Struct):
    name: _Text


class _WithProcedure(msgspec.Struct):
    procedure: _Procedure


class _Floor(msgspec.Struct):
    """What of a series reaches a model (`limen.preflight.model_input.Floor.row`)."""

    observer: _Text
    series: _Text
    first: _Number | None
    sent_db: Annotated[list[float | None], msgspec.Meta(min_length=1, max_length=10_000)]
    seen_db: Annotated[list[float | None], msgspec.Meta(min_length=1, max_length=10_000)]
    size: tuple[int, int]
    pixels: _Text


class _Criterion(msgspec.Struct):
    """What an observer that answers with a number is judged by."""

    criterion: float
    declared: bool = True


class _Calibrated(msgspec.Struct):
    """Where such a criterion comes from that was not declared (`limen.preflight.model_input.judged`)."""

    distance: _Text
    false_alarms: Annotated[float, msgspec.Meta(ge=0, le=1)]
    pictures: list[_Text]
    distances: list[float]
    enough: bool
    nuisance: _Text = ""
    interval: tuple[float | None, float | None] = (None, None)


class _Answer(msgspec.Struct):
    """An answer (`limen.trial.Answer`)."""

    text: _Text
    p_yes: _Probability | None = None
    p_neither: _Probability | None = None
    finish: _Text = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0
    model: _Text = ""


class _Attempt(msgspec.Struct):
    """How a question was tried (`limen.trial.Attempt`)."""

    outcome: _Text
    detail: _Text
    seconds: float


class _Examined(msgspec.Struct):
    """A question of an exam (`limen.preflight.exam.Asked`)."""

    observer: _Text
    at: _Moment
    name: _Text
    shown: list[list[_Text]]
    draw: int
    attempts: list[_Attempt]
    answer: _Answer | None

    def __post_init__(self) -> None:
        if not 1970 <= self.at.year < 9999:
            raise ValueError(f"no exam was held in the year {self.at.year}")


class ItemEntry(msgspec.Struct, frozen=True):
    """An item (`limen.item.Item`): its form as plain data, with its name; the digest of its picture's pixels, or ""."""

    question: _Text
    form: _Plain
    truth: _Text = ""
    category: _Text = ""
    picture: _Text = ""


class SizeEntry(msgspec.Struct, frozen=True):
    """One of several sizes of a photograph.

    Attributes:
        of: digest of the photograph before it was scaled, which all its sizes share.
        side: longer side in px, as it was asked for; 0 at its own size.
    """

    of: _Text
    side: _Side


class CatchEntry(msgspec.Struct, frozen=True):
    """A catch trial: a question beside the series' own, whose answer everybody can give who looks.

    Attributes:
        observer, question, series: by name, by name, by digest.
        kind: two identical pictures, or the reference beside the strongest level.
        answer: as it was given.
        right: whether it is the one that everybody can give.
        at: when it was shown, in seconds since 1970.
        session: the sitting, as in presentations.
        reaction_time_ms: from the pictures' appearance to the answer; None where it is not known.
        id: names it to the page.
    """

    observer: _Text
    question: _Text
    series: _Text
    kind: Literal["identical", "obvious"]
    answer: _Text
    right: bool
    at: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
    session: _Text
    reaction_time_ms: Annotated[float, msgspec.Meta(ge=0, le=1e15)] | None = None
    id: _Text = ""


class SittingEntry(msgspec.Struct, frozen=True):
    """One sitting of a participant.

    Attributes:
        observer: by name.
        number: from 1.
        began, ended: in seconds since 1970; None where it was not ended in order.
        screen: what the pictures were seen on, as it was measured in this sitting.
        gaps: pauses that nobody asked for (a closed laptop, a hidden tab): begin and end, in seconds since 1970.
        practice: right answers and questions of the practice; (0, 0) for none.
    """

    observer: _Text
    number: _Number
    began: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
    ended: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)] | None
    screen: _Plain
    gaps: Annotated[list[tuple[float, float]], msgspec.Meta(max_length=10_000)]
    practice: tuple[int, int] = (0, 0)


class DealtEntry(msgspec.Struct, frozen=True):
    """Which series were dealt to a participant for one sitting, by their digests."""

    observer: _Text
    series: list[_Text]


class PublishedEntry(msgspec.Struct, frozen=True):
    """The n-th JND of people about one reference as others published it: thresholds, without the trials behind them.

    Attributes:
        observer, question, series: by name, by name, by digest.
        order: n.
        levels: one of each person who has an n-th JND, in ascending order.
        none: people who have none up to the end of the ladder.
    """

    observer: _Text
    question: _Text
    series: _Text
    order: _Number
    levels: Annotated[list[_Number], msgspec.Meta(max_length=1_000_000)]
    none: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0

    def __post_init__(self) -> None:
        if not self.levels and not self.none:
            raise ValueError("it is nobody's")
        if self.levels != sorted(self.levels):
            raise ValueError("its levels are not in ascending order")


SIZES = "size"  # the stage under which rows of sizes stand, by the digest of their reference
ITEMS = "item"  # the stage under which rows of items stand, by the digest of their reference
CATCHES = "catch"  # of catch trials, by the observer's name and their number: "person:p01/0007"
DEALT = "dealt"  # to participants, where not all series fit, by the sitting: "person:p01/1"
SITTINGS = "sitting"  # of participants' sittings, by the observer's name and their number: "person:p01/1"
PUBLISHED = "published-threshold"  # of thresholds that others published, by the series' digest and their order: "ID/1"
_ROWS: dict[str, type[msgspec.Struct]] = {
    "floor": _Floor, "calibration": _Criterion, "exam": _Examined, ITEMS: ItemEntry,
    SIZES: SizeEntry, CATCHES: CatchEntry, DEALT: DealtEntry, SITTINGS: SittingEntry,
    PUBLISHED: PublishedEntry,
}  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """Return what a run directory's manifest.json says.

    Raises:
        StoreError: there is none, or it is none: no file, too large, no JSON object, an entry given twice, or of
            another schema.
    """
    file = path / "manifest.json"
    try:
        about = os.stat(file)
        if not stat.S_ISREG(about.st_mode):
            raise StoreError(f"{file} is no file. {RESTORE}")
        if about.st_size > LARGEST:
            raise StoreError(
                f"{file} has {about.st_size >> 20:,} MB; a manifest has less than {LARGEST >> 20}. {RESTORE}"
            )
        data = file.read_bytes()
        content = orjson.loads(data)
        json.loads(data, object_pairs_hook=_once)  # orjson takes the last of two entries of one name without a word
    except (FileNotFoundError, NotADirectoryError):
        if path.is_file():
            raise StoreError(
                f"{path} is a file, not a run directory. Give the --out of a `limen measure`; a bundle is read by "
                "limen report, export, fit, safe, power and verify."
            ) from None
        raise StoreError(
            f"{path} is not a run directory: it has no manifest.json. Give the --out of a `limen measure`."
        ) from None
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror or error}). {RESTORE}") from None
    except (orjson.JSONDecodeError, ValueError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read ({error}). {RESTORE}") from None
    if not isinstance(content, dict):
        raise StoreError(
            f"{file} holds {_named(content)}, not the entries of a run (this limen reads schema {_SCHEMAS}). {RESTORE}"
        )
    if content.get("schema") not in READABLE:
        raise StoreError(
            f"{path} has schema {str(content.get('schema'))[:40]}; this limen reads schema {_SCHEMAS}. "
            "Install the limen that made it (see 'versions' in its manifest.json), or a newer one."
        )
    return content


def check(path: Path, manifest: dict[str, Any]) -> Manifest:
    """Return the manifest of a run of observers of images; raise `StoreError` unless it is one, whole and sound."""
    file = path / "manifest.json"
    if "wing" in manifest:
        raise StoreError(f"{path} is a run of another kind ({str(manifest['wing'])[:40]!r}). Give another directory.")
    fit(file, manifest, _WithProcedure)
    checked = fit(file, manifest, Manifest)
    for name, kind in checked.distortions.items():
        strengths = tuple(kind.strengths)
        if not any(Ladder(strengths, kind.unit, version).digest == kind.ladder for version in range(1, VERSIONS)):
            raise StoreError(
                f"{file}: the strengths of {name!r} are not those of the ladder whose digest stands beside them "
                f"({kind.ladder[:8]}): they were changed. {RESTORE}"
            )
    for name, exam in manifest.get("exams", {}).items():
        lacking = [entry for entry in ("about", "sampled", "marks") if "fit" in exam and entry not in exam]
        if lacking:
            raise StoreError(f"{file}: the exam of {name!r} has a result but no {lacking[0]!r}. {RESTORE}")
    return checked


def row(file: Path, stage: str, key: str, content: bytes) -> dict[str, Any]:
    """Return a row of numbers as `Store.measurements` keeps it; raise `StoreError` where it is none.

    Args:
        file: the database, for messages.
        stage: of the row ("floor", "calibration", ...).
        key: of the row within its stage.
        content: the row as JSON.
    """
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise StoreError(f"{file}: the row {key[:80]!r} of {stage!r} holds no entries. {RESTORE}")
    if stage in _ROWS:
        fit(file, found, _ROWS[stage], f"in the row {key[:80]!r} of {stage!r} ")
    if stage == "calibration" and not found.get("declared", True):
        fit(file, found, _Calibrated, f"in the row {key[:80]!r} of {stage!r} ")
    return found


def fit(file: Path, content: Any, kind: type[_Struct], where: str = "") -> _Struct:
    """Return content as a struct; raise `StoreError`, naming file and entry, where it does not fit.

    Args:
        file: where the content stands, for messages.
        content: plain data, decoded from JSON.
        kind: the struct it should fit.
        where: the place within the file, for messages, followed by a blank.
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        wrong = validation.fault(error, content, kind)
        found = wrong.what.replace("cannot be", "is", 1)
        if wrong.remedy.startswith("Give "):
            found += f", where {wrong.remedy.removeprefix('Give ').rstrip('.')} belongs"
        what = "is missing" if wrong.what == "was not given" else f"is not as limen writes it (it {found})"
        raise StoreError(f"{file}: {where}the entry {wrong.place!r} {what}. {RESTORE}") from None


def numbered(parts: list[int]) -> str:
    """Return numbers of shards in words, consecutive ones as a span: "shards 1-3, 5"; ascending ones are expected."""
    spans: list[list[int]] = []
    for part in parts:
        if spans and part == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], part]
        else:
            spans.append([part])
    more = f" and {len(spans) - _SPANS} spans more" if len(spans) > _SPANS else ""
    listed = ", ".join("-".join(map(str, span)) for span in spans[:_SPANS])
    return f"shard{'s' * (len(parts) > 1)} {listed}{more}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the entry {name[:60]!r} is given twice")
        found[name] = value
    return found


def _named(content: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(content), "nothing")
