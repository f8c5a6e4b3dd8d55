"""A checkpoint for pictures and text: find it, load it, say what it is. Every failure is one line that says what to do.

What differs from the checkpoint's own habits, and why:

- Decoding is plainly greedy: the checkpoint's generation config gives the end, padding and forbidden tokens only.
  A repetition penalty (Qwen2.5-VL ships 1.05) would punish the word *yes* for standing in the question.
- Models whose processor wants a video processor are loaded without one where torchvision is missing: transformers
  would refuse them (its issue 48558), though no video is ever shown here. So is SmolVLM's processor where num2words
  is missing, which counts the frames of a video in words.
- Weights that a checkpoint lacks are an error, where transformers would draw them at random and say so in a log.
- Only safetensors are read. Code from a repository runs if, and only if, `trust_remote_code` names that repository.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import orjson

from limen import digest
from limen.checkpoint import Weights, explaining, find_device, libraries, load_config, load_weights, pinned
from limen.errors import InputError

Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]

EXAMPLE = "local:HuggingFaceTB/SmolVLM-256M-Instruct"  # of a model, for messages
WHOLE = 64 * 2**20  # weight files up to this many bytes are digested whole, larger ones by samples
SAMPLES, SAMPLE = 32, 2**16
KEPT = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "bad_words_ids"),
)


class LocalOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What may be chosen about a local model.

    Attributes:
        revision: branch, tag or commit on the hub; empty for its main branch. Pin a commit to publish.
        dtype: of the weights; "auto" as they are stored.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        batch: queries answered in one go. Greedy answers may depend on it, so it is part of the key.
        max_tokens: length at which an answer is cut off.
        temperature: 0 is greedy. Above, answers are sampled, one query at a time (`batch` is then 1), from a
            seed made of what is shown and of the query's draw: asked again, the same draw gives the same answer.
        trust_remote_code: the repository (or folder) whose code may run: the model's own name, spelt out.
        min_pixels, max_pixels: bounds on a picture's size where the processor has them (Qwen-VL).
        longest_edge: pixels to which the longer side is scaled where the processor has it (Idefics3, SmolVLM).
        attention: "auto", or a kernel that transformers knows ("eager", "sdpa", "flash_attention_2").
    """

    revision: str = ""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 64
    temperature: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0
    trust_remote_code: str = ""
    min_pixels: Pixels | None = None
    max_pixels: Pixels | None = None
    longest_edge: Pixels | None = None
    attention: str = "auto"

    def weights(self) -> Weights:
        """Return how the weights are loaded."""
        return Weights(self.revision, bool(self.trust_remote_code), self.dtype, self.attention)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with its processor, ready to generate.

    Attributes:
        torch: the library.
        model: on its device, decoding as `LocalOptions` say.
        processor: pads on the left.
        interleaved: whether the chat template keeps pictures where they stand; else it puts them all first.
        ends: the tokens that end an answer.
        identity: what was loaded, as fingerprints name it.
    """

    torch: Any
    model: Any
    processor: Any
    interleaved: bool
    ends: frozenset[int]
    identity: Mapping[str, Any]


def load(source: str, options: LocalOptions) -> Checkpoint:
    """Load a checkpoint.

    Raises:
        InputError: one line saying what is wrong with it and what to do.
        MissingExtraError: torch or transformers is not installed.
    """
    torch, transformers = libraries()
    device = find_device(torch, options.device)
    config, processor = load_processor(source, options)
    model = load_weights(transformers.AutoModelForImageTextToText, source, device, options.weights())
    _decode_plainly(model, processor.tokenizer, options)
    with explaining(source, "Give the checkpoint a chat template that takes a list of pictures and texts"):
        interleaved = _interleaves(source, processor)
    end = model.generation_config.eos_token_id
    ends = frozenset([] if end is None else [end] if isinstance(end, int) else end)
    return Checkpoint(torch, model, processor, interleaved, ends, identity(source, model, processor, config))


def load_processor(source: str, options: LocalOptions) -> tuple[Any, Any]:
    """Load the configuration and the processor of an image-text-to-text checkpoint, without its weights."""
    _, transformers = libraries()
    trust, hub = bool(options.trust_remote_code), pinned(source, options.revision)
    config = load_config(source, options.revision, trust)
    _check_kind(transformers, source, config, trust)
    remedy = "Its processor files are missing or do not fit; fetch the whole repository"
    with explaining(source, remedy), _counting_no_frames(transformers, config):
        processor = _processor(transformers, source, config, trust, hub)
    _check_processor(source, processor)
    resize(source, processor.image_processor, options)
    return config, processor


def stored_dtype(config: Any, options: LocalOptions) -> Any:
    """Return the number format in which a model would be loaded."""
    torch, _ = libraries()
    stored = getattr(config, "dtype", None) or torch.float32
    return stored if options.dtype == "auto" else getattr(torch, options.dtype)


def _check_kind(transformers: Any, source: str, config: Any, trust: bool) -> None:
    """Refuse a model that does not turn pictures and text into text."""
    auto = getattr(config, "auto_map", None) or {}
    if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return
    if trust and "AutoModelForImageTextToText" in auto:
        return
    text_only = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    what = "a text-only model: it takes no pictures" if text_only else "not an image-text-to-text model"
    raise InputError(
        f"{source}: {config.model_type!r} is {what}. Use a vision-language checkpoint (Idefics3, SmolVLM, Qwen-VL, "
        "InternVL, LLaVA-OneVision, ...)."
    )


class _NoVideo(dict[str, Any]):
    """Stands where a processor keeps its video processor; SmolVLM's asks it for two numbers even for pictures."""

    num_frames = None
    fps = None
    model_input_names: tuple[str, ...] = ()


def _processor(transformers: Any, source: str, config: Any, trust: bool, hub: Mapping[str, str]) -> Any:
    """Load the processor; without torchvision, one that has no video processor."""
    kind = transformers.PROCESSOR_MAPPING.get(type(config), None)
    names = kind.get_attributes() if kind else []
    if "video_processor" not in names or importlib.util.find_spec("torchvision"):
        return transformers.AutoProcessor.from_pretrained(source, trust_remote_code=trust, **hub)

    def check(self: Any, name: str, part: Any) -> Any:
        return None if name == "video_processor" else kind.check_argument_for_proper_class(self, name, part)

    parts = {
        "video_processor": _NoVideo(),
        "tokenizer": transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=trust, **hub),
        "image_processor": transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=trust, **hub),
    }
    settings, _ = kind.get_processor_dict(source, **hub)
    without_video: Any = type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})
    return without_video.from_args_and_dict([parts.get(name) for name in names], settings)


@contextmanager
def _counting_no_frames(transformers: Any, config: Any) -> Iterator[None]:
    """Let a processor be made that asks for num2words at once, and needs it for videos alone."""
    kind = transformers.PROCESSOR_MAPPING.get(type(config), None)
    module: Any = sys.modules[kind.__module__] if kind else None
    missing = getattr(module, "num2words", str) is None
    if missing:
        module.num2words = str
    try:
        yield
    finally:
        if missing:
            module.num2words = None


def _check_processor(source: str, processor: Any) -> None:
    """Refuse a processor that takes no pictures or has no chat template; pad on the left."""
    words = getattr(processor, "tokenizer", None)
    if words is None or getattr(processor, "image_processor", None) is None:
        raise InputError(
            f"{source}: its processor ({type(processor).__name__}) does not take pictures and text. Fetch the whole "
            "repository, with preprocessor_config.json or processor_config.json and the tokenizer."
        )
    if not (getattr(processor, "chat_template", None) or getattr(words, "chat_template", None)):
        raise InputError(
            f"{source}: has no chat template. Use the instruction-tuned checkpoint, or put its chat_template.jinja "
            "into the folder."
        )
    words.padding_side = "left"
    if words.pad_token is None:
        words.pad_token = words.eos_token


def resize(source: str, images: Any, options: LocalOptions) -> None:
    """Set the bounds on a picture's size that the image processor has; refuse those it has not.

    Args:
        source: folder or hub id, for messages.
        images: the image processor, changed in place.
        options: the observer's settings; `min_pixels` and `max_pixels` in px (area), `longest_edge` in px.
    """
    size = {name: value for name, value in dict(images.size or {}).items() if value is not None}
    counts = "max_pixels" in getattr(getattr(images, "valid_kwargs", None), "__annotations__", {})
    homes = {
        "min_pixels": "shortest_edge" if counts else "",
        "max_pixels": "longest_edge" if counts else "",
        "longest_edge": "" if counts else "longest_edge",
    }
    for option, home in homes.items():
        value = getattr(options, option)
        if value is None:
            continue
        if home not in size:
            fitting = [name for name, home in homes.items() if home in size] or ["none"]
            raise InputError(
                f"{source}: its {type(images).__name__} has no {option}. Leave it out; it takes {', '.join(fitting)}."
            )
        size[home] = value
        images.size = type(images.size)(**size)


def _decode_plainly(model: Any, words: Any, options: LocalOptions) -> None:
    """Replace how the checkpoint decodes, keeping its end, padding, start and forbidden tokens."""
    kept = model.generation_config
    plain = type(kept)(**{name: getattr(kept, name, None) for name in KEPT})
    plain.eos_token_id = plain.eos_token_id if plain.eos_token_id is not None else words.eos_token_id
    plain.pad_token_id = plain.pad_token_id if plain.pad_token_id is not None else words.pad_token_id
    plain.max_new_tokens = options.max_tokens
    plain.do_sample = options.temperature > 0
    if plain.do_sample:
        plain.temperature, plain.top_k, plain.top_p = options.temperature, 0, 1.0
    model.generation_config = plain


def render(processor: Any, parts: Sequence[Any]) -> str:
    """Return a user turn of pictures and texts, in order, and the start of the answer."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts]
    turn = [{"role": "user", "content": content}]
    return str(processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))


def _interleaves(source: str, processor: Any) -> bool:
    """Say whether the chat template keeps a picture between two texts; refuse one that drops it."""
    bare, first, between = (
        render(processor, parts)
        for parts in (("limen-1", "limen-2"), (None, "limen-1", "limen-2"), ("limen-1", None, "limen-2"))
    )
    if bare in (first, between) or not all("limen-1" in text and "limen-2" in text for text in (first, between)):
        raise InputError(f"{source}: its chat template drops pictures or texts. Use the checkpoint's own template.")
    return first != between


def identity(source: str, model: Any, processor: Any, config: Any) -> dict[str, Any]:
    """Return what was loaded: revision or weights, numbers, kernels, decoding, preprocessing, versions.

    Of a vision model alone the processor is of pictures only, and there is no decoding.

    Args:
        source: folder or hub id.
        model: of transformers, loaded.
        processor: of text and pictures, or of pictures alone.
        config: the model's configuration, which holds the commit.
    """
    torch, transformers = libraries()
    images = getattr(processor, "image_processor", processor)
    settings = [orjson.loads(images.to_json_string())]
    if images is not processor:
        settings.append(render(processor, (None, None, "limen")))
    decoding = getattr(model, "generation_config", None)
    folder = Path(source).is_dir()
    return {
        "model": "" if folder else source,
        "revision": getattr(config, "_commit_hash", None) or "",
        "weights": _digest(Path(source)) if folder else "",
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        "attention": getattr(model.config, "_attn_implementation", None) or "",
        "decoding": digest.of(orjson.loads(decoding.to_json_string())) if decoding else "",
        "processor": list(dict.fromkeys(type(one).__name__ for one in (processor, images))),
        "preprocessing": digest.of(settings),
        "transformers": _minor(transformers.__version__),
        "torch": _minor(torch.__version__),
    }


def _digest(folder: Path) -> str:
    """Return a digest of a checkpoint folder: names, sizes and contents, of large files the samples."""
    hasher = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        size = path.stat().st_size
        hasher.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            if size <= WHOLE:
                hasher.update(file.read())
                continue
            for sample in range(SAMPLES):
                file.seek((size - SAMPLE) * sample // (SAMPLES - 1))
                hasher.update(file.read(SAMPLE))
    return hasher.hexdigest()[:32]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
