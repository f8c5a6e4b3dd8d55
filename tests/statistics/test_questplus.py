"""Where QUEST+ puts its questions, against the published examples of Watson (2017), J. Vision 17(3):10."""

from types import SimpleNamespace

import numpy as np
import pytest

from limen.procedures.psi import _joint

LEVELS = np.arange(-40, 1)  # contrast, dB

# Watson's first example (threshold alone), as the tests of the package questplus hold it: 32 placements and answers.
ONE = (
    "-18 -22 -25 -28 -30x -22x -13 -15 -16 -18 -19 -20 -21 -22 -23x -19 -20 -20x -18 -18 -19x -17 -17 -18 -18 -18 -19 "
    "-19 -19 -19 -19 -19"
)
# "Implementation": threshold and slope, 64 of them.
TWO = (
    "-18 -22x -12 -13 -15 -16 -17 -18 -19 -21 -24 -25 -26 -27x -21 -22 -23x -20 -20 -20 -21x -19 -19 -20 -20 -20x -19 "
    "-19 -19 -19 -19 -20 -20 -20 -20 -20 -21 -21x -20 -20 -20x -19x -18 -18 -19 -19 -19x -18 -18x -17 -18 -18 -18x -17 "
    "-17 -17 -17 -17 -17 -17 -18 -18 -18 -18"
)


@pytest.mark.parametrize(("course", "slopes", "mode"), [(ONE, [3.5], (-20, 3.5)), (TWO, [2, 3, 4, 5], (-20, 3))])
def test_placements_are_watsons(course: str, slopes: list[float], mode: tuple[float, float]) -> None:
    slope, threshold = np.array(slopes, float)[:, None, None], LEVELS[:, None]
    right = 0.98 - 0.48 * np.exp(-(10 ** (slope * (LEVELS - threshold) / 20)))  # Weibull in dB, guess .5, lapse .02
    weights = np.full(right.shape[:2], 1 / right[..., 0].size)
    for placed in course.split():
        level, wrong = int(placed.rstrip("x")), placed.endswith("x")
        state = SimpleNamespace(weights=weights, grid=SimpleNamespace(yes=right))
        assert LEVELS[int(np.argmin(_joint(state, range(1, 42))))] == level  # type: ignore[arg-type]
        weights = weights * (1 - right if wrong else right)[:, :, level + 40]
        weights /= weights.sum()
    best = np.unravel_index(int(np.argmax(weights)), weights.shape)
    assert (LEVELS[best[1]], slopes[int(best[0])]) == mode
