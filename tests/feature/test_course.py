"""What a run measures where its user leaves that open, and how many passes its stages are expected to take."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from limen.cli import run as command
from limen.errors import InputError
from limen.feature import course, stages
from limen.feature.course import LEAN, LEAST, OPTIONS, Course, Pace, settled
from limen.feature.data.parts import SubsetSizes
from limen.feature.model.network import Network
from limen.feature.model.split import Features, SplitPoint
from limen.feature.plan import MAPS, FeaturePlan
from limen.feature.run import FeatureRun

TOKENS = Features((torch.zeros(1, 5, 8),), (3, 8, 8))
PLACES = Features((torch.zeros(1, 8, 4, 4),), (3, 8, 8))
OPEN = frozenset({"seeds", "fit", "calibrate", "test"})
PLAN = FeaturePlan("net", "split")
SECOND = Pace(0, 0, 1, 2, 0, 0)  # the head takes a second


def network() -> Network:
    """Return ten classes from a convolution and a linear head, with weights that depend on nothing."""
    made = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 10))
    source = torch.Generator().manual_seed(3)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=source) * (0.3 if parameter.ndim > 1 else 0.1)
    return Network(made, name="small")


def test_defaults_go_by_the_size_of_the_network() -> None:
    small, large = (settled(PLAN, OPEN, TOKENS, operations) for operations in (10**7, 10**9))
    assert (small.seeds, set(small.maps), small.sizes) == (3, set(MAPS) - {"shares", "shuffled-across"}, SubsetSizes())
    assert (large.seeds, tuple(large.maps), large.sizes) == (1, LEAN, SubsetSizes())
    assert "cls-spared" not in settled(PLAN, OPEN, PLACES, 10**7).maps
    assert course.budgets_for(10**7) != course.budgets_for(10**9)


def test_what_was_asked_for_stands() -> None:
    asked = replace(PLAN, seeds=2, maps={"mine": ("flat", {})}, sizes=SubsetSizes(80, 90, 100))
    assert settled(asked, frozenset(), TOKENS, 10**9) == asked
    fast = settled(asked, frozenset({"test"}), TOKENS, 10**9, 1e9, SECOND)
    assert fast == asked


def test_a_time_leaves_out_what_it_must_and_no_more() -> None:
    options = [course._option(PLAN, OPEN, TOKENS, *option) for option in OPTIONS]
    needed = [Course(one, SECOND).whole(10) for one in options]
    assert needed == sorted(needed, reverse=True)
    for one, seconds in zip(options, needed, strict=True):
        assert settled(PLAN, OPEN, TOKENS, 10**7, seconds, SECOND) == one
    assert [tuple(options[place].maps) for place in (2, -1)] == [LEAN, LEAST]
    assert options[-1].sizes == SubsetSizes(100, 125, 175)
    kept = settled(PLAN, OPEN - {"test"}, TOKENS, 10**7, 1e6, SECOND)
    assert kept.sizes.test == 700
    with pytest.raises(InputError, match=r"10 s are too few: .*\(1 seed, 3 maps, 100 images to fit.*Give it that time"):
        settled(PLAN, OPEN, TOKENS, 10**7, 10, SECOND)


def test_parts_are_not_made_too_small_to_promise_anything() -> None:
    few = replace(PLAN, sizes=SubsetSizes(100, 80, 40))
    assert course._option(few, OPEN, TOKENS, 1, LEAST, 0.25).sizes == SubsetSizes(60, 60, 40)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    maps = {
        "flat": ("flat", {}),
        "fisher": ("fisher", {"draws": 2}),
        "own-fisher": ("own-fisher", {"draws": 1}),
        "learned": ("learned", {"steps": 6, "batch": 10, "draws": 2}),
    }
    plan = FeaturePlan("small", "1", seeds=2, sizes=SubsetSizes(40, 40, 30), maps=maps, rho=0.2)
    with FeatureRun.begin(tmp_path / "run", plan, "cpu", network()) as made:
        made.__dict__["pace"] = Pace(0, 0, 1.0, 1.0, 0, 0)  # passes of the head alone are counted, none back
        yield made


@pytest.mark.parametrize(
    ("stage", "within"),
    [
        (lambda run, expect: stages.calibrate(run, maps=["flat", "fisher"], expect=expect), 0.25),
        (lambda run, expect: stages.evaluate(run, (0.5, 1.0, 1.5), expect=expect), 0.05),
        (lambda run, expect: stages.quantise(run, (0.5, 1.0), expect=expect), 0.05),
        (lambda run, expect: stages.promise(run, stages.promised(run, 0.05), expect=expect), 0.4),
        (lambda run, expect: stages.attribute(run, 8, expect=expect), 0.2),
    ],
    ids=["calibrate", "evaluate", "quantise", "promise", "attribute"],
)
def test_passes_of_the_head_are_about_as_many_as_expected(
    run: FeatureRun, stage: Callable[..., Any], within: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[float] = []
    stages.fit(run)
    seen, original = [], SplitPoint.head
    monkeypatch.setattr(SplitPoint, "head", lambda split, given: seen.append(len(given)) or original(split, given))
    stage(run, said.append)
    (expected,) = said
    assert sum(seen) == pytest.approx(expected, rel=within)
    stage(run, said.append)
    assert len(said) == 1  # nothing is missing any more


def test_what_it_takes_to_judge_outputs_counts(run: FeatureRun, monkeypatch: pytest.MonkeyPatch) -> None:
    original = type(run.task).drop

    def slow(*given: Any) -> Any:
        time.sleep(0.08)
        return original(*given)

    monkeypatch.setattr(type(run.task), "drop", slow)
    assert Pace.measure(run.split, run.task, run.parts(0).fit).judge >= 0.08 / course.TIMED
    without, judged = Course(run.plan, SECOND), Course(run.plan, replace(SECOND, judge=1.0))
    assert judged.evaluating("flat", 3) == 2 * without.evaluating("flat", 3)  # as long as the head
    assert judged.calibrating("flat") == 2 * without.calibrating("flat")
    assert judged.walking() == 2 * without.walking()


def test_what_fitting_takes_is_counted_by_steps_and_draws() -> None:
    maps = {"a": ("fisher", {"draws": 4}), "b": ("fisher", {"draws": 4, "power": -2.0}), "c": ("flat", {})}
    assert course.fitting(maps, 100, SECOND) == 100 * (1 + 4)  # one look for both
    trained = {"l": ("learned", {"steps": 30, "batch": 50, "draws": 1})}
    assert course.fitting(trained, 40, SECOND) == 30 * 40 * 2 + 40 * 2  # no batch is larger than the images


def test_times_are_said_as_people_say_them() -> None:
    assert [course.spoken(seconds) for seconds in (0.42, 45, 89, 91, 754, 7200, 200_000)] == [
        "0.42 s", "45 s", "89 s", "1.5 min", "13 min", "2 h", "2.3 d",
    ]  # fmt: skip


def test_the_command_says_what_it_will_take_and_goes_on_as_it_was_begun(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    words = ["feature", "fit", "--model", "demo:resnet", "--split", "resnet.encoder.stages.1", "--data", "scenes"]
    few = ["--images-fit", "16", "--images-calibrate", "9", "--images-test", "8", "--map", "flat", "--seeds", "1"]
    assert command([*words, "--out", out, *few]) == 0
    said = capfd.readouterr().err
    assert "1 seed, 1 map, 16 images to fit, 9 to calibrate, 8 to test. With evaluate, quantise and a promise" in said
    assert "Calibrating takes about" in said
    assert command([*words, "--out", out]) == 0  # nothing is given, and it is the same study
    assert "takes about" not in capfd.readouterr().err
    assert (
        command([*words, "--out", out, "--time", "0.001s"]) == 0
    )  # it was chosen by a time, and takes longer after all
    assert "goes on as it was begun: --time chooses nothing any more" in capfd.readouterr().err
    assert command(["feature", "evaluate", out, "--nrmse", "0.5"]) == 0
    assert "This takes about" in capfd.readouterr().err


@pytest.mark.parametrize("given", ["10", "0m", "nan m", "m", "-1h", "1e3s", "10 weeks"])
def test_what_is_no_time_is_refused(given: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["feature", "fit", "--model", "demo:resnet", "--split", "resnet.encoder.stages.1", "--data", "scenes"]
    assert command([*words, "--out", str(tmp_path / "run"), "--time", given]) == 1
    assert "with its unit: 90s, 10m, 2h or 1d" in " ".join(capfd.readouterr().err.split())
