"""What a series is: one reference at levels 0..n of one distortion. Level 0 is the reference itself."""

import functools
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from limen import digest
from limen.distortion import Distortion
from limen.errors import InputError
from limen.image import Picture, check
from limen.item import Item
from limen.source import PAIRS, Reference, ReferenceKind, item_digest


@dataclass(frozen=True, slots=True)
class Series:
    """A recipe for stimuli; pixels are made when they are needed.

    The n-th JND needs no concept of its own: its reference is the stimulus at the level of the last one.

    Attributes:
        reference: an image, with or without a question of its own (an item); a view of a scene; or a pair.
        distortion: what is done to it.
        seed: of the study; changes the random draw.
    """

    reference: Reference
    distortion: Distortion
    seed: int = 0

    def __len__(self) -> int:
        return len(self.distortion.ladder)

    @property
    def key(self) -> str:
        """Names the random draw: the pixels (of an item, its text too) and the study's seed; no path and no level."""
        return f"{self.reference.digest}/{self.seed}"

    @property
    def id(self) -> str:
        """The series' digest: equal exactly where all stimuli are."""
        kind = self.distortion
        return digest.of([kind.name, kind.version, kind.ladder.digest, self.key])

    def open(self) -> Callable[[int], Picture]:
        """Load the reference and return a function from level to picture, which keeps what it has made last.

        Raises:
            InputError: the reference cannot be loaded any more, or is not what the series was planned with.
        """
        loaded = _shared(self.reference)
        if self.distortion.of == ReferenceKind.QUESTION:
            return lambda level: loaded.whole[0]
        render = self.distortion.render(loaded.content, self.key)

        def draw(level: int) -> Picture:
            pixels = render(level)
            return next((one for one in loaded.whole if one.pixels is pixels), None) or Picture.of(pixels)

        return functools.lru_cache(maxsize=4)(draw)

    @property
    def varied(self) -> bool:
        """Whether a second draw of a level is another stimulus: words can be perturbed in many ways."""
        return self.distortion.of == ReferenceKind.QUESTION

    def items(self) -> Callable[[int, int], Item | None]:
        """Return a function from level and draw to the item that is asked; None where the reference has none."""
        item = self.reference.item
        if item is None or not self.varied:
            return lambda level, draw: item
        reworded = functools.lru_cache(maxsize=64)(
            lambda draw: self.distortion.render(item, f"{self.key}/{draw}" if draw else self.key)
        )
        return lambda level, draw: reworded(draw)(level)


def undergoes(reference: Reference, distortion: Distortion) -> bool:
    """Say whether a distortion can be done to a reference: an item is a picture, and a question."""
    kinds = (ReferenceKind.IMAGE, ReferenceKind.QUESTION) if reference.item is not None else (reference.kind,)
    return distortion.of in kinds


def wanted(distortions: Iterable[Distortion]) -> set[str]:
    """Return the kinds of reference that can undergo some of these distortions."""
    kinds = {distortion.of for distortion in distortions}
    items = {ReferenceKind.ITEM} if kinds & {ReferenceKind.IMAGE, ReferenceKind.QUESTION} else set()
    return (kinds - {ReferenceKind.QUESTION}) | items


def control(picture: Picture, name: str) -> Picture:
    """Return a picture of which nobody could say that it is another: one grey level more or less at each sample.

    What an observer answers otherwise of it than of the picture itself is unrest, not a difference it noticed.

    Args:
        picture: uint8 RGB.
        name: of the comparison; draws the signs.
    """
    signs = digest.generator("unrest", name).integers(0, 2, picture.pixels.shape, dtype=np.int16) * 2 - 1
    return Picture.of(np.clip(picture.pixels + signs, 0, 255).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class _LoadedReference:
    """What a reference loads, and its pictures where it is made of pictures, digested once."""

    content: Any
    whole: tuple[Picture, ...]


_OPEN: weakref.WeakValueDictionary[tuple[str, str], _LoadedReference] = weakref.WeakValueDictionary()
_LOADING = tuple(threading.Lock() for _ in range(64))


def _shared(reference: Reference) -> _LoadedReference:
    """Load a reference, or take what another open series of it has loaded: decoded once, and once in memory."""
    key = reference.digest, str(reference.kind)
    with _LOADING[hash(key) % len(_LOADING)]:
        loaded = _OPEN.get(key)
        if loaded is None:
            loaded = _OPEN[key] = _load(reference)
    return loaded


def _load(reference: Reference) -> _LoadedReference:
    """Load a reference, and see that it is the one that was planned.

    A series' id, its draw and its place in every table come from the digest that the reference was planned with: other
    pixels under it would be a wrong number without a sign of it.
    """
    try:
        content = reference.load()
    except OSError as error:
        raise InputError(
            f"{reference.name}: cannot be read any more ({error.strerror or type(error).__name__}). Put it back."
        ) from None
    whole: tuple[Picture, ...] = ()
    if reference.kind in (ReferenceKind.IMAGE, ReferenceKind.ITEM):
        whole = (Picture.of(check(content, reference.name)),)
        content, found = whole[0].pixels, whole[0].digest
        found = found if reference.item is None else item_digest(found, reference.item)
    elif reference.kind in PAIRS:
        content = tuple(check(one, reference.name) for one in content)
        whole = tuple(map(Picture.of, content))
        found = digest.of([one.digest for one in whole])
    else:
        found = getattr(content, "digest", reference.digest)  # a view of a scene: all that decides its pixels
    if found != reference.digest:
        raise InputError(
            f"{reference.name}: has other pixels than when it was planned (digest {found[:8]}, was "
            f"{reference.digest[:8]}): it has changed since. Restore it and run the same command again, or start anew "
            "with another --out."
        )
    return _LoadedReference(content, whole)
