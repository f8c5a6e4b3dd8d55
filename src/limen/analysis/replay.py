"""What became of each series: recorded answers read again, the procedure replayed on them. No model, no network."""

import functools
import itertools
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median_low
from typing import Any

from limen import participant
from limen import procedure as procedures
from limen import question as questions
from limen.errors import InputError, StoreError, UnknownNameError
from limen.item import Item
from limen.ladder import Ladder
from limen.loop import sheltered
from limen.parsing.reading import Reading
from limen.parsing.yes_no import READER_VERSION, Flag, Verdict
from limen.procedure import Method, Probe, Result, begin
from limen.question import Question, Reader
from limen.statistics.observer_model import Prior
from limen.store import SeriesRow, Store, entries
from limen.store.entries import Manifest
from limen.study.schedule import decode
from limen.threshold import Estimate, Threshold
from limen.trial import OTHER_SIDE, Answer, Trial, pair

MANY = 50_000  # different answers from which on several processes are worth their start


class SeriesStatus(StrEnum):
    """What became of one series under one observer and question."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"  # questions are open: run the study again
    UNDETERMINED = "undetermined"  # another reader steered the run; this one would have asked other questions
    UNREADABLE = "unreadable"  # not one answer could be read, after the paraphrase
    NOT_APPLICABLE = "not applicable"  # every stimulus asked for equals the reference
    EXCLUDED = "excluded"  # the undistorted reference was answered wrongly, or not readably: nothing to hold against


@dataclass(frozen=True, slots=True)
class Response:
    """One probe as read now: the verdict, and the trials behind it (none where both stimuli are one picture)."""

    probe: Probe
    verdict: Verdict
    trials: tuple[Trial, ...]

    @property
    def asked(self) -> bool:
        """Whether the observer was asked at all."""
        return bool(self.trials)

    @property
    def key(self) -> tuple[str, ...]:
        """Identity of what was shown to whom: the keys of the queries of its first wording."""
        return tuple(trial.key for trial in self.trials if not trial.again)

    @property
    def readable(self) -> bool:
        """Whether the observer was asked, and its answer could be read."""
        return self.asked and self.verdict.flag is not Flag.UNREADABLE


@dataclass(frozen=True, slots=True)
class Outcome:
    """One series under one observer and question.

    Attributes:
        observer, question, series: which.
        status: see `SeriesStatus`.
        thresholds: 1st to n-th JND as the procedure finds them in the recorded answers.
        responses: by probe, in order.
        estimates: fitted thresholds, of a procedure that fits; never mixed with `thresholds`.
        item: the question that belongs to the reference, where it has one.
        why: it is excluded: "wrong", "unreadable" or "no truth"; "" where it is not.
        picture: of an item the digest of its picture's pixels, as far as the run says; "" elsewhere.
        of: where photographs were shown at several sizes, the digest of this one before it was scaled; "" elsewhere.
        side: the size it was shown at, in px on the longer side; 0 at its own; None where there are not several.
        floor: levels (against the reference) that were not asked because they equal it.
    """

    observer: str
    question: str
    series: SeriesRow
    status: SeriesStatus
    thresholds: tuple[Threshold, ...]
    responses: tuple[Response, ...]
    estimates: tuple[Estimate, ...] = ()
    item: Item | None = None
    why: str = ""
    picture: str = ""
    of: str = ""
    side: int | None = None

    @property
    def photograph(self) -> str:
        """What the reference is a picture of, as a digest: two items about one picture have one, and all its sizes."""
        return self.of or self.shown

    @property
    def shown(self) -> str:
        """The digest of the pixels shown at level 0."""
        return self.picture or self.series.picture

    @property
    def floor(self) -> tuple[int, ...]:
        """Levels whose stimulus equals the reference, among those the procedure wanted."""
        return tuple(r.probe.level for r in self.responses if not r.asked and r.probe.reference == 0)


def outcomes(store: Store, manifest: Manifest, processes: int = 1) -> Iterator[Outcome]:
    """Yield the outcome of every series under every observer and question.

    Args:
        store: of the run.
        manifest: of the run, checked (`limen.store.entries.check`).
        processes: that may read, where there are many answers; what they read is the same. More than one needs a
            main module that can be imported without running, as Python's `multiprocessing` says.

    Raises:
        StoreError: the run was made with a question that this limen words differently; or manifest and trials are not
            as limen writes them.
    """
    method, ladders = method_of(store.path, manifest), ladders_of(manifest)
    asking = store.measurements(entries.ITEMS)
    items = {key: item_of(store.path, key, row) for key, row in asking.items()}
    shared = {key: str(row.get("picture", "")) for key, row in asking.items()}
    sizes = store.measurements(entries.SIZES)
    rows = {row.id: row for row in store.series()}
    published = _published(store, rows, ladders)
    for row in rows.values():
        if row.distortion not in ladders or row.levels != len(ladders[row.distortion]):
            raise _unsound(store, f"a series of {row.distortion!r} with {row.levels} levels")
    for observer, name in sorted(store.lanes()):
        if observer not in manifest.observers or name not in ("", *manifest.questions):
            raise _unsound(store, f"trials of {observer!r} under {name!r}")
    for name, question in questions_of(store.path, manifest).items():
        for observer in sorted(manifest.observers):
            trials: dict[str, list[Trial]] = defaultdict(list)
            for trial in store.trials(observer, name):
                trials[trial.series].append(trial)
            if strange := sorted(trials.keys() - rows.keys()):
                raise _unsound(store, f"trials of a series {strange[0]!r} that it does not have")
            waves = store.waves(observer, name)
            priors = {key: decode(content) for key, content in store.priors(observer, name).items()}
            for (kind, wave), prior in priors.items():
                if prior is not None and not (kind in ladders and prior.fits(len(ladders[kind]))):
                    raise _unsound(store, f"a prior of {kind!r}, wave {wave}, that fits no ladder")
            if not trials and store.asked(observer) and name not in manifest.planned.get(observer, ()):
                continue  # this observer was not asked this question
            expected = (trials.get(row, ()) for row in rows)
            form = question.form
            quick = question
            if form is not None:
                asked = as_answered(question, manifest.observers[observer])
                quick = replace(question, reader=having_read(asked.reader_of(None), expected, processes))
            for row in rows.values():
                if found := published.get((observer, name, row.id)):
                    yield Outcome(observer, name, row, SeriesStatus.COMPLETE, found, ())
                    continue
                if not (trials[row.id] or getattr(method, "asks", True)):
                    continue  # nothing was recorded of it, and nothing will be asked
                if any(max(one.reference, one.level) > row.levels for one in trials[row.id]):
                    raise _unsound(store, f"a trial of {row.name!r} beyond the {row.levels} levels of its ladder")
                if any(one.part for one in trials[row.id]) and not question.alone:
                    raise _unsound(store, f"a second part of a trial of {row.name!r}, whose question has one")
                item = items.get(row.picture)
                if form is None and item is None:
                    raise _unsound(store, f"a series of {row.name!r} without the item that {name!r} asks")
                prior = priors.get((row.distortion, waves.get(row.id, 0)))
                size = sizes.get(row.picture, {})
                of = Asked(observer, name, row, item, shared.get(row.picture, ""), **size)
                yield outcome(of, trials[row.id], quick, method, ladders[row.distortion], manifest.reader, prior)


def as_answered(question: Question, about: Mapping[str, Any]) -> Question:
    """Return a question as an observer answers it: people press a button, and what they do not write is no fault.

    Args:
        question: that was asked; one that asks an item's is returned as it is.
        about: what identifies the observer.
    """
    if question.form is None or not participant.is_person(about):
        return question
    return replace(question, reader=functools.partial(_pressed, question.reader_of(None)))


def _pressed(reader: Reader, text: str, finish: str) -> Reading:
    reading = reader(text, finish)
    return reading if reading.value is None else Reading(reading.value)


def _published(
    store: Store, rows: Mapping[str, SeriesRow], ladders: Mapping[str, Ladder]
) -> dict[tuple[str, str, str], tuple[Threshold, ...]]:
    """Return the thresholds that others published, by observer, question and series: the median over people.

    Of an even number of people it is the lower of the two in the middle, which is a level somebody has. A person
    without an n-th JND up to the ladder's end lies beyond it; where half of them do, the threshold is censored.
    """
    found: dict[tuple[str, str, str], list[Threshold]] = defaultdict(list)
    every = sorted(store.measurements(entries.PUBLISHED).values(), key=lambda one: int(one["order"]))
    for one in every:
        row = rows.get(one["series"])
        levels, none = one["levels"], one.get("none", 0)
        if row is None or (levels and levels[-1] > row.levels):
            raise _unsound(store, f"a published threshold of a series {one['series']!r} that has no such level")
        before = found[one["observer"], one["question"], one["series"]]
        if len(before) + 1 != one["order"] or (before and before[-1].censored):
            raise _unsound(store, f"a published threshold of {row.name!r} without the one before it")
        middle = median_low([*levels, *[row.levels + 1] * none])
        level, ladder = min(middle, row.levels), ladders[row.distortion]
        reference = before[-1].level if before else 0
        before.append(Threshold(one["order"], level, ladder[level], middle > row.levels, reference=reference))
    return {key: tuple(thresholds) for key, thresholds in found.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which series of whom: observer, question, series, the reference's item with the digest of its picture, its size.

    The fields are those of `Outcome`.
    """

    observer: str
    name: str
    series: SeriesRow
    item: Item | None = None
    picture: str = ""
    of: str = ""
    side: int | None = None


def outcome(
    of: Asked, trials: Sequence[Trial], question: Question, method: Method, ladder: Ladder,
    reader: int = READER_VERSION, prior: Prior | None = None,
) -> Outcome:  # fmt: skip
    """Return what became of one series: its recorded answers read, the procedure replayed on them.

    Args:
        of: which it is.
        trials: of the series under this observer and question, in any order.
        question: that was asked.
        method: the procedure with the settings of the run.
        ladder: the ladder as the run recorded it.
        reader: version of the reader that steered the run, >= 1.
        prior: what the series' wave began with.
    """
    responses = read(question, trials, of.item)
    first, shown = (of.observer, of.name, of.series), (of.picture, of.of, of.side)
    if question.alone and (why := excluded(question, trials, of.item)):
        every = tuple(responses.values())
        return Outcome(*first, SeriesStatus.EXCLUDED, (), every, (), of.item, why, *shown)
    status, found = replay(method, ladder, responses, reader, prior)
    thresholds = tuple(one for one in found if isinstance(one, Threshold))
    estimates = tuple(one for one in found if isinstance(one, Estimate))
    return Outcome(*first, status, thresholds, tuple(responses.values()), estimates, of.item, "", *shown)


def questions_of(path: Path, manifest: Manifest) -> dict[str, Question]:
    """Return the questions of a run by name, in order; raise `StoreError` where one is not as it was asked.

    Args:
        path: the run directory, for messages.
        manifest: of the run.
    """
    found = {}
    for name, asked in sorted(manifest.questions.items()):
        try:
            question = questions.recorded(name, asked)
        except InputError as error:
            raise StoreError(f"{path / 'manifest.json'}: {error}. {entries.RESTORE}") from None
        if question.digest != asked.digest:
            raise StoreError(
                f"{path} asked {name!r} in words this limen does not have ({asked.text!r}). "
                f"Analyse it with limen {manifest.limen}."
            )
        if question.text != asked.text:
            raise StoreError(
                f"{path / 'manifest.json'}: the text of question {name!r} is not the one whose digest stands "
                f"beside it: it was changed. {entries.RESTORE}"
            )
        found[name] = question
    return found


def method_of(path: Path, manifest: Manifest) -> Method:
    """Return the procedure of a run with its settings; raise `StoreError` where there is none of its name.

    Args:
        path: the run directory, for messages.
        manifest: of the run.
    """
    settings = dict(manifest.procedure)
    try:
        return procedures.make(settings.pop("name"), settings)
    except InputError as error:
        absent = (
            " If it is a plug-in's, install that, or give its file with --plugin."
            if isinstance(error, UnknownNameError)
            else ""
        )
        raise StoreError(f"{path / 'manifest.json'}: its procedure cannot be made. {error}{absent}") from None


def items_of(store: Store, reference: str | None = None) -> dict[str, Item]:
    """Return the items of a run by the digest of their reference, all or that of one reference."""
    return {key: item_of(store.path, key, row) for key, row in store.measurements(entries.ITEMS, reference).items()}


def item_of(path: Path, key: str, row: Mapping[str, Any]) -> Item:
    """Return the item that a row of a run describes; raise `StoreError` where it describes none.

    Args:
        path: the run directory, for messages.
        key: of the row, the digest of its reference.
        row: as the store keeps it.
    """
    settings = dict(row["form"])
    try:
        form = questions.form(str(settings.pop("name", "")), settings)
    except InputError as error:
        raise StoreError(f"{path}: the item {key!r} cannot be read. {error} {entries.RESTORE}") from None
    return Item(row["question"], form, row.get("truth", ""), row.get("category", ""))


def ladders_of(manifest: Manifest) -> dict[str, Ladder]:
    """Return the ladders of a run's distortions, by their names."""
    return {name: Ladder(tuple(kind.strengths), kind.unit, kind.version) for name, kind in manifest.distortions.items()}


def _unsound(store: Store, what: str) -> StoreError:
    return StoreError(
        f"{store.path / 'trials.db'} does not fit the manifest.json beside it: it holds {what}. Restore both from one "
        "copy."
    )


def having_read(reader: Reader, trials: Iterable[Iterable[Trial]], processes: int = 1) -> Reader:
    """Return a reader that reads each different answer once; where there are `MANY`, other processes read ahead.

    Args:
        reader: of one answer: text and why it ended.
        trials: whose answers will be asked for, in this order.
        processes: how many read ahead, >= 1; 1 for none.
    """
    if processes > 1:
        answers = (trial.answer for group in trials for trial in group if trial.answer is not None)
        different = tuple(dict.fromkeys((answer.text, answer.finish) for answer in answers))
        if len(different) >= MANY:
            return _reading_ahead(reader, different, processes)
    return functools.cache(reader)


def _reading_ahead(reader: Reader, answers: Sequence[tuple[str, str]], processes: int) -> Reader:
    readings: dict[tuple[str, str], Reading] = {}
    coming = zip(answers, _read_in(processes, reader, answers), strict=False)

    def read_one(text: str, finish: str) -> Reading:
        while (text, finish) not in readings:
            try:
                answer, reading = next(coming)
            except (OSError, RuntimeError, StopIteration):  # no process could be started, or it did not go on
                answer, reading = (text, finish), reader(text, finish)
            readings[answer] = reading
        return readings[text, finish]

    return read_one


def _read_in(processes: int, reader: Reader, answers: Sequence[tuple[str, str]]) -> Iterator[Reading]:
    """Yield what answers say, in order, from so many fresh processes."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    pieces = (answers[start : start + 2000] for start in range(0, len(answers), 2000))
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        with sheltered():  # at Ctrl-C they finish their piece, and are given no other
            coming = pool.map(functools.partial(_read_piece, reader), pieces)
        for different, places in coming:
            yield from (different[place] for place in places)


def _read_piece(reader: Reader, answers: Sequence[tuple[str, str]]) -> tuple[tuple[Reading, ...], "array[int]"]:
    """Return the different readings of answers, and each answer's place in them: numbers travel faster than objects."""
    readings = list(itertools.starmap(reader, answers))
    places = {reading: place for place, reading in enumerate(dict.fromkeys(readings))}
    return tuple(places), array("H", [places[reading] for reading in readings])


def excluded(question: Question, trials: Iterable[Trial], item: Item | None) -> str:
    """Return why a series has no threshold (`Question.excluded`); "" where it may have one, or it is not known yet.

    Args:
        question: that shows the reference and the stimulus each alone.
        trials: of one series.
        item: of its reference; None where the question is the same for all.
    """
    anchor = [one for one in trials if one.reference == one.level == one.draw == 0 and one.part < OTHER_SIDE]
    anchor = sorted((one for one in anchor if one.answer is not None), key=lambda one: one.part)
    first, again = (tuple(one.answer for one in anchor if one.again is asked and one.answer) for asked in (False, True))
    if not first:
        return ""
    why = question.excluded(first, again, item)
    return "" if why == "unreadable" and not again else why


def read(question: Question, trials: Iterable[Trial], item: Item | None = None) -> dict[Probe, Response]:
    """Read the recorded answers of one series: a response for each probe that has all its answers.

    Args:
        question: that was asked.
        trials: of the series, in any order.
        item: of its reference, where the question asks an item's.
    """
    gathered: dict[Probe, list[Trial]] = defaultdict(list)
    for trial in trials:
        gathered[Probe(trial.reference, trial.level, trial.draw)].append(trial)
    responses = {}
    for probe, group in gathered.items():
        if any(not trial.key for trial in group):
            responses[probe] = Response(probe, Verdict(Flag.NO), ())
            continue
        first, again = _whole(group, False), _whole(group, True)
        if first:
            name = pair(group[0].series, probe.reference, probe.level)
            other = item.permuted(name) if item is not None and probe.reference == probe.level else None
            verdict = question.read(first, again, probe.draw, name, item, other)
            if verdict.flag is Flag.UNREADABLE and not again:
                continue  # the paraphrase has still to be asked
            responses[probe] = Response(probe, verdict, tuple(group))
    return responses


def _whole(group: Iterable[Trial], again: bool) -> tuple[Answer, ...]:
    """Return the answers to one ask in the order of its queries; () where some are missing.

    Queries are asked in their order, those of the reference first: as many of both sides are all of them.
    """
    known = sorted((t for t in group if t.again is again and t.answer is not None), key=lambda trial: trial.part)
    others = sum(trial.part >= OTHER_SIDE for trial in known)
    if others and 2 * others != len(known):
        return ()
    if not others and any(trial.part for trial in known):
        return ()
    return tuple(trial.answer for trial in known if trial.answer is not None)


def replay(
    method: Method,
    ladder: Ladder,
    responses: Mapping[Probe, Response],
    reader: int = READER_VERSION,
    prior: Prior | None = None,
) -> tuple[SeriesStatus, Result]:
    """Run a procedure on recorded responses.

    Args:
        method: the procedure with the settings of the run.
        ladder: the ladder as the run recorded it.
        responses: of one series.
        reader: version of the reader that steered the run, >= 1.
        prior: what the series' wave began with.

    Returns:
        The status, and what was found (nothing unless it is complete).
    """
    wanted: set[Probe] = set()
    course = begin(method, ladder, prior)
    try:
        ask = next(course)
        while all(probe in responses for probe in ask.needed):
            wanted.update(ask.needed)
            ask = course.send({probe: responses[probe].verdict for probe in ask.needed})
    except StopIteration as stop:
        wanted = wanted or set(responses)  # a method that asks nothing takes what was recorded
        if not any(responses[probe].asked for probe in wanted):
            return SeriesStatus.NOT_APPLICABLE, ()
        if not any(responses[probe].readable for probe in wanted):
            return SeriesStatus.UNREADABLE, ()
        return SeriesStatus.COMPLETE, stop.value
    return (SeriesStatus.UNFINISHED if reader == READER_VERSION else SeriesStatus.UNDETERMINED), ()
