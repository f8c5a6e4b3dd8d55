"""Strengths as they are said, in the units that people know, and the round ones that an axis bears."""

import itertools

import pytest

from limen import distortion, registry
from limen.analysis import units
from limen.analysis.tables import Quantile, strength_at
from limen.distortion import Distortion

LADDERS = {
    name: kind.ladder
    for name, kind in registry.every("distortion").items()
    if isinstance(kind, Distortion) and len(kind.ladder.strengths) > 1
}


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0008, "variance (unit range)", "sd 7.2 grey levels"),
        (0.895, "factor about mid-grey", "-10 %"),
        (81, "quality", "quality 81"),
        (31.8, "dB PSNR", "31.8 dB PSNR"),
        (None, "quality", "-"),
    ],
)
def test_a_strength_is_said_in_a_unit_that_people_know(value: float | None, unit: str, said: str) -> None:
    assert units.strength(value, unit) == said


def test_strengths_beyond_the_ends_of_a_ladder_are_not_made_up() -> None:
    strengths, unit = (0.5, 1.0, 1.5), "px (sigma) at 640 px width"
    assert units.said(Quantile(0.4), strengths, unit) == "at most 0.5 px at 640 px wide"
    assert units.said(Quantile(1), strengths, unit) == "0.5 px at 640 px wide"
    assert units.said(Quantile(3, censored=True), strengths, unit) == "beyond 1.5 px at 640 px wide"
    assert units.bracket(Quantile(0.4), Quantile(2), strengths, unit) == "[at most 0.5, 1]"
    assert units.bracket(Quantile(2.5), Quantile(3, censored=True), strengths, unit) == "[1.25, beyond 1.5]"
    assert units.bracket(Quantile(1), Quantile(3), strengths[::-1], unit) == "[0.5, 1.5]"
    assert strength_at(Quantile(0.4), strengths) is None


@pytest.mark.parametrize("most", [4, 8])
@pytest.mark.parametrize("name", sorted(LADDERS))
def test_ticks_are_round_strengths_at_their_levels(name: str, most: int) -> None:
    ladder = LADDERS[name]
    of = units.known(ladder.unit)
    for top in {len(ladder.strengths), max(2, len(ladder.strengths) // 3)}:
        ticks = of.ticks(ladder.strengths[:top], most)
        assert 2 <= len(ticks) <= most + 1
        levels = sorted(level for level, _ in ticks)
        assert min(far - near for near, far in itertools.pairwise(levels)) >= (top - 1) / most
        for level, said in ticks:
            assert len(said.lstrip("+-").replace(".", "").strip("0")) <= 2  # digits that count
            near, far = ladder.strengths[int(level) - 1], ladder.strengths[min(int(level), top - 1)]
            ends = sorted((of.number(near), of.number(far)))
            assert ends[0] - 1e-6 <= float(said) <= ends[1] + 1e-6


@pytest.mark.parametrize(
    ("strengths", "said"),
    [
        ([1, 2, 4, 8, 16], ["1", "2", "5", "10"]),
        ([0.1 * 2 ** (k / 2) for k in range(20)], ["0.1", "1", "10"]),
        ([3.17], ["3.17"]),
        ([7.93, 7.93], ["7.93"]),
        ([-3, -2, 5], ["0", "5"]),
    ],
)
def test_ticks_of_ladders_of_ones_own(strengths: list[float], said: list[str]) -> None:
    assert [text for _, text in units.known("steps").ticks(strengths, 4)] == said


def test_what_rises_is_marked_so() -> None:
    ladder = distortion.find("saturation").ladder
    assert [said for _, said in units.known(ladder.unit).ticks(ladder.strengths, 4)] == ["+100", "+200", "+300"]
