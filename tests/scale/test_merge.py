"""Merged runs are the run that one process would have made, and what contradicts is refused by name."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from limen.analysis import analyse
from limen.errors import StoreError
from limen.question import Query
from limen.report import observers
from limen.scale.merge import ContradictionError, Merged, merge
from limen.store import TABLES, Store
from limen.study import Spec, Study
from tests.support.command import limen
from tests.support.photographs import photographs
from tests.support.toy import Toy

TIMES = {"created", "at", "first", "seconds", "run"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six small photographs."""
    return photographs(tmp_path / "photos", "abcdef", 48, 64)


def measure(photos: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    given = ("measure", "--images", photos, "--out", out, "--distortion", "blur,noise", "--observer", "simulated")
    return limen(*given, "-O", "false_alarms=0.05", "-O", "lapses=0.05", "--jnds", "2", *more)


def in_shards(photos: Path, folder: Path, of: int, *more: object) -> list[Path]:
    runs = [folder / f"shard-{number}" for number in range(1, of + 1)]
    for number, run in enumerate(runs, start=1):
        done = measure(photos, run, "--shard", f"{number}/{of}", *more)
        assert done.returncode == 0, done.stderr
    return runs


def timeless(content: Any) -> Any:
    """Return JSON without what tells when it was, and what the run is called."""
    if isinstance(content, dict):
        return {name: timeless(value) for name, value in content.items() if name not in TIMES}
    return [timeless(one) for one in content] if isinstance(content, list) else content


def reported(run: Path) -> Any:
    return timeless(json.loads(limen("report", run, "--json").stdout))


def facts(run: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of a run, without the time of it."""
    with Store.open(run) as store:
        found = {table: sorted(store.rows(table), key=repr) for table in TABLES}
        pictures = [(digest, store.picture(digest)) for digest in store.pictures()]
    found["answer"] = [(*row[:7], row[8]) for row in found["answer"]]
    found["attempt"] = sorted([row[1:6] for row in found["attempt"]], key=repr)
    exams = [timeless(orjson.loads(content)) for stage, _, content in found["measurement"] if stage == "exam"]
    found["measurement"] = [row for row in found["measurement"] if row[0] != "exam"]
    return found | {"exam": exams, "picture": pictures}


def prints(run: Path) -> dict[str, tuple[int, str]]:
    """Return what every file of a run directory is, to see that it stays so."""
    files = {one.name: (one.stat().st_mtime_ns, hashlib.sha256(one.read_bytes()).hexdigest()) for one in run.iterdir()}
    return files | {"": (run.stat().st_mtime_ns, "")}


def toy(photos: Path, out: Path, says: Callable[[Query], str | None], **given: Any) -> Toy:
    """Measure with a toy observer and return it."""
    observer = Toy(says)
    settings = {"distortions": ("blur", "noise"), "exam": False} | given
    Study.plan(Spec(images=(str(photos),), observers=("simulated",), **settings), made=[observer]).run(out)
    return observer


def noticing(level: float) -> Callable[[Query], str]:
    """Return answers of an observer that notices a difference of so many grey levels rms."""

    def says(query: Query) -> str:
        one, other = (picture.pixels.astype(float) for picture in query.pictures)
        return "<yes> They differ." if float(((one - other) ** 2).mean() ** 0.5) > level else "<no> They are the same."

    return says


def outcomes(run: Path) -> list[tuple[Any, ...]]:
    with Store.open(run) as store:
        found = analyse(store).outcomes
    return sorted((one.observer, one.series.id, one.status, str(one.thresholds)) for one in found)


def warnings(run: Path) -> list[str]:
    with Store.open(run) as store:
        return observers.warnings(analyse(store))


# --- what one process would have made ---


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_shards_merged_are_the_whole_study(photos: Path, tmp_path: Path, of: int) -> None:
    whole, merged = tmp_path / "whole", tmp_path / "merged"
    assert measure(photos, whole).returncode == 0
    runs = in_shards(photos, tmp_path, of)
    before = [prints(run) for run in runs]
    done = limen("merge", *reversed(runs), "--out", merged)
    assert done.returncode == 0
    assert done.stderr == ""
    assert [prints(run) for run in runs] == before
    expected, found = facts(whole), facts(merged)
    with Store.open(whole) as store:
        counts = [len(expected[table]) for table in ("series", "query", "answer", "attempt")]
        assert store.manifest.keys() == orjson.loads((merged / "manifest.json").read_bytes()).keys()
    line = "{}: {} run{}; {} series, {} trials, {} answers, {} attempts\n"
    assert done.stdout == line.format(merged, of, "s" * (of > 1), *counts)
    held = [run for run in runs if Store.open(run).series()]
    assert len(held) < of if of == 7 else len(held) == of
    moments = {Store.open(run).manifest["exams"]["simulated"]["at"] for run in held}  # each job examines
    assert len(found.pop("exam")) == len(moments) * len(expected.pop("exam"))
    assert found == expected
    assert reported(merged) == reported(whole)
    again = measure(photos, merged)
    assert "0 questions asked" in again.stderr
    assert facts(merged)["answer"] == expected["answer"]
    assert not list(tmp_path.glob(".*"))


def test_a_merged_run_is_resumed_without_a_question(photos: Path, tmp_path: Path) -> None:
    asked = [toy(photos, tmp_path / f"{number}", noticing(6), shard=f"{number}/2").asked.total() for number in (1, 2)]
    assert min(asked) > 0
    found = merge([tmp_path / "1", tmp_path / "2"], tmp_path / "c")
    assert (found.answers, found.attempts, found.shard) == (sum(asked), sum(asked), None)
    assert toy(photos, tmp_path / "c", noticing(6)).asked.total() == 0
    assert toy(photos, tmp_path / "whole", noticing(6)).asked.total() == sum(asked)
    assert outcomes(tmp_path / "c") == outcomes(tmp_path / "whole")


def test_an_array_of_distortions_is_one_study_though_its_procedure_learns(photos: Path, tmp_path: Path) -> None:
    how = {"procedure": {"name": "psi", "trials": 6}}
    for kind in ("blur", "noise"):
        toy(photos, tmp_path / kind, noticing(6), distortions=(kind,), **how)
    merge([tmp_path / "noise", tmp_path / "blur"], tmp_path / "c")
    assert toy(photos, tmp_path / "c", noticing(6), **how).asked.total() == 0
    toy(photos, tmp_path / "whole", noticing(6), **how)
    assert outcomes(tmp_path / "c") == outcomes(tmp_path / "whole")
    assert facts(tmp_path / "c")["wave"] == facts(tmp_path / "whole")["wave"]


def test_what_learnt_from_photographs_of_its_own_is_not_merged(photos: Path, tmp_path: Path) -> None:
    for name, some in (("a", "abc"), ("b", "def")):
        folder = tmp_path / f"photos-{name}"
        folder.mkdir()
        for one in some:
            shutil.copy(photos / f"{one}.png", folder)
        toy(folder, tmp_path / name, noticing(6), procedure={"name": "psi", "trials": 6})
    with pytest.raises(StoreError, match=r"learnt from series of its own in each of these runs \(toy under blur; toy "):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_copy_and_what_it_was_copied_from_count_once(photos: Path, tmp_path: Path) -> None:
    first = toy(photos, tmp_path / "a", noticing(6), limit=2).asked
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    more = toy(photos, tmp_path / "a", noticing(6), limit=4).asked
    other = toy(photos, tmp_path / "b", noticing(6), limit=2, distortions=("jpeg",)).asked
    found = merge([tmp_path / "b", tmp_path / "a"], tmp_path / "c")
    total = first.total() + more.total() + other.total()
    assert (found.answers, found.attempts) == (total, total)
    assert found.same == first.total()
    with Store.open(tmp_path / "c") as store:
        times = [row[7] for row in store.rows("attempt")]
        assert times == sorted(times)
        assert store.manifest["aim"]["series"] == len(store.series()) == 10
    again = merge([tmp_path / "c", tmp_path / "a"], tmp_path / "d")
    assert (again.answers, again.attempts) == (total, total)


def test_failures_are_all_there(photos: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        toy(photos, tmp_path / f"{number}", lambda query: None, shard=f"{number}/2", limit=2, distortions=("blur",))
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "c")
    with Store.open(tmp_path / "1") as one, Store.open(tmp_path / "2") as other, Store.open(tmp_path / "c") as both:
        counts = [sum(store.attempts().values()) for store in (one, other, both)]
        assert both.attempts() == {("toy", "rate-limited"): counts[2]}
    assert counts[0] + counts[1] == counts[2] >= 4  # two tries of a question that fail alike are two
    toy(photos, tmp_path / "c", noticing(6), limit=2, distortions=("blur",))
    toy(photos, tmp_path / "whole", noticing(6), limit=2, distortions=("blur",))
    assert outcomes(tmp_path / "c") == outcomes(tmp_path / "whole")


# --- a part ---


def test_a_part_is_marked_and_finished(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 3, "--no-exam")
    part = tmp_path / "part"
    done = limen("merge", *runs[:2], "--out", part)
    assert done.returncode == 0
    assert done.stderr == (
        "Missing: shard 3 of 3. Merge what is missing with this run into another, or finish it here: limen measure "
        f"with the same words, without --shard, --out {part}.\n"
    )
    assert "missing from every figure: shard 3 of 3. limen merge" in warnings(part)[0]
    wrong = measure(photos, part, "--shard", "3/3", "--no-exam")
    assert wrong.returncode == 1
    assert "holds shards 1-2 of 3 merged, and is finished without a shard; given is shard 3/3." in wrong.stderr
    later = tmp_path / "later"
    assert limen("merge", part, runs[2], "--out", later).stderr == ""
    assert measure(photos, part, "--no-exam").returncode == 0
    assert measure(photos, tmp_path / "whole", "--no-exam").returncode == 0
    assert outcomes(part) == outcomes(later) == outcomes(tmp_path / "whole")
    for run in (part, later):
        with Store.open(run) as store:
            assert not store.manifest.get("shard")
        assert warnings(run) == []


def test_one_shard_alone_may_be_made_a_run_to_finish(photos: Path, tmp_path: Path) -> None:
    (run,) = in_shards(photos, tmp_path, 2)[:1]
    done = limen("merge", run, "--out", tmp_path / "c", "--json")
    made = json.loads(done.stdout)
    assert made["shard"] == {"of": 2, "parts": [1], "merged": True, "series": {"blur": 6, "noise": 6}}
    assert [(one["shards"], one["distortions"], one["series"]) for one in made["missing"]] == [([2], [], 6)]
    assert measure(photos, tmp_path / "c").returncode == 0
    with Store.open(tmp_path / "c") as store:
        assert len(store.series()) == 12


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ((("blur", 1, 2, 0), ("blur", 2, 2, 0), ("noise", 1, 2, 0)), "shard 2 of 2 (noise)"),
        ((("blur", 1, 3, 0), ("noise", 2, 3, 0), ("blur", 3, 3, 0)), "shard 2 of 3 (blur); shards 1, 3 of 3 (noise)"),
        ((("blur,noise", 1, 2, 0), ("blur,noise", 2, 2, 2)), "shard 2 of 2"),
        ((("blur", 1, 2, 2), ("blur", 2, 2, 0)), "shard 1 of 2"),
    ],
)
def test_what_shards_lack_is_named_and_found_again_in_the_run(
    photos: Path, tmp_path: Path, runs: tuple[tuple[str, int, int, int], ...], told: str
) -> None:
    for number, (kinds, part, of, limit) in enumerate(runs):
        how = {"distortions": tuple(kinds.split(",")), "shard": f"{part}/{of}", "limit": limit}
        toy(photos, tmp_path / f"{number}", noticing(6), **how)
    done = limen("merge", *(tmp_path / str(number) for number in range(len(runs))), "--out", tmp_path / "c")
    assert f"Missing: {told}. Merge" in done.stderr.replace("\n", " ")
    assert f"missing from every figure: {told}. limen merge" in warnings(tmp_path / "c")[0]
    kinds = tuple(sorted({kind for one in runs for kind in one[0].split(",")}))
    for of in {one[2] for one in runs}:
        for part in range(1, of + 1):
            toy(photos, tmp_path / f"all-{part}", noticing(6), distortions=kinds, shard=f"{part}/{of}")
        whole = merge([tmp_path / "c", *(tmp_path / f"all-{part}" for part in range(1, of + 1))], tmp_path / "d")
    assert (whole.missing, whole.shard, warnings(tmp_path / "d")) == ((), None, [])


def test_an_observer_that_was_not_asked_in_a_shard_is_named(photos: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        toy(photos, tmp_path / f"{number}", noticing(6), shard=f"{number}/2")
    other = Toy(noticing(6))
    other.name = "other"
    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("blur",), exam=False, shard="2/2")
    Study.plan(spec, made=[other]).run(tmp_path / "2")
    found = merge([tmp_path / "1", tmp_path / "2"], tmp_path / "c")
    assert [str(one) for one in found.missing] == [
        "shard 1 of 2 (other, direct, blur)", "shards 1-2 of 2 (other, direct, noise)",
    ]  # fmt: skip


def test_a_shard_without_a_reference_is_not_missing(photos: Path, tmp_path: Path) -> None:
    runs = [tmp_path / f"{number}" for number in range(1, 8)]
    for number, run in enumerate(runs, start=1):
        toy(photos, run, noticing(6), shard=f"{number}/7", limit=2)
    held = [run for run in runs if Store.open(run).series()]
    assert len(held) < 7
    assert merge(held, tmp_path / "c").shard is None


def test_a_shard_that_came_twice_is_told(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--no-exam")
    assert measure(photos, tmp_path / "again", "--shard", "2/2", "--no-exam").returncode == 0
    done = limen("merge", *runs, tmp_path / "again", "--out", tmp_path / "c")
    assert done.returncode == 0
    same = len(facts(runs[1])["answer"])
    assert done.stderr.splitlines() == [
        f"{same:,} answers were in more than one run, and count once.", "In more than one run: shard 2.",
    ]  # fmt: skip
    with Store.open(tmp_path / "c") as store:
        attempts = sum(store.attempts().values())
    assert attempts == sum(len(facts(run)["attempt"]) for run in (*runs, tmp_path / "again"))


# --- what contradicts ---


def test_other_answers_are_named_and_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    toy(photos, a, noticing(4))
    toy(photos, b, noticing(9))
    mine, others = ({row[0]: row[1] for row in facts(run)["answer"]} for run in (a, b))
    unlike = sum(others.get(key, text) != text for key, text in mine.items())
    assert unlike > 8
    with pytest.raises(ContradictionError) as refused:
        merge([a, b], c)
    line = str(refused.value)
    assert (refused.value.count, len(refused.value.first)) == (unlike, 8)
    assert line.startswith(f"{unlike} questions have another answer in another run: toy, direct, blur of ")
    assert f": '<yes> They differ.' before, '<no> They are the same.' in {b}; " in line
    assert line.endswith(
        f"; and {unlike - 8} more. Leave one of the runs out, or keep the answer that came first (--keep first)."
    )
    done = limen("merge", a, b, "--out", c)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"limen: {line}\n")
    assert not c.exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("turned", [False, True])
def test_the_first_answer_stays_by_time_not_by_place(photos: Path, tmp_path: Path, turned: bool) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    toy(photos, a, noticing(4))
    toy(photos, b, noticing(9))
    done = limen("merge", *([b, a] if turned else [a, b]), "--out", c, "--keep", "first")
    assert done.returncode == 0
    assert "answers were left out: another run has an earlier one" in done.stderr
    mine = {row[0]: row for row in facts(a)["answer"]}
    kept = {row[0]: row for row in facts(c)["answer"]}
    assert {key: kept[key] for key in mine} == mine
    assert outcomes(c) == outcomes(a)


# --- runs that cannot be one ---


def change(run: Path, **entries: Any) -> None:
    file = run / "manifest.json"
    file.write_bytes(orjson.dumps(orjson.loads(file.read_bytes()) | entries))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--seed", "1"), "seed is 0 in {a} and is 1 in {b}"),
        (("--gap", "2"), "procedure.gap is 1 in {a} and is 2 in {b}"),
        (("--ladder", "blur=1,2,4"), "distortion blur.strengths is "),
        (("-O", "seed=3"), "observer simulated.seed is 0 in {a} and is 3 in {b}"),
        (("--max-side", "60"), "max_side is 0 in {a} and is 60 in {b}"),
        (("--order", "swapped"), "question direct.order is "),
    ],
)
def test_runs_of_other_studies(photos: Path, tmp_path: Path, flags: tuple[str, ...], told: str) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert measure(photos, a, "--limit", "1", "--no-exam").returncode == 0
    assert measure(photos, b, "--limit", "1", "--no-exam", *flags).returncode == 0
    done = limen("merge", a, b, "--out", tmp_path / "c")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"limen: {b} is not of the same study as the runs before it: ")
    assert told.format(a=a, b=b) in line
    assert line.endswith("limen report shows others side by side.")
    assert not (tmp_path / "c").exists()


def spoil_rows(run: Path) -> None:
    with sqlite3.connect(run / "trials.db") as connection:
        connection.execute("UPDATE answer SET p_yes = 7")


def spoil_pages(run: Path) -> None:
    content = bytearray((run / "trials.db").read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    (run / "trials.db").write_bytes(content)


def lose_rows(run: Path) -> None:
    with sqlite3.connect(run / "trials.db") as connection:
        connection.execute("DELETE FROM attempt")


def empty(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


def file(run: Path) -> None:
    shutil.rmtree(run)
    run.write_bytes(b"PK")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (spoil_rows, "a row of answer has a number or a length that cannot be. Restore it from a copy."),
        (spoil_pages, "cannot be read (database disk image is malformed). Restore it from a copy."),
        (lose_rows, "attempts at questions, and 0 of 0 rows of numbers: it lost its journal, or is an older copy."),
        (empty, "is not a run directory: it has no manifest.json. Give the --out of a `limen measure`."),
        (file, "is a file, not a run directory. Give the --out of a `limen measure`; a bundle is read by limen report"),
        (shutil.rmtree, "is not a run directory: it has no manifest.json."),
        (lambda run: (run / "trials.db").unlink(), "has no trials.db: nothing was measured into it, or it was lost."),
        (lambda run: change(run, schema=4), "has schema 4; this limen reads schema 2 and 3. Install the limen that"),
        (lambda run: change(run, wing="feature"), "is a run of another kind ('feature'). Give another directory."),
        (lambda run: change(run, shard={"of": 3, "parts": [4]}), "the entry 'shard' is not as limen writes it"),
    ],
)
def test_runs_that_are_none(photos: Path, tmp_path: Path, harm: Callable[[Path], object], told: str) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for run in (a, b):
        toy(photos, run, noticing(6), limit=2)
    harm(b)
    done = limen("merge", a, b, "--out", tmp_path / "c")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"limen: {b}")
    assert told in line
    assert not (tmp_path / "c").exists()
    assert not list(tmp_path.glob(".*"))


def test_places_that_are_none(photos: Path, tmp_path: Path) -> None:
    a, b = in_shards(photos, tmp_path, 2, "--limit", "2", "--no-exam")
    before = [prints(run) for run in (a, b)]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    for runs, out, told in (
        ((a, a), "c", f"{a} is given twice. Give each run once."),
        ((a, photos, b), "c", f"{photos} is not a run directory: it has no manifest.json."),
        ((a, b), a, f"--out {a} lies in {a}, which is merged. Give a place outside of it."),
        ((a, b), a / "c", f"--out {a / 'c'} lies in {a}, which is merged. Give a place outside of it."),
        ((a, b), "full", f"{tmp_path / 'full'} is there already. Give another --out;"),
        ((a, b), a / "manifest.json" / "c", "lies in"),
    ):
        done = limen("merge", *runs, "--out", tmp_path / out)
        assert done.returncode == 1
        assert told in done.stderr
    assert [prints(run) for run in (a, b)] == before
    (tmp_path / "empty").mkdir()
    assert limen("merge", a, b, "--out", tmp_path / "empty").returncode == 0
    assert limen("merge", a, b, "--out", tmp_path / "new" / "deep" / "c").returncode == 0


def test_unlike_divisions(photos: Path, tmp_path: Path) -> None:
    (a,), (b,) = (in_shards(photos, tmp_path / str(of), of, "--limit", "2", "--no-exam")[:1] for of in (2, 3))
    done = limen("merge", a, b, "--out", tmp_path / "c")
    assert done.stderr == (
        f"limen: The study was divided in two ways: {a} holds shards of 2, {b} of 3. Merge shards of one division.\n"
    )


# --- runs that are at work, were killed, or were made with something else ---


def test_a_run_that_is_being_written_is_refused(photos: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    toy(photos, a, noticing(6), limit=1)
    words = [
        sys.executable, "-m", "limen", "measure", "--images", str(photos), "--distortion", "blur,noise", "--observer",
        "simulated", "-O", "latency=0.2", "--no-exam", "--out", str(b),
    ]  # fmt: skip
    writer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (b / "trials.count").exists():
            assert writer.poll() is None, "it ended early"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(StoreError, match=f"A process is writing to {b}. Wait for it, or stop it, then merge again"):
            merge([a, b], tmp_path / "c")
    finally:
        writer.kill()
        writer.wait()


def test_a_killed_run_is_merged_with_its_journal_and_stays_as_it_is(photos: Path, tmp_path: Path) -> None:
    a, b, whole = tmp_path / "a", tmp_path / "b", tmp_path / "whole"
    toy(photos, a, noticing(6), shard="1/2")
    toy(photos, whole, noticing(6), shard="2/2")
    with Store.create(whole, {}) as store:
        store.add_measurements("note", {"x": {"y": 1}})  # in the log alone, as long as the store is open
        shutil.copytree(whole, b)
    assert (b / "trials.db-wal").stat().st_size
    before = prints(b)
    merge([a, b], tmp_path / "c")
    assert prints(b) == before
    with Store.open(tmp_path / "c") as store:
        assert store.measurements("note") == {"x": {"y": 1}}
    assert outcomes(tmp_path / "c") == sorted([*outcomes(a), *outcomes(whole)])


def test_an_interrupted_merge_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--limit", "2", "--no-exam")
    said = list[str]()

    def stop(what: str) -> None:
        said.append(what)
        if len(said) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(runs, tmp_path / "c", note=stop)
    assert not (tmp_path / "c").exists()
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_merge_left_is_removed(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--limit", "2", "--no-exam")
    left = tmp_path / ".c.merging"
    (left / "copy").mkdir(parents=True)
    (left / "trials.db").write_bytes(b"half of it")
    (left / "scratch.db").write_bytes(b"half of it")
    assert limen("merge", *runs, "--out", tmp_path / "c").returncode == 0
    assert not left.exists()
    assert sorted(one.name for one in (tmp_path / "c").iterdir()) == [
        "manifest.json", "trials.count", "trials.db", "writing.lock",
    ]  # fmt: skip


def test_exams_of_one_second_are_both_kept(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--limit", "2")
    exams = [orjson.loads((run / "manifest.json").read_bytes())["exams"] for run in runs]
    at = exams[0]["simulated"]["at"]
    for run, mine in zip(runs, exams, strict=True):
        old = mine["simulated"]["at"]
        change(run, exams={"simulated": mine["simulated"] | {"at": at}})
        with sqlite3.connect(run / "trials.db") as connection:
            connection.execute(
                "UPDATE measurement SET key = REPLACE(key, ?, ?), content = CAST(REPLACE(CAST(content AS TEXT), ?, ?) "
                "AS BLOB) WHERE stage = 'exam'",
                (old, at, old, at),
            )
    with sqlite3.connect(runs[1] / "trials.db") as connection:  # a server never takes the same time twice
        connection.execute(
            "UPDATE measurement SET content = CAST(REPLACE(CAST(content AS TEXT), ?, ?) AS BLOB) WHERE stage = 'exam'",
            ('"seconds":0.0', '"seconds":1.5'),
        )
    alone = [len(facts(run)["exam"]) for run in runs]
    merge(runs, tmp_path / "c")
    assert len(facts(tmp_path / "c")["exam"]) == sum(alone)
    assert "0 questions asked" in measure(photos, tmp_path / "c", "--limit", "2").stderr
    assert len(facts(tmp_path / "c")["exam"]) == sum(alone)


def test_other_libraries_are_noted_and_the_reader_is_the_latest(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--limit", "2", "--no-exam")
    first, second = (orjson.loads((run / "manifest.json").read_bytes()) for run in runs)
    change(runs[0], created="2026-01-01T00:00:00+00:00", reader=first["reader"] - 1)
    change(runs[1], created="2026-01-02T00:00:00+00:00", versions=second["versions"] | {"numpy": "1.0"}, limen="0.0.9")
    merge(runs, tmp_path / "c")
    with Store.open(tmp_path / "c") as store:
        (session,) = store.manifest["sessions"]
        assert (session["at"], session["limen"], session["versions"]["numpy"]) == (
            "2026-01-02T00:00:00+00:00",
            "0.0.9",
            "1.0",
        )
        assert store.manifest["versions"] == first["versions"]
        assert store.manifest["created"] == "2026-01-01T00:00:00+00:00"
        assert store.manifest["reader"] == second["reader"]
    assert measure(photos, tmp_path / "c", "--limit", "2", "--no-exam").returncode == 0


def test_what_runs_list_of_observers_is_listed_once(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--limit", "2", "--no-exam")
    change(runs[0], endpoints={"simulated": ["b:8000", "a:8000"]}, planned={"simulated": ["direct"]})
    change(runs[1], endpoints={"simulated": ["a:8000", "c:8000"]}, planned={"simulated": ["choice", "direct"]})
    change(runs[0], created="2026-01-01T00:00:00+00:00")
    merge(runs[::-1], tmp_path / "c")
    with Store.open(tmp_path / "c") as store:
        assert store.manifest["endpoints"] == {"simulated": ["b:8000", "a:8000", "c:8000"]}
        assert store.manifest["planned"] == {"simulated": ["choice", "direct"]}


def test_a_merged_run_is_bundled_and_verified(photos: Path, tmp_path: Path) -> None:
    merge(in_shards(photos, tmp_path, 3), tmp_path / "c")
    assert limen("bundle", tmp_path / "c", "--out", tmp_path / "c.zip").returncode == 0
    done = limen("verify", tmp_path / "c.zip", "--against", tmp_path / "c", "--images", photos)
    assert done.returncode == 0, done.stdout


def test_python_says_what_it_made(photos: Path, tmp_path: Path) -> None:
    runs = in_shards(photos, tmp_path, 2, "--limit", "1", "--no-exam")
    found = merge(list(map(str, runs)), str(tmp_path / "c"))
    with Store.open(tmp_path / "c") as store:
        trials, attempts = len(list(store.trials())), sum(store.attempts().values())
    assert found == Merged(tmp_path / "c", 2, 2, trials, attempts, attempts, 0, 0, None, ())


def test_ladders_that_differ_are_named_by_their_strengths_not_by_digests(photos: Path, tmp_path: Path) -> None:
    for name, last in (("a", 4.0), ("b", 5.0)):
        toy(photos, tmp_path / name, noticing(6), distortions=("blur",), ladders={"blur": [1.0, 2.0, last]}, limit=1)
    with pytest.raises(StoreError) as caught:
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    told = str(caught.value)
    assert "distortion blur.strengths is [1.0,2.0,4.0] in" in told
    assert not re.search(r"ladder is|probe|[0-9a-f]{32}", told)


def test_what_is_open_is_said_by_merge_and_by_the_report(photos: Path, tmp_path: Path) -> None:
    toy(photos, tmp_path / "a", lambda query: None, distortions=("blur",), limit=2, shard="1/2")
    toy(photos, tmp_path / "b", noticing(6), distortions=("blur",), limit=2, shard="2/2")
    there = [run for run in ("a", "b") if Store.open(tmp_path / run).series()]
    toy(photos, tmp_path / "more", lambda query: None, distortions=("noise",), limit=2)
    done = limen("merge", *(tmp_path / run for run in (*there, "more")), "--out", tmp_path / "c")
    assert done.returncode == 0
    assert "series are open: limen measure with the same words, --out" in done.stderr
    page = limen("report", tmp_path / "c", "--out", tmp_path / "page.html")
    assert page.stdout == f"{tmp_path / 'page.html'}\n"
    assert re.search(r"^not the whole study: \d of 4 series are open$", page.stderr, re.MULTILINE), page.stderr
