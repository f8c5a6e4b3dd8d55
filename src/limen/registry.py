"""One decorator to add a plug-in, one call to find it.

A shelf is a package of limen (`distortions`, `observers`, `procedures`); every module in it registers what
it holds. Other distributions add theirs with an entry point in the group `limen.<shelf>`. Nothing imports a
plug-in by name.
"""

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from limen.errors import InputError, UnknownNameError

T = TypeVar("T")

SHELVES = {"distortion": "distortions", "observer": "observers", "procedure": "procedures"}
_known: dict[str, dict[str, Any]] = {noun: {} for noun in SHELVES}
_loaded: set[str] = set()


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
    if noun not in _loaded:
        _loaded.add(noun)
        package = importlib.import_module(f"limen.{SHELVES[noun]}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        for point in entry_points(group=package.__name__):
            point.load()
    return dict(sorted(_known[noun].items()))
