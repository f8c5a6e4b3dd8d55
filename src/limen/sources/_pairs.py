"""Pairs of pictures as references. Shared by the importers; registers no source."""

from collections.abc import Callable

from limen.errors import InputError
from limen.image import Image
from limen.source import Reference, ReferenceKind, Refusal, digest_of, readable, size_of

Two = tuple[Image, Image]


def of_two(
    name: str,
    load: Callable[[], Two],
    kind: str = ReferenceKind.PAIR,
    strength: float | None = None,
    loaded: Two | None = None,
) -> Reference | Refusal:
    """Return the reference that two pictures are, or why they are none.

    Args:
        name: of the pair.
        load: reads both, uint8 RGB (H, W, 3); called again whenever they are needed.
        kind: `ReferenceKind.PAIR` or `SCORED_PAIR`.
        strength: of a scored pair.
        loaded: what `load` would return, where it is at hand.
    """
    name = readable(name)
    try:
        first, second = loaded or load()
    except InputError as error:
        return Refusal(f"{name}: {error}")
    if first.shape != second.shape:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (first, second))
        return Refusal(
            f"{name}: its pictures have {sizes} pixels, and size alone would tell them apart. Leave it out, or crop "
            "both alike."
        )
    whole = digest_of((first, second))
    return Reference(name, whole, load, kind=kind, strength=strength, size=size_of(first))
