"""The simulation study: known truths, the goals that are cheap to hold, and that nothing depends on order."""

import json

import numpy as np
import pytest

from limen.analysis.simulation import CONTENDERS, OBSERVERS, Contender, SimulatedObserver, study
from tests.support.command import limen

BY_NAME = {observer.name: observer for observer in OBSERVERS}
BY_LABEL = {contender.label: contender for contender in CONTENDERS}


def test_simulated_answers_have_the_stated_rates() -> None:
    observer = SimulatedObserver("x", slope=2.0, false_alarms=0.1, lapses=0.2)
    answers = np.array([observer.answers(image, 0, 100) for image in range(400)])
    thresholds = [observer.threshold(image, 0) for image in range(400)]
    assert abs(np.mean(thresholds) - 20) < 1
    assert abs(np.std(thresholds) - 6) < 0.7
    assert abs(answers[:, 60:].mean() - 0.8) < 0.02
    assert answers[0].tolist() == observer.answers(0, 0, 100)
    assert answers[0].tolist() != observer.answers(0, 0, 100, draw=1)
    blind = SimulatedObserver("y", slope=1.0, false_alarms=0.3, mean=1000)
    assert abs(np.mean([blind.answers(i, 0, 50) for i in range(200)]) - 0.3) < 0.02


def test_correlated_answers_keep_their_rate_and_run_together() -> None:
    def runs(correlation: float) -> tuple[float, float]:
        blind = SimulatedObserver("z", slope=1.0, false_alarms=0.3, mean=1000, correlation=correlation)
        answers = np.array([blind.answers(image, 0, 50) for image in range(300)])
        return float(answers.mean()), float((answers[:, 1:] == answers[:, :-1]).mean())

    assert abs(runs(0.8)[0] - 0.3) < 0.03
    assert runs(0.8)[1] > runs(0.0)[1] + 0.1


@pytest.mark.parametrize("name", ["step", "s=3, g=l=.1", "erratic (s=2, g=l=.3)"])
def test_skip_is_the_scan_with_fewer_questions(name: str) -> None:
    scan, skip = (study(BY_NAME[name], BY_LABEL[label], images=60, orders=2) for label in ("scan", "skip"))
    assert skip.exact is not None
    assert skip.exact.value == 1.0
    assert skip.questions < 0.75 * scan.questions


def test_the_chain_of_all_jnds_takes_about_half_of_the_scan() -> None:
    observer = SimulatedObserver("chain", slope=1.0, mean=9, spread=2)
    scan, skip = (study(observer, BY_LABEL[label], images=40, orders=0) for label in ("scan", "skip"))
    assert skip.exact is not None
    assert skip.exact.value == 1.0
    assert skip.questions < 0.65 * scan.questions


@pytest.mark.slow
def test_certify_is_as_sure_as_it_says() -> None:
    result = study(BY_NAME["s=3, g=l=.1"], BY_LABEL["certify"], images=60)
    assert result.exact is not None
    assert result.stated is not None
    assert result.exact.interval is not None
    assert result.exact.interval.high >= result.stated - 0.03
    assert result.exact.value >= 0.9
    assert result.stated >= 0.95
    assert result.questions < 12


@pytest.mark.slow
def test_psi_estimates_and_its_intervals_cover() -> None:
    for label, goal in (("psi (20 samples)", 0.75), ("psi (20 levels)", 1.3)):
        result = study(BY_NAME["s=1"], BY_LABEL[label], images=80)
        assert result.rmse is not None
        assert result.covered is not None
        assert result.rmse <= goal
        assert result.covered.value >= 0.9


def test_results_are_the_same_again_and_differ_with_the_seed() -> None:
    contender = Contender("auto", "auto")
    first, second, other = (study(BY_NAME["s=2"], contender, images=14, seed=seed) for seed in (0, 0, 1))
    assert first == second
    assert first != other


@pytest.mark.slow
def test_the_command() -> None:
    done = limen(
        "simulate", "--images", 12, "--procedure", "skip,bisect", "--slope", 2, "--false-alarms", 0.1, "--json"
    )
    rows = json.loads(done.stdout)
    assert [row["procedure"] for row in rows] == ["skip", "bisect"]
    assert rows[0]["exact"] == {"k": 12, "n": 12, "value": 1.0, "interval": rows[0]["exact"]["interval"]}
    assert rows[1]["stated"] is None
    assert "= scan" in limen("simulate", "--images", 5, "--procedure", "skip", "--slope", 0).stdout
    assert "Did you mean 'skip'" in limen("simulate", "--procedure", "skp").stderr
