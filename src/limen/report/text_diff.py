"""What changed between two texts, word by word: for a viewer that marks it."""

import difflib
import re
from typing import NamedTuple

_WORD = re.compile(r"\S+")


class Change(NamedTuple):
    """Where two texts differ: places in characters, the end not included.

    Attributes:
        before: start and end in the first text; equal where something came in.
        after: start and end in the second text; equal where something went away.
    """

    before: tuple[int, int]
    after: tuple[int, int]


def changed(before: str, after: str) -> tuple[Change, ...]:
    """Return what differs between two texts, in order: whole words, neighbours as one; spaces alone are no change.

    Args:
        before: the first text.
        after: the second one.

    Examples:
        >>> from limen.report.text_diff import changed
        >>> before, after = "Is this a big car?", "Is this a large auto?"
        >>> [(before[slice(*one.before)], after[slice(*one.after)]) for one in changed(before, after)]
        [('big car?', 'large auto?')]
    """
    old, new = ([found.span() for found in _WORD.finditer(text)] for text in (before, after))
    # In texts of 200 words and more difflib leaves the frequent ones out of its search: else it takes cubic time.
    matcher = difflib.SequenceMatcher(None, [before[slice(*one)] for one in old], [after[slice(*one)] for one in new])
    return tuple(
        Change(_span(old, one, two, len(before)), _span(new, three, four, len(after)))
        for kind, one, two, three, four in matcher.get_opcodes()
        if kind != "equal"
    )


def _span(words: list[tuple[int, int]], first: int, last: int, end: int) -> tuple[int, int]:
    """Return where words `first` to `last` stand; of none, the place before the word that follows."""
    if first == last:
        place = words[first][0] if first < len(words) else end
        return place, place
    return words[first][0], words[last - 1][1]
