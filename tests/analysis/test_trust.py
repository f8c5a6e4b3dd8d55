"""The verdict on trust, from runs whose observers are known to deserve it or not."""

from pathlib import Path

import numpy as np
import pytest

import limen
from limen import digest
from limen.analysis.trust import RuleStatus, Trust, TrustRow, trust
from limen.curve import median_ranks
from limen.preflight import exam
from limen.store import Store
from limen.study import Spec, Study


def pictures(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"p{i:02d}": rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for i in range(count)}


def brighter(image: np.ndarray, strength: float) -> np.ndarray:
    return np.clip(image.astype(int) + int(strength), 0, 255).astype(np.uint8)


def judged(looks: object, count: int = 40) -> TrustRow:
    run = limen.measure(pictures(count), looks, brighter, ladders={"brighter": range(1, 21)}, procedure="scan")
    (row,) = trust(run.analysis, {})
    return row


def found(row: TrustRow) -> dict[str, RuleStatus]:
    return {rule.rule: rule.status for rule in row.rules}


def differs(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def test_an_observer_that_passes_its_exam_and_keeps_still_is_believed(tmp_path: Path) -> None:
    spec = Spec(images=("demo",), observers=("simulated",), distortions=("noise", "blur"))
    Study.plan(spec).run(tmp_path / "run", examine=exam.keep)
    with Store.open(tmp_path / "run") as store:
        (row,) = trust(limen.analyse(store), {held.observer: held for held in exam.kept(store)})
    assert row.trust is Trust.BELIEVED
    assert set(found(row).values()) == {RuleStatus.KEPT}
    assert row.why == ""


def test_without_an_exam_it_is_with_care_and_says_so() -> None:
    row = judged(lambda first, second: differs(first, second) > 5)
    assert row.trust is Trust.CARE
    assert {rule.rule for rule in row.missed} == {"plain differences", "exam"}
    assert "no exam was held" in row.why


def test_no_to_everything_is_no_threshold_found() -> None:
    row = judged(lambda first, second: False)
    assert row.trust is Trust.NONE
    assert found(row)["thresholds within the ladders"] is RuleStatus.CARE


def test_yes_to_everything_is_not_believed() -> None:
    row = judged(lambda first, second: True)
    assert row.trust is Trust.NOT
    assert row.missed[0].rule == "false alarms"
    assert row.missed[0].share is not None
    assert row.missed[0].share.k == row.missed[0].share.n > 0


def test_false_alarms_that_few_pairs_cannot_exclude_call_for_care() -> None:
    row = judged(lambda first, second: differs(first, second) > 5, count=3)
    alarms = row.rules[0]
    assert alarms.status is RuleStatus.CARE
    assert alarms.share is not None
    assert alarms.share.interval is not None
    assert alarms.share.k == 0
    assert alarms.share.interval.high > 0.1


@pytest.mark.parametrize(("share", "status"), [(0.02, "kept"), (0.12, "with care"), (0.5, "failed")])
def test_unreadable_answers_have_two_bounds(share: float, status: str) -> None:
    def looks(first: np.ndarray, second: np.ndarray) -> str:
        drawn = digest.generator("unreadable", first.tobytes().hex(), second.tobytes().hex()).random()
        return "maybe" if drawn < share else "<yes> They differ." if differs(first, second) > 5 else "<no> The same."

    looks.__name__ = f"unsure_{status.replace(' ', '_')}"
    assert found(judged(looks))["unreadable answers"] == status


def test_thresholds_mostly_beyond_the_ladder_call_for_care() -> None:
    hidden = {f"p{i:02d}" for i in range(30)}
    shown = {image.tobytes(): name for name, image in pictures(40).items()}

    def looks(first: np.ndarray, second: np.ndarray) -> bool:
        return shown.get(first.tobytes()) not in hidden and differs(first, second) > 5

    rule = judged(looks).rules[2]
    assert rule.status is RuleStatus.CARE
    assert rule.share is not None
    assert (rule.share.k, rule.share.n) == (10, 40)


@pytest.mark.parametrize(
    ("n", "ranks"), [(5, None), (6, (1, 6)), (9, (2, 8)), (12, (3, 10)), (20, (6, 15)), (100, (40, 61))]
)
def test_ranks_of_the_median_are_those_of_the_tables(n: int, ranks: tuple[int, int] | None) -> None:
    """Conover, Practical Nonparametric Statistics, table A3; by hand for 5 and 6: 2 / 32 and 2 / 64 outside."""
    assert median_ranks(n) == ranks


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    low, high = median_ranks(25) or (1, 25)
    draws = np.sort(digest.generator("median interval").exponential(size=(4000, 25)), axis=1)
    held = np.mean((draws[:, low - 1] <= np.log(2)) & (np.log(2) <= draws[:, high - 1]))
    assert 0.95 <= held <= 0.975
