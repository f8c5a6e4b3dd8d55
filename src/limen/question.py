"""What a question is: wording, form of the answer, and what an answer is held against.

`ask` makes the queries for one comparison, `read` turns their answers into a verdict. Four verdicts there are:

- *differs*: two pictures are shown, and the answer says that they differ (Chen et al. 2025, arXiv:2507.00490);
- *picks*: several pictures are shown, and the answer picks the one that was changed (m-alternative forced choice);
- *changes*: the reference and the stimulus are shown, each alone, and the answers are not the same; to say, asked
  twice, that one cannot tell is another answer too;
- *wrong*: the same, and the stimulus's answer is not the right one.

To add a question, put a file into `questions/`, a file of your own beside your study (`--plugin FILE`), or a table into
a study file:

    question(name="same", text="Are these two images identical? Reply with yes or no.", notices=["no"])
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec

from limen import digest as digests
from limen import registry
from limen.errors import InputError, UnknownNameError
from limen.image import Picture
from limen.item import Item
from limen.parsing import forms
from limen.parsing.forms import Form, Place, YesNo
from limen.parsing.reading import Reading
from limen.parsing.yes_no import READER_VERSION, Flag, Verdict
from limen.trial import Answer

Reader: TypeAlias = Callable[[str, str], Reading]
DRAWS = 5  # of one picture, where an observer samples and its answers are compared: the majority counts
SLOT = re.compile(r"<image ([1-9])>")
ITEM = "{item}"


@dataclass(frozen=True, slots=True)
class Query:
    """One request: pictures and text in the order in which the observer gets them.

    Attributes:
        parts: pictures and texts.
        draw: the number of a repeated draw from an observer that samples; a greedy one has only draw 0.
        flags: how to answer that nothing and that something is noticed, for observers that judge by a number; () where
            the question has no such answers, None where its text tells (`limen.observer.flagged`). Never shown.

    Examples:
        >>> import numpy as np
        >>> from limen import Picture, Query
        >>> first, second = (Picture.of(np.full((32, 32, 3), grey, dtype=np.uint8)) for grey in (100, 101))
        >>> query = Query((first, second, "Do they differ?"))
        >>> query.text, len(query.pictures)
        ('Do they differ?', 2)
    """

    parts: tuple[Picture | str, ...]
    draw: int = 0
    flags: tuple[str, ...] | None = None

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


class VerdictKind(StrEnum):
    """What an answer is held against, and so what a yes is."""

    DIFFERS = "differs"
    PICKS = "picks"
    CHANGES = "changes"
    WRONG = "wrong"


ALONE = (VerdictKind.CHANGES, VerdictKind.WRONG)  # the reference and the stimulus are shown each alone
JUDGED = "judged elsewhere"  # finish of a recorded answer that is the verdict itself: nobody knows the place picked
_SAID = {
    VerdictKind.PICKS: ("wrong", "correct"),
    VerdictKind.CHANGES: ("unchanged", "changed"),
    VerdictKind.WRONG: ("right", "wrong"),
}  # of a difference, the form says how it is said

_YES_NO = YesNo()


@dataclass(frozen=True, slots=True)
class Question:
    """One way to ask, and to judge what is answered.

    Attributes:
        name: unique among questions; also the column of tables.
        text: asked first. `{word}` is what the distortion is called, `{item}` the item's own question; `<image 1>` to
            `<image 9>` stand where pictures are shown within the text, all of them or none.
        paraphrases: other wordings; the first is asked once more where an answer cannot be read.
        form: in which the answer is wanted; None for the item's own.
        notices: values of the form that say "they differ".
        verdict: what an answer is held against.
        order: of reference, stimulus and question, where two pictures are shown before the text.
        special: other texts for certain words: the word, then text and paraphrases.
        of: the question of which it is another wording; "" for none.
        identity: what the digest is made of for questions older than forms; () for the rest.
        reader: reads in place of the form: one that remembers what it has read.
    """

    name: str
    text: str
    paraphrases: tuple[str, ...] = ()
    form: Form | None = _YES_NO
    notices: tuple[str, ...] = ("yes",)
    verdict: VerdictKind = VerdictKind.DIFFERS
    order: Order = Order.REFERENCE_FIRST
    special: tuple[tuple[str, tuple[str, ...]], ...] = ()
    of: str = ""
    identity: tuple[Any, ...] = ()
    reader: Reader | None = dataclasses.field(default=None, compare=False)

    @property
    def alone(self) -> bool:
        """Whether reference and stimulus are shown each alone, and their answers compared."""
        return self.verdict in ALONE

    @property
    def forced(self) -> bool:
        """Whether an answer is right or wrong by its place, so that blind guessing is right at a known rate."""
        return self.verdict is VerdictKind.PICKS

    @property
    def pictures(self) -> int:
        """How many pictures a query shows."""
        return 1 if self.alone else self.form.pictures if isinstance(self.form, Place) else 2

    @property
    def guess(self) -> float | None:
        """Rate at which guessing is right; None where it is not known beforehand (false alarms, unrest)."""
        return 1 / self.pictures if self.forced else None

    @property
    def midpoint(self) -> float:
        """The share of answers halfway between guessing and certainty: a half, in a forced choice (1 + 1/m) / 2."""
        return (1 + (self.guess or 0.0)) / 2

    @property
    def verdicts(self) -> tuple[str, str]:
        """What is said of an answer where nothing and where something is noticed: ("no", "yes"), ("wrong", "correct").

        Their shares are called by the second word: the proportion yes, correct, different, changed.
        """
        if self.verdict in _SAID:
            return _SAID[self.verdict]
        if self.form is not None and self.form.differs and self.notices == (self.form.differs,):
            (other,) = (value for value in self.form.spelled if value != self.form.differs)
            return other, self.form.differs
        return "unnoticed", "noticed"

    @property
    def half(self) -> str:
        """What is reached at the `midpoint`: "half yes", "75 % correct"."""
        word = self.verdicts[1]
        return f"half {word}" if self.guess is None else f"{100 * self.midpoint:.3g} % {word}"

    @property
    def implicit(self) -> bool:
        """Whether the distortion goes unnamed."""
        return "{word}" not in self.text

    @property
    def itemised(self) -> bool:
        """Whether it is the item's own question that is asked."""
        return any(ITEM in text for text in (self.text, *self.paraphrases))

    def wordings(self, count: int) -> tuple["Question", ...]:
        """Return its first paraphrases as questions of their own, named `NAME~1` and so on.

        Args:
            count: how many, 0 for none.

        Raises:
            InputError: it has fewer.
        """
        if count > len(self.paraphrases):
            raise InputError(
                f"Question {self.name!r} has {len(self.paraphrases)} paraphrases, not {count}. Write more into "
                "paraphrases = [...] of a question of your own, or ask for fewer."
            )
        found = []
        for at in range(count):
            text, *others = (self.paraphrases[at], self.text, *self.paraphrases[:at], *self.paraphrases[at + 1 :])
            special = tuple(
                (word, (texts[at + 1], texts[0], *texts[1 : at + 1], *texts[at + 2 :])) for word, texts in self.special
            )
            found.append(
                dataclasses.replace(
                    self, name=f"{self.name}~{at + 1}", text=text, paraphrases=tuple(others), special=special,
                    of=self.name, identity=(),
                )
            )  # fmt: skip
        return tuple(found)

    def fill(self, word: str, variant: int = 0, item: Item | None = None) -> str:
        """Return the text for one distortion.

        Args:
            word: what the distortion is called, any text.
            variant: 0 for the text, k for the k-th paraphrase (the last one where there are fewer).
            item: whose question it asks, where it asks an item's.
        """
        texts = dict(self.special).get(word, (self.text, *self.paraphrases))
        text = texts[min(variant, len(texts) - 1)].replace("{word}", word)
        return text if item is None else text.replace(ITEM, item.text)

    def ask(
        self, word: str, reference: Picture, stimulus: Picture, again: bool = False, shift: int = 0, name: str = "",
        *, items: tuple[Item | None, Item | None] = (None, None), draws: int = 1,
    ) -> tuple[Query, ...]:  # fmt: skip
        """Return the queries that show one comparison: one; or each picture alone, `draws` times each.

        Args:
            word: what the distortion is called in the question, any text.
            reference: the picture at the reference's level.
            stimulus: the picture compared with it.
            again: use the paraphrase.
            shift: how often places are moved on from where they were drawn: of a declared second draw 1, and so on.
            name: of the comparison; draws the places of a forced choice.
            items: asked of the reference and of the stimulus.
            draws: of each picture shown alone, >= 1; the majority counts.
        """
        if self.alone:
            sides = zip((reference, stimulus), items, strict=True)
            texts = [(picture, self.fill(word, int(again), item)) for picture, item in sides]
            return tuple(Query(_placed(text, (picture,)), draw, ()) for picture, text in texts for draw in range(draws))
        text = self.fill(word, int(again))
        if self.forced:
            shown = [reference] * self.pictures
            shown[self.place(name, shift) - 1] = stimulus
            return (Query(_placed(text, shown), flags=()),)
        first, second = reference, stimulus
        if self._swap(word, reference, stimulus) != bool(shift % 2):
            first, second = stimulus, reference
        if self.order is Order.REFERENCE_QUESTION_TEST:
            return (Query((first, text, second), flags=self._flags),)
        return (Query(_placed(text, (first, second)), flags=self._flags),)

    def read(
        self, answers: tuple[Answer, ...], again: tuple[Answer, ...] = (), shift: int = 0, name: str = "",
        item: Item | None = None, other: Item | None = None,
    ) -> Verdict:  # fmt: skip
        """Read the answers to the queries of one `ask`; those to the paraphrase count where the first say nothing.

        Args:
            answers: to the queries of one `ask`, in their order.
            again: to the paraphrase; () where it was not asked.
            shift: as it was asked.
            name: of the comparison, as it was asked.
            item: that was asked, where the question asks an item's.
            other: asked of the stimulus, where its options stood in another order; None for the same.
        """
        verdict = self._read(answers, shift, name, item, other)
        if verdict.flag is Flag.UNREADABLE and again:
            second = self._read(again, shift, name, item, other)
            if second.flag is not Flag.UNREADABLE:
                return second
            if self.alone and self._falls_silent(answers, again, item):
                return Verdict(Flag.YES, verdict.fault)
        return verdict

    def _falls_silent(self, answers: tuple[Answer, ...], again: tuple[Answer, ...], item: Item | None) -> bool:
        """Say whether the reference has an answer and the stimulus, asked twice, a refusal ("I cannot tell").

        That is another answer; one that was cut off or filtered is none.
        """
        sides = [(asked[: len(asked) // 2], asked[len(asked) // 2 :]) for asked in (answers, again)]
        whole = all(answer.finish not in ("length", "content_filter") for _, now in sides for answer in now)
        return whole and any(self.value(anchor, item).value is not None for anchor, _ in sides)

    def _read(
        self, answers: tuple[Answer, ...], shift: int, name: str, item: Item | None, other: Item | None
    ) -> Verdict:
        if self.alone:
            half = len(answers) // 2
            anchor, now = self.value(answers[:half], item), self.value(answers[half:], other or item)
            if anchor.value is None or now.value is None:
                return Verdict(Flag.UNREADABLE, (anchor if anchor.value is None else now).fault)
            if item is not None and other is not None:
                now = Reading(item.value_of(other, now.value), now.fault)
            return Verdict(Flag.YES if self._apart(anchor.value, now.value or "", item) else Flag.NO, now.fault)
        (answer,) = answers
        if self.forced and answer.finish == JUDGED:
            return Verdict(Flag.YES if answer.text == self.verdicts[1] else Flag.NO)
        reading = self._reading(answer, item)
        if reading.value is None:
            return Verdict(Flag.UNREADABLE, reading.fault)
        wanted = (str(self.place(name, shift)),) if self.forced else self.notices
        return Verdict(Flag.YES if reading.value in wanted else Flag.NO, reading.fault)

    def value(self, answers: Sequence[Answer], item: Item | None = None) -> Reading:
        """Return what the majority of the draws of one picture says; unreadable where half or more are.

        Of values that are said equally often the one said first counts.

        Args:
            answers: one or more.
            item: that was asked, where the question asks an item's.
        """
        readings = [self._reading(answer, item) for answer in answers]
        said = [reading for reading in readings if reading.value is not None]
        if not said or 2 * len(said) <= len(readings) > 1:
            return Reading(None, next((one.fault for one in readings if one.fault is not None), None))
        same = self.form_of(item).same
        votes = [sum(same(one.value or "", other.value or "") for other in said) for one in said]
        return said[votes.index(max(votes))]

    def excluded(self, answers: tuple[Answer, ...], again: tuple[Answer, ...] = (), item: Item | None = None) -> str:
        """Return why a series cannot be judged, by the answer to its reference: "unreadable", "wrong", "no truth", "".

        Args:
            answers: to the reference shown alone, all draws.
            again: to the paraphrase; () where it was not asked.
            item: that was asked, where the question asks an item's.
        """
        value = self.value(answers, item).value or (self.value(again, item).value if again else None)
        if value is None:
            return "unreadable"
        if self.verdict is VerdictKind.WRONG:
            right = item.right(value) if item is not None else None
            return "no truth" if right is None else "" if right else "wrong"
        return ""

    def place(self, name: str, shift: int = 0) -> int:
        """Return where a forced choice shows the stimulus, 1 for the first picture.

        Every place comes once in each block of as many neighbouring levels of a series, in an order drawn by name; two
        pictures of the question of 0.1 are drawn one by one.

        Args:
            name: of the comparison.
            shift: how often it is moved on.
        """
        count = self.pictures
        if self.identity:
            return 1 + (digests.seed("forced choice", name) + 1 + shift) % 2
        series, _, level = name.rpartition("/")
        return 1 + (each_once(count, int(level or 0), "places", series) + shift) % count

    @property
    def about(self) -> dict[str, Any]:
        """All that makes it, as plain data (`recorded`)."""
        return {
            "text": self.text,
            "paraphrases": list(self.paraphrases),
            "form": None if self.form is None else forms.describe(self.form),
            "notices": list(self.notices),
            "verdict": self.verdict.value,
            **({"of": self.of} if self.of else {}),
            **({"special": [[word, list(texts)] for word, texts in self.special]} if self.special else {}),
        }

    @property
    def digest(self) -> str:
        """Identity of what is asked: wordings, form and order (not of how it is read)."""
        if self.identity:
            return digests.of([*self.identity, self.order.value])
        form = None if self.form is None else [self.form.name, self.form.request()]
        special = [[word, list(texts)] for word, texts in self.special]
        texts = [self.text, list(self.paraphrases), *([special] if special else [])]
        return digests.of(["question", *texts, form, self.pictures, self.order.value])

    @property
    def _flags(self) -> tuple[str, ...]:
        """How to answer that nothing and that something is noticed; () where the form has more than two answers."""
        spelled = self.form.spelled if self.form is not None else {}
        said = {value in self.notices: spelling for value, spelling in spelled.items()}
        return (said[False], said[True]) if len(said) == 2 else ()

    def form_of(self, item: Item | None) -> Form:
        """Return the form of the answer: the question's own, or the item's.

        Raises:
            InputError: it asks an item's question, and there is none.
        """
        form = self.form or (item.form if item is not None else None)
        if form is None:
            raise InputError(f"Question {self.name!r} asks an item's question; these references have none.")
        return form

    def reader_of(self, item: Item | None) -> Reader:
        """Return what reads the text of an answer, and why it ended; the one way to it.

        Args:
            item: that was asked, where the question asks an item's.

        Raises:
            InputError: it asks an item's question, and there is none.
        """
        return self.reader or self.form_of(item).reader(self.notices)

    def _reading(self, answer: Answer, item: Item | None) -> Reading:
        return self.reader_of(item)(answer.text, answer.finish)

    def _apart(self, anchor: str, now: str, item: Item | None) -> bool:
        if self.verdict is VerdictKind.WRONG and item is not None and item.truth:
            return not item.right(now)
        return not self.form_of(item).same(anchor, now)

    def _swap(self, word: str, reference: Picture, stimulus: Picture) -> bool:
        if self.order is Order.BALANCED:
            return digests.seed("order", word, reference.digest, stimulus.digest) % 2 == 1
        return self.order is Order.SWAPPED


def each_once(count: int, number: int, *names: str | int) -> int:
    """Return one of 0 to count - 1 for a number, so that each comes once in a block of as many neighbouring numbers.

    Args:
        count: how many there are, >= 1.
        number: of the comparison, from 0.
        *names: draw the order within each block.
    """
    block, spot = divmod(number, count)
    return int(digests.generator(*names, str(block)).permutation(count)[spot])


# --- the shelf, and entries of a study ---


class QuestionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question as a study file (or a plug-in) says it; what it does not say follows from the rest.

    Attributes:
        name: unique among questions; also the column of tables.
        text: with the slots `{word}`, `{item}`, `<image 1>` to `<image 9>`.
        paraphrases: other wordings of the same question; the first is asked once more where an answer is unreadable.
        notices: the answers that say "they differ": values of the form.
        form: yes-no, yes-no-letters, same-different, letters, place, odd-one-out, cell, number or text; "" for the
            item's own where the text holds `{item}`, else letters where there are options, else yes-no.
        order: of reference, stimulus and question.
        pictures: shown at a time: 1 asks of each picture alone, 2 to 9 with the form `place` (or 3 to 9,
            `odd-one-out`) are a forced choice.
        verdict: differs, picks, changes or wrong; "" for what pictures and form say.
        options, rows, columns, tolerance, relative, accepted: of the form (`limen.parsing.forms`).
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[\w][\w .+-]{0,79}$")]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    paraphrases: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)], ...] = ()
    notices: str | tuple[str, ...] = ()
    form: str = ""
    order: Order | None = None
    pictures: Annotated[int, msgspec.Meta(ge=0, le=forms.MOST_PICTURES)] = 0
    verdict: VerdictKind | None = None
    options: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    tolerance: float = 0.0
    relative: bool = False
    accepted: tuple[tuple[str, ...], ...] = ()


_SETTINGS = ("options", "rows", "columns", "tolerance", "relative", "accepted")


def of_table(content: Mapping[str, Any], order: Order = Order.REFERENCE_FIRST) -> Question:
    """Return the question that a table of a study file, or of a plug-in, describes (`QuestionOptions`).

    Args:
        content: the table.
        order: of the study, where the table gives none.

    Raises:
        InputError: something in it is missing, unknown or at odds, named with the question.
    """
    name = content.get("name")
    what = f"Question {name!r}" if isinstance(name, str) else "A question"
    given = registry.settings(what, content, QuestionOptions)
    itemised = any(ITEM in text for text in (given.text, *given.paraphrases))
    form = None if itemised and not given.form else form_of(given, what)
    verdict = given.verdict or _usual(given, form)
    question = Question(
        given.name, given.text, given.paraphrases, form, _notices(given, form, verdict, what), verdict,
        given.order or order,
    )  # fmt: skip
    _check(question, given, what)
    return question


def form_of(given: QuestionOptions, what: str) -> Form:
    """Return the form that a question's settings name."""
    name = given.form or ("yes-no" if not given.options else "letters")
    settings = {key: getattr(given, key) for key in _SETTINGS if getattr(given, key)}
    if name in ("place", "odd-one-out"):
        settings |= {"pictures": given.pictures} if given.pictures else {}
    return form(name, settings, what)


def form(name: str, settings: Mapping[str, Any], what: str = "") -> Form:
    """Return the answer form `name` with its settings.

    Args:
        name: as `limen.parsing.forms.FORMS` has it.
        settings: of the form.
        what: whose form it is, for messages.

    Raises:
        UnknownNameError: there is no such form.
        InputError: a setting that it does not take, or one out of bounds.
    """
    if name not in forms.FORMS:
        raise UnknownNameError("answer form", name, forms.FORMS)
    return registry.settings(f"{what}: form {name!r}".removeprefix(": "), settings, forms.FORMS[name])


def known(form: Form, answer: str, what: str) -> str:
    """Return an answer that a person wrote down, in the form's spelling.

    Args:
        form: of the answer.
        answer: as it was written.
        what: it is, for messages.

    Raises:
        InputError: it is no answer in this form.
    """
    value = form.canonical(answer)
    if value is None:
        right = f"Give {' or '.join(form.spelled)}." if form.spelled else form.request()
        raise InputError(f"{what} is {answer!r}, which is no answer in the form {form.name!r}. {right}")
    return value


def _usual(given: QuestionOptions, form: Form | None) -> VerdictKind:
    if isinstance(form, Place):
        return VerdictKind.PICKS
    alone = set(SLOT.findall(given.text)) == {"1"} if not given.pictures else given.pictures == 1
    one_picture = form is None or ITEM in given.text or alone
    return VerdictKind.CHANGES if one_picture else VerdictKind.DIFFERS


def _notices(given: QuestionOptions, form: Form | None, verdict: VerdictKind, what: str) -> tuple[str, ...]:
    words = (given.notices,) if isinstance(given.notices, str) else given.notices
    if verdict is not VerdictKind.DIFFERS:
        if words:
            raise InputError(
                f"{what}: notices says which answers mean a difference; the verdict {verdict.value!r} has none. "
                "Leave notices out."
            )
        return ()
    assert form is not None
    if not words and form.differs:
        return (form.differs,)
    if not words:
        raise InputError(
            f"{what}: the form {form.name!r} has no answer that says by itself that two pictures differ. Give "
            f"notices = [...]: which answers do. {form.request()}"
        )
    values = tuple(known(form, word, f"{what}: notices") for word in words)
    if form.spelled and set(form.spelled) <= set(values):
        raise InputError(
            f"{what}: notices holds every answer, {', '.join(words)}: leave out what says that they are alike."
        )
    return values


def _check(question: Question, given: QuestionOptions, what: str) -> None:
    shows = question.pictures
    if given.pictures and given.pictures != shows:
        raise InputError(
            f"{what}: pictures is {given.pictures}; with the verdict {question.verdict.value!r} it is {shows}. "
            "Give pictures = 1 for answers that change, 2 for a difference, form = 'place' for 3 to 9."
        )
    texts = (question.text, *question.paraphrases)
    if len(set(texts)) < len(texts):
        raise InputError(
            f"{what}: a paraphrase is the same as the text or as another one. Change its words, or leave it out."
        )
    for text in texts:
        slots = SLOT.findall(text)
        if slots and sorted(slots) != [str(place) for place in range(1, shows + 1)]:
            every = ", ".join(f"<image {place}>" for place in range(1, shows + 1))
            raise InputError(
                f"{what}: {text[:80]!r} has slots for {', '.join(f'<image {slot}>' for slot in slots)}; the number of "
                f"pictures is {shows}. Give each of {every} once, or none to show them before the text."
            )
        if slots and question.order is not Order.REFERENCE_FIRST and not question.alone and not question.forced:
            raise InputError(
                f"{what}: pictures stand at their slots in the text, and order = {question.order.value!r} moves them. "
                "Leave one of the two out."
            )
        if question.form is not None and ITEM in text:
            raise InputError(f"{what}: {{item}} brings its own form; leave form = {given.form!r} out.")
        if question.itemised and ITEM not in text:
            raise InputError(f"{what}: {text[:80]!r} asks no item. Put {{item}} where its question stands.")
        if question.itemised and "{word}" in text:
            raise InputError(f"{what}: {{word}} names the distortion; an item's own question does not speak of it.")
    if question.itemised and not question.alone:
        raise InputError(f"{what}: an item is asked of one picture. Its verdict is 'changes' or 'wrong'.")
    if question.verdict is VerdictKind.WRONG and not question.itemised:
        raise InputError(
            f"{what}: only items have right answers. Put {{item}} into the text, or set verdict = 'changes'."
        )


def question(**content: Any) -> Question:
    """Put a question on the shelf and return it; arguments as for `QuestionOptions`.

    Args:
        content: the question's entries.

    Raises:
        InputError: something in it does not fit, or its name is taken.
    """
    return registry.add("question", str(content.get("name")))(of_table(content))


def find(name: str, order: Order = Order.REFERENCE_FIRST) -> Question:
    """Return the question `name` in the given order, or raise `UnknownNameError`."""
    found = registry.find("question", name)
    assert isinstance(found, Question)
    return dataclasses.replace(found, order=order)


def every() -> tuple[Question, ...]:
    """Return all questions of the shelf."""
    return tuple(registry.every("question").values())


class QuestionRecord(Protocol):
    """A question as a manifest has it (`limen.store.entries.QuestionEntry`)."""

    @property
    def order(self) -> str:
        """Of reference, stimulus and question."""

    @property
    def about(self) -> Mapping[str, Any] | msgspec.UnsetType:
        """All that makes it; unset for those older than forms, which are found by name."""


def recorded(name: str, entry: QuestionRecord) -> Question:
    """Return the question that a manifest's entry describes.

    Args:
        name: of the question.
        entry: of the manifest.

    Raises:
        InputError: it cannot be made.
    """
    order = Order(entry.order)
    if isinstance(entry.about, msgspec.UnsetType):
        return find(name, order)
    about = dict(entry.about)
    try:
        settings = dict(about["form"]) if about["form"] is not None else None
        made = form(settings.pop("name"), settings) if settings is not None else None
        texts = (str(about["text"]), tuple(map(str, about["paraphrases"])))
        special = tuple((str(word), tuple(map(str, of))) for word, of in about.get("special", ()))
        return Question(
            name, *texts, made, tuple(about["notices"]), VerdictKind(about["verdict"]), order, special,
            str(about.get("of", "")),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"question {name!r} is not as limen writes it ({error})") from None


def _placed(text: str, pictures: Sequence[Picture]) -> tuple[Picture | str, ...]:
    """Return a query's parts: pictures where the text has slots for them, or before it."""
    pieces = SLOT.split(text)
    if len(pieces) == 1:
        return (*pictures, text)
    parts = (pictures[int(piece) - 1] if place % 2 else piece.strip(" ") for place, piece in enumerate(pieces))
    return tuple(part for part in parts if not isinstance(part, str) or part.strip())


__all__ = [
    "READER_VERSION",
    "Answer",
    "Flag",
    "Order",
    "Query",
    "Question",
    "QuestionOptions",
    "Verdict",
    "VerdictKind",
    "every",
    "find",
    "form",
    "known",
    "of_table",
    "question",
    "recorded",
]
