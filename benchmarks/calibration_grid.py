"""The guarantee's scale from a few scales about where it is expected, against the scale from eighty.

    python benchmarks/calibration_grid.py RUN [--model ... --data ... --weights ...]

RUN is a run of `limen feature fit`. For each of its seeds and calibrated maps: the scale by the grid that limen uses
(`limen.feature.calibration.GRID`) and by one of 80 points from a quarter of what the most sensitive 2 % of the fitting
images tolerate to twice what half of them do, the coverage of test images and of 200 resplits under each, and the head
passes and CPU seconds each takes. Nothing is written to the run.
"""

import argparse
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from limen.feature import calibration
from limen.feature.calibration import Bound, ScaleGrid, ScaleSearch
from limen.feature.run import FeatureRun
from limen.store.rows import measured

RESPLITS = 200


@contextmanager
def passes(search: ScaleSearch) -> Iterator[list[int]]:
    """Count the images that the head sees."""
    seen: list[int] = []
    head = search.split.head
    search.split.head = lambda features: seen.append(len(features)) or head(features)  # type: ignore[method-assign, func-returns-value]
    try:
        yield seen
    finally:
        del search.split.head


def eighty(search: ScaleSearch, images: calibration.Clean, near: ScaleGrid) -> ScaleGrid:
    """Return the grid of limen 0.1, laid by 64 fitting images and 43 scales."""
    wide = ScaleGrid(near.unit, 1.0, tuple(np.log2(np.geomspace(0.001, 16.0, 43))))
    failed = search.tolerated(images, wide) / near.unit
    middle = float(np.median(failed))
    lowest = max(float(np.quantile(failed, 0.02)), middle / 64)
    return ScaleGrid(near.unit, 1.0, tuple(np.log2(np.geomspace(lowest / 4, min(2 * middle, 16.0), 80))))


def main() -> None:
    """Print one line a seed and map."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("run")
    for name in ("model", "data", "weights"):
        given.add_argument(f"--{name}", default="")
    chosen = given.parse_args()
    places = {name: getattr(chosen, name) for name in ("model", "data", "weights")}
    print("map              seed  scale of it  octaves  coverage (test)  resplits mean / inside  passes      CPU s")
    apart = []
    with FeatureRun.open(chosen.run, "cpu", **places) as run:
        plan = run.plan
        labels = {row["map"] for row in measured(run.store, "calibrate").values()}
        for seed in range(plan.seeds):
            clean, maps = run.clean(seed), run.fitted(seed)
            for part in (clean.fit, clean.calibrate, clean.test):
                list(part)  # encoded before the clock runs
            for label in sorted(labels):
                search = ScaleSearch(run.split, run.task, maps[label], Bound(plan.drop, plan.eps), seed)
                found = []
                for coarse in (True, False):
                    begun = time.process_time()
                    with passes(search) as seen:
                        grid = search.locate(clean.fit.first(calibration.PILOT), plan.rho)
                        if not coarse:
                            seen.clear()
                            begun = time.process_time()
                            grid = eighty(search, clean.fit.first(64), grid)
                        held, fresh = search.tolerated(clean.calibrate, grid), search.tolerated(clean.test, grid)
                    seconds = time.process_time() - begun
                    scale = calibration.calibrate(held, plan.rho, search, grid).scale
                    mixed = calibration.resplit(np.concatenate([held, fresh]), len(held), plan.rho, RESPLITS, seed)
                    found.append((scale, float((fresh >= scale).mean()), mixed.mean, mixed.inside, sum(seen), seconds))
                new, old = found
                octaves = math.log2(new[0] / old[0])
                apart.append(octaves)
                print(
                    f"{label:16} {seed:4}  {new[0] / old[0]:11.3f}  {octaves:+7.3f}  {new[1]:.3f} {old[1]:.3f}      "
                    f"{new[2]:.3f} {old[2]:.3f} / {new[3]:.2f} {old[3]:.2f}   {new[4]:6} {old[4]:6}  "
                    f"{new[5]:5.1f} {old[5]:5.1f}"
                )
    print(f"octaves apart: mean {np.mean(apart):+.3f}, from {min(apart):+.3f} to {max(apart):+.3f} (n = {len(apart)})")


if __name__ == "__main__":
    main()
