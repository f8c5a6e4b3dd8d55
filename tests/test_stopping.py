"""Signals: a run that a cluster ends keeps what it has paid for, says so, and goes on from there."""

import asyncio
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from limen import loop, registry, stopping
from limen.cli import run
from limen.image import png
from limen.testing import photograph
from tests.support.endpoint import Endpoint


def begin(server: Endpoint, tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run whose first calls are under way when this returns."""
    photos = tmp_path / "photos"
    photos.mkdir(exist_ok=True)
    for i in range(4):
        (photos / f"{i}.png").write_bytes(png(photograph(str(i), 48, 48)))
    call = [
        sys.executable, "-m", "limen", "measure", "--images", str(photos), "--distortion", "noise", "--no-exam",
        "--observer", "openai:toy", "--base-url", server.base_url, "-O", "concurrency=4", "-O", "label=toy",
        "--out", str(tmp_path / "run"), *more,
    ]  # fmt: skip
    before = len(server.requests)
    client = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(server.requests) < before + 6:
        assert client.poll() is None, client.stderr and client.stderr.read()
        assert time.monotonic() < deadline, "nothing was asked"
        time.sleep(0.005)
    return client


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_calls_under_way_come_in_and_are_kept(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with Endpoint(threshold=8.0, latency=0.3) as server:
        client = begin(server, tmp_path)
        client.send_signal(number)
        _, said = client.communicate(timeout=30)
        asked = len(server.requests)
    assert client.returncode == code
    by = "" if number is signal.SIGINT else f" by {number.name}"
    assert said.splitlines()[-1] == (
        f"limen: stopped{by}. What was answered is kept: the same command goes on from there."
    )
    assert "Stopping: up to 10 s for " in said
    answers = sqlite3.connect(tmp_path / "run" / "trials.db").execute("SELECT COUNT(*) FROM answer").fetchone()
    assert answers == (asked,), "an answer that was paid for is lost"


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with Endpoint(threshold=8.0, latency=0.0) as server:
        client = begin(server, tmp_path)
        server.latency = 40.0
        time.sleep(0.1)
        begun = time.monotonic()
        client.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        client.send_signal(signal.SIGTERM)
        client.communicate(timeout=30)
    assert client.returncode == 143
    assert time.monotonic() - begun < 25


def test_a_host_program_keeps_its_handlers() -> None:
    mine = lambda number, frame: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with stopping.heeding():
            assert signal.getsignal(signal.SIGTERM) is mine
            assert signal.SIGTERM not in stopping.heeded()
    finally:
        signal.signal(signal.SIGTERM, before)
    with stopping.heeding():
        assert signal.SIGTERM in stopping.heeded()
        with pytest.raises(stopping.StopSignal, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_library_that_makes_ctrl_c_of_a_signal_does_not_hide_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def find(name: str) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(registry, "every", find)
    with stopping.heeding():
        assert run(["show", "blur"]) == 143
    assert capfd.readouterr().err.strip() == "limen: stopped by SIGTERM."
    assert stopping.heard() is None


def in_a_terminal(*words: str) -> tuple[int, int]:
    """Begin a command in a terminal of its own; return its process and the terminal."""
    process, terminal = pty.fork()
    if not process:  # pragma: no cover - another process
        os.execv(sys.executable, [sys.executable, "-m", "limen", *words])
    return process, terminal


@pytest.mark.parametrize(("heeds", "code"), [(True, 129), (False, 1)])
def test_a_terminal_that_goes_ends_a_command_in_order(heeds: bool, code: int, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    if not heeds:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which the command inherits, as with nohup
    try:
        process, terminal = in_a_terminal(
            "measure", "--images", "demo", "--observer", "simulated", "-O", "latency=0.2", "--distortion", "blur",
            "--out", str(tmp_path / "run"),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGHUP, before)
    bugs = set(Path(tempfile.gettempdir()).glob("limen-bug-*"))
    said = b""
    while b"series" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == code
    assert set(Path(tempfile.gettempdir()).glob("limen-bug-*")) <= bugs


def test_work_is_told_once_and_finishes_its_house() -> None:
    told = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            told.append("put in order")
            raise

    with stopping.heeding():
        with pytest.raises(stopping.StopSignal):
            loop.finish(work())
        assert signal.SIGTERM in stopping.heeded(), "the next piece of work is stopped in the same way"
    assert told == ["put in order"]


def test_other_threads_heed_no_signal() -> None:
    found: list[object] = []

    def inside() -> None:
        with stopping.heeding():
            found.append(stopping.heeded())

            async def one() -> int:
                return 1

            found.append(loop.finish(one()))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [(), 1]


def test_ctrl_c_in_a_notebook_reaches_the_work_in_its_thread() -> None:
    told, begun = [], threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append("put in order")
            raise

    async def cell() -> None:
        def press() -> None:
            begun.wait()
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=press).start()
        loop.finish(work())

    notebook = asyncio.new_event_loop()  # unlike asyncio.run, a notebook leaves Ctrl-C to Python
    try:
        with pytest.raises(KeyboardInterrupt):
            notebook.run_until_complete(cell())
    finally:
        notebook.close()
    assert told == ["put in order"]
