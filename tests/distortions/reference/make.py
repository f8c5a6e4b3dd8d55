"""Make the reference numbers. It uses no part of limen, and libraries that limen does not depend on.

python -m venv .venv-reference
.venv-reference/bin/pip install numpy mpmath opencv-python-headless segno
.venv-reference/bin/python tests/distortions/reference/make.py
"""

import fractions
import json
from importlib import metadata
from pathlib import Path

import cv2
import mpmath
import numpy as np
import segno
from philox import MASK64, philox
from subjects import Pixels, colours, procedural

HERE = Path(__file__).parent
JPEG_LEVELS = (1, 10, 25, 50, 75, 99, 100)
SATURATION_LEVELS = (1, 7, 10, 25, 50)


def rounded(value: mpmath.mpf | fractions.Fraction) -> int:
    """Round half to even, then clip to 0..255."""
    whole = int(mpmath.nint(value)) if isinstance(value, mpmath.mpf) else round(value)
    return min(255, max(0, whole))


def tables() -> dict[str, Pixels]:
    """Tone curves at all levels: [level - 1, grey]."""
    mpmath.mp.dps = 50

    def brightness(k: int, x: int) -> int:
        return rounded(255 * (mpmath.mpf(x) / 255) ** (mpmath.mpf(1000 - 18 * k) / 1000))

    def contrast(k: int, x: int) -> int:
        half = fractions.Fraction(255, 2)
        return rounded(half + fractions.Fraction(10000 - 175 * k, 10000) * (x - half))

    def banding(k: int, x: int) -> int:
        step = mpmath.mpf(2) ** (mpmath.mpf(k) / 20)
        return rounded((mpmath.floor(x / step) + 0.5) * step - 0.5)

    return {
        curve.__name__: np.array([[curve(k, x) for x in range(256)] for k in range(1, top + 1)], np.uint8)
        for curve, top in ((brightness, 50), (contrast, 50), (banding, 100))
    }


def saturation(k: int) -> Pixels:
    """Exact fractions; ties to even."""
    found = []
    for red, green, blue in colours().reshape(-1, 3).tolist():
        luma = fractions.Fraction(299 * red + 587 * green + 114 * blue, 1000)
        factor = 1 + fractions.Fraction(6 * k, 100)
        found.append([rounded(luma + factor * (value - luma)) for value in (red, green, blue)])
    return np.array(found, np.uint8).reshape(colours().shape)


def jpeg(k: int) -> Pixels:
    """There and back by OpenCV's own copy of libjpeg-turbo."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, 101 - k, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x221111]
    written = cv2.imencode(".jpg", np.ascontiguousarray(procedural()[..., ::-1]), settings)[1]
    return np.ascontiguousarray(cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1])


def quantiles() -> list[float]:
    """The standard normal's quantiles at (i + 1/2) / 65536 for every 1,024th i and the ends, by 50 digits."""
    places = [*range(0, 65536, 1024), 65535]
    return [float(mpmath.sqrt(2) * mpmath.erfinv(2 * (mpmath.mpf(i) + 0.5) / 65536 - 1)) for i in places]


def qr(content: str) -> str:
    """Return what OpenCV's detector reads in segno's code at the size and with the border that limen shows."""
    code = segno.make_qr(content, version=1, error="l")
    modules = np.array([list(row) for row in code.matrix_iter(border=2)], bool)
    shown = np.kron(np.where(modules, 0, 255), np.ones((8, 8))).astype(np.uint8)
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(np.pad(shown, 40, constant_values=255))
    return text


def main() -> None:
    """Write reference.npz and reference.json."""
    arrays = tables()
    arrays |= {f"saturation {k}": saturation(k) for k in SATURATION_LEVELS}
    arrays |= {f"jpeg {k}": jpeg(k) for k in JPEG_LEVELS}
    np.savez_compressed(HERE / "reference.npz", **arrays)
    contents = ["LIMEN PULL", "LIMEN ABCD", "LIMEN 2345", "LIMEN YZ89"]
    numbers = {
        "made with": {name: metadata.version(name) for name in ("mpmath", "numpy", "opencv-python-headless", "segno")},
        "opencv's jpeg": next(line.strip() for line in cv2.getBuildInformation().splitlines() if " JPEG:" in line),
        "philox": [
            {"counter": c, "key": k, "words": philox(c, k)}
            for c, k in (
                ((0, 0, 0, 0), (0, 0)),
                ((MASK64,) * 4, (MASK64,) * 2),
                ((1, 0, 0, 0), (0x0123456789ABCDEF, 0xFEDCBA9876543210)),
                ((2, 0, 0, 0), (0x0123456789ABCDEF, 0xFEDCBA9876543210)),
            )
        ],
        "quantiles": quantiles(),
        "qr read by opencv": {content: qr(content) for content in contents},
    }
    (HERE / "reference.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
