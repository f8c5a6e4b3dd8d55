"""Images with annotated objects, whatever the format of the file that says so: what COCO's and YOLO's share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from limen.errors import InputError, UnknownNameError
from limen.feature.data.instances import Instances, RunLengths, compressed, polygons
from limen.image import Image
from limen.image import load as load_image

_PASCAL = {"motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "tvmonitor": "tv"}


class Runs(msgspec.Struct):
    """A mask as run lengths: numbers, or COCO's text."""

    size: tuple[int, int]
    counts: str | list[Annotated[int, msgspec.Meta(ge=0)]]


class Annotation(msgspec.Struct):
    """One object, as COCO writes it: `bbox` is left, top, width, height; `segmentation` polygons or run lengths."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    segmentation: list[list[float]] | Runs | None = None


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image with its objects.

    Attributes:
        name: the file name, as the data have it.
        file: where it is.
        size: (height, width) in px that the annotations are for; None where they are shares of an image of any size.
        objects: its annotations, in px, or shares of width and height.
        labels: the network's class of each.
    """

    name: str
    file: Path
    size: tuple[int, int] | None
    objects: tuple[Annotation, ...]
    labels: tuple[int, ...]

    def read(self) -> tuple[Image, Instances]:
        """Return the pixels, and the objects.

        Raises:
            InputError: the pixels are not of the size that the annotations are for (EXIF turns an image, too).
        """
        image = load_image(self.file)
        size = (image.shape[0], image.shape[1])
        if self.size not in (None, size):
            assert self.size is not None
            raise InputError(
                f"{self.file} is {size[1]} x {size[0]} px, and its annotations are for "
                f"{self.size[1]} x {self.size[0]}. Give the images that were annotated."
            )
        return image, self.instances(size)

    def instances(self, size: tuple[int, int]) -> Instances:
        """Return the objects; with masks where every one has one.

        Args:
            size: (height, width) of the pixels.
        """
        height, width = size
        objects = self.objects if self.size else [_in_px(one, size) for one in self.objects]
        boxes = np.array([corners(one, size) for one in objects], np.float64).reshape(-1, 4)
        masks = None
        if all(one.segmentation for one in objects):
            masks = tuple(_mask(one, size) for one in objects)
        return Instances(
            np.array(self.labels, np.int64),
            np.ones(len(objects)),
            boxes / (width, height, width, height),
            masks,
            np.array([bool(one.iscrowd) for one in objects], np.bool_),
            size,
        )


def class_numbers(names: Mapping[int, str], used: Iterable[int], labels: Sequence[str]) -> dict[int, int]:
    """Return the network's class of each category.

    They are mapped by name, case and spaces apart, with the names that Pascal VOC has for the same; where the network
    knows none of the names and has as many classes, by the order of ids.

    Args:
        names: of the categories, by id.
        used: ids of those that objects have; the others may be any.
        labels: the network's names of its classes, in order.

    Raises:
        UnknownNameError: a category that is used is no class of the network.
    """
    known = {_plain(label): number for number, label in enumerate(labels)}
    numbers = {number: known.get(_plain(name)) for number, name in names.items()}
    if all(label is None for label in numbers.values()) and len(names) == len(labels):
        return {number: place for place, number in enumerate(sorted(names))}
    for number in sorted(set(used)):
        if numbers[number] is None:
            raise UnknownNameError("class of the network", names[number], labels)
    return {number: label for number, label in numbers.items() if label is not None}


def refuse(file: Path, what: str, wrong: Sequence[object], remedy: str) -> None:
    """Raise `InputError` where there is something wrong, with how many there are and the first.

    Args:
        file: that holds them.
        what: is wrong with them, after their number.
        wrong: names of them.
        remedy: what to do, a sentence.
    """
    if wrong:
        raise InputError(f"{file}: {len(wrong)} {what}, the first is {wrong[0]!r}. {remedy}")


def corners(one: Annotation, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the box's corners, cut off at the image's edges."""
    left, top, width, height = one.bbox
    return max(left, 0), max(top, 0), min(left + width, size[1]), min(top + height, size[0])


def empty(one: Annotation, size: tuple[int, int]) -> bool:
    """Whether a box holds nothing of its image: no size, a negative one, or outside."""
    left, top, right, bottom = corners(one, size)
    return not (one.bbox[2] > 0 and one.bbox[3] > 0 and right > left and bottom > top)  # not: for what is no number


def _plain(name: str) -> str:
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return _PASCAL.get(plain, plain)


def _in_px(one: Annotation, size: tuple[int, int]) -> Annotation:
    """Return an annotation in shares of width and height in px of an image."""
    height, width = size
    left, top, across, down = one.bbox
    outlines = one.segmentation if isinstance(one.segmentation, list) else []
    scaled = [[value * (height if place % 2 else width) for place, value in enumerate(line)] for line in outlines]
    box = (left * width, top * height, across * width, down * height)
    return msgspec.structs.replace(one, bbox=box, segmentation=scaled or None)


def _mask(one: Annotation, size: tuple[int, int]) -> RunLengths:
    shape = one.segmentation
    if isinstance(shape, Runs):
        if isinstance(shape.counts, list):
            return compressed(shape.counts, size)
        return {"size": list(size), "counts": shape.counts.encode()}
    return polygons(shape or (), size)
