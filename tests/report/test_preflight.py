"""The exam and the as-seen floor in the report, beside the JND they belong to."""

from pathlib import Path

import pytest

from limen.preflight import exam
from limen.report import Report, observers, sections
from limen.store import Store
from limen.study import Spec, Study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reached") / "run"
    spec = Spec(images=("demo",), observers=("demo",), distortions=("noise", "qr"), limit=2, procedure={"name": "skip"})
    Study.plan(spec).run(out, examine=exam.keep)
    return out


def test_the_section_shows_exam_and_floor(run: Path) -> None:
    with Report.open([run]) as report:
        section, *_ = sections.of_observers(report.runs, report.apart)
        examined, floors = section.tables
        levels = {o.series.distortion: [] for o in report.all.outcomes}
        for outcome in report.all.outcomes:
            levels[outcome.series.distortion].append(outcome.thresholds[0].level)
    assert examined.rows[0][:2] == ("demo", "passed")
    assert [row[:3] for row in floors.rows] == [("noise", "demo", "2"), ("qr", "demo", "2")]
    for row in floors.rows:
        assert row[3] == "1"
        assert row[5] == str(min(levels[row[0]]))  # the lower of two is their lower median
        assert float(row[6]) == pytest.approx(float(row[7]), abs=0.2)  # the crops have the model's own size


def test_a_processor_that_hides_the_change_is_seen_in_the_table(run: Path) -> None:
    with Report.open([run]) as report, Store.open(run) as store:
        rows = store.measurements("floor")
        hidden = {key: row | {"first": None, "seen_db": [None] * len(row["seen_db"])} for key, row in rows.items()}
        report.runs[0].store.measurements = lambda stage: hidden  # type: ignore[method-assign]
        floors = observers.floors(report.runs, report.apart)
    assert [row[3:5] for row in floors.rows] == [("none", "2 of 2")] * 2
    assert {row[7] for row in floors.rows} == {"equal"}


def test_numbers_go_into_the_json(run: Path, tmp_path: Path) -> None:
    with Report.open([run]) as report:
        (found,) = report.data()["runs"]
        report.page(tmp_path / "page.html")
    assert found["exams"]["demo"]["fit"] is True
    assert {row["series"] for row in found["floors"]} == {o.series.id for o in report.all.outcomes}
    assert "What reached the observer" in (tmp_path / "page.html").read_text()


def test_a_run_that_was_not_examined_says_so(tmp_path: Path) -> None:
    spec = Spec(images=("demo",), observers=("demo",), distortions=("qr",), limit=1, floor=False)
    Study.plan(spec).run(tmp_path / "run")
    with Report.open([tmp_path / "run"]) as report:
        section, *_ = sections.of_observers(report.runs, report.apart)
    assert [table.title for table in section.tables] == ["Exam"]
    assert section.tables[0].rows[0][1] == "not examined"
