"""How the letter of an option is read from an answer.

Rules (ours), the first that finds one counts; what all readers share is in `limen.parsing.explicit`:

1. A list of all options in their order is an echo of what was asked, no answer.
2. An announced letter or option ("Answer: B", "it's B", "the answer is a dog", "I choose option B"), the last one.
3. A marked letter ("**B**", "(B)", "<b>", "**B. dog**"), the last one.
4. A letter that the answer begins with ("B", "B. dog", "B is correct"), unless it begins a list; or the only one that
   a line begins with or that is called "option B"; the last one where the text changes its mind.
5. The only option whose text is said, whole and not denied ("a dog", "It is a dog.").

"A" and "I" before a word are an article and a pronoun, not letters; rule 5 may find what they stand before. A letter
beside the text of another option is the letter, with *antilogy*. A letter of no option is unreadable, *gibberish*.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from limen.parsing.explicit import (
    Mention,
    aloud,
    alternatives,
    announced,
    denied,
    folded,
    last,
    marked,
    only,
    refused,
    unreadable,
)
from limen.parsing.reading import Reading
from limen.parsing.short_text import normalised
from limen.parsing.yes_no import TURN, Fault

_REASON = r" (?:because|since|as|is|was|for|based|due|given|seems|looks|with)\b"
_WORD = r"(?:[^\W_\u3040-\u9fff\uac00-\ud7a3]|['’]\w)"  # what goes on is a word and no letter; 选B吧 is one
_AND = rf"(?: (?:or|and) | ?[/&,] ?)(?:option )?(?:[b-hj-z]|[ai](?! \w))(?!{_WORD})"  # "A or B" is none of both
_LETTER = (
    rf"(?P<letter>[a-z])(?!{_WORD}|[+#-]|\.\w|{_AND})"
    rf"(?:(?<![ai])|(?= ?[^\w\s]| ?\n| ?\Z|{_REASON}))"
)
_MARKED = marked(rf"(?:option )?(?:{_LETTER}|(?P<with>[a-z])[.):] ?[^\n*<>]{{1,80}}(?=\*\*))")
_BEGINS = re.compile(
    rf"(?:\A|\n)[\W_]{{0,8}}(?:(?:so|therefore|thus|hence|sure|ok|okay|well|wait|actually|no)\W{{1,3}}){{0,2}}{_LETTER}"
    rf"|\b(?:option|choice|letter|alternative)[ (*\"':]{{1,4}}(?P<named>[a-z])(?!{_WORD})"
)
_TAG = re.compile(r"<([a-zA-Z])>")  # the letter B, as it was asked for, and not bold type
_TWO = re.compile(rf"(?<![\w'])[a-z]{_AND}")


class _LetterPatterns(NamedTuple):
    menu: re.Pattern[str]
    text: re.Pattern[str]
    announced: re.Pattern[str]
    beside: re.Pattern[str]
    letters: dict[str, str]  # of an option's text, where no other option has the same


@functools.lru_cache(maxsize=256)
def _patterns(options: tuple[str, ...]) -> _LetterPatterns:
    texts = [normalised(option) for option in options]
    letters = {text: chr(ord("A") + i) for i, text in enumerate(texts) if text and texts.count(text) == 1}
    said = alternatives(letters)
    entries = (
        rf"[\W_]{{0,6}}\b{chr(ord('a') + i)}[\W_]{{1,6}}{re.escape(folded(option))}" for i, option in enumerate(options)
    )
    return _LetterPatterns(
        re.compile("".join(entries)),
        re.compile(said),
        announced(rf"{_LETTER}|(?:an? |the )?{said}", picks=True),
        re.compile(rf"[\W_]{{0,6}}(?:an? |the )?{said}"),
        letters,
    )


def read_letter(text: str, finish: str, options: Sequence[str]) -> Reading:
    """Read which option an answer names.

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
        options: what the letters stand for, in order; 2 to 26.

    Returns:
        "A" to the letter of the last option.
    """
    patterns = _patterns(tuple(options))
    said, cut = aloud(text if "</" in text else _TAG.sub(r"(\1)", text))
    said = patterns.menu.sub("\n", said)

    def items(pattern: re.Pattern[str]) -> Iterator[Mention]:
        return (_item(match, patterns, len(options)) for match in pattern.finditer(said))

    found = last(items(patterns.announced), said) or last(items(_MARKED), said) or _of_lines(list(items(_BEGINS)), said)
    if found is None and not refused(said):
        named = (match for match in patterns.text.finditer(said) if not denied(match))
        found = only((_item(match, patterns, len(options)) for match in named), said)
    if found is None and _TWO.search(said) and not refused(said):
        return Reading(None, Fault.ANTILOGY)
    return found or unreadable(said, cut, finish)


def _of_lines(found: list[Mention], said: str) -> Reading | None:
    """Return the letter that the answer begins with, unless others follow as in a list; otherwise the only one."""
    begins = found and not any(map(str.isalnum, said[: found[0].begin]))
    if begins and [item.value for item in found[:2]] != ["A", "B"] and not TURN.search(said):
        return last(found[:1], said)
    return only(found, said)


def _item(match: re.Match[str], patterns: _LetterPatterns, count: int) -> Mention:
    groups = match.groupdict()
    name = next((name for name in ("letter", "with", "named") if groups.get(name)), None)
    if name is None:
        return Mention(patterns.letters[normalised(groups["text"])], *match.span("text"))
    place = ord(groups[name]) - ord("a")
    value = chr(ord("A") + place) if place < count else None
    beside = patterns.beside.match(match.string, match.end(name))
    torn = beside is not None and patterns.letters[normalised(beside["text"])] != value
    return Mention(value, *match.span(name), torn)
