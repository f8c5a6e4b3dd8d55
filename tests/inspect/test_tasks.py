"""limen/jnd and limen/ask ask what `limen measure` asks, and find what it finds."""

import math
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval_retry
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.analysis import samples_df
from inspect_ai.log import EvalLog, read_eval_log

import limen
from limen.analysis import Analysis
from limen.image import png
from limen.inspect.scoring import thresholds, value_of
from limen.inspect.tasks import ask, jnd
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from tests.inspect.evaluation import Evaluate, Faulty

pytestmark = pytest.mark.inspect

NINE = {"images": "demo", "distortion": ["blur", "jpeg", "noise"], "limit": 3}  # series
PROCEDURES = [
    ("scan", {}), ("skip", {"orders": 0}), ("certify", {}), ("bisect", {}), ("constant", {"levels": [5, 20, 40]}),
    ("psi", {"trials": 12}),
]  # fmt: skip


def measured(out: Path, observer: str = "simulated", **changes: Any) -> Analysis:
    spec = {"images": ("demo",), "distortions": ("blur", "jpeg", "noise"), "limit": 3, "exam": False, "floor": False}
    Study.plan(Spec(**{**spec, "observers": (observer,), **changes})).run(out)
    return analysed(out)


def analysed(run: Path) -> Analysis:
    with Store.open(run) as store:
        return limen.analyse(store)


def facts(run: Path, ignored: str = "") -> set[tuple[Any, ...]]:
    """What was asked and answered, whoever was asked."""
    with Store.open(run) as store:
        return {
            (one.question, one.series, one.reference, one.level, one.draw, one.again, one.part, one.wording, one.answer
             and one.answer.text)
            for one in store.trials()
        }  # fmt: skip


def metrics(log: EvalLog) -> dict[str, float]:
    assert log.results is not None
    return {name: one.value for name, one in log.results.scores[0].metrics.items()}


def test_it_asks_and_finds_what_measure_does(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(**NINE, out=str(tmp_path / "in")))
    alone = measured(tmp_path / "alone")
    assert log.status == "success"
    assert log.samples is not None
    assert len(log.samples) == sum(row.questions for row in alone.jnds) > 50
    assert facts(tmp_path / "in") == facts(tmp_path / "alone")
    within = analysed(tmp_path / "in")
    levels = [[[one.level for one in outcome.thresholds] for outcome in each.outcomes] for each in (within, alone)]
    assert levels[0] == levels[1]
    assert sum(map(bool, levels[0])) == 9


def test_metrics_are_the_analysis_own(evaluated: Evaluate, tmp_path: Path) -> None:
    found = metrics(evaluated(jnd(images="demo", distortion=["blur", "jpeg"], limit=7)))
    alone = measured(tmp_path / "alone", distortions=("blur", "jpeg"), limit=7)
    for row, answers in zip(alone.jnds, alone.answers, strict=True):
        of = row.distortion
        assert found[f"{of}/median_jnd"] == value_of(row.median)
        assert found[f"{of}/median_jnd_low"] == value_of(row.median_low)
        assert found[f"{of}/median_jnd_high"] == value_of(row.median_high)
        assert math.isfinite(found[f"{of}/median_jnd_low"])
        assert found[f"{of}/censored"] == row.censored.k / row.censored.n
        assert found[f"{of}/n"] == row.n == 7
        assert found[f"{of}/false_alarms_n"] == answers.false_alarms.n == 7
        assert found[f"{of}/unfinished"] == 0


def test_what_is_beyond_the_ladder_is_censored(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=2), model_args={"threshold": 250})
    assert metrics(log)["blur/median_jnd"] == math.inf
    assert metrics(log)["blur/censored"] == 1
    assert metrics(read_eval_log(log.location, header_only=True))["blur/median_jnd"] == math.inf


def test_samples_frame_has_what_people_group_by(evaluated: Evaluate) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=2))
    frame = samples_df(log.location)
    assert {"metadata_reference", "metadata_distortion", "metadata_level", "metadata_verdict"} <= set(frame.columns)
    assert set(frame["score_verdict"]) == {"yes", "no"}
    assert set(frame["metadata_distortion"]) == {"blur"}
    assert len(set(frame["metadata_reference"])) == 2


@pytest.mark.parametrize(("procedure", "settings"), PROCEDURES)
def test_every_procedure(evaluated: Evaluate, tmp_path: Path, procedure: str, settings: dict[str, Any]) -> None:
    few = {"images": "demo", "distortion": "blur", "limit": 2}
    evaluated(jnd(**few, procedure=procedure, settings=settings, out=str(tmp_path / "in")))
    measured(tmp_path / "alone", distortions=("blur",), limit=2, procedure={"name": procedure, **settings})
    assert facts(tmp_path / "in") == facts(tmp_path / "alone")


def test_demo_model_as_model_of_jnd(evaluated: Evaluate, tmp_path: Path) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=3), model="limen/demo")
    (row,) = measured(tmp_path / "alone", "demo", distortions=("blur",)).jnds
    assert metrics(log)["blur/median_jnd"] == row.median.level
    assert log.samples is not None
    assert len(log.samples) == row.questions


def test_ask(evaluated: Evaluate, tmp_path: Path) -> None:
    task = ask(images="demo-items", distortion="blur", limit=4, out=str(tmp_path / "in"))
    log = evaluated(task, model="limen/solver")
    alone = measured(
        tmp_path / "alone", "solver", images=("demo-items",), distortions=("blur",), limit=4,
        questions=("answer-changes",),
    )  # fmt: skip
    assert facts(tmp_path / "in") == facts(tmp_path / "alone")
    assert metrics(log)["blur/median_jnd"] == value_of(alone.jnds[0].median)


def test_limit_leaves_series_unfinished(evaluated: Evaluate) -> None:
    found = metrics(evaluated(jnd(images="demo", distortion="blur", limit=3), limit=4))
    assert found["blur/n"] == 0
    assert found["blur/unfinished"] == 3
    assert math.isnan(found["blur/median_jnd"])
    assert math.isnan(found["blur/censored"])


def test_what_limit_leaves_is_said_in_a_line(evaluated: Evaluate, caplog: pytest.LogCaptureFixture) -> None:
    for question, series in (("direct", 2), (["direct", "direct-implicit"], 4)):
        caplog.clear()
        evaluated(jnd(images="demo", distortion="blur", question=question, limit=2), limit=3)
        (line,) = [one.getMessage() for one in caplog.records if one.name == "limen"]
        assert line == (
            f"--limit stops after 3 questions: {series} of {series} series are unfinished. For fewer pictures use "
            "-T limit=N."
        )
    caplog.clear()
    evaluated(jnd(images="demo", distortion="blur", limit=1), limit=1000)  # enough for all
    evaluated(jnd(images="demo", distortion="blur", limit=1))
    assert not [one for one in caplog.records if one.name == "limen"]


def test_series_add_up(evaluated: Evaluate) -> None:
    """A reference that is answered wrongly gives no series to hold against it: it is counted by itself."""
    task = ask(images="demo-items", distortion="blur", question="answer-wrong", limit=6)
    found = metrics(evaluated(task, model="unsure/x"))
    assert found["blur/excluded"] > 0
    assert found["blur/n"] + found["blur/excluded"] + found["blur/unfinished"] == 6


def test_the_data_set_has_a_name_and_no_path(evaluated: Evaluate, tmp_path: Path) -> None:
    assert evaluated(jnd(images="demo", distortion="blur", limit=1)).eval.dataset.name == "demo"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(png(photograph("one", 64, 80)))
    assert jnd(images=str(tmp_path / "photos"), distortion="blur").dataset.name == "photos"


def test_a_log_alone_says_where_its_figures_are() -> None:
    with pytest.raises(RuntimeError, match="loses nothing.*eval-retry.*limen import inspect=LOG"):
        thresholds("gone")([])


@pytest.mark.parametrize("settings", [{"epochs": 2}, {"sample_id": "direct"}])
def test_what_an_adaptive_task_cannot_do_is_refused(evaluated: Evaluate, settings: dict[str, Any]) -> None:
    log = evaluated(jnd(images="demo", distortion="blur", limit=1), **settings)
    assert log.status == "error"
    assert not log.samples
    assert log.error is not None
    assert "limen's tasks" in log.error.message


def test_bad_arguments_are_told_in_a_line() -> None:
    with pytest.raises(PrerequisiteError) as told:
        jnd(images="demo", distortion="blurr")
    assert "Did you mean 'blur'" in str(told.value.message)
    with pytest.raises(PrerequisiteError) as told:
        jnd()
    assert "-T images=" in str(told.value.message)


def test_an_error_is_never_an_answer(evaluated: Evaluate, tmp_path: Path) -> None:
    task = jnd(images="demo", distortion=["blur", "noise"], limit=2, out=str(tmp_path / "run"))
    log = evaluated(task, model="faulty/blur", fail_on_error=False)
    found = metrics(log)
    assert found["noise/n"] == 2
    assert found.get("blur/n", 0) == 0
    assert found["blur/unfinished"] == 2
    with Store.open(tmp_path / "run") as store:
        assert store.attempts()["inspect:faulty/blur", "error"] == 2
        assert {one.series for one in store.trials()} <= {one.id for one in store.series() if one.distortion == "noise"}
        assert not any("sk-abc" in str(row) for row in store.columns("attempt")[1])


def test_retries_are_attempts(evaluated: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "fails", 2)
    task = jnd(images="demo", distortion="blur", limit=1, out=str(tmp_path / "run"))
    log = evaluated(task, model="faulty/blur", retry_on_error=3)
    assert metrics(log)["blur/n"] == 1
    with Store.open(tmp_path / "run") as store:
        assert store.attempts()["inspect:faulty/blur", "error"] == 2


def test_a_task_that_failed_is_retried(evaluated: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluated(jnd(**NINE), model="faulty/nothing")
    asked = Faulty.asked
    monkeypatch.setattr(Faulty, "fails", 1)
    cut = evaluated(jnd(**NINE), model="faulty/noise")
    assert cut.status == "error"
    monkeypatch.setattr(Faulty, "asked", 0)
    (again,) = eval_retry(cut, log_dir=str(tmp_path / "logs"), display="none")
    assert again.status == "success"
    assert {name: value for name, value in metrics(again).items() if value == value} == {
        name: value for name, value in metrics(whole).items() if value == value
    }
    assert Faulty.asked <= asked


def test_a_run_goes_on_and_the_log_is_whole(evaluated: Evaluate, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    evaluated(jnd(**NINE, out=out), model="faulty/nothing", limit=20)
    first = Faulty.asked
    log = evaluated(jnd(**NINE, out=out), model="faulty/nothing")
    assert first == 20
    assert log.samples is not None
    assert Faulty.asked == len(log.samples)
    assert sum("stored" in one.metadata["limen"] for one in log.samples) == 20
    assert metrics(log)["noise/unfinished"] == 0


def test_measure_goes_on_with_a_run_of_the_task(evaluated: Evaluate, tmp_path: Path) -> None:
    evaluated(jnd(**NINE, out=str(tmp_path / "run")), limit=20)
    spec = Spec(("demo",), ("inspect:limen/simulated",), ("blur", "jpeg", "noise"), limit=3, exam=False, floor=False)
    progress = Study.plan(spec).run(tmp_path / "run")
    assert progress.replayed == 20
    assert not progress.unfinished
    measured(tmp_path / "alone")
    assert facts(tmp_path / "run") == facts(tmp_path / "alone")
