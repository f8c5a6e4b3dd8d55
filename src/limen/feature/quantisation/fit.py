"""Bits against what they cost: token-wise quantisation with steps of several kinds, at equal noise and at equal cost.

At an equal noise budget unequal steps lose less at the head and cost more bits, so neither column says who wins; the
bits at equal discrepancy, side information counted, do (`at_equal`). The budget is nominal, sqrt(sum D^2 / 12) / |f| in
the mean over the fitting images; where a step is longer than most values the true noise is smaller (they become 0), so
the actual noise is given beside it.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from limen import digest
from limen.errors import InputError
from limen.feature.clean_batches import CleanBatches
from limen.feature.model.split import Features
from limen.feature.perturbation import nrmse
from limen.feature.quantisation.codec import Quantiser
from limen.feature.quantisation.frequency_tables import Tally, TokenRows, Wholes, by_level, short
from limen.feature.quantisation.side_information import SideInformation
from limen.feature.quantisation.step_sizes import LogSizes, StepGrid, StepRule, harmonic, tokens
from limen.feature.task import Task
from limen.feature.tolerance import ProgressCallback, quiet

BUDGETS = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.1, 1.5, 2.0, 3.0)
OCTAVE = 2  # steps in a factor of two: the grid's noise costs 2 %, a finer one another bit a token
RESAMPLES, ENOUGH = 200, 0.95  # draws of test images for an interval, and the share of them that must have a figure
SAMPLE = 4096  # tokens of each tensor that priors are made of


@dataclass(frozen=True, slots=True)
class QuantisationRow:
    """What one kind of steps does at one budget, means over the test images.

    Attributes:
        steps: the rule's name.
        budget: nominal NRMSE, mean over the fitting images.
        actual_noise: NRMSE of what the receiver has.
        bits: ideal code length of an element in bits, steps not counted. Features are float32, 32 bits.
        side_bits: of the steps, shared out among the elements.
        score, discrepancy: the task's, of the quantised features.
        seed: of the run.
        n: test images.
        escapes: share of elements that no table held.
    """

    steps: str
    budget: float
    actual_noise: float
    bits: float
    side_bits: float
    score: float
    discrepancy: float
    seed: int
    n: int
    escapes: float = 0.0


@dataclass(frozen=True, slots=True)
class ResampledRow:
    """What a `QuantisationRow` would be with other test images of the same kind (a bootstrap over images).

    Attributes:
        steps, budget, seed, n: of that row.
        bits: an element, side information counted, one for each of `RESAMPLES` draws of n images with replacement. All
            rows of a seed have the same draws, so that they can be compared.
        discrepancy: likewise.
    """

    steps: str
    budget: float
    seed: int
    n: int
    bits: tuple[float, ...]
    discrepancy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EqualRateRow:
    """One kind of steps at one discrepancy and at one rate, linear between budgets in bits and log discrepancy.

    Attributes:
        steps: the rule's name.
        discrepancy: at which.
        bits: an element, side information counted; None where the budgets do not reach this discrepancy.
        side_bits: of these, an element.
        ratio: to uniform steps; None where either is not reached.
        same_bits_discrepancy, same_bits_score: at the bits that uniform steps take for `discrepancy`; None as above,
            and where no budget takes so many bits, or so few.
        censored: where `bits` is None: whether "fewer" or "more" than `limit` are needed: the discrepancy stays below
            at every budget, or is above it at every one. "" where it is reached.
        limit: bits an element at the budget that comes nearest, side information counted.
        why: which of these figures are missing, and up to what was tried; "" where none is.
        bits_low, bits_high, ratio_low, ratio_high: 95 % intervals over test images; None where rows were not resampled.
    """

    steps: str
    discrepancy: float
    bits: float | None
    side_bits: float | None
    ratio: float | None
    same_bits_discrepancy: float | None
    same_bits_score: float | None
    censored: Literal["", "fewer", "more"] = ""
    limit: float | None = None
    why: str = ""
    bits_low: float | None = None
    bits_high: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


@dataclass(frozen=True)
class FittingStatistics:
    """What the fitting images say that does not depend on the budget.

    Attributes:
        norm: |f| of each image (N,).
        sizes: for each rule, by name, log2 of the steps (N, T) a tensor.
        least, most: (C,) of each channel, one a tensor.
        sample: tokens (R, C), one a tensor.
        shapes: of one sample's tensors.
        size: of the images.
    """

    norm: LogSizes
    sizes: Mapping[str, list[LogSizes]]
    least: list[LogSizes]
    most: list[LogSizes]
    sample: list[TokenRows]
    shapes: tuple[tuple[int, ...], ...]
    size: tuple[int, ...]


def fit(
    clean: CleanBatches,
    wanted: Sequence[tuple[StepRule, float]],
    octave: int = OCTAVE,
    network: str = "",
    progress: ProgressCallback = quiet,
) -> list[Quantiser]:
    """Fit quantisers on fitting images, in two passes for all of them together.

    Args:
        clean: fitting images, encoded; nothing else may be seen.
        wanted: steps, and the nominal NRMSE that each may have in the mean, > 0.
        octave: steps of the grid in a factor of two, >= 1.
        network: digest of the weights, to be kept with the quantiser.
        progress: called with images done, images in all, and a note.

    Raises:
        InputError: a budget that is no positive number, or two rules of one name.
    """
    bad = [budget for _, budget in wanted if not (math.isfinite(budget) and budget > 0)]
    if bad:
        raise InputError(f"A noise budget is an NRMSE above 0, not {bad[0]}. Give numbers such as 0.3.")
    rules: dict[str, StepRule] = {}
    for steps, _ in wanted:
        if rules.setdefault(steps.name, steps) != steps:
            raise InputError(f"Two kinds of steps are called {steps.name!r}. Give their maps different labels.")
    seen = survey(clean, list(rules.values()))
    drafts = [_Draft.of(seen, steps, budget, octave) for steps, budget in wanted]
    done = 0
    for batch in clean:
        for draft in drafts:
            draft.add(batch.features, done)
        done += len(batch)
        progress(done, len(clean), "quantisers fitted")
    return [draft.finish(seen, network) for draft in drafts]


@torch.no_grad()
def survey(clean: CleanBatches, rules: Sequence[StepRule]) -> FittingStatistics:
    """Look at the fitting images once, for all rules and budgets.

    Args:
        clean: images to fit on, encoded.
        rules: kinds of steps, by distinct names.
    """
    sizes: dict[str, list[list[LogSizes]]] = {steps.name: [] for steps in rules}
    norms: list[LogSizes] = []
    least: list[LogSizes] = []
    most: list[LogSizes] = []
    samples: list[list[TokenRows]] = []
    for batch in clean:
        features = batch.features
        rows = [tokens(tensor).float().cpu().numpy() for tensor in features.tensors]
        for steps in rules:
            sizes[steps.name].append(steps.sizes(features, batch.names))
        norms.append(np.sqrt(sum((row.astype(np.float64) ** 2).sum((1, 2)) for row in rows)))
        lows = [row.min((0, 1)).astype(np.float64) for row in rows]
        highs = [row.max((0, 1)).astype(np.float64) for row in rows]
        least = [np.minimum(a, b) for a, b in zip(least or lows, lows, strict=True)]
        most = [np.maximum(a, b) for a, b in zip(most or highs, highs, strict=True)]
        samples.append([_some(row, len(clean)) for row in rows])
    joined = {name: [np.concatenate(parts) for parts in zip(*found, strict=True)] for name, found in sizes.items()}
    shapes = tuple(tuple(tensor.shape[1:]) for tensor in features.tensors)
    sample = [np.concatenate(parts) for parts in zip(*samples, strict=True)]
    return FittingStatistics(np.concatenate(norms), joined, least, most, sample, shapes, features.size)


@torch.no_grad()
def compare(
    clean: CleanBatches,
    quantisers: Sequence[Quantiser],
    seed: int = 0,
    progress: ProgressCallback = quiet,
) -> list[tuple[QuantisationRow, ResampledRow]]:
    """Quantise the features of test images with each quantiser, and see what it costs.

    Args:
        clean: images that no quantiser was fitted on, encoded.
        quantisers: from `fit`.
        seed: of the run, for the table, >= 0.
        progress: called with images done, images in all, and a note.
    """
    task, sums = clean.task, [_Sum() for _ in quantisers]
    done = 0
    for batch in clean:
        features = batch.features
        for quantiser, total in zip(quantisers, sums, strict=True):
            quantised = quantiser.quantise(features, batch.names)
            outputs = clean.split.head(quantised.features)
            error = [a - b for a, b in zip(quantised.features.tensors, features.tensors, strict=True)]
            total.noise.append(nrmse(features, error).cpu().numpy())
            total.discrepancy.append(task.discrepancy(batch.outputs, outputs).cpu().numpy())
            total.answers += task.answers(outputs)
            total.targets += batch.targets
            total.bits.append(quantised.bits / features.elements)
            total.side_bits.append(quantised.side_bits / features.elements)
            total.escapes.append(quantised.escapes / features.elements)
        done += len(batch)
        progress(done, len(clean), "test images quantised")
    drawn = digest.generator("resample", seed).integers(0, done, (RESAMPLES, done))
    return [
        (total.row(quantiser, task, seed), total.resampled(quantiser, seed, drawn))
        for quantiser, total in zip(quantisers, sums, strict=True)
    ]


def at_equal(
    rows: Sequence[QuantisationRow],
    discrepancy: float = 0.1,
    to: str = "uniform",
    resampled: Sequence[ResampledRow] = (),
) -> list[EqualRateRow]:
    """Return what each kind of steps costs at one discrepancy, and what it does for the bits of the steps named `to`.

    Args:
        rows: of several budgets, one seed.
        discrepancy: at which to compare, in the unit of the task's discrepancy, > 0.
        to: the name of the steps whose bits the others are compared at.
        resampled: the same rows resampled, for intervals; a kind of steps has one where all of its rows are there.
    """
    intervals = _intervals(rows, resampled, discrepancy, to)
    curves: dict[str, list[QuantisationRow]] = {row.steps: [] for row in rows}
    for row in sorted(rows, key=lambda row: row.budget):
        if all(map(math.isfinite, (row.bits, row.side_bits, row.discrepancy))):
            curves[row.steps].append(row)
    found = {name: _crossing(curve, discrepancy) for name, curve in curves.items()}
    reference = found.get(to)
    made = []
    for name, total in found.items():
        same = _at_bits(curves[name], reference[0]) if reference else None
        censored, limit, why = ("", None, "") if total else _missed(curves[name], discrepancy)
        reasons = [why, "" if reference else f"{to} steps do not reach discrepancy {discrepancy:g}, so nothing is said "
                   "relative to them"]  # fmt: skip
        if reference and not same:
            reasons.append(f"no budget tried takes the {reference[0]:.3f} bits of {to} steps")
        made.append(
            EqualRateRow(
                name,
                discrepancy,
                bits=total and total[0],
                side_bits=total and total[1],
                ratio=total[0] / reference[0] if total and reference else None,
                same_bits_discrepancy=same and same[0],
                same_bits_score=same and same[1],
                censored=censored,
                limit=limit,
                why="; ".join(filter(None, reasons)),
                **(intervals.get(name, {}) if total else {}),
            )
        )
    return made


def _intervals(
    rows: Sequence[QuantisationRow], resampled: Sequence[ResampledRow], discrepancy: float, to: str
) -> dict[str, dict[str, float]]:
    """Return the 95 % percentile intervals of the bits of each kind of steps, and of their ratio to those of `to`."""
    there = {(row.steps, row.budget): row for row in resampled if len(row.bits) == len(row.discrepancy) == RESAMPLES}
    lacking = {row.steps for row in rows if (row.steps, row.budget) not in there}
    kinds = {row.steps for row in rows} - lacking
    found: dict[str, list[float]] = {}
    for place in range(RESAMPLES if kinds else 0):
        curves: dict[str, list[QuantisationRow]] = {name: [] for name in kinds}
        for row in sorted(rows, key=lambda row: row.budget):
            if row.steps in kinds:
                again = there[row.steps, row.budget]
                drawn = replace(row, bits=again.bits[place], side_bits=0.0, discrepancy=again.discrepancy[place])
                curves[row.steps].append(drawn)
        totals = {name: total[0] for name, curve in curves.items() if (total := _crossing(curve, discrepancy))}
        for name, bits in totals.items():
            found.setdefault(f"{name} bits", []).append(bits)
            if to in totals:
                found.setdefault(f"{name} ratio", []).append(bits / totals[to])
    made: dict[str, dict[str, float]] = {}
    for name in kinds:
        for figure in ("bits", "ratio"):
            values = found.get(f"{name} {figure}", [])
            if len(values) >= ENOUGH * RESAMPLES:
                low, high = np.quantile(values, (0.025, 0.975)).tolist()
                made.setdefault(name, {}).update({f"{figure}_low": low, f"{figure}_high": high})
    return made


def _missed(
    curve: Sequence[QuantisationRow], discrepancy: float
) -> tuple[Literal["", "fewer", "more"], float | None, str]:
    """Say of a curve that does not pass a discrepancy on which side of it it lies, and up to how many bits."""
    if not curve:
        return "", None, "no budget tried gives a finite discrepancy"
    fewer = curve[-1].discrepancy <= discrepancy
    nearest = curve[-1] if fewer else curve[0]
    limit = nearest.bits + nearest.side_bits
    moved = f"discrepancy {discrepancy:g} is not reached up to budget {nearest.budget:g}" if fewer else (
        f"discrepancy {discrepancy:g} is passed at the smallest budget tried, {nearest.budget:g}")  # fmt: skip
    side: Literal["fewer", "more"] = "fewer" if fewer else "more"
    return side, limit, f"{moved} ({nearest.discrepancy:.3g} there): {side} than {limit:.3f} bits"


def _crossing(curve: Sequence[QuantisationRow], discrepancy: float) -> tuple[float, float] | None:
    """Return bits in all and side bits where a curve first passes a discrepancy, the budget rising."""
    for before, after in itertools.pairwise(curve):
        if before.discrepancy <= discrepancy < after.discrepancy:
            low, high = (math.log(max(row.discrepancy, 1e-12)) for row in (before, after))
            share = (math.log(discrepancy) - low) / (high - low)
            side = before.side_bits + share * (after.side_bits - before.side_bits)
            return side + before.bits + share * (after.bits - before.bits), side
    return None


def _at_bits(curve: Sequence[QuantisationRow], bits: float) -> tuple[float, float] | None:
    """Return discrepancy and score where a curve first needs no more than these bits in all, the budget rising."""
    for before, after in itertools.pairwise(curve):
        most, least = (row.bits + row.side_bits for row in (before, after))
        if least <= bits <= most:
            share = (most - bits) / (most - least) if most > least else 0.0
            low, high = (math.log(max(row.discrepancy, 1e-12)) for row in (before, after))
            return math.exp(low + share * (high - low)), before.score + share * (after.score - before.score)
    return None


@dataclass
class _Sum:
    """What is gathered over the test images."""

    noise: list[Any] = field(default_factory=list)
    discrepancy: list[Any] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    bits: list[Any] = field(default_factory=list)
    side_bits: list[Any] = field(default_factory=list)
    escapes: list[float] = field(default_factory=list)

    def row(self, quantiser: Quantiser, task: Task, seed: int) -> QuantisationRow:
        mean = [float(np.concatenate(x).mean()) for x in (self.noise, self.bits, self.side_bits, self.discrepancy)]
        return QuantisationRow(
            steps=quantiser.steps.name,
            budget=quantiser.budget,
            actual_noise=mean[0],
            bits=mean[1],
            side_bits=mean[2],
            score=task.scores(self.answers, self.targets)["score"],
            discrepancy=mean[3],
            seed=seed,
            n=len(self.targets),
            escapes=sum(self.escapes) / len(self.targets),
        )

    def resampled(self, quantiser: Quantiser, seed: int, drawn: npt.NDArray[np.int64]) -> ResampledRow:
        """Return the means over each row of `drawn`, images with replacement."""
        bits = np.concatenate(self.bits) + np.concatenate(self.side_bits)
        moved = np.concatenate(self.discrepancy).astype(np.float64)
        means = [tuple(float(f"{value:.7g}") for value in each[drawn].mean(1)) for each in (bits, moved)]
        return ResampledRow(quantiser.steps.name, quantiser.budget, seed, len(self.targets), *means)


@dataclass
class _Draft:
    """A quantiser whose tables are being counted."""

    steps: StepRule
    levels: StepGrid
    budget: float
    chosen: list[Wholes]  # (N, T) a tensor, of all fitting images
    tallies: list[Tally]

    @classmethod
    def of(cls, seen: FittingStatistics, steps: StepRule, budget: float, octave: int) -> "_Draft":
        sizes = seen.sizes[steps.name]
        if steps.kind == "static":
            sizes = [np.broadcast_to(harmonic(size), size.shape) for size in sizes]
        levels = StepGrid.over(sizes, octave)
        chosen = [levels.nearest(size) for size in sizes]
        relative = levels.relative()
        power = sum((relative[numbers] ** 2).sum(1) * len(low) for numbers, low in zip(chosen, seen.least, strict=True))
        factor = budget / float(np.mean(np.sqrt(power / 12) / seen.norm))
        lengths = short(factor * relative)
        tallies = [Tally(lengths, *known) for known in zip(seen.least, seen.most, seen.sample, strict=True)]
        return cls(steps, levels, budget, chosen, tallies)

    def add(self, features: Features, start: int) -> None:
        """Count a batch whose first image is the `start`-th."""
        for tensor, tally, chosen in zip(features.tensors, self.tallies, self.chosen, strict=True):
            rows = tokens(tensor).float().cpu().numpy()
            flat = rows.reshape(-1, rows.shape[2])
            for level, places in by_level(chosen[start : start + len(rows)].ravel()):
                tally.add(flat[places], level)

    def finish(self, seen: FittingStatistics, network: str) -> Quantiser:
        dynamic = self.steps.dynamic
        return Quantiser(
            steps=self.steps,
            levels=self.levels,
            tables=tuple(tally.table() for tally in self.tallies),
            side=SideInformation.of(self.chosen, self.levels.count) if dynamic else None,
            fixed=() if dynamic else tuple(np.array(chosen[0]) for chosen in self.chosen),
            shapes=seen.shapes,
            size=seen.size,
            budget=self.budget,
            network=network,
        )


def _some(rows: TokenRows, images: int) -> TokenRows:
    """Return tokens of each image (N, T, C), evenly spaced: about `SAMPLE` of all images together."""
    flat = rows.reshape(-1, rows.shape[2])
    step = max(1, images * rows.shape[1] // SAMPLE)
    return flat[step // 2 :: step].copy() if len(flat) > step // 2 else flat[:1].copy()
