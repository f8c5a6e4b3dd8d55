"""Trial CSVs of model-vs-human: as the repository has them, and those that limen writes."""

import csv
from pathlib import Path
from typing import Any

import pytest

from limen.errors import InputError
from limen.imports.model_vs_human import EXPERIMENTS, short
from limen.parsing.yes_no import Flag
from limen.store import Store
from tests.imports.tables import answers, bring, facts, read, send, write
from tests.support.command import limen as command


def trial(number: int, response: str, category: str, condition: str, of: str, **more: Any) -> dict[str, Any]:
    """Return a row; the picture's name is made as those of the repository are."""
    image = f"{number:04}_cop_s01_{condition}_{category}_10_{of}"
    first = {"subj": "subject-01", "Session": 1, "trial": number, "rt": 0.85, "object_response": response}
    return first | {"category": category, "condition": condition, "imagename": image} | more


PERSON = [
    trial(1, "knife", "knife", "c30", "n03041632_7380.png"),
    trial(2, "bicycle", "bicycle", "c100", "n03792782_5966.png"),
    trial(3, "airplane", "bird", "c01", "n01601694_10802.png"),
    trial(4, "na", "cat", "c05", "n02123159_5487.png"),
]
MODEL = [row | {"subj": "resnet50", "rt": "NaN"} for row in PERSON[:3]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    raw = tmp_path / "raw-data"
    write(raw / "contrast" / "contrast_subject-01_session_1.csv", PERSON)
    write(raw / "contrast" / "contrast_resnet50_session-1.csv", MODEL)
    return raw


def test_people_and_models_stand_in_one_run(folder: Path, tmp_path: Path) -> None:
    lines = bring("model-vs-human", folder, tmp_path / "run")
    assert lines[0].startswith("raw-data: 6 answers of 1 participant and 1 model about 3 series, 1 left out")
    analysis, trials = read(tmp_path / "run")
    assert {name: about["kind"] for name, about in analysis.manifest.observers.items()} == {
        "person:01": "person", "resnet50": "imported",
    }  # fmt: skip
    kind = analysis.manifest.distortions["contrast"]
    assert (list(kind.strengths), kind.unit) == ([50, 30, 15, 10, 5, 3, 1], "%")
    said = {fact[3]: (fact[5], fact[7]) for fact in facts(tmp_path / "run") if fact[0] == "person:01"}
    assert said == {
        "n03041632_7380.png": (2, Flag.NO),
        "n03792782_5966.png": (0, Flag.NO),
        "n01601694_10802.png": (7, Flag.YES),
    }
    assert all("of " in (one.answer.text if one.answer else "") for one in trials)
    with Store.open(tmp_path / "run") as store:
        assert {one.reaction_time_ms for one in store.presentations()} == {850.0}
        assert {one.session for one in store.presentations()} == {"person:01/1"}


def test_errors_without_any_distortion_are_what_false_alarms_are(folder: Path, tmp_path: Path) -> None:
    bring("model-vs-human", folder, tmp_path / "run")
    analysis, _ = read(tmp_path / "run")
    assert {(one.observer, one.false_alarms_clean.k, one.false_alarms_clean.n) for one in analysis.answers} == {
        ("person:01", 0, 1), ("resnet50", 0, 1),
    }  # fmt: skip


def shortened(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    names = ("x_dog_1.png", "x_cat_1.png")
    both = [one | {"imagename": name} for one, name in zip(rows, names, strict=True)]
    return write(tmp_path / "fog" / "fog_subject-01_session_1.csv", both)


def test_names_that_are_shortened_to_one_are_told(tmp_path: Path) -> None:
    file = shortened(tmp_path, trial(1, "dog", "dog", "3", ""), trial(2, "cat", "dog", "3", ""))
    _, line = bring("model-vs-human", file, tmp_path / "run")
    assert line.startswith("1 picture was answered twice or more by one observer in one condition: taken as repeated")
    assert "'x_dog_1.png' and 'x_cat_1.png' are both '1.png'" in line


def test_names_that_are_shortened_to_one_are_refused_where_they_show_unlike_things(tmp_path: Path) -> None:
    file = shortened(tmp_path, trial(1, "dog", "dog", "3", ""), trial(2, "cat", "cat", "4", ""))
    with pytest.raises(InputError, match=r"line 3: 'x_cat_1\.png' shows 'cat', and 'x_dog_1\.png' 'dog' in .* line 2"):
        bring("model-vs-human", file, tmp_path / "run")


def test_two_questions_that_are_read_as_one_are_kept_apart(tmp_path: Path) -> None:
    for asked in ("answer-changes", "answer-wrong"):
        name = f"fog.{asked}"
        write(tmp_path / "raw" / name / f"{name}_subject-01_session-1.csv", [trial(1, "1", "1", "3", "a.png")])
    assert len(bring("model-vs-human", tmp_path / "raw", tmp_path / "run")) == 1  # no repeated looks
    analysis, trials = read(tmp_path / "run")
    assert set(analysis.manifest.distortions) == {"fog.answer-changes", "fog.answer-wrong"}
    assert [one.draw for one in trials] == [0, 0]


def test_every_condition_of_an_experiment_has_a_strength() -> None:
    for name, one in EXPERIMENTS.items():
        assert len(one.conditions) == len(one.strengths) > 0, name
        assert one.neutral not in one.conditions


@pytest.mark.parametrize(
    ("image", "own"),
    [
        ("0000_cl_s01_bw_boat_40_n02951358_5952.JPEG", "n02951358_5952.JPEG"),
        ("airplane1-bicycle2.png", "airplane1-bicycle2.png"),
        ("0001_sk_s01_0_car_10_sketch12.png", "sketch12.png"),
        ("0001_limen_blur.direct_3_00_a%5Fb%2Fc.png", "a_b/c.png"),
    ],
)
def test_a_picture_is_known_by_its_own_name(image: str, own: str) -> None:
    """The first two are the examples in the toolbox's own test of its function."""
    assert short(image) == own


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"condition": "c31"}, "line 3: 'c31' is no condition of 'contrast'. Give one of: c100, c50"),
        ({"trial": 1}, "line 3: trial 1 of 'subject-01' comes after trial 1"),
        ({"rt": "-1"}, "line 3: rt '-1' is no reaction time"),
        ({"rt": "soon"}, "line 3: rt 'soon' is no reaction time"),
        ({"Session": "one"}, "line 3: session cannot be 'one'"),
        ({"subj": "subject-Jane Doe"}, "line 3: 'Jane Doe' cannot be an alias"),
        ({"subj": "person:p01"}, "line 3: 'person:p01' cannot be a model's name: person: and published: stand before"),
        ({"object_response": "<b>"}, "line 3: object_response cannot be '<b>'"),
    ],
)
def test_a_row_that_does_not_fit_is_named(folder: Path, tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    rows = [PERSON[0], PERSON[1] | changed]
    write(folder / "contrast" / "contrast_subject-01_session_1.csv", rows)
    with pytest.raises(InputError) as caught:
        bring("model-vs-human", folder, tmp_path / "run")
    assert str(caught.value).startswith(f"contrast_subject-01_session_1.csv {told}")


def test_a_session_that_is_there_twice_is_named(folder: Path, tmp_path: Path) -> None:
    write(folder / "contrast" / "contrast_subject-01_session_2.csv", PERSON)
    with pytest.raises(InputError, match="line 2: 'subject-01' has a session 1 in contrast_subject-01_session_1.csv"):
        bring("model-vs-human", folder, tmp_path / "run")


def test_conditions_without_an_order_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "mine" / "mine_subject-01_session_1.csv", PERSON)
    with pytest.raises(InputError, match=r"'c30' has no place in an order.*trials=FILE.csv"):
        bring("model-vs-human", tmp_path / "mine", tmp_path / "run")


def test_an_empty_folder_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is no CSV file in it"):
        bring("model-vs-human", tmp_path / "empty", tmp_path / "run")
    with pytest.raises(InputError, match="no such file or folder"):
        bring("model-vs-human", tmp_path / "none", tmp_path / "run")


def test_export_and_import_give_the_same_trials(tmp_path: Path) -> None:
    rows = answers({("p01", "a_b.png"): ("no", "yes"), ("p-2", "sub/c.png"): ("yes", "yes")}, distortion="fog")
    rows = [row | {"reaction_time_ms": 400 + 50 * place, "session": 2} for place, row in enumerate(rows)]
    more = [rows[0] | {"against": 1, "level": 2}, rows[0] | {"level": 0}, rows[0] | {"answer": "yes"}]
    bring("trials", write(tmp_path / "t.csv", [*rows, *more]), tmp_path / "run")
    send("model-vs-human", tmp_path / "run", tmp_path / "raw")
    bring("model-vs-human", tmp_path / "raw", tmp_path / "again")
    assert facts(tmp_path / "again", strengths=False) == facts(tmp_path / "run", strengths=False)
    assert len(facts(tmp_path / "run")) == 7


def test_a_run_of_a_model_goes_out_and_comes_back(tmp_path: Path, photos: Path) -> None:
    run = tmp_path / "run"
    measured = ("--observer", "simulated", "--distortion", "blur", "--limit", 2, "--question", "same-different")
    assert command("measure", "--images", photos, *measured, "--out", run).returncode == 0
    send("model-vs-human", run, tmp_path / "raw")
    bring("model-vs-human", tmp_path / "raw", tmp_path / "again")
    assert facts(tmp_path / "again", strengths=False) == facts(run, strengths=False)
    assert {fact[1] for fact in facts(run)} == {"same-different"}


def test_a_forced_choice_goes_out_as_places_and_comes_back_as_right_or_wrong(tmp_path: Path, photos: Path) -> None:
    run = tmp_path / "run"
    measured = ("--observer", "simulated", "--distortion", "blur", "--limit", 1, "--question", "odd-one-out-3")
    assert command("measure", "--images", photos, *measured, "--out", run).returncode == 0
    send("model-vs-human", run, tmp_path / "raw")
    bring("model-vs-human", tmp_path / "raw", tmp_path / "again")
    assert set(facts_of(run).values()) == {Flag.YES, Flag.NO}
    assert facts_of(tmp_path / "again") == facts_of(run)
    analysis, trials = read(tmp_path / "again")
    assert list(analysis.questions) == ["odd-one-out-3"]
    assert {one.answer.text for one in trials if one.answer is not None} == {"correct", "wrong"}


def test_a_question_that_is_not_known_is_not_read_upside_down(tmp_path: Path) -> None:
    image = "0001_limen_fog.mine_3_00_a.png"
    row = trial(1, "B", "B", "3", "a.png") | {"imagename": image}
    file = write(tmp_path / "raw" / "fog.mine" / "fog.mine_subject-01_session-1.csv", [row])
    with pytest.raises(InputError, match=r"line 2: limen wrote it with the question 'mine', which is not known here"):
        bring("model-vs-human", file, tmp_path / "run")
    row |= {"imagename": image.replace("mine", "direct"), "object_response": "perhaps"}
    file = write(tmp_path / "raw" / "fog.direct" / "fog.direct_subject-01_session-1.csv", [row])
    with pytest.raises(InputError, match=r"line 2: 'perhaps' is no answer to 'direct'.*yes or no is right"):
        bring("model-vs-human", file, tmp_path / "run")


def test_categories_go_out_and_come_back(tmp_path: Path) -> None:
    rows = [trial(1, "dog", "dog", "c100", "a.png"), trial(2, "cat", "dog", "c10", "a.png")]
    bring("model-vs-human", write(tmp_path / "contrast" / "contrast_subject-01_session_1.csv", rows), tmp_path / "run")
    (file,) = send("model-vs-human", tmp_path / "run", tmp_path / "raw")
    with open(file, newline="") as stream:
        assert [(row["object_response"], row["category"]) for row in csv.DictReader(stream)] == [
            ("dog", "dog"), ("cat", "dog"),
        ]  # fmt: skip
    bring("model-vs-human", tmp_path / "raw", tmp_path / "again")
    send("psych-ds", tmp_path / "run", tmp_path / "set")
    bring("trials", tmp_path / "set", tmp_path / "third")
    before = facts(tmp_path / "run", strengths=False)
    for place in ("again", "third"):
        assert facts(tmp_path / place, strengths=False) == before


def facts_of(run: Path) -> dict[tuple[int, int, int], Flag]:
    analysis, _ = read(run)
    return {
        (one.probe.reference, one.probe.level, one.probe.draw): one.verdict.flag
        for outcome in analysis.outcomes
        for one in outcome.responses
        if one.asked
    }
