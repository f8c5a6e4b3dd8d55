"""Mean average precision of boxes and masks at an overlap of one half, by faster-coco-eval."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster, mask

from limen.feature.scenes import CLASSES, Scene


@dataclass(frozen=True, slots=True)
class Found:
    """What a net found in one image, as `Scene` has it, with scores float (M,)."""

    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32] | None = None
    masks: npt.NDArray[np.bool_] | None = None


def map50(scenes: Sequence[Scene], found: Sequence[Found], kind: str, classes: int) -> float:
    """Return the mean over classes of average precision at IoU .5 (COCO's 101 points).

    Args:
        scenes: what there is.
        found: what was found, one for each scene.
        kind: "bbox" or "segm".
        classes: how many there are.
    """
    truth = COCO()
    side = len(scenes[0].image)
    annotations = [
        {**_place(kind, scene.boxes[n], scene.masks[n]), "image_id": i, "category_id": int(label), "iscrowd": 0}
        for i, scene in enumerate(scenes)
        for n, label in enumerate(scene.labels)
    ]
    sizes = [int(one.sum()) for scene in scenes for one in scene.masks]
    truth.dataset = {
        "images": [{"id": i, "width": side, "height": side} for i in range(len(scenes))],
        "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES[:classes])],
        "annotations": [
            {**a, "id": n, "area": size} for n, (a, size) in enumerate(zip(annotations, sizes, strict=True), 1)
        ],
    }
    results = [
        {
            **_place(kind, None if one.boxes is None else one.boxes[n], None if one.masks is None else one.masks[n]),
            "image_id": i,
            "category_id": int(label),
            "score": float(one.scores[n]),
        }
        for i, one in enumerate(found)
        for n, label in enumerate(one.labels)
    ]
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval_faster(truth, truth.loadRes(results), kind, print_function=lambda *_: None)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1])


def _place(kind: str, box: npt.NDArray[np.float32] | None, where: npt.NDArray[np.bool_] | None) -> dict[str, object]:
    if kind == "segm":
        assert where is not None
        return {"segmentation": mask.encode(np.asfortranarray(where.astype(np.uint8)))}
    assert box is not None
    left, top, right, bottom = (float(v) for v in box)
    return {"bbox": [left, top, right - left, bottom - top]}
