"""What observers share that answer with a number: how the number becomes an answer to each of the questions.

They say `numeric = True`: an exam of order, wording and tokens has nothing to find in them.
"""

from collections.abc import Mapping

from limen.errors import FatalObserverError
from limen.image import Picture
from limen.observer import Query
from limen.parsing.token_probability import offers_letters
from limen.trial import Answer


def pair(query: Query) -> tuple[Picture, Picture]:
    """Return the two pictures of a question that has a yes and a no.

    Raises:
        FatalObserverError: it shows other than two, or asks which of them shows more, which a distance cannot tell.
    """
    if len(query.pictures) != 2:
        raise FatalObserverError("pictures", f"a distance is between two pictures, not {len(query.pictures)}")
    if "<first>" in query.text:
        raise FatalObserverError(
            "question",
            "a distance cannot tell which of two pictures shows more: ask direct or choice, not a forced choice",
        )
    return query.pictures[0], query.pictures[1]


def answer(query: Query, number: float, criterion: float, unit: str, others: Mapping[str, float], model: str) -> Answer:
    """Return yes where the number is above the criterion, as an answer that holds both.

    Args:
        query: what was asked; says whether the answer is a letter or a flag.
        number, criterion: in the unit.
        unit: what the number is.
        others: further numbers, written down and not judged.
        model: the observer's own name for what answered.
    """
    yes = number > criterion
    letters = offers_letters(query.text)
    flag = ("A." if yes else "B.") if letters else ("<yes>" if yes else "<no>")
    rest = "".join(f"; {name} {value:.6g}" for name, value in others.items())
    return Answer(f"{flag} {unit} {number:.6g}, criterion {criterion:.6g}{rest}", finish="stop", model=model)
