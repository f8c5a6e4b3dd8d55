"""Observers that answer without looking, through every procedure: what their answers do not tell is no number."""

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limen.analysis import Analysis, analyse, false_alarms
from limen.analysis.fitting import FitRow, comparisons, fit
from limen.analysis.implicit_explicit import prompting
from limen.curve import Share
from limen.image import png
from limen.question import Query
from limen.report import Report, correlations, statistics, tables
from limen.report.files import tables as write
from limen.report.format import alarms, plain
from limen.statistics.detection import choosing, design_effect, detection
from limen.statistics.inference import correlate
from limen.statistics.likelihood import clustered
from limen.statistics.population import population
from limen.statistics.posterior import Placement, Priors, posterior
from limen.statistics.psychometric import Responses
from limen.statistics.survival import compare
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.threshold import Estimate
from tests.support.toy import Toy

YES, NO = "<yes> The second image is clearly changed.", "<no> The two images look the same."


def coin(query: Query) -> str:
    return YES if int(query.key("")[16:24], 16) % 2 else NO


def keen(query: Query) -> str:
    first, last = (picture.pixels.astype(float) for picture in query.pictures)
    return YES if float(np.sqrt(np.mean((first - last) ** 2))) > 7 else NO


SAYS: dict[str, Callable[[Query], str]] = {"yes": lambda _: YES, "no": lambda _: NO, "coin": coin, "keen": keen}
PROCEDURES: dict[str, dict[str, Any]] = {
    "skip": {"name": "skip"},
    "psi": {"name": "psi", "trials": 12},
    "questplus": {"name": "questplus", "trials": 12},
    "staircase": {"name": "staircase"},
    "constant": {"name": "constant"},
    "one level": {"name": "constant", "levels": [20]},
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = tmp_path_factory.mktemp("photographs")
    for name in "abcde":
        (images / f"{name}.png").write_bytes(png(photograph(name, 32, 40)))
    return images


def ran(out: Path, images: Path, says: dict[str, Callable[[Query], str]], **entries: Any) -> Analysis:
    spec = Spec(images=(str(images),), observers=("simulated",), **({"distortions": ("contrast",)} | entries))
    observers = tuple(Toy(answer, name) for name, answer in says.items())
    dataclasses.replace(Study.plan(spec), observers=observers).run(out)
    with Store.open(out) as store:
        return analyse(store)


@pytest.fixture(scope="module")
def studies(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Analysis]]:
    place = tmp_path_factory.mktemp("runs")
    return {
        name: (place / name, ran(place / name, photographs, SAYS, procedure=procedure))
        for name, procedure in PROCEDURES.items()
    }


@pytest.fixture(scope="module")
def fitted(studies: dict[str, tuple[Path, Analysis]]) -> dict[str, dict[str, FitRow]]:
    return {name: {row.observer: row for row in fit(analysis)} for name, (_, analysis) in studies.items()}


def column(table: Any, name: str) -> dict[str, str]:
    """Return a column's cells by observer; a heading may go on with what its interval is."""
    place = next(i for i, heading in enumerate(table.columns) if heading.startswith(name))
    who = table.columns.index("observer")
    return {row[who]: row[place] for row in table.rows}


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


# --- every procedure, every table ---


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_yes_to_everything_is_at_or_below_the_first_level(
    procedure: str, studies: dict[str, tuple[Path, Analysis]], fitted: dict[str, dict[str, FitRow]]
) -> None:
    analysis = studies[procedure][1]
    row = fitted[procedure]["yes"]
    assert (str(row.t50), str(row.t75), row.strength, row.undetermined) == ("<=1", "<=1", None, True)
    assert row.fit is not None
    assert row.fit.side is Placement.BELOW
    assert math.isnan(row.fit.threshold.median)
    assert row.fit.threshold.interval.low == -math.inf
    assert math.isnan(row.fit.width.median), "no slope either"
    cells = statistics.fits(analysis, tuple(fitted[procedure].values()))
    assert column(cells, "T50")["yes"].startswith("<=1 [<=1, ")
    assert column(cells, "width")["yes"] == "?"
    main = tables.main_table(analysis)
    shown = next(name for name in ("median T50", "half yes", "median") if any(h.startswith(name) for h in main.columns))
    assert column(main, shown)["yes"] == "<=1"
    assert column(main, "false alarms")["yes"] == "5 of 5*"
    assert column(main, "false alarms")["keen"] == "0 of 5*"


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_no_to_everything_is_above_the_last_level_asked(
    procedure: str, studies: dict[str, tuple[Path, Analysis]], fitted: dict[str, dict[str, FitRow]]
) -> None:
    top = ">20" if procedure == "one level" else ">50"
    row = fitted[procedure]["no"]
    assert (str(row.t50), str(row.t75), row.undetermined) == (top, top, False)
    assert row.fit is not None
    assert row.fit.threshold.interval.high == math.inf
    assert row.fit.threshold.interval.low <= int(top[1:])
    main = tables.main_table(studies[procedure][1])
    assert top in main.rows[1]


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_a_coin_tells_nothing(procedure: str, fitted: dict[str, dict[str, FitRow]]) -> None:
    row = fitted[procedure]["coin"]
    assert row.undetermined
    assert (str(row.t50), str(row.t75), row.strength) == ("?", "?", None)
    assert row.fit is not None
    assert (row.fit.threshold.interval.low, row.fit.threshold.interval.high) == (-math.inf, math.inf)
    told = fitted[procedure]["keen"]
    assert told.undetermined is False
    assert str(told.t50) != "?"


def test_d_prime_is_undetermined_where_false_alarms_are_as_frequent_as_hits(
    studies: dict[str, tuple[Path, Analysis]], fitted: dict[str, dict[str, FitRow]]
) -> None:
    rows = fitted["constant"]
    cells = column(statistics.fits(studies["constant"][1], tuple(rows.values())), "d' [95 %]")
    assert cells["yes"] == cells["no"] == "? [-, -]*"
    assert cells["coin"].startswith("? [-")
    found = rows["keen"].detection
    assert found is not None
    assert found.told
    assert found.interval.low > 0


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_who_is_undetermined_is_compared_with_nobody(
    procedure: str, studies: dict[str, tuple[Path, Analysis]], fitted: dict[str, dict[str, FitRow]]
) -> None:
    rows = comparisons(studies[procedure][1], fits=tuple(fitted[procedure].values()))
    assert len(rows) == 6
    for row, cells in zip(rows, statistics.comparisons(rows).rows, strict=True):
        lost = {row.first, row.second} & {"yes", "coin"}
        assert set(row.undetermined) == lost
        assert math.isnan(row.paired.p) or not lost
        assert (cells[-3:] == ("?", "?", "?")) == bool(lost)


@pytest.mark.parametrize("procedure", ["constant", "psi"])
def test_no_number_without_end_in_any_output(
    procedure: str, studies: dict[str, tuple[Path, Analysis]], tmp_path: Path
) -> None:
    with Report.open([studies[procedure][0]]) as report:
        content = report.data()
        assert all(math.isfinite(number) for number in numbers(content))
        written = write(report, tmp_path)
    for file in written:
        if file.suffix == ".csv":
            cells = {cell.lower() for row in csv.reader(file.open(encoding="utf-8")) for cell in row}
            assert not cells & {"nan", "inf", "-inf", "infinity"}, file.name


def test_a_forced_choice_of_one_who_is_always_right_or_guesses(photographs: Path, tmp_path: Path) -> None:
    says = {"first": lambda _: "<1> The first image is changed.", "keen": keen}
    analysis = ran(tmp_path / "run", photographs, says, procedure={"name": "constant"}, questions=("forced-choice",))
    rows = {row.observer: row for row in fit(analysis)}
    for row in rows.values():
        assert row.alarms == Share(0, 0)
        json.dumps(statistics.records((row,)), allow_nan=False)
    table = tables.main_table(analysis)
    assert column(table, "false alarms") == dict.fromkeys(says, "-")
    assert table.title == "Correct against level"
    assert not any("yes" in text for text in (*table.columns, *table.notes))
    half = column(table, "75 % correct [95 %]")
    assert half["first"].startswith(">50 ")  # half of the answers are correct by chance


def test_a_median_at_level_1_is_at_or_below_it(studies: dict[str, tuple[Path, Analysis]]) -> None:
    analysis = studies["skip"][1]
    row = next(row for row in analysis.jnds if row.observer == "yes")
    assert (str(row.median), row.median.level, row.median.below, row.mean) == ("<=1", 1, True, 1.0)
    assert {str(o.thresholds[0]) for o in analysis.outcomes if o.observer == "yes"} == {"<=1"}
    assert {o.thresholds[0].level for o in analysis.outcomes if o.observer == "yes"} == {1}


def test_naming_the_distortion_is_compared_with_no_yes_to_everything(photographs: Path, tmp_path: Path) -> None:
    says = {"toy": lambda query: keen(query) if "contrast" in query.text else YES}
    analysis = ran(tmp_path / "run", photographs, says, questions=("direct", "direct-implicit"))
    (row,) = prompting(analysis)
    assert (row.reduction.implicit, row.interval, row.paired.interval) == (1.0, None, None)
    assert math.isnan(row.p_holm)
    assert correlations.prompting((row,)).rows[0][-3:] == ("?", "?", "?")


# --- the numerics behind it ---

LADDER, LEVELS = Priors.ladder(50), [float(level) for level in range(1, 51)]


def scattered(share: float) -> Any:
    """Return answers of ten references to 50 levels, so many of them yes, without regard to the level."""
    return np.random.default_rng(1).permutation(np.arange(500) < 500 * share).reshape(10, 50).astype(float)


@pytest.mark.parametrize(
    ("share", "alarms", "side"),
    [
        (1.0, 20, Placement.BELOW),
        (1.0, 0, Placement.BELOW),
        (0.98, 20, Placement.BELOW),
        (0.0, 0, Placement.ABOVE),
        (0.1, 2, Placement.ABOVE),
    ],
)
def test_flat_answers(share: float, alarms: int, side: Placement) -> None:
    yes = scattered(share)
    data = Responses.of(LEVELS, yes, np.ones((10, 50)))
    assert population(data, LADDER, alarms=alarms, identical=20).side is side
    pooled = Responses.of(LEVELS, yes.sum(axis=0), np.full(50, 10.0), alarms, 20)
    assert posterior(pooled, LADDER)[0].side is side
    own = Responses.of(LEVELS, yes, np.ones((10, 50)), np.full(10, alarms / 10 // 1), np.full(10, 2))
    assert clustered(own, LADDER, resamples=50).side is side


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_answers_without_any_relation_to_the_level(share: float) -> None:
    yes = scattered(share)
    alarms = round(20 * share)
    assert (
        population(Responses.of(LEVELS, yes, np.ones((10, 50))), LADDER, alarms=alarms, identical=20).side
        is Placement.OPEN
    )
    pooled = Responses.of(LEVELS, yes.sum(axis=0), np.full(50, 10.0), alarms, 20)
    assert posterior(pooled, LADDER)[0].side is Placement.OPEN
    own = Responses.of(LEVELS, yes, np.ones((10, 50)), np.full(10, alarms / 10), np.full(10, 2))
    found = clustered(own, LADDER, resamples=50)
    assert (found.side, found.intervals) == (Placement.OPEN, {})
    assert math.isnan(found.threshold)


def test_d_prime_has_an_interval() -> None:
    sharp = detection(Share(40, 40), Share(0, 8))
    assert sharp.told
    assert 1.5 < sharp.interval.low < sharp.d_yes_no
    assert sharp.interval.high == math.inf
    assert 0 < sharp.interval_differencing.low < sharp.d_differencing
    always = detection(Share(80, 80), Share(8, 8))
    assert (always.told, always.interval.low, always.interval.high) == (False, -math.inf, math.inf)
    equal = detection(Share(30, 60), Share(10, 20))
    assert not equal.told
    assert equal.interval.low == pytest.approx(-equal.interval.high, abs=0.02)
    worse = detection(Share(10, 60), Share(18, 20))
    assert worse.told
    assert worse.interval.high < 0
    assert detection(Share(30, 60), Share(10, 20), depend=4).interval.low < equal.interval.low
    assert design_effect([10, 0, 10, 0, 10], [10] * 5) == pytest.approx(12.5)
    assert design_effect([5] * 5, [10] * 5) == design_effect([10, 0], [10, 10]) == 1
    assert choosing(Share(45, 60)).told
    assert not choosing(Share(33, 60)).told
    assert choosing(Share(60, 60)).interval.high == math.inf


def test_d_primes_interval_covers() -> None:
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        found = detection(Share(int(rng.binomial(60, 0.8)), 60), Share(int(rng.binomial(30, 0.2)), 30))
        covered += found.interval.low <= 1.6832 <= found.interval.high  # z(.8) - z(.2)
    assert 368 <= covered <= 396


# --- equal data, equal intervals ---


def test_neither_names_nor_order_change_an_interval() -> None:
    x, y = [3.0, 9.0, 4.0, 4.0, 12.0, 30.0, 8.0], [5.0, 8.0, 6.0, 2.0, 20.0, 26.0, 8.0]
    turned = [5, 2, 0, 6, 3, 1, 4]
    for kind in ("spearman", "pearson"):
        here = correlate(x, y, kind)
        assert correlate([x[i] for i in turned], [y[i] for i in turned], kind) == here == correlate(y, x, kind)
    reached = [True] * 7
    one, other = compare(x, reached, y, reached), compare(y, reached, x, reached)
    assert one.interval is not None
    assert other.interval is not None
    assert other.interval.low == pytest.approx(1 - one.interval.high)
    assert other.interval.high == pytest.approx(1 - one.interval.low)


def test_equal_answers_have_equal_intervals_whatever_the_observers_are_called(
    photographs: Path, tmp_path: Path
) -> None:
    def by(offset: float) -> Callable[[Query], str]:
        def says(query: Query) -> str:
            first, last = (picture.pixels.astype(float) for picture in query.pictures)
            own = offset + float(first.mean()) / 25
            return YES if float(np.sqrt(np.mean((first - last) ** 2))) > own else NO

        return says

    says = {"zoe": by(4), "adam": by(4), "mia": by(6)}
    for procedure in ({"name": "skip", "orders": 0}, {"name": "constant", "every": 3}):
        analysis = ran(tmp_path / str(procedure["name"]), photographs, says, procedure=procedure)

        def without(rows: Any) -> dict[str, list[dict[str, Any]]]:
            found: dict[str, list[dict[str, Any]]] = {}
            for row in rows:
                of = plain(row)
                found.setdefault(of.pop("observer"), []).append(of)
            return found

        for rows in (analysis.jnds, analysis.curves, fit(analysis)):
            found = without(rows)
            assert found.get("zoe") == found.get("adam")


# --- one number in one place ---


@pytest.fixture(scope="module")
def marred(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Analysis]:
    """A run with false alarms, an unreadable answer, a series that is not finished and one picture in two series."""

    def says(query: Query) -> str | None:
        first, last = (picture.pixels for picture in query.pictures)
        if np.array_equal(first, last):
            return YES if int(first.sum()) % 2 else NO
        word = int(query.key("")[16:24], 16)
        if word % 29 == 0:
            return None
        return "%%%" if word % 31 == 0 else keen(query)

    out = tmp_path_factory.mktemp("marred") / "run"
    entries: dict[str, Any] = {"procedure": {"name": "skip", "orders": 0}, "distortions": ("contrast", "noise", "jpeg")}
    return out, ran(out, photographs, {"toy": says}, **entries)  # type: ignore[dict-item]


def test_false_alarms_are_one_number(marred: tuple[Path, Analysis]) -> None:
    out, analysis = marred
    assert any(outcome.status.value == "unfinished" for outcome in analysis.outcomes), "the case that told them apart"
    with Report.open([out]) as report:
        data = report.data()
    of_answers = {row.distortion: row.false_alarms for row in analysis.answers}
    assert sum(share.k for share in of_answers.values()) > 0
    of_fits = {row.distortion: row.alarms for row in fit(analysis)}
    assert of_fits == of_answers
    for row in data["together"]["fits"]:
        share = of_answers[row["distortion"]]
        assert (row["alarms"]["k"], row["alarms"]["n"]) == (share.k, share.n)
    for row in data["runs"][0]["answers"]:
        parts = [row["false_alarms_clean"], row["false_alarms_distorted"]]
        share = of_answers[row["distortion"]]
        assert (sum(p["k"] for p in parts), sum(p["n"] for p in parts)) == (share.k, share.n)
    table = tables.main_table(analysis)
    main = {row[0]: row[table.columns.index("false alarms")] for row in table.rows}
    assert main == {name: alarms(share) for name, share in of_answers.items()}
    every = false_alarms(analysis.outcomes)
    assert tables.identical_pairs(analysis).rows[-1][1].startswith(f"{every[0].k} of {every[0].n}:")


def test_counts_of_series_and_tokens_are_one_number(marred: tuple[Path, Analysis]) -> None:
    _, analysis = marred
    course = tables.course(analysis)
    cells = {row[0]: dict(zip(course.columns, row, strict=True)) for row in course.rows}
    for jnd in (row for row in analysis.jnds if row.order == 1):
        of = cells[jnd.distortion]
        assert (of["complete"], of["unfinished"]) == (str(jnd.n), str(jnd.unfinished))
    for answers in analysis.answers:
        of = cells[answers.distortion]
        assert of["questions"] == f"{answers.questions:,}"
        assert (of["tokens in"], of["tokens out"]) == (f"{answers.tokens_in:,}", f"{answers.tokens_out:,}")


def test_a_fitted_threshold_in_words() -> None:
    assert str(Estimate(12.3, 0.5, 9.0, 15.2, 1.5, beyond=0.0, levels=50)) == "12.3 [9.0, 15.2]"
    assert str(Estimate(25.0, 0.5, 2.0, 48.0, 12.0, beyond=0.02, levels=50)) == "? [2.0, 48.0]"
    assert str(Estimate(62.0, 1.0, 49.0, 70.0, 5.0, beyond=0.9, levels=50)) == ">50"
    assert str(Estimate(1.0, 0.1, math.nan, math.nan, math.nan, beyond=0.0, below=True, levels=50)) == "<=1"
    assert str(Estimate(9.0, 0.1, math.nan, math.nan, 1.0, beyond=0.0, levels=50)) == "9.0"
