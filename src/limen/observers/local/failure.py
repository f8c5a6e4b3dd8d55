"""What goes wrong with a checkpoint, in one line that says what to do."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from limen.errors import InputError, MissingExtraError

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError, MemoryError)


def libraries() -> tuple[Any, Any]:
    """Return torch and transformers."""
    try:
        return importlib.import_module("torch"), importlib.import_module("transformers")
    except ImportError:
        raise MissingExtraError("a local model", "transformers", "local") from None


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
            hint = "Read its code; if you trust it, set trust_remote_code to the model's name"
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
