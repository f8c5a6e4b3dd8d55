"""An observer in code that reads limen's own items (`demo-items`): a stand-in for a model in offline runs and tests.

It gets the picture and the text, as a model does, and sees the picture by plain means: what differs from the ground
by more than a fixed step is ink, ink that hangs together is a thing, and a thing is what its outline is most like. So
it is right about clear pictures and loses faint and small things first, as they are blurred or coded. How much it bears
was chosen by limen's makers and says nothing about models.
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from limen.errors import FatalObserverError
from limen.image import Image
from limen.image.draw import FINE, SIGNS, Canvas, outline, written
from limen.observer import Concurrency, Observer, Reply, observer
from limen.question import Query
from limen.trial import Answer, Attempt

Values = npt.NDArray[np.float64]

VERSION = 1  # raised whenever an answer changes for the same picture and text
STEP = 20  # grey levels in any channel: less than this from the ground is not seen
LEAST = 8  # px: smaller things are not seen
ALIKE = 0.75  # least overlap (shapes), cosine (colours) or correlation (signs) to call a thing by a name
SIDE = 24  # of the grid on which outlines are compared
LOST = "I cannot tell."
_COLOURS = {"red": (206, 38, 38), "green": (32, 142, 58), "blue": (38, 82, 206), "yellow": (240, 200, 24)}
_SHAPES = ("circle", "square", "triangle", "cross")
_OPTION = re.compile(r"^([A-Z])\. (.+)$", re.MULTILINE)
_BESIDE = re.compile(r"Is the (\w+) to the (left|right) of the (\w+)\?")


class SolverOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the solver.

    Attributes:
        concurrency: series advanced side by side.
    """

    concurrency: Concurrency = 8


@observer("solver", SolverOptions)
class Solver(Observer):
    """Reads limen's own items by code; a stand-in for a model in offline runs and tests.

    The same picture and text always get the same answer; what it cannot see it says it cannot tell.
    """

    numeric = True  # it knows no other question: an exam in words would find nothing in it

    def __init__(self, model: str, options: SolverOptions) -> None:
        self.name = f"solver:{model}" if model else "solver"
        self.concurrency = options.concurrency

    def fingerprint(self) -> dict[str, Any]:
        """Return its version."""
        return {"kind": "solver", "version": VERSION, "fixture": True}

    async def answer(self, query: Query) -> Reply:
        """Answer one question about one picture."""
        if len(query.pictures) != 1:
            raise FatalObserverError(
                "pictures",
                f"solver answers a question about one picture, not {len(query.pictures)}: give --images demo-items "
                "with --question answer-changes or answer-wrong",
            )
        found = solve(query.pictures[0].pixels, query.text)
        return Reply(Answer(found, finish="stop"), (Attempt("ok"),))


def solve(image: Image, text: str) -> str:
    """Answer a question of limen's own items; "I cannot tell." where nothing can be seen, or another thing is asked.

    Args:
        image: uint8 RGB (H, W, 3).
        text: the question with its options, as `limen.item.Item.text` has it.
    """
    beside = _BESIDE.search(text)
    if "How many discs" in text:
        return str(len(_things(image)) or LOST)
    if "Which word" in text or "Which number" in text:
        return _read(image, "0123456789" if "Which number" in text else SIGNS.strip("0123456789")) or LOST
    if "Which colour" in text:
        return _letter(_colour(image), text)
    if "Which shape" in text:
        return _letter(_shape(_largest(image, 1)), text)
    if beside is not None:
        return _side(image, *beside.groups())
    return LOST


@dataclass(frozen=True, slots=True)
class _Thing:
    """Ink that hangs together: its box in px, how far it is from the ground within it, and which of it is ink."""

    top: int
    left: int
    distance: Values
    ink: npt.NDArray[np.bool_]

    @property
    def middle(self) -> float:
        return self.left + float(np.nonzero(self.ink)[1].mean())


def _ground(image: Image) -> Values:
    """Return each line's commonest colour: things cover less than half of it."""
    found: Values = np.median(image, axis=1, keepdims=True)
    return found


def _things(image: Image) -> list[_Thing]:
    """Return what is seen, from left to right."""
    from scipy import ndimage

    distance = np.abs(image - _ground(image)).max(2)
    marks, _ = ndimage.label(distance > STEP, np.ones((3, 3)))
    found = []
    for number, box in enumerate(ndimage.find_objects(marks), 1):
        ink = marks[box] == number
        if int(ink.sum()) >= LEAST:
            found.append(_Thing(box[0].start, box[1].start, distance[box] * ink, ink))
    return sorted(found, key=lambda thing: thing.middle)


def _largest(image: Image, count: int) -> list[_Thing]:
    """Return so many things from left to right; none where there are fewer."""
    things = sorted(_things(image), key=lambda thing: -int(thing.ink.sum()))[:count]
    return sorted(things, key=lambda thing: thing.middle) if len(things) == count else []


def _letter(name: str, text: str) -> str:
    """Return the letter of the option of that name."""
    return next((letter for letter, option in _OPTION.findall(text) if name and option == name), LOST)


def _colour(image: Image) -> str:
    """Return the colour that a thing leans to from its ground; "" where there is none, or it leans to no one."""
    things = _largest(image, 1)
    if not things:
        return ""
    (thing,) = things
    height, width = thing.ink.shape
    rows = slice(thing.top, thing.top + height)
    ground = _ground(image)[rows]
    lean = (image[rows, thing.left : thing.left + width] - ground)[thing.distance > 0.7 * thing.distance.max()].mean(0)
    towards = {name: np.array(colour) - ground.mean((0, 1)) for name, colour in _COLOURS.items()}
    alike = {name: float(lean @ to / np.linalg.norm(lean) / np.linalg.norm(to)) for name, to in towards.items()}
    best = max(alike, key=lambda name: alike[name])
    return best if alike[best] >= ALIKE else ""


def _shape(things: list[_Thing]) -> str:
    """Return the name of the first thing's outline; "" where it is like none."""
    if not things:
        return ""
    height, width = things[0].ink.shape
    ink = _on_grid(things[0].ink.astype(float)) > 0.5
    overlap = {name: float((ink & of).sum() / (ink | of).sum()) for name, of in _outlines().items()}
    best = max(overlap, key=lambda name: overlap[name])
    return best if overlap[best] >= ALIKE and 0.75 < height / width < 1.33 else ""


def _side(image: Image, one: str, side: str, other: str) -> str:
    """Say whether one shape is on that side of another."""
    things = _largest(image, 2)
    names = [_shape([thing]) for thing in things]
    if set(names) != {one, other}:
        return LOST
    where = "left" if names[0] == one else "right"
    return f"<{'yes' if where == side else 'no'}> The {one} is to the {where} of the {other}."


def _read(image: Image, alphabet: str) -> str:
    """Return the signs of a line from left to right, in lower case; "" where one of them is like none."""
    known = _signs()[[SIGNS.index(sign) for sign in alphabet]]
    text = ""
    for thing in _things(image):
        alike = known @ _sign(np.minimum(thing.distance / thing.distance.max(), 1.0))
        if alike.max() < ALIKE:
            return ""
        text += alphabet[int(alike.argmax())].lower()
    return text


def _sign(seen: Values) -> Values:
    """Return a thing on the grid in the middle of a square, flat, of mean 0 and length 1: products are correlations."""
    height, width = seen.shape
    room = max(0, height - width)
    flat = _on_grid(np.pad(seen, ((0, 0), (room // 2, room - room // 2)))).ravel()
    flat -= flat.mean()
    length = float(np.linalg.norm(flat))
    return flat / length if length and width <= height else np.zeros_like(flat)


@functools.cache
def _outlines() -> dict[str, npt.NDArray[np.bool_]]:
    return {name: _drawn(name) > 0.5 for name in _SHAPES}


@functools.cache
def _signs() -> Values:
    """Return each of `SIGNS` as `_sign` does, (signs, SIDE x SIDE)."""
    found = []
    for sign in SIGNS:
        across, down = (size // FINE + 16 for size in written(sign, 48))
        canvas = Canvas(across, down, (0, 0, 0), (0, 0, 0))
        canvas.write(sign, 8 * FINE, 8 * FINE, 48, (255, 255, 255))
        found.append(_sign(_boxed(canvas.pixels)))
    return np.array(found)


def _drawn(shape: str) -> Values:
    canvas, middle = Canvas(112, 112, (0, 0, 0), (0, 0, 0)), 56 * FINE
    if shape == "circle":
        canvas.disc(middle, middle, 48 * FINE, (255, 255, 255))
    else:
        canvas.polygon(outline(shape, middle, middle, 48 * FINE), (255, 255, 255))
    return _on_grid(_boxed(canvas.pixels))


def _boxed(image: Image) -> Values:
    """Return a white thing on black, 0 to 1, cut to its box."""
    ink = image[..., 0] > STEP
    rows, columns = (np.nonzero(ink.any(axis))[0] for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0] / 255.0


def _on_grid(values: Values) -> Values:
    """Bring values to SIDE x SIDE by the means of the areas that each place of the grid covers."""
    height, width = values.shape
    return _shares(height) @ values @ _shares(width).T


@functools.lru_cache(maxsize=512)
def _shares(size: int) -> Values:
    """Return how much of each of `size` places falls to each place of the grid, (SIDE, size); rows sum to 1."""
    edges, places = np.arange(SIDE + 1) * (size / SIDE), np.arange(size)
    low, high = np.maximum(edges[:-1, None], places), np.minimum(edges[1:, None], places + 1)
    found: Values = np.maximum(high - low, 0.0) * (SIDE / size)
    return found
