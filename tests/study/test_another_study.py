"""A run directory that holds another study: the message names what differs, with both values in short."""

from pathlib import Path
from typing import Any

import pytest

from limen.errors import StoreError
from limen.study import manifest

LADDER = {"version": 1, "word": "blur", "unit": "px", "strengths": [0.5 * level for level in range(1, 51)]}


@pytest.mark.parametrize(
    ("what", "there", "given", "told"),
    [
        (
            "procedure",
            {"name": "skip", "gap": 1, "confirm": 2},
            {"name": "skip", "gap": 3, "confirm": 1},
            "procedure.gap was 1 there and is 3 now; procedure.confirm was 2 there and is 1 now",
        ),
        ("seed", 0, 1, "seed was 0 there and is 1 now"),
        (
            "distortion blur",
            LADDER,
            LADDER | {"strengths": [1.0, 2.0]},
            "distortion blur.strengths was 50 values from 0.5 to 25.0 there and is [1.0,2.0] now",
        ),
        (
            "observer a",
            {"model": "x"},
            {"model": "x", "query": "k=1"},
            'observer a.query was not set there and is "k=1"',
        ),
        ("plan", {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, "plan.a.c was 2 there and is 3 now"),
        ("many", dict.fromkeys("abcdef", 0), dict.fromkeys("abcdef", 1), "; and 2 fields more"),
    ],
)
def test_the_fields_that_differ_are_named(what: str, there: Any, given: Any, told: str) -> None:
    with pytest.raises(StoreError) as refused:
        manifest.same(Path("runs/a"), what, there, given)
    line = str(refused.value)
    assert line.startswith("runs/a holds another study: ")
    assert told in line
    assert line.endswith(" Give another --out.")
    assert len(line) < 400


def test_equal_fields_are_not_named() -> None:
    with pytest.raises(StoreError) as refused:
        manifest.same(Path("a"), "procedure", {"name": "skip", "gap": 1}, {"name": "skip", "gap": 2})
    assert "name" not in str(refused.value)
    manifest.same(Path("a"), "procedure", {"gap": 1}, {"gap": 1})
