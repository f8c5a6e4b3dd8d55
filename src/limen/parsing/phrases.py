"""The plain phrases in which models say that two pictures differ, or do not (rules 3 to 5 of `limen.parsing.yes_no`).

Plain phrases, one a line. Capitals stand for the vocabulary; ~ for up to two words, ~~ for up to eight, none of
them a NOT. At each place of the text the first phrase that fits uses its words up: order matters, and what is moot
("nearly identical", "if there is a difference") comes first.
"""

import functools
import itertools
import re
from collections.abc import Iterator

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
    "ARTEFACT": r"(?:(?:blur|nois|grain|artifact|artefact|compress|pixelat|banding|block|fuzz|haz|distort|ringing|halo"
    r"|stripe|smear|mask|watermark|rectangle|square|patch|overlay|box)\w{0,6}|qr code)",
    "HAS": r"(?:has|have|shows?|contains?|exhibits?|displays?|includes?|features?|suffers? from)",
    "LACKS": r"(?:lacks?(?: it)?|(?:do(?:es)? not|doesn't|don't)(?: (?:have|show|contain|exhibit)(?: it| one| any)?)?"
    r"|has none|(?:is|are) free of(?: it)?)",
    "AND": r"(?:and|but|yet|while|whereas|although)",
    "ABSENT": r"(?:absent|missing|invisible|not (?:present|visible|seen|found|there|noticeable)"
    r"|(?:cannot|can't) be (?:seen|found))",
    "THATONE": r"(?:first|second|other|latter|former|left|right|original|reference|test|image|picture)"
    r"(?: (?:image|picture|photo(?:graph)?|one|\w))?(?: (?:clearly|visibly|obviously|does))?",
    "CLEAN": r"(?:clean|smooth|sharp|crisp|clear|free)",
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
    IS~(?:BRIGHTER|MORE QUALITY)~~both(?= images| pictures| photo| of| ?[.,;\n]| ?$)
    OTHER(?: image| picture)? HAS~~OBJECT(?:~\w+)?,? and~the OTHER~(?:HAS|does|is)(?! no)
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
# What one picture has and the other has not is a difference without the word. Looked for where the tables above found
# nothing clear: what they say about sameness is plainer.
_APART_MOOT = r"""
    (?:if|whether|(?:may|might|would|should|could)(?: not)? (?:be|have|show|appear|look)) [^,.;\n]{0,120}
    (?:look(?:ed|ing)?|search(?:ed|ing)?|check(?:ed|ing)?) for~~ARTEFACT~~OTHER
    (?:hardly|barely|scarcely)~~ARTEFACT~~OTHER
    ARTEFACT~(?:would|could|might|may|should)
    NOT~~(?:that|which) (?:the )?THATONE LACKS
    (?<!\n)NOT~~ARTEFACT(?: \w+){0,6},? ABSENT
    NOT~~only (?:in|on) the OTHER
"""
_NOT_APART = r"""
    (?:there (?:is|are)|HAS|see|find) no(?:thing)?~~(?:that|which) (?:the )?THATONE LACKS
    no (?:\w+, ){1,3}\w+,? (?:or|and|nor)~~in either
    (?:(?<=^ )|^)neither(?: of)?(?: the)? (?:two )?(?:images?|pictures?|photos?|one|them) (?:HAS|is)~ARTEFACT(?=[.!]?$)
    (?<!not )(?<!n't )IS (?:just |exactly )?as QUALITY as (?:the |that |those |in |of )*OTHER
    looks? (?:exactly|just) like the OTHER
    perfect match
"""
_APART = r"""
    ARTEFACT~~(?:that|which),? (?:the )?THATONE LACKS
    ARTEFACT,? which (?:the )?THATONE LACKS
    ARTEFACT~~(?:that|which) (?:(?:is|are) )?ABSENT (?:in|from|on) the OTHER
    ARTEFACT~(?:in|on|of) the THATONE,?(?: is| are)? ABSENT (?:in|from|on) the OTHER
    THATONE HAS~~ARTEFACT(?:~\w+)?,? (?:AND(?: it| these| they)?(?: is| are) )?ABSENT (?:in|from|on) the OTHER
    ARTEFACT(?: (?:is|are|appears?))?~(?:in|on) the THATONE,? AND(?: is| are)? ABSENT (?:in|from|on) the OTHER
    ARTEFACT(?: (?:is|are|appears?))?~(?:in|on) the THATONE[,;]? AND the THATONE (?:LACKS|IS CLEAN)
    ARTEFACT~~only (?:in|on) the OTHER
    ARTEFACT~~(?:in|on) the THATONE only
    only the OTHER~HAS~~ARTEFACT
    ARTEFACT(?:~~\w+)?,? (?:but|and|yet) not (?:in |on )?the OTHER
    THATONE HAS~~ARTEFACT(?:~\w+)?[,;]? (?:AND )?the THATONE LACKS(?= ?(?:[.,;!\n]|$))
    THATONE HAS~~ARTEFACT(?:~\w+)?[,;]? (?:AND )?the THATONE IS CLEAN
    THATONE IS CLEAN[,;]? (?:AND )?the THATONE HAS~ARTEFACT
    NOT the~ARTEFACT~(?:that|which) (?:the )?THATONE HAS
    NOT the~ARTEFACT~(?:that|which)(?: is| are)?~(?:in|on) the OTHER
    ARTEFACT(?:~\w+)?,? unlike~OTHER
    unlike the THATONE,? the THATONE HAS~ARTEFACT
    compared (?:to|with) the THATONE,? the THATONE HAS (?:an? )?(?:SEEN|strong|heavy|severe) (?:\w+ )?ARTEFACT
"""
_HEAD = re.compile("[A-Z]{2,}|")  # lines that begin alike are one alternative: their head is looked for once
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


def _phrases(name: str, table: str) -> str:
    """Compile a table of phrases into one alternative with a name."""
    word = rf"(?: (?!(?:{_VOCABULARY['NOT']}|but|whether|if|also)\b)(?=\w)[\w'-]++)"
    heads = itertools.groupby(map(str.strip, table.strip().splitlines()), key=lambda line: _HEAD.findall(line)[0])
    text = "|".join(f"{head}(?:{'|'.join(line[len(head) :] for line in lines)})" for head, lines in heads)
    text = re.sub(r"\b[A-Z]{2,}\b", lambda macro: _VOCABULARY[macro[0]], text)
    text = text.replace("~~", f"{word}{{0,8}}? ").replace("~", f"{word}{{0,2}}? ")
    return rf"(?P<{name}>\b(?:{text})(?!\w))"


_TABLES = (("moot", _MOOT), ("not_same", _NOT_SAME), ("no_change", _NO_CHANGE), ("a_change", _A_CHANGE))
_APARTS = (("no_change", _NOT_APART), ("moot", _APART_MOOT), ("a_change", _APART))


@functools.cache  # compiled when the first answer is read: a tenth of a second each
def _any() -> re.Pattern[str]:
    return re.compile("|".join(f"{_phrases(*named)[:-1]}|{_EAST[named[0]]})" for named in _TABLES), re.MULTILINE)


@functools.cache
def _ascii(tables: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """In a text of ASCII alone a phrase begins at the start of a word: looking there first halves the time."""
    return re.compile(rf"\b(?=[a-z])(?:{'|'.join(_phrases(*named) for named in tables)})", re.MULTILINE)


_CUES = ("lack", "not", "n't", "none", "only", "like", "compared", "absent", "missing", "invisible", "either", "free",
         "clean", "smooth", "sharp", "crisp", "clear", " as ", "match")  # fmt: skip  # no phrase of them is without one


def found(text: str) -> Iterator[str]:
    """Yield the kinds of phrases in a lower-case text, in order: "moot", "not_same", "no_change", "a_change"."""
    pattern = _ascii(_TABLES) if text.isascii() else _any()
    return (str(match.lastgroup) for match in pattern.finditer(text))


def found_apart(text: str) -> Iterator[str]:
    """Yield the kinds of phrases about what one picture has and the other has not: "moot", "no_change", "a_change"."""
    if not any(map(text.__contains__, _CUES)):
        return iter(())
    return (str(match.lastgroup) for match in _ascii(_APARTS).finditer(text))
