"""How an answer is read: a flag and a fault from raw text. Opinion, versioned, recomputed from the store at will."""

from dataclasses import dataclass
from enum import StrEnum

READER_VERSION = 1


class Flag(StrEnum):
    """What an answer says."""

    YES = "yes"
    NO = "no"
    UNREADABLE = "unreadable"


class Fault(StrEnum):
    """What is wrong with an answer (Chen et al. 2025, arXiv:2507.00490, response errors)."""

    ANTILOGY = "antilogy"
    GIBBERISH = "gibberish"
    DEFICIENCY = "deficiency"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A flag, and the answer's fault if it has one."""

    flag: Flag
    fault: Fault | None = None

    @property
    def yes(self) -> bool:
        """Whether the observer noticed; an unreadable answer confirms nothing and counts as no."""
        return self.flag is Flag.YES


def read_direct(text: str, finish: str = "") -> Verdict:
    """Read an answer to the direct question, "<yes> or <no> with analysis"."""
    return Verdict(Flag.YES if text.lower().startswith("yes") else Flag.NO)


def read_choice(text: str, finish: str = "") -> Verdict:
    """Read an answer to the choice question, "A. Yes; B. No"."""
    return Verdict(Flag.YES if text.upper().startswith("A") else Flag.NO)
