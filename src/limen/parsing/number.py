"""How a number is read from an answer.

Rules (ours), the first that finds one counts; what all readers share is in `limen.parsing.explicit`:

1. An announced number ("Answer: 12", "the answer is about 12"), the last one.
2. A marked one ("**12**", "<12>", "**12 cars**"), the last one.
3. A total ("12 in total", "a total of 12", "7 + 5 = 12"), the last one.
4. "None" at the beginning: 0.
5. The only number of all; or else the only one in the first clause that has any, up to a colon, semicolon, dash,
   "including" or the end of the sentence ("There are 3 cars: 2 red and 1 blue"); or else the first or the last of that
   clause if it is the sum of the others ("two people, one man and one woman"). Otherwise several are an *antilogy* and
   unreadable.
6. No number, but that there are none ("no cars", "I don't see any cars"): 0.

A number is in digits or in words: "zero" to "ninety-nine", "a dozen", and either before "hundred", "thousand",
"million". "1,200", "1 200", "1'200" and "1.200.300" are thousands, for groups of three follow; a comma before other
than three digits, or after a leading 0, is a decimal one ("3,5", "0,125"), and so is one after points ("1.200,5"); a
single point always is. "1.5e3" and "1.5 x 10^3" are read; a sign of per cent, a unit, "about", "at least" are dropped.

"3-5", "3 to 5", "3 or 4", "between 3 and 5", "2 of 3", "1/2", "10:30" and "2^5" name two numbers: *antilogy*,
unreadable. None are those of a name ("image 2", "step 3", "1." and "2." before lines), ordinals ("3rd", "the first"),
"one" for a thing ("the one on the left", "one of them") and what a floating-point number cannot hold.
"""

import functools
import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal

from limen.parsing.explicit import Mention, aloud, announced, last, only, refused, unreadable
from limen.parsing.reading import Reading
from limen.parsing.words import CARDINALS, TENS, counted

_DIGITS = (
    r"(?:(?<![\w.,^])|(?<=[\u3040-\u9fff\uac00-\ud7a3]))[+-]?"
    r"(?:\d{1,3}(?:,\d{3})++(?:\.\d++)?|\d{1,3}(?:\.\d{3}){2,}+|\d{1,3}(?:\.\d{3})++,\d++"
    r"|\d{1,3}(?:[ ']\d{3})++(?:[.,]\d++)?|\d++(?:[.,]\d++)?|\.\d++)(?![.,]?\d)(?!(?:st|nd|rd|th)\b)"
    r"(?:e[+-]?\d{1,3}(?!\w)| ?[x×*·] ?10 ?(?:\^|\*\*) ?\{?[+-]?\d{1,3}\}?)?+"
)
_ONES = "|".join(CARDINALS[:9])
_THING = "".join(rf"(?<!\b{word} )" for word in (
    "no", "the", "this", "that", "each", "which", "any", "every", "another", "other", "last", "some", "first", "second",
))  # fmt: skip
_WORDS = (
    rf"(?:\b(?:(?:{'|'.join(TENS)})(?:[ -](?:{_ONES}))?|{'|'.join(reversed(CARDINALS[1:]))}|zero"
    rf"|{_THING}one(?! (?:is|on|in|can|at|that|another|with|of(?! (?:the |these |those )?(?:\d|{_ONES})))\b))(?!-?\w)"
    r"|(?<=\ba )(?<!half a )(?=(?:hundred|thousand|million|dozen)\b))"
)
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "dozen": 12.0, "k": 1e3}
_NUMBER = re.compile(rf"(?P<digits>{_DIGITS})|(?P<words>{_WORDS})")
_SCALE = re.compile(rf"(?:[ -]?(?:{'|'.join(_SCALES)}))(?<! k)\b")
_RANGE = re.compile(
    r"(?: ?%| percent)?\s{0,3}(?:-|~|/|:|\}\{|(?:to|or|bis|à|out of(?: the)?|of(?: the| these| those)?)\b)"
    r"\s{0,3}(?:a |the )?"
)
_AND = re.compile(r"(?: ?%)? ?and ?")
_LABEL = re.compile(
    r"(?:\b(?:image|picture|photo|figure|fig\.|step|panel|frame|row|column|option|version|page|example|question|part"
    r"|section)s? ?#?|第 ?)\Z"
)
_MINUS, _BETWEEN = re.compile(r"\b(?:minus|negative) \Z"), re.compile(r"\bbetween ?\Z")
_LINE = re.compile(r"^[ *]{0,8}(\d{1,2})[.)][ *]{1,3}(?=\S)", re.MULTILINE)
_START = rf"(?:between |from |\+|minus |negative )?(?P<at>(?=[+-]?[.\d]|(?:a )?{_WORDS}))"
_ANNOUNCED = announced(_START)
_MARKED = re.compile(rf"(?:[<\[*_`\"'«「『|]{{1,6}}) ?{_START}(?=[^\n<>*\])`\"]{{1,40}}[>\])}}*_`\"'»」』|])")
_TOTAL = re.compile(rf"(?:=|\btotal\b(?! of \D)[^.\n\d]{{0,40}}?|\btotal of |\btotal\W{{1,3}})\s?{_START}")
_IN_TOTAL = re.compile(r"[^\n.,;:\d]{0,40}?\b(?:in total|altogether|in all|overall)\b")
_CLAUSE = re.compile(r"[:;\n]|[.!](?=\s|\Z)| - |\b(?:including|of which|of them|namely|consisting)\b")
_NONE_AT_ALL = re.compile(r"\A\W{0,8}none\b")
_POWERS = {ord(sign): f"^{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_SHOWN = r"(?:images?|pictures?|photos?|info\w{0,10})\b"
_SAYS = r"there (?:is|are|were|was)|there's|see|find|count|contains?|shows?|has|have|with|answer is|answer:"
_NOTHING = re.compile(
    rf"(?:\A\W{{0,8}}|\b(?:{_SAYS}) )"
    rf"(?:no (?!{_SHOWN}|one\b|idea|way|doubt|access|answer|clear|number|exact|specific)[a-z]|none\b)"
    r"|\A\W{0,8}(?:nobody|no one|nothing)\b"
    rf"|(?:n't|not) (?:see|find|detect|spot|contain|have|show|identify) any (?!{_SHOWN})[a-z]"
    r"|\bthere (?:aren't|are not|isn't|is not) any\b|答案(?:是|:|为) ?没有"
)


def read_number(text: str, finish: str) -> Reading:
    """Read a number.

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).

    Returns:
        The shortest decimal spelling, without an exponent: "12", "-0.5", "1200".
    """
    said, cut = aloud(text.translate(_POWERS))
    said = said.replace("{,}", ",").replace("\\times", "x").replace("\\cdot", "x").replace("\u2212", "-")
    items = list(_numbers(said))
    starts = [item.begin for item in items]

    def at(pattern: re.Pattern[str]) -> Iterator[Mention]:
        for match in pattern.finditer(said):
            place = bisect_left(starts, match.start("at"))
            if place < len(items) and items[place].begin - match.start("at") <= 2:
                yield items[place]

    totals = sorted(
        [*at(_TOTAL), *(item for item in items if _IN_TOTAL.match(said, item.end))], key=lambda item: item.end
    )
    found = last(at(_ANNOUNCED), said) or last(at(_MARKED), said) or last(totals, said)
    if found is None and _NONE_AT_ALL.match(said):
        return Reading("0")
    if found is None and items and not refused(said):
        several = len({item.value for item in items}) > 1
        found = only(_first_clause(items, said) if several else items, said)
    if found is None and not items and _NOTHING.search(said):
        return Reading("0")
    return found or unreadable(said, cut, finish)


def _first_clause(items: list[Mention], said: str) -> list[Mention]:
    end = _CLAUSE.search(said, items[0].end)
    clause = items if end is None else [item for item in items if item.end <= end.start()]
    if len(clause) > 2 and not any(item.torn for item in clause):
        for total, parts in ((clause[0], clause[1:]), (clause[-1], clause[:-1])):
            if math.isclose(float(total.value or 0), sum(float(part.value or 0) for part in parts)):
                return [total]
    return clause


def _numbers(said: str) -> Iterator[Mention]:
    """Yield the numbers of a text in order, two that stand for one as one without a value."""
    lines = list(_LINE.finditer(said))
    listed = {line.start(1) for line in lines} if [line[1] for line in lines[:2]] == ["1", "2"] else set()
    held: Mention | None = None
    read = 0  # up to here
    for match in _NUMBER.finditer(said):
        begin, end = match.span()
        before = said[max(0, begin - 12) : begin] if said[begin - 1 : begin] in (" ", "#", "第", ".") else ""
        if begin < read or begin in listed or (before and _LABEL.search(before)):
            continue
        scale = _SCALE.match(said, end)
        value = _value(match[0], match.lastgroup == "words") * (_SCALES[scale[0].strip(" -")] if scale else 1.0)
        read = end = scale.end() if scale else end
        if not math.isfinite(value):
            continue
        power = said[end : end + 1] == "^"
        spelled = _spelled(-value if before and _MINUS.search(before) else value)
        item = Mention(None if power else spelled, begin, end, power)
        if held is None:
            held = item
        elif _joined(held, item, said):
            held = Mention(held.value if held.value == item.value else None, held.begin, end, held.value != item.value)
        else:
            yield held
            held = item
    if held is not None:
        yield held


def _joined(one: Mention, two: Mention, said: str) -> bool:
    gap = said[one.end : min(two.begin, one.end + 40)]
    if _RANGE.fullmatch(gap):
        return True
    return bool(_AND.fullmatch(gap) and _BETWEEN.search(said, max(0, one.begin - 12), one.begin))


@functools.lru_cache(maxsize=4096)  # an endless answer repeats its numbers
def _value(word: str, in_words: bool) -> float:
    if word.lstrip("+-").isdecimal():
        return float(word)
    if in_words:
        return float(counted(word)) if word else 1.0
    base, _, power = re.sub(r"[x×·]| ?\*(?= ?10)", "e", word.replace(" ", "")).partition("e")
    if re.match(r"[+-]?0,|[+-]?\d+,(?!\d{3}\b)|[+-]?[\d.' ]+\.\d{3},|[+-]?\d{4,},", base):
        base = base.replace(".", "").replace(",", ".")
    elif base.count(".") > 1:
        base = base.replace(".", "")
    base = base.replace(",", "").replace("'", "")
    exponent = re.sub(r"10(?:\^|\*\*)|[{}]", "", power) or "0"
    return float(f"{base}e{exponent}")


def _spelled(value: float) -> str:
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
