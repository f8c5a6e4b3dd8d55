"""A cell of a grid: what models write for one, and which they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.parsing.cell import read_cell
from limen.parsing.forms import Cell
from limen.parsing.yes_no import Fault
from tests.parsing.reading import ENDINGS, Row, is_quick, nasty, reading, rows

READ: dict[str, list[Row]] = {  # of three rows and five columns
    "a pair": [
        ("<2, 3>", "2,3"),
        ("<2,3>", "2,3"),
        ("(2,3)", "2,3"),
        ("( 2 , 3 )", "2,3"),
        ("[2, 3]", "2,3"),
        ("[2; 3]", "2,3"),
        ("2,3", "2,3"),
        ("2, 3.", "2,3"),
        ("**<2, 3>**", "2,3"),
        ("**2, 3**", "2,3"),
        ("`3,5`", "3,5"),
        ("Answer: <2, 3>", "2,3"),
        ("The answer is (2, 3).", "2,3"),
        ("\\boxed{(2, 3)}", "2,3"),
        ("$(2,3)$", "2,3"),
        ("The odd cell is at <1, 4>.", "1,4"),
        ("<answer>2, 3</answer>", "2,3"),
        ('{"answer": [2, 3]}', "2,3"),
        ("（２，３）", "2,3"),
    ],
    "row and column by name": [
        ("row 2, column 3", "2,3"),
        ("Row: 2, Column: 3", "2,3"),
        ("Row 2\nColumn 3", "2,3"),
        ("<row 2, column 3>", "2,3"),
        ("**Row 2, Column 3**", "2,3"),
        ("**Row:** 2\n**Column:** 3", "2,3"),
        ("column 3 of row 2", "2,3"),
        ("Column 3, Row 2", "2,3"),
        ("row two, column three", "2,3"),
        ("r2c3", "2,3"),
        ("R2, C3", "2,3"),
        ('{"row": 2, "column": 3}', "2,3"),
        ("row 2, col 3", "2,3"),
        ("row=2, column=3", "2,3"),
        ("The different tile is in row 3 and column 5.", "3,5"),
        ("The answer is row 2, column 3.", "2,3"),
    ],
    "ordinals and corners": [
        ("second row, third column", "2,3"),
        ("The odd one is in the 2nd row and 3rd column.", "2,3"),
        ("third column of the second row", "2,3"),
        ("It is in the top row, first column.", "1,1"),
        ("bottom row, last column", "3,5"),
        ("the middle row and the rightmost column", "2,5"),
        ("top left", "1,1"),
        ("The bottom right corner.", "3,5"),
        ("the upper-left cell", "1,1"),
        ("the central tile", "2,3"),
    ],
    "in other languages": [
        ("第2行第3列", "2,3"),
        ("2行3列", "2,3"),
        ("Zeile 2, Spalte 3", "2,3"),
        ("ligne 2, colonne 3", "2,3"),
    ],
    "the answer begins with it": [
        ("<2, 3>, because the one at <1, 1> is red.", "2,3"),
        ("Row 2, column 3. The one in row 2, column 4 is brighter.", "2,3"),
        ("The cell in row 2, column 3 is different from the one in row 2, column 4.", "2,3"),
    ],
    "the last one counts": [
        ("Answer: <1, 1>. Answer: <2, 3>", "2,3 antilogy"),
        ("<1, 1>. Wait, actually <2, 3>.", "2,3"),
        ("The answer is row 1, column 1. No, wait: the answer is row 2, column 3.", "2,3"),
        ("I looked at row 1, column 1 first. Answer: <2, 3>", "2,3"),
    ],
    "outside the grid": [
        ("<4, 1>", "unreadable gibberish"),
        ("<1, 6>", "unreadable gibberish"),
        ("<0, 0>", "unreadable gibberish"),
        ("row 2, column 9", "unreadable gibberish"),
    ],
    "names of spreadsheets": [("B2", "unreadable gibberish"), ("The answer is A1.", "unreadable gibberish")],
    "several": [
        ("Row 1, column 1 is red and row 2, column 3 is blue.", "unreadable antilogy"),
        ("row 1, column 1 or row 2, column 2", "unreadable antilogy"),
    ],
    "thoughts": [
        ("<think><1, 1>? No.</think><2, 3>", "2,3"),
        ("<think>it is row 2, column 3", "unreadable deficiency"),
    ],
    "none": [
        ("", "unreadable deficiency"),
        ("I'm sorry, I can't see a grid with row 2, column 3.", "unreadable deficiency"),
        ("row 2", "unreadable gibberish"),
        ("3", "unreadable gibberish"),
        ("The cell in", "unreadable deficiency", "length"),
        ("1, 2, 3", "unreadable gibberish"),
        ("They are all the same.", "unreadable gibberish"),
    ],
}


@pytest.mark.parametrize(("text", "finish", "expected"), rows(READ))
def test_reading(text: str, finish: str, expected: str) -> None:
    assert read_cell(text, finish, 3, 5) == reading(expected)


def test_the_middle_of_four_is_no_cell() -> None:
    assert read_cell("the middle row, first column", "stop", 4, 4).value is None


def test_the_request_itself_is_no_answer() -> None:
    for rows_, columns in ((1, 1), (3, 5), (100, 100)):
        assert read_cell(Cell(rows_, columns).request(), "stop", rows_, columns).fault is Fault.DEFICIENCY


@given(st.text() | nasty(["row ", "column ", "r2", "c3", "first row", "top left", ", ", "(2,3)"]), ENDINGS)
def test_any_text_is_read(text: str, finish: str) -> None:
    value = read_cell(text, finish, 3, 5).value
    assert value is None or value in {f"{row},{column}" for row in range(1, 4) for column in range(1, 6)}


@given(
    st.integers(1, 100), st.integers(1, 100),
    st.sampled_from(["{},{}", "<{}, {}>", "({},{})", "row {}, column {}", "Answer: {}, {}", "**{}, {}**"]),
)  # fmt: skip
def test_a_cell_is_itself(row: int, column: int, dress: str) -> None:
    assert read_cell(dress.format(row, column), "stop", 100, 100).value == f"{row},{column}"


def test_endless_answers_take_no_time() -> None:
    is_quick(
        lambda text: read_cell(text, "length", 9, 9),
        "(1,",
        "row ",
        "column ",
        "row 1 ",
        "first row ",
        "1,2 ",
        "top left ",
    )
