"""Annotations in COCO's format: a JSON file that names images, categories and objects.

What cannot be used is refused with one line that names the first such entry, and how many there are:

- ids and file names that occur twice, annotations of images or categories that are not listed;
- categories that the network does not know. They are mapped by name, whatever their ids (COCO's own have gaps), case
  and spaces apart, with the names that Pascal VOC has for the same; where the network knows none of the names and
  has as many classes, by the order of ids;
- boxes that hold nothing of their image: no size, a negative one, or outside. What sticks out is cut off;
- masks of less than three corners or of another size than the image, and, where the task needs masks, none at all.

Crowds (`iscrowd`) are kept, and treated as COCO treats them. An image without annotations is one without objects.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from limen import validation
from limen.errors import InputError, UnknownNameError
from limen.feature.data.instances import Instances, RunLengths, compressed, decoded, polygons
from limen.image import Image
from limen.image import load as load_image

_PASCAL = {"motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "tvmonitor": "tv"}


class _Runs(msgspec.Struct):
    size: tuple[int, int]
    counts: str | list[Annotated[int, msgspec.Meta(ge=0)]]


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Category(msgspec.Struct):
    id: int
    name: str


class _Annotation(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    segmentation: list[list[float]] | _Runs | None = None


class _CocoFile(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image of a file.

    Attributes:
        name: the file name, as the file has it.
        file: where it is.
        size: (height, width) as the file has it.
        objects: its annotations.
        labels: the network's class of each.
    """

    name: str
    file: Path
    size: tuple[int, int]
    objects: tuple[_Annotation, ...]
    labels: tuple[int, ...]

    def image(self) -> Image:
        """Return the pixels.

        Raises:
            InputError: they are not of the size that the file says (EXIF turns an image, too).
        """
        image = load_image(self.file)
        if image.shape[:2] != self.size:
            raise InputError(
                f"{self.file} is {image.shape[1]} x {image.shape[0]} px, and its annotations are for "
                f"{self.size[1]} x {self.size[0]}. Give the images that were annotated."
            )
        return image

    def instances(self) -> Instances:
        """Return the objects; with masks where every one has one."""
        height, width = self.size
        boxes = np.array([_corners(one, self.size) for one in self.objects], np.float64).reshape(-1, 4)
        masks = None
        if all(one.segmentation for one in self.objects):
            masks = tuple(_mask(one, self.size) for one in self.objects)
        return Instances(
            np.array(self.labels, np.int64),
            np.ones(len(self.objects)),
            boxes / (width, height, width, height),
            masks,
            np.array([bool(one.iscrowd) for one in self.objects], np.bool_),
            self.size,
        )


def read(file: Path, labels: Sequence[str], masks: bool) -> list[AnnotatedImage]:
    """Return the images of a file, in its order.

    They are looked for in the file's folder, in `images` there or one folder up, and where COCO has them: beside the
    folder, in one that is called as the file's name ends (annotations/instances_val2017.json: val2017/).

    Args:
        file: the JSON file.
        labels: the network's names of its classes, in order.
        masks: whether each object must have one.

    Raises:
        InputError: one line on what cannot be used; see the module.
    """
    try:
        plain = msgspec.json.decode(file.read_bytes())
        content = msgspec.convert(plain, _CocoFile)
    except (OSError, msgspec.DecodeError) as error:
        wrong = validation.fault(error, plain, _CocoFile) if isinstance(error, msgspec.ValidationError) else error
        raise InputError(
            f"{file} is not a COCO annotation file ({str(wrong).rstrip('.')}). Give a JSON file with images, "
            "categories and annotations, such as instances_val2017.json."
        ) from None
    if not content.images:
        raise InputError(f"{file} lists no images. Give one that does.")
    _check(file, content, masks)
    numbers = _numbers(file, content, labels)
    found = _files(file, [one.file_name for one in content.images])
    objects: dict[int, list[_Annotation]] = {one.id: [] for one in content.images}
    for one in content.annotations:
        objects[one.image_id].append(one)
    return [
        AnnotatedImage(
            one.file_name,
            found[one.file_name],
            (one.height, one.width),
            tuple(objects[one.id]),
            tuple(numbers[each.category_id] for each in objects[one.id]),
        )
        for one in content.images
    ]


def _check(file: Path, content: _CocoFile, masks: bool) -> None:
    """Refuse what no image could be read with."""
    for what, names in (
        ("images", [one.id for one in content.images]),
        ("annotations", [one.id for one in content.annotations]),
        ("categories", [one.id for one in content.categories]),
        ("file names", [one.file_name for one in content.images]),
    ):
        twice = [name for name, count in Counter[Any](names).items() if count > 1]
        _refuse(file, f"{what} occur twice", twice, "Give each its own.")
    sizes = {one.id: (one.height, one.width) for one in content.images}
    small = [one.id for one in content.images if min(sizes[one.id]) < 1]
    _refuse(file, "images have no size", small, "Write their width and height in px.")
    lists: tuple[tuple[str, Callable[[_Annotation], bool], str], ...] = (
        ("annotations are of images that it does not list", lambda one: one.image_id not in sizes, "Leave them out."),
        ("boxes hold nothing of their image", lambda one: _empty(one, sizes[one.image_id]), _BOXES),
        ("masks fit no image", lambda one: _misfit(one, sizes[one.image_id]), _MASKS),
        ("annotations have no mask", lambda one: masks and not one.segmentation, "Segmentation needs one for each."),
    )
    for what, wrong, remedy in lists:
        _refuse(file, what, [one.id for one in content.annotations if wrong(one)], remedy)


_BOXES = "bbox is left, top, width, height in px, the last two above 0, inside the image. Correct or leave them out."
_MASKS = "Give polygons of three corners at least, or run lengths of the image's size. Correct or leave them out."


def _refuse(file: Path, what: str, wrong: Sequence[object], remedy: str) -> None:
    if wrong:
        raise InputError(f"{file}: {len(wrong)} {what}, the first is {wrong[0]!r}. {remedy}")


def _numbers(file: Path, content: _CocoFile, labels: Sequence[str]) -> dict[int, int]:
    """Return the network's class of each category that is used."""
    known = {_plain(label): number for number, label in enumerate(labels)}
    used = {one.category_id for one in content.annotations}
    names = {one.id: one.name for one in content.categories}
    strange = sorted(used - names.keys())
    _refuse(file, "categories are used and not listed", strange, "List them under categories.")
    numbers = {number: known.get(_plain(name)) for number, name in names.items()}
    if all(label is None for label in numbers.values()) and len(names) == len(labels):
        return {number: place for place, number in enumerate(sorted(names))}
    for number in sorted(used):
        if numbers[number] is None:
            raise UnknownNameError("class of the network", names[number], labels)
    return {number: label for number, label in numbers.items() if label is not None}


def _plain(name: str) -> str:
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return _PASCAL.get(plain, plain)


def _files(file: Path, names: Sequence[str]) -> dict[str, Path]:
    """Return where the images are: all in the same of the usual places."""
    folder = file.parent
    places = [folder, folder / "images", folder.parent / "images", folder.parent / file.stem.rpartition("_")[2]]
    missing = {place: [name for name in names if not (place / name).is_file()] for place in places}
    best = min(places, key=lambda place: len(missing[place]))
    if missing[best]:
        raise InputError(
            f"{file}: {len(missing[best])} of {len(names)} images are missing, the first is {missing[best][0]!r}. Put "
            f"them where file_name says, from one of: {', '.join(map(str, places))}."
        )
    return {name: best / name for name in names}


def _corners(one: _Annotation, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the box's corners, cut off at the image's edges."""
    left, top, width, height = one.bbox
    return max(left, 0), max(top, 0), min(left + width, size[1]), min(top + height, size[0])


def _empty(one: _Annotation, size: tuple[int, int]) -> bool:
    left, top, right, bottom = _corners(one, size)
    return not (one.bbox[2] > 0 and one.bbox[3] > 0 and right > left and bottom > top)  # not: for what is no number


def _misfit(one: _Annotation, size: tuple[int, int]) -> bool:
    if isinstance(one.segmentation, _Runs):
        counts = one.segmentation.counts
        if one.segmentation.size != size:
            return True
        return sum(counts) != size[0] * size[1] if isinstance(counts, list) else not _readable(counts, size)
    return any(len(outline) < 6 or len(outline) % 2 for outline in one.segmentation or ())


def _readable(counts: str, size: tuple[int, int]) -> bool:
    try:
        decoded([{"size": list(size), "counts": counts.encode()}], size)
    except (RuntimeError, ValueError):
        return False
    return True


def _mask(one: _Annotation, size: tuple[int, int]) -> RunLengths:
    shape = one.segmentation
    if isinstance(shape, _Runs):
        if isinstance(shape.counts, list):
            return compressed(shape.counts, size)
        return {"size": list(size), "counts": shape.counts.encode()}
    return polygons(shape or (), size)
