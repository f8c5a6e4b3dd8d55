"""How images are made ready for a network that brings no image processor of its own."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from limen import registry
from limen.errors import InputError, UnknownNameError
from limen.image import Image

Side = Annotated[int, msgspec.Meta(ge=0, le=16_384)]
Channels = tuple[float, float, float]


class Preparation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Resized, cropped, brought to 0..1 and normalised: `(pixel / 255 - mean) / std`.

    It takes uint8 RGB images (H, W, 3), all of one size once they are resized and cropped, and returns a float32 batch
    (N, 3, H, W). Sizes are Pillow's bilinear ones, with antialiasing, as in the evaluation of most published networks.

    Attributes:
        resize: px of the shorter side, the aspect ratio kept; 0 leaves the size as it is.
        crop: px of the side of a square cut out of the middle; 0 cuts nothing off.
        squash: px of both sides, the aspect ratio not kept: the whole image is seen, as tasks with boxes or masks need.
        mean, std: of the channels, red first.
    """

    resize: Side = 0
    crop: Side = 0
    squash: Side = 0
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.squash and (self.resize or self.crop):
            raise InputError("squash makes the whole image a square, so neither resize nor crop can stand beside it.")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            given = ", ".join(f"{value:g}" for value in (*self.mean, *self.std))
            raise InputError(f"mean and std are numbers, those of std above 0 (they divide), not {given}.")

    def __call__(self, images: Sequence[Image]) -> Tensor:
        """Return the images made ready, float32 (N, 3, H, W).

        Raises:
            InputError: an image is smaller than the crop.
        """
        pixels = np.stack([self._sized(image) for image in images])
        mean, std = (torch.tensor(part, dtype=torch.float32).view(1, 3, 1, 1) for part in (self.mean, self.std))
        return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std

    def _sized(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if self.squash:
            image = _scaled(image, self.squash, self.squash)
        elif self.resize:
            shorter = min(height, width)
            image = _scaled(image, self.resize * height // shorter, self.resize * width // shorter)
        if not self.crop:
            return image
        height, width = image.shape[:2]
        if min(height, width) < self.crop:
            raise InputError(
                f"A square of {self.crop} px cannot be cut out of an image of {width} x {height} px. "
                f"Give a resize of {self.crop} or more as well."
            )
        top, left = round((height - self.crop) / 2), round((width - self.crop) / 2)
        return image[top : top + self.crop, left : left + self.crop]


PRESETS: Mapping[str, Preparation] = {
    "unit": Preparation(),
    "imagenet": Preparation(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
"""Preparations by name: as most networks trained on ImageNet take their images, and images as they are, in 0..1."""


def parse(words: Sequence[str]) -> Preparation:
    """Return the preparation that a user wrote: a preset's name, KEY=VALUE, or a preset changed by some of these.

    Args:
        words: "imagenet", "crop=299", "mean=0.5,0.5,0.5".

    Raises:
        InputError: a word is neither, or a value is none for its key.
    """
    given: dict[str, Any] = {}
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        if equals:
            given[key.strip()] = value
        elif place == 0 and word in PRESETS:
            given = msgspec.structs.asdict(PRESETS[word])
        elif word in PRESETS:
            raise InputError(f"{word!r} is where a preparation starts from: write it first, then what differs.")
        else:
            raise UnknownNameError(
                "preparation", word, (*PRESETS, *(f"{key}=..." for key in Preparation.__struct_fields__))
            )
    return registry.settings("the preparation of images", given, Preparation)


def _scaled(image: Image, height: int, width: int) -> Image:
    return np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BILINEAR))
