"""The solver: right about limen's own items as they are, and lost in order as they are distorted."""

import asyncio
import functools
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from limen import distortion
from limen.analysis import Analysis
from limen.errors import FatalObserverError
from limen.image import Picture
from limen.item import Item
from limen.observer import make
from limen.observers.solver import LOST, solve
from limen.parsing.forms import Letters
from limen.question import Query
from limen.report.runs import fixtures
from limen.source import Reference, collect
from limen.testing import photograph


def say(*parts: Picture | str) -> str:
    async def ask() -> str:
        async with make("solver", {}) as solver:
            reply = await solver.answer(Query(parts))
            assert reply.answer is not None
            return reply.answer.text

    return asyncio.run(ask())


@functools.cache
def own() -> tuple[Reference, ...]:
    return collect(["demo-items"]).references


def right(item: Item | None, text: str) -> bool:
    assert item is not None
    value = item.form.read(text).value
    return value is not None and bool(item.right(value))


def test_all_own_items_are_right_at_level_0() -> None:
    for one in own():
        assert one.item is not None
        text = say(Picture.of(one.load()), one.item.text)
        reading = one.item.form.read(text)
        assert (reading.value, reading.fault) == (one.item.truth, None), (one.name, text)


@functools.cache
def some() -> tuple[Reference, ...]:
    """32 items, of all sizes and categories."""
    return tuple(sorted(own(), key=lambda one: one.name)[::3])


LEVELS = {"blur": (1, 4, 8, 14, 22, 34, 50), "jpeg": (10, 40, 60, 75, 85, 92, 98)}


@functools.cache
def table(kind: str) -> npt.NDArray[np.bool_]:
    """Whether each of some items is answered rightly at each level."""
    found = distortion.find(kind)
    rows = []
    for one in some():
        assert one.item is not None
        at = found.render(one.load(), one.digest)
        rows.append([right(one.item, solve(at(level), one.item.text)) for level in LEVELS[kind]])
    return np.array(rows)


@pytest.mark.parametrize("kind", LEVELS)
def test_items_are_lost_in_order(kind: str) -> None:
    share = table(kind).mean(0)
    assert share[0] > 0.9
    assert share[-1] < 0.6
    assert stats.spearmanr(LEVELS[kind], share).statistic < -0.9


@pytest.mark.parametrize("kind", LEVELS)
def test_larger_items_survive_longer(kind: str) -> None:
    """In each category size falls from item to item."""
    kept: dict[str, list[tuple[int, float]]] = {}
    for one, row in zip(some(), table(kind), strict=True):
        category, _, number = one.name.rpartition("-")
        kept.setdefault(category, []).append((int(number), float(row.mean())))
    halves = []
    for known in kept.values():
        shares, half = [share for _, share in sorted(known)], len(known) // 2
        halves.append((np.mean(shares[:half]), np.mean(shares[half:])))
    first, second = np.mean(halves, axis=0)
    assert first > second + 0.1


def test_it_says_plainly_when_it_cannot_tell() -> None:
    blank = Picture.of(np.full((240, 320, 3), 200, np.uint8))
    for one in own()[:6]:
        assert one.item is not None
        assert say(blank, one.item.text) == LOST
        assert not right(one.item, LOST)
    assert say(Picture.of(photograph("a", 240, 320)), "Which animal is this?") == LOST
    (colours,) = [one for one in own() if one.name == "colours-01"]
    other = Item("Which colour is the disc?", Letters(("black", "white")))
    assert say(Picture.of(colours.load()), other.text) == LOST


def test_the_order_of_the_options_decides_the_letter() -> None:
    (one,) = [one for one in own() if one.name == "colours-01"]
    assert one.item is not None
    assert isinstance(one.item.form, Letters)
    options = one.item.form.options
    turned = Item(one.item.question, Letters(options[::-1]))
    told, other = (say(Picture.of(one.load()), item.text) for item in (one.item, turned))
    assert options["ABCD".index(told)] == options[::-1]["ABCD".index(other)] == "red"


def test_its_fingerprint_has_a_version_and_it_is_a_fixture() -> None:
    solver = make("solver", {"concurrency": 2})
    assert solver.fingerprint() == {"kind": "solver", "version": 1, "fixture": True}
    assert solver.concurrency == 2


def test_two_pictures_end_the_run() -> None:
    one = Picture.of(own()[0].load())
    with pytest.raises(FatalObserverError, match="give --images demo-items"):
        say(one, one, "Do they differ?")


def test_a_simulated_observer_leaves_single_pictures_to_it() -> None:
    one = own()[0]
    assert one.item is not None
    query = Query((Picture.of(one.load()), one.item.text), flags=())
    with pytest.raises(FatalObserverError, match="give the observer solver"):
        asyncio.run(make("simulated", {}).answer(query))


def test_reports_say_that_it_is_no_model() -> None:
    observers = {"solver": make("solver", {}).fingerprint()}
    analysis = cast(Analysis, SimpleNamespace(manifest=SimpleNamespace(observers=observers)))
    assert fixtures(analysis) == {"solver": "code that reads limen's own items"}
