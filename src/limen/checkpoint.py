"""A checkpoint of transformers, loaded safely: its place, its configuration, its weights, and what can go wrong.

Only safetensors are read, never a pickle. Code from a repository runs if, and only if, the caller trusts that very
repository. Weights that a checkpoint lacks are an error, where transformers would draw them at random and say so in a
log. Every failure is one line that says what to do.
"""

import importlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from limen.errors import InputError, MissingExtraError

CONFIGS = ("config.json", "processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")

# What transformers' progress bars say in a notebook without ipywidgets; limen shows none of them.
warnings.filterwarnings("ignore", "IProgress not found")

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError, MemoryError)


def libraries() -> tuple[Any, Any]:
    """Return torch and transformers."""
    try:
        return importlib.import_module("torch"), importlib.import_module("transformers")
    except ImportError:
        raise MissingExtraError("a local model", "transformers", "local") from None


@dataclass(frozen=True, slots=True)
class Weights:
    """How weights are loaded.

    Attributes:
        revision: branch, tag or commit on the hub; "" for its main branch.
        trust: whether code of the repository may run.
        dtype: "auto" as they are stored, or the name of a number format of torch.
        attention: "auto", or a kernel that transformers knows.
        absent: what is said of weights that are missing or do not fit.
        remedy: what to do then.
        unreadable: what to do where nothing can be loaded.
    """

    revision: str = ""
    trust: bool = False
    dtype: str = "auto"
    attention: str = "auto"
    absent: str = "weights are missing or do not fit"
    remedy: str = "Fetch the whole checkpoint"
    unreadable: str = "Check that the folder holds model.safetensors, and that the device holds the model"


def locate(model: str, trusted: str = "", example: str = "microsoft/resnet-50") -> str:
    """Return the folder or hub id that `model` means; refuse what is neither, and trust in other code than its own.

    Args:
        model: a folder, or the id of a repository on the hub.
        trusted: the repository whose code may run, "" for none.
        example: of an id, for the message.
    """
    folder = Path(model).expanduser()
    if not model or (not folder.is_dir() and not HUB_ID.fullmatch(model)):
        raise InputError(f"No model at {model!r}. Give the folder of a checkpoint, or a hub id such as {example}.")
    if trusted and trusted != model:
        raise InputError(
            f"trust_remote_code names {trusted!r}, but the model is {model!r}. Its code runs only "
            "if trust_remote_code is exactly the model's name: read the code first."
        )
    return str(folder) if folder.is_dir() else model


def label(source: str) -> str:
    """Return what tables call a model: its hub id, or its folder's name without the path."""
    return Path(source).resolve().name if Path(source).is_dir() else source


def pinned(source: str, revision: str) -> dict[str, str]:
    """Return the argument that pins a revision of the hub; a folder has none."""
    return {} if Path(source).is_dir() or not revision else {"revision": revision}


def load_config(source: str, revision: str = "", trust: bool = False) -> Any:
    """Load a checkpoint's configuration; refuse code that is not trusted.

    Args:
        source: folder or hub id, from `locate`.
        revision: branch, tag or commit on the hub; "" for its main branch.
        trust: whether code of this repository, and of no other, may run.
    """
    _, transformers = libraries()
    remedy = "Check the name, the connection, and for a gated model that you are logged in"
    if Path(source).is_dir():
        remedy = "Check that the folder holds the config.json of a model that this version of transformers knows"
    with explaining(source, remedy):
        if trust:
            _refuse_foreign_code(transformers, source, pinned(source, revision))
        return transformers.AutoConfig.from_pretrained(source, trust_remote_code=trust, **pinned(source, revision))


def load_weights(auto: Any, source: str, device: Any, how: Weights, spare: str = "") -> Any:
    """Load a model by one of the Auto classes, onto a device.

    Args:
        auto: the Auto class.
        source: folder or hub id, from `locate`.
        device: a torch device.
        how: what is loaded, and in which number format.
        spare: weights whose name holds this are not used, and may be missing; "" for none.

    Raises:
        InputError: weights are missing, do not fit, or are not safetensors.
    """
    torch, _ = libraries()
    _refuse_pickles(source)
    with explaining(source, how.unreadable):
        kernel = {} if how.attention == "auto" else {"attn_implementation": how.attention}
        model, report = auto.from_pretrained(
            source,
            dtype=how.dtype if how.dtype == "auto" else getattr(torch, how.dtype),
            use_safetensors=True,
            weights_only=True,
            trust_remote_code=how.trust,
            output_loading_info=True,
            **pinned(source, how.revision),
            **kernel,
        )
        model = model.to(device).eval()
    absent = [*report["missing_keys"], *report["mismatched_keys"]]
    if absent := [name for name in absent if not spare or spare not in str(name)]:
        raise InputError(
            f"{source}: {how.absent}: {len(absent)} (first: {absent[0]}), which would be random. {how.remedy}."
        )
    return model


def find_device(torch: Any, name: str) -> Any:
    """Return the torch device that `name` means, if this machine has it."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with explaining(f"device {name!r}", "Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'"):
        device = torch.device(name)
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there.get(device.type, 0):
        raise InputError(f"Device {name!r} is not on this machine. Use 'auto' or 'cpu'.")
    return device


def _refuse_pickles(source: str) -> None:
    """Refuse a folder whose weights are pickles alone, which can run code as they are read."""
    suffixes = {file.suffix for file in Path(source).iterdir()} if Path(source).is_dir() else set()
    if ".safetensors" not in suffixes and not suffixes.isdisjoint(PICKLES):
        raise InputError(
            f"{source}: its weights are pickles. limen reads safetensors alone, as pickles can run code: save the "
            "weights again as model.safetensors."
        )


def _refuse_foreign_code(transformers: Any, source: str, hub: dict[str, str]) -> None:
    """Refuse a trusted repository whose configuration runs code from another one."""
    for name in CONFIGS:
        path = transformers.utils.cached_file(source, name, _raise_exceptions_for_missing_entries=False, **hub)
        entries = orjson.loads(Path(path).read_bytes()).get("auto_map", {}) if path else {}
        for entry in entries.values() if isinstance(entries, dict) else ():
            for reference in entry if isinstance(entry, list) else [entry]:
                other, separator, _ = str(reference or "").partition("--")
                if separator and other != source:
                    raise InputError(
                        f"{source}: runs code from {other!r}, which trust_remote_code does not name. Read that code, "
                        "copy it into a folder of your own, and trust the folder."
                    )


@contextmanager
def explaining(what: str, remedy: str) -> Iterator[None]:
    """Turn a library's failure into one line: what was given, why it failed, what to do."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"{what}: {line(error)}. Install what it names, or choose another model.") from None
    except _failures() as error:
        hint = remedy
        if "trust_remote_code" in str(error):
            hint = "Read its code; if you trust it, set trust_remote_code to the model's name, where that is an option"
        raise InputError(f"{what}: {line(error)}. {hint}.") from None


def _failures() -> tuple[type[Exception], ...]:
    """Return what the libraries raise for a checkpoint they cannot use."""
    names = (
        ("jinja2", "TemplateError"),
        ("safetensors", "SafetensorError"),
        ("huggingface_hub.errors", "StrictDataclassError"),
    )
    own = (getattr(importlib.import_module(module), name) for module, name in names)
    return (*FAILURES, *own)


def line(error: BaseException) -> str:
    """Return the first line that an exception has to say."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def outcome(error: BaseException) -> str:
    """Return the kind of a failure, as the table of failures names it."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "out-of-memory"
    lost = type(error).__name__ == "AcceleratorError" or "cuda error" in text
    return "device-lost" if lost else "failed"
