"""The plug-ins keep limen's contracts, and do what they say, by name as limen finds them."""

import numpy as np
import pytest

import limen
from limen import distortion, question, source
from limen.testing import check_distortion, check_observer, check_procedure, read, simulate, stimulus


def test_contracts() -> None:
    check_distortion("pixelate")
    check_observer("edges")
    check_procedure("climb")


def test_pixelate_keeps_the_mean_and_makes_blocks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    made = stimulus(image, "pixelate", 5, "any")  # level 5 is 8 px
    assert (made.reshape(8, 8, 8, 8, 3) == made[::8, None, ::8, None].reshape(8, 1, 8, 1, 3)).all()
    means = image.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(made[::8, ::8], np.rint(means).astype(np.uint8))
    assert distortion.find("pixelate").ladder[5] == 8


def test_the_question_is_read() -> None:
    assert read("as-fine", "<no> The second is coarser.") == ("yes", None)
    assert read("as-fine", "<yes> They are equally fine.") == ("no", None)
    assert question.find("as-fine").pictures == 2


def test_climb_finds_the_first_of_a_run() -> None:
    assert simulate("climb", [False, True, False, True, True, True]).levels == (4,)
    assert simulate("climb", [False, True, False, True, True, True], run=3).levels == (4,)
    assert simulate("climb", [False, True, False, True], run=2).levels == (None,)


def test_the_source_draws_the_same_boards() -> None:
    boards = source.collect(["checkers=3"]).references
    assert [one.name for one in boards] == ["board-000", "board-001", "board-002"]
    assert [one.digest for one in boards] == [one.digest for one in source.collect(["checkers=3"]).references]
    assert all(len(np.unique(one.load().reshape(-1, 3), axis=0)) == 2 for one in boards)
    with pytest.raises(limen.InputError, match="1 to 1000"):
        source.collect(["checkers=many"])


def test_all_of_them_measure_together() -> None:
    run = limen.measure("checkers=3", "edges", "pixelate", procedure="climb", questions="as-fine")
    (row,) = run.jnds
    assert (row.distortion, row.n) == ("pixelate", 3)
