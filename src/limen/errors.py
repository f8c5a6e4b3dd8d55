"""The error tree: every message says what is wrong, what was given, what would be right, and what to do.

    LimenError
    ├── InputError (ValueError)          what the user gave cannot be used
    │   └── UnknownNameError             a name that nothing is registered under
    ├── MissingExtraError (ImportError)  an optional library is not installed
    ├── ObserverError                    an observer could not answer; never a verdict
    │   └── FatalObserverError           ... and would not answer any other question either
    └── StoreError                       a run directory cannot be read or written

The command line turns a `LimenError` into one line and exit code 1. `PluginWarning`: a plug-in of another distribution
is left out, and everything else goes on.
"""

import difflib
import os
import re
from collections.abc import Iterable

# What a path from a root begins with where that is no "/": a drive, another machine's share, an address, a home.
_ROOT = r"[A-Za-z]:[/\\]|\\\\[\w.$-]+\\|file:/+|~(?:[A-Za-z][\w.-]*)?/"
_PLACE = re.compile(
    rf"""(?P<quote>['"])(?P<inside>(?:{_ROOT}|[/\\])[^'"\n]*)(?P=quote)"""
    rf"""|(?<![\w.:/\\~-])(?P<bare>(?:{_ROOT}|/)[^\s'"<>|,;:()]*[^\s'"<>|,;:().])"""
)


def without_paths(text: str, instead: str = "") -> str:
    """Return a library's message with the names of files in place of their absolute paths.

    What a run stores may be published, and says nothing of where somebody's data lie. A path is known by its first
    folder, which is there; a server's "/v1/models" stays.

    Args:
        text: of one line.
        instead: what stands for every path, be its first folder there or not: the same on all machines. "" for the
            names of files.
    """

    def name(found: re.Match[str]) -> str:
        path, quote = found["inside"] or found["bare"], found["quote"] or ""
        parts = [part for part in re.split(r"[/\\]", path) if part]
        if instead:
            return f"{quote}{instead}{quote}" if len(parts) > 1 or re.match(_ROOT, path) else found[0]
        there = re.match(_ROOT, path) or (len(parts) > 1 and os.path.exists(f"/{parts[0]}"))
        return f"{quote}{parts[-1]}{quote}" if there else found[0]

    return _PLACE.sub(name, text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean ...?" with the nearest of the known names; "" where none is near."""
    near = difflib.get_close_matches(name, tuple(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else ""


class LimenError(Exception):
    """Anything limen refuses or fails at, with one line that says what to do.

    Examples:
        >>> import limen
        >>> try:
        ...     limen.measure("demo", "nobody", "blur")
        ... except limen.LimenError as error:
        ...     print(type(error).__name__)
        UnknownNameError
    """


class InputError(LimenError, ValueError):
    """What was given cannot be used.

    Examples:
        >>> import limen
        >>> limen.measure("demo", "simulated", "blur", sede=1)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        limen.errors.InputError: measure has no setting 'sede'. ...
    """


class UnknownNameError(InputError):
    """A name that nothing is known under; offers the nearest known one.

    Args:
        kind: what the name should be of, in the singular ("distortion").
        name: what was given.
        known: the names there are.
        hint: a sentence in place of the nearest name, where that is not what is meant.

    Examples:
        >>> from limen import UnknownNameError
        >>> print(UnknownNameError("distortion", "blurr", ["noise", "blur"]))
        No distortion named 'blurr'. Did you mean 'blur'? Known: blur, noise.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        begin = " ".join(filter(None, (f"No {kind} named {name!r}.", hint or nearest(name, self.known))))
        super().__init__(f"{begin} Known: {', '.join(self.known) or 'none'}.")


class MissingExtraError(LimenError, ImportError):
    """An optional library is needed and is not installed.

    Args:
        purpose: what it is needed for ("the demo model").
        library: its import name.
        extra: the extra of limen that brings it.

    Examples:
        >>> from limen import MissingExtraError
        >>> print(MissingExtraError("the demo model", "onnxruntime", "demo"))
        The demo model needs onnxruntime, which is not installed: in the clone of limen, pip install -e '.[demo]'
    """

    def __init__(self, purpose: str, library: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{purpose[0].upper()}{purpose[1:]} needs {library}, which is not installed: in the clone of limen, "
            f"pip install -e '.[{extra}]'"
        )


class ObserverError(LimenError):
    """An observer could not answer. The series stays open and resumes; this is never a verdict.

    Args:
        kind: a short stable word for the table of failures ("rate-limited", "timeout", "malformed").
        detail: one line for a person.

    Examples:
        >>> from limen import ObserverError
        >>> error = ObserverError("timeout", "no answer after 60 s")
        >>> error.kind, str(error)
        ('timeout', 'timeout: no answer after 60 s')
    """

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(f"{kind}: {detail}")


class FatalObserverError(ObserverError):
    """An observer that will answer no question at all (wrong key, unknown model): the run stops.

    Examples:
        >>> import limen
        >>> def broken(first, second):
        ...     return 1 / 0
        >>> try:
        ...     limen.measure("demo", broken, "blur", limit=1)
        ... except limen.FatalObserverError as error:
        ...     print(repr(error.__cause__))
        ZeroDivisionError('division by zero')
    """


class StoreError(LimenError):
    """A run directory cannot be read or written.

    Examples:
        >>> import limen
        >>> limen.open("no-such-run").jnds  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        limen.errors.StoreError: no-such-run ...
    """


class PluginWarning(UserWarning):
    """A plug-in of another distribution is left out; one line with its name, why, and what to do."""
