"""The error tree: every message says what is wrong, what was given, what would be right, and what to do.

    LimenError
    ├── InputError (ValueError)          what the user gave cannot be used
    │   └── UnknownNameError             a name that nothing is registered under
    ├── MissingExtraError (ImportError)  an optional library is not installed
    ├── ObserverError                    an observer could not answer; never a verdict
    │   └── FatalObserverError           ... and would not answer any other question either
    └── StoreError                       a run directory cannot be read or written

The command line turns a `LimenError` into one line and exit code 1.
"""

import difflib
from collections.abc import Iterable


class LimenError(Exception):
    """Anything limen refuses or fails at, with one line that says what to do."""


class InputError(LimenError, ValueError):
    """What was given cannot be used."""


class UnknownNameError(InputError):
    """A name that nothing is known under; offers the nearest known one.

    Args:
        kind: what the name should be of, in the singular ("distortion").
        name: what was given.
        known: the names there are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        near = difflib.get_close_matches(name, self.known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"No {kind} named {name!r}.{hint} Known: {', '.join(self.known) or 'none'}.")


class MissingExtraError(LimenError, ImportError):
    """An optional library is needed and is not installed.

    Args:
        purpose: what it is needed for ("the demo model").
        library: its import name.
        extra: the extra of limen that brings it.
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
    """

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(f"{kind}: {detail}")


class FatalObserverError(ObserverError):
    """An observer that will answer no question at all (wrong key, unknown model): the run stops."""


class StoreError(LimenError):
    """A run directory cannot be read or written."""
