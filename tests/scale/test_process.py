"""A folder of one process: it goes when the process does, whoever ends it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limen.scale.process import own_folder

HOLDS = """
import time
from limen.scale.process import own_folder

with own_folder() as folder:
    (folder / "trials.db").write_text("")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def holding() -> "tuple[subprocess.Popen[str], Path]":
    """Begin a process that has such a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_at_the_end(tmp_path: Path) -> None:
    with own_folder() as folder:
        (folder / "trials.db").write_text("")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_folder_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    process, folder = holding()
    assert (folder / "trials.db").exists()
    process.kill()
    process.communicate(timeout=30)
    until = time.monotonic() + 30
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_holds_is_removed_by_the_next_process_and_nothing_else(tmp_path: Path) -> None:
    process, folder = holding()
    left = tmp_path / "limen-replica.left"
    left.mkdir()
    (left / "trials.db").write_text("")
    with own_folder():
        assert not left.exists()
        assert (folder / "trials.db").exists()
    process.kill()
    process.communicate(timeout=30)
