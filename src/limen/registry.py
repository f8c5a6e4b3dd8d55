"""One decorator to add a plug-in, one call to find it.

A shelf is a package of limen (`distortions`, `observers`, `procedures`, `scenes`, `sources`, `feature.tasks`,
`feature.tolerances`); every module in it registers what it holds. Other distributions add theirs with an entry point
in the group `limen.<shelf>`. Nothing imports a plug-in by name.
"""

import difflib
import importlib
import inspect
import pkgutil
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

import msgspec

from limen.errors import InputError, UnknownNameError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

SHELVES = {
    "distortion": "distortions",
    "observer": "observers",
    "procedure": "procedures",
    "scene": "scenes",
    "source": "sources",
    "task": "feature.tasks",
    "tolerance": "feature.tolerances",
}
_known: dict[str, dict[str, Any]] = {noun: {} for noun in SHELVES}
_loaded: set[str] = set()
_loading = threading.RLock()


def add(noun: str, name: str) -> Callable[[T], T]:
    """Return a decorator that puts what it decorates on the shelf of `noun` under `name`."""

    def keep(thing: T) -> T:
        if _known[noun].setdefault(name, thing) is not thing:
            raise InputError(f"Two {SHELVES[noun]} are named {name!r}: rename one of them.")
        return thing

    return keep


def find(noun: str, name: str) -> Any:
    """Return what is registered under `name`, or raise `UnknownNameError` with the nearest name."""
    shelf = every(noun)
    if name not in shelf:
        raise UnknownNameError(noun, name, shelf)
    return shelf[name]


def every(noun: str) -> dict[str, Any]:
    """Return all of one shelf by name, sorted, loading its modules on first use."""
    with _loading:
        if noun not in _loaded:
            package = importlib.import_module(f"limen.{SHELVES[noun]}")
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{package.__name__}.{module.name}")
            for point in entry_points(group=package.__name__):
                point.load()
            _loaded.add(noun)
    return dict(sorted(_known[noun].items()))


def settings(owner: str, given: Mapping[str, Any], kind: type[S]) -> S:
    """Turn keys and values a user wrote into `kind`, naming the nearest key where one is unknown.

    Args:
        owner: what the keys belong to, as the message should call it ("procedure 'scan'").
        given: what was written; text is converted where the field is a number.
        kind: the struct to make.
    """
    known = kind.__struct_fields__
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{owner} has no setting {key!r}.{hint} Known: {', '.join(known) or 'none'}.")
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"{owner}: {error}.") from None


def described(kind: type[msgspec.Struct]) -> tuple[str, dict[str, Any]]:
    """Return a settings struct's docstring, and its defaults by name."""
    defaults = {}
    for entry in msgspec.structs.fields(kind):
        made = entry.default_factory() if entry.default_factory is not msgspec.NODEFAULT else entry.default
        defaults[entry.name] = None if made is msgspec.NODEFAULT else msgspec.to_builtins(made)
    return inspect.cleandoc(kind.__doc__ or ""), defaults
