"""Public entries that wait for asynchronous work do so in a notebook's cell, where an event loop runs already."""

import asyncio
from pathlib import Path

import pytest

from limen import loop, testing
from limen.errors import InputError
from limen.preflight import exam
from limen.study import Spec, Study


async def double(number: int) -> int:
    await asyncio.sleep(0)
    if number < 0:
        raise InputError("below 0")
    return 2 * number


def test_work_is_finished_with_and_without_a_running_loop() -> None:
    async def cell() -> int:
        return loop.finish(double(4))

    assert loop.finish(double(3)) == 6
    assert asyncio.run(cell()) == 8


def test_an_error_of_the_work_is_raised_in_both() -> None:
    async def cell() -> None:
        loop.finish(double(-1))

    with pytest.raises(InputError, match="below 0"):
        loop.finish(double(-1))
    with pytest.raises(InputError, match="below 0"):
        asyncio.run(cell())


def test_exam_study_and_contract_checks_run_in_a_cell(photos: Path, tmp_path: Path) -> None:
    async def cell() -> None:
        exam.examine("simulated", {})
        testing.check_observer("simulated")
        spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("blur",), limit=1)
        assert Study.plan(spec).run(tmp_path / "run").unfinished == []

    asyncio.run(cell())
