"""Logs read back into runs, and runs written as logs; what was edited or cut is told in a line."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task
from inspect_ai.analysis import samples_df
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log, write_eval_log

import limen
from limen import registry
from limen.errors import InputError, StoreError
from limen.inspect.reading import to_run
from limen.inspect.tasks import ask, jnd
from limen.store import Store, entries
from tests.inspect.evaluation import Evaluate
from tests.inspect.test_tasks import NINE, PROCEDURES, analysed, measured, metrics
from tests.support.command import limen as command

pytestmark = pytest.mark.inspect


def held(run: Path) -> tuple[Any, ...]:
    """All that makes a run's thresholds, questions and report."""
    with Store.open(run) as store:
        found = limen.analyse(store)
        manifest = {key: store.manifest[key] for key in ("procedure", "questions", "distortions", "seed", "observers")}
        return (
            list(store.trials()), found.outcomes, found.jnds, found.answers, found.curves, found.estimates,
            found.attempts, store.series(), manifest, sorted(store.columns("wave")[1]),
        )  # fmt: skip


@pytest.mark.parametrize(("procedure", "settings"), PROCEDURES)
def test_an_import_equals_the_run(
    evaluated: Evaluate, tmp_path: Path, procedure: str, settings: dict[str, Any]
) -> None:
    few = {"images": "demo", "distortion": "blur", "limit": 10 if procedure == "certify" else 2}  # waves, with priors
    task = jnd(**few, procedure=procedure, settings=settings, out=str(tmp_path / "in"))
    log = evaluated(task)
    lines = to_run(log.location, tmp_path / "read")
    assert held(tmp_path / "read") == held(tmp_path / "in")
    assert len(lines) == 1


def test_an_import_of_ask_equals_the_run(evaluated: Evaluate, tmp_path: Path) -> None:
    task = ask(images="demo-items", distortion="blur", limit=4, out=str(tmp_path / "in"))
    log = evaluated(task, model="limen/solver")
    to_run(log.location, tmp_path / "read")
    assert held(tmp_path / "read") == held(tmp_path / "in")
    with Store.open(tmp_path / "read") as store:
        assert len(store.measurements(entries.ITEMS)) == 4


def test_answers_that_several_trials_share(evaluated: Evaluate, tmp_path: Path) -> None:
    both = {"images": "demo", "distortion": ["blur", "jpeg"], "question": "direct-implicit", "limit": 2}
    log = evaluated(jnd(**both, out=str(tmp_path / "in")))
    to_run(log.location, tmp_path / "read")
    assert held(tmp_path / "read") == held(tmp_path / "in")
    with Store.open(tmp_path / "in") as store:
        trials = list(store.trials())
    assert len({one.key for one in trials}) < len(trials)


def test_command_and_report(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(**NINE, out=str(tmp_path / "in")))
    done = command("import", f"inspect={log.location}", "--out", str(tmp_path / "read"))
    assert done.returncode == 0, done.stderr
    assert "9 of 9 series, 0 without an answer" in done.stdout
    made = [command("report", str(tmp_path / run), "--json") for run in ("in", "read")]
    one, other = (json.loads(each.stdout) for each in made)
    assert one["sentences"] == other["sentences"]
    for table in ("jnds", "answers", "curves"):
        assert one["runs"][0][table] == other["runs"][0][table]
    with Store.open(tmp_path / "read") as store:
        assert all(store.picture(row.picture) for row in store.series())


def test_a_log_cut_by_limit_is_imported_as_far_as_it_goes(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=3), limit=7)
    to_run(log.location, tmp_path / "read")
    (row,) = analysed(tmp_path / "read").jnds
    assert (row.n, row.unfinished) == (0, 3)


def test_errors_stay_errors(evaluated: Evaluate, tmp_path: Path) -> None:
    task = jnd(images="demo", distortion=["blur", "noise"], limit=2, out=str(tmp_path / "in"))
    log = evaluated(task, model="faulty/blur", fail_on_error=False)
    (line,) = to_run(log.location, tmp_path / "read")
    assert "2 without an answer" in line
    assert held(tmp_path / "read") == held(tmp_path / "in")


def test_a_failed_task_is_imported_as_far_as_it_goes(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion=["blur", "noise"], limit=2), model="faulty/blur")
    assert log.status == "error"
    lines = to_run(log.location, tmp_path / "read")
    assert "status error" in lines[1]
    assert sum(row.unfinished for row in analysed(tmp_path / "read").jnds) >= 2


def _answer(samples: list[Any]) -> None:
    samples[3].output.choices[0].message.content = "<yes> I was edited."
    samples[3].output.completion = "<yes> I was edited."


def _digest(samples: list[Any]) -> None:
    samples[3].metadata["limen"]["pictures"][0] = "0" * 32


def _level(samples: list[Any]) -> None:
    samples[3].metadata["limen"]["trial"]["key"] = "0" * 32


def _text(samples: list[Any]) -> None:
    samples[3].input[0].content[-1].text = "Are they alike?"


def _series(samples: list[Any]) -> None:
    samples[3].metadata["limen"]["trial"]["series"] = "0" * 32


def _record(samples: list[Any]) -> None:
    samples[3].metadata["limen"]["trial"] = "gone"


def _row(samples: list[Any]) -> None:
    samples[3].metadata["limen"]["series"]["name"] = "another.png"


def _score(samples: list[Any]) -> None:
    samples[3].scores["verdict"].value = "unreadable"


def _column(name: str, value: Any) -> Callable[[list[Any]], None]:
    def edit(samples: list[Any]) -> None:
        assert name in samples[3].metadata
        samples[3].metadata[name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_answer, "its answer is not the one that was scored"), (_digest, "a picture has the digest"),
        (_level, "what it shows has the key"), (_text, "what it shows has the key"),
        (_series, "a series or question that the task has not"), (_record, "is not as limen writes it"),
        (_row, "its series is not as the task has it"), (_score, "its column 'score verdict' says 'unreadable'"),
        *(
            (_column(name, value), f"its column '{name}' says '{value}', and limen's record ")
            for name, value in {
                "reference": "another.png", "distortion": "jpeg", "reference_level": 44, "level": 47, "strength": 0.5,
                "unit": "inch", "question": "direct-implicit", "paraphrase": 1, "verdict": "unreadable",
            }.items()
        ),
    ],
)  # fmt: skip
def test_an_edited_log_is_refused(
    evaluated: Evaluate, tmp_path: Path, edit: Callable[[list[Any]], None], told: str
) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=1))
    whole = read_eval_log(log.location, resolve_attachments=True)
    assert whole.samples is not None
    edit(whole.samples)
    write_eval_log(whole, str(tmp_path / "edited.eval"))
    with pytest.raises(InputError, match=told) as found:
        to_run(str(tmp_path / "edited.eval"), tmp_path / "read")
    assert repr(str(whole.samples[3].id)) in str(found.value)
    assert not (tmp_path / "read").exists()


def test_logs_of_others_and_what_is_no_log(evaluated: Evaluate, tmp_path: Path) -> None:
    other = evaluated(Task(dataset=[Sample(input="What is 2 + 2?")], name="sums"), model="faulty/nothing")
    with pytest.raises(InputError, match="a log of the task 'sums', not one that limen/jnd or limen/ask made. Eval"):
        to_run(other.location, tmp_path / "read")
    with pytest.raises(InputError, match="no such log"):
        to_run(str(tmp_path / "none.eval"), tmp_path / "read")
    for name, content, told in (
        ("text.eval", "nothing", "text.eval is no log of Inspect's: it is no zip file"),
        ("notes.txt", "nothing", "notes.txt is no log of Inspect's: it is no zip file"),
        ("list.json", "[1, 2]", "list.json is no log of Inspect's: it holds no JSON object"),
        ("half.json", '{"version": 2, "ev', "half.json cannot be read as a log of Inspect's"),
        ("none.eval", "", "none.eval is empty"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=told):
            to_run(str(tmp_path / name), tmp_path / "read")


def test_half_a_file_and_half_a_log(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=2))
    data = Path(log.location).read_bytes()
    (tmp_path / "half.eval").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="half.eval was cut short: it has no end"):
        to_run(str(tmp_path / "half.eval"), tmp_path / "read")
    with zipfile.ZipFile(log.location) as whole, zipfile.ZipFile(tmp_path / "crashed.eval", "w") as cut:
        samples = [name for name in whole.namelist() if name.startswith("samples/")]
        for name in whole.namelist():  # what a process that was killed leaves: no header, no summaries, some samples
            if name.startswith("_journal") or name in samples[: len(samples) // 2]:
                cut.writestr(name, whole.read(name))
    lines = to_run(str(tmp_path / "crashed.eval"), tmp_path / "read")
    assert "status started" in lines[1]
    assert "are listed in the log and not there" in lines[2]
    (row,) = analysed(tmp_path / "read").jnds
    assert row.n + row.unfinished == 2
    assert row.unfinished >= 1


def test_a_log_without_pictures_says_so(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=1, out=str(tmp_path / "in")), log_images=False)
    lines = to_run(log.location, tmp_path / "read")
    assert "are not in the log" in lines[1]
    assert held(tmp_path / "read") == held(tmp_path / "in")


def test_an_import_begins_a_run_of_its_own(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=1))
    to_run(log.location, tmp_path / "read")
    with pytest.raises(StoreError, match="is there already"):
        to_run(log.location, tmp_path / "read")


@pytest.mark.parametrize("observer", ["simulated", "demo"])
def test_an_export_is_read_back_as_it_was(tmp_path: Path, observer: str) -> None:
    measured(tmp_path / "run", observer, distortions=("blur", "jpeg"), limit=2)
    (file,) = registry.find("export", "inspect")(tmp_path / "run", tmp_path / "logs")
    to_run(str(file), tmp_path / "read")
    assert held(tmp_path / "read") == held(tmp_path / "run")
    log = read_eval_log(str(file))
    assert log.samples is not None
    different = next(one for one in log.samples if one.metadata["level"])
    assert len(different.attachments) == 2  # its pictures, drawn again and held against the key
    rows = {row.distortion: row for row in analysed(tmp_path / "run").jnds}
    assert metrics(log)["blur/median_jnd"] == rows["blur"].median.level
    assert len(samples_df(str(file))) == len(log.samples)


def test_an_export_without_references_has_its_answers(tmp_path: Path) -> None:
    measured(tmp_path / "run", distortions=("blur",), limit=2, keep_megabytes=0)
    (file,) = registry.find("export", "inspect")(tmp_path / "run", tmp_path / "logs")
    to_run(str(file), tmp_path / "read")
    assert [row.median for row in analysed(tmp_path / "read").jnds] == [
        row.median for row in analysed(tmp_path / "run").jnds
    ]
