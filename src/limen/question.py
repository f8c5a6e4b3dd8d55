"""What a question is: wording and reading in one object.

`ask` makes the queries for one pair of images, `read` turns their answers into a verdict. The wordings are the
paper's (Chen et al. 2025, arXiv:2507.00490, pipeline figure); the paraphrases, asked once more after an
unreadable answer, are ours.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from limen import digest as digests
from limen.errors import UnknownNameError
from limen.image import Picture
from limen.parsing.forced_choice import read_position
from limen.parsing.yes_no import READER_VERSION, Flag, Verdict, read_choice, read_direct
from limen.trial import Answer


@dataclass(frozen=True, slots=True)
class Query:
    """One request: pictures and text in the order in which the observer gets them.

    Attributes:
        parts: pictures and texts.
        draw: the number of a repeated draw from an observer that samples; a greedy one has only draw 0.

    Example:
        >>> import numpy as np
        >>> from limen import Picture, Query
        >>> first, second = (Picture.of(np.full((32, 32, 3), grey, dtype=np.uint8)) for grey in (100, 101))
        >>> query = Query((first, second, "Do they differ?"))
        >>> query.text, len(query.pictures)
        ('Do they differ?', 2)
    """

    parts: tuple[Picture | str, ...]
    draw: int = 0

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures, in order."""
        return tuple(part for part in self.parts if isinstance(part, Picture))

    @property
    def text(self) -> str:
        """The text parts, in order, one a line."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def shown(self) -> list[list[str]]:
        """What is shown, as keys are made of it: text verbatim, pictures by the digest of their pixels."""
        return [["text", part] if isinstance(part, str) else ["picture", part.digest] for part in self.parts]

    def key(self, fingerprint: str) -> str:
        """Return the key of the answer: what was shown to whom. Never a document's name, a path or a time."""
        return digests.of([fingerprint, self.shown, self.draw])


class Order(StrEnum):
    """In which order reference, stimulus and question are shown."""

    REFERENCE_FIRST = "reference-first"
    SWAPPED = "swapped"
    BALANCED = "balanced"
    REFERENCE_QUESTION_TEST = "ref-question-test"


@dataclass(frozen=True, slots=True)
class Wording:
    """Templates of one question; `{word}` is what the distortion is called.

    Attributes:
        explicit: names the distortion.
        implicit: does not.
        perspectives: for views of a 3D scene.
    """

    explicit: str
    implicit: str
    perspectives: str

    def fill(self, word: str, implicit: bool) -> str:
        """Return the text for one distortion."""
        if word == "perspectives":
            return self.perspectives
        return self.implicit if implicit else self.explicit.format(word=word)


_DIRECT = " Please return <yes> or <no> with analysis."
_CHOICE = "\nA. Yes; B. No\nAnswer with the option's letter from the given choices directly."
_PAPER = (
    'Is there any noticeable difference in "{word}" between these two images?',
    "Is there any noticeable difference between these two images?",
    "Is there any noticeable difference in the perspectives of these two images?",
)
_OURS = (
    'Compare the first image with the second. Do they differ noticeably in "{word}"?',
    "Compare the first image with the second. Do they differ noticeably?",
    "Compare the first image with the second. Do their perspectives differ noticeably?",
)


def _wording(stems: tuple[str, ...], ending: str) -> Wording:
    return Wording(*(stem + ending for stem in stems))


@dataclass(frozen=True, slots=True)
class Question:
    """One way to ask whether two images differ, and to read what is answered.

    Attributes:
        name: "direct", "direct-implicit", "choice" or "choice-implicit".
        wording: asked first.
        paraphrase: asked once more if the answer cannot be read.
        implicit: whether the distortion goes unnamed.
        reader: turns one answer's text and finish reason into a verdict.
        order: of reference, stimulus and question.
        forced: which of the two shows more? Then the order is drawn by name, and a yes is a right choice.
    """

    name: str
    wording: Wording
    paraphrase: Wording
    implicit: bool
    reader: Callable[[str, str], Verdict]
    order: Order = Order.REFERENCE_FIRST
    forced: bool = False

    def ask(
        self, word: str, reference: Picture, stimulus: Picture, again: bool = False, swapped: bool = False,
        name: str = "",
    ) -> tuple[Query, ...]:  # fmt: skip
        """Return the queries that show one pair.

        Args:
            word: what the distortion is called in the question, any text.
            reference: the picture at the reference's level.
            stimulus: the picture compared with it.
            again: use the paraphrase.
            swapped: show the pair the other way round than `order` says: a declared second draw.
            name: of the comparison; draws the order of a forced choice.
        """
        text = (self.paraphrase if again else self.wording).fill(word, self.implicit)
        first, second = reference, stimulus
        if self._swap(word, reference, stimulus, name) != swapped:
            first, second = stimulus, reference
        if self.order is Order.REFERENCE_QUESTION_TEST:
            return (Query((first, text, second)),)
        return (Query((first, second, text)),)

    def read(
        self, answers: tuple[Answer, ...], again: tuple[Answer, ...] = (), swapped: bool = False, name: str = ""
    ) -> Verdict:
        """Read the answers to the queries of one `ask`; those to the paraphrase count where the first say nothing.

        `name` and `swapped` as they were asked: a forced choice needs them to know which picture was which.

        Args:
            answers: to the queries of one `ask`: one.
            again: to the paraphrase; () where it was not asked.
            swapped: as it was asked.
            name: of the comparison, as it was asked.
        """
        (answer,) = answers
        verdict = self.reader(answer.text, answer.finish)
        if verdict.flag is Flag.UNREADABLE:
            second = self.read(again, (), swapped, name) if again else verdict
            return second if second.flag is not Flag.UNREADABLE else verdict
        if self.forced and self._drawn(name) != swapped:
            return Verdict(Flag.NO if verdict.yes else Flag.YES, verdict.fault)
        return verdict

    @property
    def text(self) -> str:
        """The template it asks first."""
        return self.wording.implicit if self.implicit else self.wording.explicit

    @property
    def digest(self) -> str:
        """Identity of what is asked: wordings and order (not of how it is read)."""
        first, again = self.wording, self.paraphrase
        texts = [
            first.explicit,
            first.implicit,
            first.perspectives,
            again.explicit,
            again.implicit,
            again.perspectives,
        ]
        return digests.of([*texts, self.implicit, self.order.value])

    def _swap(self, word: str, reference: Picture, stimulus: Picture, name: str) -> bool:
        if self.forced:
            return self._drawn(name)
        if self.order is Order.BALANCED:
            return digests.seed("order", word, reference.digest, stimulus.digest) % 2 == 1
        return self.order is Order.SWAPPED

    def _drawn(self, name: str) -> bool:
        return digests.seed("forced choice", name) % 2 == 1


_CHOOSE = " Please return <first> or <second> with analysis."
_MORE = (
    'Which of these two images shows more "{word}", the first or the second?',
    *["Which of these two images is more distorted, the first or the second?"] * 2,
)
_MORE_OURS = (
    'Compare the first image with the second. Is "{word}" stronger in the first or in the second?',
    *["Compare the first image with the second. Is the first or the second more distorted?"] * 2,
)

_QUESTIONS = {
    question.name: question
    for question in (
        Question("direct", _wording(_PAPER, _DIRECT), _wording(_OURS, _DIRECT), False, read_direct),
        Question("direct-implicit", _wording(_PAPER, _DIRECT), _wording(_OURS, _DIRECT), True, read_direct),
        Question("choice", _wording(_PAPER, _CHOICE), _wording(_OURS, _CHOICE), False, read_choice),
        Question("choice-implicit", _wording(_PAPER, _CHOICE), _wording(_OURS, _CHOICE), True, read_choice),
        Question(
            "forced-choice", _wording(_MORE, _CHOOSE), _wording(_MORE_OURS, _CHOOSE), False, read_position, forced=True
        ),
    )
}


def find(name: str, order: Order = Order.REFERENCE_FIRST) -> Question:
    """Return the question `name` in the given order, or raise `UnknownNameError`."""
    if name not in _QUESTIONS:
        raise UnknownNameError("question", name, _QUESTIONS)
    known = _QUESTIONS[name]
    return dataclasses.replace(known, order=order)


def every() -> tuple[Question, ...]:
    """Return all questions."""
    return tuple(_QUESTIONS.values())


__all__ = [
    "READER_VERSION",
    "Answer",
    "Flag",
    "Order",
    "Query",
    "Question",
    "Verdict",
    "Wording",
    "every",
    "find",
]
