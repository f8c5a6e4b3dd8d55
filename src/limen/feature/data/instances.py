"""Objects in images, there or found: how much two outputs agree on them, and their average precision.

Run-length encoding, overlap and average precision are those of COCO, by faster-coco-eval.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from limen.errors import InputError, MissingExtraError

RegionKind = Literal["boxes", "masks"]
Mask = npt.NDArray[np.bool_]
RunLengths = Mapping[str, Any]
"""A mask as COCO has it: {"size": [height, width], "counts": bytes}."""
OVERLAP = 0.5  # intersection over union from which on two are the same object
FOUND = 0.5  # score from which on an object counts as found
_IOU_TYPES: Mapping[RegionKind, str] = {"boxes": "bbox", "masks": "segm"}


@dataclass(frozen=True, slots=True)
class Instances:
    """The objects of one image.

    Attributes:
        labels: int64 (M,), classes by the network's own numbers.
        scores: float64 (M,), falling; 1 where the objects are the truth.
        boxes: float64 (M, 4), left, top, right, bottom as shares of the image's width and height; None where nobody
            says.
        masks: of each object; None where nobody says.
        crowd: bool (M,), annotations of many objects in one: COCO counts neither them nor what is found on them.
        size: (height, width) of the image in px; None where it is not known.
    """

    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    boxes: npt.NDArray[np.float64] | None = None
    masks: tuple[RunLengths, ...] | None = None
    crowd: npt.NDArray[np.bool_] | None = None
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def best(self, least: float) -> "Instances":
        """Return those with a score of `least` or more."""
        kept = [place for place, score in enumerate(self.scores) if score >= least]
        return Instances(
            self.labels[kept],
            self.scores[kept],
            None if self.boxes is None else self.boxes[kept],
            None if self.masks is None else tuple(self.masks[place] for place in kept),
            None if self.crowd is None else self.crowd[kept],
            self.size,
        )


def as_truth(answer: Any) -> Any:
    """Return an answer as what others are compared with: of found objects those of a score of `FOUND` or more.

    Args:
        answer: of a task; what is no `Instances` stands for itself.
    """
    if not isinstance(answer, Instances):
        return answer
    found = answer.best(FOUND)
    size = tuple(found.masks[0]["size"]) if found.masks else found.size
    return replace(found, scores=np.ones(len(found)), size=size)


@dataclass(frozen=True, slots=True)
class Precision:
    """Mean over classes of COCO's average precision (101 points).

    Attributes:
        map50: at an overlap of one half.
        map50_95: mean over overlaps .5, .55, ..., .95.
    """

    map50: float
    map50_95: float


def f1_loss(clean: Instances, other: Instances, kind: RegionKind) -> float:
    """Return 1 - F1 of what was found against what was found in the clean image; 0 where there is none in either.

    Two are the same object if their classes are equal and their overlap is `OVERLAP` or more. As many pairs are formed
    as can be, each object in one at most (COCO's greedy matching by score may form fewer).

    Args:
        clean: what was found in the clean image.
        other: what was found in the other one.
        kind: "boxes" or "masks", which overlap is taken of.
    """
    both = len(clean) + len(other)
    if not len(clean) or not len(other):
        return float(both > 0)
    same = (clean.labels[:, None] == other.labels[None]) & (overlaps(clean, other, kind) >= OVERLAP)
    pairs = int(same[linear_sum_assignment(same, maximize=True)].sum())
    return 1 - 2 * pairs / both


def overlaps(some: Instances, others: Instances, kind: RegionKind) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each with each, (len(some), len(others)).

    Args:
        some: n objects.
        others: m objects.
        kind: "boxes" (left, top, right, bottom as shares of the image, 0 to 1) or "masks" (run lengths of COCO).
    """
    if not len(some) or not len(others):
        return np.zeros((len(some), len(others)))
    if kind == "masks":
        return np.asarray(_masks().iou(list(some.masks or ()), list(others.masks or ()), [0] * len(others)))
    assert some.boxes is not None
    assert others.boxes is not None
    a, b = some.boxes[:, None], others.boxes[None]
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float64)


def precision(found: Sequence[Instances], truth: Sequence[Instances], kind: RegionKind) -> Precision:
    """Return the mean average precision over images; classes of which there is no object do not count.

    A mask that was found at another size than the image's is brought to it (nearest pixel).

    Args:
        found: one for each image; COCO takes the 100 best of each.
        truth: one for each image, with its size.
        kind: what overlaps are of.

    Raises:
        InputError: there is no object in any image, so there is no precision.
        MissingExtraError: faster-coco-eval is not installed.
    """
    if not any(len(one) if one.crowd is None else (~one.crowd).any() for one in truth):
        raise InputError(
            f"None of {len(truth)} test images holds an object (with --score agreement: one that the undisturbed "
            f"network finds with a score of {FOUND:g}), so there is no average precision. Give images that do."
        )
    sizes = [one.size or (1, 1) for one in truth]
    results = [row for i, one in enumerate(found) for row in _results(i, one, sizes[i], kind)]
    if not results:
        return Precision(0.0, 0.0)
    library = _library()
    known = library.COCO()
    annotations = [row for i, one in enumerate(truth) for row in _annotations(i, one, sizes[i], kind)]
    known.dataset = {
        "images": [{"id": i, "height": height, "width": width} for i, (height, width) in enumerate(sizes)],
        "categories": [{"id": label} for label in sorted({row["category_id"] for row in annotations})],
        "annotations": [row | {"id": number} for number, row in enumerate(annotations, 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        judge = library.COCOeval_faster(known, known.loadRes(results), _IOU_TYPES[kind], print_function=_quiet)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return Precision(float(judge.stats[1]), float(judge.stats[0]))


def encoded(masks: Mask) -> tuple[RunLengths, ...]:
    """Return masks (M, H, W) as run lengths."""
    if not len(masks):
        return ()
    return tuple(_masks().encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))))


def decoded(masks: Sequence[RunLengths], size: Sequence[int]) -> Mask:
    """Return run lengths as masks (M, H, W) of (height, width) `size`."""
    if not len(masks):
        return np.zeros((0, *size), np.bool_)
    return np.asarray(_masks().decode(list(masks)).transpose(2, 0, 1).astype(np.bool_))


def polygons(outlines: Sequence[Sequence[float]], size: Sequence[int]) -> RunLengths:
    """Return the union of polygons, x and y of their corners by turns in px, as run lengths."""
    parts = _masks().frPyObjects([list(outline) for outline in outlines], *size)
    merged: RunLengths = _masks().merge(parts)
    return merged


def compressed(counts: Sequence[int], size: Sequence[int]) -> RunLengths:
    """Return run lengths written as numbers, as COCO writes crowds, as run lengths in bytes."""
    made: RunLengths = _masks().frPyObjects({"counts": list(counts), "size": list(size)}, *size)
    return made


def _annotations(image: int, one: Instances, size: tuple[int, int], kind: RegionKind) -> list[dict[str, Any]]:
    crowd = np.zeros(len(one), np.bool_) if one.crowd is None else one.crowd
    return [
        {"image_id": image, "category_id": int(label), "iscrowd": int(many)} | place
        for label, many, place in zip(one.labels, crowd, _places(one, size, kind), strict=True)
    ]


def _results(image: int, one: Instances, size: tuple[int, int], kind: RegionKind) -> list[dict[str, Any]]:
    return [
        {"image_id": image, "category_id": int(label), "score": float(score)} | place
        for label, score, place in zip(one.labels, one.scores, _places(one, size, kind), strict=True)
    ]


def _places(one: Instances, size: tuple[int, int], kind: RegionKind) -> list[dict[str, Any]]:
    """Return where each object is and how large, in px of the image."""
    if kind == "masks":
        masks = _resized(one.masks or (), size)
        return [{"segmentation": mask, "area": float(_masks().area([mask])[0])} for mask in masks]
    assert one.boxes is not None
    corners = one.boxes * np.array([size[1], size[0]] * 2)
    sides = corners[:, 2:] - corners[:, :2]
    return [
        {"bbox": [*map(float, corner[:2]), *map(float, side)], "area": float(side.prod())}
        for corner, side in zip(corners, sides, strict=True)
    ]


def _resized(masks: Sequence[RunLengths], size: tuple[int, int]) -> Sequence[RunLengths]:
    if not masks or tuple(masks[0]["size"]) == size:
        return masks
    height, width = masks[0]["size"]
    rows = ((np.arange(size[0]) + 0.5) * height / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * width / size[1]).astype(int)
    return encoded(decoded(masks, (height, width))[:, rows[:, None], columns[None]])


def _library() -> Any:
    try:
        import faster_coco_eval
    except ImportError:
        raise MissingExtraError("detection and segmentation", "faster-coco-eval", "feature") from None
    return faster_coco_eval


def _masks() -> Any:
    return _library().mask


def _quiet(*_told: object) -> None:
    """Print nothing."""
