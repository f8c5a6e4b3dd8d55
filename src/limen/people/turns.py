"""What is put before a participant: a series' question, a catch trial, or practice; and which comes next."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from limen import digest
from limen.item import Item
from limen.parsing.forms import LETTERS, Letters
from limen.people.protocol import Protocol
from limen.question import Query, Question, each_once
from limen.stimulus import Series

Kind = Literal["identical", "obvious"]
CALMER = (1.0, 1.0, 0.8, 0.6)  # of a ladder: levels of practice, from plain to less plain


@dataclass(frozen=True)
class Turn:
    """One question as it is put before a participant.

    Attributes:
        id: names it to the page; of a series' question the key of its answer.
        question, series: that it belongs to.
        query: what is shown.
        item: asked, where the question asks an item's.
        right: values that are right, where everybody who looks can tell; () elsewhere.
        kind: of a catch trial, or of practice; "" for a series' question.
    """

    id: str
    question: Question
    series: Series
    query: Query
    item: Item | None = None
    right: tuple[str, ...] = ()
    kind: Kind | Literal[""] = ""


def block(share: float) -> Fraction:
    """Return in how many questions, on average, one is a catch trial; 0 for never."""
    return 1 / Fraction(str(share)) if share else Fraction(0)  # of .1, as it is written, 10


def is_catch(protocol: Protocol, alias: str, shown: int) -> bool:
    """Say whether the next one is a catch trial: one in each block, at a place drawn by name.

    Block n begins at the whole part of n times their mean length: those of .4 are of 2, 3, 2, 3, ... questions.

    Args:
        protocol: of the study.
        alias: of the participant.
        shown: questions that the participant has answered, catch trials included, practice not.
    """
    length = block(protocol.catch)
    if not length:
        return False
    number = math.ceil((shown + 1) / length) - 1
    begin, end = math.floor(number * length), math.floor((number + 1) * length)
    return shown - begin == int(digest.generator("catch", protocol.seed, alias, number).integers(end - begin))


def plain_ones(questions: Sequence[Question]) -> list[Question]:
    """Return the questions that catch trials and practice can be made of.

    They show two pictures or more, and everybody who looks knows the right answer: a place, or one of the answers that
    are listed. Which numbers, or words, are right where two pictures differ is known to nobody.
    """
    return [
        one for one in questions
        if not one.alone and (one.forced or all(_right(one, kind) for kind in get_args(Kind)))
    ]  # fmt: skip


def notices(protocol: Protocol, questions: Sequence[Question]) -> list[str]:
    """Return what the owner should know of questions without catch trials and practice, in a line; [] for nothing.

    Args:
        protocol: of the study.
        questions: of the study.
    """
    fit = plain_ones(questions)
    without = [one.name for one in questions if one not in fit]
    if not without or not (protocol.catch or protocol.practice):
        return []
    alone = not fit and protocol.catch
    rule = f": the attention rule {protocol.attention.name!r} judges nobody" if alone else ""
    return [
        f"No catch trials and no practice of {', '.join(without)}{rule}. They need a question about two pictures that "
        "is answered by a place or by listed answers. Ask with options = [...] and notices (letters), ask such a "
        "question beside (direct), or give catch = 0 and practice = 0."
    ]


def catch(
    protocol: Protocol, alias: str, number: int, questions: Sequence[Question], series: Sequence[Series]
) -> Turn | None:
    """Return a catch trial; None where no question has a right answer that all know who look (`plain_ones`).

    Of two neighbouring ones one shows identical pictures and one a plain difference, and among as many neighbouring
    forced choices as there are places each place is right once: who gives one answer always is right at that rate.

    Args:
        protocol: of the study.
        alias: of the participant.
        number: of the catch trial, from 1.
        questions: of the study.
        series: of the participant.
    """
    fit = plain_ones(questions)
    graded = [one for one in series if len(one) > 1]
    if not fit or not graded:
        return None
    draw = digest.generator("catch trial", protocol.seed, alias, number)
    question, of = fit[int(draw.integers(len(fit)))], graded[int(draw.integers(len(graded)))]
    two, second = divmod(number - 1, 2)
    first = digest.generator("catch kinds", protocol.seed, alias, two).random() < 0.5
    kind: Kind = "obvious" if question.forced or first != bool(second) else "identical"
    return plain(f"catch/{alias}/{number - 1}", question, of, kind, len(of), protocol.seed)


def practice(
    protocol: Protocol, alias: str, questions: Sequence[Question], series: Sequence[Series]
) -> Iterable[tuple[str, Question, Series, Kind, int, int]]:
    """Yield what makes each question of the practice (`plain`): plain ones first, identical pairs between.

    Args:
        protocol: of the study.
        alias: of the participant.
        questions: of the study.
        series: to practise on.
    """
    fit = plain_ones(questions)
    graded = [one for one in series if len(one) > 1]
    if not fit or not graded:
        return
    draw = digest.generator("practice", protocol.seed, alias)
    for number in range(protocol.practice):
        question, of = fit[number % len(fit)], graded[int(draw.integers(len(graded)))]
        kind: Kind = "identical" if number % 2 and not question.forced else "obvious"
        share = CALMER[min(number // 2, len(CALMER) - 1)]
        yield f"practice/{alias}/{number}", question, of, kind, max(1, round(share * len(of))), protocol.seed


def plain(name: str, question: Question, series: Series, kind: Kind, level: int, seed: int) -> Turn:
    """Return a question whose answer everybody can give who looks, its pictures drawn.

    Args:
        name: of the question, of the practice or of a catch trial; its number, from 0, stands after the last /.
        question: that is asked.
        series: whose stimuli are shown.
        kind: two identical pictures, or the reference beside a plain level.
        level: that is shown, if it is not identical.
        seed: of the protocol.
    """
    stimuli = series.open()
    shift = _shift(question, name, seed) if question.forced else 0
    reference, stimulus = stimuli(0), stimuli(level if kind == "obvious" else 0)
    (query,) = question.ask(series.distortion.word, reference, stimulus, shift=shift, name=name)
    if question.forced:
        right: tuple[str, ...] = (str(question.place(name, shift)),)
    else:
        right = _right(question, kind)
    return Turn(digest.of([name, seed, series.id, kind, level]), question, series, query, None, right, kind)


def _shift(question: Question, name: str, seed: int) -> int:
    """Return how far a forced choice's place is moved on, so that each is right once in a block of neighbours."""
    block, _, number = name.rpartition("/")
    place = each_once(question.pictures, int(number), "plain places", seed, block)
    return (place + 1 - question.place(name)) % question.pictures


def _right(question: Question, kind: Kind) -> tuple[str, ...]:
    """Return the listed answers that are right; () where the form lists none."""
    form = question.form
    listed = tuple(LETTERS[: len(form.options)]) if isinstance(form, Letters) else tuple(form.spelled) if form else ()
    return tuple(one for one in listed if (one in question.notices) == (kind == "obvious"))


def choose(alias: str, seed: int, shown: int, waiting: Sequence[Turn], last: str) -> Turn:
    """Return the question that comes next: of those that wait one by chance, of another reference than the last one.

    Which of them wait hangs on the answers so far and on how fast they came; the chance hangs on names alone.

    Args:
        alias: of the participant.
        seed: of the protocol.
        shown: questions that the participant has answered.
        waiting: in order of their ids, at least one.
        last: digest of the reference that was shown last; "" for none.
    """
    others = [one for one in waiting if one.series.reference.digest != last] or list(waiting)
    return others[int(digest.generator("order", seed, alias, shown).integers(len(others)))]


def shuffled(series: Sequence[Series], seed: int, alias: str) -> tuple[Series, ...]:
    """Return series in a participant's own order.

    Args:
        series: of the participant.
        seed: of the protocol.
        alias: of the participant.
    """
    ordered = sorted(series, key=lambda one: one.id)
    order = digest.generator("series", seed, alias).permutation(len(ordered))
    return tuple(ordered[place] for place in order)
