"""Figures on the validation pictures while training, read off the flag's probabilities (no generation)."""

from dataclasses import dataclass

import numpy as np
import torch
from network import Packed
from pairs import NAMES
from words import ASK, QUESTIONS, Language

from limen import distortion
from limen.image import Image

SHARES = (0.1, 0.2, 0.4, 1.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of yes on validation pictures.

    Attributes:
        lines: a table, one line a distortion.
        score: mean over the distortions of the yes at the top, less false alarms and yes to other words.
    """

    lines: list[str]
    score: float


def _flags(packed: Packed, language: Language, pixels: np.ndarray, asked: list[list[int]]) -> np.ndarray:
    """Return p(yes) over yes and no forms, (N, Q), for questions given as ids."""
    length = max(len(ids) for ids in asked) + 1
    ids = np.zeros((len(asked), length), np.int64)
    for row, one in zip(ids, asked, strict=True):
        row[: len(one) + 1] = [*one, language.ids[ASK]]
    at = torch.tensor([len(one) for one in asked])
    with torch.no_grad():
        states = packed(torch.from_numpy(pixels), torch.from_numpy(ids).expand(len(pixels), -1, -1))
        logits = packed.model.lm_head(states[:, torch.arange(len(asked)), at])
    chance = logits.softmax(-1).numpy()
    yes = chance[..., [language.ids["Yes"], language.ids["A"]]].sum(-1)
    no = chance[..., [language.ids["No"], language.ids["B"]]].sum(-1)
    return yes / (yes + no)


def figures(packed: Packed, language: Language, images: list[Image]) -> Figures:
    """Ask all questions of every distortion at four levels, of equal pairs, and about every other distortion."""
    head = "implicit choice c-impl 2nd | same clean top | other"
    lines = ["            yes at " + " ".join(f"{s:5.0%}" for s in SHARES) + f"  {head}"]
    scores = []
    for name in NAMES:
        kind = distortion.find(name)
        count = len(kind.ladder)
        others = [language.ask("direct", False, language.words[other]) for other in NAMES if other != name]
        asked = [language.ask(title, False, language.words[name]) for title in QUESTIONS] + others
        at = [kind.render(image, f"watch {i}") for i, image in enumerate(images)]
        levels = [max(1, round(s * count)) for s in SHARES]

        def share(base: int, level: int, at: list = at, asked: list = asked) -> np.ndarray:
            pixels = np.stack([np.stack([one(base), one(level)]) for one in at])
            return (_flags(packed, language, pixels, asked) > 0.5).mean(0)

        rows = [share(0, level) for level in levels]
        second = share(levels[1], levels[1] + round(0.3 * count))
        clean, top = share(0, 0), share(count, count)
        other = rows[-1][4:].mean()
        worst = NAMES[[n for n in range(len(NAMES)) if NAMES[n] != name][int(rows[-1][4:].argmax())]]
        lines.append(
            f"{name:>11}        "
            + " ".join(f"{row[0]:5.2f}" for row in rows)
            + f"     {rows[-1][1]:.2f}   {rows[-1][2]:.2f}   {rows[-1][3]:.2f}  {second[0]:.2f} |"
            + f"      {clean.max():.2f} {top[:4].max():.2f} |  {other:.2f} ({worst} {rows[-1][4:].max():.2f})"
        )
        scores.append(rows[-1][0] - 0.5 * clean[0] - 0.5 * top[0] - 0.5 * other)
    return Figures(lines, float(np.mean(scores)))
