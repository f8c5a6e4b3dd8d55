"""A vision encoder alone: any transformers vision model, or the vision part of an image-text-to-text checkpoint.

It answers with the distance of two pictures' embeddings, and says yes above a criterion. Beside the whole model on the
same series it tells where a change is lost: before the encoder (the as-seen floor), in it, or behind it.

An embedding is the encoder's last hidden state: one vector a patch, before any projection into the language model.

    pooled      1 - cosine of the two means over patches
    patches     the largest 1 - cosine over pairs of patches at the same place

The criterion is fixed before the first question (`calibrate`). Identical pictures are at distance 0 exactly, which
would make every change that arrives a yes; so the references are compared with themselves under noise that no 8-bit
picture could show: uniform, at most half a grey level of what the model gets. The criterion is the order statistic
that a further such pair exceeds with at most the probability `false_alarms` (Vovk, Gammerman and Shafer 2005, split
conformal prediction; the pairs of one picture are not independent, which the guarantee takes them for).
"""

import asyncio
import inspect
import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from limen import ident
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observer import Attempt, Query, Reply, observer
from limen.observers import _numeric
from limen.observers.local import arriving, checkpoint, failure
from limen.observers.local.checkpoint import Positive
from limen.seen import Seen

Floats = npt.NDArray[np.float64]

KEPT = 64  # embeddings remembered: a reference is compared with every level
UNUSED = "pooler"  # weights of a pooling head, which the distances do not need


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What may be chosen about an encoder.

    Attributes:
        distance: "pooled" over all patches, or the largest between "patches".
        false_alarms: share of yes that the criterion allows to identical pairs under noise below the floor.
        pairs: how many such pairs the criterion is fixed from.
        criterion: fixes the criterion instead; declare why.
        revision: branch, tag or commit on the hub; empty for its main branch.
        dtype: of the weights; "auto" as they are stored.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        trust_remote_code: the repository (or folder) whose code may run: the model's own name, spelt out.
        min_pixels, max_pixels, longest_edge: bounds on a picture's size where the processor has them.
        attention: "auto", or a kernel that transformers knows.
    """

    distance: Literal["pooled", "patches"] = "pooled"
    false_alarms: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    pairs: Positive = 64
    criterion: Annotated[float, msgspec.Meta(ge=0)] | None = None
    revision: str = ""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    trust_remote_code: str = ""
    min_pixels: Positive | None = None
    max_pixels: Positive | None = None
    longest_edge: Positive | None = None
    attention: str = "auto"

    def of_checkpoint(self) -> checkpoint.Options:
        """Return the part that says how a checkpoint is loaded."""
        return checkpoint.Options(
            revision=self.revision, dtype=self.dtype, device=self.device, trust_remote_code=self.trust_remote_code,
            min_pixels=self.min_pixels, max_pixels=self.max_pixels, longest_edge=self.longest_edge,
            attention=self.attention,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tower:
    """A loaded encoder.

    Attributes:
        torch: the library.
        model: has `get_image_features`, or gives its last hidden state when called.
        processor: of pictures and text where the checkpoint has a language part, else of pictures.
        whole: whether the checkpoint has a language part.
        identity: what was loaded, as fingerprints name it.
    """

    torch: Any
    model: Any
    processor: Any
    whole: bool
    identity: Mapping[str, Any]


@observer("encoder", Options)
class Encoder:
    """A vision encoder alone, of an LMM or any vision model: the distance of two embeddings against a criterion"""

    def __init__(self, model: str, options: Options) -> None:
        self._source = checkpoint.locate(model, options.of_checkpoint())
        self._options = options
        self._label = checkpoint.label(self._source)
        self._tower: Tower | None = None
        self._criterion = options.criterion
        self._known: OrderedDict[str, Floats] = OrderedDict()
        self.name = f"encoder:{self._label} ({options.distance})"
        self.concurrency, self.numeric = 1, True

    async def __aenter__(self) -> Self:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="limen-encoder")
        try:
            load = asyncio.get_running_loop().run_in_executor(self._pool, _load, self._source, self._options)
            self._tower = await load
        finally:
            if self._tower is None:
                self._pool.shutdown(wait=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._tower = None
        self._known.clear()

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers, the criterion with it; known inside `async with`, once it is fixed."""
        return {
            **self._held().identity,
            "kind": "encoder",
            "distance": self._options.distance,
            "criterion": self._judged(),
        }

    def calibrate(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        """Fix the criterion from identical pairs under noise below the floor, and return the row to keep.

        The noise of a pair belongs to its picture and number, not to the order or the other pictures.
        """
        if self._options.criterion is not None:
            return {"criterion": self._options.criterion, "declared": True}
        draws = math.ceil(self._options.pairs / len(pictures))
        found = sorted(
            self._distances(self._embedding(picture), self._embed(picture, draw))[self._options.distance]
            for picture in pictures
            for draw in range(draws)
        )
        place = math.ceil((1 - self._options.false_alarms) * (len(found) + 1))
        row = {
            "criterion": found[min(place, len(found)) - 1],
            "declared": False,
            "distance": self._options.distance,
            "false_alarms": self._options.false_alarms,
            "noise": "uniform, at most half a grey level of what the model gets",
            "pictures": [picture.digest for picture in pictures],
            "draws": draws,
            "distances": found,
            "enough": place <= len(found),
        }
        self.judge_by(row)
        return row

    def judge_by(self, row: Mapping[str, Any]) -> None:
        """Take the criterion from a row that was kept."""
        self._criterion = float(row["criterion"])

    def see(self, pictures: Sequence[Picture]) -> tuple[Seen, ...]:
        """Return what reaches the encoder of pictures of one size; loads its processor where it is not loaded."""
        whole, config, processor = self._looking()
        images = processor.image_processor if whole else processor
        with failure.explaining(self.name, "Its processor takes no such pictures"):
            batch = _tensors(processor, whole, pictures)
        stored = checkpoint.stored_dtype(config, self._options.of_checkpoint())
        dtype = self._tower.model.dtype if self._tower else stored
        cast = {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}
        return arriving.seen(cast, len(pictures), images, None, arriving.patch_side(config))

    async def answer(self, query: Query) -> Reply:
        """Answer with the distance of the two pictures, and yes where it is above the criterion."""
        self._held()
        pair = _numeric.pair(query)
        criterion = self._judged()
        began = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, self._compare, pair)
        except failure.FAILURES as error:
            failed = Attempt(failure.outcome(error), failure.line(error), time.perf_counter() - began)
            if failed.outcome == "device-lost":
                raise FatalObserverError("device-lost", f"{self.name}: {failed.detail}. Start the run again.") from None
            return Reply(None, (failed,))
        seconds = time.perf_counter() - began
        mine = self._options.distance
        others = {name: value for name, value in found.items() if name != mine}
        answer = _numeric.answer(query, found[mine], criterion, f"{mine} distance", others, self._label)
        return Reply(replace(answer, seconds=seconds), (Attempt("ok", "", seconds),))

    # --- embeddings ---

    def _compare(self, pair: tuple[Picture, Picture]) -> dict[str, float]:
        first, second = (self._embedding(picture) for picture in pair)
        return self._distances(first, second)

    def _embedding(self, picture: Picture) -> Floats:
        """Return a picture's embedding, computed once while it is remembered."""
        if picture.digest not in self._known:
            self._known[picture.digest] = self._embed(picture)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(picture.digest)
        return self._known[picture.digest]

    def _embed(self, picture: Picture, draw: int | None = None) -> Floats:
        """Return the last hidden state of a picture, (patches, channels), under the noise of a draw if one is given.

        A model that takes text as well is shown the picture twice, as questions show two: some processors treat one
        picture alone otherwise. Both halves are the same; the first is returned.
        """
        held = self._held()
        torch = held.torch
        batch = _tensors(held.processor, held.whole, [picture])
        if draw is not None:
            images = held.processor.image_processor if held.whole else held.processor
            half = 0.5 / max(abs(gain) for gain in arriving.scale(images)[0])
            shape = tuple(batch["pixel_values"].shape)
            noise = ident.generator("encoder", "noise", picture.digest, draw).uniform(-half, half, shape)
            batch["pixel_values"] = batch["pixel_values"] + torch.from_numpy(noise.astype(np.float32))
        device, dtype = held.model.device, held.model.dtype
        inputs = {name: value.to(device, dtype if value.is_floating_point() else None) for name, value in batch.items()}
        with torch.inference_mode():
            hidden = _hidden(held.model, inputs)
        rows = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden
        found: Floats = rows.reshape(-1, rows.shape[-1]).double().cpu().numpy()
        return found[: len(found) // 2] if held.whole else found

    def _distances(self, first: Floats, second: Floats) -> dict[str, float]:
        return {
            "pooled": cosine_distance(first.mean(axis=0, keepdims=True), second.mean(axis=0, keepdims=True)),
            "patches": cosine_distance(first, second),
        }

    def _looking(self) -> tuple[bool, Any, Any]:
        """Return whether there is a language part, the configuration and the processor, loaded or not."""
        if self._tower is not None:
            return self._tower.whole, self._tower.model.config, self._tower.processor
        return _processor(self._source, self._options.of_checkpoint())

    def _held(self) -> Tower:
        if self._tower is None:
            raise InputError(f"{self.name} is not loaded. Use it inside `async with`.")
        return self._tower

    def _judged(self) -> float:
        if self._criterion is None:
            raise InputError(
                f"{self.name} has no criterion yet. Call calibrate(pictures), or give the option criterion."
            )
        return self._criterion


def cosine_distance(first: Floats, second: Floats) -> float:
    """Return the largest 1 - cosine over pairs of rows, 0..2.

    As half the squared distance of unit vectors: 1 - cosine itself would lose what is below 1e-16 of 1, and it is 0
    exactly where two rows are equal. A row of zeros has no direction: it is at 0 from another, at .5 from the rest.
    """
    units = [row / np.maximum(np.linalg.norm(row, axis=-1, keepdims=True), 1e-300) for row in (first, second)]
    return float(0.5 * np.max(np.sum((units[0] - units[1]) ** 2, axis=-1)))


# --- loading ---


def _processor(source: str, options: checkpoint.Options) -> tuple[bool, Any, Any]:
    """Return whether a checkpoint has a language part, its configuration and its processor."""
    _, transformers = failure.libraries()
    config = checkpoint.load_config(source, options)
    if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return True, *checkpoint.load_processor(source, options)
    with failure.explaining(source, "It needs a preprocessor_config.json for pictures; fetch the whole repository"):
        images = transformers.AutoImageProcessor.from_pretrained(
            source,
            trust_remote_code=bool(options.trust_remote_code),
            **({} if Path(source).is_dir() or not options.revision else {"revision": options.revision}),
        )
    checkpoint.resize(source, images, options)
    return False, config, images


def _load(source: str, options: Options) -> Tower:
    """Load an encoder with its processor; of a whole model the language part is let go."""
    given = options.of_checkpoint()
    torch, transformers = failure.libraries()
    device = checkpoint.find_device(torch, given.device)
    whole, config, processor = _processor(source, given)
    auto = transformers.AutoModelForImageTextToText if whole else transformers.AutoModel
    model = checkpoint.load_weights(auto, source, given, device, "" if whole else UNUSED)
    identity = checkpoint.identity(source, model, processor, config)
    if not (hasattr(model, "get_image_features") or "pixel_values" in inspect.signature(model.forward).parameters):
        raise InputError(f"{source}: {config.model_type!r} takes no pictures. Give a vision model, or an LMM.")
    if whole:
        inner = getattr(model, "model", model)
        for part in ("language_model", "text_model"):
            if hasattr(inner, part):
                setattr(inner, part, None)
        model.lm_head = None
    return Tower(torch, model, processor, whole, identity)


def _tensors(processor: Any, whole: bool, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return what the processor makes of pictures; one alone is shown twice where there is a language part."""
    if whole:
        shown = list(pictures) if len(pictures) > 1 else list(pictures) * 2
        prompt = checkpoint.render(processor, [*shown, "limen"])
        batch = arriving.process(processor, [prompt], [shown])
        return {name: value for name, value in batch.items() if name not in {"input_ids", "attention_mask"}}
    batch = processor(images=arriving.for_pillow(pictures), return_tensors="pt")
    return {name: value for name, value in batch.items() if hasattr(value, "is_floating_point")}


def _hidden(model: Any, inputs: dict[str, Any]) -> Any:
    """Return the last hidden state of a vision encoder."""
    call = getattr(model, "get_image_features", None) or model.forward
    taken = inspect.signature(call).parameters
    out = call(**{name: value for name, value in inputs.items() if name in taken}, return_dict=True)
    hidden = getattr(out, "last_hidden_state", None)
    if hidden is None:
        raise FatalObserverError("features", f"{type(model).__name__} gives no last hidden state of its pictures")
    return hidden
