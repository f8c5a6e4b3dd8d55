"""How "same" or "different" is read from an answer.

Rules (ours): only what is said aloud counts (`limen.parsing.thought`); a marked answer ("<same>", "**Different**",
"Answer: same") or one that begins with it wins, the last one where there are several; else what the analysis plainly
says about sameness (`limen.parsing.yes_no`), with *deficiency*. "Not the same" and "not different" are analysis.
"""

import re

from limen.parsing.reading import Reading
from limen.parsing.yes_no import Fault, Flag, heard, read_direct

_WORD = r"(?P<same>same|identical|unchanged)|(?P<different>different)"
_MARKED = re.compile(rf"[<\[(*`\"'{{]{{1,4}} ?(?:{_WORD})[.:]? ?[>\])*`\"'}}]{{1,4}}")
_SAID = re.compile(
    rf"(?:\b(?:answer|verdict|conclusion)\b(?: is)?[ :,]{{1,3}}|\A\W{{0,8}})(?:the )?(?:{_WORD})\b"
    r"(?! (?:from|as|in|but)\b)"
)
_MENU = re.compile(r"<?\bsame>? or <?different>?")


def read_same_different(text: str, finish: str = "") -> Reading:
    """Read an answer to "are they the same or different?".

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
    """
    said, _ = heard(text)
    words = _MENU.sub(" ", said)
    matches = sorted((*_MARKED.finditer(words), *_SAID.finditer(words)), key=lambda match: match.start())
    if matches:
        values = {match.lastgroup for match in matches}
        return Reading(matches[-1].lastgroup, Fault.ANTILOGY if len(values) > 1 else None)
    verdict = read_direct(text, finish)
    value = {Flag.YES: "different", Flag.NO: "same", Flag.UNREADABLE: None}[verdict.flag]
    return Reading(value, verdict.fault)
