"""Turn a map of magnitudes into a guarantee: the one scale at which it is tolerated with a stated probability.

The paper (Zhao et al. 2026, arXiv:2601.21933) asks for Pr[drop <= eps] >= 1 - rho and then relaxes it to a mean hinge
loss, which bounds no probability. Here the guarantee itself is kept, by split conformal prediction (Vovk, Gammerman and
Shafer 2005; Papadopoulos et al. 2002), over fresh pairs of an image and a draw of its noise:

- each calibration image has the largest scale of a fixed grid at which its drop is at most eps, there and at every
  smaller scale of the grid;
- the scale of all is the floor(rho (n + 1))-th smallest of these.

The grid belongs to the fitting images alone, so calibration images and fresh ones stay exchangeable, and the scale
stands on the grid, so it is one that every calibration image was tried at. Ties on the grid make the guarantee safer
than it need be; a grid laid where the fitting images fail keeps them few.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from limen import digest
from limen.errors import InputError, UnknownNameError
from limen.feature.data.parts import Batch, Subset
from limen.feature.model.split import Features, SplitPoint
from limen.feature.perturbation import Tensors, noise, nrmse
from limen.feature.task import Task
from limen.feature.tolerance import ProgressCallback, Tolerance, quiet
from limen.statistics import coverage as statistics

Scales = npt.NDArray[np.float64]

COARSE = (0.001, 16.0, 43)  # NRMSE from, to, and points of the grid that the pilot images are tried on
PILOT = 64  # fitting images that say where the grid belongs
POINTS = 80  # of the grid: neighbours about 5 % apart, so that few images tie


@dataclass(frozen=True, slots=True)
class Bound:
    """What a perturbation may cost one image.

    Attributes:
        drop: which loss, a name in the task's `drops`.
        eps: the most of it, 0 or more, in its own unit.
    """

    drop: str
    eps: float

    def check(self, task: Task) -> None:
        """Raise `InputError` where the task knows no such loss or eps is no bound."""
        if self.drop not in task.drops:
            raise UnknownNameError(f"drop of {task.name}", self.drop, task.drops)
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise InputError(f"eps is the largest drop allowed, 0 or more, not {self.eps}. Give a number such as 0.05.")


@dataclass(frozen=True, slots=True)
class ScaleGrid:
    """The scales that every image is tried at.

    Attributes:
        unit: the scale at which the map has a median NRMSE of 1 on the pilot images.
        low, high: the first and the last scale, in units (so: NRMSE, about).
        points: how many scales, evenly spaced in their logarithm.
    """

    unit: float
    low: float
    high: float
    points: int = POINTS

    @property
    def scales(self) -> Scales:
        """Return the scales, rising."""
        return np.asarray(self.unit * np.geomspace(self.low, self.high, self.points), np.float64)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A guarantee: with the map at `scale`, a fresh image's drop is at most eps with probability 1 - rho at least.

    Attributes:
        bound: the drop that is bounded.
        rho: the largest probability of more than that.
        n: calibration images.
        rank: which of their tolerated scales, from the smallest, is the scale.
        scale: multiplies the tolerance's own magnitudes; 0 where no perturbation can be guaranteed.
        censored: calibration images that tolerate the grid's last scale, and perhaps more.
        untolerated: calibration images that do not tolerate its first one.
        grid: the scales tried.
        seed: of the noise.
    """

    bound: Bound
    rho: float
    n: int
    rank: int
    scale: float
    censored: int
    untolerated: int
    grid: ScaleGrid
    seed: int


@dataclass(frozen=True, slots=True)
class ScaleSearch:
    """What is tried on each image: a map's noise at rising scales, until it costs more than is allowed.

    Attributes:
        split, task, tolerance: whose features, outputs and magnitudes.
        bound: what is allowed.
        seed: of the noise; each image has one draw, which belongs to its name.
        batch: images at once. Results do not depend on it, but for an image whose drop equals eps to within what
            float32 sums differ by from batch to batch (about one part in a million).
    """

    split: SplitPoint
    task: Task
    tolerance: Tolerance
    bound: Bound
    seed: int = 0
    batch: int = 40

    def locate(self, images: Subset) -> ScaleGrid:
        """Lay the grid where the first `PILOT` of these images fail, which must be fitting images.

        It reaches from a quarter of what the most sensitive 2 % tolerate to twice what half of them tolerate: a
        calibrated scale for rho <= 0.5 lies inside, and images that tolerate more are not tried any further.

        Raises:
            InputError: the map is zero everywhere, or half of the images tolerate nothing.
        """
        self.bound.check(self.task)
        size = np.concatenate([self._size(batch) for batch in _first(images, PILOT, self.batch)])
        if not np.median(size) > 0:
            raise InputError("The map is zero for most images, so no scale makes a perturbation of it. Fit another.")
        coarse = ScaleGrid(1 / float(np.median(size)), *COARSE)
        failed = np.concatenate([self._tried(batch, coarse) for batch in _first(images, PILOT, self.batch)])
        middle = float(np.median(failed)) / coarse.unit
        if middle == 0:
            raise InputError(
                f"Most fitting images do not tolerate an NRMSE of {coarse.low} within {self.bound.drop} <= "
                f"{self.bound.eps}, so nothing can be calibrated. Allow a larger eps."
            )
        lowest = max(float(np.quantile(failed, 0.02)) / coarse.unit, middle / 64)
        return ScaleGrid(coarse.unit, lowest / 4, min(2 * middle, coarse.high))

    def tolerated(self, images: Subset, grid: ScaleGrid, progress: ProgressCallback = quiet) -> Scales:
        """Return, for each image, the largest scale of the grid tolerated there and at all smaller ones; 0 for none.

        Args:
            images: that nothing was fitted on.
            grid: from `locate`.
            progress: called with images done, images in all, and a note.
        """
        self.bound.check(self.task)
        found: list[Scales] = []
        done = 0
        for batch in images.batches(self.batch):
            found.append(self._tried(batch, grid))
            done += len(batch.names)
            progress(done, len(images), f"largest scale tolerated, {self.bound.drop} <= {self.bound.eps}")
        return np.concatenate(found)

    @torch.no_grad()
    def _size(self, batch: Batch) -> Scales:
        features = self.split.encode(batch.images)
        return np.asarray(nrmse(features, self._delta(features, batch.names)).cpu().double().numpy(), np.float64)

    def _delta(self, features: Features, names: Sequence[str]) -> Tensors:
        return noise(self.tolerance.map(features, names), names, self.seed, self.tolerance.noise)

    @torch.no_grad()
    def _tried(self, batch: Batch, grid: ScaleGrid) -> Scales:
        features = self.split.encode(batch.images)
        delta = self._delta(features, batch.names)
        clean = self.split.head(features)
        best = np.zeros(len(batch.names))
        left = torch.arange(len(batch.names), device=features.tensors[0].device)
        for scale in grid.scales:
            perturbed = self.split.head(features[left].plus([float(scale) * part[left] for part in delta]))
            drops = self.task.drop({name: value[left] for name, value in clean.items()}, perturbed, self.bound.drop)
            left = left[drops <= self.bound.eps]
            best[left.cpu().numpy()] = scale
            if not len(left):
                break
        return best


def calibrate(tolerated: Scales, rho: float, search: ScaleSearch, grid: ScaleGrid) -> Calibration:
    """Return the guarantee that calibration images give.

    Args:
        tolerated: of the calibration images, from `ScaleSearch.tolerated`.
        rho: probability of a larger drop that is allowed, 0 < rho < 1.
        search: what gave them.
        grid: of `search`, > 0, ascending.

    Raises:
        InputError: too few images for so small a rho, with the number that it takes.
    """
    place = rank(len(tolerated), rho)
    return Calibration(
        bound=search.bound,
        rho=rho,
        n=len(tolerated),
        rank=place,
        scale=float(np.sort(tolerated)[place - 1]),
        censored=int((tolerated >= grid.scales[-1]).sum()),
        untolerated=int((tolerated == 0).sum()),
        grid=grid,
        seed=search.seed,
    )


def rank(n: int, rho: float) -> int:
    """Return floor(rho (n + 1)): which of n tolerated scales, from the smallest, is the conformal one.

    Raises:
        InputError: that is below 1, so that no scale could be guaranteed.
    """
    if not 0 < rho < 1:
        raise InputError(f"rho is a probability between 0 and 1, not {rho}. Give a number such as 0.1.")
    found = statistics.rank(n, rho)
    if found < 1:
        needed = math.ceil(1 / rho - 1e-9) - 1
        raise InputError(
            f"{n} calibration images are too few to guarantee Pr[drop <= eps] >= {1 - rho:g}: it takes {needed} at "
            "least. Give more images, or a larger rho."
        )
    return found


def band(n: int, m: int, rho: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return between which shares the coverage of m fresh images lies, for one calibration set of n.

    See `limen.statistics.coverage`.

    Args:
        n: calibration images, >= 1 / rho - 1.
        m: fresh images, >= 1.
        rho: allowed probability of a larger drop, 0 < rho < 1.
        confidence: of the interval, with equal tails, 0 to 1.
    """
    return statistics.band(statistics.counts(n, m, rank(n, rho)), confidence)


def coverage(tolerated: Scales, scale: float) -> float:
    """Return the share of images that tolerate a scale."""
    return float((tolerated >= scale).mean())


@dataclass(frozen=True, slots=True)
class ResplitCoverage:
    """Coverage of fresh images when the same images are divided anew into calibration and test, again and again.

    Attributes:
        coverages: one for each division.
        band: where each lies with the stated confidence.
        confidence: of the band.
    """

    coverages: tuple[float, ...]
    band: tuple[float, float]
    confidence: float

    @property
    def mean(self) -> float:
        """The mean coverage; at least 1 - rho is guaranteed."""
        return float(np.mean(self.coverages))

    @property
    def inside(self) -> float:
        """Share of divisions whose coverage lies in the band; about `confidence` is to be expected."""
        low, high = self.band
        return float(np.mean([low <= value <= high for value in self.coverages]))


def resplit(
    tolerated: Scales, n: int, rho: float, splits: int = 20, seed: int = 0, confidence: float = 0.95
) -> ResplitCoverage:
    """Divide images into n for calibration and the rest for test, many times, and look at the coverage.

    Args:
        tolerated: (N,), of calibration and test images together, in any order: one draw of noise an image.
        n: calibration images of each division, < N.
        rho: allowed probability of a larger drop, 0 < rho < 1.
        splits: how many divisions, >= 1.
        seed: of the divisions, any int.
        confidence: of the band, 0 to 1.

    Raises:
        InputError: no image would be left for the test.
    """
    if len(tolerated) <= n:
        raise InputError(f"{len(tolerated)} images leave none to test when {n} calibrate. Give more, or a smaller n.")
    place, found = rank(n, rho), []
    for split in range(splits):
        mixed = tolerated[digest.generator("resplit", seed, split).permutation(len(tolerated))]
        found.append(coverage(mixed[n:], float(np.sort(mixed[:n])[place - 1])))
    return ResplitCoverage(tuple(found), band(n, len(tolerated) - n, rho, confidence), confidence)


@torch.no_grad()
def mean_log2(split: SplitPoint, tolerance: Tolerance, images: Subset, scale: float, batch: int = 40) -> float:
    """Return the mean over images and elements of log2(scale m): what a map is worth to a quantiser, in bits.

    At the same guarantee, one more is one bit an element less. Minus infinity where a magnitude or the scale is 0.

    Args:
        split: a network cut in two.
        tolerance: a fitted map.
        images: to take the mean over.
        scale: factor of the map's magnitudes, >= 0.
        batch: images at once, >= 1.
    """
    total, count = 0.0, 0
    for part in images.batches(batch):
        for magnitude in tolerance.map(split.encode(part.images), part.names):
            total += float(magnitude.abs().double().log2().sum())
            count += magnitude.numel()
    return total / count + (math.log2(scale) if scale > 0 else -math.inf)


def _first(images: Subset, count: int, size: int) -> list[Batch]:
    count = min(count, len(images))
    return [images.batch(range(start, min(start + size, count))) for start in range(0, count, size)]
