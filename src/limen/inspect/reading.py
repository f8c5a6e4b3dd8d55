"""Logs of limen's tasks read back into runs: trials as they were, digests held against pictures and answers."""

import asyncio
import base64
import binascii
import datetime
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, EvalSample, read_eval_log, read_eval_log_sample_summaries
from inspect_ai.log import read_eval_log_samples_by_id as read_samples
from inspect_ai.model import ContentImage, ContentText
from pydantic import ValidationError

from limen import digest
from limen.analysis.replay import questions_of
from limen.errors import InputError
from limen.files import beginning, vacant
from limen.image import Picture, decode, png
from limen.inspect.records import (
    PLACE,
    VERSION,
    Analysed,
    Gathered,
    SampleRecord,
    TaskRecord,
    sample_record,
    task_record,
)
from limen.inspect.scoring import manifest_of, said_by, seal
from limen.inspect.source import metadata_of, reply_of
from limen.loop import finish
from limen.observer import Reply
from limen.parsing.token_probability import offers_letters
from limen.parsing.yes_no import READER_VERSION
from limen.question import Query, Question
from limen.store import Store
from limen.store.entries import ITEMS, SIZES, Manifest
from limen.study.schedule import encode
from limen.trial import Attempt

AT_ONCE = 64  # samples read at a time
KEPT = 200e6  # bytes of references that a run keeps
_ZIP = b"PK\x03\x04"  # the first bytes of a .eval
_CUT = (OSError, ValueError, KeyError, IndexError, RuntimeError, EOFError, zipfile.BadZipFile, ValidationError)


@dataclass
class _Read:
    """What samples gave, one by one."""

    manifest: Manifest
    questions: Mapping[str, Question]
    gathered: Gathered = field(default_factory=Gathered)
    replies: list[tuple[SampleRecord, Reply]] = field(default_factory=list)
    references: dict[str, bytes] = field(default_factory=dict)
    unseen: int = 0  # pictures that the log does not hold
    unscored: int = 0
    lost: int = 0  # samples that are listed, and not there
    failed: int = 0
    asked: int = 0


def to_run(place: str, run: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
    """Read a log into a run directory that is not there yet.

    Args:
        place: the log.
        run: the run directory.
        tell: called with how many samples are read, of how many.

    Returns:
        Lines for a person.

    Raises:
        InputError: it is no log of limen's, was edited, or cannot be read; nothing is written then.
        StoreError: the run cannot be written.
    """
    vacant(run)
    name = Path(place).name
    header, task = _header(place, name)
    names = _names(place, name)
    manifest = manifest_of(task.manifest)
    read = _Read(manifest, questions_of(Path(name), manifest))
    for number, sample in enumerate(_samples(place, name, names), start=1):
        if sample is None:
            read.lost += 1
        else:
            _take(read, sample, name, task)
        tell(number, len(names))
    if not read.gathered.observers:
        raise InputError(f"{name} holds no sample yet (its status is {header.status}). Run inspect eval-retry on it.")
    analysed = Analysed(manifest_of(task.manifest, read.gathered.observers), task, read.gathered, name)
    with beginning(run) as draft:
        finish(_write(draft, task, read, analysed))
    return _lines(name, header, task, read, run)


def _header(place: str, name: str) -> tuple[EvalLog, TaskRecord]:
    try:
        header = read_eval_log(place, header_only=True)
    except FileNotFoundError:
        raise InputError(f"{place}: no such log. Give inspect=PATH of a .eval or .json file.") from None
    except _CUT as error:
        if told := _no_log(Path(place)):
            raise InputError(f"{name} {told}") from None
        raise InputError(
            f"{name} cannot be read as a log of Inspect's ({_short(error)}): it is none, or it was cut short. Copy it "
            "again, or run inspect eval-retry on the original."
        ) from None
    if PLACE not in (header.eval.metadata or {}):
        raise InputError(
            f"{name} is a log of the task {header.eval.task!r}, not one that limen/jnd or limen/ask made. Evaluate one "
            "of these."
        )
    try:
        task = task_record(header.eval.metadata)
    except InputError as error:
        raise InputError(f"{name}: {error}. It was edited, or another limen made it: restore it from a copy.") from None
    if task.version != VERSION:
        raise InputError(f"{name} is of version {task.version}, and this limen reads {VERSION}. Update limen.")
    if (header.eval.config.epochs or 1) > 1:
        raise InputError(f"{name} has {header.eval.config.epochs} epochs; limen asks each question once.")
    return header, task


def _no_log(file: Path) -> str:
    """Say what is wrong with a local file that cannot be read as a log; "" where it looks like one."""
    try:
        with file.open("rb") as content:
            begins = content.read(len(_ZIP))
    except OSError:
        return ""
    right = "Give inspect=PATH of a log (.eval or .json) that Inspect wrote."
    if not begins:
        return f"is empty. {right}"
    if file.suffix == ".json":
        return "" if begins.lstrip()[:1] == b"{" else f"is no log of Inspect's: it holds no JSON object. {right}"
    if begins != _ZIP:
        return f"is no log of Inspect's: it is no zip file, and a log (.eval) is one. {right}"
    if not zipfile.is_zipfile(file):
        return "was cut short: it has no end. Copy it again, or run inspect eval-retry on the original."
    return ""


def _names(place: str, name: str) -> list[tuple[str | int, int]]:
    try:
        return [(one.id, one.epoch) for one in read_eval_log_sample_summaries(place)]
    except _CUT as error:
        raise InputError(f"{name}: its samples cannot be listed ({_short(error)}). Copy the log again.") from None


def _samples(place: str, name: str, names: list[tuple[str | int, int]]) -> Iterator[EvalSample | None]:
    """Yield the samples, some read at a time; None for one that is listed and not there."""
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        try:
            yield from _found(place, some)
        except _CUT as error:
            raise InputError(f"{name}: its samples cannot be read ({_short(error)}). Copy the log again.") from None


def _found(place: str, names: list[tuple[str | int, int]]) -> list[EvalSample | None]:
    try:
        return list(read_samples(place, names, resolve_attachments=True))
    except IndexError:  # a process that was killed had listed it, and not written it
        if len(names) == 1:
            return [None]
        middle = len(names) // 2
        return [*_found(place, names[:middle]), *_found(place, names[middle:])]


def _take(read: _Read, sample: EvalSample, name: str, task: TaskRecord) -> None:
    """Hold one sample against itself, and take it in."""
    where = f"{name}, sample {str(sample.id)!r}"
    try:
        record = sample_record(sample.metadata)
    except InputError as error:
        raise InputError(f"{where}: {error}. Restore the log from a copy.") from None
    known = {row.id: row for row in task.series}
    for trial in (*record.recorded, *((record.trial,) if record.trial else ())):
        if trial.series not in known or trial.question not in task.manifest["questions"]:
            raise InputError(f"{where}: its trial is of a series or question that the task has not. It was edited.")
    if record.trial is None:
        read.gathered.add(record, None)
        return
    if record.series != known.get(record.trial.series):
        raise InputError(f"{where}: its series is not as the task has it: the log was edited. Restore it from a copy.")
    if record.stored is not None:
        tried = [Attempt("error", one.message) for one in sample.error_retries or ()]
        reply = Reply(record.stored, (*tried, Attempt("ok", "", record.stored.seconds)))
    else:
        read.asked += 1
        _check_shown(read, sample, record, where)
        reply = reply_of(sample, offers_letters(record.trial.wording))
    _check_answer(read, sample, record, reply, where)
    _check_columns(read, sample, record, reply, where)
    read.failed += reply.answer is None
    read.gathered.add(record, reply.answer)
    read.replies.append((record, reply))


def _check_shown(read: _Read, sample: EvalSample, record: SampleRecord, where: str) -> None:
    """Raise `InputError` unless key, digests and what the sample shows fit together."""
    assert record.trial is not None
    messages = sample.input if isinstance(sample.input, list) else []
    contents = messages[0].content if len(messages) == 1 and isinstance(messages[0].content, list) else []
    parts: list[Picture | str] = []
    digests = iter(record.pictures)
    for content in contents:
        if isinstance(content, ContentText):
            parts.append(content.text)
        elif isinstance(content, ContentImage):
            said = next(digests, "")
            picture = _picture(content.image, where)
            if picture is None:
                read.unseen += 1
                picture = Picture(_NO_PIXELS, said)
            elif picture.digest != said:
                raise InputError(
                    f"{where}: a picture has the digest {picture.digest[:8]}, and {said[:8]!r} stands beside it: the "
                    "log was edited. Restore it from a copy."
                )
            elif record.series is not None and said == record.series.picture:
                read.references.setdefault(said, png(picture.pixels))
            parts.append(picture)
    key = Query(tuple(parts), record.draw).key(digest.of(record.fingerprint))
    if key != record.trial.key:
        raise InputError(
            f"{where}: what it shows has the key {key[:8]}, and {record.trial.key[:8]} stands beside it: text, order "
            "or digests were edited. Restore the log from a copy."
        )


_NO_PIXELS: Any = None  # of a picture that the log left out (--no-log-images)


def _picture(image: str, where: str) -> Picture | None:
    """Return the picture of a data URL; None where the log left it out."""
    kind, _, data = image.partition(";base64,")
    if not kind.startswith("data:image/"):
        return None
    try:
        return Picture.of(decode(base64.b64decode(data, validate=True), "its picture"))
    except (InputError, binascii.Error) as error:
        raise InputError(f"{where}: {error}. Restore the log from a copy.") from None


def _check_answer(read: _Read, sample: EvalSample, record: SampleRecord, reply: Reply, where: str) -> None:
    """Raise `InputError` unless the answer is the one that was scored."""
    if reply.answer is None or record.trial is None:
        return
    score = (sample.scores or {}).get("verdict")
    held = (score.metadata or {}).get("digest") if score is not None else None
    if held is None:
        read.unscored += 1
    elif held != seal(record.trial.key, reply.answer):
        raise InputError(
            f"{where}: its answer is not the one that was scored (digest {str(held)[:8]}): the log was edited. Restore "
            "it from a copy."
        )


def _check_columns(read: _Read, sample: EvalSample, record: SampleRecord, reply: Reply, where: str) -> None:
    """Raise `InputError` unless the columns that people group by say what limen's own record says."""
    trial, row = record.trial, record.series
    assert trial is not None
    assert row is not None
    kind = read.manifest.distortions[row.distortion]
    right = metadata_of(record, kind.strengths, kind.unit)
    if row.strength is not None:  # of a scored pair, whose one level is no step of the ladder
        del right["strength"]
    held = dict(sample.metadata or {})
    score = (sample.scores or {}).get("verdict")
    if reply.answer is not None and read.manifest.reader == READER_VERSION:  # another reader may have read it otherwise
        said = said_by(read.questions[trial.question], record, reply.answer)
        right |= {"verdict": said, "score verdict": said}
        held |= {"score verdict": score.value} if score is not None else {}
    for column in (name for name in right if name != PLACE and name in held):
        if held[column] != right[column]:
            raise InputError(
                f"{where}: its column {column!r} says {str(held[column])[:40]!r}, and limen's record "
                f"{str(right[column])!r}: the log was edited. Restore it from a copy."
            )


async def _write(run: Path, task: TaskRecord, read: _Read, analysed: Analysed) -> None:
    with Store.create(run, task.manifest) as store:
        names = list(read.gathered.observers)
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        aim = {
            "at": f"{now.isoformat(timespec='seconds')}Z", "observers": names,
            "questions": list(task.manifest["questions"]), "series": len(task.series),
        }  # fmt: skip
        store.amend(observers=read.gathered.observers, aim=aim)
        store.add_series(task.series)
        store.add_measurements(ITEMS, task.items)
        store.add_measurements(SIZES, task.sizes)
        for (observer, question), waves in analysed.waves.items():
            kinds = {series: analysed.row(series).distortion for series in waves}
            store.add_waves((observer, question, one, kinds[one], wave.number) for one, wave in waves.items())
            priors = {(kinds[one], wave.number): wave.prior for one, wave in waves.items() if wave.number}
            for (kind, number), prior in priors.items():
                await store.add_prior(observer, question, kind, number, encode(prior))
        room = KEPT
        for name, data in read.references.items():
            room -= len(data)
            if room > 0:
                await store.keep(name, data)
        own = {record.trial: reply for record, reply in read.replies if record.trial is not None}
        rows = [(replace(trial, answer=reply.answer), reply.attempts) for trial, reply in own.items()]
        rows += [(one, ()) for one in read.gathered.answered() if replace(one, answer=None) not in own]
        for start in range(0, len(rows), AT_ONCE):  # one transaction each
            await asyncio.gather(*(store.add(trial, tried) for trial, tried in rows[start : start + AT_ONCE]))


def _lines(name: str, header: EvalLog, task: TaskRecord, read: _Read, run: Path) -> list[str]:
    begun = {trial.series for trial in read.gathered.trials}
    lines = [
        f"{name}: {read.asked:,} questions of {len(begun):,} of {len(task.series):,} series, "
        f"{read.failed:,} without an answer. Run: {run}"
    ]
    if header.status != "success":
        lines.append(
            f"The log ends before the task did (status {header.status}): series that lack answers are unfinished."
        )
    if read.lost:
        lines.append(f"{read.lost:,} samples are listed in the log and not there: their questions count as not asked.")
    if read.unseen:
        lines.append(f"{read.unseen:,} pictures are not in the log (--no-log-images): their digests were not checked.")
    if read.unscored:
        lines.append(f"{read.unscored:,} answers have no score of limen's: whether they were edited is not known.")
    return lines


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
