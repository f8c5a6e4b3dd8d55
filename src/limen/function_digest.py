"""What a function of yours is known by: its source, its defaults, and all that it takes from around it.

An edited function is another one, and never meets the answers of the old.
"""

import contextlib
import enum
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limen import digest
from limen.errors import InputError

_PLAIN = bool | int | float | complex | str | bytes | enum.Enum | Path | range | slice  # known by their repr


def of_function(function: Callable[..., Any]) -> str:
    """Return 32 hexadecimal digits that stand for what a function does.

    They are taken of its source (of its compiled form and Python's version where there is no source), its defaults,
    what it closes over, and what it names in its module: plain values, arrays, functions of its own package by their
    source, everything of a released library by name and version.

    Args:
        function: a function, a lambda, or a `functools.partial` of one.

    Raises:
        InputError: it depends on something whose content cannot be read, such as a model.
    """
    return digest.of(_recipe(function, getattr(function, "__name__", "function"), set()))


def _recipe(function: Any, name: str, known: set[int]) -> Any:
    """Return, as JSON-like data, all that decides what a function does; one that comes again is "again"."""
    if id(function) in known:
        return "again"
    known.add(id(function))
    if isinstance(function, functools.partial):
        given = _content(list(function.args), name, known), _content(dict(function.keywords), name, known)
        return ["partial", _recipe(function.func, name, known), *given]
    if not isinstance(function, types.FunctionType):
        return _content(function, name, known)
    code = function.__code__
    taken = {name: function.__globals__[name] for name in _names(code) if name in function.__globals__}
    for free, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not filled yet
            taken[free] = cell.cell_contents
    return [
        _source(function),
        # Of two lambdas on one line the source is the same.
        _compiled(code) if code.co_name == "<lambda>" else "",
        _content(list(function.__defaults__ or ()), name, known),
        _content(function.__kwdefaults__ or {}, name, known),
        {what: _content(value, what, known) for what, value in sorted(taken.items())},
    ]


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield what code names outside itself, functions within it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _source(function: types.FunctionType) -> str:
    try:
        return inspect.cleandoc("\n" + inspect.getsource(function))
    except (OSError, TypeError):
        return _compiled(function.__code__)


def _compiled(code: types.CodeType) -> str:
    """Return a digest of compiled code; another version of Python compiles otherwise."""

    def parts(code: types.CodeType) -> Iterator[str]:
        yield from (code.co_code.hex(), repr(code.co_names), repr(code.co_varnames))
        for constant in code.co_consts:
            yield from parts(constant) if isinstance(constant, types.CodeType) else (repr(constant),)

    return digest.of([sys.version_info[:2], *parts(code)])


def _content(value: Any, name: str, known: set[int]) -> Any:
    """Return, as JSON-like data, what a value is that a function depends on."""
    kind = type(value).__name__
    if value is None or isinstance(
        value, bool | int | float | complex | str | bytes | enum.Enum | Path | range | slice
    ):
        return [kind, repr(value)]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [kind, str(value.dtype), list(value.shape), digest.of(np.ascontiguousarray(value).tobytes())]
    if isinstance(value, np.generic | np.dtype):
        return [kind, repr(value)]
    if isinstance(value, list | tuple):
        return [kind, [_content(item, name, known) for item in value]]
    if isinstance(value, set | frozenset):
        return [kind, sorted(repr(_content(item, name, known)) for item in value)]
    if isinstance(value, Mapping):
        return [kind, [[_content(key, name, known), _content(item, name, known)] for key, item in value.items()]]
    module = value if isinstance(value, types.ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
    if released := _released(module):
        if isinstance(value, types.ModuleType | type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
            return [kind, getattr(value, "__qualname__", getattr(value, "__name__", "")), released]
    elif isinstance(value, types.ModuleType) and value.__file__:
        return [kind, value.__name__, digest.of(Path(value.__file__).read_bytes())]
    elif isinstance(value, types.FunctionType | functools.partial):
        return _recipe(value, name, known)
    elif isinstance(value, type):
        return [kind, inspect.getsource(value)]
    if isinstance(value, functools.partial):
        return _recipe(value, name, known)
    raise InputError(
        f"What the function does cannot be told from its source: it depends on {name!r}, which is a {kind}. Give it a "
        "name and a version, and another version whenever its answers may change."
    )


def _released(module: types.ModuleType | None) -> str:
    """Return name and version of the library that a module belongs to, or "" where it has none."""
    root = (module.__name__ if module else "").partition(".")[0]
    if root in sys.stdlib_module_names:
        return "" if root == "__main__" else f"python {root}"
    version = getattr(sys.modules.get(root), "__version__", "")
    return f"{root} {version}" if version else ""
