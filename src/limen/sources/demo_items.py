"""Items that limen draws itself: questions about plain pictures, with exact answers; 96 of them, in six categories.

In each category the size of what is asked for falls from item to item and its contrast goes up and down, so that
their thresholds differ. Truths are balanced: each option is right as often as every other, and stands as often at each
letter; there are as many yes as no; no word and no number is right twice.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterator

from limen import digest as digests
from limen.image import Image, digest
from limen.image.draw import FINE, Canvas, Colour, outline, written
from limen.item import Item
from limen.parsing.forms import LETTERS, Letters, Number, ShortText, YesNo
from limen.source import Reference, ReferenceKind, Refusal, item_digest, size_of, source

WIDTH, HEIGHT = 320, 240
COLOURS: dict[str, Colour] = {
    "red": (206, 38, 38),
    "green": (32, 142, 58),
    "blue": (38, 82, 206),
    "yellow": (240, 200, 24),
}
SHAPES = ("circle", "square", "triangle", "cross")
_GROUNDS: tuple[tuple[Colour, Colour], ...] = (  # upper and lower edge
    ((236, 234, 226), (218, 218, 216)),
    ((212, 222, 230), (228, 230, 228)),
    ((228, 220, 208), (214, 212, 206)),
    ((206, 212, 206), (222, 224, 218)),
)
_GREYS: tuple[tuple[Colour, Colour], ...] = (((206, 206, 206), (190, 190, 190)), ((186, 186, 186), (200, 200, 200)))
_INKS: tuple[Colour, ...] = ((34, 44, 66), (70, 36, 40), (28, 66, 58), (58, 44, 82))
_CONTRASTS = (100, 60, 80, 40)  # per cent of the way from the ground to the ink
_WORDS = re.findall(
    r"\w+",
    "river stone house light bread cloud train plant horse music table water night sugar chair field paper grass "
    "ocean spoon market window jacket zebra",
)
Painted = tuple[Item, Callable[[], Image]]


@source("demo-items", licence="CC0-1.0", get="Drawn by limen.", bare=True)
def demo_items(path: str) -> Iterator[Reference | Refusal]:
    """Questions about pictures that limen draws: counts, colours, shapes, left or right, words, numbers."""
    kinds = (_counting(), _colours(), _shapes(), _left_or_right(), _words(), _numbers())
    for number, row in enumerate(itertools.zip_longest(*kinds), 1):  # so that a limit takes some of each
        for item, paint in filter(None, row):
            image = paint()
            name = f"{item.category.replace(' ', '-')}-{number:02d}"
            whole = item_digest(digest(image), item)
            yield Reference(name, whole, paint, kind=ReferenceKind.ITEM, size=size_of(image), item=item)


def _counting() -> Iterator[Painted]:
    for place in range(12):
        number = 2 + place * 5 % 12
        item = Item("How many discs are there in the picture?", Number(), str(number), "counting")
        yield item, functools.partial(_discs, place, number, _between(place, 12, 17, 5))


def _colours() -> Iterator[Painted]:
    names = tuple(COLOURS)
    for place in range(16):
        item = Item("Which colour is the disc?", *_options(place, names), "colours")
        yield item, functools.partial(_coloured, place, names[place % 4], _between(place, 16, 44, 5))


def _shapes() -> Iterator[Painted]:
    for place in range(16):
        item = Item("Which shape is there in the picture?", *_options(place, SHAPES), "shapes")
        yield item, functools.partial(_shaped, place, (SHAPES[place % 4],), _between(place, 16, 50, 7))


def _left_or_right() -> Iterator[Painted]:
    for place in range(16):
        side, yes = ("left", "right")[place % 2], place // 2 % 2 == 0
        one, other = (("circle", "square"), ("triangle", "cross"))[place // 4 % 2]
        question = f"Is the {one} to the {side} of the {other}?"
        order = (one, other) if (side == "left") == yes else (other, one)
        item = Item(question, YesNo(), "yes" if yes else "no", "left or right")
        yield item, functools.partial(_shaped, 100 + place, order, _between(place, 16, 36, 7))


def _words() -> Iterator[Painted]:
    for place, word in enumerate(_WORDS):
        item = Item("Which word is written in the picture?", ShortText(), word, "words")
        yield item, functools.partial(_written, place, word.upper(), _between(place, len(_WORDS), 42, 12))


def _numbers() -> Iterator[Painted]:
    for place in range(12):
        number = 100 + 75 * place + _drawn(75, "number", place)
        item = Item("Which number is written in the picture?", Number(), str(number), "numbers")
        yield item, functools.partial(_written, 100 + place, str(number), _between(place, 12, 56, 12))


def _options(place: int, names: tuple[str, ...]) -> tuple[Letters, str]:
    """Return options and the letter of the right one: over 16 places, each of four is right once at each letter."""
    right, at = names[place % 4], place % 4 ^ place // 4
    others = [name for name in names if name != right]
    turn = _drawn(3, "options", place)
    others = [*others[turn:], *others[:turn]]
    return Letters((*others[:at], right, *others[at:])), LETTERS[at]


# --- pictures: what is drawn depends on a place and on nothing else ---


def _discs(place: int, number: int, radius: int) -> Image:
    canvas, ink = _begun("discs", place)
    cells = sorted(range(20), key=lambda cell: digests.seed("disc", place, cell))[:number]  # 5 x 4 of 60 x 56 px
    for cell in cells:
        x = 10 + 60 * (cell % 5) + 30 + _drawn(2 * (26 - radius) + 1, "x", place, cell) - (26 - radius)
        y = 8 + 56 * (cell // 5) + 28 + _drawn(2 * (24 - radius) + 1, "y", place, cell) - (24 - radius)
        canvas.disc(x * FINE, y * FINE, radius * FINE, ink)
    return canvas.pixels


def _coloured(place: int, colour: str, radius: int) -> Image:
    ground = _GREYS[_drawn(2, "grey", place)]
    canvas = Canvas(WIDTH, HEIGHT, *ground)
    ink = _towards(ground[1], COLOURS[colour], max(60, _contrast(place)))
    x, y = (radius + 8 + _drawn(side - 2 * radius - 16, "colour", place, side) for side in (WIDTH, HEIGHT))
    canvas.disc(x * FINE, y * FINE, radius * FINE, ink)
    return canvas.pixels


def _shaped(place: int, shapes: tuple[str, ...], radius: int) -> Image:
    """Draw shapes from left to right, each in a strip of its own."""
    canvas, ink = _begun("shapes", place)
    strip = WIDTH // len(shapes)
    for number, shape in enumerate(shapes):
        x = number * strip + radius + 8 + _drawn(strip - 2 * radius - 16, "x", place, number)
        y = radius + 8 + _drawn(HEIGHT - 2 * radius - 16, "y", place, number)
        if shape == "circle":
            canvas.disc(x * FINE, y * FINE, radius * FINE, ink)
        else:
            canvas.polygon(outline(shape, x * FINE, y * FINE, radius * FINE), ink)
    return canvas.pixels


def _written(place: int, text: str, height: int) -> Image:
    canvas, ink = _begun("text", place)
    across, down = written(text, height)
    room = [side * FINE - size - 2 * margin for side, size, margin in ((WIDTH, across, 96), (HEIGHT, down, 96))]
    x, y = (96 + _drawn(free, "text", place, free) for free in room)
    canvas.write(text, x, y, height, ink)
    return canvas.pixels


def _begun(kind: str, place: int) -> tuple[Canvas, Colour]:
    """Return an empty picture and the ink for it."""
    top, bottom = _GROUNDS[_drawn(len(_GROUNDS), "ground", kind, place)]
    ink = _INKS[_drawn(len(_INKS), "ink", kind, place)]
    return Canvas(WIDTH, HEIGHT, top, bottom), _towards(bottom, ink, _contrast(place))


def _contrast(place: int) -> int:
    """Return one of four so that over 16 places each meets each option and each letter once (Latin squares)."""
    return _CONTRASTS[place % 4 ^ (0, 2, 3, 1)[place // 4 % 4]]


def _towards(ground: Colour, ink: Colour, share: int) -> Colour:
    red, green, blue = (one + (other - one) * share // 100 for one, other in zip(ground, ink, strict=True))
    return red, green, blue


def _between(place: int, count: int, first: int, last: int) -> int:
    return first + (last - first) * place // (count - 1)


def _drawn(count: int, *names: str | int) -> int:
    """Return one of 0..count-1 that depends on the names and on nothing else, a library's version included."""
    return digests.seed("demo item", *names) % count
