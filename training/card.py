"""Measure the demo model on the held-out photographs, through limen itself, and write the figures into its card.

    python training/card.py

Crops of the five held-out photographs are distorted by limen's distortions, asked about with `limen.question`,
answered by limen's `demo` observer and read by `question.read`. Pairs whose pixels are equal are left out of cells
that should hold a difference. The text of the card outside the two markers is left as it is.
"""

import argparse
import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pairs import NAMES
from pictures import HELD_OUT, crop, photograph

from limen import distortion, ident, question
from limen.image import Image, Picture
from limen.observer import Observer, make
from limen.reading import Flag

CARD = Path(__file__).resolve().parents[1] / "src" / "limen" / "data" / "demo" / "MODEL_CARD.md"
BEGIN, FINISH = "<!-- figures: written by training/card.py -->", "<!-- end of figures -->"
LEVELS = (1, 2, 3, 5, 7, 10, 14, 20, 28, 35, 50, 70, 100)
SHOWN = (5, 10, 20, 35)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: shares of `n` answers.

    Attributes:
        yes: read as yes.
        unreadable: that could not be read.
        faulty: with any fault.
    """

    n: int
    yes: float
    unreadable: float
    faulty: float

    def __str__(self) -> str:
        return f"{self.yes:.2f}" if self.n >= 100 else f"{self.yes:.2f} (n {self.n})"


class Bench:
    """Asks the demo observer about crops of the held-out photographs.

    Args:
        observer: the demo model.
        crops: of each photograph.
    """

    def __init__(self, observer: Observer, crops: int) -> None:
        self.observer = observer
        self.images: list[Image] = []
        for name in HELD_OUT:
            rng = ident.generator("card", name)
            picture = photograph(name)
            self.images.extend(crop(picture, rng, 100) for _ in range(crops))
        self.cells: list[Cell] = []

    async def share(
        self, name: str, base: int, level: int, title: str = "direct", word: str = "", again: bool = False
    ) -> Cell:
        """Return the answers to one question about `name` at `level` against a reference at `base`."""
        kind, asked = distortion.find(name), question.find(title)
        queries = []
        for number, image in enumerate(self.images):
            at = kind.render(image, f"card {number}")
            reference, stimulus = Picture.of(at(base)), Picture.of(at(level))
            if base == level or reference.digest != stimulus.digest:
                queries.extend(asked.ask(word or kind.word, reference, stimulus, again))
        gate = asyncio.Semaphore(self.observer.concurrency)

        async def verdict(query: question.Query) -> question.Verdict:
            async with gate:
                reply = await self.observer.answer(query)
            assert reply.answer is not None
            return asked.read((reply.answer,))

        verdicts = await asyncio.gather(*(verdict(query) for query in queries))
        n = len(verdicts)
        cell = Cell(
            n,
            sum(v.yes for v in verdicts) / n if n else math.nan,
            sum(v.flag is Flag.UNREADABLE for v in verdicts) / n if n else math.nan,
            sum(v.fault is not None for v in verdicts) / n if n else math.nan,
        )
        self.cells.append(cell)
        return cell


def half(levels: Sequence[int], shares: Sequence[float]) -> str:
    """Return the level at which the share first crosses one half, interpolated between the levels asked."""
    last_level, last = 0, 0.0
    for level, share in zip(levels, shares, strict=True):
        if share >= 0.5:
            return f"{last_level + (level - last_level) * (0.5 - last) / (share - last):.1f}"
        last_level, last = level, share
    return f">{last_level}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


async def measure(bench: Bench) -> str:
    """Return all tables as Markdown."""
    explicit, wordings, alarms, others = [], [], [], []
    for name in NAMES:
        kind = distortion.find(name)
        top = len(kind.ladder)
        levels = [level for level in LEVELS if level <= top]
        clean = await bench.share(name, 0, 0)
        cells = {level: await bench.share(name, 0, level) for level in levels}
        explicit.append(
            [
                name,
                half(levels, [cells[level].yes for level in levels]),
                clean,
                *(cells[level] for level in SHOWN),
                f"{cells[top]} ({top})",
            ]
        )
        row: list[object] = [name]
        for title, again in (
            ("direct", True),
            ("direct-implicit", False),
            ("direct-implicit", True),
            ("choice", False),
            ("choice", True),
            ("choice-implicit", False),
            ("choice-implicit", True),
        ):
            none = await bench.share(name, 0, 0, title, again=again)
            full = await bench.share(name, 0, top, title, again=again)
            row.append(f"{none}, {full}")
        wordings.append(row)
        base, step = round(0.3 * top), round(0.2 * top)
        alarms.append(
            [
                name,
                await bench.share(name, base, base),
                await bench.share(name, top, top),
                await bench.share(name, top, top, "direct-implicit"),
                await bench.share(name, base, base + step),
                await bench.share(name, base, base + 2 * step),
                await bench.share(name, top, 0),
            ]
        )
        words = {other: distortion.find(other).word for other in NAMES if other != name}
        cross = {other: await bench.share(name, 0, top, word=word) for other, word in words.items()}
        no = 1 - sum(cell.yes for cell in cross.values()) / len(cross)
        worst = sorted(((cell.yes, other) for other, cell in cross.items() if cell.yes >= 0.1), reverse=True)
        others.append([name, f"{no:.2f}", ", ".join(f"{other} {yes:.2f}" for yes, other in worst) or "-"])
        print(" | ".join(str(cell) for cell in (*explicit[-1], *row[1:], *alarms[-1][1:], *others[-1][1:])), flush=True)
    asked = sum(cell.n for cell in bench.cells)
    unreadable = sum(cell.n * cell.unreadable for cell in bench.cells if cell.n) / asked
    faulty = sum(cell.n * cell.faulty for cell in bench.cells if cell.n) / asked
    smallest = min(cell.n for cell in bench.cells)
    photographs = ", ".join(Path(name).stem for name in HELD_OUT)
    return "\n\n".join(
        [
            f"{len(bench.images)} random square crops (100 px to the whole shorter side, brought to 64x64) of the "
            f"{len(HELD_OUT)} held-out photographs ({photographs}), {smallest} to {len(bench.images)} pairs a cell; "
            "so n counts five photographs, seen in many crops. With n = 100 the 95 % Wilson interval of .00 is "
            ".00-.04, of .95 it is .89-.98. "
            f"{asked} answers: {unreadable:.4f} unreadable, {faulty:.4f} with a fault.",
            "Explicit direct question, share of yes against an undistorted reference (in brackets: the top level):",
            table(["distortion", "half yes at level", "0", *(str(level) for level in SHOWN), "top"], explicit),
            "Other wordings, share of yes at level 0, at the top:",
            table(
                [
                    "distortion",
                    "direct, paraphrase",
                    "implicit",
                    "paraphrase",
                    "choice",
                    "paraphrase",
                    "choice-implicit",
                    "paraphrase",
                ],
                wordings,
            ),
            "Comparing: share of yes where both pictures carry the same distortion at 30 % or 100 % of the ladder "
            "(false alarms); from a reference at 30 % to 50 %, to 70 %; and the top against level 0, in swapped order:",
            table(["distortion", "30, 30", "100, 100", "100, 100 implicit", "30, 50", "30, 70", "100, 0"], alarms),
            "Asked about another distortion (nine words, top level): share of no, and words with a share of yes "
            "of .10 or more:",
            table(["shown", "no", "taken for"], others),
        ]
    )


def trained() -> str:
    """Return what the training script wrote down about itself, in one sentence."""
    facts = json.loads((CARD.parent / "training.json").read_text())
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"Trained in {facts['seconds']} s ({facts['cpu_seconds']} s of CPU time, pair making included): "
        f"{facts['steps']} steps of 32 pairs, {facts['parameters']} parameters, seed {facts['seed']}; last losses "
        f"{facts['flag_loss']} (flag) and {facts['rest_loss']} (rest of the answer), score on the validation pictures "
        f"{facts['validation_score']}; largest difference in logits of the ONNX export "
        f"{facts['onnx_largest_logit_difference']:.1e} ({versions})."
    )


async def run(crops: int) -> str:
    """Return the tables for `crops` crops of each photograph."""
    async with make("demo", {}) as observer:
        return trained() + "\n\n" + await measure(Bench(observer, crops))


def main() -> None:
    """Measure, print, and write the tables into the card."""
    parser = argparse.ArgumentParser(description="Measure the demo model and write its card's figures.")
    parser.add_argument("--crops", type=int, default=24, help="crops of each photograph")
    parser.add_argument("--card", type=Path, default=CARD, help="the card, or a file without markers to fill")
    arguments = parser.parse_args()
    figures = asyncio.run(run(arguments.crops))
    text = arguments.card.read_text() if arguments.card.exists() else f"{BEGIN}\n{FINISH}\n"
    before, rest = text.split(BEGIN)
    after = rest.split(FINISH)[1]
    arguments.card.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{FINISH}{after}")


if __name__ == "__main__":
    main()
