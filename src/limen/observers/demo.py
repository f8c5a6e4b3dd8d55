"""The embedded demo model: a real, tiny LMM (one million parameters) that runs with onnxruntime alone.

It is a fixture to try limen with, trained from nothing on limen's own distortions; where its thresholds lie was
largely chosen by its makers and says nothing about large models (`data/demo/MODEL_CARD.md`). The same weights load
with transformers (`local:` and the folder); answers are the same texts.

Decoding is greedy. p(yes) is read at the first token, which is the flag, from a run of the question alone.
"""

import asyncio
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
from PIL import Image as Pillow

from limen import digest
from limen.errors import FatalObserverError, InputError, MissingExtraError
from limen.image import Picture
from limen.observer import Answer, Attempt, Concurrency, Observer, Query, Reply, observer
from limen.parsing.token_probability import flag_mass, offers_letters
from limen.preflight.model_input import ModelInput

FOLDER = Path(__file__).resolve().parents[1] / "data" / "demo"
SIDE = 64  # pixels a side that the model sees
PATCH = 8  # side of its patches in pixels
POSITIONS = 1024  # tokens that fit, answer included
LONGEST = 16  # tokens of an answer
IMAGE = ("<fake_token_around_image>", "<global-img>", *["<image>"] * 16, "<fake_token_around_image>")
ASK, END = "<answer>", "<end_of_utterance>"

Floats = npt.NDArray[np.float32]


class DemoOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What can be chosen.

    Attributes:
        concurrency: series advanced side by side.
        cache: pictures whose image tokens are kept.
    """

    concurrency: Concurrency = 4
    cache: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 1024


class Tokenizer:
    """The model's tokenizer, read from its tokenizer.json: known phrases first, then word by word.

    Args:
        data: the file's content.
    """

    def __init__(self, data: bytes) -> None:
        known = orjson.loads(data)
        self.ids: dict[str, int] = dict(known["model"]["vocab"])
        self.unknown = self.ids[known["model"]["unk_token"]]
        added = sorted(known["added_tokens"], key=lambda token: -len(token["content"]))
        self.ids.update((token["content"], token["id"]) for token in added)
        self._special = {token["id"] for token in added if token["special"]}
        forms = (
            rf"\b{re.escape(token['content'])}\b" if token["single_word"] else re.escape(token["content"])
            for token in added
        )
        self._phrases = re.compile("|".join(forms))
        (strip,) = (step for step in known["normalizer"]["normalizers"] if step["type"] == "Replace")
        self._stripped = re.compile(strip["pattern"]["Regex"])
        self.texts = {number: token for token, number in self.ids.items()}

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        ids: list[int] = []
        end = 0
        for match in self._phrases.finditer(text):
            ids += [*self._read(text[end : match.start()]), self.ids[match.group()]]
            end = match.end()
        return ids + self._read(text[end:])

    def _read(self, text: str) -> list[int]:
        words = self._stripped.sub("", text).lower().split()
        return [self.ids.get(word, self.unknown) for word in words]

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return "".join(self.texts[number] for number in ids if number not in self._special)


def pixel_values(image: npt.NDArray[np.uint8]) -> Floats:
    """Bring an image to 64x64 px by Pillow's bicubic filter, as the processor does; values -1..1, shape (3, H, W)."""
    if image.shape[:2] != (SIDE, SIDE):
        image = np.asarray(Pillow.fromarray(image).resize((SIDE, SIDE), Pillow.Resampling.BICUBIC))
    values = image.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255)
    return (values - np.float32(0.5)) / np.float32(0.5)


def _session(path: Path) -> Any:
    """Open an ONNX file for one thread a call; several calls may run at once."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("the demo model", "onnxruntime", "demo") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@observer("demo", DemoOptions)
class Demo(Observer):
    """The demo model that ships with limen: 64 px, one million parameters, a fixture (no measurement of any LMM)."""

    def __init__(self, model: str, options: DemoOptions) -> None:
        if model:
            raise InputError(f"Observer 'demo' has one model, not {model!r}. Use `demo`, or local:FOLDER.")
        self.name, self.concurrency, self.max_tokens = "demo", options.concurrency, LONGEST
        files = ("vision.onnx", "text.onnx", "tokenizer.json")
        self._digest = digest.of([digest.of((FOLDER / file).read_bytes()) for file in files])
        self._label = f"limen-demo-{self._digest[:8]}"
        self._words = Tokenizer((FOLDER / "tokenizer.json").read_bytes())
        self._vision, self._text = _session(FOLDER / "vision.onnx"), _session(FOLDER / "text.onnx")
        self._room = options.cache
        self._seen: OrderedDict[str, Floats] = OrderedDict()
        self._drafts: dict[tuple[str, int], list[int]] = {}
        self._lock = threading.Lock()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._seen.clear()

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers."""
        return {
            "kind": "demo",
            "model": self._label,
            "digest": self._digest,
            "decoding": "greedy",
            "max_tokens": LONGEST,
            "pixels": f"{SIDE}x{SIDE}, bicubic if larger or smaller",
        }

    async def answer(self, query: Query) -> Reply:
        """Answer one query in a thread, so that others are served meanwhile."""
        kinds = [isinstance(part, str) for part in query.parts]
        if kinds != sorted(kinds):
            raise FatalObserverError(
                "order", "the demo model takes all pictures first: ask in an order that ends with the question."
            )
        return await asyncio.to_thread(self._answer, query)

    def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
        """Return what reaches the model of each picture."""
        half = (127.5, 127.5, 127.5)
        shown = (pixel_values(picture.pixels)[None] for picture in pictures)
        return tuple(ModelInput(values, half, half, IMAGE.count("<image>"), PATCH) for values in shown)

    def _answer(self, query: Query) -> Reply:
        began = time.perf_counter()
        asked = "".join(part for part in query.parts if isinstance(part, str))
        around = [self._words.ids[token] for _ in query.pictures for token in IMAGE]
        prompt = [*around, *self._words.encode(asked), self._words.ids[ASK]]
        if len(prompt) + LONGEST > POSITIONS:
            detail = f"{len(prompt)} tokens asked, {POSITIONS - LONGEST} fit"
            return Reply(None, (Attempt("rejected", detail, time.perf_counter() - began),))
        tokens = [self._look(picture) for picture in query.pictures]
        images = np.concatenate(tokens) if tokens else np.zeros((1, 160), np.float32)
        said, flag = self._say(asked, prompt, images)
        mass = flag_mass(
            ((self._words.texts[number], float(chance)) for number, chance in enumerate(flag)),
            letters=offers_letters(query.text),
        )
        p_yes, p_neither = mass or (None, None)
        seconds = time.perf_counter() - began
        answer = Answer(
            text=self._words.decode(said),
            p_yes=p_yes,
            p_neither=p_neither,
            finish="stop" if said[-1] == self._words.ids[END] else "length",
            tokens_in=len(prompt),
            tokens_out=len(said),
            seconds=seconds,
            model=self._label,
        )
        return Reply(answer, (Attempt("ok", "", seconds),))

    def _look(self, picture: Picture) -> Floats:
        """Return a picture's image tokens (16, 160), computed once while it is remembered."""
        with self._lock:
            if picture.digest in self._seen:
                self._seen.move_to_end(picture.digest)
                return self._seen[picture.digest]
        tokens: Floats = self._vision.run(None, {"pixel_values": pixel_values(picture.pixels)[None]})[0][0]
        with self._lock:
            self._seen[picture.digest] = tokens
            while len(self._seen) > self._room:
                self._seen.popitem(last=False)
        return tokens

    def _logits(self, ids: list[int], images: Floats) -> Floats:
        inputs = {"input_ids": np.array([ids], np.int64), "image_tokens": images[None]}
        logits: Floats = self._text.run(None, inputs)[0][0]
        return logits

    def _say(self, asked: str, prompt: list[int], images: Floats) -> tuple[list[int], Floats]:
        """Decode greedily; return the answer's tokens and the probabilities at its first.

        The same question with the same flag was mostly answered in the same words, so the last such answer is
        offered as a draft and each of its tokens is kept only where it is what the model says: one run instead of
        one a token, the same answer.
        """
        first = self._logits(prompt, images)[-1].astype(np.float64)
        chances = np.exp(first - first.max())
        said, end = [int(first.argmax())], self._words.ids[END]
        draft = self._drafts.get((asked, said[0]), [])
        while said[-1] != end and len(said) < LONGEST:
            offered = draft[len(said) :] if draft[: len(said)] == said else []
            best = self._logits([*prompt, *said, *offered], images)[len(prompt) + len(said) - 1 :].argmax(-1)
            for place, number in enumerate(best.tolist()):
                said.append(number)
                if number == end or len(said) == LONGEST or offered[place : place + 1] != [number]:
                    break
        if len(self._drafts) < 4096 or (asked, said[0]) in self._drafts:
            self._drafts[asked, said[0]] = said
        return said, (chances / chances.sum()).astype(np.float32)
