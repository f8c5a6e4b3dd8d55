"""Observers x distortions: small cases by hand, scipy beside the correlations, and a run from end to end."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from limen.analysis import Analysis, Outcome, SeriesStatus, analyse
from limen.analysis import correlations as relations
from limen.analysis.correlations import Score, averages, correlations, part_of, ranks, reductions, uncensored
from limen.analysis.merge import together
from limen.analysis.model_size import Parameters, backbones, parabola
from limen.analysis.tables import jnd_rows
from limen.errors import InputError
from limen.image import png
from limen.question import Query
from limen.report import correlations as tables
from limen.store import SeriesRow, Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.threshold import Threshold
from tests.support.manifests import entry, manifest
from tests.support.toy import Toy

LEVELS = {"jpeg": 100, "band2k": 1}
WORDS = {"angle": "perspectives", "distance": "perspectives"}


def score(observer: str, distortion: str, mean: float, censored: bool = False) -> Score:
    return Score(observer, distortion, mean, censored, LEVELS.get(distortion, 50))


def analysis(found: Mapping[tuple[str, str, str], Sequence[int | str]]) -> Analysis:
    """Make the analysis of a run whose J are given: a level, ">" (none) or "50?" (the end cut its window)."""
    outcomes = defaultdict(list)
    for (observer, question, distortion), levels in found.items():
        top = LEVELS.get(distortion, 50)
        for i, level in enumerate(levels):
            row = SeriesRow(f"{distortion}{i}", distortion, WORDS.get(distortion, distortion), f"{i}", f"p{i}", "", top)
            digits = "".join(c for c in str(level) if c.isdigit())
            at = Threshold(1, int(digits or top), 0.0, censored=level == ">", confirmed="?" not in str(level))
            key = (observer, question, distortion)
            outcomes[key].append(Outcome(observer, question, row, SeriesStatus.COMPLETE, (at,), ()))
    kinds = {name: entry([1.0] * LEVELS.get(name, 50), "", WORDS.get(name, name)) for _, _, name in found}
    about = manifest((key[0] for key in found), (key[1] for key in found), kinds, {"name": "scan"})
    jnds = tuple(row for key, group in outcomes.items() for row in jnd_rows(key, group, about))
    return Analysis(about, tuple(o for group in outcomes.values() for o in group), jnds, (), ())


# --- scores, averages, ranks ---


def test_scores_are_restricted_means_and_say_when_they_are_only_bounds() -> None:
    run = analysis({
        ("keen", "direct", "blur"): [2, 4, 6, ">"],
        ("blind", "direct", "blur"): [">", ">", "50?", ">"],
        ("keen", "choice", "blur"): [9],
        ("keen", "direct", "band2k"): [1, 1],
    })  # fmt: skip
    keen, blind = relations.scores(run, "direct")
    assert keen == Score("keen", "blur", (2 + 4 + 6 + 50) / 4, False, 50, 4, 1)
    assert blind == Score("blind", "blur", 50.0, True, 50, 4, 4)  # a cut window is no J
    assert [s.mean for s in relations.scores(run, "choice")] == [9.0]


def test_scores_are_of_the_first_jnd_alone() -> None:
    run = analysis({("o", "direct", "blur"): [2, 4]})
    second = [replace(o, thresholds=(*o.thresholds, Threshold(2, 30, 0.0))) for o in run.outcomes]
    jnds = tuple(jnd_rows(("o", "direct", "blur"), second, run.manifest))
    assert [row.order for row in jnds] == [1, 2]
    assert [s.mean for s in relations.scores(replace(run, jnds=jnds), "direct")] == [3.0]


def test_averages_by_part_leave_out_who_lacks_a_distortion() -> None:
    given = [score("a", "blur", 10), score("a", "jpeg", 40), score("a", "qr", 5), score("a", "spin", 1)]
    given += [score("b", "blur", 50, True), score("b", "jpeg", 100, True), score("b", "qr", 7)]
    found = {(a.observer, a.part): a for a in averages(given)}
    assert set(found) == {
        ("a", "low-level"), ("a", "injection"), ("a", "all"), ("b", "low-level"), ("b", "injection"),
    }  # fmt: skip
    assert math.isnan(found["a", "low-level"].mean), "50 levels and 100"
    paper = {(a.observer, a.part): a.mean for a in averages(given, mixed=True)}
    assert paper["a", "low-level"] == 25.0
    assert found["a", "low-level"].of_ladder == pytest.approx((10 / 50 + 40 / 100) / 2)
    assert paper["a", "all"] == (10 + 40 + 5 + 1) / 4
    assert found["a", "injection"].mean == 5
    assert (found["b", "low-level"].censored, found["b", "low-level"].n) == (2, 2)
    assert part_of("wm_text") == part_of("text") == "injection"
    assert part_of("angle") == "3D"
    assert part_of("spin") == part_of("angle-fine") == ""


def test_ranks_begin_with_who_notices_most_and_ties_share() -> None:
    given = [score("a", "blur", 10), score("b", "blur", 50), score("c", "blur", 0.1 + 0.2), score("d", "blur", 0.3)]
    found = {(r.observer, r.of): (r.rank, r.among) for r in ranks(given)}
    assert [found[name, "blur"] for name in "abcd"] == [(3, 4), (4, 4), (1, 4), (1, 4)]
    assert found["a", "low-level"] == found["a", "all"] == (3, 4)


# --- correlations over observers ---


def board(n: int, seed: int = 0) -> list[Score]:
    draws = np.random.default_rng(seed)
    return [
        score(f"o{i}", name, float(value))
        for i in range(n)
        for name, value in zip(("blur", "noise", "mask"), draws.uniform(1, 50, 3), strict=True)
    ]


@pytest.mark.parametrize(("method", "oracle"), [("pearson", stats.pearsonr), ("spearman", stats.spearmanr)])
def test_correlations_are_scipys(method: str, oracle: object) -> None:
    given = board(9)
    found = correlations(given, method)
    assert len(found.pairs) == 3
    for pair in found.pairs:
        x, y = ([s.mean for s in given if s.distortion == name] for name in (pair.first, pair.second))
        assert pair.correlation.value == pytest.approx(oracle(x, y)[0])  # type: ignore[operator]
        assert pair.correlation.n == 9
        assert pair.correlation.interval is not None
        assert pair.correlation.interval.low <= pair.correlation.value <= pair.correlation.interval.high
    values = found.values()
    assert values["blur"]["mask"] == values["mask"]["blur"]
    assert values["noise"]["noise"] == 1.0
    assert correlations(given, method) == found  # the same each time


def test_few_observers_have_no_matrix_but_a_reason() -> None:
    assert "4 observers or more, not 3" in correlations(board(3)).reason
    assert correlations(board(3)).pairs == ()
    assert correlations(board(3)).values() == {}
    four = correlations(board(4))
    assert four.reason == ""
    assert {pair.correlation.interval for pair in four.pairs} == {None}  # below five clusters
    one = [s for s in board(6) if s.distortion == "blur"]
    assert "not 1" in correlations(one).reason


def test_pairs_take_the_observers_that_have_both() -> None:
    given = [s for s in board(6) if (s.observer, s.distortion) not in {("o0", "mask"), ("o1", "mask"), ("o2", "mask")}]
    found = {(p.first, p.second): p.correlation.n for p in correlations(given).pairs}
    assert found == {("blur", "noise"): 6}  # three share mask: too few
    assert math.isnan(correlations(given).values()["blur"]["mask"])


def test_uncensored_drops_whole_observers() -> None:
    given = [score("a", "blur", 50, True), score("a", "noise", 3), score("b", "blur", 4)]
    assert [s.observer for s in uncensored(given)] == ["b"]


# --- over references, within an observer ---


def test_correlations_over_references_tie_the_censored_above_everything() -> None:
    x: list[int | str] = [3, 9, 50, ">", "50?", 12, 20]
    y: list[int | str] = [5, 4, 30, 40, ">", 11, 11]
    (row,) = relations.within(analysis({("o", "direct", "blur"): x, ("o", "direct", "noise"): y}))
    expected = stats.spearmanr([3, 9, 50, 51, 51, 12, 20], [5, 4, 30, 40, 51, 11, 11])[0]
    assert row.pair.correlation.value == pytest.approx(expected)
    assert row.pair.correlation.kind == "spearman"
    assert row.pair.correlation.interval is not None
    assert (row.pair.correlation.n, row.censored_first.k, row.censored_second.k) == (7, 2, 1)


def test_references_are_paired_by_their_pixels_and_few_give_nothing() -> None:
    longer = analysis({("o", "direct", "blur"): [1, 2, 3, 4, 5, 6], ("o", "direct", "noise"): [6, 5, 4, 3]})
    (row,) = relations.within(longer)
    assert (row.pair.correlation.n, row.pair.correlation.value) == (4, -1.0)
    assert relations.within(analysis({("o", "direct", "blur"): [1, 2, 3], ("o", "direct", "noise"): [6, 5, 4]})) == ()
    alike = analysis({("o", "direct", "blur"): [">"] * 6, ("o", "direct", "noise"): [6, 5, 4, 3, 2, 1]})
    assert math.isnan(relations.within(alike)[0].pair.correlation.value)
    assert tables.within(relations.within(alike)).rows[0][4] == "-"


# --- the distortion unnamed, and named ---


def test_reductions_by_hand() -> None:
    (row,) = reductions([score("a", "blur", 8.0), score("a", "noise", 1.0)], [score("a", "blur", 2.0)])
    assert (row.implicit, row.explicit, row.absolute, row.relative) == (8.0, 2.0, 6.0, 0.75)


def test_prompting_pairs_references_and_leaves_views_out() -> None:
    run = analysis({
        ("o", "direct", "blur"): [2, 4, 6, 8, ">", 10],
        ("o", "direct-implicit", "blur"): [4, 4, 16, 18, ">", "50?", 3],
        ("o", "choice-implicit", "blur"): [7, 7, 7],
        ("o", "direct", "angle"): [1, 2, 3, 4, 5],
        ("o", "direct-implicit", "angle"): [1, 2, 3, 4, 5],
    })  # fmt: skip
    (row,) = relations.prompting(run)
    assert (row.implicit, row.explicit) == ("direct-implicit", "direct")
    assert row.reduction.absolute == pytest.approx((2 + 0 + 10 + 10 + 0 + 40) / 6)
    assert row.reduction.relative == pytest.approx(row.reduction.absolute / ((4 + 4 + 16 + 18 + 50 + 50) / 6))
    assert row.paired.wins == pytest.approx((1 + 0.5 + 1 + 1 + 0.5 + 1) / 6)
    assert (row.paired.n, row.paired.ties) == (6, 2)
    assert row.interval is not None
    assert 0 < row.interval.low < row.reduction.absolute < row.interval.high
    assert row.p_holm == row.paired.p  # the only one
    assert tables.prompting([row]).rows[0][:4] == ("blur", "o", "direct-implicit / direct", "6")


def test_prompting_adjusts_for_all_rows() -> None:
    low, high = [2, 3, 4, 5, 6, 7], [12, 23, 14, 25, 16, 27]
    questions = {"direct": low, "direct-implicit": high, "choice": low, "choice-implicit": high}
    rows = relations.prompting(analysis({("o", name, "blur"): levels for name, levels in questions.items()}))
    assert [row.implicit for row in rows] == ["direct-implicit", "choice-implicit"]
    assert all(row.p_holm == pytest.approx(2 * row.paired.p) for row in rows)
    assert rows[0].paired.p < 0.1


# --- backbones ---


def test_backbones_rank_against_each_size() -> None:
    names = "abcdef"
    sizes = {
        n: Parameters(v, b) for n, v, b in zip(names, (400, 300, 600, 90, 675, 50), (1, 2, 7, 9, 34, 72), strict=True)
    }
    means = (40.0, 44.0, 30.0, 12.0, 20.0, 5.0)
    given = [score(n, "blur", m) for n, m in zip(names, means, strict=True)] + [score("unknown", "blur", 1.0)]
    rows = {row.size: row.correlation for row in backbones(given, sizes) if row.part == "all"}
    for size, x in (("Param_L", (1, 2, 7, 9, 34, 72)), ("Param_V", (400, 300, 600, 90, 675, 50))):
        assert rows[size].value == pytest.approx(stats.spearmanr(x, means)[0])
    ratios = [b / v for v, b in ((400, 1), (300, 2), (600, 7), (90, 9), (675, 34), (50, 72))]
    assert rows["Param_L/Param_V"].value == pytest.approx(stats.spearmanr(ratios, means)[0])
    assert {found.n for found in rows.values()} == {6}
    assert backbones(given[:3], sizes) == ()  # three models


def test_backbones_without_the_blind_and_without_mixtures() -> None:
    sizes = {f"o{i}": Parameters(100, i + 1, mixture=i == 0) for i in range(6)}
    given = [score(f"o{i}", "blur", 50 - i, censored=i == 5) for i in range(6)]
    found = {row.kept: row.correlation.n for row in backbones(given, sizes)}
    assert found == {"all": 6, "uncensored": 5, "dense": 5}
    plain = {name: Parameters(of.vision, of.language) for name, of in sizes.items()}
    assert {row.kept for row in backbones(given[:5], plain)} == {"all"}


def test_a_parabola_through_known_points() -> None:
    sizes = {name: Parameters(1000, language) for name, language in (("a", 1), ("b", 3), ("c", 7), ("d", 3))}
    means = {"a": 10.0, "b": 18.0, "c": 10.0, "d": 16.0}
    given = [score(name, "blur", mean) for name, mean in means.items()]
    exact = parabola(given, sizes, "all", ["a", "b", "c"])
    assert exact is not None  # 18 - (x - 4)^2 + ... : y = 10 + (x - 1)(7 - x)
    assert exact.coefficients == pytest.approx((-1.0, 8.0, 3.0))
    assert exact.top == pytest.approx((4.0, 19.0))
    assert (exact.left, exact.right, exact.residual) == pytest.approx((10.0, 10.0, 0.0), abs=1e-9)
    four = parabola(given, sizes, "all", list("abcd"))
    assert four is not None
    assert four.at(3.0) == pytest.approx(17.0)  # the mean of the two at one ratio
    assert four.residual == pytest.approx(1.0)
    assert parabola(given, sizes, "all", ["a", "b", "d"]) is None  # two different ratios
    rising = parabola([score(n, "blur", v) for n, v in (("a", 1.0), ("b", 3.0), ("c", 7.5))], sizes, "all", list("abc"))
    assert rising is not None
    assert rising.top is None


def test_sizes_are_above_zero() -> None:
    with pytest.raises(InputError, match="sizes above 0, not 0 million"):
        Parameters(0, 7)


# --- a whole run, and its tables ---

YES, NO = "Yes, there is a noticeable difference.", "No, there is no noticeable difference."


def rms(query: Query) -> float:
    first, last = query.pictures
    return float(np.sqrt(np.mean((first.pixels.astype(float) - last.pixels) ** 2)))


def says(named: float, unnamed: float) -> Toy:
    """An observer that notices a change above one rms where it is named, and above another where it is not."""
    return Toy(lambda q: YES if rms(q) > (named if '"' in q.text else unnamed) else NO, f"at {named:g}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    place = tmp_path_factory.mktemp("relations")
    for name in "abcdef":
        (place / f"{name}.png").write_bytes(png(photograph(name, 32, 40)))
    questions = ("direct", "direct-implicit")
    spec = Spec(images=(str(place),), observers=("simulated",), distortions=("noise", "brightness", "qr"),
                questions=questions, procedure={"name": "scan"})  # fmt: skip
    plan = Study.plan(spec)
    found = {}
    for threshold in (4, 8, 12, 20):
        out = place / f"run{threshold}"
        object.__setattr__(plan, "observers", (says(threshold, 1.5 * threshold),))
        plan.run(out)
        with Store.open(out) as store:
            found[str(threshold)] = analyse(store)
    return together(found)


def test_a_run_gives_all_of_it(run: Analysis) -> None:
    found = relations.measured(run)
    assert found.missing == ""
    assert [board.question for board in found.boards] == ["direct", "direct-implicit"]
    direct = found.boards[0]
    assert direct.alike
    assert {(r.observer, r.rank) for r in direct.ranks if r.of == "noise"} == {
        ("at 4", 1), ("at 8", 2), ("at 12", 3), ("at 20", 4),
    }  # fmt: skip
    assert [pair.correlation.value for pair in direct.spearman.pairs] == pytest.approx([1.0, 1.0, 1.0])
    assert {row.reduction.observer for row in found.prompting} == {"at 4", "at 8", "at 12", "at 20"}
    assert all(row.reduction.absolute >= 0 for row in found.prompting)
    assert any(row.reduction.absolute > 3 for row in found.prompting)
    assert {(row.pair.first, row.pair.second) for row in found.within} == {
        ("brightness", "noise"), ("brightness", "qr"), ("noise", "qr"),
    }  # fmt: skip


def test_tables_of_a_run(run: Analysis) -> None:
    found = relations.measured(run)
    parts = tables.by_part(found.boards[0])
    assert parts.columns == ("observer", "low-level (2)", "injection (1)", "all (3)", "% of L")
    assert [row[0] for row in parts.rows] == ["at 4", "at 8", "at 12", "at 20"]
    assert parts.rows[0][3].endswith("(1)")
    assert not any("different references" in note for note in parts.notes)
    grid = tables.matrix(found.boards[0].pearson, found.boards[0].spearman)
    assert [row[i + 1] for i, row in enumerate(grid.rows)] == ["", "", ""]
    assert grid.rows[0][2] == "1.00"  # above the diagonal: Spearman's
    pearson = found.boards[0].pearson.pairs[0].correlation.value
    assert grid.rows[1][1] == f"{pearson:.2f}" != "1.00"
    plain = tables.records(found)
    assert plain["relations"][0]["scores"][0]["n"] == 6
    assert len(plain["prompting"]) == len(found.prompting)


def test_tables_say_what_is_missing() -> None:
    uneven = analysis(
        {("a", "direct", "blur"): [3, 4, 5], ("b", "direct", "blur"): [4, 5], ("a", "direct", "qr"): [">"]}
    )
    board = relations.measured(uneven).boards[0]
    assert not board.alike
    parts = tables.by_part(board)
    assert any("different references" in note for note in parts.notes)
    assert parts.rows == (("a", "4.0 (1)", ">50.0 (1)", ">27.0 (1)", "54"), ("b", "4.5 (2)", "-", "-", "-"))
    grid = tables.matrix(board.pearson, board.spearman)
    assert grid.rows == ()
    assert "not 2" in grid.notes[0]


def test_a_folder_of_one_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(photograph("a", 32, 40)))
    plan = Study.plan(Spec(images=(str(tmp_path),), observers=("simulated",), distortions=("noise",)))
    plan.run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        found = relations.measured(analyse(store))
    assert len(found.boards) == 1
    assert found.within == found.prompting == ()
    assert "take two distortions" in found.boards[0].pearson.reason
