"""How far a run in files is, from what it holds alone: as the next `write` will find it."""

import dataclasses
from collections import Counter, defaultdict
from dataclasses import dataclass

from limen import procedure as procedures
from limen.analysis import SeriesStatus, replay
from limen.analysis.replay import Asked, Outcome
from limen.ladder import Ladder
from limen.procedure import Method, Probe
from limen.question import Question
from limen.statistics.observer_model import Prior
from limen.store import Store, entries
from limen.store.ledger import Ledger, key_of
from limen.study import asking
from limen.study.schedule import decode
from limen.trial import Trial

_Place = tuple[str, str, str]  # observer, question, series


@dataclass(frozen=True, slots=True)
class Standing:
    """How many series are where, over all observers and questions.

    Attributes:
        done: that have all their answers.
        unreadable: of them, those whose answers were read and said nothing.
        open: that need further answers.
        waiting: whose wave begins when others are through.
        left: that stay open because of failures that would come again.
    """

    done: int
    unreadable: int
    open: int
    waiting: int
    left: int


NOTHING = Standing(0, 0, 0, 0, 0)


def standing(store: Store, ledger: Ledger) -> Standing:
    """Return how far a run is.

    Args:
        store: of the run.
        ledger: what it knows of its lines.
    """
    manifest = entries.check(store.path, store.manifest)
    method, ladders = replay.method_of(store.path, manifest), replay.ladders_of(manifest)
    questions = replay.questions_of(store.path, manifest)
    beside = ledger.rounds[-1].beside if ledger.rounds else True
    failed, ahead = _failed(store, ledger), _ahead(store, ledger)
    lanes = [(observer, name) for observer in manifest.observers for name in questions]
    waves = {lane: store.waves(*lane) for lane in lanes}
    priors = {lane: store.priors(*lane) for lane in lanes}
    groups: dict[_Place, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in replay.outcomes(store, manifest):
        lane, kind = (one.observer, one.question), one.series.distortion
        wave = waves[lane].get(one.series.id, 0)
        prior = decode(priors[lane].get((kind, wave)))
        if early := ahead.get((*lane, one.series.id)):
            of = Asked(*lane, one.series, one.item, one.picture, one.of, one.side)
            trials = list(store.trials(*lane, one.series.id))
            trials += [early[key] for key in early.keys() - {trial.key for trial in trials}]
            question = questions[one.question]
            one = replay.outcome(of, trials, question, method, ladders[kind], manifest.reader, prior)
        needed = _needed(one, questions[one.question], method, ladders[kind], prior, beside)
        state = "open"
        if not needed:
            state = "unreadable" if one.status is SeriesStatus.UNREADABLE else "done"
        elif needed[0] in failed[*lane, one.series.id]:
            state = "left"
        groups[*lane, kind][wave].append(state)
    found = Counter[str]()
    for group in groups.values():
        found += _by_wave(group)
    return Standing(
        found["done"] + found["unreadable"], found["unreadable"], found["open"], found["waiting"], found["left"]
    )


def _needed(
    one: Outcome, question: Question, method: Method, ladder: Ladder, prior: Prior | None, beside: bool
) -> list[Probe]:
    """Return what a series needs next, in order: of its procedure, then the references beside themselves."""
    if one.status is SeriesStatus.EXCLUDED:
        return []
    known = {response.probe: response.verdict for response in one.responses}
    needed = procedures.pending(method, ladder, prior, known)
    if not needed and beside:
        asked = {one.probe.level for one in one.responses if one.asked and one.probe.reference != one.probe.level}
        references = {0} | {each.reference for each in one.thresholds} | {each.reference for each in one.estimates}
        needed = asking.identical(question, references, asked)
    elif needed and question.alone:  # the undistorted picture is asked first
        needed = (Probe(0, 0), *needed)
    return [probe for probe in needed if probe not in known]


def _failed(store: Store, ledger: Ledger) -> dict[_Place, set[Probe]]:
    """Return of each series what failed in a way that would come again."""
    found: dict[_Place, set[Probe]] = defaultdict(set)
    for observer in {one.observer for one in ledger.rounds}:
        for key, line in ledger.lasting(observer).items():
            if store.get(key) is None:
                found[observer, line.question, line.series].add(Probe(line.reference, line.level, line.draw))
    return found


def _ahead(store: Store, ledger: Ledger) -> dict[_Place, dict[str, Trial]]:
    """Return of each series what was answered before a procedure needed it, by its key: `write` begins behind it."""
    found: dict[_Place, dict[str, Trial]] = defaultdict(dict)
    for name, line in ledger.lines.items():
        key = key_of(name)
        if line.ahead and (answer := store.get(key)) is not None:
            trial = dataclasses.replace(line.trial(key), answer=answer)
            found[line.observer, line.question, line.series][key] = trial
    return found


def _by_wave(group: dict[int, list[str]]) -> Counter[str]:
    """Count series; a wave waits until all before it are through."""
    found, through = Counter[str](), True
    for _, states in sorted(group.items()):
        found.update(states if through else ["waiting"] * len(states))
        through = through and "open" not in states
    return found
