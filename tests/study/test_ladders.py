"""Ladders of a study's own: what a list and a rule stand for, and what is said of those that cannot be used."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limen
from limen import distortion, image, registry, testing
from limen.errors import InputError
from limen.ladder import Ladder
from limen.study import load
from limen.study.ladders import of_text, replaced, strengths

STUDY = 'images = ["demo"]\nobservers = ["simulated"]\ndistortions = ["blur", "jpeg"]\n'


def test_a_list_and_both_rules() -> None:
    assert strengths("x", [4, 2, 1]) == strengths("x", {"strengths": [4, 2, 1]}) == (4.0, 2.0, 1.0)
    assert strengths("x", {"from": 1, "to": 9, "levels": 5}) == (1.0, 3.0, 5.0, 7.0, 9.0)
    assert strengths("x", {"from": 1, "to": 16, "levels": 5, "spacing": "geometric"}) == (1.0, 2.0, 4.0, 8.0, 16.0)
    assert strengths("x", {"from": -8, "to": -1, "levels": 4, "spacing": "geometric"}) == (-8.0, -4.0, -2.0, -1.0)
    assert strengths("x", {"from": 100, "to": 10, "levels": 4}, whole=True) == (100.0, 70.0, 40.0, 10.0)


def test_a_geometric_rule_ends_where_it_says_with_one_factor() -> None:
    found = strengths("x", {"from": 0.3, "to": 17, "levels": 31, "spacing": "geometric"})
    assert (found[0], found[-1], len(found)) == (0.3, 17.0, 31)
    factors = [after / before for before, after in itertools.pairwise(found)]
    assert np.allclose(factors, (17 / 0.3) ** (1 / 30), rtol=1e-10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1], r"x: has 1 strength\. Give 2 to 10,000, the weakest first"),
        ([], r"x: has 0 strengths\. Give 2"),
        ([1, 3, 2], r"x: turns at level 2, from 3 to 2\. Strengths rise or fall all the way"),
        ([1, 2, 2], r"x: has 2 twice"),
        ([1, math.inf, 3], r"x: has a strength that is not a finite number"),
        (["a", 2], r"x: strengths\[0\] cannot be 'a'. Give a number"),
        ({"form": 1}, r"x has no setting 'form'\. Did you mean 'from'\? Known: strengths, from, to, levels, spacing"),
        ({"from": 1, "levels": 4}, r"x: has no to\. Give strengths = \[\.\.\.\], or from, to and levels"),
        ({"strengths": [1, 2], "levels": 4}, r"x: has strengths, and levels beside them"),
        ({"from": 1, "to": 2, "levels": 1}, r"x: levels cannot be '1'\. Give a whole number from 2 to 10,000"),
        ({"from": 0, "to": 8, "levels": 4, "spacing": "geometric"}, r"x: cannot go from 0 to 8 by one factor"),
        ({"from": -1, "to": 8, "levels": 4, "spacing": "geometric"}, r"x: cannot go from -1 to 8 by one factor"),
        ({"from": 1, "to": 8, "levels": 4, "spacing": "log"}, r"x: spacing cannot be 'log'\. Give one of"),
        ({"from": 3, "to": 3, "levels": 4}, r"x: 4 levels do not fit between 3 and 3"),
    ],
)
def test_what_is_no_ladder_is_said(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        strengths("x", given)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("jpeg", [10, 50, 90], r"ladders\.jpeg: 10 to 90 leads towards 100, .*Begin with the weakest strength"),
        (
            "jpeg",
            [90, 0],
            r"ladders\.jpeg: 0 is out of its range\. Give strengths that are whole numbers from 1",
        ),
        ("jpeg", [90.5, 50], r"ladders\.jpeg: 90\.5 is not a whole number"),
        ("jpeg", {"from": 100, "to": 98, "levels": 9}, r"ladders\.jpeg: 9 levels do not fit between 100 and 98"),
        ("blur", [-2, -1], r"ladders\.blur: -2 is out of its range\. Give strengths from 0\."),
        ("contrast", [0.5, 1.5], r"ladders\.contrast: 0\.5 and 1\.5 lie on two sides of 1, which changes nothing"),
        ("mask", [0.01, 0.05], r"ladders\.mask: 0\.05 is out of its range\. Give strengths from 0 to 0\.03"),
        ("text-words", [50, 101], r"ladders\.text-words: 101 is out of its range\. Give strengths from 0 to 100"),
    ],
)
def test_what_a_distortion_does_not_take_is_said(name: str, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replaced(distortion.find(name), {name: given})


def test_both_ways_from_what_changes_nothing() -> None:
    for given in ([1.2, 1.5, 2.0], [0.9, 0.5, 0.0]):
        assert replaced(distortion.find("saturation"), {"saturation": given}).ladder.strengths == tuple(given)


@pytest.mark.parametrize("kind", [one for one in registry.every("distortion").values() if one.domain is not None])
def test_limens_own_ladders_lie_in_their_domains(kind: distortion.Distortion) -> None:
    assert kind.domain is not None
    kind.domain.check(kind.ladder.strengths)


def test_a_mask_of_strengths_in_between_never_uncovers() -> None:
    kind = replaced(distortion.find("mask"), {"mask": {"from": 0.0004, "to": 0.03, "levels": 150}})
    picture = np.full((90, 130, 3), 200, np.uint8)
    at, before = kind.render(picture, "key"), np.zeros((90, 130), bool)
    for level in range(1, 151):
        black = (at(level) == 0).all(axis=2)
        assert black[before].all()
        before = black
    published = distortion.find("mask").render(picture, "key")(50)
    assert image.digest(at(150)) == image.digest(published)


def test_a_file_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY + "[ladders]\nblur = [1, 2]\njpeg = [50, 70, 60]\n")
    with pytest.raises(InputError, match=r"study\.toml line 6: ladders\.jpeg: turns at level 2"):
        load(file)
    file.write_text(STUDY + "[ladders.blur]\nfrom = 0\nto = 8\nlevels = 4\nspacing = 'geometric'\n")
    with pytest.raises(InputError, match=r"study\.toml line 4: ladders\.blur: cannot go from 0 to 8"):
        load(file)
    file.write_text(STUDY + "ladders = { blur = [1] }\n")
    with pytest.raises(InputError, match=r"study\.toml line 4: ladders\.blur: has 1 strength"):
        load(file)
    file.write_text(STUDY + "ladders.jpeg = 50\n")
    with pytest.raises(InputError, match=r"study\.toml line 4: ladders\.jpeg cannot be 50\. Give a list"):
        load(file)


def test_a_file_and_the_command_line_make_one_study(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY + "[ladders]\njpeg = [90, 50]\n[ladders.blur]\nfrom = 1\nto = 4\nlevels = 4\n")
    changes = {"ladders": dict([of_text("jpeg=90..10x3")])}
    study = limen.Study.plan(load(file, changes))
    ladders = {series.distortion.name: series.distortion.ladder for series in study.series}
    assert ladders["blur"] == Ladder((1.0, 2.0, 3.0, 4.0), "px (sigma) at 640 px width")
    assert ladders["jpeg"] == Ladder((90.0, 50.0, 10.0), "quality")


def test_short_texts_of_the_command_line() -> None:
    assert of_text("blur=1,2,4") == ("blur", (1.0, 2.0, 4.0))
    assert of_text("blur=0.5..16x20") == ("blur", {"from": 0.5, "to": 16.0, "levels": 20, "spacing": "linear"})
    assert of_text("angle=-1..-8x4:geometric")[1] == {"from": -1.0, "to": -8.0, "levels": 4, "spacing": "geometric"}
    for wrong in ("blur", "blur=", "blur=1..2", "blur=1..2xfour", "blur=1..2x4:log", "blur=1;2"):
        with pytest.raises(InputError, match=r"--ladder cannot be .*Give blur=1,2,4,8"):
            of_text(wrong)


def test_a_rule_from_python() -> None:
    photograph = testing.photograph("a", 48, 64)
    rule = {"from": 0.0001, "to": 0.01, "levels": 9, "spacing": "geometric"}
    run = limen.measure(photograph, "simulated", "noise", ladders={"noise": rule}, exam=False)
    assert run.jnds[0].levels == 9
    darker = limen.measure(
        photograph, "simulated", _darker, ladders={"_darker": {"from": 1, "to": 16, "levels": 4}}, exam=False
    )
    assert darker.analysis.manifest.distortions["_darker"].strengths == [1.0, 6.0, 11.0, 16.0]


def _darker(picture: np.ndarray, strength: float) -> np.ndarray:
    return np.clip(picture.astype(int) - int(strength), 0, 255).astype(np.uint8)
