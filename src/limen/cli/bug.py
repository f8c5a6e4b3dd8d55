"""The last resort: what no command foresaw ends in one line that calls it a bug, not in a traceback."""

import os
import platform
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import limen
from limen.cli.console import tame

BUG = 70  # exit code: sysexits.h's "internal software error"
HIDDEN = "***"
_SECRET = r"[\w.-]*(?:api_?key|[_-]key|\bkey\b|token|secret|passw|authori|credential|cookie|bearer)[\w.-]*"
_GIVEN = re.compile(rf"(?i)({_SECRET})([\"']?\s*[=:]\s*[\"']?)((?:bearer\s+|basic\s+)?[^\s\"',;&)}}\]]+)")
_USER = re.compile(r"(?i)(\w+://)[^/\s@\"']+@")
_SHORTEST = 6  # characters of an environment variable's value from which on it is looked for everywhere


class LastResort:
    """A context manager: an error that reaches it is written to a private file, and told in one line on stderr.

    Attributes:
        code: the exit code where there was such an error; 0 otherwise.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self.code = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
            return False
        self.code = BUG
        told = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()
        line = tame(hidden(told[0]))[:300]
        with suppress(OSError):  # stderr itself may be gone
            print(f"limen: a bug: {line.rstrip('.')}. {_kept(self._arguments, error)}", file=sys.stderr)
            if os.environ.get("LIMEN_DEBUG"):
                print(hidden("".join(traceback.format_exception(error))), file=sys.stderr)
        return True


def hidden(text: str) -> str:
    """Return a text without what may be secret: values of keys and tokens, of the environment too, users in URLs."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and re.fullmatch(_SECRET, name, re.IGNORECASE):
            text = text.replace(value, HIDDEN)
    return _USER.sub(rf"\1{HIDDEN}@", _GIVEN.sub(rf"\1\2{HIDDEN}", text))


def _kept(arguments: Sequence[str], error: BaseException) -> str:
    """Write the traceback to a file that only its owner can read, and say where it is and what to do with it."""
    about = f"limen {limen.__version__}, Python {platform.python_version()}, {platform.platform()}"
    told = "".join(traceback.format_exception(error))
    text = hidden(f"{about}\n\nlimen {' '.join(arguments)}\n\n{told}")
    try:
        descriptor, name = tempfile.mkstemp(prefix="limen-bug-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as failure:
        return f"Its traceback could not be written ({failure.strerror}): LIMEN_DEBUG=1 before the command shows it."
    return f"The traceback is in {name}: please send it, with the command, to where your clone of limen comes from."
