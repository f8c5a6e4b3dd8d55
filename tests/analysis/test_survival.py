"""Unnoticed shares, changed answers, satisfied machine ratios and second draws, from runs whose answers are known."""

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from limen import question as ask
from limen.analysis import Analysis, Outcome, Response, SeriesStatus, analyse, changes, survival
from limen.analysis.merge import together
from limen.curve import Share
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Probe
from limen.question import Query
from limen.report import statistics as tables
from limen.store import Store
from limen.store.entries import QuestionEntry
from limen.study import Spec, Study
from limen.threshold import Threshold
from limen.trial import Answer, Trial
from tests.support.manifests import entry, manifest
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


def test_unnoticed_share_and_machine_ratio_count_references_and_observers(tmp_path: Path, photos: Path) -> None:
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
    (row,) = survival.satisfied(analysis)
    assert (row.observers, row.curve.n, row.photographs) == (("keen", "dull", "blind"), 4, 4)
    for level, share in zip(row.curve.levels, row.curve.share, strict=True):
        every = [not t.reached or t.level > level for mine in found.values() for t in mine]
        assert share == pytest.approx(sum(every) / 12)
    assert row.curve.share[0] == 1
    assert row.curve.share[50] == pytest.approx(1 / 3)  # the blind one notices nothing
    assert all(math.isnan(bound) for bound in row.curve.low), "four references are too few for an interval"
    assert survival.points(survival.unnoticed(analysis)[0].curve, (0.5,)) == (None,)  # blind comes first
    assert ">50" in str(tables.unnoticed(analysis, survival.unnoticed(analysis)).rows)
    cells = tables.satisfied([row]).rows[0]
    assert (cells[2:5], cells[-1]) == (("keen, dull, blind", "4", "50"), "33")


def test_one_observer_has_no_ratio(tmp_path: Path, photos: Path) -> None:
    analysis = analysed(tmp_path / "run", photos, (Toy(lambda q: YES if rms(q) > 6 else NO),))
    assert survival.satisfied(analysis) == ()
    assert survival.repeats(analysis) == ()


def test_two_runs_together_give_a_ratio(tmp_path: Path, photos: Path) -> None:
    runs = {
        name: analysed(tmp_path / name, photos, (Toy(lambda q, t=t: YES if rms(q) > t else NO, name),))
        for name, t in (("a", 6), ("b", 12))
    }
    (row,) = survival.satisfied(together(runs))
    assert (row.observers, row.curve.n) == (("a", "b"), 4)


def compared(name: str, level: float, observer: str = "a", picture: str = "") -> Outcome:
    found = Threshold(1, 50 if math.isinf(level) else int(level), 1.0, censored=math.isinf(level))
    series = SimpleNamespace(distortion="noise", picture=name, levels=50, name=name)
    given = {"question": "answer-changes", "status": SeriesStatus.COMPLETE, "responses": (), "thresholds": (found,)}
    return Outcome(observer, series=series, picture=picture, **given)


def comparing(*outcomes: Outcome, observers: tuple[str, ...] = ("a",)) -> Analysis:
    question = ask.find("answer-changes")
    kept = QuestionEntry(question.digest, "reference-first", question.text, question.about)
    described = manifest(observers, distortions={"noise": entry()})
    return Analysis(msgspec.structs.replace(described, questions={"answer-changes": kept}), outcomes, (), (), ())


def test_the_share_of_changed_answers_has_wilsons_interval() -> None:
    (row,) = changes.changed(comparing(*(compared(f"p{k}", 5 * k if k < 8 else math.inf) for k in range(1, 11))))
    assert (row.n, row.photographs, row.levels[-1]) == (10, 10, 50)
    assert [row.share[level] for level in (0, 4, 5, 19, 20, 50)] == pytest.approx([0, 0, 0.1, 0.3, 0.4, 0.7])
    interval = Share(4, 10).interval
    assert interval is not None
    assert (row.low[20], row.high[20]) == pytest.approx((interval.low, interval.high))


def test_items_that_share_photographs_are_resampled_together() -> None:
    """Twenty photographs of five items that change together: as sure as twenty items are, not as a hundred."""
    levels = [5.0 if k % 2 else 30.0 for k in range(20)]
    alone = comparing(*(compared(f"p{k}", level) for k, level in enumerate(levels)))
    items = [compared(f"p{k}-{j}", level, picture=f"p{k}") for k, level in enumerate(levels) for j in range(5)]
    (row,), (single,) = changes.changed(comparing(*items)), changes.changed(alone)
    assert (row.n, row.photographs) == (100, 20)
    assert row.share == single.share
    assert row.high[10] - row.low[10] == pytest.approx(single.high[10] - single.low[10], rel=0.15)
    assert math.isnan(row.low[0]), "no answer has changed at level 0: nothing to resample"


def test_the_bootstrap_over_photographs_covers() -> None:
    rng, hits = np.random.default_rng(3), 0
    for _ in range(200):
        chance = rng.beta(2, 2, 30)
        items = [
            compared(f"p{k}-{j}", 5.0 if rng.random() < share else 40.0, picture=f"p{k}")
            for k, share in enumerate(chance) for j in range(3)
        ]  # fmt: skip
        (row,) = changes.changed(comparing(*items))
        hits += row.low[10] <= 0.5 <= row.high[10]
    assert hits >= 178  # of 200, at 95 % and what percentiles of 30 clusters lose


def test_the_machine_ratio_is_a_mean_over_references_with_its_bootstrap() -> None:
    a = [compared(f"p{k}", 10 + k) for k in range(20)]
    b = [compared(f"p{k}", 30 + k if k < 15 else math.inf, "b") for k in range(20)]
    analysis = comparing(*a, *b, observers=("a", "b"))
    (row,) = survival.satisfied(analysis)
    assert (row.observers, row.curve.n, row.photographs) == (("a", "b"), 20, 20)
    assert [row.curve.share[level] for level in (9, 20, 29, 44, 50)] == pytest.approx([1, 29 / 40, 0.5, 1 / 8, 1 / 8])
    assert row.curve.low[20] < row.curve.share[20] < row.curve.high[20]
    assert math.isnan(row.curve.low[9]), "all are alike there"
    assert survival.satisfied(comparing(*a)) == ()
    cells = tables.satisfied([row]).rows[0]
    assert cells[:4] == ("noise", "answer-changes", "a, b", "20")
    assert cells[7].startswith("72 [")


def shown(level: int) -> Trial:
    return Trial("a", "answer-changes", "s", 0, level, 0, False, 0, f"{level}", Answer("A"))


def test_of_fixed_levels_it_is_the_share_at_each() -> None:
    def asked(name: str, changed_at: tuple[int, ...]) -> Outcome:
        said = tuple(
            Response(Probe(0, level), Verdict(Flag.YES if level in changed_at else Flag.NO), (shown(level),))
            for level in (10, 20, 30)
        )
        return dataclasses.replace(compared(name, 1), thresholds=(), responses=said)

    analysis = comparing(*(asked(f"p{k}", (20,) if k < 3 else (20, 30)) for k in range(10)))
    (row,) = changes.changed(analysis)
    assert (row.n, row.levels, row.share) == (10, (10, 20, 30), (0, 1, pytest.approx(0.7)))
    assert tables.changed(analysis, (row,)).rows[0][4:] == (
        "-",
        "0 [0, 28]",
        "0 [0, 28]",
        "100 [72, 100]",
        "70 [40, 89]",
    )


def test_questions_about_pairs_have_no_changed_answers(tmp_path: Path, photos: Path) -> None:
    analysis = analysed(tmp_path / "run", photos, (Toy(lambda q: YES if rms(q) > 6 else NO),))
    assert changes.changed(analysis) == ()


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
