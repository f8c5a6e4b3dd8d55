"""Who gets which series, where not all fit: evenly over series, photographs and kinds, the same for the same alias."""

import statistics
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from limen import digest
from limen import distortion as distortions
from limen.people.dealing import deal, questions_of, room_for, seconds_a_question
from limen.people.protocol import Presentation as Manner
from limen.people.protocol import Protocol
from limen.source import Reference
from limen.stimulus import Series
from limen.study import Spec, Study
from limen.testing import play
from limen.trial import Presentation
from tests.support.toy import Toy

KINDS = ("blur", "noise", "contrast", "jpeg")


def crossed(photographs: int, kinds: Sequence[str] = KINDS) -> list[Series]:
    """Every photograph under every distortion."""
    return [
        Series(Reference(f"{at}.png", digest.of(["photograph", at]), lambda: None), distortions.find(kind))
        for at in range(photographs)
        for kind in kinds
    ]


def photographs(series: Sequence[Series]) -> Counter[str]:
    return Counter(one.reference.digest for one in series)


@pytest.mark.parametrize(("many", "room"), [(25, 12), (100, 12), (7, 5), (3, 11)])
def test_thirty_participants_share_the_series_evenly(many: int, room: int) -> None:
    series, counts, of_kind = crossed(many), Counter[str](), Counter[str]()
    for number in range(30):
        mine = deal(series, counts, room, 0, f"p{number:02d}")
        assert len(mine) == room == len({one.id for one in mine})
        seen = photographs(mine)
        fewest = room // many  # of a photograph nobody sees again before having seen all others
        assert set(seen.values()) <= {fewest, fewest + 1}
        assert len(seen) == min(many, room)
        kinds = Counter(one.distortion.name for one in mine)
        assert max(kinds.values()) - min(kinds[kind] for kind in KINDS) <= 2
        counts.update(one.id for one in mine)
        of_kind.update(kinds)
        every = [counts[one.id] for one in series]
        assert max(every) - min(every) <= 1
    assert max(of_kind.values()) - min(of_kind.values()) <= 3


def test_the_same_alias_gets_the_same_in_the_same_order() -> None:
    series = crossed(10)
    first = deal(series, {}, 12, 3, "p01")
    assert first == deal(series[::-1], {}, 12, 3, "p01")
    assert first != deal(series, {}, 12, 3, "p02")
    assert first != deal(series, {}, 12, 4, "p01")
    everything = [deal(series, {}, 99, 0, f"p{number}") for number in range(40)]
    assert all({one.id for one in mine} == {one.id for one in series} for mine in everything)
    places = np.array([[mine.index(one) for one in series] for mine in everything])
    assert abs(places.mean(axis=0) - 19.5).max() < 4 * 11.6 / 40**0.5  # nothing is always early, or late


def test_a_later_sitting_goes_on_with_other_photographs() -> None:
    series = crossed(10)
    first = deal(series, {}, 6, 0, "p01")
    had = {one.id for one in first}
    second = deal(series, Counter(had), 4, 0, "p01", had)
    assert not had & {one.id for one in second}
    assert not photographs(first) & photographs(second)
    rest = deal(series, {}, 99, 0, "p01", had)
    assert len(rest) == len(series) - len(had)


def test_what_was_dealt_least_often_comes_first() -> None:
    series = crossed(8, ("blur",))
    behind = {series[2].id, series[5].id}
    counts = {one.id: 3 - (one.id in behind) for one in series}
    assert {one.id for one in deal(series, counts, 2, 0, "p01")} == behind


def test_items_about_one_picture_and_sizes_of_one_are_one_photograph() -> None:
    kind = distortions.find("blur")
    same = [Series(Reference(f"a{at}", digest.of(at), lambda: None, of="a", side=at), kind) for at in range(1, 5)]
    other = Series(Reference("b", digest.of("b"), lambda: None), kind)
    assert all(other in deal([*same, other], {}, 2, 0, f"p{number}") for number in range(10))


def test_room() -> None:
    assert room_for(20, 5, 24) == 10
    assert room_for(1, 5, 24) == 1
    assert room_for(0, 5, 24) == sys.maxsize
    assert deal(crossed(2), {}, 0, 0, "p01") == ()


def test_a_question_takes_what_the_participant_takes() -> None:
    protocol = Protocol(blank_ms=500, show_ms=300)
    assert seconds_a_question(protocol, 2) == pytest.approx(4.8)
    in_turns = Protocol(blank_ms=500, show_ms=300, presentation=Manner.IN_TURNS)
    assert seconds_a_question(in_turns, 2) == pytest.approx(5.6)

    def sitting(number: int, count: int, pace: float) -> list[Presentation]:
        return [
            Presentation(f"{number}/{at}", f"person:p01/{number}", 1e5 * number + pace * at, 300) for at in range(count)
        ]

    assert seconds_a_question(protocol, 2, sitting(1, 10, 2.5)) == pytest.approx(4.8)  # too few
    own = [*sitting(1, 15, 2.5), *sitting(2, 15, 2.5)]
    assert seconds_a_question(protocol, 2, own[::-1]) == pytest.approx(2.5)  # a night between them counts for nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "procedure"),
    [("odd-one-out-4", {"name": "psi", "draws": 0, "sd": 2.5}), ("direct", {"name": "skip"}),
     ("direct", {"name": "constant", "levels": [5, 10, 20], "draws": 4})],
)  # fmt: skip
def test_expected_questions_are_those_that_people_take(question: str, procedure: dict[str, object]) -> None:
    plan = people(question, procedure)
    expected = questions_of(plan, Protocol(catch=0.2))
    guess = plan.questions[0].guess
    took = []
    for number in range(60):
        rng = digest.generator("a person", number)
        threshold, slope = rng.uniform(5, 45), rng.uniform(0.5, 3)
        floor = 0.03 if guess is None else guess
        answers = play(
            plan.method,
            lambda probe: bool(
                rng.random() < floor + (0.98 - floor) / (1 + np.exp(-(probe.level - threshold) / slope))  # noqa: B023
            ),
            50,
        )
        took.append(answers.questions + (guess is None))  # and the reference beside itself
    assert expected * (1 - 0.2) == pytest.approx(statistics.fmean(took), rel=0.25)


def people(question: str, procedure: dict[str, object]) -> Study:
    observer = Toy(lambda query: "1", name="person:nobody")
    observer.sampled = True
    spec = Spec(images=("demo",), observers=(), questions=(question,), procedure=dict(procedure), limit=2)
    return Study.of(spec, [observer], [distortions.find("blur"), distortions.find("noise")])
