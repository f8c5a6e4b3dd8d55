"""Memory of a round of batch files, in which all series are open at once.

    python benchmarks/open_series.py [--json FILE]

`limen batch write`, round 1, of 1,000 and of 10,000 series (photographs of 128x96, 10 distortions, `skip`): the
process's largest resident memory, seconds and size of the files.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import client
from PIL import Image

# Linux counts the memory of what the process was before it ran this program, too: so it is started by a small one.
_MEASURE = (
    "import json,resource,subprocess,sys; done=subprocess.run(sys.argv[1:],capture_output=True,text=True);"
    "print(json.dumps([done.returncode,done.stdout,done.stderr,"
    "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024]))"
)


def written(folder: Path, count: int) -> dict[str, float]:
    """Return what the first round of so many series took."""
    photos = folder / "photos"
    photos.mkdir()
    base = [pixels[:96, :128].copy() for pixels in client.photographs()]
    for i in range(count // 10):
        pixels = base[i % len(base)]
        pixels[:4, :4] = (i % 256, i // 256, 0)
        Image.fromarray(pixels).save(photos / f"{i:04d}.png", compress_level=1)
    kinds = "blur,brightness,saturation,contrast,noise,jpeg,banding,mask,qr,text"
    words = [
        sys.executable, "-m", "limen", "batch", "write", "--images", str(photos), "--distortion", kinds, "--observer",
        "openai:toy", "-O", "encoding=jpeg:60", "--no-exam", "--no-keep-references", "--out", str(folder / "run"),
        "--to", str(folder / "files"), "--json",
    ]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _MEASURE, *words], check=True, capture_output=True, text=True)
    code, out, err, megabytes = json.loads(done.stdout)
    if code not in (0, 2):
        raise SystemExit(err)
    size = sum(file.stat().st_size for file in (folder / "files").rglob("*") if file.is_file())
    return {
        "series": count, "lines": json.loads(out)["lines"], "peak_mb": megabytes, "files_mb": size / 1e6,
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE")
    chosen = parser.parse_args()
    figures = []
    for count in (1_000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(written(Path(folder), count))
        print("{series:,} series: {lines:,} lines, {peak_mb:.0f} MB at the peak, {seconds:.0f} s".format(**figures[-1]))
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
