"""What a page says first: numbers in known units with intervals and n, a verdict, and the sentence to quote."""

import math

import numpy as np
import pytest

import limen
from limen.analysis import Quantile, units
from limen.analysis.trust import trust
from limen.report import headline, tables


def run_of(*limits: float, count: int = 12, unit: str = "") -> limen.Run:
    rng = np.random.default_rng(1)
    pictures = {f"p{i:02d}": rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for i in range(count)}

    def looking(limit: float) -> limen.Observer:
        def looks(first: np.ndarray, second: np.ndarray) -> bool:
            return float(np.abs(first.astype(int) - second).mean()) > limit

        return limen.observer.FunctionObserver(looks, name=f"above-{limit:g}", version="1")

    def brighter(image: np.ndarray, strength: float) -> np.ndarray:
        return np.clip(image.astype(int) + int(strength), 0, 255).astype(np.uint8)

    ladder = limen.Ladder(tuple(float(k) for k in range(1, 31)), unit=unit or "strength")
    kind = limen.Distortion("brighter", "brightness", ladder, lambda image, rng: lambda s: brighter(image, s), 1)
    return limen.measure(pictures, [looking(limit) for limit in limits], kind, procedure="scan")


def names(run: limen.Run) -> dict[tuple[str, str], str]:
    return {(row.observer, row.question): row.observer for row in trust(run.analysis, {})}


@pytest.mark.parametrize(
    ("unit", "strengths", "level", "said"),
    [
        ("quality", [99.0, 81.0, 60.0], 2, "quality 81"),
        ("px (sigma) at 640 px width", [0.5, 6.0, 9.0], 2, "6 px at 640 px wide"),
        ("factor about luma", [1.06, 1.36], 2, "+36 %"),
        ("factor about mid-grey", [0.9825, 0.9], 2, "-10 %"),
        ("variance (unit range)", [0.0002, 0.0012], 2, "sd 8.8 grey levels"),
        ("opacity", [0.02, 0.12], 2, "12 % opaque"),
        ("furlongs {odd}", [1.0, 2.0], 2, "2 furlongs (odd)"),
    ],
)
def test_strengths_are_said_in_known_units(unit: str, strengths: list[float], level: int, said: str) -> None:
    assert units.said(Quantile(level), strengths, unit) == said


def test_what_lies_beyond_the_ladder_is_not_given_a_strength() -> None:
    strengths = [98.0, 90.0, 82.0]
    assert units.said(Quantile(3, censored=True), strengths, "quality") == "beyond quality 82"
    assert units.said(Quantile(math.nan), strengths, "quality") == "?"
    assert units.bracket(Quantile(2), Quantile(3, censored=True), strengths, "quality") == "[90, beyond 82]"
    assert units.bracket(Quantile(1), Quantile(3), strengths, "quality") == "[82, 98]"
    assert units.bracket(None, None, strengths, "quality") == ""


def test_one_observers_number_has_its_interval_and_n() -> None:
    run = run_of(5.5)
    (number,) = headline.numbers(run.analysis, names(run))
    (row,) = run.jnds
    assert (number.label, number.distortion) == ("brighter", "brighter")
    assert number.value == f"{row.strength:.3g} strength"
    assert row.median_low is not None
    assert row.median_high is not None
    assert number.interval == f"[{row.median_low.level:g}, {row.median_high.level:g}]"
    assert "n = 12" in number.note


def test_several_observers_give_a_range_and_who_has_its_ends() -> None:
    run = run_of(3.5, 9.5, 15.5)
    (number,) = headline.numbers(run.analysis, names(run))
    low, _, high = sorted(run.jnds, key=lambda row: row.median.level)
    assert number.value == f"{low.strength:.3g} to {high.strength:.3g} strength"
    assert "lowest above-3.5" in number.note
    assert "highest above-15.5" in number.note


def test_the_sentence_quotes_numbers_intervals_n_and_the_verdict() -> None:
    run = run_of(5.5)
    judged = trust(run.analysis, {})
    said = headline.sentence(run.analysis, judged)
    (number,) = headline.numbers(run.analysis, names(run))
    assert said.startswith(f"Median 1st JND of above-5.5 [95 %]: brighter {number.value} {number.interval} (n = 12)")
    assert ". Verdict on trust of above-5.5: with care (yes to 0 of" in said
    assert "over 12 references" in said.lower()


def test_a_run_that_found_nothing_is_quoted_as_that() -> None:
    run = run_of(300.0)
    judged = trust(run.analysis, {})
    said = headline.sentence(run.analysis, judged)
    assert "brighter beyond 30 strength" in said
    assert "12 without one" in said
    assert ". Verdict on trust of above-300: no threshold found (yes to 0 of" in said
    verdict = headline.worth(judged, names(run))
    assert verdict is not None
    assert verdict.word == "no threshold found"


def test_the_board_has_a_row_for_each_observer_and_its_verdict() -> None:
    run = run_of(3.5, 9.5)
    judged = trust(run.analysis, {})
    table = headline.board(run.analysis, names(run), judged)
    assert table.columns == ("observer", "verdict", "brighter")
    assert [row[0] for row in table.rows] == ["above-3.5", "above-9.5"]
    assert all("[" in row[2] for row in table.rows)
    assert {row[1] for row in table.rows} == {"with care"}


def test_a_pair_is_one_of_the_median() -> None:
    run = run_of(5.5)
    found = headline.typical_pair(run.analysis, lambda digest: True)
    assert found is not None
    outcome, level = found
    assert level == round(run.jnds[0].median.level)
    assert outcome.series.distortion == "brighter"
    assert headline.typical_pair(run_of(300.0).analysis, lambda digest: True) is None


def test_what_unconfirmed_means_stands_below_the_table_where_a_series_is() -> None:
    late, early = tables.first_jnds(run_of(27.8).analysis), tables.first_jnds(run_of(5.5).analysis)
    assert "12 of 12 (12 unconfirmed)" in late.rows[0]
    assert [note for note in late.notes if note.startswith("Unconfirmed: noticed, but")]
    assert "nconfirmed" not in f"{early.rows} {early.notes}"
