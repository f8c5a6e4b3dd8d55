"""From a run to fitted thresholds, comparisons and power: on small stores, without a model."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limen
from limen.analysis import Analysis, Outcome, Response, SeriesStatus, analyse
from limen.analysis.fitting import FitRow, comparisons, fit, powers
from limen.errors import UnknownNameError
from limen.image import png
from limen.observer import Reply
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Probe
from limen.question import Query
from limen.report import statistics as tables
from limen.statistics.population import Population
from limen.statistics.posterior import Fit, Placement
from limen.statistics.psychometric import psi
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.threshold import Threshold
from limen.trial import Answer, Attempt, Trial
from tests.support.manifests import manifest
from tests.support.toy import Toy


class Sure(Toy):
    """Says how sure it is: the further apart the pictures, the surer."""

    def __init__(self, half: float, name: str = "sure") -> None:
        self.half = half
        super().__init__(lambda query: None, name)

    async def answer(self, query: Query) -> Reply:
        p = 1 / (1 + math.exp(self.half - far(query)))
        word = "<yes>" if p > 0.5 else "<no>"
        return Reply(Answer(f"{word} I looked at the images.", p, 0.0, finish="stop"), (Attempt("ok"),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = tmp_path_factory.mktemp("photographs")
    for name in "abcdefgh":
        (images / f"{name}.png").write_bytes(png(photograph(name, 48, 64)))
    return images


def ran(out: Path, images: Path, *observers: Any, **entries: Any) -> Analysis:
    spec = Spec(images=(str(images),), observers=("simulated",), **({"distortions": ("contrast",)} | entries))
    dataclasses.replace(Study.plan(spec), observers=observers).run(out)
    with Store.open(out) as store:
        return analyse(store)


def far(query: Query) -> float:
    first, last = query.pictures
    return float(np.sqrt(np.mean((first.pixels.astype(float) - last.pixels) ** 2)))


def seeing(threshold: float, name: str) -> Toy:
    """An observer that notices what is further apart than its threshold, and does not say how sure it is."""
    return Toy(lambda query: "<yes> They differ." if far(query) > threshold else "<no> They look the same.", name)


@pytest.fixture(scope="module")
def skipped(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return ran(tmp_path_factory.mktemp("runs") / "skip", folder, seeing(7, "keen"), seeing(11, "dull"))


@pytest.fixture(scope="module")
def constant(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    procedure = {"name": "constant", "every": 2}
    run = tmp_path_factory.mktemp("runs") / "constant"
    return ran(run, folder, seeing(7, "keen"), Sure(11, "sure"), seeing(200, "blind"), procedure=procedure)


def by_observer(rows: tuple[FitRow, ...]) -> dict[str, FitRow]:
    return {row.observer: row for row in rows}


def test_adaptive_runs_give_a_threshold_beside_the_protocols(skipped: Analysis) -> None:
    rows = by_observer(fit(skipped))
    for row in rows.values():
        assert isinstance(row.fit, Population)
        assert row.jnd is not None
        assert abs(row.fit.threshold.median - row.jnd.level) < 3
        assert row.fit.threshold.interval.low < row.fit.threshold.median < row.fit.threshold.interval.high
        assert row.adaptive
        assert (row.detection, row.pooled, row.p_yes) == (None, None, None)
        assert row.fit.references == 8
        assert row.strength is not None
        assert row.window == 3
    assert rows["keen"].fit is not None
    assert rows["dull"].fit is not None
    assert rows["keen"].fit.threshold.median < rows["dull"].fit.threshold.median


def test_fixed_designs_also_give_what_needs_the_pooled_curve(constant: Analysis) -> None:
    rows = by_observer(fit(constant))
    keen, sure = rows["keen"], rows["sure"]
    assert not keen.adaptive
    assert keen.jnd is None
    assert keen.window is None
    assert keen.pooled is not None
    assert sure.pooled is not None
    assert keen.fit is not None
    assert keen.pooled.threshold == pytest.approx(keen.fit.threshold.median, abs=1.5)
    assert 0 < sure.pooled.p_fit <= 1
    assert keen.detection is not None
    assert keen.detection.d_differencing > keen.detection.d_yes_no > 0.5
    assert keen.p_yes is None
    assert sure.p_yes is not None
    assert math.isnan(sure.p_yes.deviance)
    assert sure.p_yes.threshold == pytest.approx(sure.pooled.threshold, abs=6)
    assert "threshold" in sure.p_yes.intervals


def test_a_question_that_wants_a_no_is_fitted_by_the_probability_of_a_no() -> None:
    def chance(first: np.ndarray, second: np.ndarray) -> float:
        rms = float(np.sqrt(np.mean((first - second.astype(float)) ** 2)))
        return 1 / (1 + math.exp(6 - rms))

    same = {"name": "same", "text": "Are these two images identical? Yes or no.", "notices": ["no"]}
    run = limen.measure(
        "demo", chance, "noise", limit=3, returns="probability", name="chance", questions=["direct", same],
        procedure={"name": "constant", "levels": [2, 6, 10, 14]},
    )  # fmt: skip
    direct, turned = (next(row for row in run.fit() if row.question == name) for name in ("direct", "same"))
    assert direct.p_yes is not None
    assert turned.p_yes is not None
    assert turned.p_yes.threshold == pytest.approx(direct.p_yes.threshold)
    said = {(trial.reference, trial.level, trial.question): trial.p_yes for trial in run.trials()}
    for (reference, level, question), sure in said.items():
        if question == "direct":
            assert said[reference, level, "same"] == pytest.approx(1 - sure)


def test_an_observer_that_sees_nothing_has_no_ordinary_threshold(constant: Analysis) -> None:
    blind = by_observer(fit(constant))["blind"]
    assert blind.fit is not None
    assert blind.fit.side is Placement.ABOVE
    assert blind.fit.threshold.interval.high == math.inf
    assert blind.strength is None
    assert blind.pooled is not None
    assert blind.pooled.intervals == {}


def test_one_reference_is_a_fit_of_its_own(folder: Path, tmp_path: Path) -> None:
    analysis = ran(tmp_path / "one", folder, seeing(8, "keen"), limit=1)
    (row,) = fit(analysis)
    assert isinstance(row.fit, Fit)
    assert row.fit.side is Placement.WITHIN
    assert tables.fits(analysis, (row,)).rows[0][1] == "1"
    with pytest.raises(UnknownNameError, match="psychometric function"):
        fit(analysis, "cubic")


def test_observers_are_compared_by_reference(skipped: Analysis, constant: Analysis) -> None:
    (row,) = comparisons(skipped)
    assert (row.first, row.second, row.measure, row.paired.n) == ("keen", "dull", "J", 8)
    assert row.paired.wins == 0.0  # the keen one never notices less
    assert row.paired.p == row.p_holm == pytest.approx(2 / 256)  # exact: 8 differences of one sign
    rows = comparisons(constant)
    assert [r.measure for r in rows] == ["T50"] * 3
    assert all(r.p_holm >= r.paired.p for r in rows)
    keen_blind = next(r for r in rows if {r.first, r.second} == {"keen", "blind"})
    assert keen_blind.p_holm < 0.05


def test_power_comes_from_the_run_itself(skipped: Analysis, constant: Analysis) -> None:
    rows = powers(skipped, 0.5)
    assert [row.power.n for row in rows] == [8, 8]
    for row in rows:
        assert row.power.for_mean == max(2, math.ceil((1.959964 * row.power.sd / 0.5) ** 2))
    assert powers(constant) == ()


@pytest.mark.slow
def test_tables_and_json(skipped: Analysis, constant: Analysis) -> None:
    for analysis in (skipped, constant):
        rows, pairs, needed = fit(analysis), comparisons(analysis), powers(analysis)
        table = tables.fits(analysis, rows)
        assert all(len(line) == len(table.columns) for line in table.rows)
        assert len(table.rows) == len(rows)
        assert {len(line) for line in tables.comparisons(pairs).rows} == {len(tables.comparisons(pairs).columns)}
        assert all(len(line) == 8 for line in tables.powers(analysis, needed).rows)
        plain = json.loads(json.dumps(tables.records(rows, pairs, needed), allow_nan=False))
        keen = next(i for i, row in enumerate(rows) if row.observer == "keen")
        assert plain["fits"][keen]["fit"]["threshold"]["median"] == rows[keen].fit.threshold.median  # type: ignore[union-attr]
    lines = {line[1]: line for line in tables.fits(constant, fit(constant)).rows}
    assert lines["blind"][4].startswith(">50 [")
    assert lines["blind"][4].endswith(", >50]")
    assert any("Adaptive run" in note for note in tables.fits(skipped, fit(skipped)).notes)


# --- recovery through the whole of `fit`, and its warnings, on outcomes made up ---


def made_up(
    rng: np.random.Generator, references: int, guess: float, like: Analysis, question: str = "direct"
) -> Analysis:
    outcomes = []
    base = like.outcomes[0].series
    for i in range(references):
        row = dataclasses.replace(base, id=f"{i}", picture=f"{i}", name=f"{i}", levels=50)
        said = rng.random(50) < psi("logistic", np.arange(1, 51), rng.normal(22, 6), 9.0, guess, 0.02)
        j = next((k for k in range(1, 49) if said[k - 1 : k + 2].all()), None)
        asked = range(1, 51 if j is None else j + 3)
        pairs = {Probe(0, k): bool(said[k - 1]) for k in asked} | {Probe(0, 0): bool(rng.random() < guess)}
        responses = tuple(
            Response(probe, Verdict(Flag.YES if yes else Flag.NO),
                     (Trial("o", question, row.id, 0, probe.level, 0, False, 0, f"{i}-{probe.level}", Answer("")),))
            for probe, yes in pairs.items()
        )  # fmt: skip
        found = Threshold(1, j or 50, 0.0, censored=j is None, confirmed=j is not None)
        outcomes.append(Outcome("o", question, row, SeriesStatus.COMPLETE, (found,), responses))
    row = dataclasses.replace(like.jnds[0], observer="o", question=question, levels=50)
    levels = sorted(o.thresholds[0].level for o in outcomes)
    row = dataclasses.replace(row, median=dataclasses.replace(row.median, level=levels[len(levels) // 2]))
    about = manifest(
        questions=[question], distortions=like.manifest.distortions, procedure={"name": "scan", "confirm": 2}
    )
    answers = (dataclasses.replace(like.answers[0], observer="o", question=question),)
    return dataclasses.replace(like, manifest=about, outcomes=tuple(outcomes), jnds=(row,), answers=answers)


@pytest.mark.slow
def test_a_scan_gives_back_the_populations_threshold(skipped: Analysis) -> None:
    covered = 0
    for i in range(20):
        (row,) = fit(made_up(np.random.default_rng(i), 25, 0.1, skipped))
        assert isinstance(row.fit, Population)
        covered += row.fit.threshold.interval.low <= 22 <= row.fit.threshold.interval.high
        assert row.alarms.n == 25
    assert covered >= 17


def test_a_forced_choice_has_a_guess_rate_of_one_half(skipped: Analysis) -> None:
    covered = 0
    for i in range(10):
        analysis = made_up(np.random.default_rng(100 + i), 30, 0.5, skipped, "forced-choice")
        (row,) = fit(analysis)
        assert row.fit is not None
        assert row.forced
        assert row.alarms.n == 0
        assert row.fit.guess.interval.low == pytest.approx(0.5)
        covered += row.fit.threshold.interval.low <= 22 <= row.fit.threshold.interval.high
    assert covered >= 8
    assert any("Forced choice" in note for note in tables.fits(analysis, (row,)).notes)


def test_a_window_too_short_for_the_false_alarms_is_said(skipped: Analysis) -> None:
    analysis = made_up(np.random.default_rng(1), 30, 0.35, skipped)
    (row,) = fit(analysis)
    assert row.window == 3
    assert row.window_needed is not None
    assert row.window_needed > 3
    assert any("too many false alarms for a window of 3" in note for note in tables.fits(analysis, (row,)).notes)
    (quiet,) = fit(made_up(np.random.default_rng(1), 30, 0.01, skipped))
    assert not any("for a window of" in note for note in tables.fits(analysis, (quiet,)).notes)


def test_series_that_are_not_complete_are_left_out(skipped: Analysis) -> None:
    open_ = tuple(dataclasses.replace(o, status=SeriesStatus.UNFINISHED, thresholds=()) for o in skipped.outcomes)
    analysis = dataclasses.replace(skipped, outcomes=open_)
    for row in fit(analysis):
        assert row.fit is None
        assert row.alarms.n == 8  # what an observer says of identical pairs is said, whatever became of the series
    assert tables.fits(analysis, fit(analysis)).rows[0][2:4] == ("0", "-")
    assert comparisons(analysis) == ()
