"""Tables from facts: censoring, intervals, false alarms, faults; and that another reader changes nothing quietly."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from limen import curve
from limen import question as questions
from limen.analysis import Analysis, SeriesStatus
from limen.analysis.replay import read, replay
from limen.analysis.tables import quantile
from limen.curve import Curve, Interval, Share, bootstrap
from limen.ladder import Ladder
from limen.parsing.yes_no import READER_VERSION
from limen.procedure import Probe, make
from limen.trial import Answer, Trial
from tests.support.manifests import manifest

LADDER = Ladder(tuple(float(k) for k in range(1, 51)), "level")
YES, NO = "<yes> The second image is blurrier.", "<no> The two images look the same."


def trials(says: dict[tuple[int, int], str], again: dict[tuple[int, int], str] | None = None) -> list[Trial]:
    rows = [
        Trial("o", "direct", "s", r, k, 0, False, 0, f"{r}-{k}" if text else "", Answer(text) if text else None)
        for (r, k), text in says.items()
    ]
    rows += [Trial("o", "direct", "s", r, k, 0, True, 0, f"{r}-{k}b", Answer(t)) for (r, k), t in (again or {}).items()]
    return rows


def replayed(
    says: dict[tuple[int, int], str], reader: int = READER_VERSION, **settings: Any
) -> tuple[SeriesStatus, list[str]]:
    responses = read(questions.find("direct"), trials(says))
    status, thresholds = replay(make("scan", settings), LADDER, responses, reader)
    return status, [str(t) for t in thresholds]


def test_replay_finds_the_thresholds_of_the_answers() -> None:
    says = {(0, k): YES if k >= 12 else NO for k in range(1, 51)}
    assert replayed(says) == (SeriesStatus.COMPLETE, ["12"])
    assert replayed({(0, k): NO for k in range(1, 51)}) == (SeriesStatus.COMPLETE, [">50"])
    assert replayed({(0, k): YES if k == 50 else NO for k in range(1, 51)}) == (SeriesStatus.COMPLETE, ["50?"])


def test_an_open_question_is_unfinished_never_a_guess() -> None:
    says = {(0, k): YES if k >= 12 else NO for k in range(1, 51)}
    del says[0, 13]
    assert replayed(says) == (SeriesStatus.UNFINISHED, [])


def test_a_path_another_reader_would_not_have_taken_is_undetermined() -> None:
    says = {(0, k): NO for k in range(1, 12)} | {(0, k): YES for k in (12, 13)}
    assert replayed(says, reader=READER_VERSION - 1) == (SeriesStatus.UNDETERMINED, [])


def test_equal_stimuli_are_a_floor_and_none_left_is_not_applicable() -> None:
    says = {(0, k): "" if k <= 4 else (YES if k >= 12 else NO) for k in range(1, 51)}
    responses = read(questions.find("direct"), trials(says))
    assert [k for k in range(1, 51) if not responses[Probe(0, k)].asked] == [1, 2, 3, 4]
    assert replayed(says) == (SeriesStatus.COMPLETE, ["12"])
    assert replayed({(0, k): "" for k in range(1, 51)}) == (SeriesStatus.NOT_APPLICABLE, [])


def test_the_paraphrase_counts_where_the_first_answer_says_nothing() -> None:
    responses = read(
        questions.find("direct"),
        trials({(0, 1): "#### %%", (0, 2): "#### %%", (0, 3): NO, (0, 4): "%% ##"}, {(0, 1): YES, (0, 2): "%%"}),
    )
    assert [responses[Probe(0, k)].verdict.flag.value for k in (1, 2, 3)] == ["yes", "unreadable", "no"]
    assert Probe(0, 4) not in responses  # its paraphrase has still to be asked


def test_quantiles_of_censored_values() -> None:
    values = [3.0, 5.0, 8.0, math.inf, math.inf]
    assert [str(quantile(values, q, 50)) for q in (0.25, 0.5, 0.75)] == ["5", "8", ">50"]
    assert str(quantile([math.inf] * 3, 0.5, 100)) == ">100"


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_against_published_values(k: int, n: int, low: float, high: float) -> None:
    interval = Share(k, n).interval
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    assert Share(n, n).interval.high == 1.0
    assert Share(0, 0).interval is None


def mean(x: np.ndarray) -> np.ndarray:
    return np.mean(x, axis=-1)


def test_bootstrap_covers() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        interval = bootstrap(list(rng.exponential(10, 40)), mean, resamples=600)
        assert interval is not None
        covered += interval.low <= 10 <= interval.high
    assert 178 <= covered <= 199  # nominal 190 of 200; skewed data cost a little


def test_bootstrap_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap as reference

    values = list(np.random.default_rng(3).gamma(2, 5, 60))
    ours = bootstrap(values, mean, resamples=9999)
    theirs = reference((values,), np.mean, method="BCa", rng=1, n_resamples=9999).confidence_interval
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.15)


def test_resamples_that_equal_the_estimate_count_half() -> None:
    """J are whole numbers: many of these means are the estimate itself, and belong to neither side of it."""
    from scipy.stats import bootstrap as reference

    for values in ([0.0] * 2 + [1.0] * 6 + [2.0] * 2, [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 4.0, 4.0, 5.0]):
        ours = bootstrap(values, mean)
        theirs = reference((values,), np.mean, method="BCa", rng=1, n_resamples=2000).confidence_interval
        assert ours is not None
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_an_analysis_shows_itself_in_a_line() -> None:
    shown = repr(Analysis(manifest(["a"]), (), (), (), ()))
    assert shown == "<Analysis of a: 0 outcomes, 0 jnds, 0 answers, 0 curves, 0 estimates>"


@pytest.mark.parametrize("n", [7, 61])  # in one go, in several: no table is larger than that of the samples
def test_a_bootstrap_leaves_out_each_cluster_once(n: int) -> None:
    seen = []

    def watched(x: Any) -> Any:
        seen.append(x)
        return np.mean(x, axis=-1)

    values = np.sort(np.random.default_rng(n).gamma(2, 5, n))
    assert bootstrap(list(values), watched, resamples=20) == bootstrap(list(values), mean, resamples=20)
    _, samples, *left_out = seen
    assert samples.shape == (20, n)
    assert max(map(len, left_out)) <= 20
    assert np.concatenate(left_out).tolist() == [np.delete(values, i).tolist() for i in range(n)]


def test_bootstrap_claims_nothing_from_few_or_equal_values() -> None:
    assert bootstrap([1, 2, 3, 4], mean) is None
    assert bootstrap([50.0] * 20, mean) is None
    assert bootstrap([1, 2, 3, 4, 5], mean) == bootstrap([1, 2, 3, 4, 5], mean)
    assert isinstance(bootstrap([1, 2, 3, 4, 5], mean), Interval)


def test_the_crossing_of_a_curve() -> None:
    assert Curve((1, 2, 3, 4), (0, 2, 8, 10), (10,) * 4).crossing() == pytest.approx(2.5)
    assert Curve((1, 2, 3), (0, 0, 1), (10,) * 3).crossing() is None
    # 0.6 then 0.4 pool to 0.5: the first level of the block is where it is reached.
    assert Curve((1, 2, 3), (6, 4, 10), (10,) * 3).crossing() == pytest.approx(1.0)
    assert Curve((), (), ()).crossing() is None
    whole = Curve(tuple(range(1, 9)), (6, 2, 3, 0, 2, 3, 0, 3), (7, 2, 3, 3, 8, 6, 3, 3))
    assert whole.crossing() == pytest.approx(1.0)  # seven levels pooled are one half, but for rounding


COUNTS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.lists(COUNTS, min_size=1, max_size=60))
def test_shares_are_made_monotone_as_scipy_does(counts: list[tuple[int, int]]) -> None:
    yes, n = zip(*counts, strict=True)
    assert curve.monotone(yes, n) == pytest.approx(isotonic_regression(np.divide(yes, n), weights=n).x, abs=1e-12)
