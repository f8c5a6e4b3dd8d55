"""The whole question, and what a large study weighs.

    python benchmarks/whole.py [--json FILE]

- CPU of `limen measure` a question, everything included: reading the photograph, drawing the stimulus, PNG, the
  request, the store, the procedure; 512x384, 64 in flight, against a 200 ms server in a process of its own.
- Memory of a study with 10,000 series queued (1,000 photographs of 512x384 x 10 distortions), after planning and at
  its peak while series run.
- Wall time of `limen --help`.
"""

import argparse
import contextlib
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import client
from PIL import Image


def photographs(folder: Path, count: int) -> None:
    """Write `count` different pictures, from a few with the spectrum of photographs."""
    base = client.photographs()
    for i in range(count):
        pixels = base[i % len(base)].copy()
        pixels[:4, :4] = (i % 256, i // 256, 0)
        Image.fromarray(pixels).save(folder / f"{i:04d}.png", compress_level=1)


def measured(port: int, photos: Path, out: Path) -> tuple[float, int, float]:
    """Return CPU seconds, questions and wall seconds of one `limen measure`."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "limen", "measure", "--images", str(photos), "--observer", "openai:toy",
         "--base-url", f"http://127.0.0.1:{port}/v1", "-O", "concurrency=64", "--out", str(out), "--json"],
        check=True, capture_output=True,
    )  # fmt: skip
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    questions = sum(row["questions"] for row in json.loads(done.stdout)["answers"])
    return cpu, questions, wall


def weigh(folder: str, pipe: multiprocessing.connection.Connection) -> None:
    """Send resident megabytes: after imports, after planning 10,000 series, at the peak while 400 of them run."""
    from limen.observers.simulated import Simulated, SimulatedOptions
    from limen.study import Progress, Spec, Study

    class Enough(Exception):
        pass

    def resident() -> float:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise OSError("no VmRSS")

    peak = start = resident()
    study = Study.plan(Spec(images=(folder,), observers=("simulated",)))
    planned = resident()

    def watch(progress: Progress) -> None:
        nonlocal peak
        peak = max(peak, resident())
        if progress.done >= 400:
            raise Enough

    object.__setattr__(study, "observers", (Simulated("", SimulatedOptions(concurrency=64)),))
    with tempfile.TemporaryDirectory() as out, contextlib.suppress(Enough):
        study.run(Path(out) / "run", watch)
    pipe.send((len(study.series), start, planned, peak))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE")
    chosen = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = multiprocessing.Pipe()
    server = context.Process(target=client.serve, args=(there,), daemon=True)
    server.start()
    port = here.recv()
    figures: dict[str, float] = {}
    try:
        with tempfile.TemporaryDirectory() as temporary:
            photos = Path(temporary) / "few"
            photos.mkdir()
            photographs(photos, 24)
            cpu, questions, wall = measured(port, photos, Path(temporary) / "run")
            figures |= {"questions": questions, "whole_question_cpu_ms": 1000 * cpu / questions, "wall_s": wall}
            print(f"whole question: {1000 * cpu / questions:.1f} ms of CPU ({questions} questions, {wall:.1f} s wall)")
    finally:
        server.terminate()
    with tempfile.TemporaryDirectory() as temporary:
        photographs(Path(temporary), 1000)
        here, there = multiprocessing.Pipe()
        process = context.Process(target=weigh, args=(temporary, there))
        process.start()
        count, start, planned, peak = here.recv()
        process.join()
        figures |= {"series": count, "rss_start_mb": start, "rss_planned_mb": planned, "rss_peak_mb": peak}
        print(f"{count:,} series: {start:.0f} MB to begin with, {planned:.0f} MB planned, {peak:.0f} MB at the peak")
    times = []
    for _ in range(11):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "limen", "--help"], check=True, capture_output=True)
        times.append(1000 * (time.perf_counter() - started))
    figures["help_ms"] = sorted(times)[len(times) // 2]
    print(f"limen --help: {figures['help_ms']:.0f} ms (median of {len(times)})")
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
