"""Features or the picture: table, figure and sentence of what either costs, from rows of numbers alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limen.curve import Mean
from limen.report.feature_tables import (
    AGAINST,
    HEADLINE_STEPS,
    PROMISE,
    Rows,
    factor_mean,
    grouped,
    promise_of,
    seed_mean,
    seeds_of,
    sized,
)
from limen.report.figures import Spec, identity, layer, line, points, quantity
from limen.report.format import NONE, Table, counts, over_seeds

FEATURES, INTEGERS, PICTURE = "features", "integers", "picture"
TITLE = "Features or the picture"
DRAWN = ("jpeg", "webp", "avif", "jpeg2000", "webp-lossless", "jpeg-444", "avif-444")
"""Codecs in the order in which a figure takes them, as far as its colours go; the table has all."""
ROUNDING = 1e-6  # of a discrepancy: below it is what float32 makes of nothing
MOST = 7  # lines that can be told apart
WHY = {"a BD-rate takes": "too few points", "share no quality": "no overlap", "no numbers": "no numbers"}
"""What a reason for no BD-rate holds, and how a cell says it."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Features beside the picture, at one promise.

    Attributes:
        promise: in words.
        steps: of the features that are told of; "" where none keep the promise.
        codec: of pictures, the one with the fewest bytes that keeps it; "" where none does.
        codecs: how many were tried.
        features, picture: bytes an image.
        factor: bytes of the features relative to that picture, of the seeds that have both.
        n: test images, as text.
        share: of the network's operations that the sender of features computes; None where nobody counted.
    """

    promise: str
    steps: str
    codec: str
    codecs: int
    features: Mean
    picture: Mean
    factor: Mean
    n: str
    share: float | None

    @property
    def verdict(self) -> str:
        """Which of the two takes fewer bytes, by the whole interval."""
        if not self.factor.n:
            return "Cannot tell"
        interval = self.factor.interval
        if interval and interval.high < 1:
            return "Features take fewer bytes than the picture"
        if interval and interval.low > 1:
            return "The picture takes fewer bytes than features"
        return "No difference shown between features and the picture"

    @property
    def among(self) -> str:
        """Say after a codec's name how many it was the cheapest of; "" where it was the only one."""
        return f", the cheapest of {self.codecs} codecs of pictures" if self.codecs > 1 else ""

    @property
    def sentence(self) -> str:
        """Say it with the numbers, in words to quote."""
        sender = "" if self.share is None else (
            f" For features the sender computes {100 * self.share:.0f} % of the network's operations, for a picture "
            "none of them.")  # fmt: skip
        if not self.factor.n:
            mine = f"features take {sized(self.features)} bytes an image" if self.steps else "no features keep it"
            theirs = (
                f"the picture takes {sized(self.picture)} bytes ({self.codec}{self.among})" if self.codec
                else f"none of {self.codecs} codecs of pictures keeps it" if self.codecs > 1
                else "the only codec of pictures that was tried does not keep it"
            )  # fmt: skip
            return f"{self.promise}: {mine}, {theirs}.{sender}"
        return (
            f"{self.verdict}, at {self.promise}: {sized(self.features)} bytes an image with {self.steps} steps, "
            f"{over_seeds(self.factor, '.2f')} of the {sized(self.picture)} of {self.codec}"
            f"{self.among} (n = {self.n} images).{sender}"
        )

    @property
    def quoted(self) -> str:
        """Say it after the bytes of the features, in words to quote; "" where there is nothing to compare."""
        if not self.factor.n:
            return ""
        return (
            f"As a picture an image takes {sized(self.picture)} bytes at the same promise ({self.codec}"
            f"{self.among}): features take {over_seeds(self.factor, '.2f')} of them"
        )


def at_promise(rows: Rows, plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows at the plan's own promise, or at the first that there is.

    Args:
        rows: of the stage "anchor".
        plan: of the run.
    """
    own = (plan["drop"], plan["eps"], plan["rho"])
    first = next((row for row in rows if (row["drop"], row["eps"], row["rho"]) == own), rows[0] if rows else None)
    return [row for row in rows if first and all(row[name] == first[name] for name in PROMISE)]


def beside(rows: Rows, sender: Rows) -> Beside:
    """Work out what is told first, of rows at one promise.

    Args:
        rows: of the stage "anchor", at one promise.
        sender: of the stage "sender".
    """
    kept = {
        (way, who): [row for row in mine if row["bytes"] is not None]
        for (way, who), mine in grouped(rows, "way", "who").items()
    }
    steps, mine = _told(kept)
    pictures = {who: seed_mean(found, "bytes") for (way, who), found in kept.items() if way == PICTURE}
    whole = {who: size for who, size in pictures.items() if size.n == len(seeds_of(rows))} or {
        who: size for who, size in pictures.items() if size.n}  # fmt: skip
    codec = min(whole, key=lambda who: whole[who].value, default="")
    none = Mean(math.nan, None, 0)
    counted = sender[0] if sender else None
    return Beside(
        f"{promise_of(rows[0])} with confidence {1 - rows[0]['delta']:g}",
        steps, codec, len(pictures),
        seed_mean(mine, "bytes") if mine else none,
        whole.get(codec, none),
        _relative(mine, codec),
        counts([row["n"] for row in rows]),
        counted["before"] / counted["whole"] if counted and counted["whole"] else None,
    )  # fmt: skip


def _told(kept: Mapping[tuple[str, str], Rows]) -> tuple[str, Rows]:
    """Return the features that are told of, by the order that was settled beforehand, with their rows."""
    there = [who for way, who in kept if way == FEATURES]
    order = [*HEADLINE_STEPS, *(who for who in there if who not in AGAINST), *AGAINST]
    steps = next((who for who in order if kept.get((FEATURES, who))), "")
    return steps, kept.get((FEATURES, steps), [])


def _relative(rows: Rows, to: str) -> Mean:
    """Return the bytes of rows, one a seed, relative to those of another way of sending."""
    there = [row["ratios"][to] for row in rows if to in row["ratios"]]
    return factor_mean([dict(zip(("of", "of_low", "of_high"), ratio, strict=True)) for ratio in there], "of")


def integers(manifest: Mapping[str, Any], rows: Rows, points: Rows) -> Table:
    """Lay out plain integers: what an image takes, what is left, and whether the promise is kept.

    Args:
        manifest: of the run.
        rows: of the stage "anchor", at one promise, with some of integers among them.
        points: of the stage "anchor-curve".
    """
    measures, held = manifest["measures"], grouped([row for row in rows if row["way"] == INTEGERS], "who")
    told = _told({key: [one for one in mine if one["bytes"] is not None]
                  for key, mine in grouped(rows, "way", "who").items()})  # fmt: skip
    cells = []
    for (who,), mine in held.items():
        drawn_ = [row for row in points if row["who"] == who]
        failing = sum(row["failures"] for row in mine)
        kept = all(row["at"] is not None for row in mine)
        bytes_ = drawn_[0]["bytes"]
        factor = factor_mean([{"of": bytes_ / row["bytes"], "of_low": None, "of_high": None} for row in told[1]], "of")
        cells.append(
            (
                who, f"{bytes_:,.0f}", f"{factor.value:.2f}" if factor.n else NONE,
                over_seeds(seed_mean(drawn_, "discrepancy"), ".3g"), over_seeds(seed_mean(drawn_, "score")),
                f"{'kept' if kept else 'not kept'} ({failing} of {sum(row['n_calibrate'] for row in mine)})",
            )
        )  # fmt: skip
    return Table(
        "Plain integers, as networks are quantised",
        ("coded as", "bytes an image", "to the features", measures["discrepancy"], measures["score"],
         "promise (beyond eps)"),
        tuple(cells),
        (
            "Affine integers of 8 or 4 bits, packed, not entropy-coded. Ranges of a tensor or channel are those of the "
            "fitting images and are not sent; those of a token are its own, 4 bytes. "
            f"{measures['discrepancy'][:1].upper()}{measures['discrepancy'][1:]} and score are of "
            f"{counts([row['n'] for row in rows])} test images; beyond eps: how many calibration images lose more.",
        ),
        spare=(measures["score"], measures["discrepancy"]),
    )  # fmt: skip


def sending(sender: Rows, times: Rows) -> str:
    """Say what the sender of features holds, computes and takes; "" where nobody looked.

    Args:
        sender: of the stage "sender".
        times: of the stage "sender-time".
    """
    if not sender or not sender[0].get("parameters"):
        return ""
    one = sender[0]
    said = (
        f"The sender of features holds {one['parameters_before']:,} of the network's {one['parameters']:,} parameters "
        f"and computes {one['before'] / 1e6:,.1f} of its {one['whole'] / 1e6:,.1f} million operations for an image."
    )
    if times:
        ms = {name: f"{1000 * times[0][name]:.2g}" for name in ("seconds", "code", "decode")}
        said += (
            f" On one image alone that took {ms['seconds']} ms where it was measured ({times[0]['device']}), coding "
            f"its {times[0]['elements']:,} elements {ms['code']} ms, decoding them {ms['decode']} ms."
        )
    return said


def table(manifest: Mapping[str, Any], rows: Rows, rates: Rows, sender: Rows, times: Rows = ()) -> Table:
    """Lay out features and pictures side by side at one promise, the fewest bytes first.

    Args:
        manifest: of the run.
        rows: of the stage "anchor", at one promise.
        rates: of the stage "bd-rate".
        sender: of the stage "sender".
        times: of the stage "sender-time".
    """
    told, measures = beside(rows, sender), manifest["measures"]
    groups = grouped(rows, "way", "who")
    sizes = {key: seed_mean(mine, "bytes") for key, mine in groups.items()}
    order = sorted(groups, key=lambda key: sizes[key].value if sizes[key].n else math.inf)
    cells = [
        (
            *key,
            *_cost(groups[key], sizes[key], told.steps),
            *(_bd(rates, key[1], over) for over in ("discrepancy", "score")),
            *_settled(groups[key]),
        )
        for key in order
    ]
    against = next((row["against"] for row in rates), AGAINST[0])
    failing = [row for row in rows if row["at"] is None]
    seeds = ["" if len(seeds_of(rows)) == 1 else f" with seed {row['seed']}" for row in failing]
    unkept = ", ".join(f"{row['who']} ({row['failures']}{seed})" for row, seed in zip(failing, seeds, strict=True))
    whys = [
        f"Not kept even at the finest setting (in brackets how many of the calibration images lose more, where "
        f"{counts([row['allowed'] for row in failing])} may): {unkept}."
    ] if failing else []  # fmt: skip
    overlaps = [row["overlap"] for row in rates if row["overlap"] is not None]
    stands = f" They stand on {min(overlaps):.0%} to {max(overlaps):.0%} of what either curve has." if overlaps else ""
    starred = " *: without points that a cheaper one equals or beats." if any(row["left_out"] for row in rates) else ""
    return Table(
        f"{TITLE}: {promise_of(rows[0])}",
        ("sent", "coded as", "bytes an image", "to the features", "kept", measures["score"],
         f"BD-rate over {measures['discrepancy']}", f"BD-rate over {measures['score']}", "header", "setting"),
        tuple(cells),
        (
            f"Each keeps the promise with confidence {1 - rows[0]['delta']:g}, tested on "
            f"{counts([row['n_calibrate'] for row in rows])} calibration images; bytes, kept and score are of "
            f"{counts([row['n'] for row in rows])} test images, each coded alone, in brackets 95 %. To the features: "
            f"bytes relative to those with {told.steps or 'any'} steps; above 1 takes more.",
            "Pictures are sent as the network sees them, in 8 bits, and go through the whole network. Header: bytes "
            "of them that a uniformly grey picture takes too (of features, what stands before the coded numbers).",
            f"BD-rate: bytes more or less than {against} takes, in the mean over what both reach (PCHIP); over "
            f"{measures['discrepancy']} on a logarithmic scale.{stands}{starred}",
            *whys,
            *filter(None, [sending(sender, times)]),
        ),
        heads=2,
        spare=("sent", "setting", "header", f"BD-rate over {measures['score']}", "kept"),
    )  # fmt: skip


def _cost(rows: Rows, size: Mean, steps: str) -> tuple[str, ...]:
    """Return the cells of bytes, ratio, kept and score."""
    if not size.n:
        return ("none keeps it", *[NONE] * 3)
    reached = [row for row in rows if row["bytes"] is not None]
    ratio = _relative(reached, steps)
    kept, n = sum(row["kept"] for row in reached), sum(row["n"] for row in reached)
    score = seed_mean(reached, "score")
    return (
        sized(size),
        "1" if rows[0]["who"] == steps else over_seeds(ratio, ".2f") or NONE,
        f"{kept / n:.3f}",
        over_seeds(score) or NONE,
    )


def _settled(rows: Rows) -> tuple[str, str]:
    """Return the cells of header and setting, means over the seeds that keep the promise."""
    header, setting = seed_mean(rows, "header"), seed_mean(rows, "at")
    return (f"{header.value:.0f}", f"{setting.value:.3g}") if header.n and setting.n else (NONE, NONE)


def _bd(rates: Rows, who: str, over: str) -> str:
    """Return a cell of the BD-rate by PCHIP, or why there is none."""
    mine = [row for row in rates if (row["who"], row["over"], row["method"]) == (who, over, "pchip")]
    if not mine:
        return "0" if any(row["against"] == who for row in rates) else NONE
    found = seed_mean(mine, "percent")
    if found.n:
        ends = f" ({found.interval.low:+.0f} to {found.interval.high:+.0f})" if found.interval else ""
        return f"{found.value:+.0f} %{'*' * any(row['left_out'] for row in mine)}{ends}"
    return next((cell for part, cell in WHY.items() if part in mine[0]["why"]), NONE)


def drawn(rows: Rows, told: Beside) -> list[str]:
    """Return what the figure draws: the features told of, one step an image, the cheapest picture, then others.

    Args:
        rows: of the stage "anchor-curve".
        told: what is told first.
    """
    there = list(dict.fromkeys(row["who"] for row in rows if row["way"] != INTEGERS))
    order = dict.fromkeys((told.steps, AGAINST[0], told.codec, *DRAWN, *there))
    return [who for who in order if who in there][:MOST]


def curves_of(rows: Rows, told: Beside) -> str:
    """Return what `curves` shows, and how much it leaves out."""
    shown, there = len(drawn(rows, told)), len({row["who"] for row in rows})
    some = f"; {shown} of {there} ways to send, the cheapest among them" if shown < there else ""
    return f"Left is fewer bytes an image, logarithmic; up on the left panel and down on the right one is better{some}"


def curves(manifest: Mapping[str, Any], rows: Rows, told: Beside, width: int) -> Spec:
    """Return score and discrepancy against bytes an image, a line for each way to send.

    Args:
        manifest: of the run.
        rows: of the stage "anchor-curve".
        told: what is told first.
        width: of the page, in px.
    """
    labels, measures = drawn(rows, told), manifest["measures"]
    panels = [
        _panel(rows, labels, "score", measures["score"], "linear", width),
        _panel(rows, labels, "discrepancy", measures["discrepancy"], "log", width),
    ]
    return {("hconcat" if width > 500 else "vconcat"): panels, "spacing": 40}


def _panel(rows: Rows, labels: Sequence[str], name: str, title: str, scale: str, width: int) -> Spec:
    values = []
    for (way, who, at), mine in grouped(rows, "way", "who", "at").items():
        size, found = seed_mean(mine, "bytes"), seed_mean(mine, name)
        if who in labels and found.n and (scale == "linear" or found.value > ROUNDING):
            values.append({"who": who, "way": way, "at": at, "bytes": size.value, "mean": found.value})
    look = identity(labels, columns=4 if width > 500 else 1)
    x = quantity("bytes", "bytes an image", {"type": "log", "nice": False}, grid=False, tickCount=5, format="~s")
    ends = _powers([value["mean"] for value in values]) if scale == "log" else {}
    y = quantity("mean", title, {"type": scale, "zero": False, "nice": True}, domain=False, ticks=False, tickCount=6,
                 format="~g", **ends)  # fmt: skip
    dashed = {"field": "way", "type": "nominal", "legend": None,
              "scale": {"domain": [FEATURES, PICTURE], "range": [[1, 0], [5, 3]]}}  # fmt: skip
    layers = [
        layer(line(2), values, x=x, y=y, color=look["color"], strokeDash=dashed, order={"field": "bytes"}),
        layer(points(45), values, x=x, y=y, **look),
    ]
    return {"width": (width - 190) // 2 if width > 500 else width - 70, "height": 280, "layer": layers}


def _powers(means: Sequence[float]) -> Spec:
    if not means:
        return {}
    low, high = math.floor(math.log10(min(means))), math.ceil(math.log10(max(means)))
    return {"values": [10.0**power for power in range(low, high + 1)]}
