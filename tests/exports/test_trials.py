"""Exports of trials: arrays for psignifit, a Psych-DS data set; who took part leaves as an alias only."""

import csv
import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limen.analysis import analyse
from limen.analysis.fitting import fit
from limen.errors import InputError
from limen.ladder import Ladder
from limen.participant import fingerprint
from limen.people.recording import RecordedAnswer, Recording, series_of, unmade
from limen.people.recording import write as record
from limen.question import find
from limen.source import Source
from limen.store import Store
from limen.store.entries import CATCHES, SITTINGS
from tests.imports.tables import answers, bring, facts, send, write
from tests.support.command import limen as command
from tests.support.people import measured, model, people

SAID = {
    ("p01", "a.png"): ("no", "no", "yes", "yes"),
    ("p01", "b.png"): ("no", "yes", "yes", "yes"),
    ("p02", "a.png"): ("yes", "no", "yes", "yes"),
    ("p02", "b.png"): ("no", "yes", "no", "yes"),
}
NAME = re.compile(r"([a-z]+-[a-zA-Z0-9]+)(_[a-z]+-[a-zA-Z0-9]+)*_data\.(csv|json)")  # Psych-DS's rule, csv only


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [row | {"strength": 10 * row["level"], "unit": "dB"} for row in answers(SAID, distortion="fog")]
    rows = [row | {"at": 1777888800 + 2.5 * place, "reaction_time_ms": 700} for place, row in enumerate(rows)]
    bring("trials", write(tmp_path / "of-a-clinic.csv", rows), tmp_path / "run")
    return tmp_path / "run"


def table(file: Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# --- names ---


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    """Return a run whose distortions and observers differ in what names of files drop."""
    people, models = ("p1", "P-2", "p_2"), ("subject-p1", "p.2", "P.2", "p1 noise")
    rows = [
        row | {"kind": "person" if who in people else "model"}
        for name in ("noise_1", "noise-1", "noise 1", "Noise-1")
        for who in (*people, *models)
        for row in answers({(who, one): ("no", "yes", "yes") for one in "ab"}, distortion=name)
    ]
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "unlike")
    return tmp_path / "unlike"


@pytest.mark.parametrize("kind", ["model-vs-human", "psignifit", "psych-ds"])
def test_no_two_tables_have_one_file(unlike: Path, tmp_path: Path, kind: str) -> None:
    files = send(kind, unlike, tmp_path / "ex")
    assert len(files) == len({str(file).lower() for file in files})
    if kind == "model-vs-human":
        assert sum(len(table(file)) for file in files) == 4 * 7 * 6
        assert len({(file.parent, row["subj"]) for file in files for row in table(file)}) == 4 * 7


@pytest.mark.parametrize(("kind", "back"), [("model-vs-human", "model-vs-human"), ("psych-ds", "trials")])
def test_what_names_of_files_drop_comes_back(unlike: Path, tmp_path: Path, kind: str, back: str) -> None:
    send(kind, unlike, tmp_path / "ex")
    (line,) = bring(back, tmp_path / "ex", tmp_path / "again")
    assert f"{4 * 7 * 6} answers of 3 participants and 4 models about 8 series" in line


@pytest.mark.parametrize("kind", ["model-vs-human", "psignifit", "psych-ds"])
def test_a_person_and_a_model_of_one_name_have_files_of_their_own(tmp_path: Path, kind: str) -> None:
    fog, asked = unmade("fog", "fog", Ladder((1.0, 2.0), "m"), "a laboratory"), find("direct")
    rows = [series_of("trials", "t.csv", fog, "a.png", picture) for picture in ("aa" * 16, "bb" * 16)]  # as of two
    who = {"person:p1": fingerprint("p1", {}, {}), "p1": {"kind": "imported"}}  # sources
    told = [RecordedAnswer(one, asked, row, 1, "<yes>", draw=n) for one in who for n, row in enumerate(rows)]
    source = Source("trials", lambda path: iter(()), "", "", "", "", False)
    record(tmp_path / "run", Recording(source, "t.csv", who, (fog,), (asked,), rows, told))
    files = send(kind, tmp_path / "run", tmp_path / "ex")
    assert len(files) == len(set(files))
    if kind == "model-vs-human":
        assert sorted(row["subj"] for file in files for row in table(file)) == ["p1", "p1", "subject-p1", "subject-p1"]
        bring(kind, tmp_path / "ex", tmp_path / "again")
        assert {fact[3] for fact in facts(tmp_path / "again")} == {"a.png", "a.png #2"}


# --- psignifit ---


def test_arrays_are_n_by_3_and_numpy_reads_them(run: Path, tmp_path: Path) -> None:
    files = send("psignifit", run, tmp_path / "ex")
    index = table(files[0])
    assert len(index) == len(files) - 1 == 12  # two people, all references and two: three arrays each, in two units
    found = {(row["observer"], row["reference"], row["x"]): row["file"] for row in index}
    array = np.loadtxt(tmp_path / "ex" / found["p01", "", "levels"], delimiter=",", ndmin=2)
    assert array.tolist() == [[1, 0, 2], [2, 1, 2], [3, 2, 2], [4, 2, 2]]
    array = np.loadtxt(tmp_path / "ex" / found["p02", "b.png", "strengths"], delimiter=",", ndmin=2)
    assert array.tolist() == [[10, 0, 1], [20, 1, 1], [30, 0, 1], [40, 1, 1]]
    assert {(row["kind"], row["experiment"], row["distortion"]) for row in index} == {("person", "yes/no", "fog")}
    assert {row["unit"] for row in index} == {"level", "dB"}


def test_a_model_s_forced_choice_says_its_task(tmp_path: Path, photos: Path) -> None:
    constant = ("--procedure", "constant", "-P", "every=10", "--question", "odd-one-out-3")
    options = ("--observer", "simulated", "--distortion", "blur", "--limit", 2, *constant)
    assert command("measure", "--images", photos, *options, "--out", tmp_path / "run").returncode == 0
    index = table(send("psignifit", tmp_path / "run", tmp_path / "ex")[0])
    assert {(row["observer"], row["kind"], row["experiment"]) for row in index} == {("simulated", "model", "3AFC")}
    array = np.loadtxt(tmp_path / "ex" / index[0]["file"], delimiter=",", ndmin=2)
    assert array[:, 0].tolist() == [10, 20, 30, 40, 50]
    assert (array[:, 2] == 2).all()
    assert (array[:, 1] <= array[:, 2]).all()


def test_names_that_are_alike_on_disk_stay_apart(tmp_path: Path) -> None:
    rows = answers({("p_1", "a/b.png"): ("yes",), ("p-1", "a b.png"): ("no",), ("p1", "../x"): ("no",)})
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    for kind in ("psignifit", "psych-ds", "model-vs-human"):
        files = send(kind, tmp_path / "run", tmp_path / kind)
        assert len({str(file).lower() for file in files}) == len(files)
        assert all(file.resolve().is_relative_to((tmp_path / kind).resolve()) for file in files)
        assert all(file.is_file() for file in files)


# --- Psych-DS ---


def test_the_data_set_is_as_psych_ds_wants_it(run: Path, tmp_path: Path) -> None:
    files = send("psych-ds", run, tmp_path / "set")
    about = json.loads((tmp_path / "set" / "dataset_description.json").read_text())
    assert (about["@context"], about["@type"]) == ("http://schema.org/", "Dataset")
    assert about["name"] == "run"
    assert "16 answers of 2 people" in about["description"]
    described = {one["name"] for one in about["variableMeasured"]}
    data = [file for file in files if file.parent.name == "data"]
    assert len(data) == 8  # of two people, of levels and of participants
    columns = set[str]()
    for file in data:
        assert NAME.fullmatch(file.name)
        if file.suffix == ".csv":
            beside = json.loads(file.with_suffix(".json").read_text())
            assert [one["name"] for one in beside["variableMeasured"]] == list(table(file)[0])
            columns |= set(table(file)[0])
    assert columns == described


def same(run: Path, again: Path) -> None:
    """Hold a run that was exported and imported against what it was."""
    assert facts(again) == facts(run)
    with Store.open(run) as one, Store.open(again) as other:
        assert sorted(row.id for row in one.series()) == sorted(row.id for row in other.series())
        kinds, others = one.manifest["distortions"], other.manifest["distortions"]
        assert {name: kind["ladder"] for name, kind in kinds.items()} == {
            name: kind["ladder"] for name, kind in others.items()
        }
        before, after = ({c.observer: repr(c.t50) for c in fit(analyse(store))} for store in (one, other))
        assert before == after


def test_the_data_set_is_read_back_whole(run: Path, tmp_path: Path) -> None:
    send("psych-ds", run, tmp_path / "set")
    bring("trials", tmp_path / "set", tmp_path / "again")
    same(run, tmp_path / "again")


def test_people_who_saw_unlike_levels_come_back_with_the_same_ladder(tmp_path: Path) -> None:
    """p01 saw levels 2 and 4 of a ladder that is no line, p02 1 and 3: no file alone holds all strengths."""
    rows = [
        {"participant": who, "reference": f"{name}.png", "level": k, "answer": answer, "strength": 0.3 * k**3,
         "unit": "mm", "distortion": "fog"}
        for who, levels in (("p01", (2, 4)), ("p02", (1, 3)))
        for name in "abc"
        for k, answer in zip(levels, ("no", "yes"), strict=True)
    ]  # fmt: skip
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    files = send("psych-ds", tmp_path / "run", tmp_path / "set")
    bring("trials", tmp_path / "set", tmp_path / "again")
    same(tmp_path / "run", tmp_path / "again")
    (alone,) = (file for file in files if file.name.endswith("subject-p01_data.csv"))
    bring("trials", alone, tmp_path / "alone")
    with Store.open(tmp_path / "run") as one, Store.open(tmp_path / "alone") as other:
        assert one.manifest["distortions"]["fog"]["ladder"] == other.manifest["distortions"]["fog"]["ladder"]


def test_forced_choices_come_back_as_right_or_wrong(tmp_path: Path, photos: Path) -> None:
    """By the places that limen drew, and by right and wrong alone, the same answers give the same fit."""
    options = ("--observer", "simulated", "--distortion", "blur", "--limit", 3, "--question", "odd-one-out-3")
    fixed = ("--procedure", "constant", "-P", "levels=5,10,15,20,25,30", "-P", "draws=2", "--out", tmp_path / "run")
    assert command("measure", "--images", photos, *options, *fixed).returncode == 0
    send("psych-ds", tmp_path / "run", tmp_path / "set")
    bring("trials", tmp_path / "set", tmp_path / "again")
    same(tmp_path / "run", tmp_path / "again")
    with Store.open(tmp_path / "run") as one, Store.open(tmp_path / "again") as other:
        assert {trial.answer.text for trial in other.trials() if trial.answer is not None} == {"correct", "wrong"}
        (before,), (after,) = fit(analyse(one)), fit(analyse(other))
    assert before.forced is after.forced is True
    assert before.picks is not None
    assert after.picks is None  # nobody says where the stimulus stood


def test_as_many_answers_to_one_pair_as_are_imported_come_back(tmp_path: Path) -> None:
    rows = [{"participant": "p01", "reference": "a.png", "level": 1, "answer": "yes"}] * 1_205
    bring("trials", write(tmp_path / "t.csv", rows), tmp_path / "run")
    send("psych-ds", tmp_path / "run", tmp_path / "set")
    assert bring("trials", tmp_path / "set", tmp_path / "again")[0].startswith("set: 1,205 answers")


def test_who_failed_the_attention_rule_leaves_as_one_who_failed(tmp_path: Path) -> None:
    measured(tmp_path / "run", people(4), references=3, failed=("p03",))
    files = send("psych-ds", tmp_path / "run", tmp_path / "set")
    (file,) = (one for one in files if one.name.endswith("participants_data.csv"))
    rows = {row["participant"]: row for row in table(file)}
    assert {name: row["attention"] for name, row in rows.items()} == {
        "p01": "passed", "p02": "passed", "p03": "failed", "p04": "passed",
    }  # fmt: skip
    of = rows["p03"]
    assert (of["catch_trials"], of["catch_trials_right"], of["attention_rule"]) == ("8", "4", "catch")
    for name in ("README.md", "dataset_description.json"):
        text = (tmp_path / "set" / name).read_text()
        assert "75 % or more of catch trials right" in text
        assert "1 of 4 people failed it" in text
    lines = bring("trials", tmp_path / "set", tmp_path / "again")
    assert lines[1].startswith("Failed the attention rule where they were asked, and counted here: p03.")
    index = table(send("psignifit", tmp_path / "run", tmp_path / "arrays")[0])
    assert {(row["observer"], row["attention"]) for row in index} == {
        (name, row["attention"]) for name, row in rows.items()
    }


OFFICIAL = {"study", "site", "subject", "session", "task", "condition", "trial", "stimulus", "description"}


def test_tables_are_named_by_keywords_that_psych_ds_knows(tmp_path: Path) -> None:
    """A participant and a model of one name are two subjects."""
    measured(tmp_path / "run", [*people(2), model("p01", 10)], references=3)
    tables = [file for file in send("psych-ds", tmp_path / "run", tmp_path / "set") if file.suffix == ".csv"]
    named = [dict(part.split("-") for part in file.stem.split("_")[:-1]) for file in tables]
    assert {keyword for name in named for keyword in name} <= OFFICIAL
    assert all(file.name.endswith("_data.csv") for file in tables)
    assert sorted(name["subject"] for name in named if "subject" in name) == ["modelp01", "p01", "p02"]


def test_a_model_is_exported_as_a_model(tmp_path: Path, photos: Path) -> None:
    options = ("--observer", "simulated", "--distortion", "blur", "--limit", 2, "--out", tmp_path / "run")
    assert command("measure", "--images", photos, *options).returncode == 0
    files = send("psych-ds", tmp_path / "run", tmp_path / "set")
    (file,) = (one for one in files if one.suffix == ".csv" and "_subject-modelsimulated_" in one.name)
    assert not [one for one in files if "participants" in one.name]
    assert {row["kind"] for row in table(file)} == {"model"}
    bring("trials", file, tmp_path / "again")
    assert facts(tmp_path / "again") == facts(tmp_path / "run")
    with Store.open(tmp_path / "run") as one, Store.open(tmp_path / "again") as other:
        assert [row.id for row in one.series()] == [row.id for row in other.series()]


# --- what leaves ---


@pytest.mark.parametrize("kind", ["psignifit", "psych-ds", "model-vs-human"])
def test_neither_the_day_nor_a_path_nor_a_screen_leaves(run: Path, tmp_path: Path, kind: str) -> None:
    files = send(kind, run, tmp_path / "ex")
    everything = "\n".join(f"{file.relative_to(tmp_path)}\n{file.read_text()}" for file in files)
    assert not [word for word in ("1777888", "2026", str(tmp_path), "screen", "of-a-clinic") if word in everything]
    assert "p01" in everything
    assert "person:" not in everything


def test_an_anonymous_bundle_of_them_has_no_hour(run: Path, tmp_path: Path) -> None:
    catch: dict[str, Any] = {
        "observer": "person:p01",
        "question": "direct",
        "series": "s",
        "kind": "identical",
        "answer": "no",
    }
    catch |= {"right": True, "at": 1777888830.0, "session": "person:p01/1"}
    with Store.open(run) as store:
        manifest, (sitting, _) = store.manifest, store.measurements(SITTINGS).values()
    with Store.create(run, manifest) as store:
        store.add_measurements(CATCHES, {"person:p01/0001": catch})
        gap = [1777888810.0, 1777888840.0]
        store.add_measurements(SITTINGS, {"person:p01/1": sitting | {"ended": 1777888900.0, "gaps": [gap]}})
    done = command("bundle", run, "--out", tmp_path / "people.zip", "--anonymous")
    assert done.returncode == 0, done.stderr
    assert command("verify", tmp_path / "people.zip").returncode == 0
    with ZipFile(tmp_path / "people.zip") as bundle:
        lines = bundle.read("runs/1/measurement.jsonl").decode()
    assert "17778888" not in lines
    assert "17778889" not in lines
    midnight = 1777888800 - 1777888800 % 86400
    assert f"{midnight + 100}.0" in lines  # a sitting is as long as it was
    files = send("psych-ds", run, tmp_path / "set")
    assert len(files) == 10


def test_times_within_a_sitting_stay(run: Path, tmp_path: Path) -> None:
    files = [file for file in send("psych-ds", run, tmp_path / "set") if "p01_data.csv" in file.name]
    assert [row["at"] for row in table(files[0])[:3]] == ["0.0", "2.5", "5.0"]
    assert {row["reaction_time_ms"] for row in table(files[0])} == {"700.0"}


def test_without_times_none_are_made_up(tmp_path: Path) -> None:
    bring("trials", write(tmp_path / "t.csv", answers(SAID)), tmp_path / "run")
    (file, *_) = (one for one in send("psych-ds", tmp_path / "run", tmp_path / "set") if one.suffix == ".csv")
    assert {row["at"] for row in table(file)} == {""}


@pytest.mark.parametrize("kind", ["psignifit", "psych-ds", "model-vs-human"])
def test_a_run_without_answers_is_told(tmp_path: Path, kind: str) -> None:
    rows = [{"image_id": "a.png", "Compression type": "JPEG", "ratings": "[40]"}]
    bring("konjnd", write(tmp_path / "subjective_ratings.csv", rows), tmp_path / "run")
    with pytest.raises(InputError, match="holds no answer to export"):
        send(kind, tmp_path / "run", tmp_path / "ex")


@pytest.mark.parametrize("kind", ["psignifit", "psych-ds", "model-vs-human"])
def test_a_folder_that_cannot_be_written_is_told(run: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    done = command("export", run, "--to", kind, "--out", tmp_path / "file")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=20),
        min_size=1, max_size=3, unique=True,
    )
)  # fmt: skip
def test_hostile_names_run_nothing_and_come_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    names = list(dict.fromkeys(name.lstrip("'") or "x" for name in names))
    rows: list[dict[str, Any]] = answers({("p01", name): ("yes", "no") for name in names})
    bring("trials", write(folder / "t.csv", rows), folder / "run")
    for kind in ("psignifit", "psych-ds", "model-vs-human"):
        for file in send(kind, folder / "run", folder / kind):
            if file.suffix == ".csv" and "levels" not in file.parts and "strengths" not in file.parts:
                cells = [cell for row in table(file) for cell in row.values()]
                assert not [cell for cell in cells if cell[:1] in ("=", "+", "@")]
    bring("model-vs-human", folder / "model-vs-human", folder / "again")
    assert facts(folder / "again", strengths=False) == facts(folder / "run", strengths=False)
