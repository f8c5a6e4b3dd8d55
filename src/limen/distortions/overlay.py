"""Content injection: a mask, a QR code watermark, a text watermark; place and content drawn once for a series."""

import bisect
import math

import numpy as np
import numpy.typing as npt
import segno
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Domain, Ladder

ALPHA = Ladder(tuple(round(k / 50, 2) for k in range(1, 51)), unit="opacity")
OPACITY = Domain(0, 1, neutral=0)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without those that look alike


def _content(rng: np.random.Generator) -> str:
    return "LIMEN " + "".join(_LETTERS[int(rng.random() * len(_LETTERS))] for _ in range(4))


def _corner(image: Image, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return top and left of a box that lies wholly inside the image."""
    top = int(rng.random() * (image.shape[0] - height + 1))
    return top, int(rng.random() * (image.shape[1] - width + 1))


def _blend(image: Image, top: int, left: int, ink: npt.NDArray[np.float32], cover: npt.NDArray[np.float32]) -> Render:
    """Return a render that lays `ink` (grey 0..255) over the image with opacity strength x `cover` (0..1)."""
    height, width = cover.shape
    under = image[top : top + height, left : left + width].astype(np.float32)
    towards = (ink[..., None] - under) * cover[..., None]

    def render(alpha: float) -> Image:
        blended = towards * np.float32(alpha)
        blended += under
        np.rint(blended, out=blended)
        stimulus = image.copy()
        np.copyto(stimulus[top : top + height, left : left + width], blended, casting="unsafe")
        return stimulus

    return render


SHARE = Ladder(tuple(round(0.03 * k / 50, 5) for k in range(1, 51)), unit="share of the image's area")


@distortion("mask", word="mask", ladder=SHARE, domain=Domain(0, SHARE.strengths[-1], neutral=0))
def mask(image: Image, rng: np.random.Generator) -> Render:
    """Cover k/50 of 3 % of the area with a black rectangle, growing about one place (fit to the paper's thumbnails)."""
    area = image.shape[0] * image.shape[1]
    aspect = 2 ** (2 * rng.random() - 1)  # width over height, from 1:2 to 2:1

    def box(share: float) -> tuple[int, int]:
        width = min(image.shape[1], max(1, round(math.sqrt(share * area * aspect))))
        return min(image.shape[0], max(1, round(share * area / width))), width

    sizes, height, width = [(0, 0)], 1, 1
    for share in SHARE.strengths:
        h, w = box(share)
        if h >= height and w >= width:  # rounding may trade a row for a column: a mask never uncovers
            height, width = h, w
        sizes.append((height, width))
    heights, widths = zip(*sizes, strict=True)
    top, left = _corner(image, height, width, rng)

    def render(share: float) -> Image:
        # Strengths of somebody's own lie between those of the ladder, and so do their sizes.
        h, w = (max(1, round(float(np.interp(share, (0, *SHARE.strengths), side)))) for side in (heights, widths))
        y, x = max(0, top + (height - h) // 2), max(0, left + (width - w) // 2)
        stimulus = image.copy()
        stimulus[y : y + h, x : x + w] = 0
        return stimulus

    return render


@distortion("qr", word="QR code watermark", ladder=ALPHA, domain=OPACITY)
def qr(image: Image, rng: np.random.Generator) -> Render:
    """Blend in a QR code (version 1, a quarter of the shorter side or one pixel a module) at opacity k/50."""
    code = segno.make_qr(_content(rng), version=1, error="l")
    modules = np.array([list(row) for row in code.matrix_iter(border=2)], dtype=np.float32)
    scale = max(1, round(min(image.shape[:2]) / 4 / len(modules)))
    ink = np.kron(255 * (1 - modules), np.ones((scale, scale))).astype(np.float32)
    top, left = _corner(image, len(ink), len(ink), rng)
    return _blend(image, top, left, ink, np.ones_like(ink))


@distortion("text", word="text watermark", ladder=ALPHA, domain=OPACITY)
def text(image: Image, rng: np.random.Generator) -> Render:
    """Write a word at opacity 0.6 k/50, half the image wide, white on dark and black on light places (ours)."""
    content = _content(rng)
    limit = max(image.shape[1] / 2, 46)
    larger = range(9, 10 + round(limit / 3))  # ten letters are wider than three times their size
    fitting = bisect.bisect_right(
        larger, limit, key=lambda size: ImageFont.load_default(float(size)).getlength(content)
    )
    font = ImageFont.load_default(8.0 + fitting)
    x0, y0, x1, y1 = (int(v) for v in font.getbbox(content))
    width, height = min(x1 - x0, image.shape[1]), min(y1 - y0, image.shape[0])
    canvas = Pillow.new("L", (width, height))
    ImageDraw.Draw(canvas).text((-x0, -y0), content, fill=255, font=font)
    cover = np.asarray(canvas).astype(np.float32) * np.float32(0.6 / 255)
    top, left = _corner(image, height, width, rng)
    dark = float(image[top : top + height, left : left + width].mean()) < 128
    return _blend(image, top, left, np.full(cover.shape, 255 if dark else 0, np.float32), cover)
