"""Train a small Mask2Former on scenes of 1 to 5 objects from nothing: one command, one thread.

python training/features/train_segmenter.py
"""

import argparse
import os
import time

import dense
import numpy as np
import scenery
import torch
from dense import COUNT, NAMES, NUMBERS, SIDE, Data
from scenery import say
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, RTDetrForObjectDetection
from transformers.models.mask2former.image_processing_pil_mask2former import Mask2FormerImageProcessorPil

from limen import digest
from limen.feature.data.instances import Instances, encoded, precision
from limen.feature.data.parts import truth
from limen.feature.data.synthetic import SyntheticScene
from limen.feature.model.bundled import shipped

RATE, BATCH, QUERIES = 1e-3, 16, 12


def make() -> Mask2FormerForUniversalSegmentation:
    """Return the net: 64 channels, 12 queries, masks of 4 px a cell, two layers before the queries and two after."""
    return Mask2FormerForUniversalSegmentation(
        Mask2FormerConfig(
            backbone_config=dense.backbone((1, 2, 3, 4)),
            feature_size=64,
            mask_feature_size=64,
            hidden_dim=64,
            encoder_feedforward_dim=128,
            dim_feedforward=128,
            encoder_layers=2,
            decoder_layers=3,  # one more than there are
            num_attention_heads=4,
            num_queries=QUERIES,
            train_num_points=256,
            id2label=NAMES,
            label2id=NUMBERS,
        )
    )


def find(net: Mask2FormerForUniversalSegmentation, images: Tensor) -> list[Instances]:
    """Return what the net finds in uint8 images: the best class of each query, masks at the image's size.

    The score is the chance of the class times the mean chance of the mask's pixels, as transformers has it.
    """
    found = []
    for part in images.split(50):
        with torch.no_grad():
            out = net(scenery.scaled(part))
        logits = F.interpolate(out.masks_queries_logits, size=(SIDE, SIDE), mode="bilinear")
        masks = logits > 0
        sure = (logits.sigmoid() * masks).sum((2, 3)) / (masks.sum((2, 3)) + 1e-6)
        chances, labels = out.class_queries_logits.softmax(-1)[..., :-1].max(-1)
        for score, label, mask in zip(chances * sure, labels, masks, strict=True):
            there = mask.any(-1).any(-1)
            masks_there = encoded(mask[there].numpy())
            found.append(Instances(label[there].numpy(), score[there].double().numpy(), masks=masks_there))
    return found


def validate(net: Mask2FormerForUniversalSegmentation, seen: list[SyntheticScene]) -> float:
    """Return mask mAP50 on scenes over validation photographs."""
    images = torch.from_numpy(np.stack([scene.image for scene in seen]))
    return precision(find(net, images), [*map(truth, seen)], "masks").map50


def loss(net: Mask2FormerForUniversalSegmentation, images: Tensor, some: Data) -> Tensor:
    """Return transformers' loss: classes, masks at random points and dice, of all layers."""
    counts = some.count.tolist()
    masks = [mask[:n].float() for mask, n in zip(some.masks, counts, strict=True)]
    labels = [label[:n] for label, n in zip(some.labels, counts, strict=True)]
    total: Tensor = net(images, mask_labels=masks, class_labels=labels).loss
    return total.sum()


def main() -> None:
    """Train, watch, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="training steps (fewer: for trying)")
    parser.add_argument("--scenes", type=int, default=8000, help="scenes drawn")
    arguments = parser.parse_args()
    start = time.perf_counter()
    scenery.seed("segmenter")
    net = make()
    known = dense.data("training", arguments.scenes)
    seen = scenery.draw("validation", 300, SIDE, dense.OBJECTS, COUNT)
    say(f"{sum(p.numel() for p in net.parameters())} parameters, {time.perf_counter() - start:.0f} s to prepare")
    net.to(memory_format=torch.channels_last)
    inner = net.model.pixel_level_module.encoder
    detector = RTDetrForObjectDetection.from_pretrained(shipped()["detector"])
    inner.load_state_dict(detector.model.backbone.model.state_dict())
    average = dense.average(net)
    slow = {id(p) for p in inner.parameters()}
    rest = [p for p in net.parameters() if id(p) not in slow]
    groups = [{"params": inner.parameters(), "top": 0.4 * RATE}, {"params": rest, "top": RATE}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, weight_decay=1e-4)
    rng = digest.generator("feature training", "segmenter")
    step, score = 0, 0.0
    while step < arguments.steps:
        for chosen in scenery.batches(arguments.scenes, BATCH, rng)[: arguments.steps - step]:
            some = known.turned(chosen, int(rng.integers(8)))
            images = scenery.recoloured(some.images, rng).contiguous(memory_format=torch.channels_last)
            for group in optimiser.param_groups:
                group["lr"] = group["top"] * scenery.schedule(step, arguments.steps)
            total = loss(net.train(), images, some)
            optimiser.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            average.update()
            step += 1
            if step % 250 == 0 or step == arguments.steps:
                score = validate(average.mean, seen)
                seconds = f"{time.perf_counter() - start:5.0f} s  {sum(os.times()[:4]):5.0f} CPU s"
                say(f"step {step:5d}  loss {total:.3f}  validation mAP50 {score:.3f}  {seconds}")
    facts = {
        "command": "python training/features/train_segmenter.py",
        "steps": arguments.steps,
        "scenes": arguments.scenes,
        "seconds": round(time.perf_counter() - start),
        "cpu_seconds": round(sum(os.times()[:4])),
        "validation_map50": round(score, 4),
    }
    processor = Mask2FormerImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, num_labels=COUNT
    )
    scenery.save(average.mean, processor, "segmenter", facts)


if __name__ == "__main__":
    main()
