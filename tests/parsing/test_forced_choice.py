"""The forced choice: what is asked, how it is read, and that a right choice is a yes whichever picture came first."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from limen import question as questions
from limen.analysis import analyse
from limen.image import Picture
from limen.parsing.forced_choice import read_position
from limen.question import Query
from limen.store import Store
from limen.study import Spec, Study
from limen.testing import photograph
from limen.trial import Answer
from tests.support.toy import Toy

READ = {
    "yes": [
        "<second> It is blurrier.", "second", "Second.", "The second image shows more noise.", "**Second**", "2", "2.",
        "Image 2 has more blur than image 1.", "Answer: <second>\nThe first is sharp, the second is soft.",
        "The first image is sharp. The second image is visibly blurrier.", "I think the second image is noisier.",
        "<think>first? no</think> <second>", "[THINK]first? no[/THINK] <second>",
        "Looking closely, the second one appears stronger in contrast.", "right",
        "The answer is the second image.", "B", "It is the second one: its edges are softer.",
        "The first image is clean, whereas the second image exhibits more JPEG compression.",
    ],
    "no": [
        "<first> It is darker.", "First", "1", "The first image has more noise.", "Image 1 is blurrier than Image 2.",
        "**First image**. The second looks clean.", "Therefore, the first.", "1st", "The first one.", "Left",
        "My choice: first",
    ],
    "unreadable": [
        "", "   ", "I'm sorry, I can't compare images.", "Both look the same to me.", "#### %%%", "They are identical.",
        "The first image shows a cat. The second image shows a cat.",
        "Which shows more noise, the first or the second? Please return <first> or <second> with analysis.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("flag", "text"), [(flag, text) for flag, rows in READ.items() for text in rows])
def test_reading(flag: str, text: str) -> None:
    assert read_position(text).flag.value == flag


def test_cut_off_is_a_deficiency() -> None:
    verdict = read_position("Looking at both", "length")
    assert (verdict.flag.value, verdict.fault and verdict.fault.value) == ("unreadable", "deficiency")


def test_a_thought_cut_off_is_a_deficiency() -> None:
    verdict = read_position("**<think>** The first? Or the second, it shows more", "stop")
    assert (verdict.flag.value, verdict.fault and verdict.fault.value) == ("unreadable", "deficiency")


def test_a_right_choice_is_a_yes_in_either_order() -> None:
    question = questions.find("forced-choice")
    one, other = Picture.of(photograph("a", 40, 40)), Picture.of(photograph("b", 40, 40))
    firsts = set()
    for i in range(40):
        for swapped in (False, True):
            (query,) = question.ask("noise", one, other, False, swapped, f"s/0/{i}")
            place = "second" if query.pictures[1] is other else "first"
            firsts.add(place)
            for said in ("first", "second"):
                verdict = question.read((Answer(f"<{said}> It is noisier."),), (), swapped, f"s/0/{i}")
                assert verdict.yes == (said == place)
    assert firsts == {"first", "second"}
    assert 'more "noise"' in query.text


def test_a_forced_choice_study_has_no_criterion(tmp_path: Path, photos: Path) -> None:
    """Two observers with the same acuity and opposite habits when unsure get the same curve above threshold."""

    def choosing(habit: str) -> Toy:
        def says(query: Query) -> str:
            first, second = (picture.pixels.astype(float) for picture in query.pictures)
            rough = [np.abs(np.diff(pixels, axis=0)).mean() for pixels in (first, second)]
            if abs(rough[0] - rough[1]) < 1.0:
                return f"<{habit}> I can hardly tell."
            return f"<{'first' if rough[0] > rough[1] else 'second'}> It has more noise."

        return Toy(says, name=habit)

    spec = Spec(images=(str(photos),), observers=("simulated",), distortions=("noise",), questions=("forced-choice",),
                procedure={"name": "constant", "every": 5})  # fmt: skip
    study = dataclasses.replace(Study.plan(spec), observers=(choosing("first"), choosing("second")))
    study.run(tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        analysis = analyse(store)
    curves = [row.curve for row in analysis.curves]
    assert len(curves) == 2
    assert curves[0].shares[-1].value == curves[1].shares[-1].value == 1.0
    assert 0 not in curves[0].levels  # no identical pairs: there is no right choice between them
