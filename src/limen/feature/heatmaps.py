"""Maps as pictures over the image: where a network's features tolerate much, and where little."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from limen.feature.attribution import TokenGrid
from limen.feature.data.parts import Subset
from limen.feature.model.split import SplitPoint
from limen.feature.quantisation.step_sizes import tokens
from limen.feature.tolerance import Tolerance
from limen.image import Image

SIDE = 160  # px of a picture
_DARK, _BRIGHT = np.array([12, 7, 60], np.float64), np.array([255, 236, 140], np.float64)


def pictures(
    split: SplitPoint, images: Subset, maps: Mapping[str, Tolerance], indices: Sequence[int]
) -> list[tuple[str, Image]]:
    """Return, for each image, itself and every map over it: bright where a position tolerates much.

    A position's brightness is the logarithm of its energy (the sum of m^2 over channels, over the tensors on their own
    grids), from the least to the most of that image.

    Args:
        split: whose features.
        maps: fitted, by label.
        images: the subset that `indices` count in.
        indices: into `images`, of those to draw.

    Returns:
        (what it shows, uint8 RGB of `SIDE` px).
    """
    batch = images.batch(indices)
    features = split.encode(batch.images)
    drawn = [[("image", _sized(images.example(index).image))] for index in indices]
    for label, one in maps.items():
        with torch.no_grad():
            magnitudes = one.map(features, batch.names)
        grids = [_grid(part, TokenGrid.of(part, features.size)) for part in magnitudes]
        for place, row in enumerate(drawn):
            row.append((label, _heat(sum(grid[place] for grid in grids if grid.numel()))))
    return [picture for row in drawn for picture in row]


def _grid(magnitudes: Tensor, places: TokenGrid) -> Tensor:
    """Return the energy of positions, brought to `SIDE` px: (N, SIDE, SIDE)."""
    energy = tokens(magnitudes.double().pow(2)).sum(2)[:, places.prefix :].cpu()
    if not places.rows:
        return energy[:, :0]
    grid = energy.view(len(energy), 1, places.rows, places.columns)
    return torch.nn.functional.interpolate(grid, (SIDE, SIDE), mode="nearest")[:, 0]


def _heat(energy: Tensor | int) -> Image:
    logarithm = torch.as_tensor(energy, dtype=torch.float64).clamp_min(1e-300).log().numpy()
    low, high = logarithm.min(), logarithm.max()
    share = ((logarithm - low) / (high - low) if high > low else np.full_like(logarithm, 0.5))[..., None]
    return np.asarray(np.rint(_DARK + share * (_BRIGHT - _DARK)), np.uint8)


def _sized(image: Image) -> Image:
    picture = Pillow.fromarray(image)
    width, height = picture.size
    picture = picture.resize((SIDE, SIDE), Pillow.Resampling.NEAREST if max(width, height) < SIDE else None)
    return np.asarray(picture)
