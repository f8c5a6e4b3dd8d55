"""What changed between two texts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.report.text_diff import changed


@pytest.mark.parametrize(
    ("before", "after", "pieces"),
    [
        ("", "", []),
        ("Is it big?", "Is it big?", []),
        ("Is it big?", "Is  it big?", []),
        ("Is the car big?", "Is the auto big?", [("car", "auto")]),
        ("Is the car big?", "Is the big?", [("car", "")]),
        ("Is it?", "glory Is it? haste", [("", "glory"), ("", "haste")]),
        ("What color is it?", "Waht color si it?", [("What", "Waht"), ("is", "si")]),
        ("a b c", "x y", [("a b c", "x y")]),
        ("", "a", [("", "a")]),
    ],
)
def test_pieces(before: str, after: str, pieces: list[tuple[str, str]]) -> None:
    assert [(before[slice(*one.before)], after[slice(*one.after)]) for one in changed(before, after)] == pieces


@given(st.text("ab ", max_size=30), st.text("ab ", max_size=30))
def test_putting_the_pieces_in_gives_the_words_after(before: str, after: str) -> None:
    made, last = [], 0
    for one in changed(before, after):
        made += [before[last : one.before[0]], f" {after[slice(*one.after)]} "]
        last = one.before[1]
    assert "".join([*made, before[last:]]).split() == after.split()


def test_long_texts_take_little_time() -> None:
    before = "What is the picture of? " * 420
    begun = time.process_time()
    assert changed(before, before.replace("picture", "image"))
    assert time.process_time() - begun < 2
