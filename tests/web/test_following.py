"""A run is looked at while another process writes it: nothing waits for that, no file is made, and it adds up."""

import contextlib
import dataclasses
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from limen.analysis import analyse
from limen.image import png
from limen.spending import Price
from limen.store import Store, following, journal
from limen.study import Spec, Study
from limen.testing import photograph
from limen.web.following import RunFollower
from limen.web.watch import line, state

OLD = Path(__file__).parents[1] / "data" / "run_schema_2"
WRITER = """
import asyncio, sys, time
from pathlib import Path
from limen.store import SeriesRow, Store, journal
from limen.trial import Answer, Attempt, Trial

run, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if kind == "delete":
    journal.shared = lambda name: True
seen = []
connect = journal._connect

def patient(file, mode, dotfile):
    made = connect(file, mode, dotfile)
    made.execute("PRAGMA busy_timeout = 0")  # whoever meets a lock fails at once, and is counted
    return made

journal._connect = patient
with Store.create(run, {"observers": {}}) as store:
    store.add_series([SeriesRow("s", "blur", "blur", "a.png", "d", "d/0", 50)])
    async def write():
        for number in range(count):
            trial = Trial("o", "direct", "s", 0, number % 50, number // 50, False, 0, f"k{number}", Answer("Yes."))
            await store.add(trial, (Attempt("ok"),))
            await asyncio.sleep(0.002)
    print("begun", flush=True)
    asyncio.run(write())
print("written", flush=True)
"""


def spec(**more: Any) -> Spec:
    given: dict[str, Any] = {"images": ("demo",), "observers": ("simulated",), "distortions": ("blur",), "limit": 3}
    return Spec(**given | more)


def followed(run: Path) -> RunFollower:
    """Look at a run until it is read."""
    follower = RunFollower(run)
    while follower.look():
        pass
    return follower


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    Study.plan(spec(distortions=("blur", "noise"))).run(tmp_path / "run")
    return tmp_path / "run"


IDLE_WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA journal_mode = wal")
database.execute("CREATE TABLE attempt (id INTEGER)")
database.execute("INSERT INTO attempt VALUES (1)")
database.commit()
print("written", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def writing(run: Path, kind: str, count: int) -> Iterator["subprocess.Popen[str]"]:
    words = [sys.executable, "-c", WRITER, str(run), kind, str(count)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield process
        finally:
            process.kill()  # also one that is stopped


# --- it adds up ---


def test_it_says_what_a_report_says(run: Path) -> None:
    before = content(run)
    follower = followed(run)
    told = state(follower, "run")
    with Store.open(run) as store:
        analysis = analyse(store)
        asked = store.attempts()["simulated", "ok"]
    assert told["state"] == "finished"
    assert told["progress"]["done"] == told["progress"]["planned"] == 6
    assert told["progress"]["asked"] == asked
    assert [(row["distortion"], row["n"], row["median"], row["mean"]) for row in told["thresholds"]] == [
        (row.distortion, row.n, str(row.median), row.mean) for row in analysis.jnds
    ]
    assert len(told["answers"]) == 20
    assert {one["verdict"] for one in told["answers"]} == {"yes", "no"}
    assert all(one["reference"].endswith(".png") for one in told["answers"])
    moments = [one["at"] for one in told["answers"]]
    assert moments == sorted(moments, reverse=True)
    assert content(run) == before


def test_fitted_thresholds_and_their_waves(tmp_path: Path) -> None:
    Study.plan(spec(procedure={"name": "psi", "trials": 12}, limit=10)).run(tmp_path / "run")
    told = state(followed(tmp_path / "run"), "run")
    with Store.open(tmp_path / "run") as store:
        (row,) = analyse(store).estimates
    assert told["fitted"]
    assert [(one["n"], one["median"], one["mean"]) for one in told["thresholds"]] == [(10, str(row.median), row.mean)]
    assert told["thresholds"][0]["interval"] == [str(row.median_low), str(row.median_high)]


def test_questions_of_ones_own(tmp_path: Path) -> None:
    given = {"images": ("demo-items",), "observers": ("demo",), "questions": ("answer-changes",), "limit": 2}
    Study.plan(spec(**given)).run(tmp_path / "run")
    told = state(followed(tmp_path / "run"), "run")
    with Store.open(tmp_path / "run") as store:
        outcomes = analyse(store).outcomes
    assert told["progress"]["done"] == len(outcomes) > 0


def test_it_reads_on_where_it_was(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower, read = followed(run), list[str]()
    trials = following.trials

    def counted(connection: sqlite3.Connection, observer: str, question: str, one: str) -> Any:
        read.append(one)
        return trials(connection, observer, question, one)

    monkeypatch.setattr(following, "trials", counted)
    before = follower.answered
    follower._touched.clear()
    assert not follower.look()
    assert read == [], "where nothing is new nothing is read"
    Study.plan(spec(distortions=("blur", "noise"), limit=4)).run(run)
    while follower.look():
        pass
    assert follower.answered > before
    assert len(set(read)) == 2, "the two new series"
    fresh = followed(run)
    assert state(fresh, "run")["thresholds"] == state(follower, "run")["thresholds"]
    assert state(fresh, "run")["progress"]["asked"] == follower.answered


def test_a_larger_study_and_a_second_observer_are_planned(run: Path) -> None:
    follower = followed(run)
    keen = {"name": "simulated:keen", "threshold": 3.0}
    plan = Study.plan(spec(distortions=("blur", "noise"), limit=4, observers=("simulated", keen)))
    assert state(follower, "run")["progress"]["planned"] == 6
    plan.run(run)
    while follower.look():
        pass
    told = state(follower, "run")
    assert (told["state"], told["progress"]["done"], told["progress"]["planned"]) == ("finished", 16, 16)
    assert [one["done"] for one in told["progress"]["observers"]] == [8, 8]


def test_tokens_are_priced_where_rates_are_given(tmp_path: Path) -> None:
    Study.plan(spec(observers=("demo",), limit=1)).run(tmp_path / "run")
    follower = followed(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        (row,) = analyse(store).answers
    cost = state(follower, "run", Price.of("in=1000000,out=2000000"))["cost"]
    assert cost["tokens_in"] == row.tokens_in
    assert row.tokens_in
    assert row.tokens_out
    assert cost["price"] == f"{row.tokens_in + 2 * row.tokens_out:,.2f}"
    assert state(follower, "run")["cost"]["price"] == ""


def test_a_replay_plans_nothing(run: Path) -> None:
    aim = orjson.loads((run / "manifest.json").read_bytes())["aim"]
    assert (aim["observers"], aim["questions"], aim["series"]) == (["simulated"], ["direct"], 6)
    Study.plan(spec()).run(run, offline=True)
    assert orjson.loads((run / "manifest.json").read_bytes())["aim"] == aim


def test_a_run_of_schema_2_does_not_say_of_how_many(tmp_path: Path) -> None:
    old = Path(shutil.copytree(OLD, tmp_path / "run"))
    before = content(old)
    told = state(followed(old), "old")
    assert (told["state"], told["progress"]["done"], told["progress"]["planned"]) == ("finished", 2, None)
    assert {row["n"] for row in told["thresholds"]} == {2}
    assert content(old) == before


# --- runs that are not there, go, come back, or are broken ---


def test_one_that_is_not_there_yet_goes_and_comes_back(tmp_path: Path) -> None:
    follower = RunFollower(tmp_path / "run")
    follower.look()
    assert state(follower, "run") == {"name": "run", "path": str(tmp_path / "run"), "state": "absent", "why": ""}
    assert not (tmp_path / "run").exists()
    Study.plan(spec()).run(tmp_path / "run")
    while follower.look():
        pass
    assert state(follower, "run")["state"] == "finished"
    shutil.rmtree(tmp_path / "run")
    follower.look()
    assert state(follower, "run")["state"] == "gone"
    time.sleep(1.1)  # the manifest says to the second when a run was begun
    Study.plan(spec(distortions=("noise",), limit=2)).run(tmp_path / "run")
    while follower.look():
        pass
    told = state(follower, "run")
    assert (told["state"], told["progress"]["done"], told["about"]["references"]) == ("finished", 2, 2)
    assert [row["distortion"] for row in told["thresholds"]] == ["noise"]


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE attempt SET detail = x'00'", "cannot be read"),
        ("UPDATE answer SET text = x'00' WHERE key IN (SELECT key FROM attempt)", "cannot be read"),
        ("UPDATE query SET level = level + 50 WHERE level > 0", "beyond the 50 levels"),
        ("UPDATE series SET levels = 7", "with 7 levels"),
        ("UPDATE query SET level = 'many' || level", "cannot be read"),
    ],
)
def test_a_damaged_one_is_told_in_one_line(run: Path, statement: str, match: str) -> None:
    with contextlib.closing(sqlite3.connect(run / "trials.db")) as database, database:
        database.execute(statement)
    told = state(followed(run), "run")
    assert told["state"] == "unreadable"
    assert match in told["why"]
    assert "\n" not in told["why"]


def test_a_manifest_that_is_none(run: Path) -> None:
    follower = followed(run)
    (run / "manifest.json").write_text("{")
    follower.look()
    assert "manifest.json cannot be read" in state(follower, "run")["why"]


def test_text_from_outside_is_one_harmless_line() -> None:
    assert line("a\n\u202eb\x1b[2Jc\ud800") == "a b[2Jc"
    assert line("x" * 500) == "x" * 239 + "…"
    assert len(line("\u200b" * 10_000 + "x")) <= 240


# --- the writer waits for nothing ---


@pytest.mark.parametrize("kind", ["wal", "delete"])
def test_a_run_under_way_never_meets_a_lock(tmp_path: Path, kind: str) -> None:
    """The writer of the test does not wait for a lock, it fails: so nobody has held one for a moment."""
    with writing(tmp_path / "run", kind, 400) as process:
        with (tmp_path / "run" / "trials.db").open("rb") as file:  # to ask the database would lock it for a moment
            assert file.read(19)[18] == {"wal": 2, "delete": 1}[kind]
        counts, kept_up = list[int](), 0
        while process.poll() is None:
            with contextlib.suppress(following.UnsettledError, FileNotFoundError):
                counts.append(following.look(tmp_path / "run", following.last_attempt))
                kept_up += 1
        assert process.returncode == 0, process.stderr.read() if process.stderr else ""
    assert counts == sorted(counts)
    assert len(set(counts)) > 10, "it was looked at while it was written"
    assert following.look(tmp_path / "run", following.last_attempt) == 400
    left = {"trials.db-wal", "trials.db-shm"}  # of the writer, where it was looked at in the moment that it ended
    assert {file.name for file in (tmp_path / "run").iterdir()} - left == {
        "manifest.json", "trials.count", "trials.db", *(["writing.lock"] if kind == "wal" else []),
    }  # fmt: skip


def test_an_index_that_a_writer_is_just_making(tmp_path: Path) -> None:
    """It is there for a moment before it says anything: nothing is wrong with the run, and a later look sees it."""
    words = [sys.executable, "-c", IDLE_WRITER, str(tmp_path / "trials.db")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        index = tmp_path / "trials.db-shm"
        before = index.read_bytes()
        with index.open("r+b") as stream:
            stream.write(bytes(136))  # both copies of its head, and what says how far the log was read
        with pytest.raises(following.UnsettledError, match="the run is writing"):
            following.look(tmp_path, following.last_attempt)
        with index.open("r+b") as stream:
            stream.write(before[:136])
        assert following.look(tmp_path, following.last_attempt) == 1
        process.communicate()


@pytest.mark.parametrize("kind", ["wal", "delete"])
def test_one_that_is_stopped_in_the_middle_of_a_look_holds_nothing_up(tmp_path: Path, kind: str) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def stalled(connection: sqlite3.Connection) -> int:
        connection.execute("SELECT COUNT(*) FROM attempt").fetchone()
        begun.set()
        go_on.wait(30)
        return following.last_attempt(connection)

    def look() -> None:
        with contextlib.suppress(following.UnsettledError):
            following.look(tmp_path / "run", stalled)

    with writing(tmp_path / "run", kind, 200) as process:
        time.sleep(0.1)
        thread = threading.Thread(target=look)
        thread.start()
        assert begun.wait(10)
        said = process.communicate(timeout=60)
        go_on.set()
        thread.join()
    assert process.returncode == 0, said
    assert said[0] == "written\n"


def test_a_run_that_ends_while_it_is_looked_at_is_whole_in_one_file(tmp_path: Path) -> None:
    with writing(tmp_path / "run", "wal", 300) as process:
        looking = following._connect(tmp_path / "run" / "trials.db", True)
        with contextlib.closing(looking):
            looking.execute("SELECT COUNT(*) FROM attempt").fetchone()
            assert process.wait() == 0, process.stderr.read() if process.stderr else ""
    shutil.copy(tmp_path / "run" / "trials.db", tmp_path / "alone.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "alone.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM attempt").fetchone() == (300,)


def test_what_was_read_while_a_commit_wrote_does_not_count(run: Path) -> None:
    def changed(connection: sqlite3.Connection) -> int:
        with contextlib.closing(sqlite3.connect(run / "trials.db")) as other:
            other.execute("PRAGMA journal_mode=DELETE")
            with other:
                other.execute("INSERT INTO attempt SELECT NULL, observer, series, key, outcome, '', 0, at FROM attempt")
        return 1

    with pytest.raises(following.UnsettledError, match="the run is writing"):
        following._look(run / "trials.db", changed)


def test_a_journal_that_is_being_made_does_not_keep_it_from_being_read(run: Path) -> None:
    log = run / "trials.db-journal"
    log.write_bytes(following._JOURNAL + bytes(4))
    assert following.look(run, following.last_attempt) > 0
    log.write_bytes(following._JOURNAL + b"\0\0\0\1")
    with pytest.raises(following.UnsettledError):
        following.look(run, following.last_attempt)
    told = state(followed(run), "run")
    assert "killed while it wrote" in told["why"]


# --- who writes ---


@pytest.mark.parametrize("kind", ["wal", "delete"])
def test_it_is_known_whether_somebody_writes(tmp_path: Path, kind: str) -> None:
    run = tmp_path / "run"
    assert journal.at_work(run) is False
    with writing(run, kind, 2000) as process:
        assert journal.at_work(run) is True
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert journal.at_work(run) is False


def test_of_another_machine_it_is_not_known(run: Path) -> None:
    owner = {"host": "elsewhere", "process": 1, "begun": "1", "at": "2026-01-01"}
    (run / journal.OWNER).write_bytes(orjson.dumps(owner))
    assert journal.at_work(run) is None


def test_windows_is_not_asked_whether_a_process_lives(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There os.kill(process, 0) would be Ctrl-C to it, and to this one."""
    owner = {"host": platform.node(), "process": os.getpid(), "begun": "", "at": "2026-01-01"}
    (run / journal.OWNER).write_bytes(orjson.dumps(owner))
    monkeypatch.setattr(journal.os, "kill", lambda process, number: pytest.fail("it was sent a signal"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert journal.at_work(run) is None
    assert journal._alive(os.getpid())


def test_asking_who_writes_does_not_keep_a_run_from_beginning(run: Path) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            journal.at_work(run)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        code = "import sys; from pathlib import Path; from limen.store import journal\n"
        code += "for _ in range(500): journal.hold(Path(sys.argv[1])).lock.close()"
        subprocess.run([sys.executable, "-c", code, str(run)], check=True)
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_a_killed_run_is_stopped_and_goes_on(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abcdef":
        (photos / f"{name}.png").write_bytes(png(photograph(name, 48, 48)))
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom limen.observer import observer\n\n@observer('slow')\ndef slow(first, second):\n"
        "    time.sleep(0.05)\n    return bool((first != second).mean() > 0.6)\n"
    )
    words = [
        sys.executable, "-m", "limen", "measure", "--images", str(photos), "--distortion", "noise,blur", "--plugin",
        str(slow), "--observer", "slow", "--no-exam", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    follower = RunFollower(tmp_path / "run")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while follower.answered < 15:
            assert time.monotonic() < until
            assert process.poll() is None
            follower.look()
            time.sleep(0.02)
        told = state(follower, "run")
        assert told["state"] == "running"
        assert told["progress"]["planned"] == 12
        assert told["progress"]["done"] < 12
        process.kill()
        process.wait()
    while follower.look():
        pass
    told = state(follower, "run")
    assert told["state"] == "stopped"
    assert told["progress"]["open"] == 12 - told["progress"]["done"] > 0
    assert "killed" in told["why"]
    subprocess.run(words, check=True, capture_output=True, env=os.environ)
    while follower.look():
        pass
    told = state(follower, "run")
    assert (told["state"], told["progress"]["done"], told["progress"]["open"]) == ("finished", 12, 0)
    with Store.open(tmp_path / "run") as store:
        assert [row["median"] for row in told["thresholds"]] == [str(row.median) for row in analyse(store).jnds]


def test_failures_are_counted_by_kind(tmp_path: Path, toy: Any) -> None:
    plan = dataclasses.replace(Study.plan(spec(limit=1)), observers=(toy(lambda query: None),))
    plan.run(tmp_path / "run")
    told = state(followed(tmp_path / "run"), "run")
    assert told["state"] == "stopped"
    assert [(one["kind"], one["detail"]) for one in told["failures"]] == [("rate-limited", "429")]
    assert told["failures"][0]["count"] == told["progress"]["failed"] > 0
    assert told["answers"] == []
