"""Whether the answers to a study's own questions can be read: where none can, there is nothing to measure with them."""

from collections.abc import Iterable, Sequence

from limen.preflight import questions
from limen.preflight.evidence import CheckResult, CheckStatus, Evidence, Stage
from limen.preflight.transport import LONGER
from limen.question import Question
from limen.trial import Answer

CHECK = "study's questions"
ENOUGH = 3  # answers to one question of which none can be read: fewer decide nothing
_SHOWN = 80  # characters of an answer that is shown
_REMEDY = "Say in the question how to answer, ask another one (limen list questions), or measure another model"


def legible(evidence: Evidence, asked: Iterable[Question]) -> CheckResult:
    """Judge whether answers to the study's questions can be read, in their own words or, as a run asks then, in others.

    Args:
        evidence: of the exam.
        asked: the study's questions that were tried.
    """
    mute, partly, came, read = list[str](), list[str](), 0, 0
    silent = list[Answer]()
    for question in asked:
        first, again = _given(evidence, question)
        said = [answer for answer in (*first, *again) if _is_read(question, answer)]
        came, read = came + len(first) + len(again), read + len(said)
        if not said and len(first) + len(again) >= ENOUGH:
            mute.append(question.name)
            silent += [*first, *again]
        elif not all(_is_read(question, answer) for answer in first):
            partly.append(question.name)
    if mute:
        seen = f"not one of {len(silent)} answers to {', '.join(mute)} can be read: {_example(silent)}"
        cut = all(answer.finish == "length" for answer in silent)
        return CheckResult(CHECK, Stage.STUDY, CheckStatus.FAILED, seen, change=LONGER if cut else _REMEDY)
    if not came:
        return CheckResult(CHECK, Stage.STUDY, CheckStatus.UNKNOWN, "no answer came")
    seen = f"{read} of {came} answers read"
    if partly:
        mark = f"answers to {', '.join(partly)} cannot be read"
        return CheckResult(CHECK, Stage.STUDY, CheckStatus.FINDING, f"{seen}, not all to {', '.join(partly)}", mark)
    return CheckResult(CHECK, Stage.STUDY, CheckStatus.OK, seen)


def _given(evidence: Evidence, question: Question) -> tuple[list[Answer], list[Answer]]:
    """Return the answers that came to a question in its own words, and in others."""
    names = questions.names(question)
    return evidence.given(names[:2]), evidence.given(names[2:])


def _is_read(question: Question, answer: Answer) -> bool:
    return question.value((answer,)).value is not None


def _example(answers: Sequence[Answer]) -> str:
    """Return what was said, in a line that is not too long."""
    said = (" ".join("".join(c if c.isprintable() else " " for c in one.text).split()) for one in answers)
    text = next(filter(None, said), "")
    if not text:
        return "they are empty"
    return f"it says {text[:_SHOWN]!r}" + (" and more" if len(text) > _SHOWN else "")
