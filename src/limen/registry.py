"""One decorator to add a plug-in, one call to find it.

A shelf is a package of limen (`distortions`, `exports`, `observers`, `procedures`, `questions`, `scenes`, `sources`,
`feature.tasks`, `feature.tolerances`); every module in it registers what it holds. Other distributions add theirs with
an entry point in the group `limen.<shelf>`; a file of yours is loaded by its path (`plugin`). Nothing imports a plug-in
by name.
"""

import difflib
import functools
import importlib
import inspect
import linecache
import math
import pkgutil
import re
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from limen import digest
from limen.errors import InputError, LimenError, UnknownNameError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_PLACE = re.compile(r"`\$\.(\w+)")
_MISSING = re.compile(r"missing required field `(\w+)`$")

SHELVES = {
    "distortion": "distortions",
    "export": "exports",
    "observer": "observers",
    "procedure": "procedures",
    "question": "questions",
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


def names(noun: str) -> tuple[str, ...]:
    """Return the names there are of a kind of thing.

    Args:
        noun: "distortion", "observer", "procedure", "question", "scene" or "source"; of features "task", "tolerance".

    Raises:
        UnknownNameError: no such kind.

    Example:
        >>> import limen
        >>> "blur" in limen.names("distortion")
        True
    """
    if noun not in SHELVES:
        raise UnknownNameError("kind of thing", noun, SHELVES)
    return tuple(every(noun))


def plugin(path: str | Path) -> None:
    r"""Run a Python file that registers distortions, observers, procedures, scenes or sources; once a process.

    Args:
        path: of the file. Nothing is searched for, and no other file is run.

    Raises:
        InputError: it is missing, raises, registers nothing, or a name that is taken; one line with file and cause.

    Example:
        >>> import limen, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "mine.py"
        >>> _ = file.write_text(
        ...     "from limen.observer import observer\n"
        ...     "@observer('never')\n"
        ...     "def never(first, second): return False\n"
        ... )
        >>> limen.plugin(file)
        >>> "never" in limen.names("observer")
        True
    """
    file = Path(path).expanduser()
    try:
        file = file.resolve(strict=True)
        code = compile(file.read_bytes(), str(file), "exec")
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"Plug-in {path}: cannot be read ({why}). Give the path of a Python file.") from None
    except (SyntaxError, ValueError) as error:
        raise InputError(f"Plug-in {path}: is not valid Python: {error}.") from None
    name = f"limen_plugin_{digest.of(str(file))[:12]}"
    with _loading:
        if name in sys.modules:
            return
        for noun in SHELVES:  # limen's own names are taken first, so that a double is the plug-in's fault
            if not noun.startswith(("task", "tolerance")):
                every(noun)
        before = {noun: dict(shelf) for noun, shelf in _known.items()}
        module = types.ModuleType(name)
        module.__file__ = str(file)
        sys.modules[name] = module
        linecache.checkcache(str(file))
        try:
            exec(code, module.__dict__)  # noqa: S102 (a file that its user named; nothing is run that was found)
            if before == _known:
                raise InputError("it registers nothing. Use @observer, @distortion, @procedure, @source or @scene.")
        except Exception as error:
            del sys.modules[name]
            _known.update(before)
            what = str(error) if isinstance(error, LimenError) else f"{type(error).__name__}: {error}"
            raise InputError(f"Plug-in {path}: {_line_in(error, str(file))}{what}") from error


def _line_in(error: BaseException, file: str) -> str:
    """Return "line N: " for where in a file an error came about."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"line {lines[-1]}: " if lines else ""


def settings(owner: str, given: Mapping[str, Any], kind: type[S]) -> S:
    """Turn keys and values a user wrote into `kind`, naming the nearest key where one is unknown.

    Args:
        owner: what the keys belong to, as the message should call it ("procedure 'scan'").
        given: what was written; text is converted where the field is a number, or several ("2,4,6").
        kind: the struct to make.
    """
    known = kind.__struct_fields__
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{owner} has no setting {key!r}.{hint} Known: {', '.join(known) or 'none'}.")
    listed = _number_lists(kind)
    parted = {key: _parted(value) if key in listed else value for key, value in given.items()}
    try:
        made = msgspec.convert(parted, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(_complaint(owner, given, kind, str(error))) from None
    except UnicodeEncodeError as error:
        raise InputError(
            f"{owner}: {str(error.object)[:40]!a} holds half of a character, so it is not valid text. Write it again."
        ) from None
    for name in known:
        value = getattr(made, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(_complaint(owner, given, kind, f"Not finite - at `$.{name}`"))
    return made


@functools.cache
def _number_lists(kind: type[msgspec.Struct]) -> set[str]:
    """Return the names of a struct's fields that hold several numbers."""
    fields = getattr(msgspec.inspect.type_info(kind), "fields", ())
    several, number = (msgspec.inspect.VarTupleType, msgspec.inspect.ListType), (
        msgspec.inspect.IntType, msgspec.inspect.FloatType
    )  # fmt: skip
    return {one.name for one in fields if isinstance(one.type, several) and isinstance(one.type.item_type, number)}


def _parted(value: Any) -> Any:
    return [part.strip() for part in value.strip("[] ").split(",")] if isinstance(value, str) else value


def _complaint(owner: str, given: Mapping[str, Any], kind: type[msgspec.Struct], error: str) -> str:
    """Return in a sentence what msgspec says of settings: which one, what was given, what would be right."""
    place = _PLACE.search(error)
    if place is None:
        missing = _MISSING.search(error)
        return f"{owner} needs {missing[1]}, which was not given." if missing else f"{owner}: {error}."
    name = place[1]
    fields = getattr(msgspec.inspect.type_info(kind), "fields", ())
    wanted = next(_wanted(field.type) for field in fields if field.name == name)
    shown = f"{given[name]!s:.60}" if len(f"{given[name]!s:.61}") <= 60 else f"{given[name]!s:.40}..."
    return f"{owner}: {name} cannot be {shown!r}. Give {wanted}."


def _wanted(kind: msgspec.inspect.Type) -> str:
    """Return in words what a setting may be."""
    of = msgspec.inspect
    if isinstance(kind, of.UnionType):
        return " or ".join(dict.fromkeys(_wanted(one) for one in kind.types if not isinstance(one, of.NoneType)))
    if isinstance(kind, of.IntType | of.FloatType):
        name = "a whole number" if isinstance(kind, of.IntType) else "a number"
        if min(-(kind.ge or 0), kind.le or 0) >= 10**18:  # of 63 or 64 bits
            return f"{name} of at most 18 digits"
        limits = (
            ("from", kind.ge),
            ("above", kind.gt),
            ("to" if kind.ge is not None else "up to", kind.le),
            ("below", kind.lt),
        )
        return " ".join((name, *(f"{word} {limit:,.9g}" for word, limit in limits if limit is not None)))
    if isinstance(kind, of.BoolType):
        return "true or false"
    if isinstance(kind, of.StrType):
        return "a text"
    if isinstance(kind, of.LiteralType):
        several = "one of " if len(kind.values) > 1 else ""
        return several + ", ".join(map(str, kind.values))
    if isinstance(kind, of.EnumType):
        return f"one of {', '.join(str(one.value) for one in kind.cls)}"
    if isinstance(kind, of.VarTupleType | of.ListType):
        return f"a list, each of it {_wanted(kind.item_type)}"
    return "a table of keys and values"


def ranges(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return in words what each of a struct's settings may be, by name."""
    fields = getattr(msgspec.inspect.type_info(kind), "fields", ())
    return {field.name: _wanted(field.type) for field in fields}


def described(kind: type[msgspec.Struct]) -> tuple[str, dict[str, Any]]:
    """Return a settings struct's docstring, and its defaults by name."""
    defaults = {}
    for entry in msgspec.structs.fields(kind):
        made = entry.default_factory() if entry.default_factory is not msgspec.NODEFAULT else entry.default
        defaults[entry.name] = None if made is msgspec.NODEFAULT else msgspec.to_builtins(made)
    return inspect.cleandoc(kind.__doc__ or ""), defaults
