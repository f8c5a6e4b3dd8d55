"""Tables of the feature wing, from rows of numbers alone: no network, no torch. Intervals are Student's, over seeds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from limen import registry
from limen.curve import Interval, Mean, Share
from limen.report.format import NONE, Table, counts, over_seeds
from limen.statistics.coverage import CoverageCheck, check
from limen.statistics.inference import mean

Rows = Sequence[Mapping[str, Any]]
BASELINE = "gaussian"
BYTES = "Bytes at a kept promise"
PROMISE = ("drop", "eps", "rho", "delta")  # columns that say which
NAMED = {"ratio_image": "uniform-image", "ratio": "uniform"}  # steps that a column of ratios is relative to
NOT_RUN, NO_NUMBER, NOT_KEPT = "not run", "no number", "not kept"


def splits(network: str, found: Sequence[Any], listed: bool, data: str) -> Table:
    """Return the splits of a network.

    Args:
        network: its name.
        found: `limen.feature.model.known_splits.Split`, in the order in which they run.
        listed: whether they are those of a known family, or were searched for.
        data: what they were searched with.
    """
    if listed:
        rows = tuple((one.path, one.kind, one.fcm or "", one.note) for one in found)
        return Table(f"Splits of {network}", ("split", "features", "feature coding for machines", "note"), rows)
    note = f"Found by replaying its blocks on images ({data}): each carries all that the outputs need."
    searched = tuple((one.path, one.kind, one.note) for one in found)
    return Table(f"Splits of {network}", ("split", "features", "note"), searched, notes=(note,))


def swept(network: str, costs: Sequence[Any], discrepancy: str, data: str, promise: str = "") -> Table:
    """Return what the splits of a network cost.

    Args:
        network: its name.
        costs: `limen.feature.sweep.SplitCost`, in the order in which they run.
        discrepancy: the name of the task's.
        data: what was measured on.
        promise: that the bytes keep; "" where none was asked for.
    """
    columns = ("split", "features", "elements", "MFLOP before", "of all", "ms before", f"{discrepancy} at NRMSE 1",
               *(("bytes at the promise",) if promise else ()))  # fmt: skip
    rows = tuple(
        (
            one.split, one.kind, f"{one.elements:,}", f"{one.flops / 1e6:,.1f}", f"{one.share:.0%}",
            f"{1000 * one.seconds:.1f}",
            f"{one.discrepancy:.3g}" if one.low is None else f"{one.discrepancy:.3g} [{one.low:.3g}, {one.high:.3g}]",
            *((_at_promise(one),) if promise else ()),
        )
        for one in costs
    )  # fmt: skip
    notes = [
        f"Means over {costs[0].n} images ({data}) with 95 % intervals; Gaussian noise as large as the features, the "
        "same everywhere. Before: what the sender computes for one image, alone in its batch, on this machine."
    ]
    if promise:
        notes.append(
            f"{promise}: the coarsest quantiser with one step an image that keeps it (fixed-sequence test on as many "
            "images again), mean bytes of an image coded alone, over as many test images. "
            f'"{NOT_KEPT}": not even the finest step keeps it. Steps of a map may take fewer: limen feature quantise '
            "RUN --eps."
        )
    spare = ("features", "of all", "MFLOP before", "ms before")
    return Table(
        f"Splits of {network}: what is computed, sent and felt", columns, rows, notes=tuple(notes), spare=spare
    )


def _at_promise(cost: Any) -> str:
    if cost.bytes is None:
        return NOT_KEPT
    interval = "" if cost.bytes_low is None else f" [{cost.bytes_low:,.0f}, {cost.bytes_high:,.0f}]"
    return f"{cost.bytes:,.0f}{interval}"


def grouped(rows: Rows, *names: str) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """Return rows by the values of these columns, in the order they first come."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def fullest(rows: Rows) -> list[Mapping[str, Any]]:
    """Return one row for each map and seed: where a stage was run again with other images, that of the most images."""
    best: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        there = best.setdefault((row["map"], row["seed"]), row)
        if row["n"] > there["n"]:
            best[row["map"], row["seed"]] = row
    return list(best.values())


def seed_mean(rows: Rows, name: str) -> Mean:
    """Return the mean of a column over seeds, those without a value left out; of one seed see `over_images`."""
    return over_images(mean([row[name] for row in rows if row.get(name) is not None]), rows, name)


def factor_mean(rows: Rows, name: str) -> Mean:
    """Return the geometric mean of a column of factors over seeds; the plain one where one of them is 0."""
    return over_images(_factors([row[name] for row in rows if row.get(name) is not None]), rows, name)


def over_images(found: Mean, rows: Rows, name: str) -> Mean:
    """Return a mean over seeds; where there is one seed, with the interval over its test images, if that was kept.

    Args:
        found: over seeds.
        rows: that it is of, one a seed.
        name: of its column; the ends of the interval stand in NAME_low and NAME_high.
    """
    if found.interval or len(rows) != 1 or found.n != 1:
        return found
    low, high = (rows[0].get(f"{name}_{end}") for end in ("low", "high"))
    return found if low is None or high is None else Mean(found.value, Interval(low, high), 1)


def _factors(values: Sequence[float]) -> Mean:
    if not values or min(values) <= 0:
        return mean(values)
    logarithms = mean([math.log(value) for value in values])
    try:
        interval = logarithms.interval and Interval(*map(math.exp, (logarithms.interval.low, logarithms.interval.high)))
    except OverflowError:  # over ratios hundreds of orders of magnitude apart
        interval = None
    return Mean(math.exp(logarithms.value), interval, logarithms.n)


def calibrations(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out what each map was promised to bear, what test images bore, and a word for it, all seeds together."""
    plan, cells = manifest["plan"], []
    for (label,), mine in grouped(rows, "map").items():
        found = checked(mine, plan["rho"])
        cells.append(
            (label, found.verdict.value, f"{found.promised:.3f}", _observed(found.k, found.n), f"{found.n:,}",
             f"{found.low:.3f}", f"{found.high:.3f}", *_tolerated(mine))
        )  # fmt: skip
    return Table(
        "Promised and observed",
        (
            *("map", "verdict", "promised", "observed (95 %)", "test images", "least expected", "most expected"),
            *("NRMSE borne", "mean log2 m"),
        ),
        tuple(cells),
        (
            f"Promised: Pr[{plan['drop']} <= {plan['eps']:g}] >= {1 - plan['rho']:g}. Observed: the share of test "
            "images for which that drop is kept at the promised scale, with its Wilson interval. Expected: where it "
            "lies in 95 of 100 such tests if the promise is just kept.",
            "Not kept: less than the least expected. Cannot tell yet: not so, but twice the failures allowed would lie "
            "within what is expected, too: it takes more images. Kept: neither.",
            "NRMSE borne: the noise at that scale relative to the features, median. Mean log2 m: its size an element; "
            "one more is twice the step, about a bit less an element.",
            *one_of_each(manifest),
            _seeds(rows),
        ),
    )


def calibrations_by_seed(rows: Rows) -> Table:
    """Lay out the calibration of each map with each seed."""
    cells = [
        (row["map"], str(row["seed"]), f"{row['kept'] / row['n']:.3f}", f"{row['n']:,}", f"{row['band_low']:.3f}",
         f"{row['band_high']:.3f}", f"{row['n_calibrate']:,}", f"{row['censored']:,}")
        for mine in grouped(rows, "map").values() for row in mine
    ]  # fmt: skip
    return Table(
        "Each seed by itself",
        (
            *("map", "seed", "observed", "test images", "least expected", "most expected", "calibrated on"),
            "bore the largest scale",
        ),
        tuple(cells),
        (
            "The scale is the floor(rho (n + 1))-th smallest that a calibration image bears (split conformal "
            "prediction); the promise is over fresh pairs of image and noise.",
        ),
        heads=2,
    )


def checked(rows: Rows, rho: float) -> CoverageCheck:
    """Hold the coverage of one map, over its seeds, against the promise.

    Args:
        rows: of the calibration of one map.
        rho: of the plan.
    """
    return check([(row["n_calibrate"], row["n"], row["kept"]) for row in rows], rho)


def _observed(k: int, n: int) -> str:
    share = Share(k, n)
    return over_seeds(Mean(share.value, share.interval, n))


def _tolerated(rows: Rows) -> tuple[str, str]:
    return (
        over_seeds(seed_mean(rows, "nrmse")) or NO_NUMBER,
        over_seeds(seed_mean(rows, "log2_magnitude"), ".2f") or "none, some magnitudes are 0",
    )


def compared(manifest: Mapping[str, Any], rows: Rows) -> tuple[Table, ...]:
    """Lay out what each map costs at equal strength: score, discrepancy, that relative to Gaussian noise, energy."""
    disturbed = [row for row in rows if row["map"] != "clean"]
    made = [scores(manifest, rows), discrepancies(manifest, rows)]
    if any(row["map"] == BASELINE for row in disturbed):
        made.append(ratios(manifest, rows))
    made.append(concentration(disturbed))
    if len(manifest["split"]["shapes"]) > 1:
        made.append(by_tensor(manifest, rows))
    return tuple(made)


def scores(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out the score of each map at each NRMSE, least discrepancy first."""
    clean = seed_mean([row for row in rows if row["map"] == "clean"], "score")
    undisturbed = f"Without noise it is {over_seeds(clean)}. " if over_seeds(clean) else ""
    if agrees(manifest):
        undisturbed = "No labels: answers are held against those without noise, so that without noise it is 1. "
    name = _names(manifest)[0]
    return _by_strength(
        rows, "score", f"{name[:1].upper()}{name[1:]} at each NRMSE",
        f"{undisturbed}Random signs times the map, but for gaussian, which the paper compares with.",
        _seeds([row for row in rows if row["map"] != "clean"], interval="score"),
    )  # fmt: skip


def discrepancies(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out the discrepancy of each map at each NRMSE, least first."""
    return _by_strength(
        rows, "discrepancy", f"{_names(manifest)[1]} at each NRMSE",
        "From the undisturbed output.",
        *_headed(manifest, rows),
    )  # fmt: skip


def map_of(manifest: Mapping[str, Any], label: str) -> tuple[str, Mapping[str, Any]]:
    """Return a map's tolerance, by its name of today, and settings; ("", {}) where the plan does not say.

    Args:
        manifest: of the run.
        label: of the map.
    """
    maps = manifest["plan"].get("maps")
    given = maps.get(label) if isinstance(maps, Mapping) else None
    name, settings = given if isinstance(given, list) and len(given) == 2 else ("", {})
    return registry.current("tolerance", str(name)), settings if isinstance(settings, Mapping) else {}


def _headed(manifest: Mapping[str, Any], rows: Rows) -> Iterator[str]:
    """Say which maps take the head, where some do."""
    there = dict.fromkeys(row["map"] for row in rows)
    if labels := [label for label in there if map_of(manifest, label)[0] == "own-fisher"]:
        yield (
            f"Made by running the head on each image's clean features, there and back, so that a sender would need the "
            f"head: {', '.join(labels)}. That is no bound on what a map can do."
        )


def _by_strength(rows: Rows, name: str, title: str, *notes: str) -> Table:
    disturbed = [row for row in rows if row["map"] != "clean"]
    strengths = sorted({row["nrmse"] for row in disturbed})
    groups = grouped(disturbed, "map", "nrmse")
    seeds = len(seeds_of(disturbed))
    cells, fewer = [], set()
    for label in _best_first(groups, strengths):
        found = {s: seed_mean(groups[label, s], name) for s in strengths if (label, s) in groups}
        fewer |= {f"{label} at {s:g}: {mean.n} of {seeds}" for s, mean in found.items() if 0 < mean.n < seeds}
        cells.append((label, *(_number(found[s], seeds) if s in found else NOT_RUN for s in strengths)))
    return Table(title, ("map", *(f"{s:g}" for s in strengths)), tuple(cells), (*_starred(fewer), *notes))


def ratios(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out each map's discrepancy relative to Gaussian noise of the same NRMSE, with intervals over seeds."""
    disturbed = [row for row in rows if row["map"] != "clean"]
    strengths = sorted({row["nrmse"] for row in disturbed})
    groups = grouped(disturbed, "map", "nrmse")
    seeds = sorted(seeds_of(disturbed))
    cells, fewer = [], set()
    for label in _best_first(groups, strengths):
        if label == BASELINE:
            continue
        found = {s: ratio(disturbed, label, BASELINE, s) for s in strengths}
        fewer |= {f"{label} at {s:g}: {one.n} of {len(seeds)}" for s, one in found.items() if 0 < one.n < len(seeds)}
        cells.append((label, *(_factor(found[s], groups.get((label, s), ()), len(seeds)) for s in strengths)))
    return Table(
        "Relative to Gaussian noise of the same NRMSE",
        ("map", *(f"{s:g}" for s in strengths)),
        tuple(cells),
        (
            f"{_names(manifest)[1]} over that of Gaussian noise, geometric mean of the seeds that have both; below 1 "
            "the map is better.",
            *_starred(fewer),
        ),
    )


def ratio(rows: Rows, label: str, other: str, strength: float) -> Mean:
    """Return one map's discrepancy relative to another's, over the seeds that have both at this NRMSE.

    Args:
        rows: of the stage `evaluate`.
        label: of the map.
        other: of the map it is compared with.
        strength: NRMSE of the noise.
    """
    by = {(row["map"], row["seed"]): row.get("discrepancy") for row in rows if row["nrmse"] == strength}
    pairs = [(by.get((label, seed)), by.get((other, seed))) for seed in sorted(seeds_of(rows))]
    return _factors([mine / theirs for mine, theirs in pairs if mine is not None and theirs])


def _factor(found: Mean, rows: Rows, seeds: int) -> str:
    if found.n:
        return over_seeds(found, ".3g") + "*" * (found.n < seeds)
    return NO_NUMBER if rows else NOT_RUN


def concentration(rows: Rows) -> Table:
    """Lay out how much of its energy each map pours into its strongest elements."""
    cells = [
        (label, *(_fixed(seed_mean(mine, name), ".2f") for name in ("energy_top1", "energy_top10")))
        for (label,), mine in grouped(rows, "map").items()
    ]
    return Table(
        "Energy in the strongest elements",
        ("map", "strongest 1 %", "strongest 10 %"),
        tuple(cells),
        (
            "Share of the noise energy; even noise has .01 and .10. Equal NRMSE rewards a map that pours its noise "
            "into few elements that do not count.",
        ),
    )


def by_tensor(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out which share of each map's energy lies in each tensor of a split that carries several."""
    shapes = manifest["split"]["shapes"]
    sizes = [math.prod(shape) for shape in shapes]
    cells = [("all elements alike", *(f"{size / sum(sizes):.3f}" for size in sizes))]
    for (label,), mine in grouped([row for row in rows if row.get("energy_tensors")], "map").items():
        each = zip(*(row["energy_tensors"] for row in mine), strict=True)
        cells.append((label, *(f"{math.fsum(shares) / len(mine):.3f}" for shares in each)))
    return Table(
        "Energy in each tensor",
        ("map", *("x".join(map(str, shape)) for shape in shapes)),
        tuple(cells),
        (
            "Share of the noise energy, mean over seeds; NRMSE is joint over the tensors.",
            _seeds(rows),
        ),
    )


def rates(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out quantisation at each noise budget."""
    names = _names(manifest)
    cells = []
    for (steps, budget), mine in sorted(grouped(rows, "steps", "budget").items(), key=lambda item: item[0][1]):
        figures = [seed_mean(mine, name) for name in ("actual_noise", "bits", "side_bits", "score", "discrepancy")]
        noise, bits, side, score, moved = figures
        cells.append((f"{budget:g}", str(steps), _fixed(noise, ".3f"), f"{bits.value:.3f}", f"{side.value:.4f}",
                      over_seeds(score) or NO_NUMBER, NO_NUMBER if math.isnan(moved.value) else _short(moved.value),
                      ))  # fmt: skip
    return Table(
        "Every budget tried",
        ("budget", "steps", "actual noise", "bits", "side bits", names[0], names[1]),
        tuple(cells),
        (
            "Budget: the NRMSE that step^2 / 12 promises. The actual noise differs: what is below half a step is 0.",
            "Bits an element: ideal code length under a model fitted on the fitting images; side bits: what tells the "
            "receiver the steps.",
            _seeds(rows, "steps"),
        ),
        heads=2,
    )  # fmt: skip


def equal_rates(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out the bits, side information counted, that each kind of steps needs for the same discrepancy."""
    seeds, elements = len(seeds_of(rows)), manifest["split"]["elements"]
    cells, missed = [], []
    for (steps,), mine in sorted(grouped(rows, "steps").items(), key=lambda item: _bits_of(item[1])):
        bits, side = seed_mean(mine, "bits"), seed_mean(mine, "side_bits")
        cells.append((
            steps,
            _number(bits, seeds) if bits.n else bound(mine) or "not reached",
            f"{bits.n} of {seeds}" if bits.n < seeds else NONE,
            f"{kilobytes(bits.value, elements):.3g}" if bits.n else NONE,
            f"{side.value:.4f}" if bits.n and side.value else NONE,
            *(_number(mean, seeds, ".2f") if mean.n else NONE for mean in (
                factor_mean(mine, "ratio"), factor_mean(mine, "ratio_image"))),
            *(_number(mean, seeds) if mean.n else NONE for mean in (
                factor_mean(mine, "same_bits_discrepancy"), seed_mean(mine, "same_bits_score"))),
        ))  # fmt: skip
        whys = [f"with seed {row['seed']} {row['why']}" for row in mine if row.get("why")]
        if whys:
            more = f" ({len(whys) - 1} more seeds lack figures too)" if len(whys) > 1 else ""
            missed.append(f"{steps}: {whys[0]}{more}.")
    score, moved = _names(manifest)
    columns, filled = _filled(
        ("steps", "bits an element", "seeds that reach it", "kB an image", "side bits", "to uniform",
         "to one step an image", f"{moved} at uniform's bits", f"{score} at uniform's bits"),
        cells,
    )  # fmt: skip
    return Table(
        f"What it takes for {compared_at(manifest, rows)}",
        columns,
        filled,
        (
            "Bits count the side bits, which tell the receiver the steps; features as float32 have 32. To uniform: the "
            "bits relative to one step for all images. To one step an image (uniform-image): the fairer comparison. "
            "Below 1 is better.",
            "Between two budgets linear in bits against the logarithm of the discrepancy. *: over the seeds that reach "
            "it alone.",
            *missed,
            _seeds(rows, "steps", interval="bits"),
        ),
    )


def _bits_of(rows: Rows) -> float:
    """Return what steps are sorted by, the fewest bits first; those that reach the comparison with no seed are last."""
    bits = seed_mean(rows, "bits")
    return bits.value if bits.n else math.inf


def promises(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out what it takes in coded bytes to keep a promise with each kind of steps, the fewest bytes first."""
    cells, missed = [], []
    several = len(grouped(rows, *PROMISE)) > 1
    for mine in sorted_promises(rows):
        reached = [row for row in mine if row["budget"] is not None]
        seeds, size = len(mine), seed_mean(reached, "bytes")
        told = (promise_of(mine[0]), mine[0]["steps"])
        if not reached:
            cells.append((*told, "none keeps it", *[NONE] * 6))
        else:
            k, n = sum(row["kept"] for row in reached), sum(row["n"] for row in reached)
            cells.append((
                *told, _bytes(size),
                *(_number(one, seeds, ".2f") if one.n else NONE for one in (
                    factor_mean(reached, "ratio_image"), factor_mean(reached, "ratio"))),
                _observed(k, n), over_seeds(seed_mean(reached, "score")) or NO_NUMBER,
                f"{seed_mean(reached, 'budget').value:.3g}",
                f"{len(reached)} of {seeds}" if len(reached) < seeds else NONE,
            ))  # fmt: skip
        missed += [f"With seed {row['seed']}: {row['why']}" for row in mine if row["why"]][:1]
    columns, filled = _filled(
        ("promise", "steps", "bytes an image", "to one step an image", "to uniform", "kept (95 %)",
         _names(manifest)[0], "budget", "seeds that keep it"),
        cells,
    )  # fmt: skip
    first = rows[0]
    if not several:
        columns, filled = columns[1:], tuple(row[1:] for row in filled)
    return Table(
        BYTES if several else f"{BYTES}: {promise_of(first)}",
        columns,
        filled,
        (
            f"The coarsest quantiser that keeps the promise with confidence {1 - first['delta']:g}: tested on "
            f"{counts([row['n_calibrate'] for row in rows])} calibration images, from the finest on, up to the first "
            "that could not be shown to keep it. Each kind of steps has its promise by itself.",
            f"Bytes: of each test image coded alone ({', '.join(dict.fromkeys(row['coder'] for row in rows))} coder), "
            "header counted. To one step an image, to uniform: bytes relative to those steps at the same promise; "
            "below 1 is better. Kept: the share of test images whose drop stays within eps.",
            *missed,
            *one_of_each(manifest),
            _seeds(rows, "steps", interval="bytes"),
            *(
                ("They are of the quantisers as they were taken: other calibration images may take others.",)
                if len(seeds_of(rows)) == 1
                else ()
            ),
        ),
        heads=2 if several else 1,
        spare=("budget", "to uniform"),
    )


def sorted_promises(rows: Rows) -> list[list[Mapping[str, Any]]]:
    """Return the rows of each promise and kind of steps: promises as they come, the fewest bytes first in each."""
    order = list(grouped(rows, *PROMISE))

    def place(mine: Rows) -> tuple[int, float]:
        size = seed_mean(mine, "bytes")
        return order.index(tuple(mine[0][name] for name in PROMISE)), size.value if size.n else math.inf

    return sorted(grouped(rows, *PROMISE, "steps").values(), key=place)


def promise_of(row: Mapping[str, Any]) -> str:
    """Return what a row promises: "Pr[kl > 0.05] <= 0.1"."""
    return f"Pr[{row['drop']} > {row['eps']:g}] <= {row['rho']:g}"


def promise_told(rows: Rows) -> str:
    """Say what was promised of a kind of steps, and what it costs, in a sentence to quote.

    Args:
        rows: of one promise and one kind of steps, one a seed.
    """
    reached, first = [row for row in rows if row["budget"] is not None], rows[0]
    seeds = f", {len(rows)} seeds" if len(rows) > 1 else ""
    promised = (
        f"{promise_of(first)} with confidence {1 - first['delta']:g} (fixed-sequence test, "
        f"{counts([row['n_calibrate'] for row in rows])} calibration images{seeds})"
    )
    if not reached:
        return f"{promised}: no quantiser with {first['steps']} steps keeps it"
    beside = [
        f"{over_seeds(factor, '.2f')} of {what}"
        for name, what in (("ratio_image", "one step an image"), ("ratio", "one step for all images"))
        if first["steps"] not in (NAMED[name], "uniform") and (factor := factor_mean(reached, name)).n
    ]
    compared = f", {beside[0]} at the same promise" if beside else ""
    return f"{promised}: {_bytes(seed_mean(reached, 'bytes'))} bytes an image with {first['steps']} steps{compared}."


def _bytes(size: Mean) -> str:
    return over_seeds(size, ",.0f" if size.value >= 100 else ",.1f")


def kilobytes(bits: float, elements: int) -> float:
    """Return the size of an image's features in kB (1,000 bytes), from bits an element."""
    return bits * elements / 8000


def compared_at(manifest: Mapping[str, Any], rows: Rows) -> str:
    """Return the discrepancy at which bits are compared, with its name: "a KL of 0.1"."""
    return f"a {_names(manifest)[1]} of {rows[0]['discrepancy']:g}" if rows else f"one {_names(manifest)[1]}"


def attributions(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out where maps put their energy: inside objects or outside."""
    cells, rows = [], fullest(rows)
    asked = any(row["correlation"] is not None for row in rows)
    for (label,), mine in grouped(rows, "map").items():
        left_out = sum(row.get("empty", 0) for row in mine)
        cells.append(
            (label, *(over_seeds(seed_mean(mine, name)) or "no energy" for name in ("inside", "area")),
             over_seeds(factor_mean(mine, "density")) or "no energy",
             over_seeds(seed_mean(mine, "prefix")) if any(row.get("prefix") for row in mine) else NONE,
             over_seeds(seed_mean(mine, "correlation")) or ("none, one of them is even" if asked else NONE),
             f"{sum(row['n'] for row in mine):,}", f"{left_out:,}" if left_out else NONE)
        )  # fmt: skip
    columns, filled = _filled(
        ("map", "energy inside objects", "area of objects", "density in / out", "class token", "correlation",
         "images", "left out, no energy"), cells
    )  # fmt: skip
    return Table(
        "Inside objects and outside",
        columns,
        filled,
        (
            "Density in / out: energy on an area inside objects relative to the same area outside; below 1 objects "
            "are spared.",
            "Correlation: Spearman's, over positions, between energy and integrated gradients of what the head "
            "found (Sundararajan et al. 2017, by Captum); below 0 what the network looks at is spared.",
            _seeds(rows),
        ),
    )


def bound(rows: Rows) -> str:
    """Say on which side of which bits a discrepancy lies that no seed's budgets reach; "" where seeds differ."""
    for side, sign, worst in (("fewer", "<", max), ("more", ">", min)):
        limits = [row["limit"] for row in rows if row.get("censored") == side and row.get("limit") is not None]
        if rows and len(limits) == len(rows):
            return f"{sign} {worst(limits):.3f}"
    return ""


def _number(mean: Mean, seeds: int, form: str = "") -> str:
    """Return a mean with its interval, with a star where it is over fewer seeds than the table."""
    form = form or (".3f" if math.isnan(mean.value) or abs(mean.value) >= 0.0995 or not mean.value else ".2g")
    return over_seeds(mean, form) + "*" * (mean.n < seeds) if mean.n else NO_NUMBER


def _starred(fewer: Set[str]) -> tuple[str, ...]:
    """Say what the stars of a table mean, where it has any."""
    return (f"* Over fewer seeds: {'; '.join(sorted(fewer))}.",) if fewer else ()


def _fixed(mean: Mean, form: str) -> str:
    return NO_NUMBER if math.isnan(mean.value) else f"{mean.value:{form}}"


def _filled(
    columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return columns and rows without the columns that hold nothing."""
    kept = [place for place in range(len(columns)) if any(row[place] not in ("", NONE) for row in rows)]
    return tuple(columns[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows)


def _best_first(groups: Mapping[tuple[Any, ...], Rows], strengths: Sequence[float]) -> list[str]:
    """Return the maps, least discrepancy first, at the strength next to 1."""
    at = next_to_one(strengths)
    means = {label: seed_mean(rows, "discrepancy").value for (label, s), rows in groups.items() if s == at}
    known = {label: value for label, value in means.items() if not math.isnan(value)}
    return sorted(dict.fromkeys(label for label, _ in groups), key=lambda label: known.get(label, math.inf))


def next_to_one(strengths: Iterable[float]) -> float:
    """Return the strength next to 1, by ratio."""
    return min(strengths, key=lambda s: abs(math.log(max(s, 1e-99))), default=1.0)


def _names(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["measures"]["score"], manifest["measures"]["discrepancy"]


def agrees(manifest: Mapping[str, Any]) -> bool:
    """Whether the score is agreement with the clean output, for want of labels: 1 without noise, by construction."""
    return bool(manifest["plan"].get("score") == "agreement")


def grouping(manifest: Mapping[str, Any]) -> str:
    """Return how the images of a run were grouped, as it was asked for; "" where each is by itself."""
    return str(manifest["plan"].get("group_by", ""))


def one_of_each(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what a promise is over where images were grouped."""
    by = grouping(manifest)
    told = (
        f"Images are grouped by {by}: no two parts share a group, and calibration and test take one image of each, "
        "drawn at random. What is promised holds for a fresh group with one image drawn of it; n counts groups."
    )
    return (told,) if by else ()


def _short(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0995 else f"{value:.2g}"


def seeds_of(rows: Rows) -> set[int]:
    """Return the seeds that rows are of."""
    return {row["seed"] for row in rows}


def _seeds(rows: Rows, of: str = "map", interval: str = "") -> str:
    """Say over how many seeds and images a table goes, and of which rows over fewer.

    Args:
        rows: of the table.
        of: the column that tells its lines apart.
        interval: the column whose interval over images is shown where there is one seed.
    """
    if not rows:
        return "Nothing was measured yet."
    seeds = len(seeds_of(rows))
    images = counts([row["n"] for row in rows])
    if seeds == 1:
        kept = interval and any(isinstance(row.get(f"{interval}_low"), float) for row in rows)
        told = "in brackets 95 % over these images" if kept else "so no interval"
        return f"1 seed, {images} images: {told}. Three seeds show what data, training and noise make of it."
    each = {name: len(seeds_of(mine)) for (name,), mine in grouped(rows, of).items() if name != "clean"}
    fewer = ", ".join(f"{name} {n}" for name, n in each.items() if n < seeds)
    return (
        f"{seeds} seeds, {images} images each{f' (fewer seeds: {fewer})' if fewer else ''}; in brackets 95 % over "
        "seeds, which stand for data, training and noise."
    )
