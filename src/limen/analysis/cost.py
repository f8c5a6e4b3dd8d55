"""What a study would cost, before it costs: questions, tokens, bytes, money and time; nothing is asked for it.

Where a run directory of the same study is there, what it has answered is taken off, and its own answers are what the
rest is reckoned from: how many questions a series takes, how many tokens an answer, how many seconds.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limen.analysis.forecast import Asking, Count, Lane, Pool, pools, totals
from limen.analysis.replay import Outcome, SeriesStatus, outcomes
from limen.curve import Interval
from limen.errors import LimenError
from limen.observer import Observer
from limen.parsing.forms import SameOrDifferent
from limen.preflight import exam
from limen.question import DRAWS, Question
from limen.spending import USUAL, Price, picture_tokens, text_tokens
from limen.stimulus import Series
from limen.store import Store, entries
from limen.study import Study, manifest
from limen.threshold import Threshold
from limen.trial import OTHER_SIDE

OPEN = (SeriesStatus.UNFINISHED, SeriesStatus.UNDETERMINED)
REFERENCES, LEVELS = 4, (0.25, 0.75)  # of each distortion coded to see how long they are; and where on its ladder
_UNKNOWN = (1000, 1000)  # px of a picture whose source does not say its size

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ObserverCost:
    """What one observer of a study would still cost, or all of them.

    Attributes:
        observer: by name; "all" for the sum.
        series: that are not finished.
        finished: that are.
        basis: how many of those not finished are reckoned by what ("fixed", "finished", "simulation").
        exam: questions of an exam among `questions`, at most.
        questions: that would be asked.
        tokens_in, tokens_out: of them; None where nothing is sent, and no answer of the run has told any.
        reported: whether those rest on answers of the run, all of them.
        longest: tokens of answers at most, where the observer limits them; None elsewhere.
        sent: bytes of pictures; None where nothing is sent.
        price: at the rates given; None without rates, and where tokens are.
        dearest: price where every answer is as long as it may be; None where nothing limits it.
        latency: seconds of an answer; None where it is not known.
        seconds: of the whole, with the observer's series side by side; None where the latency is not known.
        concurrency: how many series side by side at most.
    """

    observer: str
    series: int
    finished: int
    basis: Mapping[str, int]
    exam: int
    questions: Count
    tokens_in: Count | None
    tokens_out: Count | None
    reported: bool
    longest: float | None
    sent: Count | None
    price: Count | None
    dearest: float | None
    latency: float | None
    seconds: Count | None
    concurrency: int


def costs(
    plan: Study, out: Path | None = None, price: Price | None = None, latency: float | None = None,
    tell: Tell = lambda what: None,
) -> tuple[ObserverCost, ...]:  # fmt: skip
    """Return what each observer of a study would cost, in their order, and the sum where there are several.

    Args:
        plan: the study.
        out: its run directory; what is not there has answered nothing.
        price: of a million tokens.
        latency: seconds of an answer; what the run's own took, if not given.
        tell: called with what is being reckoned.

    Raises:
        StoreError: `out` holds another study, or cannot be read.
    """
    if out is None or not (out / "manifest.json").exists():
        return _summed(_costs(plan, None, {}, price, latency, tell))
    with Store.open(out) as store:
        _expect_same(plan, store)
        found: dict[tuple[str, str], dict[str, Outcome]] = defaultdict(dict)
        for outcome in outcomes(store, entries.check(store.path, store.manifest)):
            found[outcome.observer, outcome.question][outcome.series.id] = outcome
        return _summed(_costs(plan, store, found, price, latency, tell))


def _expect_same(plan: Study, store: Store) -> None:
    """Raise `StoreError` where a run holds another study."""
    manifest.merged(store.path, store.manifest, plan.described())
    for observer in plan.observers:
        there, mine_ = store.manifest["observers"].get(observer.name), _fingerprint(observer)
        if there is not None and mine_ is not None:
            manifest.same(store.path, f"observer {observer.name}", there, mine_)


def _fingerprint(observer: Observer) -> dict[str, object] | None:
    """Return what decides an observer's answers; None where that is known only when its model is loaded."""
    try:
        return dict(observer.fingerprint())
    except LimenError:
        return None


def _costs(
    plan: Study, store: Store | None, found: Mapping[tuple[str, str], Mapping[str, Outcome]],
    price: Price | None, latency: float | None, tell: Tell,
) -> list[ObserverCost]:  # fmt: skip
    if not plan.series:  # a shard without a reference: it examines nobody either
        return [_nothing(observer) for observer in plan.observers]
    ways = {(o.name, q.name): asking_of(plan, q, o.sampled) for o in plan.observers for q in plan.questions}
    lengths = {len(one) for one in plan.series}
    made = pools(
        plan.method, {length: set(ways.values()) for length in sorted(lengths)}, plan.spec.look_ahead,
        lambda: tell("playing the procedure"),
    )  # fmt: skip
    sizes = sent_bytes(plan.series, plan.observers, lambda: tell("coding pictures"))
    return [
        _cost(plan, observer, store, found, ways, made, sizes[at], price, latency)
        for at, observer in enumerate(plan.observers)
    ]


def _nothing(observer: Observer) -> ObserverCost:
    """Return the cost of no series."""
    none = Count(0.0, Interval(0.0, 0.0), exact=True)
    return ObserverCost(
        observer.name, 0, 0, {}, 0, none, None, None, False, None, None, None, None, None, None, observer.concurrency
    )


def asking_of(plan: Study, question: Question, sampled: bool) -> Asking:
    """Return how a question of a study is put.

    Args:
        plan: the study.
        question: one of its questions.
        sampled: whether the observer answers by chance.
    """
    return Asking(
        alone=question.alone,
        draws=DRAWS if question.alone and sampled else 1,
        identical=plan.spec.identical_pairs and not question.forced,
        matched=isinstance(question.form, SameOrDifferent),
        guess=question.guess or 0.0,
    )


def _cost(
    plan: Study, observer: Observer, store: Store | None, found: Mapping[tuple[str, str], Mapping[str, Outcome]],
    ways: Mapping[tuple[str, str], Asking], made: Mapping[tuple[int, Asking], Pool], size: float | None,
    price: Price | None, latency: float | None,
) -> ObserverCost:  # fmt: skip
    lanes, usage = list[Lane](), list[tuple[float, float, float]]()  # of one question: tokens in, out, pictures
    reported = []
    by_kind: dict[str, list[Series]] = defaultdict(list)
    for one in plan.series:
        by_kind[one.distortion.name].append(one)
    for question in plan.questions:
        known, way = found.get((observer.name, question.name), {}), ways[observer.name, question.name]
        told = _told(known.values())
        reported.append(told is not None)
        undistorted = _undistorted(question, way, plan.series, known)
        for kind, members in by_kind.items():
            lanes.append(_lane(question, way, members, known, made[len(members[0]), way], undistorted[kind]))
            usage.append((*(told or _reckoned(question, members)), question.pictures))
    drawn, per, examined = totals(lanes), np.array(usage), _exam(plan, observer, store)
    exact = all(lane.basis in ("", "fixed") for lane in lanes) and not examined
    questions = Count.of(drawn.sum(axis=0) + examined, exact)
    tokens_in, tokens_out, pictures = (Count.of(drawn.T @ per[:, at] + examined * per[:, at].mean()) for at in range(3))
    counted = size is not None or all(reported)
    longest = questions.interval.high * observer.max_tokens if observer.max_tokens else None
    cost, dearest = None, None
    if price is not None and counted:
        rates = per[:, 0] * price.of_tokens(1, 0) + per[:, 1] * price.of_tokens(0, 1)
        cost = Count.of(drawn.T @ rates + examined * rates.mean())
        dearest = price.of_tokens(tokens_in.interval.high, longest) if longest is not None else None
    pace = latency if latency is not None else _latency(found, observer.name)
    open_ = sum(lane.open for lane in lanes)
    basis = Counter[str]()
    for lane in lanes:
        basis[lane.basis] += lane.open
    return ObserverCost(
        observer.name, open_, len(plan.series) * len(plan.questions) - open_,
        {name: n for name, n in sorted(basis.items()) if n}, examined, questions,
        tokens_in if counted else None, tokens_out if counted else None, all(reported),
        longest if counted else None, None if size is None else pictures * size, cost, dearest, pace,
        None if pace is None else questions * (pace / max(1, min(observer.concurrency, open_))), observer.concurrency,
    )  # fmt: skip


def _lane(
    question: Question, way: Asking, members: Sequence[Series], known: Mapping[str, Outcome], pool: Pool, extra: int
) -> Lane:
    """Return what of one question and distortion is open."""
    fresh, begun, took, missing = 0, list[int](), list[int](), 0
    for one in members:
        outcome = known.get(one.id)
        answered = 0 if outcome is None else _answered(way, outcome)
        if outcome is None or outcome.status in OPEN:
            begun += [answered] if answered else []
            fresh += not answered
        else:
            lacking = _lacking(way, outcome)
            missing += lacking
            took.append(answered + lacking)
    return Lane(question.name, members[0].distortion.name, fresh, tuple(begun), tuple(took), pool, extra + missing)


def _answered(way: Asking, outcome: Outcome) -> int:
    """Return how many answers a series has, without those to its undistorted reference alone (`Asking.queries`)."""
    return len({
        trial.key
        for response in outcome.responses
        for trial in response.trials
        if (response.probe.reference or trial.part >= OTHER_SIDE if way.alone else response.probe.level)
    })  # fmt: skip


def _lacking(way: Asking, outcome: Outcome) -> int:
    """Return how many identical pairs above level 0 a finished series still lacks."""
    if not way.identical:
        return 0
    references = {one.reference for one in outcome.thresholds if isinstance(one, Threshold)} - {0}
    have = {one.probe.level for one in outcome.responses if one.probe.reference == one.probe.level}
    return len(references - have) * (way.draws if way.alone else 1)


def _undistorted(
    question: Question, way: Asking, series: Sequence[Series], known: Mapping[str, Outcome]
) -> Counter[str]:
    """Return how many questions that show an undistorted reference alone are open, under the distortion asked first.

    Each is asked once, whatever the distortions that it serves under the same words.
    """
    owner: dict[tuple[str, str], str] = {}
    answered = set()
    for one in series if way.identical or way.alone else ():
        item = one.reference.item if question.itemised else None
        what = one.reference.digest, question.fill(one.distortion.word, 0, item)
        owner.setdefault(what, one.distortion.name)
        outcome = known.get(one.id)
        if outcome is not None and (outcome.status is SeriesStatus.EXCLUDED or _shown(way, outcome)):
            answered.add(what)
    return Counter({
        kind: n * way.draws
        for kind, n in Counter(kind for what, kind in owner.items() if what not in answered).items()
    })  # fmt: skip


def _shown(way: Asking, outcome: Outcome) -> bool:
    """Say whether a series' undistorted reference was shown alone: by itself, or with itself."""
    undistorted = (one for one in outcome.responses if one.asked and not one.probe.reference)
    return any(way.alone or not one.probe.level for one in undistorted)


def _exam(plan: Study, observer: Observer, store: Store | None) -> int:
    """Return how many questions of an exam would be put at most."""
    if not plan.spec.exam or not any(question.pictures > 1 for question in plan.questions):
        return 0
    return exam.pending(observer, store, _fingerprint(observer), plan.questions)


def _told(known: Iterable[Outcome]) -> tuple[float, float] | None:
    """Return the mean tokens in and out of the answers of a run to one question; None where they do not say."""
    answers = {
        t.key: t.answer for one in known for r in one.responses for t in r.trials if t.answer is not None
    }.values()
    said = [
        (one.tokens_in, one.tokens_out) for one in answers if one.tokens_in is not None and one.tokens_out is not None
    ]
    if not said or 2 * len(said) < len(answers):
        return None
    return statistics.fmean(one for one, _ in said), statistics.fmean(one for _, one in said)


def _reckoned(question: Question, members: Sequence[Series]) -> tuple[float, float]:
    """Return tokens in and out of one question by rules of thumb."""
    sizes = [one.reference.size if all(one.reference.size) else _UNKNOWN for one in members]
    picture = statistics.fmean(picture_tokens(width, height) for width, height in sizes)
    texts = [
        question.fill(one.distortion.word, 0, one.reference.item if question.itemised else None) for one in members
    ]
    return statistics.fmean(map(text_tokens, texts)) + question.pictures * picture, USUAL


def _latency(found: Mapping[tuple[str, str], Mapping[str, Outcome]], observer: str) -> float | None:
    """Return the median seconds of a run's answers; None where there are none that took any."""
    seconds = {
        trial.key: trial.answer.seconds
        for (name, _), series in found.items()
        if name == observer
        for outcome in series.values()
        for response in outcome.responses
        for trial in response.trials
        if trial.answer is not None and trial.answer.seconds
    }
    return statistics.median(seconds.values()) if seconds else None


def sent_bytes(
    series: Sequence[Series], made: Sequence[Observer], tell: Callable[[], None] = lambda: None
) -> list[float | None]:
    """Return how long a picture is on its way to each observer, in bytes; None where it sends none.

    A mean over some references of each distortion, by the order of their digests, undistorted and at two levels.

    Args:
        series: of the study.
        made: the observers.
        tell: called after each picture.
    """
    some: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in sorted(series, key=lambda one: one.reference.digest):
        if len(some[one.distortion.name, one.reference.kind]) < REFERENCES:
            some[one.distortion.name, one.reference.kind].append(one)
    sums, count, sending = [0.0] * len(made), 0, [True] * len(made)
    for one in (one for members in some.values() for one in members):
        draw, top = one.open(), len(one)
        for level in sorted({0, *(max(1, round(share * top)) for share in LEVELS)}):
            picture = draw(level)
            count += 1
            for at, observer in enumerate(made):
                if sending[at]:
                    size = observer.sent_bytes(picture)
                    sums[at] += size
                    sending[at] = size > 0
            if not any(sending):
                return [None] * len(made)
            tell()
    return [total / count if sends else None for total, sends in zip(sums, sending, strict=True)]


def _summed(each: Sequence[ObserverCost]) -> tuple[ObserverCost, ...]:
    """Return costs with their sum where there are several; as if all were off in the same way."""
    if len(each) < 2:
        return tuple(each)
    basis = Counter[str]()
    for one in each:
        basis.update(one.basis)
    counted = [one for one in each if one.tokens_in is not None]
    longest = [one.longest for one in counted]
    dearest = [one.dearest for one in counted if one.price is not None]
    total = ObserverCost(
        "all", sum(one.series for one in each), sum(one.finished for one in each), dict(sorted(basis.items())),
        sum(one.exam for one in each), _added(one.questions for one in each) or each[0].questions,
        _added(one.tokens_in for one in counted), _added(one.tokens_out for one in counted),
        all(one.reported for one in counted), _whole(longest), _added(one.sent for one in each),
        _added(one.price for one in each), _whole(dearest), None,
        None if any(one.seconds is None for one in each) else _added(one.seconds for one in each), 0,
    )  # fmt: skip
    return (*each, total)


def _added(each: Iterable[Count | None]) -> Count | None:
    """Return a sum, with the bounds added up; None where there is nothing to add."""
    known = [one for one in each if one is not None]
    if not known:
        return None
    low, high = sum(one.interval.low for one in known), sum(one.interval.high for one in known)
    return Count(sum(one.expected for one in known), Interval(low, high), all(one.exact for one in known))


def _whole(each: Sequence[float | None]) -> float | None:
    """Return a sum; None where one of its parts is not known, or there is none."""
    known = [one for one in each if one is not None]
    return sum(known) if known and len(known) == len(each) else None
