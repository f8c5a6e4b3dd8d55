"""What an exam has to go by, and what it finds: answers by the name of the question, results by check."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from limen.trial import LASTING, Answer, Attempt

# An exam does not ask again either what an observer raised an exception over, or what a recording does not hold.
SETTLED = LASTING | {"failed", "not-recorded"}


class Stage(StrEnum):
    """What a check is about: what carries the questions, who answers them, or what a study asks."""

    TRANSPORT = "transport"
    PERCEPTION = "perception"
    STUDY = "study"


class CheckStatus(StrEnum):
    """What a check found.

    `FAILED`: what would be measured would not be what was asked for; nothing is measured. `FINDING`: the run goes on,
    marked. `UNKNOWN`: the evidence decides nothing, which is neither a pass nor a failure. `OPEN`: some of the evidence
    has not come yet, and still may.
    """

    OK = "ok"
    FAILED = "failed"
    FINDING = "finding"
    UNKNOWN = "not known"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found.

    Attributes:
        check: its name.
        stage, status: see there.
        seen: the evidence, in one line.
        mark: of a finding, the few words that mark a run.
        change: of what is failed, what to do about it.
    """

    check: str
    stage: Stage
    status: CheckStatus
    seen: str
    mark: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The answers of one exam.

    Attributes:
        answers: by the question's name; None where none came or none was asked.
        settings: what the observer says of itself (its fingerprint), as far as it is examined: max_tokens,
            temperature, seed, logprobs, model.
        sampled: whether the observer says that it answers by chance.
        failed: questions that failed for good, with the last attempt.
        looked: names of the answers that were looked at, whether they have come or not.
    """

    answers: Mapping[str, Answer | None]
    settings: Mapping[str, Any]
    sampled: bool
    failed: Mapping[str, Attempt] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)

    def answer(self, name: str) -> Answer | None:
        """Return the answer to a question, where one came."""
        self.looked.add(name)
        return self.answers.get(name)

    def text(self, name: str) -> str:
        """Return an answer's text; "" where there is no answer."""
        answer = self.answer(name)
        return answer.text if answer else ""

    def tokens(self, name: str) -> int | None:
        """Return how many prompt tokens a question cost, where the observer says (0 says nothing)."""
        answer = self.answer(name)
        return (answer.tokens_in or None) if answer else None

    def chances(self, name: str) -> tuple[float, float] | None:
        """Return p(yes) and the mass on neither flag, where the observer gives them."""
        answer = self.answer(name)
        if answer is None or answer.p_yes is None or answer.p_neither is None:
            return None
        return answer.p_yes, answer.p_neither

    def given(self, names: Iterable[str]) -> list[Answer]:
        """Return those of the answers that came."""
        return [answer for name in names if (answer := self.answer(name)) is not None]


def lasts(attempts: Sequence[Attempt]) -> bool:
    """Say whether a question that stayed without an answer failed for good."""
    return not attempts or attempts[-1].outcome in SETTLED
