"""What is asked, to the letter; in which order; and what identifies it."""

import subprocess
import sys

import numpy as np
import pytest

from limen import digest, question
from limen.errors import UnknownNameError
from limen.image import Picture
from limen.parsing.yes_no import Fault, Flag, Verdict
from limen.question import Answer, Order, Query

REFERENCE = Picture.of(np.zeros((32, 32, 3), np.uint8))
STIMULUS = Picture.of(np.full((32, 32, 3), 9, np.uint8))
DIRECT = " Please return <yes> or <no> with analysis."
CHOICE = "\nA. Yes; B. No\nAnswer with the option's letter from the given choices directly."

# (question, word, paraphrase) -> text
TEXTS = {
    ("direct", "blur", False): 'Is there any noticeable difference in "blur" between these two images?' + DIRECT,
    ("direct", "color saturation", False): (
        'Is there any noticeable difference in "color saturation" between these two images?' + DIRECT
    ),
    ("direct", "perspectives", False): (
        "Is there any noticeable difference in the perspectives of these two images?" + DIRECT
    ),
    ("direct-implicit", "blur", False): "Is there any noticeable difference between these two images?" + DIRECT,
    ("direct-implicit", "perspectives", False): (
        "Is there any noticeable difference in the perspectives of these two images?" + DIRECT
    ),
    ("choice", "blur", False): 'Is there any noticeable difference in "blur" between these two images?' + CHOICE,
    ("choice", "perspectives", False): (
        "Is there any noticeable difference in the perspectives of these two images?" + CHOICE
    ),
    ("choice-implicit", "mask", False): "Is there any noticeable difference between these two images?" + CHOICE,
    ("direct", "blur", True): (
        'Compare the first image with the second. Do they differ noticeably in "blur"?' + DIRECT
    ),
    ("direct-implicit", "blur", True): ("Compare the first image with the second. Do they differ noticeably?" + DIRECT),
    ("choice", "noise", True): (
        'Compare the first image with the second. Do they differ noticeably in "noise"?' + CHOICE
    ),
    ("choice-implicit", "noise", True): (
        "Compare the first image with the second. Do they differ noticeably?" + CHOICE
    ),
    ("choice", "perspectives", True): (
        "Compare the first image with the second. Do their perspectives differ noticeably?" + CHOICE
    ),
}

DIGESTS = {
    ("direct", Order.REFERENCE_FIRST): "e670b5fcf7d3a8970b06ac72c4816f18",
    ("direct", Order.SWAPPED): "a696192bb91b027dff616558a777aed9",
    ("direct", Order.BALANCED): "55c6bd69406ea9b9294f1b0e698de5ee",
    ("direct", Order.REFERENCE_QUESTION_TEST): "8a5b591f0d71302259e3d29854230008",
    ("direct-implicit", Order.REFERENCE_FIRST): "3eacd6644ef759e3f6be15d1293d5b61",
    ("choice", Order.REFERENCE_FIRST): "1d385f617c9eb869e558791f73f20194",
    ("choice-implicit", Order.REFERENCE_FIRST): "f5ccfba27df4e60aff9fd19847d41219",
}


@pytest.mark.parametrize(("name", "word", "again"), TEXTS)
def test_texts_are_the_papers_to_the_letter(name: str, word: str, again: bool) -> None:
    (query,) = question.find(name).ask(word, REFERENCE, STIMULUS, again)
    assert query.text == TEXTS[name, word, again]


@pytest.mark.parametrize(
    ("order", "parts"),
    [
        (Order.REFERENCE_FIRST, (REFERENCE, STIMULUS, "text")),
        (Order.SWAPPED, (STIMULUS, REFERENCE, "text")),
        (Order.REFERENCE_QUESTION_TEST, (REFERENCE, "text", STIMULUS)),
    ],
)
def test_orders(order: Order, parts: tuple[Picture | str, ...]) -> None:
    (query,) = question.find("direct", order).ask("blur", REFERENCE, STIMULUS)
    text = TEXTS["direct", "blur", False]
    assert query.parts == tuple(text if part == "text" else part for part in parts)
    assert query.pictures == tuple(part for part in parts if isinstance(part, Picture))


def test_balanced_order_is_a_fair_coin_that_always_falls_the_same() -> None:
    balanced = question.find("direct", Order.BALANCED)
    pictures = [Picture.of(np.full((32, 32, 3), value, np.uint8)) for value in range(200)]
    swapped = [balanced.ask("blur", REFERENCE, picture)[0].pictures[0] is picture for picture in pictures]
    assert 70 <= sum(swapped) <= 130
    assert swapped == [balanced.ask("blur", REFERENCE, picture)[0].pictures[0] is picture for picture in pictures]
    other = [balanced.ask("noise", REFERENCE, picture)[0].pictures[0] is picture for picture in pictures]
    assert other != swapped


def test_what_is_shown_is_pixels_and_text_in_order() -> None:
    query = Query((REFERENCE, "what?", STIMULUS))
    assert query.shown == [["picture", REFERENCE.digest], ["text", "what?"], ["picture", STIMULUS.digest]]
    assert Query((REFERENCE, "what?", Picture.of(STIMULUS.pixels.copy()))).shown == query.shown
    assert Query((f"picture {REFERENCE.digest}",)).shown != Query((REFERENCE,)).shown


def test_every_question_is_found_under_its_name_and_none_other() -> None:
    older = {"direct", "direct-implicit", "choice", "choice-implicit", "forced-choice"}
    newer = {"answer-changes", "answer-wrong", "forced-choice-4", "odd-one-out-3", "odd-one-out-4", "same-different"}
    assert {asked.name for asked in question.every()} == older | newer
    assert all(question.find(asked.name) == asked for asked in question.every())
    with pytest.raises(UnknownNameError, match=r"No question named 'choise'\. Did you mean 'choice'\?"):
        question.find("choise")


@pytest.mark.parametrize(
    ("name", "verdicts", "half"),
    [
        ("direct", ("no", "yes"), "half yes"),
        ("choice", ("no", "yes"), "half yes"),
        ("same-different", ("same", "different"), "half different"),
        ("forced-choice", ("wrong", "correct"), "75 % correct"),
        ("odd-one-out-3", ("wrong", "correct"), "66.7 % correct"),
        ("forced-choice-4", ("wrong", "correct"), "62.5 % correct"),
        ("answer-changes", ("unchanged", "changed"), "half changed"),
        ("answer-wrong", ("right", "wrong"), "half wrong"),
    ],
)
def test_each_question_says_what_is_counted(name: str, verdicts: tuple[str, str], half: str) -> None:
    asked = question.find(name)
    assert (asked.verdicts, asked.half) == (verdicts, half)


def test_an_answer_that_does_not_say_by_itself_that_pictures_differ_is_counted_as_noticed() -> None:
    own = {"name": "own", "text": "Are these two images identical?", "notices": ["no"]}
    assert question.of_table(own).half == "half noticed"
    letters = {"name": "own", "text": "Well?", "options": ["alike", "not alike"], "notices": ["B"]}
    assert question.of_table(letters).verdicts == ("unnoticed", "noticed")


@pytest.mark.parametrize(("name", "order"), DIGESTS)
def test_digests_are_golden(name: str, order: Order) -> None:
    """A digest keys stored answers: whoever changes one makes every stored answer unknown."""
    assert question.find(name, order).digest == DIGESTS[name, order]


def test_digests_tell_wording_order_and_explicitness_apart() -> None:
    assert (
        len({question.find(asked.name, order).digest for asked in question.every() for order in Order}) == 40
    )  # two differ in their verdict alone


def test_digests_do_not_depend_on_the_process() -> None:
    code = "from limen import question; print(*[asked.digest for asked in question.every()])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [asked.digest for asked in question.every()]


def test_reading_takes_exactly_the_answers_asked_for() -> None:
    direct = question.find("direct")
    assert direct.read((Answer("No, they look identical."),)) == Verdict(Flag.NO)
    with pytest.raises(ValueError, match="unpack"):
        direct.read(())


def test_a_paraphrase_counts_only_where_the_first_answer_says_nothing() -> None:
    direct = question.find("direct")
    silent, yes = (Answer("", finish="stop"),), (Answer("Yes, the second image is blurrier."),)
    no, refused = (Answer("No, they look identical."),), (Answer("Hm.", finish="content_filter"),)
    assert direct.read(silent, yes) == Verdict(Flag.YES)
    assert direct.read(no, yes) == Verdict(Flag.NO)
    assert direct.read(silent, refused) == Verdict(Flag.UNREADABLE, Fault.DEFICIENCY)
    assert direct.read(silent) == Verdict(Flag.UNREADABLE, Fault.DEFICIENCY)


def test_the_finish_reason_reaches_the_reader() -> None:
    told = question.find("direct").read((Answer("The images show", finish="length"),))
    assert told == Verdict(Flag.UNREADABLE, Fault.DEFICIENCY)
    assert question.find("direct").read((Answer("The images show", finish="stop"),)) == Verdict(Flag.UNREADABLE)


def test_the_coin_of_the_balanced_order_is_named() -> None:
    """The seed's names are part of what is stored: order, word, reference, stimulus."""
    swap = digest.seed("order", "blur", REFERENCE.digest, STIMULUS.digest) % 2 == 1
    (query,) = question.find("direct", Order.BALANCED).ask("blur", REFERENCE, STIMULUS)
    assert (query.pictures[0] is STIMULUS) is swap
