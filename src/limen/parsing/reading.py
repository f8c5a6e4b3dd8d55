"""What an answer says, once it is read in the form that was asked for."""

from dataclasses import dataclass

from limen.parsing.yes_no import Fault


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of an answer in the canonical spelling of its form (`limen.parsing.forms`).

    Attributes:
        value: "yes", "B", "3", "2,5", "12.5", "a red car"; None where the answer cannot be read.
        fault: what is wrong with the answer, if anything.
    """

    value: str | None
    fault: Fault | None = None

    @property
    def readable(self) -> bool:
        """Whether it says anything."""
        return self.value is not None
