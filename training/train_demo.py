"""Train the embedded demo model from nothing and export it: one command, about 30 minutes on two free cores.

    python training/train_demo.py

Three steps follow each other: names (strong levels, the implicit question), everything (all questions, packed),
export (checkpoint folder and ONNX). Pairs are made in a second process. A fixed seed decides every picture, pair
and weight; last digits may still differ between processors and library releases.

The five photographs that the demo is judged by are never read here (`pictures.HELD_OUT`).
"""

import argparse
import copy
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import export
import network
import pictures
import torch
import transformers
import watch
import words
from pairs import Batch, Plan, batch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from transformers import Idefics3ForConditionalGeneration, PreTrainedTokenizerFast

from limen.image import Image

SEED = 1
NAMING, STRONG, TOTAL = 150, 900, 4800  # steps after which naming, then strong levels, then everything ends
OUT = Path(__file__).resolve().parents[1] / "src" / "limen" / "data" / "demo"


def plan(step: int, total: int) -> Plan:
    """Return what the batch of a step holds: after `STRONG`, ever fewer pairs are strong, from 0.8 to 0.35."""
    if step < NAMING:
        return Plan(questions=1, length=6, strong=1.0, naming=True, equal=0.25)
    strong = 0.8 - 0.45 * (step - STRONG) / (total - STRONG) if step >= STRONG else 1.0
    if step % 7 == 6:
        return Plan(questions=2, length=34, strong=strong, words=True)
    return Plan(strong=strong)


def rate(step: int, total: int) -> float:
    """Return the learning rate: 1e-3 while naming, then a cosine from 6e-4 to nothing; each begins slowly."""
    if step < NAMING:
        return 1e-3 * min(1.0, (step + 1) / 30)
    done = (step - NAMING) / (total - NAMING)
    return 6e-4 * 0.5 * (1 + math.cos(math.pi * done)) * min(1.0, (step - NAMING + 1) / 60)


class Stream(IterableDataset[Batch]):
    """The batches of a training run in order, made in the process that reads them.

    Args:
        total: steps.
        language: token ids.
        seed: decides every picture and pair.
    """

    def __init__(self, total: int, language: words.Language, seed: int) -> None:
        self.total, self.language, self.seed = total, language, seed
        self.images = pictures.pool(f"training {seed}", 3000, 4000, pictures.TRAINING)

    def __iter__(self) -> Iterator[Batch]:
        for step in range(self.total):
            yield batch(self.images, self.language, plan(step, self.total), self.seed, step)


def losses(packed: network.Packed, one: Batch, language: words.Language) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropies of the flag (against the annotator's probability) and of the rest."""
    ids, targets = torch.from_numpy(one.ids), torch.from_numpy(one.targets)
    states = packed(torch.from_numpy(one.pixels), ids)
    where = targets >= 0
    logs = packed.model.lm_head(states[where]).log_softmax(-1)
    wanted = targets[where]
    flag = torch.zeros_like(where)
    flag.scatter_(2, torch.from_numpy(one.flags)[..., None], True)
    flag = flag[where]
    choice, yes = torch.from_numpy(one.choice).flatten(), torch.from_numpy(one.yes).flatten()
    said = torch.where(choice, language.ids["A"], language.ids["Yes"])
    denied = torch.where(choice, language.ids["B"], language.ids["No"])
    at = logs[flag]
    first = -(yes * at.gather(1, said[:, None])[:, 0] + (1 - yes) * at.gather(1, denied[:, None])[:, 0]).mean()
    rest = -logs[~flag].gather(1, wanted[~flag][:, None]).mean()
    return first, rest


class Learner:
    """The model, its running average, and the optimiser.

    Args:
        language: token ids.
        images: pictures whose statistics initialise the patches.
        total: steps.
        seed: decides the weights.
    """

    def __init__(self, language: words.Language, images: list[Image], total: int, seed: int) -> None:
        self.language, self.total = language, total
        model = network.make(language.tokens, seed)
        network.initialise(model, images)
        self.packed = network.Packed(model.train(), language.prefix)
        self.averaged = copy.deepcopy(self.packed)
        matrices = [p for p in model.parameters() if p.ndim > 1]
        vectors = [p for p in model.parameters() if p.ndim < 2]
        self.optimiser = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}], betas=(0.9, 0.95)
        )

    def learn(self, step: int, one: Batch) -> tuple[float, float]:
        """Take one step; return the losses of the flag and of the rest."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate(step, self.total)
        first, rest = losses(self.packed, one, self.language)
        self.optimiser.zero_grad()
        (first + 0.5 * rest).backward()
        torch.nn.utils.clip_grad_norm_(self.packed.parameters(), 1.0)
        self.optimiser.step()
        keep = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(self.averaged.parameters(), self.packed.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        return first.item(), rest.item()


def save(model: Idefics3ForConditionalGeneration, tokens: PreTrainedTokenizerFast, out: Path) -> float:
    """Write the checkpoint folder and its ONNX export; return the export's largest difference in logits."""
    out.mkdir(parents=True, exist_ok=True)
    model.eval()
    model.save_pretrained(out)
    network.processor(tokens).save_pretrained(out)
    return export.export(model, out)


def main() -> None:
    """Train, watch, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="checkpoint folder")
    parser.add_argument("--steps", type=int, default=TOTAL, help="training steps (fewer: for trying)")
    parser.add_argument("--seed", type=int, default=SEED, help="decides every picture, pair and weight")
    arguments = parser.parse_args()
    start, total, seed = time.perf_counter(), arguments.steps, arguments.seed
    torch.set_num_threads(1)
    torch.manual_seed(seed)

    tokens = words.tokenizer()
    language = words.Language(tokens)
    stream = Stream(total, language, seed)
    seen = pictures.pool("validation", 24, 8, pictures.VALIDATION)
    learner = Learner(language, stream.images, total, seed)
    count = sum(p.numel() for p in learner.packed.parameters())
    print(f"{count} parameters, {len(tokens)} tokens, {time.perf_counter() - start:.0f} s to prepare", flush=True)
    recent: list[tuple[float, float]] = []
    flag = rest = score = 0.0
    for step, one in enumerate(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=8), 1):
        recent.append(learner.learn(step - 1, one))
        if step % 50 == 0:
            flag, rest = (sum(values) / len(recent) for values in zip(*recent, strict=True))
            recent.clear()
            seconds = f"{time.perf_counter() - start:5.0f} s  {time.process_time():5.0f} CPU s"
            print(f"step {step:5d}  flag {flag:.4f}  rest {rest:.4f}  {seconds}", flush=True)
        if step % 1000 == 0 or step == total:
            found = watch.figures(learner.averaged, language, seen)
            score = found.score
            print("\n".join([*found.lines, f"score {score:.3f}"]), flush=True)
    difference = save(learner.averaged.model, tokens, arguments.out)
    facts = {
        "seed": seed,
        "steps": total,
        "parameters": count,
        "seconds": round(time.perf_counter() - start),
        "cpu_seconds": round(sum(os.times()[:4])),
        "flag_loss": round(flag, 4),
        "rest_loss": round(rest, 4),
        "validation_score": round(score, 4),
        "onnx_largest_logit_difference": difference,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    (arguments.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
