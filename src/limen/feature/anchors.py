"""Features or the picture: what sending an image's features costs, beside sending the image itself.

Both are held to the same promise, tested on the same calibration images in the same way, and both are coded image by
image, header counted. What a codec of pictures gets is the image as the network sees it, in 8 bits
(`limen.feature.seen_pixels`); what it decodes goes through the whole network. Features cost computation at the sender,
pictures none: how much is beside the bytes.
"""

import functools
import math
import statistics
import timeit
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from limen import digest
from limen.curve import bootstrap_mean
from limen.errors import InputError
from limen.feature import image_codecs, stages
from limen.feature.clean_batches import CleanBatch, CleanBatches, FirstBatches
from limen.feature.image_codecs import ImageCodec
from limen.feature.model.network import flops
from limen.feature.model.split import Outputs
from limen.feature.pieces import ExpectCallback, StoredRow
from limen.feature.quantisation import integers
from limen.feature.quantisation.coarsest import relative
from limen.feature.quantisation.codec import HEADER, Quantiser
from limen.feature.quantisation.entropy_coder import usual
from limen.feature.quantisation.fit import BUDGETS, ENOUGH, RESAMPLES
from limen.feature.quantisation.integers import IntegerCode
from limen.feature.quantisation.promise import Drops, Promise, walk
from limen.feature.run import FeatureRun
from limen.feature.seen_pixels import SeenPixels
from limen.feature.stages import PROMISE
from limen.feature.tolerance import ProgressCallback, quiet
from limen.statistics.bjontegaard import Method, RateCurve, bd_rate, front
from limen.store.rows import measured

Way: TypeAlias = Literal["features", "picture", "integers"]
Pictured: TypeAlias = CleanBatches | FirstBatches
_Point: TypeAlias = tuple[StoredRow, StoredRow]  # of a curve: its row, and that of its images
STRIDE = 5  # settings of a codec between two that fitting images are shown
REFERENCE = "uniform-image"  # what every BD-rate is relative to: steps that need no map
TIMED = 7  # goes of one image, of which the fastest counts: what else the machine does only adds to it
SHOWN: tuple[Method, ...] = ("pchip", "cubic")


@dataclass
class _Sent:
    """What test images come to when they are sent in one way, at one setting.

    Attributes:
        bytes: of each image, coded alone.
        ideal: bytes of each image by its ideal code length; empty where nobody knows it.
        discrepancy, drops: of each image.
        answers, targets: of the task, to score.
    """

    bytes: list[int] = field(default_factory=list)
    ideal: list[float] = field(default_factory=list)
    discrepancy: list[float] = field(default_factory=list)
    drops: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)


def anchor(
    run: FeatureRun,
    promise: Promise,
    codecs: Sequence[str] = (),
    steps: Sequence[str] = (),
    seeds: Sequence[int] = (),
    progress: ProgressCallback = quiet,
    expect: ExpectCallback | None = None,
) -> list[StoredRow]:
    """Find what sending features and sending pictures cost at one promise, and what each reaches at several rates.

    Args:
        run: with its maps fitted.
        promise: from `limen.feature.stages.promised`.
        codecs: of pictures, by name (`limen.feature.image_codecs.CODECS`); all if not given.
        steps: of features, as `limen.feature.stages.promise` takes them.
        seeds: of the run; all if not given.
        progress: called with pieces done, pieces in all, and a note.
        expect: called with the seconds that features at the promise are expected to take, then with those that
            pictures take, each where anything is missing.

    Returns:
        Rows of all that the run holds at this promise: way ("features", "integers" or "picture"), who (steps or codec),
        drop, eps, rho, delta, n_calibrate, allowed, at (budget or setting that was taken, None where not even the
        finest keeps the promise), failures, candidates, finest, reach, bytes (an image, header counted), header (of
        these, an estimate), kept, score, seed, n, why, and ratios: bytes relative to each other way at the same
        promise, [ratio, low, high] by its name. 95 % intervals over test images as NAME_low and NAME_high. What lies
        behind them is kept as stages "anchor-walk", "anchor-curve", "anchor-images", "bd-rate" and "sender".

    Raises:
        InputError: a codec of pictures cannot be given what the network sees.
        UnknownNameError: no such codec, or no such steps in this run.
    """
    chosen, wanted = image_codecs.find(codecs), list(seeds) or list(range(run.plan.seeds))
    SeenPixels.of(run.network, run.parts(wanted[0]).fit)
    stages.promise(run, promise, steps, seeds, progress, expect)
    walked = [row for row in measured(run.store, "walk").values() if _same(row, promise) and row["seed"] in wanted]
    kinds = list(dict.fromkeys(row["steps"] for row in walked))
    if expect and (seconds := _seconds(run, promise, chosen, wanted)):
        expect(seconds)
    total, done = len(wanted) * (2 * len(chosen) + len(kinds) + 1), 0
    for seed in wanted:
        for note, work in _works(run, promise, chosen, kinds, seed):
            progress(done, total, f"{note}, seed {seed}")
            work()
            done += 1
    progress(total, total, "done")
    run.store.add_measurements("sender", {"split": _sender(run)})
    run.store.add_measurements("sender-time", {"split": _sender_time(run, wanted[0])})
    run.store.add_measurements("bd-rate", _bd_rates(run))
    found = _at_promises(run)
    run.store.add_measurements("anchor", found)
    return [row for row in found.values() if row["seed"] in wanted and _same(row, promise)]


def _works(
    run: FeatureRun, promise: Promise, codecs: Sequence[ImageCodec], kinds: Sequence[str], seed: int
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the pieces of work of one seed: each writes its rows at once, where the run does not hold them yet."""
    clean = run.clean(seed)
    fitting, test = clean.fit.first(stages.PILOT), clean.test
    seen = SeenPixels.of(run.network, run.parts(seed).fit)
    for codec in codecs:
        parts = (fitting, clean.calibrate, test)
        yield codec.name, functools.partial(_walk_once, run, seen, codec, promise, seed, parts)
        points = functools.partial(_pictures, run, seen, codec, seed, test)
        yield f"curve of {codec.name}", functools.partial(_draw_once, run, codec.name, codec.drawn, seed, points)
    yield "plain integers", functools.partial(_integers_once, run, promise, seed)
    for steps in kinds:
        points = functools.partial(_features, run, steps, seed, test)
        yield f"curve of {steps}", functools.partial(_draw_once, run, steps, BUDGETS, seed, points)


def _seconds(run: FeatureRun, promise: Promise, codecs: Sequence[ImageCodec], seeds: Sequence[int]) -> float:
    """Return about how long the pictures that the run does not hold take here; features and integers are left out."""
    walks, curves = measured(run.store, "anchor-walk"), measured(run.store, "anchor-curve")
    sizes, total, clean = run.plan.sizes, 0.0, run.clean(seeds[0])
    for codec in codecs:
        looked = 0.0
        for seed in seeds:
            if _key(codec.name, promise, seed) not in walks:
                looked += _walk_length(codec, clean.fit.first(stages.PILOT).count, sizes.calibrate) + sizes.test
            if not {f"{codec.name} {setting:g} {seed}" for setting in codec.drawn} <= curves.keys():
                looked += len(codec.drawn) * sizes.test
        if looked:
            total += looked * (_one_picture(run, codec, clean.fit) + run.pace.encode + run.pace.judged)
    return total


def _walk_length(codec: ImageCodec, fitting: int, calibrate: int) -> float:
    """Return how many images are coded until a setting is taken, if images begin to fail halfway."""
    strides = math.ceil(len(codec.settings) / STRIDE) / 2
    return max(1, strides) * fitting + min(len(codec.settings), strides + 2 * STRIDE) * calibrate


def _one_picture(run: FeatureRun, codec: ImageCodec, clean: CleanBatches) -> float:
    """Return the seconds that a codec takes to code and decode an image as the network sees it."""
    images, _ = next(clean.first(1).with_images())
    (image,), setting = SeenPixels.of(run.network, run.parts(0).fit).images(images), codec.drawn[len(codec.drawn) // 2]
    return min(timeit.repeat(lambda: codec.decode(codec.encode(image, setting)), number=1, repeat=2))


def _walk_once(
    run: FeatureRun,
    seen: SeenPixels,
    codec: ImageCodec,
    promise: Promise,
    seed: int,
    parts: tuple[Pictured, Pictured, CleanBatches],
) -> None:
    key = _key(codec.name, promise, seed)
    if key not in measured(run.store, "anchor-walk"):
        run.store.add_measurements("anchor-walk", {key: _walked(run, seen, codec, promise, seed, *parts)})


def _draw_once(
    run: FeatureRun, who: str, settings: Sequence[float], seed: int, points: Callable[[], Sequence[_Point]]
) -> None:
    keys = [f"{who} {setting:g} {seed}" for setting in settings]
    if set(keys) <= measured(run.store, "anchor-curve").keys():
        return
    found = dict(zip(keys, points(), strict=True))
    run.store.add_measurements("anchor-images", {key: images for key, (_, images) in found.items()})  # first: no row
    run.store.add_measurements("anchor-curve", {key: row for key, (row, _) in found.items()})  # without its images


def _key(who: str, promise: Promise, seed: int) -> str:
    return f"{who} {promise.drop} {promise.eps:g} {promise.rho:g} {promise.delta:g} {seed}"


def _same(row: StoredRow, promise: Promise) -> bool:
    return all(row[name] == getattr(promise, name) for name in ("drop", "eps", "rho", "delta"))


# --- pictures ---


@torch.no_grad()
def _received(run: FeatureRun, seen: SeenPixels, codec: ImageCodec, files: Sequence[bytes], like: Any) -> Outputs:
    """Return what the whole network makes of coded pictures."""
    return run.split.outputs(seen.prepared([codec.decode(file) for file in files], like))


def _coded(seen: SeenPixels, codec: ImageCodec, setting: float, prepared: Any) -> list[bytes]:
    return [codec.encode(image, setting) for image in seen.images(prepared)]


def _lost(
    run: FeatureRun, seen: SeenPixels, codec: ImageCodec, setting: float, clean: Pictured, promise: Promise
) -> Iterable[Drops]:
    """Yield what each image loses when it is sent as a picture, batch by batch."""
    for images, batch in clean.with_images():
        received = _received(run, seen, codec, _coded(seen, codec, setting, images), images)
        yield run.task.drop(batch.outputs, received, promise.drop).double().cpu().numpy()


def _candidates(
    codec: ImageCodec, lost: Callable[[float], Iterable[Drops]], promise: Promise
) -> tuple[float, ...]:  # fmt: skip
    """Return the settings to test, finest first: each `STRIDE`-th, and all from a little before images begin to fail.

    Args:
        codec: of pictures.
        lost: what each *fitting* image loses at a setting.
        promise: what is to be kept.
    """
    share, place = (promise.allowed + 0.5) / promise.n, 0
    for place in range(0, len(codec.settings), STRIDE):
        failing = ~(np.concatenate(list(lost(codec.settings[place]))) <= promise.eps)
        if failing.mean() > share:
            break
    start = max(0, place - 2 * STRIDE)
    return codec.settings[:start:STRIDE] + codec.settings[start:]


def _walked(
    run: FeatureRun, seen: SeenPixels, codec: ImageCodec, promise: Promise, seed: int,
    fitting: Pictured, calibration: Pictured, test: CleanBatches,
) -> StoredRow:  # fmt: skip
    """Return the coarsest setting of a codec that keeps a promise, and what test images come to with it."""
    settings = _candidates(codec, lambda one: _lost(run, seen, codec, one, fitting, promise), promise)
    found = walk(settings, lambda place: _lost(run, seen, codec, settings[place], calibration, promise), promise)
    row = _promised(promise) | {
        "who": codec.name, "seed": seed, "candidates": len(found.tried), "finest": found.tried[0].budget,
        "reach": found.reach if math.isfinite(found.reach) else None, "n": run.plan.sizes.test, "why": "",
        "tried": [[one.budget, one.failures, one.images] for one in found.tried],
    }  # fmt: skip
    if found.taken is None:
        none: StoredRow = dict.fromkeys(("at", "kept", "score", "header")) | {"sizes": []}
        first = found.tried[0]
        why = (
            f"No {codec.name} can be shown to keep {promise}: at the finest setting, {first.budget:g}, "
            f"{first.failures} of {first.images} calibration images lose more, and {promise.allowed} may."
        )
        return row | none | {"failures": first.failures, "why": why}
    setting = settings[found.taken]
    sent = _sent_pictures(run, seen, codec, setting, test, promise.drop)
    return row | {
        "at": setting, "failures": found.tried[found.taken].failures, "header": codec.header(setting, *_sides(run)),
        "sizes": sent.bytes, "kept": sum(drop <= promise.eps for drop in sent.drops),
    } | stages.scored(run.task, sent.answers, sent.targets)  # fmt: skip


def _promised(promise: Promise) -> StoredRow:
    named = {name: getattr(promise, name) for name in ("drop", "eps", "rho", "delta", "allowed")}
    return named | {"n_calibrate": promise.n}


def _sides(run: FeatureRun) -> tuple[int, int]:
    height, width = run.store.manifest["split"]["image"][-2:]
    return int(height), int(width)


def _sent_pictures(
    run: FeatureRun, seen: SeenPixels, codec: ImageCodec, setting: float, test: CleanBatches, drop: str
) -> _Sent:
    sent = _Sent()
    for images, batch in test.with_images():
        files = _coded(seen, codec, setting, images)
        sent.bytes += [len(file) for file in files]
        _felt(run, sent, batch, _received(run, seen, codec, files, images), drop)
    return sent


def _felt(run: FeatureRun, sent: _Sent, clean: CleanBatch, received: Outputs, drop: str) -> None:
    sent.discrepancy += run.task.discrepancy(clean.outputs, received).double().cpu().tolist()
    sent.drops += run.task.drop(clean.outputs, received, drop).double().cpu().tolist()
    sent.answers += run.task.answers(received)
    sent.targets += clean.targets


def _pictures(
    run: FeatureRun, seen: SeenPixels, codec: ImageCodec, seed: int, test: CleanBatches
) -> list[_Point]:  # fmt: skip
    rows = []
    for setting in codec.drawn:
        sent = _sent_pictures(run, seen, codec, setting, test, run.plan.drop)
        header = codec.header(setting, *_sides(run))
        rows.append(_point(run, "picture", codec.name, setting, seed, sent, header))
    return rows


# --- features ---


def _features(run: FeatureRun, steps: str, seed: int, test: CleanBatches) -> list[_Point]:
    """Return what test images come to when their features are sent, at each of `BUDGETS`."""
    coder, rows = usual(), []
    for quantiser in stages.quantisers(run, steps, BUDGETS, seed):
        sent = _sent_features(run, quantiser, test, coder)
        rows.append(_point(run, "features", steps, quantiser.budget, seed, sent, HEADER))
    return rows


@torch.no_grad()
def _sent_features(run: FeatureRun, quantiser: Quantiser, test: CleanBatches, coder: str) -> _Sent:
    sent = _Sent()
    for batch in test:
        alone = (batch[place : place + 1] for place in range(len(batch)))
        sent.bytes += [len(quantiser.encode(one.features, one.names, coder)) for one in alone]
        quantised = quantiser.quantise(batch.features, batch.names)
        sent.ideal += ((quantised.bits + quantised.side_bits) / 8).tolist()
        _felt(run, sent, batch, run.split.head(quantised.features), run.plan.drop)
    return sent


def _point(run: FeatureRun, way: Way, who: str, at: float, seed: int, sent: _Sent, header: int) -> _Point:
    moved = [float(f"{value:.7g}") if math.isfinite(value) else None for value in sent.discrepancy]
    known = [value for value in moved if value is not None]
    named: StoredRow = {"way": way, "who": who, "at": at, "seed": seed, "n": len(sent.bytes)}
    row = named | stages.scored(run.task, sent.answers, sent.targets) | {"header": header}
    row["ideal"] = statistics.fmean(sent.ideal) if sent.ideal else None
    for name, values in (("bytes", sent.bytes), ("discrepancy", known)):
        whole = len(values) == len(sent.bytes)
        interval = bootstrap_mean(values) if whole else None
        row[name] = statistics.fmean(values) if whole else None
        row |= {f"{name}_low": interval and interval.low, f"{name}_high": interval and interval.high}
    return row, named | {"bytes": sent.bytes, "discrepancy": moved}


# --- integers ---


def _integers_once(run: FeatureRun, promise: Promise, seed: int) -> None:
    """Hold each plain integer code to the promise, all by themselves: none is chosen among them."""
    clean, there = run.clean(seed), measured(run.store, "anchor-walk")
    codes = [code for code in integers.fit(clean.fit) if _key(code.name, promise, seed) not in there]
    for code in codes:
        drops = np.concatenate([_dropped(run, code, batch, promise) for batch in clean.calibrate])
        failures = int((~(drops <= promise.eps)).sum())
        reach = float(np.sort(drops)[-1 - promise.allowed])
        sent = _sent_integers(run, code, clean.test, promise.drop)
        row, images = _point(run, "integers", code.name, code.bits, seed, sent, 0)
        key = f"{code.name} {code.bits:g} {seed}"
        run.store.add_measurements("anchor-images", {key: images})
        run.store.add_measurements("anchor-curve", {key: row})
        held = _promised(promise) | {
            "way": "integers", "who": code.name, "seed": seed, "candidates": 1, "finest": code.bits,
            "n": len(sent.bytes), "reach": reach if math.isfinite(reach) else None, "failures": failures,
            "tried": [[code.bits, failures, len(drops)]],
        }  # fmt: skip
        if failures <= promise.allowed:
            held |= {"at": code.bits, "header": 0, "sizes": sent.bytes, "why": ""}
            held |= {"kept": sum(drop <= promise.eps for drop in sent.drops)}
            held |= stages.scored(run.task, sent.answers, sent.targets)
        else:
            why = f"{failures} of {len(drops)} calibration images lose more, and {promise.allowed} may."
            held |= dict.fromkeys(("at", "kept", "score", "header")) | {"sizes": []}
            held |= {"why": f"{code.name} cannot be shown to keep {promise}: {why}"}
        run.store.add_measurements("anchor-walk", {_key(code.name, promise, seed): held})


@torch.no_grad()
def _dropped(run: FeatureRun, code: IntegerCode, batch: CleanBatch, promise: Promise) -> Drops:
    received = run.split.head(code.quantise(batch.features))
    return run.task.drop(batch.outputs, received, promise.drop).double().cpu().numpy()


@torch.no_grad()
def _sent_integers(run: FeatureRun, code: IntegerCode, test: CleanBatches, drop: str) -> _Sent:
    sent = _Sent()
    for batch in test:
        sent.bytes += [code.bytes(batch.features)] * len(batch)
        _felt(run, sent, batch, run.split.head(code.quantise(batch.features)), drop)
    return sent


# --- the sender ---


def _sender(run: FeatureRun) -> StoredRow:
    """Return operations of an image, and parameters, before the split and of the whole network."""
    image = run.parts(0).fit.batch([0]).images
    return {
        "before": flops(lambda: run.split.encode(image)),
        "whole": flops(lambda: run.split.outputs(image)),
        "parameters_before": run.split.parameters(image),
        "parameters": run.network.parameters,
    }


def _sender_time(run: FeatureRun, seed: int) -> StoredRow:
    """Return the seconds that one image takes here, alone: before the split, to be coded, to be decoded."""
    images, batch = next(run.clean(seed).test.first(1).with_images())
    (made,), coder = stages.quantisers(run, REFERENCE, (BUDGETS[len(BUDGETS) // 2],), seed), usual()
    sent = made.encode(batch.features, batch.names, coder)
    works = {
        "seconds": lambda: run.split.encode(images),
        "code": lambda: made.encode(batch.features, batch.names, coder),
        "decode": lambda: made.decode(sent),
    }
    return {name: min(timeit.repeat(work, number=1, repeat=TIMED)) for name, work in works.items()} | {
        "elements": batch.features.elements, "device": run.split.device.type,
    }  # fmt: skip


# --- side by side ---


def _at_promises(run: FeatureRun) -> dict[str, StoredRow]:
    """Return pictures and features at each promise that pictures were held to, with their bytes and ratios."""
    others = [{"way": "picture"} | row for row in measured(run.store, "anchor-walk").values()]
    features = [
        {"way": "features", "who": row["steps"], "at": row["budget"], "header": HEADER if row["sizes"] else None} | row
        for row in measured(run.store, "walk").values()
    ]
    made = {}
    for seed, *named in sorted({(row["seed"], *(row[name] for name in PROMISE)) for row in others}):
        promise = Promise(*named)
        there = [row for row in (*features, *others) if row["seed"] == seed and _same(row, promise)]
        sizes = {row["who"]: row["sizes"] for row in there if row["sizes"]}
        for row in there:
            made[_key(row["who"], promise, seed)] = _beside(row, sizes)
    return made


def _beside(row: StoredRow, sizes: Mapping[str, Sequence[int]]) -> StoredRow:
    """Return a row of a walk with its bytes, and these relative to those of the others."""
    mine = row["sizes"]
    interval = bootstrap_mean(mine) if mine else None
    ratios = {}
    for who, theirs in sizes.items():
        if mine and who != row["who"]:
            ratio, ends = relative(mine, theirs, row["seed"])
            ratios[who] = [ratio, *(ends or (None, None))]
    left = ("sizes", "tried", "steps", "budget", "key", "coder")
    return {name: value for name, value in row.items() if name not in left} | {
        "bytes": statistics.fmean(mine) if mine else None,
        "bytes_low": interval and interval.low,
        "bytes_high": interval and interval.high,
        "ratios": ratios,
    }


def _bd_rates(run: FeatureRun) -> dict[str, StoredRow]:
    """Return the BD-rate of each way relative to `REFERENCE`, over discrepancy and over score.

    Points that a cheaper one equals or beats are left out and counted: a curve must rise to be turned round.
    """
    points = [row for row in measured(run.store, "anchor-curve").values() if row["way"] != "integers"]
    images = list(measured(run.store, "anchor-images").values())
    made = {}
    for seed in sorted({row["seed"] for row in points}):
        mine = [row for row in points if row["seed"] == seed]
        apart = [row for row in images if row["seed"] == seed]
        for who in dict.fromkeys(row["who"] for row in mine):
            for over in ("discrepancy", "score"):
                for method in SHOWN:
                    if who != REFERENCE:
                        row = _bd_rate(mine, apart, who, over, method)
                        made[f"{who} {over} {method} {seed}"] = row | {"seed": seed}
    return made


def _bd_rate(points: list[StoredRow], images: list[StoredRow], who: str, over: str, method: Method) -> StoredRow:
    row = next(one for one in points if one["who"] == who)
    made: StoredRow = {name: row[name] for name in ("way", "who", "n")} | {"over": over, "method": method}
    reference, mine = _curve(points, REFERENCE, over), _curve(points, who, over)
    made |= {"against": REFERENCE, "percent_low": None, "percent_high": None, "why": ""}
    made["left_out"] = sum(len(curve.rates) - len(front(curve).rates) for curve in (reference, mine))
    try:
        found = bd_rate(front(reference), front(mine), method)
    except InputError as error:
        return made | dict.fromkeys(("percent", "low", "high", "overlap")) | {"why": str(error)}
    ends = _resampled(images, who, method, row["seed"]) if over == "discrepancy" else None
    return made | asdict(found) | ({"percent_low": ends[0], "percent_high": ends[1]} if ends else {})


def _curve(points: Sequence[StoredRow], who: str, over: str) -> RateCurve:
    known = [row for row in points if row["who"] == who and row[over] is not None]
    if over == "discrepancy":
        known = [row for row in known if row[over] > 0]
    qualities = [_decibels(row[over]) if over == "discrepancy" else row[over] for row in known]
    return RateCurve(f"{who} over {over}", [row["bytes"] for row in known], qualities)


def _decibels(discrepancy: float) -> float:
    """Return the quality that a discrepancy is: logarithmic, as PSNR is of a squared error; more is better."""
    return -10 * math.log10(discrepancy)


def _resampled(images: Sequence[StoredRow], who: str, method: Method, seed: int) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of a BD-rate over discrepancy, over test images; None where draws have none.

    All curves of a seed are drawn alike, so that what they share cancels.
    """
    there = [row for row in images if row["who"] in (who, REFERENCE) and None not in row["discrepancy"]]
    n = there[0]["n"] if there else 0
    drawn = digest.generator("resample", seed).integers(0, n, (RESAMPLES, n)) if n else np.zeros((0, 0), int)
    means = [
        (row["who"], *(np.asarray(row[name], np.float64)[drawn].mean(1) for name in ("bytes", "discrepancy")))
        for row in there
    ]
    found = []
    for place in range(len(drawn)):
        again = [{"who": one, "bytes": size[place], "discrepancy": moved[place]} for one, size, moved in means]
        try:
            reference, mine = (front(_curve(again, one, "discrepancy")) for one in (REFERENCE, who))
            found.append(bd_rate(reference, mine, method).percent)
        except InputError:
            continue
    if len(found) < ENOUGH * RESAMPLES:
        return None
    low, high = np.quantile(found, (0.025, 0.975)).tolist()
    return low, high
