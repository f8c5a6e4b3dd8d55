"""What a reader of a report saved from its test, checked: nothing of it is believed that can be worked out again.

The page that writes such a file is `limen/report/page/test.js`; `limen import test=FILE` reads it into a run.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from limen import digest as digests
from limen import distortion as distortions
from limen import question as questions
from limen import validation
from limen.errors import InputError, UnknownNameError
from limen.image import Picture
from limen.ladder import Ladder
from limen.parsing.forms import FirstOrSecond
from limen.participant import check_alias, fingerprint, name_of
from limen.people.protocol import Presentation
from limen.question import Query, Question
from limen.source import ReferenceKind
from limen.store import SeriesRow
from limen.store.entries import VERSIONS, DistortionEntry, QuestionEntry, SourceEntry
from limen.study.manifest import differing
from limen.trial import Answer, Trial, pair

VERSION = 2  # of a file; those before had none
LARGEST = 16 << 20  # bytes of a file
_EARLIEST = 1_577_836_800.0  # seconds since 1970: the year 2020, before any such page
_LATEST = 253_402_300_799.0  # the end of the year 9999
_ROUNDED = 0.002  # seconds by which rounded times may overlap
_NO_PIXELS: Any = None  # of a picture that is known by its digest

_T = TypeVar("_T")
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
_Level = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=1_000)]
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What identifies the study of the report's run: entries of its manifest."""

    procedure: dict[_Name, Any]
    max_side: int | list[int]
    distortions: Annotated[dict[_Name, DistortionEntry], msgspec.Meta(min_length=1, max_length=1_000)]
    questions: Annotated[dict[_Name, QuestionEntry], msgspec.Meta(min_length=1, max_length=1_000)]
    sources: dict[_Name, SourceEntry]
    probes: dict[_Name, _Name]
    seed: Annotated[str, msgspec.Meta(pattern=r"^-?\d{1,19}\Z")]


class SeriesShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A series (`limen.store.SeriesRow`), the digests of its pictures in the page, by level, and its size."""

    id: _Digest
    distortion: _Name
    word: _Text
    name: _Text
    picture: _Digest
    key: _Name
    levels: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    source: _Name
    strength: float | None
    pictures: dict[Annotated[str, msgspec.Meta(pattern=r"^\d{1,5}\Z")], _Digest]
    of: _Text = ""
    side: Annotated[int, msgspec.Meta(ge=0)] | None = None

    @property
    def row(self) -> SeriesRow:
        """The series as a store keeps it."""
        return SeriesRow(**{name: getattr(self, name) for name in SeriesRow.__slots__})


class AnswerGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer of a reader.

    Attributes:
        series, reference, level, draw: which pair it is about.
        shown: digests of the pictures, in the order in which they were shown.
        value: of the answer, in the question's form.
        seconds: from the pictures' appearance to the answer.
        when: they appeared, in seconds since 1970.
        zoom: pixels of the screen that one of a picture took.
        turns: whether pictures were shown one at a time.
        ratio: device pixels a CSS pixel.
        viewport: width and height of the window, in CSS pixels.
    """

    series: _Digest
    reference: _Level
    level: _Level
    draw: Annotated[int, msgspec.Meta(ge=0, lt=1_000)]
    shown: Annotated[list[_Digest], msgspec.Meta(min_length=2, max_length=9)]
    value: Annotated[str, msgspec.Meta(max_length=200)]
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    when: Annotated[float, msgspec.Meta(ge=_EARLIEST, le=_LATEST)]
    zoom: _Positive
    turns: bool
    ratio: _Positive
    viewport: tuple[_Pixels, _Pixels]

    @property
    def of(self) -> tuple[str, int, int, int]:
        """Which pair it is about."""
        return self.series, self.reference, self.level, self.draw


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader did.

    Attributes:
        alias: as the reader typed it.
        seed: of the order.
        test: short, or whole series.
        planned: pairs that were to be put.
        beside: whose answers stood beside the reader's.
        question: by name.
        asked: its text for each distortion, as the model got it.
        study, series, answers: see there.
    """

    alias: str
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    test: Literal["short", "whole"]
    planned: Annotated[int, msgspec.Meta(ge=1)]
    beside: _Text
    question: _Name
    asked: dict[_Name, _Text]
    study: Study
    series: Annotated[list[SeriesShown], msgspec.Meta(min_length=1, max_length=100_000)]
    answers: Annotated[list[AnswerGiven], msgspec.Meta(min_length=1, max_length=100_000)]


class _Sealed(msgspec.Struct, frozen=True):
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


@dataclass(frozen=True)
class AnswerFile:
    """One file, checked by itself (`read`).

    Attributes:
        name: of the file.
        content: of it.
        question: that was asked.
    """

    name: str
    content: Content
    question: Question

    @property
    def observer(self) -> str:
        """What tables call the reader."""
        return name_of(self.content.alias)

    @cached_property
    def screen(self) -> dict[str, Any]:
        """What is known of the screen; of what changed on the way, its ends."""
        answers = self.content.answers
        return {"ratio": _ends(one.ratio for one in answers), "zoom": _ends(one.zoom for one in answers)}

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """How pairs were shown: until the answer, in the report's page."""
        ways = {Presentation.IN_TURNS if one.turns else Presentation.SIDE_BY_SIDE for one in self.content.answers}
        presentation = ways.pop().value if len(ways) == 1 else "either"  # the reader may change it at any pair
        return {"where": "report", "presentation": presentation, "show_ms": 0}

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """What identifies the reader as an observer."""
        return fingerprint(self.content.alias, self.screen, self.protocol)

    def trials(self) -> list[Trial]:
        """Return what was shown, asked and answered, in the order of the answers."""
        key, rows = digests.of(self.fingerprint), {row.id: row for row in self.content.series}
        form, found = self.question.form, []
        for one in self.content.answers:
            query, text = _query(self.question, rows[one.series], one), _text(self.question, one.value)
            assert query is not None  # as `read` has seen
            assert text is not None
            answer = Answer(text, finish="stop", seconds=one.seconds)
            of = (self.observer, self.question.name, *one.of, False, 0)
            found.append(Trial(*of, query.key(key), answer, query.text, form.name if form is not None else ""))
        return found


def _ends(values: Iterable[float]) -> float | list[float]:
    found = sorted(set(values))
    return found[0] if len(found) == 1 else [found[0], found[-1]]


def _edited(name: str, what: str) -> InputError:
    return InputError(f"{name}{what}. Ask the reader for the file as the page saved it.")


# --- one file ---


def read(file: Path) -> tuple[AnswerFile, str]:
    """Read a file and hold it against itself; return it with the digest of its bytes.

    Raises:
        InputError: it cannot be read, was edited, or is none; in one line that names it.
    """
    data = _bytes(file)
    content = _content(file.name, data)
    question = _check_study(file.name, content)
    _check_answers(file.name, content, _check_series(file.name, content), question)
    return AnswerFile(file.name, content, question), hashlib.sha256(data).hexdigest()


def _bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if not file.is_file() or size > LARGEST:
            what = f"has {size / 1e6:.1f} MB" if file.is_file() else "is no file"
            raise _edited(file.name, f" {what}; what a reader saved is a file of up to {LARGEST >> 20} MB")
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file.name} cannot be read ({error.strerror or error}). Check whose it is.") from None


def _content(name: str, data: bytes) -> Content:
    """Return what a file holds, its digest checked; raise `InputError` where it is not as the page writes it."""
    whole = _decoded(name, data.removeprefix(b"\xef\xbb\xbf"), dict[str, msgspec.Raw])
    said = {entry: _decoded(name, raw, Any) for entry, raw in whole.items() if entry != "content"}
    version = said.get("version")
    if version is None and "trials" in said:
        raise InputError(
            f"{name} was saved from a page of an older limen, which kept nothing that could be checked. Make the "
            "report again with this limen, and ask the reader to take the test there."
        )
    if version != VERSION:
        raise InputError(
            f"{name} is of version {str(version)[:20]}, and this limen reads {VERSION}. Give what a reader saved, or "
            "install the limen that made the report."
        )
    sealed = _as(name, said, _Sealed).sha256
    text = bytes(whole.get("content", b"")).replace(b"\r\n", b"\n")  # which a mail program may have made of it
    if (found := hashlib.sha256(text).hexdigest()) != sealed:
        raise _edited(name, f" was edited: its content has the digest {found[:8]}, and {sealed[:8]} stands beside it")
    content = _as(name, _decoded(name, text, Any), Content)
    try:
        check_alias(content.alias)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return content


def _decoded(name: str, data: bytes | msgspec.Raw, kind: type[_T] | Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _edited(name, f" is not as the page saves it: it holds no JSON object ({str(error)[:80]})") from None


def _as(name: str, plain: Any, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        wrong = validation.fault(error, plain, kind)
        where = f"the entry {wrong.place!r}" if wrong.place else "it"
        raise _edited(name, f": {where} {wrong.what}") from None


def _check_study(name: str, content: Content) -> Question:
    """Return the question that was asked; raise `InputError` unless ladders and questions have their digests."""
    study = content.study
    for kind, entry in study.distortions.items():
        if not _is_sound(entry):
            raise _edited(name, f": the strengths of {kind[:80]!r} do not have the digest {entry.ladder[:8]!r}")
    asked = {}
    for which, said in study.questions.items():
        try:
            asked[which] = questions.recorded(which, said)
        except InputError as error:
            raise _edited(name, f": {str(error).rstrip('.')}") from None
        if asked[which].digest != said.digest or asked[which].text != said.text:
            raise _edited(name, f": question {which[:80]!r} does not have the digest {said.digest[:8]!r}")
    question = asked.get(content.question)
    if question is None or question.alone:
        raise _edited(name, f": its study puts no pairs to anybody with the question {content.question[:80]!r}")
    for kind, text in content.asked.items():
        if kind not in study.distortions or text != question.fill(study.distortions[kind].word):
            raise _edited(name, f": {text[:60]!r} is not what {question.name!r} asks about {kind[:80]!r}")
    return question


def _is_sound(kind: DistortionEntry) -> bool:
    try:
        ladders = (Ladder(tuple(kind.strengths), kind.unit, version) for version in range(1, VERSIONS))
        return any(ladder.digest == kind.ladder for ladder in ladders)
    except InputError:
        return False


def _check_series(name: str, content: Content) -> dict[str, SeriesShown]:
    """Return the series by id; raise `InputError` unless each is of the study, and its id follows from the rest."""
    rows: dict[str, SeriesShown] = {}
    for row in content.series:
        kind = content.study.distortions.get(row.distortion)
        what = f"{name}: the series {row.id[:8]} of {row.name[:80]!r}"
        if kind is None or (row.levels, row.word) != (len(kind.strengths), kind.word):
            raise _edited(what, f" is of no distortion {row.distortion[:80]!r} with {row.levels} levels in its study")
        made = digests.of([row.distortion, kind.version, kind.ladder, row.key])
        if made != row.id or row.key != f"{row.picture}/{content.study.seed}":
            raise _edited(what, f" has another id: its distortion, picture and seed give {made[:8]}")
        if rows.setdefault(row.id, row) is not row:
            raise _edited(what, " stands in it twice")
        if any(int(level) > row.levels for level in row.pictures):
            raise _edited(what, f" has a picture beyond its {row.levels} levels")
        if _is_of_photographs(row.distortion) and row.pictures.get("0", row.picture) != row.picture:
            raise _edited(what, f" has a picture at level 0 that is not its reference ({row.picture[:8]})")
    return rows


def _is_of_photographs(distortion: str) -> bool:
    """Say whether level 0 of a distortion is the reference itself: of pairs and views the digest is another."""
    try:
        return distortions.find(distortion).of == ReferenceKind.IMAGE
    except UnknownNameError:
        return False


def _check_answers(name: str, content: Content, rows: Mapping[str, SeriesShown], question: Question) -> None:
    """Raise `InputError` unless every answer is one to a pair of these series, shown as it is asked, in its turn."""
    before, seen = 0.0, set[tuple[str, int, int, int]]()
    for number, one in enumerate(content.answers, start=1):
        what, row = f"{name}, answer {number}", rows.get(one.series)
        if row is None or row.distortion not in content.asked:
            raise _edited(what, f" is of a series {one.series[:8]} that the file does not have")
        if not one.reference <= one.level <= row.levels:
            raise _edited(
                what, f" is about level {one.level} against {one.reference}; this ladder has levels 1 to {row.levels}"
            )
        if one.of in seen:
            raise _edited(what, " is about a pair that was answered before")
        seen.add(one.of)
        if one.when < before - _ROUNDED:
            raise _edited(
                what, f" began {before - one.when:.3f} s before the one before it was given: times run backwards"
            )
        before = one.when + one.seconds
        query = _query(question, row, one)
        if query is None or [picture.digest for picture in query.pictures] != one.shown:
            right = ", ".join(picture.digest[:8] for picture in query.pictures) if query else "not in it"
            given = ", ".join(digest[:8] for digest in one.shown)
            raise _edited(
                what,
                f" shows the pictures {given}; level {one.level} against {one.reference} is {right}, in this order",
            )
        if _text(question, one.value) is None:
            raise _edited(what, f" is {one.value[:40]!r}, which is no answer to {question.name!r}")


def _query(question: Question, row: SeriesShown, one: AnswerGiven) -> Query | None:
    """Return what was shown and asked, as a study puts it to those who answer by chance; None without pictures."""
    found = (row.pictures.get(str(level)) for level in (one.reference, one.level))
    both = [Picture(_NO_PIXELS, digest) for digest in found if digest is not None]
    if len(both) < 2:
        return None
    shift = one.draw if question.forced else 0
    (query,) = question.ask(row.word, both[0], both[1], shift=shift, name=pair(row.id, one.reference, one.level))
    return replace(query, draw=one.draw)


def _text(question: Question, value: str) -> str | None:
    """Return an answer's text as the question's reader reads it; None where the value is none of its form."""
    form = question.form
    assert form is not None  # only what is asked of each picture alone has an item's
    places = {"1": "<first>", "2": "<second>"} if isinstance(form, FirstOrSecond) else {}
    text = {**form.spelled, **places}.get(value, value)
    return text if question.reader_of(None)(text, "stop").value == value else None


# --- several files ---


def check_together(files: Sequence[AnswerFile]) -> None:
    """Raise `InputError` unless files are of one study, of different readers, and show the same pictures.

    Args:
        files: each checked by itself, at least one.
    """
    readers = dict[str, AnswerFile]()
    rows, pictures = dict[str, tuple[SeriesRow, str]](), dict[tuple[str, str], tuple[str, str]]()
    study = msgspec.to_builtins(files[0].content.study)
    for file in files:
        first, mine = files[0].name, msgspec.to_builtins(file.content.study)
        if told := differing("study", study, mine, "is", f"in {first}", f"in {file.name}"):
            raise InputError(f"{file.name} is of another study: {told}. Import the files of each study apart.")
        alias = file.content.alias
        if (before := readers.setdefault(alias.casefold(), file)) is not file:
            raise InputError(
                f"{alias!r} is the alias in {before.name} and in {file.name}: a participant has one file. Leave one "
                "of them out, or ask for one with another alias if they are two people."
            )
        for row in file.content.series:
            known, where = rows.setdefault(row.id, (row.row, file.name))
            if known != row.row:
                raise _edited(file.name, f": the series {row.id[:8]} of {row.name[:80]!r} is not as in {where}")
            for level, digest in row.pictures.items():
                held, where = pictures.setdefault((row.id, level), (digest, file.name))
                if held != digest:
                    raise _edited(
                        file.name,
                        f": level {level} of {row.name[:80]!r} has the digest {digest[:8]}, and {held[:8]} in {where}",
                    )
