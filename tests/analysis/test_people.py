"""People taken together, and beside models: from series whose thresholds are known."""

import dataclasses
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from limen import participant
from limen.analysis import (
    Analysis,
    Outcome,
    Response,
    SeriesStatus,
    fitting,
    likeness,
    merge,
    people,
    sittings,
    survival,
)
from limen.analysis.attention import PersonRow
from limen.analysis.participants import people as everything
from limen.curve import Array, Share
from limen.parsing.yes_no import Flag, Verdict
from limen.procedure import Probe
from limen.report import people as tables
from limen.threshold import Estimate, Threshold
from limen.trial import Presentation, Trial
from tests.support.manifests import entry, manifest

L = 50


def row(name: str, passed: bool | None = True, gaps: Sequence[tuple[float, float]] = ()) -> PersonRow:
    return PersonRow(name, Share(3, 4), "looks", 0.75, 4, passed, 0, 1, 1.0, tuple(gaps), Share(0, 0))


def analysis(
    outcomes: Sequence[Outcome], persons: Sequence[PersonRow], models: Sequence[str] = (),
    shown: Sequence[Presentation] = (),
) -> Analysis:  # fmt: skip
    names = [one.observer for one in persons]
    about = manifest((*names, *models), distortions={"blur": entry()})
    described = {name: participant.fingerprint(name, {}, {}) for name in names} | {name: {} for name in models}
    found = Analysis(
        msgspec.structs.replace(about, observers=described), tuple(outcomes), (), (), (), people=tuple(persons),
        presentations=tuple(shown),
    )  # fmt: skip
    question = SimpleNamespace(forced=False, alone=False, midpoint=0.5, guess=None, verdicts=("no", "yes"))
    found.__dict__["questions"] = {"direct": question}
    return found


def series(name: str) -> Any:
    return SimpleNamespace(distortion="blur", picture=name, levels=L, name=name, id=name)


def outcome(observer: str, picture: str, level: float, *responses: Response, fitted: bool = False) -> Outcome:
    known = {"status": SeriesStatus.COMPLETE, "responses": responses}
    if fitted:
        fit = Estimate(level, 1.0, level - 1, level + 1, 0.5, 0.0, levels=L)
        return Outcome(observer, "direct", series(picture), thresholds=(), estimates=(fit,), **known)
    found = Threshold(1, math.ceil(min(level, L)), 1.0, censored=level > L)
    return Outcome(observer, "direct", series(picture), thresholds=(found,), **known)


def of_matrix(values: Array, names: Sequence[str]) -> list[Outcome]:
    """A series for each person and reference; none where NaN."""
    return [
        outcome(name, f"r{column:02d}", float(values[place, column]))
        for place, name in enumerate(names) for column in range(values.shape[1])
        if not math.isnan(values[place, column])
    ]  # fmt: skip


def names(n: int) -> list[str]:
    return [f"person:p{i:02d}" for i in range(n)]


def thresholds(rng: np.random.Generator, n: int = 12, references: int = 15) -> Array:
    y = 25 + 4 * rng.standard_normal((n, 1)) + 3 * rng.standard_normal((1, references))
    return np.asarray(y + 2 * rng.standard_normal((n, references)))


def test_the_row_of_people_is_the_mean_over_references_of_means_over_people() -> None:
    y = np.round(thresholds(np.random.default_rng(0), 6, 7))
    y[0, 0], y[2, 3] = math.nan, math.inf
    (found,) = people.people_rows(analysis(of_matrix(y, names(6)), [row(name) for name in names(6)]))
    assert (found.measure, found.people, found.references, found.n) == ("J", 6, 7, 41)
    restricted = np.where(np.isinf(y), L, y)
    assert found.value == pytest.approx(float(np.nanmean(np.nanmean(restricted, axis=0))))
    assert (found.beyond.k, found.beyond.n) == (1, 41)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high


def test_who_failed_is_in_no_figure_over_people_and_is_named() -> None:
    y = thresholds(np.random.default_rng(1), 7, 6)
    y[6] = 49.0
    persons = [*(row(name) for name in names(6)), row("person:p06", passed=False)]
    failed = analysis(of_matrix(y, names(7)), persons)
    without = analysis(of_matrix(y[:6], names(6)), persons[:6])
    (with_, alone) = people.people_rows(failed)[0], people.people_rows(without)[0]
    assert with_.left_out == ("person:p06",)
    assert dataclasses.replace(with_, left_out=()) == alone
    assert people.left_out(failed) == {"person:p06": "looks"}
    assert people.sur(failed)[0].people == 6
    assert people.spreads(failed)[0].people == 6
    table = tables.persons(everything(failed))  # type: ignore[arg-type]
    assert table.rows[6][2] == "failed looks: left out"
    assert "1 of 7 failed and is in no figure over people" in table.notes[0]


def test_too_few_catch_trials_is_a_question_mark_and_counts() -> None:
    found = analysis(of_matrix(np.full((2, 2), 5.0), names(2)), [row(name, passed=None) for name in names(2)])
    assert people.counted(found) == tuple(names(2))
    assert tables.persons(everything(found)).rows[0][2] == "?"  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(4, 20), (20, 4)])
def test_no_interval_below_five_people_or_references(shape: tuple[int, int]) -> None:
    y = thresholds(np.random.default_rng(2), *shape)
    found = analysis(of_matrix(y, names(shape[0])), [row(name) for name in names(shape[0])])
    (only,) = people.people_rows(found)
    assert only.interval is None
    assert tables.bounded(only).endswith("[?]")
    (spread,) = people.spreads(found)
    assert spread.found is None
    assert tables.spread(found, [spread]).rows[0][5:9] == ("?",) * 4
    assert people.sur(found)[0].low is None


@pytest.mark.slow
def test_the_row_of_people_covers_over_two_hundred_studies() -> None:
    """The true mean J: thresholds are rounded up to the next level."""
    rng, hits = np.random.default_rng(3), 0
    for _ in range(200):
        y = thresholds(rng, 8, 10)
        (found,) = people.people_rows(analysis(of_matrix(y, names(8)), [row(name) for name in names(8)]))
        assert found.interval is not None
        hits += found.interval.low <= 25.5 <= found.interval.high
    assert hits >= 0.9 * 200


def test_sur_is_of_people_and_smr_of_models() -> None:
    y = np.array([[10.0, 20.0], [12.0, 30.0], [14.0, math.inf], [40.0, math.inf]])
    outcomes = [*of_matrix(y, names(4)), *(outcome(m, f"r{c:02d}", 5) for m in ("a", "b") for c in range(2))]
    found = analysis(outcomes, [row(name) for name in names(4)], ("a", "b"))
    mean, first, second = people.sur(found)
    assert (mean.reference, first.reference, second.reference) == ("", "r00", "r01")
    assert [first.curve.share[k] for k in (9, 10, 12, 14, 40)] == [1, 0.75, 0.5, 0.25, 0]
    assert first.point.level == 11, "at 12 only half are left"
    assert str(second.point) == "29"
    assert mean.curve.share[15] == pytest.approx((0.25 + 1) / 2)
    (smr,) = survival.satisfied(found)
    assert smr.observers == ("a", "b"), "people are in no satisfied machine ratio"
    lines = tables.satisfied(found, everything(found), [smr]).rows  # type: ignore[arg-type]
    assert [line[1] for line in lines] == ["people (n = 4)", "models (n = 2)"]


def test_the_interval_of_a_75_per_cent_sur_point_is_over_people() -> None:
    rng = np.random.default_rng(4)
    y = np.round(25 + 4 * rng.standard_normal((12, 6)))
    rows = people.sur(analysis(of_matrix(y, names(12)), [row(name) for name in names(12)]))
    for one in rows:
        assert one.low is not None
        assert one.high is not None
        assert one.low.level <= one.point.level <= one.high.level
        assert one.high.level - one.low.level < 12


def test_people_are_compared_with_models_and_not_with_each_other() -> None:
    y = thresholds(np.random.default_rng(5), 3, 6)
    outcomes = [*of_matrix(y, names(3)), *(outcome("a", f"r{c:02d}", 20 + c) for c in range(6))]
    found = analysis(outcomes, [row(name) for name in names(3)], ("a",))
    pairs = {(one.first, one.second) for one in fitting.comparisons(found, fits=())}
    assert pairs == {(name, "a") for name in names(3)}


def test_the_model_that_sees_like_people_comes_first_and_ties_are_at_the_end_of_the_ladder() -> None:
    rng = np.random.default_rng(6)
    y = thresholds(rng, 12, 20)
    mean = y.mean(axis=0)
    like = {"far": rng.permutation(mean), "near": mean + 0.5 * rng.standard_normal(20), "blind": np.full(20, 99.0)}
    outcomes = [
        *of_matrix(y, names(12)),
        *(outcome(model, f"r{c:02d}", float(v)) for model, values in like.items() for c, v in enumerate(values)),
    ]
    rows = likeness.likeness(analysis(outcomes, [row(name) for name in names(12)], tuple(like)))
    assert [one.model for one in rows][0::2] == ["near", "blind"]
    near, far, blind = rows
    assert near.rho > 0.9
    assert near.ceiling is not None
    assert near.likeness == pytest.approx(near.rho / near.ceiling.value)
    assert near.told
    assert abs(far.rho) < 0.6
    assert math.isnan(blind.rho), "all tied at the end: nothing to rank"
    assert not blind.told
    assert blind.model_beyond == Share(20, 20)
    table = tables.ranking(analysis(outcomes, [row(name) for name in names(12)], tuple(like)), rows)
    assert table.rows[2][5] == "?"


def test_no_ceiling_below_ten_people_but_a_rank_correlation() -> None:
    y = thresholds(np.random.default_rng(7), 9, 12)
    outcomes = [*of_matrix(y, names(9)), *(outcome("a", f"r{c:02d}", float(v)) for c, v in enumerate(y.mean(axis=0)))]
    (found,) = likeness.likeness(analysis(outcomes, [row(name) for name in names(9)], ("a",)))
    assert found.ceiling is None
    assert math.isnan(found.likeness)
    assert found.rho > 0.8


def test_fitted_thresholds_are_people_rows_too() -> None:
    outcomes = [outcome(name, f"r{c}", 10.0 + i + c, fitted=True) for i, name in enumerate(names(5)) for c in range(5)]
    (found,) = people.people_rows(analysis(outcomes, [row(name) for name in names(5)]))
    assert (found.measure, found.value) == ("T50", 14.0)


# --- answers at fixed levels, and when they were given ---


def response(key: str, level: int, yes: bool) -> Response:
    trial = Trial("", "direct", "", 0, level, 0, False, 0, key)
    return Response(Probe(0, level), Verdict(Flag.YES if yes else Flag.NO), (trial,))


def fixed(observer: str, picture: str, said: dict[int, bool]) -> Outcome:
    responses = tuple(response(f"{observer}/{picture}/{level}", level, yes) for level, yes in said.items())
    return Outcome(observer, "direct", series(picture), SeriesStatus.COMPLETE, (), responses)


def answering(rng: np.random.Generator, n: int, references: int, observers: Sequence[str]) -> list[Outcome]:
    """Observers who share what is hard about a reference, and nothing else."""
    hard = rng.standard_normal(references)
    return [
        fixed(name, f"r{c:02d}", {k: bool(k / 10 - 2.5 + rng.normal(0, 0.7) > hard[c]) for k in range(10, 45, 5)})
        for name in observers[:n] for c in range(references)
    ]  # fmt: skip


def test_error_consistency_of_groups_leaves_out_who_failed() -> None:
    who = [*names(3), "a", "b"]
    outcomes = answering(np.random.default_rng(8), 5, 30, who)
    persons = [row(names(3)[0], passed=False), *(row(name) for name in names(3)[1:])]
    pairs, groups = likeness.error_consistency(analysis(outcomes, persons, ("a", "b")))
    assert len(pairs) == 10
    assert sum(one.counted for one in pairs) == 6
    assert {one.of: one.pairs for one in groups} == {likeness.PEOPLE: 1, likeness.MIXED: 4, likeness.MODELS: 1}
    for one in groups:
        assert one.found.pooled > one.found.kappa > 0.1, "strong levels are easy for everybody"


def test_above_so_many_pairs_only_rows_of_pairs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    who = names(5)
    found = analysis(answering(np.random.default_rng(8), 5, 30, who), [row(name) for name in who])
    pairs, (whole,) = likeness.error_consistency(found)
    monkeypatch.setattr(likeness, "MOST_PAIRS", 9)
    none, (one,) = likeness.error_consistency(found)
    assert (len(pairs), whole.listed, none, one.listed) == (10, True, (), False)
    assert (one.pairs, one.found.trials, one.found.kappa) == (10, whole.found.trials, whole.found.kappa)
    assert one.found.interval is not None
    notes = tables.groups(found, [one]).notes
    assert notes[-1] == "Above 3,000 pairs of observers only means are given, over all of them: blur."
    assert len(tables.groups(found, [whole]).notes) == 1


def test_error_consistency_takes_no_levels_that_answers_chose() -> None:
    y = np.full((3, 6), 12.0)
    assert likeness.error_consistency(analysis(of_matrix(y, names(3)), [row(name) for name in names(3)])) == ((), ())


def test_identical_pairs_are_right_where_no_difference_is_said() -> None:
    asked = SimpleNamespace(forced=False)
    assert likeness.right(response("k", 0, False), asked)  # type: ignore[arg-type]
    assert not likeness.right(response("k", 0, True), asked)  # type: ignore[arg-type]
    assert likeness.right(response("k", 3, True), asked)  # type: ignore[arg-type]
    assert likeness.right(response("k", 0, True), SimpleNamespace(forced=True))  # type: ignore[arg-type]


def presented(
    outcomes: Sequence[Outcome], seconds: Any, seed: int = 0, sure: Any = lambda one: None
) -> list[Presentation]:
    """Each person's answers in an order of their own, four seconds apart, in two sittings."""
    rng, rows = np.random.default_rng(seed), []
    for name in dict.fromkeys(one.observer for one in outcomes):
        mine = [r for one in outcomes if one.observer == name for r in one.responses]
        for place, i in enumerate(rng.permutation(len(mine))):
            sitting = 1 + (2 * place >= len(mine))
            rows.append(Presentation(
                mine[i].trials[0].key, f"{name}/{sitting}", 1000.0 * sitting + 4 * place, 500,
                1000 * seconds(mine[i]), sure(mine[i]),
            ))  # fmt: skip
    return rows


def test_learning_is_found_as_it_was_put_in() -> None:
    """Levels fall by 6 per 100 presentations; order and references are each person's own."""
    rng, n, references = np.random.default_rng(9), 8, 60
    outcomes, shown = [], []
    for i, name in enumerate(names(n)):
        for place, c in enumerate(rng.permutation(references)):
            level = 30 + i + 0.1 * c - 0.06 * place + rng.normal(0, 0.5)
            outcomes.append(outcome(name, f"r{c:02d}", level, response(f"{name}/{c}", 20, True)))
            shown.append(Presentation(f"{name}/{c}", f"{name}/1", 1e6 + 4 * place, 500, 900.0))
    found = analysis(outcomes, [row(name) for name in names(n)], shown=shown)
    mean, *each = sittings.courses(found, sittings.shown(found))
    assert (mean.observer, mean.measure, mean.n, mean.between) == ("", "J", n, None)
    assert mean.within.interval is not None
    assert mean.within.value == pytest.approx(-6, abs=1)
    assert mean.within.interval.low < -6 < mean.within.interval.high
    assert (
        sum(one.within.interval.low <= -6 <= one.within.interval.high for one in each if one.within.interval) >= n - 2
    )


def test_learning_alone_is_held_against_ones_own_mean() -> None:
    rng, outcomes, shown = np.random.default_rng(10), [], []
    for place, c in enumerate(rng.permutation(60)):
        outcomes.append(outcome("person:p00", f"r{c:02d}", 30 - 0.1 * place, response(f"k{c}", 20, True)))
        shown.append(Presentation(f"k{c}", "person:p00/1", 1e6 + 4 * place, 500, 900.0))
    found = analysis(outcomes, [row("person:p00")], shown=shown)
    assert sittings.courses(found, sittings.shown(found))[1].within.value == pytest.approx(-10, abs=1)


def test_reaction_times_leave_out_gaps_and_who_failed() -> None:
    who = names(7)
    outcomes = answering(np.random.default_rng(11), 7, 12, who)
    rows = presented(outcomes, lambda r: 1.0 + abs(r.probe.level - 25) / 50)
    slow = rows[0]
    persons = [row(who[0], gaps=[(slow.shown_at + 0.1, slow.shown_at + 0.2)]), *(row(name) for name in who[1:6]),
               row(who[6], passed=False)]  # fmt: skip
    found = analysis(outcomes, persons, shown=rows)
    times = sittings.times(found, sittings.shown(found))
    by_level = [one for one in times if one.by == "level"]
    assert sum(one.n for one in by_level) == 6 * 12 * 7 - 1
    assert sum(one.interrupted for one in by_level) == 1
    middle = next(one for one in by_level if one.label == "40 to 60 % of the ladder")
    assert middle.people == 6
    assert middle.low is not None, "six people have an interval"
    assert middle.median < by_level[-1].median
    answers = {one.label for one in times if one.by == "answer"}
    assert answers == {"yes, different pictures", "no, different pictures"}


def test_confidence_that_follows_being_right_has_a_large_area_and_blind_confidence_a_half() -> None:
    outcomes = answering(np.random.default_rng(12), 6, 15, names(6))
    rng = np.random.default_rng(13)
    persons = [row(name) for name in names(6)]
    for sure, area in ((lambda r: 1.0 if r.verdict.yes else 0.0, 1.0), (lambda r: float(rng.integers(0, 3)) / 2, 0.5)):
        found = analysis(outcomes, persons, shown=presented(outcomes, lambda r: 1.0, sure=sure))
        every, *steps = sittings.confidences(found, sittings.shown(found))
        assert math.isnan(every.confidence)
        assert every.over.value == pytest.approx(area, abs=0.1)
        assert sum(step.right.n for step in steps) == every.right.n == 6 * 15 * 7


def test_levels_that_somebody_else_chose_give_no_midpoint_and_no_consistency() -> None:
    who = [*names(6), "a"]
    found = analysis(answering(np.random.default_rng(8), 7, 12, who), [row(name) for name in names(6)], ("a",))
    chosen = dataclasses.replace(found, chosen=tuple(who))
    chosen.__dict__["questions"] = found.questions
    assert likeness.error_consistency(found)[0]
    assert likeness.error_consistency(chosen) == ((), ())
    assert not math.isnan(people.people_rows(found)[0].value)
    (only,) = people.people_rows(chosen)
    assert (only.people, only.references, only.n) == (6, 12, 72)
    assert (tables.bounded(only), only.interval) == ("?", None)
    table = tables.thresholds(chosen, (only,))
    assert tables.CHOSEN in table.notes
    assert tables.CHOSEN not in tables.thresholds(found, people.people_rows(found)).notes
    told = everything(dataclasses.replace(chosen, presentations=()))
    assert told is not None


def test_one_level_has_no_interval_and_ends_are_those_of_the_levels_asked() -> None:
    rng = np.random.default_rng(4)
    who = [row(name) for name in names(6)]
    one = [fixed(name, f"r{c}", {20: bool(rng.random() < 0.5)}) for name in names(6) for c in range(6)]
    (only,) = people.people_rows(analysis(one, who))
    assert tables.bounded(only) in ("<=20 [?]", ">20 [?]")
    none = [fixed(name, f"r{c}", {10: False, 20: c == 0}) for name in names(6) for c in range(6)]
    assert tables.bounded(people.people_rows(analysis(none, who))[0]).startswith(">20 ")


def test_thresholds_that_all_lie_beyond_the_ladder_are_no_number() -> None:
    (only,) = people.people_rows(analysis(of_matrix(np.full((6, 6), math.inf), names(6)), [row(n) for n in names(6)]))
    assert tables.bounded(only) == f">{L} [?]"
    assert only.strength is None
    y = np.full((6, 6), math.inf)
    y[0] = 30.0
    (some,) = people.people_rows(analysis(of_matrix(y, names(6)), [row(n) for n in names(6)]))
    assert some.value == pytest.approx((30 + 5 * L) / 6)


@pytest.mark.parametrize("level", [1.0, math.inf])
def test_no_learning_is_read_off_thresholds_beyond_the_ladder(level: float) -> None:
    outcomes, shown = [], []
    for i, name in enumerate(names(3)):
        for c in range(10):
            at = level if i or c < 6 else 20.0 + c
            outcomes.append(outcome(name, f"r{c:02d}", at, response(f"{name}/{c}", 20, True)))
            shown.append(Presentation(f"{name}/{c}", f"{name}/1", 1e6 + 4 * c, 500, 900.0))
    found = analysis(outcomes, [row(name) for name in names(3)], shown=shown)
    lines = tables.courses(found, sittings.courses(found, sittings.shown(found))).rows
    assert [line[0] for line in lines] == ["people (n = 0)", *names(3)]
    assert [line[-2] for line in lines] == ["?"] * 4


@pytest.mark.parametrize("top", [1, 2, 3, 7, 13, 20, 63])
def test_levels_stand_in_the_fifth_of_the_ladder_that_holds_them(top: int) -> None:
    for level in range(1, top + 1):
        of: Any = SimpleNamespace(
            outcome=SimpleNamespace(series=SimpleNamespace(levels=top)),
            response=SimpleNamespace(probe=SimpleNamespace(level=level, reference=0)),
        )
        _, label = sittings._fifth(of)
        low, high = (int(end) for end in label.removesuffix(" % of the ladder").split(" to "))
        assert low < 100 * level / top <= high


def test_an_alias_of_two_runs_is_two_people_and_a_line_says_so() -> None:
    y = thresholds(np.random.default_rng(1), 2, 6)
    one = analysis(of_matrix(y, names(2)), [row(name) for name in names(2)])
    both = merge.together({"a": one, "b": one})
    both.__dict__["questions"] = one.questions
    found = everything(both)
    assert found is not None
    assert found.aliases == ("person:p00", "person:p01"), "aliases of this test's fingerprints"
    assert "2 aliases stand in several runs: counted as different people." in tables.persons(found).notes
    assert len(tables.persons(everything(one)).notes) == 1  # type: ignore[arg-type]


def test_who_fell_under_no_attention_rule_is_not_counted_among_those_who_could_fail_it() -> None:
    y = thresholds(np.random.default_rng(1), 4, 6)
    free = [dataclasses.replace(row(name, passed=None), rule="", sittings=0, presentations=9) for name in names(4)[2:]]
    persons = [row(names(4)[0], passed=False), row(names(4)[1]), *free]
    table = tables.persons(everything(analysis(of_matrix(y, names(4)), persons)))  # type: ignore[arg-type]
    assert "1 of 2 failed" in table.notes[0]
    assert "For 2 no rule was declared" in table.notes[0]
    assert table.rows[2][4:7] == ("?", "?", "?"), "sittings of what was imported without any"
    alone = tables.persons(everything(analysis(of_matrix(y[2:], names(4)[2:]), free)))  # type: ignore[arg-type]
    assert alone.notes[0].startswith("No attention rule was declared. Minutes")
    assert "failed" not in alone.notes[0]


def test_nothing_without_people() -> None:
    assert everything(analysis([outcome("a", "r", 5)], (), ("a",))) is None


def test_a_session_of_any_name_does_no_harm() -> None:
    outcomes = answering(np.random.default_rng(14), 1, 4, names(1))
    rows = [dataclasses.replace(one, session="<script>") for one in presented(outcomes, lambda r: 1.0)]
    found = analysis(outcomes, [row(names(1)[0])], shown=rows)
    assert {one.sitting for one in sittings.shown(found)} == {1}
