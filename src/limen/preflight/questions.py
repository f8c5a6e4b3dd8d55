"""The questions of an exam: at most forty, all fixed beforehand, so that they can be put side by side.

Every pair is two pictures of one size, as in a measurement (a known server makes one of two pictures of one size), but
for one pair, made to differ. Pictures come before the text, as every chat template can show them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from limen import distortion, question
from limen.image import Picture
from limen.preflight import images
from limen.question import Query

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
ODD = frozenset({"count-0", "count-1", "count-3", "count-tall", "count-mixed"})  # show no pair of one size
MEASURED = ("plain-", "same-", "other-")  # begin the names of questions in the words that are measured with


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
    kind = distortion.find("brightness")
    scene = images.scene("a")
    reference = Picture.of(scene)
    changed = Picture.of(kind.render(scene, "exam")(len(kind.ladder)))
    other = Picture.of(images.scene("b"))
    for name in WORDINGS:
        for what, second in (("plain", changed), ("same", reference)):
            (query,) = question.find(name).ask(kind.word, reference, second)
            yield ExamItem(f"{what}-{name}", query)
            if name == "direct" and not sampled:
                yield from (ExamItem(f"{what}-{name}-{number}", query) for number in REPEATS[1:])
    (query,) = question.find("direct-implicit").ask(kind.word, reference, other)
    yield ExamItem("other-direct-implicit", query)
    for side in ("left", "right"):
        shown = images.disc(side == "left")
        yield ExamItem(f"disc-{side}", Query((shown, shown, SIDE)))
