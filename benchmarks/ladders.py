"""A whole 50-level ladder of each distortion, beside the libraries one would draw it with; all stimuli of the data set.

    python benchmarks/ladders.py [--json FILE] [--peers PYTHON] [--turns 5]

- Every contestant runs in fresh processes held to one core and one thread, taking turns. A ladder's time is the least
  time of what its levels share plus the least time of each level, over all repeats: the machine is shared, and noise
  only adds. A picture goes in and a picture comes out (uint8; Pillow's and kornia's own kinds may stay what they are).
- limen's own share of the data set: at least 5,000 stimuli of 640x480, drawn in its proportions, decoding the
  references included and no file written; the core-minutes of all 453,600 are projected from them.

The peers live in an environment of their own, which this makes (benchmarks/.venv-peers) unless --peers names an
interpreter that has them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from contestants import CONTESTANTS, NAMES, SEVERITIES, Ladder, Pixels

HERE = Path(__file__).parent
INSTALL = (
    ("numpy", "scipy", "pillow", "opencv-python-headless", "albumentations", "torch==2.13.0", "kornia"),
    ("scikit-image", "setuptools<81"),
    ("--no-deps", "imagecorruptions"),  # it wants pkg_resources, and would bring a second OpenCV
)
SIZES = ((512, 384), (1024, 768))
REFERENCES, JPEG_REFERENCES = 1008, 504  # of the data set: 8 distortions of 50 levels; jpeg of 100
PATIENCE = 20  # seconds: a ladder that takes longer runs once a turn, others five times
MEASURED, JPEG_MEASURED = 12, 6


def photograph(width: int, height: int, seed: int = 0) -> Pixels:
    """Return a picture with the spectrum of photographs (1/f) and sensor noise of 1.5 grey levels."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / width)
    planes = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * amplitude) for _ in range(2)]
    planes = [plane / plane.std() for plane in planes]
    mixed = [128 + 45 * planes[0] + 18 * (c - 1) * planes[1] + rng.normal(0, 1.5, (height, width)) for c in range(3)]
    return np.clip(np.rint(np.stack(mixed, -1)), 0, 255).astype(np.uint8)


def clocked(ladder: Ladder, levels: range) -> list[float]:
    """Return the seconds of the shared work and of each level."""
    seconds, start = [], time.perf_counter()
    render = ladder()
    for level in levels:
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        render(level)
    return [*seconds, time.perf_counter() - start]


def work(name: str, width: int, height: int) -> None:
    """Print, as JSON, the least seconds of each step of each ladder of one contestant."""
    np.random.seed(0)  # what imagecorruptions draws from
    levels = SEVERITIES if name == "imagecorruptions" else range(1, 51)
    found = {}
    for distortion, ladder in CONTESTANTS[name](photograph(width, height)).items():
        runs = [clocked(ladder, levels)]
        if sum(runs[0]) < PATIENCE:
            runs += [clocked(ladder, levels) for _ in range(4)]
        shared, *each = (min(times) for times in zip(*runs, strict=True))
        found[distortion] = [shared, *each * (50 // len(each))]
    print(json.dumps(found))


def project() -> None:
    """Print, as JSON, limen's CPU seconds of each distortion at 640x480, and how many stimuli were drawn."""
    from limen import image
    from limen.distortion import find

    found = {}
    for name in ("blur", "brightness", "saturation", "contrast", "noise", "mask", "qr", "text", "jpeg"):
        kind, references = find(name), JPEG_MEASURED if name == "jpeg" else MEASURED
        files = [image.encode(photograph(640, 480, seed), "jpeg:95") for seed in range(references)]
        start = time.process_time()
        for seed, data in enumerate(files):
            at = kind.render(image.decode(data), f"series {seed}")
            for level in range(1, len(kind.ladder) + 1):
                at(level)
        found[name] = {"stimuli": references * len(kind.ladder), "cpu_s": time.process_time() - start}
    print(json.dumps(found))


def alone(python: str, *arguments: str) -> Any:
    """Return what a fresh process printed, held to one core and one thread."""
    core = max(os.sched_getaffinity(0))
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")} | {"NO_ALBUMENTATIONS_UPDATE": "1"}
    command = [python, "-W", "ignore", str(HERE / "ladders.py"), *arguments]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env=os.environ | one, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def peers() -> str:
    """Make the peers' environment once and return its interpreter."""
    folder = HERE / ".venv-peers"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for packages in INSTALL:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "made").touch()
    return str(python)


def compare(python: str, turns: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return milliseconds a ladder: [size][distortion][contestant]."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for width, height in SIZES:
        least: dict[tuple[str, str], list[float]] = {}
        for _ in range(turns):
            for name in CONTESTANTS:
                interpreter = sys.executable if name == "limen" else python
                for distortion, steps in alone(interpreter, "--work", name, str(width), str(height)).items():
                    before = least.get((distortion, name), steps)
                    least[distortion, name] = [min(pair) for pair in zip(before, steps, strict=True)]
        rows = found[f"{width}x{height}"] = {name: {} for name in (*NAMES, "noise, fresh")}
        for (distortion, name), steps in least.items():
            rows[distortion][name] = 1000 * sum(steps)
    return found


def printed(rows: dict[str, dict[str, float]]) -> None:
    """Print one size's table; the last column is OpenCV's time over limen's."""
    print(f"| ladder, ms | {' | '.join(CONTESTANTS)} | OpenCV / limen |")
    print("|---" * (len(CONTESTANTS) + 2) + "|")
    for distortion, times in rows.items():
        ours = times.get("limen", rows["noise"]["limen"])
        cells = [f"{times[name]:.1f}" if name in times else "-" for name in CONTESTANTS]
        print(f"| {distortion} | {' | '.join(cells)} | {times['opencv'] / ours:.2f} |")


def projected() -> dict[str, Any]:
    """Measure and print the projection."""
    measured = alone(sys.executable, "--project")
    minutes = {}
    for name, one in measured.items():
        ratio = JPEG_REFERENCES / JPEG_MEASURED if name == "jpeg" else REFERENCES / MEASURED
        minutes[name] = one["cpu_s"] * ratio / 60
    stimuli, total = sum(one["stimuli"] for one in measured.values()), REFERENCES * 8 * 50 + JPEG_REFERENCES * 100
    seconds = sum(one["cpu_s"] for one in measured.values())
    print(f"{total:,} stimuli of 640x480: {sum(minutes.values()):.1f} core-minutes,")
    print(f"projected from {stimuli:,} measured in {seconds:.1f} s of CPU:")
    print(", ".join(f"{name} {spent:.2f}" for name, spent in minutes.items()))
    return {"measured": measured, "core_minutes": minutes, "total": sum(minutes.values()), "stimuli": total}


def versions(python: str) -> dict[str, str]:
    """Return what the peers' interpreter has."""
    names = ("numpy", "opencv-python-headless", "pillow", "torch", "kornia", "albumentations", "imagecorruptions")
    code = f"import json; from importlib.metadata import version as v; print(json.dumps({{n: v(n) for n in {names}}}))"
    done = subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has the peers")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--project", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        return work(chosen.work[0], int(chosen.work[1]), int(chosen.work[2]))
    if chosen.project:
        return project()
    python = chosen.peers or peers()
    projection = projected()
    here = {name: metadata.version(name) for name in ("numpy", "pillow", "segno")}
    meta = {"python": platform.python_version(), "limen runs on": here, "peers": versions(python)}
    print(json.dumps(meta))
    tables = compare(python, chosen.turns)
    for size, rows in tables.items():
        print(f"\n{size}\n")
        printed(rows)
    if chosen.json:
        Path(chosen.json).write_text(json.dumps({"projection": projection, "ladders_ms": tables} | meta, indent=1))


if __name__ == "__main__":
    main()
