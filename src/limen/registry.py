"""One decorator to add a plug-in, one call to find it.

A shelf is a package of limen (`distortions`, `exports`, `imports`, `observers`, `procedures`, `questions`, `scenes`,
`sources`, `feature.tasks`, `feature.tolerances`); every module in it registers what it holds. Other distributions add
theirs with an entry point in the group `limen.<shelf>`; a file of yours is loaded by its path (`plugin`). Nothing
imports a plug-in by name.
"""

import difflib
import functools
import importlib
import inspect
import linecache
import math
import pkgutil
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from limen import digest, validation
from limen.errors import InputError, LimenError, UnknownNameError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

SHELVES = {
    "distortion": "distortions",
    "export": "exports",
    "import": "imports",
    "observer": "observers",
    "procedure": "procedures",
    "question": "questions",
    "scene": "scenes",
    "source": "sources",
    "task": "feature.tasks",
    "tolerance": "feature.tolerances",
}
FORMER: Mapping[str, Mapping[str, str]] = {"tolerance": {"image-fisher": "own-fisher"}}
"""By noun, what a thing was called once -> what it is called now: older runs hold the former names."""
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


def current(noun: str, name: str) -> str:
    """Return what is called `name` by its name of today; a name that was never another's comes back as it is."""
    return FORMER.get(noun, {}).get(name, name)


def find(noun: str, name: str) -> Any:
    """Return what is registered under `name`, or was once; raise `UnknownNameError` with the nearest name."""
    shelf, name = every(noun), current(noun, name)
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


def settings(owner: str, given: Mapping[str, Any], kind: type[S], commas: bool = False) -> S:
    """Turn keys and values a user wrote into `kind`, naming the nearest key where one is unknown.

    Args:
        owner: what the keys belong to, as the message should call it ("procedure 'scan'").
        given: what was written; text is converted where the field is a number, or several ("2,4,6").
        kind: the struct to make.
        commas: whether a text is cut at its commas where the field is a list of texts, too.
    """
    known = kind.__struct_fields__
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{owner} has no setting {key!r}.{hint} Known: {', '.join(known) or 'none'}.")
    listed = _lists(kind, commas)
    parted = {key: _parted(value, listed[key]) if key in listed else value for key, value in given.items()}
    try:
        made = msgspec.convert(parted, kind, strict=False)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InputError):  # what the struct says of its fields together
            raise InputError(f"{owner}: {error.__cause__}") from None
        wrong = validation.fault(error, parted, kind, strict=False)
        if wrong.what == "was not given":
            raise InputError(f"{owner} needs {wrong.place}, which was not given. {wrong.remedy}") from None
        raise InputError(f"{owner}: {wrong}") from None
    except UnicodeEncodeError as error:
        raise InputError(
            f"{owner}: {str(error.object)[:40]!a} holds half of a character, so it is not valid text. Write it again."
        ) from None
    for name in known:
        value = getattr(made, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{owner}: {validation.fault(f'Not finite - at `$.{name}`', parted, kind)}")
    return made


@functools.cache
def _lists(kind: type[msgspec.Struct], of_texts: bool) -> dict[str, bool]:
    """Return the names of a struct's fields that hold several numbers, or texts, and whether they must."""
    of = msgspec.inspect
    items = (of.IntType, of.FloatType, *((of.StrType,) if of_texts else ()))
    found = {}
    for field in getattr(of.type_info(kind), "fields", ()):
        kinds = field.type.types if isinstance(field.type, of.UnionType) else (field.type,)
        listed = [entries for one in kinds if (entries := _entries(one))]
        of_items = listed and all(isinstance(entry, items) for entry in listed[0])
        if of_items and not any(isinstance(one, of.StrType) for one in kinds):
            found[field.name] = not any(isinstance(one, of.IntType | of.FloatType) for one in kinds)
    return found


def _entries(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    """Return the types of what a list, or a tuple of a certain length, holds; () for other types."""
    of = msgspec.inspect
    if isinstance(kind, of.VarTupleType | of.ListType):
        return (kind.item_type,)
    return kind.item_types if isinstance(kind, of.TupleType) else ()


def _parted(value: Any, always: bool) -> Any:
    """Return a text's parts between commas; a text without one stays as it is where a single value will do."""
    if not isinstance(value, str) or not (always or "," in value):
        return value
    return [part.strip() for part in value.strip("[] ").split(",")]


def ranges(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return in words what each of a struct's settings may be, by name."""
    fields = getattr(msgspec.inspect.type_info(kind), "fields", ())
    return {field.name: validation.words(field.type) for field in fields}


def described(kind: type[msgspec.Struct]) -> tuple[str, dict[str, Any]]:
    """Return a settings struct's docstring, and its defaults by name."""
    defaults = {}
    for entry in msgspec.structs.fields(kind):
        made = entry.default_factory() if entry.default_factory is not msgspec.NODEFAULT else entry.default
        defaults[entry.name] = None if made is msgspec.NODEFAULT else msgspec.to_builtins(made)
    return inspect.cleandoc(kind.__doc__ or ""), defaults
