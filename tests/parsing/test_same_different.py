"""How same or different is read: marks, the beginning, analysis; what says nothing."""

import pytest

from limen.parsing.same_different import read_same_different
from limen.parsing.yes_no import Fault
from limen.question import find

DEFICIENCY, ANTILOGY, GIBBERISH = Fault.DEFICIENCY, Fault.ANTILOGY, Fault.GIBBERISH
ANSWERS = {
    "<same>": ("same", None),
    "<different> The second is blurred.": ("different", None),
    "**Different**": ("different", None),
    "Same.": ("same", None),
    "different": ("different", None),
    "Identical": ("same", None),
    "Answer: same": ("same", None),
    "The answer is different.": ("different", None),
    "The verdict is: <same>. I see no difference.": ("same", None),
    "<think>They look different.</think> <same>": ("same", None),
    "<same> ... wait, looking closer: <different>": ("different", ANTILOGY),
    "The second image is blurrier than the first.": ("different", DEFICIENCY),
    "There is no visible difference between the two images.": ("same", DEFICIENCY),
    "The two images are not the same.": ("different", DEFICIENCY),
    "The images are not different from each other.": ("same", DEFICIENCY),
    "The images are identical.": ("same", DEFICIENCY),
    "same or different?": (None, DEFICIENCY),
    "Please return <same> or <different> with analysis.": (None, None),
    "": (None, DEFICIENCY),
    "I'm sorry, I cannot compare images.": (None, DEFICIENCY),
    "<think> same, I would say": (None, DEFICIENCY),
    "asdf qwer": (None, GIBBERISH),
}


@pytest.mark.parametrize("text", ANSWERS)
def test_answers(text: str) -> None:
    reading = read_same_different(text, "stop")
    assert (reading.value, reading.fault) == ANSWERS[text]


def test_the_wording_itself_is_no_answer() -> None:
    asked = find("same-different")
    for variant in range(2):
        assert read_same_different(asked.fill("blur", variant)).value is None
