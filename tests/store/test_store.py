"""The run directory: what is written is there, what cannot be read or written is said in one line."""

import asyncio
import dataclasses
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from limen.errors import StoreError, without_paths
from limen.store import SCHEMA, SeriesRow, Store, journal
from limen.trial import Answer, Attempt, Presentation, Trial

ANSWER = Answer("Yes.", 0.9, 0.01, "stop", 812, 4, 1.5, "m-2")


def trial(level: int = 1, key: str = "k1", answer: Answer | None = ANSWER) -> Trial:
    return Trial("o", "direct", "s", 0, level, 0, False, 0, key, answer)


def add(store: Store, *trials: Trial, attempts: tuple[Attempt, ...] = ()) -> None:
    async def write() -> None:
        await asyncio.gather(*(store.add(t, attempts) for t in trials))

    asyncio.run(write())


def test_what_is_added_is_there(tmp_path: Path) -> None:
    row = SeriesRow("s", "blur", "blur", "a.png", "d", "d/0", 50)
    with Store.create(tmp_path / "run", {"study": 1}) as store:
        store.add_series([row])
        add(store, trial(), attempts=(Attempt("timeout", "slow", 30.0), Attempt("ok", "", 1.5)))
        asyncio.run(store.keep("d", b"png"))
    with Store.open(tmp_path / "run") as store:
        assert store.manifest == {"schema": SCHEMA, "study": 1}
        assert store.get("k1") == ANSWER
        assert store.get("other") is None
        assert list(store.trials()) == [trial()]
        assert list(store.trials(observer="o", question="direct", series="s")) == [trial()]
        assert list(store.trials(series="t")) == []
        assert store.series() == (row,)
        assert store.picture("d") == b"png"
        assert store.picture("e") is None
        assert store.attempts() == {("o", "timeout"): 1, ("o", "ok"): 1}


LEAVES = Trial("person:p1", "direct", "s", 0, 3, 0, False, 0, "k1", ANSWER)


def left(store: Store) -> set[str]:
    return {row[0] for row in store.rows("answer")}


def test_who_is_forgotten_leaves_no_answer_that_was_asked_ahead(tmp_path: Path) -> None:
    secret = "I am Jane Roe"

    async def write(store: Store) -> None:
        await store.add(LEAVES, (Attempt("ok", "", 1.0),))
        for key, tried in (("k2", (Attempt("ok", "", 1.0),)), ("k3", ())):  # k3 is known by its presentation alone
            answer = dataclasses.replace(ANSWER, text=secret)
            await store.add(dataclasses.replace(LEAVES, key=key, answer=answer), tried, ahead=True)
        await store.add(dataclasses.replace(LEAVES, observer="person:p10", key="k4"), (Attempt("ok", "", 1.0),))
        await store.add(dataclasses.replace(LEAVES, observer="m", key="k5"), ahead=True)  # nobody knows whose
        await store.add_presentations([Presentation(key, "person:p1/1", 1.0, 1.0) for key in ("k1", "k3")])
        await store.add_presentations([Presentation("k4", "person:p10/1", 1.0, 1.0)])

    with Store.create(tmp_path / "run", {"observers": {"person:p1": {}, "person:p10": {}}}) as store:
        asyncio.run(write(store))
        assert store.forget("person:p1") == 3
        assert left(store) == {"k4", "k5"}
        assert [one.key for one in store.presentations()] == ["k4"]
        assert list(store.manifest["observers"]) == ["person:p10"]
        assert not any(secret.encode() in file.read_bytes() for file in (tmp_path / "run").iterdir())


def test_an_answer_that_another_was_asked_for_too_stays(tmp_path: Path) -> None:
    """Keys hold the fingerprint: only two names of one observer have an answer in common."""
    twin, ahead = dataclasses.replace(LEAVES, observer="twin"), dataclasses.replace(LEAVES, key="k2")
    with Store.create(tmp_path / "run", {"observers": {"person:p1": {}, "twin": {}}}) as store:
        add(store, LEAVES, twin)
        add(store, ahead, attempts=(Attempt("ok", "", 1.0),))
        add(store, dataclasses.replace(ahead, observer="twin", answer=None), attempts=(Attempt("timeout", "", 1.0),))
        assert store.forget("person:p1") == 0
        assert left(store) == {"k1", "k2"}
        assert [one.observer for one in store.trials()] == ["twin"]


def test_nobody_is_forgotten_by_halves_while_somebody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader's snapshot keeps the old pages in the database; then nothing is done, and a line says so."""
    monkeypatch.setattr(journal, "PATIENCE", 0.1)
    with Store.create(tmp_path / "run", {"observers": {"person:p1": {}}}) as store:
        for n in range(300):
            add(store, dataclasses.replace(LEAVES, key=f"k{n}", level=n))
        reader = sqlite3.connect(tmp_path / "run" / "trials.db")
        some = reader.execute("SELECT * FROM answer")
        some.fetchone()
        add(store, dataclasses.replace(LEAVES, key="later", level=999))
        with pytest.raises(StoreError, match=r"trials\.db is being read by another program .* run the same command"):
            store.forget("person:p1")
        assert len(left(store)) == 301
        some.close()
        reader.close()
        assert store.forget("person:p1") == 301
        assert not left(store)
        assert ANSWER.text.encode() not in (tmp_path / "run" / "trials.db").read_bytes()


def test_wording_and_form_come_back(tmp_path: Path) -> None:
    asked = dataclasses.replace(trial(), wording="Which shows more?", form="forced choice")
    with Store.create(tmp_path / "run", {}) as store:
        add(store, asked)
        assert list(store.trials()) == [asked]


SHOWN = Presentation("k1", "monday", 1.7e9, 2500.0, 812.5, 0.75)


def test_presentations_come_back_by_session_and_time(tmp_path: Path) -> None:
    later = Presentation("k2", "monday", 1.7e9 + 3, 2500.0)
    other = Presentation("k1", "friday", 1.8e9, 100.0)
    with Store.create(tmp_path / "run", {}) as store:
        asyncio.run(store.add_presentations([later, SHOWN, other]))
        asyncio.run(store.add_presentations([dataclasses.replace(SHOWN, confidence=0.1)]))
    with Store.open(tmp_path / "run") as store:
        assert store.presentations() == (other, SHOWN, later)
        assert store.presentations("monday") == (SHOWN, later)
        assert store.presentations("sunday") == ()


@pytest.mark.parametrize("wrong", [{"confidence": 1.5}, {"ms_shown": -1.0}, {"reaction_time_ms": "fast"}])
def test_a_presentation_that_cannot_be_is_refused_when_it_is_read(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        asyncio.run(store.add_presentations([dataclasses.replace(SHOWN, **wrong)]))
        with pytest.raises(StoreError, match="a row of presentation has"):
            store.presentations()


def test_text_that_no_file_holds_is_mended(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, trial(answer=Answer("a\ud83d \U0001f600", model="\udc00")), attempts=(Attempt("ok", "\ud800", 1.0),))
        kept = store.get("k1")
        assert kept is not None
        assert (kept.text, kept.model) == ("a\ufffd \U0001f600", "\ufffd")


def test_nothing_is_stored_twice(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, trial(), trial())
        add(store, trial(answer=Answer("No.")))
        assert [t.answer for t in store.trials()] == [ANSWER]


def test_a_failure_leaves_only_its_attempts(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, trial(answer=None), attempts=(Attempt("reset"),))
        assert list(store.trials()) == []
        assert store.attempts() == {("o", "reset"): 1}


def test_a_stimulus_equal_to_the_reference_is_a_fact(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, trial(key="", answer=None))
        assert list(store.trials()) == [trial(key="", answer=None)]


def test_many_at_once_are_committed_together(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, *(trial(level, f"k{level}") for level in range(500)))
        assert len(list(store.trials())) == 500
    assert sqlite3.connect(tmp_path / "run" / "trials.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_cannot_be_written_is_an_error_not_a_hang(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        with pytest.raises(StoreError, match="cannot be written"):
            add(store, trial(answer=Answer("Yes.", tokens_in=2**80)))
        with pytest.raises(StoreError, match="cannot be written"):
            store.add_series([SeriesRow("s", "blur", "blur", "caf\udce9.png", "d", "d/0", 50)])
        add(store, trial())
        assert len(list(store.trials())) == 1


def test_a_draft_left_by_a_full_disk_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.part").write_bytes(b"{")
    Store.create(tmp_path / "run", {}).close()


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, limen.store as s\n"
        "try: s.Store.create(pathlib.Path(sys.argv[1]), {}).close()\n"
        "except s.StoreError as e: print(e)"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "run")]
    with Store.create(tmp_path / "run", {}):
        assert "Another process is writing" in subprocess.run(call, capture_output=True, text=True, check=True).stdout
        with Store.open(tmp_path / "run") as reader:
            assert list(reader.trials()) == []
    assert subprocess.run(call, capture_output=True, text=True, check=True).stdout == ""


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        Store.open(tmp_path)
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(StoreError, match="not empty and not a run directory"):
        Store.create(tmp_path, {})
    with pytest.raises(StoreError, match="cannot be written"):
        Store.create(tmp_path / "holiday.jpg" / "run", {})


@pytest.mark.parametrize("content", [b'{"schema": 99}', b"{}", b"[]"])
def test_another_schema_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match="this limen reads schema 2 and 3"):
        Store.open(tmp_path)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"{")
    with pytest.raises(StoreError, match=r"manifest\.json cannot be read"):
        Store.open(tmp_path)


def test_reading_writes_nothing(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, trial())
    with Store.open(tmp_path / "run") as store, pytest.raises(StoreError, match="reading only"):
        asyncio.run(store.add(trial(2, "k2")))
    manifest = orjson.loads((tmp_path / "run" / "manifest.json").read_bytes())
    assert manifest == {"schema": SCHEMA}


def test_a_broken_database_is_named(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, *(trial(level, f"k{level}") for level in range(300)))
    file = tmp_path / "run" / "trials.db"
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"x" * (len(data) - 4096))
    with pytest.raises(StoreError, match=r"trials\.db cannot be read"), Store.open(tmp_path / "run") as store:
        list(store.trials())
    file.write_bytes(b"not a database, but long enough to look at" * 20)
    with pytest.raises(StoreError, match=r"trials\.db cannot be read"):
        Store.open(tmp_path / "run")
    file.unlink()
    with pytest.raises(StoreError, match=r"trials\.db cannot be read"):
        Store.open(tmp_path / "run")


def test_a_run_is_read_where_nothing_may_be_written(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        add(store, trial())
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    with Store.open(tmp_path / "run") as store:
        assert list(store.trials()) == [trial()]
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("file:///home/bob/w.bin is cut short", "w.bin is cut short"),
        ("no ~/models/w.bin, no ~bob/w.bin", "no w.bin, no w.bin"),
        (r"\\nas\bob\w.bin: gone", "w.bin: gone"),
        ("cannot open 'C:/Users/bob b/w.bin'", "cannot open 'w.bin'"),
        (
            r"a limit of ~5/min, https://a.b/v1/c, \\n and \\frac{1}{2}",
            r"a limit of ~5/min, https://a.b/v1/c, \\n and \\frac{1}{2}",
        ),
    ],
)
def test_a_path_is_known_in_every_spelling(told: str, kept: str) -> None:
    assert without_paths(told) == kept
