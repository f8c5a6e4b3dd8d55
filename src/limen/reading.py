"""How an answer is read: a flag and a fault from raw text. Opinion, versioned, recomputed from the store at will.

The rules (Chen et al. 2025, arXiv:2507.00490, ask for "<yes> or <no> with analysis" and name three faults; they
publish no reader, so the rules are ours):

1. Only the model's own last word counts: thought in `<think>` is dropped, and so are echoes of the question
   and of its menu ("<yes> or <no>"), which are no flags.
2. The last explicit flag wins. Two flags at odds are an *antilogy*, unless the text says that it changes its
   mind or concludes ("wait, actually no"). On the choice question a letter outranks the word beside it:
   "A. No" is yes, with antilogy.
3. A flag that the analysis plainly contradicts is an *antilogy* ("Yes, there is no noticeable difference").
   Plainly: all that the analysis says about sameness says the opposite. What is mixed or not clear accuses nobody.
4. No flag but a clear analysis: that verdict, with *deficiency*. "No visible difference" is analysis, not a flag.
5. A flag without analysis is a *deficiency* on the direct question, complete on the choice question.
6. Neither: unreadable; *deficiency* if empty, refused or cut off, *gibberish* if it holds no meaning.

All patterns are bounded, and of an endless answer only both ends are read: time is linear in the length.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

READER_VERSION = 1


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


def read_direct(text: str, finish: str = "") -> Verdict:
    """Read an answer to the direct question, "<yes> or <no> with analysis".

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
    """
    return _read(text, finish, choice=False)


def read_choice(text: str, finish: str = "") -> Verdict:
    """Read an answer to the choice question, "A. Yes; B. No"; arguments as for `read_direct`."""
    return _read(text, finish, choice=True)


def spoken(text: str) -> str:
    """Return what an answer says after its thought, in plain lower-case signs; of endless ones both ends."""
    return _spoken(_plain(text))


def _read(text: str, finish: str, choice: bool) -> Verdict:
    said_aloud = spoken(text)
    own = _own_words(said_aloud, choice)
    pattern = _CHOICE_FLAG if choice else _DIRECT_FLAG
    flags = list(pattern.finditer(own))
    analysis = pattern.sub(":\n", own)  # a colon, as in "Noticeable difference: <no>"
    said = _said(analysis)
    if flags:
        flag, torn = _last(flags)
        if torn or said == {_OPPOSITE[flag]}:
            return Verdict(flag, Fault.ANTILOGY)
        bare = not said and len(set(_WORD.findall(analysis))) < _FEWEST_WORDS
        return Verdict(flag, Fault.DEFICIENCY if bare and not choice else None)
    if len(said) == 2:  # mixed: what follows the last "but" or "therefore" is the conclusion, if that is clear
        said = _said(_TURN.split(analysis)[-1])
    if len(said) == 1:
        return Verdict(said.pop(), Fault.DEFICIENCY)
    return Verdict(Flag.UNREADABLE, _unreadable(said_aloud, own, finish))


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
_THOUGHT_ENDS = re.compile(r"</think(?:ing)?>|</thought>|</reasoning>|◁/think▷")
_THOUGHT_STARTS = re.compile(r"<think(?:ing)?>|<thought>|<reasoning>|◁think▷")
_LATEX = re.compile(r"\\(?:boxed|text[a-z]{0,9}|math[a-z]{0,9}) ?(?=\{)")
_STYLE = re.compile(r"</?(?:b|strong|i|em|u|span|code|font|mark)(?: [^<>\n]{0,200})?>")
_TAG = re.compile(r"<[/|!]?[a-z][^<>\n]{0,200}>")
_ECHO = re.compile(
    r"(?:please )?return ?\?(?: with analysis)?|compare the first image with the second"
    r"|answer with the option's letter from the given choices directly"
    r"|\b(?:identical|same|similar|unchanged) ?[:?] ?(?:yes|no|true|false|[\x01\x02])"  # flag of another question
)


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


def _plain(text: str) -> str:
    """Fold case, widths and quotes, sign by sign: NFKC of a whole string is quadratic on stacked accents."""
    table = {}
    for sign in set(text) - {"\n"}:
        if sign.isspace():
            table[ord(sign)] = "\n" if sign in "\r\v\f\x85\u2028\u2029" else " "
        elif unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Mn"}:
            table[ord(sign)] = ""
        elif not sign.isascii():
            table[ord(sign)] = unicodedata.normalize("NFKC", sign)
    return text.translate(table).casefold().translate(_SIGNS)


def _spoken(text: str) -> str:
    """Drop thought (all up to its last end, all after a start without end) and the middle of endless texts."""
    text = _THOUGHT_STARTS.split(_THOUGHT_ENDS.split(text)[-1])[0]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"


def _own_words(text: str, choice: bool) -> str:
    """Reduce to plain words, pauses and marked flags, without markup, questions, menus and echoes."""
    text = _STYLE.sub("", text if "</b>" in text else text.replace("<b>", "(b)"))
    text = (_CHOICE_MARKED if choice else _DIRECT_MARKED).sub(_mark, _LATEX.sub("", text))
    text = _TAG.sub("\n", re.sub(r"[*`~#$\\]+", "", text))
    text = re.sub(r" +", " ", re.sub(r"[<>\[\](){}\"«»「」『』|_]+", " ", text))
    text = _ECHO.sub(" ", _MENU.sub("?", text)).strip(" \n")
    sentences = re.findall(r"[^.!?\n]++[.!?\n]*+|[.!?\n]++", text)
    return "".join(_unasked(sentence) if "?" in sentence else sentence for sentence in sentences)


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
_TURN = re.compile(
    r"\b(?:wait|actually|correction|on (?:second|closer)|rather|i mean|sorry|however|but|therefore|final(?:ly)?|so"
    r"|thus|hence|conclusion|overall|in (?:fact|summary|short)|summary)\b|但|因此|所以|总之|しかし|aber|mais|pero"
)
_OPPOSITE = {Flag.YES: Flag.NO, Flag.NO: Flag.YES}
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
    turned = last is flags[-1] and odd and _TURN.search(last.string, odd[0].end(), last.end())
    return _GROUPS[str(last.lastgroup)], bool(odd) and not turned


def _letter(flag: re.Match[str]) -> bool:
    return flag[flag.lastgroup or 0] in {"a", "b", _MARKS["a"], _MARKS["b"]}


# --- rules 3 to 5: analysis ---------------------------------------------------------------------------------
# Plain phrases, one a line. Capitals stand for the vocabulary; ~ for up to two words, ~~ for up to eight, none of
# them a NOT. At each place of the text the first phrase that fits uses its words up: order matters, and what is moot
# ("nearly identical", "if there is a difference") comes first.

_VOCABULARY = {
    "NOT": r"(?:no|not|cannot|[a-z]{2,6}n't|cant|dont|doesnt|isnt|arent|never|without|neither|nor|none|nothing|zero"
    r"|lacks?|lacking|absence of|unable to|fail(?:s|ed)? to|free (?:of|from)|keine?[nrms]?|nicht|keinerlei|aucune?|pas"
    r"|sans|ninguna?|ningún|sin|não|nenhuma?|sem|nessuna?|non|нет|не|без)",
    "CHANGE": r"(?:diffs?\b|diff[eé]r\w{0,9}|diferen\w{1,6}|unterschied\w{0,3}|change[sd]?|variations?"
    r"|discrepanc\w{1,3}|distinctions?|disparit\w{1,3}|alterations?|deviations?|разниц\w|различи\w|отличи\w|отлича\w{1,4})",
    "SAME": r"(?:identical(?:ly)?|indistinguishable|unchanged|alike|identisch\w{0,2}|identiques?|id[eé]ntic[aeoi]s?"
    r"|iguales|одинаков\w{1,2}|идентичн\w{1,2}|exact (?:copy|copies|duplicates?|match)|duplicates"
    r"|match(?:es)? (?:exactly|perfectly)"
    r"|the (?:exact )?same(?= ?(?:[.,;!\n-]|$)| (?:two |in |images?\b|pictures?\b|photos?\b|to |level|amount|degree)))",
    "SEEN": r"(?:noticeabl[ey]|visibl[ey]|perceptibl[ey]|clear(?:ly)?|obvious|distinct|discernible|detectable|apparent"
    r"|evident|significant|slight|subtle|small|minor|major|marked|substantial|notable|considerable|observable"
    r"|seen|noticed|detected|observed|discerned|perceived|spotted)",
    "UNSEEN": r"(?:imperceptible|unnoticeable|undetectable|negligible|insignificant|invisible)",
    "IS": r"(?:is|are|was|were|be|been|being|looks?|appears?|seems?|becomes?|has|have|having|slightly|noticeably|much"
    r"|significantly|clearly|visibly|somewhat|subtly|considerably|bit|little|far|also)",
    "BRIGHTER": r"(?:bright|dark|sharp|blurri|soft|noisi|graini|crisp|light|warm|cool|clear|smooth|dull|pal|hazi|fuzzi"
    r"|faint|strong|weak|clos|larg|small|high|low|steep|rough)er",
    "MORE": r"(?:more|less|fewer|higher|lower|increased|decreased|reduced|greater|enhanced|added)",
    "QUALITY": r"(?:blur|sharp|nois|grain|bright|dark|saturat|vivid|vibran|contrast|detail|clarity|clear|artifact"
    r"|artefact|compress|pixelat|banding|block|smooth|soft|fuzz|haz|expos|colou?r|crisp|washed|muted|distort|pronounced"
    r"|defin|intens|focus)\w{0,8}",
    "OBJECT": r"(?:mask|watermark|qr code|rectangle|square|patch|overlay|box)s?",
    "OTHER": r"(?:first|second|one|other|latter|former|left|right|original|reference|test|image|picture)",
    "DOUBT": r"(?:sure|certain|possible|clear (?:if|whether)|determine|decide|assess|judge|say"
    r"|tell (?:if|whether|which)"
    r"|evaluate|analy[sz]e|compare|directly compare|confirm|help|assist|view|access|process|provide|identify|comply)",
    "CONTENT": r"(?:content|composition|subjects?|scenes?|layout|objects?|structure|background|elements|identity)",
}
_MOOT = r"""
    no doubt|not (?:only|just|merely|simply)|no question|without (?:a |any )?doubt
    NOT (?:\w+ )?DOUBT(?:~~CHANGE)?
    (?:if|whether|(?:may|might|would|should)(?: not)? (?:be|have|show|appear|look|need|require)) [^,.;\n]{0,120}
    (?:any|potential|possible|look(?:ing)? for|search(?:ing)? for|check(?:ing)? for|how|to determine)~~CHANGE
    NOT~~CHANGE,? (?:other than|except|apart from|aside from|besides|beyond)
    NOT (?:other|further|additional)~~CHANGE
    NOT~~CHANGE (?:in|to) (?:the |their |overall |terms of )*CONTENT
    CONTENT~~SAME
    (?:nearly|almost|mostly|largely|otherwise|near|similar|quite) SAME
    SAME (?:in )?(?:terms of )?(?:the |their |overall )*CONTENT
    SAME,? but
    (?:SEEN )?CHANGE(?: \w+){0,4} ?:
    QUALITY ?: (?:NOT~CHANGE|same)
    (?:(?:there (?:is|are)|an?|the|any)~)?(?:CHANGE~~)?(?:hardly|barely|scarcely)~~(?:CHANGE|SEEN)
    (?:similar|the same)~QUALITY
    both~~(?:BRIGHTER|MORE QUALITY)
    IS~(?:BRIGHTER|MORE QUALITY) than(?! (?:that |those |it )?(?:of |in |is |was )?(?:the |its )?(?:\w+ )?OTHER)
    MORE QUALITY (?:inspection|analysis|look|comparison|examination)
    an? CHANGE (?:would|might|could) [^,.;\n]{0,120}
    (?:IS )?(?:hard|difficult) to(?: \w+)?(?:~~CHANGE)?
"""
_NOT_SAME = r"""
    NOT~SAME
    SAME(?: \w+){0,2},? (?:except|apart from|aside from|other than)
"""
_NO_CHANGE = r"""
    (?:there (?:is|are)|there's|an?|the|any|these)~~CHANGE~~(?:NOT~~(?:SEEN|enough)|UNSEEN|too (?:SEEN|UNSEEN))
    UNSEEN CHANGE
    NOT~~CHANGE
    NOT~(?:BRIGHTER|MORE QUALITY)
    NOT~~in either
    equally QUALITY
    SAME
    ^same(?=[.,!\n]|$)
"""
_A_CHANGE = r"""
    (?:there (?:is|are|does|exists?)|there's|es gibt|y a|hay|existen?|есть|è|há)~~CHANGE
    (?:notice|see|observe|detect|perceive|spot|find|shows?|exhibits?|reveals?)~~CHANGE
    (?:an?|some|several|SEEN) CHANGE
    (?:the|main|key|primary)~~CHANGE(?: \w+)? (?:is|are|lies?|includes?|can be)
    IS~CHANGE
    (?:images?|pictures?|they) differ
    (?:differs?|different) (?:in|angles?|perspectives?|viewpoints?)
    IS~(?:BRIGHTER|MORE~than|MORE(?=[.,!\n]|$))
    BRIGHTER than
    MORE (?:\w+ )?QUALITY
    QUALITY~compared (?:to|with)
    ^different(?=[.,!\n]|$)
    (?:while|whereas|but|unlike|however),? the OTHER(?! \w+ also)~~(?:blurr(?:ed|y)|noisy|grainy|pixelated|distorted)
    there (?:is|are)~~OBJECT~~(?:in|on) the (?:\w+ )?OTHER
    OTHER(?: image| picture)?(?: \w+)? (?:has|contains|includes|shows|features)~~OBJECT
    (?:has|have) been (?:\w+ )?(?:added|blurred|darkened|brightened|masked|compressed|altered|modified)
    (?:blurred|compressed|distorted|noisy|degraded|darkened|brightened) version
"""
_EAST = {  # no spaces, so no words: the negated phrases come first at the same place
    "moot": r"(?:是否|有没有)[^,.;\n]{0,14}[差区变不][异别化同]|几乎(?:完全)?(?:相同|一致|一样)",
    "not_same": r"不(?:完全|太)?(?:相同|一致|一样)",
    "no_change": r"(?:没|无|未|看不出|察觉不到|难以察觉|不存在)[^,.;\n]{0,14}(?:差异|差别|区别|不同|变化)"
    r"|(?:相同|一致|一样)(?!的)|(?:違い|差|変化|相違)[^,.\n]{0,14}(?:ません|ない)|同じ(?:です|に見え)|同一(?:です|に見え)"
    r"|(?:차이|변화)[^,.\n]{0,14}(?:없|않|못)|동일|똑같",
    "a_change": r"(?:有|存在|出现)[^,.;\n]{0,14}(?:差异|差别|区别|不同|变化)|(?:差异|差别|区别)(?:明显|显著|较大)"
    r"|更(?:加|为)?(?:模糊|清晰|亮|暗|明亮|鲜艳|锐利|平滑|柔和)"
    r"|(?:違い|差|変化|相違)[^,.\n]{0,14}(?:あり|ある|見られます|認め)|異なっ|異なり"
    r"|(?:차이|변화)[^,.\n]{0,14}(?:있|보|나타|존재)|더 (?:흐|밝|어둡|선명)",
}
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[^\W\d_]+")  # a CJK character counts as a word
_FEWEST_WORDS = 4  # fewer different ones beside a flag ("Yes, there is.") are no analysis


def _phrases(name: str, table: str) -> str:
    """Compile a table of phrases into one alternative with a name."""
    word = rf"(?: (?!(?:{_VOCABULARY['NOT']}|but|whether|if|also)\b)(?=\w)[\w'-]++)"
    text = "|".join(line.strip() for line in table.strip().splitlines())
    text = re.sub(r"\b[A-Z]{2,}\b", lambda macro: _VOCABULARY[macro[0]], text)
    text = text.replace("~~", f"{word}{{0,8}}? ").replace("~", f"{word}{{0,2}}? ")
    return rf"(?P<{name}>\b(?:{text})(?!\w)|{_EAST[name]})"


_ANALYSIS = re.compile(
    "|".join(
        (
            _phrases("moot", _MOOT),
            _phrases("not_same", _NOT_SAME),
            _phrases("no_change", _NO_CHANGE),
            _phrases("a_change", _A_CHANGE),
        )
    ),
    re.MULTILINE,
)


def _said(text: str) -> set[Flag]:
    """Return what the analysis plainly says: nothing, yes, no, or both."""
    return {_GROUPS[found.lastgroup] for found in _ANALYSIS.finditer(text) if found.lastgroup in _GROUPS}


# --- rule 6: neither ----------------------------------------------------------------------------------------

_REFUSED = re.compile(
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
    if not visible or finish == "content_filter" or _REFUSED.search(spoken):
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
