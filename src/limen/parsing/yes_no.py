"""How an answer is read: a flag and a fault from raw text. Opinion, versioned, recomputed from the store at will.

The rules (Chen et al. 2025, arXiv:2507.00490, ask for "<yes> or <no> with analysis" and name three faults; they
publish no reader, so the rules are ours):

1. Only what the model says aloud counts: thoughts, in whatever marks, closed or cut off, are dropped
   (`limen.parsing.thought` says how one is known), and so are echoes of the question and of its menu ("<yes> or <no>"),
   which are no flags. An answer that is all thought says nothing.
2. The last explicit flag wins. Two flags at odds are an *antilogy*, unless the text says that it changes its
   mind or concludes ("wait, actually no"), or thinks between them. On the choice question a letter outranks the
   word beside it: "A. No" is yes, with antilogy.
3. A flag that the analysis plainly contradicts is an *antilogy* ("Yes, there is no noticeable difference").
   Plainly: all that the analysis says about sameness says the opposite. What one picture has "that the first lacks"
   says it too, if nothing else does. What is mixed or not clear accuses nobody.
   Beside a question of which "no" says that they differ ("Are they identical?") all that turns round; beside one that
   asks about something else what is said about sameness says nothing (rule 4 neither).
4. No flag but a clear analysis: that verdict, with *deficiency*. "No visible difference" is analysis, not a flag.
5. A flag without analysis is a *deficiency* on the direct question, complete on the choice question.
6. Neither: unreadable; *deficiency* if empty, refused, cut off or all thought, *gibberish* if it holds no meaning.

All patterns are bounded, and of an endless answer only both ends are read: time is linear in the length.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from limen.parsing import phrases, thought

READER_VERSION = 3


class Flag(StrEnum):
    """What an answer says."""

    YES = "yes"
    NO = "no"
    UNREADABLE = "unreadable"


class Fault(StrEnum):
    """What is wrong with an answer (Chen et al. 2025, arXiv:2507.00490, response errors)."""

    ANTILOGY = "antilogy"
    GIBBERISH = "gibberish"
    DEFICIENCY = "deficiency"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A flag, and the answer's fault if it has one."""

    flag: Flag
    fault: Fault | None = None

    @property
    def yes(self) -> bool:
        """Whether the observer noticed; an unreadable answer confirms nothing and counts as no."""
        return self.flag is Flag.YES


def read_direct(text: str, finish: str = "", differs: Flag | None = Flag.YES) -> Verdict:
    """Read an answer to the direct question, "<yes> or <no> with analysis".

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
        differs: the flag that says that two pictures differ; None where the question asks about something else.
    """
    return _read(text, finish, differs, choice=False)


def read_choice(text: str, finish: str = "", differs: Flag | None = Flag.YES) -> Verdict:
    """Read an answer to the choice question, "A. Yes; B. No".

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
        differs: the flag that says that two pictures differ; None where the question asks about something else.
    """
    return _read(text, finish, differs, choice=True)


def spoken(text: str) -> str:
    """Return what an answer says after its thought, in plain lower-case signs; of endless ones both ends."""
    return heard(text)[0]


def heard(text: str) -> tuple[str, bool]:
    """Return what `spoken` does, and whether the end of the text cut a thought off."""
    said, cut = _spoken(_plain(text))
    return said.replace(thought.PAUSE, ""), cut


def _read(text: str, finish: str, differs: Flag | None, choice: bool) -> Verdict:
    said_aloud, cut = _spoken(_plain(text))
    own = _own_words(said_aloud, choice)
    pattern = _CHOICE_FLAG if choice else _DIRECT_FLAG
    flags = list(pattern.finditer(own))
    if flags:
        flag, torn = _last(flags)
        return Verdict(flag, Fault.ANTILOGY if torn else _beside(flag, _without(flags, own), differs, choice))
    said = set(_said(own, differs))
    if len(said) == 2:  # mixed: what follows the last "but" or "therefore" is the conclusion, if that is clear
        said = set(_said(TURN.split(own)[-1], differs))
    if len(said) == 1:
        return Verdict(said.pop(), Fault.DEFICIENCY)
    return Verdict(Flag.UNREADABLE, Fault.DEFICIENCY if cut else _unreadable(said_aloud, own, finish))


# --- rule 1: the model's own words --------------------------------------------------------------------------

_MARKS = {"yes": "\x01", "no": "\x02", "a": "\x03", "b": "\x04"}  # stand for <yes>, "no", \boxed{A}, (B)
_ANY_YES = "yes|yeah|yep|yup|oui|ja|sí|sì|sim|да|はい|예|네|是的"  # a flag whatever follows
_YES_WORDS = "true|si|是|有|有的|对|存在|あります|✅"  # a flag where a pause or a new clause follows
_NO_WORDS = "no|nope|false|nein|non|não|нет|否|不|不是|没有|无|いいえ|아니요|아니오|❌"
_PAUSE = (  # what follows a flag, where "no visible ..." is none
    r"(?= ?(?:[.,!:;?\n\x01-\x04]|- |$|(?:there|the|i|we|both|these|they|it|this|because|since|as|from|in|based"
    r"|after|upon|neither|nothing|with analysis|yes|no|is (?:the )?(?:correct|right|best))\b))"
)
_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "。": ".", "、": ",", "—": " - ", "–": " - "})
_LONGEST = 40_000  # characters read, half from each end; ten times the longest answer a person would read
_LATEX = re.compile(r"\\(?:boxed|text[a-z]{0,9}|math[a-z]{0,9}) ?(?=\{)")
_STYLE = re.compile(r"</?(?:b|strong|i|em|u|span|code|font|mark)(?: [^<>\n]{0,200})?>")
_TAG = re.compile(r"<[/|!]?[a-z][^<>\n]{0,200}>")
_SPEAKER = re.compile(  # of a chat template: <|im_start|>assistant, <start_of_turn>model, [|assistant|], Assistant:
    rf"(?:\A|(?<={thought.PAUSE}\n))\s{{0,9}}(?:[<\[]\|?[a-z_]{{2,20}}\|?[>\]]\s{{0,3}}|[<\[]\|(?:[a-z]{{2,9}}>)?)?"
    r"(?:assistant|model)(?:\|[>\]]|\s{0,3}<\|end_[a-z_]{2,20}\|>|\s{0,3}[:\n])\s{0,9}"
)
_ECHO = re.compile(
    r"(?:please )?return ?\?(?: with analysis)?|compare the first image with the second"
    r"|answer with the option's letter from the given choices directly"
    r"|\b(?:identical|same|similar|unchanged) ?[:?] ?(?:yes|no|true|false|[\x01\x02])"  # flag of another question
)
_PARTS_OF_ECHOES = (  # no echo is without one of them
    "return", "compare the first", "answer with",
    *(f"{word}{sign}" for word in ("identical", "same", "similar", "unchanged") for sign in (":", " :", "?", " ?")),
)  # fmt: skip
_MARKUP = re.compile(r"[*`~#$\\]+")
_BRACKETS = re.compile(r"[<>\[\](){}\"«»「」『』|_]+")
_SENTENCE = re.compile(r"[^.!?\n]++[.!?\n]*+|[.!?\n]++")


def _marked(letters: str) -> re.Pattern[str]:
    """Compile what a flag looks like between brackets, quotes or stars."""
    words = f"{_ANY_YES}|{_YES_WORDS}|{_NO_WORDS}{letters}"
    return re.compile(rf"[<\[({{\"'«「『*_`|/]{{1,6}} ?({words})[.,!:;]? ?[>\])}}\"'»」』*_`|/]{{1,6}}")


_DIRECT_MARKED, _CHOICE_MARKED = _marked(""), _marked("|[ab]")
_TOKEN = r"(?:[\x01-\x04]|(?:[ab]\b[.):]? ?)?(?:yes|no|ja|nein|oui|non|是|否)\b)"
_OPTION = r"(?:[ab]\b|[\x03\x04])[.):]? ?(?:yes\b|no\b|[\x01\x02])"
_MENU = re.compile(
    rf"(?<!\w){_TOKEN} ?(?:/|or\b|and\b|nor\b|oder\b|ou\b|或|还是) ?(?:an? )?{_TOKEN}(?!\w)"
    r"|(?<!\w)(?:\x01|yes\b) ?[,;]? ?(?:\x02|no\b)(?= ?(?:[.!;\n]|$|with analysis))"
    rf"|\ba or (?:option )?b\b|(?<!\w){_OPTION}[ .,;\n]{{1,4}}{_OPTION}(?= ?(?:[.,;\n]|$))"
)
_MAY_BE_MENU = re.compile(  # what is in every menu but "a or b", and is found faster
    r"(?:\x01|\x02|\x03|\x04|yes|no|ja|nein|oui|non|是|否)"
    r"[ .,;\n]{0,4}(?:/|or|nor|and|ou|oder|或|还是|\x02|no\b|[ab]\b|\x03|\x04)"
)


def _plain(text: str) -> str:
    """Fold case, widths and quotes, sign by sign: NFKC of a whole string is quadratic on stacked accents."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text.lower()
    table = {}
    for sign in set(text) - {"\n"}:
        if sign.isspace():
            table[ord(sign)] = "\n" if sign in "\r\v\f\x85\u2028\u2029" else " "
        elif unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Mn"}:
            table[ord(sign)] = ""
        elif not sign.isascii():
            table[ord(sign)] = unicodedata.normalize("NFKC", sign)
    return text.translate(table).casefold().translate(_SIGNS)


def _spoken(text: str) -> tuple[str, bool]:
    """Drop thoughts, the name of the speaker and the middle of endless texts; say whether a thought was cut off."""
    text, cut = thought.drop(text)
    if "assistant" in text or "model" in text:
        text = _SPEAKER.sub("", text)
    return (text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"), cut


def _own_words(text: str, choice: bool) -> str:
    """Reduce to plain words, pauses and marked flags, without markup, questions, menus and echoes."""
    text = _STYLE.sub("", text if "</b>" in text else text.replace("<b>", "(b)"))
    text = (_CHOICE_MARKED if choice else _DIRECT_MARKED).sub(_mark, _LATEX.sub("", text))
    text = _BRACKETS.sub(" ", _TAG.sub("\n", _MARKUP.sub("", text)))
    while "  " in text:
        text = text.replace("  ", " ")
    if " or " in text or _MAY_BE_MENU.search(text):
        text = _MENU.sub("?", text)
    if any(part in text for part in _PARTS_OF_ECHOES):
        text = _ECHO.sub(" ", text)
    text = text.strip(" \n")
    if "?" not in text:
        return text
    return "".join(_unasked(part) if "?" in part else part for part in _SENTENCE.findall(text))


def _mark(found: re.Match[str]) -> str:
    """Give a marked flag its sign; an emphasised "**no** difference" is a plain word, "<no> difference" is both."""
    sign = _MARKS.get(found[1], _MARKS["no" if re.fullmatch(_NO_WORDS, found[1]) else "yes"])
    if found[1] == "no" and _DETERMINER.match(found.string, found.end()):
        return f" {sign} \nno " if "<" in found[0] else " no "
    return f" {sign} "


def _unasked(sentence: str) -> str:
    """Keep of a question no more than the flag before it ("Yes, would you like ...?")."""
    flag = re.match(r" ?(?:yes|no|[\x01-\x04])(?=[ ,])", sentence)
    return f"{flag[0] if flag else ''}\n"


# --- rule 2: flags ------------------------------------------------------------------------------------------

_DETERMINER = re.compile(rf"(?!{_PAUSE}) ?\w")
_LEAD = (
    r"(?:so|therefore|thus|hence|well|ok(?:ay)?|overall|actually|wait|hmm+|oh|sorry|however|but|then|finally|and"
    r"|in (?:conclusion|summary|short|fact)|correction|i mean|rather|sure|definitely|absolutely|certainly|因此|所以)"
    r"[,.:; -]{1,5}"
)
_CALL = (
    r"\b(?:answer|letter|conclusion|verdict|response|result|flag|choice|option|it is|it's|choose|select|pick|say|return"
    r"|output|go with|respond with|opt for|antwort|réponse|respuesta|ответ|答案|回答|答え|답)"
    r"(?: (?:is|was|are|(?:w|sh)ould be|must be|ist|est|es|to (?:this|the|your) question|option)\b"
    r"|は|是|为| ?:| -|,){0,3}(?: (?:an?|clear|clearly|definite|definitive|simply|therefore)\b){0,2} ?"
)
TURN = re.compile(
    r"\b(?:wait|actually|correction|on (?:second|closer)|rather|i mean|sorry|however|but|therefore|final(?:ly)?|so"
    r"|thus|hence|conclusion|overall|in (?:fact|summary|short)|summary)\b|\x05|但|因此|所以|总之|しかし|aber|mais|pero"
)
_GROUPS = {"yes": Flag.YES, "no": Flag.NO, "not_same": Flag.YES, "no_change": Flag.NO, "a_change": Flag.YES}


def _flag(letter_a: str, letter_b: str) -> re.Pattern[str]:
    """Compile what an explicit flag is: marked, or where a clause begins, or announced, or aside ("I think, no.")."""
    clause = rf"(?:^|[.!?:;\n✅❌]|(?<=[\x01-\x04])|(?<= )-)[ \d.)•-]{{0,8}}(?:{_LEAD}){{0,3}}"
    aside = rf", ?(?:{_LEAD}){{0,3}}(?=\w+ ?(?:[.,!;\n]|$))"
    return re.compile(
        rf"(?:{clause}|{_CALL}|{aside}|(?<!not )(?=[\x01-\x04]))"
        rf"(?:(?P<yes>[\x01\x03]|(?:{_ANY_YES})\b(?!')|(?:{_YES_WORDS}{letter_a}){_PAUSE})"
        rf"|(?P<no>[\x02\x04]|(?:{_NO_WORDS}{letter_b})(?!\. ?\d){_PAUSE}))"
    )


_DIRECT_FLAG, _CHOICE_FLAG = _flag("", ""), _flag("|a", "|b")


def _last(flags: list[re.Match[str]]) -> tuple[Flag, bool]:
    """Return the flag that counts, and whether another is at odds with it without a change of mind."""
    last = flags[-1]
    if len(flags) > 1 and _letter(flags[-2]) and not _letter(last):  # "A. No": the letter outranks its word
        between = last.string[flags[-2].end() : last.start()]
        last = last if _WORD.search(between) else flags[-2]
    odd = [flag for flag in flags if flag.lastgroup != last.lastgroup]
    turned = last is flags[-1] and odd and TURN.search(last.string, odd[0].end(), last.end())
    return _GROUPS[str(last.lastgroup)], bool(odd) and not turned


def _letter(flag: re.Match[str]) -> bool:
    return flag[flag.lastgroup or 0] in {"a", "b", _MARKS["a"], _MARKS["b"]}


# --- rules 3 to 5: analysis (phrases: `limen.parsing.phrases`) ------------------------------------------------------

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[^\W\d_]+")  # a CJK character counts as a word
_FEWEST_WORDS = 4  # fewer different ones beside a flag ("Yes, there is.") are no analysis


def _said(text: str, differs: Flag | None) -> Iterator[Flag]:
    """Yield what the analysis plainly says, phrase by phrase; what it says of one picture alone if nothing else."""
    if differs is None:
        return
    turned = {Flag.YES: differs, Flag.NO: Flag.NO if differs is Flag.YES else Flag.YES}
    plain = False
    for name in phrases.found(text):
        if name in _GROUPS:
            plain = True
            yield turned[_GROUPS[name]]
    if not plain:
        yield from (turned[_GROUPS[name]] for name in phrases.found_apart(text) if name in _GROUPS)


def _without(flags: Sequence[re.Match[str]], text: str) -> str:
    """Return a text with a colon for each flag, as in "Noticeable difference: <no>"."""
    starts = [0, *(flag.end() for flag in flags)]
    ends = [*(flag.start() for flag in flags), len(text)]
    return ":\n".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def _beside(flag: Flag, analysis: str, differs: Flag | None, choice: bool) -> Fault | None:
    """Return what is wrong with the analysis beside a flag; its first phrase that agrees settles that nothing is."""
    contradicted = False
    for one in _said(analysis, differs):
        if one is flag:
            return None
        contradicted = True
    if contradicted:
        return Fault.ANTILOGY
    bare = len(set(_WORD.findall(analysis))) < _FEWEST_WORDS
    return Fault.DEFICIENCY if bare and not choice else None


# --- rule 6: neither ----------------------------------------------------------------------------------------

REFUSED = re.compile(
    r"\bsorry\b|\b(?:can't|cannot|can not|unable to|not able to|won't|couldn't) (?:\w+ ){0,2}"
    r"(?:assist|help|view|see|access|process|compare|analy[sz]e|determine|provide|identify|comply|fulfill|tell|say)"
    r"|\bas an ai\b|\bplease (?:provide|upload|share)\b|\bno (?:access|images? (?:was|were|has|have))\b"
    r"|\btoo many requests|rate limit|\b(?:internal server )?error\b|\bapolog|\bno puedo"
    r"|je ne peux pas|kann (?:ich )?nicht|抱歉|对不起|无法"
    r"|申し訳|できません|죄송|извините|не могу|lo siento|désolé|tut mir leid"
)
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and answer are as at be bild bilder blur both but can could das der die difference differences "
        "el es est et first for has have hello here i if image imagen images imágenes in is ist it la las le "
        "les los maybe nicht not of on one or perhaps photo photos picture please quality same second similar "
        "so that the there these they this those to two uncertain unclear und une unknown unsure was with y "
        "you ",
    )
)
_LETTER_SHARE, _LOOP_WORDS, _LOOP_LEAST, _LOOP_REPEATS = 0.5, 60, 8, 5


def _unreadable(spoken: str, own: str, finish: str) -> Fault | None:
    """Return what is wrong with an answer that gives neither flag nor clear analysis."""
    visible = re.sub(r"[\s*_#`~|>-]+", "", spoken)
    if not visible or finish == "content_filter" or REFUSED.search(spoken):
        return Fault.DEFICIENCY
    words = _WORD.findall(own)
    if sum(map(str.isalpha, visible)) < _LETTER_SHARE * len(visible) or _meaningless(words, finish):
        return Fault.GIBBERISH
    return Fault.DEFICIENCY if finish == "length" or not words else None


def _meaningless(words: list[str], finish: str) -> bool:
    """Say whether the words end in a loop, or none of them is a common one (Latin script only)."""
    last = words[-_LOOP_WORDS:]
    if len(last) >= _LOOP_LEAST and len(set(last)) * _LOOP_REPEATS <= len(last):
        return True
    latin = [word for word in words if word < "\u0250"]
    cut = finish == "length" and len(words) < _LOOP_LEAST
    return bool(words) and len(latin) * 2 > len(words) and not cut and not _COMMON & set(latin)
