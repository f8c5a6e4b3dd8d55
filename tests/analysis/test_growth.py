"""Redundancy and the law of the n-th JND: counted by hand, and recovered from observers whose law is known."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen import digest
from limen.analysis import Analysis, Outcome, SeriesStatus, analyse, growth
from limen.analysis.growth import GrowthRow, Law, LawFit
from limen.analysis.redundancy import Chain, chain, redundancy
from limen.errors import InputError
from limen.question import Query
from limen.report import growth as tables
from limen.report.figures import svg
from limen.store import SeriesRow, Store
from limen.study import Spec, Study
from limen.testing import simulate
from limen.threshold import Threshold
from tests.support.manifests import entry, manifest
from tests.support.toy import Toy

L = 50


def analysis_of(
    chains: Sequence[Sequence[Threshold]], orders: int | None = 0, strengths: Sequence[float] = (), unit: str = "px"
) -> Analysis:
    """An analysis with one series for each chain of thresholds."""
    strengths = list(strengths) or [0.5 * k for k in range(1, L + 1)]
    outcomes = [
        Outcome("o", "direct", series(i, len(strengths)), SeriesStatus.COMPLETE, tuple(found), ())
        for i, found in enumerate(chains)
    ]
    procedure = {"name": "several"} if orders is None else {"name": "skip", "orders": orders}
    about = manifest(distortions={"blur": entry(strengths, unit)}, procedure=procedure)
    return Analysis(about, tuple(outcomes), (), (), ())


def series(i: int, levels: int) -> SeriesRow:
    return SeriesRow(f"s{i}", "blur", "blur", f"{i}.png", digest.of(["picture", i]), "k", levels)


def jnds(*levels: int, none: bool = True, unconfirmed: int = 0, top: int = L) -> tuple[Threshold, ...]:
    """A chain with JNDs at these levels, ended by a search without result or by an unconfirmed JND."""
    found = [Threshold(n, level, 0.0) for n, level in enumerate(levels, start=1)]
    if unconfirmed:
        found.append(Threshold(len(found) + 1, unconfirmed, 0.0, confirmed=False))
    if none:
        found.append(Threshold(len(found) + 1, top, 0.0, censored=True))
    return tuple(found)


Gap = Callable[[int, int], float]  # of the order n and the reference level
GAPS: dict[Law, Gap] = {
    Law.LINEAR: lambda n, r: 6,
    Law.EXPONENTIAL: lambda n, r: 2 + 0.25 * r,
    Law.SATURATING: lambda n, r: 12 - 0.2 * r,
    Law.STAIR: lambda n, r: 9 if n % 3 == 1 else 3,
}


def run_of(gap: Gap, name: str, spread: float, noise: float, orders: int = 0) -> tuple[Threshold, ...]:
    """One series of an observer that notices what lies a gap above the reference; the gap is noisy, and scaled."""
    rng = digest.generator("law", name)
    scale, errors = math.exp(rng.normal(0, spread)), rng.normal(0, noise, L + 1)
    order: dict[int, int] = {}

    def says(reference: int, level: int) -> bool:
        mean = gap(order.setdefault(reference, len(order) + 1), reference)
        return bool(level - reference >= max(1, scale * mean + errors[reference] * mean / 6))

    return simulate("skip", says, L, orders=orders).thresholds


def recovered(law: Law, seed: int, n: int = 20, spread: float = 0.5, noise: float = 1.0, orders: int = 0) -> GrowthRow:
    chains = [run_of(GAPS[law], f"{law}/{seed}/{i}", spread, noise, orders) for i in range(n)]
    (row,) = growth.laws(analysis_of(chains, orders))
    return row


# --- redundancy ---


def test_redundancy_counted_by_hand() -> None:
    (row,) = redundancy(analysis_of([jnds(3, 10, 30), jnds(20, unconfirmed=49, none=False), jnds()]))
    assert (row.levels, row.cut.k, row.cut.n) == (50, 0, 3)
    assert row.count.value == pytest.approx((3 + 1 + 0) / 3)
    assert row.longest.value == pytest.approx((20 + 30 + 50) / 3)  # behind 30: 31..50; behind 20: 21..50; all
    assert row.redundancy.value == pytest.approx((47 + 49 + 50) / 150)
    assert (row.gap.value, row.gap.n) == ((30 / 3 + 20) / 2, 2)
    assert [(gap.value, gap.n) for gap in row.gaps] == [((3 + 20) / 2, 2), (7, 1), (20, 1)]
    assert row.count.interval is None  # three references
    printed = tables.redundancy(analysis_of([]), (row,))
    assert printed.rows == (("blur", "3", "1.3", "15.0", "2", "33.3", "97.3"),)
    assert tables.gaps(analysis_of([]), (row,)).rows[0] == ("blur", "1", "2 of 3", "11.5")


def test_a_chain_that_orders_ended_says_at_least() -> None:
    (row,) = redundancy(analysis_of([jnds(3, 10, none=False), jnds(40)], orders=2))
    assert (row.cut.k, row.cut.n) == (1, 2)
    assert row.longest.value == pytest.approx((6 + 39) / 2)  # what lies behind 10 is not known
    printed = tables.redundancy(analysis_of([]), (row,))
    assert printed.rows[0][2] == ">= 1.5"
    assert printed.rows[0][5:] == (">= 22.5", "<= 97.0")
    assert any("blur 1 of 2" in note for note in printed.notes)


def test_a_jnd_at_the_top_ends_a_chain_whole() -> None:
    outcome = Outcome("o", "direct", series(0, L), SeriesStatus.COMPLETE, jnds(20, 50, none=False), ())
    assert chain(outcome) == Chain(outcome.series.picture, (20, 50), 50, cut=False)
    assert chain(dataclasses.replace(outcome, thresholds=jnds(20, none=False))).cut


@given(st.lists(st.booleans(), min_size=2, max_size=60))  # one level alone has no threshold
def test_stretches_and_jnds_make_up_the_ladder(noticed: list[bool]) -> None:
    """With a window of one, each level that is noticed is a JND; the rest is what redundancy counts."""
    found = simulate("scan", noticed, confirm=0, orders=0).thresholds
    outcome = Outcome("o", "direct", series(0, len(noticed)), SeriesStatus.COMPLETE, found, ())
    one = chain(outcome)
    assert len(one.levels) == sum(noticed)
    assert one.unnoticed == pytest.approx(noticed.count(False) / len(noticed))
    runs = "".join("." if yes else "n" for yes in noticed).split(".")
    assert one.longest == max(map(len, runs))
    assert sum(one.gaps) == (one.levels[-1] if one.levels else 0)


def test_a_run_that_looked_for_the_first_jnd_alone_has_no_rows() -> None:
    first = [jnds(10, none=False), jnds()]
    assert redundancy(analysis_of(first, orders=1)) == ()
    assert growth.laws(analysis_of(first, orders=1)) == ()
    assert redundancy(analysis_of(first, orders=None)) == ()
    assert len(redundancy(analysis_of([*first, jnds(5, 9)], orders=None))) == 1  # several runs: seen by the chains
    assert redundancy(analysis_of([jnds()], orders=0))[0].redundancy.value == 1


# --- laws ---


@pytest.mark.parametrize("law", list(Law))
def test_laws_are_recovered_though_references_differ(law: Law) -> None:
    """Gaps differ between references by a factor of e^.5 (sd), and within one by a sixth (sd)."""
    verdicts = Counter(recovered(law, seed).verdict for seed in range(6))
    assert verdicts[law] >= 5
    assert not set(verdicts) & (set(Law) - {law})  # never another one


@pytest.mark.parametrize("law", [Law.LINEAR, Law.EXPONENTIAL])
def test_chains_that_orders_ended_do_not_mislead(law: Law) -> None:
    """Where four JNDs are looked for, only references with large gaps have been far up the ladder."""
    verdicts = Counter(recovered(law, seed, n=30, orders=4).verdict for seed in range(6))
    assert sum(verdicts[told] for told in verdicts if law in told) == 6
    assert not set(verdicts) & (set(Law) - {law})


def test_numbers_of_a_law_are_recovered() -> None:
    for law, wanted in ((Law.LINEAR, LawFit(Law.LINEAR, 6)), (Law.EXPONENTIAL, LawFit(Law.EXPONENTIAL, 2, 0.25))):
        best = recovered(law, 0, n=40, spread=0, noise=0).scores[0].fitted
        for r in (0, 20, 40):  # levels are whole: gaps are rounded up
            assert wanted.gap(2, r) - 0.3 < best.gap(2, r) < wanted.gap(2, r) + 1.3
    best = recovered(Law.STAIR, 0, n=40, spread=0, noise=0).scores[0].fitted
    assert (best.period, best.phase) == (3, 1)
    assert best.base == pytest.approx(3)
    assert best.riser == pytest.approx(9)


def test_references_that_are_all_alike_are_told() -> None:
    row = recovered(Law.LINEAR, 0, n=5, spread=0, noise=0)
    assert row.verdict == "linear"
    assert row.scores[0].error == pytest.approx(0, abs=1e-9)
    assert row.scores[0].course == pytest.approx([mean.value for mean in row.course])


def test_a_search_that_found_nothing_up_to_the_top_is_scored() -> None:
    """Gaps of 5, 5, and then 35 levels without a JND: a line tells 5 and is 30 wrong, once in two."""
    (row,) = growth.laws(analysis_of([jnds(5, 10, 15)] * 5))
    linear = next(score for score in row.scores if score.fitted.law is Law.LINEAR)
    assert row.steps == 15
    assert linear.error == pytest.approx(math.sqrt(30**2 / 2))
    (row,) = growth.laws(analysis_of([jnds(5, 10, 15, none=False)] * 5, orders=3))
    linear = next(score for score in row.scores if score.fitted.law is Law.LINEAR)
    assert row.steps == 10
    assert linear.error == pytest.approx(0, abs=1e-9)


def test_noise_without_a_law_is_not_told() -> None:
    rng = digest.generator("no law")
    chains = []
    for _ in range(12):
        levels = np.cumsum(rng.integers(1, 30, 20))
        chains.append(jnds(*(int(k) for k in levels[levels <= L])))
    (row,) = growth.laws(analysis_of(chains))
    assert row.verdict.startswith("cannot tell (")
    assert len(row.laws) > 1
    printed = tables.laws(analysis_of([]), (row,))
    assert "(10-fold cross-validation; beyond L counts as L), in levels." in printed.notes[1]
    assert sum(cell.endswith("~") for cell in printed.rows[0]) == len(row.laws) - 1


def test_fits_side_by_side_are_those_of_each_alone() -> None:
    """Stairs settle after different numbers of rounds: none may be moved by those that go on."""
    rng = np.random.default_rng(5)
    whose = np.repeat(np.arange(12), 6)
    start = np.tile(np.arange(6) * 7.0, 12)
    steps = growth._Steps(whose, np.tile(np.arange(2, 8), 12), start, rng.uniform(1, 12, 72), L - start)
    bases = rng.uniform(0, 2, (8, 72, 2))
    found, losses = growth._least(bases, steps)
    alone = [growth._least(basis[None], steps) for basis in bases]
    assert found.tolist() == [one[0].tolist() for one, _ in alone]
    assert losses.tolist() == [float(loss[0]) for _, loss in alone]
    assert (found >= 0).all()


def test_too_few_say_so_with_their_counts() -> None:
    (row,) = growth.laws(analysis_of([jnds(7, 14, 21)] * 4 + [jnds(20, 40)] * 6 + [jnds()]))
    assert row.verdict == "too few to tell: 4 of 11 references with 3 JNDs, 5 needed"
    assert (row.references, row.long, row.scores, row.laws) == (10, 4, (), ())
    assert tables.laws(analysis_of([]), (row,)).rows[0][2:4] == (row.verdict, "-")
    (row,) = growth.laws(analysis_of([jnds()] * 9))
    assert row.verdict == "too few to tell: 0 of 9 references with 3 JNDs, 5 needed"


def test_the_end_of_the_ladder_does_not_bend_a_line() -> None:
    """Near L only small gaps are seen; the line must keep its gap all the same."""
    found = [recovered(Law.LINEAR, seed, n=40, spread=0, noise=2.0).scores for seed in range(4)]
    linear = [next(score.fitted for score in scores if score.fitted.law is Law.LINEAR) for scores in found]
    assert np.mean([fitted.base for fitted in linear]) == pytest.approx(6.5, abs=0.25)  # rounded up: 6 + about .5


def test_the_order_of_series_changes_nothing() -> None:
    chains = [run_of(GAPS[Law.STAIR], f"order/{i}", 0.5, 1.0) for i in range(9)]
    forwards = analysis_of(chains)
    backwards = dataclasses.replace(forwards, outcomes=forwards.outcomes[::-1])
    (one,), (other,) = growth.laws(forwards), growth.laws(backwards)
    assert [s.fitted for s in one.scores] == [s.fitted for s in other.scores]
    assert [s.error for s in one.scores] == [s.error for s in other.scores]


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.integers(1, L), min_size=0, max_size=12, unique=True).map(sorted), min_size=5, max_size=12
    ),
    st.booleans(),
)  # fmt: skip
def test_any_chains_get_a_row_that_adds_up(levels: list[list[int]], cut: bool) -> None:
    chains = [jnds(*one, none=not (cut and one) and (not one or one[-1] < L)) for one in levels]
    (row,) = growth.laws(analysis_of([found or jnds() for found in chains]))
    assert row.references == sum(bool(one) for one in levels)
    assert row.long == sum(len(one) >= 3 for one in levels)
    assert bool(row.scores) == (row.long >= 5)
    for score in row.scores:
        assert score.behind >= 0
        assert math.isfinite(score.error)
        assert min(score.fitted.gap(n, r) for n in range(2, 9) for r in (0, row.end)) >= -1e-9
        low, high = sorted(score.fitted.gap(2, r) for r in (0, row.end))
        if score.fitted.law is Law.LINEAR:
            assert low == high
        elif score.fitted.law is Law.STAIR:
            assert score.fitted.riser >= 2 * score.fitted.base - 1e-9
        else:
            assert high >= 2 * low - 1e-9
    for mean, reached in zip(row.course, row.reached, strict=True):
        assert 0 < reached <= row.references
        assert 0 < mean.value <= L


# --- strength ---


def test_equal_steps_give_the_same_law_in_strength() -> None:
    chains = [run_of(GAPS[Law.EXPONENTIAL], f"strength/{i}", 0.3, 1.0) for i in range(10)]
    falling = [round(1 - 0.0175 * k, 4) for k in range(1, L + 1)]
    for strengths, step in (((), 0.5), (falling, 0.0175)):
        (level,) = growth.laws(analysis_of(chains, strengths=strengths))
        (row,) = growth.laws(analysis_of(chains, strengths=strengths), "strength")
        assert (row.axis, row.unit) == ("strength", "px")
        assert row.end == pytest.approx(L * step)
        assert row.laws == level.laws
        assert row.scores[0].fitted.base == pytest.approx(step * level.scores[0].fitted.base)
        assert row.scores[0].fitted.growth == pytest.approx(level.scores[0].fitted.growth)


def test_a_law_in_strength_needs_the_undistorted_one() -> None:
    """Weber's law in strength is a line in levels where each level is the same factor stronger."""
    strengths = [1.1**k for k in range(1, L + 1)]
    chains = [run_of(GAPS[Law.LINEAR], f"factor/{i}", 0.3, 0.3) for i in range(12)]
    given_ = analysis_of(chains, strengths=strengths)
    (row,) = growth.laws(given_, "strength")
    assert (row.scores, row.verdict) == ((), "the undistorted strength is not known: no law in strength")
    assert growth.laws(given_)[0].verdict == "linear"
    (row,) = growth.laws(given_, "strength", {"blur": 0})
    assert row.verdict == "exponential"
    assert row.scores[0].fitted.growth == pytest.approx(1.1**6.5 - 1, rel=0.15)


def test_distances() -> None:
    assert growth.distances([100, 99, 98]) == (0, 1, 2, 3)
    assert growth.distances([4, 2, 1]) is None
    assert growth.distances([4, 2, 1], 8) == (0, 4, 6, 7)
    assert growth.distances([2, 4, 1], 8) is None  # nearer again at level 2
    assert growth.distances([1.0]) is None
    with pytest.raises(InputError, match="level, strength"):
        growth.laws(analysis_of([]), "strengths")  # type: ignore[arg-type]


# --- from a run to the page ---


def rms(query: Query) -> float:
    first, last = query.pictures
    return float(np.sqrt(np.mean((first.pixels.astype(float) - last.pixels) ** 2)))


def test_a_run_goes_all_the_way(tmp_path: Path, photos: Path) -> None:
    toy = Toy(lambda q: "Yes, there is a noticeable difference." if rms(q) > 3 else "No, there is none to be noticed.")
    entries: dict[str, Any] = {"distortions": ("brightness", "contrast"), "procedure": {"name": "skip", "orders": 0}}
    spec = Spec(images=(str(photos),), observers=("simulated",), **entries)
    dataclasses.replace(Study.plan(spec), observers=(toy,)).run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
    rows, found = redundancy(analysis), growth.laws(analysis)
    assert [row.distortion for row in rows] == [row.distortion for row in found] == ["brightness", "contrast"]
    for row, law in zip(rows, found, strict=True):
        mine = [outcome for outcome in analysis.outcomes if outcome.series.distortion == row.distortion]
        assert row.count.value == np.mean([sum(t.reached for t in outcome.thresholds) for outcome in mine])
        assert row.count.value > 2
        assert law.verdict == "too few to tell: 4 of 4 references with 3 JNDs, 5 needed"
    assert [row[0] for row in tables.laws(analysis, found).rows] == ["brightness", "contrast"]
    assert tables.records(rows, found)["laws"][0]["verdict"].startswith("too few")


def test_the_figure_has_means_and_every_law() -> None:
    row = recovered(Law.EXPONENTIAL, 1)
    spec = tables.courses((row,), 1060)
    values = spec["data"]["values"]
    means = [item for item in values if item["law"] is None]
    far = sum(2 * reached >= row.references for reached in row.reached)
    assert 1 < far < len(row.course)
    assert [item["n"] for item in means] == list(range(1, far + 1))
    assert means[0]["share"] == pytest.approx(100 * row.course[0].value / L)
    for law in Law:
        line = [item["share"] for item in values if item["law"] == law]
        assert line[0] == pytest.approx(means[0]["share"])
        assert line == sorted(line)
        assert line[-1] <= 100
    best = [item["share"] for item in values if item["law"] == row.verdict == "exponential"]
    assert best == pytest.approx([item["share"] for item in means], abs=6)
    drawn = svg(spec, "Law of the n-th JND")
    assert drawn.startswith("<svg")
    assert all(str(law) in drawn for law in Law)
    assert tables.courses((), 340)["data"]["values"] == []


def test_formulas() -> None:
    assert tables.formula(LawFit(Law.LINEAR, 6.04)) == "6.04"
    assert tables.formula(LawFit(Law.EXPONENTIAL, 2, 0.25)) == "2 + 0.25 r"
    assert tables.formula(LawFit(Law.SATURATING, 12, -0.2)) == "12 - 0.2 r"
    assert tables.formula(LawFit(Law.STAIR, 3, riser=9, period=3, phase=1)) == "3, but 9 once in 3"
    assert LawFit(Law.STAIR, 3, riser=9, period=3, phase=1).course(9, 6, 26) == (9, 12, 15, 24, 26, 26)
