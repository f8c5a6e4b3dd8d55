"""Time and memory of a report on as many trials as the paper has stimuli: python benchmarks/report.py [--trials N].

Makes a run directory without asking anybody: 1,008 made-up references, ten distortions, observers of known thresholds,
every answer an analysis of its own (with --different N: one of so many), n-th JNDs by `skip`. Then
`limen report` in a process of its own.
"""

import argparse
import json
import math
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from limen import digest, distortion, procedure, question, source
from limen.distortion import Distortion
from limen.procedure import Method
from limen.store import SeriesRow, Store
from limen.study import manifest
from limen.testing import play

KINDS = ("blur", "brightness", "saturation", "contrast", "noise", "jpeg", "banding", "mask", "qr", "text")
SENTENCE = "the second image seems slightly softer around edges of leaves while colours and overall light stay alike"
WORDS = tuple(re.findall(r"\w+", SENTENCE))


def said(yes: bool, rng: np.random.Generator, different: int = 0) -> str:
    """Return an answer of about 200 characters: like no other, or one of so many different ones."""
    if different:
        rng = np.random.default_rng(int(rng.integers(different)))
    picked = [WORDS[int(i)] for i in rng.integers(0, len(WORDS), 24)]
    flag = "<yes> There is a noticeable difference: " if yes else "<no> I see no noticeable difference: "
    return flag + " ".join(picked) + "."


def make(out: Path, trials: int, different: int = 0) -> int:
    """Write a run with at least so many trials; returns how many."""
    method = procedure.make("skip", {"orders": 0})
    kinds = [distortion.find(name) for name in KINDS]
    asked = (question.find("direct"),)
    about = manifest.describe("skip", method, 0, kinds, asked, [source.find("folder")])
    count, number = 0, 0
    Store.create(out, about).close()
    database = sqlite3.connect(out / "trials.db")
    observers = {}
    while count < trials:
        observer = f"made-up:{number}"
        observers[observer] = {"kind": "simulated", "number": number}
        for kind in kinds:
            for reference in range(1008):
                if count >= trials:
                    break
                count += _series(database, observer, kind, reference, method, different)
        number += 1
    database.commit()
    database.close()
    with Store.create(out, about) as store:
        store.amend(observers=observers)
    return count


def _series(
    database: sqlite3.Connection, observer: str, kind: Distortion, reference: int, method: Method, different: int
) -> int:
    name, ladder = kind.name, kind.ladder
    rng = digest.generator("report benchmark", observer, name, reference)
    step, slope = float(rng.normal(9, 2)), 1.5
    noise = rng.random((len(ladder) + 1, len(ladder) + 1))

    def says(probe: procedure.Probe) -> bool:
        distance = probe.level - probe.reference - step * (len(ladder) / 50)
        return bool(noise[probe.reference, probe.level] < 1 / (1 + math.exp(-max(-50.0, min(50.0, distance / slope)))))

    picture = digest.of(["picture", reference])
    series = digest.of([name, picture])
    row = SeriesRow(series, name, kind.word, f"reference-{reference:04d}.png", picture, f"{picture}/0", len(ladder))
    database.execute(
        "INSERT OR IGNORE INTO series VALUES (?,?,?,?,?,?,?,?,?)",
        (row.id, row.distortion, row.word, row.name, row.picture, row.key, row.levels, row.source, row.strength),
    )
    found = play(method, says, len(ladder), None)
    probes = [(probe, verdict.yes) for probe, verdict in found.asked.items()]
    probes.append((procedure.Probe(0, 0), False))
    for probe, yes in probes:
        key = digest.of([observer, series, probe.reference, probe.level])
        database.execute(
            "INSERT OR IGNORE INTO query VALUES (?,?,?,?,?,?,?,?,?)",
            (observer, "direct", series, probe.reference, probe.level, 0, 0, 0, key),
        )
        database.execute(
            "INSERT OR IGNORE INTO answer VALUES (?,?,?,?,?,?,?,?,?,?)",
            (key, said(yes, rng, different), float(rng.random()), 0.0, "stop", 900, 60, 1.2, observer, 0.0),
        )
    return len(probes)


def main() -> None:
    """Make the run, write the report, print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=489_065)
    parser.add_argument("--different", type=int, default=0, help="Different answers of a kind; 0: each is its own.")
    parser.add_argument("--keep", type=Path, help="Folder for the run and the page; a temporary one if not given.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        run, page = folder / "run", folder / "report.html"
        if not (run / "manifest.json").exists():
            count = make(run, given.trials, given.different)
            print(f"{count:,} trials, {(run / 'trials.db').stat().st_size / 1e6:.0f} MB", file=sys.stderr)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "limen", "report", str(run), "--out", str(page), "--embed", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(json.dumps({
            "seconds": round(time.perf_counter() - begun, 1),
            "cpu_seconds": round(spent.ru_utime + spent.ru_stime, 1),
            "peak_mb": round(spent.ru_maxrss / 1024),
            "page_mb": round(page.stat().st_size / 1e6, 1),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
