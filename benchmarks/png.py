"""CPU and bytes of a PNG of a new picture: limen's encoder beside Pillow's (level 1).

    python benchmarks/png.py [--json FILE]

Photograph-like pictures of 512x384 (as in `client.py`), those that ship (64x64) and grey ones of 512x384. The two take
turns; the least CPU time of a picture counts (`time.thread_time`). Then pictures a second, by one and by two threads.
"""

import argparse
import io
import json
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import client
import numpy as np
from PIL import Image

from limen import image

TURNS = 40
EACH = 40  # pictures a thread


def pillow(pixels: np.ndarray) -> bytes:
    """Encode with Pillow, as fast as it goes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def encoded(pictures: list[np.ndarray]) -> dict[str, float]:
    """Return for each encoder the least CPU milliseconds of a picture, and kilobytes, means over pictures."""
    least = {encode: [float("inf")] * len(pictures) for encode in (image.png, pillow)}
    for _ in range(TURNS):
        for encode, times in least.items():
            for number, pixels in enumerate(pictures):
                started = time.thread_time()
                encode(pixels)
                times[number] = min(times[number], time.thread_time() - started)
    names = {image.png: "limen", pillow: "pillow"}
    return {
        f"{names[encode]}_{what}": float(np.mean(figures))
        for encode, times in least.items()
        for what, figures in (
            ("ms", [1000 * seconds for seconds in times]),
            ("kb", [len(encode(pixels)) / 1000 for pixels in pictures]),
        )
    }


def rate(encode: Callable[[np.ndarray], bytes], pixels: np.ndarray, threads: int) -> float:
    """Return pictures a second of some threads that encode side by side."""
    work = [threading.Thread(target=lambda: [encode(pixels) for _ in range(EACH)]) for _ in range(threads)]
    started = time.perf_counter()
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    return threads * EACH / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE")
    chosen = parser.parse_args()
    large = client.photographs()
    shipped = sorted((Path(image.__file__).parents[1] / "data" / "demo" / "photographs").glob("*.png"))
    sets = {
        "512x384": large,
        "64x64": [image.load(file) for file in shipped],
        "512x384 grey": [np.repeat(pixels[..., :1], 3, 2) for pixels in large[:3]],
    }
    print(f"CPU a picture, least of {TURNS}; isal {version('isal')}, Pillow {version('pillow')}")
    figures: dict[str, dict[str, float]] = {}
    for name, pictures in sets.items():
        figures[name] = encoded(pictures)
        print(name, {what: round(figure, 3) for what, figure in figures[name].items()}, flush=True)
    rates = {f"{encode.__name__}_{n}": rate(encode, large[0], n) for encode in (image.png, pillow) for n in (1, 2)}
    print("pictures a second, by threads:", {what: round(figure) for what, figure in rates.items()})
    if chosen.json:
        Path(chosen.json).write_text(json.dumps({**figures, "rates": rates}, indent=1))


if __name__ == "__main__":
    main()
