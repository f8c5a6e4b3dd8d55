"""The place of a picture, of two to nine: what models write for one, and which they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.parsing.forced_choice import read_position
from limen.parsing.forms import Place
from limen.parsing.place import read_place
from limen.parsing.yes_no import Fault, Flag
from tests.parsing.reading import ENDINGS, Row, is_quick, nasty, reading, rows
from tests.parsing.test_forced_choice import READ as OF_TWO

READ: dict[str, list[Row]] = {  # of four pictures
    "a number": [
        ("3", "3"),
        ("3.", "3"),
        ("(2)", "2"),
        ("**4**", "4"),
        ("<2>", "2"),
        ("#1", "1"),
        ("No. 2", "2"),
        ("Number 2", "2"),
        ("２", "2"),
        ("\\boxed{4}", "4"),
        ("Answer: 3", "3"),
        ("**Answer:** 3", "3"),
        ("The answer is 3, because its sky is darker.", "3"),
        ("3\n\nIts sky is darker.", "3"),
        ("<answer>2</answer>", "2"),
        ('{"answer": 2}', "2"),
        ("答案是3", "3"),
        ("Réponse : 4", "4"),
    ],
    "a word": [
        ("third", "3"),
        ("The third.", "3"),
        ("3rd", "3"),
        ("the 2nd picture", "2"),
        ("The answer is the fourth image.", "4"),
        ("I think it is the first one.", "1"),
        ("the last one", "4"),
        ("last", "4"),
        ("third from the right", "unreadable gibberish"),
        ("leftmost", "1"),
        ("The rightmost image.", "4"),
        ("第二张图片", "2"),
    ],
    "a picture by name": [
        ("image 3", "3"),
        ("Picture three", "3"),
        ("**Image 4**", "4"),
        ("**Image 4: it is blurred.**", "4"),
        ("Photo #2.", "2"),
        ("image C", "3"),
        ("Panel B is the answer", "2"),
        ("C", "3"),
        ("The answer is D.", "4"),
    ],
    "what is said of one": [
        ("The second image stands out.", "2"),
        ("Image 2 is different from the others.", "2"),
        ("The odd one is the second image.", "2"),
        ("Images 1, 2 and 4 look alike. Image 3 is blurrier.", "3"),
        ("The first and second show a dog, the third is visibly noisier than both.", "3"),
        ("All images are the same except the third.", "3"),
        ("Image 1 is sharp. Image 2 is sharp. Image 3 is sharp. So I would pick image 4.", "4"),
        ("Images 1, 3, and 4 are identical; image 2 is different.", "2"),
        ("The picture that differs is number 3", "3"),
        ("Between image 2 and image 3, image 3 is blurrier.", "3"),
        ("First, I compare the images. Second, I look at details. Image 3 is blurrier.", "3"),
        ("The first thing I notice is that image 4 is darker.", "4"),
        ("Image 1: sharp\nImage 2: sharp\nImage 3: blurred\nImage 4: sharp\n\n3", "3"),
    ],
    "the last one counts": [
        ("The answer is 1. The answer is 2.", "2 antilogy"),
        ("The answer is 1. Wait, actually it is 2.", "2"),
        ("Answer: 1\n\nFinal answer: 1", "1"),
    ],
    "a place that is not shown": [
        ("5", "unreadable gibberish"),
        ("0", "unreadable gibberish"),
        ("10", "unreadable gibberish"),
        ("The answer is image 7.", "unreadable gibberish"),
        ("The sixth.", "unreadable gibberish"),
        ("image F", "unreadable gibberish"),
    ],
    "an echo, a question": [
        ("1, 2, 3 or 4", "unreadable deficiency"),
        ("Answer with the number of the picture, 1 to 4.", "unreadable deficiency"),
        ("Is it the first, the second, the third or the fourth? The second.", "2"),
        ("Is it image 2?", "unreadable deficiency"),
    ],
    "thoughts": [
        ("<think>Image 2? No, image 3.</think>3", "3"),
        ("<think>The answer is 2", "unreadable deficiency"),
        ("[THINK]first[/THINK] the second image", "2"),
    ],
    "none": [
        ("", "unreadable deficiency"),
        ("I'm sorry, I can't compare image 2 with image 3.", "unreadable deficiency"),
        ("Image 1 shows a dog and image 2 a cat.", "unreadable gibberish"),
        ("They are all the same.", "unreadable gibberish"),
        ("Let me look at all of them", "unreadable deficiency", "length"),
        ("50%", "unreadable gibberish"),
        ("1.5", "unreadable gibberish"),
        ("A picture of a dog.", "unreadable gibberish"),
    ],
}


@pytest.mark.parametrize(("text", "finish", "expected"), rows(READ))
def test_reading(text: str, finish: str, expected: str) -> None:
    assert read_place(text, finish, 4) == reading(expected)


@pytest.mark.parametrize(("flag", "text"), [(flag, text) for flag, rows in OF_TWO.items() for text in rows])
def test_two_pictures_are_read_as_the_forced_choice_is(flag: str, text: str) -> None:
    value = {"yes": "2", "no": "1", "unreadable": None}[flag]
    verdict, found = read_position(text), read_place(text, "stop", 2)
    assert (found.value, found.fault) == (value, verdict.fault)
    assert verdict.flag is Flag(flag)


def test_sides_are_places_of_two_or_three_pictures() -> None:
    found = [[read_place(side, "stop", m).value for side in ("left", "the middle one", "right")] for m in (2, 3, 4)]
    assert found == [["1", None, "2"], ["1", "2", "3"], [None, None, None]]


def test_the_request_itself_is_no_answer() -> None:
    for m in range(2, 10):
        assert read_place(Place(m).request(), "stop", m).fault is Fault.DEFICIENCY


@given(
    st.text() | nasty(["first", "image ", "the ", "picture c", "left", "last one", "1 or 2"]),
    ENDINGS,
    st.integers(2, 9),
)
def test_any_text_is_read(text: str, finish: str, pictures: int) -> None:
    value = read_place(text, finish, pictures).value
    assert value is None or 1 <= int(value) <= pictures


@given(st.integers(2, 9), st.data(), st.sampled_from(["{}", "({})", "**{}**", "Answer: {}", "image {}", "{}.", "<{}>"]))
def test_a_place_is_itself(pictures: int, data: st.DataObject, dress: str) -> None:
    place = str(data.draw(st.integers(1, pictures)))
    assert read_place(dress.format(place), "stop", pictures).value == place


def test_endless_answers_take_no_time() -> None:
    is_quick(
        lambda text: read_place(text, "length", 9), "first ", "1, ", "image ", "<1", "the ", "the first is ", "1 or "
    )
