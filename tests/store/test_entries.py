"""What a manifest says is checked where it is read: each fault is one line that names the file and the entry."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from limen.analysis import analyse
from limen.cli import run as command
from limen.errors import StoreError
from limen.ladder import Ladder
from limen.store import Store, entries
from limen.study import Spec, Study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("entries") / "run"
    spec = Spec(
        images=("demo",), observers=({"name": "simulated", "threshold": 4.0},), distortions=("noise", "jpeg"), limit=2
    )
    Study.plan(spec).run(out)
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


Change = Callable[[dict[str, Any]], Any]


def changed(run: Path, change: Change) -> Path:
    content = orjson.loads((run / "manifest.json").read_bytes())
    change(content)
    (run / "manifest.json").write_bytes(orjson.dumps(content))
    return run


def refused(run: Path, match: str) -> None:
    with pytest.raises(StoreError, match=match), Store.open(run) as store:
        analyse(store)


def test_a_manifest_is_read_whole(run: Path) -> None:
    with Store.open(run) as store:
        assert msgspec.to_builtins(entries.check(run, store.manifest)) == store.manifest


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.pop("observers"), r"manifest\.json: the entry 'observers' is missing\. Restore it"),
        (lambda m: m["questions"]["direct"].pop("text"), r"the entry 'questions\.direct\.text' is missing"),
        (lambda m: m.update(observers=["o"]), r"the entry 'observers' is not as limen writes it"),
        (lambda m: m["observers"].update(o="a text"), r"the entry 'observers\.o' .*it is 'a text', where a table"),
        (lambda m: m.update(seed="0"), r"the entry 'seed' .*it is '0', where a whole number"),
        (lambda m: m.update(reader=0), r"the entry 'reader'"),
        (lambda m: m["distortions"]["jpeg"].update(strengths=[]), r"the entry 'distortions\.jpeg\.strengths'"),
        (lambda m: m["distortions"]["jpeg"].update(word="colour", unit=3), r"unit"),
        (lambda m: m["questions"]["direct"].update(order="backwards"), r"order"),
        (lambda m: m["distortions"]["noise"]["strengths"].reverse(), r"strengths of 'noise' are not those of"),
        (lambda m: m["distortions"]["noise"].update(unit="px"), r"strengths of 'noise' are not those of"),
        (lambda m: m["questions"]["direct"].update(text="Same?"), r"text of question 'direct' is not the one"),
        (lambda m: m["questions"]["direct"].update(digest="0" * 32), r"in words this limen does not have"),
        (lambda m: m["procedure"].update(name="skipp"), r"its procedure cannot be made.*'skip'"),
        (lambda m: m["procedure"].update(orders="many"), r"its procedure cannot be made.*orders"),
        (lambda m: m["procedure"].pop("name"), r"the entry 'procedure\.name' is missing"),
        (lambda m: m["distortions"].pop("jpeg"), r"trials\.db does not fit .* a series of 'jpeg'"),
        (lambda m: m["observers"].clear(), r"trials\.db does not fit .* trials of 'simulated"),
        (lambda m: m.update(exams={"simulated": {"at": "", "version": 1, "fingerprint": "", "fit": True}}), r"exam of"),
        (lambda m: m.update(wing=3), r"run of another kind"),
    ],
)  # fmt: skip
def test_an_entry_that_is_not_as_written(run: Path, change: Change, match: str) -> None:
    refused(changed(run, change), match)


def test_a_ladder_of_another_version_is_known(run: Path) -> None:
    def raise_version(content: dict[str, Any]) -> None:
        kind = content["distortions"]["noise"]
        kind["ladder"] = Ladder(tuple(kind["strengths"]), kind["unit"], 7).digest

    with Store.open(changed(run, raise_version)) as store:
        entries.check(store.path, store.manifest)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "manifest.json cannot be read"),
        (b'{"schema": NaN}', "manifest.json cannot be read"),
        (b'{"schema": 2, "seed": 1, "seed": 2}', "the entry 'seed' is given twice"),
        (b'{"schema": 2, "a": ' + b"[" * 900 + b"]" * 900 + b"}", None),
        (b"[" * 100_000, "manifest.json cannot be read"),
        (b'{"schema": 2, "a": "\xff"}', "manifest.json cannot be read"),
        (b'"run"', "holds a text, not the entries of a run"),
        (b"null", "holds nothing"),
        (b'{"schema": [2]}', r"has schema \[2\]"),
    ],
)
def test_what_is_no_manifest(run: Path, data: bytes, match: str | None) -> None:
    (run / "manifest.json").write_bytes(data)
    refused(run, match or r"the entry '\w+' is missing")


def test_what_is_no_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "LARGEST", 100)
    refused(run, "has 0 MB; a manifest has less")
    (run / "manifest.json").unlink()
    (run / "manifest.json").mkdir()
    refused(run, "manifest.json is no file")
    (run / "manifest.json").rmdir()
    (run / "manifest.json").symlink_to("manifest.json")
    refused(run, "manifest.json cannot be read")
    (run / "manifest.json").unlink()
    os.mkfifo(run / "manifest.json")
    refused(run, "manifest.json is no file")


FLOOR = """INSERT INTO measurement SELECT 'floor', 'k', CAST('{"observer": "o", "series": "' || id || '", "first": 1,
"sent_db": [1.0], "seen_db": [null], "size": [8, 8], "pixels": ""}' AS BLOB) FROM series LIMIT 1"""
EXAM = """INSERT INTO measurement VALUES ('exam', 'k', CAST('{"observer": "o", "at": "2026-01-02T03:04:05+00:00",
"name": "n", "shown": [], "draw": 0, "attempts": [{"outcome": "ok", "detail": "d", "seconds": 1.0}],
"answer": {"text": "t"}}' AS BLOB))"""
CRITERION = (
    """INSERT INTO measurement VALUES ('calibration', 'o', CAST('{"criterion": 1.0, "declared": false}' AS BLOB))"""
)
PRIOR = "INSERT INTO prior SELECT observer, 'direct', 'jpeg', 1, CAST('{}' AS BLOB) FROM query LIMIT 1"


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE answer SET text = x'ff00'", "a row of answer has text of the type blob"),
        ("UPDATE answer SET p_yes = 2.0", "a row of answer has a number"),
        ("UPDATE answer SET tokens_in = 9223372036854775807", "a row of answer has a number"),
        ("UPDATE answer SET tokens_out = -1", "a row of answer has a number"),
        ("UPDATE answer SET at = 9e14", "a row of answer has a number"),
        ("UPDATE answer SET at = -1.0", "a row of answer has a number"),
        ("UPDATE attempt SET at = 9e999", "a row of attempt has a number"),
        ("UPDATE attempt SET seconds = 9e999", "a row of attempt has a number"),
        ("UPDATE answer SET p_yes = 'often'", "p_yes of the type text"),
        ("UPDATE query SET level = level + 200", "beyond the (50|100) levels"),
        ("UPDATE query SET part = 1", "trial of"),
        ("UPDATE query SET reference = -1", "a row of query has a number"),
        ("UPDATE query SET series = 'x' WHERE series IN (SELECT series FROM query LIMIT 1)", "a series 'x' that"),
        ("UPDATE query SET question = 'direct-implicit'", "under 'direct-implicit'"),
        ("UPDATE series SET levels = 49", "a series of 'jpeg' with 49 levels"),
        ("UPDATE series SET distortion = 'haze'", "a series of 'haze'"),
        ("UPDATE attempt SET outcome = x'00'", "outcome of the type blob"),
        ("INSERT INTO measurement VALUES ('floor', 'k', x'5b5d')", "'k' of 'floor' holds no entries"),
        ("""INSERT INTO measurement VALUES ('floor', 'k', '{"first": 1}')""", "content of the type text"),
        ("""INSERT INTO measurement VALUES ('exam', 'k', CAST('{"name": 1}' AS BLOB))""", "in the row 'k' of 'exam'"),
        (EXAM.replace("2026-01-02T03:04:05+00:00", "noon"), "of 'exam' the entry 'at' is not as limen writes it"),
        (EXAM.replace("+00:00", ""), "of 'exam' the entry 'at' is not as limen writes it"),
        (EXAM.replace("2026-01-02", "0001-01-01"), "no exam was held in the year 1"),
        (EXAM.replace('"outcome": "ok",', ""), r"the entry 'attempts\[0\]\.outcome' is missing"),
        (EXAM.replace('{"text": "t"}', '{"text": "t", "model": 5}'), "the entry 'answer.model' is not as limen writes"),
        (CRITERION, "'o' of 'calibration' the entry 'distance' is missing"),
        (PRIOR.format('{"levels": 1}'), "what a wave begins with cannot be read"),
        (PRIOR.format('{"levels": 9, "guess": 0, "series": 8, "cells": []}'), "a prior of 'jpeg', wave 1"),
        (PRIOR.format('{"levels": 100, "guess": 0, "series": 8, "cells": [[999, 1, [1]]]}'), "that fits no ladder"),
        (FLOOR, "the floor 'k' does not have the levels of its series"),
        (FLOOR.replace("floor", "calibration"), r"'k' of 'calibration' the entry 'criterion' is missing"),
        ("CREATE VIEW song AS SELECT 1", "holds a view or a trigger"),
        ("ALTER TABLE answer RENAME COLUMN p_yes TO maybe", "no such column: p_yes"),
        ("DROP TABLE query", "no such table: query"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_as_written(run: Path, statement: str, match: str) -> None:
    with contextlib.closing(sqlite3.connect(run / "trials.db", isolation_level=None)) as database:
        database.execute(statement)
    with pytest.raises(StoreError, match=match), Store.open(run) as store:
        read(store)


def read(store: Store) -> None:
    analyse(store)
    store.measurements("floor")
    store.measurements("exam")
    store.measurements("calibration")


def test_every_command_tells_it_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(run, lambda m: m["distortions"]["noise"]["strengths"].reverse())
    again = ["measure", "--images", "demo", "--limit", "2", "--distortion", "noise,jpeg", "--observer", "simulated"]
    for call in (
        ["report", str(run), "--json"], ["report", str(run), "--out", str(tmp_path / "r.html")], ["fit", str(run)],
        [*again, "--out", str(run)], [*again, "--offline", "--out", str(run)],
    ):  # fmt: skip
        assert command(call) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("limen: ")]
        assert "strengths of 'noise'" in line


def test_stimuli_are_not_shown_that_are_drawn_otherwise(run: Path) -> None:
    from limen.report import images

    with Store.open(run) as store:
        row = store.series()[0]
        images.renderer(store, row)(1)
        store.manifest["probes"][row.distortion] = "0" * 32
        with pytest.raises(ValueError, match=f"draw {row.distortion} with other pixels than the run's did"):
            images.renderer(store, row)


def test_a_kept_picture_is_the_one_that_was_measured(run: Path, tmp_path: Path) -> None:
    from limen.image import png
    from limen.report.images import renderer
    from limen.testing import photograph

    with contextlib.closing(sqlite3.connect(run / "trials.db", isolation_level=None)) as database:
        database.execute("UPDATE picture SET png = ?", (png(photograph("another", 64, 64)),))
    with Store.open(run) as store, pytest.raises(ValueError, match="not the one that was measured"):
        renderer(store, store.series()[0])
    assert command(["report", str(run), "--out", str(tmp_path / "r.html")]) == 0
    assert "not the one that was measured" in (tmp_path / "r.html").read_text()
