"""A number: what models write for one, and which they mean."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.parsing.number import read_number
from tests.parsing.reading import ENDINGS, Row, is_quick, nasty, reading, rows

READ: dict[str, list[Row]] = {
    "digits": [
        ("12", "12"),
        ("12.", "12"),
        ("-0.5", "-0.5"),
        ("+3", "3"),
        (".5", "0.5"),
        ("007", "7"),
        ("12.50", "12.5"),
        ("-0", "0"),
        ("１２", "12"),
        ("−4", "-4"),
        ("45 %", "45"),
        ("45%", "45"),
        ("12px", "12"),
        ("5 m²", "5"),
        ("$5$", "5"),
        ("**12**", "12"),
        ("**12 cars**", "12"),
        ("<12>", "12"),
        ("\\boxed{12}", "12"),
        ("12<|im_end|>", "12"),
    ],
    "thousands and decimals": [
        ("1,200", "1200"),
        ("1 200", "1200"),
        ("1\u202f200", "1200"),
        ("1'200", "1200"),
        ("1,234,567.5", "1234567.5"),
        ("1.200.300", "1200300"),
        ("1.200,5", "1200.5"),
        ("1.200", "1.2"),
        ("3,5", "3.5"),
        ("0,125", "0.125"),
        ("1200,50", "1200.5"),
        ("$\\boxed{1{,}200}$", "1200"),
    ],
    "powers": [
        ("1.5e3", "1500"),
        ("2E-2", "0.02"),
        ("1.5 x 10^3", "1500"),
        ("$1.5 \\times 10^{3}$", "1500"),
        ("1e400", "unreadable gibberish"),
        ("9" * 5000, "unreadable gibberish"),
        ("0." + "0" * 5000 + "1", "0"),
    ],
    "words": [
        ("twelve", "12"),
        ("Twenty-one.", "21"),
        ("twenty one cars", "21"),
        ("ninety-nine", "99"),
        ("zero", "0"),
        ("a dozen", "12"),
        ("two dozen", "24"),
        ("two hundred", "200"),
        ("a hundred", "100"),
        ("3 million", "3000000"),
        ("2k", "2000"),
        ("300 K", "300"),
        ("minus five", "-5"),
        ("one", "1"),
        ("There is one car.", "1"),
        ("half a dozen", "unreadable gibberish"),
    ],
    "none of them": [
        ("none", "0"),
        ("None.", "0"),
        ("no cars", "0"),
        ("There are no cars in the picture.", "0"),
        ("I don't see any cars.", "0"),
        ("I cannot see any cars.", "0"),
        ("None of the 5 cars is red.", "0"),
        ("Nobody.", "0"),
        ("There aren't any.", "0"),
        ("No idea.", "unreadable gibberish"),
        ("There is no image.", "unreadable gibberish"),
        ("No", "unreadable gibberish"),
    ],
    "in a sentence": [
        ("There are 3 cars.", "3"),
        ("I count 7.", "7"),
        ("about 12", "12"),
        ("approximately 12 cars", "12"),
        ("The answer is about 12.", "12"),
        ("Image 2 shows 5 cars.", "5"),
        ("Step 1: the left. Step 2: the right. There are 4 cars.", "4"),
        ("The one on the left and the two on the right.", "2"),
        ("答案是3", "3"),
        ("图中有3辆车", "3"),
        ("Réponse : 3,5", "3.5"),
        ("the 3rd car", "unreadable gibberish"),
        ("a three-legged stool", "unreadable gibberish"),
    ],
    "the explicit one counts": [
        ("Answer: 4", "4"),
        ("**Answer:** -4", "-4"),
        ("I see 2 dogs and 3 cats. The answer is 5.", "5"),
        ("I see 2 dogs and 3 cats, **5** animals.", "5"),
        ("2 dogs and 3 cats, so 5 in total", "5"),
        ("In total, there are 5 animals of 2 kinds", "5"),
        ("7 + 5 = 12", "12"),
        ("Total: 8 (3 red, 5 blue)", "8"),
        ("Answer: 4. Answer: 5", "5 antilogy"),
        ("Answer: 4. Wait, 5", "5"),
        ("The answer is 4. Wait, actually the answer is 5.", "5"),
        ("<answer>3</answer>", "3"),
        ('{"answer": 3}', "3"),
    ],
    "the first clause counts": [
        ("There are 3 cars: 2 red and 1 blue.", "3"),
        ("There are 3 cars. 2 are red and 1 is blue.", "3"),
        ("There are 3 cars, including 2 red ones.", "3"),
        ("There are two people, one man and one woman.", "2"),
        ("2 dogs and 3 cats and 1 bird, 6 animals", "6"),
        ("1. a red car\n2. a blue car\nThere are 2.", "2"),
        ("There are 2 red cars and 1 blue car.", "unreadable antilogy"),
    ],
    "two at once": [
        ("between 3 and 5", "unreadable antilogy"),
        ("3-5", "unreadable antilogy"),
        ("3 – 5", "unreadable antilogy"),
        ("3 to 5 cars", "unreadable antilogy"),
        ("3 or 4", "unreadable antilogy"),
        ("The answer is 3-5.", "unreadable antilogy"),
        ("**3-5**", "unreadable antilogy"),
        ("The answer is between three and five.", "unreadable antilogy"),
        ("1/2", "unreadable antilogy"),
        ("\\boxed{\\frac{1}{2}}", "unreadable antilogy"),
        ("2 of the 3 cars", "unreadable antilogy"),
        ("10:30", "unreadable antilogy"),
        ("10³", "unreadable antilogy"),
        ("5 out of 5", "5"),
    ],
    "thoughts": [
        ("<think>3? No, 4.</think>4", "4"),
        ("<think>There are 3", "unreadable deficiency"),
    ],
    "no number": [
        ("", "unreadable deficiency"),
        ("inf", "unreadable gibberish"),
        ("nan", "unreadable gibberish"),
        ("1.2.3", "unreadable gibberish"),
        ("B2", "unreadable gibberish"),
        ("Answer with a number.", "unreadable deficiency"),
        ("I'm sorry, I can't count them in 2 pictures.", "unreadable deficiency"),
        ("Let me count the cars", "unreadable deficiency", "length"),
        ("Many.", "unreadable gibberish"),
    ],
}


@pytest.mark.parametrize(("text", "finish", "expected"), rows(READ))
def test_reading(text: str, finish: str, expected: str) -> None:
    assert read_number(text, finish) == reading(expected)


NUMBERS = [
    "12",
    "1,200",
    "1 200",
    "3,5",
    "e",
    "10^",
    " x ",
    "%",
    "-",
    "twenty",
    "-one",
    " hundred",
    "between ",
    " and ",
]


@given(st.text() | nasty(NUMBERS), ENDINGS)
def test_any_text_is_read(text: str, finish: str) -> None:
    value = read_number(text, finish).value
    if value is not None:
        assert math.isfinite(float(value))
        assert read_number(value, "stop").value == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{}", "**{}**", "Answer: {}", "<{}>", "{}."]))
def test_a_number_is_itself(number: float, dress: str) -> None:
    written = f"{Decimal(repr(number)):f}"
    value = read_number(dress.format(written), "stop").value
    assert value is not None
    assert float(value) == number
    assert read_number(value, "stop").value == value


def test_endless_answers_take_no_time() -> None:
    is_quick(
        lambda text: read_number(text, "length"),
        "1,000,",
        "1-",
        "3 or ",
        "one ",
        "twenty ",
        "= ",
        "total ",
        "no c",
        "1. a\n",
    )
