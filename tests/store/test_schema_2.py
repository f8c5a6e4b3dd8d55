"""A run of schema 2 (made by 1ed7815) is read, reported and resumed; a kill while it is migrated loses nothing."""

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from limen.analysis import analyse
from limen.cli import run as command
from limen.preflight import exam
from limen.store import SCHEMA, Store
from limen.study import Progress, Spec, Study

OLD = Path(__file__).parents[1] / "data" / "run_schema_2"
LEVELS = {"astronaut-1.png": 8, "astronaut-2.png": 12}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "run"))


def levels(run: Path) -> dict[str, int]:
    with Store.open(run) as store:
        return {one.series.name: one.thresholds[0].level for one in analyse(store).outcomes}


def answers(run: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(run / "trials.db")) as database:
        return database.execute("SELECT key, text FROM answer ORDER BY key").fetchall()


def resume(run: Path, limit: int = 2, offline: bool = False) -> Progress:
    spec = Spec(images=("demo",), observers=("simulated",), distortions=("blur",), limit=limit)
    return Study.plan(spec).run(run, offline=offline, examine=exam.keep)


def test_it_is_read_without_a_change(old: Path) -> None:
    before = {file.name: file.read_bytes() for file in old.iterdir()}
    with Store.open(old) as store:
        rows = list(store.trials())
        assert len(rows) == 16
        assert {(row.wording, row.form) for row in rows} == {("", "")}
        assert {len(row) for row in store.columns("query")[1]} == {11}
        assert store.presentations() == ()
        assert store.columns("presentation")[1] == []
        assert exam.kept(store)[0].fit
    assert levels(old) == LEVELS
    assert {file.name: file.read_bytes() for file in old.iterdir()} == before


def test_it_is_reported(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["report", str(old), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    assert told["manifest"]["schema"] == 2
    assert command(["report", str(old), "--out", str(tmp_path / "page.html")]) == 0


def test_it_goes_on_and_nothing_is_asked_twice(old: Path) -> None:
    before = answers(old)
    progress = resume(old)
    assert (progress.asked, progress.replayed) == (0, 16)
    assert (levels(old), answers(old)) == (LEVELS, before)
    assert orjson.loads((old / "manifest.json").read_bytes())["schema"] == SCHEMA
    assert resume(old, limit=3).asked > 0
    with Store.open(old) as store:
        rows = {(row.series, row.level): row for row in store.trials()}.values()
        assert {row.form for row in rows} == {"", "yes-no"}
        assert {row.wording.partition("?")[0] for row in rows} == {
            "", 'Is there any noticeable difference in "blur" between these two images',
        }  # fmt: skip
    assert levels(old).items() >= LEVELS.items()


def test_it_is_replayed_offline(old: Path) -> None:
    assert resume(old, offline=True).asked == 0
    assert levels(old) == LEVELS


KILLED = """
import os, pathlib, signal, sys
from limen.store import Store, soundness
where, run = sys.argv[1], pathlib.Path(sys.argv[2])
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
class Dying:
    def __init__(self, connection): self.connection = connection
    def execute(self, statement):
        done = self.connection.execute(statement)
        if where in statement: die()
        return done
    def __enter__(self): return self.connection.__enter__()
    def __exit__(self, *kind): return self.connection.__exit__(*kind)
migrate = soundness.migrate
soundness.migrate = lambda connection: migrate(Dying(connection))
if where == "after":
    soundness.migrate = lambda connection: (migrate(connection), die())
Store.create(run, {})
"""


@pytest.mark.parametrize("where", ["PRAGMA", "BEGIN", "ADD COLUMN wording", "ADD COLUMN form", "after"])
def test_a_kill_while_it_is_migrated_loses_nothing(old: Path, where: str) -> None:
    before = answers(old)
    done = subprocess.run([sys.executable, "-c", KILLED, where, str(old)])
    assert done.returncode == -signal.SIGKILL
    assert answers(old) == before
    assert orjson.loads((old / "manifest.json").read_bytes())["schema"] == SCHEMA, "no older limen may write into it"
    assert levels(old) == LEVELS
    assert resume(old).asked == 0


def test_new_columns_under_an_old_manifest(old: Path) -> None:
    manifest = (old / "manifest.json").read_bytes()
    resume(old)
    (old / "manifest.json").write_bytes(manifest)  # as where a copy mixes two moments
    assert levels(old) == LEVELS
    assert resume(old).asked == 0
