"""What progress leaves on the screen: a finished run's bar, and nothing of reading alone or of a run that failed."""

import contextlib
import os
import pty
import sys

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


def test_what_is_said_while_a_bar_is_drawn_has_a_line_of_its_own() -> None:
    code = (
        "from limen.cli.group import telling\nfrom limen.cli.console import say\n"
        "with telling('stimuli') as tell:\n    tell(5, 10)\n    say('A replica is lost.', err=True)\n"
    )
    process, terminal = pty.fork()
    if not process:  # pragma: no cover - another process
        os.execve(sys.executable, [sys.executable, "-c", code], os.environ | {"TERM": "xterm"})
    said = b""
    with contextlib.suppress(OSError):  # how Linux tells that nobody writes any more
        while more := os.read(terminal, 4096):
            said += more
    os.waitpid(process, 0)
    assert b"\x1b[2KA replica is lost.\r\n" in said
