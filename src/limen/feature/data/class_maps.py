"""Images with a class for each pixel: a folder of images and one of class maps, file by file.

    images/NAME.jpg          masks/NAME.png, or annotations/NAME.png (ADE20K)
    leftImg8bit/NAME_leftImg8bit.png      gtFine/NAME_gtFine_labelTrainIds.png (Cityscapes)

Both may have folders inside, the same ones. A class map is a PNG of one number a pixel (grey or with a palette), as
large as its image; `IGNORED` is a pixel without a class. Maps without an image are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from limen.errors import InputError
from limen.image import SUFFIXES, Image, opened
from limen.image import load as load_image
from limen.image.folder import walk

IGNORED = 255
ClassMap: TypeAlias = npt.NDArray[np.unsignedinteger | np.signedinteger]
"""Class numbers, (H, W); `IGNORED` where there is none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Two folders side by side, and how files of an image end in each, without the suffix."""

    images: str
    maps: str
    image_ends: str = ""
    map_ends: str = ""


LAYOUTS = (
    Layout("images", "masks"),
    Layout("images", "annotations"),
    Layout("leftImg8bit", "gtFine", "_leftImg8bit", "_gtFine_labelTrainIds"),
)


@dataclass(frozen=True, slots=True)
class MappedImage:
    """An image and its class map: `name`, relative to the folder of images, and both files."""

    name: str
    file: Path
    classes: Path

    def read(self, zero_unlabelled: bool = False) -> tuple[Image, ClassMap]:
        """Return the pixels, and the class of each, uint8 (H, W).

        Args:
            zero_unlabelled: whether the map counts classes from 1, and 0 is none.

        Raises:
            InputError: a file cannot be read, the map is of another size, or holds more than a number a pixel.
        """
        image = load_image(self.file)
        found = _numbers(self.classes, image.shape[:2])
        return image, (found - np.uint8(1) if zero_unlabelled else found)  # 0 becomes 255


def pairs(folder: Path) -> list[MappedImage]:
    """Return the images of a folder with their class maps, in order of names.

    Raises:
        InputError: it has no such two folders, no images, or images without a class map.
    """
    for layout in LAYOUTS:
        if (folder / layout.images).is_dir() and (folder / layout.maps).is_dir():
            return _paired(folder, layout)
    known = "; ".join(f"{one.images}/ and {one.maps}/" for one in LAYOUTS)
    raise InputError(
        f"{str(folder)!r} has no folder of images beside one of class maps. Give one that has {known}, or scenes."
    )


def _paired(folder: Path, layout: Layout) -> list[MappedImage]:
    images, maps = folder / layout.images, folder / layout.maps
    files = [file for file in walk(images).files if file.suffix.lower() in SUFFIXES]
    made, lacking = [], []
    for file in files:
        stem = file.stem.removesuffix(layout.image_ends)
        place = maps / file.relative_to(images).parent / f"{stem}{layout.map_ends}.png"
        if place.is_file():
            made.append(MappedImage(file.relative_to(images).as_posix(), file, place))
        else:
            lacking.append(place.relative_to(folder).as_posix())
    if not files:
        raise InputError(f"{images} holds no images. Put them there.")
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(files)} images in {images} have no class map; the first that is missing is "
            f"{lacking[0]}. Give each image one, or leave it out."
        )
    return made


def _numbers(file: Path, size: Sequence[int]) -> npt.NDArray[np.uint8]:
    try:
        with opened(file) as stream, Pillow.open(stream, formats=("PNG",)) as picture:
            if (picture.height, picture.width) != tuple(size):
                raise InputError(
                    f"{file} is {picture.width} x {picture.height} px, and its image {size[1]} x {size[0]}. Give the "
                    "class map of this image."
                )
            if picture.mode not in ("L", "P"):
                raise InputError(
                    f"{file} is a picture of mode {picture.mode}; a class map holds one number of 8 bits a pixel, grey "
                    "or with a palette. Save the numbers of the classes."
                )
            return np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} cannot be read as a PNG ({str(error)[:80]}). Export it again.") from None
