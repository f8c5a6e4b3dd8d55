r"""What the readers of short answers share: a letter, a place, a cell, a number, a word.

1. Only what is said aloud counts (`limen.parsing.thought`); sentences that ask, and echoes of the request, do not.
2. An announced answer ("Answer: B", "the answer is B", \boxed{B}, <answer>B</answer>) outranks a marked one
   ("**B**", "(B)", "<B>"), and that one what is said in passing.
3. Among answers of one rank the last one counts. It is an *antilogy* if another was at odds with it, unless the text
   says that it changes its mind or concludes in between ("wait, actually B").
4. What cannot be read is a *deficiency* if it is empty, refused, cut off or all thought, otherwise *gibberish*; an
   *antilogy* where it names several answers and settles on none.

The rules are ours. All patterns are bounded, and of an endless answer only both ends are read.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from limen.parsing.reading import Reading
from limen.parsing.yes_no import REFUSED, TURN, Fault, heard

LONGEST = 20_000  # characters read, half from each end: several times the longest answer a person would read
CALLS = (
    r"(?:(?<![/a-z])(?<!/final_)(?:answers?|conclusion|verdict|antwort|r[ée]ponse|respuesta|risposta|resposta|ответ)\b"
    r"|答案|回答|答え|正解|应?选择?|답|정답|\\boxed)"
)
_PICKS = (
    r"\b(?:choose|chose|pick|picked|select|selected|choice|go(?:ing)? with|opt for|say|guess"
    r"|(?:option|letter|number|picture|image|cell) ?(?:is(?! (?:in)?correct| wrong)|:)"
    r"|(?<!whether )(?<!if )it(?: is|'s| must be)|therefore)\b"
)
_TURNS = r"\b(?:wait|actually|correction|i mean|make that|on second thought)\b"
_JOIN = (  # what stands between the call and the answer; the sign of a number stays with it
    r"(?:[\s:=*_`\"'«“「$\\(\[{<>|~,]{1,12}+|-(?!\d)"
    r"|(?:is|are|was|be|would|should|must|to|this|the|your|question|option|choice|letter|number|most|likely|probably"
    r"|clearly|definitely|simply|actually|rather|no|it|it's|therefore|thus|about|approximately|around|roughly|exactly|only|ist|est|es|è)\b"
    r"|是|为|は|[:)] ?){0,12}+"
)
_OPEN, _CLOSE = r"[<\[({*_`\"'«“「『|]{1,6} ?", r"[.,:;!]? ?[>\])}*_`\"'»”」』|]{1,6}"
_ECHO = re.compile(
    r"answer with (?:the option's letter from the given choices directly|the number of the picture, \d to \d+"
    r"|a word or a short phrase|a number|row and column of the cell[^.\n]{0,80}[^\n.]{0,60})\.?"
)
_QUESTION = re.compile(r"[^.!?\n]++\?")  # what is asked, or asked back, is no answer
_STYLE = re.compile(r"[\s*_#`~|>-]+")
_TYPE = re.compile(r"\\(?:text|math)[a-z]{0,9} ?(?=\{)|\\[,;! ]")
_BOX = re.compile(r"<\|begin_of_box\|>")
_TOKEN = re.compile(r"<\|[a-z_]{1,30}\|>|</s>|<(?:start|end)_of_turn>")
_BOLD = re.compile(r"</?(?:b|strong|em|i|u|mark)>")
_BLOCK = re.compile(r"</?(?:p|div|span|code|li|ul|ol|font)(?: [^<>\n]{0,200})?>|<br ?/?>")


class Mention(NamedTuple):
    """An answer found in a text.

    Attributes:
        value: in the spelling of its form; None for one that cannot be given, such as a fifth of four options.
        begin, end: its place in the text.
        torn: whether it is at odds with itself: a letter beside the text of another option; with no value, two at once.
    """

    value: str | None
    begin: int
    end: int
    torn: bool = False


def aloud(text: str) -> tuple[str, bool]:
    """Return what an answer says, in plain lower-case signs, and whether its end cut a thought off.

    Without the signs of templates and type setting, echoes of the request and questions.
    """
    said, cut = heard(_composed(text))
    if len(said) > LONGEST:
        said = f"{said[: LONGEST // 2]}\n{said[-LONGEST // 2 :]}"
    if "<" in said:
        said = _TOKEN.sub(" ", _BOX.sub(r"\\boxed{", said))
        if "</" in said:
            said = _BLOCK.sub("\n", _BOLD.sub("**", said))
    if "\\" in said:
        said = _TYPE.sub("", said)
    if "answer with" in said:
        said = _ECHO.sub(" ", said)
    return (_QUESTION.sub("\n", said) if "?" in said else said), cut


def folded(text: str) -> str:
    """Return a text in the plain lower-case signs in which answers are heard."""
    return heard(_composed(text))[0].strip()


def _composed(text: str) -> str:
    """Join letters and accents, piece by piece: normalising a whole string is quadratic on stacked accents."""
    if text.isascii():
        return text
    return "".join(unicodedata.normalize("NFC", text[i : i + 256]) for i in range(0, len(text), 256))


def alternatives(texts: Iterable[str]) -> str:
    """Return the pattern of a group "text" that is one of the texts as whole words, the longest first.

    Scripts without blanks have no whole words.
    """
    longest_first = sorted(texts, key=len, reverse=True)
    return rf"(?P<text>{'|'.join(map(_words, longest_first)) or '(?!)'})"


def _words(text: str) -> str:
    before = "" if text[0] >= "\u3040" else r"(?<!\w)"
    after = "" if text[-1] >= "\u3040" else r"(?!\w)"
    return before + r"\s{1,4}".join(map(re.escape, text.split())) + after


_DENIAL = re.compile(
    r"(?:\b(?:not|no|neither|nor|never|without|isn't|aren't|cannot be)|不是)(?: (?:an?|the|really))?\W{1,3}\Z|不是\Z"
)


def denied(match: re.Match[str]) -> bool:
    """Say whether what is found stands behind a "not"."""
    return bool(_DENIAL.search(match.string, max(0, match.start("text") - 20), match.start("text")))


def announced(item: str, picks: bool = False) -> re.Pattern[str]:
    """Compile where an answer is announced.

    Args:
        item: pattern of an answer.
        picks: whether "it is", "I choose" and the like announce one too.
    """
    return re.compile(rf"(?:{CALLS}|{_TURNS}{f'|{_PICKS}' if picks else ''}){_JOIN}(?:{item})")


def marked(item: str) -> re.Pattern[str]:
    """Compile where an answer stands alone between brackets, quotes, stars."""
    return re.compile(rf"{_OPEN}(?:{item}){_CLOSE}")


def last(items: Iterable[Mention], said: str) -> Reading | None:
    """Return the last of explicit answers (rule 3), None where there is none."""
    found = list(items)
    if not found:
        return None
    final = found[-1]
    if final.value is None:
        return Reading(None, Fault.ANTILOGY if final.torn else Fault.GIBBERISH)
    return Reading(final.value, None if _agree(found, said) and not final.torn else Fault.ANTILOGY)


def only(items: Iterable[Mention], said: str) -> Reading | None:
    """Return the one answer that is named in passing, or an antilogy where several are; None where there is none."""
    found = list(items)
    if not found:
        return None
    if not _agree(found, said):
        return Reading(None, Fault.ANTILOGY)
    return last(found, said)


def _agree(found: Sequence[Mention], said: str) -> bool:
    odd = next((item for item in found if item.value != found[-1].value), None)
    return odd is None or bool(TURN.search(said, odd.end, found[-1].end))


def unreadable(said: str, cut: bool, finish: str) -> Reading:
    """Return a reading without a value (rule 4).

    Args:
        said: the answer aloud.
        cut: whether its end cut a thought off.
        finish: why it ended.
    """
    missing = cut or finish in {"length", "content_filter"} or refused(said) or not _STYLE.sub("", said)
    return Reading(None, Fault.DEFICIENCY if missing else Fault.GIBBERISH)


def refused(said: str) -> bool:
    """Say whether an answer is refused: what it names in passing is then no answer."""
    return bool(REFUSED.search(said))
