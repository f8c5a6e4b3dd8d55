"""What became of each series: recorded answers read again, the procedure replayed on them. No model, no network."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from limen import procedure as procedures
from limen import question as questions
from limen.belief import Prior
from limen.errors import StoreError
from limen.ladder import Ladder
from limen.procedure import Method, Probe, Result, begin
from limen.question import Order, Question
from limen.reading import READER_VERSION, Flag, Verdict
from limen.store import SeriesRow, Store
from limen.threshold import Estimate, Threshold
from limen.trial import Trial, pair
from limen.waves import decode


class Status(StrEnum):
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """One series under one observer and question.

    Attributes:
        observer, question, series: which.
        status: see `Status`.
        thresholds: 1st to n-th JND as the procedure finds them in the recorded answers.
        responses: by probe, in order.
        estimates: fitted thresholds, of a procedure that fits; never mixed with `thresholds`.
        floor: levels (against the reference) that were not asked because they equal it.
    """

    observer: str
    question: str
    series: SeriesRow
    status: Status
    thresholds: tuple[Threshold, ...]
    responses: tuple[Response, ...]
    estimates: tuple[Estimate, ...] = ()

    @property
    def floor(self) -> tuple[int, ...]:
        """Levels whose stimulus equals the reference, among those the procedure wanted."""
        return tuple(r.probe.level for r in self.responses if not r.asked and r.probe.reference == 0)


def outcomes(store: Store) -> Iterator[Outcome]:
    """Yield the outcome of every series under every observer and question.

    Raises:
        StoreError: the run was made with a question that this limen words differently.
    """
    rows = {row.id: row for row in store.series()}
    settings = dict(store.manifest["procedure"])
    method = procedures.make(settings.pop("name"), settings)
    ladders = {name: Ladder(tuple(kind["strengths"]), kind["unit"], kind["version"])
               for name, kind in store.manifest["distortions"].items()}  # fmt: skip
    for name, asked in sorted(store.manifest["questions"].items()):
        question = questions.find(name, Order(asked["order"]))
        if question.digest != asked["digest"]:
            raise StoreError(
                f"{store.path} asked {name!r} in words this limen does not have ({asked['text']!r}). "
                f"Analyse it with limen {store.manifest['limen']}."
            )
        for observer in sorted(store.manifest["observers"]):
            trials: dict[str, list[Trial]] = defaultdict(list)
            for trial in store.trials(observer, name):
                trials[trial.series].append(trial)
            waves = store.waves(observer, name)
            priors = {key: decode(content) for key, content in store.priors(observer, name).items()}
            if not trials and store.asked(observer):
                continue  # this observer was not asked this question
            for row in rows.values():
                responses = read(question, trials[row.id])
                prior = priors.get((row.distortion, waves.get(row.id, 0)))
                steered = store.manifest["reader"]
                status, found = replay(method, ladders[row.distortion], responses, steered, prior)
                thresholds = tuple(one for one in found if isinstance(one, Threshold))
                estimates = tuple(one for one in found if isinstance(one, Estimate))
                yield Outcome(observer, name, row, status, thresholds, tuple(responses.values()), estimates)


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
) -> tuple[Status, Result]:
    """Run a procedure on recorded responses.

    Args:
        method: the procedure with the settings of the run.
        ladder: the ladder as the run recorded it.
        responses: of one series.
        reader: the version of the reader that steered the run.
        prior: what the series' wave began with.

    Returns:
        The status, and what was found (nothing unless it is complete).
    """
    wanted: set[Probe] = set()
    course = begin(method, ladder, prior)
    try:
        ask = next(course)
        while True:
            if any(probe not in responses for probe in ask.needed):
                return (Status.UNFINISHED if reader == READER_VERSION else Status.UNDETERMINED), ()
            wanted.update(ask.needed)
            ask = course.send({probe: responses[probe].verdict for probe in ask.needed})
    except StopIteration as stop:
        if wanted and not any(responses[probe].asked for probe in wanted):
            return Status.NOT_APPLICABLE, ()
        asked = [responses[probe] for probe in wanted if responses[probe].asked]
        if asked and all(one.verdict.flag is Flag.UNREADABLE for one in asked):
            return Status.UNREADABLE, ()
        return Status.COMPLETE, stop.value
