"""The image as the network sees it, in 8 bits: what a sender of pictures would send.

An original file has pixels that the network never sees: it is resized and cropped first. What is left is brought to
another range channel by channel, and that is undone here, so that a codec of pictures gets what it is made for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limen.errors import InputError
from limen.feature.data.parts import Subset
from limen.feature.model.network import Network
from limen.image import Image

WHITE, GREY = 255, 128
NEAR = 0.02  # grey levels: what float32 makes of them
LEVEL = 0.5  # grey levels: what rounding to 8 bits may move a prepared image by


@dataclass(frozen=True)
class SeenPixels:
    """How prepared images and 8-bit RGB images belong together: a straight line for each channel.

    Attributes:
        name: of the network, for messages.
        colours: which of red, green and blue (0, 1, 2) each prepared channel is.
        dark, span: of each prepared channel (3, 1, 1), float64: what black becomes, and how far white is from it.
    """

    name: str
    colours: tuple[int, ...]
    dark: Tensor
    span: Tensor

    @classmethod
    def of(cls, network: Network, images: Subset) -> "SeenPixels":
        """Find out how a network's images are made ready, from images of one colour.

        Args:
            network: whose `prepare` it is.
            images: of its data, 1 at least: one of them says how large the images of one colour are.

        Raises:
            InputError: it is no straight line for each channel.
        """
        size = images.example(0).image.shape
        colours = ((0, 0, 0), (WHITE,) * 3, (GREY,) * 3, (WHITE, 0, 0), (0, WHITE, 0), (0, 0, WHITE))
        probes = [np.broadcast_to(np.array(colour, np.uint8), size).copy() for colour in colours]
        made = torch.stack([network.prepare([probe])[0].double().cpu() for probe in probes])
        if made.shape[1] != 3:
            raise _unfit(network.name, f"makes {made.shape[1]} channels of an image, not 3")
        dark, span = made[0].mean((1, 2), keepdim=True), (made[1] - made[0]).mean((1, 2), keepdim=True)
        if bool((span == 0).any()):
            raise _unfit(network.name, "makes the same of black and of white")
        levels = WHITE * (made - dark) / span
        if float((levels - levels.mean((2, 3), keepdim=True)).abs().max()) > NEAR:
            raise _unfit(network.name, "makes an image of one colour uneven (it pads it, or works across places)")
        level = levels.mean((2, 3))
        if float((level[2] - GREY).abs().max()) > NEAR:
            raise _unfit(network.name, f"makes level {float(level[2, 0]):.1f} of grey level {GREY}")
        share = level[3:] / WHITE  # (colour, channel)
        order = tuple(share.argmax(0).tolist())
        if sorted(order) != [0, 1, 2] or float((share - torch.eye(3)[list(order)].T).abs().max()) > NEAR / WHITE:
            raise _unfit(network.name, "mixes red, green and blue")
        return cls(network.name, order, dark, span)

    def images(self, prepared: Tensor) -> list[Image]:
        """Return prepared images (N, 3, H, W) as uint8 RGB ones (H, W, 3).

        Raises:
            InputError: one of them lies further than half a grey level from what 8 bits can say.
        """
        levels = WHITE * (prepared.detach().double().cpu() - self.dark) / self.span
        whole = levels.round().clamp(0, WHITE)
        away = float((levels - whole).abs().max())
        if not away <= LEVEL + NEAR:
            raise _unfit(self.name, f"gives pixels that lie {away:.3g} grey levels from the nearest of 8 bits")
        ordered = whole[:, [self.colours.index(colour) for colour in range(3)]]
        return list(ordered.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy())

    def prepared(self, images: Sequence[Image], like: Tensor) -> Tensor:
        """Return uint8 RGB images (H, W, 3) as the network takes them, (N, 3, H, W) of the kind and place of `like`."""
        levels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[:, list(self.colours)].double()
        return (self.dark + levels / WHITE * self.span).to(like)


def _unfit(name: str, what: str) -> InputError:
    return InputError(
        f"A codec of pictures cannot be given the images of {name} as it sees them: what makes them ready {what}. "
        "Resizing, cropping and normalising channel by channel can be undone; nothing else. Leave such a step to the "
        "network itself."
    )
