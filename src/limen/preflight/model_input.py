"""What a model gets of a picture, and from which level on a change reaches it at all: the as-seen floor.

Between a stimulus and a model stands a processor: it scales, cuts into tiles, pads, and rounds to the model's number
format. Below the floor the model's input is bit for bit the reference's, and no model could notice anything. An
observer that knows what arrives has a method `see`; the floor is measured with it before the first question, and kept
with the run (`Store.measurements("floor")`), so that a report can put it under every JND without the model.

An observer that answers with a number has a criterion, fixed before the first question from the run's own references
and kept likewise (`Store.measurements("calibration")`).
"""

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image import Image, Picture
from limen.stimulus import Series
from limen.store import Store

Floats = npt.NDArray[np.floating[Any]]

FILTERS = ("bicubic", "bilinear", "lanczos", "nearest")
CALIBRATION_PICTURES = 16  # references that a criterion is fixed from, at most
ROWS = 16  # floors written at once
_THUMB = 48  # pixels a side at which arrangements of tiles are compared with the picture


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """What reaches a model of one picture.

    Attributes:
        values: (tiles, 3, height, width), the numbers that the model's first layer gets, in the model's order.
        gain, offset: for each channel, grey levels 0..255 = values * gain + offset.
        tokens: image tokens that the picture takes in the prompt; None where that is not known.
        patch: side of the patches that the model cuts tiles into, in px; None where that is not known.
    """

    values: Floats
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    tokens: int | None = None
    patch: int | None = None

    @property
    def tiles(self) -> Floats:
        """Tiles in grey levels, not rounded: (tiles, height, width, 3)."""
        found = self.values.transpose(0, 2, 3, 1).astype(np.float64) * self.gain + self.offset
        return np.asarray(found)

    def same(self, other: "ModelInput") -> bool:
        """Say whether the model gets the very same numbers of both."""
        return np.array_equal(self.values, other.values)

    def psnr(self, other: "ModelInput") -> float:
        """Return the PSNR between the two inputs in dB, peak 255, padding included; inf where they are the same."""
        if self.values.shape != other.values.shape:
            raise InputError(f"Inputs of shapes {self.values.shape} and {other.values.shape} have no PSNR.")
        apart = (self.values - other.values).swapaxes(0, 1).reshape(len(self.gain), -1)
        errors = np.einsum("cn,cn->c", apart, apart, dtype=np.float64) / apart.shape[1]
        return _decibels_of(float(np.mean(errors * np.square(self.gain))))

    def arrangement(self, sent: Image) -> tuple[int, int, int]:
        """Return how the tiles lie: rows, columns, and the first tile that is not an overview.

        Every arrangement is compared with what was sent, margins of one colour apart; so no family of models needs
        to say how it cuts.
        """
        tiles, wanted = _rounded(self.tiles), _thumbnail(sent)

        def error(layout: tuple[int, int, int]) -> float:
            return float(np.mean((_thumbnail(_join(tiles, layout)) - wanted) ** 2))

        return min(_layouts(len(tiles)), key=error)

    def picture(self, sent: Image) -> Image:
        """Return the picture as the model gets it: tiles put together again, padding included, no overview tile."""
        return _join(_rounded(self.tiles), self.arrangement(sent))

    def sheet(self, sent: Image, gap: int = 6) -> Image:
        """Return all tiles apart on white, the overview below."""
        tiles, layout = _rounded(self.tiles), self.arrangement(sent)
        rows, columns, start = layout
        order = [*range(start, start + rows * columns)]
        order += [place for place in range(len(tiles)) if place not in order]
        height, width = tiles.shape[1:3]
        lines = -(-len(tiles) // columns)
        board = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
        for place, tile in enumerate(order):
            top, left = place // columns * (height + gap), place % columns * (width + gap)
            board[top : top + height, left : left + width] = tiles[tile]
        return board


@runtime_checkable
class InputObserver(Protocol):
    """An observer that can say what arrives of pictures of one size shown together; outside `async with`, too."""

    name: str

    def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
        """Return what reaches the model of each picture. Raises `InputError` where that cannot be told."""
        ...


@runtime_checkable
class CriterionObserver(Protocol):
    """An observer that answers with a number and needs a criterion before it answers."""

    name: str

    def calibrate(self, pictures: Sequence[Picture]) -> Mapping[str, Any]:
        """Fix the criterion from these pictures and return the row to keep."""
        ...

    def judge_by(self, row: Mapping[str, Any]) -> None:
        """Take the criterion from a row that was kept."""
        ...


@dataclass(frozen=True, slots=True)
class PairDistance:
    """What an observer that answers with a number found of two pictures.

    Attributes:
        unit: what the number is ("pooled distance", "JND").
        value: the number.
        criterion: above it is a yes.
    """

    unit: str
    value: float
    criterion: float


_VALUE = r"\d+(?:\.\d+)?(?:e[+-]\d+)?"
_NUMBER = re.compile(
    rf"(?:<(?:yes|no)>|[AB]\.) (?P<unit>.+?) (?P<value>{_VALUE}), criterion (?P<criterion>{_VALUE})(?:;|$)"
)


def number(text: str) -> PairDistance | None:
    """Return what such an observer's answer says; None of any other answer."""
    found = _NUMBER.match(text)
    return PairDistance(found["unit"], float(found["value"]), float(found["criterion"])) if found else None


def judged(row: Mapping[str, Any]) -> str:
    """Return where the criterion of a calibration row comes from, in one line."""
    criterion = f"yes above {row['criterion']:.3g}"
    if row.get("declared", True):  # observers of users' own may keep the criterion alone
        return f"{criterion}, declared"
    count, share = len(row["distances"]), 1 - row["false_alarms"]
    nuisance = row.get("nuisance", "rounding")  # the only one before they had names
    made = f"{share:.0%} of {count} identical pairs ({len(row['pictures'])} pictures) under {nuisance}"
    low, high = row.get("interval", (None, None))
    spread = f"; 95 % interval {low:.3g} to {high:.3g}" if low is not None and high is not None else ""
    few = "" if row["enough"] else "; too few pairs for that share, so it is the largest: give more references"
    return f"{criterion}, the {row['distance']} distance of {made}{spread}{few}"


@dataclass(frozen=True, slots=True)
class Floor:
    """What of a series reaches a model.

    Attributes:
        sent: for levels 1..n, PSNR of the stimulus against the reference, in dB; inf where the pixels are the same.
        seen: the same of what the model gets; inf where its input is the same, 0 where the sizes differ.
        size: of the picture as the model gets it, put together from its tiles: width, height.
        tiles: how many a picture is cut into, an overview included.
        tokens: a picture's, or None.
        pixels: how the picture is brought to `size` ("384x384, bicubic if larger or smaller"), where that is all that
            is done to it, to within one grey level; else "".
    """

    sent: tuple[float, ...]
    seen: tuple[float, ...]
    size: tuple[int, int]
    tiles: int
    tokens: int | None
    pixels: str

    @property
    def first(self) -> int | None:
        """The first level at which the model's input differs at all; None where it never does."""
        return next((level for level, found in enumerate(self.seen, start=1) if not math.isinf(found)), None)

    @property
    def unseen(self) -> tuple[int, ...]:
        """Levels whose input is the reference's; they need not be the lowest ones."""
        return tuple(level for level, found in enumerate(self.seen, start=1) if math.isinf(found))

    def row(self) -> dict[str, Any]:
        """Return it as plain data; an infinite PSNR is None."""
        return {
            "first": self.first,
            "sent_db": [_decibels(one) for one in self.sent],
            "seen_db": [_decibels(one) for one in self.seen],
            "size": list(self.size),
            "tiles": self.tiles,
            "tokens": self.tokens,
            "pixels": self.pixels,
        }


def psnr(first: Floats | Image, second: Floats | Image) -> float:
    """Return the peak signal-to-noise ratio of two arrays of grey levels 0..255, in dB; inf where they are equal."""
    return _decibels_of(float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)))


def scaling(sent: Image, arrived: Image) -> str:
    """Return how `arrived` was made from `sent` by scaling alone, or "".

    Pillow's filters are tried on the picture; the nearest one counts where no value is off by more than 1.
    """
    height, width = arrived.shape[:2]
    best, found = 1.0, ""
    for name in FILTERS:
        scaled: Image = sent
        if sent.shape != arrived.shape:
            size = (width, height)
            scaled = np.asarray(Pillow.fromarray(sent).resize(size, Pillow.Resampling[name.upper()]))
        off = np.abs(scaled.astype(np.int16) - arrived)
        if off.max() <= 1 and off.mean() < best:
            best, found = float(off.mean()), f"{width}x{height}, {name} if larger or smaller"
    return found


def floor(
    see: Callable[[Sequence[Picture]], tuple[ModelInput, ...]], stimulus: Callable[[int], Picture], levels: int
) -> Floor:
    """Return what of a series reaches a model.

    Pictures are shown in pairs, as questions show them: some processors treat one picture alone otherwise.

    Args:
        see: of an observer.
        stimulus: from level to picture; 0 is the reference.
        levels: L of the ladder, >= 1.

    Raises:
        InputError: the observer cannot tell what arrives.
    """
    reference = stimulus(0)
    (home, _) = see((reference, reference))
    sent, seen = [], []
    pictures = (stimulus(level) for level in range(1, levels + 1))
    while pair := list(islice(pictures, 2)):
        fitting = [one for one in pair if one.pixels.shape == reference.pixels.shape]
        arrived = iter(see((fitting * 2)[:2]) if fitting else ())
        for one in pair:
            if one.pixels.shape != reference.pixels.shape:
                sent.append(0.0)
                seen.append(0.0)
                continue
            sent.append(psnr(one.pixels, reference.pixels))
            found = next(arrived)
            seen.append(math.inf if found.same(home) else home.psnr(found))
    picture = home.picture(reference.pixels)
    size = (picture.shape[1], picture.shape[0])
    return Floor(tuple(sent), tuple(seen), size, len(home.values), home.tokens, scaling(reference.pixels, picture))


# --- what a study calls before the first question ---


def calibrate(observer: object, series: Sequence[Series], store: Store) -> None:
    """Give an observer that answers with numbers its criterion: the run's, or a new one that is written down.

    To be called when the observer is entered and before its fingerprint is taken, which holds the criterion.

    Args:
        observer: any; one that is not `CriterionObserver` is left as it is.
        series: whose references fix the criterion, the first `CALIBRATION_PICTURES`.
        store: of the run, open for writing.
    """
    if not isinstance(observer, CriterionObserver):
        return
    row = store.measurements("calibration").get(observer.name)
    if row is not None:
        observer.judge_by(row)
        return
    pictures = list(islice(_references(series), CALIBRATION_PICTURES))
    if not pictures:
        raise InputError(f"{observer.name} fixes its criterion from references, and not one could be loaded.")
    store.add_measurements("calibration", {observer.name: observer.calibrate(pictures)})


def keep_floors(
    observer: object,
    series: Sequence[Series],
    store: Store,
    tell: Callable[[int, int], None] = lambda number, level: None,
) -> str:
    """Write the floor of every series that has none yet, where the observer can say what arrives.

    Args:
        observer: any; one that is not `InputObserver` is left out.
        series: whose floors are wanted.
        store: of the run, open for writing.
        tell: called before each level is drawn, with the place of the series, 0 for the first, and the level.

    Returns:
        One line where it could not: for any, and then nothing is tried further, or for some; else "". A series that
        cannot be opened is left to the study to report.
    """
    if not isinstance(observer, InputObserver):
        return ""
    known, failures = store.measurements("floor"), list[str]()
    rows: dict[str, dict[str, Any]] = {}
    for place, one in enumerate(series):
        key = floor_key(observer.name, one.id)
        if key in known:
            continue
        try:
            stimulus = one.open()
        except InputError:
            continue
        try:
            found = floor(observer.see, functools.partial(_drawn, stimulus, functools.partial(tell, place)), len(one))
            rows[key] = {"observer": observer.name, "series": one.id, **found.row()}
        except InputError as error:
            failures.append(str(error))
            if not (rows or known):
                return f"No as-seen floor for {observer.name}: {error}"
        if len(rows) == ROWS:
            store.add_measurements("floor", rows)
            known, rows = known | rows, {}
    store.add_measurements("floor", rows)
    return f"{len(failures)} series without an as-seen floor, the first: {failures[0]}" if failures else ""


def _drawn(stimulus: Callable[[int], Picture], tell: Callable[[int], None], level: int) -> Picture:
    tell(level)
    return stimulus(level)


def floor_key(observer: str, series: str) -> str:
    """Return under which key a floor is kept."""
    return f"{series}/{observer}"


def _references(series: Sequence[Series]) -> Iterator[Picture]:
    """Yield each reference picture once, in the study's order."""
    known = set()
    for one in series:
        if one.reference.digest not in known:
            known.add(one.reference.digest)
            try:
                yield one.open()(0)
            except InputError:
                continue


# --- tiles ---


def _layouts(count: int) -> Iterator[tuple[int, int, int]]:
    """Yield how tiles may lie, as (rows, columns, the first of them): with an overview last, first, or without one."""
    if count > 1:
        yield from ((rows, (count - 1) // rows, 0) for rows in range(1, count) if (count - 1) % rows == 0)
        yield from ((rows, (count - 1) // rows, 1) for rows in range(1, count) if (count - 1) % rows == 0)
    yield from ((rows, count // rows, 0) for rows in range(1, count + 1) if count % rows == 0)


def _join(tiles: Image, layout: tuple[int, int, int]) -> Image:
    rows, columns, start = layout
    lines = (tiles[start + row * columns : start + (row + 1) * columns] for row in range(rows))
    return np.concatenate([np.concatenate(list(line), axis=1) for line in lines])


def _rounded(tiles: Floats) -> Image:
    return np.clip(np.rint(tiles), 0, 255).astype(np.uint8)


def _thumbnail(image: Image) -> npt.NDArray[np.float64]:
    """Return a small square of the picture without margins of the corner's colour."""
    rows, columns = (np.any(image != image[0, 0], axis=(axis, 2)).nonzero()[0] for axis in (1, 0))
    if len(rows):
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = Pillow.fromarray(np.ascontiguousarray(image)).resize((_THUMB, _THUMB), Pillow.Resampling.BOX)
    return np.asarray(small, np.float64)


def _decibels_of(error: float) -> float:
    """Return the PSNR of a mean squared error in grey levels."""
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _decibels(value: float) -> float | None:
    return None if math.isinf(value) else round(value, 2)
