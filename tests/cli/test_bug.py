"""What no command foresaw: one line, a private file, no secrets, and nothing on stdout."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from limen import registry
from limen.cli import run
from limen.cli.bug import BUG, hidden

WORDS = "it broke, api_key=sk-1234567890 https://me:pass@host/v1 Authorization: Bearer abc.def"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """`limen show` with a bug in it; where its traceback goes."""

    def every(noun: str) -> None:
        raise KeyError(WORDS + noun)

    monkeypatch.setattr(registry, "every", every)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("SOME_TOKEN", "hush-hush")
    monkeypatch.delenv("LIMEN_DEBUG", raising=False)
    return tmp_path


def test_a_bug_is_one_line_that_says_where_its_traceback_is(broken: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "hush-hush"]) == BUG
    out, err = capfd.readouterr()
    (file,) = broken.iterdir()
    assert not out
    assert err.count("\n") == 1
    assert err.startswith("limen: a bug: KeyError: 'it broke")
    assert str(file) in err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = file.read_text()
    assert "Traceback" in told
    assert "limen show ***" in told
    for secret in ("sk-1234567890", "me:pass", "abc.def", "hush-hush"):
        assert secret not in told + err


def test_the_traceback_is_shown_where_it_is_asked_for(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIMEN_DEBUG", "1")
    assert run(["show", "blur"]) == BUG
    assert "Traceback" in capfd.readouterr().err


def test_where_no_file_can_be_written_it_says_so(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(broken / "missing"))
        assert run(["show", "blur"]) == BUG
    assert re.fullmatch(
        r"limen: a bug: KeyError.*LIMEN_DEBUG=1 before the command shows it\.\n", capfd.readouterr().err
    )


def test_ordinary_words_with_key_in_them_are_left_alone() -> None:
    assert (
        hidden("KeyError: 'blur' in keys: a, KeyboardInterrupt: b")
        == "KeyError: 'blur' in keys: a, KeyboardInterrupt: b"
    )
    assert hidden("{'headers': {'X-Api-Key': 'abc', 'a': 1}}") == "{'headers': {'X-Api-Key': '***', 'a': 1}}"


@pytest.mark.parametrize("error", [MemoryError(), BrokenPipeError(), OSError(28, "No space left on device")])
def test_want_of_memory_of_disk_or_of_a_reader_is_no_bug(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def find(name: str) -> None:
        raise error

    monkeypatch.setattr(registry, "every", find)
    monkeypatch.setattr("os.dup2", lambda *given: None)
    assert run(["show", "blur"]) == 1
    assert capfd.readouterr().err.count("\n") == (0 if isinstance(error, BrokenPipeError) else 1)


@pytest.mark.parametrize(("command", "code", "err"), [("list | head -1", 0, ""), ("list > /dev/full", 1, "No space")])
def test_a_reader_that_leaves_and_a_full_disk_end_without_a_traceback(command: str, code: int, err: str) -> None:
    found = subprocess.run(["sh", "-c", f"{sys.executable} -m limen {command}"], capture_output=True, text=True)
    assert found.returncode == code
    assert err in found.stderr
    assert found.stderr.count("\n") <= 1
