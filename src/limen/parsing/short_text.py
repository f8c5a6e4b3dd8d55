r"""How a word or a short phrase is read from an answer.

Rules (ours), the first that finds one counts; what all readers share is in `limen.parsing.explicit`:

1. What follows "Answer:", "the answer is", or stands in \boxed{} or <answer></answer>, to the end of the sentence; the
   last one.
2. What stands in bold type, quotes or angle brackets, where that is one thing.
3. The whole answer, if it has no more than eight words; of a longer one the first line or sentence, if that has no
   more than four. "It is", "there are", "I think" before it and ", because ..." behind it are left out.
4. Where spellings are accepted: the only group of them that is named, as whole words and not denied. In rules 1 to 3
   one that is named is the answer, whatever stands around it; two different ones are an *antilogy* and unreadable.

What is longer and names nothing is unreadable. Combining signs that have no composed form (vowels of Indian scripts)
are left out, in answers and truths alike.
"""

import functools
import re
from collections.abc import Iterator, Sequence

from limen.parsing.explicit import (
    CALLS,
    Mention,
    aloud,
    alternatives,
    denied,
    folded,
    last,
    only,
    refused,
    unreadable,
)
from limen.parsing.reading import Reading
from limen.parsing.yes_no import Fault

MOST_WORDS = 8
_LONGEST = 100  # signs
_EDGES = ".,:;!?¿¡…·•\"'`´«»“”„‘’「」『』()[]{}<>*_~|/\\ \n"
_ARTICLE = re.compile(r"(?:an?|the) (?=\S)")
_LEAD = re.compile(
    r"(?:(?:it|this|that|they|there|these|those) (?:is|are|was|were|looks like|appears to be|seems to be)"
    r"|(?:it|that|there)'s|they're|i (?:can )?see|i (?:think|believe)(?: that)?"
    r"|probably|perhaps|maybe|most likely) (?=\S)"
)
_ANNOUNCED = re.compile(
    r"(?:\\boxed ?\{{1,3}|<(?:final[ _]?)?answer>|<begin_of_box>)[\s{]{0,3}(?P<box>[^{}<>\n]{1,200})"
    rf"|{CALLS}[\s*_`\"')\]]{{0,6}}+(?:to (?:this|the|your) question )?(?:\b(?:is|was|would be|ist|est|es|è)\b"
    r"|[:=]|是|为|は)"
    r"[\s:*_`\"'=<(\[{]{0,9}+(?P<line>[^\n]{1,200}?(?=(?<=\w{3})[.!;](?:[\s*_\"'`)]|\Z)|(?<=\w)。|\n|\Z)|[^\n]{200})"
)
_MARKED = re.compile(
    r"\*\*(?P<bold>[^*\n]{1,100})\*\*|\"(?P<quoted>[^\"\n]{1,100})\"|«(?P<guillemets>[^«»\n]{1,100})»"
    r"|「(?P<corners>[^「」\n]{1,100})」|`(?P<code>[^`\n]{1,100})`|<(?P<angles>[^<>\n]{1,100})>"
)
_BEHIND = re.compile(r",? (?:because|since)\b|, (?:i (?:think|believe)|as|which)\b")
_NO_IDEA = re.compile(r"i(?: do not|'m not| am not| don't) (?:know|sure)|n/a|not sure|no idea")
_FILLER = re.compile(r"(?:sure|ok|okay|yes|no|certainly|of course|well|hmm|great|hello|hi|absolutely|analysis)\b")
_END = re.compile(r"(?<=\w{3})[.!;](?=[\s*_\"'`)]|\Z)|(?<=\w)。")


def normalised(text: str) -> str:
    """Return a text in the spelling in which texts are compared.

    Lower case, compatible signs alike (NFKC), single blanks, no article (a, an, the) at the beginning, no punctuation
    at the edges except a sign before a digit. Of a text that is punctuation alone that is kept.
    """
    plain = text
    while True:
        before = plain
        plain = _trimmed(" ".join(folded(plain).split()))
        plain = _ARTICLE.sub("", plain, count=1) if _ARTICLE.match(plain) else plain
        if plain == before:
            return plain


def _trimmed(text: str) -> str:
    trimmed = text.strip(_EDGES)
    while trimmed[-1:] == "-" or (trimmed[:1] == "-" and not trimmed[1:2].isdigit()):
        trimmed = (trimmed[:-1] if trimmed[-1:] == "-" else trimmed[1:]).strip(_EDGES)
    if len(trimmed) > 2 and trimmed[0] == trimmed[-1] == "$":  # of LaTeX
        return trimmed.strip("$ ")
    if trimmed.count("(") == trimmed.count(")") + 1:
        trimmed += ")"
    return trimmed or text


@functools.lru_cache(maxsize=256)
def _accepted(groups: tuple[tuple[str, ...], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    first = {normalised(spelling): normalised(group[0]) for group in reversed(groups) for spelling in group}
    return re.compile(alternatives(first)), first


def read_text(text: str, finish: str, accepted: Sequence[Sequence[str]] = ()) -> Reading:
    """Read a word or a short phrase.

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
        accepted: groups of spellings that are one answer.

    Returns:
        The answer as `normalised` spells it; of a group its first spelling.
    """
    pattern, first = _accepted(tuple(tuple(group) for group in accepted))
    said, cut = aloud(text)

    def items(answers: Iterator[tuple[str, int, int]]) -> Iterator[Mention]:
        for answer, begin, end in answers:
            values = named(answer) or [_short(answer)]
            if values[0]:
                yield Mention(values[0] if len(values) == 1 else None, begin, end, torn=len(values) > 1)

    def named(answer: str) -> list[str]:
        found = (match for match in pattern.finditer(answer) if not denied(match))
        return list(dict.fromkeys(first[normalised(match["text"])] for match in found))

    explicit = list(items(_parts(_ANNOUNCED, said)))
    found = last(explicit, said) if explicit else only(items(_parts(_MARKED, said)), said)
    if found:
        return found
    whole = "" if cut else _short(said) or _first(said)
    if whole in first:
        return Reading(first[whole])
    if _NO_IDEA.fullmatch(normalised(said[:_LONGEST])):
        return Reading(None, Fault.DEFICIENCY)
    if refused(said):
        return unreadable(said, cut, finish)
    values = named(said)
    if len(values) > 1:
        return Reading(None, Fault.ANTILOGY)
    value = values[0] if values else whole
    return Reading(value) if value else unreadable(said, cut, finish)


def _parts(pattern: re.Pattern[str], said: str) -> Iterator[tuple[str, int, int]]:
    for match in pattern.finditer(said):
        name = str(match.lastgroup)
        part = match[name]
        if not part.rstrip().endswith(":"):  # a heading
            yield _END.split(part)[0], *match.span(name)


def _first(said: str) -> str:
    """Return the first line or sentence of a longer answer, if it can be an answer that the rest explains."""
    first, *rest = re.split(r"\n|(?<=\w{3})[.!] ", said.strip()[:_LONGEST], maxsplit=1)
    value = _short(first)
    few = 0 < len(value.split()) <= 4 and not _FILLER.match(value) and not first.rstrip(" *").endswith(":")
    return value if rest and few else ""


def _short(text: str) -> str:
    """Return a text as the answer it is, "" if it is too long for one."""
    if len(text) > 8 * _LONGEST:
        return ""
    value = normalised(_BEHIND.split(text.strip())[0])
    while _LEAD.match(value):
        value = normalised(_LEAD.sub("", value, count=1))
    short = any(map(str.isalnum, value)) and len(value) <= _LONGEST and len(value.split()) <= MOST_WORDS
    return value if short else ""
