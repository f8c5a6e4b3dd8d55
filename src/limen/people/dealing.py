"""Which series a participant gets, where not all of them fit into the time that one has."""

import itertools
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from limen import digest
from limen.analysis.cost import asking_of
from limen.analysis.forecast import pools
from limen.people.protocol import Presentation as Manner
from limen.people.protocol import Protocol
from limen.stimulus import Series
from limen.study import Study
from limen.trial import Presentation

__all__ = ["deal", "questions_of", "room_for", "seconds_a_question"]

ANSWER = 4.0  # seconds from the pictures to the next question, of somebody whose pace is not known
ENOUGH = 20  # questions from which on a participant's own pace is


def deal(
    series: Sequence[Series], counts: Mapping[str, int], room: int, seed: int, alias: str, had: Collection[str] = ()
) -> tuple[Series, ...]:
    """Return the series of a participant, in the order in which they are begun.

    One after another is dealt: of the photographs that the participant has had least often those that were dealt least
    often, of these the series dealt least often, then the distortion that the participant, and then that everybody, has
    had least often; ties are broken, and the order is drawn, by the participant's alias. Where every photograph
    undergoes every distortion, how often two series were dealt never differs by more than one.

    What was dealt is to be kept: with the counts as they are later the same participant would get something else.

    Args:
        series: of the study.
        counts: how often each was dealt before, by its id; missing ones were not. Who deals may leave out those that
            a participant did not finish, so that others get them.
        room: how many fit, >= 0.
        seed: of the study's protocol.
        alias: of the participant; the same gets the same where the counts are the same.
        had: ids of what the participant was dealt in earlier sittings; not dealt again.
    """
    ids, photographs = [one.id for one in series], [_photograph(one) for one in series]
    kinds, often = [one.distortion.name for one in series], [counts.get(one, 0) for one in ids]
    rng = digest.generator("dealing", seed, alias)
    lots = dict(zip(sorted(ids), rng.permutation(len(ids)).tolist(), strict=True))
    of_photograph, of_kind, seen, used = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for at, id_ in enumerate(ids):
        of_photograph[photographs[at]] += often[at]
        of_kind[kinds[at]] += often[at]
        seen[photographs[at]] += id_ in had
        used[kinds[at]] += id_ in had
    members = Counter(photographs)

    def standing(at: int) -> tuple[float, ...]:
        photograph, kind = photographs[at], kinds[at]
        shared = of_photograph[photograph] / members[photograph]
        return seen[photograph], shared, often[at], used[kind], of_kind[kind], lots[ids[at]]

    left, dealt = {at for at, id_ in enumerate(ids) if id_ not in had}, list[int]()
    while left and len(dealt) < room:
        at = min(left, key=standing)
        left.remove(at)
        dealt.append(at)
        for count, what in ((seen, photographs), (of_photograph, photographs), (used, kinds), (of_kind, kinds)):
            count[what[at]] += 1
    return tuple(series[dealt[at]] for at in rng.permutation(len(dealt)))


def _photograph(one: Series) -> str:
    """Return what a series shows at level 0: items about one picture, and sizes of one, are one photograph."""
    return one.reference.of or one.reference.picture or one.reference.digest


def room_for(minutes: float, seconds: float, questions: float) -> int:
    """Return how many series fit into a sitting: one at least, and all of them where it has no end.

    Args:
        minutes: of the sitting; 0 for no end.
        seconds: of a question (`seconds_a_question`), > 0.
        questions: of a series (`questions_of`), > 0.
    """
    return max(1, int(60 * minutes / (seconds * questions))) if minutes else sys.maxsize


def seconds_a_question(protocol: Protocol, pictures: int, shown: Iterable[Presentation] = ()) -> float:
    """Return how long a question takes: the median of the participant's own, once there are some, or a rule of thumb.

    Args:
        protocol: how people are asked.
        pictures: that a question shows, >= 1.
        shown: what the participant was shown in earlier sittings, in any order.
    """
    sittings: dict[str, list[float]] = defaultdict(list)
    for one in shown:
        sittings[one.session].append(one.shown_at)
    paces = [
        later - earlier for times in map(sorted, sittings.values()) for earlier, later in itertools.pairwise(times)
    ]
    own = statistics.median(paces) if len(paces) >= ENOUGH else 0.0
    if own > 0:
        return own
    turns = pictures if protocol.presentation is Manner.IN_TURNS else 1
    return ANSWER + (turns * protocol.show_ms + turns * protocol.blank_ms) / 1000  # grey comes before each


def questions_of(plan: Study, protocol: Protocol) -> float:
    """Return how many questions a series takes a person, on average: all that are put for it, catch trials included.

    By simulated observers that answer by chance; nothing that a participant taught is reckoned with.

    Args:
        plan: the study.
        protocol: how people are asked.
    """
    ways = {question.name: asking_of(plan, question, sampled=False) for question in plan.questions}
    lengths = Counter(len(one) for one in plan.series)
    made = pools(plan.method, {length: set(ways.values()) for length in lengths})
    total = sum(
        times * (float(made[length, way].first.mean()) + way.undistorted)
        for way in ways.values()
        for length, times in lengths.items()
    )
    return total / len(plan.series) / (1 - protocol.catch)
