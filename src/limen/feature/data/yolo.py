"""Labels in YOLO's format: a text file an image, a line an object, as Ultralytics reads them.

A line is `class centre-x centre-y width height`, or `class x1 y1 x2 y2 x3 y3 ...` with the corners of a polygon, all
but the class as shares of the image's width and height. The labels of `images/val/a.jpg` are `labels/val/a.txt` (the
last folder called `images` is exchanged), or `a.txt` beside the image where there is no such folder. An image without
that file has no objects, a label file without an image is not read, and of lines that are there twice one counts.

What a class is called stands under `names` in a YAML file; it is mapped to the network's classes as COCO's categories
are (`limen.feature.data.annotated.class_numbers`). Without names a class is the network's of that number.

What cannot be used is refused with one line that names the first such file and line, and how many there are: what is
no number, too few or too many values, classes that are not named, places outside of the image, boxes of no size, and,
where the task needs masks, objects without corners.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from limen import validation
from limen.errors import InputError, MissingExtraError
from limen.feature.data.annotated import AnnotatedImage, Annotation, class_numbers, empty, refuse
from limen.image import SUFFIXES
from limen.image.folder import walk

DESCRIBED = (".yaml", ".yml")
NAMED = ("data.yaml", "dataset.yaml")  # beside the images of a folder, or up to two folders above
OUTSIDE = 0.01  # of the image's side: what rounding may put a place outside by, as Ultralytics lets pass
_WORDS = 60  # characters of a line that are shown

_VALUES = "Write class, centre x, centre y, width and height, or class and x and y of three corners or more."
_SHARES = "Write shares of the image's width and height, 0 to 1, not px."
_FAULTS = {
    "hold what is no number": _VALUES,
    "have too few or too many values": f"{_VALUES} What a detector found has its score as a sixth: leave it out.",
    "are of classes that nobody names": "Name them under names in data.yaml, or correct the lines.",
    "lie outside of their image": _SHARES,
    "hold nothing of their image": f"{_SHARES} Width and height are above 0. Correct or leave them out.",
    "have no corners": "Segmentation needs a polygon for each object: class and x and y of three corners or more.",
}


class _Description(msgspec.Struct):
    names: dict[int, str] | list[str] = {}
    path: str = ""
    val: str | list[str] | None = None
    train: str | list[str] | None = None
    skip_if_label_file_missing: bool = False


@dataclass(frozen=True, slots=True)
class YoloFile:
    """An image of a data set, and where its labels stand.

    Attributes:
        name: as the data have it.
        image: the file.
        labels: the text file, which need not be there.
    """

    name: str
    image: Path
    labels: Path


def read(place: Path, labels: Sequence[str], masks: bool) -> list[AnnotatedImage]:
    """Return the images of a data set, in order of names.

    Args:
        place: a YAML file with `names` and `val` (or `train`, where it has no `val`), or a folder of images.
        labels: the network's names of its classes, in order.
        masks: whether each object must have one.

    Raises:
        InputError: one line on what cannot be used; see the module.
        MissingExtraError: there is a YAML file, and PyYAML is not installed.
    """
    described, found = _description(place), files(place)
    if not found:
        raise InputError(f"{place} holds no images. Give a folder of images and labels, or its data.yaml.")
    twice = [name.name for name, count in Counter(one.labels for one in found).items() if count > 1]
    refuse(place, "label files are of two images each", twice, "Leave one of these images out.")
    names = dict(enumerate(described.names)) if isinstance(described.names, list) else described.names
    known = names or dict(enumerate(labels))
    faults: dict[str, list[str]] = {fault: [] for fault in _FAULTS}
    objects = [list(dict.fromkeys(_objects(one, known, masks, faults))) for one in found]
    for fault, remedy in _FAULTS.items():
        refuse(place, f"lines of labels {fault}", faults[fault], remedy)
    used = {number for lines in objects for number, _ in lines}
    numbers = class_numbers(names, used, labels) if names else {number: number for number in used}
    return [
        AnnotatedImage(
            one.name, one.image, None,
            tuple(_annotation(number, values) for number, values in lines),
            tuple(numbers[number] for number, _ in lines),
        )
        for one, lines in zip(found, objects, strict=True)
    ]  # fmt: skip


def files(place: Path) -> list[YoloFile]:
    """Return the images of a data set with their labels, in order of names.

    Args:
        place: a YAML file or a folder, as `read` has it.
    """
    if place.suffix not in DESCRIBED:
        return [YoloFile(name, file, _labels(file)) for name, file in _images(place)]
    described = _description(place)
    wanted = described.val or described.train or []
    if not wanted:
        raise InputError(f"{place} says of no images where they are. Write their folder under val.")
    found = [
        YoloFile(name, file, _labels(file))
        for entry in ([wanted] if isinstance(wanted, str) else wanted)
        for name, file in _listed(place, described.path, entry)
    ]
    if described.skip_if_label_file_missing:
        found = [one for one in found if one.labels.is_file()]
    return sorted(found, key=lambda one: one.name)


def labelled(folder: Path) -> bool:
    """Whether an image of a folder has a file of labels."""
    return any(_labels(file).is_file() for _, file in _images(folder))


def _images(folder: Path) -> list[tuple[str, Path]]:
    """Return the images below a folder with their names; `images` may be a link to where they are."""
    found = walk(folder)
    return [
        (file.relative_to(folder).as_posix(), file)
        for file in sorted([*found.files, *found.linked])
        if file.suffix.lower() in SUFFIXES
    ]


def _labels(image: Path) -> Path:
    """Return where the labels of an image stand: below `labels` in place of the last `images`, or beside it."""
    above = image.parts[:-1]
    if "images" in above:
        place = len(above) - 1 - above[::-1].index("images")
        if Path(*above[:place], "labels").is_dir():
            return Path(*above[:place], "labels", *above[place + 1 :], f"{image.stem}.txt")
    return image.with_suffix(".txt")


def _listed(file: Path, base: str, entry: str) -> Iterator[tuple[str, Path]]:
    """Yield the images that an entry of a YAML file names: a folder, or a text file with an image a line."""
    inner = entry.removeprefix("../")  # exports of some tools name folders beside theirs so, though they lie inside
    places = [root / one for root in (file.parent / base, file.parent) for one in (entry, inner)]
    place = next((one for one in places if one.exists()), None)
    if place is None:
        raise InputError(
            f"{file}: {entry!r} is not found, from path {base!r} or the file's own folder. Correct path and val."
        )
    prefix = Path(entry).name if Path(entry).is_absolute() else entry.removeprefix("./").rstrip("/")
    if place.is_dir():
        yield from ((f"{prefix}/{name}".removeprefix("./"), image) for name, image in _images(place))
        return
    for line in _text(place).splitlines():
        if line.strip():
            image = place.parent / line.strip()
            if not image.is_file():
                raise InputError(f"{place} lists {line.strip()!r}, which is no file. Correct or leave it out.")
            yield Path(line.strip()).as_posix(), image


def _description(place: Path) -> _Description:
    """Return what a YAML file says, or that of the folder's own or of those above it; nothing where there is none."""
    if place.suffix in DESCRIBED:
        return _described(place)
    beside = [folder / name for folder in (place, *place.absolute().parents[:2]) for name in NAMED]
    file = next((one for one in beside if one.is_file()), None)
    return _described(file) if file else _Description()


def _described(file: Path) -> _Description:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError(f"reading {file.name}", "pyyaml", "feature") from None
    try:
        plain = yaml.safe_load(_text(file)) or {}
        return msgspec.convert(plain, _Description)
    except yaml.YAMLError as error:
        wrong: Any = " ".join(str(error).split())
    except msgspec.ValidationError as error:
        wrong = validation.fault(error, plain, _Description)
    raise InputError(
        f"{file} is not a description of YOLO's data ({str(wrong).rstrip('.')}). Give one with names, path and val."
    )


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as text ({error}). Restore it, or leave it out.") from None


def _objects(
    one: YoloFile, known: Mapping[int, str], masks: bool, faults: Mapping[str, list[str]]
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield class and values of each line; what is wrong with others is noted under its fault."""
    if not one.labels.is_file():
        return
    for number, line in enumerate(_text(one.labels).splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = tuple(map(float, line.split()))
        except ValueError:
            values = (math.nan,)
        fault = _fault(values, known, masks)
        if fault:
            shown = line.strip() if len(line.strip()) <= _WORDS else f"{line.strip()[:_WORDS]}..."
            faults[fault].append(f"{one.labels.name}, line {number}: {shown}")
        else:
            yield int(values[0]), values[1:]


def _fault(values: Sequence[float], known: Mapping[int, str], masks: bool) -> str:
    """Return which of `_FAULTS` a line has, "" for none."""
    if not all(map(math.isfinite, values)):
        return "hold what is no number"
    if len(values) != 5 and (len(values) < 7 or not len(values) % 2):
        return "have too few or too many values"
    if values[0] not in known:
        return "are of classes that nobody names"
    if not all(-OUTSIDE <= value <= 1 + OUTSIDE for value in values[1:]):
        return "lie outside of their image"
    if empty(_annotation(0, values[1:]), (1, 1)):
        return "hold nothing of their image"
    return "have no corners" if masks and len(values) == 5 else ""


def _annotation(number: int, values: Sequence[float]) -> Annotation:
    """Return an object in shares of the image: of a polygon, the box around it too."""
    if len(values) == 4:
        x, y, width, height = values
        return Annotation(0, 0, number, (x - width / 2, y - height / 2, width, height))
    across, down = values[::2], values[1::2]
    box = (min(across), min(down), max(across) - min(across), max(down) - min(down))
    return Annotation(0, 0, number, box, segmentation=[list(values)])
