"""Who holds a run directory, on which file system, and whether what was answered is all there."""

import asyncio
import contextlib
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from limen.errors import StoreError
from limen.store import SeriesRow, Store, journal
from limen.trial import Answer, Attempt, Trial

ROW = SeriesRow("s", "blur", "blur", "a.png", "d", "d/0", 50)
MOUNTS = "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\nserver:/x {} {} rw 0 0\n"


def add(store: Store, *levels: int) -> None:
    async def write() -> None:
        for level in levels:
            trial = Trial("o", "direct", "s", 0, level, 0, False, 0, f"k{level}", Answer("Yes."))
            await store.add(trial, (Attempt("ok"),))

    asyncio.run(write())


def make(path: Path, *levels: int) -> None:
    with Store.create(path, {"observers": {}}) as store:
        store.add_series([ROW])
        store.amend(observers={"o": {"kind": "toy"}})
        add(store, *levels)


def levels(path: Path) -> list[int]:
    with Store.open(path) as store:
        return [trial.level for trial in store.trials()]


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], None]:
    """Say that a folder is of another file system, as /proc/self/mounts would."""

    def mount(place: Path, kind: str) -> None:
        table = tmp_path / "mounts"
        table.write_text(MOUNTS.format(str(place).replace(" ", "\\040"), kind))
        monkeypatch.setattr(journal, "MOUNTS", table)

    return mount


def mode(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path / "trials.db")) as database:
        return str(database.execute("PRAGMA journal_mode").fetchone()[0])


# --- file systems ---


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "gpfs", "fuse.sshfs", "9p", "cifs"])
def test_what_machines_share_is_known(tmp_path: Path, mounted: Callable[[Path, str], None], kind: str) -> None:
    place = tmp_path / "home of bob"
    place.mkdir()
    mounted(place, kind)
    assert journal.shared(journal.file_system(place / "run"))
    assert not journal.shared(journal.file_system(tmp_path / "home of bobby"))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "tmpfs", "fuse.fuse-overlayfs", ""])
def test_a_disk_of_this_machine_keeps_its_log(kind: str) -> None:
    assert not journal.shared(kind)


def test_a_shared_file_system_gets_no_log_and_says_so(tmp_path: Path, mounted: Callable[[Path, str], None]) -> None:
    mounted(tmp_path, "lustre")
    with Store.create(tmp_path / "run", {}) as store:
        assert "lustre" in store.notice
        assert "rollback journal" in store.notice
        assert orjson.loads((tmp_path / "run" / journal.OWNER).read_bytes())["host"] == platform.node()
        add(store, 1, 2)
        assert levels(tmp_path / "run") == [1, 2], "it is read while it is written"
    assert mode(tmp_path / "run") == "delete"
    assert not (tmp_path / "run" / journal.OWNER).exists()


def test_a_run_moves_between_file_systems(tmp_path: Path, mounted: Callable[[Path, str], None]) -> None:
    make(tmp_path / "run", 1)
    assert mode(tmp_path / "run") == "wal"
    mounted(tmp_path, "nfs4")
    with Store.create(tmp_path / "run", {}) as store:
        add(store, 2)
    assert mode(tmp_path / "run") == "delete"
    mounted(tmp_path / "elsewhere", "nfs4")
    with Store.create(tmp_path / "run", {}) as store:
        assert store.notice == ""
        add(store, 3)
    assert mode(tmp_path / "run") == "wal"
    assert levels(tmp_path / "run") == [1, 2, 3]


def test_where_no_file_can_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def without_locks(*given: object, **more: object) -> sqlite3.Connection:
        if "dotfile" not in str(given[0]):
            raise sqlite3.OperationalError("disk I/O error")
        return connect(*given, **more)  # type: ignore[call-overload, no-any-return]

    class Refusing:
        def execute(self, statement: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        def close(self) -> None: ...

    def opened(*given: object, **more: object) -> object:
        return Refusing() if "writing.lock" in str(given[0]) else without_locks(*given, **more)

    monkeypatch.setattr(journal.sqlite3, "connect", opened)
    monkeypatch.setattr(journal, "_locks", lambda path: False)
    with Store.create(tmp_path / "run", {}) as store:
        assert "without file locks" in store.notice
        add(store, 1, 2)
        assert levels(tmp_path / "run") == [1, 2]
        with pytest.raises(StoreError, match="Another process is writing"):
            Store.create(tmp_path / "run", {})


def test_where_there_is_no_shared_memory(tmp_path: Path) -> None:
    """A folder of its name in the way is as good as a file system that cannot map the file."""
    make(tmp_path / "run", 1)
    (tmp_path / "run" / "trials.db-shm").mkdir()
    with Store.create(tmp_path / "run", {}) as store:
        assert "without shared memory" in store.notice
        add(store, 2)
        assert levels(tmp_path / "run") == [1, 2]
    (tmp_path / "run" / "trials.db-shm").rmdir()
    assert mode(tmp_path / "run") == "delete"


def test_a_killed_run_is_read_where_there_is_no_shared_memory(tmp_path: Path) -> None:
    run = killed(tmp_path)
    (run / "trials.db-shm").unlink(missing_ok=True)
    (run / "trials.db-shm").mkdir()
    assert levels(run) == [1, 2, 3, 4]


# --- who holds it ---


def owner(path: Path, host: str, process: int, begun: str = "1") -> Path:
    path.mkdir(exist_ok=True)
    file = path / journal.OWNER
    file.write_bytes(orjson.dumps({"host": host, "process": process, "begun": begun, "at": "2026-01-01T00:00:00"}))
    return file


def test_a_lock_of_a_process_that_ended_is_taken_over(tmp_path: Path, mounted: Callable[[Path, str], None]) -> None:
    mounted(tmp_path, "nfs")
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    owner(tmp_path / "run", platform.node(), gone.pid)
    Store.create(tmp_path / "run", {}).close()
    owner(tmp_path / "run", platform.node(), os.getpid(), begun="an earlier process of this number")
    Store.create(tmp_path / "run", {}).close()


def test_a_lock_that_may_be_held_is_told(tmp_path: Path, mounted: Callable[[Path, str], None]) -> None:
    mounted(tmp_path, "nfs")
    file = owner(tmp_path / "run", "node-12", 4711)
    with pytest.raises(StoreError, match=r"Process 4711 of node-12 .* since 2026.*delete .*writing\.owner"):
        Store.create(tmp_path / "run", {})
    file.write_bytes(b"{")
    with pytest.raises(StoreError, match=r"but not which.*delete that file"):
        Store.create(tmp_path / "run", {})
    file.unlink()
    with Store.create(tmp_path / "run", {}), pytest.raises(StoreError, match="Another process is writing"):
        Store.create(tmp_path / "run", {})


def test_a_lock_file_copied_to_a_disk_of_ones_own_is_no_obstacle(tmp_path: Path) -> None:
    owner(tmp_path / "run", "node-12", 4711)
    Store.create(tmp_path / "run", {}).close()
    assert not (tmp_path / "run" / journal.OWNER).exists()


# --- what is lost is told ---


def refused(path: Path, match: str) -> None:
    """Neither read nor gone on with: what is lost would be paid for again."""
    with pytest.raises(StoreError, match=match):
        Store.open(path)
    with pytest.raises(StoreError, match=match):
        Store.create(path, {})


def test_trials_that_are_gone(tmp_path: Path) -> None:
    make(tmp_path / "run", 1, 2)
    file = tmp_path / "run" / "trials.db"
    whole = file.read_bytes()
    for empty in (None, b"", sqlite(tmp_path)):
        file.unlink()
        if empty is not None:
            file.write_bytes(empty)
        (tmp_path / "run" / journal.COUNT).unlink(missing_ok=True)
        with pytest.raises(StoreError, match=r"trials\.db"):
            Store.open(tmp_path / "run")
        with pytest.raises(StoreError, match=r"trials\.db"):
            Store.create(tmp_path / "run", {})
        assert not file.exists() if empty is None else file.exists()
        file.write_bytes(whole)
    assert levels(tmp_path / "run") == [1, 2]


def sqlite(folder: Path) -> bytes:
    """Return a database with another program's table."""
    with contextlib.closing(sqlite3.connect(folder / "other.db")) as other:
        other.execute("CREATE TABLE song (title TEXT)")
    return (folder / "other.db").read_bytes()


def test_a_run_without_answers_yet_may_begin_again(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {"observers": {}}):
        pass
    (tmp_path / "run" / "trials.db").unlink()
    (tmp_path / "run" / journal.COUNT).unlink()
    make(tmp_path / "run", 1)


def killed(tmp_path: Path) -> Path:
    """Return a run as a process leaves it that is killed after a second session's answers."""
    make(tmp_path / "run", 1, 2)
    with Store.create(tmp_path / "run", {}) as store:
        add(store, 3, 4)
        shutil.copytree(tmp_path / "run", tmp_path / "killed")
    return tmp_path / "killed"


def test_a_killed_run_is_whole(tmp_path: Path) -> None:
    run = killed(tmp_path)
    assert (run / "trials.db-wal").stat().st_size
    assert levels(run) == [1, 2, 3, 4]
    Store.create(run, {}).close()
    assert levels(run) == [1, 2, 3, 4]


def test_a_lost_journal_is_told(tmp_path: Path) -> None:
    run = killed(tmp_path)
    (run / "trials.db-wal").unlink()
    (run / "trials.db-shm").unlink(missing_ok=True)
    refused(run, r"holds 2 of 4 attempts.*lost its journal.*delete trials\.count")
    (run / journal.COUNT).unlink()
    refused(run, r'copied without its journal.*delete the entry "unclosed"')


@pytest.mark.parametrize("lost", [10, 600, 4096, 20_000])
def test_a_database_that_is_cut_short(tmp_path: Path, lost: int) -> None:
    make(tmp_path / "run", *range(1, 200))
    file = tmp_path / "run" / "trials.db"
    file.write_bytes(file.read_bytes()[:-lost])
    refused(tmp_path / "run", "cut short|malformed")


def test_a_database_that_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path / "run", 1)
    (tmp_path / "run" / "trials.db").unlink()
    (tmp_path / "run" / "trials.db").mkdir()
    refused(tmp_path / "run", r"trials\.db cannot be read")


def test_an_older_copy_is_told(tmp_path: Path) -> None:
    make(tmp_path / "run", 1)
    old = (tmp_path / "run" / "trials.db").read_bytes()
    make(tmp_path / "run", 2)
    (tmp_path / "run" / "trials.db").write_bytes(old)
    refused(tmp_path / "run", r"holds 1 of 2 attempts.*older copy")


def test_a_run_is_whole_with_its_two_files_alone(tmp_path: Path) -> None:
    make(tmp_path / "run", 1)
    (tmp_path / "copy").mkdir()
    for name in ("manifest.json", "trials.db"):
        shutil.copy(tmp_path / "run" / name, tmp_path / "copy")
    make(tmp_path / "copy", 2)
    assert levels(tmp_path / "copy") == [1, 2]
