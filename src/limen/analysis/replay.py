"""What became of each series: recorded answers read again, the procedure replayed on them. No model, no network."""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from limen import procedure as procedures
from limen import question as questions
from limen.errors import InputError, StoreError
from limen.ladder import Ladder
from limen.loop import sheltered
from limen.parsing.yes_no import READER_VERSION, Fault, Flag, Verdict
from limen.procedure import Method, Probe, Result, begin
from limen.question import Order, Question
from limen.statistics.observer_model import Prior
from limen.store import SeriesRow, Store, entries
from limen.store.entries import Manifest
from limen.study.schedule import decode
from limen.threshold import Estimate, Threshold
from limen.trial import Trial, pair

MANY = 50_000  # different answers from which on several processes are worth their start
_VERDICTS = tuple(Verdict(flag, fault) for flag in Flag for fault in (None, *Fault))
Reader: TypeAlias = Callable[[str, str], Verdict]


class SeriesStatus(StrEnum):
    """What became of one series under one observer and question."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"  # questions are open: run the study again
    UNDETERMINED = "undetermined"  # another reader steered the run; this one would have asked other questions
    UNREADABLE = "unreadable"  # not one answer could be read, after the paraphrase
    NOT_APPLICABLE = "not applicable"  # every stimulus asked for equals the reference


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
        floor: levels (against the reference) that were not asked because they equal it.
    """

    observer: str
    question: str
    series: SeriesRow
    status: SeriesStatus
    thresholds: tuple[Threshold, ...]
    responses: tuple[Response, ...]
    estimates: tuple[Estimate, ...] = ()

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
    method, ladders = _method(store, manifest), _ladders(manifest)
    rows = {row.id: row for row in store.series()}
    for row in rows.values():
        if row.distortion not in ladders or row.levels != len(ladders[row.distortion]):
            raise _unsound(store, f"a series of {row.distortion!r} with {row.levels} levels")
    for observer, name in sorted(store.lanes()):
        if observer not in manifest.observers or name not in ("", *manifest.questions):
            raise _unsound(store, f"trials of {observer!r} under {name!r}")
    for name, asked in sorted(manifest.questions.items()):
        question = questions.find(name, Order(asked.order))
        if question.digest != asked.digest:
            raise StoreError(
                f"{store.path} asked {name!r} in words this limen does not have ({asked.text!r}). "
                f"Analyse it with limen {manifest.limen}."
            )
        if question.text != asked.text:
            raise StoreError(
                f"{store.path / 'manifest.json'}: the text of question {name!r} is not the one whose digest stands "
                f"beside it: it was changed. {entries.RESTORE}"
            )
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
            if not trials and store.asked(observer):
                continue  # this observer was not asked this question
            expected = (trials.get(row, ()) for row in rows)
            quick = replace(question, reader=having_read(question.reader, expected, processes))
            for row in rows.values():
                if any(max(one.reference, one.level) > row.levels or one.part for one in trials[row.id]):
                    raise _unsound(store, f"a trial of {row.name!r} beyond the {row.levels} levels of its ladder")
                responses = read(quick, trials[row.id])
                prior = priors.get((row.distortion, waves.get(row.id, 0)))
                status, found = replay(method, ladders[row.distortion], responses, manifest.reader, prior)
                thresholds = tuple(one for one in found if isinstance(one, Threshold))
                estimates = tuple(one for one in found if isinstance(one, Estimate))
                yield Outcome(observer, name, row, status, thresholds, tuple(responses.values()), estimates)


def _method(store: Store, manifest: Manifest) -> Method:
    settings = dict(manifest.procedure)
    try:
        return procedures.make(settings.pop("name"), settings)
    except InputError as error:
        raise StoreError(f"{store.path / 'manifest.json'}: its procedure cannot be made. {error}") from None


def _ladders(manifest: Manifest) -> dict[str, Ladder]:
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
    verdicts: dict[tuple[str, str], Verdict] = {}
    coming = zip(answers, _read_in(processes, reader, answers), strict=False)

    def read_one(text: str, finish: str) -> Verdict:
        while (text, finish) not in verdicts:
            try:
                answer, verdict = next(coming)
            except (OSError, RuntimeError, StopIteration):  # no process could be started, or it did not go on
                answer, verdict = (text, finish), reader(text, finish)
            verdicts[answer] = verdict
        return verdicts[text, finish]

    return read_one


def _read_in(processes: int, reader: Reader, answers: Sequence[tuple[str, str]]) -> Iterator[Verdict]:
    """Yield the verdicts on answers, in order, from so many fresh processes."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    pieces = (answers[start : start + 2000] for start in range(0, len(answers), 2000))
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        with sheltered():  # at Ctrl-C they finish their piece, and are given no other
            coming = pool.map(functools.partial(_read_piece, reader), pieces)
        for numbers in coming:
            yield from (_VERDICTS[number] for number in numbers)


def _read_piece(reader: Reader, answers: Sequence[tuple[str, str]]) -> bytes:
    """Return the places in `_VERDICTS` of the verdicts on answers: a byte each travels faster than an object."""
    places = {verdict: place for place, verdict in enumerate(_VERDICTS)}
    return bytes(places[verdict] for verdict in itertools.starmap(reader, answers))


def read(question: Question, trials: Iterable[Trial]) -> dict[Probe, Response]:
    """Read the recorded answers of one series: a response for each probe that has all its answers."""
    gathered: dict[Probe, list[Trial]] = defaultdict(list)
    for trial in trials:
        gathered[Probe(trial.reference, trial.level, trial.draw)].append(trial)
    responses = {}
    for probe, group in gathered.items():
        if any(not trial.key for trial in group):
            responses[probe] = Response(probe, Verdict(Flag.NO), ())
            continue
        first = tuple(t.answer for t in group if not t.again and t.answer is not None)
        again = tuple(t.answer for t in group if t.again and t.answer is not None)
        if first:
            name = pair(group[0].series, probe.reference, probe.level)
            verdict = question.read(first, again, probe.draw % 2 == 1, name)
            if verdict.flag is Flag.UNREADABLE and not again:
                continue  # the paraphrase has still to be asked
            responses[probe] = Response(probe, verdict, tuple(group))
    return responses


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
        if wanted and not any(responses[probe].asked for probe in wanted):
            return SeriesStatus.NOT_APPLICABLE, ()
        if wanted and not any(responses[probe].readable for probe in wanted):
            return SeriesStatus.UNREADABLE, ()
        return SeriesStatus.COMPLETE, stop.value
    return (SeriesStatus.UNFINISHED if reader == READER_VERSION else SeriesStatus.UNDETERMINED), ()
