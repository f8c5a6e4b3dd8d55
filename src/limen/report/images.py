"""Pictures of a report: stimuli drawn again as they were shown, thumbnails, pictures in the page, contact sheets."""

import base64
import contextlib
import dataclasses
import functools
import importlib.util
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, features

from limen import digest as digests
from limen import distortion as distortions
from limen import registry
from limen.analysis.merge import own_name
from limen.analysis.replay import items_of
from limen.distortion import Distortion
from limen.errors import InputError
from limen.image import Image, container, decode, digest, png
from limen.ladder import Ladder
from limen.source import PAIRS, VIEWS, ReferenceKind, item_digest
from limen.store import SeriesRow, Store, bundle
from limen.study import drawing

SIDE = 240  # px: thumbnails of larger pictures are scaled down to it
SHOWN = 200  # px: the longest side of a thumbnail on the page
PAIR = 400  # px: the longer side of the two pictures on the first screen
HARD = 128  # px: up to here every pixel is shown as it is, enlarged
MOST_PIXELS = 26_000_000  # of a reference whose stimuli a page draws: blur takes 50 bytes for each
SMALL = 1_000_000  # pixels of a reference that is kept for the next series of it
CACHED = 16_000_000  # pixels of stimuli kept while a series is looked at, in 16 pictures at most
LARGEST = 2048  # px: embedded pictures with a longer side are scaled down to it, and the page says so
ENOUGH = 8  # refusals in a row after which no more pictures are drawn
_CELL, _MARGIN, _LABEL = 180, 6, 16  # px of a contact sheet
_DIFFERENT = "This limen draws {} in another way than the run did"

Render = Callable[[int], Image]


# --- stimuli, drawn again ---


def renderer(store: Store, row: SeriesRow, views: bool = False) -> Render:
    """Return a function from level to stimulus, as it was shown: with the strengths of the run's own ladder.

    Args:
        store: of the run.
        row: the series.
        views: also draw views of scenes, which take most of a second each.

    Raises:
        InputError: it cannot be drawn as it was shown, and why.
    """
    name = own_name(row.distortion, store.manifest["distortions"])
    kind = _found(store, name)
    if kind.of in VIEWS:
        return _view(store, kind, row, views)
    data = store.picture(row.picture)
    if data is None and kind.of in PAIRS:
        raise InputError(
            "The two pictures of this pair were not kept in the run: they are in the data set it came from."
        )
    if data is None and bundle.origin(store.path):
        raise InputError("A bundle has no pictures, so stimuli are not drawn: limen verify --images FOLDER draws them.")
    if data is None:
        raise InputError("The reference was not kept in the run, so its stimuli cannot be drawn again.")
    kind = as_measured(store, name)
    _, facts = container.look(data)
    pixels = math.prod(facts.size or (1, 1))
    if pixels > MOST_PIXELS:
        raise InputError(
            f"The reference has {pixels / 1e6:.0f} megapixels; pages draw stimuli of up to {MOST_PIXELS / 1e6:.0f}. "
            "limen render draws them from the photograph."
        )
    kept, measured = _kept(data) if pixels <= SMALL else _kept.__wrapped__(data)
    pair = np.array_split(kept, 2) if kind.of in PAIRS else None  # one picture, the second below the first
    measured = digests.of([digest(half) for half in pair]) if pair else measured
    if measured != row.picture and (item := items_of(store, row.picture).get(row.picture)) is not None:
        measured = item_digest(measured, item)
    if measured != row.picture:
        raise InputError("The picture kept in the run is not the one that was measured (its digest differs).")
    cached = functools.lru_cache(maxsize=max(1, min(16, CACHED // pixels)))
    if kind.of == ReferenceKind.QUESTION:  # its words change, not its picture
        return cached(lambda level: kept)
    return cached(kind.render(pair or kept, row.key))


@functools.lru_cache(maxsize=8)
def _kept(data: bytes) -> tuple[Image, str]:
    """Return a reference and its digest: series of several distortions that follow each other share it."""
    kept = decode(data, "the kept reference")
    return kept, digest(kept)


def as_measured(store: Store, name: str) -> Distortion:
    """Return a distortion of a run with the ladder that it asked about, be it published or the study's own.

    Args:
        store: of the run.
        name: of the distortion.

    Raises:
        InputError: this limen does not draw it, or not as the run did.
    """
    kind = with_ladder(store, name)
    if store.manifest.get("probes", {}).get(name) not in (None, _probe(kind)):
        raise InputError(f"The libraries installed here draw {name} with other pixels than the run's did.")
    return kind


def _found(store: Store, name: str) -> Distortion:
    if outside := store.manifest["distortions"].get(name, {}).get("outside"):
        raise InputError(f"The stimuli are {outside}: a report has only the references.")
    return distortions.find(name)


def with_ladder(store: Store, name: str) -> Distortion:
    """Return a distortion of a run as `as_measured` does, even where the libraries here draw other pixels."""
    kind = _found(store, name)
    measured = store.manifest["distortions"][kind.name]
    if (kind.version, kind.ladder.unit) != (measured["version"], measured["unit"]):
        raise InputError(f"{_DIFFERENT.format(kind.name)} (version, unit).")
    return dataclasses.replace(kind, ladder=Ladder(tuple(measured["strengths"]), measured["unit"]))


@functools.cache
def _probe(kind: Distortion) -> str | None:
    return drawing.probe(kind)


def _view(store: Store, kind: Distortion, row: SeriesRow, wanted: bool) -> Render:
    """Return a function from level to a view of a scene, where this limen has that very view."""
    name = row.name.partition("-")[0]
    if not wanted or importlib.util.find_spec("embreex") is None:
        raise InputError(f"A view is drawn by its scene, not kept in the run: limen render scene={name}.")
    for view in registry.find("scene", name).views(kind.of):
        if view.digest == row.picture:
            return functools.lru_cache(maxsize=16)(with_ladder(store, kind.name).render(view, row.key))
    raise InputError(f"{_DIFFERENT.format(f'the scene {name}')}, or has not this view of it.")


# --- thumbnails ---


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture for the page: a data URI, the size to show it at, and whether it is enlarged with hard pixels.

    `exact` says that every pixel of it is one of the picture's own.
    """

    source: str = field(repr=False)
    width: int
    height: int
    hard: bool
    exact: bool = True


def thumbnail(image: Image) -> Thumbnail:
    """Return `image` as a page shows it: exact up to `SIDE` px, else scaled down and compressed lightly."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= HARD:
        times = max(1, SHOWN // longest)
        return Thumbnail(_uri("png", png(image)), width * times, height * times, hard=True)
    if longest <= SIDE:
        return Thumbnail(_uri("png", png(image)), *_size(image, SHOWN), hard=False)
    buffer = io.BytesIO()
    small = Pillow.fromarray(image).resize(_size(image, SIDE), Pillow.Resampling.LANCZOS)
    small.save(buffer, "JPEG", quality=92, subsampling="4:4:4")
    return Thumbnail(_uri("jpeg", buffer.getvalue()), *_size(image, SHOWN), hard=False, exact=False)


def pair_picture(image: Image) -> Thumbnail:
    """Return a picture of the pair on the first screen: larger than a thumbnail, and without any loss but of size."""
    longest = max(image.shape[:2])
    if longest <= PAIR // 2:
        times = PAIR // longest
        return Thumbnail(_uri("png", png(image)), image.shape[1] * times, image.shape[0] * times, hard=True)
    width, height = _size(image, min(longest, PAIR))
    if longest > PAIR:
        image = np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling.LANCZOS))
    return Thumbnail(_uri("png", png(image)), width, height, hard=False, exact=longest <= PAIR)


def _size(image: Image, longest: int) -> tuple[int, int]:
    """Return width and height of an image whose longer side is brought to so many px."""
    height, width = image.shape[:2]
    most = max(height, width)
    return max(1, round(width * longest / most)), max(1, round(height * longest / most))


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


# --- pictures that travel in a page, or in a folder beside it ---


@dataclass(repr=False)
class Gallery:
    """Pictures, each once, as they were sent: by the digest of their pixels, with the bytes they may still take.

    Attributes:
        budget: bytes left, as base64 in the page; infinite for a folder.
        folder: where files go; None keeps them in the page.
        refused: how many groups of pictures in a row had no room.
    """

    budget: float
    folder: Path | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    refused: int = 0
    written: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the folder."""
        if self.folder is not None:
            with _writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def kind(self) -> str:
        """How pictures are encoded: files beside a page are for other programs, too."""
        return "webp" if self.folder is None and features.check("webp") else "png"

    def discard(self) -> None:
        """Remove the files that were written: there is no page that shows them."""
        with contextlib.suppress(OSError):
            for file in self.written:
                file.unlink(missing_ok=True)
            if self.folder is not None:
                self.folder.rmdir()  # unless others' files are in it

    def __repr__(self) -> str:
        return f"Gallery({len(self.sources)} pictures, {self.budget:.3g} bytes left)"

    @property
    def full(self) -> bool:
        """Whether trying on is no use: pictures differ in size, but not that much."""
        return self.budget <= 0 or self.refused >= ENOUGH

    def add(self, pictures: Sequence[Image]) -> list[int] | None:
        """Return the numbers of pictures, taking in those that are new: all of them, or None where one has no room.

        Args:
            pictures: uint8 RGB (H, W, 3).
        """
        names, new = [], dict[str, bytes]()
        for picture in map(scaled, pictures):
            names.append(digest(picture))
            if names[-1] not in self.numbers and names[-1] not in new:
                new[names[-1]] = self._encoded(picture)
        size = sum(-(-len(data) // 3) * 4 + 1 for data in new.values())
        if size > self.budget:
            self.refused += 1
            return None
        self.refused = 0
        self.budget -= size
        for name, data in new.items():
            self.numbers[name] = len(self.sources)
            self.sources.append(self._kept(name, data))
        return [self.numbers[name] for name in names]

    def _encoded(self, image: Image) -> bytes:
        """Return a picture without loss: as WebP in a page, which takes a quarter less room and time than PNG."""
        if self.kind == "png":
            return png(image)
        buffer = io.BytesIO()
        Pillow.fromarray(image).save(buffer, "WEBP", lossless=True, method=0, quality=20)
        return buffer.getvalue()

    def _kept(self, name: str, data: bytes) -> str:
        if self.folder is None:
            return base64.b64encode(data).decode()
        file = self.folder / f"{name}.png"
        with _writing(self.folder):
            if not file.exists():
                self.written.append(file)
                file.write_bytes(data)
            elif file.read_bytes() != data:  # else an earlier page shows it
                file.write_bytes(data)
        return f"{self.folder.name}/{name}.png"


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}). Give another --out.") from None


def scaled(image: Image) -> Image:
    """Return an image as it is up to `LARGEST` px a side, a larger one scaled down (Lanczos)."""
    if max(image.shape[:2]) <= LARGEST:
        return image
    return np.asarray(Pillow.fromarray(image).resize(_size(image, LARGEST), Pillow.Resampling.LANCZOS))


# --- contact sheets ---


def contact_sheet(rows: Mapping[str, Sequence[tuple[str, Image]]], cell: int = _CELL) -> Image:
    """Return one image showing each row's pictures, scaled to a common width (`cell` px), with their labels above.

    Small pictures are enlarged with hard pixels, so that nothing is shown that is not there.
    """
    drawn = [[(f"{name} {label}", _fitted(picture, cell)) for label, picture in row] for name, row in rows.items()]
    heights = [max(p.height for _, p in row) + _LABEL + _MARGIN for row in drawn]
    width = max(len(row) for row in drawn) * (cell + _MARGIN) + _MARGIN
    canvas = Pillow.new("RGB", (width, sum(heights) + _MARGIN), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    top = _MARGIN
    for row, height in zip(drawn, heights, strict=True):
        for i, (label, picture) in enumerate(row):
            left = _MARGIN + i * (cell + _MARGIN)
            pen.text((left, top), label, fill="black", font=font)
            canvas.paste(picture, (left, top + _LABEL))
        top += height
    return np.array(canvas)


def _fitted(picture: Image, cell: int) -> Pillow.Image:
    height, width = picture.shape[:2]
    resampling = Pillow.Resampling.NEAREST if width < cell else Pillow.Resampling.LANCZOS
    return Pillow.fromarray(picture).resize((cell, max(1, round(height * cell / width))), resampling)
