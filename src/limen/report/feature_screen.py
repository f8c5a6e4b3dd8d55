"""What the page says first of a run of deep features: some numbers with intervals, a verdict, a sentence to quote."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limen.curve import Interval, Mean
from limen.report.feature_anchors import Beside, at_promise, beside
from limen.report.feature_tables import (
    AGAINST,
    BASELINE,
    HEADLINE_STEPS,
    PROMISE,
    Rows,
    agrees,
    bound,
    checked,
    compared_at,
    factor_mean,
    grouped,
    grouping,
    kilobytes,
    next_to_one,
    promise_of,
    promise_told,
    ratio,
    seed_mean,
    seeds_of,
)
from limen.report.format import begun, counts, over_seeds
from limen.report.headline import HeadlineNumber
from limen.statistics.coverage import CoverageVerdict

HEADLINE_MAPS = ("learned-information", "fisher", "learned")
BITSTREAM, SAVED = "Bitstream of an image", "Saved against"  # at equal discrepancy: not told beside those at a promise
MOST = 5  # numbers that are told first
FLOAT = 32  # bits of an element that is not quantised


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """What is said of a run before anything else.

    Attributes:
        title: the network, and where it was cut.
        asked: what was asked, in one line.
        numbers: three to five where the run is complete, fewer before.
        verdict: a word, and the reason for it.
        sentence: to quote, with numbers, intervals and n.
    """

    title: str
    asked: str
    numbers: tuple[HeadlineNumber, ...]
    verdict: tuple[str, str]
    sentence: str


@dataclass(frozen=True, slots=True)
class _Rate:
    """The headline of the quantisation: these steps against those.

    Attributes:
        steps, against: names of steps.
        mine, theirs: their rows, one a seed.
        factor: bits relative to `against`, of the seeds that have both.
    """

    steps: str
    against: str
    mine: Rows
    theirs: Rows
    factor: Mean


def screen(name: str, manifest: Mapping[str, Any], held: Mapping[str, Rows]) -> FirstScreen:
    """Work out the first screen of a run.

    Args:
        name: of the run.
        manifest: of the run.
        held: its rows, by stage.
    """
    found = _rate(held["equal-rate"])
    numbers = [*_bits(manifest, found), *_promise(manifest, held["calibrate"]), *_kept(manifest, held["evaluate"])]
    kept = _headline_promise(manifest, held["promise"])
    picture = _picture(manifest, held) if kept else None
    if kept:
        first, *saved = _bytes(kept)
        others = (one for one in numbers if not one.label.startswith((BITSTREAM, SAVED)))
        numbers = [first, *([_of_picture(picture)] if picture else []), *saved, *others][:MOST]
    verdict = _of_bytes(kept) if kept else _verdict(manifest, held, found)
    if kept and picture:
        what = f"of the bytes of the picture ({picture.codec}) at the same promise"
        verdict = _below_one(picture.factor, "Beats the picture", "Loses to the picture", what, kept.mine)
    return FirstScreen(
        f"{name}: {manifest['network']['name']}, cut at {manifest['plan']['split']}",
        _asked(manifest, held, kept),
        tuple(numbers),
        verdict,
        _sentence(manifest, held, found, kept, picture.quoted if picture else ""),
    )


def _asked(manifest: Mapping[str, Any], held: Mapping[str, Rows], kept: "_KeptPromise | None") -> str:
    if kept:
        return f"How few bytes an image do these features take, where {promise_of(kept.mine[0])} is kept?"
    if held["equal-rate"]:
        at = compared_at(manifest, held["equal-rate"])
        return f"How many bits do steps that follow a map of tolerance save, where the output may change by {at}?"
    return f"How much noise do these features bear before the {manifest['measures']['score']} of the head suffers?"


# --- bytes at a promise ---


@dataclass(frozen=True, slots=True)
class _KeptPromise:
    """The promise that is told of first: these steps against those.

    Attributes:
        against: name of the steps that they are compared with.
        mine: rows of the steps, one a seed that keeps it.
        theirs: rows of `against`, likewise.
        rows: of the steps, all seeds.
        factor: bytes relative to `against`.
    """

    against: str
    mine: Rows
    theirs: Rows
    rows: Rows
    factor: Mean


def _headline_promise(manifest: Mapping[str, Any], rows: Rows) -> _KeptPromise | None:
    """Return the plan's own promise where that was looked for, else the first, of the steps that are told of first."""
    plan = manifest["plan"]
    own = (plan["drop"], plan["eps"], plan["rho"])
    first = next((row for row in rows if (row["drop"], row["eps"], row["rho"]) == own), rows[0] if rows else None)
    there = [row for row in rows if first and all(row[name] == first[name] for name in PROMISE)]
    by = {
        steps: [row for row in mine if row["budget"] is not None]
        for (steps,), mine in grouped(there, "steps").items()
    }  # fmt: skip
    told = [steps for steps in (*HEADLINE_STEPS, *(one for one in by if one not in AGAINST), *AGAINST) if by.get(steps)]
    if not told:
        return None
    mine = by[told[0]]
    against = next((kind for kind in AGAINST if by.get(kind) and kind != told[0]), "")
    factor = factor_mean(mine, "ratio_image" if against == "uniform-image" else "ratio")
    return _KeptPromise(
        against, mine, by.get(against, []), [row for row in there if row["steps"] == told[0]],
        factor if against else Mean(math.nan, None, 0),
    )  # fmt: skip


def _bytes(kept: _KeptPromise) -> list[HeadlineNumber]:
    first, size = kept.mine[0], seed_mean(kept.mine, "bytes")
    form = "{:,.0f} bytes" if size.value >= 100 else "{:,.1f} bytes"
    numbers = [
        HeadlineNumber(
            "Bytes of an image", form.format(size.value), between(size, form),
            f"{plainly(first['steps'])}; {promise_of(first)} with confidence {1 - first['delta']:g}, tested on "
            f"{counts([row['n_calibrate'] for row in kept.mine])} images; {_n(size.n, kept.mine)}",
        )
    ]  # fmt: skip
    if kept.factor.n:
        saved, other = _turned(kept.factor), seed_mean(kept.theirs, "bytes")
        numbers.append(
            HeadlineNumber(
                f"{SAVED} {plainly(kept.against)}", f"{100 * saved.value:.0f} %", between(saved, "{:.0f} %", 100),
                f"which takes {form.format(other.value)} at the same promise; compared on the same images",
            )
        )  # fmt: skip
    return numbers


def _picture(manifest: Mapping[str, Any], held: Mapping[str, Rows]) -> Beside | None:
    """Return features beside the picture; None where a run did not look, or one of them does not keep the promise."""
    rows = at_promise(held["anchor"], manifest["plan"])
    found = beside(rows, held["sender"]) if rows else None
    return found if found and found.factor.n else None


def _of_picture(found: Beside) -> HeadlineNumber:
    share = "" if found.share is None else f"; features cost the sender {100 * found.share:.0f} % of the operations"
    return HeadlineNumber(
        "Of the picture's bytes", f"{100 * found.factor.value:.0f} %", between(found.factor, "{:.0f} %", 100),
        f"{found.codec} takes {found.picture.value:,.0f} bytes at the same promise{found.among}{share}",
    )  # fmt: skip


def _of_bytes(kept: _KeptPromise) -> tuple[str, str]:
    what = f"of the bytes of {plainly(kept.against or kept.mine[0]['steps'])} at the same promise"
    return _below_one(kept.factor, "Saves bytes", "Costs bytes", what, kept.mine)


# --- bits ---


def _rate(rows: Rows) -> _Rate | None:
    by = {steps: mine for (steps,), mine in grouped(rows, "steps").items()}
    others = [steps for steps in by if steps.startswith("tolerance:")]
    steps = next((steps for steps in (*HEADLINE_STEPS, *others) if steps in by), "")
    against = next((kind for kind in AGAINST if kind in by), "")
    if not steps or not against:
        return None
    factor = factor_mean(by[steps], "ratio_image" if against == "uniform-image" else "ratio")
    return _Rate(steps, against, by[steps], by[against], factor)


def plainly(steps: str) -> str:
    """Return what a kind of steps is, in words.

    Args:
        steps: KIND or KIND:MAP, as in the rows.
    """
    kind, _, label = steps.partition(":")
    words = {
        "uniform": "one step for all images",
        "uniform-image": "one step an image",
        "absmax": "steps by each token's largest value",
        "tolerance": f"steps from {label}",
        "static": f"static steps from {label}",
        "permuted": f"steps from {label} in the wrong places",
    }
    return words.get(kind, steps)


def _bits(manifest: Mapping[str, Any], found: _Rate | None) -> list[HeadlineNumber]:
    if not found:
        return []
    at = compared_at(manifest, found.mine)
    mine, theirs = seed_mean(found.mine, "bits"), seed_mean(found.theirs, "bits")
    if not mine.n:
        where = bound(found.mine)
        return [
            HeadlineNumber("Bits a feature element", where or "not reached", "", f"{plainly(found.steps)}, for {at}")
        ]
    numbers = [
        HeadlineNumber(
            "Bits a feature element", f"{mine.value:.3f} bits", between(mine, "{:.3f}"),
            f"{plainly(found.steps)}, for {at}; as float32 {FLOAT} bits; {_n(mine.n, found.mine)}",
        )
    ]  # fmt: skip
    if found.factor.n:
        saved = _turned(found.factor)
        numbers.append(
            HeadlineNumber(
                f"{SAVED} {plainly(found.against)}",
                f"{100 * saved.value:.0f} %",
                between(saved, "{:.0f} %", 100),
                f"which takes {theirs.value:.3f} bits; compared within each seed",
            )
        )
    elements = manifest["split"]["elements"]
    kb = [kilobytes(one, elements) for one in (mine.value, theirs.value, FLOAT)]
    form = f"{{:.{max(0, 2 - math.floor(math.log10(max(kb[0], 1e-9))))}f}} kB"
    other = f"{form.format(kb[1])} with {plainly(found.against)}, " if theirs.n else ""
    numbers.append(
        HeadlineNumber(
            BITSTREAM, form.format(kb[0]), between(mine, form, kilobytes(1, elements)),
            f"{other}{kb[2]:.3g} kB as float32; {elements:,} elements",
        )
    )  # fmt: skip
    return numbers


def _turned(factor: Mean) -> Mean:
    """Return what is saved where so much is left."""
    interval = factor.interval and Interval(1 - factor.interval.high, 1 - factor.interval.low)
    return Mean(1 - factor.value, interval, factor.n)


def between(mean: Mean, form: str, times: float = 1) -> str:
    """Return an interval with its unit, "" where there is none.

    Args:
        mean: its interval.
        form: of one end, as `str.format` takes it.
        times: a factor for both ends.
    """
    if not mean.interval:
        return ""
    low, high = (form.format(times * end) for end in (mean.interval.low, mean.interval.high))
    unit = low[low.index(" ") :] if " " in low else ""
    return f"{low.removesuffix(unit) if high.endswith(unit) else low} to {high}"


def _n(n: int, rows: Rows) -> str:
    seeds = f"n = {n} seed{'s' if n != 1 else ''}"
    return f"{seeds} of {counts([row['n'] for row in rows])} images" if rows else seeds


# --- the promise, and equal strength ---


def headline_map(rows: Rows) -> str:
    """Return the map that is told of first, of those that rows are of; "" where there are none."""
    there = list(dict.fromkeys(row["map"] for row in rows if row["map"] not in ("clean", BASELINE)))
    return next((label for label in (*HEADLINE_MAPS, *there) if label in there), "")


def _promise(manifest: Mapping[str, Any], rows: Rows) -> list[HeadlineNumber]:
    label = headline_map(rows)
    mine = [row for row in rows if row["map"] == label]
    borne = seed_mean(mine, "nrmse")
    if not borne.n:
        return []
    plan, seen = manifest["plan"], checked(mine, manifest["plan"]["rho"])
    return [
        HeadlineNumber(
            "Noise borne with the promise", f"{100 * borne.value:.0f} %", between(borne, "{:.0f} %", 100),
            f"of the features' size (median NRMSE), {label}; Pr[{plan['drop']} <= {plan['eps']:g}] >= "
            f"{1 - plan['rho']:g} is {seen.verdict} ({seen.k:,} of {seen.n:,} test images)",
        )
    ]  # fmt: skip


def _kept(manifest: Mapping[str, Any], rows: Rows) -> list[HeadlineNumber]:
    disturbed = [row for row in rows if row["map"] != "clean" and row.get("score") is not None]
    label = headline_map(disturbed)
    if not label:
        return []
    at = next_to_one({row["nrmse"] for row in disturbed if row["map"] == label})
    found = {one: seed_mean([row for row in disturbed if (row["map"], row["nrmse"]) == (one, at)], "score")
             for one in (label, BASELINE)}  # fmt: skip
    clean = seed_mean([row for row in rows if row["map"] == "clean"], "score")
    beside = [f"with Gaussian noise {found[BASELINE].value:.3f}"] if found[BASELINE].n else []
    if agrees(manifest):
        beside += ["without noise 1, by construction"]
    else:
        beside += [f"without noise {clean.value:.3f}"] if clean.n else []
    score = manifest["measures"]["score"]
    return [
        HeadlineNumber(
            f"{score[:1].upper()}{score[1:]} at NRMSE {at:g}", f"{found[label].value:.3f}",
            between(found[label], "{:.3f}"),
            "; ".join((f"noise of {100 * at:.0f} % of the features' size, shaped by {label}", *beside)),
        )
    ]  # fmt: skip


# --- the verdict ---


def _verdict(manifest: Mapping[str, Any], held: Mapping[str, Rows], found: _Rate | None) -> tuple[str, str]:
    if found:
        return _of_bits(manifest, found)
    if rows := held["calibrate"]:
        label = headline_map(rows)
        seen = checked([row for row in rows if row["map"] == label], manifest["plan"]["rho"])
        words = {CoverageVerdict.KEPT: "The promise is kept", CoverageVerdict.NOT_KEPT: "The promise is not kept"}
        return (
            words.get(seen.verdict, "Cannot tell yet"),
            f"{seen.k:,} of {seen.n:,} test images bore the scale of {label}; {seen.promised:.0%} were promised",
        )
    disturbed = [row for row in held["evaluate"] if row["map"] != "clean"]
    if label := headline_map(disturbed):
        at = next_to_one({row["nrmse"] for row in disturbed if row["map"] == label})
        moved = manifest["measures"]["discrepancy"]
        return _below_one(
            ratio(disturbed, label, BASELINE, at), "Bears more than Gaussian noise", "Bears less than Gaussian noise",
            f"of the {moved} under Gaussian noise of the same strength",
            [row for row in disturbed if (row["map"], row["nrmse"]) == (label, at)],
        )  # fmt: skip
    return "Nothing measured yet", "run limen feature fit, evaluate and quantise"


def _of_bits(manifest: Mapping[str, Any], found: _Rate) -> tuple[str, str]:
    if not found.factor.n:
        at = compared_at(manifest, found.mine)
        return "Cannot tell yet", f"no budget tried reaches {at}; limen feature quantise without --budget looks further"
    what = f"of the bits of {plainly(found.against)}"
    return _below_one(found.factor, "Saves bits", "Costs bits", what, found.mine)


def _below_one(factor: Mean, below: str, above: str, what: str, rows: Rows) -> tuple[str, str]:
    """Return the verdict on a factor by its whole interval: below 1, above 1, or neither."""
    if not factor.n:
        return "Cannot tell yet", f"there is nothing to compare with: it would be a share {what}"
    told = f"{over_seeds(factor, '.2f')} {what}, {_n(factor.n, rows)}"
    if not factor.interval:
        return "Cannot tell yet", f"{told}; one seed has no interval, three have one (--seeds 3)"
    if factor.n == 1:
        told += ", the interval over its images alone"
    if factor.interval.high < 1:
        return below, f"{told}; all of the interval lies below 1"
    if factor.interval.low > 1:
        return above, f"{told}; all of the interval lies above 1"
    return "No difference shown", f"{told}; the interval holds 1"


# --- the sentence ---


def _sentence(
    manifest: Mapping[str, Any], held: Mapping[str, Rows], found: _Rate | None, kept: _KeptPromise | None, picture: str
) -> str:
    """Say what was measured: seeds and images are those of the rows, whatever was planned."""
    plan, network = manifest["plan"], manifest["network"]
    origin = f"limen {manifest['limen']}, network {network['name']} ({network['digest'][:8]}), split {plan['split']}"
    promised = [promise_told(kept.rows).removesuffix(".")] if kept else []
    promised += [picture] if picture else []
    told = [*promised, *_bits_told(manifest, found), *_scores_told(manifest, held["evaluate"])]
    if told:
        return f"{'. '.join(told)}. Measured by {origin}, {plan['task']} on {_data(manifest)}."
    calibrated = held["calibrate"]
    images = counts([row["n_calibrate"] for row in calibrated]) if calibrated else ""
    seeds = count_of(len(seeds_of(calibrated)), plan["seeds"])
    done = f"{seeds}, calibrated ({images} images a seed to calibrate on)" if calibrated else "nothing calibrated"
    return f"{origin}: {plan['task']} on {_data(manifest)}, {done}, nothing compared yet."


def _data(manifest: Mapping[str, Any]) -> str:
    """Return what was measured on, and what its images are a sample of."""
    by = grouping(manifest)
    each = f", one image each of groups by {by} to calibrate and test on" if by else ""
    return f"{manifest['plan']['data']}{each}"


def _bits_told(manifest: Mapping[str, Any], found: _Rate | None) -> list[str]:
    mine = seed_mean(found.mine, "bits") if found else Mean(0.0, None, 0)
    if not found or not mine.n:
        return []
    beside = f", {over_seeds(found.factor)} of what {plainly(found.against)} needs" if found.factor.n else ""
    seeds = count_of(mine.n, manifest["plan"]["seeds"])
    images = counts([row["n"] for row in found.mine])
    return [
        f"For {compared_at(manifest, found.mine)} {plainly(found.steps)} need {over_seeds(mine)} bits an "
        f"element{beside} ({seeds} of {images} images)"
    ]


def _scores_told(manifest: Mapping[str, Any], rows: Rows) -> list[str]:
    disturbed = [row for row in rows if row["map"] != "clean" and row.get("score") is not None]
    if not disturbed:
        return []
    at = next_to_one({row["nrmse"] for row in disturbed})
    by_map = {label: rows for (label, strength), rows in grouped(disturbed, "map", "nrmse").items() if strength == at}
    labels = [label for label in by_map if label != BASELINE]
    quoted = [label for label in ("learned", "fisher") if label in labels] or labels[:2]
    quoted += [BASELINE] if BASELINE in by_map else []
    common = set.intersection(*(seeds_of(by_map[label]) for label in quoted))
    chosen = {label: [row for row in by_map[label] if not common or row["seed"] in common] for label in quoted}
    scores = "; ".join(
        f"{label} {over_seeds(seed_mean(rows, 'score'))}"
        + ("" if common else f" (seed{'s' if len(rows) > 1 else ''} {', '.join(str(row['seed']) for row in rows)})")
        for label, rows in chosen.items()
    )
    images = counts([row["n"] for rows in chosen.values() for row in rows])
    seeds = count_of(len(common), manifest["plan"]["seeds"]) if common else "of unlike seeds, each"
    score = manifest["measures"]["score"]
    return [f"{begun(score)} at NRMSE {at:g}: {scores} ({seeds} of {images} images)"]


def count_of(done: int, planned: int) -> str:
    """Say how many seeds were measured, of how many that are planned; 0 where that differs from stage to stage."""
    if done >= planned:
        return f"{done} seed{'s' if done > 1 else ''}"
    return f"{done or 'Not all'} of {planned} planned seed{'s' if planned > 1 else ''}"
