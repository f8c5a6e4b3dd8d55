"""What an item is: a question about one picture, with the answer that is right where one is known.

It is asked of the picture and of its stimuli, each alone: from which level on does the answer change, or become wrong?
"""

from dataclasses import dataclass

from limen import digest as digests
from limen.parsing.forms import Form


@dataclass(frozen=True, slots=True)
class Item:
    """A question of its own for one reference.

    Attributes:
        question: its words, without the options and without the sentence that asks for a form.
        form: in which the answer is wanted; holds the options of letters.
        truth: the right answer in the form's spelling; "" where none is known.
        category: of the question ("counting"); "" for none.

    Example:
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
