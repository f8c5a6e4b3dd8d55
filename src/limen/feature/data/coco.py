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
from pathlib import Path
from typing import Any

import msgspec

from limen import validation
from limen.errors import InputError
from limen.feature.data.annotated import AnnotatedImage, Annotation, Runs, class_numbers, empty, refuse
from limen.feature.data.instances import decoded


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Category(msgspec.Struct):
    id: int
    name: str


class _CocoFile(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[Annotation]


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
    objects: dict[int, list[Annotation]] = {one.id: [] for one in content.images}
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
        refuse(file, f"{what} occur twice", twice, "Give each its own.")
    sizes = {one.id: (one.height, one.width) for one in content.images}
    small = [one.id for one in content.images if min(sizes[one.id]) < 1]
    refuse(file, "images have no size", small, "Write their width and height in px.")
    lists: tuple[tuple[str, Callable[[Annotation], bool], str], ...] = (
        ("annotations are of images that it does not list", lambda one: one.image_id not in sizes, "Leave them out."),
        ("boxes hold nothing of their image", lambda one: empty(one, sizes[one.image_id]), _BOXES),
        ("masks fit no image", lambda one: _misfit(one, sizes[one.image_id]), _MASKS),
        ("annotations have no mask", lambda one: masks and not one.segmentation, "Segmentation needs one for each."),
    )
    for what, wrong, remedy in lists:
        refuse(file, what, [one.id for one in content.annotations if wrong(one)], remedy)


_BOXES = "bbox is left, top, width, height in px, the last two above 0, inside the image. Correct or leave them out."
_MASKS = "Give polygons of three corners at least, or run lengths of the image's size. Correct or leave them out."


def _numbers(file: Path, content: _CocoFile, labels: Sequence[str]) -> dict[int, int]:
    """Return the network's class of each category that is used."""
    used = {one.category_id for one in content.annotations}
    names = {one.id: one.name for one in content.categories}
    refuse(file, "categories are used and not listed", sorted(used - names.keys()), "List them under categories.")
    return class_numbers(names, used, labels)


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


def _misfit(one: Annotation, size: tuple[int, int]) -> bool:
    if isinstance(one.segmentation, Runs):
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
