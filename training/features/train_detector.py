"""Train a small RT-DETR on scenes of 1 to 5 objects from nothing: one command, one thread.

python training/features/train_detector.py
"""

import argparse
import os
import time

import dense
import numpy as np
import scenery
import torch
from dense import COUNT, NAMES, NUMBERS, SIDE, WIDTHS, Data
from scenery import say
from torch import Tensor, nn
from transformers import RTDetrConfig, RTDetrForObjectDetection
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

from limen import digest
from limen.feature.data.instances import Instances, precision
from limen.feature.data.parts import truth
from limen.feature.data.synthetic import SyntheticScene

RATE, BATCH = 1e-3, 16


def make() -> RTDetrForObjectDetection:
    """Return the net: maps of 8, 16 and 32 px a cell, 64 channels, 20 queries, two decoder layers, no denoising."""
    return RTDetrForObjectDetection(
        RTDetrConfig(
            backbone_config=dense.backbone((2, 3, 4)),
            freeze_backbone_batch_norms=False,
            encoder_in_channels=list(WIDTHS[1:]),
            encoder_hidden_dim=64,
            encoder_ffn_dim=128,
            encoder_attention_heads=4,
            hidden_expansion=0.5,
            d_model=64,
            num_queries=20,
            decoder_in_channels=[64, 64, 64],
            decoder_ffn_dim=128,
            decoder_layers=2,
            decoder_attention_heads=4,
            num_denoising=0,
            id2label=NAMES,
            label2id=NUMBERS,
        )
    )


def targets(known: Data) -> list[dict[str, Tensor]]:
    """Return what transformers wants as labels: classes, and boxes as centre and size."""
    centres, sizes = (known.boxes[..., :2] + known.boxes[..., 2:]) / 2, known.boxes[..., 2:] - known.boxes[..., :2]
    boxes = torch.cat([centres, sizes], -1)
    return [
        {"class_labels": labels[:n], "boxes": box[:n]}
        for labels, box, n in zip(known.labels, boxes, known.count.tolist(), strict=True)
    ]


def find(net: RTDetrForObjectDetection, images: Tensor) -> list[Instances]:
    """Return what the net finds in uint8 images: its 20 best pairs of query and class."""
    found = []
    for part in images.split(100):
        with torch.no_grad():
            out = net(scenery.scaled(part))
        scores, at = out.logits.sigmoid().flatten(1).topk(20)
        boxes = out.pred_boxes.gather(1, (at // COUNT)[..., None].expand(-1, -1, 4))
        corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1).double()
        found.extend(map(Instances, (at % COUNT).numpy(), scores.double().numpy(), corners.numpy()))
    return found


def validate(net: RTDetrForObjectDetection, seen: list[SyntheticScene]) -> float:
    """Return box mAP50 on scenes over validation photographs."""
    images = torch.from_numpy(np.stack([scene.image for scene in seen]))
    return precision(find(net, images), [*map(truth, seen)], "boxes").map50


def groups(net: RTDetrForObjectDetection) -> list[dict[str, object]]:
    """Return the backbone, which learns more slowly, and the rest."""
    inner = {id(p) for p in net.model.backbone.parameters()}
    rest = [p for p in net.parameters() if id(p) not in inner]
    return [{"params": net.model.backbone.parameters(), "top": 0.4 * RATE}, {"params": rest, "top": RATE}]


def main() -> None:
    """Train, watch, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="training steps (fewer: for trying)")
    parser.add_argument("--dense", type=int, default=600, help="steps of the backbone before")
    parser.add_argument("--scenes", type=int, default=8000, help="scenes drawn")
    arguments = parser.parse_args()
    start = time.perf_counter()
    scenery.seed("detector")
    net = make()
    known = dense.data("training", arguments.scenes)
    seen = scenery.draw("validation", 300, SIDE, dense.OBJECTS, COUNT)
    say(f"{sum(p.numel() for p in net.parameters())} parameters, {time.perf_counter() - start:.0f} s to prepare")
    inner = net.model.backbone.model
    net.to(memory_format=torch.channels_last)
    dense.pretrain(inner, WIDTHS[1:], known, "detector", arguments.dense)
    average = dense.average(net)
    optimiser = torch.optim.AdamW(groups(net), lr=RATE, weight_decay=1e-4)
    rng = digest.generator("feature training", "detector")
    step, score = 0, 0.0
    while step < arguments.steps:
        for chosen in scenery.batches(arguments.scenes, BATCH, rng)[: arguments.steps - step]:
            some = known.turned(chosen, int(rng.integers(8)))
            images = scenery.recoloured(some.images, rng).contiguous(memory_format=torch.channels_last)
            for group in optimiser.param_groups:
                group["lr"] = group["top"] * scenery.schedule(step, arguments.steps)
            loss = net.train()(images, labels=targets(some)).loss
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            average.update()
            step += 1
            if step % 250 == 0 or step == arguments.steps:
                score = validate(average.mean, seen)
                seconds = f"{time.perf_counter() - start:5.0f} s  {sum(os.times()[:4]):5.0f} CPU s"
                say(f"step {step:5d}  loss {loss:.3f}  validation mAP50 {score:.3f}  {seconds}")
    facts = {
        "command": "python training/features/train_detector.py",
        "steps": arguments.steps,
        "dense_steps": arguments.dense,
        "scenes": arguments.scenes,
        "seconds": round(time.perf_counter() - start),
        "cpu_seconds": round(sum(os.times()[:4])),
        "validation_map50": round(score, 4),
    }
    processor = RTDetrImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    scenery.save(average.mean, processor, "detector", facts)


if __name__ == "__main__":
    main()
