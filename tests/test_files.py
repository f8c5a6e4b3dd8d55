"""Files are written whole or not at all, also where another program holds them open for a while."""

import sys
from pathlib import Path

import pytest

from limen import files


def held(monkeypatch: pytest.MonkeyPatch, times: int) -> list[float]:
    """Have renaming fail so often, as on Windows while somebody reads; return the pauses made."""
    pauses: list[float] = []
    rename = Path.replace

    def replace(draft: Path, target: Path) -> Path:
        if len(pauses) < times:
            raise PermissionError(13, "Access is denied")
        return rename(draft, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    monkeypatch.setattr(sys, "platform", "win32")
    return pauses


def test_windows_waits_for_a_reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_bytes(b"old")
    pauses = held(monkeypatch, 3)
    files.write(file, b"new")
    assert file.read_bytes() == b"new"
    assert len(pauses) == 3


def test_windows_gives_up_and_keeps_what_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_bytes(b"old")
    pauses = held(monkeypatch, 99)
    with (
        pytest.raises(files.StoreError, match=r"manifest\.json cannot be written \(Access is denied\)"),
        files.saving(file) as stream,
    ):
        stream.write(b"new")
    assert file.read_bytes() == b"old"
    assert not files.drafts(file)
    assert 0.5 < sum(pauses) < 3


def test_elsewhere_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pauses = held(monkeypatch, 1)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PermissionError):
        files.write(tmp_path / "a", b"")
    assert pauses == []
