"""A network that somebody else's Python makes, by name: `package.module:factory`.

The factory is a function (or a class of `nn.Module`) that is called without arguments and returns the network. Its
module is looked for among what is installed and in the current directory, and is run: it is the user's own, named by
the user. Weights may come from a file: safetensors, or a state dict of `torch.save`, read without running any code.
"""

import contextlib
import difflib
import importlib
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from limen.checkpoint import explaining, line
from limen.errors import InputError

_WORD = r"[A-Za-z_]\w*"
NAME = re.compile(rf"{_WORD}(\.{_WORD})*:{_WORD}(\.{_WORD})*")
HINT = "--model package.module:factory, and its weights as --weights FILE"
_STATES = ("state_dict", "model_state_dict", "model_state", "model", "net", "network")
_WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put in front of names
_COUNTER = "num_batches_tracked"  # of batch norm: not used at inference, and old files lack it
_SHOWN = 3


def make(name: str, what: str = "the network") -> Any:
    """Return what a factory returns: an `nn.Module`, or anything that holds one; or another thing of the user's.

    Weights that it draws at random are drawn from a seed of their own, so that two calls give one network. What it
    prints goes to stderr: stdout is for results.

    Args:
        name: `package.module:factory`; `factory` may be an attribute of an attribute.
        what: it makes, for messages.

    Raises:
        InputError: there is no such module or name, it raises, or it returns none.
    """
    with torch.random.fork_rng([]), contextlib.redirect_stdout(sys.stderr):
        torch.manual_seed(0)  # some modules make a network while they are imported
        thing = _found(name, what)
        torch.manual_seed(0)
        return _called(name, thing, what)


def _found(name: str, what: str) -> Any:
    module, _, path = name.partition(":")
    thing = _imported(module)
    for part in path.split("."):
        if not hasattr(thing, part):
            near = difflib.get_close_matches(part, [one for one in dir(thing) if not one.startswith("_")], n=3)
            hint = f" Near it: {', '.join(near)}." if near else ""
            raise InputError(f"{module} has no {path!r}.{hint} Give the name of a function that makes {what}.")
        thing = getattr(thing, part)
    return thing


def _called(name: str, thing: Any, what: str) -> Any:
    if isinstance(thing, nn.Module) or not callable(thing):
        return thing
    try:
        return thing()
    except Exception as error:
        raise InputError(
            f"{name} raised {type(error).__name__}: {line(error)}. It is called without arguments: write a function "
            f"that takes none and returns {what}."
        ) from error


def network_of(made: Any, name: str) -> nn.Module:
    """Return a module whose parts take hooks; refuse what is none, and what cannot be cut in two.

    Args:
        made: what a factory, or a user, gave.
        name: of where it came from, for messages.

    Raises:
        InputError: it is no module, or one compiled from TorchScript or `torch.export`.
    """
    made = getattr(made, "_orig_mod", made)  # of torch.compile
    if isinstance(made, torch.jit.ScriptModule):
        raise InputError(_frozen(name, "TorchScript"))
    if isinstance(made, torch.export.ExportedProgram):
        raise InputError(_frozen(name, "a program of torch.export"))
    if not isinstance(made, nn.Module):
        raise InputError(
            f"{name} is {type(made).__name__}, not an nn.Module. Give a function that returns one, or a "
            "limen.feature.Network of it."
        )
    return made


def refuse_file(name: str) -> None:
    """Say of a file that is given in place of a network what it is, and what to give; a folder is none.

    Raises:
        InputError: it is a file.
    """
    file = Path(name).expanduser()
    if not file.is_file():
        return
    kind = _frozen_kind(file)
    if kind:
        raise InputError(_frozen(name, kind))
    if file.suffix == ".onnx":
        raise InputError(f"{name} is ONNX, whose parts take no hooks. Give the network as Python: {HINT}.")
    if file.suffix == ".py":
        raise InputError(f"{name} is a file of Python. Name the function in it: --model {file.stem}:factory.")
    raise InputError(
        f"{name} is a file of weights without their network. Give both: --model package.module:factory "
        f"--weights {name}."
    )


def load_weights(model: nn.Module, file: str) -> None:
    """Fill a network with weights from a file.

    Args:
        model: whose weights they are.
        file: .safetensors, or a state dict kept by `torch.save` (itself, or under "state_dict" and the like).

    Raises:
        InputError: there is no such file, it holds more than numbers, or its names or shapes are not the network's.
    """
    given = _read(Path(file).expanduser())
    for wrapper in _WRAPPERS:
        if given and all(name.startswith(wrapper) for name in given):
            given = {name.removeprefix(wrapper): value for name, value in given.items()}
    wanted = model.state_dict()
    lacking = [name for name in wanted if name not in given and not name.endswith(_COUNTER)]
    strange = [name for name in given if name not in wanted]
    other = [name for name in wanted if name in given and given[name].shape != wanted[name].shape]
    faults = [
        f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for names, what in ((lacking, "missing"), (strange, "that it does not have"), (other, "of another shape"))
        if names
    ]
    if faults:
        raise InputError(
            f"The weights in {file} are not those of {type(model).__name__}: {'; '.join(faults)}. Give its own file, "
            "or a factory that makes the network of this one (its number of classes, say)."
        )
    model.load_state_dict(given, strict=False)


def _imported(module: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file here hides nothing that is installed
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise InputError(
                f"No module {error.name!r}, neither installed nor in {os.getcwd()}. Give "
                "package.module:name of one that is, or go where it is."
            ) from None
        raise InputError(f"{module} imports {error.name!r}, which is not installed. Install it.") from error
    except Exception as error:
        raise InputError(f"{module} cannot be imported: {type(error).__name__}: {line(error)}.") from error


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise InputError(f"No file {str(file)!r}. Give one of weights: .safetensors, or a state dict of torch.save.")
    if kind := _frozen_kind(file):
        raise InputError(_frozen(str(file), kind))
    if file.suffix == ".safetensors":
        with explaining(str(file), "Fetch it again"):
            return safetensors.torch.load_file(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not code:
            raise InputError(_unreadable(file, error)) from None
        raise InputError(
            f"{file} holds more than numbers ({code[1]}), and reading that would run code. Where you trust it, save "
            "its weights alone: torch.save(model.state_dict(), ...), or as safetensors."
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, zipfile.BadZipFile) as error:
        raise InputError(_unreadable(file, error)) from None
    for key in _STATES:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(torch.is_tensor(one) for one in content.values()):
        raise InputError(
            f"{file} holds {type(content).__name__} without a state dict under one of {', '.join(_STATES)}. Save the "
            "weights alone: torch.save(model.state_dict(), ...)."
        )
    return {str(name): value for name, value in content.items()}


def _unreadable(file: Path, error: Exception) -> str:
    if isinstance(error, RuntimeError | zipfile.BadZipFile | EOFError):
        return f"{file} is cut off or damaged ({line(error)[:80]}). Fetch it again."
    return f"{file} is no file of torch.save. Give one of weights, as a state dict or safetensors."


def _frozen_kind(file: Path) -> str:
    """Return what a file of a compiled network is; "" for other files."""
    if not zipfile.is_zipfile(file):
        return ""
    with zipfile.ZipFile(file) as archive:
        names = [name.partition("/")[2] or name for name in archive.namelist()]
    if any(name == "archive_format" or name.startswith("serialized_exported_program") for name in names):
        return "a program of torch.export"
    return "TorchScript" if any(name.startswith("code/") for name in names) else ""


def _frozen(name: str, kind: str) -> str:
    read = "torch.jit.load(FILE)" if kind == "TorchScript" else "torch.export.load(FILE)"
    return (
        f"{name} is {kind}: its parts take no hooks, so it cannot be cut in two. Give the network as Python: {HINT}; "
        f"the weights are in {read}.state_dict{'()' if kind == 'TorchScript' else ''}."
    )
