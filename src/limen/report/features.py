"""Tables of the feature wing, from rows of numbers alone: no network, no torch. Intervals are Student's, over seeds."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from limen.curve import Interval, Mean
from limen.report.table import Table
from limen.statistics.inference import mean

Rows = Sequence[Mapping[str, Any]]
BASELINE = "gaussian"
NOT_RUN, NO_NUMBER = "not run", "no number"


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


def over_seeds(rows: Rows, name: str) -> Mean:
    """Return the mean of a column over seeds, those without a value left out."""
    return mean([row[name] for row in rows if row.get(name) is not None])


def factor_over_seeds(rows: Rows, name: str) -> Mean:
    """Return the geometric mean of a column of factors over seeds; the plain one where one of them is 0."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return _geometric(values) if values and min(values) > 0 else mean(values)


def calibrations(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out conformal scales and what they promise."""
    plan = manifest["plan"]
    cells = []
    for (label,), mine in grouped(rows, "map").items():
        kept, n = sum(row["kept"] for row in mine), sum(row["n"] for row in mine)
        band = f"{min(row['band_low'] for row in mine):.3f} to {max(row['band_high'] for row in mine):.3f}"
        each = ", ".join(f"{row['kept'] / row['n']:.3f}" for row in mine)
        cells.append(
            (label, told(over_seeds(mine, "nrmse")) or NO_NUMBER,
             told(over_seeds(mine, "log2_magnitude"), ".2f") or "none, some magnitudes are 0",
             f"{kept / n:.3f}", each, band, f"{n:,}", counted([row["n_calibrate"] for row in mine]),
             f"{sum(row['censored'] for row in mine):,} of {sum(row['n_calibrate'] for row in mine):,}")
        )  # fmt: skip
    promise = f"Pr[{plan['drop']} <= {plan['eps']:g}] >= {1 - plan['rho']:g}"
    return Table(
        f"Calibrated maps: {promise}",
        (
            *("map", "NRMSE, median", "mean log2 m", "coverage", "by seed", "expected for one seed", "test images"),
            *("calibrated on", "censored"),
        ),
        tuple(cells),
        (
            "The scale is the floor(rho (n + 1))-th smallest that a calibration image bears (split conformal "
            "prediction); the promise is over fresh pairs of image and noise. Coverage of one seed varies as the band "
            "(95 %) says.",
            "mean log2 m: size of the tolerated magnitude, per element; one more is twice the step, a bit less an "
            "element. Censored: calibration images that bore the largest scale tried.",
            _seeds(rows),
        ),
    )  # fmt: skip


def scores(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out score and discrepancy of each map at each NRMSE, best map first, with the energy that explains them."""
    clean = over_seeds([row for row in rows if row["map"] == "clean"], "score")
    disturbed = [row for row in rows if row["map"] != "clean"]
    strengths = sorted({row["nrmse"] for row in disturbed})
    found = grouped(disturbed, "map", "nrmse")
    labels = _best_first(found, strengths)
    seeds = len({row["seed"] for row in disturbed})
    cells = []
    for label in labels:
        mine = [row for row in disturbed if row["map"] == label]
        pairs = [_pair(found[label, s], seeds) if (label, s) in found else NOT_RUN for s in strengths]
        top = [_fixed(over_seeds(mine, name), ".2f") for name in ("energy_top1", "energy_top10")]
        cells.append((label, *top, *pairs))
    names = _names(manifest)
    return Table(
        f"{names[0]} / {names[1]} at equal NRMSE (undisturbed {told(clean) or NOT_RUN})",
        ("map", "top 1 %", "top 10 %", *(f"{s:g}" for s in strengths)),
        tuple(cells),
        (
            "top 1 %, top 10 %: share of the energy that the strongest elements hold (flat: .01, .10). Matched NRMSE "
            "rewards a map that pours its noise into few elements that do not count.",
            "Random signs times the map, but for gaussian (the paper's comparison). image-fisher looks at the clean "
            "output and so is an oracle.",
            _seeds(disturbed),
        ),
    )


def ratios(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out each map's discrepancy relative to Gaussian noise of the same NRMSE, with intervals over seeds."""
    disturbed = [row for row in rows if row["map"] != "clean"]
    strengths = sorted({row["nrmse"] for row in disturbed})
    by = {(row["map"], row["nrmse"], row["seed"]): row for row in disturbed}
    found = grouped(disturbed, "map", "nrmse")
    seeds = sorted(seeds_of(disturbed))
    cells = []
    for label in _best_first(found, strengths):
        if label == BASELINE:
            continue
        cells.append((label, *(_ratio(by, label, BASELINE, s, seeds) for s in strengths)))
    return Table(
        f"{_names(manifest)[1]} relative to Gaussian noise of the same NRMSE",
        ("map", *(f"{s:g}" for s in strengths)),
        tuple(cells),
        (
            "Geometric mean of the ratios of seeds that have both, with its 95 % interval; below 1 the map is better.",
            _seeds(disturbed),
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
        "Energy by tensor",
        ("map", *("x".join(map(str, shape)) for shape in shapes)),
        tuple(cells),
        (
            "Share of a map's energy in each tensor of the split, mean over seeds; NRMSE is joint over them.",
            _seeds(rows),
        ),
    )


def rates(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out quantisation at each noise budget."""
    names = _names(manifest)
    cells = []
    for (steps, budget), mine in sorted(grouped(rows, "steps", "budget").items(), key=lambda item: item[0][1]):
        figures = [over_seeds(mine, name) for name in ("actual_noise", "bits", "side_bits", "score", "discrepancy")]
        noise, bits, side, score, moved = figures
        cells.append((f"{budget:g}", str(steps), _fixed(noise, ".3f"), f"{bits.value:.3f}", f"{side.value:.4f}",
                      told(score) or NO_NUMBER, NO_NUMBER if math.isnan(moved.value) else _short(moved.value),
                      ))  # fmt: skip
    return Table(
        "Quantisation with a step a token, at equal noise budget",
        ("budget", "steps", "actual noise", "bits an element", "side bits an element", names[0], names[1]),
        tuple(cells),
        (
            "Budget: the NRMSE that step^2 / 12 promises. The actual noise differs: what is below half a step is 0.",
            "Bits: ideal code length under a model fitted on the fitting images; side bits: what tells the receiver "
            "the steps.",
            _seeds(rows, "steps"),
        ),
        heads=2,
    )  # fmt: skip


def equal_rates(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out the bits, side information counted, that each kind of steps needs for the same discrepancy."""
    seeds = len({row["seed"] for row in rows})

    def reached(found: Mean, mine: Rows) -> str:
        return told(found) + _of(found.n, seeds) if found.n else "none" if any(row.get("why") for row in mine) else ""

    cells, missed = [], []
    for (steps,), mine in grouped(rows, "steps").items():
        bits = over_seeds(mine, "bits")
        beyond = _censored(mine)
        cells.append((
            steps,
            "; ".join(filter(None, [told(bits) and told(bits) + _of(bits.n, seeds), beyond])) or "outside the budgets",
            f"{over_seeds(mine, 'side_bits').value:.4f}" if bits.n else "none" if beyond else "",
            *(reached(factor_over_seeds(mine, n), mine) for n in ("ratio", "ratio_image", "same_bits_discrepancy")),
            reached(over_seeds(mine, "same_bits_score"), mine),
        ))  # fmt: skip
        whys = [f"with seed {row['seed']} {row['why']}" for row in mine if row.get("why")]
        if whys:
            more = f" ({len(whys) - 1} more seeds lack figures too)" if len(whys) > 1 else ""
            missed.append(f"{steps}: {whys[0]}{more}.")
    score, moved = _names(manifest)
    at = f"{rows[0]['discrepancy']:g}" if rows else ""
    columns, filled = _filled(
        ("steps", "bits an element", "of these side", "relative to uniform", "to one step an image",
         f"{moved} at uniform's bits", f"{score} at uniform's bits"),
        cells,
    )  # fmt: skip
    return Table(
        f"Bits an element for {moved} {at}, with side information",
        columns,
        filled,
        (
            "Between two budgets linear in bits against the logarithm of the discrepancy. Below 1 is better. Where one "
            "step an image (uniform-image) beats one step for all, it is the fairer comparison.",
            *missed,
            _seeds(rows, "steps"),
        ),
    )


def attributions(manifest: Mapping[str, Any], rows: Rows) -> Table:
    """Lay out where maps put their energy: inside objects or outside."""
    cells, rows = [], fullest(rows)
    asked = any(row["correlation"] is not None for row in rows)
    for (label,), mine in grouped(rows, "map").items():
        cells.append(
            (label, *(told(over_seeds(mine, name)) or "no energy" for name in ("inside", "area")),
             told(factor_over_seeds(mine, "density")) or "no energy",
             told(over_seeds(mine, "prefix")) if any(row.get("prefix") for row in mine) else "",
             told(over_seeds(mine, "correlation")) or ("none, one of them is even" if asked else ""),
             f"{sum(row['n'] for row in mine):,}" + _empty(mine))
        )  # fmt: skip
    columns, filled = _filled(
        ("map", "inside objects", "area of objects", "density in / out", "class token", "correlation", "images"), cells
    )
    return Table(
        "Where maps put their energy",
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


def _empty(rows: Rows) -> str:
    left_out = sum(row.get("empty", 0) for row in rows)
    return f", {left_out:,} without energy left out" if left_out else ""


def _censored(rows: Rows) -> str:
    """Say between which bits a discrepancy lies that the budgets do not reach, with seeds where they do not."""
    parts = []
    for side, sign, worst in (("fewer", "<", max), ("more", ">", min)):
        limits = [row["limit"] for row in rows if row.get("censored") == side and row.get("limit") is not None]
        if limits:
            some = f" with {len(limits)} of {len(rows)} seeds" if len(limits) < len(rows) else ""
            parts.append(f"{sign} {worst(limits):.3f}{some}")
    return "; ".join(parts)


def _of(n: int, seeds: int) -> str:
    return f", {n} of {seeds} seeds" if 0 < n < seeds else ""


def _fixed(found: Mean, form: str) -> str:
    return NO_NUMBER if math.isnan(found.value) else f"{found.value:{form}}"


def counted(counts: Sequence[int]) -> str:
    """Return a number, or the least and the most."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _filled(
    columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return columns and rows without the columns that hold nothing."""
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    return tuple(columns[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows)


def _best_first(found: Mapping[tuple[Any, ...], Rows], strengths: Sequence[float]) -> list[str]:
    """Return the maps, least discrepancy first, at the strength next to 1."""
    at = next_to_one(strengths)
    means = {label: over_seeds(rows, "discrepancy").value for (label, s), rows in found.items() if s == at}
    known = {label: value for label, value in means.items() if not math.isnan(value)}
    return sorted(dict.fromkeys(label for label, _ in found), key=lambda label: known.get(label, math.inf))


def next_to_one(strengths: Iterable[float]) -> float:
    """Return the strength next to 1, by ratio."""
    return min(strengths, key=lambda s: abs(math.log(max(s, 1e-99))), default=1.0)


def _ratio(
    by: Mapping[tuple[str, float, int], Mapping[str, Any]],
    label: str,
    other: str,
    strength: float,
    seeds: Iterable[int],
) -> str:
    pairs = [(by.get((label, strength, seed)), by.get((other, strength, seed))) for seed in seeds]
    both = [(mine.get("discrepancy"), theirs.get("discrepancy")) for mine, theirs in pairs if mine and theirs]
    values = [a / b for a, b in both if a is not None and b]
    if not values:
        return NO_NUMBER if both else NOT_RUN
    found = _geometric(values) if min(values) > 0 else mean(values)
    return told(found, ".3g") + _of(len(values), len(pairs))


def _geometric(values: Sequence[float]) -> Mean:
    return _mapped(mean([math.log(value) for value in values]), math.exp)


def _mapped(found: Mean, turn: Callable[[float], float]) -> Mean:
    try:
        interval = found.interval and Interval(turn(found.interval.low), turn(found.interval.high))
    except OverflowError:  # over ratios hundreds of orders of magnitude apart
        interval = None
    return Mean(turn(found.value), interval, found.n)


def _names(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["measures"]["score"], manifest["measures"]["discrepancy"]


def _pair(rows: Rows, seeds: int) -> str:
    score, moved = over_seeds(rows, "score"), over_seeds(rows, "discrepancy")
    if math.isnan(score.value) or math.isnan(moved.value):
        return NO_NUMBER
    return f"{score.value:.3f} / {_short(moved.value)}{_of(min(score.n, moved.n), seeds)}"


def told(found: Mean, form: str = ".3f") -> str:
    """Return a mean as cells show it, with its interval where there is one."""
    if math.isnan(found.value):
        return ""
    if not found.interval:
        return f"{found.value:{form}}"
    low, high = found.interval.low, found.interval.high
    return f"{found.value:{form}} ({low:{form}}{'–' if low >= 0 else ' to '}{high:{form}})"


def _short(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0995 else f"{value:.2g}"


def seeds_of(rows: Rows) -> set[int]:
    """Return the seeds that rows are of."""
    return {row["seed"] for row in rows}


def _seeds(rows: Rows, of: str = "map") -> str:
    """Say over how many seeds and images a table goes, and of which rows over fewer."""
    if not rows:
        return "Nothing was measured yet."
    seeds = len(seeds_of(rows))
    many = f"{seeds} seeds" if seeds != 1 else "1 seed, so no interval"
    each = {name: len(seeds_of(mine)) for (name,), mine in grouped(rows, of).items() if name != "clean"}
    fewer = ", ".join(f"{name} {n}" for name, n in each.items() if n < seeds)
    return (
        f"{many}, {counted([row['n'] for row in rows])} images each{f' (fewer seeds: {fewer})' if fewer else ''}; a "
        "seed stands for data, training and noise."
    )
