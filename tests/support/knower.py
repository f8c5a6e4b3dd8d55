"""A toy observer that answers items, and loses them when a picture is too far from one it knows."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from limen import digest
from limen.image import Image, Picture
from limen.image import digest as digest_of
from limen.item import Item
from limen.observer import Observer, Reply
from limen.parsing.forms import Form
from limen.question import Query
from limen.source import Reference, ReferenceKind, item_digest
from limen.trial import Answer, Attempt

_OPTION = re.compile(r"^([A-Z])\. (.*)$", re.MULTILINE)


def reference(name: str, image: Image, item: Item) -> Reference:
    """Return an item of a picture in memory."""
    found = item_digest(digest_of(image), item)
    return Reference(name, found, lambda: image, ReferenceKind.ITEM, size=image.shape[1::-1], item=item)


class Knower(Observer):
    """Gives each picture the answer of the nearest one it knows, or another one beyond a distance of grey levels rms.

    Args:
        known: pictures and what it says of them, as an option's text or as the answer itself.
        otherwise: what it says of a picture farther than `threshold` from all of them.
        threshold: in grey levels rms.
        unrest: share of answers that are `otherwise` at random, by the picture (of a sampled one by the draw too).
        sampled: whether draws differ.
    """

    def __init__(
        self, known: Mapping[str, Image], otherwise: str | Callable[[float], str] = "", threshold: float = 6.0,
        unrest: float = 0.0, sampled: bool = False, name: str = "knower",
    ) -> None:  # fmt: skip
        self.name, self.sampled, self.asked = name, sampled, list[Query]()
        self._known, self._otherwise, self._threshold, self._unrest = known, otherwise, threshold, unrest

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "knower", "threshold": self._threshold, "unrest": self._unrest, "name": self.name}

    async def answer(self, query: Query) -> Reply:
        self.asked.append(query)
        (picture,) = query.pictures
        said = self._says(picture, query)
        letters = {text: letter for letter, text in _OPTION.findall(query.text)}
        return Reply(Answer(letters.get(said, said), finish="stop"), (Attempt("ok"),))

    def _says(self, picture: Picture, query: Query) -> str:
        apart = {said: _rms(picture.pixels, image) for said, image in self._known.items()}
        said, distance = min(apart.items(), key=lambda one: one[1])
        draw = query.draw if self.sampled else 0
        restless = digest.generator("unrest of a toy", picture.digest, str(draw)).random() < self._unrest
        if distance <= self._threshold and not restless:
            return said
        return self._otherwise(distance) if callable(self._otherwise) else self._otherwise


def _rms(one: Image, other: Image) -> float:
    if one.shape != other.shape:
        return float("inf")
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


def asking(form: Form, truth: str, question: str = "What is it?") -> Item:
    """Return an item."""
    return Item(question, form, truth)
