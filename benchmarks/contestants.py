"""What draws the ladders of `ladders.py`: limen, and the libraries one would use directly.

Each contestant is a function from a picture (uint8 RGB) to its ladders by name: a ladder does what its levels share
and returns a function from level 1..50 to a picture. What a library lacks is left out; what is another filter or
another unit is said in the contestant's first line.
"""

import functools
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

NAMES = ("brightness", "contrast", "banding", "saturation", "blur", "noise", "jpeg", "mask", "qr", "text")
SEVERITIES = range(5, 51, 10)  # levels that stand for ten: imagecorruptions has five strengths

Levels = Callable[[int], Any]  # from level 1..50 to a picture
Ladder = Callable[[], Levels]  # what the levels share
Pixels = Any


def sigma(level: int, width: int) -> float:
    return 0.5 * level * width / 640


def spread(level: int) -> float:
    """Return the noise's standard deviation in grey levels."""
    return 255 * math.sqrt(0.0002 * level)


def quality(level: int) -> int:
    """Return every second quality of limen's 100 levels."""
    return 101 - 2 * level


def curve(name: str, level: int) -> Pixels:
    """Return a tone curve as a table of 256 grey levels."""
    grey = np.arange(256)
    if name == "brightness":
        values = 255 * (grey / 255) ** (1 - 0.018 * level)
    elif name == "contrast":
        values = 127.5 + (1 - 0.0175 * level) * (grey - 127.5)
    else:
        step = 2 ** (level / 10)
        values = (np.floor(grey / step) + 0.5) * step - 0.5
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def box(level: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the mask."""
    w, h = (max(1, round(side * math.sqrt(0.03 * level / 50))) for side in (width, height))
    return width // 3, height // 3, width // 3 + w, height // 3 + h


def limen(picture: Pixels) -> dict[str, Ladder]:
    """limen's own, every second level where it has 100."""
    from limen.distortion import find

    def ladder(name: str) -> Ladder:
        kind = find(name)
        stride = len(kind.ladder) // 50

        def share() -> Levels:
            at = kind.render(picture, "benchmark")
            return lambda level: at(level * stride)

        return share

    return {name: ladder(name) for name in NAMES}


def opencv(picture: Pixels) -> dict[str, Ladder]:
    """OpenCV used directly, as one who knows it would: tables, fused operations, work shared between levels."""
    import cv2

    cv2.setNumThreads(1)
    height, width, _ = picture.shape
    side = min(height, width) // 4
    top, left = height // 3, width // 3
    values = picture.astype(np.float32)

    def saturation(level: int) -> Pixels:
        factor = 1 + 0.06 * level
        luma = np.array([[0.299, 0.587, 0.114]])
        return cv2.transform(picture, factor * np.eye(3) + (1 - factor) * np.repeat(luma, 3, axis=0))

    def blur(level: int) -> Pixels:
        return cv2.GaussianBlur(picture, (0, 0), sigma(level, width), borderType=cv2.BORDER_REFLECT)

    def shared_noise() -> Levels:
        field = cv2.randn(np.empty(picture.shape, np.float32), 0, 1)
        return lambda level: cv2.addWeighted(values, 1, field, spread(level), 0, dtype=cv2.CV_8U)

    def fresh_noise() -> Levels:
        field = np.empty(picture.shape, np.int16)
        return lambda level: cv2.add(picture, cv2.randn(field, 0, spread(level)), dtype=cv2.CV_8U)

    def jpeg(level: int) -> Pixels:
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality(level)])[1]
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    def mask(level: int) -> Pixels:
        x0, y0, x1, y1 = box(level, width, height)
        stimulus = picture.copy()
        stimulus[y0:y1, x0:x1] = 0
        return stimulus

    def over(ink: Pixels, opacity: float) -> Levels:
        h, w, _ = ink.shape
        under = picture[top : top + h, left : left + w]

        def render(level: int) -> Pixels:
            stimulus = picture.copy()
            alpha = opacity * level / 50
            cv2.addWeighted(ink, alpha, under, 1 - alpha, 0, dst=stimulus[top : top + h, left : left + w])
            return stimulus

        return render

    def qr() -> Levels:
        code = cv2.QRCodeEncoder.create().encode("LIMEN ABCD")
        ink = cv2.resize(code, (side, side), interpolation=cv2.INTER_NEAREST)
        return over(cv2.merge([ink] * 3), 1.0)

    def text() -> Levels:
        (w, h), base = cv2.getTextSize("LIMEN ABCD", cv2.FONT_HERSHEY_SIMPLEX, width / 400, 2)
        ink = picture[top : top + h + base, left : left + w].copy()
        cv2.putText(ink, "LIMEN ABCD", (0, h), cv2.FONT_HERSHEY_SIMPLEX, width / 400, (255,) * 3, 2, cv2.LINE_AA)
        return over(ink, 0.6)

    tones = {name: functools.partial(_toned, lambda t: cv2.LUT(picture, t), name) for name in NAMES[:3]}
    rest = {"saturation": saturation, "blur": blur, "jpeg": jpeg, "mask": mask}
    return tones | {name: functools.partial(_alone, render) for name, render in rest.items()} | {
        "noise": shared_noise, "noise, fresh": fresh_noise, "qr": qr, "text": text,
    }  # fmt: skip


def _toned(look_up: Callable[[Pixels], Pixels], name: str) -> Levels:
    return lambda level: look_up(curve(name, level))


def _alone(render: Levels) -> Levels:
    return render


def pillow(picture: Pixels) -> dict[str, Ladder]:
    """Pillow, from image to image: its blur is three box filters, its saturation rounds luma first."""
    from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

    whole = Image.fromarray(picture)
    width, height = whole.size
    side, corner = min(height, width) // 4, (width // 3, height // 3)

    def jpeg(level: int) -> Pixels:
        buffer = io.BytesIO()
        whole.save(buffer, "JPEG", quality=quality(level))
        decoded = Image.open(buffer, formats=("JPEG",))
        decoded.load()
        return decoded

    def mask(level: int) -> Pixels:
        stimulus = whole.copy()
        stimulus.paste(0, box(level, width, height))
        return stimulus

    def over(ink: Pixels, opacity: float) -> Levels:
        under = whole.crop((*corner, corner[0] + ink.width, corner[1] + ink.height))

        def render(level: int) -> Pixels:
            stimulus = whole.copy()
            stimulus.paste(Image.blend(under, ink, opacity * level / 50), corner)
            return stimulus

        return render

    def text() -> Levels:
        font = ImageFont.load_default(width / 13)
        x0, y0, x1, y1 = map(int, font.getbbox("LIMEN ABCD"))
        ink = whole.crop((*corner, corner[0] + x1 - x0, corner[1] + y1 - y0))
        ImageDraw.Draw(ink).text((-x0, -y0), "LIMEN ABCD", fill="white", font=font)
        return over(ink, 0.6)

    def qr() -> Levels:
        cells = np.random.default_rng(0).integers(0, 2, (25, 25), np.uint8) * 255
        return over(Image.fromarray(cells).resize((side, side), Image.Resampling.NEAREST).convert("RGB"), 1.0)

    colour = ImageEnhance.Color(whole)
    rest = {
        "saturation": lambda level: colour.enhance(1 + 0.06 * level),
        "blur": lambda level: whole.filter(ImageFilter.GaussianBlur(sigma(level, width))),
        "jpeg": jpeg,
        "mask": mask,
    }
    tones = {name: functools.partial(_toned, lambda t: whole.point(t.tolist() * 3), name) for name in NAMES[:3]}
    return tones | {name: functools.partial(_alone, render) for name, render in rest.items()} | {"qr": qr, "text": text}


def kornia(picture: Pixels) -> dict[str, Ladder]:
    """kornia, from float tensor to uint8 tensor; its JPEG is a differentiable model, its banding keeps whole bits."""
    import torch
    from kornia import enhance, filters

    torch.set_num_threads(1)
    width = picture.shape[1]
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255

    def pixels(result: Any) -> Any:
        return result.mul_(255).round_().clamp_(0, 255).byte()

    def blur(level: int) -> Pixels:
        size = 2 * math.ceil(3 * sigma(level, width)) + 1
        return filters.gaussian_blur2d(values, (size, size), (sigma(level, width),) * 2, border_type="reflect")

    def noise() -> Levels:
        field = torch.randn(values.shape)
        return lambda level: pixels(values + spread(level) / 255 * field)

    rest: dict[str, Levels] = {
        "brightness": lambda level: enhance.adjust_gamma(values, 1 - 0.018 * level),
        "contrast": lambda level: enhance.adjust_contrast_with_mean_subtraction(values, 1 - 0.0175 * level),
        "banding": lambda level: enhance.posterize(values, 7 - level // 11),
        "saturation": lambda level: enhance.adjust_saturation_with_gray_subtraction(values, 1 + 0.06 * level),
        "blur": blur,
        "noise, fresh": lambda level: values + spread(level) / 255 * torch.randn(values.shape),
        "jpeg": lambda level: enhance.jpeg_codec_differentiable(values, torch.tensor([float(quality(level))])),
    }

    def rounded(render: Levels) -> Ladder:
        return lambda: lambda level: pixels(render(level))

    return {name: rounded(render) for name, render in rest.items()} | {"noise": noise}


def albumentations(picture: Pixels) -> dict[str, Ladder]:
    """albumentations, each transform with its strength fixed; noise is fresh each time."""
    import albumentations as a

    width = picture.shape[1]

    def once(make: Callable[[int], Any]) -> Ladder:
        return lambda: lambda level: make(level)(image=picture)["image"]

    def gamma(level: int) -> Any:
        return a.RandomGamma(gamma_limit=(100 - 1.8 * level,) * 2, p=1)

    def contrast(level: int) -> Any:
        return a.RandomBrightnessContrast((0, 0), (-0.0175 * level,) * 2, p=1)

    def saturation(level: int) -> Any:
        return a.ColorJitter((1, 1), (1, 1), (1 + 0.06 * level,) * 2, (0, 0), p=1)

    return {
        "brightness": once(gamma),
        "contrast": once(contrast),
        "banding": once(lambda level: a.Posterize(num_bits=7 - level // 11, p=1)),
        "saturation": once(saturation),
        "blur": once(lambda level: a.GaussianBlur(blur_limit=0, sigma_limit=(sigma(level, width),) * 2, p=1)),
        "noise, fresh": once(lambda level: a.GaussNoise(std_range=(spread(level) / 255,) * 2, p=1)),
        "jpeg": once(lambda level: a.ImageCompression(quality_range=(quality(level),) * 2, p=1)),
    }


def imagecorruptions(picture: Pixels) -> dict[str, Ladder]:
    """imagecorruptions, which has five severities: level 1..50 takes each ten times."""
    from imagecorruptions import corrupt

    theirs = {"brightness": "brightness", "contrast": "contrast", "saturation": "saturate",
              "noise, fresh": "gaussian_noise", "jpeg": "jpeg_compression"}  # fmt: skip

    def ladder(name: str) -> Ladder:
        return lambda: lambda level: corrupt(picture, severity=1 + (level - 1) // 10, corruption_name=name)

    return {ours: ladder(name) for ours, name in theirs.items()}


CONTESTANTS = {one.__name__: one for one in (limen, opencv, pillow, kornia, albumentations, imagecorruptions)}
