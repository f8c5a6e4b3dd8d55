"""What a run measures, stage by stage: each function fills in what the run does not hold yet, and returns its rows.

Rows are numbers by name, of one seed each; means and intervals over seeds are the report's.
"""

import functools
import math
import operator
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import torch

from limen.curve import bootstrap_mean
from limen.errors import InputError, StoreError, UnknownNameError
from limen.feature import calibration as conformal
from limen.feature import spread
from limen.feature.attribution import shares
from limen.feature.clean_batches import CleanBatches
from limen.feature.course import Course
from limen.feature.heatmaps import pictures
from limen.feature.perturbation import Energy, energy, noise, nrmse, scaled
from limen.feature.pieces import Division, ExpectCallback, StoredRow, Work
from limen.feature.pieces import fill as filled
from limen.feature.plan import COMPARED, UNQUANTISED, chosen, current
from limen.feature.quantisation import coarsest as keeping
from limen.feature.quantisation import fit as quantising
from limen.feature.quantisation.codec import Quantiser
from limen.feature.quantisation.entropy_coder import usual
from limen.feature.quantisation.promise import DELTA, Promise
from limen.feature.quantisation.step_sizes import StepKind, StepRule
from limen.feature.run import FeatureRun
from limen.feature.spread import RunCrew
from limen.feature.task import Task
from limen.feature.tolerance import ProgressCallback, Tolerance, quiet
from limen.image import digest as image_digest
from limen.image import png
from limen.loop import finish
from limen.store.rows import measured

STRENGTHS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5)
RESPLITS = 50
BUDGETS = quantising.BUDGETS
STRIDE, FURTHEST = 1.5, (0.01, 35.0)  # how budgets go on beyond those asked for, and how far
PROMISED = "static:fisher"  # steps that a promise is looked for with where no others are asked for
AGAINST = ("uniform", "uniform-image")  # steps that it is always looked for with too, to compare bytes
PILOT = 200  # fitting images that say where the candidates of a promise lie
AUTO = "auto"  # in place of steps: those that take the fewest bytes at the promise on fitting images
PICTURED = ("fisher", "own-fisher", "learned", "learned-information")  # drawn first, then others
PLAIN = ("flat", "gaussian", "shares", "shuffled")  # maps of which there is nothing to see
SHOWN = 4  # images that maps are drawn over, and maps that are drawn

PROMISE = ("drop", "eps", "rho", "delta", "n_calibrate")  # columns that a `Promise` is made of


def _refuse(what: str, numbers: Sequence[float]) -> None:
    """Refuse what is no NRMSE above 0, and two that rows could not tell apart."""
    bad = [number for number in numbers if not 0 < number < math.inf]
    if bad or not numbers:
        raise InputError(f"A {what} is an NRMSE above 0, not {bad[0] if bad else 'none'}. Give numbers such as 0.5.")
    if len({f"{number:g}" for number in numbers}) < len(set(numbers)):
        raise InputError(f"Two of the {what}s {list(numbers)} are the same to six digits. Leave one out.")


# --- maps ---


def fit(
    run: FeatureRun,
    progress: ProgressCallback = quiet,
    expect: ExpectCallback | None = None,
    crew: RunCrew | None = None,
) -> None:
    """Fit the maps of all seeds that have no file yet.

    Args:
        run: to fill.
        progress: called with steps done, steps in all, and a note.
        expect: called with the seconds that is expected to take, where anything is missing; not with a crew.
        crew: replicas that do it (`limen.feature.spread`); None to do it here.
    """
    if crew is not None:
        spread.fit(run, crew, progress)
        return
    there = measured(run.store, "fit")
    lacking = {
        seed: {label: what for label, what in run.plan.maps.items() if f"{label} {seed}" not in there}
        for seed in range(run.plan.seeds)
    }
    if expect and any(lacking.values()):
        seconds = [run.course.fitting(maps) for maps in lacking.values() if maps]
        expect(sum(seconds) + len(seconds) * run.plan.sizes.fit * run.pace.clean)
    for seed in range(run.plan.seeds):
        run.fitted(seed, progress, fit=True)


# --- the guarantee ---


def calibrate(
    run: FeatureRun,
    progress: ProgressCallback = quiet,
    maps: Sequence[str] = (),
    expect: ExpectCallback | None = None,
    crew: RunCrew | None = None,
) -> list[StoredRow]:
    """Scale maps so that Pr[drop <= eps] >= 1 - rho, and look on the test images whether that holds.

    Args:
        run: with its maps fitted.
        progress: called with steps done, steps in all, and a note.
        maps: labels of those to scale; if not given, all but those that are there to be `COMPARED`.
        expect: called with the seconds that is expected to take, where anything is missing; not with a crew.
        crew: replicas that do it (`limen.feature.spread`); None to do it here.

    Returns:
        Rows of map, seed, scale, rank, n_calibrate, censored, kept of n test images, band_low and band_high (where
        the coverage of one seed lies with 95 %), resplits_mean and resplits_inside (of `RESPLITS` divisions of the
        same images), nrmse (median over test images at the scale), log2_magnitude, grid.
    """
    plan = run.plan
    labels = chosen(plan, maps, COMPARED)
    conformal.rank(plan.sizes.calibrate, plan.rho)
    works = [
        Work(
            (f"{label} {seed}",), seed, f"{label}, seed {seed}",
            functools.partial(_calibrated, seed=seed, label=label), operator.methodcaller("calibrating", label), label,
        )
        for seed in range(plan.seeds) for label in labels
    ]  # fmt: skip
    return filled(run, "calibrate", works, plan.sizes.calibrate + plan.sizes.test, progress, expect, crew)


def _calibrated(run: FeatureRun, seed: int, label: str) -> dict[str, StoredRow]:
    plan, clean, one = run.plan, run.clean(seed), run.map(seed, label)
    search = conformal.ScaleSearch(run.split, run.task, one, conformal.Bound(plan.drop, plan.eps), seed)
    grid = search.locate(clean.fit.first(conformal.PILOT), plan.rho)
    calibration, fresh = search.tolerated(clean.calibrate, grid), search.tolerated(clean.test, grid)
    found = conformal.calibrate(calibration, plan.rho, search, grid)
    n, m = len(calibration), len(fresh)
    low, high = conformal.band(n, m, plan.rho)
    mixed = conformal.resplit(np.concatenate([calibration, fresh]), n, plan.rho, RESPLITS, seed)
    row = {
        "map": label,
        "seed": seed,
        "scale": found.scale,
        "rank": found.rank,
        "n_calibrate": n,
        "censored": found.censored,
        "untolerated": found.untolerated,
        "kept": int((fresh >= found.scale).sum()),
        "n": m,
        "band_low": low,
        "band_high": high,
        "resplits": RESPLITS,
        "resplits_mean": mixed.mean,
        "resplits_inside": mixed.inside,
        "nrmse": _strength(one, clean.test, found.scale),
        "log2_magnitude": _finite(conformal.mean_log2(one, clean.test, found.scale)),
        "grid": asdict(found.grid),
    }
    return {f"{label} {seed}": row}


@torch.no_grad()
def _strength(one: Tolerance, clean: CleanBatches, scale: float) -> float:
    """Return the median NRMSE of the images at a scale."""
    found: list[float] = []
    for batch in clean:
        found += (scale * nrmse(batch.features, one.map(batch.features, batch.names))).tolist()
    return statistics.median(found)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- equal strength ---


def evaluate(
    run: FeatureRun,
    strengths: Sequence[float] = STRENGTHS,
    progress: ProgressCallback = quiet,
    expect: ExpectCallback | None = None,
    crew: RunCrew | None = None,
) -> list[StoredRow]:
    """Measure how the task suffers under each map at equal strength: the paper's first claim (arXiv:2601.21933).

    The test images' features are disturbed by the map's magnitudes times random signs (Gaussian numbers for
    `gaussian`), scaled so that each image has that NRMSE. Beside score P_t and discrepancy D_t stands how much of the
    energy the strongest 1 % and 10 % of elements hold: matched NRMSE rewards a map that pours everything into elements
    that do not count.

    Args:
        run: with its maps fitted.
        strengths: NRMSE, each > 0.
        progress: called with steps done, steps in all, and a note.
        expect: called with the seconds that is expected to take, where anything is missing; not with a crew.
        crew: replicas that do it (`limen.feature.spread`); None to do it here.

    Returns:
        Rows of map, nrmse, score, score_low, score_high, discrepancy, discrepancy_se, energy_top1, energy_top10,
        energy_tensors, seed, n; map "clean" has the undisturbed score. Intervals and standard errors are over images.
    """
    plan = run.plan
    _refuse("strength", strengths)
    works = []
    for seed in range(plan.seeds):
        works.append(
            Work(
                (f"clean {seed}",), seed, f"undisturbed, seed {seed}",
                functools.partial(_undisturbed, seed=seed), lambda course: 0.0, "",
                Division(functools.partial(_answered, seed=seed), functools.partial(_agreed, seed=seed)),
            )
        )  # fmt: skip
        works += [
            Work(
                tuple(f"{label} {strength:g} {seed}" for strength in strengths), seed, f"{label}, seed {seed}",
                functools.partial(_measured, seed=seed, label=label, strengths=strengths),
                operator.methodcaller("evaluating", label, len(strengths)), label,
                Division(
                    functools.partial(_moved, seed=seed, label=label, strengths=strengths),
                    functools.partial(_joined, seed=seed, label=label),
                ),
            )
            for label in plan.maps
        ]  # fmt: skip
    return filled(run, "evaluate", works, plan.sizes.test, progress, expect, crew)


def _undisturbed(run: FeatureRun, seed: int) -> dict[str, StoredRow]:
    return _agreed(run, [_answered(run, slice(None), seed)], seed)


Answered: TypeAlias = tuple[list[Any], list[Any]]
"""Answers of some images, and their targets."""


def _answered(run: FeatureRun, batches: slice, seed: int) -> Answered:
    answers, targets = list[Any](), list[Any]()
    for batch in run.clean(seed).test.some(batches):
        answers += run.task.answers(batch.outputs)
        targets += batch.targets
    return answers, targets


def _agreed(run: FeatureRun, parts: Sequence[Answered], seed: int) -> dict[str, StoredRow]:
    answers, targets = ([one for part in parts for one in part[place]] for place in (0, 1))
    found = scored(run.task, answers, targets)
    if not run.plan.labelled or run.task.needs == "nothing":
        found |= {"score_low": None, "score_high": None}  # it agrees with itself: nothing is uncertain
    return {f"clean {seed}": {"map": "clean", "nrmse": 0.0, "seed": seed} | found}


def _measured(run: FeatureRun, seed: int, label: str, strengths: Sequence[float]) -> dict[str, StoredRow]:
    return _joined(run, [_moved(run, slice(None), seed, label, strengths)], seed, label)


@dataclass(frozen=True, slots=True)
class _Moved:
    """What some batches of images add to the rows of a map: their targets, and by strength answers and discrepancies.

    Attributes:
        energies: for each batch, its images and how their noise's energy is spread.
    """

    targets: list[Any]
    answers: dict[float, list[Any]]
    moved: dict[float, list[float]]
    energies: list[tuple[int, Energy]]


@torch.no_grad()
def _moved(run: FeatureRun, batches: slice, seed: int, label: str, strengths: Sequence[float]) -> _Moved:
    task, one = run.task, run.map(seed, label)
    found = _Moved([], {strength: [] for strength in strengths}, {strength: [] for strength in strengths}, [])
    for batch in run.clean(seed).test.some(batches):
        features = batch.features
        found.targets.extend(batch.targets)
        delta = noise(one.map(features, batch.names), batch.names, seed, one.noise)
        found.energies.append((len(features), energy(delta)))
        for strength in strengths:
            perturbed = run.split.head(features.plus(scaled(features, delta, strength)))
            found.answers[strength].extend(task.answers(perturbed))
            found.moved[strength].extend(task.discrepancy(batch.outputs, perturbed).tolist())
    return found


def _joined(run: FeatureRun, parts: Sequence[_Moved], seed: int, label: str) -> dict[str, StoredRow]:
    """Return the rows of a map from what its images add, in their order."""
    targets = [target for part in parts for target in part.targets]
    held = [entry for part in parts for entry in part.energies]
    n, rows = len(targets), {}
    energies = {
        "energy_top1": sum(count * one.top1 for count, one in held) / n,
        "energy_top10": sum(count * one.top10 for count, one in held) / n,
        "energy_tensors": [
            sum(count * one.tensors[place] for count, one in held) / n for place in range(len(held[0][1].tensors))
        ],
    }
    for strength in parts[0].answers:
        answers = [answer for part in parts for answer in part.answers[strength]]
        moved = [value for part in parts for value in part.moved[strength]]
        discrepancies = {
            "discrepancy": statistics.fmean(moved),
            "discrepancy_se": statistics.stdev(moved) / n**0.5 if n > 1 else None,
        }
        row = {"map": label, "nrmse": strength, "seed": seed} | scored(run.task, answers, targets)
        rows[f"{label} {strength:g} {seed}"] = row | discrepancies | energies
    return rows


def scored(task: Task, answers: Sequence[Any], targets: Sequence[Any]) -> StoredRow:
    """Return n, score, score_low and score_high, and what else the task says.

    Args:
        task: that they are of.
        answers: one an image.
        targets: of the same images.
    """
    interval = task.interval(answers, targets)
    return {
        "n": len(targets),
        "score_low": interval.low if interval else None,
        "score_high": interval.high if interval else None,
    } | dict(task.scores(answers, targets))


# --- quantisation ---


def quantise(
    run: FeatureRun,
    budgets: Sequence[float] = BUDGETS,
    progress: ProgressCallback = quiet,
    maps: Sequence[str] = (),
    further: bool = False,
    expect: ExpectCallback | None = None,
) -> list[StoredRow]:
    """Quantise the test images' features token by token, with steps of each kind at each noise budget.

    Steps in proportion to a map, beside the same steps permuted, uniform, per-token absmax, and static per-position
    ones. What each kind costs at equal discrepancy is kept as stage "equal-rate" (see `equal_rates`).

    Args:
        run: with its maps fitted.
        budgets: nominal NRMSE, mean over the fitting images, each > 0.
        progress: called with steps done, steps in all, and a note.
        maps: labels of those that steps are made of; if not given, all but `UNQUANTISED` ones.
        further: also try budgets beyond these, for the kinds of steps that do not reach the discrepancy at which kinds
            are compared (the task's `compared_at`): the largest times 1.5 (or the smallest by 1.5) and so on, until it
            lies between two budgets, from `FURTHEST[0]` to `FURTHEST[1]`.
        expect: called with the seconds that is expected to take, where anything is missing; without what is further.

    Returns:
        Rows of steps, budget, actual_noise, bits, side_bits, score, discrepancy, seed, n, escapes: of these budgets;
        with `further`, of every budget tried.
    """
    plan = run.plan
    _refuse("noise budget", budgets)
    labels = chosen(plan, maps, UNQUANTISED)
    wanted = [(steps, budget) for steps in _rules(labels, 0, {}) for budget in budgets]
    keys = [f"{steps} {budget:g}" for steps, budget in wanted]
    works = [
        Work(
            tuple(f"{key} {seed}" for key in keys), seed, f"seed {seed}",
            functools.partial(_quantised, seed=seed, wanted=wanted, labels=labels, progress=progress),
            operator.methodcaller("quantising", len(wanted)),
        )
        for seed in range(plan.seeds)
    ]  # fmt: skip
    rows = filled(run, "quantise", works, plan.sizes.fit + plan.sizes.test, progress, expect)
    if further:
        for seed in range(plan.seeds):
            _further(run, seed, labels, progress)
    if further:
        kinds = {steps for steps, _ in wanted}
        rows = [row for row in measured(run.store, "quantise").values() if row["steps"] in kinds]
    run.store.add_measurements("equal-rate", _equal(run))  # budgets of earlier calls count, too
    return rows


def _further(run: FeatureRun, seed: int, labels: Sequence[str], progress: ProgressCallback) -> None:
    """Try larger or smaller budgets until each kind of steps lies on both sides of the discrepancy to compare at."""
    while wanted := _beyond(run, seed, set(_rules(labels, 0, {}))):
        run.store.add_measurements("quantise", _quantised(run, seed, wanted, labels, progress))


def _beyond(run: FeatureRun, seed: int, kinds: Set[str]) -> list[tuple[str, float]]:
    """Return the kinds of steps that do not reach the discrepancy to compare at, each with the budget to try next."""
    rows = [_stored(row) for row in measured(run.store, "quantise").values() if row["seed"] == seed]
    wanted = []
    for equal in quantising.at_equal(rows, run.task.compared_at):
        tried = [row.budget for row in rows if row.steps == equal.steps]
        budget = max(tried) * STRIDE if equal.censored == "fewer" else min(tried) / STRIDE
        budget = float(f"{budget:.2g}")
        if equal.steps in kinds and equal.censored and FURTHEST[0] <= budget <= FURTHEST[1]:
            wanted.append((equal.steps, budget))
    return wanted


def equal_rates(run: FeatureRun) -> list[StoredRow]:
    """Return what each kind of steps costs at one discrepancy, the task's `compared_at`.

    Rows of steps, discrepancy, bits (side_bits counted), side_bits, ratio (to uniform steps), ratio_image (to one step
    an image), same_bits_discrepancy, same_bits_score, censored, limit, why, and intervals over test images (see
    `limen.feature.quantisation.fit.EqualRateRow`), seed, n.
    """
    return list(measured(run.store, "equal-rate").values())


def quantiser(run: FeatureRun, steps: str, budget: float, seed: int) -> Quantiser:
    """Return one quantiser, fitted on a seed's fitting images.

    Args:
        run: with its maps fitted.
        steps: KIND or KIND:MAP, as in the rows of `quantise`; MAP is any of the run's.
        budget: nominal NRMSE, > 0.
        seed: whose map and images, 0 .. `plan.seeds` - 1.

    Raises:
        UnknownNameError: no such steps in this run.
    """
    (made,) = quantisers(run, steps, [budget], seed)
    return made


def quantisers(run: FeatureRun, steps: str, budgets: Sequence[float], seed: int) -> list[Quantiser]:
    """Return quantisers of one kind of steps, one a budget; errors are those of `quantiser`.

    Args:
        run: with its maps fitted.
        steps: KIND or KIND:MAP, as in the rows of `quantise`.
        budgets: nominal NRMSE, each > 0.
        seed: whose map and images.
    """
    rules = _rules(run.plan.maps, seed, run.maps(seed))
    if steps not in rules:
        raise UnknownNameError("steps", steps, rules)
    wanted = [(rules[steps], budget) for budget in budgets]
    return quantising.fit(run.clean(seed).fit, wanted, network=run.network.digest)


def _rules(labels: Iterable[str], seed: int, maps: Mapping[str, Tolerance]) -> dict[str, StepRule]:
    """Return the steps to compare, by name."""
    rules = [StepRule("uniform"), StepRule("uniform-image"), StepRule("absmax")]
    kinds: tuple[StepKind, ...] = ("tolerance", "permuted", "static")
    rules += [StepRule(kind, label, maps.get(label), seed) for label in labels for kind in kinds]
    return {rule.name: rule for rule in rules}


def _quantised(
    run: FeatureRun,
    seed: int,
    wanted: Sequence[tuple[str, float]],
    labels: Sequence[str],
    progress: ProgressCallback,
) -> dict[str, StoredRow]:
    clean, rules = run.clean(seed), _rules(labels, seed, run.maps(seed))
    ruled = [(rules[steps], budget) for steps, budget in wanted]
    quantisers = quantising.fit(clean.fit, ruled, network=run.network.digest, progress=progress)
    found = quantising.compare(clean.test, quantisers, seed, progress)
    keys = [f"{row.steps} {row.budget:g} {seed}" for row, _ in found]
    again = {key: asdict(resampled) for key, (_, resampled) in zip(keys, found, strict=True)}
    run.store.add_measurements("resample", again)  # first: no row without its intervals
    return {key: asdict(row) for key, (row, _) in zip(keys, found, strict=True)}


def _equal(run: FeatureRun) -> dict[str, StoredRow]:
    """Return what each kind of steps costs at one discrepancy, of all that the run holds."""
    rows, at = measured(run.store, "quantise").values(), run.task.compared_at
    again = [_resampled(row) for row in measured(run.store, "resample").values()]
    made: dict[str, StoredRow] = {}
    for seed in sorted({row["seed"] for row in rows}):
        mine = [_stored(row) for row in rows if row["seed"] == seed]
        resampled = [row for row in again if row.seed == seed]
        image = {equal.steps: equal for equal in quantising.at_equal(mine, at, "uniform-image", resampled)}
        for equal in quantising.at_equal(mine, at, resampled=resampled):
            levelled = image[equal.steps]
            made[f"{equal.steps} {seed}"] = asdict(equal) | {
                "ratio_image": levelled.ratio, "ratio_image_low": levelled.ratio_low,
                "ratio_image_high": levelled.ratio_high, "seed": seed, "n": mine[0].n,
            }  # fmt: skip
    return made


def _stored(row: StoredRow) -> quantising.QuantisationRow:
    """Return a row as it was before it was stored: JSON has no number for what is none."""
    names = [field.name for field in fields(quantising.QuantisationRow) if field.name in row]
    known: StoredRow = {name: math.nan if row[name] is None else row[name] for name in names}
    return quantising.QuantisationRow(**known)


def _resampled(row: StoredRow) -> quantising.ResampledRow:
    bits, moved = (tuple(math.nan if one is None else one for one in row[name]) for name in ("bits", "discrepancy"))
    return quantising.ResampledRow(row["steps"], row["budget"], row["seed"], row["n"], bits, moved)


# --- a promise of a quantiser ---


def promised(run: FeatureRun, eps: float, rho: float | None = None, drop: str = "") -> Promise:
    """Return what a quantiser of this run can be asked to keep, with its calibration images and confidence 1 - `DELTA`.

    Args:
        run: whose calibration images test it.
        eps: the largest drop, 0 or more.
        rho: the largest probability of more, 0 < rho < 1; the plan's if not given.
        drop: how the loss is measured; the plan's if not given.

    Raises:
        InputError: no such drop, no probability, or too few calibration images for it.
    """
    made = Promise(drop or run.plan.drop, eps, run.plan.rho if rho is None else rho, DELTA, run.plan.sizes.calibrate)
    conformal.Bound(made.drop, eps).check(run.task)
    made.check()
    return made


def promise(
    run: FeatureRun,
    promise: Promise,
    steps: Sequence[str] = (),
    seeds: Sequence[int] = (),
    progress: ProgressCallback = quiet,
    expect: ExpectCallback | None = None,
) -> list[StoredRow]:
    """Find the coarsest quantiser that keeps a promise, for these steps and for those of `AGAINST`, and its bytes.

    Each kind of steps has a walk of its own over the calibration images (see `limen.feature.quantisation.promise`): the
    promise holds for each by itself. Bytes and all that follow are of the test images, which no walk sees.

    Args:
        run: with its maps fitted.
        promise: from `promised`.
        steps: KIND or KIND:MAP, as in the rows of `quantise`; if not given, `PROMISED`, or static steps of the first
            map that the run would quantise with.
        seeds: of the run; all if not given.
        progress: called with walks done, walks in all, and a note.
        expect: called with the seconds that is expected to take, where anything is missing.

    Returns:
        Rows of steps, drop, eps, rho, delta, n_calibrate, allowed, budget (of the quantiser that was taken, None where
        not even the finest keeps it), failures (of the calibration images with it), candidates (tested), finest and
        reach (the budget of the finest and the smallest eps it would have kept), bytes (an image, coded alone, header
        counted), ratio and ratio_image (to uniform steps and to one step an image at the same promise), kept (test
        images whose drop is at most eps), score, coder, key (of the quantiser), seed, n; 95 % intervals over test
        images as NAME_low and NAME_high.

    Raises:
        UnknownNameError: no such steps in this run.
    """
    rules = _rules(run.plan.maps, 0, {})
    asked = list(steps) or [PROMISED if PROMISED in rules else f"static:{chosen(run.plan, (), UNQUANTISED)[0]}"]
    for name in asked:
        if name not in rules:
            raise UnknownNameError("steps", name, rules)
    kinds, wanted = dict.fromkeys((*AGAINST, *asked)), list(seeds) or range(run.plan.seeds)
    keys = {(name, seed): _key(name, promise, seed) for seed in wanted for name in kinds}
    works = _at_promise(run, keys, promise, _walked, Course.walking)
    sizes = run.plan.sizes
    filled(run, "walk", works, sizes.fit + sizes.calibrate + sizes.test, progress, expect)
    found = _compared_bytes(measured(run.store, "walk").values())
    run.store.add_measurements("promise", found)
    return [found[key] for key in keys.values()]


def choose(
    run: FeatureRun,
    promise: Promise,
    seeds: Sequence[int] = (),
    progress: ProgressCallback = quiet,
    expect: ExpectCallback | None = None,
) -> dict[str, float]:
    """Return the coded bytes of a fitting image at a promise for each kind of steps, the fewest first.

    Each kind is quantised as coarsely as lets as many fitting images fail as calibration images may. No calibration
    image is seen, so what is chosen here can be promised as if it had been named beforehand. Discrepancy at equal noise
    would choose otherwise, and badly: it prefers maps that pour their noise into a few elements, whose steps cost bits.

    Args:
        run: with its maps fitted.
        promise: from `promised`.
        seeds: of the run; all if not given.
        progress: called with kinds done, kinds in all, and a note.
        expect: called with the seconds that is expected to take, where anything is missing.

    Returns:
        Mean bytes over images, each coded alone, and seeds, by KIND or KIND:MAP. Each seed's are rows of the run.
    """
    labels, wanted = chosen(run.plan, (), UNQUANTISED), list(seeds) or range(run.plan.seeds)
    kinds = [name for name, rule in _rules(labels, 0, {}).items() if rule.kind != "permuted"]
    keys = {(name, seed): _key(name, promise, seed) for seed in wanted for name in kinds}
    works = _at_promise(run, keys, promise, _piloted, Course.piloting)
    rows = filled(run, "choice", works, run.plan.sizes.fit, progress, expect)
    means = {name: statistics.fmean(row["bytes"] for row in rows if row["steps"] == name) for name in kinds}
    return dict(sorted(means.items(), key=lambda item: (item[1], item[0])))


def _at_promise(
    run: FeatureRun,
    keys: Mapping[tuple[str, int], str],
    promise: Promise,
    measure: Callable[[FeatureRun, int, str, Promise], dict[str, StoredRow]],
    seconds: Callable[[Course], float],
) -> list[Work]:
    """Return a piece of work for each kind of steps and seed, measured and timed by the same two functions."""
    return [
        Work((key,), seed, f"{name}, seed {seed}", functools.partial(_with, measure, seed, name, promise), seconds)
        for (name, seed), key in keys.items()
    ]


def _with(
    measure: Callable[[FeatureRun, int, str, Promise], dict[str, StoredRow]],
    seed: int,
    steps: str,
    promise: Promise,
    run: FeatureRun,
) -> dict[str, StoredRow]:
    return measure(run, seed, steps, promise)


def _piloted(run: FeatureRun, seed: int, steps: str, promise: Promise) -> dict[str, StoredRow]:
    rule, clean = _rules(run.plan.maps, seed, run.maps(seed))[steps], run.clean(seed).fit
    fitting = clean.first(PILOT)

    def fit(budgets: Sequence[float]) -> list[Quantiser]:
        return quantising.fit(clean, [(rule, budget) for budget in budgets])

    budget = keeping.candidates(run.split, run.task, fit, fitting, promise)[keeping.FINE.index(0.0)]
    sizes = keeping.coded(run.split, run.task, fit([budget])[0], fitting, promise, usual()).bytes
    row = {name: getattr(promise, name) for name in ("drop", "eps", "rho", "delta")}
    row |= {"steps": steps, "seed": seed, "budget": budget, "bytes": statistics.fmean(sizes), "n": len(sizes)}
    return {_key(steps, promise, seed): row}


def keeping_quantiser(run: FeatureRun, promise: Promise, steps: str, seed: int) -> Quantiser:
    """Return the quantiser that `promise` took, with what was promised of it.

    Args:
        run: where `promise` was looked for with these steps and this seed.
        promise: the same.
        steps: KIND or KIND:MAP.
        seed: of the run.

    Raises:
        InputError: not even the finest candidate keeps it.
        StoreError: fitted again it is another quantiser, so that nothing was promised of it.
    """
    row = measured(run.store, "walk")[_key(steps, promise, seed)]
    if row["budget"] is None:
        raise InputError(row["why"])
    made = replace(quantiser(run, steps, row["budget"], seed), promise=promise)
    if made.key.hex() != row["key"]:
        raise StoreError(
            f"{run.store.path}: the quantiser with {steps} steps that was tested is another than the one that is "
            "fitted here now, so nothing is promised of this one. Export it where it was tested, or make a new run."
        )
    return made


def _key(steps: str, promise: Promise, seed: int) -> str:
    return f"{steps} {promise.drop} {promise.eps:g} {promise.rho:g} {promise.delta:g} {seed}"


def _walked(run: FeatureRun, seed: int, steps: str, promise: Promise) -> dict[str, StoredRow]:
    rule, clean, coder = _rules(run.plan.maps, seed, run.maps(seed))[steps], run.clean(seed), usual()

    def fit(budgets: Sequence[float]) -> list[Quantiser]:
        return quantising.fit(clean.fit, [(rule, budget) for budget in budgets], network=run.network.digest)

    fitting = clean.fit.first(PILOT)
    found, quantiser = keeping.coarsest(run.split, run.task, fit, fitting, clean.calibrate, promise)
    row = {
        "steps": steps, "drop": promise.drop, "eps": promise.eps, "rho": promise.rho, "delta": promise.delta,
        "seed": seed, "n_calibrate": promise.n, "allowed": promise.allowed, "candidates": len(found.tried),
        "finest": found.tried[0].budget, "reach": _finite(found.reach), "coder": coder, "n": run.plan.sizes.test,
        "tried": [[one.budget, one.failures, one.images] for one in found.tried], "why": "",
    }  # fmt: skip
    if quantiser is None or found.taken is None:
        none: StoredRow = dict.fromkeys(("budget", "kept", "score"))
        none |= {"failures": found.tried[0].failures, "key": "", "sizes": []}
        return {_key(steps, promise, seed): row | none | {"why": keeping.unkept(steps, promise, found)}}
    coded = keeping.coded(run.split, run.task, quantiser, clean.test, promise, coder)
    taken = {
        "budget": quantiser.budget, "failures": found.tried[found.taken].failures, "key": quantiser.key.hex(),
        "sizes": list(coded.bytes), "kept": int((coded.drops <= promise.eps).sum()),
    }  # fmt: skip
    return {_key(steps, promise, seed): row | taken | scored(run.task, coded.answers, coded.targets)}


def _compared_bytes(walks: Iterable[StoredRow]) -> dict[str, StoredRow]:
    """Return what each walk took, with its bytes, and these relative to the bytes of the steps of `AGAINST`."""
    held = {_key(row["steps"], Promise(*(row[name] for name in PROMISE)), row["seed"]): row for row in walks}
    made = {}
    for key, row in held.items():
        found = {name: value for name, value in row.items() if name not in ("sizes", "tried")}
        over = bootstrap_mean(row["sizes"]) if row["sizes"] else None
        found["bytes"] = statistics.fmean(row["sizes"]) if row["sizes"] else None
        found |= {"bytes_low": over and over.low, "bytes_high": over and over.high}
        for column, steps in zip(("ratio", "ratio_image"), AGAINST, strict=True):
            other = held.get(steps + key.removeprefix(row["steps"]), {}).get("sizes")
            ratio, ends = keeping.relative(row["sizes"], other, row["seed"]) if other and row["sizes"] else (None, None)
            found |= {column: ratio, f"{column}_low": ends and ends[0], f"{column}_high": ends and ends[1]}
        made[key] = found
    return made


# --- attribution ---


def attribute(
    run: FeatureRun, images: int = 100, progress: ProgressCallback = quiet, expect: ExpectCallback | None = None
) -> list[StoredRow]:
    """Measure where maps put their energy: inside objects or outside, against what the head looks at.

    Args:
        run: with its maps fitted; its data must know where objects are.
        images: test images of each seed to look at, >= 1.
        progress: called with steps done, steps in all, and a note.
        expect: called with the seconds that is expected to take, where anything is missing.

    Returns:
        Rows of map, inside, area, density, prefix, correlation, n (images with objects), seed.

    Raises:
        InputError: the data have no masks.
        MissingExtraError: captum is not installed.
    """
    plan = run.plan
    works = [
        Work(
            tuple(f"{label} {images} {seed}" for label in plan.maps), seed, f"seed {seed}",
            functools.partial(_attributed, seed=seed, images=images), lambda course: course.attributing(images),
        )
        for seed in range(plan.seeds)
    ]  # fmt: skip
    rows = filled(run, "attribute", works, min(images, plan.sizes.test), progress, expect)
    _draw(run)
    return rows


def _attributed(run: FeatureRun, seed: int, images: int) -> dict[str, StoredRow]:
    test = run.parts(seed).test.first(images)
    found = shares(run.split, run.task, run.network, test, run.maps(seed))
    return {f"{row.map} {images} {seed}": asdict(row) | {"seed": seed} for row in found}


def _draw(run: FeatureRun) -> None:
    """Keep pictures of some maps over some test images, for the report."""
    fitted = run.maps(0)
    first = [label for wanted in PICTURED for label in fitted if current(label) == wanted]
    others = [label for label in fitted if label not in first and run.plan.maps[label][0] not in PLAIN]
    maps = {label: fitted[label] for label in [*first, *others][:SHOWN]}
    test = run.parts(0).test
    drawn = pictures(run.split, test, maps, range(min(SHOWN, len(test))))
    rows = {}
    for place, one in enumerate(drawn):
        digest = image_digest(one.picture)
        finish(run.store.keep(digest, png(one.picture)))
        rows[f"{place:03}"] = {
            "place": place, "label": one.label, "digest": digest, "low": one.low, "high": one.high,
        }  # fmt: skip
    run.store.add_measurements("picture", rows)
