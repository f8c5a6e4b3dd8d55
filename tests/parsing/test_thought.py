"""Thoughts in the markups of models, and in some that none uses yet: closed they leave the answer, cut off nothing."""

import time

import pytest

from limen.parsing import thought
from limen.parsing.forced_choice import read_position
from limen.parsing.yes_no import Fault, Flag, Verdict, read_choice, read_direct, spoken
from limen.preflight import replies

MUSING = "Yes? The second looks softer. <yes> A. Yes, the first is 3 and red, left."
MARKS = [  # what begins a thought, what ends it
    *((f"<{name}>", f"</{name}>") for name in (
        "think", "thinking", "THOUGHT", "thoughts", "reasoning", "reason", "reflection", "scratchpad", "cot",
        "seed:think",
        "ns0:thinking", "antThinking", "inner_monologue", "chain_of_thought", "deep-think", "rationale",
        "k2.think_fast",
    )),
    *((f"[{name}]", f"[/{name}]") for name in ("THINK", "thinking", "Reasoning", "model:thought")),
    ('<think effort="high" lang=en>', "</think >"), ("< Think >", "</ Think >"), ("<think\n>", "</think>"),
    ("◁think▷", "◁/think▷"), ("◁REASONING▷", "◁/REASONING▷"), ("【think】", "【/think】"), ("{think}", "{/think}"),
    ("(thinking)", "(/thinking)"), ("\\begin{thought}", "\\end{thought}"), ("＜think＞", "＜/think＞"),
    ("&lt;think&gt;", "&lt;/think&gt;"), ("[[think]]", "[[/think]]"), ("**<think>**", "**</think>**"),
    ("<|think|>", "<|/think|>"), ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<think_start>", "<think_end>"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"), ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("[begin of thought]", "[end of thought]"), ("<start reasoning>", "<end reasoning>"),
    ("<|begin_of_thought|>", "<|begin_of_solution|>"), ("<thinking>", "</think>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>commentary to=me<|message|>", "<|end|>"), ("<|channel>thought\n", "<channel|>"),
    ("analysisWe compare. ", "assistantfinal"), ("<unused94>thought\n", "<unused95>"), ("[unused3]", "[unused4]"),
    ("<|reserved_special_token_7|>", "<|reserved_special_token_8|>"),
    ("Thinking...\n", "\n...done thinking.\n\n"), ("Here is my thought process: ", " Here is my response: "),
    ("Here's my thought process: ", " Here's my response: "), ("--- BEGIN THOUGHT ---\n", "\n--- END THOUGHT ---\n"),
    ('<details type="reasoning" done="true"><summary>Thought for 3 s</summary>', "</details>"),
    ("<details>\n<summary>Thinking</summary>", "</details>"), ("<div class='thinking'>", "</div>"),
    ("```thinking\n", "\n```\n"), ("<!-- thinking: ", " -->"),
    ("‹think›", "‹/think›"), ("«think»", "«/think»"), ("⟦think⟧", "⟦/think⟧"), ("<plan>", "</plan>"),
    ("<|planning|>", "<|/planning|>"), ("<|extra_3|>", "<|extra_4|>"),
    ("<|start_header_id|>thinking<|end_header_id|>\n", "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n"),
    ("<|im_start|>think\n", "<|im_end|>\n<|im_start|>assistant\n"), ("<start_of_turn>thought\n", "<end_of_turn>\n"),
    ("<|start_of_role|>thinking<|end_of_role|>", "<|end_of_text|>"), ("<|im_start|>reasoning\n", "<|im_end|>"),
    ("# Thinking\n", "\n# Answer\n"), ("**Thought process:**\n", "\n**Final answer:** "),
    ("== Thoughts ==\n", "\n== Verdict ==\n"),
    ("*thinks* ", " *answers* "), ("*begins thinking* ", " *stops thinking* "), ("*thinks*", "*/thinks*"),
]  # fmt: skip
ONLY_CLOSED = {"(thinking)", "# Thinking\n", "**Thought process:**\n", "== Thoughts ==\n"} | {
    begin for begin, _ in MARKS if begin.startswith("*") and "think" in begin and "<" not in begin
}


@pytest.mark.parametrize(("begin", "end"), MARKS)
def test_a_closed_thought_leaves_the_answer(begin: str, end: str) -> None:
    answer = "<no> Both images look the same to me."
    assert read_direct(f"{begin}{end}{answer}", "stop") == Verdict(Flag.NO), "nothing was thought"
    for text in (
        f"{begin}{MUSING}{end}{answer}",
        f"{begin}{MUSING}{end}\n\n{answer}",
        f"\n{begin}\n{MUSING}\n{end}{answer}",
    ):
        assert read_direct(text, "stop") == Verdict(Flag.NO), text
    assert read_choice(f"{begin}{MUSING}{end}B", "stop") == Verdict(Flag.NO)
    assert read_position(f"{begin}{MUSING}{end}<second>").flag is Flag.YES
    assert replies.number(f"{begin}{MUSING}{end}5") == 5
    assert replies.colours(f"{begin}{MUSING}{end}green, then blue") == ("green", "blue")
    assert replies.choice(f"{begin}{MUSING}{end}right", ("left", "right")) == "right"


SPEAKERS = ["<|start_header_id|>assistant<|end_header_id|>\n\n", "<|im_start|>assistant\n", "<start_of_turn>model\n",
            "<|start_of_role|>assistant<|end_of_role|>", "<|assistant|>\n", "[|assistant|]", "<|turn>model\n",
            "assistant\n\n", "ASSISTANT: ", "<｜Assistant｜>"]  # fmt: skip


@pytest.mark.parametrize("speaker", [*SPEAKERS, *(f"<think>{MUSING}</think>\n{speaker}" for speaker in SPEAKERS)])
def test_the_name_of_the_speaker_is_no_part_of_the_answer(speaker: str) -> None:
    for answer in ("B", "B. No", "A. Yes", "Yes", "<no>", "second", "First", "The second is blurrier."):
        for read in (read_direct, read_choice, read_position):
            assert read(speaker + answer) == read(answer), (read, answer)


@pytest.mark.parametrize("answer", ["Model A: yes", "Assistant, no", "Models differ: no", "model"])
def test_a_speaker_is_known_by_what_follows(answer: str) -> None:
    assert spoken(answer) == answer.casefold()


@pytest.mark.parametrize(("begin", "end"), [pair for pair in MARKS if pair[0] not in ONLY_CLOSED])
def test_a_thought_cut_off_says_nothing(begin: str, end: str) -> None:
    for finish in ("length", "stop", ""):
        for read in (read_direct, read_choice, read_position):
            assert read(f"{begin}{MUSING}", finish) == Verdict(Flag.UNREADABLE, Fault.DEFICIENCY)


@pytest.mark.parametrize(("begin", "end"), MARKS)
def test_a_thought_after_the_answer_does_not_turn_it(begin: str, end: str) -> None:
    if begin[0] not in "aT\n":  # what only begins a text is no mark elsewhere
        assert (
            read_direct(f"<no> Both images look the same.\n{begin}{MUSING}{end.split('<|start|>')[0]}").flag is Flag.NO
        )


@pytest.mark.parametrize(("text", "expected"), [
    ("so they look softer, yes.</think>No, they are the same.", "no"),
    ("so they look softer, yes.[/THINK]No, they are the same.", "no"),
    ("so yes.<|end_of_thought|>No, they are the same.", "no"),
    ("so yes.<channel|>No, they are the same.", "no"),
    ("so yes.\n...done thinking.\n\nNo, they are the same.", "no"),
    ("<think>one<think>yes</think>yes, yes</think>No, they are the same.", "no"),
    ("<think>one<think>yes</think>No, they are the same.", "no"),
    ("<reasoning>one <think>yes</think> yes</reasoning>No, they are the same.", "no"),
    ("<think>yes</think><think>Yes.</think>No, they are the same.", "no"),
    ("<think>yes</think>No, they are the same.<think>Yes.</think>", "no"),
    ("Yes.<think>Are they?</think>No, they are the same.", "no"),
    ("<no> They are the same. <think>Hmm, yes, they", "no"),
    ("<no> They are the same. <thin", "no"),
    ("<think/>No, they are the same.", "no"),
    ("(thinking)(/thinking)No, they are the same.", "no"),
    ("<no_think>No, they are the same.", "no"),
    ('{"thought": "Yes, \\"softer\\".", "answer": "no"} They are the same.', "no"),
    ("<|begin_of_thought|>yes<|end_of_thought|><|begin_of_solution|>No, they are the same.<|end_of_solution|>", "no"),
    ("<think>yes</think><|begin_of_box|>No, they are the same.<|end_of_box|>", "no"),
    ("<answer>no</answer><reasoning>Yes, perhaps.</reasoning>", "no deficiency"),
    ("<think>Yes.</think>", "unreadable deficiency"),
    ("No, they are the same.</think>", "unreadable deficiency"),
    ("No, they are the same. </thi", "unreadable deficiency"),
    ("<thin", "unreadable deficiency"), ("<|chan", "unreadable deficiency"), ("[THI", "unreadable deficiency"),
    ('{"thought": "Yes, the second', "unreadable deficiency"),
    ('{"reasoning": "Yes, the second', "unreadable deficiency"),
])  # fmt: skip
def test_halves_nests_and_repeats(text: str, expected: str) -> None:
    flag, _, fault = expected.partition(" ")
    assert read_direct(text, "stop") == Verdict(Flag(flag), Fault(fault) if fault else None)


@pytest.mark.parametrize("text", [
    "[The first image] is sharper than the second. <yes>",
    "<image 2> is much blurrier here than in <image 1>, or so it seems. <yes>",
    "[yes] The second image is blurrier.", "(yes) The second image (on the right) is blurrier.",
    "<answer>yes</answer><analysis>The second image is blurrier.</analysis>",
    "<analysis>The second image is blurrier.</analysis><answer>yes</answer>",
    "<b>Yes</b>, I think the second image is blurrier.", "Yes. The second image is blurrier (I think).",
    "**Reasoning:** The second image is blurrier. **Answer:** yes", "[Reasoning] The second is blurrier. [Answer] yes",
    "<yes> <reason> The second image is blurrier.", "<yes>\n[Reasoning] The second image is blurrier.",
    '{"reasoning": "The second image is blurrier.", "answer": "yes"}', "(thinking)\nYes, the second image is blurrier.",
    '{"answer": "yes", "analysis": "The second image is blurrier, I thought."}',
    "Analysis: the second image is blurrier. Answer: yes", "```\nYes. The second image is blurrier.\n```",
    "Thinking about it... yes, the second image is blurrier.", "<yes> [unused space] The second image is blurrier.",
    "I started to think there is a reason: yes. The second image is blurrier.",
    "Here is my reasoning: the second image is blurrier. Here is my response: yes.",
    "<|im_start|>assistant\nYes. The second image is blurrier.<|im_end|>", "<div>Yes. The second is blurrier.</div>",
    "# Thinking\nYes, the second image is blurrier.", "I was *thinking*: yes, the second image is blurrier.",
    "«Yes» The second image is blurrier.", "The plan (a plan) is to look. Yes: the second image is blurrier.",
    "**Explanation:** the second image is blurrier.\n**Answer:** yes",
])  # fmt: skip
def test_brackets_and_headings_are_read(text: str) -> None:
    assert read_direct(text, "stop") == Verdict(Flag.YES)
    assert not thought.holds(text)


PIECES = ["<think>", "</think>", "<think>a", "<think></think>", "[", "<|", "◁", "[reason] a ", '"think":"',
          "<unused9>", "<reason", "[[[think",
          "<|im_start|>think\n", "# thinking\n", "*thinks*", "<plan>", "<|extra_1|>", "think ",
          "</b>", "<div class=think>", "```think\n", "<|channel|>", "of the ", "&lt;think", "(("]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_time_is_linear(piece: str) -> None:
    def seconds(times: int) -> float:
        start = time.process_time()
        thought.drop(piece * times)
        return time.process_time() - start

    fewer = min(seconds(10_000) for _ in range(3))  # the least: a busy machine only adds
    assert any(seconds(40_000) < 0.1 + 12 * fewer for _ in range(3))
