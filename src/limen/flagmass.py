"""How sure a model was of its flag: p(yes) from the probabilities of the tokens at the flag's position.

Chen et al. (2025, arXiv:2507.00490) read the flag from the text alone; this number beside it is ours. It is taken
only where the flag (or the letter of the choice question) is the first meaningful token of the answer, because
further back the probabilities depend on what the model has already said.
"""

import re
from collections.abc import Iterable

YES = frozenset({"yes", "是", "是的", "有"})
NO = frozenset({"no", "否", "不", "不是", "没", "没有", "沒有", "无", "無"})
_EDGES = re.compile(r"^[\W_\u0120\u2581\u010a]+|[\W_\u0120\u2581\u010a]+$")  # also the blanks of raw BPE tokens
_LETTERS = re.compile(r"\bA[.):]\s*Yes\b.*\bB[.):]\s*No\b", re.DOTALL)


def bare(token: str) -> str:
    """Return a token without blanks, brackets and punctuation around it, in lower case ("<Yes" -> "yes")."""
    return _EDGES.sub("", token).lower()


def flag_position(tokens: Iterable[str]) -> int | None:
    """Return the position of the first token that carries a word ("<" before "yes" is passed over), or None."""
    return next((position for position, token in enumerate(tokens) if bare(token)), None)


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
