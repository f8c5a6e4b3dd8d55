"""How the place of a picture is read from an answer.

Rules (ours), the first that finds one counts; what all readers share is in `limen.parsing.explicit`. For two pictures
they say what `limen.parsing.forced_choice` does.

1. A list of places ("1, 2 or 3", "the first or the second") is an echo of what was asked, no answer.
2. An announced place ("Answer: 2", "the answer is the third image"), the last one.
3. A marked place ("**2**", "<second>", "**Image 3**"), the last one.
4. A place that is the last line of several.
5. The only picture of which is said that it shows more, or that it is the odd one.
6. A place that the answer begins with ("2", "The third.", "I think the second, because ...").
7. The only place that is named at all.

A place is a number, "first" to "ninth", "1st", "image 3", "picture three", "the last one", "leftmost", "rightmost", and
"left", "middle", "right" of two or three pictures. A letter is one beside a noun ("image C") or where it is the whole
of an announced or a marked answer, or of all. A place that is not shown is unreadable, *gibberish*.
"""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from limen.parsing.explicit import Mention, aloud, announced, last, marked, refused, unreadable
from limen.parsing.reading import Reading
from limen.parsing.words import CARDINALS, ORDINALS, counted

_CHINESE = "一二三四五六七八九"
_NOUN = r"(?:image|picture|photo|photograph|panel|frame)"
_MORE = (
    r"(?:more|stronger|higher|greater|heavier|(?!(?:oth|ov|und|eith|neith|nev|howev|aft|wat|flow|pap|cent|corn|numb)er)"
    r"\w{3,12}er)\b"
)
_ODD = r"(?:odd|differs|different|stands out|unlike)\b"


class _PlacePatterns(NamedTuple):
    list: re.Pattern[str]
    announced: re.Pattern[str]
    marked: re.Pattern[str]
    says: re.Pattern[str]
    line: re.Pattern[str]
    begins: re.Pattern[str]
    any: re.Pattern[str]


@functools.cache
def _patterns(pictures: int) -> _PlacePatterns:
    sides = {2: "|left|right", 3: "|left|middle|cent(?:er|re)|right"}.get(pictures, "")
    words = (
        rf"leftmost|rightmost|{'|'.join(ORDINALS)}|[1-9]\d{{0,2}}(?:st|nd|rd|th)|last(?= (?:one|{_NOUN})\b|\W{{0,3}}\Z)"
    )
    name = (
        rf"(?:(?:(?:the|on the|in the) )?(?P<word>{words}{sides})(?![\w-]| from the (?:right|end)| to last)"
        rf"(?: (?:{_NOUN}s?|one))?"
        rf"|\b(?:{_NOUN}|number)[ :]{{0,2}}\(?(?:number |no\. ?|#)?"
        rf"(?P<labelled>[1-9]\d{{0,2}}|[a-i]|{'|'.join(CARDINALS[:10])})(?![\w'])"
        rf"|第 ?(?P<chinese>[1-9{_CHINESE}]))"
    )
    short = (
        rf"(?:{name}|(?:the last|the )?(?:number |no\. ?|#)?(?P<bare>[1-9]\d{{0,2}}|[b-i]|a(?! \w))(?![\w'%]|[.,/-]\d))"
    )
    entry = rf"<?(?:{name}|(?:number )?[1-9])>?"
    unnamed = re.sub(r"\?P<\w+>", "?:", entry)
    end = r"(?= ?(?:[.,;!\n)]|because|since|as\b|is\b|-|\Z))"
    return _PlacePatterns(
        re.compile(rf"(?<![\w]){unnamed}(?:, ?{unnamed}){{0,8}},? (?:or|to) {unnamed}"),
        announced(short, picks=True),
        marked(rf"{short}(?: ?[:.-] ?[^\n*]{{1,80}}(?=\*\*))?"),
        re.compile(
            rf"(?<![\w]){name},? (?:clearly |visibly |slightly )?"
            rf"(?:(?:shows?|has|is|looks?|appears?|seems?|exhibits?|contains?|displays?)\b[^.,;\n]{{0,40}}?\b(?:{_MORE}|{_ODD})"
            r"|differs\b|stands out\b)"
        ),
        re.compile(rf"\n\W{{0,8}}{short}[.!\s*]{{0,6}}\Z"),
        re.compile(rf"\A\W{{0,8}}(?:i (?:think|would say|believe) )?(?:it is |it's |that is )?{short}{end}"),
        re.compile(rf"(?<![\w]){name}"),
    )


def read_place(text: str, finish: str, pictures: int) -> Reading:
    """Read which picture an answer names.

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
        pictures: how many are shown, 2 to 9.

    Returns:
        "1" to "9", counted from the left or the first.
    """
    patterns = _patterns(pictures)
    said, cut = aloud(text)
    said = patterns.list.sub("\n", said)

    def items(pattern: re.Pattern[str]) -> Iterator[Mention]:
        for match in pattern.finditer(said):
            place = _place(match, pictures)
            yield Mention(str(place) if place <= pictures else None, match.start(), match.end())

    found = last(items(patterns.announced), said) or last(items(patterns.marked), said)
    if found is None and not refused(said):
        for pattern in (patterns.line, patterns.says, patterns.begins, patterns.any):
            named = list(items(pattern))
            if len({item.value for item in named}) == 1:
                found = last(named, said)
                break
    return found or unreadable(said, cut, finish)


def _place(match: re.Match[str], pictures: int) -> int:
    name = next(name for name in ("word", "labelled", "chinese", "bare") if match.groupdict().get(name))
    word = match[name]
    if word in _CHINESE:
        return _CHINESE.index(word) + 1
    if word in ("left", "leftmost"):
        return 1
    if word in ("right", "rightmost", "last"):
        return pictures
    if word in ("middle", "center", "centre"):
        return (pictures + 1) // 2
    return ord(word) - ord("a") + 1 if len(word) == 1 and word.isalpha() else counted(word)
