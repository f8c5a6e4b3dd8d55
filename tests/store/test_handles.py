"""Who looks at a run takes no lock from who writes it: nothing that was answered goes into a log that is gone."""

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from limen.store import SeriesRow, Store, following, handles, journal
from limen.trial import Answer, Attempt, Trial

WRITER = """
import asyncio, sys
from pathlib import Path
from limen.store import SeriesRow, Store, following, journal
from limen.trial import Answer, Attempt, Trial

run = Path(sys.argv[1])
store = Store.create(run, {"observers": {}})
store.add_series([SeriesRow("s", "blur", "blur", "a.png", "d", "d/0", 50)])

def add(first, last):
    for number in range(first, last):
        trial = Trial("o", "direct", "s", 0, number, 0, False, 0, f"k{number}", Answer("Yes."))
        asyncio.run(store.add(trial, (Attempt("ok"),)))

add(1, 4)
if "looks" in sys.argv:  # at its own run, while it writes it
    Store.open(run).close()
    following.look(run, lambda connection: connection.execute("SELECT COUNT(*) FROM answer").fetchone())
    journal.at_work(run), journal.logged(run / "trials.db"), journal.cut(run / "trials.db")
print("begun", flush=True)
sys.stdin.readline()
add(4, 30)
print("added", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("looks", ["", "looks"])
def test_a_reader_comes_and_goes_and_the_writer_is_killed(tmp_path: Path, looks: str) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-c", WRITER, str(run), looks]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        for _ in range(2):
            with Store.open(run) as store:
                assert sum(1 for _ in store.trials()) == 3
        assert (run / "trials.db-wal").exists()
        with pytest.raises(Exception, match="Another process is writing"):
            Store.create(run, {"observers": {}})
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "added\n"
        with Store.open(run) as store:
            assert sum(1 for _ in store.trials()) == 29
        os.kill(writer.pid, signal.SIGKILL)
    with Store.open(run) as store:
        assert sum(1 for _ in store.trials()) == 29
    with Store.create(run, {"observers": {}}) as store:
        assert sum(1 for _ in store.trials()) == 29


def test_a_look_at_a_file_takes_no_lock_away(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    connection = handles.connect(file, isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("BEGIN EXCLUSIVE")
    for _ in range(3):
        with handles.opened(file) as handle:
            assert os.read(handle, 15) == b"SQLite format 3"
    other = f"import sqlite3; sqlite3.connect({str(file)!r}, timeout=0).execute('SELECT * FROM t').fetchall()"
    held = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    assert "locked" in held.stderr
    connection.close()
    free = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    assert free.returncode == 0


def test_nothing_stays_open_for_long(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    connections = [handles.connect(file, check_same_thread=False) for _ in range(3)]
    connections[0].execute("CREATE TABLE t (x)")

    def look() -> None:
        for _ in range(50):
            with handles.opened(file) as handle:
                os.read(handle, 20)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in connections:
        connection.close()
        connection.close()
    with pytest.raises(FileNotFoundError), handles.opened(tmp_path / "gone.db"):
        pass
    about = os.stat(file)
    assert (about.st_dev, about.st_ino) not in handles._connected
    assert (about.st_dev, about.st_ino) not in handles._kept
    left = handles.connect(file)
    with handles.opened(file):
        pass
    del left  # which nobody has closed
    gc.collect()
    assert (about.st_dev, about.st_ino) not in handles._connected
    assert (about.st_dev, about.st_ino) not in handles._kept


def test_the_same_run_open_twice_in_one_process(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Store.create(run, {"observers": {}}) as store:
        store.add_series([SeriesRow("s", "blur", "blur", "a.png", "d", "d/0", 50)])
        trial = Trial("o", "direct", "s", 0, 1, 0, False, 0, "k", Answer("Yes."))
        asyncio.run(store.add(trial, (Attempt("ok"),)))
        with Store.open(run) as other:
            assert next(other.trials()).key == "k"
        assert following.look(run, lambda db: db.execute("SELECT COUNT(*) FROM answer").fetchone()) == (1,)
        assert journal.logged(run / "trials.db")
        code = f"import limen, pathlib; limen.Store.open(pathlib.Path({str(run)!r})).close()"
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0
        assert (run / "trials.db-wal").exists()
    assert sqlite3.connect(run / "trials.db").execute("SELECT COUNT(*) FROM answer").fetchone() == (1,)
