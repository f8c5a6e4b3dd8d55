"""The command line: parse, call one function, print.

Tables and data go to stdout, progress and notices to stderr. Exit codes: 0 done, 1 a mistake that one line
explains, 2 a run that ended with unfinished series, 70 a bug of limen's, 130 interrupted, 143 ended by SIGTERM, 129 by
SIGHUP.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import click

from limen import stopping
from limen.cli import (
    batch,
    bug,
    bundle,
    dataset,
    exam,
    feature,
    import_,
    list,
    measure,
    merge,
    people,
    published,
    safe,
    see,
    show,
    stats,
    watch,
)
from limen.cli.console import say
from limen.cli.group import main
from limen.errors import LimenError, PluginWarning

__all__ = [
    "batch", "bundle", "dataset", "exam", "feature", "import_", "list", "main", "measure", "merge", "people",
    "published", "run", "safe", "see", "show", "stats", "watch",
]  # fmt: skip


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    last = bug.LastResort(arguments)
    with last, warnings.catch_warnings():
        _warn_in_a_line()
        return _run(arguments)
    return last.code


def _warn_in_a_line() -> None:
    """Have plug-ins that are left out told as everything else is: without the line of code that found out."""
    usual = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
        line: str | None = None,
    ) -> None:  # fmt: skip
        if issubclass(category, PluginWarning):
            say(f"limen: warning: {message}", err=True)
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def _run(arguments: Sequence[str]) -> int:
    try:
        return _told(arguments)
    except OSError as error:  # also of the lines that tell of another error
        if stopping.detached():
            signal = stopping.heard()
            return 128 + signal if signal else 1
        say(f"limen: {error}. Check the disk and where the output goes.", err=True)
        return 1


def _told(arguments: Sequence[str]) -> int:
    """Run one command, and say in a line why it did not end well."""
    if any("\0" in argument for argument in arguments):
        say("limen: what was given holds a NUL character, which no name can. Write it again.", err=True)
        return 1
    try:
        code = main.main([*arguments], prog_name="limen", standalone_mode=False)
        sys.stdout.flush()  # a full disk is known now, not when Python ends
    except LimenError as error:
        say(f"limen: {error}", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return 1
    except (KeyboardInterrupt, click.Abort):
        kept = {
            "measure": "What was answered is",
            "demo": "What was answered is",
            "dataset": "Finished shards are",
            "feature": "What was fitted and measured is",
        }
        what = kept.get(next((word for word in arguments if not word.startswith("-")), ""), "")
        signal = stopping.heard()
        by = f" by {signal.name}" if signal else ""
        goes_on = f" {what} kept: the same command goes on from there." if what else ""
        say(f"limen: stopped{by}.{goes_on}", err=True)
        return 128 + signal if signal else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; what is left goes nowhere
        return 1
    except UnicodeEncodeError as error:
        say(
            f"limen: {str(error.object)[:40]!a} holds half of a character, which no text can. Write it again.", err=True
        )
        return 1
    except MemoryError:
        say("limen: out of memory. Give smaller pictures, or fewer at once (-O concurrency=2).", err=True)
        return 1
    return code if isinstance(code, int) else 0
