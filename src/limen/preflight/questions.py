"""The questions of an exam, all fixed beforehand, so that they can be put side by side.

At most forty are the same for every study; four more try each question of a study (two, where it is one of those).

Every pair is two pictures of one size, as in a measurement (a known server makes one of two pictures of one size), but
for one pair, made to differ. Pictures come before the text, as every chat template can show them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from limen import distortion, question
from limen.image import Picture
from limen.preflight import images
from limen.question import Order, Query, Question

MOST = 40
ENOUGH = 8  # questions in a row without an answer after which no more are put
COUNT = "How many images were you given with this message? A collage counts as one image. Answer with one number."
NAME = (
    "Each of the two images is filled with one colour. Name the colour of the first image, then the colour of the "
    "second image. Answer with two words."
)
FIND = (
    "Each of the two images is either plain grey or a very fine checkerboard of black and white pixels. "
    "Which of them is a checkerboard? Answer with <first>, <second>, <both> or <none>."
)
DESCRIBE = "Describe both images in three sentences."
SIDE = "Both images show the same red disc. On which side of the image is it? Answer with <left> or <right>."
COLOURS = (("red", "blue"), ("yellow", "black"), ("green", "red"))
SIZES = {640: ("second", "none", "both"), 320: ("first", "both", "none"), 160: ("second",), 80: ("first",)}
WORDINGS = ("direct", "direct-implicit", "choice", "choice-implicit")
LONGEST = 1024  # tokens: a longer limit is not tried out, because the answer would have to be paid for
REPEATS = (1, 2, 3)
CHANGED = "brightness"  # the distortion of a plain difference, at its last level
ODD = frozenset({"count-0", "count-1", "count-3", "count-tall", "count-mixed"})  # show no pair of one size
ASKED = "asked-"  # begins the names of questions that a study asks
MEASURED = ("plain-", "same-", "other-", ASKED)  # begin the names of questions in the words that are measured with


@dataclass(frozen=True, slots=True)
class ExamItem:
    """One question of the exam.

    Attributes:
        name: under which its answer is judged.
        query: what is put.
        for_tokens: put for its prompt tokens alone, so not where none are told: its pictures are no pair of one size.
    """

    name: str
    query: Query
    for_tokens: bool = False


def plan(settings: Mapping[str, Any], sampled: bool) -> tuple[ExamItem, ...]:
    """Return the questions for an observer; the first is put alone, to see whether anything is answered.

    Args:
        settings: the observer's fingerprint.
        sampled: whether it answers by chance.
    """
    items = (*_counts(), *_colours(), *_sizes(), *_repeats(settings, sampled), *_task(sampled))
    assert len(items) <= MOST
    return items


def tried(asked: Iterable[Question]) -> tuple[Question, ...]:
    """Return those of a study's questions that an exam tries.

    Left out are those of one picture, which ask what there is to see: limen's own pictures do not show it. Other
    wordings of a question want an answer in its form.
    """
    return tuple(one for one in asked if not one.alone and not one.of)


def names(question: Question) -> tuple[str, ...]:
    """Return the names under which a study's question is tried: twice in its own words, then twice in others.

    The first two of a wording that every exam puts are those of the exam.
    """
    own = [f"{ASKED}{question.name}-{number}" for number in (1, 2, 3, 4)]
    if question.name in WORDINGS and question.order is Order.REFERENCE_FIRST:
        own[:2] = [f"plain-{question.name}", f"same-{question.name}"]
    return tuple(own)


def of_study(asked: Iterable[Question]) -> Iterator[ExamItem]:
    """Yield what an exam puts besides `plan`, to see whether answers to a study's questions can be read.

    A plain difference and a picture beside itself; a forced choice, which always has an answer, gets the difference at
    two places. The other words are the first paraphrase, as in a run, or the same words of other pictures.

    Args:
        asked: the questions, of those that are `tried`.
    """
    for one in asked:
        for number, name in enumerate(names(one)):
            if name.startswith(ASKED):
                again, second = divmod(number, 2)
                reference, changed = _plain("ab"[again])
                alike = second and not one.forced
                shift = second if one.forced else 0
                shown = (reference, reference if alike else changed)
                word = distortion.find(CHANGED).word
                (query,) = one.ask(word, *shown, bool(again), shift, f"exam/{again}")
                yield ExamItem(name, query)


def _counts() -> Iterator[ExamItem]:
    collage = images.collage
    for count in (2, 1, 3, 0):
        shown = [collage(f"{count} {place}") for place in range(count)]
        yield ExamItem(f"count-{count}", Query((*shown, COUNT)), for_tokens=count == 0)
    tall = images.TALL
    yield ExamItem("count-tall", Query((collage("a", tall), collage("b", tall), COUNT)), for_tokens=True)
    yield ExamItem("count-mixed", Query((collage("c"), collage("d", tall), COUNT)), for_tokens=True)


def _colours() -> Iterator[ExamItem]:
    for number, (first, second) in enumerate(COLOURS, start=1):
        yield ExamItem(f"colours-{number}", Query((images.flat(first), images.flat(second), NAME)))


def _sizes() -> Iterator[ExamItem]:
    for side, rights in SIZES.items():
        for shift, right in enumerate(rights):  # another shade each: no server knows the picture already
            shown = [_grid(side, shift, right in (place, "both")) for place in ("first", "second")]
            yield ExamItem(f"size-{side}-{shift + 1}", Query((*shown, FIND)))


def _grid(side: int, shift: int, fine: bool) -> Picture:
    return images.grid(side, shift) if fine else images.grey(side, shift)


def _repeats(settings: Mapping[str, Any], sampled: bool) -> Iterator[ExamItem]:
    shown = (images.collage("left"), images.collage("right"))
    for number in REPEATS:
        yield ExamItem(f"describe-{number}", Query((*shown, DESCRIBE), draw=number - 1 if sampled else 0))
    if sampled and settings.get("seed") is not None:
        yield ExamItem("describe-again", Query((*shown, DESCRIBE)))
    longest = settings.get("max_tokens")
    if isinstance(longest, int) and longest <= LONGEST:
        count = (
            f"Count from 1 to {longest + 64} in digits, with a blank between. Write every number; do not stop early."
        )
        yield ExamItem("long", Query((*shown, count)))


def _task(sampled: bool) -> Iterator[ExamItem]:
    """Yield what is measured with: the wordings on a plain difference and on none, some of them repeated."""
    word = distortion.find(CHANGED).word
    reference, changed = _plain("a")
    other = Picture.of(images.scene("b"))
    for name in WORDINGS:
        for what, second in (("plain", changed), ("same", reference)):
            (query,) = question.find(name).ask(word, reference, second)
            yield ExamItem(f"{what}-{name}", query)
            if name == "direct" and not sampled:
                yield from (ExamItem(f"{what}-{name}-{number}", query) for number in REPEATS[1:])
    (query,) = question.find("direct-implicit").ask(word, reference, other)
    yield ExamItem("other-direct-implicit", query)
    for side in ("left", "right"):
        shown = images.disc(side == "left")
        yield ExamItem(f"disc-{side}", Query((shown, shown, SIDE)))


def _plain(name: str) -> tuple[Picture, Picture]:
    """Return a scene by its name, and the same far brighter."""
    kind, scene = distortion.find(CHANGED), images.scene(name)
    return Picture.of(scene), Picture.of(kind.render(scene, "exam")(len(kind.ladder)))
