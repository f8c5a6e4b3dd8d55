"""A vision encoder alone: any transformers vision model, or the vision part of an image-text-to-text checkpoint.

It answers with the distance of two pictures' embeddings, and says yes above a criterion. Beside the whole model on the
same series it tells where a change is lost: before the encoder (the as-seen floor), in it, or behind it.

An embedding is the encoder's last hidden state: one vector a patch, before any projection into the language model.

    pooled      1 - cosine of the two means over patches
    patches     the largest 1 - cosine over pairs of patches at the same place

The criterion is fixed before the first question (`calibrate`). Identical pictures are at distance 0 exactly, which
would make every change that arrives a yes. So the references are compared with themselves under a named nuisance, a
change that nobody would call one (`limen.observers._nuisance`): by default a shift of one pixel. The criterion is the
order statistic that a further such pair exceeds with at most the probability `false_alarms` (Vovk, Gammerman and
Shafer 2005, split conformal prediction; the pairs of one picture are not independent, which the guarantee takes them
for). A yes says: more than this nuisance does. Under `rounding`, the least of them, it says that a trace arrives.
"""

import asyncio
import inspect
import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from limen import digest
from limen.checkpoint import (
    FAILURES,
    explaining,
    find_device,
    label,
    libraries,
    line,
    load_config,
    load_weights,
    locate,
    outcome,
    pinned,
)
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observer import Attempt, Observer, Query, Reply, numeric_answer, observer, two_pictures
from limen.observers import _nuisance
from limen.observers.local import arriving, checkpoint
from limen.observers.local.checkpoint import EXAMPLE, Pixels
from limen.preflight.model_input import ModelInput

Floats = npt.NDArray[np.float64]

RESAMPLED = 1000  # times that pictures are drawn again for the interval of a criterion
KEPT = 64  # embeddings remembered: a reference is compared with every level
UNUSED = "pooler"  # weights of a pooling head, which the distances do not need


class EncoderOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What may be chosen about an encoder.

    Attributes:
        distance: "pooled" over all patches, or the largest between "patches".
        nuisance: what the criterion is made of: "shift", "jpeg:95" (or another quality), "grey", "rounding". If not
            given: what the run has, else "shift".
        false_alarms: share of yes that the criterion allows to identical pairs under the nuisance.
        pairs: how many such pairs the criterion is fixed from; fewer where the pictures have no more (a picture has 8
            shifts, 64 places for the grid of JPEG).
        criterion: fixes the criterion instead; declare why.
        revision: branch, tag or commit on the hub; empty for its main branch.
        dtype: of the weights; "auto" as they are stored.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        trust_remote_code: the repository (or folder) whose code may run: the model's own name, spelt out.
        min_pixels, max_pixels, longest_edge: bounds on a picture's size where the processor has them.
        attention: "auto", or a kernel that transformers knows.
    """

    distance: Literal["pooled", "patches"] = "pooled"
    nuisance: str | None = None
    false_alarms: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    pairs: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64
    criterion: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    revision: str = ""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    trust_remote_code: str = ""
    min_pixels: Pixels | None = None
    max_pixels: Pixels | None = None
    longest_edge: Pixels | None = None
    attention: str = "auto"

    def of_checkpoint(self) -> checkpoint.LocalOptions:
        """Return the part that says how a checkpoint is loaded."""
        return checkpoint.LocalOptions(
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


@observer("encoder", EncoderOptions)
class Encoder(Observer):
    """A vision encoder alone, of an LMM or any vision model: the distance of two embeddings against a criterion."""

    def __init__(self, model: str, options: EncoderOptions) -> None:
        self._source = locate(model, options.trust_remote_code, EXAMPLE)
        self._options = options
        self._label = label(self._source)
        self._tower: Tower | None = None
        self._criterion = options.criterion
        if options.criterion is not None and options.nuisance is not None:
            raise InputError("Observer 'encoder': a criterion that is declared has no nuisance. Leave one of them out.")
        self._nuisance = _nuisance.find(_nuisance.DEFAULT if options.nuisance is None else options.nuisance)
        self._known: OrderedDict[str, Floats] = OrderedDict()
        # `rounding` was the only one there was: its runs keep their observer's name, as those do that name none
        named = f", {self._nuisance.name}" if options.nuisance not in (None, _nuisance.ROUNDING) else ""
        self.name = f"encoder:{self._label} ({options.distance}{named})"
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
        """Return what decides the answers, the criterion with it; known inside `async with`, once it is fixed.

        Where the criterion is of `rounding`, or declared, no nuisance is named: so it was before there were others.
        """
        own = self._options.criterion is not None or self._nuisance.name == _nuisance.ROUNDING
        return {
            **self._held().identity,
            "kind": "encoder",
            "distance": self._options.distance,
            **({} if own else {"nuisance": self._nuisance.name}),
            "criterion": self._judged(),
        }

    def calibrate(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        """Fix the criterion from identical pairs under the nuisance, and return the row to keep.

        Raises:
            InputError: the nuisance changes nothing that the encoder gets, so that the criterion would be 0.
        """
        if self._options.criterion is not None:
            return {"criterion": self._options.criterion, "declared": True}
        draws = min(math.ceil(self._options.pairs / len(pictures)), self._nuisance.draws)
        found = [
            [
                self._distances(self._embedding(picture), self._changed(picture, draw))[self._options.distance]
                for draw in range(draws)
            ]
            for picture in pictures
        ]
        every = sorted(distance for some in found for distance in some)
        place = _place(len(every), self._options.false_alarms)
        if every[place - 1] == 0 and self._nuisance.name != _nuisance.ROUNDING:
            raise InputError(
                f"{self.name}: {place} of {len(every)} pairs do not differ at all under {self._nuisance.name!r}: the "
                "criterion would be 0. Give another nuisance, or declare a criterion."
            )
        row = {
            "criterion": every[place - 1],
            "declared": False,
            "distance": self._options.distance,
            "nuisance": self._nuisance.name,
            "false_alarms": self._options.false_alarms,
            "noise": self._nuisance.about,
            "pictures": [picture.digest for picture in pictures],
            "draws": draws,
            "distances": every,
            "interval": _interval(found, self._options.false_alarms),
            "enough": math.ceil((1 - self._options.false_alarms) * (len(every) + 1)) <= len(every),
        }
        self.judge_by(row)
        return row

    def judge_by(self, row: Mapping[str, Any]) -> None:
        """Take the criterion from a row that was kept; one from before there were nuisances is from `rounding`.

        Raises:
            InputError: the row was made otherwise than the settings say.
        """
        criterion = float(row["criterion"])
        made = "declared" if row["declared"] else str(row.get("nuisance", _nuisance.ROUNDING))
        if self._options.criterion is not None:
            fits = self._options.criterion == criterion
        else:
            fits = made == self._nuisance.name or (made != "declared" and self._options.nuisance is None)
        if not fits:
            setting = f"criterion={criterion}" if made == "declared" else f"nuisance={made}"
            raise InputError(
                f"{self.name}: this run judges by a criterion of {criterion:.3g} ({made}), which its settings do not "
                f"give. Give {setting} to go on with it, or another --out to measure anew."
            )
        self._criterion = criterion
        if self._options.criterion is None:
            self._nuisance = _nuisance.find(made)

    def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
        """Return what reaches the encoder of pictures of one size; loads its processor where it is not loaded."""
        whole, config, processor = self._looking()
        images = processor.image_processor if whole else processor
        with explaining(self.name, "Its processor takes no such pictures"):
            batch = _tensors(processor, whole, pictures)
        stored = checkpoint.stored_dtype(config, self._options.of_checkpoint())
        dtype = self._tower.model.dtype if self._tower else stored
        cast = {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}
        return arriving.seen(cast, len(pictures), images, None, arriving.patch_side(config))

    async def answer(self, query: Query) -> Reply:
        """Answer with the distance of the two pictures, and yes where it is above the criterion."""
        self._held()
        pair = two_pictures(query)
        criterion = self._judged()
        began = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, self._compare, pair)
        except FAILURES as error:
            failed = Attempt(outcome(error), line(error), time.perf_counter() - began)
            if failed.outcome == "device-lost":
                raise FatalObserverError("device-lost", f"{self.name}: {failed.detail}. Start the run again.") from None
            return Reply(None, (failed,))
        seconds = time.perf_counter() - began
        mine = self._options.distance
        others = {name: value for name, value in found.items() if name != mine}
        answer = numeric_answer(query, found[mine], criterion, f"{mine} distance", others, self._label)
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

    def _changed(self, picture: Picture, draw: int) -> Floats:
        """Return the embedding of a picture under a draw of the nuisance."""
        if self._nuisance.change is None:
            return self._embed(picture, draw)
        return self._embed(Picture.of(self._nuisance.change(picture, draw)))

    def _embed(self, picture: Picture, draw: int | None = None) -> Floats:
        """Return the last hidden state of a picture, (patches, channels); with a draw, under its noise of `rounding`.

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
            noise = digest.generator("encoder", "noise", picture.digest, draw).uniform(-half, half, shape)
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


def _place(count: int, false_alarms: float) -> int:
    """Return which of so many distances, counted from 1, is the criterion: the largest where there are too few."""
    return min(math.ceil((1 - false_alarms) * (count + 1)), count)


def _interval(found: Sequence[Sequence[float]], false_alarms: float) -> list[float]:
    """Return a 95 % interval of the criterion: pictures, not pairs, are drawn again, because pairs of one are alike."""
    rng = digest.generator("encoder", "interval", len(found))
    rows = np.array(found)
    drawn = np.sort(rows[rng.integers(0, len(rows), (RESAMPLED, len(rows)))].reshape(RESAMPLED, -1), axis=1)
    low, high = np.quantile(drawn[:, _place(rows.size, false_alarms) - 1], (0.025, 0.975))
    return [float(low), float(high)]


# --- loading ---


def _processor(source: str, options: checkpoint.LocalOptions) -> tuple[bool, Any, Any]:
    """Return whether a checkpoint has a language part, its configuration and its processor."""
    _, transformers = libraries()
    config = load_config(source, options.revision, bool(options.trust_remote_code))
    if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return True, *checkpoint.load_processor(source, options)
    with explaining(source, "It needs a preprocessor_config.json for pictures; fetch the whole repository"):
        images = transformers.AutoImageProcessor.from_pretrained(
            source,
            trust_remote_code=bool(options.trust_remote_code),
            **pinned(source, options.revision),
        )
    checkpoint.resize(source, images, options)
    return False, config, images


def _load(source: str, options: EncoderOptions) -> Tower:
    """Load an encoder with its processor; of a whole model the language part is let go."""
    given = options.of_checkpoint()
    torch, transformers = libraries()
    device = find_device(torch, given.device)
    whole, config, processor = _processor(source, given)
    auto = transformers.AutoModelForImageTextToText if whole else transformers.AutoModel
    model = load_weights(auto, source, device, given.weights(), "" if whole else UNUSED)
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
