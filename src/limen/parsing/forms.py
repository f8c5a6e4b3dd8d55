"""The forms in which an answer may be wanted: what to ask for, how it is read, when two answers are the same.

A form is data: a study file names it (`form = "letters"`) with its settings beside it, and a manifest keeps both, so
that a run is read again without the file that asked. Values are in one canonical spelling, given with each form.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from limen.parsing.cell import read_cell
from limen.parsing.forced_choice import read_position
from limen.parsing.letters import read_letter
from limen.parsing.number import read_number
from limen.parsing.place import read_place
from limen.parsing.reading import Reading
from limen.parsing.same_different import read_same_different
from limen.parsing.short_text import normalised, read_text
from limen.parsing.yes_no import Flag, Verdict, read_choice, read_direct

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_PICTURES = 9

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every form does; derive from it."""

    name: ClassVar[str] = ""
    differs: ClassVar[str] = ""  # the value that says by itself that two pictures differ
    spelled: ClassVar[Mapping[str, str]] = {}  # how each of two values is written in an answer

    def request(self) -> str:
        """Return the sentence that asks for an answer in this form, to stand behind a question; "" for none."""
        return ""

    def read(self, text: str, finish: str = "") -> Reading:
        """Return what an answer says.

        Args:
            text: the answer as it came.
            finish: why it ended ("stop", "length", "content_filter", "" if not said).
        """
        raise NotImplementedError

    def reader(self, notices: Sequence[str]) -> Callable[[str, str], Reading]:
        """Return what reads an answer as `read` does, where what it means depends on the question; it can be pickled.

        Args:
            notices: values that say that two pictures differ; none where the question asks about something else.
        """
        return self.read

    def same(self, value: str, other: str) -> bool:
        """Say whether two readable answers are one answer."""
        return value == other

    def canonical(self, answer: str) -> str | None:
        """Return an answer that a person wrote down (a truth, a `notices`) in this spelling; None if it is none."""
        if self.spelled:
            return answer.lower() if answer.lower() in self.spelled else None
        return self.read(answer).value


class YesNo(Form, frozen=True):
    """Yes or no: "yes" or "no", in free text with analysis (`limen.parsing.yes_no.read_direct`)."""

    name: ClassVar[str] = "yes-no"
    differs: ClassVar[str] = "yes"
    spelled: ClassVar[Mapping[str, str]] = {"yes": "<yes>", "no": "<no>"}

    def request(self) -> str:  # noqa: D102
        return "Please return <yes> or <no> with analysis."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return _flag(read_direct(text, finish))

    def reader(self, notices: Sequence[str]) -> Callable[[str, str], Reading]:  # noqa: D102
        return functools.partial(_read_flag, read_direct, Flag(notices[0]) if notices else None)


class Choice(YesNo, frozen=True):
    """Yes or no: "yes" or "no", as the letters A and B (`limen.parsing.yes_no.read_choice`)."""

    name: ClassVar[str] = "yes-no-letters"
    spelled: ClassVar[Mapping[str, str]] = {"yes": "A.", "no": "B."}

    def request(self) -> str:  # noqa: D102
        return "A. Yes; B. No\nAnswer with the option's letter from the given choices directly."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return _flag(read_choice(text, finish))

    def reader(self, notices: Sequence[str]) -> Callable[[str, str], Reading]:  # noqa: D102
        return functools.partial(_read_flag, read_choice, Flag(notices[0]) if notices else None)


class SameOrDifferent(Form, frozen=True):
    """A word, "same" or "different", in free text with analysis (`limen.parsing.same_different`)."""

    name: ClassVar[str] = "same-different"
    differs: ClassVar[str] = "different"
    spelled: ClassVar[Mapping[str, str]] = {"different": "<different>", "same": "<same>"}

    def request(self) -> str:  # noqa: D102
        return "Please return <same> or <different> with analysis."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return read_same_different(text, finish)


class Letters(Form, frozen=True):
    """One letter, "A" to "Z", of options.

    Attributes:
        options: what the letters stand for, in order; 2 to 26.
    """

    name: ClassVar[str] = "letters"
    options: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=2, max_length=26)]

    def request(self) -> str:  # noqa: D102
        lines = (f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=False))
        return "\n".join([*lines, "Answer with the option's letter from the given choices directly."])

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return read_letter(text, finish, self.options)

    def canonical(self, answer: str) -> str | None:  # noqa: D102
        if answer.upper() in tuple(LETTERS[: len(self.options)]):
            return answer.upper()
        wanted = [normalised(option) for option in self.options]
        return LETTERS[wanted.index(normalised(answer))] if normalised(answer) in wanted else None


class Place(Form, frozen=True):
    """One of the pictures by its place, "1" to "9", from left to right or first to last.

    Attributes:
        pictures: how many are shown, 2 to 9.
    """

    name: ClassVar[str] = "place"
    pictures: Annotated[int, msgspec.Meta(ge=2, le=MOST_PICTURES)] = 2

    def request(self) -> str:  # noqa: D102
        return f"Answer with the number of the picture, 1 to {self.pictures}."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return read_place(text, finish, self.pictures)


class OddOneOut(Place, frozen=True):
    """The picture that differs from the others, by its place: one of three to nine, whatever it differs in."""

    name: ClassVar[str] = "odd-one-out"
    pictures: Annotated[int, msgspec.Meta(ge=3, le=MOST_PICTURES)] = 3


class FirstOrSecond(Place, frozen=True):
    """One of two pictures, by the words "first" and "second" (`limen.parsing.forced_choice`)."""

    name: ClassVar[str] = "forced choice"

    def request(self) -> str:  # noqa: D102
        return "Please return <first> or <second> with analysis."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        verdict = read_position(text, finish)
        places = {Flag.NO: "1", Flag.YES: "2", Flag.UNREADABLE: None}
        return Reading(places[verdict.flag], verdict.fault)


class Cell(Form, frozen=True):
    """A cell of a grid, "row,column", both counted from 1 at the upper left.

    Attributes:
        rows, columns: of the grid, 1 to 100.
    """

    name: ClassVar[str] = "cell"
    rows: Annotated[int, msgspec.Meta(ge=1, le=100)]
    columns: Annotated[int, msgspec.Meta(ge=1, le=100)]

    def request(self) -> str:  # noqa: D102
        return (
            f"Answer with row and column of the cell, counted from 1 at the upper left: <row, column>, rows 1 to "
            f"{self.rows}, columns 1 to {self.columns}."
        )

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return read_cell(text, finish, self.rows, self.columns)


class Number(Form, frozen=True):
    """A number, in the shortest decimal spelling ("12", "-0.5").

    Attributes:
        tolerance: two numbers no farther apart are the same; >= 0, in the unit of the answer, or as a share of the
            larger of both where `relative`.
        relative: whether the tolerance is a share.
    """

    name: ClassVar[str] = "number"
    tolerance: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    relative: bool = False

    def request(self) -> str:  # noqa: D102
        return "Answer with a number."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return read_number(text, finish)

    def same(self, value: str, other: str) -> bool:  # noqa: D102
        one, two = float(value), float(other)
        room = self.tolerance * (max(abs(one), abs(two)) if self.relative else 1.0)
        return abs(one - two) <= room or math.isclose(abs(one - two), room, rel_tol=1e-9)


class ShortText(Form, frozen=True):
    """A word or a short phrase, in lower case without articles and punctuation.

    Attributes:
        accepted: groups of spellings that are one answer: (("red", "crimson"), ("blue",)); the first is what is read.
    """

    name: ClassVar[str] = "text"
    accepted: tuple[Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1)], ...] = ()

    def request(self) -> str:  # noqa: D102
        return "Answer with a word or a short phrase."

    def read(self, text: str, finish: str = "") -> Reading:  # noqa: D102
        return read_text(text, finish, self.accepted)

    def same(self, value: str, other: str) -> bool:  # noqa: D102
        return self._group(value) == self._group(other)

    def _group(self, value: str) -> str:
        for group in self.accepted:
            if value in map(normalised, group):
                return normalised(group[0])
        return value


_ALL = (YesNo, Choice, SameOrDifferent, Letters, Place, OddOneOut, FirstOrSecond, Cell, Number, ShortText)
FORMS: dict[str, type[Form]] = {form.name: form for form in _ALL}


def describe(form: Form) -> dict[str, Any]:
    """Return a form as JSON has it: its name beside its settings (`limen.question.form`), lists for tuples."""
    found: dict[str, Any] = {"name": form.name, **msgspec.json.decode(msgspec.json.encode(form))}
    return found


def _read_flag(
    read: Callable[[str, str, Flag | None], Verdict], differs: Flag | None, text: str, finish: str
) -> Reading:
    return _flag(read(text, finish, differs))


def _flag(verdict: Verdict) -> Reading:
    return Reading(None if verdict.flag is Flag.UNREADABLE else verdict.flag.value, verdict.fault)
