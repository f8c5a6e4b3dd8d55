"""How an answer to a forced choice is read: which picture it names, the first or the second.

Rules (ours): only what is said aloud counts (`limen.parsing.thought`); a marked answer ("<second>", "**First**",
"Answer: 2") wins, the last one where there are several; then an answer that begins with its choice; then a sentence
that says of exactly one picture that it shows more; then the only picture that is named at all. Anything else is
unreadable.
"""

import re

from limen.parsing.yes_no import Fault, Flag, Verdict, heard

_FIRST = r"first|1st|image 1|picture 1|image a|picture a|left"
_SECOND = r"second|2nd|image 2|picture 2|image b|picture b|right"
_NAME = rf"(?P<first>{_FIRST})|(?P<second>{_SECOND})"
_SHORT = rf"(?P<first>{_FIRST}|[1a]\b)|(?P<second>{_SECOND}|[2b]\b)"
_RULES = tuple(
    re.compile(rule)
    for rule in (
        rf"[<\[(*`\"'{{]{{1,4}} ?(?:the )?(?:{_SHORT}) ?(?:image|picture|one)?[.:]? ?[>\])*`\"'}}]{{1,4}}",
        rf"\b(?:answer|choice|conclusion|therefore|verdict)\b(?: is| would be)?[ :,]{{1,3}}(?:the )?(?:{_SHORT})",
        rf"(?:{_NAME})(?: image| picture| one)?,? (?:clearly |visibly |slightly )?"
        r"(?:shows?|has|is|looks?|appears?|seems?|exhibits?|contains?|displays?)\b"
        r"[^.\n]{0,40}\b(?:more|stronger|higher|greater|heavier|\w{3,12}er)\b",
        rf"\A\W{{0,8}}(?:i (?:think|would say|believe) )?(?:it is |it's )?(?:the )?(?:{_SHORT})"
        r"(?: image| picture| one)?(?= ?(?:[.,:;!\n-]|because|since|\Z))",
    )
)
_QUESTION = re.compile(r"[^.!?\n]++\?")  # what is asked, or asked back, is no answer
_MENU = re.compile(r"<?\bfirst>? or (?:the )?<?second>?")
_ANY = re.compile(rf"\b(?:{_NAME})\b")


def read_position(text: str, finish: str = "") -> Verdict:
    """Read an answer to the forced choice: YES for the second picture, NO for the first.

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
    """
    said, cut = heard(text)
    words = _MENU.sub(" ", _QUESTION.sub(" ", said))
    for rule in (*_RULES, _ANY):
        matches = list(rule.finditer(words))
        found = {match.lastgroup for match in (matches[-1:] if rule in _RULES[:2] else matches)}
        if len(found) == 1:
            return Verdict(Flag.YES if found == {"second"} else Flag.NO)
    refused = cut or finish in {"length", "content_filter"} or re.search(r"\b(?:sorry|cannot|can't)\b", words)
    return Verdict(Flag.UNREADABLE, Fault.DEFICIENCY if refused or not words.strip() else Fault.GIBBERISH)
