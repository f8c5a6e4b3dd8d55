"""p(yes) from candidates at one position."""

import math

import pytest

from limen.parsing.token_probability import bare, flag_mass, flag_position, offers_letters
from limen.question import every


@pytest.mark.parametrize(
    "form", ["yes", "Yes", " yes", "YES", "<yes", "Ġyes", "▁Yes", "yes>", "是", "是的", "**Yes", "A"]
)
def test_yes_forms(form: str) -> None:
    assert flag_mass([(form, 0.6), ("no", 0.2)]) == pytest.approx((0.75, 0.2))


@pytest.mark.parametrize("form", ["no", "No", " no", "NO", "<no", "否", "不", "没有", "B", " B."])
def test_no_forms(form: str) -> None:
    assert flag_mass([("Yes", 0.6), (form, 0.2)]) == pytest.approx((0.75, 0.2))


@pytest.mark.parametrize("form", ["not", "yesterday", "noticeable", "There", "", "<", "C", "nope"])
def test_other_words_are_neither(form: str) -> None:
    assert flag_mass([("yes", 0.3), ("no", 0.1), (form, 0.5)]) == pytest.approx((0.75, 0.6))


def test_forms_add_up() -> None:
    both = flag_mass([("yes", 0.2), ("Yes", 0.3), (" YES", 0.1), ("no", 0.1), ("No", 0.1)])
    assert both == pytest.approx((0.75, 0.2))


def test_nothing_to_tell() -> None:
    assert flag_mass([]) is None
    assert flag_mass([("There", 0.9)]) is None
    assert flag_mass([("yes", 0.0)]) is None
    assert flag_mass([("yes", math.nan)]) is None


def test_mass_rounded_above_one_leaves_nothing_for_neither() -> None:
    assert flag_mass([("yes", 0.6), ("no", 0.400001)]) == pytest.approx((0.6, 0.0), abs=1e-5)


def test_letters_only_where_offered() -> None:
    article = [("A", 0.7), ("Yes", 0.1), ("No", 0.1)]
    assert flag_mass(article, letters=False) == pytest.approx((0.5, 0.8))
    assert flag_mass(article) == pytest.approx((8 / 9, 0.1))


def test_which_questions_offer_letters() -> None:
    for question in every():
        for variant in range(1 + len(question.paraphrases)):
            assert offers_letters(question.fill("blur", variant)) == question.name.startswith("choice")
    assert not offers_letters("A. No; B. Yes")


@pytest.mark.parametrize(
    ("tokens", "place"),
    [(["<", "yes", ">"], 1), ([" ", "\n", "**", "No"], 3), (["Yes"], 0), (["<", ">"], None), ([], None)],
)
def test_flag_position(tokens: list[str], place: int | None) -> None:
    assert flag_position(tokens) == place


@pytest.mark.parametrize(
    ("tokens", "text", "place"),
    [
        (["<", "yes", ">", " The"], "<yes> The second is blurrier.", 1),
        (["ĠYes", ",", "Ġthe", "</s>"], "Yes, the", 0),
        (["Yes", "<|im_end|>"], "Yes", 0),
        (["**", "No", "**", " 是"], "**No** 是的", 1),
        (["<think>", "Yes", "</think>", "<no>"], "<think>Yes</think><no> Alike.", None),  # the thought's own yes
        (["Yes", ",", " hm"], "Yes, hm.</think><no> Alike.", None),  # the chat template wrote the thought's start
        (["Yes", ",", " hm"], "<no> Alike.", None),  # the server took the thought out of the text alone
        (["No", ",", " not", " yet"], "No. They look alike.", None),
        (["[THINK]", "Yes"], "[THINK]Yes, they", None),
        (["Yes"], "", None),
    ],
)
def test_no_flag_is_taken_from_a_thought(tokens: list[str], text: str, place: int | None) -> None:
    assert flag_position(tokens, text) == place


def test_bare() -> None:
    assert bare(" <Yes_") == "yes"
    assert bare("▁▁") == ""
