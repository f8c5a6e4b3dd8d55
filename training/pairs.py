"""Pairs of pictures, the questions asked of them, and the simulated annotator who says what is noticeable.

The annotator is a logistic function of the difference in levels: half yes `HALF` levels above the reference,
later where the reference is itself distorted. So **where the demo model's curves lie is chosen here**; that it
tells a change in one distortion from another, sees none between equal pictures, and compares, is learnt.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pictures import varied
from words import PERSPECTIVES, Language

from limen import digest, distortion
from limen.image import Image

HALF = {  # levels above an undistorted reference at which the annotator says yes half the time
    "banding": 38.0,
    "blur": 11.0,
    "brightness": 6.0,
    "contrast": 7.0,
    "jpeg": 16.0,
    "mask": 5.0,
    "noise": 5.0,
    "qr": 7.0,
    "saturation": 7.0,
    "text": 11.0,
}
CONFUSED = {  # what each distortion is most easily taken for: asked about more often
    "banding": ("noise", "jpeg"),
    "blur": ("jpeg", "contrast"),
    "brightness": ("contrast", "saturation"),
    "contrast": ("brightness", "saturation"),
    "jpeg": ("banding", "noise", "blur"),
    "mask": ("text", "qr"),
    "noise": ("banding", "jpeg"),
    "qr": ("mask", "text"),
    "saturation": ("contrast", "brightness"),
    "text": ("mask", "qr"),
}
NAMES = tuple(HALF)
_SHARE = np.array([{"banding": 2.2, "jpeg": 1.6}.get(name, 1.0) for name in NAMES])  # the two hardest more often
FAINTEST = 0.5  # rms in grey levels below which nothing is noticed


def noticed(name: str, base: int, level: int, rms: float) -> float:
    """Return the annotator's probability of yes for a stimulus at `level` against a reference at `base`."""
    count = len(distortion.find(name).ladder)
    half = HALF[name] * (1 + 1.5 * base / count)
    logistic = 1 / (1 + np.exp(-(level - base - half) / (0.2 * half)))
    seen = 1 / (1 + np.exp(-(rms - 2 * FAINTEST) / (0.5 * FAINTEST))) if name == "saturation" else 1.0
    return float(logistic * seen) if rms > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures and what is to be said about them.

    Attributes:
        reference, stimulus: uint8 (64, 64, 3), in the order shown.
        name: the distortion in which they differ (or might).
        carried: another distortion that both carry, or "".
        yes: the annotator's probability of yes to the question about `name`.
    """

    reference: Image
    stimulus: Image
    name: str
    carried: str
    yes: float


def _levels(name: str, strong: bool, rng: np.random.Generator) -> tuple[int, int]:
    """Return the reference's level and the stimulus's."""
    count = len(distortion.find(name).ladder)
    if strong:
        return 0, count if rng.random() < 0.35 else int(rng.integers(round(0.4 * count), count + 1))
    base = 0 if rng.random() < 0.55 else int(rng.integers(1, round(0.7 * count)))
    room = count - base
    if rng.random() < 0.45:
        step = room ** rng.random()
    else:
        step = HALF[name] * (1 + 1.5 * base / count) * np.exp(0.45 * rng.standard_normal())
    return base, base + int(np.clip(round(step), 1, room))


def pair(images: list[Image], rng: np.random.Generator, strong: bool, equal: float) -> Pair:
    """Make one pair.

    Args:
        images: the pool of pictures.
        rng: decides everything.
        strong: from level 0 to the upper part of the ladder, nothing else.
        equal: share of pairs of equal pictures, half of which are distorted.
    """
    name = NAMES[int(rng.choice(len(NAMES), p=_SHARE / _SHARE.sum()))]
    image = varied(images[int(rng.integers(len(images)))], rng)
    for _ in range(8):
        if name != "saturation" or float(np.ptp(image.astype(np.int16), axis=-1).mean()) > 12:
            break
        image = varied(images[int(rng.integers(len(images)))], rng)
    carried = ""
    if not strong and rng.random() < 0.15:
        carried = NAMES[int(rng.integers(len(NAMES)))]
        kind = distortion.find(carried)
        image = kind.render(image, str(rng.integers(2**62)))(int(rng.integers(1, len(kind.ladder) + 1)))
    at = distortion.find(name).render(image, str(rng.integers(2**62)))
    base, level = _levels(name, strong, rng)
    if rng.random() < equal:
        level = base = level if rng.random() < 0.5 else 0
    first, second = at(base), at(level)
    rms = float(np.sqrt(np.mean((first.astype(np.float32) - second) ** 2)))
    yes = noticed(name, base, level, rms)
    if not strong and rng.random() < 0.15:
        first, second = second, first
    return Pair(first, second, name, carried if carried != name else "", yes)


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs with their packed questions, ready for the model.

    Attributes:
        pixels: uint8 (N, 2, 64, 64, 3).
        ids: int64 (N, Q, T): question, `<answer>`, answer; padded.
        targets: int64 (N, Q, T): what is to come next, -1 where it does not matter.
        flags: int64 (N, Q): where in T the flag is predicted.
        yes: float32 (N, Q): probability of the yes form there.
        choice: bool (N, Q): whether the flag is a letter.
    """

    pixels: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    flags: npt.NDArray[np.int64]
    yes: npt.NDArray[np.float32]
    choice: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch holds.

    Attributes:
        size: pairs.
        questions: a pair.
        length: tokens of a question with its answer.
        strong: share of pairs from level 0 to the upper part of the ladder.
        naming: the implicit direct question only.
        words: phrases broken into words.
        equal: share of equal pairs.
    """

    size: int = 32
    questions: int = 4
    length: int = 9
    strong: float = 0.0
    naming: bool = False
    words: bool = False
    equal: float = 0.2


def _asked(one: Pair, plan: Plan, rng: np.random.Generator) -> list[tuple[bool, str, float]]:
    """Return (implicit, word's distortion, probability of yes) for each question of a pair."""
    if plan.naming:
        return [(True, one.name, one.yes)]
    asked = [(False, one.name, one.yes), (True, one.name, one.yes)]
    others = [name for name in NAMES if name != one.name]
    while len(asked) < plan.questions:
        chance = rng.random()
        if chance < 0.02:
            other = PERSPECTIVES
        elif one.carried and chance < 0.3:
            other = one.carried
        elif chance < 0.6:
            other = CONFUSED[one.name][int(rng.integers(len(CONFUSED[one.name])))]
        else:
            other = others[int(rng.integers(len(others)))]
        asked.append((False, other, 0.0))
    if plan.questions < 3:
        asked[0] = asked[0] if rng.random() < 0.6 else (False, CONFUSED[one.name][0], 0.0)
    return asked[: plan.questions]


def batch(images: list[Image], language: Language, plan: Plan, *key: str | int) -> Batch:
    """Make a batch; its content depends on the pool, the plan and `key` and on nothing else."""
    rng = digest.generator("batch", *key)
    n, q, t = plan.size, plan.questions, plan.length
    pixels = np.zeros((n, 2, 64, 64, 3), np.uint8)
    ids, targets = np.zeros((n, q, t), np.int64), np.full((n, q, t), -1, np.int64)
    flags, yes, choice = np.zeros((n, q), np.int64), np.zeros((n, q), np.float32), np.zeros((n, q), np.bool_)
    for i in range(n):
        one = pair(images, rng, bool(rng.random() < plan.strong), plan.equal)
        pixels[i] = one.reference, one.stimulus
        for j, (implicit, name, probability) in enumerate(_asked(one, plan, rng)):
            letter = not plan.naming and bool(rng.random() < 0.4)
            title = ("choice" if letter else "direct") + ("-implicit" if implicit else "")
            again, says = bool(rng.random() < 0.25), bool(rng.random() < probability)
            word = language.words[name]
            asked = language.broken(title, again, word, rng) if plan.words else language.ask(title, again, word)
            answer = language.answer(says, letter, "" if implicit and not says else word)
            asked = asked[: t - len(answer)]
            row = [*asked, language.ids["<answer>"], *answer]
            ids[i, j, : len(row) - 1] = row[:-1]
            targets[i, j, len(asked) : len(row) - 1] = answer
            flags[i, j], yes[i, j], choice[i, j] = len(asked), probability, letter
    return Batch(pixels, ids, targets, flags, yes, choice)
