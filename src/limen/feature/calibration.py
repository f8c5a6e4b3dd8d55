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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from limen import digest
from limen.errors import InputError, UnknownNameError
from limen.feature.clean_batches import Clean, CleanBatch
from limen.feature.crossing import crossing
from limen.feature.model.split import SplitPoint
from limen.feature.perturbation import Tensors, noise, nrmse
from limen.feature.task import Task
from limen.feature.tolerance import Tolerance
from limen.statistics import coverage as statistics

Scales = npt.NDArray[np.float64]

PILOT = 200  # fitting images that say where the grid belongs
RANGE = (0.001, 16.0, 57)  # NRMSE from, to, and points, a quarter of an octave apart, between which it is looked for
GRID = (-3.0, -1.5, -0.75, *(eighth / 8 for eighth in range(-4, 5)))
"""Octaves from where as many fitting images fail as calibration images may: the scales that each image is tried at."""


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
        middle: in units (so: NRMSE, about), the scale that is expected of calibration.
        octaves: of each scale from the middle, rising.
    """

    unit: float
    middle: float
    octaves: tuple[float, ...] = GRID

    @property
    def scales(self) -> Scales:
        """Return the scales, rising."""
        return np.asarray(self.unit * self.middle * np.exp2(self.octaves), np.float64)


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
    """

    split: SplitPoint
    task: Task
    tolerance: Tolerance
    bound: Bound
    seed: int = 0

    @torch.no_grad()
    def locate(self, images: Clean, rho: float) -> ScaleGrid:
        """Lay the grid about the scale at which a share rho of these images fails, which must be fitting images.

        Conformal calibration asks of each image at which scales about there it fails, and no more: the grid begins
        three octaves below, for whoever fails early, and is an eighth of an octave apart where the scale is expected.
        Images that tolerate more than half an octave above it are not tried any further.

        Args:
            images: some fitting images, `PILOT` are enough.
            rho: allowed probability of a larger drop, 0 < rho < 1.

        Raises:
            InputError: the map is zero for most images, or most of them tolerate nothing.
        """
        self.bound.check(self.task)
        noisy = [(batch, self._delta(batch)) for batch in images]
        size = float(np.median(np.concatenate([_sizes(batch, delta) for batch, delta in noisy])))
        if not size > 0:
            raise InputError("The map is zero for most images, so no scale makes a perturbation of it. Fit another.")
        strengths = np.geomspace(*RANGE)

        def failing(place: int) -> float:
            scale = float(strengths[place]) / size
            found = [self._drops(batch, delta, scale) <= self.bound.eps for batch, delta in noisy]
            return 1 - float(torch.cat(found).double().mean())

        place = crossing(failing, len(strengths), rho)
        if place == 0 and failing(0) > 0.5:
            raise InputError(
                f"Most fitting images do not tolerate an NRMSE of {RANGE[0]} within {self.bound.drop} <= "
                f"{self.bound.eps}, so nothing can be calibrated. Allow a larger eps."
            )
        return ScaleGrid(1 / size, float(np.interp(place, np.arange(len(strengths)), strengths)))

    @torch.no_grad()
    def tolerated(self, images: Clean, grid: ScaleGrid) -> Scales:
        """Return, for each image, the largest scale of the grid tolerated there and at all smaller ones; 0 for none.

        They do not depend on batches, but for an image whose drop equals eps to within what float32 sums differ by from
        batch to batch (about one part in a million).

        Args:
            images: that nothing was fitted on.
            grid: from `locate`.
        """
        self.bound.check(self.task)
        return np.concatenate([self._tried(batch, grid) for batch in images])

    def _delta(self, batch: CleanBatch) -> Tensors:
        return noise(self.tolerance.map(batch.features, batch.names), batch.names, self.seed, self.tolerance.noise)

    def _drops(self, batch: CleanBatch, delta: Tensors, scale: float) -> torch.Tensor:
        perturbed = self.split.head(batch.features.plus([scale * part for part in delta]))
        return self.task.drop(batch.outputs, perturbed, self.bound.drop)

    def _tried(self, batch: CleanBatch, grid: ScaleGrid) -> Scales:
        features, clean, delta = batch.features, batch.outputs, self._delta(batch)
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
def mean_log2(tolerance: Tolerance, images: Clean, scale: float) -> float:
    """Return the mean over images and elements of log2(scale m): what a map is worth to a quantiser, in bits.

    At the same guarantee, one more is one bit an element less. Minus infinity where a magnitude or the scale is 0.

    Args:
        tolerance: a fitted map.
        images: to take the mean over.
        scale: factor of the map's magnitudes, >= 0.
    """
    total, count = 0.0, 0
    for batch in images:
        for magnitude in tolerance.map(batch.features, batch.names):
            total += float(magnitude.abs().double().log2().sum())
            count += magnitude.numel()
    return total / count + (math.log2(scale) if scale > 0 else -math.inf)


def _sizes(batch: CleanBatch, delta: Tensors) -> Scales:
    return np.asarray(nrmse(batch.features, delta).cpu().double().numpy(), np.float64)
