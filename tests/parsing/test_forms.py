"""The forms of answers: what is asked for, when two answers are one, what a person may write for one."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.errors import InputError
from limen.parsing.forms import (
    FORMS,
    Cell,
    Choice,
    FirstOrSecond,
    Form,
    Letters,
    Number,
    OddOneOut,
    Place,
    SameOrDifferent,
    ShortText,
    YesNo,
    describe,
)
from limen.parsing.yes_no import Fault
from limen.question import known

ALL: tuple[tuple[Form, str, tuple[str, ...]], ...] = (  # a form, its request, answers in its spelling
    (YesNo(), "Please return <yes> or <no> with analysis.", ("yes", "no")),
    (Choice(), "A. Yes; B. No\nAnswer with the option's letter from the given choices directly.", ("yes", "no")),
    (SameOrDifferent(), "Please return <same> or <different> with analysis.", ("same", "different")),
    (
        Letters(("red", "blue", "green")),
        "A. red\nB. blue\nC. green\nAnswer with the option's letter from the given choices directly.",
        ("A", "B", "C"),
    ),
    (Place(3), "Answer with the number of the picture, 1 to 3.", ("1", "2", "3")),
    (OddOneOut(4), "Answer with the number of the picture, 1 to 4.", ("1", "4")),
    (FirstOrSecond(), "Please return <first> or <second> with analysis.", ("1", "2")),
    (
        Cell(2, 3),
        "Answer with row and column of the cell, counted from 1 at the upper left: <row, column>, "
        "rows 1 to 2, columns 1 to 3.",
        ("1,1", "2,3"),
    ),
    (Number(), "Answer with a number.", ("12", "-0.5", "0")),
    (ShortText((("red", "crimson"),)), "Answer with a word or a short phrase.", ("red", "eiffel tower")),
)
EACH = pytest.mark.parametrize(("form", "request_", "answers"), ALL, ids=[form.name for form, _, _ in ALL])


def test_every_form_is_here() -> None:
    assert [form.name for form, _, _ in ALL] == list(FORMS)


@EACH
def test_request(form: Form, request_: str, answers: tuple[str, ...]) -> None:
    assert form.request() == request_


@EACH
def test_the_request_is_no_answer(form: Form, request_: str, answers: tuple[str, ...]) -> None:
    found = form.read(form.request(), "stop")
    assert not found.readable
    if form.name not in ("same-different", "forced choice"):  # whose readers are older, or stand on an older one
        assert found.fault is Fault.DEFICIENCY


@EACH
def test_an_answer_is_read_as_it_is_spelled(form: Form, request_: str, answers: tuple[str, ...]) -> None:
    asked_for = {"yes-no-letters": {"yes": "A", "no": "B"}}.get(form.name, {})
    for answer in answers:
        assert form.read(asked_for.get(answer, answer)).value == answer
        assert form.canonical(answer) == answer
        assert form.same(answer, answer)
    assert not form.same(answers[0], answers[1])


@EACH
def test_a_form_is_plain_data_and_back(form: Form, request_: str, answers: tuple[str, ...]) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(describe(form)))
    assert msgspec.convert({key: plain[key] for key in plain if key != "name"}, FORMS[plain["name"]]) == form


@pytest.mark.parametrize(
    ("form", "written", "spelled"),
    [
        (YesNo(), "Yes", "yes"),
        (YesNo(), "A", None),
        (Choice(), "NO", "no"),
        (Letters(("red", "blue")), "b", "B"),
        (Letters(("red", "blue")), "Blue", "B"),
        (Letters(("b", "a")), "b", "B"),
        (Letters(("red", "blue")), "C", None),
        (Letters(("red", "blue")), "red and blue", None),
        (Place(3), "third", "3"),
        (Place(3), "4", None),
        (Cell(2, 3), "<2, 3>", "2,3"),
        (Cell(2, 3), "3,2", None),
        (Number(), "1,200", "1200"),
        (Number(), "twelve", "12"),
        (Number(), "many", None),
        (ShortText(), "The Eiffel Tower.", "eiffel tower"),
        (ShortText((("red", "crimson"),)), "Crimson", "red"),
        (ShortText(), "It is red.", "red"),
        (ShortText(), "one two three four five six seven eight nine", None),
        (ShortText(), "", None),
    ],
)
def test_canonical(form: Form, written: str, spelled: str | None) -> None:
    assert form.canonical(written) == spelled


def test_what_is_no_answer_is_refused_with_what_would_be_one() -> None:
    assert known(Place(3), "the second", "truth") == "2"
    with pytest.raises(InputError, match=r"truth is '7', which is no answer in the form 'place'. Answer with"):
        known(Place(3), "7", "truth")


@pytest.mark.parametrize(
    ("form", "value", "other", "same"),
    [
        (Number(), "12", "12", True),
        (Number(), "12", "12.1", False),
        (Number(tolerance=0.1), "12", "12.1", True),
        (Number(tolerance=0.1), "12", "12.2", False),
        (Number(tolerance=0.1, relative=True), "90", "100", True),
        (Number(tolerance=0.1, relative=True), "89", "100", False),
        (Number(tolerance=0.1, relative=True), "-100", "-90", True),
        (Number(tolerance=0.1, relative=True), "0", "0", True),
        (Number(tolerance=0.1, relative=True), "0", "0.001", False),
        (ShortText((("red", "crimson"), ("blue",))), "red", "crimson", True),
        (ShortText((("red", "crimson"), ("blue",))), "red", "blue", False),
        (ShortText((("red", "crimson"),)), "green", "green", True),
        (ShortText((("red", "crimson"),)), "green", "red", False),
        (ShortText(), "red", "crimson", False),
    ],
)
def test_same(form: Form, value: str, other: str, same: bool) -> None:
    assert form.same(value, other) is same
    assert form.same(other, value) is same


NUMBERS = st.floats(-1e9, 1e9).map(lambda number: Number().canonical(f"{number:.6f}"))


@given(NUMBERS, NUMBERS, st.floats(0, 10), st.booleans())
def test_tolerance_looks_the_same_from_both_sides(one: str, two: str, tolerance: float, relative: bool) -> None:
    form = Number(tolerance=tolerance, relative=relative)
    assert form.same(one, two) == form.same(two, one)
    assert form.same(one, one)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("letters", {"options": ["a"]}),
        ("letters", {"options": ["a"] * 27}),
        ("letters", {"options": ["a", ""]}),
        ("place", {"pictures": 1}),
        ("place", {"pictures": 10}),
        ("cell", {"rows": 0, "columns": 3}),
        ("number", {"tolerance": -1}),
        ("number", {"tolerence": 1}),
        ("text", {"accepted": [[""]]}),
        ("text", {"accepted": [[]]}),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, FORMS[name])


def test_a_form_is_described_as_it_comes_back_from_a_file() -> None:
    """A run goes on only where the question of its manifest is the one that is asked: a tuple is no list."""
    for form in (Letters(("a cat", "a dog")), ShortText(accepted=(("red", "crimson"),)), Cell(4, 4)):
        assert json.loads(json.dumps(describe(form))) == describe(form)
