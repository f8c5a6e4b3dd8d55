"""Trials as model-vs-human keeps them: Geirhos et al. 2021, NeurIPS, github.com/bethgelab/model-vs-human (MIT).

One CSV a subject and session, `raw-data/DATASET/DATASET_SUBJECT_session_1.csv`, with the columns subj, session (or
Session), trial, rt (s), object_response, category, condition, imagename: people ("subject-01") and models alike, seen
in the repository. Each trial names one of 16 categories of one picture. limen reads it as `category`: "different" where
the answer is not the picture's category. So errors rise with the distortion, and those without any distortion (contrast
c100, noise 0.0, ...) are what false alarms are elsewhere.

Conditions of the twelve datasets of the repository have the order of its `experiments.py`. Of others they must be
levels: whole numbers, or 3>12 for level 12 against level 3, as `limen export --to model-vs-human` writes them.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from limen import participant, question, registry
from limen.distortion import Distortion
from limen.errors import InputError
from limen.files import vacant
from limen.imports import _table
from limen.imports._table import Name
from limen.ladder import Ladder
from limen.people import recording
from limen.people.recording import CATEGORY, RecordedAnswer, Recording
from limen.question import Question
from limen.source import Source, readable
from limen.sources._rows import RowSpan
from limen.store import SeriesRow

KIND = "model-vs-human"
WHERE, LICENCE = "https://github.com/bethgelab/model-vs-human", "by dataset, see licenses/ of the repository"
OWN = "limen"  # stands in the picture's name where limen wrote the file
SUBJECT = "subject-"  # of people
NONE = ("na", "nan", "none")  # of object_response: nobody answered
MOST_LEVELS = 10_000
_ANSWER = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[\w .,+-]+$")]
_LEVEL = re.compile(r"(?:(\d{1,5})>)?(\d{1,5})")


@dataclass(frozen=True, slots=True)
class _Experiment:
    """A dataset of the repository: what its pictures are without distortion ("" for none), then its conditions."""

    neutral: str
    conditions: tuple[str, ...]
    strengths: tuple[float, ...]
    unit: str


def _eidolon(coherence: int) -> _Experiment:
    reach = (1, 2, 4, 8, 16, 32, 64, 128)
    return _Experiment("", tuple(f"{one}-{coherence}-10" for one in reach), tuple(map(float, reach)), "reach")


_NOISE, _LOW = ("0.03", "0.05", "0.1", "0.2", "0.35", "0.6", "0.9"), ("1", "3", "5", "7", "10", "15", "40")
_HIGH = ("3.0", "1.5", "1.0", "0.7", "0.55", "0.45", "0.4")
EXPERIMENTS: Mapping[str, _Experiment] = {
    "colour": _Experiment("cr", ("bw",), (1.0,), "greyscale"),
    "contrast": _Experiment(
        "c100", ("c50", "c30", "c15", "c10", "c05", "c03", "c01"), (50.0, 30.0, 15.0, 10.0, 5.0, 3.0, 1.0), "%"
    ),
    "high-pass": _Experiment("inf", _HIGH, tuple(map(float, _HIGH)), "px (sd of the filter)"),
    "low-pass": _Experiment("0", _LOW, tuple(map(float, _LOW)), "px (sd of the filter)"),
    "phase-scrambling": _Experiment(
        "0", ("30", "60", "90", "120", "150", "180"), (30.0, 60.0, 90.0, 120.0, 150.0, 180.0), "degrees"
    ),
    "power-equalisation": _Experiment("0", ("pow",), (1.0,), "equalised"),
    "false-colour": _Experiment("True", ("False",), (1.0,), "opponent colour"),
    "rotation": _Experiment("0", ("90", "180", "270"), (90.0, 180.0, 270.0), "degrees"),
    "uniform-noise": _Experiment("0.0", _NOISE, tuple(map(float, _NOISE)), "width"),
    "eidolonI": _eidolon(10), "eidolonII": _eidolon(3), "eidolonIII": _eidolon(0),
}  # fmt: skip


class TrialRow(msgspec.Struct, frozen=True):
    """A row of one of the files.

    Attributes:
        subj: "subject-01" for a person; else a model.
        session, trial: numbers; trials of a session rise.
        rt: reaction time in seconds; NaN for models.
        object_response: the category that was answered; na where none was.
        category: the picture's own.
        condition: the distortion's strength, in the dataset's words.
        imagename: file name; what stands before the picture's own name is left off, as the toolbox does.
    """

    subj: Name
    session: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    trial: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
    object_response: _ANSWER
    category: _ANSWER
    condition: Name
    imagename: Name
    rt: Annotated[str, msgspec.Meta(max_length=40)] = "NaN"


@dataclass
class _Read:
    rows: list[tuple[str, RowSpan, TrialRow]] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    files: dict[tuple[str, str, int], str] = field(default_factory=dict)
    last: dict[tuple[str, str, int], int] = field(default_factory=dict)
    unanswered: int = 0
    repeated: int = 0  # pictures that one observer has answered twice or more in one condition
    alike: tuple[str, str] = ("", "")  # two of their names that are shortened to one


@registry.add("import", KIND)
def from_model_vs_human(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """Trial CSVs of model-vs-human, of people and models: one file, a dataset's folder, or raw-data of them.

    Args:
        place: a CSV, or a folder that is searched whole.
        run: the run directory, which must not be there yet.
        tell: called with how many answers are written, of how many.

    Returns:
        Lines for a person: what was read.

    Raises:
        InputError: a row does not fit; one line that names file and line. Nothing is written then.
        StoreError: the run cannot be written.
    """
    vacant(run)
    root, read = Path(place), _Read()
    for file in _files(root):
        dataset = _dataset(file)
        for span, row in _table.rows(file, TrialRow):
            _take(read, dataset, span, row)
    if not read.rows:
        raise InputError(f"{readable(root.name)}: holds no answered trial. Give raw-data of model-vs-human, or a file.")
    content = _recording(readable(root.name), read)
    recording.write(run, content, tell)
    silent = f", {read.unanswered:,} left out that nobody answered" if read.unanswered else ""
    said = f"{content.file}: {recording.counted(content)}{silent}. Run: {run}"
    return [said, *_repeated(read)]


def _repeated(read: _Read) -> list[str]:
    if not read.repeated:
        return []
    pairs = "1 picture was" if read.repeated == 1 else f"{read.repeated:,} times a picture was"
    line = f"{pairs} answered twice or more by one observer in one condition: taken as repeated looks (draws)."
    first, other = read.alike
    if first:
        line += (
            f" Names are shortened as the toolbox does it: {first!r:.80} and {other!r:.80} are both {short(first)!r}. "
            "Rename them if they are two pictures."
        )
    return [line]


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{readable(str(root))}: no such file or folder. Give raw-data of model-vs-human, or a CSV.")
    files = sorted(file for file in root.rglob("[!.]*.csv") if file.is_file())
    if not files:
        raise InputError(f"{readable(str(root))}: there is no CSV file in it. Give raw-data of model-vs-human.")
    return files


def _dataset(file: Path) -> str:
    """Return the dataset of a file: what stands before the subject in its name, or its folder's name."""
    first = file.name.split("_")[0]
    return first if "_" in file.name else file.parent.name or first


def _take(read: _Read, dataset: str, span: RowSpan, row: TrialRow) -> None:
    if len(read.rows) >= recording.MOST:
        raise InputError(f"{span.where}: is one answer over {recording.MOST:,}. Import fewer datasets at once.")
    if row.subj.startswith(SUBJECT):
        _table.alias(span, row.subj.removeprefix(SUBJECT), read.aliases)
    else:
        _table.model(span, row.subj)
    sitting = (dataset, row.subj, row.session)
    if (before := read.files.setdefault(sitting, span.file.as_posix())) != span.file.as_posix():
        raise InputError(
            f"{span.where}: {row.subj!r} has a session {row.session} in {readable(Path(before).name)} already. Keep "
            "one of the two files."
        )
    if (trial := read.last.get(sitting, -1)) >= row.trial:
        raise InputError(
            f"{span.where}: trial {row.trial} of {row.subj!r} comes after trial {trial}: it is there twice, or rows "
            "were moved. Put them in order, each once."
        )
    read.last[sitting] = row.trial
    if row.object_response.lower() in NONE:
        read.unanswered += 1
    else:
        read.rows.append((dataset, span, row))


def _recording(file: str, read: _Read) -> Recording:
    levels: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    named = _named(dict.fromkeys(dataset for dataset, _, _ in read.rows))
    tops: dict[str, int] = defaultdict(lambda: 1)
    for dataset, span, row in read.rows:
        if dataset not in levels:
            _check_known(span, dataset, row)
        if row.condition not in levels[dataset]:
            levels[dataset][row.condition] = _level(span, dataset, row.condition)
        name = named[dataset][0]
        tops[name] = max(tops[name], levels[dataset][row.condition][1])
    kinds = {
        name: _distortion(name, EXPERIMENTS.get(name if name in named else ""), top, file) for name, top in tops.items()
    }
    questions = {asked.name: asked for _, asked in named.values()}
    observers: dict[str, Mapping[str, Any]] = {}
    references, series = recording.References(KIND, file), dict[tuple[str, str], SeriesRow]()
    answers, shown = list[RecordedAnswer](), _Shown()
    for dataset, span, row in read.rows:
        distortion, asked = named[dataset]
        name, about = _observer(row.subj, file)
        observers.setdefault(name, about)
        where = (distortion, short(row.imagename))
        if where not in series:
            series[where] = references.add(span.where, kinds[distortion], where[1])
        against, level = levels[dataset][row.condition]
        if not _own(row.imagename):
            shown.add(span, row, where, (name, asked.name, against, level))
        answers.append(
            RecordedAnswer(
                name, asked, series[where], level, _text(span, dataset, asked, row), against, 0, row.session, None,
                0.0, _milliseconds(span, row.rt), judged=asked.forced,
            )
        )  # fmt: skip
    read.repeated, read.alike = len(shown.repeated), shown.alike
    source = Source(KIND, lambda path: iter(()), LICENCE, WHERE, "", "", False)
    return Recording(
        source, file, observers, tuple(kinds.values()), tuple(questions.values()), tuple(series.values()),
        recording.numbered(answers),
    )  # fmt: skip


class _Shown:
    """Which picture was shown to whom, by its short name: two that have one are told, or refused where it is sure."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[RowSpan, TrialRow]] = {}
        self._seen: dict[tuple[Any, ...], TrialRow] = {}
        self.repeated: set[tuple[Any, ...]] = set()
        self.alike = ("", "")

    def add(self, span: RowSpan, row: TrialRow, where: tuple[str, str], by: tuple[str, str, int, int]) -> None:
        place, first = self._first.setdefault(where, (span, row))
        if first.category != row.category:
            raise InputError(
                f"{span.where}: {row.imagename!r:.80} shows {row.category!r}, and {first.imagename!r:.80} "
                f"{first.category!r} in {place.where}, but both would be {where[1]!r}, as the toolbox shortens names. "
                "Rename the pictures, so that what stands after the last _ differs."
            )
        pair = (*where, *by)
        before = self._seen.setdefault(pair, row)
        if before is not row:
            self.repeated.add(pair)
            if before.imagename != row.imagename and not self.alike[0]:
                self.alike = before.imagename, row.imagename


def _named(datasets: Iterable[str]) -> dict[str, tuple[str, Question]]:
    """Return the distortion and the question of each dataset; no two have the same, or their answers would be one's."""
    found = {dataset: _parted(dataset) for dataset in datasets}
    times = Counter((distortion, asked.name) for distortion, asked in found.values())
    return {
        dataset: (distortion if times[distortion, asked.name] == 1 else dataset, asked)
        for dataset, (distortion, asked) in found.items()
    }


def _parted(dataset: str) -> tuple[str, Question]:
    """Return the distortion and the question of a dataset; limen writes both: "blur.direct"."""
    before, dot, name = dataset.rpartition(".")
    if dot and name == CATEGORY.name:
        return before, CATEGORY
    if dot and name in registry.every("question"):
        asked = question.find(name)
        return before, CATEGORY if asked.alone else asked
    return dataset, CATEGORY


def _check_known(span: RowSpan, dataset: str, row: TrialRow) -> None:
    """Raise `InputError` where limen wrote a dataset with a question that is not known here."""
    _, dot, name = dataset.rpartition(".")
    if dot and _own(row.imagename) and name not in (CATEGORY.name, *registry.every("question")):
        raise InputError(
            f"{span.where}: limen wrote it with the question {name!r}, which is not known here, so that nothing says "
            "which answer notices. Exchange such a run as a bundle (limen bundle), which holds its questions."
        )


def _text(span: RowSpan, dataset: str, asked: Question, row: TrialRow) -> str:
    """Return an answer as the question reads it: of a forced choice whether it is right, of categories likewise."""
    if asked.forced:
        return asked.verdicts[row.object_response == row.category]
    if asked.name != CATEGORY.name:
        spelled = asked.form.spelled if asked.form is not None else {}
        text = spelled.get(row.object_response, row.object_response)
        if asked.reader_of(None)(text, "stop").value != row.object_response:
            raise InputError(
                f"{span.where}: {row.object_response!r} is no answer to {asked.name!r}, which the name of the file "
                f"says was asked ({dataset}). Correct it: {' or '.join(spelled) or 'an answer in its form'} is right."
            )
        return text
    return recording.named(row.object_response, row.category)


def _observer(subject: str, file: str) -> tuple[str, Mapping[str, Any]]:
    by = {"by": KIND, "file": file}
    if subject.startswith(SUBJECT):
        alias = subject.removeprefix(SUBJECT)
        return participant.name_of(alias), participant.fingerprint(alias, {}, by)
    return subject, {"kind": "imported", "version": 1, "name": subject} | by


def short(imagename: str) -> str:
    """Return a picture's own name: without what an experiment put before it, as the toolbox's get_short_imagename."""
    parts = imagename.split("_")
    if len(parts) == 1:
        return parts[0]
    if _own(imagename):
        return unquote(parts[-1])
    return "_".join(parts[-2:]) if parts[-2].startswith("n0") else parts[-1]


def _own(imagename: str) -> bool:
    """Say whether limen wrote the name: it holds draws, and a category that hangs on the level."""
    return imagename.split("_")[1:2] == [OWN]


def _level(span: RowSpan, dataset: str, condition: str) -> tuple[int, int]:
    """Return the levels of the reference and of the stimulus that a condition stands for."""
    known = EXPERIMENTS.get(dataset)
    if known is not None:
        if condition == known.neutral:
            return 0, 0
        if condition in known.conditions:
            return 0, known.conditions.index(condition) + 1
        right = ", ".join(filter(None, (known.neutral, *known.conditions)))
        raise InputError(f"{span.where}: {condition!r:.60} is no condition of {dataset!r}. Give one of: {right}.")
    found = _LEVEL.fullmatch(condition)
    against, level = (int(found[1] or 0), int(found[2])) if found else (0, -1)
    if not 0 <= against <= level <= MOST_LEVELS:
        raise InputError(
            f"{span.where}: the condition {condition!r:.60} has no place in an order that limen knows. Number the "
            f"conditions of {dataset!r:.60} as levels, 0 for undistorted, or import it as trials=FILE.csv with a "
            "column level."
        )
    return against, level


def _distortion(name: str, known: _Experiment | None, top: int, file: str) -> Distortion:
    outside = f"model-vs-human, imported from {file}"
    if known is not None:
        return recording.unmade(name, name, Ladder(known.strengths, known.unit), outside)
    return recording.unmade(name, name, Ladder(tuple(float(one) for one in range(1, top + 1)), "level"), outside)


def _milliseconds(span: RowSpan, text: str) -> float | None:
    """Return a reaction time, given in seconds, in milliseconds; None for NaN."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if math.isnan(seconds):
        return None
    if not 0 <= seconds <= 1e6:
        raise InputError(f"{span.where}: rt {text!r:.40} is no reaction time. Give seconds from 0, or NaN.")
    return 1000 * seconds
