"""Unnoticed shares, satisfied user ratios and second draws, from runs whose answers are known."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limen.analysis import Analysis, Outcome, Response, SeriesStatus, analyse, survival
from limen.analysis.merge import together
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Probe
from limen.question import Query
from limen.report import statistics as tables
from limen.store import Store
from limen.study import Spec, Study
from limen.trial import Answer, Trial
from tests.support.manifests import manifest
from tests.support.toy import Toy

YES, NO = "Yes, there is a noticeable difference.", "No, there is no noticeable difference."


def rms(query: Query) -> float:
    first, last = query.pictures
    return float(np.sqrt(np.mean((first.pixels.astype(float) - last.pixels) ** 2)))


def analysed(out: Path, images: Path, observers: tuple[Any, ...], **entries: Any) -> Analysis:
    spec = Spec(images=(str(images),), observers=("simulated",), distortions=("noise",), **entries)
    dataclasses.replace(Study.plan(spec), observers=observers).run(out)
    with Store.open(out) as store:
        return analyse(store)


def test_unnoticed_share_and_sur_count_references_and_observers(tmp_path: Path, photos: Path) -> None:
    keen, dull = (Toy(lambda q, t=t: YES if rms(q) > t else NO, name) for name, t in (("keen", 6), ("dull", 12)))
    blind = Toy(lambda q: NO, "blind")
    analysis = analysed(tmp_path / "run", photos, (keen, dull, blind))
    found = {
        name: [o.thresholds[0] for o in analysis.outcomes if o.observer == name] for name in ("keen", "dull", "blind")
    }
    for row in survival.unnoticed(analysis):
        for level, share in zip(row.curve.levels, row.curve.share, strict=True):
            mine = found[row.observer]
            assert share == pytest.approx(sum(not t.reached or t.level > level for t in mine) / len(mine))
    rows = survival.satisfied(analysis)
    assert len(rows) == 4
    for row in rows:
        assert row.curve.n == 3
        levels = sorted(
            o.thresholds[0].level for o in analysis.outcomes if o.series.name == row.reference and o.observer != "blind"
        )
        assert row.curve.share[levels[0] - 1] == 1
        assert row.curve.share[levels[0]] == pytest.approx(2 / 3)
        assert row.curve.share[50] == pytest.approx(1 / 3)  # the blind one is satisfied with everything
        assert row.curve.point(0.75) == levels[0] - 1
    assert survival.points(survival.unnoticed(analysis)[0].curve, (0.5,)) == (None,)  # blind comes first
    assert ">50" in str(tables.unnoticed(analysis, survival.unnoticed(analysis)).rows)
    assert tables.satisfied(rows).rows[0][2:4] == ("3", "4")


def test_one_observer_is_no_ratio_of_users(tmp_path: Path, photos: Path) -> None:
    analysis = analysed(tmp_path / "run", photos, (Toy(lambda q: YES if rms(q) > 6 else NO),))
    assert survival.satisfied(analysis) == ()
    assert survival.repeats(analysis) == ()


def test_two_runs_together_give_a_ratio(tmp_path: Path, photos: Path) -> None:
    runs = {
        name: analysed(tmp_path / name, photos, (Toy(lambda q, t=t: YES if rms(q) > t else NO, name),))
        for name, t in (("a", 6), ("b", 12))
    }
    assert {row.curve.n for row in survival.satisfied(together(runs))} == {2}


def test_the_order_effect_of_a_greedy_observer(tmp_path: Path, photos: Path) -> None:
    """It looks only at which of the two is noisier, and notices noise only in the second picture."""

    def says(query: Query) -> str:
        first, last = (float(np.abs(np.diff(p.pixels.astype(float), axis=1)).mean()) for p in query.pictures)
        return YES if last - first > 4 else NO

    procedure = {"name": "constant", "levels": [10, 30, 50], "draws": 2}
    analysis = analysed(tmp_path / "run", photos, (Toy(says),), procedure=procedure)
    (row,) = survival.repeats(analysis)
    first = [r.verdict.yes for o in analysis.outcomes for r in o.responses if r.probe.level and not r.probe.draw]
    assert any(first)
    assert (row.alike.k, row.alike.n) == (12 - sum(first), 12)
    assert row.change == pytest.approx(-sum(first) / 12)
    assert tables.repeats(analysis, (row,)).rows[0][1] == "12"


def test_accuracy_is_of_first_draws() -> None:
    """Second draws say the opposite of the first, and count nowhere."""
    said = {(0, 0): False, (1, 0): True, (0, 1): True, (1, 1): False}
    responses = tuple(
        Response(
            Probe(0, level, draw),
            Verdict(Flag.YES if yes else Flag.NO),
            (Trial("o", "direct", "s", 0, level, draw, False, 0, f"{level}/{draw}", Answer(YES if yes else NO)),),
        )
        for (level, draw), yes in said.items()
    )
    series: Any = SimpleNamespace(levels=1, distortion="pairs")
    outcome = Outcome("o", "direct", series, SeriesStatus.COMPLETE, (), responses)
    (row,) = survival.accuracy(Analysis(manifest(), (outcome,), (), (), ()))
    assert (row.noticed.k, row.noticed.n) == (1, 1)
    assert row.balanced == 1.0
