"""Train a small classifier of scenes with one object from nothing: one command each, one thread.

    python training/features/train_classifier.py resnet
    python training/features/train_classifier.py vit

Under texture, the class of the whole image is learnt only after a long plateau. So heads that are dropped at the end
name the class of each cell (ResNet, 4 px, from all stages) or patch (ViT, 8 px, from the last layer) as well. That
alone was too little for the ViT: its patches after two and four layers also learn to foretell the maps of the trained
ResNet (so train that first).
"""

import argparse
import copy
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scenery
import torch
from scenery import say
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import (
    AutoModelForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from limen import digest
from limen.feature.data.synthetic import CLASSES
from limen.feature.model.bundled import shipped

SIDE = 64
NAMES = dict(enumerate(CLASSES))


@dataclass(frozen=True, slots=True)
class Data:
    """Scenes as tensors: images uint8 (N, S, S, 3), or as the nets see them, labels (N,), masks bool (N, S, S)."""

    images: Tensor
    labels: Tensor
    masks: Tensor

    def cells(self, side: int) -> Tensor:
        """Return the class of each cell (N, h, w): the object's if it covers more than 40 % of it, else 10."""
        share = F.avg_pool2d(self.masks[:, None].float(), side)[:, 0]
        return torch.where(share > 0.4, self.labels[:, None, None], len(CLASSES))


class ResNet(nn.Module):
    """A ResNet with a head that names the class of 16x16 cells, from all its stages."""

    def __init__(self) -> None:
        super().__init__()
        config = ResNetConfig(
            embedding_size=32,
            hidden_sizes=[32, 56, 80, 120],
            depths=[1, 2, 2, 1],
            layer_type="basic",
            id2label=NAMES,
            label2id={name: number for number, name in NAMES.items()},
        )
        self.net = ResNetForImageClassification(config)
        self.sides = nn.ModuleList(nn.Conv2d(width, 64, 1) for width in config.hidden_sizes)
        self.name = nn.Conv2d(64, len(CLASSES) + 1, 1)

    def loss(self, images: Tensor, known: Data) -> tuple[Tensor, Tensor]:
        """Return cross-entropy of the image's class and of its cells' (N, 11, 16, 16)."""
        stages = self.net.resnet(images, output_hidden_states=True)
        maps = [side(one) for side, one in zip(self.sides, stages.hidden_states[1:], strict=True)]
        total = sum(F.interpolate(one, size=maps[0].shape[-2:]) for one in maps)
        dense = F.cross_entropy(self.name(F.relu(total)), known.cells(4))
        return F.cross_entropy(self.net.classifier(stages.pooler_output), known.labels), dense


class ViT(nn.Module):
    """A ViT with heads that name the class of its 8x8 patches and foretell the maps of the shipped ResNet."""

    def __init__(self) -> None:
        super().__init__()
        config = ViTConfig(
            image_size=SIDE,
            patch_size=8,
            hidden_size=96,
            num_hidden_layers=6,
            num_attention_heads=3,
            intermediate_size=192,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.06,  # 0.02 is for widths of 768
            id2label=NAMES,
            label2id={name: number for number, name in NAMES.items()},
        )
        self.net = ViTForImageClassification(config)
        places = self.net.vit.embeddings.position_embeddings
        places.data[0, 1:] = 0.5 * waves(SIDE // 8, places.shape[-1])
        for (
            layer
        ) in self.net.vit.layers:  # a token looks at first at those like it and near it (Trockman & Kolter 2023)
            layer.attention.k_proj.weight.data.copy_(layer.attention.q_proj.weight.data)
        self.name = nn.Linear(96, len(CLASSES) + 1)
        self.teacher = AutoModelForImageClassification.from_pretrained(shipped()["resnet"]).requires_grad_(False)
        self.maps = nn.ModuleList(nn.Linear(96, width) for width in self.teacher.config.hidden_sizes[1:3])

    def train(self, mode: bool = True) -> "ViT":
        """Set the mode of all but the teacher, which is always evaluated."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, images: Tensor, known: Data) -> tuple[Tensor, Tensor]:
        """Return cross-entropy of the image's class, and of its patches' (N, 11, 64) with the error of the maps."""
        out = self.net.vit(images, output_hidden_states=True)
        tokens = out.last_hidden_state
        names = F.cross_entropy(self.name(tokens[:, 1:]).transpose(1, 2), known.cells(8).flatten(1))
        maps = self.teacher.resnet(images, output_hidden_states=True).hidden_states[2:4]  # of 8 and 16 px a cell
        error = torch.zeros(())
        for head, layer, right in zip(self.maps, (2, 4), maps, strict=True):
            said = head(out.hidden_states[layer][:, 1:]).transpose(1, 2).unflatten(2, (8, 8))
            said = F.avg_pool2d(said, 8 // right.shape[-1])
            error = error + F.mse_loss(said, right) / right.var()
        return F.cross_entropy(self.net.classifier(tokens[:, 0]), known.labels), names + error


def waves(side: int, width: int) -> Tensor:
    """Return sines and cosines of row and column (side^2, width): a start from which places are told apart."""
    rates = 0.25 ** (torch.arange(width // 4) / (width // 4)) * 2
    at = torch.arange(side)[:, None] * rates
    one = torch.cat([at.sin(), at.cos()], 1)
    rows, columns = one[:, None].expand(-1, side, -1), one[None].expand(side, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a net is trained.

    Attributes:
        make: makes the net with its training heads.
        scenes: drawn.
        steps: taken.
        batch: scenes a step.
        rate: top learning rate of AdamW.
        decay: its weight decay.
        clip: largest norm of the gradient.
        muon: top learning rate of the matrices within the layers under Muon (Jordan 2024), 0 for AdamW throughout.
        colours: whether scenes are recoloured, too.
        leaves: pictures full of edges among the backgrounds.
    """

    make: Callable[[], nn.Module]
    scenes: int
    steps: int
    batch: int
    rate: float
    decay: float
    clip: float
    muon: float = 0.0
    colours: bool = True
    leaves: int = 0


PLANS = {
    "resnet": Plan(ResNet, 20000, 1900, 64, 3e-3, 0.02, 5.0, leaves=200),
    "vit": Plan(ViT, 16000, 3000, 32, 2e-3, 0.05, 1.0, 3e-3, False),
}


def data(name: str, count: int, leaves: int = 0) -> Data:
    """Draw scenes of one object as tensors."""
    drawn = scenery.draw(name, count, SIDE, leaves=leaves)
    labels = torch.tensor([int(scene.labels[0]) for scene in drawn])
    masks = torch.from_numpy(np.stack([scene.masks[0] for scene in drawn]))
    return Data(torch.from_numpy(np.stack([scene.image for scene in drawn])), labels, masks)


def optimisers(model: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """Return AdamW, with weight decay for matrices alone, and Muon where the plan wants it; "top" is the top rate."""
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = [p for name, p in learnt.items() if plan.muon and "vit.layers" in name and p.ndim == 2]
    known = {id(p) for p in inner}
    outer = [p for p in learnt.values() if id(p) not in known]
    groups = [
        {"params": [p for p in outer if p.ndim > 1], "weight_decay": plan.decay, "top": plan.rate},
        {"params": [p for p in outer if p.ndim < 2], "weight_decay": 0.0, "top": plan.rate},
    ]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))]
    if inner:
        turned = [{"params": inner, "top": plan.muon}]
        found.append(torch.optim.Muon(turned, plan.muon, weight_decay=plan.decay, adjust_lr_fn="match_rms_adamw"))
    return found


def accuracy(net: nn.Module, known: Data) -> float:
    """Return the share of images named correctly."""
    logits = scenery.batched(lambda images: net(images).logits, known.images)
    return float((logits.argmax(1) == known.labels).float().mean())


def train(name: str, plan: Plan) -> None:
    """Train, watch, save."""
    start = time.perf_counter()
    scenery.seed(name)
    model = plan.make()
    average = scenery.Average(model.net, copy.deepcopy(model.net))
    known, seen = data("training", plan.scenes, plan.leaves), data("validation", 600)
    steppers = optimisers(model, plan)
    say(f"{sum(p.numel() for p in model.net.parameters())} parameters, {time.perf_counter() - start:.0f} s to prepare")
    rng = digest.generator("feature training", name)
    step, score = 0, 0.0
    while step < plan.steps:
        for chosen in scenery.batches(plan.scenes, plan.batch, rng)[: plan.steps - step]:
            turn = int(rng.integers(8))
            images = scenery.turned(scenery.scaled(known.images[chosen]), turn)
            images = scenery.recoloured(images, rng) if plan.colours else images
            for group in (group for one in steppers for group in one.param_groups):
                group["lr"] = group["top"] * scenery.schedule(step, plan.steps)
            some = Data(images, known.labels[chosen], scenery.turned(known.masks[chosen], turn))
            loss, dense = model.train().loss(images.contiguous(), some)
            model.zero_grad()
            (loss + dense).backward()
            nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            for one in steppers:
                one.step()
            average.update()
            step += 1
            if step % 100 == 0 or step == plan.steps:
                score = accuracy(average.mean, seen)
                seconds = f"{time.perf_counter() - start:5.0f} s  {sum(os.times()[:4]):5.0f} CPU s"
                say(f"step {step:5d}  loss {loss:.3f}  dense {dense:.3f}  validation accuracy {score:.3f}  {seconds}")
    facts = {
        "command": f"python training/features/train_classifier.py {name}",
        "steps": plan.steps,
        "scenes": plan.scenes,
        "seconds": round(time.perf_counter() - start),
        "cpu_seconds": round(sum(os.times()[:4])),
        "validation_accuracy": round(score, 4),
    }
    processor = ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    scenery.save(average.mean, processor, name, facts)


def main() -> None:
    """Train the net that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PLANS)
    parser.add_argument("--steps", type=int, help="training steps (fewer: for trying)")
    arguments = parser.parse_args()
    plan = PLANS[arguments.name]
    train(arguments.name, plan if arguments.steps is None else replace(plan, steps=arguments.steps))


if __name__ == "__main__":
    main()
