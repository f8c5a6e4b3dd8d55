"""A word or a short phrase: what models write for one, and which they mean."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from limen.parsing.short_text import normalised, read_text
from tests.parsing.reading import ENDINGS, Row, is_quick, nasty, reading, rows

COLOURS = (("red", "crimson", "dark red"), ("blue",), ("New York", "NYC"))
LONG = "The image shows a quiet street with many houses and several trees on both of its sides"

FREE: dict[str, list[Row]] = {
    "the whole answer": [
        ("red", "red"),
        ("Red.", "red"),
        ("A red car", "red car"),
        ("The red car.", "red car"),
        ("It is red.", "red"),
        ("It's a dog", "dog"),
        ("This is the Eiffel Tower.", "eiffel tower"),
        ("  red\n\n", "red"),
        ("ＲＥＤ", "red"),
        ("Café", "café"),
        ("Cafe\u0301", "café"),
        ("ﬁsh", "fish"),
        ("红色", "红色"),
        ("-5 °C", "-5 °c"),
        ("St. Bernard", "st. bernard"),
        ("rock 'n' roll", "rock 'n' roll"),
        ("$5", "$5"),
        ("C++", "c++"),
        ("A", "a"),
        ("Golden Retriever (a dog breed)", "golden retriever (a dog breed)"),
    ],
    "words around it": [
        ("Red, because the light is on.", "red"),
        ("A dog, I think.", "dog"),
        ("I think it's a Golden Retriever.", "golden retriever"),
        ("Red\n\nThe car in the image is clearly red, as can be seen from its paint.", "red"),
        ("A red car. It is parked in front of a house with a garden and a blue door.", "red car"),
        (f"Sure! {LONG}.", "unreadable gibberish"),
        (f"Analysis:\n{LONG}.", "unreadable gibberish"),
    ],
    "an announced answer": [
        ("Answer: red", "red"),
        ("**Answer:** A red car.", "red car"),
        ("The answer is red.", "red"),
        ("The answer is the red car. It stands on the left.", "red car"),
        (f"{LONG}.\n\nAnswer: Main Street", "main street"),
        ("\\boxed{\\text{red}}", "red"),
        ("<answer>red</answer>", "red"),
        ('{"answer": "a red car"}', "red car"),
        ("答案是红色", "红色"),
        ("Réponse : rouge", "rouge"),
        ("Answer: red. Answer: blue.", "blue antilogy"),
        ("The answer is red. Wait, actually the answer is blue.", "blue"),
    ],
    "a marked answer": [
        ("**red**", "red"),
        ('The sign says "STOP".', "stop"),
        ("<red>", "red"),
        ("`red`", "red"),
        ("«rouge»", "rouge"),
        (f"{LONG}, one of them **Main Street**.", "main street"),
        ("**Analysis:** It is bright.\n**red**", "red"),
        ("**red** or **blue**", "unreadable antilogy"),
    ],
    "thoughts": [
        ("<think>blue?</think>red", "red"),
        ("<think>it is red", "unreadable deficiency"),
    ],
    "none": [
        ("", "unreadable deficiency"),
        ("...", "unreadable gibberish"),
        ("I don't know.", "unreadable deficiency"),
        ("Answer with a word or a short phrase.", "unreadable deficiency"),
        ("I'm sorry, I can't help with that.", "unreadable deficiency"),
        (f"{LONG}.", "unreadable gibberish"),
        (LONG, "unreadable deficiency", "length"),
        ("What colour is it?", "unreadable deficiency"),
    ],
}

ACCEPTED: dict[str, list[Row]] = {
    "a spelling that is accepted": [
        ("red", "red"),
        ("Crimson.", "red"),
        ("dark red", "red"),
        ("The car is red", "red"),
        ("NYC", "new york"),
        ("new  york", "new york"),
        (f"{LONG}, and the largest is red.", "red"),
        ("Answer: the car is crimson, I believe, although it may look otherwise in another light.", "red"),
        ("**The car is blue**", "blue"),
        ("not red but blue", "blue"),
        ("crimson, that is red", "red"),
    ],
    "another answer": [("green", "green"), ("reddish", "reddish"), ("It is not red.", "not red")],
    "several": [
        ("red and blue", "unreadable antilogy"),
        ("Answer: red or blue", "unreadable antilogy"),
        (f"{LONG}, red ones and blue ones.", "unreadable antilogy"),
    ],
    "none": [
        (f"{LONG}.", "unreadable gibberish"),
        ("I'm sorry, I can't help with that.", "unreadable deficiency"),
        ("I'm sorry, I cannot tell whether it is red.", "unreadable deficiency"),
        ("", "unreadable deficiency"),
    ],
}


@pytest.mark.parametrize(("text", "finish", "expected"), rows(FREE))
def test_reading(text: str, finish: str, expected: str) -> None:
    assert read_text(text, finish) == reading(expected)


@pytest.mark.parametrize(("text", "finish", "expected"), rows(ACCEPTED))
def test_reading_what_is_accepted(text: str, finish: str, expected: str) -> None:
    assert read_text(text, finish, COLOURS) == reading(expected)


def test_a_script_without_blanks_has_no_whole_words() -> None:
    assert read_text("这辆车是红色的", "stop", (("红色",), ("蓝色",))).value == "红色"


@given(st.text() | nasty(["the ", "a ", "«", "»", "red", "it is "]))
def test_what_is_normalised_stays(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


@given(st.text() | nasty(["red", "crimson", "it is ", "`", "the ", "blue"]), ENDINGS, st.sampled_from([(), COLOURS]))
def test_any_text_is_read(text: str, finish: str, accepted: tuple[tuple[str, ...], ...]) -> None:
    value = read_text(text, finish, accepted).value
    assert value is None or value == normalised(value) != ""


WORDS = st.text(st.characters(categories=("Ll", "Lu", "Nd")), min_size=1, max_size=10)


@given(
    st.lists(WORDS, min_size=1, max_size=8).map(" ".join),
    st.sampled_from(["{}", "{}.", "**{}**", '"{}"', "\\boxed{{{}}}"]),
)
def test_a_short_text_is_itself(text: str, dress: str) -> None:
    value = normalised(text)
    assume(value and len(value) <= 100 and not value.startswith(("it is", "i see")))
    assert read_text(dress.format(value), "stop").value == value


def test_endless_answers_take_no_time() -> None:
    for accepted in ((), COLOURS):
        is_quick(
            lambda text, of=accepted: read_text(text, "length", of),
            "red ",
            "answer: ",
            "«",
            '"a',
            "the ",
            "it is ",
            "`",
            "not ",
        )
