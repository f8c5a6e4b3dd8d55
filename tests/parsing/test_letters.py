"""The letter of an option: what models write for one, and which they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.parsing.forms import LETTERS
from limen.parsing.letters import read_letter
from tests.parsing.reading import ENDINGS, Row, is_quick, nasty, reading, rows

ANIMALS = ("a cat", "a dog", "a bird", "a fish")
MENU = "A. a cat\nB. a dog\nC. a bird\nD. a fish"

READ: dict[str, list[Row]] = {
    "a letter alone": [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("**B**", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("<b>", "B"),
        ("<B>", "B"),
        ("<b>B</b>", "B"),
        ("[C]", "C"),
        ("`D`", "D"),
        ('"A"', "A"),
        ("A", "A"),
        ("\n A \n", "A"),
        ("Ｂ", "B"),
        ("（Ｃ）", "C"),
        ("A", "A", "length"),
        ("B<|im_end|>", "B"),
    ],
    "an announced letter": [
        ("Answer: B", "B"),
        ("**Answer:** B", "B"),
        ("**Answer: B**", "B"),
        ("The answer is B.", "B"),
        ("The correct answer is **B**.", "B"),
        ("The correct answer is option B.", "B"),
        ("The answer is A because it has whiskers.", "A"),
        ("The answer is:\n\n**(C)**", "C"),
        ("Final answer: \\boxed{B}", "B"),
        ("\\boxed{B}", "B"),
        ("$\\boxed{\\text{D}}$", "D"),
        ("<answer>B</answer>", "B"),
        ("<|begin_of_box|>C<|end_of_box|>", "C"),
        ('{"answer": "C"}', "C"),
        ("I would choose D.", "D"),
        ("It's B.", "B"),
        ("答案是B", "B"),
        ("答案：B", "B"),
        ("Réponse : B", "B"),
        ("Antwort: C", "C"),
        ("La respuesta es D.", "D"),
        ("The ears are pointed, the muzzle is long, so I looked at A and C first. The answer is B.", "B"),
    ],
    "announced in other words": [
        ("I'd say B", "B"),
        ("Correct option: B", "B"),
        ("The letter is B", "B"),
        ("选B", "B"),
        ("应该选择B", "B"),
        ("B选项", "B"),
        ("正解はBです", "B"),
        ("<final_answer>B</final_answer>", "B"),
        ("__B__", "B"),
        ("'B'", "B"),
        ("I believe the answer is B, not A.", "B"),
        ("The answer could be A or B, but I think it's B.", "B"),
        ("Let me see. A is the cat. B is the dog. It barks, so the answer is B.", "B"),
        ("The answer is neither A nor B.", "unreadable gibberish"),
        ("The answer is not A.", "unreadable gibberish"),
    ],
    "a letter with its text": [
        ("B. a dog", "B"),
        ("B) a dog", "B"),
        ("**B. a dog**", "B"),
        ("B: a dog", "B"),
        ("B a dog", "B"),
        ("The answer is (B) a dog.", "B"),
        ("B is correct.", "B"),
        ("A is right: it has whiskers.", "A"),
        ("B\n\nThe picture shows a dog on a lawn.", "B"),
        ("B. a dog\n\nWhy not the others:\nA. a cat has other ears.\nC. a bird has wings.", "B"),
    ],
    "an option named": [("Option C", "C"), ("Option (C) fits.", "C"), ("I see fur, so option B fits.", "B")],
    "the text of an option": [
        ("a cat", "A"),
        ("Cat", "A"),
        ("It is a cat.", "A"),
        ("A cat sits on the wall.", "A"),
        ("The answer is a fish.", "D"),
        ("It's a dog", "B"),
        ("It is not a dog but a cat.", "A"),
        ("A bird.", "C"),
    ],
    "the article a, the pronoun i": [
        ("A person sits on the wall.", "unreadable gibberish"),
        ("I think it shows something else.", "unreadable gibberish"),
        ("A horse", "unreadable gibberish"),
    ],
    "the last one counts": [
        ("The answer is A. The answer is B.", "B antilogy"),
        ("**A** **B**", "B antilogy"),
        ("The answer is A. Wait, actually the answer is B.", "B"),
        ("The answer is A. Wait, actually B.", "B"),
        ("Answer: A. Therefore the final answer is B.", "B"),
    ],
    "a letter beside another option's text": [
        ("A. a dog", "A antilogy"),
        ("A. dog", "A antilogy"),
        ("Answer: C) a fish", "C antilogy"),
    ],
    "two at once": [
        ("A or B", "unreadable antilogy"),
        ("Either A or C.", "unreadable antilogy"),
        ("A dog and a cat.", "unreadable antilogy"),
        ("A. a cat: no.\nB. a dog: perhaps.", "unreadable antilogy"),
    ],
    "an echo of the options": [
        (MENU, "unreadable deficiency"),
        (f"{MENU}\nAnswer with the option's letter from the given choices directly.", "unreadable deficiency"),
        (f"{MENU}\n\nAnswer: D", "D"),
        (f"Which animal is it?\n{MENU}\nB", "B"),
    ],
    "a letter of no option": [
        ("E", "unreadable gibberish"),
        ("The answer is E.", "unreadable gibberish"),
        ("**F**", "unreadable gibberish"),
    ],
    "thoughts": [
        ("<think>A? It has whiskers, so A.</think>B", "B"),
        ("<think>The answer is A", "unreadable deficiency"),
        ("[THINK]it is a cat[/THINK] The answer is D", "D"),
    ],
    "none": [
        ("", "unreadable deficiency"),
        ("  \n", "unreadable deficiency"),
        ("I'm sorry, I can't help with that.", "unreadable deficiency"),
        ("I cannot determine whether it is a cat.", "unreadable deficiency"),
        ("I'm unable to say whether it is A, B, C or D.", "unreadable deficiency"),
        ("Looking at the picture, the animal", "unreadable deficiency", "length"),
        ("B", "B", "content_filter"),
        ("%%% ### @@@", "unreadable gibberish"),
        ("The image shows a street.", "unreadable gibberish"),
    ],
}


@pytest.mark.parametrize(("text", "finish", "expected"), rows(READ))
def test_reading(text: str, finish: str, expected: str) -> None:
    assert read_letter(text, finish, ANIMALS) == reading(expected)


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("5", ("5", "-5"), "A"),
        ("-5", ("5", "-5"), "B"),
        ("dark red", ("red", "dark red"), "B"),
        ("No, there is none.", ("yes", "no"), "B"),
        ("3 cars", ("2", "3", "4"), "B"),
        ("它是一只猫", ("狗", "猫"), "B"),
        ("I", ("x",) * 9, "I"),
        ("cat", ("a cat", "the cat"), None),  # two options of one text
        ("C++", ("C", "C++"), "B"),
        ("?", ("!", "?"), "B"),
    ],
)
def test_options_of_all_sorts(text: str, options: tuple[str, ...], value: str | None) -> None:
    assert read_letter(text, "stop", options).value == value


OPTIONS = st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=26).map(tuple)


@given(st.text() | nasty(["A", "B", "(", "Answer:", "a cat", *MENU.split("\n")]), ENDINGS, OPTIONS)
def test_any_text_is_read(text: str, finish: str, options: tuple[str, ...]) -> None:
    value = read_letter(text, finish, options).value
    assert value is None or value in LETTERS[: len(options)]


@given(OPTIONS, st.data(), st.sampled_from(["{}", "({})", "**{}**", "Answer: {}", "<{}>", "{}.", "\\boxed{{{}}}"]))
def test_a_letter_is_itself(options: tuple[str, ...], data: st.DataObject, dress: str) -> None:
    letter = data.draw(st.sampled_from(LETTERS[: len(options)]))
    assert read_letter(dress.format(letter), "stop", options).value == letter


def test_endless_answers_take_no_time() -> None:
    is_quick(
        lambda text: read_letter(text, "length", ANIMALS), "A", "(A", "**", "a cat ", "A. a cat\n", "or A ", "not "
    )
