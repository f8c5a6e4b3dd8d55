"""Pictures the demo model is trained and watched on: 64x64 crops of photographs and procedural pictures.

The five colour photographs of scikit-image that the demo is judged by (astronaut, chelsea, coffee, rocket,
motorcycle_left) and the second view of the last (motorcycle_right) are never read here. Nearly all that is left
is grey, so two thirds of the grey crops are coloured by rule, and more than half of all pictures are procedural: dead
leaves with 1/f texture (occlusion, edges, shading), the usual stand-in for natural image statistics.
"""

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image as Pillow
from PIL import ImageDraw

from limen import digest
from limen.image import Image

SIDE = 64
HELD_OUT = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
TRAINING = (
    "brick.png",
    "camera.png",
    "cell.png",
    "clock_motion.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "page.png",
    "text.png",
)
VALIDATION = ("coins.png", "retina.jpg", "grace_hopper.jpg")
_SHARE = {"camera.png": 5.0, "clock_motion.png": 2.0, "ihc.png": 2.0, "page.png": 0.5, "text.png": 0.5}

Field = npt.NDArray[np.float32]


def photograph(name: str) -> Pillow.Image:
    """Open one of scikit-image's photographs, or Matplotlib's of Grace Hopper, as RGB."""
    folders = {"grace_hopper.jpg": Path(matplotlib.get_data_path()) / "sample_data"}
    file = folders.get(name, Path(skimage.data.__file__).parent) / name
    return Pillow.open(file, formats=("PNG", "JPEG")).convert("RGB")


def crop(picture: Pillow.Image, rng: np.random.Generator, smallest: int = SIDE) -> Image:
    """Return a random square crop, `smallest` px to the whole shorter side, brought to 64x64 px (area average)."""
    width, height = picture.size
    shorter = min(width, height)
    side = min(shorter, int(smallest * (shorter / smallest) ** rng.random()))
    left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    box = (left, top, left + side, top + side)
    return np.array(picture.resize((SIDE, SIDE), Pillow.Resampling.BOX, box=box))


def pink(rng: np.random.Generator, slope: float) -> Field:
    """Return a 64x64 random field with amplitude spectrum 1/f^slope, mean 0 and standard deviation 1."""
    f = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    f[0, 0] = 1.0
    white = rng.standard_normal((2, *f.shape))
    field = np.fft.irfft2((white[0] + 1j * white[1]) / f**slope, s=(SIDE, SIDE))
    field -= field.mean()
    return (field / (field.std() + 1e-9)).astype(np.float32)


def _colour(rng: np.random.Generator, saturation: float) -> Field:
    """Return a random colour, grey plus `saturation` times a random chroma, as RGB in grey levels."""
    grey, chroma = rng.uniform(15, 240), rng.normal(0, 1, 3)
    chroma -= chroma @ np.array([0.299, 0.587, 0.114])
    return np.clip(grey + saturation * 45 * chroma, 0, 255).astype(np.float32)


def leaves(rng: np.random.Generator) -> Image:
    """Draw a procedural picture: leaves of random shape and colour over each other, with 1/f texture and shading."""
    saturation = float(rng.choice([0.15, 0.5, 0.8, 1.2]))
    big = SIDE * 2
    canvas = Pillow.new("RGB", (big, big), tuple(int(v) for v in _colour(rng, saturation)))
    draw = ImageDraw.Draw(canvas)
    labels = Pillow.new("L", (big, big), 0)
    mark = ImageDraw.Draw(labels)
    count = int(rng.integers(1, 60))
    for index in range(count):
        radius = big * min(0.7, 0.03 / (rng.random() + 0.03))
        x, y = rng.uniform(-0.1 * big, 1.1 * big, 2)
        ink = tuple(int(v) for v in _colour(rng, saturation))
        kind = rng.random()
        if kind < 0.45:
            aspect = 2 ** rng.uniform(-1, 1)
            box = (x - radius * aspect, y - radius / aspect, x + radius * aspect, y + radius / aspect)
            draw.ellipse(box, fill=ink)
            mark.ellipse(box, fill=index % 255)
        elif kind < 0.9:
            turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            points = [(x + radius * np.cos(t), y + radius * np.sin(t)) for t in turns]
            draw.polygon(points, fill=ink)
            mark.polygon(points, fill=index % 255)
        else:
            x2, y2 = rng.uniform(0, big, 2)
            draw.line((x, y, x2, y2), fill=ink, width=int(rng.integers(1, 6)))
    values = np.asarray(canvas.resize((SIDE, SIDE), Pillow.Resampling.BOX), dtype=np.float32)
    region = np.asarray(labels.resize((SIDE, SIDE), Pillow.Resampling.NEAREST))
    strength = rng.gamma(1.0, 10.0, 256).astype(np.float32)[region][..., None]
    texture = pink(rng, float(rng.uniform(0.5, 1.4)))[..., None]
    shade = pink(rng, 2.0)[..., None] * np.float32(rng.uniform(0, 25))
    tint = (rng.normal(0, 0.25, 3) * saturation + 1).astype(np.float32)
    return np.clip(values + strength * texture * tint + shade, 0, 255).astype(np.uint8)


def coloured(image: Image, rng: np.random.Generator) -> Image:
    """Colour a grey picture by rule: a tint that follows a smooth field, its own luma, or regions."""
    luma = image.astype(np.float32).mean(-1)
    kind = rng.random()
    if kind < 0.35:
        guide = pink(rng, float(rng.uniform(1.2, 2.0)))
    elif kind < 0.7:
        guide = (luma - luma.mean()) / (luma.std() + 8)
    else:
        guide = np.sign(pink(rng, 1.8)) + 0.5 * np.sign(pink(rng, 1.8))
    other = pink(rng, 1.6)
    u, v = (_colour(rng, 1.0), _colour(rng, 1.0))
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    u, v = u - u @ weights, v - v @ weights
    amount = np.float32(0.08 * 8 ** rng.random())
    base = np.float32(rng.uniform(-0.6, 0.6))
    chroma = (base + guide[..., None]) * u + 0.5 * other[..., None] * v
    shaded = np.sqrt(np.clip(luma, 4, 255) / 160)[..., None]  # dark places carry little chroma
    return np.clip(luma[..., None] + amount * chroma * shaded, 0, 255).astype(np.uint8)


def pool(seed: str, photographs: int, procedural: int, names: tuple[str, ...]) -> list[Image]:
    """Return pictures to make pairs of: crops of the named photographs and procedural ones; same seed, same pixels."""
    rng = digest.generator("pictures", seed)
    opened = [photograph(name) for name in names]
    share = np.array([_SHARE.get(name, 1.0) for name in names])
    images: list[Image] = []
    for _ in range(photographs):
        image = crop(opened[int(rng.choice(len(names), p=share / share.sum()))], rng)
        grey = int(np.ptp(image.astype(np.int16), axis=-1).max()) < 3
        images.append(coloured(image, rng) if grey and rng.random() < 0.65 else image)
    images.extend(leaves(rng) for _ in range(procedural))
    return images


def varied(image: Image, rng: np.random.Generator) -> Image:
    """Flip, turn, and change tone and colour at random: a new picture, before any distortion."""
    image = np.rot90(image, int(rng.integers(4)))
    if rng.random() < 0.5:
        image = image[:, ::-1]
    values = image.astype(np.float32)
    if rng.random() < 0.5:
        values = values[..., rng.permutation(3)]
    if rng.random() < 0.7:
        luma = (values @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[..., None]
        values = luma + np.float32(rng.uniform(0.4, 1.5)) * (values - luma)
        values = 127.5 + np.float32(rng.uniform(0.55, 1.15)) * (values - 127.5) + np.float32(rng.normal(0, 18))
    return np.ascontiguousarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
