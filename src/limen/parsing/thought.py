"""Thoughts: what a model writes to itself before, between or after what it answers (rule 1 of `limen.parsing.yes_no`).

There is no list of all markups, so a thought is known by the shape and the name of its marks:

- a tag in angle, square, curly or round brackets, ◁▷, ⟨⟩, 【】, ‹›, «» or ⟦⟧, with or without "|", in whose name one
  of `STEMS` is a part: <think>, [THINK], <seed:think>, <antThinking>, <|begin_of_thought|>, <think_end>, [end of
  reasoning]. By this rule alone a tag is recognised that nobody has seen before;
- an element with a stem in an attribute or its summary (<details type="reasoning">), a block ```thinking, a comment
  <!-- thinking ... -->, a member "thought": "..." of JSON;
- a channel that is not the final one (<|channel|>analysis<|message|>, and "analysisWe need ... assistantfinal" where a
  tokenizer ate the signs), a turn of a speaker with a stem (<|start_header_id|>thinking<|end_header_id|>);
- two tokens without a name (<unused94> ... <unused95>), or one that "thought" follows;
- words that begin and end one: "Thinking..." and "...done thinking.", "Here is my thought process:" and "Here is my
  response:", a line BEGIN THOUGHT and a line END THOUGHT, a heading "# Thinking" and a heading "# Answer", *thinks*
  and *answers*.

A thought without end goes on to the end of the text; an end without start ends one that began with the text; a tag
cut in two by the end of the text counts as whole. A tag of another name (<answer>, <analysis>, <|begin_of_box|>,
[The first image]) is none. Neither is a heading: what is open in square or curly brackets, <reason>, <plan>, a token
without a name and a JSON "reasoning" are thoughts without end only where nothing was said before; round brackets,
headings of Markdown and *thinks* never are.

All patterns are bounded: time is linear in the length.
"""

import re
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

STEMS = (
    "think", "thought", "reason", "reflect", "scratchpad", "scratch_pad", "monolog", "ponder", "deliberat",
    "contemplat", "chain_of_", "cot", "rationale", "inner_", "plan",
)  # fmt: skip
PAUSE = "\x05"  # stands for a thought between words

_ALONE = {"cot": "(?<![a-z])cot(?![a-z])", "plan": "(?<![a-z])plan(?:ning)?(?![a-z])"}  # not Scotland, explanation
_STEM = f"(?:{'|'.join(_ALONE.get(stem, stem) for stem in STEMS)})"
_NAME = rf"[\w:.▁-]{{0,40}}{_STEM}[\w:.▁-]{{0,40}}"
_BEFORE = (
    r"(?:(?:begin|start|end|stop|done|of|the|my|inner|internal|hidden|private|chain|step|by|model|assistant) ){0,4}"
)
_AFTER = r"(?: (?:process|start|end|begin|stop|steps?|block))?"
_LINE = rf"(?: of)?(?: the| my| internal)?[ _]{_STEM}\w{{0,10}}(?: process)?[^\w\n]{{0,12}}$"
_BRACKETED = {
    "channel": r"(?:<\|start\|>\w{0,20}\s?)?<\|channel\|?>\s?(?P<which>\w{0,20})(?:[^<\n]{0,80}<\|message\|>)?",
    "speaker": rf"<(?:\|[a-z_]{{2,20}}\||start_of_(?:turn|role))>\s?\w{{0,20}}{_STEM}\w{{0,20}}\s{{0,3}}"
    r"(?:<\|(?!im_end|eo[tm]|end\||end_of_t|return|call)[a-z_]{2,20}\|>|\n|\Z)",
    "over": r"<\|(?:end|return|call|start|(?:im|header|message)_(?:start|end)|start_(?:header_id|of_role)"
    r"|eo[tm](?:_id)?|end_of_(?:turn|text|role))\|>|<(?:start|end)_of_turn>|(?P<channel_end><channel\|>)",
    "reply": r"<\|(?:begin|start)_(?:of_)?(?:solution|response|answer)\|>",
    "heading": r"[\[{]{1,2}(?:final )?(?:answer|response|conclusion|verdict|result|output|flag)[\]}]{1,2}",
    "token": r"[<\[]\|?(?:unused|reserved|special|extra|placeholder)[a-z_]{0,20}\d{1,5}\|?[>\]]"
    rf"(?P<named>\s{{0,3}}{_STEM})?",
    "element": rf"<(?P<kind>[a-z]\w{{0,20}})(?=\s[^<>]{{0,200}}=\s?[\"']?{_NAME}[\"'\s>]"
    rf"|[^<>]{{0,200}}>\s{{0,20}}<summary>[^<>]{{0,10}}{_STEM})[^<>]{{0,300}}>",
    "comment": rf"<!--\s{{0,3}}\w{{0,20}}{_STEM}",
    "tag": r"<[^<>]{1,300}>{1,2}"
    r"|(?:\\(?:begin|end))?[\[({◁⟨【‹«⟦]{1,2}[^<>\[\](){}◁▷⟨⟩【】‹›«»⟦⟧\"\n]{1,80}[\])}▷⟩】›»⟧]{1,2}(?!\((?!/))",
    "block": rf"```[\w-]{{0,20}}{_STEM}\w{{0,20}} {{0,3}}(?=\n|\Z)",
    "close": r"```(?![a-z])|-->",
    "member": rf"\"(?P<key>{_NAME})\"\s?:\s?\"(?:[^\"\\]|\\[\s\S])*+(?P<quote>\")?",
}
_WORDS = {
    "begin": r"\A\s{0,9}thinking\.\.\. {0,9}(?:\n|\Z)|\A\s{0,9}analysis(?=[^\W\d_]{2})"
    rf"|\bhere(?:'s| is) my thought process ?:|^[^\w\n]{{0,12}}(?:begin|start){_LINE}",
    "headed": r"^ {0,3}[#*_=]{1,6} ?(?:my |the |inner ){0,2}(?:think|thought)\w{0,10}(?: process)?[ :#*_=]{0,9}$"
    r"|\*(?:starts? |begins? )?think(?:s|ing)\*",
    "response": r"\bhere(?:'s| is) my response ?:"
    r"|^ {0,3}[#*_=]{1,6} ?(?:my |the |final ){0,2}(?:answer|response|reply|conclusion|verdict|result|output|flag)\b"
    r"[ :#*_=]{0,9}|\*(?:answers?|responds?|repl(?:y|ies)|says?)\*",
    "end": rf"\.\.\. ?done thinking\.?|assistant(?:commentary)?final|^[^\w\n]{{0,12}}end{_LINE}"
    r"|\*(?:/|(?:stops?|ends?|done|finish(?:es|ed)) )think(?:s|ing)?\*",
}


def _any(shapes: Mapping[str, str]) -> str:
    return "|".join(f"(?P<{shape}>{pattern})" for shape, pattern in shapes.items())


_MARK = re.compile(rf"(?=[<\[({{◁⟨【‹«⟦\\`\"-])(?P<mark>{_any(_BRACKETED)})(?:\s{{0,9}}(?P=mark))*+")
_MARK_OR_WORDS = re.compile(rf"(?P<mark>{_any(_WORDS)}|{_any(_BRACKETED)})(?:\s{{0,9}}(?P=mark))*+", re.MULTILINE)
_LINES = re.compile(rf"^[^\w\n]{{0,12}}(?:begin|start){_LINE}|{_WORDS['headed']}", re.MULTILINE)
_SHAPES = (*_BRACKETED, *_WORDS)
# What is found faster: no mark between brackets is without these two, no words without one of the others.
_NAMES = (*STEMS, "channel", "unused", "reserved", "special", "extra", "placeholder")
_SIGN = re.compile(
    rf"[<\[({{◁⟨【‹«⟦\\`\"][^<>\[\](){{}}◁▷⟨⟩【】‹›«»⟦⟧`\"]{{0,60}}?(?:{'|'.join(_NAMES)})|<summary>"
    rf"|[|a-z]>\s?\w{{0,20}}{_STEM}"
)
_TAG = re.compile(
    r"(?:\\(?P<latex>begin|end))?(?P<bracket>[<\[({◁⟨【‹«⟦]){1,2}[|!%\\]?\s{0,2}(?P<slash>/?)\s{0,2}"
    rf"(?P<name>{_BEFORE}{_NAME}{_AFTER})(?:\s[^=]{{0,80}}=.{{0,300}}?)?\s{{0,2}}(?P<void>/?)[|%\\]?\W{{1,2}}",
    re.DOTALL,
)
_TORN = re.compile(r"[<\[◁{⟨【‹«⟦][|!]?\s?(?P<slash>/?)(?P<name>[\w:.▁-]{0,40})\Z")
_WHOLE = (
    "thinking",
    "thought",
    "reasoning",
    "reflection",
    "scratchpad",
    "begin_of_thought",
    "start_thinking",
    "channel",
)
_ENDS = frozenset({"end", "stop", "close", "done", "finish", "suffix"})
_EDGES = _ENDS | {"begin", "start", "open", "prefix", "of", "the", "my"}
_BETWEEN = re.compile(r"[\W_▁]+")
_SWITCH = re.compile(r"non?(?:think|reason|cot)")  # <no_think>: it was told not to
_HEADING = re.compile(r"reasons?|rationales?|plan(?:ning)?")


class _Start(NamedTuple):
    """Where a thought begins.

    Attributes:
        name: of what ends it.
        place: in the text.
        unclosed: what it is if nothing ends it: "thought", "heading" (a thought if it comes first), "nothing".
    """

    name: str
    place: int
    unclosed: str


def drop(text: str) -> tuple[str, bool]:
    """Take the thoughts out of a lower-case text.

    Returns:
        What is said around them, `PAUSE` where one stood between; and whether the text's end cut the last one off.
    """
    if "&lt;" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">")
    thoughts = _find(text)
    if not thoughts:
        return text, False
    pieces: list[str] = []
    place, cut, words = 0, False, False
    for begin, end, unclosed in sorted(thoughts):
        if begin < place:  # within another thought
            place = place if unclosed else max(place, end)
            continue
        words = words or any(map(str.isalnum, text[place:begin]))
        if unclosed == "heading" and words:
            continue
        pieces.append(text[place:begin])
        place, cut = end, bool(unclosed)
    pieces.append(text[place:])
    return f"\n{PAUSE}\n".join(piece for piece in pieces if piece.strip(" \n")), cut


def holds(text: str) -> bool:
    """Say whether a text holds a thought, whole or cut off."""
    return drop(text.casefold())[0] != text.casefold()


def _find(text: str) -> list[tuple[int, int, str]]:
    """Return begin and end of each thought, some within others, and what one without end is ("" if it has one)."""
    found: list[tuple[int, int, str]] = []
    glued = text[:17].lstrip().startswith("analysis")
    words = (
        glued or "thinking..." in text or "done thinking" in text or "my thought process" in text
        or "assistantfinal" in text or "assistantcommentaryfinal" in text
        or (("think" in text or "thought" in text or "begin" in text or "start" in text) and _LINES.search(text))
    )  # fmt: skip
    if words or (any(map(text.__contains__, _NAMES)) and _SIGN.search(text)):
        found.extend(_between_marks(text, _MARK_OR_WORDS if words else _MARK))
    torn = _TORN.search(text, max(0, len(text) - 48)) if text[-1:].isalnum() else None
    if torn and _is_mark(torn):
        found.append((0 if torn["slash"] else torn.start(), len(text), "thought"))
    return found


def _between_marks(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    """Yield thoughts by their marks: an end closes the last start of its name or, if none is open, the last start."""
    starts: list[_Start] = []
    names: Counter[str] = Counter()  # of the starts
    ends: defaultdict[str, list[int]] = defaultdict(list)
    known: dict[str, tuple[str, str]] = {}
    for mark in pattern.finditer(text):
        role, name = known.get(mark["mark"]) or known.setdefault(mark["mark"], _role(mark))
        if name == "token" and names[name]:
            role = "end if open"
        if role == "reply" and starts:  # an answer begins, so every thought has ended
            role, name = "end", starts[0].name
        if role in {"whole", "reply"}:
            yield mark.start(), mark.end(), ""
        elif role == "end of headings":
            while starts and starts[-1].unclosed == "heading":
                names[starts.pop().name] -= 1
        elif role in {"thought", "heading", "nothing"}:
            starts.append(_Start(name, mark.start(), role))
            names[name] += 1
        elif role == "end" or names[name]:
            ends[name].append(mark.end())
            begin, closed = 0, not starts
            while not closed:
                last = starts.pop()
                closed = last.name == name or not names[name]
                begin = last.place
                names[last.name] -= 1
            yield begin, mark.end(), ""
    for start in starts:  # one that was written twice ended with the other; the rest did not end
        after = bisect(ends[start.name], start.place)
        if after < len(ends[start.name]):
            yield start.place, ends[start.name][after], ""
        elif start.unclosed != "nothing":
            yield start.place, len(text), start.unclosed


def _role(mark: re.Match[str]) -> tuple[str, str]:
    """Return what a mark does and the name that joins it to its other half.

    It begins a thought (and is one of `_Start.unclosed`), is its "end", its "end if open", the "whole" of it, a "reply"
    that begins, or the "end of headings".
    """
    groups = mark.groupdict()
    shape = next(shape for shape in _SHAPES if groups.get(shape) is not None)
    match shape:
        case "tag":
            return _role_of_tag(mark["tag"])
        case "channel":
            return ("end" if mark["which"] == "final" else "thought"), "channel"
        case "speaker":
            return "thought", "channel"
        case "over":
            return ("end" if mark["channel_end"] else "end if open"), "channel"
        case "reply":
            return "reply", ""
        case "token":
            return ("thought" if mark["named"] else "heading"), "token"
        case "element":
            return "thought", mark["kind"]
        case "close":
            return "end if open", mark["close"]
        case "block" | "comment":
            return "thought", "```" if shape == "block" else "-->"
        case "member" if mark["quote"]:
            return ("" if _HEADING.search(mark["key"]) else "whole"), ""
        case "member":
            return ("heading" if _HEADING.search(mark["key"]) else "thought"), "member"
        case "begin":
            return "thought", "channel" if "analysis" in mark["begin"] else "words"
        case "headed":
            return "nothing", "words"
        case "response":
            return "end if open", "words"
        case "end":
            return "end", "channel" if "final" in mark["end"] else "words"
        case _:
            return "end of headings", ""


def _role_of_tag(text: str) -> tuple[str, str]:
    mark = _TAG.fullmatch(text)
    if mark is None:
        return "end if open", text[2:-1] if text.startswith("</") else ""
    parts = _BETWEEN.split(mark["name"])
    name = "".join(part for part in parts if part not in _EDGES)
    if _SWITCH.match(name):
        return "", ""
    if mark["slash"] or mark["latex"] == "end" or not _ENDS.isdisjoint(parts):
        return ("end if open" if mark["bracket"] == "(" else "end"), name
    if mark["void"]:
        return "end if open", name
    if mark["bracket"] == "(":
        return "nothing", name
    heading = "think" not in name if mark["bracket"] in "[{" else _HEADING.fullmatch(name)
    return ("heading" if heading else "thought"), name


def _is_mark(torn: re.Match[str]) -> bool:
    """Say whether a tag that the end of the text has cut in two is one of a thought, as far as it can be seen."""
    name = torn["name"]
    if len(name) < (3 if torn["slash"] else 2):
        return False
    return any(whole.startswith(name) for whole in _WHOLE) or any(stem in name for stem in STEMS)
