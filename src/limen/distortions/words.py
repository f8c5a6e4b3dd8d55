"""Changes of a question's words: of characters, of words, and of what stands between sentences.

The three kinds are those of the paper (Chen et al. 2025, arXiv:2507.00490, figure "text attack"), which states no more
of them than an example. What it counts is kept: characters with spaces, and words, without the picture's slot. Ours:
the rules below, the order of edits drawn once a series, and random words where it has random strings.

A series is a list of edits of the question in the order drawn; a level makes the first ones, so that what is perturbed
at a level stays so at every higher one. Left alone in all three kinds: slots (`<image 1>`, `{word}`), formulas between
dollar signs, options written into the question ("A. red" on a line of its own, and a line from "(A)" on). The options
of a form, and the sentence that asks for it, are no part of the question.
"""

import bisect
import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from limen.distortion import distortion
from limen.distortions import _vocabulary as vocabulary
from limen.item import Item
from limen.ladder import Domain, Ladder

Reword: TypeAlias = Callable[[float], Item]

PERCENT = Domain(0, 100, neutral=0)
STRENGTHS = tuple(2.5 * k for k in range(1, 21))  # hold the paper's 5, 10, 15, 20, 25, 30 and 50
LETTERS = "abcdefghijklmnopqrstuvwxyz"

_SLOT = r"<[A-Za-z|/][^<>\n]*>|\{[^{}\n]*\}|\$[^$\n]+\$"  # not "x < 3 and y > 2"
_OPTION = r"^[ \t]*[A-Za-z][.):][ \t][^\n]*|\([Aa]\)[ \t][^\n]*"
_OPTIONS = re.compile(_OPTION, re.MULTILINE)
_KEPT = re.compile(f"{_OPTION}|{_SLOT}", re.MULTILINE)
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|‘[^’\n]*’|(?<!\w)'[^'\n]*'(?!\w)")
_RUN = re.compile(r"\w+")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_END = re.compile(r"[.!?。！？]+[\"'”’)]*(?=\s|$)|(?=\n)|\Z")
_ABBREVIATED = re.compile(r"(?:^|[\s(.])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|vs|etc|Fig|Figs|Eq|No|cf|approx)\.$")
_VOWEL = re.compile(r"(?!eu|one|ewe|uni(?!n)|us[aeiu]|ut[ei]|ur[aei])[aeiou]|hour|hon[eo]|heir")

# Behind a verb these make another verb of it: "look for", "carry out".
_PARTICLES = frozenset({
    "about", "across", "along", "apart", "around", "as", "aside", "at", "away", "back", "down", "for", "forward",
    "into", "like", "off", "on", "out", "over", "through", "to", "together", "up", "upon",
})  # fmt: skip
_BEFORE_NOUNS = frozenset({
    "a", "an", "the", "his", "her", "its", "their", "my", "your", "our", "any", "some", "no", "every",
})  # fmt: skip
_BEFORE_VERBS = frozenset({"to", "can", "will", "would", "could", "should", "must", "might", "may"})
_TO_OR = 2  # words beside an "or" are taken for alternatives


class Edit(NamedTuple):
    """What stands at `start` to `end` becomes `new`; `cost` characters or words of the question are perturbed by it."""

    start: int
    end: int
    new: str
    cost: int = 1


class Word(NamedTuple):
    """A word of the question: where it stands, in lower case, and whether a sentence begins with it."""

    start: int
    end: int
    lower: str
    first: bool


@distortion(
    "text-characters",
    word="wording",
    ladder=Ladder(STRENGTHS, unit="% of the characters"),
    of="question",
    domain=PERCENT,
)
def text_characters(item: Item, rng: np.random.Generator) -> Reword:
    """Swap, delete, insert and repeat letters of the question, a share of its characters.

    Characters are counted with spaces and punctuation; a swap with the letter behind it perturbs two of them, the
    others one. Only letters are perturbed, each once, in words of two or more letters and no digit; no word loses all
    of its letters. Swapped letters leave capitals where they were.
    """
    text, kept = item.question, _spans(_KEPT, item.question)
    runs = [run for run in _RUN.finditer(text) if len(run[0]) > 1 and not any(c.isdigit() or c == "_" for c in run[0])]
    letters = {
        place: number
        for number, run in enumerate(runs)
        if not _inside(kept, run.start())
        for place in range(run.start(), run.end())
        if text[place].isalpha() and not unicodedata.category(text[place + 1 : place + 2] or " ").startswith("M")
    }
    foreign = "".join(sorted({text[place] for place in letters if not text[place].isascii()}))
    left = [len(run[0]) for run in runs]
    places = list(letters)
    edits: list[Edit] = []
    touched: set[int] = set()
    draws = rng.integers(2**31, size=(len(places), 3))
    for index, (kind, other, letter) in zip(rng.permutation(len(places)), draws.tolist(), strict=True):
        place = places[index]
        if place in touched:
            continue
        word, here, there = letters[place], text[place], text[place + 1 : place + 2]
        kind %= 4
        if kind == 0 and (letters.get(place + 1) != word or place + 1 in touched or here.lower() == there.lower()):
            kind = 1 + other % 3
        if kind == 1 and left[word] == 1:
            kind = 2 + other % 2
        if kind == 0:
            edits.append(Edit(place, place + 2, _cased(there, here) + _cased(here, there), 2))
            touched.add(place + 1)
        elif kind == 1:
            edits.append(Edit(place, place + 1, ""))
            left[word] -= 1
        else:
            new = here if kind == 3 else _another(here, LETTERS if here.isascii() else foreign, letter)
            like = here if runs[word][0].isupper() else "a"
            edits.append(Edit(place, place + 1, here + _cased(new, like)))
        touched.add(place)
    return _reworder(item, edits, len(text) - sum(end - start for start, end in kept))


@distortion(
    "text-words", word="wording", ladder=Ladder(STRENGTHS, unit="% of the words"), of="question", domain=PERCENT
)
def text_words(item: Item, rng: np.random.Generator) -> Reword:
    """Replace words by synonyms and phrases by others, a share of the question's words.

    Synonyms are WordNet's (Fellbaum 1998), in the same part of speech, number and form; phrases are ours. A phrase
    counts as those of its words that go. Where fewer words can be replaced than a level asks for, all that can are:
    such levels have equal texts. That is so in most questions from 8 to 30 % on.

    Left alone: numbers, negations, words that ask, names (capitals within a sentence; a sentence's first word too,
    since its capital hides whether it is one), what is quoted, words beside an "or", words of the form's options,
    expressions of two words that WordNet knows ("car door"), verbs with a particle ("work out").
    """
    text = item.question
    words = _words(text)
    quoted = _spans(_QUOTED, text)
    options = {word.lower for option in getattr(item.form, "options", ()) for word in _words(option)}
    edits: list[Edit] = []
    place = 0
    while place < len(words):
        if _inside(quoted, words[place].start):
            place += 1
            continue
        length, given = _phrase(text, words, place)
        if not given:
            length, given = 1, _synonyms(text, words, place)
        if given and not options.intersection(word.lower for word in words[place : place + length]):
            edits.append(_replacement(text, words, place, length, given[int(rng.integers(len(given)))]))
        place += length
    return _reworder(item, [edits[index] for index in rng.permutation(len(edits))], len(words))


@distortion(
    "text-sentences", word="wording", ladder=Ladder(STRENGTHS, unit="% of the words"), of="question", domain=PERCENT
)
def text_sentences(item: Item, rng: np.random.Generator) -> Reword:
    """Put random words before, between and behind the question's sentences, a share of its words.

    The words are nouns for what is not seen in a picture, none of them the question's or an option's. The paper has
    strings of random characters, a share of the question's characters; ours are words, as no model reads a string of
    random characters as one thing.
    """
    text = item.question
    words = _words(text)
    used = set(map(str.lower, _WORD.findall(item.text)))
    pool = [word for word in vocabulary.random_words() if word not in used]
    places = [0, *_ends(text)]
    drawn = zip(rng.integers(len(places), size=len(words)), rng.integers(len(pool), size=len(words)), strict=True)
    edits = [
        Edit(places[place], places[place], f" {pool[word]}" if place else f"{pool[word]} ") for place, word in drawn
    ]
    return _reworder(item, edits, len(words))


def _reworder(item: Item, edits: Sequence[Edit], whole: int) -> Reword:
    """Return a function from a strength, in % of `whole`, to the item after the first of the edits."""

    def reword(strength: float) -> Item:
        wanted = math.floor(strength * whole / 100 + 0.5)
        chosen: list[Edit] = []
        for edit in edits:
            if wanted <= 0:
                break
            chosen.append(edit)
            wanted -= edit.cost
        if not chosen:
            return item
        parts: list[str] = []
        last = 0
        for edit in sorted(chosen, key=lambda edit: edit.start):  # stable: words at one place in the order drawn
            parts += [item.question[last : edit.start], edit.new]
            last = edit.end
        return replace(item, question="".join([*parts, item.question[last:]]))

    return reword


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [found.span() for found in pattern.finditer(text)]


def _inside(spans: Sequence[tuple[int, int]], place: int) -> bool:
    """Say whether a place lies in one of the spans, which are in order."""
    index = bisect.bisect_right(spans, (place, math.inf)) - 1
    return index >= 0 and place < spans[index][1]


def _cased(letter: str, like: str) -> str:
    """Return a letter, as capital or not as another is, where it is one character either way."""
    cased = letter.upper() if like.isupper() else letter.lower()
    return cased if len(cased) == 1 else letter


def _another(letter: str, letters: str, draw: int) -> str:
    """Return one of the letters, another one than the one given if there is one."""
    place = draw % len(letters)
    return letters[place] if letters[place] != letter.lower() else letters[(place + 1) % len(letters)]


def _words(text: str) -> list[Word]:
    kept, ends = _spans(_KEPT, text), _ends(text)
    found: list[Word] = []
    for word in _WORD.finditer(text):
        if not _inside(kept, word.start()):
            before = bisect.bisect_right(ends, word.start())
            first = not found or before > bisect.bisect_right(ends, found[-1].start)
            found.append(Word(*word.span(), word[0].lower(), first))
    return found


def _ends(text: str) -> list[int]:
    """Return where the sentences end: behind their marks, before a new line, at the end; not within what is kept."""
    kept, options = _spans(_KEPT, text), _spans(_OPTIONS, text)
    found: list[int] = []
    for end in _END.finditer(text):
        place = end.end()
        follows = text[place : place + 2].strip()
        goes_on = end[0] == "." and (follows.islower() or _ABBREVIATED.search(text[max(0, place - 8) : place]))
        if (
            goes_on
            or _inside(kept, place)
            or _inside(options, place - 1)
            or not text[(found or [0])[-1] : place].strip()
        ):
            continue
        found.append(place)
    return found


def _apart(text: str, one: Word, other: Word) -> bool:
    """Say whether more than a space stands between two words."""
    return text[one.end : other.start] != " "


def _phrase(text: str, words: Sequence[Word], place: int) -> tuple[int, Sequence[str]]:
    """Return how many words the longest phrase has that begins at a word, and what may stand for it."""
    first = words[place].first
    if not (first or text[words[place].start].islower()):
        return 1, ()
    for length in range(vocabulary.LONGEST, 0, -1):
        there = words[place : place + length]
        if len(there) < length or any(_apart(text, *two) or two[1].first for two in itertools.pairwise(there)):
            continue
        if any(text[word.start].isupper() for word in there[1:]):
            continue
        known = vocabulary.phrases().get(" ".join(word.lower for word in there))
        behind = words[place + length] if place + length < len(words) else None
        if not known or (known.first and not first):
            continue
        if behind and not behind.first and (known.last or behind.lower in known.without or behind.lower[0].isdigit()):
            continue
        return length, known.given
    return 1, ()


def _synonyms(text: str, words: Sequence[Word], place: int) -> Sequence[str]:
    """Return the synonyms that may stand for a word where it is."""
    word = words[place]
    kind, given = vocabulary.synonyms().get(word.lower, ("", ()))
    if not given or word.first or not text[word.start : word.end].islower():
        return ()
    before = words[place - 1] if place else None
    behind = words[place + 1] if place + 1 < len(words) else None
    if "or" in {one.lower for one in words[max(0, place - _TO_OR) : place + _TO_OR + 1]}:
        return ()
    if before and not _apart(text, before, word):
        if f"{before.lower} {word.lower}" in vocabulary.collocations():
            return ()
        if (kind == "v" and before.lower in _BEFORE_NOUNS) or (kind == "n" and before.lower in _BEFORE_VERBS):
            return ()
    if behind and not _apart(text, word, behind):
        if f"{word.lower} {behind.lower}" in vocabulary.collocations():
            return ()
        if kind == "v" and behind.lower in _PARTICLES:
            return ()
    return given


def _replacement(text: str, words: Sequence[Word], place: int, length: int, new: str) -> Edit:
    """Return the edit that puts `new` in place of words, with the article before them."""
    start, end = words[place].start, words[place + length - 1].end
    kept = new.lower().split()
    cost = sum(word.lower not in kept for word in words[place : place + length]) or 1
    if text[start].isupper():
        new = new[0].upper() + new[1:]
    before = words[place - 1] if place else None
    if before and before.lower in ("a", "an") and not _apart(text, before, words[place]):
        article = "an" if _VOWEL.match(new.lower()) else "a"
        if article != before.lower:
            article = article.capitalize() if text[before.start].isupper() else article
            return Edit(before.start, end, f"{article} {new}", cost)
    return Edit(start, end, new, cost)
