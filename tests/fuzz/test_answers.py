"""Any text is read: never an error, always a verdict; a closed thought changes nothing, one cut off says nothing."""

from hypothesis import given
from hypothesis import strategies as st

from limen.parsing.forced_choice import read_position
from limen.parsing.yes_no import Fault, Flag, Verdict, read_choice, read_direct
from limen.preflight import replies
from tests.parsing.test_thought import MARKS, MUSING, ONLY_CLOSED

PIECES = [*(mark for pair in MARKS for mark in pair), "<yes>", "<no>", "A", "B.", "yes", "no", "the first", "second",
          "lacks", "blocking", "that", "neither", "visible", "only", "in", "[", "]", "<", ">", "|", "/", "\n",
          '"', ": ", ".", " ",
          "think", "reason", "\ud800", "\x00", "𝕐𝕖𝕤", "e\u0301", "<unused", "<|", "{", "}"]  # fmt: skip
TEXTS = st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join)
FINISHES = st.sampled_from(["", "stop", "length", "content_filter", "unheard of"])
ANSWERS = st.sampled_from(["<no> Both look the same.", "Yes, the second is blurrier.", "B. No", "A", "<yes>",
                           "I cannot tell.", "The second image shows more noise.", "3", "red, then blue",
                           "左", "First"])  # fmt: skip


@given(TEXTS, FINISHES)
def test_any_text_gives_a_verdict(text: str, finish: str) -> None:
    for read in (read_direct, read_choice, read_position):
        verdict = read(text, finish)
        assert isinstance(verdict.flag, Flag)
        assert verdict.fault is None or isinstance(verdict.fault, Fault)
    assert replies.number(text) is None or isinstance(replies.number(text), int)
    assert replies.colours(text) is None or len(replies.colours(text) or ()) == 2
    assert replies.choice(text, ("left", "right")) in {None, "left", "right"}


@given(
    st.sampled_from(MARKS),
    ANSWERS,
    st.sampled_from([MUSING, "", "no no no", "<no>", "[the first]", "B", "2"]),
    FINISHES,
)
def test_a_closed_thought_changes_nothing(marks: tuple[str, str], answer: str, musing: str, finish: str) -> None:
    begin, end = marks
    for read in (read_direct, read_choice, read_position):
        assert read(f"{begin}{musing}{end}{answer}", finish) == read(answer, finish)


CUT = st.sampled_from([begin for begin, _ in MARKS if begin not in ONLY_CLOSED])


@given(CUT, st.text("abyesno .,!?\n12", max_size=60), FINISHES)
def test_a_thought_cut_off_says_nothing(begin: str, musing: str, finish: str) -> None:
    for read in (read_direct, read_choice, read_position):
        assert read(f"{begin}{musing}", finish) == Verdict(Flag.UNREADABLE, Fault.DEFICIENCY)
