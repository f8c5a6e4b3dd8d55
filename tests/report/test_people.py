"""A report of simulated people beside models: tables, figures, JSON, terminal, and names that are markup."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import limen
from limen import participant
from limen.analysis import analyse
from limen.cli.group import main
from limen.report import figures, headline, tables, viewer_data
from limen.report.images import Gallery
from limen.report.report import Report
from limen.report.runs import differences, open_runs
from limen.run import Run
from limen.store import Store
from limen.study import Spec, _people
from tests.support.people import Looker, measured, model, people, person

CONSTANT = {"name": "constant", "levels": [6, 9, 12]}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people, one of whom fails the attention rule, and two models at fixed levels."""
    models = [model("alike", 10.0, own=0.5), model("other", 10.0, spread=0.0, own=3.0)]
    out = tmp_path_factory.mktemp("asked") / "run"
    return measured(out, [*people(11, own=1.0), *models], 8, CONSTANT, failed=("p03",))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same people and models, each in a run of their own, with a procedure that finds thresholds."""
    folder = tmp_path_factory.mktemp("searched")
    models = [model("alike", 10.0, own=0.5), model("other", 10.0, spread=0.0, own=3.0)]
    there = measured(folder / "people", people(11, sd=2.0, own=1.0), 8, {"name": "skip"}, failed=("p03",))
    return there, measured(folder / "models", models, 8, {"name": "skip"})


def test_python_gives_rows(searched: tuple[Path, Path]) -> None:
    run = Run(searched)
    found = run.people()
    assert found is not None
    assert [one.observer for one in found.persons if not one.counted] == ["person:p03"]
    (row,) = found.thresholds
    assert (row.people, row.references, row.left_out) == (10, 8, ("person:p03",))
    assert row.interval is not None
    assert row.interval.low < 10.5 + 1 < row.interval.high + 1
    (spread,) = found.spreads
    assert spread.found is not None
    assert spread.found.person.interval.low < 2.0 < spread.found.person.interval.high
    assert spread.found.reference.interval.low < 3.0 < spread.found.reference.interval.high
    assert spread.found.rest.interval.low < 1.05 < spread.found.rest.interval.high
    assert [one.model for one in found.likeness] == ["alike", "other"]
    assert found.likeness[0].ceiling is not None
    assert run.to_dicts(found.persons)[0]["catches.k"] == 7
    assert "10 x 8" in repr(run)
    assert "people (n = 10)" in repr(run)


def test_the_strength_at_the_median_is_that_of_the_median(searched: tuple[Path, Path]) -> None:
    found = Run(searched).people()
    assert found is not None
    (row,) = found.thresholds
    assert row.median.level != pytest.approx(row.value), "the mean is another level"
    table = tables.first_jnds(Run(searched).analysis)
    (line,) = [dict(zip(table.columns, cells, strict=False)) for cells in table.rows if "people" in " ".join(cells)]
    assert line["at the median"] == f"{row.median.level:g} grey"


def test_draws_that_follow_from_who_is_asked_are_no_difference_of_runs(tmp_path: Path) -> None:
    often = {"name": "psi", "trials": 6, "draws": 0}
    once = measured(tmp_path / "models", [model("alike", 10.0)], 2, often | {"draws": 1})
    people_ = measured(tmp_path / "people", [person("p01", 10.0)], 2, often)
    with ExitStack() as stack:
        assert not differences(open_runs([once, people_], stack)[0])
    other = measured(tmp_path / "other", [model("alike", 10.0)], 2, often | {"draws": 1, "trials": 7})
    with ExitStack() as stack:
        assert "trials 7" in differences(open_runs([people_, other], stack)[0])[0]


def test_a_pressed_button_lacks_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who presses "no" gives no analysis and is asked for none; a model's bare "no" is a deficiency."""
    monkeypatch.setattr("tests.support.people.YES", "<yes>")
    monkeypatch.setattr("tests.support.people.NO", "<no>")
    measured(tmp_path / "run", [person("p01", 10.0), model("alike", 10.0)], 3, {"name": "skip"})
    rows = [row for row in limen.open(tmp_path / "run").trials() if row.key]
    assert {(row.observer, row.fault) for row in rows} == {("person:p01", ""), ("alike", "deficiency")}
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
        names = {("alike", "direct"): "alike", ("person:p01", "direct"): "person:p01"}
        found = viewer_data.data(viewer_data.on_page([(store, analysis)], analysis), analysis, names, Gallery(0))
    words = {lane["name"]: lane["wordings"][0] for lane in found["lanes"]}
    assert words["person:p01"] == 'Is there any noticeable difference in "brighten" between these two images?'
    assert words["alike"] == f"{words['person:p01']} Please return <yes> or <no> with analysis."


def test_a_run_of_models_has_no_people(searched: tuple[Path, Path]) -> None:
    run = Run(searched[1:])
    assert run.people() is None
    with Report.open(searched[1:]) as report:
        assert not any(section.anchor.startswith("people") for section in report.sections)
        assert not any(name.startswith("people") for name in report.data()["together"])
    assert "people" not in repr(run)


def test_sections_stand_where_people_are(asked: Path, searched: tuple[Path, Path]) -> None:
    with Report.open(searched) as report:
        anchors = [section.anchor for section in report.sections]
        assert anchors[:4] == ["people", "people-sur", "people-likeness", "people-sittings"]
        assert report.data()["together"]["people_persons"][2]["counted"] is False
        first = report.sections[0].tables
        assert [table.title for table in first] == [
            "Participants", "People's thresholds", "Spread of people's thresholds"
        ]  # fmt: skip
        drawn = [name for name in report.drawings if name.startswith("people")]
        assert drawn == ["people-satisfied", "people-likeness", "people-times", "people-course-1"]
        for name in drawn:
            for width in (figures.WIDE, figures.NARROW):
                assert "<svg" in figures.svg(report.drawings[name][2](width), name)
    with Report.open([asked]) as report:
        anchors = [section.anchor for section in report.sections]
        assert anchors[:3] == ["people", "people-consistency", "people-sittings"]
        groups, matrix, pairs = report.sections[1].tables
        assert [row[1] for row in groups.rows] == ["people with people", "people with models", "models with models"]
        assert len(matrix.rows) == 13
        assert len(pairs.rows) == 13 * 12 / 2
        assert any(row[-1].endswith("*") for row in pairs.rows), "who failed is marked"
        assert "<svg" in figures.svg(report.drawings["people-consistency-1"][2](figures.WIDE), "")


def test_the_row_of_people_stands_in_the_table_of_shares(asked: Path) -> None:
    table = Run([asked])._table
    assert table.rows[-1][:3] == ("brighten", "people (n = 10)", "10 x 8")
    assert "Without person:p03, who failed the attention rule." in " ".join(table.notes)


def test_the_terminal_and_json_say_the_same(searched: tuple[Path, Path]) -> None:
    runner = CliRunner()
    told = runner.invoke(main, ["fit", *map(str, searched)])
    assert told.exit_code == 0, told.output
    for title in ("Participants", "Spread of people", "Which model sees like people", "Reaction times", "Confidence"):
        assert title in told.output
    data: dict[str, Any] = json.loads(runner.invoke(main, ["fit", *map(str, searched), "--json"]).stdout)
    assert data["people_thresholds"][0]["people"] == 10
    assert data["people_likeness"][0]["model"] == "alike"
    alone = json.loads(runner.invoke(main, ["fit", str(searched[1]), "--json"]).stdout)
    assert not any(name.startswith("people") for name in alone)


def test_the_first_screen_says_models_and_people_apart(searched: tuple[Path, Path]) -> None:
    with Report.open(searched) as report:
        assert report._screen().heading == "Just noticeable differences of 2 models, 11 people"
        assert "of 2 models, 11 people" in " ".join(report.sentences) + headline.sentence(report.all, report.worth)


def test_a_model_named_as_people_are_is_asked_as_models_are() -> None:
    spec = Spec(images=(), observers=())
    assert _people(spec, people(2))
    assert not _people(spec, [model("person:p01", 9.0)])


def test_a_run_of_people_is_bundled_and_verified(searched: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = Run(searched[:1]).bundle(tmp_path / "people.zip")
    assert limen.verify(bundle).sound


def test_names_that_are_markup_and_commands_do_nothing(tmp_path: Path) -> None:
    """A manifest may come from anybody: names of persons and of the rule are text."""
    evil = "person:<img src=x onerror=alert(1)>\u202e=1+1"
    persons = [Looker(evil, participant.fingerprint("x", {}, {}), 9.0), *people(5)]
    run = measured(tmp_path / "run", persons, 5, CONSTANT)
    manifest = run / "manifest.json"
    content = json.loads(manifest.read_text())
    content["people"]["attention"]["name"] = "<script>alert(2)</script>"
    content["people"]["attention"]["share"] = 1.0
    manifest.write_text(json.dumps(content))
    with Report.open([run]) as report:
        report.page(tmp_path / "report.html")
        assert report.statistics.people is not None
        assert not any(one.counted for one in report.statistics.people.persons), "nobody was right about all"
        assert report.statistics.people.thresholds == ()
    page = (tmp_path / "report.html").read_text()
    assert "<img src=x" not in page
    assert "<script>alert(2)" not in page
    assert "failed &lt;script&gt;alert(2)&lt;/script&gt;: left out" in page
    assert "\u202e" not in page


def test_catch_trials_and_sittings_of_nobody_are_no_matter(tmp_path: Path) -> None:
    from limen.store import Store, entries

    run = measured(tmp_path / "run", people(5), 5, CONSTANT)
    with Store.create(run, entries.read(run)) as store:
        store.add_measurements(entries.CATCHES, {"person:ghost/0001": {
            "observer": "person:ghost", "question": "direct", "series": "s", "kind": "identical", "answer": "no",
            "right": False, "at": 1.0, "session": "person:ghost/1",
        }})  # fmt: skip
    found = Run([run]).people()
    assert found is not None
    assert [one.observer for one in found.persons] == [f"person:p0{i}" for i in range(1, 6)]
