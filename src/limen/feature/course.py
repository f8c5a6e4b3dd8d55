"""The course of a run: what it measures where its user leaves that open, and how long its stages take here.

A run is fitted, calibrated, evaluated, quantised, and asked for a promise. Its time goes into passes of images through
the two halves of the network, which are counted here and multiplied by what one takes, measured on a few images. Small
things (the estimator of a learned map, a task's score) are left out, so a time is "about" that.
"""

import time
from collections.abc import Callable, Iterable, Set
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import torch

from limen.errors import InputError
from limen.feature import calibration, tolerance
from limen.feature.attribution import INTEGRATED
from limen.feature.clean_batches import CleanBatches
from limen.feature.data.parts import Subset, SubsetSizes
from limen.feature.model.split import Features, SplitPoint
from limen.feature.plan import COMPARED, MAPS, UNQUANTISED, FeaturePlan, Maps, chosen, suited
from limen.feature.quantisation import coarsest
from limen.feature.quantisation import fit as quantising
from limen.feature.quantisation.step_sizes import StepRule
from limen.feature.task import Task
from limen.feature.tolerances.fisher import OwnFisherTolerance
from limen.feature.tolerances.information import FisherSettings, information
from limen.feature.tolerances.training import TrainingSettings

LARGE = 3e8  # operations that the network takes for an image, from which the defaults are those of a large one
SEEDS = 3  # of a small one; a large one has one
LEAN = ("gaussian", "flat", "absmax", "fisher", "learned-information")  # maps of a large one
LEAST = ("gaussian", "flat", "fisher")  # where even those take too long
BUDGETS = (0.3, 0.6, 1.2, 2.4)  # of a large one: doubling, and further where steps are compared beyond them
OPTIONS = (
    (SEEDS, tuple(MAPS), 1.0), (SEEDS, LEAN, 1.0), (1, LEAN, 1.0), (1, LEAST, 1.0), (1, LEAST, 0.5), (1, LEAST, 0.25),
)  # fmt: skip
"""Where a time is given: seeds, maps and share of the images, the most first; the first that is done in time counts."""
STRENGTHS = 6  # of `evaluate`
FEWEST = 60  # images of a part that is made smaller for a time: with 59 a clean sheet promises rho .05
TIMED = 8  # images that a pace is measured on
LOOKS = 9  # of pilot images until a place among `calibration.RANGE` is found
LADDER = 6  # likewise among `coarsest.COARSE`
TAKEN = 13  # candidates that a walk goes through, about


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that one image takes here.

    Attributes:
        read: from its file to what the network is given.
        encode: the part of the network before the split.
        head: the part after it.
        back: after it and back again.
        quantise: its features, with one step an image.
        tally: counted for one quantiser's tables.
        judge: what it lost, where that takes time: objects are matched, or boxes suppressed, on the CPU.
    """

    read: float
    encode: float
    head: float
    back: float
    quantise: float
    tally: float
    judge: float = 0.0

    @classmethod
    def measure(cls, split: SplitPoint, task: Task, images: Subset) -> Self:
        """Time the first `TIMED` of some images; of two goes the faster counts.

        Args:
            split: of the network.
            task: of its outputs.
            images: to fit on.
        """
        some = images.first(TIMED)
        begun = time.perf_counter()
        batch = some.batch(range(len(some)))
        read = time.perf_counter() - begun
        clean, rules = CleanBatches(split, task, some, TIMED), [(StepRule("uniform-image"), 0.5)]
        (quantiser,) = quantising.fit(clean, rules)
        (one,), drop = clean, next(iter(task.drops))
        with torch.no_grad():
            taken = [
                read,
                _fastest(split, lambda: split.encode(batch.images)),
                _fastest(split, lambda: split.head(one.features)),
                _fastest(split, lambda: information(split, task, one.features, one.names, 1)),
                _fastest(split, lambda: quantiser.quantise(one.features, one.names)),
                _fastest(split, lambda: quantising.fit(clean, rules)),
                _fastest(split, lambda: task.drop(one.outputs, one.outputs, drop)),
            ]
        return cls(*(seconds / len(some) for seconds in taken))

    @property
    def clean(self) -> float:
        """An image read and encoded, with its undisturbed output."""
        return self.read + self.encode + self.head

    @property
    def judged(self) -> float:
        """The output of disturbed features, with what it lost."""
        return self.head + self.judge

    @property
    def quantised(self) -> float:
        """An image quantised, with the output that is left and what it lost."""
        return self.quantise + self.judged


def _fastest(split: SplitPoint, work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(2):
        begun = time.perf_counter()
        work()
        if split.device.type == "cuda":
            torch.cuda.synchronize(split.device)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def fitting(maps: Maps, images: int, pace: Pace) -> float:
    """Return the seconds that maps take to fit, one after another in one scope, once images are encoded.

    Args:
        maps: label -> (tolerance, settings).
        images: to fit on.
        pace: of one.
    """
    total, surveyed = 0.0, set[int]()
    for name, given in maps.values():
        made = tolerance.make(name, given)
        if isinstance(made.settings, TrainingSettings):
            total += made.settings.steps * min(made.settings.batch, images) * pace.back
        looks = isinstance(made.settings, FisherSettings) and not isinstance(made, OwnFisherTolerance)
        if looks and made.settings.draws not in surveyed:
            surveyed.add(made.settings.draws)
            total += images * _information(made.settings.draws, pace)
    return total


def _information(draws: int, pace: Pace) -> float:
    return pace.head + draws * (pace.back - pace.head)


@dataclass(frozen=True, slots=True)
class Course:
    """Seconds of the stages of a run, of one seed and once images are encoded where nothing else is said.

    Attributes:
        plan: with its maps and seeds.
        pace: of one image.
    """

    plan: FeaturePlan
    pace: Pace

    def fitting(self, maps: Maps) -> float:
        """Return those that some of the maps take to fit."""
        return fitting(maps, self.plan.sizes.fit, self.pace)

    def calibrating(self, label: str) -> float:
        """Return those that one map takes to calibrate."""
        images = self.plan.sizes.calibrate + self.plan.sizes.test
        looked = LOOKS * self._pilots + len(calibration.GRID) * images
        return looked * self.pace.judged + (self._pilots + 3 * images) * self._mapping(label)

    def evaluating(self, label: str, strengths: int) -> float:
        """Return those that one map takes at some strengths."""
        return self.plan.sizes.test * (strengths * self.pace.judged + self._mapping(label))

    def quantising(self, quantisers: int) -> float:
        """Return those that quantisers take."""
        return quantisers * (self.plan.sizes.fit * self.pace.tally + self.plan.sizes.test * self.pace.quantised)

    def walking(self) -> float:
        """Return those that one kind of steps takes to keep a promise; test images are coded, too."""
        sizes = self.plan.sizes
        tables = (len(coarsest.COARSE) + len(coarsest.FINE)) * sizes.fit * self.pace.tally
        looked = LADDER * self._pilots + TAKEN * sizes.calibrate + 3 * sizes.test
        return tables + looked * self.pace.quantised

    def piloting(self) -> float:
        """Return those that one kind of steps takes to be compared by bytes on fitting images."""
        tables = (len(coarsest.COARSE) + 1) * self.plan.sizes.fit * self.pace.tally
        return tables + (LADDER + 3) * self._pilots * self.pace.quantised

    def attributing(self, images: int) -> float:
        """Return those that all maps take to be held against what the head looks at, on some test images."""
        looked = INTEGRATED * self.pace.back + sum(map(self._mapping, self.plan.maps))
        return min(images, self.plan.sizes.test) * looked

    def whole(self, budgets: int) -> float:
        """Return those of all seeds and stages with their defaults: fit, evaluate, quantise, and a promise.

        Args:
            budgets: that `quantise` tries.
        """
        plan, sizes = self.plan, self.plan.sizes
        seconds = self.fitting(plan.maps)
        seconds += sum(map(self.calibrating, chosen(plan, (), COMPARED)))
        seconds += sum(self.evaluating(label, STRENGTHS) for label in plan.maps)
        seconds += self.quantising((3 + 3 * len(chosen(plan, (), UNQUANTISED))) * budgets) + 3 * self.walking()
        encoded = 3 * sizes.fit + 2 * sizes.calibrate + 4 * sizes.test  # by each of the four commands anew
        return plan.seeds * (seconds + encoded * self.pace.clean)

    @property
    def _pilots(self) -> int:
        return min(calibration.PILOT, self.plan.sizes.fit)

    def _mapping(self, label: str) -> float:
        """Return those that a map takes to make for one image: of the head, where it asks the head."""
        made = tolerance.make(*self.plan.maps[label])
        return _information(made.settings.draws, self.pace) if isinstance(made, OwnFisherTolerance) else 0.0


def settled(
    plan: FeaturePlan, left: Set[str], features: Features, operations: int, seconds: float = 0, pace: Pace | None = None
) -> FeaturePlan:
    """Return a plan with what its user left open filled in: by the size of the network, or so that a time is kept.

    Where no time is given it depends on the network alone, and is the same on every machine.

    Args:
        plan: as given; maps are open where it has none.
        left: what else is open: "seeds", and of `PARTS` those whose images may be fewer.
        features: of the split, to know which maps suit it.
        operations: floating-point operations of the whole network for an image.
        seconds: that all stages together may take; 0 for any time.
        pace: of an image, where a time is given.

    Raises:
        InputError: not even the least is done in that time.
    """
    large = operations >= LARGE
    if not seconds or pace is None:
        return _option(plan, left, features, 1 if large else SEEDS, LEAN if large else MAPS, 1.0)
    budgets = len(budgets_for(operations))
    for seeds, labels, share in OPTIONS:
        made = _option(plan, left, features, seeds, labels, share)
        needed = Course(made, pace).whole(budgets)
        if needed <= seconds:
            return made
    raise InputError(
        f"{spoken(seconds)} are too few: the least that is worth running ({told(made)}) takes about {spoken(needed)} "
        "here. Give it that time, or ask for less: --map, --images-fit, --images-calibrate, --images-test."
    )


def _option(
    plan: FeaturePlan, left: Set[str], features: Features, seeds: int, labels: Iterable[str], share: float
) -> FeaturePlan:
    sizes = {
        part: max(min(FEWEST, count), round(share * count)) if part in left else count
        for part, count in asdict(plan.sizes).items()
    }
    maps = suited(plan.maps, features, labels)
    return replace(plan, maps=maps, sizes=SubsetSizes(**sizes), seeds=seeds if "seeds" in left else plan.seeds)


def budgets_for(operations: int) -> tuple[float, ...]:
    """Return the noise budgets that are tried where none are given, by the network's operations for an image."""
    return BUDGETS if operations >= LARGE else quantising.BUDGETS


def told(plan: FeaturePlan) -> str:
    """Say in a few words how much a plan measures."""
    sizes, several = plan.sizes, "seed" if plan.seeds == 1 else "seeds"
    maps = "map" if len(plan.maps) == 1 else "maps"
    return (
        f"{plan.seeds} {several}, {len(plan.maps)} {maps}, {sizes.fit} images to fit, {sizes.calibrate} to calibrate, "
        f"{sizes.test} to test"
    )


def spoken(seconds: float) -> str:
    """Return a time with the two digits that an estimate has: 45 s, 3.5 min, 12 min, 2.1 h."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"
