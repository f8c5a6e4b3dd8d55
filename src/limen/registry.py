"""One decorator to add a plug-in, one call to find it.

A shelf is a package of limen (`distortions`, `exports`, `imports`, `observers`, `procedures`, `questions`, `scenes`,
`sources`, `feature.tasks`, `feature.tolerances`); every module in it registers what it holds. Other distributions add
theirs with an entry point in the group `limen.<shelf>` (docs/reference/entry-points.md); a file of yours is loaded by
its path (`plugin`). Nothing imports a plug-in by name. A distribution that cannot be used is left out with a warning,
so that nothing else fails for it.
"""

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
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from limen import __version__, digest, validation
from limen.errors import InputError, LimenError, MissingExtraError, PluginWarning, UnknownNameError, nearest

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
REGISTERING = {
    "distortion": "@distortion",
    "export": '@registry.add("export", NAME)',
    "import": '@registry.add("import", NAME)',
    "observer": "@observer",
    "procedure": "@procedure",
    "question": "question(...)",
    "scene": "@scene",
    "source": "@source",
    "task": '@registry.add("task", NAME)',
    "tolerance": '@registry.add("tolerance", NAME)',
}
"""By noun, what puts a thing on its shelf."""
HEAVY = frozenset(noun for noun, place in SHELVES.items() if "." in place)  # of the feature wing: they load torch
FORMER: Mapping[str, Mapping[str, str]] = {"tolerance": {"image-fisher": "own-fisher"}}
"""By noun, what a thing was called once -> what it is called now: older runs hold the former names."""
_NUMBER = re.compile(r"\s*(?:\+|(-))?(?=\.?\d)(\d*)(\.\d*)?([eE][+-]?\d+)?\s*")
_known: dict[str, dict[str, Any]] = {noun: {} for noun in SHELVES}
_whose: dict[tuple[str, str], str] = {}
_own: set[str] = set()
_files: list[str] = []
_loaded: set[str] = set()
_left_out: dict[str, list[str]] = {noun: [] for noun in SHELVES}
_loading = threading.RLock()


def add(noun: str, name: str) -> Callable[[T], T]:
    """Return a decorator that puts what it decorates on the shelf of `noun` under `name`."""

    def keep(thing: T) -> T:
        if _known[noun].setdefault(name, thing) is not thing:
            other = _whose.get((noun, name), "there already")
            raise InputError(f"Two {noun}s are named {name!r}, and the other is {other}: name yours otherwise.")
        _whose[noun, name] = _registrant(sys._getframe(1))
        return thing

    return keep


def _registrant(frame: types.FrameType) -> str:
    """Say whose a thing is that a call from this frame registers: limen's own, or of which file."""
    while _is_limens(frame) and frame.f_code.co_name != "<module>" and frame.f_back is not None:
        frame = frame.f_back  # a decorator's own frames
    return "limen's own" if _is_limens(frame) else f"of {frame.f_code.co_filename}"


def _is_limens(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "limen"


def current(noun: str, name: str) -> str:
    """Return what is called `name` by its name of today; a name that was never another's comes back as it is."""
    return FORMER.get(noun, {}).get(name, name)


def find(noun: str, name: str) -> Any:
    """Return what is registered under `name`, or was once; raise `UnknownNameError` with the nearest name."""
    shelf, name = every(noun), current(noun, name)
    if name not in shelf:
        raise unknown(noun, name)
    return shelf[name]


def unknown(noun: str, name: str, hint: str = "") -> UnknownNameError:
    """Return the error for a name that a shelf has not, with the plug-ins that were left out and may have had it.

    Why they were, a warning has said.

    Args:
        noun: of the shelf.
        name: what was given.
        hint: a sentence in place of the nearest name, where that is not what is meant.
    """
    shelf = every(noun)
    lacking = ", ".join(
        dict.fromkeys(line.partition(" is left out")[0].removeprefix("Plug-in ") for line in left_out(noun))
    )
    lost = f"Left out, and it may have been there: plug-in {lacking} (limen list {noun}s says why)." if lacking else ""
    return UnknownNameError(noun, name, shelf, " ".join(filter(None, (hint or nearest(name, shelf), lost))))


def every(noun: str) -> dict[str, Any]:
    """Return all of one shelf by name, sorted, loading its modules on first use.

    Raises:
        MissingExtraError: a shelf of the feature wing, without its libraries.
    """
    with _loading:
        if noun not in _loaded:
            _load_own(noun)
            _loaded.add(noun)  # a plug-in may look for something while it is loaded
            _load_others(noun)
    return dict(sorted(_known[noun].items()))


def left_out(noun: str) -> tuple[str, ...]:
    """Return a line for each plug-in that a shelf was to hold and does not: which, why, and what to do."""
    return tuple(_left_out[noun])


def _load_own(noun: str) -> None:
    if noun in _own:
        return
    try:
        package = importlib.import_module(f"limen.{SHELVES[noun]}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if noun not in HEAVY or library == "limen":
            raise
        raise MissingExtraError(f"the list of {noun}s", library, "feature") from None
    _own.add(noun)


def _load_others(noun: str) -> None:
    """Load what other distributions put on a shelf, or note why not."""
    import multiprocessing

    points = entry_points(group=f"limen.{SHELVES[noun]}")
    if points:  # limen's own names are taken first, so that a double is the plug-in's fault
        for one in (noun, *(light for light in SHELVES if light not in HEAVY)):
            _load_own(one)
    for point in sorted(points, key=lambda point: (point.dist.name if point.dist else "", point.name)):
        if line := _fault(point, noun):
            _left_out[noun].append(line)
            if multiprocessing.parent_process() is None:  # of a worker, its parent has said so
                _warn(line)


def _warn(line: str) -> None:
    """Warn of a plug-in, at the line outside of limen that led here."""
    frame = sys._getframe()
    while (_is_limens(frame) or "importlib" in frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    warnings.warn_explicit(
        line, PluginWarning, frame.f_code.co_filename, frame.f_lineno, str(frame.f_globals.get("__name__")),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )  # fmt: skip


def _fault(point: EntryPoint, noun: str) -> str:
    """Load an entry point, and return why it is left out; "" where it is not."""
    about = point.dist
    if about is None:
        return f"Plug-in {point.value} is left out: no distribution says where it comes from. Install it with pip."
    called = f"Plug-in {about.name} {about.version}"
    if wanted := _made_for(about):
        return (
            f"{called} is left out: it is made for limen {wanted}, and this is limen {__version__}. "
            f"Install one that is made for it: pip install --upgrade {about.name}, or a limen {wanted}."
        )
    before, there = {noun: dict(shelf) for noun, shelf in _known.items()}, point.module in sys.modules
    try:
        point.load()
        if not there and before == _known:
            raise InputError(f"it registers nothing. For {point.group}, use {REGISTERING[noun]}.")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anybody's code; said in a line, and nothing else fails
        _known.update(before)
        if not there:
            sys.modules.pop(point.module, None)
        what = str(error) if isinstance(error, LimenError) else f"{type(error).__name__}: {error}".rstrip(": ")
        what = " ".join(what.split()).rstrip(".")
        return (
            f"{called} is left out ({point.name} = {point.value}): {what}{_place_in(error, point.module)}. "
            f"Mend or update it, or pip uninstall {about.name}."
        )
    return ""


def _made_for(about: Distribution) -> str:
    """Return which limen a distribution requires, where this is none of those; "" elsewhere."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in about.requires or ():
        try:
            needed = Requirement(line)
        except InvalidRequirement:
            continue
        counts = needed.marker is None or needed.marker.evaluate({"extra": ""})
        if needed.name.lower() == "limen" and counts and not needed.specifier.contains(__version__, prereleases=True):
            return str(needed.specifier)
    return ""


def names(noun: str) -> tuple[str, ...]:
    """Return the names there are of a kind of thing.

    Args:
        noun: "distortion", "observer", "procedure", "question", "scene" or "source"; of features "task", "tolerance".

    Raises:
        UnknownNameError: no such kind.

    Examples:
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

    Examples:
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
            if noun not in HEAVY:
                every(noun)
        before = {noun: dict(shelf) for noun, shelf in _known.items()}
        module = types.ModuleType(name)
        module.__file__ = str(file)
        sys.modules[name] = module
        linecache.checkcache(str(file))
        try:
            exec(code, module.__dict__)  # noqa: S102 (a file that its user named; nothing is run that was found)
            if before == _known:
                ways = ", ".join(way for one, way in REGISTERING.items() if one not in HEAVY)
                raise InputError(f"it registers nothing. Use one of {ways}.")
        except Exception as error:
            del sys.modules[name]
            _known.update(before)
            what = str(error) if isinstance(error, LimenError) else f"{type(error).__name__}: {error}"
            raise InputError(f"Plug-in {path}: {_line_in(error, str(file))}{what}") from error
        _files.append(str(file))


def plugged() -> tuple[str, ...]:
    """Return the files that `plugin` has run in this process, in order."""
    return tuple(_files)


def _place_in(error: BaseException, module: str) -> str:
    """Return " (FILE:LINE)" of the innermost frame within a package; "" where none is."""
    own = module.partition(".")[0]
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == own
    ]
    return f" ({places[-1]})" if places else ""


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
            hint = " ".join(filter(None, (f"{owner} has no setting {key!r}.", nearest(key, known))))
            raise InputError(f"{hint} Known: {', '.join(known) or 'none'}.")
    listed = _lists(kind, commas)
    parted = {key: _parted(value, listed[key]) if key in listed else value for key, value in given.items()}
    parted |= {key: _as_json(parted[key]) for key in _numeric(kind) & parted.keys()}
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


@functools.cache
def _numeric(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names of a struct's fields that hold a number, or several, and no text."""
    of = msgspec.inspect
    found = set()
    for field in getattr(of.type_info(kind), "fields", ()):
        kinds = field.type.types if isinstance(field.type, of.UnionType) else (field.type,)
        held = [entry for one in kinds for entry in (_entries(one) or (one,)) if not isinstance(entry, of.NoneType)]
        if held and all(isinstance(entry, of.IntType | of.FloatType) for entry in held):
            found.add(field.name)
    return frozenset(found)


def _as_json(value: Any) -> Any:
    """Return a number that a person wrote (".5", "5.", "+1") as JSON writes it; anything else as it is."""
    if isinstance(value, list):
        return [_as_json(entry) for entry in value]
    number = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if number is None:
        return value
    minus, whole, decimals, power = (part or "" for part in number.groups())
    return f"{minus}{whole or '0'}{decimals.rstrip('.')}{power}"


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
