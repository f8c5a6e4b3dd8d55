"""Ask a demo model about the held-out photographs, through limen itself, and write down every cell of answers.

    python training/held_out.py FOLDER training/figures/seed-1.json

Crops of the five held-out photographs are distorted by limen's distortions, asked about with `limen.question`,
answered by limen's `demo` observer and read by `question.read`. A cell is a share of yes over `PAIRS` pairs, the
photographs in turn; a pair whose pixels are equal makes way for the next crop where a cell should hold a difference.
`training/card.py` makes the tables.
"""

import argparse
import asyncio
import dataclasses
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pairs import NAMES
from pictures import HELD_OUT, crop, photograph
from words import QUESTIONS

from limen import digest, distortion, question
from limen.image import Image, Picture
from limen.observer import Observer, make
from limen.observers import demo
from limen.parsing.yes_no import Flag

LEVELS = (1, 2, 3, 5, 7, 10, 14, 20, 25, 28, 35, 42, 50, 60, 70, 85, 100)
EQUAL = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # shares of the ladder that both pictures carry
PAIRS, CROPS = 105, 40  # a cell; crops of each photograph, more than are used
SMALLEST = 100  # px of a photograph, at least, to a crop's side


@dataclass(frozen=True, slots=True)
class Cell:
    """The answers to one question about one pair of levels.

    Attributes:
        name: the distortion shown.
        base, level: of the picture shown first, and second.
        title: the question.
        again: the question's paraphrase.
        asked: the distortion asked about.
        n: pairs.
        yes, unreadable, faulty: how many answers were read as yes, not at all, had any fault.
    """

    name: str
    base: int
    level: int
    title: str
    again: bool
    asked: str
    n: int
    yes: int
    unreadable: int
    faulty: int

    @property
    def share(self) -> float:
        """Share of yes."""
        return self.yes / self.n


class Bench:
    """Asks the demo observer about crops of the held-out photographs.

    Args:
        observer: the demo model.
        pairs: a cell.
    """

    def __init__(self, observer: Observer, pairs: int) -> None:
        self.observer, self.pairs = observer, pairs
        self.images: list[Image] = []
        crops = [(photograph(name), digest.generator("card", name)) for name in HELD_OUT]
        for _ in range(CROPS):
            self.images.extend(crop(picture, rng, SMALLEST) for picture, rng in crops)
        self.seconds: list[float] = []
        self.gate = asyncio.Semaphore(observer.concurrency)

    def _shown(self, name: str, base: int, level: int) -> Iterator[tuple[Picture, Picture]]:
        """Return pairs that differ, or all where the levels are the same."""
        kind = distortion.find(name)
        for number, image in enumerate(self.images):
            at = kind.render(image, f"card {number}")
            first, second = Picture.of(at(base)), Picture.of(at(level))
            if base == level or first.digest != second.digest:
                yield first, second

    async def _verdict(self, asked: question.Question, query: question.Query) -> question.Verdict:
        async with self.gate:
            began = time.perf_counter()
            reply = await self.observer.answer(query)
            self.seconds.append(time.perf_counter() - began)
        assert reply.answer is not None
        return asked.read((reply.answer,))

    async def cell(
        self, name: str, base: int, level: int, title: str = "direct", again: bool = False, word: str = ""
    ) -> Cell:
        """Ask `title` about `name`, or about the distortion `word`, for pairs at two levels."""
        asked, other = question.find(title), word or name
        queries = [
            query
            for first, second in islice(self._shown(name, base, level), self.pairs)
            for query in asked.ask(distortion.find(other).word, first, second, again)
        ]
        verdicts = await asyncio.gather(*(self._verdict(asked, query) for query in queries))
        return Cell(
            name,
            base,
            level,
            title,
            again,
            other,
            len(verdicts),
            sum(v.yes for v in verdicts),
            sum(v.flag is Flag.UNREADABLE for v in verdicts),
            sum(v.fault is not None for v in verdicts),
        )


def count(name: str) -> int:
    """Return the number of levels of a distortion."""
    return len(distortion.find(name).ladder)


def levels(name: str) -> list[int]:
    """Return the levels of a distortion that are asked against level 0."""
    return [level for level in LEVELS if level <= count(name)]


def shares(name: str) -> dict[float, int]:
    """Return the levels of a distortion at `EQUAL` shares of its ladder."""
    return {share: max(1, round(share * count(name))) for share in EQUAL}


def wanted(name: str) -> Iterator[tuple[int, int, str, bool, str]]:
    """Return (base, level, question, paraphrase, distortion asked about) of every cell of a distortion."""
    top, at = count(name), shares(name)
    for title in ("direct", "choice"):
        yield from ((0, level, title, False, name) for level in (0, *levels(name)))
    for title in ("direct-implicit", "choice-implicit"):
        yield from ((0, level, title, False, name) for level in (0, top))
    for title in QUESTIONS:
        yield from ((0, level, title, True, name) for level in (0, top))
        often = EQUAL if title.startswith("direct") else EQUAL[1::2]
        yield from ((at[share], at[share], title, False, name) for share in often)
    yield from ((at[0.3], at[share], "direct", False, name) for share in (0.5, 0.7))
    yield (top, 0, "direct", False, name)
    yield from ((0, top, "direct", False, other) for other in NAMES if other != name)


async def measure(folder: Path, pairs: int) -> dict[str, object]:
    """Return all that is asked of the model in `folder`, and what its training wrote down."""
    demo.FOLDER = folder
    cells: list[Cell] = []
    async with make("demo", {}) as observer:
        bench = Bench(observer, pairs)
        for name in NAMES:
            began = time.perf_counter()
            for base, level, title, again, word in wanted(name):
                cells.append(await bench.cell(name, base, level, title, again, word))
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        model = observer.fingerprint()["model"]
    return {
        "model": model,
        "training": json.loads((folder / "training.json").read_text()),
        "query_seconds": round(statistics.median(bench.seconds), 4),
        "cells": [dataclasses.astuple(cell) for cell in cells],
    }


def main() -> None:
    """Ask, and write the cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the model")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="a cell")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.folder, arguments.pairs))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found).replace("], [", "],\n[") + "\n")


if __name__ == "__main__":
    main()
