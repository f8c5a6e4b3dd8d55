"""What an item is: a question about one picture, with the answer that is right where one is known.

It is asked of the picture and of its stimuli, each alone: from which level on does the answer change, or become wrong?
"""

from dataclasses import dataclass, replace

import numpy as np

from limen import digest as digests
from limen.parsing.forms import LETTERS, Form, Letters


@dataclass(frozen=True, slots=True)
class Item:
    """A question of its own for one reference.

    Attributes:
        question: its words, without the options and without the sentence that asks for a form.
        form: in which the answer is wanted; holds the options of letters.
        truth: the right answer in the form's spelling; "" where none is known.
        category: of the question ("counting"); "" for none.

    Examples:
        >>> from limen.item import Item
        >>> from limen.parsing.forms import Letters
        >>> item = Item("Which colour is the disc?", Letters(("red", "blue")), truth="A")
        >>> print(item.text)
        Which colour is the disc?
        A. red
        B. blue
        Answer with the option's letter from the given choices directly.
        >>> item.right("A"), item.right("B")
        (True, False)
    """

    question: str
    form: Form
    truth: str = ""
    category: str = ""

    @property
    def text(self) -> str:
        """What is put to the observer: the question, and the sentence that asks for its form."""
        return "\n".join(part for part in (self.question, self.form.request()) if part)

    @property
    def digest(self) -> str:
        """Identity of what is asked: of its words, not of the truth."""
        return digests.of([self.text])

    def right(self, value: str) -> bool | None:
        """Say whether a readable answer is right; None where no truth is known."""
        return self.form.same(value, self.truth) if self.truth else None

    def permuted(self, name: str) -> "Item":
        """Return the item with the options of its letters in another order, drawn by name; itself if it has none."""
        if not isinstance(self.form, Letters):
            return self
        options = self.form.options
        order = digests.generator("options", name).permutation(len(options))
        if list(order) == sorted(order):
            order = np.roll(order, 1)
        return replace(self, form=Letters(tuple(options[place] for place in order)), truth="")

    def value_of(self, other: "Item", value: str) -> str:
        """Return an answer to this item's options in another order as an answer to this item."""
        if isinstance(self.form, Letters) and isinstance(other.form, Letters):
            return LETTERS[self.form.options.index(other.form.options[LETTERS.index(value)])]
        return value
