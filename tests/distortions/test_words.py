"""Perturbed questions: what changes, by how much, what never does, and that levels hold each other."""

import itertools
import json
import math
import os
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import digest
from limen.distortion import find
from limen.distortions import _vocabulary as vocabulary
from limen.item import Item
from limen.parsing.forms import Letters, ShortText

KINDS = ("text-characters", "text-words", "text-sentences")
PAPER = (
    "The <image 1> shows the truth table and calculation circuit diagram for the addition of 1-digit integers. What is "
    "the simple circuit that the diagram represents usually called?"
)
LONG = " ".join([PAPER.replace("<image 1>", "picture")] * 4)
each = pytest.mark.parametrize("name", KINDS)


def item(question: str) -> Item:
    return Item(question, ShortText())


def levels(name: str, question: str, key: str = "a") -> list[str]:
    at = find(name).render(item(question), key)
    return [at(level).question for level in range(21)]


def at_most(name: str, question: Item | str, key: str = "a") -> str:
    """What becomes of a question where all that can be perturbed is."""
    asked = item(question) if isinstance(question, str) else question
    found = find(name).prepare(asked, digest.generator("test", key))(100.0)
    assert isinstance(found, Item)
    return found.question


def wanted(strength: float, whole: int) -> int:
    return math.floor(strength * whole / 100 + 0.5)


def distance(one: str, other: str) -> int:
    """Levenshtein's: a swap is two."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


# --- how much -----------------------------------------------------------------------------------------------


@each
def test_twenty_levels_hold_the_seven_of_the_paper(name: str) -> None:
    kind = find(name)
    assert kind.of == "question"
    assert kind.ladder.strengths == tuple(2.5 * k for k in range(1, 21))
    assert {5, 10, 15, 20, 25, 30, 50} < set(kind.ladder.strengths)


@each
def test_level_0_is_the_question_itself_and_only_its_words_change(name: str) -> None:
    asked = Item(LONG, Letters(("red", "blue")), truth="A", category="colour")
    at = find(name).render(asked, "a")
    assert at(0) is asked
    assert at(20).question != asked.question
    assert (at(20).form, at(20).truth, at(20).category) == (asked.form, "A", "colour")


def test_characters_are_as_many_as_asked_for() -> None:
    """17 of 167 characters are 10 % of the paper's example, which counts spaces and leaves its slot out."""
    whole = len(PAPER.replace("<image 1>", ""))
    assert (whole, wanted(10, whole)) == (167, 17)
    for key in "abcde":
        for level, text in enumerate(levels("text-characters", PAPER, key)):
            many = wanted(2.5 * level, whole)
            assert 0.7 * many - 1 <= distance(PAPER, text) <= many + 1  # less where two edits fall together


def test_words_are_as_many_as_asked_for() -> None:
    """3 of 26 words are 10 % of the paper's example."""
    assert wanted(10, len(PAPER.replace("<image 1>", "").split())) == 3
    question = "Is the big car by 1 small phone, 2 huge sofas, 3 cheap rugs, 4 shiny pictures and 5 kids in 9 planes?"
    for key in "abcde":
        for level, text in enumerate(levels("text-words", question, key)):
            many = sum(one != other for one, other in zip(question.split(), text.split(), strict=True))
            assert many == min(wanted(2.5 * level, 23), 11)


def test_random_words_are_as_many_as_asked_for() -> None:
    assert wanted(10, 26) == 3
    for level, text in enumerate(levels("text-sentences", PAPER)):
        assert len(text.split()) - len(PAPER.split()) == wanted(2.5 * level, 26)


# --- levels hold each other ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["a", "b", "c"])
def test_a_level_keeps_the_perturbed_characters_of_the_one_below(key: str) -> None:
    """New edits alone lie between two levels: were they drawn anew, all of both would."""
    found = levels("text-characters", PAPER, key)
    whole = len(PAPER.replace("<image 1>", ""))
    for level in range(20):
        new = wanted(2.5 * (level + 1), whole) - wanted(2.5 * level, whole)
        assert distance(found[level], found[level + 1]) <= new + 1


FORMS = sorted(word for word in vocabulary.synonyms() if vocabulary.synonyms()[word][0] in "an")


@given(st.lists(st.sampled_from(FORMS), min_size=1, max_size=30), st.text("abcdef", max_size=5))
def test_a_level_keeps_the_replaced_words_of_the_one_below(words: list[str], key: str) -> None:
    """Numbers stand between the words, so that what stands for each can be told."""
    question = "See " + " ".join(f"{place} {word}" for place, word in enumerate(words))
    pieces = [re.split(r"\d+", text) for text in levels("text-words", question, key)]
    for below, above in itertools.pairwise(pieces):
        assert len(below) == len(above) == len(words) + 1
        for was, is_, asked in zip(below, above, pieces[0], strict=True):
            assert is_ == was or was == asked


@given(
    st.lists(st.text("abc ", min_size=1, max_size=30), min_size=1, max_size=6).map("? ".join), st.text("ab", max_size=5)
)
def test_a_level_keeps_the_random_words_of_the_one_below(question: str, key: str) -> None:
    found = [text.split() for text in levels("text-sentences", question, key)]
    for below, above in itertools.pairwise(found):
        rest = iter(above)
        assert all(word in rest for word in below)  # in the same order


# --- one draw a series --------------------------------------------------------------------------------------


def test_names_decide_the_draw_in_every_process() -> None:
    script = (
        "import json, sys; sys.path.insert(0, '.'); from tests.distortions import test_words as t; "
        "print(json.dumps({n: t.levels(n, t.LONG, 'x') for n in t.KINDS}))"
    )
    here = {name: levels(name, LONG, "x") for name in KINDS}
    env = os.environ | {"PYTHONHASHSEED": "7"}
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, env=env)
    assert json.loads(there.stdout) == here


@each
def test_another_key_draws_anew_and_the_order_of_levels_does_not_matter(name: str) -> None:
    assert len({levels(name, LONG, key)[8] for key in "abcdefghij"}) == 10
    at = find(name).render(item(LONG), "a")
    assert [at(level).question for level in range(20, -1, -1)] == levels(name, LONG)[::-1]


def test_what_is_drawn_stays_the_same() -> None:
    """Golden texts: if one changes, the distortion's version must."""
    assert {name: levels(name, PAPER)[6] for name in KINDS} == GOLDEN


GOLDEN = {
    "text-characters": "he <image 1> shows the truth tabdlker and ccahlcuzlation circiut diagram ofr the additon f "
    "1-divigt inegees. What is the siimple circuit that thme diagarm represents usuallly calnled?",
    "text-words": "The <image 1> depicts the truth table and computation circuit diagram for the addition of 1-digit "
    "integers. What is the simple circuit that the diagram stands for usually referred to as?",
    "text-sentences": "The <image 1> shows the truth table and calculation circuit diagram for the addition of 1-digit "
    "integers. freedom strength What is the simple circuit that the diagram represents usually called? routine "
    "perception",
}


# --- what is left alone -------------------------------------------------------------------------------------

KEPT = (
    "<image 1>",
    "<image>",
    "{word}",
    "$x^2 + small$",
    "\nA. small car\nB. big car\n",
    "\n(A) small (B) big\n",
    "<|image_1|>",
)


@each
@given(
    st.lists(st.sampled_from((*KEPT, "Is the small car big? ", "What picture shows the car. ", "it ")), max_size=8),
    st.integers(1, 20),
)
def test_slots_formulas_and_options_stay_whole(name: str, parts: list[str], level: int) -> None:
    question = " ".join(parts)
    text = find(name).render(item(question), "a")(level).question
    for kept in KEPT:
        assert text.count(kept) == question.count(kept)


@each
def test_options_of_the_form_are_never_touched(name: str) -> None:
    asked = Item("Is the small car a big picture?", Letters(("small car", "big car")))
    for level in range(21):
        at = find(name).render(asked, "a")(level)
        assert at.text.endswith("A. small car\nB. big car\n" + asked.form.request().split("\n")[-1])
    if name == "text-words":
        assert at_most(name, asked) == "Is the small car a big image?"  # the options' words stay as they are called


def test_digits_stay_in_their_order() -> None:
    question = "Are the 12 cars of 2015 worth $35.50, 3D printed and 2nd to B4?"
    for key in "abcdef":
        for text in levels("text-characters", question, key):
            assert re.findall(r"\d\w*", text) == re.findall(r"\d\w*", question)
            assert "B4" in text


@pytest.mark.parametrize(
    "question",
    [
        "Is it not two, seven or 19?",  # numbers and negations
        "Did Rich Phillips meet Small in Car City with Big Phone?",  # names
        "Car Phone",
        "Phones ring.",  # a sentence's first word
        "Is it small or big?",  # alternatives
        "Is it a photo or a picture?",
        "What does \"small car\" mean? And 'big phone'? And “huge sofa”?",  # quoted
        "Who likes picture frames and car doors?",  # expressions
        "Does he start up?",  # a verb with a particle
        "Did the show go on?",  # nouns that are verbs elsewhere
        "What do you mean?",
        "Is the light right?",  # words of many senses
        "WHAT IS THE BIG CAR?",
    ],
)
def test_words_left_alone(question: str) -> None:
    text = at_most("text-words", question)
    assert text.replace("What's", "What is") == question


@pytest.mark.parametrize(
    ("question", "becomes"),
    [
        ("Are the cars shiny?", {"Are the automobiles glossy?", "Are the autos lustrous?"}),  # number
        ("Do children watch it?", {"Do kids view it?", "Do youngsters observe it?"}),
        ("What does it show?", {"What does it depict?", "What does it exhibit?", "What does it present?"}),
        ("Well, it shows trees.", {"Well, it depicts trees."}),  # third person
        ("Was it shown?", {"Was it depicted?"}),  # participle
        ("They started it.", {"They commenced it."}),  # "began" or "begun"?
        ("They began it.", {"They started it.", "They commenced it."}),
        ("Is it happening?", {"Is it occurring?"}),
        ("Is it bigger?", {"Is it larger?"}),
        ("Is this a car?", {"Is this an automobile?", "Is this an auto?"}),  # articles
        ("Is it an image?", {"Is it a picture?"}),
        ("An amazing thing?", {"An astonishing thing?"}),
        ("A person came.", {"An individual came."}),
        ("Is it a big one?", {"Is it a large one?"}),
        ("How many dogs run?", {"What number of dogs run?"}),  # phrases
        ("How many of them run?", {"How many of them run?"}),
        ("Is there a dog?", {"Can you see a dog?"}),
        ("How many dogs is there a bone for?", {"What number of dogs is there a bone for?"}),  # within a sentence
        ("What is he wearing?", {"What's he dressed in?"}),
        ("Is he wearing a hat?", {"Is he wearing a hat?"}),
    ],
)
def test_words_in_their_form(question: str, becomes: set[str]) -> None:
    assert becomes <= {at_most("text-words", question, f"{key}") for key in range(60)}


def test_replaces_all_it_can_where_more_is_asked_for() -> None:
    assert (
        levels("text-words", "Is the dog in the car of the cat?")[6:]
        == levels("text-words", "Is the dog in the car of the cat?")[20:] * 15
    )


@pytest.mark.parametrize(
    ("question", "pattern"),
    [
        ("One. Two? Three", r"(\w+ )*One\.( \w+)* Two\?( \w+)* Three( \w+)*"),
        (
            "Mr. Smith ate 3.5 eggs, e.g. fried. Why",
            r"(\w+ )*Mr\. Smith ate 3\.5 eggs, e\.g\. fried\.( \w+)* Why( \w+)*",
        ),
        ("One\nTwo?", r"(\w+ )*One( \w+)*\nTwo\?( \w+)*"),
        ("Which?\nA. red\nB. blue", r"(\w+ )*Which\?( \w+)*\nA\. red\nB\. blue"),
        ("What is in <image>", r"(\w+ )*What is in <image>( \w+)*"),
    ],
)
def test_random_words_stand_between_sentences(question: str, pattern: str) -> None:
    for key in "abcdefgh":
        assert re.fullmatch(pattern, at_most("text-sentences", question, key))


def test_random_words_are_none_of_the_question_or_its_options() -> None:
    options = vocabulary.random_words()[2:26]
    asked = Item(" ".join([*vocabulary.random_words()[:2], *["x"] * 3000]), Letters(options))
    drawn = set(at_most("text-sentences", asked).split())
    assert drawn - {"x"} == set(vocabulary.random_words()) - set(options)
    assert "x " * 3000 in at_most("text-sentences", asked) + " "


@given(st.text("ABCdefg ", min_size=2, max_size=40), st.integers(1, 20))
def test_no_word_loses_all_its_letters(question: str, level: int) -> None:
    text = find("text-characters").render(item(question), "a")(level).question
    assert len(text.split()) == len(question.split())


def test_swapped_letters_leave_capitals_where_they_were() -> None:
    prepare = find("text-characters").prepare
    found = {prepare(item("What"), digest.generator(str(key)))(25.0).question for key in range(300)}
    assert {one for one in found if sorted(one.lower()) == sorted("what")} == {"Hwat", "Waht", "Whta"}
    assert {one for one in found if len(one) == 3} == {"hat", "Wat", "Wht", "Wha"}
    assert {"Wwhat", "Whhat", "Whaat", "Whatt", "Wzhat"} < found
    assert all(text.isupper() for text in {at_most("text-characters", "WHAT", str(key)) for key in range(100)})


# --- odd questions ------------------------------------------------------------------------------------------

ODD = (
    "", " ", "?", "\n\n", "a", "What", "🚗🚙?", "Is 🚗 big?", "何色ですか。車は何台ありますか。",
    "Какого цвета машина?", "ما لون السيارة؟", "गाड़ी का रंग क्या है?", "e\u0301te\u0301 straße İstanbul",
    "<image>", "<image 1><image 2>",
    "{a}{b}", "1 2 3",
)  # fmt: skip


@each
@pytest.mark.parametrize("question", ODD)
def test_any_question_is_taken(name: str, question: str) -> None:
    for text in levels(name, question):
        assert text.encode().decode() == text
        assert [c for c in text if c in "🚗🚙"] == [c for c in question if c in "🚗🚙"]
        assert sum(map(_mark, text)) == sum(map(_mark, question))


def _mark(character: str) -> bool:
    return "\u0300" <= character <= "\u036f" or "\u093a" <= character <= "\u094f"


@given(st.text(max_size=60), st.integers(0, 20))
@each
def test_any_text_is_taken(name: str, question: str, level: int) -> None:
    assert isinstance(find(name).render(item(question), "a")(level), Item)


def test_letters_of_other_scripts_are_perturbed_among_themselves() -> None:
    question = "Какого цвета машина на картинке"
    text = levels("text-characters", question)[20]
    assert text != question
    assert set(text.lower()) <= set(question.lower())


@each
@pytest.mark.parametrize(
    "text", ["Is the car big? ", "$", "<a", "{", "(A) ", ". ", "a. ", "'", '"', "word-", "\n", "or "]
)
def test_long_questions_take_linear_time(name: str, text: str) -> None:
    question = (text * 10_000)[:10_000]
    begun = time.process_time()
    levels(name, question)
    assert time.process_time() - begun < 1.0


# --- the words ----------------------------------------------------------------------------------------------


def test_what_ships_is_small_and_in_order() -> None:
    assert sum(file.stat().st_size for file in vocabulary.FOLDER.iterdir()) < 300_000
    assert "Princeton University" in (vocabulary.FOLDER / "LICENSE").read_text()
    for form, (kind, given_) in vocabulary.synonyms().items():
        assert kind in "nvar"
        assert form not in given_
        assert all(re.fullmatch("[a-z]+( [a-z]+)?", one) for one in given_)
    for phrase, known in vocabulary.phrases().items():
        assert len(phrase.split()) <= vocabulary.LONGEST
        assert phrase.split()[-1] not in ("a", "an")  # an article belongs to the word behind it
        assert phrase not in known.given


def test_no_word_put_in_counts_colours_or_denies() -> None:
    put_in = {word for _, given_ in vocabulary.synonyms().values() for one in given_ for word in one.split()}
    put_in |= {
        word for known in vocabulary.phrases().values() for one in known.given for word in one.split() if " " in one
    }
    put_in |= set(vocabulary.random_words())
    telling = {
        "red",
        "blue",
        "green",
        "black",
        "white",
        "two",
        "three",
        "ten",
        "not",
        "no",
        "never",
        "left",
        "right",
        "yes",
    }
    assert put_in & telling <= {"left", "right"}  # "to the left of"
    assert set(vocabulary.synonyms()).isdisjoint(telling)
