"""Catch trials and practice: of questions whose right answer everybody knows who looks, and of no others."""

from typing import Any

import pytest

from limen import question, registry
from limen.distortion import find
from limen.image import digest
from limen.people import turns, wording
from limen.people.protocol import Protocol
from limen.question import Question, of_table
from limen.source import Reference
from limen.stimulus import Series
from limen.testing import photograph

LETTERS = of_table(
    {"name": "alike", "text": "Which holds?", "options": ["they look alike", "they differ"], "notices": "they differ"}
)
OPEN = [
    of_table({"name": "places", "text": "In how many places do they differ?", "form": "number", "notices": ["1"]}),
    of_table(
        {"name": "words", "text": "Same or not?", "form": "text", "notices": "different",
         "accepted": [["different", "other"], ["same"]]}
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def series() -> list[Series]:
    return [Series(Reference("a", digest(photograph("a", 32, 32)), lambda: photograph("a", 32, 32)), find("blur"))]


def practised(asked: Question, series: list[Series]) -> list[turns.Turn]:
    return [turns.plain(*one) for one in turns.practice(Protocol(practice=4), "p", [asked], series)]


def test_listed_options_have_right_answers_by_their_words(series: list[Series]) -> None:
    found = practised(LETTERS, series)
    found += [turn for n in range(8) if (turn := turns.catch(Protocol(), "p", n, [LETTERS], series)) is not None]
    assert {(one.kind, one.right) for one in found} == {("obvious", ("B",)), ("identical", ("A",))}
    assert {wording.label(LETTERS, one.right[0]) for one in found} == {"they differ", "they look alike"}


@pytest.mark.parametrize("name", ["direct", "same-different", "forced-choice", "forced-choice-4", "odd-one-out-3"])
def test_who_gives_one_answer_always_fails(name: str, series: list[Series]) -> None:
    """Of as many catch trials as there are answers each answer is right once, whoever takes part."""
    asked = question.find(name)
    count = asked.pictures if asked.forced else 2
    for alias in ("p01", "p02", "p03"):
        every = [turns.catch(Protocol(), alias, n, [asked], series) for n in range(1, 4 * count + 1)]
        right = [one.right[0] for one in every if one is not None]
        assert len(right) == 4 * count
        blocks = [right[start : start + count] for start in range(0, 4 * count, count)]
        assert all(len(set(block)) == count for block in blocks)
        assert all(max(map(right[:n].count, right)) < 0.75 * n for n in range(4, len(right)))


@pytest.mark.parametrize("asked", OPEN, ids=lambda one: one.name)
def test_nothing_is_made_of_a_question_without_a_known_answer(asked: Question, series: list[Series]) -> None:
    protocol = Protocol()
    assert practised(asked, series) == []
    assert turns.catch(protocol, "p", 1, [asked], series) is None
    (line,) = turns.notices(protocol, [asked])
    assert line.startswith(f"No catch trials and no practice of {asked.name}: the attention rule 'catch' judges nobody")
    assert turns.notices(Protocol(catch=0, practice=0), [asked]) == []
    (line,) = turns.notices(protocol, [asked, LETTERS])
    assert "judges nobody" not in line
    some = [turns.catch(protocol, "p", n, [asked, LETTERS], series) for n in range(8)]
    assert {one.question.name for one in some if one is not None} == {"alike"}


def test_every_question_of_limen_about_two_pictures_has_them() -> None:
    every: list[Any] = [question.find(name) for name in registry.every("question")]
    assert turns.plain_ones(every) == [one for one in every if not one.alone]
