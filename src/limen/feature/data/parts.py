"""Images with targets, in three parts that share no image: to fit on, to calibrate on, to test on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limen import digest
from limen.errors import InputError
from limen.feature.data import class_maps, coco, grouping, synthetic, yolo
from limen.feature.data.annotated import AnnotatedImage
from limen.feature.data.instances import Instances, as_truth, decoded, encoded
from limen.feature.model.network import Network
from limen.feature.model.split import Outputs
from limen.feature.task import Task
from limen.image import SUFFIXES, Image
from limen.image import load as load_image
from limen.image.folder import hidden, walk

KEPT = 2**30  # bytes of prepared images that a part keeps in memory
PARTS = ("fit", "calibrate", "test")
SCENES = "scenes"
UNLABELLED = "Images without labels are measured by how far answers stay the same: --score agreement"
ONE_SIZE = (
    'Bring all to one in its preprocessor_config.json: "size": {"height": 640, "width": 640}, "do_pad": false, '
    '"do_center_crop": false; for a network of a factory: --prepare squash=640.'
)
_SCENES: dict[str, tuple[int, tuple[int, int], int]] = {
    "class": (64, (1, 1), 10),
    "boxes": (96, (1, 5), 6),
    "masks": (96, (1, 5), 6),
    "pixels": (96, (1, 5), 6),
    "nothing": (64, (1, 1), 10),
}  # what a task needs -> side in px, objects, classes: what limen's own nets were trained on


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image.

    Attributes:
        name: what its noise belongs to; unique in its data.
        image: uint8 RGB (H, W, 3).
        target: what the task compares answers with: a class, `Instances`, or a class map; None where nobody says.
        masks: bool (M, H, W), where the objects are; None where nobody says.
    """

    name: str
    image: Image
    target: Any
    masks: npt.NDArray[np.bool_] | None = None


ExampleReader: TypeAlias = Callable[[int], LabelledImage]
"""Returns the example with a number."""


@dataclass(frozen=True, slots=True)
class _Examples:
    """What data hold.

    Attributes:
        names: of the images.
        read: returns the one of a number.
        note: where they lie, for a message.
        above: folders in a name that are its class.
    """

    names: Sequence[str]
    read: ExampleReader
    note: str = ""
    above: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Some examples made ready.

    Attributes:
        names: of the examples.
        images: float (N, C, H, W) on the network's device.
        targets: of the examples; () where nobody says, and the clean output's answers stand for them.
    """

    names: tuple[str, ...]
    images: Tensor
    targets: tuple[Any, ...]

    def against(self, task: Task, clean: Outputs) -> "Batch":
        """Return the batch with the clean output's answers for targets, where nobody says any.

        Args:
            task: whose answers.
            clean: outputs for the undisturbed images.

        Raises:
            InputError: targets do not fit the outputs.
        """
        task.check(clean, self.targets)
        return self if self.targets else replace(self, targets=tuple(map(as_truth, task.answers(clean))))


class Subset:
    """Examples that serve one purpose. The same indices always give the same batch.

    Args:
        count: how many there are.
        read: returns the example at an index.
        network: makes images ready.
        labelled: whether targets are to be compared with; if not, the clean output's answers stand for them.
    """

    def __init__(self, count: int, read: ExampleReader, network: Network, labelled: bool = True) -> None:
        self._count, self._read, self._network, self._labelled = count, read, network, labelled
        self._kept: dict[int, tuple[str, Tensor, Any]] = {}
        self._room = KEPT

    def __len__(self) -> int:
        return self._count

    def first(self, count: int) -> "Subset":
        """Return the first of them as a part of their own."""
        return Subset(min(count, self._count), self._read, self._network, self._labelled)

    def example(self, index: int) -> LabelledImage:
        """Return one as it is."""
        return self._read(index)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the examples at these indices, made ready.

        Raises:
            InputError: the image processor makes different sizes of the images.
        """
        names, images, targets = zip(*(self._ready(index) for index in indices), strict=True)
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) > 1:
            raise InputError(
                f"Images made ready for {self._network.name} have different sizes, such as "
                f"{' and '.join(f'{shape[2]} x {shape[1]} px' for shape in sorted(shapes)[:2])}. {ONE_SIZE}"
            )
        return Batch(names, torch.stack(images).to(self._network.device), targets if self._labelled else ())

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all of them in order."""
        for start in range(0, self._count, size):
            yield self.batch(range(start, min(start + size, self._count)))

    def _ready(self, index: int) -> tuple[str, Tensor, Any]:
        if index in self._kept:
            return self._kept[index]
        example = self._read(index)
        pixels = self._network.prepare([example.image])[0]
        ready = (example.name, pixels, example.target)
        self._room -= pixels.numel() * pixels.element_size()
        if self._room >= 0:
            self._kept[index] = ready
        return ready


@dataclass(frozen=True, slots=True)
class SubsetSizes:
    """How many images each part takes."""

    fit: int = 400
    calibrate: int = 500
    test: int = 700


@dataclass(frozen=True, slots=True)
class Partition:
    """Three sets that share no image. What is fitted sees `fit` alone."""

    fit: Subset
    calibrate: Subset
    test: Subset


def check_classes(where: str, task: Task, network: Network, outputs: Outputs, labelled: bool = True) -> None:
    """Refuse folders that stand for the classes of a network by their order alone, where they are not as many.

    Args:
        where: the data, as `parts` takes them.
        task: what decides whether folders are classes.
        network: whose classes have no names, or nothing is to be checked.
        outputs: of some images, which say how many classes it has.
        labelled: whether folders are classes at all.

    Raises:
        InputError: there are more or fewer folders, and they are not named by number.
    """
    if where == SCENES or task.needs != "class" or network.labels or not labelled:
        return
    found, classes = _class_folders(Path(where)), outputs["logits"].shape[1]
    if len(found) != classes and not all(name.isdecimal() for name in found):
        raise InputError(
            f"{where} has {len(found)} class folders, and {network.name} has {classes} classes without names, so "
            f"nobody knows which is which. Name the folders by number (0 to {classes - 1}), give all of them in its "
            "order, or a factory that returns limen.feature.Network(model, labels=...)."
        )


def _class_folders(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir() if item.is_dir() and not hidden(item.name))


def parts(
    where: str,
    task: Task,
    network: Network,
    seed: int,
    sizes: SubsetSizes,
    labelled: bool = True,
    group_by: str = "",
) -> Partition:
    """Return the three parts of data, which belong to `seed`.

    Args:
        where: "scenes" (limen's own, drawn as needed); a folder with one folder of images for each class; for tasks
            that need objects, a JSON file of annotations as COCO has them (`limen.feature.data.coco`), or a folder or
            YAML file of YOLO's (`limen.feature.data.yolo`); for those that need a class for each pixel, a folder of
            images and class maps (`limen.feature.data.class_maps`); without labels, any folder of images.
        task: decides what the targets are.
        network: makes images ready; its labels say which folder or category is which class.
        seed: of the division, any int; for scenes, of the scenes themselves.
        sizes: of the parts; the data must hold so many.
        labelled: whether what the data say of the images is compared with; if not, the clean output is.
        group_by: which images are of one photograph, so that they are in one part; "" where each is by itself
            (`limen.feature.data.grouping`).

    Raises:
        InputError: no such data, or not of what the task needs, no images in it, classes that the network does not
            know, too few images, or groups that cannot be made.
    """
    labelled = labelled and task.needs != "nothing"
    wanted = [getattr(sizes, name) for name in PARTS]
    if min(wanted) < 1:
        raise InputError(f"Each part needs an image at least, not {wanted} ({', '.join(PARTS)}).")
    if where == SCENES:
        if group_by:
            raise InputError("Scenes are drawn one by one, so there is nothing to group them by. Leave --group-by out.")
        readers = _scenes(task, network, seed)
    else:
        examples = _examples(where, task, network, labelled)
        if not group_by:
            divided = _divided(where, len(examples.names), examples.note, seed, wanted)
        else:
            groups = grouping.grouped(examples.names, group_by, examples.above)
            divided = grouping.divided(where, groups, seed, wanted)
        readers = [_reader(examples.read, mine) for mine in divided]
    return Partition(*(Subset(count, read, network, labelled) for count, read in zip(wanted, readers, strict=True)))


def _reader(read: ExampleReader, mine: grouping.Places) -> ExampleReader:
    return lambda index: read(int(mine[index]))


def _examples(where: str, task: Task, network: Network, labelled: bool) -> _Examples:
    """Return what is in data that are files."""
    place = Path(where)
    if where.endswith(".json"):
        return _annotated(place, task, network, coco.read)
    if place.suffix in yolo.DESCRIBED:
        return _annotated(place, task, network, yolo.read)
    if not place.is_dir():
        raise InputError(f"No folder {where!r}. Give one with a folder of images for each class, or scenes.")
    if not labelled:
        return _unlabelled(place)
    if task.needs == "class":
        return _folder(place, network)
    if task.needs == "pixels":
        return _mapped(place, network)
    if yolo.labelled(place):
        return _annotated(place, task, network, yolo.read)
    raise InputError(
        f"{task.name} needs the {task.needs} of objects, and {where!r} has no labels of YOLO's (labels/a.txt for "
        f"images/a.jpg) and is no file of COCO's. {UNLABELLED}, or give scenes."
    )


def fingerprint(where: str, task: Task, labelled: bool = True, group_by: str = "") -> str:
    """Return a digest that stands for data: of names and sizes of the files in a folder, or of a file's content.

    Of YOLO's, names and sizes of the images, with the content of their labels. "" for scenes, which are drawn by name.

    Args:
        where: the data, as `parts` takes them.
        task: decides what is read of them.
        labelled: whether labels are read.
        group_by: as `parts` takes it; what stands in a file of groups belongs to the data.
    """
    if group_by.endswith(grouping.TABLE):
        return digest.of([fingerprint(where, task, labelled), _content(Path(group_by))])
    place = Path(where)
    if where == SCENES:
        return ""
    if place.suffix in yolo.DESCRIBED or (place.is_dir() and labelled and task.needs in ("boxes", "masks")):
        found = yolo.files(place)
        told = [[one.name, one.image.stat().st_size, _content(one.labels)] for one in found]
        return digest.of([_content(place), told])
    if place.is_dir():
        return digest.of([[file.relative_to(place).as_posix(), file.stat().st_size] for file in _images(place)])
    return digest.of(place.read_bytes())


def _content(file: Path) -> str:
    return digest.of(file.read_bytes()) if file.is_file() else ""


def _images(folder: Path) -> list[Path]:
    """Return the images below a folder, in order of names; hidden files and folders hold none."""
    return [file for file in walk(folder).files if file.suffix.lower() in SUFFIXES]


def _scenes(task: Task, network: Network, seed: int) -> list[ExampleReader]:
    backgrounds = synthetic.photographs()
    side, objects, classes = _SCENES[task.needs]
    if task.needs not in ("class", "nothing"):
        _see_whole(network, (side, side))

    def reader(part: str) -> ExampleReader:
        def read(index: int) -> LabelledImage:
            (scene,) = synthetic.draw(backgrounds, f"{part} {seed}", [index], side, objects, classes)
            return LabelledImage(f"scene {part} {seed} {index}", scene.image, _target(scene, task), scene.masks)

        return read

    return [reader(part) for part in PARTS]


def _target(scene: synthetic.SyntheticScene, task: Task) -> Any:
    if task.needs == "nothing":
        return None
    if task.needs == "pixels":
        return classes_of(scene)
    return int(scene.labels[0]) if task.needs == "class" else truth(scene)


def classes_of(scene: synthetic.SyntheticScene) -> class_maps.ClassMap:
    """Return the class of each pixel of a scene: 0 where there is no object, else the object's class and 1."""
    painted: class_maps.ClassMap = (scene.masks * (scene.labels + 1)[:, None, None]).sum(0).astype(np.uint8)
    return painted


def truth(scene: synthetic.SyntheticScene) -> Instances:
    """Return what there is in a scene."""
    side = len(scene.image)
    ones, none = np.ones(len(scene.labels)), np.zeros(len(scene.labels), np.bool_)
    boxes = scene.boxes.astype(np.float64) / side
    return Instances(scene.labels, ones, boxes, encoded(scene.masks), none, (side, side))


def _annotated(
    place: Path,
    task: Task,
    network: Network,
    reader: Callable[[Path, Sequence[str], bool], list[AnnotatedImage]],
) -> _Examples:
    if task.needs == "class":
        raise InputError(
            f"{task.name} is of one class an image, and {str(place)!r} says where objects are: give a folder with a "
            "folder of images for each class."
        )
    if task.needs not in ("boxes", "masks"):
        raise InputError(f"{task.name} does not need where objects are, as {place} says it. Give a folder of images.")
    images = reader(place, network.labels, task.needs == "masks")
    seen: set[tuple[int, int]] = set()

    def read(number: int) -> LabelledImage:
        one = images[number]
        pixels, objects = one.read()
        size = (pixels.shape[0], pixels.shape[1])
        if size not in seen:
            _see_whole(network, size)
            seen.add(size)
        masks = None if objects.masks is None else decoded(objects.masks, size)
        return LabelledImage(one.name, pixels, objects, masks)

    return _Examples([one.name for one in images], read)


def _see_whole(network: Network, size: tuple[int, int]) -> None:
    """Refuse a network whose images are not made ready by resizing alone: boxes would lie elsewhere.

    Two ramps between black and white say where each place of the image comes to lie.
    """
    ramps = [(np.arange(length) + 0.5) / length for length in size]
    down, across = np.meshgrid(*ramps, indexing="ij")
    pictures = [
        np.stack([np.rint(255 * ramp).astype(np.uint8)] * 3, -1) for ramp in (down, across, 0 * down, 0 * down + 1)
    ]
    *seen, dark, bright = network.prepare(pictures).double().mean(1).cpu()
    span = bright - dark
    for axis, one in enumerate(seen):
        length = one.shape[axis]
        place = (torch.arange(length, dtype=torch.float64) + 0.5).div(length).view(-1, *[1] * (1 - axis))
        away = ((one - dark) / span - place).abs().max() if bool((span != 0).all()) else torch.inf
        if not away < 0.02 + 1 / min(size):
            raise InputError(
                f"What makes images ready for {network.name} crops or pads images of {size[1]} x {size[0]} px, so that "
                f"boxes and masks would not fit. {ONE_SIZE}"
            )


def _folder(folder: Path, network: Network) -> _Examples:
    classes = _class_folders(folder)
    numbers = _numbers(folder, classes, network)
    files = [(file, numbers[name]) for name in classes for file in _images(folder / name)]
    names = [file.relative_to(folder).as_posix() for file, _ in files]

    def read(number: int) -> LabelledImage:
        file, label = files[number]
        return LabelledImage(names[number], load_image(file), label)

    return _Examples(names, read, f" in {len(classes)} class folders", above=1)


def _mapped(folder: Path, network: Network) -> _Examples:
    """Read images with a class map each."""
    images = class_maps.pairs(folder)
    seen: set[tuple[int, ...]] = set()

    def read(number: int) -> LabelledImage:
        image, classes = images[number].read(network.zero_unlabelled)
        if image.shape not in seen:
            _see_whole(network, (image.shape[0], image.shape[1]))
            seen.add(image.shape)
        return LabelledImage(images[number].name, image, classes)

    return _Examples([one.name for one in images], read)


def _unlabelled(folder: Path) -> _Examples:
    files = _images(folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    return _Examples(names, lambda number: LabelledImage(names[number], load_image(files[number]), None))


def _divided(where: str, count: int, note: str, seed: int, wanted: Sequence[int]) -> list[grouping.Places]:
    """Divide `count` images among the parts at random."""
    if count < sum(wanted):
        asked = ", ".join(f"{count} to {name}" for name, count in zip(PARTS, wanted, strict=True))
        raise InputError(
            f"{where} holds {count} images{note}; {sum(wanted)} are needed ({asked}). "
            "Give more images, or ask for fewer with --images-fit, --images-calibrate, --images-test."
        )
    order = digest.generator("parts", seed).permutation(count)
    bounds = np.cumsum([0, *wanted])
    return [order[bounds[part] : bounds[part + 1]] for part in range(len(PARTS))]


def _numbers(folder: Path, classes: Sequence[str], network: Network) -> dict[str, int]:
    """Return which class each folder is: by the network's own names, by number, or in order where there are as many.

    Of a network that names no classes nobody knows yet how many it has: `check_classes` is for who does.
    """
    if not classes:
        raise InputError(
            f"{folder} has no folders in it. Put the images of each class into a folder of its own. {UNLABELLED}."
        )
    known = {label: number for number, label in enumerate(network.labels)}
    if set(classes) <= known.keys():
        return {name: known[name] for name in classes}
    if not known and all(name.isdecimal() for name in classes):
        return {name: int(name) for name in classes}
    if len(classes) == len(known) or not known:
        return {name: number for number, name in enumerate(classes)}
    strange = next(name for name in classes if name not in known)
    raise InputError(
        f"{folder} has {len(classes)} class folders, {network.name} knows {len(known)}, and {strange!r} is none of "
        f"their names ({', '.join(list(known)[:3])}, ...). Name the folders as the network's config.json names its "
        "classes, or give all of them, in its order."
    )
