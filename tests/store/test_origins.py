"""A model that changes under the run: told while it runs, at its end, beside the numbers, in the page and in JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from limen import cli
from limen.analysis import analyse
from limen.observer import Reply
from limen.preflight import exam
from limen.question import Query
from limen.report import origins
from limen.report.build import Report
from limen.store import Store
from limen.study import Spec, Study
from limen.trial import Answer, Attempt
from tests.support.toy import Toy

SPEC = Spec(images=("demo",), observers=("simulated",), distortions=("noise",), limit=3, floor=False)


class Router(Toy):
    """Answers no, under the name and with the fingerprint that it has at its n-th question."""

    def __init__(self, names: Any, systems: Any = lambda n: "") -> None:
        super().__init__(lambda query: "<no> The two images look the same.", concurrency=1)
        self._names, self._systems, self.count = names, systems, 0

    async def answer(self, query: Query) -> Reply:
        self.count += 1
        reply = await super().answer(query)
        assert reply.answer is not None
        answer: Answer = dataclasses.replace(reply.answer, model=self._names(self.count))
        return Reply(answer, (Attempt("ok", self._systems(self.count)),))


def run(out: Path, observer: Toy, limit: int = 3) -> list[str]:
    """Measure, and return what was told meanwhile."""
    plan = Study.plan(Spec(**{name: getattr(SPEC, name) for name in SPEC.__struct_fields__} | {"limit": limit}))
    return dataclasses.replace(plan, observers=(observer,)).run(out).notices


def later(n: int) -> str:
    return "old-1" if n <= 20 else "new-2"


def test_a_second_name_is_told_once_while_it_runs(tmp_path: Path) -> None:
    told = run(tmp_path / "run", Router(later))
    assert len(told) == 1
    assert told[0].startswith("toy: answers now come from new-2, before from old-1")


def test_a_second_name_after_a_resume_is_told(tmp_path: Path) -> None:
    assert not run(tmp_path / "run", Router(lambda n: "old-1"), limit=1)
    told = run(tmp_path / "run", Router(lambda n: "new-2"), limit=2)
    assert len(told) == 1
    with Store.open(tmp_path / "run") as store:
        assert "no series has answers of more than one" in origins.warnings(analyse(store))[0]


def test_it_stands_beside_the_numbers_in_the_page_and_in_json(tmp_path: Path) -> None:
    run(tmp_path / "run", Router(later))
    with Report.open([tmp_path / "run"]) as report:
        (found,) = report.data()["runs"]
        report.page(tmp_path / "page.html", embed=0)
        drawn = json.dumps(report.card())
    assert [(one["what"], one["said"]) for one in found["models"]] == [("model", "old-1"), ("model", "new-2")]
    assert [one["answers"] for one in found["models"]] == [20, 34]
    assert len(found["mixed"]) == 1
    (warning,) = found["warnings"]
    assert warning.startswith("toy: the model changed under the run (old-1: 20 from 20")
    assert f"1 series have answers of more than one (noise {found['mixed'][0]['reference']})" in warning
    page = (tmp_path / "page.html").read_text()
    assert page.count("toy: the model changed under the run") >= 2  # at the top, and under the table
    assert "Who answered" in page
    assert "the model changed under" in drawn


def test_measure_says_it_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limen.observers.simulated.Simulated.answer", Router(later).answer)
    command = "measure --images demo --limit 3 --distortion noise --observer simulated --no-exam --json --out"
    assert cli.run([*command.split(), str(tmp_path / "run")]) == 0
    told = capfd.readouterr()
    assert "warning: simulated: the model changed under the run" in told.err
    assert json.loads(told.out)["warnings"]
    assert cli.run(["fit", str(tmp_path / "run")]) == 0
    assert "! simulated: the model changed under the run" in capfd.readouterr().out


def test_a_fingerprint_alone_is_a_weaker_word(tmp_path: Path) -> None:
    assert not run(tmp_path / "run", Router(lambda n: "one", lambda n: "fp_a" if n < 9 else "fp_b"))
    with Store.open(tmp_path / "run") as store:
        (line,) = origins.warnings(analyse(store))
        assert not store.mixed()
    assert "fp_a: 8 from" in line
    assert "need not be another model" in line


def test_a_model_that_stays_is_no_news(tmp_path: Path) -> None:
    run(tmp_path / "run", Router(lambda n: "one", lambda n: "fp"))
    with Report.open([tmp_path / "run"]) as report:
        assert not origins.warnings(report.all)
        assert not origins.answering(report.all).rows
        assert "warning" not in json.dumps(report.card())


def test_the_name_that_answered_the_exam_counts(tmp_path: Path) -> None:
    run(tmp_path / "run", Router(lambda n: "new-2"))
    asked = exam.ExamTrial("pair", [], 0, Answer("<no>", model="old-1"), (Attempt("ok", "fp"),))
    row = {"observer": "toy", "at": "2020-01-01T00:00:00+00:00"} | dataclasses.asdict(asked)
    with Store.create(tmp_path / "run", {}) as store:
        store.add_measurements("exam", {"toy pair": row, "an earlier one": row | {"at": "2019-01-01T00:00:00+00:00"}})
        store.amend(exams={"toy": {"at": row["at"], "version": 1, "fingerprint": ""}})
    with Store.open(tmp_path / "run") as store:
        found = [(one.said, one.answers) for one in store.origins()]
        (line,) = origins.warnings(analyse(store))
    assert found[0] == ("old-1", 1)
    assert "old-1: 1 from 2020-01-01 00:00:00 UTC; new-2: " in line
