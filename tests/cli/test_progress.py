"""What progress leaves on the screen: a finished run's bar, and nothing of reading alone or of a run that failed."""

import pytest

from limen import study
from limen.cli.progress import watching
from limen.errors import InputError
from limen.spending import Spending


def test_reading_alone_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watch:
        watch.reading("a.png")
    assert "reading images" not in capsys.readouterr().err


def failing(state: study.Progress) -> None:
    with watching() as watch:
        watch(state)
        raise InputError("what is wrong")


def test_a_run_that_failed_leaves_no_bar_and_one_that_ended_does(capsys: pytest.CaptureFixture[str]) -> None:
    state = study.Progress(total=4, done=4, asked=21, spending=Spending())
    with pytest.raises(InputError):
        failing(state)
    assert "series" not in capsys.readouterr().err
    with watching() as watch:
        watch(state)
    assert "4/4 21 asked" in capsys.readouterr().err


def test_what_is_drawn_meanwhile_stands_in_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watch:
        watch(study.Progress(total=4, doing="as-seen floor 2/4, level\x1b 3/50", spending=Spending()))
    assert "0/4 as-seen floor 2/4, level  3/50" in capsys.readouterr().err
