"""Maps as pictures over the image: where a network's features tolerate much, and where little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Pillow
from torch import Tensor

from limen.feature.attribution import TokenGrid
from limen.feature.data.parts import Subset
from limen.feature.model.split import SplitPoint
from limen.feature.quantisation.step_sizes import tokens
from limen.feature.tolerance import Tolerance
from limen.image import Image
from limen.store.rows import HEAT

Amplitudes = npt.NDArray[np.float64]
SIDE = 160  # px of a picture
RANGE = 1e3  # of a scale, from its most: what lies further below has the darkest colour


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A picture of a map over an image, or the image itself.

    Attributes:
        label: of the map, or "image".
        picture: uint8 RGB of `SIDE` px.
        low, high: amplitude at the darkest and at the brightest colour, relative to the same noise spread evenly over
            the image (1 is even); the colours between are even steps of its logarithm. None of an image.
    """

    label: str
    picture: Image
    low: float | None = None
    high: float | None = None


def pictures(split: SplitPoint, images: Subset, maps: Mapping[str, Tolerance], indices: Sequence[int]) -> list[Heatmap]:
    """Return, for each image, itself and every map over it: bright where a position tolerates much.

    A position's colour is its amplitude (the root of the sum of m^2 over channels, over the tensors on their own
    grids), relative to the root mean square over the image's positions. A map has one scale for all the images drawn.

    Args:
        split: whose features.
        maps: fitted, by label.
        images: the subset that `indices` count in.
        indices: into `images`, of those to draw.
    """
    batch = images.batch(indices)
    features = split.encode(batch.images)
    drawn = [[Heatmap("image", _sized(images.example(index).image))] for index in indices]
    for label, one in maps.items():
        with torch.no_grad():
            magnitudes = one.map(features, batch.names)
        grids = [_grid(part, TokenGrid.of(part, features.size)) for part in magnitudes]
        amplitudes = [_relative(sum(grid[place] for grid in grids if grid.numel())) for place in range(len(indices))]
        high = max(float(one.max()) for one in amplitudes)
        low = max(min(float(one.min()) for one in amplitudes), high / RANGE)
        for row, amplitude in zip(drawn, amplitudes, strict=True):
            row.append(Heatmap(label, _heat(amplitude, low, high), low, high))
    return [picture for row in drawn for picture in row]


def _grid(magnitudes: Tensor, places: TokenGrid) -> Tensor:
    """Return the energy of positions, brought to `SIDE` px: (N, SIDE, SIDE)."""
    energy = tokens(magnitudes.double().pow(2)).sum(2)[:, places.prefix :].cpu()
    if not places.rows:
        return energy[:, :0]
    grid = energy.view(len(energy), 1, places.rows, places.columns)
    return torch.nn.functional.interpolate(grid, (SIDE, SIDE), mode="nearest")[:, 0]


def _relative(energy: Tensor | int) -> Amplitudes:
    """Return the amplitude of positions relative to their root mean square; 1 everywhere where there is none."""
    power = torch.as_tensor(energy, dtype=torch.float64).expand(SIDE, SIDE).numpy()
    mean = power.mean()
    return np.sqrt(power / mean) if mean > 0 else np.ones_like(power)


def _heat(amplitude: Amplitudes, low: float, high: float) -> Image:
    darkest, brightest = (np.array(list(bytes.fromhex(colour[1:])), np.float64) for colour in HEAT)
    if low < high:
        share = np.log(np.clip(amplitude, low, high) / low) / np.log(high / low)
    else:
        share = np.full_like(amplitude, 0.5)
    return np.asarray(np.rint(darkest + share[..., None] * (brightest - darkest)), np.uint8)


def _sized(image: Image) -> Image:
    picture = Pillow.fromarray(image)
    width, height = picture.size
    picture = picture.resize((SIDE, SIDE), Pillow.Resampling.NEAREST if max(width, height) < SIDE else None)
    return np.asarray(picture)
