"""How sure a model was of its flag: p(yes) from the probabilities of the tokens at the flag's position.

Chen et al. (2025, arXiv:2507.00490) read the flag from the text alone; this number beside it is ours. It is taken
only where the flag (or the letter of the choice question) is the first meaningful token of the answer, because
further back the probabilities depend on what the model has already said, in a thought as well as aloud.
"""

import re
from collections.abc import Iterable

from limen.parsing import thought

YES = frozenset({"yes", "是", "是的", "有"})
NO = frozenset({"no", "否", "不", "不是", "没", "没有", "沒有", "无", "無"})
_EDGES = re.compile(r"^[\W_\u0120\u2581\u010a]+|[\W_\u0120\u2581\u010a]+$")  # also the blanks of raw BPE tokens
_BLANKS = re.compile(r"[\u0120\u2581\u010a]")
_NO_LETTERS = re.compile(r"[\W_\u0120\u2581\u010a]+")
_LETTERS = re.compile(r"\bA[.):]\s*Yes\b.*\bB[.):]\s*No\b", re.DOTALL)


def bare(token: str) -> str:
    """Return a token without blanks, brackets and punctuation around it, in lower case ("<Yes" -> "yes")."""
    return _EDGES.sub("", token).lower()


def flag_position(tokens: Iterable[str], text: str | None = None) -> int | None:
    """Return the position of the first token that carries a word ("<" before "yes" is passed over), or None.

    Args:
        tokens: of the answer, the first few or all.
        text: the whole answer. Where it holds a thought, or does not begin with these tokens (a server that takes a
            thought out of the text may leave it in the tokens), no position is the flag's.
    """
    held = list(tokens)
    place = next((position for position, token in enumerate(held) if bare(token)), None)
    if place is None or text is None:
        return place
    said, told = _letters(text), ""
    for token in held[place:]:
        letters = _letters(token)
        if not _BLANKS.sub("", token).isascii() or len(told) >= len(said):
            break
        told += letters
    begins = said.startswith(told) or told.startswith(said)
    return place if said and begins and not thought.holds(text) else None


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text).lower()


def offers_letters(text: str) -> bool:
    """Say whether a question's text offers "A. Yes" and "B. No": elsewhere "A" is an article, not a flag."""
    return _LETTERS.search(text) is not None


def flag_mass(candidates: Iterable[tuple[str, float]], *, letters: bool = True) -> tuple[float, float] | None:
    """Return p(yes) and p(neither) at one position of an answer.

    Args:
        candidates: token texts with their probabilities (0..1), those known; what is missing counts as neither.
        letters: whether A is a yes and B a no (`offers_letters` of the question's text).

    Returns:
        The mass on yes forms as a share of yes and no forms, and the mass on neither form; None where no
        candidate is a form of either.
    """
    yes = no = 0.0
    for token, probability in candidates:
        word = bare(token)
        if word in YES or (letters and word == "a"):
            yes += probability
        elif word in NO or (letters and word == "b"):
            no += probability
    if not yes + no > 0.0:
        return None
    return yes / (yes + no), max(0.0, 1.0 - yes - no)
