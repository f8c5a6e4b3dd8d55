"""How a cell of a grid is read from an answer.

Rules (ours), the first that finds one counts; what all readers share is in `limen.parsing.explicit`. Row and column
count from 1 at the upper left, and a pair without names is row, column, as it was asked for.

1. An announced cell ("Answer: <2, 3>", "the answer is row 2, column 3"), the last one.
2. A cell that the answer begins with ("<2, 3>", "(2,3), because ...", "Row 2, column 3.").
3. A pair between brackets ("<2, 3>", "[2; 3]"), the last one.
4. The only cell that is named at all: "row 2, column 3", "second row, third column", "column 3 of row 2", "the top left
   cell". Several are an *antilogy* and unreadable.

Names of spreadsheets ("B2") are not read: some give the row the letter, some the column, and to read those alone that
are the same either way would favour a diagonal. A cell outside the grid is unreadable, *gibberish*.
"""

import re
from collections.abc import Iterator

from limen.parsing.explicit import Mention, aloud, announced, last, only, refused, unreadable
from limen.parsing.reading import Reading
from limen.parsing.words import CARDINALS, ORDINALS, counted

_NUMBER = rf"\d{{1,3}}|{'|'.join(CARDINALS)}"
_SIGNS = r"[\s:=#*_`\"'(-]{0,6}+(?:number |is |no\. ?)?"
_NTH = rf"{'|'.join(ORDINALS)}|\d{{1,3}}(?:st|nd|rd|th)|last|middle|cent(?:er|re)"
_ROW = (
    rf"(?:\b(?:rows?|zeile|ligne|fila)\b{_SIGNS}(?P<row>{_NUMBER})\b|\br(?P<r>\d{{1,3}})"
    rf"|\b(?P<nth_row>{_NTH}|top|bottom|upper|lower)(?:most)? row\b|第? ?(?P<east_row>\d{{1,3}}) ?行)"
)
_COLUMN = (
    rf"(?:\b(?:col(?:umn)?s?|spalte|colonne|columna)\b{_SIGNS}(?P<column>{_NUMBER})\b|(?:\b|(?<=\d))c(?P<c>\d{{1,3}})"
    rf"|\b(?P<nth_column>{_NTH}|left|right)(?:most)? col(?:umn)?\b|第? ?(?P<east_column>\d{{1,3}}) ?列)"
)
_BETWEEN = r"[\s,;:*_`\"'()/|-]{0,8}+(?:(?:and|of|in|on|at|from|the|its)\b[\s,*_]{0,4}+){0,3}+"
_PAIR = r"(?P<first>\d{1,3}) ?[,;|/] ?(?P<second>\d{1,3})(?![\w%]|[.,]\d)"
_CORNER = (
    r"\b(?P<side>top|upper|bottom|lower)[ -](?P<hand>left|right)(?:most)?\b"
    r"(?=[- ](?:cell|corner|square|tile|patch)|\W{0,4}\Z)"
)
_CENTRE = r"\b(?P<centre>cent(?:er|re)|middle|central) (?:cell|square|tile|patch)\b"
_TURNED = re.sub(r"\?P<(\w+)>", r"?P<\1_>", f"{_COLUMN}{_BETWEEN}{_ROW}")  # a pattern has each name once
_NAMED = rf"(?:{_ROW}{_BETWEEN}{_COLUMN}|{_TURNED}|{_CORNER}|{_CENTRE})"
_ANNOUNCED = announced(rf"{_PAIR}|(?:(?:in|at|the|cell)\b ?){{0,3}}{_NAMED}", picks=True)
_MARKED = re.compile(
    rf"(?:\A|[<(\[{{*_`\"'])[<(\[{{*_`\"'\s]{{0,6}}(?:cell )?{_PAIR}\s?(?=[>)\]}}*_`\"']|[.!\s]{{0,4}}\Z)"
)
_BEGINS = re.compile(
    rf"\A\W{{0,8}}(?:(?:in|at|the|cell)\b ?){{0,3}}(?:{_NAMED}|{_PAIR}(?! ?[,;|/] ?\d))"
    r"(?=[.,;!>)\]*]|\s{0,4}(?:\n|\Z|because|since|is (?:the odd|different)))"
)
_ANYWHERE = re.compile(_NAMED)


def read_cell(text: str, finish: str, rows: int, columns: int) -> Reading:
    """Read which cell an answer names.

    Args:
        text: the answer as it came.
        finish: why it ended ("stop", "length", "content_filter", "" if not said).
        rows: of the grid, 1 to 100.
        columns: of the grid, 1 to 100.

    Returns:
        "row,column", both from 1.
    """
    said, cut = aloud(text)

    def items(pattern: re.Pattern[str]) -> Iterator[Mention]:
        for match in pattern.finditer(said):
            row, column = _cell(match, rows, columns)
            inside = 1 <= row <= rows and 1 <= column <= columns
            yield Mention(f"{row},{column}" if inside else None, match.start(), match.end())

    found = last(items(_ANNOUNCED), said) or last(items(_BEGINS), said) or last(items(_MARKED), said)
    if found is None and not refused(said):
        found = only(items(_ANYWHERE), said)
    return found or unreadable(said, cut, finish)


def _cell(match: re.Match[str], rows: int, columns: int) -> tuple[int, int]:
    """Return row and column; 0 for what the grid has not, such as the middle of four."""
    named = {name.rstrip("_"): word for name, word in match.groupdict().items() if word}
    if "first" in named:
        return int(named["first"]), int(named["second"])
    if "side" in named:
        return _count(named["side"], rows), _count(named["hand"], columns)
    if "centre" in named:
        return _count("middle", rows), _count("middle", columns)
    row, column = (next(named[name] for name in names if name in named) for names in (_OF_ROWS, _OF_COLUMNS))
    return _count(row, rows), _count(column, columns)


_OF_ROWS, _OF_COLUMNS = ("row", "r", "nth_row", "east_row"), ("column", "c", "nth_column", "east_column")


def _count(word: str, most: int) -> int:
    if word in ("top", "upper", "left"):
        return 1
    if word in ("bottom", "lower", "right", "last"):
        return most
    if word in ("middle", "center", "centre"):
        return (most + 1) // 2 if most % 2 else 0
    return counted(word)
