"""Measure the shipped nets on fresh scenes over the photographs that ship with limen, and write the card's figures.

    python training/features/card.py

The scenes are drawn under a name of their own, so no training, validation or test has seen them. The text of the card
outside the two markers is left as it is.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scenery
import torch
import train_detector
import train_segmenter
from scenery import OUT, say
from transformers import (
    AutoModelForImageClassification,
    AutoModelForObjectDetection,
    AutoModelForUniversalSegmentation,
)

from limen.curve import Share
from limen.feature.data import synthetic
from limen.feature.data.instances import precision
from limen.feature.data.parts import truth
from limen.feature.model.bundled import shipped

CARD = OUT / "MODEL_CARD.md"
BEGIN, FINISH = "<!-- figures: written by training/features/card.py -->", "<!-- end of figures -->"
STUDENT = 2.262  # 97.5 % point of Student's t at 9 degrees of freedom: ten sets of scenes


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def classifier(name: str, folder: Path, count: int) -> list[str]:
    """Return accuracy with its Wilson interval, and the classes named worst."""
    net = AutoModelForImageClassification.from_pretrained(folder).eval()
    drawn = synthetic.draw(synthetic.photographs(), "card", range(count), 64)
    images = torch.from_numpy(np.stack([scene.image for scene in drawn]))
    labels = np.array([scene.labels[0] for scene in drawn])
    right = scenery.batched(lambda part: net(part).logits, images).argmax(1).numpy() == labels
    within = Share(int(right.sum()), count).interval
    assert within is not None
    shares = sorted((right[labels == n].mean(), word) for n, word in enumerate(synthetic.CLASSES))
    worst = ", ".join(f"{word} {share:.2f}" for share, word in shares[:3])
    return [
        name,
        "accuracy",
        f"{right.mean():.3f}",
        f"{within.low:.3f}-{within.high:.3f}",
        f"{count} scenes",
        f"lowest: {worst}",
    ]


def finder(name: str, folder: Path, count: int) -> list[str]:
    """Return mAP50 over ten sets of `count` / 10 scenes, with Student's interval for their mean."""
    boxes = name == "detector"
    auto = AutoModelForObjectDetection if boxes else AutoModelForUniversalSegmentation
    net, find = auto.from_pretrained(folder).eval(), train_detector.find if boxes else train_segmenter.find
    values = []
    for part in np.arange(count).reshape(10, -1):
        drawn = synthetic.draw(synthetic.photographs(), "card", map(int, part), 96, (1, 5), 6)
        found = find(net, torch.from_numpy(np.stack([scene.image for scene in drawn])))
        values.append(precision(found, [*map(truth, drawn)], "boxes" if boxes else "masks").map50)
        say(f"{name} {values[-1]:.3f}")
    mean, half = np.mean(values), STUDENT * np.std(values, ddof=1) / len(values) ** 0.5
    title = "box mAP50" if boxes else "mask mAP50"
    sets = f"10 sets of {count // 10} scenes"
    return [
        name,
        title,
        f"{mean:.3f}",
        f"{mean - half:.3f}-{mean + half:.3f}",
        sets,
        f"sets: {min(values):.2f}-{max(values):.2f}",
    ]


def trained(name: str, folder: Path) -> list[str]:
    """Return what the training script wrote down about itself."""
    facts = json.loads((folder / "training.json").read_text())
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    validation = next(value for key, value in facts.items() if key.startswith("validation"))
    steps = f"{facts.get('dense_steps', 0)} + {facts['steps']}" if "dense_steps" in facts else str(facts["steps"])
    minutes = f"{facts['cpu_seconds'] / 60:.1f}"
    return [
        name,
        f"`{facts['command']}`",
        facts["parameters"],
        f"{size:.2f}",
        steps,
        facts["scenes"],
        minutes,
        validation,
    ]


def main() -> None:
    """Measure, print, and write the tables into the card."""
    parser = argparse.ArgumentParser(description="Measure the nets of limen.feature and write their card's figures.")
    parser.add_argument("--scenes", type=int, default=4000, help="fresh scenes a classifier is asked about")
    parser.add_argument("--sets", type=int, default=300, help="fresh scenes in each of the ten sets of the others")
    parser.add_argument("--card", type=Path, default=CARD, help="the card, or a file without markers to fill")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = shipped()
    figures = [
        classifier(name, folder, arguments.scenes)
        if name in ("resnet", "vit")
        else finder(name, folder, 10 * arguments.sets)
        for name, folder in known.items()
    ]
    versions = json.loads((next(iter(known.values())) / "training.json").read_text())["versions"]
    text = "\n\n".join(
        [
            table(["net", "measure", "value", "95 % interval", "on", "spread"], figures),
            "All test scenes stand over 20 crops of four photographs; intervals are over scenes, not over photographs.",
            table(
                ["net", "command", "parameters", "MB", "steps", "scenes", "CPU minutes", "on validation photographs"],
                [trained(name, folder) for name, folder in known.items()],
            ),
            f"CPU minutes are of one thread and count the drawing of the scenes; torch {versions['torch']}, "
            f"transformers {versions['transformers']}.",
        ]
    )
    say(text)
    card = arguments.card.read_text() if arguments.card.exists() else f"{BEGIN}\n{FINISH}\n"
    before, rest = card.split(BEGIN)
    arguments.card.write_text(f"{before}{BEGIN}\n\n{text}\n\n{FINISH}{rest.split(FINISH)[1]}")


if __name__ == "__main__":
    main()
