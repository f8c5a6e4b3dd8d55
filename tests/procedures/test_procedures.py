"""Scan and skip against a direct statement of the protocol, on any answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.errors import InputError
from limen.procedure import make, pattern
from limen.testing import simulate


def protocol(yes, levels: int, gap: int, confirm: int, orders: int) -> tuple[int | None, ...]:
    """The protocol, written as a definition rather than a search: the smallest k whose whole pattern says yes."""
    found: list[int | None] = []
    reference = 0
    while reference < levels and (not orders or len(found) < orders):
        starts = (
            k
            for k in range(reference + 1, levels + 1)
            if all(yes(reference, p) for p in [k, *range(k + gap, k + gap + confirm)] if p <= levels)
        )
        jnd = next(starts, None)
        found.append(jnd)
        if jnd is None:
            break
        reference = jnd
    return tuple(found)


@given(
    seed=st.integers(0, 2**32),
    share=st.floats(0, 1),
    levels=st.sampled_from([2, 3, 7, 50, 100]),
    gap=st.sampled_from([1, 2, 3, 5]),
    confirm=st.integers(0, 6),
    orders=st.sampled_from([0, 1, 3]),
)
def test_scan_and_skip_equal_the_protocol(
    seed: int, share: float, levels: int, gap: int, confirm: int, orders: int
) -> None:
    rng = random.Random(seed)
    slope = rng.choice([0.0, 1.0])  # answers without any order, and answers that grow with the level
    table = {
        (r, k): rng.random() < (share * (1 - slope) + slope * (k - r) / levels)
        for r in range(levels)
        for k in range(r + 1, levels + 1)
    }

    def yes(reference: int, level: int) -> bool:
        return table[reference, level]

    scan, skip = (simulate(name, yes, levels, gap, confirm, orders) for name in ("scan", "skip"))
    assert scan.levels == protocol(yes, levels, gap, confirm, orders)
    assert skip.thresholds == scan.thresholds


def test_a_step_takes_the_stated_number_of_questions() -> None:
    for jnd in range(1, 48):
        answers = [k >= jnd for k in range(1, 51)]
        assert simulate("scan", answers).questions == jnd + 2
        assert simulate("skip", answers).questions <= 3 + -(-(jnd - 1) // 3)


def test_none_costs_a_third() -> None:
    assert simulate("skip", [False] * 50).questions == 17
    assert simulate("scan", [False] * 50).questions == 50


def test_skip_asks_about_half_on_noisy_observers() -> None:
    rng = random.Random(1)
    asked = {"scan": 0, "skip": 0}
    for _ in range(300):
        jnd = min(48, max(2, rng.gauss(20, 6)))
        answers = [rng.random() < (0.02 if k < jnd else 0.98) for k in range(1, 51)]
        for name in asked:
            asked[name] += simulate(name, answers).questions
    assert asked["skip"] < 0.6 * asked["scan"]


def test_each_jnd_becomes_the_reference() -> None:
    result = simulate("scan", lambda reference, level: level - reference >= 10, levels=45, orders=0)
    assert result.levels == (10, 20, 30, 40, None)
    assert [t.reference for t in result.thresholds] == [0, 10, 20, 30, 40]
    assert [str(t) for t in result.thresholds] == ["10", "20", "30", "40", ">45"]


def test_consecutive_levels_can_be_jnds() -> None:
    result = simulate("skip", lambda reference, level: True, levels=6, orders=0)
    assert result.levels == (1, 2, 3, 4, 5, 6)


def test_a_window_that_the_end_cuts_confirms_nothing() -> None:
    for name in ("scan", "skip"):
        last = simulate(name, [False] * 49 + [True]).thresholds[0]
        assert (last.level, last.confirmed, last.censored, last.reached) == (50, False, False, False)
        assert str(last) == "50?"
        whole = simulate(name, [False] * 47 + [True] * 3).thresholds[0]
        assert (whole.level, whole.confirmed, whole.reached) == (48, True, True)


def test_without_a_window_every_yes_is_a_jnd() -> None:
    assert simulate("scan", [False, True, False], confirm=0).levels == (2,)
    assert simulate("skip", [False, False, True], confirm=0).thresholds[0].confirmed


def test_censored_is_censored() -> None:
    (threshold,) = simulate("skip", [False] * 50).thresholds
    assert threshold.censored
    assert not threshold.reached
    assert str(threshold) == ">50"


def test_pattern() -> None:
    assert pattern(4, gap=1, confirm=2, levels=50) == (4, 5, 6)
    assert pattern(4, gap=3, confirm=2, levels=50) == (4, 7, 8)
    assert pattern(49, gap=1, confirm=2, levels=50) == (49, 50)
    assert pattern(50, gap=1, confirm=2, levels=50) == (50,)


def test_constant_asks_its_levels_and_claims_no_jnd() -> None:
    result = simulate("constant", [True] * 50)
    assert [probe.level for probe in result.asked] == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
    assert result.thresholds == ()
    result = simulate("constant", [True] * 50, every=20)
    assert [probe.level for probe in result.asked] == [20, 40, 50]


def test_bisect_asks_its_window_from_the_far_end() -> None:
    """A no at the far end rules out most: the level below it is then never asked about."""
    asked = [probe.level for probe in simulate("bisect", [k >= 20 for k in range(1, 51)], confirm=3).asked]
    assert asked == [25, 12, 18, 21, 19, 20, 23, 22]
    bumpy = simulate("bisect", [k >= 20 and k != 23 for k in range(1, 51)], confirm=3)
    assert 22 not in [probe.level for probe in bumpy.asked]
    assert bumpy.levels == (24,)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="Did you mean 'confirm'"):
        make("scan", {"confrim": 2})
    with pytest.raises(InputError, match="gap"):
        make("scan", {"gap": 0})
    with pytest.raises(InputError, match="No procedure named 'skipp'. Did you mean 'skip'"):
        make("skipp", {})
    with pytest.raises(InputError, match="not all between 1 and 50"):
        simulate(make("constant", {"levels": [60]}), [True] * 50)


def test_simulate_wants_one_answer_a_level() -> None:
    with pytest.raises(InputError, match="3 answers were given for 50"):
        simulate("scan", [True] * 3, levels=50)
    with pytest.raises(InputError, match="levels must be given"):
        simulate("scan", lambda reference, level: True)


def test_skip_is_the_scan_on_random_sequences() -> None:
    rng = random.Random(20250701)
    for _ in range(3_000):
        share = rng.random()
        answers = [rng.random() < share for _ in range(50)]
        gap, confirm = rng.choice([1, 2, 3, 5]), rng.randrange(7)
        scan, skip = (simulate(name, answers, gap=gap, confirm=confirm) for name in ("scan", "skip"))
        assert skip.thresholds == scan.thresholds, (answers, gap, confirm)
